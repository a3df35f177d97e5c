"""The packaging: what pyproject.toml says against the folders, the imports and what an
installation really gives.
"""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PYPROJECT["tool"]["setuptools"]
SOURCES = sorted([*ROOT.glob("vi/**/*.py"), *ROOT.glob("callbacks/**/*.py")])


def folders() -> dict[str, Path]:
    """Every folder with an ``__init__.py`` under ``vi/`` and ``callbacks/``, by the name that it
    is imported by.
    """
    found = {}
    for root, name in ((ROOT / "vi", "vi"), (ROOT / "callbacks", "vi.callbacks")):
        for init in root.rglob("__init__.py"):
            found[".".join([name, *init.parent.relative_to(root).parts])] = init.parent
    return found


def distribution(requirement: str) -> str:
    return re.match(r"[A-Za-z0-9._-]+", requirement)[0].lower().replace("_", "-")


def imported(path: Path) -> set[str]:
    """Top-level names of everything that a file imports absolutely."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.partition(".")[0])
    return names


def run_away_from_the_checkout(code: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_lowest_versions_of_the_readme_are_those_that_are_allowed() -> None:
    table = re.findall(
        r"^\| ([a-z-]+) \| (\d[\d.]*) \| \d", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE
    )
    assert len(table) > 10
    extras = PYPROJECT["project"]["optional-dependencies"].values()
    allowed = dict(
        re.match(r"([A-Za-z0-9-]+)(?:\[[a-z,]+\])?>=([\d.]+)", requirement).groups()
        for requirement in [*PYPROJECT["project"]["dependencies"], *(r for e in extras for r in e)]
        if ">=" in requirement
    )
    assert dict(table) == {name: allowed[name] for name, _ in table}


def test_packages_are_the_folders() -> None:
    assert sorted(SETUPTOOLS["packages"]) == sorted(folders()), (
        "pyproject.toml, [tool.setuptools] packages"
    )


def test_every_python_file_is_in_a_package() -> None:
    assert {path.parent for path in SOURCES} <= set(folders().values()), (
        "a folder lacks its __init__.py"
    )


@pytest.mark.parametrize("name", SETUPTOOLS["packages"])
def test_package_imports_from_its_folder(name: str) -> None:
    module = importlib.import_module(name)
    assert Path(module.__file__).parent == folders()[name]


def test_typing_files_are_there() -> None:
    assert (ROOT / "vi" / "py.typed").is_file()
    assert (ROOT / "vi" / "callbacks.pyi").is_file()


def test_callbacks_are_imported_by_their_public_name_only() -> None:
    wrong = [str(path.relative_to(ROOT)) for path in SOURCES if "callbacks" in imported(path)]
    assert not wrong, (
        "write `from vi.callbacks import ...`, or inside callbacks/ `from .sibling import ...`"
    )


@pytest.mark.slow
def test_no_top_level_callbacks_away_from_the_checkout(tmp_path: Path) -> None:
    code = "import importlib.util, vi.callbacks; print(importlib.util.find_spec('callbacks'))"
    assert run_away_from_the_checkout(code, tmp_path) == "None"


@pytest.mark.slow
def test_a_users_own_callbacks_module_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "callbacks.py").write_text("mine = True\n")
    assert (
        run_away_from_the_checkout(
            "import vi.callbacks, callbacks; print(callbacks.mine)", tmp_path
        )
        == "True"
    )


def test_what_is_imported_is_declared() -> None:
    extras = PYPROJECT["project"]["optional-dependencies"].values()
    declared = {
        distribution(r) for group in [PYPROJECT["project"]["dependencies"], *extras] for r in group
    }
    used = (
        set().union(*(imported(path) for path in SOURCES)) - set(sys.stdlib_module_names) - {"vi"}
    )
    assert {name.replace("_", "-") for name in used} <= declared


EXTRAS = [name for name in PYPROJECT["project"]["optional-dependencies"] if name != "all"]


def test_all_extras_are_all() -> None:
    (every,) = PYPROJECT["project"]["optional-dependencies"]["all"]
    assert every == f"pymc-vi[{','.join(sorted(EXTRAS))}]"


@pytest.mark.parametrize("name", EXTRAS)
def test_extra_and_group_are_the_same(name: str) -> None:
    assert (
        PYPROJECT["project"]["optional-dependencies"][name] == PYPROJECT["dependency-groups"][name]
    )


def test_hosted_checks_call_the_makefile_alone() -> None:
    """What they do can be done by hand."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        text = path.read_text(encoding="utf-8")
        for command in re.findall(r"- run: (.*)", text):
            if command == ".ci/run" or command.startswith("test "):
                continue
            tool, *called = command.split()
            assert tool == "make", f"{path.name}: {command}"
            named = (
                re.findall(r"target: \[(.*)\]", text) if "${{" in command else [", ".join(called)]
            )
            assert set(named[0].split(", ")) <= targets, f"{path.name}: {command}"


def test_the_version_is_one() -> None:
    cited = re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert cited is not None
    assert cited[1] == PYPROJECT["project"]["version"]
