"""`pm.fit` and the inference classes: names, arguments, defaults, starts, seeds and histories."""

from __future__ import annotations

import inspect

import numpy as np
import pymc as pm
import pymc.variational as pv
import pytest
from two_libraries import (
    OURS,
    X_MEAN,
    X_SD,
    D,
    Y,
    begun,
    both,
    quick,
    small,
)

import vi

METHODS = {
    "advi": "MeanField",
    "fullrank_advi": "FullRank",
    "svgd": "Empirical",
    "asvgd": "FullRank",
}


@both
@pytest.mark.few(2)
@pytest.mark.parametrize("method", METHODS)
def test_a_method_by_name_fits_its_approximation(lib, method):
    approx = quick(lib, 3, method, inf_kwargs={"n_particles": 5} if method == "svgd" else {})
    assert isinstance(approx, getattr(lib, METHODS[method]))
    assert isinstance(approx, lib.Approximation)
    assert approx.ndim == D


@both
@pytest.mark.parametrize("method", ["ADVI", "FullRank_ADVI"])
def test_names_of_methods_in_any_case(lib, method):
    assert quick(lib, 0, method).ndim == D


@both
@pytest.mark.few(1)
@pytest.mark.parametrize("name", ["ADVI", "FullRankADVI"])
def test_an_instance_as_method_fits_its_own_approximation(lib, name):
    inference = begun(lib, name)
    with small():
        approx = lib.fit(3, method=inference, progressbar=False)
    assert approx is inference.approx
    assert len(inference.hist) == 3


@both
def test_kl_of_an_approximation_as_method(lib):
    with small():
        inference = lib.KLqp(lib.MeanField(random_seed=1))
        approx = lib.fit(3, method=inference, progressbar=False)
    assert approx is inference.approx
    assert len(approx.hist) == 3


@both
@pytest.mark.parametrize("method", [3, dict, "".join])
def test_what_is_no_method_is_a_type_error(lib, method):
    with pytest.raises(TypeError):
        quick(lib, 1, method)


@both
def test_without_a_model_there_is_a_type_error(lib):
    with pytest.raises(TypeError):
        lib.fit(1)


@both
def test_the_model_in_context_is_fitted(lib):
    with small() as model:
        approx = lib.fit(0, progressbar=False)
    assert approx.model is model


PYMC_FIT = inspect.signature(pm.fit).parameters


def default(ours, name):
    """An argument's default; that of ``n`` is the method's own, and of ``method`` another one."""
    own = {"n": vi.ADVI.default_n, "method": "advi"}
    return own[name] if name in own and ours[name].default is None else ours[name].default


@pytest.mark.parametrize(
    "name", [name for name, p in PYMC_FIT.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
)
def test_arguments_of_fit_have_their_places_and_defaults(name):
    ours = inspect.signature(vi.fit).parameters
    assert default(ours, name) == PYMC_FIT[name].default
    assert list(ours).index(name) == list(PYMC_FIT).index(name)


@pytest.mark.parametrize("name", ["n", "score", "callbacks", "progressbar"])
def test_arguments_of_an_inference_have_their_places_and_defaults(name):
    theirs = inspect.signature(pv.Inference.fit).parameters
    ours = inspect.signature(vi.Inference.fit).parameters
    assert default(ours, name) == theirs[name].default
    assert list(ours).index(name) == list(theirs).index(name)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("SVGD", ["n_particles", "jitter", "model", "start", "random_seed"]),
        ("Empirical", ["trace", "size"]),
        ("Group", ["group"]),
        ("ASVGD", ["approx"]),
    ],
)
def test_arguments_of_classes_have_their_places(name, arguments):
    for owner in (pv, vi):
        kind = getattr(owner, name)
        assert [a for a in inspect.signature(kind.__init__).parameters if a != "self"][
            : len(arguments)
        ] == arguments


@both
@pytest.mark.parametrize("n", [0, 1, 7])
def test_hist_has_one_loss_a_step(lib, n):
    approx = quick(lib, n)
    assert len(approx.hist) == n
    assert np.all(np.isfinite(approx.hist))


@both
def test_no_steps_leave_the_start(lib):
    approx = quick(lib, 0)
    np.testing.assert_allclose(approx.mean.eval(), [0.0, 1.0, 1.0, 1.0, 0.5], atol=0.04)
    np.testing.assert_allclose(approx.std.eval(), np.log(2.0), rtol=1e-6)


@both
def test_refine_goes_on(lib):
    inference = begun(lib)
    inference.fit(4, progressbar=False)
    inference.refine(3, progressbar=False)
    assert len(inference.hist) == 7


@both
def test_a_second_fit_goes_on_from_the_parameters_of_the_first(lib):
    """As with one optimiser's first step from there: nothing goes back to the start."""
    inference = begun(lib, start={"x": 5.0})
    options = {"obj_optimizer": lib.sgd(learning_rate=1e-9), "progressbar": False}
    inference.fit(1, **options)
    inference.fit(1, **options)
    assert abs(inference.approx.mean.eval()[0] - 5.0) < 1e-6


@both
def test_refine_without_a_fit_is_a_type_error(lib):
    with pytest.raises(TypeError):
        begun(lib).refine(1)


