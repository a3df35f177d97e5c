"""The rooms: no import circle between files, and no import from a lower floor to a higher one.

The table of rooms is that of ``docs/design.md``. Imports count wherever they stand: inside
functions and under ``TYPE_CHECKING`` too.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted([*(ROOT / "vi").rglob("*.py"), *(ROOT / "callbacks").rglob("*.py")])
LOOSE = {"__init__.py", "py.typed", "callbacks.pyi"}


def module_of(path: Path) -> str:
    """The name under which a file is imported."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    parts = ["vi", *parts] if parts[0] == "callbacks" else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


def imports_of(name: str, source: str, *, is_package: bool) -> Iterator[str]:
    """The library's modules that a file imports, by their full names."""
    package = name if is_package else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join(filter(None, [package, node.module]))
            if base.partition(".")[0] == "vi":
                for alias in node.names:
                    inner = f"{base}.{alias.name}"
                    yield inner if inner in MODULES else base
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.partition(".")[0] == "vi")


@functools.cache
def graph() -> dict[str, set[str]]:
    """What each module imports; not made when the tests are collected, which each process does."""
    return {
        name: set(imports_of(name, path.read_text(), is_package=path.name == "__init__.py"))
        - {name}
        for name, path in MODULES.items()
    }


def floors(design: str) -> dict[str, int]:
    """The floor of each room, from the table in the design: lines ``| 3 | `data/` | ...``."""
    rows = re.findall(r"^\| (\d+) \| `([\w/.]+?)/?` \|", design, flags=re.MULTILINE)
    return {room.replace("/", "."): int(floor) for floor, room in rows}


FLOORS = floors((ROOT / "docs" / "design.md").read_text())


def room_in(rooms: Iterable[str], name: str) -> str:
    """The longest named room that a module lies in: ``vi.approximation.files.save`` is in
    ``approximation.files``."""
    inner = name.partition(".")[2] or "__init__.py"
    fitting = [room for room in rooms if f"{inner}.".startswith(f"{room}.")]
    return max(fitting, key=len, default=inner)


def room_of(name: str) -> str:
    """The room of a module today."""
    return room_in(FLOORS, name)


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other, directly or not (Tarjan's components)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(name: str) -> None:
        number[name] = low[name] = len(number)
        stack.append(name)
        for other in sorted(graph.get(name, ())):
            if other not in number:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], number[other])
        if low[name] == number[name]:
            at = stack.index(name)
            component = stack[at:]
            del stack[at:]
            if len(component) > 1:
                found.append(sorted(component))

    for name in graph:
        if name not in number:
            visit(name)
    return found


def test_no_circles_between_files() -> None:
    assert not circles(graph())


def test_circles_are_seen() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}
    assert circles(graph) == [["a", "b", "c"]]


def test_every_room_is_in_the_table() -> None:
    assert FLOORS, "docs/design.md has no table of rooms"
    assert {room_of(name) for name in MODULES} <= set(FLOORS)
    for room in FLOORS:
        folder = (
            ROOT / room.replace(".", "/")
            if room == "callbacks"
            else ROOT / "vi" / room.replace(".", "/")
        )
        assert room == "__init__.py" or folder.exists(), f"{room} is in the table, not in the code"


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_downwards(name: str) -> None:
    own = FLOORS[room_of(name)]
    for other in graph()[name]:
        floor = FLOORS[room_of(other)]
        assert floor <= own, f"{name} (floor {own}) imports {other} (floor {floor})"


@pytest.mark.parametrize(
    "line",
    ["from vi.inference.fit import fit", "import vi.inference.fit", "from vi.inference import fit"],
)
@pytest.mark.parametrize(
    "place",
    ["{}", "def f():\n    {}", "if TYPE_CHECKING:\n    {}"],
    ids=["top", "deferred", "typing"],
)
def test_imports_are_seen_wherever_they_stand(line: str, place: str) -> None:
    found = set(imports_of("vi.data.x", place.format(line), is_package=False))
    assert found == {"vi.inference.fit"}


def test_relative_imports_are_seen() -> None:
    assert set(
        imports_of("vi.callbacks.tracker", "from .base import Callback", is_package=False)
    ) == {"vi.callbacks.base"}


def test_nothing_lies_loose() -> None:
    assert {path.name for path in (ROOT / "vi").iterdir() if path.is_file()} == LOOSE


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_open_with_one_sentence(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring, f"{path} has no docstring"
    assert "\n\n" not in docstring or path.name == "__init__.py"


def paths_in(text: str) -> set[str]:
    """Paths of Python files that a page names, ``targets/base.py`` or ``tests/test_api.py``."""
    return set(re.findall(r"`((?:[\w-]+/)+\w+\.py)`", text))


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_files_that_the_docs_name_exist(page: Path) -> None:
    homes = (ROOT, ROOT / "vi", ROOT / "docs")
    missing = {
        path
        for path in paths_in(page.read_text())
        if not any((home / path).exists() for home in homes)
    }
    assert not missing
