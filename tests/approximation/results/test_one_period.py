"""Angles: log p comes back at every turn, and a fit of one turn lacks nothing."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest
import scipy.stats
from pymc.distributions import transforms

import vi
from vi.approximation.results.one_period import OnePeriod, in_one_period
from vi.targets.backends.evaluation import evaluation

Y = np.array([3.0, -3.1, 2.6, 3.3 - 2 * np.pi, -2.9])
CONCENTRATION = 4.0


def directions():
    """A uniform direction, seen five times: von Mises again, with the concentration below."""
    with pm.Model() as model:
        mu = pm.Uniform("mu", -np.pi, np.pi, default_transform=None, transform=transforms.circular)
        pm.VonMises("y", mu, CONCENTRATION, observed=Y)
    return model


def posterior():
    resultant = CONCENTRATION * np.exp(1j * Y).sum()
    return scipy.stats.vonmises(abs(resultant), loc=np.angle(resultant))


@pytest.mark.parametrize("turn", [0.0, 2 * np.pi, -4 * np.pi])
def test_a_fit_of_any_turn_is_good(turn):
    exact = posterior()
    centre = exact.mean() + turn
    approx = vi.Laplace(model=directions(), start={"mu": centre + 0.3}, random_seed=1).fit()
    assert abs(approx.mean.eval()[0] - centre) < 1e-3
    found = approx.diagnose(random_seed=1)
    assert found.verdict == "good"
    # so near pi that half of the mass is beyond: within one turn it is whole
    assert np.all(np.abs(found.table["wide_sd"]) < 0.1)
    assert np.abs(found.modes["mode_mean"][:, 0] - centre).max() <= np.pi


@pytest.mark.parametrize("backend", ["jax", "pytensor"])
def test_the_density_of_one_turn(backend):
    approx = vi.fit(method="laplace", model=directions(), random_seed=1, backend=backend)
    target = approx.target()
    centre = np.array([3.1])
    (turned,) = in_one_period(centre, target)
    assert isinstance(turned, OnePeriod)
    points = centre + np.array([[-3.2], [-3.0], [0.0], [3.1], [3.2]])
    within = np.array([False, True, True, True, False])
    values, scores = evaluation(turned)(points)
    every, slopes = evaluation(target)(points)
    np.testing.assert_array_equal(values, np.where(within, every, -np.inf))
    np.testing.assert_array_equal(scores, slopes)
    np.testing.assert_array_equal(np.isfinite(turned.log_prob(points)), within)
    np.testing.assert_allclose(turned.nearest(np.array([3.1 - 7.0])), [3.1 - 7.0 + 2 * np.pi])
    np.testing.assert_allclose(
        turned.constrain(points, ("mu",))["mu"], target.constrain(points, ("mu",))["mu"]
    )


def test_without_angles_it_is_the_target_itself():
    with pm.Model() as model:
        pm.Normal("x")
    target = vi.MeanField(model=model, random_seed=1).target()
    assert in_one_period(np.zeros(1), target, target) == (target, target)


def test_auto_at_the_seam():
    """Half of the draws are near pi and half near minus pi: one direction all the same."""
    approx = vi.fit(model=directions(), random_seed=1, progressbar=False)
    assert approx.diagnosis.verdict == "good"
    draws = approx.sample(2_000, random_seed=1)["posterior"]["mu"].values
    exact = posterior()
    resultant = np.exp(1j * draws).mean()
    sd = exact.std()
    assert abs(np.angle(resultant * np.exp(-1j * exact.mean()))) < 4 * sd / np.sqrt(1_000)
