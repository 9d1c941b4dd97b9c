"""Refinement: residuals against fractions, convergence where theory has it, failures said."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import pysr
from pysr.linalg import _double_double as dd
from pysr.linalg import _refine, refine, theory

Array = npt.NDArray[Any]
U = 2.0**-53


def randsvd(n: int, kappa: float, seed: int) -> Array:
    """Singular values from 1 to 1 / kappa, evenly spaced in the logarithm; random vectors."""
    g = np.random.default_rng(seed)
    u, _ = np.linalg.qr(g.standard_normal((n, n)))
    v, _ = np.linalg.qr(g.standard_normal((n, n)))
    return (u * np.logspace(0, -math.log10(kappa), n)) @ v.T


def fractions(a: Array) -> list[Any]:
    return [fractions(row) if np.ndim(row) else Fraction(float(row)) for row in a]


def exact_solution(a: Array, b: Array) -> list[Fraction]:
    """Gauss-Jordan in fractions."""
    rows = [[*row, value] for row, value in zip(fractions(a), fractions(b), strict=True)]
    for j in range(len(rows)):
        pivot = max(range(j, len(rows)), key=lambda i: abs(rows[i][j]))
        rows[j], rows[pivot] = rows[pivot], rows[j]
        rows[j] = [value / rows[j][j] for value in rows[j]]
        for i, row in enumerate(rows):
            if i != j and row[j]:
                rows[i] = [p - row[j] * q for p, q in zip(row, rows[j], strict=True)]
    return [row[-1] for row in rows]


def backward_error(a: Array, x: Array, b: Array) -> float:
    """In fractions, and the infinity norm."""
    fa, fx, fb = fractions(a), fractions(x), fractions(b)
    rest = [
        value - sum(map(lambda p, q: p * q, row, fx)) for row, value in zip(fa, fb, strict=True)
    ]
    norm = max(sum(map(abs, row)) for row in fa)
    below = norm * max(map(abs, fx)) + max(map(abs, fb))
    return float(max(map(abs, rest)) / below) if below else 0.0


# ---------------------------------------------------------------------------------------------
# Pairs


def test_sums_and_products_keep_their_errors() -> None:
    g = np.random.default_rng(1)
    a, b = (g.standard_normal(500) * 2.0 ** g.integers(-60, 60, 500) for _ in range(2))
    for (s, e), exact in (
        (dd.two_sum(a, b), [x + y for x, y in zip(fractions(a), fractions(b), strict=True)]),
        (dd.two_product(a, b), [x * y for x, y in zip(fractions(a), fractions(b), strict=True)]),
    ):
        assert [x + y for x, y in zip(fractions(s), fractions(e), strict=True)] == exact
        assert np.array_equal(s, [float(x) for x in exact])


def test_pairs_against_fractions() -> None:
    g = np.random.default_rng(2)
    x = dd.two_sum(g.standard_normal(400), g.standard_normal(400) * 2.0**-55)
    y = dd.two_sum(-x[0] * (1 + g.choice([0, 1e-14, 0.3], 400)), g.standard_normal(400) * 2.0**-55)
    b = g.standard_normal(400)
    fx = [p + q for p, q in zip(*map(fractions, x), strict=True)]
    fy = [p + q for p, q in zip(*map(fractions, y), strict=True)]
    fb = fractions(b)
    for result, exact, bound in (
        (dd.add(x, y), [p + q for p, q in zip(fx, fy, strict=True)], 4),
        (dd.multiply(x, b), [p * q for p, q in zip(fx, fb, strict=True)], 16),
        (dd.divide(x, b), [p / q for p, q in zip(fx, fb, strict=True)], 16),
    ):
        for high, low, value in zip(*map(fractions, result), exact, strict=True):
            assert abs(high + low - value) <= abs(value) * Fraction(bound, 2**106)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 32, 33])
@pytest.mark.parametrize(
    ("shift_a", "shift_x", "scale_b"),
    [(0, 0, 1.0), (300, 300, 1.0), (1000, 20, 0.0), (-1060, 0, 0.0), (-500, -500, 2.0**-999),
     (0, -1074, 1.0), (0, 0, 1e300), (1015, 1015, 0.0), (-1074, -1074, 1.0)],
)  # fmt: skip
def test_residual_against_fractions(n: int, shift_a: int, shift_x: int, scale_b: float) -> None:
    g = np.random.default_rng(3)
    a = np.ldexp(g.standard_normal((6, n)) * 2.0 ** g.integers(-9, 4, (6, n)), shift_a)
    x = np.ldexp(g.standard_normal(n), shift_x)
    with np.errstate(all="ignore"):
        near = np.where(np.isfinite(a @ x), a @ x, 0.0)  # most of it cancels
    for b in (g.standard_normal(6) * scale_b, near):
        r = dd.residual(a, x, b)
        fx = fractions(x)
        for i, (row, value) in enumerate(zip(fractions(a), fractions(b), strict=True)):
            products = [p * q for p, q in zip(row, fx, strict=True)]
            exact = value - sum(products)
            if abs(exact) >= Fraction(2) ** 1024:
                assert math.isinf(r[i])
                continue
            size = abs(value) + sum(map(abs, products))
            bound = size * (1 + math.ceil(math.log2(n + 1))) / 2**104
            bound += n * max(map(abs, row)) * max(map(abs, fx)) / 2**1000
            assert abs(Fraction(float(r[i])) - exact) <= bound + abs(exact) / 2**53 + Fraction(
                1, 2**1074
            )


def test_residual_of_zeros() -> None:
    assert dd.residual(np.zeros((2, 2)), np.ones(2), np.array([3.0, 0.0])).tolist() == [3.0, 0.0]
    assert dd.residual(np.ones((2, 2)), np.zeros(2), np.array([3.0, 0.0])).tolist() == [3.0, 0.0]
    assert dd.residual(np.zeros((2, 2)), np.zeros(2), np.zeros(2)).tolist() == [0.0, 0.0]


def test_triangular_pairs_against_fractions() -> None:
    g = np.random.default_rng(4)
    for lower in (True, False):
        t = (np.tril if lower else np.triu)(g.standard_normal((9, 9)) + 4 * np.eye(9))
        b = dd.two_sum(g.standard_normal(9), g.standard_normal(9) * 2.0**-56)
        high, low = dd.solve_triangular(t, b, lower=lower)
        rhs = [p + q for p, q in zip(*map(fractions, b), strict=True)]
        solution = [p + q for p, q in zip(*map(fractions, (high, low)), strict=True)]
        for row, value in zip(fractions(t), rhs, strict=True):
            terms = [p * q for p, q in zip(row, solution, strict=True)]
            assert abs(sum(terms) - value) <= sum(map(abs, terms)) * Fraction(1, 2**98)


# ---------------------------------------------------------------------------------------------
# GMRES


def test_gmres_solves() -> None:
    g = np.random.default_rng(5)
    a = np.eye(30) + 0.3 * g.standard_normal((30, 30)) / math.sqrt(30)
    b = g.standard_normal(30)
    y, steps = _refine.gmres(lambda v: a @ v, b, 1e-4, b.size)
    assert np.linalg.norm(a @ y - b) <= 1.01e-4 * np.linalg.norm(b)
    assert 3 < steps < 15
    y, steps = _refine.gmres(lambda v: a @ v, b, 1e-15, b.size)
    assert np.allclose(a @ y, b, rtol=1e-12)
    y, steps = _refine.gmres(lambda v: v, b, 1e-4, b.size)
    assert steps == 1
    assert np.allclose(y, b)
    y, steps = _refine.gmres(lambda v: 0 * v, b, 1e-4, b.size)
    assert np.isnan(y).all()
    assert _refine.gmres(lambda v: v, 0 * b, 1e-4, b.size)[1] == 0


def test_gmres_minimizes() -> None:
    g = np.random.default_rng(6)
    a = g.standard_normal((8, 8))
    b = g.standard_normal(8)
    krylov = [b]
    for steps in range(1, 8):
        basis = np.stack(krylov, axis=1)
        least = np.linalg.norm(b - a @ basis @ np.linalg.lstsq(a @ basis, b)[0])
        tol = 1.0001 * least / np.linalg.norm(b)
        y, taken = _refine.gmres(lambda v: a @ v, b, tol, b.size)
        assert taken == steps
        assert np.linalg.norm(b - a @ y) == pytest.approx(least, rel=1e-3)
        krylov.append(a @ krylov[-1])


# ---------------------------------------------------------------------------------------------
# Convergence


@pytest.mark.parametrize("mode", ["rne", "sr"])
@pytest.mark.parametrize("fmt", ["float16", "bfloat16"])
@pytest.mark.parametrize("n", [50, 100])
@pytest.mark.parametrize("solves", ["float64", "low"])
def test_lu_converges_within_its_limit(fmt: str, mode: str, n: int, solves: str) -> None:
    limit = theory.lu_ir_limit(theory.unit_roundoff(fmt, mode))
    for kappa in (1.0, 10.0, 0.1 * limit):
        for seed in range(3 if n == 50 and solves == "float64" else 1):
            a = randsvd(n, kappa, seed)
            b = np.random.default_rng(seed).standard_normal(n)
            arithmetic = pysr.Arithmetic(fmt, mode, rng=seed)
            result = refine(a, b, arithmetic, solves=solves)
            assert result.converged, (kappa, seed, result.message)
            assert result.reason == "converged"
            exact = backward_error(a, result.x, b)
            assert exact <= n * U
            assert result.backward_errors[-1] == pytest.approx(exact, rel=1e-6)
            assert result.iterations == len(result.backward_errors) - 1
            assert result.inner_iterations == ()


@pytest.mark.parametrize("mode", ["rne", "sr"])
@pytest.mark.parametrize("fmt", ["float16", "bfloat16"])
def test_gmres_goes_further(fmt: str, mode: str) -> None:
    for kappa, solves in ((1e3, "float64"), (1e5, "double-double"), (1e7, None), (1e7, "float64")):
        a = randsvd(50, kappa, 7)
        b = a @ np.random.default_rng(8).standard_normal(50)
        arithmetic = pysr.Arithmetic(fmt, mode, rng=9)
        result = refine(a, b, arithmetic, method="gmres", solves=solves)
        assert result.converged, (kappa, result.message)
        assert backward_error(a, result.x, b) <= 50 * U
        assert result.iterations <= 8
        assert len(result.inner_iterations) >= result.iterations
    result = refine(a, b, pysr.Arithmetic(fmt, mode, rng=9))
    assert not result.converged
    assert result.reason in ("diverged", "stagnated", "iterations")
    assert result.backward_errors[-1] > 50 * U
    assert math.isinf(result.forward_error)
    assert str(pysr.format(fmt)) in result.message or result.reason == "iterations"


def test_gmres_beyond_its_limit() -> None:
    """Where A is singular in float64 the estimate says so, if the backward error does not."""
    for seed in range(3):
        a = randsvd(50, 1e18, seed)
        b = np.random.default_rng(seed).standard_normal(50)
        arithmetic = pysr.Arithmetic("bfloat16", "sr", rng=12)
        result = refine(a, b, arithmetic, method="gmres", solves="float64")
        assert not result.converged or result.forward_error > 1e-2
        few = refine(randsvd(50, 1e9, seed), b, arithmetic, method="gmres", max_inner=10)
        assert not few.converged
        assert few.reason in ("stagnated", "diverged")
        assert max(few.inner_iterations) == 10


@pytest.mark.parametrize("method", ["lu", "gmres"])
@pytest.mark.parametrize("kappa", [10.0, 100.0])
def test_forward_error_against_fractions(method: str, kappa: float) -> None:
    """With residuals in double-double the solution is as good as its rounding to float64."""
    for seed in range(3):
        a = randsvd(14, kappa, seed)
        b = np.random.default_rng(seed).standard_normal(14)
        exact = exact_solution(a, b)
        size = float(max(map(abs, exact)))
        errors = {}
        for residual in ("double-double", "float64"):
            arithmetic = pysr.Arithmetic("bfloat16", "sr", rng=seed)
            result = refine(a, b, arithmetic, method=method, residual=residual)
            assert result.converged
            x = fractions(result.x)
            error = float(max(abs(p - q) for p, q in zip(x, exact, strict=True))) / size
            errors[residual] = error
            assert error <= 4 * result.forward_error
        assert errors["double-double"] <= 2 * U
        assert errors["float64"] <= 14 * kappa * U


def test_forward_error_of_bad_matrices() -> None:
    a = randsvd(14, 1e9, 3)
    b = np.random.default_rng(3).standard_normal(14)
    exact = exact_solution(a, b)
    result = refine(a, b, pysr.Arithmetic("float16", rng=3), method="gmres")
    error = max(abs(p - q) for p, q in zip(fractions(result.x), exact, strict=True))
    assert result.converged
    assert float(error / max(map(abs, exact))) <= 4 * U  # kappa u is 1e-7
    assert np.abs(np.linalg.solve(a, b) - result.x).max() > 1e3 * float(error)


@pytest.mark.parametrize("solves", ["float64", "double-double"])
@pytest.mark.parametrize("kappa", [1e11, 1e13])
def test_forward_error_is_estimated(kappa: float, solves: str) -> None:
    """Corrections must be right in the directions of small singular values as well."""
    for seed in range(3):
        a, b = randsvd(12, kappa, seed), np.random.default_rng(seed).standard_normal(12)
        exact = exact_solution(a, b)
        for fmt in ("float16", "bfloat16"):
            arithmetic = pysr.Arithmetic(fmt, rng=seed)
            result = refine(a, b, arithmetic, method="gmres", solves=solves)
            assert result.converged
            error = max(abs(p - q) for p, q in zip(fractions(result.x), exact, strict=True))
            assert float(error / max(map(abs, exact))) <= 2 * result.forward_error < 1e-13


def test_condition_and_corrections() -> None:
    """Each correction gains about kappa u_f: more of them for worse matrices."""
    counts = []
    for kappa in (1.0, 10.0, 50.0):
        a = randsvd(60, kappa, 1)
        result = refine(a, a @ np.ones(60), pysr.Arithmetic("bfloat16", "rne"))
        counts.append(result.iterations)
        assert np.all(np.diff(result.backward_errors[:4]) < 0)
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


@pytest.mark.parametrize("fmt", ["float8_e5m2", "float8_e4m3fn", "Q3.12", "tf32", "binary64"])
def test_other_formats(fmt: str) -> None:
    a = randsvd(20, 3.0, 5)
    b = a @ np.ones(20)
    result = refine(a, b, pysr.Arithmetic(fmt, rng=6), method="gmres")
    assert result.converged, result.message
    assert backward_error(a, result.x, b) <= 20 * U
    result = refine(a, b, pysr.Arithmetic(fmt, rng=6), max_iterations=300)
    assert result.converged or fmt.startswith("float8")


def test_the_stream_moves_and_repeats() -> None:
    a, b = randsvd(12, 10.0, 1), np.ones(12)
    first, second = (refine(a, b, pysr.Arithmetic("bfloat16", rng=3)).factors for _ in range(2))
    assert first is not None
    assert second is not None
    assert np.array_equal(first.upper, second.upper)
    arithmetic = pysr.Arithmetic("bfloat16", rng=3)
    refine(a, b, arithmetic)
    third = refine(a, b, arithmetic).factors
    assert third is not None
    assert not np.array_equal(first.upper, third.upper)


# ---------------------------------------------------------------------------------------------
# Scaling


def test_scaling_brings_matrices_into_range() -> None:
    g = np.random.default_rng(13)
    a = randsvd(30, 10.0, 13) * 10.0 ** g.integers(-30, 30, 30)
    a = 10.0 ** g.integers(-30, 30, 30)[:, np.newaxis] * a
    b = a @ (g.standard_normal(30) * 10.0 ** g.integers(-3, 3, 30))
    result = refine(a, b, pysr.Arithmetic("float16", "rne"))
    assert result.converged, result.message
    assert result.factors is not None
    assert np.abs(result.factors.lower).max() == 1
    f = result.factors
    scaled = np.ldexp(a, f.row_exponents[:, np.newaxis] + f.column_exponents)
    assert 2**11 <= np.abs(scaled).max() <= 6550
    assert np.all(np.abs(scaled).max(axis=0) > 2**10)
    product = f.lower @ f.upper
    assert np.abs(product - scaled[f.permutation]).max() <= 30 * 2.0**-11 * 2**13
    plain = refine(a, b, pysr.Arithmetic("float16", "rne"), scale=False)
    assert (plain.converged, plain.reason) == (False, "overflow")
    assert plain.factors is None
    assert np.isnan(plain.x).all()


@pytest.mark.parametrize(("method", "solves"), [("lu", "float64"), ("lu", "low"), ("gmres", None)])
def test_rows_and_columns_far_apart(method: str, solves: str | None) -> None:
    left = np.array([0, -400, 300, -200, 100, 0])
    right = np.array([200, 500, -300, -600, 0, 7])
    a = randsvd(6, 5.0, 17)
    x = np.arange(1.0, 7.0)
    result = refine(
        np.ldexp(a, left[:, np.newaxis] + right),
        np.ldexp(a @ x, left),
        pysr.Arithmetic("float16", "rne"),
        method=method,
        solves=solves,
    )
    assert result.converged, result.message
    # The norms see the largest rows and columns alone, but refinement goes on for all of them.
    assert np.ldexp(result.x, right) == pytest.approx(x, rel=1e-14)


def test_zero_rows_and_columns() -> None:
    a = np.eye(4)
    a[2, 2] = 0
    result = refine(a, np.ones(4), pysr.Arithmetic("float16", "rne"))
    assert (result.converged, result.reason, result.iterations) == (False, "singular", 0)
    assert "singular" in result.message


@pytest.mark.parametrize("shift", [-900, -300, 300, 900])
def test_huge_and_tiny_matrices(shift: int) -> None:
    a = randsvd(10, 10.0, 14)
    x = np.arange(1.0, 11.0)
    result = refine(np.ldexp(a, shift), np.ldexp(a @ x, shift), pysr.Arithmetic("bfloat16", "rne"))
    assert result.converged, result.message
    assert np.allclose(result.x, x, rtol=1e-12)
    result = refine(a, np.ldexp(a @ x, shift), pysr.Arithmetic("bfloat16", "rne"))
    assert result.converged
    assert np.allclose(result.x, np.ldexp(x, shift), rtol=1e-12, atol=0)


# ---------------------------------------------------------------------------------------------
# Shapes and errors


@pytest.mark.parametrize("method", ["lu", "gmres"])
def test_several_right_hand_sides(method: str) -> None:
    a = randsvd(16, 20.0, 15)
    b = np.random.default_rng(15).standard_normal((16, 3))
    b[:, 1] = 0
    result = refine(a, b, pysr.Arithmetic("float16", "rne"), method=method)
    assert result.converged
    assert result.x.shape == (16, 3)
    assert result.backward_errors.shape == (result.iterations + 1, 3)
    assert result.forward_error.shape == (3,)
    assert not result.x[:, 1].any()
    singles = [
        refine(a, column, pysr.Arithmetic("float16", "rne"), method=method) for column in b.T
    ]
    for j, single in enumerate(singles):
        assert np.array_equal(result.x[:, j], single.x)
        assert single.x.shape == (16,)
    assert result.iterations == max(single.iterations for single in singles)
    assert sum(result.inner_iterations) == sum(sum(s.inner_iterations) for s in singles)


def test_one_column_that_fails_is_named() -> None:
    a = np.diag([1.0, 1.0])
    result = refine(a, np.ones((2, 2)), pysr.Arithmetic("float16", "rne"), max_iterations=0)
    assert result.converged
    assert result.iterations == 0
    b = np.stack([np.ones(40), np.zeros(40)], axis=1)
    result = refine(randsvd(40, 1e6, 3), b, pysr.Arithmetic("float16", "rne"))
    assert not result.converged
    assert np.isinf(result.forward_error[0])
    assert result.forward_error[1] == 0


@pytest.mark.parametrize("shape", [(0,), (0, 3), (4, 0)])
def test_nothing(shape: tuple[int, ...]) -> None:
    n = shape[0]
    result = refine(np.eye(n), np.zeros(shape), pysr.Arithmetic("float16", "rne"))
    assert result.converged
    assert result.x.shape == shape
    assert result.iterations == 0


def test_one_by_one() -> None:
    result = refine([[3.0]], [1.0], pysr.Arithmetic("bfloat16", "rne"))
    assert result.x.tolist() == [1 / 3]


def test_too_few_iterations_are_said() -> None:
    a = randsvd(30, 50.0, 16)
    result = refine(a, np.ones(30), pysr.Arithmetic("bfloat16", "rne"), max_iterations=2)
    assert (result.converged, result.reason, result.iterations) == (False, "iterations", 2)
    assert "after 2 corrections" in result.message
    loose = refine(a, np.ones(30), pysr.Arithmetic("bfloat16", "rne"), max_iterations=2, tol=1e-2)
    assert loose.converged


def test_singular_and_overflowing() -> None:
    arithmetic = pysr.Arithmetic("float16", "rne")
    result = refine(np.ones((3, 3)), np.ones(3), arithmetic)
    assert (result.converged, result.reason) == (False, "singular")
    # Elements grow by 2 in every column: Wilkinson's example.
    n = 30
    a = np.eye(n) - np.tril(np.ones((n, n)), -1)
    a[:, -1] = 1
    for overflow in (None, "raise"):
        arithmetic = pysr.Arithmetic("float16", "rne", overflow=overflow)
        result = refine(a, np.ones(n), arithmetic)
        assert (result.converged, result.reason) == (False, "overflow")
        assert "float16" in result.message
    assert refine(a, a @ np.ones(n), pysr.Arithmetic("binary32", "rne"), method="gmres").converged


@pytest.mark.parametrize(
    ("a", "b", "keywords", "message"),
    [
        (np.ones((2, 3)), np.ones(2), {}, r"a must be a square matrix, not of shape \(2, 3\)"),
        (np.ones(4), np.ones(2), {}, r"a must be a square matrix, not of shape \(4,\)"),
        (np.eye(2), np.ones(3), {}, r"b must have shape \(2,\) or \(2, k\), not \(3,\)"),
        (np.eye(2), np.ones((2, 1, 1)), {}, r"b must have shape"),
        (np.eye(2), np.float64(1), {}, r"b must have shape"),
        (np.diag([1, np.nan]), np.ones(2), {}, r"a is nan at \(1, 1\)"),
        (np.eye(2), np.array([1, np.inf]), {}, r"b is inf at \(1,\)"),
        (np.eye(2), np.ones(2), {"method": "qr"}, "method='qr' is not one of 'lu', 'gmres'"),
        (np.eye(2), np.ones(2), {"residual": "x"}, "residual='x' is not one of"),
        (np.eye(2), np.ones(2), {"solves": "double-double"}, "solves='double-double' is not one"),
        (np.eye(2), np.ones(2), {"method": "gmres", "solves": "low"}, "solves='low' is not one"),
        (np.eye(2), np.ones(2), {"tol": 0.0}, "tol=0.0 is not positive"),
        (np.eye(2), np.ones(2), {"tol": -1e-9}, "tol=-1e-09 is not positive"),
        (np.eye(2), np.ones(2), {"tol": math.inf}, "tol=inf is not positive and finite"),
        (np.eye(2), [2**53 + 1, 1], {}, "b=9007199254740993 is not exact in float64"),
        ([[1, 2], [3]], np.ones(2), {}, "a: .*inhomogeneous"),
        (np.eye(2), np.ones(2), {"tol": math.nan}, "tol=nan is not positive"),
        (np.eye(2), np.ones(2), {"max_iterations": -1}, "max_iterations=-1 is negative"),
        (np.eye(2), np.ones(2), {"max_inner": 0}, "max_inner=0 is not positive"),
    ],
)
def test_wrong_arguments(a: Any, b: Any, keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        refine(a, b, pysr.Arithmetic("float16", "rne"), **keywords)


def test_wrong_types() -> None:
    with pytest.raises(TypeError, match=r"arithmetic must be a pysr\.Arithmetic, not 'float16'"):
        refine(np.eye(2), np.ones(2), "float16")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="sr_signed"):
        refine(np.eye(2), np.ones(2), pysr.Arithmetic("float16", "sr_signed"))
    with pytest.raises(TypeError, match="a must hold real numbers of at most 64 bits, not <U1"):
        refine(np.array([["1"]]), np.ones(1), pysr.Arithmetic("float16"))


def test_integers_and_narrow_types() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for dtype in (np.int32, np.float16, ml_dtypes.bfloat16):
        a = np.array([[4, 1], [2, 3]], dtype)
        result = refine(a, a @ np.ones(2, dtype), pysr.Arithmetic("bfloat16", "rne"))
        assert result.x.tolist() == [1, 1]


def test_operands_are_those_of_the_other_functions() -> None:
    arithmetic = pysr.Arithmetic("bfloat16", "rne")
    a, b = np.array([[4.0, 1.0], [2.0, 3.0]]), np.array([5.0, 5.0])
    for given in (a.astype(object), a.astype(">f8"), a.astype(np.float32), arithmetic.array(a)):
        result = refine(given, b, arithmetic)
        assert result.x.dtype == np.float64
        assert result.x.tolist() == [1, 1]
    wide = refine(np.float32(a), np.float32(b), pysr.Arithmetic("binary64", "rne"))
    assert wide.x.tolist() == [1, 1]
    with pytest.raises(TypeError, match="a is a masked array"):
        refine(np.ma.masked_array(a, a > 3), b, arithmetic)
    with pytest.raises(TypeError, match="b must hold real numbers of at most 64 bits, not"):
        refine(a, b.astype(np.longdouble), arithmetic)
    with pytest.raises(TypeError, match="two arithmetics"):
        refine(a, pysr.Arithmetic("bfloat16").array(b), arithmetic)


@pytest.mark.parametrize(("method", "solves"), [("lu", "float64"), ("lu", "low"), ("gmres", None)])
def test_solutions_out_of_range(method: str, solves: str | None) -> None:
    """What cannot be returned is not said to have converged."""
    arithmetic = pysr.Arithmetic("bfloat16", "rne")
    third = 1.0 / 3.0
    for a, b, bad in (
        (np.eye(2) * 1e-200, [1e200, 1.0], [True]),
        (np.eye(2) * 1e200, [1e-110 * third, 1e-110 * third], [True]),
        # The first element, in its column's scale as large as the other
        (np.array([[2.0**600, 1.0], [2.0**600, -1.0]]), [2.0**-460 * third, 0.0], [True]),
        (np.diag([2.0**600, 1.0]), [2.0**-450 * third, third], [False]),  # beside the other nothing
        (np.eye(2) * 2.0**600, [2.0**-450, 2.0**-460], [False]),  # subnormal, but exact
        (np.eye(2), [1.0, 2.0**-1074], [False]),
        (np.eye(2) * 1e-200, np.array([[1e200, 1.0], [1.0, 1.0]]), [True, False]),
    ):
        result = refine(a, b, arithmetic, method=method, solves=solves)
        assert result.converged is not any(bad)
        assert result.reason == ("range" if any(bad) else "converged")
        assert ("beyond the range of float64" in result.message) is any(bad)
        assert np.isinf(np.atleast_1d(result.forward_error)).tolist() == bad


def test_complex_is_refused() -> None:
    with pytest.raises(TypeError, match="a must hold real numbers of at most 64 bits, not complex"):
        refine(1j * np.eye(2), np.ones(2), pysr.Arithmetic("float16", "rne"))


@pytest.mark.parametrize(
    "keywords",
    [
        {"max_iterations": 1.5},
        {"max_iterations": float("nan")},
        {"max_iterations": "3"},
        {"max_iterations": True},
        {"max_inner": 2.0, "method": "gmres"},
        {"max_inner": "4", "method": "gmres"},
        {"tol": "x"},
        {"tol": [1e-3]},
    ],
)
def test_numbers_of_the_wrong_type(keywords):
    arithmetic = pysr.Arithmetic("bfloat16", rng=1)
    name = next(iter(keywords))
    with pytest.raises(TypeError, match=name):
        pysr.linalg.refine(np.eye(2) + 0.1, [1.0, 1.0], arithmetic, **keywords)
    assert arithmetic.stream.position == 0


@pytest.mark.parametrize("method", ["lu", "gmres"])
def test_factors_that_grow_are_scaled_lower(method):
    q = np.linalg.qr(np.random.default_rng(0).standard_normal((200, 200)))[0]
    found = pysr.linalg.refine(q, np.ones(200), pysr.Arithmetic("float16", "rne"), method=method)
    assert found.converged
    assert found.backward_errors[-1] <= 200 * 2.0**-53
