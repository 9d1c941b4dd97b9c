"""NumPy code on RoundedArrays: what it computes, to the last bit, and what it must not."""

from __future__ import annotations

import copy
import math
import operator
import pickle
import random
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import exact_model as em
import ml_dtypes
import numpy as np
import pytest
import scipy.linalg

import pysr
from pysr import _array_protocols as protocols

# ---------------------------------------------------------------------------------------------
# An exact model: the same operators on fractions


@dataclass
class Cell:
    """A value of the format, in an object array."""

    value: em.Value


class Machine:
    """An arithmetic with random words of its own."""

    def __init__(self, fmt: em.Format, mode: str, seed: int) -> None:
        self.fmt, self.mode = fmt, mode
        self.width = em.word_width(mode)
        self.stream = em.Stream(seed)

    def decide(self, op: str, exact: em.Value, start: int, i: int) -> Cell:
        """Round with word i of the words from block `start` on."""
        fmt, stream = self.fmt, self.stream
        away = False
        if em.needs_rounding(fmt, exact):
            split = em.split(fmt, exact)
            if self.mode != "sr":
                away = em.deterministic_away(fmt, split, self.mode)
            else:
                head = em.element_word(stream.seed, stream.stream, start, i, self.width)
                away = (em.endless_away if op in ("div", "sqrt") else em.sr_exact_away)(
                    split.phi,
                    head,
                    lambda level: em.refinement(stream.seed, stream.stream, start, i, level),
                )
        return Cell(em.round_value(fmt, exact, away, self.mode, fmt.default_overflow))

    def elements(self, op: str, *operands: Any) -> Model:
        """An operation on broadcast operands, one word an element."""
        arrays = np.broadcast_arrays(*(exactly(x) for x in operands))
        result = np.empty(arrays[0].shape, object)
        start = self.stream.call(result.size, self.width)
        for i, cells in enumerate(zip(*(x.ravel() for x in arrays), strict=True)):
            values = [cell.value for cell in cells]
            exact = values[0] if op == "round" else em.operate(op, values, self.mode)
            result[np.unravel_index(i, result.shape)] = self.decide(op, exact, start, i)
        return Model(result, self)

    def inner(self, a: Any, b: Any) -> Model:
        """Matrix product: for each element, products at words 2t and sums at words 2t + 1."""
        x, y = exactly(a), exactly(b)
        rows, columns = np.atleast_2d(x), y[:, None] if y.ndim == 1 else y
        n = len(columns)
        shape = x.shape[:-1] + y.shape[1:]
        result = np.empty(len(rows) * columns.shape[1], object)
        blocks = -(-2 * n * self.width // 128)
        start = self.stream.position
        for o in range(len(result)):
            first = 128 // self.width * blocks * o if self.width else 0
            total = None
            for t in range(n):
                row, column = divmod(o, columns.shape[1])
                pair = rows[row, t].value, columns[t, column].value
                term = self.decide("mul", em.operate("mul", pair, self.mode), start, first + 2 * t)
                if total is not None:
                    exact = em.operate("add", (total.value, term.value), self.mode)
                    term = self.decide("add", exact, start, first + 2 * t + 1)
                total = term
            result[o] = total
        self.stream.advance(len(result) * blocks)
        return Model(result.reshape(shape), self)


def exactly(x: Any) -> np.ndarray:
    """Cells of an operand, a plain one taken as it is."""
    if isinstance(x, Model):
        return x.cells
    cells = np.empty(np.shape(x), object)
    for index, number in np.ndenumerate(np.asarray(x, np.float64)):
        sign = bool(np.signbit(number))
        cells[index] = Cell(em.finite(sign, abs(Fraction(float(number)))))
    return cells


class Model:
    """As much of an array as the algorithms below use."""

    def __init__(self, cells: np.ndarray, machine: Machine) -> None:
        self.cells, self.machine = cells, machine

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def floats(self) -> np.ndarray:
        bits = [em.carrier_bits(em.FLOAT64, cell.value) for cell in self.cells.ravel()]
        return np.array(bits, np.uint64).view(np.float64).reshape(self.cells.shape)

    def __getitem__(self, key: Any) -> Model:
        found = self.cells[key]
        if not isinstance(found, np.ndarray):
            cells = np.empty((), object)
            cells[()] = found
            found = cells
        return Model(found, self.machine)

    def __setitem__(self, key: Any, x: Any) -> None:
        new = x if isinstance(x, Model) else self.machine.elements("round", x)
        self.cells[key] = new.cells if new.cells.ndim else new.cells[()]

    def copy(self) -> Model:
        return Model(self.cells.copy(), self.machine)

    def put(self, result: Model) -> Model:
        """What operators in place do: nothing but that, without dimensions."""
        if not self.cells.ndim:
            return result
        self.cells[...] = result.cells
        return self

    def __add__(self, other: Any) -> Model:
        return self.machine.elements("add", self, other)

    def __radd__(self, other: Any) -> Model:
        return self.machine.elements("add", other, self)

    def __sub__(self, other: Any) -> Model:
        return self.machine.elements("sub", self, other)

    def __rsub__(self, other: Any) -> Model:
        return self.machine.elements("sub", other, self)

    def __mul__(self, other: Any) -> Model:
        return self.machine.elements("mul", self, other)

    def __rmul__(self, other: Any) -> Model:
        return self.machine.elements("mul", other, self)

    def __truediv__(self, other: Any) -> Model:
        return self.machine.elements("div", self, other)

    def __iadd__(self, other: Any) -> Model:
        return self.put(self + other)

    def __isub__(self, other: Any) -> Model:
        return self.put(self - other)

    def __itruediv__(self, other: Any) -> Model:
        return self.put(self / other)

    def __matmul__(self, other: Model) -> Model:
        return self.machine.inner(self, other)

    def with_signs(self, negative: Callable[[bool], bool]) -> Model:
        """Signs changed; in formats without all of -x that is rounded, too."""
        cells = np.empty_like(self.cells)
        for index, cell in np.ndenumerate(self.cells):
            cells[index] = Cell(cell.value._replace(negative=negative(cell.value.negative)))
        changed = Model(cells, self.machine)
        fmt = self.machine.fmt
        if fmt.negative_zero and fmt.min == -fmt.max:
            return changed
        return self.machine.elements("round", changed)

    def __neg__(self) -> Model:
        return self.with_signs(lambda negative: not negative)

    def __abs__(self) -> Model:
        return self.with_signs(lambda negative: False)

    def __array_function__(self, function: Any, _: Any, arguments: Any, keywords: Any) -> Any:
        if function is np.argmax:
            return np.argmax(self.floats)
        assert function is np.zeros_like
        cells = np.empty(keywords.get("shape", self.cells.shape), object)
        for index in np.ndindex(cells.shape):
            cells[index] = Cell(em.finite(False, Fraction(0)))
        return Model(cells, self.machine)


# ---------------------------------------------------------------------------------------------
# Algorithms that know of nothing: `zeros_like` is their only concession


def conjugate_gradients(a: Any, b: Any, steps: int) -> Any:
    """Solve a x = b for a symmetric positive definite matrix."""
    x = np.zeros_like(b)
    r = b - a @ x
    p = r.copy()
    square = r @ r
    for _ in range(steps):
        q = a @ p
        alpha = square / (p @ q)
        x += alpha * p
        r -= alpha * q
        previous, square = square, r @ r
        p = r + square / previous * p
    return x


def lu(a: Any) -> tuple[Any, list[int]]:
    """Factors in one matrix, and the order of its rows, by partial pivoting."""
    a = a.copy()
    n = len(a)
    order = list(range(n))
    for k in range(n - 1):
        pivot = k + int(np.argmax(abs(a[k:, k])))
        if pivot != k:
            a[[k, pivot]] = a[[pivot, k]]
            order[k], order[pivot] = order[pivot], order[k]
        a[k + 1 :, k] /= a[k, k]
        a[k + 1 :, k + 1 :] -= a[k + 1 :, k][:, None] * a[k, k + 1 :]
    return a, order


def lotka_volterra(y: Any, steps: int, h: float) -> Any:
    """Predators and prey, by the classical Runge-Kutta method."""

    def slope(y: Any) -> Any:
        d = np.zeros_like(y)
        d[0] = y[0] * (1.1 - 0.4 * y[1])
        d[1] = -y[1] * (0.4 - 0.1 * y[0])
        return d

    path = np.zeros_like(y, shape=(steps + 1, 2))
    path[0] = y
    for i in range(steps):
        k1 = slope(y)
        k2 = slope(y + h / 2 * k1)
        k3 = slope(y + h / 2 * k2)
        k4 = slope(y + h * k3)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        path[i + 1] = y
    return path


RNG = np.random.default_rng(5)
GENERAL = RNG.uniform(-2, 2, (8, 8))
_factor = RNG.uniform(-1, 1, (8, 8))
DEFINITE = _factor @ _factor.T / 4 + np.eye(8)
VECTOR = RNG.uniform(-2, 2, 8)
ARITHMETICS = [
    (fmt, mode, carrier)
    for fmt, carrier in (("bfloat16", "float32"), ("Q5.10", "float64"))
    for mode in ("rne", "sr")
]
MODELS = {"bfloat16": em.NAMED["bfloat16"], "Q5.10": em.fixed_format(5, 10)}


def both(fmt: str, mode: str, *arrays: np.ndarray) -> tuple[list[Any], list[Any]]:
    """The same inputs as RoundedArrays and for the model, each rounded by its own arithmetic."""
    arithmetic = pysr.Arithmetic(fmt, mode, rng=11)
    machine = Machine(MODELS[fmt], mode, 11)
    return (
        [arithmetic.array(x) for x in arrays],
        [machine.elements("round", x.astype(np.float64)) for x in arrays],
    )


def check_bits(got: Any, expected: Model) -> None:
    """Values and the stream's position, to the last bit."""
    assert isinstance(got, pysr.RoundedArray)
    bits = got.values.astype(np.float64).view(np.uint64)
    np.testing.assert_array_equal(bits, expected.floats.view(np.uint64))
    assert got.arithmetic.stream.position == expected.machine.stream.position


@pytest.mark.parametrize(("fmt", "mode", "carrier"), ARITHMETICS)
def test_conjugate_gradients(fmt: str, mode: str, carrier: str) -> None:
    """Bit for bit, also when the residual is exactly 0 after some steps; and it does solve."""
    inputs, models = both(fmt, mode, DEFINITE.astype(carrier), VECTOR.astype(carrier))
    x = conjugate_gradients(*inputs, 8)
    check_bits(x, conjugate_gradients(*models, 8))
    assert x.dtype == carrier
    x = conjugate_gradients(*inputs, 4)
    np.testing.assert_allclose(x.values, np.linalg.solve(DEFINITE, VECTOR), atol=0.1)


@pytest.mark.parametrize(("fmt", "mode", "carrier"), ARITHMETICS)
def test_lu(fmt: str, mode: str, carrier: str) -> None:
    """Bit for bit; and the factors' product is the matrix."""
    (a,), (model,) = both(fmt, mode, GENERAL.astype(carrier))
    factors, order = lu(a)
    expected, order_of_model = lu(model)
    check_bits(factors, expected)
    assert order == order_of_model
    assert order != sorted(order)
    lower = np.tril(factors.values, -1).astype(np.float64) + np.eye(8)
    product = lower @ np.triu(factors.values).astype(np.float64)
    np.testing.assert_allclose(product, a.values[order], atol=0.1)


@pytest.mark.parametrize(("fmt", "mode", "carrier"), ARITHMETICS)
def test_lotka_volterra(fmt: str, mode: str, carrier: str) -> None:
    """Bit for bit; and near the solution in double."""
    start = np.array([5.0, 2.0], carrier)
    (y,), (model,) = both(fmt, mode, start)
    path = lotka_volterra(y, 20, 0.0625)
    check_bits(path, lotka_volterra(model, 20, 0.0625))
    reference = lotka_volterra(start.astype(np.float64), 20, 0.0625)
    np.testing.assert_allclose(path.values, reference, atol=0.5)


HARMONIC = 1 / np.arange(1.0, 10**6 + 1)


def test_harmonic_series_to_nearest_stops() -> None:
    """The sum of 1/k stays where it is after less than a hundred terms in bfloat16."""
    partial = pysr.Arithmetic("bfloat16", "rne").array(HARMONIC).cumsum()
    stop = int(np.argmax(partial == partial[-1]))
    assert stop < 100
    assert partial[-1].item() < 6 < HARMONIC.sum() - 8


def test_harmonic_series_stochastically() -> None:
    """
    Every seed is within 4 standard deviations of the sum, and their mean within 3.

    A step from S to S + t leaves the grid by at most t, so that its variance is at most t u with
    u <= 2^-7 (S + t); the S of a step has the exact sum as its mean, and steps are uncorrelated.
    Rounding the terms beforehand adds at most (2^-8 t)^2 / 4 each, and that much to t^2.
    """
    terms, sums = HARMONIC, np.cumsum(HARMONIC)
    deviation = math.sqrt(
        float((2.0**-7 * (terms * (sums - terms) + 1.01 * terms**2) + 2.0**-16 * terms**2).sum())
    )
    assert 0.85 < deviation < 0.95
    totals = []
    for seed in range(32):
        x = pysr.Arithmetic("bfloat16", "sr", rng=seed).array(terms.astype(np.float32))
        totals.append(np.sum(x).item())
    errors = np.array(totals) - sums[-1]
    assert len(set(totals)) > 8
    assert abs(errors).max() < 4 * deviation
    assert abs(errors.mean()) < 3 * deviation / math.sqrt(32)


# ---------------------------------------------------------------------------------------------
# What must not happen silently


def arithmetic_of(fmt: Any = "bfloat16", **keywords: Any) -> pysr.Arithmetic:
    return pysr.Arithmetic(fmt, "rne", **keywords)


def array(x: Any, fmt: Any = "bfloat16", dtype: Any = np.float32) -> pysr.RoundedArray:
    return arithmetic_of(fmt).array(x, dtype)


def cholesky(a: Any) -> np.ndarray:
    """With `np.zeros`, which makes a plain array."""
    n = len(a)
    factor = np.zeros((n, n))
    for j in range(n):
        factor[j, j] = np.sqrt(a[j, j] - np.sum(factor[j, :j] ** 2))
        for i in range(j + 1, n):
            factor[i, j] = (a[i, j] - np.sum(factor[i, :j] * factor[j, :j])) / factor[j, j]
    return factor


def plus_equal(plain: Any, x: Any) -> None:
    plain += x


SILENT: dict[str, Callable[[Any, Any], Any]] = {
    "cholesky": lambda a, b: cholesky(a),
    "element": lambda a, b: operator.setitem(np.zeros(3), 0, b[0]),
    "float32 element": lambda a, b: operator.setitem(np.zeros(3, np.float32), 0, b[0]),
    "integer element": lambda a, b: operator.setitem(np.zeros(3, int), 0, b[0]),
    "slice": lambda a, b: operator.setitem(np.zeros(8), slice(None), b),
    "plain array": lambda a, b: np.asarray(b),
    "plain array of rows": lambda a, b: np.array([b, b]),
    "plain array of elements": lambda a, b: np.array([b[0], b[1]]),
    "scipy.linalg.solve": lambda a, b: scipy.linalg.solve(a, b),
    "scipy.linalg.cholesky": lambda a, b: scipy.linalg.cholesky(a),
    "scipy.linalg.lu_factor": lambda a, b: scipy.linalg.lu_factor(a),
    "math.sqrt": lambda a, b: math.sqrt(b[0]),
    "math.exp": lambda a, b: math.exp(b[0]),
    "float": lambda a, b: float(b[0]),
    "int": lambda a, b: int(b[0]),
    "complex": lambda a, b: complex(b[0]),
    "index": lambda a, b: [1, 2, 3][b[0]],
    "array as index": lambda a, b: b[b],
    "range": lambda a, b: range(b[0]),
    "pysr.round": lambda a, b: pysr.round(b, "float16"),
    "Arithmetic.add": lambda a, b: arithmetic_of().add(b, b),
}


@pytest.mark.parametrize("call", SILENT.values(), ids=SILENT)
def test_nothing_becomes_plain_silently(call: Callable[[Any, Any], Any]) -> None:
    """A TypeError, which says what to write instead."""
    with pytest.raises(TypeError, match=r"\.values.*\.item\(\)"):
        call(array(DEFINITE), array(VECTOR))


def test_cholesky_in_double() -> None:
    """The factorization above is right with plain arrays: it is the arrays that it fails for."""
    np.testing.assert_allclose(cholesky(DEFINITE), np.linalg.cholesky(DEFINITE))


UNSUPPORTED: dict[str, Callable[[Any, Any], Any]] = {
    "numpy.linalg.solve": lambda a, b: np.linalg.solve(a, b),
    "numpy.linalg.inv": lambda a, b: np.linalg.inv(a),
    "numpy.linalg.qr": lambda a, b: np.linalg.qr(a),
    "numpy.linalg.svd": lambda a, b: np.linalg.svd(a),
    "numpy.linalg.cholesky": lambda a, b: np.linalg.cholesky(a),
    "numpy.linalg.eigh": lambda a, b: np.linalg.eigh(a),
    "numpy.linalg.det": lambda a, b: np.linalg.det(a),
    "numpy.linalg.lstsq": lambda a, b: np.linalg.lstsq(a, b),
    "numpy.fft.fft": lambda a, b: np.fft.fft(b),
    "numpy.fft.irfft": lambda a, b: np.fft.irfft(b),
    "numpy.einsum": lambda a, b: np.einsum("ij,j->i", a, b),
    "numpy.tensordot": lambda a, b: np.tensordot(a, b, 1),
    "numpy.std": lambda a, b: np.std(b),
    "numpy.var": lambda a, b: np.var(b),
    "numpy.average": lambda a, b: np.average(b),
    "numpy.median": lambda a, b: np.median(b),
    "numpy.cross": lambda a, b: np.cross(b[:3], b[:3]),
    "numpy.kron": lambda a, b: np.kron(b, b),
    "numpy.polyval": lambda a, b: np.polyval(b, b),
    "numpy.interp": lambda a, b: np.interp(b, b, b),
    "numpy.linspace": lambda a, b: np.linspace(b[0], b[1]),
    "numpy.convolve": lambda a, b: np.convolve(b, b),
    "numpy.save": lambda a, b: np.save("/nowhere/b.npy", b),
    "numpy.round": lambda a, b: np.round(b, 1),
    "numpy.remainder": lambda a, b: np.mod(b, 2),
    "numpy.floor_divide": lambda a, b: np.floor_divide(b, 2),
    "numpy.divmod": lambda a, b: np.divmod(b, 2),
    "numpy.nextafter": lambda a, b: np.nextafter(b, 2),
    "numpy.spacing": lambda a, b: np.spacing(b),
    "numpy.frexp": lambda a, b: np.frexp(b),
    "numpy.ldexp": lambda a, b: np.ldexp(b, 2),
    "numpy.logaddexp": lambda a, b: np.logaddexp(b, b),
    "numpy.add.at": lambda a, b: np.add.at(b, [0, 1], 1.0),
    "numpy.add.reduceat": lambda a, b: np.add.reduceat(b, [0, 1]),
    "numpy.subtract.reduce": lambda a, b: np.subtract.reduce(b),
    "numpy.maximum.accumulate": lambda a, b: np.maximum.accumulate(b),
    "numpy.less.outer": lambda a, b: np.less.outer(b, b),
    "numpy.linalg.norm with ord=1": lambda a, b: np.linalg.norm(b, 1),
    "numpy.linalg.norm with ord=2 of 2": lambda a, b: np.linalg.norm(a, 2),
    "numpy.linalg.norm with ord='nuc'": lambda a, b: np.linalg.norm(a, "nuc"),
    "numpy.sum with dtype=": lambda a, b: np.sum(b, dtype=float),
    "numpy.sum with where=": lambda a, b: np.sum(b, where=b > 0),
    "numpy.sum with initial=": lambda a, b: np.sum(b, initial=1),
    "numpy.add.reduce with initial=": lambda a, b: np.add.reduce(b, initial=1),
    "numpy.add with dtype=": lambda a, b: np.add(b, b, dtype=np.float64),
    "numpy.concatenate with dtype=": lambda a, b: np.concatenate([b, b], dtype=np.float64),
    "numpy.negative of RoundedArrays takes no where=": lambda a, b: np.negative(b, where=b > 0),
    "numpy.less: its results are bools": lambda a, b: np.less(b, b, out=b),
    "pysr.cast": lambda a, b: b.astype(np.float64),
}


@pytest.mark.parametrize(("text", "call"), UNSUPPORTED.items(), ids=UNSUPPORTED)
def test_unsupported(text: str, call: Callable[[Any, Any], Any]) -> None:
    """A TypeError names the function."""
    with pytest.raises(TypeError) as caught:
        call(array(DEFINITE), array(VECTOR))
    assert text in str(caught.value)
    assert ".values" in str(caught.value) or "takes no" in str(caught.value) or "norm" in text


def public_functions() -> dict[str, Any]:
    """Everything that NumPy lets arrays override, by name."""
    found = {}
    for module in (np, np.linalg, np.fft):
        for name in dir(module):
            value = getattr(module, name)
            if hasattr(value, "_implementation"):
                found[f"{value.__module__}.{value.__name__}"] = value
    return found


def test_every_other_function_is_refused() -> None:
    """Of all that NumPy has, functions and ufuncs, with its name."""
    x = array([1.0, 2.0])
    supported = {*protocols.FUNCTIONS, *protocols.CREATIONS}
    others = {k: f for k, f in public_functions().items() if f not in supported}
    assert len(others) > 100
    for name, function in others.items():
        with pytest.raises(TypeError, match=f"{name} has no rounded form".replace(".", r"\.")):
            x.__array_function__(function, (type(x),), (x,), {})
    ufuncs = {value for value in vars(np).values() if isinstance(value, np.ufunc)}
    assert {*protocols.UFUNCS, *protocols.PREDICATES, np.matmul} < ufuncs
    for ufunc in ufuncs - {*protocols.UFUNCS, *protocols.PREDICATES, np.matmul}:
        with pytest.raises(TypeError, match=f"numpy.{ufunc.__name__} has no rounded form"):
            ufunc(*[x] * ufunc.nin)


def test_two_arithmetics() -> None:
    """Operands of two are refused with both named, wherever they meet; `array` converts."""
    one = pysr.Arithmetic("bfloat16", rng=1).array([1.0, 2.0])
    other = pysr.Arithmetic("Q3.8", rng=1).array([1.0, 2.0])
    before = one.arithmetic.stream.position, other.arithmetic.stream.position
    for call in (
        lambda: one + other,
        lambda: one @ other,
        lambda: one**other,
        lambda: one == other,
        lambda: one < other[0],
        lambda: np.add(one, other),
        lambda: np.maximum(one, other),
        lambda: np.hypot(one, other),
        lambda: np.stack([one, other]),
        lambda: np.where([True, False], one, other),
        lambda: np.dot(one, other),
        lambda: np.array_equal(one, other),
        lambda: np.add(one, 1.0, out=other),
        lambda: np.copyto(one, other),
        lambda: operator.iadd(one, other),
        lambda: operator.setitem(one, 0, other[0]),
    ):
        with pytest.raises(TypeError) as caught:
            call()
        assert "'bfloat16'" in str(caught.value)
        assert "'Q3.8'" in str(caught.value)
    twin = pysr.Arithmetic("bfloat16", rng=1).array([1.0, 2.0])
    with pytest.raises(TypeError, match="two arithmetics"):
        one + twin
    assert before == (one.arithmetic.stream.position, other.arithmetic.stream.position)
    assert (one + one.arithmetic.array(other)).tolist() == [2.0, 4.0]


# ---------------------------------------------------------------------------------------------
# The protocols, function by function

A = array([[1.5, -2.25, 0.0], [3.0, 0.40625, -0.0]])
B = array([[-1.0, 4.0, 7.0], [0.5, 2.5, -8.0]])
B = A.arithmetic.array(B)
POSITIVE = A.arithmetic.array([0.25, 0.5, 0.75], np.float32)


def once(x: Any) -> np.ndarray:
    """Rounded to the format of A, from float64."""
    rounded = pysr.round(np.asarray(x, np.float64), "bfloat16", "rne")
    return np.asarray(rounded, np.float32)


def same(got: Any, expected: Any) -> None:
    """Equal to the last bit, and of the same kind all along."""
    if isinstance(expected, (list, tuple)):
        assert len(got) == len(expected)
        for x, y in zip(got, expected, strict=True):
            same(x, y)
        return
    if isinstance(got, pysr.RoundedArray):
        assert got.arithmetic is A.arithmetic
        got = got.values
        assert type(got) is np.ndarray
        assert got.dtype == np.float32
    else:
        assert not np.issubdtype(np.asarray(got).dtype, np.floating)
    expected = np.asarray(expected)
    assert got.shape == expected.shape if isinstance(got, np.ndarray) else True
    np.testing.assert_array_equal(got, expected)
    if expected.dtype.kind == "f":
        np.testing.assert_array_equal(np.signbit(got), np.signbit(expected))


OPERANDS: dict[np.ufunc, tuple[Any, ...]] = {
    **dict.fromkeys((np.sqrt, np.log, np.log2, np.log10, np.arcsin, np.arccos), (POSITIVE,)),
    **dict.fromkeys((np.arctanh, np.reciprocal, np.log1p), (POSITIVE,)),
    np.arccosh: (1 + POSITIVE,),
    np.power: (POSITIVE, B[0]),
    np.float_power: (POSITIVE, B[0]),
    np.divide: (A, B),
}


@pytest.mark.parametrize("ufunc", protocols.UFUNCS, ids=lambda f: f.__name__)
def test_ufunc(ufunc: np.ufunc) -> None:
    """NumPy's value in float64, rounded once: it is exact, or near enough to exact for bfloat16."""
    operands = OPERANDS.get(ufunc, (A, B)[: ufunc.nin])
    expected = once(ufunc(*(x.values.astype(np.float64) for x in operands)))
    same(ufunc(*operands), expected)
    out = np.zeros_like(operands[0])
    assert ufunc(*operands, out=out) is out
    same(out, expected)
    assert ufunc(*operands, out=(out,)) is out
    if ufunc.nin == 2:  # plain operands, on both sides and of all kinds
        x, y = operands
        double, single = y.values.astype(np.float64), y.values
        same(ufunc(x, double), expected)
        same(ufunc(x, single), expected)
        same(ufunc(x, single.tolist()), expected)
        same(ufunc(x.values, y), expected)
        column = y.values[..., :1]
        same(ufunc(x, column), once(ufunc(x.values.astype(np.float64), column)))


@pytest.mark.parametrize("ufunc", protocols.PREDICATES, ids=lambda f: f.__name__)
def test_predicate(ufunc: np.ufunc) -> None:
    """Plain bools, of values."""
    operands = (A, B)[: ufunc.nin]
    got = ufunc(*operands)
    assert type(got) is np.ndarray
    assert got.dtype == np.bool_
    expected = ufunc(*(x.values for x in operands))
    same(got, expected)
    out = np.zeros_like(expected)
    assert ufunc(*operands, out=out, where=WHERE) is out
    same(out, expected & WHERE)


WHERE = np.array([[True, False, True], [False, True, False]])


@pytest.mark.parametrize(
    "ufunc",
    [f for f in protocols.UFUNCS if f not in protocols._WITHOUT_WHERE],
    ids=lambda f: f.__name__,
)
def test_where(ufunc: np.ufunc) -> None:
    """Elements that are not chosen keep what `out` has, are 0 without, and keep their words."""
    operands = tuple(abs(x) / 16 + 1 if ufunc is np.arccosh else abs(x) / 16 for x in (A, B))
    operands = operands[: ufunc.nin]
    with np.errstate(all="ignore"):
        expected = once(ufunc(*(x.values.astype(np.float64) for x in operands)))
    same(ufunc(*operands, where=WHERE), np.where(WHERE, expected, np.float32(0)))
    out = np.full_like(A, 7)
    assert ufunc(*operands, out=out, where=WHERE) is out
    same(out, np.where(WHERE, expected, np.float32(7)))


def test_where_keeps_places_in_the_stream() -> None:
    x = np.full(300, 1.001)
    chosen = np.arange(300) % 3 == 0
    one, other = (pysr.Arithmetic("bfloat16", rng=3).array(x) for _ in range(2))
    got, everywhere = np.multiply(one, one, where=chosen), other * other
    np.testing.assert_array_equal(got.values[chosen], everywhere.values[chosen])
    assert one.arithmetic.stream.position == other.arithmetic.stream.position


STRUCTURE: dict[Any, list[Callable[[Any], Any]]] = {
    np.reshape: [
        lambda a: np.reshape(a, (3, 2)),
        lambda a: a.reshape(-1),
        lambda a: a.reshape(3, 2),
    ],
    np.ravel: [np.ravel, lambda a: a.ravel("F"), lambda a: a.flatten()],
    np.transpose: [np.transpose, lambda a: np.permute_dims(a, (1, 0)), lambda a: a.transpose(1, 0)],
    np.matrix_transpose: [np.matrix_transpose, lambda a: a.T, lambda a: a.mT],
    np.swapaxes: [lambda a: np.swapaxes(a, 0, 1), lambda a: a.swapaxes(0, 1)],
    np.moveaxis: [lambda a: np.moveaxis(a, 0, 1)],
    np.rollaxis: [lambda a: np.rollaxis(a, 1)],
    np.squeeze: [lambda a: np.squeeze(a[:1]), lambda a: a[:1].squeeze(0)],
    np.expand_dims: [lambda a: np.expand_dims(a, 1), lambda a: a[:, None]],
    np.broadcast_to: [lambda a: np.broadcast_to(a, (2, 2, 3))],
    np.copy: [np.copy, lambda a: a.copy(), lambda a: a.conj()],
    np.real: [np.real],
    np.flip: [np.flip, lambda a: a[::-1, ::-1]],
    np.fliplr: [np.fliplr],
    np.flipud: [np.flipud],
    np.roll: [lambda a: np.roll(a, 1, axis=1)],
    np.rot90: [np.rot90],
    np.tile: [lambda a: np.tile(a, 2)],
    np.repeat: [lambda a: np.repeat(a, 2, axis=0), lambda a: a.repeat([1, 2, 0], 1)],
    np.resize: [lambda a: np.resize(a, (3, 3))],
    np.split: [lambda a: np.split(a, 2)],
    np.array_split: [lambda a: np.array_split(a, 2, axis=1)],
    np.hsplit: [lambda a: np.hsplit(a, 3)],
    np.vsplit: [lambda a: np.vsplit(a, 2)],
    np.dsplit: [lambda a: np.dsplit(a[:, None], 3)],
    np.take: [lambda a: np.take(a, [0, 2], axis=1), lambda a: a.take([5, 1])],
    np.take_along_axis: [lambda a: np.take_along_axis(a, np.array([[0], [1]]), 1)],
    np.delete: [lambda a: np.delete(a, 1, axis=1)],
    np.diagonal: [np.diagonal, lambda a: a.diagonal(1)],
    np.sort: [np.sort, lambda a: np.sort(a, axis=0)],
    np.partition: [lambda a: np.partition(a, 1)],
    np.unique: [np.unique, lambda a: np.unique(a, return_counts=True)],
    np.diag: [np.diag, lambda a: np.diag(a[0])],
    np.diagflat: [np.diagflat],
    np.tril: [np.tril],
    np.triu: [lambda a: np.triu(a, 1)],
    np.atleast_1d: [np.atleast_1d, lambda a: np.atleast_1d(a[0, 0], a)],
    np.atleast_2d: [lambda a: np.atleast_2d(a[0])],
    np.atleast_3d: [np.atleast_3d],
    np.broadcast_arrays: [lambda a: np.broadcast_arrays(a, a[0], [[True], [False]])],
    np.shape: [np.shape, lambda a: a.shape],
    np.ndim: [np.ndim, lambda a: a.ndim],
    np.size: [np.size, lambda a: a.size, len],
    np.iscomplexobj: [np.iscomplexobj],
    np.isrealobj: [np.isrealobj],
    np.iscomplex: [np.iscomplex],
    np.isreal: [np.isreal],
    np.argsort: [np.argsort, lambda a: a.argsort(0)],
    np.argpartition: [lambda a: np.argpartition(a, 1)],
    np.argmax: [np.argmax, lambda a: np.argmax(a, axis=1), lambda a: a.argmax(0)],
    np.argmin: [np.argmin, lambda a: a.argmin()],
    np.nonzero: [np.nonzero, lambda a: a.nonzero(), lambda a: np.where(a)],
    np.flatnonzero: [np.flatnonzero],
    np.argwhere: [np.argwhere],
    np.count_nonzero: [np.count_nonzero],
    np.searchsorted: [lambda a: np.searchsorted(np.sort(a[0]), 1.0)],
    np.any: [np.any, lambda a: np.any(a, axis=0), lambda a: a.any(1)],
    np.all: [np.all, lambda a: a.all(0)],
    np.array_equal: [lambda a: np.array_equal(a, a), lambda a: np.array_equal(a, a[0])],
    np.array_equiv: [lambda a: np.array_equiv(a, a)],
    np.isclose: [lambda a: np.isclose(a, 1.5)],
    np.allclose: [lambda a: np.allclose(a, a), lambda a: np.allclose(a, 1.5, atol=4)],
    np.may_share_memory: [lambda a: np.may_share_memory(a, a[1:])],
    np.shares_memory: [lambda a: np.shares_memory(a, a.copy())],
    np.result_type: [lambda a: np.result_type(a).char == "f"],
    np.concatenate: [lambda a: np.concatenate([a, a], axis=1)],
    np.stack: [lambda a: np.stack([a, a], axis=-1), lambda a: np.stack(list(a))],
    np.vstack: [lambda a: np.vstack((a, a[0]))],
    np.hstack: [lambda a: np.hstack((a, a))],
    np.dstack: [lambda a: np.dstack([a, a])],
    np.column_stack: [lambda a: np.column_stack([a[:, 0], a])],
    np.block: [lambda a: np.block([[a, a], [a, a]])],
    np.append: [lambda a: np.append(a, a[:1], axis=0), lambda a: np.append(a, a)],
    np.where: [lambda a: np.where(a > 0, a, a[0])],
    np.zeros_like: [np.zeros_like, lambda a: np.zeros_like(a, shape=(4, 5)), lambda a: a * 0 + 0],
    np.empty_like: [lambda a: np.empty_like(a, shape=4) * 0 + 0],
    np.ones_like: [np.ones_like, lambda a: np.ones_like(a, bool), lambda a: np.ones_like(a, int)],
    np.full_like: [lambda a: np.full_like(a, 2.5), lambda a: np.full_like(a, a[1, 0], shape=3)],
    np.max: [np.max, lambda a: np.max(a, axis=1), lambda a: a.max(), lambda a: max(a[0])],
    np.min: [np.min, lambda a: np.min(a, axis=0, keepdims=True), lambda a: a.min((0, 1))],
    np.amax: [np.amax],
    np.amin: [lambda a: np.amin(a, axis=-1)],
}

# Functions that need more than one line: tested below, by name.
ELSEWHERE = {np.copyto, np.fill_diagonal, np.sum, np.prod, np.mean, np.cumsum, np.cumprod}
ELSEWHERE |= {np.trace, np.clip, np.diff, np.dot, np.inner, np.vdot, np.outer, np.linalg.norm}


@pytest.mark.parametrize("function", protocols.FUNCTIONS, ids=lambda f: f.__name__)
def test_structure(function: Any) -> None:
    """Where nothing is computed: the same as with values, nothing drawn."""
    if function in ELSEWHERE:
        return
    for call in STRUCTURE[function]:
        same(call(A), call(A.values))


def test_nothing_is_drawn_where_nothing_is_computed() -> None:
    x = pysr.Arithmetic("bfloat16", rng=4).array(A.values)
    before = x.arithmetic.stream.position
    fills = {np.ones_like, np.full_like, np.empty_like, np.zeros_like}
    for function, calls in STRUCTURE.items():
        if function not in fills:
            for call in calls:
                call(x)
    np.zeros_like(x)
    np.empty_like(x)
    _ = -x, +x, abs(x), x < x, x[0], np.maximum(x, x), np.copysign(x, -1.0)
    x[0] = x[1]
    assert x.arithmetic.stream.position == before


def test_putting_together_rounds_plain_members() -> None:
    """And only these."""
    x = array([1.0, 2.0])
    assert np.concatenate([x, [0.3]]).tolist() == [1.0, 2.0, 0.30078125]
    assert np.stack([x, np.array([0.1, 1.0])]).tolist() == [[1.0, 2.0], [0.10009765625, 1.0]]
    assert np.where([True, False], x, 0.3).tolist() == [1.0, 0.30078125]
    assert np.where([True, False], 0.3, x).dtype == np.float32
    assert np.append(x, 0.3).tolist() == [1.0, 2.0, 0.30078125]
    assert np.block([[x, np.array([0.3])]]).tolist() == [[1.0, 2.0, 0.30078125]]
    assert x.arithmetic.array([x[1], 0.3, [x[0]][0]]).tolist() == [2.0, 0.30078125, 1.0]
    wide = x.arithmetic.array(x, np.float64)
    assert np.concatenate([x, wide]).dtype == np.float64


def test_sums_and_products() -> None:
    """Reductions are those of the arithmetic, with the same words."""
    x, y = (RNG.normal(size=shape).astype(np.float32) for shape in ((4, 5, 6), (4, 5, 6)))

    def compare(call: Callable[[Any], Any], of_arithmetic: Callable[[Any, Any], Any]) -> None:
        arithmetic, twin = (pysr.Arithmetic("bfloat16", rng=8) for _ in range(2))
        got = call(arithmetic.array(x))
        expected = of_arithmetic(twin, twin.round(x))
        assert isinstance(got, pysr.RoundedArray)
        assert got.shape == np.shape(expected)
        np.testing.assert_array_equal(got.values, expected)
        assert got.dtype == np.float32
        assert arithmetic.stream.position == twin.stream.position

    for name in ("sum", "prod", "mean"):
        for axis in (None, 0, -1, (0, 2), (1,), (2, 1, 0)):
            for keep in (False, True):
                compare(
                    lambda a, n=name, k=axis, d=keep: getattr(np, n)(a, axis=k, keepdims=d),
                    lambda t, v, n=name, k=axis, d=keep: getattr(t, n)(v, k, keepdims=d),
                )
        compare(lambda a, n=name: getattr(a, n)(1), lambda t, v, n=name: getattr(t, n)(v, 1))
    for name in ("cumsum", "cumprod"):
        for axis in (None, 1):
            compare(
                lambda a, n=name, k=axis: getattr(np, n)(a, k),
                lambda t, v, n=name, k=axis: getattr(t, n)(v, k),
            )
    compare(lambda a: a.sum(order="pairwise"), lambda t, v: t.sum(v, order="pairwise"))
    compare(
        lambda a: a.sum(0, order="blocked", block=2),
        lambda t, v: t.sum(v, 0, order="blocked", block=2),
    )
    compare(np.add.reduce, lambda t, v: t.sum(v, 0))
    compare(lambda a: np.multiply.reduce(a, axis=None), lambda t, v: t.prod(v))
    compare(np.maximum.reduce, lambda t, v: v.max(0))
    compare(
        lambda a: np.minimum.reduce(a, axis=1, keepdims=True), lambda t, v: v.min(1, keepdims=True)
    )
    compare(np.add.accumulate, lambda t, v: t.cumsum(v, 0))
    compare(lambda a: np.multiply.accumulate(a, axis=2), lambda t, v: t.cumprod(v, 2))
    compare(lambda a: np.add.outer(a[0, 0], a[1]), lambda t, v: t.add(v[0, 0][:, None, None], v[1]))
    compare(np.linalg.norm, lambda t, v: t.norm2(v))
    compare(lambda a: np.linalg.norm(a[0, 0], 2), lambda t, v: t.norm2(v[0, 0]))
    compare(lambda a: np.linalg.norm(a[0], "fro"), lambda t, v: t.norm2(v[0]))
    compare(lambda a: np.linalg.norm(a, axis=1), lambda t, v: t.norm2(v, 1))
    compare(
        lambda a: np.linalg.norm(a, 2, axis=-1, keepdims=True),
        lambda t, v: t.norm2(v, -1, keepdims=True),
    )
    compare(lambda a: np.linalg.norm(a, "fro", axis=(0, 2)), lambda t, v: t.norm2(v, (0, 2)))
    compare(lambda a: np.trace(a), lambda t, v: t.sum(v.diagonal(), -1))
    compare(lambda a: np.trace(a[0], 1), lambda t, v: t.sum(v[0].diagonal(1)))
    compare(lambda a: np.diff(a), lambda t, v: t.sub(v[..., 1:], v[..., :-1]))
    compare(lambda a: np.diff(a, 1, 0), lambda t, v: t.sub(v[1:], v[:-1]))
    compare(lambda a: np.diff(a, 0), lambda t, v: v)
    vector = y[0, 0, :5]
    compare(lambda a: np.dot(a[0, 0, :5], vector), lambda t, v: t.dot(v[0, 0, :5], vector))
    compare(lambda a: np.dot(vector, a[0]), lambda t, v: t.matmul(vector, v[0]))
    compare(lambda a: a[0].dot(y[0].T), lambda t, v: t.matmul(v[0], y[0].T))
    compare(lambda a: np.dot(a, 3), lambda t, v: t.mul(v, np.float32(3)))
    compare(lambda a: np.dot(a, y[0].T), lambda t, v: t.matmul(v, y[0].T))
    compare(lambda a: a @ y.swapaxes(1, 2), lambda t, v: t.matmul(v, y.swapaxes(1, 2)))
    compare(lambda a: y[0] @ a[0].T, lambda t, v: t.matmul(y[0], v[0].T))
    compare(lambda a: y[0].tolist() @ a[0].T, lambda t, v: t.matmul(y[0], v[0].T))
    compare(lambda a: np.vdot(a, y), lambda t, v: t.dot(v.ravel(), y.ravel()))
    compare(lambda a: np.inner(a[0, 0], y[0, 0]), lambda t, v: t.dot(v[0, 0], y[0, 0]))
    compare(lambda a: np.inner(a[0], y[0, 0]), lambda t, v: t.matmul(v[0], y[0, 0]))
    compare(
        lambda a: np.outer(a[0], y[1, 1]),
        lambda t, v: t.mul(v[0].ravel()[:, None], y[1, 1][None, :]),
    )
    compare(lambda a: np.multiply.outer(a[0], 2.0), lambda t, v: t.mul(v[0], np.float32(2)))


def test_products_of_many_axes() -> None:
    """`dot` and `inner` sum over the axes that NumPy's do: exact with small integers."""
    x = np.arange(24.0).reshape(2, 3, 4) - 9
    y = np.arange(40.0).reshape(5, 4, 2) % 7 - 3
    a, b = (arithmetic_of("binary64").array(v) for v in (x, y))
    b = a.arithmetic.array(b)
    assert np.dot(a, b).tolist() == np.dot(x, y).tolist()
    assert np.dot(a[0, 0], b).tolist() == np.dot(x[0, 0], y).tolist()
    assert np.dot(a, y).tolist() == np.dot(x, y).tolist()
    assert np.inner(a, b.swapaxes(1, 2)).tolist() == np.inner(x, y.swapaxes(1, 2)).tolist()
    assert np.inner(2, a).tolist() == (2 * x).tolist()
    assert np.inner(a, 2).tolist() == (2 * x).tolist()
    for call in (
        lambda: np.dot(a, a),
        lambda: np.dot(a, np.ones((2, 3, 2))),
        lambda: np.inner(a, b),
        lambda: a @ a,
        lambda: a @ 2,
    ):
        with pytest.raises(ValueError, match=r"match|fit|scalar"):
            call()


def test_clip_and_selection() -> None:
    """Plain limits are taken as they are; what they give is rounded."""
    x = array([1.0, 2.0, 3.0])
    assert np.clip(x, 1.5, x[1]).tolist() == [1.5, 2.0, 2.0]
    assert x.clip(None, 2.1).tolist() == [1.0, 2.0, 2.09375]
    assert x.clip(min=2).tolist() == [2.0, 2.0, 3.0]
    assert np.clip(x, min=2, max=2.5).tolist() == [2.0, 2.0, 2.5]
    assert not np.shares_memory(np.clip(x, None, None), x)
    assert np.maximum(x, 2.1).tolist() == [2.09375, 2.09375, 3.0]
    assert np.fmin([1.1, np.nan, 9], x).tolist() == [1.0, 2.0, 3.0]
    assert np.copysign([1.1, 1, 1], -x).tolist() == [-1.1015625, -1.0, -1.0]
    assert np.copysign(x, -0.0).tolist() == [-1.0, -2.0, -3.0]


def test_signs_in_formats_that_are_not_symmetric() -> None:
    """-(-8) is too large for Q3.2, -0 is not in it, and nothing is negative in UQ2.2."""
    x = array([-8.0, 0.0, 2.0], "Q3.2")
    assert (-x).tolist() == [7.75, 0.0, -2.0]
    assert np.signbit(-x).tolist() == [False, False, True]
    assert abs(x).tolist() == [7.75, 0.0, 2.0]
    assert np.copysign(x, [1, -1, 1]).tolist() == [7.75, 0.0, 2.0]
    assert (-array([0.5, 1.0], "UQ2.2")).tolist() == [0.0, 0.0]
    assert np.signbit(-array([0.0]))[0]
    with pytest.raises(OverflowError):
        -arithmetic_of("Q3.2", overflow="raise").array([-8.0])
    assert np.ceil(array([0.75], "UQ0.2")).tolist() == [0.75]  # 1 is beyond the range
    assert np.sign(array([0.75, 0.0], "UQ0.2")).tolist() == [0.75, 0.0]


def test_elementary_functions_do_not_warn() -> None:
    x = array([0.0, -1.0, 200.0])
    assert np.log(x).tolist()[0] == -np.inf
    assert np.isnan(np.log(x).values[1])
    assert np.exp(x).tolist()[2] == np.inf
    assert np.isinf(2.0 ** (x * 2)).tolist() == [False, False, True]


def test_powers() -> None:
    """By squaring, from the leading digit of the exponent on."""
    arithmetic = pysr.Arithmetic("bfloat16", rng=21)
    v = np.array([1.25, 0.7, -1.75])
    for k in range(-5, 17):
        x = arithmetic.array(v)
        place = arithmetic.stream.position
        got = x**k
        after = arithmetic.stream.position
        twin = pysr.Arithmetic("bfloat16", rng=21)
        twin.stream.advance(place)
        result = x.values
        for digit in bin(abs(k))[3:]:
            result = twin.mul(result, result)
            if digit == "1":
                result = twin.mul(result, x.values)
        if k == 0:
            result = np.ones(3)
            twin.stream.advance(1)
        if k < 0:
            result = twin.div(1.0, result)
        np.testing.assert_array_equal(got.values, result)
        assert after == twin.stream.position
    x = array([2.0, 9.0])
    assert (
        (x**2).tolist() == np.power(x, 2).tolist() == (x ** np.float32(2)).tolist() == [4.0, 81.0]
    )
    assert (x**0.5).tolist() == np.sqrt(x).tolist() == [1.4140625, 3.0]
    assert (x**-1).tolist() == [0.5, 0.111328125]
    assert (x**1).tolist() == x.tolist()
    assert not np.shares_memory(x**1, x)
    assert (2**x).tolist() == [4.0, 512.0]
    assert (x**x).tolist() == once([4.0, 9.0**9]).tolist()
    assert (x**1.5).tolist() == once(np.array([2.0, 9.0]) ** 1.5).tolist()
    assert (x**65).tolist() == once(np.array([2.0, 9.0]) ** 65).tolist()
    x **= 2
    assert x.tolist() == [4.0, 81.0]


# ---------------------------------------------------------------------------------------------
# Operands, carriers, elements, memory


SCALARS: list[Any] = [
    *(2, 0.5, True, np.float64(0.5), np.float32(3), np.int64(7), np.bool_(1)),
    *(0.1, np.float64(0.1), 1e300, -1e-300, 2**100, math.inf, -0.0),
]
OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv]
NAMES = ["add", "sub", "mul", "div"]


