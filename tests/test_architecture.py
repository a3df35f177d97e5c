"""The layers: a module imports from its own row and the rows above it only; files stay readable."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROWS = [
    {
        "precision",
        "layout",
        "batching",
        "materialise",
        "object_mode",
        "jax_op",
        "jax_vectorized",
        "sharding",
        "tracing",
        "version",
    },
    {"data"},
    {"targets", "families"},
    {"objectives", "optimizers", "kernels"},
    {"options"},
    {"algorithms"},
    {"training"},
    {"approximation"},
    {"diagnostics", "testing", "modes", "find_map"},
    {"callbacks"},
    {"inference"},
    {"fit"},
    {"__init__"},
]
ROW_OF = {name: row for row, names in enumerate(ROWS) for name in names}
FILES = [*(ROOT / "vi").rglob("*.py"), *(ROOT / "callbacks").rglob("*.py")]


def part_of(path):
    relative = path.relative_to(ROOT)
    if relative.parts[0] == "callbacks":
        return "callbacks"
    return Path(relative.parts[1]).stem


def imported_parts(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").split(".")[0] == "vi":
            names = (node.module or "").split(".")[1:] or [alias.name for alias in node.names]
            yield names[0]
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("vi."))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_upwards(path):
    row = ROW_OF[part_of(path)]
    for part in imported_parts(path):
        assert ROW_OF[part] <= row, f"{path.name} (row {row}) imports vi.{part} (row {ROW_OF[part]})"


def test_the_check_sees_imports():
    assert set(imported_parts(ROOT / "callbacks" / "convergence.py")) == {"diagnostics", "training"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_open_with_one_sentence(path):
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring, f"{path} has no docstring"
    assert "\n\n" not in docstring or path.name == "__init__.py"
