"""Rounding to NumPy's and ml_dtypes' own types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pysr._core.formats import FixedFormat, FloatFormat, Format
from pysr._core.formats import format as as_format
from pysr._core.rounding import encode

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from pysr._core.rounding import Rng

_NUMPY = {"float16": np.float16, "binary32": np.float32, "binary64": np.float64}

_ML_DTYPES = (
    "bfloat16",
    "float8_e3m4",
    "float8_e4m3",
    "float8_e4m3b11fnuz",
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
    "float6_e2m3fn",
    "float6_e3m2fn",
    "float4_e2m1fn",
)

_NAMES = {as_format(name): name for name in (*_NUMPY, *_ML_DTYPES)}


def _by_default(fmt: FloatFormat) -> FloatFormat:
    """The same values under the rule for overflow that they have by default."""
    return FloatFormat(
        fmt.precision,
        fmt.emax,
        fmt.emin,
        max=fmt.max,
        subnormals=fmt.subnormals,
        infinities=fmt.infinities,
        nan=fmt.nan,
        negative_zero=fmt.negative_zero,
        zero=fmt.zero,
        signed=fmt.signed,
    )


def dtype_of(fmt: Format) -> np.dtype[Any]:
    """
    The dtype that has a format's values, and its codes as bit patterns.

    Parameters
    ----------
    fmt : Format
        Its name and its rule for overflow do not count.

    Returns
    -------
    dtype

    Raises
    ------
    TypeError
        If no dtype has these values.
    ImportError
        If the dtype is in ml_dtypes, which is not installed, or too old.
    """
    name = _NAMES.get(_by_default(fmt)) if isinstance(fmt, FloatFormat) else None
    if name is None:
        raise TypeError(
            f"fmt={fmt} has the values of no dtype of NumPy or ml_dtypes: "
            "pysr.round gives them in float32 or float64, pysr.encode their codes"
        )
    if name in _NUMPY:
        return np.dtype(_NUMPY[name])
    try:
        import ml_dtypes
    except ImportError:
        raise ImportError(
            f"fmt={fmt}: its dtype comes from ml_dtypes, which is not installed; "
            "the extra 'dtypes' of srcore brings it"
        ) from None
    found = getattr(ml_dtypes, name, None)
    if found is None:
        raise ImportError(f"fmt={fmt}: ml_dtypes {ml_dtypes.__version__} is too old to have it")
    dtype: np.dtype[Any] = np.dtype(found)
    return dtype


def cast(
    x: ArrayLike,
    fmt: str | DTypeLike | FloatFormat | FixedFormat,
    mode: str = "sr",
    *,
    rng: Rng = None,
    eps: float = 0.0,
    direction: ArrayLike | None = None,
    random_bits: int | str = "exact",
    variant: str = "a",
    bits: ArrayLike | None = None,
    overflow: str | None = None,
    offset: int = 0,
    out: NDArray[Any] | None = None,
    where: ArrayLike | None = None,
    threads: int | None = None,
) -> Any:
    """
    Round to a real dtype: NumPy's, or one of ml_dtypes.

    Parameters
    ----------
    x, mode, rng, eps, direction, random_bits, variant, bits, overflow, offset, where, threads
        As in `pysr.round`. Where `where` is false, and there is no `out`, the result has code 0.
    fmt : str, dtype or format
        What `pysr.format` takes, as long as a dtype has its values: "float16", "binary32",
        "binary64", and the names of ml_dtypes' types.
    out : ndarray, optional
        Where to put the result: of its shape and dtype, any strides and byte order.

    Returns
    -------
    ndarray or scalar
        The same values as `pysr.round` gives, with the same random bits, in the format's dtype.

    Raises
    ------
    ValueError, OverflowError
        As `pysr.encode`: also for a NaN where the format has no code for it.
    TypeError
        As `pysr.encode`; also if no dtype has the values of the format: tf32, fixed point, ...
    ImportError
        If the dtype comes from ml_dtypes and that is not installed.

    See Also
    --------
    round : values in float32 or float64, for every format.

    Examples
    --------
    >>> pysr.cast([1.0, 1.001, -3.14159], "float16", "rne")
    array([ 1.   ,  1.001, -3.14 ], dtype=float16)
    >>> pysr.cast([1.0, 1.001, -3.14159], "bfloat16", "rne")
    array([1, 1, -3.14062], dtype=bfloat16)
    >>> x = np.linspace(-1, 1, 1000).astype(np.float32)
    >>> y = pysr.cast(x, "float8_e4m3fn", rng=7)
    >>> bool((y.astype(np.float32) == pysr.round(x, "float8_e4m3fn", rng=7)).all())
    True
    """
    format_ = as_format(fmt)
    dtype = dtype_of(format_)
    codes_out = None
    if out is not None:
        if not isinstance(out, np.ndarray):
            raise TypeError(f"out must be an array, not {type(out).__name__}")
        order = out.dtype.byteorder if out.dtype.kind == "f" else "="
        if out.dtype != dtype.newbyteorder(order):
            raise TypeError(f"out has dtype {out.dtype}, the result {dtype}")
        codes_out = np.asarray(out).view(format_.code_dtype.newbyteorder(order))
    codes = encode(
        x,
        format_,
        mode,
        rng=rng,
        eps=eps,
        direction=direction,
        random_bits=random_bits,
        variant=variant,
        bits=bits,
        overflow=overflow,
        offset=offset,
        out=codes_out,
        where=where,
        threads=threads,
    )
    return codes.view(dtype) if out is None else out
