"""A package of somebody else's, compiled against pysr."""

from pathlib import Path

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup

import pysr

headers = [pysr.get_include(), np.get_include()]
extension = Extension("descend", ["descend.pyx"], include_dirs=headers)
# Cython finds pysr's .pxd files by itself, but for an editable package.
where_pysr_is = str(Path(pysr.__file__).parents[1])
setup(
    name="descend",
    ext_modules=cythonize([extension], language_level=3, include_path=[where_pysr_is]),
)
