"""Ufuncs: operands of any layout, reductions in order, every element by its index alone."""

from __future__ import annotations

import copy
import gc
import multiprocessing
import pickle
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import exact_model as em
import ml_dtypes
import numpy as np
import pytest
from cases import CARRIERS, FORMATS, PATTERN_TYPE, Case, bits_of, floats_of, held_by
from test_arithmetic import CONFIGURATIONS, decide, operand_patterns, positive_nan, possible

import pysr
from pysr._core import paths as core_paths

OPERATIONS = {"round": 1, "add": 2, "sub": 2, "mul": 2, "div": 2, "sqrt": 1, "fma": 3}
MODES: list[tuple[str, dict[str, Any]]] = [
    ("rne", {}),
    ("ru", {}),
    ("sr", {}),
    ("sr", {"random_bits": 5, "variant": "b"}),
    ("sr_equal", {}),
    ("sr_eps", {"eps": 0.25}),
    ("sr_signed", {"eps": 0.1}),
]
SEED = 9


@pytest.fixture
def every_path() -> Iterator[list[str]]:
    """The paths of this machine; the one in use is put back."""
    before = core_paths.path()
    yield core_paths.paths()
    core_paths.set_path(before)


def expected_of(
    op: str, fmt: Any, mode: str, keywords: dict[str, Any], values: list[Any], direction: Any
) -> Any:
    """What the other surface gives: elements in C order, indices from 0."""
    more = {} if direction is None else {"direction": direction}
    if op == "round":
        return pysr.round(values[0], fmt, mode, rng=SEED, **keywords, **more)
    return getattr(pysr.Arithmetic(fmt, mode, rng=SEED, **keywords), op)(*values, **more)


def indices(shape: tuple[int, ...], dtype: Any = np.uint64) -> Any:
    return np.arange(int(np.prod(shape)), dtype=dtype).reshape(shape)


