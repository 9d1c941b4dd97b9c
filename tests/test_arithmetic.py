"""Every operation in every mode, on every path, against the exact model, bit for bit."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import random
import runpy
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import exact_model as em
import ml_dtypes
import numpy as np
import pytest
from cases import (
    CARRIERS,
    FORMATS,
    Case,
    bits_of,
    edge_patterns,
    floats_of,
    held_by,
    pattern_below,
    random_patterns,
    seed_of,
    to_library,
)

import pysr
from pysr._core import paths as core_paths

OPERATIONS = {"add": 2, "sub": 2, "mul": 2, "div": 2, "sqrt": 1, "fma": 3}
NAMES = (
    "float16",
    "bfloat16",
    "float8_e4m3fn",
    "float8_e5m2",
    "tf32",
    "Q3.8",
    "binary32",
    "binary64",
)
CASES = [
    (name, carrier, op) for name in NAMES for carrier in held_by(FORMATS[name]) for op in OPERATIONS
]
CONFIGURATIONS: list[tuple[str, dict[str, Any]]] = [
    *((mode, {}) for mode in em.DETERMINISTIC),
    ("sr", {}),
    ("sr", {"random_bits": 1, "variant": "b"}),
    ("sr", {"random_bits": 8}),
    ("sr", {"random_bits": 13, "variant": "c"}),
    ("sr", {"random_bits": 64, "variant": "c"}),
    ("sr_equal", {}),
    ("sr_eps", {"eps": 0.25}),
    ("sr_signed", {"eps": 0.1}),
]
PAIRS = 2_000
DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture
def every_path() -> Iterator[list[str]]:
    """The paths of this machine; the one in use is put back."""
    before = core_paths.path()
    yield core_paths.paths()
    core_paths.set_path(before)


def beside(fmt: em.Format, carrier: em.Format, pattern: int, rng: random.Random) -> int:
    """Another operand: one that cancels, a power of two, half a quantum, far below or anything."""
    sign = rng.getrandbits(1) << carrier.magnitude_bits
    x = em.carrier_value(carrier, pattern)
    kind = rng.randrange(8)
    if x.kind != "finite" or x.magnitude == 0 or kind > 4:
        return random_patterns(fmt, carrier, 1, rng.getrandbits(32))[0]
    if kind == 0:
        return pattern ^ 1 << carrier.magnitude_bits
    if kind == 1:
        magnitude = pattern & (1 << carrier.magnitude_bits) - 1
        return sign | min(max(magnitude + rng.randint(-3, 3), 0), carrier.max_code)
    if kind == 2:
        other = em.power_of_two(rng.randint(-12, 12))
    elif kind == 3:
        other = em.power_of_two(em.quantum_exponent(fmt, x.magnitude) - 1)
    else:
        other = x.magnitude * em.power_of_two(-rng.randint(20, 250))
    return sign | pattern_below(carrier, other)


def operand_patterns(name: str, carrier: str, op: str, n: int) -> list[list[int]]:
    """Edges, each with something beside it, and n random tuples, by operand."""
    fmt, held = FORMATS[name], CARRIERS[carrier]
    rng = random.Random(seed_of(name + carrier + op))
    edges = edge_patterns(fmt, held)
    first = edges + random_patterns(fmt, held, n, rng.getrandbits(32))
    columns = [first]
    for _ in range(OPERATIONS[op] - 1):
        columns.append(
            [
                rng.choice(edges) if rng.random() < 0.25 else beside(fmt, held, pattern, rng)
                for pattern in columns[-1]
            ]
        )
    if rng.random() < 0.5:
        columns.reverse()
    return columns


def words_and_refinement(mode: str, keywords: dict[str, Any], n: int) -> tuple[list[int], Any]:
    bits = keywords.get("random_bits", "exact")
    width = em.word_width(mode, bits)
    if width == 0:
        return [0] * n, None
    words = em.element_words(9, 0, 0, 0, n, width).tolist()
    if mode == "sr" and bits != "exact":
        words = [word >> (width - bits) for word in words]
    return words, lambda i: lambda level: em.refinement(9, 0, 0, i, level)


def decide(op: str, mode: str, keywords: dict[str, Any], n: int, directions: Any) -> Any:
    """The model's decision as a function of index and split."""
    words, refine = words_and_refinement(mode, keywords, n)
    if mode in em.DETERMINISTIC:
        return lambda i, s, fmt: em.deterministic_away(fmt, s, mode)
    if mode == "sr_equal":
        return lambda i, s, fmt: em.sr_equal_away(s.phi, words[i])
    if mode == "sr_eps":
        return lambda i, s, fmt: em.sr_eps_away(s.phi, keywords["eps"], words[i])
    if mode == "sr_signed":
        return lambda i, s, fmt: em.sr_signed_away(
            s.phi, s.negative, keywords["eps"], float(directions[i]), words[i]
        )
    bits, variant = keywords.get("random_bits", "exact"), keywords.get("variant", "a")
    if bits != "exact":
        return lambda i, s, fmt: em.sr_away(s.phi, bits, words[i], variant)
    if op in ("div", "sqrt"):
        return lambda i, s, fmt: em.endless_away(s.phi, words[i], refine(i))
    return lambda i, s, fmt: em.sr_exact_away(s.phi, words[i], refine(i))


