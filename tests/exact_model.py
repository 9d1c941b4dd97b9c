"""Stochastic rounding, exactly: the definition in Python integers and fractions.

An independent model of what the library must return, to the last bit. It is written for reading,
shares nothing with the library, and is slow. Part one describes formats and their codes, part two
rounds one value, part three is the range, part four is the keystream, part five is one operation,
part six sums and products of many terms.

A value is split once (`split`) and then decided by as many modes as wanted. Example::

    fmt = NAMED["bfloat16"]
    x = carrier_value(FLOAT32, 0x3F80C000)          # 1.005859375
    away = sr_away(split(fmt, x).phi, 8, word=0x40)
    y = round_value(fmt, x, away, "sr", "inf")
    carrier_bits(FLOAT32, y)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache, cached_property
from math import isqrt
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

MODES = ("rne", "rna", "rnz", "rz", "ra", "ru", "rd", "ro", "sr", "sr_equal", "sr_eps", "sr_signed")
DETERMINISTIC = MODES[:8]
OVERFLOWS = ("inf", "saturate", "propagate", "nan", "wrap", "raise")

ZERO = Fraction(0)


@cache
def power_of_two(k: int) -> Fraction:
    """Return 2^k."""
    return Fraction(1 << k) if k >= 0 else Fraction(1, 1 << -k)


def scaled_floor(x: Fraction, k: int) -> int:
    """Return the integer part of x 2^k, for x >= 0 and k >= 0."""
    return (x.numerator << k) // x.denominator


def scaled_rne(x: Fraction, k: int) -> int:
    """Return x 2^k rounded to an integer, ties to even, for x >= 0 and k >= 0."""
    whole, rest = divmod(x.numerator << k, x.denominator)
    return whole + (2 * rest + whole % 2 > x.denominator)


def divided(x: Fraction, q: int) -> tuple[int, Fraction]:
    """Return the whole and the broken part of x / 2^q, for x >= 0."""
    n, d = (x.numerator << -q, x.denominator) if q < 0 else (x.numerator, x.denominator << q)
    whole, rest = divmod(n, d)
    return whole, Fraction(rest, d) if rest else ZERO


def units(x: Fraction, q: int) -> int:
    """Return x / 2^q, which must be an integer."""
    whole, broken = divided(x, q)
    assert broken == 0, "not on the grid"
    return whole


def exponent_of(x: Fraction) -> int:
    """Return e with 2^e <= x < 2^(e+1), for x > 0."""
    n, d = x.numerator, x.denominator
    e = n.bit_length() - d.bit_length()
    below = n < (d << e) if e >= 0 else (n << -e) < d
    return e - 1 if below else e


# ---------------------------------------------------------------------------------------------
# Values


class Value(NamedTuple):
    """A finite number, an infinity or a NaN, with its sign."""

    kind: str
    negative: bool
    magnitude: Fraction = Fraction(0)
    payload: int = 0


def finite(negative: bool, magnitude: Fraction) -> Value:
    return Value("finite", negative, magnitude)


def infinity(negative: bool) -> Value:
    return Value("infinite", negative)


def made_nan(negative: bool) -> Value:
    """Return the NaN that rounding makes: quiet, no payload, the sign of x."""
    return Value("nan", negative)


# ---------------------------------------------------------------------------------------------
# Part one: formats


@dataclass(frozen=True)
class Format:
    """A grid and a range. `p` is None for fixed point, and for a grid of any step, with `step`."""

    name: str
    p: int | None
    emin: int
    max: Fraction
    subnormals: bool = True
    infinities: bool = True
    nan: bool = True
    negative_zero: bool = True
    zero: bool = True
    signed: bool = True
    int_bits: int = 0
    frac_bits: int = 0
    step: Fraction | None = None

    @property
    def fixed(self) -> bool:
        return self.p is None and self.step is None

    @cached_property
    def precision(self) -> int:
        assert self.p is not None
        return self.p

    @cached_property
    def emax(self) -> int:
        return exponent_of(self.max)

    @cached_property
    def qmin(self) -> int:
        return -self.frac_bits if self.p is None else self.emin - self.p + 1

    @cached_property
    def min(self) -> Fraction:
        if not self.signed:
            return Fraction(0) if self.zero else self.smallest
        return -power_of_two(self.int_bits) if self.fixed else -self.max

    @cached_property
    def smallest(self) -> Fraction:
        """The smallest positive value."""
        if self.fixed or self.subnormals:
            return power_of_two(self.qmin)
        return power_of_two(self.emin)

    @cached_property
    def default_overflow(self) -> str:
        if self.fixed:
            return "saturate"
        return "inf" if self.infinities else "nan" if self.nan else "saturate"

    @cached_property
    def overflows(self) -> tuple[str, ...]:
        """The overflow rules that the format can carry out."""
        if self.fixed:
            return ("saturate", "nan", "wrap", "raise")
        rules = ["saturate", "raise"]
        if self.infinities:
            rules += ["inf", "propagate"]
        if self.nan or self.step:
            rules += ["nan"]
        return tuple(rules)

    # Codes

    @cached_property
    def max_code(self) -> int:
        return magnitude_code(self, self.max)

    @cached_property
    def infinity_code(self) -> int:
        """Magnitude code of infinity."""
        return (self.emax - self.emin + 2) << (self.precision - 1)

    @cached_property
    def all_ones_is_nan(self) -> bool:
        """Where the NaN of a format without infinities is: all ones, or the sign bit alone.

        The sign bit alone is free only where it would be -0; without a zero it is the negative
        value nearest to zero.
        """
        return self.negative_zero or not self.signed or not self.zero

    @cached_property
    def magnitude_bits(self) -> int:
        if self.infinities:
            top = self.infinity_code
            if self.nan:
                top += 1 if self.precision == 1 else 1 << (self.precision - 2)
            return top.bit_length()
        if self.nan and self.all_ones_is_nan:
            return (self.max_code + 1).bit_length()
        return max(1, self.max_code.bit_length())

    @cached_property
    def bits(self) -> int:
        """Code width."""
        if self.fixed:
            return self.int_bits + self.frac_bits + self.signed
        if self.step:
            return 64
        return self.magnitude_bits + self.signed

    @cached_property
    def storage_bits(self) -> int:
        return next(n for n in (8, 16, 32, 64) if n >= self.bits)


def float_format(name: str, p: int, emax: int, emin: int | None = None, **fields: Any) -> Format:
    """Describe a float format; without `max` it ends at (2 - 2^(1-p)) 2^emax."""
    top = fields.pop("max", (2 - power_of_two(1 - p)) * power_of_two(emax))
    fmt = Format(name, p, 1 - emax if emin is None else emin, Fraction(top), **fields)
    if not fmt.signed or not fmt.zero:
        fmt = replace(fmt, negative_zero=False)
    return fmt


def fixed_format(int_bits: int, frac_bits: int, signed: bool = True) -> Format:
    """Describe a fixed-point format; `int_bits` does not count the sign."""
    top = power_of_two(int_bits) - power_of_two(-frac_bits)
    return Format(
        f"{'' if signed else 'U'}Q{int_bits}.{frac_bits}",
        None,
        0,
        top,
        infinities=False,
        nan=False,
        negative_zero=False,
        signed=signed,
        int_bits=int_bits,
        frac_bits=frac_bits,
    )


def nearest_double(x: Fraction) -> Fraction:
    """Return the double nearest to x > 0, ties to even, as if exponents had no upper limit."""
    q = max(exponent_of(x) - 52, -1074)
    whole, rest = divided(x, q)
    up = rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2 == 1)
    return (whole + up) * power_of_two(q)


def grid_point(step: Fraction, k: int) -> Fraction:
    return nearest_double(k * step) if k else Fraction(0)


def last_point_not_above(step: Fraction, magnitude: Fraction) -> int:
    """Return the greatest k with g_k <= magnitude, by bisection: points are in order."""
    about = magnitude / step
    reach = 2 + int(about * power_of_two(-52) + power_of_two(-1074) / step)
    low, high = max(0, int(about) - reach), int(about) + reach
    assert grid_point(step, low) <= magnitude < grid_point(step, high)
    while high - low > 1:
        middle = (low + high) // 2
        if grid_point(step, middle) <= magnitude:
            low = middle
        else:
            high = middle
    return low


def grid_format(step: Fraction, name: str) -> Format:
    """Describe the multiples of a number, each the nearest double."""
    largest = (2 - power_of_two(-52)) * power_of_two(1023)
    top = grid_point(step, last_point_not_above(step, largest))
    return Format(name, None, 0, top, nan=False, step=step)


_FN = {"infinities": False}
_FNUZ = {"infinities": False, "negative_zero": False}
_FINITE = {"infinities": False, "nan": False}

NAMED: dict[str, Format] = {
    fmt.name: fmt
    for fmt in (
        float_format("binary64", 53, 1023),
        float_format("binary32", 24, 127),
        float_format("float16", 11, 15),
        float_format("bfloat16", 8, 127),
        float_format("tf32", 11, 127),
        float_format("float8_e5m2", 3, 15),
        float_format("float8_e4m3", 4, 7),
        float_format("float8_e3m4", 5, 3),
        float_format("float8_e4m3fn", 4, 8, -6, max=448, **_FN),
        float_format("float8_e5m2fnuz", 3, 15, -15, **_FNUZ),
        float_format("float8_e4m3fnuz", 4, 7, -7, **_FNUZ),
        float_format("float8_e4m3b11fnuz", 4, 4, -10, **_FNUZ),
        float_format(
            "float8_e8m0fnu", 1, 127, -127, signed=False, zero=False, subnormals=False, **_FN
        ),
        float_format("float6_e2m3fn", 4, 2, 0, **_FINITE),
        float_format("float6_e3m2fn", 3, 4, -2, **_FINITE),
        float_format("float4_e2m1fn", 2, 2, 0, **_FINITE),
    )
}

FLOAT32 = NAMED["binary32"]
FLOAT64 = NAMED["binary64"]


def fits(fmt: Format, carrier: Format) -> bool:
    """Tell whether the carrier holds every value of the format."""
    if fmt.step:
        return carrier.p == 53
    if fmt.qmin < carrier.qmin or max(fmt.max, -fmt.min) > carrier.max:
        return False
    return (fmt.int_bits + fmt.frac_bits if fmt.p is None else fmt.p) <= carrier.precision


def quantum_exponent(fmt: Format, magnitude: Fraction) -> int:
    """Return q(x), the exponent of the grid's spacing at x, for x > 0."""
    if fmt.p is None:
        return fmt.qmin
    e = exponent_of(magnitude)
    if not fmt.subnormals and e < fmt.emin:
        return fmt.emin
    return max(e - fmt.p + 1, fmt.qmin)


