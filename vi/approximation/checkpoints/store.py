"""The files of a checkpoint: the newest, older ones, the losses beside them, and a lock."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import time
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import numpy as np

from vi.approximation.checkpoints.asked import Checkpoint, beside
from vi.approximation.files.atomic import on_disk, write_archive
from vi.approximation.files.traces import TYPE, checksum

try:
    import fcntl as _fcntl

    fcntl: ModuleType | None = _fcntl
except ImportError:  # Windows
    fcntl = None

__all__ = ["Store"]

logger = logging.getLogger("vi")


class Store:
    """The files of one checkpoint, while one process writes them.

    ``run.vi`` is the newest state, ``run.vi.1`` the one before, and so on. The losses are in
    ``run.vi.<run>.losses``, which only grows: each state says how many of them are its own, so that
    what a crash has left at the end is not read. A state is written to ``run.vi.tmp``, to the disk,
    and renamed; losses are on the disk before it.

    Parameters
    ----------
    asked : Checkpoint
        What was asked for.

    Raises
    ------
    OSError
        If nothing can be written there.
    RuntimeError
        If another process writes there.
    """

    def __init__(self, asked: Checkpoint) -> None:
        self.asked = asked
        folder = asked.path.parent
        if not folder.is_dir():
            raise FileNotFoundError(
                f"checkpoint={str(asked.path)!r}: the folder does not exist; make it first."
            )
        self._lock = self._locked()
        try:
            asked.temporary.unlink(missing_ok=True)  # of a process that was killed
        except OSError:
            self.close()
            raise
        self.trace = beside(asked.path, f".{os.urandom(4).hex()}.losses")
        self._steps = self._checksum = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let another process write."""
        if self._lock is None:
            return
        handle, self._lock = self._lock, None
        if fcntl is None:  # Windows removes no file that is open
            os.close(handle)
        with contextlib.suppress(OSError):
            self.asked.lock.unlink(missing_ok=True)
        if fcntl is not None:
            os.close(handle)

    def go_on(self, trace: Path, rows: np.ndarray) -> None:
        """Append to the losses of a checkpoint that is gone on with."""
        self.trace, self._steps, self._checksum = trace, len(rows), checksum(rows)

    def set_aside(self) -> Path | None:
        """Rename the newest file, if there is one, and remove older ones: a new run begins."""
        aside = None
        if self.asked.path.exists():
            stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
            aside = beside(self.asked.path, f".before-{stamp}")
            number = 1
            while aside.exists():
                number += 1
                aside = beside(self.asked.path, f".before-{stamp}-{number}")
            self.asked.path.rename(aside)
        for age in range(1, 1000):
            older = self.asked.older(age)
            if not older.exists():
                break
            older.unlink()
        return aside

    def write(
        self, arrays: dict[str, np.ndarray], meta: dict[str, Any], rows: np.ndarray, leader: int
    ) -> None:
        """Write a state, and the losses since the last one.

        Parameters
        ----------
        arrays, meta
            What the file holds.
        rows : numpy.ndarray
            All losses, ``(steps, runs)``.
        leader : int
            The run that leads.
        """
        new = rows[self._steps :]
        total = checksum(new, self._checksum)
        if len(new):
            self._append(new)
        table = {
            "file": self.trace.name,
            "steps": len(rows),
            "runs": rows.shape[1],
            "leader": leader,
            "checksum": total,
        }
        of_file = {**meta, "checkpoint": {**meta["checkpoint"], "trace": table}}
        arrays = {name: array for name, array in arrays.items() if name != "history"}
        arrays["meta"] = np.array(json.dumps(of_file))
        write_archive(
            self.asked.path, arrays, temporary=self.asked.temporary, before=self._keep_older
        )
        self._steps, self._checksum = len(rows), total

    def _append(self, rows: np.ndarray) -> None:
        """Put losses behind those that the last state knows, over what a crash may have left."""
        with self.trace.open("r+b" if self.trace.exists() else "w+b") as file:
            file.seek(self._steps * rows.shape[1] * TYPE.itemsize)
            file.write(np.ascontiguousarray(rows, TYPE).tobytes())
            file.truncate()
            on_disk(file)

    def _keep_older(self) -> None:
        """Let the newest be the second, and so on; it keeps its name until the next one has it."""
        last = self.asked.keep - 1
        if not self.asked.path.exists():
            return
        for age in range(last, 1, -1):
            if self.asked.older(age - 1).exists():
                self.asked.older(age - 1).replace(self.asked.older(age))
        if last > 0:
            second = self.asked.older(1)
            second.unlink(missing_ok=True)
            try:
                os.link(self.asked.path, second)
            except OSError:  # a file system without links
                shutil.copy2(self.asked.path, second)

    def _locked(self) -> int | None:
        """Keep other processes away; the system ends that when this one ends."""
        path = self.asked.lock
        while True:
            try:
                handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            except OSError as error:
                raise _unwritable(self.asked.path, error) from error
            if fcntl is None:
                return handle
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                raise RuntimeError(
                    f"checkpoint={str(self.asked.path)!r}: another fit is writing there. Wait "
                    "until it has ended, or give another file."
                ) from None
            except OSError:  # a file system without locks
                return handle
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), path.stat()):
                    return handle
            os.close(handle)  # the one who had it has removed it meanwhile


def _unwritable(path: Path, error: OSError) -> OSError:
    """The same error with the argument and what to do."""
    return type(error)(
        error.errno,
        f"checkpoint={str(path)!r}: nothing can be written there ({error.strerror}); give a file "
        "in a folder that may be written to",
    )
