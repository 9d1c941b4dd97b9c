"""How far to go, and what to record on the way."""

from __future__ import annotations

import math
from typing import Any

from pysr._files import check_progress
from pysr.optim._factorization._arguments import counted, number
from pysr.optim._factorization._problem import Problem
from pysr.optim.bounds import recovery_plateau

_RECORDS = (
    *("loss", "error", "spectrum", "effective_rank", "singular_values", "product", "factors"),
)
_DEFAULT_RECORD = ("loss", "error", "spectrum", "effective_rank")
_OF_TRUTH = ("error", "spectrum")
_WHERE = ("start", "middle", "end")


class Plan:
    """How far to go, and what to record on the way."""

    def __init__(
        self, problem: Problem, step: Any, steps: Any, stop: Any, record: Any, every: Any,
        callback: Any, progress: Any,
    ) -> None:  # fmt: skip
        self.problem = problem
        self.step = number(step, "step")
        if not self.step > 0:
            raise ValueError(f"step={step!r} must be positive")
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be callable, not {callback!r}")
        check_progress(progress)
        self.callback, self.progress = callback, progress
        self.every = counted(every, "every", 0)
        self.record = self._recorded(record)
        self.last, self.stopped = self._stopped(counted(steps, "steps", 0), stop)

    def _recorded(self, record: Any) -> tuple[str, ...]:
        known = self.problem.spectrum is not None
        if record is None:
            return tuple(name for name in _DEFAULT_RECORD if known or name not in _OF_TRUTH)
        chosen = (record,) if isinstance(record, str) else tuple(record)
        for name in chosen:
            if name not in _RECORDS:
                raise ValueError(
                    f"record has {name!r}, not one of {', '.join(map(repr, _RECORDS))}"
                )
            if name in _OF_TRUTH and not known:
                raise ValueError(f"record has {name!r}, which needs truth")
        return chosen

    def _stopped(self, steps: int, stop: Any) -> tuple[int, str | None]:
        """The last step, and what is said if it is a plateau's."""
        if stop is None:
            return steps, None
        rank, where = stop if isinstance(stop, tuple) and len(stop) == 2 else (stop, "end")
        if where not in _WHERE:
            raise ValueError(f"stop={stop!r}: {where!r} is not one of {', '.join(_WHERE)}")
        rank = counted(rank, "stop", 1)
        problem = self.problem
        if problem.start != "identical" or problem.spectrum is None:
            raise ValueError(
                f"stop={stop!r} needs start='identical' and a known target: plateaus are predicted "
                "for these"
            )
        try:
            first, last = recovery_plateau(
                problem.spectrum, problem.alpha, problem.depth, self.step, rank
            )
        except ValueError as error:
            raise ValueError(f"stop={stop!r}: {error}") from None
        if first > last:
            raise ValueError(
                f"stop={stop!r}: the plateau of rank {rank} is empty, from step {first} to {last}"
            )
        if where != "start" and math.isinf(last):
            raise ValueError(
                f"stop={stop!r}: the plateau of rank {rank} has no end, it begins at step {first}"
            )
        chosen = int({"start": first, "middle": (first + last) // 2, "end": last}[where])
        if chosen > steps:
            return steps, None
        return chosen, f"the {where} of the predicted plateau of rank {rank}, step {chosen}"
