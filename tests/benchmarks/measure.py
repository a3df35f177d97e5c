"""What is measured: steps in interleaved rounds, first calls in fresh processes, the cost of the
progress bar.
"""

from __future__ import annotations

import contextlib
import os
import pty
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from engines import ENGINES
from worker import Worker, WorkerError

__all__ = ["Fresh", "Steps", "fresh_processes", "progress_bar", "steady_state"]

type Steps = dict[str, list[float] | str]
"""Seconds a step by engine, one entry a round; or why there is none."""

type Fresh = dict[str, dict[str, list[float]] | str]
"""Seconds by engine and kind (``first, cold`` ...), one entry a round; or why there is none."""


def steady_state(
    engines: Sequence[str], workload: str, rounds: int, seconds: float, module: str = "engines"
) -> Steps:
    """Time every engine's steps in rounds: A, B, C, ..., then again, so that the machine's noise
    hits all alike.

    Parameters
    ----------
    engines : sequence of str
        Names, in the order of a round.
    workload : str
        Its name.
    rounds : int
        How often.
    seconds : float
        About how long one timing takes; each engine gets its own number of steps.
    module : str
        The module whose ``make(engine, workload)`` makes the engines.
    """
    result: Steps = {}
    with contextlib.ExitStack() as stack:
        workers: dict[str, tuple[Worker, int]] = {}
        for name in engines:
            _say(f"{workload}: {name} compiles")
            worker = stack.enter_context(Worker(name, workload, module=module))
            try:
                workers[name] = worker, worker.ask("prepare", seconds=seconds)["n"]
                result[name] = []
            except WorkerError as error:
                result[name] = f"failed: {error}"
        for i in range(rounds):
            _say(f"{workload}: round {i + 1} of {rounds}")
            for name, (worker, n) in workers.items():
                times = result[name]
                assert isinstance(times, list)
                times.append(worker.ask("steps", n=n)["seconds"] / n)
    return result


def fresh_processes(engines: Sequence[str], workload: str, rounds: int, finish: bool) -> Fresh:
    """Time first calls and whole runs, each in a process of its own: with empty caches, then
    again.
    """
    result: Fresh = {name: {} for name in engines}
    for i in range(rounds):
        _say(f"{workload}: fresh processes, round {i + 1} of {rounds}")
        for name in engines:
            times = result[name]
            if isinstance(times, str):
                continue
            with tempfile.TemporaryDirectory(prefix="vi-benchmark-") as caches:
                for state in ("cold", "warm") if ENGINES[name].cached else ("none",):
                    try:
                        with Worker(name, workload, Path(caches)) as worker:
                            answer = worker.ask("fresh", finish=finish)
                    except WorkerError as error:
                        result[name] = f"failed: {error}"
                        break
                    for kind, value in answer.items():
                        times.setdefault(f"{kind}, {state}", []).append(value)
    return result


def progress_bar(workload: str, rounds: int, seconds: float) -> tuple[list[float], int]:
    """Time the same number of steps with the bar drawn to a terminal and without.

    Returns
    -------
    ratios : list of float
        Time with over time without, one a round (each of both orders once).
    written : int
        Characters that the terminal received.
    """
    ratios = []
    with (
        _terminal() as (descriptor, received),
        Worker("vi_jax", workload, stdout=descriptor) as worker,
    ):
        n = worker.ask("prepare", seconds=seconds)["n"]
        for i in range(rounds):
            _say(f"{workload}: progress bar, round {i + 1} of {rounds}")
            on: list[float] = []
            off: list[float] = []
            for drawn in (True, False, False, True):
                (on if drawn else off).append(
                    worker.ask("steps", n=n, progressbar=drawn)["seconds"]
                )
            ratios.append(sum(on) / sum(off))
    return ratios, sum(received)


@contextlib.contextmanager
def _terminal(rows: int = 40, columns: int = 120) -> Iterator[tuple[int, list[int]]]:
    """A pseudo-terminal whose screen is read and thrown away.

    Yields its descriptor and the sizes of what was read.
    """
    import fcntl
    import struct
    import termios

    screen, descriptor = pty.openpty()
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    received: list[int] = []

    def read() -> None:
        with contextlib.suppress(OSError):  # the other end was closed
            while data := os.read(screen, 65536):
                received.append(len(data))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield descriptor, received
    finally:
        os.close(descriptor)
        reader.join(5)
        os.close(screen)


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
