"""Factorizations, in binary64, of tall and thin matrices: in one pass over rows, rounded or not."""

from __future__ import annotations

import contextlib
import json
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import ArrayLike, DTypeLike, NDArray

from pysr._checkpoint import Checkpoint, checked
from pysr._core.formats import Format
from pysr._core.formats import format as to_format
from pysr._core.philox import Philox
from pysr._core.rounding import Rng, claim_words, round_runs
from pysr._core.tall import qr_rows
from pysr._core.threads import threads as default_threads
from pysr._files import check_progress, reporter
from pysr._streams import drawing
from pysr.arithmetic import a_thread_count
from pysr.linalg._rows import Rooms, Rows, open_rows

Matrix = NDArray[np.float64]
Source = ArrayLike | str | os.PathLike[str]

# Numbers of a piece, whose R is made on its own: some megabytes, which a cache holds. Pieces decide
# the last bits of R, so that they depend on the shape alone. They are whole tiles of the kernel.
_PIECE = 1 << 18
_TILE = 128
_MEMORY = 160 << 20  # bytes of all pieces at a time


def _piece_rows(d: int) -> int:
    """How many rows a piece has: many times those of its R."""
    rows = max(_PIECE // max(d, 1), min(16 * d, 8 * _PIECE // max(d, 1)), 1)
    return -(-rows // _TILE) * _TILE


def _at_once(d: int) -> int:
    """How many pieces there may be: each as it was read, in its carrier, rounded, and doubled."""
    return min(16, max(1, _MEMORY // (32 * _piece_rows(d) * max(d, 1))))


class _Rounding:
    """How a matrix is rounded on the fly: nothing, where the format is None."""

    def __init__(
        self,
        fmt: str | DTypeLike | Format | None,
        mode: str,
        eps: float,
        random_bits: int | str,
        variant: str,
        overflow: str | None,
    ) -> None:
        self.fmt = None if fmt is None else to_format(fmt)
        self.manner: dict[str, Any] = {
            "mode": mode,
            "eps": eps,
            "random_bits": random_bits,
            "variant": variant,
            "overflow": overflow,
        }
        self.words = (0, 0, 0)
        if mode == "sr_signed" and fmt is not None:
            raise ValueError("mode='sr_signed' needs a direction for every number")

    def __str__(self) -> str:
        return "" if self.fmt is None else f", rounded to {self.fmt},"

    def check(self, dtype: Any, rng: Rng) -> None:
        """Settle all arguments, drawing nothing."""
        self(np.empty((0, 1), dtype), 0, Rooms())
        if self.fmt is not None:
            claim_words(rng, 0, self.fmt, **self.manner)

    @contextlib.contextmanager
    def claim(self, rng: Rng, count: int, words: tuple[int, int, int] | None) -> Iterator[None]:
        """Draw the words of a call, and give them back if it fails."""
        if self.fmt is None:
            yield
            return
        if words is not None and rng is None:
            self.words = words
            yield
            return
        stream = getattr(rng, "bit_generator", rng)
        if not isinstance(stream, Philox):
            self.words = claim_words(rng, count, self.fmt, **self.manner)
            self._agree(rng, words)
            yield
            return
        claim = partial(claim_words, stream, count, self.fmt, **self.manner)
        with drawing(stream, claim) as self.words:
            self._agree(rng, words)
            yield

    def _agree(self, rng: Rng, words: tuple[int, int, int] | None) -> None:
        if words is not None and self.words != words:
            raise ValueError(
                f"rng={rng!r} draws other words than the run that the checkpoint is from"
            )

    def __call__(self, x: NDArray[Any], first: int, rooms: Rooms) -> NDArray[Any]:
        """Round the numbers from index `first` of the matrix on."""
        if self.fmt is None:
            return x
        starts = np.array([first], np.uint64)
        out = rooms.array("rounded", (x.shape[0], x.shape[1]), x.dtype)
        keywords = {**self.manner, "words": self.words, "fmt": self.fmt, "direction": None}
        return np.asarray(round_runs(x, starts, out=out, **keywords))


class _Checkpoint(Checkpoint):
    """R of the rows so far, in a file that is replaced from time to time."""

    def __init__(
        self, path: str | os.PathLike[str] | None, rows: Rows, rounding: _Rounding
    ) -> None:
        identity = None if path is None else rows.identity()
        what = {
            "matrix": {**(identity or {}), "shape": list(rows.shape)},
            "piece": _piece_rows(rows.shape[1]),  # on which the last bits of R depend
            "fmt": None if rounding.fmt is None else repr(rounding.fmt),
            **({} if rounding.fmt is None else rounding.manner),
        }
        super().__init__(path, "a factorization", what)
        if path is not None and identity is None:
            raise ValueError("checkpoint given for an array in memory: it is for files")

    def begun(self) -> tuple[int, Matrix, tuple[int, int, int]] | None:
        """Return the number of rows that are done, their R and the words of the run, if any."""
        saved = self.load()
        if saved is None:
            return None
        try:
            seed, stream, block = json.loads(str(saved["words"]))
            state = int(saved["done"]), np.array(saved["r"], np.float64)
        except Exception as error:  # whatever such a file may hold
            raise self.damaged(error) from None
        return *state, (int(seed), int(stream), int(block))

    def keep(self, done: int, r: Matrix, words: tuple[int, int, int], now: bool) -> None:
        """Save, now or if it is time."""
        if now or self.due():
            self.save(done=np.array(done), r=r, words=np.array(json.dumps(words)))


def _refuse(rows: Rows, rounding: _Rounding, first: int, last: int) -> None:
    """Say which number is why an R is not finite."""
    rooms = Rooms()
    given = rows.read(first, last, rooms)
    rounded = rounding(given, first * rows.shape[1], rooms)
    for x, name in ((given, rows.name), (rounded, f"{rows.name}{rounding}")):
        if not np.isfinite(x).all():
            i, j = (int(index) for index in np.argwhere(~np.isfinite(x))[0])
            raise ValueError(f"{name} is {float(x[i, j])} at {(first + i, j)}: all must be finite")


def _factor(
    rows: Rows,
    rounding: _Rounding,
    threads: int,
    report: Callable[[int], None],
    checkpoint: _Checkpoint,
    begun: tuple[int, Matrix] | None,
) -> Matrix:
    """R of all rows: that of pieces, put together in their order."""
    n, d = rows.shape
    step = _piece_rows(d)
    rooms = Rooms()

    def piece(first: int) -> Matrix:
        last = min(first + step, n)
        x = rounding(rows.read(first, last, rooms), first * d, rooms)
        if x.dtype != np.float64 or not x.flags.c_contiguous:
            double = rooms.array("double", (last - first, d), np.dtype(np.float64))
            double[...] = x
            x = double
        r = np.zeros((d, d))
        qr_rows(r, x)
        if not np.isfinite(r).all():
            _refuse(rows, rounding, first, last)
        return r

    def add(total: Matrix, r: Matrix) -> Matrix:
        # Into a copy: a signal may come before the rows are counted, and a checkpoint be kept.
        total = total.copy()
        qr_rows(total, r)
        return total

    done, total = (0, np.zeros((d, d))) if begun is None else begun
    try:
        with contextlib.ExitStack() as stack:
            if threads > 1 and n - done > step:
                pool = stack.enter_context(ThreadPoolExecutor(threads, "pysr-tsqr"))
                stack.callback(pool.shutdown, cancel_futures=True)
                running: deque[Future[Matrix]] = deque()
                ahead = done
                while done < n:
                    while ahead < n and len(running) <= threads:
                        running.append(pool.submit(piece, ahead))
                        ahead += step
                    total, done = add(total, running.popleft().result()), min(done + step, n)
                    report(done)
                    checkpoint.keep(done, total, rounding.words, now=False)
            else:
                while done < n:
                    total, done = add(total, piece(done)), min(done + step, n)
                    report(done)
                    checkpoint.keep(done, total, rounding.words, now=False)
    except BaseException as stop:
        if not isinstance(stop, Exception):  # by a user
            try:
                checkpoint.keep(done, total, rounding.words, now=True)
            except OSError as error:
                stop.add_note(f"what was done is lost: {error}")
        raise
    return total


def _wide(rows: Rows, rounding: _Rounding) -> Matrix:
    """R of a matrix that has fewer rows than columns, by LAPACK."""
    n = rows.shape[0]
    x = rounding(rows.read(0, n, rooms := Rooms()), 0, rooms)
    if not np.isfinite(x).all():
        _refuse(rows, rounding, 0, n)
    return np.asarray(np.linalg.qr(x.astype(np.float64), mode="r"))


def tsqr(
    a: Source,
    fmt: str | DTypeLike | Format | None = None,
    mode: str = "sr",
    *,
    rng: Rng = None,
    eps: float = 0.0,
    random_bits: int | str = "exact",
    variant: str = "a",
    overflow: str | None = None,
    threads: int | None = None,
    progress: bool | Callable[[int, int], None] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Matrix:
    """
    R of the QR factorization of a tall and thin matrix, which may be rounded before, accurately.

    The matrix is read once, some rows at a time, and rounded on the fly: neither it nor its rounded
    copy has to fit into memory. The factorization itself is in binary64. What is rounded here is
    the matrix; `qr` is for arithmetic in which every operation is.

    Parameters
    ----------
    a : array_like or path, shape (n, d)
        Finite real numbers: an array, a memory map, or the name of a file: ``.npy``, or
        Matrix Market's ``.mtx`` or ``.mtx.gz``. Numbers of a Matrix Market file are first put
        into a temporary file of 8 n d bytes, where `tempfile` has it.
    fmt : str, dtype or format, optional
        What `pysr.format` takes. By default nothing is rounded, and `mode`, `rng`, `eps`,
        `random_bits`, `variant` and `overflow` are not used.
    mode, rng, eps, random_bits, variant, overflow
        As in `pysr.round`, whose result on all of `a` is what is factorized, bit for bit. Mode
        "sr_signed" needs directions, and will not do.
    threads : int, optional
        At most so many, and fewer where their pieces would take more than 160 MiB. By default as in
        `pysr.round`. Results are the same.
    progress : bool or callable, optional
        True: a bar on stderr. A callable gets the numbers of rows done and of all.
    checkpoint : path, optional
        A file that keeps what has been done, every ten seconds and on KeyboardInterrupt: the
        same call goes on from there if `a` is a file or a memory map that has not changed since,
        with the seed of the first run if `rng` is None. It is removed at the end.

    Returns
    -------
    ndarray of float64, shape (min(n, d), d)
        Upper triangular, with a diagonal that is not negative.

    Raises
    ------
    ValueError
        If `a` is no matrix, a number, rounded or not, is not finite, a file is damaged or cut
        short, an argument is out of range, or the checkpoint is another run's.
    TypeError
        If `a` holds no real numbers.
    OSError
        If a file cannot be read, or written for want of space.
    OverflowError
        Under ``overflow="raise"``, as `pysr.round`.
    LinAlgError
        If a column's norm is beyond the range of float64.

    A call that raises draws nothing from a `pysr.Philox`; other generators have given a seed.

    See Also
    --------
    svdvals, smallest_singular_value
    pysr.distributed.tsqr : on several machines.

    Notes
    -----
    Householder reflections annihilate 128 rows at a time, which stay in the first-level cache;
    pieces of 2^18 numbers, of which each thread has one, are put together in their order. R is the
    same to the bit for every number of threads and on every path (for d <= n).

    References
    ----------
    J. Demmel, L. Grigori, M. Hoemmen, J. Langou, Communication-optimal parallel and sequential QR
    and LU factorizations, SIAM J. Sci. Comput. 34, 2012, section 4.

    Examples
    --------
    >>> a = np.vander(np.linspace(-1, 1, 10_000), 5)
    >>> R = pysr.linalg.tsqr(a)
    >>> bool(np.allclose(R.T @ R, a.T @ a))
    True
    >>> R = pysr.linalg.tsqr(a, "bfloat16", rng=7)
    >>> rounded = pysr.round(a, "bfloat16", rng=7)
    >>> bool(np.allclose(R.T @ R, rounded.T @ rounded))
    True
    """
    rounding = _Rounding(fmt, mode, eps, random_bits, variant, overflow)
    threads = a_thread_count(threads)
    check_progress(progress)
    rounding.check(np.float64, rng)  # before a file is read
    if checkpoint is not None:
        checked(checkpoint)
    with open_rows(a) as rows, contextlib.ExitStack() as stack:
        n, d = rows.shape
        rounding.check(rows.dtype, rng)
        kept = _Checkpoint(checkpoint, rows, rounding)
        state = kept.begun()
        count = min(_at_once(d), default_threads() if threads is None else threads)
        already = 0 if state is None else state[0]
        report = stack.enter_context(reporter(progress, n, already))
        stack.enter_context(rounding.claim(rng, n * d, None if state is None else state[2]))
        if min(n, d) == 0:
            r = np.zeros((0, d))
        elif n < d:
            r = _wide(rows, rounding)
        else:
            r = _factor(rows, rounding, count, report, kept, state and state[:2])
        if not np.isfinite(r).all():
            raise LinAlgError(
                "the norm of a column of a is beyond the range of float64: scale the matrix"
            )
        kept.remove()
    signs = np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return np.asarray(np.triu(r * signs[:, np.newaxis]) + 0.0)


def svdvals(
    a: Source,
    fmt: str | DTypeLike | Format | None = None,
    mode: str = "sr",
    *,
    rng: Rng = None,
    eps: float = 0.0,
    random_bits: int | str = "exact",
    variant: str = "a",
    overflow: str | None = None,
    threads: int | None = None,
    progress: bool | Callable[[int, int], None] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Matrix:
    """
    Singular values of a tall and thin matrix, which may be rounded before, accurately.

    Parameters
    ----------
    a, fmt, mode, rng, eps, random_bits, variant, overflow, threads, progress, checkpoint
        As in `tsqr`.

    Returns
    -------
    ndarray of float64, shape (min(n, d),)
        In descending order.

    Raises
    ------
    ValueError, TypeError, OSError, OverflowError, LinAlgError
        As `tsqr`.

    See Also
    --------
    tsqr, smallest_singular_value
    svd : with every operation rounded.

    Notes
    -----
    One-sided Jacobi rotations of R, by LAPACK's ``gejsv``, after `tsqr`. If A = B D with D
    diagonal, every singular value, the smallest too, has a relative error of about the condition
    number of B times 2^-53, however badly D scales the columns, and in whichever order they are,
    as long as they span no more than 300 decades; beyond, small ones come out as 0.
    Methods that first make R bidiagonal, as `numpy.linalg.svd` and `scipy.linalg.svdvals` do, lose
    those far below the largest; so does the Gram matrix, earlier.

    References
    ----------
    J. Demmel, K. Veselic, Jacobi's method is more accurate than QR, SIAM J. Matrix Anal. Appl. 13,
    1992. Z. Drmac, K. Veselic, New fast and accurate Jacobi SVD algorithm, SIAM J. Matrix Anal.
    Appl. 29, 2008.

    Examples
    --------
    >>> a = np.vander(np.linspace(-1, 1, 1000), 4) * [1e-20, 1.0, 1e10, 1e-5]
    >>> pysr.linalg.svdvals(a)
    array([1.82756851e+11, 1.41704388e+01, 2.10818335e-04, 4.79525235e-20])
    """
    r = tsqr(
        a,
        fmt,
        mode,
        rng=rng,
        eps=eps,
        random_bits=random_bits,
        variant=variant,
        overflow=overflow,
        threads=threads,
        progress=progress,
        checkpoint=checkpoint,
    )
    if r.shape[0] == 0:
        return np.zeros(0)
    tall = r if r.shape[0] == r.shape[1] else r.T
    from scipy.linalg.lapack import dgejsv  # not what `import pysr` waits for

    # C, F: columns of any scale, rows too; N: no vectors, nothing taken for 0, no transposition or
    # perturbation.
    joba = 0 if tall is r else 2
    scaled, _, _, work, _, info = dgejsv(tall, joba=joba, jobu=3, jobv=3, jobr=0, jobt=0, jobp=0)
    if info != 0:
        raise LinAlgError(f"Jacobi rotations did not converge (info={info})")
    with np.errstate(over="ignore"):
        values = np.asarray(scaled * (work[0] / work[1]))
    if not np.isfinite(values).all():
        raise LinAlgError("a singular value of a is beyond the range of float64: scale the matrix")
    return values


def smallest_singular_value(
    a: Source,
    fmt: str | DTypeLike | Format | None = None,
    mode: str = "sr",
    *,
    rng: Rng = None,
    eps: float = 0.0,
    random_bits: int | str = "exact",
    variant: str = "a",
    overflow: str | None = None,
    threads: int | None = None,
    progress: bool | Callable[[int, int], None] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> float:
    """
    Smallest singular value of a tall and thin matrix, which may be rounded before, accurately.

    Parameters
    ----------
    a, fmt, mode, rng, eps, random_bits, variant, overflow, threads, progress, checkpoint
        As in `tsqr`.

    Returns
    -------
    float
        The last of `svdvals`.

    Raises
    ------
    ValueError, TypeError, OSError, OverflowError, LinAlgError
        As `tsqr`; ValueError also if `a` has no elements.

    See Also
    --------
    svdvals, pysr.distributed.smallest_singular_value

    Examples
    --------
    A column that stands there twice makes it 0. Rounding to nearest rounds both alike;
    stochastic rounding does not:

    >>> a = np.random.default_rng(1).uniform(-1, 1, (1000, 10))
    >>> a[:, 9] = a[:, 0]
    >>> print(f"{pysr.linalg.smallest_singular_value(a, 'Q1.7', 'rne'):.3f}")
    0.000
    >>> print(f"{pysr.linalg.smallest_singular_value(a, 'Q1.7', 'sr', rng=7):.3f}")
    0.1...
    """
    values = svdvals(
        a,
        fmt,
        mode,
        rng=rng,
        eps=eps,
        random_bits=random_bits,
        variant=variant,
        overflow=overflow,
        threads=threads,
        progress=progress,
        checkpoint=checkpoint,
    )
    if values.size == 0:
        raise ValueError("a has no elements, and no smallest singular value")
    return float(values[-1])