def magnitude_code(fmt: Format, magnitude: Fraction) -> int:
    """Return field 2^(p-1) + fraction of a finite value of a float format."""
    p = fmt.precision
    if magnitude == 0:
        return 0
    e = exponent_of(magnitude)
    if e < fmt.emin:
        return units(magnitude, fmt.qmin)
    field = e - fmt.emin + (1 if fmt.zero else 0)
    significand = units(magnitude, e - p + 1)
    return (field << (p - 1)) + significand - (1 << (p - 1))


def encode_value(fmt: Format, x: Value) -> int:
    """Return the code of a value of the format, as an unsigned integer `storage_bits` wide.

    Raises ValueError for a NaN or an infinity that the format does not have.
    """
    if fmt.fixed:
        if x.kind != "finite":
            raise ValueError(f"{fmt.name} has no code for {x.kind}")
        quanta = units(x.magnitude, fmt.qmin)
        return (-quanta if x.negative else quanta) % (1 << fmt.storage_bits)
    if fmt.step:
        if x.kind != "finite":
            raise ValueError(f"{fmt.name} has no code for {x.kind}")
        k = grid_code(fmt.step, x.magnitude)
        if k >> 63:
            raise ValueError(f"{fmt.name} has no code for {k} steps")
        return (-k if x.negative else k) % (1 << 64)
    sign = 1 << fmt.magnitude_bits if fmt.signed and x.negative else 0
    if x.kind == "finite":
        if x.magnitude == 0 and not fmt.negative_zero:
            sign = 0
        return sign | magnitude_code(fmt, x.magnitude)
    if x.kind == "infinite":
        if not fmt.infinities:
            raise ValueError(f"{fmt.name} has no infinity")
        return sign | fmt.infinity_code
    if not fmt.nan:
        raise ValueError(f"{fmt.name} has no NaN")
    if fmt.infinities:
        return sign | (fmt.infinity_code + (1 if fmt.p == 1 else 1 << (fmt.precision - 2)))
    if fmt.all_ones_is_nan:
        return sign | ((1 << fmt.magnitude_bits) - 1)
    return 1 << fmt.magnitude_bits


