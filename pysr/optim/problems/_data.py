"""Problems made of data: regressions and a network, their losses means over all samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pysr.arithmetic import a_flag, an_integer
from pysr.optim.problems._problem import (
    Array,
    Problem,
    Values,
    each,
    finite,
    in_float64,
    non_negative,
)

Shapes = tuple[tuple[int, ...], ...]


def _labels(y: ArrayLike, samples: int) -> Array:
    """Labels that go with samples."""
    labels = finite(np.asarray(y, np.float64) if np.asarray(y).dtype == bool else y, "y", 1)
    if len(labels) != samples:
        raise ValueError(f"y has {len(labels)} labels, but X has {samples} rows")
    return labels


def _classes(y: ArrayLike, samples: int, classes: Any) -> tuple[np.ndarray[Any, Any], int]:
    """Labels as indices, and the number of classes."""
    labels = _labels(y, samples)
    count = None if classes is None else an_integer(classes, "classes")
    if count is not None and count < 2:
        raise ValueError(f"classes must be at least 2, not {count}")
    limit = np.inf if count is None else count
    wrong = labels[(labels != np.floor(labels)) | (labels < 0) | (labels >= limit)]
    if wrong.size:
        upto = "" if count is None else f" up to {count - 1}"
        raise ValueError(f"y holds {wrong[0]:g}: labels must be integers from 0{upto}")
    indices = labels.astype(np.intp)
    return indices, max(2, int(indices.max()) + 1) if count is None else count


def _largest_eigenvalue(x: Array) -> float:
    """That of X^T X / m."""
    return float(np.linalg.norm(x, 2) ** 2 / len(x))


# ---------------------------------------------------------------------------------------------
# Logistic regression


def logistic_regression(X: ArrayLike, y: ArrayLike, l2: float = 0.0) -> Problem:
    """
    Binary logistic regression: the weights of a linear model that tells two classes apart.

    Parameters
    ----------
    X : array_like, shape (m, n)
        Samples in rows. A model with a constant term has a column of ones.
    y : array_like, shape (m,)
        Their labels: 0 and 1, or -1 and 1.
    l2 : float
        How much of ``|w|^2 / 2`` is added, of all weights alike.

    Returns
    -------
    Problem
        ``mean(log(1 + exp(-s X w))) + l2 |w|^2 / 2``, s the labels as -1 and 1. It starts at 0. L
        is the largest eigenvalue of ``X^T X / (4 m)``, plus `l2`; mu is `l2`, if that is not 0.

    Raises
    ------
    ValueError
        If X or y is empty, does not fit or is not finite, if y holds anything else, or `l2` is
        negative.

    Notes
    -----
    Böhning, Ann. Inst. Stat. Math. 44(1), 1992, 197-200, for L. With ``t = s * (X w)`` and
    ``e = exp(-|t|)`` the loss of a sample is ``max(-t, 0) + log1p(e)``, and its derivative by
    ``X w`` is ``-s * (e, or 1 where t < 0) / (1 + e)``: nothing overflows. The gradient is the
    product of these with X over m, plus ``l2 * w``. Under an arithmetic, X is rounded, then s;
    exponentials and logarithms are computed in float64 and rounded.

    Examples
    --------
    >>> from pysr.optim import problems
    >>> problem = problems.logistic_regression([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]], [0, 1, 1])
    >>> problem.value([0.0, 0.0]), problem.gradient([0.0, 0.0])
    (np.float64(0.6931471805599453), array([-0.5       , -0.16666667]))
    """
    samples = finite(X, "X", 2)
    labels = _labels(y, len(samples))
    kinds = set(np.unique(labels).tolist())
    if not (kinds <= {0.0, 1.0} or kinds <= {-1.0, 1.0}):
        other = sorted(kinds - {0.0, 1.0})[0]
        raise ValueError(f"y holds {other:g}: labels must be 0 and 1, or -1 and 1")
    signs = np.where(labels > 0, 1.0, -1.0)
    weight = non_negative(l2, "l2")
    m, n = samples.shape
    return Problem(
        partial(_logistic_gradient, samples, signs, weight),
        partial(_logistic_value, samples, signs, weight),
        size=n,
        name=f"logistic regression of {m} samples",
        start=np.zeros(n),
        lipschitz=_largest_eigenvalue(samples) / 4 + weight,
        pl=weight or None,
    )


def _penalty(weight: float, x: Values, loss: Values) -> Any:
    return loss + np.asarray(weight / 2, like=x) * np.sum(x * x, axis=-1) if weight else loss


def _penalty_gradient(weight: float, x: Values, gradient: Values) -> Any:
    return gradient + np.asarray(weight, like=x) * x if weight else gradient


def _logistic_gradient(samples: Array, signs: Array, weight: float, x: Values) -> Any:
    a, s, one = (np.asarray(part, like=x) for part in (samples, signs, 1.0))
    t = s * each(x, a.T)
    e = np.exp(-abs(t))
    slope = -s * (np.where(t < 0, one, e) / (one + e))
    return _penalty_gradient(weight, x, each(slope, a) / len(samples))


def _logistic_value(samples: Array, signs: Array, weight: float, x: Values) -> Any:
    a, s, zero = (np.asarray(part, like=x) for part in (samples, signs, 0.0))
    t = s * each(x, a.T)
    e = np.exp(-abs(t))
    loss = np.maximum(-t, zero) + np.log1p(e)
    return _penalty(weight, x, np.mean(loss, axis=-1))


# ---------------------------------------------------------------------------------------------
# Networks, of which softmax regression is one without hidden layers


def softmax_regression(
    X: ArrayLike, y: ArrayLike, l2: float = 0.0, *, classes: int | None = None
) -> Problem:
    """
    Multinomial logistic regression: a linear model for each of several classes.

    Parameters
    ----------
    X : array_like, shape (m, d)
        Samples in rows. A model with a constant term has a column of ones.
    y : array_like of int, shape (m,)
        Their labels: 0, 1, ..., classes - 1.
    l2 : float
        As in `logistic_regression`.
    classes : int, optional
        By default one more than the largest label, and 2 at least.

    Returns
    -------
    Problem
        Of ``n = d * classes`` weights, those of X's first column first: the mean over samples of
        ``log(sum(exp(z))) - z[label]``, z a row of ``X W``, plus ``l2 |W|^2 / 2``. It starts at 0.
        L is the largest eigenvalue of ``X^T X / (2 m)``, plus `l2`; mu is `l2`, if that is not 0.

    Raises
    ------
    ValueError
        As in `logistic_regression`.

    Notes
    -----
    Böhning, Ann. Inst. Stat. Math. 44(1), 1992, 197-200, for L. What is computed is that of
    `network` without hidden layers and biases, plus ``l2 * W``.

    Examples
    --------
    >>> from pysr.optim import problems
    >>> problem = problems.softmax_regression([[1.0], [1.0]], [0, 2])
    >>> problem.size, problem.gradient(np.zeros(3)).round(4)
    (3, array([-0.1667,  0.3333, -0.1667]))
    """
    samples = finite(X, "X", 2)
    m, d = samples.shape
    labels, count = _classes(y, m, classes)
    weight = non_negative(l2, "l2")
    layers = _Layers(samples, labels, (d, count), False)
    return Problem(
        partial(_softmax_gradient, layers, weight),
        partial(_softmax_value, layers, weight),
        size=layers.size,
        name=f"softmax regression of {m} samples",
        start=np.zeros(layers.size),
        lipschitz=_largest_eigenvalue(samples) / 2 + weight,
        pl=weight or None,
        vectorized=False,
    )


def _softmax_gradient(layers: _Layers, weight: float, x: Values) -> Any:
    return _penalty_gradient(weight, x, layers.gradient(x))


def _softmax_value(layers: _Layers, weight: float, x: Values) -> Any:
    return _penalty(weight, x, layers.value(x))


class _Layers:
    """
    The mean cross-entropy of layers of widths d, ..., classes, and its gradient, at one point.

    All points at once would take memory beyond the caches, and several times as long.
    """

    def __init__(
        self,
        samples: Array,
        labels: np.ndarray[Any, Any],
        widths: tuple[int, ...],
        bias: bool,
    ) -> None:
        self.samples, self.labels, self.bias = samples, labels, bias
        self.target = np.zeros((len(labels), widths[-1]))
        self.target[np.arange(len(labels)), labels] = 1.0
        shapes: list[tuple[int, ...]] = []
        for before, after in pairwise(widths):
            shapes += [(before, after), (after,)] if bias else [(before, after)]
        self.shapes: Shapes = tuple(shapes)
        self.size = sum(math.prod(shape) for shape in shapes)

    def unflatten(self, x: Values) -> list[Any]:
        """Views of weights and biases, of these shapes behind leading axes."""
        parts, end = [], 0
        for shape in self.shapes:
            begin, end = end, end + math.prod(shape)
            parts.append(x[..., begin:end].reshape(*x.shape[:-1], *shape))
        return parts

    def _forward(self, x: Values) -> tuple[list[Any], list[Any], Any]:
        """Weights, what enters each layer, and what leaves the last, less the largest of a row."""
        zero = np.asarray(0.0, like=x)
        inputs = [np.asarray(self.samples, like=x)]
        parts = self.unflatten(x)
        weights = parts[::2] if self.bias else parts
        for i, w in enumerate(weights):
            z = inputs[-1] @ w
            if self.bias:
                z = z + parts[2 * i + 1]
            if i < len(weights) - 1:
                inputs.append(np.maximum(z, zero))
        return weights, inputs, z - np.max(z, axis=-1, keepdims=True)

    def value(self, x: Values) -> Any:
        *_, z = self._forward(x)
        own = z[np.arange(len(self.labels)), self.labels]
        return np.mean(np.log(np.sum(np.exp(z), axis=-1)) - own)

    def gradient(self, x: Values) -> Any:
        weights, inputs, z = self._forward(x)
        e = np.exp(z)
        delta = e / np.sum(e, axis=-1, keepdims=True) - np.asarray(self.target, like=x)
        parts: list[Any] = []
        for i in reversed(range(len(weights))):
            if self.bias:
                parts.append(np.sum(delta, axis=0))
            parts.append((inputs[i].T @ delta).ravel())
            if i:
                delta = (delta @ weights[i].T) * (inputs[i] > 0)
        return np.concatenate(parts[::-1]) / len(self.samples)


class Network(Problem):
    """
    The loss of a network, a function of all its weights: what `network` makes.

    Attributes
    ----------
    shapes : tuple of tuple of int
        Of the weights of each layer, (inputs, outputs), followed by those of its biases, if there
        are any.

    Examples
    --------
    >>> from pysr.optim import problems
    >>> net = problems.network(np.eye(2), [0, 1], hidden=(3,))
    >>> net.shapes, net.size
    (((2, 3), (3,), (3, 2), (2,)), 17)
    """

    def __init__(self, layers: _Layers, name: str) -> None:
        self._layers = layers
        self.shapes = layers.shapes
        super().__init__(
            layers.gradient, layers.value, size=layers.size, name=name, vectorized=False
        )

    def unflatten(self, x: ArrayLike) -> list[Array]:
        """
        Part x into weights and biases.

        Parameters
        ----------
        x : array_like, shape (..., n)

        Returns
        -------
        list of ndarray of float64
            In the order of `shapes`, and of these shapes behind the leading axes of x.

        Raises
        ------
        ValueError
            If x does not have n coordinates.

        Examples
        --------
        >>> from pysr.optim import problems
        >>> net = problems.network(np.eye(2), [0, 1], hidden=(), bias=False)
        >>> net.unflatten([1.0, 2.0, 3.0, 4.0])
        [array([[1., 2.],
               [3., 4.]])]
        """
        values = in_float64(x, "x")
        if values.shape[-1:] != (self.size,):
            raise ValueError(f"x must have shape (..., {self.size}), not {values.shape}")
        return self._layers.unflatten(values)

    def random_start(self, rng: Any = None) -> Array:
        """
        Draw weights to start from.

        Parameters
        ----------
        rng : None, int, SeedSequence, Generator, BitGenerator or Philox, optional
            As in `numpy.random.default_rng`.

        Returns
        -------
        ndarray, shape (n,)
            Weights of a layer of k inputs are normal with mean 0 and variance 2/k, drawn in order;
            biases are 0 (He, Zhang, Ren, Sun, Delving deep into rectifiers, ICCV 2015, section
            2.2).

        Examples
        --------
        >>> from pysr.optim import problems
        >>> net = problems.network(np.eye(2), [0, 1], hidden=(3,))
        >>> [part.shape for part in net.unflatten(net.random_start(rng=1))]
        [(2, 3), (3,), (3, 2), (2,)]
        """
        generator = np.random.default_rng(rng)
        return np.concatenate(
            [
                np.zeros(shape[0])
                if len(shape) == 1
                else generator.normal(0.0, np.sqrt(2 / shape[0]), shape).ravel()
                for shape in self.shapes
            ]
        )


def network(
    X: ArrayLike,
    y: ArrayLike,
    hidden: Sequence[int] = (32, 32, 32),
    *,
    classes: int | None = None,
    bias: bool = True,
) -> Network:
    """
    A fully connected network that classifies, with ReLU after all layers but the last.

    Parameters
    ----------
    X : array_like, shape (m, d)
        Samples in rows.
    y : array_like of int, shape (m,)
        Their labels: 0, 1, ..., classes - 1.
    hidden : sequence of int
        Widths of the hidden layers.
    classes : int, optional
        By default one more than the largest label, and 2 at least.
    bias : bool
        Whether layers have biases.

    Returns
    -------
    Network
        The mean cross-entropy of all samples as a function of all weights. It has no start; its
        `random_start` draws one.

    Raises
    ------
    ValueError
        If X or y is empty, does not fit or is not finite, a label is none of 0, 1, ...,
        classes - 1, or a width is less than 1.

    Notes
    -----
    Layer by layer, ``h = max(h W + b, 0)``, the last one without the maximum. The largest number of
    a row is subtracted from it, e is the exponential of what remains, z: the loss of a sample is
    ``log(sum(e)) - z[label]``. Backward, ``D = e / sum(e) - target``, and layer by layer the
    gradients ``h^T D`` and ``sum(D)`` by W and b, before ``D = (D W^T) * (h > 0)``; all of them are
    divided by m at the end. ReLU has the derivative 0 at 0. Under an arithmetic, sums are from left
    to right.

    Examples
    --------
    >>> from pysr.optim import problems
    >>> generator = np.random.default_rng(1)
    >>> X = generator.normal(size=(30, 4))
    >>> net = problems.network(X, X[:, 0] > 0, hidden=(8, 8))
    >>> x = net.random_start(rng=1)
    >>> before = net.value(x)
    >>> for _ in range(100):
    ...     x = x - 0.5 * net.gradient(x)
    >>> bool(net.value(x) < before / 10)
    True
    """
    samples = finite(X, "X", 2)
    m, d = samples.shape
    labels, count = _classes(y, m, classes)
    inner = tuple(an_integer(width, "hidden") for width in hidden)
    if min(inner, default=1) < 1:
        raise ValueError(f"hidden must hold numbers of at least 1, not {tuple(hidden)}")
    widths = (d, *inner, count)
    layers = _Layers(samples, labels, widths, a_flag(bias, "bias"))
    return Network(layers, f"network {'-'.join(map(str, widths))} of {m} samples")
