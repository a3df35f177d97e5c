"""Where the variables of a PyMC model lie in the flat vector."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pymc as pm

from vi.foundation.layout import Layout, Slot
from vi.targets.model.labels import axis_labels
from vi.targets.model.shapes import rv_shapes

__all__ = ["layout_from"]


def layout_from(
    model: pm.Model, initial: Mapping[str, np.ndarray], local: Mapping[str, int] | None = None
) -> Layout:
    """The layout of a model's flat vector, with shapes as at a point of the model by value name.

    Local variables have as many rows as ``local`` says.
    """
    constrained = rv_shapes(model)
    shapes, inner_shapes = {}, {}
    for variable, value in zip(model.free_RVs, model.value_vars, strict=True):
        shape = tuple(np.shape(initial[value.name]))
        inner = constrained[variable.name]
        if local and variable.name in local:
            shape, inner = (local[variable.name], *shape[1:]), (local[variable.name], *inner[1:])
        shapes[value.name], inner_shapes[value.name] = shape, inner
    labels = axis_labels(model, shapes)
    slots, start = [], 0
    for variable, value in zip(model.free_RVs, model.value_vars, strict=True):
        shape = shapes[value.name]
        stop = start + int(np.prod(shape, dtype=int))
        transform = model.rvs_to_transforms.get(variable)
        slots.append(
            Slot(
                name=variable.name,
                value_name=value.name,
                start=start,
                stop=stop,
                shape=shape,
                constrained_shape=inner_shapes[value.name],
                transform=None
                if transform is None
                else getattr(transform, "name", type(transform).__name__),
                dims=tuple(model.named_vars_to_dims.get(variable.name, ()) or ()),
                labels=tuple(labels.get(value.name, ())),
            )
        )
        start = stop
    if start == 0:
        raise ValueError(
            f"All free variables are empty: {', '.join(slot.name for slot in slots)}. Nothing to "
            "fit."
        )
    return Layout(tuple(slots))
