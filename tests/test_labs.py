"""The labs: theory against exact fractions, verdicts that can fail, and the tall-thin lab."""

from __future__ import annotations

import dataclasses
import importlib
import json
import math
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import pysr
from pysr import labs
from pysr.cli import main
from pysr.labs import tall_thin
from pysr.labs._report import Row

Array = npt.NDArray[Any]


@pytest.fixture(scope="module")
def found() -> tall_thin.Found:
    pytest.importorskip("sklearn")
    notes: list[str] = []
    with labs._one_blas_thread():
        result = tall_thin.measure(None, True, notes)
    assert notes == []
    return result


# ---------------------------------------------------------------------------------------------
# Theory


def neighbours(a: Fraction, fmt: str) -> tuple[Fraction, Fraction]:
    """Floor and ceiling of `a` on the grid of a format, in fractions."""
    f = pysr.format(fmt)
    exponent = f.qmin
    if f.precision is not None and a:
        top = math.floor(math.log2(abs(a)))
        top += (abs(a) >= Fraction(2) ** (top + 1)) - (abs(a) < Fraction(2) ** top)
        exponent = max(top - f.precision + 1, f.qmin)
    quantum = Fraction(2) ** exponent
    return math.floor(a / quantum) * quantum, math.ceil(a / quantum) * quantum


@pytest.mark.parametrize("fmt", ["Q1.3", "Q1.7", "Q2.20", "bfloat16", "float8_e4m3fn", "float16"])
def test_entry_variances_against_fractions(fmt: str) -> None:
    generator = np.random.default_rng(5)
    a = np.concatenate(
        [generator.uniform(-1, 1, 200), generator.uniform(-1, 1, 200) * 2.0**-7,
         np.linspace(-1, 1, 65), [0.0, -0.0, 2.0**-200, -(2.0**-30)]]
    )  # fmt: skip
    for x, variance in zip(a, tall_thin.entry_variances(a, fmt), strict=True):
        low, high = neighbours(Fraction(float(x)), fmt)
        exact = (high - Fraction(float(x))) * (Fraction(float(x)) - low)
        assert abs(Fraction(float(variance)) - exact) <= exact * Fraction(1, 2**50)


def test_entry_variances_are_those_of_the_rounding() -> None:
    a = np.repeat([0.3, -0.77, 0.0101, 0.5], 40_000)
    y = np.asarray(pysr.round(a, "Q1.3", "sr", rng=11))
    sampled = np.square(y - a).reshape(4, -1).mean(axis=1)
    expected = tall_thin.entry_variances(a[::40_000], "Q1.3")
    assert expected[3] == 0
    assert np.allclose(sampled, expected, rtol=0.02)


@pytest.mark.parametrize(("value", "fmt"), [(2.0, "Q1.3"), (1.99, "Q1.3"), (500.0, "e4m3fn")])
def test_entry_variances_stay_in_range(value: float, fmt: str) -> None:
    with pytest.raises(OverflowError):
        tall_thin.entry_variances([0.5, value], fmt)


def test_scales_against_fractions() -> None:
    generator = np.random.default_rng(6)
    a = generator.uniform(-1, 1, (7, 3))
    sums = []
    for column in a.T:
        total = Fraction(0)
        for x in column:
            low, high = neighbours(Fraction(float(x)), "Q1.4")
            total += (high - Fraction(float(x))) * (Fraction(float(x)) - low)
        sums.append(total)
    scale = math.sqrt(min(sums))
    assert tall_thin.theorem_scale(a, "Q1.4") == pytest.approx(scale, rel=1e-14)
    for bound in (2.0**-4, 2.0**-3, 1.0):
        nu = tall_thin.normalized_variance(a, "Q1.4", bound)
        assert nu == pytest.approx(float(min(sums) / 7 / Fraction(bound) ** 2), rel=1e-14)
        assert 0 <= nu <= 1
        assert bound * math.sqrt(7 * nu) == pytest.approx(scale, rel=1e-14)
    with pytest.raises(ValueError, match="bound must be positive, not 0"):
        tall_thin.normalized_variance(a, "Q1.4", 0)


def test_predicted_lift_against_fractions() -> None:
    # Two equal columns: the null vector is (1, -1) / sqrt(2), and the third column is apart.
    x = [Fraction(k, 64) for k in (1, -9, 22, 31, -17, 40)]
    a = np.array([[float(v), 0.25 * (-1) ** i, float(v)] for i, v in enumerate(x)])
    total = Fraction(0)
    for v in x:
        low, high = neighbours(v, "Q1.2")
        total += (high - v) * (v - low)
    expected = math.sqrt((1 - Fraction(2, 6)) * total)
    assert tall_thin.predicted_lift(a, "Q1.2") == pytest.approx(expected, rel=1e-13)


