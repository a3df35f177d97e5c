"""The direction along which a log density bends down least: where that is up, there is no mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from vi.foundation.compiling import jitted
from vi.foundation.layout import Layout
from vi.foundation.precision import precision
from vi.search.curvature import curvature
from vi.targets.backends.traceable import traceable_density
from vi.targets.base import Target

__all__ = ["LARGEST_MATRIX", "Bend", "least_curvature"]

LARGEST_MATRIX = 500
"""Dimensions up to which all of the curvature is looked at: it costs as many gradients."""

ITERATIONS = 50
"""Products with the Hessian that look for a negative direction in larger dimensions."""

ROUNDS, PROBES = 5, 4
"""Rounds of scaling, each of which halves what is left of the units on a log scale, and the random
vectors by which a row's length is estimated in each."""

type Product = Callable[[np.ndarray], np.ndarray]


class Bend(NamedTuple):
    """The least curvature of minus log p, in units that the curvature itself sets.

    Parameters
    ----------
    value : float
        The least eigenvalue of the scaled curvature, or a bound from above; negative at a saddle.
    rising : numpy.ndarray
        Directions of negative curvature, the most negative first, in units of the point, ``(k,
        D)``: one step along each raises log p by 0.5, as far as the curvature holds.
    scale : numpy.ndarray
        What a coordinate is multiplied by to be in those units, ``(D,)``.
    matrix : numpy.ndarray or None
        The curvature ``(D, D)``, where all of it was computed.
    level : numpy.ndarray
        Directions whose curvature is rounding, of length 1 in those units, ``(k, D)``.
    """

    value: float
    rising: np.ndarray
    scale: np.ndarray
    matrix: np.ndarray | None
    level: np.ndarray

    def names(self, layout: Layout, direction: np.ndarray) -> str:
        """The variables that move most along a direction, in the units of the curvature."""
        weights = np.abs(direction * self.scale)
        largest = [i for i in np.argsort(-weights)[:3] if weights[i] > 0.1 * weights.max()]
        return layout.describe(np.array(largest))


def least_curvature(target: Target, point: np.ndarray, rounding: float) -> Bend | None:
    r"""The least curvature of minus log p at a point; None where it is not finite.

    The matrix is scaled to a unit diagonal first, which takes the units out and changes no
    eigenvalue's sign. In more than :data:`LARGEST_MATRIX` dimensions it is known by its products
    with vectors: rows are scaled to one length (Ruiz 2001), and the least Ritz value of some
    Lanczos iterations bounds the least eigenvalue from above, so that a negative one is proof.

    Parameters
    ----------
    target : Target
        The log density.
    point : numpy.ndarray
        ``(D,)``.
    rounding : float
        What counts as no curvature, relative to the largest.
    """
    if target.dim > LARGEST_MATRIX:
        return _by_products(target, point, rounding)
    matrix = curvature(target, point).astype(np.float64)
    if not np.all(np.isfinite(matrix)):
        return None
    diagonal = np.sqrt(np.abs(np.diag(matrix)))
    scale = np.where(diagonal > 0, diagonal, 1.0)
    values, vectors = np.linalg.eigh(matrix / np.outer(scale, scale))
    return _bend(values, vectors.T, scale, matrix, rounding)


def _by_products(target: Target, point: np.ndarray, rounding: float) -> Bend | None:
    product = _hessian_product(target, point)
    generator = np.random.default_rng(0)
    scale = np.ones(target.dim)
    for _ in range(ROUNDS):
        probes = generator.choice([-1.0, 1.0], (PROBES, target.dim))
        found = np.stack([product(probe / scale) / scale for probe in probes])
        if not np.all(np.isfinite(found)):
            return None
        length = np.sqrt(np.mean(found**2, axis=0))
        scale *= np.sqrt(np.where(length > 0, length, 1.0))
    first = generator.standard_normal(target.dim)
    values, vectors = _ritz(lambda v: product(v / scale) / scale, first)
    return _bend(values, vectors, scale, None, rounding) if np.all(np.isfinite(values)) else None


def _bend(
    values: np.ndarray,
    vectors: np.ndarray,
    scale: np.ndarray,
    matrix: np.ndarray | None,
    rounding: float,
) -> Bend:
    """What eigenvalues in rising order ``(k,)`` and vectors ``(k, D)`` of scaled ones say."""
    down = values < -rounding
    rising = np.array([_signed(vector) for vector in vectors[down]]).reshape(-1, len(scale))
    rising /= np.sqrt(-values[down])[:, None] * scale
    return Bend(
        float(values[0]), rising, scale, matrix, vectors[np.abs(values) <= rounding] / scale
    )


def _ritz(product: Product, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ritz values, rising, and vectors of a symmetric matrix by Lanczos, fully orthogonalised."""
    basis = [first / np.linalg.norm(first)]
    images: list[np.ndarray] = []
    for _ in range(min(ITERATIONS, first.size)):
        image = product(basis[-1])
        if not np.all(np.isfinite(image)):
            return np.array([np.nan]), first[None]
        images.append(image)
        known = np.stack(basis)
        rest = image - known.T @ (known @ image)
        rest -= known.T @ (known @ rest)  # once more: the first time leaves rounding
        length = float(np.linalg.norm(rest))
        if length <= 1e-10 * float(np.linalg.norm(image)):
            break
        basis.append(rest / length)
    known = np.stack(basis[: len(images)])
    small = known @ np.stack(images).T
    values, vectors = np.linalg.eigh(0.5 * (small + small.T))
    return values, vectors.T @ known


def _hessian_product(target: Target, point: np.ndarray) -> Product:
    """Minus the Hessian at a point times a vector, in double precision outside."""
    point = np.asarray(point, target.dtype)
    batch = target.batch()

    def exact(vector: np.ndarray) -> np.ndarray:
        function = target.compiled("hessian product", lambda: _compiled(target))
        with precision(target.dtype):
            found = function(point, np.asarray(vector, target.dtype), batch)
        return np.asarray(found, np.float64)

    def by_differences(vector: np.ndarray) -> np.ndarray:
        size = float(np.max(np.abs(vector) / np.maximum(np.abs(point), 1.0)))
        step = float(np.finfo(target.dtype).eps) ** (1 / 3) / max(size, np.finfo(float).tiny)
        pair = (point + step * np.stack([-vector, vector])).astype(target.dtype)
        with precision(target.dtype):
            _, scores = target.value_and_score(pair, batch)
        below, above = np.asarray(scores, np.float64)
        difference: np.ndarray = (below - above) / (2 * step)
        return difference

    if not target.traceable:
        return by_differences
    try:
        exact(np.zeros(target.dim))
    except (NotImplementedError, TypeError, ValueError):
        return by_differences  # an operation without forward mode (a custom_vjp, say)
    return exact


def _compiled(target: Target) -> Callable[..., Any]:
    score: Any = jax.grad(traceable_density(target))
    return jitted(
        lambda point, vector, batch: -jax.jvp(lambda z: score(z, batch), (point,), (vector,))[1]
    )


def _signed(direction: np.ndarray) -> np.ndarray:
    """The direction or its opposite: the largest entry is positive, on every machine."""
    sign = np.sign(direction[np.argmax(np.abs(direction))])
    signed: np.ndarray = direction * (sign or 1.0)
    return signed
