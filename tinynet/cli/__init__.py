"""The command line: `tinynet train`, `resume`, `verify`, `evaluate`, `gradcheck`, `lab` and so on.

Each command is a module here with the same three things: `HELP`, one line for the overview;
`add_arguments(parser)`; and `run(args)`, which does the work and returns the exit code. What a
command needs is imported in `run`, so that `--help` is quick.

Exit codes: 0 all went well, 1 the run failed, 2 the arguments are wrong, 130 Ctrl-C, 143 SIGTERM.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from types import ModuleType

from tinynet import __version__
from tinynet.cli import (
    data,
    doctor,
    evaluate,
    export,
    gradcheck,
    lab,
    options,
    predict,
    resume,
    summary,
    train,
    verify,
)
from tinynet.cli.options import BadArgument

COMMANDS: dict[str, ModuleType] = {
    "train": train,
    "resume": resume,
    "verify": verify,
    "evaluate": evaluate,
    "predict": predict,
    "export": export,
    "summary": summary,
    "gradcheck": gradcheck,
    "doctor": doctor,
    "lab": lab,
    "data": data,
}

OVERVIEW = """\
tinynet: train, use and understand small convolutional networks.

Start with
  tinynet train                       a small CNN on handwritten digits, a few seconds
  tinynet train --help                what can be chosen
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line, without the program's name; returns the exit code."""
    parser = make_parser()
    try:
        args = parser.parse_args(argv)
    except SystemExit as stop:  # argparse has printed the help or what is wrong
        return stop.code if isinstance(stop.code, int) else 2
    if args.command is None:
        parser.print_help()
        return 0
    return _guarded(args)


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="tinynet", description=OVERVIEW, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"tinynet {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, module in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=module.HELP,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.add_argument(
            "--debug", action="store_true", help="if it fails, show where in the code"
        )
    return parser


def _guarded(args: argparse.Namespace) -> int:
    """Run the command; an error becomes one line on stderr and an exit code."""
    try:
        with options.plain_warnings():
            return int(COMMANDS[args.command].run(args))
    except KeyboardInterrupt as stop:
        print(f"\n{stop or 'interrupted'}", file=sys.stderr)
        return 128 + int(getattr(stop, "signal", signal.SIGINT))
    except BrokenPipeError:  # whoever read our output has stopped, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if args.debug:
            raise
        print(f"tinynet {args.command}: error: {_one_line(error)}", file=sys.stderr)
        return 2 if isinstance(error, BadArgument) else 1


def _one_line(error: Exception) -> str:
    """What went wrong: the message alone for errors that are made for reading."""
    if isinstance(error, MemoryError):
        return f"{error or 'out of memory'}\nA smaller --batch-size needs less."
    if isinstance(error, OSError) and error.filename is None and error.strerror:
        return error.strerror
    if isinstance(error, (ValueError, OSError, ImportError, ArithmeticError)) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error} (--debug shows where)"
