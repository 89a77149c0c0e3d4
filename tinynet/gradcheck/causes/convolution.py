"""Mistakes in convolutions: kernel, channels, stride, padding, dilation, groups, overlaps.

A function of two arrays is recognised as a convolution, or a transposed one, by its numbers. Its
right gradient is then known in closed form, and each mistake is that form with one thing changed.
Smaller cases are convolutions too: one image (C, H, W), one plane (H, W), one dimension (N, C, L).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tinynet.gradcheck.causes import sliding
from tinynet.gradcheck.causes.clues import Clues, ElsewhereError, Suspect, alike
from tinynet.gradcheck.causes.sliding import Geometry, Pair

MOST_GEOMETRIES = 400

Group = np.ndarray


class Form(NamedTuple):
    """One side of the trilinear form: the gradient that is wanted, and the arrays it is made of.

    target: "image" or "small" (the input of a convolution, or of a transposed one) or "kernel".
    image, small, kernel: the arrays; in place of the target stands an array of its shape.
    """

    target: str
    image: np.ndarray
    small: np.ndarray
    kernel: np.ndarray
    geometry: Geometry
    groups: int

    @property
    def group_of(self) -> Group:
        """The group of each filter."""
        return sliding.filters_of_group(self.kernel.shape[0], self.groups)

    def gradient(self, group_of: Group | None = None, **changed: Any) -> np.ndarray:
        """The target's gradient, with what is given changed."""
        form = self._replace(**changed)
        group_of = self.group_of if group_of is None else group_of
        image, small, w = form.image, form.small, form.kernel
        size = (image.shape[2], image.shape[3])
        if self.target == "image":
            return sliding.scatter(small, w, size, form.geometry, image.shape[1], group_of)
        if self.target == "small":
            places = (small.shape[2], small.shape[3])
            return sliding.gather(image, w, places, form.geometry, group_of)
        return sliding.weigh(image, small, w.shape, form.geometry, group_of)


def suspects(clues: Clues) -> Iterator[Suspect]:
    """All mistakes of a convolution's gradient, if the function is one."""
    form = recognised(clues)
    if form is None:
        return
    shape = clues.analytic.shape
    for suspect in mistakes(form):
        yield suspect._replace(gradient=suspect.gradient.reshape(shape))


def mistakes(form: Form) -> Iterator[Suspect]:
    """The gradients that the usual mistakes would give, in the form's four axes."""
    if form.target == "kernel":
        yield from _kernel_reordered(form)
    else:
        yield from _kernel_misread(form)
    yield from geometric(form)
    yield from _groups(form)
    if form.target == "image":
        yield from overlapping(form)


# ----- recognition --------------------------------------------------------------------------------


def four_axes(x: np.ndarray) -> np.ndarray | None:
    """A plane, an image or a batch as (N, C, H, W); a signal as an image of one row."""
    if x.ndim == 4:
        return x
    lift = {1: (1, 1, 1), 2: (1, 1), 3: (1,)}.get(x.ndim)
    return None if lift is None else x.reshape(*lift, *x.shape)


def one_row(x: np.ndarray) -> np.ndarray | None:
    """(N, C, L) as (N, C, 1, L)."""
    return x[:, :, None, :] if x.ndim == 3 else None


def recognised(clues: Clues) -> Form | None:
    """The function as a convolution, if its numbers are those of one."""
    if not 0 < clues.y.ndim <= 4 or not clues.y.size:
        return None
    floats = {place: a for place, a in clues.floats.items() if 0 < a.ndim <= 4 and a.size}
    for a, b in itertools.permutations(floats, 2):
        if clues.fault.place not in (a, b):
            continue
        product = _product(clues, a, b)
        if product is None:
            continue
        for lift in (four_axes, one_row):
            image, kernel, y, dy = (lift(v) for v in (floats[a], floats[b], product, clues.dy))
            if image is None or kernel is None or y is None or dy is None:
                continue
            form = _as_form(clues.fault.place == b, image, kernel, y, dy, clues.settings)
            if form is not None:
                return form
    return None


def _product(clues: Clues, a: int, b: int) -> np.ndarray | None:
    """y without its bias, if it is linear in argument a and nothing where argument b is 0."""
    x, w = clues.floats[a], clues.floats[b]
    try:
        bias = clues.output({a: np.zeros_like(x)})
        twice = clues.output({a: 2 * x})
        without = clues.output({b: np.zeros_like(w)})
    except ElsewhereError:
        return None
    product = clues.y - bias
    linear = alike(twice - bias, 2 * product) and alike(without, bias)
    return product if linear and product.any() else None


