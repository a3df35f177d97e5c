"""How the means of a mean-field optimum answer to a tilt of the posterior: its covariances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import LinearOperator, cg

from vi.search.hessian_products import Products, hessian_products
from vi.targets.backends.evaluation import evaluation
from vi.targets.base import Target

__all__ = ["Response", "response"]

SOLVED = 1e-8
"""Relative residual at which conjugate gradients end."""


class NoOptimumError(ValueError):
    """The objective curves downwards: the parameters are at no minimum of it."""


@dataclass(frozen=True)
class Response:
    r"""The Hessian of minus the ELBO over fixed draws, at independent normals.

    In units of q, with locations :math:`\mu` first and logarithms :math:`\log \sigma` second, each
    location divided by its standard deviation.

    Parameters
    ----------
    target : Target
        The log density.
    mean, std : numpy.ndarray
        The normals, ``(D,)``.
    noise : numpy.ndarray
        Base draws ``(K, D)``.
    widening : numpy.ndarray
        What the scales' curvature has besides that of log p, ``(D,)``: minus the mean of score
        times deviation.
    products : callable
        Hessians of log p at points, times directions.
    """

    target: Target
    mean: np.ndarray
    std: np.ndarray
    noise: np.ndarray
    widening: np.ndarray
    products: Products

    def times(self, vector: np.ndarray) -> np.ndarray:
        """The product with a vector ``(2 D,)``."""
        locations, scales = np.split(vector, 2)
        bent = self._bent(locations + self.noise * scales)
        along = (self.noise * bent).mean(axis=0) + self.widening * scales
        product: np.ndarray = np.concatenate([bent.mean(axis=0), along])
        return product

    def whole(self) -> np.ndarray:
        """All of it, ``(2 D, 2 D)``, column by column."""
        dim = self.mean.size
        blocks = np.zeros((2, 2, dim, dim))
        for i in range(dim):
            bent = self._bent(np.broadcast_to(np.eye(dim)[i], self.noise.shape))
            by_scale = bent * self.noise[:, i : i + 1]
            for column, part in enumerate((bent, by_scale)):
                blocks[0, column, :, i] = part.mean(axis=0)
                blocks[1, column, :, i] = (self.noise * part).mean(axis=0)
        blocks[1, 1] += np.diag(self.widening)
        matrix = np.block([[*blocks[0]], [*blocks[1]]])
        symmetric: np.ndarray = 0.5 * (matrix + matrix.T)
        return symmetric

    def _bent(self, directions: np.ndarray) -> np.ndarray:
        """Minus the Hessian at each draw times a direction ``(K, D)``, in units of q."""
        points = self.mean + self.std * self.noise
        return -self.std * self.products(points, self.std * directions)

    def covariance(self) -> np.ndarray:
        """The covariance of all coordinates, ``(D, D)``."""
        matrix, dim = self.whole(), self.mean.size
        _check_finite(matrix)
        values, vectors = np.linalg.eigh(matrix)
        if values[0] <= 2 * dim * np.finfo(self.target.dtype).eps * values[-1]:
            raise NoOptimumError(_worst(vectors[:, 0], self.target))
        upper = vectors[:dim] / np.sqrt(values)
        covariance: np.ndarray = np.outer(self.std, self.std) * (upper @ upper.T)
        return covariance

    def rows(self, entries: np.ndarray) -> np.ndarray:
        """The covariances of some coordinates with all, ``(len(entries), D)``: one solve each."""
        dim = self.mean.size
        operator = LinearOperator((2 * dim, 2 * dim), matvec=self._upwards, dtype=np.float64)
        rows = np.empty((len(entries), dim))
        for row, entry in zip(rows, entries, strict=True):
            unit = np.zeros(2 * dim)
            unit[entry] = 1.0
            found, left = cg(operator, unit, rtol=SOLVED, maxiter=4 * dim)
            if left:
                raise ValueError(
                    f"The linear response of {self.target.layout.label(int(entry))} was not found "
                    f"in {4 * dim:,} products: the posterior is too badly conditioned."
                )
            row[:] = self.std[entry] * self.std * found[:dim]
        return rows

    def _upwards(self, vector: np.ndarray) -> np.ndarray:
        """The product with a vector; refuse one along which the objective curves downwards."""
        flat = np.ravel(vector)
        product = self.times(flat)
        _check_finite(product)
        if flat @ product < 0:
            raise NoOptimumError(_worst(flat, self.target))
        return product


def response(target: Target, mean: np.ndarray, std: np.ndarray, noise: np.ndarray) -> Response:
    """The response of independent normals; see :class:`Response`."""
    _, scores = evaluation(target)(mean + std * noise)
    _check_finite(scores)
    widening = -(scores * std * noise).mean(axis=0)
    return Response(target, mean, std, noise, widening, hessian_products(target))


def _check_finite(array: np.ndarray) -> None:
    if not np.all(np.isfinite(array)):
        raise ValueError(
            "The score or the curvature of log p is not finite at some draws of q: there is no "
            "linear response."
        )


def _worst(direction: np.ndarray, target: Target) -> str:
    """What is said of a direction in which there is no minimum."""
    size = np.abs(direction.reshape(2, -1)).max(axis=0)
    where = target.layout.describe(np.argsort(-size)[:3])
    return (
        f"Minus the ELBO has no minimum here, it curves downwards along {where}: the linear "
        "response is that of an optimum. Fit on, or more draws (draws=256)."
    )
