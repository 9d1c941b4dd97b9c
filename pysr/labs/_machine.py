"""On what a lab was run."""

from __future__ import annotations

import contextlib
import os
import platform
import re
from pathlib import Path

import numpy as np

from pysr import config


def machine() -> dict[str, str]:
    """Describe the machine.

    Returns
    -------
    dict of str to str
        CPU, cores, path (the instruction set in use), system.

    Examples
    --------
    >>> list(machine())
    ['CPU', 'cores', 'path', 'system']
    """
    return {
        "CPU": _cpu(),
        "cores": str(os.cpu_count() or "unknown"),
        "path": str(config()["path"]),
        "system": platform.platform(),
    }


def versions() -> dict[str, str]:
    """Name the versions that a result may depend on.

    Returns
    -------
    dict of str to str
        pysr, NumPy, SciPy, Python, BLAS.

    Examples
    --------
    >>> list(versions())
    ['pysr', 'NumPy', 'SciPy', 'Python', 'BLAS']
    """
    facts = config()
    return {
        "pysr": str(facts["version"]),
        "NumPy": str(facts["numpy"]),
        "SciPy": str(facts["scipy"]),
        "Python": str(facts["python"]),
        "BLAS": _blas(),
    }


def _cpu() -> str:
    with contextlib.suppress(OSError):
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        found = re.search(r"^model name\s*:\s*(.+)$", text, re.M)
        if found:
            return found[1].strip()
    return platform.processor() or platform.machine()


def _blas() -> str:
    parts: dict[str, dict[str, dict[str, str]]] = np.show_config(mode="dicts")  # type: ignore[assignment]
    blas = parts.get("Build Dependencies", {}).get("blas", {})
    return f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()
