"""Deep matrix factorization: against exact recursions, hand-written loops, numerical Hessians."""

from __future__ import annotations

import itertools
import math
import warnings
from typing import Any

import mpmath
import numpy as np
import pytest

import pysr
from pysr.optim import bounds
from pysr.optim import deep_matrix_factorization as factorize

BASE = np.array([4.0, 2.0, 1.0, 0.5, 0.0, 0.0])


def basis(n: int, seed: int = 0) -> Any:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]


def symmetric(spectrum: Any, seed: int = 0) -> Any:
    v = basis(len(spectrum), seed)
    return (v * np.asarray(spectrum)) @ v.T


def product(factors: Any) -> Any:
    result = factors[0]
    for factor in factors[1:]:
        result = factor @ result
    return result


def gradient(factors: Any, target: Any, measurements: Any = None) -> list[Any]:
    """Each factor's gradient as (everything behind)^T residual (everything before)^T."""
    w = product(factors)
    if measurements is None:
        residual = w - target
    else:
        residual = np.tensordot(np.tensordot(measurements, w, 2) - target, measurements, 1)
    found = []
    for j in range(len(factors)):
        before = product(factors[:j]) if j else np.eye(factors[0].shape[1])
        behind = product(factors[j + 1 :]) if j + 1 < len(factors) else np.eye(len(factors[-1]))
        found.append(behind.T @ residual @ before.T)
    return found


def rectangular(seed: int = 3) -> list[Any]:
    numbers = np.random.default_rng(seed)
    return [0.5 * numbers.standard_normal(shape) for shape in ((3, 5), (2, 3), (4, 2))]


# ---------------------------------------------------------------------------------------------
# Float64


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
@pytest.mark.parametrize("beta", [None, 0.05])
def test_scalar_against_many_digits(depth: int, beta: float | None) -> None:
    spectrum = np.array([3.0, 0.5, 0.0, -1.0])
    start: dict[str, Any] = {"start": "identical"}
    if beta is not None:
        start = {"start": "perturbed", "beta": beta}
    found = factorize(spectrum, depth, step=0.01, steps=100, alpha=0.2, method="scalar", **start)
    with mpmath.workdps(40):
        for i, value in enumerate(spectrum):
            eta, lam, d = mpmath.mpf(0.01), mpmath.mpf(value), mpmath.mpf(0.2)
            c = mpmath.mpf(0.2 - (beta or 0.0))
            for _ in range(100):
                residual = c * d ** (depth - 1) - lam
                step_c = d ** (depth - 1) * residual
                step_d = c * d ** (depth - 2) * residual if depth > 1 else 0
                c, d = c - eta * step_c, d - eta * step_d
            exact = float(c * d ** (depth - 1))
            assert found.product[i] == pytest.approx(exact, rel=1e-12, abs=1e-17)


@pytest.mark.parametrize(("depth", "alpha"), [(1, 0.1), (2, 0.01), (3, 0.1), (4, 0.2)])
def test_matrices_follow_the_scalar_recursion(depth: int, alpha: float) -> None:
    target = symmetric(BASE)
    options: dict[str, Any] = {"step": 0.01, "steps": 1500, "alpha": alpha, "every": 10}
    for start in ({"start": "identical"}, {"start": "perturbed", "beta": 0.25 * alpha}):
        matrix = factorize(target, depth, **options, **start)
        scalar = factorize(target, depth, method="scalar", **options, **start)
        for name in ("spectrum", "error", "effective_rank", "loss"):
            assert np.abs(matrix.history[name] - scalar.history[name]).max() < 1e-12
        assert np.abs(matrix.product - scalar.product).max() < 1e-12
        assert len(matrix.factors) == len(scalar.factors) == depth
        for one, other in zip(matrix.factors, scalar.factors, strict=True):
            assert np.abs(one - other).max() < 1e-12
        diagonal = factorize(BASE, depth, method="scalar", **options, **start)
        assert diagonal.product == pytest.approx(scalar.history["spectrum"][-1], abs=1e-13)
    assert np.allclose(matrix.target_spectrum, BASE, atol=1e-14)


