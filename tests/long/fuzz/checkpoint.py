"""The readers of checkpoints as targets: files of ours, of others, the state of a run.

Half of the files of ours are sealed again after they were changed, with every SHA-256 right, so
that what lies behind the checksums meets them too. Whatever is read is put into a model or a run;
what is refused must leave that as it was.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import tinynet
from tests.long.fuzz.harness import Mutate, Target
from tinynet import data, nn, optim
from tinynet.errors import CheckpointError
from tinynet.nn import functional as F
from tinynet.training import checkpoint
from tinynet.training.checkpoint import Checkpoint
from tinynet.training.run import Run
from tinynet.training.safetensors import DTYPES, OWN, SUM, ZEROS
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
        run.schedule.after_step(run.step)
        run.step += 1
        run.losses.append(float(loss))
    run.epoch = 1
    run.history.append({"epoch": 1, "loss": 0.5, "seconds": 0.1})
    return run


@functools.cache
def _run() -> Run:
    return make_run()


@functools.cache
def _file() -> Path:
    return MEMORY / f"tinynet-fuzz-{os.getpid()}"


def _fingerprint(run: Run) -> str:
    """All of a run as text, to be compared."""
    state = capture(run)
    members: dict[str, np.ndarray] = {}
    packed = pack({**state, "seconds": 0, "weights": run.model.state_dict()}, "", members)
    return repr(packed) + repr([array.tobytes() for array in members.values()])


# ----- files --------------------------------------------------------------------------------------


def run_checkpoint(content: bytes) -> Any:
    """Read a file as whatever it is, and load it into a model; refused, it leaves that alone."""
    path = _file()
    path.write_bytes(content)
    model = _run().model
    before = [np.asarray(x).tobytes() for x in model.state_dict().values()]
    with contextlib.suppress(CheckpointError):
        tinynet.load(path)
    try:
        stored = checkpoint.read(path)
        model.load_state_dict(stored.weights)
    except BaseException:
        assert [np.asarray(x).tobytes() for x in model.state_dict().values()] == before
        raise
    return stored.weights


@functools.cache
def checkpoint_seeds() -> Sequence[bytes]:
    """A model alone, one with a run, a state_dict of a user's."""
    path = _file()
    contents = []
    for state in (None, capture(_run())):
        if state is not None:  # the generators of Python and NumPy are 5,000 bytes of noise
            state = {"optimizer": state["optimizer"], "losses": state["losses"], "step": 2}
        checkpoint.save(_run().model, path, run=state, classes=["a", "b"], mean=[0.5], std=[1])
        contents.append(path.read_bytes())
    checkpoint.save(_run().model.state_dict(), path)
    return [*contents, path.read_bytes()]


def inside_checkpoint(rng: random.Random, mutate: Mutate) -> bytes:
    """An array, what is ours of the metadata, or the header changed, with every SHA-256 right."""
    content = rng.choice(checkpoint_seeds())
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    metadata, arrays = header["__metadata__"], content[start:]
    where = rng.random()
    if where < 0.3:
        name = rng.choice([name for name in header if name != "__metadata__"])
        begin, end = header[name]["data_offsets"]
        changed = mutate(arrays[begin:end])[: end - begin].ljust(end - begin, b"\0")
        arrays = arrays[:begin] + changed + arrays[end:]
        own = json.loads(metadata[OWN])
        own["sha256"][name] = hashlib.sha256(changed).hexdigest()
        metadata[OWN] = json.dumps(own)
    elif where < 0.7:
        metadata[OWN] = mutate(metadata[OWN].encode()).decode(errors="replace")
    metadata[SUM] = ZEROS
    text = json.dumps(header).encode()
    if where >= 0.7:
        text = mutate(text)
    text = text.replace(ZEROS.encode(), hashlib.sha256(text).hexdigest().encode(), 1)
    return len(text).to_bytes(8, "little") + text + arrays


def run_safetensors(content: bytes) -> dict[str, np.ndarray]:
    """Read it; the weights must fit the bytes that are there (bfloat16 takes twice as many)."""
    path = _file()
    path.write_bytes(content)
    stored = checkpoint.read(path)
    assert sum(array.nbytes for array in stored.weights.values()) <= 2 * len(content)
    return stored.weights


@functools.cache
def safetensors_seeds() -> Sequence[bytes]:
    """What other programs write: no metadata of ours."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    for i, (word, code) in enumerate(DTYPES.items()):
        size = 4 * np.dtype(code).itemsize
        header[f"{i}.weight"] = {"dtype": word, "shape": [2, 2], "data_offsets": [0, size]}
    end = 0
    for entry in list(header.values())[1:]:
        entry["data_offsets"] = [end, end := end + entry["data_offsets"][1]]
    text = json.dumps(header).encode()
    return [len(text).to_bytes(8, "little") + text + bytes(end)]


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
        state = unpack(json.loads(content), dict(_state()[1]))
        if not isinstance(state, dict):
            raise CheckpointError("no dict")
    except (ValueError, RecursionError) as error:
        raise CheckpointError(str(error)) from error
    try:
        restore(run, Checkpoint(weights, run=state))
    except CheckpointError:
        assert _fingerprint(run) == before
        raise
    restore(run, Checkpoint(weights, run=unpack(json.loads(_state()[0]), dict(_state()[1]))))
    return 1


TOKENS = [
    b"F64",
    b"BF16",
    b"BOOL",
    b'"shape"',
    b'"__metadata__"',
    b"[]",
    b"{}",
    b"-1",
    b'"\\ud800"',
]

TARGETS: dict[str, Target] = {
    "checkpoint": Target(
        run_checkpoint,
        checkpoint_seeds,
        CheckpointError,
        inside=inside_checkpoint,
        tokens=[
            *TOKENS,
            b'{\\"$array\\": 0}',
            b'{\\"$dict\\": [[[], 1]]}',
            b'{\\"$tuple\\": 1}',
            b'\\"object\\"',
        ],
    ),
    "resume": Target(
        run_state,
        lambda: [_state()[0]],
        CheckpointError,
        allowance=RUN_ALLOWANCE,
        tokens=[b"null", b"[]", b"{}", b"-1", b"1e999", b'"a"', b'{"$float": "nan"}', b"9" * 40],
    ),
    "safetensors": Target(run_safetensors, safetensors_seeds, CheckpointError, tokens=TOKENS),
}
