"""Rounded arithmetic on arrays: the exact result of one operation, rounded once, with totals of what happened."""

import threading

import numpy as np

cimport numpy as cnp
from cpython.pythread cimport PyThread_get_thread_ident
from libc.stddef cimport ptrdiff_t, size_t
from libc.stdint cimport uint64_t

from pysr._core.formats cimport Format
from pysr._core.philox cimport Philox
from pysr._core.rounding cimport (
    as_carrier, as_flags, check_out, common_shape, contiguous, fill_plan, random_source, signs,
)
from pysr._core.srcore cimport (
    SR_CARRIER_F32, SR_CARRIER_F64, SR_ERR_DIRECTION_NAN, SR_ERR_OVERFLOW, SR_OK,
    sr_arith_f32, sr_arith_f64, sr_call_blocks, sr_counts, sr_format_fits, sr_op, sr_plan, sr_status, sr_stream,
    sr_strerror, sr_stream_position, sr_stream_seek, sr_words,
)

from pysr._core.formats import arithmetic_format as to_format

cnp.import_array()

# In the order of sr_op.
OPERATIONS = ("round", "add", "sub", "mul", "div", "sqrt", "fma")

_OPERANDS = {"round": 1, "sqrt": 1, "fma": 3}
_NAMES = ("x", "y", "z")
_FLOAT32 = np.dtype(np.float32)
_FLOAT64 = np.dtype(np.float64)
cdef size_t _WITHOUT_GIL_FROM = 512


cdef class Pending:
    """What a call of several steps has counted so far."""

    cdef sr_counts c


cdef inline void add(sr_counts *counts, const sr_counts *more) noexcept:
    counts.overflow += more.overflow
    counts.underflow += more.underflow
    counts.nan += more.nan
    counts.inexact += more.inexact


cdef class Counts:
    """
    How often results overflowed, vanished, became NaN or were inexact: totals of an `Arithmetic`.

    Attributes
    ----------
    overflow : int
        Finite exact results beyond the format's range, whatever the overflow rule made of them.
    underflow : int
        Exact results that were not zero and were rounded to zero.
    nan : int
        NaNs made from operands that are none: 0/0, inf - inf, an overflow under the rule "nan", ...
    inexact : int
        Exact results that are not on the format's grid.

    Examples
    --------
    >>> arithmetic = pysr.Arithmetic("float8_e4m3fn", "rne")
    >>> _ = arithmetic.mul([16.0, 2.0, 0.01], [32.0, 1.5, 0.01])
    >>> arithmetic.counts
    Counts(overflow=1, underflow=1, nan=1, inexact=1)
    """

    def __cinit__(self):
        self.lock = threading.Lock()
        self.pending = {}

    cdef int merge(self, const sr_counts *more) except -1:
        cdef Pending call
        if self.pending:
            call = self.pending.get(PyThread_get_thread_ident())
            if call is not None:
                add(&call.c, more)
                return 0
        with self.lock:
            add(&self.c, more)
        return 0

    def add(self, Counts more not None):
        """Add other totals to these."""
        self.merge(&more.c)

    def reset(self):
        """Set all totals to zero."""
        with self.lock:
            self.c.overflow = self.c.underflow = self.c.nan = self.c.inexact = 0

    @property
    def overflow(self):
        return self.c.overflow

    @property
    def underflow(self):
        return self.c.underflow

    @property
    def nan(self):
        return self.c.nan

    @property
    def inexact(self):
        return self.c.inexact

    def __reduce__(self):
        with self.lock:
            return _counts, (self.c.overflow, self.c.underflow, self.c.nan, self.c.inexact)

    def __repr__(self):
        return (f"Counts(overflow={self.c.overflow}, underflow={self.c.underflow}, nan={self.c.nan}, "
                f"inexact={self.c.inexact})")


def _counts(overflow, underflow, nan, inexact):
    cdef Counts counts = Counts()
    counts.c.overflow = overflow
    counts.c.underflow = underflow
    counts.c.nan = nan
    counts.c.inexact = inexact
    return counts


def at_once(bint draws, Philox stream, Counts counts, function, *arguments, **keywords):
    """
    A call of several steps that draws and counts as one: if it raises, `stream` and `counts` are as they were.
    """
    cdef Pending happened = Pending.__new__(Pending)
    cdef sr_stream place
    thread = PyThread_get_thread_ident()
    outer = counts.pending.get(thread)
    counts.pending[thread] = happened
    try:
        if draws:
            with stream.lock:  # a reentrant one: steps take it again
                place = stream.c
                try:
                    result = function(*arguments, **keywords)
                except BaseException:
                    stream.c = place
                    raise
        else:
            result = function(*arguments, **keywords)
    finally:
        if outer is None:
            del counts.pending[thread]
        else:
            counts.pending[thread] = outer
    counts.merge(&happened.c)
    return result


