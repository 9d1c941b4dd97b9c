"""Ufuncs: beside NumPy's on one element, an index an element beside one a row, reductions."""

import numpy as np

import pysr

from .common import fastest, normal, ratio

FORMATS = ["bfloat16", "float8_e4m3fn", "Q3.8", "binary64"]


class OneElement:
    """What a call costs."""

    params = (["add", "mul", "div"], FORMATS, ["float32", "float64"])
    param_names = ("op", "fmt", "dtype")

    def track_over_numpy_add(self, op: str, fmt: str, dtype: str) -> float:
        """How many times `np.add` on the same arrays, in a deterministic mode."""
        x = np.full(1, 1.001, dtype)
        f = pysr.ufunc(op, fmt, "rne")
        return ratio(lambda: f(x, x), lambda: np.add(x, x))

    track_over_numpy_add.unit = "times np.add"  # type: ignore[attr-defined]


class Indices:
    """An index an element, in order or not, or one a row."""

    params = (["round", "add"], ["consecutive", "permuted", "row"])
    param_names = ("op", "indices")

    def track_each(self, op: str, indices: str) -> float:
        """Nanoseconds an element of a million, from float32 to bfloat16."""
        n = 1_000_000
        operands = [normal("float32", n)] * (1 if op == "round" else 2)
        out = np.empty_like(operands[0])
        if indices == "row":
            rows = pysr.gufunc(op, "bfloat16")
            call = [lambda: rows(*operands, 0, out=out)]
        else:
            index = np.arange(n, dtype=np.uint64)
            if indices == "permuted":
                index = np.random.default_rng(1).permutation(index)
            f = pysr.ufunc(op, "bfloat16")
            call = [lambda: f(*operands, index, out=out)]
        return fastest(call, 0.5)[0] / n * 1e9

    track_each.unit = "ns"  # type: ignore[attr-defined]


class Reductions:
    """Sums and products in order."""

    params = (["add", "mul"], FORMATS, ["all", "rows", "columns", "accumulate"])
    param_names = ("op", "fmt", "way")

    def track_step(self, op: str, fmt: str, way: str) -> float:
        """Nanoseconds a step, of a million, to nearest."""
        x = normal("float64" if fmt == "binary64" else "float32", 1_000_000)
        f = pysr.ufunc(op, fmt, "rne")
        square = x.reshape(1000, 1000)
        calls = {
            "all": lambda: f.reduce(x),
            "rows": lambda: f.reduce(square, axis=1),
            "columns": lambda: f.reduce(square, axis=0),
            "accumulate": lambda: f.accumulate(x),
        }
        return fastest([calls[way]], 0.5)[0] / x.size * 1e9

    track_step.unit = "ns"  # type: ignore[attr-defined]
