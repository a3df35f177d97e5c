"""Sphinx settings: Markdown pages, numpydoc docstrings; nothing is fetched while the
documentation is built.
"""

import logging
from importlib.metadata import version as distribution_version

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

html_theme = "furo"
html_title = f"pymc-vi {release}"