def _as_form(
    of_kernel: bool,
    x: np.ndarray,
    w: np.ndarray,
    y: np.ndarray,
    dy: np.ndarray,
    settings: dict[str, Any],
) -> Form | None:
    if len(x) != len(y):
        return None
    kernel: Pair = (w.shape[2], w.shape[3])
    canvas = sliding.Canvas(x, kernel)
    for image, small, transposed in ((x, y, False), (y, x, True)):
        groups, rest = divmod(image.shape[1], w.shape[1])
        if w.shape[0] != small.shape[1] or rest or not groups or w.shape[0] % groups:
            continue
        group_of = sliding.filters_of_group(len(w), groups)
        first = w[: len(w) // groups]
        size, places = (image.shape[2], image.shape[3]), (small.shape[2], small.shape[3])
        found = sliding.geometries(size, places, kernel, settings)
        for geometry in itertools.islice(found, MOST_GEOMETRIES):
            at = (y.shape[2] // 2, y.shape[3] // 2)  # one place tells most of them off
            if transposed:
                guess = sliding.spread_to(x, first, geometry, *at)
            else:
                window = canvas.window(kernel, geometry, *at)[: w.shape[1]]
                guess = np.einsum("ocij,cij->o", first, window)
            if not np.allclose(guess, y[(0, slice(len(guess)), *at)], 1e-7, 1e-9):
                continue
            if transposed:
                whole = sliding.scatter(x, w, size, geometry, image.shape[1], group_of)
            else:
                whole = sliding.gather(x, w, places, geometry, group_of)
            if alike(whole, y):
                target = "kernel" if of_kernel else "small" if transposed else "image"
                sides = (dy, x) if transposed else (x, dy)
                return Form(target, *sides, w, geometry, groups)
    return None


# ----- mistakes -----------------------------------------------------------------------------------


def _kernel_misread(form: Form) -> Iterator[Suspect]:
    """The kernel met in another order than in the forward pass."""
    w = form.kernel
    KH, KW = w.shape[2:]
    for axes, said in (((2, 3), "both ways"), ((2,), "top to bottom"), ((3,), "left to right")):
        yield Suspect(
            "kernel not flipped",
            f"analytic = the gradient with the {KH}x{KW} kernel turned round {said}",
            form.gradient(kernel=np.flip(w, axes)),
        )
    if KH == KW > 1:
        turned = w.swapaxes(2, 3)
        yield Suspect(
            "kernel spatially transposed", f"analytic = the gradient with w[..., j, i] ({KH}x{KW})",
            form.gradient(kernel=turned),
        )  # fmt: skip
        yield Suspect(
            "kernel spatially transposed and not flipped",
            f"analytic = the gradient with w[..., j, i] ({KH}x{KW}) turned round both ways",
            form.gradient(kernel=np.flip(turned, (2, 3))),
        )
    if w.shape[0] == w.shape[1] > 1:
        swapped = w.swapaxes(0, 1)
        said = f"analytic = the gradient with w[c, o, i, j] for w[o, c, i, j], both {len(w)} long"
        yield Suspect("input and output channels swapped", said, form.gradient(kernel=swapped))
        yield Suspect(
            "input and output channels swapped and kernel not flipped",
            said + ", turned round both ways",
            form.gradient(kernel=np.flip(swapped, (2, 3))),
        )
    if w.shape[0] > 1:
        yield Suspect(
            "filters in reverse order", "analytic = the gradient with w[O - 1 - o]",
            form.gradient(kernel=w[::-1]),
        )  # fmt: skip


def _kernel_reordered(form: Form) -> Iterator[Suspect]:
    """The kernel's gradient, right but for the order of its elements."""
    right = form.gradient()
    O, I, KH, KW = right.shape
    for axes in ((2, 3), (2,), (3,)):
        said = " and ".join({2: "top to bottom", 3: "left to right"}[a] for a in axes)
        yield Suspect(
            "kernel gradient flipped", f"analytic = the right gradient turned round {said}",
            np.flip(right, axes),
        )  # fmt: skip
    if KH == KW > 1:
        yield Suspect(
            "kernel spatially transposed", f"analytic[..., i, j] = numeric[..., j, i], {KH}x{KW}",
            right.swapaxes(2, 3),
        )  # fmt: skip
    if O == I > 1:
        yield Suspect(
            "input and output channels swapped",
            f"analytic[o, c] = numeric[c, o], both {O} long",
            right.swapaxes(0, 1),
        )


def geometric(form: Form) -> Iterator[Suspect]:
    """Stride, dilation and padding other than those of the forward pass."""
    geometry = form.geometry
    for field in ("stride", "dilation"):
        value: Pair = getattr(geometry, field)
        for other, how in _other_pairs(value):
            yield Suspect(
                f"{field} ignored" if 1 in other and other[::-1] != value else f"wrong {field}",
                f"analytic = the gradient with {field} {how}; the function has {value}",
                form.gradient(geometry=geometry._replace(**{field: other})),
            )
    yield from _shifted(form)


def _other_pairs(value: Pair) -> Iterator[tuple[Pair, str]]:
    """What becomes of (vertical, horizontal) when it is ignored, mixed up or half read."""
    v, h = value
    others = ((1, 1), (1, h), (v, 1), (h, v), (v, v), (h, h))
    for other in dict.fromkeys(others):
        if other != value:
            yield other, str(other)


def _shifted(form: Form) -> Iterator[Suspect]:
    top, left = form.geometry.offset
    KH, KW = form.kernel.shape[2:]
    reach = [
        max(o, (k - 1) * d, 1) for o, k, d in zip((top, left), (KH, KW), form.geometry.dilation)
    ]
    for down in range(-reach[0], reach[0] + 1):
        for right in range(-reach[1], reach[1] + 1):
            if (down, right) == (0, 0):
                continue
            offset = (top - down, left - right)
            if form.target == "kernel" and offset == (0, 0):
                cause = "padding ignored"
            elif form.target == "image" and (top or left):
                cause = "padding cropped at the wrong side"
            else:
                cause = "gradient shifted"
            yield Suspect(
                cause,
                f"analytic = the gradient with windows shifted by ({down}, {right}): padding "
                f"{offset} for {(top, left)}",
                form.gradient(geometry=form.geometry._replace(offset=offset)),
            )


def _groups(form: Form) -> Iterator[Suspect]:
    G, O = form.groups, form.kernel.shape[0]
    if G == 1:
        return
    groupings = {
        "filter o sees group o % groups": np.arange(O) % G,
        "every filter sees group 0": np.zeros(O, int),
        "every filter sees the last group": np.full(O, G - 1),
        "filter o sees group groups - 1 - o // (O/groups)": G - 1 - form.group_of,
    }
    for said, group_of in groupings.items():
        if not np.array_equal(group_of, form.group_of):
            yield Suspect(
                "groups mixed up", f"analytic = the gradient if {said}; groups = {G}",
                form.gradient(group_of),
            )  # fmt: skip
    right = form.gradient()
    axis = 0 if form.target == "kernel" else 1
    for array, name in ((right, "the gradient"), (form.small, "the output gradient")):
        along = 1 if array is form.small else axis
        if array is form.small and form.target == "small":
            continue
        for order in (
            _interleaved(array.shape[along], G),
            _interleaved(array.shape[along], array.shape[along] // G),
        ):
            moved = array.take(order, along)
            yield Suspect(
                "groups mixed up",
                f"analytic has the channels of {name} in the order {order.tolist()}",
                moved if array is right else form.gradient(small=moved),
            )


def _interleaved(length: int, groups: int) -> np.ndarray:
    """Channels counted through the groups first: 0, n, 2n, ..., 1, n + 1, ..."""
    return np.arange(length).reshape(groups, -1).T.reshape(-1)


def overlapping(form: Form) -> Iterator[Suspect]:
    """dx written with = in a loop where += was meant."""
    w, dy, geometry = form.kernel, form.small, form.geometry
    O, _, KH, KW = w.shape
    size = form.image.shape
    full = np.zeros((O, size[1], KH, KW))  # every filter over every channel
    for o, group in enumerate(form.group_of):
        first = group * w.shape[1]
        full[o, first : first + w.shape[1]] = w[o]
    said = "of the windows that overlap, the last overwrites the others (= for +=)"
    for filters, more in ((slice(None), ""), (slice(O - 1, O), ", and so does the last filter")):
        yield Suspect(
            "missing accumulation",
            f"analytic: {said}{more}",
            sliding.overwritten(
                lambda p, q, filters=filters: np.einsum(  # type: ignore[misc]
                    "no,ocij->ncij", dy[:, filters, p, q], full[filters]
                ),
                size,
                (dy.shape[2], dy.shape[3]),
                (KH, KW),
                geometry,
            ),
        )
    image = np.zeros(size)
    everyone = np.arange(len(dy)), np.arange(size[1])
    for i, j in np.ndindex(KH, KW):  # the loop of col2im: one position of the kernel at a time
        rows, columns = geometry.rows(0, dy.shape[2], i), geometry.rows(1, dy.shape[3], j)
        p, q = sliding.inside(rows, size[2]), sliding.inside(columns, size[3])
        values = np.einsum("nopq,oc->ncpq", dy, full[:, :, i, j])
        image[np.ix_(*everyone, rows[p], columns[q])] = values[:, :, p][..., q]
    yield Suspect(
        "missing accumulation",
        "analytic: where windows overlap, the last position of the kernel overwrites the others "
        "(= for +=)",
        image,
    )
