"""Deep matrix factorization by gradient descent, its weights in low precision."""

from __future__ import annotations

import copy
import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy.optimize import OptimizeResult

import pysr
from pysr._core.arithmetic import Counts, stream_of
from pysr._core.formats import Format
from pysr._core.philox import Philox
from pysr._core.rounding import Rng
from pysr._files import check_progress, reporter
from pysr.arithmetic import Arithmetic, an_integer
from pysr.array import made
from pysr.optim import _result as ends
from pysr.optim.bounds import recovery_plateau, recovery_step_limit

Values = NDArray[np.float64]
# Arrays of numbers, or RoundedArrays.
Parts = Sequence[Any]

_STARTS = ("identical", "perturbed", "random", "low-rank")
_RECORDS = (
    *("loss", "error", "spectrum", "effective_rank", "singular_values", "product", "factors"),
)
_DEFAULT_RECORD = ("loss", "error", "spectrum", "effective_rank")
_OF_TRUTH = ("error", "spectrum")
_WHERE = ("start", "middle", "end")


class FactorizationResult(OptimizeResult):  # type: ignore[misc]
    """
    What `deep_matrix_factorization` returns, a SciPy `OptimizeResult`.

    With `runs`, arrays have a leading axis of that length.

    Attributes
    ----------
    factors : list of ndarray
        W_1, ..., W_N as they were at the end: the product is W_N ... W_1.
    product : ndarray
        That product, in float64.
    nit : int, or ndarray of int
        Steps made.
    status : int, or ndarray of int
        As of `DescentResult`. 0: all steps were made; 2: the plateau was reached; 4: the callback
        ended it; -2: weights were no longer finite, so that `factors` are the last that were.
    success : bool, or ndarray of bool
        Whether the weights remained finite. It does not say that anything was recovered.
    message : str, or ndarray of str
        The status in words.
    history : dict of ndarray
        "step" (H,), and what was asked for, with H rows: "loss" (H,), "error" (H,), "spectrum"
        (H, n), ...; with runs (H, R), (H, R, n), ... A run that ended early has NaN from there on.
    target_spectrum : ndarray, or None
        Eigenvalues of a symmetric target (or `truth`), largest first, or singular values of
        another: what "spectrum" tends to. None where the target is not known.
    counts : dict
        Of weights times steps: "moved"; "stagnated", those which rounding put back to where they
        had been; "overflow", those beyond the range of `fmt` before they were rounded. With runs,
        arrays.
    seed, stream : int
        Of the random bits: run r used stream ``stream + r``.
    """


