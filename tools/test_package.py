"""sdist, wheel from it, a new environment with the wheel, tests where there are no sources."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]

# What an installed package must still pass, without sources: it can be imported, finds its files
# and its library, and rounds. Numerics that are the same either way are tested in the tree.
TESTS = [
    "test_arrays.py",
    "test_cast.py",
    "test_cli.py",
    "test_codes.py",
    "test_cython_api.py",
    "test_definition.py",
    "test_distribution.py",
    "test_doctest.py",
    "test_environment.py",
    "test_errors.py",
    "test_grid.py",
    "test_interop.py",
    "test_keystream.py",
    "test_paths.py",
    "test_philox.py",
    "test_tall.py",
]


def run(*command: object, cwd: Path) -> None:
    """Run a command, away from this tree's own modules; stop on failure."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run([str(part) for part in command], cwd=cwd, check=True, env=environment)


def main() -> None:
    """Build, install, test."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", scratch / "dist"]
        run(*build, "--sdist", ROOT, cwd=scratch)
        (sdist,) = (scratch / "dist").glob("*.tar.gz")
        shutil.unpack_archive(sdist, scratch / "unpacked")
        (sources,) = (scratch / "unpacked").iterdir()
        run(*build, "--wheel", sources, cwd=scratch)
        (wheel,) = (scratch / "dist").glob("*.whl")

        venv.create(scratch / "venv", with_pip=True)
        python = scratch / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        # Clusters are tested where they could be installed.
        package = f"{wheel}[distributed]" if importlib.util.find_spec("distributed") else wheel
        tools = [
            "pytest",
            "pytest-xdist",
            "ml_dtypes",
            "dask[array]",
            "mpmath",
            "Cython",
            "setuptools",
        ]
        run(*pip, package, *tools, cwd=scratch)
        for part in ("tests", "srcore/tests"):
            shutil.copytree(sources / part, scratch / "elsewhere" / part)
        elsewhere = scratch / "elsewhere"
        shutil.copy(sources / "pyproject.toml", elsewhere)
        shutil.rmtree(sources)
        check = f"import pysr; assert {name!r} in pysr.__file__, pysr.__file__"
        run(python, "-c", check, cwd=elsewhere)
        run(python, "-m", "pysr", "info", cwd=elsewhere)
        run(
            python,
            "-m",
            "pytest",
            "-q",
            "-n",
            "auto",
            *(f"tests/{test}" for test in TESTS),
            cwd=elsewhere,
        )


if __name__ == "__main__":
    main()
