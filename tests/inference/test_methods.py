"""A stranger's method in one file: found by name, run, saved; options it ignores are refused."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from problems import conjugate_normal

import vi
from vi.algorithms import ALGORITHMS, Algorithm, Question, State
from vi.families import Family


@dataclass(frozen=True)
class Climb(Algorithm):
    """Moves the mean of a mean-field normal by its variance times the mean score: no optimiser."""

    family: Family
    rate: float = 0.1
    short_name = "climb"
    has_elbo = False

    @property
    def loss_name(self):
        return "minus the mean log p"

    def settings(self):
        return {"rate": self.rate}

    def init(self, params, key):
        return State(params, (), (), key, jnp.zeros((), jnp.uint32))

    def ask(self, state, rows):
        key = jax.random.fold_in(state.key, state.step)
        keys = jax.random.split(key, 10)
        noises = jax.vmap(lambda k: self.family.noise(k, state.params))(keys)
        return Question(jax.vmap(lambda e: self.family.draw(state.params, e))(noises), ())

    def tell(self, state, question, log_prob, score, rows):
        variance = jnp.square(self.family.std(state.params))
        mu = state.params["mu"] + self.rate * variance * jnp.mean(score, axis=0)
        new = state._replace(params=state.params | {"mu": mu}, step=state.step + 1)
        return new, -jnp.mean(log_prob)

    def report(self, state):
        return state.params


class ClimbInference(vi.Inference):
    """What ``method="climb"`` makes."""

    family_name = "mean_field"
    averages = False

    def __init__(self, *, rate=0.1, **options):
        super().__init__(vi.MeanField(**options))
        self.rate = rate

    def algorithm(self, options):
        return Climb(self.approx.family, self.rate)


@pytest.fixture
def registered():
    ALGORITHMS.register(Climb)
    vi.METHODS.register(name="climb")(ClimbInference)
    yield
    ALGORITHMS.unregister("climb")
    vi.METHODS.unregister("climb")


QUIET = {"random_seed": 1, "progressbar": False}


@pytest.mark.parametrize("backend", ["jax", "pytensor"])
def test_a_method_is_found_by_its_name(registered, backend):
    """The sd stays at 0.693; the iterate's noise is rate * sd^2 * sd(score) / sqrt(10) a step."""
    exact = conjugate_normal()
    approx = vi.fit(500, "climb", exact.model, backend=backend, **QUIET)
    curvature, variance = 1 / exact.cov[0, 0], np.log(2.0) ** 2
    pull = 0.1 * variance * curvature
    step_noise = 0.1 * variance * curvature * np.log(2.0) / np.sqrt(10)
    stationary = step_noise / np.sqrt(1 - (1 - pull) ** 2)
    assert abs(approx.mean.eval()[0] - exact.mean[0]) < 5 * stationary
    assert approx.settings()["algorithm"] == "climb"
    assert approx.settings()["rate"] == 0.1


def test_it_is_saved_and_goes_on(registered, tmp_path):
    model = conjugate_normal().model
    approx = vi.fit(20, "climb", model, inf_kwargs={"rate": 0.2}, **QUIET)
    approx.save(tmp_path / "run.vi")
    loaded = vi.load(tmp_path / "run.vi", model)
    assert loaded.record.algorithm == approx.record.algorithm
    for one in (approx, loaded):
        one.refine(20, progressbar=False)
    np.testing.assert_array_equal(approx.iterate["mu"], loaded.iterate["mu"])


def test_one_that_is_not_registered_is_saved_too(tmp_path):
    """The file holds what it reported, and says why it cannot go on; a fit begins from there."""
    model = conjugate_normal().model
    approx = ClimbInference(model=model, random_seed=1).fit(20, progressbar=False)
    approx.save(tmp_path / "run.vi")
    loaded = vi.load(tmp_path / "run.vi", model)
    np.testing.assert_array_equal(loaded.mean.eval(), approx.mean.eval())
    np.testing.assert_array_equal(loaded.hist, approx.hist)
    assert loaded.sample(5)["posterior"]["mu"].shape == (1, 5)
    with pytest.raises(TypeError, match=r"Climb, which is not registered.*ALGORITHMS\.register"):
        loaded.refine(5, progressbar=False)
    vi.KLqp(loaded).fit(5, progressbar=False)


@pytest.mark.parametrize(
    "option",
    [
        {"obj_optimizer": optax.adam(0.1)},
        {"obj_n_mc": 3},
        {"total_grad_norm_constraint": 1.0},
    ],
    ids=lambda option: next(iter(option)),
)
def test_options_that_an_algorithm_does_not_use_are_refused(option):
    inference = ClimbInference(model=conjugate_normal().model)
    before = inference.approx.record
    with pytest.raises(TypeError, match=f"{next(iter(option))}: the algorithm 'climb' has no"):
        inference.fit(5, progressbar=False, **option)
    assert inference.approx.record is before


def test_restarts_need_an_elbo():
    inference = ClimbInference(model=conjugate_normal().model)
    with pytest.raises(TypeError, match=r"restarts=2: the best run is chosen by ELBO"):
        inference.fit(5, restarts=2, progressbar=False)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"method='climb' is unknown; use .*'advi'.*'pathfinder'"):
        vi.fit(5, "climb", conjugate_normal().model)
