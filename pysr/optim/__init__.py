"""Descent in low precision: gradient descent and deep matrix factorization with rounded results.

`gradient_descent` minimizes a function of one's own, or one of `problems`, with gradient, product
and update rounded, each in its own way; `bounds` is what theory says of that. docs/descent.md
explains both.
"""

from pysr.optim import bounds, problems
from pysr.optim._arguments import Diminishing
from pysr.optim._descent import gradient_descent
from pysr.optim._result import DescentResult

__all__ = ["DescentResult", "Diminishing", "bounds", "gradient_descent", "problems"]
