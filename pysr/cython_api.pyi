# For Cython: see cython_api.pxd.
from typing_extensions import CapsuleType

__pyx_capi__: dict[str, CapsuleType]
