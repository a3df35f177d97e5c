"""Freeze and unfreeze groups of a product between fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.parameters import averaged_params
from vi.families import Product

__all__ = ["frozen"]


def frozen(fit: FitState, groups: Sequence[Any], freeze: bool) -> FitState:
    """The record with groups frozen at their reported parameters, or free again.

    Parameters
    ----------
    fit : FitState
        The record.
    groups : sequence
        Names of groups, of variables in them, or variables; all groups if empty and not `freeze`.
    freeze : bool
        Which of the two.

    Raises
    ------
    TypeError
        If q has no groups, or none is named.
    ValueError
        If there is no such group, or every group would be frozen.
    """
    family = fit.family
    if not isinstance(family, Product):
        raise TypeError(
            "Only groups can be frozen, and this approximation has one family: "
            "vi.Approximation([groups])."
        )
    if not groups and not freeze:
        groups = [part.name for part in family.parts]
    names = {_group_of(fit, family, getattr(group, "name", group)) for group in groups}
    if not names:
        raise TypeError("freeze() needs the names of groups.")
    changed = family.with_frozen(names, freeze)
    if all(part.frozen for part in changed.parts):
        raise ValueError("Every group would be frozen, and there would be nothing to fit.")
    fit = replace(fit, family=changed)
    if fit.run is None or fit.algorithm is None:
        return fit
    fixed = averaged_params(fit) if freeze else {}
    fixed = {name: value for name, value in fixed.items() if name.split(".")[0] in names}
    run = fit.run._replace(params=fit.run.params | fixed)
    algorithm = replace(fit.algorithm, family=changed)  # type: ignore[type-var]
    return replace(fit, run=run, algorithm=algorithm)


def _group_of(fit: FitState, family: Product, name: Any) -> str:
    """The group of that name, or the one that holds the variable of that name."""
    names = [part.name for part in family.parts]
    if name in names:
        return str(name)
    try:
        start = fit.layout[name].start
    except KeyError:
        raise ValueError(f"There is no group {name!r}; there are {', '.join(names)}.") from None
    return next(part.name for part in family.parts if np.isin(start, part.entries))
