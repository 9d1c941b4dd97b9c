"""Other libraries that round NumPy's arrays: each case as they do it, in one thread.

They are given what favours them: inputs in their own types, random bits drawn beforehand where they
take them, and the fastest of their ways counts.
"""

import importlib
import importlib.metadata
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

import pysr

from .common import CASES, Array, Call, Case, fastest, normal, summing

Ways = list[Callable[[], Any]]

EXPONENT_AND_FRACTION = {"bfloat16": (8, 7), "float16": (5, 10), "float8_e4m3fn": (4, 3)}


def ml_dtypes_ways(ml_dtypes: ModuleType, case: Case, x: Array) -> Ways:
    """Casts to nearest, to packed arrays."""
    y = np.empty(x.shape, getattr(ml_dtypes, case.fmt))

    def cast() -> Array:
        np.copyto(y, x, casting="unsafe")
        return y

    return [cast]


def gfloat_ways(gfloat: ModuleType, case: Case, x: Array) -> Ways:
    """`round_ndarray`, stochastic with 16 bits drawn beforehand."""
    names = {"bfloat16": "bfloat16", "float16": "binary16", "float8_e4m3fn": "ocp_e4m3"}
    formats = importlib.import_module("gfloat.formats")
    fmt = getattr(formats, f"format_info_{names[case.fmt]}")
    inputs = [x, x.astype(np.float64)]
    if case.mode == "rne":
        return [lambda v=v: gfloat.round_ndarray(fmt, v) for v in inputs]  # type: ignore[misc]
    bits = np.random.default_rng(2).integers(0, 2**16, x.size)
    modes = [gfloat.RoundMode.StochasticFast, gfloat.RoundMode.StochasticFastest]
    return [
        lambda v=v, mode=mode: gfloat.round_ndarray(fmt, v, mode, False, bits, 16)  # type: ignore[misc]
        for v in inputs
        for mode in modes
    ]


def pychop_ways(pychop: ModuleType, case: Case, x: Array) -> Ways:
    """`Chop` for floats, in one chunk; `Chopf` for fixed point."""
    rmode = {"sr": 5, "rne": 1}[case.mode]
    if case.fmt == "Q3.8":
        chop = pychop.Chopf(4, 8, rmode=rmode)
    else:
        chop = pychop.Chop(*EXPONENT_AND_FRACTION[case.fmt], rmode=rmode, chunk_size=x.size)
    return [lambda: chop(x)]


def apytypes_ways(apytypes: ModuleType, case: Case, x: Array) -> Ways:
    """`cast` from its own array to its own array."""
    apytypes.reset_thread_pool(1)
    modes = apytypes.QuantizationMode
    mode = {"sr": modes.STOCH_WEIGHTED, "rne": modes.TIES_EVEN}[case.mode]
    if case.fmt == "Q3.8":
        fixed = apytypes.APyFixedArray.from_array(x.astype(np.float64), int_bits=8, frac_bits=40)
        return [lambda: fixed.cast(int_bits=4, frac_bits=8, quantization=mode)]
    own = (8, 23) if x.dtype == np.float32 else (11, 52)
    floats = apytypes.APyFloatArray.from_array(x, *own)
    bits = EXPONENT_AND_FRACTION[case.fmt]
    return [lambda: floats.cast(*bits, quantization=mode)]


def ml_dtypes_sums(ml_dtypes: ModuleType, x: Array, axis: int) -> Ways:
    """NumPy's sums of bfloat16, to nearest."""
    return summing(x.astype(ml_dtypes.bfloat16), axis)


def gfloat_sums(gfloat: ModuleType, x: Array, axis: int) -> Ways:
    """Sums in float64, each rounded with 16 bits drawn beforehand."""
    fmt = importlib.import_module("gfloat.formats").format_info_bfloat16
    terms: Any = np.moveaxis(x.astype(np.float64), axis, 0)
    bits: Any = np.random.default_rng(2).integers(0, 2**16, terms.shape)
    zero: Any = np.zeros(terms.shape[1:])
    function = gfloat.round_ndarray
    if x.ndim == 1:
        terms, bits, zero, function = terms.tolist(), bits.tolist(), 0.0, gfloat.round_float

    def loop(mode: Any) -> Any:
        total = zero
        for term, word in zip(terms, bits, strict=True):
            total = function(fmt, total + term, mode, False, word, 16)
        return total

    modes = [gfloat.RoundMode.StochasticFast, gfloat.RoundMode.StochasticFastest]
    return [partial(loop, mode) for mode in modes]


def pychop_sums(pychop: ModuleType, x: Array, axis: int) -> Ways:
    """Sums in float64, each through `Chop`: `pychop.sum` rounds terms and result alone."""
    chop = pychop.Chop(*EXPONENT_AND_FRACTION["bfloat16"], rmode=5)
    terms = np.moveaxis(x.astype(np.float64), axis, 0)

    def loop() -> Any:
        total = np.zeros(terms.shape[1:])
        for term in terms:
            total = chop(total + term)
        return total

    return [loop]


def pychop_products(pychop: ModuleType, a: Array, b: Array) -> Ways:
    """A column times a row after the other, products and sums each through `Chop`."""
    chop = pychop.Chop(
        *EXPONENT_AND_FRACTION["bfloat16"], rmode=5, chunk_size=a.shape[0] * b.shape[1]
    )
    left, right = a.astype(np.float64), b.astype(np.float64)

    def loop() -> Any:
        total = chop(left[:, :1] * right[:1])
        for k in range(1, left.shape[1]):
            total = chop(total + chop(left[:, k : k + 1] * right[k : k + 1]))
        return total

    return [loop]


