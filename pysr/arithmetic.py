"""Arithmetic in a format: every result rounded once, from its exact value."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.exceptions import AxisError
from numpy.typing import ArrayLike, DTypeLike, NDArray

from pysr._core.arithmetic import OPERATIONS, Counts, Operation, at_once, stream_of
from pysr._core.formats import Format
from pysr._core.formats import arithmetic_format as to_format
from pysr._core.philox import Philox
from pysr._core.reductions import Reducer
from pysr._core.rounding import broadcast_shapes, carriers, check_out, encode
from pysr._core.threads import MOST_THREADS

if TYPE_CHECKING:
    from pysr._core.rounding import Rng
    from pysr.array import RoundedArray

Result = TypeVar("Result")
Spec = str | DTypeLike | Format


def _size(shape: Iterable[int]) -> int:
    return math.prod(shape)


def _put(result: NDArray[Any], out: NDArray[Any] | None) -> Any:
    """What a reduction returns: `out`, or a scalar in place of an array without dimensions."""
    if out is None:
        return result[()] if result.ndim == 0 else result
    out[...] = result
    return out


Axes = int | tuple[int, ...] | None


def an_integer(value: Any, name: str) -> int:
    """An argument as an integer, which bools are none of."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, not {value!r}") from None


def a_thread_count(threads: Any) -> int | None:
    """An argument `threads`: None, or a number of them."""
    if threads is None:
        return None
    count = an_integer(threads, "threads")
    if not 1 <= count <= MOST_THREADS:
        raise ValueError(f"threads={count} is outside [1, {MOST_THREADS}]")
    return count


def an_axis(axis: Any, ndim: int) -> int:
    """An axis, counted from the first."""
    found = an_integer(axis, "axis")
    if not -ndim <= found < ndim:
        raise AxisError(found, ndim)
    return found % ndim


def axes_of(array: NDArray[Any], axis: Axes) -> tuple[list[int], list[int]]:
    """Axes along which terms lie, and the others."""
    ndim = array.ndim
    if axis is None or (ndim == 0 and type(axis) is int and axis in (0, -1)):  # as NumPy has it
        axis = tuple(range(ndim))
    chosen = [an_axis(n, ndim) for n in (axis if isinstance(axis, tuple) else (axis,))]
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"repeated axis in `axis`: {axis}")
    return sorted(chosen), [n for n in range(ndim) if n not in chosen]


def a_flag(value: Any, name: str) -> bool:
    """A bool, or an integer as one."""
    try:
        return bool(value if isinstance(value, np.bool_) else operator.index(value))
    except TypeError:
        raise TypeError(f"{name} must be a bool, not {value!r}") from None


def _shape(array: NDArray[Any], axis: Axes, keepdims: bool) -> tuple[int, ...]:
    """The results' shape."""
    axes, kept = axes_of(array, axis)
    if a_flag(keepdims, "keepdims"):
        return tuple(1 if n in axes else length for n, length in enumerate(array.shape))
    return tuple(array.shape[n] for n in kept)


def _rows(array: NDArray[Any], axis: Axes) -> NDArray[Any]:
    """The terms of each result in a row."""
    axes, kept = axes_of(array, axis)
    shape = _size(array.shape[n] for n in kept), _size(array.shape[n] for n in axes)
    return array.transpose(*kept, *axes).reshape(shape)


