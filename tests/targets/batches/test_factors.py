"""The scale of every term that sees a batch, on both backends, and models that have none."""

from __future__ import annotations

import jax
import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from minibatch_models import BACKENDS, BOTH, EITHER, B, N, check_unbiased, data, regression

import vi
from vi.foundation.precision import precision
from vi.targets import from_pymc
from vi.targets.base import StepInputs
from vi.targets.batches.setting import GraphSetting


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
@BOTH
def test_batches_add_up(minibatch, backend):
    check_unbiased(regression(minibatch), backend)


def vector_model(total_size, size=B):
    x, _ = data()
    batch = vi.Minibatch(x, batch_size=size)
    with pm.Model() as model:
        mu = pm.Normal("mu", shape=3)
        pm.MvNormal("x", mu, cov=np.eye(3) + 0.5, observed=batch, total_size=total_size)
    return model


def matrix_model(total_size):
    x, _ = data()
    batch = vi.Minibatch(x, batch_size=B)
    with pm.Model() as model:
        mu = pm.Normal("mu", shape=3)
        pm.Normal("x", mu, 2.0, observed=batch, total_size=total_size)
    return model


def exact(model):
    """log p of the model written with all the data."""
    x, _ = data()
    with pm.Model() as whole:
        mu = pm.Normal("mu", shape=3)
        if isinstance(model["x"].owner.inputs[0].owner.op, pm.MvNormal.rv_type):
            pm.MvNormal("x", mu, cov=np.eye(3) + 0.5, observed=x)
        else:
            pm.Normal("x", mu, 2.0, observed=x)
    return from_pymc(whole, backend="jax").log_prob(np.random.default_rng(3).normal(size=(2, 3)))