@pytest.mark.parametrize("carrier", [np.float32, np.float64])
@pytest.mark.parametrize("mode", ["rne", "sr"])
def test_plain_scalars_are_taken_as_they_are(mode: str, carrier: Any) -> None:
    """Not rounded to the carrier, which the result has all the same."""
    v = np.array([1.0, -0.25, 3.0], carrier)
    for scalar in SCALARS:
        for function, name in zip(OPERATORS, NAMES, strict=True):
            for reflected in (False, True):
                for shape in ((3,), (1, 3), ()):
                    x = pysr.Arithmetic("bfloat16", mode, rng=6).array(np.resize(v, shape))
                    twin = pysr.Arithmetic("bfloat16", mode, rng=6)
                    wide = twin.round(x.values.astype(np.float64))
                    pair = (float(scalar), wide) if reflected else (wide, float(scalar))
                    expected = getattr(twin, name)(*pair)
                    got = function(scalar, x) if reflected else function(x, scalar)
                    assert got.dtype == carrier
                    assert got.shape == shape
                    np.testing.assert_array_equal(got.values, expected)
                    assert x.arithmetic.stream.position == twin.stream.position
                    assert x.arithmetic.counts.inexact == twin.counts.inexact


def test_exactly_once() -> None:
    """A scalar that float32 lacks decides what it would not if rounded first."""
    x = array([1.00390625, 1.00390625])  # on a tie of bfloat16: 1 or 1.0078125
    x = array(np.float32([1.0, 1.0]))
    assert (x + (2.0**-8 + 2.0**-40)).tolist() == [1.0078125, 1.0078125]
    assert (x + np.float32(2.0**-8 + 2.0**-40)).tolist() == [1.0, 1.0]
    assert (x + np.array([2.0**-8 + 2.0**-40, 2.0**-8])).tolist() == [1.0078125, 1.0]
    assert (x < 1 + 2.0**-40).all()
    assert not (x == 1 + 2.0**-40).any()
    assert np.maximum(x, 1.00390625 + 2.0**-40).tolist() == [1.0078125, 1.0078125]
    with pytest.raises(ValueError, match="not exact"):
        x + (2**70 + 1)
    with pytest.raises(ValueError, match="9007199254740993"):
        x + np.array([2**53 + 1, 1])
    with pytest.raises(ValueError, match="not exact"):
        x + 10**400


