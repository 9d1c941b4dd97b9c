"""Triangular factors of square matrices, and what is solved with them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pysr.arithmetic import Arithmetic
from pysr.array import RoundedArray, made
from pysr.linalg._arguments import Operands, Steps, Values

Operand = ArrayLike | RoundedArray

TRANSPOSED: dict[Any, bool] = {0: False, 1: True, 2: True, "N": False, "T": True, "C": True}


class LUResult(NamedTuple):
    """
    The factors of `lu`.

    Attributes
    ----------
    P : ndarray
        The permutation: a matrix, with A = P L U but for rounding, or the indices p of rows, with
        A = L[p] U.
    L, U : ndarray or RoundedArray
    """

    P: Any
    L: Any
    U: Any


# ---------------------------------------------------------------------------------------------
# Steps


def cholesky_factor(s: Steps, a: Values) -> Values:
    """Return L, column after column; only the lower triangle is read."""
    n = len(a)
    factor = np.zeros_like(a)
    for j in range(n):
        column = s.less(a[j:, j], factor[j:, :j], factor[j, :j])
        if not column[0] > 0:
            s.fail(
                f"not positive definite in {s.arithmetic.fmt}: pivot {j} is {float(column[0]):g}"
            )
        factor[j, j] = s.sqrt(column[0])
        if j + 1 < n:
            factor[j + 1 :, j] = s.div(column[1:], factor[j, j])
    return factor


def lu_factor(s: Steps, a: Values) -> tuple[Values, Values, Values]:
    """Return the rows' order, L and U with a[order] = L U but for rounding; pivots may be 0."""
    m, n = a.shape
    k = min(m, n)
    order = np.arange(m)
    lower, upper = np.zeros((m, k), a.dtype), np.zeros((k, n), a.dtype)
    for j in range(k):
        column = s.less(a[order[j:], j], lower[j:, :j], upper[:j, j])
        at = int(np.abs(column).argmax())
        if at:
            order[[j, j + at]] = order[[j + at, j]]
            lower[[j, j + at]] = lower[[j + at, j]]
            column[[0, at]] = column[[at, 0]]
        upper[j, j] = column[0]
        lower[j, j] = 1
        if j + 1 < m and column[0] != 0:
            lower[j + 1 :, j] = s.div(column[1:], column[0])
        if j + 1 < n:
            upper[j, j + 1 :] = s.less(a[order[j], j + 1 :], lower[j, :j], upper[:j, j + 1 :])
    return order, lower, upper


def substitute(s: Steps, t: Values, b: Values, lower: bool, unit_diagonal: bool = False) -> Values:
    """Solve with a triangle for all columns of b, row after row."""
    n = len(t)
    x = np.zeros_like(b)
    if not unit_diagonal and n:
        zeros = np.flatnonzero(t.diagonal() == 0)
        if len(zeros):
            s.fail(f"singular in {s.arithmetic.fmt}: element {zeros[0]} of the diagonal is 0")
    for i in range(n) if lower else reversed(range(n)):
        known = slice(0, i) if lower else slice(i + 1, n)
        row = s.less(b[i : i + 1], t[i : i + 1, known], x[known])
        x[i] = row[0] if unit_diagonal else s.div(row[0], t[i, i])
    return x


# ---------------------------------------------------------------------------------------------
# Functions


def cholesky(
    a: Operand,
    arithmetic: Arithmetic | None = None,
    *,
    upper: bool = False,
    accumulate: str = "separate",
    block: int | None = None,
    order: str = "sequential",
) -> Any:
    """
    Factorize a symmetric positive definite matrix, every operation rounded: A = L L^T.

    Parameters
    ----------
    a : (..., n, n) array_like or RoundedArray
        Rounded to the format first. Only the lower triangle is read, only the upper one with
        `upper`, the other one being taken for 0; symmetry is not checked, as in
        `numpy.linalg.cholesky`.
    arithmetic : Arithmetic
        May be omitted for a RoundedArray, which has its own.
    upper : bool
        Return U, with A = U^T U, instead of L.
    accumulate, block, order
        Of inner products, as in `Arithmetic.matmul`.

    Returns
    -------
    (..., n, n) ndarray or RoundedArray

    Raises
    ------
    ValueError
        If `a` is not made of square matrices, or the triangle not finite.
    numpy.linalg.LinAlgError
        If a pivot is not positive, which rounding can do to a matrix that is definite, or a step
        overflows. Nothing is drawn or counted then.

    Notes
    -----
    Column j is ``a[j:, j] - L[j:, :j] @ L[j, :j]``, its first element's root, and the others
    divided by that: Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition,
    Algorithm 10.2. docs/linalg.md gives every call.

    Examples
    --------
    >>> a = np.array([[4.0, 2.0], [2.0, 3.0]])
    >>> pysr.linalg.cholesky(a, pysr.Arithmetic("bfloat16", "rne"))
    array([[2.      , 0.      ],
           [1.      , 1.414062...]])
    """
    operands = Operands(arithmetic, accumulate, block, order, "U" if upper else "L", a=a)
    shape = operands.matrices("a", square=True)

    def job(s: Steps, matrix: Values) -> tuple[Values]:
        factor = cholesky_factor(s, matrix.T if upper else matrix)
        return (factor.T if upper else factor,)

    return operands.each(job, [shape[-2:]])[0]


