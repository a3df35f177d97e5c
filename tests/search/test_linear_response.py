"""Linear response and its Hessian products: exact on normals, by both ways to evaluate."""

from __future__ import annotations

import numpy as np
import pytest
from problems import conjugate_regression, correlated_gaussian

import vi
from vi.search.curvature import curvature
from vi.search.fixed_draws import base_draws
from vi.search.hessian_products import hessian_products
from vi.search.linear_response import NoOptimumError, response


@pytest.fixture(params=["jax", "pytensor"])
def target(request):
    return vi.targets.from_pymc(conjugate_regression().model, backend=request.param)


def test_products_are_those_of_the_hessian(target, rng):
    points, directions = rng.normal(size=(2, 5, 3))
    found = hessian_products(target)(points, directions)
    for point, direction, product in zip(points, directions, found, strict=True):
        # of central differences: values of log p of some hundreds, times eps to the power 2 / 3
        np.testing.assert_allclose(
            product, -curvature(target, point) @ direction, rtol=1e-7, atol=1e-6
        )


def test_the_covariance_of_a_normal_is_exact_whatever_q_is(target, rng):
    """Antithetic draws have no mean: where log p is quadratic, locations and scales do not mix."""
    exact = conjugate_regression()
    noise = base_draws(rng, 4, 3)
    at = response(target, exact.mean, 0.5 * np.sqrt(np.diag(exact.cov)), noise)
    whole = at.covariance()
    np.testing.assert_allclose(whole, exact.cov, rtol=1e-7)
    np.testing.assert_allclose(at.rows(np.array([2, 0])), exact.cov[[2, 0]], rtol=1e-6)


def test_the_matrix_is_what_the_products_say(target, rng):
    at = response(target, np.zeros(3), np.ones(3), base_draws(rng, 6, 3))
    matrix = at.whole()
    for vector in rng.normal(size=(3, 6)):
        np.testing.assert_allclose(at.times(vector), matrix @ vector, rtol=1e-6)


def test_far_from_an_optimum_is_refused(rng):
    """At the maximum of minus a Student t's square, the density curves upwards."""

    def log_density(x):
        return 0.5 * (x**2).sum() - 0.25 * (x**4).sum()

    target = vi.fit(
        0, method="advi", model=vi.targets.from_function(log_density, np.zeros(2))
    ).target()
    at = response(target, np.zeros(2), np.full(2, 0.1), base_draws(rng, 4, 2))
    with pytest.raises(NoOptimumError, match="curves downwards along"):
        at.covariance()
    with pytest.raises(NoOptimumError, match="curves downwards along"):
        at.rows(np.array([0]))


def test_in_single_precision(rng):
    exact = correlated_gaussian()
    target = vi.targets.from_pymc(exact.model, dtype="float32")
    at = response(target, exact.mean, np.sqrt(np.diag(exact.cov)), base_draws(rng, 4, 3))
    # the condition number is about 100
    np.testing.assert_allclose(at.covariance(), exact.cov, rtol=1e2 * np.finfo(np.float32).eps * 10)