def test_plain_arrays() -> None:
    """On both sides, of any type and layout; a list is one too."""
    x = array([1.0, 2.0, 3.0])
    for other in (
        np.array([1, 2, 3]),
        np.array([1, 2, 3], np.int8),
        np.array([1.0, 2.0, 3.0]),
        np.array([1.0, 2.0, 3.0], ">f4"),
        np.array([1.0, 2.0, 3.0], ">f8"),
        np.array([1.0, 2.0, 3.0], np.float16),
        np.array([1.0, 2.0, 3.0], ml_dtypes.bfloat16),
        np.array([1, 0, 2, 0, 3.0])[::2],
        np.array([[3.0, 2.0, 1.0]])[:, ::-1],
        [1, 2, 3],
        (1.0, 2, 3),
    ):
        for got in (x + other, other + x):
            same_shape = np.shape(other)
            assert got.values.reshape(3).tolist() == [2.0, 4.0, 6.0]
            assert got.shape == same_shape
            assert got.dtype == np.float32
        assert (other - x).values.reshape(3).tolist() == [0.0, 0.0, 0.0]
        assert np.all(x == other)
    for other in (1j, np.array([1j]), "1", np.array(["1"]), None, {}, Fraction(1, 2), object()):
        with pytest.raises(TypeError):
            x + other
        with pytest.raises(TypeError):
            other * x
    assert x != None  # noqa: E711
    assert x != "x"
    with pytest.raises(TypeError, match="masked"):
        x + np.ma.array([1, 2, 3])
    with pytest.raises(TypeError):
        x < "x"  # noqa: B015


