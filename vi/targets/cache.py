"""Targets that are kept for the next fit of the same model, and when one has to be built anew."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm

from vi.targets.base import Target
from vi.targets.batches.setting import Setting

KEPT: weakref.WeakKeyDictionary[pm.Model, dict[Any, tuple[Any, Any, Target]]] = (
    weakref.WeakKeyDictionary()
)


def check_shapes(model: pm.Model, point: Mapping[str, np.ndarray]) -> None:
    """Refuse a point whose shapes are no longer those of the model."""
    shapes = model.eval_rv_shapes()
    for value in model.value_vars:
        now, before = tuple(int(n) for n in shapes[value.name]), np.shape(point[value.name])
        if now != before:
            raise ValueError(
                f"{value.name} has shape {now} now, it had shape {before} at the start of the fit: "
                "a variable's shape follows the changed data. Start a new fit."
            )


def data_shapes(target: Any) -> tuple[Any, ...]:
    return tuple(np.shape(shared.get_value(borrow=True)) for shared in target.graph.shared)


def fingerprint(model: pm.Model, setting: Setting) -> tuple[Any, ...]:
    """What the compiled code of a model depends on; held by identity, and kept alive by the
    cache.
    """
    variables = [*model.basic_RVs, *model.potentials, *model.deterministics]
    observed = [model.rvs_to_values[variable] for variable in model.observed_RVs]
    transforms = [model.rvs_to_transforms.get(variable) for variable in model.free_RVs]
    read = [graph for graphs in setting.encoded.values() for graph in graphs]
    given = [*setting.replacements.values(), *read, setting.fed]
    return tuple(_Same(item) for item in [*variables, *observed, *transforms, *given])


class _Same:
    """Equality by identity for objects whose ``==`` builds graphs."""

    def __init__(self, item: Any) -> None:
        self.item = item

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.item is other.item

    def __hash__(self) -> int:
        return id(self.item)
