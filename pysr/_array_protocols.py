"""What NumPy's functions and ufuncs do with RoundedArrays."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np

from pysr._core.rounding import as_flags, broadcast_shapes
from pysr.arithmetic import Arithmetic, an_axis, an_integer
from pysr.array import (
    RoundedArray,
    as_dtype,
    check_product,
    check_target,
    different,
    fit_float32,
    in_carrier,
    made,
    matrix_product,
    operate,
    plain,
    raised,
    rounded,
    signs_changed,
)

Function = Callable[..., Any]

_FLOAT32 = np.dtype(np.float32)
_FLOAT64 = np.dtype(np.float64)
_LOST = "writing rounded results into a plain array loses the format: use .values"


# ---------------------------------------------------------------------------------------------
# Arguments


def _rounded_ones(x: Any) -> Iterator[RoundedArray]:
    """The RoundedArrays among arguments."""
    if isinstance(x, RoundedArray):
        yield x
    elif isinstance(x, (list, tuple)):
        for item in x:
            yield from _rounded_ones(item)


def _context(*arguments: Any) -> tuple[Arithmetic, np.dtype[Any]]:
    """The one arithmetic of all RoundedArrays among arguments, and the carrier of results."""
    first, *others = _rounded_ones(arguments)
    dtype = first.dtype
    for x in others:
        if x.arithmetic is not first.arithmetic:
            raise different(first.arithmetic, x.arithmetic)
        if x.dtype == _FLOAT64:
            dtype = _FLOAT64
    return first.arithmetic, dtype


def _values(x: Any) -> Any:
    """Arguments with plain arrays in the place of RoundedArrays."""
    if isinstance(x, RoundedArray):
        return x.values
    if isinstance(x, (list, tuple)) and _any_rounded(x):
        return type(x)(_values(item) for item in x)
    return x


def _any_rounded(*arguments: Any) -> bool:
    return next(_rounded_ones(arguments), None) is not None


def _name(function: Any) -> str:
    module = getattr(function, "__module__", None) or "numpy"
    return f"{module}.{function.__name__}"


def _no_form(name: str) -> TypeError:
    return TypeError(f"{name} has no rounded form: use .values for a plain result")


def _refuse(name: str, keywords: dict[str, Any]) -> None:
    """Refuse arguments of NumPy's that have no meaning here, unless they are the default."""
    for key, value in keywords.items():
        default = {"where": True, "casting": "same_kind", "order": "K", "subok": True}.get(key)
        absent = value is None or value is np._NoValue
        if not absent and not (isinstance(value, (bool, str)) and value == default):
            raise TypeError(f"{name} with {key}= has no rounded form: use .values")


def _target(out: Any, name: str) -> RoundedArray | None:
    """The RoundedArray that is to take the result."""
    if isinstance(out, tuple):
        if len(out) != 1:
            raise TypeError(f"{name}: out must be one array")
        (out,) = out
    if out is None:
        return None
    if not isinstance(out, RoundedArray):
        raise TypeError(f"{name}: {_LOST}")
    return out


def _some(name: str, arguments: Sequence[Any], out: Any) -> None:
    if not _any_rounded(*arguments):
        raise TypeError(
            f"{name}: RoundedArrays are looked for in lists and tuples alone"
            if out is None
            else f"{name}: out= is a RoundedArray, and all operands are plain"
        )


def _put(out: RoundedArray, result: Any) -> RoundedArray:
    """A result into `out`, of the same shape."""
    if not isinstance(result, RoundedArray):
        raise TypeError("out= is a RoundedArray, and the result is plain")
    if result.arithmetic is not out.arithmetic:
        raise different(result.arithmetic, out.arithmetic)
    if result.shape != out.shape:
        raise ValueError(f"out has shape {out.shape}, the result {result.shape}")
    check_target(out.values)
    out.values[...] = in_carrier(result.values, out.dtype)
    return out


