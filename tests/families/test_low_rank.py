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
import scipy.stats

import vi
from vi.families import BASES, LowRank
from vi.foundation.precision import precision
from vi.testing.samples import perturbed


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
@pytest.mark.slow
def test_covariance_of_diagonal_plus_rank_8_is_recovered(dim):
    """Relative Frobenius error below 5 %, sds below 3 %.

    A diagonal is off by more than 30 %, so the test can fail.
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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("base", ["normal", "multivariate_t"])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_low_rank_density_is_that_of_the_dense_matrix(base, scale):
    """Also where the directions are 10,000 times longer than the diagonal: nothing cancels."""
    family = LowRank(3, BASES[base]())
    with precision(np.dtype("float64")):
        params = perturbed(family, 6, 1, np.dtype("float64"))
        params["U"] = scale * params["U"]
        z = family.draw(params, family.noise(jax.random.key(4), params))
        shape = np.diag(np.log1p(np.exp(params["rho"])) ** 2) + np.asarray(
            params["U"] @ params["U"].T
        )
        dense = (
            scipy.stats.multivariate_normal(params["mu"], shape)
            if base == "normal"
            else scipy.stats.multivariate_t(params["mu"], shape, df=5.0)
        )
        assert float(family.log_prob(params, z)) == pytest.approx(dense.logpdf(z), rel=1e-6)
        assert float(family.entropy(params)) == pytest.approx(dense.entropy(), rel=1e-6)


@pytest.mark.slow
def test_default_rank_and_shapes():
    for dim, rank in ((1, 1), (5, 3), (100, 10), (5000, 32)):
        params = LowRank().init(jnp.zeros(dim), jnp.ones(dim), jax.random.key(0))
        assert params["U"].shape == (dim, rank)
    assert LowRank(7).init(jnp.zeros(3), jnp.ones(3), jax.random.key(0))["U"].shape == (3, 3)
