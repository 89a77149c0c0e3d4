"""The file under the checkpoints: beside other programs, and whatever is wrong with one."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

import tinynet
from tinynet import models, nn
from tinynet.cli import main
from tinynet.errors import CheckpointError
from tinynet.training import checkpoint
from tinynet.training.safetensors import ZEROS, read, write


def make_model(seed: int = 0) -> nn.Sequential:
    tinynet.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    tinynet.save(make_model(), tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def build(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(**changes):
    return {"0.bias": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}}


def test_a_model_comes_back_to_the_bit(path):
    other = make_model(1)
    assert tinynet.load(path, other).network is other
    for name, value in make_model().state_dict().items():
        assert np.array_equal(other.state_dict()[name], value), name


def test_what_is_known_of_the_model_comes_along(tmp_path):
    model = models.build("digits_cnn", num_classes=3)
    known = {"name": "digits_cnn", "arguments": {"num_classes": 3}, "classes": ["a", "b", "ç"]}
    checkpoint.save(
        model, tmp_path / "x.safetensors", **known, mean=[0.5], std=[2], input_shape=(1, 8, 8)
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


@pytest.mark.parametrize("what", ["state_dict", "module", "in a dict"])
def test_the_error_for_a_file_of_torch_says_how_its_weights_get_here(tmp_path, what):
    torch = pytest.importorskip("torch")
    import safetensors.torch

    peer = torch.nn.Linear(3, 2)
    saved = {
        "state_dict": peer.state_dict(),
        "module": peer,
        "in a dict": {"net": peer.state_dict()},
    }
    torch.save(saved[what], tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match="could run code") as caught:
        tinynet.load(tmp_path / "w.pt")
    write, read = re.search(r"anew, (.*), or .* then (.*)", str(caught.value)).groups()
    exec(write, {"safetensors": safetensors, "model": peer})
    model = eval(read, {"tinynet": tinynet, "model": nn.Linear(3, 2)})
    assert np.array_equal(model.weight.array, peer.weight.detach().numpy())


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_a_file_in_which_torch_wrote_other_floats_is_read(tmp_path, dtype):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    weight = torch.randn(2, 3, generator=torch.Generator().manual_seed(0)).to(getattr(torch, dtype))
    save_file({"weight": weight, "bias": weight[0, :2].clone()}, tmp_path / "w.safetensors")
    for found in (
        tinynet.load(tmp_path / "w.safetensors")["weight"].array,
        tinynet.load(tmp_path / "w.safetensors", nn.Linear(3, 2)).weight.array,
    ):
        np.testing.assert_array_equal(found, weight.double().numpy().astype(found.dtype))


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
        build(entry(shape=[True, 2]), bytes(8)),
        build(entry(shape=[2.0]), bytes(8)),
        build(entry(shape=5), bytes(8)),
        build(entry(shape=[2] + [1] * 32), bytes(8)),
        build(entry(shape=[0, 1 << 62, 1 << 62], data_offsets=[0, 0])),
        build(entry(shape=[10**4000] * 9), bytes(8)),
        build(entry(data_offsets=[0]), bytes(8)),
        build(entry(data_offsets="ab"), bytes(8)),
        build(entry(data_offsets=[4, 12]), bytes(12)),
        build(entry(dtype=3), bytes(8)),
        build(entry(dtype="BOOL", shape=[8]), b"\0\1\2\3\0\0\0\0"),
        build(
            json.dumps(entry()).encode()[:-1] + b"," + json.dumps(entry()).encode()[1:], bytes(8)
        ),
        build(b'{"a": NaN}'),
        build(b'{"a": ' + b"[" * 100_000),
        build(b"\xff\xfe"),
        build({**entry(), "__metadata__": {"tinynet": "{}"}}, bytes(8)),
        build({**entry(), "__metadata__": {"tinynet.sha256": ZEROS}}, bytes(8)),
        build({**entry(), "__metadata__": {"a": 5}}, bytes(8)),
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


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A checkpoint of a run."""
    target = tmp_path / "model.safetensors"
    tinynet.save(nn.Linear(2, 3), target, run={"losses": np.arange(3.0), "epoch": 1})
    return target


def sealed(text: bytes, arrays: bytes) -> bytes:
    """A file with this header and the right SHA-256 in it, as an attacker would write it."""
    found = hashlib.sha256(text).hexdigest().encode()
    return build(text.replace(ZEROS.encode(), found, 1), arrays)


