"""`csv:FILE`: images as rows of numbers, in the form of Kaggle's digits.

    label,pixel0,pixel1,...
    7,0,0,...

The column called label, else the first, is the class, the others are the pixels of a square grey
image, 0 to 255, row by row; where all are called pixelN, N says which. The line with the names may
be missing.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from pathlib import Path

import numpy as np

from tinynet.data.files import open_file
from tinynet.errors import DataError

CURE = "of another table save arrays, np.savez('a.npz', x=x, y=y), and say npz:a.npz"


def read_table(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """The images uint8 (N, 1, S, S) and the labels int64 (N,) of a CSV file.

    Raises DataError that names what is not as expected.
    """
    with open_file(path) as stream:
        text = io.TextIOWrapper(stream, "utf-8-sig", errors="replace")
        head = text.readline()
        names = [name.strip().strip('"').casefold() for name in head.split(",")]
        has_names = not names[0].lstrip("-").isdecimal()
        text.seek(0)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a file without numbers, which is told below
                rows = np.loadtxt(text, np.int16, delimiter=",", skiprows=int(has_names), ndmin=2)
        except ValueError as error:
            what = str(error).partition(";")[0].rstrip(".")  # without NumPy's own cure
            before = has_names + ("convert" in what)  # which counts the rows from 0
            what = re.sub(r"at row (\d+)", lambda row: f"in line {int(row[1]) + before}", what)
            if len(names) == 1:
                what = f"the first line is {head.strip()!r:.40}"
            raise DataError(
                f"{path}: expected integers, separated by commas, as many in each line: {what}; "
                + CURE
            ) from error
    if not rows.size:
        raise DataError(f"{path}: there is no line with numbers in it")
    place = names.index("label") if "label" in names else 0
    if has_names and "label" not in names:
        raise DataError(f"{path}: has no column called label, but {', '.join(names[:3])}, ...")
    labels, pixels = rows[:, place].astype(np.int64), np.delete(rows, place, axis=1)
    numbers = [re.fullmatch(r"pixel_?(\d+)", name) for name in names if name != "label"]
    if len(numbers) == pixels.shape[1] and all(numbers):
        pixels = pixels[:, np.argsort([int(number[1]) for number in numbers if number])]
    side = math.isqrt(pixels.shape[1])
    if not pixels.size or side * side != pixels.shape[1]:
        raise DataError(f"{path}: {pixels.shape[1]} pixels in a row are no square image; {CURE}")
    for name, values, most in (("label", labels, 2**15), ("pixel", pixels, 255)):
        if values.min() < 0 or values.max() > most:
            wrong = values.min() if values.min() < 0 else values.max()
            raise DataError(f"{path}: a {name} of {wrong}, expected 0 to {most}")
    return pixels.astype(np.uint8).reshape(-1, 1, side, side), labels
