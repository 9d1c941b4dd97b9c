"""Grids of any step against the exact model, and what a GridFormat is."""

from __future__ import annotations

import copy
import math
import pickle
import random
import re
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any

import exact_model as em
import numpy as np
import pytest
from cases import Case, bits_of, floats_of, pattern_below, seed_of
from test_definition import CONFIGURATIONS, run
from test_paths import PATHS, layouts, output_of

import pysr

TINY = em.power_of_two(-1074)
STEPS = {
    "1/10": Fraction(1, 10),
    "1/100": Fraction(1, 100),
    "1e-5": Fraction(1, 10**5),
    "1e-15": Fraction(1, 10**15),
    "1/3": Fraction(1, 3),
    "2/7": Fraction(2, 7),
    "3/10": Fraction(3, 10),
    "5": Fraction(5),
    "2^-8": em.power_of_two(-8),
    "47 bits over 50": Fraction(140737488355213, 1125899906842597),
    "2^-1040": em.power_of_two(-1040),
    "2^-1021/3": em.power_of_two(-1021) / 3,
    "2^-1074 2/3": TINY * 2 / 3,
    "2^-1074 5/2": TINY * 5 / 2,
    "2^-51/3": em.power_of_two(-51) / 3,
    "float 1e300": Fraction(1e300),
    "2^900": em.power_of_two(900),
    "2^1021 11/9": em.power_of_two(1021) * 11 / 9,
    "2^971 3/2": em.power_of_two(971) * 3 / 2,
}
TOP = em.FLOAT64.max_code


