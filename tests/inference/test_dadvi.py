"""Deterministic ADVI: the optimum for the draws that were made, on ridges too, and bad input."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest
from problems import PROBLEMS, conjugate_regression, correlated_gaussian

import vi
from vi.foundation.seeds import FIXED_DRAWS, generator_from
from vi.search.fixed_draws import ARRIVED, base_draws


@pytest.fixture(scope="module")
def ridge():
    """A scale times its offsets, 12 groups: log tau and the offsets move together."""
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(12), 20)
    y = 2.0 + 0.8 * rng.normal(size=12)[group] + 0.3 * rng.normal(size=240)
    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, 5.0)
        tau = pm.HalfNormal("tau", 2.0)
        offset = pm.Normal("offset", shape=12)
        sigma = pm.HalfNormal("sigma", 2.0)
        pm.Normal("y", mu + tau * offset[group], sigma, observed=y)
    return model


def elbo(approx, draws=4000):
    stats = approx.sample(draws, random_seed=2, log_prob=True)["sample_stats"]
    return float((stats["log_p"] - stats["log_q"]).mean())


@pytest.mark.few(3)
@pytest.mark.parametrize("backend", ["jax", "pytensor"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_optimum_on_a_normal_density(problem, backend, dtype):
    r"""For N(m, P^-1) and draws e with second moments S, pairs of which have no mean: the mean is
    m, and the standard deviations solve sigma * ((P * S) @ sigma) = 1.
    """
    exact = PROBLEMS[problem]()
    approx = vi.fit(
        method="dadvi",
        model=exact.model,
        random_seed=3,
        backend=backend,
        dtype=dtype,
        progressbar=False,
    )
    assert approx.status.ending == "converged"
    assert approx.dtype == dtype
    sd = exact.sd("advi")
    noise = base_draws(generator_from(3, FIXED_DRAWS), 30, len(sd))
    std = approx.std.eval().astype(float)
    first_order = std * ((np.linalg.inv(exact.cov) * (noise.T @ noise / 30)) @ std)
    # converged to 1e-3 nats at most: half of the square of the error in standard deviations
    limit = np.sqrt(2e-3)
    assert np.abs((approx.mean.eval() - exact.mean) / sd).max() < limit
    assert np.abs(np.log(first_order)).max() < 2 * limit
    assert approx.hist[-1] == pytest.approx(min(approx.hist), abs=1e-3)


def test_hist_is_minus_the_elbo_over_the_draws():
    exact = conjugate_regression()
    approx = vi.fit(method="dadvi", model=exact.model, random_seed=3, progressbar=False)
    mean, std = approx.mean.eval(), approx.std.eval()
    points = mean + std * base_draws(generator_from(3, FIXED_DRAWS), 30, 3)
    away = points - exact.mean
    log_p = exact.log_evidence - 0.5 * np.einsum(
        "ki,ij,kj->k", away, np.linalg.inv(exact.cov), away
    )
    log_p -= 0.5 * np.linalg.slogdet(2 * np.pi * exact.cov)[1]
    entropy = np.log(std).sum() + 1.5 * np.log(2 * np.pi * np.e)
    # PyTensor folds constants such as log 2 pi in float32: 6e-8 of each of 43 terms
    assert approx.hist[-1] == pytest.approx(-log_p.mean() - entropy, abs=1e-5)
    assert approx.settings()["gradients"] % 30 == 0


@pytest.mark.slow
def test_it_travels_ridges(ridge):
    """Steps alone are nats behind after 10,000 gradients; and they go on from here."""
    inference = vi.DADVI(model=ridge, random_seed=1)
    approx = inference.fit(1_000, progressbar=False)
    assert approx.status.ending == "converged"
    assert approx.settings()["gradients"] < 30_000
    plain = vi.ADVI(model=ridge, random_seed=1, warm_start=False).fit(10_000, progressbar=False)
    assert elbo(approx) > elbo(plain)
    refined = vi.KLqp(approx).fit(5_000, progressbar=False)
    assert elbo(refined) > elbo(plain) + 0.5


def test_few_iterations_say_that_there_are_more(ridge):
    approx = vi.fit(3, method="dadvi", model=ridge, random_seed=1, progressbar=False)
    assert approx.status.ending == "max_steps"
    assert "not at the optimum yet" in approx.status.message
    assert len(approx.hist) == 4
    assert np.all(np.diff(approx.hist) < 0)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_units_do_not_matter(scale):
    y = scale * (700 + np.random.default_rng(1).normal(size=40))
    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, 1e4 * scale)
        pm.Normal("y", mu, scale, observed=y)
    approx = vi.fit(method="dadvi", model=model, random_seed=1, progressbar=False)
    precision = 40 + 1e-8
    assert approx.status.ending == "converged"
    error = approx.mean.eval()[0] / scale - 40 * y.mean() / scale / precision
    assert abs(error * np.sqrt(precision)) < np.sqrt(2e-3)


def test_what_it_refuses():
    model = correlated_gaussian().model
    with pytest.raises(TypeError, match="callbacks: DADVI has no steps"):
        vi.fit(method="dadvi", model=model, callbacks=[print])
    for draws in (0, 1, 3):
        with pytest.raises(ValueError, match="draws"):
            vi.DADVI(model=model, draws=draws)
    with pm.Model() as steep:
        x = pm.Flat("x")
        pm.Potential("steep", -pm.math.exp(pm.math.exp(x)))
    with pytest.raises(ValueError, match="not finite at some draws around the start"):
        vi.fit(method="dadvi", model=steep, start={"x": 0.0}, start_sigma={"x": 100.0})


@pytest.mark.parametrize("prior", [pm.Flat, pm.HalfFlat])
def test_an_elbo_without_a_bound_is_refused(prior):
    with pm.Model() as model:
        prior("x")
        pm.Normal("y", pm.Normal("mu"), 1.0, observed=np.ones(3))
    with pytest.raises(ValueError, match=r"no bound: it rises without end along x"):
        vi.fit(method="dadvi", model=model, random_seed=1, progressbar=False)


@pytest.mark.parametrize("narrow", [1e-3, 1e-6])
def test_a_narrow_start_far_from_a_wide_posterior_does_not_stay_there(narrow):
    """The mean of a normal is the mode whatever the pairs: here 3e6, 21 sds from the start."""
    y = 3e6 + 1e6 * np.random.default_rng(0).normal(size=50)
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 1e8)
        pm.Normal("y", x, 1e6, observed=y)
    sd = (50 / 1e6**2 + 1 / 1e8**2) ** -0.5
    approx = vi.fit(
        method="dadvi", model=model, start_sigma={"x": narrow}, random_seed=1, progressbar=False
    )
    # a mean that is d sds off costs d^2 / 2 nats, and a search that has converged leaves ARRIVED
    assert abs(approx.mean.eval()[0] - sd**2 * y.sum() / 1e6**2) / sd < (2 * ARRIVED) ** 0.5
