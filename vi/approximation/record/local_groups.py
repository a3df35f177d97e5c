"""Which variables have an entry for every row of data, where they start, what encodes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np
import pymc as pm
from pytensor.tensor import as_tensor

from vi.approximation.record.groups import Group
from vi.approximation.record.product_of_groups import members_of, product_of
from vi.families import Encoded, Encoder, Family, Params, PerRow, Product
from vi.foundation.layout import Layout
from vi.graphs.interpret import interpret
from vi.models.density_model import DensityModel
from vi.targets.batches.local_rows import (
    observed_data_of,
    rows_in_all,
    with_rows,
)
from vi.targets.model.checks import check_mapping, real_numbers
from vi.targets.model.layout_from import layout_from

__all__ = [
    "LocalGroup",
    "check_encoders",
    "point_of_all_rows",
    "split_start",
    "with_local_groups",
    "with_local_parts",
    "with_weights",
]


@dataclass(frozen=True, eq=False)
class LocalGroup:
    """Local variables of one part.

    Parameters
    ----------
    part : str
        Name of the part.
    variables : tuple of str
        Names of its variables.
    family : PerRow
        Family of all rows.
    dim : int
        Entries of a row.
    encoder : Encoder, optional
        What computes the rows' parameters.
    inputs : tuple of TensorVariable
        What the encoder reads.
    """

    part: str
    variables: tuple[str, ...]
    family: PerRow
    dim: int
    encoder: Encoder | None = None
    inputs: tuple[Any, ...] = ()

    @property
    def rows(self) -> int:
        """Rows in all."""
        return self.family.rows

    @cached_property
    def parameters(self) -> Any:
        """The compiled map from weights and the data of all rows to the rows' parameters."""
        assert self.encoder is not None
        one, encoder, dim = self.family.family, self.encoder, self.dim
        return jax.jit(
            lambda weights, inputs: Encoded(one, encoder, inputs, dim).parameters_in_blocks(weights)
        )


def with_local_groups(
    model: pm.Model, groups: Sequence[Group], point: Mapping[str, np.ndarray]
) -> tuple[Layout, Product, tuple[LocalGroup, ...]]:
    """Layout and family of groups, with all rows of local variables, and what is local."""
    layout = layout_from(model, point)
    members = members_of(groups, layout)
    names = [
        name for group, own in zip(groups, members, strict=True) if group.local for name in own
    ]
    if names:
        layout = layout_from(model, point, rows_in_all(model, names))
    family = product_of(groups, layout)
    local = []
    for group, part, own in zip(groups, family.parts, members, strict=True):
        if isinstance(part.family, PerRow) and group.local:
            inputs = _inputs(model, group, own) if group.encoder else ()
            dim = part.entries.size // part.family.rows
            local.append(LocalGroup(part.name, tuple(own), part.family, dim, group.encoder, inputs))
    return layout, family, tuple(local)


def with_local_parts(
    model: pm.Model, family: Family, point: Mapping[str, np.ndarray]
) -> tuple[Layout, tuple[LocalGroup, ...]]:
    """Layout and what is local, for a family from a file, whose parts with rows say so."""
    layout = layout_from(model, point)
    starts = {
        start: part
        for part in (family.parts if isinstance(family, Product) else ())
        if isinstance(part.family, PerRow)
        for start, _ in part.ranges
    }
    rows: dict[str, int] = {}
    members: dict[str, list[str]] = {part.name: [] for part in starts.values()}
    position = 0
    for slot in layout:
        part = starts.get(position)
        position += slot.size
        if part is not None and slot.shape and part.rows is not None:
            rows[slot.name] = part.rows
            members[part.name].append(slot.name)
            position += slot.size // slot.shape[0] * (part.rows - slot.shape[0])
    local = [
        LocalGroup(
            part.name, tuple(members[part.name]), part.family, part.entries.size // part.family.rows
        )
        for part in dict.fromkeys(starts.values())
        if isinstance(part.family, PerRow)
    ]
    return layout_from(model, point, rows), tuple(local)


