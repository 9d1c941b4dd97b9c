"""Dask arrays: the bits of the whole array in any chunks, by any scheduler, with a worker lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import pysr

dask = pytest.importorskip("dask", reason="pysr.distributed needs dask")
da = pytest.importorskip("dask.array", reason="pysr.distributed needs dask[array]")

from pysr import distributed  # noqa: E402

Array = npt.NDArray[Any]

SEED = 11
X = np.random.default_rng(3).standard_normal((60, 37)) * np.exp2(
    np.random.default_rng(4).integers(-20, 12, (60, 37))
)
CHUNKS = {
    "regular": (13, 37),
    "irregular": ((1, 30, 0, 22, 7), (37,)),
    "rows": (1, 37),
    "columns": ((20, 40), (5, 31, 1)),
    "single column": (60, 1),
    "one": (60, 37),
}
# Every mode, and every width of words.
MANNERS: list[tuple[str, dict[str, Any]]] = [
    *((mode, {}) for mode in pysr.MODES if mode not in ("sr_eps", "sr_signed")),
    ("sr_eps", {"eps": 0.3}),
    *(("sr", {"random_bits": r, "variant": "b"}) for r in (5, 8, 13, 32, 33, 64)),
]


def same(a: Any, b: Any) -> None:
    """Equal to the bit, dtypes and shapes included."""
    a, b = np.asarray(a), np.asarray(b)
    assert (a.dtype, a.shape) == (b.dtype, b.shape)
    assert a.tobytes() == b.tobytes()


def compute(x: Any, scheduler: str = "sync") -> Any:
    return x.compute(scheduler=scheduler)


@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_round(dtype: Any, chunks: Any) -> None:
    x = X.astype(dtype)
    chunked = da.from_array(x, chunks=chunks)
    for mode, options in MANNERS:
        got = distributed.round(chunked, "float8_e4m3fn", mode, rng=SEED, **options)
        assert got.chunks == chunked.chunks
        assert got.dtype == dtype
        same(compute(got), pysr.round(x, "float8_e4m3fn", mode, rng=SEED, **options))


def test_refinement() -> None:
    """Bits beyond the sixteenth, which one element in 2**16 asks for, are the element's own too."""
    x = 1 + np.random.default_rng(5).random(2**19).reshape(1024, 512) * 2.0**-7
    expected = pysr.round(x, "bfloat16", rng=SEED)
    for chunks in ((100, 512), (1024, 100)):
        chunked = da.from_array(x, chunks=chunks)
        same(compute(distributed.round(chunked, "bfloat16", rng=SEED)), expected)
        stream = pysr.Philox(SEED, 3).advance(7)
        got = compute(distributed.round(chunked, "bfloat16", rng=stream))
        same(got, pysr.round(x, "bfloat16", rng=pysr.Philox(SEED, 3).advance(7)))


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [
        ((1000,), 130),
        ((1000,), ((1, 0, 500, 499),)),
        ((9, 10, 11), (2, 10, 11)),
        ((9, 10, 11), (4, 3, 11)),
        ((9, 10, 11), (4, 10, 5)),
        ((9, 10, 11), (9, 3, 4)),
        ((9, 10, 11), (1, 1, 1)),
        ((3, 1, 4, 5), (2, 1, 4, 3)),
        ((), ()),
        ((0,), 1),
        ((4, 0, 3), (2, 1, 3)),
    ],
)
def test_shapes(shape: tuple[int, ...], chunks: Any) -> None:
    x = np.random.default_rng(6).standard_normal(shape)
    for array in (x, np.array(x, order="F"), x.astype(">f4")):
        chunked = da.from_array(array, chunks=chunks)
        got = distributed.round(chunked, "bfloat16", rng=SEED)
        assert got.chunks == chunked.chunks
        same(compute(got), np.asarray(pysr.round(array, "bfloat16", rng=SEED)))


