"""The report as one HTML page: what it holds, and in which order.

Nothing is fetched and nothing runs: pictures and curves stand in the text, and the page forbids
itself everything else. Each section is a function that returns HTML, "" where there is nothing to
show.
"""

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
from tinynet.training.metrics import TAKEN, VALIDATION
from tinynet.training.quantities import format_number
from tinynet.training.report import pictures
from tinynet.training.report.curves import KEY, drawn, scatter
from tinynet.training.report.findings import Example, Findings
from tinynet.training.report.insight import first_kernels, look_inside

CLASSES = 20  # a larger matrix is read by nobody, and its most frequent mistakes stand in its place
NAME = 40  # characters of the name of a class
ROWS, LOWEST = 60, 30  # of a table; of more classes than fit into one
CHARACTERS = 300  # of a setting
MAPS = 8  # images with the map that is right and the model's
UNSET = ("None", "False", "", "none", "nothing")  # settings that say nothing
BLUE, ORANGE = "47,111,222", "217,105,42"


@dataclass
class Contents:
    """All that a report is made of. measured_on: what the findings are from, "360 test images".

    epoch: after which the model was as it is here; 0 where nobody knows. about: what is known of
    the model (name, mean, std, input_shape). commands: lines that train and use it again.
    """

    model: Module
    history: Sequence[Record]
    findings: Findings
    measured_on: str = ""
    epoch: int = 0
    about: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    commands: Sequence[str] = ()


def page(contents: Contents) -> str:
    """The whole file. A section that cannot be made of such a model says why in its place."""
    body = "".join(_made(section, contents) for section in SECTIONS)
    style, frame = (
        Path(__file__).with_name(name).read_text(encoding="utf-8")
        for name in ("style.css", "page.html")
    )
    return frame.format(title=text(contents.title), style=style, body=body)


def _made(section: Callable[[Contents], str], contents: Contents) -> str:
    try:
        return section(contents)
    except Exception as error:  # a model of the user's may do anything with an input of ours
        name = section.__name__.strip("_").replace("_", " ")
        return f"<p>No {text(name)}: {text(type(error).__name__)}: {text(str(error)[:500])}</p>\n"


def _section(title: str, about: str, content: str) -> str:
    told = f"<p>{about}</p>" if about else ""
    return f"<section><h2>{text(title)}</h2>{told}{content}</section>\n" if content else ""


def _card(content: str) -> str:
    return f'<div class="wide card">{content}</div>'


def _head(c: Contents) -> str:
    f, last = c.findings, c.history[-1] if c.history else {}
    record = next((r for r in c.history if r["epoch"] == c.epoch), last)
    figures = f.figures()
    left_out = TAKEN if figures else TAKEN[1:]  # beside figures a loss says nothing more
    for name, value in record.items():
        known = name.removeprefix(VALIDATION) in (*figures, *left_out)
        if not known and VALIDATION + name not in record:
            figures[name] = value
    tiles = {name.replace("_", " "): format_number(name, figures[name]) for name in figures}
    if f.of == "pixels":
        tiles = {"pixel accuracy": tiles.pop("accuracy"), **tiles}
    seconds = sum(record.get("seconds", 0.0) for record in c.history)
    long = f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
    tiles["epochs"] = f"{len(c.history)}"
    tiles["parameters"] = f"{sum(p.numel() for p in c.model.parameters()):,}"
    tiles["training"] = f"{1000 * seconds:.0f} ms" if seconds < 1 else long
    shown = "".join(f"<div><dt>{text(k)}</dt><dd>{text(v)}</dd></div>" for k, v in tiles.items())
    told = f"{c.about.get('name') or type(c.model).__name__}"
    told += f" on {c.settings['data']}" if c.settings.get("data") else ""
    told += f", measured on {c.measured_on}" if f.seen else ", without validation data"
    told += f", after epoch {c.epoch}" if c.epoch else ""
    told += f" of {last['epoch']}" if 0 < c.epoch < last.get("epoch", 0) else ""
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
    total = f"{len(f):,} {f.of}, {len(f) - f.matrix.trace():,} of them wrong."
    if len(f.matrix) <= CLASSES:
        told = f"Rows are what it is, columns what it is taken for: {total}"
        return _section("Confusion matrix", told, _card(_matrix(f)))
    short = dict(zip(f.names, shortened(f.names, NAME)))
    rows = [
        (short[is_], short[taken], count, f"{100 * share:.1f} %")
        for is_, taken, count, share in f.confusions(CLASSES)
    ]
    head = ("what it is", "taken for", "times", "of its class")
    return _section("Most frequent confusions", total, _card(html.table(head, rows, left=2)))


