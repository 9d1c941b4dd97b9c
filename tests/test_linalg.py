"""Factorizations with every operation rounded: all bits against the model, bounds, errors."""

from __future__ import annotations

import copy
import itertools
import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import exact_model as em
import linalg_model as lm
import numpy as np
import numpy.typing as npt
import pytest
from cases import CARRIERS, FORMATS, bits_of, held_by, library_format, seed_of

import pysr
from pysr import linalg

Array = npt.NDArray[Any]

METHODS = ("householder", "givens", "mgs", "mgs2", "cgs", "cgs2", "cholesky", "cholesky2")
NAMES = ("bfloat16", "float16", "tf32", "float8_e4m3fn", "Q5.14")
FORMATS.setdefault("Q5.14", em.fixed_format(5, 14))
CASES = [(name, carrier) for name in NAMES for carrier in held_by(FORMATS[name])]
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
    """A call of the library and what the model says of it."""

    def __init__(self, name: str, carrier: str, mode: str, **options: Any) -> None:
        self.fmt, self.carrier = FORMATS[name], carrier
        self.arithmetic = pysr.Arithmetic(
            library_format(name), mode, rng=pysr.Philox(SEED, 3).advance(START)
        )
        manner = em.Manner(mode, seed=SEED, stream=3, start=START)
        self.machine = lm.Machine(self.fmt, manner, carrier, **options)

    def given(self, *arrays: Array) -> list[lm.Matrix]:
        """The matrices as the model has them, in the format."""
        held = CARRIERS[self.carrier]
        matrices = []
        for x in arrays:
            assert x.ndim == 2
            flat = [(em.carrier_value(held, int(p)),) for p in bits_of(x).ravel()]
            values = self.machine.call("round", flat)
            matrices.append([values[i : i + x.shape[1]] for i in range(0, x.size, x.shape[1])])
        return matrices

    def same(self, got: Any, expected: Any) -> None:
        """Compare arrays with matrices or vectors."""
        rows = expected if not expected or isinstance(expected[0], list) else [expected]
        held = CARRIERS[self.carrier]
        patterns = [[em.carrier_bits(held, x) for x in row] for row in rows]
        assert got.dtype == self.carrier
        assert bits_of(np.atleast_2d(got)).tolist() == patterns

    def done(self) -> None:
        counts, totals = self.arithmetic.counts, self.machine.totals
        got = em.Totals(counts.overflow, counts.underflow, counts.nan, counts.inexact)
        assert got == totals
        drawn = self.machine.position if self.machine.manner.width else START
        assert self.arithmetic.stream.position == drawn


def matrix(name: str, carrier: str, m: int, n: int, seed: int = 0) -> Array:
    """A matrix whose columns are not too dependent, with a zero and numbers off the format."""
    rng = np.random.Generator(np.random.PCG64(seed_of(name) % 2**32 + 97 * m + n + 1000 * seed))
    a = rng.uniform(-1, 1, (m, n)) + 1.5 * np.eye(m, n)
    if m > 2 and n > 1:
        a[m - 1, 0] = 0
        a[1, 1] = -a[1, 1]
    return a.astype(carrier)


def both(library: Callable[[], Any], model: Callable[[], Any]) -> tuple[Any, Any]:
    """What both return; if the model breaks down, so must the library."""
    try:
        expected = model()
    except lm.Breakdown:
        with pytest.raises(np.linalg.LinAlgError):
            library()
        return None, None
    return library(), expected


