"""The frame of the labs: verdicts, selected rows, resumed runs, what is written."""

from __future__ import annotations

import csv
import dataclasses
import doctest
import html.parser
import importlib
import io
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lab_model import Counter, lab, register

import pysr
from pysr import labs
from pysr.cli import main
from pysr.labs import _figures, _units
from pysr.labs._frame import Choice, Claim, Figure, Plan, Role, Rounding, Setup, stream
from pysr.labs._report import Report, Row

KIND: dict[str, Any] = {"seeds": (0, 1), "judged": "mean", "provenance": "derived"}


def row(values: list[float], relation: Any = "=", **changes: Any) -> Row:
    options = KIND | changes
    return Row.judge("r", "x", "y", values, relation, 1.0, 0.05, **options)


# ---------------------------------------------------------------------------------------------
# Verdicts


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
    made = row(values, relation, judged=judged)
    assert made.verdict == verdict
    assert made.values == tuple(values) or math.isnan(values[0])


@pytest.mark.parametrize(
    ("relation", "possible", "verdict"),
    [
        ("<=", (0.0, 1.05), "vacuous"),  # at most 1.05, of what is never above it
        ("<=", (0.0, 1.06), "fails"),
        (">=", (0.95, 9.0), "vacuous"),
        (">=", (0.94, 9.0), "holds"),
        ("=", (0.96, 1.04), "vacuous"),
        ("=", (0.96, 2.0), "fails"),
        ("=", (0.0, 1.04), "fails"),
    ],
)
def test_what_nothing_possible_contradicts_is_vacuous(
    relation: Any, possible: tuple[float, float], verdict: str
) -> None:
    assert row([2.0], relation, possible=possible).verdict == verdict
    assert row([2.0], relation, possible=possible, applies=False).verdict == "not applicable"


def test_a_row_keeps_everything() -> None:
    made = row([1.0, 2.0, 6.0], provenance="recalled")
    assert (made.measurement, made.spread, made.verdict) == (3.0, (1.0, 6.0), "fails")
    assert (made.provenance, made.seeds) == ("recalled", (0, 1))
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.verdict = "fails"  # type: ignore[misc]
    with pytest.raises(ValueError, match="no value was measured for 'r'"):
        row([])


def test_tolerances_of_means_widen_with_the_standard_error() -> None:
    counter = Counter()
    results = {"a": [{"x": 2.9}] * 10}
    for seeds, stated, tolerance in ((4, 16, 1.0), (16, 16, 0.5), (20, 16, 0.5), (4, None, 0.5)):
        setup = counter.setup("a", 0.0, tuple(range(seeds)))
        made = counter.claim("a", setup, stated=stated).judge(results, True)
        assert made.tolerance == tolerance
        assert made.verdict == ("holds" if tolerance == 1 else "fails")


def test_expectations_may_be_measured_too() -> None:
    setup = Counter().setup("a", 1.0)
    claim = Claim("a", "x", (setup,), lambda draws: [d["x"] for d in draws], ">=",
                  lambda draws: min(d["x"] for d in draws), possible=(0.0, math.inf))  # fmt: skip
    assert claim.judge({"a": [{"x": 0.0}, {"x": 3.0}]}, True).verdict == "vacuous"
    assert claim.judge({"a": [{"x": 1.0}, {"x": 3.0}]}, True).verdict == "holds"


