"""Optional packages: the table of extras is that of pyproject.toml, and a missing one is named."""

from __future__ import annotations

import math
import re
import sys
import tomllib
from pathlib import Path

import pytest

from vi.foundation.extras import EXTRAS, needs


def test_the_extras_are_those_of_the_project():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    brings = {
        extra: {re.match(r"[\w-]+", requirement)[0] for requirement in requirements}
        for extra, requirements in project["optional-dependencies"].items()
    }
    for package, extra in EXTRAS.items():  # one may come with other extras too
        assert package.replace("_", "-") in brings[extra]


def test_a_module_that_is_there():
    assert needs("math", "Sums") is math


@pytest.mark.parametrize("package", list(EXTRAS))
def test_a_missing_package_is_named_with_its_extra(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError) as caught:
        needs(package, "Such things")
    extra = EXTRAS[package]
    assert str(caught.value) == (
        f'Such things need the package {package}: pip install "pymc-vi[{extra}]".'
    )
