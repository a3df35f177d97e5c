"""Labels of dims as xarray can hold them: of any others, their text."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pymc as pm
import xarray as xr

__all__ = ["dim_name", "labels_for_draws", "say_changed_labels"]

logger = logging.getLogger("vi")


def dim_name(name: str) -> str:
    """The name of a dim among draws: a slash, which separates groups of a DataTree, as a dot."""
    return name.replace("/", ".")


def labels_for_draws(coords: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Labels by dim as xarray can hold them, and the dims of which they had to be changed.

    PyMC takes any labels; tuples (those of a pandas MultiIndex among them) would be read as a
    table, and lists or sets cannot be looked up.

    Parameters
    ----------
    coords : mapping of {str: sequence}
        Labels by dim.
    """
    held: dict[str, Any] = {}
    changed = []
    for dim, labels in coords.items():
        if labels is None:
            held[dim_name(dim)] = None
            continue
        fine = _can_be_held(labels)
        held[dim_name(dim)] = labels if fine else [_text(label) for label in labels]
        if not fine or dim_name(dim) != dim:
            changed.append(dim)
    return held, changed


def say_changed_labels(model: pm.Model) -> None:
    """Say before a fit which labels its draws will not have."""
    _, changed = labels_for_draws(model.coords)
    if changed:
        logger.warning(
            "Draws cannot have the labels of %s as they are: tuples, lists and sets become their "
            "text, a slash in the name of a dim becomes a dot.",
            ", ".join(map(repr, changed)),
        )


def _can_be_held(labels: Sequence[Any]) -> bool:
    """Whether xarray takes them as one label for each entry."""
    if any(not isinstance(label, Hashable) or isinstance(label, tuple) for label in labels):
        return False
    try:
        xr.Dataset(coords={"dim": ("dim", np.asarray(labels))})
    except (TypeError, ValueError):
        return False
    return True


def _text(label: Any) -> str:
    return ", ".join(map(str, label)) if isinstance(label, tuple) else str(label)