# ---------------------------------------------------------------------------------------------
# Ufuncs: each handler takes arithmetic, carrier, operands and where


def _arithmetic(name: str) -> Function:
    def handle(arithmetic: Arithmetic, dtype: Any, operands: Sequence[Any], where: Any) -> Any:
        values = [_values(x) if isinstance(x, RoundedArray) else plain(x, dtype) for x in operands]
        return made(operate(arithmetic, name, values, dtype, where), arithmetic)

    return handle


_add, _sub, _mul, _div, _sqrt = map(_arithmetic, ("add", "sub", "mul", "div", "sqrt"))


def _square(arithmetic: Arithmetic, dtype: Any, operands: Sequence[Any], where: Any) -> Any:
    (x,) = operands
    return _mul(arithmetic, dtype, (x, x), where)


def _reciprocal(arithmetic: Arithmetic, dtype: Any, operands: Sequence[Any], where: Any) -> Any:
    return _div(arithmetic, dtype, (1, *operands), where)


def _plain_operands(dtype: Any, operands: Sequence[Any]) -> list[Any]:
    return [x.values if isinstance(x, RoundedArray) else plain(x, dtype) for x in operands]


def _exactly(function: Function) -> Function:
    """The function's value is exact in the carrier, and rounded then."""

    def handle(arithmetic: Arithmetic, dtype: Any, operands: Sequence[Any], where: Any) -> Any:
        y = np.asarray(function(*_plain_operands(dtype, operands)))
        return made(operate(arithmetic, "round", (y,), dtype, where), arithmetic)

    return handle


def _in_double(function: Function) -> Function:
    """The function's value is computed in float64, and rounded then."""

    def handle(arithmetic: Arithmetic, dtype: Any, operands: Sequence[Any], where: Any) -> Any:
        wide = [in_carrier(np.asarray(x), _FLOAT64) for x in _plain_operands(dtype, operands)]
        with np.errstate(all="ignore"):
            y = np.asarray(function(*wide))
        return made(operate(arithmetic, "round", (y,), dtype, where), arithmetic)

    return handle


def _signs(function: Function) -> Function:
    """The function changes the sign of the first operand at most."""
    exactly = _exactly(function)

    def handle(arithmetic: Arithmetic, dtype: Any, operands: Sequence[Any], where: Any) -> Any:
        if not isinstance(operands[0], RoundedArray):
            return exactly(arithmetic, dtype, operands, where)
        y = np.asarray(function(*_plain_operands(dtype, operands)))
        return signs_changed(in_carrier(y, dtype), arithmetic)

    return handle


def _selection(function: Function) -> Function:
    """The function takes one of its operands: rounded only if one of them is plain."""
    exactly = _exactly(function)

    def handle(arithmetic: Arithmetic, dtype: Any, operands: Sequence[Any], where: Any) -> Any:
        if any(not isinstance(x, RoundedArray) for x in operands):
            return exactly(arithmetic, dtype, operands, where)
        return made(function(*(in_carrier(x.values, dtype) for x in operands)), arithmetic)

    return handle


_in_double_power = _in_double(np.power)


def _power(arithmetic: Arithmetic, dtype: Any, operands: Sequence[Any], where: Any) -> Any:
    result = raised(*operands)
    return _in_double_power(arithmetic, dtype, operands, where) if result is None else result


_SIGNS = (np.negative, np.absolute, np.fabs, np.copysign)
_SELECTIONS = (np.maximum, np.minimum, np.fmax, np.fmin, np.positive, np.conjugate)
_ELEMENTARY = (
    *(np.exp, np.exp2, np.expm1, np.log, np.log2, np.log10, np.log1p, np.cbrt, np.hypot),
    *(np.sin, np.cos, np.tan, np.arcsin, np.arccos, np.arctan, np.arctan2),
    *(np.sinh, np.cosh, np.tanh, np.arcsinh, np.arccosh, np.arctanh),
)

