"""Formats as immutable Python objects around the C library's plain struct."""

import operator
import re
from decimal import Decimal
from fractions import Fraction

import numpy as np

from libc.math cimport ldexp
from libc.stdint cimport uint64_t

from pysr._core.srcore cimport (
    SR_CARRIER_F32, SR_CARRIER_F64, SR_ERR_MAX, SR_ERR_NAME, SR_ERR_OVERFLOW_RULE, SR_ERR_STEP, SR_FIXED_POINT,
    SR_GRID, SR_INFINITIES, SR_NAN, SR_NEGATIVE_ZERO, SR_OK, SR_OVERFLOW_DEFAULT, SR_SIGNED, SR_SUBNORMALS, SR_ZERO,
    sr_bits_f64, sr_exponent, sr_format, sr_format_code_bits, sr_format_code_bytes, sr_format_fits,
    sr_format_fixed, sr_format_float, sr_format_grid,
    sr_format_name, sr_format_named, sr_overflow, sr_status, sr_strerror, sr_unpack,
)

# In the order of sr_overflow, from 1.
OVERFLOWS = ("inf", "saturate", "propagate", "nan", "wrap", "raise")


cdef tuple _format_names():
    names = []
    while sr_format_name(<size_t> len(names)) is not NULL:
        names.append((<bytes> sr_format_name(<size_t> len(names))).decode())
    return tuple(names)


FORMATS = _format_names()

# NumPy's names for the IEEE formats, and the float8/6/4 ones without their prefix.
_ALIASES = {"float64": "binary64", "float32": "binary32", "binary16": "float16"}
_ALIASES.update({name.partition("_")[2]: name for name in FORMATS if "_" in name})


cdef object integer(object value, str name, object low, object high):
    """`value` as a Python int in [low, high], or an error that names it."""
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be an integer, not {value!r}")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, not {value!r}") from None
    if not low <= number <= high:
        raise ValueError(f"{name}={number} is outside [{low}, {high}]")
    return number


cdef int exponent_of(double positive):
    """By its bits: frexp fails on a subnormal where the processor is set to flush them."""
    return sr_exponent(sr_unpack(sr_bits_f64(positive)))


cdef sr_overflow overflow_rule(object rule):
    if rule is None:
        return SR_OVERFLOW_DEFAULT
    if not isinstance(rule, str):
        raise TypeError(f"overflow must be a string or None, not {rule!r}")
    if rule not in OVERFLOWS:
        raise ValueError(f"overflow={rule!r} is not one of {', '.join(map(repr, OVERFLOWS))}")
    return <sr_overflow> <int> (1 + OVERFLOWS.index(rule))