def positive_nan(carrier: em.Format, patterns: Any) -> Any:
    """Every NaN of arithmetic is the positive one without payload."""
    magnitude = patterns & patterns.dtype.type((1 << carrier.magnitude_bits) - 1)
    nan = patterns.dtype.type(carrier.infinity_code + (1 << (carrier.precision - 2)))
    return np.where(magnitude > carrier.infinity_code, nan, patterns)


def check_operation(name: str, carrier: str, op: str, pairs: int, every_path: list[str]) -> None:
    fmt, held = FORMATS[name], CARRIERS[carrier]
    columns = operand_patterns(name, carrier, op, pairs)
    n = len(columns[0])
    operands = [floats_of(column, carrier) for column in columns]
    values = [[em.carrier_value(held, p) for p in column] for column in columns]
    rows = list(zip(*values, strict=True))
    cases = {
        downward: Case(
            fmt,
            carrier,
            columns[0],
            [em.operate(op, row, "rd" if downward else "") for row in rows],
        )
        for downward in (False, True)
    }
    rng = np.random.Generator(np.random.PCG64(n))
    directions = rng.choice([1.0, -2.0, 0.0, -0.0, np.inf], n).astype(carrier)
    rules = [rule for rule in ("inf", "nan", "saturate", "wrap") if possible(fmt, rule)]
    for k, (mode, keywords) in enumerate(CONFIGURATIONS):
        c = cases[mode == "rd"]
        away_of = decide(op, mode, keywords, n, directions)
        away = c.away(lambda i, s, away_of=away_of: away_of(i, s, fmt))
        rule = rules[k % len(rules)]
        expected, overflow = c.expected(mode, rule, away)
        keep = ~overflow
        expected = positive_nan(held, expected)
        for path in every_path:
            core_paths.set_path(path)
            arithmetic = pysr.Arithmetic(c.format, mode, rng=9, overflow=rule, **keywords)
            direction = {"direction": directions} if mode == "sr_signed" else {}
            got = getattr(arithmetic, op)(*operands, where=keep, **direction)
            wrong = np.flatnonzero(keep & (bits_of(got) != expected))
            assert not len(wrong), "; ".join(
                f"{path} {mode} {keywords} {rule} [{i}] {[float(x[i]).hex() for x in operands]}: "
                f"expected {int(expected[i]):#x}, got {int(bits_of(got)[i]):#x}"
                for i in wrong[:3]
            )


def possible(fmt: em.Format, rule: str) -> bool:
    if fmt.fixed:
        return rule in ("saturate", "wrap", "nan")
    return rule == "saturate" or (fmt.infinities if rule == "inf" else rule == "nan" and fmt.nan)


@pytest.mark.parametrize(("name", "carrier", "op"), CASES)
def test_exact(name: str, carrier: str, op: str, every_path: list[str]) -> None:
    """Edges and 2,000 random tuples in all modes."""
    check_operation(name, carrier, op, PAIRS, every_path)


@pytest.mark.exhaustive
@pytest.mark.parametrize(("name", "carrier", "op"), CASES)
def test_exact_long(name: str, carrier: str, op: str, every_path: list[str]) -> None:
    """100,000 tuples."""
    check_operation(name, carrier, op, 100_000, every_path)


