"""A record that was found in one go rather than step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from vi.approximation.record.fit_state import FitState
from vi.diagnostics.status import Status
from vi.families import FullRank, Params
from vi.foundation.precision import precision

__all__ = ["normal_params", "settled"]


def settled(
    fit: FitState,
    params: Mapping[str, Any],
    losses: np.ndarray,
    status: Status,
    notes: Mapping[str, Any],
) -> FitState:
    """The record with parameters that were found, which are the start of fits to come.

    Parameters
    ----------
    fit : FitState
        The record before.
    params : dict of arrays
        Parameters of its family.
    losses : numpy.ndarray
        What is shown as its loss trace.
    status : Status
        How it ended.
    notes : dict
        What :meth:`vi.Approximation.settings` says besides: plain values.
    """
    with precision(fit.dtype):
        start = {name: jax.numpy.asarray(value, fit.dtype) for name, value in params.items()}
    return replace(
        fit,
        start=start,
        free_mean=None,
        given_std=None,
        run=None,
        algorithm=None,
        losses=np.asarray(losses, np.float64),
        losses_before=0,
        status=status,
        notes=dict(notes),
    )


def normal_params(fit: FitState, mean: np.ndarray, scale_tril: np.ndarray) -> Params:
    """Parameters of a full-rank normal, from mean ``(D,)`` and Cholesky factor ``(D, D)``."""
    assert isinstance(fit.family, FullRank)
    with precision(fit.dtype):
        return fit.family.at(
            jax.numpy.asarray(mean, fit.dtype), jax.numpy.asarray(scale_tril, fit.dtype)
        )
