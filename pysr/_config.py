"""What is installed, for reports and bug reports."""

import importlib.metadata
import platform
from pathlib import Path
from typing import Any

from pysr._core.build import compiler, version
from pysr._core.paths import path, paths
from pysr._core.threads import threads

# Optional packages and what they are for.
EXTRAS = {
    "matplotlib": "figures of the labs",
    "scikit-learn": "real data sets of the labs",
    "ml_dtypes": "arrays of bfloat16, float8, ...",
    "dask": "arrays in pieces",
    "distributed": "clusters that compute them",
}


def installed(distribution: str) -> str | None:
    """The version of an installed distribution, or None.

    Parameters
    ----------
    distribution : str
        Its name.

    Returns
    -------
    str or None
    """
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def config() -> dict[str, Any]:
    """
    Versions, instruction set and compiler.

    Returns
    -------
    dict
        ``version``; ``path``, the instruction set in use (the environment variable ``SRCORE_PATH``
        chooses another), and ``paths``, those that this build and machine have; ``compiler``;
        ``threads``, how many a large call uses by default (``PYSR_NUM_THREADS``, else the
        processors this process may run on); ``python``,
        ``numpy``, ``scipy``, ``machine``; ``extras``, a dict of optional packages to their
        versions, None where missing.

    Examples
    --------
    >>> pysr.config()["path"] in pysr.config()["paths"]
    True
    """
    return {
        "version": version(),
        "path": path(),
        "paths": paths(),
        "compiler": compiler(),
        "threads": threads(),
        "python": platform.python_version(),
        "numpy": installed("numpy"),
        "scipy": installed("scipy"),
        "machine": f"{platform.system()} {platform.machine()}",
        "extras": {name: installed(name) for name in EXTRAS},
    }


def get_include() -> str:
    """
    Where the C library's headers are, for compiling against `pysr.cython_api` or against them.

    Returns
    -------
    str
        A directory that holds ``srcore/srcore.h``: the installed package's, or the source tree's
        where the package is an editable one.

    Examples
    --------
    >>> import os
    >>> sorted(os.listdir(os.path.join(pysr.get_include(), "srcore")))
    ['bits.h', 'exact.h', 'grid.h', 'philox.h', 'scalar.h', 'srcore.h']
    """
    package = Path(__file__).parent
    installed_headers = package / "include"
    if installed_headers.is_dir():
        return str(installed_headers)
    return str(package.parent / "srcore" / "include")
