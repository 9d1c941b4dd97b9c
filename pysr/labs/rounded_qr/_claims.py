"""Rows of the lab rounded-qr: what theory says of each measurement."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pysr.labs._frame import Claim, Draw, Rounding, Setup, format_name
from pysr.labs.rounded_qr._measure import Factorization, Solution, slope
from pysr.linalg import theory

FAILURE = 1e-3


def factorized(
    draws: Iterable[Draw], low: float = 0.0, high: float = math.inf
) -> list[Factorization]:
    """Factorizations with low <= kappa <= high, to within rounding of the half decades."""
    runs = [Factorization(**run) for draw in draws for run in draw["runs"]]
    return [f for f in runs if low / 1.001 <= f.kappa <= high * 1.001]


def solved(draws: Iterable[Draw], low: float = 0.0, high: float = math.inf) -> list[Solution]:
    """Solutions with low <= kappa <= high."""
    runs = [Solution(**run) for draw in draws for run in draw["runs"]]
    return [s for s in runs if low / 1.001 <= s.kappa <= high * 1.001]


def _over_first(high: float = math.inf) -> Callable[[list[Draw]], list[float]]:
    """Losses of each seed over that at kappa = 1."""

    def values(draws: list[Draw]) -> list[float]:
        chosen = factorized(draws, 0, high)
        first = {f.seed: f.loss for f in chosen if f.kappa == 1}
        return [f.loss / first[f.seed] for f in chosen if f.kappa != 1]

    return values


def _exponents(low: float, high: float) -> Callable[[list[Draw]], list[float]]:
    """Exponents of kappa in the loss, seed by seed."""

    def values(draws: list[Draw]) -> list[float]:
        chosen = [factorized([draw], low, high) for draw in draws]
        return [slope([f.kappa for f in part], [f.loss for f in part]) for part in chosen]

    return values


def _most(above: list[Draw], below: list[Draw]) -> list[float]:
    """The largest ratio of two algorithms' losses, where neither broke down, seed by seed."""
    return [
        max(
            (
                f.loss / g.loss
                for f, g in zip(factorized([one]), factorized([other]), strict=True)
                if not f.breakdown + g.breakdown
            ),
            default=math.nan,
        )
        for one, other in zip(above, below, strict=True)
    ]


def _at_last(above: list[Draw], below: list[Draw]) -> list[float]:
    """The ratio of two algorithms' losses at the largest condition number, seed by seed."""
    return [
        factorized([one])[-1].loss / factorized([other])[-1].loss
        for one, other in zip(above, below, strict=True)
    ]


def control_claims(setup: Setup, shape: tuple[int, int]) -> list[Claim]:
    """NumPy's factorization in float64."""
    bound = theory.householder_qr(*shape, 2.0**-53, factor=1.0)
    return _householder_bounds(setup, setup.label, bound, True)


def _householder_bounds(setup: Setup, label: str, bound: float, applies: bool) -> list[Claim]:
    return [
        Claim(f"{setup.key}-{what}", f"Householder: {what} / sqrt(mn) u", (setup,),
              _over(what, bound), "<=", 1, provenance="paper", applies=applies, label=label)
        for what in ("error", "loss")
    ]  # fmt: skip


def _over(what: str, bound: float) -> Callable[[list[Draw]], list[float]]:
    return lambda draws: [getattr(f, what) / bound for f in factorized(draws)]