def test_carriers() -> None:
    """Two carriers meet in float64, and the narrow one keeps its own in place."""
    narrow = array([1.0, 2.0])
    wide = narrow.arithmetic.array([0.5, 0.25])
    assert (narrow.dtype, wide.dtype) == (np.float32, np.float64)
    assert (narrow * wide).dtype == (wide * narrow).dtype == np.float64
    assert np.maximum(narrow, wide).dtype == np.float64
    assert (narrow @ wide).dtype == np.float64
    narrow *= wide
    assert narrow.dtype == np.float32
    assert narrow.tolist() == [0.5, 0.5]
    for x, carrier in (
        (1, "f8"),
        ([1.0], "f8"),
        (np.float32(1), "f4"),
        (np.float16([1]), "f4"),
        (np.ones(2, ml_dtypes.bfloat16), "f4"),
        (np.ones(2, int), "f8"),
    ):
        assert narrow.arithmetic.array(x).dtype == carrier
        assert arithmetic_of("binary64").array(x).dtype == "f8"
        assert arithmetic_of(formats={"mul": "binary64"}).array(x).dtype == "f8"
        assert narrow.arithmetic.array(x, "f4").dtype == "f4"
    with pytest.raises(ValueError, match="float32"):
        arithmetic_of("binary64").array(1, np.float32)
    with pytest.raises(TypeError, match="dtype"):
        narrow.arithmetic.array(1, np.float16)
    with pytest.raises(TypeError, match="Arithmetic"):
        pysr.RoundedArray([1.0], "bfloat16")
    with pytest.raises(ValueError, match="sr_signed"):
        pysr.Arithmetic("bfloat16", "sr_signed").array(1.0)
    assert pysr.RoundedArray([0.3], narrow.arithmetic).tolist() == [0.30078125]


