"""Which data have changed since they were read last, and which changes have to be looked at."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from pytensor.compile.sharedvalue import SharedVariable

__all__ = ["DataWatch", "names_of"]


class DataWatch:
    """Sees changes of shared variables by the identity of the arrays that they hold.

    To ask costs a microsecond a variable. A change in place (``get_value(borrow=True)[0] = 1.0``)
    stays unseen: it is another value of the same array.

    Parameters
    ----------
    shared : iterable of SharedVariable
        What is watched, from its present values on.
    """

    def __init__(self, shared: Iterable[SharedVariable]) -> None:
        self._seen = {variable: _Seen(variable) for variable in shared}

    def changed(self) -> list[SharedVariable]:
        """The variables that hold another array than the one accepted last."""
        return [variable for variable, seen in self._seen.items() if not seen.same(variable)]

    def doubtful(self) -> list[SharedVariable]:
        """Those of the changed ones with which the model may no longer be what it was.

        They have another shape, masked entries, whole numbers outside of the range that was seen
        (indices of what does not exist), or values that are not finite.
        """
        return [variable for variable in self.changed() if self._seen[variable].doubtful(variable)]

    def accept(self) -> None:
        """Take the present values as read."""
        for variable in self.changed():
            self._seen[variable] = _Seen(variable, self._seen[variable])


class _Seen:
    """What is remembered of a value; it is not kept alive."""

    def __init__(self, variable: SharedVariable, before: _Seen | None = None) -> None:
        value = variable.get_value(borrow=True)
        try:
            self._value: Callable[[], Any] = weakref.ref(value)
        except TypeError:  # a number
            self._value = lambda: value
        self.shape = np.shape(value)
        self.range: tuple[Any, Any] | None = None
        if before is not None:  # the first value was looked at as a whole, its range not taken
            low, high = _range(value)
            old_low, old_high = before.range or (low, high)
            self.range = (min(low, old_low), max(high, old_high))

    def same(self, variable: SharedVariable) -> bool:
        return variable.get_value(borrow=True) is self._value()

    def doubtful(self, variable: SharedVariable) -> bool:
        if np.ma.is_masked(variable.get_value(borrow=True)):
            return True
        value = np.asarray(variable.get_value(borrow=True))
        if value.shape != self.shape:
            return True
        if np.issubdtype(value.dtype, np.integer):
            low, high = _range(value)
            return self.range is None or low < self.range[0] or high > self.range[1]
        return np.issubdtype(value.dtype, np.floating) and not np.isfinite(np.sum(value))


def _range(value: Any) -> tuple[Any, Any]:
    """The smallest and the largest of whole numbers; of others nothing."""
    array = np.asarray(value)
    if not np.issubdtype(array.dtype, np.integer) or not array.size:
        return 0, 0
    return array.min(), array.max()


def names_of(variables: Iterable[SharedVariable]) -> list[str]:
    """Their names, each once."""
    return list(dict.fromkeys(variable.name or "a shared variable" for variable in variables))
