"""The documentation's pages as notebooks: the same code, in the same order."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
from shown import code

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def notebooks():
    return SimpleNamespace(**runpy.run_path(str(DOCS / "notebooks.py")))


def test_code_cells_are_the_code_of_the_page(notebooks, tmp_path):
    written = notebooks.write_notebooks(DOCS, tmp_path)
    assert len(written) > 10
    for file in written:
        page = DOCS / file.relative_to(tmp_path / "notebooks").with_suffix(".md")
        made = json.loads(file.read_text("utf-8"))
        assert (made["nbformat"], made["nbformat_minor"]) == (4, 5)
        cells = ["".join(c["source"]) for c in made["cells"] if c["cell_type"] == "code"]
        assert cells == [block.strip("\n") for block in code(page.read_text("utf-8"), "python")]
        assert len({cell["id"] for cell in made["cells"]}) == len(made["cells"])
        assert all(
            {"outputs", "execution_count"} <= cell.keys()
            for cell in made["cells"]
            if cell["cell_type"] == "code"
        )


def test_words_are_plain_markdown(notebooks):
    page = "# Title\n\n% a remark\nWith {math}`x^2` and {doc}`choosing`.\n\n```python\n1 + 1\n```\n"
    first, second = notebooks.notebook(page)["cells"]
    assert "".join(first["source"]) == "# Title\n\nWith $x^2$ and `choosing`."
    assert second["source"] == ["1 + 1"]


def test_pages_with_code_have_a_link(notebooks):
    page = "# Title\n\n```python\n1 + 1\n```\n"
    assert 'href="../notebooks/examples/a.ipynb"' in notebooks.linked("examples/a", page)
    assert notebooks.linked("a", "# Title\n\nwords\n") == "# Title\n\nwords\n"
