"""What chains have drawn, leg by leg, in files: what the same call need not draw again."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from vi.approximation.checkpoints.asked import Checkpoint, numbered
from vi.approximation.files.atomic import write_archive
from vi.foundation.arrays import Arrays
from vi.training.signals import Ending, deferred_termination

__all__ = ["Legs"]

logger = logging.getLogger("vi")


class Legs:
    """The files ``run.vi.legs1``, ``run.vi.legs2``, ...: each holds the legs since the one before.

    A leg is known by all that goes into it (the fit, where its chains are, how they measure their
    steps, their seed), so one is read only where the same would be drawn. They are written as often
    as the checkpoint says, at SIGTERM, and when chains are cut by an error.

    Parameters
    ----------
    asked : Checkpoint
        What was asked for.
    known : dict
        What the fit is known by, as JSON can hold it.
    """

    def __init__(self, asked: Checkpoint, known: Mapping[str, Any]) -> None:
        self._asked = asked
        self._known = json.dumps(known, sort_keys=True).encode()
        self._there: dict[str, tuple[Path, int]] | None = None
        self._new: list[tuple[str, Arrays]] = []
        self._steps, self._last = 0, time.monotonic()
        if not asked.resume:
            self.forget()

    def once(self, make: Callable[[], Arrays], given: Arrays, steps: int) -> Arrays:
        """What is drawn, or was drawn in a process before.

        Parameters
        ----------
        make : callable
            Draws it.
        given : dict of arrays
            All that decides what it draws, beside the fit.
        steps : int
            How many steps of each chain these are.
        """
        key = self._key(given)
        found = self._read(key)
        if found is not None:
            return found
        ending = Ending()
        # as long as nothing is kept back, which is so while the first leg is compiled, SIGTERM
        # may end the process at once
        with deferred_termination(ending) if self._new else nullcontext():
            made = make()
            self._new.append((key, made))
            self._steps += steps
            if ending.is_set() or self._is_due():
                self.write()
        return made

    def write(self) -> None:
        """Write what was drawn since the last time; a disk that is full is no reason to end."""
        new, self._new = self._new, []
        if not new:
            return
        self._steps, self._last = 0, time.monotonic()
        arrays = {"keys": np.array([key for key, _ in new])}
        arrays["sums"] = np.array([_sum(made) for _, made in new])
        for number, (_, made) in enumerate(new):
            arrays |= {f"{number}/{name}": value for name, value in made.items()}
        path = self._asked.legs(len(self._files()) + 1)
        try:
            write_archive(path, arrays, temporary=self._asked.of_stages().temporary)
        except OSError as error:
            logger.warning("What chains have drawn was not written: %s.", error)

    def forget(self) -> None:
        """Remove the files: the stage is over."""
        self._new, self._there = [], None
        for path in self._files():
            path.unlink()

    def _is_due(self) -> bool:
        if self._asked.steps is not None:
            return self._steps >= self._asked.steps
        assert self._asked.seconds is not None
        return time.monotonic() - self._last >= self._asked.seconds

    def _key(self, given: Arrays) -> str:
        return _sum(given, self._known)

    def _files(self) -> list[Path]:
        return list(numbered(self._asked.legs))

    def _read(self, key: str) -> Arrays | None:
        """What a file holds under a key, if one does."""
        if self._there is None:
            self._there = self._table()
        if key not in self._there:
            return None
        path, number = self._there[key]
        try:
            with np.load(path, allow_pickle=False) as file:
                start = f"{number}/"
                made = {n.removeprefix(start): file[n] for n in file.files if n.startswith(start)}
                if _sum(made) != file["sums"][number]:
                    raise ValueError("its arrays are not those that were written")
        except Exception as error:  # noqa: BLE001 (a damaged archive raises what it will)
            self._lament(path, error)
            return None
        return made

    def _table(self) -> dict[str, tuple[Path, int]]:
        """Where each leg is that was drawn before."""
        there: dict[str, tuple[Path, int]] = {}
        for path in self._files():
            try:
                with np.load(path, allow_pickle=False) as file:
                    keys = file["keys"].tolist()
            except Exception as error:  # noqa: BLE001
                self._lament(path, error)
            else:
                there |= {key: (path, number) for number, key in enumerate(keys)}
        if there:
            logger.info("Chains go on from %d legs that were drawn before.", len(there))
        return there

    def _lament(self, path: Path, error: Exception) -> None:
        logger.warning("%s cannot be read, and its draws are made again: %s", path, error)


def _sum(arrays: Arrays, known: bytes = b"") -> str:
    """A hash of arrays with their names, beside what else is known."""
    found = hashlib.sha256(known)
    for name, value in sorted(arrays.items()):
        found.update(f"{name} {value.dtype} {value.shape}".encode())
        found.update(np.ascontiguousarray(value).tobytes())
    return found.hexdigest()