def test_gradient_of_rectangular_factors() -> None:
    factors = rectangular()
    target = np.random.default_rng(4).standard_normal((4, 5))
    step = 2.0**-7
    found = factorize(target, start=factors, step=step, steps=1, record=("loss", "factors"))
    for w, after, g in zip(factors, found.factors, gradient(factors, target), strict=True):
        assert (w - after) / step == pytest.approx(g, rel=1e-11, abs=1e-13)
    h = 1e-6
    for j, factor in enumerate(factors):
        for index in np.ndindex(factor.shape):
            losses = []
            for sign in (1, -1):
                moved = [w.copy() for w in factors]
                moved[j][index] += sign * h
                one = factorize(target, start=moved, step=1.0, steps=0)
                losses.append(float(one.history["loss"][0]))
            numerical = (losses[0] - losses[1]) / (2 * h)
            assert (factor - found.factors[j])[index] / step == pytest.approx(numerical, abs=1e-7)
    assert found.history["loss"].shape == (2,)
    assert found.history["loss"][0] == pytest.approx(
        np.sum((product(factors) - target) ** 2) / 2, rel=1e-14
    )
    assert [w.shape for w in found.history["factors"]] == [(2, 3, 5), (2, 2, 3), (2, 4, 2)]
    assert np.array_equal(found.history["factors"][1][1], found.factors[1])


def test_gradient_of_sensing() -> None:
    factors = rectangular()
    numbers = np.random.default_rng(5)
    measurements, values = numbers.standard_normal((7, 4, 5)), numbers.standard_normal(7)
    step = 2.0**-9
    found = factorize(values, measurements=measurements, start=factors, step=step, steps=1)
    expected = gradient(factors, values, measurements)
    for w, after, g in zip(factors, found.factors, expected, strict=True):
        assert (w - after) / step == pytest.approx(g, rel=1e-10, abs=1e-11)
    residual = np.tensordot(measurements, product(factors), 2) - values
    assert found.history["loss"][0] == pytest.approx(np.sum(residual**2) / 2, rel=1e-13)
    assert set(found.history) == {"step", "loss", "effective_rank"}
    assert found.target_spectrum is None


def test_history() -> None:
    target = np.random.default_rng(6).standard_normal((3, 3))
    records = ("loss", "error", "spectrum", "effective_rank", "singular_values", "product")
    found = factorize(target, 2, step=0.05, steps=25, every=10, record=records)
    assert found.history["step"].tolist() == [0, 10, 20, 25]
    u, s, v = np.linalg.svd(target)
    for row, w in enumerate(found.history["product"]):
        sizes = np.linalg.svd(w, compute_uv=False)
        assert found.history["singular_values"][row] == pytest.approx(sizes, abs=1e-14)
        rank = found.history["effective_rank"][row]
        assert rank == pytest.approx(sizes.sum() / sizes[0], rel=1e-14)
        assert rank == pytest.approx(bounds.effective_rank(sizes), rel=1e-14)
        diagonal = np.diag(u.T @ w @ v.T)
        assert found.history["spectrum"][row] == pytest.approx(diagonal, abs=1e-13)
        error = np.linalg.norm(w - target) / np.linalg.norm(target)
        assert found.history["error"][row] == pytest.approx(error, rel=1e-13)
    assert np.array_equal(found.history["product"][-1], found.product)
    assert found.target_spectrum == pytest.approx(s)
    assert (found.status, found.success, found.nit) == (0, True, 25)
    assert found.message == "all 25 steps were made"
    one = factorize(target, 2, step=0.05, steps=25, every=0)
    assert np.array_equal(one.product, found.product)
    assert list(one.history) == ["step"]
    assert one.history["step"].size == 0


# ---------------------------------------------------------------------------------------------
# Rounding


@pytest.mark.parametrize(
    ("fmt", "options"),
    [
        ("bfloat16", {"mode": "rne"}),
        ("bfloat16", {"mode": "sr"}),
        ("Q3.8", {"mode": "sr_eps", "eps": 0.25}),
        ("float16", {"mode": "sr", "random_bits": 5, "variant": "c"}),
        ("grid:0.001", {"mode": "sr"}),
    ],
)
@pytest.mark.parametrize("runs", [None, 3])
def test_rounded_weights_are_those_of_a_loop(
    fmt: str, options: dict[str, Any], runs: int | None
) -> None:
    n, depth, steps = 4, 3, 40
    target = symmetric([2.0, 1.0, 0.0, -0.5])
    rng = pysr.Philox(11, stream=7).advance(5)
    found = factorize(
        target, depth, step=0.03, steps=steps, alpha=0.3, fmt=fmt, runs=runs, rng=rng,
        record=(), **options,
    )  # fmt: skip
    for r in range(runs or 1):
        stream = pysr.Philox(11, stream=7 + r).advance(5)
        w = list(pysr.round(np.stack([0.3 * np.eye(n)] * depth), fmt, "rne"))
        moved = 0
        for _ in range(steps):
            p2 = w[1] @ w[0]
            s = w[2] @ p2 - target
            g3, s = s @ p2.T, w[2].T @ s
            g2, g1 = s @ w[0].T, w[1].T @ s
            updated = np.stack([a - 0.03 * g for a, g in zip(w, (g1, g2, g3), strict=True)])
            after = list(pysr.round(updated, fmt, rng=stream, **options))
            moved += sum(int(np.sum(a != b)) for a, b in zip(after, w, strict=True))
            w = after
        for j in range(depth):
            mine = found.factors[j] if runs is None else found.factors[j][r]
            assert np.array_equal(mine, w[j])
        assert (found.counts["moved"] if runs is None else found.counts["moved"][r]) == moved
        if r == 0:
            assert rng.position == stream.position
    assert (found.seed, found.stream) == (11, 7)


