"""Sums in bfloat16: beside NumPy's in float32, the words alone, other orders; matrix products.

What bounds them, a step: in one sum, the time of additions that wait for each other; in 64 side by
side, 4 bytes read and 16 random bits.
"""

from typing import Any, ClassVar

import numpy as np

import pysr

from .common import Array, Call, drawing, fastest, normal, ratio, summing

TERMS = 10_000
# Shapes, and the axis of the terms.
LAYOUTS = {
    "one": ((TERMS,), 0),
    "64, along axis 0": ((TERMS, 64), 0),
    "64, along axis 1": ((64, TERMS), 1),
}
MODES = ["sr", "rne"]


def terms(layout: str, n: int = TERMS) -> tuple[Array, int]:
    """Terms of a layout, `n` for each sum, and their axis."""
    shape, axis = LAYOUTS[layout]
    shape = tuple(n if length == TERMS else length for length in shape)
    return normal("float32", int(np.prod(shape))).reshape(shape), axis


def rounded(x: Array, axis: int, mode: str = "sr", order: str = "sequential") -> Call:
    """Sums with fresh random bits every time."""
    arithmetic = pysr.Arithmetic("bfloat16", mode, rng=7)
    return lambda: arithmetic.sum(x, axis, order=order)


class Sequential:
    """From first to last."""

    params = (list(LAYOUTS), MODES)
    param_names = ("layout", "mode")

    def track_step(self, layout: str, mode: str) -> float:
        """Nanoseconds a step."""
        x, axis = terms(layout)
        return fastest([rounded(x, axis, mode)], 0.25)[0] / x.size * 1e9

    def track_over_float32(self, layout: str, mode: str) -> float:
        """How many times NumPy's sum in float32 from first to last, in the fastest of its ways."""
        x, axis = terms(layout)
        own, *plain = fastest([rounded(x, axis, mode), *summing(x, axis)], 0.5)
        return own / min(plain)

    track_step.unit = "ns"  # type: ignore[attr-defined]
    track_over_float32.unit = "times float32"  # type: ignore[attr-defined]


class Words:
    """Multiples of drawing the words alone, 16 bits a step."""

    params = (list(LAYOUTS),)
    param_names = ("layout",)

    def track_over_words(self, layout: str) -> float:
        """How many times `pysr.Philox`."""
        x, axis = terms(layout)
        return ratio(rounded(x, axis), drawing(pysr.Philox(7), x.size))

    track_over_words.unit = "draws"  # type: ignore[attr-defined]


class Orders:
    """Other orders."""

    params = (list(LAYOUTS), MODES, ["pairwise", "exact"])
    param_names = ("layout", "mode", "order")

    def track_over_sequential(self, layout: str, mode: str, order: str) -> float:
        """How many times a sum from first to last."""
        x, axis = terms(layout)
        return ratio(rounded(x, axis, mode, order), rounded(x, axis, mode))

    track_over_sequential.unit = "times sequential"  # type: ignore[attr-defined]


PIECE = 64  # rows of a product, which one thread does


def factors(side: int) -> Array:
    """Two matrices of bfloat16."""
    x: Array = pysr.round(normal("float32", 2 * side * side), "bfloat16", "rne")
    return x.reshape(2, side, side)


class Products:
    """Matrices of 64 by 512 and 512 by 512: what one thread does at a time of a large product."""

    # Ways to accumulate: how it is asked for, and roundings for each product.
    ways: ClassVar[dict[str, tuple[dict[str, Any], int]]] = {
        "separate": ({}, 2),
        "fma": ({"accumulate": "fma"}, 1),
        "block of 16": ({"accumulate": "block", "block": 16}, 1),
    }
    params = (MODES, list(ways))
    param_names = ("mode", "way")

    def track_step(self, mode: str, way: str) -> float:
        """Nanoseconds a rounding, or for each term where not all are rounded."""
        arithmetic = pysr.Arithmetic("bfloat16", mode, rng=7)
        a, b = factors(512)
        keywords, roundings = self.ways[way]
        (seconds,) = fastest([lambda: arithmetic.matmul(a[:PIECE], b, **keywords)], 0.5)
        return seconds / (PIECE * 512**2 * roundings) * 1e9

    track_step.unit = "ns"  # type: ignore[attr-defined]
