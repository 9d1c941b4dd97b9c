"""Factors, their product, losses and gradients."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
# Arrays of numbers, or RoundedArrays.
Parts = Sequence[Any]


class Target:
    """What the product is compared with: a matrix in its eigenbasis, or its singular vectors."""

    def __init__(self, matrix: Values) -> None:
        self.matrix = matrix
        self.norm = float(np.linalg.norm(matrix))
        square = matrix.shape[0] == matrix.shape[1]
        self.asymmetry = float(np.linalg.norm(matrix - matrix.T)) if square else math.inf
        self.symmetric = self.asymmetry <= 1e-12 * self.norm
        if self.symmetric:
            values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
            self.spectrum: Values = values[::-1].copy()
            self.left = self.right = np.ascontiguousarray(vectors[:, ::-1])
        else:
            u, self.spectrum, v = np.linalg.svd(matrix, full_matrices=False)
            self.left, self.right = u, v.T

    def diagonal(self, product: Values) -> Values:
        return np.asarray((self.left * (product @ self.right)).sum(axis=-2))


class Matrices:
    """Factors that are matrices."""

    def __init__(
        self,
        shapes: Sequence[tuple[int, int]],
        observed: Values,
        measurements: Values | None,
        target: Target | None,
    ) -> None:
        self.shapes = shapes
        self.size = sum(math.prod(shape) for shape in shapes)
        self.observed = observed
        self.target = target
        self.shape = shapes[-1][0], shapes[0][1]
        self.rows = None
        if measurements is not None:
            self.rows = measurements.reshape(len(measurements), -1)

    def parts(self, x: Values) -> list[Values]:
        """The factors in the weights of a run, or of runs."""
        found, at = [], 0
        for shape in self.shapes:
            size = math.prod(shape)
            found.append(x[..., at : at + size].reshape(*x.shape[:-1], *shape))
            at += size
        return found

    def product(self, factors: Parts) -> Any:
        return functools.reduce(lambda product, factor: factor @ product, factors)

    def residual(self, product: Any) -> Any:
        """W - What, or what was measured of it."""
        if self.rows is None:
            return product - self.observed
        flat = product.reshape(*product.shape[:-2], 1, -1)
        return flat @ self.rows.T - self.observed

    def gradient(self, factors: Parts) -> list[Any]:
        partial = [factors[0]]
        for factor in factors[1:]:
            partial.append(factor @ partial[-1])
        s = self.residual(partial[-1])
        if self.rows is not None:
            s = (s @ self.rows).reshape(partial[-1].shape)
        found = []
        for factor, before in zip(factors[:0:-1], partial[-2::-1], strict=True):
            found.append(s @ before.mT)
            s = factor.mT @ s
        return [s, *found[::-1]]

    def measure(self, factors: Parts, wanted: Sequence[str]) -> dict[str, Any]:
        product = self.product(factors)
        found: dict[str, Any] = {"product": product}
        if "loss" in wanted:
            residual = self.residual(product)
            found["loss"] = np.square(residual).sum(axis=(-2, -1)) / 2
        if self.target is not None:
            if "error" in wanted:
                difference = product - self.target.matrix
                norm = np.sqrt(np.square(difference).sum(axis=(-2, -1)))
                found["error"] = norm / self.target.norm
            if "spectrum" in wanted:
                found["spectrum"] = self.target.diagonal(product)
        if "singular_values" in wanted or "effective_rank" in wanted:
            found["singular_values"] = _singular_values(product)
        return found

    def factors(self, x: Values) -> list[Values]:
        return self.parts(x)


def _singular_values(product: Values) -> Values:
    """Singular values of every run; NaN where the product is not finite or they cannot be had."""
    finite = np.asarray(np.isfinite(product).all(axis=(-2, -1)))
    safe = np.where(finite[..., np.newaxis, np.newaxis], product, 0.0)
    values = np.linalg.svd(safe, compute_uv=False)
    return np.where(finite[..., np.newaxis], values, np.nan)


class Eigenvalues:
    """Eigenvalues of the factors: d of all, or d of all but the last and c of that."""

    def __init__(self, depth: int, target: Target | Values, paired: bool) -> None:
        self.target = target if isinstance(target, Target) else None
        self.observed = target.spectrum if isinstance(target, Target) else target
        self.norm = float(np.linalg.norm(self.observed))
        self.n = len(self.observed)
        self.depth = depth
        self.paired = paired and depth > 1
        self.size = self.n * (1 + self.paired)

    def parts(self, x: Values) -> list[Values]:
        return [x[..., at : at + self.n] for at in range(0, self.size, self.n)]

    @staticmethod
    def power(d: Any, k: int) -> Any:
        return functools.reduce(lambda product, _: product * d, range(k - 1), d) if k else None

    def product(self, parts: Parts) -> Any:
        p = self.power(parts[0], self.depth - 1)
        return parts[-1] if p is None else p * parts[-1]

    def gradient(self, parts: Parts) -> list[Any]:
        d, c = parts[0], parts[-1]
        q = self.power(d, self.depth - 2) if self.depth > 1 else None
        p = d if q is None else q * d
        if self.depth == 1:
            return [d - self.observed]
        residual = p * c - self.observed
        if not self.paired:
            return [p * residual]
        return [(c if q is None else c * q) * residual, p * residual]

    def measure(self, parts: Parts, wanted: Sequence[str]) -> dict[str, Any]:
        values = self.product(parts)
        squares = np.square(values - self.observed).sum(axis=-1)
        sizes = np.sort(np.abs(values), axis=-1)[..., ::-1]
        found = {
            "loss": squares / 2,
            "error": np.sqrt(squares) / self.norm,
            "spectrum": values,
            "singular_values": sizes,
            "product": values,
        }
        if self.target is not None and "product" in wanted:
            found["product"] = self.rotated(values)
        return found

    def rotated(self, values: Values) -> Values:
        """The matrices of these eigenvalues, in the basis of the target if it has one."""
        if self.target is None:
            return values
        v = self.target.left
        return np.asarray((v * values[..., np.newaxis, :]) @ v.T)

    def factors(self, x: Values) -> list[Values]:
        parts = self.parts(x)
        return [*(self.rotated(parts[0]) for _ in range(self.depth - 1)), self.rotated(parts[-1])]
