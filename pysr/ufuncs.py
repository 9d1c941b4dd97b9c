"""NumPy ufuncs whose results are rounded."""

from __future__ import annotations

import copyreg
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import DTypeLike

from pysr._core import ufuncs as _core
from pysr._core.formats import Format
from pysr._core.paths import path

__all__ = ["gufunc", "ufunc"]

_CACHE_SIZE = 256
_cache: OrderedDict[Any, np.ufunc] = OrderedDict()
_lock = threading.RLock()
if hasattr(os, "register_at_fork"):  # no child finds it locked by a thread that it does not have
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )

_RESULTS = {
    "round": "x",
    "add": "x + y",
    "sub": "x - y",
    "mul": "x * y",
    "div": "x / y",
    "sqrt": "the square root of x",
    "fma": "x * y + z",
}


def _describe(by_rows: bool, given: _core.Arguments) -> tuple[str, str]:
    """Name and docstring."""
    op, fmt, mode, seed, stream, *_ = given
    name = f"{op}_{fmt.name or type(fmt).__name__}_{mode}"
    *values, last = names = _core.operands(given)
    indexed = last == "index"
    if not indexed:
        values = list(names)
    directed = "direction" in values
    if directed:
        values.remove("direction")
    lines = [
        f"{'' if op == 'round' else 'The exact value of '}{_RESULTS[op]}, "
        f"rounded once to {fmt}, mode {mode!r}.",
        "",
        "Parameters",
        "----------",
        f"{', '.join(values)} : array_like",
        "    float32 or float64; smaller types are widened, integers of 64 bits have to be exact.",
    ]
    if directed:
        lines += ["direction : array_like", "    Only its sign counts."]
    if indexed:
        lines += [
            "index : array_like of int",
            f"    {'Of the first element of each row' if by_rows else 'Of each element'}: "
            f"its place in the keystream of seed {seed}, stream {stream}.",
        ]
    lines += [
        "",
        "Returns",
        "-------",
        "ndarray or scalar",
        "    float32 where the values and the format allow it, else float64.",
        "",
        "See Also",
        "--------",
        f"pysr.{'gufunc' if by_rows else 'ufunc'}",
    ]
    return name, "\n".join(lines)


def _cached(by_rows: bool, given: _core.Arguments) -> np.ufunc:
    key = by_rows, given, path()
    with _lock:
        found = _cache.get(key)
        if found is None:
            found = _cache[key] = _core.make(by_rows, given, *_describe(by_rows, given))
            if len(_cache) > _CACHE_SIZE:
                _cache.popitem(last=False)
        else:
            _cache.move_to_end(key)
        return found


