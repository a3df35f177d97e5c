"""Every registered objective: an estimate that traces, and one of a user's in fits and files."""

from __future__ import annotations

from dataclasses import dataclass, fields

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytest
from seeds import seed

import vi
from vi.families import MeanField
from vi.objectives import ESTIMATORS, Objective
from vi.testing import check_objective


@pytest.mark.slow
@pytest.mark.parametrize("name", list(ESTIMATORS))
def test_contract(name):
    check_objective(ESTIMATORS[name], steps=1_000, left=0.01, seed=seed(0))


@pytest.fixture
def renyi():
    """A bound that is no ELBO, as a user would write it; taken out again afterwards."""

    @ESTIMATORS.register
    @dataclass(frozen=True)
    class Renyi(Objective):
        alpha: float = 0.5
        short_name = "a_bound"
        loss_name = "minus the Renyi bound"
        fewest_draws = 2

        def loss(self, family, params, noises, log_prob):
            points, log_q = jax.vmap(lambda e: family.draw_and_log_prob(params, e))(noises)
            ratios = (1.0 - self.alpha) * (log_prob(points) - log_q)
            return -(jax.nn.logsumexp(ratios) - jnp.log(len(ratios))) / (1.0 - self.alpha)

    yield Renyi
    ESTIMATORS.unregister("a_bound")


def test_names_classes_and_objects_are_taken_and_files_hold_them(renyi, tmp_path):
    with pm.Model() as model:
        pm.Normal("x", 1.0, 2.0)
    fits = [
        vi.fit(20, model=model, estimator=given, obj_n_mc=4, random_seed=1, progressbar=False)
        for given in ("a_bound", renyi, renyi(), renyi(alpha=0.9))
    ]
    for fit in fits[1:3]:
        np.testing.assert_array_equal(fit.hist, fits[0].hist)
    assert not np.array_equal(fits[3].hist, fits[0].hist)
    assert "alpha=0.9" in fits[3].settings()["objective"]
    assert fits[3].settings()["loss"] == "minus the Renyi bound"
    fits[3].save(tmp_path / "fit.npz")
    again = vi.load(tmp_path / "fit.npz", model=model)
    for one in (fits[3], again):
        one.refine(5, progressbar=False)
    np.testing.assert_array_equal(fits[3].hist, again.hist)


def test_beta_goes_to_objectives_that_have_its_weights(renyi):
    with pm.Model() as model:
        pm.Normal("x", 1.0, 2.0)
    for kind in ESTIMATORS.values():
        if "entropy_weight" in {field.name for field in fields(kind)}:
            made = vi.ADVI(model=model, estimator=kind, beta=2.0).objective
            assert made == kind(entropy_weight=2.0, prior_weight=2.0)
    for given in ("a_bound", renyi(), ESTIMATORS["monte_carlo"](entropy_weight=2.0)):
        with pytest.raises(TypeError, match=r"beta=0\.5.*give an instance"):
            vi.ADVI(model=model, estimator=given, beta=0.5)


@pytest.mark.parametrize(
    ("estimator", "error"), [("best", ValueError), (3, TypeError), (MeanField, TypeError)]
)
def test_what_is_no_objective(estimator, error):
    with pm.Model() as model:
        pm.Normal("x", 1.0, 2.0)
    with pytest.raises(error, match=r"estimator=.*'sticking_the_landing'"):
        vi.ADVI(model=model, estimator=estimator)


def test_fewer_draws_than_it_needs_are_refused(renyi):
    inference = vi.KLqp(vi.MeanField(model=rows(), random_seed=1), estimator=renyi)
    with pytest.raises(ValueError, match=r"obj_n_mc=1.*'a_bound' needs at least 2 draws a step"):
        inference.fit(5, obj_n_mc=1, progressbar=False)
    inference.fit(5, progressbar=False)
    assert inference.approx.record.algorithm.n_draws == 2


@pytest.mark.slow
@pytest.mark.parametrize("where", ["model", "replacements", "stream", "local"])
def test_batches_are_refused_for_what_is_not_linear_in_log_p(renyi, where):
    """E[f(log p of a batch)] is not f(log p): a bound of importance weights would go elsewhere."""
    x = np.arange(12.0)
    model, options = rows(), {}
    if where == "model":
        model = rows(vi.Minibatch(x, batch_size=4))
    elif where == "replacements":
        options = {"more_replacements": {model["x"]: vi.Minibatch(x, batch_size=4)}}
    elif where == "stream":
        options = {"data": vi.data.Stream(vi.data.source_from({"x": x}), 4)}
    groups = None
    if where == "local":
        with pm.Model() as model:
            z = pm.Normal("z", shape=4)
            pm.Normal("y", z, observed=vi.Minibatch(x, batch_size=4), total_size=12)
        groups = [vi.Group([z], local=True)]
    approx = (
        vi.MeanField(model=model, random_seed=1)
        if groups is None
        else vi.Approximation(groups, model=model, random_seed=1)
    )
    before = approx.record
    with pytest.raises(ValueError, match="'a_bound' does not say that it is linear in log p"):
        vi.KLqp(approx, estimator=renyi).fit(5, progressbar=False, **options)
    assert approx.record is before
    vi.KLqp(approx, estimator="monte_carlo").fit(2, progressbar=False, **options)


def rows(x=None):
    """The mean of twelve rows, in a container or a batch."""
    with pm.Model() as model:
        x = pm.Data("x", np.arange(12.0)) if x is None else x
        mean = pm.Normal("mean", 0.0, 10.0)
        pm.Normal("y", mean, 1.0, observed=x, total_size=12)
    return model
