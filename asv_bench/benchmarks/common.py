"""What the benchmarks share: cases, inputs, companions, and the least of many times."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

import pysr

Array = npt.NDArray[Any]
Call = Callable[[], object]

SIZES = (10_000, 1_000_000, 10_000_000)


@dataclass(frozen=True)
class Case:
    """A rounding: from float32 or float64, to values or codes of a format."""

    dtype: str
    fmt: str
    mode: str = "sr"
    codes: bool = False
    arguments: dict[str, Any] = field(default_factory=dict)

    def empty(self, like: Array) -> Array:
        """Where a result for `like` goes, in the same layout."""
        if not self.codes:
            return np.empty_like(like)
        return np.empty_like(like, pysr.encode(0.0, self.fmt, "rne").dtype)

    def call(self, x: Array, y: Array, threads: int = 1) -> Call:
        """Round `x` into `y`, with fresh random bits every time."""
        function = pysr.encode if self.codes else pysr.round
        arguments = {**self.arguments, "out": y, "threads": threads}
        if self.mode.startswith("sr"):
            arguments["rng"] = pysr.Philox(7)
        fmt = pysr.format(self.fmt)
        return lambda: function(x, fmt, self.mode, **arguments)


CASES = {
    "float32 to bfloat16, sr": Case("float32", "bfloat16"),
    "float32 to float16, sr": Case("float32", "float16"),
    "float32 to float8_e4m3fn, sr": Case("float32", "float8_e4m3fn"),
    "float32 to float8_e4m3fn codes, sr": Case("float32", "float8_e4m3fn", codes=True),
    "float32 to Q3.8, sr": Case("float32", "Q3.8"),
    "float64 to bfloat16, sr": Case("float64", "bfloat16"),
    "float32 to bfloat16, sr of 8 bits": Case("float32", "bfloat16", arguments={"random_bits": 8}),
    "float32 to bfloat16, rne": Case("float32", "bfloat16", "rne"),
    "float32 to bfloat16 codes, rne": Case("float32", "bfloat16", "rne", codes=True),
    "float32 to float8_e4m3fn codes, rne": Case("float32", "float8_e4m3fn", "rne", codes=True),
}

# Whole arrays of one kind: a value, or two between which the values lie.
KINDS: dict[str, Callable[[np.finfo[Any]], tuple[float, float]]] = {
    "NaN": lambda info: (np.nan, np.nan),
    "subnormal": lambda info: (0.0, float(info.smallest_normal)),
    "overflow": lambda info: (float(info.max) * 0.9999, float(info.max)),
    "exact": lambda info: (1.0, 1.0),
    "zeros": lambda info: (0.0, 0.0),
}


def normal(dtype: str, n: int) -> Array:
    """Normal deviates, the same ones in float32 and float64."""
    return np.random.default_rng(1).standard_normal(n, np.float32).astype(dtype, copy=False)


def special(kind: str, dtype: str, n: int) -> Array:
    """An array of `KINDS`."""
    low, high = KINDS[kind](np.finfo(dtype))
    share = np.random.default_rng(1).random(n)
    x: Array = (low + share * (high - low)).astype(dtype)
    return x


def copying(x: Array) -> Call:
    """The companion that moves the same bytes: `np.copyto` of the input."""
    y = np.empty_like(x)
    return lambda: np.copyto(y, x)


def drawing(source: np.random.BitGenerator, n: int) -> Call:
    """The companion that draws words alone, 16 bits an element, in pieces that stay in cache."""
    pieces, rest = divmod(-(-n // 4), 2**13)

    def draw() -> None:
        for _ in range(pieces):
            source.random_raw(2**13)
        source.random_raw(rest)

    return draw


def summing(x: Array, axis: int = 0) -> list[Call]:
    """
    NumPy's ways to sum from first to last in the array's own type.

    `np.add.accumulate`; and `np.add.reduce`, also of a copy with the terms outermost, if it does
    not add in pairs.
    """
    sums = np.empty_like(x)
    last = np.moveaxis(sums, axis, 0)[-1, ...]

    def accumulate() -> Array:
        np.add.accumulate(x, axis, out=sums)
        return last

    def reduce() -> Array:
        return np.asarray(np.add.reduce(x, axis))

    def reduce_copy() -> Array:
        return np.asarray(np.add.reduce(np.ascontiguousarray(np.moveaxis(x, axis, 0)), 0))

    in_order = accumulate().copy()
    return [accumulate, *(way for way in (reduce, reduce_copy) if np.array_equal(way(), in_order))]


def fastest(calls: list[Call], seconds: float, number: int = 1) -> list[float]:
    """
    The least time of each call.

    Parameters
    ----------
    calls : list of callables
        They take turns of 5 ms, and of at least one call; at least three turns each.
    seconds : float
        How long, together.
    number : int
        So many calls are timed at once.

    Returns
    -------
    list of float
        Seconds for one call.
    """
    best = [float("inf")] * len(calls)
    end = time.perf_counter() + seconds
    turn = 0
    with np.errstate(all="ignore"):
        while turn < 3 or time.perf_counter() < end:
            for k, call in enumerate(calls):
                start = now = time.perf_counter()
                while now < start + 0.005:
                    before = now
                    for _ in range(number):
                        call()
                    now = time.perf_counter()
                    best[k] = min(best[k], now - before)
            turn += 1
    return [least / number for least in best]


def ratio(call: Call, companion: Call, seconds: float = 0.25) -> float:
    """How many times the companion's time a call takes."""
    one, other = fastest([call, companion], seconds)
    return one / other
