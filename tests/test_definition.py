"""Every format, mode, carrier and overflow rule against the exact model, bit for bit."""

from __future__ import annotations

import random
import re
from functools import lru_cache
from typing import Any

import exact_model as em
import numpy as np
import pytest
from cases import (
    CARRIERS,
    CASES,
    FORMATS,
    PATTERN_TYPE,
    Case,
    Flags,
    bits_of,
    case,
    edge_patterns,
    held_by,
    input_patterns,
    library_format,
    random_format,
    random_patterns,
    seed_of,
    to_library,
)

import pysr

FEW_BITS = (1, 2, 8, 13, 16, 24, 32, 53, 64)
EPSILONS = (0.0, 2.0**-33, 3 * 2.0**-33, 0.1, 0.25, 1.0)
DIRECTIONS = (1.0, -2.5, 0.0, -0.0, np.inf, -np.inf, 1e-30, -1e-30)
CONFIGURATIONS = [
    *em.DETERMINISTIC,
    "sr-exact",
    *(f"sr-{r}" for r in FEW_BITS),
    "sr_equal",
    "sr_eps",
    "sr_signed",
]


def check(c: Case, mode: str, rule: str, away: Flags, **arguments: Any) -> None:
    """Compare one call with the model; where it must raise, compare the rest of it too."""
    expected, overflow = c.expected(mode, rule, away)
    x = c.x
    if overflow.any():
        out = np.full_like(x, 0.375)
        with pytest.raises(OverflowError) as error:
            pysr.round(x, c.format, mode, overflow=rule, out=out, **arguments)
        lowest = int(np.flatnonzero(overflow)[0])
        numbers = re.findall(r"(?:index|element)\D{0,3}(\d+)", str(error.value))
        assert numbers == [str(lowest)], str(error.value)
        assert (out == 0.375).all(), "written before raising"
        exact = em.carrier_bits(c.carrier, em.finite(False, c.fmt.max))
        safe = np.array(exact, PATTERN_TYPE[c.carrier_name])
        x = np.where(overflow, safe.view(c.carrier_name), x)
        expected = np.where(overflow, safe, expected)
    got = pysr.round(x, c.format, mode, overflow=rule, **arguments)
    assert got.dtype == x.dtype
    assert got.shape == x.shape
    if (bits_of(got) != expected).any():
        raise AssertionError(f"{mode} {rule} {arguments.keys()}: {c.difference(got, expected)}")


def check_rules(c: Case, mode: str, away: Flags, **arguments: Any) -> None:
    for rule in c.fmt.overflows:
        check(c, mode, rule, away, **arguments)


def boundary_words(c: Case, bits: int, threshold: Any, rng: np.random.Generator) -> Any:
    """Return random words, every second one next to the word at which the decision turns.

    `threshold(i, split)` is the number to which adding the word must reach 2^bits.
    """
    words = rng.integers(0, (1 << bits) - 1, c.n, np.uint64, endpoint=True)
    for i, s in enumerate(c.splits):
        if i % 2 and s is not None:
            word = (1 << bits) - threshold(i, s) + i // 2 % 3 - 1
            words[i] = min(max(word, 0), (1 << bits) - 1)
    smallest = next(n for n in (8, 16, 32, 64) if n >= bits)
    return words.astype(f"u{smallest // 8}")


def check_words(
    c: Case, mode: str, bits: int, threshold: Any, decide: Any, label: str, **arguments: Any
) -> None:
    """Check a mode that takes one word an element: words given, and words drawn."""
    seed = seed_of(f"{c.name} {c.carrier_name} {label}")
    given = boundary_words(c, bits, threshold, np.random.default_rng(seed))
    width = em.word_width(mode, arguments.get("random_bits", "exact"))
    drawn = em.element_words(seed, 0, 0, 0, c.n, width) >> np.uint64(width - bits)
    for words, source in ((given, {"bits": given}), (drawn, {"rng": seed})):
        integers = words.tolist()
        away = c.away(lambda i, s, w=integers: decide(s, w[i]))  # type: ignore[misc]
        check_rules(c, mode, away, **source, **arguments)


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
@pytest.mark.parametrize(("name", "carrier"), CASES, ids=["-".join(c) for c in CASES])
def test_against_model(name: str, carrier: str, configuration: str) -> None:
    run(case(name, carrier), configuration)


