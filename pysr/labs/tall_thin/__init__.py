"""Stochastic rounding lifts the smallest singular value of tall and thin matrices.

The paper is Dexter, Boutsikas, Ma, Ipsen and Drineas, "Stochastic Rounding Implicitly Regularizes
Tall-and-Thin Matrices", arXiv:2403.12278; the follow-up Ma, Drineas and Yu, "Stochastic Rounding
Increases Small Singular Values", arXiv:2606.00312. What they say, and the sharper predictions that
the rows of this lab are judged against, is in `pysr.linalg.theory`: `lift_scale`, `predicted_lift`,
`noise_lift`, `uniform_lift`, `lifted_cluster`.

Where the tolerances come from: errors e along a null vector are nearly normal, or, of a repeated
column, such that 2 e^2 / step^2 is 1 in a third of the rows; either way the mean of n squares
spreads by sqrt(2 / n), and its root, sigma_min, by 1 / sqrt(2 n), relative to itself. At n = 10^4
that is 0.7 %, and 5 %, or .03 on 0.70, is asked of every draw. At n = 1000 it is 2.2 %, 2.6 % on
floating-point grids, whose variances differ from entry to entry; of a mean of ten draws 2 % is
asked, or 3 %: about three standard errors. In the breast-cancer table, n = 569, it is 3 %, and the
next singular values stand only two to three times above sigma_min, which makes the prediction 0.3 %
high, and 2 % in float8_e4m3fn: 3 % is asked of the mean, and 5 %. The edges of a cluster, and the
least singular value of noise, are 1 to 1.6 % inside of their limits at these sizes, and spread by
as much.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from pysr._config import installed
from pysr.labs._frame import Choice, Claim, Lab, Plan, Role, Rounding
from pysr.labs.tall_thin._cases import (
    Bench,
    Case,
    against_prediction,
    against_scale,
    digits,
    growth,
    least_values,
    spectra,
    step,
    with_variance,
)
from pysr.labs.tall_thin._claims import (
    cluster_claims,
    deficient_claims,
    full_rank_claims,
    growth_claims,
    least,
    lift,
    no_lift,
    noise_claims,
    on_grid_claims,
    size_claims,
    spread_claims,
    variance_claims,
)
from pysr.labs.tall_thin._figures import figures
from pysr.labs.tall_thin._matrices import (
    breast_cancer,
    controlled,
    duplicated,
    gaussian,
    halfway,
)

__all__ = ["LAB"]

DECIMAL = ("grid:0.1", "grid:0.01", "grid:0.001", "grid:0.0001", "grid:0.00001")
BINARY = ("Q1.4", "Q1.8", "Q1.12", "Q1.16")
CLUSTERS = ((1000, 200, 50), (1000, 500, 100), (2000, 1000, 10))
NOISE = ((4000, 10), (4000, 100), (1600, 400), (4000, 1000))
AGAINST_N = (250, 1000, 4000, 16_000, 64_000)
AGAINST_D = (10, 40, 160, 640)

Judge = Callable[[Case], list[Claim]]


class Collected:
    """Cases by family, and the claims about them."""

    def __init__(self) -> None:
        self.claims: list[Claim] = []
        self.cases: dict[str, list[Case]] = {}

    def add(self, family: str, cases: Iterable[Case], judge: Judge) -> None:
        """Take cases of a family, and judge them."""
        for case in cases:
            self.cases.setdefault(family, []).append(case)
            self.claims += judge(case)


def _plan(choice: Choice) -> Plan:
    bench, found = Bench(choice), Collected()
    _add_deficient(bench, found)
    _add_repeated(bench, found)
    _add_full_rank(bench, found)
    _add_tails(bench, found)
    notes = []
    if installed("scikit-learn"):
        _add_real(bench, found)
    else:
        notes.append('the breast-cancer set-ups need scikit-learn: pip install "srcore[labs]"')
    _add_sizes(bench, found)
    return Plan(tuple(found.claims), tuple(figures(found.cases)), tuple(notes))


def _add_deficient(bench: Bench, found: Collected) -> None:
    """The authors' matrices, and what becomes of them when n grows."""
    choice = bench.choice
    few = choice.range(5, quick=2, full=20)
    seeds = {10: choice.range(10, quick=3, full=40), 100: few}
    for d in (10, 100):
        cases = [
            bench.case(f"deficient-{d}", "randn, last sigma := 0", fmt, applies,
                       gaussian(10_000, d), (10_000, d), seeds[d], against_scale)
            for fmt, applies in bench.formats((*DECIMAL, *BINARY))
        ]  # fmt: skip
        found.add("deficient", cases, deficient_claims)
        found.claims.append(least(d, cases))
    for d in (10, 100) if choice.size == "full" else (10,):
        cases = [
            bench.case(f"growth-{d}", "randn, last sigma := 0, then ten copies / sqrt(10)", fmt,
                       applies, gaussian(10_000, d), (10_000, d), few, growth)
            for fmt, applies in bench.formats(("grid:0.01", "Q1.8"))
        ]  # fmt: skip
        found.add("growth", cases, growth_claims)


