"""QR factorizations, sums and refinement in few bits, beside what theory says of them.

Matrices of given condition number kappa are factorized with every operation rounded to float16,
bfloat16, tf32 or binary32, to nearest ("rne") and stochastically ("sr"), by eight algorithms of
`pysr.linalg.qr`. Measured are the error ||A - Q R|| / ||A|| and the loss of orthogonality
||Q^T Q - I||, in the 2-norm and in units of u, the unit roundoff: 2^-p to nearest and 2^(1-p)
stochastically. NumPy's factorization in float64 is the control.

Bounds and their sources are in `pysr.linalg.theory`. They say that Householder's Q is orthogonal to
O(u), whatever kappa; that modified Gram-Schmidt (MGS) loses kappa u, the classical one (CGS) and
Cholesky's factor of A^T A kappa^2 u; that a second pass repairs CGS (CGS2); that Cholesky breaks
down beyond about u^-1/2. Of sums they say that the error to nearest may grow like n u, and that of
stochastic rounding like sqrt(n) u: equal terms, whose rounding errors agree in sign until the sum
stands still, show both. Of refinement, that factors with unit roundoff u_f serve as they are up to
kappa of about 1 / u_f, and as preconditioners of GMRES far beyond.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

import pysr
from pysr import linalg
from pysr.labs._report import Row, extra
from pysr.linalg import theory

__all__ = ["figure", "matrix", "measure", "rows", "slope"]

SUMMARY = "QR, sums and refinement in few bits keep to the theory of rounding errors, or break down"

# NDArray spelled out: stubtest looks for a class, and from NumPy 2.5 on it is none.
Array = np.ndarray[tuple[Any, ...], np.dtype[np.float64]]

MODES = ("rne", "sr")
FAILURE = 1e-3
ALL = ("householder", "givens", "mgs", "mgs2", "cgs", "cgs2", "cholesky", "cholesky2")
FEW = ("householder", "mgs", "cgs", "cgs2", "cholesky")
HALF_DECADES = tuple(10.0 ** (k / 2) for k in range(7))
# What is factorized: condition numbers from 1 to the last below 1 / u.
PLANS: dict[str, tuple[tuple[str, ...], tuple[float, ...]]] = {
    "float16": (ALL, HALF_DECADES),
    "bfloat16": (ALL, HALF_DECADES[:5]),
    "tf32": (FEW, HALF_DECADES[::2]),
    "binary32": (FEW, (*HALF_DECADES, 1e4, 1e5, 1e6)),
}
QUICK_PLANS: dict[str, tuple[tuple[str, ...], tuple[float, ...]]] = {
    "float16": (FEW, HALF_DECADES),
    "bfloat16": (FEW, HALF_DECADES[:5]),
    "binary32": (FEW, (*HALF_DECADES, 1e4, 1e6)),
}


@dataclasses.dataclass(frozen=True)
class Factorization:
    """One QR factorization: errors in the 2-norm, NaN if it broke down, and then why."""

    fmt: str
    mode: str
    method: str
    kappa: float
    seed: int
    error: float
    loss: float
    breakdown: str = ""


@dataclasses.dataclass(frozen=True)
class Sums:
    """Relative errors of sums of equal terms: a row for each term, a column for each n."""

    fmt: str
    mode: str
    seed: int
    lengths: tuple[int, ...]
    errors: Array
    predicted: Array


@dataclasses.dataclass(frozen=True)
class Solution:
    """One system solved by refinement."""

    fmt: str
    mode: str
    method: str
    kappa: float
    seed: int
    converged: bool
    reason: str
    corrections: int
    steps: float
    backward_error: float


@dataclasses.dataclass(frozen=True)
class Found:
    """What `measure` found; `shape` is that of the factorized matrices."""

    shape: tuple[int, int]
    order: int
    factorizations: tuple[Factorization, ...]
    growth: tuple[tuple[str, int, int, float], ...]
    sums: tuple[Sums, ...]
    ones: tuple[tuple[str, int, int, float], ...]
    dots: tuple[tuple[str, int, int, float], ...]
    solutions: tuple[Solution, ...]


# ---------------------------------------------------------------------------------------------
# Measurements


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


def measure(seeds: Sequence[int] | None, quick: bool, notes: list[str]) -> Found:
    """Factorize, sum and solve.

    Parameters
    ----------
    seeds : sequence of int or None
        None: 0 and 1; with `quick` 0 alone.
    quick : bool
        Smaller matrices, shorter sums, fewer formats and algorithms.
    notes : list of str
        Receives tables of the condition number against corrections and steps of GMRES.

    Returns
    -------
    Found
        Every measurement.

    Examples
    --------
    >>> found = measure(None, True, [])  # doctest: +SKIP
    >>> found.shape  # doctest: +SKIP
    (400, 20)
    """
    chosen = tuple(seeds) if seeds is not None else (0,) if quick else (0, 1)
    m, n = (400, 20) if quick else (1000, 50)
    order = 40 if quick else 60
    solutions = tuple(_solutions(order, chosen, quick))
    for fmt, mode, method in itertools.product(("float16", "bfloat16"), MODES, ("lu", "gmres")):
        notes.append(_table(solutions, fmt, mode, method))
    return Found(
        shape=(m, n),
        order=order,
        factorizations=tuple(_factorizations(m, n, chosen, QUICK_PLANS if quick else PLANS)),
        growth=tuple(_growth(chosen, (64, 256, 1024, 4096) if quick else
                             (64, 128, 256, 512, 1024, 2048, 4096, 8192))),
        sums=tuple(
            _sums(fmt, mode, seed, most - 2 * quick)
            for fmt, most in (("binary32", 20), ("float16", 14))
            for mode in MODES
            for seed in chosen
        ),
        ones=tuple(_ones(chosen)),
        dots=tuple(_dots(chosen)),
        solutions=solutions,
    )  # fmt: skip


def _factorizations(
    m: int, n: int, seeds: Sequence[int], plans: dict[str, Any]
) -> Iterable[Factorization]:
    number = 1
    for fmt, (methods, kappas) in plans.items():
        for kappa, seed in itertools.product(kappas, seeds):
            a = np.asarray(pysr.round(matrix(m, n, kappa, seed), fmt, "rne"))
            carrier = a.astype(np.float32)  # holds these formats, and is faster
            for mode, method in itertools.product(MODES, methods):
                number += 1
                arithmetic = pysr.Arithmetic(fmt, mode, rng=pysr.Philox(seed, stream=number))
                error = loss = math.nan
                breakdown = ""
                try:
                    q, r = linalg.qr(carrier, arithmetic, method=method)
                    error, loss = _errors(a, q, r)
                except np.linalg.LinAlgError as reason:
                    breakdown = str(reason)
                yield Factorization(fmt, mode, method, kappa, seed, error, loss, breakdown)
            if fmt == "float16":
                errors = _errors(a, *np.linalg.qr(a))
                yield Factorization("binary64", "rne", "householder", kappa, seed, *errors)


def _errors(a: Array, q: Any, r: Any) -> tuple[float, float]:
    q, r = np.asarray(q, np.float64), np.asarray(r, np.float64)
    error = np.linalg.norm(a - q @ r, 2) / np.linalg.norm(a, 2)
    return float(error), float(np.linalg.norm(q.T @ q - np.eye(q.shape[1]), 2))


def _growth(seeds: Sequence[int], lengths: Sequence[int]) -> Iterable[tuple[str, int, int, float]]:
    """Errors of Householder's factorization of positive matrices with many rows."""
    for m, seed in itertools.product(lengths, seeds):
        generator = np.random.Generator(pysr.Philox(seed, stream=m))
        a = np.asarray(pysr.round(generator.random((m, 8)), "bfloat16", "rne"))
        for mode in MODES:
            rng = pysr.Philox(seed, stream=m + 1)
            q, r = linalg.qr(a.astype(np.float32), pysr.Arithmetic("bfloat16", mode, rng=rng))
            yield mode, m, seed, _errors(a, q, r)[0]


