"""The ends of the stages of a fit in stages, in files: what the same call need not make again."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vi.approximation.checkpoints.asked import Checkpoint, beside, numbered
from vi.approximation.checkpoints.found import refuse_differences
from vi.approximation.checkpoints.identity import identity, what_differs
from vi.approximation.checkpoints.legs import Legs
from vi.approximation.checkpoints.memory import callbacks_known, restore_callbacks
from vi.approximation.checkpoints.run_data import RunData
from vi.approximation.checkpoints.store import Store
from vi.approximation.files.atomic import write_archive
from vi.approximation.files.contents import contents
from vi.approximation.files.read import read
from vi.approximation.files.save import stored
from vi.approximation.record.copies import copied
from vi.approximation.record.fit_state import FitState

__all__ = ["StageEnds", "newest_file", "stage_ends"]

logger = logging.getLogger("vi")

RESULT = "result"
"""In the place of a stage: what all of them have come to."""

OF_A_STAGE = (
    "family",
    "start",
    "free_mean",
    "given_std",
    "algorithm",
    "run",
    "losses",
    "status",
    "notes",
    "stages",
    "resample",
    "log_p_of_mean",
    "diagnosis",
)
"""What of a record a stage may change; all else is as the call has made it."""


class StageEnds:
    """The files ``run.vi.ended1``, ``run.vi.ended2``, ...: a record at the end of each stage.

    They are read in their order, and only until the first one that is written: what follows from a
    stage that was made again is made again too.

    Parameters
    ----------
    asked : Checkpoint
        What was asked for.
    fit : FitState
        The record before the first stage.
    limits : dict
        What else decides how stages end, as JSON can hold it; under other limits they are made
        again.
    """

    def __init__(self, asked: Checkpoint, fit: FitState, limits: Mapping[str, Any]) -> None:
        self._asked, self._limits = asked, json.loads(json.dumps(dict(limits)))
        self._known = identity(fit, 1)
        self._data = RunData(fit, self._known["model"])
        self._done = 0
        self._reads = bool(asked.resume)
        self.legs = Legs(asked, self._known)
        if not self._reads:
            self._forget()
        found = self._next("")
        if found is not None:
            refuse_differences(asked, what_differs(found[1]["identity"], self._known))
            if found[1]["limits"] != self._limits:
                logger.info("Stages are made again: the limits of the fit are others.")
                self._reads = False

    def next(self, stage: str, fit: FitState) -> tuple[FitState, dict[str, Any]] | None:
        """The record at the end of the stage that is next, and what was told of it, if it is there.

        Callbacks know then what they knew at that moment.

        Parameters
        ----------
        stage : str
            Its name.
        fit : FitState
            The record before it.
        """
        found = self._next(stage)
        if found is None:
            return None
        self._done += 1
        path, table, arrays = found
        there = read(path, fit.model, None, None, check_model=False)
        changed = {name: getattr(there, name) for name in OF_A_STAGE}
        if changed["family"] == fit.family and _same(changed["start"], fit.start):
            changed["start"] = fit.start  # who looks whether it has moved looks for the object
        restore_callbacks(fit.callbacks, arrays, table["callbacks"])
        logger.info("Stage %s was finished: its end is read from %s.", stage, path)
        return replace(fit, **changed), table["told"]

    def write(self, stage: str, fit: FitState, told: Mapping[str, Any]) -> None:
        """Write the end of the stage that :meth:`next` has not found; those after it are not read.

        Not once data were set while the fit went on: the same call would not know of them. A disk
        that is full is no reason to lose the fit.

        Parameters
        ----------
        stage : str
            Its name.
        fit : FitState
            The record after it.
        told : dict
            What else is to be known of it, as JSON can hold it.
        """
        self._reads = False
        self._forget()
        self._done += 1
        self._data.look()
        if self._data.set_since:
            self.legs.forget()
            return
        arrays, meta = stored(copied(fit), self._known["model"])
        more, of_callbacks = callbacks_known(fit.callbacks)
        meta["ended"] = {
            "stage": stage,
            "identity": self._known,
            "limits": self._limits,
            "told": dict(told),
            "callbacks": of_callbacks,
        }
        arrays |= more
        arrays["meta"] = np.array(json.dumps(meta))
        path = self._asked.ended(self._done)
        try:
            write_archive(path, arrays, temporary=self._asked.of_stages().temporary)
        except OSError as error:
            logger.warning("The end of stage %s was not written: %s.", stage, error)
        else:
            self.legs.forget()

    def write_result(self, fit: FitState) -> None:
        """Write what all stages have come to, the last of the files, unless it is there."""
        if self._next(RESULT) is None:
            self.write(RESULT, fit, {})

    def _forget(self) -> None:
        """Remove those that are not read: they follow from a stage that is another one now."""
        for path in list(numbered(self._asked.ended, self._done + 1)):
            path.unlink()

    def _next(self, stage: str) -> tuple[Path, dict[str, Any], dict[str, np.ndarray]] | None:
        """The file of the stage that is next, its table and its arrays; of any without a name."""
        path = self._asked.ended(self._done + 1)
        if not self._reads or not path.exists():
            return None
        try:
            arrays, meta = contents(path)
            table: dict[str, Any] = meta["ended"]
        except (ValueError, KeyError) as error:
            logger.warning(
                "The end of a stage cannot be read, and the stage is made again: %s", error
            )
            return None
        return (path, table, arrays) if stage in ("", table["stage"]) else None


@contextmanager
def stage_ends(
    asked: Checkpoint | None, fit: FitState, limits: Mapping[str, Any]
) -> Iterator[StageEnds | None]:
    """The ends of the stages of a fit that is about to begin; none where nothing was asked for.

    Raises
    ------
    ValueError
        If those that are there are of another fit.
    OSError
        If nothing can be written.
    RuntimeError
        If another process writes there.
    """
    if asked is None:
        yield None
        return
    with Store(asked.of_stages()):
        yield StageEnds(asked, fit, limits)


def newest_file(path: Path) -> Path:
    """The newest of the files of a fit in stages: its running steps, or the last end of a stage.

    Parameters
    ----------
    path : pathlib.Path
        The checkpoint; of any other fit, and where there is nothing, it is the answer.
    """
    there = [
        *numbered(lambda number: beside(path, f".ended{number}")),
        *numbered(lambda number: beside(path, f".stage{number}"), 2),
    ]
    there += [path] if path.exists() else []
    found = max(there, key=lambda file: file.stat().st_mtime_ns, default=path)
    if found is not path:
        logger.info("%s is read, the newest of this fit.", found)
    return found


def _same(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    """Whether parameters are the same to the last bit."""
    return one.keys() == two.keys() and all(
        np.array_equal(value, two[name], equal_nan=True) for name, value in one.items()
    )
