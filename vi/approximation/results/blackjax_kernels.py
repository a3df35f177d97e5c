"""Markov chains as BlackJAX makes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vi.approximation.results.partly_centred import PartlyCentred
from vi.foundation.compiling import jitted
from vi.foundation.extras import needs
from vi.targets.backends.traceable import traceable_density
from vi.targets.base import Target

__all__ = ["Plan", "compiled_chains", "first_size", "import_blackjax"]


class Plan(NamedTuple):
    """What the compiled code of the chains depends on, beside the shapes of what it is given."""

    method: str
    integration_steps: int | None = None
    doublings: int = 10


def compiled_chains(target: Target | PartlyCentred, plan: Plan) -> Callable[..., Any]:
    """Steps of chains as one compiled call, kept with the target.

    It takes keys ``(C, T)``, starts ``(C, D)``, sizes of steps ``(C,)``, the inverse mass matrix,
    the number of steps at the beginning that tune the sizes to an acceptance rate, that rate, and
    the batch. It gives points ``(C, T, D)``, statistics ``(C, T)`` and the sizes at the end. How
    many steps tune is no part of the code: the kernel, which is dear to compile, is there once.
    """

    def make() -> Callable[..., Any]:
        density: Callable[..., Any] = (
            target.log_density if isinstance(target, PartlyCentred) else traceable_density(target)
        )

        def run(
            keys: jax.Array,
            starts: jax.Array,
            sizes: jax.Array,
            matrix: jax.Array,
            tune: jax.Array,
            accept: jax.Array,
            batch: Any,
        ) -> Any:
            metric = import_blackjax().mcmc.metrics.default_metric(matrix)

            def chain(keys: jax.Array, start: jax.Array, size: jax.Array) -> Any:
                kernel = _kernel(plan, lambda z: density(z, batch), matrix, metric)
                return _chain(kernel, plan.method, keys, start, size, tune, accept)

            return jax.vmap(chain)(keys, starts, sizes)

        return jitted(run)

    return target.compiled(("chains", plan), make)


def _chain(
    kernel: Callable[[Any], Any],
    method: str,
    keys: jax.Array,
    start: jax.Array,
    size: jax.Array,
    tune: jax.Array,
    accept: jax.Array,
) -> Any:
    """Points and statistics of one chain, and the size of its steps at the end."""
    adaptation = import_blackjax().adaptation.step_size.dual_averaging_adaptation
    begin, update, final = adaptation(accept)

    def step(carry: Any, now: Any) -> Any:
        state, tuned = carry
        key, tunes = now
        state, info = kernel(jnp.where(tunes, jnp.exp(tuned.log_step_size), final(tuned))).step(
            key, state
        )
        new = update(tuned, info.acceptance_rate)
        tuned = jax.tree.map(lambda new, old: jnp.where(tunes, new, old), new, tuned)
        return (state, tuned), (state.position, _statistics(method, state, info))

    # the average of no steps would be a size of one
    tuned = begin(size)._replace(log_step_size_avg=jnp.log(size))
    as_later = jax.tree.map(jnp.result_type, update(tuned, accept))
    tuned = jax.tree.map(jnp.asarray, tuned, as_later)
    tunes = jnp.arange(len(keys)) < tune
    (_, tuned), (points, statistics) = jax.lax.scan(
        step, (kernel(size).init(start), tuned), (keys, tunes)
    )
    return points, statistics, final(tuned)


def first_size(method: str, dim: int) -> float:
    """The size of the first steps, in standard deviations of q."""
    return float(2.38 / dim**0.5 if method == "rmh" else dim**-0.25)


def _kernel(plan: Plan, density: Any, matrix: jax.Array, metric: Any) -> Callable[[Any], Any]:
    """BlackJAX's sampler by its step size, in standard deviations of q."""
    blackjax = import_blackjax()
    if plan.method == "rmh":
        scale = jnp.sqrt(matrix) if matrix.ndim == 1 else jnp.linalg.cholesky(matrix)

        def walk(size: Any) -> Any:
            return blackjax.additive_step_random_walk(
                density, blackjax.mcmc.random_walk.normal(size * scale)
            )

        return walk
    if plan.method == "hmc":
        length = plan.integration_steps
        return lambda size: blackjax.hmc(density, size, metric, length or _quarter_turn(size))
    return lambda size: blackjax.nuts(density, size, metric, max_num_doublings=plan.doublings)


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
