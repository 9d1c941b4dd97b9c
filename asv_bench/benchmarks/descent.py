"""Steps of gradient descent: 10^6 coordinates of a diagonal quadratic, beside NumPy's recipe.

What bounds a coordinate of float32: 16 bytes of traffic and half a Philox block, 64 random bits;
with AVX-512 about 0.6 ns for these and as much for everything else. NumPy's recipe writes some
twenty arrays, and draws 32 bits by a generator of its own.

``python asv_bench/benchmarks/descent.py`` prints the table: nanoseconds a coordinate, the least of
many turns, all of them in turn.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import pysr
from pysr._core.descent import Rounder, descend, descend_diagonal

N = 10**6
U = np.float32(2.0**-8)
MOST = np.float32(2.0**15 - 1)
T = 0.25
EPS = np.float32(0.25)
RUNS = 4_000


def recipe(x: Any, generator: np.random.Generator) -> Any:
    """SR_eps to Q7.8, as the papers define it."""
    scaled = x / U
    down = np.floor(scaled)
    part = scaled - down
    up = np.clip(part + np.sign(x) * EPS, 0, 1)
    down += (generator.random(x.shape, np.float32) < up) & (part > 0)
    return np.clip(down, -MOST - 1, MOST) * U


class Problem:
    """A diagonal quadratic with its minimizer on the grid."""

    def __init__(self, dtype: Any = np.float32) -> None:
        rng = np.random.default_rng(1)
        self.start = (np.round(rng.uniform(-8, 8, N) * 256) / 256).astype(dtype)[None]
        self.minimizer = (np.round(rng.uniform(-8, 8, N) * 256) / 256).astype(dtype)
        self.spectrum = np.geomspace(0.01, 1, N).astype(dtype)
        self.x = self.start.copy()
        self.rounder, self.exact = Rounder("Q7.8", "sr_eps", 0.25), Rounder("Q7.8", "rne")
        self.generators = {
            "PCG64": np.random.Generator(np.random.PCG64(1)),
            "Philox": np.random.Generator(np.random.Philox(1)),
        }

    def step(self, threads: int | None = 1) -> None:
        """Take one step; None: on as many threads as there are by default."""
        how = self.rounder, self.rounder, self.exact
        descend_diagonal(self.x, self.spectrum, self.minimizer, T, *how, (1, 0, 0), threads=threads)

    def numpy(self, bits: str) -> None:
        """Take the same step by the recipe."""
        generator = self.generators[bits]
        g = recipe(self.spectrum * (self.x - self.minimizer), generator)
        self.x -= recipe(np.float32(T) * g, generator)

    def restart(self) -> None:
        """Put x back."""
        self.x[...] = self.start


def seconds(work: Any, *arguments: Any) -> float:
    """Of one run."""
    start = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - start


class Step:
    """One thread."""

    timeout = 300

    def setup(self) -> None:
        """Make the problem."""
        self.problem = Problem()

    def time_step(self) -> None:
        """One step, wherever the last one has led."""
        self.problem.step()

    def track_numpy_over_own(self) -> float:
        """How many times as long the quicker recipe takes."""
        times = table(self.problem, 5)
        return min(times["NumPy, PCG64"], times["NumPy, Philox"]) / times["step"]

    track_numpy_over_own.unit = "times own"  # type: ignore[attr-defined]


class ShortRuns:
    """4,000 runs of one coordinate."""

    def setup(self) -> None:
        """Make them."""
        self.rounder, self.exact = Rounder("Q3.8", "sr_eps", 0.25), Rounder("Q3.8", "rne")
        self.x = np.full((RUNS, 1), 0.25, np.float32)
        self.counts = np.zeros((RUNS, 5), np.uint64)

    def time_step(self) -> None:
        """One step of each."""
        how = self.rounder, self.rounder, self.exact
        descend(self.x, self.x, 2.0**-6, *how, (1, 0, 0), counts=self.counts, threads=1)


def table(problem: Problem, turns: int) -> dict[str, float]:
    """Seconds by what was done, again, as steps follow one another: the least of so many turns."""
    room, stream = np.empty_like(problem.start), pysr.Philox(1)
    work: dict[str, Callable[[], Any]] = {
        "step": problem.step,
        "step, all threads": lambda: problem.step(None),
        "64 bits of Philox each": lambda: stream.random_raw(N),
        "memcpy of x": lambda: np.copyto(room, problem.start),
        "NumPy, PCG64": lambda: problem.numpy("PCG64"),
        "NumPy, Philox": lambda: problem.numpy("Philox"),
    }
    least = dict.fromkeys(work, np.inf)
    for _ in range(turns):
        for name, job in work.items():
            problem.restart()
            job()
            least[name] = min(least[name], seconds(job))
    return least


def main() -> None:
    """Print the table."""
    for dtype in ("float32", "float64"):
        times = table(Problem(dtype), 30)
        for name, spent in times.items():
            print(f"{dtype}  {name:24} {spent / N * 1e9:8.3f} ns  {spent / times['step']:6.2f}")
    runs = ShortRuns()
    runs.setup()
    spent = min(seconds(runs.time_step) for _ in range(200))
    print(f"{RUNS} runs of one coordinate, a step of each: {spent / RUNS * 1e9:.1f} ns a run")


if __name__ == "__main__":
    main()
