"""The images under which log p stays the same: draws told apart from them, or spread over them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vi.diagnostics.images import Image, images
from vi.foundation.layout import Layout
from vi.foundation.seeds import SYMMETRIES, generator_from
from vi.targets.backends.evaluation import log_prob_in_chunks
from vi.targets.base import Target

__all__ = ["Symmetries", "symmetries_of"]

LOOKED, MOST, LARGEST = 8, 500, 2000
"""Points at which log p is compared, images that are compared, dimensions up to which there are
any."""

ROUNDED, SAME = 100.0, 0.05
"""What a sum over rows may be off, in its own rounding errors, and in nats at the most: what is
farther is another log p, also in float32."""

ROUNDS = 4
"""How often each image is taken with a chance of one half: two exchanges of three entries in a
random order already reach all six orders, with unequal chances."""

PASSES = 100
"""How often all images are tried for one that is nearer: orders of 100 entries by neighbours take
as many."""


@dataclass(frozen=True)
class Symmetries:
    """Maps of the flat vector that leave log p as it is.

    Parameters
    ----------
    layout : Layout
        Where the variables lie.
    images : tuple of Image
        The maps; products of them leave log p as well.
    at, unit : numpy.ndarray
        A point to which others are brought near, and the lengths ``(D,)`` that this is measured in.
    """

    layout: Layout
    images: tuple[Image, ...]
    at: np.ndarray
    unit: np.ndarray

    def told_apart(self, points: np.ndarray) -> np.ndarray:
        """Points ``(..., D)``, each in place of those of its images that is nearer to `at`.

        Chains that have seen different images of one mode agree afterwards, chains in different
        modes do not. A point is moved for as long as one map brings it nearer.
        """
        moved = np.array(points.reshape(-1, points.shape[-1]), np.float64)
        for _ in range(PASSES):
            nearest, best = moved.copy(), self._distance(moved)
            for image in self.images:
                other = image.of(moved, self.layout)
                distance = self._distance(other)
                closer = distance < best * (1 - 1e-9)
                nearest[closer], best[closer] = other[closer], distance[closer]
            if np.array_equal(nearest, moved):
                break
            moved = nearest
        return moved.reshape(points.shape)

    def spread(self, points: np.ndarray, seed: int) -> np.ndarray:
        """Points ``(..., D)``, each at one of its images at random.

        A map that leaves log p and volumes as they are leaves the posterior, so that draws of it
        stay such; and the modes get the equal weights that they have. Of an axis whose neighbours
        alone are exchanged, being long, an entry comes a few places far.
        """
        rng = generator_from(seed, SYMMETRIES)
        moved = np.array(points.reshape(-1, points.shape[-1]))
        for _ in range(ROUNDS):
            for number in rng.permutation(len(self.images)):
                chosen = rng.random(len(moved)) < 0.5
                moved[chosen] = self.images[number].of(moved[chosen], self.layout)
        return moved.reshape(points.shape)

    def _distance(self, points: np.ndarray) -> np.ndarray:
        distance: np.ndarray = np.sum(np.square((points - self.at) / self.unit), axis=1)
        return distance


def symmetries_of(target: Target, points: np.ndarray, log_p: np.ndarray) -> Symmetries | None:
    """What leaves log p as it is at points ``(S, D)``; none where nothing does.

    Log p is compared at a few of the points, to its rounding.
    """
    layout = target.layout
    some = np.linspace(0, len(points) - 1, LOOKED).astype(int)
    few, here = points[some], np.asarray(log_p, np.float64)[some]
    if layout.dim > LARGEST or not np.all(np.isfinite(here)):
        return None
    found = images(layout, few, 0.0, MOST, each=None)
    if not found:
        return None
    moved = np.concatenate([image.of(few, layout) for image in found]).astype(points.dtype)
    there = log_prob_in_chunks(target, moved).reshape(-1, LOOKED)
    rounding = np.minimum(ROUNDED * np.finfo(points.dtype).eps * (1 + np.abs(here)), SAME)
    same = np.all(np.abs(there - here) <= rounding, axis=1)
    kept = tuple(image for image, holds in zip(found, same, strict=True) if holds)
    best = points[int(np.argmax(log_p))]
    spread = points.std(axis=0, dtype=np.float64)
    unit = np.where(spread > 0, spread, 1.0)
    return Symmetries(layout, kept, np.asarray(best, np.float64), unit) if kept else None
