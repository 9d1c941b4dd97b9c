"""Problems that are formulas: quadratic functions and test functions."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pysr.arithmetic import an_integer
from pysr.optim.problems._problem import Array, Problem, Values, each, finite, points

# Where x^2 + y = 11 and x + y^2 = 7, to the last bit.
_HIMMELBLAU = (
    (3.0, 2.0),
    (-2.805118086952745, 3.131312518250573),
    (-3.779310253377747, -3.2831859912861696),
    (3.5844283403304917, -1.8481265269644036),
)


# ---------------------------------------------------------------------------------------------
# Quadratic functions


class Quadratic(Problem):
    """
    A convex quadratic function ``(x - x*)^T A (x - x*) / 2`` with the spectrum of A given.

    A is diagonal, or ``Q diag(spectrum) Q^T`` with an orthogonal matrix Q.

    Parameters
    ----------
    spectrum : array_like, shape (n,)
        Eigenvalues of A: not negative, and one at least positive.
    minimizer : array_like, shape (n,), optional
        x*, by default 0.
    basis : array_like, shape (n, n), optional
        Q: its columns are eigenvectors. By default the identity.
    start : array_like, shape (n,), optional

    Attributes
    ----------
    spectrum, minimizer : ndarray, shape (n,)
    basis : ndarray, shape (n, n), or None
    lipschitz : float
        The largest eigenvalue.
    pl : float
        The smallest that is not 0, even where the minimizer is not the only one (Karimi, Nutini,
        Schmidt, ECML PKDD 2016, section 2.3).

    Raises
    ------
    ValueError
        If a shape does not fit, a number is not finite, an eigenvalue is negative or all are 0, or
        the basis is not orthogonal to 1e-10.

    Notes
    -----
    The gradient is ``spectrum * (x - minimizer)``, in this order, and with a basis
    ``(spectrum * ((x - minimizer) Q)) Q^T``; the value is ``0.5 * sum((spectrum * d) * d)`` with d
    what the spectrum is multiplied by.

    Examples
    --------
    >>> from pysr.optim import problems
    >>> quadratic = problems.Quadratic([1.0, 4.0], minimizer=[3.0, 0.5])
    >>> quadratic.lipschitz, quadratic.pl
    (4.0, 1.0)
    >>> quadratic.gradient([0.0, 0.0]), quadratic.value([0.0, 0.0])
    (array([-3., -2.]), np.float64(5.0))
    """

    def __init__(
        self,
        spectrum: ArrayLike,
        minimizer: ArrayLike | None = None,
        basis: ArrayLike | None = None,
        *,
        start: ArrayLike | None = None,
    ) -> None:
        eigenvalues = finite(spectrum, "spectrum", 1)
        n = len(eigenvalues)
        if eigenvalues.min() < 0 or not eigenvalues.max():
            raise ValueError(
                "spectrum must hold no negative number, and a positive one, but it goes from "
                f"{eigenvalues.min()} to {eigenvalues.max()}"
            )
        centre = points(np.zeros(n) if minimizer is None else minimizer, "minimizer", n, 1)
        vectors = None if basis is None else _orthogonal(basis, n)
        assert centre is not None
        self.spectrum, self.minimizer, self.basis = eigenvalues, centre, vectors
        super().__init__(
            partial(_quadratic_gradient, eigenvalues, centre, vectors),
            partial(_quadratic_value, eigenvalues, centre, vectors),
            size=n,
            name="quadratic",
            start=start,
            minimizers=centre[np.newaxis],
            minimum=0.0,
            lipschitz=float(eigenvalues.max()),
            pl=float(eigenvalues[eigenvalues > 0].min()),
        )

    @property
    def diagonal(self) -> tuple[Array, Array] | None:
        """The spectrum and the minimizer; None with a basis."""
        return (self.spectrum, self.minimizer) if self.basis is None else None


def _orthogonal(basis: ArrayLike, n: int) -> Array:
    q = finite(basis, "basis", 2)
    if q.shape != (n, n):
        raise ValueError(f"basis must have shape {(n, n)}, not {q.shape}")
    distance = float(np.abs(q.T @ q - np.eye(n)).max())
    if distance > 1e-10:
        raise ValueError(f"basis is not orthogonal: Q^T Q is {distance:.3g} away from the identity")
    return q


def _along(minimizer: Array, q: Values, x: Values) -> Values:
    distance = x - np.asarray(minimizer, like=x)
    return distance if q is None else each(distance, q)


def _quadratic_gradient(spectrum: Array, minimizer: Array, basis: Array | None, x: Values) -> Any:
    q = None if basis is None else np.asarray(basis, like=x)
    scaled = np.asarray(spectrum, like=x) * _along(minimizer, q, x)
    return scaled if q is None else each(scaled, q.T)


def _quadratic_value(spectrum: Array, minimizer: Array, basis: Array | None, x: Values) -> Any:
    q = None if basis is None else np.asarray(basis, like=x)
    d = _along(minimizer, q, x)
    return np.asarray(0.5, like=x) * np.sum(np.asarray(spectrum, like=x) * d * d, axis=-1)


def random_basis(n: int, rng: Any = None) -> Array:
    """
    Draw an orthogonal matrix, uniformly.

    Parameters
    ----------
    n : int
        Rows and columns.
    rng : None, int, SeedSequence, Generator, BitGenerator or Philox, optional
        As in `numpy.random.default_rng`.

    Returns
    -------
    ndarray, shape (n, n)
        Of Haar's distribution: the factor Q of a matrix of independent normal numbers, signs such
        that R has a positive diagonal (Mezzadri, Notices AMS 54(5), 2007, 592-604).

    Raises
    ------
    ValueError
        If n is less than 1.

    Examples
    --------
    >>> from pysr.optim import problems
    >>> q = problems.random_basis(3, rng=1)
    >>> bool(np.allclose(q.T @ q, np.eye(3), rtol=0, atol=1e-14))
    True
    """
    if an_integer(n, "n") < 1:
        raise ValueError(f"n must be at least 1, not {n}")
    q, r = np.linalg.qr(np.random.default_rng(rng).standard_normal((n, n)))
    return np.asarray(q * np.where(np.diagonal(r) < 0, -1.0, 1.0))


# ---------------------------------------------------------------------------------------------
# Test functions


def rosenbrock(n: int = 2) -> Problem:
    """
    Rosenbrock's function, whose minimizer lies in a curved valley.

    Parameters
    ----------
    n : int
        Coordinates, at least 2.

    Returns
    -------
    Problem
        ``sum(100 (x[i+1] - x[i]^2)^2 + (1 - x[i])^2, i = 0 ... n-2)``; it is 0 at (1, ..., 1). It
        starts at (-1, 1, -1, 1, ...). The gradient has no Lipschitz constant; from n = 4 on there
        is a local minimizer near (-1, 1, 1, ...).

    Raises
    ------
    ValueError
        If n is less than 2.

    Notes
    -----
    Rosenbrock, Comput. J. 3(3), 1960, 175-184, for n = 2. With ``d = x[i+1] - x[i] * x[i]`` and
    ``c = 100 * d`` the gradient has ``2 * (x[i] - 1) - 4 * x[i] * c`` at i and, added to it,
    ``2 * c`` at i + 1. The value sums ``100 * (d * d) + r * r`` with ``r = 1 - x[i]``.

    Examples
    --------
    >>> from pysr.optim import problems
    >>> rosenbrock = problems.rosenbrock()
    >>> rosenbrock.start, rosenbrock.value(rosenbrock.start)
    (array([-1.,  1.]), np.float64(4.0))
    >>> rosenbrock.gradient([-1.0, 1.0])
    array([-4.,  0.])
    """
    if an_integer(n, "n") < 2:
        raise ValueError(f"n must be at least 2, not {n}")
    return Problem(
        _rosenbrock_gradient,
        _rosenbrock_value,
        size=n,
        name="rosenbrock",
        start=np.resize([-1.0, 1.0], n),
        minimizers=np.ones((1, n)),
        minimum=0.0,
    )


def _rosenbrock_gradient(x: Values) -> Any:
    one, two, four, hundred = np.asarray([1.0, 2.0, 4.0, 100.0], like=x)
    left, right = x[..., :-1], x[..., 1:]
    c = hundred * (right - left * left)
    own = two * (left - one) - four * left * c
    next_one = two * c
    inner = own[..., 1:] + next_one[..., :-1]
    return np.concatenate([own[..., :1], inner, next_one[..., -1:]], axis=-1)


def _rosenbrock_value(x: Values) -> Any:
    one, hundred = np.asarray([1.0, 100.0], like=x)
    left, right = x[..., :-1], x[..., 1:]
    d = right - left * left
    r = one - left
    return np.sum(hundred * (d * d) + r * r, axis=-1)


def himmelblau() -> Problem:
    """
    Himmelblau's function, with four minimizers.

    Returns
    -------
    Problem
        ``(x^2 + y - 11)^2 + (x + y^2 - 7)^2``; it is 0 at (3, 2) and three points more. It starts
        at (0, 0). The gradient has no Lipschitz constant.

    Notes
    -----
    Himmelblau, Applied Nonlinear Programming, McGraw-Hill, 1972. With ``a = x * x + y - 11`` and
    ``b = x + y * y - 7`` the gradient is ``(4 * x * a + 2 * b, 2 * a + 4 * y * b)``.

    Examples
    --------
    >>> from pysr.optim import problems
    >>> himmelblau = problems.himmelblau()
    >>> himmelblau.minimizers.round(4)
    array([[ 3.    ,  2.    ],
           [-2.8051,  3.1313],
           [-3.7793, -3.2832],
           [ 3.5844, -1.8481]])
    >>> himmelblau.gradient([4.0, 4.0])
    array([170., 226.])
    """
    return Problem(
        _himmelblau_gradient,
        _himmelblau_value,
        size=2,
        name="himmelblau",
        start=np.zeros(2),
        minimizers=_HIMMELBLAU,
        minimum=0.0,
    )


def _himmelblau_terms(x: Values) -> Any:
    seven, eleven = np.asarray([7.0, 11.0], like=x)
    x, y = x[..., 0], x[..., 1]
    return x, y, x * x + y - eleven, x + y * y - seven


def _himmelblau_gradient(x: Values) -> Any:
    two, four = np.asarray([2.0, 4.0], like=x)
    x, y, a, b = _himmelblau_terms(x)
    return np.stack([four * x * a + two * b, two * a + four * y * b], axis=-1)


def _himmelblau_value(x: Values) -> Any:
    _, _, a, b = _himmelblau_terms(x)
    return a * a + b * b


def pl_nonconvex(n: int = 1) -> Problem:
    """
    A function that satisfies the Polyak-Łojasiewicz inequality and is not convex.

    Parameters
    ----------
    n : int
        Coordinates: the function is a sum over them.

    Returns
    -------
    Problem
        ``sum(x^2 + 3 sin(x)^2)``, 0 at 0, with mu = 1/32 and L = 8.

    Raises
    ------
    ValueError
        If n is less than 1.

    Notes
    -----
    Karimi, Nutini, Schmidt, Linear convergence of gradient and proximal-gradient methods under the
    Polyak-Łojasiewicz condition, ECML PKDD 2016 (arXiv:1608.04636), section 2.2. Their mu is safe:
    0.17 would do. Evaluated as ``x * x + 3 * (s * s)`` with ``s = sin(x)``; the gradient as
    ``2 * x + 3 * sin(2 * x)``. Under an arithmetic, a sine is computed in float64 and rounded.

    Examples
    --------
    >>> from pysr.optim import problems
    >>> problem = problems.pl_nonconvex()
    >>> problem.pl, problem.lipschitz
    (0.03125, 8.0)
    >>> problem.gradient([np.pi])
    array([6.28318531])
    """
    if an_integer(n, "n") < 1:
        raise ValueError(f"n must be at least 1, not {n}")
    return Problem(
        _pl_gradient,
        _pl_value,
        size=n,
        name="pl_nonconvex",
        minimizers=np.zeros((1, n)),
        minimum=0.0,
        lipschitz=8.0,
        pl=1 / 32,
    )


def _pl_gradient(x: Values) -> Any:
    two, three = np.asarray([2.0, 3.0], like=x)
    twice = two * x
    return twice + three * np.sin(twice)


def _pl_value(x: Values) -> Any:
    three = np.asarray(3.0, like=x)
    s = np.sin(x)
    return np.sum(x * x + three * (s * s), axis=-1)
