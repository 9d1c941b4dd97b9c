"""Where a long call is, kept in a file from which another process goes on."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import time
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from pysr._files import Array, replacing

_SAVE_EVERY = 10.0  # seconds


def checked(path: str | os.PathLike[str]) -> str:
    """A path that a file could be put at, before anything is done."""
    try:
        text = os.fsdecode(path)
    except TypeError:
        raise TypeError(f"checkpoint must be a path, not {path!r}") from None
    folder = os.path.dirname(os.path.realpath(text))
    if not text or "\0" in text or os.path.isdir(text):
        raise ValueError(f"checkpoint={text!r} cannot be the name of a file")
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, "checkpoint in a directory that is not there", text)
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, "checkpoint in a directory that is read-only", text)
    return text


class Checkpoint:
    """
    Arrays in a file that is replaced, whole or not at all, from time to time.

    Parameters
    ----------
    path : path or None
        With None nothing is ever saved.
    kind : str
        What the call does, for errors: "a factorization".
    what : mapping
        All that the result depends on, as JSON has it: a file of another run is refused.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None, kind: str, what: Mapping[str, Any]
    ) -> None:
        self.path = None if path is None else checked(path)
        self.kind = kind
        self.what = dict(what)
        self.saved = time.monotonic()

    def load(self) -> dict[str, Array] | None:
        """
        Return the arrays that were saved, if any.

        Raises
        ------
        ValueError
            If the file is no checkpoint, or one of another run.
        """
        if self.path is None:
            return None
        try:
            with open(self.path, "rb") as file, zipfile.ZipFile(file):
                pass  # no other file that NumPy reads
            with np.load(self.path, allow_pickle=False) as saved:
                arrays = {name: np.asarray(saved[name]) for name in saved.files}
            what = dict(json.loads(str(arrays.pop("what"))))
        except FileNotFoundError:
            return None
        except OSError:
            raise
        except Exception as error:  # whatever a file can do to NumPy and its like
            raise self.damaged(error) from None
        wanted = json.loads(json.dumps(self.what))
        if what != wanted:
            keys = [key for key in {**wanted, **what} if what.get(key) != wanted.get(key)]
            raise ValueError(
                f"{self.path}: a checkpoint of another run: "
                + ", ".join(f"{key} was {what.get(key)}, is {wanted.get(key)}" for key in keys)
            )
        return arrays

    def damaged(self, why: object) -> ValueError:
        """The error about a file that holds something else."""
        return ValueError(f"{self.path}: no checkpoint of {self.kind} ({why})")

    def due(self) -> bool:
        """Whether it is time to save."""
        return self.path is not None and time.monotonic() - self.saved > _SAVE_EVERY

    def save(self, **arrays: Any) -> None:
        """Replace the file."""
        if self.path is None:
            return
        room = io.BytesIO()
        np.savez(room, what=np.array(json.dumps(self.what)), **arrays)
        with replacing(self.path) as file:
            file.write(room.getbuffer())
        self.saved = time.monotonic()

    def remove(self) -> None:
        """Delete the file, and a link to it."""
        if self.path is not None:
            for path in {os.path.realpath(self.path), self.path}:
                with contextlib.suppress(FileNotFoundError):
                    os.remove(path)
