"""QR factorizations, and least squares by them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pysr.arithmetic import Arithmetic
from pysr.linalg._arguments import Operands, Steps, Values
from pysr.linalg._triangular import Operand, cholesky_factor, right_sides, substitute

METHODS = ("householder", "givens", "mgs", "mgs2", "cgs", "cgs2", "cholesky", "cholesky2")


class QRResult(NamedTuple):
    """
    The factors of `qr`.

    Attributes
    ----------
    Q, R : ndarray or RoundedArray
    """

    Q: Any
    R: Any


# ---------------------------------------------------------------------------------------------
# Steps. Each takes the matrix, of which it may make what it likes, how many of its columns to
# factorize, and how many columns of Q are wanted, if any; the others are transformed along. It
# returns Q and as many rows of R as columns were factorized.

Factors = tuple[Values | None, Values]


def householder(s: Steps, a: Values, k: int, columns: int | None) -> Factors:
    """Reflections, as LAPACK's geqr2, and Q from the last to the first, as org2r."""
    m, n = a.shape
    reflections: list[tuple[Values, Any] | None] = []
    for j in range(k):
        x = a[j:, j]
        reflections.append(None)
        if not x[1:].any():
            continue
        y, norm, unit = s.norm(x)
        if norm != 0:
            beta = -norm if y[0] >= 0 else norm
            difference = s.sub(y[0], beta)
            tau = s.div(-difference, beta)
            v = np.ones_like(y)
            v[1:] = s.div(y[1:], difference)
            reflections[j] = v, tau
            a[j, j] = s.mul(beta, unit)
            if j + 1 < n:
                a[j:, j + 1 :] = reflected(s, a[j:, j + 1 :], v, tau)
        a[j + 1 :, j] = 0
    q = None
    if columns is not None:
        q = np.eye(m, columns, dtype=a.dtype)
        for j in reversed(range(k)):
            reflection = reflections[j]
            if reflection is not None:
                q[j:, j:] = reflected(s, q[j:, j:], *reflection)
    return q, a[:k]


def reflected(s: Steps, a: Values, v: Values, tau: Any) -> Values:
    """Return a - v (tau (v^T a))."""
    return s.less_outer(a, v, s.mul(tau, s.inner(v, a)))


def rotations(s: Steps, f: Values, g: Values) -> tuple[Values, Values, Values]:
    """Return c >= 0, s and r with c f + s g = r and c g - s f = 0."""
    one = f.dtype.type(1)
    swap = np.abs(g) > np.abs(f)
    small, large = np.where(swap, f, g), np.where(swap, g, f)
    sign = np.where(swap & ((f < 0) != (g < 0)) & (f != 0), -one, one)
    t = s.div(small, np.where(large == 0, one, large))
    u = s.sqrt(s.add(one, s.mul(t, t)))
    big = s.div(sign, u)
    little = s.mul(big, t)
    r = s.mul(np.where(sign < 0, -large, large), u)
    return np.where(swap, little, big), np.where(swap, big, little), r


def rotate(s: Steps, top: Values, bottom: Values, c: Values, sn: Values) -> None:
    """Put c top + sn bottom and c bottom - sn top in place of top and bottom."""
    both = np.concatenate([top, bottom])
    other = np.concatenate([bottom, -top])
    twice = np.concatenate([c, c])[:, np.newaxis], np.concatenate([sn, sn])[:, np.newaxis]
    product = s.mul(twice[1], other)
    both = s.fma(twice[0], both, product) if s.fused else s.add(s.mul(twice[0], both), product)
    top[...], bottom[...] = both[: len(top)], both[len(top) :]


