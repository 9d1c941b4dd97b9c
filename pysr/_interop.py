"""Arrays of other libraries, by DLPack and without importing those libraries."""

from __future__ import annotations

import ctypes
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

# DLDeviceType. NumPy reads the memory of those in _READABLE.
_DEVICES = {
    2: "CUDA",
    4: "OpenCL",
    7: "Vulkan",
    8: "Metal",
    9: "VPI",
    10: "ROCm",
    12: "extension",
    13: "CUDA managed",
    14: "oneAPI",
    15: "WebGPU",
    16: "Hexagon",
    17: "MAIA",
    18: "Trainium",
}
_READABLE = {1, 3, 11, 13}

# DLDataTypeCode of the types that NumPy lacks.
_NARROW = {
    4: "bfloat16",
    7: "float8_e3m4",
    8: "float8_e4m3",
    9: "float8_e4m3b11fnuz",
    10: "float8_e4m3fn",
    11: "float8_e4m3fnuz",
    12: "float8_e5m2",
    13: "float8_e5m2fnuz",
    14: "float8_e8m0fnu",
}
_UNSIGNED = 1


class _Tensor(ctypes.Structure):
    """DLTensor, with which a capsule named "dltensor" begins."""

    _fields_: ClassVar[tuple[tuple[str, type[ctypes.c_void_p | ctypes._SimpleCData[int]]], ...]] = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
    )
    data: int | None
    device_type: int
    device_id: int
    ndim: int
    code: int
    bits: int
    lanes: int


_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype = ctypes.c_void_p
_pointer.argtypes = (ctypes.py_object, ctypes.c_char_p)


class _Exported:
    """An exporter of one capsule."""

    def __init__(self, capsule: Any, device: tuple[int, int]) -> None:
        self.capsule, self.device = capsule, device

    def __dlpack__(self, **_: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device


def _narrow(x: Any, device: tuple[int, int]) -> tuple[NDArray[Any], str] | None:
    """The codes of an array of a type that NumPy lacks, and its format's name."""
    capsule = x.__dlpack__()
    tensor = _Tensor.from_address(_pointer(capsule, b"dltensor"))
    name = _NARROW.get(tensor.code)
    if name is None or tensor.bits not in (8, 16) or tensor.lanes != 1:
        return None
    tensor.code = _UNSIGNED  # the description is the capsule's own: x keeps its type
    return np.from_dlpack(_Exported(capsule, device)), name


def from_dlpack(x: Any, name: str) -> NDArray[Any]:
    """
    An array of another library as NumPy's.

    Parameters
    ----------
    x : object
        With ``__dlpack__`` and ``__dlpack_device__``.
    name : str
        The argument that it is, for errors.

    Returns
    -------
    ndarray
        On the memory of `x`; bfloat16 and float8, which NumPy lacks, widened to float32.

    Raises
    ------
    TypeError
        If `x` is not in the memory of the CPU, or its library does not export it.
    """
    from pysr._core.rounding import decode

    kind = f"{type(x).__module__}.{type(x).__qualname__}"
    try:
        device, number = (int(part) for part in x.__dlpack_device__())
    except Exception as error:
        raise TypeError(f"{name}: {kind} names no device for DLPack: {error}") from error
    if device not in _READABLE:
        where = _DEVICES.get(device, f"DLPack type {device}")
        raise TypeError(
            f"{name} is on the device {where}:{number}, and must be in the memory of the CPU: "
            "copy it there first"
        )
    try:
        try:
            return np.from_dlpack(x)
        except (BufferError, RuntimeError, TypeError):
            narrow = _narrow(x, (device, number))
            if narrow is None:
                raise
    except Exception as error:
        raise TypeError(f"{name}: {kind} cannot be had by DLPack: {error}") from error
    codes, fmt = narrow
    return np.asarray(decode(codes, fmt, dtype=np.float32))
