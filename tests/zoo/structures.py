"""What a PyMC model can hold beside free variables and likelihoods, and how its data enter the
graph.
"""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.tensor import TensorVariable

from .registry import model


@model()
def potential() -> pm.Model:
    """Add a term to log p that belongs to no variable."""
    with pm.Model() as built:
        x = pm.Normal("x", 0.0, 2.0, shape=3)
        pm.Potential("smooth", -2.0 * pt.sum(pt.diff(x) ** 2))
        pm.Potential("gate", pt.log(pm.math.invlogit(3.0 * x)))
    return built


@model()
def deterministic() -> pm.Model:
    """Record functions of the variables: a scalar, a matrix, an integer and a boolean."""
    observed = np.random.default_rng(61).normal(1.0, 1.0, size=10)
    with pm.Model() as built:
        mu = pm.Normal("mu", 0.0, 2.0)
        sigma = pm.HalfNormal("sigma", 1.0)
        pm.Deterministic("ratio", mu / sigma)
        pm.Deterministic("grid", pt.stack([mu, sigma])[:, None] * np.arange(3.0))
        pm.Deterministic("rounded", pt.cast(pt.floor(mu), "int64"))
        pm.Deterministic("positive", mu > 0.0)
        pm.Normal("y", mu, sigma, observed=observed)
    return built


def _tilted_logp(value: TensorVariable, mu: TensorVariable, tilt: TensorVariable) -> TensorVariable:
    return -pt.log(pt.cosh(value - mu)) + tilt * pt.tanh(value - mu) - np.log(np.pi)


@model()
def custom_logp() -> pm.Model:
    """Define a likelihood and a prior by their log densities."""
    observed = np.random.default_rng(62).normal(0.5, 1.0, size=15)
    with pm.Model() as built:
        mu = pm.Normal("mu", 0.0, 2.0)
        tilt = pm.CustomDist("tilt", 0.0, 0.3, logp=_tilted_logp)
        pm.CustomDist("y", mu, tilt, logp=_tilted_logp, observed=observed)
    return built


def _log_gumbel(mu: TensorVariable, scale: TensorVariable, size: TensorVariable) -> TensorVariable:
    return pt.exp(pm.Gumbel.dist(mu, scale, size=size))


@model()
def custom_dist() -> pm.Model:
    """Define a likelihood by its random graph, from which PyMC derives the log density."""
    observed = np.exp(np.random.default_rng(63).gumbel(0.5, 0.7, size=15))
    with pm.Model() as built:
        mu = pm.Normal("mu", 0.0, 2.0)
        scale = pm.HalfNormal("scale", 1.0)
        pm.CustomDist("y", mu, scale, dist=_log_gumbel, observed=observed)
    return built


@model()
def missing_nan() -> pm.Model:
    """Impute observations that are NaN."""
    observed = np.random.default_rng(64).normal(0.5, 1.0, size=12)
    observed[[2, 5, 9]] = np.nan
    with pm.Model() as built:
        mu = pm.Normal("mu", 0.0, 2.0)
        sigma = pm.HalfNormal("sigma", 1.0)
        pm.Normal("y", mu, sigma, observed=observed)
    return built


@model()
def missing_masked() -> pm.Model:
    """Impute masked entries of a matrix of positive covariates, and use them in a regression.

    PyTensor's numba backend can fuse the indexed writes of value and gradient wrongly: cells stay
    unset.
    """
    rng = np.random.default_rng(65)
    covariate = rng.gamma(2.0, 1.0, size=(10, 2))
    y = covariate @ np.array([0.5, -0.3]) + 0.3 * rng.normal(size=10)
    mask = np.zeros((10, 2), dtype=bool)
    mask[[1, 4, 7], [0, 1, 1]] = True
    with pm.Model() as built:
        shape = pm.Exponential("shape", 0.5, shape=2)
        x = pm.Gamma("x", shape, 1.0, observed=np.ma.masked_array(covariate, mask))
        beta = pm.Normal("beta", 0.0, 1.0, shape=2)
        pm.Normal("y", x @ beta, 0.5, observed=y)
    return built


