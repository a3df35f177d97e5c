"""Stages that were finished before a process was killed are not made again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, cast

from vi.approximation.checkpoints.stage_ends import StageEnds
from vi.auto.ground import Ground
from vi.auto.some_rows import see_batches
from vi.diagnostics.diagnosis import Diagnosis

__all__ = ["Once"]


class Once:
    """Makes a stage, or holds the end that it had in a process before.

    Parameters
    ----------
    ground : Ground
        The fit.
    ends : StageEnds or None
        The ends of stages in files, where a checkpoint was asked for.
    """

    def __init__(self, ground: Ground, ends: StageEnds | None) -> None:
        self.ground, self.ends = ground, ends
        ground.legs = None if ends is None else ends.legs

    def __call__[**P, R](
        self, stage: Callable[Concatenate[Ground, P], R], *args: P.args, **more: P.kwargs
    ) -> R:
        """What the stage returns: a verdict is that of the record, a flag whether it is kept."""
        ground, ends = self.ground, self.ends
        if ends is None:
            return stage(ground, *args, **more)
        name, rows = stage.__name__, len(ground.fit.stages)
        there = ends.next(name, ground.fit)
        if there is None:
            try:
                returned = stage(ground, *args, **more)
            except BaseException:
                ends.legs.write()
                raise
            after = ground.fit
            is_verdict = isinstance(returned, Diagnosis) and returned is after.diagnosis
            kind = "verdict" if is_verdict else returned
            over = len(after.stages) > rows and not (ground.stopped or ground.deadline.ended)
            if over and (kind is None or isinstance(kind, bool | str)):
                sees_rows = after.data.some_rows is not None
                ends.write(name, after, {"returned": kind, "sees_rows": sees_rows})
            ends.legs.write()  # where that is not an end to be read
            return returned
        ended, told = there
        ground.approx.change(lambda fit: ended)
        if not told["sees_rows"]:
            see_batches(ground)
        if ended.diagnosis is not None:
            ground.approx.keep(ended.diagnosis, ground.fit)
        return cast(R, ground.fit.diagnosis if told["returned"] == "verdict" else told["returned"])
