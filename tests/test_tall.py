"""Tall matrices: R and singular values, in one pass over arrays and files, rounded on the fly."""

from __future__ import annotations

import errno
import gzip
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from numpy.typing import NDArray

import pysr
from pysr import _checkpoint, cli
from pysr._core import paths
from pysr._core.tall import qr_rows
from pysr.linalg import _tall, smallest_singular_value, svdvals, tsqr

Array = NDArray[Any]


def uniform(n: int, d: int, seed: int = 1) -> Array:
    return np.random.default_rng(seed).uniform(-1, 1, (n, d))


def same(a: Array, b: Array) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


# ---- R -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 2, 3, 4, 5, 7, 8, 20, 33, 130])
@pytest.mark.parametrize("n", [1, 2, 8, 127, 128, 129, 500, 3000])
def test_r_is_that_of_lapack(n: int, d: int) -> None:
    a = uniform(n, d)
    r = tsqr(a)
    expected = np.linalg.qr(a, mode="r")
    expected *= np.where(np.diagonal(expected) < 0, -1.0, 1.0)[:, np.newaxis]
    assert r.shape == (min(n, d), d)
    assert r.dtype == np.float64
    assert (r == np.triu(r)).all()
    assert (np.diagonal(r) >= 0).all()
    assert not np.signbit(r[r == 0]).any()
    # Columns of R'R = A'A are right to their norms; R itself where A is well conditioned.
    norms = np.linalg.norm(a, axis=0)
    assert (np.abs(r.T @ r - a.T @ a) <= 1e-14 * (d + 40) * np.outer(norms, norms)).all()
    if n >= 4 * d:
        assert np.allclose(r, expected, rtol=0, atol=1e-12 * norms.max())


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_nothing(shape: tuple[int, int]) -> None:
    a = np.zeros(shape)
    assert tsqr(a, "bfloat16", rng=1).shape == (0, shape[1])
    assert svdvals(a).shape == (0,)
    with pytest.raises(ValueError, match="a has no elements"):
        smallest_singular_value(a)


def test_zeros_and_columns_of_zeros() -> None:
    assert (tsqr(np.zeros((300, 4))) == 0).all()
    a = uniform(300, 4)
    a[:, 1] = 0
    r = tsqr(a)
    assert (r[:, 1] == 0).all()
    assert np.allclose(r.T @ r, a.T @ a)
    assert svdvals(a)[-1] == 0


def test_paths_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    a = uniform(300_000, 5)
    assert -(-len(a) // _tall._piece_rows(5)) > 4
    expected = tsqr(a, "Q1.7", rng=5, threads=1)
    before = paths.path()
    try:
        for path in paths.paths():
            paths.set_path(path)
            assert same(tsqr(a[:20_000]), tsqr(np.asfortranarray(a[:20_000])))
            for threads in (None, 1, 2, 5):
                assert same(tsqr(a, "Q1.7", rng=5, threads=threads), expected)
    finally:
        paths.set_path(before)


@pytest.mark.parametrize(
    "of",
    [
        lambda a: a[::2],
        lambda a: a[::-1],
        lambda a: a[:, ::-1],
        lambda a: a[:, 1:4],
        np.asfortranarray,
        lambda a: a.astype(">f8"),
        lambda a: a.astype(np.float32),
        lambda a: a.astype(np.float16),
        lambda a: (100 * a).astype(np.int16),
        lambda a: a > 0,
        lambda a: a.tolist(),
        lambda a: np.broadcast_to(a[:1], a.shape),
    ],
)
def test_layouts_and_types(of: Callable[[Array], Any]) -> None:
    a = of(uniform(1000, 6))
    plain = np.ascontiguousarray(a, np.float64)
    assert same(tsqr(a), tsqr(plain))
    for fmt in ("bfloat16", "Q7.3"):
        assert same(tsqr(a, fmt, rng=3), tsqr(np.float64(pysr.round(a, fmt, rng=3))))


# ---- rounding on the fly -------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "keywords",
    [
        {},
        {"mode": "rne"},
        {"mode": "sr_eps", "eps": 0.25},
        {"mode": "sr_equal"},
        {"random_bits": 5, "variant": "c"},
        {"random_bits": 40},
        {"overflow": "saturate"},
    ],
)
def test_rounding_is_that_of_the_whole(dtype: Any, keywords: dict[str, Any]) -> None:
    a = uniform(90_000, 7).astype(dtype)
    assert len(a) > 2 * _tall._piece_rows(7)
    whole = pysr.round(a, "float8_e4m3fn", rng=11, **keywords)
    assert same(tsqr(a, "float8_e4m3fn", rng=11, **keywords), tsqr(whole))


