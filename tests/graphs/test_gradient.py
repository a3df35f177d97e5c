"""PyTensor's gradient as we ask for it: truth values and whole numbers pass nothing on."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest

import vi
from vi.graphs.gradient import gradient


def compiled(x, value):
    with pytensor.config.change_flags(cxx=""):
        return pytensor.function([x], gradient(value, x), mode="FAST_COMPILE")


@pytest.mark.parametrize(
    "condition",
    [
        lambda x: pt.sqrt(x - 10.0) < 3.0,
        lambda x: pt.eq(pt.log(x - 10.0), 0.0),
        lambda x: pt.floor(pt.sqrt(x - 10.0)).astype("int64"),
    ],
)
def test_a_condition_that_is_not_finite_passes_nothing_on(condition):
    x = pt.dvector("x")
    value = pt.switch(condition(x), 2.0 * x, 3.0 * x).sum()
    slope = compiled(x, value)(np.array([1.0, 20.0]))
    assert np.isfinite(slope).all()
    assert slope[0] in (2.0, 3.0)


def test_what_is_differentiable_is_differentiated():
    x = pt.dvector("x")
    value = pt.sort(x)[pt.argmax(x)] + x[pt.argsort(x)[0]] ** 2 + pt.max(x)
    assert np.array_equal(compiled(x, value)(np.array([1.0, 2.0])), [2.0, 2.0])


@pytest.mark.parametrize("backend", ["jax", "pytensor"])
def test_a_density_that_compares_what_is_not_finite_is_fitted(backend):
    with pm.Model() as model:
        x = pm.Normal("x", 1.0, 1.0)
        pm.Potential("far", pt.switch(pt.sqrt(x - 100.0) < 3.0, 1.0, 0.0) * x)
    approx = vi.fit(
        300, method="advi", model=model, backend=backend, random_seed=1, progressbar=False
    )
    assert np.isfinite(approx.hist).all()
