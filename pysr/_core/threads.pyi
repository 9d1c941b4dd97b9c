from typing_extensions import CapsuleType

__pyx_capi__: dict[str, CapsuleType]

MOST_THREADS: int

def threads() -> int: ...