def same(got: Any, expected: Any, note: str = "") -> None:
    """The same bits and type."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.dtype == expected.dtype, note
    assert got.shape == expected.shape, note
    unsigned = f"u{got.itemsize}"
    np.testing.assert_array_equal(
        np.ascontiguousarray(got).view(unsigned),
        np.ascontiguousarray(expected).view(unsigned),
        err_msg=note,
    )


def drawn(shape: tuple[int, ...], count: int, dtype: Any, seed: int = 1) -> list[Any]:
    """So many arrays of ordinary values, with a few special ones."""
    rng = np.random.Generator(np.random.PCG64(seed))
    arrays = []
    for _ in range(count):
        x = np.asarray(rng.normal(size=shape) * 2.0 ** rng.integers(-3, 4, shape), dtype)
        special = rng.random(shape) < 0.02
        x[special] = rng.choice([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e30], shape)[special]
        arrays.append(x)
    return arrays


# ---- values --------------------------------------------------------------------------------------

CASES = [
    (name, carrier, op)
    for name in ("bfloat16", "float8_e4m3fn", "Q3.8", "binary64")
    for carrier in held_by(FORMATS[name])
    for op in OPERATIONS
    if op != "round"
]


@pytest.mark.parametrize(("name", "carrier", "op"), CASES)
def test_exact(name: str, carrier: str, op: str, every_path: list[str]) -> None:
    """Some edges and random tuples, in all modes and on all paths, against the model."""
    fmt, held = FORMATS[name], CARRIERS[carrier]
    columns = [column[::3] for column in operand_patterns(name, carrier, op, 600)]
    n = len(columns[0])
    operands = [floats_of(column, carrier) for column in columns]
    rows = list(
        zip(*[[em.carrier_value(held, p) for p in column] for column in columns], strict=True)
    )
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
    directions = rng.choice([1.0, -2.0, 0.0, -0.0, np.inf, 1e-300], n)
    rules = [rule for rule in ("inf", "nan", "saturate", "wrap") if possible(fmt, rule)]
    for k, (mode, keywords) in enumerate(CONFIGURATIONS):
        c = cases[mode == "rd"]
        away_of = decide(op, mode, keywords, n, directions)
        away = c.away(lambda i, s, away_of=away_of: away_of(i, s, fmt))
        rule = rules[k % len(rules)]
        expected, overflow = c.expected(mode, rule, away)
        keep = ~overflow
        expected = positive_nan(held, expected)
        more = [directions] if mode == "sr_signed" else []
        if mode not in em.DETERMINISTIC:
            more.append(np.arange(n))
        for path in every_path:
            core_paths.set_path(path)
            f = pysr.ufunc(op, c.format, mode, seed=SEED, overflow=rule, **keywords)
            out = np.zeros(n, carrier)
            f(*operands, *more, out=out, where=keep)
            wrong = np.flatnonzero(keep & (bits_of(out) != expected))
            assert not len(wrong), f"{path} {mode} {keywords} {rule} {wrong[:5]}"
            if not overflow.any():
                same(f(*operands, *more), out, f"{path} {mode}")
                rows_of = pysr.gufunc(op, c.format, mode, seed=SEED, overflow=rule, **keywords)
                starts = [] if mode in em.DETERMINISTIC else [0]
                same(rows_of(*operands, *more[: mode == "sr_signed"], *starts), out, f"{path} rows")
        if mode in em.DETERMINISTIC:  # few elements go another way
            kept = [operand[keep] for operand in operands]
            pieces = [f(*(x[at : at + 7] for x in kept)) for at in range(0, int(keep.sum()), 7)]
            same(np.concatenate(pieces), out[keep], f"{mode} few")


@pytest.mark.parametrize("fmt", ["bfloat16", "Q3.8", "float8_e8m0fnu", "binary32"])
@pytest.mark.parametrize(("mode", "keywords"), MODES)
def test_round(fmt: str, mode: str, keywords: dict[str, Any], every_path: list[str]) -> None:
    """As `pysr.round`, with the payloads of NaN."""
    rng = np.random.Generator(np.random.PCG64(4))
    for dtype in (np.float32, np.float64):
        unsigned = PATTERN_TYPE[np.dtype(dtype).name]
        x = rng.integers(0, 2 ** (8 * np.dtype(dtype).itemsize), 3000, dtype=unsigned).view(dtype)
        x[::2] = drawn((1500,), 1, dtype)[0]
        direction = np.resize([1.0, -1.0, 0.0], 3000) if mode == "sr_signed" else None
        expected = expected_of("round", fmt, mode, keywords, [x], direction)
        for path in every_path:
            core_paths.set_path(path)
            f = pysr.ufunc("round", fmt, mode, seed=SEED, **keywords)
            more = [] if direction is None else [direction]
            if mode.startswith("sr"):
                more.append(indices(x.shape))
            same(f(x, *more), expected, path)
            for n in (1, 2, 7, 8, 9):
                same(f(x[:n], *(operand[:n] for operand in more)), expected[:n], path)


# ---- layouts -------------------------------------------------------------------------------------


def layouts(x: Any) -> Iterator[tuple[str, Any]]:
    """The same values, laid out otherwise."""
    yield "C", x.copy()
    yield "Fortran", np.asfortranarray(x)
    yield "reversed", np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1]
    wide = np.zeros((2 * x.shape[0], 3 * x.shape[1]), x.dtype)
    wide[::2, ::3] = x
    yield "apart", wide[::2, ::3]
    yield "other byte order", x.astype(x.dtype.newbyteorder())
    unaligned = np.zeros(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    unaligned[...] = x
    yield "unaligned", unaligned
    records = np.zeros(x.shape, [("a", "i1"), ("x", x.dtype)])
    records["x"] = x
    yield "in records", records["x"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("op", OPERATIONS)
@pytest.mark.parametrize(("mode", "keywords"), MODES)
def test_layouts(op: str, mode: str, keywords: dict[str, Any], dtype: Any) -> None:
    """The layout of operands, index and result cannot be seen in results."""
    shape = (23, 41)
    *values, v = drawn(shape, OPERATIONS[op] + 1, dtype)
    direction = np.nan_to_num(v) if mode == "sr_signed" else None
    expected = expected_of(op, "bfloat16", mode, keywords, values, direction)
    f = pysr.ufunc(op, "bfloat16", mode, seed=SEED, **keywords)
    more = [] if direction is None else [direction]
    indexed = mode.startswith("sr")
    outs = [np.zeros(shape, dtype), np.zeros(shape, dtype, order="F"), np.zeros((23, 82), dtype)]
    operands = [*values, *more, *([indices(shape)] if indexed else [])]
    for turn, laid_out in enumerate(zip(*(layouts(x) for x in operands), strict=True)):
        names, arrays = zip(*laid_out, strict=True)
        before = [x.tobytes() for x in arrays]
        same(f(*arrays), expected, names[0])
        out = outs[turn % 3][:, ::-1][:, :41]
        assert f(*arrays, out=out) is out
        same(out, expected, names[0])
        for order in "CF":
            same(f(*arrays, order=order), expected, names[0])
        assert [x.tobytes() for x in arrays] == before
    kinds = [list(layouts(x)) for x in operands]
    for turn in range(len(kinds[0])):  # one operand's layout beside another's
        mixed = [kind[(turn + 3 * k) % len(kind)][1] for k, kind in enumerate(kinds)]
        same(f(*mixed), expected, str(turn))
    if indexed:
        for index in (
            indices(shape, np.int64),
            indices(shape, np.uint32),
            indices(shape, np.int16),
        ):
            same(f(*values, *more, index), expected)


@pytest.mark.parametrize("op", OPERATIONS)
@pytest.mark.parametrize("mode", ["rne", "sr"])
def test_where_and_overlap(op: str, mode: str) -> None:
    """`where` leaves the others alone; `out` may be an operand, or overlap one, either way."""
    x, y, z = drawn((1203,), 3, np.float64)
    f = pysr.ufunc(op, "float16", mode, seed=SEED)
    count = OPERATIONS[op]

    def values(first: Any) -> list[Any]:
        return [first, y[: len(first)], z[: len(first)]][:count]

    index = [np.arange(1200)] if mode == "sr" else []
    expected = expected_of(op, "float16", mode, {}, values(x[:1200]), None)
    where = np.arange(1200) % 5 > 1
    out = np.full(1200, 7.0)
    f(*values(x[:1200]), *index, out=out, where=where)
    same(out, np.where(where, expected, 7.0))
    for shift in range(4):
        for backward in (False, True):
            room = x.copy()
            first, out = room[shift : shift + 1200], room[:1200]
            if backward:
                first, out = out, first
            reference = expected_of(op, "float16", mode, {}, values(first.copy()), None)
            f(*values(first), *index, out=out)
            same(out, reference, f"{shift} {backward}")
            room = x.copy()
            first = room[shift : shift + 1200][::-1]
            reference = expected_of(op, "float16", mode, {}, values(first.copy()), None)
            f(*values(first), *index, out=room[:1200])
            same(room[:1200], reference, f"{shift} reversed")
    if mode == "sr":  # the index lies in the result's memory
        room = np.arange(1200, dtype=np.uint64)
        f(*values(x[:1200]), room, out=room.view(np.float64))
        same(room.view(np.float64), expected)


@pytest.mark.parametrize("mode", ["rz", "sr"])
def test_broadcasting(mode: str) -> None:
    """Axes of stride 0, scalars, nothing at all."""
    f = pysr.ufunc("fma", "Q3.8", mode, seed=SEED)
    x, y, z = np.linspace(-1, 1, 7)[:, None], np.linspace(0, 2, 50), np.float64(0.3)
    index = [indices((7, 50))] if mode == "sr" else []
    expected = expected_of("fma", "Q3.8", mode, {}, [x, y, z], None)
    same(f(x, y, z, *index), expected)
    turned = [i.T for i in index]
    same(f(x.T, y[:, None], z, *turned), expected.T)
    for shape in ((0,), (3, 0), (0, 4)):
        empty = f(np.zeros(shape), 1.0, 2.0, *(i[:0, :1].reshape(shape) for i in index))
        assert empty.shape == shape
    one = f(x[0, 0], y[3], z, *(i[0, 3] for i in index))
    assert isinstance(one, np.float64)
    assert one == expected[0, 3]
    zero = np.array(x[0, 0])
    out = np.zeros(())
    f(zero, y[3], z, *(i[0, 3] for i in index), out=out)
    assert out == expected[0, 3]
    if index:  # one index for all: one random word for all
        together = f(np.full(2000, 0.3001), 1.0, 0.0, 5)
        assert len(np.unique(together)) == 1


# ---- indices -------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", ["round", "mul"])
@pytest.mark.parametrize(("mode", "keywords"), [case for case in MODES if case[0][:2] == "sr"])
def test_index(op: str, mode: str, keywords: dict[str, Any]) -> None:
    """An element and its index go together: permuted, sliced, repeated, with holes between."""
    n = 3000
    *values, v = drawn((n,), OPERATIONS[op] + 1, np.float32)
    direction = [np.nan_to_num(v)] if mode == "sr_signed" else []
    f = pysr.ufunc(op, "float8_e4m3fn", mode, seed=SEED, **keywords)
    index = np.arange(n)
    expected = f(*values, *direction, index)
    same(
        expected,
        expected_of(op, "float8_e4m3fn", mode, keywords, values, *(direction or [None])),
    )
    rng = np.random.Generator(np.random.PCG64(3))
    chosen = [
        rng.permutation(n),
        np.sort(rng.choice(n, 1000, replace=False)),
        index[::-1],
        index[17:1500:3],
        np.repeat(index[:70], 3),
        np.concatenate([index[100:1230], index[5:905], index[:1]]),
        np.concatenate([index[:100], index[100 + 1280 : 300 + 1280]]),
        *(index[k : k + 200] for k in range(9)),
    ]
    for pick in chosen:
        for kind in (np.int64, np.uint64):
            picked = [x[pick] for x in (*values, *direction)]
            same(f(*picked, index[pick].astype(kind)), expected[pick])


def test_index_is_absolute() -> None:
    """Words and refinements of the whole range of indices, as `offset` and streams have them."""
    n = 400
    x = np.full(n, 1 + 2.0**-7 * (2.0**-9 + 2.0**-40))
    for first in (0, 5, 2**32 - 7, 2**63 - 200, 2**64 - n):
        index = np.arange(n, dtype=np.uint64) + np.uint64(first)
        expected = pysr.round(x, "bfloat16", rng=3, offset=first)
        same(pysr.ufunc("round", "bfloat16", seed=3)(x, index), expected)
        same(pysr.gufunc("round", "bfloat16", seed=3)(x, np.uint64(first)), expected)
    stream = pysr.Philox(3, 2**40 + 5)
    expected = pysr.round(x, "bfloat16", rng=stream)
    f = pysr.ufunc("round", "bfloat16", seed=3, stream=2**40 + 5)
    same(f(x, np.arange(n)), expected)
    assert not (f(x, np.arange(n)) == pysr.ufunc("round", "bfloat16", seed=3)(x, index)).all()
    far = np.arange(n) + 2**40 * (np.arange(n) // 100)
    parts = [pysr.round(x[:100], "bfloat16", rng=3, offset=int(far[k])) for k in range(0, n, 100)]
    same(pysr.ufunc("round", "bfloat16", seed=3)(x, far), np.concatenate(parts))
    wrapped = np.arange(-200, 200, dtype=np.int64).view(np.uint64)  # 2**64 - 200 ... 199
    same(
        pysr.ufunc("round", "bfloat16", seed=3)(x, wrapped)[200:],
        pysr.round(x, "bfloat16", rng=3)[:200],
    )


def test_refinement() -> None:
    """Where only the refinement decides, it is the element's own."""
    n = 2**20
    x = np.full(n, 1 + 2.0**-7 * (2.0**-16 + 2.0**-17))
    words = em.element_words(12, 0, 0, 0, n, 16)
    index = np.flatnonzero(words == 0xFFFE)
    got = pysr.ufunc("round", "bfloat16", seed=12)(x[index], index)
    phi = em.Fraction(2**-16 + 2**-17)
    for i, y in zip(index.tolist(), got.tolist(), strict=True):
        refine = lambda level, i=i: em.refinement(12, 0, 0, i, level)  # noqa: E731
        assert (y > 1) == em.sr_exact_away(phi, int(words[i]), refine)
    assert 0 < (got > 1).sum() < len(got)


