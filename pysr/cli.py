"""The ``pysr`` command.

``pysr round``
    round an ``.npy`` file of any size, in bounded memory, to the bits that one call of
    `pysr.round` on the whole array gives;
``pysr svdvals``
    singular values of a tall matrix in a file of any size, rounded while it is read;
``pysr formats``
    the named formats and their fields;
``pysr info``
    what is installed and how it was built;
``pysr lab``
    the experiments of `pysr.labs`.

Exit status: 0 success, 1 a lab's verdict is "fails", 2 bad usage or input, 130 interrupted by
SIGINT (143 SIGTERM, 129 SIGHUP, 141 a closed pipe).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import re
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import numpy as np

import pysr
from pysr._files import Progress, open_npy, replacing

__all__ = ["main"]

# NDArray spelled out: stubtest looks for a class, and from NumPy 2.5 on it is none.
Array = np.ndarray[tuple[Any, ...], np.dtype[Any]]

CHUNK = 1 << 20
STOCHASTIC = ("sr", "sr_equal", "sr_eps", "sr_signed")
CLOSED_PIPE = 128 + 13


class _Failure(Exception):
    """Bad usage or input: one line for the user, exit status 2."""


class _Stopped(BaseException):
    """A signal asks the program to end; not an Exception, so that nothing swallows it."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line, whichever the subcommand."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_abbrev=False, **kwargs)

    def error(self, message: str) -> NoReturn:
        raise _Failure(message)


# ---------------------------------------------------------------------------------------------
# Signals


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into _Stopped, so that files are cleaned up.

    A signal that was ignored on entry (nohup, a background job) stays ignored. Once one has
    arrived the others are ignored too: a second Ctrl-C cannot break the cleaning.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    watched = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before: dict[int, Any] = {}

    def stop(signum: int, frame: FrameType | None) -> None:
        for other in before:
            signal.signal(other, signal.SIG_IGN)
        raise _Stopped(signum)

    try:
        for signum in watched:
            handler = signal.getsignal(signum)
            if handler is not signal.SIG_IGN and handler is not None:
                before[signum] = handler
        for signum in before:
            signal.signal(signum, stop)
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


# ---------------------------------------------------------------------------------------------
# pysr round


def _round(args: argparse.Namespace) -> int:
    began = time.perf_counter()
    fmt = _named_format(args.to)
    source = None if args.source is None else _named_format(args.source)
    drawn = args.mode in STOCHASTIC and args.seed is None
    seed = secrets.randbits(64) if args.seed is None else args.seed
    if not 0 <= seed < 1 << 64:
        raise _Failure(f"argument --seed: must be in [0, 2^64), not {seed}")
    if args.mode == "sr_signed" and args.direction is None:
        raise _Failure("mode sr_signed needs --direction FILE.npy")
    if args.mode != "sr_signed" and args.direction is not None:
        raise _Failure(f"--direction is for mode sr_signed, not {args.mode}")

    x = np.asarray(open_npy(args.input))
    _check_dtype(args.input, x, source)
    operands = [x]
    shape = x.shape
    if args.direction is not None:
        direction = np.asarray(open_npy(args.direction))
        _check_dtype(args.direction, direction, None)
        operands.append(direction)
        try:
            shape = np.broadcast_shapes(x.shape, direction.shape)
        except ValueError:
            raise _Failure(
                f"{args.direction}: shape {direction.shape} does not broadcast with {x.shape}"
            ) from None

    def convert(pieces: Sequence[Array], offset: int) -> Array:
        values = pieces[0] if source is None else _decode(pieces[0], source)
        function = pysr.encode if args.codes else pysr.round
        result = function(
            values,
            fmt,
            args.mode,
            rng=seed,
            eps=args.eps,
            direction=pieces[1] if len(pieces) > 1 else None,
            random_bits=args.random_bits,
            variant=args.variant,
            overflow=args.overflow,
            offset=offset,
        )
        return np.asarray(result)

    # An empty piece of the same dtypes settles every argument, and the result's dtype, up front.
    dtype = convert([np.empty(0, a.dtype.newbyteorder("=")) for a in operands], 0).dtype

    progress = Progress(math.prod(shape), sys.stderr, False if args.quiet else args.progress)
    try:
        with replacing(args.output) as file:
            header = {
                "descr": np.lib.format.dtype_to_descr(dtype),
                "fortran_order": False,
                "shape": shape,
            }
            np.lib.format.write_array_header_1_0(file, header)
            done = 0
            for pieces in _pieces(operands, args.chunk):
                try:
                    result = convert(pieces, done)
                except (ValueError, OverflowError) as error:
                    raise _blame(args.input, shape, pieces, done, convert, error) from None
                file.write(np.ascontiguousarray(result, dtype).data)
                done += result.size
                progress.update(done)
    finally:
        progress.close()

    seconds = time.perf_counter() - began
    note = f", seed {seed}" if args.mode in STOCHASTIC else ""
    if not args.quiet:
        print(f"{args.output}: {done} elements to {args.to}, {args.mode}, in {seconds:.2f} s{note}")
    elif drawn:
        print(f"seed {seed}")
    return 0


