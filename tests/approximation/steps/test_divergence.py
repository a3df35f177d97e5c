"""What a run that diverged says: the part that was not finite, and what helps with that one."""

from __future__ import annotations

import re
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytensor.tensor as pt
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
    options = {"method": "advi", "random_seed": 1, "progressbar": False} | options
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


def lossy(x=None):
    """JAX differentiates the root of a maximum at 0, far from the start: 0 times infinity."""
    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, 5.0)
        root = pt.sqrt(pt.maximum(5.0 - mu, 0.0))
        pm.Potential("p", pt.switch(mu > 5.0, 0.0, 1e-6 * root))
        data = pm.Data("x", np.full(4, 6.0)) if x is None else x
        pm.Normal("y", mu, 2.0, observed=data, total_size=None if x is None else 4)
    return model


LOSSY = 5.76923  # 4 values of 6 with sd 2, prior N(0, 5): 6 * 1 / (1 + 1 / 25)


@pytest.mark.few(1)
@pytest.mark.parametrize("batch", [False, True])
def test_auto_takes_the_backend_that_has_the_gradient(batch, caplog):
    seen = []
    model = lossy(vi.Minibatch(np.full(4, 6.0), batch_size=2)) if batch else lossy()
    with caplog.at_level("WARNING", "vi"):
        approx = vi.fit(
            3000,
            "advi",
            model,
            random_seed=1,
            callbacks=[lambda approx, losses, i: seen.append((i, len(losses)))],
            progressbar=False,
        )
    assert "Backend pytensor from step" in caplog.text
    assert "gradient in mu" in caplog.text
    assert (approx.backend, approx.status.ending) == ("pytensor", "max_steps")
    assert seen == [(i, i) for i in range(1, 3001)]
    assert np.isfinite(approx.hist).all()
    # of 3,000 steps with one draw the last thousands' average: an sd of q / sqrt(1000), and room
    np.testing.assert_allclose(approx.mean.eval(), LOSSY, atol=0.15)
    approx.refine(5, progressbar=False)
    assert len(approx.hist) == 3005


@pytest.mark.slow
def test_jax_that_was_asked_for_diverges():
    with pytest.raises(vi.DivergedError, match="JAX's gradient in mu is not finite"):
        vi.fit(3000, "advi", lossy(), random_seed=1, backend="jax", progressbar=False)
