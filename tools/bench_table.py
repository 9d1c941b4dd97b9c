"""The table of times: bench_table.py [--write-readme] [--seconds S].

Tables in Markdown, one run: rounding beside a copy of its input, and beside other libraries; sums
and matrix products beside other libraries. --write-readme puts them between the marks in README.md.
"""

import argparse
import os
import platform
import re
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "asv_bench"))

from benchmarks import peers, sums  # noqa: E402
from benchmarks.common import (  # noqa: E402
    CASES,
    SIZES,
    Array,
    Call,
    Case,
    copying,
    fastest,
    normal,
    summing,
)

import pysr  # noqa: E402

BEGIN, END = "<!-- bench:begin -->\n", "<!-- bench:end -->\n"
PEER_SIZE = 1_000_000
# Leaves out of the tables what says nothing new there.
OWN = [name for name in CASES if not name.endswith("codes, rne")]
BESIDE = [name for name in CASES if "8 bits" not in name and "codes, sr" not in name]
OWN_SUMS = {f"pysr, {mode}": mode for mode in sums.MODES}


def processor() -> str:
    """The processor's name."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        found = re.search(r"^model name\s*: (.+)$", information.read_text(), re.MULTILINE)
        if found:
            return " ".join(found[1].split())
    return platform.processor() or platform.machine()


def power(n: int) -> str:
    """Sizes as powers of ten."""
    return "10" + str(len(str(n)) - 1).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def label(case: str) -> str:
    """A case's name with an arrow."""
    return case.replace(" to ", " → ")


def cell(seconds: float, n: int, copy: float) -> str:
    """Nanoseconds an element, and copies."""
    nanoseconds = 1e9 * seconds / n
    shown = f"{nanoseconds:.3g}" if nanoseconds < 100 else f"{nanoseconds:.0f}"
    multiple = seconds / copy
    return f"{shown} ({multiple:.2f})" if multiple < 9.995 else f"{shown} ({multiple:.0f})"


def row(cells: list[str]) -> str:
    """A line of a table."""
    return "| " + " | ".join(cells) + " |"


def head(cells: list[str]) -> list[str]:
    """A table's first lines, with numbers to the right."""
    return [row(cells), row(["---", *["---:"] * (len(cells) - 1)])]


def own_table(seconds: float) -> list[str]:
    """Rounding beside a copy of the same input."""
    sizes = list(SIZES)
    threads = pysr.config()["threads"]
    columns = [f"n = {power(n)}" for n in sizes]
    if threads > 1:
        columns.append(f"{power(sizes[-1])}, {threads} threads")
    lines = head(["", *columns])
    for name in OWN:
        case = CASES[name]
        cells = [label(name)]
        for n in sizes:
            x = normal(case.dtype, n)
            y = case.empty(x)
            calls = [copying(x), case.call(x, y)]
            if n == sizes[-1] and threads > 1:
                calls.append(case.call(x, y, threads))
            copy, *times = fastest(calls, seconds * len(calls) / 2)
            cells += [cell(time, n, copy) for time in times]
        lines.append(row(cells))
    return lines


def peers_table(seconds: float) -> list[str]:
    """Rounding beside the libraries that are installed."""
    found = {peer: peers.version(peer) for peer in peers.PEERS}
    there = [peer for peer, version in found.items() if version is not None]
    for peer in found.keys() - set(there):
        print(f"{peer} is not installed: no column", file=sys.stderr)
    lines = head(["", "copy", "pysr", *(f"{peer} {found[peer]}" for peer in there)])
    notes: dict[str, str] = {}
    for name in BESIDE:
        case = CASES[name]
        x = normal(case.dtype, PEER_SIZE)
        calls = [copying(x), case.call(x, case.empty(x))]
        places: list[slice] = []
        marks: list[str] = []
        for peer in there:
            ways: list[Call] = []
            if peers.does(peer, case):
                ways += peers.ways(peer, case, x)
            places.append(slice(len(calls), len(calls) + len(ways)))
            calls += ways
            wrong = peer_fault(case, x, ways)
            if wrong:
                notes[f"{peer}, {label(name)}"] = wrong
            marks.append(" *" if wrong else "")
        if len(calls) == 2:
            continue
        times = fastest(calls, seconds * len(calls))
        cells = [label(name), cell(times[0], PEER_SIZE, times[0]).split()[0]]
        for place, mark in zip([slice(1, 2), *places], ["", *marks], strict=True):
            best = min(times[place], default=None)
            cells.append("" if best is None else cell(best, PEER_SIZE, times[0]) + mark)
        lines.append(row(cells))
    return lines + footnote(notes)


def footnote(notes: dict[str, str]) -> list[str]:
    """What the stars in a table mean."""
    if not notes:
        return []
    return ["", f"\\* Not all results right: {'; '.join(map(': '.join, notes.items()))}."]


def peer_fault(case: Case, x: Array, ways: list[Call]) -> str | None:
    """What is wrong with one of the results."""
    with np.errstate(all="ignore"):
        faults = [peers.fault(case, x, way()) for way in ways]
    return next((found for found in faults if found), None)


