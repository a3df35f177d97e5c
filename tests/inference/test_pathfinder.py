"""Pathfinder: the normals along a path against dense formulas and BlackJAX, weights, and bad
input.
"""

from __future__ import annotations

import functools

import jax
import numpy as np
import pymc as pm
import pytest
from problems import conjugate_normal
from scipy import stats
from seeds import seed

import vi
from vi.foundation.precision import precision
from vi.search.path_normals import PAIRS, draw_from, normals_along


@pytest.fixture(scope="module")
def path():
    """Points around which the density of a badly scaled normal in 5 dimensions is climbed, with
    the scores.
    """
    rng = np.random.default_rng(1)
    root = rng.normal(size=(5, 5)) * np.array([0.1, 1.0, 3.0, 1.0, 10.0])[:, None]
    matrix = np.linalg.inv(root @ root.T)
    points = rng.normal(size=(10, 5)).cumsum(axis=0)
    return points, -points @ matrix


@pytest.fixture(scope="module")
def normals(path):
    with precision(np.dtype("float64")):
        return jax.tree.map(np.asarray, jax.jit(normals_along)(*path))


def dense(normals, t):
    inner, basis = normals.factor[t], normals.basis[t]
    root = normals.scale[t][:, None] * (np.eye(5) + basis @ (inner - np.eye(len(inner))) @ basis.T)
    return root @ root.T


