"""What callers of a descent give, checked before anything is computed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import pysr
from pysr._core.formats import Format
from pysr._core.rounding import carriers
from pysr.arithmetic import an_integer
from pysr.optim.problems import Problem

Values = NDArray[Any]
Step = float | Callable[[int], float]


def a_count(value: Any, name: str, least: int = 0) -> int:
    """An integer that is not too small."""
    count = an_integer(value, name)
    if count < least:
        raise ValueError(f"{name} must be at least {least}, not {count}")
    return count


def a_number(value: Any, name: str, least: float = 0.0, most: float = math.inf) -> float:
    """A finite number in a range."""
    try:
        if isinstance(value, (str, bytes)):
            raise TypeError
        number = float(value)
    except OverflowError:
        number = math.inf
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, not {value!r}") from None
    if not (math.isfinite(number) and least <= number <= most):
        limits = f"at least {least:g}" if most == math.inf else f"in [{least:g}, {most:g}]"
        raise ValueError(f"{name} must be finite and {limits}, not {value!r}")
    return number


class Diminishing:
    """
    Step sizes that become smaller: t0 / (1 + decay k)^power.

    Parameters
    ----------
    t0 : float
        The first.
    decay : float, optional
    power : float, optional
        Between 1/2 and 1 the sum of the steps diverges while that of their squares, for a power
        above 1/2, does not (Robbins and Monro 1951): noise is averaged out.

    Raises
    ------
    ValueError
        If an argument is negative or not finite.

    Examples
    --------
    >>> from pysr.optim import Diminishing
    >>> step = Diminishing(0.5, decay=0.01)
    >>> step(0), step(100)
    (0.5, 0.25)
    """

    def __init__(self, t0: float, decay: float = 1.0, power: float = 1.0) -> None:
        self.t0 = a_number(t0, "t0")
        self.decay = a_number(decay, "decay")
        self.power = a_number(power, "power")

    def __call__(self, k: int) -> float:
        """Give the size of step `k`."""
        return float(self.t0 / (1 + self.decay * k) ** self.power)

    def __repr__(self) -> str:
        return f"Diminishing({self.t0!r}, decay={self.decay!r}, power={self.power!r})"


def step_at(step: Step, k: int) -> float:
    """The size of step `k`."""
    if not callable(step):
        return step
    return a_number(step(k), f"step({k})")


def start_of(x0: Any, default: Any, size: int | None, runs: Any) -> tuple[Values, bool]:
    """The first iterates, (R, n), of a carrier's type, and whether the caller has runs."""
    if x0 is None:
        if default is None:
            raise ValueError("x0 is needed: the problem has no start of its own")
        x0 = default
    (x,) = carriers(x0=x0)
    if x.ndim == 0:
        x = x.reshape(1)
    if x.ndim > 2 or x.size == 0:
        raise ValueError(f"x0 must have shape (n,) or (runs, n), with numbers in it, not {x.shape}")
    if not np.isfinite(x).all():
        bad = tuple(int(i) for i in np.argwhere(~np.isfinite(x))[0])
        raise ValueError(f"x0 is {float(x[bad])} at {bad}: all must be finite")
    if size is not None and x.shape[-1] != size:
        raise ValueError(f"x0 has {x.shape[-1]} coordinates, but the problem has {size}")
    many = x.ndim == 2
    if runs is not None:
        count = a_count(runs, "runs", 1)
        if many and x.shape[0] != count:
            raise ValueError(f"runs={count}, but x0 has shape {x.shape}")
        many = True
        x = np.broadcast_to(x, (count, x.shape[-1]))
    return np.array(np.atleast_2d(x), order="C"), many


def onto_grid(x: Values, fmt: Format | None, name: str) -> Values:
    """Numbers, each the nearest of the format."""
    if fmt is None:
        return x
    if not fmt.fits(x.dtype):
        raise ValueError(f"{name} is of {x.dtype}, which cannot hold every value of {fmt!r}")
    beyond = (x > fmt.max) | (x < fmt.min)
    if beyond.any():
        bad = tuple(int(i) for i in np.argwhere(beyond)[0])
        raise ValueError(f"{name} is {float(x[bad])!r} at {bad}, beyond the range of {fmt}")
    return np.asarray(pysr.round(x, fmt, "rne"))


