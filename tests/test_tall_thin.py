"""The lab tall-thin: matrices, what is measured, verdicts that can fail, figures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pysr
from pysr import labs
from pysr.cli import main
from pysr.labs import _units, tall_thin
from pysr.labs._frame import Choice, Draw, Plan, Results, stream
from pysr.labs._report import Row
from pysr.labs.tall_thin import _matrices
from pysr.linalg import theory

LAB = tall_thin.LAB


@pytest.fixture(scope="module")
def plan() -> Plan:
    pytest.importorskip("sklearn")
    return LAB.plan(LAB.choose("quick", None, None))


@pytest.fixture(scope="module")
def results(plan: Plan) -> Results:
    choice = LAB.choose("quick", None, None)
    kept = _units.Kept(None, LAB.name, b"", choice, False)
    return _units.measure(plan.setups().values(), kept)


def judged(plan: Plan, results: Results) -> list[Row]:
    return [claim.judge(results, True) for claim in plan.claims]


def fails(plan: Plan, results: Results) -> set[str]:
    return {row.id for row in judged(plan, results) if row.verdict == "fails"}


# ---------------------------------------------------------------------------------------------
# Matrices


def make(made: Callable[[np.random.Generator], Any], seed: int = 1) -> Any:
    return made(np.random.default_rng(seed))


@pytest.mark.parametrize(("n", "d", "k"), [(300, 7, 1), (300, 40, 12), (80, 80, 5)])
def test_gaussian(n: int, d: int, k: int) -> None:
    a = make(_matrices.gaussian(n, d, k))
    sigma = np.linalg.svd(a, compute_uv=False)
    assert np.abs(a).max() == 1
    assert np.all(sigma[-k:] < 1e-13)
    full = np.linalg.svd(np.random.default_rng(1).standard_normal((n, d)), compute_uv=False)
    assert sigma[:-k] / sigma[0] == pytest.approx(full[:-k] / full[0], rel=1e-10)


def test_gaussian_of_full_rank() -> None:
    for seed in range(20):
        a = make(_matrices.gaussian(300, 7, least=0.01), seed)
        assert np.abs(a).max() <= 1
        assert np.linalg.svd(a, compute_uv=False)[-1] == pytest.approx(0.01, rel=1e-10)


def test_controlled() -> None:
    for digits in (1, 3):
        a = make(_matrices.controlled(500, 4, digits, (11, 99)))
        parts = np.rint(np.abs(a) * 10 ** (digits + 2)) % 100
        assert set(np.unique(parts)) == {11, 99}
        assert abs(np.mean(parts == 11) - 0.5) < 0.05
        assert np.array_equal(a[:, 0], a[:, 1])
        assert np.abs(a).max() < 1
        assert np.abs(np.mean(np.sign(a))) < 0.1
        assert np.allclose(a * 10 ** (digits + 2), np.rint(a * 10 ** (digits + 2)), rtol=1e-13)


def test_duplicated() -> None:
    a = make(_matrices.duplicated(200, 5))
    assert np.array_equal(a[:, 0], a[:, -1])
    assert np.linalg.matrix_rank(a) == 4
    b = make(_matrices.duplicated(200, 5, "Q1.3"))
    assert np.array_equal(b, np.trunc(a * 8) / 8)
    assert np.all(_matrices.halfway(4, 2, 0.25)(np.random.default_rng(0)) == 0.125)


def test_cells() -> None:
    pytest.importorskip("sklearn")
    a = make(_matrices.breast_cancer(repeat=True))
    assert a.shape == (569, 31)
    assert np.array_equal(a[:, 0], a[:, 30])
    assert np.array_equal(a.min(axis=0), np.full(31, -1.0))
    assert np.array_equal(a.max(axis=0), np.full(31, 1.0))
    assert np.array_equal(make(_matrices.breast_cancer(repeat=False)), a[:, :30])


def test_spectrum_keeps_small_values() -> None:
    generator = np.random.default_rng(7)
    u, _ = np.linalg.qr(generator.standard_normal((500, 4)))
    v, _ = np.linalg.qr(generator.standard_normal((4, 4)))
    sigma = np.array([1.0, 1e-3, 1e-9, 1e-12])
    assert np.allclose(_matrices.spectrum((u * sigma) @ v.T), sigma, rtol=1e-3, atol=0)
    scales = np.array([1e-20, 1.0, 1e-12, 1e8])
    assert np.allclose(_matrices.spectrum(u * scales), np.sort(scales)[::-1], rtol=1e-12, atol=0)
    assert np.array_equal(_matrices.spectrum(np.zeros((30, 4))), np.zeros(4))
    wide = generator.standard_normal((400, _matrices.WIDE + 1))
    exact = np.linalg.svd(wide, compute_uv=False)
    assert _matrices.spectrum(wide) == pytest.approx(exact, rel=1e-12)


def test_missing_scikit_learn_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tall_thin, "installed", lambda name: None)
    found = LAB.plan(LAB.choose("quick", None, None))
    assert found.notes == (
        'the breast-cancer set-ups need scikit-learn: pip install "srcore[labs]"',
    )
    assert not [key for key in found.setups() if "cells" in key]
    assert [figure.name for figure in found.figures].count("spectra") == 1


# ---------------------------------------------------------------------------------------------
# What is measured


def test_no_verdict_fails(plan: Plan, results: Results) -> None:
    rows = judged(plan, results)
    assert [row for row in rows if row.verdict not in ("holds", "vacuous")] == []
    assert [row.id for row in rows if row.verdict == "vacuous"] == [
        "on-grid-Q1.3-least", "on-grid-Q1.7-least",
    ]  # fmt: skip
    assert {row.provenance for row in rows} == {"paper", "derived"}
    assert {row.judged for row in rows} == {"mean", "every"}


def test_what_is_asked_for_is_there() -> None:
    """Every set-up that the paper's page of expectations names, in the default size."""
    found = LAB.plan(LAB.choose("default", None, None))
    setups = found.setups()
    grids = [*("0.1", "0.01", "0.001", "0.0001", "0.00001"), *("Q1.4", "Q1.8", "Q1.12", "Q1.16")]
    keys = [f"deficient-{d}-{grid}" for d in (10, 100) for grid in grids]
    keys += [f"full-rank-{grid}" for grid in grids]
    keys += [f"duplicated-{grid}" for grid in ("0.1", "0.01", "0.0001")]
    keys += ["cluster-50-of-200-Q1.8", "cluster-100-of-500-Q1.8", "cluster-10-of-1000-Q1.8"]
    keys += ["floating-bfloat16", "floating-float8_e4m3fn", "growth-10-0.01", "on-grid-Q1.3"]
    assert set(keys) <= set(setups)
    claims = {claim.id: claim for claim in found.claims}
    for id, tolerance, judge in (
        ("deficient-100-0.001-scale", 0.05, "every"),
        ("deficient-100-0.001-uniform", 0.05, "every"),
        ("deficient-100-0.001-nearest", 0.03, "every"),
        ("growth-10-0.01-rounded", 0.05 * math.sqrt(10), "every"),
        ("duplicated-0.01-lift", 0.02, "mean"),
        ("duplicated-0.01-nearest", 0.0, "every"),
        ("on-grid-Q1.3-zero", 0.0, "every"),
        ("full-rank-0.1-lift", 0.03, "mean"),
        ("full-rank-0.1-least", 0.0, "every"),
        ("cluster-10-of-1000-Q1.8-low", 0.04, "mean"),
        ("floating-bfloat16-lift", 0.03, "mean"),
    ):
        assert claims[id].tolerance == pytest.approx(tolerance)
        assert claims[id].judged == judge
    assert claims["duplicated-0.01-nearest"].expectation == 1e-12
    assert claims["full-rank-0.1-least"].expectation == 0.92
    for id, count in (("duplicated-0.01-lift", 10), ("full-rank-0.1-lift", 20)):
        assert claims[id].stated == count
        assert len(claims[id].setups[0].seeds) >= count


