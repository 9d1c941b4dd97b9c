"""What all factorizations share: operands, the steps they are made of, stacks, errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import NDArray

from pysr._core.arithmetic import Counts
from pysr._core.formats import Format
from pysr._core.rounding import carriers
from pysr.arithmetic import Arithmetic
from pysr.array import RoundedArray, different, made

Values = NDArray[Any]


def unit_roundoff(arithmetic: Arithmetic) -> float:
    """
    Bound the relative error of a rounding, in fixed point the error of one.

    That is half a quantum at 1 in the modes to nearest, a quantum in the others.
    """
    fmt = arithmetic.fmt
    quantum = 2.0**fmt.qmin if fmt.precision is None else 2.0 ** (1 - fmt.precision)
    return quantum / 2 if arithmetic.mode in ("rne", "rna", "rnz") else quantum


def top_exponent(fmt: Format) -> int:
    """Return the largest E with 2^E no larger than `max` and, in fixed point, one quantum."""
    return math.frexp(fmt.max)[1] - (fmt.precision is not None)


class Steps:
    """
    The operations that factorizations are made of, drawing and counting together.

    Parameters
    ----------
    arithmetic : Arithmetic
        With a stream and totals of its own.
    accumulate, block, order
        Of inner products, as in `Arithmetic.matmul`.
    """

    def __init__(
        self, arithmetic: Arithmetic, accumulate: str, block: int | None, order: str
    ) -> None:
        self.arithmetic = arithmetic
        self.fused = accumulate != "separate"
        self.sequential = order == "sequential"
        self.options: dict[str, Any] = {"accumulate": accumulate, "block": block, "order": order}
        self.sums: dict[str, Any] = {"block": block, "order": order}
        self.u = unit_roundoff(arithmetic)
        self.limit = 126 if arithmetic.fmt.fits(np.float32) else 1022
        self.sum_names = ("fma",) if self.fused else ("mul", "add")
        self.happened = (0, 0)
        self.left: list[Format] = []

    def _did(self, result: Any, *names: str) -> Any:
        """Note the formats of a step that made infinity or NaN; return its result."""
        counts = self.arithmetic.counts
        happened = counts.overflow, counts.nan
        if happened != self.happened and not self.left:
            operations = [self.arithmetic._operations[name] for name in names]
            lossy = [x.fmt for x in operations if x.overflow in ("inf", "nan")]
            made_nan = happened[1] > self.happened[1]
            self.left = lossy or [x.fmt for x in operations if made_nan]
        self.happened = happened
        return result

    def _operate(self, name: str, *operands: Any) -> Any:
        """Do what the method of `Arithmetic` does, with operands spread out, which is quicker."""
        shape = np.broadcast(*operands).shape
        spread = []
        for x in operands:
            if x.shape != shape or not shape or not x.flags.c_contiguous:
                y: Values = np.empty(shape or 1, x.dtype)
                y[...] = x
                spread.append(y)
            else:
                spread.append(x)
        arithmetic = self.arithmetic
        operation = arithmetic._operations[name]
        result = self._did(operation(tuple(spread), arithmetic.stream, arithmetic.counts), name)
        return result if shape else result[0]

    def round(self, x: Any) -> Any:
        return self._operate("round", x)

    def add(self, x: Any, y: Any) -> Any:
        return self._operate("add", x, y)

    def sub(self, x: Any, y: Any) -> Any:
        return self._operate("sub", x, y)

    def mul(self, x: Any, y: Any) -> Any:
        return self._operate("mul", x, y)

    def div(self, x: Any, y: Any) -> Any:
        return self._operate("div", x, y)

    def sqrt(self, x: Any) -> Any:
        return self._operate("sqrt", x)

    def fma(self, x: Any, y: Any, z: Any) -> Any:
        return self._operate("fma", x, y, z)

    def inner(self, x: Values, y: Values) -> Any:
        """Multiply matrices or vectors."""
        return self._did(self.arithmetic.matmul(x, y, **self.options), *self.sum_names)

    def sum(self, x: Values) -> Values:
        """Sum rows."""
        return np.asarray(self._did(self.arithmetic.sum(x, axis=1, **self.sums), "add"))

    def norms(self, x: Values, axis: int) -> Any:
        """Take Euclidean norms."""
        norms = self.arithmetic.norm2(x, axis=axis, **self.sums)
        return self._did(norms, "mul", "add", "sqrt")

    def less(self, c: Values, x: Values, y: Values) -> Values:
        """Subtract a product: c - x y, each sum starting from c if the order is sequential."""
        if x.shape[-1] == 0:
            return c
        if self.sequential:
            less = self.arithmetic.matmul(-x, y, initial=c, **self.options)
            return np.asarray(self._did(less, *self.sum_names))
        return np.asarray(self.sub(c, self.inner(x, y)))

    def less_outer(self, c: Values, x: Values, y: Values) -> Values:
        """Subtract an outer product, each element rounded after the product and the sum."""
        if self.fused:
            return np.asarray(self.fma(-x[:, np.newaxis], y, c))
        return np.asarray(self.sub(c, self.mul(x[:, np.newaxis], y)))

    def scales(self, rows: Values, terms: int) -> NDArray[np.intp]:
        """
        Return, for rows x, the e for which so many squares of x 2^-e have a sum in the format.

        Where the format has the range, 1 <= max |x| 2^-e < 2. For 0 it is 0. So that 2^e and 2^-e
        are numbers of every carrier that holds the format, |e| is at most 126 or 1022.
        """
        room = (top_exponent(self.arithmetic.fmt) - max(terms - 1, 0).bit_length()) // 2 - 1
        largest = np.abs(rows).max(axis=1, initial=0)
        e = np.where(largest == 0, 0, np.frexp(largest)[1] - 1 - min(0, room))
        return np.clip(e, -self.limit, self.limit)

    def scale(self, x: Values, terms: int) -> int:
        """Return the same for all of x."""
        return int(self.scales(x.reshape(1, -1), terms)[0])

    def norm(self, x: Values) -> tuple[Values, Any, Any]:
        """
        Return y = x 2^-e, its Euclidean norm, and 2^e; x is not 0.

        What is made of y has no more underflows and overflows than what is made of a matrix with
        numbers near 1.
        """
        e = self.scale(x, x.size)
        y = self.mul(x, x.dtype.type(2.0**-e))
        root = self.sqrt(self.inner(y, y)) if self.fused else self.norms(y, axis=0)
        return y, root, x.dtype.type(2.0**e)

    def check(self) -> None:
        """
        Stop where something has overflowed.

        Raises
        ------
        LinAlgError
            If a step made infinity or NaN.
        """
        if self.left:
            ranges = dict.fromkeys(f"{fmt}, +-{fmt.max:g}" for fmt in self.left)
            raise LinAlgError(
                f"a step is beyond the range of {' or '.join(ranges)}: "
                "scale the matrix, by a power of two"
            )

    def fail(self, message: str) -> NoReturn:
        """
        Raise the error of a factorization that cannot go on, unless it is due to an overflow.

        Raises
        ------
        LinAlgError
            Always.
        """
        self.check()
        raise LinAlgError(message)


class Operands:
    """
    Matrices to factorize, checked, in one carrier.

    Parameters
    ----------
    arithmetic : Arithmetic or None
        None where an operand is a RoundedArray, which has one.
    accumulate, block, order
        As in `Steps`.
    triangle : {"L", "U"}, optional
        The triangle of the operands that is looked at; what is outside is taken for 0.
    double : bool
        Have float64 for the carrier, whatever the operands are.
    **operands : array_like or RoundedArray

    Raises
    ------
    TypeError, ValueError
        If they cannot go together, or a value is not finite.
    """

    def __init__(
        self,
        arithmetic: Arithmetic | None,
        accumulate: str = "separate",
        block: int | None = None,
        order: str = "sequential",
        triangle: str | None = None,
        double: bool = False,
        **operands: Any,
    ) -> None:
        self.rounded = {name: isinstance(x, RoundedArray) for name, x in operands.items()}
        for x in operands.values():
            if isinstance(x, RoundedArray):
                if arithmetic is None:
                    arithmetic = x.arithmetic
                elif arithmetic is not x.arithmetic:
                    raise different(arithmetic, x.arithmetic)
        if not isinstance(arithmetic, Arithmetic):
            raise TypeError(
                f"arithmetic must be a pysr.Arithmetic, not {arithmetic!r}"
                + (": only a RoundedArray has its own" if arithmetic is None else "")
            )
        if arithmetic.mode == "sr_signed":
            raise ValueError("mode 'sr_signed' needs a direction for every rounding")
        fmt = arithmetic.fmt
        if not (fmt.zero and fmt.signed and fmt.max >= 1):
            raise ValueError(f"fmt={fmt} has not all of 0, 1 and negative numbers")
        self.arithmetic = arithmetic
        self.manner = accumulate, block, order
        plain = {
            name: x.values if isinstance(x, RoundedArray) else x for name, x in operands.items()
        }
        wide = {"double": np.zeros(0)} if double else {}
        self.values = dict(zip(plain, carriers(**plain, **wide), strict=False))
        if triangle is not None:
            cut = np.tril if triangle == "L" else np.triu
            self.values = {name: cut(x) if x.ndim > 1 else x for name, x in self.values.items()}
        self.dtype = next(iter(self.values.values())).dtype.newbyteorder("=")
        nothing = np.zeros((0, 0), self.dtype)
        arithmetic.matmul(nothing, nothing, accumulate=accumulate, block=block, order=order)
        for name, x in self.values.items():
            if not np.isfinite(x).all():
                at = tuple(int(i) for i in np.argwhere(~np.isfinite(x))[0])
                raise ValueError(f"{name} is {float(x[at])} at {at}: all must be finite")

    def matrices(self, name: str, square: bool = False) -> tuple[int, ...]:
        """
        Return the shape of an operand that must hold matrices.

        Raises
        ------
        ValueError
            If it does not.
        """
        shape = self.values[name].shape
        if len(shape) < 2:
            raise ValueError(f"{name} has shape {shape}: a matrix or a stack of them is needed")
        if square and shape[-1] != shape[-2]:
            raise ValueError(f"{name} has shape {shape}: square matrices are needed")
        return shape

    def each(
        self,
        job: Callable[..., tuple[Values, ...]],
        shapes: Sequence[tuple[int, ...]],
        integers: int = 0,
    ) -> list[Any]:
        """
        Do a job with every matrix of a stack, one after the other, all or nothing.

        Parameters
        ----------
        job : callable
            Of `Steps` and a matrix of each operand, in the format.
        shapes : sequence of tuple of int
            Of what it returns.
        integers : int
            How many of those, at the start, are indices.

        Returns
        -------
        list of ndarray or RoundedArray
            Stacks of what it returned.
        """
        names = list(self.values)
        stack = np.broadcast_shapes(*(x.shape[:-2] for x in self.values.values()))
        spread = [np.broadcast_to(x, stack + x.shape[-2:]) for x in self.values.values()]
        results = [
            np.empty(stack + shape, np.intp if n < integers else self.dtype)
            for n, shape in enumerate(shapes)
        ]

        def steps() -> None:
            twin = Arithmetic.__new__(Arithmetic)
            vars(twin).update(vars(self.arithmetic), counts=Counts())
            work = Steps(twin, *self.manner)
            for index in np.ndindex(*stack):
                try:
                    items = [
                        np.array(x[index]) if self.rounded[name] else work.round(x[index])
                        for name, x in zip(names, spread, strict=True)
                    ]
                    work.check()
                    for result, value in zip(results, job(work, *items), strict=True):
                        result[index] = value
                    work.check()
                except LinAlgError as error:
                    if not stack:
                        raise
                    raise LinAlgError(f"matrix {index}: {error}") from None
            self.arithmetic.counts.add(twin.counts)

        self.arithmetic._at_once(steps)
        if any(self.rounded.values()):
            return results[:integers] + [made(x, self.arithmetic) for x in results[integers:]]
        return list(results)
