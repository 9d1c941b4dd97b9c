"""Where the rows of a tall matrix come from: an array, or a file that is larger than memory."""

from __future__ import annotations

import contextlib
import gzip
import os
import sys
import tempfile
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pysr._core.rounding import carriers
from pysr._files import open_npy
from pysr.array import RoundedArray

Values = NDArray[Any]
_TEXTS = (".mtx", ".mtx.gz")
_TEXT = 1 << 20  # bytes of a text file at a time


class Rooms(threading.local):
    """Each thread's own arrays, used again and again: new ones would cost more than the work."""

    def __init__(self) -> None:
        self.rooms: dict[str, Values] = {}

    def array(self, name: str, shape: tuple[int, int], dtype: np.dtype[Any]) -> Values:
        """Return an array with anything in it, until it is asked for again."""
        size = shape[0] * shape[1] * dtype.itemsize
        room = self.rooms.get(name)
        if room is None or room.size < size:
            room = self.rooms[name] = np.empty(size, np.uint8)
        return room[:size].view(dtype).reshape(shape)


class Rows:
    """
    An n x d matrix of real numbers, read some rows at a time, by several threads.

    Attributes
    ----------
    shape : tuple of int
    dtype : dtype
        What `read` returns: float32 or float64.
    name : str
        For errors.
    """

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    name = "a"

    def identity(self) -> dict[str, Any] | None:
        """Return what tells the matrix from others, for a checkpoint; None if nothing does."""
        return None

    def read(self, first: int, last: int, rooms: Rooms) -> Values:
        """Return rows, native float32 or float64, which may be in a room."""
        raise NotImplementedError

    def _settle(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """Check the shape, and the type by a matrix without elements."""
        if len(shape) != 2:
            raise ValueError(f"a has shape {shape}: a matrix is needed")
        self.shape = shape
        self.dtype = carriers(a=np.empty((0, shape[1]), dtype))[0].dtype


class ArrayRows(Rows):
    """Of an array in memory, or of a memory map."""

    def __init__(self, a: Any) -> None:
        if isinstance(a, RoundedArray):
            a = a.values
        # What is no array of numbers yet is made one as everywhere; others keep their type.
        if not isinstance(a, np.ndarray) or a.dtype.kind not in "fiub":
            (a,) = carriers(a=a)
        if isinstance(a, np.ma.MaskedArray):
            carriers(a=a)  # raises
        self._settle(a.shape, a.dtype)
        self.a = np.asarray(a)
        self.mapped = a if isinstance(a, np.memmap) and a.filename is not None else None

    def identity(self) -> dict[str, Any] | None:
        a = self.mapped
        if a is None or a.mode == "c":  # whose pages are no longer those of the file
            return None
        start = np.frombuffer(a._mmap, np.uint8).ctypes.data  # type: ignore[attr-defined]
        return {
            **_identity(Path(a.filename)),  # type: ignore[arg-type]
            "offset": int(a.offset),  # of what was mapped, of which this may be a part
            "position": a.ctypes.data - start,
            "strides": list(a.strides),
            "dtype": a.dtype.str,
        }

    def read(self, first: int, last: int, rooms: Rooms) -> Values:
        return np.asarray(carriers(a=self.a[first:last])[0])


class NpyRows(Rows):
    """Of an .npy file: read, not mapped, so that a file cut short meanwhile is an error."""

    def __init__(self, path: Path, given: Path | None = None) -> None:
        array = open_npy(path)
        self.path = path if given is None else given
        self.name = f"{self.path}: a"
        try:
            self._settle(array.shape, array.dtype)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{self.path}: {error}") from None
        self.stored = array.dtype
        self.by_columns = array.flags.f_contiguous and not array.flags.c_contiguous
        self.start = int(getattr(array, "offset", 0))  # absent where nothing could be mapped
        self.file: IO[bytes] = open(path, "rb", buffering=0)  # noqa: SIM115
        self.lock = threading.Lock()

    def identity(self) -> dict[str, Any] | None:
        return _identity(self.path)

    def close(self) -> None:
        self.file.close()

    def read(self, first: int, last: int, rooms: Rooms) -> Values:
        n, d = self.shape
        size = self.stored.itemsize
        if self.by_columns:
            turned = rooms.array("read", (d, last - first), self.stored)
            for j in range(d):
                self._fill(turned[j], self.start + (j * n + first) * size)
            rows = turned.T
        else:
            rows = rooms.array("read", (last - first, d), self.stored)
            self._fill(rows, self.start + first * d * size)
        return np.asarray(carriers(a=rows)[0])

    def _fill(self, room: Values, position: int) -> None:
        view = memoryview(room.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
        while view:
            if hasattr(os, "preadv"):
                count = os.preadv(self.file.fileno(), [view], position)
            else:
                with self.lock:
                    self.file.seek(position)
                    count = self.file.readinto(view) or 0  # type: ignore[attr-defined]
            if count == 0:
                raise ValueError(f"{self.path}: cut short, at {position} bytes")
            view = view[count:]
            position += count


@contextlib.contextmanager
def open_rows(a: Any) -> Iterator[Rows]:
    """
    Open a matrix by rows: an array_like, or the path of an .npy or Matrix Market file.

    Raises
    ------
    ValueError, TypeError
        If it is no matrix of real numbers.
    OSError
        If a file cannot be read, or a Matrix Market file's numbers cannot be kept.
    """
    if not isinstance(a, (str, bytes, os.PathLike)):
        yield ArrayRows(a)
        return
    name = os.fsdecode(a)
    if "\0" in name or not name.endswith((".npy", *_TEXTS)):
        raise ValueError(f"a={name!r}: the name of an .npy, .mtx or .mtx.gz file is needed")
    path = Path(name)
    if name.endswith(".npy"):
        with contextlib.closing(NpyRows(path)) as rows:
            yield rows
    else:
        with _numbers(path) as binary, contextlib.closing(NpyRows(binary, path)) as rows:
            yield rows


def _identity(path: Path) -> dict[str, Any]:
    found = path.stat()
    return {"path": str(path.resolve()), "size": found.st_size, "changed": found.st_mtime_ns}


# ---- Matrix Market -------------------------------------------------------------------------------


@contextlib.contextmanager
def _numbers(path: Path) -> Iterator[Path]:
    """
    Put the numbers of a Matrix Market file into a temporary .npy file, which holds all of them.

    Rows are scattered over the text, so that it has to be read whole before the first one is there.
    """
    with path.open("rb"):
        pass  # an OSError that names the file
    from scipy.io import mminfo  # not what `import pysr` waits for

    try:
        n, d, entries, form, field, symmetry = mminfo(str(path))
    except Exception as error:  # of several types, by SciPy's version
        raise ValueError(f"{path}: damaged Matrix Market file ({error})") from None
    if field == "complex":
        raise TypeError(f"{path}: holds complex numbers")
    if 8 * n * d > sys.maxsize:
        raise ValueError(f"{path}: {n} x {d} numbers, which no file can keep")
    text = _text(path, field == "integer")
    with tempfile.TemporaryDirectory(prefix="pysr-") as folder:
        binary = Path(folder) / "rows.npy"
        try:
            width = 2 if field == "pattern" else 3
            if symmetry != "general":
                skew = symmetry == "skew-symmetric"
                _square(
                    path,
                    binary,
                    text,
                    (n * (n - 1) // 2 if skew else n * (n + 1) // 2)
                    if form == "array"
                    else entries * width,
                )
            elif form == "array":
                _dense(path, binary, text, n, d)
            else:
                _sparse(path, binary, text, n, d, entries, width)
        except OSError as error:
            if error.filename is not None and Path(error.filename) == path:
                raise
            what = f"{error.strerror}, keeping the numbers of {path} ({8 * n * d} bytes)"
            raise OSError(error.errno, what, str(folder)) from None
        yield binary


def _square(path: Path, binary: Path, text: Iterator[Values], wanted: int) -> None:
    """A matrix with a symmetry is square, and no larger than its R."""
    from scipy.io import mmread

    found = sum(values.size for values in text)
    if found != wanted:
        raise _short(path, found, wanted)
    try:
        matrix = mmread(str(path))
    except Exception as error:
        raise ValueError(f"{path}: damaged Matrix Market file ({error})") from None
    np.save(binary, matrix.toarray() if hasattr(matrix, "toarray") else matrix)


def _text(path: Path, integers: bool) -> Iterator[Values]:
    """The numbers behind the header, some at a time."""
    try:
        with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as file:
            line = b"%"
            while line and (not line.strip() or line.lstrip().startswith(b"%")):
                line = file.readline()  # to that of the sizes
            rest = b""
            while block := file.read(_TEXT):
                whole, _, rest = (rest + block).rpartition(b"\n")
                yield from _parsed(path, whole, integers)
            yield from _parsed(path, rest, integers)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: damaged, or cut short ({error})") from None


def _parsed(path: Path, text: bytes, integers: bool) -> Iterator[Values]:
    """The numbers of some lines, if there are any."""
    tokens = text.split()
    if not tokens:
        return
    for bad in (b"_", b"\0"):  # which NumPy would take
        if bad in text:
            token = next(token for token in tokens if bad in token)
            raise ValueError(f"{path}: {token.decode(errors='replace')!r} is no number")
    try:
        values = np.array(tokens).astype(np.float64)
    except ValueError:
        values = np.empty(len(tokens))
        for i, token in enumerate(tokens):
            try:
                values[i] = float(token.upper().replace(b"D", b"E"))  # as Fortran writes them
            except ValueError:
                raise ValueError(
                    f"{path}: {token.decode(errors='replace')!r} is no number"
                ) from None
    if integers:
        for at in np.flatnonzero((values != np.floor(values)) | ~(np.abs(values) < 2.0**53)):
            word = tokens[at].decode(errors="replace")
            if not word.lstrip("+-").isdigit() or int(word) != int(values[at]):
                raise ValueError(f"{path}: {word} is no integer, or not exact in float64")
    yield values


def _short(path: Path, found: int, wanted: int) -> ValueError:
    return ValueError(f"{path}: {found} numbers where the header says {wanted}: cut short")


def _dense(path: Path, binary: Path, text: Iterator[Values], n: int, d: int) -> None:
    """Column by column, as the text has them."""
    done = 0
    with binary.open("wb") as file:
        header = {"descr": "<f8", "fortran_order": True, "shape": (n, d)}
        np.lib.format.write_array_header_1_0(file, header)
        for values in text:
            done += values.size
            if done > n * d:
                raise ValueError(f"{path}: more than the {n * d} numbers that the header says")
            file.write(values.astype("<f8").tobytes())
    if done != n * d:
        raise _short(path, done, n * d)


def _sparse(
    path: Path, binary: Path, text: Iterator[Values], n: int, d: int, entries: int, width: int
) -> None:
    """Entries in any order; those of one place are added, as by SciPy."""
    with binary.open("wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (n, d)}
        np.lib.format.write_array_header_1_0(file, header)
        start, size = file.tell(), 8 * n * d
        # What is written through a map finds no full disk: a signal would end the process.
        if hasattr(os, "posix_fallocate") and size:
            os.posix_fallocate(file.fileno(), 0, start + size)
        else:
            for at in range(0, size, _TEXT):
                file.write(bytes(min(_TEXT, size - at)))
    flat = np.memmap(binary, "<f8", "r+", start, (n * d,)) if size else np.zeros(0)
    done, rest = 0, np.zeros(0)
    for values in text:
        values = np.concatenate([rest, values])
        count = values.size // width
        rest = values[count * width :]
        triples = values[: count * width].reshape(count, width)
        rows, columns = triples[:, 0] - 1, triples[:, 1] - 1
        for places, length, what in ((rows, n, "row"), (columns, d, "column")):
            bad = np.flatnonzero(
                (places != np.floor(places)) | ~((places >= 0) & (places < length))
            )
            if bad.size:
                raise ValueError(
                    f"{path}: entry {done + int(bad[0]) + 1} is in {what} "
                    f"{places[bad[0]] + 1:g} of {length}"
                )
        done += count
        if done > entries:
            raise ValueError(f"{path}: more than the {entries} entries that the header says")
        places = rows.astype(np.intp) * d + columns.astype(np.intp)
        np.add.at(flat, places, 1.0 if width == 2 else triples[:, 2])
    if done != entries or rest.size:
        raise _short(path, done * width + rest.size, entries * width)