# ---- types ---------------------------------------------------------------------------------------


def test_is_a_ufunc() -> None:
    """With a name, a docstring and its loops to see."""
    f = pysr.ufunc("add", "bfloat16", seed=7)
    assert isinstance(f, np.ufunc)
    assert f.__name__ == "add_bfloat16_sr"
    assert (f.nin, f.nout, f.identity, f.signature) == (3, 1, None, None)
    assert "x + y, rounded once to bfloat16" in f.__doc__
    assert "seed 7, stream 0" in f.__doc__
    assert {"ffL->f", "ddL->d"} <= {t.replace("Q", "L") for t in f.types}
    assert pysr.ufunc("fma", "Q3.8", "sr_signed").nin == 5
    assert pysr.ufunc("round", "binary64", "rne").types == ["d->d", f"{np.dtype(np.int64).char}->d"]
    g = pysr.gufunc("fma", "Q3.8", "sr_signed")
    assert g.signature == "(n),(n),(n),(n),()->(n)"
    assert pysr.gufunc("sqrt", "Q3.8", "rne").signature == "(n)->(n)"
    assert "first element of each row" in g.__doc__
    unnamed = pysr.ufunc("sub", pysr.FloatFormat(7, 9), "rz")
    assert unnamed.__name__ == "sub_FloatFormat_rz"