class Projection:
    """
    What iterates are put back into: a box, or a set that a callable projects onto.

    Parameters
    ----------
    bounds : pair of array_like or None
        The least and the greatest value of every coordinate, numbers of the format; infinities
        for none.
    function : callable or None
        Of x, as the gradient is, to what is nearest to it in the set; it is rounded to nearest.
    fmt : Format or None
        The update's.
    x : ndarray, shape (R, n)
        The first iterates.
    many : bool
        Whether the caller's x has the axis of runs.
    """

    def __init__(
        self,
        bounds: Iterable[ArrayLike] | None,
        function: Callable[[Values], ArrayLike] | None,
        fmt: Format | None,
        x: Values,
        many: bool,
    ) -> None:
        if bounds is not None and function is not None:
            raise ValueError("bounds and projection exclude each other")
        if function is not None and not callable(function):
            raise TypeError(f"projection must be callable, not {function!r}")
        self.function = function
        self.fmt = fmt
        self.many = many
        self.box = None if bounds is None else self._box(bounds, x)

    def _box(self, bounds: Iterable[ArrayLike], x: Values) -> tuple[Values, Values]:
        try:
            low, high = bounds
        except (TypeError, ValueError):
            raise ValueError(
                f"bounds must be a least and a greatest value, or {x.shape[1]} of each, "
                f"not {bounds!r}"
            ) from None
        low, high = self._side("least", low, x), self._side("greatest", high, x)
        if (low > high).any():
            i = int(np.argmax(low > high))
            raise ValueError(f"bounds: {float(low[i])!r} is above {float(high[i])!r}, at {i}")
        for name, wrong in (("least", low == np.inf), ("greatest", high == -np.inf)):
            if wrong.any():
                raise ValueError(f"bounds: nothing is within, as the {name} value is infinite")
        return low, high

    def _side(self, name: str, given: ArrayLike, x: Values) -> Values:
        (side,) = carriers(bounds=given)
        try:
            side = np.broadcast_to(side, x.shape[1:])
        except ValueError:
            raise ValueError(
                f"bounds: the {name} values have shape {np.shape(given)}, not {x.shape[1:]}"
            ) from None
        if np.isnan(side).any():
            raise ValueError(f"bounds: a {name} value is NaN")
        finite = np.isfinite(side)
        with np.errstate(all="ignore"):
            put = side.astype(x.dtype)
        if self.fmt is not None:
            put[finite] = pysr.round(put[finite], self.fmt, "rne")
        off = put != side
        if off.any():
            kind = x.dtype if self.fmt is None else self.fmt
            raise ValueError(
                f"bounds: the {name} value {float(side[off][0])!r} is no number of {kind}"
            )
        return put

    def __bool__(self) -> bool:
        return self.box is not None or self.function is not None

    def project(self, x: Values) -> Values:
        """Put iterates into the set that the function projects onto."""
        if self.function is None:
            return x
        with np.errstate(over="ignore", invalid="ignore"):
            (put,) = carriers(**{"what projection gave": self.function(x if self.many else x[0])})
            shape = x.shape if self.many else x.shape[1:]
            if put.shape != shape:
                raise ValueError(f"projection gave shape {put.shape} for x of shape {shape}")
            put = np.array(put.reshape(x.shape), x.dtype)
        return onto_grid(put, self.fmt, "what projection gave")

    def describe(self) -> Any:
        """The part of it that can be told apart, for checkpoints."""
        if self.box is not None:
            return [digest(side) for side in self.box]
        return None if self.function is None else "a function"


class Functions:
    """
    The gradient and the value of what is minimized, as all runs at once need them.

    Parameters
    ----------
    problem : Problem or callable
    value : callable or None
    arithmetic : Arithmetic or None
        Under which a Problem evaluates its gradient.
    many : bool
        Whether the caller's x has the axis of runs.
    """

    def __init__(self, problem: Any, value: Any, arithmetic: Any, many: bool) -> None:
        known = isinstance(problem, Problem)
        if not known and not callable(problem):
            raise TypeError(f"problem must be a Problem or a callable gradient, not {problem!r}")
        if value is not None and not callable(value):
            raise TypeError(f"value must be callable, not {value!r}")
        if arithmetic is not None and not isinstance(arithmetic, pysr.Arithmetic):
            raise TypeError(f"arithmetic must be a pysr.Arithmetic, not {arithmetic!r}")
        if arithmetic is not None and not known:
            raise ValueError("arithmetic is for a Problem: a callable evaluates as it will")
        self.arithmetic = arithmetic
        self.many = many
        self._gradient = problem.gradient if known else problem
        self._value = value
        if known and value is None and problem.has_value:
            self._value = problem.value

    @property
    def has_value(self) -> bool:
        """Whether values are known."""
        return self._value is not None

    def gradient(self, x: Values, plain: bool = False) -> Values:
        """Evaluate all gradients, in float64 if `plain`: float32 or float64, (R, n)."""
        more = {} if plain or self.arithmetic is None else {"arithmetic": self.arithmetic}
        with np.errstate(over="ignore", invalid="ignore"):
            (g,) = carriers(**{"the gradient": self._gradient(self._shown(x), **more)})
        shape = x.shape if self.many else x.shape[1:]
        if g.shape != shape:
            raise ValueError(f"the gradient has shape {g.shape} for x of shape {shape}")
        dtype = np.float32 if x.dtype == g.dtype == np.float32 else np.float64
        return np.require(g.reshape(x.shape), dtype, ("C", "A"))

    def value(self, x: Values) -> Values:
        """Evaluate all values: (R,)."""
        with np.errstate(over="ignore", invalid="ignore"):
            (f,) = carriers(value=self._value(self._shown(x)))
        shape = (x.shape[0],)
        if f.shape != shape and (self.many or f.size != 1):
            raise ValueError(
                f"value has shape {f.shape} for x of shape {self._shown(x).shape}: "
                + (f"{shape} was expected" if self.many else "a number was expected")
            )
        return f.reshape(shape).astype(np.float64)

    def _shown(self, x: Values) -> Values:
        shown = (x if self.many else x[0]).view()
        shown.flags.writeable = False
        return shown


def digest(array: Values) -> str:
    """What tells arrays apart, for checkpoints."""
    what = hashlib.sha256(array.tobytes()).hexdigest()
    return f"{array.dtype} {'x'.join(map(str, array.shape))} {what}"


def recorded(record: Any, has_value: bool) -> tuple[str, ...]:
    """The names of what a history keeps."""
    try:
        names = (record,) if isinstance(record, str) else tuple(record)
    except TypeError:
        raise TypeError(f"record must be a name or some of them, not {record!r}") from None
    known = ("value", "x", "gradient", "gradient_norm", "stagnated", "moved", "overflow")
    for name in names:
        if name not in known:
            raise ValueError(f"record has {name!r}: not one of {', '.join(known)}")
    if not has_value:
        if "value" in names and names != ("value",):
            raise ValueError("record has 'value', but no value is known: give value=")
        names = tuple(name for name in names if name != "value")
    return tuple(dict.fromkeys(names))
