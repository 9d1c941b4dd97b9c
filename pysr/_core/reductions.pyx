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
    SR_ALIGN_MOST, SR_CARRIER_F32, SR_ERR_OVERFLOW, SR_OK, SR_ORDER_BLOCKED, SR_TERMS_FUSED,
    sr_counts, sr_format_fits, sr_matmul_f32, sr_matmul_f64, sr_order, sr_plan, sr_reduce_blocks, sr_reduce_f32,
    sr_reduce_f64, sr_reduction, sr_status, sr_stream_position, sr_stream_seek, sr_strerror, sr_terms, sr_words,
)
from pysr._core.threads cimport default_threads, run_pieces

from pysr._core.formats import arithmetic_format as to_format

cdef extern from "Python.h" nogil:
    void *PyMem_RawCalloc(size_t, size_t)
    void PyMem_RawFree(void *)

cnp.import_array()

# In the order of sr_terms and sr_order.
TERMS = ("sum", "prod", "separate", "fma", "block")
ORDERS = ("sequential", "pairwise", "blocked", "exact")

_FLOAT32 = np.dtype(np.float32)


cdef struct Operands:
    const void *data[3]
    ptrdiff_t strides[3][2]


# Products of fewer multiplications are done by one thread, others in pieces of so many rows.
cdef double _THREADS_FROM = 2.0 ** 20
cdef size_t _PIECE_ROWS = 64

cdef struct Products:
    const sr_plan *plan
    const sr_reduction *r
    const sr_words *words
    size_t m, n, rows, pieces
    char *data[3]
    cnp.npy_intp stack[3]
    ptrdiff_t strides[3][2]
    char *y
    sr_counts *counts
    bint single


cdef sr_status products_piece(const void *given, int thread, size_t piece, uint64_t *index) noexcept nogil:
    cdef const Products *job = <const Products *> given
    cdef size_t stack = piece // job.pieces, row = piece % job.pieces * job.rows
    cdef ptrdiff_t size = 4 if job.single else 8
    cdef sr_words words = job.words[0]
    cdef const void *operands[3]
    cdef ptrdiff_t to[2]
    cdef size_t rows = job.m - row
    cdef char *y
    if rows > job.rows:
        rows = job.rows
    words.offset = (stack * job.m + row) * job.n
    y = job.y + <ptrdiff_t> words.offset * size
    for k in range(3):
        operands[k] = NULL
        if job.data[k] != NULL:
            operands[k] = job.data[k] + <ptrdiff_t> stack * job.stack[k] + \
                (0 if k == 1 else <ptrdiff_t> row * job.strides[k][0] * size)
    to[0] = job.n
    to[1] = 1
    if job.single:
        return sr_matmul_f32(job.plan, job.r, &words, rows, job.n, <const float *const *> operands, job.strides,
                             <float *> y, to, &job.counts[piece], index)
    return sr_matmul_f64(job.plan, job.r, &words, rows, job.n, <const double *const *> operands, job.strides,
                         <double *> y, to, &job.counts[piece], index)


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

    cdef int describe(self, sr_reduction *r, terms, order, block, size_t n, bint running, align_bits=None) except -1:
        if order not in ORDERS:
            raise ValueError(f"order={order!r} is not one of {', '.join(map(repr, ORDERS))}")
        r.terms = <sr_terms> <int> TERMS.index(terms)
        r.order = <sr_order> <int> ORDERS.index(order)
        r.n = n
        r.block = 0
        r.running = running
        r.products = &self.products if terms == "separate" else NULL
        r.align_bits = 0
        if align_bits is not None:
            if terms != "block":
                raise ValueError(f"align_bits={align_bits!r} goes with accumulate='block' alone")
            r.align_bits = integer(align_bits, "align_bits", 1, SR_ALIGN_MOST)
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

    def inner(self, terms, order, block, align_bits, cnp.ndarray a, cnp.ndarray b, initial, Philox stream,
              Counts counts):
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
        self.describe(&r, terms, order, block, k, False, align_bits)
        if c is not None and order != "sequential":
            raise ValueError(f"initial given with order={order!r}: only 'sequential' starts from one")
        y = np.empty((s, m, n), dtype)
        happened.overflow = happened.underflow = happened.nan = happened.inexact = 0
        blocks = self.start(&r, &words, s * m * n)
        if blocks == 0:
            status = self.run_products(&r, &words, a, b, c, y, &happened, &index)
        else:
            with stream.lock:
                words.seed = stream.c.seed
                words.stream = stream.c.stream
                words.block = sr_stream_position(&stream.c)
                status = self.run_products(&r, &words, a, b, c, y, &happened, &index)
                if status == SR_OK:
                    sr_stream_seek(&stream.c, words.block + blocks, 0)
        if status != SR_OK:
            self.fail(status, index, terms == "separate")
        counts.merge(&happened)
        return y

    cdef sr_status run_products(self, const sr_reduction *r, const sr_words *words, cnp.ndarray a, cnp.ndarray b,
                                cnp.ndarray c, cnp.ndarray y, sr_counts *counts, uint64_t *index) except *:
        """In pieces, some rows of a matrix each."""
        cdef ptrdiff_t size = cnp.PyArray_ITEMSIZE(a)
        cdef size_t s = cnp.PyArray_DIM(y, 0), pieces
        cdef sr_status status
        cdef int threads = default_threads
        cdef Products job
        cdef cnp.ndarray array
        job.plan = &self.sums
        job.r = r
        job.words = words
        job.m = cnp.PyArray_DIM(y, 1)
        job.n = cnp.PyArray_DIM(y, 2)
        job.single = size == 4
        for k, operand in enumerate((a, b, c)):
            array = a if operand is None else operand
            job.data[k] = NULL if operand is None else <char *> cnp.PyArray_DATA(array)
            job.stack[k] = cnp.PyArray_STRIDE(array, 0)
            job.strides[k][0] = cnp.PyArray_STRIDE(array, 1) // size
            job.strides[k][1] = cnp.PyArray_STRIDE(array, 2) // size
        job.y = <char *> cnp.PyArray_DATA(y)
        if <double> s * job.m * job.n * r.n < _THREADS_FROM:
            threads = 1
        job.rows = job.m if threads == 1 else _PIECE_ROWS
        job.pieces = (job.m + job.rows - 1) // job.rows if job.m else 0
        pieces = s * job.pieces
        job.counts = <sr_counts *> PyMem_RawCalloc(pieces + 1, sizeof(sr_counts))
        if job.counts == NULL:
            raise MemoryError
        with nogil:
            status = run_pieces(threads, pieces, products_piece, &job, index)
            for i in range(pieces):
                counts.overflow += job.counts[i].overflow
                counts.underflow += job.counts[i].underflow
                counts.nan += job.counts[i].nan
                counts.inexact += job.counts[i].inexact
            PyMem_RawFree(job.counts)
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
