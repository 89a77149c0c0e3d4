"""`folder:PATH`: images in class folders, read with Pillow (the extra `images`).

    PATH/train/cat/1.png  PATH/test/cat/7.png      a train and a test folder, or
    PATH/cat/1.png        PATH/dog/2.png           class folders, of which a part is held out

What else lies there is not read, and counted in a warning.

How pixels are read: grey images (8 or 16 bit, or black and white) have one channel, all others
(RGB, palette, CMYK, ...) three; with both, in whatever part, grey is repeated in all. 16-bit grey
0..65535 becomes 0..255. What is transparent shows white. A rotation noted by the camera (EXIF) is
applied. Of an animation the first frame counts.
"""

import os
import re
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tinynet.console import watched
from tinynet.data.dataset import ArrayDataset, hold_out, warn_of_empty
from tinynet.data.files import open_file, reason, warn
from tinynet.data.npz import as_bytes, check_different
from tinynet.errors import DataError, integer, unknown_name
from tinynet.vision.transforms import images as vision_images

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp",
    ".pbm", ".pgm", ".ppm", ".pnm",
)  # fmt: skip
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")  # others are not tried
WIDEST = 10_000  # pixels, of what images can be resized to
FITS = ("crop", "pad", "stretch")  # how an image of another aspect ratio comes to a size
FREE_PIXELS = 1 << 20  # an image of that many may be as small a file as it likes
PIXELS_PER_BYTE = 8 * 1032  # one bit a pixel, and deflate's best: no PNG, JPEG or GIF has more
TRAIN = ("train", "training")
TEST = ("test", "testing", "eval", "evaluation", "val", "valid", "validation", "dev")  # by rank
OUTSIDE, LINKED, EMPTY = "image outside the class folders", "linked folder", "empty folder"
RUN = "folder of runs"
SEVERAL = {
    OUTSIDE: "images outside the class folders", LINKED: "linked folders", EMPTY: "empty folders",
    RUN: "folders of runs",
}  # fmt: skip
PARTS = (*TRAIN, *TEST, "tests", "holdout", "heldout", "unlabeled", "unlabelled")
SHORT = {"tr", "te", "trn", "tst", "ts"}  # parts where there are two folders, and both are such
JUNK = ("__macosx", "@eadir", "__pycache__", "$recycle.bin", "system volume information")
LAYOUT = "expected PATH/train/CLASS/*.png and PATH/test/CLASS/*.png, or PATH/CLASS/*.png"
GREY_MODES = ("1", "L", "LA", "La")  # and those that start with I: 16 or 32 bits


def load_folder(
    path: str | Path,
    split: str = "train",
    size: int | tuple[int, int] | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    fit: str = "crop",
) -> ArrayDataset:
    """The images of a folder as a dataset: uint8 (N, C, H, W), classes in sorted order.

    size: height and width, or one number for both, that every image is resized to (bilinear);
    without it all images must be equally large. fit: how, see `fitted`. test_fraction, seed: where
    PATH has no test folder, that part of each class is held out, chosen by the seed; always the
    same files. With 0 none is, and all images are in both.

    Warns of what is there and not read, of classes without an image, and of images at uneven depth.
    Raises DataError that names the folder or the image, ValueError for settings that cannot be,
    ImportError without Pillow.
    """
    if split not in ("train", "test"):
        raise unknown_name("split", split, ("train", "test"))
    folder = Path(path)
    _check_size(size, fit)
    if isinstance(test_fraction, (str, bool)) or not 0 <= test_fraction < 1:
        raise ValueError(f"{folder}: test_fraction={test_fraction!r}: expected 0 or more, below 1")
    integer(str(folder), "seed", seed)
    files, labels, classes, others = list_images(folder, split, test_fraction, seed)
    warn_of_empty(f"{folder} ({split})", labels, len(classes), classes)
    images = read_images(files, size, fit)
    if images.shape[1] == 1 and any(map(_is_colour, others)):
        images = np.repeat(images, 3, axis=1)  # as all parts are to have the same channels
    dataset = ArrayDataset(images, labels, classes=classes)
    dataset.files = tuple(map(str, files))
    if size is not None or fit != FITS[0]:
        dataset.fit = fit
    return dataset


