"""Sums, products and inner products on every path, against the exact model, bit for bit."""

from __future__ import annotations

import itertools
import math
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import exact_model as em
import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from cases import (
    CARRIERS,
    FORMATS,
    bits_of,
    edge_patterns,
    floats_of,
    held_by,
    library_format,
    random_patterns,
    seed_of,
)

import pysr
from pysr._core import paths as core_paths

Array = npt.NDArray[Any]

NAMES = (
    "float16",
    "bfloat16",
    "float8_e4m3fn",
    "float8_e5m2",
    "tf32",
    "Q3.8",
    "binary32",
    "binary64",
    "float8_e4m3fnuz",
    "unsigned_no_zero",
    "unsigned_infinities",
)
CASES = [(name, carrier) for name in NAMES for carrier in held_by(FORMATS[name])]
MANNERS: list[tuple[str, dict[str, Any]]] = [
    *((mode, {}) for mode in em.DETERMINISTIC),
    ("sr", {}),
    ("sr", {"random_bits": 1, "variant": "b"}),
    ("sr", {"random_bits": 8}),
    ("sr", {"random_bits": 13, "variant": "c"}),
    ("sr", {"random_bits": 64, "variant": "c"}),
    ("sr", {"random_bits": 16}),
    ("sr", {"random_bits": 32, "variant": "b"}),
    ("sr_equal", {}),
    ("sr_eps", {"eps": 0.25}),
]
LENGTHS = (0, 1, 2, 3, 7, 8, 9, 33, 130)
RESULTS = (1, 3, 8, 64, 65, 130)
# Terms and orders of reductions, with the lengths of blocks.
REDUCTIONS = [
    *((terms, "sequential", 0) for terms in ("sum", "prod", "cumsum", "cumprod")),
    *((terms, "pairwise", 0) for terms in ("sum", "prod")),
    *((terms, "blocked", block) for terms in ("sum", "prod") for block in (1, 4, 8, 1000)),
    ("sum", "exact", 0),
]
# Ways to accumulate, orders and lengths of blocks; whether sums may have an initial value.
PRODUCTS = [
    ("separate", "sequential", 0),
    ("separate", "sequential", 0),
    ("separate", "pairwise", 0),
    ("separate", "blocked", 4),
    ("separate", "blocked", 1000),
    ("separate", "exact", 0),
    ("fma", "sequential", 0),
    ("fma", "sequential", 0),
    ("block", "sequential", 1),
    ("block", "sequential", 4),
    ("block", "sequential", 16),
    ("block", "sequential", 1000),
    ("aligned 11", "sequential", 4),
    ("aligned 25", "sequential", 16),
]
# Rows and columns of the result.
SHAPES = ((1, 1), (1, 3), (3, 1), (2, 4), (1, 64), (65, 1), (1, 65), (5, 13), (10, 13))
NODES = 130  # that the model computes, about, for a call
POSITION = 2**64 - 5
SEED = 9


@pytest.fixture
def every_path() -> Iterator[list[str]]:
    """The paths of this machine; the one in use is put back."""
    before = core_paths.path()
    yield core_paths.paths()
    core_paths.set_path(before)


def rules_of(*formats: em.Format) -> list[str]:
    """The rules that all formats can carry out and that raise nothing, and their own."""
    rules = ("inf", "nan", "saturate", "propagate", "wrap")
    return ["", *(rule for rule in rules if all(rule in fmt.overflows for fmt in formats))]


def start_of(position: int) -> pysr.Philox:
    return pysr.Philox(SEED, 3).advance(position)


def arithmetic_of(
    name: str, manner: em.Manner, formats: dict[str, str] | None = None
) -> pysr.Arithmetic:
    own = {op: library_format(other) for op, other in (formats or {}).items()}
    return pysr.Arithmetic(
        library_format(name),
        manner.mode,
        rng=start_of(manner.start),
        overflow=manner.rule or None,
        random_bits=manner.random_bits,
        variant=manner.variant,
        eps=manner.eps,
        formats=own,
    )


def manner_of(mode: str, keywords: dict[str, Any], rule: str = "", start: int = 0) -> em.Manner:
    return em.Manner(mode, rule, seed=SEED, stream=3, start=start, **keywords)


def totals_of(counts: pysr.Counts) -> em.Totals:
    return em.Totals(counts.overflow, counts.underflow, counts.nan, counts.inexact)


# Terms

KINDS = ("tame", "ties", "wide", "all", "cancel", "zeros", "edges", "special", "top", "tiny")


