"""Arrays whose every operation is rounded: NumPy code, emulated without changing it."""

from __future__ import annotations

import copy
import math
import operator
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pysr._core.rounding import broadcast_shapes, carriers, decode, encode
from pysr.arithmetic import Arithmetic, a_flag, axes_of

__all__ = ["RoundedArray"]

Values = NDArray[Any]
Axis = int | tuple[int, ...] | None

_FLOAT32 = np.dtype(np.float32)
_FLOAT64 = np.dtype(np.float64)
_TINY64 = 2.0**-149
_TINY = np.float32(_TINY64)
_MAX32 = float(np.finfo(np.float32).max)
_PLAIN = (int, float, np.generic, np.ndarray, list, tuple)
# Powers up to this one are products.
_LARGEST_POWER = 64
# Operands of up to so many elements are spread out here, which is quicker than in `Arithmetic`.
_FEW = 1 << 14

_moment = count()
_empty = np.empty
_new: Callable[[Any], RoundedArray] = object.__new__


# ---------------------------------------------------------------------------------------------
# Operands and results


def made(values: Any, arithmetic: Arithmetic) -> RoundedArray:
    """The array around values that are rounded already."""
    if type(values) is not np.ndarray:
        values = np.asarray(values)
    array = _new(_WithAxes if values.ndim else RoundedArray)
    array.values = values
    array.arithmetic = arithmetic
    return array


def different(one: Arithmetic, other: Arithmetic) -> TypeError:
    """What is raised where two arithmetics meet."""
    return TypeError(
        f"arrays of two arithmetics: {one!r} and {other!r}, each with a stream of its own; "
        "convert one by the other's `array`"
    )


def in_carrier(values: Values, dtype: np.dtype[Any]) -> Values:
    """
    Values that both carriers hold, in one of them.

    Where a caller has set the processor to flush subnormals, a conversion would.
    """
    if values.dtype == dtype:
        return values
    if float(_TINY) and float(np.float32(_TINY64)):
        return values.astype(dtype)
    return by_library(values, dtype)


def by_library(values: Values, dtype: np.dtype[Any]) -> Values:
    """As `in_carrier`, whatever the environment, and without warnings of signaling NaNs."""
    if values.dtype == dtype:
        return values
    values = np.ascontiguousarray(values).reshape(values.shape)
    if dtype == _FLOAT64:
        return np.asarray(decode(values.view(np.uint32), "binary32", dtype=dtype))
    return np.asarray(encode(values, "binary32", "rne")).view(np.float32)


def as_dtype(dtype: Any) -> np.dtype[Any]:
    """A dtype, or an error that names it."""
    try:
        wanted: np.dtype[Any] = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"dtype must be float32 or float64, not {dtype!r}") from None
    return wanted


def exact_scalar(x: float, dtype: np.dtype[Any]) -> Any:
    """A Python number in this carrier if it can hold it, else in float64."""
    if isinstance(x, float):
        x = float(x)  # NumPy's own would heed np.errstate
    if dtype == _FLOAT32:
        if -_MAX32 <= x <= _MAX32:
            narrow = np.float32(x)
            if float(narrow) == x:
                return narrow
        elif x != x or x in (math.inf, -math.inf):
            return np.float32(x)
    try:
        wide = float(x)
    except OverflowError:
        wide = math.nan
    if wide != x and x == x:
        raise ValueError(f"operand {x} is not exact in float64")
    return np.float64(wide)


def plain(x: Any, dtype: np.dtype[Any]) -> Any:
    """A plain operand as an array or a NumPy scalar, exactly."""
    if type(x) is np.ndarray and (x.dtype == _FLOAT64 or x.dtype == _FLOAT32):
        return x
    if isinstance(x, (float, int)):
        return exact_scalar(x, dtype)
    if isinstance(x, np.matrix):
        raise TypeError("operand is a matrix, whose * is another one: pass an array")
    return carriers(operand=x)[0]


def operate(
    arithmetic: Arithmetic,
    name: str,
    operands: Sequence[Any],
    dtype: np.dtype[Any],
    where: Any = None,
) -> Values:
    """
    An operation on broadcast values.

    Parameters
    ----------
    arithmetic : Arithmetic
    name : str
        Which operation.
    operands : sequence of ndarray or scalar of float32 or float64
    dtype : dtype
        Carrier of the result.
    where : array_like of bool, optional
        As in `Arithmetic.add`.

    Returns
    -------
    ndarray
    """
    operation = arithmetic._operations[name]
    carrier = dtype
    shape = operands[0].shape
    for x in operands:
        if x.dtype == _FLOAT64:
            carrier = _FLOAT64
        if x.shape != shape:
            shape = broadcast_shapes(*(x.shape for x in operands))
    if where is None and math.prod(shape) <= _FEW:
        spread = []
        for x in operands:
            if x.shape != shape or not shape or x.dtype != carrier or not x.flags.c_contiguous:
                y: Values = np.empty(shape or 1, carrier)
                y[...] = by_library(x, carrier)
                spread.append(y)
            else:
                spread.append(x)
        result = operation(tuple(spread), arithmetic.stream, arithmetic.counts)
        if not shape:
            result = result.reshape(())
    else:
        wide_enough = tuple(by_library(x, carrier) for x in operands)
        result = np.asarray(
            operation(wide_enough, arithmetic.stream, arithmetic.counts, None, None, where)
        )
    return in_carrier(result, dtype)


