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

    def to_model(
        self, u: jax.Array, shares: jax.Array, centre: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        r"""The point of a model for one in partially non-centred coordinates.

        The map is that of :class:`vi.families.Noncentred`.

        Parameters
        ----------
        u : jax.Array
            The point, ``(D,)``.
        shares : jax.Array
            The share of centring of each entry of each variable, ``(size,)``, from 0 to 1.
        centre : jax.Array
            The point ``(D,)`` that is the same in both, whose scales are the units.

        Returns
        -------
        z : jax.Array
            The point in the model's coordinates, ``(D,)``.
        log_det : jax.Array
            The logarithm of the determinant of dz/du.
        """
        z, log_det = u, jnp.zeros((), u.dtype)
        for number, variable in enumerate(self.variables):
            one = self._compared(number, shares, centre, z)
            own = one.centre + one.ratio * (variable.of(u) - one.centre) + one.follows * one.shift
            if variable.is_chain:
                middle = variable.of(centre)
                own = middle + _accumulated(one.follows * one.carry, own - middle)
            z = variable.put(z, own)
            log_det = log_det + jnp.sum(jnp.log(one.ratio))
        return z, log_det

    def from_model(
        self, z: jax.Array, shares: jax.Array, centre: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """The inverse of :meth:`to_model`: the point ``u``, and the same log determinant."""
        u, log_det = z, jnp.zeros((), z.dtype)
        for number, variable in enumerate(self.variables):
            one = self._compared(number, shares, centre, z)
            shift = one.shift
            if variable.is_chain:
                moved = variable.of(z - centre)[:, :-1]
                shift = shift.at[:, 1:].add(one.carry[:, 1:] * moved)
            own = one.centre + (variable.of(z) - one.centre - one.follows * shift) / one.ratio
            u = variable.put(u, own)
            log_det = log_det + jnp.sum(jnp.log(one.ratio))
        return u, log_det

    def _compared(
        self, number: int, shares: jax.Array, centre: jax.Array, z: jax.Array
    ) -> _Compared:
        """A variable's location and scale at a point, beside those at the centre.

        What it takes from its own entries is that of the centre.
        """
        variable, share = self.variables[number], self.of(number, shares)
        there, here = (self.given(number, at) for at in (centre, z))
        location, shift = there.location, here.location - there.location
        if variable.is_chain:
            before = variable.of(centre)[:, :-1]
            location = location.at[:, 1:].add(there.carry[:, 1:] * before)
            shift = shift.at[:, 1:].add((here.carry - there.carry)[:, 1:] * before)
        ratio = jnp.exp((1.0 - share) * (jnp.log(here.scale) - jnp.log(there.scale)))
        return _Compared(location, shift, ratio, 1.0 - share * ratio, here.carry)

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


class _Compared(NamedTuple):
    """A variable at a point and at the centre: arrays of the shape of its entries."""

    centre: jax.Array  # c
    shift: jax.Array  # l - c
    ratio: jax.Array  # r
    follows: jax.Array  # 1 - lambda r
    carry: jax.Array


def _accumulated(carry: jax.Array, added: jax.Array) -> jax.Array:
    """The ``d`` with ``d[t] = carry[t] d[t - 1] + added[t]`` along each row, from ``added``."""

    def after(
        one: tuple[jax.Array, jax.Array], other: tuple[jax.Array, jax.Array]
    ) -> tuple[jax.Array, jax.Array]:
        return one[0] * other[0], other[0] * one[1] + other[1]

    found: jax.Array = jax.lax.associative_scan(after, (carry, added), axis=1)[1]
    return found
