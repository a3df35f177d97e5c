"""Models that the library must refuse, with a message that says why."""

from __future__ import annotations

import numpy as np
import pymc as pm

from .registry import model

_COUNTS = np.array([3, 5, 2, 4, 6])


@model(refused="(?i)discrete")
def discrete_count() -> pm.Model:
    """Leave the number of trials free: an integer."""
    with pm.Model() as built:
        n = pm.Poisson("n", 10.0)
        p = pm.Beta("p", 2.0, 2.0)
        pm.Binomial("y", n=n, p=p, observed=np.array([3, 5, 2]))
    return built


@model(refused="(?i)discrete")
def discrete_switch() -> pm.Model:
    """Leave group membership free: an integer index for each row."""
    y = np.random.default_rng(181).normal([-1.0, 2.0, -1.0, 2.0], 0.5)
    with pm.Model() as built:
        mu = pm.Normal("mu", 0.0, 2.0, shape=2)
        member = pm.Categorical("member", p=np.array([0.5, 0.5]), shape=4)
        pm.Normal("y", mu[member], 0.5, observed=y)
    return built


@model(refused="(?i)discrete")
def discrete_imputed() -> pm.Model:
    """Impute a missing count."""
    with pm.Model() as built:
        mu = pm.Exponential("mu", 0.3)
        pm.Poisson(
            "y", mu, observed=np.ma.masked_array(_COUNTS, [False, True, False, False, False])
        )
    return built


def _simulate(rng: np.random.Generator, mu: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    return rng.normal(mu, 1.0, size=size)


@model(refused="(?i)random|simulator")
def simulator() -> pm.Model:
    """Define a likelihood by a simulator: log p is random, without a gradient."""
    y = np.random.default_rng(182).normal(0.5, 1.0, size=10)
    with pm.Model() as built:
        mu = pm.Normal("mu", 0.0, 2.0)
        pm.Simulator("y", _simulate, mu, epsilon=1.0, sum_stat="sort", observed=y)
    return built


@model(refused="(?i)free")
def no_free_variables() -> pm.Model:
    """Hold observations only."""
    with pm.Model() as built:
        pm.Normal("y", 0.0, 1.0, observed=np.array([0.3, -0.2]))
    return built


@model(refused="(?i)free")
def empty() -> pm.Model:
    """Hold nothing."""
    return pm.Model()
