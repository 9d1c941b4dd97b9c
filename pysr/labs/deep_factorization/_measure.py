"""What the lab deep-factorization measures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import pysr
from pysr.labs._frame import Draw, Rounding, stream
from pysr.optim import bounds, deep_matrix_factorization

# NDArray spelled out: stubtest looks for a class, and from NumPy 2.5 on it is none.
Matrix = np.ndarray[tuple[Any, ...], np.dtype[np.float64]]
Measure = Callable[[int], Draw]

STEP = 0.01
BASE = (4.0, 2.0, 1.0, 0.5, *[0.0] * 6)
ALPHAS = {2: 0.01, 3: 0.1, 4: 0.2}
SIGNED = (3.0, 1.0, -1.0, -2.0)
PLAIN = Rounding(None, "rne")  # float64


def generator(seed: int, *names: object) -> np.random.Generator:
    """Random numbers of a seed, for a use that has a name."""
    return np.random.Generator(pysr.Philox(seed, stream=stream("deep-factorization", *names)))


def symmetric(spectrum: Sequence[float], seed: int) -> Matrix:
    """A matrix with these eigenvalues and a random eigenbasis, which a seed and a size share."""
    n = len(spectrum)
    basis, r = np.linalg.qr(generator(seed, "basis", n).standard_normal((n, n)))
    basis *= np.sign(np.diag(r))
    return np.asarray((basis * np.array(spectrum)) @ basis.T, np.float64)


def weights(rounding: Rounding, seed: int, *names: object) -> dict[str, Any]:
    """How `deep_matrix_factorization` is told to round weights, on a stream of its own."""
    if rounding.fmt is None:
        return {}
    rng = pysr.Philox(seed, stream=stream(*names, "rounding"))
    return {"fmt": rounding.fmt, "mode": rounding.mode, "eps": rounding.eps, "rng": rng}


def start_of(names: object, seed: int, n: int, depth: int, scale: float) -> list[Matrix]:
    """Random factors, the same whatever weights are rounded by."""
    numbers = generator(seed, names, "start").standard_normal((depth, n, n))
    return list(numbers * (scale / math.sqrt(n)))


def crossings(spectrum: Matrix, goals: Sequence[float] | Matrix) -> list[int]:
    """The first steps at which the leading entries of the spectrum reach their goals; -1: never."""
    reached = np.asarray(spectrum)[:, : len(goals)] >= np.asarray(goals)
    first = reached.argmax(axis=0)
    return [int(k) if reached[k, i] else -1 for i, k in enumerate(first)]


def base(depth: int, steps: int) -> Measure:
    """The base case in float64: against the scalar recursion, and against predicted times."""
    alpha, positive = ALPHAS[depth], [value for value in BASE if value > 0]

    def measure(seed: int) -> Draw:
        target = symmetric(BASE, seed)
        options: dict[str, Any] = {"step": STEP, "steps": steps, "alpha": alpha}
        found = deep_matrix_factorization(target, depth, **options)
        scalar = deep_matrix_factorization(
            np.array(BASE), depth, method="scalar", record=["spectrum"], **options
        )
        spectrum, rank = found.history["spectrum"], found.history["effective_rank"]
        half = crossings(spectrum, [value / 2 for value in positive])
        seen = crossings(spectrum, [0.01 * value for value in positive])
        known = crossings(spectrum, [0.99 * value for value in positive])
        times = [bounds.recovery_time(value, alpha, depth) / STEP for value in positive]
        sharp = [bounds.recovery_steps(value, alpha, depth, STEP) for value in positive]
        plateaus = []
        for level in (1, 2, 3):
            first, last = bounds.recovery_plateau(BASE, alpha, depth, STEP, level)
            inside = rank[first : int(last) + 1]
            best = sum(positive[:level]) / positive[0]
            plateaus.append(
                {
                    "predicted": [first, last],
                    "measured": [known[level - 1], seen[level]],
                    "rank": [*np.percentile(inside, [0, 100]) / best] if first <= last else [],
                }
            )
        fixed = {f"{a}..{b}": [rank[a : b + 1].min(), rank[a : b + 1].max()]
                 for a, b in ((326, 451), (660, 754))}  # fmt: skip
        return {
            "scalar": np.abs(spectrum - scalar.history["spectrum"]).max(),
            "lag": np.subtract(half, times),
            "sharp": np.subtract(half, sharp),
            "half": half,
            "plateaus": plateaus,
            "fixed": fixed,
            "step": found.history["step"][::10],
            "spectrum": spectrum[::10, : len(positive)],
            "rank": rank[::10],
        }

    return measure


# Ranges of alpha, and how many times the step that is used goes into the limit.
OTHERS = {2: (0.005, 0.1), 3: (0.05, 0.2), 4: (0.15, 0.3), 5: (0.25, 0.4)}


def other_spectra(depth: int) -> Measure:
    """Half-times of a random spectrum, from a random start, with a random step."""

    def measure(seed: int) -> Draw:
        numbers = generator(seed, "spectrum", depth)
        spectrum = np.sort(np.exp(numbers.uniform(math.log(0.5), math.log(5), 5)))[::-1]
        alpha = numbers.uniform(*OTHERS[depth])
        limit = bounds.recovery_step_limit(spectrum[0], depth)
        step = limit * numbers.uniform(0.05, 0.2)
        sharp = [bounds.recovery_steps(value, alpha, depth, step) for value in spectrum]
        found = deep_matrix_factorization(
            symmetric(spectrum.tolist(), seed), depth, step=step, steps=math.ceil(max(sharp)) + 10,
            alpha=alpha, record=["spectrum"],
        )  # fmt: skip
        half = crossings(found.history["spectrum"], spectrum / 2)
        times = [bounds.recovery_time(value, alpha, depth) / step for value in spectrum]
        return {
            "spectrum": spectrum,
            "half": half,
            "times": times,
            "lag": np.subtract(half, times),
            "sharp": np.subtract(half, sharp),
        }

    return measure


def step_limit(depth: int, part: float, steps: int) -> Measure:
    """The base case with a step that is so much of the limit."""

    def measure(seed: int) -> Draw:
        step = part * bounds.recovery_step_limit(BASE[0], depth)
        found = deep_matrix_factorization(
            symmetric(BASE, seed), depth, step=step, steps=steps, alpha=ALPHAS[depth],
            record=["spectrum"],
        )  # fmt: skip
        last = found.history["spectrum"][-100:, 0]
        off = np.abs(last / BASE[0] - 1)
        return {"least": off.min(), "most": off.max()}

    return measure


def perturbed(depth: int, steps: int) -> Measure:
    """A spectrum with negative eigenvalues, whose last factor begins with (alpha - beta) I."""

    def measure(seed: int) -> Draw:
        found = deep_matrix_factorization(
            symmetric(SIGNED, seed), depth, step=STEP, steps=steps, start="perturbed", alpha=0.2,
            beta=0.05, every=20,
        )  # fmt: skip
        last = np.abs(found.history["spectrum"][-1] - found.target_spectrum)
        return {
            "off": last.max(),
            "step": found.history["step"],
            "spectrum": found.history["spectrum"],
        }

    return measure


def from_random(rounding: Rounding, key: str, steps: int) -> Measure:
    """Full observation from a random start."""

    def measure(seed: int) -> Draw:
        found = deep_matrix_factorization(
            symmetric((4.0, 2.0, 1.0, *[0.0] * 17), seed), 3, step=STEP, steps=steps,
            start=start_of("random", seed, 20, 3, 0.05), record=["error", "effective_rank"],
            **weights(rounding, seed, key),
        )  # fmt: skip
        rank = found.history["effective_rank"]
        rest = rank[rank.argmin() :]
        return {
            "least": rank.min(),
            "final": rank[-1],
            "error": found.history["error"][-1],
            "drop": -np.diff(rest).min(initial=0.0),
            "below": (np.maximum.accumulate(rest) - rest).max(),
            "step": found.history["step"][::20],
            "rank": rank[::20],
        }

    return measure


def sensed(seed: int, symmetrised: bool) -> tuple[Matrix, Matrix, Matrix]:
    """A matrix of rank 2, Gaussian measurements of it, and their values."""
    n, m = 20, 160
    truth = symmetric((3.0, 1.0, *[0.0] * (n - 2)), seed)
    measurements = generator(seed, "measurements").standard_normal((m, n, n)) / math.sqrt(m)
    if symmetrised:
        measurements = (measurements + measurements.transpose(0, 2, 1)) / 2
    return truth, measurements, np.tensordot(measurements, truth, 2)


def sensing(
    start: str, rounding: Rounding, key: str, steps: int, symmetrised: bool = False
) -> Measure:
    """Matrix sensing, beside the least-squares solution of least norm."""

    def measure(seed: int) -> Draw:
        truth, measurements, values = sensed(seed, symmetrised)
        begin: dict[str, Any] = {"start": "identical", "alpha": 0.03}
        if start == "random":
            begin = {"start": start_of("sensing", seed, 20, 3, 0.1)}
        found = deep_matrix_factorization(
            values, 3, step=STEP, steps=steps, measurements=measurements, truth=truth, every=20,
            **begin, **weights(rounding, seed, key),
        )  # fmt: skip
        rows = measurements.reshape(len(values), -1)
        least = np.linalg.lstsq(rows, values)[0].reshape(truth.shape)
        off = found.product - truth
        return {
            "error": found.history["error"][-1],
            "least_rank": found.history["effective_rank"].min(),
            "final": found.history["effective_rank"][-1],
            "norm": np.linalg.norm(least - truth) / np.linalg.norm(truth),
            "antisymmetric": np.linalg.norm(off - off.T) / 2 / np.linalg.norm(off),
            "step": found.history["step"],
            "errors": found.history["error"],
            "rank": found.history["effective_rank"],
        }

    return measure


def rounded(rounding: Rounding, key: str, steps: int) -> Measure:
    """The base case with three factors, weights rounded."""
    positive = [value for value in BASE if value > 0]

    def measure(seed: int) -> Draw:
        found = deep_matrix_factorization(
            symmetric(BASE, seed), 3, step=STEP, steps=steps, alpha=ALPHAS[3], every=10,
            record=["error", "effective_rank", "singular_values"], **weights(rounding, seed, key),
        )  # fmt: skip
        return {
            "ratios": found.history["singular_values"][-1][: len(positive)] / positive,
            "error": found.history["error"][-1],
            "moved": found.counts["moved"],
            "least_rank": found.history["effective_rank"].min(),
            "step": found.history["step"],
            "rank": found.history["effective_rank"],
        }

    return measure


def threshold(fmt: Any, depth: int, alpha: float, rounding: Rounding, steps: int) -> Measure:
    """What is learned of eigenvalues around the threshold, to nearest and as chosen."""

    def measure(seed: int) -> Draw:
        predicted = bounds.recovery_threshold(fmt, alpha, depth, STEP)
        around = predicted * np.linspace(0.9, 1.1, 401)
        draw: Draw = {"predicted": predicted, "over": around / predicted}
        for name, chosen in (("nearest", Rounding(fmt, "rne")), ("rounded", rounding)):
            found = deep_matrix_factorization(
                around, depth, step=STEP, steps=steps, alpha=alpha, method="scalar", every=0,
                **weights(chosen, seed, "threshold", pysr.format(fmt).name, depth),
            )  # fmt: skip
            draw[name] = found.product / around
        learned = draw["nearest"] > 0.5
        draw["below"] = draw["nearest"][around < predicted].max()
        draw["above"] = draw["nearest"][around > predicted].min()
        draw["least"] = around[learned].min() if learned.any() else math.nan
        return draw

    return measure


def escape(depth: int, rounding: Rounding, window: tuple[float, float], steps: int) -> Measure:
    """How factors that should remain equal move apart; the rate between two distances.

    To nearest every operation is rounded: weights alone, rounded the same way, would stay equal.
    """

    def measure(seed: int) -> Draw:
        options: dict[str, Any] = {}
        if rounding.fmt is not None and rounding.mode == "rne":
            options["arithmetic"] = pysr.Arithmetic(rounding.fmt, "rne")
        elif rounding.fmt is not None:
            options = weights(rounding, seed, "escape", depth)
        found = deep_matrix_factorization(
            symmetric(SIGNED, seed), depth, step=STEP, steps=steps, alpha=0.2,
            record=["factors", "spectrum"], every=5, **options,
        )  # fmt: skip
        factors = found.history["factors"]
        apart = np.linalg.norm(factors[0] - factors[-1], axis=(-2, -1))
        time = STEP * found.history["step"]
        low, high = (int(np.argmax(apart > edge)) for edge in window)
        spectrum = found.history["spectrum"]
        visible = (spectrum.min(axis=1) < -0.01).nonzero()[0]
        rate = math.nan
        if 0 < low < high:
            rate = math.log(apart[high] / apart[low]) / (time[high] - time[low])
        return {
            "rate": rate,
            "visible": time[visible[0]] if len(visible) else math.nan,
            "time": time[::2],
            "apart": apart[::2],
        }

    return measure


def stopped(rounding: Rounding, rank: int, where: str, key: str) -> Measure:
    """The base case with four factors, stopped at a predicted plateau."""

    def measure(seed: int) -> Draw:
        found = deep_matrix_factorization(
            symmetric(BASE, seed), 4, step=STEP, steps=4000, alpha=ALPHAS[4], stop=(rank, where),
            **weights(rounding, seed, key),
        )  # fmt: skip
        kept = [value if i < rank else 0.0 for i, value in enumerate(BASE)]
        best = symmetric(kept, seed)
        return {
            "nit": found.nit,
            "rank": found.history["effective_rank"][-1] / bounds.effective_rank(kept),
            "distance": np.linalg.norm(found.product - best) / np.linalg.norm(best),
        }

    return measure
