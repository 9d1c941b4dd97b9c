"""The lab rounded-qr: what it measures, verdicts that can fail, its figures."""

from __future__ import annotations

import json
import math
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pysr
from pysr import labs, linalg
from pysr.labs import _units, rounded_qr
from pysr.labs._frame import Draw, Plan, Results, stream
from pysr.labs._report import Row
from pysr.labs.rounded_qr import _measure
from pysr.linalg import theory

LAB = rounded_qr.LAB
CHOICE = LAB.choose("quick", None, None)
OTHER = {"rne": "sr", "sr": "rne"}


@pytest.fixture(scope="module")
def plan() -> Plan:
    return LAB.plan(CHOICE)


@pytest.fixture(scope="module")
def results(plan: Plan) -> Results:
    return _units.measure(plan.setups().values(), _units.Kept(None, LAB.name, b"", CHOICE, False))


def judged(plan: Plan, results: Results) -> list[Row]:
    return [claim.judge(results, True) for claim in plan.claims]


def fails(plan: Plan, results: Results) -> list[str]:
    return [row.id for row in judged(plan, results) if row.verdict == "fails"]


# ---------------------------------------------------------------------------------------------
# What is measured


def test_matrix() -> None:
    for kappa in (1.0, 50.0, 1e6):
        sigma = np.linalg.svd(rounded_qr.matrix(60, 7, kappa, 3))[1]
        assert sigma == pytest.approx(math.sqrt(60) * np.geomspace(1, 1 / kappa, 7), rel=1e-8)
    assert not np.array_equal(rounded_qr.matrix(9, 2, 3.0, 1), rounded_qr.matrix(9, 2, 3.0, 2))


def test_slope() -> None:
    x = np.geomspace(1, 1e6, 9)
    assert rounded_qr.slope(x, 7 * x**1.75) == pytest.approx(1.75)


def test_deviation_is_that_of_the_theory() -> None:
    for fmt in ("float16", "binary32"):
        for term in (1.0, 1.328125, 1.9990234375):
            for n in (2, 3, 100, 5000):
                expected = theory.summation_deviation(np.full(n, term), fmt)
                assert _measure.deviation(term, n, fmt) == pytest.approx(expected, rel=1e-12)


def test_every_verdict_holds(plan: Plan, results: Results) -> None:
    rows = judged(plan, results)
    assert [row for row in rows if row.verdict != "holds"] == []
    assert len(rows) == 96
    assert {row.provenance for row in rows} == {"paper", "derived"}


@pytest.mark.parametrize(
    ("fmt", "mode", "method", "kappa"),
    [("float16", "sr", "mgs", 10.0), ("binary32", "rne", "householder", 1e6),
     ("binary32", "sr", "cholesky", 1e4), ("bfloat16", "sr", "cgs", 1.0)],
)  # fmt: skip
def test_what_is_measured_is_what_the_labels_say(
    plan: Plan, results: Results, fmt: str, mode: str, method: str, kappa: float
) -> None:
    key = f"qr-{fmt}-{mode}-{method}"
    assert plan.setups()[key].label == f"QR by {method}, 400 x 20, {fmt} {mode}"
    (run,) = [run for run in results[key][0]["runs"] if run["kappa"] == kappa]
    a = np.asarray(pysr.round(rounded_qr.matrix(400, 20, kappa, 0), fmt, "rne"), np.float32)
    arithmetic = pysr.Arithmetic(fmt, mode, rng=pysr.Philox(0, stream=stream(key, kappa)))
    if run["breakdown"]:
        with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
            linalg.qr(a, arithmetic, method=method)
        assert "not positive definite" in run["breakdown"]
        assert math.isnan(run["loss"])
        return
    q, r = (np.asarray(x, np.float64) for x in linalg.qr(a, arithmetic, method=method))
    sigma = np.linalg.svd(q)[1]
    exact = a.astype(np.float64)
    assert run["loss"] == pytest.approx(np.max(np.abs(sigma**2 - 1)), rel=1e-4)
    assert run["error"] == pytest.approx(
        np.linalg.norm(exact - q @ r, 2) / np.linalg.norm(exact, 2)
    )


def test_plans_reach_as_far_as_they_say() -> None:
    for plans in (rounded_qr.PLANS, rounded_qr.QUICK_PLANS):
        for fmt, (_, kappas) in plans.items():
            assert kappas[0] == 1
            assert 1 / 12 <= kappas[-1] * theory.unit_roundoff(fmt) <= 1
    assert set(rounded_qr.QUICK_PLANS) <= set(rounded_qr.PLANS)


def test_remarks(plan: Plan, results: Results) -> None:
    remarks = plan.remarks(results)
    assert len(remarks) == 8
    lu = next(text for text in remarks if text.startswith("LU-IR, corrections, float16 sr: "))
    cells = dict(cell.split(" ", 1) for cell in lu.partition(": ")[2].split(", "))
    assert [float(kappa) for kappa in cells] == [10.0**k for k in range(9)]
    assert cells["1"].isdigit()
    assert cells["1e+07"] in ("diverged", "stagnated", "iterations")
    assert cells["1e+02"] == str(results["lu-float16-sr"][0]["runs"][2]["corrections"])
    gmres = {key: draws for key, draws in results.items() if key == "gmres-bfloat16-rne"}
    assert [text.partition(":")[0] for text in plan.remarks(gmres)] == [
        "GMRES-IR, corrections x steps in each, bfloat16 rne"
    ]


