"""Images that leave log p as it is: found, told apart, and draws spread over them."""

import numpy as np
import pymc as pm
import pytest

import vi
from vi.approximation.record.log_density import target_of_all_rows
from vi.approximation.results.symmetries import symmetries_of


def target_of(model):
    return target_of_all_rows(vi.Approximation(vi.families.MeanField(), model=model).record)


def product():
    """Two factors whose signs and order the data do not know, and a third variable that they do."""
    with pm.Model() as model:
        factors = pm.Normal("factors", 0.0, 1.0, shape=3)
        level = pm.Normal("level", 0.0, 1.0)
        pm.Normal("y", factors.prod() + level, 0.5, observed=[6.0, 6.5])
    return model


def points_of(target, seed=1):
    rng = np.random.default_rng(seed)
    points = np.array([3.0, 2.0, 1.0, 0.1]) + 0.1 * rng.normal(size=(400, 4))
    return points, target.log_prob(points)


def test_images_that_leave_log_p_are_found():
    target = target_of(product())
    points, log_p = points_of(target)
    found = symmetries_of(target, points, log_p)
    names = [image.name for image in found.images]
    assert any("exchanged" in name for name in names)
    # one sign alone is another posterior
    assert not any(name == "the sign of factors changed" for name in names)
    for image in found.images:
        np.testing.assert_allclose(target.log_prob(image.of(points, target.layout)), log_p)


def test_none_where_log_p_changes():
    with pm.Model() as model:
        x = pm.Normal("x", [0.0, 1.0, 2.0], 1.0)
        pm.Normal("y", x.sum(), 1.0, observed=3.0)
    target = target_of(model)
    points = np.random.default_rng(2).normal(size=(100, 3))
    assert symmetries_of(target, points, target.log_prob(points)) is None


def test_images_are_told_apart():
    """Of draws put at random images, each comes back to one place."""
    target = target_of(product())
    points, log_p = points_of(target)
    found = symmetries_of(target, points, log_p)
    spread = found.spread(points, 3)
    assert np.ptp(spread[:, 0]) > 1.0
    back = found.told_apart(spread.reshape(4, 100, 4)).reshape(400, 4)
    np.testing.assert_allclose(np.sort(np.abs(back), axis=1), np.sort(np.abs(points), axis=1))
    orders = np.argsort(back[:, :3], axis=1)
    assert np.all(orders == orders[0])
    np.testing.assert_allclose(target.log_prob(back), log_p)


def test_draws_are_spread_evenly():
    """Six orders of three entries: each has a sixth of the draws, to five standard errors."""
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 1.0, shape=3)
        pm.Normal("y", (x**3).sum(), 1.0, observed=3.0)
    target = target_of(model)
    points = np.tile([1.0, 2.0, 3.0], (6000, 1)) + 1e-3 * np.arange(6000)[:, None] / 6000
    found = symmetries_of(target, points, target.log_prob(points))
    orders = np.argsort(found.spread(points, 4), axis=1) @ np.array([9, 3, 1])
    shares = np.unique_counts(orders).counts / 6000
    assert len(shares) == 6
    assert np.max(np.abs(shares - 1 / 6)) < 5 * np.sqrt(5 / 36 / 6000)


def test_two_modes_that_are_no_images_stay_apart():
    """Chains in them must not be made to agree."""
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 3.0, shape=2)
        pm.Normal("y", (x**2).sum() + x.sum(), 0.5, observed=4.0)
    target = target_of(model)
    points = np.array([[1.4, 0.3], [0.3, 1.4], [-2.4, 0.3], [0.3, -2.4]])
    found = symmetries_of(target, np.tile(points, (5, 1)), target.log_prob(np.tile(points, (5, 1))))
    back = found.told_apart(points)
    np.testing.assert_allclose(back[0], back[1])
    np.testing.assert_allclose(back[2], back[3])
    assert np.abs(back[0] - back[2]).max() > 1.0


@pytest.mark.parametrize("most", [2, 2001])
def test_not_of_a_single_point_or_too_many_dimensions(most):
    with pm.Model() as model:
        pm.Normal("x", 0.0, 1.0, shape=most)
    target = target_of(model)
    points = np.zeros((20, most))
    points[0, 0] = np.inf
    assert symmetries_of(target, points, target.log_prob(points)) is None
