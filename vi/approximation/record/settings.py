"""How a fit was made, as plain values."""

from __future__ import annotations

from typing import Any

import jax
import pymc as pm

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.judgement import told_status
from vi.approximation.record.log_density import target_without_rows
from vi.approximation.record.points import points_of
from vi.families import Noncentred, Structured
from vi.foundation.version import __version__

__all__ = ["settings"]


def settings(fit: FitState) -> dict[str, Any]:
    """How a fit was made, as values that any file format can hold as attributes."""
    known: dict[str, Any] = {
        "family": fit.family.short_name,
        "backend": target_without_rows(fit).backend,
        "dtype": fit.dtype.name,
        "random_seed": fit.seed,
        "steps": len(fit.losses) if fit.run is None else int(fit.run.step),
        "status": fit.status.ending,
        "status_message": told_status(fit).message,
        "pymc_vi_version": __version__,
        "pymc_version": pm.__version__,
        "jax_version": jax.__version__,
    }
    if isinstance(fit.family, Structured):
        known["structure"] = str(fit.family)
    if isinstance(fit.family, Noncentred):
        known["noncentred"] = str(fit.family)
    known |= fit.notes
    if fit.algorithm is not None:
        known |= {"algorithm": fit.algorithm.short_name, "loss": fit.algorithm.loss_name}
        known |= fit.algorithm.settings()
        if points := points_of(fit):
            named = ", ".join(points)
            known |= {"points": named, "loss": f"{known['loss']}, given points of {named}"}
    return known
