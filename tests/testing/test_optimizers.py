"""The check of optimisers names every fault that it is for."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
import pytest

import vi
from vi.optimizers import with_settings
from vi.testing import check_optimizer

CALLS = itertools.count()


class State(NamedTuple):
    count: jax.Array
    mean: dict


def wrong(fault: str) -> optax.GradientTransformation:
    """Momentum that counts its steps, right but for one chosen fault."""

    def init(params):
        state = State(jnp.zeros((), jnp.int32), jax.tree.map(jnp.zeros_like, params))
        return {
            "a number": state._replace(count=0),
            "key": {"rng_key": jax.random.PRNGKey(0), "mean": state.mean},
        }.get(fault, state)

    def update(gradient, state, params=None):
        old = state["mean"] if fault == "key" else state.mean
        mean = jax.tree.map(lambda m, g: 0.5 * m + g, old, gradient)
        updates = jax.tree.map(lambda m: -0.1 * m, mean)
        if fault == "key":
            noise = jax.random.normal(state["rng_key"])
            updates = jax.tree.map(lambda u: u * (1 + 1e-3 * noise), updates)
            return updates, {"rng_key": state["rng_key"], "mean": mean}
        new = State(state.count + 1, mean)
        if fault == "mutates":
            params["a"] = params["a"] + 1
        updates = {
            "structure": lambda: {"a": updates["a"]},
            "tuple": lambda: tuple(updates.values()),
            "complex": lambda: jax.tree.map(lambda u: u + 0j, updates),
            "shape": lambda: jax.tree.map(lambda u: u[..., None], updates),
            "half type": lambda: jax.tree.map(lambda u: u.astype(jnp.float16), updates),
            "uphill": lambda: jax.tree.map(lambda u: -u, updates),
            "still": lambda: jax.tree.map(jnp.zeros_like, updates),
            "too long": lambda: jax.tree.map(lambda u: 50 * u, updates),
            "impure": lambda: jax.tree.map(lambda u: u + 1e-9 * next(CALLS), updates),
            "python": lambda: jax.tree.map(lambda u: u if float(u.sum()) else -u, updates),
        }.get(fault, lambda: updates)()
        new = {
            "count": lambda: new._replace(count=state.count),
            "state structure": lambda: new._replace(mean=None),
            "state dtype": lambda: new._replace(count=new.count * 1.0),
        }.get(fault, lambda: new)()
        return (updates, new, None) if fault == "three" else (updates, new)

    return optax.GradientTransformation(init, update)


FAULTS = {
    "a number": r"state\.count is 0, a int: .* must be a pytree of arrays",
    "three": r"must return the pair \(updates, state\)",
    "structure": r"updates must have the structure of the parameters, \['a'\] float32 .*they have",
    "tuple": r"updates must have the structure of the parameters",
    "complex": r"updates\['a'\] is complex \(complex64\)",
    "shape": r"updates\['a'\] has the shape \(2, 1\); the parameter has \(2,\)",
    "half type": r"updates\['a'\]: float32 parameters give float16; keep float32",
    "state structure": r"same structure, shapes and types: state\.mean\['a'\] was .* None",
    "state dtype": r"state\.count was \(\(\), dtype\('int32'\)\) and becomes",
    "mutates": r"update\(\) changes what it is given",
    "impure": r"two calls of the same update differ",
    "count": r"state\.count does not grow: the step count is forgotten",
    "key": r"state\['rng_key'\] never changes: the noise is the same in every step",
    "still": r"updates are zero",
    "uphill": r"updates go uphill",
    "too long": r"updates do not go down: .* Give settings with shorter steps",
    "python": r"Traced|must trace",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_names_the_fault(fault):
    with pytest.raises(AssertionError, match=FAULTS[fault]):
        check_optimizer(wrong(fault), settings=False)


def test_a_right_one_passes():
    check_optimizer(wrong(""), settings=False)


def test_settings_are_kept():
    rates = iter([0.1, 0.2])

    @with_settings
    def hidden(scale=1.0):
        return optax.sgd(next(rates) * scale)

    with pytest.raises(AssertionError, match=r"made anew of its settings, makes other updates"):
        check_optimizer(hidden())
    with pytest.raises(AssertionError, match=r"does not know its settings.*with_settings"):
        check_optimizer(optax.sgd(0.1))
    check_optimizer(optax.sgd(0.1), settings=False)
    with pytest.raises(AssertionError, match=r"learning_rate=.* a function, which a file cannot"):
        check_optimizer(vi.sgd(learning_rate=lambda step: 0.1))


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (vi.adam, r"adam makes an optimiser and is none: call it, adam\("),
        (3, r"has no init and no update"),
        (type("Half", (), {"init": None})(), r"has no update"),
    ],
    ids=["function", "number", "half"],
)
def test_what_is_no_optimiser(given, match):
    with pytest.raises(AssertionError, match=match):
        check_optimizer(given)
