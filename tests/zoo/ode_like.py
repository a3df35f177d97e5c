"""Differential equations: solved in a scan of Runge-Kutta steps, and by a solver outside the
graph.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pymc.ode import DifferentialEquation
from pytensor.tensor import TensorVariable

from .registry import model

_TIMES = np.linspace(0.5, 5.0, 10)
_SIZES = (
    4.0
    / (1.0 + 7.0 * np.exp(-0.9 * _TIMES))
    * np.exp(0.05 * np.random.default_rng(151).normal(size=10))
)


def _growth(size: TensorVariable, rate: TensorVariable, capacity: TensorVariable) -> TensorVariable:
    return rate * size * (1.0 - size / capacity)


def _runge_kutta(
    size: TensorVariable, rate: TensorVariable, capacity: TensorVariable
) -> TensorVariable:
    h = 0.5
    k1 = _growth(size, rate, capacity)
    k2 = _growth(size + 0.5 * h * k1, rate, capacity)
    k3 = _growth(size + 0.5 * h * k2, rate, capacity)
    k4 = _growth(size + h * k3, rate, capacity)
    return size + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)


@model()
def ode_scan() -> pm.Model:
    """Fit logistic growth with ten Runge-Kutta steps."""
    with pm.Model() as built:
        rate = pm.LogNormal("rate", 0.0, 0.5)
        capacity = pm.LogNormal("capacity", 1.0, 0.5)
        start = pm.LogNormal("start", -0.7, 0.5)
        sizes = pytensor.scan(
            _runge_kutta,
            outputs_info=[start],
            non_sequences=[rate, capacity],
            n_steps=10,
            strict=True,
            return_updates=False,
        )
        pm.LogNormal("y", pt.log(sizes), 0.1, observed=_SIZES)
    return built


def _growth_system(size: Sequence[float], time: float, theta: Sequence[float]) -> list[float]:
    return [theta[0] * size[0] * (1.0 - size[0] / theta[1])]


@model(
    gaps={
        "jax": "DifferentialEquation: no JAX conversion",
        "pytensor-float32": "DifferentialEquation: computes in float64 only",
    }
)
def ode_solver() -> pm.Model:
    """Fit logistic growth with PyMC's own solver, an Op that calls SciPy and has a gradient."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        solve = DifferentialEquation(
            func=_growth_system, times=_TIMES, n_states=1, n_theta=2, t0=0.0
        )
    with pm.Model() as built:
        rate = pm.LogNormal("rate", 0.0, 0.5)
        capacity = pm.LogNormal("capacity", 1.0, 0.5)
        sizes = solve(y0=[0.5], theta=[rate, capacity])[:, 0]
        pm.LogNormal("y", pt.log(sizes), 0.1, observed=_SIZES)
    return built
