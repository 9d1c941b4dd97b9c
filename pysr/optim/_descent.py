"""Gradient descent whose results are rounded."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy.optimize import OptimizeResult

from pysr._checkpoint import Checkpoint
from pysr._core.arithmetic import stream_of
from pysr._core.formats import Format
from pysr._core.philox import Philox
from pysr._files import check_progress, reporter
from pysr._streams import drawing, restoring
from pysr.arithmetic import a_thread_count
from pysr.optim import _result as ends
from pysr.optim._arguments import (
    Diminishing,
    Functions,
    Projection,
    Step,
    Values,
    a_count,
    a_number,
    digest,
    onto_grid,
    recorded,
    start_of,
)
from pysr.optim._result import DescentResult
from pysr.optim._roundings import ROLES, roundings_of
from pysr.optim._step import TOTALS, Descent, State
from pysr.optim.problems import Problem

if TYPE_CHECKING:
    from pysr._core.rounding import Rng
    from pysr.arithmetic import Arithmetic


def gradient_descent(
    problem: Problem | Callable[[Values], ArrayLike],
    x0: ArrayLike | None = None,
    step: Step = 0.1,
    steps: int = 1000,
    *,
    value: Callable[[Values], ArrayLike] | None = None,
    fmt: str | DTypeLike | Format | None = None,
    mode: str = "sr",
    eps: float = 0.0,
    overflow: str | None = None,
    random_bits: int | str = "exact",
    variant: str = "a",
    roundings: Mapping[str, Any] | None = None,
    arithmetic: Arithmetic | None = None,
    runs: int | None = None,
    rng: Rng = None,
    momentum: float = 0.0,
    bounds: Iterable[ArrayLike] | None = None,
    projection: Callable[[Values], ArrayLike] | None = None,
    gtol: float | None = None,
    target: float | None = None,
    patience: int | None = None,
    record: str | Iterable[str] = ("value",),
    every: int = 1,
    callback: Callable[[Any], None] | None = None,
    progress: bool | Callable[[int, int], None] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
    threads: int | None = None,
) -> DescentResult:
    """
    Minimize by gradient descent, in which gradient, product and update are rounded.

    A step takes x to update(x - product(t gradient(f'(x)))): what the gradient evaluates to is
    rounded, then the exact product with the step size t, then the exact difference. Each of the
    three has its own format, mode and bias, and its own random bits.

    Parameters
    ----------
    problem : Problem or callable
        What to minimize: one of `pysr.optim.problems`, or its gradient, a function from x to an
        array of its shape. With runs x is (R, n), and the rows have nothing to do with another.
    x0 : array_like, shape (n,) or (R, n), optional
        Where to begin; rows are runs. By default where the problem says. Rounded to nearest in
        the update's format. Of float32, or a narrower type, iterates are float32; of anything else
        float64.
    step : float or callable, optional
        The size of a step, or a function of its number, from 0, as `Diminishing` is.
    steps : int, optional
        How many steps to take.
    value : callable, optional
        From x to f(x), a number, or (R,) with runs. A Problem has its own.
    fmt : str, dtype or Format, optional
        Format of all three results. By default nothing is rounded: float64 throughout.
    mode, eps, overflow, random_bits, variant : optional
        As in `pysr.round`, of all three. But an update in fixed point whose product is rounded to
        no finer grid is exact, and rounded by "rne"; any other, with mode "sr_eps", by "sr_signed"
        steered by the rounded gradient (or the velocity): it leans downhill.
    roundings : mapping, optional
        What is to be rounded otherwise: of "gradient", "product", "update" and "momentum" to
        ``(fmt, mode, eps)``, of which the last ones may be left out, a mapping of the keywords
        above, or None, for not at all.
    arithmetic : Arithmetic, optional
        Evaluates the gradient of a Problem: every operation is rounded. It has a stream of its
        own, for all runs together, which goes on from where a checkpoint says. What it refuses
        under overflow="raise" is an error of the whole call.
    runs : int, optional
        How many runs to make from one x0.
    rng : None, int, SeedSequence, Generator, BitGenerator or Philox, optional
        As in `pysr.round`. Run r draws from stream s + r, where s is the given one's, or 0: alone,
        with ``rng=pysr.Philox(seed, s + r)``, it is the same, bit for bit.
    momentum : float, optional
        beta in [0, 1): the product is that of t and the velocity v, which becomes
        momentum(beta v + gradient(f'(x))), rounded once, first.
    bounds : (array_like, array_like), optional
        Least and greatest values, of the format: what a step leads to is cut off there.
    projection : callable, optional
        In place of bounds, a function that puts x, as the gradient is given it, into a set; what
        it gives is rounded to nearest.
    gtol : float, optional
        A run ends where no coordinate of the gradient, before it is rounded, is larger in
        magnitude.
    target : float, optional
        A run ends where the value is not larger.
    patience : int, optional
        A run ends when no coordinate has moved in so many steps.
    record : str or iterable of str, optional
        What the history keeps: "value", "x", "gradient", "gradient_norm", and totals so far of
        "stagnated", "moved" and "overflow", as in `DescentResult`.
    every : int, optional
        How many steps apart; the last iterate is always kept. 0: keep no history.
    callback : callable, optional
        Is given, after each step, a `scipy.optimize.OptimizeResult` with `nit`, `x` (not to be
        written to), `active` (R,) and `counts`. `StopIteration` ends all runs.
    progress : bool or callable, optional
        True shows a bar on standard error; a callable is told how many steps are done, and of how
        many.
    checkpoint : path, optional
        A file that keeps where the runs are: written every `checkpoint_every` steps, by default
        every ten seconds, when interrupted, and at the end. If it exists, the runs go on from
        there, with more `steps` also after an end, and the result is the same in all bits as
        without interruption. It is replaced whole or not at all.
    checkpoint_every : int, optional
    threads : int, optional
        As in `pysr.round`; for the update.

    Returns
    -------
    DescentResult

    Raises
    ------
    ValueError
        If an argument is out of range, x0 not finite or beyond the range of the format, a shape
        wrong, the carrier too narrow, or the checkpoint that of another run.
    TypeError
        If an argument, or a gradient, has the wrong type.
    OverflowError
        If `arithmetic` refuses a result.

    See Also
    --------
    pysr.optim.bounds : what theory says of these steps.
    scipy.optimize.minimize : in float64, far better methods.

    Notes
    -----
    A gradient that is not finite, iterates that leave the finite numbers, and results beyond the
    range under the rule "raise" end a run with its history so far; `status` and `message` say what
    and where. Results beyond the range under other rules are counted.

    The words of a step, S10 of docs/specification.md: a run of n coordinates draws as calls on n
    elements do, for the gradient, the momentum, the product, the update, one after the other.

    References
    ----------
    L. Xia, M. E. Hochstenbach, S. Massei, On the convergence of the gradient descent method with
    stochastic fixed-point rounding errors under the Polyak-Lojasiewicz inequality,
    arXiv:2301.09511.

    Examples
    --------
    In Q3.8, to nearest, small gradients move nothing; stochastically, they do so on average:

    >>> import numpy as np
    >>> from pysr.optim import gradient_descent
    >>> def gradient(x):
    ...     return x / 64
    >>> gradient_descent(gradient, [1.0], 1.0, 2000, fmt="Q3.8", mode="rne").x
    array([0.125])
    >>> result = gradient_descent(gradient, [1.0], 1.0, 2000, fmt="Q3.8", rng=1, gtol=0.0)
    >>> result.x, result.message
    (array([0.]), 'the gradient is as small as gtol asks')
    """
    common = {
        "fmt": fmt,
        "mode": mode,
        "eps": eps,
        "overflow": overflow,
        "random_bits": random_bits,
        "variant": variant,
    }
    by = roundings_of(common, roundings)
    momentum = a_number(momentum, "momentum", 0.0)
    if momentum >= 1:
        raise ValueError(f"momentum must be below 1, not {momentum!r}")
    if not callable(step):
        step = a_number(step, "step")
    steps = a_count(steps, "steps")
    every = a_count(every, "every")
    gtol = None if gtol is None else a_number(gtol, "gtol")
    target = None if target is None else a_number(target, "target", -np.inf)
    patience = None if patience is None else a_count(patience, "patience", 1)
    if checkpoint_every is not None:
        checkpoint_every = a_count(checkpoint_every, "checkpoint_every", 1)
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be callable, not {callback!r}")
    check_progress(progress)
    threads = a_thread_count(threads)
    known = problem if isinstance(problem, Problem) else None
    x, many = start_of(x0, known.start if known else None, known.size if known else None, runs)
    functions = Functions(problem, value, arithmetic, many)
    if target is not None and not functions.has_value:
        raise ValueError("target needs a value: give value=")
    update = by["update"]
    x = onto_grid(x, None if update is None else update.fmt, "x0")
    for role, rounder in by.items():
        if rounder is not None and not rounder.fmt.fits(x.dtype):
            raise ValueError(f"iterates of {x.dtype} cannot hold the format of the {role}")
    put = Projection(bounds, projection, None if update is None else update.fmt, x, many)
    descent = Descent(
        functions=functions,
        diagonal=None if momentum or arithmetic is not None or put else _diagonal(known, x),
        step=step,
        roundings=by,
        momentum=momentum,
        projection=put,
        gtol=gtol,
        target=target,
        patience=patience,
        record=recorded(record, functions.has_value),
        every=every,
        threads=threads,
        limit=2 / known.lipschitz if known and known.lipschitz else None,
        size=x.shape[1],
    )
    kept = Checkpoint(checkpoint, "a descent", _identity(descent, known, x))
    begun = _begin(descent, x)
    saved = kept.load()
    state = begun if saved is None else _resume(descent, saved, begun, kept, steps)
    stream = _stream_of(rng, saved, kept, descent.blocks)
    if stream.stream + len(x) > 2**48:
        raise ValueError(f"rng: {len(x)} runs from stream {stream.stream} on, of 2**48 streams")
    total = descent.blocks * steps
    if total >= 2**64:
        raise ValueError(f"steps={steps} of {descent.blocks} blocks: a stream has 2**64 of them")
    with contextlib.ExitStack() as stack:
        block = stack.enter_context(drawing(stream, lambda: _claim(stream, total)))
        descent.words = (stream.seed, stream.stream, block)
        if arithmetic is not None:
            stack.enter_context(restoring(arithmetic.stream))
        if saved is not None:
            _evaluate_from(descent, state, kept)
        report = stack.enter_context(reporter(progress, steps, state.k))
        state = _run(descent, state, steps, callback, report, kept, checkpoint_every)
        return _result(descent, state, many)


def _diagonal(problem: Problem | None, x: Values) -> tuple[Values, Values] | None:
    """The spectrum and the minimizer of a quadratic function without mixed terms."""
    found = None if problem is None else problem.diagonal
    if found is None:
        return None
    with np.errstate(all="ignore"):
        spectrum, minimizer = (np.ascontiguousarray(part, x.dtype) for part in found)
    if np.array_equal(spectrum, found[0]) and np.array_equal(minimizer, found[1]):
        return spectrum, minimizer
    return np.ascontiguousarray(found[0]), np.ascontiguousarray(found[1])


def _claim(stream: Philox, blocks: int) -> int:
    block = stream.position
    stream.advance(blocks)
    return block


def _stream_of(rng: Rng, saved: Mapping[str, Any] | None, kept: Checkpoint, blocks: int) -> Philox:
    """Where random bits come from: with a checkpoint, from where it says."""
    source = getattr(rng, "bit_generator", rng)
    if not blocks and isinstance(source, np.random.BitGenerator) and not isinstance(source, Philox):
        rng = 0  # it gives a seed to calls that draw
    if saved is None:
        return stream_of(rng)
    try:
        seed, number, block = json.loads(str(saved["words"]))
        begun = Philox(seed, number).advance(block)
    except (KeyError, TypeError, ValueError) as error:
        raise kept.damaged(error) from None
    if rng is None:
        return begun
    stream = stream_of(rng)
    if (stream.seed, stream.stream, stream.position) != (seed, number, block):
        raise ValueError(f"rng={rng!r} draws other words than the run that the checkpoint is from")
    return stream


def _begin(descent: Descent, x: Values) -> State:
    runs = len(x)
    return State(
        k=0,
        x=x,
        velocity=np.zeros_like(x) if descent.momentum else None,
        status=np.zeros(runs, np.int64),
        active=np.ones(runs, np.bool_),
        nit=np.zeros(runs, np.int64),
        still=np.zeros(runs, np.int64),
        totals=np.zeros((runs, len(TOTALS)), np.uint64),
        evaluation=descent.evaluation(),
    )


def _run(
    descent: Descent,
    state: State,
    steps: int,
    callback: Callable[[Any], None] | None,
    report: Callable[[int], None],
    kept: Checkpoint,
    often: int | None,
) -> State:
    """Take all steps, keeping where the runs are."""
    end = None
    try:
        while state.k < steps and end is None:
            state, gradient = descent.look(state)
            if not state.active.any():
                break
            before, state = state.k, descent.advance(state, gradient)
            if state.k == before:
                break
            report(state.k)
            if state.k % often == 0 if often else kept.due():
                _save(descent, state, kept)
            if callback is not None:
                try:
                    callback(_seen(state, descent.functions.many))
                except StopIteration:
                    end = descent.stopped(state)
        _save(descent, state, kept)
    except BaseException as stop:
        if not isinstance(stop, Exception):  # by a user
            try:
                _save(descent, state, kept)
            except OSError as error:
                stop.add_note(f"what was done is lost: {error}")
        raise
    return state if end is None else end


# ---- checkpoints ----------------------------------------------------------------------------


def _identity(descent: Descent, problem: Problem | None, x: Values) -> dict[str, Any]:
    """All that bits depend on and that can be told apart; functions cannot."""
    step = descent.step
    known = type(step) in (float, Diminishing)
    arithmetic = descent.functions.arithmetic
    return {
        "problem": "a function" if problem is None else [problem.name, problem.lipschitz],
        "diagonal": problem and problem.diagonal and [digest(part) for part in problem.diagonal],
        "x0": digest(x),
        "step": repr(step) if known else "a function",
        **{f"{role} rounding": repr(r) for role, r in descent.used.items()},
        "arithmetic": None if arithmetic is None else f"{arithmetic!r} in {arithmetic.fmt!r}",
        "momentum": descent.momentum,
        "projection": descent.projection.describe(),
        "gtol": descent.gtol,
        "target": descent.target,
        "patience": descent.patience,
        "record": list(descent.record),
        "every": descent.every,
    }


def _save(descent: Descent, state: State, kept: Checkpoint) -> None:
    if kept.path is None:
        return
    fields = {f.name: getattr(state, f.name) for f in dataclasses.fields(state)}
    arrays = {name: value for name, value in fields.items() if value is not None}
    # What a step in progress has recorded will be recorded again.
    done = int(np.searchsorted(descent.history["step"], state.k))
    rows = {name: rows[:done] for name, rows in descent.history.items()}
    history = {f"history_{name}": _column(name, r, state.x) for name, r in rows.items()}
    kept.save(words=np.array(json.dumps(descent.words)), **arrays, **history)


def _resume(
    descent: Descent, saved: Mapping[str, Any], begun: State, kept: Checkpoint, steps: int
) -> State:
    """The state, and the history, of a file."""
    try:
        fields: dict[str, Any] = {}
        for field in dataclasses.fields(State):
            first = getattr(begun, field.name)
            if first is not None:
                like = np.asarray(first)
                found = _like(saved, field.name, like.shape, like.dtype.kind)
                fields[field.name] = found.astype(like.dtype) if like.ndim else found.item()
        state = dataclasses.replace(begun, **fields)
        recorded = range(0, state.k, descent.every) if descent.every else ()
        for name, rows in descent.history.items():
            shape = (len(recorded), *_row(name, state.x))
            rows.extend(_like(saved, f"history_{name}", shape, "iuf"))
        known = np.isin(state.status, list(ends.MESSAGES)).all()
        if state.k < 0 or not known or not np.isfinite(state.x).all():
            raise ValueError("no state of runs")
        if descent.history["step"] != list(recorded):
            raise ValueError("a history of other steps")
    except (KeyError, TypeError, ValueError) as error:
        raise kept.damaged(error) from None
    if state.k > steps:
        raise ValueError(f"steps={steps}, but {kept.path} is of a run after {state.k} steps")
    return state


def _evaluate_from(descent: Descent, state: State, kept: Checkpoint) -> None:
    try:
        descent.evaluate_from(state.evaluation)
    except (KeyError, TypeError, ValueError) as error:
        raise kept.damaged(error) from None


def _like(saved: Mapping[str, Any], name: str, shape: tuple[int, ...], kinds: str) -> NDArray[Any]:
    """An array of a file, if it is as it should be."""
    array: NDArray[Any] = saved[name]
    if array.shape != shape or array.dtype.kind not in kinds:
        raise ValueError(f"{name} is of {array.dtype} and shape {array.shape}, not {shape}")
    return array


# ---- results ---------------------------------------------------------------------------------


def _seen(state: State, many: bool) -> OptimizeResult:
    x = state.x.view()
    x.flags.writeable = False
    one = slice(None) if many else 0
    return OptimizeResult(
        x=x[one],
        nit=state.k,
        active=state.active.copy(),
        counts={name: total[one] for name, total in _totals(state).items()},
    )


def _totals(state: State) -> dict[str, NDArray[np.int64]]:
    return {name: state.totals[:, i].astype(np.int64) for i, name in enumerate(TOTALS)}


def _result(descent: Descent, state: State, many: bool) -> DescentResult:
    """Put together what is returned."""
    functions = descent.functions
    state, gradient = descent.look(state, last=True)
    if descent.gtol is not None and state.active.any():
        state = descent.judge(state, functions.gradient(state.x) if gradient is None else gradient)
    value = functions.value(state.x) if functions.has_value else None
    asked = descent.gtol is not None or descent.target is not None
    totals = _totals(state)
    history = {name: _column(name, rows, state.x) for name, rows in descent.history.items()}
    if not many:
        history = {name: h if name == "step" else h[:, 0] for name, h in history.items()}
    rules = {role: None if r is None else r.overflow for role, r in descent.roundings.items()}
    seed, stream, block = descent.words

    def one(array: NDArray[Any]) -> Any:
        return array if many else array[0].item() if array.ndim == 1 else array[0]

    def beyond(rule: str) -> dict[str, Any]:
        return {role: one(totals[role] * (rules[role] == rule)) for role in ROLES}

    return DescentResult(
        x=one(state.x.copy()),
        fun=None if value is None else one(value),
        jac=one(functions.gradient(state.x, plain=True).copy()),
        nit=one(state.nit),
        status=one(state.status),
        success=one(ends.worth(state.status, asked)),
        message=_message(descent, state),
        history=history,
        counts={name: one(total) for name, total in totals.items()},
        saturated=beyond("saturate"),
        wrapped=beyond("wrap"),
        seed=seed,
        stream=stream,
        block=block,
        blocks=descent.blocks,
    )


def _column(name: str, rows: list[Any], x: Values) -> NDArray[Any]:
    """A history, as an array that has its shape even without a row."""
    dtype = np.int64 if name == "step" else None
    return np.array(rows, dtype).reshape(len(rows), *_row(name, x))


def _row(name: str, x: Values) -> tuple[int, ...]:
    """The shape of what a history keeps of a step."""
    return {"step": (), "x": x.shape, "gradient": x.shape}.get(name, x.shape[:1])


def _message(descent: Descent, state: State) -> str:
    """How the runs ended."""
    kinds, numbers = np.unique(state.status, return_counts=True)
    if len(kinds) == 1:
        text = ends.MESSAGES[int(kinds[0])]
    else:
        parts = zip(kinds.tolist(), numbers.tolist(), strict=True)
        text = "; ".join(f"{n} run{'s' * (n > 1)}: {ends.MESSAGES[s]}" for s, n in parts)
    if state.note:
        return f"{text} ({state.note})"
    return text + descent.beyond(state)
