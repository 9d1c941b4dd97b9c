"""Rounding to real dtypes: the bits of the codes, in every layout, or an error."""

from __future__ import annotations

import sys
from typing import Any

import exact_model as em
import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from cases import FORMATS, case, held_by, library_format

import pysr

DTYPES: dict[str, np.dtype[Any]] = {
    name: np.dtype(getattr(ml_dtypes, name)) for name in em.NAMED if hasattr(ml_dtypes, name)
} | {"float16": np.dtype("f2"), "binary32": np.dtype("f4"), "binary64": np.dtype("f8")}
HALF = ["float16", "bfloat16", "float8_e4m3fn", "float4_e2m1fn"]


def patterns(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the bits of an array of any float type."""
    return np.ascontiguousarray(x).view(f"u{x.dtype.itemsize}")


def some_values(dtype: Any = np.float64) -> npt.NDArray[Any]:
    return np.random.default_rng(5).standard_normal((6, 8, 10)).astype(dtype)


def test_every_small_type_of_ml_dtypes_is_covered() -> None:
    assert {name for name in DTYPES if name.startswith(("float4", "float6", "float8", "bf"))} == {
        name for name in em.NAMED if name.startswith(("float4", "float6", "float8", "bf"))
    }


@pytest.mark.parametrize("mode", ["rne", "rz", "sr"])
@pytest.mark.parametrize("name", DTYPES)
def test_values_are_the_exact_model_s(name: str, mode: str) -> None:
    c = case(name, held_by(FORMATS[name])[0])
    if mode == "sr":
        words = em.element_words(99, 0, 0, 0, c.n, 16).tolist()
        away = c.away(lambda i, s: em.sr_away(s.phi, 16, words[i]))
    else:
        away = c.away(lambda i, s: em.deterministic_away(c.fmt, s, mode))
    rule = em.NAMED[name].default_overflow
    expected, overflow = c.expected(mode, rule, away)
    wanted = expected.view(c.carrier_name)
    possible = ~overflow & (~np.isnan(wanted) if not c.fmt.nan else True)
    x = np.where(possible, c.x, c.x.dtype.type(float(c.fmt.max)))
    got = pysr.cast(x, name, mode, rng=99, random_bits=16 if mode == "sr" else "exact")
    assert got.dtype == DTYPES[name]
    nan = np.isnan(wanted)
    with np.errstate(all="ignore"):
        wide = got.astype(c.carrier_name)
    assert (np.isnan(wide) == (nan & possible)).all()
    same = possible & ~nan
    assert (patterns(wide)[same] == expected[same]).all()


@pytest.mark.parametrize("name", DTYPES)
def test_bits_are_the_codes(name: str) -> None:
    x = case(name, "float64").x
    x = x[~np.isnan(x)] if not library_format(name).nan else x
    for arguments in (
        {"mode": "sr", "rng": 3},
        {"mode": "sr", "rng": 3, "random_bits": 5, "variant": "b", "offset": 11},
        {"mode": "sr_eps", "rng": 3, "eps": 0.25},
        {"mode": "sr_signed", "rng": 3, "eps": 0.25, "direction": -1.0},
        {"mode": "sr", "random_bits": 8, "bits": np.arange(x.size) % 256},
        {"mode": "ru", "overflow": "saturate"},
    ):
        got = pysr.cast(x, name, **arguments)
        assert got.dtype == DTYPES[name]
        codes = pysr.encode(x, name, **arguments)
        assert (got.view(codes.dtype) == codes).all()


@pytest.mark.parametrize("name", [*HALF, "binary32"])
def test_a_dtype_names_the_format(name: str) -> None:
    x = some_values()
    expected = patterns(pysr.cast(x, name, "rne"))
    for fmt in (DTYPES[name], DTYPES[name].type, library_format(name)):
        got = pysr.cast(x, fmt, "rne")
        assert got.dtype == DTYPES[name]
        assert (patterns(got) == expected).all()


def test_a_custom_format_with_the_values_of_a_dtype() -> None:
    fmt = pysr.FloatFormat(8, 127, overflow="saturate", name="mine")
    got = pysr.cast([1e39, -1.0], fmt, "rne")
    assert got.dtype == DTYPES["bfloat16"]
    assert float(got[0]) == fmt.max
    assert pysr.cast([1e39], "bfloat16", "rne").astype(float)[0] == np.inf
    assert pysr.cast([1e39], "bfloat16", "rne", overflow="saturate").astype(float)[0] == fmt.max


@pytest.mark.parametrize("name", HALF)
def test_layouts(name: str) -> None:
    x = some_values()
    whole = patterns(pysr.cast(x, name, rng=7))
    wide = np.zeros((12, 16, 10))
    wide[::2, 1::2] = x
    swapped = x.astype(">f8")
    for same in (np.asfortranarray(x), wide[::2, 1::2], x[::-1].copy()[::-1], swapped):
        got = pysr.cast(same, name, rng=7)
        assert got.dtype == DTYPES[name]
        assert (patterns(got) == whole).all()
    zero = pysr.cast(np.array(1.3), name, rng=7)
    assert isinstance(zero, DTYPES[name].type)
    assert float(zero) == float(pysr.round(1.3, name, rng=7))
    for shape in ((0,), (3, 0), (0, 2)):
        empty = pysr.cast(np.zeros(shape), name)
        assert (empty.shape, empty.dtype) == (shape, DTYPES[name])


@pytest.mark.parametrize("name", HALF)
def test_out(name: str) -> None:
    x, dtype = some_values(), DTYPES[name]
    whole = pysr.cast(x, name, rng=7)
    outs = [np.zeros(x.shape, dtype), np.zeros((12, 8, 30), dtype)[::2, :, ::3]]
    outs += [np.zeros(x.shape, dtype, order="F"), np.zeros(x.shape, dtype)[::-1]]
    if dtype.kind == "f":
        outs.append(np.zeros(x.shape, dtype.newbyteorder()))
    for out in outs:
        assert pysr.cast(x, name, rng=7, out=out) is out
        assert (out.astype(np.float64) == whole.astype(np.float64)).all()
    zero = np.zeros((), dtype)
    assert pysr.cast(1.3, name, "rz", out=zero) is zero
    assert float(zero) == float(pysr.round(1.3, name, "rz"))


def test_out_on_the_operand_s_memory() -> None:
    x = some_values(np.float32)
    expected = pysr.cast(x, "float16", rng=7)
    assert (pysr.cast(x.copy(), "binary32", rng=7) == x).all()
    same = x.copy()
    assert pysr.cast(same, "binary32", rng=7, out=same) is same
    assert (same == x).all()
    memory = x.copy()
    below = memory.reshape(-1).view(np.float16)[: x.size].reshape(x.shape)
    pysr.cast(memory, "float16", rng=7, out=below)
    assert (below == expected).all()


@pytest.mark.parametrize("name", HALF)
def test_where(name: str) -> None:
    x = some_values()
    keep = x > 0
    whole = pysr.cast(x, name, rng=7).astype(np.float64)
    got = pysr.cast(x, name, rng=7, where=keep)
    assert (got.astype(np.float64) == np.where(keep, whole, 0)).all()
    out = np.ones(x.shape, DTYPES[name])
    pysr.cast(x, name, rng=7, where=keep, out=out)
    assert (out.astype(np.float64) == np.where(keep, whole, 1)).all()


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float8_e5m2"])
def test_threads_and_streams(name: str) -> None:
    x = np.random.default_rng(2).standard_normal(200_000).astype(np.float32)
    one, two = pysr.Philox(7), pysr.Philox(7)
    alone = pysr.cast(x, name, rng=one, threads=1)
    assert (patterns(pysr.cast(x, name, rng=two, threads=3)) == patterns(alone)).all()
    assert one.position == two.position == 25_000
    strided = np.asfortranarray(x.reshape(400, 500))
    got = pysr.cast(strided, name, rng=pysr.Philox(7), threads=2)
    assert (patterns(got).reshape(-1) == patterns(alone)).all()


def test_nan_as_the_code_says() -> None:
    x = np.array([np.nan, -np.nan, np.inf, -np.inf])
    assert patterns(pysr.cast(x, "float16", "rne")).tolist() == [0x7E00, 0xFE00, 0x7C00, 0xFC00]
    assert patterns(pysr.cast(x, "bfloat16", "rne")).tolist() == [0x7FC0, 0xFFC0, 0x7F80, 0xFF80]
    assert patterns(pysr.cast(x, "float8_e4m3fnuz", "rne")).tolist() == [0x80] * 4
    out = np.ones(4, ml_dtypes.float4_e2m1fn)
    with pytest.raises(ValueError, match="float4_e2m1fn has no code"):
        pysr.cast(x, "float4_e2m1fn", "rne", out=out)
    assert (out.astype(float) == 1).all()


@pytest.mark.parametrize(
    "fmt",
    ["tf32", "Q3.8", "UQ0.8", pysr.FloatFormat(7, 127), pysr.FloatFormat(11, 15, subnormals=False)],
    ids=str,
)
def test_no_dtype(fmt: Any) -> None:
    with pytest.raises(TypeError) as raised:
        pysr.cast([1.0], fmt)
    assert f"fmt={pysr.format(fmt)} has the values of no dtype" in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "exception", "message"),
    [
        ({"out": [0.0]}, TypeError, "out must be an array, not list"),
        ({"out": np.zeros(2, np.float32)}, TypeError, "out has dtype float32, the result float16"),
        ({"out": np.zeros(2, np.uint16)}, TypeError, "out has dtype uint16, the result float16"),
        ({"out": np.zeros(3, np.float16)}, ValueError, "out has shape (3,), the result (2,)"),
        ({"out": np.broadcast_to(np.float16(0), 2)}, ValueError, "out is read-only"),
        ({"mode": "nearest"}, ValueError, "mode='nearest'"),
        ({"rng": -1}, ValueError, "rng=-1"),
        ({"overflow": "raise"}, OverflowError, "index 1: x=100000.0"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_errors(arguments: dict[str, Any], exception: type[Exception], message: str) -> None:
    with pytest.raises(exception) as raised:
        pysr.cast([1.0, 1e5], "float16", **arguments)
    assert message in str(raised.value)


def test_float32_does_not_hold_binary64() -> None:
    with pytest.raises(ValueError, match="fmt=binary64: a float32 carrier"):
        pysr.cast(np.float32([1.0]), np.float64)


def test_without_ml_dtypes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(ImportError, match=r"fmt=bfloat16: .* ml_dtypes.*not installed.*'dtypes'"):
        pysr.cast([1.0], "bfloat16")
    assert pysr.cast([1.0], "float16").dtype == np.float16


def test_with_an_old_ml_dtypes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(ml_dtypes, "float4_e2m1fn")
    with pytest.raises(ImportError, match=r"fmt=float4_e2m1fn: ml_dtypes .* too old"):
        pysr.cast([1.0], "float4_e2m1fn")
