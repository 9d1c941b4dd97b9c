"""Sums, products and inner products of many terms, every node of their tree rounded."""

import numpy as np

cimport numpy as cnp
from libc.stddef cimport ptrdiff_t, size_t
from libc.stdint cimport uint64_t

from pysr._core.arithmetic cimport Counts
from pysr._core.formats cimport Format, integer
from pysr._core.philox cimport Philox
from pysr._core.rounding cimport fill_plan
from pysr._core.srcore cimport (
    SR_CARRIER_F32, SR_ERR_OVERFLOW, SR_OK, SR_ORDER_BLOCKED, SR_TERMS_FUSED,
    sr_counts, sr_format_fits, sr_order, sr_plan, sr_reduce_blocks, sr_reduce_f32, sr_reduce_f64, sr_reduction,
    sr_status, sr_stream_position, sr_stream_seek, sr_strerror, sr_terms, sr_words,
)

from pysr._core.formats import format as to_format

cnp.import_array()

# In the order of sr_terms and sr_order.
TERMS = ("sum", "prod", "separate", "fma", "block")
ORDERS = ("sequential", "pairwise", "blocked", "exact")

_FLOAT32 = np.dtype(np.float32)


cdef struct Operands:
    const void *data[3]
    ptrdiff_t strides[3][2]


