"""Time series: random walks, autoregressions, volatility, stochastic equations, and recursions
written by hand.
"""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pytensor.tensor import TensorVariable

from .registry import model


@model()
def gaussian_random_walk() -> pm.Model:
    """Follow a latent random walk with learned steps."""
    y = np.cumsum(np.random.default_rng(131).normal(0.1, 0.5, size=20))
    with pm.Model() as built:
        sigma = pm.HalfNormal("sigma", 1.0)
        walk = pm.GaussianRandomWalk(
            "walk", mu=0.1, sigma=sigma, init_dist=pm.Normal.dist(0.0, 2.0), steps=19
        )
        pm.Normal("y", walk, 0.3, observed=y)
    return built


@model()
def mv_gaussian_random_walk() -> pm.Model:
    """Follow a latent random walk in two dimensions."""
    y = np.cumsum(np.random.default_rng(132).normal(0.0, 0.5, size=(8, 2)), axis=0)
    with pm.Model() as built:
        walk = pm.MvGaussianRandomWalk(
            "walk",
            mu=np.zeros(2),
            cov=np.array([[0.5, 0.2], [0.2, 0.4]]),
            init_dist=pm.MvNormal.dist(np.zeros(2), np.eye(2)),
            steps=7,
        )
        pm.Normal("y", walk, 0.3, observed=y)
    return built


@model()
def random_walk_student_t() -> pm.Model:
    """See a random walk with heavy-tailed steps."""
    y = np.cumsum(np.random.default_rng(133).standard_t(3, size=30))
    with pm.Model() as built:
        sigma = pm.HalfNormal("sigma", 1.0)
        pm.distributions.RandomWalk(
            "y",
            init_dist=pm.Normal.dist(0.0, 2.0),
            innovation_dist=pm.StudentT.dist(nu=3.0, mu=0.0, sigma=sigma),
            observed=y,
        )
    return built


@model()
def ar() -> pm.Model:
    """See an autoregression of order two with a constant."""
    rng = np.random.default_rng(134)
    y = rng.normal(size=40)
    for t in range(2, 40):
        y[t] += 0.3 + 0.5 * y[t - 1] - 0.2 * y[t - 2]
    with pm.Model() as built:
        rho = pm.Normal("rho", 0.0, 0.5, shape=3)
        sigma = pm.HalfNormal("sigma", 1.0)
        pm.AR(
            "y",
            rho=rho,
            sigma=sigma,
            constant=True,
            init_dist=pm.Normal.dist(0.0, 2.0, shape=2),
            observed=y,
        )
    return built


@model()
def ar_latent() -> pm.Model:
    """Follow a latent autoregression of order one under counts."""
    y = np.random.default_rng(135).poisson(3.0, size=15)
    with pm.Model() as built:
        rho = pm.Uniform("rho", -1.0, 1.0)
        sigma = pm.HalfNormal("sigma", 0.5)
        level = pm.AR("level", rho=[rho], sigma=sigma, init_dist=pm.Normal.dist(0.0, 1.0), steps=14)
        pm.Poisson("y", pt.exp(1.0 + level), observed=y)
    return built


@model()
def garch() -> pm.Model:
    """See returns whose variance is a recursion on past returns."""
    y = np.random.default_rng(136).standard_t(5, size=30)
    with pm.Model() as built:
        omega = pm.HalfNormal("omega", 1.0)
        alpha = pm.Beta("alpha", 1.5, 4.0)
        share = pm.Beta("share", 2.0, 2.0)
        pm.GARCH11(
            "y",
            omega=omega,
            alpha_1=alpha,
            beta_1=(1.0 - alpha) * share,
            initial_vol=1.0,
            observed=y,
        )
    return built


def _ornstein_uhlenbeck(
    x: TensorVariable, rate: TensorVariable, noise: TensorVariable
) -> tuple[TensorVariable, TensorVariable]:
    return -rate * x, noise


@model()
def euler_maruyama() -> pm.Model:
    """Follow a latent Ornstein-Uhlenbeck process in Euler steps."""
    y = np.random.default_rng(137).normal(0.0, 0.7, size=15)
    with pm.Model() as built:
        rate = pm.HalfNormal("rate", 1.0)
        noise = pm.HalfNormal("noise", 1.0)
        path = pm.EulerMaruyama(
            "path",
            0.1,
            _ornstein_uhlenbeck,
            (rate, noise),
            init_dist=pm.Normal.dist(0.0, 1.0),
            steps=14,
            initval=[0.0] * 15,  # without it PyMC starts from a draw of the prior
        )
        pm.Normal("y", path, 0.3, observed=y)
    return built


@model()
def stochastic_volatility() -> pm.Model:
    """Follow a latent log variance under heavy-tailed returns."""
    y = np.random.default_rng(138).standard_t(4, size=20)
    with pm.Model() as built:
        step = pm.Exponential("step", 5.0)
        nu = pm.Exponential("nu", 0.1)
        walk = pm.GaussianRandomWalk(
            "walk", sigma=step, init_dist=pm.Normal.dist(0.0, 1.0), steps=19
        )
        pm.StudentT("y", nu=nu + 1.0, mu=0.0, sigma=pt.exp(walk), observed=y)
    return built


