"""Problems: known values, gradients against differences, constants, emulated arithmetic."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt
import pytest

import pysr
from pysr.optim import problems
from pysr.optim.problems import Problem, check_gradient

Array = npt.NDArray[Any]


def samples(m: int, n: int, seed: int) -> Array:
    return np.random.default_rng(seed).standard_normal((m, n))


def labels(m: int, classes: int, seed: int) -> Array:
    """Every class occurs."""
    return np.random.default_rng(seed).permutation(np.arange(m) % classes)


PROBLEMS: dict[str, Callable[[int], Problem]] = {
    "diagonal": lambda seed: problems.Quadratic(np.arange(6.0), samples(1, 6, seed)[0]),
    "dense": lambda seed: problems.Quadratic(
        np.logspace(-2, 0, 5), samples(1, 5, seed)[0], problems.random_basis(5, seed)
    ),
    "rosenbrock": lambda seed: problems.rosenbrock(2 + seed),
    "himmelblau": lambda seed: problems.himmelblau(),
    "pl_nonconvex": lambda seed: problems.pl_nonconvex(1 + seed),
    "logistic": lambda seed: problems.logistic_regression(samples(31, 4, seed), labels(31, 2, 1)),
    "logistic with penalty": lambda seed: problems.logistic_regression(
        samples(20, 3, seed), 2 * labels(20, 2, 1) - 1, 0.3
    ),
    "softmax": lambda seed: problems.softmax_regression(samples(17, 3, seed), labels(17, 4, 1)),
    "softmax with penalty": lambda seed: problems.softmax_regression(
        samples(17, 3, seed), labels(17, 3, 1), 0.3
    ),
    "network": lambda seed: problems.network(
        samples(23, 5, seed), labels(23, 3, 1), (6, 4, 5), bias=False
    ),
    "network with biases": lambda seed: problems.network(
        samples(23, 5, seed), labels(23, 3, 1), (6, 7)
    ),
}


def hessian(problem: Problem, x: Array, h: float = 1e-4) -> Array:
    """By central differences of the gradient."""
    shifts = h * np.eye(problem.size)
    wide = (problem.gradient(x + shifts) - problem.gradient(x - shifts)) / (2 * h)
    return np.asarray((wide + wide.T) / 2)


# ---------------------------------------------------------------------------------------------
# All problems alike


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("seed", range(3))
def test_gradients_are_those_of_values(name: str, seed: int) -> None:
    problem = PROBLEMS[name](seed)
    for shape in ((), (3,), (2, 2)):
        x = np.random.default_rng(seed).uniform(-1.5, 1.5, (*shape, problem.size))
        assert check_gradient(problem, x) < 1e-7


@pytest.mark.parametrize("name", PROBLEMS)
def test_points_do_not_depend_on_their_neighbours(name: str) -> None:
    problem = PROBLEMS[name](2)
    x = np.random.default_rng(3).standard_normal((3, 5, problem.size))
    for function in (problem.value, problem.gradient):
        alone = [[function(point) for point in row] for row in x]
        np.testing.assert_array_equal(function(x), alone)
        np.testing.assert_array_equal(function(np.asfortranarray(x)), alone)
        np.testing.assert_array_equal(function(x[:1, 0]), alone[0][:1])
    assert problem.value(x[0, 0]).shape == () == np.shape(problem.value(list(x[0, 0])))
    assert problem.value(x[:0]).shape == (0, 5)
    assert problem.gradient(x[:0]).shape == (0, 5, problem.size)


@pytest.mark.parametrize("name", PROBLEMS)
def test_float32_is_evaluated_in_float64(name: str) -> None:
    problem = PROBLEMS[name](1)
    x = np.random.default_rng(4).standard_normal(problem.size).astype(np.float32)
    for function in (problem.value, problem.gradient):
        result = function(x)
        assert result.dtype == np.float64
        np.testing.assert_array_equal(result, function(x.astype(np.float64)))


@pytest.mark.parametrize("name", PROBLEMS)
def test_minimizers_are_minimizers(name: str) -> None:
    problem = PROBLEMS[name](1)
    if problem.minimizers is None:
        assert problem.minimum is None
        return
    assert problem.minimum == 0
    np.testing.assert_allclose(problem.value(problem.minimizers), 0, atol=1e-28)
    np.testing.assert_allclose(problem.gradient(problem.minimizers), 0, atol=1e-12)


@pytest.mark.parametrize("name", PROBLEMS)
def test_gradients_are_lipschitz(name: str) -> None:
    problem = PROBLEMS[name](2)
    if problem.lipschitz is None:
        assert name.startswith(("rosenbrock", "himmelblau", "network"))
        return
    rng = np.random.default_rng(5)
    x, shift = rng.standard_normal((2, 500, problem.size))
    y = x + shift * np.logspace(-3, 1, 500)[:, np.newaxis]
    change = np.linalg.norm(problem.gradient(x) - problem.gradient(y), axis=1)
    assert (change <= problem.lipschitz * np.linalg.norm(x - y, axis=1) * (1 + 1e-9)).all()


@pytest.mark.parametrize(
    "problem",
    [
        PROBLEMS["diagonal"](1),
        PROBLEMS["dense"](1),
        PROBLEMS["pl_nonconvex"](2),
        PROBLEMS["logistic"](1),
        PROBLEMS["logistic with penalty"](1),
        # Two classes alone have the least p = (1/2, 1/2) at 0.
        problems.softmax_regression(samples(17, 3, 1), labels(17, 2, 1), 0.2),
    ],
)
def test_lipschitz_constants_are_attained(problem: Problem) -> None:
    largest = np.linalg.eigvalsh(hessian(problem, np.zeros(problem.size)))[-1]
    assert largest == pytest.approx(problem.lipschitz, rel=1e-6)


def descended(problem: Problem) -> float:
    """The minimum, by gradient descent to the end."""
    x = np.zeros(problem.size)
    assert problem.lipschitz is not None
    for _ in range(2000):
        x -= problem.gradient(x) / problem.lipschitz
    assert np.abs(problem.gradient(x)).max() < 1e-12
    return float(problem.value(x))


@pytest.mark.parametrize(
    "name",
    ["diagonal", "dense", "pl_nonconvex", "logistic with penalty", "softmax with penalty"],
)
def test_polyak_lojasiewicz(name: str) -> None:
    problem = PROBLEMS[name](2)
    minimum = descended(problem) if problem.minimum is None else problem.minimum
    x = np.random.default_rng(6).standard_normal((2000, problem.size))
    x *= np.logspace(-2, 1, 2000)[:, np.newaxis]
    slope = (problem.gradient(x) ** 2).sum(-1) / 2
    assert problem.pl is not None
    assert problem.pl > 0
    assert (slope >= problem.pl * (problem.value(x) - minimum) * (1 - 1e-9)).all()


def test_no_constant_is_claimed_without_a_penalty() -> None:
    assert PROBLEMS["logistic"](0).pl is None
    assert PROBLEMS["softmax"](0).pl is None
    assert PROBLEMS["network"](0).pl is None


@pytest.mark.parametrize("name", PROBLEMS)
def test_pickles(name: str) -> None:
    problem = PROBLEMS[name](1)
    copy = pickle.loads(pickle.dumps(problem))
    x = np.linspace(-1, 1, problem.size)
    np.testing.assert_array_equal(copy.gradient(x), problem.gradient(x))
    assert repr(copy) == repr(problem)


def test_large_numbers_are_silent() -> None:
    rosenbrock = problems.rosenbrock()
    assert rosenbrock.value([1e200, 0.0]) == math.inf
    assert np.isnan(rosenbrock.gradient([math.nan, 0.0])).any()
    logistic = PROBLEMS["logistic"](0)
    assert np.isfinite(logistic.value(np.full(4, 1e300)))
    assert np.isfinite(logistic.gradient(np.full(4, 1e300))).all()
    softmax = PROBLEMS["softmax"](0)
    assert np.isfinite(softmax.value(np.linspace(-1e300, 1e300, 12)))
    assert np.isfinite(softmax.gradient(np.linspace(-1e300, 1e300, 12))).all()


# ---------------------------------------------------------------------------------------------
# Each in turn


def test_quadratic() -> None:
    problem = problems.Quadratic([0.0, 2.0, 0.5], [1.0, 2.0, 3.0], start=[0.0, 0.0, 1.0])
    assert (problem.lipschitz, problem.pl, problem.minimum) == (2.0, 0.5, 0.0)
    assert problem.value([7.0, 4.0, 5.0]) == 5.0
    np.testing.assert_array_equal(problem.gradient([7.0, 4.0, 5.0]), [0.0, 4.0, 1.0])
    np.testing.assert_array_equal(problem.start, [0.0, 0.0, 1.0])
    assert problem.diagonal is not None
    np.testing.assert_array_equal(problem.diagonal[0], problem.spectrum)
    np.testing.assert_array_equal(problem.diagonal[1], [1.0, 2.0, 3.0])
    assert problem.size == 3
    with pytest.raises(ValueError, match="read-only"):
        problem.spectrum[0] = 1.0


def test_quadratic_with_a_basis() -> None:
    spectrum = np.logspace(-1, 1, 6)
    q = problems.random_basis(6, 8)
    centre = samples(1, 6, 9)[0]
    problem = problems.Quadratic(spectrum, centre, q)
    assert problem.diagonal is None
    matrix = (q * spectrum) @ q.T
    x = samples(7, 6, 10)
    np.testing.assert_allclose(problem.gradient(x), (x - centre) @ matrix, rtol=1e-12, atol=1e-13)
    values = np.einsum("ri,ij,rj->r", x - centre, matrix, x - centre) / 2
    np.testing.assert_allclose(problem.value(x), values, rtol=1e-12)
    np.testing.assert_allclose(np.linalg.eigvalsh(hessian(problem, centre)), spectrum, rtol=1e-6)


def test_quadratic_pl_is_attained_beside_a_flat_direction() -> None:
    problem = problems.Quadratic([0.0, 2.0, 0.5], [1.0, 2.0, 3.0])
    x = [9.0, 2.0, 4.0]
    assert (problem.gradient(x) ** 2).sum() / 2 == 0.5 * problem.value(x)


def test_random_basis() -> None:
    q = problems.random_basis(20, 1)
    np.testing.assert_allclose(q.T @ q, np.eye(20), atol=1e-14)
    np.testing.assert_array_equal(q, problems.random_basis(20, np.random.default_rng(1)))
    # Uniform: entries of either sign everywhere, the determinant too, and of variance 1/n.
    many = np.stack([problems.random_basis(3, seed) for seed in range(2000)])
    assert np.abs(many.mean(0)).max() < 5 / math.sqrt(3 * 2000)
    assert np.abs((many**2).mean(0) - 1 / 3).max() < 5 * math.sqrt(4 / 45 / 2000)
    assert abs(np.sign(np.linalg.det(many)).mean()) < 5 / math.sqrt(2000)


def test_rosenbrock() -> None:
    problem = problems.rosenbrock()
    np.testing.assert_array_equal(problem.start, [-1.0, 1.0])
    assert problem.value([-1.2, 1.0]) == pytest.approx(24.2, rel=1e-14)
    np.testing.assert_allclose(problem.gradient([-1.2, 1.0]), [-215.6, -88.0], rtol=1e-13)
    # Two links share the middle coordinate.
    x = np.array([0.5, -1.0, 2.0])
    chain = problems.rosenbrock(3)
    assert chain.value(x) == problem.value(x[:2]) + problem.value(x[1:])
    first, second = problem.gradient(x[:2]), problem.gradient(x[1:])
    np.testing.assert_array_equal(chain.gradient(x), [first[0], first[1] + second[0], second[1]])
    np.testing.assert_array_equal(problems.rosenbrock(5).start, [-1.0, 1.0, -1.0, 1.0, -1.0])


def test_himmelblau() -> None:
    problem = problems.himmelblau()
    assert problem.value([0.0, 0.0]) == 170.0
    np.testing.assert_array_equal(problem.start, [0.0, 0.0])
    np.testing.assert_array_equal(problem.gradient([4.0, 4.0]), [170.0, 226.0])
    assert problem.minimizers is not None
    with mpmath.workdps(40):
        for point in problem.minimizers:
            exact = mpmath.findroot(
                lambda x, y: [x * x + y - 11, x + y * y - 7], [mpmath.mpf(c) for c in point]
            )
            assert [float(c) for c in exact] == point.tolist()


def test_pl_nonconvex() -> None:
    problem = problems.pl_nonconvex()
    assert problem.value([math.pi / 2]) == pytest.approx(math.pi**2 / 4 + 3)
    x = np.linspace(-20, 20, 400002)[:, np.newaxis]  # not 0
    gradient, value = problem.gradient(x)[:, 0], problem.value(x)
    second = np.diff(gradient) / np.diff(x[:, 0])
    assert second.min() < -3.9  # not convex
    assert np.abs(second).max() == pytest.approx(8, rel=1e-6)
    assert 0.17 < (gradient**2 / 2 / value).min() < 0.18


def test_logistic_regression() -> None:
    x = samples(12, 3, 1)
    y = labels(12, 2, 2)
    w = np.array([0.5, -2.0, 1.0])
    problem = problems.logistic_regression(x, y)
    loss = -np.mean(
        [
            math.log(
                (1 / (1 + math.exp(-(row @ w)))) if one else 1 - 1 / (1 + math.exp(-(row @ w)))
            )
            for row, one in zip(x, y, strict=True)
        ]
    )
    assert problem.value(w) == pytest.approx(loss, rel=1e-14)
    for other in (2 * y - 1, y == 1, y.astype(np.float32)):
        assert problems.logistic_regression(x, other).value(w) == problem.value(w)
    np.testing.assert_array_equal(problem.start, np.zeros(3))
    assert problem.lipschitz == pytest.approx(np.linalg.eigvalsh(x.T @ x)[-1] / 48)


def test_logistic_regression_is_stable() -> None:
    # One sample, label 1: log(1 + exp(-w)), to full relative accuracy however large w is.
    problem = problems.logistic_regression([[1.0]], [1])
    for w in (-1e5, -700.0, -40.0, -1.0, 0.0, 1.0, 40.0, 700.0, 1e5):
        with mpmath.workdps(60):
            e = mpmath.exp(-mpmath.mpf(w))
            value, slope = float(mpmath.log1p(e)), float(-e / (1 + e))
        assert problem.value([w]) == pytest.approx(value, rel=1e-15, abs=1e-310)
        assert problem.gradient([w]) == pytest.approx([slope], rel=1e-15, abs=1e-310)


def test_softmax_of_two_classes_is_logistic() -> None:
    x, y = samples(15, 4, 1), labels(15, 2, 2)
    w = samples(6, 4, 3)
    binary = problems.logistic_regression(x, y)
    softmax = problems.softmax_regression(x, y)
    both = np.stack([np.zeros_like(w), w], axis=-1).reshape(6, 8)
    np.testing.assert_allclose(softmax.value(both), binary.value(w), rtol=1e-13)
    second = softmax.gradient(both).reshape(6, 4, 2)
    np.testing.assert_allclose(second[..., 1], binary.gradient(w), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(second.sum(-1), 0, atol=1e-15)


def test_penalties() -> None:
    x, y = samples(15, 4, 1), labels(15, 2, 2)
    for make in (problems.logistic_regression, problems.softmax_regression):
        without, penalized = make(x, y), make(x, y, 0.5)
        w = samples(1, without.size, 4)[0]
        assert penalized.value(w) == pytest.approx(without.value(w) + 0.25 * w @ w)
        np.testing.assert_allclose(penalized.gradient(w), without.gradient(w) + 0.5 * w)
        assert without.lipschitz is not None
        assert penalized.lipschitz == without.lipschitz + 0.5
        assert penalized.pl == 0.5


def test_classes() -> None:
    x = samples(4, 3, 1)
    assert problems.softmax_regression(x, [0, 0, 0, 0]).size == 6
    assert problems.softmax_regression(x, [0, 2, 1, 0]).size == 9
    assert problems.softmax_regression(x, [0, 2, 1, 0], classes=5).size == 15
    assert problems.network(x, [0, 2, 1, 0], (7,), classes=5).size == 21 + 7 + 35 + 5
    wide = problems.softmax_regression(x, [0, 2, 1, 0], classes=5)
    assert wide.value(np.zeros(15)) == pytest.approx(math.log(5))


def test_network_without_layers_is_softmax() -> None:
    x, y = samples(15, 4, 1), labels(15, 3, 2)
    softmax, net = problems.softmax_regression(x, y), problems.network(x, y, (), bias=False)
    w = samples(2, 12, 3)
    np.testing.assert_array_equal(net.value(w), softmax.value(w))
    np.testing.assert_array_equal(net.gradient(w), softmax.gradient(w))


@pytest.mark.parametrize("bias", [False, True])
def test_network(bias: bool) -> None:
    x, y = samples(9, 4, 1), labels(9, 3, 2)
    net = problems.network(x, y, (5, 6, 7), bias=bias)
    matrices = [(4, 5), (5, 6), (6, 7), (7, 3)]
    vectors = [(5,), (6,), (7,), (3,)]
    pairs = zip(matrices, vectors, strict=True)
    assert net.shapes == (tuple(s for pair in pairs for s in pair) if bias else tuple(matrices))
    assert net.size == 20 + 30 + 42 + 21 + (21 if bias else 0)
    w = samples(1, net.size, 3)[0]
    parts = net.unflatten(w)
    assert tuple(part.shape for part in parts) == net.shapes
    np.testing.assert_array_equal(np.concatenate([part.ravel() for part in parts]), w)
    loss = 0.0
    for row, label in zip(x, y, strict=True):
        h = row
        for i in range(4):
            z = h @ (parts[2 * i] if bias else parts[i]) + (parts[2 * i + 1] if bias else 0)
            h = np.array([max(float(element), 0.0) for element in z])
        loss += math.log(sum(math.exp(element) for element in z)) - z[label]
    assert net.value(w) == pytest.approx(loss / 9, rel=1e-13)


def test_network_starts() -> None:
    net = problems.network(samples(3, 50, 1), [0, 1, 2], (400, 30))
    x = net.random_start(7)
    first, b, second, c, last, d = net.unflatten(x)
    assert not b.any()
    assert not c.any()
    assert not d.any()
    for part in (first, second, last):
        # Deviations of a sample variance of normal numbers: sqrt(2 / size).
        assert abs(part.var() * part.shape[0] / 2 - 1) < 5 * math.sqrt(2 / part.size)
    np.testing.assert_array_equal(x, net.random_start(np.random.default_rng(7)))
    assert (x != net.random_start(8)).any()
    runs = np.stack([net.random_start(seed) for seed in range(3)])
    assert [part.shape for part in net.unflatten(runs)][:2] == [(3, 50, 400), (3, 400)]
    assert net.start is None


# ---------------------------------------------------------------------------------------------
# Every operation rounded: the same bits as calls of an Arithmetic by hand

ARITHMETICS: list[tuple[str, str]] = [
    ("bfloat16", "rne"),
    ("bfloat16", "sr"),
    ("float16", "rz"),
    ("float8_e4m3", "sr"),
    ("Q7.8", "sr"),
    ("Q7.8", "ru"),
]


def same(problem: Problem, x: Array, fmt: str, mode: str, value: Any, gradient: Any) -> None:
    """Compare with chains that take an arithmetic and x, rounded; totals and the stream too."""
    for function, chain in ((problem.value, value), (problem.gradient, gradient)):
        one, other = (pysr.Arithmetic(fmt, mode, rng=11) for _ in range(2))
        expected = chain(other, other.round(x))
        result = function(x, one)
        np.testing.assert_array_equal(result, expected)
        assert result.dtype == np.float64
        assert isinstance(result, np.ndarray if function == problem.gradient else np.float64)
        assert one.stream.position == other.stream.position
        assert one.counts.inexact == other.counts.inexact > 0
        assert one.counts.overflow == other.counts.overflow


@pytest.mark.parametrize(("fmt", "mode"), ARITHMETICS)
def test_rounded_quadratic(fmt: str, mode: str) -> None:
    spectrum, centre, q = (
        np.array([0.3, 1.7, 0.9]),
        samples(1, 3, 1)[0],
        problems.random_basis(3, 2),
    )
    x = samples(1, 3, 3)[0]

    def value(a: Any, x: Array) -> Any:
        d = a.sub(x, a.round(centre))
        half = a.round(0.5)
        return a.mul(half, a.sum(a.mul(a.mul(a.round(spectrum), d), d)))

    def gradient(a: Any, x: Array) -> Any:
        s = a.round(spectrum)
        return a.mul(s, a.sub(x, a.round(centre)))

    same(problems.Quadratic(spectrum, centre), x, fmt, mode, value, gradient)

    def dense_value(a: Any, x: Array) -> Any:
        p = a.round(q)
        d = a.matmul(a.sub(x, a.round(centre)), p)
        half = a.round(0.5)
        return a.mul(half, a.sum(a.mul(a.mul(a.round(spectrum), d), d)))

    def dense_gradient(a: Any, x: Array) -> Any:
        p, s = a.round(q), a.round(spectrum)
        return a.matmul(a.mul(s, a.matmul(a.sub(x, a.round(centre)), p)), p.T)

    same(problems.Quadratic(spectrum, centre, q), x, fmt, mode, dense_value, dense_gradient)


@pytest.mark.parametrize(("fmt", "mode"), ARITHMETICS)
def test_rounded_rosenbrock(fmt: str, mode: str) -> None:
    def value(a: Any, x: Array) -> Any:
        one, hundred = a.round([1.0, 100.0])
        left, right = x[:-1], x[1:]
        d = a.sub(right, a.mul(left, left))
        r = a.sub(one, left)
        return a.sum(a.add(a.mul(hundred, a.mul(d, d)), a.mul(r, r)))

    def gradient(a: Any, x: Array) -> Any:
        one, two, four, hundred = a.round([1.0, 2.0, 4.0, 100.0])
        left, right = x[:-1], x[1:]
        c = a.mul(hundred, a.sub(right, a.mul(left, left)))
        own = a.mul(two, a.sub(left, one))
        own = a.sub(own, a.mul(a.mul(four, left), c))
        after = a.mul(two, c)
        return np.array([own[0], *a.add(own[1:], after[:-1]), after[-1]])

    same(problems.rosenbrock(4), np.array([0.3, 0.2, 0.12, 0.05]), fmt, mode, value, gradient)


@pytest.mark.parametrize(("fmt", "mode"), ARITHMETICS)
def test_rounded_himmelblau(fmt: str, mode: str) -> None:
    def terms(a: Any, point: Array) -> Any:
        seven, eleven = a.round([7.0, 11.0])
        x, y = point
        return (
            a.sub(a.add(a.mul(x, x), y), eleven),
            a.sub(a.add(x, a.mul(y, y)), seven),
        )

    def value(a: Any, x: Array) -> Any:
        p, q = terms(a, x)
        return a.add(a.mul(p, p), a.mul(q, q))

    def gradient(a: Any, x: Array) -> Any:
        two, four = a.round([2.0, 4.0])
        p, q = terms(a, x)
        first = a.add(a.mul(a.mul(four, x[0]), p), a.mul(two, q))
        return np.array([first, a.add(a.mul(two, p), a.mul(a.mul(four, x[1]), q))])

    same(problems.himmelblau(), np.array([2.7, 1.9]), fmt, mode, value, gradient)


@pytest.mark.parametrize(("fmt", "mode"), ARITHMETICS)
def test_rounded_pl_nonconvex(fmt: str, mode: str) -> None:
    def value(a: Any, x: Array) -> Any:
        three = a.round(3.0)
        s = a.round(np.sin(x))
        square = a.mul(x, x)
        return a.sum(a.add(square, a.mul(three, a.mul(s, s))))

    def gradient(a: Any, x: Array) -> Any:
        two, three = a.round([2.0, 3.0])
        twice = a.mul(two, x)
        return a.add(twice, a.mul(three, a.round(np.sin(twice))))

    same(problems.pl_nonconvex(3), np.array([0.7, -1.3, 2.2]), fmt, mode, value, gradient)


def sign(a: Any, x: Array) -> Any:
    """What `x` is after a change of sign: rounded where the format does not have all opposites."""
    return a.round(x) if isinstance(a.fmt, pysr.FixedFormat) else x


@pytest.mark.parametrize(("fmt", "mode"), ARITHMETICS)
@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_rounded_logistic_regression(fmt: str, mode: str, weight: float) -> None:
    data, y = samples(7, 3, 4), labels(7, 2, 5)
    signs = np.where(y == 1, 1.0, -1.0)

    def value(a: Any, x: Array) -> Any:
        d, s, zero = a.round(data), a.round(signs), a.round(0.0)
        t = a.mul(s, a.matmul(x, d.T))
        e = a.round(np.exp(sign(a, -sign(a, np.abs(t)))))
        loss = a.mean(a.add(np.maximum(sign(a, -t), zero), a.round(np.log1p(e))))
        if not weight:
            return loss
        half = a.round(weight / 2)
        return a.add(loss, a.mul(half, a.sum(a.mul(x, x))))

    def gradient(a: Any, x: Array) -> Any:
        d, s, one = a.round(data), a.round(signs), a.round(1.0)
        t = a.mul(s, a.matmul(x, d.T))
        e = a.round(np.exp(sign(a, -sign(a, np.abs(t)))))
        slope = a.mul(sign(a, -s), a.div(np.where(t < 0, one, e), a.add(one, e)))
        result = a.div(a.matmul(slope, d), 7)
        return a.add(result, a.mul(a.round(weight), x)) if weight else result

    problem = problems.logistic_regression(data, y, weight)
    same(problem, np.array([0.5, -1.1, 0.8]), fmt, mode, value, gradient)


@pytest.mark.parametrize(("fmt", "mode"), ARITHMETICS)
@pytest.mark.parametrize("bias", [False, True])
def test_rounded_network(fmt: str, mode: str, bias: bool) -> None:
    data, y = samples(5, 2, 6), np.array([0, 2, 1, 1, 0])
    net = problems.network(data, y, (3, 2), bias=bias)
    x = np.array(samples(1, net.size, 7)[0])

    def forward(a: Any, x: Array) -> Any:
        zero, inputs, parts = a.round(0.0), [a.round(data)], net.unflatten(x)
        weights = parts[::2] if bias else parts
        for i in range(3):
            z = a.matmul(inputs[-1], weights[i])
            if bias:
                z = a.add(z, parts[2 * i + 1])
            inputs.append(np.maximum(z, zero))
        return weights, inputs, a.sub(z, z.max(1, keepdims=True))

    def value(a: Any, x: Array) -> Any:
        z = forward(a, x)[-1]
        logs = a.round(np.log(a.sum(a.round(np.exp(z)), axis=1)))
        return a.mean(a.sub(logs, z[np.arange(5), y]))

    def gradient(a: Any, x: Array) -> Any:
        weights, inputs, z = forward(a, x)
        e = a.round(np.exp(z))
        p = a.div(e, a.sum(e, axis=1, keepdims=True))
        delta = a.sub(p, a.round(np.eye(3)[y]))
        parts = []
        for i in (2, 1, 0):
            if bias:
                parts.append(a.sum(delta, axis=0))
            parts.append(a.matmul(inputs[i].T, delta).ravel())
            if i:
                mask = (inputs[i] > 0).astype(float)
                delta = a.mul(a.matmul(delta, weights[i].T), mask)
        return a.div(np.concatenate(parts[::-1]), 5)

    same(net, x, fmt, mode, value, gradient)


def test_rounded_penalty_of_softmax() -> None:
    data, y = samples(5, 2, 6), [0, 2, 1, 1, 0]
    x = samples(1, 6, 8)[0]
    without, penalized = (problems.softmax_regression(data, y, l2) for l2 in (0.0, 0.3))

    def value(a: Any, x: Array) -> Any:
        loss = without.value(x, a)
        half = a.round(0.3 / 2)
        return a.add(loss, a.mul(half, a.sum(a.mul(x, x))))

    def gradient(a: Any, x: Array) -> Any:
        return a.add(without.gradient(x, a), a.mul(a.round(0.3), x))

    same(penalized, x, "bfloat16", "rne", value, gradient)


@pytest.mark.parametrize("name", PROBLEMS)
def test_rounding_to_binary64_is_float64(name: str) -> None:
    problem = PROBLEMS[name](1)
    x = np.random.default_rng(4).uniform(-1, 1, (2, problem.size))
    arithmetic = pysr.Arithmetic("float64", "rne")
    np.testing.assert_allclose(problem.value(x, arithmetic), problem.value(x), rtol=1e-13)
    gradient = problem.gradient(x)
    scale = np.abs(gradient).max()
    np.testing.assert_allclose(problem.gradient(x, arithmetic), gradient, atol=1e-13 * scale)


@pytest.mark.parametrize("name", PROBLEMS)
def test_rounded_points_to_nearest_do_not_depend_on_their_neighbours(name: str) -> None:
    problem = PROBLEMS[name](2)
    x = np.random.default_rng(3).standard_normal((2, 3, problem.size))
    arithmetic = pysr.Arithmetic("bfloat16", "rne")
    for function in (problem.value, problem.gradient):
        alone = [[function(point, arithmetic) for point in row] for row in x]
        np.testing.assert_array_equal(function(x, arithmetic), alone)
    assert problem.value(x[:0], arithmetic).shape == (0, 3)
    assert problem.gradient(x[:0], arithmetic).shape == (0, 3, problem.size)


def test_what_raises_draws_nothing() -> None:
    arithmetic = pysr.Arithmetic("Q7.8", "sr", rng=1, overflow="raise")
    himmelblau = problems.himmelblau()
    himmelblau.gradient([0.1, 0.2], arithmetic)
    position, inexact = arithmetic.stream.position, arithmetic.counts.inexact
    with pytest.raises(OverflowError):
        himmelblau.gradient([4.0, 4.0], arithmetic)
    assert (arithmetic.stream.position, arithmetic.counts.inexact) == (position, inexact)


def test_arithmetic_is_checked() -> None:
    himmelblau = problems.himmelblau()
    with pytest.raises(TypeError, match=r"arithmetic must be a pysr.Arithmetic, not 'bfloat16'"):
        himmelblau.gradient([0.0, 0.0], "bfloat16")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="sr_signed"):
        himmelblau.gradient([0.0, 0.0], pysr.Arithmetic("bfloat16", "sr_signed", eps=0.1))


# ---------------------------------------------------------------------------------------------
# Problems of one's own


def quartic(**keywords: Any) -> Problem:
    return Problem(lambda x: 4 * x**3, lambda x: np.sum(x**4, axis=-1), size=2, **keywords)


def test_own_problem() -> None:
    problem = quartic(
        name="quartic", start=[1, 2], minimizers=[[0, 0]], minimum=0, lipschitz=3, pl=0.5
    )
    assert (problem.minimum, problem.lipschitz, problem.pl) == (0.0, 3.0, 0.5)
    assert problem.has_value
    assert problem.diagonal is None
    np.testing.assert_array_equal(problem.start, [1.0, 2.0])
    np.testing.assert_array_equal(problem.minimizers, [[0.0, 0.0]])
    assert problem.value([1, 2]) == 17
    np.testing.assert_array_equal(problem.gradient([[1, 2], [0, 1]]), [[4, 32], [0, 4]])
    assert repr(problem) == "<Problem 'quartic' of size 2>"


def test_own_problem_at_one_point() -> None:
    def gradient(x: Any) -> Any:
        assert x.shape == (2,)
        return 4 * x**3

    def value(x: Any) -> Any:
        assert x.shape == (2,)
        return x[0] ** 4 + x[1] ** 4

    loop = Problem(gradient, value, size=2, vectorized=False)
    x = samples(6, 2, 1).reshape(3, 2, 2)
    np.testing.assert_array_equal(loop.gradient(x), quartic().gradient(x))
    np.testing.assert_allclose(loop.value(x), quartic().value(x), rtol=1e-15)
    assert loop.value(x[0, 0]).shape == ()
    rounded = loop.value(x, pysr.Arithmetic("bfloat16", "rne"))
    np.testing.assert_array_equal(rounded, pysr.round(rounded, "bfloat16", "rne"))
    np.testing.assert_allclose(rounded, loop.value(x), rtol=0.05)


def test_own_gradient_that_returns_its_argument() -> None:
    x = np.array([1.0, 2.0])
    result = Problem(lambda x: x, size=2).gradient(x)
    result[0] = 5.0
    assert x[0] == 1.0


def test_own_problem_without_a_value() -> None:
    problem = Problem(lambda x: x, size=2)
    assert not problem.has_value
    with pytest.raises(ValueError, match="'problem' of size 2> has a gradient alone"):
        problem.value([1.0, 2.0])
    with pytest.raises(ValueError, match="gradient alone"):
        check_gradient(problem, [1.0, 2.0])


def test_own_problem_of_the_wrong_shape() -> None:
    problem = Problem(lambda x: x[..., 0], lambda x: x, size=2)
    with pytest.raises(ValueError, match=r"gradient has shape \(3,\) for x of shape \(3, 2\)"):
        problem.gradient(np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"value has shape \(2,\) for x of shape \(2,\)"):
        problem.value(np.ones(2))


def test_own_problem_that_leaves_the_arithmetic() -> None:
    problem = Problem(lambda x: x.values, size=1)
    with pytest.raises(TypeError, match="must return a RoundedArray, not array"):
        problem.gradient([1.0], pysr.Arithmetic("bfloat16"))


# ---------------------------------------------------------------------------------------------
# The check of gradients


def test_check_gradient_finds_one_wrong_coordinate() -> None:
    def gradient(x: Array) -> Array:
        g = 4 * x**3
        g[..., 1] *= 1.001
        return g

    wrong = Problem(gradient, lambda x: np.sum(x**4, axis=-1), size=3)
    x = np.array([[1.0, 1.0, 1.0], [2.0, 0.1, -2.0]])
    assert check_gradient(wrong, x) == pytest.approx(0.001 / 1.001, rel=1e-4)
    assert check_gradient(wrong, x, coordinates=[0, 2]) < 1e-8
    assert check_gradient(wrong, x, coordinates=1) > 9e-4
    assert check_gradient(wrong, x[1], step=1e-3) > check_gradient(wrong, x[1]) > 1e-7


def test_check_gradient_at_its_ends() -> None:
    quadratic = problems.Quadratic([1.0, 2.0])
    assert check_gradient(quadratic, [0.0, 0.0]) == 0.0
    assert check_gradient(quadratic, np.ones((0, 2))) == 0.0
    assert check_gradient(quadratic, [1e8, -1e-8]) < 1e-9
    assert math.isnan(check_gradient(problems.rosenbrock(), [math.nan, 1.0]))
    with pytest.raises(TypeError, match="problem must be a Problem"):
        check_gradient(np.sin, [1.0])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="step must be more than 0"):
        check_gradient(quadratic, [1.0, 1.0], step=0)
    with pytest.raises(TypeError, match=r"coordinates must be integers, not \[0.5\]"):
        check_gradient(quadratic, [1.0, 1.0], coordinates=[0.5])
    with pytest.raises(IndexError):
        check_gradient(quadratic, [1.0, 1.0], coordinates=[2])


# ---------------------------------------------------------------------------------------------
# Bad input


GOOD = np.arange(6.0).reshape(3, 2)
BAD: list[tuple[Callable[[], Any], str]] = [
    (lambda: problems.Quadratic([]), r"spectrum must have 1 axis and hold numbers.*\(0,\)"),
    (lambda: problems.Quadratic([[1.0]]), r"spectrum must have 1 axis.*\(1, 1\)"),
    (lambda: problems.Quadratic([1.0, -2.0]), "spectrum must hold no negative.*from -2.0 to 1.0"),
    (lambda: problems.Quadratic([0.0, 0.0]), "spectrum must hold .*a positive one"),
    (lambda: problems.Quadratic([1.0, np.nan]), r"spectrum holds nan at \(1,\)"),
    (lambda: problems.Quadratic([1.0], [1.0, 2.0]), "minimizer has 2 coordinates, not 1"),
    (lambda: problems.Quadratic([1.0], [np.inf]), r"minimizer holds inf at \(0,\)"),
    (lambda: problems.Quadratic([1.0], start=[1.0, 2.0]), "start has 2 coordinates, not 1"),
    (lambda: problems.Quadratic([1.0, 2.0], basis=np.eye(3)), r"basis must have shape \(2, 2\)"),
    (lambda: problems.Quadratic([1.0], basis=[[2.0]]), "basis is not orthogonal: .*is 3 away"),
    (lambda: problems.random_basis(0), "n must be at least 1, not 0"),
    (lambda: problems.rosenbrock(1), "n must be at least 2, not 1"),
    (lambda: problems.pl_nonconvex(0), "n must be at least 1, not 0"),
    (lambda: problems.himmelblau().value([1.0]), r"x must have shape \(..., 2\), not \(1,\)"),
    (lambda: problems.himmelblau().gradient(1.0), r"x must have shape \(..., 2\), not \(\)"),
    (lambda: problems.pl_nonconvex().gradient(1.0), r"x must have shape \(..., 1\), not \(\)"),
    (lambda: problems.logistic_regression(GOOD, [0, 1]), "y has 2 labels, but X has 3 rows"),
    (lambda: problems.logistic_regression(GOOD, [0, 1, 2]), "y holds 2: labels must be 0 and 1"),
    (lambda: problems.logistic_regression(GOOD, [0, 1, -1]), "y holds -1: labels must be 0 and 1"),
    (lambda: problems.logistic_regression(GOOD, [0.5, 1, 1]), "y holds 0.5: labels"),
    (lambda: problems.logistic_regression(GOOD, [0, 1, np.nan]), r"y holds nan at \(2,\)"),
    (lambda: problems.logistic_regression(GOOD, [[0, 1, 1]]), "y must have 1 axis"),
    (lambda: problems.logistic_regression(GOOD[0], [0, 1]), r"X must have 2 axes.*\(2,\)"),
    (lambda: problems.logistic_regression(GOOD[:0], []), r"X must have 2 axes.*\(0, 2\)"),
    (lambda: problems.logistic_regression([[np.nan]], [0]), r"X holds nan at \(0, 0\)"),
    (lambda: problems.logistic_regression(GOOD, [0, 1, 1], -1), "l2 must be .*not -1"),
    (lambda: problems.logistic_regression(GOOD, [0, 1, 1], np.inf), "l2 must be finite .*inf"),
    (lambda: problems.softmax_regression(GOOD, [0, 1, -1]), "y holds -1: labels must be integers"),
    (lambda: problems.softmax_regression(GOOD, [0, 1, 1.5]), "y holds 1.5: labels must be integ"),
    (lambda: problems.softmax_regression(GOOD, [0, 1, 2], classes=2), "y holds 2: .*up to 1"),
    (lambda: problems.softmax_regression(GOOD, [0, 0, 0], classes=1), "classes .*2, not 1"),
    (lambda: problems.network(GOOD, [0, 1]), "y has 2 labels"),
    (lambda: problems.network(GOOD, [0, 1, 7], classes=3), "y holds 7: .*up to 2"),
    (lambda: problems.network(GOOD, [0, 1, 1], (3, 0)), r"hidden .*at least 1, not \(3, 0\)"),
    (
        lambda: problems.network(GOOD, [0, 1, 1], ()).unflatten([1.0]),
        r"x must have shape \(..., 6\), not \(1,\)",
    ),
    (lambda: Problem(np.sin, size=0), "size must be at least 1, not 0"),
    (lambda: quartic(start=[1.0]), "start has 1 coordinates, not 2"),
    (lambda: quartic(minimizers=[1.0, 2.0]), "minimizers must have 2 axes"),
    (lambda: quartic(minimizers=[[1.0]]), "minimizers has 1 coordinates, not 2"),
    (lambda: quartic(minimum=np.nan), r"minimum holds nan at \(\)"),
    (lambda: quartic(lipschitz=-1), "lipschitz must be finite and not negative, not -1"),
    (lambda: quartic(pl=np.nan), "pl must be finite and not negative, not nan"),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message for _, message in BAD])
def test_refuses(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Problem(1, size=1), "gradient must be callable, not 1"),
        (lambda: Problem(np.sin, 2, size=1), "value must be callable, not 2"),
        (lambda: Problem(np.sin, size=1.5), "size must be an integer, not 1.5"),
        (lambda: Problem(np.sin, size=1, name=3), "name must be a str, not 3"),
        (lambda: Problem(np.sin, size=1, vectorized="no"), "vectorized must be a bool, not 'no'"),
        (lambda: quartic(lipschitz="large"), "lipschitz must be a number, not 'large'"),
        (lambda: problems.rosenbrock(2.5), "n must be an integer, not 2.5"),
        (lambda: problems.network(GOOD, [0, 1, 1], (3.5,)), "hidden must be an integer, not 3.5"),
        (lambda: problems.network(GOOD, [0, 1, 1], bias="yes"), "bias must be a bool, not 'yes'"),
    ],
)
def test_refuses_types(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call()


def test_the_caller_may_change_the_data() -> None:
    x = samples(5, 2, 1)
    problem = problems.logistic_regression(x, [0, 1, 1, 0, 1])
    before = problem.value([1.0, 2.0])
    x[:] = 0
    assert problem.value([1.0, 2.0]) == before