def row_of(kind: str, fmt: em.Format, carrier: em.Format, n: int, rng: random.Random) -> list[int]:
    """n bit patterns of terms, in which something can go wrong."""
    sign = 1 << carrier.magnitude_bits
    middle = (max(fmt.emin, -30) + min(fmt.emax, 30)) // 2 if not fmt.fixed else 0

    def near(e: int) -> int:
        e = min(max(e + rng.randint(-2, 2), carrier.emin), carrier.emax)
        dropped = carrier.precision - 1
        fraction = rng.getrandbits(dropped)
        if kind == "ties":  # multiples of half a quantum
            low = em.quantum_exponent(fmt, em.power_of_two(e)) - 1 - (e - dropped)
            fraction = fraction >> max(low, 0) << max(low, 0)
        return (e - carrier.emin + 1) << dropped | fraction | (rng.getrandbits(1) and sign)

    if kind == "zeros":
        signs = rng.choice(((0,), (sign,), (0, sign)))
        return [rng.choice(signs) for _ in range(n)]
    if kind == "wide":
        return random_patterns(fmt, carrier, n, rng.getrandbits(32))
    if kind == "all":
        return [rng.randrange(carrier.infinity_code) | rng.choice((0, sign)) for _ in range(n)]
    if kind == "edges":
        return rng.choices(edges_of(fmt.name, carrier.name), k=n)
    if kind == "top":
        return [near(fmt.emax - 1) for _ in range(n)]
    if kind == "tiny":
        tiny = [near(fmt.qmin) for _ in range(n)]
        return [p & ~(7 << (carrier.precision - 1)) if p % 3 == 0 else p for p in tiny]
    row = [near(rng.choice((0, middle))) for _ in range(n)]
    if kind == "cancel":
        half = row[: n // 2]
        row = half + [x ^ sign for x in reversed(half)] + row[: n % 2]
        if rng.random() < 0.5:
            rng.shuffle(row)
    if kind == "special" and n:
        infinity = carrier.infinity_code
        for _ in range(rng.choice((1, 1, 2))):
            special = rng.choice((infinity, infinity | sign, infinity + 1, sign, 0))
            row[rng.randrange(n)] = special
    return row


_EDGES: dict[tuple[str, str], list[int]] = {}


def edges_of(name: str, carrier: str) -> list[int]:
    if (name, carrier) not in _EDGES:
        _EDGES[name, carrier] = edge_patterns(FORMATS[name], em.NAMED[carrier])
    return _EDGES[name, carrier]


class Terms:
    """Rows of terms as an array, and as the model's values; many rows repeat a few."""

    def __init__(
        self, fmt: em.Format, carrier: str, rows: int, n: int, rng: random.Random, rule: str
    ) -> None:
        held = CARRIERS[carrier]
        kinds = rng.sample(KINDS, 3) if rows < 8 else KINDS
        patterns = [row_of(kinds[k % len(kinds)], fmt, held, n, rng) for k in range(min(rows, 13))]
        if rule in ("wrap", "raise"):  # refuse infinities
            ones = (1 << held.magnitude_bits) - 1
            patterns = [
                [p ^ 1 if p & ones == held.infinity_code else p for p in row] for row in patterns
            ]
        self.held, self.patterns = held, patterns
        few = floats_of([p for row in patterns for p in row], carrier).reshape(len(patterns), n)
        self.array = few[np.arange(rows) % 13]

    def values(self, row: int) -> list[em.Value]:
        return [em.carrier_value(self.held, p) for p in self.patterns[row % 13]]


def some_of(results: int, nodes: int, rng: random.Random) -> list[int]:
    """Results for the model to compute: all if that is not too much."""
    if results * nodes <= NODES:
        return list(range(results))
    few = max(2, NODES // max(nodes, 1))
    return sorted({0, results - 1, *(rng.randrange(results) for _ in range(few - 2))})


# One call, on every path


@dataclass
class Call:
    """What the library is asked, and the model's results of some numbers."""

    text: str
    name: str
    carrier: str
    manner: em.Manner
    run: Callable[[pysr.Arithmetic], Any]
    expect: dict[int, list[em.Value]]
    results: int
    roundings: int
    totals: em.Totals
    formats: dict[str, str] | None = None


def check(call: Call, every_path: list[str]) -> None:
    """Each path gives the model's results, all alike and counted alike; and moves the stream."""
    held = CARRIERS[call.carrier]
    everywhere = None
    for path in every_path:
        core_paths.set_path(path)
        arithmetic = arithmetic_of(call.name, call.manner, call.formats)
        got = np.asarray(call.run(arithmetic))
        assert got.dtype == call.carrier
        patterns = bits_of(got).reshape(call.results, got.size // call.results)
        text = f"{path} {call.manner} {call.text}"
        for o, values in call.expect.items():
            expected = [em.carrier_bits(held, y) for y in values]
            assert patterns[o].tolist() == expected, f"{text} [{o}]"
        totals = totals_of(arithmetic.counts)
        if len(call.expect) == call.results:
            assert totals == call.totals, text
        drawn = call.results * call.manner.blocks(call.roundings)
        assert arithmetic.stream.position == (call.manner.start + drawn) % 2**64, text
        if everywhere is None:
            everywhere = patterns, totals
        np.testing.assert_array_equal(patterns, everywhere[0], err_msg=text)
        assert totals == everywhere[1], text


def reduction(
    name: str,
    carrier: str,
    manner: em.Manner,
    what: tuple[str, str, int],
    n: int,
    results: int,
    rng: random.Random,
    compared: int | None = None,
) -> Call:
    """A sum or product of n terms for each result, as many as stated to be compared."""
    terms, order, block = what
    fmt, op = FORMATS[name], "add" if "sum" in terms else "mul"
    x = Terms(fmt, carrier, results, n, rng, manner.rule)
    totals = em.Totals()
    expect = {}
    running = terms.startswith("cum")
    for o in some_of(results, n, rng) if compared is None else rng.sample(range(results), compared):
        values = x.values(o)
        if running:
            expect[o] = em.running(manner, o, op, fmt, values, totals)
        else:
            expect[o] = [em.reduced(manner, o, op, fmt, values, order, block, totals)]
    keywords: dict[str, Any] = {} if running else {"order": order}
    if order == "blocked":
        keywords["block"] = block
    down = rng.random() < 0.3
    array = np.ascontiguousarray(x.array.T) if down else x.array

    def run(arithmetic: pysr.Arithmetic) -> Any:
        got = getattr(arithmetic, terms)(array, axis=0 if down else -1, **keywords)
        return got.T if down else got

    return Call(
        f"{name} {carrier} {what} {n} terms, {results} results",
        name,
        carrier,
        manner,
        run,
        expect,
        results,
        em.reduction_roundings(order, n),
        totals,
    )


def product(
    name: str,
    carrier: str,
    manner: em.Manner,
    what: tuple[str, str, int],
    length: int,
    shape: tuple[int, int],
    rng: random.Random,
    products: str | None = None,
) -> Call:
    """A product of matrices."""
    accumulate, order, block = what
    align_bits = None
    if accumulate.startswith("aligned"):
        accumulate, align_bits = "block", int(accumulate.split()[1])
    fmt = FORMATS[name]
    m, n = shape
    results = m * n
    a = Terms(fmt, carrier, m, length, rng, manner.rule)
    b = Terms(fmt, carrier, n, length, rng, manner.rule)
    c = Terms(fmt, carrier, 1, results, rng, manner.rule)
    follows = order == "sequential" and rng.random() < 0.5
    totals = em.Totals()
    initial = c.values(0)
    expect = {
        o: [
            em.inner(
                manner,
                o,
                accumulate,
                (fmt, fmt if products is None else FORMATS[products]),
                a.values(o // n),
                b.values(o % n),
                order,
                block,
                initial[o] if follows else None,
                totals,
                align_bits,
            )
        ]
        for o in some_of(results, 2 * length, rng)
    }
    keywords: dict[str, Any] = {"accumulate": accumulate, "order": order}
    if block:
        keywords["block"] = block
    if align_bits is not None:
        keywords["align_bits"] = align_bits
    if follows:
        keywords["initial"] = c.array.reshape(m, n)
    formats = None
    if products is not None and rng.random() < 0.5:
        formats = {"mul": products}
    elif products is not None:
        keywords["products"] = library_format(products)
    layouts = rng.randrange(4)
    left = np.asfortranarray(a.array) if layouts & 1 else a.array
    right = np.ascontiguousarray(b.array.T) if layouts & 2 else b.array.T
    return Call(
        f"{name} {carrier} {what} {length} terms, {shape}, products {products}, {follows=}",
        name,
        carrier,
        manner,
        lambda arithmetic: arithmetic.matmul(left, right, **keywords),
        expect,
        results,
        em.inner_roundings(accumulate, block, length),
        totals,
        formats,
    )


def reductions(name: str, carrier: str, turns: int) -> Iterator[Call]:
    """Calls in which all manners, and over all formats all pairs of the rest, have their turn."""
    rng = random.Random(seed_of(name + carrier))
    rules = rules_of(FORMATS[name])
    everything = list(itertools.product(REDUCTIONS, LENGTHS, RESULTS))
    rng.shuffle(everything)
    some = itertools.cycle(everything)
    for turn, (mode, keywords) in itertools.product(range(turns), MANNERS):
        what, n, results = next(some)
        start = rng.choice((0, 7, POSITION))
        manner = manner_of(mode, keywords, rules[turn % len(rules)], start)
        yield reduction(name, carrier, manner, what, n, results, rng)


LONG = (("sum", "sequential", 0), ("sum", "sequential", 0), ("sum", "blocked", 137))


def long_reductions(name: str, carrier: str, turns: int) -> Iterator[Call]:
    """Sums of hundreds of terms, few results and many, of which one is compared."""
    rng = random.Random(seed_of(name + "long" + carrier))
    rules = rules_of(FORMATS[name])
    for turn, (mode, keywords) in itertools.product(range(turns), MANNERS):
        what, n = rng.choice(LONG), rng.choice((261, 300, 350))
        start = rng.choice((0, 7, POSITION))
        manner = manner_of(mode, keywords, rules[turn % len(rules)], start)
        yield reduction(name, carrier, manner, what, n, rng.choice((1, 1, 1, 2, 64, 70)), rng, 1)


OTHER = {"float16": "bfloat16", "bfloat16": "float8_e5m2", "float8_e4m3fn": "float16"}


def products(name: str, carrier: str, turns: int) -> Iterator[Call]:
    rng = random.Random(seed_of(carrier + name))
    everything = list(itertools.product(PRODUCTS, LENGTHS, SHAPES))
    rng.shuffle(everything)
    some = itertools.cycle(everything)
    for turn, (mode, keywords) in itertools.product(range(turns), MANNERS):
        what, length, shape = next(some)
        other = OTHER.get(name) if what[0] == "separate" and turn % 2 else None
        rules = rules_of(FORMATS[name], FORMATS[other or name])
        start = rng.choice((0, 7, POSITION))
        manner = manner_of(mode, keywords, rules[turn % len(rules)], start)
        yield product(name, carrier, manner, what, length, shape, rng, other)


@pytest.mark.parametrize(("name", "carrier"), CASES)
def test_every_sum(name: str, carrier: str, every_path: list[str]) -> None:
    for call in reductions(name, carrier, 5):
        check(call, every_path)


@pytest.mark.parametrize(("name", "carrier"), CASES)
def test_long_sums(name: str, carrier: str, every_path: list[str]) -> None:
    for call in long_reductions(name, carrier, 1):
        check(call, every_path)


@pytest.mark.parametrize(("name", "carrier"), CASES)
def test_every_inner_product(name: str, carrier: str, every_path: list[str]) -> None:
    for call in products(name, carrier, 5):
        check(call, every_path)


@pytest.mark.exhaustive
@pytest.mark.parametrize(("name", "carrier"), CASES)
def test_every_sum_long(name: str, carrier: str, every_path: list[str]) -> None:
    for call in itertools.chain(reductions(name, carrier, 200), long_reductions(name, carrier, 50)):
        check(call, every_path)


@pytest.mark.exhaustive
@pytest.mark.parametrize(("name", "carrier"), CASES)
def test_every_inner_product_long(name: str, carrier: str, every_path: list[str]) -> None:
    for call in products(name, carrier, 200):
        check(call, every_path)


# The rare words that leave a rounding undecided


def values_of(numbers: Sequence[float]) -> list[em.Value]:
    return [em.finite(x < 0, abs(Fraction(x))) for x in numbers]


def undecided(word: int, rng: random.Random) -> float:
    """Behind 1.0 in bfloat16: 16 digits that are the complement of a word, and more, or none."""
    tail = rng.choice((0, rng.getrandbits(24) | 1, rng.getrandbits(24) | 1))
    return ((0xFFFF ^ word) + tail / 2**24) * 2.0**-23


# What is rounded, in which order, to which formats; the terms concerned, and the words they meet.
UNDECIDED: dict[str, Any] = {
    "sum": ("sum", "pairwise", 0, "bfloat16", None, range(1, 8, 2), lambda t: t),
    "sums": ("separate", "blocked", 2, "bfloat16", "binary64", (1, 3, 5, 7), lambda t: 2 * t + 1),
    "products": ("separate", "sequential", 0, "binary64", "bfloat16", range(8), lambda t: 2 * t),
    "fma": ("fma", "sequential", 0, "bfloat16", None, range(1, 8), lambda t: t),
    "block": ("block", "sequential", 1, "bfloat16", None, range(1, 8), lambda t: t),
}


@pytest.mark.parametrize(
    ("what", "columns"), [("sum", 1), *itertools.product(list(UNDECIDED)[1:], (1, 2))]
)
def test_undecided_sums_are_refined(what: str, columns: int, every_path: list[str]) -> None:
    """Each rounding that can be is one that only the refinement decides, in every lane."""
    accumulate, order, block, name, products, steps, number = UNDECIDED[what]
    rng = random.Random(what)
    manner = manner_of("sr", {}, start=7)
    formats = FORMATS[name], FORMATS[products or name]
    x, expected, totals = np.ones((70, 8)), [], em.Totals()
    roundings = 8 if what == "sum" else em.inner_roundings(accumulate, block, 8)
    ones = values_of([1.0] * 8)
    for row in range(70):
        # Of two columns one meets the words that it is made for.
        result = em.Result(manner, columns * row + row % columns, roundings, em.Totals())
        for t in steps:
            x[row, t] = (what == "products") + undecided(result.words[number(t)], rng)
        terms = values_of(x[row].tolist())
        for column in range(columns):
            o = columns * row + column
            if what == "sum":
                y = em.reduced(manner, o, "add", formats[0], terms, order, 0, totals)
            else:
                y = em.inner(
                    manner, o, accumulate, formats, terms, ones, order, block, None, totals
                )
            expected.append(float(y.magnitude))
    keywords: dict[str, Any] = {"order": order, "block": block or None}
    if what != "sum":
        keywords |= {"accumulate": accumulate, "products": products}
    for path in every_path:
        core_paths.set_path(path)
        arithmetic = arithmetic_of(name, manner)
        if what == "sum":
            got = arithmetic.sum(x, axis=1, **keywords)
        else:
            got = arithmetic.matmul(x, np.ones((8, columns)), **keywords)
        np.testing.assert_array_equal(got.ravel(), expected, err_msg=path)
        assert totals_of(arithmetic.counts) == totals


@pytest.mark.parametrize("accumulate", ["exact", "block", "after"])
def test_undecided_for_long(accumulate: str, every_path: list[str]) -> None:
    """Exact sums whose digits are the complement of 16 bits and of whole refinement blocks."""
    rng = random.Random(accumulate)
    manner = manner_of("sr", {}, start=2**61 + 3)
    fmt = FORMATS["bfloat16"]
    rows, expected = [], []
    for o in range(12):
        roundings = 1 if accumulate != "after" else 2
        m = roundings - 1
        result = em.Result(manner, o, roundings, em.Totals())
        assert result.first is not None
        i = result.first + m
        levels = [em.refinement(SEED, 3, manner.start, i, level) for level in (1, 2)]
        bits = 0xFFFF ^ result.words[m]
        for word in levels[: o % 3]:
            bits = bits << 128 | (em.M64 << 64 | em.M64) ^ word
        width = 16 + 128 * (o % 3)
        if o % 2:
            bits, width = bits << 30 | rng.getrandbits(30), width + 30
        places = range(0, width, 32)
        row = [math.ldexp(float(bits >> k & 0xFFFFFFFF), k - width - 7) for k in places]
        row += [0.0] * (11 - len(row))
        assert sum(map(Fraction, row)) == Fraction(bits, 2 ** (width + 7))
        first = [1.0] if accumulate != "after" else [1.0] + [0.0] * 11
        row = first + rng.sample(row, 11)
        rows.append(row)
        values, ones = values_of(row), values_of([1.0] * len(row))
        if accumulate == "exact":
            y = em.reduced(manner, o, "add", fmt, values, "exact", 0, em.Totals())
        else:
            y = em.inner(manner, o, "block", (fmt, fmt), values, ones, "", 12, None, em.Totals())
        expected.append(float(y.magnitude))
    for path in every_path:
        core_paths.set_path(path)
        arithmetic = arithmetic_of("bfloat16", manner)
        if accumulate == "exact":
            got = arithmetic.sum(rows, axis=1, order="exact")
        else:
            ones_ = np.ones(len(rows[0]))
            got = arithmetic.matmul(rows, ones_, accumulate="block", block=12)
        np.testing.assert_array_equal(got, expected, err_msg=path)


# Exact sums


def test_exact_sums_need_all_bits(every_path: list[str]) -> None:
    """From the largest to the smallest number, and squares of both."""
    top, low = np.finfo(float).max, 5e-324
    x = np.array(
        [
            [top, top, low, -top, -top],
            [top, -low, -top, 0.0, 0.0],
            [low, low, low, -low, -0.0],
            [1.0, 2.0**-8, low, 0.0, 0.0],
            [1.0, 2.0**-8, -low, 0.0, 0.0],
            [top, 1.0, 2.0**-8, low, -top],
        ]
    )
    expected = [low, -low, 2 * low, 1.0078125, 1.0, 1.0078125]
    for path in every_path:
        core_paths.set_path(path)
        wide = pysr.Arithmetic("binary64", "rne")
        np.testing.assert_array_equal(wide.sum(x[:3], 1, order="exact"), expected[:3])
        got = pysr.Arithmetic("bfloat16", "rne").sum(x[3:], 1, order="exact")
        np.testing.assert_array_equal(got, expected[3:])
        # Squares: of 2^-1074 too, 4222 bits below that of the largest number.
        a, b = [top, low, 1.0, -top], [top, low, 1.0, top]
        got = wide.matmul(a, b, accumulate="block", block=4)
        assert got == 1.0
        up = pysr.Arithmetic("binary64", "ru").matmul(a, b, accumulate="block", block=4)
        assert up == 1.0 + 2.0**-52


@pytest.mark.parametrize("mode", ["rne", "rd", "sr"])
@pytest.mark.parametrize("accumulate", ["exact", "block"])
def test_signs_of_exact_zeros(mode: str, accumulate: str) -> None:
    """Of zeros alike their sign; of anything else +0, or -0 under rd; without -0 always +0."""
    rows = [[0.0, 0.0], [-0.0, -0.0], [0.0, -0.0], [-0.0, 0.0], [1.5, -1.5], [-0.0, -0.0]]
    for name in ("float16", "float8_e4m3fnuz", "Q3.8"):
        arithmetic = pysr.Arithmetic(name, mode, rng=1)
        if accumulate == "exact":
            got = arithmetic.sum(rows, 1, order="exact")
        else:
            got = arithmetic.matmul(rows, [1.0, 1.0], accumulate="block", block=2)
        signs = [False, True, *[mode == "rd"] * 3, True]
        assert (got == 0).all()
        assert np.signbit(got).tolist() == [s and name == "float16" for s in signs]
        assert repr(arithmetic.counts) == repr(pysr.Arithmetic(name).counts)


@pytest.mark.parametrize("carrier", ["float32", "float64"])
@pytest.mark.parametrize("name", ["float16", "bfloat16", "float8_e4m3fnuz", "Q3.8", "binary32"])
def test_signs_of_zeros_on_the_way(name: str, carrier: str, every_path: list[str]) -> None:
    """Where terms cancel, in sums of one result and of many: as S7.4, at every step."""
    x = np.array([0.0, *[1.0, -1.0] * 32], carrier)  # the last step of 64 is zero
    zeros = np.full(65, -0.0, carrier)
    for path, mode in itertools.product(every_path, em.MODES[:11]):
        core_paths.set_path(path)
        arithmetic = pysr.Arithmetic(name, mode, rng=1)
        minus_zero = FORMATS[name].negative_zero
        for results in (1, 2, 70):
            got = arithmetic.sum(np.tile(x, (results, 1)), 1)
            assert (np.signbit(got) == (minus_zero and mode == "rd")).all()
            got = arithmetic.sum(np.tile(zeros, (results, 1)), 1)
            assert (np.signbit(got) == minus_zero).all()
        assert repr(arithmetic.counts) == repr(pysr.Arithmetic(name).counts)


def test_exact_sums_of_specials() -> None:
    """Infinities of one sign stay, of both are NaN; infinity times zero and NaN are NaN."""
    inf, nan = np.inf, -np.nan
    a = [[inf, 1, inf], [inf, 1, -inf], [1, -inf, 2], [nan, 1, 1], [inf, -inf, nan]]
    arithmetic = pysr.Arithmetic("bfloat16", "rne")
    got = arithmetic.sum(a, 1, order="exact")
    np.testing.assert_array_equal(got, [inf, np.nan, -inf, np.nan, np.nan])
    assert not np.signbit(got[[1, 3, 4]]).any()
    assert arithmetic.counts.nan == 1
    b = [1.0, 0.0, 1.0]
    got = arithmetic.matmul(a, b, accumulate="block", block=3)
    np.testing.assert_array_equal(got, [inf, np.nan, np.nan, np.nan, np.nan])
    assert arithmetic.counts.nan == 3


# What composes


@pytest.mark.parametrize("terms", ["sum", "prod"])
def test_running_sums_are_sums_of_the_first(terms: str) -> None:
    """Of the same words: element t is the result of the first t + 1 terms."""
    x = np.random.Generator(np.random.PCG64(2)).uniform(0.9, 1.1, 40)
    arithmetic = pysr.Arithmetic("bfloat16", rng=6)
    running = getattr(arithmetic, "cum" + terms)(x)
    assert arithmetic.stream.position == 5
    for t in range(40):
        alone = pysr.Arithmetic("bfloat16", rng=6)
        assert getattr(alone, terms)(x[: t + 1]) == running[t]
    fresh = pysr.Arithmetic("bfloat16", rng=6)
    getattr(fresh, terms)(x)
    assert arithmetic.counts.inexact > fresh.counts.inexact  # the first, alone, is rounded too


@pytest.mark.parametrize("carrier", ["float32", "float64"])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), ()])
def test_mean_and_norm_are_composed(carrier: str, axis: Any) -> None:
    """Of sum and div, of mul, sum and sqrt: words, results, totals and place of the stream."""
    x = np.random.Generator(np.random.PCG64(2)).normal(size=(3, 5, 7)).astype(carrier)
    n = x.size // max(np.size(x.sum(axis)), 1)
    for mode, keywords in MANNERS:
        both = [
            pysr.Arithmetic("float16", mode, rng=3, formats={"mul": "bfloat16"}, **keywords)
            for _ in range(2)
        ]
        for order in ({}, {"order": "pairwise"}, {"order": "blocked", "block": 4}):
            mean = both[0].mean(x, axis, **order)
            expected = both[1].div(both[1].sum(x, axis, **order), x.dtype.type(n))
            np.testing.assert_array_equal(mean, expected)
            norm = both[0].norm2(x, axis, keepdims=True, **order)
            total = both[1].sum(both[1].mul(x, x), axis, keepdims=True, **order)
            np.testing.assert_array_equal(norm, both[1].sqrt(total))
            assert mean.dtype == norm.dtype == carrier
        assert both[0].stream.position == both[1].stream.position
        assert repr(both[0].counts) == repr(both[1].counts)


def test_composed_calls_draw_and_count_at_once() -> None:
    """Or, if a later step raises, not at all; not even the rest of a block is given up."""
    arithmetic = pysr.Arithmetic("float16", rng=pysr.Philox(4), overflow="raise")
    np.random.Generator(arithmetic.stream).integers(0, 2**32, dtype=np.uint32)
    before = arithmetic.stream.state
    out = np.full((), 7.0)
    with pytest.raises(OverflowError, match="result 0"):
        arithmetic.norm2([200.123, 200.123], out=out)
    with pytest.raises(OverflowError, match="result 1"):
        arithmetic.mean([[0.1, 0.2], [65504.0, 65504.0]], axis=1)
    with pytest.raises(ValueError, match="block=None"):
        arithmetic.norm2([1.1, 2.2], order="blocked")
    assert arithmetic.stream.state == before
    assert repr(arithmetic.counts) == repr(pysr.Arithmetic("float16").counts)
    assert out == 7.0
    assert arithmetic.norm2([3.0, 4.0], out=out) is out
    assert out == 5.0
    assert arithmetic.stream.position == 4  # after the block begun, one for each step


def test_mean_of_none_and_of_float32() -> None:
    """0/0; and what float32 cannot hold is refused, not rounded again."""
    arithmetic = pysr.Arithmetic("bfloat16", "rne")
    assert np.isnan(arithmetic.mean([]))
    assert np.isnan(arithmetic.mean(np.zeros((2, 0)), axis=1)).all()
    assert arithmetic.mean(np.zeros((0, 2)), axis=1).shape == (0,)
    finer = pysr.Arithmetic("bfloat16", "rne", formats={"div": "binary64"})
    assert finer.mean([1.0, 0.0, 0.0]) == 1 / 3
    with pytest.raises(ValueError, match="float32 carrier"):
        finer.mean(np.float32([1, 0, 0]))


@pytest.mark.exhaustive
def test_mean_of_more_than_float32_counts() -> None:
    """2^24 + 1 ones and zeros: the number of terms is exact."""
    x = np.zeros(2**24 + 1, np.float32)
    x[: 2**23] = 1.0
    got = pysr.Arithmetic("binary32", "rne").mean(x)
    assert isinstance(got, np.float32)
    assert got == np.float32(2**23 / (2**24 + 1))
    assert got < 0.5


# Shapes and layouts


def layouts(x: Array) -> Iterator[Array]:
    """The same values in other layouts."""
    yield np.asfortranarray(x)
    yield x.astype(x.dtype.newbyteorder())
    wide = np.empty((*x.shape[:-1], 3 * x.shape[-1]), x.dtype)
    wide[..., ::3] = x
    yield wide[..., ::3]
    backward = tuple(slice(None, None, -1) for _ in x.shape)
    yield x[backward].copy()[backward]
    bytes_ = np.empty(x.nbytes + 1, np.uint8)
    unaligned = bytes_[1:].view(x.dtype).reshape(x.shape)
    unaligned[...] = x
    yield unaligned
    yield np.moveaxis(np.moveaxis(x, 0, -1).copy(), -1, 0)
    still = x.copy()
    still.flags.writeable = False
    yield still


@pytest.mark.parametrize("carrier", ["float32", "float64"])
@pytest.mark.parametrize("random_bits", ["exact", 8])
def test_layouts(carrier: str, random_bits: int | str) -> None:
    """Neither operands' nor the result's layout matters; the operands are left as they are."""
    rng = np.random.Generator(np.random.PCG64(3))
    x = rng.normal(size=(6, 7, 11)).astype(carrier)
    y = rng.normal(size=(6, 11, 5)).astype(carrier)
    c = rng.normal(size=(6, 7, 5)).astype(carrier)

    def calls(x: Array, y: Array, c: Array) -> Iterator[Callable[..., Any]]:
        def of(name: str, *args: Any, **keywords: Any) -> Callable[..., Any]:
            def call(out: Array | None = None) -> Any:
                arithmetic = pysr.Arithmetic("float16", rng=4, random_bits=random_bits)
                return getattr(arithmetic, name)(*args, out=out, **keywords)

            return call

        for axis in (0, 1, 2, (0, 2), (2, 1)):
            yield of("sum", x, axis)
            yield of("norm2", x, axis, order="pairwise")
        yield of("mean", x, 0)
        yield of("prod", x, -1, order="blocked", block=3)
        for axis in range(3):
            yield of("cumsum", x, axis)
        yield of("matmul", x, y, initial=c)
        yield of("matmul", x, y, accumulate="fma")
        yield of("matmul", x[0], y, accumulate="block", block=4)

    expected = [call() for call in calls(x, y, c)]
    for a, b, d in zip(layouts(x), layouts(y), layouts(c), strict=True):
        before = a.tobytes(), b.tobytes(), d.tobytes()
        for call, result in zip(calls(a, b, d), expected, strict=True):
            np.testing.assert_array_equal(call(), result)
        assert (a.tobytes(), b.tobytes(), d.tobytes()) == before
    for call, result in zip(calls(x, y, c), expected, strict=True):
        for out in itertools.islice(layouts(np.zeros_like(result)), 6):
            assert call(out) is out
            np.testing.assert_array_equal(out.astype(carrier), result)
    assert type(calls(x, y, c).__next__()()) is np.ndarray
    # A stride of zero
    same = np.broadcast_to(x[:1, :1], (6, 7, 11))
    arithmetic = [pysr.Arithmetic("float16", rng=4) for _ in range(2)]
    np.testing.assert_array_equal(
        arithmetic[0].sum(same, (0, 2)), arithmetic[1].sum(same.copy(), (0, 2))
    )


def test_axes() -> None:
    """As NumPy's, whose sums of integers are exact."""
    x = np.arange(60.0).reshape(3, 4, 5) - 17
    arithmetic = pysr.Arithmetic("binary64", "rne")
    for axis in (None, 0, 1, 2, -1, -3, (0, 1), (2, 0), (-1, 1), (0, 1, 2), ()):
        for keepdims in (False, True):
            got = arithmetic.sum(x, axis, keepdims=keepdims)
            np.testing.assert_array_equal(got, x.sum(axis, keepdims=keepdims), strict=True)
            y = np.where(x % 7 == 0, 2.0, -1.0)
            got = arithmetic.prod(y, axis, keepdims=keepdims, order="pairwise")
            np.testing.assert_array_equal(got, y.prod(axis, keepdims=keepdims), strict=True)
    for axis in (None, 0, 1, -1):
        np.testing.assert_array_equal(arithmetic.cumsum(x, axis), x.cumsum(axis), strict=True)
        np.testing.assert_array_equal(arithmetic.cumprod(y, axis), y.cumprod(axis), strict=True)
    assert isinstance(pysr.Arithmetic("tf32").sum(np.float32([1, 2])), np.float32)
    assert isinstance(arithmetic.sum(3), np.float64)
    np.testing.assert_array_equal(arithmetic.cumsum(3.0), [3.0])


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 3)])
def test_empty_axes(shape: tuple[int, ...]) -> None:
    """Sums of none are +0, products 1; nothing is drawn or counted."""
    arithmetic = pysr.Arithmetic("bfloat16", rng=1)
    x = np.zeros(shape)
    for axis in (None, *range(len(shape))):
        for order in ("sequential", "pairwise", "exact"):
            got = arithmetic.sum(x, axis, order=order)
            np.testing.assert_array_equal(got, x.sum(axis), strict=True)
            assert not np.signbit(got).any()
        np.testing.assert_array_equal(arithmetic.prod(x, axis), x.prod(axis), strict=True)
        np.testing.assert_array_equal(arithmetic.cumsum(x, axis), x.cumsum(axis), strict=True)
        assert (pysr.Arithmetic("bfloat16").norm2(x, axis) == 0).all()
    assert arithmetic.stream.position == 0
    assert repr(arithmetic.counts) == repr(pysr.Arithmetic("bfloat16").counts)


