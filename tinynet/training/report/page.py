"""The report as one HTML page: what it holds, and in which order.

Nothing is fetched and nothing runs: pictures and curves stand in the text, and the page forbids
itself everything else. Each section is a function that returns HTML, "" where there is nothing to
show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tinynet import html
from tinynet.console import shortened
from tinynet.html import text
from tinynet.nn import Module
from tinynet.nn.summary import summary
from tinynet.training.history import Record
from tinynet.training.quantities import format_number
from tinynet.training.report import pictures
from tinynet.training.report.curves import KEY, drawn
from tinynet.training.report.findings import Example, Findings
from tinynet.training.report.insight import Maps, first_kernels, look_inside

CLASSES = 20  # a larger matrix is read by nobody, and its most frequent mistakes stand in its place
ROWS, LOWEST = 60, 30  # of a table; of more classes than fit into one
CHARACTERS = 300  # of a setting
BLUE, ORANGE = "47,111,222", "217,105,42"
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@dataclass
class Contents:
    """All that a report is made of. measured_on: what the findings are from, "360 test images".

    about: what is known of the model (name, mean, std, input_shape). commands: lines that train and
    use it again.
    """

    title: str
    model: Module
    history: Sequence[Record]
    findings: Findings
    measured_on: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    commands: Sequence[str] = ()


def page(contents: Contents) -> str:
    """The whole file. A section that cannot be made of such a model says why in its place."""
    body = "".join(_made(section, contents) for section in SECTIONS)
    style = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="generator" content="tinynet">'
        f'<link rel="icon" href="data:,"><title>{text(contents.title)}</title>'
        f"<style>\n{style}</style></head>\n<body><main>\n{body}</main></body></html>\n"
    )


def _made(section: Callable[[Contents], str], contents: Contents) -> str:
    try:
        return section(contents)
    except Exception as error:  # a model of the user's may do anything with an input of ours
        name = section.__name__.strip("_").replace("_", " ")
        return f"<p>No {text(name)}: {text(type(error).__name__)}: {text(str(error)[:500])}</p>\n"


def _section(title: str, about: str, content: str) -> str:
    told = f"<p>{about}</p>" if about else ""
    return f"<section><h2>{text(title)}</h2>{told}{content}</section>\n" if content else ""


def _head(c: Contents) -> str:
    last = c.history[-1] if c.history else {}
    tiles = {k.replace("_", " "): format_number(k, v) for k, v in last.items() if "loss" in k}
    if len(c.findings):
        tiles = {"accuracy": f"{100 * c.findings.accuracy():.2f} %"}
    seconds = sum(record.get("seconds", 0.0) for record in c.history)
    tiles["epochs"] = f"{len(c.history)}"
    tiles["parameters"] = f"{sum(p.numel() for p in c.model.parameters()):,}"
    tiles["training"] = f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
    shown = "".join(f"<div><dt>{text(k)}</dt><dd>{text(v)}</dd></div>" for k, v in tiles.items())
    told = f"{c.about.get('name') or type(c.model).__name__}"
    told += f" on {c.settings['data']}" if c.settings.get("data") else ""
    told += f", measured on {c.measured_on}" if len(c.findings) else ""
    return (
        f"<header><h1>{text(c.title)}</h1><p>{text(told)}</p>"
        f'<dl class="tiles">{shown}</dl></header>\n'
    )


def _figures(kind: str, shown: Iterable[tuple[str, str]]) -> str:
    """Pictures with what stands under them, both as HTML."""
    content = "".join(
        f"<figure>{picture}<figcaption>{caption}</figcaption></figure>"
        for picture, caption in shown
    )
    return f'<div class="{kind}">{content}</div>' if content else ""


def _learning_curves(c: Contents) -> str:
    return _section("Learning curves", f"{KEY}&emsp;by epoch", drawn(c.history))


def _which_is_taken_for_which(c: Contents) -> str:
    return f'<div class="pair">{_confusions(c)}{_classes(c)}</div>\n' if len(c.findings) else ""


def _confusions(c: Contents) -> str:
    f = c.findings
    total = f"{len(f):,} examples, {len(f) - f.matrix.trace():,} of them wrong."
    if len(f.matrix) <= CLASSES:
        told = f"Rows are what it is, columns what it is taken for: {total}"
        return _section("Confusion matrix", told, f'<div class="wide card">{_matrix(f)}</div>')
    short = dict(zip(f.names, shortened(f.names, 40)))
    rows = [
        (short[is_], short[taken], count, f"{100 * share:.1f} %")
        for is_, taken, count, share in f.confusions(CLASSES)
    ]
    head = ("what it is", "taken for", "times", "of its class")
    content = html.table(head, rows, left=2)
    return _section("Most frequent confusions", total, f'<div class="wide card">{content}</div>')


def _matrix(f: Findings) -> str:
    names = shortened(f.names, 12)
    head = "".join(f'<th scope="col">{text(name)}</th>' for name in names)
    rows = []
    for i, name in enumerate(names):
        cells = []
        for j, count in enumerate(f.matrix[i].tolist()):
            share = count / max(int(f.matrix[i].sum()), 1)
            told = text(f"{f.names[i]} taken for {f.names[j]}: {count}")
            colour, strength = (BLUE, 0.6 * share) if i == j else (ORANGE, min(0.1 + share, 0.6))
            style = f'style="background-color:rgba({colour},{strength:.2f})"'
            cells.append(f'<td title="{told}" {style if count else "class=zero"}>{count}</td>')
        rows.append(f'<tr><th scope="row">{text(name)}</th>{"".join(cells)}</tr>')
    return f'<table class="matrix"><tr><td class="zero"></td>{head}</tr>{"".join(rows)}</table>'


def _classes(c: Contents) -> str:
    scores = c.findings.scores()
    told = "Precision: the share of what is taken for it that is it. Recall: the share of it "
    told += "that is found. F1: their harmonic mean."
    if len(scores) > ROWS:
        scores = sorted(scores, key=lambda score: score.f1)[:LOWEST]
        told += f" The {LOWEST} classes with the lowest F1."
    names = shortened([score.name for score in scores], 40)
    rows = [
        (name, s.images, *(f"{100 * x:.1f} %" for x in (s.precision, s.recall, s.f1)))
        for name, s in zip(names, scores)
    ]
    content = html.table(("class", "examples", "precision", "recall", "F1"), rows)
    return _section("Class by class", told, f'<div class="wide card">{content}</div>')


def _picture(c: Contents, x: np.ndarray) -> np.ndarray:
    return pictures.to_pixels(x, c.about.get("mean"), c.about.get("std"))


def _told(c: Contents, e: Example) -> str:
    name, taken = (shortened(c.findings.names, 24)[k] for k in (e.label, e.taken_for))
    sure = f"{100 * min(e.sure, 0.999):.1f} % sure".replace(" ", "\N{NO-BREAK SPACE}")
    return f"{name}, {sure}" if e.label == e.taken_for else f"{name} taken for {taken}, {sure}"


def _surest_mistakes(c: Contents) -> str:
    shown = []
    for e in c.findings.mistakes:
        told = _told(c, e)
        picture = text(c.findings.place(e))
        if pictures.is_image(e.x):
            picture = pictures.img(_picture(c, e.x), f"{c.findings.place(e)}: {told}", 104)
        wrong = ' <span class="wrong">taken for</span> '
        shown.append((picture, text(told).replace(" taken for ", wrong)))
    about = "Wrong, and most certain of it: a wrong label in the data shows here first."
    return _section("The surest mistakes", about, _figures("images", shown))


def _kernels_of_the_first_layer(c: Contents) -> str:
    found = first_kernels(c.model)
    if found is None:
        return ""
    name, w = found
    w = w[:64]
    limit = float(np.abs(w).max())
    if w.shape[1] == 3:
        tiles = [pictures.to_bytes(0.5 + kernel / (2 * limit or 1)) for kernel in w]
        told = "In colour: grey is 0, brighter is more of that colour."
    else:
        tiles = [pictures.signed(kernel.mean(0), limit) for kernel in w]
        told = "Orange is positive, blue negative, white 0."
    sheet = pictures.sheet(tiles, min(16, len(tiles)))
    alt = f"{len(tiles)} kernels of {w.shape[2]}x{w.shape[3]} of the layer {name}"
    image = pictures.img(sheet, alt, min(900, 2 * sheet.shape[2]))
    about = f"{text(name)}. {told}"
    return _section("Kernels of the first layer", about, f'<div class="card">{image}</div>')


def _maps_and_grad_cam(c: Contents) -> str:
    chosen = [e for e in (*c.findings.right, *c.findings.mistakes[:2]) if pictures.is_image(e.x)]
    chosen = [e for e in chosen if e.x.shape == chosen[0].x.shape]
    seen = look_inside(c.model, np.stack([e.x for e in chosen])) if chosen else []
    rows = []
    for e, inside in zip(chosen, seen):
        image, told = _picture(c, e.x), _told(c, e)
        glow, place = pictures.heated(image, inside.heat), c.findings.place(e)
        shown = [
            (pictures.img(image, f"{place}: {told}", 104), text(told)),
            (pictures.img(glow, f"Grad-CAM of {place}: {told}", 104), "Grad-CAM"),
            *(_sheet(maps, e) for maps in (inside.first, inside.late)),
        ]
        rows.append(_figures("inside", shown))
    about = (
        "Grad-CAM is bright where the evidence for the answer lies. Beside it the channels of an "
        "early and a late layer that respond most to the image."
    )
    return _section("What it looks at", about, "".join(rows))


def _sheet(maps: Maps, e: Example) -> tuple[str, str]:
    """The eight channels of a layer that vary most, as one picture, and what they are."""
    chosen = np.sort(np.argsort(-maps.values.std((1, 2)), kind="stable")[:8])
    tiles = [
        pictures.to_bytes(np.repeat(pictures.shrink(pictures.stretched(m)[None], 32), 3, 0))
        for m in maps.values[chosen]
    ]
    alt = f"{len(tiles)} feature maps of the layer {maps.name} for example {e.index}"
    return pictures.img(pictures.sheet(tiles, 4), alt, 216), text(maps.name)


def _model(c: Contents) -> str:
    shape = c.about.get("input_shape")
    if not shape:
        return ""
    made = summary(c.model, shape)
    head, rows = made.cells()
    cut = f" The first {ROWS} of {len(rows) - 1} rows." if len(rows) > ROWS + 1 else ""
    content = html.table(head, [*rows[:-1][:ROWS], rows[-1]], left=2)
    told = f"{text(', '.join(made.notes()))}.{cut}"
    return _section("Model", told, f'<div class="wide card">{content}</div>')


def _settings(c: Contents) -> str:
    tables = ""
    for title, values in (("Settings", c.settings), ("Versions", c.versions)):
        rows = [(k.replace("_", " "), _value(v)) for k, v in values.items() if v is not None]
        content = html.table(("", ""), rows, left=2)
        shown = f'<div class="card settings">{content}</div>' if rows else ""
        tables += _section(title, "", shown)
    return f'<div class="side">{tables}</div>\n' if tables else ""


def _value(value: Any) -> str:
    told = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return told if len(told) <= CHARACTERS else f"{told[:CHARACTERS]}..."


def _again(c: Contents) -> str:
    return _section("Once more", "", html.preformatted("\n".join(c.commands)) if c.commands else "")


SECTIONS = (
    _head, _learning_curves, _which_is_taken_for_which, _surest_mistakes, _maps_and_grad_cam,
    _kernels_of_the_first_layer, _model, _settings, _again,
)  # fmt: skip
