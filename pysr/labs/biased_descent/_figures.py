"""Figures of the lab biased-descent, float64 and rounding to nearest beside the rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pysr.labs._figures import BEFORE, NEAREST, ROUNDED, THEORY, drawing, title
from pysr.labs._frame import Draw, Figure, Results, Setup
from pysr.labs.biased_descent._claims import first_below, floor, last
from pysr.labs.biased_descent._measure import FUNCTIONS, U
from pysr.labs.biased_descent._study import Study
from pysr.optim import bounds

# Of biases, in the order of their size.
_BIASED = ("#2f9e44", "#c2255c", "#7048e8", "#0c8599")
_LEAST = 1e-7  # where 0 is drawn on a logarithmic axis

Setups = Mapping[str, Setup]


def figures(study: Study) -> tuple[Figure, ...]:
    """Every figure of what is measured."""
    families = study.families

    def parts(*names: str) -> tuple[Setup, ...]:
        return tuple(setup for name in names for setup in families.get(name, {}).values())

    losses = ("grid", "off-grid", "nonconvex", "logistic", "Q3.8", "Q3.10")
    found = [
        Figure(
            "loss",
            "Values against steps: lines are means over seeds, bands reach from the least to the "
            "greatest. Float64 with the same step is the control; the bound is that of unbiased "
            "rounding. Zeros are drawn at the lower edge.",
            (*parts(*losses), *parts("step")),
            lambda results: _draw_losses(families, losses, results),
        ),
        Figure(
            "ways",
            "Ways over contours of the function, one line a rounding, the first run of each. "
            "Right: from (4, 4) the gradient is beyond the range of Q7.8; saturated it is shorter, "
            "wrapped it points back.",
            parts("rosenbrock", "himmelblau", "overflow"),
            lambda results: _draw_ways(families, results),
        ),
        Figure(
            "cases",
            "How often a step moves a coordinate, against its length: measured (points) and "
            "predicted (lines); to nearest is the control. Left with the product rounded, right "
            "with the gradient rounded too.",
            parts("cases"),
            lambda results: _draw_cases(families["cases"], results),
        ),
        Figure(
            "speed",
            "Left: steps until f = 0.001 against what remains in the end, for a minimizer off the "
            "grid; to nearest it never comes so far. Right: what the network reaches in float64 "
            "with longer steps, beside what rounding reaches with t = 1/8.",
            parts("off-grid", "step", "Q3.8", "Q3.10"),
            lambda results: _draw_speed(families, results),
        ),
    ]
    walks = {name: setup for name, setup in families["walk"].items() if name.startswith("64-64-sr")}
    if study.default:
        found.insert(
            2,
            Figure(
                "absorption",
                "Steps of 4,000 runs until f = x^2 / 2 is minimized, from 64 u with c = 1/64: "
                "measured (bars) and predicted (line). To nearest, all runs stop at 32 u, for "
                "ever; float64 is the control.",
                (*walks.values(), families["walk"]["64-64-rne"]),
                lambda results: _draw_walks(walks, families["walk"]["64-64-rne"], results),
            ),
        )
    return tuple(found)


def _bias(name: str) -> float:
    mode, _, eps = name.rpartition("-")
    return float(eps) if mode else 0.0


def _look(name: str, names: Iterable[str]) -> tuple[str, str, str]:
    """Colour, line and label of an arithmetic among others."""
    if name in ("float64", "rne"):
        return {"float64": (BEFORE, "--", "float64"), "rne": (NEAREST, "-", "to nearest")}[name]
    if name == "sr":
        return ROUNDED, "-", "SR"
    biased = sorted((other for other in names if _bias(other)), key=_bias)
    label = name if not name.startswith("sr_eps-") else rf"SR$_{{{_bias(name):g}}}$"
    colour = _BIASED[biased.index(name) % len(_BIASED)] if name in biased else ROUNDED
    return colour, "-", label


def _draw_losses(families: Mapping[str, Setups], names: Sequence[str], results: Results) -> Any:
    heads = {
        "grid": ("Quadratic, minimizer on the grid", "n = 100, t = 1/4, Q7.8"),
        "off-grid": ("Quadratic, minimizer off the grid", "n = 100, t = 1/4, Q7.8"),
        "nonconvex": ("Not convex", "x² + 3 sin² x, n = 10, t = 1/16, Q7.8"),
        "logistic": ("Logistic regression", "breast cancer, t = 1/16, Q1.6"),
        "Q3.8": ("Four-layer network", "1,500 digits, t = 1/8, Q3.8"),
        "Q3.10": ("Four-layer network", "1,500 digits, t = 1/8, Q3.10"),
    }
    shown = [name for name in names if name in families]
    figure, panels = drawing(16, 9 if len(shown) > 3 else 4.8, -(-len(shown) // 3), 3)
    for axes, family in zip(panels.flat, shown, strict=False):
        setups = dict(families[family])
        if family.startswith("Q"):
            setups = {"float64": families["step"]["0.125"], **setups}
        for name, setup in setups.items():
            colour, line, label = _look(name, setups)
            draws = results[setup.key]
            values = np.maximum([draw["value"] for draw in draws], _LEAST)
            step = draws[0]["step"]
            axes.plot(step, values.mean(axis=0), line, color=colour, lw=1.4, label=label)
            axes.fill_between(step, values.min(axis=0), values.max(axis=0), color=colour,
                              alpha=0.15, lw=0)  # fmt: skip
            if name == "sr" and "bound" in draws[0]:
                bound = np.mean([draw["bound"] for draw in draws], axis=0)
                axes.plot(step, bound, ":", color=THEORY, lw=1.3, label="bound for SR")
        axes.set_yscale("log")
        if family == "nonconvex":
            axes.set_xscale("symlog", linthresh=10)
            axes.set_xlim(left=0)
        axes.set_xlabel("step $k$")
        axes.set_ylabel("loss" if family not in ("grid", "off-grid", "nonconvex") else "$f - f^*$")
        title(axes, *heads[family])
        axes.legend(fontsize=9, facecolor="white")
    return figure


def _contours(axes: Any, function: Callable[[Any], Any], box: Sequence[float]) -> None:
    left, right, low, high = box
    x, y = np.meshgrid(np.linspace(left, right, 240), np.linspace(low, high, 240))
    values = function(np.stack([x, y], axis=-1))
    levels = np.geomspace(max(values.min(), 0.05), values.max(), 16)
    axes.contour(x, y, values, levels, colors="#b6bcc6", linewidths=0.7)
    axes.set_xlim(left, right)
    axes.set_ylim(low, high)
    axes.set_xlabel("$x$")
    axes.set_ylabel("$y$")


def _way(axes: Any, draw: Draw, look: tuple[str, str, str]) -> None:
    colour, line, label = look
    x, y = np.array(draw["way"]).T
    axes.plot(x, y, line, color=colour, lw=1.3, alpha=0.9, label=label)
    axes.plot(x[-1], y[-1], "o", color=colour, ms=7, mec="white", mew=0.8)


def _draw_ways(families: Mapping[str, Setups], results: Results) -> Any:
    figure, panels = drawing(17, 5.6, 1, 3)
    # The function, where its minimum is seen at large, and where the inset lies.
    for axes, family, box, near, place in (
        (panels[0, 0], "rosenbrock", (-1.25, 1.25, -0.25, 1.6), (0.9, 1.02, 0.83, 1.03),
         (0.36, 0.6, 0.3, 0.38)),
        (panels[0, 1], "himmelblau", (-0.4, 3.8, -0.4, 3.2), (2.91, 3.03, 1.97, 2.11),
         (0.62, 0.08, 0.34, 0.4)),
    ):  # fmt: skip
        problem = FUNCTIONS[family]()
        inset = axes.inset_axes(place)
        for part, region in ((axes, box), (inset, near)):
            _contours(part, problem.value, region)
            for name, setup in families[family].items():
                _way(part, results[setup.key][0], _look(name, families[family]))
            part.plot(*np.array(problem.minimizers).T, "+", color=THEORY, ms=11, mew=1.5)
        inset.tick_params(labelsize=7)
        inset.locator_params(nbins=4)
        inset.set_xlabel("")
        inset.set_ylabel("")
        axes.indicate_inset_zoom(inset, edgecolor=THEORY)
        title(axes, family.capitalize(),
              f"from {'(-1, 1)' if family == 'rosenbrock' else '(0, 0)'}, "
              "$t = 2^{-10}$, $u = 2^{-8}$")  # fmt: skip
        axes.legend(loc="lower right" if family == "rosenbrock" else "upper left", fontsize=9,
                    facecolor="white")  # fmt: skip
    axes = panels[0, 2]
    _contours(axes, FUNCTIONS["himmelblau"]().value, (2.4, 5.2, 1.4, 4.6))
    looks = {
        "float64": (BEFORE, "--", "float64"), "wide": (ROUNDED, "-", "Q9.8, wide enough"),
        "saturate": (_BIASED[0], "-", "Q7.8, saturated"), "wrap": (NEAREST, "-", "Q7.8, wrapped"),
    }  # fmt: skip
    for name, setup in families["overflow"].items():
        _way(axes, results[setup.key][0], looks[name])
    axes.plot(3, 2, "+", color=THEORY, ms=11, mew=1.5)
    axes.plot(4, 4, "s", color=THEORY, ms=5)
    title(axes, "Beyond the range", "Himmelblau from (4, 4), gradient (170, 226)")
    axes.legend(loc="lower right", fontsize=9, facecolor="white")
    return figure


def _draw_walks(setups: Setups, nearest: Setup, results: Results) -> Any:
    figure, panels = drawing(15, 4.6, 1, len(setups))
    c, start = 2.0**-6, 64
    stops = results[nearest.key][0]["last"]
    control = math.ceil(math.log(0.5 / start) / math.log(1 - c))
    for axes, (name, setup) in zip(panels[0], setups.items(), strict=True):
        eps = _bias(name.removeprefix("64-64-"))
        draw = results[setup.key][0]
        times, counts = np.array(draw["times"]), np.array(draw["counts"])
        width = max(1, round((times[-1] - times[0]) / 40))
        edges = np.arange(times[0], times[-1] + width + 1, width)
        theory = bounds.absorption_distribution(c, start, eps, steps=int(edges[-1]))
        colour, _, label = _look(name.removeprefix("64-64-"), ())
        axes.hist(times, edges, weights=counts / counts.sum(), color=colour, alpha=0.45,
                  label="measured")  # fmt: skip
        axes.plot(edges[:-1] + width / 2, np.diff(theory[edges - 1]), color=THEORY, lw=1.3,
                  label="predicted")  # fmt: skip
        mean = bounds.absorption_time(c, start, eps)
        axes.axvline(mean, color=THEORY, lw=1, ls=":", label=f"mean {mean:.1f}")
        if axes is panels[0, 0]:
            axes.axvline(control, color=BEFORE, lw=1.3, ls="--", label="float64 below $u/2$")
        axes.plot([], [], color=NEAREST, label=f"to nearest: never, stops at {stops[0]:g} $u$")
        axes.set_xlabel("steps until 0")
        axes.set_ylabel("share of runs")
        axes.set_ylim(0, 1.45 * axes.get_ylim()[1])
        title(axes, label, "J = 64, c = 1/64")
        axes.legend(loc="upper left" if eps else "upper right", fontsize=8.5, facecolor="white")
    return figure


def _draw_cases(setups: Setups, results: Results) -> Any:
    figure, panels = drawing(13, 5, 1, 2, sharey=True)
    for axes, (what, head) in zip(
        panels[0],
        (("product", "The product is rounded"), ("both", "The gradient too")),
        strict=True,
    ):
        for name, setup in setups.items():
            draw = results[setup.key][0]
            colour, _, label = _look(name, setups)
            g, t = np.array(draw["gradient"]), draw["step"]
            r = t * np.abs(g) / U
            fine = np.geomspace(r.min(), r.max(), 400)
            axes.semilogx(r, draw[what], "s" if name == "rne" else "o", color=colour, ms=4,
                          label=label)  # fmt: skip
            mode = name.partition("-")[0]
            if mode in ("rne", "sr", "sr_eps"):
                theory = bounds.moving_probability(
                    fine * U / t, t, U, mode, _bias(name),
                    gradient_u=U if what == "both" else None,
                )  # fmt: skip
                axes.plot(fine, theory, color=colour, lw=1.1)
        for limit in (0.5, 1.0):
            axes.axvline(limit, color=THEORY, lw=1, ls=":")
        for at, text in ((0.12, "case 1"), (0.71, "case 2"), (2.0, "case 3")):
            axes.text(at, 1.06, text, ha="center", fontsize=9.5, color=THEORY)
        axes.set_ylim(-0.04, 1.14)
        axes.set_xlabel(r"$|t g|\,/\,u$")
        title(axes, head, "$t = 1/4$; probabilities that a coordinate moves")
        axes.legend(loc="lower right", fontsize=9, facecolor="white")
    panels[0, 0].set_ylabel("share that moves")
    return figure


def _draw_speed(families: Mapping[str, Setups], results: Results) -> Any:
    figure, ((left, right),) = drawing(13, 5.2, 1, 2)
    setups = families["off-grid"]
    slowest = 0.0
    for name, setup in setups.items():
        draws = results[setup.key]
        steps = np.array([first_below(draw, 1e-3) for draw in draws])
        left_over = np.maximum([floor(draw) for draw in draws], 0.3)
        colour, _, label = _look(name, setups)
        if not np.isfinite(steps).all():
            continue
        slowest = max(slowest, float(steps.max()))
        left.plot(steps, left_over, "o", color=colour, ms=4, alpha=0.5)
        left.plot(steps.mean(), left_over.mean(), "D", color=colour, ms=9, mec="white", label=label)
    if "rne" in setups:
        remains = np.mean([floor(draw) for draw in results[setups["rne"].key]])
        left.plot([], [], "x", color=NEAREST, label=f"to nearest: never, {remains:.0f} remains")
    left.set_yscale("log")
    left.set_xlabel("steps until $f$ = 0.001")
    left.set_ylabel("$f$ in the end / best point of the grid")
    title(
        left,
        "Speed against floor",
        "quadratic, minimizer off the grid, Q7.8; float64 goes on far below",
    )
    left.legend(fontsize=9, facecolor="white")
    if "step" in families:
        _draw_steps(right, families, results)
    else:
        right.set_visible(False)
    return figure


def _draw_steps(axes: Any, families: Mapping[str, Setups], results: Results) -> None:
    sizes = [float(name) for name in families["step"]]
    curves = [[last(draw) for draw in results[s.key]] for s in families["step"].values()]
    axes.loglog(sizes, [np.median(losses) for losses in curves], "D--", color=BEFORE,
                label="float64, median")  # fmt: skip
    for t, losses in zip(sizes, curves, strict=True):
        axes.plot(np.full(len(losses), t), losses, "o", color=BEFORE, ms=4, alpha=0.5)
    for family, line in (("Q3.8", "-"), ("Q3.10", ":")):
        for name, setup in families[family].items():
            loss = np.mean([last(draw) for draw in results[setup.key]])
            colour, _, label = _look(name, families[family])
            axes.axhline(loss, color=colour, ls=line, lw=1.4, label=f"{label}, {family}, t = 1/8")
    axes.set_xticks(sizes, [f"{t:g}" for t in sizes])
    axes.minorticks_off()
    axes.set_xlabel("step of float64")
    axes.set_ylabel("loss at $k$ = 300")
    title(axes, "Part of the bias is a longer step", "four-layer network, 1,500 digits")
    axes.legend(fontsize=8.5, facecolor="white", ncols=2)
