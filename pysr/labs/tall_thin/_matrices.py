"""Matrices of the lab tall-thin, and their singular values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import pysr
from pysr import linalg
from pysr.labs._figures import extra

# NDArray spelled out: stubtest looks for a class, and from NumPy 2.5 on it is none.
Matrix = np.ndarray[tuple[Any, ...], np.dtype[np.float64]]
Make = Callable[[np.random.Generator], Matrix]


# Jacobi rotations are ten times as slow as LAPACK's bidiagonalization at d = 1000.
WIDE = 200


def spectrum(a: Matrix) -> Matrix:
    """Singular values, largest first, the smallest to full accuracy unless there are many.

    Beyond 200 columns nothing that is measured is below 1e-3 of the largest, but for zeros.
    """
    if a.shape[1] <= WIDE:
        return np.asarray(linalg.svdvals(a), np.float64)
    return np.asarray(np.linalg.svd(linalg.tsqr(a), compute_uv=False), np.float64)


def gaussian(n: int, d: int, k: int = 1, least: float = 0.0) -> Make:
    """The authors' matrix: Gaussian, its last k singular values set, scaled into [-1, 1].

    `least` is what they are after scaling.
    """

    def make(generator: np.random.Generator) -> Matrix:
        a = generator.standard_normal((n, d))
        _, sigma, v = np.linalg.svd(linalg.tsqr(a))
        tail = (a @ v[-k:].T) @ v[-k:]
        a -= tail
        largest = np.abs(a).max() / (1 - least)
        return np.asarray(a / largest + least / sigma[-k:].mean() * tail, np.float64)

    return make


def duplicated(n: int, d: int, grid: Any = None) -> Make:
    """Uniform on (-1, 1), or on the grid inside it, with the first column repeated as the last."""

    def make(generator: np.random.Generator) -> Matrix:
        a = generator.uniform(-1.0, 1.0, (n, d))
        a[:, -1] = a[:, 0]
        return a if grid is None else np.asarray(pysr.round(a, grid, "rz"), np.float64)

    return make


def controlled(n: int, d: int, digits: int, fractions: Sequence[int]) -> Make:
    """The authors' matrices of high and low variance on the grid 10^-digits.

    Gaussian, scaled into [-1, 1]; what follows the grid's last digit is replaced by one of
    `fractions`, in hundredths, at random; then the second column is made equal to the first.
    """

    def make(generator: np.random.Generator) -> Matrix:
        a = generator.standard_normal((n, d))
        a /= np.abs(a).max()
        whole = np.trunc(np.abs(a) * (1 - 2.0**-50) * 10**digits)
        hundredths = 100 * whole + generator.choice(fractions, (n, d))
        a = np.copysign(hundredths / 10 ** (digits + 2), a)
        a[:, 1] = a[:, 0]
        return np.asarray(a, np.float64)

    return make


def halfway(n: int, d: int, step: float) -> Make:
    """Every entry half-way between two grid points: errors, but one direction, are all there is."""
    return lambda generator: np.full((n, d), step / 2)


def breast_cancer(repeat: bool) -> Make:
    """Scikit-learn's breast-cancer table, each column scaled linearly onto [-1, 1].

    A real matrix: its 30 measurements of one cell nucleus (radius, perimeter, area, ...) all but
    repeat each other, so its smallest singular value is small, but not zero. With `repeat` the
    first column stands there twice, as after a careless join of two tables.
    """

    def make(generator: np.random.Generator) -> Matrix:
        datasets = extra("sklearn.datasets", "scikit-learn", "the breast-cancer set-up")
        table = np.asarray(datasets.load_breast_cancer().data, np.float64)
        low, high = table.min(axis=0), table.max(axis=0)
        a = np.clip(2.0 * (table - low) / (high - low) - 1.0, -1.0, 1.0)
        return np.column_stack([a, a[:, 0]]) if repeat else a

    return make