def rounded(x: Any, arithmetic: Arithmetic, dtype: np.dtype[Any]) -> Values:
    """Values of `x` for an array of `arithmetic`: rounded, unless they come from such an array."""
    if isinstance(x, RoundedArray):
        if x.arithmetic is not arithmetic:
            raise different(arithmetic, x.arithmetic)
        return in_carrier(x.values, dtype)
    if isinstance(x, (list, tuple)) and _holds_rounded(x):
        return arithmetic._at_once(lambda: np.stack([rounded(y, arithmetic, dtype) for y in x]))
    operand = plain(x, dtype)
    return operate(arithmetic, "round", (operand,), dtype)


def _holds_rounded(x: Sequence[Any]) -> bool:
    return any(
        isinstance(item, RoundedArray) or (isinstance(item, (list, tuple)) and _holds_rounded(item))
        for item in x
    )


def fit_float32(arithmetic: Arithmetic) -> bool:
    """Does float32 hold the values of every operation's format?"""
    return all(step.fmt.fits(np.float32) for step in arithmetic._operations.values())


def symmetric(arithmetic: Arithmetic) -> bool:
    """Does the format have -x wherever it has x, -0 included?"""
    fmt = arithmetic.fmt
    return fmt.min == -fmt.max and fmt.negative_zero


def signs_changed(x: Values, arithmetic: Arithmetic) -> RoundedArray:
    """Values of the format that were negated or the like: rounded only if that can be needed."""
    if symmetric(arithmetic):
        return made(x, arithmetic)
    return made(operate(arithmetic, "round", (x,), x.dtype), arithmetic)


def power(x: RoundedArray, k: int) -> RoundedArray:
    """A power by squaring: k = 5 is ((x x) (x x)) x."""
    if k == 0:
        one = rounded(1.0, x.arithmetic, x.dtype)
        return made(np.full(x.shape, one), x.arithmetic)
    if k == 1:
        return x.copy()
    if k == 2:
        return x * x
    return x.arithmetic._at_once(_products, x, k)


def _products(x: RoundedArray, k: int) -> RoundedArray:
    result = x
    for bit in bin(abs(k))[3:]:
        result = result * result
        if bit == "1":
            result = result * x
    return 1 / result if k < 0 else result


def raised(x: Any, y: Any) -> RoundedArray | None:
    """`x` to the power `y`; None where that is neither products nor a root."""
    if not isinstance(x, RoundedArray) or isinstance(y, RoundedArray) or np.ndim(y):
        return None
    if type(y) is not int and type(y) is not float:
        y = plain(y, x.dtype)
    if y == 0.5:
        return made(operate(x.arithmetic, "sqrt", (x.values,), x.dtype), x.arithmetic)
    if abs(y) <= _LARGEST_POWER and y == int(y):
        return power(x, int(y))
    return None


def _held_by_float32(x: float) -> bool:
    return bool(exact_scalar(x, _FLOAT32).dtype == _FLOAT32)


_in_float32 = lru_cache(1024)(_held_by_float32)


