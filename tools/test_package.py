"""sdist, wheel from it, a new environment with the wheel, tests where there are no sources."""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]

# What an installed package must still pass; needs no sources of the library.
TESTS = [
    "test_cli.py",
    "test_definition.py",
    "test_distribution.py",
    "test_environment.py",
    "test_peer_bugs.py",
    "test_arrays.py",
    "test_codes.py",
    "test_errors.py",
    "test_grid.py",
    "test_keystream.py",
    "test_doctest.py",
    "test_paths.py",
    "test_cython_api.py",
    "test_arithmetic.py",
    "test_cast.py",
    "test_interop.py",
    "test_lift.py",
    "test_linalg.py",
    "test_philox.py",
    "test_reductions.py",
    "test_refine.py",
    "test_rounded_array.py",
    "test_significance.py",
    "test_theory.py",
    "test_ufuncs.py",
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
        run(*pip, wheel, "pytest", "pytest-xdist", "ml_dtypes", "Cython", "setuptools", cwd=scratch)
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