def _add_repeated(bench: Bench, found: Collected) -> None:
    """Matrices with a repeated column, which round to nearest leaves as it is."""
    choice = bench.choice
    many = choice.range(40, quick=20, full=100)

    def lifted(tolerance: float) -> Judge:
        return lambda case: [lift(case, tolerance, 10), no_lift(case, "nearest")]

    for family, formats, tolerance in (
        ("duplicated", ("grid:0.1", "grid:0.01", "grid:0.0001", "Q1.3", "Q1.7"), 0.02),
        ("floating", ("bfloat16", "float8_e4m3fn"), 0.03),
    ):
        cases = [
            bench.case(family, "uniform, column repeated", fmt, applies, duplicated(1000, 10),
                       (1000, 10), many, against_prediction)
            for fmt, applies in bench.formats(formats)
        ]  # fmt: skip
        found.add("structured", cases, lifted(tolerance))
    cases = [
        bench.case("on-grid", "uniform on the grid, column repeated", fmt, applies,
                   duplicated(1000, 10, fmt), (1000, 10), choice.range(10), with_variance)
        for fmt, applies in bench.formats(("Q1.3", "Q1.7"))
    ]  # fmt: skip
    found.add("on-grid", cases, on_grid_claims)
    for name, fractions in (("high", (50,)), ("low", (11, 99))):
        label = f"randn, fractions {' or '.join(f'.{f}' for f in fractions)}, column repeated"
        cases = [
            bench.case(f"{name}-variance", label, fmt, applies,
                       controlled(10_000, 10, count, fractions), (10_000, 10),
                       choice.range(10, quick=5, full=40), with_variance)
            for fmt, applies in bench.formats(("grid:0.01", "grid:0.0001"))
            if (count := digits(fmt))
        ]  # fmt: skip
        found.add("structured", cases, _variance_judge(fractions))


def _variance_judge(fractions: Sequence[int]) -> Judge:
    parts = [f / 100 for f in fractions]
    largest = max(max(f, 1 - f) for f in parts)
    variance = sum(f * (1 - f) for f in parts) / len(parts) / largest**2
    return lambda case: variance_claims(case, variance)


def _add_full_rank(bench: Bench, found: Collected) -> None:
    cases = [
        bench.case("full-rank", "randn, last sigma := 0.01", fmt, applies,
                   gaussian(1000, 10, least=0.01), (1000, 10),
                   bench.choice.range(40, quick=20, full=100), against_prediction)
        for fmt, applies in bench.formats((*DECIMAL, *BINARY))
    ]  # fmt: skip
    found.add("full-rank", cases, full_rank_claims)


def _add_tails(bench: Bench, found: Collected) -> None:
    """Clusters of zero singular values, and matrices that are nothing but noise."""
    choice = bench.choice

    def cluster(k: int) -> Judge:
        return lambda case: cluster_claims(case, k)

    for n, d, k in CLUSTERS:
        seeds = choice.range(10, quick=3 if d < 1000 else 1, full=20)
        cases = [
            bench.case(f"cluster-{k}-of-{d}", f"randn, last {k} sigma := 0", fmt, applies,
                       gaussian(n, d, k), (n, d), seeds, spectra)
            for fmt, applies in bench.formats(("grid:0.01", "Q1.8") if d < 1000 else ("Q1.8",))
            if math.isfinite(step(fmt))
        ]  # fmt: skip
        found.add("cluster", cases, cluster(k))
    for n, d in NOISE[: 3 if choice.size == "quick" else 4]:
        cases = [
            bench.case(f"noise-{n}-{d}", "every entry half-way between grid points", fmt, applies,
                       halfway(n, d, step(fmt)), (n, d), choice.range(3, full=10), spectra)
            for fmt, applies in bench.formats(("Q1.4",))
            if math.isfinite(step(fmt))
        ]  # fmt: skip
        found.add("noise", cases, noise_claims)