def _named_format(spec: str) -> Any:
    try:
        return pysr.format(spec)
    except (ValueError, TypeError) as error:
        message = _one_line(error)
        raise _Failure(message if spec in message else f"unknown format {spec!r}") from None


def _check_dtype(path: str, array: Array, source: Any) -> None:
    kind, size = array.dtype.kind, array.dtype.itemsize
    if source is not None:
        codes = np.dtype(source.code_dtype)
        if (kind not in ("V", codes.kind)) or array.dtype.names or size != codes.itemsize:
            raise _Failure(
                f"{path}: dtype {array.dtype} does not hold codes of {source.name} ({codes})"
            )
    elif kind == "V" and not array.dtype.names:
        raise _Failure(
            f"{path}: dtype {array.dtype} holds raw codes; name their format with --from"
        )
    elif kind not in "biuf" or (kind == "f" and size > 8):
        raise _Failure(f"{path}: dtype {array.dtype}; expected real numbers of at most 64 bits")


def _decode(codes: Array, source: Any) -> Array:
    dtype = source.code_dtype
    plain = codes.view(dtype) if codes.dtype.kind == "V" else codes.astype(dtype, copy=False)
    return np.asarray(pysr.decode(plain, source))


def _pieces(operands: Sequence[Array], chunk: int) -> Iterator[tuple[Array, ...]]:
    """Yield the broadcast operands in logical C order, at most `chunk` elements at a time."""
    first = operands[0]
    if len(operands) == 1 and first.flags.c_contiguous:
        flat = first.reshape(-1)
        for start in range(0, flat.size, chunk):
            yield (flat[start : start + chunk],)
        return
    iterator = np.nditer(
        list(operands),
        flags=["external_loop", "buffered", "zerosize_ok"],
        op_flags=[["readonly"]] * len(operands),
        order="C",
        buffersize=min(chunk, max(1, math.prod(np.broadcast_shapes(*(a.shape for a in operands))))),
    )
    with iterator:
        if iterator.itersize == 0:
            return
        for piece in iterator:
            pieces = piece if isinstance(piece, tuple) else (piece,)
            for start in range(0, pieces[0].size, chunk):
                yield tuple(a[start : start + chunk] for a in pieces)


def _blame(
    path: str,
    shape: tuple[int, ...],
    pieces: Sequence[Array],
    offset: int,
    convert: Callable[[Sequence[Array], int], Array],
    error: Exception,
) -> _Failure:
    """Find the first element of a piece that cannot be converted, and name its global index."""
    low, high = 0, pieces[0].size
    while high - low > 1:
        middle = (low + high) // 2
        try:
            convert([a[low:middle] for a in pieces], offset + low)
        except (ValueError, OverflowError):
            high = middle
        else:
            low = middle
    try:
        convert([a[low:high] for a in pieces], offset + low)
    except (ValueError, OverflowError) as first:
        error = first
    flat = offset + low
    where = ", ".join(str(int(i)) for i in np.unravel_index(flat, shape)) if shape else ""
    message = re.sub(r"^index \d+: ", "", _one_line(error))
    return _Failure(f"{path}: index {flat}, [{where}]: {message}")


# ---------------------------------------------------------------------------------------------
# pysr svdvals


def _svdvals(args: argparse.Namespace) -> int:
    from pysr.linalg import svdvals

    progress = Progress(1, sys.stderr, args.progress)

    drawn = args.to is not None and args.mode in STOCHASTIC and args.seed is None
    if drawn and args.checkpoint is not None:
        raise _Failure("--checkpoint needs --seed: a run that goes on has the seed it began with")
    seed = secrets.randbits(64) if drawn else args.seed
    try:
        values = svdvals(
            args.file,
            None if args.to is None else _named_format(args.to),
            args.mode,
            rng=seed,
            eps=args.eps,
            random_bits=args.random_bits,
            variant=args.variant,
            overflow=args.overflow,
            progress=progress.report,
            checkpoint=args.checkpoint,
        )
    finally:
        progress.close()
    if args.json:
        rounding = None if args.to is None else {"to": args.to, "mode": args.mode, "seed": seed}
        _print_json({"file": args.file, "rounding": rounding, "singular_values": values.tolist()})
        return 0
    if drawn:
        print(f"seed {seed}", file=sys.stderr)
    for value in values:
        print(repr(float(value)))
    return 0


