"""Which file of the package imports which, read from their texts."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in (ROOT / "tinynet").rglob("*.py")}


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """All below a node, those within functions too, but not what is for type checkers alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            continue
        yield child
        yield from statements(child)


def imports(text: str) -> set[str]:
    """The modules of the package that a text imports."""
    found = set()
    for node in statements(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & MODULES.keys()
            if names - MODULES.keys():
                found.add(str(node.module))
    return found & MODULES.keys()


def test_imports_are_seen_wherever_they_stand():
    text = """
from typing import TYPE_CHECKING
from tinynet import nn, Tensor
import tinynet.optim as o
if TYPE_CHECKING:
    from tinynet.data import loader
def f():
    from tinynet.training.fit import fit
"""
    assert imports(text) == {"tinynet", "tinynet.nn", "tinynet.optim", "tinynet.training.fit"}


def test_no_files_import_each_other_not_even_by_way_of_others():
    graph = {name: imports(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError that names the files