# Beside the tie: float64 sums that fall on it, or on its other side, if rounded to float64 first.
DOUBLY_ROUNDED = [
    ("bfloat16", "add", (1.00390625, 2.0**-60), 1.0078125),
    ("bfloat16", "sub", (1.01171875, 2.0**-60), 1.0078125),
    ("float16", "add", (1.00048828125, 2.0**-70), 1.0009765625),
    ("float8_e4m3fn", "mul", (1.0 + 2.0**-27, 1.0625 - 2.0**-31), 1.125),
    ("float16", "fma", (1.0 + 2.0**-26, 1.0 + 2.0**-26, 2.0**-11 - 2.0**-25), 1.0009765625),
    ("float16", "div", (1.00048828125 + 2.0**-52, 1.0), 1.0009765625),
]


@pytest.mark.skipif(not DOCS.is_dir(), reason="needs the source tree")
def test_table_of_the_specification() -> None:
    """It is what its script makes of the library as it is; and the model agrees."""
    script = runpy.run_path(str(DOCS / "make_double_rounding.py"))
    assert script["text"]() in (DOCS / "specification.md").read_text()
    for name, op, operands in script["CASES"]:
        fmt = FORMATS[name]
        exact = em.operate(op, [em.finite(x < 0, abs(Fraction(x))) for x in operands], "rne")
        away = em.deterministic_away(fmt, em.split(fmt, exact), "rne")
        expected = em.round_value(fmt, exact, away, "rne", "saturate")
        once = getattr(pysr.Arithmetic(name, "rne"), op)(*operands)
        assert once == expected.magnitude
        dtype = getattr(ml_dtypes, name, None)
        if dtype is not None:  # a cast from float64 gets it wrong, as the text says
            assert float(np.float64(script["in_float64"](op, operands)).astype(dtype)) != once


@pytest.mark.parametrize(("fmt", "op", "operands", "expected"), DOUBLY_ROUNDED)
def test_no_double_rounding(
    fmt: str, op: str, operands: tuple[float, ...], expected: float
) -> None:
    """To nearest, on one element and in an array; and the model says so too."""
    values = [em.finite(x < 0, abs(Fraction(x))) for x in operands]
    exact = em.operate(op, values, "rne")
    model = FORMATS[fmt]
    away = em.deterministic_away(model, em.split(model, exact), "rne")
    assert em.round_value(model, exact, away, "rne", "saturate").magnitude == Fraction(expected)
    arithmetic = pysr.Arithmetic(fmt, "rne")
    assert getattr(arithmetic, op)(*operands) == expected
    many = getattr(arithmetic, op)(*(np.full(100, x) for x in operands))
    np.testing.assert_array_equal(many, expected)


def test_undecided_sums_are_refined() -> None:
    """With phi = 2^-40 only the refinement can go away, and it does so as often as the model."""
    n = 2**18
    arithmetic = pysr.Arithmetic("bfloat16", "sr", rng=12)
    got = arithmetic.add(np.ones(n), 2.0**-47 + 2.0**-24)
    words = em.element_words(12, 0, 0, 0, n, 16)
    phi = Fraction(1, 2**40) + Fraction(1, 2**17)
    for i in np.flatnonzero(words == 0xFFFF).tolist():
        away = em.sr_exact_away(phi, 0xFFFF, lambda level, i=i: em.refinement(12, 0, 0, i, level))
        assert (got[i] > 1) == away
    assert (got[words != 0xFFFF] == 1).all()


def layouts(x: np.ndarray) -> Iterator[np.ndarray]:
    """The same values in other layouts."""
    yield np.asfortranarray(x)
    yield x.astype(x.dtype.newbyteorder())
    wide = np.empty((2 * x.shape[0], x.shape[1]), x.dtype)
    wide[::2] = x
    yield wide[::2]
    yield x[::-1, ::-1].copy()[::-1, ::-1]