cdef class Reducer:
    """How sums are rounded, and products that go into them."""

    cdef sr_plan sums
    cdef sr_plan products
    cdef readonly Format fmt
    cdef readonly Format products_fmt
    cdef readonly str mode
    cdef readonly str overflow
    cdef bint given

    def __init__(self, fmt, products, mode, eps, random_bits, variant, overflow):
        self.fmt = to_format(fmt)
        self.products_fmt = to_format(products)
        fill_plan(&self.sums, self.fmt, mode, eps, random_bits, variant, overflow)
        fill_plan(&self.products, self.products_fmt, mode, eps, random_bits, variant, overflow)
        self.mode = mode
        self.overflow = self.fmt.overflow if overflow is None else overflow
        self.given = overflow is not None

    cdef int describe(self, sr_reduction *r, terms, order, block, size_t n, bint running) except -1:
        if order not in ORDERS:
            raise ValueError(f"order={order!r} is not one of {', '.join(map(repr, ORDERS))}")
        r.terms = <sr_terms> <int> TERMS.index(terms)
        r.order = <sr_order> <int> ORDERS.index(order)
        r.n = n
        r.block = 0
        r.running = running
        r.products = &self.products if terms == "separate" else NULL
        if r.order == SR_ORDER_BLOCKED or r.terms == SR_TERMS_FUSED:
            if block is None:
                raise ValueError("block=None: " + ("order 'blocked'" if terms != "block" else "accumulate='block'")
                                 + " needs a length")
            r.block = integer(block, "block", 1, 2**63 - 1)
        elif block is not None:
            raise ValueError(f"block={block!r} given, which only order 'blocked' and accumulate='block' take")
        return 0

    cdef int check_carrier(self, object dtype, bint products) except -1:
        for name, fmt in (("fmt", self.fmt), ("products", self.products_fmt))[:1 + products]:
            if dtype == _FLOAT32 and sr_format_fits(&(<Format> fmt).c, SR_CARRIER_F32) != SR_OK:
                raise ValueError(f"{name}={fmt}: a {dtype} carrier cannot hold every value of it exactly")
        return 0

    cdef uint64_t start(self, const sr_reduction *r, sr_words *words, size_t results) except? 0:
        """Blocks that all results take; the words of their stream's start."""
        cdef uint64_t blocks = sr_reduce_blocks(&self.sums, r)
        words.seed = words.stream = words.block = words.offset = 0
        words.bits = NULL
        words.bits_stride = 1
        if int(blocks) * int(results) > 2**60:
            raise ValueError(f"{results} results of {r.n} terms take more random words than a stream holds")
        return blocks * results

    def along(self, terms, order, block, bint running, cnp.ndarray x, Philox stream, Counts counts):
        """
        A result for each row of `x`, native, aligned and of two axes; with `running` as many as terms.
        """
        cdef sr_reduction r
        cdef sr_words words
        cdef sr_counts happened
        cdef size_t results = cnp.PyArray_DIM(x, 0), n = cnp.PyArray_DIM(x, 1)
        cdef ptrdiff_t size = cnp.PyArray_ITEMSIZE(x)
        cdef Operands operands
        cdef ptrdiff_t to[2]
        cdef uint64_t blocks, index = 0
        cdef sr_status status
        cdef cnp.ndarray y
        dtype = (<object> x).dtype
        self.check_carrier(dtype, False)
        self.describe(&r, terms, order, block, n, running)
        y = np.empty((<object> x).shape if running else (<object> x).shape[:1], dtype)
        if running and n == 0:
            return y
        operands.data[0] = cnp.PyArray_DATA(x)
        operands.strides[0][0] = cnp.PyArray_STRIDE(x, 0) // size
        operands.strides[0][1] = cnp.PyArray_STRIDE(x, 1) // size
        to[0] = n if running else 1
        to[1] = 1
        happened.overflow = happened.underflow = happened.nan = happened.inexact = 0
        blocks = self.start(&r, &words, results)
        if blocks == 0:
            status = self.run(&r, &words, results, &operands, cnp.PyArray_DATA(y), to, size == 4, &happened, &index)
        else:
            with stream.lock:  # held throughout: a call that raises leaves the stream where it was
                words.seed = stream.c.seed
                words.stream = stream.c.stream
                words.block = sr_stream_position(&stream.c)
                status = self.run(&r, &words, results, &operands, cnp.PyArray_DATA(y), to, size == 4, &happened, &index)
                if status == SR_OK:
                    sr_stream_seek(&stream.c, words.block + blocks, 0)
        if status != SR_OK:
            self.fail(status, index, False)
        counts.merge(&happened)
        return y

    def inner(self, terms, order, block, cnp.ndarray a, cnp.ndarray b, initial, Philox stream, Counts counts):
        """
        Matrix products of native, aligned stacks of shape (s, m, k) and (s, k, n), after `initial`, (s, m, n) or None.
        """
        cdef sr_reduction r
        cdef sr_words words
        cdef sr_counts happened
        cdef size_t s = cnp.PyArray_DIM(a, 0), m = cnp.PyArray_DIM(a, 1), k = cnp.PyArray_DIM(a, 2)
        cdef size_t n = cnp.PyArray_DIM(b, 2)
        cdef uint64_t blocks, index = 0
        cdef sr_status status
        cdef cnp.ndarray y, c = initial
        dtype = (<object> a).dtype
        self.check_carrier(dtype, terms == "separate")
        self.describe(&r, terms, order, block, k, False)
        if c is not None and order != "sequential":
            raise ValueError(f"initial given with order={order!r}: only 'sequential' starts from one")
        y = np.empty((s, m, n), dtype)
        happened.overflow = happened.underflow = happened.nan = happened.inexact = 0
        blocks = self.start(&r, &words, s * m * n)
        if blocks == 0:
            status = self.run_products(&r, &words, a, b, c, y, n == 1, &happened, &index)
        else:
            with stream.lock:
                words.seed = stream.c.seed
                words.stream = stream.c.stream
                words.block = sr_stream_position(&stream.c)
                status = self.run_products(&r, &words, a, b, c, y, n == 1, &happened, &index)
                if status == SR_OK:
                    sr_stream_seek(&stream.c, words.block + blocks, 0)
        if status != SR_OK:
            self.fail(status, index, terms == "separate")
        counts.merge(&happened)
        return y

    cdef sr_status run_products(self, const sr_reduction *r, sr_words *words, cnp.ndarray a, cnp.ndarray b,
                                cnp.ndarray c, cnp.ndarray y, bint by_columns, sr_counts *counts, uint64_t *index):
        """Rows of results, or a column, side by side."""
        cdef size_t s = cnp.PyArray_DIM(y, 0), m = cnp.PyArray_DIM(y, 1), n = cnp.PyArray_DIM(y, 2)
        cdef size_t i, j, rows = 1 if by_columns else m, results = m if by_columns else n
        cdef ptrdiff_t size = cnp.PyArray_ITEMSIZE(a)
        cdef Operands operands
        cdef ptrdiff_t to[2]
        cdef sr_status status = SR_OK
        cdef char *pa = <char *> cnp.PyArray_DATA(a)
        cdef char *pb = <char *> cnp.PyArray_DATA(b)
        cdef char *pc = NULL
        cdef char *py = <char *> cnp.PyArray_DATA(y)
        cdef cnp.npy_intp *sa = cnp.PyArray_STRIDES(a)
        cdef cnp.npy_intp *sb = cnp.PyArray_STRIDES(b)
        cdef cnp.npy_intp *sc = NULL
        operands.strides[0][0] = sa[1] // size if by_columns else 0
        operands.strides[0][1] = sa[2] // size
        operands.strides[1][0] = 0 if by_columns else sb[2] // size
        operands.strides[1][1] = sb[1] // size
        operands.strides[2][0] = operands.strides[2][1] = 0
        operands.data[2] = NULL
        if c is not None:
            pc = <char *> cnp.PyArray_DATA(c)
            sc = cnp.PyArray_STRIDES(c)
            operands.strides[2][0] = (sc[1] if by_columns else sc[2]) // size
        to[0] = to[1] = 1
        with nogil:
            for i in range(s):
                for j in range(rows):
                    operands.data[0] = pa + <ptrdiff_t> i * sa[0] + <ptrdiff_t> j * sa[1]
                    operands.data[1] = pb + <ptrdiff_t> i * sb[0]
                    if pc != NULL:
                        operands.data[2] = pc + <ptrdiff_t> i * sc[0] + <ptrdiff_t> j * sc[1]
                    words.offset = (i * m + j) * n
                    status = self.run_alone(r, words, results, &operands,
                                            py + <ptrdiff_t> (words.offset) * size, to, size == 4, counts, index)
                    if status != SR_OK:
                        break
                if status != SR_OK:
                    break
        return status

    cdef sr_status run(self, const sr_reduction *r, const sr_words *words, size_t results, Operands *operands, void *y,
                       const ptrdiff_t *to, bint single, sr_counts *counts, uint64_t *index):
        cdef sr_status status
        with nogil:
            status = self.run_alone(r, words, results, operands, y, to, single, counts, index)
        return status

    cdef sr_status run_alone(self, const sr_reduction *r, const sr_words *words, size_t results, Operands *operands,
                             void *y, const ptrdiff_t *to, bint single, sr_counts *counts,
                             uint64_t *index) noexcept nogil:
        if single:
            return sr_reduce_f32(&self.sums, r, words, results, <const float *const *> operands.data,
                                 operands.strides, <float *> y, to, counts, index)
        return sr_reduce_f64(&self.sums, r, words, results, <const double *const *> operands.data,
                             operands.strides, <double *> y, to, counts, index)

    cdef int fail(self, sr_status status, uint64_t index, bint products) except -1:
        if status == SR_ERR_OVERFLOW:
            ranges = f"{self.fmt} (overflow={self.overflow!r})"
            if products and self.products_fmt != self.fmt:
                rule = self.overflow if self.given else self.products_fmt.overflow
                ranges = f"{self.products_fmt} (overflow={rule!r}) or {ranges}"
            raise OverflowError(f"result {index}: a step is beyond the range of {ranges}")
        raise ValueError((<bytes> sr_strerror(status)).decode())
