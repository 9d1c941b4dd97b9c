"""Make the test vectors of docs/vectors/ from the exact model in tests/exact_model.py.

Run it without arguments to write them beside this script, or with a directory to write them there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

import exact_model as model  # noqa: E402

FORMATS = dict(model.NAMED)
for _fmt in (
    model.float_format("custom_binary", 4, 4),
    model.float_format("custom_free_emin", 5, 2, -9, max=6, infinities=False),
    model.float_format("custom_one_bit", 1, 4, -3),
    model.float_format("custom_one_bit_no_zero", 1, 4, -3, zero=False, subnormals=False),
    model.float_format("custom_no_subnormals", 4, 8, -6, subnormals=False),
    model.float_format("custom_unsigned", 4, 7, signed=False),
    model.float_format("custom_unsigned_finite", 3, 3, signed=False, infinities=False, nan=False),
    model.float_format("custom_no_zero", 3, 4, zero=False, subnormals=False),
    model.float_format("custom_no_negative_zero", 3, 4, negative_zero=False),
    model.float_format("custom_finite", 2, 2, 0, negative_zero=False, infinities=False, nan=False),
    model.fixed_format(3, 8),
    model.fixed_format(0, 8, signed=False),
    model.fixed_format(0, 7),
    model.fixed_format(4, -2),
    model.grid_format(Fraction(1, 10), "grid:0.1"),
    model.grid_format(Fraction(1, 3), "grid:1/3"),
    model.grid_format(Fraction(1, 10**15), "grid:1e-15"),
    model.grid_format(Fraction(1, 256), "grid:2**-8"),
    model.grid_format(Fraction(2**1021, 7), "grid:1/7*2**1021"),
):
    FORMATS[_fmt.name] = _fmt
CARRIERS = {"float32": model.FLOAT32, "float64": model.FLOAT64}
TOP = model.FLOAT64.max_code
At = tuple[int, int, int, int]  # seed, stream, block, index


class How(NamedTuple):
    """A mode and its arguments, as the columns of the files have them."""

    mode: str
    random_bits: str = "-"
    variant: str = "-"
    eps: str = "-"
    direction: str = "-"

    @property
    def bits(self) -> int:
        """How many bits T has."""
        if self.mode == "sr":
            return 16 if self.random_bits == "exact" else int(self.random_bits)
        return 16 if self.mode == "sr_equal" else 32

    @property
    def width(self) -> int:
        """The width of an element's word."""
        return model.word_width(self.mode, self.random_bits)


def few(r: int, variant: str) -> How:
    return How("sr", str(r), variant)


EXACT = How("sr", "exact")
EQUAL = How("sr_equal")
EPS = How("sr_eps", eps="0.25")
SIGNED = How("sr_signed", eps="0.1", direction="-1")
FEW = [few(r, v) for r, v in zip((1, 3, 5, 8, 16, 24, 64), "abcabac", strict=True)]


def is_away(fmt: model.Format, x: model.Value, how: How, word: int, at: At) -> bool:
    """Tell whether x goes away, given T, and in the exact mode where it is refined from."""
    if not model.needs_rounding(fmt, x):
        return False
    s = model.split(fmt, x)
    if how.mode in model.DETERMINISTIC:
        return model.deterministic_away(fmt, s, how.mode)
    if how.mode == "sr_equal":
        return model.sr_equal_away(s.phi, word)
    if how.mode == "sr_eps":
        return model.sr_eps_away(s.phi, float(how.eps), word)
    if how.mode == "sr_signed":
        return model.sr_signed_away(s.phi, s.negative, float(how.eps), float(how.direction), word)
    if how.random_bits == "exact":
        return model.sr_exact_away(s.phi, word, lambda level: model.refinement(*at, level))
    return model.sr_away(s.phi, how.bits, word, how.variant)


def columns(
    name: str, how: How, x: int, rule: str, carrier: str, word: int, at: At = (0, 0, 0, 0)
) -> tuple[str, str]:
    """Return what comes before and what comes after the word in a line."""
    fmt, box = FORMATS[name], CARRIERS[carrier]
    value = model.carrier_value(box, x)
    rule_used = fmt.default_overflow if rule == "-" else rule
    digits = box.bits // 4
    before = f"{name} {' '.join(how)} {rule} {carrier} {x:0{digits}x}"
    try:
        away = is_away(fmt, value, how, word, at)
        result = model.round_value(fmt, value, away, how.mode, rule_used)
    except model.Overflow:
        return before, "OverflowError OverflowError"
    try:
        code = f"{model.encode_value(fmt, result):0{fmt.storage_bits // 4}x}"
    except ValueError:
        code = "ValueError"
    return before, f"{model.carrier_bits(box, result):0{digits}x} {code}"


