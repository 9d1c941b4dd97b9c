"""Bugs of other rounding libraries, each a test that this library must pass."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import exact_model as em
import numpy as np
import numpy.typing as npt
import pytest
from cases import bits_of

import pysr

EVERY_MODE: list[dict[str, Any]] = [
    *({"mode": mode} for mode in em.DETERMINISTIC),
    {"mode": "sr"},
    *({"mode": "sr", "random_bits": r, "variant": v} for r in (1, 16, 64) for v in "abc"),
    {"mode": "sr_equal"},
    {"mode": "sr_eps", "eps": 1.0},
    {"mode": "sr_signed", "eps": 1.0, "direction": -1.0},
    {"mode": "sr_signed", "eps": 1.0, "direction": 1.0},
]
ALL_8 = np.arange(256, dtype=np.uint8)
ALL_16 = np.arange(1 << 16, dtype=np.uint16)


def counts(x: float, fmt: str, **arguments: Any) -> dict[float, int]:
    """Round x with each of the 256 8-bit words and count the results."""
    y = pysr.round(np.full(256, x), fmt, "sr", random_bits=8, bits=ALL_8, **arguments)
    values, n = np.unique(y, return_counts=True)
    return dict(zip(values.tolist(), n.tolist(), strict=True))


@pytest.mark.parametrize("arguments", EVERY_MODE, ids=str)
def test_nan_stays_nan(arguments: dict[str, Any]) -> None:
    # CPFloat and torchao: NaN 0x7fffffff becomes -0 in bfloat16 and 0x7f800001 becomes infinity.
    patterns = np.array([0x7FFFFFFF, 0x7F800001, 0xFFFFFFFF, 0xFF800001, 0x7F80FFFF], np.uint32)
    y = pysr.round(patterns.view(np.float32), "bfloat16", rng=1, **arguments)
    assert (bits_of(y) == (patterns | 0x400000)).all()
    codes = pysr.encode(patterns.view(np.float32), "bfloat16", rng=1, **arguments)
    assert codes.tolist() == [0x7FC0, 0x7FC0, 0xFFC0, 0xFFC0, 0x7FC0]


def test_overflow_edge_is_proportional() -> None:
    # CPFloat and chop: binary16 65520 always becomes infinity, where the probability is 1/2.
    assert counts(65520.0, "float16") == {65504.0: 128, np.inf: 128}
    assert counts(-65520.0, "float16") == {-65504.0: 128, -np.inf: 128}
    assert counts(65504.0 + 8, "float16") == {65504.0: 192, np.inf: 64}
    assert counts(65504.0, "float16") == {65504.0: 256}
    assert counts(65536.0, "float16") == {np.inf: 256}
    assert counts(448.0 + 8, "float8_e4m3fn", overflow="saturate") == {448.0: 256}
    y = pysr.round(np.full(1 << 16, 65520.0), "float16", rng=3)
    heads = em.element_words(3, 0, 0, 0, 1 << 16, 16)
    assert (np.isinf(y) == (heads >= 0x8000)).all()


def test_small_values_are_proportional() -> None:
    # chop, pychop and apytypes: SR flushes values below (half of) the smallest subnormal to 0.
    for fmt, smallest in (("float16", 2.0**-24), ("float8_e4m3fn", 2.0**-9), ("Q3.8", 2.0**-8)):
        for n in (1, 3, 64, 127, 128, 129, 255):
            assert counts(n / 256 * smallest, fmt) == {0.0: 256 - n, smallest: n}
            assert counts(-n / 256 * smallest, fmt) == {0.0: 256 - n, -smallest: n}
    # ... down to the smallest float64 there is.
    deep = pysr.FloatFormat(8, 100, -1051)
    for n in (1, 2, 3, 200):
        y = pysr.round(np.full(1 << 16, n * 2.0**-1074), deep, random_bits=16, bits=ALL_16)
        assert np.count_nonzero(y == 2.0**-1058) == n
        assert np.count_nonzero(y) == n
    assert pysr.round(2.0**-1074, "float8_e4m3fn", "ra") == 2.0**-9


def test_binade_above_emax_and_just_below_powers_of_two() -> None:
    # pychop: values in the binade above emax become 0; floor(log2 x) picks the wrong binade just
    # below a power of two, and SR returns a value that is not a neighbour.
    above = np.array([65536.0, 70000.0, 131071.0, 131072.0])
    for arguments in EVERY_MODE:
        y = pysr.round(above, "float16", rng=1, overflow="saturate", **arguments)
        assert (y == 65504).all()
    powers = 2.0 ** np.arange(-14, 16)
    for below in (np.nextafter(powers, 0), powers * (1 - 2.0**-30)):
        for seed in range(20):
            y = pysr.round(below, "float16", rng=seed)
            neighbour = np.where(powers > 2.0**-14, powers * (1 - 2.0**-11), powers - 2.0**-24)
            assert ((y == powers) | (y == neighbour)).all()
        assert (pysr.round(below, "float16", "rz") < powers).all()
        assert (pysr.round(below, "float16", "rne") == powers).all()


@pytest.mark.parametrize("arguments", EVERY_MODE, ids=str)
@pytest.mark.parametrize("name", [n for n, f in em.NAMED.items() if f.bits <= 16])
def test_exact_values_never_move(name: str, arguments: dict[str, Any]) -> None:
    # pychop and microxcaling: round-to-odd, SR-equal and dither move values that are exact.
    fmt = em.NAMED[name]
    x = pysr.decode(np.arange(1 << fmt.bits, dtype=f"u{fmt.storage_bits // 8}"), name)
    x = x[~np.isnan(x) & (np.isfinite(x) | fmt.infinities)]
    for seed in range(3):
        assert (bits_of(pysr.round(x, name, rng=seed, **arguments)) == bits_of(x)).all()


def test_carry_into_the_smallest_normal() -> None:
    # apytypes: the carry from the largest subnormal to the smallest normal is lost (result 0).
    for name, normal, p in (("float16", 2.0**-14, 11), ("float8_e4m3fn", 2.0**-6, 4)):
        largest = normal * (1 - 2.0 ** (1 - p))
        between = (largest + normal) / 2
        for mode in ("rna", "ra", "ru"):
            assert pysr.round(between, name, mode) == normal
        assert counts(between, name) == {largest: 128, normal: 128}
        assert pysr.round(-between, name, "rne") == -normal


def test_float64_rounds_once() -> None:
    # ml_dtypes and torch: float64 to bfloat16 goes through float32 and rounds twice.
    rng = np.random.default_rng(0)
    low = 1 + rng.integers(0, 128, 1000) * 2.0**-7
    tie = low + 2.0**-8
    for x, nearest in ((tie + 2.0**-40, low + 2.0**-7), (tie - 2.0**-40, low)):
        assert (pysr.round(x, "bfloat16", "rne") == nearest).all()
        assert (pysr.round(-x, "bfloat16", "rne") == -nearest).all()


def test_nearest_even_infinities_and_negative_zero() -> None:
    # qtorch: "nearest" sends ties away and knows no infinities; qtorch and mptorch: -0 becomes +0.
    ties = 1 + 2.0**-8 + np.arange(0, 6) * 2.0**-7
    even = np.array([1.0, 1 + 2.0**-6, 1 + 2.0**-6, 1 + 2.0**-5, 1 + 2.0**-5, 1 + 3 * 2.0**-6])
    assert (pysr.round(ties, "bfloat16", "rne") == even).all()
    assert (pysr.round(ties, "bfloat16", "rna") == ties + 2.0**-8).all()
    assert (pysr.round(ties, "bfloat16", "rnz") == ties - 2.0**-8).all()
    specials = np.array([np.inf, -np.inf, -0.0, 0.0, -1e-300])
    for arguments in EVERY_MODE:
        y = pysr.round(specials, "float16", rng=1, **arguments)
        assert (y[:2] == specials[:2]).all()
        assert np.signbit(y).tolist() == [False, True, True, False, True]
        z = pysr.round(specials[2:4], "Q3.8", rng=1, **arguments)
        assert not np.signbit(z).any()


def test_where_formats_end() -> None:
    # custom-float-quant: E4M3FN ends at 240 and FP4 at 3.
    assert pysr.round(1e9, "float8_e4m3fn", "rne", overflow="saturate") == 448
    assert pysr.round(1e9, "float4_e2m1fn", "rne") == 6
    assert (pysr.round(np.array([448.0, 464.0]), "float8_e4m3fn", "rne") == 448).all()
    assert np.isnan(pysr.round(np.nextafter(464.0, 500), "float8_e4m3fn", "rne"))


def test_transposed_array_takes_other_bits_by_index_only() -> None:
    # torchao: X.T gets other bits than X, after where its elements lie in memory.
    x: npt.NDArray[np.float32] = np.random.default_rng(4).standard_normal((37, 53), np.float32)
    y = pysr.round(x.T, "bfloat16", rng=6)
    assert (y == pysr.round(np.ascontiguousarray(x.T), "bfloat16", rng=6)).all()
    z = pysr.round(np.asfortranarray(x), "bfloat16", rng=6)
    assert (z == pysr.round(x, "bfloat16", rng=6)).all()


@pytest.mark.parametrize("random_bits", [0, -1, 65, 1 << 40])
def test_random_bits_are_checked(random_bits: int) -> None:
    # gfloat: srbits out of range is not checked.
    with pytest.raises(ValueError, match="random_bits"):
        pysr.round(np.ones(3), "bfloat16", "sr", random_bits=random_bits)
    for r, word in ((1, 2), (8, 256), (13, 1 << 13), (53, 1 << 53)):
        bits = np.array([0, word, 0], np.uint64)
        with pytest.raises(ValueError, match="bits"):
            pysr.round(np.ones(3), "bfloat16", "sr", random_bits=r, bits=bits)


@pytest.mark.parametrize("r", [1, 2, 5, 8, 12, 16])
def test_short_random_bits_are_added_at_the_top(r: int) -> None:
    # oneDNN's reference: short random bits are added at the wrong end, so it always truncates.
    words = np.arange(1 << r, dtype=np.uint16)
    for k in {1, (1 << r) // 2, (1 << r) - 1}:
        x = 1 + Fraction(k, 1 << r) / 128
        y = pysr.round(np.full(1 << r, float(x)), "bfloat16", random_bits=r, bits=words)
        assert np.count_nonzero(y == 1 + 2.0**-7) == k
        assert np.count_nonzero(y == 1) == (1 << r) - k
