"""Another package cimports pysr.cython_api: it builds, and gets the same bits."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pysr


def test_headers_are_there():
    """`get_include` names a directory with the C library's headers, as they are."""
    headers = Path(pysr.get_include()) / "srcore"
    assert {"srcore.h", "scalar.h", "philox.h"} <= {path.name for path in headers.iterdir()}
    assert f'SR_VERSION "{pysr.__version__}"' in (headers / "srcore.h").read_text()


@pytest.fixture(scope="module")
def descend(tmp_path_factory):
    """The compiled package."""
    directory = tmp_path_factory.mktemp("package")
    shutil.copytree(Path(__file__).parent / "cython_package", directory, dirs_exist_ok=True)
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=directory,
        capture_output=True,
        text=True,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(directory))
    try:
        import descend
    finally:
        sys.path.remove(str(directory))
    return descend


def test_the_same_bits(descend):
    """As `pysr.round` step by step, from the same stream."""
    x = np.random.default_rng(1).standard_normal(1000).astype(np.float32)
    expected, stream = x.copy(), pysr.Philox(7)
    for _ in range(5):
        expected -= np.float32(0.1) * expected
        pysr.round(expected, "Q3.8", rng=stream, out=expected)
    other = pysr.Philox(7)
    assert descend.descend(x, "Q3.8", 0.1, 5, other) == 5 * 125
    np.testing.assert_array_equal(x, expected)
    assert other.position == stream.position == 625
    short = np.linspace(-500, 500, 60, dtype=np.float32)
    expected = pysr.round(short, "float8_e4m3fn", rng=pysr.Philox(3), overflow="saturate")
    word = descend.codes_and_back(short, "float8_e4m3fn", pysr.Philox(3))
    np.testing.assert_array_equal(short, expected)
    assert word == pysr.Philox(3).random_raw() % 2**32
    double = np.linspace(-1, 1, 100)
    expected = double.copy()
    expected[::2] = pysr.round(double[::2], "bfloat16", random_bits=8, rng=pysr.Philox(3))
    descend.twice(double, "bfloat16", pysr.Philox(3))
    np.testing.assert_array_equal(double, expected)


def test_errors(descend):
    """Bad arguments raise what `pysr.round` raises."""
    x = np.ones(3, np.float32)
    with pytest.raises(ValueError, match="bfloat17"):
        descend.descend(x, "bfloat17", 0.1, 1, pysr.Philox(1))
    with pytest.raises(ValueError, match="carrier"):
        descend.descend(x, "binary64", 0.1, 1, pysr.Philox(1))
