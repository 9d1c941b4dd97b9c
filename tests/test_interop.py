"""Arrays of other libraries, by DLPack: from the memory of the CPU, else refused."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest

import pysr

FUNCTIONS = [pysr.round, pysr.encode, pysr.cast]
VALUES = np.random.default_rng(1).standard_normal((7, 9)).astype(np.float32)


class Foreign:
    """An array that NumPy can have by DLPack alone."""

    def __init__(self, array: npt.NDArray[Any], device: tuple[int, int] = (1, 0)) -> None:
        self.array, self.device = array, device

    def __dlpack__(self, **arguments: Any) -> Any:
        return self.array.__dlpack__(**arguments)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device


class Typed(Foreign):
    """An array of codes that says they are of a type that NumPy lacks."""

    def __init__(self, codes: npt.NDArray[Any], type_code: int) -> None:
        super().__init__(codes)
        self.type_code = type_code

    def __dlpack__(self, **_: Any) -> Any:
        capsule = self.array.__dlpack__()
        pointer = ctypes.pythonapi.PyCapsule_GetPointer
        pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
        described = pointer(capsule, b"dltensor") + ctypes.sizeof(ctypes.c_void_p) + 12
        ctypes.c_uint8.from_address(described).value = self.type_code
        return capsule


class Refusing(Foreign):
    def __dlpack__(self, **_: Any) -> Any:
        raise BufferError("cannot export what requires a gradient")


def same(got: Any, expected: Any) -> bool:
    return (
        type(got) is type(expected)
        and got.dtype == expected.dtype
        and got.shape == expected.shape
        and got.tobytes() == expected.tobytes()
    )


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i4", "i8", "u2", "?"])
def test_as_of_an_ndarray(function: Callable[..., Any], dtype: str) -> None:
    x = (VALUES * 3).astype(dtype)
    for array in (x, x[::2, ::-3], x.T, x[:0], x[3:4, 4].reshape(())):
        assert same(function(Foreign(array), "bfloat16", rng=5), function(array, "bfloat16", rng=5))


def test_direction_and_significant_bits() -> None:
    direction = np.sign(VALUES)
    arguments: dict[str, Any] = {"rng": 5, "eps": 0.3}
    got = pysr.round(
        Foreign(VALUES), "bfloat16", "sr_signed", direction=Foreign(direction), **arguments
    )
    expected = pysr.round(VALUES, "bfloat16", "sr_signed", direction=direction, **arguments)
    assert same(got, expected)
    got = pysr.significant_bits(Foreign(VALUES), Foreign(VALUES[0]))
    assert same(got, pysr.significant_bits(VALUES, VALUES[0]))


@pytest.mark.parametrize(
    ("type_code", "name"),
    [
        (4, "bfloat16"),
        (7, "float8_e3m4"),
        (8, "float8_e4m3"),
        (9, "float8_e4m3b11fnuz"),
        (10, "float8_e4m3fn"),
        (11, "float8_e4m3fnuz"),
        (12, "float8_e5m2"),
        (13, "float8_e5m2fnuz"),
        (14, "float8_e8m0fnu"),
    ],
)
def test_types_that_numpy_lacks(type_code: int, name: str) -> None:
    """All their values, and the array is as it was."""
    bits = pysr.format(name).bits
    codes = np.arange(2**bits, dtype=f"u{bits // 8}")
    values = codes.view(getattr(ml_dtypes, name))
    foreign = Typed(codes, type_code)
    for _ in range(2):
        got = pysr.round(foreign, "binary32", "rne")
        expected = pysr.round(values, "binary32", "rne")
        assert got.dtype == np.float32
        assert ((got == expected) | (np.isnan(got) & np.isnan(expected))).all()
        assert (np.signbit(got) == np.signbit(expected))[~np.isnan(got)].all()
    assert (codes == np.arange(2**bits)).all()
    strided = Typed(codes[3::5], type_code)
    assert (pysr.round(strided, "binary32", "rne") == got[3::5])[~np.isnan(got[3::5])].all()


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("device", "name"),
    [((2, 0), "CUDA:0"), ((8, 1), "Metal:1"), ((10, 3), "ROCm:3"), ((99, 0), "99")],
)
def test_other_devices(function: Callable[..., Any], device: tuple[int, int], name: str) -> None:
    with pytest.raises(TypeError, match=f"x is on the device .*{name}.*memory of the CPU"):
        function(Foreign(VALUES, device), "bfloat16")
    with pytest.raises(TypeError, match="direction is on the device"):
        function(VALUES, "bfloat16", "sr_signed", direction=Foreign(VALUES, device))


def test_what_cannot_be_had() -> None:
    stream, out = pysr.Philox(7), np.full(VALUES.shape, 3, np.float32)
    wide = np.zeros(4, np.complex128)
    for bad, message in (
        (Refusing(VALUES), "x: .*Refusing cannot be had by DLPack: cannot export what requires"),
        (Typed(np.zeros(4, np.uint8), 3), "x: .*Typed cannot be had by DLPack"),
        (Typed(np.zeros(4, np.uint32), 4), "x: .*Typed cannot be had by DLPack"),
        (Foreign(wide), "x must hold real numbers of at most 64 bits, not complex128"),
    ):
        with pytest.raises(TypeError, match=message):
            pysr.round(bad, "bfloat16", rng=stream, out=out)
    assert stream.position == 0
    assert (out == 3).all()


def test_array_api_strict() -> None:
    xp = pytest.importorskip("array_api_strict")
    for dtype in (xp.float32, xp.float64, xp.int32):
        x = xp.asarray(VALUES * 3, dtype=dtype)
        expected = (VALUES * 3).astype(str(dtype).rpartition(".")[2])
        for function in FUNCTIONS:
            got = function(x, "bfloat16", rng=5)
            assert same(got, function(expected, "bfloat16", rng=5))
            assert same(
                function(x[1, 2], "bfloat16", rng=5), function(expected[1, 2], "bfloat16", rng=5)
            )


def test_torch() -> None:
    torch = pytest.importorskip("torch")
    for dtype in (torch.float16, torch.float32, torch.float64, torch.int64):
        x = torch.from_numpy(VALUES * 3).to(dtype)
        for function in FUNCTIONS:
            got = function(x.T, "float16", rng=5)
            assert same(got, function(x.numpy().T, "float16", rng=5))
    narrow = torch.from_numpy(VALUES).to(torch.bfloat16)
    expected = narrow.to(torch.float32).numpy()
    assert same(
        pysr.round(narrow, "float8_e4m3fn", rng=5), pysr.round(expected, "float8_e4m3fn", rng=5)
    )
    with pytest.raises(TypeError, match=r"x: .*Tensor cannot be had by DLPack"):
        pysr.round(torch.ones(3, requires_grad=True), "bfloat16")
    with pytest.raises(TypeError, match="x"):
        pysr.round(torch.ones(3, device="meta"), "bfloat16")
