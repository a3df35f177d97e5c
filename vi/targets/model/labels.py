"""Dims and labels of a model's values, as xarray can hold them: of any other labels, their text."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from numbers import Number
from typing import Any

import numpy as np
import pymc as pm
import xarray as xr
from pymc.backends.arviz import coords_and_dims_for_inferencedata

__all__ = ["dim_name", "dims_that_fit", "labels_and_dims", "labels_for_draws", "say_changed_labels"]

logger = logging.getLogger("vi")

PLAIN = (str, bytes, Number, np.generic, date, timedelta)
"""What labels can be: xarray joins arrays by label, which takes values that can be compared."""


def dim_name(name: str) -> str:
    """The name of a dim among draws: a slash, which separates groups of a DataTree, as a dot."""
    return name.replace("/", ".")


def labels_for_draws(coords: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Labels by dim as xarray can hold them, and the dims of which they had to be changed.

    PyMC takes any labels; tuples (those of a pandas MultiIndex among them) would be read as a
    table, lists or sets cannot be looked up, and other objects cannot be put in order.

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


def labels_and_dims(model: pm.Model) -> tuple[dict[str, Any], dict[str, list[str | None]]]:
    """Labels by dim, and dims by the names of variables and of their unconstrained values.

    A value has the dims of its variable; a transform to another length (a simplex has an entry less
    in the unconstrained space) leaves a dim that no longer fits: see :func:`dims_that_fit`.
    """
    own_labels, own_dims = coords_and_dims_for_inferencedata(model)
    # PyMC has made a table of labels that are tuples: the model has them as they were given
    given = {d: v if np.ndim(v) < 2 else model.coords[d] for d, v in own_labels.items()}
    labels, _ = labels_for_draws(given)
    dims = {name: [d if d is None else dim_name(d) for d in row] for name, row in own_dims.items()}
    for variable in model.free_RVs:
        value = model.rvs_to_values[variable]
        if variable.name in dims and value.ndim == variable.ndim:
            dims.setdefault(value.name, dims[variable.name])
    return labels, dims


def dims_that_fit(
    shapes: Mapping[str, Sequence[int]],
    labels: Mapping[str, Any],
    dims: Mapping[str, Sequence[str | None]],
) -> dict[str, list[str | None]]:
    """The dims of arrays whose lengths are those of the labels, or else of the arrays before.

    The others get names of their own.

    Parameters
    ----------
    shapes : mapping of {str: sequence of int}
        Shapes of arrays by name.
    labels : mapping of {str: sequence}
        Labels by dim.
    dims : mapping of {str: sequence of str}
        Dims by name; of arrays that are not there too.
    """
    lengths = {dim: len(values) for dim, values in labels.items() if values is not None}
    fitting: dict[str, list[str | None]] = {}
    for name, row in dims.items():  # variables come before their unconstrained values
        if name in shapes:
            fitting[name] = [
                d if d is None or lengths.setdefault(d, n) == n else None
                for d, n in zip(row, shapes[name], strict=True)
            ]
    return fitting


def say_changed_labels(model: pm.Model) -> None:
    """Say before a fit which labels its draws will not have."""
    _, changed = labels_for_draws(model.coords)
    if changed:
        logger.warning(
            "Draws cannot have the labels of %s as they are: tuples, sets and other objects "
            "become their text, a slash in the name of a dim becomes a dot.",
            ", ".join(map(repr, changed)),
        )


def _can_be_held(labels: Sequence[Any]) -> bool:
    """Whether xarray takes them as one label for each entry."""
    if not all(label is None or isinstance(label, PLAIN) or _of_pandas(label) for label in labels):
        return False
    try:
        xr.Dataset(coords={"dim": ("dim", np.asarray(labels))})
    except (TypeError, ValueError):
        return False
    return True


def _of_pandas(label: Any) -> bool:
    """Whether it is a period or an interval: comparable, as all scalars of pandas are."""
    return type(label).__module__.partition(".")[0] == "pandas"


def _text(label: Any) -> str:
    return ", ".join(map(str, label)) if isinstance(label, tuple) else str(label)
