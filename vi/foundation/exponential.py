"""The exponential of numbers that are known to be small."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

__all__ = ["exponential"]

MOST_TERMS = 14
"""Terms of the series beyond which the exponential itself takes no longer."""


def exponential(x: jax.Array, largest: float) -> jax.Array:
    r"""The exponential of numbers whose size is ``largest`` at most, to rounding.

    .. math:: e^x = \sum_{k \ge 0} x^k / k!

    with as many terms as the precision takes; of ten of them compiled code makes a number in a
    third of the time of its exponential. Of numbers that are not small it is the exponential.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> round(float(exponential(jnp.array(0.05), 0.1)), 6)
    1.051271
    """
    terms = _terms(largest, float(jnp.finfo(x.dtype).eps))
    if terms > MOST_TERMS:
        return jnp.exp(x)
    found = jnp.full_like(x, 1.0 / math.factorial(terms))
    for k in reversed(range(terms)):
        found = found * x + 1.0 / math.factorial(k)
    return found


def _terms(largest: float, eps: float) -> int:
    """Terms after the 1 that leave a remainder below half a rounding."""
    if not largest < MOST_TERMS:  # NaN, too
        return MOST_TERMS + 1
    terms, left = 0, math.inf
    while left > 0.5 * eps and terms <= MOST_TERMS:
        terms += 1
        # the remainder of the series is at most its first term that is left out, times e^largest
        left = math.exp(largest) * largest ** (terms + 1) / math.factorial(terms + 1)
    return terms