def grid_code(step: Fraction, magnitude: Fraction) -> int:
    """Return the k with g_k = magnitude for which k step is nearest to it, of two the even one."""
    about = magnitude / step
    last = last_point_not_above(step, magnitude)
    found = [k for k in {int(about), int(about) + 1, last} if grid_point(step, k) == magnitude]
    return min(found, key=lambda k: (abs(k - about), k % 2))


def decode_code(fmt: Format, code: int) -> Value:
    """Return the value of a code (an unsigned integer `storage_bits` wide); NaN where it has none.

    Raises ValueError for a code with bits above the format's.
    """
    if fmt.fixed:
        quanta = code
        if fmt.signed and code >> (fmt.storage_bits - 1):
            quanta -= 1 << fmt.storage_bits
        value = quanta * power_of_two(fmt.qmin)
        if not fmt.min <= value <= fmt.max:
            raise ValueError(f"code {quanta} is wider than {fmt.name}")
        return finite(value < 0, abs(value))
    if fmt.step:
        below = bool(code >> 63)
        point = grid_point(fmt.step, (1 << 64) - code if below else code)
        return finite(below, point) if point <= fmt.max else made_nan(below)
    if code >> fmt.bits:
        raise ValueError(f"code {code} is wider than {fmt.name}")
    negative = bool(code >> fmt.magnitude_bits)
    magnitude = code & ((1 << fmt.magnitude_bits) - 1)
    p = fmt.precision
    if negative and magnitude == 0 and fmt.zero and not fmt.negative_zero:
        return made_nan(True)
    if fmt.infinities and magnitude == fmt.infinity_code:
        return infinity(negative)
    if magnitude > fmt.max_code:
        return made_nan(negative)
    field, fraction = magnitude >> (p - 1), magnitude & ((1 << (p - 1)) - 1)
    if not fmt.zero:
        field += 1
    if field == 0:
        if fraction and not fmt.subnormals:
            return made_nan(negative)
        return finite(negative, fraction * power_of_two(fmt.qmin))
    significand = fraction + (1 << (p - 1))
    return finite(negative, significand * power_of_two(fmt.emin + field - 1 - (p - 1)))


def is_nan_code(fmt: Format, code: int) -> bool:
    """Tell whether the code is the format's own NaN, not merely an unassigned one."""
    if not fmt.nan:
        return False
    return code in (encode_value(fmt, made_nan(False)), encode_value(fmt, made_nan(True)))


# Carriers: their bit patterns are their codes, but for NaN, which has a payload.


