"""Factorizations with every operation rounded: all bits against the model, bounds, errors."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable
from typing import Any

import exact_model as em
import linalg_model as lm
import numpy as np
import numpy.typing as npt
import pytest
import scipy.linalg
from cases import CARRIERS, FORMATS, bits_of, seed_of, to_library

import pysr
from pysr import linalg

Array = npt.NDArray[Any]

METHODS = ("householder", "givens", "mgs", "mgs2", "cgs", "cgs2", "cholesky", "cholesky2")
NAMES = ("bfloat16", "float16", "tf32", "float8_e4m3fn", "Q5.14")
OWN = {name: FORMATS[name] for name in (*NAMES[:-1], "Q3.8")} | {"Q5.14": em.fixed_format(5, 14)}
SEED, START = 11, 5
OPTIONS: list[dict[str, Any]] = [
    {},
    {"accumulate": "fma"},
    {"accumulate": "block", "block": 2},
    {"order": "pairwise"},
    {"order": "blocked", "block": 3},
    {"order": "exact"},
]
MODES = ("rne", "sr", "rd")


class Trial:
    """Calls of the library, in both carriers, and what the model says of them."""

    def __init__(self, name: str, mode: str, **options: Any) -> None:
        self.fmt = OWN[name]
        self.arithmetics = {
            carrier: pysr.Arithmetic(
                to_library(self.fmt), mode, rng=pysr.Philox(SEED, 3).advance(START)
            )
            for carrier in CARRIERS
        }
        manner = em.Manner(mode, seed=SEED, stream=3, start=START)
        self.machine = lm.Machine(self.fmt, manner, **options)

    def given(self, *arrays: Array) -> list[lm.Matrix]:
        """The matrices as the model has them, in the format."""
        matrices = []
        for x in arrays:
            flat = [(em.carrier_value(em.FLOAT32, int(p)),) for p in bits_of(x).ravel()]
            values = self.machine.call("round", flat)
            matrices.append([values[i : i + x.shape[1]] for i in range(0, x.size, x.shape[1])])
        return matrices

    def call(self, function: Callable[..., Any], *arrays: Array, **options: Any) -> Any:
        """The results in all carriers."""
        return [
            function(*(x.astype(carrier) for x in arrays), arithmetic, **options)
            for carrier, arithmetic in self.arithmetics.items()
        ]

    def refuses(self, function: Callable[..., Any], *arrays: Array, **options: Any) -> None:
        for carrier, arithmetic in self.arithmetics.items():
            with pytest.raises(np.linalg.LinAlgError):
                function(*(x.astype(carrier) for x in arrays), arithmetic, **options)
            assert arithmetic.stream.position == START
            assert arithmetic.counts.inexact == 0

    def same(self, got: list[Any], expected: Any, field: str | None = None) -> None:
        """Compare arrays, or fields of results, with a matrix or a vector."""
        rows = expected if not expected or isinstance(expected[0], list) else [expected]
        for carrier, result in zip(self.arithmetics, got, strict=True):
            array = result if field is None else getattr(result, field)
            patterns = [[em.carrier_bits(CARRIERS[carrier], x) for x in row] for row in rows]
            assert array.dtype == carrier
            assert bits_of(np.atleast_2d(array)).tolist() == patterns

    def done(self) -> None:
        for arithmetic in self.arithmetics.values():
            counts = arithmetic.counts
            got = em.Totals(counts.overflow, counts.underflow, counts.nan, counts.inexact)
            assert got == self.machine.totals
            drawn = self.machine.position if self.machine.manner.width else START
            assert arithmetic.stream.position == drawn


def matrix(name: str, m: int, n: int, seed: int = 0) -> Array:
    """A matrix whose columns are not too dependent, with a zero and numbers off the format."""
    rng = np.random.Generator(np.random.PCG64(seed_of(name) % 2**32 + 97 * m + n + 1000 * seed))
    a = rng.uniform(-1, 1, (m, n)) + 1.5 * np.eye(m, n)
    if m > 2 and n > 1:
        a[m - 1, 0] = 0
        a[1, 1] = -a[1, 1]
    return a.astype(np.float32)


def both(
    trial: Trial, function: Callable[..., Any], arrays: Any, options: Any, model: Callable[[], Any]
) -> tuple[Any, Any]:
    """What both return; if the model breaks down, so must the library."""
    try:
        expected = model()
    except lm.Breakdown:
        trial.refuses(function, *arrays, **options)
        return None, None
    return trial.call(function, *arrays, **options), expected


SHAPES = ((1, 1), (3, 3), (7, 4), (8, 2), (3, 5))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", NAMES)
def test_qr(name: str, method: str) -> None:
    broken = 0
    turns = itertools.cycle(OPTIONS)
    for mode, (m, n) in itertools.product(MODES, SHAPES):
        options = next(turns)
        k = min(m, n)
        widths: dict[str, int | None] = {"reduced": k, "r": None}
        if method in ("householder", "givens"):
            widths["complete"] = m
        for what, columns in widths.items():
            trial = Trial(name, mode, **options)
            a = matrix(name, m, n)
            (values,) = trial.given(a)
            got, expected = both(
                trial,
                linalg.qr,
                (a,),
                {"method": method, "mode": what, **options},
                lambda v=values, t=trial, k=k, c=columns: t.machine.qr(v, k, c, method),
            )
            if expected is None:
                broken += 1
                continue
            q, r = expected
            if what == "r":
                trial.same(got, r)
            else:
                if what == "complete":
                    r = r + [[lm.ZERO] * n for _ in range(m - k)]
                trial.same(got, q, "Q")
                trial.same(got, r, "R")
            trial.done()
    assert broken <= 12


@pytest.mark.parametrize("name", NAMES)
def test_cholesky(name: str) -> None:
    broken = 0
    for mode, n, upper, options in itertools.product(MODES, (1, 2, 5), (False, True), OPTIONS):
        trial = Trial(name, mode, **options)
        a = matrix(name, n, n)
        a = a @ a.T + np.float32(0.25) * np.eye(n, dtype=np.float32)
        (values,) = trial.given(np.triu(a) if upper else np.tril(a))
        a[np.tril_indices(n, -1) if upper else np.triu_indices(n, 1)] = np.nan  # is not read
        got, expected = both(
            trial,
            linalg.cholesky,
            (a,),
            {"upper": upper, **options},
            lambda v=values, t=trial, u=upper: t.machine.cholesky(lm.transposed(v) if u else v),
        )
        if expected is None:
            broken += 1
            continue
        trial.same(got, lm.transposed(expected) if upper else expected)
        trial.done()
    assert broken <= 6


@pytest.mark.parametrize("name", NAMES)
def test_lu_and_solve(name: str) -> None:
    for mode, (m, n), options in itertools.product(MODES, SHAPES, OPTIONS):
        trial = Trial(name, mode, **options)
        a = matrix(name, m, n)
        (values,) = trial.given(a)
        rows, lower, upper = trial.machine.lu(values)
        got = trial.call(linalg.lu, a, p_indices=True, **options)
        trial.same(got, lower, "L")
        trial.same(got, upper, "U")
        assert all(np.argsort(result.P).tolist() == rows for result in got)
        trial.done()
        if m != n:
            continue
        trial = Trial(name, mode, **options)
        b = matrix(name, n, 2, 1)
        values, right = trial.given(a, b)
        rows, lower, upper = trial.machine.lu(values)
        y = trial.machine.substitute(lower, [right[i] for i in rows], lower=True, unit=True)
        x = trial.machine.substitute(upper, y, lower=False)
        trial.same(trial.call(linalg.solve, a, b, **options), x)
        trial.done()


@pytest.mark.parametrize("name", NAMES)
def test_pivots_of_zero(name: str) -> None:
    """Factors all the same, with nothing below the pivot; but nothing can be solved with them."""
    no_column, alike = matrix(name, 4, 4), matrix(name, 5, 4)
    no_column[:, 1] = 0
    alike[:, 2] = alike[:, 0]
    cases = [no_column, no_column[:, :3], alike, alike.T.copy(), np.ones((3, 3), np.float32)]
    zeros = 0
    for a, mode, options in itertools.product(cases, MODES[:2], OPTIONS):
        trial = Trial(name, mode, **options)
        (values,) = trial.given(a)
        rows, lower, upper = trial.machine.lu(values)
        zeros += any(lm.is_zero(row[i]) for i, row in enumerate(upper))
        got = trial.call(linalg.lu, a, p_indices=True, **options)
        trial.same(got, lower, "L")
        trial.same(got, upper, "U")
        assert all(np.argsort(result.P).tolist() == rows for result in got)
        trial.done()
    assert zeros >= 36  # the matrices without a column, and that of ones
    Trial(name, "sr").refuses(linalg.solve, no_column, np.ones(4, np.float32))


def test_pivots_of_zero_like_scipy() -> None:
    arithmetic = pysr.Arithmetic("binary64", "rne")
    rng = np.random.default_rng(4)
    for m, n in ((5, 5), (6, 3), (3, 6), (3, 2)):
        for column in range(min(m, n)):
            a = rng.integers(-4, 5, (m, n)).astype(float)
            a[:, column] = 0
            for x, y in zip(linalg.lu(a, arithmetic), scipy.linalg.lu(a), strict=True):
                np.testing.assert_allclose(x, y, atol=1e-13)
    for x, y in zip(linalg.lu(0 * a, arithmetic), scipy.linalg.lu(0 * a), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("trans", [0, 1, 2, "N", "T", "C", False, True, np.True_, np.int64(1)])
def test_solve_triangular_like_scipy(trans: Any, lower: bool) -> None:
    a, b = matrix("tf32", 5, 5).astype(float), matrix("tf32", 5, 2).astype(float)
    arithmetic = pysr.Arithmetic("binary64", "rne")
    x = linalg.solve_triangular(a, b, arithmetic, lower=lower, trans=trans)
    expected = scipy.linalg.solve_triangular(a, b, lower=lower, trans=trans)
    np.testing.assert_allclose(x, expected, rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_solve_triangular(name: str) -> None:
    flags = itertools.product((False, True), (0, 1, 2, "N", "T", "C"), (False, True))
    turns = itertools.cycle(itertools.product(MODES, OPTIONS))
    for lower, trans, unit in flags:
        mode, options = next(turns)
        trial = Trial(name, mode, **options)
        a, b = matrix(name, 5, 5), matrix(name, 5, 3)
        if unit:
            a[2, 2] = 0
        values, right = trial.given(a, b)
        turned = trans in (1, 2, "T", "C")
        x = trial.machine.substitute(
            lm.transposed(values) if turned else values, right, lower != turned, unit
        )
        flagged = {"lower": lower, "trans": trans, "unit_diagonal": unit, **options}
        trial.same(trial.call(linalg.solve_triangular, a, b, **flagged), x)
        trial.done()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", NAMES)
def test_lstsq(name: str, method: str) -> None:
    for mode, options in itertools.product(MODES, OPTIONS[:2]):
        trial = Trial(name, mode, **options)
        a, b = matrix(name, 6, 3), matrix(name, 6, 2, 1)
        values, right = trial.given(a, b)

        def model(values: Any = values, right: Any = right, trial: Any = trial) -> Any:
            joined = [x + y for x, y in zip(values, right, strict=True)]
            r = trial.machine.qr(joined, 3, None, method)[1]
            return trial.machine.substitute(
                [row[:3] for row in r], [row[3:] for row in r], lower=False
            )

        got, expected = both(trial, linalg.lstsq, (a, b), {"method": method, **options}, model)
        if expected is not None:
            trial.same(got, expected)
            trial.done()


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (5, 4), (2, 4), (6, 1)])
@pytest.mark.parametrize("name", NAMES)
def test_svd(name: str, shape: tuple[int, int]) -> None:
    m, n = shape
    turns = itertools.cycle(({}, {"order": "pairwise"}, {"order": "blocked", "block": 2}))
    converged = 0
    for mode, first, full in itertools.product(MODES, ("none", "qr"), (False, True, None)):
        options: Any = next(turns)
        trial = Trial(name, mode, **options)
        a = matrix(name, m, n)
        (values,) = trial.given(a)
        tall = lm.transposed(values) if m < n else values
        columns = max(m, n) if full else min(m, n)
        wanted = {"full_matrices": bool(full), "compute_uv": full is not None, "preprocess": first}
        got, expected = both(
            trial,
            linalg.svd,
            (a,),
            wanted | options,
            lambda t=trial, v=tall, c=columns, full=full, first=first: t.machine.svd(
                v, c, full is not None, first == "qr"
            ),
        )
        if expected is None:
            continue
        converged += 1
        left, singular, right = expected
        if full is None:
            trial.same(got, singular)
        else:
            trial.same(got, singular, "S")
            trial.same(got, lm.transposed(right) if m < n else left, "U")
            trial.same(got, lm.transposed(left) if m < n else right, "Vh")
        trial.done()
    assert converged >= 12


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("name", NAMES)
def test_eigh(name: str, n: int) -> None:
    for mode, triangle in itertools.product(MODES, "LU"):
        trial = Trial(name, mode)
        a = matrix(name, n, n)
        (values,) = trial.given(np.tril(a) if triangle == "L" else np.triu(a))
        a[np.triu_indices(n, 1) if triangle == "L" else np.tril_indices(n, -1)] = np.inf  # not read
        if triangle == "U":
            values = lm.transposed(values)
        symmetric = [[values[max(i, j)][min(i, j)] for j in range(n)] for i in range(n)]
        expected = trial.machine.eigh(symmetric)
        got = trial.call(linalg.eigh, a, UPLO=triangle)
        trial.same(got, expected[0], "eigenvalues")
        trial.same(got, lm.transposed(expected[1]), "eigenvectors")
        trial.done()


@pytest.mark.parametrize("mode", MODES)
def test_diagonal(mode: str) -> None:
    """Nothing to rotate: where a product of diagonal elements is 0 too."""
    trial = Trial("bfloat16", mode)
    a = np.diag(np.float32([0, 0.5, -1.0, 0, 0.5]))
    (values,) = trial.given(a)
    before = trial.machine.position
    expected = trial.machine.eigh(values)
    assert trial.machine.position == before
    got = trial.call(linalg.eigh, a)
    trial.same(got, expected[0], "eigenvalues")
    trial.same(got, lm.transposed(expected[1]), "eigenvectors")
    trial.done()


def graded(name: str, m: int, n: int, low: int) -> Array:
    """Columns whose sizes go down to 2^low."""
    return matrix(name, m, n) * np.float32(2.0) ** np.linspace(0, low, n).astype(np.float32)


@pytest.mark.parametrize("name", ["bfloat16", "float16", "float8_e4m3fn", "Q3.8"])
def test_small_numbers_and_dependent_columns(name: str) -> None:
    """Scaling, underflow, ranks below the number of columns."""
    low = -6 if OWN[name].fixed else OWN[name].emin - 2
    dependent = matrix(name, 5, 4)
    dependent[:, 2] = dependent[:, 1]
    dependent[[0, 1, 4], 0] = 0
    matrices = [graded(name, 5, 4, max(low, -100)), dependent, np.zeros((3, 2), np.float32)]
    for a, mode in itertools.product(matrices, MODES):
        for what in ("householder", "givens", "mgs", "cgs2", "none", "qr"):
            trial = Trial(name, mode)
            (values,) = trial.given(a)
            n = a.shape[1]
            if what in METHODS:
                got, expected = both(
                    trial,
                    linalg.qr,
                    (a,),
                    {"method": what},
                    lambda t=trial, v=values, n=n, w=what: t.machine.qr(v, n, n, w),
                )
                fields = ("Q", "R")
            else:
                got, expected = both(
                    trial,
                    linalg.svd,
                    (a,),
                    {"full_matrices": False, "preprocess": what},
                    lambda t=trial, v=values, n=n, w=what: t.machine.svd(v, n, True, w == "qr"),
                )
                fields = ("U", "S", "Vh")
            if expected is not None:
                for field, values in zip(fields, expected, strict=True):
                    trial.same(got, values, field)
                trial.done()


# ---------------------------------------------------------------------------------------------
# What the algorithms are good for


def conditioned(m: int, n: int, kappa: float) -> Array:
    """Singular values from m^1/2 down, in equal ratios."""
    rng = np.random.Generator(np.random.PCG64(5))
    q, p = (np.linalg.qr(rng.standard_normal((k, n)))[0] for k in (m, n))
    scaled = (q * np.logspace(0, -np.log10(kappa), n)) @ p.T * np.sqrt(m)
    return scaled.astype(np.float32)


def lost(q: Array) -> float:
    """Orthogonality lost, in units of 2^-11."""
    wide = q.astype(float)
    return float(np.linalg.norm(wide.T @ wide - np.eye(q.shape[1]), 2)) * 2**11


@pytest.mark.parametrize(
    ("name", "mode", "m", "n"),
    [
        ("float16", "sr", 1000, 50),
        *((f, o, 200, 25) for f in ("float16", "tf32") for o in MODES[:2]),
    ],
)
def test_orthogonality(name: str, mode: str, m: int, n: int) -> None:
    """As the theory of each method has it."""
    found: dict[str, dict[int, float]] = {method: {} for method in METHODS}
    for kappa in (1, 10, 100, 1000):
        a = conditioned(m, n, kappa)
        for method in METHODS:
            arithmetic = pysr.Arithmetic(name, mode, rng=1)
            if method.startswith("cholesky") and kappa > 2**5.5:
                with pytest.raises(np.linalg.LinAlgError, match=r"u\^-1/2 = (45|32).*householder"):
                    linalg.qr(a, arithmetic, method=method)
                continue
            q, r = linalg.qr(a, arithmetic, method=method)
            found[method][kappa] = lost(q)
            residual = np.linalg.norm(q.astype(float) @ r - a, 2) / np.linalg.norm(a, 2)
            assert residual < 60 * 2.0**-11, (method, kappa)
    for method in ("householder", "givens", "mgs2"):
        assert max(found[method].values()) < 120, method
    assert max(found["cgs2"][kappa] for kappa in (1, 10, 100)) < 120
    assert found["cholesky2"][10] < 60 < found["cholesky"][10]
    for method, power in (("mgs", 1), ("cgs", 2)):
        assert found[method][1] < 60
        growth = found[method][100] / found[method][10]
        assert 10**power / 3 < growth < 10**power * 1.5, method
    assert found["mgs"][1000] > 1000


@pytest.mark.parametrize("method", METHODS)
def test_qr_like_numpy(method: str) -> None:
    """In binary64, but for signs those of LAPACK's factors."""
    for m, n in ((30, 8), (8, 8), (8, 30)):
        a = matrix("tf32", m, n).astype(np.float64)
        q, r = linalg.qr(a, pysr.Arithmetic("binary64", "rne"), method=method)
        expected_q, expected_r = np.linalg.qr(a)
        signs = np.ones(min(m, n))
        if method != "householder":
            signs = np.sign(np.diag(r)) * np.sign(np.diag(expected_r))
        np.testing.assert_allclose(q * signs, expected_q, atol=1e-11)
        np.testing.assert_allclose(signs[:, np.newaxis] * r, expected_r, atol=1e-10)
        if method not in ("householder", "givens"):
            assert (np.diag(r) > 0).all()


