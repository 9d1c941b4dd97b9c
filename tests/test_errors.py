"""Bad input: an exception that names the argument and the value, and nothing written."""

import re

import numpy as np
import pytest

import pysr

X = np.array([1.1, -2.3, 700.0])

BAD = [
    # what, exception, what its message must hold
    ({"fmt": "bfloat17"}, ValueError, "fmt='bfloat17'"),
    ({"fmt": "Q3"}, ValueError, "fmt='Q3'"),
    ({"fmt": "Q60.3"}, ValueError, "fmt='Q60.3'"),
    ({"fmt": np.int32}, ValueError, "int32"),
    ({"fmt": np.longdouble}, ValueError, "longdouble"),
    ({"fmt": 16}, TypeError, "16"),
    ({"fmt": None}, TypeError, "None"),
    ({"mode": "nearest"}, ValueError, "mode='nearest'"),
    ({"mode": 3}, TypeError, "mode"),
    ({"eps": -0.1}, ValueError, "eps=-0.1"),
    ({"eps": 1.0000001}, ValueError, "eps=1.0000001"),
    ({"eps": np.nan}, ValueError, "eps=nan"),
    ({"eps": "x"}, TypeError, "eps"),
    ({"random_bits": 0}, ValueError, "random_bits=0"),
    ({"random_bits": 65}, ValueError, "random_bits=65"),
    ({"random_bits": "many"}, ValueError, "random_bits='many'"),
    ({"random_bits": 8.0}, TypeError, "random_bits"),
    ({"random_bits": None}, TypeError, "random_bits"),
    ({"variant": "d"}, ValueError, "variant='d'"),
    ({"variant": 1}, TypeError, "variant must be a string, not 1"),
    ({"random_bits": 4, "bits": [1, 2, 16]}, ValueError, "bits=16"),
    ({"random_bits": 4, "bits": [1, -2, 3]}, ValueError, "bits=-2"),
    ({"random_bits": 4, "bits": [1.0, 2.0, 3.0]}, TypeError, "bits"),
    ({"random_bits": 64, "bits": [2**64, 0, 0]}, ValueError, "18446744073709551616"),
    ({"bits": [1, 2, 3]}, ValueError, "random_bits"),
    ({"mode": "rne", "bits": [1, 2, 3]}, ValueError, "bits"),
    ({"mode": "sr_equal", "bits": [1, 2, 2**16]}, ValueError, "65536"),
    ({"mode": "sr_eps", "bits": [1, 2, 2**32]}, ValueError, "4294967296"),
    ({"rng": -1}, ValueError, "rng=-1"),
    ({"rng": 2**64}, ValueError, "rng=18446744073709551616"),
    ({"rng": 0.5}, TypeError, "0.5"),
    ({"rng": "seed"}, TypeError, "'seed'"),
    ({"rng": True}, TypeError, "True"),
    ({"rng": np.random.RandomState(1)}, TypeError, "rng"),
    ({"mode": "rne", "rng": -1}, ValueError, "rng=-1"),
    ({"offset": -1}, ValueError, "offset=-1"),
    ({"offset": 2**64 - 2}, ValueError, "offset=18446744073709551614"),
    ({"offset": 1.5}, TypeError, "offset"),
    ({"offset": 1, "rng": pysr.Philox(1)}, ValueError, "offset=1"),
    ({"offset": 1, "rng": np.random.Generator(pysr.Philox(1))}, ValueError, "offset=1"),
    ({"out": np.zeros(2)}, ValueError, "out has shape (2,)"),
    ({"out": np.zeros((1, 3))}, ValueError, "out has shape (1, 3)"),
    ({"out": np.zeros(3, np.float32)}, TypeError, "out has dtype float32"),
    ({"out": np.zeros(3, np.int64)}, TypeError, "out has dtype int64"),
    ({"out": [0.0, 0.0, 0.0]}, TypeError, "out"),
    ({"out": np.broadcast_to(0.0, 3)}, ValueError, "out is read-only"),
    ({"where": [1, 0, 1]}, TypeError, "where"),
    ({"where": np.ma.array([True] * 3, mask=[0, 1, 0])}, TypeError, "where is a masked array"),
    ({"where": [True, False]}, ValueError, "where (2,)"),
    ({"mode": "sr_signed"}, ValueError, "direction=None"),
    ({"mode": "sr_signed", "direction": [1, np.nan, 1]}, ValueError, "direction=nan"),
    ({"mode": "sr_signed", "direction": [1, 1]}, ValueError, "direction (2,)"),
    ({"mode": "sr_signed", "direction": ["a", "b", "c"]}, TypeError, "direction"),
    ({"direction": 1.0}, ValueError, "direction"),
    ({"overflow": "clip"}, ValueError, "overflow='clip'"),
    ({"overflow": 1}, TypeError, "overflow"),
    ({"overflow": "wrap"}, ValueError, "overflow='wrap'"),
    ({"fmt": "Q3.8", "overflow": "inf"}, ValueError, "overflow='inf'"),
    ({"fmt": "Q3.8", "overflow": "propagate"}, ValueError, "overflow='propagate'"),
    ({"fmt": "float8_e4m3fn", "overflow": "inf"}, ValueError, "overflow='inf'"),
    ({"fmt": "float4_e2m1fn", "overflow": "nan"}, ValueError, "overflow='nan'"),
    ({"fmt": "float8_e4m3fn", "overflow": "raise"}, OverflowError, "index 2: x=700.0"),
    (
        {"fmt": "Q3.8", "overflow": "raise", "rng": 3, "offset": 50},
        OverflowError,
        "index 52: x=700.0",
    ),
    (
        {"fmt": "Q3.8", "overflow": "wrap", "x": np.array([1.0, 9.0, np.inf])},
        OverflowError,
        "index 2: x=inf",
    ),
    ({"fmt": "float8_e8m0fnu", "overflow": "raise"}, OverflowError, "index 1: x=-2.3"),
    ({"fmt": "binary64", "x": X.astype(np.float32)}, ValueError, "fmt=binary64: a float32 carrier"),
    ({"fmt": "Q10.15", "x": X.astype(np.float32)}, ValueError, "fmt=Q10.15"),
    ({"x": [1j]}, TypeError, "x"),
    ({"x": np.longdouble([1, 2, 3])}, TypeError, "x"),
    ({"x": ["1.5"]}, TypeError, "x"),
    ({"x": np.array(["2020-01-01"], "M8[D]")}, TypeError, "x"),
    ({"x": [None]}, TypeError, "None"),
    ({"x": 2**53 + 1}, ValueError, "x=9007199254740993"),
    ({"x": np.array([0, -(2**63) + 1])}, ValueError, "x=-9223372036854775807"),
    ({"x": np.array([2**64 - 1], np.uint64)}, ValueError, "x=18446744073709551615"),
    ({"x": np.array([0, 2**53 + 1], np.uint64)}, ValueError, "x=9007199254740993"),
    ({"x": np.array([0, 2**53 + 1])}, ValueError, "x=9007199254740993"),
    ({"x": [2**70 + 1]}, ValueError, "x=1180591620717411303425"),
    ({"x": -(10**400)}, ValueError, "x=-1000"),
    ({"x": np.ma.array([1.0, 2.0], mask=[0, 1])}, TypeError, "masked"),
    ({"x": [2**53 + 1, 0.5]}, ValueError, "x=9007199254740993"),
    ({"x": [2**64 - 1, -1]}, ValueError, "x=18446744073709551615"),
    ({"x": [[1.0, 2.0], [3.0]]}, ValueError, "x: "),
    ({"fmt": "bfloat16\0junk"}, ValueError, "fmt='bfloat16"),
    ({"fmt": "Q3.8\0.9"}, ValueError, "fmt='Q3.8"),
    ({"fmt": "\udc80"}, ValueError, "fmt='"),
    ({"eps": 10**400}, ValueError, "eps=1000"),
    ({"eps": "0.25"}, TypeError, "eps"),
    ({"eps": b"0.25"}, TypeError, "eps"),
    ({"variant": np.array(["a", "b"])}, TypeError, "variant"),
    ({"threads": 0}, ValueError, "threads=0"),
    ({"threads": 1.5}, TypeError, "threads"),
]