# ---------------------------------------------------------------------------------------------
# A model lab


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Counter:
    """Three set-ups; a row that fails, one that is vacuous, one for any arithmetic; a figure."""
    made = Counter()

    def draw(results: Any) -> Any:
        figure, ((axes,),) = _figures.drawing(4, 3)
        axes.plot([part["x"] for part in results["a"]])
        _figures.title(axes, "a", "b")
        return figure

    def plan(choice: Choice) -> Plan:
        seeds = choice.range(3, quick=1, full=4)
        a, b, c = (made.setup(key, value, seeds) for key, value in
                   (("a", 1.0), ("b", 0.0), ("c", 7.0)))  # fmt: skip
        claims = (
            made.claim("a-mean", a),
            made.claim("a-any", a, applies=True),
            made.claim("b-fails", b, expectation=9.0),
            made.claim("b-nothing", b, possible=(1.9, 2.1)),
            Claim("a-b", "x of both", (a, b),
                  lambda x, y: [p["x"] - q["x"] for p, q in zip(x, y, strict=True)], "=", 1.0),
        )  # fmt: skip
        return Plan(
            claims,
            (Figure("of-a", "What a <is>", (a,), draw), Figure("of-c", "c", (c,), draw)),
            ("a note & more",),
            lambda results: [f"{len(results)} set-ups"],
        )

    register(monkeypatch, lab(plan))
    return made


def test_every_row(counter: Counter) -> None:
    rows = labs.run("model")
    assert [(r.id, r.verdict) for r in rows] == [
        ("a-mean", "holds"), ("a-any", "holds"), ("b-fails", "fails"), ("b-nothing", "vacuous"),
        ("a-b", "holds"),
    ]  # fmt: skip
    assert [r.seeds for r in rows] == [(0, 1, 2)] * 5
    assert rows[0].values == (1.0, 2.0, 3.0)
    assert counter.measured == [(key, seed) for key in "abc" for seed in range(3)]


@pytest.mark.parametrize(
    ("patterns", "ids", "measured"),
    [
        ("a-mean", ["a-mean"], "a"),
        (["b-*"], ["b-fails", "b-nothing"], "b"),
        (["b-f*", "a-m[e]an", "a-mean"], ["a-mean", "b-fails"], "ab"),
        ("a-b", ["a-b"], "ab"),
        ("*", ["a-mean", "a-any", "b-fails", "b-nothing", "a-b"], "ab"),
    ],
)
def test_only_what_rows_need_is_measured(
    counter: Counter, patterns: Any, ids: list[str], measured: str
) -> None:
    assert [r.id for r in labs.run("model", rows=patterns)] == ids
    assert counter.measured == [(key, seed) for key in measured for seed in range(3)]


def test_only_figures_of_what_is_measured_are_drawn(counter: Counter, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    report = labs.report("model", rows="a-*n", out=tmp_path / "new" / "directory")
    assert [shown.path.name for shown in report.figures] == ["model-of-a.png"]
    assert report.figures[0].path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert labs.report("model", rows="b-*", out=tmp_path / "b").figures == ()
    assert report.notes == ("a note & more", "1 set-ups")


def test_unknown_rows_are_named(counter: Counter) -> None:
    message = r"no row matches 'c\*'; there is: a-mean, a-any, b-fails, .*\(a note & more\)"
    with pytest.raises(ValueError, match=message):
        labs.run("model", rows=["a-b", "c*"])
    assert counter.measured == []


def test_sizes_and_seeds(counter: Counter) -> None:
    assert labs.run("model", quick=True)[0].seeds == (0,)
    assert labs.run("model", full=True)[0].seeds == (0, 1, 2, 3)
    assert labs.run("model", seeds=2, full=True)[0].seeds == (0, 1)
    assert labs.run("model", seeds=[7, 5], quick=True)[0].seeds == (7, 5)
    assert labs.run("model", seeds=np.arange(2))[0].seeds == (0, 1)
    counter.measured.clear()
    bad: list[tuple[Any, str]] = [
        (0, "at least one"), ([], "at least one"), ([-1], "-1"), ([2**64], str(2**64)),
        ([1, 2, 1], "twice"),
    ]  # fmt: skip
    for seeds, message in bad:
        with pytest.raises(ValueError, match=message):
            labs.run("model", seeds=seeds)
    for seeds in (1.5, ["a"]):
        with pytest.raises(TypeError):
            labs.run("model", seeds=seeds)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="full and quick exclude each other"):
        labs.run("model", quick=True, full=True)
    with pytest.raises(ValueError, match="resume needs out"):
        labs.run("model", resume=True)
    with pytest.raises(ValueError, match="html needs out"):
        labs.report("model", html=True)
    assert counter.measured == []