# ---------------------------------------------------------------------------------------------
# Wrong measurements


def replaced(results: Results, source: Callable[[str], str]) -> Results:
    """Results in which each set-up has those of another."""
    return {key: results[source(key)] for key in results}


def swap(method: str, other: str) -> Callable[[str], str]:
    def source(key: str) -> str:
        head, _, tail = key.rpartition("-")
        return f"{head}-{other}" if head.startswith("qr") and tail == method else key

    return source


@pytest.mark.parametrize(
    ("method", "other", "suffix", "count"),
    [
        ("householder", "mgs", "householder-flat", 6),
        ("householder", "mgs", "mgs-above", 4),
        ("mgs", "householder", "mgs-exponent", 2),
        ("mgs", "householder", "mgs-above", 4),
        ("mgs", "cgs", "cgs-above", 4),
        ("cgs", "mgs", "cgs-above", 4),
        ("cgs", "mgs", "cgs-exponent", 2),
        ("cgs2", "cgs", "cgs2-flat", 2),
        ("cholesky", "mgs", "cholesky-breaks", 6),
        ("cholesky", "mgs", "cholesky-exponent", 2),
    ],
)
def test_one_algorithm_for_another_fails(
    plan: Plan, results: Results, method: str, other: str, suffix: str, count: int
) -> None:
    found = fails(plan, replaced(results, swap(method, other)))
    assert len([id for id in found if id.endswith(f"-{suffix}")]) >= count


def modes_swapped(family: str) -> Callable[[str], str]:
    def source(key: str) -> str:
        parts = key.split("-")
        if parts[0] == family and parts[2:] and parts[2] in OTHER and "binary64" not in parts:
            parts[2] = OTHER[parts[2]]
        return "-".join(parts)

    return source


@pytest.mark.parametrize(
    ("family", "id"),
    [
        ("sums", "sums-binary32-rne-exponent"),
        ("sums", "sums-float16-sr-exponent"),
        ("ones", "ones-bfloat16-rne-stagnation"),
        ("ones", "ones-bfloat16-sr-last"),
        ("dots", "dots-float16-sr-below"),
        ("growth", "growth-bfloat16-sr-below"),
    ],
)
def test_one_mode_for_another_fails(plan: Plan, results: Results, family: str, id: str) -> None:
    assert id in fails(plan, replaced(results, modes_swapped(family)))


def altered(results: Results, family: str, change: Callable[[Draw], None]) -> Results:
    copy = json.loads(json.dumps(dict(results)))
    for key, draws in copy.items():
        if key.startswith(family):
            for draw in draws:
                change(draw)
    return copy  # type: ignore[no-any-return]


def times(field: str, factor: float) -> Callable[[Draw], None]:
    def scale(value: Any) -> Any:
        return [scale(item) for item in value] if isinstance(value, list) else value * factor

    return lambda draw: draw.update({field: scale(draw[field])})


def each(**changes: Any) -> Callable[[Draw], None]:
    def change(draw: Draw) -> None:
        for run in draw["runs"]:
            run.update({key: new(run[key]) if callable(new) else new
                        for key, new in changes.items()})  # fmt: skip

    return change


def steeper(draw: Draw) -> None:
    draw["errors"] = [error * 4**k for k, error in enumerate(draw["errors"])]


@pytest.mark.parametrize(
    ("family", "change", "id"),
    [
        ("sums", times("largest", 20), "sums-binary32-sr-bound"),
        ("sums", times("largest", 20), "sums-binary32-rne-bound"),
        ("sums", times("predicted", 1.25), "sums-float16-sr-deviation"),
        ("ones-float64", lambda draw: draw.update(errors=[[1e-3]]), "ones-float64-error"),
        ("ones", times("errors", 0.9), "ones-bfloat16-rne-last"),
        ("dots", times("errors", 1000), "dots-float16-sr-bound"),
        ("growth", times("errors", 30), "growth-bfloat16-sr-bound"),
        ("growth", steeper, "growth-bfloat16-sr-exponent"),
        ("gmres", each(converged=False), "gmres-float16-sr-converges"),
        ("lu", each(converged=False), "lu-bfloat16-rne-converges"),
        ("lu", each(converged=False), "lu-binary64-rne-converges"),
        ("lu", each(converged=True), "lu-float16-sr-fails"),
        ("lu", each(reason=""), "lu-float16-sr-fails"),
        ("lu", each(backward_error=1e-14), "lu-float16-rne-backward"),
        ("gmres", each(backward_error=math.nan), "gmres-bfloat16-sr-backward"),
        ("gmres", each(corrections=30), "gmres-float16-rne-corrections"),
        ("qr", each(loss=lambda x: 100 * x), "qr-float16-sr-householder-loss"),
        ("qr", each(error=lambda x: 100 * x), "qr-bfloat16-rne-householder-error"),
        ("qr-float64", each(error=1e-8), "qr-float64-error"),
        ("qr", each(breakdown="broken"), "qr-binary32-sr-cholesky-succeeds"),
        ("qr", each(breakdown=lambda text: text[:3]), "qr-float16-rne-cholesky-breaks"),
    ],
)
def test_a_wrong_measurement_fails(
    plan: Plan, results: Results, family: str, change: Callable[[Draw], None], id: str
) -> None:
    assert id in fails(plan, altered(results, family, change))