TYPES = [
    (np.float32, np.float32, np.float32),
    (np.float32, np.float64, np.float64),
    (np.float16, np.float16, np.float32),
    (np.float16, np.float32, np.float32),
    (np.int8, np.float32, np.float32),
    (np.uint16, np.int16, np.float32),
    (np.bool_, np.float32, np.float32),
    (np.int32, np.float32, np.float64),
    (np.uint32, np.float64, np.float64),
    (np.int64, np.float32, np.float64),
    (np.int64, np.int64, np.float64),
    (np.longlong, np.int_, np.float64),
    (ml_dtypes.bfloat16, np.float32, np.float32),
    (ml_dtypes.float8_e4m3fn, ml_dtypes.bfloat16, np.float32),
    (ml_dtypes.float8_e5m2, np.float64, np.float64),
]


@pytest.mark.parametrize(("first", "second", "result"), TYPES)
@pytest.mark.parametrize("mode", ["rne", "sr"])
def test_types(first: Any, second: Any, result: Any, mode: str) -> None:
    """Every type that a carrier holds comes in exactly."""
    f = pysr.ufunc("add", "bfloat16", mode, seed=SEED)
    x, y = np.arange(1, 41).astype(first), np.arange(2, 82, 2).astype(second)
    index = [np.arange(40)] if mode == "sr" else []
    expected = expected_of("add", "bfloat16", mode, {}, [x.astype(float), y.astype(float)], None)
    same(f(x, y, *index), expected.astype(result))
    same(f(y, x, *index), expected.astype(result))
    same(f(x[:1], y[:1], *(i[:1] for i in index)), expected[:1].astype(result))


def test_type_of_the_result() -> None:
    """float64 where float32 does not hold the format, where asked for, and of Python's numbers."""
    one = np.float32([1])
    f = pysr.ufunc("mul", "bfloat16", "rne")
    assert f(one, one).dtype == np.float32
    assert f(one, 0.1).dtype == np.float64
    assert f(one, 2).dtype == np.float64
    assert f(2, 3) == 6.0
    assert f(one, np.float32(0.1)).dtype == np.float32
    assert f(one, one, dtype=np.float64).dtype == np.float64
    assert f(one, one, out=np.zeros(1)).dtype == np.float64
    assert pysr.ufunc("mul", "binary64", "rne")(one, one).dtype == np.float64
    assert pysr.ufunc("mul", "Q15.16", "rne").reduce(np.float32([2, 3])) == np.float64(6)
    exact = pysr.ufunc("add", "tf32", "rne")(np.float32(1), 0.0004882812501)
    assert exact == pysr.Arithmetic("tf32", "rne").add(1.0, 0.0004882812501) == 1.0009765625


@pytest.mark.parametrize("large", [2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**60 + 2**5])
def test_integers_have_to_be_exact(large: int) -> None:
    """Those of 64 bits are looked at one by one."""
    fine = np.array([0, 1, -1, 2**53, -(2**53), 2**62, -(2**63), 2**60 + 2**8, 3 << 55])
    f = pysr.ufunc("add", "binary64", "rne")
    same(f(fine, 0.0), fine.astype(np.float64))
    same(f(0.0, fine), fine.astype(np.float64))
    with pytest.raises(ValueError, match=f"y={large} is not exact in float64"):
        f(1.0, large)
    many = np.zeros(2000, np.int64)
    many[1500] = large
    with pytest.raises(ValueError, match=f"x={large} is not exact in float64"):
        f(many[::-1], 1.0)
    with pytest.raises(ValueError, match=f"index 1500: x={large} is not exact"):
        pysr.ufunc("round", "bfloat16")(many, np.arange(2000))
    with pytest.raises(ValueError, match=f"x={large} is not exact"):
        pysr.gufunc("round", "bfloat16")(many, 0)
    with pytest.raises(TypeError, match="x must be converted first to a type that float64 holds"):
        f.reduce(many)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            np.uint64(3),
            "y must be converted first to a type that float64 or int64 holds, not uint64",
        ),
        (1j, "y must hold real numbers of at most 64 bits, not (a Python complex|complex128)"),
        (np.complex64(1), "y must hold real numbers of at most 64 bits, not complex64"),
        (np.longdouble(1), "y must hold real numbers of at most 64 bits, not"),
        ("1", "y must hold real numbers of at most 64 bits"),
        (None, "y must hold real numbers of at most 64 bits, not object"),
        (np.datetime64(1, "s"), "y must hold real numbers of at most 64 bits, not datetime64"),
    ],
)
def test_refused_types(value: Any, message: str) -> None:
    """By name and type, in elements and in rows."""
    for mode, index in (("rne", []), ("sr", [0])):
        with pytest.raises(TypeError, match=f"add_bfloat16_{mode}: {message}"):
            pysr.ufunc("add", "bfloat16", mode)(np.ones(3), value, *index)
        with pytest.raises(TypeError, match=message):
            pysr.gufunc("add", "bfloat16", mode)(np.ones(3), [value] * 3, *index)


