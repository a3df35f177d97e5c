"""Models on minibatches, and the check that their batches add up to all rows."""

from __future__ import annotations

import functools

import numpy as np
import pymc as pm
import pytest

import vi
from vi.foundation.precision import precision
from vi.targets import from_pymc
from vi.targets.base import StepInputs
from vi.targets.batches.setting import GraphSetting

N, B = 60, 12
BACKENDS = ["jax", "pytensor"]
EITHER = ["jax", pytest.param("pytensor", marks=pytest.mark.slow)]
BOTH = pytest.mark.parametrize("minibatch", [vi.Minibatch, pm.Minibatch], ids=["vi", "pm"])


@functools.cache
def data():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(N, 3))
    return x, x @ [1.0, -2.0, 0.5] + rng.normal(size=N)


def regression(minibatch=vi.Minibatch, total_size=N, size=B, **options):
    x, y = minibatch(*data(), batch_size=size, **options)
    with pm.Model() as model:
        beta = pm.Normal("beta", 0.0, 10.0, shape=3)
        mu = pm.Deterministic("mu", (x * beta).sum(axis=-1))
        pm.Normal("y", mu, 1.0, observed=y, total_size=total_size)
    return model


def check_unbiased(model, backend="jax", scale=None):
    """The mean of log p and its gradient over a partition of the rows are those of all rows."""
    full = from_pymc(model, backend=backend)
    target = from_pymc(model, backend=backend, setting=GraphSetting(training=True, scale=scale))
    points = np.random.default_rng(3).normal(size=(2, full.dim))
    with precision(np.dtype("float64")):
        partition = [
            np.random.default_rng(i).permutation(r.count()) for i, r in enumerate(target.graph.rows)
        ]
        cuts = [
            np.split(rows, r.count() // r.size)
            for rows, r in zip(partition, target.graph.rows, strict=True)
        ]
        grid = np.stack(np.meshgrid(*(range(len(c)) for c in cuts), indexing="ij"), -1).reshape(
            -1, len(cuts)
        )
        shared = target.batch().arrays
        parts = [
            target.value_and_score(
                points,
                StepInputs(shared, tuple(np.array(c[i]) for c, i in zip(cuts, which, strict=True))),
            )
            for which in grid
        ]
        value, score = full.value_and_score(points, full.batch())
    np.testing.assert_allclose(np.mean([np.asarray(v) for v, _ in parts], axis=0), value, rtol=1e-7)
    np.testing.assert_allclose(
        np.mean([np.asarray(s) for _, s in parts], axis=0), score, rtol=1e-7, atol=1e-6
    )
    assert np.std([np.asarray(v)[0] for v, _ in parts]) > 1e-3, "the batches are different"
    return np.asarray(value)
