"""Gradient descent: bits against a chain of single calls, ends, counts, checkpoints, bad input."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import pysr
from pysr import _checkpoint
from pysr.optim import DescentResult, Diminishing, gradient_descent, problems
from pysr.optim._roundings import ROLES

Values = NDArray[Any]
Rounding = tuple[Any, str, float] | None
SPECTRUM = np.array([1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.9])
START = np.array([3.0, -2.5, 1.0, 4.0, -5.5, 0.0, 2.25])


def quadratic(x: Values) -> Values:
    return SPECTRUM * x


def value(x: Values) -> Values:
    return np.sum(SPECTRUM * x * x, axis=-1) / 2


def chain(
    gradient: Callable[[Values], Values],
    x: Values,
    step: Callable[[int], float],
    steps: int,
    roles: Mapping[str, Rounding],
    rng: pysr.Philox,
    momentum: float = 0.0,
) -> Values:
    """One run by single calls on one stream: no code of pysr.optim."""
    by = {
        role: None if r is None else pysr.Arithmetic(r[0], r[1], eps=r[2], rng=rng)
        for role, r in roles.items()
    }
    velocity = np.zeros_like(x)
    for k in range(steps):
        g = gradient(x)
        if by["gradient"] is not None:
            g = by["gradient"].round(g)
        g = g.astype(x.dtype)
        if momentum:
            m = by["momentum"]
            velocity = momentum * velocity + g if m is None else m.fma(momentum, velocity, g)
            velocity = g = velocity.astype(x.dtype)
        t = x.dtype.type(step(k))
        p = t * g if by["product"] is None else by["product"].mul(t, g)
        if by["update"] is None:
            x = x - p
        else:
            direction = g if by["update"].mode == "sr_signed" else None
            x = by["update"].sub(x, p, direction=direction)
    return x


def same(a: Values, b: Values) -> None:
    assert a.dtype == b.dtype
    assert_array_equal(a.view(f"u{a.itemsize}"), b.view(f"u{b.itemsize}"))


CASES: list[dict[str, Rounding]] = [
    {"gradient": ("Q3.8", "sr", 0), "product": ("Q3.8", "sr", 0), "update": ("Q3.8", "rne", 0)},
    {
        "gradient": ("Q3.8", "sr_eps", 0.25),
        "product": ("Q3.8", "sr_eps", 0.25),
        "update": ("Q3.8", "rne", 0),
    },
    {
        "gradient": ("Q7.8", "rne", 0),
        "product": ("Q4.12", "sr_eps", 0.1),
        "update": ("Q4.10", "sr", 0),
    },
    {"gradient": None, "product": ("Q3.6", "sr", 0), "update": ("Q3.6", "rne", 0)},
    {
        "gradient": ("bfloat16", "sr", 0),
        "product": ("bfloat16", "sr", 0),
        "update": ("bfloat16", "sr", 0),
    },
    {
        "gradient": ("float16", "sr_eps", 0.25),
        "product": ("float16", "sr_eps", 0.25),
        "update": ("float16", "sr_signed", 0.25),
    },
    {"gradient": ("float8_e5m2", "rne", 0), "product": None, "update": ("tf32", "ro", 0)},
    {"gradient": None, "product": None, "update": ("bfloat16", "sr_equal", 0)},
    {"gradient": None, "product": None, "update": None},
]


@pytest.mark.parametrize("momentum", [0.0, 0.5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("roles", CASES)
def test_bits(roles: dict[str, Rounding], dtype: Any, momentum: float) -> None:
    roles = {**roles, "momentum": roles["product"]}
    x0 = START.astype(dtype)
    got = gradient_descent(
        quadratic, x0, 0.25, 40, roundings=roles, rng=pysr.Philox(5, 3), momentum=momentum
    )
    rng = pysr.Philox(5, 3)
    same(got.x, chain(quadratic, x0, lambda k: 0.25, 40, roles, rng, momentum))
    assert got.blocks * 40 == rng.position
    assert (got.seed, got.stream, got.block) == (5, 3, 0)


def test_defaults_of_roundings() -> None:
    """The update: exact in fixed point, steered by the gradient in floating point."""
    for fmt, mode, update in (
        ("Q3.8", "sr", "rne"),
        ("Q3.8", "sr_eps", "rne"),
        ("bfloat16", "sr_eps", "sr_signed"),
        ("bfloat16", "sr", "sr"),
    ):
        eps = 0.125 if mode == "sr_eps" else 0.0
        plain = gradient_descent(quadratic, START, 0.1, 30, fmt=fmt, mode=mode, eps=eps, rng=4)
        roles: dict[str, Rounding] = dict.fromkeys(("gradient", "product"), (fmt, mode, eps))
        roles["update"] = (fmt, update, eps if update == "sr_signed" else 0.0)
        same(plain.x, chain(quadratic, START, lambda k: 0.1, 30, roles, pysr.Philox(4)))


@pytest.mark.parametrize("product", [None, ("Q3.10", "rne", 0.0), ("bfloat16", "rne", 0.0)])
@pytest.mark.parametrize(
    ("mode", "update"), [("sr", "sr"), ("sr_eps", "sr_signed"), ("rne", "rne")]
)
def test_updates_in_fixed_point_that_are_not_exact(
    product: Rounding, mode: str, update: str
) -> None:
    """A product on a finer grid: the update rounds, in the mode that is asked for."""
    eps = 0.125 if mode == "sr_eps" else 0.0
    roles: dict[str, Rounding] = {"gradient": None, "product": product}
    options: dict[str, Any] = {"fmt": "Q3.8", "mode": mode, "eps": eps}
    got = gradient_descent(quadratic, START, 0.1, 30, roundings=roles, rng=4, **options)
    roles["update"] = ("Q3.8", update, eps if update == "sr_signed" else 0.0)
    same(got.x, chain(quadratic, START, lambda k: 0.1, 30, roles, pysr.Philox(4)))


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_positions_wrap(momentum: float) -> None:
    """Blocks are numbers modulo 2^64."""
    rng, alike = (pysr.Philox(3, 2**48 - 1).advance(2**64 - 5) for _ in range(2))
    got = gradient_descent(quadratic, START, 0.5, 9, fmt="Q3.8", rng=rng, momentum=momentum)
    roles: dict[str, Rounding] = dict.fromkeys(
        ("gradient", "momentum", "product"), ("Q3.8", "sr", 0.0)
    )
    roles["update"] = ("Q3.8", "rne", 0.0)
    same(got.x, chain(quadratic, START, lambda k: 0.5, 9, roles, alike, momentum))
    assert rng.position == alike.position < 2**32
    assert (got.stream, got.block) == (2**48 - 1, 2**64 - 5)


@pytest.mark.parametrize("momentum", [0.0, 0.5])
@pytest.mark.parametrize("options", [{}, {"gtol": 0.01}, {"bounds": (-4.0, 3.0)}])
def test_a_run_alone(options: dict[str, Any], momentum: float) -> None:
    """Run r of many is that of stream s + r."""
    starts = np.stack([START, -START, START / 2])
    common = {"fmt": "Q3.8", "mode": "sr", "step": 0.5, "steps": 60, "momentum": momentum}
    common |= options
    together = gradient_descent(
        quadratic, starts, value=value, rng=pysr.Philox(9, 40), record=("x", "value"), **common
    )
    for r, start in enumerate(starts):
        alone = gradient_descent(
            quadratic, start, value=value, rng=pysr.Philox(9, 40 + r), record="x", **common
        )
        same(together.x[r], alone.x)
        assert together.nit[r] == alone.nit
        assert together.status[r] == alone.status
        assert {key: total[r] for key, total in together.counts.items()} == alone.counts
        length = len(alone.history["x"])
        assert_array_equal(together.history["x"][:length, r], alone.history["x"])
        assert together.fun[r] == value(alone.x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("fmt", ["Q3.8", "bfloat16", None])
@pytest.mark.parametrize("types", [("f", "f"), ("f", "d"), ("d", "f")])
def test_quadratic_functions(types: tuple[str, str], fmt: str | None, dtype: Any) -> None:
    """Evaluated by the kernel, they give the bits that a callable gives."""
    minimizer = np.array([0.1, -0.2, 0.3, 0.0, 1.0, -1.0, 0.7])
    problem = problems.Quadratic(
        *(v.astype(t) for v, t in zip((SPECTRUM - 0.01, minimizer), types, strict=True))
    )
    options: dict[str, Any] = {"fmt": fmt, "runs": 3, "rng": 8, "mode": "sr_eps", "eps": 0.25}
    x0 = START.astype(dtype)
    fused = gradient_descent(problem, x0, 0.25, 50, **options)
    same(fused.x, gradient_descent(problem.gradient, x0, 0.25, 50, **options).x)
    seen = gradient_descent(problem, x0, 0.25, 50, record="gradient", **options)
    same(fused.x, seen.x)
    for name, total in fused.counts.items():
        assert_array_equal(total, seen.counts[name])
    flat = gradient_descent(problem, x0, 0.25, 50, gtol=0.0, **options)
    if fmt is not None and (flat.status == 0).all():
        same(flat.x, fused.x)
    assert fused.x.dtype == dtype


def test_emulated_gradients(tmp_path: Path) -> None:
    """Operation by operation, on a stream of their own, which checkpoints keep."""

    def run(steps: int, **more: Any) -> DescentResult:
        arithmetic = pysr.Arithmetic("bfloat16", "sr", rng=11)
        return gradient_descent(
            problems.himmelblau(),
            step=2.0**-8,
            steps=steps,
            fmt="bfloat16",
            rng=2,
            arithmetic=arithmetic,
            **more,
        )

    whole = run(30)
    same(whole.jac, problems.himmelblau().gradient(whole.x))
    assert whole.fun == problems.himmelblau().value(whole.x)
    assert run(3, value=lambda x: 7.0).fun == 7
    rounded = problems.Quadratic([1.0, 0.3], [0.2, 0.6])
    options: dict[str, Any] = {"step": 0.25, "fmt": "Q3.8", "rng": 3, "steps": 20}
    diagonal, formula = (
        gradient_descent(p, [4.0, 3.0], arithmetic=pysr.Arithmetic("Q3.6", rng=7), **options)
        for p in (rounded, problems.Problem(rounded._gradient, size=2))
    )
    same(diagonal.x, formula.x)
    assert not np.array_equal(diagonal.x, gradient_descent(rounded, [4.0, 3.0], **options).x)
    arithmetic, outer = pysr.Arithmetic("bfloat16", "sr", rng=11), pysr.Philox(2)
    by = {name: pysr.Arithmetic("bfloat16", "sr", rng=outer) for name in ("round", "mul", "sub")}
    x = np.zeros(2)
    for _ in range(30):
        g = by["round"].round(problems.himmelblau().gradient(x, arithmetic))
        x = by["sub"].sub(x, by["mul"].mul(2.0**-8, g))
    same(whole.x, x)
    kept = tmp_path / "kept.npz"
    run(13, checkpoint=kept, record=("gradient", "value"), every=4)
    resumed = run(30, checkpoint=kept, record=("gradient", "value"), every=4)
    compare(resumed, run(30, record=("gradient", "value"), every=4))


@pytest.mark.parametrize(("c", "start", "eps"), [(0.125, 6, 0.0), (0.25, 4, 0.125)])
def test_absorption(c: float, start: int, eps: float) -> None:
    """The mean number of steps to the minimum: sum of 1 / min(j c + eps, 1)."""
    walk = problems.Quadratic([1.0])
    got = gradient_descent(
        walk,
        [start * 2.0**-8],
        c,
        500,
        fmt="Q3.8",
        mode="sr_eps",
        eps=eps,
        roundings={"gradient": None},
        runs=4000,
        rng=3,
        gtol=0.0,
    )
    assert (got.status == 1).all()
    assert (got.x == 0).all()
    expected = [1 / min(j * c + eps, 1) for j in range(1, start + 1)]
    spread = np.sqrt(sum((1 - 1 / t) * t * t for t in expected) / 4000)
    assert abs(got.nit.mean() - sum(expected)) < 5 * spread


def test_a_failed_call_gives_back_the_stream_of_its_arithmetic() -> None:
    arithmetic = pysr.Arithmetic("bfloat16", "sr", rng=pysr.Philox(11).advance(3))

    def callback(state: Any) -> None:
        assert arithmetic.stream.position > 3
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        gradient_descent(
            problems.himmelblau(), step=0.01, steps=5, arithmetic=arithmetic, callback=callback
        )
    assert arithmetic.stream.position == 3


def test_a_step_beyond_the_limit() -> None:
    problem = problems.Quadratic([1.0, 2.0])
    for options in ({}, {"fmt": "Q3.8"}, {"fmt": "bfloat16", "overflow": "saturate"}):
        got = gradient_descent(problem, [1.0, 1.0], 1.5, 2000, rng=1, **options)
        assert "the step 1.5 is not below 2/L = 1" in got.message
        if not options:
            assert got.status < 0
            assert np.isfinite(got.x).all()
            assert len(got.history["step"]) == got.nit + 1
        else:
            assert got.saturated["gradient"] > 0
    for t, said in ((0.5, False), (1.0, True), (lambda k: 1.0 - k / 32, True)):
        assert ("2/L" in gradient_descent(problem, [1.0, 1.0], t, 20).message) is said


def test_steps_and_streams() -> None:
    rng = pysr.Philox(1)
    first = gradient_descent(quadratic, START, 0.5, 10, fmt="Q3.8", rng=rng)
    assert rng.position == 10 * first.blocks
    second = gradient_descent(quadratic, first.x, 0.5, 10, fmt="Q3.8", rng=rng)
    whole = gradient_descent(quadratic, START, 0.5, 20, fmt="Q3.8", rng=1)
    same(second.x, whole.x)
    step = Diminishing(0.5, decay=0.1, power=0.75)
    assert step(7) == 0.5 / (1 + 0.1 * 7) ** 0.75
    roles: dict[str, Rounding] = dict.fromkeys(("gradient", "product"), ("Q3.8", "sr", 0.0))
    roles["update"] = ("Q3.8", "rne", 0.0)
    got = gradient_descent(quadratic, START, step, 20, fmt="Q3.8", rng=1)
    same(got.x, chain(quadratic, START, step, 20, roles, pysr.Philox(1)))


def test_generators_give_a_seed_to_calls_that_draw() -> None:
    rng = np.random.default_rng(5)
    before = rng.bit_generator.state
    for options in ({}, {"fmt": "Q3.8", "mode": "rne"}, {"fmt": "Q3.8", "threads": 0}):
        with contextlib.suppress(ValueError):
            gradient_descent(quadratic, START, 0.5, 10, rng=rng, **options)
        assert rng.bit_generator.state == before
    got = gradient_descent(quadratic, START, 0.5, 10, fmt="Q3.8", rng=rng)
    assert got.seed == np.random.default_rng(5).integers(0, 2**64, dtype=np.uint64)
    stream = pysr.Philox(5, 2).advance(9)
    got = gradient_descent(quadratic, START, 0.5, 10, fmt="Q3.8", rng=np.random.Generator(stream))
    assert (got.seed, got.stream, got.block) == (5, 2, 9)
    assert stream.position == 9 + 10 * got.blocks


def test_two_threads_on_one_stream() -> None:
    """Each call claims its blocks at once: nobody else draws them."""
    rng = pysr.Philox(1)
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(gradient_descent, quadratic, START, 0.5, 40, fmt="Q3.8", rng=rng)
            for _ in range(6)
        ]
        got = [job.result() for job in jobs]
    length = 40 * got[0].blocks
    assert sorted(result.block for result in got) == [i * length for i in range(6)]
    for result in got:
        alone = pysr.Philox(1).advance(result.block)
        same(result.x, gradient_descent(quadratic, START, 0.5, 40, fmt="Q3.8", rng=alone).x)


def test_no_warnings(recwarn: pytest.WarningsRecorder) -> None:
    """What float64 cannot hold is said in the result."""

    def huge(x: Values) -> Values:
        return np.full(x.shape, 1.5e308)

    options: dict[str, Any] = {"step": 1e-308, "steps": 9, "record": ("gradient", "gradient_norm")}
    for dtype in (np.float32, np.float64):
        for momentum in (0.0, 0.9):
            got = gradient_descent(huge, START.astype(dtype), momentum=momentum, **options)
            assert np.isfinite(got.x).all()
            assert np.isinf(got.history["gradient_norm"]).all()
    with np.errstate(all="raise"):
        for record in ("gradient", "gradient_norm"):
            for start in ([1.0], np.float32([1.0])):
                gradient_descent(
                    lambda x: x * np.float64(1e-300), start, 0.5, 9, momentum=0.5, record=record
                )
        gradient_descent(problems.Quadratic([4.0, 1.0]), [1.0, 1.0], 3.0, 2000, momentum=0.5)
    gradient_descent(problems.Quadratic([1e300]), np.float32([1.0]), 0.5, 3)
    gradient_descent(quadratic, START, 0.5, 3, projection=lambda x: 1e308 * (x + 10))
    assert not recwarn.list


def test_a_call_that_raises_draws_nothing() -> None:
    rng = pysr.Philox(1)

    def gradient(x: Values) -> Values:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        gradient_descent(gradient, START, 0.5, 10, fmt="Q3.8", rng=rng)
    assert rng.position == 0


def test_history() -> None:
    got = gradient_descent(
        quadratic,
        START,
        0.25,
        10,
        value=value,
        fmt="Q3.8",
        rng=3,
        every=4,
        record=("value", "x", "gradient", "gradient_norm", "moved", "stagnated", "overflow"),
    )
    assert_array_equal(got.history["step"], [0, 4, 8, 10])
    x = got.history["x"]
    assert x.shape == (4, len(START))
    for k, at in enumerate(got.history["step"]):
        same(x[k], gradient_descent(quadratic, START, 0.25, int(at), fmt="Q3.8", rng=3).x)
    assert_array_equal(got.history["value"], value(x))
    assert_array_equal(got.history["gradient"], quadratic(x))
    assert_array_equal(got.history["gradient_norm"], np.linalg.norm(quadratic(x), axis=1))
    assert len(gradient_descent(quadratic, START, 0.5, 3, record=("x", "x")).history["x"]) == 4
    assert got.history["moved"][-1] == got.counts["moved"]
    assert got.history["stagnated"][-1] == got.counts["stagnated"]
    assert got.fun == value(got.x)
    assert_array_equal(got.jac, quadratic(got.x))
    assert got.success
    assert got.status == 0
    assert got.nit == 10
    many = gradient_descent(quadratic, START, 0.25, 3, value=value, fmt="Q3.8", runs=2, rng=3)
    assert many.history["value"].shape == (4, 2)
    none = gradient_descent(quadratic, START, 0.25, 3, value=value, fmt="Q3.8", rng=3, every=0)
    assert none.history["step"].size == 0


def test_what_a_gradient_returns_may_change(recwarn: pytest.WarningsRecorder) -> None:
    """Arrays that it writes to again, of any layout; x itself; integers."""
    room = np.zeros(2 * START.size * 8 + 1, np.uint8)
    plain = np.zeros(START.size)
    unaligned = room[1 : 1 + START.size * 8].view(np.float64)
    strided = np.zeros((START.size, 3))[:, 1]
    swapped = np.zeros(START.size, np.dtype(np.float64).newbyteorder())
    options: dict[str, Any] = {"fmt": "Q3.8", "rng": 3, "record": ("gradient", "x")}
    options |= {"overflow": "raise"}
    want = gradient_descent(quadratic, START, 0.25, 8, **options)
    assert (want.status, want.nit) == (0, 8)
    for buffer in (plain, unaligned, strided, swapped):

        def gradient(x: Values, into: Values = buffer) -> Values:
            into[:] = quadratic(x)
            return into

        got = gradient_descent(gradient, START, 0.25, 8, **options)
        compare(got, want)
        buffer[:] = 0
        same(got.jac, quadratic(got.x))
    identity = gradient_descent(lambda x: x, START, 0.25, 8, **options)
    compare(identity, gradient_descent(lambda x: 1 * x, START, 0.25, 8, **options))
    identity.jac[:] = 0
    assert identity.x.any()
    whole = gradient_descent(lambda x: np.sign(x).astype(np.int8), START, 0.25, 8, **options)
    compare(whole, gradient_descent(np.sign, START, 0.25, 8, **options))
    assert not recwarn.list
    with pytest.raises(ValueError, match="read-only"):
        gradient_descent(lambda x: np.multiply(x, 2, out=x), START, 0.25, 8)


def test_runs_alone_where_some_end() -> None:
    """Runs that are refused, that stand still or have ended change nothing for the others."""
    starts = np.stack([START / 4, START, -START / 8, 0 * START, START / 16])
    for more in (
        {"overflow": "raise", "momentum": 0.5},
        {"overflow": "raise", "gtol": 0.125},
        {"overflow": "raise", "patience": 2, "bounds": (-4.0, 1.0)},
        {"overflow": "raise", "projection": lambda x: np.maximum(x, -1)},
        {"overflow": "wrap", "target": 0.25, "patience": 5},
    ):
        options: dict[str, Any] = {"step": 0.0625, "steps": 30, "fmt": "Q3.8", "value": value}
        options |= {"record": ("x", "moved", "overflow"), **more}
        for problem in (lambda x: 4 * quadratic(x), problems.Quadratic(4 * SPECTRUM)):
            together = gradient_descent(problem, starts, rng=pysr.Philox(9, 40), **options)
            for r, start in enumerate(starts):
                alone = gradient_descent(problem, start, rng=pysr.Philox(9, 40 + r), **options)
                same(together.x[r], alone.x)
                assert (together.nit[r], together.status[r]) == (alone.nit, alone.status)
                assert {key: total[r] for key, total in together.counts.items()} == alone.counts
            assert len(set(together.status.tolist())) > 1, more


def test_an_end_is_final() -> None:
    """A velocity that would lead out of the format after the gradient has become 0."""
    got = gradient_descent(
        lambda x: np.where(x < 0, -0.25, np.where(x < 7, -8.0, 0.0)), [[6.5], [-8.0]], 0.125, 12,
        fmt="Q3.8", overflow="raise", momentum=0.9375, gtol=0.0, mode="rne",
    )  # fmt: skip
    assert_array_equal(got.status, [1, 0])
    assert_array_equal(got.nit, [1, 12])
    assert_array_equal(got.counts["moved"], [1, 12])
    assert got.x[0] == 7.5


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_counts(momentum: float) -> None:
    """Moved, stagnated and beyond the range, against what the history of x says."""

    def gradient(x: Values) -> Values:
        return 20 * SPECTRUM * x

    for overflow in ("saturate", "wrap"):
        roundings = {role: {"fmt": "Q2.4"} for role in ("gradient", "momentum", "product")}
        got = gradient_descent(
            gradient,
            START,
            0.25,
            25,
            fmt="Q3.4",
            mode="rne",
            overflow=overflow,
            roundings=roundings,
            record="x",
            momentum=momentum,
        )
        x = got.history["x"]
        assert got.counts["moved"] == np.sum(x[1:] != x[:-1])
        stuck = (x[1:] == x[:-1]) & (gradient(x[:-1]) != 0)
        assert got.counts["stagnated"] == np.sum(stuck)
        rounded = np.rint(gradient(x[:-1]) * 16) / 16
        beyond = (rounded > 4 - 1 / 16) | (rounded < -4)
        assert got.counts["gradient"] == np.sum(beyond) > 0
        assert (got.saturated if overflow == "saturate" else got.wrapped)["gradient"] > 0
        assert (got.wrapped if overflow == "saturate" else got.saturated)["gradient"] == 0
    for role in ("gradient", "product", "update"):
        roles = {r: "Q3.8" if r == role else "Q7.8" for r in ROLES[:-1]}
        some = gradient_descent(
            lambda x: -9 - 0 * x, [7.0], 1.0, 9,
            fmt="Q3.8", roundings=roles, record="overflow", momentum=momentum,
        )  # fmt: skip
        assert some.counts[role] > 0
        assert some.history["overflow"][-1] == sum(some.counts[r] for r in ROLES)


def test_ends() -> None:
    near = gradient_descent(quadratic, START, 0.5, 1000, fmt="Q3.8", mode="rne", patience=3)
    assert near.status == 3
    assert not near.success
    assert near.nit < 1000
    steps = gradient_descent(
        quadratic, START, 0.5, 1000, fmt="Q3.8", mode="rne", record="moved"
    ).history["moved"]
    assert near.nit == np.argmax(steps[3:] == steps[:-3]) + 3
    assert "no coordinate has moved" in near.message
    longer = gradient_descent(quadratic, START, 0.5, 1000, fmt="Q3.8", mode="rne")
    same(near.x, longer.x)
    small = gradient_descent(quadratic, START, 0.5, 1000, value=value, target=1.0)
    assert small.status == 2
    assert small.success
    assert small.fun <= 1.0
    before = gradient_descent(quadratic, START, 0.5, small.nit - 1, value=value, target=1.0)
    assert before.fun > 1.0
    assert not before.success
    at = gradient_descent(quadratic, START, 0.5, 1000, value=value, target=before.fun)
    assert (at.status, at.nit) == (2, small.nit - 1)
    flat = gradient_descent(quadratic, START, 0.5, 1000, gtol=0.25, record="x")
    assert flat.status == 1
    assert flat.success
    assert np.abs(quadratic(flat.x)).max() <= 0.25
    assert np.abs(quadratic(flat.history["x"][-2])).max() > 0.25
    same(gradient_descent(quadratic, START, 0.5, flat.nit, gtol=0.25).x, flat.x)
    assert gradient_descent(quadratic, START, 0.5, flat.nit, gtol=0.25).status == 1
    missed = gradient_descent(quadratic, START, 0.5, 3, gtol=0.25)
    assert missed.status == 0
    assert not missed.success
    seen: list[int] = []
    kept: list[tuple[Values, Values]] = []

    def callback(state: Any) -> None:
        seen.append(state.nit)
        with pytest.raises(ValueError, match="read-only"):
            state.x[0] = 1.0
        state.counts["moved"] *= 2
        state.active[...] = False
        kept.append((state.x, state.x.copy()))
        if state.nit == 4:
            raise StopIteration

    stopped = gradient_descent(quadratic, START, 0.5, 10, callback=callback)
    assert seen == [1, 2, 3, 4]
    assert stopped.status == 4
    assert stopped.nit == 4
    stopped.x[:] = 0
    for given, copy in kept:
        same(given, copy)
    told: list[tuple[int, int]] = []
    gradient_descent(quadratic, START, 0.5, 3, progress=lambda *at: told.append(at))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_projections() -> None:
    box = gradient_descent(quadratic, START, 0.5, 50, fmt="Q3.8", rng=1, bounds=(1.0, 2.5))
    assert box.x.min() >= 1.0
    assert box.x.max() <= 2.5
    infinite = gradient_descent(quadratic, START, 0.5, 50, fmt="Q3.8", rng=1, bounds=(-np.inf, 7))
    same(infinite.x, gradient_descent(quadratic, START, 0.5, 50, fmt="Q3.8", rng=1).x)

    zero = gradient_descent(quadratic, START, 0.5, 5, fmt="Q3.8", bounds=(-0.0, 7.0))
    assert not np.signbit(zero.x).any()

    def sphere(x: Values) -> Values:
        assert x.shape in (START.shape, (2, *START.shape))
        return 3 * x / np.linalg.norm(x, axis=-1, keepdims=True)

    room = np.zeros(START.size)

    def again(x: Values) -> Values:
        return np.minimum(x, 2.0, out=room)

    for fmt in ("Q3.8", None):
        clipped, reused = (
            gradient_descent(quadratic, START, 0.5, 9, fmt=fmt, rng=1, record="x", **more)
            for more in ({"bounds": (-np.inf, 2.0)}, {"projection": again})
        )
        compare(clipped, reused)
    capped = gradient_descent(
        lambda x: -1e30 * x, [1.0], 2.0**120, 3, fmt="bfloat16", bounds=(0.0, 8.0), rng=1
    )  # an infinite number is cut off, too
    assert (capped.x, capped.status) == (8, 0)
    assert capped.counts["product"] > 0

    def finite(x: Values) -> Values:
        assert np.isfinite(x).all()
        return x

    starts = np.stack([START, START / 8])
    lost = gradient_descent(lambda x: x**3, starts, 9.0, 9, fmt="bfloat16", projection=finite)
    assert (lost.status == -2).all()
    assert lost.nit[0] < lost.nit[1]
    round_ = gradient_descent(quadratic, START, 0.5, 50, fmt="Q3.8", rng=1, projection=sphere)
    assert abs(np.linalg.norm(round_.x) - 3) < 0.01
    same(round_.x, pysr.round(round_.x, "Q3.8", "rne"))
    two = gradient_descent(
        quadratic, START, 0.5, 50, fmt="Q3.8", rng=1, projection=sphere, runs=2, overflow="raise"
    )
    same(two.x[0], round_.x)
    moved = np.sum(np.diff(box_history("moved"), axis=0))
    assert moved == np.sum(np.diff(box_history("x"), axis=0) != 0) > 0


def box_history(name: str) -> Values:
    got = gradient_descent(quadratic, START, 0.5, 9, rng=1, bounds=(1.0, 2.5), record=name)
    history: Values = got.history[name]
    return history


def test_what_goes_wrong_is_said() -> None:
    def burst(x: Values) -> Values:
        g = quadratic(x)
        g[0, 2] = np.nan if abs(x[0, 0]) < 2 else g[0, 2]
        return g

    for options in ({}, {"fmt": "Q3.8"}, {"fmt": "bfloat16", "momentum": 0.5}):
        got = gradient_descent(
            burst, START, 0.5, 50, value=value, runs=2, rng=1, record="x", **options
        )
        assert_array_equal(got.status, [-1, 0])
        assert_array_equal(got.success, [False, True])
        assert "nan at coordinate 2 of run 0 at step" in got.message
        assert np.isfinite(got.x).all()
        assert 0 < got.nit[0] < 50 == got.nit[1]
        assert len(got.history["x"]) == 51

    def steep(x: Values) -> Values:
        return 1e200 * x**3

    for options in (
        {"fmt": "bfloat16"},
        {"fmt": "float16", "overflow": "nan"},
        {"fmt": "Q3.8", "overflow": "nan"},
    ):
        far = gradient_descent(steep, [1.0], 1.0, 50, **options)
        assert (far.status, far.nit, far.x) == (-2, 0, 1.0), options
        assert "the iterate became" in far.message
        assert "in step 0" in far.message
    far = gradient_descent(steep, [1.0], 1.0, 50)
    assert (far.status, far.nit, far.x) == (-1, 1, -1e200)
    assert "the gradient is -inf at coordinate 0 at step 1" in far.message
    for momentum in (0.0, 0.5):
        steered = gradient_descent(
            lambda x: 600 * x, np.array([[1.0], [0.25]]), 2.0**-12, 5,
            fmt="float8_e4m3fn", mode="sr_eps", eps=0.25, rng=1, momentum=momentum,
        )  # fmt: skip
        assert_array_equal(steered.status, [-1, 0])
        assert "run 0, step 0, coordinate 0: the rounded gradient is NaN" in steered.message
    for fmt in ("Q3.8", "bfloat16", None):
        gone = gradient_descent(
            quadratic, np.stack([START, START / 4]), 0.5, 9, fmt=fmt, rng=1,
            projection=lambda x: np.where(np.abs(x[:, :1]) > 1, np.nan, x),
        )  # fmt: skip
        assert_array_equal(gone.status, [-2, 0])
        assert_array_equal(gone.nit, [0, 9])
        same(gone.x[0], pysr.round(START, fmt, "rne") if fmt else START)
    for dtype in (np.float32, np.float64):
        for first, t, status in ((4.0, 3.0, -2), (2.0**40, 2.0**-36, -1)):
            problem = problems.Quadratic([first, 1.0])
            away = gradient_descent(problem, np.ones(2, dtype), t, 2000)
            alike = gradient_descent(problem.gradient, np.ones(2, dtype), t, 2000)
            assert (away.status, away.nit) == (alike.status, alike.nit)
            assert away.message.startswith(alike.message[:-1])
            assert away.status == status or dtype == np.float32
    missing = gradient_descent(
        lambda x: 9 * x, [1.0], 1.0, 9, fmt="float8_e8m0fnu", overflow="saturate", rng=1
    )  # no negative numbers
    assert (missing.status, missing.nit) == (-2, 0)
    infinite = gradient_descent(
        lambda x: 1e9 * x, [1.0], 1.0, 9, fmt="Q3.8", overflow="wrap", rng=1,
        roundings={"gradient": {"fmt": "float16", "overflow": "inf"}},
    )  # fmt: skip
    assert (infinite.status, infinite.nit) == (-3, 0)
    assert "step 0, coordinate 0: the product is beyond the range" in infinite.message
    two = gradient_descent(
        lambda x: np.where(np.abs(x) < 4, np.nan, x), [[7.5], [4.5], [7.0]], 0.125, 60
    )
    assert two.nit[1] == two.nit.min() < two.nit.max()
    assert f"nan at coordinate 0 of run 1 at step {two.nit[1]}" in two.message
    raised = gradient_descent(
        lambda x: 20 * quadratic(x), np.stack([START / 16, START, START / 32]), 0.0625, 5,
        fmt="Q3.8", overflow="raise", rng=1,
    )  # fmt: skip
    assert_array_equal(raised.status, [0, -3, 0])
    assert "run 1, step 0, coordinate 0: the gradient is beyond the range" in raised.message
    assert raised.message.startswith(
        "1 run: a result was beyond what the format takes; 2 runs: all"
    )
    alone = gradient_descent(lambda x: 20 * quadratic(x), START / 16, 0.0625, 5, fmt="Q3.8", rng=1)
    same(raised.x[0], alone.x)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"x0": None}, "x0 is needed"),
        ({"x0": np.ones((2, 2, 2))}, "x0 must have shape"),
        ({"x0": []}, "x0 must have shape"),
        ({"x0": [1.0, np.nan]}, r"x0 is nan at \(1,\)"),
        ({"x0": [9.0]}, "x0 is 9.0"),
        ({"x0": [1.0, -8.5]}, r"x0 is -8.5 at \(0, 1\), beyond the range of Q3.8"),
        ({"problem": problems.himmelblau()}, "x0 has 7 coordinates, but the problem has 2"),
        ({"step": -1.0}, "step must be finite and at least 0, not -1.0"),
        ({"step": np.nan}, "step must be finite"),
        ({"step": lambda k: np.inf}, r"step\(0\) must be finite"),
        ({"steps": -1}, "steps must be at least 0, not -1"),
        ({"steps": 2**63}, "steps=9223372036854775808 of 2 blocks"),
        ({"problem": lambda x: [2**60 + 1] * 7}, "the gradient=1152921504606846977 is not exact"),
        ({"fmt": "Q3"}, "Q3"),
        ({"mode": "up"}, "up"),
        ({"mode": "sr_signed"}, "mode='sr_signed' is for the update, not for the gradient"),
        ({"roundings": {"product": ()}}, "is not .fmt, mode, eps."),
        ({"eps": 2.0, "mode": "sr_eps"}, "eps"),
        ({"roundings": {"sum": None}}, "roundings has 'sum'"),
        ({"roundings": {"product": ("Q3.8", "sr", 0, 0)}}, "is not .fmt, mode, eps."),
        ({"roundings": {"product": {"format": "Q3.8"}}}, "has 'format'"),
        ({"roundings": {"product": ("Q3.8", "sq")}}, r"roundings\['product'\]: .*sq"),
        ({"momentum": 1.0}, "momentum must be below 1, not 1.0"),
        ({"bounds": (1.0, 0.0)}, "bounds: 1.0 is above 0.0"),
        ({"bounds": (0.0, 0.3)}, "bounds: the greatest value 0.3 is no number of"),
        ({"bounds": 3.0}, "bounds must be"),
        ({"bounds": (1.0, 2.0, 3.0)}, "bounds must be"),
        ({"bounds": (np.zeros(3), 2.0)}, r"bounds: the least values have shape \(3,\), not \(7,\)"),
        ({"bounds": (0.0, np.nan)}, "bounds: a greatest value is NaN"),
        ({"bounds": (np.inf, np.inf)}, "nothing is within, as the least value is infinite"),
        ({"bounds": (-np.inf, -np.inf)}, "nothing is within, as the greatest value is infinite"),
        (
            {"bounds": (0.1, 1.0), "fmt": None, "x0": START.astype("f")},
            "0.1 is no number of float32",
        ),
        ({"bounds": (0.0, 1e300), "fmt": None, "x0": START.astype("f")}, "1e.300 is no number of"),
        ({"projection": lambda x: x + 100}, "what projection gave is .* beyond the range of Q3.8"),
        ({"projection": lambda x: x[0], "overflow": "raise"}, "projection gave shape"),
        ({"projection": lambda x: [int("a")], "overflow": "raise"}, "invalid literal"),
        ({"threads": 0, "overflow": "raise"}, "threads=0 is outside"),
        ({"threads": 0, "steps": 0}, "threads=0 is outside"),
        ({"step": 10**400}, "step must be finite"),
        ({"rng": pysr.Philox(1, 2**48 - 2), "runs": 3, "overflow": "raise"}, "rng: 3 runs from"),
        ({"roundings": {"product": {"mode": "rne"}}, "fmt": None}, "has no fmt"),
        ({"bounds": (0.0, 1.0), "projection": abs}, "exclude each other"),
        ({"projection": lambda x: x[0]}, "projection gave shape"),
        ({"runs": 0}, "runs must be at least 1"),
        ({"runs": 3, "x0": np.ones((2, 7))}, "runs=3, but x0 has shape"),
        ({"gtol": -1.0}, "gtol must be"),
        ({"target": 1.0, "value": None}, "target needs a value"),
        ({"patience": 0}, "patience must be at least 1"),
        ({"record": "loss"}, "record has 'loss'"),
        ({"every": -2}, "every must be"),
        ({"value": lambda x: x}, "value has shape"),
        ({"problem": lambda x: x[0]}, r"the gradient has shape \(\) for x of shape \(7,\)"),
        ({"rng": -1}, "-1"),
        ({"x0": np.float32([1.0]), "fmt": "Q3.30"}, "float32"),
        ({"roundings": {"product": pysr.GridFormat(0.1)}}, "grid"),
    ],
)
def test_bad_values(options: dict[str, Any], text: str) -> None:
    arguments: dict[str, Any] = {"problem": quadratic, "x0": START, "step": 0.5, "steps": 2}
    arguments |= {"fmt": "Q3.8", "value": value} | options
    with pytest.raises(ValueError, match=text):
        gradient_descent(**arguments)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"problem": 3}, "problem must be"),
        ({"value": 3}, "value must be callable"),
        ({"problem": type("Duck", (), {"gradient": abs})()}, "problem must be"),
        ({"step": "big"}, "step must be a number"),
        ({"step": "0.5"}, "step must be a number, not '0.5'"),
        ({"step": lambda k: "0.5"}, r"step\(0\) must be a number, not '0.5'"),
        ({"threads": "2"}, "threads must be an integer"),
        ({"record": 5}, "record must be a name"),
        ({"bounds": (0.0, "1")}, "bounds must hold real numbers"),
        ({"bounds": (np.array(1j), 2.0)}, "bounds must hold real numbers"),
        ({"projection": lambda x: 1j * x}, "what projection gave must hold real numbers"),
        ({"value": lambda x: "1"}, "value must hold real numbers"),
        ({"steps": 2.5}, "steps must be an integer"),
        ({"x0": [1j]}, "complex"),
        ({"problem": lambda x: x * 1j}, "the gradient must hold real numbers .* not complex128"),
        ({"problem": lambda x: np.ma.masked_less(x, 0)}, "the gradient is a masked array"),
        ({"problem": lambda x: None}, "the gradient must hold real numbers, not None"),
        ({"roundings": "Q3.8"}, "roundings must be a mapping"),
        ({"callback": 1}, "callback must be callable"),
        ({"progress": 1.5}, "progress must be"),
        ({"projection": 1}, "projection must be callable"),
        ({"checkpoint": 3.5}, "checkpoint must be a path"),
        ({"arithmetic": "Q3.8"}, "arithmetic must be a pysr.Arithmetic"),
        ({"rng": "seed"}, "rng"),
    ],
)
def test_bad_types(options: dict[str, Any], text: str) -> None:
    arguments: dict[str, Any] = {"problem": quadratic, "x0": START, "step": 0.5, "steps": 2}
    arguments |= {"fmt": "Q3.8", "value": value} | options
    with pytest.raises(TypeError, match=text):
        gradient_descent(**arguments)


# ---- checkpoints ---------------------------------------------------------------------------------

SCRIPT = """
import numpy as np, sys
import pysr
from pysr.optim import gradient_descent
def gradient(x):
    return np.linspace(0.1, 1.0, 9) * x
