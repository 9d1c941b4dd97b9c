"""How many digits of a result are significant, from runs of a program with different seeds.

The method of D. Sohier, P. de Oliveira Castro, F. Févotte, B. Lathuilière, E. Petit, O. Jamond,
Confidence intervals for stochastic arithmetic, ACM Transactions on Mathematical Software 47 (2021),
article 10 (arXiv:1807.09655), which Verificarlo and Verrou use.
"""

from __future__ import annotations

import bisect
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from pysr._core.formats import format as as_format
from pysr._interop import from_dlpack

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["samples_needed", "significant_bits"]

# No bit of a float64 stands further to the right.
_LAST_BIT = 1074


def _number(value: object, name: str) -> float:
    if isinstance(value, (bool, np.bool_, str, bytes)):
        raise TypeError(f"{name} must be a number, not {value!r}")
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, not {value!r}") from None
    except OverflowError:
        raise ValueError(f"{name}={value!r} is beyond what a float64 holds") from None


def _between(value: object, name: str, low: float) -> float:
    number = _number(value, name)
    if not low < number < 1:
        raise ValueError(f"{name}={value!r} is outside ({low:g}, 1)")
    return number


def _choice(value: object, name: str, choices: tuple[str, ...]) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, not {value!r}")
    if value not in choices:
        raise ValueError(f"{name}={value!r} is not one of {', '.join(map(repr, choices))}")


def _as_float64(x: Any, name: str) -> tuple[NDArray[np.float64], int]:
    """The array, and the precision of the type that it had."""
    if not isinstance(x, np.ndarray) and hasattr(x, "__dlpack__"):
        x = from_dlpack(x, name)
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array: pass {name}.filled(...)")
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if array.dtype.kind in "biu":
        precision = 53
        for value in array[(array > 2**53) | (array < -(2**53))].tolist():
            if int(float(value)) != value:
                raise ValueError(f"{name}={value} is not exact in float64")
    else:
        try:
            precision = as_format(array.dtype).precision or 53
        except ValueError:
            raise TypeError(
                f"{name} must hold real numbers of at most 64 bits, not {array.dtype}"
            ) from None
    return array.astype(np.float64), precision


def samples_needed(probability: float = 0.95, confidence: float = 0.95) -> int:
    """
    How many samples the general estimator needs to say anything.

    Parameters
    ----------
    probability, confidence : float
        As in `significant_bits`, in (0, 1).

    Returns
    -------
    int
        The least n with ``probability**n <= 1 - confidence``: so many successes, and no failure,
        show that a success has at least that probability.

    Raises
    ------
    ValueError
        If an argument is out of range.
    TypeError
        If an argument is no number.

    Examples
    --------
    >>> pysr.significance.samples_needed(0.9, 0.95)
    29
    """
    probability = _between(probability, "probability", 0)
    confidence = _between(confidence, "confidence", 0)
    n = max(1, math.ceil(math.log1p(-confidence) / math.log(probability)))
    return n - 1 if n > 1 and probability ** (n - 1) <= 1 - confidence else n


def _successes_needed(n: int, probability: float, confidence: float) -> int | None:
    """
    Of n samples, the least number of successes that shows the probability; None if n do not.

    By the lower bound of Clopper and Pearson, which for n successes is (1 - confidence)**(1/n).
    """
    from scipy import special

    if n < samples_needed(probability, confidence):
        return None

    def bound(successes: int) -> float:
        return float(special.betaincinv(successes, n - successes + 1, 1 - confidence))

    return 1 + bisect.bisect_left(range(1, n), probability, key=bound)


def _contribution(width: float) -> float:
    """P(⌊|N| / width⌋ is even) for a standard normal N."""
    from scipy import special

    edges = np.arange(0, 2 * math.ceil(20 / width) + 2) * (width / math.sqrt(2))
    masses = np.diff(special.erf(edges))
    return float(masses[::2].sum())


def _unit(probability: float, contributing: bool) -> float:
    """The distance, in standard deviations, of the last bit that counts."""
    from scipy import optimize, special

    if not contributing:
        return float(special.ndtri((probability + 1) / 2))
    first_order = (probability - 0.5) * 2 * math.sqrt(2 * math.pi)
    if probability < 0.51:
        return first_order
    found = optimize.brentq(lambda width: _contribution(width) - probability, 0.04, 40, xtol=1e-12)
    return float(found)


