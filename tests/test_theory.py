"""Theory of rounding errors: formulas evaluated otherwise, and bounds that measurements keep to."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import pysr
from pysr import linalg
from pysr.linalg import theory

Array = npt.NDArray[Any]
U16, U16N = 2.0**-10, 2.0**-11


# ---------------------------------------------------------------------------------------------
# Formulas


@pytest.mark.parametrize("fmt", ["float16", "bfloat16", "tf32", "binary32", "float8_e4m3fn"])
def test_unit_roundoff_is_the_largest_error(fmt: str) -> None:
    precision = pysr.format(fmt).precision
    assert precision is not None
    g = np.random.default_rng(1)
    x = np.concatenate(
        [g.uniform(1, 2, 20_000), 1 + (np.arange(64) + 0.5) * 2.0 ** (1 - precision)]
    )
    x = x[x < 2 - 2.0 ** (1 - precision)]
    for mode in ("rne", "rna", "rnz", "sr", "rz", "ra", "ru", "rd", "ro", "sr_equal"):
        u = theory.unit_roundoff(fmt, mode)
        error = np.max(np.abs(np.asarray(pysr.round(x, fmt, mode, rng=2)) / x - 1))
        assert 0.4 * u < error <= u


def test_unit_roundoff_refuses() -> None:
    with pytest.raises(ValueError, match=r"fmt='Q3.8' is fixed point"):
        theory.unit_roundoff("Q3.8")
    with pytest.raises(ValueError, match="mode='up' is not one of 'rne'"):
        theory.unit_roundoff("float16", "up")


@pytest.mark.parametrize("n", [0, 1, 2, 10, 1000])
@pytest.mark.parametrize("u", [2.0**-8, 2.0**-11, 2.0**-24])
def test_gamma_against_fractions(n: int, u: float) -> None:
    product = n * Fraction(u)
    if product >= 1:
        assert theory.gamma(n, u) == math.inf
    else:
        assert theory.gamma(n, u) == pytest.approx(float(product / (1 - product)), rel=1e-14)
        assert (1 + Fraction(u)) ** n - 1 <= product / (1 - product)


@pytest.mark.parametrize("n", [0, 1, 7, 1000])
@pytest.mark.parametrize("factor", [0.0, 1.0, 4.5])
def test_gamma_probabilistic_against_its_series(n: int, factor: float) -> None:
    for u in (2.0**-8, 2.0**-24):
        exponent = Fraction(factor) * Fraction(math.sqrt(n)) * Fraction(u)
        exponent += n * Fraction(u) ** 2 / (1 - Fraction(u))
        term, total = Fraction(1), Fraction(0)
        for k in range(1, 60):
            term *= exponent / k
            total += term
            term = Fraction(float(term)) if term else term
        got = theory.gamma_probabilistic(n, u, factor)
        assert got == pytest.approx(float(total), rel=1e-12)
    assert theory.gamma_probabilistic(10**9, 0.5, 3.0) == math.inf
    assert theory.gamma_probabilistic(3, 1.0, 3.0) == math.inf


def test_failure_and_factor_are_inverse() -> None:
    for u in (2.0**-3, 2.0**-11):
        for count in (1, 50, 10**6):
            for failure in (0.5, 1e-3, 1e-12):
                factor = theory.confidence_factor(failure, u, count)
                assert theory.failure_probability(factor, u, count) == pytest.approx(failure)
                exponent = -(factor**2) * (1 - u) ** 2 / 2
                assert 2 * count * math.exp(exponent) == pytest.approx(failure)
    assert theory.failure_probability(0.0, 0.1) == 1
    for failure in (0.0, 1.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="failure="):
            theory.confidence_factor(failure, 0.1)
    with pytest.raises(ValueError, match=r"u=1.0 is not below 1"):
        theory.confidence_factor(0.1, 1.0)
    for u in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="not a positive number"):
            theory.failure_probability(1.0, u)
    with pytest.raises(ValueError, match="n=-1 is negative"):
        theory.gamma(-1, 0.1)


def depth(tree: Any) -> int:
    """The longest path of a sum written as a tree."""
    return 0 if isinstance(tree, int) else 1 + max(map(depth, tree))


def tree(first: int, last: int, order: str, block: int) -> Any:
    """S8.1 of the specification."""
    n = last - first
    if n == 1:
        return first
    if order == "pairwise":
        left = 1 << ((n - 1).bit_length() - 1)
        return tree(first, first + left, order, 1), tree(first + left, last, order, 1)
    if order == "blocked":
        parts = [tree(k, min(k + block, last), "sequential", 1) for k in range(first, last, block)]
    else:
        parts = list(range(first, last))
    result = parts[0]
    for part in parts[1:]:
        result = (result, part)
    return result


@pytest.mark.parametrize("n", [*range(2, 40), 100, 128, 129])
def test_rounding_depth_against_trees(n: int) -> None:
    for order in ("sequential", "pairwise"):
        assert theory.rounding_depth(n, order=order) == depth(tree(0, n, order, 1))
    for block in (1, 2, 5, 16, 200):
        found = theory.rounding_depth(n, order="blocked", block=block)
        assert found == depth(tree(0, n, "blocked", block))
    assert theory.rounding_depth(n, order="exact") == 1


def test_rounding_depth_refuses() -> None:
    assert [theory.rounding_depth(n) for n in (0, 1, 2)] == [0, 1, 1]
    with pytest.raises(ValueError, match="order='random' is not"):
        theory.rounding_depth(3, order="random")
    with pytest.raises(ValueError, match="block=None with order='blocked'"):
        theory.rounding_depth(3, order="blocked")
    with pytest.raises(ValueError, match="block=2 with order='sequential'"):
        theory.rounding_depth(3, block=2)
    with pytest.raises(ValueError, match="block=0 is not positive"):
        theory.rounding_depth(3, order="blocked", block=0)


def test_bounds_of_algorithms() -> None:
    u, n, m = 2.0**-20, 60, 90
    for bound, roundings, count in (
        (theory.summation, n - 1, n),
        (theory.inner_product, n, n),
        (theory.triangular_solve, n, sum(i for i in range(1, n + 1))),
        (theory.lu, n, sum(min(i, j) for i in range(1, n + 1) for j in range(1, n + 1))),
        (theory.cholesky, n + 1, sum(i for i in range(1, n + 1) for _ in range(i, n + 1))),
    ):
        assert bound(n, u) == theory.gamma(roundings, u)  # type: ignore[operator]
        factor = math.sqrt(2 * math.log(2 * count / 0.01)) / (1 - u)
        expected = math.expm1(factor * math.sqrt(roundings) * u + roundings * u * u / (1 - u))
        assert bound(n, u, failure=0.01) == pytest.approx(expected)  # type: ignore[operator]
    factor = theory.confidence_factor(0.01, u, m * n * 7)
    expected = theory.gamma_probabilistic(n, u, factor)
    assert theory.matmul(m, n, 7, u, failure=0.01) == expected
    assert theory.matvec(m, n, u, failure=0.01) < expected
    assert theory.matvec(m, n, u) == theory.matmul(m, n, 7, u) == theory.gamma(n, u)
    single = theory.lu(n, u)
    assert theory.lu_solve(n, u) == 3 * single + single**2
    assert theory.lu_solve(n, u) <= theory.gamma(3 * n, u)  # ASNA, Lemma 3.3
    assert theory.lu_solve(n, u, failure=0.01) < 0.8 * theory.lu_solve(n, u)
    assert theory.matmul(2, 10, 2, 1.0, failure=0.1) == math.inf


def test_few_bits_between_its_limits() -> None:
    u, n = 2.0**-10, 500
    bounds = [theory.few_bits(n, u, r, failure=0.01) for r in range(1, 40)]
    exact = theory.gamma_probabilistic(n, u, theory.confidence_factor(0.01, u))
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] == pytest.approx(exact, rel=1e-8)
    for r in (1, 4, 9):
        share = 2.0**-r
        wide = u * (1 + share) / (1 - share * u)
        random = theory.gamma_probabilistic(n, wide, theory.confidence_factor(0.01, wide))
        expected = (1 + random) * math.exp(n * share * u) - 1
        assert theory.few_bits(n, u, r, failure=0.01) == pytest.approx(expected)
        half = theory.few_bits(n, u, r, failure=0.01, variant="b")
        assert half == theory.few_bits(n, u, r + 1, failure=0.01)
        assert half == theory.few_bits(n, u, r, failure=0.01, variant="c")
    assert theory.few_bits(10**7, 0.25, 1, failure=0.1) == math.inf
    with pytest.raises(ValueError, match="random_bits=0"):
        theory.few_bits(n, u, 0, failure=0.1)
    with pytest.raises(ValueError, match="variant='d'"):
        theory.few_bits(n, u, 3, failure=0.1, variant="d")


def test_forms_for_orthogonal_factors() -> None:
    u = 2.0**-24
    assert theory.householder_qr(100, 10, u) == theory.gamma(1000, u)
    assert theory.householder_qr(100, 10, u, constant=6) == theory.gamma(6000, u)
    assert theory.householder_qr(100, 25, u, factor=3) == 150 * u
    for method, power in (("mgs", 1), ("cgs", 2), ("cholesky", 2), ("householder", 0), ("cgs2", 0)):
        assert theory.loss_of_orthogonality(method, 100.0, u) == 100.0**power * u
        assert theory.loss_of_orthogonality(method, 10.0, u, constant=4) == 4 * 10.0**power * u
    assert theory.loss_of_orthogonality("mgs", 2.0**24, u) == math.inf
    assert theory.loss_of_orthogonality("mgs2", 2.0**24, u) == math.inf
    assert theory.loss_of_orthogonality("cholesky2", 2.0**12, u) == math.inf
    assert theory.loss_of_orthogonality("givens", 2.0**30, u) == u
    with pytest.raises(ValueError, match="method='qr' is not one of 'householder'"):
        theory.loss_of_orthogonality("qr", 2.0, u)
    with pytest.raises(ValueError, match=r"kappa=0.5 is below 1"):
        theory.loss_of_orthogonality("mgs", 0.5, u)


def test_cholesky_qr_against_fractions() -> None:
    m, n, u = 300, 20, 2.0**-53
    spread = (m * n + n * (n + 1)) * Fraction(u)
    limit = theory.cholesky_qr_limit(m, n, u)
    assert 64 * Fraction(limit) ** 2 * spread == pytest.approx(1)
    for kappa in (1.0, 1e3, 0.99 * limit):
        delta2 = 64 * Fraction(kappa) ** 2 * spread
        assert theory.cholesky_qr_orthogonality(m, n, kappa, u) == pytest.approx(
            float(Fraction(5, 64) * delta2)
        )
        assert theory.cholesky_qr2_orthogonality(m, n, kappa, u) == pytest.approx(float(6 * spread))
    assert theory.cholesky_qr_orthogonality(m, n, 1.01 * limit, u) == math.inf
    assert theory.cholesky_qr2_orthogonality(m, n, 1.01 * limit, u) == math.inf
    assert theory.cholesky_qr_limit(0, 0, u) == math.inf


def test_limits_of_refinement() -> None:
    assert theory.lu_ir_limit(2.0**-8, constant=4) == 64
    # Carson and Higham's abstract: 10^4 and 10^8, with binary16 factors in single precision.
    assert 1e3 < theory.lu_ir_limit(2.0**-11) < 1e4
    assert 1e6 < theory.gmres_ir_limit(2.0**-11, 2.0**-24) < 1e8


# ---------------------------------------------------------------------------------------------
# Bounds and measurements


def errors_of_sums(
    x: Array, fmt: str, order: str = "sequential", block: int | None = None, **keywords: Any
) -> Array:
    """Of each row, relative to the sum of its absolute values."""
    arithmetic = pysr.Arithmetic(fmt, **keywords)
    result = np.asarray(arithmetic.sum(x, axis=1, order=order, block=block), np.float64)
    exact = np.array([math.fsum(row) for row in x])
    return np.abs(result - exact) / np.sum(np.abs(x), axis=1)


@pytest.mark.parametrize(
    ("order", "block"), [("sequential", None), ("pairwise", None), ("blocked", 32)]
)
def test_sums_keep_to_their_bounds(order: str, block: int | None) -> None:
    g = np.random.default_rng(3)
    for n in (16, 100, 700):
        for x in (g.uniform(0.5, 1, (300, n)), g.standard_normal((300, n))):
            x = np.asarray(pysr.round(x, "float16", "rne"))
            error = errors_of_sums(x, "float16", order, block, mode="sr", rng=n)
            bound = theory.summation(n, U16, failure=0.01, order=order, block=block)
            assert np.mean(error > bound) <= 0.01
            assert error.max() >= bound / (20 if x.min() > 0 else 300)  # not an empty promise
            error = errors_of_sums(x, "float16", order, block, mode="rne")
            assert error.max() <= theory.summation(n, U16N, order=order, block=block)


def test_a_wrong_rounding_breaks_the_bound() -> None:
    """Rounding with probability 1/2 is biased: the sqrt(n) bound does not hold for it."""
    n = 20_000
    x = np.full((20, n), 1 + 2.0**-23)  # a bit above the grid at every step
    bound = theory.summation(n, 2.0**-23, failure=0.01)
    assert errors_of_sums(x, "binary32", mode="sr", rng=1).max() < bound
    assert errors_of_sums(x, "binary32", mode="ra").min() > 2 * bound
    assert errors_of_sums(x, "binary32", mode="sr_equal", rng=1).min() > 2 * bound


@pytest.mark.parametrize("variant", ["a", "b", "c"])
def test_few_random_bits_keep_to_their_bound(variant: str) -> None:
    n = 600
    x = np.asarray(pysr.round(np.random.default_rng(4).uniform(1, 2, (200, n)), "float16", "rne"))
    drifts = {}
    for bits in (1, 2, 4, 8):
        keywords: dict[str, Any] = {"random_bits": bits, "variant": variant, "rng": bits}
        error = errors_of_sums(x, "float16", mode="sr", **keywords)
        assert np.mean(error > theory.few_bits(n, U16, bits, failure=0.01, variant=variant)) <= 0.01
        drifts[bits] = error.mean()
    if variant == "a":  # truncated probabilities: the drift is the error, and halves with each bit
        assert drifts[1] > theory.summation(n, U16, failure=0.01) / 3
        assert drifts[1] > 1.5 * drifts[2] > 2 * drifts[4]


@pytest.mark.parametrize("fmt", ["float16", "bfloat16", "binary32"])
@pytest.mark.parametrize("n", [50, 400, 3000])
def test_deviation_of_sums(fmt: str, n: int) -> None:
    g = np.random.default_rng(n)
    x = np.asarray(pysr.round(g.uniform(1, 2, n), fmt, "rne"))
    rows = np.broadcast_to(x.astype(np.float32), (3000, n))
    sums = np.asarray(pysr.Arithmetic(fmt, "sr", rng=5).sum(rows, axis=1), np.float64)
    predicted = theory.summation_deviation(x, fmt)
    assert np.std(sums - math.fsum(x)) == pytest.approx(predicted, rel=0.06)
    assert abs(np.mean(sums) - math.fsum(x)) < 4 * predicted / math.sqrt(3000)
    wrong = np.asarray(pysr.Arithmetic(fmt, "sr_equal", rng=5).sum(rows[:300], axis=1), np.float64)
    assert np.std(wrong) != pytest.approx(predicted, rel=0.06)


@pytest.mark.parametrize(("fmt", "last"), [("bfloat16", 256), ("float16", 2048)])
def test_stagnation(fmt: str, last: int) -> None:
    arithmetic = pysr.Arithmetic(fmt, "rne")
    for n in (1, last - 1, last, last + 1, 5 * last):
        total = float(arithmetic.sum(np.ones(n)))
        assert 1 - total / n == pytest.approx(theory.stagnation(n, fmt), abs=1e-15)
        half = float(arithmetic.sum(np.full(n, 0.125)))
        assert 1 - 8 * half / n == pytest.approx(theory.stagnation(n, fmt), abs=1e-15)
    assert theory.stagnation(0, fmt) == 0


def test_products_keep_to_their_bounds() -> None:
    g = np.random.default_rng(6)
    m, n, p = 20, 200, 15
    a, b = (
        np.asarray(pysr.round(g.standard_normal(shape), "float16", "rne"))
        for shape in ((m, n), (n, p))
    )
    for seed in range(10):
        product = pysr.Arithmetic("float16", "sr", rng=seed).matmul(a, b)
        error = np.max(np.abs(product - a @ b) / (np.abs(a) @ np.abs(b)))
        bound = theory.matmul(m, n, p, U16, failure=0.01)
        assert bound / 100 <= error <= bound
        vector = pysr.Arithmetic("float16", "sr", rng=seed).matmul(a, b[:, 0])
        error = np.max(np.abs(vector - a @ b[:, 0]) / (np.abs(a) @ np.abs(b[:, 0])))
        assert error <= theory.matvec(m, n, U16, failure=0.01)
        dot = pysr.Arithmetic("float16", "sr", rng=seed).matmul(a[0], b[:, 0])
        error = abs(dot - a[0] @ b[:, 0]) / (np.abs(a[0]) @ np.abs(b[:, 0]))
        assert error <= theory.inner_product(n, U16, failure=0.01)
    product = pysr.Arithmetic("float16", "rne").matmul(a, b)
    assert np.max(np.abs(product - a @ b) / (np.abs(a) @ np.abs(b))) <= theory.gamma(n, U16N)


@pytest.mark.parametrize(("accumulate", "block", "depth"), [("fma", None, 256), ("block", 16, 16)])
def test_other_products_keep_to_their_bounds(
    accumulate: str, block: int | None, depth: int
) -> None:
    g = np.random.default_rng(8)
    a, b = (
        np.asarray(pysr.round(g.uniform(0.5, 1, shape), "float16", "rne"))
        for shape in ((9, 256), (256, 9))
    )
    options: dict[str, Any] = {"accumulate": accumulate, "block": block}
    for mode, u, failure in (("rne", U16N, None), ("sr", U16, 0.01)):
        product = pysr.Arithmetic("float16", mode, rng=9).matmul(a, b, **options)
        error = np.max(np.abs(product / (a @ b) - 1))
        bound = theory.matmul(9, 256, 9, u, failure=failure, **options)
        assert bound / 100 <= error <= bound
    assert theory.inner_product(256, U16, **options) == theory.gamma(depth, U16)
    assert theory.matvec(9, 256, U16, **options) == theory.gamma(depth, U16)


def test_products_refuse() -> None:
    with pytest.raises(ValueError, match="accumulate='exact' is not"):
        theory.inner_product(5, U16, accumulate="exact")
    with pytest.raises(ValueError, match="order='pairwise' goes with"):
        theory.inner_product(5, U16, accumulate="fma", order="pairwise")
    for accumulate, block in (("block", None), ("block", 0), ("fma", 4)):
        with pytest.raises(ValueError, match="block="):
            theory.inner_product(5, U16, accumulate=accumulate, block=block)


@pytest.mark.parametrize("mode", ["rne", "sr"])
def test_factors_keep_to_their_bounds(mode: str) -> None:
    fmt, n = "tf32", 40
    u = theory.unit_roundoff(fmt, mode)
    failure = None if mode == "rne" else 0.01
    for seed in range(4):
        g = np.random.default_rng(seed)
        a = np.asarray(pysr.round(g.standard_normal((n, n)), fmt, "rne"))
        arithmetic = pysr.Arithmetic(fmt, mode, rng=seed)
        order, lower, upper = linalg.lu(a, arithmetic, p_indices=True)
        size = (np.abs(lower) @ np.abs(upper))[order]
        error = np.max(np.abs((lower @ upper)[order] - a) / size)
        bound = theory.lu(n, u, failure=failure)
        assert bound / 100 <= error <= bound
        b = g.standard_normal(n)
        x = np.asarray(linalg.solve_triangular(lower, b, arithmetic, lower=True))
        rest = np.abs(lower @ x - np.asarray(pysr.round(b, fmt, "rne")))
        within = np.abs(lower) @ np.abs(x)
        slack = u * np.abs(b)  # b is rounded first
        assert np.all(rest <= theory.triangular_solve(n, u, failure=failure) * within + 2 * slack)
        s = a @ a.T + n * np.eye(n)
        s = np.asarray(pysr.round(s, fmt, "rne"))
        factor = np.asarray(linalg.cholesky(s, arithmetic))
        error = np.max(np.abs(factor @ factor.T - s) / (np.abs(factor) @ np.abs(factor.T)))
        bound = theory.cholesky(n, u, failure=failure)
        assert bound / 100 <= error <= bound


@pytest.mark.parametrize("mode", ["rne", "sr"])
def test_householder_keeps_to_its_forms(mode: str) -> None:
    fmt, m, n = "binary32", 150, 12
    u = theory.unit_roundoff(fmt, mode)
    for seed in range(3):
        a = np.asarray(pysr.round(np.random.default_rng(seed).random((m, n)), fmt, "rne"))
        q, r = linalg.qr(a, pysr.Arithmetic(fmt, mode, rng=seed))
        columns = np.linalg.norm(a - q @ r, axis=0) / np.linalg.norm(a, axis=0)
        assert columns.max() <= theory.householder_qr(m, n, u, factor=1.0)
        assert columns.max() <= theory.householder_qr(m, n, u)
        loss = np.linalg.norm(q.T @ q - np.eye(n), 2)
        assert loss <= 2 * math.sqrt(n) * theory.householder_qr(m, n, u, factor=1.0)


@pytest.mark.parametrize("mode", ["rne", "sr"])
def test_cholesky_qr_keeps_to_its_bounds(mode: str) -> None:
    fmt, m, n = "binary32", 60, 5
    u = theory.unit_roundoff(fmt, mode)
    limit = theory.cholesky_qr_limit(m, n, u)
    assert limit > 10
    for kappa in (2.0, 0.9 * limit):
        g = np.random.default_rng(7)
        p, _ = np.linalg.qr(g.standard_normal((m, n)))
        v, _ = np.linalg.qr(g.standard_normal((n, n)))
        a = np.asarray(pysr.round((p * np.geomspace(1, 1 / kappa, n)) @ v.T, fmt, "rne"))
        for method, bound in (
            ("cholesky", theory.cholesky_qr_orthogonality),
            ("cholesky2", theory.cholesky_qr2_orthogonality),
        ):
            q, _ = linalg.qr(a, pysr.Arithmetic(fmt, mode, rng=1), method=method)
            assert np.linalg.norm(q.T @ q - np.eye(n)) <= bound(m, n, kappa, u)
