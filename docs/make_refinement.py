"""Write the tables of docs/refinement.md: python docs/make_refinement.py."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

import pysr
from pysr import linalg
from pysr.labs.rounded_qr import matrix
from pysr.linalg import theory

DOCUMENT = Path(__file__).with_name("refinement.md")
ORDER = 60
KAPPAS = tuple(10.0**k for k in range(9))
FORMATS = (("float16", "rne"), ("float16", "sr"), ("bfloat16", "rne"), ("bfloat16", "sr"))


def refinement() -> list[str]:
    """Corrections against condition numbers; for GMRES times the mean of its steps."""
    heads = [f"10{str(k).translate(str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹'))}" for k in range(9)]
    lines = ["| factors | 1/u_f | " + " | ".join(heads) + " |", "| --- |" + " ---: |" * 10]
    for method, name in (("lu", "LU-IR"), ("gmres", "GMRES-IR")):
        for fmt, mode in FORMATS:
            cells = [cell(kappa, fmt, mode, method) for kappa in KAPPAS]
            limit = theory.lu_ir_limit(theory.unit_roundoff(fmt, mode))
            lines.append(f"| {name}, {fmt}, {mode} | {limit:.0f} | " + " | ".join(cells) + " |")
    return lines


def cell(kappa: float, fmt: str, mode: str, method: str) -> str:
    """One cell."""
    a = matrix(ORDER, ORDER, kappa, 1) / math.sqrt(ORDER)
    b = a @ np.random.Generator(pysr.Philox(1, stream=1)).standard_normal(ORDER)
    result = linalg.refine(a, b, pysr.Arithmetic(fmt, mode, rng=1), method=method)
    if not result.converged:
        return result.reason
    if result.backward_errors[-1] > ORDER * 2.0**-53:
        raise SystemExit(f"{kappa} {fmt} {mode} {method}: {result.backward_errors[-1]}")
    steps = result.inner_iterations
    return f"{result.iterations}" + (f" × {sum(steps) / len(steps):.0f}" if steps else "")


def sums() -> list[str]:
    """Bounds beside the largest error of 1000 sums of positive terms."""
    lines = [
        "| n | mode | largest error | worst case γ | bound of 1 − 0.001 | the same, in pairs |",
        "| ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    generator = np.random.Generator(pysr.Philox(2))
    for n in (100, 1000, 10_000):
        x = np.asarray(pysr.round(generator.uniform(1, 2, (1000, n)), "float16", "rne"))
        exact = np.sum(x, axis=1)
        for mode in ("rne", "sr"):
            u = theory.unit_roundoff("float16", mode)
            total = pysr.Arithmetic("float16", mode, rng=3).sum(x, axis=1)
            error = float(np.max(np.abs(total / exact - 1)))
            cells = [error, theory.summation(n, u)]
            if mode == "sr":
                cells += [
                    theory.summation(n, u, failure=1e-3, order=order)
                    for order in ("sequential", "pairwise")
                ]
            texts = ["∞" if math.isinf(value) else f"{value:.2g}" for value in cells]
            lines.append(f"| {n} | {mode} | " + " | ".join((*texts, "", "")[:4]) + " |")
    return lines


TABLES = {"refinement": refinement, "sums": sums}

if __name__ == "__main__":
    text = DOCUMENT.read_text(encoding="utf-8")
    for table, make in TABLES.items():
        begin, end = f"<!-- {table}:begin -->", f"<!-- {table}:end -->"
        before, rest = text.split(begin)
        text = before + "\n".join([begin, *make(), end]) + rest.split(end)[1]
    DOCUMENT.write_text(text, encoding="utf-8")
