"""What a model says of its own variables: point estimates, and entries for every row."""

from __future__ import annotations

from collections.abc import Sequence

import pymc as pm

from vi.approximation.record.groups import Group
from vi.families import Family, Product
from vi.models.density_model import DensityModel

__all__ = ["with_groups_of_model"]


def with_groups_of_model(
    model: pm.Model, kind: Family | Sequence[Group]
) -> Family | tuple[Group, ...]:
    """The family or the groups that were asked for, with groups for what the model says of itself.

    Variables without a prior (``numpyro.param``) are points, and those with an entry for every row
    of a plate that takes some of its rows are local, independent normals a row, unless a group says
    another thing.

    Parameters
    ----------
    model : pymc.Model
        The model.
    kind : Family or sequence of Group
        What was asked for.

    Raises
    ------
    TypeError
        If the family has no density, so that it cannot stand beside points.
    ValueError
        If a group has local variables of the model among others.
    """
    if not isinstance(model, DensityModel) or not (model.points or model.local):
        return kind if isinstance(kind, Family) else tuple(kind)
    if isinstance(kind, Family):
        if isinstance(kind, Product):
            return kind  # of a file
        if not kind.has_density:
            raise TypeError(
                f"{', '.join(model.points or model.local)}: points and variables of the rows stand "
                f"beside a q with a density, and {kind.short_name} have none. Take method='advi' "
                "or 'fullrank_advi'."
            )
        groups: list[Group] = [Group(None, kind)]
    else:
        groups = list(kind)
    named = {name for group in groups for name in group.names or ()}
    for group in groups:
        stray = [name for name in group.names or () if name in model.local and not group.local]
        if stray:
            raise ValueError(
                f"{stray[0]!r} has an entry for every row of a plate that takes some of its rows: "
                f"vi.Group([{stray[0]!r}], local=True), or with encoder=."
            )
    points = [name for name in model.points if name not in named]
    local = [name for name in model.local if name not in named]
    own = [Group(points, "point", name="points")] if points else []
    own += [Group(local, local=True)] if local else []
    everything = {variable.name for variable in model.free_RVs}
    left = everything - named - set(points) - set(local)
    return (*own, *(group for group in groups if group.names is not None or left))
