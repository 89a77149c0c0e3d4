"""Curves over the epochs as SVG: text that a browser draws, sharp at every size, in any colours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from tinynet.html import text
from tinynet.training.metrics import VALIDATION
from tinynet.training.quantities import format_number, known_direction, names_in

if TYPE_CHECKING:
    from tinynet.training.history import Record

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 340, 200, 56, 28, 12
COLOURS = {"training": "var(--training, #2f6fde)", "validation": "var(--validation, #e07b39)"}
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
    every = [point for line in lines.values() for point in line]
    first, last = min(x for x, _ in every), max(x for x, _ in every)
    marks = ticks(min(y for _, y in every), max(y for _, y in every))
    low, high = min(marks[0], *(y for _, y in every)), max(marks[-1], *(y for _, y in every))

    def at(x: float, y: float) -> tuple[float, float]:
        across = (x - first) / (last - first) if last > first else 0.5
        up = (y - low) / (high - low)
        right, down = LEFT + across * (WIDTH - LEFT - 12), HEIGHT - BOTTOM
        return round(right, 1), round(down - up * (HEIGHT - BOTTOM - TOP), 1)

    def label(x: float, y: float, anchor: str, value: str) -> str:
        return (
            f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="currentColor" opacity=".7">'
            f"{value}</text>"
        )

    told = in_words(name, lines)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{text(told)}" '
        f'style="width:100%;max-width:{WIDTH * 1.5:.0f}px;font:13px system-ui,sans-serif">'
        f"<title>{text(told)}</title>"
    ]
    for mark in marks:
        _, y = at(first, mark)
        value = f"{100 * mark:g} %" if "accuracy" in name else f"{mark:g}"
        parts.append(f'<path d="M{LEFT} {y}H{WIDTH - 12}" stroke="currentColor" opacity=".15"/>')
        parts.append(label(LEFT - 8, y + 4, "end", value))
    for epoch in dict.fromkeys((first, round((first + last) / 2), last)):
        parts.append(label(at(epoch, low)[0], HEIGHT - 10, "middle", f"{epoch:g}"))
    for kind, line in lines.items():
        places = [at(*point) for point in line]
        path = "L".join(f"{x} {y}" for x, y in places)
        parts.append(
            f'<path d="M{path}" fill="none" stroke="{COLOURS[kind]}" stroke-width="2" '
            'stroke-linejoin="round" stroke-linecap="round"/>'
        )
        for (epoch, number), (x, y) in zip(line, places) if len(line) <= 60 else ():
            tip = text(f"epoch {epoch:g}: {kind} {format_number(name, number)}")
            parts.append(
                f'<circle cx="{x}" cy="{y}" r="2.5" fill="{COLOURS[kind]}"><title>{tip}</title>'
                "</circle>"
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
