"""Rows of the lab biased-descent: what is said of each measurement."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from pysr.labs._frame import Claim, Draw, Setup
from pysr.labs.biased_descent._measure import U
from pysr.labs.biased_descent._study import EXACT, Arithmetic
from pysr.optim import bounds

Draws = list[Draw]
LATE = 10
BOUND = f"mean f / bound, largest over k >= {LATE}"
Setups = Mapping[str, Setup]


def last(draw: Draw) -> float:
    """The value at the end."""
    return float(draw["value"][-1])


def at(draw: Draw, step: int) -> float:
    """The value at a step."""
    return float(draw["value"][draw["step"].index(step)])


def floor(draw: Draw) -> float:
    """The mean value over the last third of the steps, over that of the best point on the grid."""
    values = draw["value"]
    return float(np.mean(values[2 * len(values) // 3 :]) / draw["best"])


def first_below(draw: Draw, limit: float) -> float:
    """The first step that was looked at whose value is below a limit."""
    below = np.array(draw["value"]) <= limit
    return float(draw["step"][int(np.argmax(below))]) if below.any() else math.inf


def field(name: str) -> Callable[[Draws], list[float]]:
    """A number that was measured, of every seed."""
    return lambda draws: [float(draw[name]) for draw in draws]


def component(name: str, i: int, factor: float = 1.0) -> Callable[[Draws], list[float]]:
    """A coordinate of a point that was measured, of every seed."""
    return lambda draws: [factor * float(draw[name][i]) for draw in draws]


def each(function: Callable[[Draw], float]) -> Callable[[Draws], list[float]]:
    """A quantity of every seed."""
    return lambda draws: [function(draw) for draw in draws]


def _of_means(function: Callable[[Draw], float]) -> Callable[[Draws, Draws], list[float]]:
    """The mean of one set-up over that of another."""

    def values(one: Draws, other: Draws) -> list[float]:
        means = [np.mean([function(draw) for draw in draws]) for draws in (one, other)]
        return [float(means[0] / means[1])]

    return values


def _pairs(function: Callable[[Draw], float]) -> Callable[[Draws, Draws], list[float]]:
    """One set-up over another, seed by seed."""
    return lambda one, other: [function(a) / function(b) for a, b in zip(one, other, strict=True)]


def expected(table: Mapping[str, Any], name: str) -> Any:
    """What a table says of an arithmetic; of another than the lab's own what it says of SR."""
    return table.get(name, table["sr"])


# ---------------------------------------------------------------------------------------------
# Roundings, steps, walks


def _largest(what: str) -> Callable[[Draw], float]:
    return lambda draw: float(np.max(np.abs(draw[what])))


def moment_claims(setup: Setup) -> list[Claim]:
    """The largest error over all points."""
    return [
        Claim(f"{setup.key}-{what}", f"{what}, largest error / {unit}", (setup,),
              each(_largest(what)), "<=", 0.004)
        for what, unit in (("bias", "u"), ("variance", "u^2"))
    ]  # fmt: skip


def case_claims(arithmetic: Arithmetic, setup: Setup) -> list[Claim]:
    """Shares against `bounds.moving_probability`, and what each case says."""
    mode, eps = (
        ("sr", 0.0)
        if arithmetic.roles is None or not arithmetic.applies
        else (arithmetic.roles["product"].mode, arithmetic.roles["product"].eps)
    )

    def shares(name: str) -> Callable[[Draw], float]:
        def value(draw: Draw) -> float:
            theory = bounds.moving_probability(
                draw["gradient"], draw["step"], U, mode, eps,
                gradient_u=U if name == "both" else None,
            )  # fmt: skip
            return float(np.max(np.abs(np.array(draw[name]) - theory)))

        return value

    def inside(case: int, what: str, pick: Any) -> Callable[[Draw], float]:
        def value(draw: Draw) -> float:
            chosen = bounds.step_case(draw["gradient"], draw["step"], U) == case
            return float(pick(np.array(draw[what])[chosen]))

        return value

    def claim(name: str, text: str, value: Any, relation: Any, expectation: float) -> Claim:
        return Claim(f"{setup.key}-{name}", text, (setup,), each(value), relation, expectation,
                     provenance="recalled" if name.startswith("case") else "derived",
                     applies=arithmetic.applies)  # fmt: skip

    claims = [
        claim(f"share-{name}", f"{text}: share that moves, largest error", shares(name), "<=",
              0.0 if mode == "rne" else 0.025)
        for name, text in (("product", "product rounded"), ("both", "gradient too"))
    ]  # fmt: skip
    if mode == "rne":
        claims += [
            claim("case-1", "case 1, abs(t g) <= u/2: most that moves",
                  inside(1, "product", np.max), "=", 0),
            claim("case-2", "case 2, below u: least that moves", inside(2, "product", np.min),
                  "=", 1),
        ]  # fmt: skip
    else:
        claims += [
            claim("case-1", "case 1, abs(t g) <= u/2: least that moves",
                  inside(1, "product", np.min), ">=", 2.0**-6),
            claim("case-2", "case 2, below u: longest mean step / u",
                  inside(2, "product_length", np.max), "<=", 1),
        ]  # fmt: skip
    claims.append(
        claim("case-3", "case 3, u or more: least that moves", inside(3, "product", np.min), "=", 1)
    )
    return claims


