"""What is known of deep matrix factorization: times, limits, thresholds.

Gradient descent with constant step eta on L = |W_N ... W_1 - What|_F^2 / 2, What symmetric, all
factors alpha I at first. Everything stays in the eigenbasis of What: an eigenvalue lambda of it
obeys, on its own,

    d <- d + eta f(d),    f(d) = d^(N-1) (lambda - d^N),

and d^N, which tends to lambda where lambda > 0 and to 0 elsewhere, is the eigenvalue of the
product. All functions here were derived from this recursion for this project, with the argument in
their docstrings; only the definition of the effective rank is from the literature. What they are
about is the subject of Chou, Gieshoff, Maly and Rauhut, Gradient descent for deep matrix
factorization: dynamics and implicit bias towards low rank, arXiv:2011.13772.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.integrate import quad

import pysr

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from pysr._core.formats import Format


def _check(**values: float) -> None:
    """Refuse what is not positive and finite; a depth must be an integer as well."""
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name}={value!r} must be positive and finite")
        if name == "depth" and value != int(value):
            raise ValueError(f"depth={value!r} must be an integer")


def recovery_time(eigenvalue: float, alpha: float, depth: int, fraction: float = 0.5) -> float:
    """
    Time that gradient flow takes to recover a fraction of an eigenvalue.

    Parameters
    ----------
    eigenvalue : float
        lambda > 0.
    alpha : float
        What every factor is at first, times the identity.
    depth : int
        N, the number of factors.
    fraction : float
        s, in (0, 1).

    Returns
    -------
    float
        T: the eigenvalue of the product reaches s lambda near step T / eta; `recovery_steps` is
        sharper. 0 if it is there from the beginning.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    Derived: d' = f(d) = d^(N-1) (lambda - d^N) separates, so that T is the integral of dy / f(y)
    from alpha to (s lambda)^(1/N). For N = 1 it is ln((lambda - alpha) / ((1 - s) lambda)), for
    N = 2 ln((lambda / alpha^2 - 1) s / (1 - s)) / (2 lambda); for N >= 3 it is integrated
    numerically, in ln y. T grows like 1 / lambda for N = 2 and, as alpha tends to 0, like
    alpha^(2-N) / ((N - 2) lambda) for N >= 3: large eigenvalues first, depth sharpens it.

    Examples
    --------
    >>> round(recovery_time(4.0, 0.01, 2), 4), round(recovery_time(0.5, 0.2, 4), 2)
    (1.3246, 24.17)

    By quadrature it is the same:

    >>> import scipy.integrate
    >>> T, _ = scipy.integrate.quad(lambda y: 1 / (y * (4 - y * y)), 0.01, 2**0.5)
    >>> round(T, 4)
    1.3246
    """
    _check(eigenvalue=eigenvalue, alpha=alpha, depth=depth)
    if not 0 < fraction < 1:
        raise ValueError(f"fraction={fraction!r} is not in (0, 1)")
    goal = (fraction * eigenvalue) ** (1 / depth)
    if alpha >= goal:
        return 0.0
    if depth == 1:
        return math.log((eigenvalue - alpha) / ((1 - fraction) * eigenvalue))
    if depth == 2:
        odds = (eigenvalue / alpha**2 - 1) * fraction / (1 - fraction)
        return math.log(odds) / (2 * eigenvalue)

    def inverse(t: float) -> float:
        return math.exp((2 - depth) * t) / (eigenvalue - math.exp(depth * t))

    low, high = math.log(alpha), math.log(goal)
    return float(quad(inverse, low, high, epsabs=0, epsrel=1e-10, limit=200)[0])


def recovery_steps(
    eigenvalue: float, alpha: float, depth: int, step: float, fraction: float = 0.5
) -> float:
    """
    Steps that gradient descent takes to recover a fraction of an eigenvalue.

    Parameters
    ----------
    eigenvalue, alpha, depth, fraction
        As in `recovery_time`.
    step : float
        eta, the constant step.

    Returns
    -------
    float
        k: the eigenvalue of the product is first at or above s lambda at step ceil(k), up to an
        error O(eta) of k. 0 if it is there from the beginning.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    Derived: T / eta + ln(f(end) / f(start)) / 2. Steps d <- d + eta f(d) follow the flow of
    f - eta f f' / 2 to second order (the modified equation of Euler's method), along which the
    integral of dy / f becomes that of (1 + eta f' / 2) dy / f. So descent lags behind the flow by
    the same number of steps, whatever eta: a few.

    Examples
    --------
    >>> round(recovery_steps(4.0, 0.01, 2, 0.01), 1)
    134.6

    The same by descent itself:

    >>> d, k = 0.01, 0
    >>> while d**2 < 2.0:
    ...     d, k = d - 0.01 * d * (d**2 - 4.0), k + 1
    >>> k
    135
    """
    _check(step=step)
    time = recovery_time(eigenvalue, alpha, depth, fraction)
    if time == 0:
        return 0.0

    def speed(d: float) -> float:
        return d ** (depth - 1) * (eigenvalue - d**depth)

    lag = math.log(speed((fraction * eigenvalue) ** (1 / depth)) / speed(alpha)) / 2
    return max(0.0, time / step + lag)


def recovery_plateau(
    spectrum: ArrayLike,
    alpha: float,
    depth: int,
    step: float,
    rank: int,
    *,
    found: float = 0.99,
    unseen: float = 0.01,
) -> tuple[int, float]:
    """
    Predict the steps between which the product is close to the best approximation of a rank.

    Parameters
    ----------
    spectrum : array_like
        Eigenvalues of What, in any order.
    alpha, depth, step
        As in `recovery_steps`.
    rank : int
        L, from 1 to the number of positive eigenvalues; those of the size of round-off are 0.
    found, unseen : float
        Which fraction of the L-th eigenvalue counts as found, and of the next one as not seen yet.

    Returns
    -------
    first : int
        The step at which the L-th largest eigenvalue is found.
    last : int or inf
        The step at which the next one is seen; infinite if that is not positive. Less than `first`
        where eigenvalues are too close together, or alpha too large, for a plateau.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    From `recovery_steps`, rounded up. In between, the effective rank of the product is close to
    that of the best approximation of rank L.

    Examples
    --------
    >>> spectrum = [4, 2, 1, 0.5, 0, 0]
    >>> recovery_plateau(spectrum, 0.2, 4, 0.01, 1), recovery_plateau(spectrum, 0.2, 4, 0.01, 2)
    ((326, 451), (661, 754))

    With two factors there is none here, the first eigenvalue is found when the second is seen:

    >>> recovery_plateau(spectrum, 0.01, 2, 0.01, 1)
    (191, 135)
    """
    values = np.sort(np.asarray(spectrum, np.float64).ravel())[::-1]
    zero = len(values) * np.finfo(np.float64).eps * np.abs(values).max(initial=0.0)
    positive = int(np.count_nonzero(values > zero))
    if not 1 <= rank <= positive:
        raise ValueError(f"rank={rank!r} is not from 1 to {positive}, the positive eigenvalues")
    first = recovery_steps(float(values[rank - 1]), alpha, depth, step, found)
    if rank == positive:
        return math.ceil(first), math.inf
    last = recovery_steps(float(values[rank]), alpha, depth, step, unseen)
    return math.ceil(first), math.ceil(last)


def recovery_step_limit(eigenvalue: float, depth: int) -> float:
    """
    Largest step for which descent converges to an eigenvalue.

    Parameters
    ----------
    eigenvalue : float
        lambda > 0; the largest one decides.
    depth : int
        N, the number of factors.

    Returns
    -------
    float
        2 / (N lambda^(2 - 2/N)).

    Raises
    ------
    ValueError
        If an argument is not positive.

    Notes
    -----
    Derived: at d^N = lambda the recursion has the derivative 1 - eta N lambda^(2 - 2/N), which must
    be above -1. The limit is sharp: beyond it d ends in a cycle around the solution, or diverges.
    It is local: from far away smaller steps may be needed. It holds for the matrices too: N
    lambda_1^(2 - 2/N) is the largest eigenvalue of the Hessian at the solution.

    Examples
    --------
    >>> [round(recovery_step_limit(4.0, depth), 4) for depth in (1, 2, 3, 4)]
    [2.0, 0.25, 0.105, 0.0625]
    """
    _check(eigenvalue=eigenvalue, depth=depth)
    return 2 / (depth * math.pow(eigenvalue, 2 - 2 / depth))


def _ulp(d: float, fmt: Format) -> float:
    """Spacing of a format's numbers from d on."""
    if fmt.precision is None:
        return float(getattr(fmt, "step", 0.0))
    return math.ldexp(1.0, max(math.frexp(d)[1] - fmt.precision, fmt.qmin))


def recovery_threshold(fmt: Any, alpha: float, depth: int, step: float) -> float:
    """
    Least eigenvalue that is learned when weights are rounded to nearest.

    Parameters
    ----------
    fmt : str, dtype or Format
        The format of d, which is rounded to nearest, ties to even, after every step.
    alpha, depth, step
        As in `recovery_steps`; alpha is rounded to `fmt` first.

    Returns
    -------
    float
        The lambda below which d stands still for ever before d^N is near lambda, and from which on
        it is learned; infinite if alpha rounds to 0.

    Raises
    ------
    ValueError
        If an argument is out of range, or there is no such format.

    Notes
    -----
    Derived: d moves if its step eta d^(N-1) (lambda - d^N) is more than half the spacing ulp(d), a
    tie going back to where it was if d is a power of two. Between powers of two ulp is constant and
    the step grows until d^N is of the size of lambda: what matters is where d begins, and where ulp
    doubles. So lambda is learned if it is above

        max ulp(d) / (2 eta d^(N-1)) + d^N    over d = alpha and powers of two in (alpha,
        lambda^(1/N)),

    and this is the least such lambda. Descent that leaps over a power of two may do with less.
    Above the threshold d still ends a little below lambda^(1/N), where its steps become too small
    again, and where the maximum is at a d with d^N near lambda, it is only this rest that is missed
    below the threshold. It is for the recursion of d; matrices, whose elements are smaller than
    their norms, are not held back as much.

    Examples
    --------
    >>> [round(recovery_threshold(fmt, 0.1, 3, 0.01), 3) for fmt in ("bfloat16", "float16")]
    [3.127, 0.393]
    >>> [round(recovery_threshold(fmt, 0.2, 4, 0.01), 3) for fmt in ("bfloat16", "float16")]
    [6.254, 0.785]

    With 8 fractional bits nothing below 20 is learned at all:

    >>> round(recovery_threshold("Q7.8", 0.1, 3, 0.01), 1)
    18.9
    """
    _check(alpha=alpha, depth=depth, step=step)
    chosen = pysr.format(fmt)
    start = float(pysr.round(alpha, chosen, "rne"))
    if start == 0:
        return math.inf

    def least(d: float) -> float:
        return _ulp(d, chosen) / (2 * step * d ** (depth - 1)) + d**depth

    found = least(start)
    power = math.ldexp(1.0, math.frexp(start)[1])
    while power**depth < found:
        found = max(found, least(power))
        power *= 2
    return found


def escape_rate(spectrum: ArrayLike, depth: int) -> float:
    """
    Rate at which rounding errors leave the limit of identical factors.

    Parameters
    ----------
    spectrum : array_like
        Eigenvalues of What, in any order.
    depth : int
        N, the number of factors.

    Returns
    -------
    float
        The rate at which deviations grow, per unit of eta k, k being the number of steps; 0 if they
        do not grow exponentially, as without negative eigenvalues.

    Raises
    ------
    ValueError
        If `depth` is not positive.

    Notes
    -----
    Derived. With alpha I for all factors they stay equal in exact arithmetic, and an eigenvalue
    l < 0 ends as 0. For N = 2 the loss there, in the diagonal entries x and y of the two factors,
    is (x y - l)^2 / 2: it has a saddle at 0, from which x = -y grows at the rate |l|. For N >= 3
    that entry has no second derivative, but mixes with an eigenvalue p = d^N > 0: let x be the
    entry of W_1 that leads from l's eigenvector to p's, and y that of W_N which leads back. Both
    alone change entries of the product that should be 0, by d^(N-1) x and d^(N-1) y; together they
    make l's entry d^(N-2) x y. The second-order loss d^(2N-2) (x^2 + y^2) / 2 + |l| d^(N-2) x y has
    a saddle if |l| > p, from which x = -y grows at the rate p^((N-2)/N) (|l| - p). The largest of
    these is the result. N = 1 is a convex problem.

    Examples
    --------
    >>> escape_rate([3, 1, -1, -2], 2), escape_rate([3, 1, -1, -2], 3)
    (2.0, 1.0)
    >>> escape_rate([3, 1], 2)
    0.0
    """
    _check(depth=depth)
    values = np.asarray(spectrum, np.float64).ravel()
    least = max(0.0, -float(values.min(initial=0.0)))
    if depth == 1:
        return 0.0
    if depth == 2:
        return least
    p = values[values > 0]
    return float(np.max(p ** ((depth - 2) / depth) * (least - p), initial=0.0))


def effective_rank(spectrum: ArrayLike) -> float:
    """
    Effective rank, the nuclear norm over the spectral norm.

    Parameters
    ----------
    spectrum : array_like
        Singular values, or eigenvalues of a symmetric matrix, in any order.

    Returns
    -------
    float
        sum |s_i| / max |s_i|: between 1 and the rank. NaN for a matrix that is 0.

    Notes
    -----
    The definition of Chou, Gieshoff, Maly and Rauhut, arXiv:2011.13772, as recalled.

    Examples
    --------
    >>> effective_rank([4, 2, 1, 0.5, 0, 0])
    1.875
    """
    values = np.abs(np.asarray(spectrum, np.float64)).ravel()
    largest = float(values.max(initial=0.0))
    return float(values.sum()) / largest if largest > 0 else math.nan
