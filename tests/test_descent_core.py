"""Steps of gradient descent: against the exact model, rounding by rounding, for every run."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import exact_model as em
import numpy as np
import pytest
from cases import CARRIERS
from numpy.typing import NDArray

import pysr
from pysr._core import paths as core_paths
from pysr._core.descent import Rounder, blocks, descend, descend_diagonal, rounded_rows

Array = NDArray[Any]
Way = tuple[str, str, dict[str, Any]] | None
Rounders = tuple[Rounder | None, Rounder | None, Rounder | None]

FIXED = {name: em.fixed_format(*bits) for name, bits in {"Q7.8": (7, 8), "Q3.4": (3, 4)}.items()}
FIXED |= {
    name: em.fixed_format(*bits) for name, bits in {"Q3.12": (3, 12), "Q1.40": (1, 40)}.items()
}
EPS = {"eps": 0.25}


@pytest.fixture
def every_path() -> Iterator[list[str]]:
    """The paths of this machine; the one in use is put back."""
    before = core_paths.path()
    yield core_paths.paths()
    core_paths.set_path(before)


def rounder(way: Way) -> Rounder | None:
    return None if way is None else Rounder(way[0], way[1], **way[2])


def thrice(how: Rounder | None) -> Rounders:
    return how, how, how


def value(x: Any) -> em.Value:
    held = CARRIERS[x.dtype.name]
    return em.carrier_value(held, int(x.view(f"u{x.itemsize}")))


class Stage(em.Result):
    """All roundings of a call, each with a direction."""

    directions: list[em.Value]

    def away(self, fmt: em.Format, s: em.Split, m: int) -> bool:
        if self.manner.mode == "sr_signed":
            v = self.directions[m]
            sign = 0 if v.magnitude == 0 else -1 if v.negative else 1
            return em.sr_signed_away(s.phi, s.negative, self.manner.eps, sign, self.words[m])
        return super().away(fmt, s, m)


def model(
    x: Array, g: Array, t: float, ways: tuple[Way, Way, Way], words: tuple[int, int, int]
) -> tuple[list[em.Value], list[em.Value], list[int]]:
    """Return the rounded gradient and the new coordinates of one run, and its counts."""
    n, (seed, stream, start) = x.size, words
    xs, gs, step = [value(v) for v in x], [value(v) for v in g], value(np.float64(t))
    rounded: list[em.Value] = []
    results = gs
    counts = []
    for k, way in enumerate(ways):
        name, mode, keywords = way or ("", "rne", {})
        fmt = {**em.NAMED, **FIXED}[name] if name else CARRIERS[x.dtype.name]
        rules = dict(keywords)
        manner = em.Manner(
            mode, rules.pop("overflow", ""), seed=seed, stream=stream, start=start, **rules
        )
        totals = em.Totals()
        stage = Stage(manner, 0, n, totals)
        stage.directions = rounded
        operands = [[v] for v in results]
        if k == 1:
            operands = [[v, step] for v in results]
        elif k == 2:
            operands = [[v, p] for v, p in zip(xs, results, strict=True)]
        op = ("round", "mul", "sub")[k]
        exact = [v[0] if k == 0 else em.operate(op, v, mode) for v in operands]
        results = [
            stage.round(fmt, e, i, v) for i, (e, v) in enumerate(zip(exact, operands, strict=True))
        ]
        if k == 0:
            rounded = results
        counts.append(0 if way is None else totals.overflow)
        start += manner.blocks(n)
    kept = [
        (a.kind == b.kind and a.magnitude == b.magnitude == 0) or a == b
        for a, b in zip(xs, results, strict=True)
    ]
    counts.append(sum(k and v.magnitude != 0 for k, v in zip(kept, gs, strict=True)))
    counts.append(n - sum(kept))
    return rounded, results, counts


def patterns(values: list[em.Value], dtype: Any) -> Array:
    held = CARRIERS[np.dtype(dtype).name]
    return np.array([em.carrier_bits(held, v) for v in values], f"u{np.dtype(dtype).itemsize}")


def data(runs: int, n: int, dtype: str, of: str, seed: int) -> tuple[Array, Array]:
    """Coordinates on a grid or not, gradients of all sizes, on the grid and between."""
    rng = np.random.default_rng(seed)
    x = np.round(rng.uniform(-9, 9, (runs, n)) * 256) / 256
    x[rng.random(x.shape) < 0.1] *= 1.01
    g = rng.normal(size=x.shape) * 2.0 ** rng.integers(-12, 6, x.shape)
    g = np.where(rng.random(g.shape) < 0.3, np.round(g * 256) / 256, g)
    g[rng.random(g.shape) < 0.05] = 0.0
    g[rng.random(g.shape) < 0.02] = -300.0
    return x.astype(dtype), g.astype(of)


SAME: list[tuple[str, str, dict[str, Any]]] = [
    ("Q7.8", "sr_eps", EPS),
    ("Q7.8", "sr", {}),
    ("Q7.8", "rne", {}),
    ("Q7.8", "sr", {"random_bits": 8, "variant": "c"}),
    ("Q3.4", "sr_eps", EPS | {"overflow": "wrap"}),
    ("bfloat16", "sr", {}),
    ("bfloat16", "sr_eps", EPS),
    ("float8_e4m3fn", "rz", {"overflow": "saturate"}),
    ("float16", "sr_equal", {}),
]
MIXED: list[tuple[Way, Way, Way]] = [
    (("Q3.12", "sr_eps", {"eps": 0.1}), ("Q7.8", "sr_eps", EPS), ("Q7.8", "rne", {})),
    (("Q7.8", "sr", {}), ("Q3.4", "rne", {}), ("Q3.4", "sr_signed", EPS)),
    (("Q7.8", "sr_eps", EPS), None, ("Q7.8", "sr", {})),
    (None, ("Q7.8", "sr_eps", EPS), None),
    (("bfloat16", "sr", {}), ("bfloat16", "sr", {}), ("bfloat16", "sr_signed", EPS)),
    (("float16", "rne", {}), ("bfloat16", "sr", {}), None),
    (None, None, ("float16", "sr_signed", {"eps": 1.0})),
    (None, None, None),
]
WAYS: list[tuple[Way, Way, Way]] = [
    (way, way, ("Q7.8" if way[0][0] == "Q" else way[0], "rne", {})) for way in SAME
]


@pytest.mark.parametrize("ways", WAYS + MIXED, ids=str)
@pytest.mark.parametrize(
    ("dtype", "of"), [("float32", "float32"), ("float32", "float64"), ("float64", "float64")]
)
def test_a_step_is_the_models(ways: Any, dtype: str, of: str, every_path: list[str]) -> None:
    for n, t in ((1, 0.25), (7, -0.1), (20, 0.25), (70, 1 / 3)):
        x, g = data(3, n, dtype, of, n)
        words = (2**63 + n, 2**32 - 2, 2**32 - 5)
        expected = [
            model(x[r], g[r], t, ways, (words[0], words[1] + r, words[2])) for r in range(3)
        ]
        for path in every_path:
            core_paths.set_path(path)
            rounders: Rounders = (rounder(ways[0]), rounder(ways[1]), rounder(ways[2]))
            y, rounded, counts = x.copy(), np.empty_like(x), np.ones((3, 5), np.uint64)
            descend(y, g, t, *rounders, words, rounded=rounded, counts=counts)
            for r, (gradient, new, happened) in enumerate(expected):
                np.testing.assert_array_equal(
                    rounded[r].view(f"u{y.itemsize}"), patterns(gradient, dtype), f"{path} {n}"
                )
                np.testing.assert_array_equal(
                    y[r].view(f"u{y.itemsize}"), patterns(new, dtype), f"{path} {n}"
                )
                assert (counts[r] - 1).tolist() == happened


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("of", ["float32", "float64"])
@pytest.mark.parametrize("way", [SAME[0], SAME[5], None], ids=str)
def test_diagonal_gradients(dtype: str, of: str, way: Way, every_path: list[str]) -> None:
    rng = np.random.default_rng(3)
    for runs, n in ((2, 700), (5, 3), (1, 16)):
        x = (np.round(rng.uniform(-8, 8, (runs, n)) * 256) / 256).astype(dtype)
        spectrum, minimizer = rng.uniform(0, 1, n).astype(of), rng.uniform(-1, 1, n).astype(of)
        minimizer[::3] = x[0, ::3]
        g = spectrum.astype(np.float64) * (x.astype(np.float64) - minimizer.astype(np.float64))
        for path in every_path:
            core_paths.set_path(path)
            a, b = x.copy(), x.copy()
            counts = np.zeros((2, runs, 5), np.uint64)
            rounded = np.empty((2, runs, n), dtype)
            how = thrice(rounder(way))
            descend(a, g, 0.1, *how, (5, 6, 7), rounded=rounded[0], counts=counts[0])
            descend_diagonal(
                b, spectrum, minimizer, 0.1, *how, (5, 6, 7), rounded=rounded[1], counts=counts[1]
            )
            assert a.tobytes() == b.tobytes()
            assert rounded[0].tobytes() == rounded[1].tobytes()
            assert (counts[0] == counts[1]).all()


def test_three_calls_of_one_stream() -> None:
    """The roundings follow one another on the stream as calls of the package do."""
    x, g = data(1, 1000, "float64", "float64", 8)
    how = Rounder("bfloat16", "sr_eps", 0.25)
    stream = pysr.Philox(11, 12)
    stream.advance(13)
    gradient = pysr.round(g[0], "bfloat16", "sr_eps", eps=0.25, rng=stream)
    arithmetic = pysr.Arithmetic("bfloat16", "sr_eps", eps=0.25, rng=stream)
    expected = arithmetic.sub(x[0], arithmetic.mul(gradient, 0.1))
    descend(x, g, 0.1, how, how, how, (11, 12, 13))
    assert x[0].tobytes() == expected.tobytes()
    assert stream.position == 13 + blocks(1000, how, how, how) == 13 + 3 * 250
    assert blocks(1000, how, None, Rounder("Q7.8", "rne")) == 250
    assert (
        blocks(
            9, Rounder("Q7.8"), Rounder("Q7.8", "sr_equal"), Rounder("Q7.8", "sr", random_bits=64)
        )
        == 9
    )


@pytest.mark.parametrize("n", [1, 3, 40, 20_000])
@pytest.mark.parametrize("threads", [1, 2, 7])
def test_runs_alone_and_threads(n: int, threads: int) -> None:
    runs = 20_000 // n + 3
    x, g = data(runs, n, "float32", "float32", n)
    how = Rounder("Q7.8", "sr_eps", 0.1), Rounder("Q7.8", "sr_eps", 0.25), Rounder("Q7.8", "rne")
    together, counts = x.copy(), np.zeros((runs, 5), np.uint64)
    descend(together, g, 0.3, *how, (1, 2, 3), threads=threads, counts=counts)
    for r in (0, 1, runs - 2, runs - 1):
        alone, happened = x[r : r + 1].copy(), np.zeros((1, 5), np.uint64)
        descend(alone, g[r : r + 1], 0.3, *how, (1, 2 + r, 3), counts=happened)
        assert alone.tobytes() == together[r : r + 1].tobytes()
        assert (happened[0] == counts[r]).all()


@pytest.mark.parametrize(("eps", "steps"), [(0.0, 303.6), (0.1, 149.4), (0.25, 103.2), (0.5, 75.9)])
def test_steps_to_zero_in_one_dimension(eps: float, steps: float) -> None:
    """f = x^2/2, c = 2^-6, from 64 quanta: sum of 1/min(j c + eps, 1) steps on average."""
    runs, u = 4_000, 2.0**-8
    mean = sum(1 / min(j / 64 + eps, 1) for j in range(1, 65))
    assert abs(mean - steps) < 0.06
    how, exact = Rounder("Q3.8", "sr_eps", eps), Rounder("Q3.8", "rne")
    x = np.full((runs, 1), 64 * u, np.float32)
    one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
    reached = np.zeros(runs)
    block = 0
    while (x != 0).any():
        reached += x[:, 0] != 0
        descend_diagonal(x, one, zero, 2.0**-6, how, how, exact, (1, 0, block))
        block += blocks(1, how, how, exact)
    assert abs(reached.mean() / steps - 1) < 0.025
    x[:] = 64 * u
    for _ in range(100):
        descend_diagonal(x, one, zero, 2.0**-6, exact, exact, exact, (1, 0, 0))
    assert (x == 32 * u).all()


# ---- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 3000, 40_000])
@pytest.mark.parametrize(
    ("g", "step", "message"),
    [
        (200.0, 0.25, "the gradient is beyond the range of Q7.8"),
        (100.0, 2.0, "the product is beyond the range of Q7.8"),
        (-100.0, 1.0, "the update is beyond the range of Q7.8"),
    ],
)
def test_raising_writes_nothing(n: int, g: float, step: float, message: str) -> None:
    how = thrice(Rounder("Q7.8", "sr_eps", 0.25, overflow="raise"))
    x = np.full((3, n), 100.0)
    before, gradient = x.copy(), np.full((3, n), 0.5)
    gradient[1, n - 1] = gradient[2, 0] = g
    rounded, counts = np.full_like(x, 7), np.full((3, 5), 7, np.uint64)
    with pytest.raises(OverflowError, match=f"run 1, coordinate {n - 1}: {message}"):
        descend(x, gradient, step, *how, (1, 2, 3), rounded=rounded, counts=counts)
    assert (x == before).all()
    assert (rounded == 7).all()
    assert (counts == 7).all()
    gradient[1:] = 0.5
    descend(x, gradient, step, *how, (1, 2, 3), rounded=rounded, counts=counts)
    assert (rounded == 0.5).all()
    assert (counts[:, :4] == 7).all()
    assert (counts[:, 4] == 7 + n).all()


def test_infinities_and_nan() -> None:
    wrap, leaning = Rounder("Q7.8", overflow="wrap"), Rounder("Q7.8", "sr_signed", 0.25)
    plain = Rounder("Q7.8")
    x, g = np.zeros((1, 4)), np.array([[0.0, 1.0, np.inf, np.nan]])
    with pytest.raises(OverflowError, match="run 0, coordinate 2: the gradient is beyond"):
        descend(x, g, 0.5, wrap, plain, plain, (0, 0, 0))
    with pytest.raises(ValueError, match="run 0, coordinate 3: the rounded gradient is NaN"):
        descend(x, g, 0.5, plain, plain, leaning, (0, 0, 0))
    assert (x == 0).all()
    counts = np.zeros((1, 5), np.uint64)
    descend(x, g, 0.5, plain, plain, plain, (0, 0, 0), counts=counts)
    assert x[0, :2].tolist() == [0, -0.5]
    assert np.isnan(x[0, 3])
    assert abs(x[0, 2] + 64) <= 2**-8
    assert counts.tolist() == [[0, 0, 0, 0, 3]]


def arguments() -> dict[str, Any]:
    q = Rounder("Q7.8", "rne")
    return {
        "x": np.zeros((2, 3)),
        "g": np.zeros((2, 3)),
        "t": 0.5,
        "gradient": q,
        "product": q,
        "update": q,
        "words": (0, 0, 0),
    }


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"x": [[1.0]]}, TypeError, r"x must be an array of float32 or float64, not \[\[1.0\]\]"),
        ({"x": np.zeros((2, 3), int)}, TypeError, "not int64"),
        ({"x": np.zeros(3)}, ValueError, r"x of shape \(3,\) has not two axes"),
        (
            {"x": np.zeros((2, 6))[:, ::2]},
            ValueError,
            "x must be writeable, aligned and in C order",
        ),
        ({"g": np.zeros((3, 2))}, ValueError, r"g of shape \(3, 2\) is not of shape \(2, 3\)"),
        ({"t": np.inf}, ValueError, "t=inf is not finite"),
        ({"gradient": "Q7.8"}, TypeError, "gradient must be a Rounder or None, not 'Q7.8'"),
        (
            {"product": Rounder("Q7.8", "sr_signed", 0.5)},
            ValueError,
            "product: mode 'sr_signed' needs",
        ),
        ({"words": (0, 2**48 - 1, 0)}, ValueError, "stream=281474976710655"),
        ({"words": (-1, 0, 0)}, ValueError, "seed=-1"),
        ({"threads": 0}, ValueError, "threads=0"),
        (
            {"rounded": np.zeros((2, 3), np.float32)},
            ValueError,
            "rounded is of float32, not float64",
        ),
        ({"counts": np.zeros((2, 5))}, ValueError, r"counts must be .* of shape \(2, 5\)"),
    ],
)
def test_bad_arguments(changed: dict[str, Any], error: type[Exception], message: str) -> None:
    given = arguments() | changed
    with pytest.raises(error, match=message):
        descend(**given)


def test_bad_arrays() -> None:
    given = arguments()
    memory = np.zeros(20)
    with pytest.raises(ValueError, match="g overlaps x"):
        descend(**given | {"x": memory[:6].reshape(2, 3), "g": memory[1:7].reshape(2, 3)})
    with pytest.raises(ValueError, match="rounded overlaps x"):
        descend(**given | {"rounded": given["x"]})
    x = np.zeros((2, 3), np.float32)
    with pytest.raises(ValueError, match=r"product: fmt=Q1\.40: a float32 carrier cannot hold"):
        descend(**given | {"x": x, "g": x.copy(), "product": Rounder("Q1.40")})
    with pytest.raises(ValueError, match="spectrum is of float32, minimizer of float64"):
        descend_diagonal(
            np.zeros((1, 2)), np.ones(2, np.float32), np.zeros(2), 1.0, None, None, None, (0, 0, 0)
        )
    x = np.full((1, 4), 3.0)
    descend(**given | {"x": x, "g": x})  # the gradient may be x itself
    assert (x == 1.5).all()
    descend(**given | {"x": np.zeros((0, 4)), "g": np.zeros((0, 4))})
    descend(**given | {"x": np.zeros((2, 0)), "g": np.zeros((2, 0))})


# ---- rounders and rows ---------------------------------------------------------------------------


def test_rounders() -> None:
    how = Rounder("Q7.8", "sr_eps", 0.25, overflow="wrap")
    assert (str(how.fmt), how.mode, how.overflow, how.word_bits) == ("Q7.8", "sr_eps", "wrap", 32)
    assert Rounder("bfloat16", "rne").word_bits == 0
    x = np.full((1, 9), 0.3)
    for other in (pickle.loads(pickle.dumps(how)), copy.deepcopy(how)):
        a, b = x.copy(), x.copy()
        descend(a, x, 0.3, how, how, how, (4, 5, 6))
        descend(b, x, 0.3, other, other, other, (4, 5, 6))
        assert (a == b).all()
    with pytest.raises(ValueError, match="eps=2"):
        Rounder("Q7.8", "sr_eps", 2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rounded_rows(dtype: str) -> None:
    a, b = data(3, 50, dtype, dtype, 1)
    for op, operands in (
        ("round", (a,)),
        ("add", (a, b)),
        ("sub", (a, b)),
        ("mul", (b, 0.1)),
        ("fma", (0.9, a, b)),
    ):
        for way in [*SAME, ("Q7.8", "sr_signed", EPS)]:
            name, mode, keywords = way
            direction = b if mode == "sr_signed" else None
            y, overflow = rounded_rows(
                op, operands, Rounder(name, mode, **keywords), (7, 8, 9), direction
            )
            assert y.dtype == dtype
            for r in range(3):
                stream = pysr.Philox(7, 8 + r)
                stream.advance(9)
                arithmetic = pysr.Arithmetic(name, mode, rng=stream, **keywords)
                wide = [np.asarray(v, np.float64) for v in operands]
                rows = [v[r] if v.ndim else v for v in wide]
                lean = {} if direction is None else {"direction": b[r].astype(np.float64)}
                call = getattr(arithmetic, op)
                expected = call(*rows, **lean).astype(dtype)
                assert y[r].tobytes() == expected.tobytes(), (op, way)
                assert overflow[r] == arithmetic.counts.overflow
    how = Rounder("Q7.8", overflow="raise")
    out = np.full((3, 50), 7, dtype)
    assert rounded_rows("sub", (a, a), how, (0, 0, 0), out=out)[0] is out
    assert (out == 0).all()
    with pytest.raises(
        OverflowError, match=r"run \d, coordinate \d+: the result of 'mul' is beyond"
    ):
        rounded_rows("mul", (a, 1e6), how, (0, 0, 0), out=out)
    assert (out == 0).all()
    with pytest.raises(ValueError, match="op='div' is not one of"):
        rounded_rows("div", (a, b), how, (0, 0, 0))
    with pytest.raises(ValueError, match="operands: 1 of them, where 'add' has 2"):
        rounded_rows("add", (a,), how, (0, 0, 0))
    with pytest.raises(ValueError, match="direction=None in mode 'sr_signed'"):
        rounded_rows("round", (a,), Rounder("Q7.8", "sr_signed", 0.5), (0, 0, 0))
