"""A Python file that a user wrote, run as a module."""

import importlib.util
import sys
from pathlib import Path
from traceback import walk_tb
from types import ModuleType

from tinynet.cli.options import BadArgument

RAN = "__run_by_tinynet__"  # a name in the files that were run


def load(path: Path) -> ModuleType:
    """Run a Python file as a module; BadArgument says what is wrong in which line."""
    from tinynet.data.files import check_regular

    try:
        check_regular(path)
    except FileNotFoundError as error:
        raise BadArgument(f"there is no file {path}") from error
    except (OSError, ValueError) as error:
        raise BadArgument(f"{path}: {getattr(error, 'strerror', '') or error}") from error
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise BadArgument(f"{path} is no Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.resolve()))  # it may import its neighbours
    vars(module)[RAN] = True
    try:
        text = path.read_bytes()  # cached bytecode may be of the file a second ago
        exec(compile(text, str(path), "exec", dont_inherit=True), vars(module))
    except SyntaxError as error:
        raise BadArgument(f"{path}, line {error.lineno}: {error.msg}") from error
    except (Exception, SystemExit) as error:
        where = place(error) or f"{path}: "
        raise BadArgument(f"{where}{type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    return module


def place(error: BaseException) -> str:
    """The line of a user's file in which an error arose, to stand before it; "" for none."""
    frames = walk_tb(error.__traceback__)
    lines = [f"{f.f_code.co_filename}, line {n}: " for f, n in frames if RAN in f.f_globals]
    return "".join(lines[-1:])
