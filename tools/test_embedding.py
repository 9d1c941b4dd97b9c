"""What another project does with srcore: find_package, pkg-config, add_subdirectory, one file.

test_embedding.py [--clang]; CC and CXX name other compilers. With --clang: the C library, its tests
and the amalgamation by clang.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import amalgamate

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "srcore"
EXAMPLES = LIBRARY / "examples"
WARNINGS = ["-Wall", "-Wextra", "-Werror"]

# Where the way to the library is what matters: a third of the time to compile.
SCALAR = "-DCMAKE_C_FLAGS=-DSR_SCALAR_ONLY"

CODE = """\
#define SR_IMPLEMENTATION
#include "srcore_amalgamation.h"
"""

USER = """\
#include "srcore_amalgamation.h"
#include "srcore_amalgamation.h"
#include <stdio.h>

int main(void)
{
    float const x[2] = {1.0f, 0.3f};
    float y[2] = {0.0f, 0.0f};
    sr_rounding const rounding = {SR_MODE_RNE, SR_OVERFLOW_DEFAULT, SR_EXACT, SR_VARIANT_A, 0.0};
    sr_format format;
    sr_plan plan;
    unsigned flags;
    if (sr_format_named(&format, "float8_e4m3fn") != SR_OK) return 1;
    if (sr_plan_init(&plan, &format, &rounding) != SR_OK) return 2;
    if (sr_round_f32(&plan, NULL, 2, x, 1, NULL, 0, y, 1, NULL) != SR_OK) return 3;
    if (y[0] != 1.0f || y[1] != 0.3125f) return 4;
    if (sr_round_bits(&plan, sr_bits_f64(0.3), 0, 0, NULL, NULL, &flags) != sr_bits_f64(0.3125))
        return 5;
    printf("amalgamation %s\\n", sr_version());
    return 0;
}
"""

# A program written for one copy that knows of the other: put before USER.
OTHER = "const char *other_sr_version(void);\n"


class Failure(Exception):
    """What went wrong, for a person."""


def run(*command: object, cwd: Path | None = None, **environment: str) -> str:
    """A command's output; it must succeed."""
    words = [str(part) for part in command]
    done = subprocess.run(
        words, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True
    )
    if done.returncode:
        said = (done.stdout + done.stderr).splitlines()
        raise Failure("\n".join([f"{' '.join(words)}: status {done.returncode}", *said[:60]]))
    return done.stdout


def at_once(*jobs: Callable[[], None]) -> None:
    """Do all jobs, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(job) for job in jobs]:
            future.result()


def symbols(file: Path, *options: str) -> list[str]:
    """Names that an object, archive or library defines for others."""
    lines = run("nm", "-P", *options, "--defined-only", file).splitlines()
    return [line.split()[0] for line in lines if len(line.split()) >= 2]


def require_prefix(prefix: str, names: list[str], where: str) -> None:
    """Another project's names are its own."""
    strange = [name for name in names if not name.startswith(prefix)]
    if strange or not names:
        raise Failure(f"{where}: symbols without the prefix {prefix}: {strange or 'all, none'}")


def configure(source: Path, build: Path, *options: str) -> None:
    """Run cmake, on both cores later."""
    run("cmake", "-G", "Ninja", "-S", source, "-B", build, *options)


