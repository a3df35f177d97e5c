"""Every example of a docstring runs, and prints what it says."""

import doctest
import importlib
import pkgutil

import pytest

import vi

MODULES = sorted(
    module.name
    for path, prefix in ((vi.__path__, "vi."), (vi.callbacks.__path__, "vi.callbacks."))
    for module in pkgutil.walk_packages(path, prefix)
)


@pytest.mark.few(35)
@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name: str) -> None:
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        report: list[str] = []
        runner.run(test, out=report.append)
        assert not report, "".join(report)
