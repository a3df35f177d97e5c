"""A target in partially non-centred coordinates, in which hierarchies are less of a funnel."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vi.families.conditionals import Conditionals
from vi.foundation.compiling import jitted
from vi.foundation.precision import precision
from vi.targets.backends.traceable import traceable_density
from vi.targets.base import Batch, Target

__all__ = ["PartlyCentred"]


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
        return self._mapped("to_model", self.conditionals.to_model, u)

    def from_model(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points ``(..., D)`` in these coordinates, and log determinants of dz/du."""
        return self._mapped("from_model", self.conditionals.from_model, z)

    def moved_scores(self, z: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points ``(n, D)`` in these coordinates, with the gradients of :meth:`log_density` there.

        Parameters
        ----------
        z, scores : numpy.ndarray
            Points in the model's coordinates, and the target's gradients there, ``(n, D)``.
        """

        def of_a_point(z: jax.Array, score: jax.Array, *at: jax.Array) -> Any:
            u, log_det = self.conditionals.from_model(z, *at)
            _, pulled = jax.vjp(lambda u: self.conditionals.to_model(u, *at), u)
            return u, pulled((score, jnp.ones_like(log_det)))[0]

        return self._mapped("scores", of_a_point, z, scores)

    def _mapped(
        self, name: str, of_a_point: Callable[..., Any], *points: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """A map of single points and shares and centre, at points ``(..., D)``."""

        def make() -> Callable[..., Any]:
            axes = (*(0 for _ in points), None, None)
            return jitted(jax.vmap(of_a_point, in_axes=axes))

        flat = [np.asarray(each, self.dtype).reshape(-1, self.dim) for each in points]
        with precision(self.dtype):
            found = self.compiled(name, make)(*flat, self.shares, self.centre)
        before = points[0].shape[:-1]
        first, second = (np.asarray(each) for each in found)
        return first.reshape(*before, self.dim), second.reshape(*before, *second.shape[1:])