def value(x):
    return np.sum(np.linspace(0.1, 1.0, 9) * x * x, axis=-1) / 2
def run(steps, **more):
    return gradient_descent(
        gradient, np.linspace(-7, 7, 9), 0.25, steps, value=value, runs=3, every=3,
        record=("x", "value", "moved"), momentum=0.5, fmt="Q3.8", mode="sr_eps", eps=0.25, **more)
"""


def in_process(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT + textwrap.dedent(code)], capture_output=True, text=True
    )


def compare(a: DescentResult, b: DescentResult) -> None:
    same(a.x, b.x)
    assert a.history.keys() == b.history.keys()
    for name in a.history:
        assert_array_equal(a.history[name], b.history[name])
    for name in a.counts:
        assert_array_equal(a.counts[name], b.counts[name])
    assert_array_equal(a.nit, b.nit)
    assert_array_equal(a.status, b.status)
    assert a.message == b.message
    assert (a.seed, a.stream, a.block) == (b.seed, b.stream, b.block)


def scope() -> dict[str, Any]:
    found: dict[str, Any] = {}
    exec(SCRIPT, found)
    return found


@pytest.mark.parametrize("rng", [7, None])
def test_resumed_at_any_step(tmp_path: Path, rng: int | None) -> None:
    run = scope()["run"]
    for at in range(12):
        kept = tmp_path / f"kept-{at}.npz"
        first = run(at, rng=rng, checkpoint=kept)
        resumed = run(12, rng=rng, checkpoint=kept)
        compare(resumed, run(12, rng=first.seed))
        again = run(12, rng=rng, checkpoint=kept)
        compare(again, resumed)


def test_resumed_in_another_process(tmp_path: Path) -> None:
    """Killed at once, between two steps, and gone on with."""
    kept = tmp_path / "kept.npz"
    killed = in_process(
        f"""
        import os, signal
        def stop(state):
            if state.nit == 8:
                os.kill(os.getpid(), signal.SIGKILL)
        run(20, rng=5, checkpoint={str(kept)!r}, checkpoint_every=3, callback=stop)
        """
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with np.load(kept) as saved:
        assert saved["k"] == 6
    ended = in_process(f"np.save({str(tmp_path / 'x.npy')!r}, run(20, checkpoint={str(kept)!r}).x)")
    assert ended.returncode == 0, ended.stderr
    run = scope()["run"]
    same(np.load(tmp_path / "x.npy"), run(20, rng=5).x)
    compare(run(20, checkpoint=kept), run(20, rng=5))


def test_killed_while_writing(tmp_path: Path) -> None:
    """The file before stays, whole."""
    kept = tmp_path / "kept.npz"
    killed = in_process(
        f"""
        import os, signal
        import pysr._files
        synced = os.fsync
        def fsync(file):
            fsync.calls += 1
            if fsync.calls == 4:  # a file and its directory a time
                os.ftruncate(file, 100)
                os.kill(os.getpid(), signal.SIGKILL)
            synced(file)
        fsync.calls = 1
        os.fsync = fsync
        run(20, rng=5, checkpoint={str(kept)!r}, checkpoint_every=2)
        """
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    run = scope()["run"]
    with np.load(kept) as saved:
        assert saved["k"] == 2
    assert len(os.listdir(tmp_path)) == 2  # the part that was being written, too
    compare(run(20, checkpoint=kept), run(20, rng=5))


def test_interrupted_anywhere(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a step: the checkpoint has whole steps only."""
    names = scope()
    whole = names["run"](9, rng=5)
    for stop in range(1, 19):
        kept = tmp_path / f"kept-{stop}.npz"
        calls = 0
        gradient, value = names["gradient"], names["value"]

        def counted(f: Callable[[Values], Values], at: int) -> Callable[[Values], Values]:
            def g(x: Values) -> Values:
                nonlocal calls
                calls += 1
                if calls == at:
                    raise KeyboardInterrupt
                return f(x)

            return g

        names["gradient"], names["value"] = counted(gradient, stop), counted(value, stop)
        interrupted = False
        try:
            names["run"](9, rng=5, checkpoint=kept)
        except KeyboardInterrupt:
            interrupted = True
        names["gradient"], names["value"] = gradient, value
        assert interrupted or calls < stop
        compare(names["run"](9, rng=5, checkpoint=kept), whole)


