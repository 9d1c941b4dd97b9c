"""How many threads a large call is split over, and the threads."""

import os

from libc.stddef cimport size_t
from libc.stdint cimport uint64_t

from pysr._core.srcore cimport sr_status

cdef extern from "pool.h" nogil:
    const int POOL_MOST
    int pool_prepare()
    void pool_after_fork()
    sr_status pool_run(int, size_t, pool_piece, const void *, uint64_t *)


cdef int chosen() except -1:
    text = os.environ.get("PYSR_NUM_THREADS", "")
    if text:
        try:
            count = int(text)
        except ValueError:
            count = 0
        if count < 1:
            raise ValueError(f"PYSR_NUM_THREADS={text!r} is not a positive integer")
    elif hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    return min(count, POOL_MOST)


MOST_THREADS = POOL_MOST
default_threads = chosen()


def threads():
    """How many threads a large call uses, if it does not say: PYSR_NUM_THREADS, else the processors it may run on."""
    return default_threads


cdef sr_status run_pieces(int threads, size_t pieces, pool_piece run, const void *job,
                          uint64_t *index) noexcept nogil:
    return pool_run(threads, pieces, run, job, index)


def _after_fork():
    pool_after_fork()


if not pool_prepare():
    raise MemoryError
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
