"""Rounding, encoding and decoding arrays: arguments are checked and brought into the C library's shape here."""

import secrets

import numpy as np

cimport numpy as cnp
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.stddef cimport ptrdiff_t, size_t
from libc.stdint cimport uint64_t
from numpy.random cimport BitGenerator

from pysr._core.formats cimport Format, as_format, integer, overflow_rule
from pysr._core.paths cimport kernels
from pysr._core.philox cimport Philox
from pysr._core.srcore cimport (
    SR_CARRIER_F32, SR_CARRIER_F64, SR_ERR_BITS, SR_ERR_CODE, SR_ERR_DIRECTION_NAN, SR_ERR_NO_CODE, SR_ERR_OVERFLOW,
    SR_ERR_OVERFLOW_RULE, SR_EXACT, SR_GRID, SR_NAN, SR_OK, SR_OVERFLOW_RAISE, SR_OVERFLOW_WRAP,
    sr_call_blocks, sr_carrier, sr_decode_f32, sr_decode_f64, sr_format_fits, sr_mode, sr_plan, sr_plan_init,
    sr_plan_prepare, sr_prepared, sr_rounding, sr_status, sr_strerror, sr_stream_position, sr_stream_seek, sr_variant,
    sr_words,
)
from pysr._core.threads cimport default_threads, run_pieces

from pysr._core.threads import MOST_THREADS as _MOST_THREADS
from pysr._interop import from_dlpack

cdef extern from "walk.h" nogil:
    const int WALK_PIECE
    const int WALK_TILE
    const int WALK_ROWS

    ctypedef struct walk_operand:
        char *data
        ptrdiff_t *strides

    ctypedef struct walk_call:
        sr_plan plan
        sr_words words
        sr_carrier carrier
        int codes
        int has_direction
        size_t value_bytes
        size_t result_bytes
        int flat
        size_t n
        int axes
        size_t *shape
        walk_operand x
        walk_operand direction
        walk_operand y
        size_t piece_rows
        char *rooms
        size_t tile

    size_t WALK_ROOM(size_t)
    void walk_merge(walk_call *)
    size_t walk_pieces(const walk_call *)
    sr_status walk_check_piece(const void *, int, size_t, uint64_t *)
    sr_status walk_piece(const void *, int, size_t, uint64_t *)

cnp.import_array()

Rng = int | np.integer | np.random.SeedSequence | np.random.Generator | np.random.BitGenerator | None

# In the order of sr_mode.
MODES = ("rne", "rna", "rnz", "rz", "ra", "ru", "rd", "ro", "sr", "sr_equal", "sr_eps", "sr_signed")

_MODE_NUMBERS = {mode: number for number, mode in enumerate(MODES)}

_FLOAT32 = np.dtype(np.float32)
_FLOAT64 = np.dtype(np.float64)
_MAX64 = 2**64 - 1


# ---- arguments --------------------------------------------------------------------------------------------------


cdef int fill_plan(sr_plan *plan, Format fmt, mode, eps, random_bits, variant, overflow) except -1:
    cdef sr_rounding rounding
    cdef sr_status status
    if not isinstance(mode, str):
        raise TypeError(f"mode must be a string, not {mode!r}")
    number = _MODE_NUMBERS.get(mode)
    if number is None:
        raise ValueError(f"mode={mode!r} is not one of {', '.join(map(repr, MODES))}")
    rounding.mode = <sr_mode> <int> number
    if isinstance(random_bits, str):
        if random_bits != "exact":
            raise ValueError(f"random_bits={random_bits!r} is neither 'exact' nor an integer in [1, 64]")
        rounding.random_bits = SR_EXACT
    else:
        rounding.random_bits = integer(random_bits, "random_bits", 1, 64)
    if not isinstance(variant, str):
        raise TypeError(f"variant must be a string, not {variant!r}")
    if variant not in ("a", "b", "c"):
        raise ValueError(f"variant={variant!r} is not one of 'a', 'b', 'c'")
    rounding.variant = <sr_variant> <int> "abc".index(variant)
    if isinstance(eps, (str, bytes)):
        raise TypeError(f"eps must be a number, not {eps!r}")
    try:
        rounding.eps = eps if type(eps) is float else float(eps)
    except (TypeError, ValueError):
        raise TypeError(f"eps must be a number, not {eps!r}") from None
    except OverflowError:
        raise ValueError(f"eps={eps!r} is outside [0, 1]") from None
    if not 0 <= rounding.eps <= 1:
        raise ValueError(f"eps={eps!r} is outside [0, 1]")
    rounding.overflow = overflow_rule(overflow)
    status = sr_plan_init(plan, &fmt.c, &rounding)
    if status == SR_ERR_OVERFLOW_RULE:
        raise ValueError(f"overflow={overflow!r} is a rule that {fmt} cannot carry out")
    if status != SR_OK:
        raise ValueError(sr_strerror(status).decode())
    plan.kernels = kernels
    return 0


cdef int check_carrier(Format fmt, sr_carrier carrier) except -1:
    if sr_format_fits(&fmt.c, carrier) != SR_OK:
        raise ValueError(f"fmt={fmt}: a float32 carrier cannot hold every value of it exactly, float64 can")
    return 0


