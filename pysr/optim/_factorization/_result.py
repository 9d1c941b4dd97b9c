"""What a deep matrix factorization returns."""

from __future__ import annotations

from scipy.optimize import OptimizeResult


class FactorizationResult(OptimizeResult):  # type: ignore[misc]
    """
    What `deep_matrix_factorization` returns, a SciPy `OptimizeResult`.

    With `runs`, arrays have a leading axis of that length.

    Attributes
    ----------
    factors : list of ndarray
        W_1, ..., W_N as they were at the end: the product is W_N ... W_1.
    product : ndarray
        That product, in float64.
    nit : int, or ndarray of int
        Steps made.
    status : int, or ndarray of int
        As of `DescentResult`. 0: all steps were made; 2: the plateau was reached; 4: the callback
        ended it; -2: weights were no longer finite, so that `factors` are the last that were.
    success : bool, or ndarray of bool
        Whether the weights remained finite. It does not say that anything was recovered.
    message : str, or ndarray of str
        The status in words.
    history : dict of ndarray
        "step" (H,), and what was asked for, with H rows: "loss" (H,), "error" (H,), "spectrum"
        (H, n), ...; with runs (H, R), (H, R, n), ... A run that ended early has NaN from there on.
    target_spectrum : ndarray, or None
        Eigenvalues of a symmetric target (or `truth`), largest first, or singular values of
        another: what "spectrum" tends to. None where the target is not known.
    counts : dict
        Of weights times steps: "moved"; "stagnated", those which rounding put back to where they
        had been; "overflow", those beyond the range of `fmt` before they were rounded. With runs,
        arrays.
    seed, stream : int
        Of the random bits: run r used stream ``stream + r``.
    """
