"""Gaussian processes: latent, marginal, sparse, on a product grid, and in a Hilbert-space basis."""

from __future__ import annotations

import numpy as np
import pymc as pm

from .registry import model


def _curve(seed: int, rows: int = 20) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(0.0, 4.0, size=rows))
    return x[:, None], np.sin(2.0 * x) + 0.2 * rng.normal(size=rows)


@model()
def gp_latent() -> pm.Model:
    """Draw function values through a Cholesky factor, under a Poisson likelihood."""
    x, f = _curve(111, rows=12)
    with pm.Model() as built:
        length = pm.Gamma("length", 3.0, 3.0)
        scale = pm.HalfNormal("scale", 1.0)
        gp = pm.gp.Latent(cov_func=scale**2 * pm.gp.cov.ExpQuad(1, ls=length))
        values = gp.prior("values", X=x, jitter=1e-5)
        pm.Poisson("y", pm.math.exp(values), observed=np.random.default_rng(112).poisson(np.exp(f)))
    return built


@model()
def gp_marginal_exp_quad() -> pm.Model:
    """Integrate a smooth function out."""
    x, y = _curve(113)
    with pm.Model() as built:
        length = pm.Gamma("length", 3.0, 3.0)
        scale = pm.HalfNormal("scale", 1.0)
        sigma = pm.HalfNormal("sigma", 0.5)
        gp = pm.gp.Marginal(cov_func=scale**2 * pm.gp.cov.ExpQuad(1, ls=length))
        gp.marginal_likelihood("y", X=x, y=y, sigma=sigma)
    return built


@model()
def gp_marginal_matern52() -> pm.Model:
    """Integrate a rough function out: squared distances are clipped at zero, under a square
    root.
    """
    x, y = _curve(114)
    with pm.Model() as built:
        length = pm.Gamma("length", 3.0, 3.0)
        scale = pm.HalfNormal("scale", 1.0)
        sigma = pm.HalfNormal("sigma", 0.5)
        gp = pm.gp.Marginal(cov_func=scale**2 * pm.gp.cov.Matern52(1, ls=length))
        gp.marginal_likelihood("y", X=x, y=y, sigma=sigma)
    return built


@model()
def gp_marginal_matern32() -> pm.Model:
    """Integrate a rougher function of two inputs out, each with its own length scale."""
    rng = np.random.default_rng(115)
    x = rng.uniform(0.0, 3.0, size=(15, 2))
    y = np.sin(x[:, 0]) + 0.2 * rng.normal(size=15)
    with pm.Model() as built:
        length = pm.Gamma("length", 3.0, 3.0, shape=2)
        sigma = pm.HalfNormal("sigma", 0.5)
        gp = pm.gp.Marginal(
            mean_func=pm.gp.mean.Constant(0.3), cov_func=pm.gp.cov.Matern32(2, ls=length)
        )
        gp.marginal_likelihood("y", X=x, y=y, sigma=sigma)
    return built


def _approximate(approx: str, seed: int) -> pm.Model:
    x, y = _curve(seed)
    with pm.Model() as built:
        length = pm.Gamma("length", 3.0, 3.0)
        scale = pm.HalfNormal("scale", 1.0)
        sigma = pm.HalfNormal("sigma", 0.5)
        gp = pm.gp.MarginalApprox(
            cov_func=scale**2 * pm.gp.cov.Matern52(1, ls=length), approx=approx
        )
        gp.marginal_likelihood("y", X=x, Xu=np.linspace(0.2, 3.8, 6)[:, None], y=y, sigma=sigma)
    return built


@model()
def gp_marginal_approx_vfe() -> pm.Model:
    """Approximate with six inducing points and a variational bound.

    PyTensor's own gradient graph can give a wrong gradient when XLA runs it, as for the product
    grid.
    """
    return _approximate("VFE", 116)


@model()
def gp_marginal_approx_fitc() -> pm.Model:
    """Approximate with six inducing points and an exact diagonal."""
    return _approximate("FITC", 117)


@model()
def gp_marginal_kron() -> pm.Model:
    """Integrate out a function on a product grid, through eigenvalues.

    XLA's reverse mode can give a wrong gradient here beside a right value, as its fusions round the
    squared distances differently on the two sides of a clip at zero.
    """
    rng = np.random.default_rng(118)
    with pm.Model() as built:
        length = pm.Gamma("length", 3.0, 3.0, shape=2)
        sigma = pm.HalfNormal("sigma", 0.5)
        covs = [pm.gp.cov.ExpQuad(1, ls=length[k]) for k in range(2)]
        gp = pm.gp.MarginalKron(cov_funcs=covs)
        grids = [np.linspace(0.0, 2.0, 4)[:, None], np.linspace(0.0, 2.0, 3)[:, None]]
        gp.marginal_likelihood("y", Xs=grids, y=rng.normal(size=12), sigma=sigma)
    return built


@model()
def gp_periodic() -> pm.Model:
    """Add a periodic kernel to a rational quadratic one, times a linear one."""
    x, y = _curve(119, rows=15)
    with pm.Model() as built:
        length = pm.Gamma("length", 3.0, 3.0)
        period = pm.LogNormal("period", 1.0, 0.3)
        alpha = pm.HalfNormal("alpha", 2.0)
        cov = pm.gp.cov.Periodic(1, period=period, ls=length)
        cov = cov + pm.gp.cov.RatQuad(1, alpha=alpha, ls=1.0) * pm.gp.cov.Linear(1, c=0.0)
        pm.gp.Marginal(cov_func=cov).marginal_likelihood("y", X=x, y=y, sigma=0.3)
    return built


@model()
def student_t_process() -> pm.Model:
    """Draw function values from a Student-t process."""
    x, y = _curve(120, rows=10)
    with pm.Model() as built:
        length = pm.Gamma("length", 3.0, 3.0)
        tp = pm.gp.TP(scale_func=pm.gp.cov.ExpQuad(1, ls=length), nu=5.0)
        values = tp.prior("values", X=x, jitter=1e-5)
        pm.Normal("y", values, 0.3, observed=y)
    return built


@model()
def hsgp() -> pm.Model:
    """Approximate a process by twelve sines, with exchangeable inputs."""
    x, y = _curve(121)
    with pm.Model() as built:
        x_data = pm.Data("x_data", x)
        length = pm.Gamma("length", 3.0, 3.0)
        scale = pm.HalfNormal("scale", 1.0)
        gp = pm.gp.HSGP(m=[12], L=[5.0], cov_func=scale**2 * pm.gp.cov.Matern52(1, ls=length))
        values = gp.prior("values", X=x_data)
        pm.Normal("y", values, 0.3, observed=y)
    return built


@model(gaps={"jax": "Ive: no JAX conversion without tfp-nightly"})
def hsgp_periodic() -> pm.Model:
    """Approximate a periodic process, whose spectrum holds Bessel functions."""
    x, y = _curve(122)
    with pm.Model() as built:
        length = pm.Gamma("length", 3.0, 3.0)
        scale = pm.HalfNormal("scale", 1.0)
        cov = pm.gp.cov.Periodic(1, period=3.0, ls=length)
        values = pm.gp.HSGPPeriodic(m=5, scale=scale, cov_func=cov).prior("values", X=x)
        pm.Normal("y", values, 0.3, observed=y)
    return built
