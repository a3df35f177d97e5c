"""What is asked of checkpoints, checked once."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import numpy as np

from vi.foundation.numbers import whole

__all__ = ["Checkpoint", "beside", "checkpoint_from", "numbered"]

EVERY = "10min"
"""How often a checkpoint is written where nobody says."""

KEEP = 3
"""How many are kept, the newest among them."""

UNITS = {"s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}

ACCEPTED = "give a number of steps, 10_000, or a time: '30s', '10min', '2h', a datetime.timedelta"


@dataclass(frozen=True)
class Checkpoint:
    """Where and how often the state of a run is written, and what is done with one that is there.

    Parameters
    ----------
    path : Path
        The newest one; older ones are beside it.
    steps : int or None
        Steps between two of them.
    seconds : float or None
        Or the time between two of them, by the clock on the wall.
    keep : int
        How many are kept.
    resume : bool or "force"
        Whether a run goes on from the one that is there; ``"force"``: although it is of another.
    """

    path: Path
    steps: int | None
    seconds: float | None
    keep: int = KEEP
    resume: bool | str = True

    def older(self, age: int) -> Path:
        """The file of an older one; 0 is the newest."""
        return beside(self.path, f".{age}") if age else self.path

    @property
    def temporary(self) -> Path:
        """What is being written."""
        return beside(self.path, ".tmp")

    @property
    def lock(self) -> Path:
        """There while a process writes."""
        return beside(self.path, ".lock")

    def numbered(self, stage: int) -> Checkpoint:
        """That of a later stage of a fit, in a file of its own."""
        return replace(self, path=beside(self.path, f".stage{stage}")) if stage > 1 else self

    def ended(self, number: int) -> Path:
        """The file of what a stage has come to, by its place in their order."""
        return beside(self.path, f".ended{number}")

    def legs(self, number: int) -> Path:
        """A file of what chains have drawn."""
        return beside(self.path, f".legs{number}")

    def of_stages(self) -> Checkpoint:
        """What is written and locked while a fit in stages goes on."""
        return replace(self, path=beside(self.path, ".stages"))


def beside(path: Path, ending: str) -> Path:
    """A file in the same folder, whose name goes on."""
    return path.with_name(path.name + ending)


def numbered(path: Callable[[int], Path], first: int = 1) -> Iterator[Path]:
    """The files of a kind that there are, up to the first that is not."""
    return takewhile(Path.exists, map(path, count(first)))


def checkpoint_from(checkpoint: Any, every: Any, keep: Any, resume: Any) -> Checkpoint | None:
    """What the arguments of ``fit`` and ``refine`` mean; nothing where no file is named.

    Raises
    ------
    TypeError, ValueError
        If one is of the wrong kind, or says something of checkpoints and no file is named.
    """
    given = {"every": every, "keep": keep, "resume": resume}
    if checkpoint is None:
        told = [f"{name}={value!r}" for name, value in given.items() if value is not None]
        if told:
            raise TypeError(
                f"{', '.join(told)} says how a checkpoint is written, and there is none: give "
                "checkpoint='run.vi', the file, too."
            )
        return None
    if not isinstance(checkpoint, str | os.PathLike):
        raise TypeError(
            f"checkpoint={checkpoint!r}: give the path of a file, a text or pathlib.Path."
        )
    path = Path(checkpoint).expanduser().resolve()
    if path.is_dir() or not str(checkpoint):
        raise IsADirectoryError(
            f"checkpoint={str(checkpoint)!r} is a folder: add a name, {str(path / 'run.vi')!r}."
        )
    if resume is not None and not (isinstance(resume, bool) or resume == "force"):
        raise ValueError(
            f"resume={resume!r}: must be True (go on from a checkpoint that is there), False "
            "(begin anew, it is kept aside) or 'force' (go on although it is of another fit)."
        )
    steps, seconds = _interval(EVERY if every is None else every)
    return Checkpoint(
        path,
        steps,
        seconds,
        KEEP if keep is None else whole("keep", keep, 1),
        True if resume is None else resume,
    )


def _interval(every: Any) -> tuple[int | None, float | None]:
    """Steps, or seconds, between two checkpoints."""
    if isinstance(every, timedelta):
        seconds = every.total_seconds()
    elif isinstance(every, str):
        found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(s|sec|min|h|d)\s*", every)
        if found is None:
            raise ValueError(f"every={every!r} is no time; {ACCEPTED}.")
        seconds = float(found[1]) * UNITS[found[2]]
    elif isinstance(every, int | np.integer) and not isinstance(every, bool):
        return whole("every", every, 1), None
    else:
        unclear = " may be steps or seconds" if isinstance(every, float) else ""
        raise TypeError(f"every={every!r}{unclear}: {ACCEPTED}.")
    if not seconds > 0:
        raise ValueError(f"every={every!r} must be longer than nothing; {ACCEPTED}.")
    return None, seconds
