"""What the lab rounded-qr measures: factorizations, sums, inner products, refinement."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

import pysr
from pysr import linalg
from pysr.labs._frame import Draw, Rounding, stream

# NDArray spelled out: stubtest looks for a class, and from NumPy 2.5 on it is none.
Array = np.ndarray[tuple[Any, ...], np.dtype[np.float64]]


@dataclasses.dataclass(frozen=True)
class Factorization:
    """One QR factorization: errors in the 2-norm, NaN if it broke down, and then why."""

    kappa: float
    seed: int
    error: float
    loss: float
    breakdown: str = ""


@dataclasses.dataclass(frozen=True)
class Solution:
    """One system solved by refinement."""

    kappa: float
    seed: int
    converged: bool
    reason: str
    corrections: int
    steps: float
    backward_error: float


def matrix(m: int, n: int, kappa: float, seed: int) -> Array:
    """Make a matrix of given condition number.

    Parameters
    ----------
    m, n : int
        Rows and columns, m >= n.
    kappa : float
        The condition number in the 2-norm.
    seed : int
        Of the random singular vectors.

    Returns
    -------
    ndarray of float64, shape (m, n)
        Singular values from sqrt(m) to sqrt(m) / kappa, evenly spaced in the logarithm: elements
        are about 1 or below.

    Examples
    --------
    >>> sigma = np.linalg.svd(matrix(50, 3, 100.0, 0))[1]
    >>> np.round(sigma / 50**0.5, 6)
    array([1.  , 0.1 , 0.01])
    """
    generator = np.random.Generator(pysr.Philox(seed, stream=0))
    u, _ = np.linalg.qr(generator.standard_normal((m, n)))
    v, _ = np.linalg.qr(generator.standard_normal((n, n)))
    sigma = np.logspace(0, -math.log10(kappa), n) * math.sqrt(m)
    return np.asarray((u * sigma) @ v.T)


def slope(x: Iterable[float], y: Iterable[float]) -> float:
    """Fit a power law.

    Parameters
    ----------
    x, y : iterable of float
        Positive values.

    Returns
    -------
    float
        The slope of the least-squares line through (log x, log y).

    Examples
    --------
    >>> round(slope([1, 10, 100], [5, 50, 500]), 6)
    1.0
    """
    return float(np.polyfit(np.log(list(x)), np.log(list(y)), 1)[0])


def arithmetic(rounding: Rounding, seed: int, *names: object) -> pysr.Arithmetic:
    """The arithmetic that every operation is done in, on a stream of its own."""
    rng = pysr.Philox(seed, stream=stream(*names))
    return pysr.Arithmetic(rounding.fmt, rounding.mode, rng=rng, eps=rounding.eps)


def to_nearest(x: Array, fmt: Any) -> Array:
    """Values of the format."""
    return np.asarray(pysr.round(x, fmt, "rne"), np.float64)


def carried(x: Array, fmt: Any) -> Any:
    """The same values in the narrowest type that holds the format: that is faster."""
    return x.astype(np.float32) if pysr.format(fmt).fits(np.float32) else x


def _of_the_format(m: int, n: int, kappa: float, seed: int, fmt: Any) -> Array:
    return to_nearest(matrix(m, n, kappa, seed), fmt)


# Every algorithm takes the same matrices.
_matrix = functools.lru_cache(maxsize=64)(_of_the_format)


def factorizations(
    shape: tuple[int, int], kappas: Sequence[float], rounding: Rounding, method: str, key: str
) -> Any:
    """A set-up's measurement: one algorithm in one arithmetic, for every condition number."""

    def measure(seed: int) -> Draw:
        return {"runs": [dataclasses.asdict(run(kappa, seed)) for kappa in kappas]}

    def run(kappa: float, seed: int) -> Factorization:
        a = _matrix(*shape, kappa, seed, rounding.fmt)
        try:
            q, r = linalg.qr(
                carried(a, rounding.fmt), arithmetic(rounding, seed, key, kappa), method=method
            )
        except np.linalg.LinAlgError as reason:
            return Factorization(kappa, seed, math.nan, math.nan, str(reason))
        return Factorization(kappa, seed, *errors(a, q, r))

    return measure


def control(shape: tuple[int, int], kappas: Sequence[float], fmt: Any) -> Any:
    """The same by NumPy in float64."""

    def measure(seed: int) -> Draw:
        matrices = [_matrix(*shape, kappa, seed, fmt) for kappa in kappas]
        runs = [
            Factorization(kappa, seed, *errors(a, *np.linalg.qr(a)))
            for kappa, a in zip(kappas, matrices, strict=True)
        ]
        return {"runs": [dataclasses.asdict(run) for run in runs]}

    return measure


def errors(a: Array, q: Any, r: Any) -> tuple[float, float]:
    """||A - Q R|| / ||A|| and ||Q^T Q - I||, in the 2-norm."""
    q, r = np.asarray(q, np.float64), np.asarray(r, np.float64)
    error = np.linalg.norm(a - q @ r, 2) / np.linalg.norm(a, 2)
    return float(error), float(np.linalg.norm(q.T @ q - np.eye(q.shape[1]), 2))


