"""Where steps on a normal lead, and what their loss and gradient are on average."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

from vi.algorithms.base import State
from vi.optimizers.named import is_optimizer
from vi.testing.common import (
    FACTORS,
    Steps,
    divergence,
    factor_of,
    log_density,
    near,
    quick_jit,
)

__all__ = ["check_loss_and_gradient", "progress", "with_optimizer"]

KEYS = 1000
"""Steps behind a mean."""


def progress(of: Steps, params: Any, steps: int, seed: int) -> float:
    """The divergence from the target after some steps; refuse one that grows."""
    family, dim = of.algorithm.family, len(of.algorithm.family.mean(params))
    state = of.algorithm.init(params, jax.random.key(seed + 1))
    run = quick_jit(lambda s: jax.lax.fori_loop(0, steps, lambda i, s: of.step(s)[0], s))
    report = of.algorithm.report(run(state))
    finite = all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(report))
    before = divergence(np.zeros(dim), np.ones(dim))
    after = divergence(family.mean(report), family.std(report)) if finite else np.inf
    assert after <= before, (
        f"steps go uphill: after {steps} of them the divergence from a normal is {after:.4g}, at "
        f"the start {before:.4g}. Look at the sign of the gradient, or at the size of the steps"
    )
    return after


def check_loss_and_gradient(of: Steps, dim: int, seed: int, *, gradient: bool = True) -> None:
    """The mean loss and the mean gradient, each against what it is said to be."""
    params = near(of.algorithm.family, dim, seed)
    keys = jax.random.split(jax.random.key(seed + 3), KEYS)
    own = with_optimizer(of, optax.sgd(1.0)) if gradient else None
    used = own or of
    flat, back = ravel_pytree(params)
    width = 1e-4
    moved = flat + width * jnp.stack([jnp.eye(len(flat)), -jnp.eye(len(flat))])

    def step(start: jax.Array, key: jax.Array) -> tuple[State, jax.Array]:
        return used.step(used.algorithm.init(back(start), key))

    def one(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        new, loss = step(flat, key)
        return flat - ravel_pytree(new.params)[0], loss

    followed, losses = map(np.asarray, quick_jit(jax.vmap(one))(keys))
    if of.algorithm.has_elbo:
        _check_elbo(of, params, losses, keys[0])
    if own is None:
        return

    def slope(key: jax.Array) -> jax.Array:
        ahead, behind = jax.vmap(jax.vmap(lambda start: step(start, key)[1]))(moved)
        return (ahead - behind) / (2 * width)

    got, expected = followed, np.asarray(quick_jit(jax.vmap(slope))(keys))
    factor = factor_of(got, expected)
    if factor is None and not of.algorithm.has_elbo:
        return  # it follows something else than its loss
    assert factor == 1.0, (
        f"the gradient that a step follows is not that of the mean loss{_so(factor)}: "
        f"{_first(got)} and {_first(expected)}"
    )


def _check_elbo(of: Steps, params: Any, losses: np.ndarray, key: jax.Array) -> None:
    """The mean loss against log q - log p of other draws."""
    family = of.algorithm.family

    def minus_elbo(key: jax.Array) -> jax.Array:
        z, log_q = family.draw_and_log_prob(params, family.noise(key, params))
        return log_q - log_density(z[None])[0]

    draws = np.asarray(quick_jit(jax.vmap(minus_elbo))(jax.random.split(key, 4 * KEYS)))
    expected = draws.reshape(KEYS, -1).mean(axis=1)
    factor = factor_of(losses[:, None], expected[:, None])
    assert factor == 1.0, (
        f"has_elbo says that the loss is minus the ELBO: its mean is {losses.mean():.5g}, minus "
        f"the ELBO is {expected.mean():.5g}{_so(factor)}"
    )


def _so(factor: float | None) -> str:
    return "" if factor is None else f"; it is {FACTORS[factor]}"


def _first(samples: np.ndarray) -> str:
    return np.array2string(samples.mean(axis=0)[:4], precision=4)


def with_optimizer(of: Steps, optimizer: optax.GradientTransformation) -> Steps | None:
    """The same with another optimiser, which may belong to an inner algorithm."""
    algorithm: Any = of.algorithm
    plain = {"optimizer": optimizer}
    if is_optimizer(getattr(algorithm, "optimizer", None)):
        if hasattr(algorithm, "max_gradient_norm"):
            plain["max_gradient_norm"] = None
        made = dataclasses.replace(algorithm, **plain)
    elif is_optimizer(getattr(getattr(algorithm, "inner", None), "optimizer", None)):
        made = dataclasses.replace(algorithm, inner=dataclasses.replace(algorithm.inner, **plain))
    else:
        return None
    return Steps(made, of._rows, of.weight)
