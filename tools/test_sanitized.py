"""The threaded Python path under ASan and UBSan, then under TSan, each on a build of its own."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHOSEN = "threads or layout or place or refused or broadcast or raw or many or shared"
SANITIZERS = {
    # Python itself frees less than it takes.
    "address,undefined": ("libasan.so", {"ASAN_OPTIONS": "detect_leaks=0"}),
    "thread": ("libtsan.so", {"TSAN_OPTIONS": "halt_on_error=1 exitcode=66"}),
}


def main() -> None:
    """Build, preload the sanitizer's library, run the tests that split arrays."""
    compiler = os.environ.get("CC", "cc")
    for sanitizer, (library, options) in SANITIZERS.items():
        name = subprocess.run(
            [compiler, f"-print-file-name={library}"], check=True, capture_output=True, text=True
        ).stdout.strip()
        if not Path(name).is_absolute():
            sys.exit(f"missing: {library} of {compiler}; on Debian it comes with gcc")
        with tempfile.TemporaryDirectory() as directory:
            place = Path(directory)
            shutil.copytree(ROOT / "tests", place / "tests")
            shutil.copy(ROOT / "pyproject.toml", place)
            sources = place / "sources"
            names = ("srcore", "pysr", "setup.py", "pyproject.toml", "README.md", "LICENSE")
            for part in names:
                if (ROOT / part).is_dir():
                    ignored = shutil.ignore_patterns(
                        "*.so", "*.c" if part == "pysr" else "", "build"
                    )
                    shutil.copytree(ROOT / part, sources / part, ignore=ignored)
                else:
                    shutil.copy(ROOT / part, sources)
            flags = f"-fsanitize={sanitizer} -fno-sanitize-recover=all -g -O1"
            build = os.environ | {"CFLAGS": flags, "LDFLAGS": f"-fsanitize={sanitizer}"}
            pip = [sys.executable, "-m", "pip", "install", "-qq", "--no-build-isolation"]
            subprocess.run(
                [*pip, "--no-deps", "--target", place / "installed", sources], check=True, env=build
            )
            print(f"under {sanitizer}:", flush=True)
            command = [sys.executable, "-m", "pytest", "-q", "-k", CHOSEN, "tests/test_paths.py"]
            environment = os.environ | options | {"PYTHONPATH": str(place / "installed")}
            environment["LD_PRELOAD"] = name
            subprocess.run(command, check=True, cwd=place, env=environment)


if __name__ == "__main__":
    main()