def test_signed_rounding_is_against_the_gradient() -> None:
    """Steered by the gradient, weights go down it: the bias is -sign(gradient) eps."""
    target = np.array([[1.0, 0.0], [0.0, 1.0]])
    w = pysr.round(np.array([[0.5, 0.1], [-0.2, 0.3]]), "Q2.4", "rne")
    step = 2.0**-12
    found = factorize(target, start=[w], step=step, steps=1, fmt="Q2.4", mode="sr_signed",
                      eps=0.4, runs=4000, rng=3, record=())  # fmt: skip
    z = w - step * (w - target)
    drawn = pysr.round(z, "Q2.4", "sr_signed", eps=0.4, direction=w - target,
                       rng=pysr.Philox(3, stream=9))  # fmt: skip
    assert np.array_equal(found.factors[0][9], drawn)
    bias = (found.factors[0].mean(axis=0) - z) * 16
    assert bias == pytest.approx(-0.4 * np.sign(w - target), abs=0.04)


@pytest.mark.parametrize("mode", ["rne", "sr"])
@pytest.mark.parametrize("fmt", [None, "bfloat16"])
def test_arithmetic_is_that_of_rounded_arrays(mode: str, fmt: str | None) -> None:
    target = symmetric([2.0, 1.0, -0.5])
    arithmetic = pysr.Arithmetic("float16", mode, rng=pysr.Philox(3, stream=20))
    rng = pysr.Philox(4)
    found = factorize(target, 3, step=0.05, steps=6, alpha=0.3, arithmetic=arithmetic, runs=2,
                      fmt=fmt, rng=rng, record=())  # fmt: skip
    inexact = 0
    for r in range(2):
        own = pysr.Arithmetic("float16", mode, rng=pysr.Philox(3, stream=20 + r))
        stream = pysr.Philox(4, stream=r)
        start = pysr.round(0.3 * np.eye(3), fmt or "float16", "rne")
        w = [start] * 3
        for _ in range(6):
            a = [rounded(v, own) for v in w]
            p2 = a[1] @ a[0]
            s = a[2] @ p2 - target
            g3, s = s @ p2.T, a[2].T @ s
            g2, g1 = s @ a[0].T, a[1].T @ s
            after = [(v - 0.05 * g).values for v, g in zip(a, (g3, g2, g1)[::-1], strict=True)]
            w = after if fmt is None else list(pysr.round(np.stack(after), fmt, "sr", rng=stream))
        inexact += own.counts.inexact
        for j in range(3):
            assert np.array_equal(found.factors[j][r], w[j])
        if r == 0:
            assert arithmetic.stream.position == own.stream.position
            assert rng.position == stream.position
    assert arithmetic.counts.inexact == inexact > 0


def rounded(values: Any, arithmetic: Any) -> Any:
    """Values in the format, around which an array is put without drawing."""
    before = arithmetic.stream.state, arithmetic.counts.inexact
    array = arithmetic.array(values)
    arithmetic.stream.state = before[0]
    assert np.array_equal(array.values, values)
    assert arithmetic.counts.inexact == before[1]
    return array


def test_rounded_scalar_path() -> None:
    """One d for all factors of an identical start; d and c, in this order, of a perturbed one."""
    spectrum = np.array([3.0, 1.0, 0.0])
    options: dict[str, Any] = {"step": 0.02, "steps": 30, "method": "scalar", "fmt": "bfloat16"}
    found = factorize(spectrum, 3, alpha=0.3, rng=5, **options)
    d, stream = pysr.round(np.full(3, 0.3), "bfloat16", "rne"), pysr.Philox(5)
    for _ in range(30):
        p = d * d
        d = pysr.round(d - 0.02 * (p * (p * d - spectrum)), "bfloat16", rng=stream)
    assert all(np.array_equal(factor, d) for factor in found.factors)
    found = factorize(spectrum, 3, alpha=0.3, start="perturbed", beta=0.1, rng=5, **options)
    x, stream = pysr.round(np.repeat([0.3, 0.2], 3), "bfloat16", "rne"), pysr.Philox(5)
    for _ in range(30):
        d, c = x[:3], x[3:]
        p = d * d
        e = p * c - spectrum
        g = np.concatenate([(c * d) * e, p * e])
        x = pysr.round(x - 0.02 * g, "bfloat16", rng=stream)
    assert np.array_equal(found.factors[0], x[:3])
    assert np.array_equal(found.factors[2], x[3:])
    assert np.array_equal(found.product, x[:3] * x[:3] * x[3:])


