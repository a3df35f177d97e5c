"""Plots are drawn without a window, and figures are closed after each test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import matplotlib as mpl
import pytest
from problems import conjugate_normal

import vi

mpl.use("Agg")
from matplotlib import pyplot as plt


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture(scope="session")
def conjugate() -> vi.Approximation:
    """A fit that is right: the posterior is a normal."""
    model = conjugate_normal().model
    return vi.fit(500, method="fullrank_advi", model=model, random_seed=1, progressbar=False)


@pytest.fixture
def with_record(conjugate: vi.Approximation) -> Callable[..., vi.Approximation]:
    """The same fit with another history: ``with_record(losses=...)``."""

    def changed(**fields: object) -> vi.Approximation:
        return vi.Approximation.of_record(replace(conjugate.record, **fields))

    return changed


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """As if a package were not installed."""

    def remove(name: str) -> None:
        for module in [m for m in sys.modules if m.partition(".")[0] == name]:
            monkeypatch.setitem(sys.modules, module, None)

    return remove