def one_step_claims(setups: Setups) -> list[Claim]:
    """Both sides of `bounds.step_bound`; and where it is tighter than for SR."""
    claims = []
    plain = setups["sr"]
    for name, setup in setups.items():
        claims.append(
            Claim(f"{setup.key}-bound", "f after the step / bound", (setup,),
                  lambda draws: [m / b for d in draws
                                 for m, b in zip(d["mean"], d["bound"], strict=True)],
                  "<=", 1)
        )  # fmt: skip
        if name != "sr":
            claims.append(
                Claim(f"{setup.key}-tighter",
                      "f after the step less SR's, / deviation, where the bound is tighter",
                      (setup, plain), _gains, "<=", 0)
            )  # fmt: skip
    return claims


def _gains(biased: Draws, plain: Draws) -> list[float]:
    found = []
    for one, other in zip(biased, plain, strict=True):
        for k, tighter in enumerate(one["tighter"]):
            spread = math.hypot(one["deviation"][k], other["deviation"][k])
            if tighter:
                found.append((one["mean"][k] - other["mean"][k]) / spread)
    return found


def distance(draw: Draw, c: float, start: int, eps: float) -> float:
    """Kolmogorov's distance of the times from theory, times the root of their number."""
    times, counts = np.array(draw["times"]), np.array(draw["counts"])
    theory = bounds.absorption_distribution(c, start, eps, steps=int(times[-1]))
    found = np.zeros(len(theory))
    found[times] = counts
    found = np.cumsum(found) / counts.sum()
    return float(np.max(np.abs(found - theory)) * math.sqrt(counts.sum()))


def walk_claims(
    arithmetic: Arithmetic, setup: Setup, c: float, start: int, mean: float | None = None
) -> list[Claim]:
    """Times against theory; to nearest, where it ends. `mean` is given where it is in a table."""
    applies = arithmetic.applies
    if arithmetic.name == "rne":
        end = min(start, math.floor(bounds.stagnation_radius(c, U) / U))
        return [
            Claim(f"{setup.key}-stops", "where it stops / u", (setup,),
                  lambda draws: [x for draw in draws for x in draw["last"]], "=", end,
                  applies=applies)
        ]  # fmt: skip
    eps = arithmetic.roles["product"].eps if arithmetic.roles and applies else 0.0
    time = bounds.absorption_time(c, start, eps) if mean is None else mean
    spread = math.sqrt(bounds.absorption_variance(c, start, eps))
    return [
        Claim(f"{setup.key}-mean", "steps until 0", (setup,), field("mean"),
              "=", time, 0.025 * time, applies=applies),
        Claim(f"{setup.key}-deviation", "deviation of the steps", (setup,),
              field("deviation"), "=", spread, 0.08 * spread, applies=applies),
        Claim(f"{setup.key}-distribution", "distance of distributions x sqrt(runs)", (setup,),
              each(lambda draw: distance(draw, c, start, eps)), "<=", 2.3, applies=applies),
    ]  # fmt: skip


# ---------------------------------------------------------------------------------------------
# Quadratic functions


def _applies(arithmetics: Iterable[Arithmetic]) -> bool:
    return all(a.applies for a in arithmetics)


def order_claims(
    family: str, setups: Setups, order: Sequence[Arithmetic], text: str, value: Any
) -> list[Claim]:
    """Each arithmetic after the first is below the one before, in the mean."""
    return [
        Claim(f"{family}-{lower.name}-below-{upper.name}",
              f"{text}: {lower.name} / {upper.name}",
              (setups[lower.name], setups[upper.name]), _of_means(value), "<=", 1,
              applies=_applies((lower, upper)))
        for upper, lower in pairwise(order)
    ]  # fmt: skip