def list_images(
    folder: Path, split: str, test_fraction: float, seed: int, known: Sequence[str] = ()
) -> tuple[list[Path], np.ndarray, tuple[str, ...], list[Path]]:
    """The files of a split, their labels (N,), the class names, and the files of the other.

    known: the classes of a model that is to be measured, which are the classes where the folder
    has some of them and no others.
    """
    if not folder.is_dir():
        what = "it is a file, not a folder" if folder.exists() else "there is no such folder"
        raise DataError(f"{folder}: {what}; {LAYOUT}")
    left: Counter[str] = Counter()
    inside = _folders(folder, left)
    parts = _parts(folder, inside)
    if parts is None:
        classes = _classes(folder, inside, known)
        files, labels = _files_of(folder, classes, left, all_needed=classes != known)
        halves = hold_out(labels, test_fraction, seed, folder)
        part, rest = halves if split == "train" or not test_fraction else halves[::-1]
        others = [files[i] for i in rest]
        files, labels = [files[i] for i in part], labels[part]
    else:
        train, test = parts
        other = test if split == "train" else train
        left.update(f"folder {path.name}" for path in inside if path not in parts)
        chosen = train if split == "train" else test
        others = [file for path in _folders(other, Counter()) for file in _images(path, Counter())]
        found = {path: _folders(path, left if path == chosen else Counter()) for path in parts}
        names = {path.name for path in found[chosen]}
        place = chosen if names and names <= {*known} else train
        classes = _classes(place, found[place], known)
        unknown = {path.name for path in found[test]} - set(classes)
        if unknown and split != "train":
            told = ", ".join(sorted(unknown))
            raise DataError(f"{test}: not in {train} are {told}: rename or remove them")
        files, labels = _files_of(chosen, classes, left, all_needed=split == "train")
    if left := +left:
        warn(f"{folder}: not read: {listed(left)}")
    return files, labels, classes, others


def read_images(
    files: Sequence[Path], size: int | tuple[int, int] | None = None, fit: str = "crop"
) -> np.ndarray:
    """Images of equal size as one array (N, C, H, W) uint8; C is 1 if all of them are grey.

    Raises DataError that names the first file that cannot be read or has another size.
    """
    if not files:
        raise DataError("no images to read")
    images = []
    for file in watched(files, "reading images"):
        images.append(read_image(file, size, fit))
        (h, w), (H, W) = images[-1].shape[1:], images[0].shape[1:]
        if (h, w) != (H, W):
            raise DataError(
                f"{file} is {w}x{h} pixels, but {files[0]} is {W}x{H} (width x height). Resize "
                f"all to one size: folder:PATH?size={H} (in commands also --size {H}), or "
                f"{H}x{W} for height x width."
            )
    C = max(map(len, images))
    x = np.empty((len(images), C, H, W), np.uint8)
    return np.stack([np.broadcast_to(image, x.shape[1:]) for image in images], out=x)  # grey in all


def read_image(
    file: str | Path, size: int | tuple[int, int] | None = None, fit: str = "crop"
) -> np.ndarray:
    """One image as uint8 (C, H, W), C 1 for grey and 3 for colour, resized to `size` if given."""
    _check_size(size, fit)

    def pixels(opened: Any) -> Any:
        image = grey_or_rgb(opened)
        if size is not None:
            height, width = size if isinstance(size, (tuple, list)) else (size, size)
            image = fitted(image, (height, width), fit)
        return vision_images.pixels_of(image)

    with open_file(file) as stream:
        return np.asarray(decoded(stream, file, pixels))


def fitted(image: Any, size: tuple[int, int], fit: str) -> Any:
    """A PIL image resized to (height, width), bilinearly.

    fit: "crop" cuts off on two sides what is too long, "pad" adds its mean colour on two sides, and
    both keep the aspect ratio; "stretch" does not.
    """
    from PIL import ImageOps

    pillow = vision_images.pillow()
    (height, width), bilinear = size, pillow.Resampling.BILINEAR
    if fit == "crop":
        return ImageOps.fit(image, (width, height), bilinear)
    if fit == "stretch":
        return image.resize((width, height), bilinear)
    mean = image.resize((1, 1), pillow.Resampling.BOX).getpixel((0, 0))
    return ImageOps.pad(image, (width, height), bilinear, color=mean)