def _normal(
    z: NDArray[np.float64], degrees: int, probability: float, confidence: float, contributing: bool
) -> NDArray[np.float64]:
    """Bits under the centered normality hypothesis."""
    from scipy import special

    largest = np.abs(z).max(axis=0)
    scale = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
    squares = ((z / scale) ** 2).sum(axis=0)
    chi2 = 2 * special.gammaincinv(degrees / 2, (1 - confidence) / 2)
    bits: NDArray[np.float64] = (
        0.5 * np.log2(chi2) - 0.5 * np.log2(squares) - np.log2(scale)
    ) - math.log2(_unit(probability, contributing))
    return bits


def _general(z: NDArray[np.float64], successes: int, contributing: bool) -> NDArray[np.float64]:
    """Bits by counting: the last one that, like all before it, succeeds often enough."""
    magnitudes = np.sort(np.abs(z), axis=0)
    mantissa, exponent = np.frexp(magnitudes[successes - 1])
    bits: NDArray[np.float64] = np.where(mantissa == 0.5, 1.0 - exponent, 0.0 - exponent)
    bits = np.where(mantissa == 0, np.inf, np.where(np.isinf(mantissa), -np.inf, bits))
    if not contributing:
        return bits

    # Left of the largest error's first bit there are only zeros.
    largest = magnitudes[-1]
    start = -np.frexp(largest)[1].astype(np.int64)
    bits = np.where(np.isinf(largest), -np.inf, np.where(largest == 0, np.inf, start))
    going = np.isfinite(bits)
    step = 0
    while going.any():
        step += 1
        scaled = np.ldexp(magnitudes, start + step)
        even = (scaled >= 2.0**53) | (np.floor(scaled) % 2 == 0)
        going = going & (even.sum(axis=0) >= successes)
        bits = np.where(going, start + step, bits)
        last = going & (bits >= _LAST_BIT)
        bits = np.where(last, np.inf, bits)
        going = going & ~last
    return bits


