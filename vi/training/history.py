"""The loss trace: an array that grows."""

from __future__ import annotations

import numpy as np

__all__ = ["History"]


class History:
    """Losses of all steps so far, appended in amortised constant time and read as a view.

    Parameters
    ----------
    values : numpy.ndarray, optional
        The losses there are already.
    before : int
        How many of these are of other stages or algorithms, whose losses may be of another kind.

    Examples
    --------
    >>> history = History()
    >>> history.extend(np.array([3.0, 2.0]))
    >>> history.extend(np.array([1.0]))
    >>> history.values.tolist(), len(history)
    ([3.0, 2.0, 1.0], 3)
    """

    def __init__(self, values: np.ndarray | None = None, before: int = 0) -> None:
        self.before = before
        start = np.empty(0) if values is None else np.asarray(values, dtype=np.float64)
        self._buffer = start.copy()
        self._length = len(start)

    def extend(self, losses: np.ndarray) -> None:
        """Append losses."""
        needed = self._length + len(losses)
        if needed > len(self._buffer):
            grown = np.empty(max(needed, 2 * len(self._buffer), 1024))
            grown[: self._length] = self._buffer[: self._length]
            self._buffer = grown
        self._buffer[self._length : needed] = losses
        self._length = needed

    @property
    def values(self) -> np.ndarray:
        """The losses so far, a read-only view."""
        view = self._buffer[: self._length]
        view.flags.writeable = False
        return view

    @property
    def own(self) -> np.ndarray:
        """Those of the present stage and algorithm, which alone say how it goes."""
        return self.values[self.before :]

    def __len__(self) -> int:
        return self._length
