"""What the API page lists: by hand where words or members are chosen, and the rest by itself.

A line ``.. public-names:: vi.families`` in ``api.md`` stands for an entry for every public name of
that package (its ``__all__``) that no entry above or below names.
"""

from __future__ import annotations

import importlib
import inspect
import re
from types import ModuleType
from typing import Any

MARK = re.compile(r"^\.\. public-names:: ([\w.]+)$", flags=re.MULTILINE)
ENTRY = re.compile(r"^\.\. (?:(currentmodule)|auto\w+):: ([\w.]+)$", flags=re.MULTILINE)


def documented(text: str) -> list[str]:
    """The full names that the entries of a page document, in their order."""
    names, module = [], ""
    for is_module, name in ENTRY.findall(text):
        if is_module:
            module = name
        else:
            names.append(f"{module}.{name}")
    return names


def public_names(package: str) -> list[str]:
    """The full names of what a package says is public, without the packages inside it."""
    module = importlib.import_module(package)
    names = [name for name in module.__all__ if not name.startswith("__")]
    return [f"{package}.{n}" for n in names if not isinstance(getattr(module, n), ModuleType)]


def resolved(name: str) -> Any:
    """The object of a full name."""
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def undocumented(package: str, text: str) -> list[str]:
    """The public names of a package that no entry of a page is for.

    A name for an object that has an entry elsewhere (``vi.optimizers.adam`` is ``vi.adam``) needs
    none.
    """
    names = documented(text)
    there = {id(resolved(name)) for name in names}
    return [n for n in public_names(package) if n not in names and id(resolved(n)) not in there]


def completed(text: str) -> str:
    """A page with entries in place of its lines ``.. public-names:: package``."""

    def entries(match: re.Match[str]) -> str:
        package = match[1]
        rest = undocumented(package, text)
        short = [name.removeprefix(f"{package}.") for name in rest]
        if not short:
            return ""
        module = importlib.import_module(package)
        lines = [f".. currentmodule:: {package}", "", ".. autosummary::", ""]
        lines += [f"   {name}" for name in short] + [""]
        for name in short:
            lines += _entry(name, getattr(module, name))
        return "\n".join(lines)

    return MARK.sub(entries, text)


def _entry(name: str, item: Any) -> list[str]:
    """The directive for one name; what is abstract is there to be written, with its methods."""
    if inspect.isclass(item):
        kind = "autoexception" if issubclass(item, BaseException) else "autoclass"
        members = ["   :members:"] if inspect.isabstract(item) else []
        return [f".. {kind}:: {name}", *members]
    if inspect.isroutine(item):
        return [f".. autofunction:: {name}"]
    return [f".. autodata:: {name}", "   :no-value:"]
