"""What theory says of rounded descent, against exact small chains and against simulation."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest

import pysr
from pysr.optim import bounds, gradient_descent, problems

U = 2.0**-8


# ---------------------------------------------------------------------------------------------
# One rounding


def exact_moments(
    x: Fraction, mode: str, eps: Fraction, v: int
) -> tuple[Fraction, Fraction]:  # in units of the spacing
    """Mean and variance of the error, from the definition on magnitudes."""
    low = x.numerator // x.denominator
    f = x - low
    if f == 0:
        return Fraction(0), Fraction(0)
    phi = f if x > 0 else 1 - f
    sign = 1 if x > 0 else -1
    lean = {"sr": Fraction(0), "sr_eps": eps, "sr_signed": -v * sign * eps}[mode]
    away = min(max(phi + lean, Fraction(0)), Fraction(1))
    up = away if x > 0 else 1 - away
    mean = (1 - up) * low + up * (low + 1)
    return mean - x, (1 - up) * (low - mean) ** 2 + up * (low + 1 - mean) ** 2


@pytest.mark.parametrize("mode", ["sr", "sr_eps", "sr_signed"])
def test_moments_are_those_of_the_definition(mode: str) -> None:
    points = [Fraction(k, 16) for k in range(-40, 41)]
    for eps, v in product([Fraction(0), Fraction(1, 8), Fraction(1, 2), Fraction(1)], [-1, 0, 1]):
        x = np.array([float(p) for p in points]) * U
        bias, variance = bounds.rounding_moments(x, U, mode, float(eps), v)
        expected = [exact_moments(p, mode, eps, v) for p in points]
        assert np.array_equal(bias, [float(b) * U for b, _ in expected])
        assert np.array_equal(variance, [float(s) * U**2 for _, s in expected])


@pytest.mark.parametrize(
    ("mode", "eps", "v"), [("sr", 0.0, 0), ("sr_eps", 0.3, 0), ("sr_signed", 0.3, -1),
                           ("sr_signed", 0.3, 1)]
)  # fmt: skip
def test_moments_are_those_of_round(mode: str, eps: float, v: int) -> None:
    x = np.array([-1.9, -1.5, -0.05, 0.0, 0.05, 0.4, 0.95, 7.0]) * U
    count = 100_000
    options: dict[str, Any] = {"direction": v} if mode == "sr_signed" else {}
    drawn = pysr.round(np.tile(x, (count, 1)), "Q3.8", mode, rng=3, eps=eps, **options)
    bias, variance = bounds.rounding_moments(x, U, mode, eps, v)
    spread = np.sqrt(variance / count)
    assert np.all(np.abs(np.mean(drawn - x, axis=0) - bias) <= 5 * spread + 1e-9 * U)
    assert np.var(drawn, axis=0) == pytest.approx(variance, rel=0.05, abs=1e-9 * U**2)


def test_moments_refuse() -> None:
    with pytest.raises(ValueError, match="mode='rne' is not"):
        bounds.rounding_moments(0.5, 1.0, "rne")
    with pytest.raises(ValueError, match=r"eps must be .* in \[0, 1\]"):
        bounds.rounding_moments(0.5, 1.0, "sr_eps", 1.5)
    for u in (0.0, -1.0, math.inf, math.nan, 1e-320):
        with pytest.raises(ValueError, match="u"):
            bounds.rounding_moments(0.5, u)


# ---------------------------------------------------------------------------------------------
# One step


@pytest.mark.parametrize(
    ("mode", "eps"), [("rne", 0.0), ("sr", 0.0), ("sr_eps", 0.2), ("sr_eps", 0.9)]
)
@pytest.mark.parametrize("gradient_u", [None, U, U / 4])
def test_moving_probability_is_that_of_descent(
    mode: str, eps: float, gradient_u: float | None
) -> None:
    g = np.array([0.0, 1e-3, 0.4, 0.5, 1.7, 2.0, 2.3, 2.5, 2.6, 3.9, 4.0, 90.0]) * U
    g[1::2] *= -1
    runs = 20_000
    fmt = {None: None, U: "Q3.8", U / 4: "Q3.10"}[gradient_u]
    result = gradient_descent(
        lambda x: np.tile(g, (len(x), 1)), np.zeros(len(g)), 0.25, 1, fmt="Q3.8", mode=mode,
        eps=eps, roundings={"gradient": fmt and (fmt, mode, eps)}, runs=runs, rng=5, every=0,
    )  # fmt: skip
    expected = bounds.moving_probability(g, 0.25, U, mode, eps, gradient_u=gradient_u)
    found = np.mean(result.x != 0, axis=0)
    spread = np.sqrt(expected * (1 - expected) / runs)
    assert np.all(np.abs(found - expected) <= 4.5 * spread + 1e-9)
    if mode == "rne":
        assert set(expected) == {0.0, 1.0}


def test_cases_are_where_roundings_change() -> None:
    g = np.arange(-40, 41) / 8
    for t in (0.25, 0.5, 1.0):
        case = bounds.step_case(g, t, 0.5)
        nearest = np.abs(pysr.round(t * g, "Q7.1", "rne")) / 0.5
        least = np.abs(pysr.round(t * g, "Q7.1", "rz")) / 0.5
        assert np.array_equal(case == 1, nearest == 0)
        assert np.array_equal(case == 3, least >= 1)
        assert np.all(nearest[case == 2] == 1)
        assert np.all(least[case == 2] == 0)
    assert np.array_equal(bounds.step_case([1.0, 1.0], 1.0, [1.0, 2.0]), [3, 1])
    with pytest.raises(ValueError, match="u="):
        bounds.step_case(1.0, 1.0, 0.0)
    with pytest.raises(ValueError, match="step"):
        bounds.step_case(1.0, 0.0, 1.0)


def expected_value(g: Any, x: Any, t: float, smooth: float, u: float, eps: float) -> float:
    """E f after a step on f = L |x|^2 / 2, by adding up all results."""
    total = 0.0
    choices = []
    for xi, gi in zip(x, g, strict=True):
        r = abs(t * gi) / u
        low, phi = math.floor(r), r - math.floor(r)
        away = min(phi + eps, 1.0) if phi else 0.0
        sign = math.copysign(u, gi)
        choices.append([(xi - sign * low, 1 - away), (xi - sign * (low + 1), away)])
    for combination in product(*choices):
        weight = math.prod(p for _, p in combination)
        total += weight * smooth / 2 * sum(y**2 for y, _ in combination)
    return total


@pytest.mark.parametrize("eps", [0.0, 0.1, 0.4, 1.0])
def test_step_bound_holds_and_is_tight_for_the_sphere(eps: float) -> None:
    """On f = L |x|^2 / 2 smoothness is an equality: only the noise terms are bounded."""
    generator = np.random.default_rng(4)
    u = 2.0**-4
    for smooth, t in ((1.0, 0.25), (2.0, 0.125), (1.0, 1.5)):
        x = np.concatenate([generator.normal(0, 0.5, 5), [0.0, 4 * u / (t * smooth)]])
        g = smooth * x
        value = smooth / 2 * float(np.sum(x * x))
        bound = float(bounds.step_bound(value, g, t, smooth, u, eps))
        actual = expected_value(g, x, t, smooth, u, eps)
        assert actual <= bound + 1e-12
        assert bound - actual <= smooth / 2 * len(x) * u**2 * (0.25 + eps**2)
    # Every coordinate half-way between points: what is bounded is attained, but for its eps^2.
    half = np.full(6, 2.5 * u / (0.25 * 1.0))
    bound = float(bounds.step_bound(0.0, half, 0.25, 1.0, u, min(eps, 0.5)))
    start = float(np.sum(half**2)) / 2
    actual = expected_value(half, half, 0.25, 1.0, u, min(eps, 0.5)) - start
    assert bound - actual == pytest.approx(3 * u**2 * min(eps, 0.5) ** 2, rel=1e-6, abs=1e-12)


def test_tighter_is_the_difference_of_the_bounds() -> None:
    generator = np.random.default_rng(6)
    answers = []
    for _ in range(300):
        g = generator.normal(0, 10.0 ** generator.uniform(-4, 0), 7)
        t, eps = 2.0 ** -generator.integers(0, 6), generator.uniform(0.01, 1)
        smooth = 1.0 / t * generator.uniform(0.1, 1.4)
        biased = bounds.step_bound(3.0, g, t, smooth, U, eps)
        unbiased = bounds.step_bound(3.0, g, t, smooth, U)
        answers.append(bool(bounds.sr_eps_is_tighter(g, t, smooth, U, eps)))
        assert answers[-1] == (biased < unbiased)
    assert 50 < sum(answers) < 250
    assert not bounds.sr_eps_is_tighter(np.arange(4) * 4 * U, 0.25, 1.0, U, 0.3)
    several = bounds.step_bound([1.0, 2.0], np.full((2, 3), 0.5), 0.25, 1.0, U, 0.1)
    assert np.array_equal(np.diff(several), [1.0])


# ---------------------------------------------------------------------------------------------
# Many steps


def test_contraction() -> None:
    # One exact step on f = lambda x^2 / 2 in the two extreme directions.
    for t in (0.25, 1.0, 1.75):
        q = bounds.contraction(t, 1.0, 0.25)
        assert (1 - 0.25 * t) ** 2 <= q < 1 or t > 1
    assert bounds.contraction(1.0, 1.0, 1.0) == 0
    for step, pl, message in (
        (2.0, 0.5, r"step=2\.0 is not below 2/L"),
        (0.5, 1.5, r"pl=1\.5 is above"),
        (0.5, 0.0, r"pl=0\.0 is not positive"),
    ):
        with pytest.raises(ValueError, match=message):
            bounds.contraction(step, 1.0, pl)


def test_sr_bound_sums_what_one_step_adds() -> None:
    t, smooth, mu, n = 0.125, 3.0, 0.5, 7
    q = 1 - 2 * Fraction(mu) * Fraction(t) * (1 - Fraction(smooth) * Fraction(t) / 2)
    u, v = Fraction(1, 256), Fraction(1, 64)
    noise = Fraction(smooth) * n * (u**2 + Fraction(t) ** 2 * v**2) / 8
    gap = limit = Fraction(5)
    for k in range(40):
        bound = float(bounds.sr_bound(k, 5.0, t, smooth, mu, n, U, gradient_u=2.0**-6))
        assert gap <= bound * (1 + 1e-12)
        limit = q**k * 5 + noise / (1 - q)
        assert bound == pytest.approx(float(limit), rel=1e-12)
        gap = q * gap + noise
    end = bounds.sr_bound(math.inf, 5.0, t, smooth, mu, n, U, gradient_u=2.0**-6)
    assert float(end) == pytest.approx(float(noise / (1 - q)), rel=1e-12)
    plain = bounds.sr_bound(math.inf, 5.0, t, smooth, mu, n, U)
    assert float(plain) == pytest.approx(float(smooth * n * u**2 / 8 / (1 - q)), rel=1e-12)
    with pytest.raises(ValueError, match="k="):
        bounds.sr_bound(-1, 1.0, t, smooth, mu, n, U)
    with pytest.raises(ValueError, match="size"):
        bounds.sr_bound(1, 1.0, t, smooth, mu, 0, U)


def test_sr_bound_holds_for_a_function_that_is_not_convex() -> None:
    problem = problems.pl_nonconvex(4)
    x0 = np.array([3.0, -2.0, 1.25, 0.5])
    t = 2.0**-5
    result = gradient_descent(problem, x0, t, 1500, fmt="Q7.4", runs=400, rng=2, every=100)
    assert problem.lipschitz is not None
    assert problem.pl is not None
    bound = bounds.sr_bound(result.history["step"], float(problem.value(x0)), t,
                            problem.lipschitz, problem.pl, 4, 2.0**-4,
                            gradient_u=2.0**-4)  # fmt: skip
    assert np.all(np.mean(result.history["value"], axis=1) <= bound)


# ---------------------------------------------------------------------------------------------
# Stagnation


@pytest.mark.parametrize("bits", [4, 8])
def test_stagnation_radius(bits: int) -> None:
    u = 2.0**-bits
    for c in (0.5, 0.125, 2.0**-6):
        last = bounds.stagnation_radius(c, u)
        x = np.arange(1, 1 + round(2 / c)) * u
        after = gradient_descent(lambda x: x, x[:, np.newaxis], c, 1, every=0,
                                 fmt=pysr.FixedFormat(7, bits), mode="rne").x[:, 0]  # fmt: skip
        assert np.array_equal(after == x, x <= last)


@pytest.mark.parametrize("fmt", ["bfloat16", "float16", "float8_e4m3fn", "Q3.4", "Q0.7"])
def test_stagnation_threshold_is_where_nearest_moves(fmt: str) -> None:
    generator = np.random.default_rng(8)
    top = float(pysr.format(fmt).max) / 4
    x = np.asarray(pysr.round(generator.uniform(-top, top, 400), fmt, "rne"), np.float64)
    x = np.concatenate([x, [0.0, top / 4, -top / 4, 0.5, 0.25, -0.5]])
    x = np.asarray(pysr.round(x, fmt, "rne"), np.float64)
    for sign in (1.0, -1.0):
        threshold = bounds.stagnation_threshold(x, fmt, sign)
        for factor, moves in ((1 - 2.0**-20, False), (1 + 2.0**-20, True)):
            after = np.asarray(pysr.round(x - sign * factor * threshold, fmt, "rne"))
            assert np.array_equal(after != x, np.full(len(x), moves))
        at = np.asarray(pysr.round(x - sign * threshold, fmt, "rne"))
        assert 0 < np.sum(at == x) < len(x)  # ties


def test_stagnation_threshold_at_the_ends() -> None:
    assert bounds.stagnation_threshold(-8.0, "Q3.4", 1.0) == math.inf
    assert bounds.stagnation_threshold(-8.0, "Q3.4", -1.0) == 2.0**-5
    assert bounds.stagnation_threshold(1.0, "Q3.4", 0.0) == math.inf
    with pytest.raises(ValueError, match=r"x holds 0\.3, which is not a number of"):
        bounds.stagnation_threshold([0.25, 0.3], "Q3.4", 1.0)
    with pytest.raises(ValueError, match="x holds nan"):
        bounds.stagnation_threshold([math.nan], "Q3.4", 1.0)


@pytest.mark.parametrize("rounded", [False, True])
def test_stagnation_value_is_attained(rounded: bool) -> None:
    spectrum = np.array([1.0, 0.5, 0.25, 2.0**-4])
    bound = bounds.stagnation_value(spectrum, 0.25, U, gradient_u=U if rounded else None)
    width = (2.5 if rounded else 2) * U
    for scale, still in ((1.0, True), (1 + 2.0**-8, False)):
        quadratic = problems.Quadratic(spectrum, minimizer=-scale * width / spectrum)
        result = gradient_descent(quadratic, np.zeros(4), 0.25, 1, fmt="Q3.8", mode="rne",
                                  roundings=None if rounded else {"gradient": None})  # fmt: skip
        assert (result.counts["moved"] == 0) == still
        if still:
            assert result.fun == pytest.approx(bound, rel=1e-12)
    with pytest.raises(ValueError, match="spectrum"):
        bounds.stagnation_value([1.0, 0.0], 0.25, U)


# ---------------------------------------------------------------------------------------------
# Absorption


def chain(c: Fraction, start: int, eps: Fraction, steps: int) -> list[Fraction]:
    """Probabilities to be at 0, by the transition matrix of the walk."""
    at = [Fraction(0)] * start + [Fraction(1)]
    found = [at[0]]
    for _ in range(steps):
        after = [Fraction(0)] * len(at)
        for j, p in enumerate(at):
            phi = j * c - math.floor(j * c)
            away = min(phi + eps, 1) if phi else Fraction(0)
            low = math.floor(j * c)
            after[j - low] += p * (1 - away)
            if away:
                after[j - low - 1] += p * away
        at = after
        found.append(at[0])
    return found


@pytest.mark.parametrize(
    ("c", "start", "eps"),
    [(Fraction(1, 4), 4, Fraction(0)), (Fraction(1, 4), 3, Fraction(1, 8)),
     (Fraction(1, 8), 8, Fraction(1, 2)), (Fraction(1), 1, Fraction(0)),
     (Fraction(1, 8), 1, Fraction(1))],
)  # fmt: skip
def test_absorption_is_that_of_the_chain(c: Fraction, start: int, eps: Fraction) -> None:
    steps = 120
    arrived = chain(c, start, eps, steps)
    found = bounds.absorption_distribution(float(c), start, float(eps), steps=steps)
    assert found == pytest.approx([float(p) for p in arrived], abs=1e-13)
    chances = np.diff([float(p) for p in arrived])
    times = np.arange(1, steps + 1)
    mean = float(np.sum(times * chances))
    assert bounds.absorption_time(float(c), start, float(eps)) == pytest.approx(mean, abs=1e-5)
    assert bounds.absorption_variance(float(c), start, float(eps)) == pytest.approx(
        float(np.sum((times - mean) ** 2 * chances)), abs=1e-3
    )


def test_absorption_refuses() -> None:
    with pytest.raises(ValueError, match=r"c=0\.25 times start=5 is above 1"):
        bounds.absorption_time(0.25, 5)
    with pytest.raises(ValueError, match="start must be at least 1"):
        bounds.absorption_variance(0.25, 0)
    with pytest.raises(ValueError, match="steps must be at least 0"):
        bounds.absorption_distribution(0.25, 1, steps=-1)
    with pytest.raises(ValueError, match="eps"):
        bounds.absorption_time(0.25, 1, -0.1)
