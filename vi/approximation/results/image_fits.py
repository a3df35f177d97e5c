"""The images of a fit, entries exchanged or signs changed, to be compared with it."""

from __future__ import annotations

import math

import numpy as np

from vi.diagnostics.images import images
from vi.diagnostics.modes import APART, Found
from vi.targets.base import Target

__all__ = ["image_fits"]

FEW, FRESH = 5, 256
"""Draws by which images are chosen, and those behind the ELBOs of the chosen."""

MOST = 300
"""Images that are looked at."""

LARGEST = 2000
"""Dimensions up to which there are images."""

BELOW = 20.0
"""Nats by which log p may be lower at an image: what is lower still has no mass to speak of, and
weights that are exchanged between entries of a hierarchy are thousands lower."""

CHOSEN = 4
"""Images whose ELBO is looked at."""


def image_fits(
    target: Target, points: np.ndarray, log_p: np.ndarray, log_q: np.ndarray
) -> list[Found]:
    """What q would be at its images, where log p is about as high: their ELBOs and moments.

    The entropy of an image is that of q, as it keeps volumes. No gradient is taken.

    Parameters
    ----------
    target : Target
        The log density.
    points : numpy.ndarray
        Draws of q at which log p is finite, ``(S, D)``.
    log_p, log_q : numpy.ndarray
        Densities at them, ``(S,)``.
    """
    if target.dim > LARGEST or len(points) < FEW:
        return []
    most = min(MOST, len(points) // FEW)
    candidates = images(target.layout, points, APART, most)
    if not candidates:
        return []
    few = np.concatenate([image.of(points[:FEW], target.layout) for image in candidates])
    # as many as are looked at below, or a multiple of that: code is compiled for a number of points
    filled = np.resize(few, (-(-len(few) // FRESH) * FRESH, target.dim))
    values = target.log_prob(filled.astype(points.dtype))[: len(few)]
    with np.errstate(invalid="ignore"):
        gains = np.median(values.reshape(-1, FEW) - log_p[:FEW], axis=1)
    best = np.argsort(-np.nan_to_num(gains, nan=-np.inf), kind="stable")[:CHOSEN]
    found = []
    for number in best[gains[best] > -BELOW]:
        image = candidates[number]
        moved = image.of(points, target.layout)
        values = target.log_prob(moved[:FRESH].astype(points.dtype))
        if not np.all(np.isfinite(values)):
            continue
        ratios = np.asarray(values, np.float64) - log_q[:FRESH]
        found.append(
            Found(
                f"q with {image.name}",
                float(ratios.mean()),
                float(ratios.std() / math.sqrt(len(ratios))),
                moved.mean(axis=0, dtype=np.float64),
                moved.std(axis=0, dtype=np.float64),
            )
        )
    return found
