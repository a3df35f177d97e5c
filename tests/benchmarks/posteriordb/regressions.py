"""Regressions: normal, binomial, Poisson and logistic."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pymc as pm
from data import Data
from registry import Entry

__all__ = ["MODELS"]


def columns(*values: np.ndarray) -> np.ndarray:
    """The matrix with an intercept first."""
    return np.column_stack([np.ones(len(values[0])), *values])


def normal_regression(
    design: np.ndarray,
    y: np.ndarray,
    sigma: Callable[[str], object] = pm.HalfFlat,
    beta_sd: float | None = None,
) -> pm.Model:
    """A normal regression with coefficients ``beta``, flat unless `beta_sd` is given."""
    with pm.Model() as model:
        shape = design.shape[1]
        beta = (
            pm.Normal("beta", 0, beta_sd, shape=shape) if beta_sd else pm.Flat("beta", shape=shape)
        )
        pm.Normal("y", design @ beta, sigma("sigma"), observed=y)
    return model


def half_cauchy(name: str) -> object:
    """The prior of sigma in some of the regressions on children's scores."""
    return pm.HalfCauchy(name, 2.5)


def logearn_height_male(data: Data) -> pm.Model:
    return normal_regression(columns(data["height"], data["male"]), np.log(data["earn"]))


def logearn_logheight_male(data: Data) -> pm.Model:
    return normal_regression(columns(np.log(data["height"]), data["male"]), np.log(data["earn"]))


def logearn_interaction_z(data: Data) -> pm.Model:
    height, male = data["height"], data["male"]
    z = (height - height.mean()) / height.std(ddof=1)
    return normal_regression(columns(z, male, z * male), np.log(data["earn"]))


def kidscore_momiq(data: Data) -> pm.Model:
    return normal_regression(columns(data["mom_iq"]), data["kid_score"], half_cauchy)


def kidscore_interaction(data: Data) -> pm.Model:
    school, iq = data["mom_hs"], data["mom_iq"]
    return normal_regression(columns(school, iq, school * iq), data["kid_score"], half_cauchy)


def kidscore_interaction_c(data: Data) -> pm.Model:
    """Centred at the means."""
    school, iq = (data[name] - data[name].mean() for name in ("mom_hs", "mom_iq"))
    return normal_regression(columns(school, iq, school * iq), data["kid_score"])


def kidscore_interaction_c2(data: Data) -> pm.Model:
    """Centred at round values."""
    school, iq = data["mom_hs"] - 0.5, data["mom_iq"] - 100
    return normal_regression(columns(school, iq, school * iq), data["kid_score"])


def kilpisjarvi(data: Data) -> pm.Model:
    with pm.Model() as model:
        alpha = pm.Normal("alpha", data["pmualpha"], data["psalpha"])
        beta = pm.Normal("beta", data["pmubeta"], data["psbeta"])
        pm.Normal("y", alpha + beta * data["x"], pm.HalfFlat("sigma"), observed=data["y"])
    return model


def crown(data: Data) -> list[np.ndarray]:
    """Logarithms of the crown's volume, area and shape."""
    area = data["diam1"] * data["diam2"]
    sizes = area * data["canopy_height"], area, data["diam1"] / data["diam2"]
    return [np.log(size) for size in sizes]


def logmesquite_logvas(data: Data) -> pm.Model:
    logs = [np.log(data[name]) for name in ("total_height", "density")]
    return normal_regression(columns(*crown(data), *logs, data["group"]), np.log(data["weight"]))


def logmesquite_logvash(data: Data) -> pm.Model:
    X = columns(*crown(data), np.log(data["total_height"]), data["group"])
    return normal_regression(X, np.log(data["weight"]))


def mesquite(data: Data) -> pm.Model:
    names = ("diam1", "diam2", "canopy_height", "total_height", "density", "group")
    return normal_regression(columns(*(data[name] for name in names)), data["weight"])


def nes(data: Data) -> pm.Model:
    """The youngest of four groups of age is the one that the others are compared with."""
    ages = [data["age_discrete"] == group for group in (2, 3, 4)]
    first, last = ("real_ideo", "race_adj"), ("educ1", "gender", "income")
    X = columns(*(data[name] for name in first), *ages, *(data[name] for name in last))
    return normal_regression(X, data["partyid7"])


def blr(data: Data) -> pm.Model:
    return normal_regression(data["X"], data["y"], lambda name: pm.HalfNormal(name, 10), 10.0)


def glm_binomial(data: Data) -> pm.Model:
    year = data["year"]
    with pm.Model() as model:
        alpha, beta1, beta2 = (pm.Normal(name, 0, 100) for name in ("alpha", "beta1", "beta2"))
        logit_p = alpha + beta1 * year + beta2 * year**2
        pm.Binomial("C", data["N"], logit_p=logit_p, observed=data["C"])
    return model


def glm_poisson(data: Data) -> pm.Model:
    """The ranges of the coefficients are their priors."""
    year = data["year"]
    with pm.Model() as model:
        log_rate = pm.Uniform("alpha", -20, 20)
        for power in (1, 2, 3):
            log_rate += pm.Uniform(f"beta{power}", -10, 10) * year**power
        pm.Poisson("C", pm.math.exp(log_rate), observed=data["C"])
    return model


def dogs(data: Data) -> pm.Model:
    """Whether a dog is shocked depends on how often it avoided, and how often it was shocked."""
    shocked = data["y"]
    shocks = np.cumsum(shocked, axis=1) - shocked
    avoided = np.arange(shocked.shape[1]) - shocks
    with pm.Model() as model:
        beta = pm.Normal("beta", 0, 100, shape=3)
        logit_p = beta[0] + beta[1] * avoided + beta[2] * shocks
        pm.Bernoulli("y", logit_p=logit_p, observed=shocked)
    return model


MODELS = {
    build.__name__: Entry.plain(build)
    for build in (
        logearn_height_male,
        logearn_logheight_male,
        logearn_interaction_z,
        kidscore_momiq,
        kidscore_interaction,
        kidscore_interaction_c,
        kidscore_interaction_c2,
        kilpisjarvi,
        logmesquite_logvas,
        logmesquite_logvash,
        mesquite,
        nes,
        blr,
        dogs,
    )
}
MODELS |= {
    "GLM_Binomial_model": Entry.plain(glm_binomial),
    "GLM_Poisson_model": Entry.plain(glm_poisson),
}
