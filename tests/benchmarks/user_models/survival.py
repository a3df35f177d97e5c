"""Times to an event, some of which nobody waited for."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from .registry import named


@named
def survival_weak() -> pm.Model:
    """Exponential times in years with weak priors; of one of four sites only one event is known."""
    rng = np.random.default_rng(20)
    site = np.repeat(np.arange(4), [60, 40, 30, 8])
    treated = rng.integers(0, 2, len(site))
    hazard = np.exp(-6 - 0.7 * treated + np.array([0.0, 0.4, -0.3, -2.0])[site])
    # in days log p is not finite at the initial point, and there is no fit
    times = rng.exponential(1 / hazard) / 365
    limit = np.where(site == 3, np.sort(times[site == 3])[1] - 0.01, 2.0)
    with pm.Model() as model:
        level, effect = pm.Normal("Intercept", 0.0, 100.0), pm.Normal("treated", 0.0, 100.0)
        at = pt.concatenate([[0.0], pm.Normal("site", 0.0, 100.0, shape=3)])
        rate = pt.exp(level + effect * treated + at[site])
        pm.Censored(
            "time",
            pm.Exponential.dist(rate),
            lower=None,
            upper=limit,
            observed=np.minimum(times, limit),
        )
    return model


@named
def weibull_aft() -> pm.Model:
    """Accelerated failure of parts by load and by a thickness of some 1e-3, censored."""
    rng = np.random.default_rng(21)
    load, thickness = rng.normal(size=150), 1e-3 * rng.uniform(1, 3, size=150)
    times = np.exp(3 - 0.5 * load + 400 * thickness) * rng.weibull(1.7, size=150)
    limit = np.quantile(times, 0.7)
    seen, time = times < limit, np.minimum(times, limit)
    with pm.Model() as model:
        level, b_load = pm.Normal("Intercept", 0.0, 10.0), pm.Normal("load", 0.0, 10.0)
        b_thickness = pm.Normal("thickness", 0.0, 1e4)
        alpha = pm.Gamma("alpha", 2.0, 1.0)
        scale = pt.exp(level + b_load * load + b_thickness * thickness)
        pm.Weibull("time", alpha=alpha, beta=scale[seen], observed=time[seen])
        pm.Potential("censored", -((time[~seen] / scale[~seen]) ** alpha).sum())
    return model
