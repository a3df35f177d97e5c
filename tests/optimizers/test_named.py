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
from vi.testing import check_optimizer


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


@pytest.mark.few(2)
@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_contract(name):
    """Alone, and as an ordinary transformation in a chain with others."""
    check_optimizer(made(name))
    check_optimizer(optax.chain(made(name), optax.scale(1.0)), settings=False)


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
                test_contract(name)
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


@pytest.fixture
def entered():
    """Registers optimisers under names; they are taken out again."""
    names = []

    def enter(constructor, **options):
        before = set(OPTIMIZERS)
        OPTIMIZERS.register(**options)(constructor)
        names.extend(set(OPTIMIZERS) - before)
        return constructor

    yield enter
    for name in names:
        OPTIMIZERS.unregister(name)


@pytest.mark.parametrize(
    ("inner", "says"),
    [
        ("adam", r"wrapping\(optimizer='adam'\): expected a number or an optimiser, vi\.adam\(\)"),
        (vi.adam, r"wrapping\(optimizer=<function adam.*give one, optimizer=vi\.adam\(\)"),
        (3, r"wrapping\(optimizer=3, .*give one, optimizer=vi\.adam\(\)"),
    ],
    ids=["text", "function", "number"],
)
def test_what_is_wrapped_is_an_optimiser(wrapping, inner, says):
    with pytest.raises(TypeError, match=says):
        wrapping(inner)


def test_settings_by_name_without_a_parameter_of_their_own(entered, tmp_path):
    def loose(learning_rate=0.1, **others):
        return optax.adam(learning_rate, **others)

    made = entered(with_settings(loose))(b1=0.5, nesterov=True)
    assert repr(made) == "loose(learning_rate=0.1, b1=0.5, nesterov=True)"
    assert pickle.loads(pickle.dumps(made)) == made


def test_settings_without_names_are_refused():
    with pytest.raises(TypeError, match=r"takes settings by position alone.*name every argument"):
        with_settings(lambda *settings: optax.adam(*settings))
    with pytest.raises(TypeError, match=r"give the function that makes the optimiser"):
        with_settings(optax.adam(0.1))


def test_one_that_makes_nothing():
    def empty(rate=0.1):
        pass

    with pytest.raises(TypeError, match=r"empty\(rate=0\.1\) must return .*got nothing"):
        with_settings(empty)()


def test_under_another_name_it_is_in_a_file_too(entered, tmp_path):
    def plain(learning_rate=0.1):
        return optax.sgd(learning_rate)

    made = entered(with_settings(plain), name="steepest")(0.05)
    assert made.name == "steepest"
    with pm.Model() as model:
        pm.Normal("x", 1.0, 2.0)
    vi.fit(1, model=model, obj_optimizer=made, progressbar=False).save(tmp_path / "fit.vi")
    assert vi.load(tmp_path / "fit.vi", model=model).settings()["optimizer"] == repr(made)


def test_the_order_of_the_two_lines_is_refused(entered):
    def bare(learning_rate=0.1):
        return optax.sgd(learning_rate)

    with pytest.raises(TypeError, match=r"@OPTIMIZERS\.register above @with_settings"):
        entered(bare)
    assert "bare" not in OPTIMIZERS


def test_two_functions_of_one_name_make_two_optimisers(tmp_path):
    """Equal objects share compiled code, and files find them by name: neither may mix them up."""

    def adam(learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8):
        return optax.sgd(learning_rate)

    other = with_settings(adam)()
    assert other != vi.adam()
    with pm.Model() as model:
        pm.Normal("x", 1.0, 2.0)
    vi.fit(1, model=model, obj_optimizer=other, progressbar=False).save(tmp_path / "fit.vi")
    loaded = vi.load(tmp_path / "fit.vi", model=model)
    with pytest.raises(ValueError, match=r"optimizer adam\(.*file cannot hold.*with_settings"):
        loaded.refine(1, progressbar=False)


def test_with_another_part_it_is_a_plain_transformation():
    changed = vi.adam()._replace(init=optax.sgd(0.1).init)
    assert not isinstance(changed, Named)
    assert changed != vi.adam()


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("adam", {"beta1": 1.5}),
        ("adam", {"beta2": 1.0}),
        ("adamax", {"beta1": 1.0}),
        ("momentum", {"momentum": 1.0}),
        ("nesterov_momentum", {"momentum": 2.0}),
        ("rmsprop", {"rho": 1.5}),
        ("adadelta", {"rho": 1.0}),
        ("adagrad_window", {"n_win": 0}),
        ("scale_free_adam", {"beta1": 1.2}),
        ("scale_free_adam", {"decay_steps": 0.0}),
        ("scale_free_adam", {"stride_threshold": 1.0}),
        ("scale_free_adam", {"max_stride": 0.5}),
        ("sgd", {"learning_rate": np.inf}),
        ("sgd", {"learning_rate": np.nan}),
        ("sgd", {"learning_rate": 0.0}),
        ("sgd", {"learning_rate": 10**400}),
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused_at_once(name, settings):
    (key,) = settings
    with pytest.raises(ValueError, match=rf"{name}\({key}=.*must be a "):
        OPTIMIZERS[name](**settings)


@pytest.mark.parametrize(
    ("function", "call"), [(optax.lion, r"optax\.lion\("), (optax.rmsprop, r"optax\.rmsprop\(")]
)
def test_a_function_that_makes_one_is_hinted_by_its_name(function, call):
    with pm.Model() as model:
        pm.Normal("x", 1.0, 2.0)
    with pytest.raises(TypeError, match=f"not an optimiser.*Call it: {call}"):
        vi.fit(1, model=model, obj_optimizer=function)
