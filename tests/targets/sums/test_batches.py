"""A minibatch of a sum that few rows stand for is told to be one too many."""

import logging

import numpy as np
import pymc as pm
import pytest

from vi.targets import from_pymc
from vi.targets.batches.setting import GraphSetting

ROWS, WIDTH = 500, 3
RNG = np.random.default_rng(1)
X, Y = RNG.normal(size=(ROWS, WIDTH)), RNG.normal(size=ROWS)


def columns(size):
    with pm.Model() as model:
        x = pm.Minibatch(X, batch_size=size)
        mu, sigma = pm.Normal("mu", shape=WIDTH), pm.HalfNormal("sigma", shape=WIDTH)
        pm.Normal("y", mu, sigma, observed=x, total_size=ROWS)
    return model


def linear(size):
    with pm.Model() as model:
        x, y = pm.Minibatch(X, Y, batch_size=size)
        slope, sigma = pm.Normal("slope", shape=WIDTH), pm.HalfNormal("sigma")
        pm.Normal("y", x @ slope, sigma, observed=y, total_size=ROWS)
    return model


def logistic(size):
    with pm.Model() as model:
        x, y = pm.Minibatch(X, (Y > 0).astype("int32"), batch_size=size)
        pm.Bernoulli("y", logit_p=x @ pm.Normal("slope", shape=WIDTH), observed=y, total_size=ROWS)
    return model


def told(model, caplog, rewrite=True):
    with caplog.at_level(logging.INFO, "vi"):
        from_pymc(model, backend="pytensor", setting=GraphSetting(rewrite=rewrite))
    return [text for text in caplog.messages if "All rows of y are cheaper" in text]


@pytest.mark.parametrize("model", [columns, linear])
def test_a_batch_of_such_a_sum_is_told_of(model, caplog):
    (text,) = told(model(50), caplog)
    assert "a batch of 50" in text


@pytest.mark.parametrize(
    ("model", "size", "rewrite"),
    [(logistic, 50, True), (linear, WIDTH, True), (columns, 50, False)],
    ids=["no such sum", "a batch as short", "not wanted"],
)
def test_other_batches_are_not(model, size, rewrite, caplog):
    assert told(model(size), caplog, rewrite) == []
