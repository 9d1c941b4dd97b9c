"""Rows and verdicts, and a report as text, JSON and CSV."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

# Spelled as unions, which stubtest looks for: mypy takes a Literal of several values for one.
Relation = Literal["="] | Literal["<="] | Literal[">="]
Provenance = Literal["paper"] | Literal["derived"] | Literal["recalled"]
Judged = Literal["mean"] | Literal["every"]
Verdict = Literal["holds"] | Literal["fails"] | Literal["vacuous"] | Literal["not applicable"]
COLUMNS = (
    *("id", "name", "setup", "relation", "expectation", "tolerance", "mean", "least", "most"),
    *("judged", "provenance", "verdict", "seeds", "values"),
)
VERDICTS: tuple[Verdict, ...] = ("holds", "fails", "vacuous", "not applicable")


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of a lab's table: an expectation and what was measured.

    Attributes
    ----------
    id : str
        Short, stable, unique in the lab; selects the row.
    name : str
        The quantity.
    setup : str
        What it was measured on.
    relation : {"=", "<=", ">="}
        How the quantity stands to the expectation.
    expectation, tolerance : float
        The expected value, and how far off it may be, absolutely.
    measurement : float
        The mean over seeds.
    spread : tuple of float
        The least and the greatest value over seeds.
    seeds : tuple of int
        The seeds.
    values : tuple of float
        Every value: one a seed, or as many for each.
    judged : {"mean", "every"}
        Whether the mean decides, or every single value must agree.
    provenance : {"paper", "derived", "recalled"}
        Whether the expectation stands in a paper, was derived for this project, or is believed to
        stand in a paper that was not at hand.
    verdict : {"holds", "fails", "vacuous", "not applicable"}
        Whether the measurement agrees with the expectation; "vacuous" if the expectation would
        agree with anything possible, "not applicable" if it is not for this arithmetic.

    See Also
    --------
    Row.judge : measure up values and make a row.
    """

    id: str
    name: str
    setup: str
    relation: Relation
    expectation: float
    tolerance: float
    measurement: float
    spread: tuple[float, float]
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    judged: Judged
    provenance: Provenance
    verdict: Verdict

    @classmethod
    def judge(
        cls,
        id: str,
        name: str,
        setup: str,
        values: Iterable[float],
        relation: Relation,
        expectation: float,
        tolerance: float,
        *,
        seeds: Iterable[int],
        judged: Judged,
        provenance: Provenance,
        possible: tuple[float, float] = (-math.inf, math.inf),
        applies: bool = True,
    ) -> Row:
        """Compare measured values with an expectation.

        Parameters
        ----------
        id, name, setup, relation, expectation, tolerance, seeds, judged, provenance
            The fields of the row.
        values : iterable of float
            The measured values. NaN never agrees with anything.
        possible : tuple of float
            The least and the greatest value that the quantity can have at all.
        applies : bool
            Whether the expectation is for the arithmetic that was used.

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
        >>> kind = {"seeds": [0, 1], "judged": "mean", "provenance": "derived"}
        >>> Row.judge("r", "ratio", "coin", [0.9, 1.06], "=", 1.0, 0.05, **kind).verdict
        'holds'
        >>> Row.judge("r", "ratio", "coin", [0.9, 1.06], ">=", 1.1, 0.05, **kind).verdict
        'fails'
        >>> kind["possible"] = (0.0, 1.0)
        >>> Row.judge("p", "probability", "coin", [0.4, 0.5], "<=", 1.1, 0, **kind).verdict
        'vacuous'
        """
        measured = tuple(float(value) for value in values)
        if not measured:
            raise ValueError(f"no value was measured for {id!r}")
        mean = math.fsum(measured) / len(measured)
        decisive = measured if judged == "every" else (mean,)
        low, high = _allowed(relation, expectation, tolerance)
        agrees = all(low <= value <= high for value in decisive)
        verdict: Verdict = "holds" if agrees else "fails"
        if low <= possible[0] and possible[1] <= high:
            verdict = "vacuous"
        if not applies:
            verdict = "not applicable"
        return cls(
            id,
            name,
            setup,
            relation,
            expectation,
            tolerance,
            mean,
            (min(measured), max(measured)),
            tuple(seeds),
            measured,
            judged,
            provenance,
            verdict,
        )

    def expected(self) -> str:
        """The expectation with its tolerance, as text."""
        bound = {"=": "", "<=": "<= ", ">=": ">= "}[self.relation]
        if not self.tolerance:
            return f"{bound}{self.expectation:.5g}"
        sign = {"=": "+-", "<=": "+", ">=": "-"}[self.relation]
        return f"{bound}{self.expectation:.5g} {sign} {self.tolerance:.2g}"


