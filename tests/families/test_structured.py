"""The structured family: a normal where it is one, and sparse in time and memory."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vi
from vi.families import Structured
from vi.foundation.precision import precision
from vi.testing.samples import perturbed

CHAIN = Structured((1,), ((), (0,), (0, 2)), inverse=True)
GROUPS = Structured((0,), ((), (1,), (), (3,)))
EXAMPLES = {"chain": CHAIN, "groups": GROUPS, "alone": Structured((), ((), (0,)), inverse=True)}


@pytest.fixture(autouse=True)
def double():
    with precision(np.dtype("float64")):
        yield


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_contract(name):
    family = EXAMPLES[name]
    vi.testing.check_family(family, len(family.globals) + len(family.parents))


@pytest.mark.few(1)
@pytest.mark.parametrize("name", EXAMPLES)
def test_without_slopes_it_is_a_normal(name):
    """Of the covariance that its linear draws have."""
    family = EXAMPLES[name]
    dim = len(family.globals) + len(family.parents)
    params = perturbed(family, dim, 3, np.dtype("float64"))
    params |= {n: jnp.zeros_like(v) for n, v in params.items() if n.endswith("_slope")}
    factor = jax.vmap(lambda e: family.draw(params, e) - params["mu"])(jnp.eye(dim)).T
    cov = factor @ factor.T
    np.testing.assert_allclose(family.cov(params), cov, atol=1e-12)
    np.testing.assert_allclose(family.std(params), np.sqrt(np.diag(cov)), rtol=1e-12)
    z = params["mu"] + jnp.linspace(-1.0, 1.0, dim)
    normal = jax.scipy.stats.multivariate_normal.logpdf(z, params["mu"], cov)
    np.testing.assert_allclose(family.log_prob(params, z), normal, rtol=1e-10)
    entropy = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * cov)[1]
    np.testing.assert_allclose(family.entropy(params), entropy, rtol=1e-10)


@pytest.mark.parametrize("name", EXAMPLES)
def test_score_from_the_noise_is_that_of_the_density(name):
    family = EXAMPLES[name]
    dim = len(family.globals) + len(family.parents)
    params = perturbed(family, dim, 3, np.dtype("float64"))
    noise = jnp.linspace(-1.5, 1.0, dim)
    z = family.draw(params, noise)
    right = jax.value_and_grad(lambda z: family.log_prob(params, z))(z)
    found = jax.value_and_grad(lambda z: family.log_prob_of_draw(params, noise, z))(z)
    np.testing.assert_allclose(found[0], right[0], rtol=1e-12)
    np.testing.assert_allclose(found[1], right[1], atol=1e-12 * np.abs(right[1]).max())
    nothing = jax.grad(lambda p: family.log_prob_of_draw(p, noise, z))(params)
    assert all(not np.any(value) for value in nothing.values())


def test_scales_follow_the_globals():
    """Given the global noise, an effect's log sd is a + b e: its variance is a lognormal's mean."""
    family = Structured((0,), ((),))
    params = family.init(jnp.zeros(2), jnp.ones(2), jax.random.key(0))
    params["log_scale_slope"] = jnp.full((1, 1), 0.7)
    np.testing.assert_allclose(family.std(params)[1] ** 2, np.exp(2 * 0.7**2), rtol=1e-12)


def test_work_grows_with_the_ties():
    """No array of a draw and its density is larger than a few times n g, in 4,001 dimensions."""
    n = 2_000
    ties = tuple(() for _ in range(n)) + tuple((1 + i,) for i in range(n))
    family = Structured((0,), ties)
    params = jax.eval_shape(
        lambda key: family.init(jnp.zeros(2 * n + 1), jnp.ones(2 * n + 1), key), jax.random.key(0)
    )
    assert sum(p.size for p in params.values()) <= 12 * n
    traced = jax.make_jaxpr(lambda p, e: family.draw_and_log_prob(p, e))(params, params["mu"])
    sizes = [v.aval.size for e in traced.jaxpr.eqns for v in e.outvars]
    assert max(sizes) <= 4 * n + 2


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: Structured((0, 0), ((),)), "once each"),
        (lambda: Structured((5,), ((),)), "once each"),
        (lambda: Structured((0,), ((0,),)), "parents of coordinate 1"),
        (lambda: Structured((), ((1,), (0,))), "circles"),
        (lambda: Structured((), ((), (), (0, 1)), inverse=True), "not tied"),
        (lambda: Structured((), ((),)).init(jnp.zeros(3), jnp.ones(3), None), "1 coordinates"),
    ],
)
def test_bad_settings(build, match):
    with pytest.raises(ValueError, match=match):
        build()