def _sums(fmt: str, mode: str, seed: int, most: int) -> Sums:
    """Sums of n terms c, for random c in [1, 2), at every power of two."""
    generator = np.random.Generator(pysr.Philox(seed, stream=1))
    terms = np.asarray(pysr.round(generator.uniform(1, 2, 256), fmt, "rne"))
    lengths = tuple(2**k for k in range(3, most + 1))
    arithmetic = pysr.Arithmetic(fmt, mode, rng=pysr.Philox(seed, stream=2))
    at = np.array(lengths) - 1
    parts = [
        arithmetic.cumsum(np.full((4, lengths[-1]), part[:, np.newaxis], np.float32), axis=1)[:, at]
        for part in np.split(terms, 64)
    ]
    exact = terms[:, np.newaxis] * np.array(lengths)
    errors = np.concatenate(parts).astype(np.float64) / exact - 1
    deviation = [[_deviation(float(term), n, fmt) / (term * n) for n in lengths] for term in terms]
    return Sums(fmt, mode, seed, lengths, errors, np.sqrt(np.mean(np.square(deviation), axis=0)))


def _deviation(term: float, n: int, fmt: str) -> float:
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


def _ones(seeds: Sequence[int]) -> Iterable[tuple[str, int, int, float]]:
    """Relative errors of sums of ones in bfloat16, in float64 as the control."""
    for k, seed in itertools.product((8, 10, 12, 14, 16), seeds):
        n = 2**k
        x = np.ones((16, n), np.float32)
        for mode in MODES:
            arithmetic = pysr.Arithmetic("bfloat16", mode, rng=pysr.Philox(seed, stream=k))
            for total in np.asarray(arithmetic.sum(x, axis=1), np.float64):
                yield mode, n, seed, float(abs(total / n - 1))
        yield "float64", n, seed, float(abs(np.cumsum(np.ones(n))[-1] / n - 1))