def apytypes_sums(apytypes: ModuleType, x: Array, axis: int) -> Ways:
    """`sum` of bfloat16; it heeds the context of quantization, not that of accumulators."""
    apytypes.reset_thread_pool(1)
    terms = apytypes.APyFloatArray.from_array(x, *EXPONENT_AND_FRACTION["bfloat16"])

    def call() -> Any:
        with apytypes.APyFloatQuantizationContext(apytypes.QuantizationMode.STOCH_WEIGHTED):
            return terms.sum(axis)

    return [call]


# For sums: the mode, the number of terms that is enough, and the ways.
SUMS: dict[str, tuple[str, int, Callable[[ModuleType, Array, int], Ways]]] = {
    "ml_dtypes": ("rne", 10_000, ml_dtypes_sums),
    "gfloat": ("sr", 100, gfloat_sums),
    "pychop": ("sr", 100, pychop_sums),
    "apytypes": ("sr", 1_000, apytypes_sums),
}

# Matrix products in bfloat16, sr: the side that a peer takes, and how.
PRODUCTS: dict[str, tuple[int, Callable[[ModuleType, Array, Array], Ways]]] = {
    "pychop": (128, pychop_products),
}

PEERS: dict[str, Callable[[ModuleType, Case, Array], Ways]] = {
    "ml_dtypes": ml_dtypes_ways,
    "gfloat": gfloat_ways,
    "pychop": pychop_ways,
    "apytypes": apytypes_ways,
}


def does(peer: str, case: Case) -> bool:
    """Whether a peer has such a case."""
    if case.arguments or case.codes != (peer == "ml_dtypes"):
        return False
    return (peer != "ml_dtypes" or case.mode == "rne") and (peer, case.fmt) != ("gfloat", "Q3.8")


def version(peer: str) -> str | None:
    """A peer's version, None if it is not installed."""
    try:
        return importlib.metadata.version(peer)
    except importlib.metadata.PackageNotFoundError:
        return None


def values(result: Any) -> Array:
    """A peer's result in float64."""
    if hasattr(result, "to_numpy"):
        result = result.to_numpy()
    return np.asarray(result, np.float64)


def fault(case: Case, x: Array, result: Any) -> str | None:
    """Where a result is not one of the two neighbours of its input, in words."""
    y = values(result)
    wide = x.astype(np.float64)
    down, up = (pysr.round(wide, case.fmt, mode) for mode in ("rd", "ru"))
    wrong = np.flatnonzero((y != down) & (y != up))
    return f"{float(x[wrong[0]]):.6g} becomes {y[wrong[0]]:g}" if wrong.size else None


def sum_fault(x: Array, axis: int, result: Any) -> str | None:
    """Where sums are not of bfloat16, or too far from the exact ones, in words."""
    y = values(result)
    partial_sums = np.moveaxis(x.astype(np.float64), axis, 0).cumsum(0)
    exact = partial_sums[-1, ...]
    # A rounding errs by at most half a quantum, 2^-8 of the sum (sr: in the root mean square), and
    # errors add up as a random walk does.
    far = 10 * 2.0**-8 * np.sqrt((partial_sums**2).sum(0))
    wrong = np.flatnonzero((y != pysr.round(y, "bfloat16", "rz")) | ~(np.abs(y - exact) < far))
    if not wrong.size:
        return None
    return f"{exact.flat[wrong[0]]:.6g} becomes {y.flat[wrong[0]]:g}"


def ways(peer: str, case: Case, x: Array) -> Ways:
    """
    How a peer does a case.

    Parameters
    ----------
    peer : str
        A key of `PEERS`.
    case : Case
    x : ndarray
        The input.

    Returns
    -------
    list of callables

    Raises
    ------
    NotImplementedError
        If the peer is not installed; asv leaves it out then.
    """
    if version(peer) is None:
        raise NotImplementedError(f"{peer} is not installed; the extra bench has it")
    return PEERS[peer](importlib.import_module(peer), case, x)


def sum_ways(peer: str, x: Array, axis: int) -> Ways:
    """
    How a peer sums in bfloat16, from first to last.

    Parameters
    ----------
    peer : str
        A key of `SUMS`, installed.
    x : ndarray
        The terms.
    axis : int

    Returns
    -------
    list of callables
    """
    return SUMS[peer][2](importlib.import_module(peer), x, axis)


def product_ways(peer: str, a: Array, b: Array) -> Ways:
    """
    How a peer multiplies matrices in bfloat16, every product and every sum rounded.

    Parameters
    ----------
    peer : str
        A key of `PRODUCTS`, installed.
    a, b : ndarray

    Returns
    -------
    list of callables
    """
    return PRODUCTS[peer][1](importlib.import_module(peer), a, b)


class Peers:
    """Peers beside this library."""

    params = (
        [f"{peer}: {name}" for peer in PEERS for name in CASES if does(peer, CASES[name])],
        [10_000, 1_000_000],
    )
    param_names = ("case", "n")
    timeout = 120

    def setup(self, which: str, n: int) -> None:
        """Make the input and the calls."""
        peer, name = which.split(": ")
        case = CASES[name]
        x = normal(case.dtype, n)
        self.calls: list[Call] = [case.call(x, case.empty(x)), *ways(peer, case, x)]

    def track_peer_over_pysr(self, which: str, n: int) -> float:
        """How many times `pysr`'s time the peer takes."""
        own, *others = fastest(self.calls, 0.3)
        return min(others) / own

    track_peer_over_pysr.unit = "times pysr"  # type: ignore[attr-defined]
