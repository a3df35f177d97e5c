"""The search before the first step: where it goes, and that it never leads to a worse place."""

import copy
import logging

import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytest

import vi
from vi.algorithms import Gradient
from vi.approximation.record.begin import with_algorithm
from vi.approximation.record.log_density import target_of
from vi.approximation.steps.warm_start import can_warm_start, warm_started

SAME = {"random_seed": 3, "progressbar": False}


def hierarchy():
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(20), 100)
    y = 1 + 0.8 * rng.normal(size=20)[group] + 0.2 * rng.normal(size=2000)
    with pm.Model() as model:
        scale, offset = pm.HalfNormal("scale", 5.0), pm.Normal("offset", 0.0, 1.0, shape=20)
        level = pm.Normal("level", 0.0, 10.0)
        pm.Normal("y", level + scale * offset[group], pm.HalfNormal("noise", 5.0), observed=y)
    return model


def normal():
    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, 10.0)
        pm.Normal("y", mu, 1.0, observed=[1.0, 3.0])
    return model


@pytest.mark.slow
def test_travels_a_ridge():
    """Nats above the steps alone: far more than the Monte-Carlo error of 0.02."""
    model = hierarchy()
    with_it, without = (
        vi.fit(method="advi", model=model, inf_kwargs={"warm_start": each}, **SAME)
        .diagnose(draws=4000, chains=0)
        .elbo
        for each in (True, False)
    )
    assert with_it > without + 2


def test_is_part_of_the_run_however_it_is_cut():
    """fit(0) and refine, or a copy in between, are one fit, bit for bit."""
    model = normal()
    whole = vi.fit(30, "advi", model, **SAME)
    cut = vi.fit(0, "advi", model, **SAME)
    assert cut.std.eval()[0] == pytest.approx(np.log(2), rel=1e-6)  # PyMC's start until a step
    other = copy.deepcopy(cut)
    cut.refine(10, progressbar=False).refine(20, progressbar=False)
    other.refine(30, progressbar=False)
    for approx in (cut, other):
        np.testing.assert_array_equal(approx.hist, whole.hist)
        np.testing.assert_array_equal(approx.mean.eval(), whole.mean.eval())


def test_is_remembered_by_files(tmp_path):
    model = normal()
    vi.fit(0, "advi", model, **SAME).save(tmp_path / "fit.npz")
    loaded = vi.load(tmp_path / "fit.npz", model=model)
    loaded.refine(20, progressbar=False)
    np.testing.assert_array_equal(loaded.hist, vi.fit(20, "advi", model, **SAME).hist)


def _warm_start(approx, **options):
    """Whether a fit with these options would have one."""
    inference = vi.KLqp(approx, **options)
    inference.fit(0, progressbar=False)
    return approx.record.warm_start


def test_where_there_is_none():
    model = normal()
    assert _warm_start(vi.MeanField(model=model))
    assert not _warm_start(vi.MeanField(model=model), warm_start=False)
    given = vi.ADVI(model=model)
    given.fit(0, obj_optimizer=vi.adam(1e-2), progressbar=False)
    assert not given.approx.record.warm_start
    # what was found in one go, and what was set, is a start that somebody has chosen
    assert not _warm_start(vi.fit(method="laplace", model=model, **SAME))
    assert not _warm_start(vi.MeanField(model=model).set_params({"mu": [5.0]}))
    begun = vi.fit(0, "advi", model, **SAME)
    assert not begun.set_params({"mu": [5.0]}).record.warm_start
    with pm.Model() as batches:
        mu = pm.Normal("mu", 0.0, 1.0)
        rows = vi.Minibatch(np.arange(100.0), batch_size=10)
        pm.Normal("y", mu, 1.0, observed=rows, total_size=100)
    assert not _warm_start(vi.MeanField(model=batches))


def test_warm_start_is_a_switch():
    with pytest.raises(TypeError, match="warm_start='no': must be True or False"):
        vi.ADVI(model=normal(), warm_start="no")


def test_a_start_that_is_better_is_kept():
    """At the exact posterior the fixed draws can only be worse; the state is the very same."""
    model = normal()
    approx = vi.MeanField(model=model, random_seed=1)
    variance = 1 / (2 + 1 / 100)
    rho = np.log(np.expm1(np.sqrt(variance)))
    approx.set_params({"mu": [4 * variance], "rho": [rho]})
    family = approx.family
    algorithm = Gradient(family, vi.scale_free_adam(), objective=vi.objectives.ClosedFormEntropy())
    fit = with_algorithm(approx.record, algorithm)
    assert can_warm_start(fit)
    state = warm_started(fit, target_of(fit, "steps"), fit.run)
    # antithetic pairs have no mean, so that the location is exact; the scale is that of ten draws
    if state is not fit.run:
        np.testing.assert_allclose(state.params["mu"], fit.run.params["mu"], atol=1e-6)
        pytest.fail("the scale of ten fixed draws was taken for the exact one")


def test_a_start_that_overflows_is_left_to_the_steps():
    """No search where log p is not finite at draws around the start; steps say so themselves."""

    def log_p(x):
        return jnp.sum(jnp.where(x > 0.0, -x, -jnp.inf))

    model = vi.targets.from_function(log_p, init=jnp.array([1e-3]))
    approx = vi.MeanField(model=model, random_seed=1)
    algorithm = Gradient(approx.family, vi.scale_free_adam())
    fit = with_algorithm(approx.record, algorithm)
    assert warm_started(fit, target_of(fit, "steps"), fit.run) is fit.run


def test_every_start_of_several_is_searched(caplog):
    with caplog.at_level(logging.INFO, "vi"):
        vi.fit(20, "advi", normal(), restarts=3, **SAME)
    assert caplog.text.count("Start at the ELBO") == 3
