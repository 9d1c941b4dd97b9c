from libc.stddef cimport size_t
from libc.stdint cimport uint32_t
from numpy.random cimport BitGenerator

from pysr._core.srcore cimport sr_stream


cdef class Philox(BitGenerator):
    cdef sr_stream c
    cdef object spawned
    cdef void fill(self, uint32_t *out, size_t n)