def _dots(seeds: Sequence[int]) -> Iterable[tuple[str, int, int, float]]:
    """Errors of inner products of positive vectors in float16, relative to abs(x)^T abs(y)."""
    for k, seed in itertools.product((8, 10, 12, 14), seeds):
        n = 2**k
        generator = np.random.Generator(pysr.Philox(seed, stream=k))
        x, y = (
            np.asarray(pysr.round(generator.uniform(0.5, 1, (16, n)), "float16", "rne"))
            for _ in range(2)
        )
        exact = np.sum(x * y, axis=1)
        for mode in MODES:
            arithmetic = pysr.Arithmetic("float16", mode, rng=pysr.Philox(seed, stream=k + 1))
            products = arithmetic.matmul(
                x[:, np.newaxis].astype(np.float32), y[:, :, np.newaxis].astype(np.float32)
            )
            for error in np.abs(products[:, 0, 0] / exact - 1):
                yield mode, n, seed, float(error)


def _solutions(order: int, seeds: Sequence[int], quick: bool) -> Iterable[Solution]:
    number = 1
    kappas = [10.0 ** (k / 2) for k in range(0, 17, 2 if quick else 1)]
    for kappa, seed in itertools.product(kappas, seeds):
        a = matrix(order, order, kappa, seed) / math.sqrt(order)
        b = a @ np.random.Generator(pysr.Philox(seed, stream=1)).standard_normal(order)
        formats = [(fmt, mode) for fmt in ("float16", "bfloat16") for mode in MODES]
        for (fmt, mode), method in itertools.product(
            [*formats, ("binary64", "rne")], ("lu", "gmres")
        ):
            number += 1
            arithmetic = pysr.Arithmetic(fmt, mode, rng=pysr.Philox(seed, stream=number))
            solves = "float64" if method == "gmres" and quick else None
            result = linalg.refine(a, b, arithmetic, method=method, solves=solves)
            yield Solution(
                fmt,
                mode,
                method,
                kappa,
                seed,
                result.converged,
                result.reason,
                result.iterations,
                sum(result.inner_iterations) / max(1, len(result.inner_iterations)),
                float(result.backward_errors[-1]),
            )


def _table(solutions: Sequence[Solution], fmt: str, mode: str, method: str) -> str:
    """Condition numbers and, of the first seed, corrections and steps of GMRES."""
    cells = []
    first = solutions[0].seed
    for s in solutions:
        if (s.fmt, s.mode, s.method, s.seed) == (fmt, mode, method, first):
            power = round(2 * math.log10(s.kappa))
            if power % 2 == 0:
                steps = f" x {s.steps:.0f}" if method == "gmres" else ""
                cells.append(f"1e{power // 2} {s.corrections if s.converged else s.reason}{steps}")
    what = {"lu": "LU-IR, corrections", "gmres": "GMRES-IR, corrections x steps in each"}[method]
    return f"{what}, {fmt} {mode}: " + ", ".join(cells)


# ---------------------------------------------------------------------------------------------
# Rows


def rows(found: Found) -> list[Row]:
    """Judge what was measured.

    Parameters
    ----------
    found : Found
        From `measure`.

    Returns
    -------
    list of Row
        The table. Bounds that leave a constant open are judged by their growth: "over that at
        kappa = 1" is a ratio of losses, and exponents are fitted. An exponent of 1
        may be 0.15 off and one of 2 0.35, as c in c kappa u is not quite constant over the decades
        that are fitted. The standard
        deviation of sums, predicted, is measured with 256 sums a seed, thus to 4 %, of which twice
        to thrice is allowed.

    Examples
    --------
    >>> found = measure(None, True, [])  # doctest: +SKIP
    >>> {row.verdict for row in rows(found)}  # doctest: +SKIP
    {'holds'}
    """
    made: list[Row] = []
    for fmt in dict.fromkeys(f.fmt for f in found.factorizations):
        for mode in MODES if fmt != "binary64" else ("rne",):
            made += _qr_rows(found, fmt, mode)
    made += _growth_rows(found) + _sum_rows(found) + _refinement_rows(found)
    return made


def _row(
    name: str,
    setup: str,
    values: Iterable[float],
    relation: Any,
    expectation: float,
    tolerance: float = 0.0,
    *,
    provenance: Any = "paper",
    judged: Any = "every",
) -> Row:
    return Row.judge(
        name, setup, values, relation, expectation, tolerance, judged=judged, provenance=provenance
    )


