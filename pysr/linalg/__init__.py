"""Matrix factorizations in which every operation is rounded, or of a rounded matrix, accurately.

Two things must not be confused. `tsqr`, `svdvals` and `smallest_singular_value` round a tall and
thin matrix, if wanted, while they read it, and factorize it *in binary64*: docs/tall.md. All others
factorize *in rounded arithmetic*: each addition, multiplication, division and root of an algorithm
is rounded once, by a `pysr.Arithmetic`; a computer is emulated that has nothing but the format.
What each function calls, in which order, is fixed: docs/linalg.md. A call that raises draws and
counts nothing.

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
from pysr.linalg._tall import smallest_singular_value, svdvals, tsqr
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
    "smallest_singular_value",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
    "theory",
    "tsqr",
]