def test_the_others_like_numpy() -> None:
    arithmetic = pysr.Arithmetic("binary64", "rne")
    a, b = (matrix("tf32", 9, 9, seed).astype(np.float64) for seed in (0, 1))
    close: Any = {"rtol": 1e-10, "atol": 1e-12}
    np.testing.assert_allclose(linalg.solve(a, b, arithmetic), np.linalg.solve(a, b), **close)
    p, low, up = linalg.lu(a, arithmetic)
    np.testing.assert_allclose(p @ low @ up, a, **close)
    assert (np.abs(low) <= 1).all()
    p, low, up = linalg.lu(a, arithmetic, p_indices=True)
    np.testing.assert_allclose(low[p] @ up, a, **close)
    positive = a @ a.T + np.eye(9)
    for upper in (False, True):
        np.testing.assert_allclose(
            linalg.cholesky(positive, arithmetic, upper=upper),
            np.linalg.cholesky(positive).T if upper else np.linalg.cholesky(positive),
            **close,
        )
    expected = np.linalg.lstsq(a[:, :4], b[:, :2], rcond=None)[0]
    for method in METHODS:
        x = linalg.lstsq(a[:, :4], b[:, :2], arithmetic, method=method)
        np.testing.assert_allclose(x, expected, **close)
    values, vectors = linalg.eigh(a + a.T, arithmetic)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(a + a.T), **close)
    np.testing.assert_allclose(vectors * values @ vectors.T, a + a.T, **close)
    for shape, first in itertools.product(((9, 4), (4, 9), (9, 9)), ("none", "qr")):
        c = a[: shape[0], : shape[1]]
        for full in (False, True):
            u, s, vh = linalg.svd(c, arithmetic, full_matrices=full, preprocess=first)
            reference = np.linalg.svd(c, full_matrices=full)
            assert (u.shape, vh.shape) == (reference.U.shape, reference.Vh.shape)
            np.testing.assert_allclose(s, reference.S, **close)
            k = len(s)
            np.testing.assert_allclose(u[:, :k] * s @ vh[:k], c, **close)
            np.testing.assert_allclose(u.T @ u, np.eye(u.shape[1]), **close)
            np.testing.assert_allclose(vh @ vh.T, np.eye(len(vh)), **close)
        np.testing.assert_allclose(
            linalg.svd(c, arithmetic, compute_uv=False, preprocess=first), s, **close
        )


