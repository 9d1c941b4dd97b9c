"""What the lab biased-descent measures under one choice, while its plan is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import pysr
from pysr.labs._frame import Choice, Claim, Draw, Rounding, Setup

ROLES = ("gradient", "product", "update")


@dataclasses.dataclass(frozen=True)
class Arithmetic:
    """What a descent is done in: a rounding of each role, or none, which is the control."""

    name: str
    label: str
    roles: Mapping[str, Rounding] | None
    applies: bool = True

    def options(self, fmt: str, **common: Any) -> dict[str, Any]:
        """Keywords of `gradient_descent`; `fmt` is the set-up's own format."""
        if self.roles is None:
            return {}
        own = {}
        for role, rounding in self.roles.items():
            own[role] = {"fmt": rounding.fmt or fmt, "mode": rounding.mode, "eps": rounding.eps}
        # The update chooses its own mode: nothing to round in fixed point, downhill elsewhere.
        if own["update"]["mode"] in ("sr", "sr_eps"):
            del own["update"]["mode"]
        product = self.roles["product"]
        return {
            "fmt": product.fmt or fmt,
            "mode": product.mode,
            "eps": product.eps,
            "roundings": own,
            **common,
        }

    def format(self, fmt: str) -> Any:
        """The format of the iterates."""
        return pysr.format(fmt if self.roles is None else self.roles["update"].fmt or fmt)


EXACT = Arithmetic("float64", "float64", None)


def _name(mode: str, eps: float) -> tuple[str, str]:
    if not eps:
        return mode, {"rne": "to nearest", "sr": "SR"}.get(mode, mode)
    stem = {"sr_eps": "SR"}.get(mode, mode)
    return f"{mode}-{eps:g}", rf"{stem}$_{{{eps:g}}}$"


def same_everywhere(mode: str, eps: float = 0.0) -> Arithmetic:
    """One rounding in all roles, in each set-up's own format."""
    return Arithmetic(*_name(mode, eps), dict.fromkeys(ROLES, Rounding(None, mode, eps)))


class Study:
    """Set-ups and claims under one choice."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice
        self.quick = choice.size == "quick"
        self.default = choice.default
        self.claims: list[Claim] = []
        self.setups: dict[str, Setup] = {}
        self.families: dict[str, dict[str, Setup]] = {}

    def arithmetics(self, *biases: float, exact: bool = True) -> list[Arithmetic]:
        """Float64, to nearest, stochastically and with biases; or the caller's in their place."""
        found = [EXACT] if exact else []
        if self.default:
            found += [same_everywhere("rne"), same_everywhere("sr")]
            return found + [same_everywhere("sr_eps", eps) for eps in biases]
        chosen = dict(self.choice.arithmetic)
        nearest = {role: Rounding(r.fmt, "rne") for role, r in chosen.items()}
        found.append(Arithmetic("rne", "to nearest", nearest, applies=False))
        if chosen != nearest:
            name, label = _name(chosen["product"].mode, chosen["product"].eps)
            found.append(Arithmetic(name, label, chosen, applies=False))
        return found

    def add(
        self,
        family: str,
        name: str,
        label: str,
        seeds: tuple[int, ...],
        measure: Callable[[int], Draw],
    ) -> Setup:
        """Add a set-up, by the family's name and its own in it."""
        setup = Setup(f"{family}-{name}", label, seeds, measure)
        self.setups[setup.key] = setup
        self.families.setdefault(family, {})[name] = setup
        return setup
