"""Sums, products and inner products on every path, against the exact model, bit for bit."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
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
    pattern_below,
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
    ("sr", {"random_bits": 64}),
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
) -> Call:
    """A sum or product of n terms for each result."""
    terms, order, block = what
    fmt, op = FORMATS[name], "add" if "sum" in terms else "mul"
    x = Terms(fmt, carrier, results, n, rng, manner.rule)
    totals = em.Totals()
    expect = {}
    running = terms.startswith("cum")
    for o in some_of(results, n, rng):
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
            )
        ]
        for o in some_of(results, 2 * length, rng)
    }
    keywords: dict[str, Any] = {"accumulate": accumulate, "order": order}
    if block:
        keywords["block"] = block
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
def test_reductions(name: str, carrier: str, every_path: list[str]) -> None:
    for call in reductions(name, carrier, 5):
        check(call, every_path)


@pytest.mark.parametrize(("name", "carrier"), CASES)
def test_products(name: str, carrier: str, every_path: list[str]) -> None:
    for call in products(name, carrier, 5):
        check(call, every_path)


@pytest.mark.exhaustive
@pytest.mark.parametrize(("name", "carrier"), CASES)
def test_reductions_long(name: str, carrier: str, every_path: list[str]) -> None:
    for call in reductions(name, carrier, 200):
        check(call, every_path)


@pytest.mark.exhaustive
@pytest.mark.parametrize(("name", "carrier"), CASES)
def test_products_long(name: str, carrier: str, every_path: list[str]) -> None:
    for call in products(name, carrier, 200):
        check(call, every_path)
