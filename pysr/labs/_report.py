"""Rows, verdicts, tables and figures: what every lab has in common."""

from __future__ import annotations

import dataclasses
import importlib
import json
import math
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pysr

# Spelled as unions, which stubtest looks for: mypy takes a Literal of several values for one.
Relation = Literal["="] | Literal["<="] | Literal[">="]
Provenance = Literal["paper"] | Literal["derived"]
Judged = Literal["mean"] | Literal["every"]


class MissingExtra(ImportError):
    """A lab needs a package that is not installed; the message says how to install it."""


def extra(module: str, package: str, purpose: str) -> ModuleType:
    """Import a module of an optional package.

    Parameters
    ----------
    module : str
        The module to import.
    package : str
        The distribution that has it.
    purpose : str
        What needs it; the message begins with it.

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    MissingExtra
        If it is not installed.

    Examples
    --------
    >>> extra("math", "python", "counting").floor(2.5)
    2
    >>> extra("no_such_module", "no-such-package", "the figure")
    Traceback (most recent call last):
    pysr.labs._report.MissingExtra: the figure needs no-such-package: pip install "srcore[labs]"
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(f'{purpose} needs {package}: pip install "srcore[labs]"') from error


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of a lab's table: an expectation and what was measured.

    Attributes
    ----------
    name : str
        The quantity.
    setup : str
        What it was measured on. `name` and `setup` together are unique in a lab.
    relation : {"=", "<=", ">="}
        How the quantity stands to the expectation.
    expectation, tolerance : float
        The expected value, and how far off it may be, absolutely.
    measurement : float
        The mean over seeds.
    spread : tuple of float
        The least and the greatest value over seeds.
    values : tuple of float
        The value of each seed.
    judged : {"mean", "every"}
        Whether the mean decides, or every single seed must agree.
    provenance : {"paper", "derived"}
        Whether the expectation stands in a paper or was derived for this project.
    verdict : {"holds", "fails"}
        Whether the measurement agrees with the expectation.

    See Also
    --------
    Row.judge : measure up values and make a row.
    """

    name: str
    setup: str
    relation: Relation
    expectation: float
    tolerance: float
    measurement: float
    spread: tuple[float, float]
    values: tuple[float, ...]
    judged: Judged
    provenance: Provenance
    verdict: Literal["holds", "fails"]

    @classmethod
    def judge(
        cls,
        name: str,
        setup: str,
        values: Iterable[float],
        relation: Relation,
        expectation: float,
        tolerance: float,
        *,
        judged: Judged,
        provenance: Provenance,
    ) -> Row:
        """Compare measured values with an expectation.

        Parameters
        ----------
        name, setup, relation, expectation, tolerance, judged, provenance
            The fields of the row.
        values : iterable of float
            The measured value of each seed. NaN never agrees with anything.

        Returns
        -------
        Row
            The row, with its verdict.

        Raises
        ------
        ValueError
            If there is no value.

        Examples
        --------
        >>> kind = {"judged": "mean", "provenance": "derived"}
        >>> Row.judge("ratio", "coin", [0.9, 1.06], "=", 1.0, 0.05, **kind).verdict
        'holds'
        >>> Row.judge("ratio", "coin", [0.9, 1.06], ">=", 1.1, 0.05, **kind).verdict
        'fails'
        """
        measured = tuple(float(value) for value in values)
        if not measured:
            raise ValueError(f"no value was measured for {name!r}, {setup!r}")
        mean = math.fsum(measured) / len(measured)
        decisive = measured if judged == "every" else (mean,)
        agrees = all(_agrees(value, relation, expectation, tolerance) for value in decisive)
        return cls(
            name,
            setup,
            relation,
            expectation,
            tolerance,
            mean,
            (min(measured), max(measured)),
            measured,
            judged,
            provenance,
            "holds" if agrees else "fails",
        )


