"""What the lab biased-descent measures: roundings, walks, descents."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import pysr
from pysr.labs._figures import extra
from pysr.labs._frame import Draw, stream
from pysr.labs.biased_descent._study import Arithmetic
from pysr.optim import DescentResult, bounds, gradient_descent, problems

# NDArray spelled out: stubtest looks for a class, and from NumPy 2.5 on it is none.
Array = np.ndarray[tuple[Any, ...], np.dtype[np.float64]]
Measure = Callable[[int], Draw]

U = 2.0**-8
WALKS = "Q7.8"  # the format of walks, quadratic and test functions


def generator(seed: int, *names: object) -> np.random.Generator:
    """The generator of starting points and the like, the same for every arithmetic."""
    return np.random.Generator(pysr.Philox(seed, stream=stream(*names)))


def philox(seed: int, *names: object) -> pysr.Philox:
    """The stream that roundings draw from."""
    return pysr.Philox(seed, stream=stream(*names, "rounding"))


def inside(x: Array, fmt: Any) -> Array:
    """Points within the range of a format, in case another one was chosen."""
    return np.clip(x, fmt.min, fmt.max)


# ---------------------------------------------------------------------------------------------
# Roundings, steps


def moments(mode: str, eps: float, draws: int) -> Measure:
    """Errors of the moments of one rounding, at points of both signs, clipped and not."""
    fractions = np.array([0.0, 1 / 16, 0.1, 0.3, 0.5, 0.75, 0.9, 15 / 16])
    points = np.concatenate([3 + fractions, -3 - fractions, fractions, -fractions]) * U
    directions = (-1.0, 1.0) if mode == "sr_signed" else (0.0,)

    def measure(seed: int) -> Draw:
        bias, variance = [], []
        for v in directions:
            options: dict[str, Any] = {"direction": v} if mode == "sr_signed" else {}
            rng = philox(seed, "moments", mode, eps, v)
            theory = bounds.rounding_moments(points, U, mode, eps, v)
            for x, mean, square in zip(points, *theory, strict=True):
                found = pysr.round(np.full(draws, x), WALKS, mode, rng=rng, eps=eps, **options)
                bias.append((np.mean(found - x) - mean) / U)
                variance.append((np.var(found) - square) / U**2)
        return {"bias": bias, "variance": variance}

    return measure


def cases(arithmetic: Arithmetic, runs: int) -> Measure:
    """Shares of coordinates that a step moves, against abs(t g) / u; product rounded, or both."""
    t = 0.25
    r = np.concatenate([2.0 ** np.arange(-5, 2.01, 0.25), [0.51, 0.99, 1.01]])
    g = np.sort(r) * U / t * np.where(np.arange(len(r)) % 2, 1, -1)

    def measure(seed: int) -> Draw:
        draw: Draw = {"gradient": g, "step": t}
        options = arithmetic.options(WALKS)
        for name, own in (("product", {"gradient": None}), ("both", {})):
            result = gradient_descent(
                lambda x: np.broadcast_to(g, x.shape), np.zeros(len(g)), t, 1, runs=runs, every=0,
                rng=philox(seed, "cases", arithmetic.name, name),
                **options | {"roundings": options["roundings"] | own},
            )  # fmt: skip
            draw[name] = np.mean(result.x != 0, axis=0)
            draw[f"{name}_length"] = np.mean(np.abs(result.x), axis=0) / U
        return draw

    return measure


def one_step(eps: float, runs: int, at: Sequence[int]) -> Measure:
    """Values after one step with a rounded product, from points that exact descent goes through."""
    t = 0.25
    rounding = (WALKS, "sr_eps", eps) if eps else (WALKS, "sr")

    def measure(seed: int) -> Draw:
        problem, x0 = quadratic(seed, on_grid=True)
        start = pysr.round(x0, WALKS, "rne")
        path = gradient_descent(problem, start, t, max(at) + 1, record="x").history["x"]
        draw: Draw = {"mean": [], "deviation": [], "bound": [], "tighter": []}
        for k in at:
            x = pysr.round(path[k], WALKS, "rne")
            after = gradient_descent(
                problem, x, t, 1, roundings={"product": rounding, "update": (WALKS, "rne")},
                runs=runs, every=0, rng=philox(seed, "one-step", eps, k),
            ).fun  # fmt: skip
            before, g = float(problem.value(x)), problem.gradient(x)
            bound = float(bounds.step_bound(before, g, t, 1.0, U, eps))
            draw["mean"].append(np.mean(after))
            draw["deviation"].append(np.std(after) / math.sqrt(runs))
            draw["bound"].append(bound)
            draw["tighter"].append(int(bounds.sr_eps_is_tighter(g, t, 1.0, U, eps)))
        return draw

    return measure


def walk(arithmetic: Arithmetic, c: float, start: int, runs: int) -> Measure:
    """Steps until f = x^2 / 2 is minimized, from `start` spacings, by steps of c."""
    eps = 0.0 if arithmetic.roles is None else arithmetic.roles["product"].eps
    mean = bounds.absorption_time(c, start, eps)
    limit = math.ceil(mean + 16 * math.sqrt(bounds.absorption_variance(c, start, eps))) + 1
    if arithmetic.name == "rne":
        limit = 2 * start  # where it moves, it moves in every step

    def measure(seed: int) -> Draw:
        result = gradient_descent(
            problems.Quadratic([1.0]), [start * U], c, limit, gtol=0.0, runs=runs, every=0,
            rng=philox(seed, "walk", arithmetic.name, c, start), **arithmetic.options(WALKS),
        )  # fmt: skip
        times, counts = np.unique(result.nit, return_counts=True)
        return {
            "mean": np.mean(result.nit),
            "deviation": np.std(result.nit),
            "times": times,
            "counts": counts,
            "arrived": np.mean(result.success),
            "last": np.unique(result.x / U),
        }

    return measure


# ---------------------------------------------------------------------------------------------
# Descents


def _frozen(result: DescentResult) -> Any:
    """From which step on nothing moves; the history is of every step."""
    moved = np.asarray(result.history["moved"])
    return np.argmax(moved == moved[-1], axis=0)


def quadratic(seed: int, on_grid: bool) -> tuple[problems.Quadratic, Array]:
    """Eigenvalues from 1e-2 to 1, the minimizer and a start in (-8, 8)."""
    points = generator(seed, "quadratic")
    x0, minimizer = points.uniform(-8, 8, 100), points.uniform(-8, 8, 100)
    if on_grid:
        minimizer = np.asarray(pysr.round(minimizer, WALKS, "rne"))
    return problems.Quadratic(np.logspace(-2, 0, 100), minimizer), x0


def quadratic_descent(arithmetic: Arithmetic, on_grid: bool, steps: int) -> Measure:
    """Values every ten steps; the minimum on the grid is that of the nearest point."""

    def measure(seed: int) -> Draw:
        problem, x0 = quadratic(seed, on_grid)
        result = gradient_descent(
            problem, inside(x0, arithmetic.format(WALKS)), 0.25, steps, every=10,
            rng=philox(seed, "quadratic", on_grid, arithmetic.name), record=("value", "moved"),
            **arithmetic.options(WALKS),
        )  # fmt: skip
        nearest = pysr.round(problem.minimizer, WALKS, "rne")
        return {
            "step": result.history["step"],
            "value": result.history["value"],
            "moved": result.history["moved"],
            "best": problem.value(nearest),
            "bound": bounds.sr_bound(
                result.history["step"], result.history["value"][0], 0.25, 1.0, 0.01, 100, U,
                gradient_u=U,
            ),
            "saturated": _saturated(result),
        }  # fmt: skip

    return measure


def _useful(arithmetic: Arithmetic, runs: int) -> int:
    """How many runs to make: where nothing is drawn, they are all the same."""
    return runs if arithmetic.roles is not None and arithmetic.name != "rne" else 1


def _saturated(result: DescentResult) -> int:
    return int(sum(np.sum(count) for count in result.saturated.values()))


def nonconvex_descent(arithmetic: Arithmetic, runs: int, steps: int) -> Measure:
    """Mean values of x^2 + 3 sin^2 x in ten dimensions, beside the bound."""
    problem, t, fmt = problems.pl_nonconvex(10), 2.0**-4, WALKS

    def measure(seed: int) -> Draw:
        x0 = np.asarray(pysr.round(generator(seed, "nonconvex").uniform(-4, 4, 10), fmt, "rne"))
        result = gradient_descent(
            problem, inside(x0, arithmetic.format(fmt)), t, steps, every=10,
            runs=_useful(arithmetic, runs), rng=philox(seed, "nonconvex", arithmetic.name),
            **arithmetic.options(fmt),
        )  # fmt: skip
        step = result.history["step"]
        gap = float(problem.value(x0))
        bound = bounds.sr_bound(step, gap, t, 8.0, 1 / 32, 10, U, gradient_u=U)
        return {"step": step, "value": np.mean(result.history["value"], axis=1), "bound": bound}

    return measure


def cells() -> problems.Problem:
    """Logistic regression on the breast-cancer data, standardized, with a column of ones."""
    datasets = extra("sklearn.datasets", "scikit-learn", "the logistic regression")
    x, y = datasets.load_breast_cancer(return_X_y=True)
    standard = (x - x.mean(axis=0)) / x.std(axis=0)
    return problems.logistic_regression(np.column_stack([standard, np.ones(len(x))]), y)


_cells = functools.lru_cache(maxsize=1)(cells)


def logistic_descent(arithmetic: Arithmetic) -> Measure:
    """Losses of every step."""

    def measure(seed: int) -> Draw:
        result = gradient_descent(
            _cells(), step=2.0**-4, steps=300, record=("value", "moved"),
            rng=philox(seed, "logistic", arithmetic.name), **arithmetic.options("Q1.6"),
        )  # fmt: skip
        return {
            "step": result.history["step"],
            "value": result.history["value"],
            "frozen": _frozen(result),
            "saturated": _saturated(result),
        }

    return measure


FUNCTIONS = {"rosenbrock": problems.rosenbrock, "himmelblau": problems.himmelblau}


def plane_descent(arithmetic: Arithmetic, name: str, runs: int, steps: int, every: int) -> Measure:
    """Last values of all runs in two dimensions, and the way of the first."""

    def measure(seed: int) -> Draw:
        result = gradient_descent(
            FUNCTIONS[name](), step=2.0**-10, steps=steps,
            runs=_useful(arithmetic, runs), every=every,
            rng=philox(seed, name, arithmetic.name), record=("value", "x"),
            **arithmetic.options(WALKS),
        )  # fmt: skip
        return {
            "step": result.history["step"],
            "way": result.history["x"][:, 0],
            "value": np.median(result.history["value"], axis=1),
            "last": result.fun,
            "saturated": _saturated(result),
        }

    return measure


def overflow_descent(arithmetic: Arithmetic, fmt: str, overflow: str | None, steps: int) -> Measure:
    """Himmelblau's function from (4, 4), where the gradient is (170, 226)."""
    options: dict[str, Any] = {} if overflow is None else {"overflow": overflow}
    start = inside(np.array([4.0, 4.0]), arithmetic.format(fmt))

    def measure(seed: int) -> Draw:
        def descend(count: int) -> DescentResult:
            return gradient_descent(
                problems.himmelblau(), start, 2.0**-10, count, record=("value", "x"),
                rng=philox(seed, "overflow", fmt, overflow),
                **arithmetic.options(fmt, **options),
            )  # fmt: skip

        first, result = descend(1), descend(steps)
        rule = "wrapped" if overflow == "wrap" else "saturated"
        return {
            "step": result.history["step"],
            "way": result.history["x"],
            "value": result.history["value"],
            "change": first.x - start,
            "first": first[rule]["gradient"],
            "all": result[rule]["gradient"],
            "rest": sum(result[rule].values()) - result[rule]["gradient"],
        }

    return measure


