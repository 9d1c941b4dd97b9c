"""Numbers that callers give, checked."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pysr.arithmetic import an_integer

Values = NDArray[np.float64]


def number(value: Any, name: str) -> float:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{name} must be a number, not {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{name}={value!r} must be finite")
    return float(value)


def counted(value: Any, name: str, least: int) -> int:
    count = an_integer(value, name)
    if count < least:
        raise ValueError(f"{name}={count} is less than {least}")
    return count


def numbers(value: ArrayLike, name: str, *dimensions: int) -> Values:
    """Finite float64 numbers in an array of one of these dimensions."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must be real numbers, not {array.dtype}")
    array = array.astype(np.float64)
    if array.ndim not in dimensions or 0 in array.shape:
        wanted = " or ".join(f"{n}-dimensional" for n in dimensions)
        raise ValueError(f"{name} has shape {array.shape}: it must be {wanted} and not empty")
    if not np.isfinite(array).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} is {float(array[at])} at {at}: all must be finite")
    return np.ascontiguousarray(array)


def not_zero(matrix: Values, name: str) -> Values:
    if not matrix.any():
        raise ValueError(f"{name} is 0: errors are relative to it")
    return matrix
