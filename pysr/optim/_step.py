"""Steps of gradient descent, of all runs at once."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysr._core.descent import Rounder, blocks, descend, descend_diagonal, rounded_rows
from pysr.optim import _result as ends
from pysr.optim._arguments import Functions, Projection, Step, Values, step_at
from pysr.optim._roundings import ROLES

# Columns of the totals: results beyond the range, a column a role, and coordinates.
TOTALS = (*ROLES, "stagnated", "moved")
_STAGNATED, _MOVED = len(ROLES), len(ROLES) + 1
# Columns of what the kernels count, as columns of the totals.
_COUNTED = [ROLES.index(role) for role in ("gradient", "product", "update")]
_COUNTED += [_STAGNATED, _MOVED]


@dataclasses.dataclass(frozen=True)
class State:
    """Where all runs are before step `k`. Nothing in it changes: a step makes another."""

    k: int
    x: Values
    velocity: Values | None
    status: NDArray[np.int64]  # of runs that go on: DONE
    active: NDArray[np.bool_]
    nit: NDArray[np.int64]
    still: NDArray[np.int64]  # steps in a row in which nothing moved
    totals: NDArray[np.uint64]
    evaluation: str = ""  # where the stream of the arithmetic of the gradient is
    longest: float = 0.0  # step so far
    note: str = ""  # how the first run went wrong


@dataclasses.dataclass
class Descent:
    """All that stays the same from step to step, and the history."""

    functions: Functions
    diagonal: tuple[Values, Values] | None
    step: Step
    roundings: Mapping[str, Rounder | None]
    momentum: float
    projection: Projection
    gtol: float | None
    target: float | None
    patience: int | None
    record: tuple[str, ...]
    every: int
    threads: int | None
    limit: float | None  # of steps: beyond 2/L, they may lead away
    size: int
    words: tuple[int, int, int] = (0, 0, 0)

    def __post_init__(self) -> None:
        self.history: dict[str, list[Any]] = {name: [] for name in ("step", *self.record)}
        roles = [role for role in ROLES if role != "momentum" or self.momentum]
        self.used = used = {role: self.roundings[role] for role in roles}
        self.blocks = blocks(self.size, *used.values())
        self.starts = {
            role: blocks(self.size, *(used[r] for r in roles[:i])) for i, role in enumerate(roles)
        }
        rules = {None if r is None else r.overflow for r in used.values()}
        update = used["update"]
        # Numbers of fixed point are finite, unless a rule makes others.
        self.finite = (
            update is not None
            and all(r is None or r.fmt.precision is None for r in used.values())
            and rules <= {None, "saturate", "wrap", "raise"}
            and self.projection.function is None
        )
        steered = update is not None and update.mode == "sr_signed"  # by no NaN
        self.refuses = steered or bool(rules & {"raise", "wrap"})

    # ---- one step ------------------------------------------------------------------------------

    def look(self, state: State, last: bool = False) -> tuple[State, Values | None]:
        """Record the iterates; end runs whose value is small enough. The gradient, if evaluated."""
        due = self.every and (last or state.k % self.every == 0)
        due = due and not (self.history["step"] and self.history["step"][-1] == state.k)
        value = gradient = None
        if self.target is not None or (due and "value" in self.record):
            value = self.functions.value(state.x)
        if due and {"gradient", "gradient_norm"} & set(self.record):
            gradient = self.functions.gradient(state.x)
        if due:
            self.history["step"].append(state.k)
            for name in self.record:
                self.history[name].append(_kept(name, state, value, gradient))
        if self.target is not None and value is not None:
            state = self._end(state, state.active & (value <= self.target), ends.TARGET)
        return state, gradient

    def advance(self, state: State, gradient: Values | None) -> State:
        """Take step `state.k`, if a run goes on."""
        t = step_at(self.step, state.k)
        state = dataclasses.replace(state, longest=max(state.longest, t))
        if gradient is None and (self.diagonal is None or self._wanted(state)):
            gradient = self.functions.gradient(state.x)
        if gradient is not None:
            state = self.judge(state, gradient)
            if not state.active.any():
                return state
            if not state.active.all():
                gradient = np.where(state.active[:, np.newaxis], gradient, 0)
        x, velocity, taken, refused = self._move(state, gradient, t)
        state = self._refused(state, refused)
        if self.projection.box is not None:
            x = np.clip(x, *self.projection.box)
        state = self._finite(state, x, gradient)
        if self.projection.function is not None and state.active.any():
            x = self.projection.project(np.where(state.active[:, np.newaxis], x, state.x))
            state = self._finite(state, x, gradient)
        if not state.active.any():
            return state
        if gradient is not None and (velocity is not None or self.projection):
            _recount(taken, state.x, x, gradient)
        if not state.active.all():
            back = ~state.active
            x[back] = state.x[back]
            taken[back] = 0
        still = np.where(taken[:, _MOVED] == 0, state.still + 1, 0)
        after = dataclasses.replace(
            state,
            k=state.k + 1,
            x=x,
            velocity=velocity,
            nit=np.where(state.active, state.k + 1, state.nit),
            still=still,
            totals=state.totals + taken,
            evaluation=self.evaluation(),
        )
        if self.patience is not None:
            after = self._end(after, after.active & (still >= self.patience), ends.STAGNATED)
        return after

    def _wanted(self, state: State) -> bool:
        """Whether a gradient is needed that the kernel could evaluate by itself."""
        return self.gtol is not None or (self.refuses and not state.active.all())

    def judge(self, state: State, gradient: Values) -> State:
        """End runs whose gradient is not finite, or as small as `gtol` asks."""
        bad = state.active & ~np.isfinite(gradient).all(axis=1)
        if bad.any():
            where = _place(gradient, bad, self.functions.many)
            note = f"the gradient is {where} at step {state.k}{self.beyond(state)}"
            state = self._end(state, bad, ends.NOT_FINITE, note)
        if self.gtol is not None:
            quiet = state.active & (np.abs(gradient).max(axis=1) <= self.gtol)
            state = self._end(state, quiet, ends.GRADIENT)
        return state

    def _finite(self, state: State, x: Values, gradient: Values | None) -> State:
        """End runs whose next iterate is not finite."""
        if self.finite:
            return state
        lost = state.active & ~np.isfinite(x).all(axis=1)
        if not lost.any():
            return state
        if gradient is None:  # it was the kernel's: is that why?
            state = self.judge(state, self.functions.gradient(state.x))
            lost &= state.active
        where = _place(x, lost, self.functions.many)
        note = f"the iterate became {where} in step {state.k}{self.beyond(state)}"
        return self._end(state, lost, ends.DIVERGED, note)

    def _move(
        self, state: State, gradient: Values | None, t: float
    ) -> tuple[Values, Values | None, NDArray[np.uint64], dict[int, Exception]]:
        """Take the step in all runs; those whose arithmetic refuses stay, with the reason."""
        try:
            return *self._move_runs(state.k, state.x, state.velocity, gradient, t, 0), {}
        except (OverflowError, ValueError):
            if not self.refuses:
                raise
        # One by one: which runs refuse is not known. Each has the same random bits as before.
        parts, refused = [], {}
        for r in range(len(state.x)):
            row = slice(r, r + 1)
            v = None if state.velocity is None else state.velocity[row]
            g = None if gradient is None else gradient[row]
            try:
                parts.append(self._move_runs(state.k, state.x[row], v, g, t, r))
            except (OverflowError, ValueError) as error:
                refused[r] = error
                nothing = np.zeros((1, len(TOTALS)), np.uint64)
                parts.append((state.x[row], v, nothing))
        x, velocity, taken = (
            None if part[0] is None else np.concatenate(part) for part in zip(*parts, strict=True)
        )
        return x, velocity, taken, refused  # type: ignore[return-value]

    def _move_runs(
        self,
        k: int,
        x: Values,
        velocity: Values | None,
        g: Values | None,
        t: float,
        first: int,
    ) -> tuple[Values, Values | None, NDArray[np.uint64]]:
        """Take the step in runs from `first` on, whose words are those of their streams."""
        seed, stream, block = self.words
        words = (seed, stream + first, block + k * self.blocks)
        by, after = self.roundings, np.empty_like(x)
        taken = np.zeros((len(x), len(TOTALS)), np.uint64)
        counted = np.zeros((len(x), len(_COUNTED)), np.uint64)
        rest = (t, by["gradient"], by["product"], by["update"], self._at(words, "gradient"))
        options: dict[str, Any] = {"threads": self.threads, "out": after, "counts": counted}
        if velocity is not None and g is not None:
            rounded = self._gradient(x, g, words, taken)
            velocity = self._velocity(velocity, rounded, words, taken)
            at = self._at(words, "product")
            descend(x, velocity, t, None, by["product"], by["update"], at, **options)
        elif g is not None:
            descend(x, g, *rest, **options)
        elif self.diagonal is not None:
            spectrum, minimizer = self.diagonal
            descend_diagonal(x, spectrum, minimizer, *rest, **options)
        taken[:, _COUNTED] += counted
        return after, velocity, taken

    def _gradient(
        self, x: Values, g: Values, words: tuple[int, int, int], taken: NDArray[np.uint64]
    ) -> Values:
        """The gradient, rounded."""
        rounder = self.roundings["gradient"]
        if rounder is not None:
            g, over = rounded_rows("round", (g,), rounder, self._at(words, "gradient"))
            taken[:, ROLES.index("gradient")] += over
        with np.errstate(all="ignore"):
            return g.astype(x.dtype, copy=False)

    def _velocity(
        self,
        velocity: Values,
        g: Values,
        words: tuple[int, int, int],
        taken: NDArray[np.uint64],
    ) -> Values:
        """Momentum times the velocity, and the gradient, rounded once."""
        rounder = self.roundings["momentum"]
        if rounder is None:
            with np.errstate(all="ignore"):
                return np.asarray(self.momentum * velocity + g, dtype=g.dtype)
        operands = (self.momentum, velocity, g)
        made, over = rounded_rows("fma", operands, rounder, self._at(words, "momentum"))
        taken[:, ROLES.index("momentum")] += over
        return made

    def _at(self, words: tuple[int, int, int], role: str) -> tuple[int, int, int]:
        seed, stream, block = words
        return seed, stream, (block + self.starts[role]) & (2**64 - 1)

    # ---- ends ----------------------------------------------------------------------------------

    def _end(self, state: State, which: NDArray[np.bool_], status: int, note: str = "") -> State:
        if not which.any():
            return state
        return dataclasses.replace(
            state,
            status=np.where(which, status, state.status),
            active=state.active & ~which,
            nit=np.where(which, state.k, state.nit),
            note=state.note or note,
        )

    def _refused(self, state: State, refused: Mapping[int, Exception]) -> State:
        ended = state
        for r, error in refused.items():
            if state.active[r]:
                which = np.arange(len(state.active)) == r
                text = str(error).removeprefix("run 0, ")
                place = f"run {r}, step" if self.functions.many else "step"
                note = f"{place} {state.k}, {text}{self.beyond(state)}"
                status = ends.OVERFLOW if isinstance(error, OverflowError) else ends.NOT_FINITE
                ended = self._end(ended, which, status, note)
        return ended

    def beyond(self, state: State) -> str:
        """What is to be said of a step that is too long."""
        if self.limit is None or state.longest < self.limit:
            return ""
        return f"; the step {state.longest:g} is not below 2/L = {self.limit:g}"

    def stopped(self, state: State) -> State:
        """End all runs that go on."""
        return self._end(state, state.active, ends.STOPPED)

    # ---- the arithmetic of the gradient ---------------------------------------------------------

    def evaluation(self) -> str:
        """Where the stream of the arithmetic is."""
        arithmetic = self.functions.arithmetic
        return "" if arithmetic is None else json.dumps(arithmetic.stream.state)

    def evaluate_from(self, place: str) -> None:
        """Put the stream of the arithmetic where it was."""
        if self.functions.arithmetic is not None and place:
            self.functions.arithmetic.stream.state = json.loads(place)


def _recount(taken: NDArray[np.uint64], x: Values, after: Values, g: Values) -> None:
    """Count coordinates that stagnated and that moved, where no kernel could."""
    same = after == x
    taken[:, _STAGNATED] = (same & (g != 0)).sum(axis=1)
    taken[:, _MOVED] = (~same).sum(axis=1)


def _kept(name: str, state: State, value: Values | None, gradient: Values | None) -> Any:
    match name:
        case "value":
            return value
        case "x":
            return state.x
        case "gradient":  # the caller's array may be written to
            return np.array(gradient)
        case "gradient_norm":
            with np.errstate(all="ignore"):
                return np.linalg.norm(np.asarray(gradient), axis=1)
        case "overflow":
            return state.totals[:, : len(ROLES)].sum(axis=1).astype(np.int64)
    return state.totals[:, TOTALS.index(name)].astype(np.int64)


def _place(x: Values, which: NDArray[np.bool_], many: bool) -> str:
    """The first number that is not finite, and where it is."""
    r = int(np.argmax(which))
    i = int(np.argmin(np.isfinite(x[r])))
    return f"{float(x[r, i])} at coordinate {i}" + (f" of run {r}" if many else "")
