"""Widths of priors in the unconstrained space, against closed forms; what is not known is NaN."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest
from scipy.special import polygamma

import vi
from vi.targets.model.prior_widths import DRAWS, prior_std

# four standard errors of a standard deviation from so many normal draws
RTOL = 4 / np.sqrt(2 * (DRAWS - 1))


def widths(model, seed=1):
    return prior_std(model, vi.MeanField(model=model).layout, seed)


def test_closed_forms():
    with pm.Model() as model:
        scale = pm.LogNormal("scale", -5.0, 0.1)
        pm.Normal("offset", 3.0, scale, shape=2)
        pm.Beta("p", 1e5, 1e5)
        pm.Gamma("rate", 1e4, 1.0)
    found = widths(model)
    log_rate = float(np.sqrt(polygamma(1, 1e4)))
    # the median scale is the offsets' within a percent; the logit of p is twice a log ratio
    expected = [0.1, np.exp(-5.0), np.exp(-5.0), np.sqrt(2e-5), log_rate]
    np.testing.assert_allclose(found, expected, rtol=RTOL)


def test_equal_seeds_give_equal_widths_and_leave_the_models_generators_alone():
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 1e-3)
    before = x.owner.inputs[0].get_value().bit_generator.state
    np.testing.assert_array_equal(widths(model), widths(model))
    assert widths(model)[0] != widths(model, seed=2)[0]
    assert x.owner.inputs[0].get_value().bit_generator.state == before


@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")  # PyTensor's
def test_a_large_prior_does_not_overflow():
    with pm.Model() as model:
        pm.Normal("x", 0.0, 1e200)
    np.testing.assert_allclose(widths(model), 1e200, rtol=RTOL)


def test_what_cannot_be_drawn_is_not_known_and_hides_nothing():
    with pm.Model() as model:
        flat = pm.Flat("flat")
        pm.Normal("below", flat, 1.0)
        pm.CustomDist("custom", logp=lambda value: -(value**2), shape=())
        pm.Normal("x", 0.0, 1.0)
    flat, below, custom, x = widths(model)
    assert np.isnan([flat, below, custom]).all()
    assert x == pytest.approx(1.0, rel=RTOL)


def test_what_takes_long_is_left_out():
    with pm.Model() as model:
        pm.MvNormal("long", np.zeros(300), np.eye(300) * 1e-8)
        pm.AR("loop", [0.5], sigma=1e-3, init_dist=pm.Normal.dist(0.0, 1e-3), steps=3)
    assert np.isnan(widths(model)).all()