SHAPES = ((1, 1), (3, 3), (7, 4), (8, 2), (3, 5))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("name", "carrier"), CASES)
def test_qr(name: str, carrier: str, method: str) -> None:
    broken = 0
    turns = itertools.cycle(OPTIONS)
    for mode, (m, n) in itertools.product(MODES, SHAPES):
        options = next(turns)
        k = min(m, n)
        modes = ["reduced", "r"]
        if method in ("householder", "givens"):
            modes.append("complete")
        for what in modes:
            trial = Trial(name, carrier, mode, **options)
            a = matrix(name, carrier, m, n)
            columns = {"reduced": k, "complete": m, "r": None}[what]
            (values,) = trial.given(a)
            got, expected = both(
                lambda a=a, t=trial, o=options, w=what: linalg.qr(
                    a, t.arithmetic, method=method, mode=w, **o
                ),
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
                trial.same(got.Q, q)
                trial.same(got.R, r)
            trial.done()
    assert broken <= 12


@pytest.mark.parametrize(("name", "carrier"), CASES)
def test_cholesky(name: str, carrier: str) -> None:
    broken = 0
    for mode, n, upper, options in itertools.product(MODES, (1, 2, 5), (False, True), OPTIONS):
        trial = Trial(name, carrier, mode, **options)
        a = matrix(name, carrier, n, n)
        a = (a.astype(float) @ a.T.astype(float) + 0.25 * np.eye(n)).astype(carrier)
        a[np.tril_indices(n, -1) if upper else np.triu_indices(n, 1)] = 7  # is not read
        (values,) = trial.given(a)
        got, expected = both(
            lambda a=a, t=trial, o=options, upper=upper: linalg.cholesky(
                a, t.arithmetic, upper=upper, **o
            ),
            lambda v=values, t=trial, upper=upper: t.machine.cholesky(
                lm.transposed(v) if upper else v
            ),
        )
        if expected is None:
            broken += 1
            continue
        trial.same(got, lm.transposed(expected) if upper else expected)
        trial.done()
    assert broken <= 6


@pytest.mark.parametrize(("name", "carrier"), CASES)
def test_lu_and_solve(name: str, carrier: str) -> None:
    for mode, (m, n), options in itertools.product(MODES, SHAPES, OPTIONS):
        trial = Trial(name, carrier, mode, **options)
        a = matrix(name, carrier, m, n)
        (values,) = trial.given(a)
        rows, lower, upper = trial.machine.lu(values)
        p, got_lower, got_upper = linalg.lu(a, trial.arithmetic, p_indices=True, **options)
        trial.same(got_lower, lower)
        trial.same(got_upper, upper)
        assert np.argsort(p).tolist() == rows
        trial.done()
        if m != n:
            continue
        trial = Trial(name, carrier, mode, **options)
        b = matrix(name, carrier, n, 2, 1)
        values, right = trial.given(a, b)
        rows, lower, upper = trial.machine.lu(values)
        y = trial.machine.substitute(lower, [right[i] for i in rows], lower=True, unit=True)
        x = trial.machine.substitute(upper, y, lower=False)
        trial.same(linalg.solve(a, b, trial.arithmetic, **options), x)
        trial.done()


@pytest.mark.parametrize(("name", "carrier"), CASES)
def test_solve_triangular(name: str, carrier: str) -> None:
    flags = itertools.product((False, True), (0, 1, 2, "N", "T", "C"), (False, True))
    turns = itertools.cycle(itertools.product(MODES, OPTIONS))
    for lower, trans, unit in flags:
        mode, options = next(turns)
        trial = Trial(name, carrier, mode, **options)
        a, b = matrix(name, carrier, 5, 5), matrix(name, carrier, 5, 3)
        values, right = trial.given(a, b)
        turned = trans in (1, 2, "T", "C")
        x = trial.machine.substitute(
            lm.transposed(values) if turned else values, right, lower != turned, unit
        )
        got = linalg.solve_triangular(
            a, b, trial.arithmetic, lower=lower, trans=trans, unit_diagonal=unit, **options
        )
        trial.same(got, x)
        trial.done()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("name", "carrier"), CASES)
def test_lstsq(name: str, carrier: str, method: str) -> None:
    for mode, options in itertools.product(MODES, OPTIONS[:2]):
        trial = Trial(name, carrier, mode, **options)
        a, b = matrix(name, carrier, 6, 3), matrix(name, carrier, 6, 2, 1)
        values, right = trial.given(a, b)

        def model(values: Any = values, right: Any = right, trial: Any = trial) -> Any:
            joined = [x + y for x, y in zip(values, right, strict=True)]
            r = trial.machine.qr(joined, 3, None, method)[1]
            return trial.machine.substitute(
                [row[:3] for row in r], [row[3:] for row in r], lower=False
            )

        got, expected = both(
            lambda a=a, b=b, t=trial, o=options: linalg.lstsq(
                a, b, t.arithmetic, method=method, **o
            ),
            model,
        )
        if expected is not None:
            trial.same(got, expected)
            trial.done()


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (5, 4), (2, 4), (6, 1)])
@pytest.mark.parametrize(("name", "carrier"), CASES)
def test_svd(name: str, carrier: str, shape: tuple[int, int]) -> None:
    m, n = shape
    turns = itertools.cycle(({}, {"order": "pairwise"}, {"order": "blocked", "block": 2}))
    converged = 0
    for mode, qr_first, full in itertools.product(MODES, (False, True), (False, True, None)):
        options: Any = next(turns)
        trial = Trial(name, carrier, mode, **options)
        a = matrix(name, carrier, m, n)
        (values,) = trial.given(a)
        tall = lm.transposed(values) if m < n else values
        columns = max(m, n) if full else min(m, n)
        got, expected = both(
            lambda a=a, t=trial, o=options, full=full, first=qr_first: linalg.svd(
                a,
                t.arithmetic,
                full_matrices=bool(full),
                compute_uv=full is not None,
                preprocess="qr" if first else "none",
                **o,
            ),
            lambda t=trial, v=tall, c=columns, full=full, first=qr_first: t.machine.svd(
                v, c, full is not None, first
            ),
        )
        if expected is None:
            continue
        converged += 1
        left, singular, right = expected
        if full is None:
            trial.same(got, singular)
        else:
            trial.same(got.S, singular)
            trial.same(got.U, lm.transposed(right) if m < n else left)
            trial.same(got.Vh, lm.transposed(left) if m < n else right)
        trial.done()
    assert converged >= 12


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize(("name", "carrier"), CASES)
def test_eigh(name: str, carrier: str, n: int) -> None:
    for mode, triangle in itertools.product(MODES, "LU"):
        trial = Trial(name, carrier, mode)
        a = matrix(name, carrier, n, n)  # not symmetric: one triangle is read
        (values,) = trial.given(a)
        if triangle == "U":
            values = lm.transposed(values)
        symmetric = [[values[max(i, j)][min(i, j)] for j in range(n)] for i in range(n)]
        got, expected = both(
            lambda a=a, t=trial, u=triangle: linalg.eigh(a, t.arithmetic, UPLO=u),
            lambda t=trial, s=symmetric: t.machine.eigh(s),
        )
        assert expected is not None
        trial.same(got.eigenvalues, expected[0])
        trial.same(got.eigenvectors, lm.transposed(expected[1]))
        trial.done()
