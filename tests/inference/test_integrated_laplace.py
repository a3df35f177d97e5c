"""Integrated Laplace as a method: what it says, keeps and refuses."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest

import vi

QUIET = {"progressbar": False, "random_seed": 1}


def hierarchy():
    with pm.Model() as model:
        tau = pm.HalfNormal("tau", 3.0)
        theta = pm.Normal("theta", 0.0, tau, shape=5)
        pm.Normal("y", theta, 1.0, observed=np.linspace(-3.0, 3.0, 5))
    return model


def test_it_says_what_it_did_and_files_keep_it(tmp_path):
    model = hierarchy()
    inference = vi.IntegratedLaplace(draws=100, model=model, random_seed=1)
    approx = inference.fit(progressbar=False)
    assert approx.settings()["structure"] == "<Structured of 1 global and 5 others with 0 ties>"
    assert "draws of the globals count (Pareto k" in approx.status.message
    approx.save(tmp_path / "fit.npz")
    again = vi.load(tmp_path / "fit.npz", model=model)
    np.testing.assert_array_equal(again.params[0].eval(), approx.params[0].eval())
    inference.fit(progressbar=False)
    assert approx.family == vi.families.Particles(100)


def test_a_dense_model_has_laplace():
    with pm.Model() as model:
        z = pm.Normal("z", shape=3)
        pm.Normal("y", z.sum() ** 2, 1.0, observed=1.0)
    approx = vi.IntegratedLaplace(model=model, start={"z": np.ones(3)}).fit(progressbar=False)
    assert approx.family == vi.families.FullRank()


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"draws=10: must be at least 100"):
        vi.IntegratedLaplace(draws=10, model=hierarchy())
    with pytest.raises(TypeError, match="obj_n_mc: IntegratedLaplace has no steps"):
        vi.fit(method="integrated_laplace", model=hierarchy(), obj_n_mc=3)


def test_no_summit():
    with pm.Model() as model:
        tau = pm.HalfNormal("tau")
        z = pm.Flat("z", shape=20)
        pm.Potential("p", (tau * z**4).sum())
    with pytest.raises(ValueError, match="The others cannot be integrated out near the start"):
        vi.fit(method="integrated_laplace", model=model, **QUIET)