def test_sums_of_none_are_rounded() -> None:
    """Like the values 0 and 1, by the rules of the format; what there is to start from, too."""
    e8m0 = pysr.Arithmetic("float8_e8m0fnu", "rne")
    assert np.isnan(e8m0.sum([]))
    assert e8m0.prod([]) == 1.0
    assert e8m0.counts.nan == 1
    assert pysr.Arithmetic("UQ0.8", "rne").prod([]) == 255 / 256
    for mode in ("rz", "sr", "sr_equal"):
        assert pysr.Arithmetic("Q8.-2", mode).prod([]) == 0.0
    assert pysr.Arithmetic("Q8.-2", "ra").prod([]) == 4.0
    none = np.zeros((2, 0))
    for name, call in (
        ("float8_e8m0fnu", lambda a: a.sum(none, 1)),
        ("float8_e8m0fnu", lambda a: a.matmul(none, none.T)),
        ("UQ0.8", lambda a: a.prod(none, 1)),
    ):
        with pytest.raises(OverflowError, match="result 0"):
            call(pysr.Arithmetic(name, "rne", overflow="raise"))
    arithmetic = pysr.Arithmetic("bfloat16", rng=2)
    for accumulate in ({}, {"accumulate": "fma"}, {"accumulate": "block", "block": 4}):
        got = arithmetic.matmul(none, none.T, initial=[1 + 2.0**-9, -np.nan], **accumulate)
        np.testing.assert_array_equal(got, [[1.0, np.nan]] * 2)
        assert not np.signbit(got).any()
        # Not even what the refinement would have to decide is drawn
        assert arithmetic.dot([], [], initial=1 + 2.0**-7 - 2.0**-40, **accumulate) == 1.0
    assert arithmetic.counts.inexact == 9
    assert arithmetic.stream.position == 0