def _allowed(relation: Relation, expectation: float, tolerance: float) -> tuple[float, float]:
    low = -math.inf if relation == "<=" else expectation - tolerance
    high = math.inf if relation == ">=" else expectation + tolerance
    return low, high


@dataclasses.dataclass(frozen=True)
class Shown:
    """A figure that was saved: its name, its caption, its file."""

    name: str
    caption: str
    path: Path


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
    figures : tuple of Shown
        The figures that were saved.
    page : Path or None
        Where the HTML page went.
    arithmetic : str
        What arithmetic played which role.
    command : str
        What repeats the run.
    machine, versions : dict
        On what it was run.
    series : dict
        Of each set-up, by its key: its label, its seeds, and what each of them gave.
    """

    lab: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    figures: tuple[Shown, ...]
    page: Path | None
    arithmetic: str
    command: str
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    series: Mapping[str, Any]

    @property
    def verdict(self) -> str:
        """Verdict of the whole: "fails" if any row fails."""
        return "fails" if any(row.verdict == "fails" for row in self.rows) else "holds"

    def counts(self) -> str:
        """Say how many rows have which verdict."""
        names = {"holds": "hold", "fails": "fail"}
        numbers = {v: sum(row.verdict == v for row in self.rows) for v in VERDICTS}
        parts = [f"{n} {names.get(v, v)}" for v, n in numbers.items() if n or v in names]
        return f"{len(self.rows)} rows: {', '.join(parts)}"

    def __str__(self) -> str:
        lines = [table(self.rows), "", self.counts()]
        lines += [f"note: {note}" for note in self.notes]
        lines += [f"figure: {shown.path}" for shown in self.figures]
        if self.page is not None:
            lines.append(f"page: {self.page}")
        return "\n".join(lines)

    def as_json(self) -> str:
        """Write the report as JSON.

        Returns
        -------
        str
            An object with the keys lab, command, arithmetic, verdict, machine, versions, rows,
            notes, figures and series: what each seed of each set-up gave. A value that is not
            finite is null.
        """
        content = {
            "lab": self.lab,
            "command": self.command,
            "arithmetic": self.arithmetic,
            "verdict": self.verdict,
            "machine": dict(self.machine),
            "versions": dict(self.versions),
            "rows": [_finite(dataclasses.asdict(row)) for row in self.rows],
            "notes": list(self.notes),
            "figures": [str(shown.path) for shown in self.figures],
            "series": _finite(dict(self.series)),
        }
        return json.dumps(content, indent=1, allow_nan=False) + "\n"

    def as_csv(self) -> str:
        """Write the rows as CSV.

        Returns
        -------
        str
            A line of names, and a line a row; values are separated by spaces.
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in self.rows:
            writer.writerow(
                [
                    *(row.id, row.name, row.setup, row.relation, row.expectation, row.tolerance),
                    *(row.measurement, *row.spread, row.judged, row.provenance, row.verdict),
                    " ".join(map(str, row.seeds)),
                    " ".join(map(repr, row.values)),
                ]
            )
        return text.getvalue()


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
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
        A heading and the lines. Under "judged", "mean 10" means that the mean of 10 values decides,
        "every 10" that each of them must agree.

    Examples
    --------
    >>> kind = {"seeds": [0, 1], "judged": "mean", "provenance": "derived"}
    >>> print(table([Row.judge("r", "ratio", "coin", [0.9, 1.06], "=", 1.0, 0.05, **kind)]))
             expected     mean   least   most  judged  from     verdict  row
    coin
      ratio  1 +- 0.05  0.9800  0.9000  1.060  mean 2  derived  holds    r
    """
    head = ("", "expected", "mean", "least", "most", "judged", "from", "verdict", "row")
    lines: list[Sequence[str]] = [head]
    setup = None
    for row in rows:
        if row.setup != setup:
            setup = row.setup
            lines.append((setup,))
        lines.append(
            (
                f"  {row.name}",
                row.expected(),
                number(row.measurement),
                number(row.spread[0]),
                number(row.spread[1]),
                f"{row.judged} {len(row.values)}",
                row.provenance,
                row.verdict,
                row.id,
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


def number(value: float) -> str:
    """Write a measured number in four digits.

    Parameters
    ----------
    value : float
        The number.

    Returns
    -------
    str

    Examples
    --------
    >>> number(0.70712), number(2.1e-15)
    ('0.7071', '2.1e-15')
    """
    return f"{value:#.4g}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.1e}"
