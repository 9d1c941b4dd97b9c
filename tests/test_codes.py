"""Values to codes and back: every code of every small format, samples of the large ones."""

from __future__ import annotations

from typing import Any

import exact_model as em
import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from cases import (
    CARRIERS,
    CASES,
    FORMATS,
    bits_of,
    case,
    floats_of,
    held_by,
    library_format,
    seed_of,
)

import pysr

DTYPES: dict[str, Any] = {
    name: np.dtype(getattr(ml_dtypes, name)) for name in em.NAMED if hasattr(ml_dtypes, name)
} | {"float16": np.dtype("f2"), "binary32": np.dtype("f4"), "binary64": np.dtype("f8")}


def code_dtype(fmt: em.Format) -> np.dtype[Any]:
    return np.dtype(f"{'i' if fmt.fixed and fmt.signed else 'u'}{fmt.storage_bits // 8}")


def array_of_codes(fmt: em.Format, codes: list[int]) -> npt.NDArray[Any]:
    return np.array(codes, f"u{fmt.storage_bits // 8}").view(code_dtype(fmt))


def some_codes(fmt: em.Format) -> list[int]:
    """Every code where there are at most 2^16, else the edges and a sample."""
    if fmt.bits <= 16:
        codes = list(range(1 << fmt.bits))
    else:
        p, top = fmt.p or fmt.bits, 1 << fmt.bits
        edges = {0, 1, 1 << (p - 1), top >> 1, top - 1}
        if not fmt.fixed:
            edges |= {fmt.max_code}
        if fmt.infinities:
            edges |= {fmt.infinity_code, em.encode_value(fmt, em.made_nan(False))}
        near = {e + d + s for e in edges for d in (-1, 0, 1) for s in (0, top >> 1)}
        rng = np.random.default_rng(seed_of(fmt.name))
        sample = rng.integers(0, top - 1, 5000, np.uint64, endpoint=True).tolist()
        codes = sorted({code % top for code in near | set(sample)})
    if fmt.fixed and fmt.signed:
        extension = (1 << fmt.storage_bits) - (1 << fmt.bits)
        codes = [code | extension if code >> (fmt.bits - 1) else code for code in codes]
    return codes


@pytest.mark.parametrize("name", FORMATS)
def test_attributes(name: str) -> None:
    fmt, got = FORMATS[name], library_format(name)
    assert got.bits == fmt.bits
    assert np.dtype(got.code_dtype) == code_dtype(fmt)
    assert (got.precision, got.qmin) == (fmt.p, fmt.qmin)
    assert (got.max, got.min, got.smallest) == (fmt.max, fmt.min, fmt.smallest)
    if fmt.fixed:
        assert (got.int_bits, got.frac_bits) == (fmt.int_bits, fmt.frac_bits)
        assert got.step == fmt.smallest
    else:
        assert (got.emin, got.emax) == (fmt.emin, fmt.emax)
        for field in ("subnormals", "infinities", "nan", "negative_zero", "zero", "signed"):
            assert getattr(got, field) == getattr(fmt, field), field


@pytest.mark.parametrize(("name", "carrier"), CASES, ids=["-".join(c) for c in CASES])
def test_decode_and_encode_back(name: str, carrier: str) -> None:
    fmt, held, lib = FORMATS[name], CARRIERS[carrier], library_format(name)
    integers = some_codes(fmt)
    codes = array_of_codes(fmt, integers)
    got = pysr.decode(codes, lib, dtype=carrier)
    assert got.dtype == np.dtype(carrier)
    assert got.shape == codes.shape
    values = [em.decode_code(fmt, code) for code in integers]
    patterns = bits_of(got).tolist()
    own_nan = [em.is_nan_code(fmt, code) for code in integers]
    for code, value, pattern, own in zip(integers, values, patterns, own_nan, strict=True):
        if value.kind == "nan" and not own:
            assert em.carrier_value(held, pattern).kind == "nan", hex(code)
        else:
            assert pattern == em.carrier_bits(held, value), hex(code)
    encodable = np.array(
        [v.kind != "nan" or own for v, own in zip(values, own_nan, strict=True)], bool
    )
    for mode in ("rne", "rz", "ru", "sr"):
        back = pysr.encode(got[encodable], lib, mode, rng=1)
        assert back.dtype == code_dtype(fmt)
        assert (back == codes[encodable]).all()


