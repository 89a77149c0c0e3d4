"""Curves over the epochs as SVG: text that a browser draws, sharp at every size, in any colours."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from tinynet.html import text
from tinynet.training.metrics import VALIDATION
from tinynet.training.quantities import format_number, known_direction, names_in

if TYPE_CHECKING:
    from tinynet.training.history import Record

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 340, 200, 56, 28, 12
COLOURS = {"training": "var(--training, #2f6fde)", "validation": "var(--validation, #b8500f)"}
KEY = "&emsp;".join(
    f'<span style="color:{colour}">&#9644;</span> {kind}' for kind, colour in COLOURS.items()
)
POINTS = 300  # of a curve; more cannot be told apart


Lines: TypeAlias = Mapping[str, Sequence[tuple[float, float]]]
"""(epoch, value) of the training and of validation."""


def drawn(history: Sequence[Record]) -> str:
    """A chart for each quantity, side by side: the training's values and those of validation."""
    content = "".join(
        f'<div style="flex:1 1 16em;max-width:24em"><b>{text(name.replace("_", " "))}</b>'
        f"{chart(name, lines)}</div>"
        for name, lines in lines_of(history).items()
    )
    return f'<div style="display:flex;flex-wrap:wrap;gap:1em">{content}</div>' if content else ""


def lines_of(history: Sequence[Record]) -> dict[str, Lines]:
    """The lines to be drawn for each quantity that has a finite value; the learning rate last."""
    names = names_in(history)
    measured = [n.removeprefix(VALIDATION) for n in names if n not in ("epoch", "lr", "seconds")]
    found: dict[str, Lines] = {}
    for name in dict.fromkeys([*measured, "lr"]):
        lines = {"training": _points(history, name)}
        lines["validation"] = _points(history, f"{VALIDATION}{name}")
        if any(lines.values()):
            name = "learning rate" if name == "lr" else name
            found[name] = {kind: line for kind, line in lines.items() if line}
    return found


def _points(history: Sequence[Record], name: str) -> list[tuple[float, float]]:
    """(epoch, value) of every epoch that has a finite one."""
    found = [
        (float(record.get("epoch", k)), float(record[name]))
        for k, record in enumerate(history, 1)
        if math.isfinite(record.get(name, math.nan))
    ]
    return [*found[:: -(-len(found) // POINTS)][:-1], found[-1]] if found else []


def chart(name: str, lines: Lines) -> str:
    """One chart: lines of (epoch, value) by their names, with axes, and what it shows in words."""
    epochs = [x for line in lines.values() for x, _ in line]
    across = (min(epochs), round((min(epochs) + max(epochs)) / 2), max(epochs))
    values = [y for line in lines.values() for _, y in line]
    up = ticks(min(values), max(values))
    unit = " %" if "accuracy" in name else ""

    def tip(kind: str, epoch: float, value: float) -> str:
        return f"epoch {epoch:g}: {kind} {format_number(name, value)}"

    return _drawing(in_words(name, lines), lines, across, up, tip, unit)


def scatter(pairs: np.ndarray) -> str:
    """What is true across, and what a model says of it up, of numbers (N, 2)."""
    shown = pairs[np.isfinite(pairs).all(1)]
    shown = shown[:: -(-len(shown) // POINTS) or 1]
    if not len(shown):
        return ""
    told = f"predicted against true, {len(shown):,} of {len(pairs):,} examples"
    up = ticks(float(shown.min()), float(shown.max()))
    across = (up[0], up[len(up) // 2], up[-1])
    tip = "{}: true {:.5g}, predicted {:.5g}".format
    return _drawing(told, {"examples": shown.tolist()}, across, up, tip, joined=False)


def _drawing(
    told: str,
    lines: Lines,
    across: Sequence[float],
    up: Sequence[float],
    tip: Callable[[str, float, float], str],
    unit: str = "",
    joined: bool = True,
) -> str:
    """Lines of points between axes with marks, each point with a tip; or, if they are not `joined`,
    points and the line where both numbers are the same.
    """

    def at(x: float, y: float) -> tuple[float, float]:
        right = (x - across[0]) / ((across[-1] - across[0]) or 1)
        down = 1 - (y - up[0]) / (up[-1] - up[0])
        wide, high = WIDTH - LEFT - 12, HEIGHT - BOTTOM - TOP
        return round(LEFT + right * wide, 1), round(TOP + down * high, 1)

    def label(x: float, y: float, anchor: str, value: str) -> str:
        return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="currentColor">{value}</text>'

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{text(told)}" '
        f'style="width:100%;max-width:{WIDTH * 1.5:.0f}px;font:13px system-ui,sans-serif">'
        f"<title>{text(told)}</title>"
    ]
    for mark in up:
        _, y = at(across[0], mark)
        parts.append(f'<path d="M{LEFT} {y}H{WIDTH - 12}" stroke="currentColor" opacity=".15"/>')
        parts.append(label(LEFT - 8, y + 4, "end", f"{100 * mark if unit else mark:g}{unit}"))
    for mark in dict.fromkeys(across):
        parts.append(label(at(mark, up[0])[0], HEIGHT - 10, "middle", f"{mark:g}"))
    for kind, line in lines.items():
        colour = COLOURS.get(kind, COLOURS["training"])
        ends = line if joined else [(up[0], up[0]), (up[-1], up[-1])]
        path = "L".join("{} {}".format(*at(*point)) for point in ends)
        parts.append(
            f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="{1 + joined}" '
            'stroke-linejoin="round" stroke-linecap="round"/>'
        )
        for point in line if len(line) <= 60 or not joined else ():
            (x, y), told = at(*point), text(tip(kind, *point))
            parts.append(
                f'<circle cx="{x}" cy="{y}" r="2.5" fill="{colour}"><title>{told}</title></circle>'
            )
    return "".join(parts) + "</svg>"


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers around a range, about `count` of them, the first and last at or beyond it.

    >>> ticks(0.03, 0.93)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if not high > low:
        low, high = low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2
    rough = (high - low) / count
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * k for k in (1, 2, 2.5, 5, 10) if unit * k >= 0.8 * rough)
    begin, end = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(k * step, 12) for k in range(begin, end + 1)]


def in_words(name: str, lines: Lines) -> str:
    """What a chart shows, for those who do not see it.

    >>> in_words("loss", {"training": [(1, 0.9), (2, 0.4)]})
    'loss: training from 0.9000 to 0.4000, epochs 1 to 2, best 0.4000 in epoch 2'
    """
    told = []
    for kind, line in lines.items():
        (first, begin), (last, end) = line[0], line[-1]
        told.append(
            f"{kind} from {format_number(name, begin)} to {format_number(name, end)}, "
            f"epochs {first:g} to {last:g}"
        )
        if (way := known_direction(name)) is not None:
            pick = max if way == "max" else min
            epoch, value = pick(line, key=lambda point: point[1])
            told[-1] += f", best {format_number(name, value)} in epoch {epoch:g}"
    return f"{name.replace('_', ' ')}: " + "; ".join(told)