def _agrees(value: float, relation: Relation, expectation: float, tolerance: float) -> bool:
    low = expectation - tolerance <= value
    high = value <= expectation + tolerance
    return {"=": low and high, ">=": low, "<=": high}[relation]


@dataclasses.dataclass(frozen=True)
class Report:
    """What a lab has to show.

    Attributes
    ----------
    lab : str
        The lab's name.
    rows : tuple of Row
        The table.
    notes : tuple of str
        What a reader must know besides.
    figure : Path or None
        Where the figure was saved.
    """

    lab: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    figure: Path | None

    def __str__(self) -> str:
        fails = sum(row.verdict == "fails" for row in self.rows)
        lines = [
            table(self.rows),
            "",
            f"{len(self.rows)} rows: {len(self.rows) - fails} hold, "
            f"{fails} {'fails' if fails == 1 else 'fail'}",
        ]
        lines += [f"note: {note}" for note in self.notes]
        if self.figure is not None:
            lines.append(f"figure: {self.figure}")
        return "\n".join(lines)

    def as_json(self) -> str:
        """Write the report as JSON.

        Returns
        -------
        str
            An object with the keys lab, version, verdict, rows, notes and figure. A value that is
            not finite is null.
        """
        content = {
            "lab": self.lab,
            "version": pysr.__version__,
            "verdict": "fails" if any(r.verdict == "fails" for r in self.rows) else "holds",
            "rows": [_finite(dataclasses.asdict(row)) for row in self.rows],
            "notes": list(self.notes),
            "figure": None if self.figure is None else str(self.figure),
        }
        return json.dumps(content, indent=2, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def table(rows: Iterable[Row]) -> str:
    """Lay rows out as aligned plain text.

    Parameters
    ----------
    rows : iterable of Row
        The rows. Those of one set-up that follow each other stand under one heading.

    Returns
    -------
    str
        A heading and the lines. Under "judged", "mean 10" means that the mean over 10 seeds
        decides, "every 10" that each of them must agree.

    Examples
    --------
    >>> kind = {"judged": "mean", "provenance": "derived"}
    >>> print(table([Row.judge("ratio", "coin", [0.9, 1.06], "=", 1.0, 0.05, **kind)]))
             expected     mean   least   most  judged  from     verdict
    coin
      ratio  1 +- 0.05  0.9800  0.9000  1.060  mean 2  derived  holds
    """
    head = ("", "expected", "mean", "least", "most", "judged", "from", "verdict")
    lines: list[Sequence[str]] = [head]
    setup = None
    for row in rows:
        if row.setup != setup:
            setup = row.setup
            lines.append((setup,))
        bound = {"=": "", "<=": "<= ", ">=": ">= "}[row.relation]
        sign = {"=": "+-", "<=": "+", ">=": "-"}[row.relation]
        lines.append(
            (
                f"  {row.name}",
                f"{bound}{row.expectation:.5g} {sign} {row.tolerance:.2g}",
                _number(row.measurement),
                _number(row.spread[0]),
                _number(row.spread[1]),
                f"{row.judged} {len(row.values)}",
                row.provenance,
                row.verdict,
            )
        )
    full = [line for line in lines if len(line) > 1]
    widths = [max(map(len, column)) for column in zip(*full, strict=True)]
    numbers = {2, 3, 4}
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i in numbers else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=False))
        ).rstrip()
        for line in lines
    )


def _number(value: float) -> str:
    return f"{value:#.4g}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.1e}"


def save_figure(draw: Callable[[Any], Any], found: Any, path: Path) -> Path:
    """Draw a figure and save it as a PNG, whole or not at all.

    Parameters
    ----------
    draw : callable
        Takes `found` and returns a matplotlib figure.
    found : object
        What a lab measured.
    path : Path
        The file.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    MissingExtra
        If matplotlib is not installed.
    """
    figure = draw(found)
    part = path.with_name(f".{path.name}.part")
    try:
        figure.savefig(part, format="png", dpi=160)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path
