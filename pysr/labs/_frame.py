"""What a lab is made of: set-ups that are measured, claims about them, figures of them.

A lab is a module with a `Lab` named ``LAB``. Its `Plan` declares, before anything is computed,
every `Setup` (a unit of work a seed), every `Claim` (a row of the table, which says what set-ups it
needs) and every `Figure`: so single rows can be asked for, and interrupted runs resumed.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import hashlib
import itertools
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import pysr
from pysr.labs._report import Judged, Provenance, Relation, Row

Size = Literal["quick"] | Literal["default"] | Literal["full"]

# What one seed of a set-up gave: numbers, text, and lists and dicts of them.
Draw = dict[str, Any]
# The draws of every set-up that was measured, one a seed.
Results = Mapping[str, Sequence[Draw]]


def stream(*names: object) -> int:
    """Choose a stream of random bits by name.

    Parameters
    ----------
    *names : object
        Whatever tells one use from another, such as a set-up's key and what is drawn.

    Returns
    -------
    int
        A stream for `pysr.Philox`. It does not depend on what else a lab measures, nor on the
        order.

    Examples
    --------
    >>> stream("duplicated-Q1.3", "matrix") == stream("duplicated-Q1.3", "rounding")
    False
    """
    return int.from_bytes(hashlib.blake2b(repr(names).encode(), digest_size=6).digest(), "big")


def format_name(fmt: Any) -> str:
    """Name a format; one without a name by its repr.

    Parameters
    ----------
    fmt : Format
        The format.

    Returns
    -------
    str

    Examples
    --------
    >>> format_name(pysr.FixedFormat(1, 8))
    'Q1.8'
    """
    return str(fmt.name or repr(fmt))


@dataclasses.dataclass(frozen=True)
class Rounding:
    """The arithmetic of a role: a format (None: each set-up's own), a mode and its bias."""

    fmt: Any = None
    mode: str = "sr"
    eps: float = 0.0

    @property
    def name(self) -> str:
        """The format's name; empty without one."""
        return "" if self.fmt is None else format_name(self.fmt)

    def __str__(self) -> str:
        bias = f" eps={self.eps:g}" if self.eps else ""
        return f"{self.name or 'own formats'} {self.mode}{bias}"


@dataclasses.dataclass(frozen=True)
class Role:
    """A part that arithmetic plays in a lab, and whether only floating-point formats can."""

    description: str
    default: Rounding
    floating: bool = False

    def take(self, name: str, given: Any) -> Rounding:
        """Read what a caller gave for this role, with the defaults of what is not given."""
        where = f"arithmetic[{name!r}]"
        parts = (given,) if isinstance(given, str) or not isinstance(given, Iterable) else given
        parts = tuple(parts)
        if not 1 <= len(parts) <= 3:
            raise ValueError(f"{where}={given!r} is not (format, mode, eps)")
        fmt, mode, eps = (*parts, None, None)[:3]
        fmt = self.default.fmt if fmt is None else fmt
        mode = self.default.mode if mode is None else mode
        eps = self.default.eps if eps is None else eps
        try:
            chosen = None if fmt is None else pysr.format(fmt)
            if mode == "sr_signed":
                raise ValueError("mode='sr_signed' needs a direction, which a lab does not have")
            pysr.round(0.0, "binary32" if chosen is None else chosen, mode, rng=0, eps=eps)
        except (ValueError, TypeError) as error:
            raise type(error)(f"{where}: {error}") from None
        if self.floating and chosen is not None and chosen.precision is None:
            raise ValueError(f"{where}: {fmt!r} is not floating point, which this lab needs")
        return Rounding(chosen, mode, float(eps))


@dataclasses.dataclass(frozen=True)
class Choice:
    """What a caller chose: how much work, which seeds, what arithmetic."""

    size: Size
    seeds: tuple[int, ...] | None
    arithmetic: Mapping[str, Rounding]
    default: bool

    def range(self, default: int, *, quick: int | None = None, full: int | None = None) -> Seeds:
        """Give the caller's seeds, or as many as a set-up has by itself in this size."""
        if self.seeds is not None:
            return self.seeds
        counts = {"quick": quick, "default": default, "full": full}
        return tuple(range(default if counts[self.size] is None else counts[self.size] or 0))

    def describe(self) -> str:
        """The arithmetic of every role, as a line; part of what results are kept under."""
        return ", ".join(f"{role}: {rounding}" for role, rounding in self.arithmetic.items())


Seeds = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Setup:
    """Something that is measured once for each seed.

    Attributes
    ----------
    key : str
        Short and stable: results are kept under it.
    label : str
        What a reader of the table is told.
    seeds : tuple of int
        The seeds.
    measure : callable
        Takes a seed and returns a dict of what it found: numbers, text, arrays, and lists and dicts
        of them. All randomness is from the seed and `stream`.
    """

    key: str
    label: str
    seeds: Seeds
    measure: Callable[[int], Draw] = dataclasses.field(compare=False, repr=False)


@dataclasses.dataclass(frozen=True)
class Claim:
    """A row of the table before it is measured.

    Attributes
    ----------
    id : str
        Short, stable, unique in the lab.
    name : str
        The quantity.
    setups : tuple of Setup
        What it is measured on: only these are run when the row is asked for.
    values : callable
        Takes the draws of each set-up, a list for each, and returns the values.
    relation : {"=", "<=", ">="}
        How the quantity should stand to the expectation.
    expectation : float or callable
        The expected value, or a callable that takes what `values` takes.
    tolerance : float
        How far off the values may be, absolutely.
    judged : {"mean", "every"}
        Whether the mean decides, or every value must agree.
    provenance : {"paper", "derived", "recalled"}
        Where the expectation comes from.
    stated : int, optional
        How many seeds the tolerance of a mean is stated for. With n fewer it is sqrt(stated / n)
        times as wide, as the standard error is.
    possible : tuple of float
        The least and the greatest value that the quantity can have at all: an expectation that
        allows all of them is vacuous.
    applies : bool, optional
        Whether the expectation is for the chosen arithmetic. By default it is for the lab's own.
    label : str, optional
        The set-up's label in the table; by default that of the first.
    """

    id: str
    name: str
    setups: tuple[Setup, ...]
    values: Callable[..., Iterable[float]] = dataclasses.field(repr=False)
    relation: Relation
    expectation: float | Callable[..., float]
    tolerance: float = 0.0
    _: dataclasses.KW_ONLY
    judged: Judged = "every"
    provenance: Provenance = "derived"
    stated: int | None = None
    possible: tuple[float, float] = (-math.inf, math.inf)
    applies: bool | None = None
    label: str | None = None

    def judge(self, results: Results, default: bool) -> Row:
        """Compare what was measured with the expectation; `default` says whose arithmetic it is."""
        draws = [results[setup.key] for setup in self.setups]
        expectation = self.expectation(*draws) if callable(self.expectation) else self.expectation
        seeds = tuple(dict.fromkeys(seed for setup in self.setups for seed in setup.seeds))
        wider = math.sqrt(max(1.0, (self.stated or 0) / len(seeds)))
        return Row.judge(
            self.id,
            self.name,
            self.setups[0].label if self.label is None else self.label,
            self.values(*draws),
            self.relation,
            expectation,
            self.tolerance * wider,
            seeds=seeds,
            judged=self.judged,
            provenance=self.provenance,
            possible=self.possible,
            applies=default if self.applies is None else self.applies,
        )


@dataclasses.dataclass(frozen=True)
class Figure:
    """A figure of what was measured: its file's name, what it shows, and what it needs."""

    name: str
    caption: str
    setups: tuple[Setup, ...]
    draw: Callable[[Results], Any] = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class Plan:
    """All that a lab can measure, show and say under one choice."""

    claims: tuple[Claim, ...]
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()
    remarks: Callable[[Results], list[str]] = lambda results: []

    def __post_init__(self) -> None:
        """Refuse ids that are not unique, and set-ups that share a key."""
        ids = [claim.id for claim in self.claims]
        for name in ids:
            if ids.count(name) > 1:
                raise ValueError(f"two rows have the id {name!r}")
        self.setups()

    def setups(self) -> dict[str, Setup]:
        """Every set-up by its key, in the order of the rows."""
        found: dict[str, Setup] = {}
        parts = [part.setups for part in self.claims] + [part.setups for part in self.figures]
        for setup in itertools.chain.from_iterable(parts):
            if found.setdefault(setup.key, setup) is not setup:
                raise ValueError(f"two set-ups have the key {setup.key!r}")
        return found

    def only(self, patterns: Sequence[str]) -> Plan:
        """Keep the rows whose ids match, and the figures of what those rows measure."""
        kept: dict[str, Claim] = {}
        for pattern in patterns:
            matching = [c for c in self.claims if fnmatch.fnmatchcase(c.id, pattern)]
            if not matching:
                raise ValueError(
                    f"no row matches {pattern!r}; there is: "
                    + ", ".join(claim.id for claim in self.claims)
                    + "".join(f" ({note})" for note in self.notes)
                )
            kept.update((claim.id, claim) for claim in matching)
        claims = tuple(claim for claim in self.claims if claim.id in kept)
        measured = {setup.key for claim in claims for setup in claim.setups}
        figures = tuple(f for f in self.figures if measured.issuperset(s.key for s in f.setups))
        return dataclasses.replace(self, claims=claims, figures=figures)


@dataclasses.dataclass(frozen=True)
class Lab:
    """A lab.

    Attributes
    ----------
    name : str
        What `pysr.labs.run` and ``pysr lab`` call it.
    title : str
        The heading of its page.
    summary : str
        One line.
    introduction : tuple of str
        Paragraphs: the definitions, what is claimed, and where that is from.
    roles : mapping of str to Role
        What arithmetic it uses for what.
    plan : callable
        Takes a `Choice` and returns a `Plan`.
    not_attempted : tuple of (str, str)
        Claims that the lab leaves alone, and why.
    """

    name: str
    title: str
    summary: str
    introduction: tuple[str, ...]
    roles: Mapping[str, Role]
    plan: Callable[[Choice], Plan]
    not_attempted: tuple[tuple[str, str], ...]

    def choose(self, size: Size, seeds: Any, arithmetic: Mapping[str, Any] | None) -> Choice:
        """Check what a caller asks for."""
        chosen = {name: role.default for name, role in self.roles.items()}
        for name, given in (arithmetic or {}).items():
            if name not in chosen:
                known = ", ".join(map(repr, self.roles))
                raise ValueError(f"arithmetic names the role {name!r}; {self.name} has: {known}")
            chosen[name] = self.roles[name].take(name, given)
        default = all(chosen[name] == role.default for name, role in self.roles.items())
        return Choice(size, None if seeds is None else _seeds(seeds), chosen, default)


def _seeds(seeds: int | Iterable[int]) -> Seeds:
    try:
        chosen = tuple(range(operator.index(seeds)))  # type: ignore[arg-type]
    except TypeError:
        chosen = tuple(operator.index(seed) for seed in seeds)  # type: ignore[union-attr]
    if not chosen:
        raise ValueError(f"seeds must name at least one seed, not {seeds!r}")
    for seed in chosen:
        if not 0 <= seed < 1 << 64:
            raise ValueError(f"seeds must be in [0, 2^64), not {seed}")
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"seeds={seeds!r} names a seed twice")
    return chosen
