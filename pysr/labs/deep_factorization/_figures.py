"""Figures of the lab deep-factorization, each with its control."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pysr.labs._figures import BEFORE, NEAREST, ROUNDED, THEORY, drawing, title
from pysr.labs._frame import Draw, Figure, Results, Rounding, Setup
from pysr.labs.deep_factorization._measure import ALPHAS, BASE, SIGNED, STEP
from pysr.optim import bounds

POSITIVE = [value for value in BASE if value > 0]
SHADES = ("#111827", "#1f5fbf", "#2f9e44", "#d9730d")
CONTROL = "float64, the control"


def figures(setups: Mapping[str, Setup], chosen: Rounding) -> Iterator[Figure]:
    """Every figure."""

    def of(*starts: str) -> tuple[Setup, ...]:
        return tuple(setup for key, setup in setups.items() if key.startswith(starts))

    rounded = of("rounded-")
    yield Figure(
        "staircases",
        "The effective rank of the product against steps, base case, N = 3, one line a basis: "
        "weights rounded to nearest (left) and stochastically (right), beside float64, the "
        "control. Dotted: the best approximations of rank 1, 2, 3, 4.",
        rounded,
        lambda results: _draw_staircases(rounded, results, chosen.mode),
    )
    yield Figure(
        "spectrum",
        "The spectrum of the product against steps, base case in float64, for 2, 3 and 4 factors, "
        "with the predicted half-times; below, the effective rank and the predicted plateaus.",
        of("base-"),
        _draw_spectrum,
    )
    sensing = of("sensing-")
    yield Figure(
        "sensing",
        "Matrix sensing from a small multiple of the identity (left) and a random start (right): "
        "the error against steps, one line a seed; the least-squares solution of least norm and "
        "symmetrised measurements as controls.",
        sensing,
        lambda results: _draw_sensing(sensing, results),
    )
    thresholds = of("threshold-")
    if thresholds:
        yield Figure(
            "thresholds",
            "How much of an eigenvalue is learned, against the eigenvalue over the predicted "
            "threshold of rounding to nearest, each eigenvalue on its own; stochastic rounding "
            "beside it.",
            thresholds,
            lambda results: _draw_thresholds(thresholds, results, chosen.mode),
        )
    escapes = of("escape-")
    yield Figure(
        "escape",
        "Factors that would remain equal in exact arithmetic move apart: rounding errors are the "
        "seed, the slope is the predicted rate. In float64, and with every operation in binary32, "
        "to nearest, or weights rounded to it stochastically. With two factors rounding to nearest "
        "can hold the unstable limit. Beside it, a perturbed start.",
        (*escapes, *of("perturbed-")),
        lambda results: _draw_escape(escapes, results),
    )


def _lines(
    axes: Any, draws: Sequence[Draw], x: str, y: str, colour: str, label: str, **style: Any
) -> None:
    """One line a seed, of the first few, and one entry in the legend."""
    for i, draw in enumerate(draws[:10]):
        axes.plot(draw[x], draw[y], color=colour, label=None if i else label, **style)


def _levels(axes: Any) -> None:
    for level in range(1, len(POSITIVE) + 1):
        axes.axhline(sum(POSITIVE[:level]) / POSITIVE[0], color=BEFORE, lw=0.9, ls=":")


def _draw_staircases(setups: Sequence[Setup], results: Results, mode: str) -> Any:
    formats = list(dict.fromkeys(setup.key.split("-")[1] for setup in setups[1:]))
    modes = list(dict.fromkeys(("rne", mode)))
    figure, panels = drawing(12, 3.3 * len(formats), len(formats), len(modes), sharex=True)
    control = results[setups[0].key]
    for row, fmt in zip(panels, formats, strict=True):
        for axes, kind in zip(row, modes, strict=True):
            nearest = kind == "rne"
            name = "to nearest" if nearest else "stochastically" if kind == "sr" else kind
            colour = NEAREST if nearest else ROUNDED
            _lines(axes, control, "step", "rank", THEORY, CONTROL, lw=2.4, alpha=0.35)
            draws = results[f"rounded-{fmt}-{kind}"]
            _lines(axes, draws, "step", "rank", colour, f"{fmt}, {name}", lw=1.1)
            _levels(axes)
            axes.set_xscale("log")
            axes.set_xlim(80, draws[0]["step"][-1])
            axes.set_ylim(0.95, 2.05)
            axes.set_ylabel("effective rank $r$")
            axes.legend(loc="lower right", bbox_to_anchor=(1, 0.08), fontsize=9, facecolor="white")
            if min(draw["least_rank"] for draw in draws) > 2:
                axes.annotate(
                    f"{name}: $r$ = {draws[0]['rank'][-1]:.3g}, far above", (0.97, 0.36),
                    xycoords="axes fraction", ha="right", color=colour, fontsize=10,
                )  # fmt: skip
            title(axes, f"{fmt}, {name}", "base case, N = 3, weights rounded after each update")
    for axes in panels[-1]:
        axes.set_xlabel("steps")
    return figure


def _draw_spectrum(results: Results) -> Any:
    figure, panels = drawing(14, 7, 2, len(ALPHAS), sharex="col")
    for column, (depth, alpha) in enumerate(ALPHAS.items()):
        draw = results[f"base-{depth}"][0]
        step, spectrum = np.array(draw["step"]), np.array(draw["spectrum"])
        above, below = panels[0, column], panels[1, column]
        for i, value in enumerate(POSITIVE):
            half = bounds.recovery_steps(value, alpha, depth, STEP)
            above.plot(
                step, spectrum[:, i], color=SHADES[i], lw=1.6, label=f"$\\lambda$ = {value:g}"
            )
            above.plot(half, value / 2, "o", color=SHADES[i], mfc="white", ms=7,
                       label=None if i else "predicted half-time")  # fmt: skip
        below.plot(step, draw["rank"], color=THEORY, lw=1.6, label="$r$ of the product")
        _levels(below)
        for level in range(1, len(POSITIVE)):
            first, last = bounds.recovery_plateau(BASE, alpha, depth, STEP, level)
            if first <= last:
                below.axvspan(first, last, color=ROUNDED, alpha=0.18, lw=0,
                              label=None if level > 1 else "predicted plateaus")  # fmt: skip
        for axes in (above, below):
            axes.set_xlim(0, 1.15 * bounds.recovery_steps(POSITIVE[-1], alpha, depth, STEP, 0.99))
        below.set_ylim(0.95, 2.05)
        below.set_xlabel("steps")
        above.set_ylabel("eigenvalue of the product")
        below.set_ylabel("effective rank $r$")
        above.legend(loc="center right", fontsize=8.5, facecolor="white")
        below.legend(loc="lower right", fontsize=9, facecolor="white")
        title(above, f"{depth} factors", f"$\\alpha$ = {alpha:g}, $\\eta$ = {STEP:g}, float64")
    return figure


def _draw_sensing(setups: Sequence[Setup], results: Results) -> Any:
    figure, panels = drawing(13, 8.4, 2, 2, sharex=True, sharey="row")
    for column, start in enumerate(("identical", "random")):
        above, below = panels[:, column]
        for setup in setups:
            _, kind, name = (
                setup.key.split("-", 2) if setup.key.count("-") > 1 else (0, "random", "")
            )
            if kind != start:
                continue
            colour, label, width = _style(name)
            for axes, what in ((above, "errors"), (below, "rank")):
                _lines(axes, results[setup.key], "step", what, colour, label, **width)
        draws = results[f"sensing-{start}-float64"]
        norm = [draw["norm"] for draw in draws]
        above.axhspan(min(norm), max(norm) + 1e-3, color=BEFORE, alpha=0.3, lw=0,
                      label="least-squares solution of least norm")  # fmt: skip
        above.set_yscale("log")
        below.axhline(4 / 3, color=BEFORE, lw=0.9, ls=":")
        below.set_ylim(0.98, 1.6)
        below.set_xlabel("steps")
        above.set_ylabel("error")
        below.set_ylabel("effective rank $r$")
        above.legend(loc="lower left", fontsize=9, facecolor="white")
        text = "0.03 I" if start == "identical" else "0.1 randn / $\\sqrt{n}$"
        title(above, f"Sensing, start {text}",
              "20 × 20, $\\lambda$ = 3, 1, 160 Gaussian measurements, N = 3")  # fmt: skip
    return figure


def _style(name: str) -> tuple[str, str, dict[str, Any]]:
    if name == "float64":
        return THEORY, CONTROL, {"lw": 2.4, "alpha": 0.35}
    if not name:
        return BEFORE, "symmetrised measurements", {"lw": 1.1, "ls": "--"}
    fmt, mode = name.rsplit("-", 1)
    return (NEAREST if mode == "rne" else ROUNDED), f"{fmt}, {mode}", {"lw": 1.1}


def _draw_thresholds(setups: Sequence[Setup], results: Results, mode: str) -> Any:
    figure, panels = drawing(13, 3.6 * ((len(setups) + 1) // 2), (len(setups) + 1) // 2, 2,
                             sharex=True, sharey=True)  # fmt: skip
    for axes, setup in zip(panels.flat, setups, strict=False):
        draw = results[setup.key][0]
        axes.plot(draw["over"], draw["rounded"], ".", color=ROUNDED, ms=2.5, label=mode)
        axes.plot(draw["over"], draw["nearest"], "-", color=NEAREST, lw=1.8, label="to nearest")
        axes.axvline(1, color=THEORY, lw=1, ls="--", label=f"threshold, {draw['predicted']:.3g}")
        axes.set_xlabel("eigenvalue / threshold")
        axes.set_ylabel("share that is learned")
        axes.legend(loc="center right", fontsize=9, facecolor="white")
        _, fmt, depth = setup.key.rsplit("-", 2)
        title(axes, f"{fmt}, {depth} factors",
              f"$\\alpha$ = {ALPHAS[int(depth)]:g}, $\\eta$ = {STEP:g}")  # fmt: skip
    return figure


def _draw_escape(setups: Sequence[Setup], results: Results) -> Any:
    styles = {
        "float64": (THEORY, "-", "float64"),
        "binary32-rne": (NEAREST, "-", "binary32, to nearest"),
        "binary32-sr": (ROUNDED, "-", "binary32, stochastically"),
    }
    figure, panels = drawing(14, 4.8, 1, 3)
    for axes, depth in zip(panels[0], (2, 3), strict=False):
        rate = bounds.escape_rate(SIGNED, depth)
        for setup in setups:
            _, own, name = setup.key.split("-", 2)
            if int(own) == depth:
                colour, line, label = styles[name]
                _lines(axes, results[setup.key], "time", "apart", colour, label, ls=line, lw=1.2)
        time = np.linspace(0, 60, 200)
        for start in (1e-18, 1e-8):
            axes.plot(time, start * np.exp(rate * time), ":", color=BEFORE, lw=1.2,
                      label=f"slope {rate:g}" if start == 1e-18 else None)  # fmt: skip
        axes.set_yscale("log")
        axes.set_ylim(1e-22, 10)
        axes.set_xlim(0, 25 if depth == 2 else 50)
        axes.set_xlabel(r"$\eta k$")
        axes.set_ylabel(r"$\|W_1 - W_N\|_F$")
        axes.legend(loc="lower right", fontsize=9, facecolor="white")
        title(axes, f"Escape, {depth} factors", r"$\lambda$ = 3, 1, −1, −2, all factors 0.2 I")
    _draw_signed(panels[0, 2], results["perturbed-3"][0])
    return figure


def _draw_signed(axes: Any, draw: Draw) -> None:
    """The control: a perturbed start finds negative eigenvalues at once."""
    time = STEP * np.array(draw["step"])
    for value, column, colour in zip(SIGNED, np.array(draw["spectrum"]).T, SHADES, strict=True):
        axes.plot(time, column, color=colour, lw=1.5, label=f"$\\lambda$ = {value:g}")
        axes.axhline(value, color=colour, lw=0.9, ls=":")
    axes.set_xlabel(r"$\eta k$")
    axes.set_ylabel("eigenvalue of the product")
    axes.legend(loc="center right", bbox_to_anchor=(1, 0.72), fontsize=9, facecolor="white")
    title(axes, "Control: a perturbed start", "last factor 0.15 I, 3 factors, float64")