def test_dtypes() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = np.arange(-20, 30).reshape(5, 10)
    for dtype in (np.float16, ml_dtypes.bfloat16, np.int64, np.uint8, np.bool_, object):
        array = abs(x).astype(dtype)
        got = distributed.round(da.from_array(array, chunks=(2, 7)), "float8_e4m3fn", rng=SEED)
        expected = pysr.round(array, "float8_e4m3fn", rng=SEED)
        assert got.dtype == got._meta.dtype == expected.dtype
        same(compute(got), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_direction(dtype: Any) -> None:
    """Arrays that broadcast with one another, of any type and in other chunks."""
    rng = np.random.default_rng(7)
    v = rng.standard_normal((60, 37))
    cases: list[tuple[Array, Any, Any, Any]] = [
        (X, (13, 9), v, (7, 37)),
        (X, (60, 9), v[:, :1], (5, 1)),
        (X, (13, 37), v[0], (10,)),
        (X[:1], (1, 9), v, (7, 7)),
        (X[:, 0], 8, rng.standard_normal((2, 4, 60)), (1, 3, 20)),
        (X[0, 0], (), v, (7, 37)),
    ]
    for x, chunks, direction, its in cases:
        x = np.asarray(x).astype(dtype)
        expected = pysr.round(x, "bfloat16", "sr_signed", rng=SEED, direction=direction, eps=0.2)
        chunked = da.from_array(x, chunks=chunks)
        for given in (da.from_array(direction, chunks=its), direction, direction.astype("f4")):
            got = distributed.round(
                chunked, "bfloat16", "sr_signed", rng=SEED, direction=given, eps=0.2
            )
            same(compute(got), expected)
            if x.shape == got.shape:
                assert got.chunks == chunked.chunks
    got = distributed.round(
        da.from_array(X, chunks=(13, 9)), "bfloat16", "sr_signed", direction=-1.0, eps=0.2, rng=3
    )
    same(compute(got), pysr.round(X, "bfloat16", "sr_signed", direction=-1.0, eps=0.2, rng=3))


# ---- random bits ---------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [0, 7, 2**61 + 5, 2**64 - 3])
@pytest.mark.parametrize("options", [{}, {"random_bits": 7}, {"random_bits": 40}])
def test_stream(block: int, options: dict[str, Any]) -> None:
    """A stream moves when the graph is made, as pysr.round moves it, and is not asked again."""
    here, there = (pysr.Philox(SEED, 5).advance(block) for _ in range(2))
    chunked = da.from_array(X, chunks=(13, 9))
    pairs = []
    for _ in range(2):
        pairs.append(
            (
                distributed.round(chunked, "bfloat16", rng=here, **options),
                pysr.round(X, "bfloat16", rng=there, **options),
            )
        )
        assert here.position == there.position
    assert not (pairs[0][1] == pairs[1][1]).all()
    for got, expected in reversed(pairs):
        same(compute(got), expected)
        same(compute(got), expected)
    assert here.position == there.position


def test_stream_stays() -> None:
    """Nothing is drawn by deterministic modes, of nothing, and by calls that raise."""
    stream = pysr.Philox(SEED)
    generator = np.random.Generator(np.random.PCG64(1))
    state = generator.bit_generator.state
    x = da.from_array(X, chunks=20)
    for rng in (stream, generator):
        distributed.round(x, "bfloat16", "rne", rng=rng)
        distributed.round(x[:0], "bfloat16", rng=rng)
        with pytest.raises(ValueError, match="eps=2"):
            distributed.round(x, "bfloat16", rng=rng, eps=2)
    assert stream.position == 0
    assert generator.bit_generator.state == state


def test_sources() -> None:
    x = da.from_array(X, chunks=(13, 9))

    def rounded(rng: Any) -> Any:
        return compute(distributed.round(x, "bfloat16", rng=rng))

    same(
        rounded(np.random.SeedSequence(5)), pysr.round(X, "bfloat16", rng=np.random.SeedSequence(5))
    )
    here, there = (np.random.Generator(np.random.PCG64(1)) for _ in range(2))
    same(rounded(here), pysr.round(X, "bfloat16", rng=there))
    assert here.bit_generator.state == there.bit_generator.state
    here, there = (np.random.Generator(pysr.Philox(SEED)) for _ in range(2))
    same(rounded(here), pysr.round(X, "bfloat16", rng=there))
    assert here.bit_generator.state == there.bit_generator.state
    drawn = distributed.round(x, "bfloat16")
    same(compute(drawn), compute(drawn))
    assert drawn.name != distributed.round(x, "bfloat16").name


def test_names() -> None:
    """Equal calls are known to be equal, in another process too."""
    x = da.from_array(X, chunks=(13, 9), name="x")

    def names(**options: Any) -> list[str]:
        given = {"fmt": "bfloat16", "rng": SEED} | options
        return [
            getattr(distributed, name)(x, **given).name
            for name in ("round", "tsqr", "svdvals", "smallest_singular_value")
        ]

    first = names()
    assert first == names() == names(fmt=pysr.format("bfloat16"), rng=np.int64(SEED))
    changes: list[dict[str, Any]] = [
        {"rng": 12},
        {"rng": pysr.Philox(SEED, 1)},
        {"rng": pysr.Philox(SEED).advance(1)},
        {"fmt": "float16"},
        {"mode": "rne"},
        {"mode": "sr_eps", "eps": 0.1},
        {"random_bits": 8},
        {"random_bits": 8, "variant": "c"},
        {"overflow": "saturate"},
    ]
    every = [name for change in changes for name in names(**change)] + first
    assert len(set(every)) == len(every)
    program = (
        "import dask.array as da, numpy as np, pysr.distributed\n"
        "x = da.from_array(np.zeros((60, 37)), chunks=(13, 9), name='x')\n"
        f"print(pysr.distributed.smallest_singular_value(x, 'bfloat16', rng={SEED}).name)"
    )
    there = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert there.stdout.strip() == first[-1]
    signed = [
        distributed.round(x, "bfloat16", "sr_signed", rng=SEED, direction=v).name
        for v in (1.0, -1.0)
    ]
    assert signed[0] != signed[1]


# ---- tall and thin matrices ----------------------------------------------------------------------


def positive(R: Array) -> Array:
    return np.where(np.diagonal(R) < 0, -1.0, 1.0)[:, np.newaxis] * R


@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)
@pytest.mark.parametrize("fmt", [None, "float8_e4m3fn"])
def test_tsqr(fmt: str | None, chunks: Any) -> None:
    for x in (X, X.T, X.astype(np.float32)):
        rows, columns = chunks if x.shape == X.shape else chunks[::-1]
        chunked = da.from_array(x, chunks=(rows, columns))
        whole = x if fmt is None else pysr.round(x, fmt, rng=SEED, overflow="saturate")
        options: dict[str, Any] = {"rng": SEED, "overflow": "saturate"}
        R = distributed.tsqr(chunked, fmt, **options)
        values = distributed.svdvals(chunked, fmt, **options)
        least = distributed.smallest_singular_value(chunked, fmt, **options)
        assert R.numblocks == (1, 1)
        assert (R.shape, values.shape, least.shape) == ((37, x.shape[1]), (37,), ())
        assert R.dtype == values.dtype == least.dtype == np.float64
        got = compute(R)
        scale = np.linalg.norm(whole, 2)
        assert (np.diagonal(got) >= 0).all()
        assert (got == np.triu(got)).all()
        expected = positive(np.linalg.qr(whole.astype(np.float64), mode="r"))
        # A is as far as its QR factorizations are from one whose R has perturbations of this size
        # in R^T R.
        assert np.linalg.norm(got.T @ got - expected.T @ expected) < 1e-13 * scale**2
        exact = np.linalg.svd(whole.astype(np.float64), compute_uv=False)
        assert np.abs(compute(values) - exact).max() < 1e-13 * scale
        assert compute(least) == compute(values)[-1]
        same(compute(R, "threads"), got)
        optimized = dask.optimize(R)[0]
        same(compute(optimized), got)


