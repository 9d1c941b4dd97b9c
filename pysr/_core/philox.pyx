"""The keystream as a NumPy bit generator."""

import secrets
import sys

import numpy as np

cimport numpy as cnp
from libc.stddef cimport size_t
from libc.stdint cimport uint32_t, uint64_t
from numpy.random cimport BitGenerator

from pysr._core.formats cimport integer
from pysr._core.paths cimport kernels
from pysr._core.srcore cimport (
    sr_philox4x32, sr_philox_fill_on, sr_spawn_seed, sr_stream, sr_stream_next32, sr_stream_next64,
    sr_stream_next_double, sr_stream_position, sr_stream_seek,
)

cnp.import_array()

_MAX64 = 2**64 - 1
_MAX_STREAM = 2**48 - 1


cdef uint32_t next_uint32(void *state) noexcept nogil:
    return sr_stream_next32(<sr_stream *> state)


cdef uint64_t next_uint64(void *state) noexcept nogil:
    return sr_stream_next64(<sr_stream *> state)


cdef double next_double(void *state) noexcept nogil:
    return sr_stream_next_double(<sr_stream *> state)


def philox4x32(counter, key, rounds=10):
    """
    One block of Philox4x32, for known answers.

    Parameters
    ----------
    counter : sequence of 4 int
    key : sequence of 2 int
        32-bit words.
    rounds : int
        10 is the keystream's.

    Returns
    -------
    tuple of 4 int
    """
    cdef uint32_t c[4]
    cdef uint32_t k[2]
    cdef uint32_t out[4]
    c[0], c[1], c[2], c[3] = [integer(word, "counter", 0, 2**32 - 1) for word in counter]
    k[0], k[1] = [integer(word, "key", 0, 2**32 - 1) for word in key]
    sr_philox4x32(c, k, integer(rounds, "rounds", 0, 16), out)
    return out[0], out[1], out[2], out[3]


