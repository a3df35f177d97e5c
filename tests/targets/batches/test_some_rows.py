"""Log densities of all rows in blocks, and of some rows that stand for all."""

import numpy as np
import pymc as pm
import pytest

import vi
from vi.approximation.record import log_density
from vi.approximation.record.log_density import target_of_row_blocks, target_of_some_rows
from vi.inference.run_options import RunOptions
from vi.targets import from_pymc
from vi.targets.backends.evaluation import evaluation
from vi.targets.batches.row_blocks import RowBlocks
from vi.targets.batches.some_rows import chosen_rows

ROWS = 1003
X = np.random.default_rng(1).normal(size=(ROWS, 2))
Y = (X @ [1.0, -1.0] + np.random.default_rng(2).logistic(size=ROWS) > 0).astype(np.int32)
POINTS = np.random.default_rng(3).normal(size=(20, 2))


def logistic(minibatch=pm.Minibatch, scale=True):
    with pm.Model() as model:
        x, y = minibatch(X, Y, batch_size=10) if minibatch else (X, Y)
        beta = pm.Normal("beta", 0.0, 1.0, shape=2)
        size = ROWS if minibatch and scale else None
        pm.Bernoulli("y", logit_p=pm.math.dot(x, beta), observed=y, total_size=size)
    return model


def record(model, **options):
    inference = vi.ADVI(model=model, random_seed=1)
    made = RunOptions.checked(**NONE | options)
    return made.applied(inference.approx.record)


NONE = {
    **dict.fromkeys(("n", "score", "callbacks", "obj_n_mc", "obj_optimizer"), None),
    **dict.fromkeys(("total_grad_norm_constraint", "more_replacements", "data"), None),
    **dict.fromkeys(("batch_size", "scale", "mesh", "devices"), None),
    "progressbar": False,
    "include_transformed": False,
    "rewrite": True,
    "averaging": "auto",
    "restarts": 1,
    "backend": "auto",
    "diagnose": False,
}


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(log_density, "SOME", 200)


@pytest.mark.few(2)
@pytest.mark.parametrize("minibatch", [pm.Minibatch, vi.Minibatch])
@pytest.mark.parametrize("backend", ["jax", "pytensor"])
def test_blocks_are_all_rows(few, minibatch, backend, monkeypatch):
    """The same number but for rounding, with a last block that is shorter."""
    monkeypatch.setattr("vi.targets.batches.row_blocks.ENTRIES", 16 * 3 * 300)
    blocks = target_of_row_blocks(record(logistic(minibatch), backend=backend))
    assert isinstance(blocks, RowBlocks)
    values, scores = blocks.value_and_score(POINTS, blocks.batch())
    wanted, slopes = evaluation(from_pymc(logistic(None)))(POINTS)
    np.testing.assert_allclose(values, wanted, rtol=1e-10)
    np.testing.assert_allclose(scores, slopes, rtol=1e-8)
    np.testing.assert_allclose(blocks.log_prob(POINTS), wanted, rtol=1e-10)


@pytest.mark.parametrize("backend", ["jax", "pytensor"])
def test_some_rows_have_the_slope_of_all(few, backend):
    fit = record(logistic(), backend=backend)
    some, rows = target_of_some_rows(fit), target_of_row_blocks(fit)
    assert some.count == 200
    assert some.of == (ROWS,)
    place = np.array([0.9, -1.1])
    told = some.as_all(rows, np.array([[0.9, -1.1]]), place)
    for points in (place[None], place + 0.02 * POINTS):
        values, scores = evaluation(told)(points)
        wanted, slopes = evaluation(rows)(points)
        # away from the place what is left is the curvature's error, some per cent of a slope
        np.testing.assert_allclose(values, wanted, rtol=1e-3)
        off = 1e-8 if len(points) == 1 else 0.3 * np.abs(slopes).max()
        assert np.abs(scores - slopes).max() < off
    np.testing.assert_allclose(told.log_prob(points), values, rtol=1e-10)


def test_rows_that_are_few_or_do_not_add_up_are_read_as_a_whole(few):
    assert target_of_some_rows(record(logistic(None))) is None
    by_hand = record(logistic(scale=False), scale={"y": 3.0})
    assert target_of_some_rows(by_hand) is None
    assert not isinstance(target_of_row_blocks(by_hand), RowBlocks)


def test_few_rows_stand_for_none_but_themselves():
    assert target_of_some_rows(record(logistic())) is None


def test_chosen_rows_are_different_ones():
    (rows,) = chosen_rows([1000], 400, np.random.default_rng(1))
    assert len(np.unique(rows)) == 400
    assert np.all(np.diff(rows) > 0)
