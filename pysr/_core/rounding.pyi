from typing import Any, TypeAlias

import numpy as np
from numpy.random import BitGenerator, Generator, SeedSequence
from numpy.typing import ArrayLike, DTypeLike, NDArray
from typing_extensions import CapsuleType

from pysr._core.formats import Format

__pyx_capi__: dict[str, CapsuleType]

Rng: TypeAlias = int | np.integer[Any] | SeedSequence | Generator | BitGenerator | None

MODES: tuple[str, ...]

def round(
    x: ArrayLike,
    fmt: str | DTypeLike | Format,
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
) -> Any: ...
def encode(
    x: ArrayLike,
    fmt: str | DTypeLike | Format,
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
) -> Any: ...
def decode(
    codes: ArrayLike,
    fmt: str | DTypeLike | Format,
    *,
    dtype: DTypeLike | None = None,
    out: NDArray[Any] | None = None,
) -> Any: ...
def claim_words(
    rng: Rng,
    n: int,
    fmt: str | DTypeLike | Format,
    mode: str,
    eps: float,
    random_bits: int | str,
    variant: str,
    overflow: str | None,
) -> tuple[int, int, int]: ...
def round_runs(
    x: ArrayLike,
    starts: NDArray[np.uint64],
    words: tuple[int, int, int],
    fmt: str | DTypeLike | Format,
    mode: str,
    eps: float,
    direction: ArrayLike | None,
    random_bits: int | str,
    variant: str,
    overflow: str | None,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]: ...
def carriers(**operands: ArrayLike) -> list[NDArray[Any]]: ...
def as_flags(x: ArrayLike, name: str) -> NDArray[np.bool_]: ...
def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]: ...
def check_out(out: NDArray[Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]: ...
