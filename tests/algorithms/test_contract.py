"""What a user's algorithm, objective or optimiser must return, said before the first step."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import vi
from vi.algorithms import Gradient, Question
from vi.algorithms.contract import check_contract, check_draws, check_optimizer_step
from vi.families import MeanField
from vi.objectives import ClosedFormEntropy

DIM = 2
FAMILY = MeanField()


def state_of(algorithm):
    params = FAMILY.init(jnp.zeros(DIM), jnp.ones(DIM), jax.random.key(0))
    return algorithm.init(params, jax.random.key(1))


def check(algorithm):
    check_contract(algorithm, state_of(algorithm), DIM)


@dataclasses.dataclass(frozen=True)
class Mine(Gradient):
    """An algorithm of a user's: each fault is one subclass."""


@dataclasses.dataclass(frozen=True)
class OnlyAState(Mine):
    def tell(self, *arguments):
        return super().tell(*arguments)[0]


@dataclasses.dataclass(frozen=True)
class Forgets(Mine):
    def tell(self, *arguments):
        super().tell(*arguments)


@dataclasses.dataclass(frozen=True)
class OtherState(Mine):
    def tell(self, *arguments):
        state, loss = super().tell(*arguments)
        return state._replace(params={**state.params, "mu": state.params["mu"][:1]}), loss


@dataclasses.dataclass(frozen=True)
class VectorLoss(Mine):
    def tell(self, *arguments):
        state, loss = super().tell(*arguments)
        return state, loss * jnp.ones(3)


@dataclasses.dataclass(frozen=True)
class OnePoint(Mine):
    def ask(self, state, rows):
        question = super().ask(state, rows)
        return Question(question.points[0], question.noise)


@dataclasses.dataclass(frozen=True)
class NoQuestion(Mine):
    def ask(self, state, rows):
        return super().ask(state, rows).points


@dataclasses.dataclass(frozen=True)
class Misspelt(Mine):
    def ask(self, state, rows):
        return Question(state.parameters["mu"], None)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (OnlyAState, r"pair \(state, loss\), got State"),
        (Forgets, "got nothing"),
        (OtherState, r"same arrays: .*'mu'.* was float32 \(2,\) and becomes float32 \(1,\)"),
        (VectorLoss, r"one number as the loss of the step, got float32 \(3,\)"),
        (OnePoint, r"points \(K, 2\), one a row; it asks at float32 \(2,\)"),
        (NoQuestion, "must return a Question"),
        (Misspelt, r"ask\(state, rows\) .* cannot be traced: AttributeError: .*parameters"),
    ],
)
def test_what_an_algorithm_returns_is_looked_at(kind, says):
    with pytest.raises(TypeError, match=says):
        check(kind(FAMILY, vi.adam(learning_rate=0.1), n_draws=3))


def test_what_keeps_the_contract_passes():
    check(Mine(FAMILY, vi.adam(learning_rate=0.1), n_draws=3))


@dataclasses.dataclass(frozen=True)
class Elsewhere(ClosedFormEntropy):
    short_name = "elsewhere"

    def loss(self, family, params, noises, log_prob):
        z = jax.vmap(lambda noise: family.draw(params, noise))(noises)
        return -jnp.mean(log_prob(z + 1.0))


@dataclasses.dataclass(frozen=True)
class OneAtATime(ClosedFormEntropy):
    short_name = "one_at_a_time"

    def loss(self, family, params, noises, log_prob):
        z = jax.vmap(lambda noise: family.draw(params, noise))(noises)
        return -log_prob(z[0])


@dataclasses.dataclass(frozen=True)
class LossPerDraw(ClosedFormEntropy):
    short_name = "loss_per_draw"

    def loss(self, family, params, noises, log_prob):
        return -log_prob(jax.vmap(lambda noise: family.draw(params, noise))(noises))


@pytest.mark.parametrize("objective", [Elsewhere(), OneAtATime()])
def test_log_p_is_known_at_the_draws_alone(objective):
    algorithm = Gradient(FAMILY, vi.adam(), objective=objective, n_draws=3)
    state = state_of(algorithm)
    with pytest.raises(TypeError, match=objective.short_name + ".*log p at other points"):
        check_draws(objective, FAMILY, state.params, algorithm.noises(state))


@pytest.mark.parametrize(
    ("objective", "says"),
    [(OneAtATime(), r"3 of them in one call: \(3, 2\)"), (LossPerDraw(), r"the shape \(3,\)")],
)
def test_shapes_of_an_objective_are_looked_at_in_the_step(objective, says):
    with pytest.raises(TypeError, match=says):
        check(Gradient(FAMILY, vi.adam(), objective=objective, n_draws=3))


def transformation(update):
    return optax.GradientTransformation(lambda params: (), update)


@pytest.mark.parametrize(
    ("optimizer", "says"),
    [
        (optax.lbfgs(), "cannot make a step: .*line search"),
        (
            transformation(lambda g, s, p=None: (jax.tree.map(lambda a: a * 1j, g), s)),
            r"updates like the parameters, \['mu'\] float32 \(2,\), .*returns .*complex64",
        ),
        (
            transformation(lambda g, s, p=None: ({"mu": g["mu"]}, s)),
            r"returns \['mu'\] float32 \(2,\)\.",
        ),
        (
            transformation(lambda g, s, p=None: (jax.tree.map(jnp.sum, g), s)),
            r"returns \['mu'\] float32 \(\)",
        ),
    ],
)
def test_an_optimizer_makes_steps_like_the_parameters(optimizer, says):
    algorithm = Gradient(FAMILY, optimizer, n_draws=3)
    params = FAMILY.init(jnp.zeros(DIM), jnp.ones(DIM), jax.random.key(0))
    state = state_of(Gradient(FAMILY, vi.adam(), n_draws=3))._replace(params=params)
    with pytest.raises(TypeError, match=says):
        check_optimizer_step(algorithm, state)


@pytest.mark.parametrize("of_method", [{}, {"estimator": Elsewhere()}], ids=["step", "objective"])
def test_a_fit_says_so_and_changes_nothing(of_method):
    density = vi.targets.from_function(lambda z: -jnp.sum(z["x"] ** 2), {"x": np.zeros(2)})
    inference = vi.ADVI(model=density, random_seed=1, **of_method)
    before = inference.approx.record
    optimizer = None if of_method else optax.lbfgs()
    with pytest.raises(TypeError, match=r"cannot make a step|other points"):
        inference.fit(3, obj_optimizer=optimizer, progressbar=False)
    assert inference.approx.record is before
