"""Formats and input values that the tests hold the library to, with the model's answers to them."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any

import exact_model as em
import numpy as np
import numpy.typing as npt

import pysr

Patterns = npt.NDArray[Any]
Flags = npt.NDArray[np.bool_]

RANDOM_VALUES = 2_000

CARRIERS = {"float32": em.FLOAT32, "float64": em.FLOAT64}
PATTERN_TYPE: dict[str, Any] = {"float32": np.uint32, "float64": np.uint64}

_float = em.float_format
CUSTOM = {
    fmt.name: fmt
    for fmt in (
        _float("p1", 1, 3, -4),
        _float("p1_no_infinities", 1, 5, -3, infinities=False),
        _float(
            "p1_unsigned_no_zero_infinities", 1, 6, -5, signed=False, zero=False, subnormals=False
        ),
        _float("p2", 2, 4),
        _float("no_subnormals", 5, 7, subnormals=False),
        _float(
            "no_subnormals_fnuz", 4, 7, -7, subnormals=False, infinities=False, negative_zero=False
        ),
        _float("no_infinities_max_20", 3, 4, -3, max=20, infinities=False),
        _float("infinities_max_26", 4, 4, -3, max=26),
        _float("no_nan", 4, 5, nan=False),
        _float("neither_no_negative_zero", 6, 4, infinities=False, nan=False, negative_zero=False),
        _float("infinities_no_negative_zero", 3, 5, negative_zero=False),
        _float("unsigned_infinities", 4, 7, signed=False),
        _float("unsigned_nan", 3, 5, -6, signed=False, infinities=False),
        _float("unsigned_finite", 3, 3, signed=False, infinities=False, nan=False),
        _float(
            "unsigned_no_zero",
            3,
            5,
            -5,
            signed=False,
            zero=False,
            subnormals=False,
            infinities=False,
        ),
        _float("signed_no_zero", 3, 4, -4, zero=False, subnormals=False),
        _float(
            "signed_no_zero_finite",
            2,
            4,
            -4,
            zero=False,
            subnormals=False,
            infinities=False,
            nan=False,
        ),
        _float("all_large", 8, 20, 10),
        _float("all_small", 4, -3, -20),
        _float("one_binade", 4, 0, 0),
        _float("wide32", 24, 60, -40),
        _float("deep32", 2, 10, -148),
        _float("deep64", 8, 100, -1000),
        _float("wide64", 50, 900, -900),
        _float("signed_no_zero_nan", 3, 4, -3, zero=False, subnormals=False, infinities=False),
        em.fixed_format(3, 8),
        em.fixed_format(0, 8, signed=False),
        em.fixed_format(0, 15),
        em.fixed_format(5, 40),
        em.fixed_format(7, 0),
        em.fixed_format(4, 4, signed=False),
        em.fixed_format(30, 22, signed=False),
        em.fixed_format(-2, 8),
        em.fixed_format(8, -2),
    )
}
FORMATS = {**em.NAMED, **CUSTOM}


@cache
def library_format(name: str) -> Any:
    """Return the library's format object for one of FORMATS."""
    return pysr.format(name) if name in em.NAMED else to_library(FORMATS[name])


def to_library(fmt: em.Format) -> Any:
    """Return the library's format object for any format of the model."""
    if fmt.fixed:
        return pysr.FixedFormat(fmt.int_bits, fmt.frac_bits, signed=fmt.signed)
    if fmt.step:
        return pysr.GridFormat(fmt.step)
    return pysr.FloatFormat(
        fmt.precision,
        fmt.emax,
        fmt.emin,
        max=float(fmt.max),
        subnormals=fmt.subnormals,
        infinities=fmt.infinities,
        nan=fmt.nan,
        negative_zero=fmt.negative_zero,
        zero=fmt.zero,
        signed=fmt.signed,
        name=fmt.name,
    )


def held_by(fmt: em.Format) -> list[str]:
    return [name for name, carrier in CARRIERS.items() if em.fits(fmt, carrier)]


CASES = [(name, carrier) for name, fmt in FORMATS.items() for carrier in held_by(fmt)]


def seed_of(text: str) -> int:
    """Return a 64-bit seed that depends on the text only."""
    return zlib.crc32(text.encode()) * 0x9E3779B97F4A7C15 & em.M64


def bits_of(x: Any) -> Patterns:
    """Return the bit patterns of a float array."""
    return np.ascontiguousarray(x).view(PATTERN_TYPE[str(x.dtype)])


def floats_of(patterns: Iterable[int], carrier: str) -> npt.NDArray[Any]:
    """Return the array of floats with these bit patterns."""
    return np.array(list(patterns), dtype=PATTERN_TYPE[carrier]).view(carrier)


