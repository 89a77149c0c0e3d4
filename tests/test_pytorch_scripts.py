"""Scripts as people write them for PyTorch run once their imports are changed."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_sets import cifar_archive, use_small_cifar10, use_small_mnist, write_small_mnist

import tinynet.data.known as known_sets

FOLDER = Path(__file__).parent / "pytorch_scripts"
CHANGES = [
    (r"^import torch$", "import tinynet as torch"),
    (r"^import torchvision$", "import tinynet.vision as torchvision"),
    (r"^(import|from) torchvision\b", r"\1 tinynet.vision"),
    (r"^(import|from) torch\b", r"\1 tinynet"),
]


def script(name: str) -> Any:
    """The function `main` of a script, its imports changed."""
    code = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    for old, new in CHANGES:
        code = re.sub(old, new, code, flags=re.MULTILINE)
    space: dict[str, Any] = {"__name__": name}
    exec(compile(code, f"{name}.py", "exec"), space)
    return space["main"]


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder with small sets in the places of MNIST, Fashion-MNIST and CIFAR-10."""
    small = use_small_mnist(monkeypatch)
    fashion = replace(known_sets.KNOWN["fashion-mnist"], files=small.files, mirrors=())
    monkeypatch.setitem(known_sets.KNOWN, "fashion-mnist", fashion)
    use_small_cifar10(monkeypatch)
    write_small_mnist(tmp_path)
    (tmp_path / "fashion-mnist").symlink_to(tmp_path / "mnist")
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(cifar_archive())
    return tmp_path


def table_of_digits(folder: Path) -> Path:
    """A CSV file of 20 images, as the competition has it."""
    pixels = np.random.default_rng(0).integers(0, 256, (20, 784))
    names = ",".join(f"pixel{k}" for k in range(784))
    lines = [f"{k % 10},{','.join(map(str, row))}" for k, row in enumerate(pixels.tolist())]
    path = folder / "train.csv"
    path.write_text("\n".join([f"label,{names}", *lines]))
    return path


SCRIPTS = {
    "mnist": lambda root: ["--root", str(root), "--batch-size", "5", "--epochs", "3"],
    "cifar10": str,
    "digit_recognizer": table_of_digits,
    "lenet": str,
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_runs_and_is_the_same_again(name, root):
    pytest.importorskip("PIL")
    argument = SCRIPTS[name](root)
    losses = script(name)(argument)
    assert np.isfinite(losses).all()
    assert losses[0] < 20
    assert script(name)(argument) == losses


def test_all_scripts_are_run():
    assert {path.stem for path in FOLDER.glob("*.py")} == {*SCRIPTS}
