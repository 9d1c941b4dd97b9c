"""Experiments that show what stochastic rounding does.

A lab measures what a paper, or a prediction derived from it, says will happen, and judges each
measurement against it: `run` gives the rows of its table, `report` the rows with the notes and the
figure, and ``pysr lab NAME`` prints them.

A lab is a module with a line ``SUMMARY`` and three functions:

``measure(seeds, quick, notes)``
    does the experiment and returns what it found, in the lab's own type. `seeds` is None for the
    lab's own choice. It appends to `notes` what a reader must know, such as a set-up left out
    because an extra is not installed;
``rows(found)``
    judges it: a list of `Row`;
``figure(found)``
    draws it: a matplotlib figure.

A new lab is one such module and one line in ``_MODULES``.
"""

from __future__ import annotations

import importlib
import operator
import os
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

from pysr.labs._report import MissingExtra, Report, Row, save_figure, table

__all__ = ["MissingExtra", "Report", "Row", "names", "report", "run", "summary", "table"]

_MODULES = {"rounded-qr": "pysr.labs.rounded_qr", "tall-thin": "pysr.labs.tall_thin"}


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
    ('rounded-qr', 'tall-thin')
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
    return str(_module(name).SUMMARY)


def run(
    name: str,
    *,
    seeds: int | Iterable[int] | None = None,
    quick: bool = False,
    out: str | os.PathLike[str] | None = None,
) -> list[Row]:
    """Run a lab and return the rows of its table.

    Parameters
    ----------
    name : str
        A lab's name, one of `names`.
    seeds : int or iterable of int, optional
        How many seeds (0, 1, 2, ...), or the seeds themselves, for every set-up. By default the
        lab chooses. Tolerances are stated for the lab's own choice.
    quick : bool, optional
        Use fewer seeds where a set-up is large.
    out : path, optional
        A directory, made if need be, that receives the figure ``NAME.png``. By default there is no
        figure.

    Returns
    -------
    list of Row
        What was expected, what was measured and the verdicts.

    Raises
    ------
    ValueError
        If there is no such lab, or no seed, or a seed is not in [0, 2^64).

    Examples
    --------
    >>> from pysr import labs
    >>> rows = labs.run("tall-thin", quick=True)  # doctest: +SKIP
    >>> {row.verdict for row in rows}  # doctest: +SKIP
    {'holds'}
    """
    return list(report(name, seeds=seeds, quick=quick, out=out).rows)


def report(
    name: str,
    *,
    seeds: int | Iterable[int] | None = None,
    quick: bool = False,
    out: str | os.PathLike[str] | None = None,
) -> Report:
    """Run a lab and return everything it has to show.

    Parameters
    ----------
    name, seeds, quick, out
        As in `run`.

    Returns
    -------
    Report
        The rows, the notes and where the figure went. ``str(report)`` is the text that
        ``pysr lab`` prints; ``report.as_json()`` is for other programs.

    Raises
    ------
    ValueError
        As `run`.

    Examples
    --------
    >>> from pysr import labs
    >>> print(labs.report("tall-thin", quick=True, out="figures"))  # doctest: +SKIP
    """
    module = _module(name)
    chosen = None if seeds is None else _seeds(seeds)
    directory = None if out is None else Path(out)
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
    notes: list[str] = []
    with _one_blas_thread():
        found = module.measure(chosen, quick, notes)
    path = None
    if directory is not None:
        try:
            path = save_figure(module.figure, found, directory / f"{name}.png")
        except MissingExtra as error:
            notes.append(str(error))
    return Report(name, tuple(module.rows(found)), tuple(notes), path)


def _module(name: str) -> ModuleType:
    if name not in _MODULES:
        raise ValueError(f"unknown lab {name!r}; there is: {', '.join(_MODULES)}")
    return importlib.import_module(_MODULES[name])


def _one_blas_thread() -> AbstractContextManager[Any]:
    """Keep the linear algebra on one thread, if threadpoolctl, a part of scikit-learn, is there.

    Factors of many small matrices are slower on several threads, much slower when another program
    wants the cores, and their last bits depend on how many there are.
    """
    try:
        threadpoolctl = importlib.import_module("threadpoolctl")
    except ImportError:
        return nullcontext()
    limit: AbstractContextManager[Any] = threadpoolctl.threadpool_limits(1, "blas")
    return limit


def _seeds(seeds: int | Iterable[int]) -> tuple[int, ...]:
    try:
        chosen = tuple(range(operator.index(seeds)))  # type: ignore[arg-type]
    except TypeError:
        chosen = tuple(operator.index(seed) for seed in seeds)  # type: ignore[union-attr]
    if not chosen:
        raise ValueError(f"seeds must name at least one seed, not {seeds!r}")
    for seed in chosen:
        if not 0 <= seed < 1 << 64:
            raise ValueError(f"seeds must be in [0, 2^64), not {seed}")
    return chosen