UFUNCS: dict[np.ufunc, Function] = {
    np.add: _add,
    np.subtract: _sub,
    np.multiply: _mul,
    np.divide: _div,
    np.sqrt: _sqrt,
    np.square: _square,
    np.reciprocal: _reciprocal,
    np.power: _power,
    np.float_power: _power,
    **{f: _signs(f) for f in _SIGNS},
    **{f: _selection(f) for f in _SELECTIONS},
    **{f: _exactly(f) for f in (np.sign, np.floor, np.ceil, np.trunc, np.rint)},
    **{f: _in_double(f) for f in _ELEMENTARY},
}

_WITHOUT_WHERE = {*_SIGNS, *_SELECTIONS, np.power, np.float_power, np.matmul}

# Their results are plain.
PREDICATES: tuple[np.ufunc, ...] = (
    *(np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal),
    *(np.isnan, np.isfinite, np.isinf, np.signbit),
    *(np.logical_and, np.logical_or, np.logical_xor, np.logical_not),
)

REDUCTIONS: dict[np.ufunc, str] = {
    np.add: "sum",
    np.multiply: "prod",
    np.maximum: "max",
    np.minimum: "min",
}
_RUNNING: dict[np.ufunc, str] = {np.add: "cumsum", np.multiply: "cumprod"}


def call_ufunc(
    ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], keywords: dict[str, Any]
) -> Any:
    """
    Do what ``RoundedArray.__array_ufunc__`` is asked.

    Parameters
    ----------
    ufunc, method, inputs, keywords
        As NumPy passes them.

    Returns
    -------
    RoundedArray, or plain bools

    Raises
    ------
    TypeError
        Where there is no rounded form.
    """
    name = f"numpy.{ufunc.__name__}"
    if ufunc in PREDICATES and method == "__call__":
        return _told(ufunc, name, inputs, keywords)
    out = _target(keywords.pop("out", None), name)
    if out is None:
        return _done(ufunc, method, name, inputs, out, keywords)
    arithmetic, _ = _context(inputs, out)
    return arithmetic._at_once(_done, ufunc, method, name, inputs, out, keywords)


def _done(
    ufunc: np.ufunc,
    method: str,
    name: str,
    inputs: tuple[Any, ...],
    out: RoundedArray | None,
    keywords: dict[str, Any],
) -> Any:
    if method == "__call__":
        return _call(ufunc, name, inputs, out, keywords)
    if method == "outer" and ufunc in UFUNCS and len(inputs) == 2:
        a, b = (x if isinstance(x, RoundedArray) else np.asarray(x) for x in inputs)
        a = a.reshape(a.shape + (1,) * b.ndim)
        return _call(ufunc, name, (a, b), out, keywords)
    name = f"{name}.{method}"
    x = inputs[0]
    if method == "reduce" and ufunc in REDUCTIONS and isinstance(x, RoundedArray):
        axis = keywords.pop("axis", 0)
        keepdims = keywords.pop("keepdims", False)
        _refuse(name, keywords)
        result = getattr(x, REDUCTIONS[ufunc])(axis, keepdims=keepdims)
    elif method == "accumulate" and ufunc in _RUNNING and isinstance(x, RoundedArray):
        axis = keywords.pop("axis", 0)
        _refuse(name, keywords)
        if x.ndim == 0:
            raise TypeError(f"{name} of an array without dimensions")
        result = getattr(x, _RUNNING[ufunc])(axis)
    else:
        raise _no_form(name)
    return result if out is None else _put(out, result)