def significant_bits(
    samples: ArrayLike,
    reference: ArrayLike | None = None,
    *,
    axis: int = 0,
    kind: str = "cnh",
    contributing: bool = False,
    error: str = "relative",
    probability: float = 0.95,
    confidence: float = 0.95,
    base: float = 2,
) -> Any:
    """
    Significant digits of a result, from samples of it.

    The samples are results of one computation with different random bits: runs of a program with
    different seeds. With the given confidence, an error is at most ``base**-s``, s the number
    returned, with the given probability.

    Parameters
    ----------
    samples : array_like
        Real numbers. They must be independent: one stream, or different seeds.
    reference : array_like, optional
        What the error is measured from: a constant, which broadcasts to the shape of the result; or
        as many independent samples, an array of the shape of `samples`, whose pairs are compared.
        By default the mean of the samples, which hides a bias that they share.
    axis : int
        Along which the samples lie.
    kind : {"cnh", "general"}
        With "cnh", under the centered normality hypothesis: the errors are normal and have mean 0.
        With "general", whatever their distribution; this needs many samples (`samples_needed`) and
        returns whole bits.
    contributing : bool
        Count the bits that contribute, in place of those that are significant. Bit k contributes if
        it takes the result nearer to the reference more often than not, with the given probability.
        These are more bits, and 0.51 is an ordinary `probability` for them.
    error : {"relative", "absolute"}
        x / reference - 1, or x - reference.
    probability : float
        That a bit is significant: in (0, 1). That it contributes: in (0.5, 1).
    confidence : float
        Of the statement: in (0, 1).
    base : float
        Of the digits that are counted, above 1: the number of bits is divided by ``log2(base)``.

    Returns
    -------
    ndarray or scalar
        float64, of the shape of `samples` without `axis`. NaN where a sample or the reference is
        not finite. With relative errors at least 0, and at most the precision of the samples' type,
        53 for float64 and 24 for float32: so many digits where all errors are 0. With absolute
        errors the place behind the point of the last digit, negative before it: infinite where all
        errors are 0.

    Raises
    ------
    ValueError
        If an argument is out of range, a shape does not fit, or the samples are too few.
    TypeError
        If an argument has the wrong type, or the samples are no real numbers of at most 64 bits.

    Notes
    -----
    Let Z be the error. Its bit k is significant if ``|Z| <= 2**-k``, and contributes if
    ``floor(2**k |Z|)`` is even: the definitions of Sohier et al. [1]_, as are the estimators.

    *cnh.* For Z of standard deviation σ, the bits down to ``-log2(σ) - log2(F⁻¹((1 + p)/2))`` are
    significant with probability p, F the normal distribution. The upper bound of σ comes from
    the samples' own and the quantile (1 - confidence)/2 of χ²: n - 1 degrees of freedom about the
    samples' mean, n about a reference. For contributing bits the paper solves the equation for p to
    first order; here it is solved as it stands, where p is 0.51 or more.

    *general.* The last bit, all bits before it included, for which the lower bound of Clopper and
    Pearson [2]_ for the probability of a success is at least `probability`. If no sample fails this
    is the paper's estimator, with its numbers of samples; the paper bounds by a normal
    approximation where some fail.

    References
    ----------
    .. [1] D. Sohier, P. de Oliveira Castro, F. Févotte, B. Lathuilière, E. Petit, O. Jamond,
       Confidence intervals for stochastic arithmetic, ACM Transactions on Mathematical Software 47
       (2021), article 10.
    .. [2] C. J. Clopper, E. S. Pearson, The use of confidence or fiducial limits illustrated in the
       case of the binomial, Biometrika 26 (1934).

    Examples
    --------
    The sum of a thousand numbers, rounded to 11 bits at every step, in thirty runs:

    >>> x = np.random.default_rng(1).random(1000).astype(np.float32)
    >>> total, stream = np.zeros(30, np.float32), pysr.Philox(7)
    >>> for term in x:
    ...     total = pysr.round(total + term, "float16", rng=stream)
    >>> float(pysr.significant_bits(total).round(1))
    6.6
    >>> bool(abs(total / x.sum() - 1).max() < 2**-6.6)
    True
    >>> pysr.significant_bits(total, x.sum(), kind="general", probability=0.9)
    np.float64(6.0)
    """
    _choice(kind, "kind", ("cnh", "general"))
    _choice(error, "error", ("relative", "absolute"))
    if not isinstance(contributing, (bool, np.bool_)):
        raise TypeError(f"contributing must be a bool, not {contributing!r}")
    least = 0.5 if contributing else 0
    try:
        p = _between(probability, "probability", least)
    except ValueError as problem:
        raise ValueError(f"{problem} with contributing={contributing}") from None
    level = _between(confidence, "confidence", 0)
    radix = _number(base, "base")
    if not 1 < radix < math.inf:
        raise ValueError(f"base={base!r} is not a finite number above 1")

    x, precision = _as_float64(samples, "samples")
    if isinstance(axis, (bool, np.bool_)) or not isinstance(axis, (int, np.integer)):
        raise TypeError(f"axis must be an integer, not {axis!r}")
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"axis={axis} is no axis of samples, which has shape {x.shape}")
    n = x.shape[axis]
    y = None
    if reference is not None:
        y, _ = _as_float64(reference, "reference")
        if y.ndim >= x.ndim and y.shape != x.shape:
            raise ValueError(f"reference has shape {y.shape}, samples {x.shape}")
        y = np.moveaxis(y, axis, 0) if y.ndim == x.ndim else y
    x = np.moveaxis(x, axis, 0)
    if y is not None and y.ndim < x.ndim:
        try:
            y = np.broadcast_to(y, x.shape[1:])
        except ValueError:
            raise ValueError(
                f"reference has shape {y.shape}, which does not broadcast to {x.shape[1:]}"
            ) from None

    successes = None
    if kind == "cnh" and n < 2:
        raise ValueError(f"samples: {n} along axis {axis}, and kind='cnh' needs 2")
    if kind == "general":
        successes = _successes_needed(n, p, level)
        if successes is None:
            raise ValueError(
                f"samples: {n} along axis {axis}, and kind='general' needs "
                f"{samples_needed(p, level)} for probability={probability!r} with "
                f"confidence={confidence!r}"
            )

    with np.errstate(all="ignore"):
        finite = np.isfinite(x).all(axis=0)
        if y is None:
            # About the first sample: samples that are equal differ by nothing from their mean.
            first = x[:1]
            mean = (x - first).mean(axis=0)
            z, y = (x - first) - mean, first[0] + mean
        else:
            finite &= np.isfinite(y) if y.ndim < x.ndim else np.isfinite(y).all(axis=0)
            z = x - y
        if error == "relative":
            z = np.where(z == 0, 0.0, z / np.abs(y))
        z = np.where(np.isnan(z), np.inf, z)  # only of samples near the end of the range
        if kind == "cnh":
            bits = _normal(z, n - (reference is None), p, level, bool(contributing))
        else:
            assert successes is not None
            bits = _general(z, successes, bool(contributing))
        if error == "relative":
            bits = np.clip(bits, 0, precision)
        digits = np.where(finite, bits / math.log2(radix), np.nan)
    return digits[()]