cdef class Format:
    """A grid and a range: the base of `FloatFormat`, `FixedFormat` and `GridFormat`."""

    def __init__(self, *args, **kwargs):
        if type(self) is Format:
            raise TypeError("Format is abstract: use FloatFormat, FixedFormat, GridFormat or pysr.format")

    cdef bint has(self, unsigned flag):
        return (self.c.flags & flag) != 0

    @property
    def qmin(self):
        """Exponent of the smallest quantum."""
        return self.c.qmin

    @property
    def max(self):
        """Largest finite value."""
        return self.c.max

    @property
    def min(self):
        """Smallest finite value: -max, or the most negative fixed-point value; 0 where there is no sign."""
        return self.c.min

    @property
    def smallest(self):
        """Smallest positive value."""
        return ldexp(1.0, self.c.qmin if self.has(SR_SUBNORMALS) else self.c.emin)

    @property
    def overflow(self):
        """Default overflow rule."""
        return OVERFLOWS[<int> self.c.overflow - 1]

    @property
    def subnormals(self):
        """Are there values below 2**emin other than 0?"""
        return self.has(SR_SUBNORMALS)

    @property
    def infinities(self):
        """Are there infinities?"""
        return self.has(SR_INFINITIES)

    @property
    def nan(self):
        """Is there a code for NaN?"""
        return self.has(SR_NAN)

    @property
    def negative_zero(self):
        """Is there a -0?"""
        return self.has(SR_NEGATIVE_ZERO)

    @property
    def zero(self):
        """Is there a zero?"""
        return self.has(SR_ZERO)

    @property
    def signed(self):
        """Are there negative values?"""
        return self.has(SR_SIGNED)

    @property
    def code_dtype(self):
        """NumPy dtype of the format's codes."""
        kind = "i" if self.c.precision <= SR_FIXED_POINT and self.has(SR_SIGNED) else "u"
        return np.dtype(f"{kind}{sr_format_code_bytes(&self.c)}")

    @property
    def precision(self):
        """Bits of the significand, the hidden one included; None where there is one quantum throughout."""
        return None if self.c.precision <= SR_FIXED_POINT else self.c.precision

    @property
    def emin(self):
        """Exponent of the smallest normal number; None where there is one quantum throughout."""
        return None if self.c.precision <= SR_FIXED_POINT else self.c.emin

    @property
    def emax(self):
        """Exponent of the largest finite value; None where there is one quantum throughout."""
        return None if self.c.precision <= SR_FIXED_POINT else exponent_of(self.c.max)

    def fits(self, carrier):
        """Whether a carrier holds every value of the format exactly.

        Parameters
        ----------
        carrier : dtype
            ``float32`` or ``float64``.

        Returns
        -------
        bool

        Raises
        ------
        TypeError
            If `carrier` is neither.

        Examples
        --------
        >>> pysr.format("bfloat16").fits("float32"), pysr.format("Q10.20").fits("float32")
        (True, False)
        """
        dtype = np.dtype(carrier)
        if dtype == np.float32:
            return sr_format_fits(&self.c, SR_CARRIER_F32) == SR_OK
        if dtype == np.float64:
            return sr_format_fits(&self.c, SR_CARRIER_F64) == SR_OK
        raise TypeError(f"carrier must be float32 or float64, not {carrier!r}")

    cdef tuple key(self):
        return (self.c.precision, self.c.emin, self.c.qmin, self.c.flags, sr_bits_f64(self.c.max),
                sr_bits_f64(self.c.min), <int> self.c.overflow, self.c.num, self.c.den, self.c.exponent)

    def __eq__(self, other):
        if not isinstance(other, Format):
            return NotImplemented
        return self.key() == (<Format> other).key()

    def __hash__(self):
        return hash(self.key())

    def __str__(self):
        return self.name if self.name is not None else repr(self)

    cdef str call_text(self, tuple args, dict kwargs):
        parts = [repr(arg) for arg in args] + [f"{key}={value!r}" for key, value in kwargs.items()]
        return f"{type(self).__name__}({', '.join(parts)})"

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self