@pytest.mark.parametrize("mode", ["rne", "sr", "rz"])
@pytest.mark.parametrize("name", ["bfloat16", "float16", "binary32"])
def test_jacobi_converges(name: str, mode: str) -> None:
    """To singular values within some u of the largest, also of matrices without full rank."""
    rng = np.random.Generator(np.random.PCG64(2))
    u = 2.0 ** -OWN.get(name, em.FLOAT32).precision * (1 if mode == "rne" else 2)
    for a in (
        conditioned(40, 20, 1e4),
        np.ones((20, 10), np.float32),
        (rng.standard_normal((12, 2)) @ rng.standard_normal((2, 16))).astype(np.float32),
        np.zeros((4, 3), np.float32),
        rng.standard_normal((20, 20)).astype(np.float32),
    ):
        stored = np.asarray(pysr.round(a, name, mode, rng=1))
        expected = np.linalg.svd(stored.astype(float), compute_uv=False)
        for first in ("none", "qr"):
            arithmetic = pysr.Arithmetic(name, mode, rng=1)
            left, s, right = linalg.svd(stored, arithmetic, preprocess=first)
            assert (s[1:] <= s[:-1]).all()
            bound = 80 if mode == "rz" else 10
            assert np.abs(s - expected).max() <= bound * u * max(expected[0], 1)
            for q in (left, right.T):
                wide = q.astype(float)
                error = np.linalg.norm(wide.T @ wide - np.eye(q.shape[1]), 2)
                assert error < (300 if mode == "rz" else 30) * u
        if a.shape[0] == a.shape[1]:
            symmetric = np.asarray(pysr.round(a + a.T, name, mode, rng=1)).astype(float)
            symmetric = np.tril(symmetric) + np.tril(symmetric, -1).T
            w, v = linalg.eigh(symmetric, pysr.Arithmetic(name, mode, rng=1))
            assert np.abs(w - np.linalg.eigvalsh(symmetric)).max() < 80 * u * np.abs(w).max()
            error = np.linalg.norm(v.T @ v - np.eye(len(v)), 2)
            assert error < (300 if mode == "rz" else 30) * u