def givens(s: Steps, a: Values, k: int, columns: int | None) -> Factors:
    """Rotations: in each column a tree, which halves its rows."""
    m, n = a.shape
    done = []
    for j in range(k):
        rows = m - j
        while rows > 1:
            half = (rows + 1) // 2
            top, bottom = slice(j, j + rows - half), slice(j + half, j + rows)
            if a[bottom, j].any():
                c, sn, r = rotations(s, a[top, j], a[bottom, j])
                if j + 1 < n:
                    rotate(s, a[top, j + 1 :], a[bottom, j + 1 :], c, sn)
                a[top, j] = r
                a[bottom, j] = 0
                done.append((j, top, bottom, c, sn))
            rows = half
    q = None
    if columns is not None:
        q = np.eye(m, columns, dtype=a.dtype)
        for j, top, bottom, c, sn in reversed(done):
            rotate(s, q[top, j:], q[bottom, j:], c, -sn)
    return q, a[:k]


def normalized(s: Steps, column: Values, j: int) -> tuple[Any, Values]:
    """Return a column's norm, and the column divided by it."""
    y, norm, unit = s.norm(column) if column.any() else (column, 0, 1)
    if not norm > 0:
        s.fail(
            f"column {j} depends on those before it in {s.arithmetic.fmt}: nothing of it is left; "
            "methods 'householder' and 'givens' need no full rank"
        )
    return s.mul(norm, unit), s.div(y, norm)


def mgs(s: Steps, a: Values, k: int, columns: int | None) -> Factors:
    """Modified Gram-Schmidt, row after row of R."""
    m, n = a.shape
    q, r = np.zeros((m, k), a.dtype), np.zeros((k, n), a.dtype)
    for j in range(k):
        r[j, j], q[:, j] = normalized(s, a[:, j], j)
        if j + 1 < n:
            r[j, j + 1 :] = s.inner(q[:, j], a[:, j + 1 :])
            a[:, j + 1 :] = s.less_outer(a[:, j + 1 :], q[:, j], r[j, j + 1 :])
    return q, r


def cgs(s: Steps, a: Values, k: int, columns: int | None, passes: int = 1) -> Factors:
    """Classical Gram-Schmidt, column after column, each with so many passes."""
    m, n = a.shape
    q, r = np.zeros((m, k), a.dtype), np.zeros((k, n), a.dtype)
    for j in range(k):
        x = a[:, j]
        for number in range(passes if j else 0):
            h = s.inner(q[:, :j].T, x)
            x = s.less(x, q[:, :j], h)
            r[:j, j] = h if number == 0 else s.add(r[:j, j], h)
        r[j, j], q[:, j] = normalized(s, x, j)
    if k < n:
        r[:, k:] = s.inner(q.T, a[:, k:])
    return q, r


def cholesky_qr(s: Steps, a: Values, k: int, columns: int | None) -> Factors:
    """Cholesky's factor of the Gram matrix, and the matrix times its inverse."""
    n = a.shape[1]
    r = np.zeros((k, n), a.dtype)
    gram = np.asarray(s.inner(a[:, :k].T, a[:, :k]))
    s.check()
    try:
        factor = cholesky_factor(s, gram)
    except np.linalg.LinAlgError as error:
        raise np.linalg.LinAlgError(
            f"the Gram matrix is {error}: methods 'cholesky' and 'cholesky2' need a condition "
            f"number below about u^-1/2 = {s.u**-0.5:.3g}; use another, such as 'householder'"
        ) from None
    q = substitute(s, factor, a[:, :k].T, lower=True).T
    r[:, :k] = factor.T
    if k < n:
        r[:, k:] = s.inner(q.T, a[:, k:])
    return q, r


def twice(s: Steps, a: Values, k: int, method: Any) -> Factors:
    """Factorize Q again; R is the product of both."""
    q, first = method(s, a[:, :k].copy(), k, k)
    q, second = method(s, q.copy(), k, k)
    r = np.zeros((k, a.shape[1]), a.dtype)
    r[:, :k] = np.triu(s.inner(second, first))
    if k < a.shape[1]:
        r[:, k:] = s.inner(q.T, a[:, k:])
    return q, r


