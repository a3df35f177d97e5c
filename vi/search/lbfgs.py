"""Modes of a log density by L-BFGS (optax), from many starts at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vi.foundation.compiling import jitted
from vi.foundation.kept import Keeper

__all__ = ["CHUNK", "MEMORY", "Minimand", "Search", "search"]

CHUNK = 10
"""Iterations a compiled call: a call costs more than an iteration of a small model.

What is done after the end of a search is thrown away, at most so many iterations.
"""

MEMORY = 10
"""Pairs of differences behind the inverse Hessian: optax's own number, 3 to 20 by Nocedal."""

STALLED = 3
"""Iterations that change the value by rounding only before a search ends."""

WORSE = 1e-5
"""How much a step may raise the value, relative to it: ten times what the line search allows.

Where the function falls without end, a line search that fails returns any of the points it tried.
"""

LINE_SEARCH_STEPS = 30
"""The most steps of a line search (optax's own number is 20).

Thirty halvings bring a step from 1 below the square root of a double's rounding: less is none.
"""


class Search(NamedTuple):
    """Where ``K`` searches ended, and how they went.

    Parameters
    ----------
    points : numpy.ndarray
        The last points, ``(K, D)``.
    values : numpy.ndarray
        The function there, ``(K,)``.
    iterations : numpy.ndarray
        Iterations done, ``(K,)``.
    gains : numpy.ndarray
        What the next iteration is expected to gain, half of ``g' H g``, ``(K,)``.
    converged : numpy.ndarray
        Whether that is nothing but rounding, ``(K,)``.
    path : tuple of numpy.ndarray
        The points ``(T, K, D)``, values ``(T, K)`` and gradients ``(T, K, D)`` of all iterations,
        the start first; a search that ended stays where it is.
    """

    points: np.ndarray
    values: np.ndarray
    iterations: np.ndarray
    gains: np.ndarray
    converged: np.ndarray
    path: tuple[np.ndarray, np.ndarray, np.ndarray]


class Minimand(Keeper):
    """A function to minimise, and what is compiled for it.

    Parameters
    ----------
    function : callable
        ``(z, *arguments) -> scalar``, differentiable by JAX.
    """

    def __init__(self, function: Callable[..., jax.Array]) -> None:
        self.function = function


class _State(NamedTuple):
    """One search: ``point`` ``(D,)``, its value and gradient, and what the next iteration needs."""

    point: jax.Array
    value: jax.Array
    gradient: jax.Array
    memory: Any
    line: Any
    done: jax.Array
    stalled: jax.Array
    gain: jax.Array
    active: jax.Array


def search(
    function: Callable[..., jax.Array] | Minimand,
    starts: np.ndarray,
    *arguments: Any,
    iterations: int = 1_000,
) -> Search:
    r"""Minimise a function from many starts.

    A search ends where the next iteration is expected to gain :math:`\tfrac12 g^\top H g` of less
    than the rounding of the value, ``H`` being the inverse Hessian that L-BFGS has learned. That
    measure does not depend on the units of the point: for minus a log density it is half the
    squared distance from the mode, in posterior standard deviations.

    Parameters
    ----------
    function : callable or Minimand
        ``(z, *arguments) -> scalar``, differentiable by JAX; a :class:`Minimand` is compiled once.
    starts : numpy.ndarray
        ``(K, D)``.
    *arguments
        What else the function reads.
    iterations : int
        The most iterations.

    Returns
    -------
    Search

    Examples
    --------
    >>> import numpy as np
    >>> found = search(
    ...     lambda z: 2 * (z[0] - 1) ** 2 + 3 * (z[1] - 1) ** 2, np.zeros((1, 2), np.float32)
    ... )
    >>> found.points.round(3).tolist(), bool(found.converged[0])
    ([[1.0, 1.0]], True)

    References
    ----------
    Liu and Nocedal (1989). On the limited memory BFGS method for large scale optimization.
    Mathematical Programming 45.
    """
    minimand = function if isinstance(function, Minimand) else Minimand(function)
    begin, advance = minimand.compiled("search", lambda: _compiled(minimand.function))
    state = begin(starts, *arguments)
    path = [tuple(np.asarray(part)[None] for part in (state.point, state.value, state.gradient))]
    limit = np.int32(min(iterations, np.iinfo(np.int32).max))
    while iterations > 0 and bool(np.any(np.asarray(state.active))):
        state, steps = advance(state, limit, *arguments)
        path.append(tuple(np.asarray(part).swapaxes(0, 1) for part in steps))
    eps = float(np.finfo(starts.dtype).eps)
    gains, values = np.asarray(state.gain), np.asarray(state.value)
    small = gains <= np.sqrt(eps) * np.maximum(np.abs(values), 1.0)
    points, all_values, gradients = (np.concatenate(parts) for parts in zip(*path, strict=True))
    return Search(
        points=np.asarray(state.point),
        values=values,
        iterations=np.asarray(state.done),
        gains=gains,
        converged=small & np.isfinite(values) & (gains >= 0) & (np.asarray(state.done) < limit),
        path=(points, all_values, gradients),
    )


