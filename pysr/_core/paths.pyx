"""The instruction set that calls run on: the fastest that there is, or what SRCORE_PATH says."""

import os

from pysr._core.srcore cimport SR_OK, SR_PATH_COUNT, sr_kernels_for, sr_path, sr_path_best, sr_path_name, sr_path_named


def paths():
    """The names of the paths that this build has and this machine can run."""
    return [(<bytes> sr_path_name(<sr_path> at)).decode() for at in range(SR_PATH_COUNT)
            if sr_kernels_for(<sr_path> at) is not NULL]


cdef sr_path chosen() except *:
    cdef sr_path path
    name = os.environ.get("SRCORE_PATH", "")
    if not name:
        return sr_path_best()
    if sr_path_named(&path, name.encode("utf-8", "surrogateescape")) != SR_OK or sr_kernels_for(path) is NULL:
        raise ValueError(f"SRCORE_PATH={name!r} is not one of {', '.join(map(repr, paths()))}, "
                         "which this build has and this machine can run")
    return path


cdef sr_path current = chosen()
kernels = sr_kernels_for(current)


def path():
    """The name of the path in use."""
    return (<bytes> sr_path_name(current)).decode()


def set_path(name):
    """For tests: calls from now on run on this path."""
    global current, kernels
    cdef sr_path path
    if sr_path_named(&path, name.encode()) != SR_OK or sr_kernels_for(path) is NULL:
        raise ValueError(f"name={name!r} is not one of {', '.join(map(repr, paths()))}")
    current = path
    kernels = sr_kernels_for(path)