def _add_real(bench: Bench, found: Collected) -> None:
    seeds = bench.choice.range(40, quick=20, full=100)
    for family, label, repeat, fixed in (
        ("cells-repeated", "breast cancer, column repeated", True, "Q1.8"),
        ("cells", "breast cancer as it is", False, "Q1.7"),
    ):
        cases = [
            bench.case(family, label, fmt, applies, breast_cancer(repeat), (569, 30 + repeat),
                       seeds, against_prediction)
            for fmt, applies in bench.formats((fixed, "bfloat16", "float8_e4m3fn"))
        ]  # fmt: skip
        found.add("structured", cases, _real_judge(repeat))


def _real_judge(repeat: bool) -> Judge:
    def judge(case: Case) -> list[Claim]:
        tolerance = 0.05 if case.tag == "float8_e4m3fn" else 0.03
        return [lift(case, tolerance, 10)] + ([no_lift(case, "nearest")] if repeat else [])

    return judge


def _add_sizes(bench: Bench, found: Collected) -> None:
    """Histograms, and sigma_min against n and d: what the figures show."""
    choice = bench.choice
    for kind, label, make in (
        ("generic", "randn, last sigma := 0", gaussian(1000, 10)),
        ("duplicated", "uniform, column repeated", duplicated(1000, 10)),
    ):
        cases = [
            bench.case(f"histogram-{kind}", label, fmt, applies, make, (1000, 10),
                       choice.range(200, quick=100, full=1000), least_values)
            for fmt, applies in bench.formats(("Q1.5",))
        ]  # fmt: skip
        found.add("histogram", cases, spread_claims)
    sizes = {
        "against-n": [(n, 10) for n in AGAINST_N[: 4 if choice.size == "quick" else 5]],
        "against-d": [(4000, d) for d in AGAINST_D[: 3 if choice.size == "quick" else 4]],
    }
    for family, shapes in sizes.items():
        for n, d in shapes:
            cases = [
                bench.case(f"{family}-{n}-{d}", "randn, last sigma := 0", fmt, applies,
                           gaussian(n, d), (n, d), choice.range(3, quick=2, full=10), spectra)
                for fmt, applies in bench.formats(("Q1.4",))
                if math.isfinite(step(fmt))
            ]  # fmt: skip
            found.add(family, cases, size_claims)


LAB = Lab(
    name="tall-thin",
    title="Stochastic rounding lifts the smallest singular value",
    summary="stochastic rounding lifts the smallest singular value of tall and thin matrices",
    introduction=(
        "Let A be an n × d matrix with many more rows than columns, and round its entries "
        "stochastically and independently to some grid: each goes to one of its two neighbours, "
        "so that its mean is what it was and its variance is (ceil − a)(a − floor). With R the "
        "largest error and ν = min over columns j of Σᵢ Varᵢⱼ / (n R²), with high probability "
        "σ_d after rounding ≥ R √n (√ν − ε), and ε tends to 0 as n grows: for any A at all, of "
        "deficient rank or not. (Dexter, Boutsikas, Ma, Ipsen, Drineas, Stochastic rounding "
        "implicitly regularizes tall-and-thin matrices, arXiv:2403.12278; for constant n / d and "
        "clusters of small singular values Ma, Drineas, Yu, Stochastic rounding increases small "
        "singular values, arXiv:2606.00312.)",
        "The rows marked “derived” are judged against sharper predictions, which say not only "
        "what σ_min is at least but what it is; pysr.linalg.theory has them with their arguments. "
        "Beside stochastic rounding stands its control, round to nearest: it lifts generic "
        "matrices too, to 1/√2 of it, but leaves a repeated column repeated.",
    ),
    roles={"rounding": Role("what the entries of the matrix are rounded by", Rounding())},
    plan=_plan,
    not_attempted=(
        (
            "The theorem's explicit ε and its probability of failure.",
            "Their constants were not at hand; the leading term R √(nν) is measured instead, and "
            "asked for to within 5 %.",
        ),
        (
            "The condition d = O((n / log n)^(1/4)) as a threshold.",
            "It is sufficient, with an open constant, and the follow-up shows the lift beyond it; "
            "no row of this lab could contradict it.",
        ),
        (
            "n = 10⁵ and 10⁶ with d = 1000, as in the authors' code.",
            "Such a matrix takes up to 8 GB; here d is at most 100 where n = 10⁵, and d = 1000 is "
            "reached with n = 2000 and 4000.",
        ),
        (
            "The paper's values of ν for low variance.",
            "Its experiment takes R ten times too large there, and so ν a hundred times too small; "
            "here R is the largest error, and R √(nν), which does not depend on it, is the same.",
        ),
    ),
)