def deep_matrix_factorization(
    target: ArrayLike,
    depth: int | None = None,
    *,
    step: float,
    steps: int = 1000,
    measurements: ArrayLike | None = None,
    truth: ArrayLike | None = None,
    start: str | Sequence[ArrayLike] = "identical",
    alpha: float = 0.1,
    beta: float = 0.0,
    rank: int | None = None,
    method: str = "matrix",
    fmt: str | DTypeLike | Format | None = None,
    mode: str = "sr",
    eps: float = 0.0,
    random_bits: int | str = "exact",
    variant: str = "a",
    overflow: str | None = None,
    arithmetic: Arithmetic | None = None,
    runs: int | None = None,
    rng: Rng = None,
    stop: int | tuple[int, str] | None = None,
    record: Sequence[str] | None = None,
    every: int = 1,
    callback: Callable[[OptimizeResult], Any] | None = None,
    progress: bool | Callable[[int, int], None] | None = None,
) -> FactorizationResult:
    """
    Factorize a matrix into N factors by gradient descent with constant step.

    The loss is abs(W_N ... W_1 - What)_F^2 / 2, or in matrix sensing sum_i (<A_i, W_N ... W_1> -
    y_i)^2 / 2. Weights can be rounded to any format after each update, and every operation too.

    Parameters
    ----------
    target : array_like
        What, a matrix; in matrix sensing y, the m measured values; for `method` "scalar" a
        symmetric matrix, or a vector, which stands for the diagonal matrix.
    depth : int, optional
        N, the number of factors. By default as many as `start` has, else 2.
    step : float
        The step, eta. `bounds.recovery_step_limit` has its limit.
    steps : int
        How many steps to make at most.
    measurements : array_like, shape (m, n, k), optional
        A_1, ..., A_m, of matrix sensing.
    truth : array_like, shape (n, k), optional
        In matrix sensing, the matrix that was measured: "error" and "spectrum" in the history are
        measured against it. Descent does not see it.
    start : {"identical", "perturbed", "random", "low-rank"} or sequence of array_like
        What the factors are at first. "identical": alpha I. "perturbed": the same, but the last
        factor W_N is (alpha - beta) I. "random": alpha Z / sqrt(n), of n x n independent normal
        numbers Z. "low-rank": alpha G H^T / sqrt(n k) + beta Z / sqrt(n), with G and H of n x k
        normal numbers, k being `rank`. Or the factors themselves, W_1 first, of any shapes that fit
        together; with runs, each may have a leading axis. These names are for square targets.
    alpha, beta : float
        As above.
    rank : int, optional
        As above.
    method : {"matrix", "scalar"}
        "scalar" uses that, from an "identical" or a "perturbed" start, everything stays in the
        eigenbasis of a symmetric target: with d for an eigenvalue of W_1, ..., W_(N-1), and c for
        that of W_N, c += eta d^(N-1) (lambda - c d^(N-1)), d += eta c d^(N-2) (lambda - c d^(N-1)),
        n numbers a step instead of n^2. In float64 it is the same but for rounding errors; under
        rounding it is *another algorithm*: d and c are rounded in place of the elements of the
        factors, and from an "identical" start there is one d for all factors.
    fmt : str, dtype or Format, optional
        Weights are rounded to it after each update, and to nearest at the start. By default they
        are not rounded: float64.
    mode, eps, random_bits, variant, overflow
        How, as in `pysr.round`; for "sr_signed" the direction is the gradient.
    arithmetic : Arithmetic, optional
        Rounds every product and every sum of gradient and update. By default these are float64, by
        NumPy, whose last bits may differ between machines. `fmt` rounds what comes out of it.
    runs : int, optional
        So many independent runs, on a leading axis. Run r draws from stream s + r, s being the
        stream of `rng` (and of `arithmetic`), from the same block on: it is the run that one gets
        alone from a `pysr.Philox` with that stream.
    rng : None, int, SeedSequence, Generator, BitGenerator or Philox
        Where random bits come from, first those of the start, then those of the rounding of each
        step, for all weights of a run, W_1 first, in one piece.
    stop : int or (int, str), optional
        Stop early, where an "identical" start is predicted (`bounds.recovery_plateau`) to be close
        to the best approximation of this rank: at the "end" of its plateau, which is the default,
        in its "middle", or at its "start".
    record : sequence of str, optional
        What the history has: "loss"; "error", abs(W - What)_F / abs(What)_F; "spectrum", the
        diagonal of W in the eigenbasis of What, largest eigenvalue of What first, or in its
        singular vectors if it is not symmetric; "effective_rank", the nuclear norm over the
        spectral norm; "singular_values"; "product"; "factors". By default the first four, or what
        can be had of them.
    every : int
        Record so many steps apart, and at the first and the last; 0 records nothing.
    callback : callable, optional
        Called with an `OptimizeResult` each time something is recorded: ``nit``, ``factors`` and
        what is recorded. StopIteration ends all runs.
    progress : bool or callable, optional
        True: a bar on stderr. A callable gets the numbers of steps done and of all.

    Returns
    -------
    FactorizationResult
        Descent that diverges is a result too, with the history so far.

    Raises
    ------
    TypeError, ValueError
        If arguments do not go together or are out of range; `stop` where there is no plateau.
    OverflowError
        Under the overflow rule "raise", naming step and run. A call that raises leaves `rng` where
        it was.

    Notes
    -----
    Chou, Gieshoff, Maly and Rauhut, arXiv:2011.13772, analyse this descent in exact arithmetic.

    With P_j = W_j ... W_1 the gradient is made as S_N = P_N - What, then for j = N, ..., 2 first
    S_j P_(j-1)^T, the gradient for W_j, then S_(j-1) = W_j^T S_j, and S_1 is that for W_1. In
    sensing S_N is sum_i (<A_i, P_N> - y_i) A_i. The update is w - eta g. In the scalar method p is
    d^(N-1), by repeated multiplication; the gradients are p (p d - lambda) for an identical start,
    else p (c p - lambda) for c, and (c d^(N-2)) (c p - lambda) for d.

    Examples
    --------
    The spectrum arrives one eigenvalue at a time; in bfloat16 rounding to nearest loses the small
    one:

    >>> from pysr import optim
    >>> generator = np.random.default_rng(1)
    >>> V, _ = np.linalg.qr(generator.standard_normal((6, 6)))
    >>> target = (V * [4, 1, 0, 0, 0, 0]) @ V.T
    >>> for fmt, mode in ((None, "rne"), ("bfloat16", "sr"), ("bfloat16", "rne")):
    ...     result = optim.deep_matrix_factorization(
    ...         target, 3, step=0.01, steps=2000, fmt=fmt, mode=mode, every=500, rng=1)
    ...     print(result.history["effective_rank"].round(2))
    [6.   1.   1.23 1.25 1.25]
    [6.   1.   1.23 1.25 1.25]
    [6. 1. 1. 1. 1.]

    Stopped within the plateau of rank 1:

    >>> result = optim.deep_matrix_factorization(target, 3, step=0.01, stop=(1, "middle"))
    >>> result.nit, float(result.history["effective_rank"][-1].round(3))
    (401, 1.002)
    """
    weights = _Weights(fmt, mode, eps, random_bits, variant, overflow)
    if runs is not None:
        runs = _counted(runs, "runs", 1)
    problem = _problem(
        target, depth, measurements, truth, start, alpha, beta, rank, method, runs
    )  # fmt: skip
    plan = _Plan(problem, step, steps, stop, record, every, callback, progress)
    return _Descent(plan, weights, arithmetic, runs, rng).run()