@pytest.mark.parametrize("mode", ["rne", "sr", "sr_eps"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layouts(mode: str, dtype: Any) -> None:
    """Neither operands' nor the result's layout matters; the operands are left as they are."""
    rng = np.random.Generator(np.random.PCG64(3))
    x, y = rng.normal(size=(2, 37, 23)).astype(dtype)
    expected = pysr.Arithmetic("float16", mode, rng=4, eps=0.1).add(x, y)
    for a, b in zip(layouts(x), layouts(y), strict=True):
        before = a.tobytes(), b.tobytes()
        got = pysr.Arithmetic("float16", mode, rng=4, eps=0.1).add(a, b)
        np.testing.assert_array_equal(got, expected)
        for out in layouts(np.zeros_like(x)):
            result = pysr.Arithmetic("float16", mode, rng=4, eps=0.1).add(a, b, out=out)
            assert result is out
            np.testing.assert_array_equal(out.astype(dtype), expected)
        assert (a.tobytes(), b.tobytes()) == before


def test_broadcasting() -> None:
    """As NumPy broadcasts, scalars and empty arrays included."""
    arithmetic = pysr.Arithmetic("tf32", "rne")
    x, y = np.arange(6.0).reshape(2, 3), np.array([0.25, 0.5, 0.75])
    np.testing.assert_array_equal(arithmetic.mul(x, y), x * y)
    np.testing.assert_array_equal(arithmetic.mul(x[:, :1], y), x[:, :1] * y)
    np.testing.assert_array_equal(arithmetic.fma(2, x, y[:, None, None]), 2 * x + y[:, None, None])
    assert arithmetic.add(np.zeros((3, 0)), 1.0).shape == (3, 0)
    result = arithmetic.add(np.float32(1), np.float32(2))
    assert isinstance(result, np.float32)
    assert isinstance(arithmetic.add(np.float32(1), 2), np.float64)
    assert arithmetic.add(np.float32([1]), np.float64(2)).dtype == np.float64


def test_overlap_and_where() -> None:
    """`out` may be or overlap an operand; elements that `where` leaves out stay, and count not."""
    x = np.random.Generator(np.random.PCG64(5)).normal(size=1000)
    expected = pysr.Arithmetic("bfloat16", rng=1).add(x[:-1], x[1:])
    y = x.copy()
    pysr.Arithmetic("bfloat16", rng=1).add(y[:-1], y[1:], out=y[1:])
    np.testing.assert_array_equal(y[1:], expected)
    y = x[:-1].copy()
    pysr.Arithmetic("bfloat16", rng=1).add(y, x[1:], out=y)
    np.testing.assert_array_equal(y, expected)
    where = np.arange(999) % 7 > 2
    out = np.full(999, np.nan)
    arithmetic = pysr.Arithmetic("bfloat16", rng=1)
    with_nan = np.where(where, x[:-1], np.nan)
    arithmetic.add(with_nan, x[1:], out=out, where=where)
    np.testing.assert_array_equal(out[where], expected[where])
    assert np.isnan(out[~where]).all()
    assert arithmetic.counts.inexact == where.sum()
    fresh = pysr.Arithmetic("bfloat16", rng=1).add(with_nan, x[1:], where=where)
    assert (fresh[~where] == 0).all()


def test_one_stream() -> None:
    """Operations draw one after the other from the stream, by whole blocks; some draw nothing."""
    stream = pysr.Philox(8)
    arithmetic = pysr.Arithmetic("bfloat16", rng=stream)
    assert arithmetic.stream is stream
    arithmetic.add(np.zeros(9), 1.0)
    assert stream.position == 2
    arithmetic.mul(np.zeros(0), 1.0)
    pysr.Arithmetic("bfloat16", "rne", rng=stream).add(1.0, 1.0)
    with pytest.raises(OverflowError, match=r"index 1: mul of x=1e\+30, y=1e\+30"):
        pysr.Arithmetic("bfloat16", rng=stream, overflow="raise").mul([1, 1e30], [1, 1e30])
    assert stream.position == 2


def test_formats_of_single_operations() -> None:
    """Products in one format, all else in another."""
    arithmetic = pysr.Arithmetic("float8_e4m3fn", "rne", formats={"mul": "float16"})
    assert arithmetic.mul(1.0009765625, 1.0) == 1.0009765625
    assert arithmetic.add(1.0009765625, 0.0) == 1.0
    with pytest.raises(ValueError, match="formats has 'multiply'"):
        pysr.Arithmetic("float16", formats={"multiply": "float16"})


def test_counts() -> None:
    """What is exact, infinite or a zero from the start does not count; totals can be reset."""
    arithmetic = pysr.Arithmetic("float8_e4m3fn", "rne")
    arithmetic.add([1.0, 448.0, np.inf, np.nan, 0.0], [1.0, 0.0, 1.0, 1.0, 0.0])
    assert repr(arithmetic.counts) == "Counts(overflow=0, underflow=0, nan=1, inexact=0)"
    arithmetic.counts.reset()
    arithmetic.mul([448.0, 0.001, 3.0, 1.0], [2.0, 0.001, 1.125, 1.0])
    arithmetic.div([0.0, 1.0], [0.0, 0.0])
    got = arithmetic.counts
    assert (got.overflow, got.underflow, got.nan, got.inexact) == (1, 1, 3, 2)
    twin = pickle.loads(pickle.dumps(got))
    assert repr(twin) == repr(got)


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))]
)
def test_copies_go_on_from_the_same_place(duplicate: Any) -> None:
    """With a stream and totals of their own."""
    arithmetic = pysr.Arithmetic("bfloat16", rng=3, formats={"mul": "float16"})
    x = np.linspace(1, 2, 500)
    arithmetic.add(x, 0.001)
    twin = duplicate(arithmetic)
    assert repr(twin) == repr(arithmetic)
    assert repr(twin.counts) == repr(arithmetic.counts)
    np.testing.assert_array_equal(arithmetic.add(x, x), twin.add(x, x))
    np.testing.assert_array_equal(arithmetic.mul(x, x), twin.mul(x, x))
    arithmetic.add(x, 0.001)
    assert twin.counts.inexact < arithmetic.counts.inexact


