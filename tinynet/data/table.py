"""`csv:FILE`: images as rows of numbers, in the form of Kaggle's digits.

    label,pixel0,pixel1,...
    7,0,0,...

The column called label, else the first, is the class, the others are the pixels of a square grey
image, 0 to 255, row by row. The line with the names may be missing.
"""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np

from tinynet.data.files import open_file
from tinynet.errors import DataError


def read_table(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """The images uint8 (N, 1, S, S) and the labels int64 (N,) of a CSV file.

    Raises DataError that names what is not as expected.
    """
    with open_file(path) as stream:
        text = io.TextIOWrapper(stream, "utf-8-sig", errors="replace")
        names = [name.strip().strip('"').casefold() for name in text.readline().split(",")]
        has_names = not names[0].lstrip("-").isdecimal()
        text.seek(0)
        try:
            rows = np.loadtxt(text, np.int16, delimiter=",", skiprows=int(has_names), ndmin=2)
        except ValueError as error:
            raise DataError(f"{path}: expected integers, separated by commas: {error}") from error
    place = names.index("label") if "label" in names else 0
    if has_names and "label" not in names:
        raise DataError(f"{path}: has no column called label, but {', '.join(names[:3])}, ...")
    labels, pixels = rows[:, place].astype(np.int64), np.delete(rows, place, axis=1)
    side = math.isqrt(pixels.shape[1])
    if not pixels.size or side * side != pixels.shape[1]:
        raise DataError(f"{path}: {pixels.shape[1]} pixels in a row are no square image")
    for name, values, most in (("label", labels, 2**15), ("pixel", pixels, 255)):
        if values.min() < 0 or values.max() > most:
            wrong = values.min() if values.min() < 0 else values.max()
            raise DataError(f"{path}: a {name} of {wrong}, expected 0 to {most}")
    return pixels.astype(np.uint8).reshape(-1, 1, side, side), labels
