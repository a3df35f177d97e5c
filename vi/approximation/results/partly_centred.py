"""A target in partially non-centred coordinates, in which hierarchies are less of a funnel."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from vi.families.conditionals import Conditionals
from vi.foundation.precision import precision
from vi.targets.backends.traceable import traceable_density
from vi.targets.base import Batch, Target

__all__ = ["PartlyCentred"]

AT_ONCE = 16
"""Points whose scores are computed together: the rows of data are in memory as often."""


@dataclass(frozen=True, eq=False)
class PartlyCentred:
    """The log density of a target in coordinates that follow locations and scales.

    Draws and moments stay those of the model: :meth:`to_model` and :meth:`from_model` lead there
    and back. What is compiled is kept with the target, and is the same for all shares.

    Parameters
    ----------
    target : Target
        The target, traceable.
    conditionals : Conditionals
        Locations and scales.
    shares : numpy.ndarray
        The share of centring of each entry, ``(n,)``, from 0 (non-centred) to 1 (centred).
    centre : numpy.ndarray
        The point ``(D,)`` whose scales are the units.
    """

    target: Target
    conditionals: Conditionals
    shares: np.ndarray
    centre: np.ndarray

    @property
    def dim(self) -> int:
        """Length of the flat vector."""
        return self.target.dim

    @property
    def dtype(self) -> np.dtype:
        """Precision of the evaluation."""
        return self.target.dtype

    @property
    def moved(self) -> tuple[str, ...]:
        """Names of the variables that are not as the model has them."""
        behind = np.cumsum([variable.size for variable in self.conditionals.variables])
        of_each = np.split(self.shares, behind[:-1])
        own = zip(self.conditionals.names, of_each, strict=True)
        return tuple(name for name, shares in own if np.any(shares < 1))

    def compiled[T](self, key: Hashable, make: Callable[[], T]) -> T:
        """What is kept with the target, under a key of its own."""
        return self.target.compiled(("partly centred", self.conditionals, key), make)

    def batch(self) -> tuple[Batch, np.ndarray, np.ndarray]:
        """What :meth:`log_density` reads besides the point."""
        return self.target.batch(), self.shares, self.centre

    def log_density(self, u: jax.Array, inputs: Any) -> jax.Array:
        """The log density of ``u``, that of its change included."""
        batch, shares, centre = inputs
        z, log_det = self.conditionals.to_model(u, shares, centre)
        log_p: jax.Array = traceable_density(self.target)(z, batch) + log_det
        return log_p

    def to_model(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points ``(..., D)`` in the model's coordinates, and log determinants of dz/du."""
        return self._mapped("to_model", u)

    def from_model(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points ``(..., D)`` in these coordinates, and log determinants of dz/du."""
        return self._mapped("from_model", z)

    def scores(self, u: np.ndarray) -> np.ndarray:
        """Gradients of :meth:`log_density` at points ``(n, D)``."""

        def make() -> Callable[..., Any]:
            def scores(u: jax.Array, inputs: Any) -> Any:
                of_a_point = jax.grad(self.log_density)
                return jax.lax.map(lambda one: of_a_point(one, inputs), u, batch_size=AT_ONCE)

            return jax.jit(scores)

        with precision(self.dtype):
            return np.asarray(self.compiled("scores", make)(u, self.batch()))

    def _mapped(self, name: str, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        def make() -> Callable[..., Any]:
            of_a_point = getattr(self.conditionals, name)
            return jax.jit(jax.vmap(of_a_point, in_axes=(0, None, None)))

        flat = np.asarray(points, self.dtype).reshape(-1, self.dim)
        with precision(self.dtype):
            moved, log_det = self.compiled(name, make)(flat, self.shares, self.centre)
        before = points.shape[:-1]
        return np.asarray(moved).reshape(points.shape), np.asarray(log_det).reshape(before)
