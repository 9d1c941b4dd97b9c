"""Deep matrix factorization by gradient descent, in low precision: eigenvalues arrive one by one.

The paper is Chou, Gieshoff, Maly, Rauhut, "Gradient descent for deep matrix factorization: dynamics
and implicit bias towards low rank", arXiv:2011.13772.

A matrix What is factorized into W_N ... W_1 by gradient descent on the squared error, all factors
alpha I at first: `pysr.optim.deep_matrix_factorization`. What is known of it, with arguments, is in
`pysr.optim.bounds`: each eigenvalue obeys a recursion of its own, which gives times, plateaus, a
limit for the step, and a threshold below which rounding to nearest learns nothing.

Where the tolerances come from. Half-times are first steps at or above the half, so that those of
the modified equation are exceeded by [0, 1], and by 0.05 for its error O(eta). Errors of sensing
and of random starts depend on the measurements and the start drawn, and spread by half their size;
the mean is asked for. To nearest in bfloat16 a random start learns a part of the second eigenvalue,
so that its error is less than that of the identical start. In float16 rounding to nearest delays
the last eigenvalue, .5, which is near the threshold .393: of 40 bases 31 have learned it after
4,000 steps, 37 after 12,000. Two in five are asked for, and errors where it is learned, which are
between .0077 and .0143: .012 +- .004. Under stochastic rounding r falls, between two steps, by up
to 2e-4 in float16; in bfloat16, where the noise of weights is eight times as large, by up to 2e-3,
of which the row asks 3e-3. When the escape of round-off is seen depends on the logarithm of its
seed: a fifth is allowed. With two factors rounding to nearest can hold the unstable limit: factors
apart by a are held if eta |lambda| a is less than half the spacing of the weights, as round-off of
the gradient alone can be; so it is in float64 for one basis in four, and in binary32 for all that
were seen. Rates are those of the rest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pysr
from pysr.labs._frame import Choice, Claim, Lab, Plan, Role, Rounding, Seeds, Setup, format_name
from pysr.labs.deep_factorization import _claims, _measure
from pysr.labs.deep_factorization._figures import figures
from pysr.labs.deep_factorization._measure import ALPHAS, PLAIN, SIGNED, STEP
from pysr.optim import bounds

__all__ = ["LAB"]

FORMATS = ("bfloat16", "float16", "Q3.8")
THRESHOLDS = (
    ("bfloat16", 3, 3.13, 2),
    ("float16", 3, 0.393, 3),
    ("bfloat16", 4, 6.25, 2),
    ("float16", 4, 0.785, 3),
)
# The windows between which rates of escape are fitted: above round-off, below saturation.
DOUBLE, SINGLE = (1e-12, 1e-3), (1e-4, 1e-2)
STOPS = ((1, "middle"), (1, "end"), (2, "middle"))


class Study:
    """Set-ups and claims under one choice."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice
        self.chosen = choice.arithmetic["weights"]
        self.setups: dict[str, Setup] = {}
        self.claims: list[Claim] = []

    def add(self, key: str, label: str, seeds: Seeds, measure: Any) -> Setup:
        """Add a set-up."""
        self.setups[key] = Setup(key, label, seeds, measure)
        return self.setups[key]

    def roundings(self, *family: str) -> list[tuple[Any, dict[str, Rounding], bool]]:
        """Formats of a family, or the chosen one; the roundings; do expectations apply?"""
        own = [pysr.format(name) for name in family]
        chosen = self.chosen.fmt
        found = []
        for fmt in own if chosen is None else [chosen]:
            rounding = Rounding(fmt, self.chosen.mode, self.chosen.eps)
            found.append((fmt, {"rne": Rounding(fmt, "rne"), rounding.mode: rounding}, fmt in own))
        return found


def _plan(choice: Choice) -> Plan:
    study = Study(choice)
    _add_exact(study)
    _add_random(study)
    _add_sensing(study)
    _add_rounded(study)
    _add_escape(study)
    return Plan(tuple(study.claims), tuple(figures(study.setups, study.chosen)))


