"""docs/specification.md and its test vectors: the library does what they say."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import pysr

ROOT = Path(__file__).resolve().parent.parent
SPECIFICATION = ROOT / "docs" / "specification.md"
VECTORS = ROOT / "docs" / "vectors"
FILES = (
    "formats.txt",
    "codes.txt",
    "given_words.txt",
    "keystream.txt",
    "drawn_words.txt",
    "refinement.txt",
)

pytestmark = pytest.mark.skipif(not SPECIFICATION.exists(), reason="not in the source tree")

TYPES = {"float32": (np.uint32, np.float32), "float64": (np.uint64, np.float64)}
Array = npt.NDArray[Any]


def lines(name: str) -> list[str]:
    """Return the cases of a vector file."""
    text = (VECTORS / name).read_text(encoding="ascii")
    return [line for line in text.splitlines() if not line.startswith("#")]


def specification() -> str:
    return SPECIFICATION.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of the specification that are marked so."""
    return re.findall(rf"^```{language}\n(.*?)^```$", specification(), re.MULTILINE | re.DOTALL)


def float_value(pattern: str) -> float:
    return float(np.uint64(int(pattern, 16)).view(np.float64))


def make_format(line: str) -> pysr.FloatFormat:
    """Make the format that a line of formats.txt describes."""
    name, p, emin, top, *rest = line.split()
    subnormals, infinities, nan, negative_zero, zero, signed = (flag == "y" for flag in rest[:6])
    largest = float_value(top)
    return pysr.FloatFormat(
        int(p),
        int(np.frexp(largest)[1]) - 1,
        int(emin),
        max=largest,
        subnormals=subnormals,
        infinities=infinities,
        nan=nan,
        negative_zero=negative_zero,
        zero=zero,
        signed=signed,
        name=name,
    )


def find_format(name: str) -> Any:
    if not name.startswith("custom_"):
        return pysr.format(name)
    return next(make_format(line) for line in lines("formats.txt") if line.split()[0] == name)


def array(carrier: str, pattern: str, n: int = 1) -> Array:
    bits, values = TYPES[carrier]
    return np.full(n, int(pattern, 16), bits).view(values)


def hexadecimal(x: Array) -> str:
    """Return the bits of an array's last element."""
    return f"{int(x[-1:].view(f'u{x.itemsize}')[0]):0{2 * x.itemsize}x}"


def outcome(function: Any, *args: Any, **kwargs: Any) -> str:
    try:
        return hexadecimal(np.atleast_1d(function(*args, **kwargs)))
    except (ValueError, OverflowError) as error:
        return type(error).__name__


def arguments(columns: list[str]) -> dict[str, Any]:
    """Return the keyword arguments of the columns mode ... overflow."""
    mode, random_bits, variant, eps, direction, overflow = columns
    kwargs: dict[str, Any] = {"mode": mode}
    if random_bits != "-":
        kwargs["random_bits"] = "exact" if random_bits == "exact" else int(random_bits)
    if variant != "-":
        kwargs["variant"] = variant
    if eps != "-":
        kwargs["eps"] = float(eps)
    if direction != "-":
        kwargs["direction"] = float(direction)
    if overflow != "-":
        kwargs["overflow"] = overflow
    return kwargs


def check_format(line: str) -> str:
    fields = line.split()
    fmt = make_format(line)
    if not fields[0].startswith("custom_"):
        assert pysr.format(fields[0]) == fmt
    largest = np.array([fmt.max])
    nan = np.array([np.nan])
    codes = [f"{int(pysr.encode(largest, fmt, 'rne')[0]):x}"]
    for special, has in ((np.array([np.inf]), fmt.infinities), (nan, fmt.nan), (-nan, fmt.nan)):
        codes.append(f"{int(pysr.encode(special, fmt, 'rne')[0]):x}" if has else "-")
    return " ".join([*fields[:10], fmt.overflow, str(fmt.bits), *codes])


def check_code(line: str) -> str:
    name, code, _ = line.split()
    fmt = find_format(name)
    unsigned = np.dtype(f"u{len(code) // 2}")
    codes = np.array([int(code, 16)], unsigned).view(fmt.code_dtype)
    return f"{name} {code} {hexadecimal(pysr.decode(codes, fmt, dtype=np.float64))}"


