"""A checkpoint that is there: read, compared with what is to be fitted, and gone on from."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vi.approximation.checkpoints.asked import Checkpoint, beside
from vi.approximation.checkpoints.identity import what_differs
from vi.approximation.checkpoints.memory import state_from
from vi.approximation.files.contents import contents
from vi.approximation.files.traces import trace_path
from vi.approximation.record.fit_state import FitState
from vi.diagnostics.agreement import compared
from vi.diagnostics.status import Status
from vi.foundation.precision import precision

__all__ = [
    "Found",
    "away_with_damaged",
    "newest",
    "refuse_another",
    "refuse_differences",
    "seed_of",
]

logger = logging.getLogger("vi")

ENDS = ("converged", "diverged")
"""Endings after which the same call has nothing more to do, however many steps were planned."""


@dataclass(frozen=True)
class Found:
    """What a checkpoint holds.

    Parameters
    ----------
    path : Path
        The file.
    arrays, meta
        Its contents.
    """

    path: Path
    arrays: dict[str, np.ndarray]
    meta: dict[str, Any]

    @property
    def table(self) -> dict[str, Any]:
        """What it says as a checkpoint."""
        table: dict[str, Any] = self.meta["checkpoint"]
        return table

    @property
    def done(self) -> int:
        """Steps that its run has made."""
        return int(self.table["step"]) - int(self.table["begun"])

    @property
    def trace(self) -> Path:
        """The file of its losses."""
        return trace_path(self.path, self.table["trace"])

    def is_finished(self, n: int) -> bool:
        """Whether a call for ``n`` steps has nothing more to do."""
        ending = self.meta["status"]["ending"]
        return bool(self.table["finished"]) and (n == self.done or ending in ENDS)

    def record(self, planned: FitState, *, finished: bool) -> FitState:
        """The record to go on from, or the one of a run that has ended.

        Raises
        ------
        ValueError
            If its state is built in another way.
        """
        try:
            run = state_from(planned, self.arrays)
            with precision(planned.dtype):
                start = {
                    name: jax.numpy.asarray(self.arrays[f"start/{name}"]) for name in planned.start
                }
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"checkpoint={str(self.path)!r}: this fit cannot go on from it ({error}). Give "
                "another file, or resume=False, which keeps this one aside."
            ) from error
        losses = np.asarray(self.arrays["history"], np.float64)
        fit = replace(planned, run=run, start=start, losses=losses, backend=self.meta["backend"])
        if not finished:
            return fit
        names = ("elbo", "elbo_error", "mean", "std")
        starts = {name: self.arrays.get(f"restarts/{name}") for name in names}
        return replace(
            fit,
            status=Status(**self.meta["status"]),
            starts=None if starts["elbo"] is None else compared(starts, fit.layout),  # type: ignore[arg-type]
        )


def newest(asked: Checkpoint) -> Found | None:
    """The newest checkpoint that can be read, if there is one.

    Raises
    ------
    ValueError
        If there are files, and none can be read; or one that is no checkpoint.
    """
    first: ValueError | None = None
    for age in range(max(asked.keep, 2) + 1):
        path = asked.older(age)
        if not path.exists():
            continue
        try:
            arrays, meta = contents(path)
        except ValueError as error:
            first = first or error
            logger.warning("A checkpoint cannot be read: %s", error)
            continue
        if "checkpoint" not in meta:
            raise ValueError(
                f"checkpoint={str(asked.path)!r} is a file of Approximation.save, not a "
                "checkpoint, and would be written over. Give another file."
            )
        if age:
            logger.warning("Going on from an older checkpoint, %s.", path)
        return Found(path, arrays, meta)
    if first is not None:
        raise ValueError(
            f"checkpoint={str(asked.path)!r}: there is a file, and it cannot be read. {first} "
            "resume=False begins anew and keeps it aside."
        ) from first
    return None


def seed_of(asked: Checkpoint | None) -> int | None:
    """The seed of the checkpoint that a fit without one goes on from, if there is one."""
    if asked is None or not asked.resume:
        return None
    found = newest(asked)
    if found is not None:
        return int(found.meta["seed"])
    ended = asked.ended(1)  # of a fit in stages that has made no steps yet
    with contextlib.suppress(FileNotFoundError, ValueError):
        return int(contents(ended)[1]["seed"])
    return None


def refuse_another(
    asked: Checkpoint, found: Found, known: dict[str, Any], n: int, also: Sequence[str] = ()
) -> None:
    """Refuse to go on from the checkpoint of another run, unless that is forced.

    Parameters
    ----------
    asked : Checkpoint
        What was asked for.
    found : Found
        What is there.
    known : dict
        The :func:`~vi.approximation.checkpoints.identity.identity` of the run that is to be.
    n : int
        Its steps.
    also : sequence of str
        What else differs, in words.
    """
    refuse_differences(asked, [*what_differs(found.table["identity"], known), *also])
    if found.done > n:
        raise ValueError(
            f"checkpoint={str(asked.path)!r} has made {found.done:,} steps, and n={n:,}: there is "
            f"no way back. Give n of {found.done:,} or more, another file, or resume=False."
        )


def refuse_differences(asked: Checkpoint, differ: Sequence[str]) -> None:
    """Refuse to go on where something differs, unless that is forced.

    Parameters
    ----------
    asked : Checkpoint
        What was asked for.
    differ : sequence of str
        What differs, in words.
    """
    where = f"checkpoint={str(asked.path)!r}"
    if differ and asked.resume != "force":
        raise ValueError(
            f"{where} is of another run; what differs: {', '.join(differ)}. Give another file; or "
            "resume=False, which begins anew and keeps the old one aside; or resume='force', which "
            "goes on from it all the same."
        )
    if differ:
        logger.warning("%s is of another run, and goes on: %s.", where, ", ".join(differ))


def away_with_damaged(asked: Checkpoint, found: Found | None) -> None:
    """Rename a newest file that cannot be read, so that it does not become the second newest."""
    if found is not None and found.path != asked.path and asked.path.exists():
        asked.path.replace(beside(asked.path, ".damaged"))
