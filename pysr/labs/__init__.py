"""Experiments that show what stochastic rounding does.

A lab measures what a paper, or a prediction derived from it, says will happen, and judges each
measurement against it: `run` gives the rows of its table, `report` the rows with notes, figures and
everything that was measured, and ``pysr lab NAME`` prints them. docs/labs.md says what the verdicts
mean and how a lab is written.
"""

from __future__ import annotations

import dataclasses
import datetime
import importlib
import os
import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from pysr._files import replacing
from pysr.labs._figures import MissingExtra, save
from pysr.labs._frame import Choice, Lab, Plan, Results, Size
from pysr.labs._machine import machine, versions
from pysr.labs._page import page
from pysr.labs._report import Report, Row, Shown, table
from pysr.labs._units import Kept, measure

__all__ = ["MissingExtra", "Report", "Row", "names", "report", "roles", "run", "summary", "table"]

_MODULES = {
    "biased-descent": "pysr.labs.biased_descent",
    "deep-factorization": "pysr.labs.deep_factorization",
    "rounded-qr": "pysr.labs.rounded_qr",
    "tall-thin": "pysr.labs.tall_thin",
}


def names() -> tuple[str, ...]:
    """Name every lab.

    Returns
    -------
    tuple of str
        The names that `run` and ``pysr lab`` take.

    Examples
    --------
    >>> from pysr import labs
    >>> labs.names()
    ('biased-descent', 'deep-factorization', 'rounded-qr', 'tall-thin')
    """
    return tuple(_MODULES)


def summary(name: str) -> str:
    """Say in one line what a lab shows.

    Parameters
    ----------
    name : str
        A lab's name.

    Returns
    -------
    str
        One line.

    Raises
    ------
    ValueError
        If there is no such lab.

    Examples
    --------
    >>> from pysr import labs
    >>> labs.summary("tall-thin")
    'stochastic rounding lifts the smallest singular value of tall and thin matrices'
    """
    return _lab(name).summary


def roles(name: str) -> dict[str, str]:
    """Say what arithmetic a lab uses for what.

    Parameters
    ----------
    name : str
        A lab's name.

    Returns
    -------
    dict of str to str
        Of the roles that `run` takes in `arithmetic` to what each is.

    Raises
    ------
    ValueError
        If there is no such lab.

    Examples
    --------
    >>> from pysr import labs
    >>> labs.roles("tall-thin")
    {'rounding': 'what the entries of the matrix are rounded by'}
    """
    return {role: part.description for role, part in _lab(name).roles.items()}


def run(
    name: str,
    *,
    rows: str | Iterable[str] | None = None,
    seeds: int | Iterable[int] | None = None,
    arithmetic: Mapping[str, Any] | None = None,
    full: bool = False,
    quick: bool = False,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
) -> list[Row]:
    """Run a lab and return the rows of its table.

    Parameters
    ----------
    name : str
        A lab's name, one of `names`.
    rows : str or iterable of str, optional
        Ids of rows, or patterns as in a shell (``"duplicated-*"``). Only what these rows need is
        measured, and only figures of that are drawn. By default every row.
    seeds : int or iterable of int, optional
        How many seeds (0, 1, 2, ...), or the seeds themselves, for every set-up. By default the
        lab chooses. The tolerance of a mean is wider for fewer seeds than it is stated for, as the
        standard error is.
    arithmetic : mapping, optional
        Of roles, which the lab names, to ``(format, mode, eps)``. What is None, or left out at the
        end, is as by default. Expectations are for the lab's own arithmetic: a row whose
        expectation is not for another is measured and judged "not applicable".
    full : bool, optional
        More seeds, more and larger set-ups.
    quick : bool, optional
        Fewer seeds where a set-up is large, or fewer set-ups.
    out : path, optional
        A directory, made if need be, that receives the figures, ``NAME.html`` with everything in
        one file, and ``NAME.results.json``, from which `resume` goes on.
    resume : bool, optional
        Go on where an interrupted run with the same `out` ended: what it measured, with the same
        size and arithmetic, is not measured again. The results are the same.

    Returns
    -------
    list of Row
        What was expected, what was measured and the verdicts.

    Raises
    ------
    ValueError
        If there is no such lab, row, role, format or mode, no seed, or a seed is not in [0, 2^64);
        for `full` with `quick`, and `resume` without `out`.

    Examples
    --------
    >>> from pysr import labs
    >>> rows = labs.run("tall-thin", rows="duplicated-Q1.3-*", seeds=10)
    >>> [(row.id, row.verdict) for row in rows]
    [('duplicated-Q1.3-lift', 'holds'), ('duplicated-Q1.3-nearest', 'holds')]
    """
    made = report(
        name,
        rows=rows,
        seeds=seeds,
        arithmetic=arithmetic,
        full=full,
        quick=quick,
        out=out,
        resume=resume,
        html=out is not None,
    )
    return list(made.rows)