def carrier_value(carrier: Format, pattern: int) -> Value:
    """Return the value of a float32 or float64 bit pattern."""
    fraction_bits = carrier.precision - 1
    negative = bool(pattern >> carrier.magnitude_bits)
    fraction = pattern & ((1 << fraction_bits) - 1)
    field = (pattern >> fraction_bits) & ((1 << (carrier.magnitude_bits - fraction_bits)) - 1)
    if field == carrier.infinity_code >> fraction_bits:
        return Value("nan", negative, payload=fraction) if fraction else infinity(negative)
    if field:
        fraction |= 1 << fraction_bits
        field -= 1
    return finite(negative, fraction * power_of_two(carrier.qmin + field))


def carrier_bits(carrier: Format, x: Value) -> int:
    """Return the float32 or float64 bit pattern of a value; a NaN comes out quiet."""
    sign = 1 << carrier.magnitude_bits if x.negative else 0
    if x.kind == "nan":
        quiet = 1 << (carrier.precision - 2)
        return sign | carrier.infinity_code | quiet | x.payload
    if x.kind == "infinite":
        return sign | carrier.infinity_code
    return sign | magnitude_code(carrier, x.magnitude)


# ---------------------------------------------------------------------------------------------
# Part two: rounding one value


class Split(NamedTuple):
    """|x| = (whole + phi) 2^q with 0 <= phi < 1; e is the exponent of x.

    On a grid of any step, whole is k and phi the way from g_k to g_(k+1); e and q are 0.
    """

    negative: bool
    e: int
    q: int
    whole: int
    phi: Fraction


def split(fmt: Format, x: Value) -> Split:
    """Split a finite, non-zero value on the format's grid."""
    if fmt.step:
        k = last_point_not_above(fmt.step, x.magnitude)
        down, up = grid_point(fmt.step, k), grid_point(fmt.step, k + 1)
        return Split(x.negative, 0, 0, k, (x.magnitude - down) / (up - down))
    e = exponent_of(x.magnitude)
    q = quantum_exponent(fmt, x.magnitude)
    whole, phi = divided(x.magnitude, q)
    return Split(x.negative, e, q, whole, phi)


def down_is_odd(fmt: Format, s: Split) -> bool:
    if fmt.p == 1:
        return s.whole == 1 and (s.e - fmt.emin + (1 if fmt.zero else 0)) % 2 == 1
    return s.whole % 2 == 1


HALF = Fraction(1, 2)


def deterministic_away(fmt: Format, s: Split, mode: str) -> bool:
    """Tell whether a deterministic mode takes the candidate away from zero."""
    if s.phi == 0 or mode == "rz":
        return False
    if mode == "ra":
        return True
    if mode == "ru":
        return not s.negative
    if mode == "rd":
        return s.negative
    if mode == "ro":
        return not down_is_odd(fmt, s)
    if s.phi == HALF:
        return mode == "rna" or (mode == "rne" and down_is_odd(fmt, s))
    return s.phi > HALF


def sr_away(phi: Fraction, r: int, word: int, variant: str = "a") -> bool:
    """Few-bit stochastic rounding: add the r-bit word T to the bits about to be dropped."""
    if not phi:
        return False
    if variant == "a":
        return scaled_floor(phi, r) + word >= 1 << r
    if variant == "b":
        return scaled_floor(phi, r + 1) + 2 * word + 1 >= 1 << (r + 1)
    return scaled_rne(phi, r) + word >= 1 << r


def sr_exact_away(phi: Fraction, head: int, refine: Callable[[int], int]) -> bool:
    """Exact stochastic rounding: phi + U >= 1 for U = 0.u1 u2 u3 ...

    `head` is u1 ... u16; `refine(level)` gives the 128 bits of level 1, 2, ...
    """
    if phi == 0:
        return False
    rest, width, word, level = phi, 16, head, 0
    while True:
        digits = scaled_floor(rest, width)
        rest = rest * (1 << width) - digits
        if digits + word != (1 << width) - 1:
            return digits + word >= 1 << width
        if rest == 0:
            return False
        level += 1
        width, word = 128, refine(level)


def sr_exact_undecided(phi: Fraction, head: int) -> bool:
    """Tell whether the 16 main bits leave exact stochastic rounding undecided."""
    digits = scaled_floor(phi, 16)
    return digits + head == 0xFFFF and phi * (1 << 16) != digits


def sr_equal_away(phi: Fraction, word: int) -> bool:
    return bool(phi and word >> 15)


def sr_eps_away(phi: Fraction, eps: float, word: int) -> bool:
    return bool(phi) and leaning_away(phi, scaled_rne(Fraction(eps), 32), word)


def sr_signed_away(phi: Fraction, negative: bool, eps: float, direction: float, word: int) -> bool:
    """SR_eps leaning against the sign of `direction`."""
    sign_v, sign_x = (direction > 0) - (direction < 0), -1 if negative else 1
    lean = -sign_v * sign_x * scaled_rne(Fraction(eps), 32)
    return bool(phi) and leaning_away(phi, lean, word)


def leaning_away(phi: Fraction, lean: int, word: int) -> bool:
    t = min(max(scaled_floor(phi, 32) + lean, 0), 1 << 32)
    return t + word >= 1 << 32


# ---------------------------------------------------------------------------------------------
# Part three: the range


class Overflow(Exception):
    """The library must raise OverflowError."""