@pytest.mark.parametrize("call", [pysr.round, pysr.encode])
@pytest.mark.parametrize(
    ("arguments", "exception", "text"),
    BAD,
    ids=lambda value: str(value).partition(" at 0x")[0][:50],
)
def test_bad_argument(call, arguments, exception, text):
    arguments = {"x": X, "fmt": "float16"} | arguments
    out = arguments.get("out")
    if isinstance(out, np.ndarray) and out.dtype == np.float64 and call is pysr.encode:
        out = (
            np.zeros(out.shape, np.uint16)
            if out.flags.writeable
            else np.broadcast_to(np.uint16(0), 3)
        )
        arguments["out"] = out  # of the dtype that is right for codes
    with pytest.raises(exception, match=re.escape(text)):
        call(**arguments)
    if isinstance(out, np.ndarray):
        assert not out.any()


@pytest.mark.parametrize("fmt", ["float8_e4m3fn", "Q3.8"])
@pytest.mark.parametrize("mode", ["sr", "rne"])
@pytest.mark.parametrize("layout", ["c", "in place", "strided", "fortran", "where"])
def test_nothing_is_written_when_a_value_is_refused(fmt, mode, layout):
    x = np.linspace(0, 1, 60).reshape(6, 10)
    x[4, 3] = 1e6
    x[5, 9] = np.inf
    out = np.full_like(x, 3.0)
    kwargs = {}
    if layout == "in place":
        out = x
    elif layout == "strided":
        out = np.full((6, 20), 3.0)[:, ::2]
    elif layout == "fortran":
        x, out = np.asfortranarray(x), np.asfortranarray(out)
    elif layout == "where":
        kwargs["where"] = np.ones_like(x, bool)
    before = out.tobytes()
    stream = pysr.Philox(3)
    with pytest.raises(OverflowError, match=r"index 43: x=1000000\.0 .*" + fmt):
        pysr.round(x, fmt, mode, overflow="raise", out=out, rng=stream, **kwargs)
    assert out.tobytes() == before
    assert stream.position == 0