def stream_of(rng):
    """What `rng` says, as a stream: a Philox as it is, a seed at its beginning."""
    source = random_source(rng)
    if isinstance(source, np.random.Generator):
        source = int(source.integers(0, 2**64, dtype=np.uint64))
    return source if isinstance(source, Philox) else Philox(source)


cdef list runs_of(object where):
    """The first and the end of each run of true elements, in C order."""
    flat = np.concatenate(([False], where.ravel(), [False]))
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return edges.reshape(-1, 2).tolist()


cdef class Operation:
    """One operation with its format and way of rounding."""

    cdef sr_plan plan
    cdef sr_op op
    cdef int values
    cdef bint signed
    cdef readonly str name
    cdef readonly Format fmt
    cdef readonly str mode
    cdef readonly str overflow

    def __init__(self, name, fmt, mode, eps, random_bits, variant, overflow):
        if name not in OPERATIONS:
            raise ValueError(f"op={name!r} is not one of {', '.join(map(repr, OPERATIONS))}")
        self.name = name
        self.op = <sr_op> <int> OPERATIONS.index(name)
        self.values = _OPERANDS.get(name, 2)
        self.fmt = to_format(fmt)
        fill_plan(&self.plan, self.fmt, mode, eps, random_bits, variant, overflow)
        self.mode = mode
        self.signed = mode == "sr_signed"
        self.overflow = self.fmt.overflow if overflow is None else overflow

    def __call__(self, tuple operands, Philox stream, Counts counts, direction=None, out=None, where=None):
        """
        The operation on broadcast operands; `stream` moves on, `counts` grow.

        The caller answers for as many operands as the operation has.
        """
        cdef sr_words words
        cdef sr_counts happened
        cdef sr_status status
        cdef uint64_t index = 0
        cdef size_t n
        cdef int k, given = self.values
        cdef bint single
        cdef const void *data[4]
        cdef ptrdiff_t strides[4]
        cdef void *target

        if direction is None and out is None and where is None and not self.signed:
            y = self.at_once(operands, stream, counts)
            if y is not None:
                return y
        if (direction is None) == self.signed:
            raise ValueError("direction=None in mode 'sr_signed', which needs it" if direction is None
                             else f"direction given in mode {self.mode!r}: only 'sr_signed' takes one")
        arrays = [as_carrier(x, name) for x, name in zip(operands, _NAMES)]
        single = all(x.dtype.itemsize == 4 for x in arrays)
        dtype = _FLOAT32 if single else _FLOAT64
        if sr_format_fits(&self.fmt.c, SR_CARRIER_F32 if single else SR_CARRIER_F64) != SR_OK:
            raise ValueError(f"fmt={self.fmt}: a {dtype} carrier cannot hold every value of it exactly")
        if direction is not None:
            direction = as_carrier(direction, "direction")
            arrays.append(direction if direction.dtype.newbyteorder("=") == dtype else signs(direction, dtype))
            given += 1
        if where is not None:
            where = as_flags(where, "where")
        shape = (<object> arrays[0]).shape
        if where is not None or any(x.shape != shape for x in arrays):
            named = dict(zip(_NAMES[:self.values] + ("direction",), arrays))
            if where is not None:
                named["where"] = where
            shape = common_shape(named)
        if out is not None:
            check_out(out, shape, dtype)
        for k in range(given):
            x = arrays[k]
            if x.ndim == 0 or x.size == 1:
                x = contiguous(x, x.shape, dtype)
                strides[k] = 0
            else:
                x = contiguous(x, shape, dtype)
                strides[k] = 1
            arrays[k] = x
            data[k] = cnp.PyArray_DATA(<cnp.ndarray> x)
        y = np.empty(shape, dtype) if where is None else np.zeros(shape, dtype)
        runs = None if where is None else runs_of(np.broadcast_to(where, shape))
        target = cnp.PyArray_DATA(<cnp.ndarray> y)
        n = y.size
        happened.overflow = happened.underflow = happened.nan = happened.inexact = 0
        words.seed = words.stream = words.block = words.offset = 0
        words.bits = NULL
        words.bits_stride = 1
        if self.plan.word_bits == 0 or n == 0:
            status = self.run(&words, n, runs, data, strides, target, single, &happened, &index)
        else:
            with stream.lock:  # held throughout: a call that raises leaves the stream where it was
                words.seed = stream.c.seed
                words.stream = stream.c.stream
                words.block = sr_stream_position(&stream.c)
                status = self.run(&words, n, runs, data, strides, target, single, &happened, &index)
                if status == SR_OK:
                    sr_stream_seek(&stream.c, words.block + sr_call_blocks(&self.plan, n), 0)
        if status != SR_OK:
            self.fail(status, index, arrays, shape)
        counts.merge(&happened)
        if out is None:
            return y[()] if y.ndim == 0 else y
        if where is not None and np.may_share_memory(out, where):
            where = where.copy()
        np.copyto(out, y, where=True if where is None else where)
        return out

    cdef object at_once(self, tuple operands, Philox stream, Counts counts):
        """The result, where operands are native contiguous arrays of one type and shape; else None."""
        cdef sr_words words
        cdef sr_counts happened
        cdef sr_status status
        cdef uint64_t index = 0
        cdef size_t n
        cdef int k, kind = 0
        cdef const void *data[4]
        cdef ptrdiff_t strides[4]
        cdef cnp.ndarray x, first = None, y
        for k in range(self.values):
            if type(operands[k]) is not np.ndarray:
                return None
            x = operands[k]
            if k == 0:
                first = x
                kind = cnp.PyArray_TYPE(x)
                if kind != cnp.NPY_FLOAT32 and kind != cnp.NPY_FLOAT64:
                    return None
                if kind == cnp.NPY_FLOAT32 and not self.plan.fits_f32:
                    return None
            elif cnp.PyArray_TYPE(x) != kind or not cnp.PyArray_SAMESHAPE(x, first):
                return None
            if cnp.PyArray_NDIM(x) == 0 or not cnp.PyArray_ISCARRAY_RO(x):
                return None
            data[k] = cnp.PyArray_DATA(x)
            strides[k] = 1
        y = cnp.PyArray_EMPTY(cnp.PyArray_NDIM(first), cnp.PyArray_DIMS(first), kind, 0)
        n = cnp.PyArray_SIZE(y)
        happened.overflow = happened.underflow = happened.nan = happened.inexact = 0
        words.seed = words.stream = words.block = words.offset = 0
        words.bits = NULL
        words.bits_stride = 1
        if self.plan.word_bits == 0 or n == 0:
            status = self.run(&words, n, None, data, strides, cnp.PyArray_DATA(y), kind == cnp.NPY_FLOAT32, &happened,
                              &index)
        else:
            with stream.lock:
                words.seed = stream.c.seed
                words.stream = stream.c.stream
                words.block = sr_stream_position(&stream.c)
                status = self.run(&words, n, None, data, strides, cnp.PyArray_DATA(y), kind == cnp.NPY_FLOAT32,
                                  &happened, &index)
                if status == SR_OK:
                    sr_stream_seek(&stream.c, words.block + sr_call_blocks(&self.plan, n), 0)
        if status != SR_OK:
            self.fail(status, index, list(operands), (<object> first).shape)
        if happened.inexact or happened.overflow or happened.nan:
            counts.merge(&happened)
        return y

    cdef sr_status run(self, sr_words *words, size_t n, runs, const void **data, const ptrdiff_t *strides, void *y,
                       bint single, sr_counts *counts, uint64_t *index) except *:
        """All elements, or those of `runs`, which keep their places."""
        cdef sr_status status = SR_OK
        cdef const void *part[4]
        cdef size_t start, end
        cdef int k, size = 4 if single else 8
        if runs is None:
            if n < _WITHOUT_GIL_FROM:
                return self.run_alone(words, n, data, strides, y, single, counts, index)
            with nogil:
                status = self.run_alone(words, n, data, strides, y, single, counts, index)
            return status
        for start, end in runs:
            for k in range(self.values + self.signed):
                part[k] = <const char *> data[k] + start * <size_t> strides[k] * size
            words.offset = start
            status = self.run_alone(words, end - start, part, strides, <char *> y + start * size, single, counts, index)
            if status != SR_OK:
                break
        return status

    cdef sr_status run_alone(self, const sr_words *words, size_t n, const void **data, const ptrdiff_t *strides,
                             void *y, bint single, sr_counts *counts, uint64_t *index) noexcept nogil:
        if single:
            return sr_arith_f32(&self.plan, self.op, words, n, <const float *const *> data, strides, <float *> y, 1,
                                counts, index)
        return sr_arith_f64(&self.plan, self.op, words, n, <const double *const *> data, strides, <double *> y, 1,
                            counts, index)

    cdef int fail(self, sr_status status, uint64_t index, list arrays, tuple shape) except -1:
        values = [float(np.broadcast_to(x, shape).flat[int(index)]) for x in arrays]
        if status == SR_ERR_DIRECTION_NAN:
            raise ValueError(f"index {index}: direction={values[self.values]!r}")
        if status == SR_ERR_OVERFLOW:
            named = ", ".join(f"{name}={value!r}" for name, value in zip(_NAMES, values[:self.values]))
            raise OverflowError(f"index {index}: {self.name} of {named} is beyond the range of {self.fmt} "
                                f"(overflow={self.overflow!r})")
        raise ValueError((<bytes> sr_strerror(status)).decode())
