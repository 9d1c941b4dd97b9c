"""Matrix factorizations in which every operation is rounded.

Each addition, multiplication, division and root of an algorithm is rounded once, by a
`pysr.Arithmetic`: a computer is emulated that has nothing but the format. That is another thing
than to round a matrix, factorize it in double and round the factors. What each function calls, in
which order, is fixed: docs/linalg.md. A call that raises draws and counts nothing.

>>> a = np.random.default_rng(1).standard_normal((200, 20))
>>> def lost(method):
...     arithmetic = pysr.Arithmetic("float16", "sr", rng=1)
...     Q, R = pysr.linalg.qr(a, arithmetic, method=method)
...     return float(np.linalg.norm(Q.T @ Q - np.eye(20), 2))
>>> lost("householder") < 20 * 2.0**-11
True
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
