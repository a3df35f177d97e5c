"""What cannot be fitted is refused before anything compiles, in words that say what was got and
what to do.
"""

import importlib

import jax
import numpy as np
import optax
import pymc as pm
import pytensor.tensor as pt
import pytest

import vi

from_pymc = importlib.import_module("vi.targets.from_pymc")  # vi.targets.from_pymc is the function


@pytest.fixture(autouse=True)
def nothing_compiles(monkeypatch):
    """A target that is made fails the test: refusals come before any compilation of the model."""

    def too_late(*args):
        raise AssertionError("the model was about to be compiled")

    for name in ("JaxTarget", "PytensorTarget"):
        monkeypatch.setattr(from_pymc, name, too_late)


@pytest.fixture(scope="module")
def model():
    with pm.Model(coords={"row": range(3)}) as built:
        mu = pm.Normal("mu", 0.0, 1.0, dims="row")
        sigma = pm.HalfNormal("sigma", 1.0)
        pm.Normal("y", mu, sigma, observed=np.ones(3), dims="row")
    return built


def fit(model, **options):
    return vi.fit(**({"n": 10, "method": "advi", "model": model, "progressbar": False} | options))


def test_the_guard_itself(model):
    """A fit that is not refused reaches compilation, so the tests here can fail."""
    with pytest.raises(AssertionError, match="about to be compiled"):
        fit(model)


def test_discrete_variables_are_named():
    with pm.Model() as model:
        pm.Normal("x")
        pm.Poisson("count", 3.0)
        pm.Bernoulli("flag", 0.5)
    with pytest.raises(ValueError, match=r"Discrete.*: count, flag\. Marginalise .*pm\.sample"):
        fit(model)


@pytest.mark.parametrize("observed", [False, True])
def test_no_free_variables(observed):
    with pm.Model() as model:
        if observed:
            pm.Normal("y", 0.0, 1.0, observed=1.0)
    with pytest.raises(ValueError, match="no free random variables"):
        fit(model)


@pytest.mark.parametrize("call", [vi.fit, vi.ADVI, vi.FullRankADVI, vi.MeanField, vi.FullRank])
def test_no_model(call):
    with pytest.raises(TypeError, match=r"model=.*with model"):
        call()
    with pytest.raises(TypeError, match=r"pymc\.Model, got dict"):
        call(model={})


def test_density_not_finite_where_a_parameter_leaves_its_domain():
    with pm.Model() as model:
        rate = pm.Normal("rate", initval=-3.0)
        other = pm.Normal("other", shape=2)
        pm.Exponential("gaps", scale=rate, observed=[1.0, 2.0])
        pm.Potential("gate", pt.log(other.sum() - 5.0))
        pm.Normal("fine")
    with pytest.raises(ValueError, match="not finite at the start") as caught:
        fit(model)
    message = str(caught.value)
    assert "gaps (" in message
    assert "gate (nan)" in message
    assert "rate = -3." in message
    assert "other = [0. 0.]" in message
    assert "fine" not in message


def test_density_not_finite_where_data_leave_the_support():
    with pm.Model() as model:
        scale = pm.HalfNormal("scale")
        pm.Exponential("gaps", scale=scale, observed=[1.0, -2.5, 2.0])
    with pytest.raises(
        ValueError, match=r"gaps \(-inf at 1 of 3 entries, first at \[1\], observed -2\.5\)"
    ):
        fit(model)


def test_density_not_finite_at_the_given_start(model):
    with pm.Model() as model:
        x = pm.Normal("x")
        pm.Potential("wall", pt.switch(x > 5.0, -np.inf, 0.0))
    with pytest.raises(ValueError, match=r"wall \(-inf\).*x = 6\."):
        fit(model, start={"x": 6.0})


SHARED = pytest.mark.parametrize("argument", ["start", "start_sigma"])


@SHARED
@pytest.mark.parametrize("value", [0.5, [1.0], "prior"])
def test_start_that_is_no_dict(model, argument, value):
    with pytest.raises(TypeError, match=rf"{argument} must be a dict.*got {type(value).__name__}"):
        fit(model, **{argument: value})


@SHARED
@pytest.mark.parametrize("name", ["nu", "y", 3])
def test_start_of_an_unknown_variable(model, argument, name):
    with pytest.raises(
        ValueError, match=rf"{argument} has a value for {name!r}.*Known: mu, sigma\."
    ):
        fit(model, **{argument: {name: 1.0}})