def grid_claims(setups: Setups, arithmetics: Sequence[Arithmetic]) -> list[Claim]:
    """The minimizer on the grid."""
    rounded = arithmetics[1:]
    standing = bounds.stagnation_value(np.logspace(-2, 0, 100), 0.25, U, gradient_u=U)
    claims = order_claims(
        "grid", setups, rounded, "f at k = 1000", lambda draw: at(draw, 1000)
    )  # fmt: skip
    for arithmetic in rounded:
        setup, applies = setups[arithmetic.name], arithmetic.applies
        if arithmetic.name == "rne":
            claims += [
                Claim("grid-rne-constant", "f at k = 2000 / at k = 1000", (setup,),
                      each(lambda draw: at(draw, 2000) / at(draw, 1000)), "=", 1, 0.01,
                      judged="mean", stated=8, applies=applies),
                Claim("grid-rne-standing", "f at the end / bound where all stands still",
                      (setup,), each(lambda draw: last(draw) / standing), "<=", 1,
                      applies=applies),
                Claim("grid-rne-above", "f at the end / what unbiased rounding keeps to",
                      (setup,), each(lambda draw: last(draw) / _end_of_bound()), ">=", 1.5,
                      applies=applies),
            ]  # fmt: skip
        elif arithmetic.name != "sr":
            claims.append(
                Claim(f"{setup.key}-reaches", "steps until f <= 1e-4", (setup,),
                      each(lambda draw: first_below(draw, 1e-4)), "<=", 2000, applies=applies)
            )  # fmt: skip
        if arithmetic.name == "sr":
            claims += [
                Claim("grid-sr-exact", "f at k = 1000 / float64's",
                      (setup, setups[EXACT.name]), _of_means(lambda draw: at(draw, 1000)),
                      "=", 1, 0.1, applies=applies),
                Claim("grid-sr-bound", BOUND, (setup,), _over_bound,
                      "<=", 1, applies=applies),
            ]  # fmt: skip
    return claims


def _end_of_bound() -> float:
    return float(bounds.sr_bound(math.inf, 1.0, 0.25, 1.0, 0.01, 100, U, gradient_u=U))


def _over_bound(draws: Draws) -> list[float]:
    """The largest ratio of means over seeds, behind the first steps, where it begins at 1."""
    late = np.array(draws[0]["step"]) >= LATE
    value, bound = (np.mean([draw[what] for draw in draws], axis=0) for what in ("value", "bound"))
    return [float(np.max((value / bound)[late]))]


def off_grid_claims(setups: Setups, arithmetics: Sequence[Arithmetic]) -> list[Claim]:
    """The minimizer off the grid: what is gained in speed is lost in accuracy."""
    table: dict[str, tuple[Any, float, float]] = {
        "rne": (">=", 1000, 0), "sr": ("=", 2, 0.5), "sr_eps-0.4": ("=", 4, 1)
    }  # fmt: skip
    claims = [
        Claim("off-grid-float64-floor", "f at k = 4500 / best on the grid",
              (setups[EXACT.name],), each(lambda draw: last(draw) / draw["best"]), "<=", 1e-4,
              applies=True)
    ]  # fmt: skip
    for arithmetic in arithmetics[1:]:
        if arithmetic.name in table or not arithmetic.applies:
            relation, value, tolerance = expected(table, arithmetic.name)
            setup = setups[arithmetic.name]
            claims.append(
                Claim(f"{setup.key}-floor", "f in the end / best on the grid", (setup,),
                      each(floor), relation, value, tolerance, judged="mean", stated=8,
                      applies=arithmetic.applies)
            )  # fmt: skip
    stochastic = [a for a in arithmetics[1:] if a.name != "rne"]
    claims += order_claims("off-grid-floor", setups, stochastic[::-1], "f in the end", floor)
    claims += order_claims(
        "off-grid-speed", setups, stochastic, "steps until f <= 0.001",
        lambda draw: first_below(draw, 1e-3),
    )  # fmt: skip
    return claims


def nonconvex_claims(setups: Setups, arithmetics: Sequence[Arithmetic]) -> list[Claim]:
    """The Polyak-Łojasiewicz inequality is all that the bound asks for."""
    return [
        Claim(f"{setups[a.name].key}-bound", BOUND, (setups[a.name],), _over_bound, "<=", 1,
              applies=a.applies)
        for a in arithmetics
        if a.name != "rne"
    ]  # fmt: skip


# ---------------------------------------------------------------------------------------------
# Other functions