def test_streams_move_as_with_round() -> None:
    a = uniform(60_001, 7)
    one, other = pysr.Philox(3, stream=9).advance(5), pysr.Philox(3, stream=9).advance(5)
    for _ in range(2):
        assert same(tsqr(a, "Q1.7", rng=one), tsqr(pysr.round(a, "Q1.7", rng=other)))
        assert one.position == other.position > 5
    one, other = (np.random.Generator(pysr.Philox(8)) for _ in range(2))
    assert same(tsqr(a, "Q1.7", rng=one), tsqr(pysr.round(a, "Q1.7", rng=other)))
    one, other = (np.random.default_rng(8) for _ in range(2))
    assert same(tsqr(a, "Q1.7", rng=one), tsqr(pysr.round(a, "Q1.7", rng=other)))
    stream = pysr.Philox(4)
    tsqr(a, "Q1.7", "rne", rng=stream)
    tsqr(a, rng=stream)
    assert stream.position == 0
    assert not same(tsqr(a, "Q1.7"), tsqr(a, "Q1.7"))  # a seed each


@pytest.mark.parametrize("wrap", [lambda s: s, np.random.Generator])
def test_what_fails_draws_nothing(wrap: Callable[[Any], Any]) -> None:
    a = uniform(90_000, 7)
    a[80_000, 3] = 3.0
    stream = pysr.Philox(5).advance(3)
    with pytest.raises(OverflowError, match="560003"):
        tsqr(a, "Q1.7", rng=wrap(stream), overflow="raise")
    a[80_000, 3] = np.nan
    for keywords in ({}, {"threads": 1}):
        with pytest.raises(ValueError, match=r"a is nan at \(80000, 3\): all must be finite"):
            tsqr(a, "Q1.7", rng=wrap(stream), **keywords)
    assert stream.position == 3
    with pytest.raises(ValueError, match="a is nan"):
        tsqr(a, "Q1.7", "rne", rng=wrap(stream))  # draws nothing anyway
    assert stream.position == 3


def test_rounded_to_infinity() -> None:
    a = uniform(50, 3)
    a[7, 1] = -1e6
    with pytest.raises(ValueError, match=r"a, rounded to float16, is -inf at \(7, 1\)"):
        tsqr(a, "float16", "rne")
    assert np.isfinite(tsqr(a, "float16", "rne", overflow="saturate")).all()
    a[7, 1] = np.inf
    assert np.isfinite(tsqr(a, "float16", "rne", overflow="saturate")).all()  # as round has it
    with pytest.raises(ValueError, match=r"a is inf at \(7, 1\)"):
        tsqr(a, "float16", "rne")
    with pytest.raises(ValueError, match=r"a is inf at \(1, 1\)"):
        tsqr(a[6:8])  # fewer rows than columns


def test_norms_beyond_the_range() -> None:
    assert np.isfinite(tsqr(np.full((4, 1), 8e307))).all()
    with pytest.raises(np.linalg.LinAlgError, match="norm of a column of a is beyond"):
        tsqr(np.full((5, 1), 1.7e308))


# ---- singular values -----------------------------------------------------------------------------


def exact_singular_values(a: Array) -> list[Any]:
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(600):  # squares have twice the decades
        m = mpmath.matrix(a.tolist())
        squares = mpmath.eigsy(m.T * m, eigvals_only=True)
        return sorted((mpmath.sqrt(abs(x)) for x in squares), reverse=True)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("decades", [0, 8, 20, 100, 280])
def test_badly_scaled_shuffled_columns(seed: int, decades: int) -> None:
    """Full relative accuracy at condition 1e20 and beyond, where bidiagonal methods lose it."""
    generator = np.random.default_rng(seed)
    d = 10
    scales = 10.0 ** np.linspace(decades / 2, -decades / 2, d)
    a = (generator.standard_normal((400, d)) * scales)[:, generator.permutation(d)]
    exact = exact_singular_values(a)
    found = svdvals(a)
    errors = [abs(float((float(x) - y) / y)) for x, y in zip(found, exact, strict=True)]
    assert max(errors) < 2e-15
    assert smallest_singular_value(a) == found[-1]


