"""The command line: the bits of pysr.round, whole results or none, and one-line errors."""

from __future__ import annotations

import io
import json
import math
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import pysr
from pysr import cli
from pysr.cli import main

Array = npt.NDArray[Any]

posix = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def command(*args: object) -> list[str]:
    return [sys.executable, "-m", "pysr", *map(str, args)]


def spawn(*args: object, **kwargs: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*args), capture_output=True, text=True, timeout=120, **kwargs)


def values(shape: int | tuple[int, ...] = 1000, dtype: Any = np.float64) -> Array:
    generator = np.random.default_rng(20240312)
    return np.asarray(generator.standard_normal(shape) * 3).astype(dtype)


def same(a: Array, b: Array) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def saved(array: Array) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def convert(tmp_path: Path, x: Array, *args: object, direction: Array | None = None) -> Array:
    np.save(tmp_path / "in.npy", x)
    extra: list[object] = []
    if direction is not None:
        np.save(tmp_path / "v.npy", direction)
        extra = ["--direction", tmp_path / "v.npy"]
    line = ["round", tmp_path / "in.npy", tmp_path / "out.npy", "--quiet", *args, *extra]
    assert main([str(part) for part in line]) == 0
    left = {path.name for path in tmp_path.iterdir()} - {"in.npy", "out.npy", "v.npy"}
    assert not left
    return np.asarray(np.load(tmp_path / "out.npy"))


def fails(capsys: pytest.CaptureFixture[str], *args: object, status: int = 2) -> str:
    assert main([str(arg) for arg in args]) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("pysr: error: ")
    assert captured.err.count("\n") == 1
    assert captured.err.endswith("\n")
    return captured.err[len("pysr: error: ") : -1]


# ---------------------------------------------------------------------------------------------
# pysr round gives the bits of pysr.round


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 8, 64, 999, 1000, 1001, 1 << 20])
@pytest.mark.parametrize("codes", [False, True])
def test_any_chunk_gives_the_bits_of_one_call(tmp_path: Path, chunk: int, codes: bool) -> None:
    x = values(1000)
    line = ["--to", "bfloat16", "--seed", 7, "--chunk", chunk, *(["--codes"] if codes else [])]
    expected = (pysr.encode if codes else pysr.round)(x, "bfloat16", rng=7)
    assert same(convert(tmp_path, x, *line), np.asarray(expected))


@pytest.mark.parametrize("mode", [mode for mode in pysr.MODES if mode != "sr_signed"])
@pytest.mark.parametrize("fmt", ["float8_e4m3fn", "Q3.4", "float16"])
def test_modes(tmp_path: Path, mode: str, fmt: str) -> None:
    x = values(257, np.float32)
    y = convert(tmp_path, x, "--to", fmt, "--mode", mode, "--seed", 3, "--chunk", 100,
                "--eps", 0.25)  # fmt: skip
    assert same(y, np.asarray(pysr.round(x, fmt, mode, rng=3, eps=0.25)))


@pytest.mark.parametrize("bits", ["1", "5", "8", "13", "32", "33", "64", "exact"])
@pytest.mark.parametrize("variant", ["a", "b", "c"])
def test_random_bits(tmp_path: Path, bits: str, variant: str) -> None:
    x = values(300)
    y = convert(tmp_path, x, "--to", "float8_e5m2", "--seed", 2**64 - 1, "--random-bits", bits,
                "--variant", variant, "--chunk", 77)  # fmt: skip
    wanted: Any = bits if bits == "exact" else int(bits)
    assert same(y, np.asarray(pysr.round(x, "float8_e5m2", rng=2**64 - 1, random_bits=wanted,
                                         variant=variant)))  # fmt: skip


def test_grids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = values(300).astype(np.float64)
    for step in ("0.1", "1/3", "2**-20"):
        y = convert(tmp_path, x, "--to", f"grid:{step}", "--seed", 7, "--chunk", 77)
        assert same(y, np.asarray(pysr.round(x, pysr.GridFormat(step), rng=7)))
    finite = np.where(np.isfinite(x), x, 0)
    codes = convert(tmp_path, finite, "--to", "grid:0.1", "--seed", 7, "--codes")
    assert codes.dtype == np.int64
    assert (codes == pysr.encode(finite, "grid:0.1", rng=7)).all()
    assert main(["formats", "grid:1/3", "--json"]) == 0
    (fields,) = json.loads(capsys.readouterr().out)
    assert (fields["name"], fields["step"], fields["carrier"]) == ("grid:1/3", "1/3", "float64")
    assert main(["formats", "grid:zero"]) == 2
    assert "step='zero'" in capsys.readouterr().err