def test_array_rounds_as_the_arithmetic_does() -> None:
    """Element for element, whatever the carrier; values of the same arithmetic are copied."""
    v = RNG.normal(size=(30, 40))
    one, other, third = (pysr.Arithmetic("float8_e4m3fn", rng=2) for _ in range(3))
    x = one.array(v)
    expected = other.round(v)
    np.testing.assert_array_equal(x.values, expected)
    np.testing.assert_array_equal(third.array(v, np.float32).values, expected)
    assert one.stream.position == other.stream.position == third.stream.position
    twin = one.array(x)
    assert one.stream.position == other.stream.position
    assert not np.shares_memory(twin, x)
    np.testing.assert_array_equal(one.array(v.T[::2]).values, other.round(v.T[::2]))
    other.round([0.3, 1.0])
    assert one.array(1.0).shape == ()
    with pytest.raises(ValueError, match="9007199254740993"):
        one.array([2**53 + 1, 0.5])


def test_broadcasting_and_layouts() -> None:
    """The same bits for views, spread operands and arrays of many elements."""
    v = RNG.normal(size=(120, 160)).astype(np.float32)
    cases: list[tuple[Callable[[Any], Any], Callable[[Any], Any]]] = [
        (lambda a: a, lambda a: a[0]),
        (lambda a: a[:, :1], lambda a: a[:1]),
        (lambda a: a[0], lambda a: a[:, 0][:, None]),
        (lambda a: a.T, lambda a: a.T),
        (lambda a: a[::2, ::3], lambda a: a[1::2, ::3]),
        (lambda a: a[:5, :4], lambda a: a[3, 3]),
        (lambda a: a[3, 3], lambda a: a[5:9, ::2]),
        (lambda a: a[3, 3], lambda a: a),
        (lambda a: a[2, 3], lambda a: a[4, 5]),
        (lambda a: a[:0], lambda a: a[0]),
    ]
    for left, right in cases:
        for function, name in zip(OPERATORS, NAMES, strict=True):
            x = pysr.Arithmetic("bfloat16", rng=9).array(v)
            twin = pysr.Arithmetic("bfloat16", rng=9)
            rounded = twin.round(v)
            got = function(left(x), right(x))
            expected = getattr(twin, name)(left(rounded), right(rounded))
            assert got.shape == np.shape(expected)
            np.testing.assert_array_equal(got.values, expected)
            assert x.arithmetic.stream.position == twin.stream.position
    x = array(v)
    with pytest.raises(ValueError, match="broadcast"):
        x + x[:, :3]