cdef object exact_float64(object array, str name):
    """An array of Python numbers, integers or bools as float64; an error where that is not exact."""
    kind = array.dtype.kind
    if kind == "b":
        return array.astype(np.float64)
    if kind in "iu":
        result = array.astype(np.float64)
        if array.dtype.itemsize == 8:
            large = (array > 2**53) | (array < -(2**53)) if kind == "i" else array > 2**53
            for value in array[large].flat:
                if int(float(value)) != int(value):
                    raise ValueError(f"{name}={int(value)} is not exact in float64")
        return result
    result = np.empty(array.shape, np.float64)
    for index, value in np.ndenumerate(array):
        if isinstance(value, (bool, int, float, np.bool_, np.integer, np.float16, np.float32, np.float64)):
            try:
                if isinstance(value, np.float32) and value == value:  # exactly, subnormals flushed or not
                    value = decode(value.view(np.uint32), "binary32", dtype=_FLOAT64)
                result[index] = value
            except OverflowError:
                raise ValueError(f"{name}={value!r} is not exact in float64") from None
            if isinstance(value, (int, np.integer)) and int(result[index]) != int(value):
                raise ValueError(f"{name}={value!r} is not exact in float64")
        else:
            raise TypeError(f"{name} must hold real numbers, not {value!r}")
    return result


cdef bint has_integers(object array, object x) except -1:
    """Does a sequence that NumPy made floats of hold integers that may not be exact?"""
    if array.size == 0 or not (abs(array) >= 2.0**53).any():
        return False
    return any(isinstance(value, (int, np.integer)) for value in np.asarray(x, object).flat)


cdef bint all_integers(object array) except -1:
    return all(isinstance(value, (int, np.integer)) and not isinstance(value, bool) for value in array.flat)


cdef object integers(object values, str name):
    """`values` as an array, of integers where they are: NumPy makes floats of a list with some above 2**63."""
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array: pass {name}.filled(...), or its data")
    array = np.asarray(values)
    if array.size == 0 and array.dtype == _FLOAT64:
        return array.astype(np.int64)
    if array.dtype.kind == "O" or isinstance(values, (list, tuple)) and array.dtype == _FLOAT64:
        exact = np.asarray(values, object)
        return exact if all_integers(exact) else array
    return array


cdef object as_carrier(object x, str name):
    """`x` as an array of float32 or float64 of either byte order, copied only where its type has to change."""
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array: pass {name}.filled(...), or its data and where=~{name}.mask")
    if not isinstance(x, (cnp.ndarray, float, list)) and hasattr(x, "__dlpack__"):
        x = from_dlpack(x, name)
    try:
        array = np.asarray(x)
        if isinstance(x, (list, tuple)) and array.dtype == _FLOAT64 and has_integers(array, x):
            array = np.asarray(x, object)  # NumPy has rounded integers beside floats
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    dtype = array.dtype
    if dtype.kind == "f" and dtype.itemsize in (4, 8) and dtype.char != "g":
        return array
    if dtype.kind == "f" and dtype.itemsize == 2 or dtype.type.__module__ == "ml_dtypes":
        return array.astype(np.float32)
    if dtype.kind in "biuO":
        return exact_float64(array, name)
    raise TypeError(f"{name} must hold real numbers of at most 64 bits, not {dtype}")


def carriers(**operands):
    """Operands as arrays of one carrier, native and aligned, by their names: float32 if all are, else float64."""
    arrays = [as_carrier(x, name) for name, x in operands.items()]
    dtype = _FLOAT32 if all(x.dtype.itemsize == 4 for x in arrays) else _FLOAT64
    return [x if walkable(x, dtype) else widened(x, dtype) for x in arrays]


cdef object widened(object x, object dtype):
    """A native copy; by the library, which no caller can make flush subnormals."""
    x = np.require(x, x.dtype.newbyteorder("="), "A")
    if x.dtype == dtype:
        return x
    return decode(np.ascontiguousarray(x).view(np.uint32).reshape(x.shape), "binary32", dtype=dtype)


cdef object signs(object array, object dtype):
    """
    Signs in another carrier: -1, 0, 1, or NaN. By bit patterns: a conversion may flush subnormals, where a caller has
    set the processor to do so.
    """
    bits = contiguous(array, array.shape, array.dtype.newbyteorder("=")).view(f"u{array.dtype.itemsize}")
    magnitude = bits & bits.dtype.type(2**(8 * bits.dtype.itemsize - 1) - 1)
    infinity = np.array(np.inf, f"f{bits.dtype.itemsize}").view(bits.dtype)
    result = np.where(bits == magnitude, dtype.type(1), dtype.type(-1))
    result[magnitude == 0] = 0
    result[magnitude > infinity] = np.nan
    return result


cdef object random_source(object rng):
    """What `rng` says: an int, a Philox, or a Generator that yields a seed for each call; checked."""
    if isinstance(rng, Philox):
        return rng
    if isinstance(rng, np.random.Generator):
        return rng.bit_generator if isinstance(rng.bit_generator, Philox) else rng
    if isinstance(rng, BitGenerator):
        return np.random.Generator(rng)
    if rng is None:
        return secrets.randbits(64)
    if isinstance(rng, np.random.SeedSequence):
        return int(rng.generate_state(1, np.uint64)[0])
    try:
        return integer(rng, "rng", 0, _MAX64)
    except TypeError:
        raise TypeError("rng must be None, an int, a SeedSequence, a numpy.random.Generator or BitGenerator, "
                        f"or a pysr.Philox, not {rng!r}") from None