def test_checkpoints_of_other_runs(tmp_path: Path) -> None:
    kept = tmp_path / "kept.npz"
    common: dict[str, Any] = {"fmt": "Q3.8", "rng": 3, "checkpoint": kept}
    gradient_descent(quadratic, START, 0.5, 5, **common)
    for options, text in (
        ({"step": 0.25}, "step was 0.5, is 0.25"),
        ({"x0": START / 2}, "x0 was"),
        ({"mode": "sr_eps"}, "gradient rounding was"),
        ({"random_bits": 8}, "product rounding was"),
        ({"momentum": 0.5}, "momentum was 0.0, is 0.5"),
        ({"bounds": (-4.0, 4.0)}, "projection was None, is"),
        ({"projection": lambda x: x}, "projection was None, is a function"),
        ({"runs": 2}, "x0 was"),
        ({"gtol": 0.5}, "gtol was None, is 0.5"),
        ({"patience": 5}, "patience was None, is 5"),
        ({"every": 2}, "every was 1, is 2"),
        ({"record": "x"}, "record was"),
        ({"step": Diminishing(0.5)}, "step was 0.5, is Diminishing"),
        ({"rng": 4}, "draws other words"),
        ({"rng": pysr.Philox(3, 1)}, "draws other words"),
        ({"rng": pysr.Philox(3).advance(1)}, "draws other words"),
        ({"steps": 4}, "steps=4, but"),
    ):
        arguments: dict[str, Any] = {"x0": START, "step": 0.5, "steps": 9} | common | options
        with pytest.raises(ValueError, match=text):
            gradient_descent(quadratic, **arguments)
    unused = {"roundings": {"momentum": None}, "threads": 1}
    compare(
        gradient_descent(quadratic, START, 0.5, 9, **common, **unused),
        gradient_descent(quadratic, START, 0.5, 9, fmt="Q3.8", rng=3),
    )
    kept.write_bytes(kept.read_bytes()[:-30])
    with pytest.raises(ValueError, match="no checkpoint of a descent"):
        gradient_descent(quadratic, START, 0.5, 9, **common)
    np.savez(kept, what=np.array("{}"))
    with pytest.raises(ValueError, match="checkpoint"):
        gradient_descent(quadratic, START, 0.5, 9, **common)


