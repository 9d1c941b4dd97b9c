"""Labs for tests: small, exact, and counting what they measure."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

from pysr import labs
from pysr.labs._frame import Choice, Claim, Lab, Plan, Role, Rounding, Setup


def lab(plan: Callable[[Choice], Plan], **changes: Any) -> Lab:
    """A lab with this plan."""
    fields: dict[str, Any] = {
        "name": "model",
        "title": "A model <lab>",
        "summary": "a lab for tests",
        "introduction": ("What it is & does.",),
        "roles": {"rounding": Role("a role", Rounding()), "sums": Role("b", Rounding(None, "rne"))},
        "plan": plan,
        "not_attempted": (("Something.", "Because."),),
    }
    return Lab(**(fields | changes))


def register(monkeypatch: pytest.MonkeyPatch, made: Lab) -> None:
    """Let `pysr.labs` know it."""
    module = types.ModuleType("tests_model_lab")
    module.__file__ = __file__
    module.LAB = made  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(labs, "_MODULES", {made.name: module.__name__})


class Counter:
    """Set-ups that say what they measure: `value` + seed, and a series."""

    def __init__(self) -> None:
        self.measured: list[tuple[str, int]] = []
        self.stop_after: int | None = None

    def setup(self, key: str, value: float, seeds: tuple[int, ...] = (0, 1, 2)) -> Setup:
        """A set-up that counts."""

        def measure(seed: int) -> dict[str, Any]:
            if len(self.measured) == self.stop_after:
                raise KeyboardInterrupt
            self.measured.append((key, seed))
            return {"x": value + seed, "series": [value, value / 3, seed]}

        return Setup(key, f"set-up {key}", seeds, measure)

    def claim(self, id: str, setup: Setup, expectation: float = 2.0, **options: Any) -> Claim:
        """A claim about the mean of x."""
        options = {"judged": "mean"} | options
        return Claim(id, f"mean of {id}", (setup,), lambda draws: [draw["x"] for draw in draws],
                     "=", expectation, 0.5, **options)  # fmt: skip