@pytest.mark.parametrize(
    "options",
    [
        {"start": "random", "fmt": "bfloat16"},
        {"start": "low-rank", "rank": 2, "beta": 0.01, "fmt": "Q3.8"},
        {"start": "random"},
        {"method": "scalar", "fmt": "float16"},
    ],
)
def test_a_run_of_many_is_the_run_alone(options: dict[str, Any]) -> None:
    target = symmetric(BASE)
    many = factorize(target, 3, step=0.01, steps=60, runs=4, rng=pysr.Philox(8, 30), **options)
    one = factorize(target, 3, step=0.01, steps=60, rng=pysr.Philox(8, 32), **options)
    for j in range(3):
        assert np.array_equal(many.factors[j][2], one.factors[j])
    for name, values in many.history.items():
        mine = one.history[name]
        assert np.array_equal(values if name == "step" else values[:, 2], mine)
    assert many.counts["moved"][2] == one.counts["moved"]
    assert not np.array_equal(many.factors[0][0], many.factors[0][1])


def test_a_run_of_sensing_is_the_run_alone() -> None:
    numbers = np.random.default_rng(1)
    measurements = numbers.standard_normal((12, 5, 5))
    truth = symmetric([2.0, 1.0, 0.0, 0.0, 0.0])
    values = np.tensordot(measurements, truth, 2)
    start = [numbers.standard_normal((3, 5, 5)) / 5, numbers.standard_normal((5, 5)) / 5]
    options: dict[str, Any] = {
        "measurements": measurements, "truth": truth, "step": 0.002, "steps": 50, "fmt": "bfloat16",
    }  # fmt: skip
    many = factorize(values, start=start, runs=3, rng=pysr.Philox(2), **options)
    one = factorize(values, start=[start[0][1], start[1]], rng=pysr.Philox(2, 1), **options)
    for j in range(2):
        assert np.array_equal(many.factors[j][1], one.factors[j])
    assert np.array_equal(many.history["spectrum"][:, 1], one.history["spectrum"])
    assert one.history["error"][-1] < 0.9 * one.history["error"][0]


def test_starts() -> None:
    target = symmetric(BASE)

    def begin(**options: Any) -> Any:
        return factorize(target, step=1.0, steps=0, rng=1, **options)

    assert all(np.array_equal(w, 0.3 * np.eye(6)) for w in begin(alpha=0.3).factors)
    found = begin(start="perturbed", alpha=0.3, beta=0.1, depth=3).factors
    assert [w[0, 0] for w in found] == [0.3, 0.3, 0.3 - 0.1]
    found = begin(start="random", alpha=0.3, depth=4, runs=500).factors
    for one, other in itertools.combinations(found, 2):
        assert abs(np.mean(one * other)) < 4 * 0.09 / 6 / math.sqrt(one.size)
    assert np.std(found) == pytest.approx(0.3 / math.sqrt(6), rel=0.01)
    assert abs(np.mean(found)) < 4 * 0.3 / math.sqrt(6 * np.size(found))
    (w,) = begin(start="low-rank", alpha=0.3, rank=2, depth=1).factors
    assert np.linalg.matrix_rank(w) == 2
    found = begin(start="low-rank", alpha=0.3, beta=0.4, rank=2, depth=1, runs=3000).factors
    assert np.std(found) == pytest.approx(math.hypot(0.3, 0.4) / math.sqrt(6), rel=0.02)
    noise = begin(start="low-rank", alpha=1e-9, beta=0.4, rank=2, depth=1, runs=3000).factors
    assert np.std(noise) == pytest.approx(0.4 / math.sqrt(6), rel=0.02)


def test_counts() -> None:
    """A weight that rounding keeps, and one beyond the range."""
    found = factorize(np.array([0.6, 30.0]), 1, method="scalar", alpha=0.5, step=0.5, steps=4,
                      fmt="Q3.2", mode="rne")  # fmt: skip
    assert found.product.tolist() == [0.5, 7.75]
    # 0.5 is held at every step; 15.25 and later values beyond 7.75, of which the first moves
    assert found.counts == {"moved": 1, "stagnated": 4 + 3, "overflow": 4}
    assert found.success


# ---------------------------------------------------------------------------------------------
# Streams, endings, errors