def _told(ufunc: np.ufunc, name: str, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """A predicate of values; `out` and `where` are plain."""
    if _any_rounded(*keywords.values()):
        raise TypeError(f"{name}: its results are bools, which no RoundedArray takes: use .values")
    as_flags(keywords.get("where", True), "where")
    _, dtype = _context(inputs)
    return ufunc(*_plain_operands(dtype, inputs), **keywords)


def _call(
    ufunc: np.ufunc,
    name: str,
    inputs: tuple[Any, ...],
    out: RoundedArray | None,
    keywords: dict[str, Any],
) -> Any:
    where = keywords.pop("where", None)
    if where is True:
        where = None
    if isinstance(where, RoundedArray):
        raise TypeError(f"{name}: where must hold bools, not be a RoundedArray")
    if where is not None:
        where = as_flags(where, "where")
    _refuse(name, keywords)
    arithmetic, dtype = _context(inputs, out)
    if where is not None and ufunc in _WITHOUT_WHERE:
        raise TypeError(f"{name} of RoundedArrays takes no where=")
    if ufunc is np.matmul:
        _some(name, inputs, out)
        if out is not None:
            check_product(inputs[0], inputs[1], out.shape)
        result = _matmul(*inputs)
        return result if out is None else _put(out, result)
    if ufunc in UFUNCS:
        if out is not None:
            operands = inputs if where is None else (*inputs, where)
            shape = broadcast_shapes(*(np.shape(_values(x)) for x in operands))
            check_target(out.values)
            if broadcast_shapes(shape, out.shape) != out.shape:
                raise ValueError(f"{name}: out has shape {out.shape}, the result {shape}")
        elif where is not None and not arithmetic.fmt.zero:
            raise ValueError(f"{name} with where= and without out=: {arithmetic.fmt} has no zero")
        result = UFUNCS[ufunc](arithmetic, dtype, inputs, where)
    else:
        raise _no_form(name)
    if out is None:
        return result
    np.copyto(
        out.values, in_carrier(result.values, out.dtype), where=True if where is None else where
    )
    return out


# ---------------------------------------------------------------------------------------------
# Functions that move values about: handlers take what NumPy's functions take


def _wrapped(result: Any, arithmetic: Arithmetic) -> Any:
    """RoundedArrays around what NumPy made of values; integers and bools stay plain."""
    if isinstance(result, (list, tuple)):
        items = [_wrapped(item, arithmetic) for item in result]
        return type(result)(*items) if hasattr(result, "_fields") else type(result)(items)
    if isinstance(result, (np.ndarray, np.generic)) and result.dtype.kind == "f":
        return made(result, arithmetic)
    return result


def _structural(function: Function) -> Function:
    """Values of one array, elsewhere."""

    def handle(*arguments: Any, **keywords: Any) -> Any:
        arithmetic, _ = _context(arguments, tuple(keywords.values()))
        keywords = {key: _values(value) for key, value in keywords.items()}
        return _wrapped(function(*_values(arguments), **keywords), arithmetic)

    return handle


def _filling(function: Function, zeros: Callable[[Any], bool] = lambda a: True) -> Function:
    """As `_structural`, with zeros: always, or where the array is such that there are some."""
    move = _structural(function)

    def handle(*arguments: Any, **keywords: Any) -> Any:
        arithmetic, _ = _context(arguments, tuple(keywords.values()))
        array = arguments[0] if arguments else next(iter(keywords.values()))
        if not arithmetic.fmt.zero and zeros(array):
            raise ValueError(f"{_name(function)}: {arithmetic.fmt} has no zero")
        return move(*arguments, **keywords)

    return handle


def _several(function: Function) -> Function:
    """Several arrays, each of which stays what it is."""

    def handle(*arrays: Any, **keywords: Any) -> Any:
        results = function(*_values(arrays), **keywords)
        if len(arrays) == 1 and not isinstance(results, (list, tuple)):
            return made(results, arrays[0].arithmetic)
        return type(results)(
            made(y, x.arithmetic) if isinstance(x, RoundedArray) else y
            for x, y in zip(arrays, results, strict=True)
        )

    return handle


def _plain_result(function: Function) -> Function:
    """Indices, bools and the like."""

    def handle(*arguments: Any, **keywords: Any) -> Any:
        if isinstance(keywords.get("out"), RoundedArray):
            raise TypeError(f"{_name(function)}: out= is a RoundedArray, and the result is plain")
        _context(arguments, tuple(keywords.values()))
        keywords = {key: _values(value) for key, value in keywords.items()}
        return function(*_values(arguments), **keywords)

    return handle


def _joined(function: Function) -> Function:
    """Arrays put together, plain ones rounded first."""

    def handle(arrays: Any, *arguments: Any, **keywords: Any) -> Any:
        arithmetic, dtype = _context(arrays)
        _refuse(_name(function), {key: keywords.pop(key, None) for key in ("dtype", "casting")})
        parts = [rounded(x, arithmetic, dtype) for x in arrays]
        return made(function(parts, *arguments, **keywords), arithmetic)

    return handle


def _block(arrays: Any) -> Any:
    arithmetic, dtype = _context(arrays)

    def members(x: Any) -> Any:
        if isinstance(x, list):
            return [members(item) for item in x]
        return rounded(x, arithmetic, dtype)

    return made(np.block(members(arrays)), arithmetic)


def _append(arr: Any, values: Any, axis: int | None = None) -> Any:
    if axis is None:
        return np.concatenate([np.ravel(arr), np.ravel(values)])
    return np.concatenate([arr, values], axis=axis)


def _where(condition: Any, *choices: Any) -> Any:
    chosen = _values(condition)
    if not choices:
        return np.nonzero(chosen)
    if not _any_rounded(choices):
        return np.where(chosen, *choices)
    arithmetic, dtype = _context(condition, choices)
    x, y = (rounded(choice, arithmetic, dtype) for choice in choices)
    return made(np.where(chosen, x, y), arithmetic)


def _copyto(dst: Any, src: Any, casting: Any = "same_kind", where: Any = True) -> None:
    if not isinstance(dst, RoundedArray):
        raise TypeError(f"numpy.copyto: {_LOST}")
    values = rounded(src, dst.arithmetic, dst.dtype)
    np.copyto(dst.values, values, casting=casting, where=as_flags(where, "where"))


def _fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    if not isinstance(a, RoundedArray):
        raise TypeError(f"numpy.fill_diagonal: {_LOST}")
    np.fill_diagonal(a.values, rounded(val, a.arithmetic, a.dtype), wrap)


# ---------------------------------------------------------------------------------------------
# New arrays


def _full(like: RoundedArray, shape: Any, fill: Any, dtype: Any, order: Any = "C") -> Any:
    """An array beside `like`, of zeros for None; a plain one for integers and bools."""
    wanted = _carrier(like, dtype)
    if wanted.kind in "biu":
        return np.full(shape, 0 if fill is None else fill, wanted, order)
    if fill is None and like.arithmetic.fmt.zero:
        return made(np.zeros(shape, wanted, order), like.arithmetic)
    value = rounded(0.0 if fill is None else fill, like.arithmetic, wanted)
    return made(np.full(shape, value, wanted, order), like.arithmetic)


def _carrier(like: RoundedArray, dtype: Any) -> np.dtype[Any]:
    """The carrier that a dtype means, or a dtype of integers or bools."""
    if dtype is None or dtype is float:
        return like.dtype
    wanted = as_dtype(dtype)
    if wanted.kind not in "biu" and wanted not in (_FLOAT32, _FLOAT64):
        raise TypeError(
            f"dtype={wanted}: a RoundedArray is carried by float32 or float64; beside these, "
            "integers and bools give plain arrays"
        )
    if wanted == _FLOAT32 and not fit_float32(like.arithmetic):
        raise ValueError(f"dtype=float32 cannot hold every value of {like.arithmetic.fmt} exactly")
    return wanted


def _full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: Any = "K",
    subok: bool = True,
    shape: Any = None,
) -> Any:
    return _filled_like(a, _number(fill_value), dtype, order, shape)


