"""What a descent returns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult

DONE, GRADIENT, TARGET, STAGNATED, STOPPED = 0, 1, 2, 3, 4
NOT_FINITE, DIVERGED, OVERFLOW = -1, -2, -3

MESSAGES = {
    DONE: "all steps were taken",
    GRADIENT: "the gradient is as small as gtol asks",
    TARGET: "the value has reached target",
    STAGNATED: "no coordinate has moved for as many steps as patience allows",
    STOPPED: "the callback stopped it",
    NOT_FINITE: "the gradient was not finite",
    DIVERGED: "the iterate was not finite",
    OVERFLOW: "a result was beyond what the format takes",
}


class DescentResult(OptimizeResult):  # type: ignore[misc]
    """
    The result of `gradient_descent`: a `scipy.optimize.OptimizeResult`.

    With runs on a leading axis, of length R, what is said of a run has that axis too: "(R,)" below
    is one number, "(R, n)" one vector, without it.

    Attributes
    ----------
    x : ndarray, shape (R, n)
        The last iterates; of a run that diverged the last that was finite.
    fun : ndarray or float, shape (R,)
        Their values; None where no value is known.
    jac : ndarray, shape (R, n)
        Their gradients, not rounded.
    nit : ndarray or int, shape (R,)
        Steps that were taken.
    status : ndarray or int, shape (R,)
        0 all steps were taken, 1 `gtol` and 2 `target` reached, 3 stagnated, 4 stopped by the
        callback; -1 the gradient was not finite, -2 the iterate was not finite, -3 a result was
        beyond the range under the overflow rule "raise", or infinite under "wrap".
    success : ndarray or bool, shape (R,)
        Whether `gtol` or `target` was reached; without either, whether all steps were taken.
    message : str
        What happened, and where first.
    history : dict of ndarray
        "step", shape (H,), and what `record` names: "value", "gradient_norm", "stagnated",
        "moved", "overflow", of shape (H, R), and "x" and "gradient", of shape (H, R, n).
    counts : dict of ndarray or int, shape (R,)
        Over all steps and coordinates: "gradient", "momentum", "product" and "update" say how
        many finite results of that rounding were beyond the range of its format; "stagnated" how
        many coordinates with a gradient stayed where they were; "moved" how many did not.
    saturated, wrapped : dict of ndarray or int
        The first four of `counts`, where the overflow rule is to saturate, and to wrap.
    seed, stream, block : int
        Where random bits came from: run r used block `block` of stream `stream` + r, and the
        following ones.
    blocks : int
        How many of them a step of a run has used.

    Examples
    --------
    >>> from pysr.optim import gradient_descent, problems
    >>> result = gradient_descent(problems.himmelblau(), step=2**-10, steps=400, rng=1, fmt="Q7.8")
    >>> result.x, result.fun, result.message
    (array([3., 2.]), 0.0, 'all steps were taken')
    """

    x: NDArray[Any]
    fun: Any
    jac: NDArray[Any]
    nit: Any
    status: Any
    success: Any
    message: str
    history: dict[str, NDArray[Any]]
    counts: dict[str, Any]
    saturated: dict[str, Any]
    wrapped: dict[str, Any]
    seed: int
    stream: int
    block: int
    blocks: int


def worth(status: NDArray[np.int64], asked: bool) -> Any:
    """Which runs ended as they should."""
    return (status == GRADIENT) | (status == TARGET) | ((status == DONE) & (not asked))