def given(
    name: str, how: How, x: int, word: int | None = None, rule: str = "-", carrier: str = "float32"
) -> str:
    """Return a line of given_words.txt."""
    before, after = columns(name, how, x, rule, carrier, word or 0)
    return f"{before} {'-' if word is None else format(word, f'0{-(-how.bits // 4)}x')} {after}"


def pattern(x: Fraction | float, carrier: str = "float32") -> int:
    """Return the carrier's bits for a number that it holds."""
    return model.carrier_bits(CARRIERS[carrier], model.finite(x < 0, abs(Fraction(x))))


def edge(name: str, how: How, x: int, carrier: str = "float32") -> list[str]:
    """Return the lines of the last word that goes down and the first that goes away."""
    fmt, value = FORMATS[name], model.carrier_value(CARRIERS[carrier], x)
    low, high = 0, 1 << how.bits
    while low < high:
        middle = (low + high) // 2
        if is_away(fmt, value, how, middle, (0, 0, 0, 0)):
            high = middle
        else:
            low = middle + 1
    words = [w for w in (low - 1, low) if 0 <= w < 1 << how.bits]
    return [given(name, how, x, w, carrier=carrier) for w in words]


def between(fmt: model.Format, at: Fraction | int, phi: float) -> Fraction:
    """Return `at`, a grid point, plus phi of its quantum."""
    return at + Fraction(phi) * model.power_of_two(model.quantum_exponent(fmt, abs(Fraction(at))))


# ---------------------------------------------------------------------------------------------
# The files


def formats_file() -> Iterator[str]:
    for name, fmt in FORMATS.items():
        if fmt.p is None:
            continue
        flags = (fmt.subnormals, fmt.infinities, fmt.nan, fmt.negative_zero, fmt.zero, fmt.signed)
        codes = [f"{fmt.max_code:x}"]
        for value in (model.infinity(False), model.made_nan(False), model.made_nan(True)):
            try:
                codes.append(f"{model.encode_value(fmt, value):x}")
            except ValueError:
                codes.append("-")
        yield " ".join(
            [
                f"{name} {fmt.p} {fmt.emin} {pattern(fmt.max, 'float64'):016x}",
                *("y" if flag else "n" for flag in flags),
                f"{fmt.default_overflow} {fmt.bits}",
                *codes,
            ]
        )