@pytest.mark.parametrize(
    ("key", "fmt", "shape"),
    [
        ("deficient-10-Q1.8", "Q1.8", (10_000, 10)),
        ("duplicated-Q1.3", "Q1.3", (1000, 10)),
        ("duplicated-0.01", "grid:0.01", (1000, 10)),
        ("floating-bfloat16", "bfloat16", (1000, 10)),
        ("cells-repeated-float8_e4m3fn", "float8_e4m3fn", (569, 31)),
    ],
)
def test_what_is_measured_is_what_the_labels_say(
    plan: Plan, results: Results, key: str, fmt: str, shape: tuple[int, int]
) -> None:
    made = {
        "deficient-10": _matrices.gaussian(*shape),
        "duplicated": _matrices.duplicated(*shape),
        "floating": _matrices.duplicated(*shape),
        "cells-repeated": _matrices.breast_cancer(repeat=True),
    }[key.rpartition("-")[0]]
    setup, draw = plan.setups()[key], results[key][1]
    assert f", {shape[0]} x {shape[1]}, {fmt}" in setup.label
    a = made(np.random.Generator(pysr.Philox(1, stream=stream(key, "matrix"))))
    rounded = pysr.round(a, fmt, "sr", rng=pysr.Philox(1, stream=stream(key, "rounding")))
    near = {"rel": 1e-9, "abs": 1e-12}
    for field, matrix in (("rounded", rounded), ("nearest", pysr.round(a, fmt, "rne")),
                          ("before", a)):  # fmt: skip
        assert draw[field] == pytest.approx(np.linalg.svd(matrix, compute_uv=False), **near)
    assert draw["scale"] == theory.lift_scale(a, fmt)
    assert draw.get("predicted", 0) in (0, theory.predicted_lift(a, fmt))


