"""Weights as .safetensors: out and in, beside PyTorch, and hostile files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tinynet
from tinynet import models, nn
from tinynet.cli import main
from tinynet.errors import CheckpointError
from tinynet.training import checkpoint

pytest.importorskip("safetensors")


def make_model(seed: int = 0) -> nn.Sequential:
    tinynet.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    tinynet.save(tmp_path / "model.safetensors", make_model())
    return tmp_path / "model.safetensors"


def build(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(**changes):
    return {"0.bias": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}}


def test_a_model_comes_back_to_the_bit(path):
    other = make_model(1)
    assert tinynet.load(path, other) is other
    for name, value in make_model().state_dict().items():
        assert np.array_equal(other.state_dict()[name], value), name


def test_what_is_known_of_the_model_comes_along(tmp_path):
    model = models.build("digits_cnn", num_classes=3)
    known = {"name": "digits_cnn", "arguments": {"num_classes": 3}, "classes": ["a", "b", "ç"]}
    checkpoint.save(
        tmp_path / "x.safetensors", model, **known, mean=[0.5], std=[2], input_shape=(1, 8, 8)
    )
    stored = checkpoint.read(tmp_path / "x.safetensors")
    assert (stored.classes, stored.mean, stored.input_shape) == (("a", "b", "ç"), (0.5,), (1, 8, 8))
    assert stored.sha256() == checkpoint.weights_sha256(tinynet.load(stored.path).state_dict())


def test_pytorch_loads_it_and_gives_the_same_output(path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    peer = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.Flatten(), torch.nn.Linear(8, 3)
    )
    peer.load_state_dict(load_file(path))  # strict: the same names, all of them
    x = np.random.default_rng(0).standard_normal((5, 1, 4, 4)).astype(np.float32)
    ours = make_model().eval()(tinynet.tensor(x)).numpy()
    with torch.no_grad():
        theirs = peer.eval()(torch.from_numpy(x)).numpy()
    assert np.allclose(ours, theirs, atol=1e-6)

    torch.manual_seed(0)
    for parameter in peer.parameters():
        torch.nn.init.normal_(parameter)
    save_file(peer.state_dict(), path.with_name("theirs.safetensors"))
    model = tinynet.load(path.with_name("theirs.safetensors"), make_model())
    assert np.array_equal(model[0].weight.numpy(), peer[0].weight.detach().numpy())


NUMBERS = [0.0, -0.0, 1.0, -1.25, 3.0e38, -1e-40, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize("shape", [(9,), (3, 3), (1,), (), (0, 4)])
def test_bfloat16_is_read_as_float32_to_the_bit(tmp_path, shape):
    bits = np.array(NUMBERS, np.float32).view(np.uint32) >> 16
    bits = bits[: int(np.prod(shape))].astype("<u2").reshape(shape)
    header = {"a": {"dtype": "BF16", "shape": shape, "data_offsets": [0, bits.nbytes]}}
    (tmp_path / "x.safetensors").write_bytes(build(header, bits.tobytes()))
    read = checkpoint.read(tmp_path / "x.safetensors").weights["a"]
    assert (read.dtype, read.shape, read.flags.writeable) == (np.float32, shape, True)
    assert np.array_equal(read.view(np.uint32) >> 16, bits)
    assert not (read.view(np.uint32) & 0xFFFF).any()


@pytest.mark.parametrize(("word", "dtype"), [("F16", "<f2"), ("BF16", "<u2"), ("F64", "<f8")])
def test_floats_of_other_widths_go_into_a_model(tmp_path, word, dtype):
    ours = np.array([1.5, -2.0], np.float32)
    raw = (ours.view(np.uint32) >> 16 if word == "BF16" else ours).astype(dtype).tobytes()
    header = {"x": {"dtype": word, "shape": [2], "data_offsets": [0, len(raw)]}}
    (tmp_path / "x.safetensors").write_bytes(build(header, raw))
    model = nn.Module()
    model.x = nn.Parameter(np.zeros(2, np.float32))
    assert tinynet.load(tmp_path / "x.safetensors", model).x.tolist() == [1.5, -2.0]


@pytest.mark.parametrize("word", ["F8_E4M3", "F8_E5M2", "F4", "C64", "SOMETHING_NEW"])
def test_what_numpy_has_not_is_named_with_the_cure_and_is_not_called_damaged(tmp_path, word):
    (tmp_path / "x.safetensors").write_bytes(build(entry(dtype=word), bytes(8)))
    with pytest.raises(CheckpointError, match=rf"0\.bias is of {word}.* float32") as caught:
        checkpoint.read(tmp_path / "x.safetensors")
    assert "damaged" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        (1 << 60).to_bytes(8, "little") + b"{}",
        (50).to_bytes(8, "little") + b"{}",
        build(b"{"),
        build(b"[" * 100_000),
        build([]),
        build({"0.bias": 3}),
        build(entry(dtype="PICKLE"), bytes(8)),
        build(entry(shape=[1 << 40]), bytes(8)),
        build(entry(shape=[-2]), bytes(8)),
        build(entry(shape=[3]), bytes(8)),
        build(entry(data_offsets=[0, 80]), bytes(8)),
        build(entry(data_offsets=[8, 0]), bytes(8)),
        build(entry(), bytes(80)),
        build({**entry(), "1.bias": entry()["0.bias"]}, bytes(8)),
        build({**entry(), "__metadata__": {"tinynet": "{"}}, bytes(8)),
        build({**entry(), "__metadata__": {"tinynet": "[1]"}}, bytes(8)),
        build({**entry(), "__metadata__": {"tinynet": '{"model": 3}'}}, bytes(8)),
        build({**entry(), "__metadata__": 5}, bytes(8)),
    ],
)
def test_a_hostile_file_is_refused_before_the_model_is_touched(tmp_path, content):
    model = make_model()
    before = model.state_dict()
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"x\.safetensors: "):
        tinynet.load(tmp_path / "x.safetensors", model)
    assert all(np.array_equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda b: b[:-1], r"cut off: it has \d+ bytes, and \d+ by its header$"),
        (lambda b: b[:40], r"cut off: a header of \d+ bytes in a file of 40$"),
        (lambda b: b + b"12", r"with 2 bytes too many: it has \d+ bytes"),
        (lambda b: b"", "it is empty$"),
    ],
)
def test_a_file_that_is_too_short_or_too_long_is_told_by_how_much(path, change, told):
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(CheckpointError, match=told):
        tinynet.load(path, make_model())


def test_every_cut_and_every_flip_in_the_header_is_refused_or_does_not_fit(path):
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError):
            checkpoint.read(path)
    for offset in range(0, header, 3):
        path.write_bytes(content[:offset] + bytes([content[offset] ^ 1]) + content[offset + 1 :])
        model = make_model(1)
        before = model.state_dict()
        try:
            tinynet.load(path, model)
        except CheckpointError:
            after = model.state_dict()
            assert all(np.array_equal(before[name], after[name]) for name in before)


def test_the_command_line_exports_and_uses_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--epochs", "1", "--out", "run"]) == 0
    assert main(["export", "run", "digits.safetensors"]) == 0
    assert (
        "run/last.npz -> digits.safetensors: 20 arrays, 26,205 numbers" in capsys.readouterr().out
    )
    accuracies = []
    for model in ("run", "digits.safetensors"):
        assert main(["evaluate", model, "--data", "digits", "--json", "result.json"]) == 0
        accuracies.append(json.loads(Path("result.json").read_text())["accuracy"])
    assert accuracies[0] == accuracies[1]
    assert main(["export", "digits.safetensors", "again.npz"]) == 0
    assert checkpoint.read("again.npz").sha256() == checkpoint.read("run/last.npz").sha256()
    assert main(["export", "run", "digits.pt"]) == 2
    assert "must end in .npz or .safetensors" in capsys.readouterr().err