def _add_exact(study: Study) -> None:
    """Float64: times, plateaus, the limit for the step, perturbed starts."""
    choice = study.choice
    few = choice.range(3, quick=1, full=10)
    setups = {}
    for depth, alpha in ALPHAS.items():
        setups[depth] = study.add(
            f"base-{depth}", f"base case, N = {depth}, alpha = {alpha:g}, float64", few,
            _measure.base(depth, 4000),
        )  # fmt: skip
        study.claims += _claims.base_claims(setups[depth], depth)
    study.claims.append(_claims.deeper_claim(setups))
    for depth in _measure.OTHERS:
        setup = study.add(
            f"spectra-{depth}", f"five random eigenvalues, N = {depth}, float64",
            choice.range(5, quick=3, full=20), _measure.other_spectra(depth),
        )  # fmt: skip
        study.claims += _claims.spectra_claims(setup)
    for depth in ALPHAS:
        pair = [
            study.add(
                f"step-{depth}-{part}", f"base case, N = {depth}, {part} times the limit, float64",
                few, _measure.step_limit(depth, part, 2000),
            )
            for part in (0.98, 1.01)
        ]  # fmt: skip
        study.claims += _claims.limit_claims(*pair)
    for depth in (2, 3):
        setup = study.add(
            f"perturbed-{depth}", f"eigenvalues 3, 1, -1, -2, perturbed, N = {depth}, float64", few,
            _measure.perturbed(depth, 4000),
        )  # fmt: skip
        study.claims += _claims.perturbed_claims(setup)


def _add_random(study: Study) -> None:
    seeds = study.choice.range(5, quick=1, full=20)
    parts: list[tuple[str, Rounding, bool]] = [("float64", PLAIN, True)]
    for fmt, roundings, applies in study.roundings("float16", "bfloat16"):
        rounding = roundings[study.chosen.mode]
        parts.append((format_name(fmt), rounding, applies and rounding.mode == "sr"))
    for name, rounding, applies in parts:
        mode = "" if rounding.fmt is None else f" {rounding.mode}"
        setup = study.add(
            f"random-{name}", f"random start, 20 x 20, rank 3, N = 3, {name}{mode}", seeds,
            _measure.from_random(rounding, f"random-{name}", 6000),
        )  # fmt: skip
        study.claims += _claims.random_claims(setup, name, applies)


def _add_sensing(study: Study) -> None:
    seeds = study.choice.range(5, quick=2, full=20)
    text = "160 measurements, 20 x 20, rank 2, N = 3"
    ((fmt, roundings, applies),) = study.roundings("bfloat16")
    name = format_name(fmt)
    kinds = {"float64": PLAIN, "rounded": roundings[study.chosen.mode], "nearest": roundings["rne"]}
    if study.chosen.mode == "rne":
        del kinds["rounded"]
    for start in ("identical", "random"):
        setups = {}
        for kind, rounding in kinds.items():
            tag = "float64" if kind == "float64" else f"{name}-{rounding.mode}"
            key = f"sensing-{start}-{tag}"
            setups[kind] = study.add(
                key, f"{text}, {start} start, {tag.replace('-', ' ')}", seeds,
                _measure.sensing(start, rounding, key, 6000),
            )  # fmt: skip
        ours = applies and study.chosen.mode in ("sr", "rne")
        study.claims += _claims.sensing_claims(setups, start, ours)
    setup = study.add(
        "sensing-symmetric", f"{text}, symmetrised, random start, float64", seeds,
        _measure.sensing("random", PLAIN, "sensing-symmetric", 6000, symmetrised=True),
    )  # fmt: skip
    study.claims += _claims.symmetrised_claims(setup)


def _add_rounded(study: Study) -> None:
    """Weights rounded: the base case, thresholds, stopping early."""
    seeds = study.choice.range(10, quick=5, full=20)
    study.add(
        "rounded-float64", "base case, N = 3, float64, the control", seeds,
        _measure.rounded(PLAIN, "", 4000),
    )  # fmt: skip
    for fmt, roundings, applies in study.roundings(*FORMATS):
        name = format_name(fmt)
        for mode, rounding in roundings.items():
            key = f"rounded-{name}-{mode}"
            setup = study.add(
                key, f"base case, N = 3, weights in {name} {mode}", seeds,
                _measure.rounded(rounding, key, 4000),
            )  # fmt: skip
            study.claims += _claims.rounded_claims(
                setup, name, mode, applies and mode in ("rne", "sr")
            )
    for fmt, roundings, _ in study.roundings("bfloat16", "float16"):
        name = format_name(fmt)
        for depth in (3, 4):
            if not math.isfinite(bounds.recovery_threshold(fmt, ALPHAS[depth], depth, STEP)):
                continue
            key = f"threshold-{name}-{depth}"
            setup = study.add(
                key, f"401 eigenvalues, scalar, N = {depth}, {name}", (0,),
                _measure.threshold(
                    fmt, depth, ALPHAS[depth], roundings[study.chosen.mode], 6000
                ),
            )  # fmt: skip
            for own, n, value, digits in THRESHOLDS:
                if (own, n) == (name, depth):
                    study.claims += _claims.threshold_claims(setup, value, digits)
    few = study.choice.range(5, quick=2, full=20)
    ((fmt, roundings, applies),) = study.roundings("bfloat16")
    for rank, where in STOPS:
        for rounding in (PLAIN, roundings[study.chosen.mode]):
            tag = "float64" if rounding.fmt is None else f"{format_name(fmt)}-{rounding.mode}"
            key = f"stop-{rank}-{where}-{tag}"
            setup = study.add(
                key,
                f"base case, N = 4, stopped at the {where} of plateau {rank}, "
                + tag.replace("-", " "),
                few,
                _measure.stopped(rounding, rank, where, key),
            )
            ours = rounding.fmt is None or (applies and rounding.mode == "sr")
            study.claims += _claims.stop_claims(setup, rank, ours)