def test_not_a_rounded_factorization() -> None:
    """Rounding the factors of LAPACK is another thing, and loses less."""
    a = conditioned(300, 30, 100)
    q = np.linalg.qr(a.astype(float))[0]
    outside = lost(np.asarray(pysr.round(q, "float16", "rne")))
    inside = lost(linalg.qr(a, pysr.Arithmetic("float16", "rne"), method="mgs").Q)
    assert inside > 50 * outside


# ---------------------------------------------------------------------------------------------
# Stacks, empty matrices, RoundedArray


def fresh(mode: str = "sr") -> pysr.Arithmetic:
    return pysr.Arithmetic("bfloat16", mode, rng=3)


CALLS: dict[str, Callable[..., Any]] = {
    "qr": lambda a, b, t: linalg.qr(a, t),
    "givens": lambda a, b, t: linalg.qr(a, t, method="givens", mode="complete"),
    "r": lambda a, b, t: linalg.qr(a, t, mode="r"),
    "cholesky": lambda a, b, t: linalg.cholesky(a, t),
    "lu": lambda a, b, t: linalg.lu(a, t),
    "solve": lambda a, b, t: linalg.solve(a, b, t),
    "solve_triangular": lambda a, b, t: linalg.solve_triangular(a, b, t),
    "lstsq": lambda a, b, t: linalg.lstsq(a, b, t),
    "svd": lambda a, b, t: linalg.svd(a, t),
    "eigh": lambda a, b, t: linalg.eigh(a, t),
}