def logistic_claims(setups: Setups, arithmetics: Sequence[Arithmetic]) -> list[Claim]:
    table = {
        "float64": (0.0860, 0.0001), "rne": (0.3228, 0.0001), "sr": (0.0867, 0.003),
        "sr_eps-0.1": (0.067, 0.05 * 0.067), "sr_eps-0.25": (0.054, 0.05 * 0.054),
    }  # fmt: skip
    claims = []
    for arithmetic in arithmetics:
        setup = setups[arithmetic.name]
        value, tolerance = expected(table, arithmetic.name)
        claims.append(
            Claim(f"{setup.key}-loss", "loss at k = 300", (setup,), each(last), "=", value,
                  tolerance, judged="mean", applies=arithmetic.applies)
        )  # fmt: skip
        if arithmetic.name == "rne":
            claims.append(
                Claim(f"{setup.key}-frozen", "step from which on nothing moves", (setup,),
                      field("frozen"), "=", 9, applies=arithmetic.applies)
            )  # fmt: skip
        if arithmetic is not EXACT:
            claims.append(
                Claim(f"{setup.key}-saturated", "results beyond the range", (setup,),
                      field("saturated"), "=", 0, applies=arithmetic.applies)
            )  # fmt: skip
    return claims


def _share(draws: Draws) -> list[float]:
    return [float(np.mean(np.array(draw["last"]) <= 1.6e-4)) for draw in draws]


def rosenbrock_claims(setups: Setups, arithmetics: Sequence[Arithmetic]) -> list[Claim]:
    exact = 4.0e-3
    table: dict[str, tuple[Any, float, float]] = {
        "float64": ("=", exact, 0.05e-3), "rne": ("=", 3.99, 0.005), "sr": ("=", exact, 1.2e-3),
        "sr_eps-0.1": ("<=", exact / 2, 0), "sr_eps-0.25": ("=", 0, 0),
    }  # fmt: skip
    claims = []
    for arithmetic in arithmetics:
        setup = setups[arithmetic.name]
        relation, value, tolerance = expected(table, arithmetic.name)
        claims.append(
            Claim(f"{setup.key}-median", "median f of 50 runs at k = 5000", (setup,), each(last),
                  relation, value, tolerance, judged="mean", stated=4, applies=arithmetic.applies)
        )  # fmt: skip
        if arithmetic.name == "sr_eps-0.1":
            claims.append(
                Claim(f"{setup.key}-share", "runs with f <= 1.6e-4", (setup,), _share, "=", 0.5,
                      0.21, judged="mean", stated=2, possible=(0, 1), applies=arithmetic.applies)
            )  # fmt: skip
    return claims


def _arrived(draws: Draws) -> list[float]:
    return [float(np.mean(np.array(draw["last"]) == 0)) for draw in draws]


def himmelblau_claims(setups: Setups, arithmetics: Sequence[Arithmetic]) -> list[Claim]:
    """On the grid the function is 0 at (3, 2) alone."""
    claims = []
    for arithmetic in arithmetics:
        setup, applies = setups[arithmetic.name], arithmetic.applies
        table = {"rne": (0.114, 0.0005), "float64": (0.0, 1e-6)}
        if arithmetic.name in table:
            value, tolerance = table[arithmetic.name]
            claims.append(
                Claim(f"{setup.key}-last", "f at k = 400", (setup,), each(last), "=", value,
                      tolerance, applies=applies)
            )  # fmt: skip
        else:
            claims.append(
                Claim(f"{setup.key}-arrived", "share of 50 runs at (3, 2) at k = 400", (setup,),
                      _arrived, ">=", 0.98, judged="mean", possible=(0, 1), applies=applies)
            )  # fmt: skip
    return claims


def overflow_claims(setups: Setups, applies: bool) -> list[Claim]:
    """The gradient (170, 226): what remains of it in Q7.8."""
    left = {"saturate": (128.0, 128.0), "wrap": (-86.0, -30.0), "wide": (170.0, 226.0)}
    claims = []
    for name, setup in setups.items():
        applicable = applies or name == "float64"
        if name in left:
            claims.append(
                Claim(f"{setup.key}-first", "coordinates beyond the range, first gradient",
                      (setup,), field("first"), "=",
                      0 if name == "wide" else 2, applies=applicable)
            )  # fmt: skip
            claims += [
                Claim(f"{setup.key}-{'xy'[i]}", f"first step, -change of {'xy'[i]} / t", (setup,),
                      component("change", i, -1024.0), "=", left[name][i],
                      1024 * U, applies=applicable)
                for i in range(2)
            ]  # fmt: skip
        if name == "wrap":
            claims += [
                Claim(f"{setup.key}-all", "wrapped gradients in 400 steps", (setup,),
                      field("all"), "=", 800, applies=applicable),
                Claim(f"{setup.key}-last", "f at k = 400", (setup,), each(last), ">=", 100,
                      applies=applicable),
            ]  # fmt: skip
        else:
            claims.append(
                Claim(f"{setup.key}-last", "f at k = 400", (setup,), each(last), "=", 0, 0.01,
                      applies=applicable)
            )  # fmt: skip
    return claims


