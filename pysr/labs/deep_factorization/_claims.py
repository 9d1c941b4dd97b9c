"""Rows of the lab deep-factorization: what is expected of each set-up."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping

import numpy as np

from pysr.labs._frame import Claim, Draw, Setup

Values = Callable[[list[Draw]], list[float]]


def _each(name: str) -> Values:
    return lambda draws: [draw[name] for draw in draws]


def _all(name: str) -> Values:
    return lambda draws: [value for draw in draws for value in draw[name]]


def _learned(draw: Draw) -> bool:
    """Has the smallest eigenvalue arrived?"""
    return bool(draw["ratios"][3] >= 0.9)


def base_claims(setup: Setup, depth: int) -> list[Claim]:
    """The base case in float64."""
    key, one = setup.key, (setup,)

    def plateau(level: int) -> Values:
        return lambda draws: [r for draw in draws for r in draw["plateaus"][level - 1]["rank"]]

    def edges(draws: list[Draw]) -> list[float]:
        return [
            measured - predicted
            for draw in draws
            for part in draw["plateaus"]
            for measured, predicted in zip(part["measured"], part["predicted"], strict=True)
        ]

    def length(draws: list[Draw]) -> list[float]:
        first = [draw["plateaus"][0]["measured"] for draw in draws]
        return [end - begin for begin, end in first]

    rows = [
        Claim(f"{key}-scalar", "matrices against the scalar recursion: largest difference", one,
              _each("scalar"), "<=", 1e-12),
        Claim(f"{key}-half", "half-times - T / eta, steps", one, _all("lag"), "=", 3.5, 2.5),
        Claim(f"{key}-half-sharp", "half-times - those of the modified equation, steps", one,
              _all("sharp"), "=", 0.5, 0.55),
        Claim(f"{key}-edges", "edges of plateaus - predicted ones, steps", one, edges, "=", 0.0, 1),
    ]  # fmt: skip
    if depth == 2:
        rows.append(
            Claim(f"{key}-empty", "steps from 99 % of the first eigenvalue to 1 % of the second",
                  one, length, "<=", -1)
        )  # fmt: skip
    else:
        rows += [
            Claim(f"{key}-plateau-{level}", f"r / r of rank {level}, on the predicted plateau", one,
                  plateau(level), "=", 1.0, 0.012, provenance="paper")
            for level in (1, 2)
        ]  # fmt: skip
    if depth == 4:
        rows += [
            Claim(f"{key}-steps-{name}", f"r, least and greatest, steps {name}", one,
                  _fixed(name), "=", (low + high) / 2, (high - low) / 2)
            for name, low, high in (("326..451", 1.0, 1.012), ("660..754", 1.495, 1.51))
        ]  # fmt: skip
    return rows


def _fixed(name: str) -> Values:
    return lambda draws: [value for draw in draws for value in draw["fixed"][name]]


def deeper_claim(setups: Mapping[int, Setup]) -> Claim:
    """Depth sharpens: the first plateau, over the time to its beginning, grows with depth."""

    def values(*draws: list[Draw]) -> list[float]:
        shares = []
        for column in zip(*draws, strict=True):
            ends = [draw["plateaus"][0]["measured"] for draw in column]
            shares.append([(end - begin) / begin for begin, end in ends])
        return [after - before for row in shares for before, after in itertools.pairwise(row)]

    return Claim(
        "base-deeper",
        "first plateau over the time before it: growth from N to N + 1",
        tuple(setups.values()),
        values,
        ">=",
        0.1,
        provenance="paper",
        label="base case, N = 2, 3, 4, float64",
    )


def spectra_claims(setup: Setup) -> list[Claim]:
    """Half-times of other spectra."""
    key, one = setup.key, (setup,)
    return [
        Claim(f"{key}-half", "half-times - T / eta, steps", one, _all("lag"), "=", 3.0, 3.0),
        Claim(f"{key}-half-sharp", "half-times - those of the modified equation, steps", one,
              _all("sharp"), "=", 0.5, 0.55),
    ]  # fmt: skip


def limit_claims(below: Setup, above: Setup) -> list[Claim]:
    """Steps on both sides of the limit."""
    text = "largest eigenvalue, relative error in the last 100 steps"
    return [
        Claim(f"{below.key}-converges", f"{text}: greatest", (below,), _each("most"), "<=", 1e-9),
        Claim(f"{above.key}-fails", f"{text}: least", (above,), _each("least"), ">=", 0.01),
    ]


def perturbed_claims(setup: Setup) -> list[Claim]:
    return [
        Claim(f"{setup.key}-recovered", "eigenvalues, largest error", (setup,), _each("off"),
              "<=", 1e-4)
    ]  # fmt: skip


def random_claims(setup: Setup, name: str, applies: bool) -> list[Claim]:
    """A random start; in bfloat16 the noise of weights is eight times that of float16."""
    key, one = setup.key, (setup,)
    drop, error = {"float64": (1e-7, 5e-4), "float16": (5e-4, 5e-4)}.get(name, (3e-3, 1e-3))
    return [
        Claim(f"{key}-least", "r, least", one, _each("least"), "<=", 1.002, possible=(1, 20),
              applies=applies),
        Claim(f"{key}-final", "r at the end", one, _each("final"), "=", 1.75, 0.002,
              applies=applies),
        Claim(f"{key}-error", "error at the end", one, _each("error"), "<=", error,
              applies=applies),
        Claim(f"{key}-drop", "after the least r, greatest drop of r in a step", one, _each("drop"),
              "<=", drop, provenance="paper", applies=applies),
    ]  # fmt: skip


def sensing_claims(setups: Mapping[str, Setup], name: str, applies: bool) -> list[Claim]:
    """Sensing in float64, beside least norm; SR and RN against it."""
    control = setups["float64"]
    key, identical = control.key, name == "identical"
    error, low, high = (0.003, 1.328, 1.338) if identical else (0.04, 1.33, 1.37)
    r = (low + high) / 2

    def against(draws: list[Draw], others: list[Draw]) -> list[float]:
        return [a["error"] - b["error"] for a, b in zip(draws, others, strict=True)]

    rows = [
        Claim(f"{key}-error", "error at the end", (control,), _each("error"), "<=", error,
              judged="mean"),
        Claim(f"{key}-final", "r at the end", (control,), _each("final"), "=",
              1.333 if identical else r, 0.005 if identical else (high - low) / 2,
              judged="every" if identical else "mean", provenance="paper"),
        Claim(f"{key}-norm", "least-squares solution of least norm: error", (control,),
              _each("norm"), ">=", 0.7),
    ]  # fmt: skip
    if identical:
        rows.insert(
            1,
            Claim(f"{key}-least", "r, least", (control,), _each("least_rank"), "=", 1.0, 0.005,
                  provenance="paper"),
        )  # fmt: skip
    for kind, setup in setups.items():
        if kind == "rounded":
            rows.append(
                Claim(f"{setup.key}-same", "error - error of float64", (setup, control), against,
                      "=", 0.0, 0.002, judged="mean", applies=applies)
            )  # fmt: skip
        elif kind == "nearest":
            rows.append(
                Claim(f"{setup.key}-error", "round to nearest: error at the end", (setup,),
                      _each("error"), ">=", 0.34 if identical else 0.2, judged="mean",
                      applies=applies)
            )  # fmt: skip
    return rows


def symmetrised_claims(setup: Setup) -> list[Claim]:
    one = (setup,)
    return [
        Claim(f"{setup.key}-error", "error at the end", one, _each("error"), ">=", 0.1,
              judged="mean"),
        Claim(f"{setup.key}-antisymmetric", "antisymmetric part of the error, share", one,
              _each("antisymmetric"), ">=", 0.98, possible=(0, 1)),
    ]  # fmt: skip


def rounded_claims(setup: Setup, name: str, mode: str, applies: bool) -> list[Claim]:
    """The base case with three factors, by the format and the mode of its weights."""
    key, one = setup.key, (setup,)
    if mode == "rne":
        rows = _nearest_claims(key, one, name)
        return [claim for claim in rows if applies]
    error = {"bfloat16": 0.003, "float16": 0.001}.get(name, 0.006)
    rows = [
        Claim(f"{key}-error", f"{mode}: error at the end", one, _each("error"), "<=", error,
              applies=applies)
    ]  # fmt: skip
    if name == "bfloat16":
        rows.append(
            Claim(f"{key}-all", f"{mode}: positive eigenvalues, share of target", one,
                  _all("ratios"), "=", 1.0, 0.005, applies=applies)
        )  # fmt: skip
    return rows


def _nearest_claims(key: str, one: tuple[Setup], name: str) -> list[Claim]:
    if name == "bfloat16":
        return [
            Claim(f"{key}-lost", "round to nearest: lambda = 1 and .5, share of target", one,
                  lambda draws: [x for draw in draws for x in draw["ratios"][2:]], "<=", 0.01,
                  applies=True),
            Claim(f"{key}-error", "round to nearest: error at the end", one, _each("error"), ">=",
                  0.24, applies=True),
        ]  # fmt: skip
    if name == "float16":

        def errors(draws: list[Draw]) -> list[float]:
            return [draw["error"] for draw in draws if _learned(draw)] or [math.nan]

        return [
            Claim(f"{key}-large", "round to nearest: lambda = 4, 2 and 1, share of target", one,
                  lambda draws: [x for draw in draws for x in draw["ratios"][:3]], "=", 0.95, 0.055,
                  applies=True),
            Claim(f"{key}-small", "round to nearest: lambda = .5 learned, share of bases", one,
                  lambda draws: [float(np.mean([_learned(draw) for draw in draws]))], ">=", 0.4,
                  possible=(0, 1), applies=True),
            Claim(f"{key}-error", "round to nearest: error where it is learned", one, errors, "=",
                  0.012, 0.004, judged="mean", applies=True),
        ]  # fmt: skip
    return [
        Claim(f"{key}-moved", "round to nearest: weights that moved", one, _each("moved"), "=", 0.0,
              applies=True),
        Claim(f"{key}-rank", "round to nearest: r, least", one, _each("least_rank"), "=", 10.0,
              1e-9, applies=True),
    ]  # fmt: skip


def threshold_claims(setup: Setup, value: float, digits: int) -> list[Claim]:
    """The threshold of rounding to nearest, to its last digit and two of the scan's steps."""
    key, one = setup.key, (setup,)
    return [
        Claim(f"{key}-least", "round to nearest: least eigenvalue that is learned", one,
              _each("least"), "=", value, 0.5 * 10.0**-digits + 0.001 * value, applies=True),
        Claim(f"{key}-below", "round to nearest: greatest share below it", one, _each("below"),
              "<=", 0.01, applies=True),
        Claim(f"{key}-above", "round to nearest: least share above it", one, _each("above"), ">=",
              0.85, applies=True),
    ]  # fmt: skip