def test_predicted_lift_keeps_what_is_there() -> None:
    a = np.zeros((8, 2))
    a[0, 0], a[1, 1] = 1.0, 0.5
    assert tall_thin.predicted_lift(a, "Q1.2") == 0.5  # on the grid: nothing is added
    assert tall_thin.theorem_scale(a, "Q1.2") == 0.0
    a[2:, 1] = 0.125
    sigma = math.sqrt(0.25 + 6 / 64)
    noise = Fraction(6, 64) * Fraction(7, 8)
    expected = math.sqrt(sigma**2 + noise)
    assert tall_thin.predicted_lift(a, "Q1.2") == pytest.approx(expected, rel=1e-14)


def test_uniform_lift() -> None:
    assert tall_thin.uniform_lift(600, 0.25) == 2.5
    fractions = (np.arange(1000) + 0.5) / 1000
    variance = np.mean(fractions * (1 - fractions))
    assert tall_thin.uniform_lift(1, 1.0) ** 2 == pytest.approx(variance, rel=1e-5)


def test_singular_values_keep_small_ones() -> None:
    generator = np.random.default_rng(7)
    u, _ = np.linalg.qr(generator.standard_normal((500, 4)))
    v, _ = np.linalg.qr(generator.standard_normal((4, 4)))
    sigma = np.array([1.0, 1e-3, 1e-9, 1e-12])
    assert np.allclose(tall_thin.singular_values((u * sigma) @ v), sigma, rtol=1e-3, atol=0)


# ---------------------------------------------------------------------------------------------
# Rows and verdicts


KIND: dict[str, Any] = {"judged": "mean", "provenance": "derived"}


@pytest.mark.parametrize(
    ("values", "relation", "judged", "verdict"),
    [
        ([0.9, 1.1], "=", "mean", "holds"),
        ([0.9, 1.1], "=", "every", "fails"),
        ([0.9, 1.3], "=", "mean", "fails"),
        ([1.05, 0.95], "=", "every", "holds"),
        ([0.94], ">=", "mean", "fails"),
        ([0.95, 7.0], ">=", "every", "holds"),
        ([0.94, 7.0], ">=", "every", "fails"),
        ([1.05, -7.0], "<=", "every", "holds"),
        ([1.06, -7.0], "<=", "every", "fails"),
        ([math.nan], "=", "mean", "fails"),
        ([math.nan, 1.0], ">=", "every", "fails"),
        ([math.inf], "<=", "mean", "fails"),
        ([math.inf], ">=", "mean", "holds"),
    ],
)
def test_verdicts(values: list[float], relation: Any, judged: Any, verdict: str) -> None:
    row = Row.judge("x", "y", values, relation, 1.0, 0.05, judged=judged, provenance="paper")
    assert row.verdict == verdict
    assert row.values == tuple(values) or math.isnan(values[0])


def test_a_row_keeps_everything() -> None:
    row = Row.judge("x", "y", [1.0, 2.0, 6.0], "=", 3.0, 0.5, **KIND)
    assert (row.measurement, row.spread, row.verdict) == (3.0, (1.0, 6.0), "holds")
    with pytest.raises(dataclasses.FrozenInstanceError):
        row.verdict = "fails"  # type: ignore[misc]
    with pytest.raises(ValueError, match="no value"):
        Row.judge("x", "y", [], "=", 3.0, 0.5, **KIND)


def test_table() -> None:
    rows = [
        Row.judge("ratio", "a coin", [0.5, 1.5], "=", 1.0, 0.05, **KIND),
        Row.judge("nothing", "a coin", [1e-15], "<=", 0.0, 1e-12, **KIND),
        Row.judge("much", "a die", [12345.6], ">=", 20000.0, 1.0, **KIND),
    ]
    assert labs.table(rows).splitlines() == [
        "           expected         mean    least     most  judged  from     verdict",
        "a coin",
        "  ratio    1 +- 0.05       1.000   0.5000    1.500  mean 2  derived  holds",
        "  nothing  <= 0 + 1e-12  1.0e-15  1.0e-15  1.0e-15  mean 1  derived  holds",
        "a die",
        "  much     >= 20000 - 1  1.2e+04  1.2e+04  1.2e+04  mean 1  derived  fails",
    ]
    text = str(labs.Report("coin", tuple(rows), ("one note",), Path("x.png")))
    assert "3 rows: 2 hold, 1 fails\nnote: one note\nfigure: x.png" in text


def test_json_is_strict() -> None:
    row = Row.judge("x", "y", [math.nan, math.inf], "=", 1.0, 0.1, **KIND)
    text = labs.Report("lab", (row,), (), None).as_json()
    content = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert content["verdict"] == "fails"
    assert content["rows"][0]["values"] == [None, None]
    assert content["figure"] is None


