"""Steps of gradient descent on one run or many, every run on a stream of its own."""

import numpy as np

cimport numpy as cnp
from libc.stddef cimport ptrdiff_t, size_t
from libc.stdint cimport uint64_t

from pysr._core.formats cimport Format, integer
from pysr._core.rounding cimport fill_plan
from pysr._core.srcore cimport (
    SR_CARRIER_F32, SR_CARRIER_F64, SR_ERR_DIRECTION_NAN, SR_ERR_OVERFLOW, SR_OK, sr_arith_f32,
    sr_arith_f64, sr_call_blocks, sr_carrier, sr_counts, sr_descend_diagonal_f32, sr_descend_diagonal_f64,
    sr_descend_f32, sr_descend_f64, sr_descent, sr_descent_counts, sr_descent_failure, sr_op, sr_plan, sr_plan_prepare,
    sr_prepared, sr_status, sr_strerror, sr_words,
)
from pysr._core.threads cimport default_threads, run_pieces

from pysr._core.formats import arithmetic_format as to_format
from pysr._core.rounding import decode, encode

cnp.import_array()

ROUNDINGS = ("gradient", "product", "update")

# As many operands, by the number of their operation.
_OPERATIONS = {"round": (0, 1), "add": (1, 2), "sub": (2, 2), "mul": (3, 2), "fma": (6, 3)}
_FLOAT32 = np.dtype(np.float32)
_FLOAT64 = np.dtype(np.float64)
cdef size_t _WITHOUT_GIL_FROM = 512
# Coordinates that a thread takes at a time: whole blocks of the keystream.
cdef size_t _PIECE = 2 ** 14


cdef class Rounder:
    """
    A format and a way of rounding to it, made ready for many short calls.

    Parameters
    ----------
    fmt : str, dtype or format
        What `pysr.format` takes, but no grid.
    mode, eps, random_bits, variant, overflow : optional
        As in `pysr.round`.
    """

    cdef sr_plan plan
    cdef sr_prepared kept
    cdef readonly Format fmt
    cdef readonly str mode
    cdef readonly str overflow
    cdef tuple given

    def __init__(self, fmt, mode="sr", eps=0.0, random_bits="exact", variant="a", overflow=None):
        self.fmt = to_format(fmt)
        fill_plan(&self.plan, self.fmt, mode, eps, random_bits, variant, overflow)
        sr_plan_prepare(&self.plan, &self.kept)
        self.mode = mode
        self.overflow = self.fmt.overflow if overflow is None else overflow
        self.given = (self.fmt, mode, eps, random_bits, variant, overflow)

    @property
    def word_bits(self):
        """Bits of the keystream for each rounding: 0 where nothing is drawn."""
        return self.plan.word_bits

    def __repr__(self):
        names = ("mode", "eps", "random_bits", "variant", "overflow")
        given = ", ".join(f"{name}={value!r}" for name, value in zip(names, self.given[1:]))
        return f"Rounder({self.fmt!r}, {given})"

    def __reduce__(self):
        return Rounder, self.given


cdef struct Job:
    sr_descent descent
    sr_words words
    size_t runs, n
    size_t runs_each, pieces  # runs of a piece; pieces of a run
    sr_carrier carrier, of
    char *x
    char *y
    char *g
    char *rounded
    char *spectrum
    char *minimizer
    sr_descent_counts *counts  # one a run, or one a piece


def blocks(n, *rounders):
    """Blocks of the keystream that one step of a run of n coordinates uses up; a rounder that is None draws nothing."""
    cdef uint64_t coordinates = integer(n, "n", 0, 2**63 - 1)
    return sum(int(sr_call_blocks(&(<Rounder?> rounder).plan, coordinates))
               for rounder in rounders if rounder is not None)


cdef int read_words(sr_words *words, object given, size_t runs) except -1:
    seed, stream, block = given
    words.seed = integer(seed, "seed", 0, 2**64 - 1)
    words.stream = integer(stream, "stream", 0, 2**48 - max(runs, 1))
    words.block = integer(block, "block", 0, 2**64 - 1)
    words.offset = 0
    words.bits = NULL
    words.bits_stride = 1
    return 0


