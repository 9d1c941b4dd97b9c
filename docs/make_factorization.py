"""Write the tables of docs/factorization.md: python docs/make_factorization.py."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from pysr.optim import bounds, deep_matrix_factorization

DOCUMENT = Path(__file__).with_name("factorization.md")
SPECTRUM = np.array([4.0, 2.0, 1.0, 0.5, *[0.0] * 6])
POSITIVE = 4
STEP = 0.01


def target() -> np.ndarray:
    """The base case, in one random eigenbasis."""
    basis, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((10, 10)))
    return np.asarray((basis * SPECTRUM) @ basis.T)


def times() -> list[str]:
    """Half-times and plateaus in float64, predicted and measured."""
    lines = [
        "| N | α | half-times, predicted | measured | plateaus, predicted | r / r of the best |",
        "| ---: | ---: | --- | --- | --- | --- |",
    ]
    for depth, alpha in ((2, 0.01), (3, 0.1), (4, 0.2)):
        found = deep_matrix_factorization(target(), depth, step=STEP, steps=4000, alpha=alpha)
        positive = SPECTRUM[:POSITIVE]
        half = np.argmax(found.history["spectrum"][:, :POSITIVE] >= positive / 2, axis=0)
        predicted = [
            math.ceil(bounds.recovery_steps(float(value), alpha, depth, STEP)) for value in positive
        ]
        plateaus, ranks = [], []
        for rank in range(1, POSITIVE):
            first, last = bounds.recovery_plateau(SPECTRUM, alpha, depth, STEP, rank)
            if first <= last:
                plateaus.append(f"{first} to {last:.0f}")
                inside = found.history["effective_rank"][first : int(last) + 1]
                most = np.abs(inside / bounds.effective_rank(positive[:rank]) - 1).max()
                ranks.append(f"1 ± {most:.4f}")
        cells = [
            f"{depth}", f"{alpha:g}", ", ".join(map(str, predicted)), ", ".join(map(str, half)),
            "; ".join(plateaus) or "none", "; ".join(ranks),
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def rounded() -> list[str]:
    """What becomes of the base case when weights are rounded."""
    lines = [
        "| weights | λ = 4 | 2 | 1 | ½ | r | error |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for fmt in (None, "bfloat16", "float16", "Q3.8"):
        for mode in ("rne", "sr") if fmt else ("",):
            lines.append(row(fmt, mode))
    return lines


def row(fmt: str | None, mode: str) -> str:
    """One line of that table."""
    found = deep_matrix_factorization(
        target(), 3, step=STEP, steps=4000, alpha=0.1, fmt=fmt, mode=mode or "sr", rng=1,
        every=4000, record=["singular_values", "effective_rank", "error"],
    )  # fmt: skip
    history = {name: values[-1] for name, values in found.history.items()}
    sizes = " | ".join(f"{size:.3f}" for size in history["singular_values"][:POSITIVE])
    name = f"{fmt}, {mode}" if fmt else "float64"
    return f"| {name} | {sizes} | {history['effective_rank']:.3f} | {history['error']:.2g} |"


TABLES = {"times": times, "rounded": rounded}

if __name__ == "__main__":
    text = DOCUMENT.read_text(encoding="utf-8")
    for table, make in TABLES.items():
        begin, end = f"<!-- {table}:begin -->", f"<!-- {table}:end -->"
        before, rest = text.split(begin)
        text = before + "\n".join([begin, *make(), end]) + rest.split(end)[1]
    DOCUMENT.write_text(text, encoding="utf-8")