def qr_claims(
    setups: Mapping[str, Setup],
    shape: tuple[int, int],
    kappas: Sequence[float],
    rounding: Rounding,
    applies: bool,
) -> list[Claim]:
    """What is said of each algorithm, by its name in `setups`, in one arithmetic."""
    u = theory.unit_roundoff(rounding.fmt, rounding.mode)
    family = f"qr-{format_name(rounding.fmt)}-{rounding.mode}"
    label = (
        f"QR, {shape[0]} x {shape[1]}, kappa from 1 to 1/u, "
        f"{format_name(rounding.fmt)} {rounding.mode}"
    )

    def claim(
        name: str,
        text: str,
        methods: Sequence[str],
        values: Any,
        relation: Any,
        expectation: float,
        tolerance: float = 0.0,
        provenance: Any = "paper",
    ) -> Claim:
        return Claim(f"{family}-{name}", text, tuple(setups[m] for m in methods), values, relation,
                     expectation, tolerance, provenance=provenance, applies=applies,
                     label=label)  # fmt: skip

    householder = setups["householder"]
    bound = theory.householder_qr(*shape, u, factor=1.0)
    claims = [
        *_householder_bounds(householder, label, bound, applies),
        claim("householder-flat", "Householder: loss over that at kappa = 1", ["householder"],
              _over_first(), "<=", 4, provenance="derived"),
    ]  # fmt: skip
    if u < 1e-5:
        claims += [
            claim("mgs-exponent", "MGS: exponent of kappa in the loss", ["mgs"],
                  _exponents(1e2, 1e6), "=", 1, 0.3),
            claim("cgs-exponent", "CGS: exponent of kappa in the loss", ["cgs"],
                  _exponents(10, 1e3), "=", 2, 0.7),
            claim("cholesky-exponent", "Cholesky: exponent of kappa in the loss", ["cholesky"],
                  _exponents(30, 0.35 / math.sqrt(u)), "=", 2, 0.7),
        ]  # fmt: skip
    else:
        claims += [
            claim("mgs-above", "MGS's loss over Householder's at kappa = 1/u",
                  ["mgs", "householder"], _at_last, ">=", 2, provenance="derived"),
            claim("cgs-above", "CGS's loss over MGS's at the worst kappa", ["cgs", "mgs"], _most,
                  ">=", 2, provenance="derived"),
        ]  # fmt: skip
    if sum(kappa * u <= 0.03 * 1.001 for kappa in kappas) > 1:
        claims.append(
            claim("cgs2-flat", "CGS2: loss over that at kappa = 1, kappa below 0.03/u", ["cgs2"],
                  _over_first(0.03 / u), "<=", 4)
        )  # fmt: skip
    limit = 1 / math.sqrt(u)

    def succeeds(draws: list[Draw]) -> list[float]:
        return [float(not f.breakdown) for f in factorized(draws, 0, 0.1 * limit)]

    def says(draws: list[Draw]) -> list[float]:
        late = factorized(draws, 4 * limit, 1 / u)
        return [float("not positive definite" in f.breakdown) for f in late]

    if any(kappa <= 0.1 * limit * 1.001 for kappa in kappas):
        claims.append(
            claim("cholesky-succeeds", "Cholesky succeeds, kappa below 0.1 u^-1/2", ["cholesky"],
                  succeeds, "=", 1, provenance="derived")
        )  # fmt: skip
    if any(4 * limit <= kappa * 1.001 for kappa in kappas):
        claims.append(
            claim("cholesky-breaks", "Cholesky breaks down and says so, kappa above 4 u^-1/2",
                  ["cholesky"], says, "=", 1)
        )  # fmt: skip
    return claims


def growth_claims(
    setups: Mapping[str, Setup],
    lengths: Sequence[int],
    roundings: Mapping[str, Rounding],
    applies: Mapping[str, bool],
) -> list[Claim]:
    """Householder's error against the number of rows; the last of the modes is judged."""
    mode = list(setups)[-1]
    one, rounding = setups[mode], roundings[mode]
    u = theory.unit_roundoff(rounding.fmt, mode)
    bounds = [theory.householder_qr(m, 8, u, factor=1.0) for m in lengths]

    def ratios(draws: list[Draw]) -> list[float]:
        return [e / b for draw in draws for e, b in zip(draw["errors"], bounds, strict=True)]

    def exponents(draws: list[Draw]) -> list[float]:
        return [slope(lengths, draw["errors"]) for draw in draws]

    def above(nearest: list[Draw], other: list[Draw]) -> list[float]:
        pairs = zip(nearest, other, strict=True)
        return [a["errors"][-1] / b["errors"][-1] for a, b in pairs]

    rows = [
        Claim(f"{one.key}-bound", f"{mode}: error / sqrt(mn) u", (one,), ratios, "<=", 1,
              provenance="paper", applies=applies[mode]),
        Claim(f"{one.key}-exponent", f"{mode}: exponent of m in the error", (one,), exponents,
              "<=", 0.5, 0.15, provenance="paper", applies=applies[mode]),
    ]  # fmt: skip
    if mode != "rne":
        rows.append(
            Claim(f"{one.key}-below", f"rne's error over {mode}'s at the largest m",
                  (setups["rne"], one), above, ">=", 2, applies=applies[mode], label=one.label)
        )  # fmt: skip
    return rows


