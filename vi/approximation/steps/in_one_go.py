"""An approximation that was found in one go rather than step by step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from vi.diagnostics.status import Status
from vi.families import FullRank, Params
from vi.foundation.precision import precision
from vi.targets.base import Target
from vi.training.history import History

if TYPE_CHECKING:
    from vi.approximation.approximation import Approximation
    from vi.approximation.record.fit_state import Core

__all__ = ["all_rows", "normal_params", "settle"]


def settle(
    approx: Approximation,
    params: Mapping[str, Any],
    losses: np.ndarray,
    status: Status,
    notes: Mapping[str, Any],
) -> None:
    """Make ``params`` what the approximation reports, and the start of fits to come.

    Parameters
    ----------
    approx : Approximation
        The approximation.
    params : dict of arrays
        Parameters of its family.
    losses : numpy.ndarray
        What is shown as its loss trace.
    status : Status
        How it ended.
    notes : dict
        What :meth:`vi.Approximation.settings` says besides: plain values.
    """
    with precision(approx.dtype):
        approx._start = {
            name: jax.numpy.asarray(value, approx.dtype) for name, value in params.items()
        }
    approx._state, approx._algorithm = None, None
    approx._history = History(np.asarray(losses))
    approx._status = status
    approx._notes = dict(notes)
    approx.publish()


def normal_params(approx: Approximation, mean: np.ndarray, scale_tril: np.ndarray) -> Params:
    """The parameters of a full-rank approximation with this mean and this Cholesky factor of the
    covariance.
    """
    assert isinstance(approx.family, FullRank)
    with precision(approx.dtype):
        return approx.family.at(
            jax.numpy.asarray(mean, approx.dtype), jax.numpy.asarray(scale_tril, approx.dtype)
        )


def all_rows(approx: Core) -> Target:
    """The log density that the approximation is fitted to, with all rows in the place of batches.

    Raises
    ------
    TypeError
        If rows are streamed.
    """
    if approx._stream is not None:
        raise TypeError(
            "The rows are streamed: this needs all rows at once. Give data= as arrays in memory."
        )
    return approx.target()
