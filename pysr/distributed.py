"""Dask arrays, rounded and factorized in pieces, by any of Dask's schedulers: docs/distributed.md.

The random bits of an element are those of its index in the whole array: results of `round` do not
depend on chunks, workers, or what is computed twice because a worker was lost. Dask is needed:
``pip install srcore[distributed]``.

>>> import dask.array as da
>>> x = da.linspace(-1, 1, 1000, chunks=130)
>>> y = pysr.distributed.round(x, "bfloat16", rng=7)
>>> bool((y.compute() == pysr.round(x.compute(), "bfloat16", rng=7)).all())
True
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from pysr import linalg as _dense
from pysr import round as _round
from pysr._core.formats import Format
from pysr._core.formats import format as _format
from pysr._core.rounding import Rng, carriers, claim_words, round_runs

try:
    import dask.array as da
    from dask.base import tokenize
except ImportError as _error:
    raise ImportError("pysr.distributed needs Dask: pip install srcore[distributed]") from _error

# As in pysr, `round` stays out: it would shadow the builtin under `import *`.
__all__ = ["smallest_singular_value", "svdvals", "tsqr"]


# ---- rounding ------------------------------------------------------------------------------------


def _check(x: Any, name: str) -> None:
    """Refuse what is no Dask array, or one of unknown shape."""
    if not isinstance(x, da.Array):
        raise TypeError(
            f"{name} must be a dask array, not {type(x).__name__}: others are for pysr.round "
            "and pysr.linalg"
        )
    if any(math.isnan(length) for length in x.shape):
        raise ValueError(
            f"{name} has chunks of unknown size, shape {x.shape}: call "
            f"{name}.compute_chunk_sizes() before"
        )


def _spread(x: Any, direction: Any) -> tuple[Any, Any]:
    """Both in their common shape, in chunks of x where x has the axis."""
    try:
        shape = np.broadcast_shapes(x.shape, direction.shape)
    except ValueError:
        raise ValueError(
            f"shapes do not broadcast: x {x.shape}, direction {direction.shape}"
        ) from None
    chunks = []
    for axis in range(-len(shape), 0):
        has = -axis <= x.ndim and x.shape[axis] == shape[axis]
        chunks.append((x if has else direction).chunks[axis])
    pieces = []
    for array in (x, direction):
        own = zip(array.shape, chunks[len(shape) - array.ndim :], strict=True)
        array = array.rechunk(tuple(c if sum(c) == length else (length,) for length, c in own))
        pieces.append(da.broadcast_to(array, shape, chunks=tuple(chunks)))
    return pieces[0], pieces[1]


def _starts(location: list[tuple[int, int]], shape: tuple[int, ...]) -> NDArray[np.uint64]:
    """The index of the first element of each run that a block is made of, in C order."""
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    first = sum(start * stride for (start, _), stride in zip(location, strides, strict=True))
    starts = np.array([first], np.uint64)
    # Within the last axis that is cut, and those behind it, elements are in one run.
    cut = [axis for axis, (start, stop) in enumerate(location) if stop - start != shape[axis]]
    for axis in range(max(cut, default=0)):
        steps = np.arange(location[axis][1] - location[axis][0], dtype=np.uint64)
        starts = np.add.outer(starts, steps * np.uint64(strides[axis])).ravel()
    return starts


def _round_block(x: Any, *direction: Any, block_info: Any, **manner: Any) -> NDArray[Any]:
    """One block of a call of `round`."""
    starts = _starts(block_info[0]["array-location"], block_info[0]["shape"])
    return round_runs(x, starts, direction=direction[0] if direction else None, **manner)


def round(
    x: da.Array,
    fmt: str | DTypeLike | Format,
    mode: str = "sr",
    *,
    rng: Rng = None,
    eps: float = 0.0,
    direction: da.Array | ArrayLike | None = None,
    random_bits: int | str = "exact",
    variant: str = "a",
    overflow: str | None = None,
) -> da.Array:
    """
    Round a Dask array to the values of a format, lazily.

    Parameters
    ----------
    x : dask array
        Of known shape, in any chunks. Types are kept and widened as by `pysr.round`, which is
        there for NumPy's arrays.
    fmt, mode, eps, random_bits, variant, overflow
        As in `pysr.round`.
    rng : None, int, SeedSequence, Generator, BitGenerator or Philox, optional
        As in `pysr.round`, and used when the graph is made, not when it is computed: None draws a
        seed, a Generator gives one, and a `pysr.Philox` moves past the words of the call. Tasks
        carry integers, so that what is computed again gets the same bits.
    direction : dask array or array_like, optional
        For mode "sr_signed", and needed there: only its sign counts. Broadcasts with `x`.

    Returns
    -------
    dask array
        Of the chunks of `x`; along axes that `x` has not, those of `direction`. It is to the bit
        what `pysr.round` makes of the whole arrays. Equal calls with equal integer seeds have equal
        names.

    Raises
    ------
    ValueError
        If an argument is out of range, shapes do not fit or are not known, or float32 `x` cannot
        hold the format.
    TypeError
        If an argument has the wrong type.
    OverflowError
        When it is computed: under "raise", naming an element beyond the range by its index in the
        whole array, the first one of its block; under "wrap", if one is infinite. A stream has
        moved on by then.

    See Also
    --------
    pysr.round

    Notes
    -----
    A task runs on one thread: the scheduler has others to give. A block that spans all but
    the first axes is rounded in one run, another one row by row, which takes 0.1 to 0.3 us a row.

    Examples
    --------
    >>> import dask.array as da
    >>> x = da.full((300, 400), 0.3, chunks=(100, 150))
    >>> y = pysr.distributed.round(x, "float8_e4m3fn", rng=7)
    >>> y.chunks == x.chunks
    True
    >>> np.unique(y.compute())
    array([0.28125, 0.3125 ])
    """
    _check(x, "x")
    arrays = [x]
    if direction is not None:
        direction = da.asarray(direction)
        _check(direction, "direction")
        arrays = list(_spread(x, direction))
    manner: dict[str, Any] = {
        "fmt": _format(fmt),
        "mode": mode,
        "eps": eps,
        "random_bits": random_bits,
        "variant": variant,
        "overflow": overflow,
    }
    # What is wrong with arguments shows on arrays without elements.
    nothing = [np.empty(0, array.dtype) for array in arrays]
    result = _round(
        nothing[0], rng=rng, direction=None if direction is None else nothing[1], **manner
    )
    n = math.prod(arrays[0].shape)
    if n >= 2**64:
        raise ValueError(f"x has {n} elements: indices must stay below 2**64")
    manner["words"] = claim_words(rng, n, **manner)
    return da.map_blocks(
        _round_block,
        *arrays,
        name=f"round-{tokenize(*arrays, **manner)}",
        meta=np.empty((0,) * arrays[0].ndim, result.dtype),
        **manner,
    )


# ---- tall and thin matrices ----------------------------------------------------------------------


def _leaf(a: Any, what: str, block_info: Any) -> NDArray[np.float64]:
    """R of a block of rows."""
    (a,) = carriers(a=a)
    if not np.isfinite(a).all():
        i, j = (int(index) for index in np.argwhere(~np.isfinite(a))[0])
        at = block_info[0]["array-location"][0][0] + i, j
        raise ValueError(f"{what} is {float(a[i, j])} at {at}: all must be finite")
    return _dense.tsqr(a, threads=1)


def _same(r: Any, axis: Any, keepdims: bool) -> Any:
    return r


def _merge(rs: Any, axis: Any, keepdims: bool) -> Any:
    """R of two Rs, one above the other; of one, itself."""
    if not isinstance(rs, list):
        return rs
    return rs[0] if len(rs) == 1 else _dense.tsqr(np.concatenate(rs), threads=1)


def tsqr(
    a: da.Array,
    fmt: str | DTypeLike | Format | None = None,
    mode: str = "sr",
    *,
    rng: Rng = None,
    eps: float = 0.0,
    random_bits: int | str = "exact",
    variant: str = "a",
    overflow: str | None = None,
) -> da.Array:
    """
    R of the QR factorization of a tall and thin Dask matrix, rounded before if wanted, lazily.

    Parameters
    ----------
    a : dask array, shape (n, d)
        Finite. Chunks of rows; where columns are cut, they are put together first by ``rechunk``.
    fmt : str, dtype or format, optional
        What `pysr.format` takes. The matrix is rounded to it as by `round`, R is not. By default
        nothing is rounded, and the other arguments are not used.
    mode, rng, eps, random_bits, variant, overflow
        As in `round`.

    Returns
    -------
    dask array of float64, shape (min(n, d), d)
        Upper triangular, in one chunk, with a diagonal that is not negative.

    Raises
    ------
    ValueError, TypeError, OverflowError
        As `round`; ValueError also if `a` is no matrix and, when it is computed, if a number,
        rounded or not, is not finite.

    See Also
    --------
    pysr.linalg.tsqr : of a NumPy array or a file.

    Notes
    -----
    The rounded matrix does not depend on chunks. R does, in its last bits, for it is made by a tree
    whose shape is fixed by the number of chunks: R of each, then of pairs of neighbours,
    one above the other, until one is left. The same chunks give the same R, whatever the
    workers and their order. A task holds a chunk, or two matrices of d x d: no task grows with
    the number of chunks, as the last one of ``dask.array.linalg.tsqr`` does.

    References
    ----------
    J. Demmel, L. Grigori, M. Hoemmen, J. Langou, Communication-optimal parallel and sequential QR
    and LU factorizations, SIAM J. Sci. Comput. 34, 2012, section 4.

    Examples
    --------
    >>> import dask.array as da
    >>> a = da.random.default_rng(1).standard_normal((10_000, 3), chunks=(3000, 3))
    >>> R = pysr.distributed.tsqr(a, "bfloat16", rng=7).compute()
    >>> whole = pysr.round(a.compute(), "bfloat16", rng=7)
    >>> bool(np.allclose(R.T @ R, whole.T @ whole))
    True
    """
    _check(a, "a")
    if a.ndim != 2:
        raise ValueError(f"a has shape {a.shape}: a matrix is needed")
    carriers(a=np.empty(0, a.dtype))
    a = a.rechunk({1: -1}, method="tasks")
    name = "a"
    if fmt is not None:
        fmt = _format(fmt)
        name = f"a, rounded to {fmt},"
        a = round(
            a,
            fmt,
            mode,
            rng=rng,
            eps=eps,
            random_bits=random_bits,
            variant=variant,
            overflow=overflow,
        )
    n, d = a.shape
    k = min(n, d)
    if k == 0:
        return da.zeros((k, d))
    meta = np.empty((0, 0))
    rows = tuple(min(length, d) for length in a.chunks[0])
    token = tokenize(a)
    leaves = da.map_blocks(
        _leaf, a, name=f"tsqr-chunk-{token}", chunks=(rows, (d,)), meta=meta, what=name
    )
    return da.reduction(
        leaves,
        chunk=_same,
        aggregate=_merge,
        axis=0,
        keepdims=True,
        concatenate=False,
        split_every=2,
        output_size=k,
        dtype=meta.dtype,
        meta=meta,
        name=f"tsqr-{token}",
    )


def _svdvals_of(r: Any) -> NDArray[np.float64]:
    return _dense.svdvals(r, threads=1)


def svdvals(
    a: da.Array,
    fmt: str | DTypeLike | Format | None = None,
    mode: str = "sr",
    *,
    rng: Rng = None,
    eps: float = 0.0,
    random_bits: int | str = "exact",
    variant: str = "a",
    overflow: str | None = None,
) -> da.Array:
    """
    Singular values of a tall and thin Dask matrix, rounded before if wanted, lazily.

    Parameters
    ----------
    a, fmt, mode, rng, eps, random_bits, variant, overflow
        As in `tsqr`.

    Returns
    -------
    dask array of float64, shape (min(n, d),)
        In descending order: those of R, by one-sided Jacobi rotations.

    Raises
    ------
    ValueError, TypeError, OverflowError
        As `tsqr`.

    See Also
    --------
    pysr.linalg.svdvals : of a NumPy array or a file.

    Examples
    --------
    >>> import dask.array as da
    >>> a = da.concatenate([da.eye(3), 3 * da.ones((1, 3))])
    >>> pysr.distributed.svdvals(a).compute().round(6)
    array([5.291503, 1.      , 1.      ])
    """
    R = tsqr(
        a,
        fmt,
        mode,
        rng=rng,
        eps=eps,
        random_bits=random_bits,
        variant=variant,
        overflow=overflow,
    )
    k = min(R.shape)
    return R.map_blocks(
        _svdvals_of,
        name=f"svdvals-{tokenize(R)}",
        drop_axis=1,
        chunks=((k,),),
        meta=np.empty(0),
    )


def smallest_singular_value(
    a: da.Array,
    fmt: str | DTypeLike | Format | None = None,
    mode: str = "sr",
    *,
    rng: Rng = None,
    eps: float = 0.0,
    random_bits: int | str = "exact",
    variant: str = "a",
    overflow: str | None = None,
) -> da.Array:
    """
    Smallest singular value of a tall and thin Dask matrix, rounded before if wanted, lazily.

    Parameters
    ----------
    a, fmt, mode, rng, eps, random_bits, variant, overflow
        As in `tsqr`.

    Returns
    -------
    dask array of float64, shape ()
        The last of `svdvals`.

    Raises
    ------
    ValueError, TypeError, OverflowError
        As `tsqr`; ValueError also if `a` has no elements.

    See Also
    --------
    pysr.linalg.smallest_singular_value : of a NumPy array or a file.

    Examples
    --------
    >>> import dask.array as da
    >>> a = da.full((10_000, 3), 0.3, chunks=(3000, 3))         # of rank one, but for the rounding
    >>> to_nearest = pysr.distributed.smallest_singular_value(a, "bfloat16", "rne")
    >>> stochastic = pysr.distributed.smallest_singular_value(a, "bfloat16", "sr", rng=7)
    >>> bool(to_nearest.compute() < 1e-12 < 0.01 < stochastic.compute())
    True
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
    )
    if values.size == 0:
        raise ValueError(f"a has shape {a.shape}: it has no singular values")
    return values[-1]