def run(c: Case, configuration: str) -> None:
    mode, _, r_text = configuration.partition("-")
    if mode in em.DETERMINISTIC:
        check_rules(c, mode, c.away(lambda i, s: em.deterministic_away(c.fmt, s, mode)))
    elif r_text == "exact":
        seed = seed_of(c.name + c.carrier_name)
        heads = em.element_words(seed, 0, 0, 0, c.n, 16).tolist()

        def decide_exactly(i: int, s: em.Split) -> bool:
            return em.sr_exact_away(
                s.phi, heads[i], lambda level: em.refinement(seed, 0, 0, i, level)
            )

        check_rules(c, mode, c.away(decide_exactly), rng=seed)
    elif mode == "sr":
        r = int(r_text)
        for variant in "abc":
            check_words(
                c,
                mode,
                r,
                lambda i, s: em.scaled_floor(s.phi, r),
                lambda s, word, v=variant: em.sr_away(s.phi, r, word, v),
                configuration + variant,
                random_bits=r,
                variant=variant,
            )
    elif mode == "sr_equal":
        check_words(
            c, mode, 16, lambda i, s: 0x8000, lambda s, word: em.sr_equal_away(s.phi, word), mode
        )
    elif mode == "sr_eps":
        for eps in EPSILONS:
            lean = round(eps * 2.0**32)
            check_words(
                c,
                mode,
                32,
                lambda i, s, n=lean: em.scaled_floor(s.phi, 32) + n,
                lambda s, word, e=eps: em.sr_eps_away(s.phi, e, word),
                f"{mode}{eps}",
                eps=eps,
            )
    else:
        run_signed(c)


def run_signed(c: Case) -> None:
    direction = np.resize(np.array(DIRECTIONS, c.carrier_name), c.n)
    signs = np.sign(direction).astype(int).tolist()
    for eps in EPSILONS:
        lean = round(eps * 2.0**32)
        seed = seed_of(f"{c.name} {c.carrier_name} sr_signed {eps}")

        def threshold(i: int, s: em.Split, lean: int = lean) -> int:
            return em.scaled_floor(s.phi, 32) - signs[i] * (-1 if s.negative else 1) * lean

        given = boundary_words(c, 32, threshold, np.random.default_rng(seed))
        drawn = em.element_words(seed, 0, 0, 0, c.n, 32)
        for words, source in ((given, {"bits": given}), (drawn, {"rng": seed})):
            integers = words.tolist()

            def decide(i: int, s: em.Split, eps: float = eps, words: list[int] = integers) -> bool:
                return em.sr_signed_away(s.phi, s.negative, eps, signs[i], words[i])

            check_rules(c, "sr_signed", c.away(decide), eps=eps, direction=direction, **source)


@pytest.mark.exhaustive
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
@pytest.mark.parametrize(("name", "carrier"), CASES, ids=["-".join(c) for c in CASES])
def test_against_model_at_length(name: str, carrier: str, configuration: str) -> None:
    run(long_case(name, carrier), configuration)


@lru_cache(maxsize=1)
def long_case(name: str, carrier: str) -> Case:
    return Case(FORMATS[name], carrier, input_patterns(name, carrier, 100_000))


MORE = [pytest.param(seed, marks=pytest.mark.exhaustive) for seed in range(30, 1000)]


@pytest.mark.parametrize("seed", [*range(30), *MORE])
def test_random_formats(seed: int) -> None:
    rng = random.Random(seed)
    fmt = random_format(rng)
    for carrier, held in CARRIERS.items():
        assert to_library(fmt).fits(carrier) == em.fits(fmt, held)
        if em.fits(fmt, held):
            edges = edge_patterns(fmt, held)
            patterns = rng.sample(edges, min(250, len(edges))) + random_patterns(
                fmt, held, 100, seed
            )
            c = Case(fmt, carrier, patterns)
            for configuration in CONFIGURATIONS:
                run(c, configuration)


@pytest.mark.parametrize(("name", "carrier"), CASES, ids=["-".join(c) for c in CASES])
def test_default_rule(name: str, carrier: str) -> None:
    c = case(name, carrier)
    assert c.format.overflow == c.fmt.default_overflow
    got = pysr.round(c.x, c.format, "rne")
    away = c.away(lambda i, s: em.deterministic_away(c.fmt, s, "rne"))
    expected, _ = c.expected("rne", c.fmt.default_overflow, away)
    assert (bits_of(got) == expected).all(), c.difference(got, expected)


@pytest.mark.parametrize("name", FORMATS)
def test_rules_the_format_cannot_carry_out(name: str) -> None:
    for rule in em.OVERFLOWS:
        if rule not in FORMATS[name].overflows:
            with pytest.raises(ValueError, match=rule):
                pysr.round(np.ones(1), library_format(name), "rne", overflow=rule)


@pytest.mark.parametrize("name", FORMATS)
def test_carriers_that_cannot_hold_the_format(name: str) -> None:
    for carrier in CARRIERS:
        held = carrier in held_by(FORMATS[name])
        assert library_format(name).fits(carrier) == held
        if not held:
            for mode in pysr.MODES:
                direction = 1.0 if mode == "sr_signed" else None
                out = np.full(1, 0.375, carrier)
                with pytest.raises(ValueError, match=carrier):
                    pysr.round(
                        np.ones(1, carrier),
                        library_format(name),
                        mode,
                        direction=direction,
                        out=out,
                    )
                assert out[0] == 0.375


def test_the_model_knows_every_name() -> None:
    assert set(pysr.FORMATS) >= set(em.NAMED)
    assert tuple(pysr.MODES) == em.MODES
    assert tuple(pysr.OVERFLOWS) == em.OVERFLOWS