# ---------------------------------------------------------------------------------------------
# The network

LOSS = 0.0685


def _scaled(one: Draws, control: Draws) -> list[float]:
    """Losses as if float64's were the one that the table has, from every start."""
    return [LOSS * ratio for ratio in _pairs(last)(one, control)]


def network_claims(
    fmt: str, setups: Setups, control: Setup, arithmetics: Sequence[Arithmetic]
) -> list[Claim]:
    """Losses as they are, and over float64's from the same start."""
    table: dict[str, dict[str, tuple[Any, float, float]]] = {
        "Q3.8": {"rne": (">=", 0.45, 0), "sr_eps-0.1": ("=", 0.017, 0.003),
                 "sr_eps-0.25": ("<=", 0.001, 0)},
        "Q3.10": {"rne": ("=", 0.15, 0.02), "sr_eps-0.1": ("=", 0.040, 0.004),
                  "sr_eps-0.25": ("=", 0.014, 0.002)},
        "Q3.12": {},
    }  # fmt: skip
    ratios: dict[str, dict[str, float]] = {
        "Q3.8": {"sr": 0.05},
        "Q3.10": {"sr": 0.05},
        "Q3.12": {"sr": 0.05, "rne": 0.15},
    }
    claims = []
    for arithmetic in arithmetics:
        setup, name, applies = setups[arithmetic.name], arithmetic.name, arithmetic.applies
        if name in table[fmt]:
            relation, value, tolerance = table[fmt][name]
            relative = relation == "="
            claims.append(
                Claim(f"{setup.key}-loss",
                      f"loss at k = 300 x {LOSS} / float64's" if relative else "loss at k = 300",
                      (setup, control) if relative else (setup,),
                      _scaled if relative else each(last), relation, value, tolerance,
                      judged="mean", stated=5, applies=applies)
            )  # fmt: skip
        elif name in ratios[fmt] or not applies:
            tolerance = expected(ratios[fmt], name)
            claims.append(
                Claim(f"{setup.key}-ratio", "loss at k = 300 / float64's", (setup, control),
                      _pairs(last), "=", 1, tolerance, judged="mean", stated=5, applies=applies)
            )  # fmt: skip
        if name == "rne" and fmt == "Q3.8":
            claims.append(
                Claim(f"{setup.key}-moving", "share of weights that moves, last 50 steps, median",
                      (setup,), lambda draws: [float(np.median(field("moving")(draws)))], "<=",
                      0.001, possible=(0, 1), applies=applies)
            )  # fmt: skip
    return claims


TUNED = (1.0, 1.5, 1.75, 2.0)


def _tuned(*steps: Draws) -> list[float]:
    """The least loss over step sizes, of every start."""
    return [min(last(draw) for draw in draws) for draws in zip(*steps, strict=True)]


def control_claims(setups: Mapping[float, Setup], biased: Setup | None) -> list[Claim]:
    """Float64 with the same step, and with longer ones."""
    longer = tuple(setups[t] for t in TUNED)
    label = "64-32-32-32-10 network, digits, float64, best of t = 1, 1.5, 1.75, 2"
    claims = [
        Claim(f"{setups[0.125].key}-loss", "loss at k = 300", (setups[0.125],), each(last), "=",
              LOSS, 0.01, judged="mean", stated=5, applies=True),
        Claim("step-tuned-loss", "loss at k = 300", longer, _tuned, "=", 0.0008, 0.0008,
              judged="mean", stated=5, applies=True, label=label),
    ]  # fmt: skip
    if biased is not None:
        claims.append(
            Claim("step-tuned-below", "loss / that of SR_.1 in Q3.8, t = 1/8", (*longer, biased),
                  lambda *draws: [tuned / last(other) for tuned, other
                                  in zip(_tuned(*draws[:-1]), draws[-1], strict=True)],
                  "<=", 1, applies=True, label=label)
        )  # fmt: skip
    return claims
