"""Batch and match: the published formula, its fixed point, its invariance, draws left out."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import sqrtm

from vi.algorithms import BatchAndMatch
from vi.families import FullRank, MeanField, StudentT
from vi.foundation.precision import precision

DOUBLE = np.dtype("float64")
FAMILY = FullRank()


def step(algorithm, mean, factor, log_prob, score, step=0):
    """One step from a normal: the new mean and covariance, the draws, and the loss."""
    with precision(DOUBLE):
        state = _begun(algorithm, jnp.asarray(mean), jnp.asarray(factor), jnp.uint32(step))
        question = jax.jit(algorithm.ask)(state, {})
        points = np.asarray(question.points)
        told = jax.jit(algorithm.tell)(state, question, log_prob(points), score(points), {})
        params, loss = told[0].params, float(told[1])
        return np.asarray(params["mu"]), np.asarray(jax.jit(FAMILY.cov)(params)), points, loss


@functools.partial(jax.jit, static_argnums=0)
def _begun(algorithm, mean, factor, step):
    state = algorithm.init(FAMILY.at(mean, factor), jax.random.key(1))
    return state._replace(step=step)


def normal(mean, cov):
    """Log density and score of a normal."""
    inverse = np.linalg.inv(cov)

    def log_prob(points):
        off = points - mean
        return -0.5 * np.einsum("ki,ij,kj->k", off, inverse, off) - 0.5 * np.log(
            np.linalg.det(2 * np.pi * cov)
        )

    return log_prob, lambda points: -(points - mean) @ inverse


def of_rank(rng, dim):
    factor = np.tril(rng.normal(size=(dim, dim))) + 2.0 * np.eye(dim)
    return rng.normal(size=dim), factor


@pytest.mark.parametrize("draws", [3, 16])
@pytest.mark.parametrize("at", [0, 7])
def test_a_step_is_that_of_the_paper(rng, draws, at):
    """Written with inverses and a square root of a matrix, which the algorithm avoids."""
    dim = 4
    mean, factor = of_rank(rng, dim)

    def score(points):
        return -np.tanh(points) + 0.3 * points[:, ::-1]

    algorithm = BatchAndMatch(FAMILY, draws)
    got = step(algorithm, mean, factor, lambda z: -np.sum(z**2, axis=1), score, at)
    z, g, cov = got[2], score(got[2]), factor @ factor.T
    rate = dim * draws / (at + 1)
    ratio = rate / (1 + rate)
    spread = {name: np.cov(each.T, bias=True) for name, each in (("z", z), ("g", g))}
    off = mean - z.mean(axis=0)
    u = rate * spread["g"] + ratio * np.outer(g.mean(axis=0), g.mean(axis=0))
    v = cov + rate * spread["z"] + ratio * np.outer(off, off)
    eye = np.eye(dim)
    new_cov = 2 * v @ np.linalg.inv(eye + sqrtm(eye + 4 * u @ v).real)
    new_mean = mean / (1 + rate) + ratio * (new_cov @ g.mean(axis=0) + z.mean(axis=0))
    np.testing.assert_allclose(got[1], new_cov, rtol=0, atol=1e-9 * np.abs(new_cov).max())
    np.testing.assert_allclose(got[0], new_mean, rtol=0, atol=1e-9 * np.abs(new_cov).max())


@pytest.mark.parametrize("draws", [2, 5, 40])
def test_the_posterior_itself_stays(rng, draws):
    """Where q is p, its scores are p's at any draws; and each draw's loss is minus log Z = 0."""
    mean, factor = of_rank(rng, 5)
    log_prob, score = normal(mean, factor @ factor.T)
    got = step(BatchAndMatch(FAMILY, draws), mean, factor, log_prob, score)
    np.testing.assert_allclose(got[0], mean, atol=1e-10)
    np.testing.assert_allclose(got[1], factor @ factor.T, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(got[3], 0.0, atol=1e-10)


def test_units_do_not_matter(rng):
    """The step of the transformed problem is the transformed step: here of units of 1e-8 to 1e8.

    Draws are ``mean + factor @ noise`` with the same noise.
    """
    dim, units = 5, np.logspace(-8, 8, 5)
    (at, factor), (mean, target) = of_rank(rng, dim), of_rank(rng, dim)
    log_prob, score = normal(mean, target @ target.T)
    algorithm = BatchAndMatch(FAMILY, 12)
    plain = step(algorithm, at, factor, log_prob, score)
    scaled = step(
        algorithm,
        units * at,
        units[:, None] * factor,
        lambda z: log_prob(z / units),
        lambda z: score(z / units) / units,
    )
    np.testing.assert_allclose(scaled[0] / units, plain[0], rtol=0, atol=1e-8)
    np.testing.assert_allclose(
        scaled[1] / np.outer(units, units), plain[1], rtol=0, atol=1e-8 * plain[1].max()
    )


def test_draws_without_a_finite_score_are_left_out(rng):
    mean, factor = of_rank(rng, 3)
    log_prob, score = normal(mean, factor @ factor.T)

    def holes(points):
        values = score(points)
        values[::3] = np.nan
        return values

    got = step(BatchAndMatch(FAMILY, 30), mean, factor, log_prob, holes)
    np.testing.assert_allclose(got[1], factor @ factor.T, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(got[3], 0.0, atol=1e-10)


def test_q_becomes_narrower_where_most_draws_are_not_finite(rng):
    mean, factor = of_rank(rng, 3)
    log_prob, score = normal(mean, np.eye(3))

    def wall(points):
        values = log_prob(points)
        values[:20] = -np.inf
        return values

    got = step(BatchAndMatch(FAMILY, 30), mean, factor, wall, score)
    np.testing.assert_allclose(got[0], mean)
    np.testing.assert_allclose(got[1], factor @ factor.T / 4, rtol=1e-12)
    assert np.isfinite(got[3])
    nowhere = step(
        BatchAndMatch(FAMILY, 30), mean, factor, lambda z: np.full(len(z), np.nan), score
    )
    assert np.isnan(nowhere[3])


def test_float32_keeps_up(rng):
    """Steps are made of factors: a condition number of 1e8, which squared is beyond float32."""
    units = np.array([1e-4, 1.0, 1e4], np.float32)
    algorithm = BatchAndMatch(FAMILY, 60)
    with precision(np.dtype("float32")):
        state = algorithm.init(FAMILY.at(jnp.zeros(3), jnp.eye(3)), jax.random.key(1))

        @jax.jit
        def step(state):
            question = algorithm.ask(state, {})
            z = question.points / units
            answer = -0.5 * jnp.sum(z**2, axis=1), -z / units
            return algorithm.tell(state, question, *answer, {})[0]

        for _ in range(20):
            state = step(state)
        std = np.asarray(FAMILY.std(state.params))
    np.testing.assert_allclose(std, units, rtol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"family": MeanField()}, "full-rank normal"),
        ({"family": FullRank(StudentT())}, "full-rank normal"),
        ({"family": FAMILY, "n_draws": 1}, "n_draws=1"),
        ({"family": FAMILY, "averaging": "polynomial"}, "averaging='polynomial'"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        BatchAndMatch(**arguments)
