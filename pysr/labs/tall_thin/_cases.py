"""Cases of the lab tall-thin: a matrix, a format, and what is measured of both."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

import pysr
from pysr.labs._frame import Choice, Draw, Rounding, Seeds, Setup, format_name, stream
from pysr.labs.tall_thin._matrices import Make, Matrix, spectrum
from pysr.linalg import theory


@dataclasses.dataclass(frozen=True)
class Case:
    """A set-up with what its rows and figures need to know."""

    setup: Setup
    what: str
    fmt: Any
    n: int
    d: int
    mode: str
    applies: bool

    @property
    def step(self) -> float:
        """The spacing of a uniform grid, else NaN."""
        return step(self.fmt)

    @property
    def tag(self) -> str:
        """The format, as short as can be."""
        return tag(self.fmt)

    @property
    def key(self) -> str:
        """The set-up's key, with which the ids of its rows begin."""
        return self.setup.key


def tag(fmt: Any) -> str:
    """Name a format, a grid by its step alone."""
    return format_name(fmt).removeprefix("grid:")


def step(fmt: Any) -> float:
    """The spacing of a uniform grid, else NaN."""
    return float(getattr(fmt, "step", math.nan))


def digits(fmt: Any) -> int:
    """p where the grid is 10^-p, else 0."""
    spacing = step(fmt)
    count = round(-math.log10(spacing)) if spacing < 1 else 0
    return count if spacing == float(Fraction(1, 10**count)) else 0


def generator(seed: int, key: str) -> np.random.Generator:
    """The generator that makes the matrix."""
    return np.random.Generator(pysr.Philox(seed, stream=stream(key, "matrix")))


def rounded(a: Matrix, fmt: Any, rounding: Rounding, seed: int, *names: object) -> Matrix:
    """Round a matrix by the chosen mode, on a stream of its own."""
    rng = pysr.Philox(seed, stream=stream(*names, "rounding"))
    return np.asarray(pysr.round(a, fmt, rounding.mode, rng=rng, eps=rounding.eps), np.float64)


def spectra(a: Matrix, fmt: Any, rounding: Rounding, seed: int, key: str) -> Draw:
    """Singular values before rounding, after rounding to nearest, and as chosen."""
    return {
        "before": spectrum(a),
        "nearest": spectrum(np.asarray(pysr.round(a, fmt, "rne"), np.float64)),
        "rounded": spectrum(rounded(a, fmt, rounding, seed, key)),
    }


class Bench:
    """Makes cases under one choice: with the formats of a family, or the one that was chosen."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice
        self.rounding = choice.arithmetic["rounding"]

    def formats(self, family: Sequence[str]) -> Iterator[tuple[Any, bool]]:
        """Formats, and whether expectations are for the chosen rounding to them."""
        own = [pysr.format(name) for name in family]
        chosen = self.rounding.fmt
        for fmt in own if chosen is None else [chosen]:
            yield fmt, self.rounding.mode == "sr" and fmt in own

    def case(
        self,
        family: str,
        label: str,
        fmt: Any,
        applies: bool,
        make: Make,
        shape: tuple[int, int],
        seeds: Seeds,
        measure: Callable[[Matrix, Any, Rounding, int, str], Draw],
    ) -> Case:
        """Set up a matrix, a format and what is measured of both."""
        key = f"{family}-{tag(fmt)}"
        n, d = shape

        def unit(seed: int) -> Draw:
            return measure(make(generator(seed, key)), fmt, self.rounding, seed, key)

        setup = Setup(key, f"{label}, {n} x {d}, {format_name(fmt)}", seeds, unit)
        return Case(setup, label, fmt, n, d, self.rounding.mode, applies)


def against_scale(a: Matrix, fmt: Any, rounding: Rounding, seed: int, key: str) -> Draw:
    """The same, and R sqrt(n nu)."""
    return {
        **spectra(a, fmt, rounding, seed, key),
        "scale": theory.lift_scale(a, fmt),
    }


def against_prediction(a: Matrix, fmt: Any, rounding: Rounding, seed: int, key: str) -> Draw:
    """The same, and prediction 1."""
    return {
        **against_scale(a, fmt, rounding, seed, key),
        "predicted": theory.predicted_lift(a, fmt),
    }


def least_values(a: Matrix, fmt: Any, rounding: Rounding, seed: int, key: str) -> Draw:
    """What `against_prediction` finds, of the spectra the last values alone."""
    draw = against_prediction(a, fmt, rounding, seed, key)
    return draw | {kind: draw[kind][-1:] for kind in ("before", "nearest", "rounded")}


def with_variance(a: Matrix, fmt: Any, rounding: Rounding, seed: int, key: str) -> Draw:
    """Spectra, R sqrt(n nu), and nu."""
    return {
        **against_scale(a, fmt, rounding, seed, key),
        "variance": theory.normalized_variance(a, fmt),
    }


def growth(a: Matrix, fmt: Any, rounding: Rounding, seed: int, key: str) -> Draw:
    """How much sigma_min grows when n does, the singular values of A staying as they are."""
    stacked = np.tile(a, (10, 1)) / math.sqrt(10)
    before, after = spectrum(a), spectrum(stacked)
    small, large = (
        spectra(matrix, fmt, rounding, seed, f"{key}-{which}")
        for matrix, which in ((a, "small"), (stacked, "large"))
    )
    return {
        "change": float(np.abs(after - before).max() / before[0]),
        "rounded": large["rounded"][-1] / small["rounded"][-1],
        "nearest": large["nearest"][-1] / small["nearest"][-1],
    }