def split_start(
    start: Mapping[str, Any] | None, model: pm.Model, groups: Sequence[Group] | None
) -> tuple[Mapping[str, Any] | None, dict[str, Any]]:
    """Start values of the other variables, and of local ones, which may have more rows."""
    names = {name for group in groups or () if group.local for name in group.names or ()}
    if start is None or not names:
        return start, {}
    check_mapping(start, "start")
    values = {model.rvs_to_values[v].name: v.name for v in model.free_RVs}
    names |= {values[name] for name in names if name in values}
    by_name = {getattr(name, "name", name): value for name, value in start.items()}
    local = {name: value for name, value in by_name.items() if values.get(name, name) in names}
    return {
        name: value for name, value in start.items() if getattr(name, "name", name) not in local
    }, local


def point_of_all_rows(
    model: pm.Model, layout: Layout, point: Mapping[str, np.ndarray], start: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """A point of the model with all rows of local variables, with their start values."""
    whole = with_rows(point, layout)
    for name, value in start.items():
        slot = layout[name]
        constrained = name == slot.name
        shape = slot.constrained_shape if constrained else slot.shape
        array = real_numbers(value, f"start[{name!r}]").astype(float)
        try:
            array = np.broadcast_to(array, shape)
        except ValueError:
            raise ValueError(
                f"start[{name!r}] has shape {array.shape}, but {name!r} has shape {shape}."
            ) from None
        variable = model[slot.name]
        transform = model.rvs_to_transforms.get(variable)
        if constrained and transform is not None:
            array = interpret(
                [], [transform.forward(as_tensor(array), *variable.owner.inputs)], []
            )[0]
        if not np.all(np.isfinite(array)):
            raise ValueError(
                f"start[{name!r}] is not finite, or lies outside the support of {slot.name!r}."
            )
        whole[slot.value_name] = array
    return whole


def with_weights(local: Sequence[LocalGroup], params: Params) -> Params:
    """Parameters at the start, with the weights of encoders in place of parameters a row."""
    for group in local:
        if group.encoder is not None:
            kept = {
                name: value
                for name, value in params.items()
                if name.partition(".")[0] != group.part
            }
            dtype = next(iter(params.values())).dtype
            weights = group.encoder.initial.items()
            params = kept | {
                f"{group.part}.{name}": jax.numpy.asarray(value, dtype) for name, value in weights
            }
    return params


def check_encoders(local: Sequence[LocalGroup], params: Params) -> None:
    """Refuse encoders whose output is not finite at the start."""
    for group in local:
        if group.encoder is not None:
            own = [
                np.asarray(value)
                for name, value in params.items()
                if name.partition(".")[0] == group.part
            ]
            bad = np.flatnonzero(
                ~np.all([np.isfinite(v.reshape(group.rows, -1)).all(axis=1) for v in own], axis=0)
            )
            if bad.size:
                raise ValueError(
                    f"The encoder of {group.part!r} returns NaN or infinity for {bad.size} of "
                    f"{group.rows} rows, first "
                    f"{', '.join(map(str, bad[:5]))}. Are its inputs finite and its weights of a "
                    "moderate size?"
                )


def _inputs(model: pm.Model, group: Group, names: Sequence[str]) -> tuple[Any, ...]:
    """What the encoder of a group reads."""
    if group.inputs is not None:
        return group.inputs
    if isinstance(model, DensityModel):
        raise ValueError(  # noqa: TRY004 (nothing is of a wrong type)
            f"The encoder of {group} reads data of the rows, and a log density does not say which: "
            "vi.Group(..., encoder=f, inputs=model.rows_of(x))."
        )
    data = observed_data_of(model, names)
    if len(data) != 1:
        raise ValueError(
            f"{len(data)} likelihoods depend on the variables of {group}: say which data of a row "
            "its encoder reads, "
            "vi.Group(..., encoder=f, inputs=x)."
        )
    return data
