"""Peak anonymous memory of a stretch of code: what a process holds of its own, without the pages
of files.
"""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["PeakMemory", "anonymous"]


def anonymous() -> int:
    """Anonymous resident memory of this process in bytes (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return 1024 * int(line.split()[1])
    raise OSError("/proc/self/status has no RssAnon: this needs Linux 4.5 or newer.")


class PeakMemory:
    """Sample :func:`anonymous` in a thread; ``growth`` is the peak less the value on entry.

    Parameters
    ----------
    interval : float
        Seconds between two looks.
    """

    def __init__(self, interval: float = 0.01) -> None:
        self._interval = interval
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.growth = 0

    def _watch(self) -> None:
        while not self._done.wait(self._interval):
            self._look()

    def _look(self) -> None:
        self.growth = max(self.growth, anonymous() - self._before)

    def __enter__(self) -> Self:
        self._before = anonymous()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()
        self._look()
