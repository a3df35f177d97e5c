"""Several fits from different starts and keys at once, of which the best is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import xarray as xr

from vi.algorithms.base import Algorithm, State
from vi.diagnostics.agreement import compared
from vi.diagnostics.losses import recent
from vi.foundation.precision import precision
from vi.foundation.seeds import RESTARTS, key_from
from vi.training.several import SeveralRuns

if TYPE_CHECKING:
    from vi.approximation.approximation import Approximation

__all__ = ["check_restarts", "other_starts", "record_of"]


def other_starts(approx: Approximation, algorithm: Algorithm, runs: int) -> list[State]:
    """Where runs 1, 2, ... of a fit start; run 0 starts where a single fit would.

    From draws of that q, with its standard deviations, and with random keys of their own.
    """
    with precision(approx.dtype):
        return [_another(approx, algorithm, run) for run in range(1, runs)]


def record_of(approx: Approximation, algorithm: Algorithm, several: SeveralRuns) -> xr.Dataset:
    """What the runs found; see :func:`compared`."""
    runs = range(several.count)
    last = [recent(several.traces.of_run(run)) for run in runs]
    family = approx.family
    states = [several.state_of(run) for run in runs]
    with precision(approx.dtype):
        moments = jax.jit(lambda params: (family.mean(params), family.std(params)))
        found = [moments(algorithm.report(state)) for state in states]
    return compared(
        {
            "elbo": np.array([-np.mean(losses) for losses in last]),
            "elbo_error": np.array([np.std(losses) / np.sqrt(len(losses)) for losses in last]),
            "mean": np.array([np.asarray(mean) for mean, _ in found]),
            "std": np.array([np.asarray(std) for _, std in found]),
        },
        approx.layout,
    )


def check_restarts(approx: Approximation, runs: int, has_elbo: Any) -> None:
    """Refuse what cannot be fitted from several starts."""
    if isinstance(runs, bool) or not isinstance(runs, int | np.integer) or runs < 1:
        raise ValueError(f"restarts={runs!r}: must be a whole number of at least 1.")
    if runs == 1:
        return
    if not has_elbo:
        raise TypeError(
            f"restarts={runs}: the best run is chosen by ELBO, and this method has none."
        )
    if approx._state is not None:
        raise TypeError(
            f"restarts={runs}: this approximation was fitted already, and would go on from where it is. Start a new "
            "one, or go back with approx.restart()."
        )
    if approx._local:
        raise TypeError(
            f"restarts={runs}: not with local variables, whose parameters are as many as the rows."
        )
    if approx._devices is not None:
        raise TypeError(f"restarts={runs}: not with mesh= or devices=.")


def _another(approx: Approximation, algorithm: Algorithm, run: int) -> State:
    """The state before the first step of a run that starts elsewhere."""
    family, start = approx.family, approx._start
    key = jax.random.fold_in(key_from(approx.random_seed, RESTARTS), run)
    where, own, inner = jax.random.split(key, 3)
    mean = family.draw(start, family.noise(where, start))
    params = family.init(mean, family.std(start), inner)
    params = {name: value if family.trains(name) else start[name] for name, value in params.items()}
    return algorithm.init(params, own)