def _select(
    found: Found, fmt: str, mode: str, method: str, low: float = 0.0, high: float = math.inf
) -> list[Factorization]:
    """Factorizations with low <= kappa <= high, to within rounding of the half decades."""
    return [
        f
        for f in found.factorizations
        if (f.fmt, f.mode, f.method) == (fmt, mode, method)
        and low / 1.001 <= f.kappa <= high * 1.001
    ]


def _over_first(chosen: Sequence[Factorization]) -> list[float]:
    """Losses of each seed over that at kappa = 1."""
    first = {f.seed: f.loss for f in chosen if f.kappa == 1}
    return [f.loss / first[f.seed] for f in chosen if f.kappa != 1]


def _exponents(chosen: Sequence[Factorization]) -> list[float]:
    return [
        slope(
            [f.kappa for f in chosen if f.seed == seed], [f.loss for f in chosen if f.seed == seed]
        )
        for seed in dict.fromkeys(f.seed for f in chosen)
    ]


def _qr_rows(found: Found, fmt: str, mode: str) -> list[Row]:
    m, n = found.shape
    u = theory.unit_roundoff(fmt, mode)
    setup = f"QR, {m} x {n}, kappa from 1 to 1/u, {fmt} {mode}"
    if fmt == "binary64":
        setup = f"QR, {m} x {n}, NumPy's in float64, the control"
    bound = theory.householder_qr(m, n, u, factor=1.0)
    every = _select(found, fmt, mode, "householder")
    made = [
        _row("Householder: error / sqrt(mn) u", setup, [f.error / bound for f in every], "<=", 1),
        _row("Householder: loss / sqrt(mn) u", setup, [f.loss / bound for f in every], "<=", 1),
    ]
    if fmt == "binary64":
        return made
    made.append(
        _row(
            "Householder: loss over that at kappa = 1", setup, _over_first(every), "<=", 4,
            provenance="derived",
        )
    )  # fmt: skip
    last = max(f.kappa for f in every)
    worst = {
        method: {f.seed: f.loss for f in _select(found, fmt, mode, method, last)}
        for method in ("householder", "mgs", "cgs")
    }
    if fmt == "binary32":
        made += [
            _row("MGS: exponent of kappa in the loss", setup,
                 _exponents(_select(found, fmt, mode, "mgs", 1e2, 1e6)), "=", 1, 0.15),
            _row("CGS: exponent of kappa in the loss", setup,
                 _exponents(_select(found, fmt, mode, "cgs", 10, 1e3)), "=", 2, 0.35),
            _row("Cholesky: exponent of kappa in the loss", setup,
                 _exponents(_select(found, fmt, mode, "cholesky", 30, 0.35 / math.sqrt(u))),
                 "=", 2, 0.35),
        ]  # fmt: skip
    else:
        pairs = [
            (f.seed, f.loss / g.loss)
            for f, g in zip(
                _select(found, fmt, mode, "cgs"), _select(found, fmt, mode, "mgs"), strict=True
            )
            if not f.breakdown + g.breakdown
        ]
        most = [
            max((ratio for s, ratio in pairs if s == seed), default=math.nan)
            for seed in worst["mgs"]
        ]
        made += [
            _row("MGS's loss over Householder's at kappa = 1/u", setup,
                 [worst["mgs"][s] / worst["householder"][s] for s in worst["mgs"]],
                 ">=", 2, provenance="derived"),
            _row("CGS's loss over MGS's at the worst kappa", setup, most, ">=", 2,
                 provenance="derived"),
        ]  # fmt: skip
    second = _select(found, fmt, mode, "cgs2", 0, 0.03 / u)
    if len({f.kappa for f in second}) > 1:
        made.append(
            _row("CGS2: loss over that at kappa = 1, kappa below 0.03/u", setup,
                 _over_first(second), "<=", 4)
        )  # fmt: skip
    limit = 1 / math.sqrt(u)
    early = _select(found, fmt, mode, "cholesky", 0, 0.1 * limit)
    late = _select(found, fmt, mode, "cholesky", 4 * limit, 1 / u)
    said = [float("not positive definite" in f.breakdown) for f in late]
    return [
        *made,
        _row("Cholesky succeeds, kappa below 0.1 u^-1/2", setup,
             [float(not f.breakdown) for f in early], "=", 1, provenance="derived"),
        _row("Cholesky breaks down and says so, kappa above 4 u^-1/2", setup, said, "=", 1),
    ]  # fmt: skip


