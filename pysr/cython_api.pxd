"""
The C library for other Cython code: ``from pysr.cython_api cimport ...``.

Compile with `pysr.get_include()` and `numpy.get_include()` as include directories; there is nothing to link with. The
functions are those of srcore.h under the same names without ``sr_``, or take Python objects where that says so.
"""

from libc.stddef cimport ptrdiff_t, size_t
from libc.stdint cimport uint32_t, uint64_t

from pysr._core.philox cimport Philox
from pysr._core.srcore cimport SR_OK, sr_format, sr_plan, sr_status, sr_words


# A plan for a format and the arguments of `pysr.round`; raises what that raises.
cdef int make_plan(sr_plan *plan, object fmt, str mode, double eps=*, object random_bits=*, str variant=*,
                   object overflow=*) except -1

# The words that a call on n elements takes from a stream, which moves on.
cdef int take_words(sr_words *words, Philox stream, const sr_plan *plan, uint64_t n) except -1

cdef const char *strerror(sr_status status) noexcept nogil
cdef uint64_t call_blocks(const sr_plan *plan, uint64_t n) noexcept nogil
cdef void philox_fill(uint64_t seed, uint64_t stream, uint64_t block, uint64_t first, size_t n,
                      uint32_t *out) noexcept nogil
cdef sr_status round_f32(const sr_plan *plan, const sr_words *words, size_t n, const float *x, ptrdiff_t x_stride,
                         const float *direction, ptrdiff_t direction_stride, float *y, ptrdiff_t y_stride,
                         uint64_t *index) noexcept nogil
cdef sr_status round_f64(const sr_plan *plan, const sr_words *words, size_t n, const double *x, ptrdiff_t x_stride,
                         const double *direction, ptrdiff_t direction_stride, double *y, ptrdiff_t y_stride,
                         uint64_t *index) noexcept nogil
cdef sr_status encode_f32(const sr_plan *plan, const sr_words *words, size_t n, const float *x, ptrdiff_t x_stride,
                          const float *direction, ptrdiff_t direction_stride, void *codes, ptrdiff_t codes_stride,
                          uint64_t *index) noexcept nogil
cdef sr_status encode_f64(const sr_plan *plan, const sr_words *words, size_t n, const double *x, ptrdiff_t x_stride,
                          const double *direction, ptrdiff_t direction_stride, void *codes, ptrdiff_t codes_stride,
                          uint64_t *index) noexcept nogil
cdef sr_status decode_f32(const sr_format *format, size_t n, const void *codes, ptrdiff_t codes_stride, float *y,
                          ptrdiff_t y_stride, uint64_t *index) noexcept nogil
cdef sr_status decode_f64(const sr_format *format, size_t n, const void *codes, ptrdiff_t codes_stride, double *y,
                          ptrdiff_t y_stride, uint64_t *index) noexcept nogil
