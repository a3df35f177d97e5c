"""The rows of a step taken out of a state, and written back into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vi.algorithms.base import State
from vi.optimizers.row_wise import SharedAndRows, merged, split

__all__ = ["Places", "gathered", "places", "written"]


class Places(NamedTuple):
    """Where the rows of a batch are written.

    Parameters
    ----------
    order : array or None
        The order in which they are written, ``(B,)``; None: as they come.
    numbers : array
        The row each of them is written to, ``(B,)``; out of bounds where it is dropped.
    """

    order: jax.Array | None
    numbers: jax.Array


def places(numbers: jax.Array, repeats: bool, n: int) -> Places:
    """Where the rows ``numbers`` of ``n`` are written.

    Two writes to one row would make the result depend on their order, which XLA leaves open. So of
    equal rows all but the first are sent out of bounds, where a scatter drops them; sorting puts
    equal rows side by side. Where no row can come twice (``repeats=False``), nothing is sorted.
    """
    if not repeats:
        return Places(None, numbers)
    order = jnp.argsort(numbers)
    in_order = numbers[order]
    again = jnp.concatenate([jnp.zeros(1, bool), in_order[1:] == in_order[:-1]])
    beyond = n + jnp.arange(len(numbers), dtype=numbers.dtype)  # all different: unique indices
    return Places(order, jnp.where(again, beyond, in_order))


def gathered(state: State, parts: Sequence[str], numbers: Mapping[str, jax.Array]) -> State:
    """The state of a step on some rows.

    Parameters
    ----------
    state : State
        The whole state; parameters of ``parts``, and what optimiser and average keep for them, have
        a leading axis of all rows.
    parts : sequence of str
        The parts that have rows.
    numbers : dict of arrays
        By part, the rows of the step ``(B,)``.

    Returns
    -------
    State
        The same with ``B`` rows; what is shared is as it was.
    """

    def take(part: str, leaf: Any) -> Any:
        # row numbers are always valid: without this promise XLA clamps every one of them
        return leaf.at[numbers[part]].get(mode="promise_in_bounds")

    def take_rows(tree: Any) -> Any:
        return _map(lambda node: SharedAndRows(node.shared, node.map_rows(take)), tree)

    params = merged(take_rows(split(state.params, parts)), state.params)
    return State(
        params, take_rows(state.optimizer), take_rows(state.average), state.key, state.step
    )


def written(state: State, step: State, parts: Sequence[str], where: Mapping[str, Places]) -> State:
    """The whole state after a step on some rows.

    Parameters
    ----------
    state : State
        The whole state before the step.
    step : State
        The state of the step's rows after it, as :func:`gathered` lays it out.
    parts : sequence of str
        The parts that have rows.
    where : dict of Places
        By part, where its rows are written.

    Returns
    -------
    State
        What is shared is the step's; of the rows, those of the step.
    """

    def put(part: str, old: Any, new: Any) -> Any:
        order, numbers = where[part]
        return old.at[numbers].set(
            new if order is None else new[order], mode="drop", unique_indices=True
        )

    def put_rows(old: Any, new: Any) -> Any:
        return _map(
            lambda a, b: SharedAndRows(b.shared, a.map_rows(put, b)), old, new, otherwise=_last
        )

    params = merged(put_rows(split(state.params, parts), split(step.params, parts)), state.params)
    optimizer = put_rows(state.optimizer, step.optimizer)
    average = put_rows(state.average, step.average)
    return State(params, optimizer, average, step.key, step.step)


def _map(function: Callable[..., Any], *trees: Any, otherwise: Any = lambda leaf: leaf) -> Any:
    """A function of the nodes that have rows; another one of what is shared by all rows."""

    def each(node: Any, *others: Any) -> Any:
        has_rows = isinstance(node, SharedAndRows)
        return function(node, *others) if has_rows else otherwise(node, *others)

    return jax.tree.map(each, *trees, is_leaf=lambda node: isinstance(node, SharedAndRows))


def _last(old: Any, new: Any) -> Any:
    return new
