"""Code written for `pm.fit` runs: names, argument orders, warnings and refusals."""

from __future__ import annotations

import inspect

import numpy as np
import pymc as pm
import pytest
from problems import conjugate_normal
from pymc.variational import ADVI as PymcADVI
from pymc.variational import fit as pymc_fit

import vi

FIT = {"n": 5, "model": None, "progressbar": False, "random_seed": 1}


def fit(**options):
    return vi.fit(**FIT | {"model": conjugate_normal().model, "method": "advi"} | options)


def test_fit_takes_pymcs_arguments_in_pymcs_order():
    theirs = [
        p for p in inspect.signature(pymc_fit).parameters.values() if p.kind is not p.VAR_KEYWORD
    ]
    ours = inspect.signature(vi.fit).parameters
    assert [p.name for p in theirs if p.kind is p.POSITIONAL_OR_KEYWORD] == [
        p.name for p in ours.values() if p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    assert {p.name for p in theirs} <= set(ours)
    assert not any(p.kind is p.VAR_KEYWORD for p in ours.values())


def test_inference_fit_takes_pymcs_arguments_in_pymcs_order():
    theirs = [
        p
        for p in inspect.signature(PymcADVI.fit).parameters.values()
        if p.kind is not p.VAR_KEYWORD
    ]
    ours = inspect.signature(vi.ADVI.fit).parameters
    assert [p.name for p in theirs if p.kind is p.POSITIONAL_OR_KEYWORD] == [
        p.name for p in ours.values() if p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    assert {p.name for p in theirs} <= set(ours)


def test_every_option_of_fit_reaches_the_inference():
    """What the one-liner hands on is all that `Inference.fit` takes, with the same defaults."""
    one_liner, method = (
        inspect.signature(vi.fit).parameters,
        inspect.signature(vi.Inference.fit).parameters,
    )
    for name, parameter in method.items():
        if name != "self":
            assert one_liner[name].default == parameter.default, name


@pytest.mark.parametrize("name", ["compile_kwargs", "fn_kwargs", "progressbar_theme"])
def test_options_without_effect_warn_and_say_what_replaces_them(name):
    with pytest.warns(UserWarning, match=name):
        fit(**{name: {"a": 1}})


@pytest.mark.parametrize(
    "name", ["test_optimizer", "more_obj_params", "more_tf_params", "more_updates"]
)
def test_options_that_cannot_be_supported_say_why(name):
    with pytest.raises(TypeError, match=f"{name} is not supported: .+"):
        fit(**{name: []})


def test_options_that_are_accepted():
    approx = fit(
        score=True, total_grad_norm_constraint=10.0, more_replacements={}, include_transformed=True,
        scale_cost_to_minibatch=True, tf_n_mc=2, obj_n_mc=2, inf_kwargs={"beta": 1.0}, callbacks=[], backend=None,
    )  # fmt: skip
    assert len(approx.hist) == 5


def test_a_typo_is_an_error():
    with pytest.raises(TypeError, match="obj_optimiser"):
        fit(obj_optimiser=vi.adam())
    with pytest.raises(TypeError, match="betta"):
        fit(inf_kwargs={"betta": 1.0})


@pytest.mark.parametrize("backend", ["numba", "c"])
def test_pymcs_backend_names_mean_pytensor(backend):
    assert fit(backend=backend).target().backend == "pytensor"


def test_methods():
    model = conjugate_normal().model
    assert isinstance(fit(method="FullRank_ADVI"), vi.FullRank)
    assert isinstance(fit(method=vi.FullRankADVI), vi.FullRank)
    with pytest.raises(ValueError, match="fullrank_advi"):
        fit(method="advy")
    with pytest.raises(TypeError, match="method"):
        fit(method=3)
    with pytest.raises(ValueError, match="model="):
        vi.fit(5, method=vi.ADVI(model=model), model=pm.Model(), progressbar=False)
    with pytest.raises(TypeError, match="dtype"):
        vi.fit(5, method=vi.ADVI(model=model), dtype="float32", progressbar=False)


def test_an_instance_goes_on_where_it_is():
    advi = vi.ADVI(model=conjugate_normal().model, random_seed=1)
    vi.fit(5, method=advi, progressbar=False)
    vi.fit(5, method=advi, progressbar=False)
    assert len(advi.hist) == 10


def test_model_from_context():
    with conjugate_normal().model:
        assert vi.fit(3, method="advi", progressbar=False).model is conjugate_normal().model


def test_profiling_leaves_the_run_alone():
    advi = vi.ADVI(model=conjugate_normal().model, random_seed=1)
    advi.fit(10, progressbar=False)
    before = advi.approx.iterate["mu"]
    profile = advi.run_profiling(100)
    assert profile.steps == 100
    assert profile.per_step > 0
    assert "jax.profiler" in str(profile)
    np.testing.assert_array_equal(before, advi.approx.iterate["mu"])
    assert len(advi.hist) == 10


def test_everything_public_is_documented():
    for name in vi.__all__:
        item = getattr(vi, name)
        if inspect.isclass(item) or inspect.isfunction(item):
            assert inspect.getdoc(item), name
