"""Photos of writing, made like the images of a set of light strokes on a dark ground.

MNIST's makers scaled each figure into a box of 20x20 pixels, its aspect ratio kept, and put it
into 28x28 with its centre of mass in the middle (LeCun et al., Gradient-Based Learning Applied to
Document Recognition, 1998). A net that was trained on such images knows no others, so a photo of
writing on paper goes the same way: the paper's light is levelled and taken away, what is left is
scaled, and centred. How large the box of a set is, its images say (`box_of`).
"""

import numpy as np

from tinynet.vision.transforms import functional as F

GROUND = 0.05  # of white: a ground that is no lighter is dark
DARK = 0.99  # share of a set's images that must have a dark ground
MOST = 0.9  # share of a set's images that must have figures alike
ALIKE = 0.7  # of the usual figure's side: figures of a set of strokes are hardly smaller
INK = 0.5  # of white: what is lighter belongs to a stroke
SOLID = 0.4  # share of the lit pixels that all have lit neighbours, below which they are strokes
THIN = 0.08  # of the box: thinner strokes are made thicker, for a net has seen no hairlines
SPECK = 0.1  # of the largest patch of ink: what is smaller is dirt or noise
LEAST = 0.005  # of the photo: a figure is no smaller, where something else is at its corners
WORKING = 160  # pixels of the longer side at which a photo is looked at
FAINTEST = 0.06  # by how much of white the strokes must differ from the ground
NOISE = 4.0  # levels of noise that they must stand out by


def box_of(images: np.ndarray) -> int | None:
    """The side of the square that the figures fill, in images that are light strokes on dark.

    images: grey (N, 1, H, W), bytes or floats from 0 to 1. None where they are something else:
    in colour, some of them on a light ground or without a figure, of many sizes, or solid shapes
    and not strokes.
    """
    if images.ndim != 4 or images.shape[1] != 1 or not images.size or min(images.shape[2:]) < 3:
        return None
    x = images[:, 0] / 255 if images.dtype == np.uint8 else images[:, 0]
    lit = x > INK  # (N, H, W)
    if not are_dark_around(x) or x.min() < 0 or x.max() > 1 or not lit.any():
        return None
    inner = np.lib.stride_tricks.sliding_window_view(lit, (3, 3), axis=(1, 2)).all((-1, -2))
    if inner.sum() > SOLID * lit.sum():
        return None
    sides = [max(_extent(figure, axis) for axis in (0, 1)) for figure in lit]
    if np.quantile(sides, 1 - MOST) < ALIKE * np.median(sides):
        return None
    return round(float(np.median(sides)))


def like_strokes(photo: np.ndarray, size: tuple[int, int], box: int) -> tuple[np.ndarray, str]:
    """A photo (H, W), 0 to 1, as light strokes on black (height, width), and what was done.

    size: of the result. box: the side of the square that the figure is to fill.
    """
    photo = _resized(photo, min(1.0, WORKING / max(photo.shape)))
    signal = photo - _ground(photo)
    dark_ink = -signal.min() > signal.max()
    ink = _ink(-signal if dark_ink else signal)
    if not ink.any():
        return np.zeros(size, np.float32), "no stroke was found"
    figure = _cut_out(_thick_enough(_cut_out(ink), box))
    small = _resized(figure, box / max(figure.shape))
    small = np.clip(small / max(float(np.quantile(small[small > 0], 0.9)), 1e-6), 0, 1)
    turned = "dark strokes on light turned round, " if dark_ink else ""
    return _centred(small, size), f"{turned}the figure scaled to {box} pixels and centred"


def is_dark_around(images: np.ndarray) -> np.ndarray:
    """Whether the ground of each image (..., H, W), bytes or 0 to 1, is dark already."""
    sides = [images[..., 0, :], images[..., -1, :], images[..., 0], images[..., -1]]
    ground = np.median(np.concatenate(sides, axis=-1), axis=-1)
    dark: np.ndarray = ground <= GROUND * (255 if images.dtype == np.uint8 else 1)
    return dark


def are_dark_around(images: np.ndarray) -> bool:
    """Whether images (N, H, W), bytes or 0 to 1, are of a set with a dark ground."""
    return bool(np.mean(is_dark_around(images)) >= DARK)


def _extent(figure: np.ndarray, axis: int) -> int:
    places = np.flatnonzero(figure.any(axis))
    return int(places[-1] - places[0]) + 1 if len(places) else 0


def _resized(image: np.ndarray, scale: float) -> np.ndarray:
    size = [max(1, round(n * scale)) for n in image.shape]
    resized: np.ndarray = F.resize(image[None, None].astype(np.float32), size)[0, 0]
    return resized