@pytest.mark.parametrize("rule", ["inf", "saturate", "propagate", "nan"])
def test_overflow_rules(tmp_path: Path, rule: str) -> None:
    x = np.array([1e30, -1e30, np.inf, -np.inf, np.nan, 1.1, -0.0])
    y = convert(tmp_path, x, "--to", "float16", "--seed", 1, "--overflow", rule, "--chunk", 2)
    assert same(y, np.asarray(pysr.round(x, "float16", rng=1, overflow=rule)))


@pytest.mark.parametrize("chunk", [1, 5, 64, 10**9])
def test_the_index_is_in_c_order_whatever_the_file_s_order(tmp_path: Path, chunk: int) -> None:
    x = values((6, 7, 11))
    y = convert(tmp_path, np.asfortranarray(x), "--to", "Q3.4", "--seed", 5, "--chunk", chunk)
    assert np.array_equal(y, pysr.round(x, "Q3.4", rng=5))
    assert np.array_equal(y, pysr.round(np.load(tmp_path / "in.npy"), "Q3.4", rng=5))


@pytest.mark.parametrize("dtype", [">f8", "<f8", ">f4", "<f4", ">f2", ">i4", "<u2", ">i8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_byte_order(tmp_path: Path, dtype: str, order: Any) -> None:
    x = np.abs(values((9, 13)) * 10).astype(dtype, order=order)
    y = convert(tmp_path, x, "--to", "Q6.1", "--seed", 5, "--chunk", 10)
    assert np.load(tmp_path / "in.npy").dtype == np.dtype(dtype)
    assert np.array_equal(y, pysr.round(x, "Q6.1", rng=5))
    assert y.dtype.isnative


@pytest.mark.parametrize(
    ("dtype", "carrier"),
    [("f2", "f4"), ("f4", "f4"), ("f8", "f8"), ("i1", "f8"), ("u8", "f8"), ("i8", "f8"),
     ("?", "f8")],
)  # fmt: skip
def test_carriers(tmp_path: Path, dtype: str, carrier: str) -> None:
    x = np.abs(values(100) * 20).astype(dtype)
    y = convert(tmp_path, x, "--to", "float8_e4m3fn", "--seed", 5, "--chunk", 33)
    assert y.dtype == np.dtype(carrier)
    assert same(y, np.asarray(pysr.round(x, "float8_e4m3fn", rng=5)))


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (1, 1, 1)])
@pytest.mark.parametrize("codes", [False, True])
def test_shapes_without_much_in_them(tmp_path: Path, shape: tuple[int, ...], codes: bool) -> None:
    x = np.full(shape, 1.2345)
    y = convert(tmp_path, x, "--to", "Q2.3", "--seed", 9, *(["--codes"] if codes else []))
    expected = np.asarray((pysr.encode if codes else pysr.round)(x, "Q2.3", rng=9))
    assert same(y, expected)


@pytest.mark.parametrize("fmt", ["Q3.4", "UQ0.8", "float4_e2m1fn", "float16", "tf32", "Q20.20"])
def test_codes_have_the_format_s_dtype(tmp_path: Path, fmt: str) -> None:
    x = np.abs(values(50)) / 20
    y = convert(tmp_path, x, "--to", fmt, "--codes", "--seed", 1)
    assert y.dtype == pysr.format(fmt).code_dtype
    assert same(y, np.asarray(pysr.encode(x, fmt, rng=1)))


@pytest.mark.parametrize("shape", [(), (5,), (4, 1), (4, 5), (3, 4, 5), (1, 1, 5)])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i1"])
@pytest.mark.parametrize("chunk", [1, 7, 10**6])
def test_direction_broadcasts(
    tmp_path: Path, shape: tuple[int, ...], dtype: str, chunk: int
) -> None:
    x = values((4, 5), np.float32)
    v = np.round(values(shape) * 2).astype(dtype)
    y = convert(tmp_path, x, "--to", "float8_e5m2", "--mode", "sr_signed", "--eps", 0.3,
                "--seed", 1, "--chunk", chunk, direction=v)  # fmt: skip
    expected = pysr.round(x, "float8_e5m2", "sr_signed", rng=1, eps=0.3, direction=v)
    assert same(y, np.asarray(expected))


def test_the_file_is_what_numpy_would_save(tmp_path: Path) -> None:
    x = values((30, 40))
    convert(tmp_path, x, "--to", "bfloat16", "--seed", 7)
    expected = saved(np.asarray(pysr.round(x, "bfloat16", rng=7)))
    assert (tmp_path / "out.npy").read_bytes() == expected