def _filled_like(a: Any, fill: Any, dtype: Any, order: Any, shape: Any) -> Any:
    model = np.empty_like(a.values, np.int8, order=order, shape=shape)
    return _full(a, model.shape, fill, dtype, "F" if model.flags.fnc else "C")


def _number(fill_value: Any) -> Any:
    if fill_value is None:
        raise TypeError("fill_value must be a number, not None")
    return fill_value


def _zeros_like(
    a: Any, dtype: Any = None, order: Any = "K", subok: bool = True, shape: Any = None
) -> Any:
    return _filled_like(a, None, dtype, order, shape)


def _ones_like(
    a: Any, dtype: Any = None, order: Any = "K", subok: bool = True, shape: Any = None
) -> Any:
    return _full_like(a, 1, dtype, order, subok, shape)


def _zeros(
    like: RoundedArray, shape: Any, dtype: Any = None, order: Any = "C", device: Any = None
) -> Any:
    return _full(like, shape, None, dtype, order)


def _ones(
    like: RoundedArray, shape: Any, dtype: Any = None, order: Any = "C", device: Any = None
) -> Any:
    return _full(like, shape, 1, dtype, order)


def _full_beside(
    like: RoundedArray,
    shape: Any,
    fill_value: Any,
    dtype: Any = None,
    order: Any = "C",
    device: Any = None,
) -> Any:
    return _full(like, shape, _number(fill_value), dtype, order)


