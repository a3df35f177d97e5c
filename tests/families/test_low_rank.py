"""The low-rank family recovers covariances of its kind, and steps in time and memory
proportional to D r.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest

import vi
from vi.families import LowRank
from vi.foundation.precision import precision


def factor_model(dim, rank, seed=0):
    """A normal with covariance diag + U U', its density by the Woodbury identity, and that
    covariance.
    """
    rng = np.random.default_rng(seed)
    d2, u = rng.uniform(0.5, 2.0, dim), rng.normal(size=(dim, rank))
    cov = np.diag(d2) + u @ u.T
    scaled = u / d2[:, None]
    inner = np.linalg.inv(np.eye(rank) + u.T @ scaled)
    mean = rng.normal(size=dim)
    with pm.Model() as model:
        x = pm.Flat("x", shape=dim)
        e = x - mean
        along = pt.dot(scaled.T, e)
        pm.Potential("p", -0.5 * (pt.sum(e**2 / d2) - along @ inner @ along))
    return model, mean, cov


@pytest.mark.parametrize("dim", [50, pytest.param(300, marks=pytest.mark.slow)])
def test_covariance_of_diagonal_plus_rank_8_is_recovered(dim):
    """Relative Frobenius error below 5 %, sds below 3 %; a diagonal is off by more than 30 %, so
    the test can fail.
    """
    model, mean, cov = factor_model(dim, 8)
    approx = vi.fit(
        method="lowrank_advi", model=model, random_seed=1, inf_kwargs={"rank": 8}, progressbar=False
    )
    found, sd = approx.cov.eval(), np.sqrt(np.diag(cov))
    assert np.linalg.norm(found - cov) < 0.05 * np.linalg.norm(cov)
    assert np.abs(np.log(approx.std.eval() / sd)).max() < 0.03
    assert np.abs((approx.mean.eval() - mean) / sd).max() < 0.05
    assert np.linalg.norm(np.diag(np.diag(cov)) - cov) > 0.3 * np.linalg.norm(cov)


def largest_intermediate(function, *arguments):
    """Number of elements of the largest array that a traced function makes."""

    def sizes(jaxpr):
        for equation in jaxpr.eqns:
            yield from (np.prod(v.aval.shape, dtype=int) for v in equation.outvars)
            for value in equation.params.values():
                for inner in value if isinstance(value, tuple | list) else (value,):
                    if hasattr(inner, "jaxpr"):
                        inner = inner.jaxpr
                    if hasattr(inner, "eqns"):
                        yield from sizes(inner)

    return max(sizes(jax.make_jaxpr(function)(*arguments).jaxpr))


def test_a_step_makes_no_array_larger_than_the_parameters():
    """O(D r) memory: nothing of size D x D, in any direction of the computation."""
    dim, rank = 5_000, 4
    with precision(np.dtype("float64")):
        family = LowRank(rank)
        params = family.init(jnp.zeros(dim), jnp.ones(dim), jax.random.key(0))
        algorithm = vi.LowRankADVI(rank, model=small_model()).algorithm(
            vi.inference.Steps(
                vi.scale_free_adam(), vi.PolynomialAverage(), n_draws=1, max_gradient_norm=None
            )
        )
        state = algorithm.init(params, jax.random.key(1))

        def step(state):
            question = algorithm.ask(state, {})
            return algorithm.tell(state, question, jnp.zeros(1), -question.points, {})

        assert largest_intermediate(step, state) <= dim * (rank + 2)


def small_model():
    with pm.Model() as model:
        pm.Normal("x", shape=5)
    return model
