"""Variables whose transform is not the default one of their distribution."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.distributions import transforms
from pymc.logprob.transforms import Transform
from pytensor.tensor import TensorVariable

from .registry import model


class _Cubic(Transform):
    """The map u = x**3 + x from the real line to itself, with its inverse in closed form."""

    name = "cubic"
    ndim_supp = 0

    def forward(self, value: TensorVariable, *inputs: TensorVariable) -> TensorVariable:
        return value**3 + value

    def backward(self, value: TensorVariable, *inputs: TensorVariable) -> TensorVariable:
        return 2.0 / np.sqrt(3.0) * pt.sinh(pt.arcsinh(1.5 * np.sqrt(3.0) * value) / 3.0)

    def log_jac_det(self, value: TensorVariable, *inputs: TensorVariable) -> TensorVariable:
        return -pt.log1p(3.0 * self.backward(value, *inputs) ** 2)


@model()
def univariate_ordered() -> pm.Model:
    """Order independent Normals."""
    observed = np.random.default_rng(21).normal([-1.0, 0.0, 1.5], 0.5, size=(5, 3))
    with pm.Model() as built:
        x = pm.Normal(
            "x", 0.0, 2.0, shape=3, transform=transforms.ordered, initval=[-1.0, 0.0, 1.0]
        )
        pm.Normal("y", x, 0.5, observed=observed)
    return built


@model()
def multivariate_ordered() -> pm.Model:
    """Order the entries of a multivariate Normal."""
    observed = np.random.default_rng(22).normal([-1.0, 0.0, 1.5], 0.5, size=(5, 3))
    cov = np.array([[1.0, 0.4, 0.1], [0.4, 1.5, 0.3], [0.1, 0.3, 0.8]])
    with pm.Model() as built:
        x = pm.MvNormal(
            "x", np.zeros(3), cov, transform=transforms.ordered, initval=[-1.0, 0.0, 1.0]
        )
        pm.Normal("y", x, 0.5, observed=observed)
    return built


@model()
def positive_ordered() -> pm.Model:
    """Order positive variables from high to low."""
    observed = np.random.default_rng(23).normal([3.0, 2.0, 1.0], 0.5, size=(5, 3))
    with pm.Model() as built:
        ordered = transforms.Ordered(positive=True, ascending=False)
        x = pm.HalfNormal(
            "x", 3.0, shape=3, default_transform=None, transform=ordered, initval=[3.0, 2.0, 1.0]
        )
        pm.Normal("y", x, 0.5, observed=observed)
    return built


@model()
def chained() -> pm.Model:
    """Chain two transforms, so that probabilities are ordered on the logit scale."""
    with pm.Model() as built:
        p = pm.Beta("p", 1.5, 1.5, shape=3, transform=transforms.ordered, initval=[0.2, 0.5, 0.8])
        pm.Binomial("y", n=20, p=p, observed=np.array([4, 9, 15]))
    return built


@model()
def chained_explicit() -> pm.Model:
    """Chain an interval with an order through an explicit chain."""
    observed = np.random.default_rng(24).normal([-0.5, 0.5], 0.5, size=(5, 2))
    with pm.Model() as built:
        chain = transforms.Chain([transforms.Interval(-2.0, 2.0), transforms.ordered])
        x = pm.Uniform(
            "x", -2.0, 2.0, shape=2, default_transform=None, transform=chain, initval=[-0.5, 0.5]
        )
        pm.Normal("y", x, 0.5, observed=observed)
    return built


@model()
def interval() -> pm.Model:
    """Restrict a Normal to an interval around its mean, which is another variable."""
    observed = np.random.default_rng(25).normal(0.5, 0.5, size=5)
    with pm.Model() as built:
        centre = pm.Normal("centre", 0.0, 1.0)
        around_mean = transforms.Interval(
            bounds_fn=lambda rng, size, mu, sigma: (mu - 2.0, mu + 1.0)
        )
        x = pm.Normal("x", centre, 2.0, transform=around_mean)
        pm.Normal("y", x, 0.5, observed=observed)
    return built


@model()
def interval_fixed() -> pm.Model:
    """Restrict Normals to an interval with fixed ends, one of them open."""
    observed = np.random.default_rng(26).normal(0.5, 0.5, size=(5, 2))
    with pm.Model() as built:
        x = pm.Normal("x", 0.0, 2.0, shape=2, transform=transforms.Interval(-1.5, None))
        pm.Normal("y", x, 0.5, observed=observed)
    return built


@model()
def custom_transform() -> pm.Model:
    """Use a transform that is not PyMC's own."""
    observed = np.random.default_rng(27).normal(0.5, 0.5, size=(5, 2))
    with pm.Model() as built:
        x = pm.Normal("x", 0.0, 2.0, shape=2, transform=_Cubic())
        pm.Normal("y", x, 0.5, observed=observed)
    return built


@model()
def no_transform() -> pm.Model:
    """Leave a Gamma variable untransformed.

    A negative value gives minus infinity, or an error where PyMC's check of the Poisson's parameter
    runs.
    """
    with pm.Model() as built:
        rate = pm.Gamma("rate", 3.0, 1.0, default_transform=None)
        pm.Poisson("y", rate, observed=np.array([2, 4, 3, 5, 1]))
    return built


@model()
def circular() -> pm.Model:
    """Put a uniform variable on the circle."""
    observed = np.random.default_rng(28).vonmises(1.0, 3.0, size=12)
    with pm.Model() as built:
        mu = pm.Uniform("mu", -np.pi, np.pi, default_transform=None, transform=transforms.circular)
        kappa = pm.HalfNormal("kappa", 5.0)
        pm.VonMises("y", mu=mu, kappa=kappa, observed=observed)
    return built


@model()
def sum_to_one() -> pm.Model:
    """Use the transform that drops the last entry of a simplex.

    Its values are not free: outside the simplex log p is minus infinity, NaN, or an error of PyMC's
    parameter check.
    """
    with pm.Model() as built:
        p = pm.Dirichlet(
            "p", a=np.array([2.0, 3.0, 4.0]), default_transform=None, transform=transforms.SumTo1()
        )
        pm.Multinomial("y", n=30, p=p, observed=np.array([7, 10, 13]))
    return built


@model()
def log_exp_m1() -> pm.Model:
    """Make scales positive with softplus in place of the exponential."""
    observed = np.random.default_rng(29).normal(0.0, [0.7, 1.5], size=(12, 2))
    with pm.Model() as built:
        sigma = pm.HalfCauchy(
            "sigma", 1.0, shape=2, default_transform=None, transform=transforms.log_exp_m1
        )
        pm.Normal("y", 0.0, sigma, observed=observed)
    return built
