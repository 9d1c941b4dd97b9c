"""Random bits of calls that take long."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TypeVar

from pysr._core.philox import Philox

T = TypeVar("T")


@contextlib.contextmanager
def drawing(stream: Philox, draw: Callable[[], T]) -> Iterator[T]:
    """Draw from a stream; if the block fails give back, unless another call has drawn since."""
    with stream.lock:
        before = stream.state
        drawn = draw()
        after = stream.state
    try:
        yield drawn
    except BaseException:
        with stream.lock:
            if stream.state == after:
                stream.state = before
        raise


@contextlib.contextmanager
def restoring(stream: Philox) -> Iterator[None]:
    """Put a stream, which no other call draws from, back where it is if the block fails."""
    before = stream.state
    try:
        yield
    except BaseException:
        stream.state = before
        raise