def rewrite(path: Path, change) -> None:
    """Write a file anew after change(header, what is ours of the metadata), all made right again.

    The change may return other bytes for those of the arrays.
    """
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    metadata = header["__metadata__"]
    own = json.loads(metadata["tinynet"])
    changed = change(header, own)
    arrays = changed if isinstance(changed, bytes) else content[start:]
    metadata.update({"tinynet": json.dumps(own), "tinynet.sha256": ZEROS})
    path.write_bytes(sealed(json.dumps(header).encode(), arrays))


def refuses(path: Path, words: str) -> None:
    """Reading is refused with these words, and a model that was to be loaded is untouched."""
    model = nn.Linear(2, 3)
    before = model.state_dict()
    with pytest.raises(CheckpointError, match=words):
        tinynet.load(path, model)
    assert all(np.array_equal(before[name], value) for name, value in model.state_dict().items())


def test_arrays_of_every_kind_come_back_to_the_bit_and_aligned(tmp_path):
    arrays = {
        "a/bool": np.array([True, False, True]),
        "f4": np.array([[1.5, -0.0], [np.nan, np.inf]], np.float32),
        "f2": np.array([0.1], np.float16),
        "f8": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "scalar": np.array(3, np.int64),
        "empty": np.zeros((0, 4), np.uint8),
        "strided": np.arange(9, dtype=np.uint16)[::2],
    }
    write(tmp_path / "x", arrays, {"note": "\u00e7"})
    again, about = read(tmp_path / "x")
    assert about["note"] == "\u00e7"
    assert list(again) == list(arrays)
    for name, array in arrays.items():
        assert (again[name].dtype, again[name].shape) == (array.dtype, array.shape)
        assert again[name].tobytes() == array.tobytes()
        assert again[name].flags.writeable
    content = (tmp_path / "x").read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    for name, array in arrays.items():
        assert (start + header[name]["data_offsets"][0]) % array.itemsize == 0


def test_large_endian_arrays_come_back_as_the_same_numbers(tmp_path):
    write(tmp_path / "x", {"a": np.arange(4, dtype=">i2")}, {})
    assert read(tmp_path / "x")[0]["a"].tolist() == [0, 1, 2, 3]


def test_the_library_of_the_format_reads_and_writes_the_same(run):
    library = pytest.importorskip("safetensors.numpy")
    found = library.load_file(run)
    assert sorted(found) == ["bias", "run/losses", "weight"]
    assert found["run/losses"].tolist() == [0, 1, 2]
    library.save_file(found, run)
    arrays, about = read(run)
    assert about == {}
    assert all(np.array_equal(arrays[name], value) for name, value in found.items())


def test_the_half_precision_of_another_program_is_read_as_float32_and_ours_as_it_was(tmp_path):
    raw = np.array([0.1, 65504], np.float16)
    header = {"a": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}}
    (tmp_path / "theirs").write_bytes(build(header, raw.tobytes()))
    theirs = tinynet.load(tmp_path / "theirs")["a"]
    assert (theirs.dtype, theirs.tolist()) == (np.float32, raw.tolist())
    tinynet.save({"a": raw}, tmp_path / "ours")
    assert tinynet.load(tmp_path / "ours")["a"].dtype == np.float16


def test_every_flipped_byte_is_refused(run):
    content = bytearray(run.read_bytes())
    accepted = []
    for offset in range(len(content)):
        for mask in (0xFF, 1):
            content[offset] ^= mask
            run.write_bytes(content)
            try:
                checkpoint.read(run)
                accepted.append(offset)
            except CheckpointError:
                pass
            content[offset] ^= mask
    assert accepted == []
    run.write_bytes(content)
    checkpoint.read(run)


