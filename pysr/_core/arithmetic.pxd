from pysr._core.srcore cimport sr_counts


cdef class Counts:
    cdef sr_counts c
    cdef object lock
    cdef dict pending  # of calls under way, by thread: see at_once

    cdef int merge(self, const sr_counts *more) except -1