def _growth_rows(found: Found) -> list[Row]:
    lengths = sorted({m for _, m, _, _ in found.growth})
    setup = f"Householder, m x 8, m = {lengths[0]} to {lengths[-1]}, positive, bfloat16"
    table = {(mode, m, seed): error for mode, m, seed, error in found.growth}
    seeds = sorted({seed for _, _, seed, _ in found.growth})
    u = theory.unit_roundoff("bfloat16", "sr")
    exponents = {
        mode: [slope(lengths, [table[mode, m, s] for m in lengths]) for s in seeds]
        for mode in MODES
    }
    return [
        _row("sr: error / sqrt(mn) u", setup,
             [table["sr", m, s] / theory.householder_qr(m, 8, u, factor=1.0)
              for m in lengths for s in seeds], "<=", 1),
        _row("sr: exponent of m in the error", setup, exponents["sr"], "<=", 0.5, 0.15),
        _row("rne's error over sr's at the largest m", setup,
             [table["rne", lengths[-1], s] / table["sr", lengths[-1], s] for s in seeds],
             ">=", 2, provenance="derived"),
    ]  # fmt: skip


def _sum_rows(found: Found) -> list[Row]:
    made = []
    for fmt in dict.fromkeys(s.fmt for s in found.sums):
        for mode, exponent in (("rne", 1.0), ("sr", 0.5)):
            runs = [s for s in found.sums if (s.fmt, s.mode) == (fmt, mode)]
            setup = f"sums of n equal terms, n = 2^3 to 2^{len(runs[0].lengths) + 2}, {fmt} {mode}"
            u = theory.unit_roundoff(fmt, mode)
            used = [k for k, n in enumerate(runs[0].lengths) if n * u <= 0.26]
            lengths = [runs[0].lengths[k] for k in used]
            rms = [np.sqrt(np.mean(np.square(s.errors), axis=0)) for s in runs]
            made.append(
                _row("exponent of n in the error, n u < 1/4", setup,
                     [slope(lengths, r[used]) for r in rms], "=", exponent, 0.1)
            )  # fmt: skip
            bounds = [
                theory.summation(n, u, failure=None if mode == "rne" else FAILURE)
                for n in runs[0].lengths
            ]
            tight = [k for k, bound in enumerate(bounds) if bound < 1]
            worst = [float(np.max(np.abs(s.errors[:, k])) / bounds[k]) for s in runs for k in tight]
            kind = "worst case" if mode == "rne" else "bound of 1 - 0.001"
            made.append(_row(f"largest error / {kind}", setup, worst, "<=", 1))
            if mode == "sr":
                ratios = [
                    r[used[-1]] / s.predicted[used[-1]] for r, s in zip(rms, runs, strict=True)
                ]
                made.append(
                    _row("standard deviation / predicted, largest such n", setup, ratios, "=", 1,
                         0.12, provenance="derived")
                )  # fmt: skip
    lengths = sorted({n for _, n, _, _ in found.ones})
    setup = f"sums of ones, n = 2^8 to 2^{round(math.log2(lengths[-1]))}, bfloat16"
    stagnation = [
        e - theory.stagnation(n, "bfloat16") for mode, n, _, e in found.ones if mode == "rne"
    ]
    last = [(mode, e) for mode, n, _, e in found.ones if n == lengths[-1]]
    deviation = theory.summation_deviation(np.ones(lengths[-1]), "bfloat16") / lengths[-1]
    control = [e for mode, _, _, e in found.ones if mode == "float64"]
    made += [
        _row("rne: error - (1 - 2^8/n)", setup, stagnation, "=", 0, 1e-12, provenance="derived"),
        _row("rne: error at the largest n", setup, [e for mode, e in last if mode == "rne"],
             ">=", 0.99, provenance="derived"),
        _row("sr: error at the largest n, in predicted deviations", setup,
             [e / deviation for mode, e in last if mode == "sr"], "<=", 4, provenance="derived"),
        _row("float64, the control: error", setup, control, "=", 0, 1e-12, provenance="derived"),
    ]  # fmt: skip
    u = theory.unit_roundoff("float16", "sr")
    setup = "inner products of positive vectors, n = 2^8 to 2^14, float16"
    dots = {
        mode: {n: [e for kind, k, _, e in found.dots if (kind, k) == (mode, n)] for n in
               sorted({k for _, k, _, _ in found.dots})}
        for mode in MODES
    }  # fmt: skip
    most = max(dots["sr"])
    ratios = [
        e / theory.inner_product(n, u, failure=FAILURE) for n, errors in dots["sr"].items()
        for e in errors
    ]  # fmt: skip
    made += [
        _row("sr: error / bound of 1 - 0.001", setup, ratios, "<=", 1),
        _row("rne's error over sr's, largest n, rms", setup,
             [math.sqrt(np.mean(np.square(dots["rne"][most])) /
                        np.mean(np.square(dots["sr"][most])))], ">=", 4, provenance="derived"),
    ]  # fmt: skip
    return made


