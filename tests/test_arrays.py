"""Whatever an array's layout, and however a call is cut: the bits of the plain call."""

import copy
import itertools
import pickle
import threading

import numpy as np
import pytest

import pysr

SHAPE = (6, 5, 8)
CASES = [
    ("bfloat16", "sr", {}),
    ("bfloat16", "rne", {}),
    ("float8_e4m3fn", "sr", {"random_bits": 5}),
    ("float16", "sr", {"random_bits": 24, "variant": "c"}),
    ("Q3.8", "sr_eps", {"eps": 0.25}),
    ("float8_e5m2", "sr", {"random_bits": 40, "variant": "b"}),
    ("tf32", "sr_equal", {}),
]
KINDS = {"round": pysr.round, "encode": pysr.encode}


@pytest.fixture(params=["float32", "float64"])
def x(request):
    rng = np.random.default_rng(3)
    return (rng.standard_normal(SHAPE) * 2.0 ** rng.integers(-6, 3, SHAPE)).astype(request.param)


def same(a, b):
    """Equal types and bit patterns."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    assert a.tobytes() == b.tobytes()


def layouts(x):
    """The same values, each time placed differently in memory."""
    padded = np.zeros((12, 5, 17), x.dtype)
    padded[::2, :, 1::2] = x
    fields = np.zeros(SHAPE, [("pad", "u1"), ("x", x.dtype)])
    fields["x"] = x
    frozen = x.copy()
    frozen.flags.writeable = False
    return {
        "c": x.copy(),
        "fortran": np.asfortranarray(x),
        "reversed": x[::-1, :, ::-1].copy()[::-1, :, ::-1],
        "permuted": x.transpose(1, 2, 0).copy().transpose(2, 0, 1),
        "strided": padded[::2, :, 1::2],
        "unaligned": fields["x"],
        "swapped": x.astype(x.dtype.newbyteorder()),
        "swapped fortran": np.asfortranarray(x.astype(x.dtype.newbyteorder())),
        "read-only": frozen,
        "nested lists": x.tolist() if x.dtype == np.float64 else x.copy(),
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("fmt", "mode", "kwargs"), CASES)
def test_layouts(x, kind, fmt, mode, kwargs):
    call = KINDS[kind]
    expected = call(x, fmt, mode, rng=7, **kwargs)
    for name, view in layouts(x).items():
        before = np.asarray(view).tobytes()
        got = call(view, fmt, mode, rng=7, **kwargs)
        assert got.dtype.isnative, name
        same(got, expected)
        assert np.asarray(view).tobytes() == before, f"{name}: the input has changed"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("fmt", "mode", "kwargs"), CASES)
def test_out_layouts(x, kind, fmt, mode, kwargs):
    call = KINDS[kind]
    expected = call(x, fmt, mode, rng=7, **kwargs)
    for name, out in layouts(np.ones_like(expected)).items():
        if name in ("read-only", "nested lists"):
            continue
        got = call(x, fmt, mode, rng=7, out=out, **kwargs)
        assert got is out
        same(out.astype(expected.dtype), expected)


@pytest.mark.parametrize(("fmt", "mode", "kwargs"), CASES)
@pytest.mark.parametrize("layout", ["c", "fortran", "reversed", "strided", "unaligned", "swapped"])
def test_in_place(x, fmt, mode, kwargs, layout):
    expected = pysr.round(x, fmt, mode, rng=7, **kwargs)
    a = layouts(x)[layout]
    assert pysr.round(a, fmt, mode, rng=7, out=a, **kwargs) is a
    same(a.astype(expected.dtype), expected)


@pytest.mark.parametrize("shift", [1, 3, -1, -3])
@pytest.mark.parametrize("mode", ["sr", "rne"])
def test_partial_overlap(x, shift, mode):
    flat = x.ravel()
    n = flat.size - abs(shift)
    source = slice(0, n) if shift > 0 else slice(-shift, None)
    target = slice(shift, None) if shift > 0 else slice(0, n)
    expected = pysr.round(flat[source].copy(), "bfloat16", mode, rng=7)
    pysr.round(flat[source], "bfloat16", mode, rng=7, out=flat[target])
    same(flat[target], expected)


def test_out_overlaps_the_reversed_input(x):
    flat = x.ravel()
    expected = pysr.round(flat.copy(), "bfloat16", rng=7)
    pysr.round(flat, "bfloat16", rng=7, out=flat[::-1])
    same(flat[::-1].copy(), expected)


def test_out_is_the_direction(x):
    direction = -x
    expected = pysr.round(x, "bfloat16", "sr_signed", eps=0.5, direction=direction, rng=7)
    pysr.round(x, "bfloat16", "sr_signed", eps=0.5, direction=direction, rng=7, out=direction)
    same(direction, expected)


def test_results_keep_the_order_of_the_input(x):
    assert pysr.round(np.asfortranarray(x), "bfloat16", rng=7).flags.f_contiguous
    assert pysr.round(x, "bfloat16", rng=7).flags.c_contiguous
    view = x.transpose(1, 2, 0)
    assert pysr.round(view, "bfloat16", rng=7).strides == view.strides


@pytest.mark.parametrize(("fmt", "mode", "kwargs"), CASES)
@pytest.mark.parametrize("cuts", [[1], [3, 4, 5], [8, 16, 64], list(range(1, 240, 7)), [239]])
def test_chunks(x, fmt, mode, kwargs, cuts):
    flat = x.ravel()
    for call in KINDS.values():
        whole = call(flat, fmt, mode, rng=7, offset=13, **kwargs)
        bounds = [0, *cuts, flat.size]
        pieces = [
            call(flat[a:b], fmt, mode, rng=7, offset=13 + a, **kwargs)
            for a, b in itertools.pairwise(bounds)
        ]
        same(np.concatenate(pieces), whole)


@pytest.mark.parametrize(("fmt", "mode", "kwargs"), CASES)
def test_broadcast(x, fmt, mode, kwargs):
    row = x[0, 0]
    view = np.broadcast_to(row, SHAPE)
    same(
        pysr.round(view, fmt, mode, rng=7, **kwargs),
        pysr.round(view.copy(), fmt, mode, rng=7, **kwargs),
    )
    where = np.ones(SHAPE, bool)
    same(
        pysr.round(row, fmt, mode, rng=7, where=where, **kwargs),
        pysr.round(view.copy(), fmt, mode, rng=7, **kwargs),
    )


def test_direction_and_bits_broadcast(x):
    direction = np.array([1.0, -2.0, 0.0, -0.0, 5e-324, -np.inf, np.inf, -1e-300])
    whole = np.broadcast_to(direction, SHAPE).copy()
    expected = pysr.round(x, "Q3.8", "sr_signed", eps=0.3, direction=whole, rng=7)
    for given in (
        direction,
        np.sign(direction).astype(int),
        whole,
        whole.astype(">f8"),
        direction.tolist(),
    ):
        same(pysr.round(x, "Q3.8", "sr_signed", eps=0.3, direction=given, rng=7), expected)
    bits = np.arange(8, dtype=np.int16)[::-1]
    expected = pysr.round(x, "Q3.8", random_bits=3, bits=np.broadcast_to(bits, SHAPE).copy())
    for given in (bits, bits.astype(">u8"), bits.tolist(), bits.astype(np.int8)):
        same(pysr.round(x, "Q3.8", random_bits=3, bits=given), expected)
    one = pysr.round(x[0, 0, 0], "Q3.8", random_bits=3, bits=bits)
    same(one, pysr.round(np.full(8, x[0, 0, 0]), "Q3.8", random_bits=3, bits=bits))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("fmt", "mode", "kwargs"), CASES)
def test_where(x, kind, fmt, mode, kwargs):
    call = KINDS[kind]
    full = call(x, fmt, mode, rng=7, **kwargs)
    where = np.random.default_rng(1).random(SHAPE) < 0.5
    same(
        call(x, fmt, mode, rng=7, where=where, **kwargs), np.where(where, full, full.dtype.type(0))
    )
    for mask in (
        where,
        np.asfortranarray(where),
        where[0],
        where[:, :1],
        True,
        False,
        where.tolist(),
    ):
        out = np.full(SHAPE, 3, full.dtype)
        call(x, fmt, mode, rng=7, where=mask, out=out, **kwargs)
        same(out, np.where(mask, full, full.dtype.type(3)))
    a = x.copy()
    pysr.round(a, fmt, mode, rng=7, where=where, out=a, **kwargs)
    same(a, np.where(where, pysr.round(x, fmt, mode, rng=7, **kwargs), x))


def test_where_hides_what_would_raise():
    x = np.array([1.25, 1e30, np.nan, 2.25])
    where = np.array([True, False, False, True])
    same(
        pysr.encode(x, "float4_e2m1fn", "rz", overflow="raise", where=where),
        np.array([2, 0, 0, 4], np.uint8),
    )
    direction = np.array([1, np.nan, np.nan, 1])
    pysr.round(x, "bfloat16", "sr_signed", eps=0.1, direction=direction, where=where)
    pysr.round(x, "bfloat16", random_bits=2, bits=[1, 4, -1, 3], where=where)
    same(
        pysr.encode([1.0, 0.0], "float8_e8m0fnu", overflow="raise", where=[True, False]),
        np.array([127, 0], np.uint8),
    )


def test_dtypes_of_results():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for x, dtype in [
        (np.float32(1.5), np.float32),
        (np.float64(1.5), np.float64),
        (np.float16(1.5), np.float32),
        (ml_dtypes.bfloat16(1.5), np.float32),
        (np.array([1.5], ml_dtypes.float8_e4m3fn), np.float32),
        (1.5, np.float64),
        (1, np.float64),
        (True, np.float64),
        (np.int8(3), np.float64),
        (np.uint64(2**63), np.float64),
        (2**70, np.float64),
        ([1, 2.5], np.float64),
        ([2**70, 1], np.float64),
        (np.array([1.5, 2], object), np.float64),
        ([], np.float64),
    ]:
        y = pysr.round(x, "bfloat16", "rne")
        assert y.dtype == dtype
        assert np.all(y == np.asarray(x).astype(np.float64))


def test_scalars_and_empty_arrays():
    assert type(pysr.round(1.1, "bfloat16", "rne")) is np.float64
    assert type(pysr.round(np.float32(1.1), "bfloat16", "rne")) is np.float32
    assert type(pysr.round(np.array(1.1), "bfloat16", "rne")) is np.float64
    assert type(pysr.encode(1.1, "bfloat16", "rne")) is np.uint16
    assert type(pysr.decode(0x3F80, "bfloat16")) is np.float32
    out = np.array(0.0)
    assert pysr.round(1.1, "bfloat16", "rne", out=out) is out
    assert out == 1.1015625
    for shape in [(0,), (3, 0), (0, 3), (2, 0, 4)]:
        for mode in pysr.MODES:
            direction = np.zeros(shape) if mode == "sr_signed" else None
            y = pysr.round(np.zeros(shape, np.float32), "bfloat16", mode, direction=direction)
            assert y.shape == shape
            assert y.dtype == np.float32
        assert pysr.encode(np.zeros(shape), "tf32").shape == shape
        assert pysr.decode(np.zeros(shape, np.uint32), "tf32").shape == shape


def test_the_same_value_rounds_alike_from_both_carriers():
    x = np.random.default_rng(5).standard_normal(100_000).astype(np.float32)
    for fmt, mode, kwargs in CASES:
        a = pysr.round(x, fmt, mode, rng=7, **kwargs)
        b = pysr.round(x.astype(np.float64), fmt, mode, rng=7, **kwargs)
        assert np.array_equal(a, b)


def test_decode_layouts():
    codes = np.arange(240, dtype=np.uint8).reshape(SHAPE)
    expected = pysr.decode(codes, "float8_e4m3fn")
    for view in layouts(codes).values():
        same(pysr.decode(view, "float8_e4m3fn"), expected)
    for dtype in ("i2", ">u2", "u8", "i8"):
        same(pysr.decode(codes.astype(dtype), "float8_e4m3fn"), expected)
    same(pysr.decode(codes, "float8_e4m3fn", dtype="float64"), expected.astype(np.float64))
    for out in layouts(np.ones(SHAPE)).values():
        if isinstance(out, np.ndarray) and out.flags.writeable:
            assert pysr.decode(codes, "float8_e4m3fn", dtype=np.float64, out=out) is out
            same(out.astype(np.float64), expected.astype(np.float64))


def test_threads_share_one_stream_without_sharing_bits():
    stream = pysr.Philox(7)
    n, calls = 1000, 40
    x = np.full(n, 1 + 2**-9)
    results = []

    def work():
        for _ in range(calls // 4):
            results.append(pysr.round(x, "bfloat16", rng=stream))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert stream.position == calls * (n // 8)
    again = pysr.Philox(7)
    expected = sorted(pysr.round(x, "bfloat16", rng=again).tobytes() for _ in range(calls))
    assert sorted(y.tobytes() for y in results) == expected


def test_formats_are_values():
    for name in (*pysr.FORMATS, "Q3.8", "UQ0.8", "Q-2.10"):
        fmt = pysr.format(name)
        assert pysr.format(fmt) is fmt
        assert str(fmt) == name
        for other in (
            pickle.loads(pickle.dumps(fmt)),
            copy.deepcopy(fmt),
            eval(repr(fmt), {"FloatFormat": pysr.FloatFormat, "FixedFormat": pysr.FixedFormat}),
        ):
            assert other == fmt
            assert hash(other) == hash(fmt)
            assert other.name == name
        with pytest.raises(AttributeError):
            fmt.max = 3.0
        with pytest.raises(AttributeError):
            fmt.name = "x"
    assert pysr.format("bfloat16") != pysr.format("float16")
    assert pysr.format("bfloat16") == pysr.FloatFormat(8, 127, name="mine")
    assert pysr.FixedFormat(3, 8) != pysr.FixedFormat(3, 8, overflow="wrap")
    assert pysr.format("bfloat16") != "bfloat16"


def test_format_fields():
    for fmt in (
        pysr.FloatFormat(5, 3, max=12.5),
        pysr.FloatFormat(1, 3, -3, zero=False, subnormals=False),
    ):
        assert eval(repr(fmt), {"FloatFormat": pysr.FloatFormat}) == fmt
    q = pysr.format("Q3.8")
    assert (q.int_bits, q.frac_bits, q.bits, q.min, q.max, q.step) == (
        3,
        8,
        12,
        -8,
        8 - 2**-8,
        2**-8,
    )
    assert (q.precision, q.emin, q.emax, q.smallest) == (None, None, None, 2**-8)
    e = pysr.format("float8_e8m0fnu")
    assert (e.min, e.max, e.smallest, e.signed, e.zero) == (
        2.0**-127,
        2.0**127,
        2.0**-127,
        False,
        False,
    )
    b = pysr.format("bfloat16")
    assert (b.precision, b.emin, b.emax, b.qmin, b.min) == (8, -126, 127, -133, -b.max)
    assert pysr.format("e4m3fn") is pysr.format("float8_e4m3fn")
    assert pysr.format("float32") is pysr.format("binary32") is pysr.format(np.float32)
    assert pysr.format(np.dtype(">f2")) is pysr.format("float16")
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for name in pysr.FORMATS:
        if hasattr(ml_dtypes, name):
            assert pysr.format(getattr(ml_dtypes, name)) is pysr.format(name)
            assert pysr.format(np.dtype(getattr(ml_dtypes, name))) is pysr.format(name)


@pytest.mark.parametrize(
    ("fmt", "held"),
    [
        (pysr.FloatFormat(24, 127), True),
        (pysr.FloatFormat(25, 100, -90), False),
        (pysr.FloatFormat(8, 128, -126), False),
        (pysr.FloatFormat(2, 127, -148), True),
        (pysr.FloatFormat(2, 127, -149), False),
        (pysr.FloatFormat(1, 127, -149), True),
        (pysr.FloatFormat(1, 127, -150), False),
        (pysr.FixedFormat(12, 12), True),
        (pysr.FixedFormat(12, 13), False),
        (pysr.FixedFormat(-126, 149), True),
        (pysr.FixedFormat(-127, 150), False),
        (pysr.FixedFormat(127, -104), True),
        (pysr.FixedFormat(128, -104), False),
        (pysr.FixedFormat(128, -104, signed=False), True),
        (pysr.FixedFormat(129, -105, signed=False), False),
    ],
    ids=repr,
)
def test_what_float32_holds(fmt, held):
    assert fmt.fits(np.float32) == held
    assert fmt.fits(np.float64)
    edges = np.array([fmt.smallest, fmt.max, fmt.min])
    assert (not held) or (edges.astype(np.float32) == edges).all()
    if held:
        same(pysr.round(edges.astype(np.float32), fmt, "ra"), edges.astype(np.float32))
    else:
        with pytest.raises(ValueError, match="float32 carrier"):
            pysr.round(np.float32([1.0]), fmt)
    same(pysr.round(edges, fmt, "ra"), edges)


@pytest.mark.parametrize(
    "fmt",
    [
        pysr.FixedFormat(-1021, 1074),
        pysr.FixedFormat(-1073, 1074),
        pysr.FixedFormat(1023, -1022),
        pysr.FixedFormat(1023, -970, signed=False),
        pysr.FloatFormat(1, 1023, -1074),
        pysr.FloatFormat(53, 1023, -1022),
        pysr.FloatFormat(53, 1023, 1023),
        pysr.FloatFormat(52, -1023, -1023),
        pysr.FloatFormat(1, -1074, -1074),
        pysr.FloatFormat(1, 0, 0, zero=False, subnormals=False, nan=False, infinities=False),
    ],
    ids=repr,
)
def test_the_widest_formats(fmt):
    edges = np.array([fmt.smallest, fmt.max, fmt.max if fmt.min == 0 else fmt.min])
    for mode in ("rne", "ra", "sr"):
        same(pysr.round(edges, fmt, mode), edges)
    codes = pysr.encode(edges, fmt)
    same(pysr.decode(codes, fmt, dtype=np.float64), edges)
    assert 1 <= fmt.bits <= 64
    assert pysr.round(np.inf, fmt, "rne", overflow="saturate") == fmt.max


@pytest.mark.parametrize("shift", [1, 3, 0])
@pytest.mark.parametrize("step", [1, -1])
def test_out_overlaps_where(shift, step):
    memory = np.zeros(12, bool)
    memory[: 9 - shift] = np.arange(9 - shift) % 2 == 0
    where = memory[:6][::step]
    out = memory[shift : shift + 6].view(np.uint8)
    expected = np.where(where.copy(), np.uint8(56), out.copy())
    pysr.encode(np.ones(6), "float8_e4m3fn", out=out, where=where)
    same(out, expected)


def test_results_own_their_memory():
    assert pysr.round(np.ones((3, 4)), "bfloat16").flags.owndata
    assert pysr.decode(np.ones((3, 4), np.uint8), "float8_e4m3fn").flags.owndata


def test_lists_of_large_integers():
    bits = [2**63, 1]
    same(
        pysr.round([1.1, 1.1], "bfloat16", random_bits=64, bits=bits),
        pysr.round([1.1, 1.1], "bfloat16", random_bits=64, bits=np.array(bits, np.uint64)),
    )
    where = [True, False]
    pysr.round([1.1, 1.1], "bfloat16", random_bits=64, bits=[2**63, -1], where=where)
    assert pysr.round([], "bfloat16", random_bits=8, bits=[]).shape == (0,)
    assert pysr.decode([], "bfloat16").shape == (0,)
    assert pysr.decode([2**63, 0], "binary64").tolist() == [-0.0, 0.0]
    assert pysr.round([2**53 + 2, 0.5], "binary64", "rz").tolist() == [2.0**53 + 2, 0.5]


LENGTHS = [1, 2, 3, 7, 16, 31, 64, 65, 128, 257, 512, 1000]


def drawn_layout(draw, shape, dtype):
    """An array of zeros of that shape, of some layout."""
    doubled = np.zeros([2 * n for n in shape], dtype)
    kind = draw.choice(["c", "fortran", "strided", "reversed", "part", "permuted"])
    if kind == "strided":
        return doubled[tuple(slice(None, None, 2) for _ in shape)]
    if kind == "reversed":
        return np.zeros(shape, dtype)[tuple(slice(None, None, -1) for _ in shape)]
    if kind == "part":
        return doubled[tuple(slice(0, n) for n in shape)]
    if kind == "permuted":
        order = draw.permutation(len(shape))
        return np.zeros([shape[axis] for axis in order], dtype).transpose(np.argsort(order))
    return np.zeros(shape, dtype, order="C" if kind == "c" else "F")


@pytest.mark.parametrize("seed", range(8))
def test_drawn_layouts(seed):
    """Rows and columns of many lengths, so that tiles of every shape come up."""
    draw = np.random.default_rng(seed)
    for _ in range(60):
        shape = tuple(int(n) for n in draw.choice(LENGTHS, draw.integers(1, 4)))
        if np.prod(shape) > 300_000:
            continue
        fmt, mode, kwargs = CASES[draw.integers(len(CASES))]
        kind = draw.choice(list(KINDS))
        dtype = draw.choice([np.float32, np.float64])
        x = drawn_layout(draw, shape, dtype)
        x[...] = draw.standard_normal(shape)
        expected = KINDS[kind](np.ascontiguousarray(x), fmt, mode, rng=seed, **kwargs)
        out = drawn_layout(draw, shape, expected.dtype)
        if kind == "round" and draw.random() < 0.2:
            out = x
        threads = int(draw.integers(1, 3))
        assert KINDS[kind](x, fmt, mode, rng=seed, out=out, threads=threads, **kwargs) is out
        assert np.array_equal(out, expected), (shape, fmt, mode, dtype, x.strides, out.strides)