def grey_or_rgb(image: Any) -> Any:
    """A PIL image turned upright as the camera noted it, in mode L or RGB."""
    from PIL import ImageOps

    image = ImageOps.exif_transpose(image)
    transparent = image.info.get("transparency")
    if image.mode == "F":
        raise ValueError("its pixels are floats, of which the range is unknown")
    if image.mode.startswith("I"):
        wide = np.asarray(image).astype(np.int32)
        if wide.min() < 0 or wide.max() > 65535:
            raise ValueError(f"its pixels are {wide.min()} to {wide.max()}, expected 0 to 65535")
        if isinstance(transparent, int):
            wide[wide == transparent] = 65535
        return vision_images.as_pil(as_bytes(wide)[None])
    grey = image.mode in GREY_MODES
    if image.mode[-1] in "Aa" or transparent is not None:
        image = image.convert("RGBA")
        pillow = vision_images.pillow()
        white = pillow.new("RGBA", image.size, (255, 255, 255, 255))
        image = pillow.alpha_composite(white, image)
    return image.convert("L" if grey else "RGB")


def decoded(stream: BinaryIO, source: str | Path, use: Callable[[Any], Any]) -> Any:
    """What `use` makes of the PIL image in an open file, read no further than it should be."""
    pillow = vision_images.pillow()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of what it then raises
            warnings.simplefilter("error", pillow.DecompressionBombWarning)
            with pillow.open(stream, formats=FORMATS) as opened:
                _check_length(opened, stream)
                return use(opened)
    except Exception as error:  # Pillow's decoders raise whatever they run into
        told = reason(error)
        if type(error).__name__ == "UnidentifiedImageError":  # which names the address of a stream
            told = f"it is none of {', '.join(FORMATS)}" if stream.seek(0, 2) else "it is empty"
        raise DataError(f"{source}: cannot be read as an image: {told}") from error


def _check_size(size: Any, fit: str) -> None:
    """Raise ValueError unless images can be resized to `size`, in the way `fit`."""
    if fit not in FITS:
        raise unknown_name("fit", fit, FITS)
    pair = size if isinstance(size, (tuple, list)) else (size, size)
    fits = [isinstance(n, (int, np.integer)) and n is not True and 1 <= n <= WIDEST for n in pair]
    if size is not None and fits != [True, True]:
        raise ValueError(
            f"size={size!r}: expected the height and width of an image, or one number for both, "
            f"from 1 to {WIDEST:,}"
        )


def _is_colour(file: Path) -> bool:
    """Whether an image has colours; of a file that cannot be read whoever reads it will know."""
    try:
        with open_file(file) as stream:
            mode = decoded(stream, file, lambda image: image.mode)
    except DataError:
        return False
    return mode not in GREY_MODES and not mode.startswith(("I", "F"))


def _check_length(image: Any, stream: BinaryIO) -> None:
    """Refuse a size that the bytes of the file cannot hold, before it is allocated."""
    place = stream.tell()
    length = stream.seek(0, os.SEEK_END)
    stream.seek(place)
    pixels = image.width * image.height
    if pixels > max(FREE_PIXELS, PIXELS_PER_BYTE * length):
        raise ValueError(
            f"its header says {image.width}x{image.height} pixels, more than the {length} bytes "
            f"of the file can hold"
        )


def _folders(folder: Path, left: Counter[str]) -> list[Path]:
    """The folders in a folder, sorted; what else is there is counted in `left`."""
    here = folder.resolve()
    folders: list[Path] = []
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if _is_junk(path.name) or not path.is_dir() or here.is_relative_to(path.resolve()):
            left[kind_of(path)] += 1
        elif any(next(path.glob(f"{inside}last.safetensors"), None) for inside in ("", "*/")):
            left[RUN] += 1  # that were saved beside the classes
        else:
            folders.append(path)
    if len({path.resolve() for path in folders}) < len(folders):
        raise DataError(f"{folder}: two of its folders are links to the same images")
    return folders


def _parts(folder: Path, inside: Sequence[Path]) -> tuple[Path, Path] | None:
    """The train and the test folder among the folders in a folder, or None if they are classes."""
    words = [re.sub(r"[ _-]*(set|data|images|split)$", "", path.name.casefold()) for path in inside]
    train = [path for path, word in zip(inside, words) if word in TRAIN]
    test = [path for name in TEST for path, word in zip(inside, words) if word == name]
    if len(train) == 1 and test:
        return train[0], test[0]
    _refuse_parts(folder, [path.name for path in inside])
    return None