def _eye(
    like: RoundedArray,
    rows: int,
    M: int | None = None,
    k: int = 0,
    dtype: Any = None,
    order: Any = "C",
    device: Any = None,
) -> Any:
    return _array(like, np.eye(rows, M, k, np.int8, order), dtype)


def _identity(like: RoundedArray, n: int, dtype: Any = None) -> Any:
    return _eye(like, n, dtype=dtype)


def _array(
    like: RoundedArray, x: Any, dtype: Any = None, device: Any = None, **keywords: Any
) -> Any:
    copied = keywords.pop("copy", None)
    _refuse("numpy.array", {"copy": None if copied is True else copied, **keywords})
    wanted = _carrier(like, dtype)
    if wanted.kind in "biu":
        return np.array(x, wanted)
    return RoundedArray(x, like.arithmetic, wanted)


# By ``like=``: handlers take the RoundedArray before NumPy's arguments.
CREATIONS: dict[Function, Function] = {
    np.zeros: _zeros,
    np.empty: _zeros,
    np.ones: _ones,
    np.full: _full_beside,
    np.eye: _eye,
    np.identity: _identity,
    np.array: _array,
    np.asarray: _array,
}


# ---------------------------------------------------------------------------------------------
# Functions that compute


def _reduction(name: str) -> Function:
    def handle(
        a: Any, axis: Any = None, dtype: Any = None, *, keepdims: Any = False, **others: Any
    ) -> Any:
        _refuse(f"numpy.{name}", {"dtype": dtype, **others})
        return getattr(a, name)(axis, keepdims=_given(keepdims, False))

    return handle


def _extremum(name: str) -> Function:
    def handle(a: Any, axis: Any = None, *, keepdims: Any = False, **others: Any) -> Any:
        _refuse(f"numpy.{name}", others)
        return getattr(a, name)(axis, keepdims=_given(keepdims, False))

    return handle


def _given(value: Any, default: Any) -> Any:
    return default if value is np._NoValue else value


def _running(name: str) -> Function:
    def handle(a: Any, axis: int | None = None, dtype: Any = None) -> Any:
        _refuse(f"numpy.{name}", {"dtype": dtype})
        return getattr(a, name)(axis)

    return handle


def _trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> Any:
    _refuse("numpy.trace", {"dtype": dtype})
    return a.trace(offset, axis1, axis2)


def _clip(a: Any, a_min: Any = None, a_max: Any = None, **keywords: Any) -> Any:
    low = _given(keywords.pop("min", a_min), None)
    high = _given(keywords.pop("max", a_max), None)
    _refuse("numpy.clip", keywords)
    result = a
    if low is not None:
        result = np.maximum(result, low)
    if high is not None:
        result = np.minimum(result, high)
    return +result if result is a else result


