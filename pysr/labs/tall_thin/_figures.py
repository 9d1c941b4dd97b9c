"""Figures of the lab tall-thin, each with round to nearest beside."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pysr.labs._figures import BEFORE, NEAREST, ROUNDED, THEORY, drawing, title
from pysr.labs._frame import Draw, Figure, Results
from pysr.labs.tall_thin._cases import Case
from pysr.labs.tall_thin._claims import ZERO
from pysr.linalg import theory

NEAREST_LABEL = "round to nearest"


def figures(cases: Mapping[str, list[Case]]) -> Iterator[Figure]:
    """Every figure for which there are cases, by family."""
    generic, structured = cases["deficient"], cases["structured"]
    yield Figure(
        "lift",
        "sigma_min of every draw over its prediction, one mark a seed. Left: Gaussian matrices "
        "whose last singular value was set to 0, on decimal and binary grids: rounded "
        "stochastically they meet the prediction, to nearest 0.71 of it. Right: matrices with "
        "structure: a repeated column stays repeated when it is rounded to nearest.",
        tuple(case.setup for case in (*generic, *structured)),
        lambda results: _draw_lift(generic, structured, results),
    )
    yield Figure(
        "histogram",
        "How sigma_min is distributed over seeds, for a generic matrix of deficient rank (left) "
        "and one with a repeated column (right), rounded stochastically and to nearest.",
        tuple(case.setup for case in cases["histogram"]),
        lambda results: _draw_histograms(cases["histogram"], results),
    )
    if "against-n" in cases:
        parts = (cases["against-n"], cases["against-d"], cases["noise"])
        yield Figure(
            "sizes",
            "sigma_min against the number of rows (left) and of columns (right), rounded "
            "stochastically and to nearest, with predictions as lines.",
            tuple(case.setup for part in parts for case in part),
            lambda results: _draw_sizes(*parts, results),
        )
        tails = [next(case for case in cases["cluster"] if case.d == d) for d in (200, 500)]
        yield Figure(
            "tails",
            "The tail of the spectrum where many singular values are zero: stochastic rounding "
            "lifts the whole cluster between its predicted edges, round to nearest to 0.71 of them "
            "on such generic matrices.",
            tuple(case.setup for case in tails),
            lambda results: _draw_tails(tails, results),
        )
    spectra = list({case.d: case for case in reversed(structured)}.values())[:2]
    yield Figure(
        "spectra",
        "All singular values of a matrix before rounding and after, stochastically and to nearest.",
        tuple(case.setup for case in spectra),
        lambda results: _draw_spectra(spectra, results),
    )
    if math.isfinite(cases["full-rank"][0].step):
        yield Figure(
            "full-rank",
            "A matrix of full rank with sigma_min = 0.01 on coarse and fine grids: stochastic "
            "rounding raises it to the prediction where the grid is coarse, and leaves it where it "
            "is fine.",
            tuple(case.setup for case in cases["full-rank"]),
            lambda results: _draw_full_rank(cases["full-rank"], results),
        )


def _reference(draw: Draw) -> float:
    return float(draw["predicted"] if "predicted" in draw else draw["scale"])


def _draw_lift(generic: Sequence[Case], structured: Sequence[Case], results: Results) -> Any:
    height = 2.2 + 0.42 * max(len(structured), len(generic))
    figure, panels = drawing(13, height, 1, 2)
    for axes, cases, label in zip(panels[0], (generic, structured), (_short, _long), strict=True):
        for line, case in enumerate(cases):
            draws = results[case.key][:20]
            jitter = np.linspace(-0.25, 0.25, len(draws)) if len(draws) > 1 else np.zeros(1)
            for kind, colour, marker, name in (
                ("nearest", NEAREST, "x", NEAREST_LABEL),
                ("rounded", ROUNDED, "o", _mode_name(case.mode)),
            ):
                ratios = [draw[kind][-1] / _reference(draw) for draw in draws]
                axes.scatter(ratios, line + jitter, s=15, color=colour, marker=marker,
                             linewidth=1.0, alpha=0.85, label=None if line else name)  # fmt: skip
        axes.axvline(1.0, color=THEORY, linewidth=1.1, zorder=1)
        axes.axvline(math.sqrt(0.5), color=THEORY, linewidth=1.1, linestyle=":", zorder=1)
        axes.set_yticks(range(len(cases)), [label(case) for case in cases], fontsize=8.5)
        axes.set_ylim(len(cases) - 0.4, -1.4)
        axes.set_xlim(-0.06, 1.16)
        for at, text in ((1.0, "prediction"), (math.sqrt(0.5), r"$1/\sqrt{2}$ of it")):
            axes.text(
                at, -0.8, text, ha="center", fontsize=9, color=THEORY, backgroundcolor="white"
            )
        axes.set_xlabel(r"$\sigma_{\min}$ after rounding, over its prediction")
    panels[0, 0].legend(loc="lower left", fontsize=9, facecolor="white")
    title(panels[0, 0], "Generic matrices of deficient rank", r"randn, last $\sigma$ := 0, n = 10⁴")
    title(panels[0, 1], "Matrices with structure", "a repeated column, or real data")
    return figure


def _mode_name(mode: str) -> str:
    return "stochastic rounding" if mode == "sr" else mode


def _short(case: Case) -> str:
    return f"d = {case.d}, {_grid(case)}"


def _long(case: Case) -> str:
    return f"{_what(case)}\n{_size(case)}"


def _what(case: Case) -> str:
    return case.what.replace("sigma", r"$\sigma$")


def _size(case: Case) -> str:
    return f"{case.n} × {case.d}, {_grid(case)}"


def _grid(case: Case) -> str:
    """The step of a uniform grid, as a power where it is one; else the format."""
    if not math.isfinite(case.step):
        return case.tag
    for base in (2, 10):
        power = round(math.log(case.step, base))
        if case.step == float(base) ** power:
            return f"step ${base}^{{{power}}}$"
    return f"step {case.tag}"


def _draw_histograms(cases: Sequence[Case], results: Results) -> Any:
    figure, panels = drawing(11, 4.2, 1, 2)
    for axes, case in zip(panels[0], cases, strict=True):
        draws = results[case.key]
        kinds = [("rounded", ROUNDED, "///", _mode_name(case.mode)),
                 ("nearest", NEAREST, "...", NEAREST_LABEL)]  # fmt: skip
        values = {kind: np.array([draw[kind][-1] for draw in draws]) for kind, *_ in kinds}
        least = min(values["rounded"].min(), max(values["nearest"].min(), 0.0))
        most = max(part.max() for part in values.values())
        bins = np.linspace(0.95 * least, 1.03 * most, 60)
        for kind, colour, hatch, name in kinds:
            axes.hist(values[kind], bins, color=colour, alpha=0.55, hatch=hatch, edgecolor=colour,
                      linewidth=0.8, label=name)  # fmt: skip
        predicted = float(np.mean([draw["predicted"] for draw in draws]))
        axes.axvline(predicted, color=THEORY, linewidth=1.3, label="prediction")
        if least > ZERO:
            axes.axvline(predicted * math.sqrt(0.5), color=THEORY, linewidth=1.3, linestyle=":",
                         label=r"$1/\sqrt{2}$ of it")  # fmt: skip
        axes.set_xlabel(r"$\sigma_{\min}$ after rounding")
        axes.set_ylabel(f"seeds, of {len(draws)}")
        axes.legend(loc="upper center", fontsize=9, facecolor="white")
        title(axes, _what(case), _size(case))
    return figure


def _scatter(axes: Any, x: Callable[[Case], int], cases: Sequence[Case], results: Results) -> None:
    for kind, colour, marker, name in (
        ("rounded", ROUNDED, "o", _mode_name(cases[0].mode)),
        ("nearest", NEAREST, "x", NEAREST_LABEL),
    ):
        points = [(x(case), draw[kind][-1]) for case in cases for draw in results[case.key]]
        axes.loglog(*zip(*points, strict=True), marker, color=colour, ms=5, label=name)


def _draw_sizes(
    rows: Sequence[Case], columns: Sequence[Case], noise: Sequence[Case], results: Results
) -> Any:
    figure, ((left, right),) = drawing(12, 5, 1, 2)
    step = rows[0].step
    _scatter(left, lambda case: case.n, rows, results)
    n = np.geomspace(0.8 * rows[0].n, 1.25 * rows[-1].n)
    lift = np.array([theory.uniform_lift(int(k), step) for k in n])
    left.loglog(n, lift, color=THEORY, lw=1.2, label=r"step $\sqrt{n/6}$")
    left.loglog(n, lift / math.sqrt(2), ":", color=THEORY, lw=1.2, label=r"step $\sqrt{n/12}$")
    left.set_xticks([case.n for case in rows], [str(case.n) for case in rows])
    left.set_xlabel("rows $n$")
    title(left, "Growth with the number of rows", f"{_what(rows[0])}, n × 10, {_grid(rows[0])}")
    _scatter(right, lambda case: case.d, columns, results)
    rest = [case for case in noise if case.n == columns[0].n]
    points = [(case.d, draw["rounded"][-1]) for case in rest for draw in results[case.key]]
    right.loglog(*zip(*points, strict=True), "^", color=BEFORE, mfc="none", ms=6,
                 label="noise alone")  # fmt: skip
    d = np.geomspace(8, 1.15 * max(case.d for case in (*columns, *rest)))
    n0 = columns[0].n
    lift = theory.uniform_lift(1, step) * np.sqrt(n0 - d + 1)
    right.loglog(d, lift, color=THEORY, lw=1.2, label=r"step $\sqrt{(n-d+1)/6}$")
    right.loglog(d, lift / math.sqrt(2), ":", color=THEORY, lw=1.2, label=r"$1/\sqrt{2}$ of it")
    right.loglog(d, [theory.noise_lift(n0, int(k), step / 2) for k in d], "--", color=BEFORE,
                 lw=1.2, label=r"s $(\sqrt{n}-\sqrt{d})$, s = step / 2")  # fmt: skip
    ticks = [case.d for case in columns]
    right.set_xticks(ticks, [str(k) for k in ticks])
    right.set_xlabel("columns $d$")
    title(
        right,
        "And with the number of columns",
        f"{_what(columns[0])}, {n0} × d, {_grid(columns[0])}",
    )
    for axes in (left, right):
        axes.minorticks_off()
        axes.set_ylabel(r"$\sigma_{\min}$ after rounding")
        low, high = axes.get_ylim()
        powers = [2.0**k for k in range(-30, 12) if low <= 2.0**k <= high]
        axes.set_yticks(powers, [f"{t:g}" for t in powers])
    left.legend(loc="upper left", fontsize=9, frameon=False)
    right.legend(loc="lower left", fontsize=9, frameon=False, ncols=2)
    right.set_ylim(bottom=0.55 * right.get_ylim()[0])
    return figure


def _draw_tails(cases: Sequence[Case], results: Results) -> Any:
    figure, panels = drawing(12, 4.8, 1, 2)
    for axes, case in zip(panels[0], cases, strict=True):
        k = int(case.key.split("-")[1])
        draw = results[case.key][0]
        edges = theory.lifted_cluster(case.n, case.d, k, case.step)
        floor = edges[0] / 4
        axes.axhspan(*edges, color=ROUNDED, alpha=0.13, lw=0, label="predicted cluster")
        axes.axhspan(*(edge / math.sqrt(2) for edge in edges), facecolor="none", hatch="///",
                     edgecolor=NEAREST, alpha=0.5, lw=0, label=r"$1/\sqrt{2}$ of it")  # fmt: skip
        index = np.arange(1, case.d + 1)
        axes.plot(index, np.maximum(draw["before"], floor), "-", color=BEFORE, lw=2.5,
                  label="before rounding (0 is below)")  # fmt: skip
        for kind, colour, marker, name in (
            ("nearest", NEAREST, "x", NEAREST_LABEL),
            ("rounded", ROUNDED, "o", _mode_name(case.mode)),
        ):
            axes.plot(index, draw[kind], marker, color=colour, ms=3.2, label=name)
        axes.set_yscale("log")
        axes.set_ylim(floor, 1.6 * draw["before"][0])
        axes.set_xlabel("index of the singular value")
        axes.set_ylabel("singular value")
        axes.legend(loc="lower left", fontsize=9, facecolor="white")
        title(axes, f"{k} singular values of {case.d} are zero", _size(case))
    return figure


def _draw_spectra(cases: Sequence[Case], results: Results) -> Any:
    figure, panels = drawing(12, 4.8, 1, len(cases))
    for axes, case in zip(panels[0], cases, strict=True):
        draw = results[case.key][0]
        index = np.arange(1, case.d + 1)
        for kind, colour, marker, name in (
            ("before", BEFORE, "s", "before rounding"),
            ("nearest", NEAREST, "x", NEAREST_LABEL),
            ("rounded", ROUNDED, "o", _mode_name(case.mode)),
        ):
            fill, size = ("none", 6.0) if kind == "before" else (colour, 4.5)
            axes.semilogy(index, draw[kind], marker, color=colour, ms=size, mfc=fill, label=name)
        axes.axhline(_reference(draw), color=THEORY, lw=1.0, ls="--", label="prediction")
        axes.set_xlabel("index of the singular value")
        axes.set_ylabel("singular value")
        axes.legend(loc="lower left", fontsize=9, frameon=False)
        title(axes, _what(case), _size(case))
    return figure


def _draw_full_rank(cases: Sequence[Case], results: Results) -> Any:
    figure, ((axes,),) = drawing(8.5, 5.2)
    ordered = sorted(cases, key=lambda case: case.step)
    for kind, colour, marker, name in (
        ("nearest", NEAREST, "x", NEAREST_LABEL),
        ("rounded", ROUNDED, "o", _mode_name(cases[0].mode)),
    ):
        points = [
            (case.step, draw[kind][-1]) for case in ordered for draw in results[case.key][:20]
        ]
        axes.loglog(*zip(*points, strict=True), marker, color=colour, ms=4.5, alpha=0.8, label=name)
    steps = [case.step for case in ordered]
    for field, style, name in (("predicted", "-", "prediction"), ("scale", ":", r"$R\sqrt{n\nu}$")):
        means = [np.mean([draw[field] for draw in results[case.key]]) for case in ordered]
        axes.loglog(steps, means, style, color=THEORY, lw=1.2, label=name)
    axes.axhline(0.01, color=BEFORE, lw=1.2, ls="--", label="before rounding")
    axes.set_xlabel("step of the grid")
    axes.set_ylabel(r"$\sigma_{\min}$")
    axes.legend(loc="upper left", fontsize=9, frameon=False)
    title(axes, "Full rank: lifted where the grid is coarse",
          f"randn, last $\\sigma$ := 0.01, {cases[0].n} × {cases[0].d}")  # fmt: skip
    return figure