def random_format(rng: random.Random) -> em.Format:
    """Return a format that nobody would think of, held by float64 at least."""
    if rng.random() < 0.2:
        int_bits, frac_bits = rng.randint(-10, 20), rng.randint(-10, 24)
        return em.fixed_format(int_bits, max(frac_bits, 1 - int_bits), rng.random() < 0.5)
    wide = rng.random() < 0.3
    p = rng.choice((1, 2, 8, 25, 40, 53) if wide else (1, 1, 2, 3, 4, 5, 8, 11, 24))
    reach = 500 if wide else 60
    emin = rng.randint(-reach, reach // 2)
    emax = emin + rng.choice((0, 1, 2, 3, 7, 15, 40))
    fields: dict[str, Any] = {
        name: rng.random() < chance
        for name, chance in (("subnormals", 0.7), ("infinities", 0.5), ("nan", 0.6))
    } | {name: rng.random() < 0.7 for name in ("negative_zero", "zero", "signed")}
    if not fields["zero"]:
        fields["subnormals"] = False
    if rng.random() < 0.4:
        significand = rng.randint(1 << (p - 1), (1 << p) - 1)
        fields["max"] = significand * em.power_of_two(emax - p + 1)
    return em.float_format("random", p, emax, emin, **fields)


# Input values


def pattern_below(carrier: em.Format, magnitude: Fraction) -> int:
    """Return the pattern of the largest carrier value that is not above the magnitude."""
    if magnitude >= carrier.max:
        return carrier.max_code
    if magnitude < carrier.smallest:
        return 0
    q = em.power_of_two(em.quantum_exponent(carrier, magnitude))
    return em.magnitude_code(carrier, magnitude // q * q)


def edge_magnitudes(fmt: em.Format) -> set[Fraction]:
    """The places where a rounding can go wrong."""
    quarter = Fraction(1, 4)
    tiny, two = em.power_of_two(-17), em.power_of_two
    edges: set[Fraction] = {Fraction(0)}
    steps = [two(-60), tiny, 2 * tiny] + [n * quarter for n in (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14)]
    for unit in {two(fmt.qmin), fmt.smallest, two(fmt.emin)}:
        edges |= {unit * n for n in steps}
    near = [Fraction(0), tiny, quarter, 2 * quarter, 3 * quarter, Fraction(1), 6 * quarter]
    binades = {fmt.emin, fmt.emin + 1, fmt.emin + 2, -1, 0, 1, fmt.emax - 1, fmt.emax, fmt.emax + 1}
    for k in binades:
        q_at = two(em.quantum_exponent(fmt, two(k)))
        q_below = two(em.quantum_exponent(fmt, two(k) * (1 - two(-70))))
        edges |= {two(k) + n * q_at for n in near}
        edges |= {two(k) - n * q_below for n in near if n * q_below < two(k)}
    q = two(em.quantum_exponent(fmt, fmt.max))
    edges |= {fmt.max + n * q for n in near} | {abs(fmt.max - n * q) for n in near}
    edges |= {fmt.max * n for n in (2, 3, 4, 6)} | {fmt.max * 3 / 2, fmt.max + 2 * q}
    if fmt.fixed:
        top = two(fmt.int_bits + 1)
        edges |= {top + n * q for n in near} | {3 * top + n * q for n in near} | {top * two(60)}
    return edges


def nan_patterns(carrier: em.Format) -> set[int]:
    quiet = 1 << (carrier.precision - 2)
    payloads = {1, quiet >> 1, quiet, quiet | 1, 2 * quiet - 1, 3 << (carrier.precision // 2)}
    return {carrier.infinity_code | payload for payload in payloads}


def edge_patterns(fmt: em.Format, carrier: em.Format) -> list[int]:
    top = carrier.max_code
    smallest_normal = 1 << (carrier.precision - 1)
    magnitudes = {0, 1, 2, 3, smallest_normal - 1, smallest_normal, smallest_normal + 1, top}
    for edge in edge_magnitudes(fmt):
        pattern = pattern_below(carrier, edge)
        magnitudes |= {max(pattern - 1, 0), pattern, min(pattern + 1, top)}
    magnitudes |= {top + 1} | nan_patterns(carrier)
    sign = 1 << carrier.magnitude_bits
    return [pattern | s for pattern in sorted(magnitudes) for s in (0, sign)]


def random_patterns(fmt: em.Format, carrier: em.Format, n: int, seed: int) -> list[int]:
    """Half log-uniform in magnitude, half within a few units of a grid point or a tie."""
    rng = random.Random(seed)
    low, high = max(fmt.qmin - 12, carrier.qmin), min(fmt.emax + 3, carrier.emax)
    top = carrier.max_code
    patterns = []
    for j in range(n):
        if j % 16 == 0:
            pattern = rng.randrange(top + 1)
        else:
            magnitude = em.power_of_two(rng.randint(low, high)) * (1 + Fraction(rng.random()))
            if j % 2:
                q = em.power_of_two(em.quantum_exponent(fmt, magnitude) - 1)
                magnitude = magnitude // q * q
            pattern = pattern_below(carrier, magnitude)
            if j % 2:
                pattern = min(max(pattern + rng.choice((-2, -1, -1, 0, 0, 1, 1, 2)), 0), top)
        patterns.append(pattern | rng.getrandbits(1) << carrier.magnitude_bits)
    return patterns


def input_patterns(name: str, carrier: str, n: int) -> list[int]:
    """Edges and n random values; float64 repeats float32's and adds half as many of its own."""
    fmt, seed = FORMATS[name], seed_of(name + carrier)
    if carrier == "float32" or "float32" not in held_by(fmt):
        held = CARRIERS[carrier]
        return edge_patterns(fmt, held) + random_patterns(fmt, held, n, seed)
    shared = floats_of(input_patterns(name, "float32", n), "float32")
    widened = bits_of(shared[np.isfinite(shared)].astype(np.float64)).tolist()
    own = edge_patterns(fmt, em.FLOAT64) + random_patterns(fmt, em.FLOAT64, n // 2, seed)
    return own + widened


# The model's answers


class Case:
    """One format in one carrier: input values, split once, and what they become."""

    def __init__(
        self,
        fmt: em.Format,
        carrier: str,
        patterns: Sequence[int],
        values: list[em.Value] | None = None,
    ) -> None:
        """`values`: what is rounded, if not the numbers that the patterns stand for."""
        self.name, self.carrier_name = fmt.name, carrier
        self.fmt, self.carrier = fmt, CARRIERS[carrier]
        self.format = to_library(fmt) if fmt.name not in em.NAMED else library_format(fmt.name)
        self.x = floats_of(patterns, carrier)
        self.values = values or [em.carrier_value(self.carrier, p) for p in patterns]
        self.splits = [
            em.split(self.fmt, v) if em.needs_rounding(self.fmt, v) else None for v in self.values
        ]
        self._tables: dict[tuple[str, str], Any] = {}
        self._inside = [np.zeros(self.n, PATTERN_TYPE[carrier]) for _ in (False, True)]
        self._outside: list[list[int]] = [[], []]
        for away in (False, True):
            for i, s in enumerate(self.splits):
                if s is not None and em.in_range(
                    self.fmt, s.negative, em.candidate(self.fmt, s, away)
                ):
                    y = em.deliver(self.fmt, s, away, "rne", "raise")
                    self._inside[away][i] = em.carrier_bits(self.carrier, y)
                else:
                    self._outside[away].append(i)

    @property
    def n(self) -> int:
        return len(self.values)

    def away(self, decide: Callable[[int, em.Split], bool]) -> Flags:
        """Return the decisions of a mode, given as a function of index and split."""
        flags = (s is not None and decide(i, s) for i, s in enumerate(self.splits))
        return np.fromiter(flags, np.bool_, self.n)

    def table(self, mode: str, rule: str) -> Any:
        """Return both candidates of every value, as patterns, and whether each overflows."""
        if rule not in ("inf", "nan") or mode not in ("rz", "ro", "ru", "rd"):
            mode = "rne"  # only these four pairs treat an overflow in a way of their own
        if (mode, rule) not in self._tables:
            answers = []
            for away in (False, True):
                patterns, overflow = self._inside[away].copy(), np.zeros(self.n, np.bool_)
                for i in self._outside[away]:
                    try:
                        y = em.round_value(self.fmt, self.values[i], away, mode, rule)
                        patterns[i] = em.carrier_bits(self.carrier, y)
                    except em.Overflow:
                        overflow[i] = True
                answers.append((patterns, overflow))
            self._tables[mode, rule] = answers
        return self._tables[mode, rule]

    def expected(self, mode: str, rule: str, away: Flags) -> tuple[Patterns, Flags]:
        """Return the patterns the library must return, and which elements overflow."""
        (down, down_over), (up, up_over) = self.table(mode, rule)
        return np.where(away, up, down), np.where(away, up_over, down_over)

    def difference(self, got: npt.NDArray[Any], expected: Patterns) -> str:
        """Describe the first differences between an array and the patterns it should have."""
        patterns = bits_of(got)
        wrong = np.flatnonzero(patterns != expected)
        digits = self.carrier.storage_bits // 4
        return "; ".join(
            f"[{i}] {float(self.x[i]).hex()} (0x{int(bits_of(self.x)[i]):0{digits}x}): "
            f"expected 0x{int(expected[i]):0{digits}x}, got 0x{int(patterns[i]):0{digits}x}"
            for i in wrong[:5].tolist()
        ) + (f"; {len(wrong)} of {self.n} differ" if len(wrong) else "")


@lru_cache(maxsize=2)
def case(name: str, carrier: str) -> Case:
    return Case(FORMATS[name], carrier, input_patterns(name, carrier, RANDOM_VALUES))
