"""Stochastic rounding lifts the smallest singular value of tall and thin matrices.

The paper is Dexter, Boutsikas, Ma, Ipsen and Drineas, "Stochastic Rounding Implicitly Regularizes
Tall-and-Thin Matrices", arXiv:2403.12278. Let A be n x d with n >> d, and A~ = SR(A), rounded
entry by entry and independently on some grid, so that Var A~_ij = (ceil - a)(a - floor). With
R >= max |A~_ij - A_ij| and nu = min_j (1 / (n R^2)) sum_i Var A~_ij the theorem says that, with
high probability,

    sigma_d(A~) >= R sqrt(n) (sqrt(nu) - eps),   eps -> 0 as n grows,

for any A at all, rank-deficient ones included. R cancels in the leading term:
R sqrt(n nu) = sqrt(min_j sum_i Var A~_ij).

The theorem bounds from below and this lab does not use its eps. The values that the lab expects are
sharper predictions, derived for this project; the functions below say which is which.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import pysr
from pysr.labs._report import MissingExtra, Row, extra

__all__ = [
    "entry_variances",
    "figure",
    "measure",
    "normalized_variance",
    "predicted_lift",
    "rows",
    "singular_values",
    "theorem_scale",
    "uniform_lift",
]

SUMMARY = "stochastic rounding lifts the smallest singular value of tall and thin matrices"

# NDArray spelled out: stubtest looks for a class, and from NumPy 2.5 on it is none.
Matrix = np.ndarray[tuple[Any, ...], np.dtype[np.float64]]
ZERO = 1e-12


# ---------------------------------------------------------------------------------------------
# Theory


def entry_variances(a: npt.ArrayLike, fmt: Any) -> Matrix:
    """Variance that stochastic rounding gives to each entry.

    Parameters
    ----------
    a : array_like
        Real values.
    fmt : format
        Anything that `pysr.format` takes, narrower than binary64.

    Returns
    -------
    ndarray of float64
        (ceil - a)(a - floor), floor and ceil being the neighbours of `a` on the format's grid; 0
        on the grid. From arXiv:2403.12278.

    Raises
    ------
    OverflowError
        If a neighbour lies outside the format's range: the overflow rule, not the grid, would
        then shape the result.

    Examples
    --------
    >>> entry_variances([0.25, 0.5, 0.625], "Q1.2")
    array([0.      , 0.      , 0.015625])
    """
    values = np.asarray(a, np.float64)
    floor = np.asarray(pysr.round(values, fmt, "rd", overflow="raise"), np.float64)
    ceil = np.asarray(pysr.round(values, fmt, "ru", overflow="raise"), np.float64)
    return (ceil - values) * (values - floor)


def theorem_scale(a: npt.ArrayLike, fmt: Any) -> float:
    """The leading term R sqrt(n nu) of the theorem's lower bound, free of R.

    Parameters
    ----------
    a : array_like
        An n x d matrix.
    fmt : format
        The format it is rounded to.

    Returns
    -------
    float
        sqrt(min_j sum_i Var A~_ij). From arXiv:2403.12278; eps is left out.

    Examples
    --------
    >>> theorem_scale([[0.125, 0.5], [0.125, 0.375]], "Q1.2")
    0.125
    """
    return math.sqrt(float(entry_variances(a, fmt).sum(axis=0).min()))


def normalized_variance(a: npt.ArrayLike, fmt: Any, bound: float) -> float:
    """The paper's nu, the least normalized variance of a column.

    Parameters
    ----------
    a : array_like
        An n x d matrix.
    fmt : format
        The format it is rounded to.
    bound : float
        R, not less than the largest error |A~_ij - A_ij|; the grid's step will do.

    Returns
    -------
    float
        min_j (1 / (n R^2)) sum_i Var A~_ij, in [0, 1]. From arXiv:2403.12278.

    Raises
    ------
    ValueError
        If `bound` is not positive.

    Examples
    --------
    >>> normalized_variance([[0.125, 0.5], [0.125, 0.375]], "Q1.2", bound=0.25)
    0.125
    """
    if not bound > 0:
        raise ValueError(f"bound must be positive, not {bound}")
    variances = entry_variances(a, fmt)
    return float(variances.sum(axis=0).min() / (variances.shape[0] * bound**2))


def predicted_lift(a: npt.ArrayLike, fmt: Any) -> float:
    """Predicted smallest singular value after stochastic rounding.

    Parameters
    ----------
    a : array_like
        An n x d matrix whose other singular values are well above the rounding errors.
    fmt : format
        The format it is rounded to.

    Returns
    -------
    float
        sqrt(sigma_d^2 + (1 - (d-1)/n) sum_j v_j^2 V_j), v being the right singular vector of
        sigma_d(A) and V_j = sum_i Var A~_ij. Derived for this project: to first order the error E
        adds E v to the vector A v, of whose n directions the d - 1 of the other singular vectors
        are taken.

    Examples
    --------
    >>> predicted_lift([[0.125, 0.125], [0.375, 0.375], [0.5, 0.5]], "Q1.2")  # doctest: +ELLIPSIS
    0.144...
    """
    matrix = np.asarray(a, np.float64)
    n, d = matrix.shape
    _, sigma, v = np.linalg.svd(_triangle(matrix))
    noise = float(v[-1] ** 2 @ entry_variances(matrix, fmt).sum(axis=0))
    return math.sqrt(float(sigma[-1]) ** 2 + (1 - (d - 1) / n) * noise)


def uniform_lift(n: int, step: float) -> float:
    """Predicted smallest singular value of a rank-deficient matrix on a uniform grid.

    Parameters
    ----------
    n : int
        The number of rows.
    step : float
        The grid's spacing.

    Returns
    -------
    float
        step sqrt(n/6): fractional parts that are uniform give every entry the variance step^2/6.
        Round to nearest, whose errors then have the variance step^2/12, lifts to 1/sqrt(2) of it
        unless structure, such as equal columns, makes its errors equal too. Derived for this
        project.

    Examples
    --------
    >>> uniform_lift(600, 0.25)
    2.5
    """
    return step * math.sqrt(n / 6)


def singular_values(a: npt.ArrayLike) -> Matrix:
    """Singular values of a tall matrix, largest first.

    Parameters
    ----------
    a : array_like
        An n x d matrix, n >= d.

    Returns
    -------
    ndarray of float64
        Those of the triangular factor of a QR decomposition. The Gram matrix would lose every
        singular value below 1e-8 of the largest.

    Examples
    --------
    >>> singular_values([[3.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
    array([3., 2.])
    """
    triangle = _triangle(np.asarray(a, np.float64))
    return np.asarray(np.linalg.svd(triangle, compute_uv=False), np.float64)


def _triangle(a: Matrix) -> Matrix:
    return np.asarray(np.linalg.qr(a, mode="r"), np.float64)


# ---------------------------------------------------------------------------------------------
# Set-ups: each makes a matrix from a generator


def _deficient(n: int, d: int) -> Callable[[np.random.Generator], Matrix]:
    """The authors' matrix: Gaussian, its last singular value set to 0, scaled into [-1, 1]."""

    def make(generator: np.random.Generator) -> Matrix:
        a = generator.standard_normal((n, d))
        v = np.linalg.svd(_triangle(a))[2][-1]
        a -= np.outer(a @ v, v)
        return np.asarray(a / np.abs(a).max(), np.float64)

    return make


def _duplicated(n: int, d: int, grid: Any = None) -> Callable[[np.random.Generator], Matrix]:
    """Uniform on (-1, 1), or on the grid inside it, with the first column repeated as the last."""

    def make(generator: np.random.Generator) -> Matrix:
        a = generator.uniform(-1.0, 1.0, (n, d))
        a[:, -1] = a[:, 0]
        return a if grid is None else np.asarray(pysr.round(a, grid, "rz"), np.float64)

    return make


def _breast_cancer(repeat: bool) -> Callable[[np.random.Generator], Matrix]:
    """Scikit-learn's breast-cancer table, each column scaled linearly onto [-1, 1].

    A real matrix: its 30 measurements of one cell nucleus (radius, perimeter, area, ...) all but
    repeat each other, so its smallest singular value is small, but not zero. With `repeat` the
    first column stands there twice, as after a careless join of two tables.
    """
    datasets = extra("sklearn.datasets", "scikit-learn", "the breast-cancer set-up")
    table = np.asarray(datasets.load_breast_cancer().data, np.float64)
    low, high = table.min(axis=0), table.max(axis=0)
    a = np.clip(2.0 * (table - low) / (high - low) - 1.0, -1.0, 1.0)
    if repeat:
        a = np.column_stack([a, a[:, 0]])
    return lambda generator: a


@dataclasses.dataclass(frozen=True)
class SetUp:
    """A matrix, a format, and a number that gives the set-up random streams of its own."""

    label: str
    fmt: str
    number: int
    make: Callable[[np.random.Generator], Matrix]

    def generator(self, seed: int) -> np.random.Generator:
        """The generator that makes the matrix."""
        return np.random.Generator(pysr.Philox(seed, stream=2 * self.number))

    def stream(self, seed: int) -> Any:
        """The stream that rounds it."""
        return pysr.Philox(seed, stream=2 * self.number + 1)


@dataclasses.dataclass(frozen=True)
class Draw:
    """One matrix before and after rounding: all singular values, and what theory says."""

    before: Matrix
    nearest: Matrix
    stochastic: Matrix
    predicted: float
    scale: float
    uniform: float


def _draw(setup: SetUp, seed: int) -> Draw:
    a = setup.make(setup.generator(seed))
    fmt = pysr.format(setup.fmt)
    return Draw(
        before=singular_values(a),
        nearest=singular_values(pysr.round(a, fmt, "rne")),
        stochastic=singular_values(pysr.round(a, fmt, "sr", rng=setup.stream(seed))),
        predicted=predicted_lift(a, fmt),
        scale=theorem_scale(a, fmt),
        uniform=uniform_lift(a.shape[0], getattr(fmt, "step", math.nan)),
    )


Runs = list[tuple[SetUp, list[Draw]]]


@dataclasses.dataclass(frozen=True)
class Found:
    """What `measure` found, a field for each kind of set-up."""

    deficient: Runs
    growth: tuple[SetUp, list[float]]
    duplicated: Runs
    on_grid: Runs
    floating: Runs
    real: Runs
    against_n: dict[int, list[Draw]]


def measure(seeds: Sequence[int] | None, quick: bool, notes: list[str]) -> Found:
    """Round every set-up's matrices with every seed.

    Parameters
    ----------
    seeds : sequence of int or None
        The seeds for every set-up. None: 0 to 9; with `quick` 0 to 2 where n is 10^4 or more.
    quick : bool
        See `seeds`.
    notes : list of str
        Receives a line if scikit-learn is missing, whose set-ups are then left out.

    Returns
    -------
    Found
        Every draw.

    Examples
    --------
    >>> found = measure([0, 1], False, [])  # doctest: +SKIP
    >>> len(found.duplicated[0][1])  # doctest: +SKIP
    2
    """
    many = tuple(range(10)) if seeds is None else tuple(seeds)
    few = tuple(range(3)) if seeds is None and quick else many

    def runs(setups: Sequence[SetUp], chosen: Sequence[int]) -> Runs:
        return [(setup, [_draw(setup, seed) for seed in chosen]) for setup in setups]

    deficient = [
        SetUp(f"randn, last sigma := 0, 10000 x {d}, {fmt}", fmt, number, _deficient(10_000, d))
        for number, (d, fmt) in enumerate(
            [(10, "Q1.4"), (10, "Q1.8"), (100, "Q1.4"), (100, "Q1.8")], start=1
        )
    ]
    grown = SetUp("the same, 10 copies / sqrt(10), x 10, Q1.8", "Q1.8", 5, _deficient(10_000, 10))
    duplicated = [
        SetUp(f"uniform, column repeated, 1000 x 10, {fmt}", fmt, number, _duplicated(1000, 10))
        for number, fmt in enumerate(["Q1.3", "Q1.7"], start=6)
    ]
    on_grid = [
        SetUp(f"the same, entries on the grid, {fmt}", fmt, number, _duplicated(1000, 10, grid=fmt))
        for number, fmt in enumerate(["Q1.3", "Q1.7"], start=8)
    ]
    floating = [
        SetUp(f"uniform, column repeated, 1000 x 10, {fmt}", fmt, number, _duplicated(1000, 10))
        for number, fmt in enumerate(["bfloat16", "float8_e4m3fn"], start=10)
    ]
    real = []
    try:
        real = [
            SetUp("breast cancer, column repeated, 569 x 31, Q1.8", "Q1.8", 12,
                  _breast_cancer(repeat=True)),
            SetUp("breast cancer as it is, 569 x 30, Q1.7", "Q1.7", 13,
                  _breast_cancer(repeat=False)),
        ]  # fmt: skip
    except MissingExtra as error:
        notes.append(f"{error} (left out)")

    return Found(
        deficient=runs(deficient, few),
        growth=(grown, [_growth(grown, seed) for seed in few]),
        duplicated=runs(duplicated, many),
        on_grid=runs(on_grid, many),
        floating=runs(floating, many),
        real=runs(real, many),
        against_n={
            n: [_draw(SetUp("", "Q1.4", 14 + i, _deficient(n, 10)), seed) for seed in few[:5]]
            for i, n in enumerate([250, 1000, 4000, 16_000, 64_000][: 4 if quick else 5])
        },
    )


def _growth(setup: SetUp, seed: int) -> float:
    """How much sigma_min grows when n does, the singular values of A staying as they are."""
    a = setup.make(setup.generator(seed))
    stacked = np.tile(a, (10, 1)) / math.sqrt(10)
    stream = setup.stream(seed)
    small, large = (
        singular_values(pysr.round(matrix, setup.fmt, "sr", rng=stream))[-1]
        for matrix in (a, stacked)
    )
    return float(large / small)


# ---------------------------------------------------------------------------------------------
# Rows


def rows(found: Found) -> list[Row]:
    """Judge what was measured.

    Parameters
    ----------
    found : Found
        From `measure`.

    Returns
    -------
    list of Row
        The table. Where the tolerances come from: where fractional parts are uniform,
        2 e^2 / step^2 for the error e along a repeated column's null vector is a coin toss, and
        sigma_min of one draw spreads by 0.67 / sqrt(n), relative to itself. At n = 10^4 that is
        0.7 %, and 5 %, or .03 on 0.70, is asked of every draw. At n = 1000 it is 2.1 %, 2.6 % on
        floating-point grids, whose variances differ from entry to entry; of a mean of ten draws
        2 % is asked, or 3 %: about three standard errors. In the breast-cancer table, n = 569, it
        is 2.8 %, and the next singular values stand only two to three times above sigma_min, which
        makes the prediction 0.3 % high: 3 % is asked of the mean.

    Examples
    --------
    >>> found = measure([0, 1], False, [])  # doctest: +SKIP
    >>> [row.expectation for row in rows(found)[:3]]  # doctest: +SKIP
    [1.0, 1.0, 0.7]
    """
    made: list[Row] = []
    for setup, draws in found.deficient:
        scaled = [_ratio(draw, draw.scale) for draw in draws]
        uniform = [_ratio(draw, draw.uniform) for draw in draws]
        nearest = [float(draw.nearest[-1]) / draw.uniform for draw in draws]
        made += [
            _every("SR / R sqrt(n nu)", setup, scaled, 1.0, 0.05),
            _every("SR / step sqrt(n/6)", setup, uniform, 1.0, 0.05),
            _every("nearest / step sqrt(n/6)", setup, nearest, 0.70, 0.03),
        ]
    setup, growth = found.growth
    made.append(_every("SR, n x 10: growth", setup, growth, math.sqrt(10), 0.05 * math.sqrt(10)))
    least = [
        min(_ratio(draw, draw.scale) for draw in column)
        for column in zip(*(draws for _, draws in found.deficient), strict=True)
    ]
    made.append(
        Row.judge(
            "SR / R sqrt(n nu), least",
            "all 10000 x d above",
            least,
            ">=",
            1.0,
            0.05,
            judged="every",
            provenance="paper",
        )
    )
    for setup, draws in found.duplicated:
        made += [_lift(setup, draws, 0.02), _no_lift("nearest", setup, draws)]
    for setup, draws in found.on_grid:
        made += [_no_lift("nu", setup, draws), _no_lift("SR", setup, draws)]
    for setup, draws in found.floating:
        made += [_lift(setup, draws, 0.03), _no_lift("nearest", setup, draws)]
    for setup, draws in found.real:
        made.append(_lift(setup, draws, 0.03))
        if draws[0].before[-1] < ZERO:
            made.append(_no_lift("nearest", setup, draws))
    return made


def _ratio(draw: Draw, prediction: float) -> float:
    return float(draw.stochastic[-1]) / prediction


def _every(
    name: str, setup: SetUp, values: Sequence[float], expectation: float, tolerance: float
) -> Row:
    return Row.judge(
        name,
        setup.label,
        values,
        "=",
        expectation,
        tolerance,
        judged="every",
        provenance="derived",
    )


def _lift(setup: SetUp, draws: Sequence[Draw], tolerance: float) -> Row:
    """Prediction 1: sigma_min after stochastic rounding against `predicted_lift`."""
    return Row.judge(
        "SR / prediction",
        setup.label,
        [_ratio(draw, draw.predicted) for draw in draws],
        "=",
        1.0,
        tolerance,
        judged="mean",
        provenance="derived",
    )


def _no_lift(what: str, setup: SetUp, draws: Sequence[Draw]) -> Row:
    """A control: this must stay at zero."""
    values = {
        "nearest": [float(draw.nearest[-1]) for draw in draws],
        "SR": [float(draw.stochastic[-1]) for draw in draws],
        "nu": [draw.scale**2 for draw in draws],
    }
    names = {"nearest": "nearest: sigma_min", "SR": "SR: sigma_min", "nu": "n nu R^2"}
    return _every(names[what], setup, values[what], 0.0, ZERO)


# ---------------------------------------------------------------------------------------------
# Figure

_SR, _NEAREST, _BEFORE, _THEORY = "#1f5fbf", "#d9730d", "#6b7280", "#111827"
_LABELS = {"stochastic": "stochastic rounding", "nearest": "round to nearest"}


def figure(found: Found) -> Any:
    """Draw what was measured, in three panels.

    Parameters
    ----------
    found : Found
        From `measure`.

    Returns
    -------
    matplotlib.figure.Figure
        Left: sigma_min of every draw over its prediction. Middle: the singular values of one
        matrix before and after rounding. Right: sigma_min against n.

    Raises
    ------
    MissingExtra
        If matplotlib is not installed.

    Examples
    --------
    >>> figure(measure([0, 1], False, [])).savefig("tall-thin.png")  # doctest: +SKIP
    """
    backend = extra("matplotlib.backends.backend_agg", "matplotlib", "the figure")
    figures = extra("matplotlib.figure", "matplotlib", "the figure")
    drawing = figures.Figure(figsize=(15, 5.6), layout="constrained", facecolor="white")
    backend.FigureCanvasAgg(drawing)
    left, middle, right = drawing.subplots(1, 3, width_ratios=(1.25, 1, 1))
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(True, color="#e5e7eb", linewidth=0.7)
        axes.set_axisbelow(True)
    drawing.suptitle(
        "Stochastic rounding lifts the smallest singular value of tall and thin matrices to its "
        "predicted value;\n"
        "round to nearest lifts generic matrices less, and those with a repeated column not at all",
        fontsize=13,
    )
    _draw_ratios(left, [*found.deficient, *found.duplicated, *found.floating, *found.real])
    _draw_spectrum(middle, *(found.real or found.duplicated)[0])
    _draw_growth(right, found.against_n)
    return drawing


def _draw_ratios(axes: Any, runs: Runs) -> None:
    """One line a set-up: every draw of both roundings over the prediction."""
    for line, (_, draws) in enumerate(runs):
        jitter = np.linspace(-0.22, 0.22, len(draws)) if len(draws) > 1 else np.zeros(1)
        for kind, colour, marker in (("stochastic", _SR, "o"), ("nearest", _NEAREST, "x")):
            ratios = [float(getattr(draw, kind)[-1]) / draw.predicted for draw in draws]
            axes.scatter(
                ratios,
                line + jitter,
                s=16,
                color=colour,
                marker=marker,
                linewidth=1.0,
                alpha=0.85,
                label=None if line else _LABELS[kind],
            )
    ends = (-0.5, len(runs) - 0.5)
    axes.plot((1.0, 1.0), ends, color=_THEORY, linewidth=1.2, zorder=1)
    axes.plot((math.sqrt(0.5),) * 2, ends, ":", color=_THEORY, linewidth=1.2, zorder=1)
    axes.set_yticks(range(len(runs)), [_short(setup.label) for setup, _ in runs], fontsize=8.5)
    axes.set_ylim(len(runs) - 0.4, -1.3)
    axes.set_xlim(-0.06, 1.16)
    text = {"ha": "center", "va": "bottom", "fontsize": 9, "color": _THEORY}
    axes.text(1.0, -0.6, "prediction", **text)
    axes.text(math.sqrt(0.5), -0.6, r"$1/\sqrt{2}$ of it", **text)
    axes.text(0.0, -0.6, "no lift", **text)
    axes.set_xlabel(r"$\sigma_{\min}$ after rounding, over its prediction")
    axes.legend(loc="center", bbox_to_anchor=(0.38, 0.36), fontsize=9, facecolor="white")
    _title(axes, "Every draw against its prediction", "one mark a seed")


def _short(label: str) -> str:
    head, _, tail = label.rpartition(" x ")
    what, _, n = head.rpartition(", ")
    d, _, fmt = tail.partition(", ")
    return f"{what}\n{n} × {d}, {fmt}".replace("sigma", r"$\sigma$")


def _title(axes: Any, title: str, detail: str) -> None:
    axes.set_title(f"{title}\n", fontsize=11, fontweight="bold")
    axes.text(0.5, 1.02, detail, ha="center", va="bottom", fontsize=9.5, transform=axes.transAxes)


def _draw_spectrum(axes: Any, setup: SetUp, draws: Sequence[Draw]) -> None:
    """All singular values of one matrix, before and after either rounding."""
    draw = draws[0]
    index = np.arange(1, draw.before.size + 1)
    last = index.size
    axes.semilogy(index, draw.before, "o", color=_BEFORE, mfc="none", ms=8, label="before rounding")
    axes.semilogy(index, draw.nearest, "x", color=_NEAREST, ms=6, label="round to nearest")
    axes.semilogy(index, draw.stochastic, ".", color=_SR, ms=8, label="stochastic rounding")
    axes.axhline(draw.predicted, color=_THEORY, linewidth=1.0, linestyle="--")
    axes.annotate("prediction", (1, draw.predicted), (0, 4), textcoords="offset points", fontsize=9)
    axes.annotate(
        "",
        (last, draw.stochastic[-1] / 3),
        (last, max(draw.nearest[-1], draw.before[-1]) * 4),
        arrowprops={"arrowstyle": "-|>", "color": _SR, "linewidth": 1.6},
    )
    axes.set_xlabel("index of the singular value")
    axes.set_ylabel("singular value")
    _title(axes, "All singular values of one matrix", _short(setup.label).replace("\n", ", "))
    axes.legend(loc="lower left", frameon=False, fontsize=9)


def _draw_growth(axes: Any, against_n: dict[int, list[Draw]]) -> None:
    """sigma_min against n for rank-deficient matrices on one uniform grid."""
    sizes = np.array(sorted(against_n))
    for kind, colour, marker in (("stochastic", _SR, "o"), ("nearest", _NEAREST, "x")):
        points = [(n, getattr(draw, kind)[-1]) for n in sizes for draw in against_n[int(n)]]
        axes.loglog(*zip(*points, strict=True), marker, color=colour, ms=5, label=_LABELS[kind])
    ends = np.array([sizes[0] * 0.8, sizes[-1] * 1.25])
    lifts = np.array([uniform_lift(int(n), 2.0**-4) for n in ends])
    axes.loglog(ends, lifts, color=_THEORY, linewidth=1.2, label="step $\\sqrt{n/6}$")
    axes.loglog(
        ends, lifts / math.sqrt(2), ":", color=_THEORY, linewidth=1.2, label="step $\\sqrt{n/12}$"
    )
    axes.set_xticks(sizes, [str(n) for n in sizes])
    axes.set_yticks([0.25, 0.5, 1, 2, 4, 8], ["0.25", "0.5", "1", "2", "4", "8"])
    axes.set_ylim(0.7 * lifts[0] / math.sqrt(2), 1.5 * lifts[-1])
    axes.minorticks_off()
    axes.set_xlabel("rows $n$")
    axes.set_ylabel(r"$\sigma_{\min}$ after rounding")
    _title(axes, "Growth with the number of rows", r"randn, last $\sigma$ := 0, $n$ × 10, Q1.4")
    axes.legend(loc="upper left", frameon=False, fontsize=9)