# ---------------------------------------------------------------------------------------------
# The lab


def test_every_verdict_holds(found: tall_thin.Found) -> None:
    rows = tall_thin.rows(found)
    assert [row for row in rows if row.verdict != "holds"] == []
    assert len(rows) == 29
    assert len({(row.name, row.setup) for row in rows}) == len(rows)
    assert {row.provenance for row in rows} == {"paper", "derived"}
    assert {row.judged for row in rows} == {"mean", "every"}


def test_what_is_measured_is_what_the_labels_say(found: tall_thin.Found) -> None:
    for setup, draws in [*found.deficient, *found.duplicated, *found.on_grid, *found.real]:
        a = setup.make(setup.generator(0))
        n, d = a.shape
        assert f"{n} x {d}, {setup.fmt}" in setup.label or "the same" in setup.label
        assert np.abs(a).max() <= 1
        assert draws[0].before == pytest.approx(tall_thin.singular_values(a), rel=1e-9, abs=1e-12)
        rounded = pysr.round(a, setup.fmt, "sr", rng=pysr.Philox(0, stream=2 * setup.number + 1))
        least = tall_thin.singular_values(rounded)[-1]
        assert draws[0].stochastic[-1] == pytest.approx(least, rel=1e-9, abs=1e-12)
    for setup, draws in found.on_grid:
        a = setup.make(setup.generator(0))
        assert np.array_equal(pysr.round(a, setup.fmt, "sr", rng=1), a)
        assert draws[0].scale == 0
    streams = [setup.number for runs in (found.deficient, found.duplicated, found.on_grid,
               found.floating, found.real) for setup, _ in runs]  # fmt: skip
    assert len(set(streams)) == len(streams)


Change = Callable[[tall_thin.Draw], tall_thin.Draw]


def mutated(found: tall_thin.Found, change: Change) -> tall_thin.Found:
    def each(runs: tall_thin.Runs) -> tall_thin.Runs:
        return [(setup, [change(draw) for draw in draws]) for setup, draws in runs]

    return dataclasses.replace(
        found,
        deficient=each(found.deficient),
        duplicated=each(found.duplicated),
        on_grid=each(found.on_grid),
        floating=each(found.floating),
        real=each(found.real),
    )


@pytest.mark.parametrize(
    ("change", "failing", "count"),
    [
        (lambda d: dataclasses.replace(d, predicted=1.06 * d.predicted), "SR / prediction", 6),
        (lambda d: dataclasses.replace(d, predicted=0.94 * d.predicted), "SR / prediction", 6),
        (lambda d: dataclasses.replace(d, scale=1.1 * d.scale), "SR / R sqrt(n nu)", 4),
        (lambda d: dataclasses.replace(d, uniform=1.1 * d.uniform), "SR / step sqrt(n/6)", 4),
        (lambda d: dataclasses.replace(d, uniform=d.uniform * math.sqrt(2)),
         "nearest / step sqrt(n/6)", 4),
        (lambda d: dataclasses.replace(d, stochastic=d.nearest), "SR / R sqrt(n nu)", 4),
        (lambda d: dataclasses.replace(d, nearest=d.stochastic), "nearest: sigma_min", 5),
        (lambda d: dataclasses.replace(d, scale=d.scale + 1e-5), "n nu R^2", 2),
    ],
)  # fmt: skip
def test_a_wrong_prediction_fails(
    found: tall_thin.Found, change: Change, failing: str, count: int
) -> None:
    rows = tall_thin.rows(mutated(found, change))
    assert [row.verdict for row in rows if row.name == failing] == ["fails"] * count


def test_a_wrong_rounding_fails(monkeypatch: pytest.MonkeyPatch, found: tall_thin.Found) -> None:
    """Rounding with probability 1/2, not the fraction, is seen by every kind of set-up."""
    true = pysr.round

    def wrong(x: Any, fmt: Any, mode: str = "sr", **kwargs: Any) -> Any:
        return true(x, fmt, "sr_equal" if mode == "sr" else mode, **kwargs)

    monkeypatch.setattr(pysr, "round", wrong)
    for setup, _ in [found.deficient[0], found.duplicated[0], found.floating[0], found.real[0]]:
        draw = tall_thin._draw(setup, 0)
        assert draw.stochastic[-1] / draw.predicted > 1.1


def test_missing_scikit_learn_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "sklearn")
    with pytest.raises(labs.MissingExtra, match=r"scikit-learn: pip install \"srcore\[labs\]\""):
        tall_thin._breast_cancer(repeat=True)