MATRICES = [
    ((), (1,), (4,), (5, 4), (1, 4), (2, 5, 4), (1, 5, 4), (3, 1, 5, 4), (0, 4), (2, 0, 4)),
    ((4,), (1,), (4, 3), (4, 1), (2, 4, 3), (3, 2, 4, 3), (1, 4, 3), (4, 0), (5, 3), ()),
    ((0,), (5, 0), (2, 5, 0), (0, 0), (0, 0, 0)),
    ((0,), (0, 3), (2, 0, 3), (0, 0), (0, 0, 0)),
]


@pytest.mark.parametrize("accumulate", ["separate", "fma", "block"])
def test_shapes_of_matrices(accumulate: str) -> None:
    """As NumPy's, whose products of small integers are exact; what NumPy refuses is refused."""
    arithmetic = pysr.Arithmetic("binary64", "rne")
    keywords: dict[str, Any] = {"accumulate": accumulate}
    if accumulate == "block":
        keywords["block"] = 3
    for left, right in itertools.chain(
        itertools.product(*MATRICES[:2]), itertools.product(*MATRICES[2:])
    ):
        a = np.arange(float(math.prod(left))).reshape(left) - 9
        b = 5 - np.arange(float(math.prod(right))).reshape(right)
        try:
            expected = np.matmul(a, b)
        except ValueError:
            with pytest.raises(ValueError, match=r"matmul takes no|do not match|do not broadcast"):
                arithmetic.matmul(a, b, **keywords)
            continue
        got = arithmetic.matmul(a, b, **keywords)
        np.testing.assert_array_equal(got, expected, strict=True)
        assert isinstance(got, np.ndarray) == bool(expected.shape)
        out = np.empty(expected.shape)
        for initial in (1, np.ones(expected.shape[-1:]), np.ones((1,) * expected.ndim)):
            assert arithmetic.matmul(a, b, out=out, initial=initial, **keywords) is out
            np.testing.assert_array_equal(out, expected + 1)
        if max(a.ndim, b.ndim) <= 2:
            np.testing.assert_array_equal(arithmetic.dot(a, b, **keywords), expected, strict=True)