def _operator(name: str, reflected: bool = False) -> Callable[[RoundedArray, Any], RoundedArray]:
    """An operator. Short, for it is what a small array waits for."""

    def method(self: RoundedArray, other: Any) -> Any:
        arithmetic = self.arithmetic
        x = self.values
        dtype = carrier = x.dtype
        shape = x.shape
        kind = type(other)
        if isinstance(other, RoundedArray):
            if other.arithmetic is not arithmetic:
                raise different(arithmetic, other.arithmetic)
            y = other.values
            if dtype != y.dtype:
                return made(operate(arithmetic, name, (x, y), _FLOAT64), arithmetic)
            if shape != y.shape:
                if y.shape or x.size > _FEW:
                    return made(operate(arithmetic, name, (x, y), dtype), arithmetic)
                scalar = y
                y = _empty(shape, dtype)
                y.fill(scalar)
            elif not y.flags.c_contiguous:
                y = y.copy()
        elif (kind is float or kind is int) and x.size <= _FEW:
            if dtype == _FLOAT32 and not _in_float32(other):
                carrier = _FLOAT64
                x = in_carrier(x, carrier)
            y = _empty(shape, carrier)
            y.fill(other if kind is float else exact_scalar(other, carrier))
            if reflected:
                x, y = y, x
        elif isinstance(other, _PLAIN):
            pair = (plain(other, dtype), x) if reflected else (x, plain(other, dtype))
            return made(operate(arithmetic, name, pair, dtype), arithmetic)
        else:
            return NotImplemented
        if not shape:
            x, y = x.ravel(), y.ravel()
        elif not x.flags.c_contiguous:
            x = x.copy()
        elif not y.flags.c_contiguous:
            y = y.copy()
        values = arithmetic._operations[name]((x, y), arithmetic.stream, arithmetic.counts)
        if carrier is not dtype:
            values = in_carrier(values, dtype)
        if shape:
            array = _new(_WithAxes)
            array.values = values
        else:
            array = _new(RoundedArray)
            array.values = values.reshape(())
        array.arithmetic = arithmetic
        return array

    return method


def matrix_product(x: Any, y: Any, name: str = "matmul") -> Any:
    """`Arithmetic.matmul` or `dot` of two operands, one of them at least a RoundedArray."""
    if isinstance(x, RoundedArray):
        arithmetic, dtype, a = x.arithmetic, x.dtype, x.values
        if not isinstance(y, RoundedArray):
            if not isinstance(y, _PLAIN):
                return NotImplemented
            b = plain(y, dtype)
        elif y.arithmetic is not arithmetic:
            raise different(arithmetic, y.arithmetic)
        else:
            b = y.values
            if y.dtype != dtype:
                dtype = _FLOAT64
    else:
        if not isinstance(x, _PLAIN):
            return NotImplemented
        arithmetic, dtype, b = y.arithmetic, y.dtype, y.values
        a = plain(x, dtype)
    product = arithmetic.matmul(a, b) if name == "matmul" else arithmetic.dot(a, b)
    return made(in_carrier(np.asarray(product), dtype), arithmetic)


def check_product(x: Any, y: Any, shape: tuple[int, ...]) -> None:
    """Refuse a matrix product, if it has a shape, that does not have this one."""
    a, b = (z.values.shape if isinstance(z, RoundedArray) else np.shape(z) for z in (x, y))
    rows, columns = a[-2:-1], b[-1:] if len(b) > 1 else ()
    if a and b and (*broadcast_shapes(a[:-2], b[:-2]), *rows, *columns) != shape:
        raise ValueError(f"the product of shapes {a} and {b} does not have the shape {shape}")


def check_target(values: Values) -> None:
    """Refuse memory that a result cannot be written to."""
    if not values.flags.writeable:
        raise ValueError("the array is read-only")
    steps = values.strides
    if (
        0 in steps
        and values.size
        and any(n > 1 for n, step in zip(values.shape, steps, strict=True) if not step)
    ):
        raise ValueError(f"elements of the array overlap: its strides are {steps}")


def _assigned(function: Callable[[Any, Any], Any]) -> Callable[[RoundedArray, Any], RoundedArray]:
    """The operator that puts its result into its left operand."""

    def method(self: RoundedArray, other: Any) -> RoundedArray:
        values = self.values
        shape = values.shape
        kind = type(other)
        if shape:
            check_target(values)
        if kind is not float and kind is not int and shape:
            beside = other.values.shape if isinstance(other, RoundedArray) else np.shape(other)
            if beside != shape and broadcast_shapes(shape, beside) != shape:
                raise ValueError(f"an operand of shape {beside} does not broadcast to {shape}")
        result = function(self, other)
        if result is NotImplemented or not shape:
            return result  # type: ignore[no-any-return]
        values[...] = in_carrier(result.values, values.dtype)
        return self

    return method


def _comparison(compare: Callable[[Any, Any], Any]) -> Callable[[RoundedArray, Any], Any]:
    def method(self: RoundedArray, other: Any) -> Any:
        if isinstance(other, RoundedArray):
            if other.arithmetic is not self.arithmetic:
                raise different(self.arithmetic, other.arithmetic)
            return compare(self.values, other.values)
        if isinstance(other, _PLAIN):
            return compare(self.values, plain(other, self.values.dtype))
        return NotImplemented

    return method


def _refused(method: str) -> Callable[..., NoReturn]:
    def refuse(self: RoundedArray, *_: Any, **__: Any) -> NoReturn:
        raise TypeError(
            f"{method} of a RoundedArray would lose its format and its rounding: "
            "use .values for the plain array, .item() for a Python number"
        )

    return refuse