@pytest.mark.parametrize(("n", "d", "decades"), [(2, 3, 40), (5, 7, 20), (4, 8, 100)])
def test_badly_scaled_columns_of_wide_matrices(n: int, d: int, decades: int) -> None:
    for seed in range(5):
        generator = np.random.default_rng(seed)
        scales = 10.0 ** np.linspace(decades / 2, -decades / 2, d)
        a = (generator.standard_normal((n, d)) * scales)[:, generator.permutation(d)]
        exact = exact_singular_values(a.T)
        errors = [abs(float(float(x) / y - 1)) for x, y in zip(svdvals(a), exact, strict=True)]
        assert max(errors) < 1e-13


def test_where_lapack_is_wrong() -> None:
    """Condition 1e20: the usual method's smallest value is far off, if only on some matrices."""
    worst = 1.0
    for seed in range(6):
        generator = np.random.default_rng(seed)
        mixed = generator.standard_normal((40, 20))
        a = (mixed * 10.0 ** -np.linspace(0, 20, 20))[:, generator.permutation(20)]
        least = float(exact_singular_values(a)[-1])
        assert abs(smallest_singular_value(a) / least - 1) < 1e-13
        usual = float(np.linalg.svd(a, compute_uv=False)[-1])
        worst = max(worst, usual / least, least / usual)
    assert worst > 1.5


@pytest.mark.parametrize("shape", [(1, 1), (5, 1), (1, 5), (3, 8), (100, 40)])
def test_singular_values(shape: tuple[int, int]) -> None:
    a = uniform(*shape)
    assert np.allclose(svdvals(a), np.linalg.svd(a, compute_uv=False), rtol=1e-12)
    assert (np.diff(svdvals(a)) <= 0).all()


# ---- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", "<f2", "<i4", "|b1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy(tmp_path: Path, dtype: str, order: Any) -> None:
    a = np.asarray((50 * uniform(70_000, 6)).astype(dtype), order=order)
    path = tmp_path / "a.npy"
    np.save(path, a)
    expected = tsqr(a, "Q7.1", rng=2)
    for source in (path, str(path), np.load(path, mmap_mode="r")):
        assert same(tsqr(source, "Q7.1", rng=2), expected)
    assert same(tsqr(path), tsqr(a))


@pytest.mark.parametrize("shape", [(0, 4), (3, 0), (2, 7), (1, 1)])
def test_small_npy(tmp_path: Path, shape: tuple[int, int]) -> None:
    path = tmp_path / "a.npy"
    np.save(path, uniform(*shape))
    assert same(tsqr(path), tsqr(uniform(*shape)))


def test_matrix_market(tmp_path: Path) -> None:
    a = uniform(3000, 5)
    scipy.io.mmwrite(tmp_path / "dense.mtx", a, comment="of two lines,\nas comments may be")
    text = (tmp_path / "dense.mtx").read_bytes()
    (tmp_path / "packed.mtx.gz").write_bytes(gzip.compress(text))
    written = np.asarray(scipy.io.mmread(tmp_path / "dense.mtx"))
    for name in ("dense.mtx", "packed.mtx.gz"):
        assert same(tsqr(tmp_path / name, "Q1.7", rng=4), tsqr(written, "Q1.7", rng=4))
    sparse = scipy.sparse.random_array((3000, 40), density=0.05, rng=3)
    for name, matrix in (
        ("real", sparse),
        ("integer", (100 * sparse).astype(np.int32)),
        ("none", scipy.sparse.coo_array((3000, 40))),
    ):
        scipy.io.mmwrite(tmp_path / name, matrix)
        path = tmp_path / f"{name}.mtx"
        assert same(tsqr(path), tsqr(scipy.io.mmread(path).toarray().astype(np.float64)))
    lines = "%%MatrixMarket matrix coordinate real general\n\n3 2 4\n3 1 .5\n1 2 1\n3 1 1e0\n2 1 -2"
    (tmp_path / "twice.mtx").write_text(lines)
    assert same(tsqr(tmp_path / "twice.mtx"), tsqr([[0, 1], [-2, 0], [1.5, 0]]))
    lines = "%%MatrixMarket matrix coordinate pattern general\n3 2 2\n3 1\n1 2\n"
    (tmp_path / "pattern.mtx").write_text(lines)
    assert same(tsqr(tmp_path / "pattern.mtx"), tsqr([[0, 1], [0, 0], [1, 0]]))
    lines = "%%MatrixMarket matrix coordinate real symmetric\n2 2 2\n2 1 3\n1 1 1\n"
    (tmp_path / "symmetric.mtx").write_text(lines)
    assert same(tsqr(tmp_path / "symmetric.mtx"), tsqr([[1, 3], [3, 0]]))