# ---------------------------------------------------------------------------------------------
# The network


def digits() -> problems.Network:
    """A network with biases, on 1,500 of the 1,797 digits: pixels in units of 16, centred."""
    datasets = extra("sklearn.datasets", "scikit-learn", "the network")
    x, y = datasets.load_digits(return_X_y=True)
    chosen = generator(0, "digits").permutation(len(x))[:1500]
    pixels = x[chosen] / 16
    return problems.network(pixels - pixels.mean(axis=0), y[chosen], hidden=(32, 32, 32))


_digits = functools.lru_cache(maxsize=1)(digits)


def network_descent(arithmetic: Arithmetic, fmt: str, t: float) -> Measure:
    """Losses every ten steps, and the share of weights that still move in the last fifty steps."""

    def measure(seed: int) -> Draw:
        network = _digits()
        x0 = network.random_start(generator(seed, "network"))
        result = gradient_descent(
            network, inside(x0, arithmetic.format(fmt)), t, 300, every=10,
            record=("value", "moved"), rng=philox(seed, "network", fmt, arithmetic.name),
            **arithmetic.options(fmt),
        )  # fmt: skip
        moved = result.history["moved"]
        return {
            "step": result.history["step"],
            "value": result.history["value"],
            "moving": (moved[-1] - moved[-6]) / (50 * network.size),
            "saturated": _saturated(result),
        }

    return measure
