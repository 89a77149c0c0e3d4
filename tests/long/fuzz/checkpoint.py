"""The readers of checkpoints as targets: the archive, the state of a run, .safetensors.

Half of the archives are sealed again after they were changed, with every SHA-256 right, so that
what lies behind the checksums meets them too. Whatever is read is put into a model or a run; what
is refused must leave that as it was.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import random
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.long.fuzz.harness import Mutate, Target
from tinynet import data, nn, optim
from tinynet.errors import CheckpointError
from tinynet.nn import functional as F
from tinynet.training import checkpoint
from tinynet.training.archive import DIGEST, MANIFEST
from tinynet.training.callbacks import Run
from tinynet.training.checkpoint import Checkpoint
from tinynet.training.setup import make_schedule
from tinynet.training.state import capture, restore
from tinynet.training.tree import pack, unpack

MEMORY = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else Path(tempfile.gettempdir())
RUN_ALLOWANCE = 1 << 20  # bytes: copies of the state before it is touched, generators


def make_run() -> Run:
    """A small run with everything that has a state."""
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(2, 2, rng=rng), nn.Dropout(0.5, rng=rng))
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    loader = data.DataLoader(data.ArrayDataset(np.zeros((4, 2)), np.zeros(4, int)), 2, seed=0)
    run = Run(
        model,
        optimizer,
        make_schedule("onecycle", optimizer, steps=4),
        loader,
        None,
        F.cross_entropy,
        {},
        epochs=2,
        seed=0,
    )
    for x, target in loader:
        loss = F.cross_entropy(model(x), target)
        loss.backward()
        optimizer.step()
        run.schedule.after_step()
        run.step += 1
        run.losses.append(float(loss))
    run.epoch = 1
    run.history.append({"epoch": 1, "loss": 0.5, "seconds": 0.1})
    return run


@functools.cache
def _run() -> Run:
    return make_run()


@functools.cache
def _file(suffix: str) -> Path:
    return MEMORY / f"tinynet-fuzz-{os.getpid()}{suffix}"


def _fingerprint(run: Run) -> str:
    """All of a run as text, to be compared."""
    state = capture(run)
    members: dict[str, np.ndarray] = {}
    packed = pack({**state, "seconds": 0, "weights": run.model.state_dict()}, "", members)
    return repr(packed) + repr([array.tobytes() for array in members.values()])


# ----- the archive --------------------------------------------------------------------------------


def run_archive(content: bytes) -> dict[str, np.ndarray]:
    """Read a checkpoint and load it into a model; one that is refused leaves the model alone."""
    path = _file(".npz")
    path.write_bytes(content)
    model = _run().model
    before = [array.tobytes() for array in model.state_dict().values()]
    try:
        stored = checkpoint.read(path)
        model.load_state_dict(stored.weights)
    except BaseException:
        assert [array.tobytes() for array in model.state_dict().values()] == before
        raise
    return stored.weights


@functools.cache
def archive_seeds() -> Sequence[bytes]:
    """A model alone, and one with a run."""
    path = _file(".npz")
    contents = []
    for state in (None, capture(_run())):
        if state is not None:  # the generators of Python and NumPy are 5,000 bytes of noise
            state = {"optimizer": state["optimizer"], "losses": state["losses"], "step": 2}
        checkpoint.save(path, _run().model, run=state, classes=["a", "b"], mean=[0.5], std=[1])
        contents.append(path.read_bytes())
    return contents


def inside_archive(rng: random.Random, mutate: Mutate) -> bytes:
    """A member, the manifest, or the zip itself changed, with every checksum made right again."""
    content = rng.choice(archive_seeds())
    where = rng.random()
    if where < 0.3:
        return _sealed(mutate(content[:-DIGEST]))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    if where < 0.6:
        members[MANIFEST] = mutate(members[MANIFEST])
    else:
        name = rng.choice([name for name in members if name != MANIFEST])
        before = hashlib.sha256(members[name]).hexdigest().encode()
        members[name] = mutate(members[name])
        after = hashlib.sha256(members[name]).hexdigest().encode()
        members[MANIFEST] = members[MANIFEST].replace(before, after)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.comment = b"0" * DIGEST
        for name, member in members.items():
            archive.writestr(zipfile.ZipInfo(name), member)
    return _sealed(stream.getvalue()[:-DIGEST])


def _sealed(content: bytes) -> bytes:
    return content + hashlib.sha256(content).hexdigest().encode()


# ----- the state of a run -------------------------------------------------------------------------


@functools.cache
def _state() -> tuple[bytes, dict[str, np.ndarray]]:
    members: dict[str, np.ndarray] = {}
    packed = pack(capture(_run()), "run", members)
    return json.dumps(packed).encode(), members


def run_state(content: bytes) -> int:
    """Put a state, given as JSON, back into a run; one that is refused leaves the run alone."""
    run = _run()
    before = _fingerprint(run)
    weights = run.model.state_dict()
    try:
        state = unpack(json.loads(content), _state()[1])
        if not isinstance(state, dict):
            raise CheckpointError("no dict")
    except (ValueError, RecursionError) as error:
        raise CheckpointError(str(error)) from error
    try:
        restore(run, Checkpoint(weights, run=state))
    except CheckpointError:
        assert _fingerprint(run) == before
        raise
    restore(run, Checkpoint(weights, run=unpack(json.loads(_state()[0]), _state()[1])))
    return 1


# ----- .safetensors -------------------------------------------------------------------------------


def run_safetensors(content: bytes) -> dict[str, np.ndarray]:
    """Read it; the weights must fit the bytes that are there."""
    path = _file(".safetensors")
    path.write_bytes(content)
    stored = checkpoint.read(path)
    assert sum(array.nbytes for array in stored.weights.values()) <= len(content)
    return stored.weights


@functools.cache
def safetensors_seeds() -> Sequence[bytes]:
    """A small model."""
    path = _file(".safetensors")
    checkpoint.save(path, _run().model, classes=["a", "b"])
    return [path.read_bytes()]


TARGETS: dict[str, Target] = {
    "checkpoint": Target(
        run_archive,
        archive_seeds,
        CheckpointError,
        inside=inside_archive,
        tokens=[
            b"PK\x03\x04",
            b"PK\x01\x02",
            b"PK\x05\x06",
            b"PK\x06\x06",
            b"../",
            b'{"$array": 0}',
        ],
    ),
    "resume": Target(
        run_state,
        lambda: [_state()[0]],
        CheckpointError,
        allowance=RUN_ALLOWANCE,
        tokens=[b"null", b"[]", b"{}", b"-1", b"1e999", b'"a"', b'{"$float": "nan"}', b"9" * 40],
    ),
    "safetensors": Target(
        run_safetensors,
        safetensors_seeds,
        CheckpointError,
        tokens=[b"F64", b"BF16", b'"shape"', b'"__metadata__"', b"[]", b"{}", b"-1"],
    ),
}
