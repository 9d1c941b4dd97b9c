"""Linear systems solved to full accuracy with factors of low precision."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from pysr.arithmetic import Arithmetic
from pysr.linalg import _double_double as dd
from pysr.linalg._arguments import Operands
from pysr.linalg._triangular import Operand, lu, solve_triangular

__all__ = ["Factors", "Refinement", "refine"]

# NDArray spelled out: stubtest looks for a class, and from NumPy 2.5 on it is none.
Array = np.ndarray[tuple[Any, ...], np.dtype[np.float64]]
Exponents = np.ndarray[tuple[Any, ...], np.dtype[Any]]

# Spelled as a union, which stubtest looks for: mypy takes a Literal of several values for one.
Reason = (
    Literal["converged"]
    | Literal["stagnated"]
    | Literal["diverged"]
    | Literal["iterations"]
    | Literal["singular"]
    | Literal["overflow"]
    | Literal["range"]
)

_U = 2.0**-53
# Carson and Higham have 1e-4. With less, corrections are right in the directions of small singular
# values too, at the cost of few steps: where they are not, corrections end before errors do.
_GMRES_TOLERANCE = 1e-10
# How much of the range stays free for elements that grow, and the largest number that any format
# needs: Higham, Pranesh and Zounon's theta, and a bound for formats of wide range.
_HEADROOM, _LARGEST, _STEP = 0.1, 2.0**15, 4
# A correction that shrinks by less is slow: rho_thresh of Demmel et al., ACM Trans. Math. Softw.
# 32(2), 2006, normal and aggressive.
_SLOW, _TOO_SLOW = 0.5, 0.9


@dataclasses.dataclass(frozen=True, eq=False)
class Factors:
    """
    The low-precision factors of a scaled matrix.

    Attributes
    ----------
    permutation : ndarray of int, shape (n,)
        Row i of ``lower @ upper`` is about row ``permutation[i]`` of the scaled matrix.
    lower, upper : ndarray of float64, shape (n, n)
        Values of the arithmetic's format.
    row_exponents, column_exponents : ndarray of int, shape (n,)
        The scaled matrix is ``2**row_exponents[:, None] * a * 2**column_exponents``.
    """

    permutation: np.ndarray[tuple[Any, ...], np.dtype[Any]]
    lower: Array
    upper: Array
    row_exponents: Exponents
    column_exponents: Exponents


@dataclasses.dataclass(frozen=True, eq=False)
class Refinement:
    """
    What `refine` returns.

    Attributes
    ----------
    x : ndarray of float64, of the shape of b
        The solution, or what there was when refinement ended; NaN if there are no factors.
    converged : bool
        Whether the backward error of every column is at most the tolerance.
    reason : str
        Why refinement ended; of several columns, that of the first which did not converge.
        "converged"; "stagnated", corrections no longer shrink; "diverged", they grow, or are not
        finite; "iterations", there were `max_iterations`; "singular", the factor U has a zero on
        its diagonal; "overflow", the factorization left the format's range; "range", refinement
        converged, but float64 cannot hold the solution: elements of x are infinite, or have lost
        more below 2^-1022 than the error that was estimated.
    message : str
        The same in words.
    iterations : int
        Corrections made after the first solution, of the column that took most.
    inner_iterations : tuple of int
        Steps of GMRES for each correction, of all columns together; empty with method "lu".
    backward_errors : ndarray, shape (iterations + 1,) or (iterations + 1, k)
        ||b - A x|| / (||A|| ||x|| + ||b||) in the infinity norm, of the first solution and after
        each correction. A column that has ended keeps its last one.
    forward_error : float, or ndarray of shape (k,)
        An estimate of the largest error of an element of x relative to the largest element, of x
        over the columns' scales: twice the last correction, at least 2^-53; infinite without
        convergence. An estimate, not a bound: the last correction may itself be wrong. Beyond
        condition numbers of about 1e13 errors a hundred times as large have been seen.
    factors : Factors or None
        None if the factorization failed.
    """

    x: Array
    converged: bool
    reason: Reason
    message: str
    iterations: int
    inner_iterations: tuple[int, ...]
    backward_errors: Array
    forward_error: Any
    factors: Factors | None


_MESSAGES = {
    "converged": "every backward error is at most {tol:.3g}",
    "stagnated": "corrections no longer shrink at a backward error of {error:.3g}: the condition "
    "number is too large for factors in {fmt}",
    "diverged": "corrections grow at a backward error of {error:.3g}: the condition number is too "
    "large for factors in {fmt}",
    "iterations": "after {iterations} corrections the backward error is {error:.3g}, not {tol:.3g}",
    "range": "elements of the solution are beyond the range of float64: scale b by a power of two",
}


def refine(
    a: Operand,
    b: Operand,
    arithmetic: Arithmetic,
    *,
    method: str = "lu",
    scale: bool = True,
    tol: float | None = None,
    max_iterations: int = 40,
    residual: str = "double-double",
    solves: str | None = None,
    max_inner: int | None = None,
) -> Refinement:
    """
    Solve A x = b to float64 accuracy with factors of low precision.

    The matrix is factorized in `arithmetic`, where almost all the work is; corrections from those
    factors then refine a float64 solution.

    Parameters
    ----------
    a : array_like or RoundedArray, shape (n, n)
        Taken as it is, in float64.
    b : array_like or RoundedArray, shape (n,) or (n, k)
        One right-hand side or several, each refined on its own, with the same factors.
    arithmetic : Arithmetic
        For the LU factorization with partial pivoting, by `pysr.linalg.lu`.
    method : {"lu", "gmres"}
        Where corrections come from: substitution with the factors (LU-IR), or GMRES on the matrix
        preconditioned by them from the left (GMRES-IR).
    scale : bool
        Scale rows and columns by powers of two, then the whole matrix into the range of the format.
        Without it the elements of `a` are rounded as they are.
    tol : float, optional
        The backward error to reach; n 2^-53 by default, but at least 2^-52. Refinement goes on
        below it for as long as corrections shrink by half, for the sake of the forward error.
    max_iterations : int
        Corrections at most.
    residual : {"double-double", "float64"}
        How b - A x is computed. With the first the forward error, too, reaches the order of 2^-53,
        where refinement converges and the condition number is below about 1e13; with the second
        only the backward error does.
    solves : str, optional
        How the factors are applied. For "lu" either "float64", the default, or "low": in
        `arithmetic`, by `pysr.linalg.solve_triangular`. For "gmres" either "double-double", the
        default, with A applied in pairs as well, or "float64".
    max_inner : int, optional
        Steps of GMRES at most for one correction; n by default, with which it hardly fails,
        if slowly, unless the matrix is singular in float64.

    Returns
    -------
    Refinement
        Divergence, stagnation, singular factors and numbers out of range are results, not
        exceptions.

    Raises
    ------
    ValueError
        If shapes do not match, an element is not finite, or an option is out of range.
    TypeError
        If an element is not real, an array is masked or another arithmetic's, or `arithmetic` is
        no Arithmetic.

    Notes
    -----
    Carson and Higham, SIAM J. Sci. Comput. 40(2), 2018, A817-A847, in their three precisions: that
    of the factors, float64, and its square. LU-IR converges for condition numbers below about
    1 / u, u being the format's unit roundoff, with solves "low" and "float64" alike: the factors
    limit it. For GMRES-IR they apply the preconditioned matrix in twice the working precision. With
    "float64" the limit is lower, about 1e7 for float16 factors (Amestoy, Buttari, Higham,
    L'Excellent, Mary, Vieuble, Five-precision GMRES-based iterative refinement, SIAM J. Matrix
    Anal. Appl. 45(1), 2024). `pysr.linalg.theory` has both limits.

    Scaling is that of Higham, Pranesh and Zounon, SIAM J. Sci. Comput. 41(4), 2019, A2536-A2551,
    with powers of two in place of reciprocals: largest elements of rows, then of columns, are
    brought into (1/2, 1], and the largest of all to at most a tenth of the format's largest number.

    Examples
    --------
    >>> a = np.array([[4.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 7.0]])
    >>> b = a @ [1.0, 2.0, 3.0]
    >>> result = pysr.linalg.refine(a, b, pysr.Arithmetic("bfloat16", "sr", rng=1))
    >>> result.converged, result.x
    (True, array([1., 2., 3.]))
    """
    _choice(method, "method", ("lu", "gmres"))
    _choice(residual, "residual", ("double-double", "float64"))
    choices = ("float64", "low") if method == "lu" else ("double-double", "float64")
    if solves is None:
        solves = choices[0]
    _choice(solves, "solves", choices)
    operands = Operands(arithmetic, double=True, a=a, b=b)
    arithmetic, (matrix, right) = operands.arithmetic, operands.values.values()
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"a must be a square matrix, not of shape {matrix.shape}")
    n = matrix.shape[0]
    if right.ndim not in (1, 2) or right.shape[0] != n:
        raise ValueError(f"b must have shape ({n},) or ({n}, k), not {right.shape}")
    for name, value in (("max_iterations", max_iterations), ("max_inner", max_inner)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer, type(None))):
            raise TypeError(f"{name} must be an integer, not {value!r}")
    if isinstance(tol, bool) or not isinstance(tol, (int, float, np.number, type(None))):
        raise TypeError(f"tol must be a number, not {tol!r}")
    if max_iterations < 0:
        raise ValueError(f"max_iterations={max_iterations!r} is negative")
    if max_inner is not None and max_inner < 1:
        raise ValueError(f"max_inner={max_inner!r} is not positive")
    if tol is None:
        tol = max(n, 2) * _U
    if not 0 < tol < math.inf:
        raise ValueError(f"tol={tol!r} is not positive and finite")
    columns = right.reshape(n, -1 if n else math.prod(right.shape[1:]))
    if columns.size == 0:
        return _empty(n, right)
    factors, reason, message = _factorize(matrix, arithmetic, scale)
    if factors is None:
        return _failed(right, reason, message)
    scaled = np.ldexp(matrix, factors.row_exponents[:, np.newaxis] + factors.column_exponents)
    inner = min(n, max_inner or n)
    runs = [
        _Run(matrix, scaled, column, factors, arithmetic, method, solves, residual, inner)
        for column in columns.T
    ]
    for run in runs:
        run.go(tol, max_iterations)
        run.unscale()
    return _collect(runs, right, factors, arithmetic, tol)


# ---------------------------------------------------------------------------------------------
# One right-hand side


class _Run:
    """The refinement of one column, in the variables of the scaled system.

    It is R A C y = R b 2^-shift with x = C y 2^shift, R and C being powers of two: nothing but the
    solution itself can overflow or underflow.
    """

    def __init__(
        self,
        a: Array,
        scaled: Array,
        b: Array,
        factors: Factors,
        arithmetic: Arithmetic,
        method: str,
        solves: str,
        residual: str,
        max_inner: int,
    ) -> None:
        self.scaled, self.factors, self.arithmetic = scaled, factors, arithmetic
        self.method, self.solves, self.max_inner = method, solves, max_inner
        self.pairs = residual == "double-double"
        self.b, self.shift = _normalized(b, factors.row_exponents)
        values, shift = _normalized(a, 0)
        self.norms = _norm(np.sum(np.abs(values), axis=1), shift), _norm(b, 0)
        self.errors: list[float] = []
        self.inner: list[int] = []
        self.y = np.zeros_like(self.b)
        self.reason: Reason = "iterations"
        self.forward = math.inf
        self.x = self.y

    def residual(self) -> Array:
        if self.pairs:
            return dd.residual(self.scaled, self.y, self.b)
        with np.errstate(all="ignore"):
            return np.asarray(self.b - self.scaled @ self.y)

    def backward_error(self, r: Array) -> float:
        """||r|| / (||A|| ||x|| + ||b||) for the system as it was given."""
        if not (np.all(np.isfinite(r)) and np.all(np.isfinite(self.y))):
            return math.inf
        (a, a_exponent), (b, b_exponent) = self.norms
        x, x_exponent = _norm(self.y, self.factors.column_exponents + self.shift)
        rest, exponent = _norm(r, self.shift - self.factors.row_exponents)
        top = max(a_exponent + x_exponent, b_exponent)
        below = math.ldexp(a * x, a_exponent + x_exponent - top) + math.ldexp(b, b_exponent - top)
        return math.ldexp(rest, min(exponent - top, 1000)) / below if rest else 0.0

    def go(self, tol: float, max_iterations: int) -> None:
        self.y = self.substitute(self.b, "float64" if self.method == "gmres" else self.solves)
        r = self.residual()
        error = self.backward_error(r)
        if not error < 1:  # x = 0 is as good
            self.y = np.zeros_like(self.b)
            r, error = self.b.copy(), float(np.any(self.b != 0))
        self.errors.append(error)
        last, slow = math.inf, 0
        for _ in range(max_iterations):
            if not np.any(r):
                self.reason, self.forward = "converged", 0.0 if self.pairs else _U
                return
            d = self.gmres(r) if self.method == "gmres" else self.substitute(r, self.solves)
            size, y_size = float(np.max(np.abs(d))), float(np.max(np.abs(self.y)))
            if not math.isfinite(size):
                self.reason = "converged" if error <= tol else "diverged"
                return
            ratio = size / last if last else 0.0
            slow = slow + 1 if ratio > (_SLOW if error <= tol else _TOO_SLOW) else 0
            relative = size / y_size if y_size else math.inf
            if error <= tol and (slow or relative <= _U):
                self.converge(relative)
                return
            if slow == 2:
                self.reason = "diverged" if ratio > 1 else "stagnated"
                return
            before = self.y
            with np.errstate(all="ignore"):
                self.y = self.y + d
            r = self.residual()
            new = self.backward_error(r)
            if error <= tol and not new <= max(2 * error, tol):
                self.y = before
                self.converge(relative)
                return
            if not math.isfinite(new):
                self.y, self.reason = before, "diverged"
                return
            error, last = new, size
            self.errors.append(error)
        if error <= tol:
            self.converge(last / max(float(np.max(np.abs(self.y))), 5e-324))

    def converge(self, relative: float) -> None:
        """Take twice the last correction, which the one after it would be half of at most."""
        self.reason, self.forward = "converged", max(2 * relative, _U)

    def unscale(self) -> None:
        """x = C y 2^shift, which may be out of range."""
        exponents = self.factors.column_exponents + self.shift
        with np.errstate(all="ignore"):
            self.x = np.asarray(np.ldexp(self.y, exponents))
            lost = float(np.max(np.abs(np.ldexp(self.x, -exponents) - self.y)))
        error = max(self.forward if math.isfinite(self.forward) else 0.0, _U)
        if self.reason == "converged" and not lost <= error * float(np.max(np.abs(self.y))):
            self.reason, self.forward = "range", math.inf

    def substitute(self, r: Array, how: str) -> Array:
        """U^-1 L^-1 P r: the correction that the factors give."""
        f = self.factors
        r, shift = _normalized(r[f.permutation], 0)
        if how == "low":
            # Between 1, where solutions might underflow, and the size of U, where they overflow.
            lift = int(np.frexp(np.max(np.abs(f.upper)))[1]) // 2
            try:
                y = np.ldexp(r, lift)
                y = solve_triangular(f.lower, y, self.arithmetic, lower=True, unit_diagonal=True)
                y = solve_triangular(f.upper, y, self.arithmetic, lower=False)
            except (OverflowError, np.linalg.LinAlgError):
                return np.full_like(r, np.nan)
            shift -= lift
        else:
            y = self.apply(r)
        with np.errstate(all="ignore"):
            return np.asarray(np.ldexp(np.asarray(y, np.float64), shift))

    def apply(self, r: Array) -> Array:
        """U^-1 L^-1 in float64."""
        f = self.factors
        with np.errstate(all="ignore"):
            return _substitute(f.upper, _substitute(f.lower, r, unit_lower=True))

    def apply_pair(self, r: dd.Pair) -> Array:
        """U^-1 L^-1 in double-double."""
        f = self.factors
        with np.errstate(all="ignore"):
            pair = dd.solve_triangular(f.lower, r, lower=True)
            return dd.solve_triangular(f.upper, pair, lower=False)[0]

    def preconditioned(self, v: Array) -> Array:
        """U^-1 L^-1 P A v."""
        order = self.factors.permutation
        if self.solves == "float64":
            return self.apply((self.scaled @ v)[order])
        high, low = dd.matvec(self.scaled, v)
        return self.apply_pair((high[order], low[order]))

    def gmres(self, r: Array) -> Array:
        """A correction from GMRES on the preconditioned system."""
        start, shift = _normalized(r[self.factors.permutation], 0)
        if self.solves == "float64":
            start = self.apply(start)
        else:
            start = self.apply_pair((start, np.zeros_like(start)))
        y, steps = gmres(self.preconditioned, start, _GMRES_TOLERANCE, self.max_inner)
        self.inner.append(steps)
        with np.errstate(all="ignore"):
            return np.asarray(np.ldexp(y, shift))


def _normalized(v: Array, exponents: Any) -> tuple[Array, int]:
    """v 2^exponents with its largest element in [1/2, 1), and the exponent that was taken out."""
    mantissas, own = np.frexp(v)
    own = own + exponents
    if not np.any(mantissas):
        return np.zeros_like(v), 0
    shift = int(np.max(own[mantissas != 0]))
    return np.asarray(np.ldexp(mantissas, own - shift)), shift


def _norm(v: Array, exponents: Any) -> tuple[float, int]:
    """The largest abs(v) 2^exponents, as a mantissa and an exponent, far down if it is 0."""
    values, shift = _normalized(v, exponents)
    largest = float(np.max(np.abs(values)))
    return largest, shift if largest else -100_000


def _substitute(t: Array, b: Array, *, unit_lower: bool = False) -> Array:
    """Substitute in float64, backwards, or forwards with ones on the diagonal."""
    from scipy import linalg  # slow to import, and not needed by most of pysr

    solve: Any = linalg.solve_triangular
    x = solve(t, b, lower=unit_lower, unit_diagonal=unit_lower, check_finite=False)
    return np.asarray(x, np.float64)


def gmres(apply: Callable[[Array], Array], b: Array, tol: float, most: int) -> tuple[Array, int]:
    """Minimize ||b - M y|| over Krylov spaces until it is tol ||b||: y and the number of steps.

    Saad and Schultz, SIAM J. Sci. Stat. Comput. 7(3), 1986, with modified Gram-Schmidt; no
    restarts.
    """
    n = b.size
    norm = float(np.linalg.norm(b))
    if not (math.isfinite(norm) and norm > 0):
        return b.copy(), 0
    basis = [b / norm]
    h = np.zeros((most + 1, most))
    g = np.zeros(most + 1)
    g[0] = norm
    turns: list[tuple[float, float]] = []
    steps = 0
    for j in range(most):
        w = apply(basis[j])
        if not np.all(np.isfinite(w)):
            break
        for i, v in enumerate(basis):
            h[i, j] = w @ v
            w = w - h[i, j] * v
        length = float(np.linalg.norm(w))
        for i, (c, s) in enumerate(turns):
            h[i, j], h[i + 1, j] = c * h[i, j] + s * h[i + 1, j], c * h[i + 1, j] - s * h[i, j]
        radius = math.hypot(h[j, j], length)
        if radius == 0:
            break
        c, s = h[j, j] / radius, length / radius
        turns.append((c, s))
        h[j, j] = radius
        g[j], g[j + 1] = c * g[j], -s * g[j]
        steps = j + 1
        if abs(g[j + 1]) <= tol * norm or length == 0:
            break
        basis.append(w / length)
    if steps == 0:
        return np.full(n, np.nan), 0
    y = _substitute(h[:steps, :steps], g[:steps])
    return np.asarray(np.stack(basis[:steps], axis=1) @ y), steps


# ---------------------------------------------------------------------------------------------
# Before and after


def _choice(value: object, name: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name}={value!r} is not one of {', '.join(map(repr, choices))}")


def _scaling(a: Array) -> tuple[Exponents, Exponents]:
    """Exponents of rows and columns that bring the elements of a matrix below 1."""
    mantissas, exponents = np.frexp(a)
    exponents = np.where(mantissas == 0, -5000, exponents)
    rows = -np.max(exponents, axis=1)
    rows = np.where(rows > 4000, 0, rows)
    columns = -np.max(exponents + rows[:, np.newaxis], axis=0)
    return rows, np.where(columns > 4000, 0, columns)


def _factorize(a: Array, arithmetic: Arithmetic, scale: bool) -> tuple[Factors | None, Reason, str]:
    rows = columns = np.zeros(a.shape[0], np.int64)
    tops = [0]
    if scale:
        rows, columns = _scaling(a)
        # Elements below 2^top <= headroom; where they grow out of the range, below less.
        _, most = math.frexp(min(_HEADROOM * float(arithmetic.fmt.max), _LARGEST))
        tops = [*range(most - 1, 0, -_STEP), min(most - 1, 0)]
    for top in tops:
        scaled = np.ldexp(a, rows[:, np.newaxis] + columns + top)
        try:
            rows_of, lower, upper = lu(scaled, arithmetic, p_indices=True)
        except (OverflowError, np.linalg.LinAlgError) as error:
            if top == tops[-1]:
                return None, "overflow", f"the factorization fails: {error}"
        else:
            break
    zeros = np.flatnonzero(upper.diagonal() == 0)
    if len(zeros):
        return None, "singular", f"singular in {arithmetic.fmt}: pivot {zeros[0]} of U is 0"
    rows = rows + top
    permutation = np.argsort(rows_of)
    lower, upper = np.asarray(lower, np.float64), np.asarray(upper, np.float64)
    factors = Factors(permutation, lower, upper, rows, columns)
    return factors, "converged", ""


def _empty(n: int, right: Array) -> Refinement:
    k = right.shape[1:]
    no = np.zeros(0, np.int64)
    return Refinement(
        np.zeros_like(right),
        True,
        "converged",
        "there is nothing to solve",
        0,
        (),
        np.zeros((1, *k)),
        np.zeros(k) if k else 0.0,
        Factors(no, np.zeros((0, 0)), np.zeros((0, 0)), no, no) if n == 0 else None,
    )


def _failed(right: Array, reason: Reason, message: str) -> Refinement:
    k = right.shape[1:]
    return Refinement(
        np.full_like(right, np.nan),
        False,
        reason,
        message,
        0,
        (),
        np.full((1, *k), np.nan),
        np.full(k, np.inf) if k else math.inf,
        None,
    )


def _collect(
    runs: list[_Run], right: Array, factors: Factors, arithmetic: Arithmetic, tol: float
) -> Refinement:
    iterations = max(len(run.errors) for run in runs) - 1
    errors = np.array([run.errors + run.errors[-1:] * (iterations + 1 - len(run.errors))
                       for run in runs]).T  # fmt: skip
    inner = [0] * max(len(run.inner) for run in runs)
    for run in runs:
        for i, steps in enumerate(run.inner):
            inner[i] += steps
    first = next((run for run in runs if run.reason != "converged"), runs[0])
    message = _MESSAGES[first.reason].format(
        tol=tol, error=first.errors[-1], fmt=arithmetic.fmt, iterations=iterations
    )
    forward = np.array([run.forward for run in runs])
    vector = right.ndim == 1
    return Refinement(
        np.stack([run.x for run in runs], axis=1).reshape(right.shape),
        first.reason == "converged",
        first.reason,
        message,
        iterations,
        tuple(inner),
        errors[:, 0] if vector else errors,
        float(forward[0]) if vector else forward,
        factors,
    )
