"""References for the models that users write: moments of long chains, a line of JSON a model.

What is kept of a model: the scalars' names, location and scale of each, and which have heavy tails
(median and quartiles are compared then); beside them the largest R-hat and the fewest effective
draws of what is compared. Models whose coordinates can change places (components, factors, hidden
units) are compared by what does not notice it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm
import xarray as xr
from arviz_stats.base import array_stats
from measures import location_and_scale, moment_errors
from registry import scalars
from scipy.stats import kurtosis
from systems import seconds_of
from user_models import INVARIANT, USER_MODELS

__all__ = ["CHAINS", "compared", "errors", "load", "moments", "reference"]

CHAINS, TUNE, ACCEPTED = 4, 1000, 0.95
"""Shorter steps than usual: funnels."""

HEAVY = 10.0
"""Kurtosis from which median and quartiles are compared: the logarithm of an sd of n independent
draws errs by ``sqrt((kurtosis - 1) / 4 n)``, 0.02 with 5,000."""


def compared(name: str, model: pm.Model) -> tuple[str, ...]:
    """The variables of a model that are compared."""
    return INVARIANT.get(name, tuple(rv.name for rv in model.free_RVs))


def reference(name: str, draws: int, seed: int, backend: str, jitter: bool) -> dict[str, Any]:
    """Long chains of NUTS, as a line for the file.

    Parameters
    ----------
    name : str
        A model of the table.
    draws : int
        Of each of the four chains.
    seed : int
        Their seed.
    backend : {"jax", "numba"}
        What nutpie compiles the model by.
    jitter : bool
        Whether chains start around the model's initial point rather than at it.
    """
    import nutpie  # in the peers' environment alone

    model = USER_MODELS[name]()

    def sample() -> xr.DataTree:
        settings = {"gradient_backend": "jax"} if backend == "jax" else {}
        if not jitter:
            settings["jitter_rvs"] = set()
        compiled = nutpie.compile_pymc_model(model, backend=backend, **settings)
        return nutpie.sample(
            compiled,
            draws=draws,
            tune=TUNE,
            chains=CHAINS,
            seed=seed,
            target_accept=ACCEPTED,
            progress_bar=False,
        )

    found, seconds = seconds_of(sample)
    posterior = found["posterior"].to_dataset()[list(compared(name, model))]
    return {
        "model": name,
        "date": time.strftime("%Y-%m-%d"),
        "versions": {library: version(library) for library in ("nutpie", "pymc", "jax")},
        "chains": CHAINS,
        "draws": draws,
        "jitter": jitter,
        "seconds": round(seconds.wall, 1),
        "processor": round(seconds.processor, 1),
        "diverging": int(found["sample_stats"]["diverging"].sum()),
    } | moments(scalars(posterior), CHAINS)


def moments(named: Mapping[str, np.ndarray], chains: int) -> dict[str, Any]:
    """What is kept of draws of scalars, one chain after the other."""
    values = np.stack(list(named.values()))
    robust = kurtosis(values, axis=1, fisher=False) > HEAVY
    location, scale = location_and_scale(values, robust)
    chained = values.reshape(len(values), chains, -1)
    return {
        "rhat": _short(np.max(array_stats.rhat(chained)), 5),
        "ess": int(np.min(array_stats.ess(chained))),
        "names": list(named),
        "location": [_short(value) for value in location],
        "scale": [_short(value) for value in scale],
        "robust": [int(i) for i in np.flatnonzero(robust)],
    }


def _short(value: float, digits: int = 6) -> float:
    return float(f"{value:.{digits}g}")


def load(path: Path) -> dict[str, dict[str, Any]]:
    """The lines of a file by model; of several of a model the last."""
    lines = path.read_text().splitlines() if path.exists() else []
    return {line["model"]: line for line in map(json.loads, lines)}


def errors(line: Mapping[str, Any], found: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Errors of draws: of means in sds, of log sds, and of which scalars they are the largest.

    Parameters
    ----------
    line : mapping
        A line of the file.
    found : mapping of {str: ndarray}
        Draws of the scalars, by their name.

    Raises
    ------
    ValueError
        If draws are not finite.
    """
    names = line["names"]
    robust = np.isin(np.arange(len(names)), line["robust"])
    draws = np.stack([found[name] for name in names])
    if not np.isfinite(draws).all():
        raise ValueError("draws are not finite")
    mean, sd = np.abs(
        moment_errors(draws, robust, np.array(line["location"]), np.array(line["scale"]))
    )
    return {
        "mean": _short(mean.max(), 4),
        "mean_of": names[int(mean.argmax())],
        "sd": _short(sd.max(), 4),
        "sd_of": names[int(sd.argmax())],
    }