def test_every_flipped_bit_of_an_array_names_the_array(run):
    content = bytearray(run.read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    begin, end = json.loads(content[8:start])["weight"]["data_offsets"]
    for offset in range(start + begin, start + end, 5):
        content[offset] ^= 1 << offset % 8
        run.write_bytes(content)
        refuses(run, "weight: damaged: its SHA-256")
        content[offset] ^= 1 << offset % 8


def test_every_cut_and_every_addition_is_refused(run):
    content = run.read_bytes()
    for wrong in (*(content[:length] for length in range(len(content))), b"x" + content):
        run.write_bytes(wrong)
        with pytest.raises(CheckpointError):
            checkpoint.read(run)


def test_a_file_that_another_program_rewrote_with_our_metadata_is_refused(run):
    library = pytest.importorskip("safetensors.numpy")
    from safetensors import safe_open

    with safe_open(run, "np") as stream:
        metadata = stream.metadata()
    library.save_file(library.load_file(run), run, metadata)
    refuses(
        run, r"damaged, or rewritten by another program.*remove 'tinynet' and 'tinynet\.sha256'"
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda header, own: own.update(version=4), "version 4, this tinynet reads 3.*--upgrade"),
        (lambda header, own: own.update(version=True), "version True, this tinynet reads 3"),
        (lambda header, own: own.update(sha256=3), "do not list the arrays"),
        (lambda header, own: own.pop("sha256"), "do not list the arrays"),
        (lambda header, own: own["sha256"].pop("bias"), "do not list the arrays"),
        (lambda header, own: own["sha256"].update(bias=ZEROS), "bias: damaged"),
        (lambda header, own: header.update(b=header.pop("bias")), "do not list the arrays"),
        (lambda header, own: header["bias"].update(dtype="I32"), "the state int32"),
        (lambda header, own: header["bias"].update(shape=[1, 3]), r"the state \(1, 3\)"),
        (lambda header, own: own.pop("run"), "not as tinynet writes them"),
        (lambda header, own: own.update(classes=5), "not as tinynet writes them"),
        (lambda header, own: own.update(input_shape=[1, 10**5, 10**5]), "no image has the shape"),
        (lambda header, own: own.update(input_shape=[3, -1, 8]), "no image has the shape"),
        (lambda header, own: own.update(run=[1]), "not as tinynet writes them"),
        (lambda header, own: own.update(run={"a": {"$array": "none"}}), r"lacks.*\$array 'none'"),
        (lambda header, own: own.update(run={"a": {"$array": [1]}}), r"lacks.*\$array \[1\]"),
        (lambda header, own: own.update(run={"a": {"$float": "1"}}), r"cannot be, \$float '1'"),
        (lambda header, own: own.update(run={"a": {"$tuple": 1}}), r"cannot be, \$tuple 1"),
        (lambda header, own: own.update(run={"a": {"$dict": [[[], 1]]}}), r"cannot be, \$dict"),
        (lambda header, own: own.update(run={"a": {"$code": "x"}}), r"'\$code' is of no kind"),
        (
            lambda header, own: own.update(run=[{"$array": "bias"}, {"$array": "bias"}]),
            r"lacks.*\$array 'bias'",
        ),
        (lambda header, own: own.update(object={}), "belongs to nothing in it"),
        (lambda header, own: own.update(object=[{"$array": "bias"}]), "weight belongs to nothing"),
        (lambda header, own: bytes(60), "damaged: its SHA-256"),
    ],
)
def test_a_file_that_lies_is_refused(run, change, words):
    rewrite(run, change)
    refuses(run, words)


def test_an_object_without_weights_is_no_model(tmp_path):
    tinynet.save([1, 2], tmp_path / "x")
    refuses(tmp_path / "x", "holds a list, and no weights")


def test_more_json_than_there_is_room_for_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr("tinynet.training.safetensors.HEADER_LIMIT", 1000)
    with pytest.raises(ValueError, match="put long lists of numbers into arrays"):
        tinynet.save({"losses": list(range(1000))}, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_exports_and_uses_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--epochs", "1", "--out", "run"]) == 0
    assert main(["export", "run", "digits.safetensors"]) == 0
    assert (
        "run/last.safetensors -> digits.safetensors: 20 arrays, 26,205 numbers"
        in capsys.readouterr().out
    )
    accuracies = []
    for model in ("run", "digits.safetensors"):
        assert main(["evaluate", model, "--data", "digits", "--json", "result.json"]) == 0
        accuracies.append(json.loads(Path("result.json").read_text())["accuracy"])
    assert accuracies[0] == accuracies[1]
    stored = checkpoint.read("digits.safetensors")
    assert stored.sha256() == checkpoint.read("run/last.safetensors").sha256()
    assert stored.run is None
    assert main(["export", "run", "digits.npz"]) == 0
    with np.load("digits.npz") as arrays:
        assert {name: arrays[name].tobytes() for name in arrays.files} == {
            name: array.tobytes() for name, array in stored.weights.items()
        }
    capsys.readouterr()
    assert main(["export", "run", "digits.pt"]) == 2
    assert "must end in .safetensors" in capsys.readouterr().err
