from typing import Any

from numpy.typing import NDArray

def qr_rows(r: NDArray[Any], a: NDArray[Any]) -> None: ...