def test_streams_move_on_only_if_all_goes_well() -> None:
    target = symmetric(BASE)
    generator = np.random.Generator(pysr.Philox(6))
    factorize(target, step=0.01, steps=3, fmt="bfloat16", rng=generator)
    blocks = -(-2 * 36 * 16 // 128)
    assert generator.bit_generator.position == 3 * blocks  # type: ignore[attr-defined]
    rng = pysr.Philox(6)
    factorize(target, step=0.01, steps=3, fmt="bfloat16", mode="rne", rng=rng)
    assert rng.position == 0

    def broken(state: Any) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        factorize(target, step=0.01, fmt="bfloat16", rng=rng, callback=broken)
    with pytest.raises(OverflowError, match=r"step 0 of run 0: .*Q0"):
        factorize(
            30 * target, 1, alpha=0.5, step=0.5, fmt="Q0.4", overflow="raise", runs=2, rng=rng
        )
    assert rng.position == 0
    assert factorize(target, step=0.1, steps=0).seed != factorize(target, step=0.1, steps=0).seed


@pytest.mark.parametrize("method", ["matrix", "scalar"])
@pytest.mark.parametrize("options", [{}, {"fmt": "float16", "mode": "rne"}])
def test_divergence_is_a_result(method: str, options: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = factorize(symmetric(BASE), 3, step=1.0, steps=500, alpha=0.1, method=method,
                          **options)  # fmt: skip
    assert (found.status, found.success) == (-2, False)
    assert 0 < found.nit < 500
    assert all(np.isfinite(w).all() for w in found.factors)
    limit = bounds.recovery_step_limit(4.0, 3)
    where = " in float16" if options else ""
    assert found.message == (
        f"weights were no longer finite{where} after step {found.nit + 1}: step=1 is beyond the "
        f"limit {limit:.4g}"
    )
    assert found.history["step"].tolist() == list(range(found.nit + 1))
    assert np.isfinite(found.history["spectrum"][: found.nit - 1]).all()


def test_one_run_of_many_diverges() -> None:
    target = symmetric(BASE)
    start = [np.stack([0.1 * np.eye(6), 50.0 * np.eye(6), 0.2 * np.eye(6)])] * 2
    found = factorize(target, start=start, step=0.01, steps=40, runs=3)
    assert found.status.tolist() == [0, -2, 0]
    assert found.success.tolist() == [True, False, True]
    assert found.nit.tolist() == [40, found.nit[1], 40]
    assert found.nit[1] < 10
    assert np.isnan(found.history["error"][-1, 1])
    alone = factorize(target, start=[w[2] for w in start], step=0.01, steps=40)
    assert np.array_equal(found.factors[0][2], alone.factors[0])
    assert np.array_equal(found.history["spectrum"][:, 2], alone.history["spectrum"])
    assert found.message[1] == f"weights were no longer finite after step {found.nit[1] + 1}"


def test_a_step_just_beyond_the_limit_does_not_converge() -> None:
    limit = bounds.recovery_step_limit(4.0, 3)
    for part, low, high in ((0.98, 0.0, 1e-9), (1.01, 0.01, 1.0)):
        found = factorize(BASE, 3, step=part * limit, steps=1500, alpha=0.1, method="scalar")
        assert low <= abs(found.product[0] / 4 - 1) <= high
        assert found.success


def test_callback_and_progress(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[Any] = []

    def watch(state: Any) -> None:
        seen.append(state)
        if state.nit == 20:
            raise StopIteration

    found = factorize(symmetric(BASE), 2, step=0.01, every=10, callback=watch, runs=2)
    assert [state.nit for state in seen] == [0, 10, 20]
    assert (found.nit.tolist(), found.status.tolist()) == ([20, 20], [4, 4])
    assert found.message.tolist() == ["ended by the callback after 20 steps"] * 2
    assert np.array_equal(seen[-1].factors[1], found.factors[1])
    assert seen[0].factors[0][0, 0, 0] == 0.1
    assert np.array_equal(seen[1].spectrum, found.history["spectrum"][1])
    assert found.success.all()
    told: list[tuple[int, int]] = []
    factorize(symmetric(BASE), 2, step=0.01, steps=3, progress=lambda *pair: told.append(pair))
    assert told == [(1, 3), (2, 3), (3, 3)]
    factorize(symmetric(BASE), 2, step=0.01, steps=3, progress=True)
    assert capsys.readouterr().err == ""


def test_stopping_at_a_predicted_plateau() -> None:
    target = symmetric(BASE)
    options: dict[str, Any] = {"step": 0.01, "steps": 4000, "alpha": 0.2}
    first, last = bounds.recovery_plateau(BASE, 0.2, 4, 0.01, 1)
    for stop, nit in (((1, "start"), first), (1, last), ((1, "middle"), (first + last) // 2)):
        found = factorize(target, 4, stop=stop, **options)
        assert (found.nit, found.status) == (nit, 2)
        assert found.history["effective_rank"][-1] == pytest.approx(1.006, abs=0.006)
    assert found.message == f"stopped at the middle of the predicted plateau of rank 1, step {nit}"
    assert found.history["step"][-1] == nit
    assert factorize(target, 4, step=0.01, steps=5, alpha=0.2, stop=1).status == 0
    rounding = factorize(target, 4, stop=(2, "middle"), fmt="bfloat16", rng=1, **options)
    assert rounding.history["effective_rank"][-1] == pytest.approx(1.5, abs=0.02)
    for stop, depth, alpha, text in (
        (1, 2, 0.01, r"stop=1: the plateau of rank 1 is empty, from step 191 to 135"),
        (4, 4, 0.2, r"stop=4: the plateau of rank 4 has no end, it begins at step \d+"),
        (5, 4, 0.2, r"stop=5: rank=5 is not from 1 to 4, the positive eigenvalues"),
        ((1, "late"), 4, 0.2, r"'late' is not one of start, middle, end"),
        (0, 4, 0.2, r"stop=0 is less than 1"),
    ):
        with pytest.raises(ValueError, match=text):
            factorize(target, depth, step=0.01, alpha=alpha, stop=stop)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs start='identical'"):
        factorize(target, 4, step=0.01, stop=1, start="random")


EYE = np.eye(3)
SENSE = {"measurements": np.ones((4, 3, 3))}


@pytest.mark.parametrize(
    ("arguments", "options", "error", "text"),
    [
        ((EYE, 0), {}, ValueError, "depth=0 is less than 1"),
        ((EYE, 2.0), {}, TypeError, "depth must be an integer, not 2.0"),
        ((EYE, 2), {"step": 0.0}, ValueError, "step=0.0 must be positive"),
        ((EYE, 2), {"step": math.nan}, ValueError, "step=nan must be finite"),
        ((EYE, 2), {"step": "1"}, TypeError, "step must be a number, not '1'"),
        ((EYE, 2), {"steps": -1}, ValueError, "steps=-1 is less than 0"),
        ((EYE, 2), {"alpha": 0}, ValueError, "alpha=0.0 must be positive"),
        ((EYE, 2), {"alpha": -0.1}, ValueError, "alpha=-0.1 must be positive"),
        ((EYE, 2), {"beta": math.inf}, ValueError, "beta=inf must be finite"),
        ((EYE, 2), {"runs": 0}, ValueError, "runs=0 is less than 1"),
        ((EYE, 2), {"every": -1}, ValueError, "every=-1 is less than 0"),
        ((EYE, 2), {"start": "zero"}, ValueError, "start='zero' is not one of 'identical'"),
        ((EYE, 2), {"start": 3}, TypeError, "start must be a name or a sequence of factors, not 3"),
        ((EYE, 2), {"start": []}, TypeError, "start must be a name or a sequence"),
        ((EYE, 2), {"start": [EYE]}, ValueError, "depth=2, but start has 1 factors"),
        ((EYE,), {"start": [EYE, np.ones((2, 2))]}, ValueError,
         r"start\[1\] has shape \(2, 2\), which does not go with that of start\[0\], \(3, 3\)"),
        ((EYE,), {"start": [np.ones((3, 2))]}, ValueError,
         r"start has a product of shape \(3, 2\), not \(3, 3\)"),
        ((EYE,), {"start": [np.ones((2, 3, 3))], "runs": 4}, ValueError,
         r"start\[0\] has shape \(2, 3, 3\): a leading axis is that of runs=4"),
        ((EYE,), {"start": [EYE * math.nan]}, ValueError, r"start\[0\] is nan at \(0, 0\)"),
        ((EYE, 2), {"rank": 2}, ValueError, "rank=2 with start='identical': 'low-rank' has it"),
        ((EYE, 2), {"start": "low-rank"}, ValueError, "rank=None with start='low-rank'"),
        ((EYE, 2), {"start": "low-rank", "rank": 4}, ValueError, "rank=4 is more than the order"),
        ((np.ones((2, 3)), 2), {}, ValueError, r"is for square matrices, not \(2, 3\)"),
        ((np.ones(3), 2), {}, ValueError, r"target has shape \(3,\): it must be 2-dimensional"),
        ((np.zeros((3, 3)), 2), {}, ValueError, "target is 0"),
        ((1j * EYE, 2), {}, TypeError, "target must be real numbers, not complex128"),
        ((np.diag([1, math.inf]), 2), {}, ValueError, r"target is inf at \(1, 1\)"),
        ((EYE, 2), {"truth": EYE}, ValueError, "truth goes with measurements"),
        ((EYE, 2), SENSE, ValueError, r"target has shape \(3, 3\): it must be 1-dimensional"),
        ((np.ones(5), 2), SENSE, ValueError,
         r"target has 5 values, but measurements has shape \(4, 3, 3\)"),
        ((np.ones(4), 2), {"measurements": EYE}, ValueError, r"measurements has shape \(3, 3\)"),
        ((np.ones(4), 2), {**SENSE, "truth": np.ones((2, 2))}, ValueError,
         r"truth has shape \(2, 2\), but measurements has shape \(4, 3, 3\)"),
        ((np.ones(4), 2), {**SENSE, "record": "error"}, ValueError, "record has 'error', which"),
        ((np.ones(4), 2), {**SENSE, "method": "scalar"}, ValueError, "is for full observation"),
        ((EYE, 2), {"record": ("loss", "rank")}, ValueError, "record has 'rank', not one of"),
        ((EYE, 2), {"method": "fast"}, ValueError, "method='fast' is not 'matrix' or 'scalar'"),
        ((EYE, 2), {"method": "scalar", "start": "random"}, ValueError,
         "method='scalar' with start='random'"),
        ((EYE,), {"method": "scalar", "start": [EYE]}, ValueError,
         "method='scalar' with start='factors'"),
        ((np.triu(np.ones((3, 3))), 2), {"method": "scalar"}, ValueError,
         r"target of shape \(3, 3\) is not symmetric"),
        ((np.ones((2, 3)), 2), {"method": "scalar"}, ValueError, "is not symmetric"),
        ((EYE, 2), {"fmt": "float8_e8m0fnu"}, ValueError, "has not all of 0 and negative numbers"),
        ((EYE, 2), {"fmt": "UQ2.3"}, ValueError, "has not all of 0 and negative numbers"),
        ((EYE, 2), {"fmt": "float33"}, ValueError, "float33"),
        ((EYE, 2), {"fmt": "bfloat16", "mode": "up"}, ValueError, "mode"),
        ((EYE, 2), {"fmt": "bfloat16", "mode": "sr_eps", "eps": 2.0}, ValueError, "eps"),
        ((EYE, 2), {"arithmetic": "bfloat16"}, TypeError, "arithmetic must be a pysr.Arithmetic"),
        ((EYE, 2), {"arithmetic": pysr.Arithmetic("bfloat16", "sr_signed", eps=0.1)}, ValueError,
         "needs directions"),
        ((EYE, 2), {"callback": 3}, TypeError, "callback must be callable, not 3"),
        ((EYE, 2), {"progress": 3}, TypeError, "progress must be a bool or a callable, not 3"),
    ],
)  # fmt: skip
def test_errors(arguments: Any, options: dict[str, Any], error: type[Exception], text: str) -> None:
    rng = pysr.Philox(1)
    with pytest.raises(error, match=text):
        factorize(*arguments, **{"step": 0.1, "steps": 3, "rng": rng, **options})
    assert rng.position == 0


# ---------------------------------------------------------------------------------------------
# Theory


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 6])
@pytest.mark.parametrize(("value", "alpha", "fraction"), [(4.0, 0.05, 0.5), (0.3, 0.2, 0.99)])
def test_recovery_time(depth: int, value: float, alpha: float, fraction: float) -> None:
    with mpmath.workdps(30):
        low, high = mpmath.mpf(alpha), (mpmath.mpf(fraction) * value) ** (mpmath.mpf(1) / depth)
        points = [low * (high / low) ** (mpmath.mpf(i) / 8) for i in range(9)]
        exact = mpmath.quad(lambda y: 1 / (y ** (depth - 1) * (value - y**depth)), points)
    assert bounds.recovery_time(value, alpha, depth, fraction) == pytest.approx(
        float(exact), rel=1e-9
    )
    assert bounds.recovery_time(value, 2.0, depth, fraction) == 0
    assert bounds.recovery_steps(value, 2.0, depth, 0.01, fraction) == 0


def test_recovery_steps_of_random_spectra() -> None:
    """The first step at or above a fraction, to within the ceiling."""
    numbers = np.random.default_rng(2)
    tried = 0
    for _ in range(60):
        depth = int(numbers.integers(2, 6))
        value, alpha = numbers.uniform(0.5, 5), numbers.uniform(0.15, 0.35)
        fraction = numbers.choice([0.1, 0.5, 0.99])
        step = 0.2 * numbers.random() * bounds.recovery_step_limit(value, depth)
        if alpha**depth > 0.5 * fraction * value or bounds.recovery_time(value, alpha, depth) > 20:
            continue
        d, k = alpha, 0
        while d**depth < fraction * value:
            d, k = d - step * d ** (depth - 1) * (d**depth - value), k + 1
        assert -0.05 < k - bounds.recovery_steps(value, alpha, depth, step, fraction) < 1.05
        tried += 1
    assert tried > 20


def hessian(spectrum: Any, entries: Any, depth: int) -> Any:
    """Second derivatives of the loss at diagonal factors, by differences of the gradient."""
    n = len(spectrum)
    target, point = np.diag(spectrum), np.stack([np.diag(entries)] * depth)
    h = 1e-5

    def flat(x: Any) -> Any:
        return np.concatenate([g.ravel() for g in gradient(list(x.reshape(depth, n, n)), target)])

    rows = []
    for i in range(point.size):
        shift = np.zeros(point.size)
        shift[i] = h
        rows.append((flat(point.ravel() + shift) - flat(point.ravel() - shift)) / (2 * h))
    return np.array(rows)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_limits_and_rates_are_those_of_the_hessian(depth: int) -> None:
    spectrum = np.array([3.0, 1.0, -2.0])
    limit = np.maximum(spectrum, 0) ** (1 / depth)
    if depth == 1:
        limit = spectrum
    values = np.linalg.eigvalsh(hessian(spectrum, limit, depth))
    assert values[-1] == pytest.approx(2 / bounds.recovery_step_limit(3.0, depth), rel=1e-6)
    assert max(0.0, -values[0]) == pytest.approx(bounds.escape_rate(spectrum, depth), abs=1e-6)


@pytest.mark.parametrize(
    ("fmt", "depth", "alpha", "value"),
    [
        ("bfloat16", 3, 0.1, 3.13),
        ("float16", 3, 0.1, 0.393),
        ("bfloat16", 4, 0.2, 6.25),
        ("float16", 4, 0.2, 0.785),
        ("Q7.8", 3, 0.1, 18.9),
        ("grid:0.005", 3, 0.1, 25.0),
    ],
)
def test_recovery_threshold_from_both_sides(
    fmt: str, depth: int, alpha: float, value: float
) -> None:
    threshold = bounds.recovery_threshold(fmt, alpha, depth, 0.01)
    assert threshold == pytest.approx(value, rel=2e-3)
    around = threshold * np.array([0.9, 0.999, 1.001, 1.1])
    found = factorize(around, depth, step=0.01, steps=3000, alpha=alpha, method="scalar", fmt=fmt,
                      mode="rne", every=0)  # fmt: skip
    share = found.product / around
    assert (share[:2] < 0.01).all()
    assert (share[2:] > 0.85).all()


def test_recovery_threshold_of_a_start_that_is_lost() -> None:
    assert bounds.recovery_threshold("Q3.2", 0.1, 3, 0.01) == math.inf
    found = factorize(EYE, 2, step=0.1, steps=5, alpha=0.1, fmt="Q3.2", rng=1)
    assert not np.any(found.product)
    assert np.isnan(found.history["effective_rank"]).all()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: bounds.recovery_time(0.0, 0.1, 2), "eigenvalue=0.0 must be positive"),
        (lambda: bounds.recovery_time(1.0, 0.1, 2, 1.0), r"fraction=1.0 is not in \(0, 1\)"),
        (lambda: bounds.recovery_steps(1.0, 0.1, 2, -1.0), "step=-1.0 must be positive"),
        (lambda: bounds.recovery_step_limit(1.0, 0), "depth=0 must be positive"),
        (lambda: bounds.recovery_step_limit(1.0, 2.5), "depth=2.5 must be an integer"),  # type: ignore[arg-type]
        (lambda: bounds.recovery_plateau([1, 0], 0.1, 2, 0.1, 2), "rank=2 is not from 1 to 1"),
        (lambda: bounds.recovery_threshold("bfloat16", math.inf, 2, 0.1), "alpha=inf must be"),
        (lambda: bounds.escape_rate([1], 0), "depth=0 must be positive"),
    ],
)
def test_errors_of_theory(call: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call()


def test_plateaus_take_round_off_for_zero() -> None:
    computed = np.linalg.eigvalsh(symmetric(BASE))
    assert computed[2] != 0 or computed[1] != 0
    for rank in (1, 2, 3, 4):
        expected = bounds.recovery_plateau(BASE, 0.2, 4, 0.01, rank)
        assert bounds.recovery_plateau(computed, 0.2, 4, 0.01, rank) == expected


def test_effective_rank() -> None:
    assert bounds.effective_rank([-2, 1, 1]) == 2
    assert math.isnan(bounds.effective_rank([0, 0]))
    assert bounds.escape_rate([-1, -2], 3) == 0
