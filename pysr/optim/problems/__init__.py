"""Functions to minimize: with gradients, constants and minimizers where they are known.

A `Problem` is a function of n real numbers and its gradient. Both take any number of points at
once, which lie along the last axis of an array, and evaluate them in float64, or, given a
`pysr.Arithmetic`, with every operation rounded.

>>> from pysr.optim import problems
>>> himmelblau = problems.himmelblau()
>>> himmelblau.gradient([[0.0, 0.0], [4.0, 4.0]])
array([[-14., -22.],
       [170., 226.]])
>>> himmelblau.gradient([4.0, 4.0], pysr.Arithmetic("Q7.8", "rne"))
array([127.99609375, 127.99609375])
"""

from pysr.optim.problems._analytic import (
    Quadratic,
    himmelblau,
    pl_nonconvex,
    random_basis,
    rosenbrock,
)
from pysr.optim.problems._data import (
    Network,
    logistic_regression,
    network,
    softmax_regression,
)
from pysr.optim.problems._problem import Problem, check_gradient

__all__ = [
    "Network",
    "Problem",
    "Quadratic",
    "check_gradient",
    "himmelblau",
    "logistic_regression",
    "network",
    "pl_nonconvex",
    "random_basis",
    "rosenbrock",
    "softmax_regression",
]