def test_growth_is_of_stacked_copies(results: Results, plan: Plan) -> None:
    key = "growth-10-Q1.8"
    a = _matrices.gaussian(10_000, 10)(
        np.random.Generator(pysr.Philox(0, stream=stream(key, "matrix")))
    )
    small, large = (
        np.linalg.svd(pysr.round(matrix, "Q1.8", "rne"), compute_uv=False)[-1]
        for matrix in (a, np.concatenate([a / math.sqrt(10)] * 10))
    )
    assert results[key][0]["nearest"] == pytest.approx(large / small, rel=1e-9)


# ---------------------------------------------------------------------------------------------
# Wrong measurements


def altered(results: Results, families: str, change: Callable[[Draw], None]) -> Results:
    copy = json.loads(json.dumps(dict(results)))
    for key, draws in copy.items():
        if key.startswith(families):
            for draw in draws:
                change(draw)
    return copy  # type: ignore[no-any-return]


def scaled(field: str, factor: float) -> Callable[[Draw], None]:
    def change(draw: Draw) -> None:
        value = draw[field]
        draw[field] = [x * factor for x in value] if isinstance(value, list) else value * factor

    return change


def swapped(field: str, other: str) -> Callable[[Draw], None]:
    return lambda draw: draw.__setitem__(field, draw[other])


@pytest.mark.parametrize(
    ("family", "change", "suffix"),
    [
        ("deficient", scaled("scale", 1.1), "scale"),
        ("deficient", scaled("scale", 1.15), "least"),
        ("deficient", scaled("rounded", 1.1), "uniform"),
        ("deficient", scaled("nearest", math.sqrt(2)), "nearest"),
        ("deficient", swapped("rounded", "nearest"), "scale"),
        ("deficient", swapped("before", "nearest"), "before"),
        ("growth", scaled("rounded", 1 / math.sqrt(10)), "rounded"),
        ("growth", scaled("nearest", 1 / math.sqrt(10)), "nearest"),
        ("growth", lambda draw: draw.update(change=1e-6), "before"),
        ("duplicated", scaled("predicted", 1.06), "lift"),
        ("duplicated", scaled("predicted", 0.94), "lift"),
        ("duplicated", swapped("nearest", "rounded"), "nearest"),
        ("floating", scaled("predicted", 1.08), "lift"),
        ("on-grid", lambda draw: draw["rounded"].append(1e-6), "zero"),
        ("on-grid", lambda draw: draw.update(variance=1e-6), "variance"),
        ("on-grid", lambda draw: draw.update(scale=1e-6), "least"),
        ("high-variance", scaled("scale", 1.1), "scale"),
        ("low-variance", scaled("scale", 0.9), "scale"),
        ("low-variance", scaled("variance", 0.01), "variance"),
        ("low-variance", swapped("nearest", "rounded"), "nearest"),
        ("full-rank", scaled("rounded", 0.94), "lift"),
        ("full-rank", lambda draw: draw.update(scale=draw["rounded"][-1] / 0.91), "least"),
        ("full-rank", scaled("before", 1.001), "before"),
        ("cluster", scaled("rounded", 1.25), "low"),
        ("cluster", scaled("rounded", 0.8), "upp"),
        ("cluster", swapped("nearest", "rounded"), "low-nearest"),
        ("cluster", swapped("nearest", "rounded"), "upp-nearest"),
        ("noise", scaled("rounded", 1.07), "lift"),
        ("noise", swapped("nearest", "rounded"), "nearest"),
        ("cells", scaled("predicted", 1.08), "lift"),
        ("against", scaled("rounded", 0.7), "lift"),
        ("against", scaled("nearest", 1.4), "nearest"),
    ],
)  # fmt: skip
def test_a_wrong_measurement_fails(
    plan: Plan, results: Results, family: str, change: Callable[[Draw], None], suffix: str
) -> None:
    found = fails(plan, altered(results, family, change))
    rows = {c.id for c in plan.claims if c.id.startswith(family) and c.id.endswith(f"-{suffix}")}
    if suffix == "nearest":
        rows = {id for id in rows if "-low-" not in id and "-upp-" not in id}
    assert rows
    assert rows <= found
    assert all(id.startswith(family) for id in found)


