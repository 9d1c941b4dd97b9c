"""The lab deep-factorization: what is measured, verdicts that can fail, figures."""

from __future__ import annotations

import doctest
import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pysr
from pysr import labs
from pysr.labs import _units, deep_factorization
from pysr.labs._frame import Draw, Plan, Results, stream
from pysr.labs._report import Row
from pysr.labs.deep_factorization import _measure

LAB = deep_factorization.LAB
DOCS = Path(__file__).parents[1] / "docs"
CHEAP = ("base-*", "spectra-*", "step-*", "perturbed-*", "random-float64-*", "sensing-identical-*",
         "rounded-bfloat16-*", "rounded-Q3.8-*", "threshold-bfloat16-3-*", "stop-1-end-*",
         "escape-2-*", "escape-3-float64-*")  # fmt: skip


@pytest.fixture(scope="module")
def plan() -> Plan:
    return LAB.plan(LAB.choose("quick", 1, None)).only(CHEAP)


@pytest.fixture(scope="module")
def results(plan: Plan) -> Results:
    kept = _units.Kept(None, LAB.name, b"", LAB.choose("quick", 1, None), False)
    return _units.measure(plan.setups().values(), kept)


def judged(plan: Plan, results: Results) -> list[Row]:
    return [claim.judge(results, True) for claim in plan.claims]


def fails(plan: Plan, results: Results) -> set[str]:
    return {row.id for row in judged(plan, results) if row.verdict == "fails"}


# ---------------------------------------------------------------------------------------------
# What is measured


def test_no_verdict_fails(plan: Plan, results: Results) -> None:
    # A single seed of sensing may be off: its rows are about means of several.
    wrong = {row for row in fails(plan, results) if not row.startswith("sensing-")}
    assert wrong == set()
    rows = judged(plan, results)
    assert {row.provenance for row in rows} == {"paper", "derived"}
    assert {row.verdict for row in rows} <= {"holds", "fails"}


def test_what_is_asked_for_is_there() -> None:
    """Every row that the page of expectations has, in the default size."""
    claims = {claim.id: claim for claim in LAB.plan(LAB.choose("default", None, None)).claims}
    for id, relation, value, tolerance in (
        ("base-4-scalar", "<=", 1e-12, 0.0),
        ("base-2-half", "=", 3.5, 2.5),
        ("base-4-steps-326..451", "=", 1.006, 0.006),
        ("base-4-steps-660..754", "=", 1.5025, 0.0075),
        ("base-2-empty", "<=", -1, 0.0),
        ("perturbed-2-recovered", "<=", 1e-4, 0.0),
        ("perturbed-3-recovered", "<=", 1e-4, 0.0),
        ("random-float64-least", "<=", 1.002, 0.0),
        ("random-float64-final", "=", 1.75, 0.002),
        ("random-float64-error", "<=", 5e-4, 0.0),
        ("random-float64-drop", "<=", 1e-7, 0.0),
        ("random-float16-drop", "<=", 5e-4, 0.0),
        ("sensing-identical-float64-error", "<=", 0.003, 0.0),
        ("sensing-identical-float64-final", "=", 1.333, 0.005),
        ("sensing-identical-float64-norm", ">=", 0.7, 0.0),
        ("sensing-random-float64-error", "<=", 0.04, 0.0),
        ("sensing-random-float64-final", "=", 1.35, 0.02),
        ("sensing-symmetric-error", ">=", 0.1, 0.0),
        ("sensing-identical-bfloat16-sr-same", "=", 0.0, 0.002),
        ("sensing-identical-bfloat16-rne-error", ">=", 0.34, 0.0),
        ("rounded-bfloat16-rne-lost", "<=", 0.01, 0.0),
        ("rounded-bfloat16-rne-error", ">=", 0.24, 0.0),
        ("rounded-bfloat16-sr-all", "=", 1.0, 0.005),
        ("rounded-bfloat16-sr-error", "<=", 0.003, 0.0),
        ("rounded-float16-sr-error", "<=", 0.001, 0.0),
        ("rounded-Q3.8-rne-moved", "=", 0.0, 0.0),
        ("rounded-Q3.8-rne-rank", "=", 10.0, 1e-9),
        ("rounded-Q3.8-sr-error", "<=", 0.006, 0.0),
        ("escape-3-float64-rate", "=", 1.0, 0.03),
        ("escape-3-binary32-rne-rate", "=", 1.0, 0.03),
        ("escape-2-float64-rate", "=", 2.0, 0.06),
    ):
        claim = claims[id]
        assert (claim.relation, claim.expectation) == (relation, pytest.approx(value))
        assert claim.tolerance == pytest.approx(tolerance)
    for fmt, depth, value in (("bfloat16", 3, 3.13), ("float16", 3, 0.393),
                              ("bfloat16", 4, 6.25), ("float16", 4, 0.785)):  # fmt: skip
        key = f"threshold-{fmt}-{depth}"
        assert claims[f"{key}-least"].expectation == value
        assert {f"{key}-below", f"{key}-above"} <= set(claims)
    for depth in (2, 3, 4):
        assert {f"step-{depth}-0.98-converges", f"step-{depth}-1.01-fails"} <= set(claims)
    assert all(len(c.setups[0].seeds) >= 5 for c in claims.values() if c.judged == "mean")
    assert len(claims["rounded-bfloat16-sr-error"].setups[0].seeds) >= 5


