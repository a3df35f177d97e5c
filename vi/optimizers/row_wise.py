"""Optimisers and averages kept row by row: a row that is visited once an epoch has counters and
memories of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import optax

from vi.families.family import Params
from vi.optimizers.averaging import Averaging

__all__ = ["Apart", "RowWiseAverage", "row_wise"]


class Apart(NamedTuple):
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
                own,
                *(o.rows[name] for o in others),
            )
            for name, own in self.rows.items()
        }


def apart(params: Params, parts: Sequence[str]) -> Apart:
    """Parameters by name, those of the parts that have rows apart from the others."""
    rows: dict[str, Params] = {part: {} for part in parts}
    shared: Params = {}
    for name, value in params.items():
        rows.get(name.partition(".")[0], shared)[name] = value
    return Apart(shared, rows)


def joined(split: Apart, order: Params) -> Params:
    """The inverse of :func:`apart`, in the order of the names of ``order``."""
    every: Params = dict(split.shared)
    for own in split.rows.values():
        every |= own
    return {name: every[name] for name in order}


def row_wise(
    optimizer: optax.GradientTransformation, parts: Sequence[str]
) -> optax.GradientTransformationExtraArgs:
    """An optimiser that treats each row of some parts as a problem of its own.

    Parameters
    ----------
    optimizer : optax.GradientTransformation
        The optimiser of the shared parameters, and of each row.
    parts : sequence of str
        Parts whose parameters have a leading axis of rows.

    Returns
    -------
    optax.GradientTransformationExtraArgs
        Its state is an :class:`Apart`; a step on some rows takes the state of these rows.
    """
    inner = optax.with_extra_args_support(optimizer)

    def init(params: Any) -> Apart:
        split = apart(params, parts)
        return Apart(
            inner.init(split.shared),
            {part: jax.vmap(inner.init)(own) for part, own in split.rows.items()},
        )

    def update(updates: Any, state: Apart, params: Any = None, **extra: Any) -> tuple[Any, Apart]:
        by_name = {
            key: apart(value, parts) for key, value in extra.items() if isinstance(value, dict)
        }
        same = {key: value for key, value in extra.items() if key not in by_name}
        steps, values = apart(updates, parts), apart(params, parts)
        more = {key: value.shared for key, value in by_name.items()}
        step, shared = inner.update(steps.shared, state.shared, values.shared, **more, **same)
        made, kept = {}, {}
        for part in parts:

            def one(step: Any, state: Any, value: Any, more: Any) -> Any:
                return inner.update(step, state, value, **more, **same)

            more = {key: value.rows[part] for key, value in by_name.items()}
            made[part], kept[part] = jax.vmap(one)(
                steps.rows[part], state.rows[part], values.rows[part], more
            )
        return joined(Apart(step, made), updates), Apart(shared, kept)

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

    def init(self, params: Params) -> Apart:
        split = apart(params, self.parts)
        each = jax.vmap(self.averaging.init)
        return Apart(
            self.averaging.init(split.shared), {part: each(own) for part, own in split.rows.items()}
        )

    def update(self, state: Apart, params: Params) -> Apart:
        split = apart(params, self.parts)
        each = jax.vmap(self.averaging.update)
        return Apart(
            self.averaging.update(state.shared, split.shared),
            {part: each(state.rows[part], own) for part, own in split.rows.items()},
        )

    def value(self, state: Apart) -> Params:
        every: Params = dict(self.averaging.value(state.shared))
        for own in state.rows.values():
            every |= jax.vmap(self.averaging.value)(own)
        return every