# ---------------------------------------------------------------------------------------------
# pysr formats, pysr info


def _fields(fmt: Any) -> dict[str, Any]:
    fields = {
        "name": fmt.name,
        "precision": fmt.precision,
        "emin": fmt.emin,
        "emax": fmt.emax,
        "qmin": fmt.qmin,
        "max": fmt.max,
        "min": fmt.min,
        "smallest": fmt.smallest,
        "bits": fmt.bits,
        "code_dtype": str(np.dtype(fmt.code_dtype)),
        "carrier": "float32" if fmt.fits(np.float32) else "float64",
        "signed": fmt.signed,
        "zero": fmt.zero,
        "negative_zero": fmt.negative_zero,
        "subnormals": fmt.subnormals,
        "infinities": fmt.infinities,
        "nan": fmt.nan,
        "overflow": fmt.overflow,
    }
    if isinstance(fmt, pysr.FixedFormat):
        fields |= {"int_bits": fmt.int_bits, "frac_bits": fmt.frac_bits, "step": fmt.step}
    if isinstance(fmt, pysr.GridFormat):
        fields["step"] = str(fmt.step)
    return fields


def _formats(args: argparse.Namespace) -> int:
    chosen = [_fields(_named_format(name)) for name in args.names or pysr.FORMATS]
    for name, fields in zip(args.names, chosen, strict=False):
        fields["name"] = fields["name"] or name
    if args.json:
        _print_json(chosen)
        return 0
    if args.names:
        for number, fields in enumerate(chosen):
            if number:
                print()
            width = max(map(len, fields))
            for key, value in fields.items():
                print(f"{key:<{width}}  {_cell(value)}")
        return 0
    columns = {
        "name": "name",
        "precision": "precision",
        "emin": "emin",
        "emax": "emax",
        "max": "max",
        "smallest": "smallest",
        "bits": "bits",
        "inf": "infinities",
        "nan": "nan",
        "-0": "negative_zero",
        "overflow": "overflow",
    }
    lines = [list(columns)]
    for fields in chosen:
        lines.append([_cell(fields[key], short=True) for key in columns.values()])
    for line in _aligned(lines, left={0, 7, 8, 9, 10}):
        print(line)
    return 0


def _cell(value: Any, short: bool = False) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        return f"{float(value):.6g}" if short else repr(float(value))
    return str(value)


def _aligned(lines: Sequence[Sequence[str]], left: set[int]) -> list[str]:
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return [
        "  ".join(
            cell.ljust(widths[i]) if i in left else cell.rjust(widths[i])
            for i, cell in enumerate(line)
        ).rstrip()
        for line in lines
    ]


def _info(args: argparse.Namespace) -> int:
    facts = {**pysr.config(), "location": str(Path(pysr.__file__).parent)}
    if args.json:
        _print_json(facts)
        return 0
    flat: dict[str, Any] = {}
    for key, value in facts.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{inner}": item for inner, item in value.items()}
        else:
            flat[key] = value
    width = max(map(len, flat))
    for key, value in flat.items():
        if isinstance(value, list | tuple):
            value = " ".join(map(str, value))
        print(f"{key:<{width}}  {'absent' if value is None else _cell(value)}")
    return 0


def _print_json(content: Any) -> None:
    print(json.dumps(content, indent=2, default=_plain))


def _plain(value: Any) -> Any:
    """JSON form of the values that json does not know: NumPy scalars, dtypes, paths."""
    return value.item() if isinstance(value, np.generic) else str(value)


# ---------------------------------------------------------------------------------------------
# pysr lab


def _lab(args: argparse.Namespace) -> int:
    from pysr import labs

    if args.name is None:
        width = max(map(len, labs.names()))
        for name in labs.names():
            print(f"{name:<{width}}  {labs.summary(name)}")
        return 0
    if args.name not in labs.names():
        raise _Failure(f"unknown lab {args.name!r} (there is: {', '.join(labs.names())})")
    arithmetic = None
    if any(option is not None for option in (args.to, args.mode, args.eps)):
        given = (args.to, args.mode, args.eps)
        arithmetic = dict.fromkeys(labs.roles(args.name), given)
    progress = Progress(1, sys.stderr, None)

    try:
        report = labs.report(
            args.name,
            rows=args.row,
            seeds=args.seeds,
            arithmetic=arithmetic,
            full=args.full,
            quick=args.quick,
            out=args.out,
            resume=args.resume,
            html=args.html,
            progress=progress.report,
        )
    finally:
        progress.close()
    print(report)
    for path, text in ((args.json, report.as_json), (args.csv, report.as_csv)):
        if path is not None:
            with replacing(path) as file:
                file.write(text().encode())
    return int(report.verdict == "fails")