def test_refused_dtypes() -> None:
    """Neither narrower operands nor another result than a carrier."""
    f = pysr.ufunc("add", "bfloat16", "rne")
    x = np.ones(3)
    with pytest.raises(TypeError, match="dtype must be float64, not float32"):
        f(x, x, dtype=np.float32)
    with pytest.raises(TypeError, match="dtype must be float32 or float64, not float16"):
        f(x.astype("f4"), x.astype("f4"), dtype=np.float16)
    with pytest.raises(TypeError, match="dtype must be float64, not float32"):
        pysr.ufunc("add", "binary64", "rne")(x.astype("f4"), x.astype("f4"), dtype="f4")
    for index in (0.0, np.zeros(3), True, np.array(["a"]), 1j):
        with pytest.raises(TypeError, match="index must hold integers"):
            pysr.ufunc("sqrt", "bfloat16")(x, index)


# ---- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [pysr.ufunc, pysr.gufunc])
def test_refused_arguments(make: Callable[..., np.ufunc]) -> None:
    """When a ufunc is made."""
    with pytest.raises(ValueError, match="op='pow' is not one of 'round', 'add'"):
        make("pow", "bfloat16")
    with pytest.raises(TypeError, match="op must be a string"):
        make(np.add, "bfloat16")
    with pytest.raises(ValueError, match="fmt='bf16'"):
        make("add", "bf16")
    with pytest.raises(ValueError, match="mode='nearest'"):
        make("add", "bfloat16", "nearest")
    for name, value in (("seed", -1), ("seed", 2**64), ("stream", 2**48), ("random_bits", 65)):
        with pytest.raises(ValueError, match=f"{name}={value} is outside"):
            make("add", "bfloat16", **{name: value})
    for name, unfit in (("seed", 1.0), ("stream", None), ("random_bits", 2.5), ("eps", "a")):
        with pytest.raises(TypeError, match=name):
            make("add", "bfloat16", **{name: unfit})
    with pytest.raises(ValueError, match=r"eps=2\.0 is outside"):
        make("add", "bfloat16", eps=2.0)
    with pytest.raises(ValueError, match="variant='d'"):
        make("add", "bfloat16", variant="d")
    with pytest.raises(ValueError, match="overflow='wrap' is a rule that bfloat16 cannot"):
        make("add", "bfloat16", overflow="wrap")
    for fmt, rule in (("Q3.8", "raise"), (pysr.FixedFormat(3, 8, overflow="raise"), None)):
        with pytest.raises(ValueError, match="overflow='raise' promises that nothing is written"):
            make("add", fmt, overflow=rule)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_refused_elements(dtype: Any) -> None:
    """A loop stops at the element, and says which operand it was, with or without the GIL."""
    x = np.ones(5000, dtype)
    index = np.arange(5000)
    f = pysr.ufunc("add", "Q3.8", seed=1)
    bad = index.copy()
    bad[4321] = -77
    for operands in ((x, x, bad), (x[::-1], x, bad), (x[:1], x[:1], bad[4321:4322])):
        out = np.full(len(operands[0]), 9.0, dtype)
        with pytest.raises(ValueError, match=r"^index=-77 is negative$"):
            f(*operands, out=out)
        assert out[-1] == 9
    with pytest.raises(ValueError, match="index=-1 is negative"):
        f(1.0, 1.0, -1)
    beyond = np.arange(2**63 - 100, 2**63 + 100, dtype=np.uint64)
    f(x[:200], x[:200], beyond)
    with pytest.raises(ValueError, match=f"index={-(2**63)} is negative"):
        f(x[:200], x[:200], beyond.view(np.int64))
    with pytest.raises(ValueError, match="index=-3 is negative"):
        pysr.gufunc("sqrt", "Q3.8")(x.reshape(50, 100), np.arange(50) - 3)
    with pytest.raises(ValueError, match=r"index=18446744073709551612 with 5 elements: .* 2\*\*64"):
        pysr.gufunc("sqrt", "Q3.8")(x[:5], np.uint64(2**64 - 4))

    v = x.copy()
    v[4000] = np.nan
    for direction in (v, v.astype(np.float32), v.astype(np.float64), v.astype(np.float16)):
        for make, at in ((pysr.ufunc, index), (pysr.gufunc, 0)):
            signed = make("round", "Q3.8", "sr_signed", eps=0.1)
            with pytest.raises(ValueError, match=r"^index 4000: direction=nan$"):
                signed(x, direction, at)

    y = x.copy()
    y[3000] = np.inf
    for mode, more in (("sr", [index]), ("rne", [])):
        wrap = pysr.ufunc("add", "Q3.8", mode, overflow="wrap")
        where = "index 3000: " if more else ""
        message = rf"^{where}add of x=1\.0, y=inf is infinite \(overflow='wrap'\)$"
        with pytest.raises(OverflowError, match=message):
            wrap(x, y, *more)
        with pytest.raises(OverflowError, match=r"x=1\.0, y=inf is infinite"):
            wrap(x[:1], y[3000:3001], *(i[:1] for i in more))
    with pytest.raises(OverflowError, match="x=inf is infinite"):
        pysr.gufunc("round", "Q3.8", "rne", overflow="wrap")(y)
    with pytest.raises(OverflowError, match="y=inf is infinite"):
        pysr.ufunc("add", "Q3.8", "rne", overflow="wrap").reduce(y)
    same(
        pysr.ufunc("add", "Q3.8", "rz", overflow="wrap")(x * 7, x * 3),
        pysr.Arithmetic("Q3.8", "rz", overflow="wrap").add(x * 7, x * 3),
    )


