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
NORMAL = 40_000, 100
GROUPS = 85


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
    unit : int
        Steps of NumPyro's compiled scan: fewer where a step is long.
    """

    title: str
    pymc: Callable[[], Any]
    numpyro: Callable[[], tuple[Callable[..., None], tuple[np.ndarray, ...]]]
    unit: int = 10_000


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


def _normal_data() -> np.ndarray:
    rng = np.random.default_rng(3)
    means, sds = rng.normal(size=NORMAL[1]), np.exp(0.3 * rng.normal(size=NORMAL[1]))
    return means + sds * rng.standard_normal(NORMAL)


def _normal_pymc() -> Any:
    import pymc as pm

    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, 10.0, shape=NORMAL[1])
        sigma = pm.HalfNormal("sigma", 5.0, shape=NORMAL[1])
        pm.Normal("y", mu, sigma, observed=_normal_data())
    return model


def _normal_numpyro() -> tuple[Callable[..., None], tuple[np.ndarray, ...]]:
    import numpyro
    import numpyro.distributions as dist

    def model(y: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 10.0).expand([NORMAL[1]]).to_event(1))
        sigma = numpyro.sample("sigma", dist.HalfNormal(5.0).expand([NORMAL[1]]).to_event(1))
        numpyro.sample("y", dist.Normal(mu, sigma), obs=y)

    return model, (_normal_data(),)


def _linear_data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    x = rng.standard_normal((ROWS, COLUMNS))
    return x, x @ rng.standard_normal(COLUMNS) + rng.standard_normal(ROWS)


def _linear_pymc() -> Any:
    import pymc as pm

    x, y = _linear_data()
    with pm.Model() as model:
        beta = pm.Normal("beta", 0.0, 1.0, shape=COLUMNS)
        pm.Normal("y", pm.math.dot(x, beta), pm.HalfNormal("sigma", 1.0), observed=y)
    return model


def _linear_numpyro() -> tuple[Callable[..., None], tuple[np.ndarray, ...]]:
    import numpyro
    import numpyro.distributions as dist

    def model(x: Any, y: Any) -> None:
        beta = numpyro.sample("beta", dist.Normal(0.0, 1.0).expand([COLUMNS]).to_event(1))
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        numpyro.sample("y", dist.Normal(x @ beta, sigma).to_event(1), obs=y)

    return model, _linear_data()


def _groups_data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    group, floor = rng.integers(GROUPS, size=919), rng.integers(2, size=919) * 1.0
    effect, slope = rng.normal(1.5, 0.3, GROUPS), rng.normal(-0.7, 0.3, GROUPS)
    return group, floor, effect[group] + slope[group] * floor + 0.7 * rng.normal(size=919)


def _groups_pymc() -> Any:
    import pymc as pm

    group, floor, y = _groups_data()
    with pm.Model() as model:
        mu, tau = pm.Normal("mu", 0.0, 10.0, shape=2), pm.HalfNormal("tau", 1.0, shape=2)
        raw = pm.Normal("raw", 0.0, 1.0, shape=(GROUPS, 2))
        line = mu + tau * raw
        sigma = pm.HalfNormal("sigma", 1.0)
        pm.Normal("y", line[group, 0] + line[group, 1] * floor, sigma, observed=y)
    return model


def _groups_numpyro() -> tuple[Callable[..., None], tuple[np.ndarray, ...]]:
    import numpyro
    import numpyro.distributions as dist

    def model(group: Any, floor: Any, y: Any) -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 10.0).expand([2]).to_event(1))
        tau = numpyro.sample("tau", dist.HalfNormal(1.0).expand([2]).to_event(1))
        raw = numpyro.sample("raw", dist.Normal(0.0, 1.0).expand([GROUPS, 2]).to_event(2))
        line = mu + tau * raw
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        mean = line[group, 0] + line[group, 1] * floor
        numpyro.sample("y", dist.Normal(mean, sigma).to_event(1), obs=y)

    return model, _groups_data()


WORKLOADS = {
    "eight_schools": Workload(
        "Eight schools (non-centred, D=10)", _eight_schools_pymc, _eight_schools_numpyro
    ),
    "logistic": Workload(
        f"Logistic regression, {ROWS:,} x {COLUMNS}, full batch", _logistic_pymc, _logistic_numpyro
    ),
    "linear": Workload(
        f"Linear regression, {ROWS:,} x {COLUMNS}, full batch", _linear_pymc, _linear_numpyro
    ),
    "groups": Workload(
        f"Varying lines, 919 rows in {GROUPS} groups (D={2 * GROUPS + 5})",
        _groups_pymc,
        _groups_numpyro,
    ),
    "normal": Workload(
        f"A normal a column, {NORMAL[0]:,} x {NORMAL[1]}, full batch",
        _normal_pymc,
        _normal_numpyro,
        unit=10,
    ),
}
"""The workloads by name."""