def ufunc(
    op: str,
    fmt: str | DTypeLike | Format,
    mode: str = "sr",
    *,
    seed: int = 0,
    stream: int = 0,
    eps: float = 0.0,
    random_bits: int | str = "exact",
    variant: str = "a",
    overflow: str | None = None,
) -> np.ufunc:
    """
    Make a NumPy ufunc whose exact results are rounded once to a format.

    Its operands are those of `op`, then, in mode "sr_signed", `direction`, then, in modes that draw
    random bits, `index`. A ufunc has no stream that moves on: what an element becomes is decided by
    its operands alone, in whatever order and pieces NumPy or another library takes them.

    Parameters
    ----------
    op : {"round", "add", "sub", "mul", "div", "sqrt", "fma"}
        ``fma`` is x * y + z.
    fmt : str, dtype or Format
        What `pysr.format` takes.
    mode : str
        As in `pysr.round`.
    seed : int
        0 <= seed < 2**64.
    stream : int
        0 <= stream < 2**48. An element with index i draws word i of the keystream (seed, stream),
        counted from its beginning, as ``pysr.round(..., rng=seed, offset=i)`` does on stream 0.
    eps, random_bits, variant
        As in `pysr.round`.
    overflow : {"inf", "saturate", "propagate", "nan", "wrap"}, optional
        What becomes of a result beyond the range. Default: the format's own rule.

    Returns
    -------
    numpy.ufunc
        The same object for equal arguments, as long as it is among the 256 used last. It can be
        pickled and copied.

    Raises
    ------
    ValueError
        If an argument is out of range; for overflow "raise", which a ufunc cannot carry out: other
        elements have been written by then. From the ufunc: for a negative index, a direction that
        is NaN, an integer that is not exact in float64.
    TypeError
        If an argument has the wrong type. From the ufunc: for operands that float64 may not hold.
    OverflowError
        From the ufunc, under "wrap": for an infinite result. Other elements may have been written.

    See Also
    --------
    gufunc : one index a row, which is faster.
    pysr.Arithmetic : with a stream, and totals of what happened.

    Notes
    -----
    Float32, float16, ml_dtypes' types and integers of at most 16 bits give float32 where it holds
    the format, everything else float64. Of 64 bits, signed integers are looked at one by one and
    have to be exact; unsigned ones are refused, and so are both in reductions. What `out`,
    ``initial`` and a reduction's ``dtype`` ask for beyond that is cast as NumPy casts.

    In deterministic modes ``reduce``, ``accumulate``, ``reduceat``, ``outer`` and ``at`` work.
    There is no identity: a reduction goes strictly from first to last along one axis and takes the
    first element as it is; it raises over several axes and, without ``initial``, of nothing.

    Examples
    --------
    >>> add = pysr.ufunc("add", "bfloat16", seed=7)
    >>> x = np.full((2, 3), 1.001, np.float32)
    >>> index = np.arange(6).reshape(2, 3)
    >>> add(x, x, index)
    array([[2.      , 2.015625, 2.015625],
           [2.      , 2.      , 2.      ]], dtype=float32)
    >>> add(x[:, 1], x[:, 1], index[:, 1])
    array([2.015625, 2.      ], dtype=float32)
    >>> pysr.ufunc("add", "bfloat16", "rne").reduce(np.full(1000, 1.0, np.float32))
    np.float32(256.0)
    """
    return _cached(
        False,
        _core.arguments(op, fmt, mode, seed, stream, eps, random_bits, variant, overflow),
    )


def gufunc(
    op: str,
    fmt: str | DTypeLike | Format,
    mode: str = "sr",
    *,
    seed: int = 0,
    stream: int = 0,
    eps: float = 0.0,
    random_bits: int | str = "exact",
    variant: str = "a",
    overflow: str | None = None,
) -> np.ufunc:
    """
    Make a generalized ufunc that rounds row by row, with one index a row.

    Its operands are those of `ufunc`, of at least one dimension, and its signature is
    ``(n),(n),()->(n)``, or ``(n),(n)->(n)`` in deterministic modes: element j of a row has the
    index ``index + j``.

    Parameters
    ----------
    op, fmt, mode, seed, stream, eps, random_bits, variant, overflow
        As in `ufunc`.

    Returns
    -------
    numpy.ufunc
        As of `ufunc`. It takes ``axis`` and ``out``; NumPy gives a generalized ufunc no ``where``
        and no reductions.

    Raises
    ------
    ValueError, TypeError, OverflowError
        As in `ufunc`.

    See Also
    --------
    ufunc : an index an element.

    Examples
    --------
    >>> x = np.full((4, 1000), 0.3)
    >>> y = pysr.gufunc("round", "float8_e4m3fn", seed=7)(x, np.arange(4) * 1000)
    >>> bool((y == pysr.round(x, "float8_e4m3fn", rng=7)).all())
    True
    """
    return _cached(
        True,
        _core.arguments(op, fmt, mode, seed, stream, eps, random_bits, variant, overflow),
    )


# ---- pickling ------------------------------------------------------------------------------------

_DEFAULTS: dict[str, Any] = {
    "seed": 0,
    "stream": 0,
    "eps": 0.0,
    "random_bits": "exact",
    "variant": "a",
}
_of_numpy = cast("Callable[[np.ufunc], Any]", copyreg.dispatch_table[np.ufunc])


def _reduce(f: np.ufunc) -> Any:
    """Pickle ours by their arguments, and leave the others to NumPy."""
    found = _core.made_of(f)
    if found is None:
        return _of_numpy(f)
    by_rows, (op, fmt, mode, *rest, overflow) = found
    keywords: dict[str, Any] = {
        name: value
        for (name, default), value in zip(_DEFAULTS.items(), rest, strict=True)
        if value != default
    }
    if overflow != fmt.overflow:
        keywords["overflow"] = overflow
    make = gufunc if by_rows else ufunc
    return partial(make, **keywords) if keywords else make, (op, fmt, mode)


copyreg.pickle(np.ufunc, _reduce)