def test_rounded_weights_are_what_the_label_says(plan: Plan, results: Results) -> None:
    key = "rounded-bfloat16-sr"
    assert plan.setups()[key].label == "base case, N = 3, weights in bfloat16 sr"
    target = _measure.symmetric(_measure.BASE, 0)
    assert np.linalg.eigvalsh(target)[::-1] == pytest.approx(_measure.BASE, abs=1e-13)
    w = list(pysr.round(np.stack([0.1 * np.eye(10)] * 3), "bfloat16", "rne"))
    rng = pysr.Philox(0, stream=stream(key, "rounding"))
    for _ in range(4000):
        p = w[1] @ w[0]
        s = w[2] @ p - target
        g3, s = s @ p.T, w[2].T @ s
        g = s @ w[0].T, w[1].T @ s
        steps = [a - 0.01 * b for a, b in zip(w, (g[1], g[0], g3), strict=True)]
        w = list(pysr.round(np.stack(steps), "bfloat16", rng=rng))
    product = w[2] @ w[1] @ w[0]
    draw = results[key][0]
    assert draw["error"] == pytest.approx(np.linalg.norm(product - target) / np.linalg.norm(target))
    sizes = np.linalg.svd(product, compute_uv=False)[:4]
    assert draw["ratios"] == pytest.approx(sizes / [4, 2, 1, 0.5], rel=1e-12)


def test_sensing_is_what_the_label_says() -> None:
    truth, measurements, values = _measure.sensed(3, symmetrised=False)
    assert measurements.shape == (160, 20, 20)
    assert np.linalg.svd(truth, compute_uv=False)[:3] == pytest.approx([3, 1, 0], abs=1e-13)
    assert values[7] == pytest.approx(np.trace(measurements[7].T @ truth))
    assert np.std(measurements) * np.sqrt(160) == pytest.approx(1, rel=0.02)
    assert np.abs(measurements - measurements.transpose(0, 2, 1)).max() > 0.1
    truth, measurements, values = _measure.sensed(3, symmetrised=True)
    assert np.array_equal(measurements, measurements.transpose(0, 2, 1))
    assert values[7] == pytest.approx(np.trace(measurements[7] @ truth))


def test_crossings() -> None:
    spectrum = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.4], [2.0, 0.4]])
    assert _measure.crossings(spectrum, [1.0, 0.5]) == [1, -1]


# ---------------------------------------------------------------------------------------------
# Wrong measurements


