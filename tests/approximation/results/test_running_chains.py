"""Chains that go on from where they are, call by call."""

import numpy as np
import pymc as pm
import pytest

import vi
from vi.approximation.record.log_density import target_of_all_rows
from vi.approximation.results.blackjax_kernels import Plan
from vi.approximation.results.chains import agreement
from vi.approximation.results.running_chains import RunningChains

SDS = np.array([0.1, 1.0, 10.0])

CHAINS, STEPS = 4, 200
"""Of every leg here: what is compiled for one serves them all, as tuning is no other code."""


@pytest.fixture(scope="module")
def target():
    with pm.Model() as model:
        pm.Normal("x", [1.0, 2.0, 3.0], SDS)
    return target_of_all_rows(vi.Approximation(vi.families.MeanField(), model=model).record)


@pytest.mark.parametrize("method", ["nuts", "hmc", "rmh"])
def test_legs_are_of_the_density(target, method):
    """Means and sds of a normal, over legs that go on, to five standard errors."""
    chains = RunningChains(target, Plan(method), SDS**2, np.zeros((CHAINS, 3)), 1, 0.5)
    chains.go_on(0, tune=STEPS)
    sizes = chains.sizes.copy()
    legs = [chains.go_on(STEPS)[0] for _ in range(5)]
    np.testing.assert_allclose(chains.sizes, sizes, rtol=1e-12)  # nothing tunes them any more
    points = np.concatenate(legs, axis=1)
    assert points.shape == (4, 1000, 3)
    rhat, ess = agreement(points)
    flat = points.reshape(-1, 3)
    assert np.all(np.abs(flat.mean(axis=0) - [1.0, 2.0, 3.0]) < 5 * SDS / np.sqrt(ess))
    # of autocorrelated squares there are fewer effective ones than of the values
    assert np.all(np.abs(np.log(flat.std(axis=0) / SDS)) < 5 / np.sqrt(ess))
    assert np.all(rhat < 1.1)


def test_every_leg_has_other_noise_and_a_seed_the_same(target):
    def legs():
        chains = RunningChains(target, Plan("nuts"), SDS**2, np.zeros((CHAINS, 3)), 7, 0.8)
        return [chains.go_on(STEPS // 2, tune=STEPS // 2)[0] for _ in range(2)]

    first, again = legs(), legs()
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[0], first[1])


def test_tuning_reaches_its_acceptance_rate(target):
    chains = RunningChains(target, Plan("nuts"), SDS**2, np.zeros((CHAINS, 3)), 2, 0.9)
    for _ in range(2):
        chains.go_on(0, tune=STEPS)
    legs = [chains.go_on(STEPS) for _ in range(2)]
    assert legs[0][0].shape == (CHAINS, STEPS, 3)
    assert legs[0][1]["acceptance_rate"].shape == (CHAINS, STEPS)
    assert abs(np.mean([told["acceptance_rate"] for _, told in legs]) - 0.9) < 0.05


def test_without_draws_the_points_of_tuning_come_back(target):
    chains = RunningChains(target, Plan("nuts"), SDS**2, np.zeros((CHAINS, 3)), 3, 0.8)
    points, told = chains.go_on(0, tune=STEPS)
    assert points.shape == (CHAINS, STEPS, 3)
    assert told["lp"].shape == (CHAINS, STEPS)
    np.testing.assert_array_equal(chains.at, points[:, -1])
