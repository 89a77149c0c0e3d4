"""A Python file that a user wrote, run as a module."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from tinynet.cli.options import BadArgument
from tinynet.data.files import check_regular


def load(path: Path) -> ModuleType:
    """Run a Python file as a module; BadArgument says what is wrong in which line."""
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
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise BadArgument(f"{path}, line {error.lineno}: {error.msg}") from error
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if Path(frame.filename) == path]
        where = f", line {lines[-1]}" if lines else ""
        raise BadArgument(f"{path}{where}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    return module
