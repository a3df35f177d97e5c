"""Models written with PyMC's variables that carry named dimensions."""

from __future__ import annotations

import warnings

import numpy as np
import pymc as pm

from .registry import model

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the module announces that it is experimental
    import pymc.dims as pmd


@model()
def dims_regression() -> pm.Model:
    """Regress with a product over a named dimension."""
    rng = np.random.default_rng(171)
    x = rng.normal(size=(30, 3))
    y = x @ np.array([1.0, -0.5, 0.3]) + 0.5 * rng.normal(size=30)
    with pm.Model(coords={"row": np.arange(30), "predictor": ["a", "b", "c"]}) as built:
        x_data = pmd.Data("x_data", x, dims=("row", "predictor"))
        beta = pmd.Normal("beta", 0.0, 1.0, dims="predictor")
        sigma = pmd.HalfNormal("sigma", 1.0)
        mu = pmd.Deterministic("mu", (x_data * beta).sum("predictor"))
        pmd.Normal("y", mu, sigma, observed=pmd.as_xtensor(y, dims=("row",)))
    return built


@model()
def dims_hierarchy() -> pm.Model:
    """Sum effects to zero over a named dimension, and cross them with another."""
    rng = np.random.default_rng(172)
    y = rng.normal(1.0, 1.0, size=(4, 5))
    with pm.Model(coords={"group": list("abcd"), "repeat": np.arange(5)}) as built:
        mu = pmd.Normal("mu", 0.0, 2.0)
        tau = pmd.HalfCauchy("tau", 1.0)
        group = pmd.ZeroSumNormal("group_effect", sigma=1.0, core_dims="group", dims="group")
        repeat = pmd.Normal("repeat_effect", 0.0, tau, dims="repeat")
        pmd.Normal(
            "y", mu + group + repeat, 1.0, observed=pmd.as_xtensor(y, dims=("group", "repeat"))
        )
    return built


@model()
def dims_simplex() -> pm.Model:
    """Choose among kinds with probabilities on a simplex over a named dimension."""
    y = np.random.default_rng(173).integers(0, 3, size=25)
    with pm.Model(coords={"kind": ["a", "b", "c"], "row": np.arange(25)}) as built:
        p = pmd.Dirichlet(
            "p", a=pmd.as_xtensor(np.full(3, 2.0), dims=("kind",)), core_dims="kind", dims="kind"
        )
        pmd.Categorical("y", p=p, core_dims="kind", observed=pmd.as_xtensor(y, dims=("row",)))
    return built


@model()
def dims_potential() -> pm.Model:
    """Mix a censored likelihood with a potential over a named dimension.

    The potential's term of log p keeps operations on named dimensions, which must be lowered before
    the gradient.
    """
    y = np.clip(np.random.default_rng(174).normal(0.5, 1.0, size=20), -0.5, 1.5)
    with pm.Model(coords={"row": np.arange(20), "side": ["left", "right"]}) as built:
        side = pmd.Normal("side_effect", 0.0, 1.0, dims="side")
        sigma = pmd.Gamma("sigma", 2.0, 2.0)
        pmd.Potential("close", -(side**2))
        mu = side.sum("side")
        pmd.Censored(
            "y",
            pmd.Normal.dist(mu, sigma),
            lower=-0.5,
            upper=1.5,
            observed=pmd.as_xtensor(y, dims=("row",)),
        )
    return built


@model()
def dims_constants() -> pm.Model:
    """Cross groups with predictors, all data being constants of more than a kilobyte."""
    rng = np.random.default_rng(175)
    x, group = rng.normal(size=(300, 2)), rng.integers(0, 5, 300)
    y = x @ np.array([1.0, -0.5]) + rng.normal(size=5)[group] + rng.normal(size=300)
    with pm.Model(coords={"row": np.arange(300), "predictor": ["a", "b"], "group": range(5)}) as (
        built
    ):
        beta = pmd.Normal("beta", 0.0, 1.0, dims="predictor")
        level = pmd.Normal("level", 0.0, 1.0, dims="group")
        mu = pmd.as_xtensor(x, dims=("row", "predictor")).dot(beta)
        mu = mu + level.isel(group=pmd.as_xtensor(group, dims=("row",)))
        pmd.Normal("y", mu, 1.0, observed=pmd.as_xtensor(y, dims=("row",)))
    return built