def sum_claims(
    setup: Setup, lengths: Sequence[int], rounding: Rounding, applies: bool
) -> list[Claim]:
    """Sums of equal terms, in one arithmetic."""
    nearest = rounding.mode == "rne"
    u = theory.unit_roundoff(rounding.fmt, rounding.mode)
    used = [k for k, n in enumerate(lengths) if n * u <= 0.26]
    short = [lengths[k] for k in used]
    bounds = [theory.summation(n, u, failure=None if nearest else FAILURE) for n in lengths]
    tight = [k for k, bound in enumerate(bounds) if bound < 1]

    def exponents(draws: list[Draw]) -> list[float]:
        return [slope(short, [draw["rms"][k] for k in used]) for draw in draws]

    def largest(draws: list[Draw]) -> list[float]:
        return [draw["largest"][k] / bounds[k] for draw in draws for k in tight]

    def deviations(draws: list[Draw]) -> list[float]:
        return [draw["rms"][used[-1]] / draw["predicted"][used[-1]] for draw in draws]

    kind = "worst case" if nearest else "bound of 1 - 0.001"
    rows = [
        Claim(f"{setup.key}-exponent", "exponent of n in the error, n u < 1/4", (setup,),
              exponents, "=", 1.0 if nearest else 0.5, 0.1, provenance="paper", applies=applies),
        Claim(f"{setup.key}-bound", f"largest error / {kind}", (setup,), largest, "<=", 1,
              provenance="paper", applies=applies),
    ]  # fmt: skip
    if not nearest:
        rows.append(
            Claim(f"{setup.key}-deviation", "standard deviation / predicted, largest such n",
                  (setup,), deviations, "=", 1, 0.12, applies=applies)
        )  # fmt: skip
    return rows


def ones_claims(
    setups: Mapping[str, Setup],
    lengths: Sequence[int],
    roundings: Mapping[str, Rounding],
    applies: Mapping[str, bool],
) -> list[Claim]:
    """Sums of ones, which stand still to nearest; float64 as the control."""
    fmt = roundings["rne"].fmt
    stops = [theory.stagnation(n, fmt) for n in lengths]
    predicted = theory.summation_deviation(np.ones(lengths[-1]), fmt) / lengths[-1]

    def beyond(draws: list[Draw]) -> list[float]:
        return [
            error - stop
            for draw in draws
            for errors, stop in zip(draw["errors"], stops, strict=True)
            for error in errors
        ]

    def last(scale: float) -> Callable[[list[Draw]], list[float]]:
        return lambda draws: [error / scale for draw in draws for error in draw["errors"][-1]]

    def every(draws: list[Draw]) -> list[float]:
        return [error for draw in draws for errors in draw["errors"] for error in errors]

    power = theory.unit_roundoff(fmt, "rne")
    rows = [
        Claim(f"{setups['rne'].key}-stagnation",
              f"rne: error - (1 - 2^{round(-math.log2(power))}/n)", (setups["rne"],), beyond, "=",
              0, 1e-12, applies=applies["rne"]),
        Claim(f"{setups['rne'].key}-last", "rne: error at the largest n", (setups["rne"],),
              last(1.0), ">=", 0.99, applies=applies["rne"]),
        Claim(f"{setups['float64'].key}-error", "float64, the control: error",
              (setups["float64"],), every, "=", 0, 1e-12, applies=True),
    ]  # fmt: skip
    mode = list(roundings)[-1]
    if mode != "rne":
        rows.insert(
            2,
            Claim(f"{setups[mode].key}-last",
                  f"{mode}: error at the largest n, in predicted deviations", (setups[mode],),
                  last(predicted), "<=", 4.5, applies=applies[mode]),
        )  # fmt: skip
    return rows


