"""Rounding as multiples of copying the same array: interleaved in one process, minima of many.

What bounds it, an element: 8 bytes of memory traffic from float32 to float32 (16 from float64), as
in a copy, and for a stochastic mode a sixteenth to a half of a Philox block (20 multiplications of
32 bits). Run as a program it prints a table.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import pysr

SIZES = (10_000, 1_000_000)
CASES: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "bfloat16 sr": ("float32", "bfloat16", "sr", {}),
    "bfloat16 sr, 8 bits": ("float32", "bfloat16", "sr", {"random_bits": 8}),
    "bfloat16 rne": ("float32", "bfloat16", "rne", {}),
    "float8_e4m3fn sr": ("float32", "float8_e4m3fn", "sr", {}),
    "Q3.8 sr": ("float32", "Q3.8", "sr", {}),
    "bfloat16 sr, float64": ("float64", "bfloat16", "sr", {}),
}


def fastest(calls: list[Callable[[], object]], seconds: float) -> list[float]:
    """The least time of each call, in seconds, taking turns for so long."""
    best = [float("inf")] * len(calls)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for k, call in enumerate(calls):
            start = time.perf_counter()
            call()
            best[k] = min(best[k], time.perf_counter() - start)
    return best


def measure(case: str, n: int, seconds: float = 0.5) -> tuple[float, float]:
    """Nanoseconds an element of rounding, and of copying."""
    dtype, fmt_name, mode, kwargs = CASES[case]
    x = np.random.default_rng(1).standard_normal(n).astype(dtype)
    y = np.empty_like(x)
    fmt = pysr.format(fmt_name)
    stream = pysr.Philox(7)
    rounding, copying = fastest(
        [
            lambda: pysr.round(x, fmt, mode, rng=stream, out=y, **kwargs),
            lambda: np.copyto(y, x),
        ],
        seconds,
    )
    return 1e9 * rounding / n, 1e9 * copying / n


class Round:
    """`pysr.round` into an existing array."""

    params = (list(CASES), list(SIZES))
    param_names = ("case", "n")

    def track_multiple_of_copy(self, case: str, n: int) -> float:
        """How many times a copy of the same array."""
        rounding, copying = measure(case, n)
        return rounding / copying

    track_multiple_of_copy.unit = "copies"  # type: ignore[attr-defined]


def main() -> None:
    """Print the table."""
    print(f"srcore {pysr.__version__}, path {pysr.config()['path']}, one thread; ns an element")
    print(f"{'':24}{'n':>10}{'round':>10}{'copy':>10}{'ratio':>8}")
    for case in CASES:
        for n in SIZES:
            rounding, copying = measure(case, n)
            print(f"{case:24}{n:>10}{rounding:>10.2f}{copying:>10.3f}{rounding / copying:>8.0f}")


if __name__ == "__main__":
    main()
