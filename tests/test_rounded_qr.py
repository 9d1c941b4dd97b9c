"""The lab rounded-qr: what it measures, verdicts that can fail, its figure."""

from __future__ import annotations

import dataclasses
import importlib
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
from pysr.cli import main
from pysr.labs import rounded_qr
from pysr.labs.rounded_qr import Factorization, Found, Solution
from pysr.linalg import theory

NOTES: list[str] = []
OTHER = {"rne": "sr", "sr": "rne"}


@pytest.fixture(scope="module")
def found() -> Found:
    with labs._one_blas_thread():
        return rounded_qr.measure(None, True, NOTES)


def failing(found: Found) -> list[str]:
    return [f"{row.name}, {row.setup}" for row in rounded_qr.rows(found) if row.verdict == "fails"]


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
                assert rounded_qr._deviation(term, n, fmt) == pytest.approx(expected, rel=1e-12)


def test_every_verdict_holds(found: Found) -> None:
    rows = rounded_qr.rows(found)
    assert [row for row in rows if row.verdict != "holds"] == []
    assert len(rows) == 96
    assert len({(row.name, row.setup) for row in rows}) == len(rows)
    assert {row.provenance for row in rows} == {"paper", "derived"}


def test_what_is_measured_is_what_the_labels_say(found: Found) -> None:
    m, n = found.shape
    number = 1
    for f in found.factorizations:
        if f.fmt == "binary64":
            continue
        number += 1
        if (f.method, f.kappa) not in (("mgs", 10.0), ("householder", 1e6), ("cholesky", 1e4)):
            continue
        a = np.asarray(pysr.round(rounded_qr.matrix(m, n, f.kappa, f.seed), f.fmt, "rne"))
        a = a.astype(np.float32)
        arithmetic = pysr.Arithmetic(f.fmt, f.mode, rng=pysr.Philox(f.seed, stream=number))
        if f.breakdown:
            with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
                linalg.qr(a, arithmetic, method=f.method)
            assert "not positive definite" in f.breakdown
            assert math.isnan(f.loss)
            continue
        q, r = linalg.qr(a, arithmetic, method=f.method)
        a, q, r = (np.asarray(x, np.float64) for x in (a, q, r))
        sigma = np.linalg.svd(q)[1]
        assert f.loss == pytest.approx(np.max(np.abs(sigma**2 - 1)), rel=1e-4)
        assert f.error == pytest.approx(np.linalg.norm(a - q @ r, 2) / np.linalg.norm(a, 2))
    largest = {fmt: max(f.kappa for f in found.factorizations if f.fmt == fmt) for fmt in
               ("float16", "bfloat16", "binary32")}  # fmt: skip
    for fmt, kappa in largest.items():
        assert 1 / 12 <= kappa * theory.unit_roundoff(fmt) <= 1
    for s in found.sums:
        assert s.errors.shape == (256, len(s.lengths))
        assert len(s.predicted) == len(s.lengths)


def test_plans_reach_as_far_as_they_say() -> None:
    for fmt, (_, kappas) in rounded_qr.PLANS.items():
        assert kappas[0] == 1
        assert 1 / 12 <= kappas[-1] * theory.unit_roundoff(fmt) <= 1
    assert set(rounded_qr.QUICK_PLANS) <= set(rounded_qr.PLANS)


def test_tables(found: Found) -> None:
    assert len(NOTES) == 8
    lu = next(note for note in NOTES if note.startswith("LU-IR, corrections, float16 sr: "))
    cells = dict(cell.split(" ", 1) for cell in lu.partition(": ")[2].split(", "))
    assert list(cells) == [f"1e{k}" for k in range(9)]
    assert cells["1e0"].isdigit()
    assert cells["1e7"] in ("diverged", "stagnated", "iterations")
    for s in found.solutions:
        if (s.fmt, s.mode, s.method, s.kappa) == ("float16", "sr", "lu", 100.0):
            assert cells["1e2"] == str(s.corrections)


# ---------------------------------------------------------------------------------------------
# Wrong measurements


def swap(found: Found, method: str, other: str, formats: tuple[str, ...] = ()) -> Found:
    """Take the results of another algorithm for those of one."""
    results = {(f.fmt, f.mode, f.method, f.kappa, f.seed): f for f in found.factorizations}

    def taken(f: Factorization) -> Factorization:
        if f.method != method or f.fmt == "binary64" or (formats and f.fmt not in formats):
            return f
        return dataclasses.replace(results[f.fmt, f.mode, other, f.kappa, f.seed], method=method)

    return dataclasses.replace(found, factorizations=tuple(map(taken, found.factorizations)))


