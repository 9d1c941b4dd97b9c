"""Stochastic rounding that can be trusted to the last bit.

`pysr.round` rounds arrays to any low-precision floating-point or fixed-point format, or to the
multiples of any number, stochastically with counter-based random bits or in any deterministic
mode; `pysr.encode` and `pysr.decode` convert to and from packed codes; `pysr.Philox` is a stream of
random bits. `pysr.Arithmetic` and `pysr.ufunc` round the exact results of operations,
`pysr.RoundedArray` those of whole algorithms written for NumPy, `pysr.linalg` factorizes matrices
with them, and `pysr.optim` minimizes functions. The contract for every bit is
docs/specification.md.
"""

import importlib
from typing import TYPE_CHECKING, Any

from pysr import linalg as linalg
from pysr._cast import cast
from pysr._config import config, get_include
from pysr._core.arithmetic import Counts
from pysr._core.formats import (
    FORMATS,
    OVERFLOWS,
    FixedFormat,
    FloatFormat,
    Format,
    GridFormat,
)
from pysr._core.formats import format as format
from pysr._core.philox import Philox
from pysr._core.rounding import MODES, decode, encode
from pysr._core.rounding import round as round
from pysr.arithmetic import Arithmetic
from pysr.array import RoundedArray
from pysr.significance import significant_bits
from pysr.ufuncs import gufunc, ufunc

if TYPE_CHECKING:
    from pysr import optim as optim

__version__: str = str(config()["version"])

# `format` and `round` stay out: they would shadow builtins under `from pysr import *`.
__all__ = [
    "FORMATS",
    "MODES",
    "OVERFLOWS",
    "Arithmetic",
    "Counts",
    "FixedFormat",
    "FloatFormat",
    "Format",
    "GridFormat",
    "Philox",
    "RoundedArray",
    "cast",
    "config",
    "decode",
    "encode",
    "get_include",
    "gufunc",
    "linalg",
    "optim",
    "significant_bits",
    "ufunc",
]


def __getattr__(name: str) -> Any:
    """Import what needs SciPy when it is asked for."""
    if name == "optim":
        return importlib.import_module("pysr.optim")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), "optim"})
