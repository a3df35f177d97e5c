"""What a file says of the model that was fitted, to compare it with the one it is read into."""

from __future__ import annotations

from typing import Any

import pymc as pm

from vi.foundation.layout import Layout

__all__ = ["FORMAT", "labels_table", "layout_table"]

FORMAT = 2
"""Number of the file format; files of 0.1.0 carry it too."""


def layout_table(layout: Layout) -> list[list[Any]]:
    """Name, value name, shape and transform of each variable."""
    return [[slot.name, slot.value_name, list(slot.shape), slot.transform] for slot in layout]


def labels_table(model: pm.Model, layout: Layout) -> dict[str, list[str]]:
    """The labels of the dims that the fitted variables have, as texts."""
    dims = {dim for slot in layout for dim in slot.dims if dim is not None}
    coords = model.coords
    return {
        dim: [str(label) for label in coords[dim]]
        for dim in sorted(dims)
        if coords.get(dim) is not None
    }
