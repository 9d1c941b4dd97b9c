"""What theory says of rounding errors, to stand beside what is measured.

Every function names its source. Bounds that are proved come with all their constants. Where a paper
leaves a constant open ("a small integer", "of low degree in m and n"), the function says so and
has a parameter ``constant``, 1 unless it is given: its result is then the form of the bound, an
order of magnitude.

Two kinds of bounds are here. The worst case, with gamma_n = n u / (1 - n u), is for any rounding.
With `failure`, the bound grows like sqrt(n) and holds with probability at least 1 - failure where
rounding errors are mean independent of mean zero: in mode ``"sr"`` they are (Connolly, Higham and
Mary 2021, section 4), as long as nothing overflows or underflows; to nearest it is an assumption.

References
----------
Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, SIAM, 2002 (ASNA).
Higham, Mary, A new approach to probabilistic rounding error analysis, SIAM J. Sci. Comput. 41(5),
2019, A2815-A2835.
Connolly, Higham, Mary, Stochastic rounding and its probabilistic backward error analysis, SIAM J.
Sci. Comput. 43(1), 2021, A566-A585.
Connolly, Higham, Probabilistic rounding error analysis of Householder QR factorization, SIAM J.
Matrix Anal. Appl. 44(3), 2023, 1146-1163.
El Arar, Fasi, Filip, Mikaitis, Probabilistic error analysis of limited-precision stochastic
rounding, SIAM J. Sci. Comput. 47(5), 2025, B1227-B1249 (arXiv:2408.03069); the same authors survey
the field in arXiv:2603.06060.
Björck, Solving linear least squares problems by Gram-Schmidt orthogonalization, BIT 7, 1967, 1-21.
Giraud, Langou, Rozložník, van den Eshof, Rounding error analysis of the classical Gram-Schmidt
orthogonalization process, Numer. Math. 101, 2005, 87-100.
Yamamoto, Nakatsukasa, Yanagisawa, Fukaya, Roundoff error analysis of the CholeskyQR2 algorithm,
Electron. Trans. Numer. Anal. 44, 2015, 306-326.
Carson, Higham, Accelerating the solution of linear systems by iterative refinement in three
precisions, SIAM J. Sci. Comput. 40(2), 2018, A817-A847.
Dexter, Boutsikas, Ma, Ipsen, Drineas, Stochastic rounding implicitly regularizes tall-and-thin
matrices, SIAM J. Matrix Anal. Appl., 2024 (arXiv:2403.12278); Ma, Drineas, Yu, Stochastic rounding
increases small singular values, arXiv:2606.00312.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

import pysr
from pysr.linalg._lift import (
    entry_variances,
    largest_error,
    lift_scale,
    lifted_cluster,
    noise_lift,
    normalized_variance,
    predicted_lift,
    uniform_lift,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from pysr.arithmetic import Spec

__all__ = [
    "cholesky",
    "cholesky_qr2_orthogonality",
    "cholesky_qr_limit",
    "cholesky_qr_orthogonality",
    "confidence_factor",
    "entry_variances",
    "failure_probability",
    "few_bits",
    "gamma",
    "gamma_probabilistic",
    "gmres_ir_limit",
    "householder_qr",
    "inner_product",
    "largest_error",
    "lift_scale",
    "lifted_cluster",
    "loss_of_orthogonality",
    "lu",
    "lu_ir_limit",
    "lu_solve",
    "matmul",
    "matvec",
    "noise_lift",
    "normalized_variance",
    "predicted_lift",
    "rounding_depth",
    "stagnation",
    "summation",
    "summation_deviation",
    "triangular_solve",
    "uniform_lift",
    "unit_roundoff",
]

_NEAREST = ("rne", "rna", "rnz")


# ---------------------------------------------------------------------------------------------
# Roundings, one and many


def unit_roundoff(fmt: Spec, mode: str = "sr") -> float:
    """
    Bound the relative error of one rounding.

    Parameters
    ----------
    fmt : str, dtype or Format
        A floating-point format.
    mode : str
        A mode of `pysr.round`.

    Returns
    -------
    float
        u: 2^-p to nearest, p being the format's precision, and 2^(1-p) in every other mode. It
        holds above the smallest normal number and below the largest finite one.

    Raises
    ------
    ValueError
        If the format is fixed point, whose errors are not relative, or there is no such mode.

    Notes
    -----
    ASNA, Theorem 2.2; Connolly, Higham and Mary 2021, section 2, for stochastic rounding.

    Examples
    --------
    >>> unit_roundoff("bfloat16", "rne"), unit_roundoff("bfloat16", "sr")
    (0.00390625, 0.0078125)
    """
    chosen = pysr.format(fmt)
    if chosen.precision is None:
        raise ValueError(
            f"fmt={fmt!r} is fixed point or a grid: its rounding errors are not relative"
        )
    if mode not in pysr.MODES:
        raise ValueError(f"mode={mode!r} is not one of {', '.join(map(repr, pysr.MODES))}")
    return math.ldexp(1.0, -chosen.precision if mode in _NEAREST else 1 - chosen.precision)


def gamma(n: float, u: float) -> float:
    """
    Bound the relative error of n roundings, whatever they are.

    Parameters
    ----------
    n : float
        How many factors (1 + delta) or 1 / (1 + delta), abs(delta) <= u, there are at most.
    u : float
        The unit roundoff.

    Returns
    -------
    float
        gamma_n = n u / (1 - n u), ASNA, Lemma 3.1; infinite unless n u < 1.

    Examples
    --------
    >>> gamma(10, 2.0**-8)
    0.04065040650406504
    >>> gamma(1000, 2.0**-8)
    inf
    """
    _nonnegative(n, "n")
    _roundoff(u)
    return n * u / (1 - n * u) if n * u < 1 else math.inf


def gamma_probabilistic(n: float, u: float, factor: float) -> float:
    """
    Bound the relative error of n roundings, with high probability.

    Parameters
    ----------
    n : float
        As in `gamma`.
    u : float
        The unit roundoff, below 1.
    factor : float
        lambda, as from `confidence_factor`.

    Returns
    -------
    float
        gamma~_n(lambda) = exp(lambda sqrt(n) u + n u^2 / (1 - u)) - 1: Higham and Mary 2019,
        section 2, for independent errors; Connolly, Higham and Mary 2021, section 4, for mean
        independent ones. It fails with at most `failure_probability`.

    Examples
    --------
    >>> round(gamma_probabilistic(1000, 2.0**-10, 3.0), 4)
    0.0981
    """
    _nonnegative(n, "n")
    _nonnegative(factor, "factor")
    _roundoff(u)
    if u >= 1:
        return math.inf
    exponent = factor * math.sqrt(n) * u + n * u * u / (1 - u)
    return math.expm1(exponent) if exponent < 700 else math.inf


def failure_probability(factor: float, u: float, count: int = 1) -> float:
    """
    Bound the probability that a probabilistic bound fails.

    Parameters
    ----------
    factor : float
        lambda.
    u : float
        The unit roundoff.
    count : int
        How many products of roundings must all keep to `gamma_probabilistic`.

    Returns
    -------
    float
        ``2 count exp(-lambda^2 (1 - u)^2 / 2)``, at most 1: the sources of `gamma_probabilistic`,
        and the union bound.

    Examples
    --------
    >>> round(failure_probability(4.0, 2.0**-10), 6)
    0.000681
    """
    _nonnegative(factor, "factor")
    _roundoff(u)
    _nonnegative(count, "count")
    return min(1.0, 2 * count * math.exp(-((factor * (1 - u)) ** 2) / 2))


def confidence_factor(failure: float, u: float, count: int = 1) -> float:
    """
    Find the lambda of a given probability of failure.

    Parameters
    ----------
    failure : float
        In (0, 1): what `failure_probability` is to be.
    u, count
        As in `failure_probability`.

    Returns
    -------
    float
        lambda.

    Raises
    ------
    ValueError
        If `failure` is not in (0, 1), or `u` not in (0, 1).

    Examples
    --------
    >>> factor = confidence_factor(0.001, 2.0**-10, count=50)
    >>> round(factor, 3), round(failure_probability(factor, 2.0**-10, 50), 9)
    (4.803, 0.001)
    """
    if not 0 < failure < 1:
        raise ValueError(f"failure={failure!r} is not in (0, 1)")
    _roundoff(u)
    if not u < 1:
        raise ValueError(f"u={u!r} is not below 1: there is no probabilistic bound")
    return math.sqrt(2 * math.log(2 * max(count, 1) / failure)) / (1 - u)


def _bound(n: float, u: float, failure: float | None, count: int) -> float:
    if failure is None:
        return gamma(n, u)
    if u >= 1:
        return math.inf
    return gamma_probabilistic(n, u, confidence_factor(failure, u, count))


# ---------------------------------------------------------------------------------------------
# Sums and products


def rounding_depth(n: int, *, order: str = "sequential", block: int | None = None) -> int:
    """
    Count the additions that one term of a sum goes through.

    Parameters
    ----------
    n : int
        How many terms there are.
    order : {"sequential", "pairwise", "blocked", "exact"}
        As in `pysr.Arithmetic.sum`.
    block : int, optional
        Terms of a block, for the order "blocked".

    Returns
    -------
    int
        The largest number over the terms: n - 1; ceil(log2 n); ``block - 1`` inside a block and
        one less than there are blocks after it; or 1. ASNA, section 4.2; the trees are those of
        S8.1 of docs/specification.md.

    Raises
    ------
    ValueError
        If there is no such order, or a block is missing or has no term.

    Examples
    --------
    >>> rounding_depth(1000), rounding_depth(1000, order="pairwise")
    (999, 10)
    >>> rounding_depth(1000, order="blocked", block=32)
    62
    """
    _nonnegative(n, "n")
    if order not in ("sequential", "pairwise", "blocked", "exact"):
        raise ValueError(f"order={order!r} is not 'sequential', 'pairwise', 'blocked' or 'exact'")
    if (order == "blocked") != (block is not None):
        raise ValueError(f"block={block!r} with order={order!r}: 'blocked' alone has blocks")
    if block is not None and block < 1:
        raise ValueError(f"block={block!r} is not positive")
    if n <= 1:
        return min(n, 1)  # a term alone is rounded
    if order == "exact":
        return 1
    if order == "pairwise":
        return (n - 1).bit_length()
    if block is not None:
        blocks = -(-n // block)
        return min(block, n) - 1 + blocks - 1
    return n - 1


def summation(
    n: int,
    u: float,
    *,
    failure: float | None = None,
    order: str = "sequential",
    block: int | None = None,
) -> float:
    """
    Bound the error of a sum.

    Parameters
    ----------
    n : int
        Terms.
    u : float
        The unit roundoff.
    failure : float, optional
        With it the bound is probabilistic.
    order, block
        As in `rounding_depth`.

    Returns
    -------
    float
        b, such that abs(computed - exact) <= b sum abs(x_i). Worst case: gamma_d, d being the
        `rounding_depth`: ASNA, section 4.2. Probabilistic: gamma~_d(lambda) with lambda for n
        products, Connolly, Higham and Mary 2021, section 4; in other orders than the sequential
        one the same argument along each term's path to the root.

    Examples
    --------
    >>> round(summation(100, 2.0**-10), 4), round(summation(100, 2.0**-10, failure=0.01), 4)
    (0.107, 0.0443)
    >>> round(summation(100, 2.0**-10, order="pairwise"), 4)
    0.0069
    """
    return _bound(rounding_depth(n, order=order, block=block), u, failure, n)


def inner_product(
    n: int,
    u: float,
    *,
    failure: float | None = None,
    order: str = "sequential",
    block: int | None = None,
    accumulate: str = "separate",
) -> float:
    """
    Bound the error of an inner product whose products and sums are rounded.

    Parameters
    ----------
    n, u, failure, order
        As in `summation`.
    accumulate, block
        As in `pysr.Arithmetic.matmul`.

    Returns
    -------
    float
        b, such that abs(computed - exact) <= b abs(x)^T abs(y): one rounding more than `summation`
        has with products rounded on their own, n with "fma", one a block with "block". ASNA,
        equation (3.5); Connolly, Higham and Mary 2021, section 4; counted for this project where
        blocks are exact.

    Examples
    --------
    >>> inner_product(100, 2.0**-10) == gamma(100, 2.0**-10)
    True
    """
    return _bound(_inner_depth(n, order, block, accumulate), u, failure, n)


def _inner_depth(n: int, order: str, block: int | None, accumulate: str) -> int:
    if accumulate == "separate":
        return rounding_depth(n, order=order, block=block) + (n > 1)
    if accumulate not in ("fma", "block"):
        raise ValueError(f"accumulate={accumulate!r} is not 'separate', 'fma' or 'block'")
    if order != "sequential":
        raise ValueError(f"order={order!r} goes with accumulate='separate' alone")
    if (accumulate == "block") != (block is not None) or (block is not None and block < 1):
        raise ValueError(f"block={block!r} with accumulate={accumulate!r}")
    _nonnegative(n, "n")
    return n if block is None else -(-n // block)


def matvec(
    m: int,
    n: int,
    u: float,
    *,
    failure: float | None = None,
    order: str = "sequential",
    block: int | None = None,
    accumulate: str = "separate",
) -> float:
    """
    Bound the error of an m x n matrix times a vector.

    Parameters
    ----------
    m, n : int
        Rows, and terms of each inner product.
    u, failure, order, block, accumulate
        As in `inner_product`; the failure is that of all m results together.

    Returns
    -------
    float
        b, such that the result is (A + dA) x with abs(dA) <= b abs(A): ASNA, equation (3.11);
        Higham and Mary 2019, section 3, with the union over m n products.

    Examples
    --------
    >>> round(matvec(50, 100, 2.0**-10, failure=0.01), 4)
    0.0528
    """
    return matmul(m, n, 1, u, failure=failure, order=order, block=block, accumulate=accumulate)


def matmul(
    m: int,
    n: int,
    p: int,
    u: float,
    *,
    failure: float | None = None,
    order: str = "sequential",
    block: int | None = None,
    accumulate: str = "separate",
) -> float:
    """
    Bound the error of an m x n matrix times an n x p matrix.

    Parameters
    ----------
    m, n, p : int
        The shapes.
    u, failure, order, block, accumulate
        As in `inner_product`; the failure is that of all m p results together.

    Returns
    -------
    float
        b, such that abs(computed - A B) <= b abs(A) abs(B): ASNA, equation (3.13); Higham and Mary
        2019, section 3, with the union over m n p products.

    Examples
    --------
    >>> matmul(50, 100, 50, 2.0**-10) == gamma(100, 2.0**-10)
    True
    """
    for value, name in ((m, "m"), (p, "p")):
        _nonnegative(value, name)
    return _bound(_inner_depth(n, order, block, accumulate), u, failure, m * n * p)


def few_bits(n: int, u: float, random_bits: int, *, failure: float, variant: str = "a") -> float:
    """
    Bound the error of n stochastic roundings that have few random bits.

    Parameters
    ----------
    n : int
        How many roundings one term goes through.
    u : float
        The unit roundoff of stochastic rounding, 2^(1-p).
    random_bits : int
        r.
    failure : float
        The bound may fail with this probability, for one product of n roundings.
    variant : {"a", "b", "c"}
        As in `pysr.round`.

    Returns
    -------
    float
        ``(1 + gamma~_n(lambda)) exp(n b u) - 1`` with b = 2^-r for variant a, which truncates the
        probability, and 2^-(r+1) for b and c, which round it; gamma~ and lambda for
        u' = u (1 + b) / (1 - b u).

    Raises
    ------
    ValueError
        If there is no such variant, or `random_bits` is not in [1, 64].

    Notes
    -----
    Derived for this project; its form, O(sqrt(n) u) + O(n 2^-r u), is that of El Arar, Fasi, Filip
    and Mikaitis 2025. The probability of rounding away differs from the exact one by less than b
    (S3.4 to S3.6 of docs/specification.md), so that the error's mean, given all that went before,
    is at most b quanta: abs(beta_i) <= b u. Then (1 + delta_i) = (1 + beta_i) (1 + delta'_i), where
    the delta'_i have mean zero given the past and abs(delta'_i) <= u': their product keeps to
    `gamma_probabilistic`, and that of the 1 + beta_i to exp(n b u).

    Examples
    --------
    >>> [round(few_bits(1000, 2.0**-10, r, failure=0.01), 3) for r in (2, 5, 10, 64)]
    [0.45, 0.145, 0.108, 0.107]
    """
    if variant not in ("a", "b", "c"):
        raise ValueError(f"variant={variant!r} is not 'a', 'b' or 'c'")
    if not 1 <= random_bits <= 64:
        raise ValueError(f"random_bits={random_bits!r} is not in [1, 64]")
    _roundoff(u)
    share = math.ldexp(1.0, -random_bits - (variant != "a"))
    wide = u * (1 + share) / (1 - share * u)
    random, drift = _bound(n, wide, failure, 1), n * share * u
    return (1 + random) * math.exp(drift) - 1 if drift < 700 else math.inf


def stagnation(n: int, fmt: Spec) -> float:
    """
    Say how much a sum of n equal terms loses to nearest.

    Parameters
    ----------
    n : int
        Terms, all the same power of two, added one after the other.
    fmt : str, dtype or Format
        A floating-point format.

    Returns
    -------
    float
        The relative error under "rne": 0 while n <= 2^p; then 1 - 2^p / n, for at 2^p terms one
        more is half a quantum, a tie that goes to the even side, down. Elementary.

    Examples
    --------
    >>> ones = np.ones(1000)
    >>> 1 - float(pysr.Arithmetic("bfloat16", "rne").sum(ones)) / 1000, stagnation(1000, "bfloat16")
    (0.744, 0.744)
    """
    _nonnegative(n, "n")
    last = 1 / unit_roundoff(fmt, "rne")
    return max(0.0, 1 - last / n) if n else 0.0


def summation_deviation(terms: ArrayLike, fmt: Spec) -> float:
    """
    Predict the standard deviation of a stochastically rounded sum.

    Parameters
    ----------
    terms : array_like
        Terms of one sign, of the format, added one after the other.
    fmt : str, dtype or Format
        A floating-point format.

    Returns
    -------
    float
        sqrt(sum_k q_k^2 f_k (1 - f_k)), q_k being the quantum at the k-th exact partial sum and
        f_k the k-th term's fractional part in quanta. Derived for this project: a sum on the grid
        plus a term goes up with probability f_k. It is of first order, for the partial sums as
        computed may lie in another binade than the exact ones.

    Examples
    --------
    >>> round(summation_deviation(np.full(1024, 1.0), "bfloat16"), 2)
    42.41
    """
    x = np.abs(np.asarray(terms, np.float64))
    precision = 1 - round(math.log2(unit_roundoff(fmt, "sr")))
    partial = np.cumsum(x)[1:]
    _, exponents = np.frexp(partial)
    quanta = np.ldexp(1.0, exponents - precision)
    parts = np.mod(x[1:] / quanta, 1.0)
    return math.sqrt(float(np.sum(quanta**2 * parts * (1 - parts))))


# ---------------------------------------------------------------------------------------------
# Triangular systems, LU, Cholesky


def triangular_solve(n: int, u: float, *, failure: float | None = None) -> float:
    """
    Bound the backward error of substitution.

    Parameters
    ----------
    n : int
        The order of the triangular matrix T.
    u, failure
        As in `summation`.

    Returns
    -------
    float
        b, such that (T + dT) x = b with abs(dT) <= b abs(T): ASNA, Theorem 8.5; Higham and Mary
        2019, section 3, with the union over the n (n + 1) / 2 entries, counted for this project.

    Examples
    --------
    >>> triangular_solve(50, 2.0**-10) == gamma(50, 2.0**-10)
    True
    """
    return _bound(n, u, failure, n * (n + 1) // 2)


def lu(n: int, u: float, *, failure: float | None = None) -> float:
    """
    Bound the backward error of Gaussian elimination.

    Parameters
    ----------
    n : int
        The order of the matrix.
    u, failure
        As in `summation`.

    Returns
    -------
    float
        b, such that L U = P A + dA with abs(dA) <= b abs(L) abs(U): ASNA, Theorem 9.3; Higham and
        Mary 2019, section 3, with the union over sum_ij min(i, j) = n (n + 1) (2n + 1) / 6
        products, counted for this project.

    Examples
    --------
    >>> round(lu(50, 2.0**-10), 4), round(lu(50, 2.0**-10, failure=0.01), 4)
    (0.0513, 0.0399)
    """
    return _bound(n, u, failure, n * (n + 1) * (2 * n + 1) // 6)


def lu_solve(n: int, u: float, *, failure: float | None = None) -> float:
    """
    Bound the backward error of solving by Gaussian elimination.

    Parameters
    ----------
    n : int
        The order of the matrix.
    u, failure
        As in `summation`.

    Returns
    -------
    float
        b, such that (A + dA) x = b with abs(dA) <= b abs(L) abs(U), rows being permuted alike: 3 g
        + g^2 with g as in `lu`; ASNA, Theorem 9.4; Higham and Mary 2019, section 3, with the
        union over the products of both factors and of two substitutions.

    Examples
    --------
    >>> round(lu_solve(50, 2.0**-12), 4)
    0.0372
    """
    count = n * (n + 1) * (2 * n + 1) // 6 + n * (n + 1)
    single = _bound(n, u, failure, count)
    return 3 * single + single**2


def cholesky(n: int, u: float, *, failure: float | None = None) -> float:
    """
    Bound the backward error of the Cholesky factorization.

    Parameters
    ----------
    n : int
        The order of the matrix.
    u, failure
        As in `summation`.

    Returns
    -------
    float
        b, such that R^T R = A + dA with abs(dA) <= b abs(R)^T abs(R): gamma_(n+1), ASNA, Theorem
        10.3; Higham and Mary 2019, section 3, with the union over n (n + 1) (n + 2) / 6 products,
        counted for this project.

    Examples
    --------
    >>> cholesky(50, 2.0**-10) == gamma(51, 2.0**-10)
    True
    """
    return _bound(n + 1, u, failure, n * (n + 1) * (n + 2) // 6)


# ---------------------------------------------------------------------------------------------
# Orthogonal factors


def householder_qr(
    m: int, n: int, u: float, *, factor: float | None = None, constant: float = 1.0
) -> float:
    """
    Give the form of the bounds for Householder's QR factorization.

    Parameters
    ----------
    m, n : int
        Rows and columns.
    u : float
        The unit roundoff.
    factor : float, optional
        lambda. With it the form is the probabilistic one.
    constant : float
        c, which neither source states.

    Returns
    -------
    float
        b, such that A + dA = Q R for an exactly orthogonal Q with ||dA_j|| <= b ||A_j|| in every
        column: c m n u / (1 - c m n u), ASNA, Theorem 19.4; with `factor` c lambda sqrt(m n) u,
        Connolly and Higham 2023, whose abstract states the growth. The computed Q is within
        sqrt(n) b of an orthogonal one, in the Frobenius norm: ASNA, equation (19.13).

    Examples
    --------
    >>> householder_qr(1000, 50, 2.0**-24)  # doctest: +ELLIPSIS
    0.00298...
    >>> householder_qr(1000, 50, 2.0**-24, factor=1.0)  # doctest: +ELLIPSIS
    1.33...e-05
    """
    _nonnegative(m, "m")
    if factor is None:
        return gamma(constant * m * n, u)
    _roundoff(u)
    return constant * factor * math.sqrt(m * n) * u


_EXPONENTS = {
    "householder": 0,
    "givens": 0,
    "cgs2": 0,
    "mgs2": 0,
    "cholesky2": 0,
    "mgs": 1,
    "cgs": 2,
    "cholesky": 2,
}


def loss_of_orthogonality(method: str, kappa: float, u: float, *, constant: float = 1.0) -> float:
    """
    Give the form of the loss of orthogonality of a QR factorization.

    Parameters
    ----------
    method : {"householder", "givens", "mgs", "mgs2", "cgs", "cgs2", "cholesky", "cholesky2"}
        How Q is computed.
    kappa : float
        The condition number of A in the 2-norm.
    u : float
        The unit roundoff.
    constant : float
        c, a polynomial of low degree in m and n that depends on the method.

    Returns
    -------
    float
        ||Q^T Q - I||, about: c u for Householder's and Givens's, whatever kappa (ASNA, section
        19.3), c kappa u for MGS (Björck 1967), c kappa^2 u for CGS (Giraud, Langou, Rozložník and
        van den Eshof 2005) and the Cholesky factor of A^T A (Yamamoto et al. 2015). Twice is
        enough: c u again for CGS and MGS if c kappa u < 1 (Giraud et al. 2005), for Cholesky if
        c kappa^2 u < 1 (Yamamoto et al. 2015). Infinite where the sources promise nothing.

    Raises
    ------
    ValueError
        If there is no such method, or kappa is below 1.

    Examples
    --------
    >>> [loss_of_orthogonality(way, 16.0, 2.0**-10) for way in ("householder", "mgs", "cgs")]
    [0.0009765625, 0.015625, 0.25]
    >>> loss_of_orthogonality("cholesky", 64.0, 2.0**-10)
    inf
    """
    if method not in _EXPONENTS:
        raise ValueError(f"method={method!r} is not one of {', '.join(map(repr, _EXPONENTS))}")
    if not kappa >= 1:
        raise ValueError(f"kappa={kappa!r} is below 1")
    _roundoff(u)
    needed = {"householder": 0, "givens": 0, "cholesky": 2, "cholesky2": 2, "cgs": 2}
    if constant * kappa ** needed.get(method, 1) * u >= 1:
        return math.inf
    return constant * kappa ** _EXPONENTS[method] * u


def _cholesky_qr_u(m: int, n: int, u: float) -> float:
    _nonnegative(m, "m")
    _nonnegative(n, "n")
    _roundoff(u)
    return (m * n + n * (n + 1)) * u


def cholesky_qr_limit(m: int, n: int, u: float) -> float:
    """
    Say up to which condition number the Cholesky QR factorization is sure to work.

    Parameters
    ----------
    m, n : int
        Rows and columns.
    u : float
        The unit roundoff.

    Returns
    -------
    float
        The kappa with 8 kappa sqrt(m n u + n (n + 1) u) = 1: Yamamoto et al. 2015, equation (3.1).
        Below 1 nothing is sure. It is of the order u^-1/2, and far below where the factorization
        breaks down in practice, about u^-1/2 itself.

    Examples
    --------
    >>> round(cholesky_qr_limit(1000, 50, 2.0**-53))
    51751
    """
    spread = _cholesky_qr_u(m, n, u)
    return 1 / (8 * math.sqrt(spread)) if spread else math.inf


def cholesky_qr_orthogonality(m: int, n: int, kappa: float, u: float) -> float:
    """
    Bound the loss of orthogonality of the Cholesky QR factorization.

    Parameters
    ----------
    m, n : int
        Rows and columns.
    kappa : float
        The condition number in the 2-norm.
    u : float
        The unit roundoff.

    Returns
    -------
    float
        5 kappa^2 (m n u + n (n + 1) u), a bound of ||Q^T Q - I|| in the 2-norm: Yamamoto et al.
        2015, section 3.2, (5/64) delta^2 with delta = 8 kappa sqrt(m n u + n (n + 1) u). Infinite
        beyond `cholesky_qr_limit`.

    Examples
    --------
    >>> cholesky_qr_orthogonality(1000, 50, 100.0, 2.0**-53)  # doctest: +ELLIPSIS
    2.9...e-07
    """
    if kappa > cholesky_qr_limit(m, n, u):
        return math.inf
    return 5 * kappa**2 * _cholesky_qr_u(m, n, u)


def cholesky_qr2_orthogonality(m: int, n: int, kappa: float, u: float) -> float:
    """
    Bound the loss of orthogonality of the Cholesky QR factorization done twice.

    Parameters
    ----------
    m, n, kappa, u
        As in `cholesky_qr_orthogonality`.

    Returns
    -------
    float
        6 (m n u + n (n + 1) u), a bound of ||Q^T Q - I|| in the Frobenius norm: Yamamoto et al.
        2015, Theorem 3.1. Infinite beyond `cholesky_qr_limit`.

    Examples
    --------
    >>> cholesky_qr2_orthogonality(1000, 50, 100.0, 2.0**-53)  # doctest: +ELLIPSIS
    3.5...e-11
    """
    if kappa > cholesky_qr_limit(m, n, u):
        return math.inf
    return 6 * _cholesky_qr_u(m, n, u)


# ---------------------------------------------------------------------------------------------
# Refinement


def lu_ir_limit(u_factor: float, *, constant: float = 1.0) -> float:
    """
    Say up to which condition number LU-based refinement converges.

    Parameters
    ----------
    u_factor : float
        The unit roundoff of the factorization.
    constant : float
        c, which stands for the dimension and the growth of elements.

    Returns
    -------
    float
        1 / (c u_factor): kappa u_factor < 1, up to c, Carson and Higham 2018, sections 3 and 7,
        whose table 7.1 has 10^4 for binary16, where u = 2^-11.

    Examples
    --------
    >>> lu_ir_limit(2.0**-11)
    2048.0
    """
    _roundoff(u_factor)
    return 1 / (constant * u_factor)


def gmres_ir_limit(u_factor: float, u: float = 2.0**-53, *, constant: float = 1.0) -> float:
    """
    Say up to which condition number GMRES-based refinement converges.

    Parameters
    ----------
    u_factor : float
        The unit roundoff of the factorization.
    u : float
        That of the working precision; the preconditioned matrix is applied in its square.
    constant : float
        As in `lu_ir_limit`.

    Returns
    -------
    float
        1 / (c u_factor u^1/2): GMRES gives an error below 1 if u times the condition number of the
        preconditioned matrix, at most about (1 + kappa u_factor)^2, is below 1: Carson and Higham
        2018, section 8. How many steps it takes is another matter, which no condition number
        settles.

    Examples
    --------
    >>> round(gmres_ir_limit(2.0**-11, 2.0**-24)), round(gmres_ir_limit(2.0**-11))
    (8388608, 194368031998)
    """
    _roundoff(u_factor)
    _roundoff(u)
    return 1 / (constant * u_factor * math.sqrt(u))


# ---------------------------------------------------------------------------------------------


def _nonnegative(value: Any, name: str) -> None:
    if not value >= 0:
        raise ValueError(f"{name}={value!r} is negative")


def _roundoff(u: float) -> None:
    if not (u > 0 and math.isfinite(u)):
        raise ValueError(f"u={u!r} is not a positive number")
