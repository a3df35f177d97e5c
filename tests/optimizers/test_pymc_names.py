"""PyMC's names of optimisers do what PyMC's do, step by step."""

from __future__ import annotations

import inspect
from functools import partial

import jax.numpy as jnp
import numpy as np
import optax
import pymc as pm
import pytensor
import pytest
from pymc.variational import updates as pymc_updates

import vi
from vi.optimizers import OPTIMIZERS

SHARED_NAMES = [name for name in OPTIMIZERS if hasattr(pymc_updates, name)]


def gradients(steps=30):
    rng = np.random.default_rng(0)
    return rng.normal(size=(steps, 4)) * np.array([0.1, 1.0, 10.0, 1.0]) + np.array(
        [0.0, 0.5, -3.0, 0.0]
    )


def path_with_optax(optimizer, start):
    params, state = jnp.asarray(start, jnp.float32), optimizer.init(jnp.asarray(start, jnp.float32))
    path = []
    for gradient in gradients():
        update, state = optimizer.update(jnp.asarray(gradient, jnp.float32), state, params)
        params = optax.apply_updates(params, update)
        path.append(np.asarray(params))
    return np.array(path)


def path_with_pymc(function, start):
    """PyMC's updates applied to a loss whose gradient is given."""
    params = pytensor.shared(start, name="params")
    gradient = pytensor.shared(np.zeros_like(start), name="gradient")
    loss = (params * pytensor.gradient.disconnected_grad(gradient)).sum()
    step = pytensor.function([], [], updates=function(loss, [params]), mode="FAST_COMPILE")
    path = []
    for value in gradients():
        gradient.set_value(value)
        step()
        path.append(params.get_value().copy())
    return np.array(path)


@pytest.mark.parametrize("name", SHARED_NAMES)
def test_same_steps_as_pymc(name):
    """float32 against float64 over 30 steps; adam differs by where epsilon stands, far below
    that.
    """
    start = np.array([1.0, -2.0, 0.5, 3.0])
    settings = {"learning_rate": 0.05}
    ours = path_with_optax(OPTIMIZERS[name](**settings), start)
    theirs = path_with_pymc(partial(getattr(pymc_updates, name), **settings), start)
    np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("name", SHARED_NAMES)
def test_same_defaults_as_pymc(name):
    theirs = inspect.signature(getattr(pymc_updates, name)).parameters
    for key, parameter in inspect.signature(OPTIMIZERS[name]).parameters.items():
        assert parameter.default == theirs[key].default, key


def test_pymc_optimisers_are_understood():
    """`obj_optimizer=pm.adagrad_window(learning_rate=1e-2)`, as PyMC's documentation writes it."""
    with pm.Model() as model:
        pm.Normal("x", 1.0, 2.0)
    fits = [
        vi.fit(
            50,
            method="advi",
            model=model,
            random_seed=1,
            obj_optimizer=optimizer,
            progressbar=False,
        ).hist
        for optimizer in (
            pymc_updates.adagrad_window(learning_rate=1e-2),
            vi.adagrad_window(learning_rate=1e-2),
            vi.adagrad_window(learning_rate=2e-2),
        )
    ]
    np.testing.assert_array_equal(fits[0], fits[1])
    assert not np.array_equal(fits[0], fits[2])
