"""Models of all kinds are fitted without naming a method, as ADVI fits them."""

import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op

import vi

Y = np.random.default_rng(0).normal(1.0, 2.0, size=1000)
# flat priors or nearly so: what the posterior of a mean is, with a known sd of 2
MEAN, SD = Y.mean(), 2.0 / np.sqrt(len(Y))


class Squared(Op):
    """An operation that JAX has no form of."""

    def make_node(self, x):
        x = pt.as_tensor(x)
        return Apply(self, [x], [x.type()])

    def perform(self, node, inputs, outputs):
        outputs[0][0] = np.asarray(inputs[0] ** 2)

    def pullback(self, inputs, outputs, cotangents):
        return [2 * cotangents[0] * inputs[0]]


def normal(observed=Y, sd=2.0, **options):
    with pm.Model() as model:
        mean = pm.Normal("mean", 0.0, 1e3)
        pm.Normal("y", mean, sd, observed=observed, **options)
    return model


def minibatch():
    return {"model": normal(pm.Minibatch(Y, batch_size=100), total_size=len(Y))}


def rows_in_memory():
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mean", 0.0, 1e3), 2.0, observed=pm.Data("d", Y))
    return {"model": model, "data": {"d": Y}, "batch_size": 100}


def stream():
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mean", 0.0, 1e3), 2.0, observed=pm.Data("d", Y[:5]))
    return {"model": model, "data": vi.data.Stream(vi.data.source_from({"d": Y}), 100)}


def float32():
    return {"model": normal(), "dtype": "float32"}


def pytensor_backend():
    return {"model": normal(), "backend": "pytensor"}


def without_jax():
    with pm.Model() as model:
        mean = pm.Flat("mean")
        pm.Potential("y", -Squared()(mean - MEAN) / (2 * SD**2))
    return {"model": model}


def custom():
    def logp(value, mean):
        return -0.125 * (value - mean) ** 2

    with pm.Model() as model:
        pm.CustomDist("y", pm.Flat("mean"), logp=logp, observed=Y)
    return {"model": model}


def potential_alone():
    with pm.Model() as model:
        mean = pm.Flat("mean")
        pm.Potential("y", -(((mean - MEAN) / SD) ** 2) / 2)
    return {"model": model}


def no_data():
    with pm.Model() as model:
        pm.Normal("mean", MEAN, SD)
    return {"model": model}


def many_dimensions():
    with pm.Model() as model:
        pm.Normal("mean", MEAN, SD, shape=60)
    return {"model": model}


def numpyro():
    numpyro = pytest.importorskip("numpyro")

    def model(y):
        mean = numpyro.sample("mean", numpyro.distributions.Normal(0.0, 1e3))
        numpyro.sample("y", numpyro.distributions.Normal(mean, 2.0), obs=y)

    return {"model": vi.targets.from_numpyro(model, Y.copy())}


def density():
    model = vi.targets.from_function(
        lambda p: -jnp.sum((p["mean"] - MEAN) ** 2) / (2 * SD**2), {"mean": np.zeros(())}
    )
    return {"model": model}


def density_in_batches():
    model = vi.targets.from_function(
        lambda p, rows: (-1e-9 * p["mean"] ** 2, -jnp.sum((rows["y"] - p["mean"]) ** 2) / 8),
        {"mean": np.zeros(())},
        data={"y": Y.copy()},  # JAX keeps the precision in which it meets an array
        batch_size=100,
    )
    return {"model": model}


ALL = [
    *(minibatch, rows_in_memory, stream, float32, pytensor_backend, without_jax, custom),
    *(potential_alone, no_data, many_dimensions, numpyro, density, density_in_batches),
]
NOISY = (minibatch, rows_in_memory, stream, density_in_batches)


@pytest.mark.few(1)
@pytest.mark.parametrize("build", ALL, ids=[build.__name__ for build in ALL])
def test_what_advi_fits_is_fitted_without_a_method(build):
    """All posteriors are the same normal; where steps see batches, their noise is left."""
    approx = vi.fit(random_seed=1, progressbar=False, **build())
    limit = 0.2 if build in NOISY else 1e-3
    assert (np.abs(approx.mean.eval() - MEAN) < limit * SD).all()
    assert (np.abs(np.log(approx.std.eval() / SD)) < limit).all()
    draws = approx.sample(100, random_seed=1)["posterior"]["mean"].to_numpy()
    assert np.abs(draws.mean() - MEAN) < (5 / np.sqrt(draws.size) + limit) * SD
    assert approx.diagnosis.verdict == "good"
