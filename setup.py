"""Builds the C library once, as a static library, and the extensions in pysr/_core on it."""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_clib import build_clib
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

HEADERS = sorted(
    str(path)
    for folder in ("srcore/include/srcore", "srcore/src", "pysr/_core")
    for path in Path(folder).glob("*.h")
)
SOURCES = sorted(str(path) for path in Path("srcore/src").glob("*.c"))
VERSION = re.search(
    r'SR_VERSION "([^"]+)"', Path("srcore/include/srcore/srcore.h").read_text()
).group(1)

# A compiler that contracts a*b + c into one operation changes results.
C_FLAGS = {
    "msvc": ["/std:c11", "/O2", "/fp:precise"],
    "unix": ["-std=c11", "-O3", "-ffp-contract=off"],
}


def flags(compiler):
    return C_FLAGS.get(compiler.compiler_type, C_FLAGS["unix"])


# Files that are compiled at a time: kernels take a gigabyte each.
AT_ONCE = min(os.cpu_count() or 1, 4)


class BuildLibrary(build_clib):
    def build_libraries(self, libraries):
        for _, info in libraries:
            info["cflags"] = flags(self.compiler)
        one = self.compiler.compile

        def several(sources, *arguments, **keywords):
            with ThreadPoolExecutor(AT_ONCE) as pool:
                jobs = [pool.submit(one, [source], *arguments, **keywords) for source in sources]
                return [name for job in jobs for name in job.result()]

        self.compiler.compile = several
        super().build_libraries(libraries)


class BuildPackage(build_py):
    """Puts the C library's headers beside the package, where `pysr.get_include` finds them."""

    def run(self):
        super().run()
        if not self.editable_mode:
            headers = Path(self.build_lib, "pysr", "include", "srcore")
            headers.mkdir(parents=True, exist_ok=True)
            for header in Path("srcore/include/srcore").glob("*.h"):
                self.copy_file(str(header), str(headers / header.name))


class BuildExtensions(build_ext):
    def finalize_options(self):
        super().finalize_options()
        self.parallel = self.parallel or AT_ONCE

    def build_extensions(self):
        for extension in self.extensions:
            extension.extra_compile_args = flags(self.compiler)
        super().build_extensions()


setup(
    version=VERSION,
    libraries=[
        (
            "srcore",
            {
                "sources": SOURCES,
                "include_dirs": ["srcore/include"],
                "obj_deps": {"": HEADERS, **dict.fromkeys(SOURCES, HEADERS)},
            },
        )
    ],
    ext_modules=cythonize(
        [
            Extension(
                ".".join(path.with_suffix("").parts),
                [str(path)],
                include_dirs=["srcore/include", np.get_include()],
                define_macros=[
                    ("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"),
                    ("NPY_TARGET_VERSION", "NPY_2_0_API_VERSION"),
                ],
                depends=HEADERS + SOURCES,
            )
            for path in sorted(Path("pysr").rglob("*.pyx"))
        ],
        # Cython itself does not notice other directives.
        force=any(
            path.stat().st_mtime < Path("setup.py").stat().st_mtime
            for path in Path("pysr").rglob("*.c")
        ),
        compiler_directives={
            "language_level": 3,
            # No __test__ and no pickling but by __reduce__: modules have the names in their stubs.
            "autotestdict": False,
            "auto_pickle": False,
            "embedsignature": True,
            "embedsignature.format": "python",
            "freethreading_compatible": True,
        },
    ),
    cmdclass={
        "build_clib": BuildLibrary,
        "build_ext": BuildExtensions,
        "build_py": BuildPackage,
    },
)