def altered(results: Results, families: str, change: Callable[[Draw], None]) -> Results:
    copy = json.loads(json.dumps(dict(results)))
    for key, draws in copy.items():
        if key.startswith(families):
            for draw in draws:
                change(draw)
    return copy  # type: ignore[no-any-return]


def shifted(field: str, by: float) -> Callable[[Draw], None]:
    def change(draw: Draw) -> None:
        value = draw[field]
        draw[field] = [x + by for x in value] if isinstance(value, list) else value + by

    return change


def wrong_plateaus(draw: Draw) -> None:
    for part in draw["plateaus"]:
        part["measured"] = [k + 3 for k in part["measured"]]
        part["rank"] = [r + 0.02 for r in part["rank"]]


@pytest.mark.parametrize(
    ("family", "change", "rows"),
    [
        ("base-3", shifted("scalar", 1e-11), {"base-3-scalar"}),
        ("base-3", shifted("lag", 4), {"base-3-half"}),
        ("base-3", shifted("sharp", -1), {"base-3-half-sharp"}),
        ("base-3", wrong_plateaus, {"base-3-edges", "base-3-plateau-1", "base-3-plateau-2"}),
        ("spectra-5", shifted("sharp", 1), {"spectra-5-half-sharp"}),
        ("spectra-5", shifted("lag", -3), {"spectra-5-half"}),
        ("step-2-0.98", shifted("most", 1e-3), {"step-2-0.98-converges"}),
        ("step-2-1.01", shifted("least", -0.1), {"step-2-1.01-fails"}),
        ("perturbed-2", shifted("off", 1e-3), {"perturbed-2-recovered"}),
        ("random-float64", shifted("drop", 1e-6), {"random-float64-drop"}),
        ("random-float64", shifted("final", 0.01), {"random-float64-final"}),
        ("random-float64", shifted("least", 0.01), {"random-float64-least"}),
        ("random-float64", shifted("error", 0.01), {"random-float64-error"}),
        ("rounded-bfloat16-sr", shifted("error", 0.01), {"rounded-bfloat16-sr-error"}),
        ("rounded-bfloat16-sr", shifted("ratios", 0.01), {"rounded-bfloat16-sr-all"}),
        ("rounded-bfloat16-rne", shifted("ratios", 0.02), {"rounded-bfloat16-rne-lost"}),
        ("rounded-bfloat16-rne", shifted("error", -0.1), {"rounded-bfloat16-rne-error"}),
        ("rounded-Q3.8-rne", shifted("moved", 1), {"rounded-Q3.8-rne-moved"}),
        ("rounded-Q3.8-rne", shifted("least_rank", -1), {"rounded-Q3.8-rne-rank"}),
        ("threshold", shifted("least", 0.02), {"threshold-bfloat16-3-least"}),
        ("threshold", shifted("below", 0.02), {"threshold-bfloat16-3-below"}),
        ("threshold", shifted("above", -0.2), {"threshold-bfloat16-3-above"}),
        ("stop-1-end-float64", shifted("rank", 0.02), {"stop-1-end-float64-rank"}),
        ("stop-1-end-float64", shifted("distance", 0.02), {"stop-1-end-float64-distance"}),
        ("escape-3-float64", shifted("rate", 0.05), {"escape-3-float64-rate"}),
        ("escape-3-float64", shifted("visible", 10.0), {"escape-3-float64-time"}),
        ("escape-2-float64", lambda draw: draw.update(rate=float("nan")),
         {"escape-2-float64-rate"}),
    ],
)  # fmt: skip
def test_a_wrong_measurement_fails(
    plan: Plan, results: Results, family: str, change: Callable[[Draw], None], rows: set[str]
) -> None:
    assert fails(plan, altered(results, family, change)) - fails(plan, results) == rows