def _refinement_rows(found: Found) -> list[Row]:
    made = []
    n = found.order
    for fmt, mode in (
        ("float16", "rne"),
        ("float16", "sr"),
        ("bfloat16", "rne"),
        ("bfloat16", "sr"),
    ):
        limit = theory.lu_ir_limit(theory.unit_roundoff(fmt, mode))
        chosen = [s for s in found.solutions if (s.fmt, s.mode) == (fmt, mode)]
        lu = [s for s in chosen if s.method == "lu"]
        gmres = [s for s in chosen if s.method == "gmres"]
        setup = f"refinement, {n} x {n}, factors in {fmt} {mode}"
        early = [s for s in lu if s.kappa <= 0.1 * limit]
        late = [s for s in lu if s.kappa >= 100 * limit]
        far = [s for s in gmres if s.kappa <= 1.001e7]
        made += [
            _row("LU-IR converges, kappa below 0.1/u_f", setup,
                 [float(s.converged) for s in early], "=", 1),
            _row("LU-IR: backward error / n 2^-53, kappa below 0.1/u_f", setup,
                 [s.backward_error / (n * 2.0**-53) for s in early], "<=", 1),
            _row("LU-IR fails and says so, kappa above 100/u_f", setup,
                 [float(not s.converged and s.reason in ("diverged", "stagnated", "iterations"))
                  for s in late], "=", 1),
            _row("GMRES-IR converges, kappa up to 1e7", setup,
                 [float(s.converged) for s in far], "=", 1),
            _row("GMRES-IR: backward error / n 2^-53, kappa up to 1e7", setup,
                 [s.backward_error / (n * 2.0**-53) for s in far], "<=", 1),
            _row("GMRES-IR: corrections, kappa up to 1e7", setup,
                 [float(s.corrections) for s in far], "<=", 8, provenance="derived"),
        ]  # fmt: skip
    control = [s for s in found.solutions if s.fmt == "binary64" and s.method == "lu"]
    made.append(
        _row("LU-IR converges, all kappa",
             f"refinement, {n} x {n}, factors in binary64, the control",
             [float(s.converged) for s in control], "=", 1)
    )  # fmt: skip
    return made


# ---------------------------------------------------------------------------------------------
# Figure

_SR, _NEAREST, _BEFORE, _THEORY = "#1f5fbf", "#d9730d", "#6b7280", "#111827"
_STYLES = {
    "householder": ("Householder", "#111827", "o"),
    "mgs": ("MGS", "#1f5fbf", "s"),
    "cgs": ("CGS", "#d9730d", "^"),
    "cgs2": ("CGS2", "#2f9e44", "D"),
    "cholesky": ("Cholesky", "#c2255c", "v"),
}


def figure(found: Found) -> Any:
    """Draw what was measured, in six panels.

    Parameters
    ----------
    found : Found
        From `measure`.

    Returns
    -------
    matplotlib.figure.Figure
        Above: the loss of orthogonality against the condition number in float16, to nearest and
        stochastically, with its theory, and the error of Q R. Below: the error of sums and of
        Householder's factorization against the number of terms or rows, both ways beside their
        bounds, and the corrections of refinement against the condition number.

    Raises
    ------
    MissingExtra
        If matplotlib is not installed.

    Examples
    --------
    >>> figure(measure(None, True, [])).savefig("rounded-qr.png")  # doctest: +SKIP
    """
    backend = extra("matplotlib.backends.backend_agg", "matplotlib", "the figure")
    figures = extra("matplotlib.figure", "matplotlib", "the figure")
    drawing = figures.Figure(figsize=(16, 10), layout="constrained", facecolor="white")
    backend.FigureCanvasAgg(drawing)
    panels = drawing.subplots(2, 3)
    for axes in panels.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(True, color="#e5e7eb", linewidth=0.7)
        axes.set_axisbelow(True)
    drawing.suptitle(
        "Every operation rounded: what algorithms lose in few bits, to nearest and stochastically, "
        "beside what theory says",
        fontsize=14,
    )
    _draw_losses(panels[0, 0], found, "rne")
    _draw_losses(panels[0, 1], found, "sr")
    panels[0, 1].set_ylim(panels[0, 0].get_ylim())
    _draw_errors(panels[0, 2], found)
    _draw_sums(panels[1, 0], found)
    _draw_growth(panels[1, 1], found)
    _draw_refinement(panels[1, 2], found)
    return drawing


def _title(axes: Any, title: str, detail: str) -> None:
    axes.set_title(f"{title}\n", fontsize=11.5, fontweight="bold")
    axes.text(0.5, 1.02, detail, ha="center", va="bottom", fontsize=9.5, transform=axes.transAxes)


def _means(chosen: Sequence[Factorization], what: str) -> tuple[list[float], list[float]]:
    """Condition numbers, and geometric means over seeds where nothing broke down."""
    kappas = sorted({f.kappa for f in chosen if not f.breakdown})
    means = [
        math.exp(
            np.mean(
                [math.log(getattr(f, what)) for f in chosen if f.kappa == k and not f.breakdown]
            )
        )
        for k in kappas
    ]
    return kappas, means


