"""The files that learners begin with."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from tinynet.lab.exercises import Exercise


def starter(exercise: Exercise) -> str:
    """The text of an exercise's starter file."""
    file = resources.files("tinynet.lab") / "starters" / f"{exercise.name}.txt"
    return file.read_text(encoding="utf-8")


def write_starter(exercise: Exercise, path: Path) -> None:
    """Write the starter file. Raises FileExistsError if there is anything at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(starter(exercise))
    except FileExistsError:
        raise FileExistsError(
            f"{path} exists and is left as it is; give another name: "
            f"tinynet lab {exercise.name} --start OTHER.py"
        ) from None