def report(
    name: str,
    *,
    rows: str | Iterable[str] | None = None,
    seeds: int | Iterable[int] | None = None,
    arithmetic: Mapping[str, Any] | None = None,
    full: bool = False,
    quick: bool = False,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    html: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Run a lab and return everything it has to show.

    Parameters
    ----------
    name, rows, seeds, arithmetic, full, quick, out, resume
        As in `run`.
    html : bool, optional
        Write ``NAME.html`` into `out`.
    progress : callable, optional
        Is told how many units of work, a set-up with a seed, are done, and of how many.

    Returns
    -------
    Report
        ``str(report)`` is the text that ``pysr lab`` prints; ``report.as_json()`` and
        ``report.as_csv()`` are for other programs.

    Raises
    ------
    ValueError
        As `run`, and for `html` without `out`.

    Examples
    --------
    >>> from pysr import labs
    >>> print(labs.report("tall-thin", quick=True, out="figures"))  # doctest: +SKIP
    """
    module = _module(name)
    lab = _lab(name)
    if full and quick:
        raise ValueError("full and quick exclude each other")
    for option, wanted in (("resume", resume), ("html", html)):
        if wanted and out is None:
            raise ValueError(f"{option} needs out, the directory of the results")
    size: Size = "full" if full else "quick" if quick else "default"
    choice = lab.choose(size, seeds, arithmetic)
    patterns = None if rows is None else [rows] if isinstance(rows, str) else list(rows)
    plan = lab.plan(choice)
    if patterns is not None:
        plan = plan.only(patterns)
    directory = None if out is None else Path(out)
    file = None
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        file = directory / f"{name}.results.json"
    kept = Kept(file, name, _source(module), choice, resume)
    results = measure(plan.setups().values(), kept, progress)
    notes = [*plan.notes, *plan.remarks(results)]
    made = Report(
        lab=name,
        rows=tuple(claim.judge(results, choice.default) for claim in plan.claims),
        notes=(),
        figures=() if directory is None else _draw(name, plan, results, directory, notes),
        page=None if directory is None or not html else directory / f"{name}.html",
        arithmetic=choice.describe(),
        command=_command(name, choice, patterns, directory, html),
        machine=machine(),
        versions=versions(),
        series={
            key: {"label": setup.label, "seeds": list(setup.seeds), "draws": results[key]}
            for key, setup in plan.setups().items()
        },
    )
    made = dataclasses.replace(made, notes=tuple(notes))
    if made.page is not None:
        with replacing(made.page) as stream:
            stream.write(page(lab, made, datetime.datetime.now().astimezone()).encode())
    return made


def _module(name: str) -> ModuleType:
    if name not in _MODULES:
        raise ValueError(f"unknown lab {name!r}; there is: {', '.join(_MODULES)}")
    return importlib.import_module(_MODULES[name])


def _source(module: ModuleType) -> bytes:
    """The lab's own files."""
    path = Path(str(module.__file__))
    files = sorted(path.parent.glob("*.py")) if path.name == "__init__.py" else [path]
    return b"".join(file.read_bytes() for file in files)


def _lab(name: str) -> Lab:
    lab: Lab = _module(name).LAB
    return lab


def _draw(
    name: str, plan: Plan, results: Results, directory: Path, notes: list[str]
) -> tuple[Shown, ...]:
    """Draw and save every figure of the plan, or note why there is none."""
    shown = []
    for figure in plan.figures:
        try:
            drawn = figure.draw(results)
        except MissingExtra as error:
            notes.append(str(error))
            return ()
        path = save(drawn, directory / f"{name}-{figure.name}.png")
        shown.append(Shown(figure.name, figure.caption, path))
    return tuple(shown)


def _command(
    name: str, choice: Choice, patterns: list[str] | None, directory: Path | None, html: bool
) -> str:
    """What a shell is told to repeat a run; what it cannot be told, Python is."""
    counted = choice.seeds is None or choice.seeds == tuple(range(len(choice.seeds)))
    roundings = set(choice.arithmetic.values())
    if not counted or (not choice.default and len(roundings) > 1):
        options: dict[str, Any] = {
            "rows": patterns,
            "seeds": None if choice.seeds is None else list(choice.seeds),
            "arithmetic": None
            if choice.default
            else {k: (r.name or None, r.mode, r.eps) for k, r in choice.arithmetic.items()},
            choice.size: True if choice.size != "default" else None,
            "out": None if directory is None else str(directory),
        }
        given = "".join(f", {key}={value!r}" for key, value in options.items() if value is not None)
        return f"pysr.labs.run({name!r}{given})"
    words = ["pysr", "lab", name]
    if choice.size != "default":
        words.append(f"--{choice.size}")
    for pattern in patterns or ():
        words += ["--row", pattern]
    if choice.seeds is not None:
        words += ["--seeds", str(len(choice.seeds))]
    if not choice.default:
        (rounding,) = roundings
        words += ["--to", rounding.name] if rounding.name else []
        words += ["--mode", rounding.mode]
        words += ["--eps", repr(rounding.eps)] if rounding.eps else []
    words += ["--html"] if html else []
    words += [] if directory is None else ["--out", str(directory)]
    return shlex.join(words)
