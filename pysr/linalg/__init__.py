"""Matrix factorizations in which every operation is rounded.

Each addition, multiplication, division and root of an algorithm is rounded once, by a
`pysr.Arithmetic`: a computer is emulated that has nothing but the format. That is another thing
than to round a matrix, factorize it in double and round the factors. What each function calls, in
which order, is fixed: docs/linalg.md. A call that raises draws and counts nothing.

>>> a = np.vander(np.linspace(-1, 1, 300), 10)
>>> for method in ("householder", "mgs", "cgs"):
...     Q, R = pysr.linalg.qr(a, pysr.Arithmetic("float16", "rne"), method=method)
...     print(method, round(float(np.linalg.norm(Q.T @ Q - np.eye(10), 2)), 3))
householder 0.005
mgs 0.147
cgs 1.958
"""

from pysr.linalg import theory
from pysr.linalg._jacobi import EighResult, SVDResult, eigh, svd
from pysr.linalg._qr import QRResult, lstsq, qr
from pysr.linalg._refine import Factors, Refinement, refine
from pysr.linalg._triangular import LUResult, cholesky, lu, solve, solve_triangular

__all__ = [
    "EighResult",
    "Factors",
    "LUResult",
    "QRResult",
    "Refinement",
    "SVDResult",
    "cholesky",
    "eigh",
    "lstsq",
    "lu",
    "qr",
    "refine",
    "solve",
    "solve_triangular",
    "svd",
    "theory",
]
