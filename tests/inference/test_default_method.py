"""The method of a fit that names none: the one that chooses, ADVI where its arguments say so."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytest

import vi
from vi.inference.inference import Inference


def model():
    with pm.Model() as made:
        pm.Normal("y", pm.Normal("mu", 0.0, 1.0), 1.0, observed=[1.0, 3.0])
    return made


@pytest.fixture
def chosen(monkeypatch):
    """The classes whose fits were called for, none of which is made."""
    classes = []

    def noted(self, options, restart=None):
        classes.append(type(self))
        return self.approx

    monkeypatch.setattr(Inference, "run", noted)
    monkeypatch.setattr(vi.Auto, "run", noted)
    return classes


OF_ADVI = {
    "obj_optimizer": {"obj_optimizer": vi.adam(learning_rate=0.1)},
    "PyMC's optimiser": {"obj_optimizer": pm.adam(learning_rate=0.1)},
    "obj_n_mc": {"obj_n_mc": 2},
    "averaging": {"averaging": "polynomial"},
    "no averaging": {"averaging": None},
    "total_grad_norm_constraint": {"total_grad_norm_constraint": 1.0},
    "estimator": {"estimator": "monte_carlo"},
    "start_sigma": {"start_sigma": {"mu": 0.1}},
    "restarts": {"restarts": 2},
    "devices": {"devices": 1},
    "mesh": {"mesh": jax.make_mesh((1,), ("x",))},
    "scale_cost_to_minibatch": {"scale_cost_to_minibatch": False},
    "tf_n_mc": {"tf_n_mc": 1},
    "beta": {"inf_kwargs": {"beta": 2.0}},
    "warm_start": {"inf_kwargs": {"warm_start": False}},
    "start_sigma in inf_kwargs": {"inf_kwargs": {"start_sigma": {"mu": 0.1}}},
}


@pytest.mark.parametrize("name", list(OF_ADVI))
def test_arguments_of_one_methods_steps_mean_advi(name, chosen, caplog):
    with caplog.at_level(logging.INFO, logger="vi"):
        vi.fit(5, model=model(), **OF_ADVI[name])
    assert chosen == [vi.ADVI]
    (line,) = [record for record in caplog.records if "method=" in record.getMessage()]
    assert line.levelname == "INFO"
    options = OF_ADVI[name].get("inf_kwargs", OF_ADVI[name])
    assert f"method='advi', since {next(iter(options))}= is given" in line.getMessage()


def test_replacements_mean_advi(chosen):
    x = np.arange(6.0)
    with pm.Model():
        data = pm.Data("x", x)
        pm.Normal("y", pm.Normal("mu"), 1.0, observed=data)
        vi.fit(5, more_replacements={data: vi.Minibatch(x, batch_size=2)})
    assert chosen == [vi.ADVI]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n": 10_000},
        {"method": None},
        {"obj_n_mc": None, "obj_optimizer": None, "restarts": 1, "averaging": "auto"},
        {"callbacks": [lambda approx, losses, i: None], "score": False, "progressbar": False},
        {"start": {"mu": 1.0}, "random_seed": 1, "backend": "pytensor", "dtype": "float32"},
        {"diagnose": True, "include_transformed": True},
        {"inf_kwargs": {"repair": None, "max_evaluations": 10, "random_seed": 1}},
    ],
    ids=lambda options: " ".join(options) or "none",
)
def test_all_other_calls_mean_the_method_that_chooses(options, chosen, caplog):
    with caplog.at_level(logging.INFO, logger="vi"):
        vi.fit(model=model(), **options)
    assert chosen == [vi.Auto]
    assert not [record for record in caplog.records if "method=" in record.getMessage()]


def test_in_every_spelling(chosen):
    vi.fit(model())
    vi.fit(model(), 100)
    with model():
        vi.fit()
        vi.fit(100)
    vi.fit(lambda x: -0.5 * jnp.sum(x**2), init=jnp.zeros(2))
    vi.fit(lambda x: -0.5 * jnp.sum(x**2), 100, init=jnp.zeros(2), obj_n_mc=2)
    assert chosen == [vi.Auto] * 5 + [vi.ADVI]


def test_a_method_that_is_named_stays(chosen, caplog):
    with caplog.at_level(logging.INFO, logger="vi"):
        vi.fit(model=model(), method="fullrank_advi", obj_n_mc=2)
        vi.fit(5, "svgd", model=model(), obj_optimizer=vi.adam())
        vi.fit(model=model(), method=vi.Auto)
    assert chosen == [vi.FullRankADVI, vi.SVGD, vi.Auto]
    assert "since" not in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"obj_n_mc": 2, "inf_kwargs": {"repair": None}},
            "obj_n_mc would mean method='advi', which does not take repair of method='auto'",
        ),
        (
            {"inf_kwargs": {"max_evaluations": 5, "beta": 2.0}},
            "beta would mean method='advi', which does not take max_evaluations",
        ),
        ({"inf_kwargs": {"rank": 3}}, "inf_kwargs has 'rank', which Auto does not take"),
        ({"repair": None}, r"'repair'. It is one of the method: inf_kwargs=\{'repair'"),
        ({"beta": 2.0}, r"'beta'. It is one of the method: inf_kwargs=\{'beta'"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(TypeError, match=message):
        vi.fit(model=model(), **options)


@pytest.mark.filterwarnings("error")
def test_the_one_liner_comes_with_a_verdict():
    approx = vi.fit(model(), random_seed=1, progressbar=False)
    assert list(approx.stages["stage"]) == ["search", "match", "check"]
    assert approx.diagnosis.verdict == "good"
    # two data of sd 1 and a prior of sd 1: mean 4 / 3, variance 1 / 3
    np.testing.assert_allclose(approx.mean.eval(), 4 / 3, rtol=1e-6)
    np.testing.assert_allclose(approx.std.eval(), 3**-0.5, rtol=1e-6)


def test_what_was_written_for_pymc_is_advi_to_the_bit():
    options = {"model": model(), "random_seed": 1, "progressbar": False}
    options |= {"obj_optimizer": pm.adam(learning_rate=0.01), "obj_n_mc": 2}
    bare, named = vi.fit(20, **options), vi.fit(20, method="advi", **options)
    np.testing.assert_array_equal(bare.hist, named.hist)
    assert bare.diagnosis is None


def test_names_of_further_arguments_are_strings():
    with pytest.raises(TypeError, match="give a dict of arguments of the inference class by name"):
        vi.fit(model=model(), inf_kwargs={1: 2})
