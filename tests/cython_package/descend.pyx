"""Gradient descent on x^2 / 2, every step rounded: a loop in C over the library of pysr."""

from libc.stdint cimport uint64_t

from pysr._core.philox cimport Philox
from pysr.cython_api cimport (
    SR_OK, call_blocks, decode_f32, encode_f32, make_plan, philox_fill, round_f32, round_f64, sr_plan, sr_status,
    sr_words, strerror, take_words,
)


def descend(float[::1] x, fmt, float rate, int steps, Philox stream):
    """`steps` steps in place; returns the blocks that were drawn."""
    cdef sr_plan plan
    cdef sr_words words
    cdef sr_status status = SR_OK
    cdef uint64_t index = 0
    cdef Py_ssize_t i
    cdef int step
    make_plan(&plan, fmt, "sr")
    for step in range(steps):
        take_words(&words, stream, &plan, x.shape[0])
        with nogil:
            for i in range(x.shape[0]):
                x[i] -= rate * x[i]
            status = round_f32(&plan, &words, x.shape[0], &x[0], 1, NULL, 0, &x[0], 1, &index)
        if status != SR_OK:
            raise ValueError(f"index {index}: {strerror(status).decode()}")
    return steps * call_blocks(&plan, x.shape[0])


def codes_and_back(float[::1] x, fmt, Philox stream):
    """Through one-byte codes, in place; and the first word of the stream."""
    cdef sr_plan plan
    cdef sr_words words
    cdef uint64_t index = 0
    cdef unsigned char[64] codes
    cdef unsigned int word
    make_plan(&plan, fmt, "sr", 0.0, "exact", "a", "saturate")
    take_words(&words, stream, &plan, x.shape[0])
    if x.shape[0] > 64:
        raise ValueError("at most 64 elements")
    if encode_f32(&plan, &words, x.shape[0], &x[0], 1, NULL, 0, codes, 1, &index) != SR_OK:
        raise ValueError("encode")
    if decode_f32(&plan.format, x.shape[0], codes, 1, &x[0], 1, &index) != SR_OK:
        raise ValueError("decode")
    philox_fill(words.seed, words.stream, words.block, 0, 1, &word)
    return word


def twice(double[::1] x, fmt, Philox stream):
    """Every second element rounded, in place: strides are in elements."""
    cdef sr_plan plan
    cdef sr_words words
    cdef uint64_t index = 0
    make_plan(&plan, fmt, "sr", 0.0, 8)
    take_words(&words, stream, &plan, x.shape[0] // 2)
    if round_f64(&plan, &words, x.shape[0] // 2, &x[0], 2, NULL, 0, &x[0], 2, &index) != SR_OK:
        raise ValueError("round")