def in_range(fmt: Format, negative: bool, magnitude: Fraction) -> bool:
    return magnitude <= -fmt.min if negative and magnitude else magnitude <= fmt.max


def needs_rounding(fmt: Format, x: Value) -> bool:
    """Tell whether x is rounded at all: finite, non-zero, and not outside a format without zero."""
    if x.kind != "finite" or x.magnitude == 0:
        return False
    return fmt.zero or (x.magnitude >= fmt.smallest and (fmt.signed or not x.negative))


def round_value(fmt: Format, x: Value, away: bool, mode: str, rule: str) -> Value:
    """Return what x becomes, given whether the mode goes away from zero.

    Raises Overflow where the library must raise OverflowError.
    """
    if x.kind == "nan":
        return x
    if not fmt.zero:
        nothing = x.kind == "finite" and x.magnitude == 0
        if nothing or (x.negative and not fmt.signed):
            if rule == "raise":
                raise Overflow
            return made_nan(x.negative)
    if x.kind == "infinite":
        return infinite_input(fmt, x.negative, rule)
    if x.magnitude == 0:
        return finite(x.negative and fmt.negative_zero, Fraction(0))
    if not fmt.zero and x.magnitude < fmt.smallest:
        return finite(x.negative, fmt.smallest)
    return deliver(fmt, split(fmt, x), away, mode, rule)


def candidate(fmt: Format, s: Split, away: bool) -> Fraction:
    if fmt.step:
        return grid_point(fmt.step, s.whole + away)
    return (s.whole + away) * power_of_two(s.q)


def deliver(fmt: Format, s: Split, away: bool, mode: str, rule: str) -> Value:
    """Put the sign on the chosen candidate and apply the overflow rule."""
    magnitude = candidate(fmt, s, away)
    if in_range(fmt, s.negative, magnitude):
        return finite(s.negative and (magnitude != 0 or fmt.negative_zero), magnitude)
    if rule == "raise":
        raise Overflow
    if rule == "wrap":
        return wrap(fmt, -(s.whole + away) if s.negative else s.whole + away)
    if s.negative and not fmt.signed:
        if rule in ("saturate", "propagate"):
            return finite(False, ZERO)
        return made_nan(True)
    bound = finite(s.negative, -fmt.min if s.negative else fmt.max)
    if rule in ("saturate", "propagate"):
        return bound
    if mode in ("rz", "ro") or mode == ("ru" if s.negative else "rd"):
        return bound
    return infinity(s.negative) if rule == "inf" else made_nan(s.negative)


def wrap(fmt: Format, quanta: int) -> Value:
    """Two's-complement wrap of a fixed-point result, in quanta."""
    low = int(fmt.min / power_of_two(fmt.qmin))
    quanta = (quanta - low) % (1 << fmt.bits) + low
    return finite(quanta < 0, abs(quanta) * power_of_two(fmt.qmin))


def infinite_input(fmt: Format, negative: bool, rule: str) -> Value:
    if rule in ("wrap", "raise"):
        raise Overflow
    if negative and not fmt.signed:
        return finite(False, ZERO) if rule == "saturate" else made_nan(True)
    if rule == "saturate":
        return finite(negative, -fmt.min if negative else fmt.max)
    return made_nan(negative) if rule == "nan" else infinity(negative)


# ---------------------------------------------------------------------------------------------
# Part four: the keystream

M32 = (1 << 32) - 1
M64 = (1 << 64) - 1

Counter = tuple[int, int, int, int]


def philox(counter: Counter, key: tuple[int, int], rounds: int = 10) -> Counter:
    """Philox4x32 of one block."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(rounds):
        high0, low0 = divmod(0xD2511F53 * c0, 1 << 32)
        high1, low1 = divmod(0xCD9E8D57 * c2, 1 << 32)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + 0x9E3779B9) & M32, (k1 + 0xBB67AE85) & M32
    return c0, c1, c2, c3


def philox_at(seed: int, stream: int, block: int, level: int = 0) -> Counter:
    """The block of a stream's keystream (level 0) or of its refinement level."""
    assert 0 <= seed <= M64
    assert 0 <= stream < 1 << 48
    counter = (block & M32, block >> 32 & M32, stream & M32, (stream >> 32) + (level << 16))
    return philox(counter, (seed & M32, seed >> 32))


def keystream_word(seed: int, stream: int, index: int) -> int:
    """The 32-bit word `index` of the keystream."""
    return philox_at(seed, stream, index >> 2)[index & 3]