@pytest.mark.parametrize("name", FORMATS)
def test_decode_default_dtype(name: str) -> None:
    fmt = FORMATS[name]
    got = pysr.decode(array_of_codes(fmt, [0]), library_format(name))
    assert got.dtype == np.dtype(held_by(fmt)[0])


def encoded(fmt: em.Format, carrier: em.Format, patterns: Any) -> tuple[list[int], list[bool]]:
    """Return the codes of rounded carrier patterns, and which of them have a code."""
    known: dict[int, int | None] = {}
    for pattern in set(patterns.tolist()):
        try:
            known[pattern] = em.encode_value(fmt, em.carrier_value(carrier, pattern))
        except ValueError:
            known[pattern] = None
    codes = [known[pattern] for pattern in patterns.tolist()]
    return [code or 0 for code in codes], [code is not None for code in codes]


@pytest.mark.parametrize("mode", ["rne", "rz", "rd", "sr"])
@pytest.mark.parametrize(("name", "carrier"), CASES, ids=["-".join(c) for c in CASES])
def test_encode(name: str, carrier: str, mode: str) -> None:
    c = case(name, carrier)
    seed = seed_of("encode" + name + carrier)
    if mode == "sr":
        words = em.element_words(seed, 0, 0, 0, c.n, 8).tolist()
        away = c.away(lambda i, s: em.sr_away(s.phi, 5, words[i] >> 3))
    else:
        away = c.away(lambda i, s: em.deterministic_away(c.fmt, s, mode))
    for rule in c.fmt.overflows:
        patterns, overflow = c.expected(mode, rule, away)
        codes, has_code = encoded(c.fmt, c.carrier, patterns)
        possible = np.array(has_code) & ~overflow
        arguments: dict[str, Any] = {"rng": seed, "random_bits": 5, "overflow": rule}
        out = np.full(c.n, 3, code_dtype(c.fmt))
        if not all(has_code):
            x = np.where(overflow, c.x.dtype.type(0), c.x) if c.fmt.zero else c.x
            with pytest.raises((ValueError, OverflowError)):
                pysr.encode(x, c.format, mode, out=out, **arguments)
            assert (out == 3).all(), "written before raising"
        safe = c.x.dtype.type(float(c.fmt.max))
        got = pysr.encode(np.where(possible, c.x, safe), c.format, mode, out=out, **arguments)
        assert got is out
        expected = array_of_codes(c.fmt, codes)
        wrong = np.flatnonzero(possible & (got != expected))
        assert not wrong.size, [
            (c.x[i].item().hex(), hex(expected[i]), hex(got[i])) for i in wrong[:5]
        ]


@pytest.mark.parametrize("name", [n for n, fmt in FORMATS.items() if not fmt.fixed])
def test_made_nan_codes(name: str) -> None:
    """A NaN keeps its sign and loses its payload; a format without one refuses it."""
    fmt = FORMATS[name]
    for carrier in held_by(fmt):
        held = CARRIERS[carrier]
        top = held.infinity_code
        sign = 1 << held.magnitude_bits
        x = floats_of([top + 1, sign - 1, sign + top + 1, 2 * sign - 1], carrier)
        out = np.full(4, 3, code_dtype(fmt))
        if not fmt.nan:
            with pytest.raises(ValueError, match=r"(?i)nan"):
                pysr.encode(x, library_format(name), "rne", out=out)
            assert (out == 3).all()
            continue
        pysr.encode(x, library_format(name), "rne", out=out)
        negatives = bits_of(x) >= sign
        expected = [em.encode_value(fmt, em.made_nan(bool(negative))) for negative in negatives]
        assert out.tolist() == expected


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["Q3.8", "UQ0.8", "float6_e2m3fn", "float4_e2m1fn"])
def test_specials_have_no_code(name: str, bad: float) -> None:
    """Only saturation can give an infinity a code, and nothing gives a NaN one."""
    x = np.array([0.5, bad, 0.25])
    out = np.full(3, 3, library_format(name).code_dtype)
    if np.isnan(bad):
        with pytest.raises(ValueError, match=r"(?i)nan"):
            pysr.encode(x, library_format(name), "rne", out=out)
        assert (out == 3).all()
    else:
        fmt = FORMATS[name]
        pysr.encode(x, library_format(name), "rne", out=out)
        bound = em.finite(bad < 0 and fmt.signed, fmt.max if bad > 0 else abs(fmt.min))
        assert out[1] == array_of_codes(fmt, [em.encode_value(fmt, bound)])[0]
        if "nan" in fmt.overflows:
            out[:] = 3
            with pytest.raises(ValueError, match=r"(?i)nan"):
                pysr.encode(x, library_format(name), "rne", overflow="nan", out=out)
            assert (out == 3).all()


