"""`pysr.Philox` under NumPy's Generator: known answers, distributions, jumps, copies, threads."""

from __future__ import annotations

import copy
import pickle
import threading
from typing import Any

import exact_model as em
import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

import pysr

SEED = 0x0123456789ABCDEF
STREAM = 0xFEDC_1234_5678


def generator(seed: int = 7, stream: int = 0) -> np.random.Generator:
    return np.random.Generator(pysr.Philox(seed, stream))


def words(bit_generator: Any, n: int) -> npt.NDArray[np.uint32]:
    return np.random.Generator(bit_generator).integers(0, 1 << 32, n, dtype=np.uint32)


# Known answers of others


def test_cpp26() -> None:
    """[rand.predef]: word 10,000 of a default std::philox4x32, whose seed is 20111115."""
    assert words(pysr.Philox(20111115), 10_000)[-1] == 1955073260
    stream = pysr.Philox(20111115).advance(9_999 // 4)
    assert words(stream, 4)[9_999 % 4] == 1955073260


def test_triton() -> None:
    """tl.randint4x(42, offset) is block number offset."""
    answers = {
        0: [2632642643, 2012563771, 314527917, 1463989207],
        1: [4242219303, 1404726525, 2207210094, 1951270651],
    }
    for offset, expected in answers.items():
        assert words(pysr.Philox(42).advance(offset), 4).tolist() == expected


def test_random123() -> None:
    """kat_vectors, philox4x32 10, through the stream: counter (b, s), key the seed."""
    ones = 0xFFFFFFFF
    vectors = [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ones,) * 4, (ones,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ]
    in_reach = 0
    for counter, key, expected in vectors:
        assert pysr._core.philox.philox4x32(counter, key) == expected
        block, stream = counter[0] | counter[1] << 32, counter[2] | counter[3] << 32
        if stream < 1 << 48:
            source = pysr.Philox(key[0] | key[1] << 32, stream).advance(block)
            assert tuple(words(source, 4).tolist()) == expected
            in_reach += 1
    assert in_reach == 1
    seven = (0x5F6FB709, 0x0D893F64, 0x4F121F81, 0x4F730A48)
    assert pysr._core.philox.philox4x32((0, 0, 0, 0), (0, 0), rounds=7) == seven


# Distributions


def test_draws_are_the_keystream_s() -> None:
    """What NumPy makes of the words in ways that it documents, or that are plain."""
    model = em.Stream(SEED, STREAM)
    rng = generator(SEED, STREAM)
    assert rng.random(5).tolist() == [model.double() for _ in range(5)]
    single = rng.random(5, np.float32).tolist()
    assert single == [(model.uint32() >> 8) * 2.0**-24 for _ in range(5)]
    full = rng.integers(0, 1 << 64, 5, dtype=np.uint64).tolist()
    assert full == [model.uint64() for _ in range(5)]
    assert rng.bit_generator.random_raw(3).tolist() == [model.uint64() for _ in range(3)]


def test_distributions() -> None:
    n = 100_000
    rng = generator(20240229)
    checks = {
        "random": stats.kstest(rng.random(n), "uniform"),
        "normal": stats.kstest(rng.normal(2.0, 3.0, n), "norm", (2, 3)),
        "exponential": stats.kstest(rng.exponential(size=n), "expon"),
        "integers": stats.chisquare(np.bincount(rng.integers(0, 10, n), minlength=10)),
        "bytes": stats.chisquare(np.bincount(np.frombuffer(rng.bytes(n), np.uint8), minlength=256)),
    }
    for name, check in checks.items():
        assert check.pvalue > 1e-3, name
    assert sorted(rng.permutation(100)) == list(range(100))
    assert rng.choice([1, 2, 3], 50).max() == 3


def test_the_same_stream_draws_the_same() -> None:
    for method, arguments in (
        ("random", {}),
        ("normal", {}),
        ("integers", {"low": 1000}),
        ("poisson", {"lam": 3.0}),
        ("gamma", {"shape": 2.5}),
    ):
        one, two = generator(), generator()
        expected = getattr(one, method)(size=1001, **arguments)
        got = [getattr(two, method)(size=n, **arguments) for n in (1, 400, 0, 600)]
        assert (np.concatenate(got) == expected).all()
        other = getattr(generator(7, 1), method)(size=1001, **arguments)
        assert (other != expected).any()
    assert np.random.default_rng(pysr.Philox(7)).normal() == generator().normal()


# Spawning and jumping


def test_generator_spawns() -> None:
    rng, parent = generator(SEED, 3), pysr.Philox(SEED, 3)
    rng.random(7)
    for n in (2, 1):
        children, expected = rng.spawn(n), parent.spawn(n)
        for child, other in zip(children, expected, strict=True):
            assert isinstance(child, np.random.Generator)
            assert isinstance(child.bit_generator, pysr.Philox)
            assert child.bit_generator.state == other.state
            grandchild = child.spawn(1)[0].bit_generator
            assert grandchild.seed == em.spawned_seed(other.seed, 0, 0)
    assert rng.bit_generator.position == 4
    seeds = {child.seed for child in pysr.Philox(SEED).spawn(1000)}
    assert len(seeds) == 1000


def test_jumped() -> None:
    stream = pysr.Philox(SEED, STREAM).advance(em.M64 - 1)
    words(stream, 3)
    stream.spawn(2)
    before = stream.state
    for jumps in (0, 1, 5, -1, (1 << 48) - 1 - STREAM, -STREAM):
        other = stream.jumped(jumps)
        assert stream.state == before
        assert (other.seed, other.stream) == (SEED, STREAM + jumps)
        model = em.Stream(SEED, STREAM + jumps)
        model.advance(em.M64 - 1)
        assert words(other, 9).tolist() == [model.uint32() for _ in range(12)][3:]
        assert other.spawn(1)[0].seed == em.spawned_seed(SEED, STREAM + jumps, 0)
    assert stream.jumped().state == stream.jumped(np.int64(1)).state
    assert stream.jumped(2).jumped(-2).random_raw() == stream.random_raw()


@pytest.mark.parametrize("jumps", [-1, 1 << 47, 1 << 48, -(1 << 60)])
def test_jumps_out_of_range(jumps: int) -> None:
    stream = pysr.Philox(1).jumped(1 << 47)
    with pytest.raises(ValueError, match=f"jumps={jumps}"):
        (pysr.Philox(1) if jumps == -1 else stream).jumped(jumps)


def test_jumps_are_integers() -> None:
    for bad in (1.0, "1", None, True):
        with pytest.raises(TypeError, match="jumps must be an integer"):
            pysr.Philox(1).jumped(bad)  # type: ignore[arg-type]


# State


def test_copies_go_on_alike() -> None:
    rng = generator(SEED, STREAM)
    rng.normal(size=11)
    rng.integers(0, 1 << 32, 3, dtype=np.uint32)
    rng.bit_generator.spawn(3)
    copies = [
        pickle.loads(pickle.dumps(rng)),
        copy.deepcopy(rng),
        np.random.Generator(pickle.loads(pickle.dumps(rng.bit_generator, protocol=2))),
        np.random.Generator(copy.copy(rng.bit_generator)),
    ]
    restored = generator()
    restored.bit_generator.state = rng.bit_generator.state
    copies.append(restored)
    child = rng.bit_generator.spawn(1)[0].seed
    expected = rng.normal(size=100).tolist()
    for other in copies:
        assert other.bit_generator is not rng.bit_generator
        assert other.bit_generator.lock is not rng.bit_generator.lock
        assert other.bit_generator.spawn(1)[0].seed == child
        assert other.normal(size=100).tolist() == expected
        assert other.bit_generator.state == rng.bit_generator.state


def test_state_is_of_plain_integers() -> None:
    state = generator().bit_generator.state
    assert state == {
        "bit_generator": "Philox",
        "state": {"seed": 7, "stream": 0, "block": 0, "used": 0, "spawned": 0},
    }
    assert {type(value) for value in state["state"].values()} == {int}


# Threads


def test_threads_share_a_stream() -> None:
    """No word is drawn twice, none is lost, by generators and by roundings."""
    stream = pysr.Philox(5)
    n, drawn = 200, [[], [], [], []]  # type: tuple[int, list[list[int]]]
    start = threading.Barrier(len(drawn))

    def draw(mine: list[int]) -> None:
        rng = np.random.Generator(stream)
        start.wait()
        for _ in range(n):
            mine.extend(rng.integers(0, 1 << 64, 6, dtype=np.uint64).tolist())

    threads = [threading.Thread(target=draw, args=(mine,)) for mine in drawn]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    count = 6 * n * len(drawn)
    assert stream.position == count // 2
    expected = pysr.Philox(5).random_raw(count).tolist()
    assert sorted(word for mine in drawn for word in mine) == sorted(expected)


def test_a_held_lock_holds_draws() -> None:
    stream = pysr.Philox(5)
    done = threading.Event()

    def draw() -> None:
        np.random.Generator(stream).random()
        pysr.round(np.full(16, 1.1), "bfloat16", rng=stream)
        done.set()

    with stream.lock:
        thread = threading.Thread(target=draw)
        thread.start()
        assert not done.wait(0.05)
    thread.join(10)
    assert done.is_set()
    assert stream.position == 3
