"""Every registered optimiser: its name, its settings, and one that wraps another."""

from __future__ import annotations

import inspect
import pickle

import jax.numpy as jnp
import numpy as np
import optax
import pymc as pm
import pytest

import vi
from vi.foundation.registry import Registry
from vi.optimizers import OPTIMIZERS, Named, with_settings


def made(name, inner=None):
    """An optimiser of that name; what it wraps, settings without defaults, is Adam."""
    parameters = inspect.signature(OPTIMIZERS[name]).parameters.values()
    wrapped = [p.name for p in parameters if p.default is p.empty]
    return OPTIMIZERS[name](**dict.fromkeys(wrapped, inner or vi.adam(learning_rate=0.1)))


def numbers(optimizer):
    """The settings that are numbers, which may be other numbers and may not be negative."""
    return [key for key, value in optimizer.settings.items() if type(value) in (int, float)]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_equal_settings_make_equal_objects(name):
    one, two = made(name), made(name)
    assert one == two
    assert hash(one) == hash(two)
    assert isinstance(one, Named)
    assert one.name == name
    assert pickle.loads(pickle.dumps(one)) == one
    assert list(one.settings) == list(inspect.signature(OPTIMIZERS[name]).parameters)
    for number in numbers(one):
        value = one.settings[number]
        other = value / 2 if type(value) is float and value else value + 1
        assert one != OPTIMIZERS[name](**one.settings | {number: other})
        with pytest.raises(ValueError, match=number):
            OPTIMIZERS[name](**one.settings | {number: -1.0})
    with pytest.raises(TypeError):
        OPTIMIZERS[name](no_such_setting=1.0)


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_it_is_an_ordinary_transformation_that_goes_downhill(name):
    """Two hundred steps on a parabola, chained with others, with and without extra arguments."""
    optimizer = optax.chain(made(name), optax.scale(1.0))
    for extra in ({}, {"value": jnp.zeros(()), "units": jnp.ones(2)}):
        params = jnp.array([3.0, -2.0])
        state = optimizer.init(params)
        for _ in range(200):
            update, state = optimizer.update(2 * params, state, params, **extra)
            params = optax.apply_updates(params, update)
        assert np.all(np.abs(params) < np.array([3.0, 2.0]))


@pytest.mark.parametrize("of_contract", ["settings", "downhill"])
def test_an_optimiser_needs_no_rate_and_no_settings(of_contract):
    @OPTIMIZERS.register
    @with_settings
    def plain():
        return optax.sgd(0.1)

    @OPTIMIZERS.register
    @with_settings
    def named_only(mode="usual", nesterov=False):
        return optax.sgd(0.1, nesterov=nesterov)

    try:
        for name in ("plain", "named_only"):
            if of_contract == "settings":
                test_equal_settings_make_equal_objects(name)
            else:
                test_it_is_an_ordinary_transformation_that_goes_downhill(name)
    finally:
        for name in ("plain", "named_only"):
            OPTIMIZERS.unregister(name)


@pytest.fixture
def wrapping():
    """An optimiser that wraps another, as a user would write it; taken out again afterwards."""

    @OPTIMIZERS.register
    @with_settings
    def wrapping(optimizer, max_norm=1.0, mode="global", loud=False, after=None):
        return optax.chain(optax.clip_by_global_norm(max_norm), optimizer)

    yield wrapping
    OPTIMIZERS.unregister("wrapping")


def test_an_optimiser_wraps_another(wrapping):
    inner = vi.sgd(learning_rate=1.0)
    optimizer = wrapping(inner, max_norm=0.5)
    assert repr(optimizer) == (
        "wrapping(optimizer=sgd(learning_rate=1.0), max_norm=0.5, mode='global', loud=False, "
        "after=None)"
    )
    params = jnp.zeros(2)
    update, _ = optimizer.update(jnp.array([3.0, 4.0]), optimizer.init(params), params)
    np.testing.assert_allclose(update, [-0.3, -0.4], rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"max_norm": "1"}, "max_norm='1'.*number"),
        ({"mode": 3}, "mode=3.*expected a str"),
        ({"loud": 1}, "loud=1.*expected a bool"),
        ({"max_norm": None}, "max_norm=None.*number"),
    ],
)
def test_settings_are_of_the_kind_of_their_defaults(wrapping, settings, match):
    with pytest.raises(TypeError, match=match):
        wrapping(vi.adam(), **settings)


def test_one_that_wraps_another_is_saved_and_goes_on(wrapping, tmp_path):
    with pm.Model() as model:
        pm.Normal("x", 1.0, 2.0)
    approx = vi.fit(
        20, model=model, obj_optimizer=wrapping(vi.adam(learning_rate=0.1)), random_seed=1
    )
    approx.save(tmp_path / "fit.npz")
    again = vi.load(tmp_path / "fit.npz", model=model)
    for one in (approx, again):
        one.refine(5, progressbar=False)
    np.testing.assert_array_equal(approx.hist, again.hist)
    np.testing.assert_array_equal(approx.mean.eval(), again.mean.eval())


def test_names_are_optimisers():
    with pm.Model() as model:
        pm.Normal("x", 1.0, 2.0)
    by_name, by_object = (
        vi.fit(5, model=model, obj_optimizer=optimizer, random_seed=1, progressbar=False).hist
        for optimizer in ("adam", vi.adam())
    )
    np.testing.assert_array_equal(by_name, by_object)
    with pytest.raises(ValueError, match=r"obj_optimizer='adm' is unknown; use .*'adam'"):
        vi.fit(5, model=model, obj_optimizer="adm")


def test_the_table_is_a_registry():
    assert isinstance(OPTIMIZERS, Registry)