def dot_claims(
    setups: Mapping[str, Setup],
    lengths: Sequence[int],
    roundings: Mapping[str, Rounding],
    applies: Mapping[str, bool],
) -> list[Claim]:
    """Inner products of positive vectors."""
    mode = list(setups)[-1]
    one = setups[mode]
    u = theory.unit_roundoff(roundings[mode].fmt, mode)
    bounds = [theory.inner_product(n, u, failure=FAILURE) for n in lengths]

    def ratios(draws: list[Draw]) -> list[float]:
        return [
            error / bound
            for draw in draws
            for errors, bound in zip(draw["errors"], bounds, strict=True)
            for error in errors
        ]

    def above(nearest: list[Draw], other: list[Draw]) -> list[float]:
        parts = [[e for draw in draws for e in draw["errors"][-1]] for draws in (nearest, other)]
        squares = [np.mean(np.square(part)) for part in parts]
        return [math.sqrt(squares[0] / squares[1])]

    rows = [
        Claim(f"{one.key}-bound", f"{mode}: error / bound of 1 - 0.001", (one,), ratios, "<=", 1,
              provenance="paper", applies=applies[mode]),
    ]  # fmt: skip
    if mode != "rne":
        rows.append(
            Claim(f"{one.key}-below", f"rne's error over {mode}'s, largest n, rms",
                  (setups["rne"], one), above, ">=", 4, applies=applies[mode], label=one.label)
        )  # fmt: skip
    return rows


def refinement_claims(
    setups: Mapping[str, Setup], order: int, rounding: Rounding, applies: bool
) -> list[Claim]:
    """Refinement by LU factors, and by GMRES with them as preconditioner."""
    lu, gmres = setups["lu"], setups["gmres"]
    limit = theory.lu_ir_limit(theory.unit_roundoff(rounding.fmt, rounding.mode))
    small = order * 2.0**-53

    def claim(
        name: str, text: str, one: Setup, low: float, high: float, value: Any, relation: Any,
        expectation: float, provenance: Any = "paper",
    ) -> Claim:  # fmt: skip
        def values(draws: list[Draw]) -> list[float]:
            return [value(s) for s in solved(draws, low, high)]

        return Claim(f"{one.key}-{name}", text, (one,), values, relation, expectation,
                     provenance=provenance, applies=applies,
                     label=lu.label.replace("LU-IR", "refinement"))  # fmt: skip

    def converges(s: Solution) -> float:
        return float(s.converged)

    def backward(s: Solution) -> float:
        return s.backward_error / small

    def fails(s: Solution) -> float:
        return float(not s.converged and s.reason in ("diverged", "stagnated", "iterations"))

    early, late, far = 0.1 * limit, 100 * limit, 1e7
    return [
        claim("converges", "LU-IR converges, kappa below 0.1/u_f", lu, 0, early, converges, "=", 1),
        claim("backward", "LU-IR: backward error / n 2^-53, kappa below 0.1/u_f", lu, 0, early,
              backward, "<=", 1),
        claim("fails", "LU-IR fails and says so, kappa above 100/u_f", lu, late, math.inf, fails,
              "=", 1),
        claim("converges", "GMRES-IR converges, kappa up to 1e7", gmres, 0, far, converges, "=", 1),
        claim("backward", "GMRES-IR: backward error / n 2^-53, kappa up to 1e7", gmres, 0, far,
              backward, "<=", 1),
        claim("corrections", "GMRES-IR: corrections, kappa up to 1e7", gmres, 0, far,
              lambda s: float(s.corrections), "<=", 8, provenance="derived"),
    ]  # fmt: skip


def solved_control(setup: Setup) -> Claim:
    """LU-IR with factors in binary64."""
    return Claim(f"{setup.key}-converges", "LU-IR converges, all kappa", (setup,),
                 lambda draws: [float(s.converged) for s in solved(draws)], "=", 1,
                 provenance="paper", applies=True)  # fmt: skip
