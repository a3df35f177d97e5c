"""What checks of a family are made on: parameters of no special shape, draws, their means."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

from vi.families.family import Family, Params

__all__ = ["STANDARD_ERRORS", "compare", "draws_of", "moved_by", "perturbed"]

STANDARD_ERRORS = 5.0


def perturbed(family: Family, dim: int, seed: int, dtype: np.dtype) -> Params:
    """Parameters of no special shape: a start, with noise on every entry."""
    key = jax.random.key(seed)
    params = family.init(
        jnp.arange(1.0, dim + 1, dtype=dtype), jnp.linspace(0.5, 2.0, dim, dtype=dtype), key
    )
    return moved_by(family, params, key, 0.3)


def moved_by(family: Family, params: Params, key: jax.Array, units: float) -> Params:
    """Parameters with normal noise of some units on every entry."""
    keys = jax.random.split(key, len(params))
    return {
        name: value + units * unit * jax.random.normal(key, value.shape, value.dtype)
        for (name, value), unit, key in zip(
            params.items(), family.units(params).values(), keys, strict=True
        )
    }


def draws_of(family: Family, params: Params, count: int, seed: int) -> tuple[jax.Array, jax.Array]:
    """Draws, and the log density that comes with them (zeros where there is none)."""
    keys = jax.random.split(jax.random.key(seed + 1), count)

    def one(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        noise = family.noise(key, params)
        if family.has_density:
            return family.draw_and_log_prob(params, noise)
        return family.draw(params, noise), jnp.zeros(())

    both: tuple[jax.Array, jax.Array] = jax.jit(jax.vmap(one))(keys)
    return both


def compare(what: str, samples: np.ndarray, expected: np.ndarray, widen: float = 1.0) -> None:
    """Mean of samples ``(n, k)`` against ``k`` numbers, within 5 standard errors."""
    error = np.abs(samples.mean(axis=0) - expected)
    allowed = widen * STANDARD_ERRORS * samples.std(axis=0) / math.sqrt(len(samples)) + 1e-9
    worst = int(np.argmax(error / allowed))
    assert error[worst] <= allowed[worst], (
        f"{what}: {expected[worst]:.5g} is claimed, draws give {samples[:, worst].mean():.5g} "
        f"(5 standard errors: {allowed[worst]:.2g})"
    )
