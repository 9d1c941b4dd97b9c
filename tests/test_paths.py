"""The same bits on every path, from any layout, on any number of threads."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import pysr

PATHS = pysr.config()["paths"]

# What a process prints about results that reach all kernels; compared between paths.
SWEEP = """
import hashlib, sys
import numpy as np
import pysr

digest = hashlib.sha256()
generator = np.random.Generator(np.random.Philox(5))
bits32 = generator.integers(0, 2**32, 3001, dtype=np.uint64).astype(np.uint32)
bits64 = generator.integers(0, 2**64, 3001, dtype=np.uint64)
normal = (generator.integers(-2**40, 2**40, 3001) / 2**38)
inputs = [bits32.view(np.float32), bits64.view(np.float64), normal, normal.astype(np.float32)]
for fmt in (*pysr.FORMATS, "Q3.8", "UQ0.8", "Q15.16"):
    for mode in pysr.MODES:
        for x in inputs:
            if x.dtype == np.float32 and fmt in ("binary64", "Q15.16"):
                continue
            kwargs = {"direction": -x} if mode == "sr_signed" else {}
            if mode == "sr_signed":
                kwargs["direction"] = np.where(np.isnan(x), 1, -x).astype(x.dtype)
            y = pysr.round(x, fmt, mode, rng=7, eps=0.25, **kwargs)
            digest.update(y.tobytes())
    digest.update(pysr.encode(normal, fmt, rng=3, overflow="saturate").tobytes())
print(pysr.config()["path"], digest.hexdigest())
"""


def output_of(code, **variables):
    """What a new Python process with these environment variables prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=dict(os.environ) | variables,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout.split(), done.stderr


def test_paths_agree():
    """SRCORE_PATH chooses, and no bit depends on it."""
    digests = set()
    for path in PATHS:
        code, printed, error = output_of(SWEEP, SRCORE_PATH=path)
        assert code == 0, error
        assert printed[0] == path
        digests.add(printed[1])
    assert len(digests) == 1


@pytest.mark.parametrize("path", ["sse", "AVX2 ", "\u00e9"])
def test_unknown_path(path):
    """An unknown path is an error that says which there are."""
    code, _, error = output_of("import pysr", SRCORE_PATH=path)
    assert code != 0
    assert "SRCORE_PATH" in error
    assert "'scalar'" in error


def test_path_of_another_machine():
    """A path that this machine lacks is refused, not replaced."""
    lacking = [path for path in ("avx2", "avx512", "neon") if path not in PATHS]
    assert lacking
    code, _, error = output_of("import pysr", SRCORE_PATH=lacking[0])
    assert code != 0
    assert lacking[0] in error


# ---- layouts -----------------------------------------------------------------------------------


