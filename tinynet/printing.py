"""How a tensor is shown: as in PyTorch, with four digits, all elements of one width."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinynet.devices import get_default_dtype
from tinynet.errors import unknown_name

DEFAULT: dict[str, Any] = {
    "precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80, "sci_mode": None,
}  # fmt: skip
PROFILES: dict[str | None, dict[str, Any]] = {
    None: {},
    "default": DEFAULT,
    "short": {**DEFAULT, "precision": 2, "edgeitems": 2},
    "full": {**DEFAULT, "threshold": math.inf},
}
options = {**DEFAULT}


def set_printoptions(*, profile: str | None = None, **settings: Any) -> None:
    """Show tensors differently from now on.

    profile: "default", "short" or "full". precision: digits after the point. threshold: elements
    up to which all are shown, otherwise `edgeitems` at each end of an axis. linewidth: characters
    in a line. sci_mode: whether to write powers of ten; by default where the sizes need it.
    """
    for name in settings:
        if name not in DEFAULT:
            raise unknown_name("print option", name, list(DEFAULT))
    if profile not in PROFILES:
        raise unknown_name("profile", profile, [name for name in PROFILES if name])
    options.update({**PROFILES[profile], "sci_mode": None, **settings})


def shown(tensor: Any, notes: list[str]) -> str:
    """`tensor([1., 2.])`, with what the notes say and the dtype, where it is not the usual one."""
    array, start = tensor.array, "tensor("
    usual = (get_default_dtype(), *((np.int64, np.bool_) if array.size else ()))
    if array.dtype not in usual:
        notes = [f"dtype=tinynet.{array.dtype}", *notes]
    if not array.size:
        text, notes = "[]", [f"size={array.shape}", *notes] if array.ndim != 1 else notes
    else:
        text = _elements(array, start)
    for note in notes:
        last = len(text) - text.rfind("\n") + len(note) + 2
        last += 0 if "\n" in text else len(start)
        text += f",\n{' ' * len(start)}{note}" if last > options["linewidth"] else f", {note}"
    return f"{start}{text})"


def _elements(array: np.ndarray, start: str) -> str:
    """The elements in brackets, as many in each line as there is room for."""
    ends, threshold = options["edgeitems"], options["threshold"]
    visible = array
    for axis, size in enumerate(array.shape if array.size > threshold else ()):
        if size > 2 * ends:
            visible = np.take(visible, [*range(ends), *range(-ends, 0)], axis)
    if array.dtype.kind == "f":  # NaN, infinity and zero take the width that the others have
        visible = visible[np.isfinite(visible) & (visible != 0)]
    write = _writer(visible)
    width = max(map(len, map(write, visible.flat)), default=1)
    indent = len(start) + array.ndim
    in_line = max((options["linewidth"] - indent + 1) // (width + 2), 1)
    text = np.array2string(
        array,
        max_line_width=indent + in_line * (width + 2) + array.ndim - 1,
        separator=", ",
        prefix=start,
        formatter={"all": lambda x: write(x).rjust(width)},
        threshold=min(threshold, array.size + 1),
        edgeitems=ends,
    )
    return text.replace(", ...,", ",  ...,")


def _writer(values: np.ndarray) -> Callable[[Any], str]:
    """The function that writes an element: powers of ten where sizes differ by more than 1000."""
    if values.dtype.kind != "f":
        return str
    powers, digits = options["sci_mode"], options["precision"]
    if powers is None and values.size:
        sizes = np.abs(values.astype(np.float64))
        powers = sizes.max() > min(1000 * sizes.min(), 1e8) or sizes.min() < 1e-4
    if powers:
        return f"{{:.{digits}e}}".format
    if (values == np.ceil(values)).all():
        return lambda x: f"{x:.0f}." if math.isfinite(x) else str(x)
    return f"{{:.{digits}f}}".format