def check_given_word(line: str) -> str:
    columns = line.split()
    name, carrier, x, word = columns[0], *columns[7:10]
    kwargs = arguments(columns[1:7])
    if word != "-":
        kwargs["bits"] = np.array([int(word, 16)], np.uint64)
    case = (array(carrier, x), find_format(name))
    results = (outcome(pysr.round, *case, **kwargs), outcome(pysr.encode, *case, **kwargs))
    return " ".join([*columns[:10], *results])


def check_keystream(line: str) -> str:
    kind, *rest = line.split()
    seed, stream = int(rest[0]), int(rest[1])
    source = pysr.Philox(seed, stream)
    if kind == "word":
        block, width, index = map(int, rest[2:5])
        source.advance(block)
        raw = np.asarray(source.random_raw(index * width // 64 + 2), "<u8")
        got = f"{int(raw.view(f'<u{width // 8}')[index]):0{width // 4}x}"
    elif kind == "refine":
        block, index, level = map(int, rest[2:5])
        k = (8 * block + index) % 2**64
        counter = (k % 2**32, k >> 32, stream % 2**32, (stream >> 32) + (level << 16))
        got = "".join(f"{w:08x}" for w in philox(counter, (seed % 2**32, seed >> 32)))
    elif kind == "draw":
        got = draws(source)[int(rest[2])]
    else:
        got = str(source.spawn(int(rest[2]) + 1)[-1].seed)
    return " ".join([kind, *rest[:-1], got])


def philox(counter: tuple[int, ...], key: tuple[int, int]) -> tuple[int, ...]:
    from pysr._core.philox import philox4x32

    return tuple(philox4x32(counter, key))


def draws(source: pysr.Philox) -> dict[int, str]:
    """Draw as the lines `draw` of keystream.txt do; keys are the words used so far."""
    generator = np.random.Generator(source)
    return {
        1: str(generator.integers(0, 2**32, dtype=np.uint32)),
        3: str(source.random_raw()),
        5: float(generator.random()).hex(),
        6: str(generator.integers(0, 2**32, dtype=np.uint32)),
        8: float(generator.random()).hex(),
    }


def check_drawn_word(line: str) -> str:
    columns = line.split()
    seed, stream, block, index = map(int, columns[:4])
    name, carrier, x = columns[4], *columns[11:13]
    kwargs = arguments(columns[5:11])
    results = []
    for function in (pysr.round, pysr.encode):
        if (stream, block) == (0, 0):
            one = array(carrier, x)
            got = outcome(function, one, find_format(name), rng=seed, offset=index, **kwargs)
        else:
            source = pysr.Philox(seed, stream)
            source.advance(block)
            many = array(carrier, x, index + 1)
            got = outcome(function, many, find_format(name), rng=source, **kwargs)
        results.append(got)
    return " ".join([*columns[:13], *results])


CHECKS = {
    "formats.txt": check_format,
    "codes.txt": check_code,
    "given_words.txt": check_given_word,
    "keystream.txt": check_keystream,
    "drawn_words.txt": check_drawn_word,
}


@pytest.mark.parametrize("name", CHECKS)
def test_library_reproduces_vectors(name: str) -> None:
    cases = lines(name)
    assert cases
    assert [CHECKS[name](line) for line in cases] == cases


REFINEMENT_SOURCE = """
#include "srcore/scalar.h"

static void next_block(void *context, uint32_t level, uint32_t words[4])
{
    const uint32_t *blocks = (const uint32_t *)context;
    for (int i = 0; i < 4; i++) words[i] = blocks[4 * (level - 1) + i];
}

uint64_t round_exact(uint64_t x, uint64_t word, uint32_t *blocks)
{
    sr_format format;
    sr_plan plan;
    unsigned flags;
    sr_rounding const rounding = {SR_MODE_SR, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0.0};
    if (sr_format_named(&format, "Q3.8") != SR_OK) return 1;
    if (sr_plan_init(&plan, &format, &rounding) != SR_OK) return 2;
    return sr_round_bits(&plan, x, word, 0, next_block, blocks, &flags);
}
"""


@pytest.fixture(scope="module")
def round_exact(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the scalar definition with the refinement blocks given, compiled from the headers."""
    compiler = shutil.which((sysconfig.get_config_var("CC") or "cc").split()[0]) or shutil.which(
        "cc"
    )
    if compiler is None or sys.platform == "win32":
        pytest.fail("no C compiler; on Debian: apt install gcc")
    directory = tmp_path_factory.mktemp("refinement")
    (directory / "refinement.c").write_text(REFINEMENT_SOURCE)
    library = directory / "refinement.so"
    command = [compiler, "-std=c11", "-ffp-contract=off", "-shared", "-fPIC", "-o", str(library)]
    include = f"-I{ROOT / 'srcore' / 'include'}"
    sources = sorted((ROOT / "srcore" / "src").glob("*.c"))
    subprocess.run([*command, include, directory / "refinement.c", *sources], check=True)
    function = ctypes.CDLL(str(library)).round_exact
    function.restype = ctypes.c_uint64
    function.argtypes = [ctypes.c_uint64, ctypes.c_uint64, ctypes.POINTER(ctypes.c_uint32)]
    return function


def test_definition_reproduces_refinement_vectors(round_exact: Any) -> None:
    cases = lines("refinement.txt")
    assert any(line.count(",") >= 8 for line in cases)
    for line in cases:
        x, word, joined, expected = line.split()
        digits = joined.replace(",", "")
        words = [int(digits[i : i + 8], 16) for i in range(0, len(digits), 8)]
        refinement = (ctypes.c_uint32 * len(words))(*words)
        assert f"{round_exact(int(x, 16), int(word, 16), refinement):016x}" == expected, line


def test_generator_reproduces_files(tmp_path: Path) -> None:
    script = ROOT / "docs" / "make_vectors.py"
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True)
    assert {path.name for path in tmp_path.iterdir()} == set(FILES)
    assert {path.name for path in VECTORS.glob("*.txt")} == set(FILES)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (VECTORS / name).read_bytes(), name


def test_vectors_quoted_in_text() -> None:
    quoted = [(name, block) for name in FILES for block in blocks(re.escape(name))]
    assert {"codes.txt", "given_words.txt", "drawn_words.txt"} <= {name for name, _ in quoted}
    for name, block in quoted:
        assert block.strip(), f"empty block of {name}"
        assert set(block.splitlines()) <= set(lines(name))


def table_rows() -> Iterator[list[str]]:
    """Yield the rows of the table of named formats, S1.11."""
    section = specification().split("### S1.11")[1].split("\n## ")[0]
    for line in section.splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def test_table_of_named_formats() -> None:
    described = {line.split()[0]: line.split() for line in lines("formats.txt")}
    rows = list(table_rows())
    assert [re.findall("`([^`]+)`", row[0])[0] for row in rows] == [
        name for name in described if not name.startswith("custom_")
    ]
    assert {re.findall("`([^`]+)`", row[0])[0] for row in rows} == set(pysr.FORMATS)
    for row in rows:
        names = re.findall("`([^`]+)`", row[0])
        fields = described[names[0]]
        assert all(pysr.format(name) == pysr.format(names[0]) for name in names)
        assert row[1:3] == fields[1:3]
        largest = eval(row[3].replace("^", "**"), {})
        assert largest == float_value(fields[3])
        yes_no = {"y": "yes", "n": "-"}
        assert row[4:7] == [yes_no[fields[i]] for i in (5, 6, 7)]
        assert row[7:] == [fields[11], fields[13], fields[14], fields[10]]


CLAUSE = re.compile(r"\bS[1-9]\d*\.\d+\b")


def test_cited_clauses_exist() -> None:
    text = specification()
    headings = [CLAUSE.findall(line)[0] for line in text.splitlines() if line.startswith("### S")]
    assert len(set(headings)) == len(headings)
    numbers = [tuple(map(int, clause[1:].split("."))) for clause in headings]
    assert numbers == sorted(numbers)
    for folder, suffixes in (
        ("srcore", {".h", ".c"}),
        ("pysr", {".py", ".pyx", ".pxd"}),
        ("tests", {".py"}),
        ("docs", {".py", ".md"}),
    ):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in suffixes:
                cited = CLAUSE.findall(path.read_text(encoding="utf-8"))
                assert set(cited) <= set(headings), path
