from numpy.random cimport BitGenerator

from pysr._core.srcore cimport sr_stream


cdef class Philox(BitGenerator):
    cdef sr_stream c
    cdef object spawned
