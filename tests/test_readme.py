"""What the README shows runs, and what it names is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_code_of_the_readme_runs_from_top_to_bottom(capsys):
    code = "\n".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL))
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    printed = capsys.readouterr().out
    assert "swish: gradients of x agree" in printed
    assert "Conv2d" in printed


def test_the_map_of_the_house_is_true():
    house = README.split("## The map of the house")[1].split("## Installing")[0]
    block = re.search(r"```\n(.*?)```", house, re.DOTALL).group(1)
    folder = ROOT
    named = set()
    for line in block.splitlines():
        name = line.split()[0]
        if not line.startswith(" "):
            folder = ROOT / name
            assert folder.is_dir(), name
        elif line.startswith("  ") and not line.startswith("   "):
            named.add(name.rstrip("/"))
            assert (folder / name).exists(), name
    hidden = {"__init__.py", "__main__.py", "__pycache__", "py.typed", "methods.pyi"}
    hidden |= {"console.py", "devices.py", "errors.py", "random.py"}
    parts = {part.name for part in (ROOT / "tinynet").iterdir()}
    assert parts - hidden == named


def test_what_to_read_is_as_short_as_the_readme_says():
    said = re.search(
        r"A good order to read:(.*?)They have fewer than ([\d,]+) lines", README, re.DOTALL
    )
    files = re.findall(r"`([\w/]+\.py)`", said.group(1))
    assert len(files) == 7
    lines = {name: len((ROOT / "tinynet" / name).read_text().splitlines()) for name in files}
    assert sum(lines.values()) < int(said.group(2).replace(",", "")) == 1800, lines


def test_links_of_the_readme_lead_somewhere():
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert targets
    for target in targets:
        assert (ROOT / target).exists(), target


def test_an_example_names_the_extra_that_it_needs():
    example = ROOT / "examples" / "rgb_folder.py"
    code = f"import runpy, sys; sys.modules['PIL'] = None; runpy.run_path({str(example)!r})"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr == 'this example needs Pillow: pip install "tinynet-cnn[images]"\n'


@pytest.mark.parametrize("example", sorted(ROOT.glob("examples/*.py")), ids=lambda p: p.name)
def test_examples_are_short_and_say_how_to_run_them(example):
    text = example.read_text(encoding="utf-8")
    assert text.count("\n") < 80
    assert f"python examples/{example.name}" in text.split('"""')[1]