def escape_claims(setup: Setup, rate: float, visible: float | None, always: bool) -> list[Claim]:
    """The rate of the escape, of all or where there is one, and when it is seen."""
    key, one = setup.key, (setup,)

    def rates(draws: list[Draw]) -> list[float]:
        found = _each("rate")(draws)
        return found if always else [x for x in found if not math.isnan(x)] or found[:1]

    rows = [
        Claim(f"{key}-rate", "rate at which equal factors move apart", one, rates, "=", rate,
              0.03 * rate, applies=True)
    ]  # fmt: skip
    if visible is not None:
        rows.append(
            Claim(f"{key}-time", "eta k at which the product has an eigenvalue below -.01", one,
                  _each("visible"), "=", visible, 0.2 * visible, applies=True)
        )  # fmt: skip
    return rows


def stop_claims(setup: Setup, rank: int, applies: bool) -> list[Claim]:
    """Stopped early: on the plateau W is within a hundredth of its eigenvalues from best."""
    key, one = setup.key, (setup,)
    return [
        Claim(f"{key}-rank", f"r / r of rank {rank}", one, _each("rank"), "=", 1.0, 0.012,
              provenance="paper", applies=applies),
        Claim(f"{key}-distance", f"distance from the best approximation of rank {rank}", one,
              _each("distance"), "<=", 0.012, applies=applies),
    ]  # fmt: skip