def _matrix(f: Findings) -> str:
    names = shortened(f.names, 20)
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
    kind = "matrix tall" if max(map(len, names)) > 3 else "matrix"
    cell = max(38, 9 * len(str(f.matrix.max())) + 10)  # pixels, the same for all
    head = f'<table class="{kind}" style="--cell:{cell}px"><tr><td class="zero"></td>{head}</tr>'
    return f"{head}{''.join(rows)}</table>"


def _classes(c: Contents) -> str:
    short = dict(zip(c.findings.names, shortened(c.findings.names, NAME)))
    scores = c.findings.scores()
    told = "Precision: the share of what is taken for it that is it. Recall: the share of it "
    told += "that is found. F1: their harmonic mean."
    if len(scores) > ROWS:
        scores = sorted(scores, key=lambda score: score.f1)[:LOWEST]
        told += f" The {LOWEST} classes with the lowest F1."
    rows = [
        (short[s.name], s.images, *(f"{100 * x:.1f} %" for x in (s.precision, s.recall, s.f1)))
        for s in scores
    ]
    content = html.table(("class", c.findings.of, "precision", "recall", "F1"), rows)
    return _section("Class by class", told, _card(content))


def _picture(c: Contents, x: np.ndarray) -> np.ndarray:
    return pictures.to_pixels(x, c.about.get("mean"), c.about.get("std"))


def _told(c: Contents, e: Example) -> tuple[str, str, str]:
    """What an example is, what it is taken for, and how sure, or how far off, that is."""
    if c.findings.pairs:
        true, said = (", ".join(f"{x:.4g}" for x in numbers) for numbers in (e.label, e.taken_for))
        return true, said, f"{e.sure:.3g} off"
    names = shortened(c.findings.names, NAME)
    sure = f"{100 * min(e.sure, 0.999):.1f} % sure".replace(" ", "\N{NO-BREAK SPACE}")
    return names[e.label], names[e.taken_for], sure


def _captioned(c: Contents, e: Example, told: str = "") -> tuple[str, str]:
    """The image of an example, and under it where it is to be found, and what is said of it."""
    if not told:
        is_, taken, sure = _told(c, e)
        told = f"{is_}, {sure}" if is_ == taken else f"{is_} taken for {taken}, {sure}"
    place = c.findings.place(e)
    caption = text(told).replace(" taken for ", ' <span class="wrong">taken for</span> ')
    (name,) = shortened([Path(place).name], 30)
    caption = f'<b title="{text(place)}">{text(name)}</b>{caption}'
    return pictures.img(_picture(c, e.x), f"{place}: {told}", 104), caption


def _predicted_against_true(c: Contents) -> str:
    pairs = np.concatenate(c.findings.pairs or [np.zeros((0, 2, 0))])  # (N, 2, D)
    shown = "".join(f"<div>{scatter(each)}</div>" for each in np.moveaxis(pairs, 2, 0))
    about = "Across what is true, up what the model says: on the line both are the same."
    return _section("Predicted against true", about, shown and f'<div class="charts">{shown}</div>')


def _surest_mistakes(c: Contents) -> str:
    f = c.findings
    if f.of == "pixels":
        return _worst_maps(c)
    title, about = "The surest mistakes", "Wrong, and most certain of it: a wrong label"
    if f.pairs:
        title, about = "The largest errors", "Where the model is furthest off: a wrong number"
    if all(pictures.is_image(e.x) for e in f.mistakes):
        content = _figures("images", (_captioned(c, e) for e in f.mistakes))
    else:
        head = ("where", *(("true", "predicted") if f.pairs else ("what it is", "taken for")), "")
        rows = [(f.place(e), *_told(c, e)) for e in f.mistakes]
        content = _card(html.table(head, rows, left=3))
    return _section(title, f"{about} in the data shows here first.", content)


