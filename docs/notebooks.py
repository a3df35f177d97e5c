"""The pages as notebooks: code blocks are cells, the words between them are text.

A page with Python code gets a link to its notebook; both are made when the documentation is built,
so that there is one source.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

CODE = re.compile(r"^```python\n(.*?)^```\n?", flags=re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"^% .*\n", flags=re.MULTILINE)
MATH = re.compile(r"\{math\}`([^`]+)`", flags=re.DOTALL)
MATH_BLOCK = re.compile(r"^```\{math\}\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
ROLE = re.compile(r"\{[a-z:]+\}`([^`]+)`", flags=re.DOTALL)
HEADING = re.compile(r"^# .*\n", flags=re.MULTILINE)


def has_code(page: str) -> bool:
    """Whether a page has Python code that a notebook could run."""
    return bool(CODE.search(page))


def notebook(page: str) -> dict[str, Any]:
    """A page as a notebook, in nbformat 4.5.

    Parameters
    ----------
    page : str
        The page's source, MyST Markdown.
    """
    cells = []
    for i, part in enumerate(CODE.split(page)):
        text = part if i % 2 else _plain(part)
        if not text.strip():
            continue
        kind = "code" if i % 2 else "markdown"
        cell: dict[str, Any] = {"cell_type": kind, "id": f"cell-{len(cells)}", "metadata": {}}
        cell["source"] = text.strip("\n").splitlines(keepends=True)
        cells.append(cell | ({"execution_count": None, "outputs": []} if i % 2 else {}))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def linked(name: str, page: str) -> str:
    """A page with a link to its notebook below its title; as it is where it has no code."""
    if not has_code(page):
        return page
    up = "../" * name.count("/")
    to = f"{up}notebooks/{name}.ipynb"
    link = f'\n```{{raw}} html\n<p><a href="{to}" download>This page as a notebook</a></p>\n```\n'
    return HEADING.sub(lambda title: title[0] + link, page, count=1)


def write_notebooks(docs: Path, out: Path) -> list[Path]:
    """Write the notebooks of all pages with code under ``out/notebooks``."""
    written = []
    for path in sorted(docs.rglob("*.md")):
        page = path.read_text(encoding="utf-8")
        if has_code(page):
            file = out / "notebooks" / path.relative_to(docs).with_suffix(".ipynb")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(notebook(page), indent=1), encoding="utf-8")
            written.append(file)
    return written


def _plain(text: str) -> str:
    """MyST Markdown as a notebook shows it: formulas by dollars, roles as their words."""
    text = MATH_BLOCK.sub(lambda block: f"$$\n{block[1]}$$", COMMENT.sub("", text))
    return ROLE.sub(r"`\1`", MATH.sub(r"$\1$", text))
