from collections.abc import Callable
from typing import Any, TypeVar

from numpy.typing import ArrayLike, NDArray
from typing_extensions import disjoint_base

from pysr._core.formats import Format
from pysr._core.philox import Philox
from pysr._core.rounding import Rng

_Result = TypeVar("_Result")

OPERATIONS: tuple[str, ...]

@disjoint_base
class Pending:
    def __init__(self) -> None: ...

@disjoint_base
class Counts:
    def __init__(self) -> None: ...
    def add(self, more: Counts) -> None: ...
    def reset(self) -> None: ...
    @property
    def overflow(self) -> int: ...
    @property
    def underflow(self) -> int: ...
    @property
    def nan(self) -> int: ...
    @property
    def inexact(self) -> int: ...

def at_once(
    draws: bool,
    stream: Philox,
    counts: Counts,
    function: Callable[..., _Result],
    *arguments: Any,
    **keywords: Any,
) -> _Result: ...
def stream_of(rng: Rng) -> Philox: ...

@disjoint_base
class Operation:
    name: str
    fmt: Format
    mode: str
    overflow: str
    def __init__(
        self,
        name: str,
        fmt: Any,
        mode: str,
        eps: float,
        random_bits: int | str,
        variant: str,
        overflow: str | None,
    ) -> None: ...
    def __call__(
        self,
        operands: tuple[ArrayLike, ...],
        stream: Philox,
        counts: Counts,
        direction: ArrayLike | None = None,
        out: NDArray[Any] | None = None,
        where: ArrayLike | None = None,
    ) -> Any: ...
