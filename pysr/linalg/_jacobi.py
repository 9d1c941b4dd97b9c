"""Singular values and symmetric eigenvalues by Jacobi's rotations."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pysr.arithmetic import Arithmetic
from pysr.linalg._arguments import Operands, Steps, Values
from pysr.linalg._qr import householder
from pysr.linalg._triangular import Operand

Pairs = list[tuple[Values, Values]]


class SVDResult(NamedTuple):
    """
    The factors of `svd`.

    Attributes
    ----------
    U, S, Vh : ndarray or RoundedArray
    """

    U: Any
    S: Any
    Vh: Any


class EighResult(NamedTuple):
    """
    What `eigh` finds.

    Attributes
    ----------
    eigenvalues, eigenvectors : ndarray or RoundedArray
    """

    eigenvalues: Any
    eigenvectors: Any


# ---------------------------------------------------------------------------------------------
# Steps


def round_robin(n: int) -> Pairs:
    """Return rounds of disjoint pairs p < q, all pairs of 0 ... n - 1 once: the circle method."""
    circle = list(range(n + n % 2)) if n > 1 else []
    rounds = []
    for _ in circle[1:]:
        facing = zip(circle[: len(circle) // 2], reversed(circle), strict=False)
        pairs = [(min(pair), max(pair)) for pair in facing if max(pair) < n]
        p, q = np.array(pairs).T
        rounds.append((p, q))
        circle = [circle[0], circle[-1], *circle[1:-1]]
    return rounds


def powers(e: Values, like: Values) -> Values:
    """Return 2^e in the carrier."""
    return np.asarray(np.ldexp(like.dtype.type(1), e))


def rotations(s: Steps, d: Values, w: Values) -> tuple[Values, Values, Values]:
    """Return t, sine and tau of the angles with cot 2 theta = d / w; w is not 0."""
    one = d.dtype.type(1)
    steep = np.abs(w) > np.abs(d)
    ratio = s.div(np.where(steep, d, w), np.where(steep, w, d))
    root = s.sqrt(s.add(one, s.mul(ratio, ratio)))
    numerator = np.where(steep, np.where(ratio < 0, -one, one), ratio)
    t = s.div(numerator, s.add(np.where(steep, np.abs(ratio), one), root))
    c = s.div(one, s.sqrt(s.add(one, s.mul(t, t))))
    sine = s.mul(c, t)
    return t, sine, s.div(sine, s.add(one, c))


def rotate(s: Steps, x: Values, p: Values, q: Values, sine: Values, tau: Values) -> None:
    """Rotate pairs of rows: x_p - s (x_q + tau x_p) and x_q + s (x_p - tau x_q)."""
    k = len(p)
    these, others = np.concatenate([p, q]), np.concatenate([q, p])
    sines, taus = (np.concatenate([y, y])[:, np.newaxis] for y in (sine, tau))
    change = s.mul(taus, x[these])
    np.negative(change[k:], out=change[k:])
    change = s.mul(sines, s.add(x[others], change))
    np.negative(change[:k], out=change[:k])
    x[these] = s.add(x[these], change)


class Sweeps:
    """
    When to stop: nothing was rotated, or rounding errors are all that is left.

    Parameters
    ----------
    s : Steps
    size : int
        Of the sums, whose errors grow with it.
    most : int
        Sweeps allowed.
    """

    def __init__(self, s: Steps, size: int, most: int) -> None:
        self.s, self.most, self.done = s, most, 0
        self.floor = min(4 * size * s.u, 0.5)
        self.before = [math.inf, math.inf]

    def enough(self, rotated: bool, square: float, worst: float) -> bool:
        """
        Tell whether to stop after a sweep.

        Parameters
        ----------
        rotated : bool
            Was anything?
        square : float
            Sum of squares of what is off the diagonal: what must fall on.
        worst : float
            What rounding errors must explain.

        Raises
        ------
        LinAlgError
            After too many sweeps.
        """
        self.s.check()
        self.done += 1
        if not rotated or (worst <= self.floor and square > self.before[0] / 4):
            return True
        self.before = [self.before[1], square]
        if self.done == self.most:
            self.s.fail(
                f"no convergence in max_sweeps={self.most} sweeps: {worst:.2g} is left off the "
                f"diagonal, and rounding errors in {self.s.arithmetic.fmt} explain {self.floor:.2g}"
            )
        return False


def tiny(s: Steps) -> float:
    """Return the norm below which a column has no direction beside one of norm up to 1."""
    fmt = s.arithmetic.fmt
    return 0.25 if fmt.emin is None else max(2.0**fmt.emin, s.u * s.u)


def orthogonalize(s: Steps, x: Values, m: int, sweeps: Sweeps) -> None:
    """Rotate rows until their first m elements are orthogonal."""
    rounds = round_robin(len(x))
    limit = math.sqrt(m) * s.u
    least = tiny(s)
    while rounds:
        rotated = False
        cosines: list[float] = []
        for p, q in rounds:
            k = len(p)
            both = np.concatenate([x[p, :m], x[q, :m]])
            e = s.scales(both, m)
            y = s.mul(both, powers(-e, x)[:, np.newaxis])
            products = s.mul(np.concatenate([y, y[:k]]), np.concatenate([y, y[k:]]))
            sums = s.sum(products)
            wide = sums.astype(np.float64)
            norms = np.sqrt(wide[: 2 * k])
            true = np.ldexp(norms, e)
            floor = least * np.maximum(np.maximum(true[:k], true[k:]), 1.0)
            norms = np.maximum(norms, np.ldexp(np.concatenate([floor, floor]), -e))
            cosine = np.minimum(np.abs(wide[2 * k :]) / norms[:k] / norms[k:], 1.0)
            cosines += cosine.tolist()
            chosen = cosine > limit
            if chosen.any():
                rotated = True
                some = np.tile(chosen, 3)
                one, other = e[:k][chosen], e[k:][chosen]
                top = np.maximum(one, other)
                shifts = [2 * (one - top), 2 * (other - top), one + other - 2 * top]
                a, b, c = s.mul(sums[some], powers(np.concatenate(shifts), x)).reshape(3, -1)
                _, sine, tau = rotations(s, s.sub(b, a), s.add(c, c))
                rotate(s, x, p[chosen], q[chosen], sine, tau)
        square = math.fsum(y * y for y in cosines)
        if sweeps.enough(rotated, square, max(cosines)):
            break


def singular(
    s: Steps, a: Values, columns: int, vectors: bool, qr_first: bool, most: int
) -> tuple[Values, Values, Values]:
    """Return so many left vectors, singular values, and right vectors of a tall matrix."""
    m, n = a.shape
    e, q = 0, None
    if a.any():
        e = s.scale(a, m)
        a = s.mul(a, a.dtype.type(2.0**-e))
    if qr_first:
        q, a = householder(s, a, n, columns if vectors else None)
    rows = len(a)
    x = np.concatenate([a.T, np.eye(n, n if vectors else 0, dtype=a.dtype)], axis=1)
    orthogonalize(s, x, rows, Sweeps(s, rows, most))
    w, v = x[:, :rows], x[:, rows:]
    exponents = s.scales(w, rows)
    scaled = s.mul(w, powers(-exponents, a)[:, np.newaxis])
    norms = s.mul(s.norms(scaled, axis=1), powers(exponents, a))
    order = np.argsort(-norms, kind="stable")
    w, v, norms = w[order], v[order], norms[order]
    values = s.mul(norms, a.dtype.type(2.0**e))
    if not vectors:
        return w, values, v
    fmt = s.arithmetic.fmt
    least = 8 * 2.0**fmt.qmin if fmt.emin is None else tiny(s)
    rank = int(np.count_nonzero(norms >= least * max(float(norms.max(initial=0)), 1.0)))
    left = s.div(w[:rank], norms[:rank, np.newaxis]).T
    width = n if qr_first else columns
    if rank < width:
        basis = householder(s, left.copy(), rank, width)[0]
        assert basis is not None
        left = np.concatenate([left, basis[:, rank:]], axis=1)
    if q is not None:
        left = np.concatenate([s.inner(q[:, :n], left), q[:, n:]], axis=1)
    return left, values, v.T


def diagonalize(s: Steps, a: Values, sweeps: Sweeps) -> Values:
    """Make a symmetric matrix diagonal, in place; return the eigenvectors, in rows."""
    n = len(a)
    x = np.concatenate([a, np.eye(n, dtype=a.dtype)], axis=1)
    below, above = np.tril_indices(n, -1), np.triu_indices(n, 1)
    rounds = round_robin(n)
    limit = s.u * s.u
    # What is decided is decided of numbers near 1, whose squares float64 holds.
    scale = -int(np.frexp(np.abs(a).max(initial=0))[1])

    def near_one(values: Values) -> NDArray[np.float64]:
        return np.ldexp(values.astype(np.float64), scale)

    total = math.fsum((near_one(a) ** 2).ravel().tolist())
    while rounds and total:
        rotated = False
        for p, q in rounds:
            wide = near_one(x[:, :n])
            off = wide[q, p]
            chosen = off * off > limit * np.abs(wide[p, p] * wide[q, q])
            if not chosen.any():
                continue
            rotated = True
            p, q = p[chosen], q[chosen]
            one, other, off = x[p, p], x[q, q], x[q, p]
            t, sine, tau = rotations(s, s.sub(other, one), s.add(off, off))
            change = s.mul(t, off)
            diagonal = s.add(np.concatenate([one, other]), np.concatenate([-change, change]))
            rotate(s, x, p, q, sine, tau)
            transposed = x[:, :n].T.copy()
            rotate(s, transposed, p, q, sine, tau)
            x[:, :n] = transposed.T
            x[p, p], x[q, q] = diagonal[: len(p)], diagonal[len(p) :]
            x[q, p] = 0
            x[:, :n][above] = x[:, :n].T[above]
        left = 2 * math.fsum((near_one(x[below]) ** 2).tolist()) / total
        if sweeps.enough(rotated, left, math.sqrt(left)):
            break
    a[:] = x[:, :n]
    return x[:, n:]


# ---------------------------------------------------------------------------------------------
# Functions


def check_sweeps(max_sweeps: int) -> None:
    if isinstance(max_sweeps, bool) or not isinstance(max_sweeps, (int, np.integer)):
        raise TypeError(f"max_sweeps must be an integer, not {max_sweeps!r}")
    if max_sweeps < 1:
        raise ValueError(f"max_sweeps={max_sweeps} is not positive")


def svd(
    a: Operand,
    arithmetic: Arithmetic | None = None,
    *,
    full_matrices: bool = True,
    compute_uv: bool = True,
    preprocess: str = "none",
    max_sweeps: int = 30,
    block: int | None = None,
    order: str = "sequential",
) -> Any:
    """
    Find singular values and vectors by one-sided Jacobi rotations, every operation rounded.

    Parameters
    ----------
    a : (..., m, n) array_like or RoundedArray
        Rounded to the format first.
    arithmetic : Arithmetic
        May be omitted for a RoundedArray, which has its own.
    full_matrices : bool
        Return square U and Vh, as `numpy.linalg.svd` does.
    compute_uv : bool
        Return U and Vh at all.
    preprocess : {"none", "qr"}
        Rotate the columns of the matrix, or of R of its Householder factorization, which are
        shorter.
    max_sweeps : int
        How often each pair of columns may be rotated.
    block, order
        Of sums, as in `Arithmetic.sum`.

    Returns
    -------
    SVDResult
        With k = min(m, n): U (..., m, m) or (..., m, k), S (..., k), descending, and
        Vh (..., n, n) or (..., k, n). Without `compute_uv` S alone.

    Raises
    ------
    ValueError
        If `a` is not made of matrices, or not finite, or an option is none.
    TypeError
        If `max_sweeps` is no integer.
    numpy.linalg.LinAlgError
        If a step overflows, or the sweeps do not converge. Nothing is drawn or counted then.

    Notes
    -----
    There is no `accumulate`: rows are multiplied by each other and by the rotations' numbers
    elementwise, many pairs at once, and these products are always rounded on their own.

    Pairs are rotated whose cosine is above m^1/2 u, as in LAPACK's gesvj, many disjoint pairs at
    once, until no pair is, or until all cosines are below 4 m u and the sum of their squares falls
    by less than 4 in two sweeps: in random modes rounding errors keep them from 0.

    A wide matrix is transposed. Columns of U beyond the numerical rank come from a Householder
    factorization of those before them. Sources: Hestenes, J. SIAM 6 (1958), 51-90; Rutishauser,
    Numer. Math. 9 (1966), 1-10 (how rows are updated); Golub and Van Loan, Matrix Computations,
    4th edition, section 8.6.3. docs/linalg.md gives every call.

    Examples
    --------
    >>> a = np.array([[3.0, 0.0], [4.0, 5.0]])
    >>> pysr.linalg.svd(a, pysr.Arithmetic("bfloat16", "rne"), compute_uv=False)
    array([6.71875 , 2.234375])
    >>> np.linalg.svd(a, compute_uv=False)
    array([6.70820..., 2.23606...])
    """
    if preprocess not in ("none", "qr"):
        raise ValueError(f"preprocess={preprocess!r} is not 'none' or 'qr'")
    check_sweeps(max_sweeps)
    operands = Operands(arithmetic, "separate", block, order, a=a)
    m, n = operands.matrices("a")[-2:]
    k = min(m, n)
    wide = m < n
    columns = max(m, n) if full_matrices else k

    def job(s: Steps, matrix: Values) -> tuple[Values, ...]:
        tall = matrix.T.copy() if wide else matrix
        u, values, v = singular(s, tall, columns, compute_uv, preprocess == "qr", max_sweeps)
        if not compute_uv:
            return (values,)
        return (v, values, u.T) if wide else (u, values, v.T)

    if not compute_uv:
        return operands.each(job, [(k,)])[0]
    left, right = (k, columns) if wide else (columns, k)
    return SVDResult(*operands.each(job, [(m, left), (k,), (right, n)]))


def eigh(
    a: Operand,
    arithmetic: Arithmetic | None = None,
    *,
    UPLO: str = "L",
    max_sweeps: int = 30,
) -> EighResult:
    """
    Find eigenvalues and eigenvectors of a symmetric matrix by Jacobi rotations, all rounded.

    Parameters
    ----------
    a : (..., n, n) array_like or RoundedArray
        Rounded to the format first.
    arithmetic : Arithmetic
        May be omitted for a RoundedArray, which has its own.
    UPLO : {"L", "U"}
        The triangle that is read, the other one being taken for 0; symmetry is not checked, as in
        `numpy.linalg.eigh`.
    max_sweeps : int
        How often each element off the diagonal may be rotated away.

    Returns
    -------
    EighResult
        Eigenvalues (..., n), ascending, and eigenvectors (..., n, n), in columns.

    Raises
    ------
    ValueError
        If `a` is not made of square matrices, or not finite, or an option is none.
    TypeError
        If `max_sweeps` is no integer.
    numpy.linalg.LinAlgError
        If a step overflows, or the sweeps do not converge. Nothing is drawn or counted then.

    Notes
    -----
    There are no `accumulate`, `block` and `order`, since there are no inner products: rotations
    are elementwise operations on rows.

    Elements with |a_pq| > u (|a_pp| |a_qq|)^1/2 are rotated away, many disjoint pairs at once,
    until there is none, or until the sum of squares off the diagonal is below (4 n u)^2 times
    that of the matrix and falls by less than 4 in two sweeps: in random modes rounding errors
    keep it from 0. Sources: Rutishauser, Numer. Math. 9 (1966), 1-10; Golub and Van Loan,
    Matrix Computations, 4th edition, section 8.5. docs/linalg.md gives every call.

    Examples
    --------
    >>> a = np.array([[2.0, 1.0], [1.0, 2.0]])
    >>> pysr.linalg.eigh(a, pysr.Arithmetic("bfloat16", "rne")).eigenvalues
    array([1., 3.])
    """
    if UPLO not in ("L", "U"):
        raise ValueError(f"UPLO={UPLO!r} is not 'L' or 'U'")
    check_sweeps(max_sweeps)
    operands = Operands(arithmetic, triangle=UPLO, a=a)
    n = operands.matrices("a", square=True)[-1]

    def job(s: Steps, matrix: Values) -> tuple[Values, Values]:
        triangle = np.tril(matrix if UPLO == "L" else matrix.T)
        above = np.triu_indices(n, 1)
        triangle[above] = triangle.T[above]
        vectors = diagonalize(s, triangle, Sweeps(s, n, max_sweeps))
        values = triangle.diagonal()
        order = np.argsort(values, kind="stable")
        return values[order], vectors[order].T

    return EighResult(*operands.each(job, [(n,), (n, n)]))