def test_checkpoints_of_other_problems(tmp_path: Path) -> None:
    """What can be told apart of a problem, its arithmetic and the velocity."""
    spectrum = np.array([1.0, 0.5])

    def run(kept: Path, steps: int = 9, **options: Any) -> DescentResult:
        problem = problems.Quadratic(options.pop("spectrum", spectrum), options.pop("to", None))
        eps = options.pop("eps", 0.25)
        arithmetic = pysr.Arithmetic("Q3.10", "sr_eps", eps=eps, rng=options.pop("seed", 3))
        common: dict[str, Any] = {"step": 0.25, "fmt": "Q3.8", "rng": 3, "momentum": 0.5}
        common |= {"arithmetic": arithmetic, **options}
        return gradient_descent(problem, [4.0, 3.0], steps=steps, checkpoint=kept, **common)

    first = tmp_path / "first.npz"
    run(first, 5)
    for options, text in (
        ({"spectrum": [1.0, 0.25]}, "diagonal was"),
        ({"spectrum": [0.5, 0.5]}, r"problem was \['quadratic', 1.0\], is \['quadratic', 0.5\]"),
        ({"to": [1.0, 1.0]}, "diagonal was"),
        ({"eps": 0.125}, "arithmetic was"),
        ({"arithmetic": None}, "arithmetic was .*, is None"),
        ({"roundings": {"momentum": None}}, "momentum rounding was .*, is None"),
    ):
        with pytest.raises(ValueError, match=text):
            run(first, **options)
    compare(run(first, seed=4), run(tmp_path / "whole.npz"))  # its stream goes on

    arithmetic = pysr.Arithmetic("Q3.10", "sr", rng=1)
    again = tmp_path / "again.npz"

    class Stop(problems.Problem):
        def gradient(self, x: Any, arithmetic: Any = None) -> Any:
            found = super().gradient(x, arithmetic)
            if stop:
                raise KeyboardInterrupt
            return found

    stop = True
    problem = Stop(lambda x: x * x, size=2)
    common: dict[str, Any] = {"step": 0.25, "steps": 5, "rng": 3}
    with pytest.raises(KeyboardInterrupt):
        gradient_descent(problem, [0.3, 0.7], checkpoint=again, arithmetic=arithmetic, **common)
    stop = False
    got = gradient_descent(problem, [0.3, 0.7], checkpoint=again, arithmetic=arithmetic, **common)
    arithmetic = pysr.Arithmetic("Q3.10", "sr", rng=1)
    compare(got, gradient_descent(problem, [0.3, 0.7], arithmetic=arithmetic, **common))


