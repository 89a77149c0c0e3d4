"""Scripts for PyTorch mean the same when nothing but their imports is changed."""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

SCRIPTS = Path(__file__).parent / "scripts"
NAMES = sorted(path.stem for path in SCRIPTS.glob("*.py") if path.stem != "beginning")
IMPORTS = [  # what a user changes, and no more
    (r"^import torch$", "import tinynet as torch"),
    (r"^import torch\.([\w.]+) as", r"import tinynet.\1 as"),
    (r"^from torch\b", "from tinynet"),
]


def losses(name, folder, monkeypatch):
    """The numbers that a script noted."""
    monkeypatch.syspath_prepend(str(folder))
    sys.modules.pop("beginning", None)
    with contextlib.redirect_stdout(io.StringIO()):
        noted = runpy.run_path(str(folder / f"{name}.py"), run_name="__main__")["LOSSES"]
    sys.modules.pop("beginning", None)
    return np.array(noted, float)


@pytest.mark.filterwarnings("ignore:.*weight_norm` is deprecated")
@pytest.mark.parametrize("name", NAMES)
def test_a_script_means_the_same_when_its_imports_are_changed(name, tmp_path, monkeypatch):
    theirs = losses(name, SCRIPTS, monkeypatch)
    for source in ("beginning", name):
        text = (SCRIPTS / f"{source}.py").read_text()
        for pattern, replacement in IMPORTS:
            text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
        (tmp_path / f"{source}.py").write_text(text)
    ours = losses(name, tmp_path, monkeypatch)
    assert len(ours) == len(theirs) > 20
    np.testing.assert_allclose(ours[:20], theirs[:20], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours, theirs, rtol=2e-2, atol=2e-3)  # rounding grows