def patterns_of(fmt: em.Format) -> list[int]:
    """Points, their neighbours, middles of two, from tiny to huge values; and the special ones."""
    assert fmt.step
    rng = random.Random(seed_of(fmt.name))
    ks = {0, 1, 2, 3, 4, 5, 10, 99, 100, 2**20 + 1, 2**50 - 1, 2**50, 2**52 + 1, 2**53, 2**54 + 2}
    ks |= {2**53 * 10 + 1, 2**63 - 1, 2**63, 2**64} | {rng.getrandbits(1 + b) for b in range(58)}
    magnitudes = {0, 1, 2, 3, 2**52 - 1, 2**52, TOP, TOP - 1, TOP - 2**50}
    for k in ks:
        here, following = em.grid_point(fmt.step, k), em.grid_point(fmt.step, k + 1)
        middle = pattern_below(em.FLOAT64, (here + following) / 2)
        magnitudes |= {middle, middle + 1, pattern_below(em.FLOAT64, here)}
        for at in (here, following):
            pattern = pattern_below(em.FLOAT64, at)
            magnitudes |= {max(pattern - 1, 0), pattern + 1}
        for _ in range(3):
            phi = Fraction(rng.random()) ** rng.choice((1, 1, 9))
            magnitudes.add(pattern_below(em.FLOAT64, here + phi * (following - here)))
    top = pattern_below(em.FLOAT64, fmt.max)
    magnitudes |= {top - 1, top, top + 1} | {(top + TOP) // 2}
    magnitudes |= {rng.randrange(TOP) for _ in range(60)}
    magnitudes = {min(magnitude, TOP) for magnitude in magnitudes}
    magnitudes |= {TOP + 1, TOP + 2, TOP + 1 + 2**51, TOP + 1 + 2**51 + 77}
    found = [magnitude | sign for magnitude in magnitudes for sign in (0, 1 << 63)]
    rng.shuffle(found)
    return found


@cache
def grid_case(name: str) -> Case:
    fmt = em.grid_format(STEPS[name], name)
    return Case(fmt, "float64", patterns_of(fmt))


# ---- rounding ----------------------------------------------------------------------------------


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
@pytest.mark.parametrize("name", STEPS)
def test_against_model(name: str, configuration: str) -> None:
    run(grid_case(name), configuration)


@pytest.mark.parametrize("name", STEPS)
def test_points_stay(name: str) -> None:
    """Every mode returns a point of the grid, -0 included, and neighbours of points move."""
    c = grid_case(name)
    pairs = zip(c.values, c.splits, strict=True)
    on = np.array([v.kind == "finite" and (not s or not s.phi) for v, s in pairs])
    assert on.sum() > 10
    for mode in pysr.MODES:
        direction = -c.x if mode == "sr_signed" else None
        with np.errstate(invalid="ignore"):
            x = np.where(np.isnan(c.x), 0, c.x)
            direction = None if direction is None else -x
        y = pysr.round(x, c.format, mode, rng=3, eps=0.5, direction=direction, overflow="inf")
        assert (bits_of(y)[on] == bits_of(x)[on]).all(), mode
        moved = bits_of(y) != bits_of(x)
        assert (moved == ~(on | (x == 0) | np.isinf(x))).all(), mode


@pytest.mark.parametrize("name", ["1/10", "1/3", "2/7", "1e-15", "2^-1021/3", "2^900"])
def test_refinement(name: str) -> None:
    """Elements whose 16 bits leave the matter open, with expansions of phi that never end."""
    step = STEPS[name]
    fmt = em.grid_format(step, name)
    seed, stream, n = 11, 5, 400
    heads = em.element_words(seed, stream, 7, 0, n, 16).tolist()
    rng = random.Random(1)
    magnitudes = []
    for head in heads:
        k = rng.getrandbits(rng.randint(1, 30))
        here, following = em.grid_point(step, k), em.grid_point(step, k + 1)
        phi = Fraction(0xFFFF - head, 1 << 16) + Fraction(rng.random()) / (1 << 16)
        magnitudes.append(pattern_below(em.FLOAT64, here + phi * (following - here)))
    values = [em.carrier_value(em.FLOAT64, pattern) for pattern in magnitudes]
    expected, open_ones, away_ones = [], 0, 0
    for i, (value, head) in enumerate(zip(values, heads, strict=True)):
        if value.magnitude == 0:
            expected.append(0)
            continue
        s = em.split(fmt, value)
        undecided = em.sr_exact_undecided(s.phi, head)
        away = em.sr_exact_away(
            s.phi, head, lambda level, i=i: em.refinement(seed, stream, 7, i, level)
        )
        open_ones += undecided
        away_ones += undecided and away
        rounded = em.deliver(fmt, s, away, "sr", "inf")
        expected.append(em.carrier_bits(em.FLOAT64, rounded))
    assert open_ones > n / 2
    assert 0.3 < away_ones / open_ones < 0.7
    source = pysr.Philox(seed, stream).advance(7)
    got = pysr.round(floats_of(magnitudes, "float64"), pysr.GridFormat(step), rng=source)
    assert bits_of(got).tolist() == expected


@pytest.mark.parametrize("mode", pysr.MODES)
def test_binary_step_is_fixed_point(mode: str) -> None:
    """In fixed point's range, the same bits as fixed point; but for -0, which that has not."""
    generator = np.random.default_rng(5)
    x = np.concatenate(
        [
            generator.uniform(-900, 900, 30_000),
            generator.integers(-2000, 2000, 500) / 512,
            generator.standard_normal(2000) * 2.0 ** generator.integers(-90, 9, 2000),
        ]
    )
    x = np.where(abs(x) < 1000, x, 1.0)
    direction = generator.permutation(x) if mode == "sr_signed" else None
    for arguments in ({}, {"random_bits": 5}, {"random_bits": 48, "variant": "c"}):
        got, expected = (
            pysr.round(x, fmt, mode, rng=9, eps=0.3, direction=direction, **arguments)
            for fmt in (pysr.GridFormat("2**-8"), pysr.FixedFormat(10, 8))
        )
        assert (bits_of(got + 0.0) == bits_of(expected)).all()
        got, expected = (
            pysr.encode(x, fmt, mode, rng=9, eps=0.3, direction=direction, **arguments)
            for fmt in (pysr.GridFormat("2**-8"), pysr.FixedFormat(10, 8))
        )
        assert (got == expected).all()


def test_decimals_are_literals() -> None:
    """The points of 10^-p are what decimal literals are."""
    for p in (1, 2, 5, 9):
        k = np.random.default_rng(p).integers(0, 10**12, 5000)
        literals = np.array([float(f"{number}e-{p}") for number in k.tolist()])
        fmt = pysr.GridFormat(Decimal(1).scaleb(-p))
        assert (pysr.decode(k, fmt) == literals).all()
        assert (pysr.round(literals, fmt, rng=1) == literals).all()
        assert (pysr.encode(literals, fmt, "ra") == k).all()
    x = 0.1 * 3
    assert pysr.round(x, "grid:0.1", "rd") == 0.3
    assert pysr.round(x, "grid:0.1", "ru") == 0.4


def test_unbiased() -> None:
    """Means of thirds of a grid, 1000 seeds together, within 5 standard deviations."""
    x = np.full(1_000_000, 1 / 7)
    y = pysr.round(x, "grid:1/3", rng=2)
    phi = 3 / 7
    assert set(np.unique(y)) == {0.0, 1 / 3}
    assert abs((y > 0).mean() - phi) < 5 * math.sqrt(phi * (1 - phi) / x.size)


# ---- codes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STEPS)
def test_codes(name: str) -> None:
    """The codes of the model, refusals included, and back."""
    c = grid_case(name)
    away = c.away(lambda i, s: em.deterministic_away(c.fmt, s, "rna"))
    kept, codes = [], []
    for i, value in enumerate(c.values):
        rounded = em.round_value(c.fmt, value, bool(away[i]), "rna", "inf")
        try:
            codes.append(em.encode_value(c.fmt, rounded))
            kept.append(i)
        except ValueError:
            out = np.full(1, 77)
            with pytest.raises(ValueError, match="no code"):
                pysr.encode(c.x[i : i + 1], c.format, "rna", out=out)
            assert out[0] == 77
    assert len(kept) > 50
    assert len(kept) < c.n
    got = pysr.encode(c.x[kept], c.format, "rna")
    assert got.dtype == np.int64
    assert got.view(np.uint64).tolist() == codes
    values = [em.carrier_bits(em.FLOAT64, em.decode_code(c.fmt, code)) for code in codes]
    decoded = pysr.decode(got, c.format)
    assert bits_of(decoded).tolist() == values
    assert (decoded == pysr.round(c.x[kept], c.format, "rna")).all()


def test_code_of_many_integers_is_the_nearest() -> None:
    """Where several multiples have one double, it has the code of the nearest; ties go to even."""
    fmt = pysr.GridFormat("0.1")
    assert pysr.encode(1e17, fmt) == 10**18
    assert pysr.decode(10**18 + 79, fmt) == 1e17
    assert pysr.encode(2.0**53 + 2, pysr.GridFormat("1/3")) == 3 * (2**53 + 2)
    half = pysr.GridFormat("4/3")
    x = float(2**60)
    k = int(Fraction(2**60) / Fraction(4, 3) * 2)
    assert abs(2 * int(pysr.encode(x, half)) - k) <= 1
    assert pysr.encode(-0.0, fmt) == 0
    assert not np.signbit(pysr.decode(0, fmt))


def test_codes_that_are_refused() -> None:
    fmt = pysr.GridFormat("0.1")
    stream = pysr.Philox(1)
    for bad in (np.nan, np.inf, -np.inf, 1e18, -1e300):
        x = np.array([0.5, 0.25, bad, np.nan])
        with pytest.raises(ValueError, match=r"index 2: .* has no code in grid:0.1"):
            pysr.encode(x, fmt, rng=stream)
        generator = np.random.default_rng(1)
        before = generator.bit_generator.state
        with pytest.raises(ValueError, match="index 2" if np.isinf(bad) else r"index [23]"):
            pysr.encode(x, fmt, rng=generator)
        assert generator.bit_generator.state == before
    assert stream.position == 0
    assert pysr.encode(9.2e17, fmt, "rne") == 9_200_000_000_000_000_000
    assert pysr.encode(np.inf, pysr.GridFormat(2**970), overflow="saturate") == 2**54 - 2
    wide = pysr.GridFormat(2**1000)
    assert np.isnan(pysr.decode(2**24, wide))
    assert pysr.decode(2**24 - 1, wide) == wide.max
    assert pysr.decode(-(2**63), fmt) == -float(2**63 / 10)


# ---- range -------------------------------------------------------------------------------------


def test_range() -> None:
    assert pysr.GridFormat("0.1").max == np.finfo(float).max
    wide = pysr.GridFormat(Fraction(11, 9) * 2**1021)
    largest = float(Fraction(11, 9) * 6 * 2**1021)
    assert (wide.max, wide.min) == (largest, -largest)
    x = np.finfo(float).max
    assert pysr.round(x, wide, "ra") == np.inf
    assert pysr.round(x, wide, "rd") == largest
    assert pysr.round(-x, wide, "ra", overflow="saturate") == -largest
    assert pysr.round(np.inf, wide, overflow="propagate") == np.inf
    assert np.isnan(pysr.round(x, wide, "ra", overflow="nan"))
    with pytest.raises(OverflowError, match="index 0"):
        pysr.round(x, wide, "ra", overflow="raise")
    with pytest.raises(ValueError, match="wrap"):
        pysr.round(x, wide, overflow="wrap")
    assert pysr.GridFormat(1, overflow="saturate").overflow == "saturate"


# ---- paths, layouts, threads -------------------------------------------------------------------

SWEEP = """
import hashlib
import numpy as np
import pysr

digest = hashlib.sha256()
generator = np.random.Generator(np.random.Philox(5))
inputs = [
    generator.integers(0, 2**64, 3001, dtype=np.uint64).view(np.float64),
    generator.integers(-2**40, 2**40, 3001) / 2**38,
    generator.integers(-2**40, 2**40, 3001) / 1000,
]
inputs[1][::97] = np.nan
for fmt in ("0.1", "1e-5", "1e-15", "1/3", "2/7", "5", "2**-8", "2**-1040", "1/3*2**-51", "2**900"):
    for mode in pysr.MODES:
        for x in inputs:
            kwargs = {}
            if mode == "sr_signed":
                kwargs["direction"] = np.where(np.isnan(x), 1, -x)
            y = pysr.round(x, "grid:" + fmt, mode, rng=7, eps=0.25, **kwargs)
            digest.update(y.tobytes())
    few = pysr.round(inputs[1], "grid:" + fmt, rng=7, random_bits=20, variant="c")
    digest.update(few.tobytes())
    if fmt != "2**-1040":
        digest.update(pysr.encode(np.nan_to_num(inputs[1]), "grid:" + fmt, rng=3).tobytes())
print(pysr.config()["path"], digest.hexdigest())
"""


def test_paths_agree() -> None:
    digests = set()
    for path in PATHS:
        code, printed, error = output_of(SWEEP, SRCORE_PATH=path)
        assert code == 0, error
        assert printed[0] == path
        digests.add(printed[1])
    assert len(digests) == 1


def test_layouts_and_places() -> None:
    """Neither strides, nor `out`, nor pieces, nor threads matter."""
    fmt = pysr.GridFormat("1/3")
    x = np.random.default_rng(1).standard_normal((37, 900))
    expected, codes = pysr.round(x, fmt, rng=7), pysr.encode(x, fmt, rng=7)
    for name, view in layouts(x):
        np.testing.assert_array_equal(pysr.round(view, fmt, rng=7), expected, err_msg=name)
        np.testing.assert_array_equal(pysr.encode(view, fmt, rng=7), codes, err_msg=name)
        for out in (np.zeros(x.shape, order="F"), np.zeros((37, 1800))[:, ::2], view.copy()):
            assert pysr.round(view, fmt, rng=7, out=out) is out
            np.testing.assert_array_equal(out, expected, err_msg=name)
    flat = x.ravel()
    for cut in (1, 7, 8, 1024, 5000):
        head = pysr.round(flat[:cut], fmt, rng=7)
        tail = pysr.round(flat[cut:], fmt, rng=7, offset=cut)
        np.testing.assert_array_equal(np.concatenate([head, tail]), expected.ravel())
    one, many = pysr.Philox(3), pysr.Philox(3)
    large = np.resize(x, 2**17 + 77)
    np.testing.assert_array_equal(
        pysr.round(large, fmt, rng=one, threads=1), pysr.round(large, fmt, rng=many, threads=3)
    )
    assert one.position == many.position == -(-large.size // 8)
    in_place = x.copy()
    assert pysr.round(in_place, fmt, rng=7, out=in_place) is in_place
    np.testing.assert_array_equal(in_place, expected)


def test_ufunc() -> None:
    x = np.linspace(-5, 5, 999)
    index = np.arange(999)
    rounding = pysr.ufunc("round", "grid:0.1", "sr", seed=7)
    assert (rounding(x, index) == pysr.round(x, "grid:0.1", rng=7)).all()
    nearest = pysr.ufunc("round", pysr.GridFormat("0.1"), "rne")
    assert (nearest(x) == pysr.round(x, "grid:0.1", "rne")).all()
    assert pickle.loads(pickle.dumps(nearest)) is nearest
    rows = pysr.gufunc("round", "grid:0.1", "sr", seed=7)
    assert (rows(x, 0) == pysr.round(x, "grid:0.1", rng=7)).all()


# ---- what is refused ---------------------------------------------------------------------------


def test_arithmetic_is_refused() -> None:
    """Before anything is drawn."""
    stream = pysr.Philox(1)
    message = "grids of any step round"
    with pytest.raises(ValueError, match=message):
        pysr.Arithmetic("grid:0.1", rng=stream)
    with pytest.raises(ValueError, match=r"formats\['add'\]=grid:0.1: " + message):
        pysr.Arithmetic("bfloat16", rng=stream, formats={"add": "grid:0.1"})
    a = np.ones((2, 2), np.float32)
    with pytest.raises(ValueError, match="products: .*" + message):
        pysr.Arithmetic("bfloat16", rng=stream).matmul(a, a, products=pysr.GridFormat("0.1"))
    for make in (pysr.ufunc, pysr.gufunc):
        for op in ("add", "sub", "mul", "div", "sqrt", "fma"):
            with pytest.raises(ValueError, match=message):
                make(op, "grid:0.1", "sr")
    with pytest.raises(TypeError, match="values of no dtype"):
        pysr.cast(1.0, "grid:0.1", rng=stream)
    with pytest.raises(ValueError, match="grid"):
        pysr.linalg.theory.unit_roundoff("grid:0.1", "sr")
    assert stream.position == 0


def test_float32_is_refused() -> None:
    fmt = pysr.GridFormat("0.1")
    assert fmt.fits(np.float64)
    assert not fmt.fits(np.float32)
    for x in (np.ones(3, np.float32), np.ones(3, np.float16), np.float32(1)):
        with pytest.raises(ValueError, match=r"float32 carrier .* float64 can"):
            pysr.round(x, fmt, rng=1)
        with pytest.raises(ValueError, match=r"float32 carrier .* float64 can"):
            pysr.encode(x, fmt, rng=1)
    with pytest.raises(ValueError, match="float32"):
        pysr.decode([1], fmt, dtype=np.float32)


@pytest.mark.parametrize(
    "step",
    [
        *("0", "-0.1", "", "a", "1/0", "1/3/5", "nan", "0.1 ", "٣", "1e99999", "1e-23", "2**99999"),
        *("2**1024", "2**-1075", "1/3*2**-9999", math.nan, math.inf, -0.5, 1e300, 0, -1),
        *(2**53 + 1, Fraction(1, 2**53 + 1), 3**34, 2**1024, Fraction(2) ** -1_300),
        *(Decimal("NaN"), Decimal(0), Decimal("1e-99999999"), Decimal("1e99999999")),
    ],
)
def test_steps_that_are_refused(step: Any) -> None:
    with pytest.raises(ValueError, match=f"step={re.escape(repr(step))}"):
        pysr.GridFormat(step)
    if isinstance(step, str):
        with pytest.raises(ValueError, match=re.escape(f"fmt={'grid:' + step!r}: step=")):
            pysr.format("grid:" + step)


def test_step_of_many_digits() -> None:
    for step in (Fraction(2) ** -1_000_000, 7**1_000_000, -(7**1_000_000)):
        with pytest.raises(ValueError, match=r"step=.* of too many digits to print"):
            pysr.GridFormat(step)


@pytest.mark.parametrize("step", [None, True, 1j, b"0.1", [0.1], np.array([1.0])])
def test_steps_that_are_no_numbers(step: Any) -> None:
    with pytest.raises(TypeError, match="step must be"):
        pysr.GridFormat(step)


def test_other_arguments() -> None:
    with pytest.raises(TypeError, match="name must be"):
        pysr.GridFormat(1, name=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="overflow='wrap'"):
        pysr.GridFormat(1, overflow="wrap")


# ---- the object --------------------------------------------------------------------------------

TEXTS = {
    "0.1": Fraction(1, 10),
    "0.00390625": em.power_of_two(-8),
    "1e-15": Fraction(1, 10**15),
    "12.5": Fraction(25, 2),
    "1/3": Fraction(1, 3),
    "2/7": Fraction(2, 7),
    "5": Fraction(5),
    "100": Fraction(100),
    "1e22": Fraction(10**22),
    "2**-1040": em.power_of_two(-1040),
    "2**900": em.power_of_two(900),
    "3*2**900": 3 * em.power_of_two(900),
    "1/3*2**-900": em.power_of_two(-900) / 3,
}


@pytest.mark.parametrize("text", TEXTS)
def test_names(text: str) -> None:
    """Strings, names and representations say the same step, and what is plain stays plain."""
    fmt = pysr.GridFormat(text)
    assert fmt.step == TEXTS[text]
    assert str(fmt) == fmt.name == f"grid:{fmt.step if text in ('100',) else text}"
    assert pysr.format(fmt.name) == fmt == pysr.GridFormat(TEXTS[text])
    assert eval(repr(fmt), {"GridFormat": pysr.GridFormat}) == fmt
    assert repr(fmt).startswith("GridFormat('")
    assert fmt.smallest == float(TEXTS[text])


@pytest.mark.parametrize("name", STEPS)
def test_names_of_all_steps(name: str) -> None:
    fmt = pysr.GridFormat(STEPS[name])
    assert fmt.step == STEPS[name]
    assert pysr.format(str(fmt)) == fmt
    assert len(str(fmt)) < 60


def test_steps_of_every_kind() -> None:
    tenth = pysr.GridFormat("0.1")
    for step in (0.1, np.float64(0.1), np.float32(0.1), Decimal("0.1"), Fraction(1, 10), "1/10"):
        assert pysr.GridFormat(step) == tenth
    for step in ("1e-1", ".1", "0.10", "3/30", "0.2/2", "2/5*2**-2"):
        assert pysr.GridFormat(step) == tenth
    assert pysr.GridFormat(3) == pysr.GridFormat(np.int8(3)) == pysr.GridFormat(3.0)
    assert tenth != pysr.GridFormat("0.3")
    assert tenth != pysr.GridFormat("0.1", overflow="nan")
    assert tenth == pysr.GridFormat("0.1", name="tenths")
    assert hash(tenth) == hash(pysr.GridFormat("0.1", name="tenths"))
    assert pysr.GridFormat("2**-8") != pysr.FixedFormat(3, 8)


def test_object() -> None:
    fmt = pysr.GridFormat("1/3", overflow="nan", name="thirds")
    assert str(fmt) == "thirds"
    assert repr(fmt) == "GridFormat('1/3', overflow='nan', name='thirds')"
    for again in (pickle.loads(pickle.dumps(fmt)), copy.copy(fmt), copy.deepcopy(fmt)):
        assert again == fmt
        assert (again.name, again.overflow, again.step) == ("thirds", "nan", Fraction(1, 3))
    assert fmt.precision is fmt.emin is fmt.emax is fmt.qmin is None
    assert fmt.bits == 64
    assert fmt.code_dtype == np.int64
    assert fmt.infinities
    assert fmt.negative_zero
    assert not fmt.nan
    with pytest.raises(AttributeError):
        fmt.step = 1  # type: ignore[misc]


def test_significant_bits() -> None:
    runs = np.stack([pysr.round(np.full(9, 0.37), "grid:0.01", rng=seed) for seed in range(30)])
    assert (pysr.significant_bits(runs) > 0).all()
