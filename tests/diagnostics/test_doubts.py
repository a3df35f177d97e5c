"""What losses and moments say against a run that ended by itself."""

import numpy as np
import pytest

from vi.diagnostics.doubts import about_losses, about_normal, about_widths, spread

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


def losses_of(eigenvalues, draws=1, count=1000, landing=False, seed=1):
    """Of a normal whose covariance is so many times the posterior's, along each direction."""
    squares = np.random.default_rng(seed).normal(size=(count, draws, len(eigenvalues))) ** 2
    return 0.5 * np.sum((eigenvalues - landing) * squares, axis=-1).mean(axis=-1)


@pytest.mark.parametrize("draws", [1, 10])
@pytest.mark.parametrize("dim", [1, 10, 100])
def test_right_widths_raise_no_doubt(dim, draws):
    """Nor those of independent normals at a correlation of 0.99, at their optimum."""
    assert about_widths(losses_of(np.ones(dim), draws), dim, draws, True) == ("", False)
    correlations = 0.99 + 0.01 * np.eye(dim)
    precision = np.linalg.inv(correlations)
    eigenvalues = np.linalg.eigvalsh(precision / np.diag(precision)[0])
    np.testing.assert_allclose(eigenvalues.mean(), 1.0)
    assert about_widths(losses_of(eigenvalues, draws), dim, draws, False) == ("", False)


@pytest.mark.parametrize("landing", [False, True])
@pytest.mark.parametrize("draws", [1, 10])
def test_widths_that_are_too_large_are_named(draws, landing):
    """sds 4 times too large: losses vary 16 times as much, or 15; 20 times: 400, or 399."""
    for factor, wild in ((4.0, False), (20.0, True)):
        losses = losses_of(np.full(30, factor**2), draws, landing=landing)
        what, is_wild = about_widths(losses, 30, draws, True)
        expected = factor**2 * np.sqrt(15 / draws)
        found = float(what.split("by ")[1].split(" nats")[0].replace(",", ""))
        # quartiles of 1,000 have an error of 4 %, and those of differences of squares are not a
        # normal's, for few terms by some per cent
        assert found == pytest.approx(expected, rel=0.2)
        assert is_wild is wild


def test_a_trend_is_no_width():
    losses = losses_of(np.ones(10)) - 5.0 * np.arange(1000)
    assert about_widths(losses, 10, 1, True) == ("", False)
    assert about_widths(losses[:50] * 1e3, 10, 1, True) == ("", False)  # too few to say
    assert about_widths(losses * 1e3, 0, 1, True) == ("", False)  # points alone