@model()
def missing_multivariate() -> pm.Model:
    """Impute single entries of multivariate Normal rows."""
    observed = np.random.default_rng(66).normal(0.5, 1.0, size=(8, 2))
    observed[2, 0] = observed[5, 1] = np.nan
    with pm.Model() as built:
        mu = pm.Normal("mu", 0.0, 2.0, shape=2)
        pm.MvNormal("y", mu, cov=np.array([[1.0, 0.4], [0.4, 1.2]]), observed=observed)
    return built


@model()
def nested() -> pm.Model:
    """Nest named models in a named model, so that names carry a prefix."""
    rng = np.random.default_rng(67)
    with pm.Model(name="study") as built:
        mu = pm.Normal("mu", 0.0, 2.0)
        for name, rows in (("left", 6), ("right", 9)):
            with pm.Model(name=name):
                shift = pm.Normal("shift", mu, 1.0)
                sigma = pm.HalfNormal("sigma", 1.0)
                pm.Normal("y", shift, sigma, observed=rng.normal(0.5, 1.0, size=rows))
    return built


@model()
def data_and_coords() -> pm.Model:
    """Hold predictors and outcomes in containers that can be exchanged for longer ones."""
    rng = np.random.default_rng(68)
    x = rng.normal(size=(50, 3))
    y = x @ np.array([1.0, -0.5, 0.3]) + 0.5 * rng.normal(size=50)
    with pm.Model(coords={"row": np.arange(50), "predictor": ["a", "b", "c"]}) as built:
        x_data = pm.Data("x_data", x, dims=("row", "predictor"))
        y_data = pm.Data("y_data", y, dims="row")
        beta = pm.Normal("beta", 0.0, 1.0, dims="predictor")
        sigma = pm.HalfNormal("sigma", 1.0)
        mu = pm.Deterministic("mu", x_data @ beta, dims="row")
        pm.Normal("y", mu, sigma, observed=y_data, dims="row")
    return built


@model()
def length_of_dim() -> pm.Model:
    """Use the length of a dim as a number in log p: it must not be baked in."""
    y = np.random.default_rng(69).normal(0.5, 1.0, size=20)
    with pm.Model(coords={"row": np.arange(20)}) as built:
        y_data = pm.Data("y_data", y, dims="row")
        mu = pm.Normal("mu", 0.0, 2.0)
        pm.Potential("shrink", -0.1 * built.dim_lengths["row"] * mu**2)
        pm.Normal("y", mu, 1.0, observed=y_data, dims="row")
    return built


@model()
def latent_per_row() -> pm.Model:
    """Give each row of exchangeable data its own latent: the dimension follows the data."""
    y = np.random.default_rng(70).poisson(3.0, size=8)
    with pm.Model(coords={"row": np.arange(8)}) as built:
        y_data = pm.Data("y_data", y, dims="row")
        scale = pm.HalfNormal("scale", 1.0)
        effect = pm.Normal("effect", 0.0, 1.0, dims="row")
        pm.Poisson("y", pt.exp(1.0 + scale * effect), observed=y_data, dims="row")
    return built


@model()
def integer_data() -> pm.Model:
    """Let a scalar integer container decide how many terms a sum has."""
    x = np.linspace(-1.0, 1.0, 15)
    y = np.sin(2.0 * x) + 0.1 * np.random.default_rng(71).normal(size=15)
    with pm.Model() as built:
        degree = pm.Data("degree", 4)
        beta = pm.Normal("beta", 0.0, 1.0, shape=4)
        basis = x[:, None] ** pt.arange(degree)
        pm.Normal("y", basis @ beta, 0.2, observed=y)
    return built


