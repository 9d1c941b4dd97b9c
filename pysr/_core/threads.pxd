from libc.stddef cimport size_t
from libc.stdint cimport uint64_t

from pysr._core.srcore cimport sr_status

ctypedef sr_status (*pool_piece)(const void *, int, size_t, uint64_t *) noexcept nogil

cdef int default_threads
cdef sr_status run_pieces(int threads, size_t pieces, pool_piece run, const void *job,
                          uint64_t *index) noexcept nogil