cdef object contiguous(object array, tuple shape, object dtype):
    """`array` broadcast to `shape`, native, aligned and in C order; itself where it is that already."""
    return np.require(np.broadcast_to(array, shape), dtype, ("C", "A"))


cpdef object as_flags(object x, str name):
    """`x` as an array of bools."""
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array: pass {name}.filled(False), or its data")
    array = np.asarray(x)
    if array.dtype != np.bool_:
        raise TypeError(f"{name} must hold bools, not {array.dtype}")
    return array


def broadcast_shapes(*shapes):
    """As NumPy's, which has a limit of 32 axes where its arrays have 64."""
    axes = max(map(len, shapes))
    result = [1] * axes
    for shape in shapes:
        for axis, length in enumerate(shape, axes - len(shape)):
            if length != 1:
                if result[axis] not in (1, length):
                    raise ValueError(f"shapes do not broadcast: {', '.join(map(str, shapes))}")
                result[axis] = length
    return tuple(result)


cdef tuple common_shape(dict operands):
    """What arrays broadcast to, or an error that names them."""
    try:
        return broadcast_shapes(*(x.shape for x in operands.values()))
    except ValueError:
        named = ", ".join(f"{name} {x.shape}" for name, x in operands.items())
        raise ValueError(f"shapes do not broadcast: {named}") from None


cpdef object check_out(object out, tuple shape, object dtype):
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be an array, not {type(out).__name__}")
    if out.dtype.newbyteorder("=") != dtype:
        raise TypeError(f"out has dtype {out.dtype}, the result {dtype}")
    if out.shape != shape:
        raise ValueError(f"out has shape {out.shape}, the result {shape}")
    if not out.flags.writeable:
        raise ValueError("out is read-only")
    if repeats(out):
        raise ValueError(f"elements of out overlap: it has shape {out.shape} and strides {out.strides}")
    return out


cdef bint same_array(object a, object b):
    return (a.ctypes.data == b.ctypes.data and a.strides == b.strides and a.shape == b.shape and a.dtype == b.dtype)


cdef bint walkable(object array, object dtype):
    """Native and aligned: whatever its strides, the library can be led over it."""
    return array.dtype == dtype and array.dtype.isnative and array.flags.aligned


cdef bint direct(object out, object dtype, object x, list others):
    """Can the library write into `out` itself? It may be `x`, and must not overlap an operand otherwise."""
    if not walkable(out, dtype) or 0 in out.strides:
        return False
    if np.may_share_memory(out, x) and not same_array(out, x):
        return False
    return not any(np.may_share_memory(out, other) for other in others)


cdef int refuse_nan(sr_status status, Format fmt, object rule, object offset, object x, object direction,
                    object array) except -1:
    """Raise what `status` says of the first NaN."""
    nan = np.isnan(array)
    if nan.any():
        fail(status, fmt, rule, offset + int(nan.argmax()), offset, x, direction, None, 0)
    return 0


cdef object finished(object target, object out):
    """What a call returns: `out`, or a scalar in place of an array without dimensions."""
    return target[()] if out is None and target.ndim == 0 else target


# ---- one call ---------------------------------------------------------------------------------------------------

# Calls of fewer elements run on one thread: by default, and where the caller asks for more.
cdef size_t _THREADS_FROM = 2**20
cdef size_t _ASKED_THREADS_FROM = 2**17


cdef void set_flat(walk_call *call, size_t n, const void *x, void *y) noexcept:
    call.flat = 1
    call.n = n
    call.has_direction = 0
    call.x.data = <char *> x
    call.y.data = <char *> y


cdef bint is_flat(cnp.ndarray array) noexcept:
    return cnp.PyArray_CHKFLAGS(array, cnp.NPY_ARRAY_C_CONTIGUOUS)


cdef int set_operands(walk_call *call, cnp.ndarray x, cnp.ndarray direction, cnp.ndarray y) except -1:
    """All of the result's shape, native and aligned; strides of any kind."""
    cdef int axis
    set_flat(call, cnp.PyArray_SIZE(y), cnp.PyArray_DATA(x), cnp.PyArray_DATA(y))
    call.has_direction = direction is not None
    if direction is not None:
        call.direction.data = <char *> cnp.PyArray_DATA(direction)
    call.flat = is_flat(x) and is_flat(y) and (direction is None or is_flat(direction))
    if call.flat:
        return 0
    call.axes = cnp.PyArray_NDIM(y)
    for axis in range(call.axes):
        call.shape[axis] = cnp.PyArray_DIM(y, axis)
        call.x.strides[axis] = cnp.PyArray_STRIDE(x, axis)
        call.y.strides[axis] = cnp.PyArray_STRIDE(y, axis)
        call.direction.strides[axis] = 0 if direction is None else cnp.PyArray_STRIDE(direction, axis)
    walk_merge(call)
    return 0


cdef bint may_refuse(const walk_call *call) noexcept nogil:
    return (call.plan.overflow == SR_OVERFLOW_RAISE or call.plan.overflow == SR_OVERFLOW_WRAP
            or (call.codes and not call.plan.format.flags & SR_NAN) or call.has_direction)


