"""Who may change an approximation: one at a time, and nobody waits for another."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Turns"]


class Turns:
    """A lock that is taken without waiting: a callback that waited for its own run never ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep every other change away.

        Raises
        ------
        RuntimeError
            If one is going on.
        """
        with self.if_free() as free:
            if not free:
                raise RuntimeError(
                    "This approximation is being fitted: fit, refine, restart and freeze cannot be "
                    "called on it from a callback or another thread. Use copy.deepcopy(approx) "
                    "there."
                )
            yield

    @contextmanager
    def if_free(self) -> Iterator[bool]:
        """The same where no change is going on; otherwise False, and nothing is kept away."""
        free = self._lock.acquire(blocking=False)
        try:
            yield free
        finally:
            if free:
                self._lock.release()
