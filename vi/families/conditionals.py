"""Location and scale of coordinates as functions of others: what a non-centred family stands on."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from vi.foundation.kept import Keeper

__all__ = ["Conditional", "Conditionals", "Given"]


class Given(NamedTuple):
    """What a variable's distribution is, given all others: arrays of the shape of its entries.

    Parameters
    ----------
    location : jax.Array
        Its location, without what it takes from the entry before.
    scale : jax.Array
        Its scale, positive.
    carry : jax.Array
        How much of the entry before is added to the location: of a chain, 1 in a random walk, the
        persistence in an autoregression. The first one of a chain has none, and is not read.
    """

    location: jax.Array
    scale: jax.Array
    carry: jax.Array


@dataclass(frozen=True)
class Conditional:
    """Where a variable lies, whose location and scale depend on other coordinates.

    Parameters
    ----------
    name : str
        Its name.
    start : int
        Its first coordinate; its others follow.
    shape : tuple of int
        ``(chains, length)``; entries that do not follow each other are chains of length 1.
    """

    name: str
    start: int
    shape: tuple[int, int]

    @property
    def size(self) -> int:
        """The number of its entries."""
        return self.shape[0] * self.shape[1]

    @property
    def is_chain(self) -> bool:
        """Whether entries follow each other."""
        return self.shape[1] > 1

    def of(self, z: jax.Array) -> jax.Array:
        """Its entries of a vector, in its shape."""
        return z[self.start : self.start + self.size].reshape(self.shape)

    def put(self, z: jax.Array, entries: jax.Array) -> jax.Array:
        """The vector with other entries of it."""
        behind = self.start + self.size
        return jnp.concatenate([z[: self.start], entries.ravel(), z[behind:]])


class Conditionals(Keeper, abc.ABC):
    """The location-scale variables of a model, each after those that it depends on.

    A variable is ``location + scale * e`` with a distribution of ``e`` that depends on nothing;
    location and scale are functions of the coordinates that lie outside of this variable and of
    all that come after it. Two objects are equal if they are the same.
    """

    dim: int
    """Length of the flat vector."""

    variables: tuple[Conditional, ...]
    """The variables, in an order in which parents come first."""

    @abc.abstractmethod
    def given(self, number: int, z: jax.Array) -> Given:
        """Location and scale of the variable of that number at a vector ``(D,)``."""

    @property
    def size(self) -> int:
        """The number of entries of all variables."""
        return sum(variable.size for variable in self.variables)

    def of(self, number: int, values: jax.Array) -> jax.Array:
        """Of values for the entries of all variables, one after the other, those of one."""
        start = sum(variable.size for variable in self.variables[:number])
        one = self.variables[number]
        return values[start : start + one.size].reshape(one.shape)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the variables, in their order."""
        return tuple(variable.name for variable in self.variables)