@pytest.mark.parametrize("mode", ["rne", "sr"])
def test_no_floating_point_errors(mode: str) -> None:
    """NaN, infinities, overflow and underflow give no warnings, conversions included."""
    values = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e30, 1e-30, 3.0, -1.0, 65504.0])
    x, y = (z.ravel() for z in np.meshgrid(values, values))
    index = [np.arange(len(x))] if mode == "sr" else []
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        for fmt in ("bfloat16", "float8_e4m3fn", "Q3.8", "float16"):
            for op, count in OPERATIONS.items():
                f = pysr.ufunc(op, fmt, mode)
                for dtype in (np.float32, np.float64, ">f4", ">f8", ml_dtypes.bfloat16):
                    with np.errstate(all="ignore"):
                        operands = [z.astype(dtype) for z in (x, y, x[::-1])[:count]]
                    f(*operands, *index)
                    f(*(z[3:4] for z in operands), *(i[3:4] for i in index))
                if count == 2 and mode == "rne":
                    f.reduce(operands[0].astype(np.float32))


# ---- reductions ----------------------------------------------------------------------------------

REDUCED = [
    ("bfloat16", "rne"),
    ("bfloat16", "ro"),
    ("float8_e4m3fn", "rz"),
    ("float8_e4m3fn", "ru"),
    ("Q3.8", "rna"),
    ("Q3.8", "rd"),
    ("binary64", "rne"),
    ("binary64", "ra"),
]


def step(name: str, op: str, mode: str, x: Any, y: Any) -> Any:
    """One operation of two scalars of one type, by the model."""
    carrier = np.dtype(type(x)).name
    fmt, held = FORMATS[name], CARRIERS[carrier]
    pair = [em.carrier_value(held, bits_of(np.array([v])).item()) for v in (x, y)]
    exact = em.operate(op, pair, mode)
    away = em.needs_rounding(fmt, exact) and em.deterministic_away(fmt, em.split(fmt, exact), mode)
    result = em.round_value(fmt, exact, away, mode, fmt.default_overflow)
    if result.kind == "nan":
        result = em.made_nan(False)
    return floats_of([em.carrier_bits(held, result)], carrier)[0]


def reduced(name: str, op: str, mode: str, values: Any, first: Any = None) -> Any:
    """All partial results, from left to right."""
    given = [*values] if first is None else [first, *values]
    results = given[:1]
    for value in given[1:]:
        results.append(step(name, op, mode, results[-1], value))
    return results


def reducible(name: str) -> list[tuple[str, Any]]:
    return [(carrier, np.dtype(carrier)) for carrier in held_by(FORMATS[name])]


@pytest.mark.parametrize(("name", "mode"), REDUCED)
@pytest.mark.parametrize("op", ["add", "sub", "mul", "div"])
def test_reduce(name: str, mode: str, op: str) -> None:
    """Strictly from first to last, along any axis, from any layout."""
    f = pysr.ufunc(op, name, mode)
    for carrier, dtype in reducible(name):
        (x,) = drawn((11, 13), 1, dtype, 5)
        rows = [reduced(name, op, mode, row) for row in x]
        columns = [reduced(name, op, mode, column) for column in x.T]
        last = np.array([row[-1] for row in rows], dtype)
        across = np.array([column[-1] for column in columns], dtype)
        for layout, a in layouts(x):
            note = f"{carrier} {layout}"
            same(f.reduce(a, axis=1), last, note)
            same(f.reduce(a, axis=-1), last, note)
            same(f.reduce(a), across, note)
            same(f.reduce(a, axis=0, keepdims=True), across[None], note)
            same(f.accumulate(a, axis=1), np.array(rows, dtype), note)
            same(f.accumulate(a), np.array(columns, dtype).T, note)
            same(f.reduce(a[3]), last[3], note)
            assert type(f.reduce(a[3])) is dtype.type
            out = np.zeros((13, 22), dtype)[:, ::2].T
            f.accumulate(a, axis=1, out=out)
            same(out, np.array(rows, dtype), note)
            cuts = [0, 4, 2, 9]
            pieces = [
                [reduced(name, op, mode, row[s])[-1] for s in (slice(0, 4), slice(4, 5))]
                + [reduced(name, op, mode, row[s])[-1] for s in (slice(2, 9), slice(9, None))]
                for row in x
            ]
            same(f.reduceat(a, cuts, axis=1), np.array(pieces, dtype), note)


