"""Factorizations in bfloat16, every operation rounded: beside the same on RoundedArrays.

What bounds them: two roundings for each of some 2 n^2 (m - n / 3) products, at 0.4 ns, and a few
microseconds for each of a dozen calls a column.
"""

from typing import Any

import numpy as np

import pysr

from .common import fastest, normal

SHAPE = (1000, 100)
FEW = (100, 10)  # element by element, by time


def matrix(shape: tuple[int, int]) -> Any:
    """Normal deviates."""
    return normal("float32", shape[0] * shape[1]).reshape(shape)


def by_vectors(a: Any) -> Any:
    """Reduce a RoundedArray to R as one would with NumPy, a reflection at once."""
    for k in range(a.shape[1]):
        x = a[k:, k]
        norm = np.sqrt((x * x).sum())
        alpha = norm if x[0].item() < 0 else -norm
        tau = (alpha - x[0]) / alpha
        v = x / (x[0] - alpha)
        v[0] = 1.0
        a[k:, k:] = a[k:, k:] - np.outer(v, tau * (v @ a[k:, k:]))
    return a


def by_elements(a: Any) -> Any:
    """The same element by element, as one would write it in C."""
    m, n = a.shape
    for k in range(n):
        total = a[k, k] * a[k, k]
        for i in range(k + 1, m):
            total = total + a[i, k] * a[i, k]
        norm = np.sqrt(total)
        alpha = norm if a[k, k].item() < 0 else -norm
        tau = (alpha - a[k, k]) / alpha
        below = a[k, k] - alpha
        v = [a[i, k] / below for i in range(k + 1, m)]
        for j in range(k, n):
            w = a[k, j]
            for i in range(k + 1, m):
                w = w + v[i - k - 1] * a[i, j]
            w = tau * w
            a[k, j] = a[k, j] - w
            for i in range(k + 1, m):
                a[i, j] = a[i, j] - v[i - k - 1] * w
    return a


def products(shape: tuple[int, int]) -> int:
    """Elements that all reflections change."""
    m, n = shape
    return sum((m - k) * (n - k) for k in range(n))


class Householder:
    """R of a Householder QR, 1000 by 100."""

    timeout = 300

    def setup(self) -> None:
        """Make the matrix."""
        self.a = matrix(SHAPE)
        self.arithmetic = pysr.Arithmetic("bfloat16", rng=7)

    def own(self) -> Any:
        """R alone."""
        return pysr.linalg.qr(self.a, self.arithmetic, mode="r")

    def track_seconds(self) -> float:
        """Seconds."""
        return fastest([self.own], 1)[0]

    def track_vectors_over_own(self) -> float:
        """How many times as long RoundedArrays take, whole vectors at once."""
        own, other = fastest([self.own, lambda: by_vectors(self.arithmetic.array(self.a))], 2)
        return other / own

    def track_elements_over_own(self) -> float:
        """How many times as long they take element by element: from a small matrix, by products."""
        few = matrix(FEW)
        own, other = fastest([self.own, lambda: by_elements(self.arithmetic.array(few))], 2)
        return other / products(FEW) * products(SHAPE) / own

    track_seconds.unit = "s"  # type: ignore[attr-defined]
    track_vectors_over_own.unit = "times own"  # type: ignore[attr-defined]
    track_elements_over_own.unit = "times own"  # type: ignore[attr-defined]
