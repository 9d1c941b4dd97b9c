"""What operators on RoundedArrays cost beside the calls of `Arithmetic` that they make."""

from collections.abc import Callable
from typing import Any

import numpy as np

import pysr

from .common import Call, fastest

# A call with an operator, and the same by the arithmetic, for x, y, a scalar s and a matrix m.
CASES: dict[str, Callable[[Any, Any, Any, Any], Any]] = {
    "x + y": lambda x, y, s, m: lambda: x + y,
    "x * y": lambda x, y, s, m: lambda: x * y,
    "x * 0.1": lambda x, y, s, m: lambda: x * 0.1,
    "x * s": lambda x, y, s, m: lambda: x * s,
    "s * s": lambda x, y, s, m: lambda: s * s,
    "m @ x": lambda x, y, s, m: lambda: m @ x,
}


def beside(case: str, a: pysr.Arithmetic, n: int, dtype: str) -> Call:
    """The least that the arithmetic needs for it: no scalars, which it takes its time for."""
    ones = np.ones(1 if case == "s * s" else n, dtype)
    wide = ones.astype(np.float64) if case == "x * 0.1" else ones
    if case == "x + y":
        return lambda: a.add(ones, ones)
    if case == "m @ x":
        matrix = np.ones((n, n), dtype)
        return lambda: a.matmul(matrix, ones)
    return lambda: a.mul(wide, wide)


class Operators:
    """Small arrays in bfloat16, where every microsecond shows."""

    params = (list(CASES), ["rne", "sr"], ["float32", "float64"])
    param_names = ("case", "mode", "carrier")

    def track_overhead(self, case: str, mode: str, carrier: str) -> float:
        """Microseconds of an operator on 8 elements above those of the arithmetic."""
        a = pysr.Arithmetic("bfloat16", mode, rng=7)
        x = a.array(np.linspace(1, 2, 8, dtype=carrier))
        m = a.array(np.ones((8, 8), carrier))
        call = CASES[case](x, x.copy(), x[3], m)
        one, other = fastest([call, beside(case, a, 8, carrier)], 0.3, 100)
        return 1e6 * (one - other)

    track_overhead.unit = "µs"  # type: ignore[attr-defined]