def lu(
    a: Operand,
    arithmetic: Arithmetic | None = None,
    *,
    p_indices: bool = False,
    accumulate: str = "separate",
    block: int | None = None,
    order: str = "sequential",
) -> LUResult:
    """
    Factorize a matrix by elimination with partial pivoting, every operation rounded: A = P L U.

    Parameters
    ----------
    a : (..., m, n) array_like or RoundedArray
        Rounded to the format first.
    arithmetic : Arithmetic
        May be omitted for a RoundedArray, which has its own.
    p_indices : bool
        Return indices in place of the permutation matrix, as `scipy.linalg.lu` does.
    accumulate, block, order
        Of inner products, as in `Arithmetic.matmul`.

    Returns
    -------
    LUResult
        With k = min(m, n): P (..., m, m), or (..., m) of integers, L (..., m, k) with ones on its
        diagonal, U (..., k, n).

    Raises
    ------
    ValueError
        If `a` is not made of matrices, or not finite.
    numpy.linalg.LinAlgError
        If a step overflows. Nothing is drawn or counted then.

    Notes
    -----
    A pivot of 0 is no error, as in `scipy.linalg.lu`: nothing is left of its column, which is 0 in
    L below the diagonal.

    Column j of L and row j of U are computed in turn, by inner products: Doolittle's method,
    Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, Algorithm 9.2. In
    sequential order they are the operations of Gaussian elimination. Of pivots of one size the
    first is taken.
    docs/linalg.md gives every call.

    Examples
    --------
    >>> a = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> p, L, U = pysr.linalg.lu(a, pysr.Arithmetic("bfloat16", "rne"), p_indices=True)
    >>> p, L, U
    (array([1, 0]), array([[1.        , 0.        ],
           [0.33398438, 1.        ]]), array([[3.      , 4.      ],
           [0.      , 0.664062...]]))
    """
    operands = Operands(arithmetic, accumulate, block, order, a=a)
    m, n = operands.matrices("a")[-2:]
    k = min(m, n)

    def job(s: Steps, matrix: Values) -> tuple[Values, Values, Values]:
        rows, lower, upper = lu_factor(s, matrix)
        return np.argsort(rows), lower, upper

    p, lower, upper = operands.each(job, [(m,), (m, k), (k, n)], integers=1)
    if not p_indices:
        p = (p[..., np.newaxis] == np.arange(m)).astype(operands.dtype)
        if isinstance(lower, RoundedArray):
            p = made(p, lower.arithmetic)
    return LUResult(p, lower, upper)


def right_sides(operands: Operands, n: int) -> bool:
    """Check b, and make a vector a column; tell whether it was one."""
    b = operands.values["b"]
    vector = b.ndim == 1
    if b.ndim == 0 or b.shape[0 if vector else -2] != n:
        raise ValueError(f"b has shape {b.shape}, and {n} rows are needed")
    if vector:
        operands.values["b"] = b[:, np.newaxis]
    try:
        np.broadcast_shapes(*(x.shape[:-2] for x in operands.values.values()))
    except ValueError:
        raise ValueError(
            f"stacks do not broadcast: a {operands.values['a'].shape}, b {b.shape}"
        ) from None
    return vector


