"""Set-ups measured seed by seed, what is done kept in a file from which a run goes on."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

import pysr
from pysr._files import replacing
from pysr.labs._frame import Choice, Draw, Setup

# How many times as long as it took to write the file the work goes on before it is written again.
PAUSE = 20.0

Progress = Callable[[int, int], None]


class Kept:
    """Results in a file: of one lab, of one version, under size, arithmetic, set-up and seed.

    Parameters
    ----------
    path : Path or None
        The file; None keeps nothing.
    lab : str
        The lab's name.
    source : bytes
        The lab's source: results of another are not used.
    choice : Choice
        Whose size and arithmetic the results are of.
    resume : bool
        Whether to begin with what the file has. Otherwise the file is written anew.
    """

    def __init__(
        self, path: Path | None, lab: str, source: bytes, choice: Choice, resume: bool
    ) -> None:
        self.path = path
        self.head = {
            "lab": lab,
            "version": pysr.__version__,
            "numpy": np.__version__,
            "source": hashlib.sha256(source).hexdigest(),
        }
        self.under = [choice.size, choice.describe()]
        self.results: dict[str, Draw] = {}
        self.next = 0.0
        self.unsaved = False
        if resume and path is not None:
            with contextlib.suppress(FileNotFoundError):
                self._read(path)

    def _read(self, path: Path) -> None:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["head"] == self.head:
                self.results = content["results"]
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{path}: not a file of results; remove it to begin anew") from None

    def _key(self, setup: Setup, seed: int) -> str:
        return json.dumps([*self.under, setup.key, seed])

    def get(self, setup: Setup, seed: int) -> Draw | None:
        """What was found, or None."""
        return self.results.get(self._key(setup, seed))

    def put(self, setup: Setup, seed: int, draw: Draw) -> None:
        """Keep what was found, and write the file now and then."""
        self.results[self._key(setup, seed)] = draw
        self.unsaved = True
        if time.monotonic() >= self.next:
            self.save()

    def save(self) -> None:
        """Write the file, whole or not at all."""
        if self.path is None or not self.unsaved:
            return
        began = time.monotonic()
        with replacing(self.path) as file:
            file.write(json.dumps({"head": self.head, "results": self.results}).encode())
        self.unsaved = False
        now = time.monotonic()
        self.next = now + PAUSE * (now - began)


def measure(
    setups: Iterable[Setup], kept: Kept, progress: Progress | None = None
) -> dict[str, list[Draw]]:
    """Measure set-ups, but for what is kept already.

    Parameters
    ----------
    setups : iterable of Setup
        What to measure.
    kept : Kept
        Has what was done, and receives what is done; saved whatever happens.
    progress : callable, optional
        Is told how many units are done, and of how many.

    Returns
    -------
    dict
        The draws of each set-up, by its key, in the order of its seeds.
    """
    found: dict[str, list[Draw]] = {}
    setups = list(setups)
    total, done = sum(len(setup.seeds) for setup in setups), 0
    try:
        with one_blas_thread():
            for setup in setups:
                draws = found[setup.key] = []
                for seed in setup.seeds:
                    if progress is not None:
                        progress(done, total)
                    draw = kept.get(setup, seed)
                    if draw is None:
                        draw = {key: _plain(item) for key, item in setup.measure(seed).items()}
                        kept.put(setup, seed, draw)
                    draws.append(draw)
                    done += 1
    finally:
        kept.save()
    return found


def _plain(value: Any) -> Any:
    """As it is after writing and reading JSON, so that a resumed run has the same."""
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str | int | float) or value is None:
        return value
    raise TypeError(f"a set-up measured a {type(value).__name__}, which JSON does not have")


def one_blas_thread() -> AbstractContextManager[Any]:
    """Keep the linear algebra on one thread, if threadpoolctl, a part of scikit-learn, is there.

    Factors of many small matrices are slower on several threads, much slower when another program
    wants the cores, and their last bits depend on how many there are.

    Returns
    -------
    context manager
    """
    try:
        threadpoolctl = importlib.import_module("threadpoolctl")
    except ImportError:
        return nullcontext()
    limit: AbstractContextManager[Any] = threadpoolctl.threadpool_limits(1, "blas")
    return limit