def _add_escape(study: Study) -> None:
    """Negative eigenvalues: rounding errors leave the limit of identical factors."""
    seeds = study.choice.range(3, quick=1, full=10)
    single = pysr.format("binary32")
    cases: Mapping[str, tuple[Rounding, tuple[float, float], dict[int, int]]] = {
        "float64": (PLAIN, DOUBLE, {2: 2500, 3: 5000, 4: 5000}),
        "binary32-rne": (Rounding(single, "rne"), SINGLE, {2: 2500, 3: 2500}),
        "binary32-sr": (Rounding(single, "sr"), SINGLE, {2: 2500, 3: 2500}),
    }
    seen = {("float64", 3): 40.0, ("binary32-rne", 3): 20.0}
    for name, (rounding, window, depths) in cases.items():
        for depth, steps in depths.items():
            setup = study.add(
                f"escape-{depth}-{name}",
                f"eigenvalues 3, 1, -1, -2, identical, N = {depth}, {name.replace('-', ' ')}",
                seeds, _measure.escape(depth, rounding, window, steps),
            )  # fmt: skip
            if (name, depth) != ("binary32-rne", 2):
                rate = bounds.escape_rate(SIGNED, depth)
                study.claims += _claims.escape_claims(
                    setup, rate, seen.get((name, depth)), always=(name, depth) != ("float64", 2)
                )


LAB = Lab(
    name="deep-factorization",
    title="Deep matrix factorization: the spectrum arrives one eigenvalue at a time",
    summary="gradient descent on W_N ... W_1 recovers one eigenvalue after the other; rounded to "
    "nearest it loses the small ones",
    introduction=(
        "A symmetric matrix Ŵ is factorized as W_N ⋯ W_1 by gradient descent with constant step η "
        "on ½‖W_N ⋯ W_1 − Ŵ‖²_F. With αI for all factors at first, each eigenvalue λ obeys "
        "d ← d − η d^(N−1) (d^N − λ), d^N being the eigenvalue of the product W: λ > 0 is "
        "recovered after a time that falls with λ, so that the spectrum arrives one eigenvalue at "
        "a time, the more distinctly the more factors there are. In between are plateaus, on which "
        "the effective rank r(W), the nuclear norm over the spectral norm, is close to that of the "
        "best approximation of rank L: stopping early is regularising. The same is seen from "
        "random starts and in matrix sensing. (Chou, Gieshoff, Maly, Rauhut, Gradient descent for "
        "deep matrix factorization: dynamics and implicit bias towards low rank, "
        "arXiv:2011.13772.)",
        f"The base case is λ = 4, 2, 1, ½ and six zeros, in a random eigenbasis, η = {STEP:g}, and "
        "α = 0.01, 0.1, 0.2 for N = 2, 3, 4. Times, the limit for η, the threshold of rounding to "
        "nearest and the rate at which round-off escapes were derived for this project: "
        "pysr.optim.bounds has them with their arguments. Errors are ‖W − Ŵ‖_F / ‖Ŵ‖_F.",
        "Where weights are rounded after each update, stochastic rounding follows float64, the "
        "control; rounding to nearest stops where an update is less than half a spacing, which "
        "loses small eigenvalues. With negative eigenvalues the limit of identical factors is "
        "itself unstable, and rounding errors are what leaves it: the last rows measure how fast.",
    ),
    roles={"weights": Role("what weights are rounded by after each update", Rounding())},
    plan=_plan,
    not_attempted=(
        (
            "The paper's own sufficient condition for the step.",
            "Its constants were not at hand; the sharp local limit is checked on both sides.",
        ),
        (
            "The paper's explicit intervals for the effective rank, with their constants.",
            "They were not at hand either; plateaus are predicted from the recursion, to within a "
            "step.",
        ),
        (
            "The threshold of rounding to nearest for matrices.",
            "It is derived for the recursion of one eigenvalue. Elements of a matrix are smaller "
            "than its norm, and finer on a floating-point grid, so that λ = 2 is learned in "
            "bfloat16 in most bases, although the threshold is 3.13.",
        ),
    ),
)
