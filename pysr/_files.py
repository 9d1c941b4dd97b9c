"""Files that appear only when they are complete."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a file that takes the name `path` only when the block has ended well.

    The bytes go to a temporary file in the same directory, which is synced and renamed at the
    end. On any exception it is removed, and what stood at `path` stays as it was.

    Parameters
    ----------
    path : path
        The file, which need not exist.

    Yields
    ------
    binary file

    Raises
    ------
    ValueError
        If `path` is there and not a regular file.
    OSError
        If it cannot be written; the error names `path`.
    """
    target = Path(os.path.realpath(path))
    mode = None
    with contextlib.suppress(FileNotFoundError):
        found = target.stat()
        if not stat.S_ISREG(found.st_mode):
            raise ValueError(f"{os.fspath(path)}: not a regular file")
        if not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))
        mode = stat.S_IMODE(found.st_mode)
    # The name is settled before the file exists, and removed at two levels: whenever the first
    # signal comes, one of them runs to its end. After a rename there is nothing left to remove.
    part = target.with_name(f".pysr-{secrets.token_hex(8)}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        try:
            with os.fdopen(os.open(part, flags, 0o666), "wb", buffering=1 << 20) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if mode is not None:
                os.chmod(part, mode)
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        if error.filename is None or Path(error.filename) == part:
            raise OSError(error.errno, error.strerror, os.fspath(path)) from None
        raise
    finally:
        part.unlink(missing_ok=True)
    _sync_directory(target.parent)


def _sync_directory(path: Path) -> None:
    """Make a rename durable, where the system can open a directory."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