def codes_file() -> Iterator[str]:
    for name, fmt in FORMATS.items():
        if fmt.fixed:
            top = (1 << fmt.storage_bits) - 1
            last = (1 << (fmt.bits - fmt.signed)) - 1
            codes = {0, 1, last, last // 3}
            if fmt.signed:
                codes |= {top, top - last, top - last // 3}
        elif fmt.step:
            codes = {0, 1, 2, 3, 10, 12345, 2**53 + 1, 10**17 + 3, 2**63 - 1}
            codes |= {2**64 - code for code in codes if code} | {2**63}
        else:
            ones, sign = (1 << fmt.magnitude_bits) - 1, 1 << fmt.magnitude_bits
            codes = {0, 1, fmt.max_code // 3, fmt.max_code, min(fmt.max_code + 1, ones), ones}
            if fmt.signed:
                codes |= {sign, sign | fmt.max_code, sign | ones}
        for code in sorted(codes):
            value = model.decode_code(fmt, code)
            bits = model.carrier_bits(model.FLOAT64, value)
            yield f"{name} {code:0{fmt.storage_bits // 4}x} {bits:016x}"


def given_words_file() -> Iterator[str]:
    yield "# one value, every mode"
    for x in map(Fraction, (1.375, 2.5, -2.5)):
        for mode in model.DETERMINISTIC:
            yield given("Q4.-2", How(mode), pattern(4 * x))
            yield given("float4_e2m1fn", How(mode), pattern(x))
    yield "# ties and odd numbers with one bit of precision"
    for name in ("custom_one_bit", "custom_one_bit_no_zero"):
        for at in (Fraction(3, 16), Fraction(3, 2), 3):
            for mode in ("rne", "rna", "rnz", "ro"):
                yield given(name, How(mode), pattern(at))
    yield "# the last word that goes down and the first that goes away"
    yield from edge("bfloat16", few(16, "a"), 0x3F80A000)
    for variant in "abc":
        yield from edge("bfloat16", few(2, variant), pattern(1 + Fraction(3, 8) / 128))
    for variant in "bc":
        yield from edge("bfloat16", few(2, variant), pattern(1 + Fraction(1, 8) / 128))
    for name in ("bfloat16", "float8_e5m2", "Q3.8"):
        for how in (*FEW, EQUAL, EPS, SIGNED):
            x = between(FORMATS[name], -3 if how is SIGNED else 3, 0.3)
            yield from edge(name, how, pattern(Fraction(round(x * (1 << 22)), 1 << 22)))
    for tiny in (Fraction(1, 1 << 20), 1 - Fraction(1, 1 << 20)):
        for how in (few(8, "a"), few(8, "b"), few(8, "c"), EQUAL, EPS):
            yield from edge("bfloat16", how, pattern(1 + tiny / 128, "float64"), "float64")
    for direction in ("1", "-1", "0", "-0.0"):
        how = How("sr_signed", eps="0.5", direction=direction)
        yield from edge("binary32", how, pattern(1 + 2.0**-25, "float64"), "float64")
    yield "# far below the smallest quantum"
    for how in (few(64, "a"), few(64, "b"), EQUAL, How("sr_eps", eps="1e-09"), few(11, "c")):
        yield from edge("float8_e4m3fn", how, 1, "float64")
    yield "# at the end of the range"
    for word in (0x7FFF, 0x8000):
        yield given("float16", few(16, "a"), pattern(65520), word)
    for name in ("float8_e4m3fn", "float6_e3m2fn", "float8_e4m3", "Q3.8"):
        x = between(FORMATS[name], FORMATS[name].max, 0.25)
        yield from edge(name, few(16, "a"), pattern(x))
        yield from edge(name, few(16, "a"), pattern(-x))
    yield "# beyond the range: every mode and rule"
    some = "float8_e5m2 float8_e4m3fn float4_e2m1fn UQ0.8 custom_unsigned float8_e8m0fnu"
    for fmt in map(FORMATS.__getitem__, some.split()):
        big = 2.0**127 * 1.75 if fmt.emax > 100 else 1e5 + 0.5
        for rule in fmt.overflows:
            for bits in (pattern(big), pattern(-big), 0x7F800000, 0xFF800000):
                yield given(fmt.name, How("rne"), bits, rule=rule)
    for name in ("float8_e5m2", "float8_e4m3fn", "custom_unsigned"):
        for mode in ("rz", "ra", "ru", "rd", "ro"):
            for sign in (1, -1):
                yield given(name, How(mode), pattern(sign * 1e5))
    yield "# wrap"
    for far in (8, 8 + 2.0**-9, -8 - 3 * 2.0**-9, 100.3, -(2.0**20) - 7.125, 1e300):
        for name in ("Q3.8", "UQ0.8"):
            bits = pattern(far, "float64")
            yield given(name, How("rna"), bits, rule="wrap", carrier="float64")
    yield "# NaN, zero"
    some = "binary32 bfloat16 float8_e5m2fnuz float6_e2m3fn Q3.8 custom_no_negative_zero"
    for name in (*some.split(), "custom_no_zero", "float8_e8m0fnu", "custom_unsigned"):
        for bits in (0x7F800001, 0xFFFFFFFF, 0, 0x80000000, 0x80000001):
            yield given(name, How("rz"), bits)
    for bits in (0x7FF0000000000001, 0xFFF8000000000123):
        yield given("float16", How("rne"), bits, carrier="float64")
    yield "# without subnormals"
    for phi in (0.25, 0.5, 0.75):
        for mode in ("rne", "rna", "ru", "ro"):
            yield given("custom_no_subnormals", How(mode), pattern(-phi * 2.0**-6))
        yield from edge("custom_no_subnormals", few(8, "a"), pattern(phi * 2.0**-6))
    yield from grid_words()


def grid_words() -> Iterator[str]:
    """Return the lines of given_words.txt on grids of any step."""

    def lines(name: str, how: How, x: Fraction | float) -> list[str]:
        bits = pattern(x, "float64")
        if how.mode in model.DETERMINISTIC:
            return [given(name, how, bits, carrier="float64")]
        return edge(name, how, bits, "float64")

    yield "# grids: points, their neighbours, ties"
    for x in (0.3, 0.1 + 0.2, -0.25, 0.35, 1e-320, -1e17, 123456.789):
        for mode in model.DETERMINISTIC:
            yield from lines("grid:0.1", How(mode), x)
    for x in (-1.001953125, 1.005859375):
        for mode in model.DETERMINISTIC:
            yield from lines("grid:2**-8", How(mode), x)
    yield "# grids: the last word that goes down and the first that goes away"
    for name in ("grid:1/3", "grid:0.1", "grid:1e-15"):
        for how in (few(16, "a"), *FEW, EQUAL, EPS, SIGNED):
            yield from lines(name, how, 1 / 7)
            yield from lines(name, how, -(2.0**-60) / 7)
    yield "# grids: at the end of the range, and beyond"
    fmt = FORMATS["grid:1/7*2**1021"]
    for rule in fmt.overflows:
        for bits in (TOP, TOP | 1 << 63, TOP + 1, TOP + 2):
            yield given(fmt.name, How("ra"), bits, rule=rule, carrier="float64")
    for mode in ("rz", "ru", "rd", "ro", "rne"):
        for bits in (TOP, TOP | 1 << 63, 1 << 63):
            yield given(fmt.name, How(mode), bits, carrier="float64")


def keystream_file() -> Iterator[str]:
    top, last = (1 << 64) - 1, (1 << 48) - 1
    large = (0x0123456789ABCDEF, 0xABCDEF012345, 1 << 32)
    starts = [(0, 0, 0), (42, 0, 0), (1, 2, 3), large, (top, last, top)]
    for seed, stream, block in starts:
        for width in (8, 16, 32, 64):
            for i in (1, 128 // width):
                word = model.element_word(seed, stream, block, i, width)
                yield f"word {seed} {stream} {block} {width} {i} {word:0{width // 4}x}"
    for seed, stream, block in starts:
        for i, level in ((0, 1), (5, 1), (1000, 2)):
            bits = model.refinement(seed, stream, block, i, level)
            yield f"refine {seed} {stream} {block} {i} {level} {bits:032x}"
    for seed, stream, _ in starts:
        source = model.Stream(seed, stream)
        for what in ("uint32", "uint64", "double", "uint32", "double"):
            draw = getattr(source, what)()
            shown = draw.hex() if what == "double" else draw
            yield f"draw {seed} {stream} {source.words} {what} {shown}"
    for seed, stream, _ in starts:
        for j in (0, 1, 7):
            yield f"child {seed} {stream} {j} {model.spawned_seed(seed, stream, j)}"


def drawn(at: At, name: str, how: How, x: int, carrier: str) -> str:
    """Return a line of drawn_words.txt."""
    word = model.element_word(*at, how.width) >> (how.width - how.bits)
    before, after = columns(name, how, x, "-", carrier, word, at)
    return f"{' '.join(map(str, at))} {before} {after}"


def refined(at: At, open_bits: int, ends: bool = False) -> str:
    """Return a bfloat16 case in which the first `open_bits` digits of phi are not those of U.

    The next digit of phi is that of U, and the last; with `ends`, phi has none beyond `open_bits`.
    """
    u = model.element_word(*at, 16) << 128 | model.refinement(*at, 1)
    digits = [1 - (u >> (143 - k) & 1) for k in range(open_bits)]
    digits += [0 if ends else u >> (143 - open_bits) & 1]
    phi = sum(d * model.power_of_two(-k - 1) for k, d in enumerate(digits))
    return drawn(at, "bfloat16", EXACT, pattern(1 + phi / 128, "float64"), "float64")


def on_grid(at: At, name: str, k: int) -> str:
    """Return a case on a grid in which the first 16 digits of phi are not those of U."""
    fmt = FORMATS[name]
    assert fmt.step
    here, following = (model.grid_point(fmt.step, n) for n in (k, k + 1))
    phi = Fraction(2 * (0xFFFF - model.element_word(*at, 16)) + 1, 1 << 17)
    x = model.nearest_double(here + phi * (following - here))
    word = model.element_word(*at, 16)
    assert model.sr_exact_undecided(model.split(fmt, model.finite(False, x)).phi, word)
    return drawn(at, name, EXACT, pattern(x, "float64"), "float64")


def drawn_words_file() -> Iterator[str]:
    yield "# refinement: after digits that all differ, phi and U have one in common, or phi ends"
    for open_bits, indices in ((16, (0, 1, 2, 3)), (17, (4, 5)), (30, (6, 7)), (44, (8, 9))):
        for i in indices:
            yield refined((1, 0, 0, i), open_bits)
    for open_bits, i in ((16, 10), (20, 11), (45, 12)):
        yield refined((1, 0, 0, i), open_bits, ends=True)
    for at in ((7, 5, 3, 17), (7, (1 << 48) - 1, (1 << 64) - 1, 20), (7, 0, 0, (1 << 64) - 20)):
        yield refined(at, 18)
    yield "# refinement far below the smallest quantum: these elements' words are ffff"
    for at in ((1, 0, 0, 69), (1101, 0, 0, 156), (2428, 0, 0, 34), (3371, 0, 0, 128)):
        yield drawn(at, "float8_e4m3fn", EXACT, pattern(2.0**-26), "float32")
        yield drawn(at, "Q3.8", EXACT, pattern(-(2.0**-26), "float64"), "float64")
        yield drawn(at, "float8_e5m2", EXACT, 1, "float64")
    yield "# the greatest phi that goes down and the least that goes away, in 32 digits"
    for at in ((0, 0, 0, 3), (5, 0, 0, 1000), (5, 1, 2, 3), ((1 << 64) - 1, 9, 1 << 63, 77)):
        for how in (EXACT, few(3, "b"), few(5, "c"), few(16, "b"), few(24, "a"), few(64, "c")):
            r = min(how.bits, 32)
            t = model.element_word(*at, how.width) >> (how.width - r)
            for down in (1, 0):
                phi = Fraction((1 << r) - t - down, 1 << r)
                if 0 < phi < 1:
                    yield drawn(at, "bfloat16", how, pattern(1 + phi / 128, "float64"), "float64")
    yield "# grids of any step: refinement of digits that have no end"
    for i in range(6):
        yield on_grid((1, 0, 0, i), "grid:0.1", 3 * i)
        yield on_grid((7, 5, 3, i), "grid:1/3", i)
    yield "# every stochastic mode on neighbouring elements"
    for how in (EXACT, few(4, "b"), few(12, "a"), few(33, "c"), EQUAL, EPS, SIGNED):
        for i in range(4):
            x = pattern((-1) ** i * 3.3, "float64")
            yield drawn((2026, 0, 0, i), "float8_e4m3fn", how, x, "float64")
            yield drawn((2026, 0, 0, i), "grid:1/3", how, x, "float64")


def refinement_file() -> Iterator[str]:
    fmt = FORMATS["Q3.8"]
    for x in (0x3FC5555555555555, 0x3650000000000001, 0x2D3FFFFFFFFFFFFF, 1, 0x0008000000000003):
        value = model.carrier_value(model.FLOAT64, x)
        phi = model.split(fmt, value).phi
        end = phi.denominator.bit_length() - 1
        levels = max(0, -(-(end - 16) // 128))
        width = 16 + 128 * levels
        digits = model.scaled_floor(phi, width)
        first, last = digits.bit_length() - 1, width - end
        # U differs from phi in every digit, then in every digit but one
        for same in (None, last, last + 1, first - 20, first - 1, first, width - 16, width - 1):
            u = ~digits & ((1 << width) - 1) ^ (0 if same is None else 1 << same)
            blocks = [u >> 128 * k & ((1 << 128) - 1) for k in reversed(range(levels))]
            away = model.sr_exact_away(phi, u >> (width - 16), [0, *blocks].__getitem__)
            result = model.round_value(fmt, value, away, "sr", "saturate")
            yield " ".join(
                (
                    f"{x:016x} {u >> (width - 16):04x}",
                    ",".join(f"{block:032x}" for block in blocks),
                    f"{model.carrier_bits(model.FLOAT64, result):016x}",
                )
            )


def files() -> dict[str, Iterable[str]]:
    """Return the lines of every file."""
    return {
        "formats.txt": formats_file(),
        "codes.txt": codes_file(),
        "given_words.txt": given_words_file(),
        "keystream.txt": keystream_file(),
        "drawn_words.txt": drawn_words_file(),
        "refinement.txt": refinement_file(),
    }


def main(directory: Path = HERE / "vectors") -> None:
    """Write the files to a directory."""
    for name, lines in files().items():
        text = "".join(f"{line}\n" for line in dict.fromkeys(lines))
        (directory / name).write_text(text, encoding="ascii", newline="\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
