"""Laplace's approximation of a structured density: of the globals once the others are taken out."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from vi.families import Structured
from vi.search.inner_summit import Inner, NoSummitError, Summit
from vi.search.sparse_factor import covariance_weights
from vi.targets.base import Target

__all__ = ["MarginalLaplace", "NoSummitError", "marginal_laplace"]

OUTER_STEPS = 100

STEP = 1e-3
"""Of differences over the globals, in their units, then in the sds that these imply."""

FELT, ROUNDED, LARGEST = 1e-3, 100.0, 13
"""Nats by which a marginal density bends that is curved at all, so many times its rounding at the
least, and powers of ten of steps that are tried for it: from a thousandth to 1e9."""


class MarginalLaplace(NamedTuple):
    """What was found.

    Parameters
    ----------
    params : dict of arrays
        Parameters of the family: moments of the globals, and how all others follow them.
    log_evidence : float
        Laplace's approximation of the log evidence.
    path : numpy.ndarray
        The marginal log density of the globals along the search.
    products : int
        Gradients and products with the Hessian.
    """

    params: dict[str, np.ndarray]
    log_evidence: float
    path: np.ndarray
    products: int


def marginal_laplace(target: Target, family: Structured, start: np.ndarray) -> MarginalLaplace:
    r"""Laplace's approximation, first of all others given the globals, then of the globals.

    .. math:: \log \hat p(g) = \log p(g, \hat z(g)) - \tfrac12 \log |Q(g)| + \text{const},
        \qquad Q(g) = -\nabla^2_z \log p(g, \hat z(g))

    The maximum over the others is found by Newton's method, the Hessian in its pattern by products
    with sums of its columns; that over the globals by BFGS. How mean and shape of the others follow
    the globals is read off one sd of theirs to both sides.

    Parameters
    ----------
    target : Target
        The log density.
    family : Structured
        A family with its structure.
    start : numpy.ndarray
        ``(D,)``.

    Raises
    ------
    NoSummitError
        If there is no maximum that was found.

    References
    ----------
    Kristensen, Nielsen, Berg, Skaug and Bell (2016). TMB: automatic differentiation and Laplace
    approximation. Journal of Statistical Software 70.
    """
    inner = Inner(target, family)
    g = len(inner.globals)
    first = inner.summit(start[inner.globals], start[inner.ties.order])
    held, path = [first.others], [first.value]

    def marginal(at: np.ndarray) -> float:
        try:
            return inner.summit(at, held[0]).value
        except NoSummitError:
            return -np.inf

    centre = start[inner.globals]
    units = _units(marginal, centre, float(np.finfo(target.dtype).eps))
    if g:
        centre = _highest(marginal, inner, centre, units, held, path)
    summit = inner.summit(centre, held[0])
    widths = STEP * units
    for _ in range(2 if g else 0):  # the second time in the units that the first has found
        curvature = _curvature(marginal, centre, widths)
        covariance = _inverse(curvature)
        widths = 0.1 * np.sqrt(np.diag(covariance))
    lower = np.linalg.cholesky(covariance) if g else np.zeros((0, 0))
    params = _as_params(inner, centre, lower, summit)
    log_evidence = summit.value + 0.5 * g * np.log(2 * np.pi) + np.sum(np.log(np.diag(lower)))
    return MarginalLaplace(params, float(log_evidence), np.array(path), inner.products)


def _units(marginal: Callable[[np.ndarray], float], at: np.ndarray, rounding: float) -> np.ndarray:
    """How far each global goes until the curvature of its marginal density is felt.

    A location in units of 1e6 has slopes of 1e-6: as it is, no search would see that it is off.
    """
    units, middle = np.ones(len(at)), marginal(at)
    felt = max(FELT, ROUNDED * rounding * abs(middle))
    for i, direction in enumerate(np.eye(len(at))):
        for power in range(LARGEST):
            step = STEP * 10.0**power
            bend = marginal(at + step * direction) + marginal(at - step * direction) - 2 * middle
            if not np.isfinite(bend):
                break
            if abs(bend) > felt:
                units[i] = step / np.sqrt(abs(bend))
                break
    return units


def _highest(
    marginal: Callable[[np.ndarray], float],
    inner: Inner,
    start: np.ndarray,
    units: np.ndarray,
    held: list[np.ndarray],
    path: list[float],
) -> np.ndarray:
    """The globals at the maximum of their marginal density."""

    def loss(x: np.ndarray) -> float:
        value = marginal(start + units * x)
        return -value if np.isfinite(value) else 1e100

    def slope(x: np.ndarray) -> np.ndarray:
        sides = [(loss(x + h), loss(x - h)) for h in STEP * np.eye(len(x))]
        slopes = np.array([(a - b) / (2 * STEP) for a, b in sides])
        return np.where(np.abs(slopes) < 1e90, slopes, 0.0)

    def keep(x: np.ndarray) -> None:
        summit = inner.summit(start + units * x, held[0])
        held[0] = summit.others
        path.append(summit.value)

    found = minimize(
        loss,
        np.zeros(len(start)),
        jac=slope,
        method="BFGS",
        callback=keep,
        options={"maxiter": OUTER_STEPS, "gtol": 1e-2},
    )
    centre: np.ndarray = start + units * found.x
    if not (np.isfinite(centre).all() and found.fun < 1e99):
        raise NoSummitError("the marginal density of the globals has no maximum that was found")
    return centre


def _curvature(
    marginal: Callable[[np.ndarray], float], at: np.ndarray, widths: np.ndarray
) -> np.ndarray:
    """Minus the Hessian, by differences of so many units."""
    g = len(at)
    steps = np.diag(widths)
    middle = marginal(at)
    found = np.empty((g, g))
    for i in range(g):
        for j in range(i + 1):
            if i == j:
                second = marginal(at + steps[i]) - 2 * middle + marginal(at - steps[i])
            else:
                second = 0.25 * (
                    marginal(at + steps[i] + steps[j])
                    - marginal(at + steps[i] - steps[j])
                    - marginal(at - steps[i] + steps[j])
                    + marginal(at - steps[i] - steps[j])
                )
            found[i, j] = found[j, i] = -second / (widths[i] * widths[j])
    if not np.isfinite(found).all():
        raise NoSummitError("the marginal density of the globals is not finite near its maximum")
    return found


def _inverse(curvature: np.ndarray) -> np.ndarray:
    """Its inverse; directions in which it does not fall count as wide."""
    scale = np.sqrt(np.maximum(np.abs(np.diag(curvature)), 1e-12))
    values, vectors = np.linalg.eigh(curvature / np.outer(scale, scale))
    values = np.maximum(values, 1e-4)
    inverse = (vectors / values) @ vectors.T / np.outer(scale, scale)
    symmetric: np.ndarray = 0.5 * (inverse + inverse.T)
    return symmetric


def _as_params(
    inner: Inner, centre: np.ndarray, lower: np.ndarray, summit: Summit
) -> dict[str, np.ndarray]:
    """Parameters of the family: at the summit, and how it moves with one sd of each global."""

    def shape(summit: Summit) -> dict[str, np.ndarray]:
        weight = summit.factor.weight
        if not inner.family.inverse:
            weight = covariance_weights(summit.factor)
        return {
            "cross": summit.others,
            "log_scale_slope": np.log(summit.factor.scale),
            "weight_slope": weight,
        }

    middle = shape(summit)
    params = {
        "mu": inner.point(centre, summit.others),
        "log_scale": middle["log_scale_slope"],
        "weight": middle["weight_slope"],
    }
    slopes: dict[str, list[np.ndarray]] = {name: [] for name in middle}
    for step in lower.T:
        above, below = (
            shape(inner.summit(centre + side * step, summit.others)) for side in (1.0, -1.0)
        )
        for name, rows in slopes.items():
            rows.append(0.5 * (above[name] - below[name]))
    params |= {name: np.stack(rows) for name, rows in slopes.items() if rows}
    return {"lower": lower} | params