def _draw_losses(axes: Any, found: Found, mode: str) -> None:
    m, n = found.shape
    u = theory.unit_roundoff("float16", mode)
    kappas = np.logspace(0, math.log10(1 / u), 60)
    for method in _STYLES:
        label, colour, marker = _STYLES[method]
        chosen = _select(found, "float16", mode, method)
        x, y = _means(chosen, "loss")
        axes.loglog(x, np.array(y) / u, marker + "-", color=colour, ms=5.5, lw=1.3, label=label)
        if method == "cholesky" and len(x) < len({f.kappa for f in chosen}):
            axes.plot(x[-1], y[-1] / u, "x", color=colour, ms=13, mew=2.2)
            axes.annotate(
                "breaks down\nbeyond here", (x[-1], y[-1] / u), (-10, 4), fontsize=9,
                textcoords="offset points", color=colour, ha="right",
            )  # fmt: skip
    x, y = _means(_select(found, "binary64", "rne", "householder"), "loss")
    axes.loglog(x, np.array(y) / 2.0**-53, "+-", color=_BEFORE, lw=1, label="float64, in its own u")
    for power, label in ((1, r"$\kappa u$"), (2, r"$\kappa^2 u$")):
        line = kappas**power
        axes.loglog(kappas, line, ":", color=_THEORY, lw=1.2)
        at, offset = (54, (4, -10)) if power == 1 else (48, (-34, -2))
        axes.annotate(
            label, (kappas[at], line[at]), offset, textcoords="offset points", fontsize=11
        )
    axes.axhline(math.sqrt(m * n), color=_THEORY, lw=1, ls="--")
    axes.annotate(r"$\sqrt{mn}\,u$", (1.05, math.sqrt(m * n)), (0, 3),
                  textcoords="offset points", fontsize=10)  # fmt: skip
    axes.axvline(1 / math.sqrt(u), color=_STYLES["cholesky"][1], lw=1, ls="--", alpha=0.6)
    axes.annotate(r"$u^{-1/2}$", (1 / math.sqrt(u), 0.7), (3, 0), textcoords="offset points",
                  fontsize=10, color=_STYLES["cholesky"][1])  # fmt: skip
    axes.set_ylim(0.5, 3e6)
    axes.set_xlabel(r"condition number $\kappa$")
    axes.set_ylabel(r"$\|Q^T Q - I\|$, in units of $u$")
    name = {"rne": "to nearest", "sr": "stochastically"}[mode]
    _title(axes, f"Loss of orthogonality, {name}",
           rf"float16, {m} × {n}, $u = 2^{{{round(math.log2(u))}}}$")  # fmt: skip
    axes.legend(loc="upper left", frameon=False, fontsize=9, ncols=2)


def _draw_errors(axes: Any, found: Found) -> None:
    m, n = found.shape
    for mode, line in (("rne", "--"), ("sr", "-")):
        u = theory.unit_roundoff("float16", mode)
        for method in ("householder", "mgs", "cgs2"):
            label, colour, marker = _STYLES[method]
            x, y = _means(_select(found, "float16", mode, method), "error")
            fill = colour if mode == "sr" else "none"
            axes.loglog(x, np.array(y) / u, marker + line, color=colour, mfc=fill, ms=5.5, lw=1.3,
                        label=f"{label}, {mode}")  # fmt: skip
    x, y = _means(_select(found, "binary64", "rne", "householder"), "error")
    axes.loglog(x, np.array(y) / 2.0**-53, "+-", color=_BEFORE, lw=1, label="float64, in its own u")
    axes.axhline(math.sqrt(m * n), color=_THEORY, lw=1, ls="--")
    axes.annotate(r"$\sqrt{mn}\,u$", (1.05, math.sqrt(m * n)), (0, 3),
                  textcoords="offset points", fontsize=10)  # fmt: skip
    axes.set_ylim(0.02, 6 * math.sqrt(m * n))
    axes.set_xlabel(r"condition number $\kappa$")
    axes.set_ylabel(r"$\|A - QR\|\,/\,\|A\|$, in units of $u$")
    _title(axes, r"Error of $QR$: small for all, whatever $\kappa$", f"float16, {m} × {n}")
    axes.legend(loc="lower left", frameon=False, fontsize=9, ncols=2)


