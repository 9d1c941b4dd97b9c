"""Rows of the lab tall-thin: what is expected of each case."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from pysr.labs._frame import Claim, Draw
from pysr.labs.tall_thin._cases import Case
from pysr.linalg import theory

ZERO = 1e-12


def _each(which: str) -> Callable[[list[Draw]], list[float]]:
    return lambda draws: [draw[which] for draw in draws]


def _last(which: str) -> Callable[[list[Draw]], list[float]]:
    return lambda draws: [draw[which][-1] for draw in draws]


def _ratio(which: str, reference: str) -> Callable[[list[Draw]], list[float]]:
    return lambda draws: [draw[which][-1] / draw[reference] for draw in draws]


def _over(which: str, value: float, at: int = -1) -> Callable[[list[Draw]], list[float]]:
    return lambda draws: [draw[which][at] / value for draw in draws]


def no_lift(case: Case, which: str) -> Claim:
    """A control: this must stay at zero."""
    name = "round to nearest" if which == "nearest" else case.mode
    return Claim(
        f"{case.key}-{'nearest' if which == 'nearest' else 'zero'}",
        f"{name}: sigma_min",
        (case.setup,),
        _last(which),
        "<=",
        ZERO,
        applies=which == "nearest" or case.applies,
    )


def lift(case: Case, tolerance: float, stated: int) -> Claim:
    """Prediction 1: sigma_min after stochastic rounding against `theory.predicted_lift`."""
    return Claim(
        f"{case.key}-lift",
        f"{case.mode}: sigma_min / prediction",
        (case.setup,),
        _ratio("rounded", "predicted"),
        "=",
        1.0,
        tolerance,
        judged="mean",
        stated=stated,
        applies=case.applies,
    )


def deficient_claims(case: Case) -> list[Claim]:
    one = (case.setup,)
    claims = [
        Claim(f"{case.key}-scale", f"{case.mode}: sigma_min / R sqrt(n nu)", one,
              _ratio("rounded", "scale"), "=", 1.0, 0.05, applies=case.applies),
        Claim(f"{case.key}-before", "before rounding: sigma_min", one, _last("before"), "<=", ZERO,
              applies=True),
    ]  # fmt: skip
    if math.isfinite(case.step):
        lift = theory.uniform_lift(case.n, case.step)
        claims[1:1] = [
            Claim(f"{case.key}-uniform", f"{case.mode}: sigma_min / step sqrt(n/6)", one,
                  _over("rounded", lift), "=", 1.0, 0.05, applies=case.applies),
            Claim(f"{case.key}-nearest", "round to nearest: sigma_min / step sqrt(n/6)", one,
                  _over("nearest", lift), "=", 0.70, 0.03, applies=case.applies),
        ]  # fmt: skip
    return claims


def least(d: int, cases: Sequence[Case]) -> Claim:
    """The theorem itself, but for its eps: a lower bound for every draw."""

    def values(*draws: list[Draw]) -> list[float]:
        return [
            min(draw["rounded"][-1] / draw["scale"] for draw in column)
            for column in zip(*draws, strict=True)
        ]

    return Claim(
        f"deficient-{d}-least",
        f"{cases[0].mode}: least sigma_min / R sqrt(n nu)",
        tuple(case.setup for case in cases),
        values,
        ">=",
        1.0,
        0.05,
        provenance="paper",
        applies=all(case.applies for case in cases),
        label=f"randn, last sigma := 0, {cases[0].n} x {d}, every format above",
    )


def growth_claims(case: Case) -> list[Claim]:
    root = math.sqrt(10)
    one = (case.setup,)
    return [
        Claim(f"{case.key}-{which}", f"{name}: sigma_min at 10 n / sigma_min at n", one,
              _each(which),
              "=", root, 0.05 * root, applies=case.applies)
        for which, name in (("rounded", case.mode), ("nearest", "round to nearest"))
    ] + [
        Claim(f"{case.key}-before", "before rounding: change of sigma_i / sigma_1", one,
              _each("change"), "<=", ZERO, applies=True)
    ]  # fmt: skip


def full_rank_claims(case: Case) -> list[Claim]:
    return [
        lift(case, 0.03, 20),
        Claim(f"{case.key}-least", f"{case.mode}: sigma_min / R sqrt(n nu)", (case.setup,),
              _ratio("rounded", "scale"), ">=", 0.92, applies=case.applies),
        Claim(f"{case.key}-before", "before rounding: sigma_min", (case.setup,), _last("before"),
              "=", 0.01, 1e-9, applies=True),
    ]  # fmt: skip


def on_grid_claims(case: Case) -> list[Claim]:
    return [
        no_lift(case, "rounded"),
        no_lift(case, "nearest"),
        Claim(f"{case.key}-variance", "nu", (case.setup,),
              _each("variance"), "=", 0.0, applies=case.applies),
        Claim(f"{case.key}-least", f"{case.mode}: sigma_min, above R sqrt(n nu)", (case.setup,),
              _last("rounded"), ">=", lambda draws: max(draw["scale"] for draw in draws),
              possible=(0.0, math.inf), provenance="paper", applies=case.applies),
    ]  # fmt: skip


def variance_claims(case: Case, variance: float) -> list[Claim]:
    """`variance` is nu with R the largest error that the fractions allow."""
    return [
        Claim(f"{case.key}-scale", f"{case.mode}: sigma_min / R sqrt(n nu)", (case.setup,),
              _ratio("rounded", "scale"), "=", 1.0, 0.02, judged="mean", stated=10,
              applies=case.applies),
        Claim(f"{case.key}-variance", "nu", (case.setup,),
              _each("variance"), "=", variance, 0.05 * variance,
              applies=case.applies),
        no_lift(case, "nearest"),
    ]  # fmt: skip


def cluster_claims(case: Case, k: int) -> list[Claim]:
    edges = theory.lifted_cluster(case.n, case.d, k, case.step)
    half = math.sqrt(0.5)
    return [
        Claim(f"{case.key}-{edge}{end}", f"{name}: sigma_{i} / {edge}er edge", (case.setup,),
              _over(which, value, at), "=", part, 0.04 * part, judged="mean", stated=10,
              applies=case.applies)
        for which, name, part, end in (("rounded", case.mode, 1.0, ""),
                                       ("nearest", "round to nearest", half, "-nearest"))
        for edge, value, at, i in (("low", edges[0], -1, case.d),
                                   ("upp", edges[1], -k, case.d - k + 1))
    ]  # fmt: skip


def size_claims(case: Case) -> list[Claim]:
    """Prediction 1 where fractions are uniform, for every n and d."""
    lift = theory.uniform_lift(case.n - case.d + 1, case.step)
    one = (case.setup,)
    return [
        Claim(f"{case.key}-lift", f"{case.mode}: sigma_min / step sqrt((n-d+1)/6)", one,
              _over("rounded", lift), "=", 1.0, _size_tolerance(case), applies=case.applies),
        Claim(f"{case.key}-nearest", "round to nearest: sigma_min / step sqrt((n-d+1)/6)", one,
              _over("nearest", lift), "=", math.sqrt(0.5), 0.71 * _size_tolerance(case),
              applies=case.applies),
    ]  # fmt: skip


def _size_tolerance(case: Case) -> float:
    """Four and a half deviations of one draw, and 2 % for what is of second order."""
    return 0.02 + 4.5 / math.sqrt(2 * case.n)


def noise_claims(case: Case) -> list[Claim]:
    lift = theory.noise_lift(case.n, case.d, case.step / 2)
    return [
        Claim(f"{case.key}-lift", f"{case.mode}: sigma_min / s (sqrt(n) - sqrt(d))", (case.setup,),
              _over("rounded", lift), "=", 1.0, 0.03, judged="mean", stated=3,
              applies=case.applies),
        no_lift(case, "nearest"),
    ]  # fmt: skip


def spread_claims(case: Case) -> list[Claim]:
    count = len(case.setup.seeds)
    if count < 2:
        return []

    def values(draws: list[Draw]) -> list[float]:
        ratios = _ratio("rounded", "predicted")(draws)
        return [float(np.std(ratios, ddof=1)) * math.sqrt(2 * case.n)]

    return [
        Claim(f"{case.key}-spread", f"{case.mode}: deviation of sigma_min / prediction, x sqrt(2n)",
              (case.setup,), values, "=", 1.0, 0.05 + 4 / math.sqrt(2 * count),
              applies=case.applies)
    ]  # fmt: skip
