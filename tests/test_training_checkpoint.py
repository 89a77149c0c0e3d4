"""Checkpoints: whole, free of code, and refused when they are not what they claim to be."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

import tinynet
from tinynet import models, nn
from tinynet.errors import CheckpointError
from tinynet.training import checkpoint
from tinynet.training.files import atomic_write, write_json


def make_model(seed: int = 0) -> nn.Sequential:
    tinynet.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 3))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "model.npz"
    checkpoint.save(target, make_model(), classes=["a", "b", "ç"], mean=[0.5], std=[2.0])
    return target


def rewrite(path: Path, change) -> None:
    """Write the archive anew after `change(members)`, a dict of name -> bytes."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_a_model_comes_back_to_the_bit(path):
    original, other = make_model(), make_model(1)
    loaded = checkpoint.load(path, other)
    assert loaded is other
    for name, value in original.state_dict().items():
        assert np.array_equal(loaded.state_dict()[name], value), name


def test_a_known_model_is_built_from_its_name(tmp_path):
    tinynet.manual_seed(0)
    arguments = {"num_classes": 7, "in_channels": 2, "image_size": (8, 12)}
    model = models.build("digits_cnn", **arguments)
    target = tmp_path / "known.npz"
    checkpoint.save(target, model, name="digits_cnn", arguments=arguments)
    loaded = checkpoint.load(target)
    assert type(loaded) is type(model)
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


def test_numpy_reads_it_without_pickle(path):
    with np.load(path, allow_pickle=False) as archive:
        assert np.array_equal(archive["model/0.weight"], make_model().state_dict()["0.weight"])


def test_equal_models_give_equal_files(tmp_path):
    for name in ("one.npz", "two.npz"):
        checkpoint.save(tmp_path / name, make_model())
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_a_model_of_ones_own_has_to_be_passed(path):
    with pytest.raises(CheckpointError, match=r"tinynet\.load\(path, model\)"):
        checkpoint.load(path)


def test_a_model_that_does_not_fit_stays_untouched(path):
    other = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4))
    before = other.state_dict()
    with pytest.raises(CheckpointError, match=r"does not fit .2.: 0\.weight"):
        checkpoint.load(path, other)
    assert all(np.array_equal(before[name], value) for name, value in other.state_dict().items())


def test_every_flipped_byte_of_the_weights_is_noticed(path):
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("model/3.weight.npy")
    start = info.header_offset + 30 + len(info.filename)
    for offset in range(start, start + info.file_size, 97):
        content[offset] ^= 1
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"model/3\.weight"):
            checkpoint.read(path)
        content[offset] ^= 1
    path.write_bytes(content)
    checkpoint.read(path)


def test_every_cut_is_noticed(path):
    content = path.read_bytes()
    for length in range(0, len(content), 131):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError):
            checkpoint.read(path)


def npy(array: np.ndarray, allow_pickle: bool = False) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=allow_pickle)
    return stream.getvalue()


def change_manifest(**changes):
    def change(members):
        manifest = json.loads(members["manifest.json"])
        members["manifest.json"] = json.dumps({**manifest, **changes}).encode()

    return change


def change_entry(**changes):
    def change(members):
        manifest = json.loads(members["manifest.json"])
        manifest["members"]["model/0.bias"].update(changes)
        members["manifest.json"] = json.dumps(manifest).encode()

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.pop("manifest.json"), "no manifest.json"),
        (lambda m: m.update({"manifest.json": b"{"}), "not JSON"),
        (lambda m: m.update({"manifest.json": b"[]"}), "does not say that this is"),
        (lambda m: m.pop("model/0.bias.npy"), r"lacks model/0\.bias\.npy"),
        (lambda m: m.update({"../../evil.npy": npy(np.ones(2))}), r"does not list \.\./\.\./evil"),
        (lambda m: m.update({"model/0.bias.npy": npy(np.ones(4))}), r"0\.bias\.npy: "),
        (
            lambda m: m.update({"model/0.bias.npy": npy(np.array([{}] * 4, object), True)}),
            r"0\.bias\.npy: ",
        ),
        (change_manifest(version=99), "version 99, this tinynet reads 1"),
        (change_manifest(format="x"), "does not say that this is"),
        (change_manifest(members=3), "does not list the members"),
        (change_manifest(model=None), "not as tinynet writes it"),
        (change_manifest(classes=5), "not as tinynet writes it"),
        (change_entry(shape=[1 << 60]), "bytes, but"),
        (change_entry(shape=[-1]), "no array of numbers"),
        (change_entry(shape=[2, 2]), "its header says"),
        (change_entry(dtype="<i4"), "its header says"),
        (change_entry(dtype="|O"), "no array of numbers"),
        (change_entry(dtype="strange"), "does not describe it"),
        (change_entry(sha256="0" * 64), "damaged"),
    ],
)
def test_a_checkpoint_that_lies_is_refused(path, change, words):
    rewrite(path, change)
    with pytest.raises(CheckpointError, match=words):
        checkpoint.read(path)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        checkpoint.read(tmp_path / "missing.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(CheckpointError, match="no checkpoint"):
        checkpoint.read(tmp_path / "text.npz")
    np.savez(tmp_path / "arrays.npz", x=np.ones(3))
    with pytest.raises(CheckpointError, match=r"no manifest\.json"):
        checkpoint.read(tmp_path / "arrays.npz")
    np.savez_compressed(tmp_path / "small.npz", x=np.zeros(10**6))
    with pytest.raises(CheckpointError, match="compressed"):
        checkpoint.read(tmp_path / "small.npz")


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(path, monkeypatch):
    before = path.read_bytes()

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(path, make_model(1))
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


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