@pytest.mark.few(1)
@pytest.mark.parametrize("backend", EITHER)
@pytest.mark.parametrize("build", [vector_model, matrix_model])
@pytest.mark.parametrize("total_size", [N, (N, None), (N, ...), [N, 3], (N, 3)], ids=str)
def test_every_form_of_total_size(build, total_size, backend):
    model = build(total_size)
    np.testing.assert_allclose(check_unbiased(model, backend), exact(model), rtol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("backend", EITHER)
def test_two_likelihoods_with_different_numbers_of_rows(backend):
    x, y = data()
    first, second = vi.Minibatch(x[:, 0], batch_size=B), vi.Minibatch(y[:20], batch_size=5)
    with pm.Model() as model:
        mu = pm.Normal("mu")
        pm.Normal("first", mu, 1.0, observed=first, total_size=N)
        pm.Normal("second", 2.0 * mu, 3.0, observed=second, total_size=20)
        pm.Normal("whole", mu, 1.0, observed=y[:7])
    check_unbiased(model, backend)


@pytest.mark.slow
@pytest.mark.parametrize("backend", EITHER)
def test_matrix_factorisation_draws_rows_and_columns_apart(backend):
    rng = np.random.default_rng(2)
    ratings = rng.normal(size=(12, 8))
    batch = vi.Minibatch(ratings, batch_size=[(4, 1), (2, 2)])
    users = vi.Minibatch(np.arange(12), batch_size=[(4, 1)])
    items = vi.Minibatch(np.arange(8), batch_size=[(2, 2)])
    with pm.Model() as model:
        u, v = pm.Normal("u", shape=(12, 2)), pm.Normal("v", shape=(8, 2))
        pm.Normal("r", u[users] @ v[items].T, 0.5, observed=batch, total_size=(12, 8))
    target = from_pymc(model, backend=backend, setting=GraphSetting())
    assert sorted((rows.count(), rows.size) for rows in target.graph.rows) == [(8, 2), (12, 4)]
    check_unbiased(model, backend)


@pytest.mark.parametrize("backend", EITHER)
@pytest.mark.slow
def test_potentials_are_scaled_when_told(backend):
    x, y = vi.Minibatch(*data(), batch_size=B)
    with pm.Model() as model:
        beta = pm.Normal("beta", shape=3)
        pm.Potential("fit", -0.5 * ((y - (x * beta).sum(axis=-1)) ** 2).sum())
    check_unbiased(model, backend, scale={"fit": "rows"})
    with pytest.raises(ValueError, match=r"Potential 'fit'.*scale=\{'fit': 'rows'\}"):
        vi.fit(3, method="advi", model=model, progressbar=False)
    assert np.isfinite(
        vi.fit(3, method="advi", model=model, progressbar=False, scale={"fit": 5.0}).hist
    ).all()


@pytest.mark.slow
def test_scale_in_place_of_total_size():
    model = regression(total_size=None)
    check_unbiased(model, scale="rows")
    check_unbiased(model, scale={"y": "rows"})
    unscaled = from_pymc(model, setting=GraphSetting(scale={"y": 1.0}))
    scaled = from_pymc(model, setting=GraphSetting(scale="rows"))
    with precision(np.dtype("float64")):
        rows, points = np.arange(B), np.zeros((1, 3))
        prior = -0.5 * 3 * np.log(2 * np.pi * 100)
        a, b = (
            float(t.value_and_score(points, StepInputs(t.batch().arrays, (rows,)))[0][0]) - prior
            for t in (unscaled, scaled)
        )
    np.testing.assert_allclose(b, a * N / B, rtol=1e-7)


@pytest.mark.slow
def test_the_documented_example_of_pymc():
    """40,000 x 100 in the documentation: total_size is a shape. Here with fewer rows."""
    rows = np.random.default_rng(0).random((400, 10))
    batch = vi.Minibatch(rows, batch_size=50)
    with pm.Model() as model:
        mu, sd = pm.Flat("mu", shape=10), pm.HalfNormal("sd", shape=10)
        pm.Normal("likelihood", mu, sd, observed=batch, total_size=rows.shape)
    check_unbiased(model)
    approx = vi.fit(4000, method="advi", model=model, random_seed=1, progressbar=False)
    # a batch has N / B = 8 times the variance of the data; averaged over 0.21 n iterates that is
    # little
    assert np.all(
        np.abs(approx.summary()["mean"].to_numpy()[:10] - rows.mean(0))
        < 3 * rows.std(0) / np.sqrt(400)
    )


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "options", [{"replace": True}, {"drop_last": True}, {"short_last": True}], ids=str
)
@pytest.mark.parametrize("backend", EITHER)
def test_ways_of_sampling(options, backend):
    """Over the steps of many epochs, log p averages to that of all rows."""
    model = regression(size=25, **options)
    full = from_pymc(model, backend=backend)
    target = from_pymc(model, backend=backend, setting=GraphSetting())
    steps = 600
    with precision(np.dtype("float64")):
        points, batch, words = np.ones((1, 3)), target.batch(), np.array([1, 2], np.uint32)
        value = lambda batch, t: target.value_and_score(points, target.at_step(batch, words, t))[0]  # noqa: E731
        value = jax.jit(value) if backend == "jax" else value
        values = np.array([float(np.asarray(value(batch, np.uint32(t)))[0]) for t in range(steps)])
        expected = full.log_prob(points)[0]
    if (
        "short_last" in options
    ):  # an epoch is a partition: batches of 25, 25 and 10 rows, each scaled by its own length
        prior = -0.5 * (3 * np.log(2 * np.pi * 100) + 3 / 100)
        parts = (values.reshape(-1, 3) - prior) * [25 / N, 25 / N, 10 / N]
        np.testing.assert_allclose(parts.sum(axis=1), expected - prior, rtol=1e-7)
    else:
        assert abs(values.mean() - expected) < 5 * values.std() / np.sqrt(steps)