cdef class FloatFormat(Format):
    """
    A binary floating-point format.

    Parameters
    ----------
    precision : int
        Bits of the significand, the hidden one included; 1 to 53.
    emax : int
        Exponent of the largest finite value: ``2**emax <= max < 2**(emax + 1)``.
    emin : int, optional
        Exponent of the smallest normal number. Default ``1 - emax``.
    max : float, optional
        Largest finite value. Default the largest that the precision allows with exponent `emax`.
    subnormals, infinities, nan, negative_zero, zero, signed : bool
        What the format has. Without `signed` or `zero` there is no negative zero; without `zero` there
        must be no subnormals.
    overflow : {"inf", "saturate", "propagate", "nan", "raise"}, optional
        What becomes of a value beyond the range where a call does not say. Default "inf" where there are
        infinities, else "nan" where there is NaN, else "saturate".
    name : str, optional
        A label; two formats that differ only in it are equal.

    Raises
    ------
    ValueError
        If an argument is out of range, or the arguments contradict each other.

    Examples
    --------
    >>> pysr.FloatFormat(8, 127) == pysr.format("bfloat16")
    True
    >>> pysr.FloatFormat(4, 8, -6, max=448, infinities=False).bits
    8
    """

    def __cinit__(self, precision, emax, emin=None, *, max=None, subnormals=True, infinities=True, nan=True,
                  negative_zero=True, zero=True, object signed=True, overflow=None, name=None):
        cdef sr_status status
        cdef unsigned flags = 0
        precision = integer(precision, "precision", 1, 53)
        emax = integer(emax, "emax", -1074, 1023)
        emin = 1 - emax if emin is None else integer(emin, "emin", -1074, 1023)
        if emin > emax:
            raise ValueError(f"emin={emin} is above emax={emax}")
        if emin - precision + 1 < -1074:
            raise ValueError(f"emin={emin} with precision={precision} has a quantum of 2**{emin - precision + 1}, "
                             "below 2**-1074, the smallest that a float64 holds")
        for on, flag in ((subnormals, SR_SUBNORMALS), (infinities, SR_INFINITIES), (nan, SR_NAN),
                         (negative_zero, SR_NEGATIVE_ZERO), (zero, SR_ZERO), (signed, SR_SIGNED)):
            if on:
                flags |= flag
        if subnormals and not zero:
            raise ValueError("subnormals=True with zero=False: a format without a zero has no subnormals")
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name must be a string or None, not {name!r}")
        largest = 0.0
        if max is not None:
            try:
                largest = float(max)
            except (TypeError, ValueError):
                raise TypeError(f"max must be a number, not {max!r}") from None
            except OverflowError:
                raise ValueError(f"max={max!r} is beyond what a float64 holds") from None
            if not 0 < sr_bits_f64(largest) < <uint64_t> 0x7FF0000000000000 or largest != max:
                raise ValueError(f"max={max!r} must be a positive number that a float64 holds exactly")
        status = sr_format_float(&self.c, precision, emin, emax, largest, flags, overflow_rule(overflow))
        if status == SR_ERR_MAX:
            raise ValueError(f"max={max!r} is not a value of precision {precision} with exponent emax={emax}")
        if status == SR_ERR_OVERFLOW_RULE:
            raise ValueError(f"overflow={overflow!r} is a rule that the format cannot carry out")
        if status != SR_OK:
            raise ValueError(sr_strerror(status).decode())
        self.bits = sr_format_code_bits(&self.c)
        self.name = name

    def __reduce__(self):
        return _make_float, (self.precision, self.emax, self.emin, self.max, self.subnormals,
                             self.infinities, self.nan, self.negative_zero, self.zero, self.signed,
                             self.overflow, self.name)

    def __repr__(self):
        plain = FloatFormat(self.precision, self.emax, self.emin)
        kwargs = {key: getattr(self, key)
                  for key in ("max", "subnormals", "infinities", "nan", "negative_zero", "zero", "signed")
                  if getattr(self, key) != getattr(plain, key)}
        if not (self.signed and self.zero):
            kwargs.pop("negative_zero", None)
        if FloatFormat(self.precision, self.emax, self.emin, **kwargs).overflow != self.overflow:
            kwargs["overflow"] = self.overflow
        if self.name is not None:
            kwargs["name"] = self.name
        emin = () if self.emin == 1 - self.emax else (self.emin,)
        return self.call_text((self.precision, self.emax, *emin), kwargs)


def _make_float(precision, emax, emin, max, subnormals, infinities, nan, negative_zero, zero, is_signed, overflow,
                name):
    return FloatFormat(precision, emax, emin, max=max, subnormals=subnormals, infinities=infinities, nan=nan,
                       negative_zero=negative_zero, zero=zero, signed=is_signed, overflow=overflow, name=name)


