"""A graph in JAX whose derivative is the one that PyTensor derives, in place of JAX's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from pytensor.graph.basic import Variable
from pytensor.graph.replace import clone_replace

from vi.graphs.compiling import compiling
from vi.graphs.gradient import gradient
from vi.graphs.named_dims import without_named_dims
from vi.graphs.to_jax import jax_function

__all__ = ["with_symbolic_gradient"]


def with_symbolic_gradient(inputs: Sequence[Variable], value: Variable) -> Callable[..., Any]:
    """Convert a scalar graph to JAX, with PyTensor's gradient in the first input.

    Reverse mode through ``where(c, a, b)`` multiplies by 0 the derivative of the branch that is not
    taken, which is NaN where that is infinite. PyTensor's rewrites see the whole graph of the
    derivative, and most such products are gone before anything is evaluated.

    Parameters
    ----------
    inputs : sequence of variables
        The point ``(D,)``, and what else the graph reads, in which it is not differentiated.
    value : Variable
        The scalar.

    Returns
    -------
    callable
        ``(z, *rest) -> (value,)``; of second derivatives JAX makes the second.

    Raises
    ------
    NotImplementedError
        If an operation has no gradient, or no form in JAX (a ``ConversionError``).
    """
    (value,) = without_named_dims(inputs, clone_replace([value], {}))
    with compiling():
        score = gradient(value, inputs[0])
    plain = jax_function(inputs, [value])
    both = jax_function(inputs, [value, score])

    @jax.custom_jvp
    def density(z: jax.Array, rest: tuple[Any, ...]) -> jax.Array:
        return jnp.asarray(plain(z, *rest)[0])

    @density.defjvp
    def derivative(primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
        z, rest = primals
        found, slope = both(z, *rest)
        found = jnp.asarray(found)
        return found, jnp.vdot(jnp.asarray(slope, z.dtype), tangents[0]).astype(found.dtype)

    return lambda z, *rest: (density(z, rest),)