REAL = "%%MatrixMarket matrix array real general\n"
INTEGER = REAL.replace("real", "integer")
ENTRIES = "%%MatrixMarket matrix coordinate real general\n"


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("a.mtx", "", ValueError, "damaged Matrix Market file"),
        ("a.mtx", "hello\n", ValueError, "damaged Matrix Market file"),
        ("a.mtx", REAL + "2 2\n1\n2\n3\n", ValueError, "3 numbers where the header says 4: cut"),
        ("a.mtx", REAL + "2 2\n1\n2\n3\n4\n5\n", ValueError, "more than the 4 numbers"),
        ("a.mtx", REAL + "2 2\n1\ntwo\n3\n4\n", ValueError, "'two' is no number"),
        ("a.mtx", REAL + "1 1\n1_0\n", ValueError, "'1_0' is no number"),
        ("a.mtx", INTEGER + "1 1\n9007199254740993\n", ValueError, "not exact in float64"),
        ("a.mtx", INTEGER + "1 1\n1.5\n", ValueError, "1.5 is no integer"),
        ("a.mtx", REAL.replace("general", "symmetric") + "2 2\n1\n2\n", ValueError, "cut short"),
        ("a.mtx", ENTRIES + f"{10**12} {10**12} 1\n1 1 1\n", ValueError, "no file can keep"),
        ("a.mtx", REAL + "2 1\n1\nnan\n", ValueError, r"a is nan at \(1, 0\)"),
        ("a.mtx", ENTRIES + "2 2 1\n3 1 1\n", ValueError, "entry 1 is in row 3 of 2"),
        ("a.mtx", ENTRIES + "2 2 1\n1 0 1\n", ValueError, "entry 1 is in column 0 of 2"),
        ("a.mtx", ENTRIES + "2 2 2\n1 1 1\n", ValueError, "cut short"),
        ("a.mtx", ENTRIES + "2 2 1\n1 1 1\n2 2 1\n", ValueError, "more than the 1 entries"),
        ("a.mtx", REAL.replace("real", "complex") + "1 1\n1 1\n", TypeError, "complex numbers"),
        ("a.mtx.gz", "no gzip\n", ValueError, "damaged Matrix Market file"),
        ("a.npy", "", ValueError, "not an .npy file"),
        ("a.npy", "PK", ValueError, "an .npz archive"),
        ("a.npy", "\x93NUMPY", ValueError, "not an .npy file|damaged"),
        ("a.csv", "1,2\n", ValueError, r"a='.*a\.csv': the name of an .npy, .mtx or .mtx.gz file"),
    ],
)
def test_damaged_files(
    tmp_path: Path, name: str, content: str, error: type[Exception], message: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(error, match=message):
        tsqr(path)
    assert list(tmp_path.iterdir()) == [path]


def test_numbers_of_a_text_file(tmp_path: Path) -> None:
    path = tmp_path / "a.mtx"
    path.write_bytes(
        b"%%MatrixMarket matrix array integer general\r\n  % indented\r\n\r\n3 1\r\n"
        b"9007199254740992\r\n\t-3 \r\n18014398509481984"
    )
    assert same(tsqr(path), tsqr([[2.0**53], [-3.0], [2.0**54]]))
    path.write_text(REAL + "2 1\n1D2\n-2.5d-1\n")
    assert same(tsqr(path), tsqr([[100.0], [-0.25]]))
    assert same(tsqr(os.fsencode(path)), tsqr(path))


def test_damaged_gz(tmp_path: Path) -> None:
    path = tmp_path / "a.mtx.gz"
    scipy.io.mmwrite(tmp_path / "a.mtx", uniform(20_000, 3))
    packed = gzip.compress((tmp_path / "a.mtx").read_bytes())
    for damaged in (
        packed[: len(packed) // 2],
        packed[:-8] + b"\0" * 8,
        packed + b"more",
        packed[:5000] + b"\xff\0" + packed[5002:],
    ):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"a\.mtx\.gz: "):
            tsqr(path)


@pytest.mark.parametrize("name", ["a\0.npy", "", "a.NPY", "a.mtx.GZ"])
def test_names_of_no_file(name: str) -> None:
    with pytest.raises(ValueError, match="a="):
        tsqr(name)


def test_arguments_are_checked_before_a_file_is_converted(tmp_path: Path) -> None:
    path = tmp_path / "none.mtx"
    for keywords, message in (
        ({"mode": "bogus"}, "mode"),
        ({"rng": -1}, "rng=-1"),
        ({"eps": 2.0}, "eps"),
        ({"checkpoint": ""}, "checkpoint="),
    ):
        with pytest.raises(ValueError, match=message):
            tsqr(path, "Q1.7", **keywords)


def test_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.array([[1.0], [np.nan]]))
    with pytest.raises(ValueError, match=r"a\.npy: a is nan at \(1, 0\)"):
        tsqr(path)
    np.save(path, np.ones((2, 2), complex))
    with pytest.raises(TypeError, match=r"a\.npy: .*complex"):
        tsqr(path)