class Arithmetic:
    """
    Operations on arrays whose exact results are rounded once.

    ``Arithmetic("bfloat16").add(x, y)`` is the sum of `x` and `y`, computed as if exactly and then
    rounded to bfloat16: never rounded to float32 or float64 first. Operands are taken as they are,
    of the format or not.

    Parameters
    ----------
    fmt : str, dtype or Format
        What `pysr.format` takes.
    mode : str
        As in `pysr.round`.
    rng : None, int, SeedSequence, Generator, BitGenerator or Philox
        Where random bits come from. All operations draw from one stream, which moves on with each:
        a `Philox`, or a Generator over one, as it is; a seed gives a stream of its own.
    eps, random_bits, variant, overflow
        As in `pysr.round`.
    formats : mapping, optional
        Formats of single operations: ``{"mul": "float16"}`` rounds products to float16 and
        everything else to `fmt`.

    Attributes
    ----------
    fmt : Format
    mode : str
    stream : Philox
    counts : Counts
        Totals over all operations since the last ``counts.reset()``.

    Raises
    ------
    ValueError
        If an argument is out of range, or float32 operands cannot hold the format.
    TypeError
        If an argument has the wrong type.
    OverflowError
        From an operation, under the overflow rule "raise", naming the first element and its
        operands, or the first result of many terms; under "wrap", where a result is infinite.
        Nothing is written, the stream stays where it was, and nothing is counted.

    Notes
    -----
    Arrays of float32 (also float16 and ml_dtypes' types) give float32 results; everything else,
    mixed operands included, gives float64. A result that is NaN is the positive one without
    payload. The definition is S7 and S8 of docs/specification.md. Operations may run in several
    threads; each call takes its random bits and adds its totals at once.

    A copy, or an instance pickled and loaded again, has a stream and totals of its own that go on
    from the same place.

    Examples
    --------
    >>> arithmetic = pysr.Arithmetic("bfloat16", "rne")
    >>> arithmetic.add(np.float32([1.0, 256.0]), np.float32(0.0078125))
    array([  1.0078125, 256.       ], dtype=float32)
    >>> arithmetic.counts.inexact
    1

    A sum a hair above a tie goes up; rounded to float64 first, it would be the tie:

    >>> arithmetic.add(1.00390625, 2.0**-60)
    np.float64(1.0078125)
    >>> pysr.round(1.00390625 + 2.0**-60, "bfloat16", "rne")
    np.float64(1.0)
    """

    def __init__(
        self,
        fmt: Spec,
        mode: str = "sr",
        *,
        rng: Rng = None,
        eps: float = 0.0,
        random_bits: int | str = "exact",
        variant: str = "a",
        overflow: str | None = None,
        formats: Mapping[str, Spec] | None = None,
    ) -> None:
        if not isinstance(formats, (Mapping, type(None))):
            raise TypeError(f"formats must be a mapping of operations to formats, not {formats!r}")
        own = dict(formats or {})
        for name, spec in own.items():
            if name not in OPERATIONS:
                raise ValueError(f"formats has {name!r}: not one of {', '.join(OPERATIONS)}")
            try:
                to_format(spec)
            except (TypeError, ValueError) as error:
                text = str(error).replace("fmt", f"formats[{name!r}]", 1)
                raise type(error)(text) from None
        self._arguments = (fmt, mode, eps, random_bits, variant, overflow, own)
        self._operations = {
            name: Operation(name, own.get(name, fmt), mode, eps, random_bits, variant, overflow)
            for name in OPERATIONS
        }
        self._reducers: dict[tuple[Spec, Spec], Reducer] = {}
        self.fmt = Operation("round", fmt, mode, eps, random_bits, variant, overflow).fmt
        self.mode = mode
        self.counts = Counts()
        self.stream: Philox = stream_of(rng)

    def round(
        self,
        x: ArrayLike,
        *,
        direction: ArrayLike | None = None,
        out: NDArray[Any] | None = None,
        where: ArrayLike | None = None,
    ) -> Any:
        """
        Round `x`, as `pysr.round` does.

        Parameters
        ----------
        x : array_like
        direction, out, where
            As in `add`.

        Returns
        -------
        ndarray or scalar
        """
        operation = self._operations["round"]
        return operation((x,), self.stream, self.counts, direction, out, where)

    def add(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        direction: ArrayLike | None = None,
        out: NDArray[Any] | None = None,
        where: ArrayLike | None = None,
    ) -> Any:
        """
        Add.

        Parameters
        ----------
        x, y : array_like
            Operands, which broadcast.
        direction : array_like, optional
            For mode "sr_signed", and needed there: only its sign counts.
        out : ndarray, optional
            Where to put the result: of its shape and type, any strides. May overlap an operand.
        where : array_like of bool, optional
            Which elements to compute. The others keep their value in `out`, and are 0 without it;
            they are not looked at and not counted, and keep their place in the stream.

        Returns
        -------
        ndarray or scalar
            Values of the format, in float32 or float64.

        Examples
        --------
        >>> pysr.Arithmetic("Q3.8", "rne").add(1.0, [0.001, 0.002])
        array([1.        , 1.00390625])
        """
        return self._operations["add"]((x, y), self.stream, self.counts, direction, out, where)

    def sub(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        direction: ArrayLike | None = None,
        out: NDArray[Any] | None = None,
        where: ArrayLike | None = None,
    ) -> Any:
        """
        Subtract `y` from `x`.

        Parameters
        ----------
        x, y : array_like
        direction, out, where
            As in `add`.

        Returns
        -------
        ndarray or scalar
        """
        operation = self._operations["sub"]
        return operation((x, y), self.stream, self.counts, direction, out, where)

    def mul(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        direction: ArrayLike | None = None,
        out: NDArray[Any] | None = None,
        where: ArrayLike | None = None,
    ) -> Any:
        """
        Multiply.

        Parameters
        ----------
        x, y : array_like
        direction, out, where
            As in `add`.

        Returns
        -------
        ndarray or scalar
        """
        operation = self._operations["mul"]
        return operation((x, y), self.stream, self.counts, direction, out, where)

    def div(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        direction: ArrayLike | None = None,
        out: NDArray[Any] | None = None,
        where: ArrayLike | None = None,
    ) -> Any:
        """
        Divide `x` by `y`.

        A quotient may have infinitely many bits: mode "sr" looks at 144 of those that are dropped.

        Parameters
        ----------
        x, y : array_like
        direction, out, where
            As in `add`.

        Returns
        -------
        ndarray or scalar
        """
        operation = self._operations["div"]
        return operation((x, y), self.stream, self.counts, direction, out, where)

    def sqrt(
        self,
        x: ArrayLike,
        *,
        direction: ArrayLike | None = None,
        out: NDArray[Any] | None = None,
        where: ArrayLike | None = None,
    ) -> Any:
        """
        Take the square root.

        Like a quotient's, a root's bits may go on without end: see `div`.

        Parameters
        ----------
        x : array_like
        direction, out, where
            As in `add`.

        Returns
        -------
        ndarray or scalar
        """
        operation = self._operations["sqrt"]
        return operation((x,), self.stream, self.counts, direction, out, where)

    def fma(
        self,
        x: ArrayLike,
        y: ArrayLike,
        z: ArrayLike,
        *,
        direction: ArrayLike | None = None,
        out: NDArray[Any] | None = None,
        where: ArrayLike | None = None,
    ) -> Any:
        """
        Compute ``x * y + z``, rounded once.

        Parameters
        ----------
        x, y, z : array_like
        direction, out, where
            As in `add`.

        Returns
        -------
        ndarray or scalar
        """
        operation = self._operations["fma"]
        return operation((x, y, z), self.stream, self.counts, direction, out, where)

    def sum(
        self,
        x: ArrayLike,
        axis: int | tuple[int, ...] | None = None,
        *,
        order: str = "sequential",
        block: int | None = None,
        keepdims: bool = False,
        out: NDArray[Any] | None = None,
    ) -> Any:
        """
        Sum, every addition rounded.

        Parameters
        ----------
        x : array_like
            Terms, which are taken as they are.
        axis : int or tuple of int, optional
            Along which to sum, in C order where they are several. Default: all.
        order : {"sequential", "pairwise", "blocked", "exact"}
            From left to right; as a tree that splits at the largest power of two below the number
            of terms; from left to right inside blocks, then over their sums; or the exact sum,
            rounded once.
        block : int, optional
            Terms of a block, for the order "blocked".
        keepdims : bool
            Keep the axes, with length 1.
        out : ndarray, optional
            Where to put the result: of its shape and type.

        Returns
        -------
        ndarray or scalar
            The sum of one term is that term rounded, the sum of none 0 (in a format without zero
            NaN, or an OverflowError under the rule "raise").

        Raises
        ------
        ValueError
            If the order and the block do not go together, or in mode "sr_signed", whose direction
            is for one rounding.

        Notes
        -----
        Every result has random words of its own: the number of terms or tiles of another result
        changes nothing. S8 of docs/specification.md says which.

        Examples
        --------
        >>> arithmetic = pysr.Arithmetic("bfloat16", "rne")
        >>> float(arithmetic.sum(np.ones(1000)))
        256.0
        >>> float(arithmetic.sum(np.ones(1000), order="pairwise"))
        1000.0
        """
        return self._reduce("sum", x, axis, order, block, keepdims, out)

    def prod(
        self,
        x: ArrayLike,
        axis: int | tuple[int, ...] | None = None,
        *,
        order: str = "sequential",
        block: int | None = None,
        keepdims: bool = False,
        out: NDArray[Any] | None = None,
    ) -> Any:
        """
        Multiply all, every product rounded.

        Parameters
        ----------
        x, axis, order, block, keepdims, out
            As in `sum`; there is no order "exact".

        Returns
        -------
        ndarray or scalar
            The product of none is 1, rounded.

        Examples
        --------
        >>> float(pysr.Arithmetic("float16", "rne").prod([3.0, 5.0, 7.0]))
        105.0
        """
        if order == "exact":
            raise ValueError("order='exact' is for sums: a product is rounded at every step")
        return self._reduce("prod", x, axis, order, block, keepdims, out)

    def cumsum(
        self, x: ArrayLike, axis: int | None = None, *, out: NDArray[Any] | None = None
    ) -> Any:
        """
        Sum as far as each term: element t is the sequential sum of the first t + 1 terms.

        Parameters
        ----------
        x : array_like
        axis : int, optional
            Default: of the flattened array.
        out : ndarray, optional
            Where to put the result: of its shape and type.

        Returns
        -------
        ndarray

        Examples
        --------
        >>> pysr.Arithmetic("bfloat16", "rne").cumsum([256.0, 1.0, 1.0, 2.0])
        array([256., 256., 256., 258.])
        """
        return self._running("sum", x, axis, out)

    def cumprod(
        self, x: ArrayLike, axis: int | None = None, *, out: NDArray[Any] | None = None
    ) -> Any:
        """
        Multiply as far as each term.

        Parameters
        ----------
        x, axis, out
            As in `cumsum`.

        Returns
        -------
        ndarray
        """
        return self._running("prod", x, axis, out)

    def mean(
        self,
        x: ArrayLike,
        axis: int | tuple[int, ...] | None = None,
        *,
        order: str = "sequential",
        block: int | None = None,
        keepdims: bool = False,
        out: NDArray[Any] | None = None,
    ) -> Any:
        """
        Sum, and divide by the number of terms: `sum`, then `div`, which draw one after the other.

        Parameters
        ----------
        x, axis, order, block, keepdims, out
            As in `sum`.

        Returns
        -------
        ndarray or scalar
        """
        (array,) = carriers(x=x)
        rows, shape = _rows(array, axis), _shape(array, axis, keepdims)
        dtype = array.dtype.newbyteorder("=")
        if out is not None:
            check_out(out, shape, dtype)
        reducer, divide = self._reducer("add"), self._operations["div"]
        divide((rows[:0], rows[:0]), self.stream, self.counts)  # can they hold the format?
        terms = rows.shape[1]
        count = dtype.type(terms)

        def steps() -> Any:
            total = reducer.along("sum", order, block, False, rows, self.stream, self.counts)
            if int(count) == terms:
                return divide((total, count), self.stream, self.counts)
            quotient = divide((total, np.float64(terms)), self.stream, self.counts)
            return encode(quotient, "binary32", "rne").view(dtype)  # exactly

        return _put(np.asarray(self._at_once(steps)).reshape(shape), out)

    def norm2(
        self,
        x: ArrayLike,
        axis: int | tuple[int, ...] | None = None,
        *,
        order: str = "sequential",
        block: int | None = None,
        keepdims: bool = False,
        out: NDArray[Any] | None = None,
    ) -> Any:
        """
        Take the root of the sum of squares: `mul`, then `sum`, then `sqrt`, one after the other.

        Parameters
        ----------
        x, axis, order, block, keepdims, out
            As in `sum`.

        Returns
        -------
        ndarray or scalar

        Examples
        --------
        >>> float(pysr.Arithmetic("float8_e4m3fn", "rne").norm2([3.0, 4.0]))
        5.0
        """
        (array,) = carriers(x=x)
        shape = _shape(array, axis, keepdims)
        if out is not None:
            check_out(out, shape, array.dtype.newbyteorder("="))
        reducer = self._reducer("add")
        multiply, root = self._operations["mul"], self._operations["sqrt"]

        def steps() -> Any:
            squares = np.asarray(multiply((array, array), self.stream, self.counts))
            rows = _rows(squares, axis)
            total = reducer.along("sum", order, block, False, rows, self.stream, self.counts)
            return root((total,), self.stream, self.counts)

        return _put(np.asarray(self._at_once(steps)).reshape(shape), out)

    def dot(self, a: ArrayLike, b: ArrayLike, **keywords: Any) -> Any:
        """
        Multiply as `numpy.dot` does, every product and every sum rounded.

        Parameters
        ----------
        a, b : array_like
            Vectors or matrices; a scalar makes it `mul`.
        **keywords
            As in `matmul`.

        Returns
        -------
        ndarray or scalar
        """
        (x, y) = carriers(a=a, b=b)
        if x.ndim == 0 or y.ndim == 0:
            return self.mul(x, y, **keywords)
        if x.ndim > 2 or y.ndim > 2:
            raise ValueError(
                f"dot takes vectors and matrices, not a {x.shape}, b {y.shape}: see matmul"
            )
        return self.matmul(x, y, **keywords)

    def matmul(
        self,
        a: ArrayLike,
        b: ArrayLike,
        *,
        accumulate: str = "separate",
        block: int | None = None,
        order: str = "sequential",
        products: Spec | None = None,
        align_bits: int | None = None,
        initial: ArrayLike | None = None,
        out: NDArray[Any] | None = None,
    ) -> Any:
        """
        Multiply matrices, every operation rounded.

        Parameters
        ----------
        a, b : array_like
            As in `numpy.matmul`: vectors, matrices or stacks of them, which broadcast.
        accumulate : {"separate", "fma", "block"}
            Products are rounded on their own, and so are their sums; each product is added and
            both rounded once; or so many products, and what has been summed, are summed exactly
            and rounded once, as tensor cores do.
        block : int, optional
            Products of a block, for ``accumulate="block"``, or terms, for ``order="blocked"``.
        order : {"sequential", "pairwise", "blocked", "exact"}
            Of the sums, with ``accumulate="separate"``: see `sum`.
        products : str, dtype or Format, optional
            The format of products, with ``accumulate="separate"``. Default: that of "mul" in
            `formats`, or `fmt`.
        align_bits : int, optional
            With ``accumulate="block"``, how many bits the largest term of a block keeps, of its
            products and of what has been summed: all of them are cut off below the last of these
            bits before they are summed, as the shifters of matrix units do. Default: nothing is
            cut off. A product counts as large as the exponents of its factors together say.
        initial : array_like, optional
            What the sums start from, broadcast to the result's shape: it joins the first addition.
        out : ndarray, optional
            Where to put the result: of its shape and type.

        Returns
        -------
        ndarray or scalar

        Raises
        ------
        ValueError
            If shapes do not match, or options do not go together.

        Examples
        --------
        >>> a = np.full((2, 512), 1.0)
        >>> pysr.Arithmetic("bfloat16", "rne").matmul(a, a.T)
        array([[256., 256.],
               [256., 256.]])
        >>> pysr.Arithmetic("bfloat16", "rne").matmul(a, a.T, accumulate="block", block=16)
        array([[512., 512.],
               [512., 512.]])
        """
        if accumulate not in ("separate", "fma", "block"):
            raise ValueError(f"accumulate={accumulate!r} is not 'separate', 'fma' or 'block'")
        if accumulate != "separate" and (order != "sequential" or products is not None):
            name, value = ("products", products) if order == "sequential" else ("order", order)
            raise ValueError(f"{name}={value!r} goes with accumulate='separate' alone")
        if products is not None:
            try:
                products = to_format(products)
            except (TypeError, ValueError) as error:
                raise type(error)(f"products: {error}") from None
        given = {"a": a, "b": b} if initial is None else {"a": a, "b": b, "initial": initial}
        x, y, *start = carriers(**given)
        if x.ndim == 0 or y.ndim == 0:
            raise ValueError(f"matmul takes no scalars: a {x.shape}, b {y.shape}")
        left = x[np.newaxis, :] if x.ndim == 1 else x
        right = y[:, np.newaxis] if y.ndim == 1 else y
        if left.shape[-1] != right.shape[-2]:
            raise ValueError(
                f"shapes do not match: a {x.shape}, b {y.shape}, and {left.shape[-1]} is not "
                f"{right.shape[-2]}"
            )
        try:
            stack = broadcast_shapes(left.shape[:-2], right.shape[:-2])
        except ValueError:
            raise ValueError(f"stacks do not broadcast: a {x.shape}, b {y.shape}") from None
        shape = stack + left.shape[-2:-1] + right.shape[-1:]
        rows = (
            shape[:-2] + (shape[-2:-1] if x.ndim > 1 else ()) + (shape[-1:] if y.ndim > 1 else ())
        )
        if out is not None:
            check_out(out, rows, x.dtype.newbyteorder("="))
        stacked = (_size(stack),)
        if start:
            try:
                start = [np.broadcast_to(start[0], rows).reshape(stacked + shape[-2:])]
            except ValueError:
                raise ValueError(f"initial has shape {start[0].shape}, the result {rows}") from None
        result = self._reducer("fma" if accumulate != "separate" else "add", products).inner(
            accumulate,
            order,
            block,
            align_bits,
            np.broadcast_to(left, stack + left.shape[-2:]).reshape(stacked + left.shape[-2:]),
            np.broadcast_to(right, stack + right.shape[-2:]).reshape(stacked + right.shape[-2:]),
            start[0] if start else None,
            self.stream,
            self.counts,
        )
        return _put(result.reshape(rows), out)

    def array(self, x: ArrayLike | RoundedArray, dtype: DTypeLike | None = None) -> RoundedArray:
        """
        Round `x` into an array whose every operation is rounded.

        Parameters
        ----------
        x : array_like or RoundedArray
        dtype : dtype, optional
            The carrier, as in `RoundedArray`.

        Returns
        -------
        RoundedArray

        Raises
        ------
        TypeError, ValueError, OverflowError
            As in `RoundedArray`.

        Examples
        --------
        >>> x = pysr.Arithmetic("Q3.8", "rne").array([1.0, 2.0, 3.0])
        >>> 1 / x
        RoundedArray([1.        , 0.5       , 0.33203125], 'Q3.8', 'rne')
        """
        from pysr.array import RoundedArray

        return RoundedArray(x, self, dtype)

    def _reducer(self, sums: str, products: Spec | None = None) -> Reducer:
        fmt, mode, eps, random_bits, variant, overflow, own = self._arguments
        if mode == "sr_signed":
            raise ValueError(
                "mode 'sr_signed' takes a direction for one rounding, and a result here takes many"
            )
        used = (own.get(sums, fmt), own.get("mul", fmt) if products is None else products)
        found = self._reducers.get(used)
        if found is None:
            found = Reducer(*used, mode, eps, random_bits, variant, overflow)
            self._reducers[used] = found
        return found

    def _reduce(
        self,
        terms: str,
        x: ArrayLike,
        axis: Axes,
        order: str,
        block: int | None,
        keepdims: bool,
        out: NDArray[Any] | None,
    ) -> Any:
        (array,) = carriers(x=x)
        rows, shape = _rows(array, axis), _shape(array, axis, keepdims)
        if out is not None:
            check_out(out, shape, array.dtype.newbyteorder("="))
        reducer = self._reducer("add" if terms == "sum" else "mul")
        result = reducer.along(terms, order, block, False, rows, self.stream, self.counts)
        return _put(result.reshape(shape), out)

    def _running(self, terms: str, x: ArrayLike, axis: int | None, out: NDArray[Any] | None) -> Any:
        (array,) = carriers(x=x)
        if axis is None or (array.ndim == 0 and type(axis) is int):
            array, axis = array.reshape(-1), 0 if axis is None else axis
        axis = an_axis(axis, array.ndim)
        if out is not None:
            check_out(out, array.shape, array.dtype.newbyteorder("="))
        last = np.moveaxis(array, axis, -1)
        reducer = self._reducer("add" if terms == "sum" else "mul")
        rows = last.reshape((_size(last.shape[:-1]), last.shape[-1]))
        result = reducer.along(terms, "sequential", None, True, rows, self.stream, self.counts)
        return _put(np.moveaxis(result.reshape(last.shape), -1, axis), out)

    def _at_once(self, function: Callable[..., Result], *arguments: Any, **keywords: Any) -> Result:
        """A call whose operations draw and count together or, if it raises, not at all."""
        draws = self.mode.startswith("sr")
        return at_once(draws, self.stream, self.counts, function, *arguments, **keywords)

    def __repr__(self) -> str:
        _, mode, *rest = self._arguments
        names = ("eps", "random_bits", "variant", "overflow", "formats")
        defaults: tuple[Any, ...] = (0.0, "exact", "a", None, {})
        given = "".join(
            f", {name}={value!r}"
            for name, value, default in zip(names, rest, defaults, strict=True)
            if value != default
        )
        return f"Arithmetic({str(self.fmt)!r}, {mode!r}{given})"

    def __getstate__(self) -> tuple[Any, ...]:
        return self._arguments, self.stream, self.counts

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        (fmt, mode, eps, random_bits, variant, overflow, own), stream, counts = state
        self.__init__(  # type: ignore[misc]
            fmt,
            mode,
            rng=stream,
            eps=eps,
            random_bits=random_bits,
            variant=variant,
            overflow=overflow,
            formats=own,
        )
        self.counts = counts

    def __copy__(self) -> Arithmetic:
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> Arithmetic:
        import copy

        twin = Arithmetic.__new__(Arithmetic)
        twin.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return twin
