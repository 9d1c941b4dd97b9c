"""Steps of all runs, whose weights are rounded."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.optimize import OptimizeResult

import pysr
from pysr._core.arithmetic import Counts, stream_of
from pysr._core.formats import Format
from pysr._core.philox import Philox
from pysr._core.rounding import Rng
from pysr._files import reporter
from pysr.arithmetic import Arithmetic
from pysr.array import made
from pysr.optim import _result as ends
from pysr.optim._factorization._models import Parts, Values
from pysr.optim._factorization._plan import Plan
from pysr.optim._factorization._result import FactorizationResult
from pysr.optim.bounds import recovery_step_limit


class Weights:
    """How weights are rounded: not at all, where the format is None."""

    def __init__(
        self,
        fmt: str | DTypeLike | Format | None,
        mode: str,
        eps: float,
        random_bits: int | str,
        variant: str,
        overflow: str | None,
    ) -> None:
        self.fmt = None if fmt is None else pysr.format(fmt)
        self.manner: dict[str, Any] = {
            "mode": mode,
            "eps": eps,
            "random_bits": random_bits,
            "variant": variant,
            "overflow": overflow,
        }
        self.signed = mode == "sr_signed"
        if self.fmt is not None:
            if not (self.fmt.signed and self.fmt.zero):
                raise ValueError(f"fmt={fmt!r} has not all of 0 and negative numbers")
            nothing = np.zeros(0)
            self(nothing, nothing, Philox(0), nothing)

    def __call__(self, x: Values, z: Values, stream: Philox, out: Values) -> None:
        """Round the updated weights z of one run, which were x."""
        if self.fmt is None:
            out[...] = z
            return
        direction = x - z if self.signed else None
        pysr.round(z, self.fmt, rng=stream, direction=direction, out=out, **self.manner)

    def nearest(self, x: Values, arithmetic: Arithmetic | None) -> Values:
        """The start, to nearest, in the format of the weights, else that of the arithmetic."""
        fmt = arithmetic.fmt if self.fmt is None and arithmetic is not None else self.fmt
        return x if fmt is None else np.asarray(pysr.round(x, fmt, "rne"), np.float64)


class Descent:
    """Descent of all runs."""

    def __init__(
        self, plan: Plan, weights: Weights, arithmetic: Any, runs: int | None, rng: Rng
    ) -> None:
        if not isinstance(arithmetic, (Arithmetic, type(None))):
            raise TypeError(f"arithmetic must be a pysr.Arithmetic, not {arithmetic!r}")
        if arithmetic is not None and arithmetic.mode == "sr_signed":
            raise ValueError("arithmetic has mode 'sr_signed', which needs directions")
        self.plan = plan
        self.problem, self.model = plan.problem, plan.problem.model
        self.weights = weights
        self.arithmetic = arithmetic
        self.runs = runs
        self.rng = stream_of(rng)
        count = 1 if runs is None else runs
        self.streams = _streams(self.rng, count)
        self.twins: list[Arithmetic] = []
        if arithmetic is not None:
            for stream in _streams(arithmetic.stream, count):
                twin = copy.copy(arithmetic)
                twin.stream, twin.counts = stream, Counts()
                self.twins.append(twin)
        self.alive = np.ones(count, bool)
        self.nit = np.zeros(count, np.int64)
        self.counts = {
            name: np.zeros(count, np.int64) for name in ("moved", "stagnated", "overflow")
        }

    def run(self) -> FactorizationResult:
        """Descend, and have `rng` and `arithmetic` go on from there."""
        with np.errstate(all="ignore"):
            result = self._descend()
        self.rng.state = self.streams[0].state
        if self.arithmetic is not None:
            self.arithmetic.stream.state = self.twins[0].stream.state
            for twin in self.twins:
                self.arithmetic.counts.add(twin.counts)
        return result

    def _descend(self) -> FactorizationResult:
        plan, alive = self.plan, self.alive
        x = np.stack([self.problem.begin(stream, r) for r, stream in enumerate(self.streams)])
        x = self.weights.nearest(x, self.arithmetic)
        y, z = np.empty_like(x), np.empty_like(x)
        now, later, updated = (self.model.parts(array) for array in (x, y, z))
        history = _History(plan, self.runs)
        ending = ends.DONE if plan.stopped is None else ends.TARGET
        k = 0
        with reporter(plan.progress, plan.last) as report:
            while alive.any():
                due = plan.every and (k % plan.every == 0 or k == plan.last)
                if due and history.take(k, x, now, alive):
                    ending = ends.STOPPED
                    break
                if k == plan.last:
                    break
                self._update(now, updated)
                _keep(x, z, alive)
                self._round(k, x, z, y)
                _keep(x, y, alive)
                self._count(x, z, y)
                x, y, now, later = y, x, later, now
                self.nit += alive
                k += 1
                report(k)
        return self._result(x, np.where(alive, ending, ends.DIVERGED), history)

    def _update(self, parts: Parts, updated: Parts) -> None:
        """One step of every run, before weights are rounded."""
        step = self.plan.step
        if not self.twins:
            for w, g, out in zip(parts, self.model.gradient(parts), updated, strict=True):
                np.subtract(w, step * g, out=out)
            return
        for r, twin in enumerate(self.twins):
            own = [made(w[r], twin) for w in parts]
            for v, g, out in zip(own, self.model.gradient(own), updated, strict=True):
                out[r] = (v - step * g).values

    def _round(self, k: int, x: Values, z: Values, y: Values) -> None:
        for r, stream in enumerate(self.streams):
            if not self.alive[r]:
                y[r] = x[r]
                continue
            try:
                self.weights(x[r], z[r], stream, y[r])
            except OverflowError as error:
                run = "" if self.runs is None else f" of run {r}"
                raise OverflowError(f"step {k}{run}: {error}") from None

    def _count(self, x: Values, z: Values, y: Values) -> None:
        moved = y != x
        self.counts["moved"] += moved.sum(axis=1)
        fmt = self.weights.fmt
        if fmt is not None:
            self.counts["stagnated"] += ((z != x) > moved).sum(axis=1)
            if z.max() > fmt.max or z.min() < fmt.min:
                self.counts["overflow"] += ((z > fmt.max) | (z < fmt.min)).sum(axis=1)

    def _result(self, x: Values, status: NDArray[Any], history: _History) -> FactorizationResult:
        one = self.runs is None
        state = x[0] if one else x
        messages = [self._message(int(s), int(n)) for s, n in zip(status, self.nit, strict=True)]
        return FactorizationResult(
            factors=self.model.factors(state),
            product=self.model.measure(self.model.parts(state), ("product",))["product"],
            nit=int(self.nit[0]) if one else self.nit,
            status=int(status[0]) if one else status,
            success=bool(self.alive[0]) if one else self.alive,
            message=messages[0] if one else np.array(messages),
            history=history.arrays(),
            target_spectrum=self.problem.spectrum,
            counts={name: int(n[0]) if one else n for name, n in self.counts.items()},
            seed=self.rng.seed,
            stream=self.rng.stream,
        )

    def _message(self, status: int, nit: int) -> str:
        if status == ends.TARGET:
            return f"stopped at {self.plan.stopped}"
        if status == ends.STOPPED:
            return f"ended by the callback after {nit} steps"
        if status == ends.DONE:
            return f"all {nit} steps were made"
        fmt = self.weights.fmt
        where = "" if fmt is None else f" in {fmt.name or fmt}"
        text = f"weights were no longer finite{where} after step {nit + 1}"
        spectrum, step = self.problem.spectrum, self.plan.step
        if spectrum is not None and spectrum.max() > 0:
            limit = recovery_step_limit(float(spectrum.max()), self.problem.depth)
            if step >= limit:
                text += f": step={step:g} is beyond the limit {limit:.4g}"
        return text


def _streams(stream: Philox, count: int) -> list[Philox]:
    """Copies of the streams from this one on, all at its block."""
    return [
        Philox(stream.seed, stream=stream.stream + r).advance(stream.position) for r in range(count)
    ]


def _keep(x: Values, y: Values, alive: NDArray[Any]) -> None:
    """Where weights are no longer finite, or have been so, put back those which were."""
    flat = y.ravel()
    if math.isfinite(flat @ flat) and alive.all():
        return
    alive &= np.isfinite(y).all(axis=1)
    y[~alive] = x[~alive]


class _History:
    """What is recorded, in arrays that are filled as descent goes on."""

    def __init__(self, plan: Plan, runs: int | None) -> None:
        self.plan, self.model, self.runs = plan, plan.problem.model, runs
        self.steps: list[int] = []
        self.values: dict[str, Values] = {}
        self.rows = plan.last // plan.every + 2 if plan.every else 0

    def take(self, k: int, x: Values, parts: Parts, alive: NDArray[Any]) -> bool:
        """Record; whether the callback wants to end it."""
        record = self.plan.record
        found = self.model.measure(parts, record)
        if "effective_rank" in record:
            sizes = found["singular_values"]
            found["effective_rank"] = sizes.sum(axis=-1) / sizes[..., 0]
        found["factors"] = x
        at = len(self.steps)
        self.steps.append(k)
        for name in record:
            if name not in self.values:
                self.values[name] = np.empty((self.rows, *found[name].shape))
            self.values[name][at] = found[name]
            self.values[name][at][~alive] = np.nan
        if self.plan.callback is None:
            return False
        shown = {name: self._of_runs(self.values[name][at]) for name in record}
        shown["factors"] = [np.array(w) for w in self.model.factors(self._of_runs(x))]
        try:
            self.plan.callback(OptimizeResult(nit=k, **shown))
        except StopIteration:
            return True
        return False

    def _of_runs(self, values: Values) -> Any:
        return values[0] if self.runs is None else values

    def arrays(self) -> dict[str, Any]:
        found: dict[str, Any] = {"step": np.array(self.steps, np.int64)}
        for name, values in self.values.items():
            rows = values[: len(self.steps)]
            rows = rows[:, 0] if self.runs is None else rows
            found[name] = self.model.factors(rows) if name == "factors" else rows
        return found