cdef sr_status in_pieces(walk_call *call, int threads, uint64_t *index) noexcept nogil:
    cdef sr_status status = SR_OK
    # A flat piece alone checks itself; elsewhere all is checked before anything is written.
    if may_refuse(call) and not (call.flat and walk_pieces(call) == 1):
        status = run_pieces(threads, walk_pieces(call), walk_check_piece, call, index)
    if status == SR_OK:
        status = run_pieces(threads, walk_pieces(call), walk_piece, call, index)
    return status


cdef sr_status execute(walk_call *call, object asked_threads, uint64_t *index) except *:
    """Run a call whose plan, words and operands are set."""
    cdef sr_status status
    cdef int threads = default_threads
    cdef size_t n = call.n
    cdef size_t inner
    cdef sr_prepared prepared
    if n == 0:
        return SR_OK
    if asked_threads is not None:
        threads = asked_threads
    if n < (_THREADS_FROM if asked_threads is None else _ASKED_THREADS_FROM):
        threads = 1
    call.rooms = NULL
    if call.flat:
        call.piece_rows = n if threads == 1 else WALK_PIECE
        if n < 1024:
            return walk_piece(call, 0, 0, index)
    else:
        sr_plan_prepare(&call.plan, &prepared)
        inner = n // call.shape[0]
        call.piece_rows = call.shape[0] if threads == 1 else ((WALK_PIECE // inner) // WALK_ROWS + 1) * WALK_ROWS
        call.tile = min(<size_t> WALK_TILE, 16 * n + 1024)
        call.rooms = <char *> PyMem_RawMalloc(threads * WALK_ROOM(call.tile))
        if call.rooms is NULL:
            raise MemoryError
    with nogil:
        status = in_pieces(call, threads, index)
    PyMem_RawFree(call.rooms)
    call.plan.prepared = NULL
    return status


cdef sr_status execute_on(walk_call *call, object source, object threads, uint64_t *index) except *:
    """The same, with words from a stream, which moves on, or from a seed."""
    cdef Philox stream
    cdef sr_status status
    if not isinstance(source, Philox) or call.plan.word_bits == 0 or call.n == 0 or call.words.bits is not NULL:
        return execute(call, threads, index)
    stream = source
    with stream.lock:  # held throughout: a call that raises leaves the stream where it was
        call.words.seed = stream.c.seed
        call.words.stream = stream.c.stream
        call.words.block = sr_stream_position(&stream.c)
        status = execute(call, threads, index)
        if status == SR_OK:
            sr_stream_seek(&stream.c, call.words.block + sr_call_blocks(&call.plan, call.n), 0)
    return status


cdef int fail(sr_status status, Format fmt, object rule, object index, object offset, object x, object direction,
              object bits, int random_bits) except -1:
    """Raise what a status says, naming the element and its value."""
    at = int(index) - int(offset)
    if status == SR_ERR_OVERFLOW:
        raise OverflowError(f"index {index}: x={float(x.flat[at])!r} is beyond the range of {fmt} "
                            f"(overflow={rule!r})")
    if status == SR_ERR_NO_CODE and fmt.c.precision == SR_GRID:
        raise ValueError(f"index {index}: x={float(x.flat[at])!r} has no code in {fmt}: codes are finite, below 2**63")
    if status == SR_ERR_NO_CODE:
        raise ValueError(f"index {index}: x={float(x.flat[at])!r} becomes NaN, for which {fmt} has no code")
    if status == SR_ERR_DIRECTION_NAN:
        raise ValueError(f"index {index}: direction={float(direction.flat[at])!r}")
    if status == SR_ERR_BITS:
        raise ValueError(f"index {index}: bits={int(bits.flat[at])} does not fit in {random_bits} bits")
    raise ValueError((<bytes> sr_strerror(status)).decode())


cdef object caller_bits(object bits, const sr_plan *plan, str mode, object where):
    """The caller's words, checked, in the integer that the C library reads."""
    if plan.word_bits == 0:
        raise ValueError(f"bits given in mode {mode!r}, which takes none")
    if plan.random_bits == SR_EXACT:
        raise ValueError("bits given with random_bits='exact': say how many bits they have, random_bits=1..64")
    array = integers(bits, "bits")
    if where is not None:
        array = np.where(where, array, array.dtype.type(0))
    if array.dtype.kind == "O" and all_integers(array):
        for value in array.flat:
            integer(value, "bits", 0, _MAX64)
        array = array.astype(np.uint64)
    if array.dtype.kind not in "iu":
        raise TypeError(f"bits must hold integers, not {array.dtype}")
    top = 2**plan.random_bits - 1
    if array.size and (int(array.min()) < 0 or int(array.max()) > top):
        bad = next(int(value) for value in array.flat if not 0 <= int(value) <= top)
        raise ValueError(f"bits={bad} does not fit in {plan.random_bits} bits")
    return array.astype(f"u{plan.word_bits // 8}")


cdef void extent(cnp.ndarray array, char **low, char **high) noexcept:
    """The memory from the first byte of an array that is not empty to behind its last."""
    cdef int axis
    cdef ptrdiff_t reach
    low[0] = <char *> cnp.PyArray_DATA(array)
    high[0] = low[0] + cnp.PyArray_ITEMSIZE(array)
    for axis in range(cnp.PyArray_NDIM(array)):
        reach = (cnp.PyArray_DIM(array, axis) - 1) * cnp.PyArray_STRIDE(array, axis)
        if reach < 0:
            low[0] += reach
        else:
            high[0] += reach


cdef bint same_strides(cnp.ndarray x, cnp.ndarray y) noexcept:
    cdef int axis
    for axis in range(cnp.PyArray_NDIM(x)):
        if cnp.PyArray_DIM(x, axis) > 1 and cnp.PyArray_STRIDE(x, axis) != cnp.PyArray_STRIDE(y, axis):
            return False
    return True


cdef bint repeats(cnp.ndarray y) noexcept:
    """Does an element stand for several?"""
    cdef int axis
    for axis in range(cnp.PyArray_NDIM(y)):
        if cnp.PyArray_DIM(y, axis) > 1 and cnp.PyArray_STRIDE(y, axis) == 0:
            return cnp.PyArray_SIZE(y) != 0
    return False


cdef bint set_direct(walk_call *call, cnp.ndarray x, object out, object result_dtype) except -1:
    """Set the operands of a call from one native array to another; False where it is not so simple."""
    cdef cnp.ndarray y
    cdef char *x_low
    cdef char *x_high
    cdef char *y_low
    cdef char *y_high
    if type(out) is not np.ndarray:
        return False
    y = out
    if not cnp.PyArray_ISBEHAVED_RO(x) or not cnp.PyArray_ISBEHAVED(y) or not cnp.PyArray_SAMESHAPE(x, y):
        return False
    if y.dtype is not result_dtype or repeats(y):
        return False
    if cnp.PyArray_SIZE(y) and not (cnp.PyArray_DATA(x) == cnp.PyArray_DATA(y) and not call.codes
                                    and same_strides(x, y)):
        extent(x, &x_low, &x_high)
        extent(y, &y_low, &y_high)
        if x_low < y_high and y_low < x_high:
            return False
    set_operands(call, x, None, y)
    return True


cdef int set_carrier(walk_call *call, Format fmt, object dtype) except -1:
    call.carrier = SR_CARRIER_F32 if dtype == _FLOAT32 else SR_CARRIER_F64
    check_carrier(fmt, call.carrier)
    return 0


cdef object run(bint codes, object x, object fmt_, object mode, object rng, object eps, object direction,
                object random_bits, object variant, object bits, object overflow, object offset, object out,
                object where, object threads):
    cdef Format fmt = as_format(fmt_)
    cdef walk_call call
    cdef sr_status status
    cdef uint64_t index = 0

    fill_plan(&call.plan, fmt, mode, eps, random_bits, variant, overflow)
    if type(offset) is not int or offset != 0:
        offset = integer(offset, "offset", 0, _MAX64)
    if threads is not None:
        threads = min(integer(threads, "threads", 1, 2**31 - 1), _MOST_THREADS)
    # No seed is asked of the system where nothing is drawn.
    source = rng if type(rng) is Philox or (rng is None and call.plan.word_bits == 0) else random_source(rng)
    if offset != 0 and isinstance(source, Philox):
        raise ValueError(f"offset={offset} with a stateful stream: it counts from the start of an integer seed's call")
    call.codes = codes
    call.words.seed = call.words.stream = call.words.block = 0
    call.words.offset = offset
    call.words.bits = NULL
    call.words.bits_stride = 1
    call.value_bytes = 0

    # The usual call, soon done: native arrays, and no other operand.
    if type(x) is np.ndarray and direction is None and where is None and bits is None and mode != "sr_signed":
        dtype = (<cnp.ndarray> x).dtype
        if dtype is _FLOAT32 and call.plan.fits_f32:
            call.carrier = SR_CARRIER_F32
            call.value_bytes = 4
        elif dtype is _FLOAT64:
            call.carrier = SR_CARRIER_F64
            call.value_bytes = 8
        if call.value_bytes and not (call.plan.word_bits and isinstance(source, np.random.Generator)):
            result_dtype = fmt.code_dtype if codes else dtype
            call.result_bytes = result_dtype.itemsize if codes else call.value_bytes
            target = out
            if out is None and (<cnp.ndarray> x).ndim and cnp.PyArray_ISCARRAY_RO(x):
                target = cnp.PyArray_EMPTY((<cnp.ndarray> x).ndim, (<cnp.ndarray> x).shape, result_dtype.num, 0)
            if target is not None and set_direct(&call, x, target, result_dtype):
                if offset and call.n and offset + int(call.n) - 1 > _MAX64:
                    raise ValueError(f"offset={offset} with {call.n} elements: indices must stay below 2**64")
                if call.plan.word_bits and not isinstance(source, Philox):
                    call.words.seed = source
                status = execute_on(&call, source, threads, &index)
                if status != SR_OK:
                    fail(status, fmt, fmt.overflow if overflow is None else overflow, index, offset, x, None, None,
                         call.plan.random_bits)
                return target
    return run_any(&call, fmt, codes, x, mode, source, direction, bits, overflow, offset, out, where, threads)


cdef object run_any(walk_call *call, Format fmt, bint codes, object x, object mode, object source, object direction,
                    object bits, object overflow, object offset, object out, object where, object threads):
    """A call on operands of any kind and layout; its plan and its words' offset are set."""
    cdef sr_status status
    cdef uint64_t index = 0
    cdef const sr_plan *plan = &call.plan
    rule = fmt.overflow if overflow is None else overflow

    # Operands: x, and what broadcasts with it.
    x = as_carrier(x, "x")
    dtype = x.dtype.newbyteorder("=")
    set_carrier(call, fmt, dtype)
    operands = {"x": x}
    if where is not None:
        where = operands["where"] = as_flags(where, "where")
    if (direction is None) == (mode == "sr_signed"):
        raise ValueError("direction=None in mode 'sr_signed', which needs it" if direction is None
                         else f"direction given in mode {mode!r}: only 'sr_signed' takes one")
    if direction is not None:
        direction = as_carrier(direction, "direction")
        operands["direction"] = direction
    if bits is not None:
        operands["bits"] = integers(bits, "bits")
    shape = common_shape(operands)
    result_dtype = fmt.code_dtype if codes else dtype
    if out is not None:
        check_out(out, shape, result_dtype)
    if bits is not None:
        bits = contiguous(caller_bits(operands["bits"], plan, mode, where), shape, f"u{plan.word_bits // 8}")
    if where is not None:  # elsewhere, operands that every rule and every mode accepts; code 0 is one in any format
        x = np.where(where, x, decode(0, fmt, dtype=dtype))
        if direction is not None:
            direction = np.where(where, direction, direction.dtype.type(0))
    layout = np.broadcast_to(x, shape)
    x = layout if walkable(layout, dtype) else contiguous(x, shape, dtype)
    if direction is not None:
        if direction.dtype.newbyteorder("=") != dtype:
            direction = signs(direction, dtype)
        direction = np.broadcast_to(direction, shape)
        if not walkable(direction, dtype):
            direction = contiguous(direction, shape, dtype)
    n = x.size
    if n and offset + int(n) - 1 > _MAX64:
        raise ValueError(f"offset={offset} with {n} elements: indices must stay below 2**64")

    # The library writes into the result where it can, else into an array that is copied from.
    others = [operand for name, operand in operands.items() if name != "x"]
    target = out
    if out is None:
        target = (np.empty_like if where is None else np.zeros_like)(layout, dtype=result_dtype, subok=False)
    y = target
    if where is not None or (out is not None and not direct(out, result_dtype, x, others)):
        y = np.empty(shape, result_dtype)

    if bits is not None:
        call.words.bits = cnp.PyArray_DATA(bits)
    elif plan.word_bits == 0 or n == 0:
        pass
    elif isinstance(source, np.random.Generator):
        # What is wrong whatever the seed is found first: a call with bad arguments draws none.
        if direction is not None:
            refuse_nan(SR_ERR_DIRECTION_NAN, fmt, rule, offset, x, direction, direction)
        if codes and not fmt.nan:
            infinite = fmt.c.precision == SR_GRID and rule not in ("saturate", "raise")  # has no code either
            refuse_nan(SR_ERR_NO_CODE, fmt, rule, offset, x, direction,
                       np.where(np.isinf(x), np.nan, x) if infinite else x)
        call.words.seed = int(source.integers(0, 2**64, dtype=np.uint64))
    elif not isinstance(source, Philox):
        call.words.seed = source
    call.value_bytes = dtype.itemsize
    call.result_bytes = result_dtype.itemsize
    set_operands(call, x, direction, y)
    if direction is not None and not call.flat:
        refuse_nan(SR_ERR_DIRECTION_NAN, fmt, rule, offset, x, direction, direction)
    status = execute_on(call, source, threads, &index)
    if status != SR_OK:
        fail(status, fmt, rule, index, offset, x, direction, bits, plan.random_bits)

    if y is not target:
        if where is not None and np.may_share_memory(target, where):
            where = where.copy()
        np.copyto(target, y, where=True if where is None else where)
    return finished(target, out)


def round(x, fmt, mode="sr", *, rng=None, eps=0.0, direction=None, random_bits="exact", variant="a", bits=None,
          overflow=None, offset=0, out=None, where=None, threads=None):
    """
    Round to the values of a format.

    Parameters
    ----------
    x : array_like
        float32 and float64 arrays, of any strides and byte order, keep their type; float16 and ml_dtypes widen
        to float32; Python numbers, integers and bools to float64. Arrays of other libraries come by DLPack, from the
        CPU's memory; their bfloat16 and float8 widen too.
    fmt : str, dtype or format
        What `pysr.format` takes.
    mode : str
        To nearest with ties to even ("rne"), away from zero ("rna") or toward zero ("rnz"); toward zero ("rz"),
        away from zero ("ra"), up ("ru"), down ("rd"); to odd ("ro"); stochastic: with the probability of the
        distance ("sr"), with probability 1/2 ("sr_equal"), leaning away from zero by `eps` ("sr_eps"), leaning
        against the sign of `direction` by `eps` ("sr_signed").
    rng : None, int, SeedSequence, Generator, BitGenerator or Philox, optional
        Where random bits come from. An int is a seed, 0 <= rng < 2**64: the same one gives the same bits in every
        call, and so *correlated* rounding of different arrays; a `Philox`, or a Generator over one, is a stream
        that moves on; another Generator gives a seed for each call; None asks the operating system for one.
    eps : float
        0 to 1; for modes "sr_eps" and "sr_signed".
    direction : array_like, optional
        For mode "sr_signed", and needed there: only its sign counts. Broadcasts with `x`.
    random_bits : "exact" or int
        For mode "sr": as many bits as it takes (the probability is exactly the distance), or 1 to 64.
    variant : {"a", "b", "c"}
        For mode "sr" with so many `random_bits`: StochasticA, B or C of IEEE P3109.
    bits : array_like of int, optional
        Random words to use in place of the generator's, `random_bits` wide (16 bits in mode "sr_equal", 32 in
        "sr_eps" and "sr_signed"). Broadcasts with `x`.
    overflow : {"inf", "saturate", "propagate", "nan", "wrap", "raise"}, optional
        What becomes of a value beyond the range. Default: the format's own rule.
    offset : int
        With an int as `rng`: the index of the first element in a larger call, of which this one computes a piece.
    out : ndarray, optional
        Where to put the result: of its shape and type, any strides and byte order. May be `x`, or overlap it.
    where : array_like of bool, optional
        Which elements to compute. Broadcasts with `x`. The others keep their value in `out`, and are 0 without it.
    threads : int, optional
        At most so many threads; calls of fewer than 2**17 elements use one. By default one below 2**20 elements, else
        ``PYSR_NUM_THREADS``, or the processors this process may run on. Results do not depend on it.

    Returns
    -------
    ndarray or scalar
        Values of the format, in float32 or float64. A scalar where all operands are.

    Raises
    ------
    ValueError
        If an argument is out of range, a shape does not fit, or float32 `x` cannot hold the format.
    TypeError
        If an argument has the wrong type: complex or longdouble `x`, an `out` of another dtype, ...
    OverflowError
        Under "raise", naming the first element beyond the range; under "wrap", if one is infinite. Nothing is
        written, and no stream moves.

    See Also
    --------
    encode : to the format's codes.

    Notes
    -----
    Random bits belong to the element's index in C order, not to its place in memory: the result does not depend on
    strides, chunks (see `offset`), threads, instruction set or machine. A value of the format is never changed.

    Examples
    --------
    >>> pysr.round(np.float32([1.0, 1.001, -3.14159]), "bfloat16", "rne")
    array([ 1.      ,  1.      , -3.140625], dtype=float32)
    >>> x = np.full(100_000, 0.3)
    >>> y = pysr.round(x, "float8_e4m3fn", rng=7)
    >>> np.unique(y)
    array([0.28125, 0.3125 ])
    >>> bool(abs(y.mean() - 0.3) < 2e-4)
    True
    """
    return run(False, x, fmt, mode, rng, eps, direction, random_bits, variant, bits, overflow, offset, out, where,
               threads)


# ---- a call in pieces -------------------------------------------------------------------------------------------


def claim_words(rng, n, fmt, mode, eps, random_bits, variant, overflow):
    """
    The words of a call of n elements, for `round_runs`: seed, stream and first block.

    A stream moves past them, and a Generator gives a seed. Of a call that draws nothing they are 0.
    """
    cdef sr_plan plan
    cdef Philox stream
    cdef uint64_t block
    fill_plan(&plan, as_format(fmt), mode, eps, random_bits, variant, overflow)
    source = None if rng is None else random_source(rng)
    if plan.word_bits == 0 or n == 0:
        return 0, 0, 0
    if isinstance(source, Philox):
        stream = source
        with stream.lock:
            block = sr_stream_position(&stream.c)
            sr_stream_seek(&stream.c, block + sr_call_blocks(&plan, n), 0)
            return stream.c.seed, stream.c.stream, block
    if isinstance(source, np.random.Generator):
        return int(source.integers(0, 2**64, dtype=np.uint64)), 0, 0
    return random_source(None) if source is None else source, 0, 0


def round_runs(x, cnp.ndarray starts, words, fmt, mode, eps, direction, random_bits, variant, overflow, out=None):
    """
    A piece of a call whose elements are not in one run: as `round`, on one thread.

    `starts`, of uint64 in C order, has the index in the whole call of the first element of each run; in C order, `x` is
    these runs, of equal lengths. `words` is what `claim_words` gave. `direction` has the shape of `x`. `out`, in C
    order, may be `x` itself.
    """
    cdef Format f = as_format(fmt)
    cdef walk_call call
    cdef sr_prepared prepared
    cdef sr_status status = SR_OK
    cdef uint64_t index = 0
    cdef const uint64_t *start = <const uint64_t *> cnp.PyArray_DATA(starts)
    cdef size_t i
    cdef size_t runs = starts.size
    fill_plan(&call.plan, f, mode, eps, random_bits, variant, overflow)
    x = as_carrier(x, "x")
    dtype = x.dtype.newbyteorder("=")
    set_carrier(&call, f, dtype)
    y = np.empty(x.shape, dtype) if out is None else check_out(out, x.shape, dtype)
    if y.size == 0:
        return y
    x = contiguous(x, x.shape, dtype)
    if direction is not None:
        direction = as_carrier(direction, "direction")
        if direction.dtype.newbyteorder("=") != dtype:
            direction = signs(direction, dtype)
        direction = contiguous(direction, x.shape, dtype)
    call.codes = False
    call.value_bytes = call.result_bytes = dtype.itemsize
    call.words.seed, call.words.stream, call.words.block = words
    call.words.bits = NULL
    call.words.bits_stride = 1
    set_operands(&call, x, direction, y)
    call.n = call.piece_rows = call.n // runs
    if runs > 1:
        sr_plan_prepare(&call.plan, &prepared)
    with nogil:
        for i in range(runs):
            call.words.offset = start[i]
            status = walk_piece(&call, 0, 0, &index)
            if status != SR_OK:
                break
            call.x.data += call.n * call.value_bytes
            call.y.data += call.n * call.value_bytes
            if call.has_direction:
                call.direction.data += call.n * call.value_bytes
    if status != SR_OK:
        # Where in x, not in the whole call, the element is.
        at = int(i) * int(call.n) + int(index) - int(start[i])
        fail(status, f, f.overflow if overflow is None else overflow, index, int(index) - at, x, direction, None, 0)
    return y


def encode(x, fmt, mode="sr", *, rng=None, eps=0.0, direction=None, random_bits="exact", variant="a", bits=None,
           overflow=None, offset=0, out=None, where=None, threads=None):
    """
    Round to the codes of a format.

    Parameters
    ----------
    x, fmt, mode, rng, eps, direction, random_bits, variant, bits, overflow, offset, out, where, threads
        As in `pysr.round`; `out` has the dtype ``fmt.code_dtype``.

    Returns
    -------
    ndarray or scalar of integers
        One code an element, right-aligned in the smallest of uint8, 16, 32, 64 that holds it; for signed fixed point
        two's complement in int8, 16, 32, 64. They are the bit patterns of NumPy's and ml_dtypes' types. On a grid of
        any step they are int64, how many steps a value is from 0.

    Raises
    ------
    ValueError, TypeError, OverflowError
        As `pysr.round`; ValueError also for a NaN where the format has no code for it, and on a grid for infinities
        and from 2**63 steps on.

    See Also
    --------
    decode : the inverse.

    Examples
    --------
    >>> pysr.encode([1.0, -0.5, 448.0], "float8_e4m3fn")
    array([ 56, 176, 126], dtype=uint8)
    >>> pysr.encode(-1.5, "Q3.4")
    np.int8(-24)
    """
    return run(True, x, fmt, mode, rng, eps, direction, random_bits, variant, bits, overflow, offset, out, where,
               threads)


def decode(codes, fmt, *, dtype=None, out=None):
    """
    The values of codes.

    Parameters
    ----------
    codes : array_like of int
        As `pysr.encode` gives them, in any integer type.
    fmt : str, dtype or format
        What `pysr.format` takes.
    dtype : dtype, optional
        float32 or float64. Default: float32 where it holds every value of the format.
    out : ndarray, optional
        Where to put the result: of its shape and type.

    Returns
    -------
    ndarray or scalar
        Codes that stand for nothing give NaN.

    Raises
    ------
    ValueError
        If a code has bits above the format's, the carrier does not hold the format, or `out` has another shape.
    TypeError
        If `codes` are not integers, or `dtype` is not a carrier.

    Examples
    --------
    >>> pysr.decode([56, 176, 126, 127], "float8_e4m3fn")
    array([  1. ,  -0.5, 448. ,   nan], dtype=float32)
    """
    cdef Format f = as_format(fmt)
    cdef sr_status status
    cdef uint64_t index = 0
    cdef const void *pc
    cdef void *py
    cdef size_t n
    cdef sr_carrier carrier

    if dtype is None:
        dtype = _FLOAT32 if sr_format_fits(&f.c, SR_CARRIER_F32) == SR_OK else _FLOAT64
    try:
        dtype = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"dtype must be float32 or float64, not {dtype!r}") from None
    if dtype not in (_FLOAT32, _FLOAT64):
        raise TypeError(f"dtype must be float32 or float64, not {dtype}")
    carrier = SR_CARRIER_F32 if dtype == _FLOAT32 else SR_CARRIER_F64
    check_carrier(f, carrier)

    array = integers(codes, "codes")
    info = np.iinfo(f.code_dtype)
    if array.dtype.kind not in "iu" and not (array.dtype.kind == "O" and all_integers(array)):
        raise TypeError(f"codes must hold integers, not {array.dtype}")
    if array.size and (int(array.min()) < info.min or int(array.max()) > info.max):
        at, bad = next((at, int(code)) for at, code in enumerate(array.flat) if not info.min <= int(code) <= info.max)
        raise ValueError(f"index {at}: code {bad} has bits above the {f.bits} of {f}")
    if out is not None:
        check_out(out, array.shape, dtype)
    source = contiguous(array, array.shape, f.code_dtype)
    n = source.size
    target = np.empty_like(array, dtype=dtype, subok=False) if out is None else out
    y = target
    if not (direct(target, dtype, source, []) and target.flags.c_contiguous):
        y = np.empty(array.shape, dtype)
    pc = cnp.PyArray_DATA(source)
    py = cnp.PyArray_DATA(y)
    with nogil:
        if carrier == SR_CARRIER_F32:
            status = sr_decode_f32(&f.c, n, pc, 1, <float *> py, 1, &index)
        else:
            status = sr_decode_f64(&f.c, n, pc, 1, <double *> py, 1, &index)
    if status == SR_ERR_CODE:
        raise ValueError(f"index {index}: code {int(source.flat[index])} has bits above the {f.bits} of {f}")
    if status != SR_OK:
        raise ValueError((<bytes> sr_strerror(status)).decode())
    if y is not target:
        np.copyto(target, y)
    return finished(target, out)