def test_header_versions(tmp_path: Path) -> None:
    x = values(40)
    for version in [(1, 0), (2, 0), (3, 0)]:
        with open(tmp_path / "in.npy", "wb") as file:
            np.lib.format.write_array(file, x, version)
        assert main(["round", str(tmp_path / "in.npy"), str(tmp_path / "out.npy"), "--to", "Q3.4",
                     "--seed", "1", "--quiet"]) == 0  # fmt: skip
        assert same(np.load(tmp_path / "out.npy"), np.asarray(pysr.round(x, "Q3.4", rng=1)))


def test_out_may_be_in(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    x = values(5000)
    np.save(path, x)
    assert main(["round", str(path), str(path), "--to", "bfloat16", "--seed", "7", "--chunk", "64",
                 "--quiet"]) == 0  # fmt: skip
    assert same(np.load(path), np.asarray(pysr.round(x, "bfloat16", rng=7)))
    assert [p.name for p in tmp_path.iterdir()] == ["x.npy"]


@posix
def test_a_link_is_followed_and_permissions_are_kept(tmp_path: Path) -> None:
    x = values(10)
    np.save(tmp_path / "in.npy", x)
    real, link = tmp_path / "real.npy", tmp_path / "link.npy"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    assert main(["round", str(tmp_path / "in.npy"), str(link), "--to", "Q3.4", "--seed", "1",
                 "--quiet"]) == 0  # fmt: skip
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert same(np.load(real), np.asarray(pysr.round(x, "Q3.4", rng=1)))


@posix
def test_a_new_file_obeys_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        convert(tmp_path, values(3), "--to", "Q3.4", "--seed", 1)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out.npy").stat().st_mode) == 0o640


def test_codes_come_back_with_from(tmp_path: Path) -> None:
    x = values((7, 9))
    y = convert(tmp_path, x, "--to", "float8_e4m3fn", "--codes", "--seed", 4)
    z = convert(tmp_path, y, "--from", "float8_e4m3fn", "--to", "float8_e5m2", "--seed", 5,
                "--chunk", 10)  # fmt: skip
    expected = pysr.round(pysr.decode(y, "float8_e4m3fn"), "float8_e5m2", rng=5)
    assert same(z, np.asarray(expected))
    z = convert(tmp_path, np.asfortranarray(convert(tmp_path, x, "--to", "Q5.6", "--codes",
                "--seed", 4).astype(">i2")), "--from", "Q5.6", "--to", "Q5.6", "--codes",
                "--seed", 1)  # fmt: skip
    assert same(z, np.asarray(pysr.encode(x, "Q5.6", rng=4)))


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_ml_dtypes_files(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = values((5, 8)).astype(getattr(ml_dtypes, name))
    # ml_dtypes arrays are saved as raw bytes, or with a type code that NumPy does not read back.
    raw = x.view(f"V{x.dtype.itemsize}")
    y = convert(tmp_path, raw, "--from", name, "--to", "float4_e2m1fn", "--seed", 2)
    assert same(y, np.asarray(pysr.round(x, "float4_e2m1fn", rng=2)))
    message = fails(capsys, "round", tmp_path / "in.npy", tmp_path / "o.npy", "--to", "Q1.2")
    assert "--from" in message


# ---------------------------------------------------------------------------------------------
# The summary and the seed


def test_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "in.npy", values((3, 4)))
    line = ["round", str(tmp_path / "in.npy"), str(tmp_path / "out.npy"), "--to", "bfloat16"]
    assert main([*line, "--seed", "7"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{tmp_path / 'out.npy'}: 12 elements to bfloat16, sr, in 0.")
    assert out.endswith(" s, seed 7\n")
    assert main([*line, "--mode", "rne"]) == 0
    assert "seed" not in capsys.readouterr().out
    assert main([*line, "--seed", "7", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("quiet", [False, True])
def test_a_drawn_seed_is_printed_and_repeats_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], quiet: bool
) -> None:
    x = values(500)
    np.save(tmp_path / "in.npy", x)
    line = ["round", str(tmp_path / "in.npy"), str(tmp_path / "out.npy"), "--to", "Q3.4"]
    seeds = set()
    for _ in range(2):
        assert main([*line, *(["--quiet"] if quiet else [])]) == 0
        out = capsys.readouterr().out
        assert out.count("\n") == 1
        seed = int(out.rpartition("seed ")[2])
        seeds.add(seed)
        assert same(np.load(tmp_path / "out.npy"), np.asarray(pysr.round(x, "Q3.4", rng=seed)))
    assert len(seeds) == 2


def test_hexadecimal_seed(tmp_path: Path) -> None:
    y = convert(tmp_path, values(100), "--to", "Q3.4", "--seed", "0xffffffffffffffff")
    assert same(y, np.asarray(pysr.round(values(100), "Q3.4", rng=2**64 - 1)))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    for stream, wanted, shown in [
        (Terminal(), None, True),
        (io.StringIO(), None, False),
        (io.StringIO(), True, True),
        (Terminal(), False, False),
    ]:
        clock[0] = 0.0
        bar = cli.Progress(1000, stream, wanted)
        clock[0] = 0.9
        bar.update(100)
        assert stream.getvalue() == ""  # less than a second
        clock[0] = 2.0
        bar.update(500)
        assert ("50 %  2 s left" in stream.getvalue()) is shown
        once = stream.getvalue()
        clock[0] = 2.05
        bar.update(600)
        assert stream.getvalue() == once  # at most ten times a second
        bar.close()
        assert stream.getvalue().endswith(("\033[K", "\n")) is shown


def test_progress_in_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "in.npy", values(10))
    with pytest.MonkeyPatch.context() as patch:
        ticks = iter(range(10**6))
        patch.setattr(time, "monotonic", lambda: 1.0 * next(ticks))
        line = ["round", str(tmp_path / "in.npy"), str(tmp_path / "out.npy"), "--to", "Q3.4",
                "--chunk", "1", "--seed", "1"]  # fmt: skip
        assert main([*line, "--progress"]) == 0
        assert "100 %" in capsys.readouterr().err
        assert main([*line, "--progress", "--quiet"]) == 0
        assert main(line) == 0  # stderr is no terminal here
        assert capsys.readouterr().err == ""


# ---------------------------------------------------------------------------------------------
# Whole results or none


SLOW = 3_000_000  # elements; one at a time this takes many seconds


def default_signals() -> None:
    """In a child: what a terminal would give it. Under nohup or a CI system some are ignored."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)


@posix
@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
@pytest.mark.parametrize("old", [False, True])
def test_a_signal_leaves_nothing_behind(tmp_path: Path, name: str, status: int, old: bool) -> None:
    np.save(tmp_path / "in.npy", np.zeros(SLOW, np.float32))
    if old:
        (tmp_path / "out.npy").write_bytes(b"as it was")
    before = {path.name for path in tmp_path.iterdir()}
    child = subprocess.Popen(
        command("round", tmp_path / "in.npy", tmp_path / "out.npy", "--to", "bfloat16",
                "--seed", 1, "--chunk", 1),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=default_signals,
    )  # fmt: skip
    wait_for(lambda: len(list(tmp_path.glob(".pysr-*.part"))) == 1, child)
    child.send_signal(getattr(signal, name))
    out, err = child.communicate(timeout=60)
    assert child.returncode == status
    assert out == ""
    assert err == f"pysr: stopped by {name}\n"
    assert {path.name for path in tmp_path.iterdir()} == before
    if old:
        assert (tmp_path / "out.npy").read_bytes() == b"as it was"


@posix
def test_many_signals_leave_nothing_behind(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", np.zeros(SLOW, np.float32))
    child = subprocess.Popen(
        command("round", tmp_path / "in.npy", tmp_path / "in.npy", "--to", "bfloat16",
                "--seed", 1, "--chunk", 1),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=default_signals,
    )  # fmt: skip
    wait_for(lambda: len(list(tmp_path.glob(".pysr-*.part"))) == 1, child)
    content = (tmp_path / "in.npy").read_bytes()
    while child.poll() is None:
        child.send_signal(signal.SIGINT)
        child.send_signal(signal.SIGTERM)
    child.communicate(timeout=60)
    assert [path.name for path in tmp_path.iterdir()] == ["in.npy"]
    assert (tmp_path / "in.npy").read_bytes() == content


def wait_for(condition: Any, child: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


@posix
def test_signal_handlers_are_put_back(tmp_path: Path) -> None:
    before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    convert(tmp_path, values(3), "--to", "Q3.4", "--seed", 1)
    assert main(["nonsense"]) == 2
    after = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert before == after


@posix
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", values(100_000))
    (tmp_path / "out.npy").write_bytes(b"as it was")
    limited = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000));"
        "from pysr.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    for chunk in (1000, 10**6):
        done = subprocess.run(
            [sys.executable, "-c", limited, "round", str(tmp_path / "in.npy"),
             str(tmp_path / "out.npy"), "--to", "bfloat16", "--seed", "1", "--chunk", str(chunk)],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 2
        assert done.stderr == f"pysr: error: {tmp_path / 'out.npy'}: File too large\n"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["in.npy", "out.npy"]
        assert (tmp_path / "out.npy").read_bytes() == b"as it was"


@pytest.mark.parametrize("where", ["write", "fsync", "replace"])
def test_an_error_anywhere_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    np.save(tmp_path / "in.npy", values(1000))
    (tmp_path / "out.npy").write_bytes(b"as it was")

    def broken(*args: Any) -> Any:
        raise OSError(28, "No space left on device")

    if where == "write":
        monkeypatch.setattr(np, "ascontiguousarray", broken)
    else:
        monkeypatch.setattr(os, where, broken)
    message = fails(capsys, "round", tmp_path / "in.npy", tmp_path / "out.npy", "--to", "Q3.4",
                    "--seed", 1)  # fmt: skip
    assert message == f"{tmp_path / 'out.npy'}: No space left on device"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.npy", "out.npy"]
    assert (tmp_path / "out.npy").read_bytes() == b"as it was"


@linux
def test_memory_stays_bounded(tmp_path: Path) -> None:
    x = np.lib.format.open_memmap(tmp_path / "in.npy", "w+", np.float32, (4096, 4096))  # 64 MiB
    for start in range(0, 4096, 512):
        x[start : start + 512] = values((512, 4096), np.float32)
    x.flush()
    bounded = """
import re, resource, sys
import numpy as np
from pysr.cli import main
data = 1024 * int(re.search(r"VmData:\\s+(\\d+)", open("/proc/self/status").read())[1])
limit = data + 24 * 2**20
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
try:
    np.load(sys.argv[2])
except MemoryError:
    sys.exit(main(sys.argv[1:]))
sys.exit("the limit does not bite")
"""
    for name in ("in.npy", "fortran.npy"):
        if name == "fortran.npy":
            y = np.lib.format.open_memmap(
                tmp_path / name, "w+", np.float32, (4096, 4096), fortran_order=True
            )
            y[:] = x
            y.flush()
            del y
        done = subprocess.run(
            [sys.executable, "-c", bounded, "round", str(tmp_path / name),
             str(tmp_path / "out.npy"), "--to", "bfloat16", "--seed", "1", "--quiet"],
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        out = np.load(tmp_path / "out.npy", mmap_mode="r")
        for row in (0, 1, 2047, 4095):
            expected = pysr.round(x[row], "bfloat16", rng=1, offset=4096 * row)
            assert np.array_equal(out[row], expected)
        del out


# ---------------------------------------------------------------------------------------------
# Errors of pysr round


@pytest.fixture
def line(tmp_path: Path) -> list[object]:
    np.save(tmp_path / "in.npy", values(10))
    return ["round", tmp_path / "in.npy", tmp_path / "out.npy", "--to", "Q3.4", "--seed", "1"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--to", "bfloat17"], ["bfloat17"]),
        (["--mode", "up"], ["--mode", "'up'"]),
        (["--seed", "-1"], ["--seed", "-1"]),
        (["--seed", str(2**64)], ["--seed", str(2**64)]),
        (["--seed", "1.5"], ["--seed", "1.5"]),
        (["--eps", "1.5"], ["eps", "1.5"]),
        (["--eps", "nan"], ["eps", "nan"]),
        (["--eps", "x"], ["--eps", "'x'"]),
        (["--random-bits", "0"], ["random_bits", "0"]),
        (["--random-bits", "65"], ["random_bits", "65"]),
        (["--random-bits", "many"], ["--random-bits", "many"]),
        (["--variant", "d"], ["--variant", "'d'"]),
        (["--overflow", "clip"], ["--overflow", "'clip'"]),
        (["--overflow", "inf"], ["overflow", "inf"]),
        (["--to", "float8_e4m3fn", "--overflow", "wrap"], ["overflow", "wrap"]),
        (["--chunk", "0"], ["--chunk", "0"]),
        (["--chunk", "-5"], ["--chunk", "-5"]),
        (["--mode", "sr_signed"], ["--direction"]),
        (["--direction", "v.npy"], ["--direction", "sr_signed"]),
        (["--colour"], ["--colour"]),
        (["--quie"], ["--quie"]),
        (["--from", "nothing"], ["nothing"]),
        (["--from", "bfloat16"], ["bfloat16", "float64"]),
    ],
)
def test_bad_arguments(
    line: list[object],
    args: list[str],
    words: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    message = fails(capsys, *line, *args)
    for word in words:
        assert word in message
    assert [path.name for path in tmp_path.iterdir()] == ["in.npy"]


def test_format_wider_than_the_carrier(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "in.npy", values(10, np.float32))
    message = fails(capsys, "round", tmp_path / "in.npy", tmp_path / "out.npy", "--to", "binary64")
    assert "float32" in message


@pytest.mark.parametrize("args", [[], ["round"], ["round", "a.npy"], ["round", "a.npy", "b.npy"],
                                  ["paint"], ["formats", "--colour"], ["--seed", "1"]])  # fmt: skip
def test_bad_command_lines(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    fails(capsys, *args)


def test_bad_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = saved(values(1000))
    out = tmp_path / "out.npy"
    cases: dict[str, tuple[bytes, str]] = {
        "text.npy": (b"1 2 3\n", "not an .npy file"),
        "empty.npy": (b"", "not an .npy file"),
        "short.npy": (good[:20], "damaged"),
        "cut.npy": (good[:-8], "damaged"),
        "header.npy": (good[:10] + b"{'descr': 'nothing" + good[28:], "damaged"),
        "huge.npy": (good.replace(b"(1000,)", b"(9999,)"), "damaged"),
        "version.npy": (good[:6] + b"\x09\x00" + good[8:], "damaged"),
        "archive.npz": (b"PK\x03\x04" + bytes(50), ".npz archive"),
        "complex.npy": (saved(np.ones(3, complex)), "complex128"),
        "text2.npy": (saved(np.array(["a", "b"])), "<U1"),
        "date.npy": (saved(np.array(["2020-01-01"], "M8[D]")), "datetime64"),
        "record.npy": (saved(np.zeros(3, "i4,f8")), "'f0'"),
    }
    if np.dtype(np.longdouble).itemsize > 8:
        cases["long.npy"] = (saved(np.ones(3, np.longdouble)), "float128")
    for name, (content, word) in cases.items():
        (tmp_path / name).write_bytes(content)
        message = fails(capsys, "round", tmp_path / name, out, "--to", "Q3.4", "--seed", "1")
        assert str(tmp_path / name) in message
        assert word in message, message
        assert not out.exists()
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    message = fails(capsys, "round", tmp_path / "objects.npy", out, "--to", "Q3.4")
    assert "Python objects" in message
    assert not list(tmp_path.glob(".pysr*"))


def test_missing_and_forbidden_paths(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "in.npy", values(3))
    good, missing = tmp_path / "in.npy", tmp_path / "no" / "x.npy"
    cases: list[tuple[Path, Path, str]] = [
        (missing, tmp_path / "out.npy", f"{missing}: No such file or directory"),
        (good, missing, f"{missing}: No such file or directory"),
        (good, tmp_path, f"{tmp_path}: not a regular file"),
        (tmp_path, tmp_path / "out.npy", f"{tmp_path}: Is a directory"),
        (good, good / "out.npy", f"{good / 'out.npy'}: Not a directory"),
    ]
    if os.path.exists("/dev/full"):
        cases.append((good, Path("/dev/full"), "/dev/full: not a regular file"))
    for source, target, expected in cases:
        message = fails(capsys, "round", source, target, "--to", "Q3.4", "--seed", "1")
        assert message == expected
    assert [path.name for path in tmp_path.iterdir()] == ["in.npy"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "in.npy", values(3))
    out = tmp_path / "out.npy"
    out.write_bytes(b"as it was")
    out.chmod(0o444)
    message = fails(capsys, "round", tmp_path / "in.npy", out, "--to", "Q3.4", "--seed", "1")
    assert message == f"{out}: Permission denied"
    assert out.read_bytes() == b"as it was"


@pytest.mark.parametrize("chunk", [1, 10, 1000, 10**6])
@pytest.mark.parametrize("order", ["C", "F"])
def test_overflow_names_the_global_index(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], chunk: int, order: Any
) -> None:
    x = np.zeros((40, 50), order=order)
    x[31, 7] = 1e6
    x[39, 0] = -np.inf
    np.save(tmp_path / "in.npy", x)
    message = fails(capsys, "round", tmp_path / "in.npy", tmp_path / "out.npy", "--to", "Q3.4",
                    "--overflow", "raise", "--seed", "1", "--chunk", chunk)  # fmt: skip
    assert f"index {31 * 50 + 7}, [31, 7]: " in message
    assert "1000000.0" in message
    assert [path.name for path in tmp_path.iterdir()] == ["in.npy"]


def test_a_stochastic_overflow_is_named_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x = np.full(10_000, 8 - 2**-4 + 2**-14)  # beyond max with probability 2^-10
    up = np.flatnonzero(np.asarray(pysr.round(x, "Q4.4", rng=3)) > 8 - 2**-4)
    np.save(tmp_path / "in.npy", x)
    message = fails(capsys, "round", tmp_path / "in.npy", tmp_path / "out.npy", "--to", "Q3.4",
                    "--overflow", "raise", "--seed", "3", "--chunk", 4096)  # fmt: skip
    assert f"index {up[0]}, [{up[0]}]: " in message


def test_other_bad_elements_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    big = np.arange(20)
    big[13] = 2**53 + 1
    nan = np.ones(20)
    nan[13] = np.nan
    codes = np.ones(20, np.uint8)
    codes[13] = 0xF0
    cases: list[tuple[Array, list[object]]] = [
        (big, ["--to", "bfloat16"]),
        (nan, ["--to", "float4_e2m1fn", "--codes"]),
        (codes, ["--to", "float16", "--from", "float4_e2m1fn"]),
    ]
    for x, args in cases:
        np.save(tmp_path / "in.npy", x)
        message = fails(capsys, "round", tmp_path / "in.npy", tmp_path / "out.npy", "--seed", "1",
                        "--chunk", 6, *args)  # fmt: skip
        assert f"{tmp_path / 'in.npy'}: index 13, [13]: " in message
        assert message.count("index 13") == 1
        assert not (tmp_path / "out.npy").exists()


def test_direction_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "in.npy", values((4, 5)))
    line = ["round", tmp_path / "in.npy", tmp_path / "out.npy", "--to", "Q3.4", "--seed", "1",
            "--mode", "sr_signed", "--direction", tmp_path / "v.npy"]  # fmt: skip
    assert "v.npy: No such file" in fails(capsys, *line)
    np.save(tmp_path / "v.npy", np.ones(4))
    assert "(4,) does not broadcast with (4, 5)" in fails(capsys, *line)
    np.save(tmp_path / "v.npy", np.ones(5, complex))
    assert "complex128" in fails(capsys, *line)
    np.save(tmp_path / "v.npy", np.array([1, 1, 1, np.nan, 1]))
    assert "index 3, [0, 3]: direction" in fails(capsys, *line)


# ---------------------------------------------------------------------------------------------
# pysr formats, info, and what every command shares


def test_formats_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["formats"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["name", "precision", "emin", "emax", "max", "smallest", "bits",
                                "inf", "nan", "-0", "overflow"]  # fmt: skip
    assert [line.split()[0] for line in lines[1:]] == list(pysr.FORMATS)
    row = next(line.split() for line in lines if line.startswith("float8_e4m3fn "))
    assert row[1:] == ["4", "-6", "8", "448", "0.00195312", "8", "no", "yes", "yes", "nan"]


def test_formats_in_detail(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["formats", "Q3.8", "bfloat16"]) == 0
    first, second = capsys.readouterr().out.split("\n\n")
    fields = dict(line.split(maxsplit=1) for line in first.splitlines())
    assert fields["name"] == "Q3.8"
    assert fields["precision"] == "-"
    assert float(fields["max"]) == 8 - 2**-8
    assert fields["int_bits"] == "3"
    assert float(fields["step"]) == 2**-8
    assert fields["overflow"] == "saturate"
    fields = dict(line.split(maxsplit=1) for line in second.splitlines())
    assert fields["carrier"] == "float32"
    assert float(fields["max"]) == pysr.format("bfloat16").max


def test_formats_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["formats", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in content] == list(pysr.FORMATS)
    for entry in content:
        fmt = pysr.format(entry["name"])
        for key in ("precision", "emin", "emax", "max", "min", "smallest", "bits", "nan",
                    "infinities", "negative_zero", "signed", "zero", "overflow"):  # fmt: skip
            assert entry[key] == getattr(fmt, key)
        assert np.dtype(entry["code_dtype"]) == fmt.code_dtype
    assert main(["formats", "UQ0.8", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["name"], entry["bits"], entry["step"]) == ("UQ0.8", 8, 2**-8)


@pytest.mark.parametrize("name", ["float9", "Q3", "Q99.99", "", "Q-1.-3"])
def test_unknown_format(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert name in fails(capsys, "formats", name)


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    facts = pysr.config()
    assert content["version"] == pysr.__version__ == facts["version"]
    for key in ("path", "compiler", "threads", "numpy", "extras"):
        assert content[key] == facts[key]
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    for word in (pysr.__version__, np.__version__, str(facts["path"]), "matplotlib"):
        assert word in out


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for args in (["--help"], ["round", "--help"], ["formats", "--help"], ["info", "--help"],
                 ["lab", "--help"]):  # fmt: skip
        assert main(args) == 0
        assert "usage: pysr" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"pysr {pysr.__version__}\n"


def test_as_a_program(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", values(100))
    done = spawn("round", "in.npy", "out.npy", "--to", "bfloat16", "--seed", 7, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert same(np.load(tmp_path / "out.npy"),
                np.asarray(pysr.round(values(100), "bfloat16", rng=7)))  # fmt: skip
    done = spawn("round", "none.npy", "out.npy", "--to", "bfloat16", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "pysr: error: none.npy: No such file or directory\n"
    assert spawn("formats", "Q3.8", cwd=tmp_path).returncode == 0


def test_installed_script_is_this_main() -> None:
    from importlib.metadata import entry_points

    scripts = [s for s in entry_points(group="console_scripts") if s.name == "pysr"]
    assert {script.value for script in scripts} == {"pysr.cli:main"}


@pytest.fixture(params=["", "1"], ids=["buffered", "unbuffered"])
def buffering(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", request.param)


@posix
@pytest.mark.usefixtures("buffering")
def test_a_closed_pipe_is_not_an_error_message(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command("formats"), stdout=writing, stderr=subprocess.PIPE, timeout=60,
                          cwd=tmp_path)  # fmt: skip
    os.close(writing)
    assert done.stderr == b""
    assert done.returncode == 141


@linux
@pytest.mark.usefixtures("buffering")
def test_a_full_standard_output_is_one(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command("formats"), stdout=full, stderr=subprocess.PIPE, timeout=60,
                              cwd=tmp_path)  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == b"pysr: error: No space left on device\n"


@posix
@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&-"])
def test_closed_streams(tmp_path: Path, closed: str) -> None:
    np.save(tmp_path / "in.npy", values(3))
    line = " ".join(command("round", "in.npy", "out.npy", "--to", "bfloat16", "--seed", "1"))
    done = subprocess.run(["sh", "-c", f"{line} {closed}"], cwd=tmp_path, timeout=60)
    assert done.returncode == 0
    expected = pysr.round(np.load(tmp_path / "in.npy"), "bfloat16", rng=1)
    assert np.array_equal(np.load(tmp_path / "out.npy"), expected)


def test_svdvals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.npy"
    a = values((70_000, 5))
    np.save(path, a)
    for options, expected in (
        ([], pysr.linalg.svdvals(a)),
        (["--to", "Q4.3", "--seed", "7"], pysr.linalg.svdvals(a, "Q4.3", rng=7)),
        (["--to", "Q4.3", "--mode", "rne"], pysr.linalg.svdvals(a, "Q4.3", "rne")),
    ):
        assert main(["svdvals", str(path), *options]) == 0
        assert [float(line) for line in capsys.readouterr().out.split()] == list(expected)
    assert main(["svdvals", str(path), "--to", "Q4.3"]) == 0
    drawn = capsys.readouterr()
    assert (
        main(["svdvals", str(path), "--to", "Q4.3", "--seed", drawn.err.split()[1], "--json"]) == 0
    )
    content = json.loads(capsys.readouterr().out)
    assert content["singular_values"] == [float(line) for line in drawn.out.split()]
    for options, message in (
        (["--to", "Q4.3", "--checkpoint", "c"], "--checkpoint needs --seed"),
        (["--to", "nothing"], "nothing"),
        (["--checkpoint", str(path)], "no checkpoint"),
    ):
        assert main(["svdvals", str(path), *options]) == 2
        assert message in capsys.readouterr().err
    path.write_bytes(path.read_bytes()[:-1])
    assert main(["svdvals", str(path)]) == 2
    assert "damaged" in capsys.readouterr().err


def test_labs_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == ["biased-descent", "deep-factorization", "rounded-qr", "tall-thin"]
    assert "no-such-lab" in fails(capsys, "lab", "no-such-lab")
    assert "--seeds" in fails(capsys, "lab", "tall-thin", "--seeds", "0")


def test_nothing_is_imported_that_is_not_needed() -> None:
    code = (
        "import sys; from pysr.cli import main; main(['formats', 'Q3.8']);"
        "print(sorted({'matplotlib', 'sklearn', 'scipy', 'ml_dtypes'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"
    assert math.isfinite(pysr.format("Q3.8").max)