def test_a_wrong_spread_fails(plan: Plan, results: Results) -> None:
    for power in (0.3, 3.0):

        def change(draw: Draw, power: float = power) -> None:
            ratio = draw["rounded"][-1] / draw["predicted"]
            draw["rounded"][-1] = draw["predicted"] * ratio**power

        found = fails(plan, altered(results, "histogram", change))
        assert found == {"histogram-generic-Q1.5-spread", "histogram-duplicated-Q1.5-spread"}


def test_a_wrong_rounding_fails(monkeypatch: pytest.MonkeyPatch, plan: Plan) -> None:
    """Rounding with probability 1/2, not the fraction, is seen by every kind of set-up."""
    true = pysr.round

    def wrong(x: Any, fmt: Any, mode: str = "sr", **kwargs: Any) -> Any:
        return true(x, fmt, "sr_equal" if mode == "sr" else mode, **kwargs)

    monkeypatch.setattr(pysr, "round", wrong)
    for key in ("deficient-10-Q1.8", "duplicated-Q1.3", "floating-bfloat16", "cells-Q1.7"):
        draw = plan.setups()[key].measure(0)
        assert draw["rounded"][-1] / draw.get("predicted", draw["scale"]) > 1.1


# ---------------------------------------------------------------------------------------------
# Other arithmetic, figures, the command


def choose(*given: Any) -> Choice:
    return LAB.choose("quick", 2, {"rounding": given})


def test_other_modes_are_measured_and_not_judged() -> None:
    rows = labs.run("tall-thin", rows="duplicated-Q1.3-*", seeds=3,
                    arithmetic={"rounding": (None, "sr_equal")})  # fmt: skip
    assert [row.verdict for row in rows] == ["not applicable", "holds"]
    assert rows[0].name == "sr_equal: sigma_min / prediction"
    assert rows[0].measurement > 1.1


def test_expectations_are_for_the_formats_of_a_family() -> None:
    for fmt, family, applies in (
        ("Q1.8", "deficient", True),
        ("Q1.6", "deficient", False),
        ("bfloat16", "floating", True),
        ("bfloat16", "full-rank", False),
    ):
        found = LAB.plan(choose(fmt))
        claims = [c for c in found.claims if c.id.startswith(f"{family}-") and "before" not in c.id]
        assert {key.rpartition("-")[2] for key in found.setups()} == {fmt}
        assert {claim.applies for claim in claims} - {True} == (set() if applies else {False})
    assert {c.applies for c in LAB.plan(choose("Q1.8", "rz")).claims if "lift" in c.id} == {False}
    assert not [c for c in LAB.plan(choose("bfloat16")).claims if c.id.startswith("cluster")]


@pytest.mark.parametrize("given", [("Q1.6",), ("bfloat16", "sr_equal"), (None, "rz")])
def test_figures_of_other_arithmetic(given: Any) -> None:
    pytest.importorskip("matplotlib")
    found = LAB.plan(choose(*given))
    figure = next(figure for figure in found.figures if figure.name == "histogram")
    kept = _units.Kept(None, LAB.name, b"", choose(*given), False)
    assert len(figure.draw(_units.measure(figure.setups, kept)).axes) == 2


def test_figures(plan: Plan, results: Results) -> None:
    pytest.importorskip("matplotlib")
    names = ["lift", "histogram", "sizes", "tails", "spectra", "full-rank"]
    assert [figure.name for figure in plan.figures] == names
    for figure in plan.figures:
        drawn = figure.draw({setup.key: results[setup.key] for setup in figure.setups})
        labels = {
            text.get_text()
            for axes in drawn.axes
            if axes.get_legend()
            for text in axes.get_legend().get_texts()
        }
        assert {"stochastic rounding", "round to nearest"} <= labels, figure.name


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    line = ["lab", "tall-thin", "--quick", "--out", str(tmp_path), "--row", "histogram-*"]
    assert main([*line, "--json", str(tmp_path / "rows.json"), "--html"]) == 0
    out = capsys.readouterr().out
    assert "2 rows: 2 hold, 0 fail\n" in out
    assert out.endswith(f"page: {tmp_path / 'tall-thin.html'}\n")
    content = json.loads((tmp_path / "rows.json").read_text())
    assert len(content["series"]["histogram-generic-Q1.5"]["draws"]) == 100
    assert content["figures"] == [str(tmp_path / "tall-thin-histogram.png")]


def test_a_run_repeats_bit_for_bit(plan: Plan, results: Results) -> None:
    with _units.one_blas_thread():
        for key in ("duplicated-Q1.7", "floating-float8_e4m3fn", "deficient-10-Q1.4"):
            again = _units._plain(plan.setups()[key].measure(2))
            assert again == results[key][2]