def parts(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple) else [result]


def stack_of(n: int) -> Array:
    """Positive definite matrices, (2, 3, n, n)."""
    many = np.stack([matrix("tf32", n, n, seed) for seed in range(6)]).reshape(2, 3, n, n)
    return many @ many.mT + np.eye(n, dtype=np.float32)


@pytest.mark.parametrize("name", CALLS)
def test_stacks(name: str) -> None:
    """One matrix after the other, in C order, whatever the layout."""
    a, call = stack_of(4), CALLS[name]
    b = matrix("tf32", 12, 2).reshape(3, 4, 2)
    one_by_one = fresh()
    expected = [parts(call(a[i, j], b[j], one_by_one)) for i in range(2) for j in range(3)]
    for given in (a, np.asfortranarray(a), a[..., ::-1].copy()[..., ::-1], a.astype(">f4")):
        together = fresh()
        got = parts(call(given, b, together))
        for n, array in enumerate(got):
            singles = np.stack([single[n] for single in expected])
            np.testing.assert_array_equal(array, singles.reshape(array.shape))
        assert together.stream.position == one_by_one.stream.position
        assert repr(together.counts) == repr(one_by_one.counts)
    empty = fresh()
    for array, whole in zip(parts(call(a[:0], b, empty)), got, strict=True):
        assert array.shape == (0, *whole.shape[1:])
        assert array.dtype == whole.dtype
    assert empty.stream.position == 0


