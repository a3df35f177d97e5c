"""Importance weights: when they can be relied on."""

import numpy as np
import pytest

from vi.diagnostics.importance import largest_reliable, smoothed


def weights(ratio, rng, draws=2000):
    """Weights of standard normal draws, p / q by its logarithm."""
    z = rng.standard_normal(draws)
    log_q = -0.5 * z**2
    return smoothed(log_q + ratio(z), log_q)


def test_nearly_equal_weights_are_reliable_whatever_their_tail(rng):
    """A tail that grows without end, of which 2,000 draws see a few tenths of a nat."""
    found = [weights(lambda z: 0.002 * np.exp(1.8 * z), rng) for _ in range(20)]
    # the median of k is above the limit: half of these would have been called unreliable
    assert np.median([each.k for each in found]) > largest_reliable(2000)
    assert all(each.reliable for each in found)


def test_a_heavy_tail_is_not(rng):
    """p is flat: weights have no mean, and k is 1."""
    found = [weights(lambda z: z**2 / 2, rng) for _ in range(20)]
    assert np.mean([each.reliable for each in found]) < 0.2
    assert max(each.ess for each in found) < 0.5 * 2000


def test_a_wider_q_is(rng):
    """p's variance is half of q's: no weight is above sqrt(2)."""
    found = weights(lambda z: -(z**2) / 2, rng)
    assert found.reliable
    assert found.ess < 0.9 * 2000


@pytest.mark.parametrize("draws", [2, 4, 5, 24, 25])
def test_few_draws_have_weights_and_no_tail(draws, rng):
    log_p, log_q = rng.standard_normal((2, draws))
    found = smoothed(log_p, log_q)
    assert np.isclose(np.exp(found.log_weights).sum(), 1.0)
    ratio = np.exp(log_p - log_q)
    if draws < 25:
        np.testing.assert_allclose(np.exp(found.log_weights), ratio / ratio.sum())
        assert found.k == np.inf
    assert not found.reliable


@pytest.mark.parametrize(("draws", "limit"), [(100, 0.5), (1000, 2 / 3), (10**6, 0.7)])
def test_the_limit(draws, limit):
    assert largest_reliable(draws) == pytest.approx(limit)


def test_a_few_draws_alike_with_all_the_weight_show_no_tail():
    log_q = np.zeros(2000)
    log_p = np.where(np.arange(2000) < 30, 1e40, 0.0)
    found = smoothed(log_p, log_q)
    assert found.k == np.inf
    assert np.exp(found.log_weights).sum() == pytest.approx(1.0)