def test_installed(scratch: Path, compilers: tuple[str, str | None], shared: bool) -> None:
    """Install, then build and run the examples from there alone."""
    cc, cxx = compilers
    kind = "shared" if shared else "static"
    prefix, build = scratch / kind / "prefix", scratch / kind / "build"
    options = [f"-DCMAKE_C_COMPILER={cc}", f"-DBUILD_SHARED_LIBS={'ON' if shared else 'OFF'}"]
    options += ["-DSRCORE_TESTS=OFF", "-DSRCORE_BENCH=OFF", "-DSRCORE_WERROR=ON"]
    options += ["-DCMAKE_C_FLAGS_RELEASE=-O1", SCALAR]
    # An installation may be moved: it is configured for another place.
    configure(LIBRARY, build, *options, f"-DCMAKE_INSTALL_PREFIX={scratch}/nowhere")
    run("cmake", "--build", build)
    run("cmake", "--install", build, "--prefix", prefix)
    if shared:
        (library,) = prefix.glob("lib*/**/libsrcore.so")
        exported = symbols(library, "-D")
        require_prefix("sr_", exported, library.name)
        public = amalgamate.external_names([LIBRARY / "include" / "srcore" / "srcore.h"])
        if sorted(exported) != public:
            raise Failure(f"exported, but not both ways: {set(exported) ^ set(public)}")
    else:
        (library,) = prefix.glob("lib*/**/libsrcore.a")
        require_prefix("sr_", symbols(library, "-g"), library.name)

    copy = scratch / kind / "examples"
    shutil.copytree(EXAMPLES, copy)
    languages = [f"-DCMAKE_C_COMPILER={cc}", f"-DCMAKE_CXX_COMPILER={cxx or 'NOTFOUND'}"]
    configure(copy, copy / "build", f"-DCMAKE_PREFIX_PATH={prefix}", *languages)
    run("cmake", "--build", copy / "build")
    run("ctest", "--test-dir", copy / "build", "--output-on-failure")
    print(f"find_package, {kind}: examples right")

    if shutil.which("pkg-config") is None:
        print(f"pkg-config, {kind}: SKIPPED, there is no pkg-config here")
        return
    where = str(library.parent / "pkgconfig")
    flags = run("pkg-config", "--cflags", "--libs", "srcore", PKG_CONFIG_PATH=where).split()
    for source in sorted(copy.glob("*.c*")):
        if source.suffix == ".cpp" and cxx is None:
            continue
        program = copy / f"{source.stem}-pkg-config"
        compiler = [cc, "-std=c11"] if source.suffix == ".c" else [str(cxx), "-std=c++11"]
        run(*compiler, *WARNINGS, source, *flags, "-pthread", "-o", program)
        run(program, LD_LIBRARY_PATH=str(library.parent))
    print(f"pkg-config, {kind}: examples right")


def test_subdirectory(scratch: Path, cc: str) -> None:
    """A project that has srcore as a directory of its own, and gets the library alone."""
    project = scratch / "subdirectory"
    project.mkdir()
    shutil.copy(EXAMPLES / "round_bfloat16.c", project)
    lines = ["cmake_minimum_required(VERSION 3.20)", "project(user LANGUAGES C)"]
    lines += [f'add_subdirectory("{LIBRARY.as_posix()}" srcore)']
    lines += ["add_executable(user round_bfloat16.c)"]
    lines += ["target_link_libraries(user PRIVATE srcore::srcore)", "install(TARGETS user)"]
    (project / "CMakeLists.txt").write_text("\n".join(lines) + "\n")
    build, prefix = project / "build", project / "prefix"
    configure(project, build, f"-DCMAKE_C_COMPILER={cc}", "-DCMAKE_BUILD_TYPE=Debug", SCALAR)
    run("cmake", "--build", build)
    run(build / "user")
    run("cmake", "--install", build, "--prefix", prefix)
    installed = {path.name for path in prefix.rglob("*") if path.is_file()}
    if installed != {"user"}:
        raise Failure(f"add_subdirectory installs {installed}")
    for unwanted in ("test_api", "bench"):
        if (build / "srcore" / unwanted).exists():
            raise Failure(f"add_subdirectory builds {unwanted}")
    print("add_subdirectory: example right")


def test_amalgamation(scratch: Path, compiler: list[str], space: str) -> None:
    """One language: two units of a program; the hashes of all results, in C."""
    name = f"{Path(compiler[0]).name} {compiler[1]}"
    place = scratch / name.replace(" ", "")
    place.mkdir()
    in_c = compiler[1] == "-std=c11"
    suffix = ".c" if in_c else ".cpp"
    code, user = place / f"code{suffix}", place / f"user{suffix}"
    code.write_text(CODE)
    user.write_text(USER)
    flags = [*WARNINGS, "-I", str(scratch), *([f"-DSR_NAMESPACE={space}"] if space else [])]
    run(*compiler, *flags, "-O2" if in_c else "-O0", "-c", code, "-o", place / "code.o")
    require_prefix(f"{space}_sr_" if space else "sr_", symbols(place / "code.o", "-g"), name)
    run(*compiler, *flags, user, place / "code.o", "-o", place / "user")
    run(place / "user")
    if in_c:
        program, hashes = place / "hashes", LIBRARY / "tests" / "hashes.c"
        includes = ["-I", str(scratch), "-I", str(scratch / "shims")]
        run(*compiler, "-O1", *includes, hashes, place / "code.o", "-lm", "-o", program)
        run(program, "--check", LIBRARY / "tests" / "hashes.txt")
    said = [f"amalgamation, {name}"] + [f"in namespace {space}"] * bool(space)
    print(", ".join([*said, "hashes"] if in_c else said) + ": right")