def _refuse_parts(folder: Path, names: Sequence[str]) -> None:
    """Raise DataError for folders with the names of parts where those of classes are expected.

    Such are `test`, `val2` or `my train set` alone, `cats_train` beside `cats_test`.
    """
    words = {name: _words(name) for name in names}
    parts = [name for name in names if words[name] and words[name] <= {*PARTS}]
    mixed = [{word in TRAIN for word in words[name] & {*PARTS}} for name in names]
    if {True} in mixed and {False} in mixed:
        parts = [name for name, kinds in zip(names, mixed) if kinds]
    if len(names) == 2 and all(words[name] and words[name] <= SHORT for name in names):
        parts = list(names)
    if parts:
        cure, alone = "Rename them", folder / parts[0]
        if len(names) == 1 and alone.is_dir() and any(map(Path.is_dir, alone.iterdir())):
            cure = f"Take the classes in it, folder:{alone}, or rename it"
        raise DataError(
            f"{folder}: {' and '.join(parts)} must be parts of the data and no classes, but there "
            f"is not one train folder ({', '.join(TRAIN)}) with a test folder ({', '.join(TEST)}). "
            f"{cure}; a class such as {parts[0]!r} can be {parts[0] + '-class'!r}. {LAYOUT}"
        )


def _words(name: str) -> set[str]:
    """The words in a name that may say which part of the data a folder is."""
    found = re.findall(r"[^\W\d_]+", name.casefold())
    words = {re.sub(r"(set|data|images|split)$", "", word) for word in found}
    return words - {"", "my", "the", "new", "old", "all", "raw", "final"}


def _classes(folder: Path, inside: Sequence[Path], known: Sequence[str] = ()) -> tuple[str, ...]:
    names = tuple(path.name for path in inside)
    if names and {*names} <= {*known}:
        return tuple(known)
    if len(names) < 2:
        found = f"one class folder, {names[0]!r}" if names else "no class folders"
        raise DataError(f"{folder}: has {found}, but two or more are needed; {LAYOUT}")
    check_different(names, folder)
    return names


def _files_of(
    folder: Path, classes: Sequence[str], left: Counter[str], all_needed: bool = True
) -> tuple[list[Path], np.ndarray]:
    """The images of every class, sorted by class and name, and their labels."""
    files: list[Path] = []
    labels: list[int] = []
    depths: dict[int, str] = {}
    for label, name in enumerate(classes):
        images = sorted(_images(folder / name, left)) if (folder / name).is_dir() else []
        if not images and all_needed:
            raise DataError(no_images(folder / name, left))
        if images:
            depths.setdefault(min(len(path.relative_to(folder).parts) for path in images), name)
        files += images
        labels += [label] * len(images)
    if not files:
        raise DataError(no_images(folder, left))
    if len(depths) > 1 and all_needed:
        where = [f"{'*/' * (n - 2)}*.png in {name}" for n, name in sorted(depths.items())]
        warn(f"{folder}: the images lie at uneven depth: {', '.join(where)}; is each a class?")
    return files, np.array(labels, np.int64)


def _images(folder: Path, left: Counter[str]) -> list[Path]:
    """The images in a folder and in the folders in it; what is no image is counted in `left`."""
    images: list[Path] = []
    inside = sorted(folder.iterdir())
    _refuse_parts(folder, [path.name for path in inside if path.is_dir()])
    for path in inside:
        if _is_junk(path.name) or (path.is_dir() and path.is_symlink()):  # it may lead back
            left[kind_of(path)] += 1
        elif path.is_dir():
            found = _images(path, left)
            left[EMPTY] += not found
            images += found
        elif path.suffix.lower() in SUFFIXES:
            images.append(path)
        else:
            left[kind_of(path)] += 1
    return images


def _is_junk(name: str) -> bool:
    """Whether a file or folder is hidden, or one that systems make by themselves."""
    return name.startswith(".") or name.casefold() in JUNK


def kind_of(path: Path) -> str:
    """What is counted together of the things that are not read."""
    suffix = path.suffix.lower()
    if path.name.startswith("._"):
        return "._*"  # what macOS puts beside files
    if _is_junk(path.name):
        return path.name
    if path.is_dir():
        return LINKED
    if suffix in SUFFIXES:
        return OUTSIDE
    return f"*{suffix}" if suffix else path.name


def listed(left: Counter[str]) -> str:
    """What was counted, the most first."""
    ranked = sorted(left.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{n} {SEVERAL.get(kind, kind) if n > 1 else kind}" for kind, n in ranked[:8]]
    if more := sum(count for _, count in ranked[8:]):
        parts.append(f"{more} more")
    return ", ".join(parts)


def no_images(folder: Path, left: Counter[str]) -> str:
    """What to say of a folder without an image."""
    there = f"; not read: {listed(left)}" if (left := +left) else ""
    return f"{folder}: has no images ({' '.join(SUFFIXES)}){there}"