def test_nothing_is_written_when_a_value_has_no_code():
    x = np.array([1.0, 2.0, np.nan, 3.0])
    for fmt in ("float6_e2m3fn", "float6_e3m2fn", "float4_e2m1fn", "Q3.8", "UQ0.8"):
        out = np.full(4, 77, pysr.format(fmt).code_dtype)
        with pytest.raises(ValueError, match=rf"index 2: x=nan .*{fmt}"):
            pysr.encode(x, fmt, out=out)
        assert (out == 77).all()
    with pytest.raises(ValueError, match=r"index 0: x=9\.0 becomes NaN, for which Q3\.8"):
        pysr.encode([9.0], "Q3.8", overflow="nan")


BAD_FORMATS = [
    (lambda: pysr.FloatFormat(0, 15), "precision=0"),
    (lambda: pysr.FloatFormat(54, 15), "precision=54"),
    (lambda: pysr.FloatFormat(11, 1024), "emax=1024"),
    (lambda: pysr.FloatFormat(11, 15, 16), "emin=16"),
    (lambda: pysr.FloatFormat(11, 15, -1065), "emin=-1065"),
    (lambda: pysr.FloatFormat(4, 8, -6, max=449), "max=449"),
    (lambda: pysr.FloatFormat(4, 8, -6, max=512), "max=512"),
    (lambda: pysr.FloatFormat(4, 8, -6, max=-448), "max=-448"),
    (lambda: pysr.FloatFormat(4, 8, -6, max=np.nan), "max=nan"),
    (lambda: pysr.FloatFormat(4, 8, -6, max=0), "max=0"),
    (lambda: pysr.FloatFormat(4, 8, -6, max=10**400), "max=1000"),
    (lambda: pysr.FloatFormat(4, 8, -6, max=2**60 + 1), "max=1152921504606846977"),
    (lambda: pysr.FloatFormat(4, 8, zero=False), "zero=False"),
    (lambda: pysr.FloatFormat(4, 8, infinities=False, overflow="inf"), "overflow='inf'"),
    (lambda: pysr.FloatFormat(4, 8, nan=False, overflow="nan"), "overflow='nan'"),
    (lambda: pysr.FloatFormat(4, 8, overflow="wrap"), "overflow='wrap'"),
    (lambda: pysr.FloatFormat(4, 8, overflow="clip"), "overflow='clip'"),
    (lambda: pysr.FixedFormat(0, 0), "int_bits=0 and frac_bits=0"),
    (lambda: pysr.FixedFormat(50, 4), "int_bits=50 and frac_bits=4"),
    (lambda: pysr.FixedFormat(-3, 3), "int_bits=-3 and frac_bits=3"),
    (lambda: pysr.FixedFormat(3, 2000), "frac_bits=2000"),
    (lambda: pysr.FixedFormat(-1030, 1075), "frac_bits=1075"),
    (lambda: pysr.FixedFormat(1024, -1000), "int_bits=1024"),
    (lambda: pysr.FixedFormat(3, 8, overflow="inf"), "overflow='inf'"),
    (lambda: pysr.Philox(-1), "seed=-1"),
    (lambda: pysr.Philox(2**64), "seed=18446744073709551616"),
    (lambda: pysr.Philox(1, 2**48), "stream=281474976710656"),
    (lambda: pysr.Philox(1, -1), "stream=-1"),
    (lambda: pysr.Philox(1).spawn(-1), "n_children=-1"),
    (lambda: pysr.Philox(1).advance(2**64), "blocks=18446744073709551616"),
]


