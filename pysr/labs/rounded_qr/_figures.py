"""Figures of the lab rounded-qr, to nearest beside the chosen mode."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import pysr
from pysr.labs._figures import BEFORE, NEAREST, ROUNDED, THEORY, drawing, title
from pysr.labs._frame import Figure, Results, format_name
from pysr.labs.rounded_qr._claims import FAILURE, factorized, solved
from pysr.labs.rounded_qr._measure import Factorization
from pysr.labs.rounded_qr._study import Study
from pysr.linalg import theory

_STYLES = {
    "householder": ("Householder", "#111827", "o"),
    "mgs": ("MGS", "#1f5fbf", "s"),
    "cgs": ("CGS", "#d9730d", "^"),
    "cgs2": ("CGS2", "#2f9e44", "D"),
    "cholesky": ("Cholesky", "#c2255c", "v"),
}


Runs = Callable[[str, str], list[Factorization]]


def figures(study: Study) -> tuple[Figure, ...]:
    """Every figure."""
    qr = [setup for key, setup in study.setups.items() if key.startswith("qr-")]
    rest = [setup for key, setup in study.setups.items() if not key.startswith("qr-")]
    return (
        Figure(
            "factorizations",
            "Loss of orthogonality (left: to nearest, middle: stochastically) and error of QR "
            "(right) against the condition number, with every operation rounded, beside theory "
            "and NumPy in float64.",
            tuple(qr),
            lambda results: _draw_factorizations(study, results),
        ),
        Figure(
            "growth",
            "Errors of sums of equal terms (left) and of Householder's factorization (middle) "
            "against the number of terms or rows, to nearest and stochastically, beside their "
            "bounds; corrections of refinement against the condition number (right).",
            tuple(rest),
            lambda results: _draw_long(study, results),
        ),
    )


def _draw_factorizations(study: Study, results: Results) -> Any:
    figure, panels = drawing(16, 5.2, 1, 3)
    fmt = study.formats("float16")[0]
    name = format_name(fmt)

    def runs(mode: str, method: str) -> list[Factorization]:
        return factorized(results[f"qr-{name}-{mode}-{method}"])

    control = factorized(results["qr-float64"])
    for axes, mode in zip(panels[0], dict.fromkeys(("rne", study.modes[-1])), strict=False):
        _draw_losses(axes, study, fmt, mode, runs, control)
    panels[0, 1].set_ylim(panels[0, 0].get_ylim())
    _draw_errors(panels[0, 2], study, fmt, runs, control)
    return figure


def _draw_long(study: Study, results: Results) -> Any:
    figure, panels = drawing(16, 5.2, 1, 3)
    _draw_sums(panels[0, 0], study, results)
    _draw_growth(panels[0, 1], study, results)
    _draw_refinement(panels[0, 2], study, results)
    return figure


def _adverb(mode: str) -> str:
    return {"rne": "to nearest", "sr": "stochastically"}.get(mode, mode)


def _means(chosen: Sequence[Factorization], what: str) -> tuple[list[float], list[float]]:
    """Condition numbers, and geometric means over seeds where nothing broke down."""
    kappas = sorted({f.kappa for f in chosen if not f.breakdown})
    means = [
        math.exp(
            np.mean(
                [math.log(getattr(f, what)) for f in chosen if f.kappa == k and not f.breakdown]
            )
        )
        for k in kappas
    ]
    return kappas, means


def _draw_losses(
    axes: Any, study: Study, fmt: Any, mode: str, runs: Runs, control: Sequence[Factorization]
) -> None:
    m, n = study.shape
    u = theory.unit_roundoff(fmt, mode)
    kappas = np.logspace(0, math.log10(1 / u), 60)
    for method in _STYLES:
        label, colour, marker = _STYLES[method]
        chosen = runs(mode, method)
        x, y = _means(chosen, "loss")
        axes.loglog(x, np.array(y) / u, marker + "-", color=colour, ms=5.5, lw=1.3, label=label)
        if method == "cholesky" and len(x) < len({f.kappa for f in chosen}):
            axes.plot(x[-1], y[-1] / u, "x", color=colour, ms=13, mew=2.2)
            axes.annotate(
                "breaks down\nbeyond here", (x[-1], y[-1] / u), (-10, 4), fontsize=9,
                textcoords="offset points", color=colour, ha="right",
            )  # fmt: skip
    x, y = _means(control, "loss")
    axes.loglog(x, np.array(y) / 2.0**-53, "+-", color=BEFORE, lw=1, label="float64, in its own u")
    for power, label in ((1, r"$\kappa u$"), (2, r"$\kappa^2 u$")):
        line = kappas**power
        axes.loglog(kappas, line, ":", color=THEORY, lw=1.2)
        at, offset = (54, (4, -10)) if power == 1 else (48, (-34, -2))
        axes.annotate(
            label, (kappas[at], line[at]), offset, textcoords="offset points", fontsize=11
        )
    axes.axhline(math.sqrt(m * n), color=THEORY, lw=1, ls="--")
    axes.annotate(r"$\sqrt{mn}\,u$", (1.05, math.sqrt(m * n)), (0, 3),
                  textcoords="offset points", fontsize=10)  # fmt: skip
    axes.axvline(1 / math.sqrt(u), color=_STYLES["cholesky"][1], lw=1, ls="--", alpha=0.6)
    axes.annotate(r"$u^{-1/2}$", (1 / math.sqrt(u), 0.7), (3, 0), textcoords="offset points",
                  fontsize=10, color=_STYLES["cholesky"][1])  # fmt: skip
    axes.set_ylim(0.5, 3e6)
    axes.set_xlabel(r"condition number $\kappa$")
    axes.set_ylabel(r"$\|Q^T Q - I\|$, in units of $u$")
    title(axes, f"Loss of orthogonality, {_adverb(mode)}",
           rf"{format_name(fmt)}, {m} × {n}, $u = 2^{{{round(math.log2(u))}}}$")  # fmt: skip
    axes.legend(loc="upper left", frameon=False, fontsize=9, ncols=2)


def _draw_errors(
    axes: Any, study: Study, fmt: Any, runs: Runs, control: Sequence[Factorization]
) -> None:
    m, n = study.shape
    for mode, line in zip(study.modes, ("--", "-"), strict=False):
        u = theory.unit_roundoff(fmt, mode)
        for method in ("householder", "mgs", "cgs2"):
            label, colour, marker = _STYLES[method]
            x, y = _means(runs(mode, method), "error")
            fill = "none" if mode == "rne" else colour
            axes.loglog(x, np.array(y) / u, marker + line, color=colour, mfc=fill, ms=5.5, lw=1.3,
                        label=f"{label}, {mode}")  # fmt: skip
    x, y = _means(control, "error")
    axes.loglog(x, np.array(y) / 2.0**-53, "+-", color=BEFORE, lw=1, label="float64, in its own u")
    axes.axhline(math.sqrt(m * n), color=THEORY, lw=1, ls="--")
    axes.annotate(r"$\sqrt{mn}\,u$", (1.05, math.sqrt(m * n)), (0, 3),
                  textcoords="offset points", fontsize=10)  # fmt: skip
    axes.set_ylim(0.02, 6 * math.sqrt(m * n))
    axes.set_xlabel(r"condition number $\kappa$")
    axes.set_ylabel(r"$\|A - QR\|\,/\,\|A\|$, in units of $u$")
    title(
        axes, r"Error of $QR$: small for all, whatever $\kappa$", f"{format_name(fmt)}, {m} × {n}"
    )
    axes.legend(loc="lower left", frameon=False, fontsize=9, ncols=2)


def _draw_sums(axes: Any, study: Study, results: Results) -> None:
    for fmt, marker in zip(study.formats("binary32", "float16"), "os", strict=False):
        name = format_name(fmt)
        n = np.array(study.lengths[f"sums-{name}"])
        for mode, colour in zip(study.modes, (NEAREST, ROUNDED), strict=False):
            draws = results[f"sums-{name}-{mode}"]
            rms = np.sqrt(np.mean(np.square([draw["rms"] for draw in draws]), axis=0))
            axes.loglog(n, rms, marker, color=colour, ms=5, label=f"{name}, {mode}")
            u = theory.unit_roundoff(fmt, mode)
            failure = None if mode == "rne" else FAILURE
            if mode != "rne":
                axes.loglog(n, draws[0]["predicted"], color=colour, lw=1.2)
            bound = np.array([theory.summation(int(k), u, failure=failure) for k in n])
            axes.loglog(n[bound < 3], bound[bound < 3], "--", color=colour, lw=1)
    axes.plot([], [], "-", color=ROUNDED, lw=1.2, label="predicted deviation")
    axes.plot([], [], "--", color=BEFORE, lw=1, label=r"bounds: $nu$; $\lambda\sqrt{n}\,u$")
    axes.axhline(1, color=THEORY, lw=0.8)
    axes.set_ylim(1e-10, 5)
    axes.set_xlabel("number of terms $n$")
    axes.set_ylabel("relative error, rms")
    title(axes, r"Sums of equal terms: $n$ to nearest, $\sqrt{n}$ stochastically",
          "256 terms $c$ in [1, 2), each added $n$ times")  # fmt: skip
    axes.legend(loc="lower right", frameon=False, fontsize=9, ncols=3)


def _draw_growth(axes: Any, study: Study, results: Results) -> None:
    (fmt,) = study.formats("bfloat16")
    lengths = study.lengths["growth"]
    for mode, colour, marker in zip(study.modes, (NEAREST, ROUNDED), "xo", strict=False):
        draws = results[f"growth-{format_name(fmt)}-{mode}"]
        points = [(m, e) for draw in draws for m, e in zip(lengths, draw["errors"], strict=True)]
        axes.loglog(*zip(*points, strict=True), marker, color=colour, ms=6, label=_adverb(mode))
        u = theory.unit_roundoff(fmt, mode)
        line = [theory.householder_qr(m, 8, u, factor=1.0) for m in lengths]
        axes.loglog(lengths, line, "--", color=colour, lw=1, label=rf"$\sqrt{{mn}}\,u$, {mode}")
    axes.set_xticks(lengths[:: 2 if len(lengths) > 5 else 1])
    axes.set_xticklabels([str(m) for m in lengths[:: 2 if len(lengths) > 5 else 1]])
    axes.minorticks_off()
    axes.set_xlabel("rows $m$")
    axes.set_ylabel(r"$\|A - QR\|\,/\,\|A\|$")
    title(axes, "Householder's error against the number of rows",
           format_name(fmt) + r", $m$ × 8, elements uniform in [0, 1)")  # fmt: skip
    axes.legend(loc="upper left", frameon=False, fontsize=9)


def _draw_refinement(axes: Any, study: Study, results: Results) -> None:
    top = 44
    mode = study.modes[-1]
    formats = [*study.formats("float16", "bfloat16"), pysr.format("binary64")]
    styles = [(ROUNDED, "o"), (NEAREST, "s"), (BEFORE, "+")]
    for which, (fmt, (colour, marker)) in enumerate(
        zip(formats, [*styles[: len(formats) - 1], styles[2]], strict=True)
    ):
        last = fmt is formats[-1]
        name = f"{format_name(fmt)}-{'rne' if last else mode}"
        for method, line, fill in (("lu", "-", colour), ("gmres", "--", "white")):
            chosen = solved(results[f"{method}-{name}"])
            good = sorted({s.kappa for s in chosen if s.converged})
            counts = [
                np.mean([s.corrections for s in chosen if s.kappa == k and s.converged])
                for k in good
            ]
            label = f"{method.upper()}-IR, {name.replace('-', ' ')}"
            axes.plot(
                good, counts, marker + line, color=colour, mfc=fill, ms=5.5, lw=1.2, label=label
            )
            bad = sorted({s.kappa for s in chosen if not s.converged})
            height = top - 6 - 5 * which
            axes.plot(bad, [height] * len(bad), "x", color=colour, ms=7, mew=1.6)
            if bad and method == "lu":
                axes.annotate(f"LU-IR, {format_name(fmt)}: diverges", (bad[-1], height), (0, 7),
                              textcoords="offset points", ha="right", color=colour,
                              fontsize=8.5)  # fmt: skip
        if not last:
            limit = theory.lu_ir_limit(theory.unit_roundoff(fmt, mode))
            axes.axvline(limit, color=colour, lw=1, ls=":")
            axes.annotate(r"$1/u_f$", (limit, top), (2, -2), va="top", color=colour,
                          textcoords="offset points", fontsize=9.5)  # fmt: skip
    axes.set_xscale("log")
    axes.set_ylim(0, top)
    axes.set_xlabel(r"condition number $\kappa$")
    axes.set_ylabel("corrections until convergence")
    title(axes, r"Refinement to a backward error below $n\,2^{-53}$",
           f"{study.order} × {study.order}, factors with unit roundoff $u_f$")  # fmt: skip
    axes.legend(loc="center right", frameon=False, fontsize=8.5)
