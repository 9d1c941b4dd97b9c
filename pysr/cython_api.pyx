"""The C library for other Cython code; see cython_api.pxd. Nothing here is for Python."""

from pysr._core cimport srcore
from pysr._core.formats cimport as_format
from pysr._core.paths cimport kernels
from pysr._core.rounding cimport fill_plan
from pysr._core.srcore cimport sr_call_blocks, sr_stream_position, sr_stream_seek


cdef int make_plan(sr_plan *plan, object fmt, str mode, double eps=0.0, object random_bits="exact", str variant="a",
                   object overflow=None) except -1:
    return fill_plan(plan, as_format(fmt), mode, eps, random_bits, variant, overflow)


cdef int take_words(sr_words *words, Philox stream, const sr_plan *plan, uint64_t n) except -1:
    with stream.lock:
        words.seed = stream.c.seed
        words.stream = stream.c.stream
        words.block = sr_stream_position(&stream.c)
        words.offset = 0
        words.bits = NULL
        words.bits_stride = 1
        if sr_call_blocks(plan, n):
            sr_stream_seek(&stream.c, words.block + sr_call_blocks(plan, n), 0)
    return 0


cdef const char *strerror(sr_status status) noexcept nogil:
    return srcore.sr_strerror(status)


cdef uint64_t call_blocks(const sr_plan *plan, uint64_t n) noexcept nogil:
    return sr_call_blocks(plan, n)


cdef void philox_fill(uint64_t seed, uint64_t stream, uint64_t block, uint64_t first, size_t n,
                      uint32_t *out) noexcept nogil:
    srcore.sr_philox_fill_on(kernels, seed, stream, block, first, n, out)


cdef sr_status round_f32(const sr_plan *plan, const sr_words *words, size_t n, const float *x, ptrdiff_t x_stride,
                         const float *direction, ptrdiff_t direction_stride, float *y, ptrdiff_t y_stride,
                         uint64_t *index) noexcept nogil:
    return srcore.sr_round_f32(plan, words, n, x, x_stride, direction, direction_stride, y, y_stride, index)


cdef sr_status round_f64(const sr_plan *plan, const sr_words *words, size_t n, const double *x, ptrdiff_t x_stride,
                         const double *direction, ptrdiff_t direction_stride, double *y, ptrdiff_t y_stride,
                         uint64_t *index) noexcept nogil:
    return srcore.sr_round_f64(plan, words, n, x, x_stride, direction, direction_stride, y, y_stride, index)


cdef sr_status encode_f32(const sr_plan *plan, const sr_words *words, size_t n, const float *x, ptrdiff_t x_stride,
                          const float *direction, ptrdiff_t direction_stride, void *codes, ptrdiff_t codes_stride,
                          uint64_t *index) noexcept nogil:
    return srcore.sr_encode_f32(plan, words, n, x, x_stride, direction, direction_stride, codes, codes_stride, index)


cdef sr_status encode_f64(const sr_plan *plan, const sr_words *words, size_t n, const double *x, ptrdiff_t x_stride,
                          const double *direction, ptrdiff_t direction_stride, void *codes, ptrdiff_t codes_stride,
                          uint64_t *index) noexcept nogil:
    return srcore.sr_encode_f64(plan, words, n, x, x_stride, direction, direction_stride, codes, codes_stride, index)


cdef sr_status decode_f32(const sr_format *format, size_t n, const void *codes, ptrdiff_t codes_stride, float *y,
                          ptrdiff_t y_stride, uint64_t *index) noexcept nogil:
    return srcore.sr_decode_f32(format, n, codes, codes_stride, y, y_stride, index)


cdef sr_status decode_f64(const sr_format *format, size_t n, const void *codes, ptrdiff_t codes_stride, double *y,
                          ptrdiff_t y_stride, uint64_t *index) noexcept nogil:
    return srcore.sr_decode_f64(format, n, codes, codes_stride, y, y_stride, index)
