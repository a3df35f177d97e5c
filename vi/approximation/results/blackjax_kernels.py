"""Markov chains as BlackJAX makes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vi.foundation.compiling import jitted
from vi.foundation.extras import needs
from vi.targets.backends.traceable import traceable_density
from vi.targets.base import Target

__all__ = ["Plan", "compiled_chains", "import_blackjax"]


class Plan(NamedTuple):
    """What the compiled code of the chains depends on."""

    method: str
    draws: int
    tune: int
    accept: float
    integration_steps: int | None
    doublings: int = 10


def compiled_chains(target: Target, plan: Plan) -> Callable[..., Any]:
    """The chains of a plan as one compiled call, kept with the target."""

    def make() -> Callable[..., Any]:
        density = traceable_density(target)

        def run(keys: jax.Array, starts: jax.Array, matrix: jax.Array, batch: Any) -> Any:
            def chain(key: jax.Array, start: jax.Array) -> Any:
                return _chain(plan, lambda z: density(z, batch), matrix, key, start)

            return jax.vmap(chain)(keys, starts)

        return jitted(run)

    return target.compiled(("chains", plan), make)


def _chain(plan: Plan, density: Any, matrix: jax.Array, key: jax.Array, start: jax.Array) -> Any:
    """Points and statistics of one chain after tuning its step size, and that size."""
    kernel, first = _kernel(plan, density, matrix, start.size)
    begin, update, final = import_blackjax().adaptation.step_size.dual_averaging_adaptation(
        plan.accept
    )
    tuning, sampling = jax.random.split(key)

    def tune(carry: Any, key: jax.Array) -> Any:
        state, adaptation = carry
        state, info = kernel(jnp.exp(adaptation.log_step_size)).step(key, state)
        return (state, update(adaptation, info.acceptance_rate)), None

    def step(state: Any, key: jax.Array) -> Any:
        state, info = sampler.step(key, state)
        return state, (state.position, _statistics(plan.method, state, info))

    size = jnp.asarray(first, start.dtype)
    state = kernel(size).init(start)
    if plan.tune:
        (state, adaptation), _ = jax.lax.scan(
            tune, (state, begin(size)), jax.random.split(tuning, plan.tune)
        )
        size = final(adaptation)
    sampler = kernel(size)
    _, (points, statistics) = jax.lax.scan(step, state, jax.random.split(sampling, plan.draws))
    return points, statistics, size


def _kernel(
    plan: Plan, density: Any, matrix: jax.Array, dim: int
) -> tuple[Callable[[Any], Any], float]:
    """BlackJAX's sampler by its step size, in standard deviations of q, and the first size."""
    blackjax = import_blackjax()
    if plan.method == "rmh":
        scale = jnp.sqrt(matrix) if matrix.ndim == 1 else jnp.linalg.cholesky(matrix)

        def walk(size: Any) -> Any:
            return blackjax.additive_step_random_walk(
                density, blackjax.mcmc.random_walk.normal(size * scale)
            )

        return walk, 2.38 / dim**0.5
    if plan.method == "hmc":
        length = plan.integration_steps
        return lambda size: blackjax.hmc(
            density, size, matrix, length or _quarter_turn(size)
        ), dim**-0.25
    return lambda size: blackjax.nuts(
        density, size, matrix, max_num_doublings=plan.doublings
    ), dim**-0.25


def _quarter_turn(size: jax.Array) -> jax.Array:
    """Steps after which a trajectory on a normal with q's covariance has made a quarter turn."""
    return jnp.ceil(0.5 * jnp.pi / size).astype(jnp.int32)


def _statistics(method: str, state: Any, info: Any) -> dict[str, jax.Array]:
    """What is kept of a step, by ArviZ's names."""
    kept = {"lp": state.logdensity, "acceptance_rate": info.acceptance_rate}
    if method == "rmh":
        return kept | {"accepted": info.is_accepted}
    kept |= {
        "diverging": info.is_divergent,
        "energy": info.energy,
        "n_steps": info.num_integration_steps,
    }
    return kept | ({"tree_depth": info.num_trajectory_expansions} if method == "nuts" else {})


def import_blackjax() -> Any:
    """BlackJAX, imported when it is needed."""
    return needs("blackjax", "Markov chains")
