"""The parameters of q that a record holds: the iterate, its average, and what is reported."""

from __future__ import annotations

import numpy as np

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.local_plan import encoded
from vi.families import Params

__all__ = ["averaged_params", "iterate", "reported_params"]


def averaged_params(fit: FitState) -> Params:
    """The parameters that a fit changes (of encoders, the weights), averaged where that is on."""
    if fit.run is None or fit.algorithm is None:
        return fit.start
    return fit.algorithm.report(fit.run)


def reported_params(fit: FitState) -> Params:
    """The parameters that are reported: averaged ones, with encoders applied to all rows."""
    if all(group.encoder is None for group in fit.local):
        return averaged_params(fit)
    # an encoder reads all rows: once for each record
    return fit.compiled("reported", lambda: encoded(fit, averaged_params(fit)))


def iterate(fit: FitState) -> dict[str, np.ndarray]:
    """The raw iterate, from which ``refine`` goes on, as NumPy arrays."""
    params = fit.start if fit.run is None else fit.run.params
    return {name: np.array(value) for name, value in params.items()}
