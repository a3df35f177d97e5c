"""Draws of priors without SciPy: the same ones."""

import subprocess
import sys

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.graph.replace import clone_replace

from vi.targets.model.numpy_draws import drawn_by_numpy

VARIABLES = {
    "half normal": lambda size: pm.HalfNormal.dist(np.array([2.0, 3.0]), size=size),
    "Cauchy": lambda size: pm.Cauchy.dist(1.0, np.array([2.0, 0.5]), size=size),
    "half Cauchy": lambda size: pm.HalfCauchy.dist(np.array([2.0, 0.5]), size=size),
    "Student": lambda size: pm.StudentT.dist(
        np.array([3.0, 4.0]), mu=1.0, sigma=pm.HalfNormal.dist(1.0), size=size
    ),
}


def _draws(variable, changed):
    states = {v: v.type() for v in pytensor.graph.traversal.graph_inputs([variable]) if _is_rng(v)}
    (graph,) = clone_replace([variable], replace=states, rebuild_strict=False)
    if changed:
        (graph,) = drawn_by_numpy([graph])
    function = pytensor.function(list(states.values()), graph, mode="FAST_COMPILE")
    return function(*(np.random.default_rng(i) for i in range(len(states))))


def _is_rng(variable):
    return isinstance(variable.type, pt.random.type.RandomType)


@pytest.mark.parametrize("size", [None, (2,), (3, 2)])
@pytest.mark.parametrize("name", VARIABLES)
def test_draws_are_scipys(name, size):
    """From the same generator; a Cauchy's is another formula of the same quantile."""
    variable = VARIABLES[name](size)
    rounding = 1e-12 if "Cauchy" in name else 0.0
    np.testing.assert_allclose(_draws(variable, True), _draws(variable, False), rtol=rounding)


def test_a_negative_scale_is_refused_as_by_scipy():
    variable = pm.HalfNormal.dist(pt.as_tensor(np.array([1.0, -1.0])))
    for changed in (True, False):
        with pytest.raises(ValueError, match=r"scale|arguments"):
            _draws(variable, changed)


@pytest.mark.slow
def test_a_first_fit_does_not_import_scipy_stats():
    program = """
import sys, pymc as pm, vi
with pm.Model():
    pm.Normal("y", pm.Normal("mu"), pm.HalfCauchy("tau", 1.0), observed=[1.0, 2.0])
    before = "scipy.stats" in sys.modules
    vi.fit(10, method="advi", random_seed=1, progressbar=False)
print(before, "scipy.stats" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300
    )
    before, after = done.stdout.split()
    assert after == before