def test_stopped_by_something_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A callback that stops; a gradient that fails; a disk that is full."""
    kept = tmp_path / "kept.npz"
    run = scope()["run"]

    def stop(state: Any) -> None:
        raise StopIteration

    assert (run(9, rng=5, checkpoint=kept, callback=stop).status == 4).all()
    before = kept.read_bytes()

    def fail(state: Any) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        run(9, rng=5, checkpoint=kept, callback=fail)
    assert kept.read_bytes() == before

    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def interrupt(state: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        rng = pysr.Philox(5)
        with pytest.raises(OSError, match="No space left"):
            run(9, rng=rng, checkpoint=kept)
        assert rng.position == 0
        with pytest.raises(KeyboardInterrupt) as caught:
            run(9, rng=rng, checkpoint=kept, callback=interrupt)
        assert "what was done is lost: [Errno 28]" in caught.value.__notes__[0]
    assert kept.read_bytes() == before
    assert os.listdir(tmp_path) == ["kept.npz"]
    compare(run(9, rng=5, checkpoint=kept), run(9, rng=5))


def test_damaged_checkpoints(tmp_path: Path) -> None:
    """Every field that is missing, of another shape or of another type is noticed."""
    kept = tmp_path / "kept.npz"
    run = scope()["run"]
    run(6, rng=5, checkpoint=kept)
    with np.load(kept) as file:
        saved = dict(file)
    wrong: list[dict[str, Any]] = [
        {"k": np.array(-3)},
        {"k": np.array(3)},
        {"words": np.array("[1, 2]")},
        {"words": np.array("[1, -2, 3]")},
        {"words": np.array("{")},
        {"status": saved["status"] + 99},
        {"x": saved["x"] * np.nan},
        {"history_step": saved["history_step"] + 1},
    ]
    for name, array in saved.items():
        wrong += [{name: None}, {name: np.zeros((2, 7))}]
        if array.ndim:
            wrong += [{name: array[:-1]}, {name: array.astype(str)}]
    for change in wrong:
        arrays = {key: array for key, array in {**saved, **change}.items() if array is not None}
        np.savez(kept, **arrays)
        for rng in (5, None):
            with pytest.raises(ValueError, match="no checkpoint of a descent"):
                run(12, rng=rng, checkpoint=kept)
    np.savez(kept, **saved)
    compare(run(12, rng=5, checkpoint=kept), run(12, rng=5))


def test_saved_from_time_to_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_checkpoint, "_SAVE_EVERY", -1.0)
    kept = tmp_path / "kept.npz"
    seen: list[int] = []

    def callback(state: Any) -> None:
        with np.load(kept) as saved:
            seen.append(int(saved["k"]))

    gradient_descent(quadratic, START, 0.5, 5, fmt="Q3.8", checkpoint=kept, callback=callback)
    assert seen == [1, 2, 3, 4, 5]


def test_saved_every_ten_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(_checkpoint, "time", SimpleNamespace(monotonic=lambda: now))
    kept = tmp_path / "kept.npz"
    seen: list[int] = []

    def slow(x: Values) -> Values:
        nonlocal now
        now += 4.0
        return quadratic(x)

    def callback(state: Any) -> None:
        if kept.exists():
            with np.load(kept) as saved:
                seen.append(int(saved["k"]))

    gradient_descent(slow, START, 0.5, 8, fmt="Q3.8", checkpoint=kept, callback=callback)
    assert seen == [3, 3, 3, 6, 6, 6]