def hide(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    true = importlib.import_module

    def without(name: str, *args: Any) -> Any:
        if name.split(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {name!r}")
        return true(name, *args)

    monkeypatch.setattr(importlib, "import_module", without)


@pytest.fixture
def instant(monkeypatch: pytest.MonkeyPatch, found: tall_thin.Found) -> None:
    """Make the lab return at once with what it has found already."""
    monkeypatch.setattr(tall_thin, "measure", lambda seeds, quick, notes: found)


@pytest.mark.usefixtures("instant")
def test_figure(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    before = "matplotlib.pyplot" in sys.modules
    report = labs.report("tall-thin", out=tmp_path / "new" / "directory")
    assert ("matplotlib.pyplot" in sys.modules) is before  # no display, no global state
    assert report.figure == tmp_path / "new" / "directory" / "tall-thin.png"
    png = report.figure.read_bytes()
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    assert (width, height) == (2400, 896)
    assert len(png) > 50_000
    assert [path.name for path in report.figure.parent.iterdir()] == ["tall-thin.png"]


def test_figure_without_the_real_matrix(found: tall_thin.Found) -> None:
    pytest.importorskip("matplotlib")
    drawing = tall_thin.figure(dataclasses.replace(found, real=[]))
    assert len(drawing.axes) == 3
    assert len(tall_thin.rows(dataclasses.replace(found, real=[]))) == 26


@pytest.mark.usefixtures("instant")
def test_missing_matplotlib_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hide(monkeypatch, "matplotlib")
    report = labs.report("tall-thin", out=tmp_path)
    assert report.figure is None
    assert report.notes == ('the figure needs matplotlib: pip install "srcore[labs]"',)
    assert len(report.rows) == 29
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("instant")
def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "rows.json"
    line = ["lab", "tall-thin", "--quick", "--out", str(tmp_path), "--json", str(file)]
    assert main(line) == 0
    out = capsys.readouterr().out
    assert "29 rows: 29 hold, 0 fail\n" in out
    assert out.endswith(f"figure: {tmp_path / 'tall-thin.png'}\n")
    content = json.loads(file.read_text())
    assert content["lab"] == "tall-thin"
    assert content["verdict"] == "holds"
    assert [row["verdict"] for row in content["rows"]] == ["holds"] * 29
    assert content["version"] == pysr.__version__


def test_the_command_says_when_it_fails(
    monkeypatch: pytest.MonkeyPatch,
    found: tall_thin.Found,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wrong = mutated(found, lambda d: dataclasses.replace(d, predicted=1.06 * d.predicted))
    monkeypatch.setattr(tall_thin, "measure", lambda seeds, quick, notes: wrong)
    assert main(["lab", "tall-thin", "--out", str(tmp_path)]) == 1
    assert "29 rows: 23 hold, 6 fail\n" in capsys.readouterr().out


def test_the_command_needs_a_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["lab", "tall-thin", "--out", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err == f"pysr: error: {tmp_path / 'file'}: File exists\n"


def test_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def measure(seeds: Any, quick: bool, notes: list[str]) -> None:
        asked.append((seeds, quick))

    monkeypatch.setattr(tall_thin, "measure", measure)
    monkeypatch.setattr(tall_thin, "rows", lambda found: [])
    assert labs.run("tall-thin", seeds=3) == []
    assert labs.run("tall-thin", seeds=[7, 5], quick=True) == []
    assert labs.run("tall-thin", seeds=np.arange(2)) == []
    assert labs.run("tall-thin") == []
    assert asked == [((0, 1, 2), False), ((7, 5), True), ((0, 1), False), (None, False)]
    bad: list[tuple[Any, str]] = [
        (0, "at least one"), ([], "at least one"), ([-1], "-1"), ([2**64], str(2**64)),
    ]  # fmt: skip
    for seeds, message in bad:
        with pytest.raises(ValueError, match=message):
            labs.run("tall-thin", seeds=seeds)
    for seeds in (1.5, ["a"]):
        with pytest.raises(TypeError):
            labs.run("tall-thin", seeds=seeds)  # type: ignore[arg-type]


def test_unknown_lab() -> None:
    with pytest.raises(ValueError, match=r"unknown lab 'short-fat'; there is: rounded-qr, tall"):
        labs.run("short-fat")
    assert labs.names() == ("rounded-qr", "tall-thin")
    assert labs.summary("tall-thin") == tall_thin.SUMMARY


def test_a_run_repeats_bit_for_bit(found: tall_thin.Found) -> None:
    with labs._one_blas_thread():
        for setup, draws in (found.duplicated[1], found.floating[1], found.deficient[0]):
            again = tall_thin._draw(setup, 2)
            for field in dataclasses.fields(again):
                first, second = getattr(draws[2], field.name), getattr(again, field.name)
                assert np.array_equal(first, second, equal_nan=True)
