"""Every callback of the library: how often it is called, and what it may do to a run."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import numpy as np
import pytest

import vi
from vi.callbacks import Callback, Tracker
from vi.testing import check_callback

MODULES = [
    importlib.import_module(f"vi.callbacks.{module.name}")
    for module in pkgutil.iter_modules(vi.callbacks.__path__)
]
KINDS = [
    kind
    for module in MODULES
    for kind in vars(module).values()
    if inspect.isclass(kind)
    and issubclass(kind, Callback)
    and kind is not Callback
    and kind.__module__ == module.__name__
]
"""The callbacks of every file in the folder, public or not."""


def test_the_public_ones_are_among_them():
    public = {getattr(vi.callbacks, name) for name in vi.callbacks.__all__}
    assert public - {Callback} <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_contract(kind):
    """Defaults for every setting, an interval, a description, and runs with it."""
    assert type(kind(every=np.int64(7)).every) is int
    assert inspect.getdoc(kind)
    check_callback(kind)


@pytest.mark.parametrize("every", [0, -1, 1.5, True, "2", None])
def test_bad_intervals(every):
    with pytest.raises(ValueError, match=r"every=.*whole number of at least 1"):
        Tracker(every=every)


@pytest.mark.parametrize("tolerance", [0.0, -1.0, np.nan, "small"])
def test_bad_tolerances(tolerance):
    with pytest.raises(ValueError, match=r"tolerance=.*above 0"):
        vi.callbacks.CheckParametersConvergence(tolerance=tolerance)