def test_dot() -> None:
    """With a scalar it is mul; of stacks it is not defined."""
    arithmetic = pysr.Arithmetic("bfloat16", "rne")
    np.testing.assert_array_equal(arithmetic.dot(2, [1.0, 1.01]), arithmetic.mul(2, [1.0, 1.01]))
    assert arithmetic.dot(2.0, 3.0) == 6.0
    with pytest.raises(ValueError, match=r"dot takes vectors and matrices, not a \(1, 2, 3\)"):
        arithmetic.dot(np.zeros((1, 2, 3)), np.zeros(3))


@pytest.mark.parametrize(
    "dtype", ["float16", "int8", "uint64", "bool", ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn]
)
def test_input_types(dtype: Any) -> None:
    """Floats of fewer bits become float32, all else float64; operands together as one."""
    x = np.array([[1, 0, 1], [1, 1, 0]], dtype)
    carrier = np.float64 if np.dtype(dtype).kind in "biu" else np.float32
    arithmetic = pysr.Arithmetic("bfloat16", "rne")
    for got, expected in (
        (arithmetic.sum(x, 1), [2, 2]),
        (arithmetic.cumprod(x, 1), [[1, 0, 0], [1, 1, 0]]),
        (arithmetic.mean(x, 0), [1, 0.5, 0.5]),
        (arithmetic.norm2(x[:, :1]), 2**0.5),
        (arithmetic.matmul(x, x.T), [[2, 1], [1, 2]]),
    ):
        assert got.dtype == carrier
        np.testing.assert_allclose(got, expected, rtol=2**-8)
    assert arithmetic.matmul(x, np.ones(3)).dtype == np.float64
    ones = np.ones((3, 1), np.float32)
    assert arithmetic.matmul(x, ones).dtype == carrier
    assert arithmetic.matmul(ones.T, ones, initial=x[:1, :1]).dtype == carrier
    assert arithmetic.sum([[1, 2], [3, 4]]) == 10.0
    assert arithmetic.dot([1, 2], (3, 4)) == 11.0


