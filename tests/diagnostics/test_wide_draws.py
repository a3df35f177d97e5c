"""Draws that are wider than q: that their density is theirs, and what they find."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from scipy.stats import multivariate_normal

import vi
from vi.diagnostics.wide_draws import SCALES, wide_draws, wide_log_density

QUIET = {"random_seed": 1, "progressbar": False}


def root(dim, dense):
    rng = np.random.default_rng(3)
    return rng.normal(size=(dim, dim)) if dense else rng.uniform(0.1, 5.0, dim)


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("dim", [1, 3])
def test_the_density_is_that_of_a_sum_of_normals(dim, dense):
    """SciPy's, of each scale in all directions and in each alone."""
    scale, mean = root(dim, dense), np.arange(dim) - 1.0
    matrix = scale if dense else np.diag(scale)
    points = wide_draws(mean, scale, 40, np.random.default_rng(1))
    total = np.zeros(40)
    for s in SCALES:
        for j in range(dim):
            widths = np.ones(dim)
            widths[j] = s
            cov = matrix @ np.diag(widths**2) @ matrix.T
            total += multivariate_normal(mean, cov).pdf(points) / (2 * dim * len(SCALES))
        cov = s**2 * matrix @ matrix.T
        total += multivariate_normal(mean, cov).pdf(points) / (2 * len(SCALES))
    np.testing.assert_allclose(wide_log_density(points, mean, scale), np.log(total), rtol=1e-8)


def test_draws_have_that_density():
    """The mean of the ratio to it of another density, which is narrower, is 1."""
    mean, scale = np.zeros(3), root(3, True)
    points = wide_draws(mean, scale, 20_000, np.random.default_rng(2))
    inner = multivariate_normal(mean, scale @ scale.T).logpdf(points)
    ratios = np.exp(inner - wide_log_density(points, mean, scale))
    assert ratios.mean() == pytest.approx(1.0, abs=5 * ratios.std() / np.sqrt(len(ratios)))


def two_widths(dim, weight, wide):
    """A normal, and with some of the mass a wider one around it."""
    with pm.Model() as model:
        x = pm.Flat("x", shape=dim)
        square = pt.sum(x**2)
        pm.Potential(
            "p",
            pt.logaddexp(
                np.log(1 - weight) - square / 2,
                np.log(weight) - square / (2 * wide**2) - dim * np.log(wide),
            ),
        )
    return model


@pytest.mark.few(1)
@pytest.mark.parametrize(("dim", "weight", "wide"), [(1, 0.1, 10.0), (3, 0.5, 8.0), (5, 0.2, 5.0)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_wide_component_behind_a_narrow_one_is_seen(dim, weight, wide, seed):
    """Nearly all of q's weights are equal, and the sd is off by a factor of two and more."""
    approx = vi.fit(
        method="laplace", model=two_widths(dim, weight, wide), random_seed=seed, progressbar=False
    )
    assert approx.diagnose(random_seed=seed).verdict != "good"


@pytest.mark.slow
def test_a_normal_is_good_for_all_that():
    with pm.Model() as model:
        pm.MvNormal("x", np.zeros(6), np.eye(6) + 0.7)
    found = vi.fit(method="laplace", model=model, random_seed=1).diagnose()
    assert found.verdict == "good"
    # two thousand draws of q among four thousand: their noise
    assert float(abs(found.table["wide_mean"]).max()) < 5 / np.sqrt(2000)


def test_a_spike_that_chains_cannot_enter_is_not_good():
    """Half of the mass is within a thirtieth of q's sd, where no step of chains is taken."""
    with pm.Model() as model:
        b = pm.NormalMixture("b", [0.5, 0.5], [0.0, 0.0], [0.01, 1.0])
        pm.Normal("y", b, 0.3, observed=0.5)
    approx = vi.MeanField(model=model, random_seed=1)
    approx.set_params({"mu": [0.46], "rho": [np.log(np.expm1(0.29))]})
    assert approx.diagnose().verdict != "good"