def square(arithmetic: pysr.Arithmetic, x: np.ndarray) -> np.ndarray:
    result: np.ndarray = arithmetic.mul(x, x)
    return result


def test_multiprocessing() -> None:
    """Another process gets the same bits."""
    arithmetic = pysr.Arithmetic("bfloat16", rng=3)
    x = np.linspace(1, 2, 500)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = pool.apply(square, (arithmetic, x))
    np.testing.assert_array_equal(there, square(arithmetic, x))


def test_threads() -> None:
    """Calls in several threads own their bits and lose no count."""
    arithmetic = pysr.Arithmetic("bfloat16", rng=3)
    x = np.linspace(1, 2, 4096) + 2.0**-20
    results: list[np.ndarray] = []

    def work() -> None:
        for _ in range(50):
            results.append(arithmetic.add(x, 0.001))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert arithmetic.counts.inexact == 200 * 4096
    assert arithmetic.stream.position == 200 * 512
    fresh = pysr.Arithmetic("bfloat16", rng=3)
    expected = {fresh.add(x, 0.001).tobytes() for _ in range(200)}
    assert {result.tobytes() for result in results} == expected


def test_errors() -> None:
    """Bad arguments are named, before anything is written."""
    arithmetic = pysr.Arithmetic("bfloat16", "rne")
    signed = pysr.Arithmetic("bfloat16", "sr_signed", eps=0.1)
    out = np.full(2, 7.0)
    overlapping = np.lib.stride_tricks.as_strided(out, (2,), (0,))
    masked = np.ma.array([True, True], mask=[0, 1])
    for call, error, match in (
        (lambda: pysr.Arithmetic("bfloat17"), ValueError, "bfloat17"),
        (lambda: pysr.Arithmetic("bfloat16", "up"), ValueError, "mode='up'"),
        (lambda: pysr.Arithmetic("bfloat16", overflow="wrap"), ValueError, "overflow='wrap'"),
        (lambda: pysr.Arithmetic("bfloat16", rng=-1), ValueError, "rng"),
        (lambda: pysr.Arithmetic("bfloat16", rng="seed"), TypeError, "rng"),
        (lambda: arithmetic.add([1, 2], [1, 2, 3], out=out), ValueError, r"x \(2,\), y \(3,\)"),
        *(
            (lambda f=f: pysr.Arithmetic("bfloat16", formats=f), error, match)
            for f, error, match in (
                (3, TypeError, "formats must be a mapping of operations to formats, not 3"),
                ("mul", TypeError, "formats must be a mapping .*, not 'mul'"),
                ({"mul": "nope"}, ValueError, r"formats\['mul'\]='nope' is neither a name"),
                ({"mul": 3}, TypeError, r"formats\['mul'\] must be a format, .*, not 3"),
                ({"nul": "Q3.8"}, ValueError, "formats has 'nul': not one of"),
            )
        ),
        *(
            (lambda n=n, k=k: getattr(arithmetic, n)(*[1] * k, foo=3), TypeError, rf"\.{n}\(\)")
            for n, k in (("round", 1), ("add", 2), ("sub", 2), ("div", 2), ("sqrt", 1), ("fma", 3))
        ),
        *(
            (lambda n=n, k=k: getattr(signed, n)(*[[1, 2]] * k, direction=[1, 2, 3]), error, match)
            for error in (ValueError,)
            for n, k, match in (
                ("sqrt", 1, r"x \(2,\), direction \(3,\)"),
                ("add", 2, r"x \(2,\), y \(2,\), direction \(3,\)"),
                ("fma", 3, r"z \(2,\), direction \(3,\)"),
            )
        ),
        (lambda: arithmetic.add([1, 2], 1, out=overlapping), ValueError, "elements of out overlap"),
        (lambda: arithmetic.add([1, 2], 1, where=masked), TypeError, "where is a masked array"),
        (lambda: arithmetic.add([1, 2], 1j, out=out), TypeError, "y must hold real numbers"),
        (lambda: arithmetic.add([1, 2], "1", out=out), TypeError, "y"),
        (lambda: arithmetic.add([1, 2], 2**70 + 1, out=out), ValueError, "y="),
        (lambda: arithmetic.add([1, 2], 1, out=np.zeros(3)), ValueError, "out has shape"),
        (lambda: arithmetic.add([1, 2], 1, out=[0, 0]), TypeError, "out must be an array"),
        (lambda: arithmetic.add([1, 2], 1, out=np.zeros(2, "f4")), TypeError, "out has dtype"),
        (lambda: arithmetic.add([1, 2], 1, where=[1, 0], out=out), TypeError, "where must hold"),
        (lambda: arithmetic.add([1, 2], 1, direction=1.0, out=out), ValueError, "direction given"),
        (lambda: pysr.Arithmetic("bfloat16", "sr_signed").add(1.0, 1.0), ValueError, "direction"),
        (
            lambda: pysr.Arithmetic("bfloat16", "sr_signed").add([1, 2], 1, direction=[1, np.nan]),
            ValueError,
            "index 1: direction=nan",
        ),
        (
            lambda: pysr.Arithmetic("binary64").add(np.float32(1), np.float32(1)),
            ValueError,
            "carrier",
        ),
    ):
        with pytest.raises(error, match=match):
            call()
    np.testing.assert_array_equal(out, 7.0)


