"""Optimisers and averages kept row by row, with counters and memories of a row's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import optax

from vi.families.family import Params
from vi.optimizers.averaging import Averaging

__all__ = ["RowWiseAverage", "SharedAndRows", "merged", "row_wise", "split"]


class SharedAndRows(NamedTuple):
    """Something for the parameters that all rows share, and for those of each row.

    Parameters
    ----------
    shared : pytree
        That of the shared parameters.
    rows : dict of pytrees
        By part, each leaf with a leading axis of rows.
    """

    shared: Any
    rows: dict[str, Any]

    def map_rows(self, function: Callable[..., Any], *others: Any) -> dict[str, Any]:
        """A function of the part's name and of one leaf, applied to the leaves that have rows."""
        return {
            name: jax.tree.map(
                lambda *leaves, name=name: function(name, *leaves),
                tree,
                *(other.rows[name] for other in others),
            )
            for name, tree in self.rows.items()
        }


def split(params: Params, parts: Sequence[str]) -> SharedAndRows:
    """Parameters by name, those of the parts that have rows apart from the others."""
    rows: dict[str, Params] = {part: {} for part in parts}
    shared: Params = {}
    for name, value in params.items():
        rows.get(name.partition(".")[0], shared)[name] = value
    return SharedAndRows(shared, rows)


def merged(params: SharedAndRows, order: Params) -> Params:
    """The inverse of :func:`split`, in the order of the names of ``order``."""
    by_name: Params = dict(params.shared)
    for of_part in params.rows.values():
        by_name |= of_part
    return {name: by_name[name] for name in order}


def row_wise(
    optimizer: optax.GradientTransformation, parts: Sequence[str]
) -> optax.GradientTransformationExtraArgs:
    """An optimiser that treats each row of some parts as a problem of its own.

    A row is visited once an epoch. With counters shared by all rows, learning rates would fall,
    and momenta be forgotten, between two visits.

    Parameters
    ----------
    optimizer : optax.GradientTransformation
        The optimiser of the shared parameters, and of each row.
    parts : sequence of str
        Parts whose parameters have a leading axis of rows.

    Returns
    -------
    optax.GradientTransformationExtraArgs
        Its state is a :class:`SharedAndRows`; a step on some rows takes the state of these rows.
    """
    inner = optax.with_extra_args_support(optimizer)

    def init(params: Any) -> SharedAndRows:
        by_place = split(params, parts)
        return SharedAndRows(
            inner.init(by_place.shared),
            {part: jax.vmap(inner.init)(values) for part, values in by_place.rows.items()},
        )

    def update(
        updates: Any, state: SharedAndRows, params: Any = None, **extra: Any
    ) -> tuple[Any, SharedAndRows]:
        # extra arguments by parameter (units, grad) belong to rows, scalars (value) to all of them
        by_name = {
            key: split(value, parts) for key, value in extra.items() if isinstance(value, dict)
        }
        scalars = {key: value for key, value in extra.items() if key not in by_name}
        steps, values = split(updates, parts), split(params, parts)
        more = {key: value.shared for key, value in by_name.items()}
        step, shared = inner.update(steps.shared, state.shared, values.shared, **more, **scalars)
        row_steps, row_states = {}, {}
        for part in parts:

            def of_row(step: Any, state: Any, value: Any, more: Any) -> Any:
                return inner.update(step, state, value, **more, **scalars)

            more = {key: value.rows[part] for key, value in by_name.items()}
            row_steps[part], row_states[part] = jax.vmap(of_row)(
                steps.rows[part], state.rows[part], values.rows[part], more
            )
        every_step = merged(SharedAndRows(step, row_steps), updates)
        return every_step, SharedAndRows(shared, row_states)

    return optax.GradientTransformationExtraArgs(init, update)


@dataclass(frozen=True)
class RowWiseAverage(Averaging):
    """An average of the iterates in which each row of some parts counts its own visits.

    Parameters
    ----------
    averaging : Averaging
        The average of the shared parameters, and of each row.
    parts : tuple of str
        Parts whose parameters have a leading axis of rows.
    """

    averaging: Averaging
    parts: tuple[str, ...]

    def init(self, params: Params) -> SharedAndRows:
        by_place = split(params, self.parts)
        of_rows = jax.vmap(self.averaging.init)
        return SharedAndRows(
            self.averaging.init(by_place.shared),
            {part: of_rows(values) for part, values in by_place.rows.items()},
        )

    def update(self, state: SharedAndRows, params: Params) -> SharedAndRows:
        by_place = split(params, self.parts)
        of_rows = jax.vmap(self.averaging.update)
        return SharedAndRows(
            self.averaging.update(state.shared, by_place.shared),
            {part: of_rows(state.rows[part], values) for part, values in by_place.rows.items()},
        )

    def value(self, state: SharedAndRows) -> Params:
        by_name: Params = dict(self.averaging.value(state.shared))
        for of_part in state.rows.values():
            by_name |= jax.vmap(self.averaging.value)(of_part)
        return by_name
