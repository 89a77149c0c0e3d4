"""`csv:FILE`: images as rows of numbers, in the form of Kaggle's digits.

    label,pixel0,pixel1,...
    7,0,0,...

The column called label, else the first, is the class, a number or a text; the others are the pixels
of a square grey image, 0 to 255, row by row; where all are called pixelN, N says which. The line
with the names may be missing. Columns may end in semicolons, numbers stand in quotes, and the file
be packed with gzip.
"""

import contextlib
import csv
import io
import math
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tinynet.data.files import read_content
from tinynet.data.npz import as_pixels
from tinynet.errors import DataError

CURE = "of another table save arrays, np.savez('a.npz', x=x, y=y), and say npz:a.npz"


def read_table(path: str | Path, labelled: bool = True) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """The images uint8 (N, 1, S, S) and the labels (N,), numbers or text, of a CSV file, and in
    which line each is.

    labelled: whether there must be labels; else lines of pixels alone, without labels, will do.
    Raises DataError that names what is not as expected, and its line.
    """
    text, between = _opened(path)
    head = text.readline()
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
    lines = [k for k, line in enumerate(text.getvalue().splitlines(), 1) if line.strip()]
    lines = lines[has_names:]  # of each row
    wrong = (pixels < 0) | (pixels > 255)
    if wrong.any():
        row = int(wrong.any(1).argmax())
        raise DataError(
            f"{path}: line {lines[row]}: a pixel of {pixels[row][wrong[row]][0]}, expected 0 to 255"
        )
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
    images = as_pixels(pixels).reshape(-1, 1, side, side)
    return images, labels if place is None else labels[rows[:, place]], lines


def read_rows(path: str | Path, columns: Sequence[str] = ()) -> np.ndarray:
    """The numbers float64 (N, F) of a CSV file, with or without a line of names above.

    columns: which, by name, in this order; without them all. Raises DataError that names the line
    and the column of what is no finite number.
    """
    text, between = _opened(path)
    reader = csv.reader(text, delimiter=between)
    lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    names = [cell.strip() for cell in lines[0][1]] if lines else []
    is_named = not all(map(is_finite, filter(None, names)))
    places = list(range(len(names)))
    if columns and is_named:
        if missing := [column for column in columns if column not in names]:
            raise DataError(f"{path}: there is no column {missing[0]!r:.60}, as in the training")
        places = [names.index(column) for column in columns]
    rows = []
    for line, cells in lines[is_named:]:
        if len(cells) != len(names):
            raise DataError(f"{path}: line {line} has {len(cells)} columns, expected {len(names)}")
        for place in places:
            if not is_finite(cells[place]):
                which = repr(names[place])[:60] if is_named else place + 1
                raise DataError(
                    f"{path}: line {line}, column {which}: {cells[place]!r:.60} is no number"
                )
        rows.append([float(cells[place]) for place in places])
    if not rows:
        raise DataError(f"{path}: there is no line with numbers in it")
    return np.array(rows)


def is_finite(text: str) -> bool:
    """Whether a text is a finite number."""
    with contextlib.suppress(ValueError):
        return math.isfinite(float(text))
    return False


def _opened(path: str | Path) -> tuple[io.StringIO, str]:
    """The text of a CSV file, and what stands between its columns."""
    try:  # of other letters two labels might become the same
        text = io.StringIO(read_content(Path(path), 1 << 40).decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: byte {error.start} is no UTF-8: save the table as UTF-8"
        ) from error
    head = text.readline()
    text.seek(0)
    return text, ";" if head.count(";") > head.count(",") else ","
