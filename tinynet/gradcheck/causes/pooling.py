"""Mistakes in pooling: ties, winners, the mean's divisor, and the windows' geometry.

The average over a window is a convolution of each channel with a constant kernel, so it shares
the mistakes of the convolution. The maximum sends each dy to one winner.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinynet.gradcheck.causes import convolution, sliding
from tinynet.gradcheck.causes.clues import Clues, ElsewhereError, Suspect, alike
from tinynet.gradcheck.causes.convolution import Form, four_axes, one_row
from tinynet.gradcheck.causes.sliding import Geometry, Pair

LARGEST_WINDOW = 5


def suspects(clues: Clues) -> Iterator[Suspect]:
    """All mistakes of a pool's gradient, if the function is one; and those of a plain maximum."""
    shape = clues.analytic.shape
    yield from _maximum(clues)
    if clues.x.ndim != clues.y.ndim or clues.y.ndim < 2 or not _homogeneous(clues):
        return
    for lift in (four_axes, one_row):
        x, y, dy = lift(clues.x), lift(clues.y), lift(clues.dy)
        if x is None or y is None or dy is None or x.shape[:2] != y.shape[:2] or not y.size:
            continue
        for found in _pools(clues, x, y, dy):
            for suspect in found:
                yield suspect._replace(gradient=suspect.gradient.reshape(shape))
            return


def _maximum(clues: Clues) -> Iterator[Suspect]:
    """The maximum (or minimum) over axes: its dy given to every element that ties."""
    x, y, dy = clues.x, clues.y, clues.dy
    for count in range(1, x.ndim + 1):
        for axes in itertools.combinations(range(x.ndim), count):
            kept = tuple(1 if a in axes else n for a, n in enumerate(x.shape))
            if y.size != np.prod(kept) or x.size == y.size:
                continue
            for pick in (np.max, np.min):
                winner = pick(x, axis=axes, keepdims=True)
                if np.array_equal(winner, y.reshape(kept)):
                    wins = x == winner
                    most = int(wins.sum(axes).max())
                    spread, n = dy.reshape(kept), x.size // y.size
                    if most > 1:
                        yield Suspect(
                            "ties counted more than once",
                            f"analytic gives dy to each of up to {most} elements that tie",
                            wins * spread,
                        )
                    yield Suspect(
                        "gradient spread over all elements",
                        f"analytic gives dy to all {n} elements, not to the winner alone",
                        np.broadcast_to(spread, x.shape),
                    )
                    yield Suspect(
                        "gradient spread over all elements",
                        f"analytic gives dy/{n} to all {n} elements, not dy to the winner alone",
                        np.broadcast_to(spread / n, x.shape),
                    )


def _homogeneous(clues: Clues) -> bool:
    """Whether twice the input gives twice the output, as for every pool."""
    try:
        return alike(clues.output({clues.fault.place: 2 * clues.x}), 2 * clues.y)
    except ElsewhereError:
        return False


# ----- recognition --------------------------------------------------------------------------------