def test_a_wrong_rounding_fails(
    monkeypatch: pytest.MonkeyPatch, plan: Plan, results: Results
) -> None:
    """Rounding up with probability 1/2 is seen by the sums."""
    true = pysr.Arithmetic

    def wrong(fmt: Any, mode: str = "sr", **keywords: Any) -> Any:
        return true(fmt, "sr_equal" if mode == "sr" else mode, **keywords)

    monkeypatch.setattr(pysr, "Arithmetic", wrong)
    keys = [key for key in results if key.startswith("sums")]
    again = {key: [_units._plain(plan.setups()[key].measure(0))] for key in keys}
    assert set(fails(plan, dict(results) | again)) >= {
        f"sums-{fmt}-sr-{row}"
        for fmt in ("binary32", "float16")
        for row in ("exponent", "deviation")
    }


def test_a_run_repeats_bit_for_bit(plan: Plan, results: Results) -> None:
    with _units.one_blas_thread():
        for key in ("sums-float16-sr", "growth-bfloat16-sr", "qr-bfloat16-sr-cgs2"):
            assert _units._plain(plan.setups()[key].measure(0)) == results[key][0]


def test_the_document_is_made_by_its_script() -> None:
    docs = Path(__file__).parents[1] / "docs"
    script = runpy.run_path(str(docs / "make_refinement.py"))
    text = (docs / "refinement.md").read_text(encoding="utf-8")
    begin, end = "<!-- sums:begin -->\n", "\n<!-- sums:end -->"
    assert text.partition(begin)[2].partition(end)[0] == "\n".join(script["sums"]())
    cells = text.partition("<!-- refinement:begin -->")[2].partition("<!-- refinement:end -->")[0]
    rows = [line.split(" | ") for line in cells.strip().splitlines()]
    assert [len(row) for row in rows] == [11, 11, *[11] * 8]
    # BLAS and LAPACK may move a count by one.
    for row, (fmt, mode) in zip(rows[2:6], script["FORMATS"], strict=True):
        assert row[0] == f"| LU-IR, {fmt}, {mode}"
        assert abs(int(script["cell"](1.0, fmt, mode, "lu")) - int(row[2])) <= 1
        assert script["cell"](1e8, fmt, mode, "lu") in ("diverged", "stagnated")


# ---------------------------------------------------------------------------------------------
# Other arithmetic, figures


def test_other_arithmetic() -> None:
    with pytest.raises(ValueError, match=r"'Q1\.8' is not floating point"):
        labs.run("rounded-qr", arithmetic={"operations": "Q1.8"})
    rows = labs.run("rounded-qr", rows=["ones-*", "dots-*"], quick=True,
                    arithmetic={"operations": ("bfloat16", "sr_equal")})  # fmt: skip
    assert {row.id: row.verdict for row in rows} == {
        "ones-bfloat16-rne-stagnation": "holds",
        "ones-bfloat16-rne-last": "holds",
        "ones-bfloat16-sr_equal-last": "not applicable",
        "ones-float64-error": "holds",
        "dots-bfloat16-sr_equal-bound": "not applicable",
        "dots-bfloat16-sr_equal-below": "not applicable",
    }
    found = LAB.plan(LAB.choose("quick", None, {"operations": ("float8_e5m2", "rne")}))
    assert {key.split("-")[2] for key in found.setups() if key.startswith("qr-float8")} == {"rne"}
    applicable = {claim.id for claim in found.claims if claim.applies}
    assert applicable == {"qr-float64-error", "qr-float64-loss", "ones-float64-error",
                          "lu-binary64-rne-converges"}  # fmt: skip


def test_figures(plan: Plan, results: Results) -> None:
    pytest.importorskip("matplotlib")
    for figure in plan.figures:
        drawn = figure.draw({setup.key: results[setup.key] for setup in figure.setups})
        assert len(drawn.axes) == 3
        assert all(axes.get_legend() for axes in drawn.axes)


@pytest.mark.parametrize("given", [("float16", "sr_equal"), ("bfloat16", "rne")])
def test_figures_of_other_arithmetic(given: Any) -> None:
    pytest.importorskip("matplotlib")
    choice = LAB.choose("quick", None, {"operations": given})
    found = LAB.plan(choice)
    kept = _units.Kept(None, LAB.name, b"", choice, False)
    for figure in found.figures:
        assert len(figure.draw(_units.measure(figure.setups, kept)).axes) == 3
