"""One thread at a time in what PyTensor compiles with."""

from __future__ import annotations

import threading

__all__ = ["compiling"]

_LOCK = threading.RLock()


def compiling() -> threading.RLock:
    """Hold PyTensor's settings, as a context.

    ``pytensor.function`` sets some of them for the whole process while it compiles, and puts back
    what it found: of two threads, one finds what the other has set, and leaves that behind.
    """
    return _LOCK