def test_elements_and_views() -> None:
    """Slices share memory, single elements do not; assignment rounds."""
    x = array([[1.0, 2.0], [3.0, 4.0]])
    row = x[0]
    element = x[1, 1]
    assert isinstance(element, pysr.RoundedArray)
    assert element.shape == element.values.shape == ()
    row[1] = 0.3
    assert x.tolist() == [[1.0, 0.30078125], [3.0, 4.0]]
    x[1, 1] = 9
    assert element.item() == 4.0
    x[:, 0] = [0.1, row[1]]
    assert x.tolist() == [[0.10009765625, 0.30078125], [0.30078125, 9.0]]
    x[x > 1] = 0.7
    assert x[1, 1].item() == 0.69921875
    x[...] = np.float64(0.3)
    assert x.tolist() == [[0.30078125] * 2] * 2
    x.fill(2)
    assert x.sum().item() == 8.0
    assert [number.item() for number in x[0]] == [2.0, 2.0]
    assert all(isinstance(part, pysr.RoundedArray) for part in x)
    assert 2.0 in x
    assert 3.0 not in x
    np.fill_diagonal(x, 0.3)
    assert x.tolist() == [[0.30078125, 2.0], [2.0, 0.30078125]]
    np.copyto(x, [[0.1, 5.0]], where=[[True, False], [False, True]])
    assert x.tolist() == [[0.10009765625, 2.0], [2.0, 5.0]]
    x[0].sort()
    assert x.T[1].tolist() == [2.0, 5.0]
    assert np.shares_memory(x.reshape(4), x)
    for call in (
        lambda: np.copyto(np.zeros((2, 2)), x),
        lambda: np.fill_diagonal(np.zeros((2, 2)), x),
        lambda: plus_equal(np.zeros((2, 2)), x),
        lambda: np.add(x, x, out=np.zeros((2, 2))),
        lambda: np.sum(x, out=np.zeros(())),
        lambda: np.add.reduce(x, out=np.zeros(2)),
    ):
        with pytest.raises(TypeError, match=r"\.values|takes"):
            call()
    with pytest.raises(IndexError):
        x[5]
    with pytest.raises(TypeError):
        element[0]
    with pytest.raises(TypeError):
        len(element)
    with pytest.raises(TypeError):
        iter(element)


def test_assignment_draws_a_word_an_element_of_what_is_assigned() -> None:
    """Which is broadcast then."""
    arithmetic, twin = (pysr.Arithmetic("bfloat16", rng=13) for _ in range(2))
    x = np.zeros((50, 3), like=arithmetic.array(0))
    twin.round(0)
    x[:] = 0.3
    one = float(twin.round(0.3))
    assert x.tolist() == [[one] * 3] * 50
    x[:, 1] = np.full(50, 0.3)
    np.testing.assert_array_equal(x.values[:, 1], twin.round(np.full(50, 0.3)))
    assert np.full_like(x, 0.3).tolist() == [[float(twin.round(0.3))] * 3] * 50
    assert arithmetic.stream.position == twin.stream.position


def test_swaps() -> None:
    """As NumPy's: by lists they swap, by views the first row is lost."""
    x, plain = array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 2.0], [3.0, 4.0]])
    for a in (x, plain):
        a[[0, 1]] = a[[1, 0]]
    assert x.tolist() == plain.tolist() == [[3.0, 4.0], [1.0, 2.0]]
    for a in (x, plain):
        a[0, 0], a[1, 1] = a[1, 1], a[0, 0]
    assert x.tolist() == plain.tolist() == [[2.0, 4.0], [1.0, 3.0]]
    for a in (x, plain):
        a[0, :], a[1, :] = a[1, :].copy(), a[0, :].copy()
    assert x.tolist() == plain.tolist() == [[1.0, 3.0], [2.0, 4.0]]
    for a in (x, plain):
        a[0, :], a[1, :] = a[1, :], a[0, :]
    assert x.tolist() == plain.tolist() == [[2.0, 4.0], [2.0, 4.0]]


def test_in_place() -> None:
    """Memory stays, views see it; scalars are new ones."""
    x = array([1.0, 2.0, 3.0])
    view, memory = x[1:], x.values
    x += 0.3
    x -= x[:1]
    x *= [2, 3, 4]
    x /= array_of_same(x, [2.0, 3.0, 4.0])
    assert x.values is memory
    assert view.tolist() == x.tolist()[1:] == [1.0, 2.0]
    x[1:] += x[:2]
    assert x.tolist() == [0.0, 1.0, 3.0]
    x[0] += 5
    x **= 2
    assert x.tolist() == [25.0, 1.0, 9.0]
    first = total = x[0]
    total += x[1]
    assert (first.item(), total.item(), x[0].item()) == (25.0, 26.0, 25.0)
    m = array([[1.0, 2.0], [3.0, 4.0]])
    memory = m.values
    m @= m
    assert m.values is memory
    assert m.tolist() == [[7.0, 10.0], [15.0, 22.0]]
    with pytest.raises(TypeError):
        x += None


def test_a_wrong_shape_draws_nothing() -> None:
    """It is found before the operation is done."""
    x = pysr.Arithmetic("bfloat16", rng=1).array([1.0, 2.0, 3.0])
    position = x.arithmetic.stream.position
    for call in (
        lambda: operator.iadd(x, np.ones((2, 3))),
        lambda: operator.iadd(x, x[:, None]),
        lambda: operator.imul(x, np.ones(2)),
        lambda: operator.imatmul(x, np.ones((3, 2))),
        lambda: np.add(x, np.ones((2, 3)), out=x),
        lambda: np.matmul(x, np.ones((3, 2)), out=x),
    ):
        with pytest.raises(ValueError, match="shape"):
            call()
    assert x.tolist() == [1.0, 2.0, 3.0]
    assert x.arithmetic.stream.position == position


def array_of_same(x: pysr.RoundedArray, values: Any) -> pysr.RoundedArray:
    return x.arithmetic.array(values, x.dtype)


def test_out_takes_the_results() -> None:
    """Of ufuncs, reductions and functions; into another carrier and a larger shape too."""
    x = array([[1.0, 2.0], [3.0, 4.0]])
    out = np.zeros_like(x, np.float64)
    assert np.multiply(x, 1.3, out=out) is out
    assert out.tolist() == [[1.296875, 2.59375], [3.90625, 5.1875]]
    row = np.zeros_like(x[0])
    assert np.sum(x, axis=0, out=row) is row
    assert row.tolist() == [4.0, 6.0]
    assert np.max(x, axis=1, out=row).tolist() == [2.0, 4.0]
    assert np.dot(x, x, out=out).tolist() == [[7.0, 10.0], [15.0, 22.0]]
    assert np.matmul(x, x, out=out) is out
    assert np.concatenate([row[:1], row[1:]], out=row).tolist() == [2.0, 4.0]
    assert np.add([1.0, 2.0], 0.3, out=row).tolist() == [1.296875, 2.296875]
    assert np.add(row, 1, out=out).tolist() == [[2.296875, 3.296875]] * 2
    assert np.negative(row, out=row).tolist() == [-1.296875, -2.296875]
    with pytest.raises(ValueError, match="out has shape"):
        np.add(x, x, out=row)
    with pytest.raises(ValueError, match="out has shape"):
        np.sum(x, out=row[:0])
    for call in (
        lambda: np.argmax(x, axis=0, out=row),
        lambda: np.any(x, axis=0, out=row),
        lambda: np.matmul([1.0, 2.0], [[1.0, 2.0], [3.0, 4.0]], out=row),
        lambda: np.dot([1.0, 2.0], [[1.0, 2.0], [3.0, 4.0]], out=row),
        lambda: np.sum([[1.0, 2.0]], axis=0, out=row),
    ):
        with pytest.raises(TypeError, match="out= is a RoundedArray, and"):
            call()
    index = np.zeros(2, int)
    assert np.argmax(x, axis=1, out=index) is index
    assert index.tolist() == [1, 1]


def test_new_arrays() -> None:
    """By `like`, and with dtypes of integers and bools for plain ones."""
    x = array([[1.0, 2.0, 3.0]])
    for new, expected in (
        (np.zeros(2, like=x), [0.0, 0.0]),
        (np.empty((1, 1), like=x) * 0, [[0.0]]),
        (np.ones(2, like=x), [1.0, 1.0]),
        (np.full(2, 0.3, like=x), [0.30078125] * 2),
        (np.eye(2, like=x), [[1.0, 0.0], [0.0, 1.0]]),
        (np.eye(2, 3, 1, like=x), [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
        (np.identity(1, like=x), [[1.0]]),
        (np.array([0.3, 1], like=x), [0.30078125, 1.0]),
        (np.array([x[0, 0], x[0, 1]], like=x), [1.0, 2.0]),
        (np.asarray(x, like=x), [[1.0, 2.0, 3.0]]),
        (np.zeros_like(x, float), [[0.0, 0.0, 0.0]]),
        (np.zeros(2, dtype=float, like=x), [0.0, 0.0]),
    ):
        assert isinstance(new, pysr.RoundedArray)
        assert new.arithmetic is x.arithmetic
        assert new.dtype == np.float32
        assert new.tolist() == expected
    assert np.zeros_like(x, dtype=np.float64).dtype == np.float64
    assert np.zeros_like(x.T).values.flags.f_contiguous == x.T.values.flags.f_contiguous
    for plain in (
        np.zeros_like(x, dtype=int),
        np.full_like(x, 3, dtype=bool),
        np.ones(3, dtype=np.int8, like=x),
        np.eye(3, dtype=bool, like=x),
    ):
        assert type(plain) is np.ndarray
    for dtype in (np.float16, complex, object):
        with pytest.raises(TypeError, match="float32 or float64"):
            np.zeros_like(x, dtype=dtype)
    with pytest.raises(ValueError, match="float32"):
        np.zeros_like(arithmetic_of("binary64").array([1.0]), np.float32)
    powers = arithmetic_of("float8_e8m0fnu").array([1.0, 2.0])
    assert np.isnan(np.zeros_like(powers).values).all()
    for function in (np.diag, np.tril):
        with pytest.raises(ValueError, match="no zero"):
            function(powers)


def test_arguments_by_keyword() -> None:
    x = array([[1.0, 2.0], [3.0, 4.0]])
    assert np.flip(m=x, axis=0).tolist() == [[3.0, 4.0], [1.0, 2.0]]
    assert np.diag(v=x).tolist() == [1.0, 4.0]
    assert np.sum(a=x, axis=1).tolist() == [3.0, 7.0]
    assert np.linalg.norm(x=x[0, :1]).item() == 1.0
    assert np.argmax(a=x) == 3
    with pytest.raises(ValueError, match=r"out has shape \(2, 2\), the result \(2,\)"):
        np.sum(x, 0, None, x)


def test_numbers_and_text() -> None:
    x = array([[1.0, 0.3]])
    assert repr(x) == "RoundedArray([[1.        , 0.30078125]], 'bfloat16', 'rne')"
    assert str(x) == str(x.values)
    assert repr(x[0, 0]) == "RoundedArray(1., 'bfloat16', 'rne')"
    assert f"{x[0, 1]:.2f} {x[0]}" == "0.30 [1.         0.30078125]"
    assert repr(array([-1.0], "Q3.8")) == "RoundedArray([-1.], 'Q3.8', 'rne')"
    assert x.item(1) == x.item(0, 1) == x[0, 1].item() == 0.30078125
    assert type(x.item(0)) is float
    assert x.tolist() == [[1.0, 0.30078125]]
    assert x[0, 0].tolist() == 1.0
    assert bool(x[0, 0])
    assert not x[:, :1] - 1
    with pytest.raises(ValueError, match="ambiguous"):
        bool(x)
    with pytest.raises(ValueError, match="ambiguous"):
        bool(x[:0])
    with pytest.raises(TypeError, match="unhashable"):
        hash(x)
    with pytest.raises(TypeError):
        x[0, 0] // 2
    assert sum(x[0]).item() == 1.296875
    assert max(x[0]).item() == 1.0
    assert sorted(x[0])[0].item() == 0.30078125
    assert math.isclose(x[0, 0].item(), 1)


def test_comparisons() -> None:
    """Plain bools, reflected too."""
    x = array([1.0, 2.0, 3.0])
    for compare in (
        *(operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne),
    ):
        for other in (2, 2.0, np.float32(2), [1, 3, 2], np.array([3.0, 2.0, 1.0]), x[::-1], x[1]):
            values = other.values if isinstance(other, pysr.RoundedArray) else other
            for got, expected in (
                (compare(x, other), compare(x.values, values)),
                (compare(other, x), compare(values, x.values)),
            ):
                assert type(got) is np.ndarray
                np.testing.assert_array_equal(got, expected)
    assert type(x[0] < x[1]) is np.bool_


def test_copies() -> None:
    """Copies share the arithmetic, deep ones and pickles do not; what shared it still does."""
    arithmetic = pysr.Arithmetic("bfloat16", rng=17)
    x = arithmetic.array([1.0, 2.0])
    y = x[1:]
    for twin in (x.copy(), copy.copy(x), np.copy(x), +x, arithmetic.array(x)):
        assert twin.arithmetic is arithmetic
        assert not np.shares_memory(twin, x)
    for duplicate in (copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))):
        a, b = duplicate((x, y))
        assert a.arithmetic is b.arithmetic
        assert a.arithmetic is not arithmetic
        assert a.tolist() == x.tolist()
        assert (a * 1.3 + b).tolist() == (x.arithmetic.array(x) * 1.3 + y).tolist()
        assert a.arithmetic.stream.position == arithmetic.stream.position
        a[0] = 7
        assert x[0].item() == 1.0
    narrow = pickle.loads(pickle.dumps(array([1.0, 2.0])))
    assert (narrow + narrow.arithmetic.array([1.0, 1.0], np.float32)).dtype == np.float32
    assert (narrow + (2.0**-8 + 2.0**-40)).tolist() == [1.0078125, 2.0]
    scalar = pickle.loads(pickle.dumps(x[0]))
    assert isinstance(scalar, pysr.RoundedArray)
    assert scalar.shape == ()


