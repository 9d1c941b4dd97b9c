"""Tall matrices: R beside NumPy's, and a file that is rounded and factorized beside reading it.

What bounds them. R: 4 d flops a number, in vectors of which two products and two sums are done in
two cycles at best: 20 columns, 1.5 ns a number at 3.4 GHz with AVX-512. A file: 8 bytes a number,
0.1 ns from the system's cache, 2 to 8 from a disk; rounding adds 0.4. So all threads together must
hide 2 ns a number behind the disk, and from the cache cannot hide them.

``python asv_bench/benchmarks/tall.py FILE.npy`` makes a file of 10^7 x 20 numbers, and prints the
ratios for it: read by the system's cache, and, for the superuser on Linux, from the disk.
"""

import contextlib
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

import pysr


def make(path: Path, n: int, d: int) -> None:
    """A file of normal deviates."""
    generator = np.random.default_rng(1)
    with path.open("wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (n, d)}
        np.lib.format.write_array_header_1_0(file, header)
        for first in range(0, n, 100_000):
            file.write(generator.standard_normal((min(100_000, n - first), d)).data)


def read(path: Path) -> None:
    """The whole file, through a room of some megabytes."""
    room = memoryview(bytearray(1 << 22))
    with path.open("rb", buffering=0) as file:
        while file.readinto(room):
            pass


def factorize(path: Path) -> Any:
    """Its smallest singular value, rounded to bfloat16."""
    return pysr.linalg.smallest_singular_value(path, "bfloat16", rng=7)


def seconds(work: Any, *arguments: Any) -> float:
    """Of one run."""
    start = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - start


def turns(first: Any, second: Any, count: int) -> tuple[float, float]:
    """The least times of two pieces of work, in turn."""
    times = [(seconds(first), seconds(second)) for _ in range(count)]
    return min(t for t, _ in times), min(t for _, t in times)


class R:
    """200,000 x d."""

    params = ([10, 20, 50],)
    param_names = ("d",)
    timeout = 300

    def setup(self, d: int) -> None:
        """Make the matrix."""
        self.a = np.random.default_rng(1).standard_normal((200_000, d))

    def track_numpy_over_own(self, d: int) -> float:
        """How many times as long np.linalg.qr takes."""
        own, other = turns(
            lambda: pysr.linalg.tsqr(self.a), lambda: np.linalg.qr(self.a, mode="r"), 10
        )
        return other / own

    track_numpy_over_own.unit = "times own"  # type: ignore[attr-defined]


class File:
    """10^6 x 20, from the system's cache."""

    timeout = 300

    def setup(self) -> None:
        """Write it."""
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "a.npy"
        make(self.path, 10**6, 20)

    def teardown(self) -> None:
        """Remove it."""
        self.folder.cleanup()

    def track_own_over_reading(self) -> float:
        """How many times as long rounding and factorizing take as reading alone."""
        own, other = turns(lambda: factorize(self.path), lambda: read(self.path), 10)
        return own / other

    track_own_over_reading.unit = "times reading"  # type: ignore[attr-defined]


def forget() -> None:
    """Empty the system's cache of files."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")


def anonymous() -> float:
    """MiB of memory of this process that no file has."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("RssAnon"))


def main(path: Path) -> None:
    """Print the table for one large file."""
    n, d = 10**7, 20
    if not path.exists():
        make(path, n, d)
    size = path.stat().st_size
    most = [0.0]
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.005):
            most[0] = max(most[0], anonymous())

    with contextlib.suppress(OSError, StopIteration):
        anonymous()
        threading.Thread(target=watch, daemon=True).start()
    print(f"{path}: {n} x {d} float64, {size / 1e9:.2f} GB; {pysr.config()['path']}")
    own, other = turns(lambda: factorize(path), lambda: read(path), 5)
    print(f"cache: read {other:.2f} s, rounded and factorized {own:.2f} s: {own / other:.2f} x")
    try:
        times = []
        for _ in range(3):
            forget()
            other = seconds(read, path)
            forget()
            times.append((seconds(factorize, path), other))
        own, other = min(t for t, _ in times), min(t for _, t in times)
        print(f"disk:  read {other:.2f} s, rounded and factorized {own:.2f} s: {own / other:.2f} x")
    except OSError as error:
        print(f"disk:  not measured ({error})")
    ended.set()
    if most[0]:
        print(f"anonymous memory: {most[0]:.0f} MiB at most")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