def test_threads() -> None:
    """A factorization draws in one piece, whatever other threads do with the arithmetic."""
    a, shared, alone = matrix("tf32", 60, 20), fresh(), fresh()
    expected = [linalg.qr(a, alone).Q.tobytes() for _ in range(6)]
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(linalg.qr(a, shared).Q.tobytes()))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted(expected)
    assert shared.stream.position == alone.stream.position
    assert repr(shared.counts) == repr(alone.counts)


def test_vectors_and_columns() -> None:
    a, b = stack_of(4)[0, 0], matrix("tf32", 4, 1)
    for solve in (linalg.solve, linalg.lstsq, linalg.solve_triangular):
        column, vector = solve(a, b, fresh()), solve(a, b[:, 0], fresh())
        assert (column.shape, vector.shape) == ((4, 1), (4,))
        np.testing.assert_array_equal(column[:, 0], vector)
        assert solve(stack_of(4), b[:, 0], fresh()).shape == (2, 3, 4)


@pytest.mark.parametrize(("m", "n"), [(0, 0), (0, 3), (3, 0)])
def test_empty(m: int, n: int) -> None:
    """As NumPy has it."""
    a = np.zeros((m, n))
    for method in METHODS:
        for got, expected in zip(
            linalg.qr(a, fresh(), method=method), np.linalg.qr(a), strict=True
        ):
            assert got.shape == expected.shape
    for method in ("householder", "givens"):
        got = linalg.qr(a, fresh(), method=method, mode="complete")
        expected = np.linalg.qr(a, mode="complete")
        for x, y in zip(got, expected, strict=True):
            np.testing.assert_array_equal(x, y)
    for full, first in itertools.product((False, True), ("none", "qr")):
        got = linalg.svd(a, fresh(), full_matrices=full, preprocess=first)
        for x, y in zip(got, np.linalg.svd(a, full_matrices=full), strict=True):
            np.testing.assert_array_equal(x, y)
    assert [x.shape for x in linalg.lu(a, fresh())] == [(m, m), (m, 0), (0, n)]
    if m == n:
        assert linalg.cholesky(a, fresh()).shape == (0, 0)
        assert [x.shape for x in linalg.eigh(a, fresh())] == [(0,), (0, 0)]
        assert linalg.solve(a, np.zeros((0, 2)), fresh()).shape == (0, 2)
        assert linalg.solve_triangular(a, np.zeros(0), fresh()).shape == (0,)
    if m >= n:
        assert linalg.lstsq(a, np.zeros((m, 2)), fresh()).shape == (n, 2)


@pytest.mark.parametrize("name", CALLS)
def test_rounded_arrays(name: str) -> None:
    """What comes in as a RoundedArray is not rounded again, and so comes out."""
    a, b, call = stack_of(4)[0], matrix("tf32", 4, 2), CALLS[name]
    arithmetic, plain = fresh("rne"), fresh("rne")
    rounded = arithmetic.array(a), arithmetic.array(b)
    arithmetic.counts.reset()
    got = call(*rounded, None)
    for x, y in zip(parts(got), parts(call(a, b, plain)), strict=True):
        assert isinstance(x, pysr.RoundedArray)
        assert x.arithmetic is arithmetic
        np.testing.assert_array_equal(x.values, y)
    drawn, bare = fresh(), fresh()
    rounded = drawn.array(a), drawn.array(b)
    before = drawn.stream.position
    call(*rounded, drawn)
    call(rounded[0].values, rounded[1].values, bare)
    inputs = 2 if name in ("solve", "solve_triangular", "lstsq") else 1
    if name not in ("svd", "eigh"):  # whose draws depend on what was drawn before
        blocks = 3 * (2 + (inputs == 2))  # of 16 and 8 elements
        assert drawn.stream.position - before == bare.stream.position - blocks
    with pytest.raises(TypeError, match="two arithmetics"):
        call(*rounded, fresh())
    if inputs == 2:
        with pytest.raises(TypeError, match="two arithmetics"):
            call(rounded[0], fresh().array(b), None)
        assert isinstance(parts(call(rounded[0], b, None))[0], pysr.RoundedArray)
        assert isinstance(parts(call(a, rounded[1], None))[0], pysr.RoundedArray)
    if name == "lu":
        p = linalg.lu(rounded[0], p_indices=True).P
        assert isinstance(p, np.ndarray)
        assert p.dtype.kind == "i"


