"""Series: ARMA, hidden Markov models, and a differential equation."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from data import Data
from pymc.distributions.transforms import Ordered, ordered
from pytensor.tensor.variable import TensorVariable
from registry import Entry

__all__ = ["MODELS"]

STEPS_A_YEAR = 10
"""Runge-Kutta steps: twice as many move no mean by a thousandth of a posterior sd."""


def autoregression(innovations: TensorVariable, coefficient: TensorVariable) -> TensorVariable:
    """The series ``e[t] = innovations[t] + coefficient * e[t - 1]``, with 0 before the first."""
    return pytensor.scan(
        lambda innovation, last, coefficient: innovation + coefficient * last,
        sequences=[innovations],
        outputs_info=pt.zeros((), dtype=innovations.dtype),
        non_sequences=[coefficient],
        return_updates=False,
    )


def arma11(data: Data) -> pm.Model:
    y = data["y"]
    with pm.Model() as model:
        mu = pm.Normal("mu", 0, 10)
        phi, theta = (pm.Normal(name, 0, 2) for name in ("phi", "theta"))
        sigma = pm.HalfCauchy("sigma", 2.5)
        before = pt.concatenate([mu[None], y[:-1]])  # the program starts from y[0] = mu
        errors = autoregression(y - mu - phi * before, -theta)
        pm.Normal("y", y - errors, sigma, observed=y)
    return model


def forward(emissions: TensorVariable, transitions: TensorVariable) -> TensorVariable:
    """The log likelihood of a hidden Markov model; the first state has weight 1, whatever it is.

    Parameters
    ----------
    emissions : tensor
        Log densities of the observations in each state, shape ``(length, states)``.
    transitions : tensor
        Log probabilities; row: from, column: to.
    """

    def step(emission, state, transitions):
        return log_sum_exp(state[:, None] + transitions) + emission

    states = pytensor.scan(
        step,
        sequences=[emissions[1:]],
        outputs_info=emissions[0],
        non_sequences=[transitions],
        return_updates=False,
    )
    return log_sum_exp(states[-1])


def log_sum_exp(x: TensorVariable) -> TensorVariable:
    """Over the first axis."""
    # pt.logsumexp is stable itself, its gradient is not where all terms underflow
    top = x.max(axis=0)
    return pt.log(pt.exp(x - top).sum(axis=0)) + top


def hmm_example(data: Data) -> pm.Model:
    y = data["y"]
    with pm.Model() as model:
        rows = [pm.Dirichlet(name, np.ones(2)) for name in ("theta1", "theta2")]
        mu = pm.Normal(
            "mu", [3, 10], 1, transform=Ordered(positive=True), initval=np.array([3.0, 10.0])
        )
        emissions = pm.logp(pm.Normal.dist(mu, 1), y[:, None])
        pm.Potential("y", forward(emissions, pt.log(pt.stack(rows))))
    return model


def hmm_drive_1(data: Data) -> pm.Model:
    """Speed and distance to the hoop while a player drives to the basket, or does not."""
    u, v = data["u"], data["v"]
    with pm.Model() as model:
        rows = [pm.Dirichlet(f"theta{k + 1}", data["alpha"][k]) for k in range(2)]
        phi, lambda_ = (
            pm.Normal(name, [0, 3], 1, transform=ordered, initval=np.array([0.0, 3.0]))
            for name in ("phi", "lambda")
        )
        emissions = pm.logp(pm.Normal.dist(phi, data["tau"]), u[:, None])
        emissions += pm.logp(pm.Normal.dist(lambda_, data["rho"]), v[:, None])
        pm.Potential("uv", forward(emissions, pt.log(pt.stack(rows))))
    return model


def populations(z_init: TensorVariable, theta: TensorVariable, years: int) -> TensorVariable:
    """Logarithms of hares and lynxes after 1, 2, ... years, shape ``(years, 2)``."""

    def growth(log_z):
        hares, lynxes = pt.exp(log_z[0]), pt.exp(log_z[1])
        return pt.stack([theta[0] - theta[1] * lynxes, theta[3] * hares - theta[2]])

    def step(log_z, *_):
        h = 1 / STEPS_A_YEAR
        k1 = growth(log_z)
        k2 = growth(log_z + h / 2 * k1)
        k3 = growth(log_z + h / 2 * k2)
        k4 = growth(log_z + h * k3)
        return log_z + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    path = pytensor.scan(
        step,
        outputs_info=pt.log(z_init),
        non_sequences=[theta],
        n_steps=years * STEPS_A_YEAR,
        return_updates=False,
    )
    return path[STEPS_A_YEAR - 1 :: STEPS_A_YEAR]


def lotka_volterra(data: Data) -> pm.Model:
    """The years are 1, 2, ...; the first observation is of year 0."""
    with pm.Model() as model:
        centers, widths = [1, 0.05, 1, 0.05], [0.5, 0.05, 0.5, 0.05]
        theta = pm.TruncatedNormal(
            "theta", centers, widths, lower=0, initval=[0.5, 0.03, 0.8, 0.02]
        )
        z_init = pm.LogNormal("z_init", np.log(10), 1, shape=2)
        sigma = pm.LogNormal("sigma", -1, 1, shape=2)
        log_z = populations(z_init, theta, len(data["ts"]))
        pm.LogNormal("y_init", pt.log(z_init), sigma, observed=data["y_init"])
        pm.LogNormal("y", log_z, sigma, observed=data["y"])
    return model


MODELS = {
    build.__name__: Entry.plain(build)
    for build in (arma11, hmm_example, hmm_drive_1, lotka_volterra)
}
