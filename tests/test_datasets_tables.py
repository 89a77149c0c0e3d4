"""`csv:FILE` and `idx:FOLDER`: images as rows of numbers, and files in MNIST's format."""

from __future__ import annotations

import re

import numpy as np
import pytest
from small_sets import gz, idx

from tinynet import DataError, data, nn
from tinynet.cli import main
from tinynet.data.dataset import warn_of_twins
from tinynet.training import fit

X = np.random.default_rng(0).integers(0, 256, (20, 3, 3), np.uint8)
Y = (np.arange(20) % 4).astype(np.uint8)
NAMES = ",".join(f"pixel{i}" for i in range(9))


def rows(label_last: bool = False) -> str:
    pixels, labels = X.reshape(20, 9), Y[:, None]
    table = np.hstack([pixels, labels] if label_last else [labels, pixels])
    return "\n".join(",".join(map(str, row)) for row in table.tolist())


@pytest.mark.parametrize(
    "text",
    [
        f"label,{NAMES}\n{rows()}\n",
        rows(),
        f'\ufeff"label",{NAMES}\r\n' + rows().replace("\n", "\r\n"),
        f"{NAMES},Label\n{rows(True)}",
        "label,pixel8,pixel7,pixel6,pixel5,pixel4,pixel3,pixel2,pixel1,pixel0\n"
        + "\n".join(",".join([r.split(",")[0], *r.split(",")[:0:-1]]) for r in rows().split("\n")),
        f"label,{NAMES}\n{rows()}\n".replace(",", ";"),
        f"label,{NAMES}\n" + '"{}"'.format(rows().replace(",", '","').replace("\n", '"\n"')),
    ],
    ids=[
        "Kaggle's",
        "no names",
        "as Windows saves it",
        "label last",
        "in another order",
        "semicolons",
        "quotes",
    ],
)
@pytest.mark.parametrize("packed", [bytes, gz])
def test_a_table_is_read_and_a_fifth_of_it_held_out(tmp_path, text, packed):
    (tmp_path / "a.csv").write_bytes(packed(text.encode()))
    train, test = (data.load(f"csv:{tmp_path}/a.csv", split) for split in ("train", "test"))
    assert (len(train), len(test)) == (16, 4)
    assert sorted(test.labels.tolist()) == [0, 1, 2, 3]
    found = {bytes(x.tobytes()): y for d in (train, test) for x, y in zip(d.images, d.labels)}
    assert found == {x.tobytes(): y for x, y in zip(X, Y)}
    assert train.images.shape == (16, 1, 3, 3)
    assert train.images.dtype == np.uint8


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "\n".join(f"{3 * k},0,0,0,{k % 2}" for k in range(20)),
            "no line with names, so the first column is the label, .* 20 different ones in 20",
        ),
        ("label,a\n1,cat\n", "expected integers, separated by commas, .*cat.* in line 2, column 2"),
        ("class,a\n1,2\n", "no column called label, but class, a"),
        ("digit,0,1,2,3\n7,1,2,3,4\n", "no column called label, but digit, 0, 1"),
        ("digit,0,1,2,3\n7.5,1,2,3,4\n", "no column called label, but digit, 0, 1"),
        ("digit,0,1,2,3\n", "there is no line with numbers in it"),
        ("a,kind\n3,cat\n", "the label is in the first column, or that called so; of another"),
        ("1,2,3\n1,2,3\n", "2 pixels in a row are no square image; of another table save arrays"),
        ("1,300\n", "line 1: a pixel of 300, expected 0 to 255"),
        ("-1,30\n", "label -1 of line 1, expected an integer, 0 or more$"),
        ("1.5,30\n", "label 1.5 of line 1, expected an integer"),
        (
            "1,30\n1,30,4\n",
            "separated by commas, as many in each line: .* in line 2; of another table save arrays",
        ),
        ("label\ta\n1\t2\n", r"separated by commas.*first line is 'label\\ta'"),
        ("label,a\n\n1,3\n\n1,-3\n", "line 5: a pixel of -3, expected 0 to 255"),
        ("label,a\n\n1,3\n-1,3\n", "label -1 of line 4"),
        ("label,a\n1,b;c\n", "could not convert string 'b;c' to int16 in line 2"),
        ("label,a\n", "there is no line with numbers in it"),
        ("", "there is no line with numbers in it"),
    ],
)
def test_what_is_wrong_with_a_table_is_told(tmp_path, text, told):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match=told):
        data.load(f"csv:{tmp_path}/a.csv")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_table_in_other_letters_is_refused(tmp_path, encoding):
    (tmp_path / "a.csv").write_text("label,a\nKäse,1\nKöse,2\n", encoding=encoding)
    with pytest.raises(DataError, match=r"byte \d+ is no UTF-8: save the table as UTF-8"):
        data.load(f"csv:{tmp_path}/a.csv")


