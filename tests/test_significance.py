"""Significant digits: numbers by the formulas, a model that counts one by one, and coverage."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

import pysr
from pysr.significance import samples_needed

FloatArray = npt.NDArray[np.float64]


def test_numbers_of_samples() -> None:
    """Sohier et al., the table of how many samples a Bernoulli estimator needs."""
    levels = (0.66, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99, 0.995, 0.999)
    table = {
        0.66: (3, 4, 4, 5, 6, 8, 12, 13, 17),
        0.75: (4, 5, 6, 7, 9, 11, 17, 19, 25),
        0.8: (5, 7, 8, 9, 11, 14, 21, 24, 31),
        0.85: (7, 9, 10, 12, 15, 19, 29, 33, 43),
        0.9: (11, 14, 16, 19, 22, 29, 44, 51, 66),
        0.95: (22, 28, 32, 37, 45, 59, 90, 104, 135),
        0.99: (108, 138, 161, 189, 230, 299, 459, 528, 688),
        0.995: (216, 277, 322, 379, 460, 598, 919, 1058, 1379),
        0.999: (1079, 1386, 1609, 1897, 2302, 2995, 4603, 5296, 6905),
    }
    for probability, row in table.items():
        assert tuple(samples_needed(probability, level) for level in levels) == row
    samples = np.ones(29)
    assert pysr.significant_bits(samples, kind="general", probability=0.9) == 53
    with pytest.raises(ValueError, match=r"28 along axis 0.* needs 29 for probability=0.9"):
        pysr.significant_bits(samples[1:], kind="general", probability=0.9)


def of_deviation(n: int, sigma: float) -> FloatArray:
    """Return n errors with mean 0 and sample standard deviation sigma."""
    z = np.random.default_rng(n).standard_normal(n)
    return (z - z.mean()) / z.std(ddof=1) * sigma


def test_shift_of_cnh() -> None:
    """-log2(σ) - s for 30 samples, p = 0.99, confidence 0.95: 1.792 bits."""
    for sigma in (1.0, 2.0**-30, 1e-200, 1e200):
        s = pysr.significant_bits(of_deviation(30, sigma), error="absolute", probability=0.99)
        assert s == pytest.approx(-math.log2(sigma) - 1.792, abs=5e-4)


def test_case_of_cramer() -> None:
    """The notebook beside the paper: 10,000 samples of x[0], σ = 2.67137e-9 with divisor n."""
    a = 2.6713697320419668e-09
    x = np.tile([1 - a, 1 + a], 5000)
    assert pysr.significant_bits(x, probability=0.99) == pytest.approx(27.0945994, abs=3e-4)
    contributing = pysr.significant_bits(x, probability=0.51, contributing=True)
    assert contributing == pytest.approx(32.7777445, abs=3e-4)
    # |Z| <= 2**-k in 10000 cases for k <= 26, in 9957 for k = 27.
    x = 1 + np.repeat([2.0**-27, 2.0**-26.5], [9957, 43])
    general = [pysr.significant_bits(x, 1.0, kind="general", probability=p) for p in (0.99, 0.9997)]
    assert general == [27, 26]


# Coverage


@pytest.mark.parametrize("about", ["mean", "reference", "pairs"])
def test_coverage_of_cnh(about: str) -> None:
    """The bound of σ is exceeded in (1 - confidence)/2 of the cases, neither more nor less."""
    cases, n, sigma, p, confidence = 40_000, 12, 2.0**-20, 0.9, 0.9
    rng = np.random.default_rng(2021)
    x = sigma * rng.standard_normal((n, cases))
    reference: Any = {
        "mean": None,
        "reference": 0.0,
        "pairs": sigma * rng.standard_normal((n, cases)),
    }[about]
    s = pysr.significant_bits(x, reference, error="absolute", probability=p, confidence=confidence)
    spread = sigma * math.sqrt(2) if about == "pairs" else sigma
    truth = -math.log2(spread * stats.norm.ppf((1 + p) / 2))
    covered = (s <= truth).mean()
    expected = 1 - (1 - confidence) / 2
    assert abs(covered - expected) < 4 * math.sqrt(expected * (1 - expected) / cases)


def test_coverage_of_the_general_estimator() -> None:
    """A bit that is significant a little too rarely is claimed as often as the binomial says."""
    cases, n, truth, p, confidence = 20_000, 100, 0.899, 0.9, 0.95
    rng = np.random.default_rng(2022)
    z = np.where(rng.random((n, cases)) < truth, 2.0**-11, 2.0**-5)
    s = pysr.significant_bits(1 + z, 1.0, kind="general", probability=p, confidence=confidence)
    assert set(np.unique(s)) == {5, 11}
    lower = [
        stats.binomtest(k, n, alternative="greater").proportion_ci(confidence).low
        for k in range(n + 1)
    ]
    successes = next(k for k in range(n + 1) if lower[k] >= p)
    expected = stats.binom.sf(successes - 1, n, truth)
    claimed = (s == 11).mean()
    assert 0.01 < expected < 1 - confidence
    assert abs(claimed - expected) < 4 * math.sqrt(expected / cases)


def test_contributing_is_what_it_says() -> None:
    """Under normality, the last contributing bit takes the result nearer as often as p says."""
    rng = np.random.default_rng(4)
    z = np.abs(rng.standard_normal(1_000_000))
    for p in (0.51, 0.6, 0.75, 0.95):
        exact = of_deviation(10_000, 1.0)
        s = pysr.significant_bits(exact, error="absolute", contributing=True, probability=p)
        chi2 = stats.chi2.ppf(0.025, 9_999)
        width = 2.0 ** -(s + 0.5 * math.log2(9_999 / chi2))
        assert abs((np.floor(z / width) % 2 == 0).mean() - p) < 0.002


# A model that counts


def model(z: list[Fraction], p: float, confidence: float, contributing: bool, last: int) -> int:
    """Count bit by bit, from far before the point, with the exact Clopper-Pearson bound."""
    k = -40
    while k < last:
        scaled = [abs(value) * Fraction(2) ** (k + 1) for value in z]
        passed = [math.floor(s) % 2 == 0 if contributing else s <= 1 for s in scaled]
        test = stats.binomtest(sum(passed), len(z), alternative="greater")
        if test.proportion_ci(confidence).low < p:
            break
        k += 1
    return max(k, 0)


@pytest.mark.parametrize("contributing", [False, True])
@pytest.mark.parametrize(("p", "confidence"), [(0.55, 0.9), (0.8, 0.99), (0.95, 0.95)])
def test_general_against_the_model(p: float, confidence: float, contributing: bool) -> None:
    rng = np.random.default_rng(6)
    n = 80
    columns = [
        rng.standard_normal(n) * 2.0**-20,
        rng.standard_normal(n) ** 5 * 2.0**-30,
        2.0 ** -rng.integers(1, 40, n),
        rng.integers(0, 2, n) * 2.0**-9,
        rng.integers(0, 4, n) * 2.0**-50,
        rng.random(n) * 3,
        np.where(np.arange(n) == 3, 1e10, 2.0**-12),
        np.zeros(n),
    ]
    x = 1 + np.array(columns)
    got = pysr.significant_bits(
        x,
        1.0,
        axis=1,
        kind="general",
        contributing=contributing,
        probability=p,
        confidence=confidence,
    )
    for row, digits in zip(x, got, strict=True):
        z = [Fraction(value) - 1 for value in row.tolist()]
        assert digits == model(z, p, confidence, contributing, 53)


def test_of_a_computation_in_low_precision() -> None:
    """The bound holds for fresh runs."""
    terms = np.random.default_rng(1).random(300).astype(np.float32)
    exact = float(terms.astype(np.float64).sum())
    stream = pysr.Philox(11)
    total = np.zeros(4000, np.float32)
    for term in terms:
        total = pysr.round(total + term, "float16", rng=stream)
    errors = np.abs(total[200:] / exact - 1)
    for kind in ("cnh", "general"):
        s = pysr.significant_bits(total[:200], exact, kind=kind, probability=0.9)
        assert 4 < s < 11
        assert (errors <= 2.0**-s).mean() >= 0.9


# Shapes, references, bases


def test_axes_and_shapes() -> None:
    x = 1 + np.random.default_rng(7).standard_normal((40, 3, 5)) * 1e-5
    whole = pysr.significant_bits(x)
    assert whole.shape == (3, 5)
    assert whole.dtype == np.float64
    assert (pysr.significant_bits(x.transpose(1, 0, 2), axis=1) == whole).all()
    assert (pysr.significant_bits(x.transpose(1, 2, 0), axis=-1) == whole).all()
    assert (pysr.significant_bits(x.astype(">f8")) == whole).all()
    one = pysr.significant_bits(x[:, 1, 2])
    assert isinstance(one, np.float64)
    assert one == pytest.approx(whole[1, 2])
    reference = 1 + np.arange(15).reshape(3, 5) * 1e-6
    against = pysr.significant_bits(x, reference)
    for i in range(3):
        for j in range(5):
            alone = pysr.significant_bits(x[:, i, j], reference[i, j])
            assert against[i, j] == pytest.approx(alone)
    assert (
        pysr.significant_bits(x, reference[0])
        == pysr.significant_bits(x, np.broadcast_to(reference[0], (3, 5)))
    ).all()
    pairs = 1 + np.random.default_rng(8).standard_normal(x.shape) * 1e-5
    got = pysr.significant_bits(x.transpose(1, 0, 2), pairs.transpose(1, 0, 2), axis=1)
    assert (got == pysr.significant_bits(x, pairs)).all()
    z = x[:, 0, 0] - pairs[:, 0, 0]
    expected = pysr.significant_bits(z, 0.0, error="absolute")
    assert pysr.significant_bits(x, pairs, error="absolute")[0, 0] == expected
    assert pysr.significant_bits(np.ones((30, 0))).shape == (0,)


def test_a_bias_counts_against_a_reference() -> None:
    x = 1.01 + np.random.default_rng(9).standard_normal(50) * 1e-6
    assert pysr.significant_bits(x) > 17
    assert 4 < pysr.significant_bits(x, 1.0) < 6.7
    assert pysr.significant_bits(x, 1.0, kind="general", probability=0.9) == 6


def test_base() -> None:
    x = 1 + np.random.default_rng(7).standard_normal((60, 3)) * 1e-5
    for kind in ("cnh", "general"):
        bits = pysr.significant_bits(x, kind=kind)
        assert pysr.significant_bits(x, kind=kind, base=10) == pytest.approx(bits / math.log2(10))
    assert pysr.significant_bits(np.ones(9), base=16) == 13.25


def test_relative_to_negative_and_tiny_references() -> None:
    x = 1 + np.random.default_rng(7).standard_normal(60) * 1e-5
    bits = pysr.significant_bits(x, 1.0)
    assert pysr.significant_bits(-x, -1.0) == bits
    for power in (-1000, 1000):
        assert pysr.significant_bits(np.ldexp(x, power), 2.0**power) == bits
        absolute = pysr.significant_bits(np.ldexp(x, power), 2.0**power, error="absolute")
        assert absolute == pytest.approx(bits - power)


# Edges


@pytest.mark.parametrize("contributing", [False, True])
@pytest.mark.parametrize("kind", ["cnh", "general"])
def test_samples_that_agree(kind: str, contributing: bool) -> None:
    arguments: dict[str, Any] = {"kind": kind, "contributing": contributing}
    for value in (0.1, -3.3e300, 5e-324, 0.0):
        x = np.full(60, value)
        for reference in (None, value, x):
            assert pysr.significant_bits(x, reference, **arguments) == 53
            assert pysr.significant_bits(x, reference, error="absolute", **arguments) == np.inf
    for dtype, precision in (("f4", 24), ("f2", 11), ("i4", 53), (">f4", 24)):
        assert pysr.significant_bits(np.ones(60, dtype), **arguments) == precision


@pytest.mark.parametrize("contributing", [False, True])
@pytest.mark.parametrize("kind", ["cnh", "general"])
def test_samples_without_a_digit(kind: str, contributing: bool) -> None:
    arguments: dict[str, Any] = {"kind": kind, "contributing": contributing}
    x = np.tile([1.0, -1.0], 40) * 1e3
    assert pysr.significant_bits(x, 1.0, **arguments) == 0
    assert pysr.significant_bits(x, 0.0, **arguments) == 0, "nothing is near 0 relatively"
    assert pysr.significant_bits(x * 1.7e305, **arguments) == 0
    assert -14 < pysr.significant_bits(x, 0.0, error="absolute", **arguments) < -8


@pytest.mark.parametrize("error", ["relative", "absolute"])
@pytest.mark.parametrize("kind", ["cnh", "general"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite(kind: str, error: str, bad: float) -> None:
    x = 1 + np.random.default_rng(7).standard_normal((60, 3)) * 1e-5
    x[5, 1] = bad
    for reference in (None, 1.0, np.ones(3), np.ones((60, 3))):
        s = pysr.significant_bits(x, reference, kind=kind, error=error)
        assert np.isnan(s).tolist() == [False, True, False]
    assert np.isnan(pysr.significant_bits(x[:, 0], bad, kind=kind, error=error))
    pairs = np.ones((60, 3))
    pairs[0, 2] = bad
    s = pysr.significant_bits(x, pairs, kind=kind, error=error)
    assert np.isnan(s).tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("arguments", "exception", "message"),
    [
        ({"kind": "normal"}, ValueError, "kind='normal'"),
        ({"kind": None}, TypeError, "kind must be a string, not None"),
        ({"error": "ulp"}, ValueError, "error='ulp'"),
        ({"contributing": 1}, TypeError, "contributing must be a bool, not 1"),
        ({"probability": 1.0}, ValueError, "probability=1.0 is outside (0, 1)"),
        ({"probability": np.nan}, ValueError, "probability=nan is outside (0, 1)"),
        ({"probability": "x"}, TypeError, "probability must be a number, not 'x'"),
        (
            {"probability": 0.5, "contributing": True},
            ValueError,
            "probability=0.5 is outside (0.5, 1) with contributing=True",
        ),
        ({"confidence": 0}, ValueError, "confidence=0 is outside (0, 1)"),
        ({"base": 1}, ValueError, "base=1 is not a finite number above 1"),
        ({"base": np.inf}, ValueError, "base=inf"),
        ({"axis": 2}, ValueError, "axis=2 is no axis of samples, which has shape (30, 2)"),
        ({"axis": 0.0}, TypeError, "axis must be an integer, not 0.0"),
        ({"reference": np.ones(3)}, ValueError, "reference has shape (3,)"),
        ({"reference": np.ones((29, 2))}, ValueError, "reference has shape (29, 2), samples (30"),
        ({"reference": "x"}, TypeError, "reference must hold real numbers"),
        ({"samples": np.ones((1, 2))}, ValueError, "samples: 1 along axis 0, and kind='cnh' needs"),
        ({"samples": np.ones(30, complex)}, TypeError, "samples must hold real numbers"),
        ({"samples": np.ones(30, np.longdouble)}, TypeError, "samples must hold real numbers"),
        ({"samples": [2**53 + 1, 1]}, ValueError, "samples=9007199254740993 is not exact"),
        ({"samples": 1.0}, ValueError, "axis=0 is no axis of samples, which has shape ()"),
        ({"samples": np.ma.ones(30)}, TypeError, "samples is a masked array"),
        ({"samples": [[1.0], [1.0, 2.0]]}, ValueError, "samples: "),
    ],
    ids=lambda value: str(value)[:40],
)
def test_errors(arguments: dict[str, Any], exception: type[Exception], message: str) -> None:
    given = {"samples": np.ones((30, 2))} | arguments
    with pytest.raises(exception) as raised:
        pysr.significant_bits(**given)
    assert message in str(raised.value)
