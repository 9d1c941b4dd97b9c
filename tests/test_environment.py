"""The caller's floating-point environment changes nothing: rounding direction, FTZ, DAZ."""

import ctypes
import os
import platform
import shlex
import subprocess

import ml_dtypes
import numpy as np
import pytest

import pysr

SOURCE = """
#include <fenv.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
void flush(int on) { _mm_setcsr((_mm_getcsr() & ~0x8040u) | (on ? 0x8040u : 0u)); }
#elif defined(__aarch64__)
#include <stdint.h>
void flush(int on)
{
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    fpcr = on ? fpcr | ((uint64_t)1 << 24) : fpcr & ~((uint64_t)1 << 24);
    __asm__ volatile("msr fpcr, %0" : : "r"(fpcr));
}
#endif
int direct(int which)
{
    static const int directions[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    return fesetround(directions[which]);
}
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    if platform.machine() not in ("x86_64", "aarch64"):
        pytest.fail(f"how to flush subnormals on {platform.machine()} is not known to this test")
    folder = tmp_path_factory.mktemp("environment")
    (folder / "environment.c").write_text(SOURCE)
    compiler = shlex.split(os.environ.get("CC", "cc"))
    library = str(folder / "environment.so")
    command = [*compiler, "-shared", "-fPIC", "-O1", str(folder / "environment.c"), "-lm"]
    subprocess.run([*command, "-o", library], check=True)
    return ctypes.CDLL(library)


def operands():
    """All magnitudes, subnormals of both carriers included; made once, before anything is set."""
    rng = np.random.default_rng(11)
    x64 = rng.standard_normal(4000) * np.exp2(rng.integers(-1074, 40, 4000))
    x64[:5] = [5e-324, -5e-324, 2.2e-308, np.nan, np.inf]
    bits32 = rng.integers(0, 2**32, 4000, dtype=np.uint32)
    bits32[:1000] &= np.uint32(0x807FFFFF)
    x32 = bits32.view(np.float32)
    directions = [np.nan_to_num(x64), np.nan_to_num(x32), np.float32(1e-45), np.array(5e-324)]
    subnormal = np.array([np.float32(1e-45), 2.5], object)
    many = []
    for x in (x64, x32):  # subnormals in the first rows, of both signs
        rows = np.sort(np.abs(np.nan_to_num(x, posinf=1.0, neginf=1.0))[:1600]).reshape(20, 80)
        many.append(rows * np.where(np.arange(80) % 3, 1, -1).astype(x.dtype))
    return x64, x32, directions, subnormal, many


def results(x64, x32, directions, subnormal, many):
    """Bytes of roundings in every mode, of codes, and of what is decoded from codes."""
    assert repr(pysr.format("Q-1060.1070")) == "FixedFormat(-1060, 1070)"
    assert pysr.FloatFormat(3, -1060, -1070).emax == -1060
    tiny = pysr.FloatFormat(5, -900, -1000)
    got = []
    for mode in pysr.MODES:
        for x, fmts in ((x64, ("bfloat16", tiny, "Q3.8")), (x32, ("bfloat16", "float16", "Q3.8"))):
            for direction in directions if mode == "sr_signed" else [None]:
                for fmt in fmts:
                    kwargs = {"rng": 5, "eps": 0.3, "direction": direction}
                    got.append(pysr.round(x, fmt, mode, **kwargs).tobytes())
                    if fmt != "Q3.8":
                        got.append(pysr.encode(x, fmt, mode, **kwargs).tobytes())
    codes = np.arange(256, dtype=np.uint8)
    got.append(pysr.round(subnormal, "binary64").tobytes())
    nowhere = pysr.FloatFormat(3, -130, -140, zero=False, subnormals=False)
    hidden = pysr.round(x32, nowhere, where=np.zeros(x32.shape, bool), overflow="raise")
    got.append(hidden.tobytes())
    for name in pysr.FORMATS:
        if hasattr(ml_dtypes, name) and pysr.format(name).bits == 8:
            typed = codes.view(getattr(ml_dtypes, name))
            got.append(pysr.round(typed, "binary32", "rne").tobytes())
    got += [pysr.decode(codes, fmt).tobytes() for fmt in pysr.FORMATS if pysr.format(fmt).bits == 8]
    got.append(pysr.decode(np.arange(2**16, dtype=np.uint16), "bfloat16").tobytes())
    got.append(pysr.round(np.arange(2**16, dtype=np.uint16).view(np.float16), "tf32").tobytes())
    got += [part.tobytes() for rows in many for part in sums(rows)]
    narrow = pysr.Arithmetic("bfloat16", rng=5).array(x32)
    into = np.zeros_like(narrow)
    into[:1000] = narrow.arithmetic.array(x64[:1000])
    for x in (narrow * 0.1, narrow[:1000] + x64[:1000], into, narrow.arithmetic.array(x32, "f8")):
        got.append(x.values.tobytes())
    return got


def sums(rows):
    """Of many terms."""
    for name in ("bfloat16", "Q3.8", "binary32" if rows.dtype == np.float32 else "binary64"):
        for mode in ("rne", "rd", "sr"):
            arithmetic = pysr.Arithmetic(name, mode, rng=5)
            for order in ("sequential", "pairwise", "exact"):
                yield arithmetic.sum(rows, 1, order=order)
            yield arithmetic.cumsum(rows, 0)
            yield arithmetic.mean(rows, 1)
            yield arithmetic.norm2(rows, 0)
            yield arithmetic.prod(rows[:, :2], 1)
            right = rows[1::4].T
            yield arithmetic.matmul(rows, right)
            yield arithmetic.matmul(rows, right, accumulate="fma", initial=right[0])
            yield arithmetic.matmul(rows, right, accumulate="block", block=4)


def test_environment(environment):
    given = operands()
    expected = results(*given)
    for direction in range(4):
        for flush in (0, 1):
            try:
                assert environment.direct(direction) == 0
                environment.flush(flush)
                if flush:
                    assert np.float64(2.2e-308) * np.float64(0.5) == 0
                got = results(*given)
            finally:
                environment.direct(0)
                environment.flush(0)
            assert got == expected, f"direction {direction}, flush {flush}"
