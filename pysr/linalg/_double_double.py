"""Sums and products of float64 with their errors, and unevaluated sums of two float64.

Error-free transformations: Dekker, A floating-point technique for extending the available
precision, Numer. Math. 18, 1971, 224-242; Knuth's TwoSum, The Art of Computer Programming 2, 4.2.2.
Arithmetic on pairs: Joldes, Muller, Popescu, Tight and rigorous error bounds for basic building
blocks of double-word arithmetic, ACM Trans. Math. Softw. 44(2), 2017, article 15: the relative
error of a sum is below 4 u^2, u = 2^-53, and those of products and quotients by a float64 are a few
u^2.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# NDArray spelled out: stubtest looks for a class, and from NumPy 2.5 on it is none.
Array = np.ndarray[tuple[Any, ...], np.dtype[np.float64]]
Pair = tuple[Array, Array]

_SPLITTER = 2.0**27 + 1


def two_sum(a: Array, b: Array) -> Pair:
    """s + e = a + b exactly, s being the float64 sum, if nothing overflows."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def _quick_two_sum(a: Array, b: Array) -> Pair:
    """The same for abs(a) >= abs(b)."""
    s = a + b
    return s, b - (s - a)


def _split(a: Array) -> Pair:
    c = _SPLITTER * a
    high = c - (c - a)
    return high, a - high


def two_product(a: Array, b: Array) -> Pair:
    """p + e = a b exactly, p being the float64 product.

    If abs(a) and abs(b) are below 2^996, p does not overflow and abs(a b) >= 2^-969 or is 0.
    """
    p = a * b
    a_high, a_low = _split(a)
    b_high, b_low = _split(b)
    e = ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low
    return p, e


def add(x: Pair, y: Pair) -> Pair:
    """x + y."""
    s, e = two_sum(x[0], y[0])
    t, f = two_sum(x[1], y[1])
    s, e = _quick_two_sum(s, e + t)
    return _quick_two_sum(s, e + f)


def multiply(x: Pair, b: Array) -> Pair:
    """A pair times a float64."""
    p, e = two_product(x[0], b)
    return _quick_two_sum(p, e + x[1] * b)


def divide(x: Pair, b: Array) -> Pair:
    """A pair over a float64."""
    q = x[0] / b
    p, e = two_product(q, b)
    return _quick_two_sum(q, ((x[0] - p) - e + x[1]) / b)


def total(x: Pair) -> Pair:
    """The sums along the last axis, as trees of pairs."""
    high, low = x
    while high.shape[-1] > 1:
        odd = high.shape[-1] % 2
        left = high[..., : high.shape[-1] - odd : 2], low[..., : low.shape[-1] - odd : 2]
        right = high[..., 1::2], low[..., 1::2]
        s, e = add(left, right)
        if odd:
            s = np.concatenate([s, high[..., -1:]], axis=-1)
            e = np.concatenate([e, low[..., -1:]], axis=-1)
        high, low = s, e
    if high.shape[-1] == 0:
        return np.zeros(high.shape[:-1]), np.zeros(high.shape[:-1])
    return high[..., 0], low[..., 0]


def exponents(a: Array, axis: int) -> np.ndarray[tuple[Any, ...], np.dtype[np.intc]]:
    """The least e with abs(a) < 2^e along an axis; far below all others where a is 0."""
    largest = np.max(np.abs(a), axis=axis, initial=0.0)
    _, e = np.frexp(largest)
    return np.where(largest == 0, np.intc(-5000), e)


def residual(a: Array, x: Array, b: Array) -> Array:
    """b - A x for a vector x, summed in pairs and rounded to float64 once.

    Rows and x are scaled by powers of two, so that nothing overflows but the result. The error is
    at most 2^-104 (1 + ceil(log2(n + 1))) (abs(b) + abs(A) abs(x)) before the last rounding; a row
    adds n 2^-1000 max_j abs(a_ij) max_j abs(x_j) where products underflow.
    """
    rows, column = exponents(a, 1), int(exponents(x[:, np.newaxis], 0)[0])
    scale = np.maximum(rows + column, exponents(b[:, np.newaxis], 1))
    scale = np.where(scale < -4000, 0, scale)
    left = np.ldexp(a, -np.where(rows < -4000, 0, rows)[:, np.newaxis])
    right = np.ldexp(x, -column if column > -4000 else 0)
    p, e = two_product(left, right[np.newaxis, :])
    shift = np.maximum(rows + column - scale, -3000)[:, np.newaxis]
    p, e = np.ldexp(-p, shift), np.ldexp(-e, shift)
    start = np.ldexp(b, -scale)[:, np.newaxis]
    high, _ = total(
        (np.concatenate([start, p], axis=1), np.concatenate([np.zeros_like(start), e], axis=1))
    )
    with np.errstate(over="ignore"):
        return np.asarray(np.ldexp(high, scale))


def matvec(a: Array, x: Array) -> Pair:
    """A x for a vector x, of numbers whose products neither overflow nor underflow."""
    return total(two_product(a, x[np.newaxis, :]))


def solve_triangular(t: Array, b: Pair, *, lower: bool) -> Pair:
    """T^-1 b for a vector b of pairs, by substitution, a column of T at a time."""
    n = t.shape[0]
    high, low = b[0].copy(), b[1].copy()
    for j in range(n) if lower else reversed(range(n)):
        rest = slice(j + 1, n) if lower else slice(0, j)
        high[j], low[j] = divide((high[j], low[j]), t[j, j])
        p, e = multiply((high[j], low[j]), -t[rest, j])
        high[rest], low[rest] = add((high[rest], low[rest]), (p, e))
    return high, low
