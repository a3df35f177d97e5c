"""Location and scale of coordinates as functions of others: what a non-centred family stands on."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import jax
import numpy as np

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


@dataclass(frozen=True, eq=False)
class Conditional:
    """Where a variable lies, whose location and scale depend on other coordinates.

    Parameters
    ----------
    name : str
        Its name.
    entries : numpy.ndarray
        Its coordinates, ``(chains, length)``; entries that do not follow each other are chains of
        length 1.
    """

    name: str
    entries: np.ndarray

    @property
    def is_chain(self) -> bool:
        """Whether entries follow each other."""
        return self.entries.shape[1] > 1


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

    @cached_property
    def entries(self) -> np.ndarray:
        """The coordinates of all variables, one after the other."""
        return np.concatenate([variable.entries.ravel() for variable in self.variables])

    @cached_property
    def places(self) -> tuple[np.ndarray, ...]:
        """Where the entries of each variable lie in :attr:`entries`, in the shape of its own."""
        ends = np.cumsum([variable.entries.size for variable in self.variables])
        return tuple(
            np.arange(end - variable.entries.size, end).reshape(variable.entries.shape)
            for variable, end in zip(self.variables, ends, strict=True)
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the variables, in their order."""
        return tuple(variable.name for variable in self.variables)