# ---------------------------------------------------------------------------------------------
# The parser and the entry point


def _integer(text: str) -> int:
    try:
        return int(text, 16) if text.lower().startswith("0x") else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"not an integer: {text!r}") from None


def _positive(text: str) -> int:
    number = _integer(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {number}")
    return number


def _random_bits(text: str) -> int | str:
    return text if text == "exact" else _integer(text)


def _add_rounding(command: argparse.ArgumentParser, required: bool) -> None:
    """The options that say how a file is rounded."""
    command.add_argument(
        "--to", required=required, metavar="FORMAT", help="e.g. bfloat16, Q3.8 or grid:0.1"
    )
    command.add_argument(
        "--mode",
        default="sr",
        choices=pysr.MODES,
        metavar="MODE",
        help=f"one of {', '.join(pysr.MODES)} (default: sr)",
    )
    command.add_argument(
        "--seed",
        type=_integer,
        metavar="S",
        help="0 <= S < 2^64 (default: a random one, which is printed)",
    )
    command.add_argument(
        "--eps",
        type=float,
        default=0.0,
        metavar="E",
        help="the bias of sr_eps and sr_signed, in [0, 1] (default: 0)",
    )
    command.add_argument(
        "--random-bits",
        type=_random_bits,
        default="exact",
        metavar="R",
        help="1 to 64, or exact (default)",
    )
    command.add_argument(
        "--variant",
        default="a",
        choices=("a", "b", "c"),
        help="how few random bits are used (default: a)",
    )
    command.add_argument(
        "--overflow",
        choices=pysr.OVERFLOWS,
        metavar="RULE",
        help=f"one of {', '.join(pysr.OVERFLOWS)} (default: the format's)",
    )


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="pysr",
        description="Bit-exact stochastic rounding of arrays.",
        epilog="Run 'pysr COMMAND --help' for a command's options.",
    )
    parser.add_argument("--version", action="version", version=f"pysr {pysr.__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")

    command = commands.add_parser(
        "round",
        help="round an .npy file",
        description="Round IN.npy to a format and write OUT.npy, in bounded memory. The result "
        "has the bits of one pysr.round call on the whole array with the same seed, whatever "
        "the chunk. OUT.npy appears only when complete; it may be IN.npy itself.",
    )
    command.set_defaults(run=_round)
    command.add_argument("input", metavar="IN.npy")
    command.add_argument("output", metavar="OUT.npy")
    _add_rounding(command, required=True)
    command.add_argument(
        "--direction", metavar="V.npy", help="the array whose signs sr_signed leans against"
    )
    command.add_argument(
        "--codes", action="store_true", help="write the format's integer codes, not values"
    )
    command.add_argument(
        "--from",
        dest="source",
        metavar="FORMAT",
        help="IN.npy holds codes of this format (ml_dtypes arrays are saved so)",
    )
    command.add_argument(
        "--chunk",
        type=_positive,
        default=CHUNK,
        metavar="N",
        help=f"elements a step (default: {CHUNK}); never changes the result",
    )
    command.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        help="a progress bar on stderr (default: if it is a terminal)",
    )
    command.add_argument(
        "--quiet", action="store_true", help="print nothing but a seed that was drawn"
    )

    command = commands.add_parser(
        "svdvals",
        help="singular values of a tall matrix in a file, rounded before",
        description="Print the singular values of the matrix in FILE (.npy, .mtx, .mtx.gz), "
        "largest first. With --to it is rounded while it is read, with the bits of one pysr.round "
        "call; what follows is as accurate as float64 allows. Memory is bounded, whatever the "
        "number of rows.",
    )
    command.set_defaults(run=_svdvals)
    command.add_argument("file", metavar="FILE")
    _add_rounding(command, required=False)
    command.add_argument(
        "--checkpoint", metavar="CKPT", help="keep what is done there, and go on from it"
    )
    command.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        help="a progress bar on stderr (default: if it is a terminal)",
    )
    command.add_argument("--json", action="store_true", help="print JSON")

    command = commands.add_parser(
        "formats",
        help="list the named formats, or one format's fields",
        description="Without NAME a table of the named formats; with NAMEs, which may be fixed "
        "point such as Q3.8 or a grid such as grid:0.1, every field of each.",
    )
    command.set_defaults(run=_formats)
    command.add_argument("names", nargs="*", metavar="NAME")
    command.add_argument("--json", action="store_true", help="print JSON")

    command = commands.add_parser(
        "info",
        help="show what is installed",
        description="Show versions, the instruction-set path, the compiler and the extras.",
    )
    command.set_defaults(run=_info)
    command.add_argument("--json", action="store_true", help="print JSON")

    command = commands.add_parser(
        "lab",
        help="run an experiment",
        description="Run an experiment and print what was expected, what was measured and the "
        "verdicts; figures go to DIR. Without NAME the labs are listed. The exit status is 1 if "
        "any verdict is 'fails'.",
    )
    command.set_defaults(run=_lab)
    command.add_argument("name", nargs="?", metavar="NAME")
    size = command.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="fewer seeds, fewer set-ups")
    size.add_argument("--full", action="store_true", help="more seeds, more set-ups")
    command.add_argument(
        "--row",
        action="append",
        metavar="R",
        help="only this row, or rows like 'duplicated-*', and what they need; may be repeated",
    )
    command.add_argument(
        "--seeds",
        type=_positive,
        metavar="N",
        help="seeds 0 ... N-1 everywhere (default: as many as each set-up needs)",
    )
    command.add_argument(
        "--to",
        metavar="FORMAT",
        help="another format for every role; expectations that are not for it are not applied",
    )
    command.add_argument(
        "--mode",
        choices=pysr.MODES,
        metavar="MODE",
        help="another mode, in the same way",
    )
    command.add_argument("--eps", type=float, metavar="E", help="the bias of sr_eps")
    command.add_argument(
        "--json", metavar="FILE", help="write rows and every seed's series as JSON"
    )
    command.add_argument("--csv", metavar="FILE", help="write the rows as CSV")
    command.add_argument(
        "--html", action="store_true", help="write DIR/NAME.html, a page that has everything"
    )
    command.add_argument(
        "--out",
        default="lab-results",
        metavar="DIR",
        help="where figures and results go (default: lab-results)",
    )
    command.add_argument(
        "--resume",
        action="store_true",
        help="go on where an interrupted run with the same DIR ended",
    )
    return parser


