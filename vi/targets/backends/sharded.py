"""A target that several devices share: rows divided, the rest on each of them, sums by XLA."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from vi.algorithms.base import RowsOfStep
from vi.foundation.devices import Devices
from vi.foundation.precision import precision
from vi.targets.backends.jax_target import JaxTarget, Placed, Short
from vi.targets.base import Batch, Inputs, StepInputs, Target
from vi.targets.model.data_watch import DataWatch

__all__ = ["DIVIDED_BYTES", "ShardedTarget", "shared_by"]

logger = logging.getLogger("vi")

DIVIDED_BYTES = 8192
"""Data of this size and more are divided along their first axis, if a fit reads all of them.

What is smaller (a scale, a table of groups) is read whole by every device.
"""


class ShardedTarget(Target):
    """A JAX target on several devices.

    Shardings say where arrays lie, never what is computed: XLA's partitioner inserts the exchange,
    so that values are those of one device but for the order of sums.

    Parameters
    ----------
    target : JaxTarget
        The target of one device.
    devices : Devices
        The devices.

    Raises
    ------
    ValueError
        If the devices cannot divide a batch.
    """

    backend = "jax"
    traceable = True

    def __init__(self, target: JaxTarget, devices: Devices) -> None:
        for rows in target.graph.rows:
            _check_size(rows.size, devices.count)
        if target.graph.streamed is not None:
            _check_size(target.graph.streamed.size, devices.count)
        self.graph, self.layout = target.graph, target.layout
        self.names, self.dtype = target.names, target.dtype
        self.has_local = target.has_local
        self.replicated = devices.replicated
        self._target = target
        self._devices = devices
        self._placed: Placed = {}
        target.placed.clear()  # what its check needed on one device would stay beside the others

    def watch(self) -> DataWatch:
        return self.graph.watch()

    def stale(self) -> tuple[str, ...]:
        return self.graph.stale()

    def batch(self) -> Inputs:
        return self._target.batch_on(
            lambda array: self._devices.put(array, self._sharding(array)), self._placed
        )

    def place(self, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
        with precision(self.dtype):
            return {
                name: self._devices.put(self._target.cast(array), self._devices.rows(axis=1))
                for name, array in arrays.items()
            }

    def at_step(self, inputs: Inputs, words: Any, step: Any) -> StepInputs:
        alone = self._target.at_step(inputs, words, step)
        return replace(
            alone,
            rows=tuple(self._divided(numbers) for numbers in alone.rows),
            streamed=jax.lax.with_sharding_constraint(alone.streamed, self._devices.rows()),
        )

    def rows_of_step(self, inputs: StepInputs) -> dict[str, RowsOfStep]:
        return self._target.rows_of_step(inputs)

    def value_and_score(self, points: Any, inputs: Batch) -> tuple[Any, Any]:
        points = jax.lax.with_sharding_constraint(points, self.replicated)
        value, score = self._target.value_and_score(points, inputs)
        value = jax.lax.with_sharding_constraint(value, self.replicated)
        return value, jax.lax.with_sharding_constraint(score, self.replicated)

    def log_prob(self, points: np.ndarray, inputs: Batch | None = None) -> np.ndarray:
        return self._target.log_prob(points, inputs)

    def constrain(
        self, points: np.ndarray, names: tuple[str, ...] | None = None
    ) -> dict[str, np.ndarray]:
        return self._target.constrain(points, names)

    def _divided(self, numbers: Any) -> Any:
        """Row numbers ``(B,)``, computed on every device, then divided.

        Divided from the start, the loop that shuffles would wait for all devices at every turn.
        """
        if isinstance(numbers, Short):
            return replace(numbers, rows=self._divided(numbers.rows))
        whole = jax.lax.with_sharding_constraint(numbers, self.replicated)
        return jax.lax.with_sharding_constraint(whole, self._devices.rows())

    def _sharding(self, array: np.ndarray) -> Any:
        """Where data lie: divided, or on every device beside batches and where they are small."""
        if self.graph.per_step or array.ndim == 0 or array.nbytes < DIVIDED_BYTES:
            return self.replicated
        if len(array) % self._devices.count:
            logger.warning(
                "Data of %s rows cannot be divided evenly over %s devices: each of them works on "
                "all rows. Leave out %s rows, or take minibatches.",
                f"{len(array):,}",
                self._devices.count,
                len(array) % self._devices.count,
            )
            return self.replicated
        return self._devices.rows()


def shared_by(target: Target, devices: Devices) -> ShardedTarget:
    """The target on several devices, kept with the target.

    Raises
    ------
    ValueError
        If JAX does not evaluate the target.
    """
    if not target.traceable:
        why = getattr(target, "why", "")
        raise ValueError(
            "Devices can share what JAX evaluates, and it cannot evaluate this model"
            f"{why and f': {why}'}. Leave mesh= and devices= out."
        )
    assert isinstance(target, JaxTarget)
    alone = target
    return target.compiled(("shared by", devices), lambda: ShardedTarget(alone, devices))


def _check_size(size: int, count: int) -> None:
    if size % count:
        below, above = size // count * count, -(-size // count) * count
        fitting = f"{below} or {above}" if below else f"{above}"
        raise ValueError(
            f"batch_size={size} cannot be divided evenly over {count} devices: use a multiple of "
            f"{count} ({fitting})."
        )
