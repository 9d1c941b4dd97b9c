"""What all problems have in common, and a check of gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pysr._core.rounding import carriers
from pysr.arithmetic import Arithmetic, a_flag, an_integer
from pysr.array import RoundedArray, in_carrier

# Spelled out: stubtest looks for a class, and NDArray from NumPy 2.5 on is none.
Array = np.ndarray[tuple[Any, ...], np.dtype[np.float64]]
# NumPy arrays or RoundedArrays: formulas are written once for both.
Values = Any

_FLOAT64 = np.dtype(np.float64)


def in_float64(x: ArrayLike, name: str) -> Array:
    """An argument in float64, not copied if it is so already."""
    return in_carrier(carriers(**{name: x})[0], _FLOAT64)


def finite(x: ArrayLike, name: str, ndim: int) -> Array:
    """A read-only float64 copy of an argument of so many axes, finite and not empty."""
    values = np.array(in_float64(x, name), order="C")
    if values.ndim != ndim or not values.size:
        raise ValueError(
            f"{name} must have {ndim} {'axis' if ndim == 1 else 'axes'} and hold numbers, "
            f"but its shape is {values.shape}"
        )
    wrong = np.argwhere(~np.isfinite(values))
    if len(wrong):
        at = tuple(int(i) for i in wrong[0])
        raise ValueError(f"{name} holds {values[at]} at {at}: all must be finite")
    values.flags.writeable = False
    return values


def points(x: ArrayLike | None, name: str, size: int, ndim: int) -> Array | None:
    """A point of so many coordinates, or, with two axes, some; or None."""
    if x is None:
        return None
    values = finite(x, name, ndim)
    if values.shape[-1] != size:
        raise ValueError(f"{name} has {values.shape[-1]} coordinates, not {size}")
    return values


def non_negative(x: Any, name: str) -> float:
    """A finite number of at least 0."""
    try:
        value = float(x)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, not {x!r}") from None
    if not 0 <= value < np.inf:
        raise ValueError(f"{name} must be finite and not negative, not {x!r}")
    return value


def each(x: Values, matrix: Values) -> Values:
    """
    Each point times a matrix, in a product of its own.

    So a point's result does not depend on those beside it, to the last bit: BLAS adds up in other
    orders where there are more rows.
    """
    return (x[..., np.newaxis, :] @ matrix)[..., 0, :]


class Problem:
    """
    A function to minimize, and its gradient.

    Parameters
    ----------
    gradient : callable
        From x, an array of shape (..., n), to the gradients there, of the same shape. To be
        evaluated under an arithmetic too, it must take a `pysr.RoundedArray` as x and return one:
        NumPy's functions do so. A number or an array that it brings is then an operand as it is;
        ``np.asarray(a, like=x)`` is `a` as x is, rounded or not.
    value : callable, optional
        From x to the values of the function, of shape (...).
    size : int
        n, the number of coordinates.
    name : str
    start : array_like, shape (n,), optional
        Where descent is to begin by default.
    minimizers : array_like, shape (m, n), optional
        Where the function is smallest.
    minimum : float, optional
        Its value there, or its infimum.
    lipschitz : float, optional
        L, a Lipschitz constant of the gradient in the Euclidean norm.
    pl : float, optional
        mu of the Polyak-Łojasiewicz inequality: ``|gradient|^2 / 2 >= mu (value - minimum)``
        everywhere.
    vectorized : bool
        False if `gradient` and `value` take one point alone, of shape (n,). They are called for
        each then.

    Attributes
    ----------
    size, name, lipschitz, pl
        As given.
    start, minimizers : ndarray of float64 or None
        As given; read-only.
    minimum : float or None
    has_value : bool
        Whether `value` can be called.
    diagonal : tuple of ndarray or None
        The spectrum and the minimizer of a `Quadratic` without a basis; None of all else.

    Raises
    ------
    TypeError
        If a function is not callable, or a number is none.
    ValueError
        If shapes do not fit, or a number is not finite.

    Examples
    --------
    >>> from pysr.optim.problems import Problem
    >>> quartic = Problem(lambda x: 4 * x**3, lambda x: np.sum(x**4, axis=-1), size=2, minimum=0)
    >>> quartic.value([[1.0, 0.0], [1.0, 2.0]])
    array([ 1., 17.])
    >>> quartic.gradient([0.3, 0.7]).round(3)
    array([0.108, 1.372])
    >>> quartic.gradient([0.3, 0.7], pysr.Arithmetic("Q3.4", "rne"))
    array([0.25, 1.5 ])
    """

    def __init__(
        self,
        gradient: Callable[[Any], Any],
        value: Callable[[Any], Any] | None = None,
        *,
        size: int,
        name: str = "problem",
        start: ArrayLike | None = None,
        minimizers: ArrayLike | None = None,
        minimum: float | None = None,
        lipschitz: float | None = None,
        pl: float | None = None,
        vectorized: bool = True,
    ) -> None:
        if not callable(gradient):
            raise TypeError(f"gradient must be callable, not {gradient!r}")
        if value is not None and not callable(value):
            raise TypeError(f"value must be callable, not {value!r}")
        self.size = an_integer(size, "size")
        if self.size < 1:
            raise ValueError(f"size must be at least 1, not {size}")
        if not isinstance(name, str):
            raise TypeError(f"name must be a str, not {name!r}")
        self._gradient, self._value = gradient, value
        self._vectorized = a_flag(vectorized, "vectorized")
        self.name = name
        self.start = points(start, "start", self.size, 1)
        self.minimizers = points(minimizers, "minimizers", self.size, 2)
        self.minimum = None if minimum is None else float(finite(minimum, "minimum", 0))
        self.lipschitz = None if lipschitz is None else non_negative(lipschitz, "lipschitz")
        self.pl = None if pl is None else non_negative(pl, "pl")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} of size {self.size}>"

    @property
    def has_value(self) -> bool:
        """Whether `value` can be called."""
        return self._value is not None

    @property
    def diagonal(self) -> tuple[Array, Array] | None:
        """The spectrum and the minimizer of a `Quadratic` without a basis; None of all else."""
        return None

    def value(self, x: ArrayLike, arithmetic: Arithmetic | None = None) -> Any:
        """
        Evaluate the function.

        Parameters
        ----------
        x : array_like, shape (..., n)
            Points, of float64 or what float64 holds.
        arithmetic : Arithmetic, optional
            As in `gradient`.

        Returns
        -------
        ndarray of float64, shape (...), or scalar
            Infinite or NaN where float64, or the format, cannot hold what comes up; NumPy does not
            warn of it.

        Raises
        ------
        TypeError, ValueError
            As in `gradient`; ValueError if the problem has no value.

        Examples
        --------
        >>> from pysr.optim import problems
        >>> problems.rosenbrock().value([-1.0, 1.0])
        np.float64(4.0)
        """
        if self._value is None:
            raise ValueError(f"{self!r} has a gradient alone: it was made without a value")
        return self._evaluated(self._value, x, arithmetic, "value")

    def gradient(self, x: ArrayLike, arithmetic: Arithmetic | None = None) -> Any:
        """
        Evaluate the gradient.

        Parameters
        ----------
        x : array_like, shape (..., n)
            Points, of float64 or what float64 holds. Without an arithmetic, the problems of this
            module give the same result at a point, to the last bit, whatever others are beside it.
        arithmetic : Arithmetic, optional
            Rounds x first, then data and constants as they come, and every operation. Numbers of
            samples alone, by which means divide, are taken as they are.

        Returns
        -------
        ndarray of float64, shape (..., n)
            Infinite or NaN as in `value`.

        Raises
        ------
        TypeError
            If `arithmetic` is none, or a function of one's own does not return what was rounded.
        ValueError
            If the shape of x, or of what a function of one's own returns, does not fit; or in mode
            "sr_signed". What raises draws and counts nothing.

        Examples
        --------
        >>> from pysr.optim import problems
        >>> rosenbrock = problems.rosenbrock()
        >>> rosenbrock.gradient([-1.0, 1.5])
        array([196., 100.])
        >>> rosenbrock.gradient([-1.0, 1.5], pysr.Arithmetic("float8_e4m3", "rne"))
        array([192.,  96.])
        """
        return self._evaluated(self._gradient, x, arithmetic, "gradient")

    def _evaluated(
        self,
        function: Callable[[Any], Any],
        x: ArrayLike,
        arithmetic: Arithmetic | None,
        name: str,
    ) -> Any:
        if arithmetic is not None and not isinstance(arithmetic, Arithmetic):
            raise TypeError(f"arithmetic must be a pysr.Arithmetic, not {arithmetic!r}")
        values = np.ascontiguousarray(in_float64(x, "x"))
        if np.ndim(x) == 0 or values.shape[-1] != self.size:
            raise ValueError(f"x must have shape (..., {self.size}), not {np.shape(x)}")
        shape = values.shape if name == "gradient" else values.shape[:-1]
        with np.errstate(over="ignore", invalid="ignore"):
            if arithmetic is None:
                result = in_float64(self._at(function, values, shape), name)
            else:
                result = arithmetic._at_once(self._rounded, function, values, shape, arithmetic)
        if result.shape != shape:
            raise ValueError(f"{name} has shape {result.shape} for x of shape {values.shape}")
        if np.may_share_memory(result, values):
            result = result.copy()
        return result[()]

    def _rounded(
        self,
        function: Callable[[Any], Any],
        x: Array,
        shape: tuple[int, ...],
        arithmetic: Arithmetic,
    ) -> Array:
        result = self._at(function, arithmetic.array(x, _FLOAT64), shape)
        if not isinstance(result, RoundedArray):
            raise TypeError(
                f"under an arithmetic, a function must return a RoundedArray, not {result!r}"
            )
        return in_carrier(result.values, _FLOAT64)

    def _at(self, function: Callable[[Any], Any], x: Values, shape: tuple[int, ...]) -> Values:
        if self._vectorized or x.ndim == 1:
            return function(x)
        if not x.size:
            return np.zeros(shape, like=x)
        return np.stack([function(point) for point in x.reshape(-1, self.size)]).reshape(shape)


def check_gradient(
    problem: Problem,
    x: ArrayLike,
    *,
    step: float | None = None,
    coordinates: ArrayLike | None = None,
) -> float:
    """
    Compare a problem's gradient with central differences of its values.

    Parameters
    ----------
    problem : Problem
    x : array_like, shape (..., n)
        Where. Not where the gradient is 0, for differences have nothing to be compared with.
    step : float, optional
        What is added to and subtracted from a coordinate, relative to max(1, |coordinate|). By
        default 2^-17, the power of two next to the cube root of 2^-52, where the errors of
        truncation and of rounding are about as large (Nocedal, Wright, Numerical Optimization, 2nd
        edition, 2006, section 8.1).
    coordinates : array_like of int, optional
        Which to compare, if not all of them: each takes two values.

    Returns
    -------
    float
        The largest ``|gradient - difference|`` of a coordinate, relative to the largest element of
        either at its point. About 1e-9 where the gradient is right and the function smooth; a wrong
        one gives about 1. NaN if anything is not finite.

    Raises
    ------
    TypeError
        If `problem` is none, or `coordinates` are not integers.
    ValueError
        If the problem has no value, or x or `step` does not fit.
    IndexError
        If there is no such coordinate.

    Examples
    --------
    >>> from pysr.optim import problems
    >>> from pysr.optim.problems import Problem, check_gradient
    >>> check_gradient(problems.rosenbrock(3), [0.3, -1.0, 2.0]) < 1e-8
    True
    >>> wrong = Problem(lambda x: x, lambda x: np.sum(x * x, axis=-1), size=2)
    >>> round(check_gradient(wrong, [1.0, 2.0]), 6)
    0.5
    """
    if not isinstance(problem, Problem):
        raise TypeError(f"problem must be a Problem, not {problem!r}")
    h = 2.0**-17 if step is None else non_negative(step, "step")
    if not h:
        raise ValueError("step must be more than 0")
    gradient = problem.gradient(x)
    at = np.array(in_float64(x, "x"))
    chosen = np.arange(problem.size) if coordinates is None else np.atleast_1d(coordinates)
    if chosen.dtype.kind not in "iu":
        raise TypeError(f"coordinates must be integers, not {coordinates!r}")
    differences = np.empty((*at.shape[:-1], len(chosen)))
    for i, coordinate in enumerate(chosen):
        two = np.stack([at, at])
        shift = h * np.maximum(1.0, np.abs(at[..., coordinate]))
        two[0, ..., coordinate] += shift
        two[1, ..., coordinate] -= shift
        above, below = problem.value(two)
        # The shift that was made, which rounding may have changed.
        differences[..., i] = (above - below) / (two[0] - two[1])[..., coordinate]
    error = np.abs(gradient[..., chosen] - differences).max(-1, initial=0.0)
    scale = np.maximum(np.abs(gradient).max(-1), np.abs(differences).max(-1, initial=0.0))
    relative = np.divide(error, scale, out=np.zeros_like(error), where=scale != 0)
    return float(np.max(relative, initial=0.0))