def layouts(x):
    """Views with the elements of a C-ordered array of two or three axes, laid out otherwise."""
    yield "fortran", np.asfortranarray(x)
    yield "transposed twice", np.ascontiguousarray(x.T).T
    yield "reversed", np.ascontiguousarray(x[::-1, ..., ::-1])[::-1, ..., ::-1]
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1] + 3), x.dtype)
    wide[..., : 2 * x.shape[-1] : 2] = x
    yield "every second", wide[..., : 2 * x.shape[-1] : 2]
    wide[..., : x.shape[-1]] = x
    yield "rows of wider ones", wide[..., : x.shape[-1]]
    if x.ndim == 3:
        yield "axes turned", np.ascontiguousarray(x.transpose(1, 2, 0)).transpose(2, 0, 1)
        yield "middle first", np.ascontiguousarray(x.swapaxes(0, 1)).swapaxes(0, 1)
    unaligned = np.zeros(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    unaligned[...] = x
    yield "unaligned", unaligned
    yield "other byte order", x.astype(x.dtype.newbyteorder())


SHAPES = [
    (3, 5),
    (1, 700),
    (700, 1),
    (70, 33),
    (37, 1200),
    (1200, 37),
    (5, 40, 64),
    (64, 3, 100),
    (2, 1, 9),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_layouts(shape, dtype):
    """No result depends on the layout of the operand, or of the result."""
    generator = np.random.default_rng(1)
    x = generator.standard_normal(shape).astype(dtype)
    v = generator.standard_normal(shape[-1]).astype(dtype)
    calls = {
        "sr": lambda x, **kw: pysr.round(x, "float8_e4m3fn", rng=7, offset=3, **kw),
        "few": lambda x, **kw: pysr.round(x, "bfloat16", rng=7, random_bits=8, **kw),
        "signed": lambda x, **kw: pysr.round(
            x, "Q3.8", "sr_signed", rng=7, direction=v, eps=0.3, **kw
        ),
        "bits": lambda x, **kw: pysr.round(
            x, "Q3.8", random_bits=16, bits=np.arange(x.size).reshape(x.shape) % 65536, **kw
        ),
        "codes": lambda x, **kw: pysr.encode(x, "float8_e5m2", rng=7, **kw),
        "codes16": lambda x, **kw: pysr.encode(x, "Q3.8", rng=7, **kw),
    }
    for name, call in calls.items():
        expected = call(x)
        assert expected.flags.c_contiguous
        for layout, view in layouts(x):
            assert (view == x).all()
            np.testing.assert_array_equal(call(view), expected, err_msg=f"{name} {layout}")
            outs = [
                np.zeros(shape, expected.dtype),
                np.zeros(shape, expected.dtype, order="F"),
                np.zeros((*shape[:-1], 2 * shape[-1]), expected.dtype)[..., ::2],
                np.zeros(shape, expected.dtype)[::-1],
            ]
            for out in outs:
                assert call(view, out=out) is out
                np.testing.assert_array_equal(out, expected, err_msg=f"{name} {layout} out")


def test_in_place_in_any_layout():
    """`out` may be the operand itself, whatever its strides."""
    x = np.random.default_rng(1).standard_normal((40, 60)).astype(np.float32)
    expected = pysr.round(x, "bfloat16", rng=7)
    for name, view in layouts(x):
        copy = view.copy(order="K") if name != "every second" else view
        assert pysr.round(copy, "bfloat16", rng=7, out=copy) is copy
        np.testing.assert_array_equal(copy, expected, err_msg=name)


def test_broadcast_operand():
    """An axis of stride 0 has an element for each index."""
    row = np.linspace(-1, 1, 50, dtype=np.float32)
    x = np.broadcast_to(row, (40, 50))
    expected = pysr.round(x.copy(), "bfloat16", rng=7)
    np.testing.assert_array_equal(pysr.round(x, "bfloat16", rng=7), expected)
    column = np.broadcast_to(row[:, None], (50, 1000))
    expected = pysr.round(column.copy(), "bfloat16", rng=7)
    np.testing.assert_array_equal(pysr.round(column, "bfloat16", rng=7), expected)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("threads", [1, 3])
def test_refused_in_any_layout(order, threads):
    """The first element in C order is named, and nothing is written."""
    x = np.zeros((700, 800), np.float32, order=order)
    x[600, 5] = x[300, 700] = x[301, 2] = 1e9
    out = np.full_like(x, 7)
    with pytest.raises(OverflowError, match=f"index {300 * 800 + 700}:"):
        pysr.round(x, "Q3.8", rng=7, overflow="raise", out=out, threads=threads)
    assert (out == 7).all()
    x[...] = 0
    x[300, 700] = x[301, 2] = np.nan
    codes = np.full(x.shape, 7, np.int16, order=order)
    stream = pysr.Philox(1)
    with pytest.raises(ValueError, match=f"index {300 * 800 + 700}:"):
        pysr.encode(x, "Q3.8", rng=stream, out=codes, threads=threads)
    assert (codes == 7).all()
    assert stream.position == 0
    with pytest.raises(ValueError, match=f"index {300 * 800 + 700}: direction=nan"):
        pysr.round(x, "Q3.8", "sr_signed", rng=7, direction=x, threads=threads)


# ---- threads -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large():
    """Enough elements for several threads."""
    return np.random.default_rng(1).standard_normal(2**20 + 77).astype(np.float32)


@pytest.mark.parametrize("threads", [2, 3, 8, 1000])
def test_threads(large, threads):
    """Results do not depend on the number of threads."""
    stream, other = pysr.Philox(3), pysr.Philox(3)
    for fmt, kwargs in [
        ("bfloat16", {}),
        ("Q3.8", {"overflow": "wrap"}),
        ("float16", {"random_bits": 5}),
    ]:
        expected = pysr.round(large, fmt, rng=stream, threads=1, **kwargs)
        result = pysr.round(large, fmt, rng=other, threads=threads, **kwargs)
        np.testing.assert_array_equal(result, expected)
        assert stream.position == other.position
    x = large[: 2**20].reshape(1024, 1024)
    expected = pysr.encode(x, "float8_e4m3fn", rng=3, threads=1)
    np.testing.assert_array_equal(
        pysr.encode(x.T, "float8_e4m3fn", rng=3, threads=threads),
        pysr.encode(x.T.copy(), "float8_e4m3fn", rng=3, threads=1),
    )
    fortran = np.asfortranarray(x)
    np.testing.assert_array_equal(
        pysr.encode(fortran, "float8_e4m3fn", rng=3, threads=threads), expected
    )


def test_calls_from_many_threads(large):
    """The pool serves one call at a time; the others do their work themselves."""
    expected = pysr.round(large, "bfloat16", rng=7, threads=1)
    wrong = []

    def work():
        for _ in range(4):
            if not (pysr.round(large, "bfloat16", rng=7, threads=3) == expected).all():
                wrong.append(1)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_shared_stream(large):
    """Calls on one stream from many threads never share a block."""
    stream = pysr.Philox(7)
    x = large[: 2**17]
    results = []

    def work():
        results.append(pysr.round(x, "bfloat16", rng=stream, threads=2).tobytes())

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    one = pysr.Philox(7)
    expected = {pysr.round(x, "bfloat16", rng=one, threads=1).tobytes() for _ in range(6)}
    assert set(results) == expected
    assert stream.position == one.position


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_after_fork(large):
    """A child has no threads of its parent's, and makes its own."""
    expected = pysr.round(large, "bfloat16", rng=7, threads=2)
    child = os.fork()
    if child == 0:
        same = (pysr.round(large, "bfloat16", rng=7, threads=2) == expected).all()
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert (pysr.round(large, "bfloat16", rng=7, threads=2) == expected).all()


def test_number_of_threads():
    """PYSR_NUM_THREADS, else the processors that the process may use."""
    code = "import pysr; print(pysr.config()['threads'])"
    assert output_of(code, PYSR_NUM_THREADS="3")[1] == ["3"]
    if hasattr(os, "sched_getaffinity"):
        one = f"import os; os.sched_setaffinity(0, {{{min(os.sched_getaffinity(0))}}}); " + code
        assert output_of(one, PYSR_NUM_THREADS="")[1] == ["1"]
    for bad in ("0", "-1", "two"):
        status, _, error = output_of(code, PYSR_NUM_THREADS=bad)
        assert status != 0
        assert f"PYSR_NUM_THREADS={bad!r}" in error


# ---- words in bulk -----------------------------------------------------------------------------


@pytest.mark.parametrize("used", range(5))
@pytest.mark.parametrize("position", [0, 2**32 - 3, 2**64 - 2])
def test_random_raw(used, position):
    """The same words as one by one, and the same place afterwards."""
    one, many = pysr.Philox(7, 9).advance(position), pysr.Philox(7, 9).advance(position)
    for generator in (one, many):
        for _ in range(used):
            np.random.Generator(generator).integers(0, 2**32, dtype=np.uint32)
    single = [one.random_raw() for _ in range(77)]
    np.testing.assert_array_equal(many.random_raw((7, 11)).ravel(), np.array(single, np.uint64))
    assert one.state == many.state
    assert many.random_raw(5, output=False) is None
    for _ in range(5):
        one.random_raw()
    assert one.state == many.state
    assert many.random_raw(0).shape == (0,)
    assert one.state == many.state
    with pytest.raises(ValueError, match="-1"):
        many.random_raw(-1, output=False)
