"""One thread at a time in what PyTensor builds and compiles with."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable

__all__ = ["compiling", "one_at_a_time"]

_LOCK = threading.RLock()


def compiling() -> threading.RLock:
    """Hold PyTensor's settings, as a context.

    PyTensor sets some of them for the whole process while it compiles a function, and while it
    infers the shapes of a graph, and puts back what it found: of two threads, one finds what the
    other has set, and leaves that behind.
    """
    return _LOCK


def one_at_a_time[**P, T](function: Callable[P, T]) -> Callable[P, T]:
    """Let one thread at a time into a function that builds or compiles PyTensor graphs."""

    @functools.wraps(function)
    def alone(*args: P.args, **kwargs: P.kwargs) -> T:
        with _LOCK:
            return function(*args, **kwargs)

    return alone