# ---------------------------------------------------------------------------------------------
# Errors


NAN = np.array([[1.0, 0.0], [np.nan, 1.0]])
DEPENDENT = np.eye(3, 1) * [1.0, 1.0]
TALL, SQUARE, VECTOR = np.ones((3, 2)), np.eye(2), np.ones(2)
WRONG: list[tuple[Callable[[pysr.Arithmetic], Any], type[Exception], str]] = [
    (lambda t: linalg.qr(VECTOR, t), ValueError, r"a has shape \(2,\): a matrix"),
    (lambda t: linalg.qr(SQUARE, t, mode="raw"), ValueError, "mode='raw'"),
    (lambda t: linalg.qr(SQUARE, t, method="lq"), ValueError, "method='lq' is not one of 'house"),
    *(
        (lambda t, m=m: linalg.qr(SQUARE, t, method=m, mode="complete"), ValueError, f"'{m}'")
        for m in METHODS[2:]
    ),
    (lambda t: linalg.qr(SQUARE, t, accumulate="fast"), ValueError, "accumulate='fast'"),
    (lambda t: linalg.qr(SQUARE, t, order="blocked"), ValueError, "block=None"),
    (lambda t: linalg.qr(SQUARE, t, block=3), ValueError, "block=3"),
    (lambda t: linalg.qr(NAN, t), ValueError, r"a is nan at \(1, 0\)"),
    (lambda t: linalg.qr(np.eye(2) / 0.0, t), ValueError, r"a is inf at \(0, 0\)"),
    (lambda t: linalg.qr(1j * SQUARE, t), TypeError, "complex"),
    (lambda t: linalg.qr(SQUARE), TypeError, "arithmetic must be a pysr.Arithmetic, not None"),
    (lambda t: linalg.qr(SQUARE, "bfloat16"), TypeError, "not 'bfloat16'"),  # type: ignore[arg-type]
    (lambda t: linalg.cholesky(TALL, t), ValueError, r"a has shape \(3, 2\): square"),
    (lambda t: linalg.cholesky(-SQUARE, t), np.linalg.LinAlgError, "not positive.*pivot 0 is -1"),
    (lambda t: linalg.eigh(TALL, t), ValueError, "square"),
    (lambda t: linalg.eigh(SQUARE, t, UPLO="A"), ValueError, "UPLO='A'"),
    (lambda t: linalg.eigh(SQUARE, t, max_sweeps=0), ValueError, "max_sweeps=0"),
    (lambda t: linalg.svd(SQUARE, t, max_sweeps=1.5), TypeError, "max_sweeps"),  # type: ignore[arg-type]
    (lambda t: linalg.svd(SQUARE, t, preprocess="lq"), ValueError, "preprocess='lq'"),
    (lambda t: linalg.lu(VECTOR, t), ValueError, "a matrix"),
    (lambda t: linalg.solve(np.ones((3, 3)), np.ones(3), t), np.linalg.LinAlgError, "pivot 1 is 0"),
    (lambda t: linalg.cholesky(NAN, t), ValueError, r"a is nan at \(1, 0\)"),
    (lambda t: linalg.eigh(NAN.T, t, UPLO="U"), ValueError, r"a is nan at \(0, 1\)"),
    (lambda t: linalg.solve(np.ones((3, 3)), VECTOR, t), ValueError, r"b has shape \(2,\), and 3"),
    (lambda t: linalg.solve(TALL, VECTOR, t), ValueError, "square"),
    (lambda t: linalg.solve(SQUARE, np.float64(1), t), ValueError, r"b has shape \(\)"),
    (lambda t: linalg.solve(SQUARE, NAN, t), ValueError, "b is nan"),
    (lambda t: linalg.solve(np.ones((2, 2, 2)), np.ones((3, 2, 1)), t), ValueError, "broadcast"),
    (lambda t: linalg.solve(np.ones((2, 2)), VECTOR, t), np.linalg.LinAlgError, "pivot 1"),
    *(
        (
            lambda t, x=x: linalg.solve_triangular(SQUARE, VECTOR, t, trans=x),
            ValueError,
            rf"trans={re.escape(repr(x))} is not one of 0, 1, 2, 'N', 'T', 'C'",
        )
        for x in ("X", "t", 3, 1.0, None, np.ones(2))
    ),
    (
        lambda t: linalg.solve_triangular(np.diag([1.0, 0.0]), VECTOR, t),
        np.linalg.LinAlgError,
        "element 1 of the diagonal is 0",
    ),
    (lambda t: linalg.lstsq(TALL.T, VECTOR, t), ValueError, "fewer rows than columns"),
    (lambda t: linalg.lstsq(DEPENDENT, np.ones(3), t), np.linalg.LinAlgError, "singular"),
    (lambda t: linalg.qr(DEPENDENT, t, method="mgs"), np.linalg.LinAlgError, "column 1 depends"),
    (lambda t: linalg.qr(DEPENDENT, t, method="cgs2"), np.linalg.LinAlgError, "column 1 depends"),
    (lambda t: linalg.qr(DEPENDENT, t, method="cholesky"), np.linalg.LinAlgError, r"u\^-1/2"),
    (
        lambda t: linalg.cholesky(np.stack([SQUARE, -SQUARE]), t),
        np.linalg.LinAlgError,
        r"matrix \(1,\): not positive",
    ),
]


