"""Coordinates of chains: non-centred where there are few data, centred where there are many."""

from dataclasses import replace

import numpy as np
import pymc as pm
import pytest

import vi
from vi.approximation.record.log_density import target_of_all_rows
from vi.auto.centring import model_coordinates, nearer_to_normal


def record_of(model):
    return vi.Approximation(vi.families.MeanField(), model=model).record


def effects(sd):
    """Effects of a scale that is not known, each measured with its own precision."""
    with pm.Model() as model:
        log_scale = pm.Normal("log_scale", 0.0, 1.0)
        x = pm.Normal("x", 0.0, pm.math.exp(log_scale), shape=len(sd))
        pm.Normal("y", x, sd, observed=np.linspace(-1.0, 1.0, len(sd)))
    return model


def prior_draws(n, dim, seed=1):
    rng = np.random.default_rng(seed)
    log_scale = rng.normal(size=(4, n, 1))
    return np.concatenate(
        [log_scale, np.exp(log_scale) * rng.normal(size=(4, n, dim - 1))], axis=-1
    )


def test_a_funnel_is_left():
    fit = record_of(effects(np.full(3, 1e3)))  # no data to speak of: the prior
    found, spread, gradients = nearer_to_normal(model_coordinates(fit), prior_draws(200, 4))
    np.testing.assert_array_equal(found.shares, np.zeros(3))
    assert found.moved == ("x",)
    # in these the density is normal, with the scale at the centre: each number is of 200 draws
    scale = np.exp(found.centre[0])
    assert np.all(np.abs(np.log(np.sqrt(spread) / [1.0, *[scale] * 3])) < 5 / np.sqrt(2 * 200))
    assert gradients == 200


def test_effects_that_are_known_stay_as_they_are():
    sd = np.full(3, 1e-3)
    fit = record_of(effects(sd))
    rng = np.random.default_rng(2)
    x = np.linspace(-1.0, 1.0, 3) + sd * rng.normal(size=(4, 200, 3))
    # of the scale given three effects of size 0.8, about
    log_scale = np.log(0.8) + rng.normal(size=(4, 200, 1)) / np.sqrt(7)
    own = model_coordinates(fit)
    found, spread, _ = nearer_to_normal(own, np.concatenate([log_scale, x], axis=-1))
    assert found is None
    assert np.all(np.abs(np.log(np.sqrt(spread[1:]) / sd)) < 5 / np.sqrt(2 * 200))


def test_each_effect_has_its_share():
    """The first is measured, the others are not: draws of the posterior by weights."""
    fit = record_of(effects(np.array([1e-3, 1e3, 1e3])))
    draws = prior_draws(20_000, 4, seed=3)
    # given the first effect, -1: weights of the scale are its density there
    weights = np.exp(-draws[..., 0] - 0.5 * np.exp(-2 * draws[..., 0])).ravel()
    rng = np.random.default_rng(4)
    kept = rng.choice(weights.size, 800, p=weights / weights.sum())
    points = draws.reshape(-1, 4)[kept]
    points[:, 1] = -1.0 + 1e-3 * rng.normal(size=800)
    found, _, _ = nearer_to_normal(model_coordinates(fit), points.reshape(4, 200, 4))
    assert found.shares[0] >= 0.75
    assert np.all(found.shares[1:] <= 0.25)


def test_what_has_no_other_coordinates():
    with pm.Model() as model:
        x = pm.Flat("x", shape=2)
        pm.Potential("p", -0.5 * pm.math.sum(x**2))
    assert model_coordinates(record_of(model)) is None


def test_draws_where_nothing_is_finite_choose_nothing():
    fit = record_of(effects(np.full(3, 1.0)))
    points = np.full((4, 50, 4), np.nan)
    found, spread, _ = nearer_to_normal(model_coordinates(fit), points)
    assert found is None
    assert np.all(spread == 1.0)


def test_precision_is_that_of_the_fit():
    fit = vi.Approximation(
        vi.families.MeanField(), model=effects(np.full(3, 1e3)), dtype="float32"
    ).record
    own = model_coordinates(fit)
    assert own.shares.dtype == own.centre.dtype == np.float32
    found, _, _ = nearer_to_normal(own, prior_draws(200, 4).astype("float32"))
    assert found.shares.dtype == found.centre.dtype == np.float32
    assert found.moved == ("x",)


@pytest.mark.parametrize("shares", [0.0, 0.5])
def test_shares_of_others_do_not_matter_where_it_begins(shares):
    fit = record_of(effects(np.full(3, 1e3)))
    own = model_coordinates(fit)
    points = prior_draws(200, 4)
    begun = replace(own, shares=np.full(3, shares))
    (first, _, _), (other, _, _) = (nearer_to_normal(one, points) for one in (own, begun))
    np.testing.assert_array_equal(first.shares, other.shares)
    assert target_of_all_rows(fit) is first.target


def test_many_variables_with_one_scale():
    with pm.Model() as model:
        log_scale = pm.Normal("log_scale", 0.0, 1.0)
        for number in range(12):
            pm.Normal(f"x{number}", 0.0, pm.math.exp(log_scale))
    found, _, gradients = nearer_to_normal(
        model_coordinates(record_of(model)), prior_draws(200, 13)
    )
    np.testing.assert_array_equal(found.shares, np.zeros(12))
    assert gradients == 200