def _one_line(error: BaseException) -> str:
    """The message of an exception on one line, as users see it."""
    if isinstance(error, OSError) and error.strerror:
        message = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    else:
        message = str(error) or type(error).__name__
    return " ".join(message.split())


def _complain(message: str) -> None:
    # A closed stderr leaves nobody to tell.
    with contextlib.suppress(OSError, ValueError):
        print(f"pysr: error: {message}", file=sys.stderr, flush=True)


def _discard_stdout() -> None:
    """Let what is left go nowhere: Python flushes stdout once more at exit, and would complain."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(argv: Sequence[str] | None) -> int:
    parser = _parser()
    try:
        args = parser.parse_args(argv)
    except SystemExit as stop:  # --help and --version
        return stop.code if isinstance(stop.code, int) else 0
    if args.command is None:
        raise _Failure(
            "a command is needed: round, svdvals, formats, info or lab (see pysr --help)"
        )
    return int(args.run(args))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the ``pysr`` command.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; those of the process by default.

    Returns
    -------
    int
        The exit status: 0 success, 1 a lab's verdict is "fails", 2 bad usage or input, 128 plus
        the signal's number after a signal or a closed pipe.

    Examples
    --------
    >>> from pysr.cli import main
    >>> main(["formats", "float4_e2m1fn"])  # doctest: +ELLIPSIS
    name           float4_e2m1fn
    precision      2
    ...
    0
    """
    for name in ("stdout", "stderr"):  # None where the caller has closed it
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    try:
        with _signals():
            status = _run(argv)
            sys.stdout.flush()
    except _Stopped as stop:
        with contextlib.suppress(OSError, ValueError):
            print(f"pysr: stopped by {signal.Signals(stop.signum).name}", file=sys.stderr)
        return 128 + stop.signum
    except BrokenPipeError:
        status = CLOSED_PIPE
    except (_Failure, OSError, ValueError, TypeError, OverflowError, ImportError) as error:
        status = 2
        _complain(_one_line(error))
    except MemoryError:
        status = 2
        _complain("out of memory")
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        closed = isinstance(error, BrokenPipeError)
        if not closed and status == 0:
            _complain(_one_line(error))
        status = CLOSED_PIPE if closed else 2
        _discard_stdout()
    return status


if __name__ == "__main__":
    raise SystemExit(main())