def _cut_out(ink: np.ndarray) -> np.ndarray:
    """The part of an image in which there is ink."""
    rows, columns = (np.flatnonzero((ink > INK / 2).any(axis)) for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _ground(photo: np.ndarray) -> np.ndarray:
    """The ground under the strokes: a surface of second degree, fitted to what is no stroke.

    That is at first the border, or where the strokes come near it, what is as light as most; the
    surface that most of the photo is nearest to is taken.
    """
    H, W = photo.shape
    v, u = np.meshgrid(np.linspace(-1, 1, H), np.linspace(-1, 1, W), indexing="ij")
    terms = np.stack([u**0, u, v, u * u, u * v, v * v], axis=-1).reshape(H * W, 6)
    values = photo.ravel().astype(np.float64)
    found: list[tuple[float, np.ndarray]] = []
    off = abs(values - np.median(values))
    for kept in ((np.maximum(abs(u), abs(v)) > 0.8).ravel(), off <= 2.5 * np.median(off)):
        for _ in range(8):
            surface = terms @ np.linalg.lstsq(terms[kept], values[kept], rcond=None)[0]
            off = abs(values - surface)
            kept = off <= max(0.02, 2.5 * float(np.median(off)))
        found.append((float(np.median(off)), surface.reshape(H, W)))
    return min(found, key=lambda pair: pair[0])[1]


def _ink(signal: np.ndarray) -> np.ndarray:
    """How much of each pixel is ink, 0 to 1: what stands out of the noise, without its specks."""
    noise = 1.4826 * float(np.median(abs(signal)))
    full = float(np.quantile(signal, 0.999))
    if full < max(FAINTEST, NOISE * noise):
        return np.zeros_like(signal)
    low = max(0.25 * full, 0.7 * NOISE * noise)
    ink = np.clip((signal - low) / max(0.75 * full - low, 0.05 * full), 0, 1)
    patches = _patches(ink > INK / 2)
    sizes = np.bincount(patches.ravel())
    sizes[0] = 0  # the ground
    corners = np.bincount(patches[[0, 0, -1, -1], [0, -1, 0, -1]], minlength=len(sizes))
    inside = np.where(corners > 1, 0, sizes)
    if inside.max(initial=0) > LEAST * ink.size:
        sizes = inside  # without what the paper lies on
    cleaned: np.ndarray = ink * (sizes >= max(1, SPECK * sizes.max(initial=0)))[patches]
    return cleaned


def _patches(lit: np.ndarray) -> np.ndarray:
    """The number of the connected patch that each pixel belongs to, 0 where it is not lit."""
    numbers = np.where(lit, np.arange(1, lit.size + 1).reshape(lit.shape), 0)
    while True:
        spread = np.where(lit, _widest(numbers, 1), 0)
        spread = np.append(0, spread)[spread]  # each pixel's number is that of a pixel further on
        if np.array_equal(spread, numbers):
            return np.unique(numbers, return_inverse=True)[1].reshape(lit.shape)
        numbers = spread


def _widest(x: np.ndarray, reach: int) -> np.ndarray:
    """The largest value around each pixel, up to `reach` pixels away in each direction."""
    for axis in (0, 1):
        padded = np.pad(x, [(reach, reach) if a == axis else (0, 0) for a in (0, 1)])
        shifted = np.lib.stride_tricks.sliding_window_view(padded, x.shape[axis], axis)
        x = np.moveaxis(shifted.max(axis), -1, axis)
    return x


def _thick_enough(ink: np.ndarray, box: int) -> np.ndarray:
    """The strokes, made thicker where they would be hairlines in the box."""
    lit = np.pad(ink > INK / 2, 1)
    edges = sum(int((lit != np.roll(lit, 1, axis)).sum()) for axis in (0, 1))
    width = 2 * float(ink.sum()) / max(edges, 1)
    reach = round((THIN * max(ink.shape) - width) / 2)
    return ink if reach < 1 else _widest(np.pad(ink, reach), reach)


def _centred(figure: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The figure on black (height, width), its centre of mass in the middle if there is room."""
    image = np.zeros(size, np.float32)
    places = []
    for axis, (room, extent) in enumerate(zip(size, figure.shape)):
        mass = figure.sum(1 - axis)
        middle = float((mass * np.arange(extent)).sum() / mass.sum())
        places.append(min(max(round((room - 1) / 2 + 0.5 - middle), 0), max(room - extent, 0)))
    top, left = places
    height, width = (min(a, b) for a, b in zip(size, figure.shape))
    image[top : top + height, left : left + width] = figure[:height, :width]
    return image