def element_word(seed: int, stream: int, start: int, i: int, width: int) -> int:
    """The word of `width` bits that element i of a call starting at block `start` owns."""
    at = i * width
    w = philox_at(seed, stream, (start + at // 128) & M64)
    block = w[0] | w[1] << 32 | w[2] << 64 | w[3] << 96
    return block >> at % 128 & ((1 << width) - 1)


def refinement(seed: int, stream: int, start: int, i: int, level: int) -> int:
    """The 128 refinement bits of level 1, 2, ... of element i of a call starting at `start`."""
    w = philox_at(seed, stream, (8 * start + i) & M64, level)
    return w[0] << 96 | w[1] << 64 | w[2] << 32 | w[3]


def word_width(mode: str, random_bits: int | str = "exact") -> int:
    """How many keystream bits an element owns; 0 in a deterministic mode."""
    if mode in DETERMINISTIC:
        return 0
    if mode == "sr":
        needed = 16 if random_bits == "exact" else int(random_bits)
        return next(w for w in (8, 16, 32, 64) if w >= needed)
    return 16 if mode == "sr_equal" else 32


def spawned_seed(seed: int, stream: int, child: int) -> int:
    w = philox_at(seed, stream, child, 0xFFFF)
    return w[0] | w[1] << 32


class Stream:
    """A stateful stream, counted in words drawn."""

    def __init__(self, seed: int, stream: int = 0) -> None:
        self.seed, self.stream, self.words, self.children = seed, stream, 0, 0

    @property
    def position(self) -> int:
        return -(-self.words // 4) & M64

    def advance(self, blocks: int) -> None:
        self.words = 4 * ((self.position + blocks) & M64)

    def call(self, n: int, width: int) -> int:
        """Return the first block of a call of n elements, and move past it."""
        start = self.position
        if n and width:
            self.advance(-(-n * width // 128))
        return start

    def uint32(self) -> int:
        self.words += 1
        return keystream_word(self.seed, self.stream, (self.words - 1) % (1 << 66))

    def uint64(self) -> int:
        low = self.uint32()
        return low | self.uint32() << 32

    def double(self) -> float:
        return (self.uint64() >> 11) * 2.0**-53

    def spawn(self) -> int:
        """Return the seed of the next child, whose stream is 0."""
        self.children += 1
        return spawned_seed(self.seed, self.stream, self.children - 1)


# The same, for many elements at once.

U64 = npt.NDArray[np.uint64]


def philox_blocks(seed: int, stream: int, start: int, n: int, level: int = 0) -> U64:
    """Blocks start ... start + n - 1 (mod 2^64), one a row, words in columns."""
    low32, shift = np.uint64(M32), np.uint64(32)
    block = np.arange(n, dtype=np.uint64) + np.uint64(start & M64)
    c0, c1 = block & low32, block >> shift
    c2 = np.full(n, stream & M32, np.uint64)
    c3 = np.full(n, (stream >> 32) + (level << 16), np.uint64)
    k0, k1 = seed & M32, seed >> 32
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (
            (p1 >> shift) ^ c1 ^ np.uint64(k0),
            p1 & low32,
            (p0 >> shift) ^ c3 ^ np.uint64(k1),
            p0 & low32,
        )
        k0, k1 = (k0 + 0x9E3779B9) & M32, (k1 + 0xBB67AE85) & M32
    return np.stack([c0, c1, c2, c3], axis=1)


def element_words(seed: int, stream: int, start: int, first: int, n: int, width: int) -> U64:
    """`element_word` of elements first ... first + n - 1."""
    at = first * width // 128
    blocks = (first + n) * width // 128 + 1 - at
    words = philox_blocks(seed, stream, start + at, blocks).astype("<u4")
    skip = first - at * 128 // width
    return words.reshape(-1).view(f"<u{width // 8}")[skip : skip + n].astype(np.uint64)


# ---------------------------------------------------------------------------------------------
# Part five: operations, exactly


def exact_sum(x: Value, y: Value, mode: str) -> Value:
    """Return x + y; where terms cancel, +0, but -0 under rd."""
    if "infinite" in (x.kind, y.kind):
        if x.kind == y.kind and x.negative != y.negative:
            return made_nan(False)
        return x if x.kind == "infinite" else y
    total = (-1) ** x.negative * x.magnitude + (-1) ** y.negative * y.magnitude
    if total == 0:
        same = x.magnitude == 0 and x.negative == y.negative
        return finite(x.negative if same else mode == "rd", ZERO)
    return finite(total < 0, abs(total))


def exact_product(x: Value, y: Value) -> Value:
    negative = x.negative != y.negative
    if "infinite" not in (x.kind, y.kind):
        return finite(negative, x.magnitude * y.magnitude)
    if any(v.kind == "finite" and v.magnitude == 0 for v in (x, y)):
        return made_nan(False)
    return infinity(negative)


def exact_quotient(x: Value, y: Value) -> Value:
    negative = x.negative != y.negative
    if x.kind == "infinite":
        return made_nan(False) if y.kind == "infinite" else infinity(negative)
    if y.kind == "infinite":
        return finite(negative, ZERO)
    if y.magnitude == 0:
        return made_nan(False) if x.magnitude == 0 else infinity(negative)
    return finite(negative, x.magnitude / y.magnitude)


def exact_root(x: Value) -> Value:
    """Return the square root: 2500 bits behind the point, and one more if it goes on."""
    if x.kind == "finite" and x.magnitude == 0:
        return x
    if x.negative:
        return made_nan(False)
    if x.kind == "infinite":
        return x
    square = units(x.magnitude, -5000)
    root = isqrt(square)
    return finite(False, (2 * root + (root * root != square)) * power_of_two(-2501))


def operate(op: str, operands: Sequence[Value], mode: str) -> Value:
    """Return the exact result of an operation; NaN, the positive one, where there is none."""
    x, *rest = operands
    if any(v.kind == "nan" for v in operands):
        return made_nan(False)
    if op == "add":
        return exact_sum(x, rest[0], mode)
    if op == "sub":
        return exact_sum(x, rest[0]._replace(negative=not rest[0].negative), mode)
    if op == "mul":
        return exact_product(x, rest[0])
    if op == "div":
        return exact_quotient(x, rest[0])
    if op == "sqrt":
        return exact_root(x)
    assert op == "fma"
    product = exact_product(x, rest[0])
    return product if product.kind == "nan" else exact_sum(product, rest[1], mode)


def endless_away(phi: Fraction, head: int, refine: Callable[[int], int]) -> bool:
    """Exact stochastic rounding of quotients and roots: 144 bits of phi and of U."""
    return bool(phi) and scaled_floor(phi, 144) + (head << 128 | refine(1)) >= 1 << 144


# ---------------------------------------------------------------------------------------------
# Part six: many terms


@dataclass
class Totals:
    """What has happened, over all roundings."""

    overflow: int = 0
    underflow: int = 0
    nan: int = 0
    inexact: int = 0


@dataclass(frozen=True)
class Manner:
    """How all results of a call are rounded, and where the call starts in its stream."""

    mode: str
    rule: str = ""
    random_bits: int | str = "exact"
    variant: str = "a"
    eps: float = 0.0
    seed: int = 0
    stream: int = 0
    start: int = 0

    @property
    def width(self) -> int:
        return word_width(self.mode, self.random_bits)

    def blocks(self, roundings: int) -> int:
        """Blocks of the keystream that each result of a call owns."""
        return -(-roundings * self.width // 128)


class Result:
    """Result number `index` of a call, which may take so many roundings."""

    def __init__(self, manner: Manner, index: int, roundings: int, totals: Totals) -> None:
        self.manner, self.totals = manner, totals
        self.first: int | None = None
        self.words = [0]  # of a result that owns none
        if manner.width and roundings:
            self.first = 128 // manner.width * manner.blocks(roundings) * index
            self.words = element_words(
                manner.seed, manner.stream, manner.start, self.first, roundings, manner.width
            ).tolist()

    def away(self, fmt: Format, s: Split, m: int) -> bool:
        """Decide with word m of this result."""
        how = self.manner
        if how.mode in DETERMINISTIC:
            return deterministic_away(fmt, s, how.mode)
        word = self.words[m]
        if how.mode == "sr_equal":
            return sr_equal_away(s.phi, word)
        if how.mode == "sr_eps":
            return sr_eps_away(s.phi, how.eps, word)
        assert how.mode == "sr"
        if how.random_bits != "exact":
            bits = int(how.random_bits)
            return sr_away(s.phi, bits, word >> (how.width - bits), how.variant)
        if self.first is None:
            return sr_exact_away(s.phi, word, lambda level: 0)
        i = self.first + m
        return sr_exact_away(
            s.phi, word, lambda level: refinement(how.seed, how.stream, how.start, i, level)
        )

    def round(self, fmt: Format, exact: Value, m: int, operands: Iterable[Value]) -> Value:
        """Round with word m, and count what happens."""
        how, totals = self.manner, self.totals
        rule = how.rule or fmt.default_overflow
        away = False
        if exact.kind == "finite" and exact.magnitude:
            if exact.negative and not (fmt.zero or fmt.signed):
                totals.overflow += 1
            else:
                s = split(fmt, exact)
                away = bool(s.phi) and self.away(fmt, s, m)
                magnitude = (s.whole + away) * power_of_two(s.q)
                totals.inexact += bool(s.phi)
                totals.underflow += magnitude == 0 and fmt.zero
                totals.overflow += not in_range(fmt, exact.negative, magnitude)
        y = round_value(fmt, exact, away, how.mode, rule)
        if y.kind != "nan":
            return y
        totals.nan += all(x.kind != "nan" for x in operands)
        return made_nan(False)


# A term, by its number, or a node over two trees.
Tree = int | tuple["Tree", "Tree"]


def in_sequence(trees: Iterable[Tree]) -> Tree:
    """Join trees from left to right."""
    joined, *rest = trees
    for right in rest:
        joined = joined, right
    return joined


def tree_over(order: str, first: int, n: int, block: int = 0) -> Tree:
    """Return the tree of an order over terms first ... first + n - 1."""
    if order == "sequential":
        return in_sequence(range(first, first + n))
    if order == "pairwise":
        if n == 1:
            return first
        half = 1
        while 2 * half < n:
            half *= 2
        return tree_over(order, first, half), tree_over(order, first + half, n - half)
    assert order == "blocked"
    starts = range(first, first + n, block)
    return in_sequence(in_sequence(range(s, min(s + block, first + n))) for s in starts)


def first_term(tree: Tree) -> int:
    return tree if isinstance(tree, int) else first_term(tree[0])


def exact_total(terms: Sequence[Value], mode: str) -> Value:
    """Return the sum of some terms; a zero of several keeps a sign that all of them have."""
    if any(x.kind == "nan" for x in terms):
        return made_nan(False)
    infinite = [x for x in terms if x.kind == "infinite"]
    if infinite:
        clash = any(x.negative != infinite[0].negative for x in infinite)
        return made_nan(False) if clash else infinite[0]
    total = sum((-x.magnitude if x.negative else x.magnitude for x in terms), ZERO)
    if total:
        return finite(total < 0, abs(total))
    first = terms[0].negative
    same = all(x.magnitude == 0 and x.negative == first for x in terms)
    return finite(first if same else mode == "rd", ZERO)


def aligned(terms: Sequence[Value], places: Sequence[int], bits: int) -> list[Value]:
    """Return the terms cut off to so many bits of the highest place."""
    real = [p for x, p in zip(terms, places, strict=True) if x.kind == "finite" and x.magnitude]
    if not real:
        return list(terms)
    unit = Fraction(2) ** (max(real) + 1 - bits)
    return [
        x._replace(magnitude=x.magnitude // unit * unit) if x.kind == "finite" else x for x in terms
    ]


def place_of(values: Sequence[Value]) -> int:
    """Return the sum of the exponents of finite factors."""
    return sum(exponent_of(x.magnitude) for x in values if x.kind == "finite" and x.magnitude)


def combined(
    result: Result,
    op: str,
    fmt: Format,
    terms: Sequence[Value],
    order: str,
    block: int,
    number: Callable[[int], int],
) -> Value:
    """Return the sum or product of one term or more; step t draws word number(t)."""
    mode = result.manner.mode
    if order == "exact":
        return result.round(fmt, exact_total(terms, mode), number(0), terms)
    if len(terms) == 1:
        return result.round(fmt, terms[0], number(0), terms)

    def value(tree: Tree) -> Value:
        if isinstance(tree, int):
            return terms[tree]
        both = value(tree[0]), value(tree[1])
        return result.round(fmt, operate(op, both, mode), number(first_term(tree[1])), both)

    return value(tree_over(order, 0, len(terms), block))


def nothing(result: Result, op: str, fmt: Format, initial: Value | None = None) -> Value:
    """Return what no terms come to: 0, 1, or what they would have joined; the random word is 0."""
    x = finite(False, Fraction(op == "mul")) if initial is None else initial
    return result.round(fmt, x, 0, (x,))


def reduction_roundings(order: str, n: int) -> int:
    return min(n, 1) if order == "exact" else n


def reduced(
    manner: Manner,
    index: int,
    op: str,
    fmt: Format,
    terms: Sequence[Value],
    order: str,
    block: int,
    totals: Totals,
) -> Value:
    """Return the sum ("add") or product ("mul") that is result `index` of a call."""
    result = Result(manner, index, reduction_roundings(order, len(terms)), totals)
    if not terms:
        return nothing(result, op, fmt)
    return combined(result, op, fmt, terms, order, block, lambda t: t)


def running(
    manner: Manner,
    index: int,
    op: str,
    fmt: Format,
    terms: Sequence[Value],
    totals: Totals,
) -> list[Value]:
    """Return all sums of the first terms: one run of the keystream for all of them."""
    result = Result(manner, index, len(terms), totals)
    values: list[Value] = []
    before: Value | None = None
    for t, term in enumerate(terms):
        if before is None:
            values.append(result.round(fmt, term, 0, (term,)))
            before = term
            continue
        both = before, term
        before = result.round(fmt, operate(op, both, manner.mode), t, both)
        values.append(before)
    return values


def inner_roundings(accumulate: str, block: int, length: int) -> int:
    if accumulate == "block":
        return -(-length // block)
    return length if accumulate == "fma" else 2 * length


def inner(
    manner: Manner,
    index: int,
    accumulate: str,
    formats: tuple[Format, Format],
    a: Sequence[Value],
    b: Sequence[Value],
    order: str,
    block: int,
    initial: Value | None,
    totals: Totals,
    align_bits: int | None = None,
) -> Value:
    """Return the inner product that is result `index` of a call; formats of sums and products."""
    sums, products = formats
    result = Result(manner, index, inner_roundings(accumulate, block, len(a)), totals)
    pairs = list(zip(a, b, strict=True))
    if not pairs:
        return nothing(result, "add", sums, initial)
    if accumulate == "separate":
        rounded = [
            result.round(products, operate("mul", pair, manner.mode), 2 * t, pair)
            for t, pair in enumerate(pairs)
        ]
        if initial is None:
            return combined(result, "add", sums, rounded, order, block, lambda t: 2 * t + 1)
        sum_so_far = initial
        for t, product in enumerate(rounded):
            both = sum_so_far, product
            sum_so_far = result.round(sums, operate("add", both, manner.mode), 2 * t + 1, both)
        return sum_so_far
    total = initial
    step = 1 if accumulate == "fma" else block
    for number, t in enumerate(range(0, len(pairs), step)):
        part = pairs[t : t + step]
        operands = [x for pair in part for x in pair] + ([] if total is None else [total])
        if accumulate == "fma":
            exact = operate("mul" if total is None else "fma", operands, manner.mode)
        else:
            factors = [*part, *([] if total is None else [(total,)])]
            terms = [operate("mul", x, manner.mode) if len(x) == 2 else x[0] for x in factors]
            if align_bits is not None:
                terms = aligned(terms, [place_of(x) for x in factors], align_bits)
            exact = exact_total(terms, manner.mode)
        total = result.round(sums, exact, number, operands)
    assert total is not None
    return total
