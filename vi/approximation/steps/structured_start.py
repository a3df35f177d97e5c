"""Where a structured family starts: at Laplace's approximation in its own pattern."""

from __future__ import annotations

import logging

import jax.numpy as jnp
import numpy as np

from vi.families import Params, Structured
from vi.foundation.precision import precision
from vi.search.marginal_laplace import MarginalLaplace, NoSummitError, marginal_laplace
from vi.targets.base import Target

__all__ = ["structured_params", "structured_start"]

logger = logging.getLogger("vi")

MOST_GLOBALS = 20
"""Globals up to which the approximation is looked for: the Hessian of their marginal density is
made of differences, about two of its values for each square of their number, and twice."""


def structured_start(
    family: Structured, target: Target, mean: np.ndarray
) -> MarginalLaplace | None:
    """Laplace's approximation, searched from a point on; None where there is none, as the log says.

    Parameters
    ----------
    family : Structured
        The family.
    target : Target
        The log density of all rows.
    mean : numpy.ndarray
        ``(D,)``.
    """
    if len(family.globals) > MOST_GLOBALS:
        logger.info(
            "No structured Laplace approximation to start from: of %d globals it would take longer "
            "than the steps from elsewhere.",
            len(family.globals),
        )
        return None
    try:
        return marginal_laplace(target, family, mean)
    except NoSummitError as error:
        logger.info("No structured Laplace approximation to start from: %s.", error)
        return None


def structured_params(family: Structured, dtype: np.dtype, found: MarginalLaplace) -> Params:
    """Parameters of the family with what was found."""
    own = {name: np.asarray(value) for name, value in found.params.items()}
    with precision(dtype):
        lower = jnp.asarray(own.pop("lower"), dtype)
        return family.at(lower, {name: jnp.asarray(value, dtype) for name, value in own.items()})