@pytest.mark.parametrize(("make", "text"), BAD_FORMATS, ids=[text for _, text in BAD_FORMATS])
def test_bad_format_or_stream(make, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        make()


def test_bad_types_of_formats_and_streams():
    for make in (
        lambda: pysr.FloatFormat(11.0, 15),
        lambda: pysr.FloatFormat(True, 15),
        lambda: pysr.FloatFormat(11, 15, max="x"),
        lambda: pysr.FloatFormat(11, 15, name=3),
        lambda: pysr.FixedFormat("3", 8),
        lambda: pysr.FixedFormat(3, 8, name=b"x"),
        lambda: pysr.Philox("7"),
        lambda: pysr.Philox(7.0),
        lambda: pysr.Philox(7).advance(1.0),
        lambda: pysr.format("bfloat16").fits("int8"),
        lambda: pysr.Format(),
    ):
        with pytest.raises(TypeError):
            make()


def test_bad_state():
    stream = pysr.Philox(7)
    good = stream.state
    for change in ({"used": 4}, {"block": -1}, {"seed": 2**64}, {"stream": 2**48}):
        bad = {"bit_generator": "Philox", "state": good["state"] | change}
        with pytest.raises(ValueError, match="state " + next(iter(change))):
            stream.state = bad
        assert stream.state == good
    with pytest.raises(ValueError, match="PCG64"):
        stream.state = np.random.PCG64(1).state
    with pytest.raises(ValueError, match="lacks seed"):
        stream.state = {
            "bit_generator": "Philox",
            "state": {k: 0 for k in good["state"] if k != "seed"},
        }
    with pytest.raises(TypeError, match="state"):
        stream.state = 3


@pytest.mark.parametrize(
    ("codes", "fmt", "kwargs", "exception", "text"),
    [
        ([1, 16], "float4_e2m1fn", {}, ValueError, "index 1: code 16"),
        ([1, 256], "float8_e4m3fn", {}, ValueError, "index 1: code 256"),
        ([1, -1], "float8_e4m3fn", {}, ValueError, "index 1: code -1"),
        ([2048], "Q3.8", {}, ValueError, "index 0: code 2048"),
        ([-2049], "Q3.8", {}, ValueError, "index 0: code -2049"),
        ([40000], "Q3.8", {}, ValueError, "index 0: code 40000"),
        ([-1], "UQ0.8", {}, ValueError, "index 0: code -1"),
        ([2**19], "tf32", {}, ValueError, "index 0: code 524288"),
        ([1.0], "bfloat16", {}, TypeError, "float64"),
        ([2**64], "binary64", {}, ValueError, "index 0: code 18446744073709551616"),
        ([2**64 - 1, -1], "binary64", {}, ValueError, "index 1: code -1"),
        ([True], "bfloat16", {}, TypeError, "bool"),
        ([1], "binary64", {"dtype": "float32"}, ValueError, "float32 carrier"),
        ([1], "bfloat16", {"dtype": "float16"}, TypeError, "float16"),
        ([1], "bfloat16", {"dtype": "spam"}, TypeError, "spam"),
        ([1], "bfloat16", {"out": np.zeros(2, np.float32)}, ValueError, "out has shape (2,)"),
        ([1], "bfloat16", {"out": np.zeros(1, np.float64)}, TypeError, "out has dtype float64"),
    ],
)
def test_bad_codes(codes, fmt, kwargs, exception, text):
    with pytest.raises(exception, match=re.escape(text)):
        pysr.decode(codes, fmt, **kwargs)
    if "bits" not in text:
        out = np.full(len(codes), 3.0, np.float64)
        with pytest.raises((ValueError, TypeError)):
            pysr.decode(codes, fmt, **({"out": out} | kwargs))
        assert (out == 3.0).all()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4", ">f8"])
@pytest.mark.parametrize("carrier", ["float32", "float64"])
def test_a_nan_direction_is_found_in_any_dtype(dtype, carrier):
    direction = np.array([1.0, np.nan, -0.0], dtype)
    out = np.full(3, 3.0, carrier)
    with pytest.raises(ValueError, match="index 1: direction=nan"):
        pysr.round(X.astype(carrier), "tf32", "sr_signed", eps=0.5, direction=direction, out=out)
    assert (out == 3.0).all()


def test_a_call_with_bad_arguments_draws_no_seed():
    rng = np.random.default_rng(3)
    before = rng.bit_generator.state
    with pytest.raises(ValueError, match="index 1: direction=nan"):
        pysr.round(X, "tf32", "sr_signed", direction=[1, np.nan, 1], rng=rng)
    with pytest.raises(ValueError, match="index 12: x=nan"):
        pysr.encode([1.1, 2.2, np.nan], "Q3.8", rng=rng, offset=10)
    assert rng.bit_generator.state == before
    pysr.round(X, "tf32", rng=rng)
    assert rng.bit_generator.state != before


def test_elements_of_out_that_overlap():
    """None of them could hold its result."""
    for out in (np.zeros((1, 1)), np.zeros((2, 1))):
        strides = (out.strides[0] if len(out) > 1 else 0, 0)
        view = np.lib.stride_tricks.as_strided(out, (2, 3), strides)
        with pytest.raises(ValueError, match=r"elements of out overlap: .* strides \(\d+, 0\)"):
            pysr.round(np.ones((2, 3)), "bfloat16", "rne", out=view)
        with pytest.raises(ValueError, match="elements of out overlap"):
            pysr.decode(np.ones((2, 3), np.uint16), "bfloat16", dtype=np.float64, out=view)
        assert not out.any()
    for shape in ((0, 3), (3, 0)):
        out = np.lib.stride_tricks.as_strided(np.zeros(1), shape, (0, 0))
        assert pysr.round(np.ones(shape), "bfloat16", "rne", out=out) is out
    one = np.broadcast_to(np.zeros(1), (1, 1)).copy()
    assert pysr.round([[1.0]], "bfloat16", "rne", out=one).tolist() == [[1.0]]


def test_masked_arrays():
    """Wherever they would be taken with what their mask hides."""
    masked = np.ma.array([1, 2], mask=[0, 1])
    for call, name in (
        (lambda: pysr.decode(masked, "bfloat16"), "codes"),
        (lambda: pysr.round([1.0, 2.0], "bfloat16", random_bits=4, bits=masked), "bits"),
    ):
        with pytest.raises(TypeError, match=f"{name} is a masked array"):
            call()
