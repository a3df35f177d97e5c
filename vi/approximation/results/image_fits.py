"""The images of a fit, entries exchanged or signs changed, to be compared with it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from vi.diagnostics.images import Image, images
from vi.diagnostics.modes import APART, Found, has_valley
from vi.foundation.layout import Layout
from vi.targets.backends.evaluation import log_prob_in_chunks
from vi.targets.base import Target

__all__ = ["FEW", "MOST", "Candidates", "candidates_of", "image_fits"]

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

PATH = 17
"""Points on the line from the mean of q to that of an image: a valley between two places that are
three sds apart and more is as wide as some of them."""


class Candidates(NamedTuple):
    """Images that q may have, and a few points of each, ``(images, FEW, D)``."""

    images: list[Image]
    points: np.ndarray


def candidates_of(layout: Layout, points: np.ndarray) -> Candidates:
    """Images by which draws of q ``(S, D)`` come to another place."""
    found = []
    if layout.dim <= LARGEST and len(points) >= FEW:
        found = images(layout, points, APART, min(MOST, len(points) // FEW))
    few = [image.of(points[:FEW], layout) for image in found]
    return Candidates(found, np.reshape(few, (len(few), FEW, layout.dim)).astype(points.dtype))


def image_fits(
    target: Target,
    points: np.ndarray,
    log_p: np.ndarray,
    log_q: np.ndarray,
    candidates: Candidates | None = None,
    values: np.ndarray | None = None,
) -> list[Found]:
    """What q would be at its images, where log p is about as high: their ELBOs and moments.

    The entropy of an image is that of q, as it keeps volumes. No gradient is taken. An image to
    which log p leads without a valley is left out: independent normals across a ridge have images
    along it, where log p is as high (two predictors that go together have coefficients that may
    be exchanged), and which are no place of their own.

    Parameters
    ----------
    target : Target
        The log density.
    points : numpy.ndarray
        Draws of q at which log p is finite, ``(S, D)``.
    log_p, log_q : numpy.ndarray
        Densities at them, ``(S,)``.
    candidates : Candidates, optional
        Those of the points, where they have been looked for.
    values : numpy.ndarray, optional
        Log p at the points of the candidates, ``(images, FEW)``.
    """
    found = candidates_of(target.layout, points) if candidates is None else candidates
    if not found.images:
        return []
    if values is None:
        values = log_prob_in_chunks(target, found.points.reshape(-1, target.dim)).reshape(-1, FEW)
    with np.errstate(invalid="ignore"):
        gains = np.median(values - log_p[:FEW], axis=1)
    best = np.argsort(-np.nan_to_num(gains, nan=-np.inf), kind="stable")[:CHOSEN]
    chosen = [found.images[number] for number in best[gains[best] > -BELOW]]
    moved = [image.of(points, target.layout) for image in chosen]
    if not chosen:
        return []
    fresh = [m[:FRESH] for m in moved]
    mean, steps = points.mean(axis=0, dtype=np.float64), np.linspace(0, 1, PATH)[:, None]
    paths = [mean + steps * (image.of(mean[None], target.layout) - mean) for image in chosen]
    there = log_prob_in_chunks(target, np.concatenate([*fresh, *paths]).astype(points.dtype))
    cuts = np.cumsum([len(part) for part in [*fresh, *paths]])[:-1]
    values_of = np.split(np.asarray(there, np.float64), cuts)
    return [
        _found(image, m, v - log_q[:FRESH])
        for image, m, v, along in zip(
            chosen, moved, values_of[: len(chosen)], values_of[len(chosen) :], strict=True
        )
        if np.all(np.isfinite(v)) and has_valley(along)
    ]


def _found(image: Image, moved: np.ndarray, ratios: np.ndarray) -> Found:
    """An image as another fit."""
    return Found(
        f"q with {image.name}",
        float(ratios.mean()),
        float(ratios.std() / math.sqrt(len(ratios))),
        moved.mean(axis=0, dtype=np.float64),
        moved.std(axis=0, dtype=np.float64),
    )