def _draw_sums(axes: Any, found: Found) -> None:
    for fmt, marker in (("binary32", "o"), ("float16", "s")):
        for mode, colour in (("rne", _NEAREST), ("sr", _SR)):
            runs = [s for s in found.sums if (s.fmt, s.mode) == (fmt, mode)]
            errors = np.concatenate([s.errors for s in runs])
            rms = np.sqrt(np.mean(np.square(errors), axis=0))
            n = np.array(runs[0].lengths)
            axes.loglog(n, rms, marker, color=colour, ms=5, label=f"{fmt}, {mode}")
            u = theory.unit_roundoff(fmt, mode)
            if mode == "sr":
                axes.loglog(n, runs[0].predicted, color=colour, lw=1.2)
                bound = np.array([theory.summation(int(k), u, failure=FAILURE) for k in n])
                axes.loglog(n[bound < 3], bound[bound < 3], "--", color=colour, lw=1)
            else:
                bound = np.array([theory.summation(int(k), u) for k in n])
                axes.loglog(n[bound < 3], bound[bound < 3], "--", color=colour, lw=1)
    axes.plot([], [], "-", color=_SR, lw=1.2, label="predicted deviation")
    axes.plot([], [], "--", color=_BEFORE, lw=1, label=r"bounds: $nu$; $\lambda\sqrt{n}\,u$")
    axes.axhline(1, color=_THEORY, lw=0.8)
    axes.set_ylim(1e-10, 5)
    axes.set_xlabel("number of terms $n$")
    axes.set_ylabel("relative error, rms")
    _title(axes, r"Sums of equal terms: $n$ to nearest, $\sqrt{n}$ stochastically",
           "256 terms $c$ in [1, 2), each added $n$ times")  # fmt: skip
    axes.legend(loc="lower right", frameon=False, fontsize=9, ncols=3)


def _draw_growth(axes: Any, found: Found) -> None:
    lengths = sorted({m for _, m, _, _ in found.growth})
    for mode, colour, marker in (("rne", _NEAREST, "x"), ("sr", _SR, "o")):
        points = [(m, error) for kind, m, _, error in found.growth if kind == mode]
        name = {"rne": "to nearest", "sr": "stochastically"}[mode]
        axes.loglog(*zip(*points, strict=True), marker, color=colour, ms=6, label=name)
        u = theory.unit_roundoff("bfloat16", mode)
        line = [theory.householder_qr(m, 8, u, factor=1.0) for m in lengths]
        axes.loglog(lengths, line, "--", color=colour, lw=1, label=rf"$\sqrt{{mn}}\,u$, {mode}")
    axes.set_xticks(lengths[:: 2 if len(lengths) > 5 else 1])
    axes.set_xticklabels([str(m) for m in lengths[:: 2 if len(lengths) > 5 else 1]])
    axes.minorticks_off()
    axes.set_xlabel("rows $m$")
    axes.set_ylabel(r"$\|A - QR\|\,/\,\|A\|$")
    _title(axes, "Householder's error against the number of rows",
           r"bfloat16, $m$ × 8, elements uniform in [0, 1)")  # fmt: skip
    axes.legend(loc="upper left", frameon=False, fontsize=9)


def _draw_refinement(axes: Any, found: Found) -> None:
    top = 44
    styles = {"float16": ("#1f5fbf", "o"), "bfloat16": ("#d9730d", "s"), "binary64": (_BEFORE, "+")}
    for fmt, (colour, marker) in styles.items():
        mode = "rne" if fmt == "binary64" else "sr"
        for method, line, fill in (("lu", "-", colour), ("gmres", "--", "white")):
            chosen = [
                s for s in found.solutions if (s.fmt, s.mode, s.method) == (fmt, mode, method)
            ]
            good = sorted({s.kappa for s in chosen if s.converged})
            counts = [
                np.mean([s.corrections for s in chosen if s.kappa == k and s.converged])
                for k in good
            ]
            name = f"{'LU' if method == 'lu' else 'GMRES'}-IR, {fmt} {mode}"
            axes.plot(
                good, counts, marker + line, color=colour, mfc=fill, ms=5.5, lw=1.2, label=name
            )
            bad = sorted({s.kappa for s in chosen if not s.converged})
            height = top - 6 - 5 * (fmt == "bfloat16")
            axes.plot(bad, [height] * len(bad), "x", color=colour, ms=7, mew=1.6)
            if bad and method == "lu":
                axes.annotate(f"LU-IR, {fmt}: diverges", (bad[-1], height), (0, 7), ha="right",
                              textcoords="offset points", color=colour, fontsize=8.5)  # fmt: skip
        if fmt != "binary64":
            limit = theory.lu_ir_limit(theory.unit_roundoff(fmt, mode))
            axes.axvline(limit, color=colour, lw=1, ls=":")
            axes.annotate(r"$1/u_f$", (limit, top), (2, -2), va="top", color=colour,
                          textcoords="offset points", fontsize=9.5)  # fmt: skip
    axes.set_xscale("log")
    axes.set_ylim(0, top)
    axes.set_xlabel(r"condition number $\kappa$")
    axes.set_ylabel("corrections until convergence")
    _title(axes, r"Refinement to a backward error below $n\,2^{-53}$",
           f"{found.order} × {found.order}, factors with unit roundoff $u_f$")  # fmt: skip
    axes.legend(loc="center right", frameon=False, fontsize=8.5)
