from typing import Any

import numpy as np
from typing_extensions import disjoint_base

from pysr._core.formats import Format

Arguments = tuple[str, Format, str, int, int, float, int | str, str, str]

@disjoint_base
class Owner:
    by_rows: bool
    arguments: Arguments

def arguments(
    op: Any,
    fmt: Any,
    mode: Any,
    seed: Any,
    stream: Any,
    eps: Any,
    random_bits: Any,
    variant: Any,
    overflow: Any,
) -> Arguments: ...
def make(by_rows: bool, given: Arguments, name: str, doc: str) -> np.ufunc: ...
def operands(given: Arguments) -> tuple[str, ...]: ...
def made_of(f: object) -> tuple[bool, Arguments] | None: ...