def test_short_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.npy"
    np.save(path, uniform(3000, 5))
    whole = os.preadv

    def some(file: int, views: list[memoryview], position: int) -> int:
        return whole(file, [views[0][:1001]], position)

    expected = tsqr(path)
    monkeypatch.setattr(os, "preadv", some)
    assert same(tsqr(path), expected)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for name in ("none.npy", "none.mtx"):
        with pytest.raises(FileNotFoundError, match="none"):
            tsqr(tmp_path / name)
    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(IsADirectoryError):
        tsqr(tmp_path / "folder.npy")
    path = tmp_path / "a.npy"
    np.save(path, uniform(1000, 3))
    whole = path.read_bytes()
    path.write_bytes(whole[:-8])
    with pytest.raises(ValueError, match="damaged"):
        tsqr(path)
    for array, error, message in (
        (np.ones(3), ValueError, "a matrix is needed"),
        (np.ones((3, 1), complex), TypeError, "complex"),
        (np.array([["1"]]), TypeError, "a "),
    ):
        np.save(path, array)
        with pytest.raises(error, match=message):
            tsqr(path)
    np.save(path, np.array([[None]]), allow_pickle=True)
    with pytest.raises(ValueError, match="Python objects"):
        tsqr(path)


def test_a_file_cut_short_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.npy"
    np.save(path, uniform(200_000, 5))

    def cut(done: int, n: int) -> None:
        os.truncate(path, 128 + 8 * 5 * done)

    with pytest.raises(ValueError, match=r"a\.npy: cut short, at \d+ bytes"):
        tsqr(path, progress=cut, threads=1)


