"""Short chains leave draws of p what they are, and move others towards p."""

from __future__ import annotations

import numpy as np
import pytest

from vi.diagnostics.nudge import KEPT, LEAPS, STEPS, nudge

CHAINS = 1000


def normal(mean, cov):
    precision = np.linalg.inv(cov)

    def evaluate(points):
        scores = -(points - mean) @ precision
        return 0.5 * ((points - mean) * scores).sum(axis=1), scores

    return evaluate


def correlated(dim, correlation):
    scale = np.logspace(-3, 3, dim)
    cov = np.full((dim, dim), correlation) + (1 - correlation) * np.eye(dim)
    return np.arange(dim) * scale, cov * np.outer(scale, scale)


@pytest.mark.parametrize("dim", [1, 10])
def test_draws_of_p_stay_what_they_are(dim):
    """Means and sds to five standard errors of as many independent draws as there are chains."""
    mean, cov = correlated(dim, 0.5)
    root, generator = np.linalg.cholesky(cov), np.random.default_rng(1)
    points = mean + generator.standard_normal((CHAINS, dim)) @ root.T
    nudged = nudge(normal(mean, cov), points, root, generator)
    sd = np.sqrt(np.diag(cov))
    assert np.abs((nudged.mean - mean) / sd).max() < 5 / np.sqrt(CHAINS)
    assert np.abs(np.log(nudged.std / sd)).max() < 5 / np.sqrt(2 * CHAINS)
    assert nudged.accepted == pytest.approx(0.75, abs=0.05)
    assert nudged.gradients == CHAINS * (STEPS * LEAPS + 1)
    assert nudged.points.shape == (KEPT, CHAINS, dim)


def test_a_wrong_mean_and_wrong_sds_are_moved_by_most_of_what_is_wrong():
    mean, cov = np.zeros(3), np.eye(3)
    generator = np.random.default_rng(1)
    points = 1.0 + 0.5 * generator.standard_normal((CHAINS, 3))
    nudged = nudge(normal(mean, cov), points, np.full(3, 0.5), generator)
    assert np.all(nudged.mean < 0.5)
    assert np.all(nudged.std > 0.8)


def test_walls_of_no_density_reject():
    """A half normal: its mean is sqrt(2 / pi), its sd sqrt(1 - 2 / pi)."""

    def evaluate(points):
        inside = points[:, 0] > 0
        return np.where(inside, -0.5 * points[:, 0] ** 2, -np.inf), -points

    generator = np.random.default_rng(1)
    points = np.abs(generator.standard_normal((CHAINS, 1)))
    nudged = nudge(evaluate, points, np.ones(1), generator)
    assert np.all(nudged.points > 0)
    sd = np.sqrt(1 - 2 / np.pi)
    assert abs(nudged.mean[0] - np.sqrt(2 / np.pi)) < 5 * sd / np.sqrt(CHAINS)
    # kurtosis 3.87: the log of the sd has a variance of (3.87 - 1) / 4 n
    assert abs(np.log(nudged.std[0] / sd)) < 5 * np.sqrt(2.87 / 4 / CHAINS)


def test_langevin_steps_leave_draws_of_p_what_they_are_too():
    mean, cov = correlated(3, 0.5)
    root, generator = np.linalg.cholesky(cov), np.random.default_rng(1)
    points = mean + generator.standard_normal((CHAINS, 3)) @ root.T
    nudged = nudge(normal(mean, cov), points, root, generator, leaps=1)
    sd = np.sqrt(np.diag(cov))
    assert np.abs((nudged.mean - mean) / sd).max() < 5 / np.sqrt(CHAINS)
    assert np.abs(np.log(nudged.std / sd)).max() < 5 / np.sqrt(2 * CHAINS)
    assert nudged.gradients == CHAINS * (STEPS + 1)


def test_what_is_known_where_chains_start_is_not_asked_for_again():
    mean, cov = correlated(3, 0.5)
    evaluate, root = normal(mean, cov), np.linalg.cholesky(cov)
    points = mean + np.random.default_rng(1).standard_normal((64, 3)) @ root.T
    whole = nudge(evaluate, points, root, np.random.default_rng(2))
    saved = nudge(evaluate, points, root, np.random.default_rng(2), at_start=evaluate(points))
    np.testing.assert_array_equal(saved.points, whole.points)
    assert whole.gradients - saved.gradients == 64
