"""The command line: `tinynet train`, `resume`, `verify`, `evaluate`, `gradcheck`, `lab` and so on.

Each command is a module here with the same three things: `HELP`, one line for the overview;
`OPTIONS`, a row for each argument; and `run(args)`, which does the work and returns the exit code.
What a command needs is imported in `run`, so that `--help` is quick.

All that reaches the terminal goes through a Console. A line with names of others in it is printed
with `say`, in which they end no line.

Exit codes: 0 all went well, 1 the run failed, or its output could not be written, 2 the arguments
are wrong, 130 Ctrl-C, 143 SIGTERM.
"""

import argparse
import os
import re
import signal
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from tinynet.cli import options, python_file, rows
from tinynet.cli.options import BadArgument
from tinynet.console import Console, columns, console, filled, say, visible
from tinynet.version import __version__

COMMANDS = {
    name: import_module(f"tinynet.cli.{name}")
    for name in (
        "train", "resume", "verify", "evaluate", "report", "predict", "export", "summary",
        "gradcheck", "doctor", "lab", "data",
    )
}  # fmt: skip
WITH_FILES = ("train", "resume", "export")
"""What these are asked for is in their files: they go on where their output cannot be written."""

OVERVIEW = """\
tinynet: train, use and understand small convolutional networks.

Start with
  tinynet train                       a small CNN on handwritten digits, a few seconds
  tinynet train --help                what can be chosen
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line, without the program's name; returns the exit code."""
    with console() as out:
        try:
            code, command = _run(argv, out)
            out.flush()
        except BrokenPipeError:  # whoever read our output has stopped, as `head` does
            return 1
        except KeyboardInterrupt:  # before the command has begun
            return 128 + signal.SIGINT
        if out.lost is not None:
            say(f"tinynet: standard output cannot be written: {out.lost}", error=True)
            return code or int(command not in WITH_FILES)
        return code


def _run(argv: Sequence[str] | None, out: Console) -> tuple[int, str | None]:
    """The exit code, and the command that was run."""
    parser = make_parser()
    try:
        args, unknown = parser.parse_known_args(argv)
        if not any(text.startswith("-") or not text for text in unknown) and "paths" in args:
            args.paths += map(Path, unknown)  # those after an option, which argparse leaves
        elif unknown:
            args.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    except SystemExit as stop:  # argparse has printed the help or what is wrong
        return (stop.code if isinstance(stop.code, int) else 2), None
    if args.command is None:
        parser.print_help()
        return 0, None
    out.goes_on = args.command in WITH_FILES
    code = _guarded(args)
    if code and "ranks" in args and args.ranks.watch is not None:
        args.ranks.watch.end_all(code)
    return code, args.command


class _Parser(argparse.ArgumentParser):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.color = False  # from Python 3.14 on it would colour the help

    def error(self, message: str) -> NoReturn:
        """End with what is wrong, what may have been meant, and a line of usage."""
        near = _nearest(message, re.findall(r"--([\w-]+)", self.format_usage()))
        hint = f"; did you mean {near}?" if near else ""
        self.exit(2, f"{self.prog}: error: {visible(message)}{hint}\nsee {self.prog} --help\n")


def _nearest(message: str, options: Sequence[str]) -> str:
    """The option or command that was meant by what argparse does not know; "" for none."""
    import difflib  # only needed for an error, and slow to load

    unknown = re.search(r"unrecognized arguments: --([\w-]+)", message)
    choice = re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message, re.DOTALL)
    word = unknown[1] if unknown else choice[1] if choice else ""
    known = re.findall(r"[\w-]+", choice[2]) if choice else options
    near = next(iter(difflib.get_close_matches(word, known, n=1)), "")
    return f"--{near}" if unknown and near else near


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = _Parser(
        prog="tinynet",
        description=filled(OVERVIEW, columns()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(parser=parser)
    parser.add_argument("--version", action="version", version=f"tinynet {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, module in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=module.HELP,
            description=filled(module.__doc__ or "", columns()),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        rows.add_options(command, module.OPTIONS)
        command.set_defaults(parser=command)
        command.add_argument(
            "--debug", action="store_true", help="if it fails, show where in the code"
        )
    return parser


def _guarded(args: argparse.Namespace) -> int:
    """Run the command; an error becomes one line on stderr and an exit code."""
    try:
        options.check_output(getattr(args, "json", None), out=getattr(args, "out", None))
        results = [getattr(args, name, None) for name in ("json", "csv")]
        with options.plain_warnings(), options.result_alone(*results):
            return int(COMMANDS[args.command].run(args))
    except KeyboardInterrupt as stop:
        say("", *(str(stop) or "interrupted").split("\n"), error=True)
        return 128 + int(getattr(stop, "signal", signal.SIGINT))
    except BrokenPipeError:
        raise
    except Exception as error:
        if args.debug:
            traceback.print_exc()
        else:  # what a name of others holds may go on in a new line, and is seen to
            first, *more = f"tinynet {args.command}: error: {_told(error, args)}".split("\n")
            say(first, *(f"  {line}" for line in more), error=True)
        return 2 if isinstance(error, BadArgument) else 1


def _told(error: Exception, args: argparse.Namespace) -> str:
    """What went wrong: the message alone for errors that are made for reading."""
    if isinstance(error, MemoryError):
        told = str(error).replace("batch_size=", "--batch-size ")
        smaller = "batch_size" in args and "--batch-size" not in told
        return (told or "out of memory") + "\nA smaller --batch-size needs less." * smaller
    if isinstance(error, FileNotFoundError) and not _has_folder():
        return options.GONE
    if isinstance(error, OSError) and error.filename is None and error.strerror:
        return error.strerror
    where = python_file.place(error)
    meant = isinstance(error, (ValueError, OSError, ImportError, ArithmeticError)) and str(error)
    if meant and (not where or type(error).__module__.startswith("tinynet.")):
        return f"{where}{error}"
    return f"{where}{type(error).__name__}: {error} (--debug shows where)"


def _has_folder() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True
