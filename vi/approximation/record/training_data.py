"""What a fit's data are: what a step reads, and what everything else reads."""

from __future__ import annotations

from dataclasses import dataclass, field

from vi.data import Stream
from vi.foundation.kept import Keeper
from vi.targets.base import Target
from vi.targets.batches.setting import GraphSetting

__all__ = ["TrainingData", "lost_data"]


@dataclass(frozen=True, eq=False)
class TrainingData(Keeper):
    """The data of a fit.

    Parameters
    ----------
    training : GraphSetting
        What the log density of a step is built for: batches, replacements, their scale.
    all_rows : GraphSetting
        What every other log density is built for.
    stream : Stream or None
        Where the rows come from, if they do not lie in memory.
    some_rows : Target or None
        What steps see in the place of batches, while a stage of a fit is going on.
    missing : str or None
        What a fit needs to go on that a file or a pickle could not hold, as a sentence.
    """

    training: GraphSetting = field(default_factory=GraphSetting)
    all_rows: GraphSetting = field(default_factory=lambda: GraphSetting(training=False))
    stream: Stream | None = None
    some_rows: Target | None = None
    missing: str | None = None


def lost_data(argument: str, holder: str) -> str:
    """What is said where a fit cannot go on because its data were left behind.

    Parameters
    ----------
    argument : str
        The argument of ``fit`` that gave them, ``"data="``.
    holder : str
        What could not hold them, ``"file"`` or ``"pickle"``.
    """
    return (
        f"It was fitted with {argument}, which a {holder} cannot hold: give it again, "
        f"refine(n, {argument}...)."
    )