def limited(script: str, size: int) -> subprocess.CompletedProcess[str]:
    """Run a script that cannot write files of more bytes: as on a disk that is full."""
    pytest.importorskip("resource")
    head = f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))\n"
    command = [sys.executable, "-c", head + textwrap.dedent(script)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_no_room_for_the_numbers_of_a_text_file(tmp_path: Path) -> None:
    scipy.io.mmwrite(tmp_path / "a.mtx", uniform(20_000, 2))
    scipy.io.mmwrite(tmp_path / "b.mtx", scipy.sparse.random_array((20_000, 4), density=0.01))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    for name in ("a", "b"):
        result = limited(
            f"""
            import tempfile, pysr.linalg
            tempfile.tempdir = {str(scratch)!r}
            try:
                pysr.linalg.tsqr({str(tmp_path / name)!r} + ".mtx")
            except OSError as error:
                print(error.errno, error)
            """,
            100_000,
        )
        assert result.stdout.split()[0] in (str(errno.EFBIG), str(errno.ENOSPC)), result
        assert f"keeping the numbers of {tmp_path / name}.mtx" in result.stdout
        assert not list(scratch.iterdir())


# ---- checkpoints, progress -----------------------------------------------------------------------


class Stop(Exception):
    pass


@pytest.fixture
def big(tmp_path: Path) -> Path:
    path = tmp_path / "big.npy"
    np.save(path, uniform(200_000, 5))
    return path


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("rng", [None, 7])
def test_a_run_goes_on(
    tmp_path: Path, big: Path, monkeypatch: pytest.MonkeyPatch, rng: int | None, threads: int
) -> None:
    monkeypatch.setattr(_checkpoint, "_SAVE_EVERY", -1.0)
    kept = tmp_path / "kept"
    seen: list[int] = []

    def stop(done: int, n: int) -> None:
        seen.append(done)
        if len(seen) == 3:
            raise Stop

    with pytest.raises(Stop):
        tsqr(big, "Q1.7", rng=rng, threads=threads, checkpoint=kept, progress=stop)
    assert sorted(os.listdir(tmp_path)) == ["big.npy", "kept"]
    with np.load(kept) as state:
        seed = int(str(state["words"]).strip("[]").split(",")[0])
        assert state["done"] == seen[1]
    again: list[int] = []
    r = tsqr(
        big,
        "Q1.7",
        rng=rng,
        threads=3 - threads,
        checkpoint=kept,
        progress=lambda done, n: again.append(done),
    )
    assert seen[1] < again[0] == seen[2]
    assert again[-1] == 200_000
    assert rng is None or seed == rng
    assert same(r, tsqr(big, "Q1.7", rng=seed))
    assert not kept.exists()


@pytest.mark.parametrize("signal", [KeyboardInterrupt, cli._Stopped(2)])
def test_interrupted(tmp_path: Path, big: Path, signal: Any) -> None:
    kept = tmp_path / "kept"

    def stop(done: int, n: int) -> None:
        raise signal

    with pytest.raises((KeyboardInterrupt, cli._Stopped)):
        tsqr(big, checkpoint=kept, progress=stop)
    with np.load(kept) as state:
        assert state["done"] > 0
    mapped = np.load(big, mmap_mode="r")
    with pytest.raises(ValueError, match="a checkpoint of another run: matrix was"):
        tsqr(mapped, checkpoint=kept)
    assert same(tsqr(big, checkpoint=kept), tsqr(mapped))


@pytest.mark.parametrize("threads", [1, 2])
def test_interrupted_after_a_merge(
    tmp_path: Path, big: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    """A signal that comes while a piece is put to the others: it counts once all the same."""
    kept = tmp_path / "kept"
    expected = tsqr(big)
    merges = 0

    def interrupted(r: Array, rows: Array) -> None:
        nonlocal merges
        qr_rows(r, rows)
        merges += rows.shape == (5, 5)
        if merges == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_tall, "qr_rows", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tsqr(big, checkpoint=kept, threads=threads)
    assert same(tsqr(big, checkpoint=kept), expected)


def test_checkpoints_of_other_runs(
    tmp_path: Path, big: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept"

    def stop(done: int, n: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tsqr(big, "Q1.7", rng=7, checkpoint=kept, progress=stop)
    content = kept.read_bytes()
    for arguments, keywords, message in (
        (("Q1.8",), {"rng": 7}, "fmt was"),
        (("Q1.7", "rne"), {"rng": 7}, "mode was sr, is rne"),
        (("Q1.7",), {"rng": 8}, "rng=8 draws other words"),
        (("Q1.7",), {"rng": 7, "overflow": "wrap"}, "overflow was None, is wrap"),
    ):
        with pytest.raises(ValueError, match=message):
            tsqr(big, *arguments, checkpoint=kept, **keywords)
        assert kept.read_bytes() == content
    stream = pysr.Philox(9)
    with pytest.raises(ValueError, match="draws other words"):
        tsqr(big, "Q1.7", rng=stream, checkpoint=kept)
    assert stream.position == 0
    np.save(big, uniform(200_000, 5, seed=2))
    with pytest.raises(ValueError, match="matrix was"):
        tsqr(big, "Q1.7", rng=7, checkpoint=kept)
    kept.write_bytes(b"something else")
    with pytest.raises(ValueError, match="kept: no checkpoint"):
        tsqr(big, "Q1.7", rng=7, checkpoint=kept)
    assert kept.read_bytes() == b"something else"
    with pytest.raises(ValueError, match="array in memory"):
        tsqr(np.ones((3, 2)), checkpoint=kept)


def interrupt(done: int, n: int) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda m: m[:100_000], lambda m: m[100_000:]),
        (lambda m: m[:, :3], lambda m: m[:, 2:]),
        (lambda m: m[::2], lambda m: m[1::2]),
    ],
)
def test_parts_of_a_map_are_others(
    tmp_path: Path, big: Path, one: Callable[[Array], Array], other: Callable[[Array], Array]
) -> None:
    kept = tmp_path / "kept"
    mapped = np.load(big, mmap_mode="r")
    with pytest.raises(KeyboardInterrupt):
        tsqr(one(mapped), checkpoint=kept, progress=interrupt)
    with pytest.raises(ValueError, match="matrix was"):
        tsqr(other(mapped), checkpoint=kept)
    assert same(tsqr(one(mapped), checkpoint=kept), tsqr(one(mapped)))
    with pytest.raises(ValueError, match="array in memory"):
        tsqr(np.load(big, mmap_mode="c"), checkpoint=kept)
    os.remove(big)
    tsqr(mapped)  # which needs no name


def test_a_text_file_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tall, "_PIECE", 1 << 10)
    path, kept = tmp_path / "a.mtx", tmp_path / "kept"
    scipy.io.mmwrite(path, uniform(2000, 4))
    with pytest.raises(KeyboardInterrupt):
        tsqr(path, "Q1.7", rng=3, checkpoint=kept, progress=interrupt)
    seen: list[int] = []
    r = tsqr(path, "Q1.7", rng=3, checkpoint=kept, progress=lambda done, n: seen.append(done))
    assert same(r, tsqr(path, "Q1.7", rng=3))
    assert seen[0] > 256


