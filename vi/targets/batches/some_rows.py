"""A log density of all rows as some of them tell it: fixed ones, and the slope of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vi.targets.backends.evaluation import evaluation
from vi.targets.base import Batch, Inputs, StepInputs, Target

__all__ = ["SomeRows", "chosen_rows"]


class SomeRows(Target):
    r"""Log p through fixed rows, with the slope of all rows at a place.

    With :math:`\log p_S` the log density whose terms of rows are those of the rows :math:`S`, times
    N / |S|,

    .. math:: \log p_S(z) + c + (z - a)^\top t.

    What some rows know well is the curvature, whose relative error is one over the square root of
    their number; where the mass lies, in standard deviations of all rows, they do not: they are off
    by :math:`\sqrt{N / |S|}` of these. The tilt t, what lacks in the slope at a, mends that.

    Parameters
    ----------
    target : Target
        The log density of steps that see batches.
    rows : sequence of numpy.ndarray
        Row numbers, for each minibatch.
    tilt, place : numpy.ndarray, optional
        t and a, ``(D,)``; without them there is no tilt.
    lift : float
        c, what lacks in the value there.

    References
    ----------
    Jordan, Lee and Yang (2019). Communication-efficient distributed statistical inference. Journal
    of the American Statistical Association 114, eq. 9.
    """

    def __init__(
        self,
        target: Target,
        rows: Sequence[np.ndarray],
        tilt: np.ndarray | None = None,
        place: np.ndarray | None = None,
        lift: float = 0.0,
    ) -> None:
        self._target, self._rows = target, tuple(rows)
        self.layout, self.dtype, self.names = target.layout, target.dtype, target.names
        self.backend, self.traceable = target.backend, target.traceable
        none = np.zeros(target.dim)
        self._tilt, self._place = none if tilt is None else tilt, none if place is None else place
        self._lift = lift
        self.share = min(
            (len(numbers) / n for numbers, n in zip(rows, target.batch().counts, strict=True)),
            default=1.0,
        )

    def as_all(self, rows: Target, points: np.ndarray, mean: np.ndarray) -> SomeRows:
        """The same rows with the mean slope of all rows at draws of q, that of the ELBO.

        Draws are taken with those opposite: the mean slope of a quadratic has then no noise.

        Parameters
        ----------
        rows : Target
            The log density of all rows.
        points, mean : numpy.ndarray
            Draws of q ``(K, D)``, and its mean.
        """
        points = np.concatenate([points, (2 * mean - points).astype(points.dtype)])
        bare = self.tilted(np.zeros(self.dim), np.zeros(self.dim), 0.0)
        (values, scores), (few, few_scores) = (evaluation(t)(points) for t in (rows, bare))
        place = points.mean(axis=0, dtype=np.float64)
        tilt = np.mean(scores - few_scores, axis=0)
        return self.tilted(tilt, place, float(np.mean(values - few)))

    def tilted(self, tilt: np.ndarray, place: np.ndarray, lift: float) -> SomeRows:
        """The same rows with another tilt, and with what was compiled: the tilt is data to that."""
        other = SomeRows(self._target, self._rows, tilt, place, lift)
        other.__dict__["_kept"] = self.__dict__.setdefault("_kept", {})
        return other

    @property
    def count(self) -> int:
        """How many rows there are, of the minibatch with the fewest."""
        return min(len(numbers) for numbers in self._rows)

    @property
    def of(self) -> tuple[int, ...]:
        """How many rows there are in all, of each minibatch."""
        return self._target.batch().counts

    @property
    def tilt(self) -> np.ndarray:
        """t, ``(D,)``."""
        return self._tilt

    def watch(self) -> Any:
        return self._target.watch()

    def stale(self) -> tuple[str, ...]:
        return self._target.stale()

    def batch(self) -> Inputs:
        floats = (np.asarray(a, self.dtype) for a in (self._tilt, self._place, self._lift))
        return Inputs((*self._target.batch().arrays, *self._rows, *floats))

    def value_and_score(self, points: Any, inputs: Batch) -> tuple[Any, Any]:
        rows, (tilt, place, lift) = self._parts(inputs)
        values, scores = self._target.value_and_score(points, rows)
        return values + (points - place) @ tilt + lift, scores + tilt

    def log_prob(self, points: np.ndarray, inputs: Batch | None = None) -> np.ndarray:
        rows, (tilt, place, lift) = self._parts(self.batch() if inputs is None else inputs)
        points = np.asarray(points, self.dtype)
        values: np.ndarray = self._target.log_prob(points, rows) + (points - place) @ tilt + lift
        return values

    def log_density(self, z: Any, inputs: Batch) -> Any:
        """Log p at one point within compiled code, of a target that traces."""
        rows, (tilt, place, lift) = self._parts(inputs)
        return self._target.log_density(z, rows) + (z - place) @ tilt + lift  # type: ignore[attr-defined]

    def constrain(
        self, points: np.ndarray, names: tuple[str, ...] | None = None
    ) -> dict[str, np.ndarray]:
        return self._target.constrain(points, names)

    def _parts(self, inputs: Batch) -> tuple[StepInputs, tuple[Any, ...]]:
        """What the log density of a step reads, and tilt, place and lift."""
        arrays, last = inputs.arrays[:-3], inputs.arrays[-3:]
        first = len(arrays) - len(self._rows)
        return StepInputs(arrays[:first], arrays[first:]), last


def chosen_rows(
    counts: Sequence[int], wanted: int, generator: np.random.Generator
) -> list[np.ndarray]:
    """So many of the rows of each minibatch, at random and in their order."""
    return [np.sort(generator.choice(n, wanted, replace=False, shuffle=False)) for n in counts]
