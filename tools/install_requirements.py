"""Installs what pyproject.toml lists: install_requirements.py [EXTRA].

Without EXTRA: what building, testing, linting and the labs need; the tests pass over what the extra
`distributed` lacks. The extra `bench` is by itself, since nothing but `make bench` and `make asv`
needs it. Of these two extras one of the packages may be missing.
"""

import importlib.metadata
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
SEPARATE = {"bench", "distributed"}


def pip(*arguments: str) -> int:
    """Install, and return the status."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return subprocess.call([*command, *arguments])


def requirements() -> list[str]:
    """Build requirements, dependencies and most extras, without the project itself."""
    wanted = [*PROJECT["build-system"]["requires"], *PROJECT["project"]["dependencies"]]
    for name in sorted(EXTRAS.keys() - SEPARATE):
        wanted += [package for package in EXTRAS[name] if not re.match(r"srcore\b", package)]
    return wanted


def install_separate(extra: str) -> None:
    """Install the packages one by one, changing no other, and name those that cannot be had."""
    with tempfile.TemporaryDirectory() as name:
        present = Path(name) / "present.txt"
        here = {dist.name: dist.version for dist in importlib.metadata.distributions()}
        pins = [f"{package}=={version}" for package, version in here.items() if package != "srcore"]
        present.write_text("\n".join(sorted(pins)) + "\n")
        for package in EXTRAS[extra]:
            print(f"{extra}: installing {package}", flush=True)
            if pip("--constraint", str(present), package):
                print(f"{extra}: {package} cannot be installed here; left out", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        status = pip(*requirements())
        install_separate("distributed")
        sys.exit(status)
    if sys.argv[1] not in SEPARATE:
        sys.exit(f"{sys.argv[1]!r} is not one of {sorted(SEPARATE)}")
    install_separate(sys.argv[1])
