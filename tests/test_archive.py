"""The archive under the checkpoints: whatever is wrong with a file, it is refused, and named."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

import tinynet
from tinynet import nn
from tinynet.errors import CheckpointError
from tinynet.training import checkpoint
from tinynet.training.archive import DIGEST, read_archive, write_archive


def make_model(seed: int = 0) -> nn.Sequential:
    tinynet.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "model.npz"
    checkpoint.save(target, make_model(), run={"losses": np.arange(3.0), "epoch": 1})
    return target


def seal(path: Path) -> None:
    """Put the right SHA-256 at the end of an archive, as an attacker would."""
    content = path.read_bytes()[:-DIGEST]
    path.write_bytes(content + hashlib.sha256(content).hexdigest().encode())


def rewrite(path: Path, change, compression: int = zipfile.ZIP_STORED) -> None:
    """Write the archive anew after `change(members)`, a dict of name -> bytes."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.comment = b"0" * DIGEST
        for name, content in members.items():
            archive.writestr(name, content)
    seal(path)


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


def replace_member(content: bytes, **entry):
    """Another content of a member, with a manifest that agrees with it."""

    def change(members):
        members["model/0.bias.npy"] = content
        change_entry(sha256=hashlib.sha256(content).hexdigest(), **entry)(members)

    return change


def refuses(path: Path, words: str) -> None:
    """Reading is refused with these words, and a model that was to be loaded is untouched."""
    model = make_model(1)
    before = model.state_dict()
    with pytest.raises(CheckpointError, match=words):
        checkpoint.load(path, model)
    assert all(np.array_equal(before[name], value) for name, value in model.state_dict().items())


def test_arrays_of_every_kind_come_back_to_the_bit(tmp_path):
    arrays = {
        "a/f4": np.array([[1.5, -0.0], [np.nan, np.inf]], np.float32),
        "f8": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "scalar": np.array(3, np.int64),
        "empty": np.zeros((0, 4), np.uint8),
        "bool": np.array([True, False]),
        "big": np.arange(4, dtype=">i2"),
    }
    write_archive(tmp_path / "x.npz", arrays, {"note": "ç"})
    members, manifest = read_archive(tmp_path / "x.npz")
    assert manifest["note"] == "ç"
    assert list(members) == list(arrays)
    for name, array in arrays.items():
        assert members[name].dtype == array.dtype
        assert members[name].shape == array.shape
        assert members[name].tobytes() == array.tobytes()
        assert members[name].flags.writeable


def test_numpy_reads_every_member_without_pickle(path):
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files if name != "manifest.json"}
    assert np.array_equal(arrays["model/0.weight"], make_model().state_dict()["0.weight"])
    assert np.array_equal(arrays["run/losses"], np.arange(3.0))


def test_every_flipped_byte_is_refused(path):
    content = bytearray(path.read_bytes())
    accepted = []
    for offset in range(len(content)):
        content[offset] ^= 0xFF
        path.write_bytes(content)
        try:
            checkpoint.read(path)
            accepted.append(offset)
        except CheckpointError:
            pass
        content[offset] ^= 0xFF
    assert accepted == []
    path.write_bytes(content)
    checkpoint.read(path)


def test_every_flipped_bit_of_an_array_names_the_array(path):
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("model/0.weight.npy")
    start = info.header_offset + 30 + len(info.filename)
    for bit in range(8):
        for offset in range(start, start + info.file_size, 37):
            content[offset] ^= 1 << bit
            path.write_bytes(content)
            refuses(path, r"model/0\.weight\.npy: damaged")
            content[offset] ^= 1 << bit


def test_every_cut_is_refused(path):
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError):
            checkpoint.read(path)


