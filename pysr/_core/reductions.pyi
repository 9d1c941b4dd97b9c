from typing import Any

from numpy.typing import NDArray
from typing_extensions import disjoint_base

from pysr._core.arithmetic import Counts
from pysr._core.formats import Format
from pysr._core.philox import Philox

TERMS: tuple[str, ...]
ORDERS: tuple[str, ...]

@disjoint_base
class Reducer:
    fmt: Format
    products_fmt: Format
    mode: str
    overflow: str
    def __init__(
        self,
        fmt: Any,
        products: Any,
        mode: str,
        eps: float,
        random_bits: int | str,
        variant: str,
        overflow: str | None,
    ) -> None: ...
    def along(
        self,
        terms: str,
        order: str,
        block: int | None,
        running: bool,
        x: NDArray[Any],
        stream: Philox,
        counts: Counts,
    ) -> NDArray[Any]: ...
    def inner(
        self,
        terms: str,
        order: str,
        block: int | None,
        align_bits: int | None,
        a: NDArray[Any],
        b: NDArray[Any],
        initial: NDArray[Any] | None,
        stream: Philox,
        counts: Counts,
    ) -> NDArray[Any]: ...