def test_well_conditioned() -> None:
    """R itself, where its condition lets it be compared."""
    x = np.random.default_rng(8).standard_normal((500, 6))
    expected = positive(np.linalg.qr(x, mode="r"))
    for chunks in (500, 100, 7, 1):
        R = compute(distributed.tsqr(da.from_array(x, chunks=(chunks, 6))))
        np.testing.assert_allclose(R, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_one_chunk() -> None:
    """Chunks alone, and the odd one of a level, are not factorized twice."""
    x = np.random.default_rng(9).standard_normal((40, 5))
    first, second, third = (
        compute(distributed.tsqr(da.from_array(part, chunks=part.shape)))
        for part in (x[:16], x[16:32], x[32:])
    )
    pair = compute(distributed.tsqr(da.from_array(np.concatenate([first, second]), chunks=(10, 5))))
    last = compute(distributed.tsqr(da.from_array(np.concatenate([pair, third]), chunks=(10, 5))))
    same(compute(distributed.tsqr(da.from_array(x, chunks=(16, 5)))), last)


def test_tree() -> None:
    """No task depends on many, and no stack of Rs grows with the number of chunks."""
    R = distributed.tsqr(da.from_array(np.ones((640, 4)), chunks=(10, 4)))
    graph = R.__dask_graph__()
    dependencies = {key: graph.get_all_dependencies()[key] for key in graph}
    assert max(map(len, dependencies.values())) == 2
    assert R.numblocks == (1, 1)


def test_empty_matrices() -> None:
    for shape in ((0, 3), (5, 0), (0, 0)):
        a = da.zeros(shape, chunks=2)
        assert compute(distributed.tsqr(a)).shape == (0, shape[1])
        assert compute(distributed.svdvals(a, "bfloat16")).shape == (0,)
        with pytest.raises(ValueError, match="no singular values"):
            distributed.smallest_singular_value(a)


# ---- schedulers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_schedulers(scheduler: str) -> None:
    x = da.from_array(X, chunks=(13, 9))
    y = distributed.round(x, "bfloat16", rng=pysr.Philox(SEED).advance(3))
    R = distributed.tsqr(x, "bfloat16", rng=SEED)
    least = distributed.smallest_singular_value(x, "bfloat16", rng=SEED)
    with dask.config.set(num_workers=2):
        got = dask.compute(y, R, least, scheduler=scheduler)
    same(got[0], pysr.round(X, "bfloat16", rng=pysr.Philox(SEED).advance(3)))
    same(got[1], compute(R))
    same(got[2], compute(least))


def until(condition: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_lost_worker(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A worker is killed while it works, has results, and tasks are queued: nothing shows."""
    cluster_module = pytest.importorskip("distributed", reason="needs the package distributed")
    folder = str(tmp_path)

    def rows(block_info: Any) -> Array:
        """A few blocks are made at once, the others once they may."""
        import os
        import time

        import numpy as np

        (k, _), end = block_info[None]["chunk-location"], time.monotonic() + 60
        while len(os.listdir(folder)) >= 6 and not os.path.exists(f"{folder}/go"):
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.02)
        with open(f"{folder}/{k}", "a") as file:
            file.write("made\n")
        return np.random.default_rng(k).standard_normal((50, 6))

    blocks = 24
    x = da.map_blocks(rows, chunks=((50,) * blocks, (6,)), meta=np.empty((0, 0)))
    lazy = [
        distributed.round(x, "float8_e4m3fn", rng=pysr.Philox(SEED)),
        distributed.tsqr(x, "float8_e4m3fn", rng=SEED),
        distributed.smallest_singular_value(x, "float8_e4m3fn", rng=SEED),
    ]
    cluster = cluster_module.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        local_directory=tmp_path_factory.mktemp("workers"),
    )
    with cluster, cluster_module.Client(cluster, set_as_default=False) as client:
        processes = client.run(os.getpid)
        assert len(processes) == 2
        futures = client.compute(lazy)
        until(lambda: len(os.listdir(folder)) >= 6 and any(client.has_what().values()))
        victim, lost = max(client.has_what().items(), key=lambda item: len(item[1]))
        assert lost
        assert not any(future.done() for future in futures)
        assert len(os.listdir(folder)) < blocks
        os.kill(processes[victim], getattr(signal, "SIGKILL", signal.SIGTERM))
        until(lambda: victim not in client.scheduler_info()["workers"])
        (tmp_path / "go").touch()
        got = client.gather(futures)
    made = [(tmp_path / str(k)).read_text().count("made") for k in range(blocks)]
    assert sum(made) > blocks
    whole = np.concatenate(
        [np.random.default_rng(k).standard_normal((50, 6)) for k in range(blocks)]
    )
    same(got[0], pysr.round(whole, "float8_e4m3fn", rng=SEED))
    for result, expected in zip(got[1:], dask.compute(*lazy[1:], scheduler="sync"), strict=True):
        same(result, expected)


# ---- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)
@pytest.mark.parametrize("rng", [SEED, pysr.Philox(SEED)])
def test_overflow(rng: Any, chunks: Any) -> None:
    """The element's index is that in the whole array, and its value is named."""
    x = np.ones((60, 37))
    x[40, 20] = -1e6
    y = distributed.round(da.from_array(x, chunks=chunks), "float16", rng=rng, overflow="raise")
    with pytest.raises(OverflowError, match=rf"index {40 * 37 + 20}: x=-1000000.0 is beyond"):
        compute(y)
    x[40, 20] = np.inf
    y = distributed.round(da.from_array(x, chunks=chunks), "Q3.4", overflow="wrap")
    with pytest.raises(OverflowError, match=rf"index {40 * 37 + 20}: x=inf"):
        compute(y)


def test_bad_direction() -> None:
    v = np.ones((60, 37))
    v[40, 20] = np.nan
    for chunks in CHUNKS.values():
        y = distributed.round(da.from_array(X, chunks=chunks), "bfloat16", "sr_signed", direction=v)
        with pytest.raises(ValueError, match=rf"index {40 * 37 + 20}: direction=nan"):
            compute(y)


def test_infinite() -> None:
    x = np.ones((60, 4))
    x[31, 2] = 1e30
    a = da.from_array(x, chunks=(7, 2))
    with pytest.raises(ValueError, match=r"a, rounded to float16, is inf at \(31, 2\)"):
        compute(distributed.tsqr(a, "float16"))
    x[31, 2] = np.nan
    a = da.from_array(x, chunks=(7, 2))
    with pytest.raises(ValueError, match=r"a is nan at \(31, 2\): all must be finite"):
        compute(distributed.svdvals(a))


def test_errors() -> None:
    x = da.from_array(X, chunks=(13, 37))
    unknown = x[x[:, 0] > 0]
    for f in (distributed.round, distributed.tsqr):
        name = "x" if f is distributed.round else "a"
        for bad in (X, X.tolist(), 1.0, None):
            with pytest.raises(TypeError, match=f"{name} must be a dask array, not"):
                f(bad, "bfloat16")
        with pytest.raises(ValueError, match=f"{name} has chunks of unknown size.*compute_chunk"):
            f(unknown, "bfloat16")
        with pytest.raises(TypeError, match="complex128"):
            f(x.astype(complex), "bfloat16")
        with pytest.raises(ValueError, match="nonsense"):
            f(x, "nonsense")
        with pytest.raises(ValueError, match="mode='up' is not one of"):
            f(x, "bfloat16", "up")
        with pytest.raises(ValueError, match="rng=-1"):
            f(x, "bfloat16", rng=-1)
        with pytest.raises(TypeError, match="rng must be"):
            f(x, "bfloat16", rng="7")
        with pytest.raises(ValueError, match="random_bits=65"):
            f(x, "bfloat16", random_bits=65)
        with pytest.raises(ValueError, match="direction=None in mode 'sr_signed'"):
            f(x, "bfloat16", "sr_signed")
        with pytest.raises(ValueError, match="cannot hold every value"):
            f(x.astype(np.float32), "binary64")
    with pytest.raises(ValueError, match="direction given in mode 'sr'"):
        distributed.round(x, "bfloat16", direction=1.0)
    with pytest.raises(ValueError, match=r"do not broadcast: x \(60, 37\), direction \(3,\)"):
        distributed.round(x, "bfloat16", "sr_signed", direction=np.ones(3))
    with pytest.raises(ValueError, match="direction has chunks of unknown size"):
        distributed.round(x, "bfloat16", "sr_signed", direction=unknown)
    with pytest.raises(ValueError, match="2\\*\\*64"):
        distributed.round(da.zeros((2**33, 2**33), chunks=2**32), "bfloat16")
    with pytest.raises(ValueError, match=r"a has shape \(60,\): a matrix is needed"):
        distributed.tsqr(x[:, 0])
    with pytest.raises(TypeError, match="complex128"):
        distributed.tsqr(x.astype(complex))


def test_without_dask(tmp_path: Path) -> None:
    """The package does without it, and the module says what is missing."""
    (tmp_path / "dask.py").write_text("raise ImportError('no dask here')\n")
    program = (
        "import sys, pysr\n"
        "assert 'dask' not in sys.modules\n"
        "try:\n"
        "    import pysr.distributed\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert "pip install srcore[distributed]" in done.stdout


def test_matrices_of_one_shape_are_told_apart() -> None:
    a, b = (np.random.default_rng(seed).standard_normal((60, 3)) for seed in (1, 2))
    x, y = (da.from_array(array, chunks=(25, 3)) for array in (a, b))
    together = dask.compute(
        distributed.tsqr(x), distributed.tsqr(y), distributed.svdvals(x), distributed.svdvals(y)
    )
    for found, array in zip(together[:2], (a, b), strict=True):
        assert np.allclose(found.T @ found, array.T @ array)
    for found, array in zip(together[2:], (a, b), strict=True):
        assert np.allclose(found, np.linalg.svd(array, compute_uv=False))