def test_totals_and_overflow() -> None:
    """The arithmetic counts what its arrays do; an overflow that raises changes nothing."""
    x = arithmetic_of("float8_e4m3fn").array([448.0, 1.0])
    _ = x * 2
    assert x.arithmetic.counts.overflow == 1
    y = pysr.Arithmetic("Q3.8", rng=1, overflow="raise").array([7.0, 1.0])
    position = y.arithmetic.stream.position
    for call in (lambda: y * 2, lambda: operator.imul(y, 2), lambda: y + y, lambda: y * y[0]):
        with pytest.raises(OverflowError, match="index 0"):
            call()
    assert y.tolist() == [7.0, 1.0]
    assert y.arithmetic.stream.position == position


def test_formats_of_single_operations() -> None:
    """Products in another format, as the arithmetic has them."""
    x = arithmetic_of("bfloat16", formats={"mul": "float16"}).array([1.0078125], np.float32)
    product = x * x
    assert product.item() == float(np.float16(1.0078125**2))
    assert (product + 0).item() == 1.015625


@pytest.mark.parametrize(
    "call",
    [
        lambda a: np.concatenate((a[:2], a[2:]), 0, np.zeros(4)),
        lambda a: np.take(a, [0, 1], None, np.zeros(2)),
        lambda a: np.stack((a[:2], a[2:]), 0, np.zeros((2, 2))),
        lambda a: np.sum(a, None, None, np.zeros(())),
        lambda a: np.any(a, None, a[:1].reshape(())),
        lambda a: np.all(a, 0, a[0]),
    ],
)
def test_out_by_position_is_refused_like_out(call):
    a = pysr.Arithmetic("bfloat16", "rne").array([1.0, 2.0, 3.0, 4.0])
    with pytest.raises(TypeError, match=r"out=|into a plain array"):
        call(a)


def test_out_by_position():
    arithmetic = pysr.Arithmetic("bfloat16", "rne")
    a, out = arithmetic.array([1.0, 2.0, 3.0, 4.0]), arithmetic.array(np.zeros(4))
    assert np.concatenate((a[2:], a[:2]), 0, out) is out
    assert out.values.tolist() == [3.0, 4.0, 1.0, 2.0]


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_matrices_are_refused():
    a = pysr.Arithmetic("bfloat16", "rne").array(np.ones((2, 2)))
    matrix = np.matrix([[1.0, 2.0], [3.0, 4.0]])
    for call in (lambda: a * matrix, lambda: matrix * a, lambda: a + matrix):
        with pytest.raises(TypeError, match="matrix"):
            call()


def test_operands_heed_no_error_state():
    a = pysr.Arithmetic("bfloat16", "rne").array(np.float32([1.0]))
    with np.errstate(all="raise"):
        assert (a * np.float64(1e-50)).values.tolist() == [0.0]
        assert (np.float64(1e-50) * a).values.tolist() == [0.0]
        assert not (a == np.float64(1e-50)).any()


# ---------------------------------------------------------------------------------------------
# An operation that raises leaves everything as it was


class Given:
    """Operands: what is done to them draws and counts, until it raises."""

    def __init__(self, mode: str) -> None:
        arithmetic = pysr.Arithmetic("float8_e4m3fn", mode, rng=5, overflow="raise")
        self.array = arithmetic.array
        self.x, self.read = (self.array([1.1, 2.1, 3.1]) for _ in range(2))
        self.read.values.flags.writeable = False
        self.wide = np.broadcast_to(self.x[:1], 3)
        self.wide.values.flags.writeable = True
        self.m = self.array(np.linspace(0.3, 1.1, 9).reshape(3, 3))
        self.large = self.array([20.0, 0.3, 20.0, 0.3])
        self.signed = self.array([200.0, -200.0, 200.0, -200.0])
        self.other = pysr.Arithmetic("float8_e4m3fn", mode, rng=6).array([1.1, 2.1, 3.1])
        self.ones = np.array([0.1, 0.1, 0.1])
        self.pair = [0.1, 0.2]

    def state(self) -> Any:
        """Everything that an operation may change."""
        arrays = [x for x in vars(self).values() if isinstance(x, pysr.RoundedArray)]
        arithmetics = self.x.arithmetic, self.other.arithmetic
        return [x.values.tobytes() for x in arrays], [
            (a.stream.state, repr(a.counts)) for a in arithmetics
        ]


INTO: dict[str, Callable[[Given], Any]] = {
    "of a shape": lambda g: g.large[:2],
    "read-only": lambda g: g.read,
    "all one": lambda g: g.wide,
    "of another": lambda g: g.other,
}
RESULTS: dict[str, Callable[[Given, Any], Any]] = {
    "multiply": lambda g, out: np.multiply(g.x, 0.3, out=out),
    "multiply where": lambda g, out: np.multiply(g.x, 0.3, out=out, where=[True, False, True]),
    "exp": lambda g, out: np.exp(g.x, out=out),
    "power": lambda g, out: np.power(g.x, 3, out=out),
    "maximum": lambda g, out: np.maximum(g.x, 1.7, out=out),
    "matmul": lambda g, out: np.matmul(g.x, g.m, out=out),
    "add.reduce": lambda g, out: np.add.reduce(g.m, out=out),
    "multiply.accumulate": lambda g, out: np.multiply.accumulate(g.x, out=out),
    "sum": lambda g, out: np.sum(g.m, axis=0, out=out),
    "prod": lambda g, out: np.prod(g.m, axis=0, out=out),
    "mean": lambda g, out: np.mean(g.m, axis=0, out=out),
    "cumsum": lambda g, out: np.cumsum(g.x, out=out),
    "dot": lambda g, out: np.dot(g.x, g.m, out=out),
    "trace": lambda g, out: np.trace(np.stack([g.m] * 3, -1), out=out),
    "clip": lambda g, out: np.clip(g.x, 1.7, 2.7, out=out),
    "concatenate": lambda g, out: np.concatenate([g.x[:2], [0.1]], out=out),
    "stack": lambda g, out: np.stack([g.x[0], 0.1, 0.2], out=out),
}

