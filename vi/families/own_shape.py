"""The frame of a structured family: steps in the shape that q has at its centre."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from vi.families.family import Frame, Params

__all__ = ["OwnShape"]


@dataclass(frozen=True)
class OwnShape(Frame):
    """Steps of locations, and of what follows the globals, in q's own shape at its centre.

    Parameters
    ----------
    moved : callable
        By what noise ``(D,)`` moves a draw from the centre; linear.
    own : callable
        By what the others' noise ``(n,)`` moves them; linear.
    mu : jax.Array
        The location.
    globals : int
        Number of globals.
    """

    moved: Callable[[jax.Array], jax.Array]
    own: Callable[[jax.Array], jax.Array]
    mu: jax.Array
    globals: int

    def gradient(self, gradient: Params) -> Params:
        (mu,) = jax.linear_transpose(self.moved, self.mu)(gradient["mu"])
        found = {"mu": mu}
        if "cross" in gradient:
            back = jax.linear_transpose(self.own, jnp.zeros_like(self.mu[self.globals :]))
            found["cross"] = jax.vmap(lambda c: back(c)[0])(gradient["cross"]) * self._unit
        return found

    def change(self, step: Params) -> Params:
        found = {"mu": self.moved(step["mu"])}
        if "cross" in step:
            found["cross"] = jax.vmap(self.own)(step["cross"]) * self._unit
        return found

    @property
    def _unit(self) -> float:
        return 1.0 / math.sqrt(self.globals)