@SHARED
@pytest.mark.parametrize("shape", [(4,), (1, 3), (0,)])
def test_start_of_another_shape(model, argument, shape):
    with pytest.raises(
        ValueError, match=rf"{argument}\['mu'\] has shape \({shape[0]},.*'mu' has .*shape \(3,\)"
    ):
        fit(model, **{argument: {"mu": np.ones(shape)}})


@SHARED
@pytest.mark.parametrize("name", ["mu", "sigma_log__"])
@pytest.mark.parametrize("value", ["wide", None, 1j, True])
def test_start_that_is_no_number(model, argument, name, value):
    with pytest.raises(TypeError, match=rf"{argument}\['{name}'\] must be real numbers, got"):
        fit(model, **{argument: {name: value}})


@SHARED
@pytest.mark.parametrize("value", [np.nan, np.inf, [1.0, np.nan, 1.0]])
def test_start_that_is_not_finite(model, argument, value):
    with pytest.raises(ValueError, match=rf"{argument}\['mu'\].*finite"):
        fit(model, **{argument: {"mu": value}})


@SHARED
def test_start_that_is_ragged(model, argument):
    with pytest.raises(ValueError, match=rf"{argument}\['mu'\] is not an array"):
        fit(model, **{argument: {"mu": [[1.0, 2.0], [3.0]]}})


@pytest.mark.parametrize("value", [0.0, -1.0, [1.0, 0.0, 1.0]])
def test_start_sigma_that_is_not_positive(model, value):
    with pytest.raises(ValueError, match=r"start_sigma\['mu'\] must be positive"):
        fit(model, start_sigma={"mu": value})


def test_start_outside_the_support(model):
    with pytest.raises(ValueError, match=r"start\['sigma'\] = -1.* outside the support of 'sigma'"):
        fit(model, start={"sigma": -1.0})