cdef class FixedFormat(Format):
    """
    A fixed-point format: the multiples of ``2**-frac_bits`` in a range.

    Parameters
    ----------
    int_bits : int
        Bits before the binary point, the sign not counted: Q3.8 is [-8, 8 - 2**-8] in 12 bits.
    frac_bits : int
        Bits behind it. Either number may be negative as long as they add up to 1 to 53.
    signed : bool
        Two's complement, or unsigned.
    overflow : {"saturate", "nan", "wrap", "raise"}
        What becomes of a value beyond the range where a call does not say.
    name : str, optional
        A label; two formats that differ only in it are equal. Default "Q3.8", "UQ0.8", ...

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> q = pysr.FixedFormat(3, 8)
    >>> q.min, q.max, q.step, q.bits
    (-8.0, 7.99609375, 0.00390625, 12)
    """

    def __cinit__(self, int_bits, frac_bits, *, object signed=True, overflow="saturate", name=None):
        cdef sr_status status
        int_bits = integer(int_bits, "int_bits", -1073, 1023)
        frac_bits = integer(frac_bits, "frac_bits", -1022, 1074)
        if not 1 <= int_bits + frac_bits <= 53:
            raise ValueError(f"int_bits={int_bits} and frac_bits={frac_bits} add up to {int_bits + frac_bits} bits, "
                             "outside [1, 53], what a float64 holds")
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name must be a string or None, not {name!r}")
        status = sr_format_fixed(&self.c, int_bits, frac_bits, 1 if signed else 0, overflow_rule(overflow))
        if status == SR_ERR_OVERFLOW_RULE:
            raise ValueError(f"overflow={overflow!r} is a rule that a fixed-point format cannot carry out")
        if status != SR_OK:
            raise ValueError(sr_strerror(status).decode())
        self.bits = sr_format_code_bits(&self.c)
        self.name = f"{'' if signed else 'U'}Q{int_bits}.{frac_bits}" if name is None else name

    @property
    def int_bits(self):
        """Bits before the binary point, the sign not counted."""
        return self.bits - (1 if self.signed else 0) + self.c.qmin

    @property
    def frac_bits(self):
        """Bits behind the binary point."""
        return -self.c.qmin

    @property
    def step(self):
        """The quantum, ``2**-frac_bits``."""
        return ldexp(1.0, self.c.qmin)

    def __reduce__(self):
        return _make_fixed, (self.int_bits, self.frac_bits, self.signed, self.overflow, self.name)

    def __repr__(self):
        kwargs = {}
        if not self.signed:
            kwargs["signed"] = False
        if self.overflow != "saturate":
            kwargs["overflow"] = self.overflow
        if self.name != FixedFormat(self.int_bits, self.frac_bits, signed=self.signed).name:
            kwargs["name"] = self.name
        return self.call_text((self.int_bits, self.frac_bits), kwargs)


def _make_fixed(int_bits, frac_bits, is_signed, overflow, name):
    return FixedFormat(int_bits, frac_bits, signed=is_signed, overflow=overflow, name=name)


_DECIMAL = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?"
_POWER = r"2\*\*(?P<{}>[+-]?[0-9]{{1,4}})"
_STEP = re.compile(rf"(?P<num>{_DECIMAL})(?:/(?P<den>{_DECIMAL}))?(?:\*{_POWER.format('e')})?|{_POWER.format('alone')}")


cdef object step_of(object step):
    """The step that an argument says, as a positive Fraction."""
    said = step
    if isinstance(step, (float, np.floating)):
        step = str(step)  # the shortest decimal
        if not step[0].isdigit():
            raise ValueError(f"step={said!r} is not a positive number")
    if isinstance(step, str):
        found = _STEP.fullmatch(step)
        if found is None:
            raise ValueError(f"step={step!r} is not a positive number such as '0.1', '1/3' or '2**-20'")
        parts = found.groupdict("1")
        if Decimal(parts["den"]) == 0:
            raise ValueError(f"step={step!r} divides by 0")
        power = int(found["e"] or found["alone"] or 0)
        value = Fraction(parts["num"]) / Fraction(parts["den"]) * Fraction(2)**power
    elif isinstance(step, Decimal):
        if not step.is_finite():
            raise ValueError(f"step={step!r} is not a positive number")
        value = Fraction(step) if abs(step.adjusted()) < 10_000 else Fraction(0)
    elif isinstance(step, Fraction):
        value = step
    else:
        try:
            if isinstance(step, (bool, np.bool_)):
                raise TypeError
            value = Fraction(operator.index(step))
        except TypeError:
            raise TypeError(f"step must be a Fraction, a Decimal, a string, an int or a float, not {said!r}") from None
    if value <= 0:
        raise ValueError(f"step={shown(said)} is not a positive number that a grid may have")
    return value


cdef str shown(object step):
    """For a message; Python does not print integers of any length."""
    try:
        return repr(step)
    except ValueError:
        return f"{type(step).__name__} of too many digits to print"


cdef tuple odd_terms(object step):
    """num, den and e of a Fraction num/den 2**e, num and den odd."""
    cdef object num = step.numerator
    cdef object den = step.denominator
    up = (num & -num).bit_length() - 1
    down = (den & -den).bit_length() - 1
    return num >> up, den >> down, up - down


