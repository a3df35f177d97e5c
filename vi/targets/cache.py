"""Targets that are kept for the next fit of the same model, and when one has to be built anew."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pymc as pm

from vi.targets.base import Target
from vi.targets.batches.setting import GraphSetting
from vi.targets.model.data_watch import DataWatch
from vi.targets.model.facts import Same, parts
from vi.targets.model.shapes import rv_shapes

__all__ = [
    "Entry",
    "TargetCache",
    "cache_of",
    "check_shapes",
    "data_shapes",
    "fingerprint",
]

ATTRIBUTE = "_vi_targets"

MOST_TARGETS = 16
"""Targets that a model keeps, those used last.

Two backends in two precisions, training and all rows, make eight. A fit on data of its own
(``data=``, replacements) has a target of its own: without a limit a model that is fitted day after
day would hold the data of all days.
"""


class Entry(NamedTuple):
    """A target, and what it was built for.

    Parameters
    ----------
    fingerprint : tuple
        What its compiled code depends on.
    shapes : tuple
        The shapes of the data that it read last.
    target : Target
        The target.
    """

    fingerprint: tuple[Any, ...]
    shapes: tuple[Any, ...]
    target: Target


class TargetCache(dict[Hashable, Entry]):
    """The targets of one model, by what they were asked for; an attribute of the model.

    They live as long as the model, and go with it. A table beside the models, weak in its keys,
    would keep some of them for ever: a target holds the model's variables and transforms, and these
    may hold the model (bounds computed by a function that mentions it), so that the value would
    keep its own key alive. An attribute makes all this one cycle, which Python's garbage collector
    takes away.
    """

    def __init__(self) -> None:
        super().__init__()
        self.watches: dict[str, DataWatch] = {}
        """What watches the model's data, by what they are read for: each refuses something else."""

    def keep(self, key: Hashable, entry: Entry) -> None:
        """Keep a target as the one used last, and let go of those used longest ago."""
        self.pop(key, None)
        self[key] = entry
        for old in list(self)[:-MOST_TARGETS]:  # a copy: other threads may keep theirs meanwhile
            self.pop(old, None)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """A copy or a pickle of the model has none: compiled code can be neither."""
        return TargetCache, ()


def cache_of(model: pm.Model) -> TargetCache:
    """The targets that are kept for a model."""
    cache: TargetCache = model.__dict__.setdefault(ATTRIBUTE, TargetCache())
    return cache


def check_shapes(model: pm.Model, point: Mapping[str, np.ndarray]) -> None:
    """Refuse a point whose shapes are no longer those of the model."""
    shapes = rv_shapes(model)
    for value in model.value_vars:
        now, before = shapes[value.name], np.shape(point[value.name])
        if now != before:
            raise ValueError(
                f"{value.name} has shape {now} now, it had shape {before} at the start of the fit: "
                "a variable's shape follows the changed data. Start a new fit."
            )


def data_shapes(target: Any) -> tuple[Any, ...]:
    """The present shapes of all data that a target reads."""
    return tuple(np.shape(shared.get_value(borrow=True)) for shared in target.graph.data)


def fingerprint(model: pm.Model, setting: GraphSetting) -> tuple[Any, ...]:
    """What the compiled code of a model depends on, each by its identity.

    The cache holds it and thereby keeps all of it alive, so that no new object gets an old identity
    while the target is there.
    """
    encoder_inputs = [graph for graphs in setting.encoded.values() for graph in graphs]
    exchanged = [*setting.replacements.values(), *encoder_inputs]
    return (*parts(model), *map(Same, exchanged))
