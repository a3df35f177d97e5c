"""Where a search ends is called a mode only where log p falls to all sides."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytest

import vi


def density(function):
    return vi.targets.from_function(function, np.zeros(2))


@pytest.fixture(scope="module")
def bathtub():
    with pm.Model() as model:
        pm.Beta("p", 0.5, 0.5)
    return model


@pytest.mark.slow
def test_a_density_without_a_bound_has_none(bathtub):
    found = vi.find_map(bathtub, start={"p": 0.6})
    assert found.status.ending == "stopped"
    assert "log p rises to an end of p" in found.status.message
    assert not found.converged.any()


@pytest.mark.slow
def test_of_the_unconstrained_density_there_is_one(bathtub):
    assert vi.find_map(bathtub, jacobian=True).status.ending == "converged"


def test_a_density_that_rises_from_its_saddle_for_ever_has_no_mode(caplog):
    found = vi.find_map(density(lambda z: z[1] ** 2 - z[0] ** 2), start={"x": [0.0, 0.0]})
    assert found.status.ending == "stopped"
    assert "rises to an end of x[1], and has no mode there" in found.status.message
    assert "This is no mode: log p" in caplog.text
    assert not found.converged.any()


def test_a_plain_is_said_to_be_one():
    assert "no one mode" in vi.find_map(density(lambda z: jnp.zeros(()))).status.message


@pytest.mark.parametrize(
    "function",
    [
        lambda z: -jnp.sum((z - 1e6) ** 2),
        lambda z: -jnp.sum((z - 1) ** 4),
        lambda z: -((z[0] - z[1]) ** 2) - 1e-6 * jnp.sum(z**2),
    ],
)
def test_modes_that_are_far_or_shallow_are_modes(function):
    found = vi.find_map(density(function), dtype="float64")
    assert found.status.ending == "converged", found.status
    assert found.status.message.endswith("at the mode.")
