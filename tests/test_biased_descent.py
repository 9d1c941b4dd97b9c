"""The lab biased-descent: what it measures, verdicts that can fail, its figures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pysr
from pysr import labs
from pysr.labs import _units, biased_descent
from pysr.labs._frame import Choice, Draw, Plan, Results
from pysr.labs.biased_descent import _claims, _measure
from pysr.labs.biased_descent._study import EXACT, Study, same_everywhere
from pysr.optim import bounds, problems

LAB = biased_descent.LAB
CHOICE = LAB.choose("quick", 1, None)
U = 2.0**-8
# Rows that are cheap; what is left out is measured in the same way.
CHEAP = ["moments-sr-*", "cases-*", "one-step-*", "walk-8-8-*", "walk-16-10-*", "walk-64-64-rne-*",
         "walk-64-64-sr_eps-0.5-*", "grid-*", "off-grid-*", "nonconvex-*", "logistic-*",
         "himmelblau-*", "overflow-*", "rosenbrock-rne-*", "Q3.8-rne-*",
         "Q3.8-sr_eps-0.1-*", "step-0.125-*"]  # fmt: skip


@pytest.fixture(scope="module")
def whole() -> Plan:
    pytest.importorskip("sklearn")
    return LAB.plan(CHOICE)


@pytest.fixture(scope="module")
def plan(whole: Plan) -> Plan:
    return whole.only(CHEAP)


@pytest.fixture(scope="module")
def results(plan: Plan) -> Results:
    return _units.measure(plan.setups().values(), _units.Kept(None, LAB.name, b"", CHOICE, False))


def fails(plan: Plan, results: Results) -> set[str]:
    return {
        claim.id for claim in plan.claims if claim.judge(results, True).verdict == "fails"
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------
# What is measured


def test_every_verdict_holds(plan: Plan, results: Results) -> None:
    rows = [claim.judge(results, True) for claim in plan.claims]
    assert [row for row in rows if row.verdict != "holds"] == []
    assert {row.provenance for row in rows} == {"derived", "recalled"}


def test_the_plans_have_every_row() -> None:
    pytest.importorskip("sklearn")
    sizes = {size: LAB.plan(LAB.choose(size, None, None)) for size in ("quick", "default", "full")}
    ids = {size: {claim.id for claim in plan.claims} for size, plan in sizes.items()}
    assert ids["quick"] < ids["default"] == ids["full"]
    assert ids["quick"] >= {
        *(f"walk-64-64-{name}-mean" for name in biased_descent.TIMES),
        *("walk-64-64-rne-stops", "grid-rne-constant", "grid-sr-exact", "off-grid-sr-floor"),
        *("grid-sr-below-rne", "grid-sr_eps-0.4-below-sr_eps-0.25", "off-grid-sr_eps-0.4-floor"),
        *("logistic-rne-frozen", "logistic-sr_eps-0.25-loss", "rosenbrock-sr_eps-0.1-share"),
        *("himmelblau-rne-last", "overflow-saturate-first", "overflow-wrap-all", "Q3.8-rne-moving"),
        *(f"{fmt}-{name}-loss" for fmt in ("Q3.8", "Q3.10")
          for name in ("rne", "sr_eps-0.1", "sr_eps-0.25")),
        *("Q3.8-sr-ratio", "Q3.10-sr-ratio", "Q3.12-rne-ratio", "step-tuned-loss"),
    }  # fmt: skip
    for size, few in (("quick", 6), ("full", len(biased_descent.WALKS))):
        for c, start, eps in biased_descent.WALKS[:few]:
            name = f"sr_eps-{eps:g}" if eps else "sr"
            assert f"walk-{round(1 / c)}-{start}-{name}-mean" in ids[size]
            assert math.log2(c).is_integer()
            assert c * start <= 1


def test_missing_scikit_learn_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(biased_descent, "installed", lambda name: None)
    found = LAB.plan(CHOICE)
    assert found.notes == ('regression and network need scikit-learn: pip install "srcore[labs]"',)
    assert not [key for key in found.setups() if key.startswith(("logistic", "Q3", "step"))]
    assert len(found.figures) == 5


def nearest(gradient: Callable[[Any], Any], x: Any, t: float, steps: int, fmt: str) -> list[Any]:
    """All iterates, by hand."""
    way = [np.asarray(x, np.float64)]
    for _ in range(steps):
        g = pysr.round(gradient(way[-1]), fmt, "rne")
        way.append(way[-1] - pysr.round(t * g, fmt, "rne"))
    return way


def test_descents_are_what_the_labels_say(plan: Plan, results: Results) -> None:
    sklearn = pytest.importorskip("sklearn.datasets")
    himmelblau = problems.himmelblau()
    way = nearest(himmelblau.gradient, [0.0, 0.0], 2.0**-10, 400, "Q7.8")
    assert np.array_equal(way[::2], results["himmelblau-rne"][0]["way"])

    x, y = sklearn.load_breast_cancer(return_X_y=True)
    a = np.column_stack([(x - x.mean(axis=0)) / x.std(axis=0), np.ones(569)])

    def gradient(w: Any) -> Any:
        return (1 / (1 + np.exp(-(a @ w))) - y) @ a / 569

    weights = nearest(gradient, np.zeros(31), 1 / 16, 300, "Q1.6")
    draw = results["logistic-rne"][0]
    losses = [np.mean(np.logaddexp(0, a @ w) - y * (a @ w)) for w in weights]
    assert draw["value"] == pytest.approx(losses)
    assert not np.array_equal(weights[8], weights[9])
    assert np.array_equal(weights[9], weights[-1])

    draw = results["grid-rne"][0]
    quadratic, start = _measure.quadratic(0, on_grid=True)
    assert np.array_equal(np.rint(quadratic.minimizer / U), quadratic.minimizer / U)
    eigenvalues = np.logspace(-2, 0, 100)
    points = nearest(lambda x: eigenvalues * (x - quadratic.minimizer),
                     np.rint(start / U) * U, 0.25, 2000, "Q7.8")  # fmt: skip
    distances = np.array(points[::10]) - quadratic.minimizer
    assert draw["value"] == pytest.approx(np.sum(eigenvalues * distances**2, axis=1) / 2)

    network = _measure.digits()
    assert network.size == 64 * 32 + 2 * 32 * 32 + 32 * 10 + 3 * 32 + 10
    point = np.asarray(network.random_start(_measure.generator(0, "network")))
    for _ in range(20):
        point = point - network.gradient(point) / 8
    assert results["step-0.125"][0]["value"][2] == pytest.approx(float(network.value(point)))


def test_a_walk_counts_steps() -> None:
    draw = _measure.walk(same_everywhere("sr_eps", 1.0), 0.25, 3, 50)(0)
    assert (draw["mean"], draw["deviation"], draw["arrived"]) == (3, 0, 1)
    assert list(draw["times"]) == [3]
    draw = _measure.walk(same_everywhere("rne"), 2.0**-3, 8, 5)(0)
    assert list(draw["last"]) == [4]
    assert draw["arrived"] == 0


def test_first_below_and_floor() -> None:
    draw = {"value": [3.0, 2.0, 1.0, 4.0, 6.0, 8.0], "step": [0, 10, 20, 30, 40, 50], "best": 2.0}
    assert _claims.first_below(draw, 2.0) == 10
    assert _claims.first_below(draw, 0.5) == math.inf
    assert _claims.floor(draw) == 3.5
    assert _claims.at(draw, 30) == 4


def test_distance_is_kolmogorovs() -> None:
    theory = bounds.absorption_distribution(0.5, 2, steps=60)
    counts = np.rint(np.diff(theory) * 2**20).astype(int)
    kept = counts > 0
    draw = {"times": np.arange(1, 61)[kept], "counts": counts[kept]}
    assert _claims.distance(draw, 0.5, 2, 0.0) < 0.01
    draw["times"] = draw["times"] + 1
    assert _claims.distance(draw, 0.5, 2, 0.0) == pytest.approx(0.5 * 2**10, rel=0.01)


# ---------------------------------------------------------------------------------------------
# Wrong measurements


def altered(results: Results, key: str, change: Callable[[Draw], None]) -> Results:
    copy: dict[str, Any] = json.loads(json.dumps(dict(results)))
    assert key in copy
    for draw in copy[key]:
        change(draw)
    return copy


def times(field: str, factor: float) -> Callable[[Draw], None]:
    def scale(value: Any) -> Any:
        return [scale(item) for item in value] if isinstance(value, list) else value * factor

    return lambda draw: draw.update({field: scale(draw[field])})


def put(**fields: Any) -> Callable[[Draw], None]:
    return lambda draw: draw.update(fields)


@pytest.mark.parametrize(
    ("key", "change", "suffix"),
    [
        ("moments-sr", put(bias=[0.0, -0.005]), "bias"),
        ("moments-sr", put(variance=[0.005]), "variance"),
        ("cases-sr", times("product", 0.95), "share-product"),
        ("cases-sr_eps-0.4", times("both", 0.95), "share-both"),
        ("cases-rne", times("product", 0.5), "case-2"),
        ("cases-rne", lambda d: d.update(product=[1.0] * len(d["product"])), "case-1"),
        ("cases-sr", lambda d: d.update(product=[0.0] * len(d["product"])), "case-1"),
        ("cases-sr", times("product_length", 1.1), "case-2"),
        ("cases-sr", times("product", 0.9), "case-3"),
        ("one-step-sr", times("mean", 1.03), "bound"),
        ("one-step-sr_eps-0.1", times("mean", 1.01), "tighter"),
        ("walk-8-8-sr", times("mean", 1.04), "mean"),
        ("walk-16-10-sr_eps-0.4", times("deviation", 0.9), "deviation"),
        ("walk-64-64-sr_eps-0.5", lambda d: d.update(times=[t + 1 for t in d["times"]]),
         "distribution"),
        ("walk-64-64-rne", put(last=[31.0]), "stops"),
        ("grid-sr", times("value", 1.2), "exact"),
        ("grid-sr", times("bound", 1e-3), "bound"),
        ("grid-sr", times("value", 30), "below-rne"),
        ("grid-sr_eps-0.25", times("value", 1000), "below-sr_eps-0.1"),
        ("grid-rne", times("value", 1.2), "standing"),
        ("grid-rne", times("value", 0.5), "above"),
        ("grid-rne", lambda d: d["value"].append(0.09) or d["value"].pop(-2), "constant"),
        ("grid-sr_eps-0.1", lambda d: d.update(value=[1.0] * 201), "reaches"),
        ("off-grid-float64", times("value", 1e6), "floor"),
        ("off-grid-sr", times("value", 2.2), "floor"),
        ("off-grid-rne", times("value", 0.1), "floor"),
        ("off-grid-sr_eps-0.1", times("value", 2), "below-sr_eps-0.25"),
        ("off-grid-sr_eps-0.25", times("value", 50), "below-sr_eps-0.1"),
        ("nonconvex-sr", times("bound", 1e-3), "bound"),
        ("logistic-rne", put(frozen=10), "frozen"),
        ("logistic-sr", put(saturated=1), "saturated"),
        ("logistic-sr_eps-0.1", times("value", 1.1), "loss"),
        ("logistic-float64", times("value", 1.01), "loss"),
        ("rosenbrock-rne", times("value", 0.99), "median"),
        ("himmelblau-rne", times("value", 1.1), "last"),
        ("himmelblau-sr", times("last", 1.0), ""),
        ("himmelblau-sr", lambda d: d.update(last=[0.0] * 40 + [1e-3] * 10), "arrived"),
        ("overflow-saturate", put(first=1), "first"),
        ("overflow-wrap", times("change", -1), "x"),
        ("overflow-wide", times("change", 0.5), "y"),
        ("overflow-wrap", put(all=799), "all"),
        ("overflow-wrap", times("value", 0.1), "last"),
        ("Q3.8-rne", times("value", 0.5), "loss"),
        ("Q3.8-rne", put(moving=0.01), "moving"),
        ("Q3.8-sr_eps-0.1", times("value", 2), "loss"),
        ("step-0.125", times("value", 1.5), "loss"),
    ],
)  # fmt: skip
def test_a_wrong_measurement_fails(
    plan: Plan, results: Results, key: str, change: Callable[[Draw], None], suffix: str
) -> None:
    found = fails(plan, altered(results, key, change))
    if not suffix:  # nothing was changed
        assert not found
        return
    assert [id for id in found if id.endswith(f"-{suffix}") and id.startswith(key.split("-")[0])]
    family = {setup.key for claim in plan.claims if claim.id in found for setup in claim.setups}
    assert key in family


def wrong_mode(**change: Any) -> Callable[..., Any]:
    true = _measure.gradient_descent

    def descend(*args: Any, roundings: Any = None, **options: Any) -> Any:
        roundings = {
            role: own and dict(own) | change if isinstance(own, dict) else own
            for role, own in (roundings or {}).items()
        }
        return true(*args, roundings=roundings, **options)

    return descend


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"mode": "rne"}, {"walk-8-8-sr-mean", "grid-sr-exact", "logistic-sr-loss",
                           "cases-sr-share-both", "himmelblau-sr-arrived"}),
        ({"mode": "sr_equal"}, {"walk-8-8-sr-mean", "cases-sr-share-both", "cases-sr-share-product",
                                "logistic-sr-loss"}),
        ({"eps": 0.2}, {"walk-16-10-sr_eps-0.4-mean", "logistic-sr_eps-0.1-loss",
                        "cases-sr_eps-0.4-share-both"}),
        ({"overflow": "saturate"}, {"overflow-wrap-x", "overflow-wrap-first"}),
    ],
)  # fmt: skip
def test_a_wrong_rounding_fails(
    monkeypatch: pytest.MonkeyPatch, plan: Plan, results: Results, change: Any, expected: set[str]
) -> None:
    monkeypatch.setattr(_measure, "gradient_descent", wrong_mode(**change))
    measured = {
        setup.key: setup
        for claim in plan.claims
        if claim.id in expected
        for setup in claim.setups
        if not setup.key.endswith("float64")
    }
    again = {key: [_units._plain(setup.measure(0))] for key, setup in measured.items()}
    assert fails(plan, dict(results) | again) >= expected


def test_a_run_repeats_bit_for_bit(plan: Plan, results: Results) -> None:
    with _units.one_blas_thread():
        for key in ("grid-sr", "himmelblau-sr_eps-0.1", "walk-8-8-sr", "Q3.8-sr_eps-0.1"):
            assert _units._plain(plan.setups()[key].measure(0)) == results[key][0]


# ---------------------------------------------------------------------------------------------
# Other arithmetic, figures


def choose(*given: Any) -> Choice:
    return LAB.choose("quick", 1, dict.fromkeys(LAB.roles, given))


def test_options_of_an_arithmetic() -> None:
    assert EXACT.options("Q3.8") == {}
    given = same_everywhere("sr_eps", 0.25).options("Q3.8", overflow="wrap")
    assert (given["fmt"], given["mode"], given["eps"], given["overflow"]) == (
        "Q3.8", "sr_eps", 0.25, "wrap",
    )  # fmt: skip
    assert given["roundings"]["gradient"] == {"fmt": "Q3.8", "mode": "sr_eps", "eps": 0.25}
    assert "mode" not in given["roundings"]["update"]
    chosen = LAB.choose("quick", 1, {"product": ("bfloat16", "ra"), "update": ("float16", "rz")})
    nearest, own = Study(chosen).arithmetics(0.1, exact=False)
    assert (nearest.name, own.name, own.applies) == ("rne", "ra", False)
    roles = own.options("Q3.8")["roundings"]
    assert [roles[role]["mode"] for role in LAB.roles] == ["sr", "ra", "rz"]
    assert roles["gradient"]["fmt"] == "Q3.8"
    assert own.format("Q3.8") == pysr.format("float16")


def test_other_arithmetic_is_measured_and_not_judged() -> None:
    rows = labs.run("biased-descent", rows=["cases-*", "grid-*", "himmelblau-*"], quick=True,
                    seeds=1,
                    arithmetic=dict.fromkeys(LAB.roles, ("bfloat16", "sr_eps", 0.2)))  # fmt: skip
    verdicts = {row.id: row.verdict for row in rows}
    assert verdicts.pop("himmelblau-float64-last") == "holds"
    assert {"cases-sr_eps-0.2-share-both", "grid-sr_eps-0.2-below-rne"} < set(verdicts)
    assert set(verdicts.values()) == {"not applicable"}


def filled(plan: Plan, results: Results) -> dict[str, Any]:
    """What was not measured, as something like it was."""
    like = {"Q3.8": "Q3.8-sr_eps-0.1", "Q3.10": "Q3.8-rne", "step": "step-0.125",
            "walk": "walk-64-64-sr_eps-0.5", "rosenbrock": "himmelblau-sr",
            "nonconvex": "nonconvex-sr"}  # fmt: skip
    return {
        key: results[key] if key in results else results[like[key.split("-")[0]]]
        for figure in plan.figures
        for key in (setup.key for setup in figure.setups)
    }


def test_figures(whole: Plan, results: Results) -> None:
    pytest.importorskip("matplotlib")
    found = filled(whole, results)
    assert [figure.name for figure in whole.figures] == [
        "loss", "ways", "absorption", "cases", "speed",
    ]  # fmt: skip
    for figure in whole.figures:
        drawn = figure.draw({setup.key: found[setup.key] for setup in figure.setups})
        labels = {
            text.get_text()
            for axes in drawn.axes
            if axes.get_legend()
            for text in axes.get_legend().get_texts()
        }
        assert any("to nearest" in text for text in labels), figure.name
        assert any("float64" in text for text in labels) or figure.name == "cases"
        if figure.name in ("loss", "ways"):
            assert {"to nearest", "SR", "SR$_{0.1}$", "float64"} <= labels


@pytest.mark.parametrize("given", [("Q2.4", "sr"), ("bfloat16", "sr_eps", 0.3), (None, "rne")])
def test_figures_of_other_arithmetic(given: Any) -> None:
    pytest.importorskip("matplotlib")
    choice = choose(*given)
    found = LAB.plan(choice)
    assert [figure.name for figure in found.figures] == ["loss", "ways", "cases", "speed"]
    figure = next(figure for figure in found.figures if figure.name == "cases")
    kept = _units.Kept(None, LAB.name, b"", choice, False)
    assert len(figure.draw(_units.measure(figure.setups, kept)).axes) == 2


@pytest.mark.parametrize("fmt", ["Q1.3", "UQ2.4", "float8_e4m3fn"])
def test_narrow_formats_begin_within_their_range(fmt: str) -> None:
    rows = labs.run("biased-descent", rows=["overflow-*", "nonconvex-*", "walk-*"], quick=True,
                    seeds=1, arithmetic=dict.fromkeys(LAB.roles, fmt))  # fmt: skip
    assert {row.verdict for row in rows if "float64" not in row.id} == {"not applicable"}