def test_inverse_hessians_are_those_of_bfgs(path, normals):
    """BFGS updates, one pair after the other, from the same diagonal; the mean is a Newton step."""
    points, scores = path
    for t in range(len(points)):
        inverse = np.diag(normals.scale[t] ** 2)
        for i in range(max(0, t - PAIRS), t):
            move, change = points[i + 1] - points[i], scores[i] - scores[i + 1]
            left = np.eye(5) - np.outer(move, change) / (move @ change)
            inverse = left @ inverse @ left.T + np.outer(move, move) / (move @ change)
        np.testing.assert_allclose(dense(normals, t), inverse, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(
            normals.mean[t], points[t] + inverse @ scores[t], rtol=1e-6, atol=1e-8
        )


def test_diagonals_are_those_of_blackjax(path, normals):
    lbfgs = pytest.importorskip("blackjax.optimizers.lbfgs")
    points, scores = path
    with precision(np.dtype("float64")):
        recover = jax.jit(lbfgs.lbfgs_recover_alpha)
        alpha = np.ones(5)
        for t in range(1, len(points)):
            alpha, _ = recover(alpha, points[t] - points[t - 1], scores[t - 1] - scores[t])
            np.testing.assert_allclose(normals.scale[t] ** 2, alpha, rtol=1e-9)


def test_draws_and_their_densities(normals):
    n = 20_000
    with precision(np.dtype("float64")):
        one = jax.tree.map(lambda leaf: leaf[-1], normals)
        points, log_q = (
            np.asarray(a)
            for a in jax.jit(draw_from, static_argnums=2)(one, jax.random.key(seed(1)), n)
        )
    cov = dense(normals, -1)
    np.testing.assert_allclose(
        log_q, stats.multivariate_normal(one.mean, cov).logpdf(points), rtol=1e-6, atol=1e-6
    )
    sd = np.sqrt(np.diag(cov))
    assert np.abs((points.mean(axis=0) - one.mean) / sd).max() < 5 / np.sqrt(n)
    assert np.abs((np.cov(points.T) - cov) / np.outer(sd, sd)).max() < 5 * np.sqrt(2 / n)


@functools.cache
def gamma():
    with pm.Model() as model:
        pm.Gamma("sigma", 3.0, 2.0)
    return model


@pytest.mark.slow
def test_weights_make_up_for_the_normals():
    """log sigma of a gamma variable is skewed: the normal's mean of sigma is off, the weighted
    draws' is not.
    """
    pathfinder = vi.Pathfinder(paths=4, draws=4_000, model=gamma(), random_seed=1)
    approx = pathfinder.fit()
    notes = approx.settings()
    assert isinstance(approx, vi.Empirical)
    assert approx.particles.shape == (4_000, 1)
    assert len(notes["elbo"]) == 4
    assert all(elbo < 0.0 for elbo in notes["elbo"])  # the evidence is 1
    assert notes["pareto_k"] < 0.7
    sigma = np.exp(approx.particles[:, 0])
    exact = stats.gamma(3.0, scale=0.5)
    n = min(notes["importance_ess"], 4_000)
    assert abs(sigma.mean() - exact.mean()) < 5 * exact.std() / np.sqrt(n)
    assert abs(np.log(sigma.std() / exact.std())) < 5 * np.sqrt((exact.stats("k") + 2) / (4 * n))


@pytest.mark.slow
def test_a_normal_that_is_far_from_the_posterior_says_so():
    """No normal covers the tails of a Cauchy density: the weights have no variance."""
    with pm.Model() as model:
        pm.Cauchy("x", 0.0, 1.0, shape=10)
    approx = vi.fit(method="pathfinder", model=model, random_seed=1)
    assert approx.settings()["pareto_k"] > 0.7
    assert "far from the posterior. Try more paths" in approx.status.message


@pytest.mark.slow
def test_seeds_and_settings():
    one, two = (vi.fit(method="pathfinder", model=gamma(), random_seed=seed) for seed in (1, 2))
    assert one.settings()["elbo"] != two.settings()["elbo"]
    assert len(one.hist) == one.settings()["steps"]
    assert one.hist.min() == pytest.approx(
        -one.settings()["elbo"][0], abs=0.5
    )  # 25 draws against 1,000
    assert one.sample(5)["fit"].attrs["algorithm"] == "pathfinder"


@pytest.mark.slow
def test_bad_input():
    model = conjugate_normal().model
    with pytest.raises(ValueError, match="paths=0"):
        vi.Pathfinder(paths=0, model=model)
    with pytest.raises(ValueError, match="draws=10"):
        vi.Pathfinder(draws=10, model=model)
    with pytest.raises(TypeError, match="obj_n_mc: Pathfinder has no steps"):
        vi.fit(method="pathfinder", model=model, obj_n_mc=3)
    with pm.Model() as positive:
        pm.Potential("nothing", pm.Flat("x") * 0.0)
    with pytest.raises(ValueError, match="finite ELBO"):
        vi.fit(method="pathfinder", model=positive, random_seed=1)


@pytest.mark.slow
def test_modes_are_weighted_by_their_mass_not_by_the_paths_that_found_them():
    with pm.Model() as model:
        pm.Mixture("x", [0.3, 0.7], [pm.Normal.dist(-3.0, 0.5), pm.Normal.dist(3.0, 1.0)])
    # about the watershed (the score is 0 at -0.95): whatever the seed, half of the paths go to each
    options = {"start": {"x": -0.95}, "inf_kwargs": {"paths": 20, "draws": 2_000}}
    approx = vi.fit(method="pathfinder", model=model, random_seed=1, progressbar=False, **options)
    x = approx.sample(2_000, random_seed=1)["posterior"]["x"].to_numpy()
    # the share of the weighted draws, of the particles that were drawn of them, and of the draws of
    # these
    variance = 0.3 * 0.7 * (1 / approx.settings()["importance_ess"] + 2 / 2_000)
    assert abs((x < 0).mean() - 0.3) < 5 * np.sqrt(variance)
    assert approx.settings()["pareto_k"] < 0.7
    assert max(approx.settings()["elbo"]) < 0.0  # log evidence


@pytest.mark.slow
def test_rounding_does_not_spoil_the_weights():
    """In float32 log p of 725 is known to 6e-5, and many weights of a fit that is exact are the
    same.
    """
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 2))
    with pm.Model() as model:
        b = pm.Normal("b", 0.0, 10.0, shape=2)
        pm.Normal("y", (x * b).sum(axis=-1), 1.0, observed=x @ [1.0, -2.0] + rng.normal(size=500))
    approx = vi.fit(
        method="pathfinder", model=model, dtype="float32", random_seed=1, progressbar=False
    )
    assert approx.settings()["pareto_k"] < 0.7
    assert "far from" not in approx.status.message


@pytest.mark.slow
def test_a_posterior_that_no_path_sees_says_so():
    """Far narrower than the way to it: one draw has all the weight, and k cannot be estimated."""
    with pm.Model() as model:
        pm.Normal("x", 0.0, 1e-8)
    status = vi.fit(method="pathfinder", model=model, random_seed=1, progressbar=False).status
    assert status.ending == "stopped"
    assert "one draw has all the weight" in status.message