def test_sensing_rows_can_fail(plan: Plan, results: Results) -> None:
    before = fails(plan, results)
    for kind, field, by, row in (
        ("float64", "norm", -0.3, "float64-norm"),
        ("float64", "least_rank", 0.1, "float64-least"),
        ("float64", "final", 0.1, "float64-final"),
        ("bfloat16-sr", "error", 0.1, "bfloat16-sr-same"),
        ("bfloat16-rne", "error", -0.2, "bfloat16-rne-error"),
    ):
        key = f"sensing-identical-{kind}"
        found = fails(plan, altered(results, key, shifted(field, by)))
        assert f"sensing-identical-{row}" in found
        assert {row for row in found - before if not row.startswith("sensing-identical-")} == set()


# ---------------------------------------------------------------------------------------------
# Other arithmetic, figures


def test_other_modes_are_measured_and_not_judged() -> None:
    rows = labs.run("deep-factorization", rows="rounded-bfloat16-*", seeds=1, quick=True,
                    arithmetic={"weights": (None, "sr_equal")})  # fmt: skip
    verdicts = {row.id: row.verdict for row in rows}
    assert verdicts == {
        "rounded-bfloat16-rne-lost": "holds",
        "rounded-bfloat16-rne-error": "holds",
        "rounded-bfloat16-sr_equal-error": "not applicable",
        "rounded-bfloat16-sr_equal-all": "not applicable",
    }


@pytest.mark.parametrize("given", ["Q3.2", "bfloat16", "grid:0.01"])
@pytest.mark.parametrize("mode", ["rne", "sr_equal"])
def test_expectations_are_for_the_labs_own_arithmetic(given: str, mode: str) -> None:
    found = LAB.plan(LAB.choose("quick", 1, {"weights": (given, mode)}))
    judged = [c for c in found.claims if c.applies is not True and mode in c.id]
    assert all(c.applies is False for c in judged)
    kept = [key for key in found.setups() if key.startswith("threshold")]
    assert len(kept) == (1 if given == "Q3.2" else 2)


def test_figures(plan: Plan, results: Results) -> None:
    pytest.importorskip("matplotlib")
    full = LAB.plan(LAB.choose("quick", 1, None))
    names = [figure.name for figure in full.figures]
    assert names == ["staircases", "spectrum", "sensing", "thresholds", "escape"]
    drawn = {figure.name: figure.draw(results) for figure in plan.figures}
    assert list(drawn) == ["spectrum"]
    axes = drawn["spectrum"].axes
    assert [a.get_title() for a in axes[:3]] == ["2 factors", "3 factors", "4 factors"]
    everything: dict[str, Any] = dict(results)
    for key in full.setups():
        family, _, rest = key.partition("-")
        close = [other for other in results if other.startswith(f"{family}-")]
        same = [other for other in close if other.rpartition("-")[2] == rest.rpartition("-")[2]]
        everything.setdefault(key, results[(same or close)[0]])
    for figure in full.figures:
        assert figure.draw(everything).axes
        assert len(figure.caption) > 40


def test_the_document_is_made_by_its_script() -> None:
    script = runpy.run_path(str(DOCS / "make_factorization.py"))
    text = (DOCS / "factorization.md").read_text(encoding="utf-8")

    def table(name: str) -> list[str]:
        return text.partition(f"<!-- {name}:begin -->\n")[2].partition("\n<!--")[0].splitlines()

    assert table("times") == script["times"]()
    rows = table("rounded")
    assert len(rows) == 9
    # Rounded weights follow the last bits of BLAS; these two do not move, or hardly.
    assert rows[7] == script["row"]("Q3.8", "rne")
    assert rows[2] == script["row"](None, "")


def test_the_examples_of_the_document() -> None:
    blocks = "\n".join(re.findall(r"```python\n(.*?)```", (DOCS / "factorization.md").read_text(
        encoding="utf-8"), re.S))  # fmt: skip
    runner = doctest.DocTestRunner()
    runner.run(doctest.DocTestParser().get_doctest(blocks, {}, "factorization.md", None, 0))
    assert runner.tries > 8
    assert runner.failures == 0