cdef int check_array(object array, str name, object shape, bint written) except -1:
    """A native aligned array in C order, of a carrier's type and, unless it is None, of a shape."""
    if not isinstance(array, np.ndarray) or array.dtype not in (_FLOAT32, _FLOAT64):
        raise TypeError(f"{name} must be an array of float32 or float64, not "
                        + (str(array.dtype) if isinstance(array, np.ndarray) else repr(array)))
    if not (array.flags.c_contiguous and array.flags.aligned) or written and not array.flags.writeable:
        raise ValueError(f"{name} must be {'writeable, ' if written else ''}aligned and in C order")
    if shape is None and array.ndim != 2:
        raise ValueError(f"{name} of shape {array.shape} has not two axes, runs and coordinates")
    if shape is not None and array.shape != shape:
        raise ValueError(f"{name} of shape {array.shape} is not of shape {shape}")
    return 0


cdef int check_rounder(object rounder, str name, object dtype) except -1:
    if rounder is None:
        return 0
    if not isinstance(rounder, Rounder):
        raise TypeError(f"{name} must be a Rounder or None, not {rounder!r}")
    if dtype == _FLOAT32 and not (<Rounder> rounder).plan.fits_f32:
        raise ValueError(f"{name}: fmt={rounder.fmt}: a float32 carrier cannot hold every value of it exactly, "
                         "float64 can")
    if rounder.mode == "sr_signed" and name != "update":
        raise ValueError(f"{name}: mode 'sr_signed' needs a direction, which only the update has: the rounded gradient")
    return 0


def rounded_rows(op, operands, Rounder rounder not None, words, direction=None, out=None):
    """
    One operation on every row, rounded: row r on stream words[1] + r from block words[2] on.

    Parameters
    ----------
    op : {"round", "add", "sub", "mul", "fma"}
        The operation.
    operands : sequence
        As many as it has: arrays of shape (R, n), or numbers.
    rounder : Rounder
        How its exact results are rounded.
    words : (int, int, int)
        Seed, stream and block.
    direction : ndarray, optional
        Of shape (R, n), in mode "sr_signed".
    out : ndarray, optional
        Where to put results; it may be an operand.

    Returns
    -------
    ndarray, ndarray
        The results, in `out` or in an array of the widest operand's type, and how many overflowed in each row.
    """
    cdef sr_words where
    cdef sr_counts happened
    cdef sr_status status = SR_OK
    cdef sr_op number
    cdef uint64_t index = 0
    cdef size_t r = 0, runs, n, size
    cdef int k, values, given
    cdef const void *data[4]
    cdef const void *row[4]
    cdef ptrdiff_t strides[4]
    cdef char *to
    cdef uint64_t[::1] overflow
    if op not in _OPERATIONS:
        raise ValueError(f"op={op!r} is not one of {', '.join(map(repr, _OPERATIONS))}")
    number, values = _OPERATIONS[op]
    if len(operands) != values:
        raise ValueError(f"operands: {len(operands)} of them, where {op!r} has {values}")
    if (direction is None) == (rounder.mode == "sr_signed"):
        raise ValueError("direction=None in mode 'sr_signed', which needs it" if direction is None
                         else f"direction given in mode {rounder.mode!r}: only 'sr_signed' takes one")
    arrays = [x for x in operands if isinstance(x, np.ndarray) and x.ndim] + ([] if direction is None else [direction])
    if not arrays:
        raise ValueError("operands: none of them is an array")
    shape = arrays[0].shape
    check_array(arrays[0], "operands", None, False)
    for x in arrays:
        check_array(x, "operands", shape, False)
    given = values + (direction is not None)
    numbers = [None if isinstance(x, np.ndarray) and x.ndim else float(x) for x in operands]
    single = all(x.dtype == _FLOAT32 for x in arrays) and (out is None or getattr(out, "dtype", None) == _FLOAT32)
    dtype = _FLOAT32 if all(x.dtype == _FLOAT32 for x in arrays) else _FLOAT64
    if out is not None:
        check_array(out, "out", shape, True)
        dtype = out.dtype
    single = single and all(x is None or x != x or float(np.float32(x)) == x for x in numbers)
    check_rounder(rounder, "update", dtype)
    kept = []
    for k in range(given):
        x = direction if k == values else operands[k]
        strides[k] = 1
        if k < values and numbers[k] is not None:
            x = np.array([numbers[k]], _FLOAT32 if single else _FLOAT64)
            strides[k] = 0
        elif not single and x.dtype == _FLOAT32:  # exactly, subnormals flushed or not
            x = decode(x.view(np.uint32), "binary32", dtype=_FLOAT64)
        kept.append(x)
        data[k] = cnp.PyArray_DATA(<cnp.ndarray> x)
    y = np.empty(shape, _FLOAT32 if single else _FLOAT64)
    counts = np.zeros(shape[0], np.uint64)
    runs, n = shape
    read_words(&where, words, runs)
    overflow = counts
    size = 4 if single else 8
    to = <char *> cnp.PyArray_DATA(<cnp.ndarray> y)
    with nogil:
        while r < runs:
            happened.overflow = happened.underflow = happened.nan = happened.inexact = 0
            for k in range(given):
                row[k] = <const char *> data[k] + (r * n * size if strides[k] else 0)
            if size == 4:
                status = sr_arith_f32(&rounder.plan, number, &where, n, <const float *const *> row, strides,
                                      <float *> (to + r * n * size), 1, &happened, &index)
            else:
                status = sr_arith_f64(&rounder.plan, number, &where, n, <const double *const *> row, strides,
                                      <double *> (to + r * n * size), 1, &happened, &index)
            if status != SR_OK:
                break
            overflow[r] = happened.overflow
            where.stream += 1
            r += 1
    if status == SR_ERR_DIRECTION_NAN:
        raise ValueError(f"run {r}, coordinate {index}: direction=nan")
    if status == SR_ERR_OVERFLOW:
        raise OverflowError(f"run {r}, coordinate {index}: the result of {op!r} is beyond the range of {rounder.fmt} "
                            f"(overflow={rounder.overflow!r})")
    if status != SR_OK:
        raise ValueError((<bytes> sr_strerror(status)).decode())
    if y.dtype != dtype:
        y = encode(y, "binary32", "rne").view(np.float32)
    if out is None:
        return y, counts
    out.view(np.uint32 if dtype == _FLOAT32 else np.uint64)[...] = y.view(
        np.uint32 if dtype == _FLOAT32 else np.uint64)
    return out, counts


