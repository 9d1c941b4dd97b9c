"""Installs what building, testing, linting and the labs need, as pyproject.toml lists it."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path


def requirements() -> list[str]:
    """Build requirements, dependencies and the extras, without the project itself."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    wanted = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    for extra in project["project"]["optional-dependencies"].values():
        wanted += [name for name in extra if not re.match(r"srcore\b", name)]
    return wanted


if __name__ == "__main__":
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    sys.exit(subprocess.call([*pip, *requirements()]))
