"""Signals that end a run at the next chunk boundary, where its state is whole."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Ending", "deferred_interrupt", "deferred_termination"]


class Ending(threading.Event):
    """Set when a signal asks for the end of a run; `reason` says which."""

    reason = "Ctrl-C"

    at_once = False
    """Whether Ctrl-C is an exception besides: while code is compiled, which nobody waits for."""


@contextmanager
def deferred_interrupt() -> Iterator[Ending]:
    """Turn Ctrl-C into a flag that is read at chunk boundaries; a second one interrupts at once."""
    flag = Ending()
    if threading.current_thread() is not threading.main_thread():  # Python allows no handlers there
        yield flag
        return
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:  # a background process that is not to be interrupted
        yield flag
        return

    def handle(number: int, frame: Any) -> None:
        at_once = flag.is_set() or flag.at_once
        flag.set()  # in any case: Python drops an exception in what its collector calls
        if at_once:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, handle)
    try:
        yield flag
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def deferred_termination(flag: Ending) -> Iterator[None]:
    """Let SIGTERM end the run at the next chunk boundary, and act at the end of the block.

    What was to happen at SIGTERM happens then: by default the process ends. Nothing is changed
    outside of the main thread, where Python allows no handlers, nor where the signal is ignored,
    nor where a program other than Python handles it.

    Parameters
    ----------
    flag : Ending
        What the loop reads.
    """
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM) if main else None
    if before is None or before is signal.SIG_IGN:
        yield
        return
    arrived = False

    def handle(number: int, frame: Any) -> None:
        nonlocal arrived
        arrived, flag.reason = True, "SIGTERM"
        flag.set()

    signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        if arrived:
            os.kill(os.getpid(), signal.SIGTERM)