def _pools(
    clues: Clues, x: np.ndarray, y: np.ndarray, dy: np.ndarray
) -> Iterator[Iterator[Suspect]]:
    """The mistakes of the pool that the numbers fit."""
    size, places = (x.shape[2], x.shape[3]), (y.shape[2], y.shape[3])
    at = (places[0] // 2, places[1] // 2)
    value = y[(0, 0, *at)]
    of_max = bool(np.isin(y, x).all())
    settings = clues.settings
    for kernel in _kernels(size, settings):
        canvas = sliding.Canvas(x, kernel, -np.inf)
        found = sliding.geometries(size, places, kernel, settings)
        for geometry in itertools.islice(found, convolution.MOST_GEOMETRIES):
            one = canvas.window(kernel, geometry, *at)[0]  # one place tells most of them off
            if of_max:
                if one.max() == value and _fits_max(x, y, kernel, geometry):
                    yield _of_max(clues.analytic, x, y, dy, kernel, geometry)
                    return
                continue
            one = np.where(np.isfinite(one), one, 0.0).sum()
            for share in _shares(size, places, kernel, geometry):
                if abs(one * share[at] - value) > 1e-9 * abs(value):
                    continue
                if alike(_windows(x, kernel, geometry, places, 0.0).sum(0) * share, y):
                    yield _of_mean(x, dy, kernel, geometry, share)
                    return


def _fits_max(x: np.ndarray, y: np.ndarray, kernel: Pair, geometry: Geometry) -> bool:
    window = _windows(x, kernel, geometry, (y.shape[2], y.shape[3]))
    return np.array_equal(window.max(0), y)


def _kernels(size: Pair, settings: dict[str, Any]) -> list[Pair]:
    """The window sizes to try: what a setting names, else all small ones, squares first."""
    for name, value in settings.items():
        if any(part in name.lower() for part in ("kernel", "pool", "window", "size", "k")):
            values = value if isinstance(value, (tuple, list)) else (value, value)
            if len(values) == 2 and all(type(v) is int and v > 0 for v in values):
                return [(values[0], values[1])]
    high, wide = (range(1, min(n, LARGEST_WINDOW) + 1) for n in size)
    pairs = itertools.product(high, wide)
    return sorted((p for p in pairs if p != (1, 1)), key=lambda p: (p[0] != p[1], p))


def _windows(
    x: np.ndarray, kernel: Pair, geometry: Geometry, places: Pair, outside: float = -np.inf
) -> np.ndarray:
    """(KH*KW, N, C, OH, OW): what each position of the windows meets."""
    return np.stack([
        sliding.pixels(x, geometry, places, i, j, outside) for i, j in np.ndindex(kernel)
    ])  # fmt: skip


def _shares(size: Pair, places: Pair, kernel: Pair, geometry: Geometry) -> list[np.ndarray]:
    """1 over the number of elements of each window, in the ways it is counted, (OH, OW) each."""
    inside, padded = [], []
    for axis in (0, 1):
        rows = np.stack([geometry.rows(axis, places[axis], i) for i in range(kernel[axis])])
        after = size[axis] + geometry.offset[axis]
        inside.append(((rows >= 0) & (rows < size[axis])).sum(0))
        padded.append((rows < after).sum(0))
    counts = [np.full(places, kernel[0] * kernel[1]), np.outer(*inside), np.outer(*padded)]
    shares = [1 / np.maximum(count, 1) for count in counts]
    return [*shares, np.ones(places)]


# ----- mistakes -----------------------------------------------------------------------------------


def _of_mean(
    x: np.ndarray, dy: np.ndarray, kernel: Pair, geometry: Geometry, share: np.ndarray
) -> Iterator[Suspect]:
    C, size = x.shape[1], (x.shape[2], x.shape[3])
    ones = np.ones((C, 1, *kernel))
    form = Form("image", x, dy * share, ones, geometry, C)
    all_shares = _shares(size, (dy.shape[2], dy.shape[3]), kernel, geometry)
    divided = not np.allclose(share, 1)
    for other in all_shares:
        if not np.allclose(other, share):
            undivided = np.allclose(other, 1)
            counts = [
                sorted(set(np.rint(1 / s).astype(int).ravel().tolist())) for s in (other, share)
            ]
            yield Suspect(
                "average not divided" if undivided else "average divided by the wrong count",
                f"the gradient is divided by {_either(counts[0])}, the output by "
                f"{_either(counts[1])}",
                form.gradient(small=dy * other),
            )
    if divided:
        N, OH, OW = dy.shape[0], dy.shape[2], dy.shape[3]
        for count in (OH * OW, N, kernel[0], kernel[1], geometry.stride[0] * geometry.stride[1]):
            yield Suspect(
                "average divided by the wrong count", f"the gradient is divided by {count}",
                form.gradient(small=dy / count),
            )  # fmt: skip
    yield from convolution.geometric(form)
    yield from convolution.overlapping(form)
    yield Suspect(
        "gradient given to one element of the window", "analytic gives dy to the first place alone",
        form.gradient(small=dy, kernel=_only(ones, 0, 0)),
    )  # fmt: skip


def _only(ones: np.ndarray, i: int, j: int) -> np.ndarray:
    kernel = np.zeros_like(ones)
    kernel[:, :, i, j] = 1
    return kernel


def _either(counts: list[int]) -> str:
    return " or ".join(map(str, counts))


def _of_max(
    analytic: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    dy: np.ndarray,
    kernel: Pair,
    geometry: Geometry,
) -> Iterator[Suspect]:
    window = _windows(x, kernel, geometry, (y.shape[2], y.shape[3]))
    C, size = x.shape[1], (x.shape[2], x.shape[3])
    KH, KW = kernel
    first = window.argmax(0)
    wins = window == y

    def spread(masks: np.ndarray, values: np.ndarray, geometry: Geometry = geometry) -> np.ndarray:
        """`values` added to the pixels where the windows' masks (KH*KW, N, C, OH, OW) say so."""
        image = np.zeros(x.shape)
        everyone = np.arange(len(x)), np.arange(C)
        for at, (i, j) in enumerate(np.ndindex(kernel)):
            rows, columns = (
                geometry.rows(0, dy.shape[2], i), geometry.rows(1, dy.shape[3], j)
            )  # fmt: skip
            p, q = sliding.inside(rows, size[0]), sliding.inside(columns, size[1])
            image[np.ix_(*everyone, rows[p], columns[q])] += (masks[at] * values)[:, :, p][..., q]
        return image

    def at_winner(winner: np.ndarray, geometry: Geometry = geometry) -> np.ndarray:
        return spread(np.stack([winner == at for at in range(KH * KW)]), dy, geometry)

    if alike(at_winner(first).reshape(analytic.shape), analytic):
        return  # right by the rule, whatever differences say of a tie
    ties = int((wins.sum(0) > 1).sum())
    if ties:
        most = int(wins.sum(0).max())
        yield Suspect(
            "ties counted more than once",
            f"analytic gives dy to every element that equals the maximum; {ties} of {dy.size} "
            f"windows have up to {most} such",
            spread(wins, dy),
        )
    everywhere = np.ones_like(wins)
    inside = np.isfinite(window)
    for values, said in (
        (dy, "dy"), (dy / (KH * KW), f"dy/{KH * KW}"), (dy / inside.sum(0), "dy/count"),
    ):  # fmt: skip
        yield Suspect(
            "max-pool gradient spread over the window",
            f"analytic gives {said} to all {KH}x{KW} elements of a window, not dy to the winner",
            spread(everywhere, values),
        )
    i, j = np.divmod(first, KW)
    for winner, said in (
        (j * KW + i, "(j, i) for (i, j)"),
        (np.divmod(first, KH)[0] * KW + np.divmod(first, KH)[1], f"divmod by {KH} for {KW}"),
        (first.max() - first, "counted from the end"),
        (np.where(inside, window, np.inf).argmin(0), "the smallest element"),
        (np.zeros_like(first), "always the first place"),
    ):
        yield Suspect(
            "wrong winner of the window", f"analytic gives dy to the place {said}",
            at_winner(winner),
        )  # fmt: skip
    form = Form("image", x, dy, np.ones((C, 1, *kernel)), geometry, C)
    for suspect, other in _geometries(form):
        yield suspect._replace(gradient=at_winner(first, other))
    yield from _overwritten(x, dy, kernel, geometry, first)


def _geometries(form: Form) -> Iterator[tuple[Suspect, Geometry]]:
    """The geometric mistakes of a form with the geometry of each, whatever their gradients."""
    used: list[Geometry] = []

    class Seen(Form):
        def gradient(self, group_of: Any = None, **changed: Any) -> np.ndarray:
            used.append(changed["geometry"])
            return self.image

    for suspect in convolution.geometric(Seen(*form)):
        yield suspect, used[-1]


def _overwritten(
    x: np.ndarray, dy: np.ndarray, kernel: Pair, geometry: Geometry, first: np.ndarray
) -> Iterator[Suspect]:
    N, C = x.shape[:2]
    said = "analytic: where windows overlap, the last overwrites the others (= for +=)"

    def window(p: int, q: int) -> np.ndarray:
        values = np.zeros((N, C, *kernel))
        np.put_along_axis(
            values.reshape(N, C, -1), first[:, :, p, q, None], dy[:, :, p, q, None], -1
        )
        return values

    yield Suspect(
        "missing accumulation", said,
        sliding.overwritten(window, x.shape, (dy.shape[2], dy.shape[3]), kernel, geometry),
    )  # fmt: skip
    image = np.zeros(x.shape)
    i, j = np.divmod(first, kernel[1])
    for n, c, p, q in np.ndindex(dy.shape):
        row = p * geometry.stride[0] + i[n, c, p, q] * geometry.dilation[0] - geometry.offset[0]
        column = q * geometry.stride[1] + j[n, c, p, q] * geometry.dilation[1] - geometry.offset[1]
        image[n, c, row, column] = dy[n, c, p, q]
    yield Suspect(
        "missing accumulation",
        "analytic: a pixel that wins several windows gets the last dy, not their sum (= for +=)",
        image,
    )