@pytest.mark.parametrize(
    ("method", "other", "name", "count"),
    [
        ("householder", "mgs", "Householder: loss over that at kappa = 1", 6),
        ("householder", "mgs", "MGS's loss over Householder's at kappa = 1/u", 4),
        ("mgs", "householder", "MGS: exponent of kappa in the loss", 2),
        ("mgs", "householder", "MGS's loss over Householder's at kappa = 1/u", 4),
        ("mgs", "cgs", "CGS's loss over MGS's at the worst kappa", 4),
        ("cgs", "mgs", "CGS's loss over MGS's at the worst kappa", 4),
        ("cgs", "mgs", "CGS: exponent of kappa in the loss", 2),
        ("cgs2", "cgs", "CGS2: loss over that at kappa = 1, kappa below 0.03/u", 4),
        ("cholesky", "mgs", "Cholesky breaks down and says so, kappa above 4 u^-1/2", 6),
        ("cholesky", "mgs", "Cholesky: exponent of kappa in the loss", 2),
    ],
)
def test_one_algorithm_for_another_fails(
    found: Found, method: str, other: str, name: str, count: int
) -> None:
    rows = rounded_qr.rows(swap(found, method, other))
    fails = [row for row in rows if row.name == name and row.verdict == "fails"]
    assert len(fails) >= count - 2 * (name.startswith("CGS2"))
    assert fails


Change = Callable[[Found], Found]


def altered(change: Callable[[Any], Any], field: str) -> Change:
    def apply(found: Found) -> Found:
        return dataclasses.replace(found, **{field: tuple(map(change, getattr(found, field)))})

    return apply


def other_mode(x: Any) -> Any:
    return dataclasses.replace(x, mode=OTHER[x.mode])


def solution(**changes: Any) -> Callable[[Solution], Solution]:
    return lambda s: dataclasses.replace(s, **changes)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (altered(other_mode, "sums"), "exponent of n in the error, n u < 1/4"),
        (altered(lambda s: dataclasses.replace(s, errors=20 * s.errors), "sums"),
         "largest error / bound of 1 - 0.001"),
        (altered(lambda s: dataclasses.replace(s, predicted=1.25 * s.predicted), "sums"),
         "standard deviation / predicted, largest such n"),
        (altered(lambda x: (OTHER.get(x[0], x[0]), *x[1:]), "ones"),
         "rne: error - (1 - 2^8/n)"),
        (altered(lambda x: (*x[:3], x[3] + 1e-3), "ones"), "float64, the control: error"),
        (altered(lambda x: (*x[:3], 1.0), "ones"),
         "sr: error at the largest n, in predicted deviations"),
        (altered(lambda x: (*x[:3], 1.0), "dots"), "sr: error / bound of 1 - 0.001"),
        (altered(lambda x: (OTHER.get(x[0], x[0]), *x[1:]), "dots"),
         "rne's error over sr's, largest n, rms"),
        (altered(lambda x: (*x[:3], 30 * x[3]), "growth"), "sr: error / sqrt(mn) u"),
        (altered(lambda x: (*x[:3], x[3] * x[1] / 64), "growth"),
         "sr: exponent of m in the error"),
        (altered(lambda x: (OTHER.get(x[0], x[0]), *x[1:]), "growth"),
         "rne's error over sr's at the largest m"),
        (altered(solution(converged=False), "solutions"), "GMRES-IR converges, kappa up to 1e7"),
        (altered(solution(converged=False), "solutions"), "LU-IR converges, all kappa"),
        (altered(solution(converged=False), "solutions"), "LU-IR converges, kappa below 0.1/u_f"),
        (altered(solution(converged=True), "solutions"),
         "LU-IR fails and says so, kappa above 100/u_f"),
        (altered(solution(reason=""), "solutions"),
         "LU-IR fails and says so, kappa above 100/u_f"),
        (altered(solution(backward_error=1e-14), "solutions"),
         "LU-IR: backward error / n 2^-53, kappa below 0.1/u_f"),
        (altered(solution(backward_error=math.nan), "solutions"),
         "GMRES-IR: backward error / n 2^-53, kappa up to 1e7"),
        (altered(solution(corrections=30), "solutions"),
         "GMRES-IR: corrections, kappa up to 1e7"),
        (altered(lambda f: dataclasses.replace(f, loss=100 * f.loss), "factorizations"),
         "Householder: loss / sqrt(mn) u"),
        (altered(lambda f: dataclasses.replace(f, error=100 * f.error), "factorizations"),
         "Householder: error / sqrt(mn) u"),
        (altered(lambda f: dataclasses.replace(f, breakdown="broken"), "factorizations"),
         "Cholesky succeeds, kappa below 0.1 u^-1/2"),
        (altered(lambda f: dataclasses.replace(f, breakdown=f.breakdown[:3]), "factorizations"),
         "Cholesky breaks down and says so, kappa above 4 u^-1/2"),
    ],
)  # fmt: skip
def test_a_wrong_measurement_fails(found: Found, change: Change, expected: str) -> None:
    rows = [row for row in rounded_qr.rows(change(found)) if row.name == expected]
    assert rows
    assert "fails" in {row.verdict for row in rows}