def test_formats_with_one_label_are_others(tmp_path: Path, big: Path) -> None:
    kept = tmp_path / "kept"
    one, other = pysr.FixedFormat(1, 7, name="mine"), pysr.FixedFormat(1, 6, name="mine")
    with pytest.raises(KeyboardInterrupt):
        tsqr(big, one, rng=1, checkpoint=kept, progress=interrupt)
    with pytest.raises(ValueError, match="fmt was"):
        tsqr(big, other, rng=1, checkpoint=kept)
    for keywords in ({"random_bits": 9}, {"mode": "sr_eps", "eps": 0.5}):
        with pytest.raises(ValueError, match=f"{next(iter(keywords))} was"):
            tsqr(big, one, rng=1, checkpoint=kept, **keywords)
    for stream in (pysr.Philox(1, stream=2), pysr.Philox(1).advance(1)):
        with pytest.raises(ValueError, match="draws other words"):
            tsqr(big, one, rng=stream, checkpoint=kept)


def test_pieces_of_another_size_are_another_run(
    tmp_path: Path, big: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by another version: R would have other last bits."""
    kept = tmp_path / "kept"
    with pytest.raises(KeyboardInterrupt):
        tsqr(big, checkpoint=kept, progress=interrupt)
    monkeypatch.setattr(_tall, "_PIECE", 1 << 16)
    with pytest.raises(ValueError, match="piece was"):
        tsqr(big, checkpoint=kept)


def test_where_checkpoints_can_be(tmp_path: Path, big: Path) -> None:
    for path, error, message in (
        (tmp_path / "none" / "kept", FileNotFoundError, "a directory that is not there"),
        (tmp_path, ValueError, "cannot be the name of a file"),
        (3, TypeError, "checkpoint must be a path, not 3"),
    ):
        with pytest.raises(error, match=message):
            tsqr(big, checkpoint=path)  # type: ignore[arg-type]
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "kept")
    with pytest.raises(KeyboardInterrupt):
        tsqr(big, checkpoint=link, progress=interrupt)
    assert sorted(os.listdir(tmp_path)) == ["big.npy", "kept", "link"]
    tsqr(big, checkpoint=link)
    assert os.listdir(tmp_path) == ["big.npy"]


def test_an_interrupt_is_one_even_where_nothing_can_be_kept(
    tmp_path: Path, big: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: str) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device", path)

    monkeypatch.setattr(_checkpoint, "replacing", full)
    with pytest.raises(KeyboardInterrupt) as stopped:
        tsqr(big, checkpoint=tmp_path / "kept", progress=interrupt)
    assert "No space left on device" in stopped.value.__notes__[0]


def test_no_word_is_used_twice_where_calls_share_a_stream() -> None:
    """One that fails gives its words back only if nobody has drawn since."""
    a = uniform(1000, 3)
    stream = pysr.Philox(5)

    def draw(done: int, n: int) -> None:
        pysr.round(a, "Q1.7", rng=stream)
        raise Stop

    for mode in ("sr", "rne"):
        before = stream.position
        with pytest.raises(Stop):
            tsqr(a, "Q1.7", mode, rng=stream, progress=draw)
        assert stream.position - before == (750 if mode == "sr" else 375)


def test_what_is_beyond_float64() -> None:
    with pytest.raises(np.linalg.LinAlgError, match="singular value of a is beyond"):
        svdvals([[1.2e308, 1.2e308], [1.2e308, 1.2e308]])


def test_pieces_fit_into_memory() -> None:
    for d in (1, 20, 100, 500, 5000):
        bytes_ = 32 * _tall._piece_rows(d) * d
        assert _tall._at_once(d) == 1 or _tall._at_once(d) * bytes_ <= 160 << 20
    assert _tall._at_once(20) == 16
    assert _tall._at_once(500) >= 2


def test_no_room_for_a_checkpoint(tmp_path: Path, big: Path) -> None:
    kept = tmp_path / "kept"
    result = limited(
        f"""
        import pysr.linalg
        from pysr import _checkpoint
        _checkpoint._SAVE_EVERY = -1.0
        try:
            pysr.linalg.tsqr({str(big)!r}, checkpoint={str(kept)!r})
        except OSError as error:
            print(error)
        """,
        500,
    )
    assert str(kept) in result.stdout, result
    assert os.listdir(tmp_path) == ["big.npy"]


def test_progress(big: Path, capfd: pytest.CaptureFixture[str]) -> None:
    seen: list[tuple[int, int]] = []
    tsqr(big, progress=lambda done, n: seen.append((done, n)))
    assert seen[-1] == (200_000, 200_000)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    tsqr(big, progress=True)  # too quick for a bar
    tsqr(big, progress=False)
    assert capfd.readouterr().err == ""
    with pytest.raises(TypeError, match="progress must be"):
        tsqr(big, progress=1)  # type: ignore[arg-type]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory(tmp_path: Path) -> None:
    """A file of 320 MB takes less than 40 MB of memory of its own."""
    path = tmp_path / "a.npy"
    mapped = np.lib.format.open_memmap(path, "w+", np.float64, (2_000_000, 20))
    mapped[:] = np.tile(uniform(20_000, 20), (100, 1))
    mapped.flush()
    del mapped
    script = f"""
    import pysr.linalg
    def anonymous():
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("RssAnon"))
    before = anonymous()
    most = [0]
    def watch(done, n):
        most[0] = max(most[0], anonymous())
    pysr.linalg.tsqr({str(path)!r}, "bfloat16", rng=1, progress=watch)
    print(most[0] - before)
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    assert 0 < int(result.stdout) < 40_000