@pytest.mark.parametrize("where", ["before", "after"])
def test_bytes_added_are_refused(path, where):
    content = path.read_bytes()
    path.write_bytes(b"x" + content if where == "before" else content + b"x")
    refuses(path, r"damaged|SHA-256")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.pop("manifest.json"), "has no manifest.json"),
        (lambda m: m.update({"manifest.json": b"{"}), "not JSON"),
        (lambda m: m.update({"manifest.json": b"[" * 100_000}), "not JSON"),
        (lambda m: m.update({"manifest.json": b'{"a": 1, "a": 2}'}), "appears twice"),
        (lambda m: m.update({"manifest.json": b'{"a": NaN}'}), "NaN is no number of JSON"),
        (lambda m: m.update({"manifest.json": b"[]"}), "does not say that this is"),
        (lambda m: m.pop("model/0.bias.npy"), r"lacks model/0\.bias\.npy"),
        (lambda m: m.update({"model/9.npy": npy(np.ones(2))}), r"does not list model/9\.npy"),
        (lambda m: m.update({"../../evil.npy": b""}), r"\.\./\.\./evil\.npy has a path that leads"),
        (lambda m: m.update({"/etc/evil": b""}), "/etc/evil has a path that leads out"),
        (lambda m: m.update({"C:evil": b""}), "C:evil has a path that leads out"),
        (lambda m: m.update({"model/0.bias.npy": npy(np.ones(4))}), r"0\.bias\.npy: damaged"),
        (replace_member(npy(np.array([{}] * 3, object), True)), r"0\.bias\.npy: .*pickled"),
        (replace_member(b"cos\nsystem\n(S'echo'\ntR."), r"0\.bias\.npy: .*not an \.npy array"),
        (replace_member(npy(np.ones(3))), r"0\.bias\.npy: is \(3,\) of float64, manifest"),
        (replace_member(npy(np.ones((3, 1), np.float32))), r"is \(3, 1\) of float32, manifest"),
        (replace_member(npy(np.ones(3, np.float32))[:-1]), r"0\.bias\.npy: .*expected 12"),
        (replace_member(npy(np.array(["a"])), dtype="<U1", shape=[1]), "no dtype of a checkpoint"),
        (change_manifest(version=99), "version 99, this tinynet reads 2"),
        (change_manifest(version=True), "version True, this tinynet reads 2"),
        (change_manifest(format="x"), "does not say that this is"),
        (change_manifest(members=3), "does not list the members"),
        (change_manifest(model=None), "not as tinynet writes it"),
        (change_manifest(classes=5), "not as tinynet writes it"),
        (change_manifest(run={"a": {"$array": "run/none"}}), "lacks the array 'run/none'"),
        (change_manifest(run=[1]), "not as tinynet writes it"),
        (change_entry(shape=[1 << 60]), "manifest.json says"),
        (change_entry(shape=[-1]), "manifest.json says"),
        (change_entry(dtype="|O"), "manifest.json says"),
        (change_entry(more=1), "does not describe it"),
        (change_entry(sha256="0" * 64), "damaged"),
    ],
)
def test_an_archive_that_lies_is_refused(path, change, words):
    rewrite(path, change)
    refuses(path, words)


def test_a_member_that_is_there_twice_is_refused(path):
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("model/0.bias.npy", npy(np.ones(3, np.float32)))
    refuses(path, r"model/0\.bias\.npy appears twice")


def test_a_bomb_is_refused_before_it_goes_off(path):
    rewrite(path, lambda m: m.update({"x.npy": bytes(10**8)}), zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 10**6
    refuses(path, "is compressed; tinynet never does that")


def test_members_that_overlap_are_refused(path):
    """A bomb without compression: the directory names the same bytes again and again."""
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        start = archive.start_dir
    content = path.read_bytes()
    entries = b""
    for i in range(500):
        name = f"model/{i:03d}.npy".encode() if i else b"manifest.json"
        size = infos[0].file_size.to_bytes(4, "little")
        entries += (
            b"PK\x01\x02\x14\x03\x14\x00" + bytes(8) + bytes(4) + size + size
            + len(name).to_bytes(2, "little") + bytes(16) + name
        )  # fmt: skip
    end = (
        b"PK\x05\x06" + bytes(4) + (500).to_bytes(2, "little") * 2
        + len(entries).to_bytes(4, "little") + start.to_bytes(4, "little") + b"\x00\x00"
    )  # fmt: skip
    path.write_bytes(content[:start] + entries + end)
    refuses(path, "its members claim .* bytes, the whole file has")


def test_an_archive_that_another_program_rewrote_is_refused(path):
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    refuses(path, "another program has rewritten it")


def test_a_folder_or_nothing_is_refused(tmp_path):
    for path, words in ((tmp_path, "is a folder"), (tmp_path / "none.npz", "no such file")):
        with pytest.raises(CheckpointError, match=words):
            read_archive(path)


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x05\x06" + bytes(18), b"\x00" * 5000])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"x\.npz: (damaged, or no checkpoint|no checkpoint)"):
        read_archive(tmp_path / "x.npz")
