"""What is factorized, and from where."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pysr._core.philox import Philox
from pysr.optim._factorization._arguments import counted, not_zero, number, numbers
from pysr.optim._factorization._models import Eigenvalues, Matrices, Target, Values

_STARTS = ("identical", "perturbed", "random", "low-rank")


@dataclasses.dataclass(frozen=True)
class Problem:
    """The model, and what makes the weights of a run at the start from its stream."""

    model: Matrices | Eigenvalues
    depth: int
    alpha: float
    start: str | None
    begin: Callable[[Philox, int], Values]

    @property
    def spectrum(self) -> Values | None:
        """The target's spectrum, where it is known."""
        if isinstance(self.model, Eigenvalues):
            return self.model.observed
        return None if self.model.target is None else self.model.target.spectrum


def problem_of(
    target: Any, depth: Any, measurements: Any, truth: Any, start: Any, alpha: Any, beta: Any,
    rank: Any, method: Any, runs: int | None,
) -> Problem:  # fmt: skip
    if method not in ("matrix", "scalar"):
        raise ValueError(f"method={method!r} is not 'matrix' or 'scalar'")
    alpha, beta = number(alpha, "alpha"), number(beta, "beta")
    if not alpha > 0:
        raise ValueError(f"alpha={alpha!r} must be positive")
    name = start if isinstance(start, str) else None
    if name is not None and name not in _STARTS:
        raise ValueError(f"start={start!r} is not one of {', '.join(map(repr, _STARTS))}")
    given = _given(start, runs) if name is None else []
    count = (len(given) or 2) if depth is None else counted(depth, "depth", 1)
    if given and len(given) != count:
        raise ValueError(f"depth={count}, but start has {len(given)} factors")
    if (rank is not None) != (name == "low-rank"):
        raise ValueError(
            f"rank={rank!r} with start={name or 'factors'!r}: 'low-rank' has it, and no other"
        )
    if method == "scalar":
        if measurements is not None:
            raise ValueError("method='scalar' is for full observation, not for measurements")
        if name not in ("identical", "perturbed"):
            raise ValueError(
                f"method='scalar' with start={name or 'factors'!r}: 'identical' or 'perturbed' "
                "is needed"
            )
        model = Eigenvalues(count, _diagonal(target), name == "perturbed")
        last = alpha - beta if name == "perturbed" else alpha
        weights = np.repeat([alpha, last] if model.paired else [last], model.n)
        return Problem(model, count, alpha, name, lambda stream, r: weights)
    observed, sensed, known = _observed(target, measurements, truth)
    shape = observed.shape if sensed is None else sensed.shape[1:]
    if given:
        shapes = [(factor.shape[-2], factor.shape[-1]) for factor in given]
        if (shapes[-1][0], shapes[0][1]) != shape:
            raise ValueError(
                f"start has a product of shape {(shapes[-1][0], shapes[0][1])}, not {shape}"
            )
        begin: Callable[[Philox, int], Values] = functools.partial(_own, given)
    elif shape[0] != shape[1]:
        raise ValueError(f"start={start!r} is for square matrices, not {shape}: pass the factors")
    else:
        shapes = [(shape[0], shape[0])] * count
        begin = _named(name, shape[0], count, alpha, beta, rank)
    return Problem(Matrices(shapes, observed, sensed, known), count, alpha, name, begin)


def _given(start: Any, runs: int | None) -> list[Values]:
    """The user's own factors."""
    if not isinstance(start, (list, tuple, np.ndarray)) or len(start) == 0:
        raise TypeError(f"start must be a name or a sequence of factors, not {start!r}")
    given: list[Values] = []
    for j, factor in enumerate(start):
        array = numbers(factor, f"start[{j}]", 2, 3)
        if array.ndim == 3 and len(array) != runs:
            raise ValueError(
                f"start[{j}] has shape {array.shape}: a leading axis is that of runs={runs}"
            )
        if given and array.shape[-1] != given[-1].shape[-2]:
            raise ValueError(
                f"start[{j}] has shape {array.shape}, which does not go with that of "
                f"start[{j - 1}], {given[-1].shape}"
            )
        given.append(array)
    return given


def _own(given: Sequence[Values], stream: Philox, r: int) -> Values:
    chosen = [factor[r] if factor.ndim == 3 else factor for factor in given]
    return np.concatenate([factor.ravel() for factor in chosen])


def _named(
    name: str | None, n: int, depth: int, alpha: float, beta: float, rank: Any
) -> Callable[[Philox, int], Values]:
    """A start of square factors, by its name."""
    root = math.sqrt(n)

    def scaled(stream: Philox, r: int) -> Values:
        last = alpha - beta if name == "perturbed" else alpha
        scales = np.array([alpha] * (depth - 1) + [last])
        return np.asarray((scales[:, np.newaxis, np.newaxis] * np.eye(n)).ravel())

    def random(stream: Philox, r: int) -> Values:
        return np.random.Generator(stream).standard_normal(depth * n * n) * (alpha / root)

    def low_rank(stream: Philox, r: int) -> Values:
        generator = np.random.Generator(stream)
        g, h = generator.standard_normal((2, depth, n, k))
        noise = generator.standard_normal((depth, n, n))
        factors = g @ h.mT * (alpha / (root * math.sqrt(k))) + noise * (beta / root)
        return np.asarray(factors.ravel())

    if name == "low-rank":
        k = counted(rank, "rank", 1)
        if k > n:
            raise ValueError(f"rank={k} is more than the order of the factors, {n}")
        return low_rank
    return random if name == "random" else scaled


def _observed(
    target: Any, measurements: Any, truth: Any
) -> tuple[Values, Values | None, Target | None]:
    """What the loss compares with, what measures, and the matrix behind it."""
    if measurements is None:
        if truth is not None:
            raise ValueError("truth goes with measurements; without, target is the truth")
        matrix = not_zero(numbers(target, "target", 2), "target")
        return matrix, None, Target(matrix)
    sensed = numbers(measurements, "measurements", 3)
    observed = numbers(target, "target", 1)
    if len(observed) != len(sensed):
        raise ValueError(
            f"target has {len(observed)} values, but measurements has shape {sensed.shape}"
        )
    if truth is None:
        return observed, sensed, None
    matrix = not_zero(numbers(truth, "truth", 2), "truth")
    if matrix.shape != sensed.shape[1:]:
        raise ValueError(
            f"truth has shape {matrix.shape}, but measurements has shape {sensed.shape}"
        )
    return observed, sensed, Target(matrix)


def _diagonal(target: Any) -> Target | Values:
    """The target of the scalar method: eigenvalues, or a symmetric matrix."""
    array = not_zero(numbers(target, "target", 1, 2), "target")
    if array.ndim == 1:
        return array
    found = Target(array)
    if not found.symmetric:
        raise ValueError(
            f"target of shape {array.shape} is not symmetric, as method='scalar' needs it: its "
            f"norm is {found.norm:.3g}, that of target - target.T {found.asymmetry:.3g}"
        )
    return found
