"""Mistakes of size: the gradient is nothing, or a multiple of the right one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinynet.gradcheck.causes.clues import Clues, Suspect, close

SIMPLE = {
    2.0: "2",
    0.5: "1/2",
    3.0: "3",
    1 / 3: "1/3",
    4.0: "4",
    0.25: "1/4",
    1.5: "3/2",
    2 / 3: "2/3",
}


def suspects(clues: Clues) -> Iterator[Suspect]:
    """A zero gradient; a constant factor, and what it means."""
    if not clues.analytic.any():
        yield Suspect("zero gradient", "the backward pass gives 0", np.zeros_like(clues.analytic))
        return
    factor = best_factor(clues)
    if factor is None:
        return
    meanings = list(_meanings(clues, factor)) or [_plain(clues, factor)]
    for cause, reason in meanings:
        text = f"analytic = {short(factor)} x numeric"
        evidence = f"{text}; {reason}" if reason else text
        yield Suspect(cause, evidence, factor * clues.numeric, abs(factor) * clues.noise)


def best_factor(clues: Clues) -> float | None:
    """The factor that takes the numeric gradient closest to the analytic one, cleaned of noise."""
    numeric = np.where(clues.usable, clues.numeric, 0.0)
    power = float((numeric * numeric).sum())
    if power == 0:
        return None
    candidates: list[float] = []
    factor = float((numeric * np.where(clues.usable, clues.analytic, 0.0)).sum()) / power
    if clues.y.size == 1:
        candidates = [1 / float(clues.dy.reshape(-1)[0])]
    candidates += [-1.0, *(s * v for v in SIMPLE for s in (1, -1))]
    candidates += [s * v**p for v in clues.sizes.values() for p in (1, -1) for s in (1, -1)]
    known = next((c for c in candidates if close(c, factor, 1e-6)), None)
    if known is None and clues.analytic.size < 3:
        return None  # some factor always fits one element
    return known or factor


def _plain(clues: Clues, factor: float) -> tuple[str, str]:
    if factor == -1:
        return "wrong sign", ""
    name = clues.named(factor)
    simple = next((text for v, text in SIMPLE.items() if close(abs(factor), v)), None)
    if name is None:
        return "constant factor", f"about {simple}" if simple and "/" in simple else ""
    return "constant factor", f"{short(factor)} = {name}"


def _meanings(clues: Clues, factor: float) -> Iterator[tuple[str, str]]:
    """What a factor says if the function has a sum or a mean in it."""
    if clues.y.size == 1 and close(factor, 1 / float(clues.dy.reshape(-1)[0])):
        yield "output gradient not used", f"the output gradient is {short(1 / factor)}"
        return
    settings = clues.settings
    averaged = [k for k, v in settings.items() if isinstance(v, str) and v == "mean"]
    name = clues.named(factor)
    if averaged and clues.y.size == 1 and factor > 1 and name is not None:
        yield "average not divided", f"{short(factor)} = {name}, and {averaged[0]}='mean'"
        return
    J = clues.jacobian
    if J is None:
        return
    entries = J[J != 0]
    if not entries.size:
        return
    mean_of = 1 / float(entries[0])
    if clues.y.size < clues.x.size and mean_of > 1.5 and np.allclose(entries, entries[0], 1e-6):
        terms = int((J != 0).sum(0).max())
        if close(mean_of, terms, 1e-5):
            if close(factor, terms):
                yield "average not divided", f"each output is the mean of {terms} elements"
            elif factor > 0:
                yield (
                    "average divided by the wrong count",
                    f"each output is the mean of {terms} elements, the gradient is divided by "
                    f"{short(terms / factor)}",
                )
            return
    yield from _mean_for_sum(clues, J, factor)


def _mean_for_sum(clues: Clues, J: np.ndarray, factor: float) -> Iterator[tuple[str, str]]:
    terms = int((J != 0).sum(1).max())
    outputs = {terms}
    if clues.y.ndim == 4 and clues.x.ndim == 4 and clues.x.shape[0] == clues.y.shape[1]:
        outputs.add(clues.y.size // clues.y.shape[1])  # a weight meets padding at the border
    for count in outputs:
        if count > 1 and close(factor, 1 / count):
            yield (
                "mean used for sum",
                f"an element of {clues.name} is in {count} outputs, and 1/{count} = "
                f"{short(factor)}",
            )
            return


def short(value: float) -> str:
    """A number as a person would write it."""
    return f"{value:.6g}"