class RoundedArray:
    """
    An array whose every operation is rounded.

    What NumPy code does to it (operators, functions, reductions, assignment) an `Arithmetic` does:
    results are values of its format, rounded once from the exact result. So an algorithm written
    for NumPy is emulated in a format by giving it such arrays.

    Parameters
    ----------
    x : array_like or RoundedArray
        What is rounded into the new array. Values of an array of the same arithmetic are copied.
    arithmetic : Arithmetic
        Its mode may be any but "sr_signed", whose direction operators have no place for.
    dtype : dtype, optional
        The carrier, float32 or float64. By default float32 for `x` of float32, float16 or a type
        of ml_dtypes, if that holds every value of the format, and float64 for everything else.

    Attributes
    ----------
    values : ndarray
        The numbers, of float32 or float64: the array's own memory.
    arithmetic : Arithmetic
        Shared by all arrays that come from this one: one stream, one set of totals.

    Raises
    ------
    TypeError
        If an argument has the wrong type. From operations: where two arithmetics meet, where a
        function has no rounded form (it is named), and from everything that would turn the array
        into a plain one or into a number silently: ``np.asarray``, ``float``, ``math.sqrt``,
        assignment into a plain array, SciPy. Use `values` and `item`.
    ValueError
        If the mode is "sr_signed", the carrier cannot hold the format, or shapes do not fit.
    OverflowError
        From operations, under the overflow rule "raise".

    Notes
    -----
    **What raises** changes nothing, however many steps it has: no array, no stream, no total.

    **Operands** that are plain numbers or arrays are taken as they are, not rounded first. They do
    not change the carrier: it is float64 if one of the RoundedArrays has float64, else float32.

    **Scalars** are arrays without dimensions: indexing a single element gives one, a copy, and so
    do full reductions. As with NumPy's scalars, ``s += 1`` makes a new one. Slices are views.
    Comparisons give plain bool arrays.

    **Assignment** rounds what is assigned, each of its elements once, and then broadcasts it;
    elements of an array of the same arithmetic are copied. So do `numpy.full_like`, and
    `numpy.where`, `numpy.concatenate` and their like with plain arrays among rounded ones.

    **Signs.** ``-x``, ``abs(x)`` and `numpy.copysign` change the sign bit alone. They are rounded
    (and draw random bits) only in formats without -0 or with a smallest value that is not the
    largest one negated, as fixed-point formats are. Maxima, minima and sorting select, and round
    only where plain operands are among the candidates.

    **Powers.** With a scalar integer of up to 64, ``x**k`` is made of rounded products: from the
    leading binary digit of k on, the power is squared for each digit, and then multiplied by x if
    the digit is 1, so that ``x**5`` is ``((x*x) * (x*x)) * x``. A negative power is 1 divided by
    the positive one; ``x**0.5`` is the root.

    **Sums** run from left to right, each step rounded, in `numpy.sum`, `numpy.dot`, ``@`` and
    everything made of them: see `Arithmetic`.

    **Elementary functions**, exp, log, sin and the like, and other powers, are NumPy's float64
    value rounded once. Unlike all else, they may differ between machines where that value does.

    Functions of NumPy that do not compute (`numpy.reshape`, `numpy.stack`, ...) work as ever;
    `numpy.zeros_like` and ``numpy.zeros(..., like=x)`` give rounded arrays. A dtype of integers or
    bools gives plain arrays there, for indices and masks.

    A copy shares the arithmetic; a deep copy, and one loaded from a pickle, has its own.

    Examples
    --------
    >>> arithmetic = pysr.Arithmetic("bfloat16", "rne")
    >>> x = arithmetic.array([1.0, 2.0, 3.0])
    >>> x / 3
    RoundedArray([0.33398438, 0.66796875, 1.        ], 'bfloat16', 'rne')
    >>> x.shape, np.sqrt(x).max()
    ((3,), RoundedArray(1.734375, 'bfloat16', 'rne'))

    An algorithm that does not know of it:

    >>> def horner(coefficients, x):
    ...     y = np.zeros_like(x)
    ...     for c in coefficients:
    ...         y = y * x + c
    ...     return y
    >>> horner([1.0, -3.0, 3.0, -1.0], np.array([1.25, 1.0625]))
    array([0.015625  , 0.00024414])
    >>> horner([1.0, -3.0, 3.0, -1.0], arithmetic.array([1.25, 1.0625]))
    RoundedArray([ 0.015625  , -0.00390625], 'bfloat16', 'rne')

    Nothing is computed in double behind one's back:

    >>> np.linalg.inv(x)
    Traceback (most recent call last):
    ...
    TypeError: numpy.linalg.inv has no rounded form: use .values for a plain result
    """

    __slots__ = ("__weakref__", "arithmetic", "values")
    __array_priority__ = 1000.0
    __hash__ = None  # type: ignore[assignment]

    values: Values
    arithmetic: Arithmetic

    def __new__(
        cls, x: Any, arithmetic: Arithmetic, dtype: DTypeLike | None = None
    ) -> RoundedArray:
        if not isinstance(arithmetic, Arithmetic):
            raise TypeError(f"arithmetic must be a pysr.Arithmetic, not {arithmetic!r}")
        if arithmetic.mode == "sr_signed":
            raise ValueError(
                "mode 'sr_signed' needs a direction for every rounding, which operators on a "
                "RoundedArray have no place for"
            )
        narrow = fit_float32(arithmetic)
        carrier = None
        if dtype is not None:
            carrier = as_dtype(dtype)
            if carrier not in (_FLOAT32, _FLOAT64):
                raise TypeError(f"dtype must be float32 or float64, not {dtype!r}")
            if carrier == _FLOAT32 and not narrow:
                raise ValueError(
                    f"dtype=float32: it cannot hold every value of {arithmetic.fmt} exactly"
                )
        if isinstance(x, RoundedArray):
            values = x.values
            if x.arithmetic is arithmetic:
                return made(in_carrier(values.copy(), carrier or values.dtype), arithmetic)
        elif isinstance(x, (list, tuple)) and _holds_rounded(x):
            return made(rounded(x, arithmetic, carrier or _FLOAT64), arithmetic)
        else:
            (values,) = carriers(x=x)
        if carrier is None:
            carrier = values.dtype if narrow else _FLOAT64
        return made(operate(arithmetic, "round", (values,), carrier), arithmetic)

    # Attributes

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self.values.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.values.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.values.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The carrier's dtype: float32 or float64."""
        return self.values.dtype

    @property
    def T(self) -> RoundedArray:
        """The transpose, a view."""
        return made(self.values.T, self.arithmetic)

    @property
    def mT(self) -> RoundedArray:
        """The transposes of the matrices in the last two axes, a view."""
        return made(self.values.mT, self.arithmetic)

    def __bool__(self) -> bool:
        if self.values.size != 1:
            raise ValueError(
                f"the truth of an array of {self.values.size} elements is ambiguous: "
                "use any() or all()"
            )
        return bool(self.values.reshape(()))

    def __repr__(self) -> str:
        numbers = np.array2string(self.values, separator=", ", prefix="RoundedArray(")
        return f"RoundedArray({numbers}, {str(self.arithmetic.fmt)!r}, {self.arithmetic.mode!r})"

    def __str__(self) -> str:
        return str(self.values)

    def __format__(self, spec: str) -> str:
        if spec and not self.values.ndim:
            return format(self.values.item(), spec)
        return format(str(self), spec)

    # Elements

    if TYPE_CHECKING:  # those with axes have them: see _WithAxes

        def __len__(self) -> int: ...
        def __iter__(self) -> Iterator[RoundedArray]: ...
        def __contains__(self, x: Any) -> bool: ...
        def __getitem__(self, key: Any) -> RoundedArray: ...
        def __setitem__(self, key: Any, x: Any) -> None: ...

    def item(self, *index: Any) -> float:
        """
        Return an element as a Python float.

        Parameters
        ----------
        *index : int
            Of the element, as in `numpy.ndarray.item`; not needed if there is one only.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If there are several elements, and no index.
        IndexError
            If there is no such element.

        Examples
        --------
        >>> pysr.Arithmetic("bfloat16", "rne").array(0.1).item()
        0.10009765625
        """
        return float(self.values.item(*index))

    def tolist(self) -> Any:
        """
        Return the elements as nested lists of Python floats.

        Returns
        -------
        list or float

        Examples
        --------
        >>> pysr.Arithmetic("Q3.2", "rne").array([[0.3], [1.2]]).tolist()
        [[0.25], [1.25]]
        """
        return self.values.tolist()

    def fill(self, x: Any) -> None:
        """
        Set every element to `x`, rounded once.

        Parameters
        ----------
        x : scalar or RoundedArray of one element
        """
        self.arithmetic._at_once(_assign, self, ..., x)

    def copy(self, order: Any = "C") -> RoundedArray:
        """
        Copy the values; the arithmetic is shared.

        Parameters
        ----------
        order : {"C", "F", "A", "K"}
            Layout in memory.

        Returns
        -------
        RoundedArray

        Examples
        --------
        >>> x = pysr.Arithmetic("bfloat16", "rne").array([1.0, 2.0])
        >>> y = x.copy()
        >>> y[0] = 3
        >>> x.tolist(), y.tolist(), y.arithmetic is x.arithmetic
        ([1.0, 2.0], [3.0, 2.0], True)
        """
        return made(self.values.copy(order), self.arithmetic)

    def __copy__(self) -> RoundedArray:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> RoundedArray:
        return made(self.values.copy(), copy.deepcopy(self.arithmetic, memo))

    def __reduce__(self) -> tuple[Any, ...]:
        return made, (self.values, self.arithmetic)

    def astype(self, *_: Any, **__: Any) -> NoReturn:
        """
        Refuse: the format is the arithmetic's.

        Raises
        ------
        TypeError
            Always. `Arithmetic.array` of another arithmetic converts, and with ``dtype`` changes
            the carrier; `pysr.cast` of `values` gives other dtypes.
        """
        raise TypeError(
            "astype of a RoundedArray: use arithmetic.array(x) for another format, "
            "arithmetic.array(x, dtype) for another carrier, pysr.cast(x.values, ...) for a "
            "plain array"
        )

    # Shapes. All but flatten, repeat and take are views where NumPy's are.

    def _shaped(self, name: str, *arguments: Any, **keywords: Any) -> RoundedArray:
        return made(getattr(self.values, name)(*arguments, **keywords), self.arithmetic)

    def reshape(self, *shape: Any, order: Any = "C") -> RoundedArray:
        """
        Give another shape to the elements, in a view if possible.

        Parameters
        ----------
        *shape : int or tuple of int
            As in `numpy.ndarray.reshape`.
        order : {"C", "F", "A"}
            In which order elements are read and placed.

        Returns
        -------
        RoundedArray

        Raises
        ------
        ValueError
            If the sizes differ.
        """
        return self._shaped("reshape", *shape, order=order)

    def ravel(self, order: Any = "C") -> RoundedArray:
        """Return all elements along one axis, in a view if possible."""
        return self._shaped("ravel", order)

    def flatten(self, order: Any = "C") -> RoundedArray:
        """Return all elements along one axis, in a copy."""
        return self._shaped("flatten", order)

    def transpose(self, *axes: Any) -> RoundedArray:
        """Return a view with the axes in another order, by default the reverse."""
        return self._shaped("transpose", *axes)

    def swapaxes(self, one: int, other: int) -> RoundedArray:
        """Return a view with two axes exchanged."""
        return self._shaped("swapaxes", one, other)

    def squeeze(self, axis: Any = None) -> RoundedArray:
        """Return a view without axes of length 1."""
        return self._shaped("squeeze", axis)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> RoundedArray:
        """Return a diagonal, a view that cannot be written to."""
        return self._shaped("diagonal", offset, axis1, axis2)

    def take(self, indices: Any, axis: int | None = None) -> RoundedArray:
        """Return the elements with these indices along an axis."""
        return self._shaped("take", indices, axis)

    def repeat(self, repeats: Any, axis: int | None = None) -> RoundedArray:
        """Return an array with elements repeated."""
        return self._shaped("repeat", repeats, axis)

    def conj(self) -> RoundedArray:
        """Return a copy: the numbers are real."""
        return self.copy()

    conjugate = conj

    # Order and truth: nothing is rounded

    def sort(self, axis: int = -1) -> None:
        """Sort in place, along an axis."""
        self.values.sort(axis)

    def argsort(self, axis: int | None = -1, kind: Any = None) -> Any:
        """Return the indices that would sort, a plain array."""
        return self.values.argsort(axis, kind)

    def argmax(self, axis: int | None = None) -> Any:
        """Return the index of the first largest element, as plain integers."""
        return self.values.argmax(axis)

    def argmin(self, axis: int | None = None) -> Any:
        """Return the index of the first smallest element, as plain integers."""
        return self.values.argmin(axis)

    def nonzero(self) -> tuple[Values, ...]:
        """Return the indices of elements other than 0, plain arrays."""
        return self.values.nonzero()

    def any(self, axis: Axis = None) -> Any:
        """Tell whether any element is not 0."""
        return self.values.any(axis)

    def all(self, axis: Axis = None) -> Any:
        """Tell whether no element is 0."""
        return self.values.all(axis)

    def max(self, axis: Axis = None, *, keepdims: bool = False) -> RoundedArray:
        """
        Return the largest element.

        Parameters
        ----------
        axis : int or tuple of int, optional
            By default all.
        keepdims : bool
            Whether the axes stay, with length 1.

        Returns
        -------
        RoundedArray
            NaN where there is one.

        Raises
        ------
        ValueError
            If there is no element.
        """
        return self._extreme("max", axis, keepdims)

    def min(self, axis: Axis = None, *, keepdims: bool = False) -> RoundedArray:
        """
        Return the smallest element.

        Parameters
        ----------
        axis, keepdims
            As in `max`.

        Returns
        -------
        RoundedArray
            NaN where there is one.

        Raises
        ------
        ValueError
            If there is no element.
        """
        return self._extreme("min", axis, keepdims)

    def _extreme(self, name: str, axis: Axis, keepdims: bool) -> RoundedArray:
        axes = tuple(axes_of(self.values, axis)[0])
        return self._shaped(name, axes, keepdims=a_flag(keepdims, "keepdims"))

    def clip(self, min: Any = None, max: Any = None) -> RoundedArray:
        """
        Limit the elements.

        Parameters
        ----------
        min, max : array_like or RoundedArray, optional
            The limits; plain ones are taken as they are, and results rounded then.

        Returns
        -------
        RoundedArray
        """
        x: Any = self
        return np.clip(x, min, max)  # type: ignore[no-any-return]

    # Reductions

    def sum(
        self,
        axis: Axis = None,
        *,
        keepdims: bool = False,
        order: str = "sequential",
        block: int | None = None,
    ) -> RoundedArray:
        """
        Add the elements.

        Parameters
        ----------
        axis : int or tuple of int, optional
            Along which; by default all, in C order.
        keepdims : bool
            Whether the axes stay, with length 1.
        order, block
            As in `Arithmetic.sum`.

        Returns
        -------
        RoundedArray

        Examples
        --------
        >>> x = pysr.Arithmetic("bfloat16", "rne").array([[256.0, 1.0], [1.0, 1.0]])
        >>> x.sum(), x.sum(axis=0)
        (RoundedArray(256., 'bfloat16', 'rne'), RoundedArray([256.,   2.], 'bfloat16', 'rne'))
        """
        total = self.arithmetic.sum(self.values, axis, order=order, block=block, keepdims=keepdims)
        return made(total, self.arithmetic)

    def prod(self, axis: Axis = None, *, keepdims: bool = False) -> RoundedArray:
        """
        Multiply the elements, from left to right.

        Parameters
        ----------
        axis, keepdims
            As in `sum`.

        Returns
        -------
        RoundedArray
        """
        return made(self.arithmetic.prod(self.values, axis, keepdims=keepdims), self.arithmetic)

    def mean(self, axis: Axis = None, *, keepdims: bool = False) -> RoundedArray:
        """
        Average the elements: `Arithmetic.mean`.

        Parameters
        ----------
        axis, keepdims
            As in `sum`.

        Returns
        -------
        RoundedArray
        """
        return made(self.arithmetic.mean(self.values, axis, keepdims=keepdims), self.arithmetic)

    def cumsum(self, axis: int | None = None) -> RoundedArray:
        """
        Return all partial sums, each step rounded.

        Parameters
        ----------
        axis : int, optional
            Along which; by default all elements, in C order.

        Returns
        -------
        RoundedArray
        """
        return made(self.arithmetic.cumsum(self.values, axis), self.arithmetic)

    def cumprod(self, axis: int | None = None) -> RoundedArray:
        """
        Return all partial products, each step rounded.

        Parameters
        ----------
        axis : int, optional
            As in `cumsum`.

        Returns
        -------
        RoundedArray
        """
        return made(self.arithmetic.cumprod(self.values, axis), self.arithmetic)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> RoundedArray:
        """Add the elements of a diagonal, from left to right."""
        return self.diagonal(offset, axis1, axis2).sum(axis=-1)

    def dot(self, other: Any) -> RoundedArray:
        """
        Multiply as `numpy.dot` does.

        Parameters
        ----------
        other : array_like or RoundedArray

        Returns
        -------
        RoundedArray

        Raises
        ------
        ValueError
            If shapes do not fit.
        """
        return np.dot(self, other)  # type: ignore[no-any-return]

    # Operators

    __add__ = _operator("add")
    __radd__ = _operator("add", True)
    __sub__ = _operator("sub")
    __rsub__ = _operator("sub", True)
    __mul__ = _operator("mul")
    __rmul__ = _operator("mul", True)
    __truediv__ = _operator("div")
    __rtruediv__ = _operator("div", True)
    __iadd__ = _assigned(__add__)
    __isub__ = _assigned(__sub__)
    __imul__ = _assigned(__mul__)
    __itruediv__ = _assigned(__truediv__)

    def __pow__(self, other: Any) -> Any:
        if not isinstance(other, RoundedArray) and not isinstance(other, _PLAIN):
            return NotImplemented
        result = raised(self, other)
        return np.power(self, other) if result is None else result

    def __rpow__(self, other: Any) -> Any:
        return np.power(other, self) if isinstance(other, _PLAIN) else NotImplemented

    __ipow__ = _assigned(__pow__)

    def __matmul__(self, other: Any) -> Any:
        return matrix_product(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return matrix_product(other, self)

    def __imatmul__(self, other: Any) -> Any:
        check_target(self.values)
        if isinstance(other, (RoundedArray, *_PLAIN)):
            check_product(self, other, self.values.shape)
        result = matrix_product(self, other)
        if result is not NotImplemented:
            self.values[...] = in_carrier(result.values, self.dtype)
            result = self
        return result

    def __neg__(self) -> RoundedArray:
        return signs_changed(np.asarray(-self.values), self.arithmetic)

    def __pos__(self) -> RoundedArray:
        return made(self.values.copy(), self.arithmetic)

    def __abs__(self) -> RoundedArray:
        return signs_changed(np.asarray(abs(self.values)), self.arithmetic)

    __eq__ = _comparison(operator.eq)
    __ne__ = _comparison(operator.ne)
    __lt__ = _comparison(operator.lt)
    __le__ = _comparison(operator.le)
    __gt__ = _comparison(operator.gt)
    __ge__ = _comparison(operator.ge)

    # NumPy's protocols

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        if method == "__call__" and not keywords and ufunc in _OPERATORS:
            x, y = inputs
            if isinstance(x, RoundedArray):
                result = _OPERATORS[ufunc][0](x, y)
            else:
                result = _OPERATORS[ufunc][1](y, x)
            if result is not NotImplemented:
                return result
        from pysr._array_protocols import call_ufunc

        return call_ufunc(ufunc, method, inputs, keywords)

    def __array_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
    ) -> Any:
        from pysr._array_protocols import call_function

        return call_function(self, function, types, arguments, keywords)

    __array__ = _refused("a plain array")
    __float__ = _refused("float()")
    __int__ = _refused("int()")
    __complex__ = _refused("complex()")
    __index__ = _refused("an index made")


