"""What theory says of singular values after stochastic rounding; public in `theory`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

import pysr

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# NDArray spelled out: stubtest looks for a class, and from NumPy 2.5 on it is none.
Matrix = np.ndarray[tuple[Any, ...], np.dtype[np.float64]]


def entry_variances(a: ArrayLike, fmt: Any) -> Matrix:
    """
    Variance that stochastic rounding gives to each entry.

    Parameters
    ----------
    a : array_like
        Real values.
    fmt : format
        Anything that `pysr.round` takes, narrower than binary64.

    Returns
    -------
    ndarray of float64
        (ceil - a)(a - floor), floor and ceil being the neighbours of `a` on the format's grid; 0
        on the grid. Dexter, Boutsikas, Ma, Ipsen, Drineas, arXiv:2403.12278.

    Raises
    ------
    OverflowError
        If a neighbour lies outside the format's range: the overflow rule, not the grid, would
        then shape the result.

    Examples
    --------
    >>> entry_variances([0.25, 0.5, 0.625], "Q1.2")
    array([0.      , 0.      , 0.015625])
    """
    below, above = _distances(a, fmt)
    return below * above


def largest_error(a: ArrayLike, fmt: Any) -> float:
    """
    Largest error that stochastic rounding can make.

    Parameters
    ----------
    a : array_like
        Real values.
    fmt : format
        As in `entry_variances`.

    Returns
    -------
    float
        R: the largest distance from an entry to one of its two neighbours; 0 on the grid. No draw
        has a larger error abs(A~_ij - A_ij). Dexter, Boutsikas, Ma, Ipsen, Drineas,
        arXiv:2403.12278, who take any such bound.

    Raises
    ------
    OverflowError
        As `entry_variances`.

    Examples
    --------
    >>> largest_error([0.25, 0.5, 0.6875], "Q1.2")
    0.1875
    """
    below, above = _distances(a, fmt)
    return float(max(below.max(initial=0.0), above.max(initial=0.0)))


def normalized_variance(a: ArrayLike, fmt: Any, bound: float | None = None) -> float:
    """
    Least normalized variance of a column.

    Parameters
    ----------
    a : array_like
        An n x d matrix.
    fmt : format
        As in `entry_variances`.
    bound : float, optional
        R, not less than the largest error; `largest_error` by default. The result depends on it,
        `lift_scale` does not.

    Returns
    -------
    float
        nu = min_j (1 / (n R^2)) sum_i Var A~_ij, in [0, 1]; 0 where R is 0. Dexter, Boutsikas, Ma,
        Ipsen, Drineas, arXiv:2403.12278.

    Raises
    ------
    ValueError
        If `bound` is less than the largest error.
    OverflowError
        As `entry_variances`.

    Examples
    --------
    >>> normalized_variance([[0.125, 0.5], [0.125, 0.375]], "Q1.2", bound=0.25)
    0.125
    >>> normalized_variance([[0.125, 0.5], [0.125, 0.375]], "Q1.2")
    0.5
    """
    below, above = _columns(a, fmt)
    largest = float(max(below.max(), above.max()))
    if bound is not None and not bound >= largest:
        raise ValueError(f"bound={bound!r} is less than the largest error, {largest!r}")
    r = largest if bound is None else bound
    return float((below * above).mean(axis=0).min()) / r**2 if r else 0.0


def lift_scale(a: ArrayLike, fmt: Any) -> float:
    """
    Leading term of the lower bound on the smallest singular value after rounding.

    Parameters
    ----------
    a : array_like
        An n x d matrix.
    fmt : format
        As in `entry_variances`.

    Returns
    -------
    float
        R sqrt(n nu) = sqrt(min_j sum_i Var A~_ij), in which R cancels. With high probability
        sigma_d(A~) >= R sqrt(n) (sqrt(nu) - eps), eps tending to 0 where d = O((n / log n)^(1/4)):
        Dexter, Boutsikas, Ma, Ipsen, Drineas, arXiv:2403.12278. It is for any matrix, of deficient
        rank or not; eps is left out here.

    Raises
    ------
    OverflowError
        As `entry_variances`.

    Examples
    --------
    >>> lift_scale([[0.125, 0.5], [0.125, 0.375]], "Q1.2")
    0.125
    """
    below, above = _columns(a, fmt)
    return math.sqrt(float((below * above).sum(axis=0).min()))


def predicted_lift(a: ArrayLike, fmt: Any) -> float:
    """
    Predict the smallest singular value after stochastic rounding.

    Parameters
    ----------
    a : array_like
        An n x d matrix, n >= d, whose other singular values are well above the rounding errors.
    fmt : format
        As in `entry_variances`.

    Returns
    -------
    float
        sqrt(sigma_d^2 + (1 - (d-1)/n) sum_j v_j^2 V_j), v being the right singular vector of
        sigma_d(A) and V_j = sum_i Var A~_ij. Derived for this project: to first order the error E
        adds E v to the vector A v, of whose n directions the d - 1 of the other singular vectors
        are taken.

    Raises
    ------
    ValueError
        If the matrix has more columns than rows.
    OverflowError
        As `entry_variances`.

    Examples
    --------
    >>> a = [[0.125, 0.125], [0.375, 0.375], [0.5, 0.5]]
    >>> round(predicted_lift(a, "Q1.2"), 4)
    0.1443
    """
    below, above = _columns(a, fmt)
    n, d = below.shape
    if n < d:
        raise ValueError(f"a has more columns than rows: {n} x {d}")
    _, sigma, v = np.linalg.svd(np.linalg.qr(np.asarray(a, np.float64), mode="r"))
    noise = float(v[-1] ** 2 @ (below * above).sum(axis=0))
    return math.sqrt(float(sigma[-1]) ** 2 + (1 - (d - 1) / n) * noise)


def noise_lift(n: int, d: int, deviation: float) -> float:
    """
    Predict the smallest singular value of rounding errors alone.

    Parameters
    ----------
    n, d : int
        Rows and columns, n >= d.
    deviation : float
        The standard deviation s of every entry.

    Returns
    -------
    float
        s (sqrt(n) - sqrt(d)). Derived for this project: where there is no signal the rounded
        matrix is s times one of independent entries of variance 1, whose smallest singular value is
        that (Bai and Yin, Ann. Probab. 21(3), 1993, 1275-1294). The follow-up, Ma, Drineas, Yu,
        arXiv:2606.00312, is about such n / d, which do not grow.

    Raises
    ------
    ValueError
        If there are more columns than rows, or `deviation` is negative.

    Examples
    --------
    >>> noise_lift(400, 100, 0.5)
    5.0
    """
    if not 1 <= d <= n:
        raise ValueError(f"d={d!r} is not in [1, {n}]")
    _not_negative(deviation, "deviation")
    return deviation * (math.sqrt(n) - math.sqrt(d))


def uniform_lift(n: int, step: float) -> float:
    """
    Predict the smallest singular value of a rank-deficient matrix on a uniform grid.

    Parameters
    ----------
    n : int
        The number of rows.
    step : float
        The grid's spacing.

    Returns
    -------
    float
        step sqrt(n/6). Derived for this project: fractional parts that are uniform give every
        entry the variance step^2/6. Round to nearest, whose errors then have the variance
        step^2/12, lifts to 1/sqrt(2) of it unless structure, such as equal columns, makes its
        errors equal too.

    Raises
    ------
    ValueError
        If `n` or `step` is negative.

    Examples
    --------
    >>> uniform_lift(600, 0.25)
    2.5
    """
    _not_negative(n, "n")
    _not_negative(step, "step")
    return step * math.sqrt(n / 6)


def lifted_cluster(n: int, d: int, k: int, step: float) -> tuple[float, float]:
    """
    Predict where a cluster of zero singular values goes on a uniform grid.

    Parameters
    ----------
    n, d : int
        Rows and columns, n >= d.
    k : int
        How many singular values are zero.
    step : float
        The grid's spacing.

    Returns
    -------
    low, high : float
        s (sqrt(n - d + k) - sqrt(k)) and s (sqrt(n - d + k) + sqrt(k)), s = step / sqrt(6). Derived
        for this project: on the k null directions, and off the other d - k left singular vectors,
        the errors are an (n - d + k) x k matrix of independent entries of variance s^2. That whole
        clusters are lifted is shown by Ma, Drineas, Yu, arXiv:2606.00312.

    Raises
    ------
    ValueError
        Unless 1 <= k <= d <= n, or if `step` is negative.

    Examples
    --------
    >>> lifted_cluster(1000, 200, 50, 6**0.5)  # doctest: +ELLIPSIS
    (22.08..., 36.22...)
    """
    if not 1 <= k <= d <= n:
        raise ValueError(f"n={n!r}, d={d!r}, k={k!r}: not 1 <= k <= d <= n")
    _not_negative(step, "step")
    deviation = step / math.sqrt(6)
    middle, half = math.sqrt(n - d + k), math.sqrt(k)
    return deviation * (middle - half), deviation * (middle + half)


def _distances(a: ArrayLike, fmt: Any) -> tuple[Matrix, Matrix]:
    """From each entry down to its lower neighbour, and up to its upper one."""
    values = np.asarray(a, np.float64)
    floor = np.asarray(pysr.round(values, fmt, "rd", overflow="raise"), np.float64)
    ceil = np.asarray(pysr.round(values, fmt, "ru", overflow="raise"), np.float64)
    return values - floor, ceil - values


def _columns(a: ArrayLike, fmt: Any) -> tuple[Matrix, Matrix]:
    shape = np.shape(a)
    if len(shape) != 2 or 0 in shape:
        raise ValueError(f"a must be a matrix with rows and columns, not of shape {shape}")
    return _distances(a, fmt)


def _not_negative(value: float, name: str) -> None:
    if not value >= 0:
        raise ValueError(f"{name}={value!r} is negative")