@pytest.mark.parametrize("head", ["", f"label,{NAMES}\n"])
def test_labels_of_a_table_that_are_text_name_the_classes(tmp_path, head):
    names = np.array(["d", "Über", "a b", "c"])
    text = "\n".join(f"{names[int(r[0])]}{r[1:]}" for r in rows().split("\n"))
    (tmp_path / "a.csv").write_text(head + text, encoding="utf-8")
    test = data.load(f"csv:{tmp_path}/a.csv", "test")
    assert test.classes == ("a b", "c", "d", "Über")
    found = {x.tobytes(): test.classes[y] for x, y in zip(test.images, test.labels)}
    assert found.items() <= {x.tobytes(): names[y] for x, y in zip(X, Y)}.items()


@pytest.mark.parametrize(
    ("names", "turned"),
    [
        (("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-{}-idx{}-ubyte"), False),
        (
            (
                "emnist-letters-train-images-idx3-ubyte.gz",
                "emnist-letters-train-labels-idx1-ubyte.gz",
                "emnist-letters-test-{}-idx{}-ubyte.gz",
            ),
            True,
        ),
        (("train-images", "train-labels", "test-{}"), False),
    ],
    ids=["MNIST", "EMNIST", "plain"],
)
def test_files_in_mnists_format_are_found_by_their_names(tmp_path, names, turned):
    images, labels, test = names
    for name, array in (
        (images, X),
        (labels, Y),
        (test.format("images", 3), X[:4]),
        (test.format("labels", 1), Y[:4]),
    ):
        content = idx(array)
        (tmp_path / name).write_bytes(gz(content) if name.endswith(".gz") else content)
    expected = X.transpose(0, 2, 1) if turned else X
    train, held = (data.load(f"idx:{tmp_path}", split) for split in ("train", "test"))
    np.testing.assert_array_equal(train.images[:, 0], expected)
    np.testing.assert_array_equal(held.images[:, 0], expected[:4])
    assert train.labels.tolist() == Y.tolist()
    np.testing.assert_array_equal(data.read_idx(tmp_path / images), X)
    with pytest.raises(DataError, match=r"folder with one file \*train\*images\*, there is none"):
        data.load(f"idx:{tmp_path / 'nowhere'}")


@pytest.mark.parametrize("content", [b"", b"\0\0\x08", idx(X)[:-1], idx(X) + b"x", gz(idx(X))[:-9]])
def test_a_damaged_file_is_told(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DataError, match="a: "):
        data.read_idx(tmp_path / "a")


def test_a_path_that_is_there_is_answered_with_what_to_say(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "a.npz").write_bytes(b"")
    for name, told in (("photos", "say folder:photos"), ("a.npz", "say npz:a.npz")):
        assert main(["train", "--data", name]) == 2
        assert told in capsys.readouterr().err
        with pytest.raises(ValueError, match=re.escape(told)):
            data.load(name)


def test_the_size_of_images_in_a_folder_is_an_option_too(tmp_path, monkeypatch, capsys):
    image = pytest.importorskip("PIL.Image")
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(5):
            grey = np.full((9, 12), 20 * i + 10 * (name == "a"), np.uint8)
            image.fromarray(grey).save(f"photos/{name}/{i}.png")
    options = ["--data", "folder:photos", "--size", "8", "--fit", "pad", "--epochs", "1"]
    assert main(["train", *options, "--out", "run"]) == 0
    assert "of 1x8x8" in capsys.readouterr().out
    assert main(["predict", "run", "photos/a/1.png"]) == 0
    assert "images: resized to 8x8, padded" in capsys.readouterr().out
    assert main(["verify", "run"]) == 0
    assert main(["train", "--size", "8"]) == 2
    assert "--size and --fit are for images in folders" in capsys.readouterr().err


def test_a_row_without_a_label_is_no_class(tmp_path):
    (tmp_path / "a.csv").write_text("label,a,b,c,d\nx,1,2,3,4\n,1,2,3,4\ny,4,3,2,1\n")
    with pytest.raises(DataError, match="the label of line 3 is missing, ''"):
        data.load(f"csv:{tmp_path}/a.csv", held_out=0)
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 2)), y=["a", "", "b", "b"])
    with pytest.raises(DataError, match="the label of example 1 is missing, ''"):
        data.load(f"npz:{tmp_path}/a.npz", held_out=0)


def test_images_that_are_there_twice_are_said():
    x = np.random.default_rng(0).integers(0, 255, (40, 1, 4, 4), np.uint8)
    one = data.ArrayDataset(x, np.arange(40) % 2)
    warn_of_twins("a", one, data.ArrayDataset(x[::-1] // 2, one.labels))
    with pytest.warns(UserWarning, match="b: 20 of 20 test images are training images too"):
        warn_of_twins("b", one, data.ArrayDataset(x[:20], one.labels[:20]))
    with pytest.warns(UserWarning, match="c: 3 images are there with more than one label"):
        warn_of_twins(
            "c",
            data.ArrayDataset(x[[1, 2, 3] * 2], [0, 0, 0, 1, 1, 1]),
            data.ArrayDataset(x[9:], one.labels[9:]),
        )
    with pytest.warns(UserWarning, match="validation is on training data, 20 of its examples"):
        fit(
            nn.Sequential(nn.Flatten(), nn.Linear(16, 2)),
            one,
            1,
            validate=one.__class__(x[20:], one.labels[20:]),
            progress=False,
        )
