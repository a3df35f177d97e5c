"""The models that are timed, each for PyMC and for NumPyro."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["WORKLOADS", "Workload"]

EFFECTS = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
ERRORS = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
ROWS, COLUMNS = 10_000, 50


@dataclass(frozen=True)
class Workload:
    """One model, twice.

    Parameters
    ----------
    title : str
        What the report calls it.
    pymc : callable
        Builds the PyMC model.
    numpyro : callable
        Returns the NumPyro model and its arguments, NumPy arrays.
    """

    title: str
    pymc: Callable[[], Any]
    numpyro: Callable[[], tuple[Callable[..., None], tuple[np.ndarray, ...]]]


def _eight_schools_pymc() -> Any:
    import pymc as pm

    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, 5.0)
        tau = pm.HalfCauchy("tau", 5.0)
        raw = pm.Normal("raw", 0.0, 1.0, shape=8)
        pm.Normal("y", mu + tau * raw, ERRORS, observed=EFFECTS)
    return model


def _eight_schools_numpyro() -> tuple[Callable[..., None], tuple[np.ndarray, ...]]:
    import numpyro
    import numpyro.distributions as dist

    def model(effects: Any, errors: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
        tau = numpyro.sample("tau", dist.HalfCauchy(5.0))
        raw = numpyro.sample("raw", dist.Normal(0.0, 1.0).expand([8]).to_event(1))
        numpyro.sample("y", dist.Normal(mu + tau * raw, errors).to_event(1), obs=effects)

    return model, (EFFECTS, ERRORS)


def _regression_data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((ROWS, COLUMNS))
    logits = x @ (rng.standard_normal(COLUMNS) / np.sqrt(COLUMNS))
    return x, (rng.random(ROWS) < 1 / (1 + np.exp(-logits))).astype(np.int64)


def _logistic_pymc() -> Any:
    import pymc as pm

    x, y = _regression_data()
    with pm.Model() as model:
        beta = pm.Normal("beta", 0.0, 1.0, shape=COLUMNS)
        pm.Bernoulli("y", logit_p=pm.math.dot(x, beta), observed=y)
    return model


def _logistic_numpyro() -> tuple[Callable[..., None], tuple[np.ndarray, ...]]:
    import numpyro
    import numpyro.distributions as dist

    def model(x: Any, y: Any) -> None:
        beta = numpyro.sample("beta", dist.Normal(0.0, 1.0).expand([COLUMNS]).to_event(1))
        numpyro.sample("y", dist.Bernoulli(logits=x @ beta).to_event(1), obs=y)

    return model, _regression_data()


WORKLOADS = {
    "eight_schools": Workload(
        "Eight schools (non-centred, D=10)", _eight_schools_pymc, _eight_schools_numpyro
    ),
    "logistic": Workload(
        f"Logistic regression, {ROWS:,} x {COLUMNS}, full batch", _logistic_pymc, _logistic_numpyro
    ),
}
"""The workloads by name."""
