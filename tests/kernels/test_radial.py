"""Kernels of a distance: profiles and their derivatives, and the median behind the bandwidth."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vi.foundation.precision import precision
from vi.kernels import KERNELS, RBF, PairKernel, RadialKernel
from vi.kernels.radial import _pairs

RADIAL = [name for name, kind in KERNELS.items() if issubclass(kind, RadialKernel)]


@pytest.fixture(autouse=True)
def double():
    with precision(np.dtype("float64")):
        yield


@pytest.mark.parametrize("name", RADIAL)
def test_profiles_are_derivatives_and_positive_definite(name, rng):
    kernel = KERNELS[name](bandwidth=1.0)
    u = jnp.asarray(rng.uniform(0, 4, size=9))
    value, first, second = kernel.profile(u)
    np.testing.assert_allclose(first, jax.vmap(jax.grad(lambda v: kernel.profile(v)[0]))(u))
    np.testing.assert_allclose(second, jax.vmap(jax.grad(lambda v: kernel.profile(v)[1]))(u))
    assert float(kernel.profile(jnp.zeros(()))[0]) == 1.0
    points = rng.normal(size=(40, 2))
    square = jnp.asarray(((points[:, None] - points[None]) ** 2).sum(-1))
    assert np.linalg.eigvalsh(np.asarray(kernel.profile(square)[0])).min() > -1e-10
    assert value.shape == u.shape


@pytest.mark.parametrize(("n", "pairs"), [(2, 1), (45, 990), (46, 1024), (500, 1024)])
def test_the_median_is_over_a_fixed_sample_of_pairs(n, pairs, rng):
    rows, columns = _pairs(n)
    assert len(rows) == pairs
    assert np.all(rows != columns)
    assert _pairs(n) is _pairs(n)
    points = rng.normal(size=(n, 2))
    square = jnp.asarray(((points[:, None] - points[None]) ** 2).sum(-1))
    h = float(RBF()._bandwidth(square)) * np.log(n + 1)
    exact = np.median(np.asarray(square)[np.triu_indices(n, 1)])
    # a median of m has the standard error 1 / (2 f sqrt(m)); chi-squared(2) x 2 has f = 1/8 and the
    # median 2.77
    assert abs(h - exact) < 5 * 4 / np.sqrt(pairs) if pairs == 1024 else h == pytest.approx(exact)


@pytest.mark.parametrize("name", RADIAL)
@pytest.mark.parametrize("bandwidth", [0.0, -1.0, np.inf, "wide", True])
def test_bad_bandwidths(name, bandwidth):
    with pytest.raises(ValueError, match=r"bandwidth=.*above 0"):
        KERNELS[name](bandwidth=bandwidth)


@pytest.mark.few(2)
@pytest.mark.parametrize("name", RADIAL)
def test_sums_are_those_of_automatic_differentiation(name, rng):
    """Of the profile as a function of two points; to rounding, and far from the origin too."""
    kernel = KERNELS[name](bandwidth=5.0)
    pair = PairKernel(lambda x, y: kernel.profile(jnp.sum((x - y) ** 2) / kernel.bandwidth)[0])
    points, scores = (jnp.asarray(rng.normal(size=(7, 3))) for _ in range(2))
    ours, theirs = kernel.sums(100.0 + points, scores), pair.sums(points, scores)
    for field in ours._fields:
        np.testing.assert_allclose(
            getattr(ours, field), getattr(theirs, field), rtol=1e-9, atol=1e-9
        )


def test_whether_to_standardize_is_yes_or_no():
    for wrong in (1, None, "x", float("nan")):
        with pytest.raises(TypeError, match=r"RBF\(standardize=.*must be True or False"):
            RBF(standardize=wrong)