def solve_triangular(
    a: Operand,
    b: Operand,
    arithmetic: Arithmetic | None = None,
    *,
    lower: bool = False,
    trans: int | str = 0,
    unit_diagonal: bool = False,
    accumulate: str = "separate",
    block: int | None = None,
    order: str = "sequential",
) -> Any:
    """
    Solve with a triangular matrix by substitution, every operation rounded.

    Parameters
    ----------
    a : (..., n, n) array_like or RoundedArray
        Rounded to the format first, all of it; then one triangle is read.
    b : (n,) or (..., n, k) array_like or RoundedArray
        Rounded to the format after `a`. Stacks broadcast, as in `numpy.linalg.solve`.
    arithmetic : Arithmetic
        May be omitted where `a` or `b` is a RoundedArray, which has its own.
    lower : bool
        Which triangle of `a` is read.
    trans : {0, 1, 2, "N", "T", "C"}
        Solve with `a` (0, "N") or with its transpose (1, 2, "T", "C"), as in
        `scipy.linalg.solve_triangular`; False and True are 0 and 1.
    unit_diagonal : bool
        Take the diagonal for ones, without reading it.
    accumulate, block, order
        Of inner products, as in `Arithmetic.matmul`.

    Returns
    -------
    (..., n) or (..., n, k) ndarray or RoundedArray

    Raises
    ------
    ValueError
        If shapes do not fit, `trans` is something else, or a value is not finite.
    numpy.linalg.LinAlgError
        If the diagonal has a 0, or a step overflows. Nothing is drawn or counted then.

    Notes
    -----
    Row i of the solution is ``(b[i] - a[i, known] @ x[known]) / a[i, i]``: Higham, Accuracy and
    Stability of Numerical Algorithms, 2nd edition, Algorithm 8.1. docs/linalg.md gives every call.

    Examples
    --------
    >>> a = np.array([[3.0, 0.0], [1.0, 2.0]])
    >>> arithmetic = pysr.Arithmetic("bfloat16", "rne")
    >>> pysr.linalg.solve_triangular(a, [1.0, 1.0], arithmetic, lower=True)
    array([0.33398438, 0.33203125])
    """
    if not isinstance(trans, (int, np.integer, np.bool_, str)) or trans not in TRANSPOSED:
        raise ValueError(f"trans={trans!r} is not one of 0, 1, 2, 'N', 'T', 'C'")
    operands = Operands(arithmetic, accumulate, block, order, a=a, b=b)
    n = operands.matrices("a", square=True)[-1]
    vector = right_sides(operands, n)
    transposed = TRANSPOSED[trans]

    def job(s: Steps, t: Values, right: Values) -> tuple[Values]:
        if transposed:
            return (substitute(s, t.T, right, not lower, unit_diagonal),)
        return (substitute(s, t, right, lower, unit_diagonal),)

    x = operands.each(job, [(n, operands.values["b"].shape[-1])])[0]
    return x[..., 0] if vector else x


def solve(
    a: Operand,
    b: Operand,
    arithmetic: Arithmetic | None = None,
    *,
    accumulate: str = "separate",
    block: int | None = None,
    order: str = "sequential",
) -> Any:
    """
    Solve a system of equations by elimination with partial pivoting, every operation rounded.

    Parameters
    ----------
    a : (..., n, n) array_like or RoundedArray
        Rounded to the format first.
    b : (n,) or (..., n, k) array_like or RoundedArray
        Rounded to the format after `a`. Stacks broadcast, as in `numpy.linalg.solve`.
    arithmetic : Arithmetic
        May be omitted where `a` or `b` is a RoundedArray, which has its own.
    accumulate, block, order
        Of inner products, as in `Arithmetic.matmul`.

    Returns
    -------
    (..., n) or (..., n, k) ndarray or RoundedArray

    Raises
    ------
    ValueError
        If shapes do not fit, or a value is not finite.
    numpy.linalg.LinAlgError
        If a pivot is 0, or a step overflows. Nothing is drawn or counted then.

    Notes
    -----
    The steps of `lu`, then those of `solve_triangular` with L, then with U: Higham, Accuracy and
    Stability of Numerical Algorithms, 2nd edition, chapter 9.

    Examples
    --------
    >>> a = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> pysr.linalg.solve(a, [5.0, 11.0], pysr.Arithmetic("bfloat16", "rne"))
    array([1., 2.])
    """
    operands = Operands(arithmetic, accumulate, block, order, a=a, b=b)
    n = operands.matrices("a", square=True)[-1]
    vector = right_sides(operands, n)

    def job(s: Steps, matrix: Values, right: Values) -> tuple[Values]:
        rows, lower, upper = lu_factor(s, matrix)
        zeros = np.flatnonzero(upper.diagonal() == 0)
        if len(zeros):
            s.fail(f"singular in {s.arithmetic.fmt}: pivot {zeros[0]} is 0")
        y = substitute(s, lower, right[rows], lower=True, unit_diagonal=True)
        return (substitute(s, upper, y, lower=False),)

    x = operands.each(job, [(n, operands.values["b"].shape[-1])])[0]
    return x[..., 0] if vector else x