# Words


@pytest.mark.parametrize(("mode", "keywords"), MANNERS[8:])
def test_results_alone(mode: str, keywords: dict[str, Any]) -> None:
    """Each result comes out of its own blocks, alone as among others."""
    rng = np.random.Generator(np.random.PCG64(7))
    x = rng.normal(size=(70, 21))
    y = rng.normal(size=(21, 3))
    width = em.word_width(mode, keywords.get("random_bits", "exact"))

    def at(blocks: int) -> pysr.Arithmetic:
        return pysr.Arithmetic("tf32", mode, rng=pysr.Philox(5).advance(blocks), **keywords)

    for name, order, roundings in (
        ("sum", {}, 21),
        ("sum", {"order": "pairwise"}, 21),
        ("prod", {"order": "blocked", "block": 4}, 21),
        ("sum", {"order": "exact"}, 1),
        ("cumsum", {}, 21),
    ):
        blocks = -(-roundings * width // 128)
        among = at(3)
        together = getattr(among, name)(x, axis=1, **order)
        assert among.stream.position == 3 + 70 * blocks
        for o in (0, 1, 63, 64, 69):
            alone = at(3 + o * blocks)
            got = getattr(alone, name)(x[o : o + 1], axis=1, **order)
            # Refinement goes by 8 b0 + i: words of 16 bits alone are refined.
            np.testing.assert_array_equal(got[0], together[o])
            assert alone.stream.position == 3 + (o + 1) * blocks
    for accumulate, roundings in (
        ({}, 42),
        ({"order": "exact"}, 42),
        ({"accumulate": "fma"}, 21),
        ({"accumulate": "block", "block": 4}, 6),
    ):
        blocks = -(-roundings * width // 128)
        together = at(3).matmul(x, y, **accumulate)
        for i, j in ((0, 0), (0, 2), (21, 1), (69, 2)):
            alone = at(3 + (3 * i + j) * blocks)
            assert alone.dot(x[i], y[:, j], **accumulate) == together[i, j]


def test_stream_before_and_after() -> None:
    """A call starts at a whole block; positions wrap; deterministic ones draw nothing."""
    stream = pysr.Philox(8).advance(-1)
    arithmetic = pysr.Arithmetic("bfloat16", rng=stream)
    assert arithmetic.stream is stream
    arithmetic.sum(np.ones((3, 9)), axis=1)
    assert stream.position == 5
    pysr.Arithmetic("bfloat16", "rne", rng=stream).sum(np.ones(9))
    arithmetic.matmul(np.ones((0, 9)), np.ones((9, 2)))
    assert stream.position == 5
    np.random.Generator(stream).integers(0, 2**32, dtype=np.uint32)
    arithmetic.sum(np.ones(8))
    assert stream.position == 7


def test_formats_of_single_operations() -> None:
    """Sums are rounded like "add", products like "mul", and fused ones like "fma"."""
    exact = 1 + 2.0**-10
    formats = {"mul": "float16", "fma": "tf32", "add": "float8_e4m3fn"}
    arithmetic = pysr.Arithmetic("bfloat16", "rne", formats=formats)
    assert arithmetic.prod([exact]) == arithmetic.cumprod([exact])[0] == exact
    assert arithmetic.sum([exact]) == arithmetic.cumsum([exact])[0] == 1.0
    assert arithmetic.dot([exact, 15.0], [1.0, 1.0]) == 16.0
    assert arithmetic.dot([exact, 0.0], [1.0, 1.0], accumulate="fma") == exact
    assert arithmetic.dot([exact, 0.0], [1.0, 1.0], accumulate="block", block=2) == exact
    # A product that "float16" keeps decides a sum, one in "float8_e4m3fn" does not.
    assert arithmetic.dot([1.0, 1 / 16], [1.0, exact]) == 1.125
    assert arithmetic.dot([1.0, 1 / 16], [1.0, exact], products="float8_e4m3fn") == 1.0
    assert arithmetic.sum([1.0, 2.0**-4]) == 1.0
    wraps = pysr.FixedFormat(3, 8, overflow="wrap")
    wide = pysr.Arithmetic("binary64", "rne")
    assert wide.dot([6.0], [6.0], products=pysr.FixedFormat(3, 8)) == 8 - 2.0**-8
    assert wide.dot([6.0], [6.0], products=wraps) == 4.0


@pytest.mark.parametrize(("name", "blocks"), [("matmul", 16000), ("norm2", 200 + 200 + 5)])
def test_threads(name: str, blocks: int) -> None:
    """Calls in several threads own their bits and lose no count."""
    arithmetic = pysr.Arithmetic("bfloat16", rng=3)
    x = np.random.Generator(np.random.PCG64(1)).normal(size=(40, 40))
    second = x if name == "matmul" else 1
    results: list[bytes] = []

    def work() -> None:
        for _ in range(20):
            results.append(getattr(arithmetic, name)(x, second).tobytes())

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert arithmetic.stream.position == 40 * blocks
    fresh = pysr.Arithmetic("bfloat16", rng=3)
    expected = {getattr(fresh, name)(x, second).tobytes() for _ in range(40)}
    assert set(results) == expected
    assert repr(arithmetic.counts) == repr(fresh.counts)


# Refusals


@pytest.mark.parametrize("carrier", ["float32", "float64"])
@pytest.mark.parametrize("mode", ["rne", "sr"])
def test_raise(carrier: str, mode: str, every_path: list[str]) -> None:
    """The lowest result beyond the range is named, and nothing else has happened."""
    x = np.ones((130, 9), carrier)
    x[77, 0] = 1e6
    x[70, 8] = -1e6
    y = np.ones((9, 1), carrier)
    for path in every_path:
        core_paths.set_path(path)
        arithmetic = pysr.Arithmetic("float16", mode, rng=2, overflow="raise")
        arithmetic.sum(x[0] / 3)
        before = arithmetic.stream.position, repr(arithmetic.counts)
        out = np.full(130, 7.0, carrier)
        for order in ("sequential", "pairwise", "exact"):
            with pytest.raises(OverflowError, match=r"result 70: .*float16 \(overflow='raise'\)"):
                arithmetic.sum(x, 1, order=order, out=out)
        with pytest.raises(OverflowError, match="result 70: "):
            arithmetic.prod(x.T, 0, order="blocked", block=4, out=out)
        with pytest.raises(OverflowError, match="result 70: "):
            arithmetic.cumsum(x, 1, out=np.broadcast_to(out, (9, 130)).T.copy())
        for keywords in ({}, {"accumulate": "fma"}, {"accumulate": "block", "block": 3}):
            for right, result in ((y[:, 0], 70), (y, 70), (np.repeat(y, 3, 1), 210)):
                with pytest.raises(OverflowError, match=f"result {result}: "):
                    arithmetic.matmul(x, right, **keywords)
            with pytest.raises(OverflowError, match="result 5: "):
                arithmetic.matmul(y.T, x[65:].T, **keywords)
            stack = np.stack([np.ones_like(x), x])
            with pytest.raises(OverflowError, match="result 200: "):
                arithmetic.matmul(stack, y, **keywords)
            with pytest.raises(OverflowError, match="result 0: "):
                arithmetic.matmul(y.T, y, initial=x[70:71, 8:], **keywords)
        assert (arithmetic.stream.position, repr(arithmetic.counts)) == before
        np.testing.assert_array_equal(out, 7.0)
        # The product alone is beyond the range, of another format
        wide = pysr.Arithmetic("bfloat16", mode, rng=2, overflow="raise")
        assert wide.dot([1e3], [1e3]) > 9e5
        with pytest.raises(
            OverflowError, match=r"result 0: .* of float16 \(.*raise'\) or bfloat16"
        ):
            wide.dot([1e3], [1e3], products="float16")
        # or by its own rule
        strict = pysr.FixedFormat(3, 8, overflow="raise")
        with pytest.raises(
            OverflowError, match=r"of Q3.8 \(overflow='raise'\) or bfloat16 \(ov.*'inf'"
        ):
            pysr.Arithmetic("bfloat16", mode).dot([4.0], [4.0], products=strict)


def test_wrap_refuses_infinities() -> None:
    """Finite numbers wrap at every step; infinities raise."""
    arithmetic = pysr.Arithmetic("Q3.8", "rne", overflow="wrap")
    np.testing.assert_array_equal(arithmetic.cumsum([5.0] * 4), [5.0, -6.0, -1.0, 4.0])
    assert arithmetic.sum([5.0] * 4, order="exact") == 4.0
    assert arithmetic.dot([1e300, 1.0], [1e300, 3.0], accumulate="block", block=2) == 3.0
    for order in ("sequential", "exact"):
        with pytest.raises(OverflowError, match=r"result 1: .*'wrap'"):
            arithmetic.sum([[1.0, 2.0], [np.inf, 1.0]], 1, order=order)


def test_errors() -> None:
    """Bad arguments are named, before anything is drawn or written."""
    arithmetic = pysr.Arithmetic("bfloat16", rng=1)
    signed = pysr.Arithmetic("bfloat16", "sr_signed", rng=1)
    wide = pysr.Arithmetic("binary64", rng=1)
    x, out = np.ones((2, 3)), np.full(2, 7.0)
    single = x.astype("f4")
    read_only = out.copy()
    read_only.flags.writeable = False
    a = arithmetic
    for call, error, match in (
        (lambda: a.sum(x, order="left"), ValueError, "order='left' is not one of 'sequential', "),
        (lambda: a.sum(x, order="blocked"), ValueError, "block=None: order 'blocked' needs"),
        (lambda: a.sum(x, order="blocked", block=0), ValueError, "block=0 is outside"),
        (lambda: a.sum(x, order="blocked", block=1.5), TypeError, "block must be an integer"),
        (lambda: a.sum(x, block=2), ValueError, "block=2 given, which only"),
        (lambda: a.prod(x, order="exact"), ValueError, "order='exact' is for sums"),
        (lambda: a.sum(x, 2), ValueError, "axis 2 is out of bounds"),
        (lambda: a.sum(x, (0, -2)), ValueError, "repeated axis in `axis`"),
        (lambda: a.cumsum(x, -3), ValueError, "axis -3 is out of bounds"),
        (lambda: a.sum(1j), TypeError, "x must hold real numbers"),
        (lambda: a.sum(2**70 + 1), ValueError, "x="),
        (lambda: wide.sum(single), ValueError, "fmt=binary64: a float32 carrier"),
        (lambda: wide.mean(single), ValueError, "fmt=binary64: a float32 carrier"),
        (lambda: wide.norm2(single), ValueError, "fmt=binary64: a float32 carrier"),
        (lambda: wide.cumsum(single), ValueError, "fmt=binary64: a float32 carrier"),
        (lambda: wide.matmul(single, single.T), ValueError, "fmt=binary64: a float32 carrier"),
        (
            lambda: a.matmul(single, single.T, products="binary64"),
            ValueError,
            "products=binary64: a float32 carrier",
        ),
        (lambda: a.matmul(x, x.T, products="bfloat17"), ValueError, "products: .*'bfloat17'"),
        (lambda: a.matmul(x, x.T, products=["a"]), (TypeError, ValueError), "products: "),
        (lambda: a.matmul(x, x), ValueError, r"do not match: a \(2, 3\), b \(2, 3\), and 3 is"),
        (lambda: a.matmul(1.0, x), ValueError, r"matmul takes no scalars: a \(\), b \(2, 3\)"),
        (
            lambda: a.matmul(np.ones((2, 1, 3)), np.ones((3, 3, 1))),
            ValueError,
            r"stacks do not broadcast: a \(2, 1, 3\), b \(3, 3, 1\)",
        ),
        (lambda: a.matmul(x, x.T, accumulate="twice"), ValueError, "accumulate='twice' is not"),
        (lambda: a.matmul(x, x.T, accumulate="block"), ValueError, "block=None: accumulate="),
        (lambda: a.matmul(x, x.T, accumulate="fma", block=2), ValueError, "block=2 given"),
        (
            lambda: a.matmul(x, x.T, accumulate="fma", order="exact"),
            ValueError,
            "order='exact' goes with accumulate='separate' alone",
        ),
        (
            lambda: a.matmul(x, x.T, accumulate="block", block=2, products="float16"),
            ValueError,
            "products='float16' goes with accumulate='separate' alone",
        ),
        (
            lambda: a.matmul(x, x.T, order="pairwise", initial=np.ones((2, 2))),
            ValueError,
            "initial given with order='pairwise'",
        ),
        (
            lambda: a.matmul(x, x.T, initial=np.ones(3)),
            ValueError,
            r"initial has shape \(3,\), the result \(2, 2\)",
        ),
        *(
            (
                lambda name=name: getattr(a, name)(x, axis=0, out=out),
                ValueError,
                "out has shape",
            )
            for name in ("sum", "prod", "mean", "norm2", "cumsum", "cumprod")
        ),
        *(
            (
                lambda name=name: getattr(a, name)(x, axis=1, out=out.astype("f4")),
                TypeError,
                "out has dtype float32",
            )
            for name in ("sum", "prod", "mean", "norm2", "cumsum", "cumprod")
        ),
        *(
            (lambda name=name, axis=axis: getattr(a, name)(x, axis=axis), error, match)
            for name in ("sum", "prod", "mean", "norm2", "cumsum", "cumprod")
            for axis, error, match in (
                (1.5, TypeError, "axis must be an integer, not 1.5"),
                ("0", TypeError, "axis must be an integer, not '0'"),
                (True, TypeError, "axis must be an integer, not True"),
                ([0, 1], TypeError, r"axis must be an integer, not \[0, 1\]"),
                (2**70, np.exceptions.AxisError, "axis 1180591620717411303424 is out of bounds"),
                (-3, np.exceptions.AxisError, "axis -3 is out of bounds"),
            )
        ),
        (lambda: a.cumsum(x, (0, 1)), TypeError, r"axis must be an integer, not \(0, 1\)"),
        (lambda: a.sum(x, (0, 1.5)), TypeError, "axis must be an integer, not 1.5"),
        (lambda: a.sum(x, (0, -2)), ValueError, r"repeated axis in `axis`: \(0, -2\)"),
        (lambda: a.sum(1.0, 1), np.exceptions.AxisError, "axis 1 is out of bounds"),
        *(
            (lambda name=name, k=k: getattr(a, name)(x, keepdims=k), TypeError, match)
            for name in ("sum", "prod", "mean", "norm2")
            for k, match in (("no", "keepdims must be a bool, not 'no'"), (None, "not None"))
        ),
        (lambda: a.sum(x, 1, out=[0, 0]), TypeError, "out must be an array"),
        (lambda: a.sum(x, 1, out=read_only), ValueError, "out is read-only"),
        (lambda: a.matmul(x, x.T, out=out), ValueError, r"out has shape \(2,\), the result"),
        *(
            (lambda name=name: getattr(signed, name)(x), ValueError, "'sr_signed' takes a")
            for name in ("sum", "prod", "mean", "norm2", "cumsum", "cumprod")
        ),
        (lambda: signed.matmul(x, x.T), ValueError, "'sr_signed' takes a direction for one"),
        (lambda: signed.dot([1.0], [1.0]), ValueError, "'sr_signed' takes a direction for one"),
    ):
        with pytest.raises(error, match=match):
            call()
    assert arithmetic.stream.position == signed.stream.position == 0
    np.testing.assert_array_equal(out, 7.0)


@pytest.mark.parametrize("carrier", [np.float32, np.float64])
@pytest.mark.parametrize(
    "keywords", [{}, {"accumulate": "fma"}, {"accumulate": "block", "block": 7}]
)
@pytest.mark.parametrize("mode", ["sr", "rne"])
def test_large_products_by_rows(mode: str, keywords: dict[str, Any], carrier: type) -> None:
    """A product that threads share is made of rows that are computed alone."""
    rng = np.random.default_rng(8)
    a, b = (
        rng.standard_normal((200, 90)).astype(carrier),
        rng.standard_normal((90, 70)).astype(carrier),
    )
    stream = pysr.Philox(3)
    arithmetic = pysr.Arithmetic("bfloat16", mode, rng=stream)
    whole = arithmetic.matmul(a, b, **keywords)
    roundings = em.inner_roundings(
        keywords.get("accumulate", "separate"), keywords.get("block", 0), 90
    )
    blocks = -(-roundings // 8) if mode == "sr" else 0
    assert stream.position == 200 * 70 * blocks
    inexact = 0
    for row in range(0, 200, 5):
        own = pysr.Philox(3).advance(row * 70 * blocks)
        few = pysr.Arithmetic("bfloat16", mode, rng=own)
        part = few.matmul(np.asfortranarray(a[row : row + 5]), b[:, ::-1][:, ::-1], **keywords)
        np.testing.assert_array_equal(part, whole[row : row + 5])
        inexact += few.counts.inexact
    assert arithmetic.counts.inexact == inexact