@pytest.mark.parametrize("number", range(len(WRONG)))
@pytest.mark.parametrize("mode", ["rne", "sr"])
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_errors(number: int, mode: str) -> None:
    """They are clear, and leave the arithmetic as it was."""
    call, error, message = WRONG[number]
    arithmetic = pysr.Arithmetic("bfloat16", mode, rng=1)
    with pytest.raises(error, match=message):
        call(arithmetic)
    assert arithmetic.stream.position == 0
    assert repr(arithmetic.counts) == repr(pysr.Counts())


@pytest.mark.parametrize("name", CALLS)
def test_overflow(name: str) -> None:
    """Said to be one, wherever it happens; not where the rule is to saturate."""
    a, b, call = stack_of(4)[0, 0], matrix("tf32", 4, 2), CALLS[name]
    a *= 60000 / np.abs(a).max()
    for mode, given in itertools.product(("rne", "sr"), (a, a * 100)):
        arithmetic = pysr.Arithmetic("float16", mode, rng=1)
        if (given > 65504).any() or name in ("qr", "r", "svd", "eigh"):
            with pytest.raises(np.linalg.LinAlgError, match=r"beyond the range of float16.*scale"):
                call(given, b, arithmetic)
            assert arithmetic.stream.position == 0
            assert arithmetic.counts.overflow == 0
        loud = pysr.Arithmetic("float16", mode, rng=1, overflow="raise")
        if (given > 65504).any():
            with pytest.raises(OverflowError):
                call(given, b, loud)
            assert loud.stream.position == 0
    soft = pysr.Arithmetic("float16", "rne", overflow="saturate")
    assert all(np.isfinite(x).all() for x in parts(linalg.qr(a * 100, soft)))
    assert soft.counts.overflow > 0


def test_formats() -> None:
    for fmt in ("float8_e8m0fnu", "UQ0.8", "Q0.15"):
        with pytest.raises(ValueError, match="has not all of 0, 1 and negative numbers"):
            linalg.qr(SQUARE, pysr.Arithmetic(fmt))
    with pytest.raises(ValueError, match="sr_signed"):
        linalg.qr(SQUARE, pysr.Arithmetic("bfloat16", "sr_signed", eps=0.1))
    with pytest.raises(ValueError, match="carrier"):
        linalg.qr(SQUARE.astype(np.float32), pysr.Arithmetic("binary64"))
    own = pysr.Arithmetic("bfloat16", "rne", formats={"mul": "float16", "add": "binary32"})
    q, _ = linalg.qr(matrix("tf32", 9, 3), own)
    assert lost(q) < 16 * 8


@pytest.mark.parametrize(
    ("call", "formats", "named"),
    [
        (linalg.qr, {"round": "float16"}, "float16, "),
        (linalg.qr, {"mul": "float16"}, "float16, "),
        (linalg.qr, {"add": "float16"}, "bfloat16, .* or float16, "),  # in one step with products
        (linalg.lu, {"mul": "float8_e5m2", "add": "float16"}, "float8_e5m2, .* or float16, "),
        (linalg.lu, {"fma": "float16", "mul": "Q3.4"}, "float16, "),
        (linalg.eigh, {"mul": "Q3.4", "add": "float16"}, "float16, "),  # products saturate
    ],
)
def test_the_format_that_overflowed_is_named(
    call: Callable[..., Any], formats: dict[str, str], named: str
) -> None:
    own = pysr.Arithmetic("bfloat16", "rne", formats=formats)
    a = np.array([[3.0, 1.0], [1.0, 2.0]]) * 2.0**20
    options = {"accumulate": "fma"} if "fma" in formats else {}
    with pytest.raises(np.linalg.LinAlgError, match=f"^a step is beyond the range of {named}"):
        call(a, own, **options)


def test_no_convergence() -> None:
    a = matrix("tf32", 6, 6)
    for call in (linalg.svd, linalg.eigh):
        arithmetic = pysr.Arithmetic("tf32", "sr", rng=1)
        with pytest.raises(np.linalg.LinAlgError, match=r"no convergence in max_sweeps=1 sweeps"):
            call(a, arithmetic, max_sweeps=1)  # type: ignore[operator]
        assert arithmetic.stream.position == 0


@pytest.mark.parametrize("mode", ["rne", "sr"])
@pytest.mark.parametrize("exponent", [-1000, -560, -538, 0, 520, 1000])
def test_eigh_of_numbers_whose_squares_are_none(exponent, mode):
    a = np.ldexp([[2.0, 1.0], [1.0, 2.0]], exponent)
    found = pysr.linalg.eigh(a, pysr.Arithmetic("binary64", mode, rng=3))
    np.testing.assert_allclose(np.ldexp(found.eigenvalues, -exponent), [1, 3], rtol=1e-15)