def sums_table(seconds: float) -> list[str]:
    """Sums beside NumPy's in float32, and those of the libraries that are installed."""
    plain = "float32, not rounded"
    table = {name: [name, power(sums.TERMS)] for name in [plain, *OWN_SUMS]}
    for peer, (mode, terms, _) in peers.SUMS.items():
        version = peers.version(peer)
        missing = [peer, "", "not installed", *[""] * (len(sums.LAYOUTS) - 1)]
        table[peer] = missing if version is None else [f"{peer} {version}, {mode}", power(terms)]
    there = [peer for peer in peers.SUMS if peers.version(peer) is not None]
    notes: dict[str, str] = {}
    for layout in sums.LAYOUTS:
        x, axis = sums.terms(layout)
        ways = {plain: summing(x, axis)}
        ways |= {name: [sums.rounded(x, axis, mode)] for name, mode in OWN_SUMS.items()}
        sizes = dict.fromkeys(ways, x.size)
        marks = dict.fromkeys(ways, "")
        for peer in there:
            few, _ = sums.terms(layout, peers.SUMS[peer][1])
            ways[peer], sizes[peer] = peers.sum_ways(peer, few, axis), few.size
            with np.errstate(all="ignore"):
                faults = [peers.sum_fault(few, axis, way()) for way in ways[peer]]
            wrong = next((found for found in faults if found), None)
            if wrong:
                notes[f"{peer}, {layout}"] = wrong
            marks[peer] = " *" if wrong else ""
        calls = [call for those in ways.values() for call in those]
        times = iter(fastest(calls, seconds * len(calls)))
        best = {name: min(next(times) for _ in those) for name, those in ways.items()}
        for name, size in sizes.items():
            companion = best[plain] / sizes[plain] * size
            table[name].append(cell(best[name], size, companion) + marks[name])
    return [*head(["", "terms", *sums.LAYOUTS]), *map(row, table.values()), *footnote(notes)]


def products_table(seconds: float) -> list[str]:
    """Matrix products beside those of the libraries that are installed."""
    lines = head(["", "n", "separate", "fma", "blocks of 16"])
    side = 512
    a, b = sums.factors(side)
    a = a[: sums.PIECE]
    for mode in sums.MODES:
        arithmetic = pysr.Arithmetic("bfloat16", mode, rng=7)
        cells = [f"pysr, {mode}", str(side)]
        for keywords, roundings in sums.Products.ways.values():
            (time,) = fastest([lambda k=keywords, by=arithmetic: by.matmul(a, b, **k)], seconds)  # type: ignore[misc]
            cells.append(f"{1e9 * time / (a.size * side * roundings):.2f}")
        lines.append(row(cells))
    for peer, (few, _) in peers.PRODUCTS.items():
        version = peers.version(peer)
        if version is None:
            lines.append(row([peer, "", "not installed", "", ""]))
            continue
        x, y = sums.factors(few)
        (time,) = fastest(peers.product_ways(peer, x, y), seconds)
        lines.append(
            row([f"{peer} {version}, sr", str(few), f"{1e9 * time / (2 * few**3):.0f}", "", ""])
        )
    return lines


def section(seconds: float) -> str:
    """All of what stands between the marks."""
    config = pysr.config()
    machine = f"{processor()}, path `{config['path']}`, {config['compiler']}"
    machine += f", NumPy {config['numpy']}, Python {config['python']}, srcore {config['version']}"
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if busy > 1:
        machine += f". The machine was busy (load {busy:.1f}): times may be too long"
        machine += ", those of two threads most"
    lines = [
        f"{machine}.",
        "Nanoseconds an element; in brackets multiples of `np.copyto` of the same input. One",
        "thread unless it says so; all take turns in one process, and the least time counts.",
        "",
        *own_table(seconds),
        "",
        f"Beside other libraries, n = {power(PEER_SIZE)}. They get their own types as input, and",
        "random bits drawn beforehand where they take them (gfloat); the fastest of their ways",
        "counts. An empty cell: the library has nothing like it.",
        "",
        *peers_table(seconds),
        "",
        "A sum in bfloat16, from first to last, every step rounded: nanoseconds a step, and in",
        "brackets multiples of NumPy's sum in float32 in the same order. gfloat and pychop have no",
        "such sum but in a loop. Libraries get terms of their own types, slow ones fewer of them.",
        "",
        *sums_table(seconds),
        "",
        "A product of n x n matrices in bfloat16 (of pysr's, 64 rows, which one thread does):",
        "nanoseconds a rounding where products and sums are rounded on their own, else a",
        "multiplication with its addition. pychop has such a product in a loop alone.",
        "",
        *products_table(seconds),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write-readme", action="store_true")
    parser.add_argument("--seconds", type=float, default=0.5, help="for each pair of numbers")
    arguments = parser.parse_args()
    text = section(arguments.seconds)
    print(text, end="")
    if arguments.write_readme:
        readme = ROOT / "README.md"
        before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
        _, after = rest.split(END)
        readme.write_text(f"{before}{BEGIN}{text}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