@both
@pytest.mark.parametrize(
    ("start", "entry", "value"),
    [
        ({"x": 1.5}, 0, 1.5),
        ({"s": 2.0}, 4, np.log(2.0)),
        ({"v": np.array([1.0, 2.0, 3.0])}, slice(1, 4), [1.0, 2.0, 3.0]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_start_is_by_name_and_constrained(lib, start, entry, value):
    approx = quick(lib, 0, start=start)
    np.testing.assert_allclose(approx.mean.eval()[entry], value, rtol=1e-6)


@both
@pytest.mark.parametrize("method", ["advi", "fullrank_advi"])
def test_start_for_either_family(lib, method):
    np.testing.assert_allclose(quick(lib, 0, method, start={"x": -2.0}).mean.eval()[0], -2.0)


@both
@pytest.mark.parametrize(
    ("start_sigma", "entry"), [({"x": 0.1}, 0), ({"s_log__": 0.3}, 4)], ids=["x", "s_log__"]
)
def test_start_sigma_is_by_name_of_the_unconstrained_value(lib, start_sigma, entry):
    std = quick(lib, 0, start_sigma=start_sigma).std.eval()
    np.testing.assert_allclose(std[entry], *start_sigma.values(), rtol=1e-6)
    np.testing.assert_allclose(np.delete(std, entry), np.log(2.0), rtol=1e-6)


def test_a_seed_fixes_a_fit():
    """PyMC's seed fixes the start alone, so that this holds here only."""
    one, two, other = (quick(OURS, 5, random_seed=seed).hist for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


@both
def test_inf_kwargs_are_those_of_the_class(lib):
    approx = quick(lib, 0, "svgd", inf_kwargs={"n_particles": 7, "jitter": 0.1})
    assert approx.histogram.get_value().shape == (7, D)


@both
def test_an_unknown_name_in_inf_kwargs_is_a_type_error(lib):
    with pytest.raises(TypeError):
        quick(lib, 0, "svgd", inf_kwargs={"n_particle": 7})


@both
def test_an_unknown_argument_is_a_type_error(lib):
    with pytest.raises(TypeError):
        quick(lib, 1, learning_rat=3)


@both
def test_score_false_keeps_no_losses(lib):
    seen = []
    inference = begun(lib)
    inference.fit(
        3, score=False, callbacks=[lambda a, losses, i: seen.append(losses)], progressbar=False
    )
    assert len(inference.hist) == 0
    assert seen == [None, None, None]


@both
def test_draws_a_step_and_a_limit_of_the_gradient(lib):
    """One step of plain gradient descent moves all parameters together by rate times the limit."""
    approx = quick(
        lib,
        1,
        start={"x": 50.0},
        obj_n_mc=3,
        obj_optimizer=lib.sgd(learning_rate=0.1),
        total_grad_norm_constraint=2.0,
    )
    before = quick(lib, 0, start={"x": 50.0})
    moved = [
        new.get_value() - old.get_value()
        for new, old in zip(approx.params, before.params, strict=True)
    ]
    assert np.linalg.norm(np.concatenate(moved)) == pytest.approx(0.2, rel=1e-3)


@both
def test_more_replacements_put_other_data_in_place(lib):
    model = small()
    approx = quick(
        lib,
        60,
        more_replacements={model["data"]: model["data"] * 0.0 + 20.0},
        obj_optimizer=lib.sgd(learning_rate=0.05),
    )
    assert abs(approx.mean.eval()[0] - 20.0) < 2.0
    np.testing.assert_array_equal(model["data"].get_value(), Y)


@both
def test_a_loss_that_is_not_a_number_is_a_floating_point_error(lib):
    with pytest.raises(FloatingPointError):
        quick(lib, 20, obj_optimizer=lib.sgd(learning_rate=1e300))


@both
def test_discrete_variables_are_a_value_error(lib):
    with pm.Model() as model:
        pm.Poisson("k", 3.0)
        pm.Normal("x")
    with pytest.raises(ValueError, match="iscrete"):
        lib.fit(1, model=model)


@both
def test_profiling_changes_nothing(lib, capsys):
    inference = begun(lib)
    inference.run_profiling(5).summary()
    captured = capsys.readouterr()
    assert captured.out + captured.err
    assert len(inference.hist) == 0


@both
def test_beta_weighs_the_divergence_from_the_prior(lib):
    """y = 2 with sd 1, prior N(0, 1), beta 5: precision of q is (1 + 5) / 5, its mean 2 / 6."""
    with pm.Model() as model:
        x = pm.Normal("x")
        pm.Normal("y", x, 1.0, observed=2.0)
        inference = lib.KLqp(lib.MeanField(model=model, random_seed=1), beta=5.0)
    inference.fit(1500, obj_n_mc=20, obj_optimizer=lib.adam(learning_rate=0.02), progressbar=False)
    # Adam at a rate of 0.02 wanders by about as much
    np.testing.assert_allclose(inference.approx.mean.eval(), 1 / 3, atol=0.1)
    np.testing.assert_allclose(inference.approx.std.eval(), (5 / 6) ** 0.5, atol=0.1)


@both
@pytest.mark.few(1)
@pytest.mark.parametrize("method", ["advi", "fullrank_advi"])
def test_a_conjugate_posterior_is_found(lib, method):
    approx = quick(lib, 1500, method, obj_n_mc=10, obj_optimizer=lib.adam(learning_rate=0.02))
    assert abs(approx.mean.eval()[0] - X_MEAN) < 0.2 * X_SD
    assert abs(approx.std.eval()[0] / X_SD - 1) < 0.2