def factors(s: Steps, a: Values, k: int, columns: int | None, method: str) -> Factors:
    """Factorize by the method of that name."""
    if method == "householder":
        return householder(s, a, k, columns)
    if method == "givens":
        return givens(s, a, k, columns)
    if method == "mgs":
        return mgs(s, a, k, columns)
    if method == "mgs2":
        return twice(s, a, k, mgs)
    if method in ("cgs", "cgs2"):
        return cgs(s, a, k, columns, 1 if method == "cgs" else 2)
    return cholesky_qr(s, a, k, columns) if method == "cholesky" else twice(s, a, k, cholesky_qr)


# ---------------------------------------------------------------------------------------------
# Functions


def check_method(method: str) -> None:
    if method not in METHODS:
        raise ValueError(f"method={method!r} is not one of {', '.join(map(repr, METHODS))}")


def qr(
    a: Operand,
    arithmetic: Arithmetic | None = None,
    *,
    method: str = "householder",
    mode: str = "reduced",
    accumulate: str = "separate",
    block: int | None = None,
    order: str = "sequential",
) -> Any:
    """
    Factorize a matrix, every operation rounded: A = Q R, the columns of Q orthonormal.

    Parameters
    ----------
    a : (..., m, n) array_like or RoundedArray
        Rounded to the format first.
    arithmetic : Arithmetic
        May be omitted for a RoundedArray, which has its own.
    method : str
        "householder", reflections; "givens", rotations; "mgs" and "cgs", modified and classical
        Gram-Schmidt, "mgs2" and "cgs2" with a second pass; "cholesky" and "cholesky2",
        Cholesky's factor of A^T A, once and twice.
    mode : {"reduced", "complete", "r"}
        As in `numpy.linalg.qr`. The Gram-Schmidt and Cholesky methods have no "complete".
    accumulate, block, order
        Of inner products, as in `Arithmetic.matmul`. Unless `accumulate` is "separate", what is
        subtracted from a matrix is fused too.

    Returns
    -------
    QRResult
        With k = min(m, n): Q (..., m, k) and R (..., k, n), or Q (..., m, m) and R (..., m, n) in
        mode "complete". In mode "r" R alone.

    Raises
    ------
    ValueError
        If `a` is not made of matrices, or not finite, or the method has no such mode.
    numpy.linalg.LinAlgError
        If a step overflows; if a Gram-Schmidt method finds a column dependent on those before it,
        or a Cholesky method the Gram matrix not positive definite, as it does beyond a condition
        number of about u^-1/2. Nothing is drawn or counted then.

    Notes
    -----
    The loss of orthogonality, for condition number kappa and unit roundoff u, is O(u) with
    "householder", "givens", and, while kappa u is small, "mgs2" and "cgs2"; O(kappa u) with
    "mgs"; O(kappa^2 u) with "cgs" and "cholesky"; O(u) with "cholesky2" while kappa^2 u is small.

    Reflections are LAPACK's: v begins with 1, and the diagonal of R has the sign opposite to that
    of the element it replaces. Rotations have c >= 0, and a tree for each column, whose depth is
    the logarithm of its length. Gram-Schmidt and Cholesky methods have a positive diagonal.

    Sources: Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, chapter 19 (of
    reflections, rotations, Gram-Schmidt); Giraud, Langou, Rozloznik, van den Eshof, Numer. Math.
    101 (2005), 87-100 ("cgs2"); Yamamoto, Nakatsukasa, Yanagisawa, Fukaya, ETNA 44 (2015), 306-326
    ("cholesky2"). docs/linalg.md gives every call.

    Examples
    --------
    >>> a = np.array([[3.0, 1.0], [4.0, 2.0]])
    >>> Q, R = pysr.linalg.qr(a, pysr.Arithmetic("bfloat16", "rne"))
    >>> R
    array([[-5.        , -2.203125  ],
           [ 0.        ,  0.39...]])
    >>> pysr.linalg.qr(a, pysr.Arithmetic("bfloat16", "rne"), method="mgs", mode="r")
    array([[5.        , 2.203125  ],
           [0.        , 0.40234375]])
    """
    check_method(method)
    if mode not in ("reduced", "complete", "r"):
        raise ValueError(f"mode={mode!r} is not one of 'reduced', 'complete', 'r'")
    if mode == "complete" and method not in ("householder", "givens"):
        raise ValueError(
            f"mode='complete' with method={method!r}, which makes no more columns than it is "
            "given: use 'householder' or 'givens'"
        )
    operands = Operands(arithmetic, accumulate, block, order, a=a)
    m, n = operands.matrices("a")[-2:]
    k = min(m, n)
    columns = {"reduced": k, "complete": m, "r": None}[mode]

    def job(s: Steps, matrix: Values) -> tuple[Values, ...]:
        q, r = factors(s, matrix, k, columns, method)
        if mode == "r":
            return (r,)
        assert q is not None
        if mode == "complete":
            r = np.concatenate([r, np.zeros((m - k, n), r.dtype)])
        return q, r

    if mode == "r":
        return operands.each(job, [(k, n)])[0]
    width = m if mode == "complete" else k
    return QRResult(*operands.each(job, [(m, width), (width, n)]))


