"""NumPy ufuncs that round. What their loops need is worked out once, and hangs on the ufunc."""

cimport numpy as cnp
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from pysr._core.formats cimport Format, as_format, integer
from pysr._core.rounding cimport fill_plan
from pysr._core.srcore cimport (
    SR_ERR_DIRECTION_NAN, SR_ERR_OFFSET, SR_ERR_OVERFLOW, SR_OVERFLOW_RAISE,
    sr_op, sr_plan, sr_plan_prepare, sr_prepared, sr_status, sr_strerror, sr_words,
)

from pysr._core.arithmetic import OPERATIONS as _OPERATIONS
from pysr._core.formats import arithmetic_format

cdef extern from "ufuncs.h" nogil:
    const int UFUNC_NEGATIVE
    const int UFUNC_INEXACT

    ctypedef struct ufunc_call

    ctypedef int (*ufunc_refuse)(const ufunc_call *, int, int, size_t, uint64_t) except -1 nogil

    ctypedef struct ufunc_kernel:
        sr_plan plan
        sr_prepared prepared
        sr_words words
        sr_op op
        int values
        int directed
        int indexed
        ufunc_refuse refuse

    ctypedef struct ufunc_call:
        const ufunc_kernel *kernel
        const int *types
        const char **data
        const cnp.npy_intp *steps
        size_t n

cdef extern from "ufuncs.h":
    int ufunc_types(const ufunc_kernel *, char *)
    object ufunc_make(object, const ufunc_kernel *, const char *, int, const char *, const char *, const char *)
    void *ufunc_owner(object, object)

cnp.import_array()
cnp.import_ufunc()

# What a ufunc is made of: op, fmt, mode, seed, stream, eps, random_bits, variant, overflow
Arguments = tuple[str, Format, str, int, int, float, int | str, str, str]

_VALUES = {"round": 1, "sqrt": 1, "fma": 3}
_NAMES = ("x", "y", "z")
_MAX_SEED = 2**64 - 1
_MAX_STREAM = 2**48 - 1


cdef class Owner:
    """What a ufunc's loops work with, and the arguments that it was made of."""

    cdef ufunc_kernel kernel
    cdef char types[36 * 6]  # UFUNC_LOOPS, UFUNC_OPERANDS + 1
    cdef bytes name
    cdef bytes doc
    cdef bytes signature
    cdef readonly bint by_rows
    cdef readonly tuple arguments


cdef object element(const ufunc_call *call, int operand, size_t j):
    """An operand's element as a Python number."""
    cdef const char *at = call.data[operand] + <cnp.npy_intp> j * call.steps[operand]
    cdef float single
    cdef double value
    cdef int64_t number
    if call.types[operand] == cnp.NPY_FLOAT32:
        memcpy(&single, at, sizeof(single))
        return float(single)
    if call.types[operand] == cnp.NPY_FLOAT64:
        memcpy(&value, at, sizeof(value))
        return value
    memcpy(&number, at, sizeof(number))
    return number


cdef int refuse(const ufunc_call *call, int status, int operand, size_t j, uint64_t index) except -1 with gil:
    cdef int k
    cdef int values = call.kernel.values
    place = f"index {index}: " if call.kernel.indexed else ""
    if status == UFUNC_NEGATIVE:
        raise ValueError(f"index={<int64_t> index} is negative")
    if status == SR_ERR_OFFSET:
        raise ValueError(f"index={index} with {call.n} elements: indices must stay below 2**64")
    if status == UFUNC_INEXACT:
        raise ValueError(f"{place}{_NAMES[operand]}={element(call, operand, j)} is not exact in float64")
    if status == SR_ERR_DIRECTION_NAN:
        raise ValueError(f"{place}direction={element(call, values, j)!r}")
    if status == SR_ERR_OVERFLOW:
        named = ", ".join(f"{_NAMES[k]}={element(call, k, j)!r}" for k in range(values))
        raise OverflowError(f"{place}{_OPERATIONS[<int> call.kernel.op]} of {named} is infinite (overflow='wrap')")
    raise ValueError((<bytes> sr_strerror(<sr_status> status)).decode())


def arguments(op, fmt, mode, seed, stream, eps, random_bits, variant, overflow):
    """The arguments of a ufunc, checked, and as plain as they can be: equal ones make the same ufunc."""
    cdef sr_plan plan
    cdef Format f = as_format(fmt)
    if not isinstance(op, str):
        raise TypeError(f"op must be a string, not {op!r}")
    if op not in _OPERATIONS:
        raise ValueError(f"op={op!r} is not one of {', '.join(map(repr, _OPERATIONS))}")
    if op != "round":
        f = arithmetic_format(f)
    fill_plan(&plan, f, mode, eps, random_bits, variant, overflow)
    if plan.overflow == SR_OVERFLOW_RAISE:
        raise ValueError("overflow='raise' promises that nothing is written before the exception, but a ufunc's loop "
                         "has written other elements by then: use another rule, or pysr.Arithmetic")
    seed = integer(seed, "seed", 0, _MAX_SEED)
    stream = integer(stream, "stream", 0, _MAX_STREAM)
    if plan.word_bits == 0:
        seed = stream = 0
    return (str(op), f, str(mode), seed, stream, float(eps) + 0.0,
            "exact" if isinstance(random_bits, str) else integer(random_bits, "random_bits", 1, 64),
            str(variant), f.overflow if overflow is None else str(overflow))


def make(by_rows, given, str name, str doc):
    """A new ufunc from what `arguments` gives, or a generalized one."""
    cdef Owner owner = Owner()
    cdef ufunc_kernel *kernel = &owner.kernel
    cdef Format f
    op, f, mode, seed, stream, eps, random_bits, variant, overflow = given
    fill_plan(&kernel.plan, f, mode, eps, random_bits, variant, overflow)
    sr_plan_prepare(&kernel.plan, &kernel.prepared)
    kernel.words.seed = seed
    kernel.words.stream = stream
    kernel.words.block = kernel.words.offset = 0
    kernel.words.bits = NULL
    kernel.words.bits_stride = 0
    kernel.op = <sr_op> <int> _OPERATIONS.index(op)
    kernel.values = _VALUES.get(op, 2)
    kernel.directed = mode == "sr_signed"
    kernel.indexed = kernel.plan.word_bits != 0
    kernel.refuse = refuse
    owner.by_rows = by_rows
    owner.arguments = given
    owner.name = name.encode()
    owner.doc = doc.encode()
    owner.signature = (",".join(["(n)"] * (kernel.values + kernel.directed) + ["()"] * kernel.indexed)
                       + "->(n)").encode()
    return ufunc_make(owner, kernel, owner.types, ufunc_types(kernel, owner.types), owner.name, owner.doc,
                      <const char *> owner.signature if by_rows else <const char *> NULL)


def operands(given):
    """The names of the operands of a ufunc with these arguments."""
    cdef sr_plan plan
    op, fmt, mode, _seed, _stream, eps, random_bits, variant, overflow = given
    fill_plan(&plan, fmt, mode, eps, random_bits, variant, overflow)
    return (*_NAMES[:_VALUES.get(op, 2)], *(("direction",) if mode == "sr_signed" else ()),
            *(("index",) if plan.word_bits else ()))


def made_of(f):
    """Whether a ufunc was made by rows, and its arguments; None for a ufunc that was not made here."""
    cdef void *found = ufunc_owner(f, Owner)
    if found is NULL:
        return None
    owner = <Owner> found
    return owner.by_rows, owner.arguments
