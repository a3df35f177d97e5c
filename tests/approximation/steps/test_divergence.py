"""What a run that diverged says: the part that was not finite, and what helps with that one."""

from __future__ import annotations

import re
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytest

import vi
from vi.objectives import ClosedFormEntropy
from vi.optimizers import Averaging


@pytest.fixture(scope="module")
def model():
    with pm.Model() as built:
        pm.Normal("z")
    return built


def diverged(model, n=3, **options):
    options = {"random_seed": 1, "progressbar": False} | options
    with pytest.raises(vi.DivergedError) as caught:
        vi.fit(n, model=model, **options)
    assert caught.value.approx.status.ending == "diverged"
    return str(caught.value)


@dataclass(frozen=True)
class NotANumber(ClosedFormEntropy):
    short_name = "not_a_number"

    def loss(self, family, params, noises, log_prob):
        return super().loss(family, params, noises, log_prob) * jnp.log(-jnp.ones(()))


@dataclass(frozen=True)
class Steep(ClosedFormEntropy):
    short_name = "steep"

    def loss(self, family, params, noises, log_prob):
        return super().loss(family, params, noises, log_prob) + jnp.sqrt(0.0 * params["mu"][0])


@pytest.mark.parametrize(
    ("objective", "says"),
    [
        (NotANumber(), r"the objective 'not_a_number' \(family 'mean_field'\) is nan, although"),
        (Steep(), r"the gradient of the objective 'steep' .* in mu is not finite, although"),
    ],
    ids=lambda value: getattr(value, "short_name", ""),
)
def test_a_users_objective_is_named(model, objective, says):
    message = diverged(model, estimator=objective)
    assert re.search(says, message)
    assert "priors" not in message


def test_steps_that_are_too_long_are_not_an_objectives_fault(model):
    message = diverged(model, 20, obj_optimizer=vi.sgd(learning_rate=1e3))
    assert "the update of the parameters overflowed" in message
    assert "Smaller steps" in message


@pytest.mark.parametrize("backend", ["jax", "pytensor"])
def test_a_variable_that_log_p_does_not_depend_on(backend):
    with pm.Model() as model:
        pm.Flat("f", shape=2)
        pm.Normal("z")
    message = diverged(model, 3000, backend=backend)
    assert "log p does not depend on f[0], f[1], so that q widens" in message
    assert "proper prior" in message


@dataclass(frozen=True)
class Growing(Averaging):
    short_name = "growing"

    def init(self, params):
        return params

    def update(self, state, params):
        return jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.inf), state)

    def value(self, state):
        return state


def test_a_report_that_is_not_finite_is_no_end_of_steps(model):
    message = diverged(model, averaging=Growing())
    assert "the average Growing() of the iterates is not finite" in message
    approx = vi.MeanField(model=model, random_seed=1)
    with pytest.raises(vi.DivergedError):
        vi.KLqp(approx).fit(3, averaging=Growing(), progressbar=False)
    assert np.isfinite(approx.iterate["mu"]).all()
