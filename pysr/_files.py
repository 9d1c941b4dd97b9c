"""Files: opened with errors that say what is wrong, written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TextIO

import numpy as np

# NDArray spelled out: stubtest looks for a class, and from NumPy 2.5 on it is none.
Array = np.ndarray[tuple[Any, ...], np.dtype[Any]]


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a file that takes the name `path` only when the block has ended well.

    The bytes go to a temporary file in the same directory, which is synced and renamed at the
    end. On any exception it is removed, and what stood at `path` stays as it was.
    """
    path = os.fspath(path)
    target = Path(os.path.realpath(path))
    mode = None
    with contextlib.suppress(FileNotFoundError):
        found = target.stat()
        if not stat.S_ISREG(found.st_mode):
            raise ValueError(f"{path}: not a regular file")
        if not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
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
            raise OSError(error.errno, error.strerror, path) from None
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


def open_npy(path: str | os.PathLike[str]) -> Array:
    """Memory-map one array of an .npy file, read-only."""
    path = os.fspath(path)
    with open(path, "rb") as file:
        magic = file.read(6)
    if magic[:2] == b"PK":
        raise ValueError(f"{path}: an .npz archive; expected an .npy file with one array")
    if magic != b"\x93NUMPY":
        raise ValueError(f"{path}: not an .npy file")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError:
        raise
    except Exception as error:  # NumPy parses a header as Python, and lets its errors through
        if "object" in str(error).lower():
            raise ValueError(f"{path}: holds Python objects, not numbers") from None
        text = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path}: damaged .npy file ({text})") from None
    return array  # type: ignore[no-any-return]


class Progress:
    """A bar on a terminal's last line, shown once the work has taken more than a second."""

    def __init__(self, total: int, stream: TextIO, wanted: bool | None, already: int = 0) -> None:
        self.total = total
        self.already = already
        self.stream = stream
        self.wanted = stream.isatty() if wanted is None else wanted
        self.start = time.monotonic()
        self.next = self.start + 1.0
        self.shown = False

    def update(self, done: int) -> None:
        now = time.monotonic()
        if not self.wanted or now < self.next:
            return
        self.next = now + 0.1
        self.shown = True
        fraction = done / self.total
        left = (now - self.start) * (self.total - done) / max(done - self.already, 1)
        tail = f" {100 * fraction:3.0f} %  {left:.0f} s left"
        width = max(10, min(50, shutil.get_terminal_size().columns - len(tail) - 3))
        bar = "#" * int(fraction * width)
        self.stream.write(f"\r[{bar:<{width}}]{tail}   ")
        self.stream.flush()

    def report(self, done: int, total: int) -> None:
        """Update it, where the work itself knows how much there is."""
        self.total = total
        self.update(done)

    def close(self) -> None:
        if self.shown:
            self.stream.write("\r\033[K" if self.stream.isatty() else "\n")
            self.stream.flush()


def check_progress(progress: Any) -> None:
    """Refuse what `reporter` cannot take."""
    if not (progress is None or isinstance(progress, bool) or callable(progress)):
        raise TypeError(f"progress must be a bool or a callable, not {progress!r}")


@contextlib.contextmanager
def reporter(
    progress: bool | Callable[[int, int], None] | None, total: int, already: int = 0
) -> Iterator[Callable[[int], None]]:
    """Give what is told how much is done: a bar, the caller's callable, or nothing."""
    if callable(progress):
        yield lambda done: progress(done, total)
    elif progress:
        bar = Progress(total, sys.stderr, True, already)
        try:
            yield bar.update
        finally:
            bar.close()
    else:
        yield lambda done: None