@pytest.mark.parametrize("name", FORMATS)
def test_codes_too_wide(name: str) -> None:
    fmt = FORMATS[name]
    if fmt.bits == fmt.storage_bits:
        return
    if fmt.fixed and fmt.signed:
        half = 1 << (fmt.bits - 1)
        wide = [half, (1 << fmt.storage_bits) - half - 1, 1 << (fmt.storage_bits - 2)]
    else:
        wide = [1 << fmt.bits, (1 << fmt.storage_bits) - 1, 1 << (fmt.storage_bits - 1)]
    carrier = held_by(fmt)[0]
    for code in wide:
        with pytest.raises(ValueError, match="wider"):
            em.decode_code(fmt, code)
        out = np.full(3, 0.375, carrier)
        with pytest.raises(ValueError, match="code"):
            pysr.decode(array_of_codes(fmt, [1, 0, code]), library_format(name), out=out)
        assert (out == 0.375).all()


def test_fixed_point_codes() -> None:
    x = np.array([-8.0, -(2.0**-8), 0.0, -0.0, 2.0**-8, 8 - 2.0**-8])
    codes = pysr.encode(x, "Q3.8", "rne")
    assert codes.dtype == np.int16
    assert codes.tolist() == [-2048, -1, 0, 0, 1, 2047]
    codes = pysr.encode(x.clip(0, 0.5), "UQ0.8", "rne")
    assert codes.dtype == np.uint8
    assert codes.tolist() == [0, 0, 0, 0, 1, 128]
    codes = pysr.encode(x / 8, "Q0.15", "rne")
    assert codes.dtype == np.int16
    assert codes.tolist()[:2] == [-32768, -16]


@pytest.mark.parametrize("name", DTYPES)
def test_bit_patterns_of_dtypes(name: str) -> None:
    """The codes are the dtypes' bit patterns, and a dtype names its format."""
    dtype = DTYPES[name]
    lib = library_format(name)
    assert pysr.format(dtype) == lib
    codes = array_of_codes(FORMATS[name], some_codes(FORMATS[name]))
    assert codes.dtype.itemsize == dtype.itemsize
    values = codes.view(dtype)
    with np.errstate(invalid="ignore"):
        wide = values.astype(np.float64)
    got = pysr.decode(codes, lib, dtype=np.float64)
    nan = np.isnan(wide)
    assert (np.isnan(got) == nan).all()
    assert (bits_of(got)[~nan] == bits_of(wide)[~nan]).all()
    assert (pysr.encode(wide[~nan], lib, "ro") == codes[~nan]).all()
    if name not in ("binary32", "binary64"):
        same = pysr.round(values[~nan], lib, "rne")
        assert same.dtype == np.float32
        assert (bits_of(same) == bits_of(wide[~nan].astype(np.float32))).all()


def test_tf32_is_the_top_of_float32() -> None:
    codes = np.arange(1 << 19, dtype=np.uint32)
    codes = codes[~np.isnan((codes << np.uint32(13)).view(np.float32))]
    values = (codes << np.uint32(13)).view(np.float32)
    assert (bits_of(pysr.decode(codes, "tf32")) == bits_of(values)).all()
    assert (pysr.encode(values, "tf32", "rne") == codes).all()
