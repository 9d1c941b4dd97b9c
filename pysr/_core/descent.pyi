from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray
from typing_extensions import disjoint_base

from pysr._core.formats import Format

ROUNDINGS: tuple[str, ...]

@disjoint_base
class Rounder:
    def __init__(
        self,
        fmt: str | DTypeLike | Format,
        mode: str = "sr",
        eps: float = 0.0,
        random_bits: int | Literal["exact"] = "exact",
        variant: str = "a",
        overflow: str | None = None,
    ) -> None: ...
    @property
    def fmt(self) -> Format: ...
    @property
    def mode(self) -> str: ...
    @property
    def overflow(self) -> str: ...
    @property
    def word_bits(self) -> int: ...

def blocks(n: int, *rounders: Rounder | None) -> int: ...
def rounded_rows(
    op: str,
    operands: Sequence[NDArray[Any] | float],
    rounder: Rounder,
    words: tuple[int, int, int],
    direction: NDArray[Any] | None = None,
    out: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], NDArray[np.uint64]]: ...
def descend(
    x: NDArray[Any],
    g: NDArray[Any],
    t: float,
    gradient: Rounder | None,
    product: Rounder | None,
    update: Rounder | None,
    words: tuple[int, int, int],
    *,
    threads: int | None = None,
    out: NDArray[Any] | None = None,
    rounded: NDArray[Any] | None = None,
    counts: NDArray[np.uint64] | None = None,
) -> None: ...
def descend_diagonal(
    x: NDArray[Any],
    spectrum: NDArray[Any],
    minimizer: NDArray[Any],
    t: float,
    gradient: Rounder | None,
    product: Rounder | None,
    update: Rounder | None,
    words: tuple[int, int, int],
    *,
    threads: int | None = None,
    out: NDArray[Any] | None = None,
    rounded: NDArray[Any] | None = None,
    counts: NDArray[np.uint64] | None = None,
) -> None: ...
