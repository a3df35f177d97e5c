"""Values whose gradient is known, and told."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["with_slope"]


def with_slope(value: jax.Array, slope: jax.Array, z: jax.Array) -> jax.Array:
    r"""The value as a function of ``z`` with this slope; nothing of ``z`` itself is computed.

    What :math:`v + s^\top (z - \mathrm{stop}(z))` says, which compiled code cannot know to be
    ``v``: it computes ``z`` and sums up zeros.

    Parameters
    ----------
    value : jax.Array
        ``v``, of the shape ``(...)``.
    slope, z : jax.Array
        ``s`` and ``z``, ``(..., D)``.

    Returns
    -------
    jax.Array
        ``v``; its gradient in ``z`` is ``s``.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> slope = jnp.array([3.0, 4.0])
    >>> value, found = jax.value_and_grad(lambda z: with_slope(1.0, slope, z))(jnp.ones(2))
    >>> float(value), found.tolist()
    (1.0, [3.0, 4.0])
    """
    return value + _nothing(slope, z)


@jax.custom_jvp
def _nothing(slope: jax.Array, z: jax.Array) -> jax.Array:
    return jnp.zeros(z.shape[:-1], z.dtype)


@_nothing.defjvp
def _rise(at: Any, by: Any) -> Any:
    (slope, z), (_, step) = at, by
    return _nothing(slope, z), jnp.sum(slope * step, axis=-1)