def growth(lengths: Sequence[int], rounding: Rounding, key: str) -> Any:
    """Errors of Householder's factorization of positive matrices with many rows."""

    def measure(seed: int) -> Draw:
        return {"errors": [run(m, seed) for m in lengths]}

    def run(m: int, seed: int) -> float:
        generator = np.random.Generator(pysr.Philox(seed, stream=stream("growth", m)))
        a = to_nearest(generator.random((m, 8)), rounding.fmt)
        q, r = linalg.qr(carried(a, rounding.fmt), arithmetic(rounding, seed, key, m))
        return errors(a, q, r)[0]

    return measure


def sums(lengths: Sequence[int], rounding: Rounding, key: str) -> Any:
    """Relative errors of sums of n equal terms, for random terms in [1, 2), at every length."""

    def measure(seed: int) -> Draw:
        generator = np.random.Generator(pysr.Philox(seed, stream=stream("sums")))
        terms = to_nearest(generator.uniform(1, 2, 256), rounding.fmt)
        emulated = arithmetic(rounding, seed, key)
        at = np.array(lengths) - 1
        carrier = carried(terms, rounding.fmt).dtype
        parts = [
            emulated.cumsum(np.full((4, lengths[-1]), part[:, np.newaxis], carrier), axis=1)[:, at]
            for part in np.split(terms, 64)
        ]
        exact = terms[:, np.newaxis] * np.array(lengths)
        found = np.concatenate(parts).astype(np.float64) / exact - 1
        expected = [
            [deviation(float(term), n, rounding.fmt) / (term * n) for n in lengths]
            for term in terms
        ]
        return {
            "rms": np.sqrt(np.mean(np.square(found), axis=0)),
            "largest": np.max(np.abs(found), axis=0),
            "predicted": np.sqrt(np.mean(np.square(expected), axis=0)),
        }

    return measure


def deviation(term: float, n: int, fmt: Any) -> float:
    """`theory.summation_deviation` of n equal terms, binade by binade."""
    precision = pysr.format(fmt).precision
    assert precision is not None
    variance, done = 0.0, 1
    while done < n:
        _, exponent = math.frexp((done + 1) * term)
        last = min(n, math.ceil(2.0**exponent / term) - 1)
        quantum = math.ldexp(1.0, exponent - precision)
        part = math.fmod(term / quantum, 1.0)
        variance += (last - done) * quantum**2 * part * (1 - part)
        done = last
    return math.sqrt(variance)


def ones(lengths: Sequence[int], rounding: Rounding | None, key: str) -> Any:
    """Relative errors of sums of ones, sixteen of each length; in float64 without a rounding."""

    def measure(seed: int) -> Draw:
        return {"errors": [run(n, seed) for n in lengths]}

    def run(n: int, seed: int) -> list[float]:
        if rounding is None:
            totals: Any = np.cumsum(np.ones(n))[-1:]
        else:
            x = carried(np.ones((16, n)), rounding.fmt)
            totals = np.asarray(arithmetic(rounding, seed, key, n).sum(x, axis=1), np.float64)
        return [float(abs(total / n - 1)) for total in totals]

    return measure


def dots(lengths: Sequence[int], rounding: Rounding, key: str) -> Any:
    """Errors of inner products of positive vectors, relative to abs(x)^T abs(y)."""

    def measure(seed: int) -> Draw:
        return {"errors": [run(n, seed) for n in lengths]}

    def run(n: int, seed: int) -> list[float]:
        generator = np.random.Generator(pysr.Philox(seed, stream=stream("dots", n)))
        x, y = (to_nearest(generator.uniform(0.5, 1, (16, n)), rounding.fmt) for _ in range(2))
        exact = np.sum(x * y, axis=1)
        products = arithmetic(rounding, seed, key, n).matmul(
            carried(x, rounding.fmt)[:, np.newaxis], carried(y, rounding.fmt)[:, :, np.newaxis]
        )
        return [float(error) for error in np.abs(products[:, 0, 0] / exact - 1)]

    return measure


def solutions(
    order: int, kappas: Sequence[float], rounding: Rounding, method: str, solves: Any, key: str
) -> Any:
    """Systems of every condition number, solved by refinement with factors in the format."""

    def measure(seed: int) -> Draw:
        return {"runs": [dataclasses.asdict(run(kappa, seed)) for kappa in kappas]}

    def run(kappa: float, seed: int) -> Solution:
        a = matrix(order, order, kappa, seed) / math.sqrt(order)
        b = a @ np.random.Generator(pysr.Philox(seed, stream=1)).standard_normal(order)
        emulated = arithmetic(rounding, seed, key, kappa)
        result = linalg.refine(a, b, emulated, method=method, solves=solves)
        return Solution(
            kappa,
            seed,
            bool(result.converged),
            result.reason,
            int(result.iterations),
            sum(result.inner_iterations) / max(1, len(result.inner_iterations)),
            float(result.backward_errors[-1]),
        )

    return measure
