"""Shared variables whose values follow from those of others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.sharedvar import TensorSharedVariable
from pytensor.tensor.type import TensorType

from vi.targets.model.data_watch import DataWatch

__all__ = ["DOES_NOT_FIT", "Derivation", "DerivedVariable", "derived"]

DOES_NOT_FIT = (
    *(TypeError, ValueError, IndexError, AssertionError, NotImplementedError),
    *(ArithmeticError, np.linalg.LinAlgError),
)
"""What is raised where rows that are taken out do not fit to what stays."""


class Derivation:
    """A function of data, computed anew when one of them holds another array.

    Parameters
    ----------
    sources : sequence of SharedVariable
        What may change.
    compute : callable
        Returns the values, a tuple of arrays, or None where there are none.
    values : tuple of arrays
        The present ones.
    holds : callable
        Whether other values may take their place: what was true of the data need not be true of
        others.
    name : str
        Of the term, for errors.
    """

    def __init__(
        self,
        sources: Sequence[SharedVariable],
        compute: Callable[[], tuple[np.ndarray, ...] | None],
        values: tuple[np.ndarray, ...],
        holds: Callable[[tuple[np.ndarray, ...]], bool],
        name: str,
    ) -> None:
        self.sources = tuple(sources)
        self.name = name
        self._holds = holds
        self._compute, self._values = compute, values
        self._watch = DataWatch(sources)
        self._lock = threading.Lock()

    def values(self) -> tuple[np.ndarray, ...]:
        """The values for the present data.

        Raises
        ------
        ValueError
            If with these the term is no longer the one that was found.
        """
        with self._lock:
            if self._watch.changed():
                values = self._computed()
                if values is None:
                    raise ValueError(
                        f"The data of {self.name} have changed, and few weighted rows no longer "
                        "have the sum of all rows. Fit with rewrite=False."
                    )
                self._values = values
                self._watch.accept()
            return self._values

    def lost(self) -> bool:
        """Whether the present data are such that there are no values."""
        try:
            self.values()
        except ValueError:
            return True
        return False

    def _computed(self) -> tuple[np.ndarray, ...] | None:
        """The values anew; none where they do not do any more."""
        try:
            values = self._compute()
        except DOES_NOT_FIT:
            return None
        if values is None:
            return None
        pairs = zip(values, self._values, strict=True)
        alike = all(new.shape[1:] == old.shape[1:] for new, old in pairs)
        return values if alike and self._holds(values) else None


class DerivedVariable(TensorSharedVariable):
    """One of the values of a :class:`Derivation`, to read like any shared variable."""

    derivation: Derivation | None = None
    place: int = 0

    def get_value(self, borrow: bool = False, return_internal_type: bool = False) -> Any:
        """The value for the present data."""
        if self.derivation is not None:
            self.container.storage[0] = self.derivation.values()[self.place]
        return super().get_value(borrow, return_internal_type)


def derived(derivation: Derivation, names: Sequence[str | None]) -> list[DerivedVariable]:
    """Variables for the values of a derivation, whose number of rows is open."""
    variables = []
    for place, (value, name) in enumerate(zip(derivation.values(), names, strict=True)):
        kind = TensorType(value.dtype, shape=(None, *value.shape[1:]))
        variable = DerivedVariable(kind, value, strict=True, name=name)
        variable.derivation, variable.place = derivation, place
        variable.tag.lifted = True  # moved to a device once, and again when it is another array
        variables.append(variable)
    return variables
