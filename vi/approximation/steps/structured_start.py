"""Where a structured family starts: at Laplace's approximation in its own pattern."""

from __future__ import annotations

import logging

import jax.numpy as jnp
import numpy as np

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.parameters import mean_and_std
from vi.families import Params, Structured
from vi.foundation.precision import precision
from vi.search.marginal_laplace import MarginalLaplace, NoSummitError, marginal_laplace
from vi.targets.base import Target

__all__ = ["structured_params", "structured_start"]

logger = logging.getLogger("vi")


def structured_start(fit: FitState, target: Target, start: Params) -> MarginalLaplace | None:
    """Laplace's approximation from the mean of q on; None where there is none, which the log says.

    Parameters
    ----------
    fit : FitState
        The record, of a structured family.
    target : Target
        The log density of all rows.
    start : dict of arrays
        Parameters.
    """
    assert isinstance(fit.family, Structured)
    mean, _ = mean_and_std(fit, start)
    try:
        return marginal_laplace(target, fit.family, mean)
    except NoSummitError as error:
        logger.info("No structured Laplace approximation to start from: %s.", error)
        return None


def structured_params(fit: FitState, found: MarginalLaplace) -> Params:
    """Parameters of the family with what was found."""
    assert isinstance(fit.family, Structured)
    own = {name: np.asarray(value) for name, value in found.params.items()}
    with precision(fit.dtype):
        lower = jnp.asarray(own.pop("lower"), fit.dtype)
        params = {name: jnp.asarray(value, fit.dtype) for name, value in own.items()}
        return fit.family.at(lower, params)
