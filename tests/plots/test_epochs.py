"""The plot of the loss by epochs: what an epoch is, and the means of its losses."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pymc as pm
import pytest
from matplotlib import pyplot as plt

import vi
from vi.diagnostics.stages import Stage
from vi.plots.epochs import MEANS, epoch_of, means_by_epoch

N = 60
Y = np.random.default_rng(1).normal(2.0, 1.0, size=N)
ADVI = {"method": "advi", "random_seed": 1, "progressbar": False}


def in_batches(batch):
    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, 10.0)
        pm.Normal("y", mu, 1.0, observed=batch, total_size=N)
    return model


def in_a_container():
    with pm.Model() as model:
        y = pm.Data("y_data", Y)
        mu = pm.Normal("mu", 0.0, 10.0)
        pm.Normal("y", mu, 1.0, observed=y)
    return model


@pytest.fixture(scope="module")
def fit():
    return vi.fit(48, model=in_batches(vi.Minibatch(Y, batch_size=5)), **ADVI)


def with_losses(approx, losses, **fields):
    record = replace(approx.record, losses=np.asarray(losses, float), **fields)
    return vi.Approximation.of_record(record)


WAYS = {
    "vi": (lambda: in_batches(vi.Minibatch(Y, batch_size=8)), {}, (60, 8, 7.5)),
    "short_last": (
        lambda: in_batches(vi.Minibatch(Y, batch_size=8, short_last=True)),
        {},
        (60, 8, 8.0),
    ),
    "drop_last": (
        lambda: in_batches(vi.Minibatch(Y, batch_size=8, drop_last=True)),
        {},
        (60, 8, 7.0),
    ),
    "pymc": (lambda: in_batches(pm.Minibatch(Y, batch_size=6)), {}, (60, 6, 10.0)),
    "data": (
        in_a_container,
        {"data": {"y_data": Y}, "batch_size": 4, "scale": "rows"},
        (60, 4, 15.0),
    ),
    "stream": (
        in_a_container,
        {"data": vi.data.ArraySource({"y_data": Y}), "batch_size": 4, "scale": "rows"},
        (60, 4, 15.0),
    ),
}


@pytest.mark.few(3)
@pytest.mark.parametrize("way", WAYS)
def test_an_epoch_is_that_of_the_data(way):
    make, options, (rows, size, steps) = WAYS[way]
    approx = vi.fit(2, model=make(), **ADVI, **options)
    found = epoch_of(approx.record)
    assert (found.rows, found.size, found.steps) == (rows, size, steps)
    axes = vi.plots.plot_epochs(approx)
    assert axes.get_xlabel() == f"epoch ({rows} rows in steps of {size})"


def test_of_two_minibatches_the_longer_epoch_counts():
    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, 10.0)
        for i, size in enumerate((30, 6)):
            batch = vi.Minibatch(Y, batch_size=size)
            pm.Normal(f"y{i}", mu, 1.0, observed=batch, total_size=N)
    assert epoch_of(vi.fit(1, model=model, **ADVI).record).size == 6


def test_means_are_those_of_whole_epochs(rng):
    losses = rng.normal(size=48)
    found = means_by_epoch(losses, 10.0)
    assert found.epochs == 1
    np.testing.assert_array_equal(found.ends, [1, 2, 3, 4])
    np.testing.assert_allclose(found.loss, losses[:40].reshape(4, 10).mean(axis=1))
    losses[3] = np.nan  # a step that was left out
    np.testing.assert_allclose(means_by_epoch(losses, 10.0).loss[0], np.nanmean(losses[:10]))
    # a step over the end of an epoch, 2.5, belongs to one of the two
    halves = means_by_epoch(np.arange(5.0), 2.5)
    np.testing.assert_allclose(halves.loss, [0.5, 3.0])
    assert not len(means_by_epoch(losses[:9], 10.0).ends)


def test_of_many_epochs_some_are_together(rng):
    losses = rng.normal(size=3 * MEANS * 2)
    found = means_by_epoch(losses, 2.0)
    assert found.epochs == 3
    assert len(found.ends) == MEANS
    np.testing.assert_allclose(found.loss, losses.reshape(MEANS, 6).mean(axis=1))


def test_what_is_drawn_are_the_means(fit):
    axes = vi.plots.plot_epochs(fit)
    (line,) = axes.lines
    means = np.asarray(fit.hist).reshape(4, 12).mean(axis=1)
    np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3, 4])
    np.testing.assert_allclose(line.get_ydata(), means)
    assert axes.get_ylabel() == "loss (minus the ELBO), mean of an epoch"
    assert axes.get_legend() is None
    assert axes.get_title().startswith("max_steps after 4 epochs")
    assert axes.get_xlim()[1] > 4.0
    _, given = plt.subplots()
    assert vi.plots.plot_epochs(fit, ax=given) is given


def test_less_than_three_epochs_are_single_steps(fit, rng):
    axes = vi.plots.plot_epochs(with_losses(fit, rng.normal(size=30)))
    steps, means = axes.lines
    np.testing.assert_allclose(steps.get_xdata(), np.arange(1, 31) / 12)
    np.testing.assert_array_equal(means.get_xdata(), [1, 2])
    axes = vi.plots.plot_epochs(with_losses(fit, rng.normal(size=6)))
    assert len(axes.lines) == 1
    assert "after 0.5 epochs" in axes.get_title()


def test_progress_is_seen_where_single_steps_hide_it(fit, rng):
    """Epochs that fall by 1 where steps vary by 100, for all of an epoch cancels."""
    noise = 100.0 * np.tile(rng.normal(size=12), (50, 1))
    losses = (noise - noise.mean(axis=1, keepdims=True) - np.arange(50.0)[:, None]).ravel()
    axes = vi.plots.plot_epochs(with_losses(fit, losses))
    low, high = axes.get_ylim()
    assert high - low < 60.0
    np.testing.assert_allclose(np.diff(axes.lines[0].get_ydata()), -1.0)


def test_a_huge_beginning_is_counted(fit, rng):
    losses = rng.normal(size=12 * 40)
    losses[:5] = 1e9
    axes = vi.plots.plot_epochs(with_losses(fit, losses))
    assert axes.get_ylim()[1] < 10.0
    assert axes.texts[0].get_text().startswith("↑ 1 of the means above")


def test_refusals(fit, conjugate):
    with pytest.raises(TypeError, match=r"vi\.plots\.plot_epochs takes an approximation"):
        vi.plots.plot_epochs(fit.record)
    with pytest.raises(ValueError, match=r"no minibatches: every step saw all rows.*plots\.loss"):
        vi.plots.plot_epochs(conjugate)
    with pytest.raises(ValueError, match="no losses"):
        vi.plots.plot_epochs(with_losses(fit, []))
    matched = with_losses(fit, [1.0, 2.0], stages=(Stage("match", gradients=10),))
    with pytest.raises(ValueError, match=r"some stages \(match\) saw some rows.*plot_stages"):
        vi.plots.plot_epochs(matched)
    with pytest.raises(TypeError, match="ax must be a matplotlib Axes"):
        vi.plots.plot_epochs(fit, ax="here")
    assert not plt.get_fignums()


def test_of_a_fit_that_comes_back_without_its_data(fit):
    again = pickle.loads(pickle.dumps(fit))
    assert epoch_of(again.record) == epoch_of(fit.record)  # the model has its batches
    stream = {"data": vi.data.ArraySource({"y_data": Y}), "batch_size": 4, "scale": "rows"}
    streamed = vi.fit(2, model=in_a_container(), **ADVI, **stream)
    assert epoch_of(pickle.loads(pickle.dumps(streamed)).record).steps == 15.0
