"""Deep matrix factorization by gradient descent, its weights in low precision."""

from pysr.optim._factorization._deep_matrix_factorization import deep_matrix_factorization
from pysr.optim._factorization._result import FactorizationResult

__all__ = ["FactorizationResult", "deep_matrix_factorization"]
