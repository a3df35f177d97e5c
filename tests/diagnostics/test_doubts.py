"""What losses and moments say against a run that ended by itself."""

import numpy as np

from vi.diagnostics.doubts import about_losses, about_normal, spread

EPS = float(np.finfo(np.float64).eps)


def trace(seed=0, count=4000, level=100.0):
    return level + np.random.default_rng(seed).normal(size=count)


def test_ordinary_losses_raise_no_doubt():
    for seed in range(20):
        assert not about_losses(trace(seed), EPS)
    # the upper tail of an expectation of exp(normal), as of a scale's logarithm
    heavy = 50 + np.exp(np.random.default_rng(1).normal(size=4000) * 1.5)
    assert not about_losses(heavy, EPS)
    assert not about_losses(np.full(4000, 1e9), EPS)  # many rows


def test_a_few_draws_dominate():
    losses = trace()
    losses[-5] = 1e6  # the mean is 250 above the median, whose quartiles are 1.3 apart
    assert "a few draws dominate" in about_losses(losses, EPS)


def test_a_loss_that_is_all_rounding():
    assert "rounding loses" in about_losses(np.full(4000, -9e53), EPS)
    assert not about_losses(np.full(4000, -9e9), EPS)
    assert "rounding loses" in about_losses(np.full(4000, -9e10), float(np.finfo(np.float32).eps))


def test_a_loss_that_rose():
    losses = trace(level=1e4)
    assert "rose from 100" in about_losses(losses, EPS, (100.0, 1.3))
    assert not about_losses(losses, EPS, (9_990.0, 1.3))


def test_too_few_losses_say_nothing():
    assert not about_losses(np.array([1.0, 1e300]), EPS)


def test_spread_of_a_normal():
    """1.349 sds; the error of a quantile of 40,000 draws is 0.007."""
    assert abs(spread(trace(count=40_000)) - 1.349) < 0.05


def test_moments():
    ones = np.ones(3)
    assert about_normal(ones, ones, np.eye(3), EPS)[0] == ""
    what, where = about_normal(np.array([1e10, 0, 0]), np.array([1e-7, 1, 1]), None, EPS)
    assert "narrower" in what
    assert where.tolist() == [0]
    singular = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    what, where = about_normal(ones, ones, singular, EPS)
    assert "singular" in what
    assert {0, 1} <= set(where.tolist())
