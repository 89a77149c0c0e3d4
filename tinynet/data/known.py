"""The data sets that tinynet knows by name: a table of facts, files and checksums.

The checksums are SHA-256 of the decompressed content, so they hold for every mirror, whatever
compressed it. One file, KMNIST's training images, is known by its published gzip file only.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from tinynet.data.files import RemoteFile, data_root, find

DIGITS = tuple("0123456789")
FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
    "Ankle boot",
)  # fmt: skip
CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
CIFAR100_CLASSES = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle",
    "bottle", "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle",
    "caterpillar", "cattle", "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch",
    "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest", "fox",
    "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion",
    "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom",
    "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree",
    "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road",
    "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake",
    "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank",
    "telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle",
    "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
)  # fmt: skip


@dataclass(frozen=True)
class KnownSet:
    """What is known of a data set before it is loaded.

    shape: of one image, (C, H, W). train, test: how many images. folder: its place under the
    root. files: what must lie there, in the order that its reader takes them. archive: the one
    file that holds them all, where they are published so. mirrors: addresses, tried in order.
    """

    name: str
    title: str
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    train: int
    test: int
    licence: str
    source: str
    folder: str = ""
    files: tuple[RemoteFile, ...] = ()
    archive: RemoteFile | None = None
    mirrors: tuple[str, ...] = ()

    def missing(self, root: str | os.PathLike[str] | None = None) -> list[RemoteFile]:
        """The files that are to be downloaded, because they are not under the root yet."""
        folder = data_root(root) / self.folder
        if self.archive is None:
            return [file for file in self.files if find(folder, file.name) is None]
        there = self.unpacked(folder) or find(folder, self.archive.name)
        return [] if there else [self.archive]

    def unpacked(self, folder: Path) -> Path | None:
        """Where all the files of the archive lie, if somebody unpacked it in `folder`."""
        places = (folder / "cifar-10-batches-bin", folder / "cifar-100-binary", folder)
        return next((p for p in places if all(find(p, f.name) for f in self.files)), None)


def _mnist_like(
    train_x: str | None, train_y: str, test_x: str, test_y: str, train_x_download: str | None = None
) -> tuple[RemoteFile, ...]:
    """The four files of MNIST and its relatives, which differ in their content alone."""
    return (
        RemoteFile("train-images-idx3-ubyte.gz", 16 + 60_000 * 28 * 28, train_x, train_x_download),
        RemoteFile("train-labels-idx1-ubyte.gz", 8 + 60_000, train_y),
        RemoteFile("t10k-images-idx3-ubyte.gz", 16 + 10_000 * 28 * 28, test_x),
        RemoteFile("t10k-labels-idx1-ubyte.gz", 8 + 10_000, test_y),
    )


MNIST_FILES = _mnist_like(
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
)
FASHION_FILES = _mnist_like(
    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
)
KMNIST_FILES = _mnist_like(
    None,
    "2a16eeae62da984b8bd24fa32e31d47291f01dac3fe84d5594f304f71e7d374b",
    "76fbd229ce87db80dd281af5e6670de4ad0e42fb30a7bd643972994c47c1f42e",
    "a11dc742be8e781a40a92f53d6a4957e7b7d36df2faa097659131ebfd8fd60c6",
    train_x_download="51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
)
CIFAR10_FILES = tuple(
    RemoteFile(name, 10_000 * 3073, sha256)
    for name, sha256 in (
        ("data_batch_1.bin", "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
        ("data_batch_2.bin", "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
        ("data_batch_3.bin", "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
        ("data_batch_4.bin", "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
        ("data_batch_5.bin", "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
        ("test_batch.bin", "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
    )
)
CIFAR10_ARCHIVE = RemoteFile(
    "cifar-10-binary.tar.gz",
    170_052_171,
    download_sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
)

CIFAR100_FILES = tuple(
    RemoteFile(name, count * 3074, sha256)
    for name, count, sha256 in (
        ("train.bin", 50_000, "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29"),
        ("test.bin", 10_000, "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a"),
    )
)
CIFAR100_ARCHIVE = RemoteFile(
    "cifar-100-binary.tar.gz",
    168_513_733,
    download_sha256="58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
)

# fmt: off
UCI_DIGITS = KnownSet(
    name="digits", title="UCI handwritten digits, a shuffled stratified split",
    shape=(1, 8, 8), classes=DIGITS, train=1437, test=360,
    licence="CC BY 4.0", source="https://doi.org/10.24432/C50P49",
)
MNIST = KnownSet(
    name="mnist", title="MNIST, handwritten digits",
    shape=(1, 28, 28), classes=DIGITS, train=60_000, test=10_000,
    licence="CC BY-SA 3.0", source="http://yann.lecun.com/exdb/mnist/",
    folder="mnist", files=MNIST_FILES,
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
)
CIFAR10 = KnownSet(
    name="cifar10", title="CIFAR-10, small photographs",
    shape=(3, 32, 32), classes=CIFAR10_CLASSES, train=50_000, test=10_000,
    licence="none stated; cite Krizhevsky, Learning Multiple Layers of Features from "
    "Tiny Images, 2009", source="https://www.cs.toronto.edu/~kriz/cifar.html",
    folder="cifar10", files=CIFAR10_FILES, archive=CIFAR10_ARCHIVE,
    mirrors=(
        "https://www.cs.toronto.edu/~kriz/",
        "https://cave.cs.toronto.edu/kriz/",
        "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/",
    ),
)
LAST_360 = replace(
    UCI_DIGITS, name="digits-last360",
    title="UCI handwritten digits, the last 360 (other writers) held out",
)
FASHION_MNIST = replace(
    MNIST, name="fashion-mnist", title="Fashion-MNIST, articles of clothing",
    classes=FASHION_CLASSES,
    licence="MIT", source="https://github.com/zalandoresearch/fashion-mnist",
    folder="fashion-mnist", files=FASHION_FILES,
    mirrors=(
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
)
KMNIST = replace(
    MNIST, name="kmnist", title="Kuzushiji-MNIST, cursive Japanese characters",
    classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    licence="CC BY-SA 4.0", source="https://codh.rois.ac.jp/kmnist/",
    folder="kmnist", files=KMNIST_FILES,
    mirrors=(
        "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/KMNIST/",
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
    ),
)
CIFAR100 = replace(
    CIFAR10, name="cifar100", title="CIFAR-100, small photographs in 100 classes",
    classes=CIFAR100_CLASSES, folder="cifar100", files=CIFAR100_FILES, archive=CIFAR100_ARCHIVE,
    mirrors=("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/"),
)
# fmt: on
KNOWN = {
    known.name: known
    for known in (UCI_DIGITS, LAST_360, MNIST, FASHION_MNIST, KMNIST, CIFAR10, CIFAR100)
}