def _diff(a: Any, n: int = 1, axis: int = -1, **others: Any) -> Any:
    _refuse("numpy.diff", others)
    n = an_integer(n, "n")
    if n < 0:
        raise ValueError(f"n={n} is negative")
    axis = an_axis(axis, a.ndim)
    before = (slice(None),) * axis
    result = a.copy()
    for _ in range(n):
        result = result[(*before, slice(1, None))] - result[(*before, slice(None, -1))]
    return result


def _matmul(a: Any, b: Any) -> Any:
    _context(a, b)
    return matrix_product(a, b)


def _pair(a: Any, b: Any) -> tuple[Any, Any]:
    one, other = (x if isinstance(x, RoundedArray) else np.asarray(x) for x in (a, b))
    return one, other


def _dot(a: Any, b: Any) -> Any:
    a, b = _pair(a, b)
    if a.ndim == 0 or b.ndim == 0:
        return np.multiply(a, b)
    if a.ndim == b.ndim == 1:
        return matrix_product(a, b, "dot")
    if b.ndim <= 2:
        return np.matmul(a, b)
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(f"shapes {a.shape} and {b.shape} do not fit")
    columns = np.moveaxis(b, -2, 0).reshape(b.shape[-2], math.prod(b.shape[:-2]) * b.shape[-1])
    return np.matmul(a, columns).reshape(a.shape[:-1] + b.shape[:-2] + b.shape[-1:])


def _inner(a: Any, b: Any) -> Any:
    a, b = _pair(a, b)
    if b.ndim < 2:
        return _dot(a, b)
    if a.ndim == 0:
        return np.multiply(a, b)
    if a.shape[-1] != b.shape[-1]:
        raise ValueError(f"shapes {a.shape} and {b.shape} do not fit")
    columns = b.reshape(math.prod(b.shape[:-1]), b.shape[-1]).T
    return np.matmul(a, columns).reshape(a.shape[:-1] + b.shape[:-1])


def _vdot(a: Any, b: Any) -> Any:
    return _dot(np.ravel(a), np.ravel(b))


def _outer(a: Any, b: Any) -> Any:
    return np.multiply(np.ravel(a)[:, None], np.ravel(b)[None, :])


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    dimensions = x.ndim if axis is None else len(axis) if isinstance(axis, tuple) else 1
    usual = axis is None or dimensions <= 2 if ord is None else False
    if not usual and (ord, dimensions) not in ((2, 1), ("fro", 2)):
        raise TypeError(
            f"numpy.linalg.norm with ord={ord!r} of {dimensions} dimensions has no rounded form: "
            "only the 2-norm of vectors and the Frobenius norm have"
        )
    return made(x.arithmetic.norm2(x.values, axis, keepdims=keepdims), x.arithmetic)


_PLAIN_RESULTS: tuple[Function, ...] = (
    *(np.shape, np.ndim, np.size, np.iscomplexobj, np.isrealobj, np.iscomplex, np.isreal),
    *(np.argsort, np.argpartition, np.argmax, np.argmin, np.nonzero, np.flatnonzero),
    *(np.argwhere, np.count_nonzero, np.searchsorted, np.any, np.all),
    *(np.array_equal, np.array_equiv, np.isclose, np.allclose),
    *(np.may_share_memory, np.shares_memory, np.result_type),
)

# Nothing is drawn in these.
_MOVING: dict[Function, Function] = {
    **{
        function: _structural(function)
        for function in (
            *(np.reshape, np.ravel, np.transpose, np.matrix_transpose, np.swapaxes, np.moveaxis),
            *(np.rollaxis, np.squeeze, np.expand_dims, np.broadcast_to, np.copy, np.real),
            *(np.flip, np.fliplr, np.flipud, np.roll, np.rot90, np.tile, np.repeat),
            *(np.split, np.array_split, np.hsplit, np.vsplit, np.dsplit),
            *(np.take, np.take_along_axis, np.delete, np.diagonal, np.sort, np.partition),
            np.unique,
        )
    },
    **{function: _filling(function) for function in (np.diagflat, np.tril, np.triu)},
    np.diag: _filling(np.diag, lambda v: np.ndim(v) < 2),
    np.resize: _filling(np.resize, lambda a: np.size(a) == 0),
    **{
        function: _several(function)
        for function in (np.atleast_1d, np.atleast_2d, np.atleast_3d, np.broadcast_arrays)
    },
    **{function: _plain_result(function) for function in _PLAIN_RESULTS},
}

