"""`tsqr` and `svdvals` by NumPy, of arrays in memory, as `pysr.linalg` has them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def tsqr(a: Any, *, threads: int | None = None) -> NDArray[np.float64]:
    R = np.asarray(np.linalg.qr(np.asarray(a, np.float64), mode="r"), np.float64)
    R[np.diagonal(R) < 0] *= -1
    return R


def svdvals(a: Any, *, threads: int | None = None) -> NDArray[np.float64]:
    return np.linalg.svd(np.asarray(a, np.float64), compute_uv=False)