@pytest.mark.usefixtures("counter")
def test_other_arithmetic_is_measured_and_not_judged() -> None:
    verdicts = [r.verdict for r in labs.run("model", arithmetic={"sums": (None, "sr")})]
    assert verdicts == ["not applicable", "holds"] + ["not applicable"] * 3
    for same in ({"rounding": (None, "sr")}, {"sums": (None, None, 0)}, {}):
        assert labs.run("model", arithmetic=same)[0].verdict == "holds"
    report = labs.report("model", arithmetic={"rounding": ("Q1.8", "sr_eps", 0.25)})
    assert report.arithmetic == "rounding: Q1.8 sr_eps eps=0.25, sums: own formats rne"
    report = labs.report("model", arithmetic={"rounding": pysr.format("bfloat16")})
    assert report.arithmetic == "rounding: bfloat16 sr, sums: own formats rne"


@pytest.mark.parametrize(
    ("arithmetic", "message"),
    [
        ({"products": ("bfloat16", "sr")}, "role 'products'; model has: 'rounding', 'sums'"),
        ({"rounding": "bfloat17"}, r"arithmetic\['rounding'\]: fmt='bfloat17'"),
        ({"rounding": (None, "up")}, r"arithmetic\['rounding'\]: mode='up' is not one of"),
        ({"sums": ("bfloat16", "sr_eps", 2)}, r"arithmetic\['sums'\]: eps=2 is outside"),
        ({"rounding": (None, "sr_signed", 0.5)}, "needs a direction, which a lab does not have"),
        ({"rounding": ()}, r"=\(\) is not \(format, mode, eps\)"),
        ({"rounding": ("bfloat16", "sr", 0, 0)}, r"is not \(format, mode, eps\)"),
    ],
)
def test_bad_arithmetic_is_named(counter: Counter, arithmetic: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        labs.run("model", arithmetic=arithmetic)
    assert counter.measured == []


def test_a_role_may_need_floating_point() -> None:
    role = Role("", Rounding(), floating=True)
    assert role.take("r", ("float16", "rne")).name == "float16"
    with pytest.raises(ValueError, match=r"arithmetic\['r'\]: 'Q1.8' is not floating point"):
        role.take("r", "Q1.8")


def test_unknown_lab() -> None:
    with pytest.raises(ValueError, match=r"unknown lab 'short-fat'; there is: biased-.*, tall"):
        labs.run("short-fat")
    assert labs.names() == ("biased-descent", "deep-factorization", "rounded-qr", "tall-thin")
    for name in labs.names():
        assert labs.summary(name)
        assert list(labs.roles(name)) == list(labs._lab(name).roles)


def test_the_lab_in_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[1] / "docs" / "labs.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    runner = doctest.DocTestRunner()
    test = doctest.DocTestParser().get_doctest(text, names, "labs.md", "labs.md", 0)
    runner.run(test, clear_globs=False)
    assert (runner.failures, runner.tries > 4) == (0, True)
    register(monkeypatch, test.globs["LAB"])
    (row,) = labs.run("thirds")
    assert (row.id, row.verdict, len(row.values)) == ("thirds-mean", "holds", 20)
    assert labs.run("thirds", arithmetic={"rounding": (None, "rne")})[0].measurement == 0


def test_a_plan_is_checked() -> None:
    counter = Counter()
    a, other = counter.setup("a", 0.0), counter.setup("a", 1.0)
    with pytest.raises(ValueError, match="two rows have the id 'x'"):
        Plan((counter.claim("x", a), counter.claim("x", a)))
    with pytest.raises(ValueError, match="two set-ups have the key 'a'"):
        Plan((counter.claim("x", a), counter.claim("y", other)))
    with pytest.raises(ValueError, match="two set-ups have the key 'a'"):
        Plan((counter.claim("x", a),), (Figure("f", "", (other,), print),))


def test_streams_are_apart() -> None:
    names = [("a",), ("b",), ("a", "b"), ("ab",), ("a", 1), ("a", 10), ("a1",)]
    streams = {stream(*parts) for parts in names}
    assert len(streams) == len(names)
    assert all(0 <= number < 1 << 48 for number in streams)
    assert stream("a") == stream("a")


# ---------------------------------------------------------------------------------------------
# Resumed runs


@pytest.mark.parametrize("stop_after", [0, 1, 4, 8, 9])
def test_an_interrupted_run_goes_on(counter: Counter, tmp_path: Path, stop_after: int) -> None:
    whole = labs.report("model")
    counter.measured.clear()
    counter.stop_after = stop_after
    if stop_after < 9:
        with pytest.raises(KeyboardInterrupt):
            labs.run("model", out=tmp_path)
    else:
        labs.run("model", out=tmp_path)
    done = list(counter.measured)
    assert len(done) == stop_after
    counter.stop_after = None
    counter.measured.clear()
    resumed = labs.report("model", out=tmp_path, resume=True)
    assert done + counter.measured == [(key, seed) for key in "abc" for seed in range(3)]
    same = dataclasses.replace(resumed, figures=(), command=whole.command)
    assert same.as_json() == whole.as_json()
    assert resumed.as_csv() == whole.as_csv()


def test_results_are_of_what_was_chosen(counter: Counter, tmp_path: Path) -> None:
    def measured(**options: Any) -> int:
        counter.measured.clear()
        labs.run("model", rows="a-mean", out=tmp_path, **options)
        return len(counter.measured)

    assert measured() == 3
    assert measured(resume=True) == 0
    assert measured(resume=True, seeds=5) == 2
    assert measured(resume=True, quick=True) == 1
    assert measured(resume=True, arithmetic={"rounding": "Q1.3"}) == 3
    assert measured(resume=True, arithmetic={"rounding": ("Q1.3", "rz")}) == 3
    assert measured(resume=True, seeds=5) == 0
    assert measured() == 3  # afresh, and what was there is gone
    assert measured(resume=True, seeds=5) == 2


def test_results_of_other_versions_are_not_used(
    counter: Counter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labs.run("model", rows="a-mean", out=tmp_path)
    file = tmp_path / "model.results.json"
    content = json.loads(file.read_text())
    for key in ("lab", "version", "numpy", "source"):
        other = content | {"head": content["head"] | {key: "other"}}
        file.write_text(json.dumps(other))
        counter.measured.clear()
        labs.run("model", rows="a-mean", out=tmp_path, resume=True)
        assert len(counter.measured) == 3, key
    file.write_text('{"head": 1')
    with pytest.raises(ValueError, match=r"model.results.json: not a file of results; remove it"):
        labs.run("model", out=tmp_path, resume=True)


def test_results_are_written_now_and_then(
    counter: Counter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saves: list[int] = []
    true = _units.Kept.save

    def save(self: Any) -> None:
        saves.append(len(self.results))
        true(self)

    monkeypatch.setattr(_units.Kept, "save", save)
    labs.run("model", rows="a-mean", out=tmp_path)
    assert saves[0] == 1
    assert saves[-1] == 3
    monkeypatch.setattr(_units, "PAUSE", 1e9)
    saves.clear()
    labs.run("model", out=tmp_path)
    assert saves == [1, 9]


def test_measurements_are_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    def plan(choice: Choice) -> Plan:
        draw = {"a": np.arange(2.0), "b": (np.float64(0.1), np.int64(3)), "c": {1: np.bool_(True)}}
        setup = Setup("s", "s", (0,), lambda seed: dict(draw))
        claim = Claim("r", "r", (setup,), lambda draws: [draws[0]["b"][0]], "=", 0.1)
        return Plan((claim,))

    register(monkeypatch, lab(plan))
    draws = labs.report("model").series["s"]["draws"]
    assert json.dumps(draws) == '[{"a": [0.0, 1.0], "b": [0.1, 3], "c": {"1": true}}]'
    with pytest.raises(TypeError, match="a set-up measured a complex"):
        _units._plain([1j])


SLOW = """
import sys, time
sys.path.insert(0, {tests!r})
import lab_model
from pysr import labs
from pysr.cli import main
from pysr.labs._frame import Plan

counter = lab_model.Counter()

def plan(choice):
    setup = counter.setup("a", 0.5, choice.range(40))
    quick = setup.measure
    def measure(seed):
        time.sleep({pause})
        return quick(seed)
    object.__setattr__(setup, "measure", measure)
    return Plan((counter.claim("a-mean", setup, expectation=20.0),))

module = sys.modules["slow_lab"] = type(sys)("slow_lab")
module.__file__, module.LAB = lab_model.__file__, lab_model.lab(plan)
labs._MODULES = {{"model": "slow_lab"}}
status = main(sys.argv[1:])
print(len(counter.measured), "measured", file=sys.stderr)
sys.exit(status)
"""


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_after_a_signal_the_command_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    def command(pause: float, *options: str) -> list[str]:
        script = SLOW.format(tests=str(Path(__file__).parent), pause=pause)
        line = [sys.executable, "-c", script, "lab", "model", "--out", str(tmp_path / "out")]
        return [*line, "--json", str(tmp_path / "rows.json"), *options]

    whole = subprocess.run(command(0), capture_output=True, text=True, timeout=60, check=True)
    assert "40 measured" in whole.stderr
    expected = (tmp_path / "rows.json").read_bytes()
    (tmp_path / "rows.json").unlink()
    results = tmp_path / "out" / "model.results.json"
    results.unlink()
    with subprocess.Popen(command(0.05), stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not results.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(number)
        _, complaint = process.communicate(timeout=60)
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    if number != signal.SIGKILL:
        assert complaint.startswith(f"pysr: stopped by {number.name}\n")
    assert not (tmp_path / "rows.json").exists()
    done = len(json.loads(results.read_text())["results"])
    assert 1 <= done < 40
    resumed = subprocess.run(
        command(0, "--resume"), capture_output=True, text=True, timeout=60, check=True
    )
    assert f"{40 - done} measured" in resumed.stderr
    assert (tmp_path / "rows.json").read_bytes() == expected
    assert resumed.stdout == whole.stdout


# ---------------------------------------------------------------------------------------------
# What is written


def test_table() -> None:
    rows = (
        Row.judge("c-r", "ratio", "a coin", [0.5, 1.5], "=", 1.0, 0.05, **KIND),
        Row.judge("c-n", "nothing", "a coin", [1e-15], "<=", 0.0, 1e-12, **KIND),
        Row.judge("d", "much", "a die", [12345.6], ">=", 20000.0, 0.0, **KIND),
    )
    assert labs.table(rows).splitlines() == [
        "           expected         mean    least     most  judged  from     verdict  row",
        "a coin",
        "  ratio    1 +- 0.05       1.000   0.5000    1.500  mean 2  derived  holds    c-r",
        "  nothing  <= 0 + 1e-12  1.0e-15  1.0e-15  1.0e-15  mean 1  derived  holds    c-n",
        "a die",
        "  much     >= 20000      1.2e+04  1.2e+04  1.2e+04  mean 1  derived  fails    d",
    ]
    report = Report("coin", rows, ("one note",), (), Path("x.html"), "", "", {}, {}, {})
    assert str(report).endswith("\n\n3 rows: 2 hold, 1 fail\nnote: one note\npage: x.html")


def test_counts() -> None:
    def counts(*verdicts: Any) -> str:
        rows = tuple(dataclasses.replace(row([1.0]), verdict=verdict) for verdict in verdicts)
        return Report("", rows, (), (), None, "", "", {}, {}, {}).counts()

    assert counts("holds", "holds") == "2 rows: 2 hold, 0 fail"
    assert counts("fails", "vacuous", "not applicable", "vacuous") == (
        "4 rows: 0 hold, 1 fail, 2 vacuous, 1 not applicable"
    )


@pytest.mark.usefixtures("counter")
def test_json_has_every_seed() -> None:
    content = json.loads(labs.report("model").as_json())
    assert content["lab"] == "model"
    assert content["verdict"] == "fails"
    assert content["command"] == "pysr lab model"
    assert content["arithmetic"] == "rounding: own formats sr, sums: own formats rne"
    assert set(content["machine"]) == {"CPU", "cores", "path", "system"}
    assert content["versions"]["pysr"] == pysr.__version__
    assert set(content["versions"]) == {"pysr", "NumPy", "SciPy", "Python", "BLAS"}
    assert content["rows"][0]["values"] == [1.0, 2.0, 3.0]
    assert content["rows"][0]["seeds"] == [0, 1, 2]
    assert content["series"]["a"]["label"] == "set-up a"
    assert content["series"]["a"]["draws"][2] == {"x": 3.0, "series": [1.0, 1 / 3, 2]}


def test_json_is_strict() -> None:
    bad = row([math.nan, math.inf])
    text = Report("lab", (bad,), (), (), None, "", "", {}, {}, {"a": [math.nan]}).as_json()
    content = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert content["verdict"] == "fails"
    assert content["rows"][0]["values"] == [None, None]
    assert content["series"] == {"a": [None]}


@pytest.mark.usefixtures("counter")
def test_csv() -> None:
    lines = list(csv.DictReader(io.StringIO(labs.report("model").as_csv())))
    assert [line["id"] for line in lines] == ["a-mean", "a-any", "b-fails", "b-nothing", "a-b"]
    first = lines[0]
    assert first["verdict"] == "holds"
    assert [float(x) for x in first["values"].split()] == [1.0, 2.0, 3.0]
    assert first["seeds"] == "0 1 2"
    assert (float(first["mean"]), float(first["least"]), float(first["most"])) == (2.0, 1.0, 3.0)


class Outline(html.parser.HTMLParser):
    """Tags with their attributes, text, and whether every tag is closed in its turn."""

    VOID = ("meta", "img", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_page(counter: Counter, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    labs.run("model", out=tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["model-of-a.png", "model-of-c.png", "model.html", "model.results.json"]
    text = (tmp_path / "model.html").read_text(encoding="utf-8")
    page = Outline(text)
    assert page.open == []
    assert page.of("html") == [{"lang": "en"}]
    assert {"charset": "utf-8"} in page.of("meta")
    assert any(meta.get("name") == "viewport" for meta in page.of("meta"))
    assert not page.of("script")
    assert not page.of("link")
    for word in ("http:", "https:", "//", "@import", "url("):
        assert word not in re.sub(r"base64,[^\"]*", "", text), word
    assert all(value.startswith("data:image/png;base64,") for image in page.of("img")
               if (value := image["src"] or ""))  # fmt: skip
    assert [image["alt"] for image in page.of("img")] == ["What a <is>", "c"]
    scopes = [head["scope"] for head in page.of("th")]
    assert scopes.count("row") == 5
    assert scopes.count("rowgroup") == 3
    assert scopes.count("col") == len(scopes) - 8
    for word in ("A model <lab>", "What it is & does.", "5 rows: 3 hold, 1 fail, 1 vacuous",
                 "a note & more", "3 set-ups", "Claims not attempted", "Something.", "Because.",
                 f"pysr lab model --html --out {tmp_path}", pysr.__version__, np.__version__,
                 time.strftime("%Y-"), "own formats sr", "prefers-color-scheme: dark",
                 "✓ holds", "✗ fails", "○ vacuous", "2 ± 0.5", "b-nothing"):  # fmt: skip
        assert word in page.text, word


@pytest.mark.parametrize(
    ("options", "command"),
    [
        ({}, "pysr lab model"),
        ({"quick": True, "seeds": 4}, "pysr lab model --quick --seeds 4"),
        ({"full": True, "rows": ["a-*", "b-fails"]},
         "pysr lab model --full --row 'a-*' --row b-fails"),
        ({"seeds": [3, 1]}, "pysr.labs.run('model', seeds=[3, 1])"),
        ({"arithmetic": dict.fromkeys(("rounding", "sums"), ("Q1.8", "sr_eps", 0.5))},
         "pysr lab model --to Q1.8 --mode sr_eps --eps 0.5"),
        ({"arithmetic": {"rounding": "Q1.8"}},
         "pysr.labs.run('model', arithmetic={'rounding': ('Q1.8', 'sr', 0.0), "
         "'sums': (None, 'rne', 0.0)})"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("counter")
def test_the_command_that_repeats_it(options: dict[str, Any], command: str) -> None:
    assert labs.report("model", **options).command == command
    if command.startswith("pysr.labs"):
        eval(command, {"pysr": pysr})


def hide(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    true = importlib.import_module

    def without(name: str, *args: Any) -> Any:
        if name.split(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {name!r}")
        return true(name, *args)

    monkeypatch.setattr(importlib, "import_module", without)


@pytest.mark.usefixtures("counter")
def test_missing_matplotlib_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hide(monkeypatch, "matplotlib")
    report = labs.report("model", out=tmp_path, html=True)
    assert report.figures == ()
    assert report.notes[-1] == 'every figure needs matplotlib: pip install "srcore[labs]"'
    assert len(report.rows) == 5
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.html", "model.results.json"]
    assert not Outline((tmp_path / "model.html").read_text(encoding="utf-8")).of("img")


def test_figures_have_no_global_state(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    before = "matplotlib.pyplot" in sys.modules
    figure, _ = _figures.drawing(4, 3, 1, 2)
    path = _figures.save(figure, tmp_path / "a.png")
    width, height = (int.from_bytes(path.read_bytes()[at : at + 4], "big") for at in (16, 20))
    assert (width, height) == (640, 480)
    assert ("matplotlib.pyplot" in sys.modules) is before


# ---------------------------------------------------------------------------------------------
# The command


def test_command(counter: Counter, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["lab", "model", "--out", str(tmp_path), "--row", "a-mean", "--row", "b-no*"]
    line += ["--json", str(tmp_path / "rows.json"), "--csv", str(tmp_path / "rows.csv"), "--html"]
    assert main(line) == 0
    captured = capsys.readouterr()
    assert "\n2 rows: 1 hold, 0 fail, 1 vacuous\n" in captured.out
    assert captured.out.endswith(f"page: {tmp_path / 'model.html'}\n")
    assert captured.err == ""  # no terminal, no progress
    content = json.loads((tmp_path / "rows.json").read_text())
    assert [r["id"] for r in content["rows"]] == ["a-mean", "b-nothing"]
    assert (tmp_path / "rows.csv").read_text().count("\n") == 3
    assert {key for key, _ in counter.measured} == {"a", "b"}


@pytest.mark.usefixtures("counter")
def test_exit_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["lab", "model", "--out", str(tmp_path)]
    assert main(line) == 1
    assert main([*line, "--row", "a-*"]) == 0
    assert main([*line, "--row", "b-nothing"]) == 0
    assert main([*line, "--to", "Q1.3", "--mode", "rz"]) == 0  # what does not apply cannot fail
    assert "1 hold, 0 fail, 4 not applicable" in capsys.readouterr().out
    for bad, message in (
        (["--row", "zz"], "no row matches 'zz'"),
        (["--to", "Q1.999"], "arithmetic['rounding']: "),
        (["--quick", "--full"], "not allowed with"),
        (["--mode", "up"], "argument --mode"),
        (["--eps", "2"], "eps=2.0 is outside [0, 1]"),
        (["--seeds", "0"], "--seeds"),
    ):
        assert main([*line, *bad]) == 2
        error = capsys.readouterr().err
        assert error.startswith("pysr: error: ")
        assert message in error
        assert error.count("\n") == 1
    (tmp_path / "file").write_text("")
    assert main(["lab", "model", "--out", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err == f"pysr: error: {tmp_path / 'file'}: File exists\n"


def test_progress(counter: Counter) -> None:
    seen: list[tuple[int, int]] = []
    labs.report("model", rows="a-b", progress=lambda *at: seen.append(at))
    assert seen == [(k, 6) for k in range(6)]