def test_namespaces(scratch: Path, compiler: list[str]) -> None:
    """Two copies in one program."""
    place = scratch / "namespaces"
    place.mkdir()
    code, main = place / "code.c", place / "main.c"
    code.write_text(CODE)
    main.write_text(OTHER + USER.replace("return 0;", "return sr_version == other_sr_version;"))
    for space in ("one", "other"):
        flags = ["-O0", "-I", str(scratch), f"-DSR_NAMESPACE={space}"]
        run(*compiler, *WARNINGS, *flags, "-c", code, "-o", place / f"{space}.o")
        require_prefix(f"{space}_sr_", symbols(place / f"{space}.o", "-g"), space)
    flags = [*WARNINGS, "-DSR_NAMESPACE=one", "-I", str(scratch)]
    run(*compiler, *flags, main, place / "one.o", place / "other.o", "-o", place / "main")
    run(place / "main")
    print("amalgamation: two namespaces in one program")


def test_freestanding(scratch: Path, compiler: list[str]) -> None:
    """The scalar path by itself: no symbol of anyone else's."""
    place = scratch / f"freestanding-{Path(compiler[0]).name}"
    place.mkdir()
    code = place / "code.c"
    code.write_text(CODE)
    flags = ["-O2", "-ffreestanding", "-DSR_SCALAR_ONLY", "-I", str(scratch)]
    run(*compiler, *WARNINGS, *flags, "-c", code, "-o", place / "code.o")
    undefined = run("nm", "-u", place / "code.o").split()
    if undefined:
        raise Failure(f"freestanding by {compiler[0]} needs {undefined}")
    print(f"amalgamation, scalar, freestanding, {Path(compiler[0]).name}: needs no symbol")


def make_amalgamation(scratch: Path) -> None:
    """The file, and names for programs that include the library's own headers."""
    name = "srcore_amalgamation.h"
    (scratch / name).write_text(amalgamate.amalgamation(name))
    shims = scratch / "shims" / "srcore"
    shims.mkdir(parents=True)
    for header in ("srcore.h", "scalar.h", "philox.h", "bits.h", "exact.h"):
        (shims / header).write_text(f'#include "{name}"\n')


def test_ordinary(scratch: Path) -> None:
    """With the machine's C compiler; and C++, if there is one."""
    cc = os.environ.get("CC", "cc")
    cxx = os.environ.get("CXX", "clang++" if "clang" in cc else "c++")
    found = cxx if shutil.which(cxx) else None
    if found is None:
        print(f"C++: SKIPPED, there is no {cxx} here")
    c11 = [cc, "-std=c11"]
    jobs = [
        lambda: test_amalgamation(scratch, c11, ""),
        lambda: test_installed(scratch, (cc, found), shared=False),
        lambda: test_installed(scratch, (cc, found), shared=True),
        lambda: test_namespaces(scratch, c11),
        lambda: test_subdirectory(scratch, cc),
        lambda: test_freestanding(scratch, c11),
    ]
    if found:
        jobs.insert(2, lambda: test_amalgamation(scratch, [found, "-std=c++17"], "space"))
    at_once(*jobs)


def test_clang(scratch: Path) -> None:
    """The library, its tests and the amalgamation by clang."""
    for program in ("clang", "clang++"):
        if shutil.which(program) is None:
            raise Failure(f"missing: {program}; on Debian: apt install clang")
    build = scratch / "build"

    def library() -> None:
        configure(LIBRARY, build, "-DCMAKE_C_COMPILER=clang", "-DSRCORE_WERROR=ON")
        run("cmake", "--build", build, "-j2")
        print(run("ctest", "--test-dir", build, "--output-on-failure"))

    at_once(
        library,
        lambda: test_amalgamation(scratch, ["clang", "-std=c11"], ""),
        lambda: test_amalgamation(scratch, ["clang++", "-std=c++17"], ""),
        lambda: test_freestanding(scratch, ["clang", "-std=c11"]),
    )


def main() -> None:
    """Everything, in a directory that is removed again."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        try:
            make_amalgamation(scratch)
            if "--clang" in sys.argv[1:]:
                test_clang(scratch)
            else:
                test_ordinary(scratch)
        except Failure as failure:
            sys.exit(str(failure))


if __name__ == "__main__":
    main()
