"""Checks for those who write a family of their own: what the rest of the library relies on, tested by sampling."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

from vi.families.base import Family, Params
from vi.objectives import ESTIMATORS
from vi.precision import precision

__all__ = ["check_family"]

STANDARD_ERRORS = 5.0


def check_family(family: Family, dim: int = 3, *, draws: int = 20_000, seed: int = 0) -> None:
    r"""Check that a family keeps the contract of :class:`vi.families.Family`.

    Parameters
    ----------
    family : Family
        The family.
    dim : int
        Dimension of the check; small, so that Monte Carlo can see errors.
    draws : int
        Draws of the check. Every comparison allows 5 standard errors of its own Monte-Carlo estimate.
    seed : int
        Seed of the check.

    Raises
    ------
    AssertionError
        If something does not hold; the message says what. Checked are: the family can be hashed; ``init`` has the
        mean and the scale asked for; ``mean``, ``std``, ``cov`` and ``entropy`` are those of the draws; the density
        is normalised (:math:`E_q[r / q] = 1` for a normal ``r`` narrower than q) and its score has mean zero; units
        are positive and shaped like the parameters; float32 stays float32.

    Examples
    --------
    >>> import vi
    >>> vi.testing.check_family(vi.families.MeanField())
    """
    assert hash(family) == hash(family), "a family must be hashable: make it a frozen dataclass"
    assert isinstance(family.short_name, str), "a family needs a short_name"
    assert family.default_estimator in ESTIMATORS, f"default_estimator must be one of {', '.join(ESTIMATORS)}"
    with precision(np.dtype("float64")):
        params = _perturbed(family, dim, seed, np.dtype("float64"))
        _check_init(family, dim)
        _check_density(family, params, draws, seed)
        _check_moments(family, params, draws, seed)
        _check_units(family, params)
    with precision(np.dtype("float32")):
        _check_float32(family, dim, seed)


def _perturbed(family: Family, dim: int, seed: int, dtype: np.dtype) -> Params:
    """Parameters of no special shape: a start, with noise on every entry."""
    key = jax.random.key(seed)
    params = family.init(jnp.arange(1.0, dim + 1, dtype=dtype), jnp.linspace(0.5, 2.0, dim, dtype=dtype), key)
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    noisy = [leaf + 0.3 * jax.random.normal(k, leaf.shape, leaf.dtype) for leaf, k in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(structure, noisy)  # type: ignore[no-any-return]


def _draws(family: Family, params: Params, count: int, seed: int) -> jax.Array:
    keys = jax.random.split(jax.random.key(seed + 1), count)
    points: jax.Array = jax.jit(jax.vmap(lambda key: family.draw(params, family.noise(key, params))))(keys)
    return points


def _check_init(family: Family, dim: int) -> None:
    mean, std = jnp.arange(dim, dtype=jnp.float64), jnp.linspace(0.3, 3.0, dim)
    params = family.init(mean, std, jax.random.key(0))
    assert np.allclose(family.mean(params), mean), "init(mean, std) must have that mean"
    assert np.allclose(family.std(params), std), "init(mean, std) must have those standard deviations"


def _check_moments(family: Family, params: Params, draws: int, seed: int) -> None:
    points = np.asarray(_draws(family, params, draws, seed))
    mean, std, cov = (np.asarray(f(params)) for f in (family.mean, family.std, family.cov))
    _compare("mean", points, mean)
    centred = points - mean
    products = centred[:, :, None] * centred[:, None, :]
    _compare("cov", products.reshape(draws, -1), cov.ravel())
    assert np.allclose(std, np.sqrt(np.diag(cov))), "std must be the square root of the diagonal of cov"
    entropy = family.entropy(params)
    if entropy is not None:
        log_q = np.asarray(jax.vmap(lambda z: family.log_prob(params, z))(jnp.asarray(points)))
        _compare("entropy", -log_q[:, None], np.atleast_1d(np.asarray(entropy)))


def _check_density(family: Family, params: Params, draws: int, seed: int) -> None:
    points = _draws(family, params, draws, seed)
    log_q = np.asarray(jax.vmap(lambda z: family.log_prob(params, z))(points))
    mean, cov = np.asarray(family.mean(params)), 0.5 * np.asarray(family.cov(params))
    factor = np.linalg.cholesky(cov)
    white = np.linalg.solve(factor, (np.asarray(points) - mean).T)
    log_r = -0.5 * np.sum(white**2, axis=0) - np.sum(np.log(np.diag(factor))) - 0.5 * len(mean) * math.log(2 * math.pi)
    _compare("normalisation of log_prob (E[r / q])", np.exp(log_r - log_q)[:, None], np.ones(1))
    score = jax.vmap(lambda z: jax.grad(lambda p: family.log_prob(p, z))(params))(points)
    for name, value in score.items():
        _compare(f"score of log_prob in {name!r}", np.asarray(value).reshape(draws, -1), np.zeros(value[0].size))


def _check_units(family: Family, params: Params) -> None:
    units = family.units(params)
    assert units.keys() == params.keys(), "units must have the keys of the parameters"
    for name in params:
        assert units[name].shape == params[name].shape, f"units[{name!r}] must have the shape of the parameter"
        assert bool(jnp.all(units[name] > 0)), f"units[{name!r}] must be positive"


def _check_float32(family: Family, dim: int, seed: int) -> None:
    params = _perturbed(family, dim, seed, np.dtype("float32"))
    draw = family.draw(params, family.noise(jax.random.key(seed), params))
    values = {
        "draw": draw,
        "log_prob": family.log_prob(params, draw),
        "mean": family.mean(params),
        "std": family.std(params),
        "cov": family.cov(params),
    } | {f"units[{name!r}]": value for name, value in family.units(params).items()}
    for name, value in values.items():
        assert value.dtype == jnp.float32, f"{name} turns float32 parameters into {value.dtype}"


def _compare(what: str, samples: np.ndarray, expected: np.ndarray) -> None:
    """Mean of samples ``(n, k)`` against ``k`` numbers, within 5 standard errors."""
    error = np.abs(samples.mean(axis=0) - expected)
    allowed = STANDARD_ERRORS * samples.std(axis=0) / math.sqrt(len(samples)) + 1e-9
    worst = int(np.argmax(error / allowed))
    assert error[worst] <= allowed[worst], (
        f"{what}: {expected[worst]:.5g} is claimed, draws give {samples[:, worst].mean():.5g} "
        f"(5 standard errors: {allowed[worst]:.2g})"
    )
