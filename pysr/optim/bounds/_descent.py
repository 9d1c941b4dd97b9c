"""What theory says of gradient descent whose results are rounded.

A step takes x to ``x - fl2(t * fl1(g))``, with g the gradient at x, and fl1, fl2 roundings to grids
of a fixed-point format; the difference of two numbers on one grid is exact. u is the spacing of the
grid, fl(y) one of the two neighbours of y on it, and phi in [0, 1) how far y is from the one nearer
to zero, in spacings. What is on the grid stays. Away from zero goes

* ``sr`` with probability phi: right on average;
* ``sr_eps`` with probability min(phi + eps, 1): it makes products, and so steps, longer;
* ``sr_signed``, steered by v, with a probability that is eps less where v has the sign of y, and
  eps more where it has the other: it leans against v, so downhill where v is the gradient.

References
----------
Xia, Massei, Hochstenbach, On the convergence of the gradient descent method with stochastic
fixed-point rounding errors under the Polyak-Lojasiewicz inequality, 2025 (arXiv:2301.09511). It
says that linear convergence survives unbiased stochastic rounding, that ``sr_eps`` has a better
bound, and that steps are of three kinds. Its constants were not at hand; "derived" below means
derived for this project, by the argument that is given.
Karimi, Nutini, Schmidt, Linear convergence of gradient and proximal-gradient methods under the
Polyak-Lojasiewicz condition, ECML PKDD 2016 (arXiv:1608.04636).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

import pysr
from pysr._core.formats import Format
from pysr.optim._arguments import a_count, a_number

Values = NDArray[np.float64]


# ---------------------------------------------------------------------------------------------
# One rounding


def rounding_moments(
    x: ArrayLike, u: float, mode: str = "sr", eps: float = 0.0, direction: ArrayLike = 0.0
) -> tuple[Values, Values]:
    """
    Mean and variance of the error of one stochastic rounding.

    Parameters
    ----------
    x : array_like
        What is rounded.
    u : float
        The spacing of the grid; of a floating-point format that at x.
    mode : {"sr", "sr_eps", "sr_signed"}
        How.
    eps : float
        The bias of the last two, in [0, 1].
    direction : array_like
        v, for "sr_signed": only its sign counts.

    Returns
    -------
    bias, variance : ndarray
        E fl(x) - x and Var fl(x). Derived: with f = (x - floor(x)) / u, the result is the upper
        neighbour with probability p = f under "sr", f + sign(x) eps under "sr_eps" and
        f - sign(v) eps under "sr_signed", clipped to [0, 1]; on the grid both moments are 0. So the
        bias is (p - f) u, and the variance p (1 - p) u^2. Where nothing is clipped, the bias is
        sign(x) eps u or -sign(v) eps u, as in arXiv:2301.09511.

    Raises
    ------
    ValueError
        If there is no such mode, u is not positive, or eps not in [0, 1].

    Examples
    --------
    >>> rounding_moments([0.3, -0.3, 0.9, 1.0], 1.0, "sr_eps", eps=0.25)
    (array([ 0.25, -0.25,  0.1 ,  0.  ]), array([0.2475, 0.2475, 0.    , 0.    ]))
    """
    values = np.asarray(x, np.float64)
    u, eps = _spacing(u, "u"), a_number(eps, "eps", 0.0, 1.0)
    down = np.floor(values / u)
    f = values / u - down
    match mode:
        case "sr":
            lean: Any = 0.0
        case "sr_eps":
            lean = np.sign(values) * eps
        case "sr_signed":
            lean = -np.sign(np.asarray(direction, np.float64)) * eps
        case _:
            raise ValueError(f"mode={mode!r} is not 'sr', 'sr_eps' or 'sr_signed'")
    p = np.where(f == 0, 0.0, np.clip(f + lean, 0.0, 1.0))
    return (p - f) * u, p * (1 - p) * u**2


def moving_probability(
    gradient: ArrayLike,
    step: float,
    u: float,
    mode: str = "sr",
    eps: float = 0.0,
    *,
    gradient_u: float | None = None,
) -> Values:
    """
    Probability that a step moves a coordinate at all.

    Parameters
    ----------
    gradient : array_like
        g, not rounded.
    step : float
        t.
    u : float
        The spacing of the product's grid.
    mode : {"rne", "sr", "sr_eps"}
        How the product, and the gradient, are rounded.
    eps : float
        The bias of "sr_eps".
    gradient_u : float, optional
        The spacing of the gradient's grid, if the gradient is rounded too.

    Returns
    -------
    ndarray
        Derived. With r = abs(t g) / u, the product is not 0 with probability min(r, 1) under "sr",
        min(r + eps, 1) under "sr_eps" unless g = 0, and for certain under "rne" if and only if
        r > 1/2, for the tie goes to the even 0. A rounded gradient takes one of two values: the
        mean of both probabilities.

    Raises
    ------
    ValueError
        If there is no such mode, a spacing or the step is not positive, or eps not in [0, 1].

    Notes
    -----
    Where both are rounded and g is almost 0, "sr_eps" moves with probability eps (t + eps) for
    equal spacings, and not eps: that is how its bias fades away near a minimum.

    Examples
    --------
    >>> moving_probability([0.0, 0.25, 2.0, 8.0], 0.25, 1.0, "sr_eps", eps=0.25)
    array([0.    , 0.3125, 0.75  , 1.    ])
    >>> moving_probability([1e-9], 0.25, 1.0, "sr_eps", eps=0.25, gradient_u=1.0)
    array([0.125])
    """
    g = np.abs(np.asarray(gradient, np.float64))
    t, u = _positive(step, "step"), _spacing(u, "u")
    eps = a_number(eps, "eps", 0.0, 1.0)
    if mode not in ("rne", "sr", "sr_eps"):
        raise ValueError(f"mode={mode!r} is not 'rne', 'sr' or 'sr_eps'")

    def leaves_zero(g: Values) -> Values:
        r = t * g / u
        if mode == "rne":
            return np.where(r > 0.5, 1.0, 0.0)
        return np.where(r == 0, 0.0, np.minimum(r + (eps if mode == "sr_eps" else 0.0), 1.0))

    if gradient_u is None:
        return leaves_zero(g)
    spacing = _spacing(gradient_u, "gradient_u")
    down = np.floor(g / spacing)
    phi = g / spacing - down
    if mode == "rne":
        away = np.rint(g / spacing) - down
    else:
        lean = eps if mode == "sr_eps" else 0.0
        away = np.where(phi == 0, 0.0, np.minimum(phi + lean, 1.0))
    up = leaves_zero((down + 1) * spacing)
    return (1 - away) * leaves_zero(down * spacing) + away * up


def step_case(gradient: ArrayLike, step: float, u: ArrayLike) -> NDArray[np.int64]:
    """
    Say which of three kinds of step each coordinate takes.

    Parameters
    ----------
    gradient : array_like
        g; where the gradient is rounded first, what it is rounded to.
    step : float
        t.
    u : array_like
        The spacing of the grid; in floating point that at x.

    Returns
    -------
    ndarray of int
        With r = abs(t g) / u:

        1. r <= 1/2. To nearest, nothing moves, for certain, and where nothing moves at all the next
           step is the same: it stagnates. Stochastically, a coordinate moves by u with probability
           r, or r + eps, and otherwise stays.
        2. 1/2 < r < 1. To nearest, it moves by u, further than asked; stochastically, it moves by u
           or stays, as before.
        3. r >= 1. It moves for certain, by floor(r) or ceil(r) spacings, whatever the rounding; the
           relative error of the step is below 1 / r.

    Raises
    ------
    ValueError
        If the step or a spacing is not positive.

    Notes
    -----
    arXiv:2301.09511 distinguishes three cases by the size of the gradient against the spacing. Its
    limits were not at hand: these are derived, as the places where roundings change what they do.

    Examples
    --------
    >>> step_case([0.0, 2.0, -3.0, 4.0, -100.0], 0.25, 1.0)
    array([1, 1, 2, 3, 3])
    """
    g = np.abs(np.asarray(gradient, np.float64))
    t, spacing = _positive(step, "step"), np.asarray(u, np.float64)
    if not np.all(spacing > 0):
        raise ValueError(f"u={u!r} is not positive")
    r = t * g / spacing
    return np.where(r <= 0.5, 1, np.where(r < 1, 2, 3)).astype(np.int64)


# ---------------------------------------------------------------------------------------------
# Bounds


def contraction(step: float, lipschitz: float, pl: float) -> float:
    """
    Bound the factor by which an exact step shrinks f - f*.

    Parameters
    ----------
    step : float
        t, below 2/L.
    lipschitz : float
        L, of the gradient.
    pl : float
        mu, at most L: abs(f')^2 >= 2 mu (f - f*) everywhere, the Polyak-Lojasiewicz inequality.

    Returns
    -------
    float
        q = 1 - 2 mu t (1 - L t / 2): f(x - t g) <= f - t (1 - L t / 2) abs(g)^2, to which the
        inequality is applied (Karimi, Nutini, Schmidt 2016, section 2.1, for t = 1/L).

    Raises
    ------
    ValueError
        If the step is not in (0, 2/L), or mu not in (0, L].

    Examples
    --------
    >>> contraction(0.5, lipschitz=1.0, pl=0.125)
    0.90625
    """
    t, smooth, mu = _positive(step, "step"), _positive(lipschitz, "lipschitz"), _positive(pl, "pl")
    if not t * smooth < 2:
        raise ValueError(f"step={step!r} is not below 2/L = {2 / smooth!r}: nothing converges")
    if mu > smooth:
        raise ValueError(f"pl={pl!r} is above lipschitz={lipschitz!r}, which cannot be")
    return 1 - 2 * mu * t * (1 - smooth * t / 2)


def sr_bound(
    k: ArrayLike,
    gap: float,
    step: float,
    lipschitz: float,
    pl: float,
    size: int,
    u: float,
    *,
    gradient_u: float | None = None,
) -> Values:
    """
    Bound f - f* after k steps whose products are rounded without bias.

    Parameters
    ----------
    k : array_like
        Steps; infinity for what remains in the end.
    gap : float
        f - f* at the start.
    step, lipschitz, pl : float
        As in `contraction`.
    size : int
        n, the coordinates.
    u : float
        The spacing of the product's grid.
    gradient_u : float, optional
        The spacing of the gradient's grid, if the gradient is rounded too, by "sr".

    Returns
    -------
    ndarray
        ``q^k gap + (L V / 2) / (1 - q)``, a bound on E(f_k - f*), where q is the `contraction` and
        V = n u^2 / 4, or with rounded gradients n (u^2 + t^2 u_g^2) / 4, bounds the variance of a
        step. Derived: a step is t g + e, E e = 0 and E abs(e)^2 <= V; by smoothness
        E f+ <= f - t (1 - L t / 2) abs(g)^2 + L V / 2, so by the Polyak-Lojasiewicz inequality the
        gap is multiplied by q at most, plus L V / 2; the geometric sum of that is at most
        (L V / 2) / (1 - q). That unbiased rounding keeps linear convergence, down to such a floor,
        is a theorem of arXiv:2301.09511. Roundings to nearest are not covered: their errors have no
        mean of 0.

    Raises
    ------
    ValueError
        As `contraction`, and if a spacing or the size is not positive, or the gap negative.

    Examples
    --------
    >>> sr_bound([0, 100, np.inf], 8.0, 0.25, lipschitz=1.0, pl=0.125, size=10, u=2.0**-8)
    array([8.00034877e+00, 2.92309579e-02, 3.48772321e-04])
    """
    q = contraction(step, lipschitz, pl)
    gap = a_number(gap, "gap")
    variance = a_count(size, "size", 1) * _spacing(u, "u") ** 2 / 4
    if gradient_u is not None:
        variance += size * (step * _spacing(gradient_u, "gradient_u")) ** 2 / 4
    count = np.asarray(k, np.float64)
    if not np.all(count >= 0):
        raise ValueError(f"k={k!r} is negative")
    return np.asarray(q**count * gap + lipschitz * variance / 2 / (1 - q))


def _leans(gradient: ArrayLike, step: float, u: float, eps: float) -> tuple[Values, Values]:
    """abs(g), and b of each coordinate: how much further than asked it goes, in spacings."""
    g = np.abs(np.asarray(gradient, np.float64))
    r = _positive(step, "step") * g / _spacing(u, "u")
    phi = r - np.floor(r)
    return g, np.where(phi == 0, 0.0, np.minimum(a_number(eps, "eps", 0.0, 1.0), 1 - phi))


def step_bound(
    value: ArrayLike,
    gradient: ArrayLike,
    step: float,
    lipschitz: float,
    u: float,
    eps: float = 0.0,
) -> Values:
    """
    Bound the expected value after one step whose product is rounded by "sr_eps".

    Parameters
    ----------
    value : array_like, shape (...)
        f at x.
    gradient : array_like, shape (..., n)
        g, exact.
    step : float
        t.
    lipschitz : float
        L, of the gradient.
    u : float
        The spacing of the grid.
    eps : float
        The bias; 0 for "sr".

    Returns
    -------
    ndarray, shape (...)
        ``f - t (1 - L t / 2) abs(g)^2 - (1 - L t) u sum(b_i abs(g_i))
        + (L / 2) n u^2 (1/4 + eps^2)`` with phi_i the fractional part of abs(t g_i) / u and
        b_i = min(eps, 1 - phi_i), 0 where phi_i is. Derived: by `rounding_moments` the step is
        t g_i + sign(g_i) b_i u on average, with a variance of at most u^2 / 4; put into
        f+ <= f + g . (x+ - x) + (L / 2) abs(x+ - x)^2, with b_i <= eps in the term of second order.

    Raises
    ------
    ValueError
        If the step, L or u is not positive, or eps not in [0, 1].

    See Also
    --------
    sr_eps_is_tighter : when that is less than for "sr".

    Examples
    --------
    >>> gradient = [0.015625, 0.25]
    >>> [float(step_bound(1.0, gradient, 0.25, 1.0, 2.0**-6, eps)) for eps in (0.0, 0.25)]
    [0.9863357543945312, 0.9863052368164062]
    """
    smooth = _positive(lipschitz, "lipschitz")
    g, b = _leans(gradient, step, u, eps)
    exact = np.asarray(value, np.float64) - step * (1 - smooth * step / 2) * np.sum(g * g, axis=-1)
    noise = smooth / 2 * g.shape[-1] * u**2 * (0.25 + eps**2)
    return np.asarray(exact - (1 - smooth * step) * u * np.sum(b * g, axis=-1) + noise)


def sr_eps_is_tighter(
    gradient: ArrayLike, step: float, lipschitz: float, u: float, eps: float
) -> NDArray[np.bool_]:
    """
    Say where the bound of a step under "sr_eps" is below that under "sr".

    Parameters
    ----------
    gradient, step, lipschitz, u, eps
        As in `step_bound`.

    Returns
    -------
    ndarray of bool, shape (...)
        ``(1 - L t) sum(b_i abs(g_i)) > L n u eps^2 / 2``: the difference of the two bounds of
        `step_bound`. That biased rounding has a stricter bound than unbiased rounding is a theorem
        of arXiv:2301.09511; this condition is derived. It says that the gradient must not be too
        small: near a minimum the bias is in the way.

    Raises
    ------
    ValueError
        As `step_bound`.

    Examples
    --------
    >>> [bool(sr_eps_is_tighter([g], 0.25, 1.0, 2.0**-8, 0.25)) for g in (0.5 + 2**-8, 2**-11)]
    [True, False]
    """
    smooth = _positive(lipschitz, "lipschitz")
    g, b = _leans(gradient, step, u, eps)
    gain = (1 - smooth * step) * np.sum(b * g, axis=-1)
    return np.asarray(gain > smooth * g.shape[-1] * u * eps**2 / 2)


# ---------------------------------------------------------------------------------------------
# Stagnation


def stagnation_radius(c: float, u: float) -> float:
    """
    Say where rounding to nearest stands still on f = lambda x^2 / 2.

    Parameters
    ----------
    c : float
        t lambda.
    u : float
        The spacing of the grid.

    Returns
    -------
    float
        u / (2 c): where abs(x) is not larger, the product t lambda x is at most u / 2 and rounds to
        0, for ever. Derived, for products that are rounded once; stochastic rounding reaches 0 from
        there, after `absorption_time`.

    Raises
    ------
    ValueError
        If an argument is not positive.

    Examples
    --------
    >>> stagnation_radius(2.0**-6, 2.0**-8)
    0.125
    """
    return _spacing(u, "u") / (2 * _positive(c, "c"))


def stagnation_threshold(
    x: ArrayLike, fmt: str | DTypeLike | Format, gradient: ArrayLike
) -> Values:
    """
    Find how long a step must be for rounding to nearest to take it.

    Parameters
    ----------
    x : array_like
        Iterates, numbers of the format.
    fmt : str, dtype or Format
        The format that x - t g is rounded to.
    gradient : array_like
        g: only its sign counts. It broadcasts with x.

    Returns
    -------
    ndarray
        Half the distance from x to its neighbour against the gradient: an abs(t g) below it rounds
        to nothing, one above it moves x, and at it the tie goes to the even of the two. It is u / 2
        in fixed point. In floating point it grows with abs(x), and at a power of two it is half as
        large toward zero as away from it. Infinite at the end of the range, as under the rule to
        saturate, and where g = 0.

    Raises
    ------
    ValueError
        If x is not of the format, or not finite.

    Examples
    --------
    >>> stagnation_threshold([1.0, 1.0, 100.0], "bfloat16", [1.0, -1.0, 1.0])
    array([0.00195312, 0.00390625, 0.25      ])
    >>> stagnation_threshold([1.0, 100.0], "Q7.8", 1.0)
    array([0.00195312, 0.00195312])
    """
    values, g = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(gradient, np.float64))
    nearest = np.asarray(pysr.round(values, fmt, "rne", overflow="saturate"))
    if not np.array_equal(nearest, values):
        bad = float(values[nearest != values].flat[0])
        raise ValueError(f"x holds {bad!r}, which is not a number of {pysr.format(fmt)!r}")
    rules: Any = {"overflow": "saturate"}
    below = np.asarray(pysr.round(np.nextafter(values, -np.inf), fmt, "rd", **rules))
    above = np.asarray(pysr.round(np.nextafter(values, np.inf), fmt, "ru", **rules))
    gap = np.select([g > 0, g < 0], [values - below, above - values], 0.0)
    return np.asarray(np.where(gap == 0, np.inf, gap / 2))


def stagnation_value(
    spectrum: ArrayLike, step: float, u: float, *, gradient_u: float | None = None
) -> float:
    """
    Bound f - f* of a diagonal quadratic function where rounding to nearest stands still.

    Parameters
    ----------
    spectrum : array_like, shape (n,)
        lambda: f = sum(lambda_i (x_i - x*_i)^2) / 2.
    step : float
        t.
    u : float
        The spacing of the product's grid.
    gradient_u : float, optional
        The spacing of the gradient's grid, if the gradient is rounded too.

    Returns
    -------
    float
        ``sum(w^2 / (2 lambda_i))`` with w = u / (2 t), or with rounded gradients
        w = u / (2 t) + u_g / 2. Derived: no coordinate moves if and only if all products round to
        0, so that each gradient, rounded, is u / (2 t) at most, and before rounding at most half a
        spacing more.

    Raises
    ------
    ValueError
        If the step, a spacing or an eigenvalue is not positive.

    Examples
    --------
    >>> stagnation_value([1.0, 0.5], 0.25, 2.0**-8)
    9.1552734375e-05
    """
    eigenvalues = np.asarray(spectrum, np.float64)
    if not np.all(eigenvalues > 0):
        raise ValueError(f"spectrum={spectrum!r} must hold positive numbers")
    width = _spacing(u, "u") / (2 * _positive(step, "step"))
    if gradient_u is not None:
        width += _spacing(gradient_u, "gradient_u") / 2
    return float(np.sum(width**2 / (2 * eigenvalues)))


# ---------------------------------------------------------------------------------------------
# Absorption


def _leaving(c: float, start: int, eps: float) -> Values:
    """Probabilities to leave the points 1, 2, ..., start, in spacings from the minimum."""
    c, eps = _positive(c, "c"), a_number(eps, "eps", 0.0, 1.0)
    points = np.arange(1.0, a_count(start, "start", 1) + 1)
    if not c * points[-1] <= 1:
        raise ValueError(f"c={c!r} times start={start!r} is above 1: steps are longer than u")
    return np.asarray(np.minimum(points * c + eps, 1.0))


def absorption_time(c: float, start: int, eps: float = 0.0) -> float:
    """
    Mean number of steps until f = lambda x^2 / 2 is minimized exactly.

    Parameters
    ----------
    c : float
        t lambda, a power of two, or such that products with it are exact.
    start : int
        J: x begins at J u, the minimum is at 0; J c at most 1.
    eps : float
        The bias of "sr_eps"; 0 for "sr".

    Returns
    -------
    float
        ``sum(1 / min(j c + eps, 1), j = 1 ... J)``. Derived: at j u the product is j c u, at most
        u, so that x stays or goes to (j - 1) u, the latter with probability
        p_j = min(j c + eps, 1); the times are independent and geometric. Rounding to nearest never
        arrives, unless c > 1/2: see `stagnation_radius`.

    Raises
    ------
    ValueError
        If c is not positive, J not at least 1, J c above 1, or eps not in [0, 1].

    Examples
    --------
    >>> [round(absorption_time(2.0**-6, 64, eps), 1) for eps in (0.0, 0.1, 0.25, 0.5)]
    [303.6, 149.4, 103.2, 75.9]
    """
    return float(np.sum(1 / _leaving(c, start, eps)))


def absorption_variance(c: float, start: int, eps: float = 0.0) -> float:
    """
    Variance of the number of steps until f = lambda x^2 / 2 is minimized exactly.

    Parameters
    ----------
    c, start, eps
        As in `absorption_time`.

    Returns
    -------
    float
        ``sum((1 - p_j) / p_j^2)``, of independent geometric times.

    Raises
    ------
    ValueError
        As `absorption_time`.

    Examples
    --------
    >>> round(absorption_variance(2.0**-6, 64) ** 0.5, 1)
    79.8
    """
    p = _leaving(c, start, eps)
    return float(np.sum((1 - p) / p**2))


def absorption_distribution(c: float, start: int, eps: float = 0.0, *, steps: int) -> Values:
    """
    Distribution of the number of steps until f = lambda x^2 / 2 is minimized exactly.

    Parameters
    ----------
    c, start, eps
        As in `absorption_time`.
    steps : int
        How far to go.

    Returns
    -------
    ndarray, shape (steps + 1,)
        The probabilities that x is 0 after 0, 1, ..., `steps` steps at the latest, by the Markov
        chain of `absorption_time`.

    Raises
    ------
    ValueError
        As `absorption_time`, and if `steps` is negative.

    Examples
    --------
    >>> absorption_distribution(0.5, 2, steps=4)
    array([0.   , 0.   , 0.5  , 0.75 , 0.875])
    """
    p = _leaving(c, start, eps)
    chances = np.zeros(len(p) + 1)
    chances[-1] = 1.0
    arrived = np.zeros(a_count(steps, "steps") + 1)
    for k in range(1, len(arrived)):
        flow = chances[1:] * p
        chances[1:] -= flow
        chances[:-1] += flow
        arrived[k] = chances[0]
    return arrived


# ---------------------------------------------------------------------------------------------


def _positive(value: Any, name: str) -> float:
    number = a_number(value, name)
    if not number > 0:
        raise ValueError(f"{name}={value!r} is not positive")
    return number


def _spacing(value: Any, name: str) -> float:
    spacing = _positive(value, name)
    if not math.isfinite(1 / spacing):
        raise ValueError(f"{name}={value!r} is too small to divide by")
    return spacing