@pytest.mark.parametrize(("name", "mode"), REDUCED)
def test_other_methods(name: str, mode: str) -> None:
    """outer, at, and reductions with a first element or of chosen ones."""
    f = pysr.ufunc("add", name, mode)
    for _, dtype in reducible(name):
        x, y = drawn((9,), 1, dtype, 6)[0], drawn((14,), 1, dtype, 7)[0]
        table = [[step(name, "add", mode, a, b) for b in y] for a in x]
        same(f.outer(x, y), np.array(table, dtype))

        at = [0, 3, 3, 3, -1, 0, 8]
        expected = x.copy()
        for where, value in zip(at, y, strict=False):
            expected[where] = step(name, "add", mode, expected[where], value)
        got = x.copy()
        f.at(got, at, y[: len(at)])
        same(got, expected)
        got = x.copy()
        f.at(got, slice(2, 5), dtype.type(0.7))
        for k in range(2, 5):
            same(got[k], step(name, "add", mode, x[k], dtype.type(0.7)))

        first = dtype.type(0.3)
        same(f.reduce(y, initial=first), reduced(name, "add", mode, y, first)[-1])
        where = np.arange(14) % 3 > 0
        chosen = reduced(name, "add", mode, y[where], first)[-1]
        same(f.reduce(y, initial=first, where=where), chosen)
        with pytest.raises(ValueError, match="so to use a where mask"):
            f.reduce(y, where=where)
        assert f.reduce(y[:0], initial=first) == first
        same(f.reduce(y[:1]), y[0])  # the first element is taken as it is
        with pytest.raises(ValueError, match="which has no identity"):
            f.reduce(y[:0])
        with pytest.raises(ValueError, match="not reorderable"):
            f.reduce(np.ones((3, 4), dtype), axis=(0, 1))
        with pytest.raises(ValueError, match="not reorderable"):
            f.reduce(np.ones((3, 4), dtype), axis=None)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_long_reductions(dtype: Any) -> None:
    """Longer than NumPy's buffers, in one type and in another; and with more axes."""
    (x,) = drawn((20_011,), 1, dtype, 8)
    x = np.nan_to_num(x, posinf=1, neginf=1)
    f = pysr.ufunc("add", "tf32", "rne")
    scalar = pysr.Arithmetic("tf32", "rne")
    total, partial = x[0], [x[0]]
    for value in x[1:]:
        total = scalar.add(total, value)
        partial.append(total)
    expected = np.array(partial, dtype)
    same(f.accumulate(x), expected)
    same(f.reduce(x), total)
    same(f.reduce(x.astype(x.dtype.newbyteorder())), total)
    same(f.reduce(np.repeat(x, 2)[::2]), total)
    same(f.reduce(x[::-1][::-1]), total)
    if dtype is np.float32:
        same(f.reduce(x, dtype=np.float64), np.float64(total))
    cube = x[:19_200].reshape(20, 24, 40)
    for axis in range(3):
        moved = np.moveaxis(cube, axis, 0)
        total = moved[0].copy()
        for k in range(1, len(moved)):
            total = scalar.add(total, moved[k])
        for a in (cube, np.asfortranarray(cube), cube.transpose(1, 0, 2).copy().transpose(1, 0, 2)):
            same(f.reduce(a, axis=axis), total)
            same(f.accumulate(a, axis=axis).take(-1, axis), total)


def test_reduced_types() -> None:
    """Small types widen; what random modes cannot reduce is refused."""
    f = pysr.ufunc("add", "bfloat16", "rne")
    for dtype in (np.float16, np.int8, np.uint16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn):
        x = np.arange(16).astype(dtype)
        same(f.reduce(x), np.float32(120))
        same(f.accumulate(x), np.add.accumulate(np.arange(16, dtype=np.float32)))
    assert f.reduce(np.arange(16, dtype=np.int32)) == np.float64(120)
    random = pysr.ufunc("round", "bfloat16")
    with pytest.raises(TypeError, match="index must hold integers"):
        random.reduce(np.ones(3))
    with pytest.raises(ValueError, match="only supported for binary functions"):
        pysr.ufunc("add", "bfloat16").reduce(np.ones(3))
    values = np.linspace(1, 2, 50)
    expected = random(values, 7)
    random.at(values, np.arange(50), 7)
    same(values, expected)


# ---- rows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("op", OPERATIONS)
@pytest.mark.parametrize(("mode", "keywords"), MODES)
def test_rows(op: str, mode: str, keywords: dict[str, Any], dtype: Any) -> None:
    """As element by element, with an index for the first element of each row."""
    shape = (23, 41)
    *values, v = drawn(shape, OPERATIONS[op] + 1, dtype)
    direction = np.nan_to_num(v) if mode == "sr_signed" else None
    expected = expected_of(op, "float16", mode, keywords, values, direction)
    f = pysr.gufunc(op, "float16", mode, seed=SEED, **keywords)
    more = [] if direction is None else [direction]
    starts = [41 * np.arange(23)] if mode.startswith("sr") else []
    for laid_out in zip(*(layouts(x) for x in (*values, *more)), strict=True):
        names, arrays = zip(*laid_out, strict=True)
        same(f(*arrays, *starts), expected, names[0])
        out = np.zeros((46, 41), dtype)[::-2]
        assert f(*arrays, *starts, out=out) is out
        same(out, expected, names[0])
        columns = f(*(a.T for a in arrays), *starts, axis=0)
        same(columns, expected.T, names[0])
    room = values[0].copy()
    f(room, *values[1:], *more, *starts, out=room)
    same(room, expected)
    assert f(*(x[:0] for x in (*values, *more)), *(s[:0] for s in starts)).shape == (0, 41)
    assert f(*(x[:, :0] for x in (*values, *more)), *starts).shape == (23, 0)
    same(f(*(x[3] for x in (*values, *more)), *(s[3] for s in starts)), expected[3])


# ---- one object ----------------------------------------------------------------------------------


def test_equal_arguments_give_one_object() -> None:
    """Defaults spelled or not, formats by any name."""
    f = pysr.ufunc("add", "bfloat16")
    assert pysr.ufunc("add", pysr.format("bfloat16"), "sr", seed=0, stream=0, eps=0) is f
    assert pysr.ufunc("add", ml_dtypes.bfloat16, random_bits="exact", variant="a") is f
    assert pysr.ufunc("add", pysr.FloatFormat(8, 127), overflow="inf", seed=np.uint8(0)) is f
    assert pysr.ufunc("add", "bfloat16", eps=-0.0) is f
    assert pysr.ufunc("add", "bfloat16", seed=1) is not f
    assert pysr.ufunc("add", "bfloat16", overflow="saturate") is not f
    assert pysr.ufunc("sub", "bfloat16") is not f
    assert pysr.gufunc("add", "bfloat16") is not f
    assert pysr.gufunc("add", "bfloat16") is pysr.gufunc("add", "bfloat16")
    assert pysr.ufunc("add", "bfloat16", "rne", seed=5) is pysr.ufunc("add", "bfloat16", "rne")