@model()
def scan_moving_average() -> pm.Model:
    """Recover the shocks of a moving average one after the other with a scan."""
    y = np.random.default_rng(139).normal(0.3, 1.0, size=25)
    with pm.Model() as built:
        mu = pm.Normal("mu", 0.0, 1.0)
        theta = pm.Uniform("theta", -1.0, 1.0)
        sigma = pm.HalfNormal("sigma", 1.0)
        shocks = pytensor.scan(
            lambda now, before, mu, theta: now - mu - theta * before,
            sequences=[pt.as_tensor(y)],
            outputs_info=[pt.zeros(())],
            non_sequences=[mu, theta],
            strict=True,
            return_updates=False,
        )
        pm.Potential("shocks", pm.logp(pm.Normal.dist(0.0, sigma), shocks).sum())
    return built


@model()
def scan_hidden_markov() -> pm.Model:
    """Sum over the paths of a two-state Markov chain with the forward recursion."""
    rng = np.random.default_rng(140)
    y = rng.normal(np.repeat([0.0, 2.0, 0.0], 10), 0.7)
    with pm.Model() as built:
        stay = pm.Beta("stay", 4.0, 2.0, shape=2)
        mu = pm.Normal("mu", np.array([0.0, 2.0]), 1.0)
        sigma = pm.HalfNormal("sigma", 1.0)
        step = pt.log(
            pt.stack([pt.stack([stay[0], 1.0 - stay[0]]), pt.stack([1.0 - stay[1], stay[1]])])
        )
        emitted = pm.logp(pm.Normal.dist(mu, sigma), y[:, None])
        forward = pytensor.scan(
            lambda now, before, step: now + pt.logsumexp(before[:, None] + step, axis=0),
            sequences=[emitted[1:]],
            outputs_info=[emitted[0] - np.log(2.0)],
            non_sequences=[step],
            strict=True,
            return_updates=False,
        )
        pm.Potential("paths", pt.logsumexp(forward[-1]))
    return built


def _steps(rho: TensorVariable, sigma: TensorVariable, size: TensorVariable) -> TensorVariable:
    def step(
        before: TensorVariable, rng: TensorVariable, rho: TensorVariable, sigma: TensorVariable
    ) -> tuple[TensorVariable, TensorVariable]:
        next_rng, now = pm.Normal.dist(pt.tanh(rho * before), sigma, rng=rng, return_next_rng=True)
        return now, next_rng

    path, _ = pytensor.scan(
        step,
        outputs_info=[pt.as_tensor(0.3), pt.random.shared_rng(seed=None)],
        non_sequences=[rho, sigma],
        n_steps=20,
        strict=True,
        return_updates=False,
    )
    return path


@model()
def scan_custom_dist() -> pm.Model:
    """Define a nonlinear autoregression by a scan over random draws, from which PyMC derives the
    log density.
    """
    y = np.random.default_rng(141).normal(0.0, 0.8, size=20)
    with pm.Model() as built:
        rho = pm.Normal("rho", 0.0, 1.0)
        sigma = pm.HalfNormal("sigma", 1.0)
        pm.CustomDist("y", rho, sigma, dist=_steps, observed=y)
    return built


@model()
def scan_clip() -> pm.Model:
    """Clip inside a scan: the level of a tank with a top and a bottom, under noise."""
    rng = np.random.default_rng(142)
    inflow = rng.normal(0.1, 0.6, size=20)
    y = np.clip(np.cumsum(inflow), 0.0, 1.5)
    with pm.Model() as built:
        gain = pm.LogNormal("gain", 0.0, 0.3)
        leak = pm.Beta("leak", 1.0, 5.0)
        level = pytensor.scan(
            lambda flow, before, gain, leak: pt.clip((1.0 - leak) * before + gain * flow, 0.0, 1.5),
            sequences=[pt.as_tensor(inflow)],
            outputs_info=[pt.as_tensor(0.4)],
            non_sequences=[gain, leak],
            strict=True,
            return_updates=False,
        )
        pm.Normal("y", pt.sqrt(level + 0.01), 0.2, observed=np.sqrt(y + 0.01))
    return built


@model()
def garch_written_out() -> pm.Model:
    """Let the variance follow the squares before it, one expression for each of many steps."""
    y = np.random.default_rng(176).normal(size=45)
    with pm.Model() as built:
        omega = pm.HalfNormal("omega", 1.0)
        alpha = pm.Beta("alpha", 1.0, 3.0)
        beta = pm.Beta("beta", 1.0, 3.0)
        variances = [omega]
        for before in y[:-1]:
            variances.append(omega + alpha * before**2 + beta * variances[-1])
        pm.Normal("y", 0.0, pt.sqrt(pt.stack(variances)), observed=y)
    return built
