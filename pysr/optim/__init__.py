"""Descent in low precision: gradient descent and deep matrix factorization with rounded results.

`gradient_descent` minimizes a function of one's own, or one of `problems`, with gradient, product
and update rounded, each in its own way; `deep_matrix_factorization` trains products of matrices
whose entries are rounded. `bounds` is what theory says of both. docs/descent.md and
docs/factorization.md explain them.
"""

from pysr.optim import bounds, problems
from pysr.optim._arguments import Diminishing
from pysr.optim._descent import gradient_descent
from pysr.optim._factorization import FactorizationResult, deep_matrix_factorization
from pysr.optim._result import DescentResult

__all__ = [
    "DescentResult",
    "Diminishing",
    "FactorizationResult",
    "bounds",
    "deep_matrix_factorization",
    "gradient_descent",
    "problems",
]
