"""A lab's results as one HTML file that needs no other, and no script."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Iterable, Mapping
from html import escape
from itertools import groupby

from pysr.labs._frame import Lab
from pysr.labs._report import Report, Row, number

STYLE = """
:root { color-scheme: light dark; --back: #ffffff; --text: #1f2937; --weak: #4b5563;
  --line: #d1d5db; --stripe: #f3f4f6; --holds: #166534; --fails: #b91c1c; --vacuous: #854d0e;
  --other: #4b5563; }
@media (prefers-color-scheme: dark) { :root { --back: #111827; --text: #e5e7eb; --weak: #a8b0bd;
  --line: #374151; --stripe: #1f2937; --holds: #4ade80; --fails: #fca5a5; --vacuous: #fcd34d;
  --other: #a8b0bd; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; background: var(--back);
  color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; }
h2 { font-size: 1.2rem; margin-top: 2.2rem; }
p, li, dd { max-width: 46rem; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .4rem; }
table { border-collapse: collapse; width: 100%; font-size: .85rem; line-height: 1.35;
  font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; text-align: left; vertical-align: top; }
thead th { border-bottom: 2px solid var(--line); white-space: nowrap; vertical-align: bottom; }
tbody th[scope=rowgroup] { background: var(--stripe); font-weight: 600; padding-top: .5rem; }
tbody th[scope=row] { font-weight: 400; min-width: 11rem; }
tbody tr + tr { border-top: 1px solid var(--line); }
.number { text-align: right; }
td.number, td.expected { white-space: nowrap; }
td.verdict { font-weight: 700; white-space: nowrap; }
.holds { color: var(--holds); } .fails { color: var(--fails); }
.vacuous { color: var(--vacuous); } .not-applicable { color: var(--other); }
code, pre { font-family: ui-monospace, monospace; font-size: .85em; }
small { color: var(--weak); overflow-wrap: anywhere; }
pre { overflow-x: auto; padding: .6rem .8rem; background: var(--stripe); border-radius: .4rem; }
figure { margin: 1.5rem 0; }
figure img { max-width: 100%; height: auto; background: #ffffff; border-radius: .4rem; }
figcaption { color: var(--weak); max-width: 46rem; font-size: .9rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dd { margin: 0; }
"""

SIGNS = {"holds": "✓", "fails": "✗", "vacuous": "○", "not applicable": "–"}


def page(lab: Lab, report: Report, when: datetime.datetime) -> str:
    """Write the page.

    Parameters
    ----------
    lab : Lab
        The lab.
    report : Report
        Its results; the files of its figures are read.
    when : datetime
        The date on the page.

    Returns
    -------
    str
        HTML.
    """
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        '<head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(lab.title)}</title>",
        f"<style>{STYLE}</style></head>",
        "<body>",
        f"<header><h1>{escape(lab.title)}</h1>",
        *(f"<p>{escape(text)}</p>" for text in lab.introduction),
        "</header>",
        "<main>",
        *_summary(report),
        *_figures(report),
        *_table(report.rows),
    ]
    if report.notes:
        parts += ["<h2>Notes</h2>", "<ul>", *_items(report.notes), "</ul>"]
    parts += [
        "<h2>Claims not attempted</h2>",
        "<ul>",
        *(
            f"<li><strong>{escape(claim)}</strong> {escape(why)}</li>"
            for claim, why in lab.not_attempted
        ),
        "</ul>",
        "<h2>How this was made</h2>",
        f"<pre><code>{escape(report.command)}</code></pre>",
        "<dl>",
        *_terms({"date": when.strftime("%Y-%m-%d %H:%M %Z").strip()}),
        *_terms({"arithmetic": report.arithmetic}),
        *_terms(report.machine),
        *_terms(report.versions),
        "</dl>",
        "</main></body></html>",
    ]
    return "\n".join(parts) + "\n"


def _summary(report: Report) -> list[str]:
    return [
        "<h2>Summary</h2>",
        f'<p><strong class="{report.verdict}">{SIGNS[report.verdict]} {report.verdict}</strong>: '
        f"{escape(report.counts())}.</p>",
        "<p>An expectation <em>holds</em> if what was measured is within its tolerance; it is "
        "<em>vacuous</em> if it would agree with anything possible, and <em>not applicable</em> if "
        "it is not for the arithmetic that was used.</p>",
    ]


def _table(rows: Iterable[Row]) -> list[str]:
    texts, numbers = ("Quantity", "Verdict", "Expected"), ("Mean", "Least", "Most")
    columns = len(texts) + len(numbers) + 2
    parts = [
        "<h2>Measurements</h2>",
        '<div class="scroll" tabindex="0" role="region" aria-label="Table of measurements">',
        "<table><thead><tr>",
        *(f'<th scope="col">{head}</th>' for head in texts),
        *(f'<th scope="col" class="number">{head}</th>' for head in numbers),
        '<th scope="col">Judged by</th><th scope="col">From</th>',
        "</tr></thead>",
    ]
    for setup, group in groupby(rows, key=lambda row: row.setup):
        parts.append(
            f'<tbody><tr><th scope="rowgroup" colspan="{columns}">{escape(setup)}</th></tr>'
        )
        parts += [_line(row) for row in group]
        parts.append("</tbody>")
    return [*parts, "</table></div>"]


def _line(row: Row) -> str:
    kind = row.verdict.replace(" ", "-")
    numbers = (row.measurement, *row.spread)
    return (
        f'<tr><th scope="row">{escape(row.name)}<br><small><code>{escape(row.id)}</code></small>'
        f'</th><td class="verdict {kind}">{SIGNS[row.verdict]} {row.verdict}</td>'
        f'<td class="expected">{escape(_signs(row.expected()))}</td>'
        + "".join(f'<td class="number">{number(value)}</td>' for value in numbers)
        + f"<td>{row.judged}, {len(row.values)}</td><td>{row.provenance}</td></tr>"
    )


def _signs(text: str) -> str:
    return text.replace("+-", "±").replace("<=", "≤").replace(">=", "≥")


def _figures(report: Report) -> list[str]:
    parts = []
    for shown in report.figures:
        data = base64.b64encode(shown.path.read_bytes()).decode()
        caption = escape(shown.caption)
        parts.append(
            f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )
    return ["<h2>Figures</h2>", *parts] if parts else []


def _items(texts: Iterable[str]) -> list[str]:
    return [f"<li>{escape(text)}</li>" for text in texts]


def _terms(facts: Mapping[str, str]) -> list[str]:
    return [f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in facts.items()]
