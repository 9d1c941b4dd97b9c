"""All 2^32 float32 inputs, to nearest even, code for code against NumPy and ml_dtypes; and all
2^32 binary32 codes, decoded and encoded.

Also a program: `python test_all_float32.py [format ...]`. Minutes, on two processes.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest

import pysr

CHUNK = 1 << 22
CHUNKS = (1 << 32) // CHUNK
PROCESSES = 2

# The dtype that rounds, and the code of the positive NaN.
ORACLES: dict[str, tuple[Any, int]] = {
    "bfloat16": (ml_dtypes.bfloat16, 0x7FC0),
    "float16": (np.float16, 0x7E00),
    "float8_e4m3fn": (ml_dtypes.float8_e4m3fn, 0x7F),
    "float8_e5m2": (ml_dtypes.float8_e5m2, 0x7E),
}


def differences(job: tuple[str, int]) -> tuple[int, list[str]]:
    """Compare one chunk; return how many codes differ, and a few of them in words."""
    name, chunk = job
    dtype, nan = ORACLES[name]
    patterns = np.arange(chunk * CHUNK, (chunk + 1) * CHUNK, dtype=np.uint64).astype(np.uint32)
    x = patterns.view(np.float32)
    with np.errstate(all="ignore"):
        values = x.astype(dtype)
    expected: npt.NDArray[Any] = values.view(f"u{values.itemsize}")
    is_nan = (patterns & np.uint32(0x7FFFFFFF)) > 0x7F800000
    if is_nan.any():  # a NaN code keeps its sign and drops its payload
        sign = (patterns >> np.uint32(31)).astype(expected.dtype)
        nan_codes = nan | sign << expected.dtype.type(8 * values.itemsize - 1)
        expected = np.where(is_nan, nan_codes, expected)
    got = pysr.encode(x, name, "rne", threads=1)
    wrong = np.flatnonzero(got != expected)
    words = [
        f"{name}: 0x{patterns[i]:08x} expected 0x{expected[i]:x}, got 0x{got[i]:x}"
        for i in wrong[:3]
    ]
    return len(wrong), words


def round_trips(job: tuple[str, int]) -> tuple[int, list[str]]:
    """Decode one chunk of binary32's codes and encode the values; the rest as `differences`."""
    name, chunk = job
    codes = np.arange(chunk * CHUNK, (chunk + 1) * CHUNK, dtype=np.uint64).astype(np.uint32)
    expected = codes.copy()
    is_nan = (codes & np.uint32(0x7FFFFFFF)) > 0x7F800000
    expected[is_nan] = codes[is_nan] & np.uint32(0x80000000) | np.uint32(0x7FC00000)
    values = pysr.decode(codes, name)
    got = pysr.encode(values, name, "rne", threads=1)
    same_value = (values.view(np.uint32) == codes) | is_nan  # binary32's codes are its bits
    wrong = np.flatnonzero((got != expected) | ~same_value)
    words = [f"{name}: code 0x{codes[i]:08x} came back as 0x{got[i]:08x}" for i in wrong[:3]]
    return len(wrong), words


def sweep(name: str) -> tuple[int, list[str]]:
    """Compare all chunks on a few processes, with progress on stderr."""
    begin = time.monotonic()
    total, examples = 0, []
    compare = differences if name in ORACLES else round_trips
    jobs = [(name, chunk) for chunk in range(CHUNKS)]
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        for done, (count, words) in enumerate(pool.imap(compare, jobs, chunksize=8), 1):
            total += count
            examples += words[: 10 - len(examples)]
            if done % 64 == 0 or done == CHUNKS:
                seconds = time.monotonic() - begin
                progress = f"{name}: {done}/{CHUNKS} chunks, {seconds:.0f} s, {total} differ"
                print(progress, file=sys.stderr, flush=True)
    return total, examples


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", [*ORACLES, "binary32"])
def test_every_float32(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    with capfd.disabled():  # so that the progress is seen
        total, examples = sweep(name)
    assert total == 0, examples


if __name__ == "__main__":
    results = [sweep(name) for name in sys.argv[1:] or [*ORACLES, "binary32"]]
    print(*(line for _, examples in results for line in examples), sep="\n")
    sys.exit(any(total for total, _ in results))
