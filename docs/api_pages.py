"""The API reference as one page a section, from the one source ``api.md``, with an index of all.

A page of everything is read by nobody on a phone, and a search that finds it has found nothing.
"""

from __future__ import annotations

import re
from pathlib import Path

from public_names import completed, documented

FOLDER = "generated/api"
"""Of the pages within ``docs/``; what is written there is not kept."""

SECTION = re.compile(r"^## (.*)\n", flags=re.MULTILINE)
DEEPER = re.compile(r"^#(#+ )", flags=re.MULTILINE)
LINK = re.compile(r"\]\((?=[\w/]+\.md)")
HERE = re.compile(r"\]\(#([\w-]+)\)")

START = "```{eval-rst}\n.. currentmodule:: vi\n```\n"
"""Every page begins as the source does."""


def slug(title: str) -> str:
    """The name of a section's page, which was its anchor."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def sections(source: str) -> tuple[str, dict[str, str]]:
    """What stands before the sections, and the text of each by its title."""
    intro, *parts = SECTION.split(source)
    return intro, dict(zip(parts[::2], parts[1::2], strict=True))


def pages(source: str) -> dict[str, str]:
    """The pages by name; what they list is completed by the public names nobody wrote there."""
    _, found = sections(completed(source))
    return {slug(title): f"# {title}\n\n{START}{_moved(text)}" for title, text in found.items()}


def index(source: str) -> str:
    """The page that leads to the others: every name, by what it is for."""
    intro, found = sections(completed(source))
    lines = [HERE.sub(rf"](/{FOLDER}/\1.md)", intro)]
    for title, text in found.items():
        lines += [f"## [{title}](/{FOLDER}/{slug(title)}.md)\n", _linked(START + text)]
    toctree = [f"{title} </{FOLDER}/{slug(title)}>" for title in found]
    return "\n".join([*lines, "```{toctree}", ":hidden:", "", *toctree, "```", ""])


def write_pages(docs: Path) -> None:
    """Write the pages; one that is as it was keeps its date, and Sphinx does not read it again."""
    folder = docs / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    made = pages((docs / "api.md").read_text(encoding="utf-8"))
    for name, text in made.items():
        file = folder / f"{name}.md"
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")
    for file in folder.glob("*.md"):
        if file.stem not in made:
            file.unlink()


def _linked(text: str) -> str:
    """Links to the entries of a section, a line for each package."""
    packages: dict[str, list[str]] = {}
    for name in documented(text):
        packages.setdefault(name.rpartition(".")[0], []).append(name)
    lines = [
        f"`{package}`: " + ", ".join(f"{{py:obj}}`~{name}`" for name in names) + "\n"
        for package, names in packages.items()
    ]
    return "\n".join(lines)


def _moved(text: str) -> str:
    """A section as a page in a folder below: headings one step up, links from the top."""
    return LINK.sub("](/", DEEPER.sub(r"\1", text))
