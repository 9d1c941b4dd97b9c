"""Arithmetic in a format: every result rounded once, from its exact value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike, DTypeLike, NDArray

from pysr._core.arithmetic import OPERATIONS, Counts, Operation, stream_of
from pysr._core.formats import Format
from pysr._core.philox import Philox

if TYPE_CHECKING:
    from pysr._core.rounding import Rng

Spec = str | DTypeLike | Format


class Arithmetic:
    """
    Operations on arrays whose exact results are rounded once.

    ``Arithmetic("bfloat16").add(x, y)`` is the sum of `x` and `y`, computed as if exactly and then
    rounded to bfloat16: never rounded to float32 or float64 first. Operands are taken as they are,
    of the format or not.

    Parameters
    ----------
    fmt : str, dtype or Format
        What `pysr.format` takes.
    mode : str
        As in `pysr.round`.
    rng : None, int, SeedSequence, Generator, BitGenerator or Philox
        Where random bits come from. All operations draw from one stream, which moves on with each:
        a `Philox`, or a Generator over one, as it is; a seed gives a stream of its own.
    eps, random_bits, variant, overflow
        As in `pysr.round`.
    formats : mapping, optional
        Formats of single operations: ``{"mul": "float16"}`` rounds products to float16 and
        everything else to `fmt`.

    Attributes
    ----------
    fmt : Format
    mode : str
    stream : Philox
    counts : Counts
        Totals over all operations since the last ``counts.reset()``.

    Raises
    ------
    ValueError
        If an argument is out of range, or float32 operands cannot hold the format.
    TypeError
        If an argument has the wrong type.
    OverflowError
        From an operation, under the overflow rule "raise", naming the first element and its
        operands; under "wrap", where a result is infinite. Nothing is written, the stream stays
        where it was, and nothing is counted.

    Notes
    -----
    Arrays of float32 (also float16 and ml_dtypes' types) give float32 results; everything else,
    mixed operands included, gives float64. A result that is NaN is the positive one without
    payload. The definition is S7 of docs/specification.md. Operations may run in several threads;
    each call takes its random bits and adds its totals at once.

    A copy, or an instance pickled and loaded again, has a stream and totals of its own that go on
    from the same place.

    Examples
    --------
    >>> arithmetic = pysr.Arithmetic("bfloat16", "rne")
    >>> arithmetic.add(np.float32([1.0, 256.0]), np.float32(0.0078125))
    array([  1.0078125, 256.       ], dtype=float32)
    >>> arithmetic.counts.inexact
    1

    A sum a hair above a tie goes up; rounded to float64 first, it would be the tie:

    >>> arithmetic.add(1.00390625, 2.0**-60)
    np.float64(1.0078125)
    >>> pysr.round(1.00390625 + 2.0**-60, "bfloat16", "rne")
    np.float64(1.0)
    """

    def __init__(
        self,
        fmt: Spec,
        mode: str = "sr",
        *,
        rng: Rng = None,
        eps: float = 0.0,
        random_bits: int | str = "exact",
        variant: str = "a",
        overflow: str | None = None,
        formats: Mapping[str, Spec] | None = None,
    ) -> None:
        own = dict(formats or {})
        for name in own:
            if name not in OPERATIONS:
                raise ValueError(f"formats has {name!r}: not one of {', '.join(OPERATIONS)}")
        self._arguments = (fmt, mode, eps, random_bits, variant, overflow, own)
        self._operations = {
            name: Operation(name, own.get(name, fmt), mode, eps, random_bits, variant, overflow)
            for name in OPERATIONS
        }
        self.fmt = Operation("round", fmt, mode, eps, random_bits, variant, overflow).fmt
        self.mode = mode
        self.counts = Counts()
        self.stream: Philox = stream_of(rng)

    def round(self, x: ArrayLike, **keywords: Any) -> Any:
        """
        Round `x`, as `pysr.round` does.

        Parameters
        ----------
        x : array_like
        direction, out, where
            As in `add`.

        Returns
        -------
        ndarray or scalar
        """
        return self._operations["round"]((x,), self.stream, self.counts, **keywords)

    def add(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        direction: ArrayLike | None = None,
        out: NDArray[Any] | None = None,
        where: ArrayLike | None = None,
    ) -> Any:
        """
        Add.

        Parameters
        ----------
        x, y : array_like
            Operands, which broadcast.
        direction : array_like, optional
            For mode "sr_signed", and needed there: only its sign counts.
        out : ndarray, optional
            Where to put the result: of its shape and type, any strides. May overlap an operand.
        where : array_like of bool, optional
            Which elements to compute. The others keep their value in `out`, and are 0 without it;
            they are not looked at and not counted, and keep their place in the stream.

        Returns
        -------
        ndarray or scalar
            Values of the format, in float32 or float64.

        Examples
        --------
        >>> pysr.Arithmetic("Q3.8", "rne").add(1.0, [0.001, 0.002])
        array([1.        , 1.00390625])
        """
        return self._operations["add"]((x, y), self.stream, self.counts, direction, out, where)

    def sub(self, x: ArrayLike, y: ArrayLike, **keywords: Any) -> Any:
        """
        Subtract `y` from `x`.

        Parameters
        ----------
        x, y : array_like
        direction, out, where
            As in `add`.

        Returns
        -------
        ndarray or scalar
        """
        return self._operations["sub"]((x, y), self.stream, self.counts, **keywords)

    def mul(self, x: ArrayLike, y: ArrayLike, **keywords: Any) -> Any:
        """
        Multiply.

        Parameters
        ----------
        x, y : array_like
        direction, out, where
            As in `add`.

        Returns
        -------
        ndarray or scalar
        """
        return self._operations["mul"]((x, y), self.stream, self.counts, **keywords)

    def div(self, x: ArrayLike, y: ArrayLike, **keywords: Any) -> Any:
        """
        Divide `x` by `y`.

        A quotient may have infinitely many bits: mode "sr" looks at 144 of those that are dropped.

        Parameters
        ----------
        x, y : array_like
        direction, out, where
            As in `add`.

        Returns
        -------
        ndarray or scalar
        """
        return self._operations["div"]((x, y), self.stream, self.counts, **keywords)

    def sqrt(self, x: ArrayLike, **keywords: Any) -> Any:
        """
        Take the square root.

        Like a quotient's, a root's bits may go on without end: see `div`.

        Parameters
        ----------
        x : array_like
        direction, out, where
            As in `add`.

        Returns
        -------
        ndarray or scalar
        """
        return self._operations["sqrt"]((x,), self.stream, self.counts, **keywords)

    def fma(self, x: ArrayLike, y: ArrayLike, z: ArrayLike, **keywords: Any) -> Any:
        """
        Compute ``x * y + z``, rounded once.

        Parameters
        ----------
        x, y, z : array_like
        direction, out, where
            As in `add`.

        Returns
        -------
        ndarray or scalar
        """
        return self._operations["fma"]((x, y, z), self.stream, self.counts, **keywords)

    def __repr__(self) -> str:
        _, mode, *rest = self._arguments
        names = ("eps", "random_bits", "variant", "overflow", "formats")
        defaults: tuple[Any, ...] = (0.0, "exact", "a", None, {})
        given = "".join(
            f", {name}={value!r}"
            for name, value, default in zip(names, rest, defaults, strict=True)
            if value != default
        )
        return f"Arithmetic({str(self.fmt)!r}, {mode!r}{given})"

    def __getstate__(self) -> tuple[Any, ...]:
        return self._arguments, self.stream, self.counts

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        (fmt, mode, eps, random_bits, variant, overflow, own), stream, counts = state
        self.__init__(  # type: ignore[misc]
            fmt,
            mode,
            rng=stream,
            eps=eps,
            random_bits=random_bits,
            variant=variant,
            overflow=overflow,
            formats=own,
        )
        self.counts = counts

    def __copy__(self) -> Arithmetic:
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> Arithmetic:
        import copy

        twin = Arithmetic.__new__(Arithmetic)
        twin.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return twin