cdef str step_text(object step):
    """What `step_of` takes for a Fraction, as short as is plain."""
    num, den = step.numerator, step.denominator
    places = next((p for p in range(24) if 10**p % den == 0), None)
    if places is not None:
        digits = str(num * (10**places // den))
        if len(digits) <= 17 and places - len(digits) < 5:
            at = max(len(digits), places + 1) - places
            padded = digits.rjust(places + 1, "0")
            return f"{padded[:at]}.{padded[at:]}" if places else digits
        if len(digits) <= 3:
            return f"{digits}e-{places}"
    zeros = len(str(num)) - len(str(num).rstrip("0"))
    if den == 1 and len(str(num)) - zeros <= 17 and zeros:
        return f"{num // 10**zeros}e{zeros}"
    if len(str(num)) <= 20 and len(str(den)) <= 20:
        return f"{num}/{den}"
    num, den, e = odd_terms(step)
    ratio = "" if num == den == 1 else f"{num}*" if den == 1 else f"{num}/{den}*"
    return f"{ratio}2**{e}"


cdef class GridFormat(Format):
    """
    A grid of any step: the multiples of a rational number, decimals included, in float64.

    Parameters
    ----------
    step : Fraction, Decimal, str, int or float
        What the values are multiples of, above 0. A string is "0.1", "1/3", "1e-5", "2**-20", or a quotient times
        a power of two, "1/3*2**-20". A float stands for the shortest decimal that prints it: 0.1 is 1/10.
        In lowest terms num/den 2**e, num and den odd, both are below 2**53.
    overflow : {"inf", "saturate", "propagate", "nan", "raise"}
        What becomes of a value beyond the range where a call does not say.
    name : str, optional
        A label; two formats that differ only in it are equal. Default "grid:0.1", "grid:1/3", ...

    Raises
    ------
    ValueError
        If the step is out of range.
    TypeError
        If the step is no number.

    See Also
    --------
    FixedFormat : steps that are powers of two, with a range, also for arithmetic.

    Notes
    -----
    A multiple k step of the step stands in an array as the float64 nearest to it, ties to even: the value that the
    literal "0.3" gives where the step is 0.1 and k is 3. The values go as far as float64. Rounding compares with them
    exactly; ``floor(10 * x + u) / 10`` does not, as ``10 * x`` has been rounded. Codes are the integers k.

    A grid can be rounded to (`pysr.round`, `pysr.encode`, ``pysr.ufunc("round", ...)``); arithmetic refuses it.

    Examples
    --------
    >>> pysr.round([0.25, 0.3, -1.07], pysr.GridFormat(0.1), "rne")
    array([ 0.2,  0.3, -1.1])
    >>> pysr.encode([0.25, 0.3, -1.07], "grid:0.1", "rne")
    array([  2,   3, -11])
    >>> pysr.GridFormat("2/7").step
    Fraction(2, 7)
    >>> x = np.full(100_000, 0.37)
    >>> bool(abs(pysr.round(x, pysr.GridFormat("1/3"), rng=7).mean() - 0.37) < 2e-3)
    True
    """

    def __cinit__(self, step, *, overflow="inf", name=None):
        cdef sr_status status
        num, den, exponent = odd_terms(step_of(step))
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name must be a string or None, not {name!r}")
        rule = overflow_rule(overflow)
        if num >= 2**53 or den >= 2**53 or abs(exponent) > 1200:
            status = SR_ERR_STEP
        else:
            status = sr_format_grid(&self.c, num, den, exponent, rule)
        if status == SR_ERR_STEP:
            raise ValueError(f"step={shown(step)} is outside of what a grid may have: num/den * 2**e with num and den "
                             "below 2**53, and a float64 other than 0 and infinity nearest to it")
        if status == SR_ERR_OVERFLOW_RULE:
            raise ValueError(f"overflow={overflow!r} is a rule that a grid cannot carry out")
        if status != SR_OK:
            raise ValueError(sr_strerror(status).decode())
        self.bits = sr_format_code_bits(&self.c)
        self.name = f"grid:{step_text(self.step)}" if name is None else name

    @property
    def step(self):
        """What the values are multiples of, a Fraction."""
        return Fraction(self.c.num, self.c.den) * Fraction(2)**self.c.exponent

    @property
    def smallest(self):
        """Smallest positive value: the float64 nearest to the step."""
        return float(self.step)

    @property
    def qmin(self):
        """None: the quantum need be no power of two."""
        return None

    def __reduce__(self):
        return _make_grid, (self.step, self.overflow, self.name)

    def __repr__(self):
        kwargs = {}
        if self.overflow != "inf":
            kwargs["overflow"] = self.overflow
        text = step_text(self.step)
        if self.name != f"grid:{text}":
            kwargs["name"] = self.name
        return self.call_text((text,), kwargs)


def _make_grid(step, overflow, name):
    return GridFormat(step, overflow=overflow, name=name)


cdef Format named(str name):
    """The format of that name; None where there is none."""
    cdef sr_format c
    cdef sr_status status
    cdef str canonical = _ALIASES.get(name, name)
    if not canonical.isascii() or "\0" in canonical:
        return None
    status = sr_format_named(&c, canonical.encode())
    if status == SR_ERR_NAME:
        return None
    if status != SR_OK:
        raise ValueError(f"fmt={name!r}: {sr_strerror(status).decode()}")
    if c.precision == SR_FIXED_POINT:
        return FixedFormat(exponent_of(c.max) + 1, -c.qmin, signed=(c.flags & SR_SIGNED) != 0)
    return FloatFormat(
        c.precision, exponent_of(c.max), c.emin, max=c.max, subnormals=(c.flags & SR_SUBNORMALS) != 0,
        infinities=(c.flags & SR_INFINITIES) != 0, nan=(c.flags & SR_NAN) != 0,
        negative_zero=(c.flags & SR_NEGATIVE_ZERO) != 0, zero=(c.flags & SR_ZERO) != 0,
        signed=(c.flags & SR_SIGNED) != 0, name=canonical,
    )


_named = {name: named(name) for name in FORMATS}
_named.update({alias: _named[name] for alias, name in _ALIASES.items()})


def format(spec):
    """
    The format that `spec` describes.

    Parameters
    ----------
    spec : str, dtype or format
        A name of `pysr.FORMATS` ("bfloat16", "float8_e4m3fn"; also without the prefix, "e4m3fn"), a
        fixed-point name such as "Q3.8" or "UQ0.8", a grid of any step such as "grid:0.1" or "grid:1/3", a NumPy or
        ml_dtypes dtype or scalar type, or a format, which is returned as it is.

    Returns
    -------
    FloatFormat, FixedFormat or GridFormat

    Raises
    ------
    ValueError
        If there is no such format.
    TypeError
        If `spec` is of another kind.

    Examples
    --------
    >>> pysr.format("float8_e4m3fn").max
    448.0
    >>> pysr.format("UQ0.8")
    FixedFormat(0, 8, signed=False)
    >>> pysr.format(np.float16).precision
    11
    """
    return as_format(spec)


cdef Format as_format(object spec):
    cdef Format found
    if isinstance(spec, Format):
        return spec
    if isinstance(spec, str):
        if spec.startswith("grid:"):
            try:
                return GridFormat(spec[5:])
            except ValueError as error:
                raise ValueError(f"fmt={spec!r}: {error}") from None
        found = _named.get(spec)
        if found is None:
            found = named(spec)
        if found is None:
            raise ValueError(f"fmt={spec!r} is neither a name in pysr.FORMATS, such as 'bfloat16', "
                             "nor of fixed point, such as 'Q3.8' or 'UQ0.8', nor of a grid, such as 'grid:0.1'")
        return found
    if isinstance(spec, (np.dtype, type)):
        try:
            found = _named.get(np.dtype(spec).name)
        except TypeError:
            found = None
        if found is None:
            raise ValueError(f"fmt={spec!r} is not the dtype of a format")
        return found
    raise TypeError(f"fmt must be a format, a name or a dtype, not {spec!r}")


def arithmetic_format(spec):
    """The format that `spec` describes, or a ValueError where it is one that only rounds."""
    cdef Format fmt = as_format(spec)
    if fmt.c.precision == SR_GRID:
        raise ValueError(f"fmt={fmt}: grids of any step round (pysr.round), they do no arithmetic")
    return fmt