FUNCTIONS: dict[Function, Function] = {
    **_MOVING,
    **{
        function: _joined(function)
        for function in (
            *(np.concatenate, np.stack, np.vstack, np.hstack, np.dstack, np.column_stack),
        )
    },
    np.block: _block,
    np.append: _append,
    np.where: _where,
    np.copyto: _copyto,
    np.fill_diagonal: _fill_diagonal,
    np.zeros_like: _zeros_like,
    np.empty_like: _zeros_like,
    np.ones_like: _ones_like,
    np.full_like: _full_like,
    **{function: _reduction(function.__name__) for function in (np.sum, np.prod, np.mean)},
    **{function: _extremum(function.__name__) for function in (np.max, np.min)},
    np.amax: _extremum("max"),
    np.amin: _extremum("min"),
    **{function: _running(function.__name__) for function in (np.cumsum, np.cumprod)},
    np.trace: _trace,
    np.clip: _clip,
    np.diff: _diff,
    np.dot: _dot,
    np.inner: _inner,
    np.vdot: _vdot,
    np.outer: _outer,
    np.linalg.norm: _norm,
}


for _function, _handler in FUNCTIONS.items():
    _handler.__qualname__ = _name(_function)  # for Python's errors about arguments


def _find_out(function: Function) -> int | None:
    """Which positional argument `out` is."""
    if function is np.concatenate:  # one without a signature
        return 2
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    for place, parameter in enumerate(parameters):
        if parameter.name == "out" and parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            return place
    return None


_place_of_out = cache(_find_out)


def call_function(
    like: RoundedArray,
    function: Function,
    types: Sequence[type],
    arguments: tuple[Any, ...],
    keywords: dict[str, Any],
) -> Any:
    """
    Do what ``RoundedArray.__array_function__`` is asked.

    Parameters
    ----------
    like : RoundedArray
        The one that was asked.
    function, types, arguments, keywords
        As NumPy passes them.

    Returns
    -------
    RoundedArray, or what NumPy returns where nothing is computed

    Raises
    ------
    TypeError
        Where there is no rounded form.
    """
    if not all(issubclass(kind, (RoundedArray, np.ndarray)) for kind in types):
        return NotImplemented
    name = _name(function)
    if function in CREATIONS:
        return like.arithmetic._at_once(CREATIONS[function], like, *arguments, **keywords)
    if function not in FUNCTIONS:
        raise _no_form(name)
    place = _place_of_out(function)
    if place is not None and len(arguments) > place:
        after = arguments[place + 1 :]
        names = list(inspect.signature(function).parameters)[place + 1 :] if after else []
        keywords = {**dict(zip(names, after, strict=False)), **keywords, "out": arguments[place]}
        arguments = arguments[:place]
    if function in _PLAIN_RESULTS:
        return FUNCTIONS[function](*arguments, **keywords)
    out = _target(keywords.pop("out", None), name)
    _some(name, (*arguments, *keywords.values()), out)
    if function in _MOVING:
        return _into(out, function, *arguments, **keywords)
    arithmetic, _ = _context(arguments, tuple(keywords.values()), out)
    return arithmetic._at_once(_into, out, function, *arguments, **keywords)


def _into(out: RoundedArray | None, function: Function, /, *arguments: Any, **keywords: Any) -> Any:
    result = FUNCTIONS[function](*arguments, **keywords)
    return result if out is None else _put(out, result)
