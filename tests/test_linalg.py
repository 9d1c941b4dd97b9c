"""Factorizations with every operation rounded: all bits against the model, bounds, errors."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import exact_model as em
import linalg_model as lm
import numpy as np
import numpy.typing as npt
import pytest
from cases import CARRIERS, FORMATS, bits_of, seed_of, to_library

import pysr
from pysr import linalg

Array = npt.NDArray[Any]

METHODS = ("householder", "givens", "mgs", "mgs2", "cgs", "cgs2", "cholesky", "cholesky2")
NAMES = ("bfloat16", "float16", "tf32", "float8_e4m3fn", "Q5.14")
OWN = {name: FORMATS[name] for name in NAMES[:-1]} | {"Q5.14": em.fixed_format(5, 14)}
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
        a[np.tril_indices(n, -1) if upper else np.triu_indices(n, 1)] = 7  # is not read
        (values,) = trial.given(a)
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
def test_solve_triangular(name: str) -> None:
    flags = itertools.product((False, True), (0, 1, 2, "N", "T", "C"), (False, True))
    turns = itertools.cycle(itertools.product(MODES, OPTIONS))
    for lower, trans, unit in flags:
        mode, options = next(turns)
        trial = Trial(name, mode, **options)
        a, b = matrix(name, 5, 5), matrix(name, 5, 3)
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
        a = matrix(name, n, n)  # not symmetric: one triangle is read
        (values,) = trial.given(a)
        if triangle == "U":
            values = lm.transposed(values)
        symmetric = [[values[max(i, j)][min(i, j)] for j in range(n)] for i in range(n)]
        expected = trial.machine.eigh(symmetric)
        got = trial.call(linalg.eigh, a, UPLO=triangle)
        trial.same(got, expected[0], "eigenvalues")
        trial.same(got, lm.transposed(expected[1]), "eigenvectors")
        trial.done()


def graded(name: str, m: int, n: int, low: int) -> Array:
    """Columns whose sizes go down to 2^low."""
    return matrix(name, m, n) * np.float32(2.0) ** np.linspace(0, low, n).astype(np.float32)


@pytest.mark.parametrize("name", ["bfloat16", "float16", "float8_e4m3fn"])
def test_small_numbers_and_dependent_columns(name: str) -> None:
    """Scaling, underflow, ranks below the number of columns."""
    low = OWN[name].emin - 2
    dependent = matrix(name, 5, 4)
    dependent[:, 2] = dependent[:, 1]
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