cdef class Philox(BitGenerator):
    """
    A stream of Philox4x32-10 random bits that remembers its position; a NumPy bit generator.

    A call of `pysr.round` that is given a stream starts at the stream's next whole block of 128 bits and moves it
    by the blocks it owns, so that the next call gets fresh bits.

    Parameters
    ----------
    seed : int or SeedSequence, optional
        0 <= seed < 2**64. By default drawn from the operating system.
    stream : int
        0 <= stream < 2**48: which of the independent streams of the seed.

    Raises
    ------
    ValueError
        If `seed` or `stream` is out of range.

    Notes
    -----
    Block `b` of stream `s` is Philox4x32-10 at counter (b low, b high, s low, s high), key (seed low, seed high): the
    layout of PyTorch, TensorFlow, cuRAND and Triton. ``np.random.Generator(pysr.Philox(7))`` draws 32-bit words in
    order, 64-bit ones from two words, low first, and buffers nothing.

    References
    ----------
    J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, Parallel random numbers: as easy as 1, 2, 3, SC 2011.

    Examples
    --------
    >>> stream = pysr.Philox(7)
    >>> _ = pysr.round(np.full(100, 1.1), "bfloat16", rng=stream)
    >>> stream.position
    13
    """

    def __init__(self, seed=None, stream=0):
        if seed is None:
            seed = secrets.randbits(64)
        elif isinstance(seed, np.random.SeedSequence):
            seed = int(seed.generate_state(1, np.uint64)[0])
        seed = integer(seed, "seed", 0, _MAX64)
        stream = integer(stream, "stream", 0, _MAX_STREAM)
        BitGenerator.__init__(self, seed)
        self.c.seed = seed
        self.c.stream = stream
        self.spawned = 0
        sr_stream_seek(&self.c, 0, 0)
        self._bitgen.state = &self.c
        self._bitgen.next_uint32 = next_uint32
        self._bitgen.next_uint64 = next_uint64
        self._bitgen.next_raw = next_uint64
        self._bitgen.next_double = next_double

    def random_raw(self, size=None, output=True):
        """
        Words of 64 bits, as NumPy's bit generators give them.

        Parameters
        ----------
        size : int or tuple of int, optional
            The result's shape; None for one word.
        output : bool
            False moves the stream and returns None.

        Returns
        -------
        int, ndarray of uint64 or None
            Each word is two of the keystream's 32 bits, low first.

        Examples
        --------
        >>> [hex(word) for word in pysr.Philox(7).random_raw(2)]
        ['0xc009f9dcf4607a2d', '0x15edac821d3aba42']
        """
        cdef cnp.ndarray words
        cdef size_t n
        if size is None:
            with self.lock:
                word = sr_stream_next64(&self.c)
            return word if output else None
        words = np.empty(size, np.uint64) if output else None
        if not output:
            shape = (size,) if isinstance(size, (int, np.integer)) else tuple(size)
            count = 1
            for length in shape:
                count *= integer(length, "size", 0, _MAX64)
        else:
            count = words.size
        with self.lock:
            if output and count:
                n = 2 * count
                self.fill(<uint32_t *> cnp.PyArray_DATA(words), n)
            position = int(self.c.block) * 4 + int(self.c.used) + 2 * int(count)
            sr_stream_seek(&self.c, (position >> 2) & _MAX64, position & 3)
        if output and sys.byteorder == "big":
            words[...] = (words << np.uint64(32)) | (words >> np.uint64(32))
        return words

    cdef void fill(self, uint32_t *out, size_t n):
        """The next n words; the stream stays where it is."""
        with nogil:
            sr_philox_fill_on(kernels, self.c.seed, self.c.stream, self.c.block, self.c.used, n, out)

    @property
    def seed(self):
        """The key: 0 <= seed < 2**64."""
        return self.c.seed

    @property
    def stream(self):
        """Which stream of the seed."""
        return self.c.stream

    @property
    def position(self):
        """Blocks used so far, modulo 2**64; one of which a word has been drawn counts."""
        with self.lock:
            return sr_stream_position(&self.c)

    def advance(self, blocks):
        """
        Move the stream.

        Parameters
        ----------
        blocks : int
            How many blocks of 128 bits, from `position`; negative to move back. Positions wrap modulo 2**64.

        Returns
        -------
        Philox
            This stream.

        Examples
        --------
        >>> pysr.Philox(7).advance(10).position
        10
        """
        blocks = integer(blocks, "blocks", -_MAX64, _MAX64)
        with self.lock:
            sr_stream_seek(&self.c, (int(sr_stream_position(&self.c)) + blocks) & _MAX64, 0)
        return self

    def jumped(self, jumps=1):
        """
        A stream further on, as far as no program draws.

        Parameters
        ----------
        jumps : int
            How many times 2**64 blocks: so many streams of the seed further, or back where it is negative.

        Returns
        -------
        Philox
            A new one, at the same place of its stream as this one, which does not move.

        Raises
        ------
        ValueError
            If there is no such stream.

        Examples
        --------
        >>> pysr.Philox(7).advance(10).jumped()
        Philox(7, stream=1, position=10)
        """
        cdef Philox other
        cdef uint64_t block
        cdef unsigned used
        jumps = integer(jumps, "jumps", -_MAX_STREAM, _MAX_STREAM)
        with self.lock:
            seed, stream, block, used = self.c.seed, int(self.c.stream) + jumps, self.c.block, self.c.used
        if not 0 <= stream <= _MAX_STREAM:
            raise ValueError(f"jumps={jumps} leads from stream {self.c.stream} to {stream}, outside [0, {_MAX_STREAM}]")
        other = type(self)(seed, stream)
        sr_stream_seek(&other.c, block, used)
        return other

    @property
    def state(self):
        """Everything that sets the stream's future: a dict of integers that can be assigned back."""
        with self.lock:
            return {
                "bit_generator": type(self).__name__,
                "state": {"seed": self.c.seed, "stream": self.c.stream, "block": self.c.block, "used": self.c.used,
                          "spawned": self.spawned},
            }

    @state.setter
    def state(self, value):
        if not isinstance(value, dict) or not isinstance(value.get("state"), dict):
            raise TypeError(f"state must be a dict as Philox.state gives it, not {value!r}")
        if value.get("bit_generator") != type(self).__name__:
            raise ValueError(f"state is of a {value.get('bit_generator')!r}, not of a {type(self).__name__!r}")
        inner = value["state"]
        missing = {"seed", "stream", "block", "used", "spawned"} - inner.keys()
        if missing:
            raise ValueError(f"state lacks {', '.join(sorted(missing))}")
        seed = integer(inner["seed"], "state seed", 0, _MAX64)
        stream = integer(inner["stream"], "state stream", 0, _MAX_STREAM)
        block = integer(inner["block"], "state block", 0, _MAX64)
        used = integer(inner["used"], "state used", 0, 3)
        spawned = integer(inner["spawned"], "state spawned", 0, _MAX64)
        with self.lock:
            self.c.seed = seed
            self.c.stream = stream
            self.spawned = spawned
            sr_stream_seek(&self.c, block, used)

    def spawn(self, n_children):
        """
        Independent streams, the same ones for the same history.

        Parameters
        ----------
        n_children : int
            How many.

        Returns
        -------
        list of Philox
            Child number j, counted over all calls, has stream 0 and the seed that block j of this stream's last
            refinement level spells. The position of this stream does not move.

        Raises
        ------
        ValueError
            If `n_children` is negative.

        Examples
        --------
        >>> a, b = pysr.Philox(7).spawn(2)
        >>> a.seed != b.seed
        True
        """
        n_children = integer(n_children, "n_children", 0, 2**31 - 1)
        with self.lock:
            first = self.spawned
            self.spawned = first + n_children
        return [type(self)(sr_spawn_seed(self.c.seed, self.c.stream, (first + j) & _MAX64)) for j in range(n_children)]

    def __reduce__(self):
        return type(self), (self.c.seed, self.c.stream), self.state

    def __setstate__(self, state):
        self.state = state

    def __repr__(self):
        return f"Philox({self.seed}, stream={self.stream}, position={self.position})"
