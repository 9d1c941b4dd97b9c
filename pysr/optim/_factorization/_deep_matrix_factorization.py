"""The call of deep matrix factorization: its arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import ArrayLike, DTypeLike
from scipy.optimize import OptimizeResult

from pysr._core.formats import Format
from pysr._core.rounding import Rng
from pysr.arithmetic import Arithmetic
from pysr.optim._factorization._arguments import counted
from pysr.optim._factorization._plan import Plan
from pysr.optim._factorization._problem import problem_of
from pysr.optim._factorization._result import FactorizationResult
from pysr.optim._factorization._steps import Descent, Weights


def deep_matrix_factorization(
    target: ArrayLike,
    depth: int | None = None,
    *,
    step: float,
    steps: int = 1000,
    measurements: ArrayLike | None = None,
    truth: ArrayLike | None = None,
    start: str | Sequence[ArrayLike] = "identical",
    alpha: float = 0.1,
    beta: float = 0.0,
    rank: int | None = None,
    method: str = "matrix",
    fmt: str | DTypeLike | Format | None = None,
    mode: str = "sr",
    eps: float = 0.0,
    random_bits: int | str = "exact",
    variant: str = "a",
    overflow: str | None = None,
    arithmetic: Arithmetic | None = None,
    runs: int | None = None,
    rng: Rng = None,
    stop: int | tuple[int, str] | None = None,
    record: Sequence[str] | None = None,
    every: int = 1,
    callback: Callable[[OptimizeResult], Any] | None = None,
    progress: bool | Callable[[int, int], None] | None = None,
) -> FactorizationResult:
    """
    Factorize a matrix into N factors by gradient descent with constant step.

    The loss is abs(W_N ... W_1 - What)_F^2 / 2, or in matrix sensing sum_i (<A_i, W_N ... W_1> -
    y_i)^2 / 2. Weights can be rounded to any format after each update, and every operation too.

    Parameters
    ----------
    target : array_like
        What, a matrix; in matrix sensing y, the m measured values; for `method` "scalar" a
        symmetric matrix, or a vector, which stands for the diagonal matrix.
    depth : int, optional
        N, the number of factors. By default as many as `start` has, else 2.
    step : float
        The step, eta. `bounds.recovery_step_limit` has its limit.
    steps : int
        How many steps to make at most.
    measurements : array_like, shape (m, n, k), optional
        A_1, ..., A_m, of matrix sensing.
    truth : array_like, shape (n, k), optional
        In matrix sensing, the matrix that was measured: "error" and "spectrum" in the history are
        measured against it. Descent does not see it.
    start : {"identical", "perturbed", "random", "low-rank"} or sequence of array_like
        What the factors are at first. "identical": alpha I. "perturbed": the same, but the last
        factor W_N is (alpha - beta) I. "random": alpha Z / sqrt(n), of n x n independent normal
        numbers Z. "low-rank": alpha G H^T / sqrt(n k) + beta Z / sqrt(n), with G and H of n x k
        normal numbers, k being `rank`. Or the factors themselves, W_1 first, of any shapes that fit
        together; with runs, each may have a leading axis. These names are for square targets.
    alpha, beta : float
        As above.
    rank : int, optional
        As above.
    method : {"matrix", "scalar"}
        "scalar" uses that, from an "identical" or a "perturbed" start, everything stays in the
        eigenbasis of a symmetric target: with d for an eigenvalue of W_1, ..., W_(N-1), and c for
        that of W_N, c += eta d^(N-1) (lambda - c d^(N-1)), d += eta c d^(N-2) (lambda - c d^(N-1)),
        n numbers a step instead of n^2. In float64 it is the same but for rounding errors; under
        rounding it is *another algorithm*: d and c are rounded in place of the elements of the
        factors, and from an "identical" start there is one d for all factors.
    fmt : str, dtype or Format, optional
        Weights are rounded to it after each update, and to nearest at the start. By default they
        are not rounded: float64.
    mode, eps, random_bits, variant, overflow
        How, as in `pysr.round`; for "sr_signed" the direction is the gradient.
    arithmetic : Arithmetic, optional
        Rounds every product and every sum of gradient and update. By default these are float64, by
        NumPy, whose last bits may differ between machines. `fmt` rounds what comes out of it.
    runs : int, optional
        So many independent runs, on a leading axis. Run r draws from stream s + r, s being the
        stream of `rng` (and of `arithmetic`), from the same block on: it is the run that one gets
        alone from a `pysr.Philox` with that stream.
    rng : None, int, SeedSequence, Generator, BitGenerator or Philox
        Where random bits come from, first those of the start, then those of the rounding of each
        step, for all weights of a run, W_1 first, in one piece.
    stop : int or (int, str), optional
        Stop early, where an "identical" start is predicted (`bounds.recovery_plateau`) to be close
        to the best approximation of this rank: at the "end" of its plateau, which is the default,
        in its "middle", or at its "start".
    record : sequence of str, optional
        What the history has: "loss"; "error", abs(W - What)_F / abs(What)_F; "spectrum", the
        diagonal of W in the eigenbasis of What, largest eigenvalue of What first, or in its
        singular vectors if it is not symmetric; "effective_rank", the nuclear norm over the
        spectral norm; "singular_values"; "product"; "factors". By default the first four, or what
        can be had of them.
    every : int
        Record so many steps apart, and at the first and the last; 0 records nothing.
    callback : callable, optional
        Called with an `OptimizeResult` each time something is recorded: ``nit``, ``factors`` and
        what is recorded. StopIteration ends all runs.
    progress : bool or callable, optional
        True: a bar on stderr. A callable gets the numbers of steps done and of all.

    Returns
    -------
    FactorizationResult
        Descent that diverges is a result too, with the history so far.

    Raises
    ------
    TypeError, ValueError
        If arguments do not go together or are out of range; `stop` where there is no plateau.
    OverflowError
        Under the overflow rule "raise", naming step and run. A call that raises leaves `rng` where
        it was.

    Notes
    -----
    Chou, Gieshoff, Maly and Rauhut, arXiv:2011.13772, analyse this descent in exact arithmetic.

    With P_j = W_j ... W_1 the gradient is made as S_N = P_N - What, then for j = N, ..., 2 first
    S_j P_(j-1)^T, the gradient for W_j, then S_(j-1) = W_j^T S_j, and S_1 is that for W_1. In
    sensing S_N is sum_i (<A_i, P_N> - y_i) A_i. The update is w - eta g. In the scalar method p is
    d^(N-1), by repeated multiplication; the gradients are p (p d - lambda) for an identical start,
    else p (c p - lambda) for c, and (c d^(N-2)) (c p - lambda) for d.

    Examples
    --------
    The spectrum arrives one eigenvalue at a time; in bfloat16 rounding to nearest loses the small
    one:

    >>> from pysr import optim
    >>> generator = np.random.default_rng(1)
    >>> V, _ = np.linalg.qr(generator.standard_normal((6, 6)))
    >>> target = (V * [4, 1, 0, 0, 0, 0]) @ V.T
    >>> for fmt, mode in ((None, "rne"), ("bfloat16", "sr"), ("bfloat16", "rne")):
    ...     result = optim.deep_matrix_factorization(
    ...         target, 3, step=0.01, steps=2000, fmt=fmt, mode=mode, every=500, rng=1)
    ...     print(result.history["effective_rank"].round(2))
    [6.   1.   1.23 1.25 1.25]
    [6.   1.   1.23 1.25 1.25]
    [6. 1. 1. 1. 1.]

    Stopped within the plateau of rank 1:

    >>> result = optim.deep_matrix_factorization(target, 3, step=0.01, stop=(1, "middle"))
    >>> result.nit, float(result.history["effective_rank"][-1].round(3))
    (401, 1.002)
    """
    weights = Weights(fmt, mode, eps, random_bits, variant, overflow)
    if runs is not None:
        runs = counted(runs, "runs", 1)
    problem = problem_of(
        target, depth, measurements, truth, start, alpha, beta, rank, method, runs
    )  # fmt: skip
    plan = Plan(problem, step, steps, stop, record, every, callback, progress)
    return Descent(plan, weights, arithmetic, runs, rng).run()
