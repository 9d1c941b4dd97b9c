"""Theory of singular values after rounding: formulas in fractions, and against draws."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import pysr
from pysr.linalg import theory

Array = npt.NDArray[Any]


def neighbours(a: Fraction, fmt: str) -> tuple[Fraction, Fraction]:
    """Floor and ceiling of `a` on the grid of a format, in fractions."""
    if fmt.startswith("grid:"):
        step = Fraction(fmt.removeprefix("grid:"))
        return math.floor(a / step) * step, math.ceil(a / step) * step
    f = pysr.format(fmt)
    exponent = f.qmin
    if f.precision is not None and a:
        top = math.floor(math.log2(abs(a)))
        top += (abs(a) >= Fraction(2) ** (top + 1)) - (abs(a) < Fraction(2) ** top)
        exponent = max(top - f.precision + 1, f.qmin)
    quantum = Fraction(2) ** exponent
    return math.floor(a / quantum) * quantum, math.ceil(a / quantum) * quantum


def variance(x: float, fmt: str) -> Fraction:
    low, high = neighbours(Fraction(x), fmt)
    return (high - Fraction(x)) * (Fraction(x) - low)


@pytest.mark.parametrize("fmt", ["Q1.3", "Q1.7", "Q2.20", "bfloat16", "float8_e4m3fn", "float16"])
def test_entry_variances_against_fractions(fmt: str) -> None:
    generator = np.random.default_rng(5)
    a = np.concatenate(
        [generator.uniform(-1, 1, 200), generator.uniform(-1, 1, 200) * 2.0**-7,
         np.linspace(-1, 1, 65), [0.0, -0.0, 2.0**-200, -(2.0**-30)]]
    )  # fmt: skip
    for x, found in zip(a, theory.entry_variances(a, fmt), strict=True):
        exact = variance(float(x), fmt)
        assert abs(Fraction(float(found)) - exact) <= exact * Fraction(1, 2**50)
    errors = [max(Fraction(float(x)) - low, high - Fraction(float(x)))
              for x in a for low, high in [neighbours(Fraction(float(x)), fmt)]]  # fmt: skip
    assert theory.largest_error(a, fmt) == pytest.approx(float(max(errors)), rel=1e-15)


@pytest.mark.parametrize("fmt", ["grid:0.1", "grid:0.001", "grid:1/3"])
def test_entry_variances_on_decimal_grids(fmt: str) -> None:
    a = np.random.default_rng(5).uniform(-1, 1, 300)
    step = float(Fraction(fmt.removeprefix("grid:")))
    for x, found in zip(a, theory.entry_variances(a, fmt), strict=True):
        # A grid point in float64 is off by half an ulp of 1, times the distance to the other.
        assert abs(found - float(variance(float(x), fmt))) <= step * 2.0**-52


def test_entry_variances_are_those_of_the_rounding() -> None:
    a = np.repeat([0.3, -0.77, 0.0101, 0.5], 40_000)
    y = np.asarray(pysr.round(a, "Q1.3", "sr", rng=11))
    sampled = np.square(y - a).reshape(4, -1).mean(axis=1)
    expected = theory.entry_variances(a[::40_000], "Q1.3")
    assert expected[3] == 0
    assert np.allclose(sampled, expected, rtol=0.02)
    assert np.max(np.abs(y - a)) == theory.largest_error(a, "Q1.3")


@pytest.mark.parametrize(("value", "fmt"), [(2.0, "Q1.3"), (1.99, "Q1.3"), (500.0, "e4m3fn")])
def test_neighbours_stay_in_range(value: float, fmt: str) -> None:
    for function in (theory.entry_variances, theory.largest_error):
        with pytest.raises(OverflowError):
            function([0.5, value], fmt)


def test_scales_against_fractions() -> None:
    generator = np.random.default_rng(6)
    a = generator.uniform(-1, 1, (7, 3))
    sums = [sum((variance(float(x), "Q1.4") for x in column), Fraction(0)) for column in a.T]
    scale = math.sqrt(min(sums))
    assert theory.lift_scale(a, "Q1.4") == pytest.approx(scale, rel=1e-14)
    largest = theory.largest_error(a, "Q1.4")
    assert 2.0**-5 < largest < 2.0**-4
    assert theory.normalized_variance(a, "Q1.4") == theory.normalized_variance(a, "Q1.4", largest)
    for bound in (largest, 2.0**-4, 2.0**-3, 1.0):
        nu = theory.normalized_variance(a, "Q1.4", bound)
        assert nu == pytest.approx(float(min(sums) / 7 / Fraction(bound) ** 2), rel=1e-14)
        assert 0 <= nu <= 1
        assert bound * math.sqrt(7 * nu) == pytest.approx(scale, rel=1e-14)
    assert theory.normalized_variance([[0.5, 0.25]], "Q1.2") == 0
    assert theory.largest_error([], "Q1.2") == 0


def test_bad_arguments_are_named() -> None:
    a = [[0.1, 0.2], [0.3, 0.4]]
    for bound in (0, 2.0**-6, math.nan):
        with pytest.raises(ValueError, match=f"bound={bound!r} is less than the largest error"):
            theory.normalized_variance(a, "Q1.4", bound)
    for function in (theory.lift_scale, theory.normalized_variance, theory.predicted_lift):
        for bad in ([0.1, 0.2], [[]], np.zeros((0, 3))):
            with pytest.raises(ValueError, match="a must be a matrix with rows and columns"):
                function(bad, "Q1.4")
    with pytest.raises(ValueError, match="more columns than rows: 1 x 2"):
        theory.predicted_lift([[0.1, 0.2]], "Q1.4")
    with pytest.raises(ValueError, match=r"d=11 is not in \[1, 10\]"):
        theory.noise_lift(10, 11, 1.0)
    with pytest.raises(ValueError, match=r"deviation=-1\.0 is negative"):
        theory.noise_lift(10, 1, -1.0)
    with pytest.raises(ValueError, match=r"n=10, d=5, k=6: not 1 <= k <= d <= n"):
        theory.lifted_cluster(10, 5, 6, 1.0)
    for call in (lambda: theory.uniform_lift(10, math.nan),
                 lambda: theory.lifted_cluster(10, 5, 5, math.nan)):  # fmt: skip
        with pytest.raises(ValueError, match="step=nan is negative"):
            call()
    with pytest.raises(ValueError, match="n=-1 is negative"):
        theory.uniform_lift(-1, 1.0)


def test_predicted_lift_against_fractions() -> None:
    # Two equal columns: the null vector is (1, -1) / sqrt(2), and the third column is apart.
    x = [Fraction(k, 64) for k in (1, -9, 22, 31, -17, 40)]
    a = np.array([[float(v), 0.25 * (-1) ** i, float(v)] for i, v in enumerate(x)])
    total = sum((variance(float(v), "Q1.2") for v in x), Fraction(0))
    expected = math.sqrt((1 - Fraction(2, 6)) * total)
    assert theory.predicted_lift(a, "Q1.2") == pytest.approx(expected, rel=1e-13)


def test_predicted_lift_keeps_what_is_there() -> None:
    a = np.zeros((8, 2))
    a[0, 0], a[1, 1] = 1.0, 0.5
    assert theory.predicted_lift(a, "Q1.2") == 0.5  # on the grid: nothing is added
    assert theory.lift_scale(a, "Q1.2") == 0.0
    a[2:, 1] = 0.125
    sigma = math.sqrt(0.25 + 6 / 64)
    noise = Fraction(6, 64) * Fraction(7, 8)
    expected = math.sqrt(sigma**2 + noise)
    assert theory.predicted_lift(a, "Q1.2") == pytest.approx(expected, rel=1e-14)


def test_uniform_lift() -> None:
    assert theory.uniform_lift(600, 0.25) == 2.5
    fractions = (np.arange(1000) + 0.5) / 1000
    mean = np.mean(fractions * (1 - fractions))
    assert theory.uniform_lift(1, 1.0) ** 2 == pytest.approx(mean, rel=1e-5)


def test_noise_and_cluster_against_gaussian_matrices() -> None:
    generator = np.random.default_rng(8)
    sigma = np.linalg.svd(generator.normal(0, 0.5, (3000, 300)), compute_uv=False)
    assert sigma[-1] == pytest.approx(theory.noise_lift(3000, 300, 0.5), rel=0.02)
    low, high = theory.lifted_cluster(3000, 300, 300, 0.5 * math.sqrt(6))
    assert low == pytest.approx(theory.noise_lift(3000, 300, 0.5), rel=1e-14)
    assert sigma[0] == pytest.approx(high, rel=0.02)
    assert theory.noise_lift(7, 7, 3.0) == 0
    # Of n - d + k directions: k = 1 is the deficient matrix, but for the one in sqrt(n - d + 1).
    low, high = theory.lifted_cluster(1000, 10, 1, 0.1)
    assert (low + high) / 2 == pytest.approx(theory.uniform_lift(991, 0.1), rel=1e-14)
