"""Points that follow a density without a mode: it is said, and which scale it is."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest

import vi

Y, S = [28.0, 8, -3, 7, -1, 1, 18, 12], [15.0, 10, 16, 11, 9, 11, 10, 18]
SCALES = {"half": lambda: pm.HalfNormal("tau", 5.0), "interval": lambda: pm.Uniform("tau", 0, 10)}
ENDS = {"half": "tau goes to 0", "interval": "tau goes to an end of its support"}


def schools(scale="half", centred=True):
    with pm.Model() as model:
        mu, tau = pm.Normal("mu", 0.0, 5.0), SCALES[scale]()
        if centred:
            theta = pm.Normal("theta", mu, tau, shape=8)
        else:
            theta = mu + tau * pm.Normal("offset", shape=8)
        pm.Normal("y", theta, S, observed=Y)
    return model


def steps(model, groups, n=1000, **options):
    approx = vi.Approximation(groups, model=model, random_seed=1)
    return vi.KLqp(approx).fit(n, progressbar=False, **options)


@pytest.mark.parametrize("scale", ["half", pytest.param("interval", marks=pytest.mark.slow)])
def test_a_centred_hierarchy_of_points(scale):
    """log p gains 7 nats and more with each factor of e in which tau shrinks."""
    approx = steps(schools(scale), "point")
    assert approx.status.ending == "unreliable"
    assert f"rises without end as {ENDS[scale]}" in approx.status.message
    assert "vi.Group([scale], family='point'), vi.Group(None)" in approx.status.message


@pytest.mark.slow
def test_points_beside_a_distribution():
    """mu has one, which bounds nothing; with the effects' there is an optimum."""
    model = schools()
    approx = steps(model, [vi.Group(["mu"]), vi.Group(None, family="point")])
    assert "rises without end as tau goes to 0" in approx.status.message
    bounded = steps(model, [vi.Group(["tau"], family="point"), vi.Group(None)])
    assert bounded.status.ending == "max_steps"


@pytest.mark.slow
def test_what_is_small_or_at_an_end_has_a_mode():
    """A scale of a thousandth; and one of which the mode is 0, where log p becomes level."""
    with pm.Model() as small:
        sigma = pm.HalfNormal("sigma", 1.0)
        pm.Normal("y", 0.0, sigma, observed=1e-3 * np.random.default_rng(1).normal(size=50))
    for model in (small, schools(centred=False)):
        approx = steps(model, "point", 1000)
        assert approx.status.ending == "max_steps", approx.status


@pytest.mark.slow
@pytest.mark.parametrize("starts", [1, 5])
def test_the_search_says_the_same_of_every_transform(starts):
    found = vi.find_map(schools("interval"), starts=starts, random_seed=1)
    assert found.status.ending == "stopped"
    assert "rises without end as tau goes to an end of its support" in found.status.message
    with pytest.raises(ValueError, match="rises without end as tau goes to an end"):
        vi.fit(method="laplace", model=schools("interval"), random_seed=1)
