"""Checks of a family's density: that it is the one of its draws, and of their gradient."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

from vi.families.family import Family, Params
from vi.testing.samples import STANDARD_ERRORS, compare, draws_of, moved_by

__all__ = ["check_density", "check_gradient", "check_symmetry"]

DIRECTIONS = 5
"""Random directions in which the score is checked."""

GRADIENTS = 3
"""Functions and directions, for each parameter, in which the gradient of draws is checked."""


def check_density(family: Family, params: Params, draws: int, seed: int) -> None:
    """Compare log q with that of draws; its integral, slopes and scores with what is known."""
    points, with_draws = draws_of(family, params, draws, seed)
    log_q = np.asarray(jax.jit(jax.vmap(lambda z: family.log_prob(params, z)))(points))
    assert np.allclose(log_q, with_draws, rtol=1e-6, atol=1e-6), (
        "draw_and_log_prob must agree with log_prob"
    )
    mean, cov = (
        np.asarray(jax.jit(family.mean)(params)),
        0.5 * np.asarray(jax.jit(family.cov)(params)),
    )
    factor = np.linalg.cholesky(cov)
    white = np.linalg.solve(factor, (np.asarray(points) - mean).T)
    log_r = (
        -0.5 * np.sum(white**2, axis=0)
        - np.sum(np.log(np.diag(factor)))
        - 0.5 * len(mean) * math.log(2 * math.pi)
    )
    compare("normalisation of log_prob (E[r / q])", np.exp(log_r - log_q)[:, None], np.ones(1))
    slopes = np.asarray(jax.jit(jax.vmap(jax.grad(family.log_prob, 1), (None, 0)))(params, points))
    compare("mean of the gradient of log_prob in z", slopes, np.zeros(len(mean)))
    products = (np.asarray(points) - mean)[:, :, None] * slopes[:, None, :]
    compare(
        "mean of (z - mean) times the gradient of log_prob in z",
        products.reshape(len(products), -1),
        -np.eye(len(mean)).ravel(),
    )
    slope_along = jax.jit(
        lambda direction: jax.vmap(
            lambda z: jax.jvp(lambda p: family.log_prob(p, z), (params,), (direction,))[1]
        )(points)
    )
    for i in range(DIRECTIONS):
        far = moved_by(family, params, jax.random.key(seed + i), 1.0)
        slope = np.asarray(slope_along({name: far[name] - params[name] for name in params}))
        compare(f"score of log_prob in {', '.join(params)}", slope[:, None], np.zeros(1))


def check_gradient(family: Family, params: Params, draws: int, seed: int) -> None:
    """Compare the gradient through draws with the one that the density gives, draw by draw.

    What steps follow is the first alone: a draw whose gradient is twice too large, or goes straight
    through a choice, has the right density and ends elsewhere. The functions are waves over q's
    width: bounded, so that heavy tails do not drown what is looked for.
    """
    keys = jax.random.split(jax.random.key(seed + 3), draws)
    mean = jax.lax.stop_gradient(family.mean(params))
    std = jax.lax.stop_gradient(family.std(params))

    @jax.jit
    def both(direction: Params, wave: jax.Array, phase: jax.Array) -> tuple[jax.Array, jax.Array]:
        def f(z: jax.Array) -> jax.Array:
            return jnp.sin(jnp.sum(wave * (z - mean) / std) + phase)

        def one(key: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
            noise = family.noise(key, params)
            value, through = jax.jvp(
                lambda own: f(family.draw(own, noise)), (params,), (direction,)
            )
            z = family.draw(params, noise)
            slope = jax.jvp(lambda own: family.log_prob(own, z), (params,), (direction,))[1]
            return through, (value, slope)

        through, (values, slopes) = jax.vmap(one)(keys)
        return through, (values - jnp.mean(values)) * slopes

    for name, value in params.items():
        if not family.trains(name):  # no step follows it
            continue
        unit = family.units(params)[name]
        for i in range(GRADIENTS):
            of_wave, of_direction, of_phase = jax.random.split(jax.random.key(seed + i), 3)
            direction = {other: jnp.zeros_like(entries) for other, entries in params.items()}
            direction[name] = unit * jax.random.normal(of_direction, value.shape, value.dtype)
            wave = jax.random.normal(of_wave, mean.shape, mean.dtype)
            phase = jax.random.uniform(of_phase, (), mean.dtype, 0.0, 2.0 * math.pi)
            through, by_density = (np.asarray(a) for a in both(direction, wave, phase))
            difference = through - by_density
            allowed = STANDARD_ERRORS * difference.std() / math.sqrt(draws) + 1e-9
            assert abs(difference.mean()) <= allowed, (
                f"the gradient of draws in {name!r} is not that of the density: a derivative of an "
                f"expectation is {through.mean():.4g} through draw(), {by_density.mean():.4g} by "
                f"log_prob() (5 standard errors of the difference: {allowed:.2g})"
            )


def check_symmetry(family: Family, params: Params, draws: int, seed: int) -> None:
    """Noise and its negative are equally likely, where the family says that it is symmetric.

    Sines of waves over the noise, whose mean is the imaginary part of its characteristic function,
    have the mean 0 then. (The density of q at the two draws may differ, where the map bends.)
    """
    if not family.symmetric:
        return
    keys = jax.random.split(jax.random.key(seed + 4), draws)
    leaves = jax.tree.leaves(jax.vmap(lambda key: family.noise(key, params))(keys))
    assert all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves), (
        "symmetric is True, but the noise is not made of floating numbers, which have a negative"
    )
    noise = np.concatenate([np.asarray(leaf).reshape(draws, -1) for leaf in leaves], axis=1)
    waves = np.random.default_rng(seed).normal(size=(noise.shape[1], DIRECTIONS))
    waves /= noise.std(axis=0)[:, None] * math.sqrt(noise.shape[1])
    what = "mean of the sine of a wave over the noise, which is symmetric"
    compare(what, np.sin(noise @ waves), np.zeros(DIRECTIONS))
