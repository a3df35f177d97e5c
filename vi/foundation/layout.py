"""Where each variable of a model lies in the flat unconstrained vector that is fitted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vi.foundation.html import FAINT, table

__all__ = ["Layout", "Slot"]

LISTED = 12
"""Variables that a notebook shows; of more, how many."""


@dataclass(frozen=True)
class Slot:
    """One variable's place in the flat vector.

    Parameters
    ----------
    name : str
        The model's name of the variable (``"sigma"``).
    value_name : str
        The name of its unconstrained value (``"sigma_log__"``; the same as `name` without a
        transform).
    start, stop : int
        Half-open range of its entries in the flat vector.
    shape : tuple of int
        Shape of the *unconstrained* value.
    constrained_shape : tuple of int
        Shape of the variable as the model sees it (a simplex has one entry more than its
        unconstrained value).
    transform : str or None
        Name of the transform, ``None`` where the variable is unconstrained.
    dims : tuple of (str or None)
        Names of the dimensions of the constrained variable, empty if the model names none.
    labels : tuple of (sequence of str or None)
        Names of the entries along each axis of the unconstrained value, ``None`` where these are
        indices; empty if all are.
    """

    name: str
    value_name: str
    start: int
    stop: int
    shape: tuple[int, ...]
    constrained_shape: tuple[int, ...]
    transform: str | None = None
    dims: tuple[str | None, ...] = ()
    labels: tuple[Any, ...] = field(default=(), compare=False, repr=False)

    @property
    def slice(self) -> slice:
        """The variable's range as a slice of the flat vector."""
        return slice(self.start, self.stop)

    @property
    def size(self) -> int:
        """Number of entries in the flat vector."""
        return self.stop - self.start

    def entry(self, number: int) -> str:
        """Where an entry lies, by its number: ``"2, b"`` with labels, and empty of a scalar."""
        if not self.shape:
            return ""
        at = np.unravel_index(number, self.shape)
        axes = self.labels or (None,) * len(at)
        return ", ".join(
            str(int(i)) if axis is None else str(axis[int(i)])
            for i, axis in zip(at, axes, strict=True)
        )


@dataclass(frozen=True)
class Layout:
    """The flat vector's table of contents.

    Examples
    --------
    >>> layout = Layout(
    ...     (Slot("a", "a", 0, 1, (), ()), Slot("b", "b_log__", 1, 4, (3,), (3,), "log"))
    ... )
    >>> layout.dim, layout.names
    (4, ('a', 'b'))
    >>> layout.label(2)
    'b[1]'
    """

    slots: tuple[Slot, ...]

    @property
    def dim(self) -> int:
        """Length ``D`` of the flat vector."""
        return self.slots[-1].stop if self.slots else 0

    @property
    def names(self) -> tuple[str, ...]:
        """The model's names of the variables, in order."""
        return tuple(slot.name for slot in self.slots)

    def __iter__(self) -> Iterator[Slot]:
        return iter(self.slots)

    def __getitem__(self, name: str) -> Slot:
        for slot in self.slots:
            if name in (slot.name, slot.value_name):
                return slot
        raise KeyError(f"{name!r} is not a variable of the model; it has {', '.join(self.names)}.")

    def _repr_html_(self) -> str:
        rows = [
            (
                slot.name,
                " × ".join(map(str, slot.constrained_shape)) or "scalar",
                ", ".join("" if dim is None else dim for dim in slot.dims),
                slot.transform or "",
            )
            for slot in self.slots[:LISTED]
        ]
        left = len(self.slots) - len(rows)
        more = f'<div style="{FAINT}">and {left:,} more</div>' if left else ""
        return table(rows, head=("variable", "shape", "dims", "transform")) + more

    def flatten(self, values: Mapping[str, Any], dtype: np.dtype) -> np.ndarray:
        """Put unconstrained values, by value name, into one vector of length ``D``."""
        flat = np.empty(self.dim, dtype)
        for slot in self.slots:
            flat[slot.slice] = np.ravel(values[slot.value_name])
        return flat

    def unflatten(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """Cut vectors ``(..., D)`` into unconstrained values ``(..., *shape)`` by value name."""
        return {
            slot.value_name: flat[..., slot.slice].reshape((*flat.shape[:-1], *slot.shape))
            for slot in self.slots
        }

    def label(self, index: int) -> str:
        """Name of one entry of the flat vector, as a table of draws has it.

        ``"effect[Kyoto]"`` where the model has labels that fit the unconstrained value, and
        ``"beta[2, 0]"`` with indices into it elsewhere.
        """
        for slot in self.slots:
            if slot.start <= index < slot.stop:
                entry = slot.entry(index - slot.start)
                return f"{slot.name}[{entry}]" if entry or slot.shape else slot.name
        raise IndexError(f"Entry {index} is outside the flat vector of length {self.dim}.")

    @property
    def labels(self) -> list[str]:
        """Names of all entries of the flat vector."""
        return [self.label(i) for i in range(self.dim)]

    def describe(self, indices: np.ndarray, limit: int = 5) -> str:
        """Names of several entries, shortened to ``limit``."""
        labels = [self.label(int(i)) for i in indices[:limit]]
        more = len(indices) - limit
        return ", ".join(labels) + (f" and {more} more" if more > 0 else "")
