"""Draws of a model's variables as points of the flat vector: the transforms forward."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm
from pytensor.graph.replace import clone_replace

from vi.foundation.layout import Layout
from vi.graphs.interpret import interpreted

__all__ = ["unconstrain"]


def unconstrain(
    model: pm.Model, layout: Layout, values: Mapping[str, np.ndarray], dtype: np.dtype
) -> np.ndarray:
    """Points ``(n, D)`` from arrays ``(n, *shape)`` by name of a variable or its value.

    Arrays by the name of a variable are constrained, by the name of its value unconstrained.

    Raises
    ------
    ValueError
        If a variable is missing, has a wrong shape, or values outside its support.
    """
    n = len(next(iter(values.values())))
    points = np.empty((n, layout.dim), dtype)
    constrained = [
        slot.name for slot in layout if slot.value_name not in values or slot.transform is None
    ]
    missing = [name for name in constrained if name not in values]
    if missing:
        raise ValueError(
            f"The trace has no draws of {', '.join(missing)}; the model's free variables are "
            f"{', '.join(layout.names)}."
        )
    for slot in layout:
        name = slot.name if slot.name in constrained else slot.value_name
        shape = slot.constrained_shape if slot.name in constrained else slot.shape
        if values[name].shape[1:] != shape:
            raise ValueError(
                f"{name!r} has draws of shape {values[name].shape[1:]}, the model's has {shape}."
            )
        if not np.issubdtype(values[name].dtype, np.number) or np.iscomplexobj(values[name]):
            raise TypeError(
                f"{name!r} has draws of type {values[name].dtype}; expected real numbers."
            )
        if slot.name not in constrained:
            points[:, slot.slice] = values[name].reshape(n, -1)
    function = _forward(model, constrained)
    constrained_draws = [_everything(model, layout, values, name) for name in layout.names]
    for i in range(n):
        pieces = function(*(draws[i] for draws in constrained_draws))
        for name, piece in zip(constrained, pieces, strict=True):
            points[i, layout[name].slice] = np.ravel(piece)
    for slot in layout:
        bad = np.flatnonzero(~np.all(np.isfinite(points[:, slot.slice]), axis=1))
        if bad.size:
            raise ValueError(
                f"{bad.size} draws of {slot.name!r} lie outside its support or are not finite, the "
                f"first at {bad[0]}."
            )
    return points


def _everything(
    model: pm.Model, layout: Layout, values: Mapping[str, np.ndarray], name: str
) -> np.ndarray:
    """Constrained draws of a variable; zeros stand in where only unconstrained ones are there."""
    if name in values:
        return np.asarray(values[name], dtype=model[name].dtype)
    n = len(next(iter(values.values())))
    return np.zeros((n, *layout[name].constrained_shape), dtype=model[name].dtype)


def _forward(model: pm.Model, names: list[str]) -> Any:
    """A function of all free variables' constrained values: the unconstrained ones of `names`."""
    inputs = {variable: variable.type() for variable in model.free_RVs}
    outputs = []
    for name in names:
        variable = model[name]
        transform = model.rvs_to_transforms.get(variable)
        outputs.append(
            variable if transform is None else transform.forward(variable, *variable.owner.inputs)
        )
    outputs = clone_replace(outputs, replace=inputs, rebuild_strict=False)
    return interpreted(list(inputs.values()), outputs)
