"""Exact-count distributions: over all words, the number of elements that go away. No statistics."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import exact_model as em
import numpy as np
import pytest
from cases import CARRIERS, FORMATS, library_format

import pysr

PHIS = [
    Fraction(1, 2),
    Fraction(3, 8),
    Fraction(1, 16),
    Fraction(15, 16),
    Fraction(0x2B5, 1 << 10),
    Fraction(0xABCD, 1 << 16),
    Fraction(1, 1 << 16),
    Fraction((1 << 16) - 1, 1 << 16),
    Fraction(1, 1 << 17),
    Fraction(0x5555, 1 << 16) + Fraction(1, 1 << 24),
    Fraction(5, 1 << 12) + Fraction(1, 1 << 30),
    1 - Fraction(1, 1 << 28),
    Fraction(1, 1 << 40),
]
FEW = (
    "float8_e4m3fn",
    "bfloat16",
    "float16",
    "float8_e8m0fnu",
    "p1",
    "Q3.8",
    "unsigned_infinities",
)


def between(
    name: str, carrier: str, phi: Fraction, negative: bool, subnormal: bool
) -> tuple[float, float, float] | None:
    """Return x, its down and its away candidate, or None where the carrier does not hold x."""
    fmt = FORMATS[name]
    if negative and not fmt.signed:
        return None
    if subnormal:
        if not fmt.zero or fmt.fixed:
            return None
        whole, q = Fraction(0), em.power_of_two(em.quantum_exponent(fmt, fmt.smallest / 2))
    else:
        start = fmt.max / 3 if fmt.emax < 4 else Fraction(3, 2)
        q = em.power_of_two(em.quantum_exponent(fmt, start))
        whole = start // q
    values = [(whole + n) * q * (-1 if negative else 1) for n in (phi, 0, 1)]
    x, down, away = (float(np.array(float(v)).astype(carrier)) for v in values)
    if Fraction(x) != values[0]:
        return None
    assert Fraction(down) == values[1]
    assert Fraction(away) == values[2]
    return x, down, away


POINTS = [
    (name, carrier, phi, negative, subnormal)
    for name in FEW
    for carrier in CARRIERS
    for phi in PHIS
    for negative in (False, True)
    for subnormal in (False, True)
    if between(name, carrier, phi, negative, subnormal) is not None
]


def points(name: str) -> list[tuple[str, Fraction, tuple[float, float, float]]]:
    found = []
    for point in POINTS:
        if point[0] == name:
            neighbours = between(*point)
            assert neighbours is not None
            found.append((point[1], point[2], neighbours))
    return found


def go_away(
    name: str, carrier: str, x: float, down: float, away: float, n: int, **arguments: Any
) -> Any:
    """Round n copies of x; return which went away, and insist that the others went down."""
    y = pysr.round(np.full(n, x, carrier), library_format(name), **arguments)
    went = y == away
    assert (went | (y == down)).all()
    return went


def test_points_are_many() -> None:
    for name in FEW:
        found = points(name)
        assert any(phi.denominator <= 4 for _, phi, _ in found)
        assert any(phi.denominator > 1 << 16 for _, phi, _ in found)
        assert FORMATS[name].signed == any(x < 0 for _, _, (x, _, _) in found)


@pytest.mark.parametrize("r", range(1, 17))
@pytest.mark.parametrize("name", FEW)
def test_few_bits(name: str, r: int) -> None:
    n = 1 << r
    words = np.arange(n, dtype=np.uint16)
    for carrier, phi, (x, down, away) in points(name):
        counts = {
            "a": phi * n // 1,
            "b": (phi * 2 * n // 1 + 1) // 2,
            "c": round(phi * n),
        }
        for variant, count in counts.items():
            went = go_away(
                name,
                carrier,
                x,
                down,
                away,
                n,
                mode="sr",
                random_bits=r,
                variant=variant,
                bits=words,
            )
            assert np.count_nonzero(went) == count
            assert went[n - count :].all(), "the largest words are those that go away"
            if n % phi.denominator == 0:
                mean = Fraction(count, n) * Fraction(away) + Fraction(n - count, n) * Fraction(down)
                assert mean == Fraction(x)


@pytest.mark.parametrize("name", FEW)
def test_equal(name: str) -> None:
    words = np.arange(1 << 16, dtype=np.uint16)
    for carrier, _, (x, down, away) in points(name):
        went = go_away(name, carrier, x, down, away, 1 << 16, mode="sr_equal", bits=words)
        assert np.count_nonzero(went) == 1 << 15
        assert went[1 << 15 :].all()


@pytest.mark.parametrize("name", FEW)
def test_head_of_exact(name: str) -> None:
    """Among elements that own every 16-bit word once, exactly phi 2^16 go away."""
    seed, n = 20, 1 << 20
    words, first = np.unique(em.element_words(seed, 0, 0, 0, n, 16), return_index=True)
    assert len(words) == 1 << 16, "choose another seed"
    for carrier, phi, (x, down, away) in points(name):
        if (1 << 16) % phi.denominator == 0:
            went = go_away(name, carrier, x, down, away, n, mode="sr", rng=seed)[first]
            assert np.count_nonzero(went) == phi * (1 << 16)
            assert went[(1 << 16) - int(phi * (1 << 16)) :].all()


EPSILONS = (0.0, 0.25, 0.1, 2.0**-32, 3 * 2.0**-33, 5 * 2.0**-33, 1.0, 5e-324)


@pytest.mark.parametrize("eps", EPSILONS)
@pytest.mark.parametrize("name", FEW)
def test_eps_modes_turn_at_the_right_word(name: str, eps: float) -> None:
    lean = round(Fraction(eps) * (1 << 32))
    for carrier, phi, (x, down, away) in points(name):
        for direction in (None, 3.0, -0.25, 0.0, -0.0):
            sign = 1.0 if direction is None else -np.sign(direction) * np.sign(x)
            t = min(max(phi * (1 << 32) // 1 + int(sign) * lean, 0), 1 << 32)
            words = sorted({0, (1 << 32) - 1, *range((1 << 32) - t - 2, (1 << 32) - t + 2)})
            words = [word for word in words if 0 <= word < 1 << 32]
            arguments = {} if direction is None else {"direction": direction}
            went = go_away(
                name,
                carrier,
                x,
                down,
                away,
                len(words),
                mode="sr_eps" if direction is None else "sr_signed",
                eps=eps,
                bits=np.array(words, np.uint32),
                **arguments,
            )
            assert went.tolist() == [t + word >= 1 << 32 for word in words]


@pytest.mark.parametrize("mode", ["sr", "sr_equal", "sr_eps", "sr_signed"])
@pytest.mark.parametrize("name", FEW)
def test_exact_values_stay(name: str, mode: str) -> None:
    words = {"sr": 8, "sr_equal": 16}.get(mode, 32)
    arguments: dict[str, Any] = {"random_bits": 8} if mode == "sr" else {}
    if mode == "sr_signed":
        arguments["direction"] = -1.0
    bits = np.array([0, 1, (1 << words) - 1], np.uint32)
    for carrier, _, (_, down, away) in points(name):
        for x in (down, away):
            y = pysr.round(
                np.full(3, x, carrier), library_format(name), mode, eps=1.0, bits=bits, **arguments
            )
            assert (y == x).all()