def _worst_maps(c: Contents) -> str:
    f = c.findings
    colours = pictures.hot(np.linspace(0, 1, len(f.names)))  # (3, K)
    rows = []
    for e in f.mistakes[:MAPS] if all(pictures.is_image(e.x) for e in f.mistakes) else ():
        shown = [_captioned(c, e, f"{100 * e.sure:.1f} % wrong")]
        for name, classes in (("what it is", e.label), ("taken for", e.taken_for)):
            drawn_in = np.where(classes < 0, 255, colours[:, classes % len(f.names)])
            alt, picture = f"{f.place(e)}: {name}", pictures.coarse(drawn_in)
            shown.append((pictures.img(picture, alt, 104), name))
        rows.append(_figures("maps", shown))
    key = "&emsp;".join(
        f'<span class="key" style="background:rgb{tuple(colour)}"></span> {text(name)}'
        for colour, name in zip(colours.T.tolist(), shortened(f.names[:CLASSES], NAME))
    )
    about = f"The images with the largest share of wrong pixels.<br>{key}"
    return _section("The worst maps", about, "".join(rows))


def _kernels_of_the_first_layer(c: Contents) -> str:
    found = first_kernels(c.model)
    if found is None:
        of_images = len(c.about.get("input_shape") or ()) == 3
        why = "<p>This model has no convolution, and so no kernels to be shown.</p>"
        return _section("Kernels of the first layer", "", why * of_images)
    name, w = found
    w = w[:64] if w.shape[1] == 3 else np.repeat(w[:64].mean(1, keepdims=True), 3, 1)
    limit = float(np.abs(w).max()) or 1.0
    tiles = [pictures.to_bytes(0.5 + kernel / (2 * limit)) for kernel in w]
    sheet = pictures.sheet(tiles, min(16, len(tiles)))
    alt = f"{len(tiles)} kernels of {w.shape[2]}x{w.shape[3]} of the layer {name}"
    image = pictures.img(sheet, alt, min(900, 2 * sheet.shape[2]))
    about = f"{text(name)}. Grey is 0, brighter is more (of that colour, where there are colours)."
    return _section("Kernels of the first layer", about, f'<div class="card">{image}</div>')


def _maps_and_grad_cam(c: Contents) -> str:
    if c.findings.of == "pixels":
        return ""
    chosen = [e for e in (*c.findings.right, *c.findings.mistakes[:2]) if pictures.is_image(e.x)]
    chosen = [e for e in chosen if e.x.shape == chosen[0].x.shape]
    seen = look_inside(c.model, np.stack([e.x for e in chosen])) if chosen else []
    why = "<p>Feature maps and Grad-CAM are those of convolutions, and this model has none.</p>"
    rows = [why] if chosen and not seen else []
    for e, inside in zip(chosen, seen):
        glow = pictures.heated(_picture(c, e.x), inside.heat)
        shown = [
            _captioned(c, e),
            (pictures.img(glow, f"Grad-CAM of {c.findings.place(e)}", 104), "Grad-CAM"),
            *(_sheet(*maps, e) for maps in (inside.first, inside.late)),
        ]
        rows.append(_figures("inside", shown))
    about = "Grad-CAM is bright where the evidence for the answer lies. Beside it the channels of "
    about += "an early and a late layer that respond most to the image."
    return _section("What it looks at", about if seen else "", "".join(rows))


def _sheet(name: str, maps: np.ndarray, e: Example) -> tuple[str, str]:
    """The eight channels of a layer that vary most, as one picture, and what they are."""
    chosen = np.sort(np.argsort(-maps.std((1, 2)), kind="stable")[:8])
    tiles = [
        pictures.to_bytes(np.repeat(pictures.shrink(pictures.stretched(m)[None], 32), 3, 0))
        for m in maps[chosen]
    ]
    alt = f"{len(tiles)} feature maps of the layer {name} for example {e.index}"
    columns = -(-len(tiles) // 2)
    return pictures.img(pictures.sheet(tiles, columns), alt, 54 * columns), text(name)


def _model(c: Contents) -> str:
    shape = c.about.get("input_shape")
    if not shape:
        return ""
    made = summary(c.model, shape)
    head, rows = made.cells()
    cut = f" The first {ROWS} of {len(rows) - 1} rows." if len(rows) > ROWS + 1 else ""
    content = html.table(head, [*rows[:-1][:ROWS], rows[-1]], left=2)
    told = f"{text(', '.join(made.notes()))}.{cut}"
    return _section("Model", told, _card(content))


def _settings(c: Contents) -> str:
    tables = ""
    for title, values in (("Settings", c.settings), ("Versions", c.versions)):
        rows = [(k.replace("_", " "), _value(v)) for k, v in values.items()]
        rows = [row for row in rows if row[1] not in UNSET]
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
    _head, _learning_curves, _which_is_taken_for_which, _predicted_against_true, _surest_mistakes,
    _maps_and_grad_cam, _kernels_of_the_first_layer, _model, _settings, _again,
)  # fmt: skip