def test_a_bounded_number_is_kept() -> None:
    """One that the cache has dropped works on, and its equal gives the same bits."""
    f = pysr.ufunc("mul", "bfloat16", seed=10**6)
    x = np.linspace(1, 2, 1000)
    expected = f(x, x, np.arange(1000))
    for seed in range(300):
        pysr.ufunc("mul", "bfloat16", seed=seed)
    gc.collect()
    twin = pysr.ufunc("mul", "bfloat16", seed=10**6)
    assert twin is not f
    same(f(x, x, np.arange(1000)), expected)
    same(twin(x, x, np.arange(1000)), expected)
    assert pickle.loads(pickle.dumps(f)) is twin


MEMORY = """
import resource
import numpy as np
import pysr

def make(first, count):
    for seed in range(first, first + count):
        pysr.ufunc("add", "bfloat16", seed=seed)(1.0, 1.0, 0)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

make(0, 1000)
before = peak()
make(1000, 9000)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts kilobytes as Linux does")
def test_memory() -> None:
    """Ten thousand of them, used once, take no more room than the first thousand."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 4096


def test_one_object_for_all_threads() -> None:
    """Threads that ask at once get the same one, and use it at once."""
    x = np.linspace(1, 2, 20_000)
    expected = pysr.round(x, "float16", rng=77)
    barrier = threading.Barrier(8)
    found: list[np.ufunc] = []
    wrong: list[int] = []

    def work() -> None:
        barrier.wait()
        f = pysr.ufunc("round", "float16", seed=77)
        found.append(f)
        for _ in range(20):
            if f(x, np.arange(20_000)).tobytes() != expected.tobytes():
                wrong.append(1)

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(set(map(id, found))) == 1
    assert len(found) == 8
    assert not wrong


def test_errors_in_threads() -> None:
    """Each thread gets its own."""
    f = pysr.ufunc("sqrt", "float16")
    x = np.ones(30_000)
    messages: list[str] = []

    def work(k: int) -> None:
        index = np.arange(30_000)
        index[-1] = -k
        for _ in range(10):
            try:
                f(x, index)
            except ValueError as error:
                messages.append(f"{k}: {error}")

    workers = [threading.Thread(target=work, args=(k,)) for k in range(1, 5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(messages) == sorted(10 * [f"{k}: index=-{k} is negative" for k in range(1, 5)])


MADE = [
    pysr.ufunc("add", "bfloat16"),
    pysr.ufunc("fma", "Q3.8", "sr_signed", seed=2**64 - 1, stream=5, eps=0.1, overflow="wrap"),
    pysr.ufunc("sqrt", pysr.FloatFormat(5, 7, name="mine"), "rz"),
    pysr.ufunc("div", "float16", random_bits=8, variant="c", seed=3),
    pysr.gufunc("mul", "float8_e4m3fn", "sr_equal", seed=4),
]


@pytest.mark.parametrize("f", MADE, ids=lambda f: f.__name__)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(f: np.ufunc, protocol: int) -> None:
    """By its arguments, to the same object."""
    name, signature = f.__name__, f.signature
    twin = pickle.loads(pickle.dumps(f, protocol))
    assert (twin.__name__, twin.signature, twin.nin) == (name, signature, f.nin)
    operands = [np.linspace(1, 2, 300)] * (f.nin - 1 if "sr" in name else f.nin)
    index = [] if "sr" not in name else [3 if signature else np.arange(300)]
    same(twin(*operands, *index), f(*operands, *index))
    for duplicate in (copy.copy(twin), copy.deepcopy(twin), pickle.loads(pickle.dumps(twin))):
        assert duplicate is twin


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_other_ufuncs_are_pickled_as_before() -> None:
    """NumPy's by their names; copies are themselves.

    A ufunc names no module, so pickle asks every module that is loaded for it, and those with
    names they deprecate (mpmath.rational) answer with a warning.
    """
    for f in (np.add, np.matmul, np.sqrt):
        assert pickle.loads(pickle.dumps(f)) is f
        assert copy.deepcopy(f) is f
    made = np.frompyfunc(abs, 1, 1)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(made)


def apply(f: np.ufunc, *operands: Any) -> Any:
    return f(*operands)


def test_multiprocessing() -> None:
    """Another process gets the same bits."""
    x = np.linspace(1, 2, 500)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        for f in (MADE[0], MADE[3]):
            there = pool.apply(apply, (f, x, x, np.arange(500)))
            same(there, f(x, x, np.arange(500)))


def test_dask() -> None:
    """Chunks with their indices; rows with their starts."""
    da = pytest.importorskip("dask.array")
    x = np.random.Generator(np.random.PCG64(2)).normal(size=(60, 80))
    expected = pysr.round(x, "bfloat16", rng=SEED)
    f = pysr.ufunc("round", "bfloat16", seed=SEED)
    chunked = da.from_array(x, chunks=(17, 33))
    index = da.from_array(indices(x.shape), chunks=(17, 33))
    same(f(chunked, index).compute(scheduler="threads"), expected)
    same(da.map_blocks(f, chunked, index, dtype=x.dtype).compute(scheduler="threads"), expected)
    nearest = pysr.ufunc("add", "bfloat16", "rne")
    once = nearest(chunked, chunked[::-1])
    same(once.compute(scheduler="threads"), nearest(x, x[::-1]))
    assert once.name == nearest(chunked, chunked[::-1]).name
    assert (
        once.name
        != pysr.ufunc("add", "bfloat16", "rne", overflow="saturate")(chunked, chunked[::-1]).name
    )
