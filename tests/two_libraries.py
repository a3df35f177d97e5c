"""One behaviour in two libraries: this one, and PyMC, whose variational API it follows.

A test of what users of `pm.fit` rely on is written once and run over both. PyMC's side shows that
the behaviour is PyMC's; its graphs are interpreted, as compiling them takes longer than the test,
and it runs with the slow tests.
"""

from __future__ import annotations

import functools
from types import SimpleNamespace

import numpy as np
import pymc as pm
import pymc.variational as pv
import pytest

import vi

OURS = SimpleNamespace(
    **{name: getattr(vi, name) for name in vi.__all__},
    Tracker=vi.callbacks.Tracker,
    CheckParametersConvergence=vi.callbacks.CheckParametersConvergence,
    ImplicitGradient=vi.Stein,
    is_pymc=False,
)
THEIRS = SimpleNamespace(
    **{name: getattr(pv, name) for name in pv.__all__},
    Minibatch=pm.Minibatch,
    Approximation=pv.opvi.Approximation,
    ImplicitGradient=pv.inference.ImplicitGradient,
    KLqp=pv.inference.KLqp,
    Tracker=pv.callbacks.Tracker,
    CheckParametersConvergence=pv.callbacks.CheckParametersConvergence,
    is_pymc=True,
)

both = pytest.mark.parametrize(
    "lib", [pytest.param(OURS, id="vi"), pytest.param(THEIRS, id="pymc", marks=pytest.mark.slow)]
)
"""Runs a test for `lib`: this library, and among the slow tests PyMC."""


Y = np.array([1.0, 3.0, 2.0, 2.5, 1.5])
"""Observations with standard deviation 1 of `x`, whose prior is N(0, 10)."""

X_SD = (1 / 100 + len(Y)) ** -0.5
X_MEAN = X_SD**2 * Y.sum()
"""The posterior of `x`."""


@functools.cache
def small() -> pm.Model:
    """A conjugate location, a vector with dims, a positive variable and a deterministic."""
    with pm.Model(coords={"k": ["a", "b", "c"]}) as model:
        data = pm.Data("data", Y)
        x = pm.Normal("x", 0.0, 10.0)
        pm.Normal("v", 1.0, 2.0, dims="k")
        pm.LogNormal("s", 0.5, 0.25)
        pm.Deterministic("double", 2.0 * x)
        pm.Normal("y", x, 1.0, shape=data.shape, observed=data)
    return model


D = 5
"""Entries of the flat vector of `small`: x, v (3), log s."""


def quick(lib, n=5, method="advi", **options):
    """A fit of a few steps of `small`."""
    return lib.fit(
        n, method=method, **{"model": small(), "random_seed": 1, "progressbar": False} | options
    )


def begun(lib, name="ADVI", **options):
    """An inference object for `small`."""
    return getattr(lib, name)(**{"model": small(), "random_seed": 1} | options)