cdef sr_status step_piece(const void *given, int thread, size_t piece, uint64_t *index) noexcept nogil:
    """Some runs, or some coordinates of one."""
    cdef const Job *job = <const Job *> given
    cdef size_t run = piece // job.pieces, runs = 1, at = 0, n = job.n, first
    cdef size_t size = 4 if job.carrier == SR_CARRIER_F32 else 8, of = 4 if job.of == SR_CARRIER_F32 else 8
    cdef sr_words words = job.words
    cdef sr_descent_counts *counts = &job.counts[piece]
    cdef sr_descent_failure failure
    cdef sr_status status
    cdef const char *x
    cdef char *y
    cdef char *rounded
    if job.pieces > 1:
        at = piece % job.pieces * _PIECE
        n = job.n - at if job.n - at < _PIECE else _PIECE
    else:
        run = piece * job.runs_each
        runs = job.runs - run if job.runs - run < job.runs_each else job.runs_each
        counts = &job.counts[run]
    first = run * job.n + at
    x = job.x + first * size
    y = job.y + first * size
    rounded = NULL if job.rounded == NULL else job.rounded + first * size
    words.stream += run
    words.offset = at
    if job.g != NULL and size == 4:
        status = sr_descend_f32(&job.descent, &words, runs, n, <const float *> x, job.g + first * of, job.of,
                                <float *> y, <float *> rounded, counts, &failure)
    elif job.g != NULL:
        status = sr_descend_f64(&job.descent, &words, runs, n, <const double *> x, job.g + first * of, job.of,
                                <double *> y, <double *> rounded, counts, &failure)
    elif size == 4:
        status = sr_descend_diagonal_f32(&job.descent, &words, runs, n, <const float *> x, job.spectrum + at * of,
                                         job.minimizer + at * of, job.of, <float *> y, <float *> rounded, counts,
                                         &failure)
    else:
        status = sr_descend_diagonal_f64(&job.descent, &words, runs, n, <const double *> x, job.spectrum + at * of,
                                         job.minimizer + at * of, job.of, <double *> y, <double *> rounded, counts,
                                         &failure)
    if status == SR_ERR_OVERFLOW or status == SR_ERR_DIRECTION_NAN:
        index[0] = 3 * ((run + failure.run) * job.n + failure.index) + <uint64_t> failure.rounding
    return status