@model()
def several_likelihoods() -> pm.Model:
    """See one variable through three likelihoods of different kinds."""
    rng = np.random.default_rng(72)
    with pm.Model() as built:
        rate = pm.Gamma("rate", 2.0, 1.0)
        sigma = pm.HalfNormal("sigma", 1.0)
        pm.Poisson("counts", rate, observed=rng.poisson(2.0, size=9))
        pm.Exponential("gaps", rate, observed=rng.exponential(0.5, size=7))
        pm.Normal("reading", pt.log(rate), sigma, observed=rng.normal(0.7, 0.3, size=(3, 2)))
    return built


@model()
def total_size() -> pm.Model:
    """Scale a likelihood by hand to more rows than it has."""
    y = np.random.default_rng(74).normal(0.5, 1.0, size=20)
    with pm.Model() as built:
        mu = pm.Normal("mu", 0.0, 2.0)
        pm.Normal("y", mu, 1.0, observed=pm.Data("y_data", y), total_size=200)
    return built


@model()
def large_index() -> pm.Model:
    """Index with an integer constant above 1 KiB, and mask with a boolean one of the same
    length.
    """
    rng = np.random.default_rng(75)
    group = rng.integers(0, 4, size=1200)
    keep = rng.random(1200) < 0.5
    y = rng.normal(size=4)[group] + rng.normal(size=1200)
    with pm.Model() as built:
        alpha = pm.Normal("alpha", 0.0, 1.0, shape=4)
        residual = (y - alpha[group])[pt.constant(keep)]
        pm.Potential("fit", -0.5 * pt.sum(residual**2))
    return built


@model()
def large_shape() -> pm.Model:
    """Repeat with a count for each of 160 entries: an integer constant above 1 KiB that decides
    a shape.
    """
    rng = np.random.default_rng(76)
    counts = rng.integers(1, 4, size=160)
    y = rng.normal(0.5, 1.0, size=counts.sum())
    with pm.Model() as built:
        slope = pm.Normal("slope", 0.0, 1.0)
        pm.Normal("y", pt.repeat(slope * np.linspace(-1.0, 1.0, 160), counts), 1.0, observed=y)
    return built


@model()
def initial_values() -> pm.Model:
    """Start variables away from their defaults, one of them where the other decides."""
    observed = np.random.default_rng(77).normal(2.0, 1.0, size=10)
    with pm.Model() as built:
        sigma = pm.HalfNormal("sigma", 1.0, initval=0.3)
        mu = pm.Normal("mu", 2.0 * sigma, 1.0)
        pm.Normal("y", mu, sigma, observed=observed)
    return built


@model()
def ties() -> pm.Model:
    """Take a maximum whose arguments tie at the starting point: the gradient there is a matter
    of convention.
    """
    observed = np.random.default_rng(78).normal(1.0, 0.5, size=10)
    with pm.Model() as built:
        x = pm.Normal("x", 0.0, 1.0, shape=3)
        pm.Normal("y", pt.max(x) + pt.abs(x[0]), 0.5, observed=observed)
    return built


@model()
def one_dimension() -> pm.Model:
    """Hold a single scalar variable."""
    with pm.Model() as built:
        p = pm.Beta("p", 1.0, 1.0)
        pm.Binomial("y", n=9, p=p, observed=6)
    return built


@model()
def many_shapes() -> pm.Model:
    """Hold variables of zero to three axes, one of them empty."""
    observed = np.random.default_rng(79).normal(size=(2, 3, 2))
    with pm.Model() as built:
        a = pm.Normal("a", 0.0, 1.0)
        b = pm.HalfNormal("b", 1.0, shape=(1,))
        c = pm.Normal("c", 0.0, 1.0, shape=(3, 1))
        d = pm.Normal("d", 0.0, 1.0, shape=(2, 3, 2))
        pm.Normal("empty", 0.0, 1.0, shape=(0,))
        pm.Normal("y", a + c + d, b, observed=observed)
    return built
