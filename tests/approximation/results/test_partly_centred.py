"""A target in partially non-centred coordinates: its density, its scores, chains in it."""

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytest

import vi
from vi.approximation.record.log_density import target_of_all_rows
from vi.approximation.results.blackjax_kernels import Plan
from vi.approximation.results.chains import agreement
from vi.approximation.results.partly_centred import PartlyCentred
from vi.approximation.results.running_chains import RunningChains
from vi.targets.backends.evaluation import evaluation
from vi.targets.model.conditionals import conditionals_of

STEPS = 200
"""Of every leg here: what is compiled for one serves them all."""

CENTRE = np.array([0.3, -0.2, 0.4, 1.0])


@pytest.fixture(scope="module")
def record():
    with pm.Model() as model:
        log_scale = pm.Normal("log_scale", 0.0, 1.0)
        pm.Normal("x", 0.5, pm.math.exp(log_scale), shape=3)
    return vi.Approximation(vi.families.MeanField(), model=model).record


@pytest.fixture(scope="module")
def target(record):
    return target_of_all_rows(record)


@pytest.fixture(scope="module")
def conditionals(record):
    return conditionals_of(record.model)


@pytest.fixture
def halfway(target, conditionals):
    return PartlyCentred(target, conditionals, np.array([0.0, 0.5, 1.0]), CENTRE)


def test_there_and_back(halfway):
    """To rounding; the determinant of both ways is that of dz/du."""
    z = np.random.default_rng(1).normal(size=(2, 5, 4))
    u, log_det = halfway.from_model(z)
    again, same = halfway.to_model(u)
    assert u.shape == z.shape
    assert log_det.shape == (2, 5)
    np.testing.assert_allclose(again, z, atol=1e-12)
    np.testing.assert_allclose(log_det, same, atol=1e-12)
    assert np.abs(u - z).max() > 0.1


def test_density_and_scores(halfway, target, conditionals):
    """That of the model at the point, with the Jacobian determinant that differentiation gives."""
    u = np.random.default_rng(2).normal(size=(3, 4))
    z, _ = halfway.to_model(u)

    def placed(u):
        return conditionals.to_model(u, jnp.asarray(halfway.shares), jnp.asarray(CENTRE))[0]

    with jax.enable_x64(True):
        jacobians = [jax.jacfwd(placed)(jnp.asarray(one)) for one in u]
        dense = [np.linalg.slogdet(np.asarray(one))[1] for one in jacobians]
        found = [float(halfway.log_density(jnp.asarray(one), halfway.batch())) for one in u]
    np.testing.assert_allclose(found, target.log_prob(z) + dense, rtol=1e-10)
    again, scores = halfway.moved_scores(z, evaluation(target)(z)[1])
    np.testing.assert_allclose(again, u, atol=1e-12)
    step = 1e-6
    with jax.enable_x64(True):
        for i in range(4):
            ahead, behind = (
                float(halfway.log_density(jnp.asarray(u[0] + way * np.eye(4)[i]), halfway.batch()))
                for way in (step, -step)
            )
            # the rounding of a central difference: 1e-16 / 1e-6, of numbers around ten
            assert abs((ahead - behind) / (2 * step) - scores[0, i]) < 1e-7


def test_names_of_what_is_moved(target, conditionals):
    own = PartlyCentred(target, conditionals, np.ones(3), CENTRE)
    assert own.moved == ()
    assert PartlyCentred(target, conditionals, np.array([1.0, 1.0, 0.75]), CENTRE).moved == ("x",)


def test_chains_give_the_points_and_densities_of_the_model(target, conditionals):
    """A funnel is a normal in such coordinates: moments to five standard errors."""
    moved = PartlyCentred(target, conditionals, np.zeros(3), np.zeros(4))
    chains = RunningChains(
        target, Plan("nuts"), np.ones(4), np.zeros((4, 4)), 1, 0.8, coordinates=moved
    )
    chains.go_on(0, tune=STEPS)
    legs = [chains.go_on(STEPS) for _ in range(5)]
    points = np.concatenate([points for points, _ in legs], axis=1)
    lp = np.concatenate([told["lp"] for _, told in legs], axis=1)
    assert not any(told["diverging"].any() for _, told in legs)
    np.testing.assert_allclose(lp.ravel(), target.log_prob(points.reshape(-1, 4)), rtol=1e-9)
    _, ess = agreement(points)
    log_scale = points[..., 0].ravel()
    assert abs(log_scale.mean()) < 5 / np.sqrt(ess[0])
    assert abs(log_scale.std() - 1.0) < 5 / np.sqrt(ess[0])
    noise = (points[..., 1:] - 0.5) / np.exp(points[..., :1])
    assert np.all(np.abs(noise.reshape(-1, 3).std(axis=0) - 1.0) < 5 / np.sqrt(ess[1:]))


def test_coordinates_without_a_change_are_the_models(target, conditionals):
    """Shares of 1 are the model's coordinates: the same chains, to the rounding of a trajectory."""
    own = PartlyCentred(target, conditionals, np.ones(3), CENTRE)

    def points(coordinates):
        chains = RunningChains(
            target, Plan("nuts"), np.ones(4), np.zeros((4, 4)), 1, 0.8, coordinates=coordinates
        )
        return chains.go_on(STEPS)[0][:, :5]

    np.testing.assert_allclose(points(own), points(None), atol=1e-8)