REFUSED: dict[str, Callable[[Given], Any]] = {
    **{
        f"{name}, out {text}": lambda g, call=call, into=into: call(g, into(g))
        for name, call in RESULTS.items()
        for text, into in INTO.items()
    },
    "item beyond": lambda g: operator.setitem(g.x, 100, 0.1),
    "item of a name": lambda g: operator.setitem(g.x, "x", 0.1),
    "items beyond": lambda g: operator.setitem(g.x, [0, 100], g.pair),
    "items of a mask": lambda g: operator.setitem(g.x, [True, False], 0.1),
    "items of a shape": lambda g: operator.setitem(g.x, slice(None), g.pair),
    "item, read-only": lambda g: operator.setitem(g.read, 0, 0.1),
    "items, one bad": lambda g: operator.setitem(g.x, slice(3), [g.x[0], 0.1, "x"]),
    "items, one of a shape": lambda g: operator.setitem(g.x, slice(2), [g.x[:1], [0.1], g.pair]),
    "items, one beyond": lambda g: operator.setitem(g.x, slice(3), [g.x[0], 0.1, 1e9]),
    "fill of a shape": lambda g: g.x.fill(g.pair),
    "fill, read-only": lambda g: g.read.fill(0.1),
    "+=, read-only": lambda g: operator.iadd(g.read, 0.1),
    "+=, a diagonal": lambda g: operator.iadd(g.m.diagonal(), 0.1),
    "+=, all one": lambda g: operator.iadd(g.wide, 0.1),
    "+= of a shape": lambda g: operator.iadd(g.x, g.pair),
    "**=, read-only": lambda g: operator.ipow(g.read, 3),
    "**= of a shape": lambda g: operator.ipow(g.x, g.m),
    "@=, read-only": lambda g: operator.imatmul(g.read, g.m),
    "@= of a shape": lambda g: operator.imatmul(g.x, g.m[:, :2]),
    "where of a shape": lambda g: np.multiply(g.x, 0.3, where=[True, False]),
    "where of numbers": lambda g: np.multiply(g.x, 0.3, where=[1, 0, 1]),
    "outer of a shape": lambda g: np.outer(g.x, g.pair, out=g.m),
    "multiply.outer of a shape": lambda g: np.multiply.outer(g.x, g.pair, out=g.m),
    "clip, a limit of a shape": lambda g: np.clip(g.x, 1.7, g.pair),
    "clip, a bad limit": lambda g: g.x.clip(1.7, "x"),
    "clip, limits of two": lambda g: np.clip(g.ones, g.x[0], g.other),
    "concatenate, one bad": lambda g: np.concatenate([g.x, g.ones, ["x"]]),
    "concatenate, one of a shape": lambda g: np.concatenate([g.x, [g.ones]]),
    "concatenate, one of another": lambda g: np.concatenate([g.ones, g.x, g.other]),
    "concatenate, no such axis": lambda g: np.concatenate([g.x, g.ones], axis=3),
    "stack of shapes": lambda g: np.stack([g.x, g.pair]),
    "vstack of shapes": lambda g: np.vstack([g.x, g.pair]),
    "block of shapes": lambda g: np.block([[g.x], [g.ones[:2]]]),
    "append, no such axis": lambda g: np.append(g.x, g.ones, axis=2),
    "where of shapes": lambda g: np.where([True, False], g.x, g.ones),
    "where, one bad": lambda g: np.where([True] * 3, [g.x[0], 0.1, "x"], g.x),
    "copyto of a shape": lambda g: np.copyto(g.x, g.pair),
    "copyto, read-only": lambda g: np.copyto(g.read, 0.1),
    "copyto where of a shape": lambda g: np.copyto(g.x, 0.1, where=[True, False]),
    "fill_diagonal of one axis": lambda g: np.fill_diagonal(g.x, 0.1),
    "fill_diagonal, read-only": lambda g: np.fill_diagonal(np.broadcast_to(g.x, (3, 3)), 0.1),
    "full of a shape": lambda g: np.full((2, 2), g.ones, like=g.x),
    "full_like of a shape": lambda g: np.full_like(g.x, g.pair),
    "array, one bad": lambda g: g.array([0.1, g.x[0], "x"]),
    "array, one of a shape": lambda g: g.array([0.1, g.x]),
    "array, one of another": lambda g: g.array([0.1, g.x[0], g.other[0]]),
    "array beside, one bad": lambda g: np.array([0.1, g.x[0], "x"], like=g.x),
    "diff, no number": lambda g: np.diff(g.m, n="x"),
    "dot of shapes": lambda g: np.dot(g.x, g.pair),
    # beyond the range, of a later step or member
    "power 5": lambda g: g.large**5,
    "power -3": lambda g: g.large**-3,
    "power 5 in place": lambda g: operator.ipow(g.large, 5),
    "power by function": lambda g: np.power(g.large, 5),
    "power, out beyond": lambda g: np.power(g.large, 5, out=g.large),
    "diff beyond": lambda g: np.diff(g.signed, n=2),
    "clip beyond": lambda g: np.clip(g.x, 1.7, [-999.0, 1.0, 1.0]),
    "x.clip beyond": lambda g: g.x.clip(1.7, [-999.0, 1.0, 1.0]),
    "concatenate beyond": lambda g: np.concatenate([g.x, g.ones, [1e9]]),
    "stack beyond": lambda g: np.stack([g.x, g.ones, [0.1, 0.1, 1e9]]),
    "where beyond": lambda g: np.where(g.x.values > 2, g.x, [0.1, 1e9, 0.1]),
    "copyto beyond": lambda g: np.copyto(g.x, [g.x[0], 0.1, 1e9]),
    "array beyond": lambda g: g.array([g.x[0], 0.1, 1e9]),
    "norm beyond": lambda g: np.linalg.norm(g.large),
    "mean beyond": lambda g: np.mean(np.repeat(g.signed[0], 3)),
    "inner beyond": lambda g: np.inner(g.large, g.large),
}


@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("mode", ["sr", "rne"])
def test_what_raises_changes_nothing(mode: str, call: Callable[[Given], Any]) -> None:
    """Nothing drawn, counted or written, however far it has come."""
    given = Given(mode)
    before = given.state()
    with pytest.raises((TypeError, ValueError, IndexError, OverflowError)):
        call(given)
    assert given.state() == before
    given.large / 3
    assert given.state() != before


def test_arrays_without_dimensions_reduce_as_numpys() -> None:
    """Along axis 0 or -1."""
    z, plain = array(3.0), np.array(3.0)
    for function in (np.add, np.multiply, np.maximum, np.minimum):
        for axis in (0, -1, None, ()):
            got = function.reduce(z, axis=axis)
            assert isinstance(got, pysr.RoundedArray)
            assert got.tolist() == function.reduce(plain, axis=axis) == 3.0
        for axis in (1, (0,)):
            for x in (z, plain):
                with pytest.raises(np.exceptions.AxisError):
                    function.reduce(x, axis=axis)
    for axis in (0, -1, None):
        assert np.sum(z, axis=axis, keepdims=True).shape == ()
        assert np.cumsum(z, axis=axis).tolist() == [3.0]
    for x in (z, plain):
        with pytest.raises(TypeError):
            np.add.accumulate(x)


def test_formats_without_zero_get_none() -> None:
    """What would leave a 0 is refused; what only looks so is not."""
    arithmetic = arithmetic_of("float8_e8m0fnu")
    x, m = arithmetic.array([1.0, 2.0]), arithmetic.array([[1.0, 2.0], [4.0, 8.0]])
    some = [True, False]
    for call in (
        lambda: np.add(x, 1.0, where=some),
        lambda: np.exp(x, where=some),
        lambda: np.resize(x[:0], 3),
        lambda: np.resize(a=x[:0], new_shape=3),
        lambda: np.diag(x),
        lambda: np.diag(v=x),
        lambda: np.tril(m),
    ):
        with pytest.raises(ValueError, match="float8_e8m0fnu has no zero"):
            call()
    assert np.add(x, 1.0, where=some, out=x).tolist() == [2.0, 2.0]
    assert np.resize(x, 3).tolist() == [2.0, 2.0, 2.0]
    assert np.diag(m).tolist() == np.diag(v=m).tolist() == [1.0, 8.0]
    assert np.resize(array([1.0])[:0], 2).tolist() == [0.0, 0.0]


def test_errors_name_arguments() -> None:
    x = array([[1.0, 2.0], [3.0, 4.0]])
    masked = np.ma.array([True, True], mask=[0, 1])
    for call, error, match in (
        (lambda: np.sum(x, axis=1.5), TypeError, "axis must be an integer, not 1.5"),
        (lambda: np.max(x, axis="0"), TypeError, "axis must be an integer, not '0'"),
        (lambda: x.min(axis=2**70), np.exceptions.AxisError, "axis 1180591620717411303424 is out"),
        (lambda: np.cumsum(x, axis=(0, 1)), TypeError, r"axis must be an integer, not \(0, 1\)"),
        (lambda: np.diff(x, axis="0"), TypeError, "axis must be an integer, not '0'"),
        (lambda: np.diff(x, n=1.5), TypeError, "n must be an integer, not 1.5"),
        *(
            (lambda f=f: f(x, keepdims="no"), TypeError, "keepdims must be a bool, not 'no'")
            for f in (np.sum, np.mean, np.max, np.amin, np.linalg.norm, np.add.reduce)
        ),
        *(
            (lambda f=f: f(x, 1.0, where=masked), TypeError, "where is a masked array")
            for f in (np.add, np.less, np.copyto)
        ),
        (lambda: np.exp(x, where=masked), TypeError, "where is a masked array"),
        *(
            (call, TypeError, "dtype must be float32 or float64, not 'x'")
            for call in (
                lambda: x.arithmetic.array([1], dtype="x"),
                lambda: np.zeros_like(x, dtype="x"),
                lambda: np.ones(2, dtype="x", like=x),
            )
        ),
    ):
        with pytest.raises(error, match=match):
            call()


def test_threads_share_no_words() -> None:
    """Operations of several steps beside single ones: each draws at once, or not at all."""
    arithmetic = pysr.Arithmetic("float8_e4m3fn", rng=3, overflow="raise")
    x, large = arithmetic.array(np.full(64, 1.1)), arithmetic.array(np.full(64, 20.0))
    arithmetic.counts.reset()
    start, rounds = arithmetic.stream.position, 200
    calls: list[Callable[[], Any]] = [
        lambda: np.concatenate([x, np.full(64, 1.3), np.full(64, 1.7)]),
        lambda: operator.setitem(x, slice(None), 1.3 + np.zeros(64)),
        lambda: x * 1.3,
        lambda: large**5,
    ]

    def work(call: Callable[[], Any]) -> None:
        for _ in range(rounds):
            try:
                call()
            except OverflowError:
                assert call is calls[3]

    with ThreadPoolExecutor(len(calls)) as pool:
        list(pool.map(work, calls))
    position, counts = arithmetic.stream.position - start, repr(arithmetic.counts)
    assert position == rounds * 64 * 4 // 8  # words of 16 bits
    assert counts == f"Counts(overflow=0, underflow=0, nan=0, inexact={rounds * 64 * 4})"


@pytest.mark.filterwarnings("ignore:you are shuffling")
@pytest.mark.parametrize("shape", [(6, 2), (5, 2, 2), (9, 1), (3, 0)])
def test_shuffling_rows_loses_none(shape: tuple[int, ...]) -> None:
    """They are swapped through views: that is refused before anything is lost."""
    x = array(np.arange(math.prod(shape)).reshape(shape))
    before = x.tolist()
    for shuffle in (
        np.random.default_rng(1).shuffle,
        np.random.RandomState(1).shuffle,
        random.Random(1).shuffle,
    ):
        if x.size:
            with pytest.raises(ValueError, match="swapped through views"):
                shuffle(x)
        else:
            shuffle(x)
        assert x.tolist() == before


@pytest.mark.filterwarnings("ignore:you are shuffling")
def test_shuffling_elements() -> None:
    """Those of one axis are copies, and swapped."""
    x = array(np.arange(50.0))
    position = x.arithmetic.stream.position
    for shuffle in (np.random.default_rng(1).shuffle, np.random.RandomState(1).shuffle):
        shuffle(x)
        assert sorted(x.tolist()) == list(range(50)) != x.tolist()
    assert x.arithmetic.stream.position == position


def test_rows_assigned_from_rows() -> None:
    """One after the other, as NumPy's."""
    x, plain = array(np.arange(8.0).reshape(4, 2)), np.arange(8.0).reshape(4, 2)
    for a in (x, plain):
        a[0] = a[1]
        a[1] = a[0]
        for i in range(4):
            a[i] = a[(i + 1) % 4]
        row = a[2]
        a[2] = a[3]
        a[1] = row
        a[1], a[1] = a[1], a[1]
        a[0], a[1] = a[1].copy(), a[0].copy()
    assert x.tolist() == plain.tolist()


def test_more_errors_name_arguments() -> None:
    x = array([1.0, 2.0])
    for call, match in (
        (lambda: np.power(x, "x"), "operand must hold real numbers"),
        (lambda: np.power(x, None), "operand must hold real numbers, not None"),
        (lambda: np.power(x, 1j), "operand must hold real numbers"),
        (lambda: np.full_like(x, None), "fill_value must be a number, not None"),
        (lambda: np.full(3, None, like=x), "fill_value must be a number, not None"),
        (lambda: np.concatenate(deque([x, x])), "RoundedArrays are looked for in lists and tuples"),
    ):
        with pytest.raises(TypeError, match=match):
            call()
