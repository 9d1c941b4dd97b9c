"""Writes the table of S7.1 in specification.md: sums and products a hair beside a tie."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import pysr

SPECIFICATION = Path(__file__).parent / "specification.md"
MARKS = "<!-- double-rounding:begin -->", "<!-- double-rounding:end -->"

# Format, operation, operands. Each exact result lies beside a tie by less than float64 can tell.
CASES: list[tuple[str, str, tuple[float, ...]]] = [
    ("bfloat16", "add", (1 + 2.0**-8, 2.0**-60)),
    ("bfloat16", "sub", (1 + 3 * 2.0**-8, 2.0**-60)),
    ("bfloat16", "mul", (7 + 7 * 2.0**-30, 37 / 256 * (1 - 2.0**-30))),
    ("float16", "add", (1 + 2.0**-11, 2.0**-70)),
    ("float16", "sub", (1 + 3 * 2.0**-11, 2.0**-1000)),
    ("float16", "fma", (1 + 2.0**-27, 1 - 2.0**-27, 3 * 2.0**-11)),
    ("float8_e4m3fn", "add", (17.0, 2.0**-55)),
    ("float8_e5m2", "sub", (9.0, -(2.0**-57))),
    ("Q3.8", "add", (2.0**-9, 2.0**-70)),
    ("binary32", "fma", (1 + 2.0**-24, 1 - 2.0**-24, 2.0**-24 + 2.0**-48 + 2.0**-60)),
]
SYMBOLS = {"add": "{} + {}", "sub": "{} - {}", "mul": "{} * {}", "fma": "{} * {} + {}"}


def shown(x: float) -> str:
    digits, exponent = float(x).hex().split("p")
    return (digits.rstrip("0").rstrip(".") if "." in digits else digits) + "p" + exponent


def in_float64(op: str, operands: tuple[float, ...]) -> float:
    """The operation as float64 does it, to nearest: fma with two roundings."""
    x, y, *z = operands
    if op == "add":
        return x + y
    if op == "sub":
        return x - y
    return x * y + z[0] if z else x * y


def rows() -> list[str]:
    """The table's lines; an error where rounding twice happens to be right."""
    lines = [
        "| format | operation | rounded once | to float64, then to the format |",
        "| --- | --- | --- | --- |",
    ]
    for fmt, op, operands in CASES:
        once = float(getattr(pysr.Arithmetic(fmt, "rne"), op)(*operands))
        twice = float(pysr.round(np.float64(in_float64(op, operands)), fmt, "rne"))
        if once == twice:
            raise SystemExit(f"{fmt} {op} {operands}: rounding twice is right")
        formula = SYMBOLS[op].format(*(shown(x) for x in operands))
        lines.append(f"| {fmt} | `{formula}` | `{shown(once)}` | `{shown(twice)}` |")
    return lines


def text() -> str:
    """What stands between the marks."""
    note = (
        "The right column is what casting a float64 result to one of ml_dtypes' types gives, and\n"
        "what tools give that compute in float64 and round afterwards: chop, CPFloat, pychop. The\n"
        "table is made by `docs/make_double_rounding.py`."
    )
    return "\n".join([MARKS[0], *rows(), "", note, MARKS[1]])


if __name__ == "__main__":
    before, rest = SPECIFICATION.read_text().split(MARKS[0])
    SPECIFICATION.write_text(before + text() + rest.split(MARKS[1])[1])
