"""Other libraries that round NumPy's arrays: each case as they do it, in one thread.

They are given what favours them: inputs in their own types, random bits drawn beforehand where they
take them, and the fastest of their ways counts.
"""

import importlib
import importlib.metadata
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

import pysr

from .common import CASES, Array, Call, Case, fastest, normal

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


def fault(case: Case, x: Array, result: Any) -> str | None:
    """Where a result is not one of the two neighbours of its input, in words."""
    y = result.to_numpy() if hasattr(result, "to_numpy") else np.asarray(result)
    y = y.astype(np.float64)
    wide = x.astype(np.float64)
    down, up = (pysr.round(wide, case.fmt, mode) for mode in ("rd", "ru"))
    wrong = np.flatnonzero((y != down) & (y != up))
    return f"{float(x[wrong[0]]):.6g} becomes {y[wrong[0]]:g}" if wrong.size else None


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