@BOTH
@pytest.mark.parametrize(
    ("total_size", "message"),
    [
        (None, r"'y' sees a batch \(12 of 60 rows\) but has no total_size.*total_size=60"),
        (
            N // B,
            r"total_size=5 of 'y' multiplies .* by 0.416667, but it sees 12 of 60.*total_size=60",
        ),
        (N + 1, r"total_size=61 of 'y'.*Write total_size=60"),
    ],
)
def test_wrong_scales_are_errors(minibatch, total_size, message):
    with pytest.raises(ValueError, match=message):
        vi.fit(3, method="advi", model=regression(minibatch, total_size), progressbar=False)


@pytest.mark.parametrize("size", [1, 12])
@pytest.mark.parametrize(
    "mixing", [lambda x: x - x.mean(), lambda x: x / x.min(), pt.cumsum], ids=["mean", "min", "sum"]
)
def test_no_batch_is_too_short_to_see_mixed_rows(mixing, size):
    x, y = vi.Minibatch(data()[0][:, 0], data()[1], batch_size=size)
    with pm.Model() as model:
        a = pm.Normal("a")
        pm.Normal("y", a * mixing(x), 1.0, observed=y, total_size=N)
    with pytest.raises(ValueError, match="mixes rows"):
        vi.fit(3, method="advi", model=model, progressbar=False)


@pytest.mark.parametrize("kind", ["mean", "fixed", "prior", "apart", "half"])
def test_models_whose_scale_cannot_be_right(kind):
    x, y = vi.Minibatch(*data(), batch_size=B)
    with pm.Model() as model:
        a = pm.Normal("a", shape=B if kind == "fixed" else None)
        if kind == "mean":
            pm.Normal("y", a * (x[:, 0] - x[:, 0].mean()), 1.0, observed=y, total_size=N)
        elif kind == "fixed":
            pm.Normal("y", a + x[:, 0], 1.0, observed=y, total_size=N)
        elif kind == "prior":
            b = pm.Normal("b", x[:, 0].sum(), 1.0)
            pm.Normal("y", a + b + x[:, 0], 1.0, observed=y, total_size=N)
        elif kind == "apart":
            other = vi.Minibatch(data()[0], batch_size=B)
            pm.Normal("y", a * other[:, 0], 1.0, observed=y, total_size=N)
        else:
            pm.Normal("y", a * x[:, 0], 1.0, observed=data()[1][:B], total_size=N)
    message = {
        "mean": "mixes rows",
        "fixed": r"vi.Group\(\[...\], local=True\)",
        "prior": "reaches the prior of the free variable 'b'",
        "apart": "not drawn together|total_size",
        "half": "total_size|full data",
    }[kind]
    with pytest.raises(ValueError, match=message):
        vi.fit(3, method="advi", model=model, progressbar=False)


@pytest.mark.parametrize(
    ("scale", "error", "message"),
    [
        ({"z": "rows"}, ValueError, "no likelihood or Potential"),
        ({"y": -1.0}, ValueError, "finite number above 0, or .rows."),
        ({"y": "N"}, ValueError, "finite number above 0, or .rows."),
        (2.0, TypeError, "scale=2.0"),
    ],
)
def test_bad_scales(scale, error, message):
    with pytest.raises(error, match=message):
        vi.fit(3, method="advi", model=regression(), progressbar=False, scale=scale)


@pytest.mark.parametrize("backend", EITHER)
@pytest.mark.slow
def test_int64_labels(backend):
    x, y = data()
    batch, labels = vi.Minibatch(x, (y > 0).astype(np.int64), batch_size=B)
    with pm.Model() as model:
        beta = pm.Normal("beta", shape=3)
        pm.Bernoulli("y", logit_p=batch @ beta, observed=labels, total_size=N)
    check_unbiased(model, backend)


def test_a_total_size_without_a_number():
    with pytest.raises(ValueError, match=rf"total_size of 'x' has no number.*total_size={N}"):
        vi.fit(1, method="advi", model=matrix_model((None, None)), progressbar=False)