cdef object step(object x, dict gradient, t, rounders, words, threads, out, rounded, counts):
    """What descend and descend_diagonal do, `gradient` being arrays by name."""
    cdef Job job
    cdef sr_status status
    cdef uint64_t index = 0
    cdef int most = default_threads
    cdef size_t pieces
    cdef bint careful = False
    check_array(x, "x", None, out is None)
    dtype = x.dtype
    job.runs, job.n = x.shape
    for name, array in gradient.items():
        check_array(array, name, x.shape if name == "g" else x.shape[1:], False)
    job.descent.gradient = job.descent.product = job.descent.update = NULL
    for name, rounder in zip(ROUNDINGS, rounders):
        check_rounder(rounder, name, dtype)
        if rounder is not None:
            careful = careful or rounder.overflow in ("raise", "wrap") or rounder.mode == "sr_signed"
    if rounders[0] is not None:
        job.descent.gradient = &(<Rounder> rounders[0]).plan
    if rounders[1] is not None:
        job.descent.product = &(<Rounder> rounders[1]).plan
    if rounders[2] is not None:
        job.descent.update = &(<Rounder> rounders[2]).plan
    job.descent.step = t
    if not np.isfinite(job.descent.step):
        raise ValueError(f"t={t!r} is not finite")
    job.descent.size = job.n
    read_words(&job.words, words, job.runs)
    if threads is not None:
        most = integer(threads, "threads", 1, 2**31 - 1)
    for name, array in (("out", out), ("rounded", rounded)):
        if array is None:
            continue
        check_array(array, name, x.shape, True)
        if array.dtype != dtype:
            raise ValueError(f"{name} is of {array.dtype}, not {dtype} as x is")
        for other, operand in {"x": x, "out": out if name == "rounded" else None, **gradient}.items():
            if operand is not None and np.may_share_memory(array, operand):
                raise ValueError(f"{name} overlaps {other}")
    for name, array in gradient.items():
        same = array is x or name == "g" and array.dtype == dtype and array.ctypes.data == x.ctypes.data
        if not same and np.may_share_memory(array, x):
            raise ValueError(f"{name} overlaps x")
    if counts is not None and (not isinstance(counts, np.ndarray) or counts.dtype != np.uint64
                               or counts.shape != (x.shape[0], 5) or not counts.flags.carray):
        raise ValueError(f"counts must be a writeable array of uint64 of shape {(x.shape[0], 5)} in C order")
    if x.size == 0:
        return

    # Nothing but out is written before it is known that nothing fails.
    y = out if out is not None else np.empty_like(x) if careful else x
    result = np.empty_like(x) if careful and rounded is not None else rounded
    job.pieces = (job.n + _PIECE - 1) // _PIECE
    job.runs_each = 1 if job.pieces > 1 else max(_PIECE // job.n, 1)
    pieces = job.runs * job.pieces if job.pieces > 1 else (job.runs + job.runs_each - 1) // job.runs_each
    happened = counts
    if careful or job.pieces > 1 or counts is None:
        happened = np.zeros((job.runs * job.pieces, 5), np.uint64)
    job.x = <char *> cnp.PyArray_DATA(<cnp.ndarray> x)
    job.y = <char *> cnp.PyArray_DATA(<cnp.ndarray> y)
    job.rounded = NULL if result is None else <char *> cnp.PyArray_DATA(<cnp.ndarray> result)
    job.counts = <sr_descent_counts *> cnp.PyArray_DATA(<cnp.ndarray> happened)
    job.carrier = SR_CARRIER_F32 if dtype == _FLOAT32 else SR_CARRIER_F64
    job.of = SR_CARRIER_F32 if next(iter(gradient.values())).dtype == _FLOAT32 else SR_CARRIER_F64
    job.g = job.spectrum = job.minimizer = NULL
    if "g" in gradient:
        job.g = <char *> cnp.PyArray_DATA(<cnp.ndarray> gradient["g"])
    else:
        job.spectrum = <char *> cnp.PyArray_DATA(<cnp.ndarray> gradient["spectrum"])
        job.minimizer = <char *> cnp.PyArray_DATA(<cnp.ndarray> gradient["minimizer"])
    if job.runs * job.n < _WITHOUT_GIL_FROM:
        status = run_pieces(1, pieces, step_piece, &job, &index)
    else:
        with nogil:
            status = run_pieces(most, pieces, step_piece, &job, &index)
    if status != SR_OK:
        fail(status, index, job.n, rounders)
    if careful:
        if out is None:
            np.copyto(x.view(f"u{x.itemsize}"), y.view(f"u{x.itemsize}"))
        if rounded is not None:
            np.copyto(rounded.view(f"u{x.itemsize}"), result.view(f"u{x.itemsize}"))
    if counts is not None and happened is not counts:
        counts += happened.reshape(x.shape[0], -1, 5).sum(axis=1)


cdef int fail(sr_status status, uint64_t index, size_t n, tuple rounders) except -1:
    where = f"run {index // 3 // n}, coordinate {index // 3 % n}"
    if status == SR_ERR_DIRECTION_NAN:
        raise ValueError(f"{where}: the rounded gradient is NaN, and mode 'sr_signed' of the update has no direction")
    if status == SR_ERR_OVERFLOW:
        name, rounder = ROUNDINGS[index % 3], rounders[index % 3]
        raise OverflowError(f"{where}: the {name} is beyond the range of {rounder.fmt} (overflow={rounder.overflow!r})")
    raise ValueError((<bytes> sr_strerror(status)).decode())


def descend(x, g, t, gradient, product, update, words, *, threads=None, out=None, rounded=None, counts=None):
    """
    Make x one step of gradient descent: update(x - product(t gradient(g))), every run on its own stream.

    Parameters
    ----------
    x : ndarray
        Of shape (R, n), float32 or float64: R runs.
    g : ndarray
        The gradients, of the same shape, float32 or float64; it may be x itself.
    t : float
        The step size.
    gradient, product, update : Rounder or None
        How each is rounded. None: to nearest in the format of x's type, drawing and counting nothing.
        Mode "sr_signed" goes with the update alone, whose direction is the rounded gradient.
    words : (int, int, int)
        Seed, stream and block: run r draws from stream + r, from that block on, first for the gradient, then for the
        product, then for the update, each from a whole block on: ``blocks(n, gradient, product, update)`` in all.
    threads : int, optional
        At most so many; results are the same.
    out : ndarray, optional
        Like x: receives the new x, which stays as it was.
    rounded : ndarray, optional
        Like x: receives the rounded gradients.
    counts : ndarray, optional
        uint64 of shape (R, 5), added to: overflows of gradient, product and update; coordinates that stagnated, keeping
        their value although the gradient was not zero; coordinates that moved.

    Raises
    ------
    OverflowError
        If a result is beyond the range under overflow="raise", or infinite under "wrap": x is as it was.
    ValueError
        If arguments do not go together, or a rounded gradient is NaN where the update's mode is "sr_signed".
    TypeError
        If an array is not of float32 or float64.
    """
    step(x, {"g": g}, t, (gradient, product, update), words, threads, out, rounded, counts)


def descend_diagonal(x, spectrum, minimizer, t, gradient, product, update, words, *, threads=None, out=None,
                     rounded=None, counts=None):
    """
    The same with the gradient of sum_i spectrum_i (x_i - minimizer_i)^2 / 2, evaluated in float64 for every run.

    Parameters
    ----------
    x : ndarray
        As in `descend`.
    spectrum, minimizer : ndarray
        Of shape (n,), both float32 or both float64: g = spectrum (x - minimizer), the difference and the product each
        rounded to nearest in float64.
    t, gradient, product, update, words, threads, out, rounded, counts
        As in `descend`.
    """
    if isinstance(spectrum, np.ndarray) and isinstance(minimizer, np.ndarray) and spectrum.dtype != minimizer.dtype:
        raise ValueError(f"spectrum is of {spectrum.dtype}, minimizer of {minimizer.dtype}")
    step(x, {"spectrum": spectrum, "minimizer": minimizer}, t, (gradient, product, update), words, threads, out,
         rounded, counts)
