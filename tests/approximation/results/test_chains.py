"""Chains from an approximation: BlackJAX's against closed forms, and what PyMC's sampler takes
over.
"""

from __future__ import annotations

import sys

import numpy as np
import pymc as pm
import pytest
import xarray as xr
from arviz_stats.base import array_stats
from problems import correlated_gaussian
from pymc.step_methods.hmc.quadpotential import QuadPotentialDiag, QuadPotentialFull

import vi
from vi.approximation.results.chains import METHODS
from vi.approximation.results.metric import inverse_mass_matrix

pytest.importorskip("blackjax", reason="the extra mcmc")


def schools():
    y = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
    with pm.Model(coords={"school": list("ABCDEFGH")}) as model:
        mu, tau = pm.Normal("mu", 0.0, 5.0), pm.HalfNormal("tau", 5.0)
        offset = pm.Normal("offset", dims="school")
        theta = pm.Deterministic("theta", mu + tau * offset, dims="school")
        pm.Normal("y", theta, [15.0, 10, 16, 11, 9, 11, 10, 18], observed=y, dims="school")
    return model


@pytest.fixture(scope="module")
def gaussian():
    return vi.fit(method="laplace", model=correlated_gaussian().model, backend="jax", random_seed=1)


@pytest.fixture(scope="module")
def eight():
    return vi.fit(method="laplace", model=schools(), backend="jax", random_seed=1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:R-hat")
@pytest.mark.parametrize("method", list(METHODS))
def test_moments(gaussian, method):
    """Mean and sd within five of their standard errors, which follow from the effective sample
    sizes.
    """
    exact = correlated_gaussian()
    tree = gaussian.sample_mcmc(2_000, 4, method, random_seed=1)
    x = tree["posterior"]["x"].to_numpy()
    sd = np.sqrt(np.diag(exact.cov))
    mean_ess, sd_ess = (
        np.asarray(array_stats.ess(x, method=kind, chain_axis=0, draw_axis=1))
        for kind in ("mean", "sd")
    )
    flat = x.reshape(-1, 3)
    assert np.all(np.abs((flat.mean(axis=0) - exact.mean) / sd) < 5 / np.sqrt(mean_ess))
    assert np.all(np.abs(np.log(flat.std(axis=0) / sd)) < 5 / np.sqrt(2 * sd_ess))
    accepted = float(tree["sample_stats"]["acceptance_rate"].mean())
    assert accepted == pytest.approx(METHODS[method], abs=0.1)
    assert mean_ess.min() > (200 if method == "rmh" else 2_000)
    lp = gaussian.logp(x)
    np.testing.assert_allclose(tree["sample_stats"]["lp"], lp, rtol=1e-9)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:R-hat")
def test_datatree(eight):
    tree = eight.sample_mcmc(500, 3, random_seed=2, include_transformed=True)
    posterior = tree["posterior"]
    assert set(tree.children) == {"posterior", "sample_stats", "observed_data", "fit"}
    assert dict(posterior.sizes) == {"chain": 3, "draw": 500, "school": 8}
    assert posterior["theta"].dims == ("chain", "draw", "school")
    expected = posterior["mu"] + posterior["tau"] * posterior["offset"]
    np.testing.assert_allclose(posterior["theta"], expected.transpose(*posterior["theta"].dims))
    np.testing.assert_allclose(np.exp(posterior["tau_log__"]), posterior["tau"])
    assert set(tree["sample_stats"].data_vars) == {
        "lp", "acceptance_rate", "diverging", "energy", "n_steps", "tree_depth"
    }  # fmt: skip
    assert posterior.attrs["rhat_max"] < 1.05
    assert tree["sample_stats"].attrs["metric"] == "dense"
    assert len(tree["sample_stats"].attrs["step_size"]) == 3
    # PyMC's NUTS: mean of mu 4.4, sd 3.3; of tau 3.6, sd 3.2
    assert float(posterior["mu"].mean()) == pytest.approx(
        4.4, abs=5 * 3.3 / np.sqrt(posterior.attrs["ess_min"])
    )
    assert float(posterior["tau"].mean()) == pytest.approx(
        3.6, abs=5 * 3.2 / np.sqrt(posterior.attrs["ess_min"])
    )


@pytest.mark.slow
def test_seeds(gaussian):
    one, again, other = (
        gaussian.sample_mcmc(2_000, 4, random_seed=seed)["posterior"].to_dataset()
        for seed in (1, 1, 2)
    )
    xr.testing.assert_equal(one, again)
    assert not one["x"].equals(other["x"])
    assert not np.array_equal(one["x"][0], one["x"][1]), "chains differ"


def test_chains_that_do_not_agree_say_so(gaussian):
    with pytest.warns(UserWarning, match=r"R-hat is 1\.\d+ in x\[\d\].*do not agree"):
        gaussian.sample_mcmc(30, 4, "rmh", tune=0, random_seed=1)


@pytest.mark.slow
def test_metric(gaussian, eight):
    """The covariance where q has a regular one, variances otherwise."""
    np.testing.assert_allclose(
        inverse_mass_matrix(gaussian.record, None), correlated_gaussian().cov, rtol=1e-9
    )
    np.testing.assert_allclose(
        inverse_mass_matrix(gaussian.record, "diagonal"), [0.25, 1.0, 9.0], rtol=1e-9
    )
    model = correlated_gaussian().model
    assert inverse_mass_matrix(vi.MeanField(model=model).record, None).shape == (3,)
    few = vi.Empirical(size=3, model=model, random_seed=1)
    assert inverse_mass_matrix(few.record, None).shape == (3,)
    with pytest.raises(ValueError, match="singular"):
        inverse_mass_matrix(few.record, "dense")


@pytest.mark.filterwarnings("ignore:R-hat")
@pytest.mark.slow
def test_pymc_takes_over(eight):
    """Starts and metric of pm.sample are those of q; its draws agree with our chains."""
    starts = eight.initvals(2, random_seed=1)
    assert [set(start) for start in starts] == [{"mu", "tau", "offset"}] * 2
    assert starts[0]["offset"].shape == (8,)
    assert all(start["tau"] > 0 for start in starts)
    assert starts[0]["mu"] != starts[1]["mu"]
    step = eight.nuts_step()
    assert isinstance(step.potential, QuadPotentialFull)
    assert isinstance(eight.nuts_step(metric="diagonal").potential, QuadPotentialDiag)
    assert [value.name for value in step.vars] == [slot.value_name for slot in eight.layout]
    tree = pm.sample(
        300,
        tune=100,
        chains=2,
        cores=1,
        initvals=starts,
        step=step,
        model=eight.model,
        progressbar=False,
        random_seed=1,
        compute_convergence_checks=False,
    )
    ours = eight.sample_mcmc(500, 3, random_seed=1)
    for name in ("mu", "tau"):
        pair = [np.asarray(t["posterior"][name]) for t in (tree, ours)]
        errors = [
            x.std() / np.sqrt(float(array_stats.ess(x, chain_axis=0, draw_axis=1))) for x in pair
        ]
        assert abs(pair[0].mean() - pair[1].mean()) < 5 * np.hypot(*errors)


@pytest.mark.slow
def test_the_pytensor_backend_is_told_what_to_do():
    approx = vi.fit(method="laplace", model=correlated_gaussian().model, backend="pytensor")
    with pytest.raises(
        ValueError, match=r"backend='jax'.*pm\.sample\(initvals=approx\.initvals\(4\)"
    ):
        approx.sample_mcmc()


def test_bad_input(gaussian):
    for options, message in (
        ({"draws": 0}, "draws=0"),
        ({"chains": 1.5}, "chains=1.5"),
        ({"method": "gibbs"}, "'nuts', 'hmc', 'rmh'"),
        ({"tune": -1}, "tune=-1"),
        ({"target_accept": 1.0}, "target_accept=1.0"),
        ({"metric": "full"}, "metric='full'"),
        ({"method": "hmc", "integration_steps": 0}, "integration_steps=0"),
    ):
        with pytest.raises(ValueError, match=message):
            gaussian.sample_mcmc(**options)


def test_the_extra_is_named(gaussian, monkeypatch):
    monkeypatch.setitem(sys.modules, "blackjax", None)
    with pytest.raises(ImportError, match=r'pip install "pymc-vi\[mcmc\]"'):
        gaussian.sample_mcmc()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:R-hat")
def test_single_precision():
    approx = vi.fit(
        method="laplace", model=correlated_gaussian().model, backend="jax", dtype="float32"
    )
    tree = approx.sample_mcmc(200, 2, tune=100, random_seed=1)
    assert tree["posterior"]["x"].dtype == np.float32
    assert np.isfinite(tree["posterior"]["x"]).all()