def lstsq(
    a: Operand,
    b: Operand,
    arithmetic: Arithmetic | None = None,
    *,
    method: str = "householder",
    accumulate: str = "separate",
    block: int | None = None,
    order: str = "sequential",
) -> Any:
    """
    Minimize ||b - A x|| by a QR factorization, every operation rounded.

    Parameters
    ----------
    a : (..., m, n) array_like or RoundedArray
        Of full rank, with m >= n. Rounded to the format first.
    b : (m,) or (..., m, k) array_like or RoundedArray
        Rounded to the format after `a`. Stacks broadcast, as in `numpy.linalg.solve`.
    arithmetic : Arithmetic
        May be omitted where `a` or `b` is a RoundedArray, which has its own.
    method, accumulate, block, order
        As in `qr`.

    Returns
    -------
    (..., n) or (..., n, k) ndarray or RoundedArray
        The solutions x alone.

    Raises
    ------
    ValueError
        If shapes do not fit, m < n, or a value is not finite.
    numpy.linalg.LinAlgError
        As in `qr`; or if R has a 0 on its diagonal.

    Notes
    -----
    It differs from `numpy.linalg.lstsq`, which works by singular values: the residuals' sums, the
    rank and the singular values are not returned, and there is no `rcond`; A must have full rank
    and m >= n, where NumPy takes any matrix and finds the shortest solution; stacks are taken.

    The columns of A are factorized in the matrix (A b), and b transformed along; then R x = Q^T b
    is solved as by `solve_triangular`: Higham, Accuracy and Stability of Numerical Algorithms, 2nd
    edition, sections 20.2 and, for Gram-Schmidt, 20.3.

    Examples
    --------
    >>> a = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    >>> pysr.linalg.lstsq(a, [1.0, 3.0, 5.0], pysr.Arithmetic("binary32", "rne")).round(5)
    array([1., 2.])
    """
    check_method(method)
    operands = Operands(arithmetic, accumulate, block, order, a=a, b=b)
    m, n = operands.matrices("a")[-2:]
    if m < n:
        raise ValueError(f"a has shape {operands.values['a'].shape}: fewer rows than columns")
    vector = right_sides(operands, m)

    def job(s: Steps, matrix: Values, right: Values) -> tuple[Values]:
        r = factors(s, np.concatenate([matrix, right], axis=1), n, None, method)[1]
        return (substitute(s, r[:, :n], r[:, n:], lower=False),)

    x = operands.each(job, [(n, operands.values["b"].shape[-1])])[0]
    return x[..., 0] if vector else x
