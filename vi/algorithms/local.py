"""Local variables: a step that sees a batch of rows touches the parameters of these rows and the
shared ones alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from vi.algorithms.base import ALGORITHMS, Algorithm, Asked, State
from vi.algorithms.gradient import Gradient
from vi.families.composed.encoder import Encoded, Encoder
from vi.families.composed.per_row import PerRow
from vi.families.composed.product import Part, Product
from vi.families.family import Params
from vi.optimizers.row_wise import Apart, RowWiseAverage, apart, joined, row_wise

__all__ = ["Local", "LocalPart"]


@dataclass(frozen=True)
class LocalPart:
    """How a part of the family that has rows goes with the batches.

    Parameters
    ----------
    name : str
        Name of the part.
    variable : str
        Name of one of its variables, by which the target says which rows a step sees.
    size : int
        Rows of a batch.
    repeats : bool
        Whether a row can be twice in a batch.
    encoder : Encoder, optional
        What computes the rows' parameters from data; without one every row has parameters of its
        own.
    """

    name: str
    variable: str
    size: int
    repeats: bool = True
    encoder: Encoder | None = None


@ALGORITHMS.register
@dataclass(frozen=True)
class Local(Algorithm):
    r"""Gradient steps of a family of all rows, each on the rows of a batch.

    With global variables :math:`w` and local ones :math:`z_i`, a batch :math:`S` of :math:`B` of
    the :math:`N` rows estimates the ELBO without bias by

    .. math::

        E_q\Bigl[\log p(w) + \tfrac NB \sum_{i \in S} \log p(x_i, z_i \mid w)\Bigr] + H[q_w]
        + \tfrac NB \sum_{i \in S} H[q_i].

    A step gathers the parameters of the rows :math:`S` with the state of their optimiser and of
    their average, is an ordinary step on them and the shared ones, and writes them back. A row that
    is twice in a batch keeps one of its two steps.

    Parameters
    ----------
    family : Product
        The family of all rows, which is reported.
    inner : Gradient
        How a step is made.
    parts : tuple of LocalPart
        The parts that have rows.
    """

    family: Product
    inner: Gradient
    parts: tuple[LocalPart, ...]
    short_name = "local"

    @property
    def loss_name(self) -> str:  # type: ignore[override]
        """What the loss of a step is."""
        return self.inner.loss_name

    @property
    def gathered(self) -> tuple[str, ...]:
        """The parts whose parameters have an axis of rows."""
        return tuple(part.name for part in self.parts if part.encoder is None)

    def init(self, params: Params, key: jax.Array) -> State:
        return self._gradient(self.family).init(params, key)

    def report(self, state: State) -> Params:
        return self._gradient(self.family).report(state)

    def ask(self, state: State) -> Asked:
        raise TypeError("Steps with local variables are made on rows: focus() first.")

    def tell(
        self, state: State, asked: Asked, log_prob: jax.Array, score: jax.Array
    ) -> tuple[State, jax.Array]:
        raise TypeError("Steps with local variables are made on rows: focus() first.")

    def focus(
        self, state: State, seen: Mapping[str, Any]
    ) -> tuple[Algorithm, State, Callable[[State], State]]:
        rows = {part.name: jnp.asarray(seen[part.variable].rows, jnp.int32) for part in self.parts}
        inputs = {part.name: seen[part.variable].inputs for part in self.parts}
        places = {
            part.name: _places(rows[part.name], part.repeats, self._rows(part))
            for part in self.parts
        }

        def take(name: str, leaf: Any) -> Any:
            return leaf.at[rows[name]].get(mode="promise_in_bounds")

        def put(name: str, old: Any, new: Any) -> Any:
            order, place = places[name]
            return old.at[place].set(
                new if order is None else new[order], mode="drop", unique_indices=True
            )

        def put_back(new: State) -> State:
            split = apart(state.params, self.gathered)
            fresh = apart(new.params, self.gathered)
            params = joined(Apart(fresh.shared, split.map_rows(put, fresh)), state.params)
            optimizer = _written(put, state.optimizer, new.optimizer)
            return State(
                params, optimizer, _written(put, state.average, new.average), new.key, new.step
            )

        split = apart(state.params, self.gathered)
        params = joined(Apart(split.shared, split.map_rows(take)), state.params)
        part = State(
            params, _read(take, state.optimizer), _read(take, state.average), state.key, state.step
        )
        return self._gradient(self.batch_family(inputs)), part, put_back

    def batch_family(self, inputs: Mapping[str, tuple[Any, ...]]) -> Product:
        """The family of a batch: as many rows as it has, weighted, with encoders bound to their
        data.
        """
        local = {part.name: part for part in self.parts}
        lost = [(start, _dropped(start, stop, p.rows, local[p.name].size)) for p in self.family.parts if p.name in local
                for start, stop in p.ranges]  # fmt: skip

        def place(position: int) -> int:
            return position - sum(length for start, length in lost if start < position)

        made = []
        for part in self.family.parts:
            moved = tuple((place(start), place(stop)) for start, stop in part.ranges)
            if part.name in local:
                made.append(_of_batch(replace(part, ranges=moved), local[part.name], inputs))
            else:
                made.append(replace(part, ranges=moved))
        return Product(tuple(made))

    def _gradient(self, family: Product) -> Gradient:
        averaging = self.inner.averaging
        return replace(
            self.inner,
            family=family,
            optimizer=row_wise(self.inner.optimizer, self.gathered),
            averaging=None if averaging is None else RowWiseAverage(averaging, self.gathered),
        )

    def _rows(self, part: LocalPart) -> int:
        rows = next(own.rows for own in self.family.parts if own.name == part.name)
        assert rows is not None
        return rows


def _of_batch(part: Part, local: LocalPart, inputs: Mapping[str, tuple[Any, ...]]) -> Part:
    """The part for the rows of a batch."""
    assert isinstance(part.family, PerRow)
    one = part.family.family
    weight = part.family.rows / local.size
    if local.encoder is None:
        return replace(part, family=PerRow(one, local.size), weight=weight)
    dim = sum(stop - start for start, stop in part.ranges) // local.size
    return replace(part, family=Encoded(one, local.encoder, inputs[part.name], dim), weight=weight)


def _dropped(start: int, stop: int, rows: int | None, size: int) -> int:
    """Entries of a variable that are not in a batch."""
    assert rows is not None
    return (stop - start) // rows * (rows - size)


def _places(rows: jax.Array, repeats: bool, n: int) -> tuple[jax.Array | None, jax.Array]:
    """Where rows are written, in which order; of two equal rows the second is sent out of bounds
    and dropped.
    """
    if not repeats:
        return None, rows
    order = jnp.argsort(rows)
    placed = rows[order]
    again = jnp.concatenate([jnp.zeros(1, bool), placed[1:] == placed[:-1]])
    return order, jnp.where(again, n + jnp.arange(len(rows), dtype=rows.dtype), placed)


def _is_apart(node: Any) -> bool:
    return isinstance(node, Apart)


def _read(take: Callable[..., Any], state: Any) -> Any:
    """A state with the leaves of the rows at hand."""
    return jax.tree.map(
        lambda node: Apart(node.shared, node.map_rows(take)) if _is_apart(node) else node,
        state,
        is_leaf=_is_apart,
    )


def _written(put: Callable[..., Any], old: Any, new: Any) -> Any:
    """The old state with what the step changed: all that is shared, and the leaves of the rows
    at hand.
    """
    return jax.tree.map(
        lambda a, b: Apart(b.shared, a.map_rows(put, b)) if _is_apart(a) else b,
        old,
        new,
        is_leaf=_is_apart,
    )
