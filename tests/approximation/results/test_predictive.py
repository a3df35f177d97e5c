"""Predictions and log likelihoods of models whose observed variables PyMC does not know."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytest
from scipy import stats

import vi

SIGMA = np.array([1.0, 2.0, 0.5])
Y = np.array([1.0, -2.0, 0.3])
QUIET = {"progressbar": False, "random_seed": 1}


def fitted():
    numpyro = pytest.importorskip("numpyro")
    dist = numpyro.distributions

    def model(sigma, y=None):
        mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
        with numpyro.plate("rows", len(sigma)):
            numpyro.sample("y", dist.Normal(mu, sigma), obs=y)

    return vi.MeanField(model=vi.targets.from_numpyro(model, SIGMA, y=Y), random_seed=1)


@pytest.mark.slow
def test_a_numpyro_model_predicts():
    approx = fitted()
    draws = approx.sample(4000, random_seed=1)
    tree = approx.sample_posterior_predictive(draws, random_seed=2)
    predicted = tree["posterior_predictive"]["y"]
    assert predicted.dims == ("chain", "draw", "y_dim_0")
    residuals = (predicted.values - draws["posterior"]["mu"].values[..., None]) / SIGMA
    # 12,000 standard normal numbers: a mean within 5 of its standard errors, sd likewise
    assert abs(residuals.mean()) < 5 / 12_000**0.5
    assert abs(residuals.std() - 1) < 5 / 24_000**0.5
    again = approx.sample_posterior_predictive(draws, random_seed=2)["posterior_predictive"]["y"]
    np.testing.assert_array_equal(again, predicted)


def test_elsewhere_and_by_default():
    approx = fitted()
    tree = approx.sample_posterior_predictive(args=(np.ones(7),), kwargs={}, random_seed=1)
    assert tree["posterior_predictive"]["y"].shape == (1, 500, 7)


def test_log_likelihoods_of_a_numpyro_model():
    approx = fitted()
    draws = approx.sample(20, random_seed=1)
    tree = approx.compute_log_likelihood(draws)
    assert tree is draws
    mu = draws["posterior"]["mu"].values[..., None]
    np.testing.assert_allclose(
        tree["log_likelihood"]["y"].values, stats.norm.logpdf(Y, mu, SIGMA), rtol=1e-5, atol=1e-5
    )


def test_sites_by_name():
    approx = fitted()
    with pytest.raises(ValueError, match=r"no observed site 'z'; there are y\."):
        approx.sample_posterior_predictive(var_names=["z"])


def test_a_log_density_has_no_observed_variables():
    density = vi.targets.from_function(lambda p: -jnp.sum(p["x"] ** 2), {"x": np.zeros(2)})
    approx = vi.MeanField(model=density)
    with pytest.raises(TypeError, match=r"model\.pytree"):
        approx.sample_posterior_predictive()
    with pytest.raises(TypeError, match=r"model\.pytree"):
        approx.compute_log_likelihood(approx.sample(3))


def test_a_model_of_potentials():
    with pm.Model() as model:
        mu = pm.Normal("mu")
        pm.Deterministic("twice", 2 * mu)
        pm.Potential("y", -(mu**2))
    approx = vi.MeanField(model=model)
    with pytest.raises(TypeError, match="nothing to predict"):
        approx.sample_posterior_predictive()
    with pytest.raises(TypeError, match="nothing to have a likelihood"):
        approx.compute_log_likelihood(approx.sample(3))
    with pytest.warns(UserWarning, match="effect of Potentials"):  # PyMC's own
        tree = approx.sample_posterior_predictive(var_names=["twice"], random_seed=1)
    assert "twice" in tree["posterior_predictive"]


def test_draws_and_names_that_are_not_there():
    with pm.Model() as model:
        mu, sd = pm.Normal("mu"), pm.HalfNormal("sd")
        pm.Normal("y", mu, sd, observed=np.ones(3))
    approx = vi.MeanField(model=model, random_seed=1)
    draws = approx.sample(3)
    with pytest.raises(ValueError, match="'nope', which is no variable"):
        approx.sample_posterior_predictive(draws, var_names=["nope"])
    with pytest.raises(ValueError, match="'nope', which is no variable"):
        approx.compute_log_likelihood(draws, var_names=["nope"])
    del draws["posterior"]["sd"]
    with pytest.raises(ValueError, match="all free variables; sd is missing"):
        approx.compute_log_likelihood(draws)