# ---- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "keywords", "error", "message"),
    [
        ([1.0, 2.0], {}, ValueError, r"a has shape \(2,\): a matrix is needed"),
        (np.ones((2, 2, 2)), {}, ValueError, "a matrix is needed"),
        (np.ones((2, 2), complex), {}, TypeError, "complex"),
        (np.ones((2, 2), np.longdouble), {}, TypeError, "longdouble|float128"),
        ([[1, 2], [3]], {}, (ValueError, TypeError), "a "),
        (np.ma.masked_array(np.ones((2, 2)), True), {}, TypeError, "masked"),
        ([[2**53 + 1, 1]], {}, ValueError, "a"),
        (np.ones((3, 2)), {"fmt": "Q3.9x"}, ValueError, "Q3.9x"),
        (np.ones((3, 2)), {"fmt": "Q3.8", "mode": "up"}, ValueError, "mode"),
        (np.ones((3, 2)), {"fmt": "Q3.8", "mode": "sr_signed"}, ValueError, "direction"),
        (np.ones((3, 2)), {"fmt": "Q3.8", "rng": -1}, ValueError, "rng"),
        (np.ones((3, 2)), {"fmt": "Q3.8", "eps": 2}, ValueError, "eps"),
        (np.ones((3, 2), np.float32), {"fmt": "Q1.40"}, ValueError, "float32"),
        (np.ones((3, 2)), {"threads": 0}, ValueError, "threads=0"),
        (np.ones((3, 2)), {"threads": 1.5}, TypeError, "threads"),
    ],
)
def test_bad_arguments(a: Any, keywords: dict[str, Any], error: Any, message: str) -> None:
    for function in (tsqr, svdvals, smallest_singular_value):
        with pytest.raises(error, match=message):
            function(a, **keywords)
