"""One factor of a product of families, and the entries of the flat vector that it covers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from vi.families.composed.encoder import Encoded
from vi.families.composed.per_row import PerRow
from vi.families.family import Family
from vi.foundation.arguments import instance
from vi.foundation.numbers import flag, number

__all__ = ["Part"]


@dataclass(frozen=True)
class Part:
    """One factor of a product.

    Parameters
    ----------
    name : str
        Its name; its parameters are called ``"name.mu"`` and so on.
    family : Family
        Its family, one with a density.
    ranges : tuple of (int, int)
        Half-open ranges of the flat vector that it covers, in order.
    frozen : bool
        Whether fits leave its parameters as they are.
    weight : float
        What its entropy and log densities are multiplied by: rows in all over rows of a batch,
        where it is a batch's.
    """

    name: str
    family: Family
    ranges: tuple[tuple[int, int], ...]
    frozen: bool = False
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name or "." in self.name:
            raise ValueError(f"Part(name={self.name!r}): must be a text without '.'.")
        instance("Part(family", self.family, Family, "a family, an instance of one")
        if not _are_ranges(self.ranges):
            raise ValueError(
                f"Part(ranges={self.ranges!r}): must be ((start, stop), ...), whole numbers with "
                "start < stop."
            )
        flag("Part(frozen", self.frozen)
        number("Part(weight", self.weight, above=0.0)

    @property
    def rows(self) -> int | None:
        """Number of rows, where it has entries for every row; every range then holds all rows."""
        return self.family.rows if isinstance(self.family, PerRow | Encoded) else None

    @property
    def entries(self) -> np.ndarray:
        """Indices into the flat vector, in the family's order."""
        if self.rows is None:
            return np.concatenate([np.arange(start, stop) for start, stop in self.ranges])
        rows = [np.arange(start, stop).reshape(self.rows, -1) for start, stop in self.ranges]
        return np.concatenate(rows, axis=1).ravel()

    def weighted(self, term: jax.Array) -> jax.Array:
        """A term of the objective times the weight."""
        return term if self.weight == 1.0 else self.weight * term


def _are_ranges(ranges: Any) -> bool:
    """Whether they are half-open ranges of whole numbers, one at least."""
    if not isinstance(ranges, tuple | list) or not ranges:
        return False
    for pair in ranges:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            return False
        if any(isinstance(end, bool) or not isinstance(end, int | np.integer) for end in pair):
            return False
        if not 0 <= pair[0] < pair[1]:
            return False
    return True