def _compiled(function: Callable[..., jax.Array]) -> tuple[Any, Any]:
    """The two parts of a search over starts ``(K, D)``: its beginning, and some iterations."""

    def begin(starts: jax.Array, *arguments: Any) -> _State:
        return jax.vmap(lambda start: _begin(lambda z: function(z, *arguments), start))(starts)

    def advance(states: _State, limit: Any, *arguments: Any) -> Any:
        return jax.vmap(lambda state: _advance(lambda z: function(z, *arguments), state, limit))(
            states
        )

    return jitted(begin), jitted(advance)


def _parts() -> tuple[optax.GradientTransformation, optax.GradientTransformationExtraArgs]:
    """What chooses a direction, and what chooses how far to go."""
    return optax.scale_by_lbfgs(MEMORY), optax.scale_by_zoom_linesearch(
        max_linesearch_steps=LINE_SEARCH_STEPS, initial_guess_strategy="one"
    )


def _begin(function: Callable[[jax.Array], jax.Array], start: jax.Array) -> _State:
    direction, distance = _parts()
    value, gradient = jax.value_and_grad(function)(start)
    return _State(
        point=start,
        value=value,
        gradient=gradient,
        memory=direction.init(start),
        line=distance.init(start),
        done=jnp.zeros((), jnp.int32),
        stalled=jnp.zeros((), jnp.int32),
        gain=jnp.full((), jnp.inf, start.dtype),
        active=jnp.isfinite(value) & jnp.all(jnp.isfinite(gradient)),
    )


def _advance(function: Callable[[jax.Array], jax.Array], state: _State, limit: Any) -> Any:
    """Some iterations, and the point, value and gradient after each of them."""

    def step(state: _State, _: None) -> Any:
        new = _iterate(function, state)
        new = new._replace(active=new.active & (new.done < limit))
        keep = state.active
        state = jax.tree.map(lambda a, b: jnp.where(keep, a, b), new, state)
        return state, (state.point, state.value, state.gradient)

    return jax.lax.scan(step, state, None, length=CHUNK)


def _iterate(function: Callable[[jax.Array], jax.Array], state: _State) -> _State:
    direction, distance = _parts()
    point, value, gradient = state.point, state.value, state.gradient
    ahead, memory = direction.update(gradient, state.memory, point)
    slope = jnp.vdot(gradient, ahead)
    uphill = ~(slope > 0)  # the memory spans a region where the function is not convex
    ahead = jnp.where(uphill, _short(gradient), ahead)
    gain = 0.5 * jnp.vdot(gradient, ahead)
    eps = jnp.finfo(point.dtype).eps
    rounding = eps * jnp.maximum(jnp.abs(value), 1.0)
    move, line = distance.update(
        -ahead, state.line, point, value=value, grad=gradient, value_fn=function
    )
    reached = point + move
    new_value, new_gradient = jax.value_and_grad(function)(reached)
    sound = jnp.isfinite(new_value) & jnp.all(jnp.isfinite(new_gradient))
    sound &= new_value <= value + WORSE * jnp.maximum(jnp.abs(value), 1.0)
    arrived = gain <= rounding
    moves = sound & ~arrived
    stalled = jnp.where(value - new_value > 4 * rounding, 0, state.stalled + 1)
    return _State(
        point=jnp.where(moves, reached, point),
        value=jnp.where(moves, new_value, value),
        gradient=jnp.where(moves, new_gradient, gradient),
        memory=memory,
        line=line,
        done=state.done + moves,
        stalled=stalled,
        gain=gain,
        active=moves & (stalled < STALLED),
    )


def _short(gradient: jax.Array) -> jax.Array:
    """The gradient, no longer than 1; its squares may overflow."""
    largest = jnp.maximum(jnp.max(jnp.abs(gradient)), jnp.finfo(gradient.dtype).tiny)
    scaled = gradient / largest
    norm = jnp.linalg.norm(scaled)
    return scaled * jnp.minimum(largest, 1.0 / norm)