def test_start_that_depends_on_variables(model):
    with pytest.raises(TypeError, match=r"start\['mu'\] depends on random variables"):
        fit(model, start={"mu": model["sigma"] + np.ones(3)})


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n": -1}, ValueError, "n=-1.*whole number"),
        ({"n": 2.5}, ValueError, "n=2.5"),
        ({"n": True}, ValueError, "n=True"),
        ({"n": "10"}, ValueError, "n='10'"),
        ({"obj_n_mc": 0}, ValueError, "obj_n_mc=0.*at least 1"),
        ({"obj_n_mc": 1.5}, ValueError, "obj_n_mc=1.5"),
        ({"tf_n_mc": 0}, ValueError, "tf_n_mc=0"),
        ({"backend": "torch"}, ValueError, "backend='torch'.*'auto', 'jax' or 'pytensor'"),
        ({"backend": 3}, ValueError, "backend=3"),
        ({"dtype": "float16"}, ValueError, "dtype='float16'.*'float64' or 'float32'"),
        ({"dtype": "fast"}, ValueError, "dtype='fast'"),
        ({"dtype": int}, ValueError, "dtype=.*int"),
        ({"estimator": "best"}, ValueError, "estimator='best'.*sticking_the_landing"),
        ({"method": "nuts"}, ValueError, "method='nuts'.*'advi', 'fullrank_advi'"),
        ({"method": 3}, TypeError, "method must be a name.*got 3"),
        ({"method": dict}, TypeError, "method must be a name"),
        ({"callbacks": print}, TypeError, "callbacks must be a list"),
        ({"callbacks": 3}, TypeError, "callbacks must be a list"),
        ({"callbacks": [None]}, TypeError, "None in callbacks cannot be called"),
        ({"obj_optimizer": optax.adam}, TypeError, "not an optimiser.*Call it"),
        ({"obj_optimizer": "adm"}, ValueError, "obj_optimizer='adm' is unknown"),
        ({"averaging": "median"}, ValueError, "averaging='median'.*polynomial"),
        ({"total_grad_norm_constraint": -1.0}, ValueError, "total_grad_norm_constraint=-1.0"),
        ({"total_grad_norm_constraint": np.nan}, ValueError, "total_grad_norm_constraint=nan"),
        ({"inf_kwargs": {"beta": -1.0}}, ValueError, "beta=-1.0"),
        ({"inf_kwargs": {"typo": 1}}, TypeError, "typo"),
        ({"test_optimizer": vi.adam()}, TypeError, "test_optimizer is not supported: "),
        ({"more_obj_params": []}, TypeError, "more_obj_params is not supported: "),
        ({"more_tf_params": []}, TypeError, "more_tf_params is not supported: "),
        ({"more_updates": {}}, TypeError, "more_updates is not supported: "),
        ({"more_replacements": {1: 2}}, TypeError, "more_replacements"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_arguments(model, options, error, message):
    with pytest.raises(error, match=message):
        fit(model, **options)


def test_replacing_a_free_variable(model):
    with pytest.raises(ValueError, match="free random variable cannot be replaced"):
        fit(model, more_replacements={model["mu"]: model["sigma"]})


def test_arguments_of_an_instance(model):
    inference = vi.ADVI(model=model)
    with pytest.raises(ValueError, match="model= is not the model"):
        vi.fit(method=inference, model=pm.Model())
    with pytest.raises(TypeError, match="dtype cannot be changed"):
        vi.fit(method=inference, dtype="float32")
    with pytest.raises(TypeError, match="call fit"):
        inference.refine(10)
    with pytest.raises(ValueError, match="n=0"):
        inference.run_profiling(0)


def test_a_refused_fit_leaves_the_state(model):
    """The optimiser's state is as it was when an argument of a later fit is refused."""
    inference = vi.ADVI(model=model, random_seed=1)
    inference.fit(0)
    before = inference.state
    for wrong in ({"n": -1}, {"backend": "torch"}, {"callbacks": 3}):
        with pytest.raises((ValueError, TypeError)):
            inference.fit(**wrong)
        assert inference.state is before


@pytest.mark.parametrize("draws", [0, -1, 1.5, True, "10", None])
def test_number_of_draws(model, draws):
    with pytest.raises(ValueError, match=rf"draws={draws!r}"):
        vi.MeanField(model=model).sample(draws)


@pytest.mark.parametrize("shape", [(), (3,), (5,), (2, 3), (4, 0)])
@pytest.mark.parametrize("density", ["logp", "logq"])
def test_points_of_another_length(model, density, shape):
    with pytest.raises(ValueError, match=r"shape \(\.\.\., 4\), got \("):
        getattr(vi.MeanField(model=model), density)(np.zeros(shape))


def test_things_of_another_kind(model):
    with pytest.raises(TypeError, match=r"approx must be a vi\.Approximation"):
        vi.KLqp(vi.MeanField)
    with pytest.raises(ValueError, match=r"family='normal' is unknown; .*an instance of a family"):
        vi.Approximation("normal", model=model)
    with pytest.raises(TypeError, match=r"not supported|unexpected keyword"):
        vi.ADVI(model=model, jax=jax)


@pytest.mark.parametrize("name", ["chain", "draw"])
def test_names_of_the_draws_dimensions(name):
    with pm.Model() as model:
        pm.Normal(name)
    with pytest.raises(ValueError, match=name):
        vi.ADVI(model=model)


@SHARED
def test_two_values_for_one_variable(model, argument):
    with pytest.raises(
        ValueError, match=rf"{argument} has two values .*'sigma' and 'sigma_log__'; leave one out"
    ):
        fit(model, **{argument: {"sigma": 1.0, "sigma_log__": 3.0}})


def test_two_starts_under_one_name(model):
    with pytest.raises(ValueError, match="start has two values for 'mu'"):
        fit(model, start={"mu": 1.0, model["mu"]: 2.0})


def test_every_group_frozen(model):
    approx = vi.Approximation([vi.Group(None, "mean_field", frozen=True)], model=model)
    before = approx.record
    with pytest.raises(ValueError, match=r"Every group is frozen \(.*nothing to fit: .*unfreeze"):
        vi.KLqp(approx).fit(5, progressbar=False)
    assert approx.record is before


@pytest.mark.parametrize("accept", [5, 0, 1.0, -1, None, np.nan, "0.8", True])
def test_a_rate_of_acceptance_is_below_one(model, accept):
    approx = vi.MeanField(model=model)
    with pytest.raises(ValueError, match=r"target_accept=.*above 0 and below 1"):
        approx.nuts_step(target_accept=accept)
    if accept is not None:
        with pytest.raises(ValueError, match=r"target_accept=.*above 0 and below 1"):
            approx.sample_mcmc(draws=1, chains=1, target_accept=accept)
