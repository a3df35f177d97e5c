"""Approximations that the tests of nodes draw from."""

from __future__ import annotations

import numpy as np
import pymc as pm
from pytensor.graph.traversal import graph_inputs
from pytensor.tensor.random.type import RandomType

import vi


def regression():
    """y = slope x + noise: the noise is a free variable, the rows follow the data."""
    with pm.Model() as model:
        x = pm.Data("x", np.array([1.0, 2.0, 3.0]))
        slope = pm.Normal("slope")
        noise = pm.HalfNormal("noise")
        mu = pm.Deterministic("mu", slope * x)
        pm.Normal("y", mu, noise, shape=mu.shape, observed=np.array([1.0, 2.0, 3.0]))
    return vi.MeanField(
        model=model, start={"slope": 1.5, "noise": 0.5}, start_sigma={"slope": 0.3, "noise": 1e-6}
    )


def normal(**options):
    """Q = N([1, -2], diag(0.5, 2)^2), the model's variable being `x`."""
    with pm.Model() as model:
        pm.Normal("x", shape=2)
    start = {"x": np.array([1.0, -2.0])}
    return vi.MeanField(
        model=model, start=start, start_sigma={"x": np.array([0.5, 2.0])}, **options
    )


def generators(node):
    return [variable for variable in graph_inputs([node]) if isinstance(variable.type, RandomType)]
