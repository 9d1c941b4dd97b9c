"""What the figures of all labs have in common, and the optional packages of labs."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

from pysr._files import replacing

# Blue and orange, which no common colour blindness confuses; shapes differ besides.
ROUNDED, NEAREST, BEFORE, THEORY = "#1f5fbf", "#d9730d", "#6b7280", "#111827"


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
    pysr.labs._figures.MissingExtra: the figure needs no-such-package: pip install "srcore[labs]"
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(f'{purpose} needs {package}: pip install "srcore[labs]"') from error


def drawing(
    width: float, height: float, rows: int = 1, columns: int = 1, **options: Any
) -> tuple[Any, Any]:
    """Make an empty figure, without a display and without global state.

    Parameters
    ----------
    width, height : float
        In inches.
    rows, columns : int
        Of the panels.
    **options
        For matplotlib's ``Figure.subplots``.

    Returns
    -------
    figure, panels
        matplotlib's; `panels` is an array of axes.

    Raises
    ------
    MissingExtra
        If matplotlib is not installed.
    """
    backend = extra("matplotlib.backends.backend_agg", "matplotlib", "every figure")
    figures = extra("matplotlib.figure", "matplotlib", "every figure")
    figure = figures.Figure(figsize=(width, height), layout="constrained", facecolor="white")
    backend.FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False, **options)
    for axes in panels.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(True, color="#e5e7eb", linewidth=0.7)
        axes.set_axisbelow(True)
    return figure, panels


def title(axes: Any, text: str, detail: str) -> None:
    """Head a panel with what it shows, and below it on what.

    Parameters
    ----------
    axes : axes
        matplotlib's.
    text, detail : str
        The two lines.
    """
    axes.set_title(text, fontsize=11, fontweight="bold", pad=21)
    axes.annotate(
        detail, (0.5, 1), (0, 6), "axes fraction", "offset points", ha="center", fontsize=9.5
    )


def save(figure: Any, path: Path) -> Path:
    """Save a figure as a PNG, whole or not at all.

    Parameters
    ----------
    figure : figure
        matplotlib's.
    path : Path
        The file.

    Returns
    -------
    Path
        `path`.
    """
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=160)
    return path