def test_as_many_axes_as_arrays_have() -> None:
    """NumPy's `broadcast_shapes` stops at 32."""
    arithmetic = pysr.Arithmetic("bfloat16", "rne")
    x, y = np.full((1,) * 62 + (2, 1), 1.5), np.full((3,), 2.0)
    for got in (
        arithmetic.add(x, y),
        arithmetic.add(x, np.full_like(x, 2.0), where=np.ones(3, bool)),
        arithmetic.fma(x, 1.0, y),
        pysr.round(x, "bfloat16", "rne", where=[True] * 3) + 2.0,
        pysr.round(x + 2, "bfloat16", "sr_signed", direction=y),
        (arithmetic.array(x) + y).values,
        np.add(arithmetic.array(x), y, out=arithmetic.array(np.zeros_like(x + y))).values,
        arithmetic.matmul(np.full_like(x, 1.75), np.full((1, 3), 2.0)),
    ):
        np.testing.assert_array_equal(got, x + y, strict=True)
    with pytest.raises(ValueError, match=r"x \(1, 1, .*, y \(3, 3\)"):
        arithmetic.add(x, np.ones((3, 3)))


def test_format_without_nan_or_zero() -> None:
    """NaN in arithmetic is a value like in `pysr.round`, whatever the format has codes for."""
    assert np.isnan(pysr.Arithmetic("Q3.8", "rne").sub(np.inf, np.inf))
    assert np.isnan(pysr.Arithmetic("float8_e8m0fnu", "rne").sub(1.0, 1.0))
    assert not np.signbit(pysr.Arithmetic("float16", "rne").add(-np.nan, 1.0))
    unsigned = pysr.Arithmetic("UQ0.8", "rne")
    assert unsigned.sub(0.25, 0.5) == 0.0
    assert to_library(FORMATS["Q3.8"]) == pysr.format("Q3.8")
