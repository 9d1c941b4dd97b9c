"""What the lab rounded-qr measures under one choice, while its plan is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pysr
from pysr.labs._frame import Choice, Claim, Draw, Rounding, Setup, format_name
from pysr.labs.rounded_qr._claims import solved


class Study:
    """Set-ups and claims; every arithmetic has rounding to nearest in its format beside it."""

    def __init__(self, choice: Choice) -> None:
        self.quick = choice.size == "quick"
        self.shape = (400, 20) if self.quick else (1000, 50)
        self.order = 40 if self.quick else 60
        self.chosen = choice.arithmetic["operations"]
        self.modes = tuple(dict.fromkeys(("rne", self.chosen.mode)))
        self.seeds = choice.range(2, quick=1, full=5)
        self.setups: dict[str, Setup] = {}
        self.claims: list[Claim] = []
        self.lengths: dict[str, tuple[int, ...]] = {}
        self.refined: list[tuple[Mapping[str, Setup], Rounding]] = []

    def add(self, key: str, label: str, measure: Any) -> Setup:
        """Add a set-up."""
        self.setups[key] = Setup(key, label, self.seeds, measure)
        return self.setups[key]

    def formats(self, *family: str) -> list[Any]:
        """Those of a family, or the chosen one."""
        chosen = self.chosen.fmt
        return [pysr.format(name) for name in family] if chosen is None else [chosen]

    def roundings(self, fmt: Any) -> dict[str, Rounding]:
        """The arithmetics in a format, by their modes."""
        eps = {self.chosen.mode: self.chosen.eps}
        return {mode: Rounding(fmt, mode, eps.get(mode, 0.0)) for mode in self.modes}

    def applies(self, *family: str) -> dict[str, bool]:
        """Whether the expectations of a family's formats are for each mode."""
        own = self.chosen.fmt in (None, *map(pysr.format, family))
        return {mode: own and mode in ("rne", "sr") for mode in self.modes}

    def remarks(self, results: Mapping[str, Any]) -> list[str]:
        """The condition number against corrections and steps of GMRES, of the first seed."""
        return [
            _remark(method, rounding, results[setups[method].key][0])
            for method in ("lu", "gmres")
            for setups, rounding in self.refined
            if setups[method].key in results
        ]


def _remark(method: str, rounding: Rounding, draw: Draw) -> str:
    cells = []
    for s in solved([draw]):
        steps = f" x {s.steps:.0f}" if method == "gmres" else ""
        cells.append(f"{s.kappa:.2g} {s.corrections if s.converged else s.reason}{steps}")
    what = {"lu": "LU-IR, corrections", "gmres": "GMRES-IR, corrections x steps in each"}[method]
    return f"{what}, {format_name(rounding.fmt)} {rounding.mode}: " + ", ".join(cells)
