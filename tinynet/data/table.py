"""`csv:FILE`: images as rows of numbers, in the form of Kaggle's digits.

    label,pixel0,pixel1,...
    7,0,0,...

The column called label, else the first, is the class, a number or a text; the others are the pixels
of a square grey image, 0 to 255, row by row; where all are called pixelN, N says which. The line
with the names may be missing. Columns may end in semicolons, numbers stand in quotes, and the file
be packed with gzip.
"""

import contextlib
import io
import math
import re
import warnings
from pathlib import Path

import numpy as np

from tinynet.data.files import read_content
from tinynet.errors import DataError

CURE = "of another table save arrays, np.savez('a.npz', x=x, y=y), and say npz:a.npz"


def read_table(path: str | Path, labelled: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """The images uint8 (N, 1, S, S) and the labels (N,), numbers or text, of a CSV file.

    labelled: whether there must be labels; else lines of pixels alone, without labels, will do.
    Raises DataError that names what is not as expected.
    """
    try:  # of other letters two labels might become the same
        text = io.StringIO(read_content(Path(path), 1 << 40).decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: byte {error.start} is no UTF-8: save the table as UTF-8"
        ) from error
    head = text.readline()
    between = ";" if head.count(";") > head.count(",") else ","
    names = [name.strip().strip('"').casefold() for name in head.split(between)]
    numbers = [name.lstrip("-").isdecimal() for name in names]
    second = text.readline().split(between)[0].strip().strip('"')
    number = re.compile(r"[-\d.]*")  # a text over numbers is a name, as by pandas: digit,0,1,2,...
    is_named = not number.fullmatch(names[0]) and number.fullmatch(second)
    has_names = "label" in names or not any(numbers) or bool(is_named)
    alone = "label" not in names and math.isqrt(len(names)) ** 2 == len(names) and not labelled
    place = None if alone else names.index("label") if "label" in names else 0
    found: dict[str, int] = {}  # the labels, numbered as they come
    try:
        if head.strip() and len(names) == 1:
            raise ValueError(f"the first line is {head.strip()[:40]!r}")
        text.seek(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a file without numbers, which is told below
            rows = np.loadtxt(
                text,
                np.int16,
                delimiter=between,
                skiprows=int(has_names),
                ndmin=2,
                quotechar='"',
                converters=None
                if place is None
                else {place: lambda label: found.setdefault(label.strip(), len(found))},
            )
    except ValueError as error:
        what = re.sub("; use .*", "", str(error)).rstrip(".")  # without NumPy's own cure
        before = has_names + ("convert" in what)  # which counts the rows from 0
        what = re.sub(r"at row (\d+)", lambda row: f"in line {int(row[1]) + before}", what)
        which = "; the label is in the first column, or that called so"
        which *= "convert" in what and "label" not in names
        raise DataError(
            f"{path}: expected integers, separated by commas, as many in each line: {what}{which}; "
            f"{CURE}"
        ) from error
    if not rows.size:
        raise DataError(f"{path}: there is no line with numbers in it")
    if has_names and "label" not in names and not alone:
        raise DataError(f"{path}: has no column called label, but {', '.join(names[:3])}, ...")
    pixels = rows if place is None else np.delete(rows, place, axis=1)
    counted = [re.fullmatch(r"pixel_?(\d+)", name) for name in names if name != "label"]
    if len(counted) == pixels.shape[1] and all(counted):
        pixels = pixels[:, np.argsort([int(place[1]) for place in counted if place])]
    side = math.isqrt(pixels.shape[1])
    if not pixels.size or side * side != pixels.shape[1]:
        raise DataError(f"{path}: {pixels.shape[1]} pixels in a row are no square image; {CURE}")
    if pixels.min() < 0 or pixels.max() > 255:
        wrong = pixels.min() if pixels.min() < 0 else pixels.max()
        raise DataError(f"{path}: a pixel of {wrong}, expected 0 to 255")
    if not has_names and place == 0 and len(found) > 10 + len(rows) / 5:
        raise DataError(
            f"{path}: there is no line with names, so the first column is the label, but that has "
            f"{len(found)} different ones in {len(rows)} lines; say which it is in a line above: "
            "label,pixel0,pixel1,..."
        )
    labels: np.ndarray = np.array(list(found))
    for kind in (np.float64, np.int64):  # which they are, if they can be
        with contextlib.suppress(ValueError):
            labels = np.array(list(found)).astype(kind)
    images = pixels.astype(np.uint8).reshape(-1, 1, side, side)
    return images, labels if place is None else labels[rows[:, place]]