class _WithAxes(RoundedArray):
    """
    A RoundedArray of one dimension or more.

    Those of none cannot be indexed, for what can is a sequence to NumPy, which would answer their
    assignment to an element of a plain array by a ValueError about sequences.
    """

    __slots__ = ("read", "written")

    read: int  # when: of a row
    written: tuple[int, int, int, int, Values]  # of the last row put in the place of another

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[RoundedArray]:
        return (self[i] for i in range(len(self.values)))

    def __contains__(self, x: Any) -> bool:
        return bool(np.any(self == x))

    def __getitem__(self, key: Any) -> RoundedArray:
        values = self.values[key]
        if type(values) is np.ndarray:
            row = made(values, self.arithmetic)
            if type(key) is int:
                row.read = next(_moment)  # type: ignore[attr-defined]
            return row
        array = _new(RoundedArray)
        array.values = np.array(values)
        array.arithmetic = self.arithmetic
        return array

    def __setitem__(self, key: Any, x: Any) -> None:
        values = self.values
        if isinstance(x, RoundedArray) and x.arithmetic is self.arithmetic:
            if type(key) is int and hasattr(x, "read"):
                self._check_swap(key, x)
            values[key] = in_carrier(x.values, values.dtype)
        else:
            self.arithmetic._at_once(_assign, self, key, x)

    def _check_swap(self, key: int, x: Any) -> None:
        """
        Refuse ``x[i], x[j] = x[j], x[i]``, whose second row has been overwritten by the first.

        NumPy shuffles so whatever is not an array of its own.
        """
        row = self.values[key]
        to, source = (a.__array_interface__["data"][0] for a in (row, x.values))
        moment, place, *was, old = getattr(self, "written", (0, 0, 0, 0, row))
        if was == [source, to] and x.read < moment:
            self.values[place] = old
            raise ValueError(
                f"rows {place} and {key} are swapped through views, which would lose one: "
                "x[[i, j]] = x[[j, i]] swaps, x[rng.permutation(len(x))] shuffles"
            )
        if to != source and row.size:
            self.written = next(_moment), key, to, source, row.copy()


def _assign(array: RoundedArray, key: Any, x: Any) -> None:
    array.values[key] = rounded(x, array.arithmetic, array.values.dtype)


_WithAxes.__name__ = _WithAxes.__qualname__ = "RoundedArray"  # it is not a type of its own to users

# What ufuncs do for two operands, at once; else pysr._array_protocols does it.
_OPERATORS = {
    np.add: (RoundedArray.__add__, RoundedArray.__radd__),
    np.subtract: (RoundedArray.__sub__, RoundedArray.__rsub__),
    np.multiply: (RoundedArray.__mul__, RoundedArray.__rmul__),
    np.divide: (RoundedArray.__truediv__, RoundedArray.__rtruediv__),
}
