"""Sphinx settings: Markdown pages, numpydoc docstrings.

Nothing is fetched while the documentation is built.
"""

import logging
import sys
from importlib.metadata import version as distribution_version
from pathlib import Path

project = "pymc-vi"
author = "the pymc-vi developers"
copyright = "the pymc-vi developers"
version = release = distribution_version("pymc-vi")

logging.getLogger("pytensor.configparser").setLevel(
    logging.WARNING
)  # says a lot at INFO, which Sphinx lets through

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_design",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}  # .rst: what autosummary writes
exclude_patterns = ["examples/pictures"]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # types stand in the signature's source and, in words, under Parameters
autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

sys.path.insert(0, str(Path(__file__).parent))
from api_pages import index, write_pages  # noqa: E402
from notebooks import linked, write_notebooks  # noqa: E402


def setup(app):
    """Make the pages of the API reference; offer notebooks."""

    def complete(app, page, source):
        if page == "api":
            source[0] = index(source[0])
        source[0] = linked(page, source[0])

    def write(app, exception):
        if exception is None and app.builder.format == "html":
            write_notebooks(Path(app.srcdir), Path(app.outdir))

    app.connect("builder-inited", lambda app: write_pages(Path(app.srcdir)))
    app.connect("source-read", complete)
    app.connect("build-finished", write)


html_theme = "furo"
html_title = f"pymc-vi {release}"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
pygments_dark_style = "github-dark"  # Furo's own underlines modules, as if they were links
