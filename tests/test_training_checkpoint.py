"""Checkpoints: what is saved comes back, and nothing else is taken for one."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

import tinynet
from tinynet import models, nn, optim
from tinynet.cli import main
from tinynet.errors import CheckpointError
from tinynet.nn.parameter import at_most
from tinynet.training import checkpoint, weights_sha256
from tinynet.training.files import atomic_write, write_json


def make_model(seed: int = 0) -> nn.Sequential:
    tinynet.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 3))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "model.safetensors"
    checkpoint.save(make_model(), target, classes=["a", "b", "ç"], mean=[0.5], std=[2.0])
    return target


def test_a_model_comes_back_to_the_bit(path):
    original, other = make_model(), make_model(1)
    loaded = tinynet.load(path, other)
    assert loaded.network is other
    for name, value in original.state_dict().items():
        assert np.array_equal(loaded.state_dict()[name], value), name


def test_a_known_model_is_built_from_its_name(tmp_path):
    tinynet.manual_seed(0)
    arguments = {"num_classes": 7, "in_channels": 2, "image_size": (8, 12)}
    model = models.build("digits_cnn", **arguments)
    target = tmp_path / "known.safetensors"
    checkpoint.save(model, target, name="digits_cnn", arguments=arguments)
    loaded = tinynet.load(target)
    assert type(loaded.network) is type(model)
    for name, value in model.state_dict().items():
        assert np.array_equal(loaded.state_dict()[name], value), name


def test_what_is_known_of_the_data_comes_back(path):
    stored = checkpoint.read(path)
    assert stored.classes == ("a", "b", "ç")
    assert (stored.mean, stored.std) == ((0.5,), (2.0,))
    assert stored.versions is not None
    assert stored.versions["tinynet"] == tinynet.__version__
    image = np.full((1, 1, 2, 2), 255, np.uint8)
    assert np.allclose(stored.preprocessing()(image), 0.25)


def test_equal_models_give_equal_files(tmp_path):
    for name in ("one.safetensors", "two.safetensors"):
        checkpoint.save(make_model(), tmp_path / name)
    assert (tmp_path / "one.safetensors").read_bytes() == (
        tmp_path / "two.safetensors"
    ).read_bytes()


HUGE = (5_000_000, 10**9, 10**12, 2**63, 10**400)
ODD = (-1, 0, True, None, 1.5, "x", [], [1, 2], [[1], 2], [10**6, 10**6], {"a": 1}, "\x1b[2J")
SIZES = ("num_classes", "in_channels", "image_size")


@pytest.mark.parametrize("name", models.names())
def test_a_file_that_asks_for_a_larger_model_gets_none(tmp_path, monkeypatch, name):
    """What the arguments ask for is refused before an array of that size is filled."""
    path, small = tmp_path / "x.safetensors", nn.Linear(2, 1)
    filled = []
    for kind in ("uniform_", "normal_", "constant_"):
        fill = getattr(nn.init, kind)

        def noted(tensor, *args, fill=fill, **kwargs):
            filled.append(tensor.array.size)
            return fill(tensor, *args, **kwargs)

        monkeypatch.setattr(nn.init, kind, noted)
    for argument, value in itertools.product((*SIZES, "rng", "dropout", "zebra"), (*HUGE, *ODD)):
        checkpoint.save(small, path, name=name, arguments={argument: value})
        del filled[:]
        with pytest.raises(CheckpointError):
            tinynet.load(path)
        assert max(filled, default=0) <= checkpoint.SLACK + 3


@pytest.mark.parametrize("depth", [100, 300])
def test_arguments_nested_without_end_are_refused(path, tmp_path, depth):
    nested: list = []
    for _ in range(depth):
        nested = [nested]
    checkpoint.save(
        make_model(), tmp_path / "x.safetensors", name="lenet5", arguments={"rng": nested}
    )
    with pytest.raises(CheckpointError, match="cannot build the model"):
        tinynet.load(tmp_path / "x.safetensors")


def test_a_model_that_is_a_little_larger_is_told_what_misfits(tmp_path):
    checkpoint.save(
        models.build("lenet5"),
        tmp_path / "x.safetensors",
        name="lenet5",
        arguments={"num_classes": 11},
    )
    with pytest.raises(CheckpointError, match=r"output\.weight: the model has shape \(11, 84\)"):
        tinynet.load(tmp_path / "x.safetensors")


def test_no_more_parameters_are_made_than_are_allowed():
    with at_most(10):
        nn.Linear(2, 3)  # 9
        with pytest.raises(CheckpointError, match=r"a parameter of shape \(1, 2\) is larger"):
            nn.Linear(2, 1)
    nn.Linear(20, 20)


@pytest.mark.parametrize("shape", [[1, 10**5, 10**5], [3, -1, 8], [0, 8, 8], [10**300]])
def test_an_image_shape_that_no_image_has_is_not_saved(tmp_path, shape):
    with pytest.raises(ValueError, match="no image has the shape"):
        checkpoint.save(make_model(), tmp_path / "x.safetensors", input_shape=shape)


def test_of_a_model_of_ones_own_the_state_dict_comes_back(path):
    state = tinynet.load(path)
    assert list(state) == list(make_model().state_dict())
    assert all(type(tensor) is tinynet.Tensor for tensor in state.values())
    model = make_model(1)
    model.load_state_dict(state)
    assert weights_sha256(model.state_dict()) == checkpoint.read(path).sha256()
    with pytest.raises(CheckpointError, match=r"tinynet\.load\(path, model\)"):
        checkpoint.read(path).build()


def test_a_model_that_does_not_fit_stays_untouched(path):
    other = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4))
    before = other.state_dict()
    with pytest.raises(CheckpointError, match=r"does not fit .2.: 0\.weight"):
        tinynet.load(path, other)
    assert all(np.array_equal(before[name], value) for name, value in other.state_dict().items())


def test_what_fits_is_loaded_and_the_rest_returned(path):
    other = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Linear(4, 4))
    rest = tinynet.load(path, other, strict=False)
    assert rest.missing_keys == []
    assert "3.weight" in rest.unexpected_keys
    assert rest.mismatched == [
        "1.weight: the model has shape (4, 4), the state (4,)",
    ]
    assert np.array_equal(other[0].weight.array, make_model()[0].weight.array)
    with pytest.raises(ValueError, match="strict=False is for a model of yours"):
        tinynet.load(path, strict=False)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (
            lambda: tinynet.save("x.pt", make_model()),
            r"path comes second: tinynet\.save\(model, path",
        ),
        (lambda: tinynet.save("x.pt", {"a": 1}), r"path comes second: tinynet\.save\(model, path"),
        (lambda: tinynet.save(make_model(), None), "give a path; got NoneType"),
        (lambda: tinynet.save({"a": 1}, "x.pt", name="lenet5"), "are for a model, not"),
        (lambda: tinynet.save(make_model(), "x.pt", fit=3), "fit: 3 is no str"),
        (lambda: tinynet.save(object(), "x.pt"), "cannot hold a object; it holds tensors, arrays"),
        (
            lambda: tinynet.save({"net": make_model()}, "x.pt"),
            r"net: .*; save its \.state_dict\(\)",
        ),
        (lambda: tinynet.save({"a": [{1, 2}]}, "x.pt"), "a/0: a checkpoint cannot hold a set"),
        (lambda: tinynet.save({"a": np.array(["b"])}, "x.pt"), "a: .* an array of <U1; convert it"),
        (lambda: tinynet.load(make_model(), "x.pt"), r"path comes first: tinynet\.load\(path"),
        (lambda: tinynet.load("x.pt", "lenet5"), "must be a Module, got 'lenet5'"),
    ],
)
def test_what_cannot_be_saved_or_loaded_is_told(tmp_path, monkeypatch, call, told):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TypeError, match=told):
        call()
    assert list(tmp_path.iterdir()) == []


def test_a_list_that_holds_itself_is_not_saved(tmp_path):
    endless: list = [1]
    endless.append({"again": endless})
    with pytest.raises(ValueError, match=r"1/again/1/again.*nested too deeply, or in itself"):
        tinynet.save(endless, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


OBJECTS = {
    "tensor": tinynet.tensor([[1.0, 2.0]]),
    "array": np.arange(3, dtype=np.int16),
    "scalar": np.array(True),
    "half": np.array([0.5], np.float16),
    "empty": np.zeros((0, 3)),
    "number": 3,
    "large": 10**30,
    "text": "\u00e7\n\x00",
    "nothing": None,
    "odd floats": [float("inf"), -0.0, 1e-320],
    "nested": {"net": {"a.b": tinynet.ones(2)}, "epoch": 3, "best": (0.5, True), "none": []},
    "keys": {1: "a", "1": "b", None: {}, (2, "x"): [()], 2.5: {}},
    "names that look alike": {
        "a/b": np.zeros(1),
        "a": {"b": np.ones(1)},
        "__metadata__": np.ones(1),
    },
    "names of ours": {"$array": "x", "b": {"$float": "nan"}},
}


@pytest.mark.parametrize("kind", OBJECTS)
def test_what_is_saved_comes_back(tmp_path, kind):
    tinynet.save(OBJECTS[kind], tmp_path / "any.pt")
    again = tinynet.load(tmp_path / "any.pt", map_location="cpu", weights_only=True)
    assert repr(again) == repr(OBJECTS[kind])  # as text, where a tuple is no list


def test_a_training_of_ones_own_goes_on_from_what_it_saved(tmp_path):
    model = make_model()
    optimizer = optim.Adam(model.parameters())
    model(tinynet.ones(2, 1, 8, 8)).sum().backward()
    optimizer.step()
    state = {"net": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 1}
    tinynet.save(state, tmp_path / "mine.pt")
    loaded = tinynet.load(tmp_path / "mine.pt")
    assert repr(loaded) == repr({**state, "net": dict(state["net"])})
    optim.Adam(make_model(1).parameters()).load_state_dict(loaded["optimizer"])
    with pytest.raises(CheckpointError, match=r"one level down: pass state\['net'\]"):
        tinynet.load(tmp_path / "mine.pt", make_model(1))


def test_the_sha256_of_the_weights_tells_one_bit(path):
    stored = checkpoint.read(path)
    assert stored.sha256() == weights_sha256(make_model().state_dict())
    stored.weights["3.bias"].view(np.uint8)[0] ^= 1
    assert stored.sha256() != weights_sha256(make_model().state_dict())


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    return stream.getvalue()


def npy_file() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.ones(3))
    return stream.getvalue()


SAVE = r"safetensors\.torch\.save_file\(model\.state_dict\(\), '.*torch\.load\('.*w'"
FOREIGN = {
    "torch": (zipped("w/data.pkl", "w/version", "w/data/0"), f"torch.save, a pickle.*{SAVE}"),
    "pickle": (pickle.dumps({"weight": 1}, 2), f"a pickle, as torch.save.*{SAVE}"),
    "pickle 5": (pickle.dumps({"weight": 1}, 5), f"a pickle, as torch.save.*{SAVE}"),
    "keras": (zipped("config.json", "model.weights.h5"), "of Keras; .*load_state_dict"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5, as Keras.*h5py.*load_state_dict"),
    "onnx": (
        b"\x08\x07\x12\x07pytorch" + bytes(99),
        r"ONNX.*tinynet\.onnx\.load\('.*w'.*load_state_dict",
    ),
    "gguf": (b"GGUF" + bytes(99), "GGUF"),
    "npy": (npy_file(), "one array.*np.load.*load_state_dict"),
    "gzip": (gzip.compress(b"model"), "packed with gzip; unpack it first"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(99), "an image; tinynet.load.RUN..predict"),
    "jpeg": (b"\xff\xd8\xff\xe0" + bytes(99), "it is an image"),
    "empty": (b"", "it is empty"),
    "lfs": (
        b"version https://git-lfs.github.com/spec/v1\noid",
        "begins with 'version https://git-l",
    ),
    "html": (b"<!DOCTYPE html>\r\n<html>", "text that begins with '<!DOCTYPE html> <html>'"),
}


@pytest.mark.parametrize("suffix", ["", ".npz", ".safetensors"])
@pytest.mark.parametrize("kind", FOREIGN)
def test_files_of_other_programs_are_known_and_told_the_way(tmp_path, kind, suffix):
    content, words = FOREIGN[kind]
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=words.replace("w'", f"w{suffix}'")) as caught:
        tinynet.load(path, make_model())
    assert "damaged" not in str(caught.value)


def test_a_checkpoint_may_have_any_name(path):
    renamed = path.rename(path.with_name("model.bin"))
    assert checkpoint.read(renamed).sha256() == weights_sha256(make_model().state_dict())


@pytest.mark.parametrize("command", ["evaluate", "predict", "export"])
@pytest.mark.parametrize("name", ["w.pt", "w.onnx", "w.h5", "W.PTH"])
def test_commands_tell_what_a_foreign_file_is(tmp_path, monkeypatch, capsys, command, name):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(pickle.dumps({"weight": 1}, 2))
    more = {"predict": ["a.png"], "export": ["new.safetensors"]}.get(command, [])
    assert main([command, name, *more]) == 1
    assert f"{name}: no checkpoint: it is a pickle" in capsys.readouterr().err


def test_other_files_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        checkpoint.read(tmp_path / "missing.safetensors")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(CheckpointError, match="no checkpoint"):
        checkpoint.read(tmp_path / "text")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_weights_in_a_file_of_numpy_are_read_wherever_weights_are_taken(tmp_path, save):
    state = {name: tensor.array for name, tensor in make_model().state_dict().items()}
    path = tmp_path / "w.npz"
    save(path, **state)
    for found in (tinynet.load(path), tinynet.load(path, make_model()).state_dict()):
        assert weights_sha256(found) == weights_sha256(state)
    assert tinynet.load(path, make_model(), strict=False).missing_keys == []
    assert f"of {len(state)} arrays" in checkpoint.load_fitting(make_model(), checkpoint.read(path))
    save(path, **{name: array.astype(np.float16) for name, array in state.items()})
    assert tinynet.load(path)["0.weight"].dtype == np.float32


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": np.array(["a"])}, "x is <U1, and weights are"),
        ({"x": np.array([{}])}, "can run code"),
    ],
)
def test_a_file_of_numpy_without_weights_is_refused(tmp_path, arrays, words):
    np.savez(tmp_path / "w.npz", **arrays)
    with pytest.raises(CheckpointError, match=words):
        tinynet.load(tmp_path / "w.npz")
    (tmp_path / "w.npz").write_bytes((tmp_path / "w.npz").read_bytes()[:-9])
    with pytest.raises(CheckpointError, match=r"w\.npz"):
        tinynet.load(tmp_path / "w.npz")


def test_what_is_no_file_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name, told in (
        ("pipe", "it is a pipe, a device or a socket, not a file"),
        ("folder", "it is a folder without a run; give that of a run, or a file"),
        ("none", "there is no such file"),
        ("a\0b", "embedded null"),
        ("a" * 300, "name too long"),
    ):
        with pytest.raises(CheckpointError, match=told):
            tinynet.load(tmp_path / name, make_model())


@pytest.mark.parametrize("name", [".", "", "a\0b"])
def test_a_name_that_no_file_has_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match=r"cannot write .*: that is no name of a file"):
        tinynet.save(make_model(), name)


@pytest.mark.parametrize("value", [object(), float("nan"), {(1, 2): 3}, b"x"])
def test_settings_that_json_lacks_are_refused_and_nothing_written(tmp_path, value):
    with pytest.raises(ValueError, match=r"cannot write .*m: settings, arguments and res"):
        tinynet.save(make_model(), tmp_path / "m", settings={"a": value})
    assert list(tmp_path.iterdir()) == []


def test_atomic_write_shows_nothing_until_the_block_ends(tmp_path):
    target = tmp_path / "deep" / "file.txt"
    with atomic_write(target) as stream:
        stream.write(b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new"
    with pytest.raises(TypeError), atomic_write(target) as stream:
        stream.writelines([b"half", 3])
    assert target.read_bytes() == b"new"
    assert [p.name for p in target.parent.iterdir()] == ["file.txt"]


def test_json_refuses_nan_and_keeps_what_was_there(tmp_path):
    target = tmp_path / "x.json"
    write_json(target, {"a": [1, 2.5]})
    with pytest.raises(ValueError, match="JSON"):
        write_json(target, {"a": float("nan")})
    assert json.loads(target.read_text()) == {"a": [1, 2.5]}
