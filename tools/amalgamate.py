"""One header that holds all of srcore: amalgamate.py [OUTPUT]."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PUBLIC = ROOT / "srcore" / "include"
SOURCES = ROOT / "srcore" / "src"
OUTPUT = ROOT / "build" / "amalgamation" / "srcore_amalgamation.h"

INCLUDE = re.compile(r'\s*#\s*include\s+"([^"]+)"')
GUARD = re.compile(r"^#ifndef (SRCORE_\w+_H)\n#define \1\n", re.MULTILINE)

# A declaration begins in the first column; a type, perhaps a pointer, then the name.
FUNCTION = re.compile(r"^(?!static|typedef|SR_INLINE|#)[A-Za-z_][\w ]*[ *](sr_\w+)\(", re.MULTILINE)
TABLE = re.compile(r"^extern const \w+ (sr_\w+);", re.MULTILINE)

HEAD = """\
/* srcore {version} in one file, made by tools/amalgamate.py; do not edit.
 *
 * Include it for the declarations. In exactly one translation unit, C11 or C++17, define
 * SR_IMPLEMENTATION before:
 *
 *     #define SR_IMPLEMENTATION
 *     #include "{name}"
 *
 * That unit should hold little else: the code's static functions have short names. Compile it with
 * optimization, also for debugging, and without -ffast-math.
 *
 * SR_NAMESPACE   defined as foo, the same in all units, turns every external symbol sr_x into
 *                foo_sr_x, so that several copies can be linked into one program.
 * SR_SCALAR_ONLY leaves out the instruction sets that are chosen when the program runs; with GCC
 *                or clang and -ffreestanding no symbol of a C library is needed then.
 *
{licence}
 */
"""


def comment(text: str) -> str:
    """The lines of a text as those of a comment."""
    return "\n".join(f" * {line}".rstrip() for line in text.strip().splitlines())


def external_names(headers: list[Path]) -> list[str]:
    """What these headers declare with external linkage."""
    text = "\n".join(header.read_text() for header in headers)
    return sorted({*FUNCTION.findall(text), *TABLE.findall(text)})


def expand(path: Path, done: set[Path]) -> str:
    """A file's text with this project's includes in their place, guarded files once."""
    text = path.read_text()
    if GUARD.search(text):
        if path in done:
            return ""
        done.add(path)
    lines = [f"/* ==== {path.relative_to(ROOT).as_posix()} ==== */"]
    for line in text.splitlines():
        include = INCLUDE.match(line)
        if include is None:
            lines.append(line)
            continue
        (found,) = (at / include[1] for at in (PUBLIC, SOURCES) if (at / include[1]).exists())
        part = expand(found, done)
        if part:
            lines.append(part)
    return "\n".join(lines)


def amalgamation(name: str) -> str:
    """The text of the file."""
    headers = [
        PUBLIC / "srcore" / header
        for header in ("srcore.h", "philox.h", "bits.h", "exact.h", "scalar.h")
    ]
    internal = SOURCES / "kernels.h"
    version = re.search(r'#define SR_VERSION "(.*)"', headers[0].read_text())
    assert version is not None
    names = external_names([*headers, internal])
    licence = comment((ROOT / "LICENSE").read_text())
    parts = [HEAD.format(version=version[1], name=name, licence=licence)]
    parts += [
        "#ifndef SRCORE_AMALGAMATION_H",
        "#define SRCORE_AMALGAMATION_H",
        "",
        "#ifdef SR_NAMESPACE",
    ]
    parts += ["#define SR_NAMESPACED_AGAIN(space, name) space##_##name"]
    parts += ["#define SR_NAMESPACED_IN(space, name) SR_NAMESPACED_AGAIN(space, name)"]
    parts += ["#define SR_NAMESPACED(name) SR_NAMESPACED_IN(SR_NAMESPACE, name)"]
    parts += [f"#define {symbol} SR_NAMESPACED({symbol})" for symbol in names]
    parts += ["#endif", ""]
    done: set[Path] = set()
    parts += [expand(header, done) for header in headers]
    parts += ["", "#endif", ""]
    parts += ["#if defined(SR_IMPLEMENTATION) && !defined(SRCORE_IMPLEMENTED)"]
    parts += ["#define SRCORE_IMPLEMENTED", ""]
    parts += [
        "/* GCC's AVX-512 headers leave values uninitialized on purpose; its C++ warns of it. */"
    ]
    parts += ["#if defined(__cplusplus) && defined(__GNUC__) && !defined(__clang__)"]
    parts += [
        "#pragma GCC diagnostic push",
        '#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"',
    ]
    parts += ["#endif", "#ifdef __cplusplus", 'extern "C" {', "#endif", expand(internal, done)]
    parts += ["#ifdef __cplusplus", "}", "#endif", ""]
    parts += [expand(source, done) + "\n" for source in sorted(SOURCES.glob("*.c"))]
    parts += ["#if defined(__cplusplus) && defined(__GNUC__) && !defined(__clang__)"]
    parts += ["#pragma GCC diagnostic pop", "#endif", "", "#endif"]
    return "\n".join(parts) + "\n"


def main() -> None:
    """Write it."""
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(amalgamation(output.name), encoding="utf-8")
    print(output)


if __name__ == "__main__":
    main()
