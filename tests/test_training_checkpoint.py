"""Checkpoints: what is saved comes back, and nothing else is taken for one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tinynet
from tinynet import models, nn
from tinynet.errors import CheckpointError
from tinynet.training import checkpoint, weights_sha256
from tinynet.training.files import atomic_write, write_json


def make_model(seed: int = 0) -> nn.Sequential:
    tinynet.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 3))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "model.npz"
    checkpoint.save(target, make_model(), classes=["a", "b", "ç"], mean=[0.5], std=[2.0])
    return target


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


def test_what_fits_is_loaded_and_the_rest_returned(path):
    other = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Linear(4, 4))
    rest = checkpoint.load(path, other, strict=False)
    assert rest.missing_keys == []
    assert "3.weight" in rest.unexpected_keys
    assert rest.mismatched == [
        "1.weight: the model has shape (4, 4), the state (4,)",
    ]
    assert np.array_equal(other[0].weight.data, make_model()[0].weight.data)
    with pytest.raises(ValueError, match="strict=False is for a model of yours"):
        checkpoint.load(path, strict=False)


def test_the_path_comes_first(tmp_path):
    with pytest.raises(TypeError, match=r"tinynet\.save\(path, model\)"):
        checkpoint.save(make_model(), tmp_path / "model.npz")


def test_the_sha256_of_the_weights_tells_one_bit(path):
    stored = checkpoint.read(path)
    assert stored.sha256() == weights_sha256(make_model().state_dict())
    stored.weights["3.bias"].view(np.uint8)[0] ^= 1
    assert stored.sha256() != weights_sha256(make_model().state_dict())


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