# ---------------------------------------------------------------------------------------------
# Arguments


def _number(value: Any, name: str) -> float:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{name} must be a number, not {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{name}={value!r} must be finite")
    return float(value)


def _counted(value: Any, name: str, least: int) -> int:
    count = an_integer(value, name)
    if count < least:
        raise ValueError(f"{name}={count} is less than {least}")
    return count


def _numbers(value: ArrayLike, name: str, *dimensions: int) -> Values:
    """Finite float64 numbers in an array of one of these dimensions."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must be real numbers, not {array.dtype}")
    array = array.astype(np.float64)
    if array.ndim not in dimensions or 0 in array.shape:
        wanted = " or ".join(f"{n}-dimensional" for n in dimensions)
        raise ValueError(f"{name} has shape {array.shape}: it must be {wanted} and not empty")
    if not np.isfinite(array).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} is {float(array[at])} at {at}: all must be finite")
    return np.ascontiguousarray(array)


def _not_zero(matrix: Values, name: str) -> Values:
    if not matrix.any():
        raise ValueError(f"{name} is 0: errors are relative to it")
    return matrix


class _Weights:
    """How weights are rounded: not at all, where the format is None."""

    def __init__(
        self,
        fmt: str | DTypeLike | Format | None,
        mode: str,
        eps: float,
        random_bits: int | str,
        variant: str,
        overflow: str | None,
    ) -> None:
        self.fmt = None if fmt is None else pysr.format(fmt)
        self.manner: dict[str, Any] = {
            "mode": mode,
            "eps": eps,
            "random_bits": random_bits,
            "variant": variant,
            "overflow": overflow,
        }
        self.signed = mode == "sr_signed"
        if self.fmt is not None:
            if not (self.fmt.signed and self.fmt.zero):
                raise ValueError(f"fmt={fmt!r} has not all of 0 and negative numbers")
            nothing = np.zeros(0)
            self(nothing, nothing, Philox(0), nothing)

    def __call__(self, x: Values, z: Values, stream: Philox, out: Values) -> None:
        """Round the updated weights z of one run, which were x."""
        if self.fmt is None:
            out[...] = z
            return
        direction = x - z if self.signed else None
        pysr.round(z, self.fmt, rng=stream, direction=direction, out=out, **self.manner)

    def nearest(self, x: Values, arithmetic: Arithmetic | None) -> Values:
        """The start, to nearest, in the format of the weights, else that of the arithmetic."""
        fmt = arithmetic.fmt if self.fmt is None and arithmetic is not None else self.fmt
        return x if fmt is None else np.asarray(pysr.round(x, fmt, "rne"), np.float64)


# ---------------------------------------------------------------------------------------------
# Losses and their gradients


class _Target:
    """What the product is compared with: a matrix in its eigenbasis, or its singular vectors."""

    def __init__(self, matrix: Values) -> None:
        self.matrix = matrix
        self.norm = float(np.linalg.norm(matrix))
        square = matrix.shape[0] == matrix.shape[1]
        self.asymmetry = float(np.linalg.norm(matrix - matrix.T)) if square else math.inf
        self.symmetric = self.asymmetry <= 1e-12 * self.norm
        if self.symmetric:
            values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
            self.spectrum: Values = values[::-1].copy()
            self.left = self.right = np.ascontiguousarray(vectors[:, ::-1])
        else:
            u, self.spectrum, v = np.linalg.svd(matrix, full_matrices=False)
            self.left, self.right = u, v.T

    def diagonal(self, product: Values) -> Values:
        return np.asarray((self.left * (product @ self.right)).sum(axis=-2))


class _Matrices:
    """Factors that are matrices."""

    def __init__(
        self,
        shapes: Sequence[tuple[int, int]],
        observed: Values,
        measurements: Values | None,
        target: _Target | None,
    ) -> None:
        self.shapes = shapes
        self.size = sum(math.prod(shape) for shape in shapes)
        self.observed = observed
        self.target = target
        self.shape = shapes[-1][0], shapes[0][1]
        self.rows = None
        if measurements is not None:
            self.rows = measurements.reshape(len(measurements), -1)

    def parts(self, x: Values) -> list[Values]:
        """The factors in the weights of a run, or of runs."""
        found, at = [], 0
        for shape in self.shapes:
            size = math.prod(shape)
            found.append(x[..., at : at + size].reshape(*x.shape[:-1], *shape))
            at += size
        return found

    def product(self, factors: Parts) -> Any:
        return functools.reduce(lambda product, factor: factor @ product, factors)

    def residual(self, product: Any) -> Any:
        """W - What, or what was measured of it."""
        if self.rows is None:
            return product - self.observed
        flat = product.reshape(*product.shape[:-2], 1, -1)
        return flat @ self.rows.T - self.observed

    def gradient(self, factors: Parts) -> list[Any]:
        partial = [factors[0]]
        for factor in factors[1:]:
            partial.append(factor @ partial[-1])
        s = self.residual(partial[-1])
        if self.rows is not None:
            s = (s @ self.rows).reshape(partial[-1].shape)
        found = []
        for factor, before in zip(factors[:0:-1], partial[-2::-1], strict=True):
            found.append(s @ before.mT)
            s = factor.mT @ s
        return [s, *found[::-1]]

    def measure(self, factors: Parts, wanted: Sequence[str]) -> dict[str, Any]:
        product = self.product(factors)
        found: dict[str, Any] = {"product": product}
        if "loss" in wanted:
            residual = self.residual(product)
            found["loss"] = np.square(residual).sum(axis=(-2, -1)) / 2
        if self.target is not None:
            if "error" in wanted:
                difference = product - self.target.matrix
                norm = np.sqrt(np.square(difference).sum(axis=(-2, -1)))
                found["error"] = norm / self.target.norm
            if "spectrum" in wanted:
                found["spectrum"] = self.target.diagonal(product)
        if "singular_values" in wanted or "effective_rank" in wanted:
            found["singular_values"] = _singular_values(product)
        return found

    def factors(self, x: Values) -> list[Values]:
        return self.parts(x)


def _singular_values(product: Values) -> Values:
    """Singular values of every run; NaN where the product is not finite or they cannot be had."""
    finite = np.asarray(np.isfinite(product).all(axis=(-2, -1)))
    safe = np.where(finite[..., np.newaxis, np.newaxis], product, 0.0)
    values = np.linalg.svd(safe, compute_uv=False)
    return np.where(finite[..., np.newaxis], values, np.nan)


class _Eigenvalues:
    """Eigenvalues of the factors: d of all, or d of all but the last and c of that."""

    def __init__(self, depth: int, target: _Target | Values, paired: bool) -> None:
        self.target = target if isinstance(target, _Target) else None
        self.observed = target.spectrum if isinstance(target, _Target) else target
        self.norm = float(np.linalg.norm(self.observed))
        self.n = len(self.observed)
        self.depth = depth
        self.paired = paired and depth > 1
        self.size = self.n * (1 + self.paired)

    def parts(self, x: Values) -> list[Values]:
        return [x[..., at : at + self.n] for at in range(0, self.size, self.n)]

    @staticmethod
    def power(d: Any, k: int) -> Any:
        return functools.reduce(lambda product, _: product * d, range(k - 1), d) if k else None

    def product(self, parts: Parts) -> Any:
        p = self.power(parts[0], self.depth - 1)
        return parts[-1] if p is None else p * parts[-1]

    def gradient(self, parts: Parts) -> list[Any]:
        d, c = parts[0], parts[-1]
        q = self.power(d, self.depth - 2) if self.depth > 1 else None
        p = d if q is None else q * d
        if self.depth == 1:
            return [d - self.observed]
        residual = p * c - self.observed
        if not self.paired:
            return [p * residual]
        return [(c if q is None else c * q) * residual, p * residual]

    def measure(self, parts: Parts, wanted: Sequence[str]) -> dict[str, Any]:
        values = self.product(parts)
        squares = np.square(values - self.observed).sum(axis=-1)
        sizes = np.sort(np.abs(values), axis=-1)[..., ::-1]
        found = {
            "loss": squares / 2,
            "error": np.sqrt(squares) / self.norm,
            "spectrum": values,
            "singular_values": sizes,
            "product": values,
        }
        if self.target is not None and "product" in wanted:
            found["product"] = self.rotated(values)
        return found

    def rotated(self, values: Values) -> Values:
        """The matrices of these eigenvalues, in the basis of the target if it has one."""
        if self.target is None:
            return values
        v = self.target.left
        return np.asarray((v * values[..., np.newaxis, :]) @ v.T)

    def factors(self, x: Values) -> list[Values]:
        parts = self.parts(x)
        return [*(self.rotated(parts[0]) for _ in range(self.depth - 1)), self.rotated(parts[-1])]


# ---------------------------------------------------------------------------------------------
# What to do


@dataclasses.dataclass(frozen=True)
class _Problem:
    """The model, and what makes the weights of a run at the start from its stream."""

    model: _Matrices | _Eigenvalues
    depth: int
    alpha: float
    start: str | None
    begin: Callable[[Philox, int], Values]

    @property
    def spectrum(self) -> Values | None:
        """The target's spectrum, where it is known."""
        if isinstance(self.model, _Eigenvalues):
            return self.model.observed
        return None if self.model.target is None else self.model.target.spectrum


def _problem(
    target: Any, depth: Any, measurements: Any, truth: Any, start: Any, alpha: Any, beta: Any,
    rank: Any, method: Any, runs: int | None,
) -> _Problem:  # fmt: skip
    if method not in ("matrix", "scalar"):
        raise ValueError(f"method={method!r} is not 'matrix' or 'scalar'")
    alpha, beta = _number(alpha, "alpha"), _number(beta, "beta")
    if not alpha > 0:
        raise ValueError(f"alpha={alpha!r} must be positive")
    name = start if isinstance(start, str) else None
    if name is not None and name not in _STARTS:
        raise ValueError(f"start={start!r} is not one of {', '.join(map(repr, _STARTS))}")
    given = _given(start, runs) if name is None else []
    count = (len(given) or 2) if depth is None else _counted(depth, "depth", 1)
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
        model = _Eigenvalues(count, _diagonal(target), name == "perturbed")
        last = alpha - beta if name == "perturbed" else alpha
        weights = np.repeat([alpha, last] if model.paired else [last], model.n)
        return _Problem(model, count, alpha, name, lambda stream, r: weights)
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
    return _Problem(_Matrices(shapes, observed, sensed, known), count, alpha, name, begin)


def _given(start: Any, runs: int | None) -> list[Values]:
    """The user's own factors."""
    if not isinstance(start, (list, tuple, np.ndarray)) or len(start) == 0:
        raise TypeError(f"start must be a name or a sequence of factors, not {start!r}")
    given: list[Values] = []
    for j, factor in enumerate(start):
        array = _numbers(factor, f"start[{j}]", 2, 3)
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
        k = _counted(rank, "rank", 1)
        if k > n:
            raise ValueError(f"rank={k} is more than the order of the factors, {n}")
        return low_rank
    return random if name == "random" else scaled


def _observed(
    target: Any, measurements: Any, truth: Any
) -> tuple[Values, Values | None, _Target | None]:
    """What the loss compares with, what measures, and the matrix behind it."""
    if measurements is None:
        if truth is not None:
            raise ValueError("truth goes with measurements; without, target is the truth")
        matrix = _not_zero(_numbers(target, "target", 2), "target")
        return matrix, None, _Target(matrix)
    sensed = _numbers(measurements, "measurements", 3)
    observed = _numbers(target, "target", 1)
    if len(observed) != len(sensed):
        raise ValueError(
            f"target has {len(observed)} values, but measurements has shape {sensed.shape}"
        )
    if truth is None:
        return observed, sensed, None
    matrix = _not_zero(_numbers(truth, "truth", 2), "truth")
    if matrix.shape != sensed.shape[1:]:
        raise ValueError(
            f"truth has shape {matrix.shape}, but measurements has shape {sensed.shape}"
        )
    return observed, sensed, _Target(matrix)


def _diagonal(target: Any) -> _Target | Values:
    """The target of the scalar method: eigenvalues, or a symmetric matrix."""
    array = _not_zero(_numbers(target, "target", 1, 2), "target")
    if array.ndim == 1:
        return array
    found = _Target(array)
    if not found.symmetric:
        raise ValueError(
            f"target of shape {array.shape} is not symmetric, as method='scalar' needs it: its "
            f"norm is {found.norm:.3g}, that of target - target.T {found.asymmetry:.3g}"
        )
    return found


class _Plan:
    """How far to go, and what to record on the way."""

    def __init__(
        self, problem: _Problem, step: Any, steps: Any, stop: Any, record: Any, every: Any,
        callback: Any, progress: Any,
    ) -> None:  # fmt: skip
        self.problem = problem
        self.step = _number(step, "step")
        if not self.step > 0:
            raise ValueError(f"step={step!r} must be positive")
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be callable, not {callback!r}")
        check_progress(progress)
        self.callback, self.progress = callback, progress
        self.every = _counted(every, "every", 0)
        self.record = self._recorded(record)
        self.last, self.stopped = self._stopped(_counted(steps, "steps", 0), stop)

    def _recorded(self, record: Any) -> tuple[str, ...]:
        known = self.problem.spectrum is not None
        if record is None:
            return tuple(name for name in _DEFAULT_RECORD if known or name not in _OF_TRUTH)
        chosen = (record,) if isinstance(record, str) else tuple(record)
        for name in chosen:
            if name not in _RECORDS:
                raise ValueError(
                    f"record has {name!r}, not one of {', '.join(map(repr, _RECORDS))}"
                )
            if name in _OF_TRUTH and not known:
                raise ValueError(f"record has {name!r}, which needs truth")
        return chosen

    def _stopped(self, steps: int, stop: Any) -> tuple[int, str | None]:
        """The last step, and what is said if it is a plateau's."""
        if stop is None:
            return steps, None
        rank, where = stop if isinstance(stop, tuple) and len(stop) == 2 else (stop, "end")
        if where not in _WHERE:
            raise ValueError(f"stop={stop!r}: {where!r} is not one of {', '.join(_WHERE)}")
        rank = _counted(rank, "stop", 1)
        problem = self.problem
        if problem.start != "identical" or problem.spectrum is None:
            raise ValueError(
                f"stop={stop!r} needs start='identical' and a known target: plateaus are predicted "
                "for these"
            )
        try:
            first, last = recovery_plateau(
                problem.spectrum, problem.alpha, problem.depth, self.step, rank
            )
        except ValueError as error:
            raise ValueError(f"stop={stop!r}: {error}") from None
        if first > last:
            raise ValueError(
                f"stop={stop!r}: the plateau of rank {rank} is empty, from step {first} to {last}"
            )
        if where != "start" and math.isinf(last):
            raise ValueError(
                f"stop={stop!r}: the plateau of rank {rank} has no end, it begins at step {first}"
            )
        chosen = int({"start": first, "middle": (first + last) // 2, "end": last}[where])
        if chosen > steps:
            return steps, None
        return chosen, f"the {where} of the predicted plateau of rank {rank}, step {chosen}"


# ---------------------------------------------------------------------------------------------
# Doing it


class _Descent:
    """Descent of all runs."""

    def __init__(
        self, plan: _Plan, weights: _Weights, arithmetic: Any, runs: int | None, rng: Rng
    ) -> None:
        if not isinstance(arithmetic, (Arithmetic, type(None))):
            raise TypeError(f"arithmetic must be a pysr.Arithmetic, not {arithmetic!r}")
        if arithmetic is not None and arithmetic.mode == "sr_signed":
            raise ValueError("arithmetic has mode 'sr_signed', which needs directions")
        self.plan = plan
        self.problem, self.model = plan.problem, plan.problem.model
        self.weights = weights
        self.arithmetic = arithmetic
        self.runs = runs
        self.rng = stream_of(rng)
        count = 1 if runs is None else runs
        self.streams = _streams(self.rng, count)
        self.twins: list[Arithmetic] = []
        if arithmetic is not None:
            for stream in _streams(arithmetic.stream, count):
                twin = copy.copy(arithmetic)
                twin.stream, twin.counts = stream, Counts()
                self.twins.append(twin)
        self.alive = np.ones(count, bool)
        self.nit = np.zeros(count, np.int64)
        self.counts = {
            name: np.zeros(count, np.int64) for name in ("moved", "stagnated", "overflow")
        }

    def run(self) -> FactorizationResult:
        """Descend, and have `rng` and `arithmetic` go on from there."""
        with np.errstate(all="ignore"):
            result = self._descend()
        self.rng.state = self.streams[0].state
        if self.arithmetic is not None:
            self.arithmetic.stream.state = self.twins[0].stream.state
            for twin in self.twins:
                self.arithmetic.counts.add(twin.counts)
        return result

    def _descend(self) -> FactorizationResult:
        plan, alive = self.plan, self.alive
        x = np.stack([self.problem.begin(stream, r) for r, stream in enumerate(self.streams)])
        x = self.weights.nearest(x, self.arithmetic)
        y, z = np.empty_like(x), np.empty_like(x)
        now, later, updated = (self.model.parts(array) for array in (x, y, z))
        history = _History(plan, self.runs)
        ending = ends.DONE if plan.stopped is None else ends.TARGET
        k = 0
        with reporter(plan.progress, plan.last) as report:
            while alive.any():
                due = plan.every and (k % plan.every == 0 or k == plan.last)
                if due and history.take(k, x, now, alive):
                    ending = ends.STOPPED
                    break
                if k == plan.last:
                    break
                self._update(now, updated)
                _keep(x, z, alive)
                self._round(k, x, z, y)
                _keep(x, y, alive)
                self._count(x, z, y)
                x, y, now, later = y, x, later, now
                self.nit += alive
                k += 1
                report(k)
        return self._result(x, np.where(alive, ending, ends.DIVERGED), history)

    def _update(self, parts: Parts, updated: Parts) -> None:
        """One step of every run, before weights are rounded."""
        step = self.plan.step
        if not self.twins:
            for w, g, out in zip(parts, self.model.gradient(parts), updated, strict=True):
                np.subtract(w, step * g, out=out)
            return
        for r, twin in enumerate(self.twins):
            own = [made(w[r], twin) for w in parts]
            for v, g, out in zip(own, self.model.gradient(own), updated, strict=True):
                out[r] = (v - step * g).values

    def _round(self, k: int, x: Values, z: Values, y: Values) -> None:
        for r, stream in enumerate(self.streams):
            if not self.alive[r]:
                y[r] = x[r]
                continue
            try:
                self.weights(x[r], z[r], stream, y[r])
            except OverflowError as error:
                run = "" if self.runs is None else f" of run {r}"
                raise OverflowError(f"step {k}{run}: {error}") from None

    def _count(self, x: Values, z: Values, y: Values) -> None:
        moved = y != x
        self.counts["moved"] += moved.sum(axis=1)
        fmt = self.weights.fmt
        if fmt is not None:
            self.counts["stagnated"] += ((z != x) > moved).sum(axis=1)
            if z.max() > fmt.max or z.min() < fmt.min:
                self.counts["overflow"] += ((z > fmt.max) | (z < fmt.min)).sum(axis=1)

    def _result(self, x: Values, status: NDArray[Any], history: _History) -> FactorizationResult:
        one = self.runs is None
        state = x[0] if one else x
        messages = [self._message(int(s), int(n)) for s, n in zip(status, self.nit, strict=True)]
        return FactorizationResult(
            factors=self.model.factors(state),
            product=self.model.measure(self.model.parts(state), ("product",))["product"],
            nit=int(self.nit[0]) if one else self.nit,
            status=int(status[0]) if one else status,
            success=bool(self.alive[0]) if one else self.alive,
            message=messages[0] if one else np.array(messages),
            history=history.arrays(),
            target_spectrum=self.problem.spectrum,
            counts={name: int(n[0]) if one else n for name, n in self.counts.items()},
            seed=self.rng.seed,
            stream=self.rng.stream,
        )

    def _message(self, status: int, nit: int) -> str:
        if status == ends.TARGET:
            return f"stopped at {self.plan.stopped}"
        if status == ends.STOPPED:
            return f"ended by the callback after {nit} steps"
        if status == ends.DONE:
            return f"all {nit} steps were made"
        fmt = self.weights.fmt
        where = "" if fmt is None else f" in {fmt.name or fmt}"
        text = f"weights were no longer finite{where} after step {nit + 1}"
        spectrum, step = self.problem.spectrum, self.plan.step
        if spectrum is not None and spectrum.max() > 0:
            limit = recovery_step_limit(float(spectrum.max()), self.problem.depth)
            if step >= limit:
                text += f": step={step:g} is beyond the limit {limit:.4g}"
        return text


def _streams(stream: Philox, count: int) -> list[Philox]:
    """Copies of the streams from this one on, all at its block."""
    return [
        Philox(stream.seed, stream=stream.stream + r).advance(stream.position) for r in range(count)
    ]


def _keep(x: Values, y: Values, alive: NDArray[Any]) -> None:
    """Where weights are no longer finite, or have been so, put back those which were."""
    flat = y.ravel()
    if math.isfinite(flat @ flat) and alive.all():
        return
    alive &= np.isfinite(y).all(axis=1)
    y[~alive] = x[~alive]


class _History:
    """What is recorded, in arrays that are filled as descent goes on."""

    def __init__(self, plan: _Plan, runs: int | None) -> None:
        self.plan, self.model, self.runs = plan, plan.problem.model, runs
        self.steps: list[int] = []
        self.values: dict[str, Values] = {}
        self.rows = plan.last // plan.every + 2 if plan.every else 0

    def take(self, k: int, x: Values, parts: Parts, alive: NDArray[Any]) -> bool:
        """Record; whether the callback wants to end it."""
        record = self.plan.record
        found = self.model.measure(parts, record)
        if "effective_rank" in record:
            sizes = found["singular_values"]
            found["effective_rank"] = sizes.sum(axis=-1) / sizes[..., 0]
        found["factors"] = x
        at = len(self.steps)
        self.steps.append(k)
        for name in record:
            if name not in self.values:
                self.values[name] = np.empty((self.rows, *found[name].shape))
            self.values[name][at] = found[name]
            self.values[name][at][~alive] = np.nan
        if self.plan.callback is None:
            return False
        shown = {name: self._of_runs(self.values[name][at]) for name in record}
        shown["factors"] = [np.array(w) for w in self.model.factors(self._of_runs(x))]
        try:
            self.plan.callback(OptimizeResult(nit=k, **shown))
        except StopIteration:
            return True
        return False

    def _of_runs(self, values: Values) -> Any:
        return values[0] if self.runs is None else values

    def arrays(self) -> dict[str, Any]:
        found: dict[str, Any] = {"step": np.array(self.steps, np.int64)}
        for name, values in self.values.items():
            rows = values[: len(self.steps)]
            rows = rows[:, 0] if self.runs is None else rows
            found[name] = self.model.factors(rows) if name == "factors" else rows
        return found
