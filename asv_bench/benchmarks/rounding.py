"""Rounding beside what bounds it, in other layouts, by two threads, and with special inputs.

What bounds it, an element: 8 bytes of memory traffic from float32 to float32 (16 from float64), as
in a copy, and 16 random bits, an eighth of a Philox block (20 multiplications of 32 bits).
"""

import os
from functools import partial

import numpy as np

import pysr

from .common import CASES, KINDS, SIZES, Array, Call, copying, drawing, fastest, normal, ratio
from .common import special as special_input

STOCHASTIC = [name for name, case in CASES.items() if case.mode == "sr"]
FEW = [
    "float32 to bfloat16, sr",
    "float32 to float8_e4m3fn codes, sr",
    "float64 to bfloat16, sr",
]


def rounding(name: str, x: Array, threads: int = 1) -> Call:
    """Rounding of `x` into an array of the same layout."""
    return CASES[name].call(x, CASES[name].empty(x), threads)


class Companions:
    """Multiples of what cannot be left out."""

    params = (list(CASES), list(SIZES))
    param_names = ("case", "n")

    def track_over_memcpy(self, case: str, n: int) -> float:
        """How many times a copy of the input."""
        x = normal(CASES[case].dtype, n)
        return ratio(rounding(case, x), copying(x))

    track_over_memcpy.unit = "copies"  # type: ignore[attr-defined]


class Words:
    """Multiples of drawing the words alone, 16 bits an element."""

    params = (STOCHASTIC, list(SIZES))
    param_names = ("case", "n")

    def track_over_words(self, case: str, n: int) -> float:
        """How many times `pysr.Philox`."""
        return ratio(rounding(case, normal(CASES[case].dtype, n)), drawing(pysr.Philox(7), n))

    def track_over_numpy_words(self, case: str, n: int) -> float:
        """How many times NumPy's Philox."""
        source = np.random.Philox(7)
        return ratio(rounding(case, normal(CASES[case].dtype, n)), drawing(source, n))

    track_over_words.unit = track_over_numpy_words.unit = "draws"  # type: ignore[attr-defined]


class Keystream:
    """The words themselves."""

    params = (list(SIZES),)
    param_names = ("n",)

    def track_numpy_over_pysr(self, n: int) -> float:
        """NumPy's Philox, in multiples of this one."""
        return ratio(drawing(np.random.Philox(7), n), drawing(pysr.Philox(7), n))

    track_numpy_over_pysr.unit = "times pysr"  # type: ignore[attr-defined]


class Threads:
    """One thread against two."""

    params = (FEW, list(SIZES))
    param_names = ("case", "n")

    def setup(self, case: str, n: int) -> None:
        """Two threads on one processor show nothing."""
        if (os.cpu_count() or 1) < 2:
            raise NotImplementedError("one processor")

    def track_one_over_two(self, case: str, n: int) -> float:
        """How many times quicker two threads are."""
        x = normal(CASES[case].dtype, n)
        return ratio(rounding(case, x, 1), rounding(case, x, 2), 0.5)

    track_one_over_two.unit = "times"  # type: ignore[attr-defined]


def every_second(n: int, dtype: str) -> tuple[Array, Array]:
    """Every second element, into a dense array."""
    return normal(dtype, 2 * n)[::2], np.empty(n, dtype)


def backwards(n: int, dtype: str) -> tuple[Array, Array]:
    """From the last to the first, into a dense array."""
    return normal(dtype, n)[::-1], np.empty(n, dtype)


def fortran(n: int, dtype: str) -> tuple[Array, Array]:
    """Both in Fortran order."""
    x, y = transposed(n, dtype)
    return x, np.asfortranarray(y)


def transposed(n: int, dtype: str) -> tuple[Array, Array]:
    """From Fortran order to C order."""
    rows = {10_000: 100, 1_000_000: 1000, 10_000_000: 2500}[n]
    x = normal(dtype, n).reshape(-1, rows).T
    return x, np.empty(x.shape, dtype)


LAYOUTS = {
    "x[::2]": every_second,
    "x[::-1]": backwards,
    "Fortran order": fortran,
    "transposed": transposed,
}


class Layouts:
    """Other layouts than dense arrays in C order."""

    params = (list(LAYOUTS), ["float32 to bfloat16, sr", "float64 to bfloat16, sr"], list(SIZES))
    param_names = ("layout", "case", "n")

    def setup(self, layout: str, case: str, n: int) -> None:
        """Make the arrays."""
        self.x, self.y = LAYOUTS[layout](n, CASES[case].dtype)

    def track_over_dense(self, layout: str, case: str, n: int) -> float:
        """How many times a dense array of as many elements."""
        dense = rounding(case, normal(CASES[case].dtype, n))
        return ratio(CASES[case].call(self.x, self.y), dense)

    def track_over_copy(self, layout: str, case: str, n: int) -> float:
        """How many times NumPy's copy between the same layouts."""
        return ratio(CASES[case].call(self.x, self.y), lambda: np.copyto(self.y, self.x))

    track_over_dense.unit = "times dense"  # type: ignore[attr-defined]
    track_over_copy.unit = "copies"  # type: ignore[attr-defined]


class Special:
    """Whole arrays of one kind against normal deviates."""

    params = (list(KINDS), list(CASES))
    param_names = ("kind", "case")

    def track_over_normal(self, kind: str, case: str) -> float:
        """How many times 10,000 normal deviates."""
        dtype = CASES[case].dtype
        inputs = (special_input(kind, dtype, 10_000), normal(dtype, 10_000))
        one, other = (rounding(case, x) for x in inputs)
        return ratio(one, other, 0.15)

    track_over_normal.unit = "times normal"  # type: ignore[attr-defined]


class Overhead:
    """One element: `out`, format object, stream and one thread given."""

    params = ([*FEW, "float32 to bfloat16, rne", "np.copyto"],)
    param_names = ("case",)

    def track_microseconds(self, case: str) -> float:
        """For one call."""
        x = normal("float32" if case == "np.copyto" else CASES[case].dtype, 1)
        call = partial(np.copyto, np.empty_like(x), x)
        (seconds,) = fastest([call if case == "np.copyto" else rounding(case, x)], 0.3, 100)
        return 1e6 * seconds

    track_microseconds.unit = "µs"  # type: ignore[attr-defined]
