"""The contract of a family in brief: one small compilation, so that every family has a quick test.

`vi.testing.check_family` compares all claims with many draws and compiles for seconds or minutes.
What is here sees a method that is missing, of the wrong shape or dtype, or a density that is not
that of the draws.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from seeds import seed

from vi.families import Family
from vi.foundation.precision import precision
from vi.objectives import ESTIMATORS

DRAWS = 500
ALLOWED = 5
"""Standard errors."""


def check_in_brief(family: Family, dim: int = 2) -> None:
    """Shapes and dtypes of everything by tracing, and the density by draws at the start."""
    assert hash(family) == hash(family)
    if family.has_density:
        assert family.default_estimator in ESTIMATORS
    for dtype in (np.dtype("float32"), np.dtype("float64")):
        with precision(dtype):
            _check_forms(family, dim, dtype)
    with precision(np.dtype("float64")):
        _check_draws(family, dim)


def _check_forms(family: Family, dim: int, dtype: np.dtype) -> None:
    def everything(key):
        params = family.init(jnp.zeros(dim), jnp.ones(dim), key)
        noise = family.noise(key, params)
        draw = family.draw(params, noise)
        vectors = {"draw": draw, "mean": family.mean(params), "std": family.std(params)}
        scalars = {}
        if family.has_density:
            vectors["draw of two"], scalars["log_prob of two"] = family.draw_and_log_prob(
                params, noise
            )
            scalars["log_prob"] = family.log_prob(params, draw)
            entropy = family.entropy(params)
            scalars |= {} if entropy is None else {"entropy": jnp.asarray(entropy)}
        return params, family.units(params), vectors, scalars, family.cov(params)

    params, units, vectors, scalars, cov = jax.eval_shape(everything, jax.random.key(0))
    assert units.keys() == params.keys()
    wanted = {f"params[{name!r}]": (value, value.shape) for name, value in params.items()}
    wanted |= {f"units[{name!r}]": (units[name], params[name].shape) for name in params}
    wanted |= {name: (value, (dim,)) for name, value in vectors.items()}
    wanted |= {name: (value, ()) for name, value in scalars.items()}
    wanted["cov"] = (cov, (dim, dim))
    for name, (got, shape) in wanted.items():
        assert (got.shape, got.dtype) == (shape, dtype), f"{name}: {got.shape} {got.dtype}"


def _check_draws(family: Family, dim: int) -> None:
    """The mean asked for, and Stein's identity: E[(z - mean) d log q / dz] = -1 in each entry.

    A start of random weights has its mean to 0.15 of its standard deviation (as in
    `vi.testing.check_family`), particles to that of their number.
    """
    mean, std = jnp.arange(1.0, dim + 1), jnp.linspace(0.5, 2.0, dim)
    params = jax.jit(family.init)(mean, std, jax.random.key(seed(0)))

    @jax.jit
    def draws(keys):
        def one(key):
            noise = family.noise(key, params)
            if not family.has_density:
                return family.draw(params, noise), jnp.zeros(dim), jnp.zeros(())
            z, with_draw = family.draw_and_log_prob(params, noise)
            log_q, slope = jax.value_and_grad(lambda z: family.log_prob(params, z))(z)
            return z, slope, with_draw - log_q

        return jax.vmap(one)(keys)

    z, slope, difference = map(np.asarray, draws(jax.random.split(jax.random.key(seed(1)), DRAWS)))
    np.testing.assert_allclose(difference, 0, atol=1e-6)
    error = ALLOWED * z.std(axis=0) / np.sqrt(DRAWS)
    if not family.has_density:
        error = error + ALLOWED * std / np.sqrt(len(params["particles"]))
    elif not family.exact_moments:
        error = error + 0.15 * std
    assert np.all(np.abs(z.mean(axis=0) - mean) <= error), (z.mean(axis=0), mean)
    if not family.has_width:
        assert not np.any(slope)
        assert not np.any(family.std(params))
    elif family.has_density:
        product = (z - z.mean(axis=0)) * slope
        allowed = ALLOWED * product.std(axis=0) / np.sqrt(DRAWS) + 1e-9
        assert np.all(np.abs(product.mean(axis=0) + 1) <= allowed), product.mean(axis=0)
