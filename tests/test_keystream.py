"""Which random bits an element uses: words, blocks, refinement, streams and generators."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import exact_model as em
import numpy as np
import numpy.typing as npt
import pytest
from cases import CARRIERS, FORMATS, bits_of, library_format

import pysr

KNOWN = Path(__file__).parents[1] / "srcore" / "tests" / "known_answers.txt"
UNITS = pysr.FixedFormat(10, 0)
SEED = 0x0123456789ABCDEF
STREAM = 0xFEDC_1234_5678


def known_answers(kind: str) -> list[list[str]]:
    lines = (line.split() for line in KNOWN.read_text().splitlines())
    return [words[1:] for words in lines if words and words[0] == kind]


# Known answers


def test_known_blocks() -> None:
    answers = known_answers("block")
    assert len(answers) >= 3
    for rounds, *hexadecimal in answers:
        w = [int(h, 16) for h in hexadecimal]
        expected = (w[6], w[7], w[8], w[9])
        assert em.philox((w[0], w[1], w[2], w[3]), (w[4], w[5]), int(rounds)) == expected
        got = pysr._core.philox.philox4x32(tuple(w[:4]), tuple(w[4:6]), rounds=int(rounds))
        assert tuple(got) == expected


def test_known_words() -> None:
    answers = known_answers("word")
    assert len(answers) >= 3
    for numbers in answers:
        seed, stream, index, value = (int(n) for n in numbers)
        assert em.keystream_word(seed, stream, index) == value
        bit_generator = pysr.Philox(seed, stream)
        bit_generator.advance(index // 4)
        assert uint32s(bit_generator, index % 4 + 1)[-1] == value


def test_published_vectors() -> None:
    """Random123's vectors, and C++26's std::philox4x32 and Triton's randint4x."""
    ones = 0xFFFFFFFF
    pi = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0)
    vectors = [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ones,) * 4, (ones,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (*pi, (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
    ]
    for counter, key, expected in vectors:
        assert em.philox(counter, key) == expected  # type: ignore[arg-type]
        assert tuple(pysr._core.philox.philox4x32(counter, key)) == expected
    assert uint32s(pysr.Philox(20111115), 10000)[-1] == 1955073260
    assert uint32s(pysr.Philox(42), 8).tolist() == [
        2632642643,
        2012563771,
        314527917,
        1463989207,
        4242219303,
        1404726525,
        2207210094,
        1951270651,
    ]


def test_vector_model_is_the_plain_model() -> None:
    for start in (0, (1 << 32) - 2, em.M64 - 1):
        rows = em.philox_blocks(SEED, STREAM, start, 4).tolist()
        assert rows == [list(em.philox_at(SEED, STREAM, (start + b) & em.M64)) for b in range(4)]
    for width in (8, 16, 32, 64):
        for first in (0, 1, 15, 1000):
            got = em.element_words(SEED, STREAM, 5, first, 40, width).tolist()
            expected = [em.element_word(SEED, STREAM, 5, first + j, width) for j in range(40)]
            assert got == expected


# The words of a call


def assert_words(words: list[int], r: int, round_: Any) -> None:
    """Insist that `round_(x)` uses these r-bit words: each is pinned by two values.

    The units of UNITS make x itself the fraction: 1 - T/2^r must go up, and one step less must not.
    Where r > 53, the top 53 bits are pinned.
    """
    shift = max(r - 53, 0)
    scale = 2.0 ** (shift - r)
    kept = [word >> shift for word in words]
    turn = np.array([((1 << (r - shift)) - word) * scale for word in kept])
    assert (round_(turn) == 1).all()
    assert (round_(turn - scale) == 0).all()


@pytest.mark.parametrize("seed", [0, 1, SEED, em.M64])
@pytest.mark.parametrize("r", [1, 3, 8, 9, 13, 16, 17, 24, 32, 33, 53, 60, 64])
def test_words_of_an_element(r: int, seed: int) -> None:
    """An element owns w/8 bytes, the smallest w that holds r, and takes their top r bits."""
    width = em.word_width("sr", r)
    n = 777
    words = [em.element_word(seed, 0, 0, i, width) >> (width - r) for i in range(n)]
    assert_words(words, r, lambda x: pysr.round(x, UNITS, rng=seed, random_bits=r))
    assert_words(
        words, r, lambda x: pysr.round(x, UNITS, bits=np.array(words, np.uint64), random_bits=r)
    )


def test_words_of_exact_and_of_the_other_modes() -> None:
    n = 1001
    words = [em.element_word(SEED, 0, 0, i, 16) for i in range(n)]
    assert_words(words, 16, lambda x: pysr.round(x, UNITS, rng=SEED))
    half = np.full(n, 0.5)
    assert (pysr.round(half, UNITS, "sr_equal", rng=SEED) == [w >> 15 for w in words]).all()
    words = [em.element_word(SEED, 0, 0, i, 32) for i in range(n)]
    assert_words(words, 32, lambda x: pysr.round(x, UNITS, "sr_eps", rng=SEED))
    assert_words(words, 32, lambda x: pysr.round(x, UNITS, "sr_signed", rng=SEED, direction=1.0))


@pytest.mark.parametrize("offset", [0, 1, 7, 16, 12345, (1 << 40) + 3, (1 << 62) + 9])
@pytest.mark.parametrize("r", [5, 16, 31, 64])
def test_offset(r: int, offset: int) -> None:
    width = em.word_width("sr", r)
    words = [em.element_word(SEED, 0, 0, offset + i, width) >> (width - r) for i in range(50)]
    assert_words(words, r, lambda x: pysr.round(x, UNITS, rng=SEED, random_bits=r, offset=offset))


@pytest.mark.parametrize("random_bits", ["exact", 4, 24, 40])
def test_chunks_are_pieces_of_the_call(random_bits: Any) -> None:
    x = np.random.default_rng(1).standard_normal(5000).astype(np.float32)
    whole = pysr.round(x, "bfloat16", rng=9, random_bits=random_bits)
    rng = np.random.default_rng(2)
    at = 0
    while at < x.size:
        n = int(rng.integers(0, 400))
        piece = pysr.round(x[at : at + n], "bfloat16", rng=9, random_bits=random_bits, offset=at)
        assert (piece == whole[at : at + n]).all()
        at += n


def test_index_is_logical() -> None:
    """Strides, order and masks change nothing."""
    x = np.random.default_rng(1).standard_normal((30, 40, 3))
    whole = pysr.round(x, "bfloat16", rng=9)
    assert (pysr.round(np.asfortranarray(x), "bfloat16", rng=9) == whole).all()
    assert (pysr.round(x[::-1, ::-1][::-1, ::-1], "bfloat16", rng=9) == whole).all()
    wide = np.zeros((60, 80, 3))
    wide[::2, 1::2] = x
    assert (pysr.round(wide[::2, 1::2], "bfloat16", rng=9) == whole).all()
    keep = x > 0
    assert (pysr.round(x, "bfloat16", rng=9, where=keep) == np.where(keep, whole, 0)).all()
    flat = pysr.round(x.reshape(-1), "bfloat16", rng=9)
    assert (flat == whole.reshape(-1)).all()
    row = pysr.round(np.broadcast_to(x[0], x.shape), "bfloat16", rng=9)
    assert (
        row == pysr.round(np.ascontiguousarray(np.broadcast_to(x[0], x.shape)), "bfloat16", rng=9)
    ).all()


# Stateful streams


def test_calls_follow_each_other() -> None:
    stream, model = pysr.Philox(SEED, STREAM), em.Stream(SEED, STREAM)
    assert stream.position == 0
    for n, r in ((1, 8), (5, 64), (16, 8), (17, 8), (8, 16), (9, 13), (4, 32), (3, 33), (0, 8)):
        width = em.word_width("sr", r)
        start = model.call(n, width)
        words = [em.element_word(SEED, STREAM, start, i, width) >> (width - r) for i in range(n)]
        again = pysr.Philox(SEED, STREAM)
        again.advance(start)
        calls = iter((stream, again))
        assert_words(
            words, r, lambda x, c=calls, r=r: pysr.round(x, UNITS, rng=next(c), random_bits=r)
        )
        assert stream.position == again.position == model.position
    with pytest.raises(ValueError, match="offset"):
        pysr.round(np.ones(3), UNITS, rng=stream, offset=1)
    assert stream.position == model.position


@pytest.mark.parametrize("start", [em.M64, em.M64 - 1, em.M64 - 3, (1 << 32) - 1, 1 << 61])
@pytest.mark.parametrize("r", [8, 16, 32, 64])
def test_block_numbers_wrap(r: int, start: int) -> None:
    words = [em.element_word(SEED, STREAM, start, i, r) for i in range(100)]

    def round_(x: npt.NDArray[Any]) -> Any:
        stream = pysr.Philox(SEED, STREAM)
        stream.advance(start)
        assert stream.position == start
        y = pysr.round(x, UNITS, rng=stream, random_bits=r)
        assert stream.position == (start + -(-100 * r // 128)) & em.M64
        return y

    assert_words(words, r, round_)


def test_what_moves_no_stream() -> None:
    stream = pysr.Philox(3, 4)
    stream.advance(10)
    x = np.linspace(-1, 1, 50)
    for mode in em.DETERMINISTIC:
        pysr.round(x, "bfloat16", mode, rng=stream)
        pysr.encode(x, "bfloat16", mode, rng=stream)
    words = np.zeros(50, np.uint16)
    pysr.round(x, "bfloat16", rng=stream, bits=words, random_bits=16)
    pysr.round(x, "bfloat16", "sr_equal", rng=stream, bits=words)
    pysr.round(x, "bfloat16", "sr_eps", rng=stream, bits=words)
    pysr.round(x, "bfloat16", "sr_signed", rng=stream, bits=words, direction=x)
    pysr.round(x[:0], "bfloat16", rng=stream)
    pysr.encode(x[:0], "bfloat16", rng=stream)
    x[7] = np.inf
    for function in (pysr.round, pysr.encode):
        with pytest.raises(OverflowError):
            function(x, "bfloat16", rng=stream, overflow="raise")
    with pytest.raises(ValueError, match=r"(?i)nan"):
        pysr.encode(x, "Q3.8", rng=stream, overflow="nan")
    with pytest.raises(ValueError, match="direction"):
        pysr.round(x, "bfloat16", "sr_signed", rng=stream, direction=np.nan)
    with pytest.raises(ValueError, match="random_bits"):
        pysr.round(x, "bfloat16", rng=stream, random_bits=65)
    with pytest.raises(ValueError, match="out"):
        pysr.round(x, "bfloat16", rng=stream, out=np.zeros(49))
    assert stream.position == 10
    pysr.encode(x, "bfloat16", rng=stream)
    assert stream.position == 10 + 7


@pytest.mark.parametrize("seed", [-1, 1 << 64])
def test_seeds_out_of_range(seed: int) -> None:
    with pytest.raises(ValueError, match="seed"):
        pysr.Philox(seed)
    with pytest.raises(ValueError, match=str(seed)):
        pysr.round(np.ones(1), UNITS, rng=seed)


@pytest.mark.parametrize("stream", [-1, 1 << 48])
def test_streams_out_of_range(stream: int) -> None:
    with pytest.raises(ValueError, match="stream"):
        pysr.Philox(1, stream)


# Refinement


def undecided(
    name: str, carrier: str, seed: int, stream: int, start: int, indices: range, tail: str
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return values whose first 16 bits decide nothing, and what they become.

    The fraction's leading 16 bits are the complement of the word that the element will draw. Below
    them come as many bits as the carrier holds: random, or the complement of the refinement bits
    ("complement": nothing carries), or one unit more ("carry").
    """
    fmt, held = FORMATS[name], CARRIERS[carrier]
    rng = np.random.default_rng(seed & 0xFFFF)
    whole_bits = fmt.p or fmt.int_bits + 1
    length = held.precision - whole_bits - 16
    xs, ys = [], []
    for i in indices:
        head = em.element_word(seed, stream, start, i, 16)
        refined = em.refinement(seed, stream, start, i, 1)
        ones = (1 << length) - 1
        low = int(rng.integers(1, ones, endpoint=True))
        if tail != "random":
            low = ones - (refined >> (128 - length)) + (tail == "carry")
            if not 0 < low <= ones:
                low = ones
        whole = int(rng.integers(1 << (whole_bits - 1), 1 << whole_bits))
        units = (whole << 16 | 0xFFFF - head) << length | low
        q = 3 - whole_bits if not fmt.fixed else fmt.qmin
        x = em.finite(bool(rng.integers(2)), units * em.power_of_two(q - 16 - length))
        s = em.split(fmt, x)
        assert em.sr_exact_undecided(s.phi, head)
        away = em.sr_exact_away(
            s.phi, head, lambda level, i=i: em.refinement(seed, stream, start, i, level)
        )
        if tail != "random" and low != ones:
            assert away == (tail == "carry")
        xs.append(em.carrier_bits(held, x))
        ys.append(em.carrier_bits(held, em.deliver(fmt, s, away, "sr", "saturate")))
    pattern = np.uint32 if carrier == "float32" else np.uint64
    return np.array(xs, pattern).view(carrier), np.array(ys, pattern).view(carrier)


REFINED = [
    ("bfloat16", "float64"),
    ("float16", "float64"),
    ("binary32", "float64"),
    ("float8_e4m3fn", "float32"),
    ("float8_e4m3fn", "float64"),
    ("float4_e2m1fn", "float32"),
    ("Q0.15", "float64"),
    ("Q3.8", "float64"),
]


@pytest.mark.parametrize("tail", ["random", "complement", "carry"])
@pytest.mark.parametrize(("name", "carrier"), REFINED)
def test_refinement_with_a_seed(name: str, carrier: str, tail: str) -> None:
    for offset in (0, 1000003, (1 << 61) - 5):
        x, y = undecided(name, carrier, SEED, 0, 0, range(offset, offset + 300), tail)
        got = pysr.round(x, library_format(name), rng=SEED, offset=offset)
        assert (bits_of(got) == bits_of(y)).all()


@pytest.mark.parametrize("tail", ["random", "complement", "carry"])
@pytest.mark.parametrize("start", [1, 12345678901, 1 << 61, em.M64 - 2, em.M64])
@pytest.mark.parametrize(("name", "carrier"), REFINED)
def test_refinement_in_a_stream(name: str, carrier: str, start: int, tail: str) -> None:
    """k = 8 b0 + i and the block numbers wrap modulo 2^64."""
    for stream_number in (STREAM, (1 << 48) - 1):
        x, y = undecided(name, carrier, SEED, stream_number, start, range(150), tail)
        stream = pysr.Philox(SEED, stream_number)
        stream.advance(start)
        got = pysr.round(x, library_format(name), rng=stream)
        assert (bits_of(got) == bits_of(y)).all()


def test_refinement_goes_deep() -> None:
    """Fractions below 2^-16 pin the first 52 refinement bits of elements whose word is all ones."""
    words = np.concatenate(
        [em.element_words(SEED, 0, 0, at, 1 << 20, 16) for at in range(0, 1 << 22, 1 << 20)]
    )
    found = np.flatnonzero(words == 0xFFFF).tolist()
    assert len(found) > 30
    deep = 0
    for i in found:
        refined = em.refinement(SEED, 0, 0, i, 1)
        complement = (1 << 128) - 1 - refined
        keep = complement.bit_length() - 53
        units = complement >> keep
        for units_, result in ((units, 0), (units + 1, 1)):
            x = em.Fraction(units_, 1 << (16 + 128 - keep))
            assert em.sr_exact_away(x, 0xFFFF, lambda _, w=refined: w) == bool(result)
            assert pysr.round(np.array([float(x)]), UNITS, rng=SEED, offset=i)[0] == result
            assert pysr.round(np.array([-float(x)]), UNITS, rng=SEED, offset=i)[0] == -result
        deep += 1
    assert deep == len(found)


def test_refinement_in_one_long_call() -> None:
    """Among 2^20 values, those that the first 16 bits leave undecided, found and checked."""
    n, seed, start = 1 << 20, 77, 5
    rng = np.random.default_rng(3)
    tail = rng.integers(1, 1 << 20, n) * 2.0**-52
    x = (1 + 2.0**-7 * rng.random(n).round(4) + tail) * np.where(rng.random(n) < 0.5, -1, 1)
    heads = em.element_words(seed, 6, start, 0, n, 16)
    phi = np.abs(x) * 2.0**7 % 1
    digits = np.floor(phi * 2.0**16)
    found = np.flatnonzero((digits + heads == 0xFFFF) & (phi * 2.0**16 != digits)).tolist()
    assert found
    stream = pysr.Philox(seed, 6)
    stream.advance(start)
    got = bits_of(pysr.round(x, "bfloat16", rng=stream))
    fmt = em.NAMED["bfloat16"]
    nearby = set(found) | set(range(0, n, 1009))
    for i in nearby:
        value = em.carrier_value(em.FLOAT64, int(bits_of(x)[i]))
        s = em.split(fmt, value)
        assert em.sr_exact_undecided(s.phi, int(heads[i])) == (i in found)
        away = em.sr_exact_away(
            s.phi, int(heads[i]), lambda level, i=i: em.refinement(seed, 6, start, i, level)
        )
        y = em.deliver(fmt, s, away, "sr", "inf")
        assert em.carrier_bits(em.FLOAT64, y) == got[i]


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float4_e2m1fn", "Q3.8"])
def test_carriers_agree(name: str) -> None:
    """The same value gives the same result from float32 and float64, refinement included."""
    rng = np.random.default_rng(8)
    x = (rng.standard_normal(1 << 18) * 2.0 ** rng.integers(-8, 8, 1 << 18)).astype(np.float32)
    if name.startswith("float"):
        x[:300], _ = undecided("float4_e2m1fn", "float32", 5, 0, 0, range(300), "random")
    for arguments in (
        {},
        {"random_bits": 7},
        {"mode": "sr_equal"},
        {"mode": "sr_eps", "eps": 0.2},
        {"mode": "sr_signed", "eps": 0.2, "direction": 1.0},
    ):
        narrow = pysr.round(x, library_format(name), rng=5, **arguments)
        wide = pysr.round(x.astype(np.float64), library_format(name), rng=5, **arguments)
        assert (bits_of(narrow.astype(np.float64)) == bits_of(wide)).all()


# A NumPy bit generator


def uint32s(bit_generator: Any, n: int) -> npt.NDArray[np.uint32]:
    return np.random.Generator(bit_generator).integers(0, 1 << 32, n, dtype=np.uint32)


def test_draws() -> None:
    for start in (0, 5, em.M64):
        stream, model = pysr.Philox(SEED, STREAM), em.Stream(SEED, STREAM)
        stream.advance(start)
        model.advance(start)
        generator = np.random.Generator(stream)
        for kind in "uUdurdUuuudUrrUdudu" * 3:
            if kind == "u":
                got: Any = int(generator.integers(0, 1 << 32, 1, dtype=np.uint32)[0])
                expected: Any = model.uint32()
            elif kind == "U":
                got = int(generator.integers(0, 1 << 64, 1, dtype=np.uint64)[0])
                expected = model.uint64()
            elif kind == "d":
                got, expected = generator.random(), model.double()
            else:
                got, expected = int(stream.random_raw()), model.uint64()
            assert got == expected
            assert stream.position == model.position
        assert stream.random_raw(7).tolist() == [model.uint64() for _ in range(7)]


def test_call_after_partial_draws() -> None:
    """A call starts at the next whole block."""
    for drawn in range(9):
        stream = pysr.Philox(11, 22)
        uint32s(stream, drawn)
        start = -(-drawn // 4)
        assert stream.position == start
        pysr.round(np.ones(0), UNITS, rng=stream)
        pysr.round(np.ones(9), UNITS, "rne", rng=stream)
        model = em.Stream(11, 22)
        model.words = drawn
        assert uint32s(stream, 1)[0] == model.uint32(), "a call that draws nothing moved the stream"
        start = model.position
        words = [em.element_word(11, 22, start, i, 16) for i in range(9)]
        pair = iter((stream, pysr.Philox(11, 22)))

        def round_(x: npt.NDArray[Any], pair: Any = pair, start: int = start) -> Any:
            rng = next(pair)
            rng.advance(start - rng.position)
            return pysr.round(x, UNITS, rng=rng)

        assert_words(words, 16, round_)
        assert stream.position == start + 2
        model.call(9, 16)
        assert uint32s(stream, 3).tolist() == [model.uint32() for _ in range(3)]


def test_advance_counts_whole_blocks() -> None:
    stream = pysr.Philox(11, 22)
    uint32s(stream, 5)
    stream.advance(3)
    assert stream.position == 5
    assert int(uint32s(stream, 1)[0]) == em.keystream_word(11, 22, 20)
    stream.advance(em.M64 - 5)
    assert stream.position == 0


def test_state_and_pickle() -> None:
    for drawn in (0, 1, 4, 6):
        stream = pysr.Philox(SEED, STREAM)
        stream.advance(em.M64 - 1)
        uint32s(stream, drawn)
        state = stream.state
        copies = [pickle.loads(pickle.dumps(stream)), pysr.Philox(0)]
        copies[1].state = state
        expected = stream.random_raw(5).tolist()
        for copy in copies:
            assert (copy.seed, copy.stream) == (SEED, STREAM)
            assert copy.random_raw(5).tolist() == expected
            assert copy.position == stream.position
        stream.state = state
        assert stream.random_raw(5).tolist() == expected


@pytest.mark.parametrize(("seed", "stream"), [(0, 0), (SEED, STREAM), (em.M64, (1 << 48) - 1)])
def test_spawn(seed: int, stream: int) -> None:
    parent, model = pysr.Philox(seed, stream), em.Stream(seed, stream)
    parent.advance(3)
    children = [*parent.spawn(3), *parent.spawn(0), *parent.spawn(2)]
    assert parent.position == 3
    assert [child.seed for child in children] == [model.spawn() for _ in range(5)]
    assert all((child.stream, child.position) == (0, 0) for child in children)
    assert all(isinstance(child, pysr.Philox) for child in children)
    grandchild = children[1].spawn(1)[0]
    assert grandchild.seed == em.spawned_seed(children[1].seed, 0, 0)


# Other generators


def test_generator_over_philox_is_the_stream() -> None:
    x = np.random.default_rng(1).standard_normal(1000)
    stream = pysr.Philox(7, 3)
    direct = pysr.Philox(7, 3)
    generator = np.random.Generator(stream)
    for _ in range(2):
        got = pysr.round(x, "bfloat16", rng=generator)
        assert (got == pysr.round(x, "bfloat16", rng=direct)).all()
    assert stream.position == direct.position == 250


@pytest.mark.parametrize("bit_generator", [np.random.PCG64, np.random.Philox, np.random.MT19937])
def test_other_generators_give_one_seed(bit_generator: Any) -> None:
    x = np.linspace(-3, 3, 1000)
    generator = np.random.Generator(bit_generator(5))
    reference = np.random.Generator(bit_generator(5))

    def next_seed() -> int:
        return int(reference.integers(0, 1 << 64, dtype=np.uint64))

    def in_step() -> bool:
        def plain(state: Any) -> Any:
            if isinstance(state, dict):
                return {key: plain(value) for key, value in state.items()}
            return state.tolist() if isinstance(state, np.ndarray) else state

        return bool(plain(generator.bit_generator.state) == plain(reference.bit_generator.state))

    for mode in ("sr", "sr_equal", "sr_eps", "sr_signed"):
        arguments = {"direction": 1.0} if mode == "sr_signed" else {}
        got = pysr.round(x, "bfloat16", mode, rng=generator, **arguments)
        seeded = pysr.round(x, "bfloat16", mode, rng=next_seed(), **arguments)
        assert (got == seeded).all()
        assert in_step()
    codes = pysr.encode(x, "bfloat16", rng=generator)
    assert (codes == pysr.encode(x, "bfloat16", rng=next_seed())).all()
    assert in_step()
    got = pysr.round(x, "bfloat16", rng=generator, offset=17)
    assert (got == pysr.round(x, "bfloat16", rng=next_seed(), offset=17)).all()
    assert in_step()

    pysr.round(x[:0], "bfloat16", rng=generator)
    pysr.round(x, "bfloat16", "rne", rng=generator)
    pysr.round(x, "bfloat16", rng=generator, random_bits=1, bits=np.ones(1000, np.uint8))
    for arguments in ({"random_bits": 0}, {"eps": 2.0}, {"variant": "d"}, {"overflow": "wrap"}):
        with pytest.raises(ValueError, match=next(iter(arguments))):
            pysr.round(x, "bfloat16", rng=generator, **arguments)
    assert in_step()
    with pytest.raises(OverflowError):
        pysr.round(x * 1e300, "bfloat16", rng=generator, overflow="raise")
    next_seed()
    assert in_step()


def test_no_seed_is_a_fresh_seed() -> None:
    x = np.full(200, 1 + 2.0**-8)
    assert (pysr.round(x, "bfloat16") != pysr.round(x, "bfloat16")).any()