def test_a_wrong_rounding_fails(monkeypatch: pytest.MonkeyPatch, found: Found) -> None:
    """Rounding up with probability 1/2 is seen by the sums."""
    true = pysr.Arithmetic

    def wrong(fmt: Any, mode: str = "sr", **keywords: Any) -> Any:
        return true(fmt, "sr_equal" if mode == "sr" else mode, **keywords)

    monkeypatch.setattr(pysr, "Arithmetic", wrong)
    sums = tuple(rounded_qr._sums(s.fmt, s.mode, s.seed, len(s.lengths) + 2) for s in found.sums)
    rows = rounded_qr.rows(dataclasses.replace(found, sums=sums))
    for name in ("exponent of n in the error, n u < 1/4",
                 "standard deviation / predicted, largest such n"):  # fmt: skip
        fails = [row.setup for row in rows if row.name == name and row.verdict == "fails"]
        assert len(fails) == 2
        assert all(setup.endswith("sr") for setup in fails)


def test_a_run_repeats_bit_for_bit(found: Found) -> None:
    with labs._one_blas_thread():
        again = rounded_qr._sums("float16", "sr", 0, 12)
        before = next(s for s in found.sums if (s.fmt, s.mode) == ("float16", "sr"))
        assert np.array_equal(again.errors, before.errors)
        assert list(rounded_qr._growth((0,), (64, 256))) == list(found.growth[:4])


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
# Figure and command


@pytest.fixture
def instant(monkeypatch: pytest.MonkeyPatch, found: Found) -> None:
    monkeypatch.setattr(rounded_qr, "measure", lambda seeds, quick, notes: found)


@pytest.mark.usefixtures("instant")
def test_figure(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    report = labs.report("rounded-qr", out=tmp_path)
    assert report.figure == tmp_path / "rounded-qr.png"
    png = report.figure.read_bytes()
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    assert (width, height) == (2560, 1600)
    assert len(png) > 100_000


@pytest.mark.usefixtures("instant")
def test_missing_matplotlib_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    true = importlib.import_module

    def without(name: str, *args: Any) -> Any:
        if name.split(".")[0] == "matplotlib":
            raise ModuleNotFoundError(name)
        return true(name, *args)

    monkeypatch.setattr(importlib, "import_module", without)
    report = labs.report("rounded-qr", out=tmp_path)
    assert report.figure is None
    assert report.notes == ('the figure needs matplotlib: pip install "srcore[labs]"',)


@pytest.mark.usefixtures("instant")
def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "rows.json"
    line = ["lab", "rounded-qr", "--quick", "--out", str(tmp_path), "--json", str(file)]
    assert main(line) == 0
    assert "96 rows: 96 hold, 0 fail\n" in capsys.readouterr().out
    assert json.loads(file.read_text())["verdict"] == "holds"


def test_the_command_says_when_it_fails(
    monkeypatch: pytest.MonkeyPatch, found: Found, capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:  # fmt: skip
    wrong = swap(found, "mgs", "householder")
    monkeypatch.setattr(rounded_qr, "measure", lambda seeds, quick, notes: wrong)
    assert main(["lab", "rounded-qr", "--out", str(tmp_path)]) == 1
    assert f"{len(failing(wrong))} fail\n" in capsys.readouterr().out
