"""Data that change so that few rows no longer stand for all, or that never let them."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest

import vi
from vi.foundation.precision import precision
from vi.targets import from_pymc
from vi.targets.batches.setting import GraphSetting

PLAIN, FEW = GraphSetting(training=False, rewrite=False), GraphSetting(training=False, rewrite=True)
ROWS = 400
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(2, ROWS))
BACKENDS = pytest.mark.parametrize("backend", ["jax", "pytensor"])


def assert_same(model, backend):
    """Value and gradient of a target of few rows, as it is made for the present data."""
    points = np.random.default_rng(1).normal(size=(4, sum(v.size for v in _point(model))))
    with precision(np.dtype("float64")):
        found = [
            target.value_and_score(points, target.batch())
            for target in (from_pymc(model, backend=backend, setting=s) for s in (PLAIN, FEW))
        ]
    for plain, few in zip(*found, strict=True):
        np.testing.assert_allclose(few, plain, rtol=1e-10, atol=1e-10)


def _point(model):
    return [np.asarray(value) for value in model.initial_point().values()]


@BACKENDS
@pytest.mark.parametrize("spread", [pt.broadcast_to, lambda term, shape: pt.alloc(term, *shape)])
def test_a_term_that_is_repeated_counts_as_often(backend, spread):
    """Five times the sum over rows of -(mu - x)^2, plus the prior's log N(mu | 0, 10)."""
    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, 10.0)
        pm.Potential("p", spread((-((mu - X) ** 2))[:, None], (ROWS, 5)))
    assert_same(model, backend)
    expected = -5 * np.sum((1.0 - X) ** 2) - 0.5 * np.log(2 * np.pi * 100) - 0.5 / 100
    target = from_pymc(model, backend=backend, setting=FEW)
    # PyTensor folds logs of small integers in float32
    np.testing.assert_allclose(target.log_prob(np.ones((1, 1))), expected, rtol=1e-8)


@BACKENDS
def test_other_columns(backend):
    with pm.Model() as model:
        data = pm.Data("data", RNG.normal(size=(ROWS, 3)))
        pm.Normal("y", pm.Normal("c"), pm.HalfNormal("s"), observed=data)
    assert_same(model, backend)
    pm.set_data({"data": 5.0 + RNG.normal(size=(ROWS, 6))}, model=model)
    assert_same(model, backend)


@BACKENDS
def test_other_predictors(backend):
    with pm.Model() as model:
        x = pm.Data("x", X[:, None])
        pm.Normal("y", (pm.Normal("c") * x).sum(axis=1), 1.0, observed=Y)
    assert_same(model, backend)
    pm.set_data({"x": RNG.normal(size=(ROWS, 3))}, model=model)
    assert_same(model, backend)


@BACKENDS
def test_rows_that_mixed_unseen(backend):
    """Of zeros the running sum is zero whatever the rows beside."""
    with pm.Model() as model:
        x = pm.Data("x", np.zeros(ROWS))
        pm.Normal("y", pt.cumsum(pm.Normal("c") * x), 1.0, observed=Y)
    assert_same(model, backend)
    pm.set_data({"x": (RNG.random(ROWS) < 0.1).astype(float)}, model=model)
    assert_same(model, backend)


@BACKENDS
def test_no_rows_at_all(backend):
    with pm.Model() as model:
        group, y = pm.Data("group", RNG.integers(4, size=ROWS)), pm.Data("data", Y)
        pm.Normal("y", pm.Normal("t", shape=4)[group], 1.0, observed=y)
    assert_same(model, backend)
    pm.set_data({"group": np.zeros(0, int), "data": np.zeros(0)}, model=model)
    assert_same(model, backend)


def test_a_target_at_hand_does_not_go_on_with_what_is_no_longer_true():
    with pm.Model() as model:
        x = pm.Data("x", np.zeros(ROWS))
        pm.Normal("y", pt.cumsum(pm.Normal("c") * x), 1.0, observed=Y)
    target = from_pymc(model, setting=FEW)
    pm.set_data({"x": np.ones(ROWS)}, model=model)
    with pytest.raises(ValueError, match=r"data of y have changed.*rewrite=False"):
        target.log_prob(np.zeros((1, 1)))


@BACKENDS
def test_conditions_on_data_follow_them_in_mid_run(backend):
    """Times are cut at 1; after 50 steps none of them is: q goes on, and arrives where
    the posterior of the new data is.
    """
    times = np.minimum(np.abs(X), 1.0)
    with pm.Model() as model:
        t, rate = pm.Data("t", times), pm.HalfNormal("rate", 3.0)
        pm.Potential("p", pt.switch(t >= 1.0, -rate, pt.log(rate) - rate * t))

    def change(approx, losses, i):
        if i == 50:
            pm.set_data({"t": times * 0.999}, model=model)

    fits = []
    for rewrite in (False, True):
        pm.set_data({"t": times}, model=model)
        fits.append(
            vi.fit(
                200,
                "advi",
                model,
                random_seed=1,
                backend=backend,
                callbacks=[change],
                rewrite=rewrite,
                progressbar=False,
            )
        )
    plain, few = fits
    np.testing.assert_allclose(few.mean.eval(), plain.mean.eval(), rtol=1e-6)


def test_a_term_of_a_batch_that_is_repeated_counts_as_often():
    with pm.Model() as model:
        x = vi.Minibatch(X, batch_size=50)
        mu = pm.Normal("mu", 0.0, 10.0)
        term = (-((mu - x) ** 2))[:, None]
        pm.Potential("p", pt.broadcast_to(term, (x.shape[0], 5)))
    options = {"scale": {"p": "rows"}, "random_seed": 1, "progressbar": False}
    fit = vi.fit(2000, "fullrank_advi", model, **options)
    # the sd of 5 * 400 terms of precision 2; with one of five it would be 2.2 times as large
    assert fit.std.eval()[0] == pytest.approx(1 / np.sqrt(2 * 5 * ROWS), rel=0.1)
