"""Gradient descent in low precision."""

from pysr.optim import _factorization_theory as bounds
from pysr.optim._factorization import FactorizationResult, deep_matrix_factorization

__all__ = ["FactorizationResult", "bounds", "deep_matrix_factorization"]
