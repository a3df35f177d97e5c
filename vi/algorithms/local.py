"""Local variables: a step on a batch touches the parameters of its rows and the shared ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp

from vi.algorithms.base import ALGORITHMS, Algorithm, Question, Rows, State
from vi.algorithms.gradient import Gradient
from vi.algorithms.row_states import gathered, places, written
from vi.families.composed.encoder import Encoded, Encoder
from vi.families.composed.part import Part
from vi.families.composed.per_row import PerRow
from vi.families.composed.product import Product
from vi.families.family import Params
from vi.optimizers.row_wise import RowWiseAverage, row_wise

__all__ = ["Local", "LocalPart"]


@dataclass(frozen=True)
class LocalPart:
    """How a part of the family that has rows goes with the batches.

    Parameters
    ----------
    name : str
        Name of the part.
    variable : str
        Name of one of its variables, by which the target says which rows a step is made on.
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
    uses_optimizer = True

    @property
    def has_elbo(self) -> bool:  # type: ignore[override]
        """Whether the loss of the steps is minus the ELBO."""
        return self.inner.has_elbo

    @property
    def linear_in_log_p(self) -> bool:  # type: ignore[override]
        """Whether the steps are linear in log p."""
        return self.inner.linear_in_log_p

    @property
    def prior_weight(self) -> float:  # type: ignore[override]
        """What multiplies the log prior in the log density of the steps."""
        return self.inner.prior_weight

    @property
    def loss_name(self) -> str:
        return self.inner.loss_name

    def settings(self) -> dict[str, Any]:
        return self.inner.settings()

    @cached_property
    def row_parts(self) -> tuple[str, ...]:
        """The parts whose parameters have an axis of rows; those of encoders have weights."""
        return tuple(part.name for part in self.parts if part.encoder is None)

    def init(self, params: Params, key: jax.Array) -> State:
        return self.gradient(self.family).init(params, key)

    def report(self, state: State) -> Params:
        return self.gradient(self.family).report(state)

    def ask(self, state: State, rows: Rows) -> Question:
        # Of what is gathered only parameters are read. They are gathered again in `tell`: inside
        # one compiled loop XLA merges the two, and around a host evaluation nothing is carried.
        return self._of_batch(rows).ask(self._gathered(state, rows), {})

    def tell(
        self, state: State, question: Question, log_prob: jax.Array, score: jax.Array, rows: Rows
    ) -> tuple[State, jax.Array]:
        before = self._gathered(state, rows)
        after, loss = self._of_batch(rows).tell(before, question, log_prob, score, {})
        where = {
            part.name: places(_numbers(part, rows), part.repeats, self._rows_in_all[part.name])
            for part in self.parts
            if part.encoder is None
        }
        return written(state, after, self.row_parts, where), loss

    def batch_family(self, inputs: Mapping[str, tuple[Any, ...]]) -> Product:
        """The family of a batch: as many rows as it has, each weighted by N / B.

        Parameters
        ----------
        inputs : dict of tuples of arrays
            By part with an encoder, the data of the batch ``(B, ...)`` that it reads.
        """
        by_name = {part.name: part for part in self.parts}
        return Product(
            tuple(
                _batch_part(part, by_name[part.name], inputs) if part.name in by_name else part
                for part in self._shorter_parts
            )
        )

    def gradient(self, family: Product) -> Gradient:
        """Steps of a family, with optimiser and average kept row by row."""
        averaging = self.inner.averaging
        return replace(
            self.inner,
            family=family,
            optimizer=row_wise(self.inner.optimizer, self.row_parts),
            averaging=None if averaging is None else RowWiseAverage(averaging, self.row_parts),
        )

    def _of_batch(self, rows: Rows) -> Gradient:
        return self.gradient(
            self.batch_family({part.name: rows[part.variable].inputs for part in self.parts})
        )

    def _gathered(self, state: State, rows: Rows) -> State:
        numbers = {part.name: _numbers(part, rows) for part in self.parts}
        return gathered(state, self.row_parts, numbers)

    @cached_property
    def _rows_in_all(self) -> dict[str, int]:
        return {part.name: part.rows for part in self.family.parts if part.rows is not None}

    @cached_property
    def _shorter_parts(self) -> tuple[Part, ...]:
        """The family's parts at their places in the flat vector of a batch.

        A variable of a local part has ``size`` rows there, so that all that comes after it moves
        towards the beginning.
        """
        sizes = {part.name: part.size for part in self.parts}
        missing = []  # of each local variable: where it starts, and the entries a batch lacks
        for part in self.family.parts:
            if part.name in sizes and part.rows is not None:
                rows_away = part.rows - sizes[part.name]
                missing += [
                    (start, (stop - start) // part.rows * rows_away) for start, stop in part.ranges
                ]

        def place(position: int) -> int:
            return position - sum(length for start, length in missing if start < position)

        return tuple(
            replace(part, ranges=tuple((place(start), place(stop)) for start, stop in part.ranges))
            for part in self.family.parts
        )


def _numbers(part: LocalPart, rows: Rows) -> jax.Array:
    """The rows of a step; 32-bit indices are what XLA gathers and scatters with."""
    return jnp.asarray(rows[part.variable].numbers, jnp.int32)


def _batch_part(part: Part, local: LocalPart, inputs: Mapping[str, tuple[Any, ...]]) -> Part:
    """A local part, at its place in a batch's flat vector, with the rows of the batch."""
    assert isinstance(part.family, PerRow)
    row_family, weight = part.family.family, part.family.rows / local.size
    if local.encoder is None:
        return replace(part, family=PerRow(row_family, local.size), weight=weight)
    row_dim = sum(stop - start for start, stop in part.ranges) // local.size
    encoded = Encoded(row_family, local.encoder, inputs[part.name], row_dim)
    return replace(part, family=encoded, weight=weight)
