"""Dims and labels of a model's values, as xarray can hold them: of any other labels, their text."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from numbers import Number
from typing import Any

import numpy as np
import pymc as pm
import xarray as xr

__all__ = [
    "AxisLabels",
    "axis_labels",
    "dim_name",
    "dims_that_fit",
    "labels_and_dims",
    "labels_for_draws",
    "say_changed_labels",
]

logger = logging.getLogger("vi")

PLAIN = (str, bytes, Number, np.generic, date, timedelta)
"""What labels can be: xarray joins arrays by label, which takes values that can be compared."""


@dataclass(frozen=True, eq=False)
class AxisLabels:
    """Labels along an axis as texts, those that a table of draws has.

    They are made when one is asked for: there can be millions, and most fits need none.

    Parameters
    ----------
    given : sequence
        Labels as the model has them.
    """

    given: Sequence[Any]

    def __len__(self) -> int:
        return len(self.given)

    def __getitem__(self, index: int) -> str:
        return str(self._held[index])

    @cached_property
    def _held(self) -> np.ndarray:
        labels, _ = labels_for_draws({"dim": _together(self.given)})
        held = xr.Dataset(coords={"dim": ("dim", np.asarray(labels["dim"]))})
        return held["dim"].to_numpy()


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
    own = {dim: _together(row) for dim, row in model.coords.items() if row is not None}
    labels, _ = labels_for_draws(own)
    return labels, _dims(model)


def axis_labels(
    model: pm.Model, shapes: Mapping[str, Sequence[int]]
) -> dict[str, list[AxisLabels | None]]:
    """Labels along each axis of unconstrained values, by the names of those that have some.

    Parameters
    ----------
    model : pymc.Model
        The model.
    shapes : mapping of {str: sequence of int}
        Shapes by name.
    """
    given = {dim_name(dim): row for dim, row in model.coords.items() if row is not None}
    dims = dims_that_fit(shapes, given, _dims(model))
    texts = {dim: AxisLabels(row) for dim, row in given.items()}
    return {name: [texts.get(dim or "") for dim in row] for name, row in dims.items()}


def _dims(model: pm.Model) -> dict[str, list[str | None]]:
    """Dims by the names of variables, and of unconstrained values with as many axes."""
    dims = {
        name: [d if d is None else dim_name(d) for d in row]
        for name, row in model.named_vars_to_dims.items()
    }
    for variable in model.free_RVs:
        value = model.rvs_to_values[variable]
        if variable.name in dims and value.ndim == variable.ndim:
            dims.setdefault(value.name, dims[variable.name])
    return dims


def _together(labels: Sequence[Any]) -> Any:
    """Labels as an array, but as they are where each is several values itself."""
    table = np.array(labels) if isinstance(labels, tuple) else labels
    return table if np.ndim(table) < 2 else labels


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
