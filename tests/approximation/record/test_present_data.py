"""Data that change during a fit, between fits and before draws: taken, or refused by name."""

from __future__ import annotations

import logging

import numpy as np
import pymc as pm
import pytensor
import pytest

import vi

Y = np.random.default_rng(1).normal(3.0, 1.0, 50)
BACKENDS = pytest.mark.parametrize("backend", ["jax", "pytensor"])
QUIET = {"random_seed": 1, "progressbar": False}


def mean_of(values):
    with pm.Model() as model:
        data = pm.Data("data", values)
        pm.Normal("y", pm.Normal("mu", 0.0, 10.0), 1.0, observed=data)
    return model


def exact(values):
    return values.sum() / (len(values) + 0.01)


def fitted(model, change, backend, n=3000, method="advi", **options):
    return vi.fit(n, method, model=model, callbacks=[change], backend=backend, **QUIET, **options)


@BACKENDS
@pytest.mark.parametrize("rows", [50, pytest.param(10, marks=pytest.mark.slow)])
def test_what_a_callback_changes_counts_from_the_next_step_on(backend, rows):
    """The fit is that of the new data; sticking the landing has no noise there."""
    model = mean_of(np.zeros(50))

    def change(approx, losses, i):
        if i >= 100:
            model["data"].set_value(Y[:rows])

    approx = fitted(model, change, backend, inf_kwargs={"estimator": "sticking_the_landing"})
    assert approx.mean.eval().item() == pytest.approx(exact(Y[:rows]), abs=0.01)


@pytest.mark.few(1)
@BACKENDS
def test_a_shared_temperature_is_annealed(backend):
    """Prior N(0, 1), likelihood exp(-t (mu - 2)^2 / 2): the mean is 2 t / (1 + t)."""
    temperature = pytensor.shared(1.0, name="temperature")
    with pm.Model() as model:
        mu = pm.Normal("mu")
        pm.Potential("likelihood", -0.5 * temperature * (mu - 2.0) ** 2)

    def cool(approx, losses, i):
        temperature.set_value(max(0.25, 1.0 - i / 200))

    approx = fitted(model, cool, backend, inf_kwargs={"estimator": "sticking_the_landing"})
    assert approx.mean.eval().item() == pytest.approx(2 * 0.25 / 1.25, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["restarts", "svgd", "minibatch", "stream"])
def test_every_kind_of_run_sees_a_change(kind):
    """The losses after the change are those of a fit that had the new data from the beginning."""

    def losses(values, change=None):
        with pm.Model() as model:
            offset = pm.Data("offset", np.array(values))
            y = pm.Data("data", Y)
            if kind == "minibatch":
                y = vi.Minibatch(Y, batch_size=10)
            pm.Normal("y", pm.Normal("mu") + offset, 1.0, observed=y, total_size=50)
        options = {"restarts": {"restarts": 2}, "svgd": {"method": "svgd"}}.get(kind, {})
        if kind == "stream":
            options = {"data": vi.data.source_from({"data": Y}), "batch_size": 10}
        callbacks = [lambda *_: offset.set_value(np.array(change))] if change is not None else None
        return vi.fit(
            2, model=model, callbacks=callbacks, **({"method": "advi"} | QUIET | options)
        ).hist

    before, after = losses(0.0), losses(0.0, change=5.0)
    assert kind == "restarts" or before[0] == after[0]  # another run may lead after the change
    assert before[1] != after[1]
    np.testing.assert_array_equal(losses(0.0, change=0.0), before)


@BACKENDS
def test_nan_that_comes_in_is_refused_by_name(backend):
    model = mean_of(Y)

    def change(approx, losses, i):
        if i == 7:
            model["data"].set_value(np.where(Y > 4.0, np.nan, Y))

    inference = vi.ADVI(model=model, random_seed=1)
    with pytest.raises(
        ValueError, match=r"changed \(data\).*y \(nan at 4 of 50 .* first at \[22\]"
    ):
        inference.fit(20, callbacks=[change], backend=backend, progressbar=False)
    assert len(inference.hist) == 7
    with pytest.raises(ValueError, match=r"changed \(data\)|cannot be evaluated"):
        inference.refine(5, progressbar=False)
    model["data"].set_value(Y)
    inference.refine(5, progressbar=False)
    assert len(inference.hist) == 12


def test_nan_in_place_of_what_is_to_be_predicted_is_no_obstacle_for_draws():
    model = mean_of(Y)
    approx = vi.fit(5, method="advi", model=model, **QUIET)
    model["data"].set_value(np.full(3, np.nan))
    assert approx.sample(2)["posterior"].sizes["draw"] == 2


@pytest.mark.few(1)
@BACKENDS
def test_indices_that_do_not_exist_are_refused(backend):
    """JAX would take the last level in their place, compiled code memory."""
    with pm.Model() as model:
        group = pm.Data("group", np.arange(50) % 5)
        pm.Deterministic("level", pm.Normal("mu", shape=5)[group])
        pm.Normal("y", model["level"], 1.0, observed=Y)
    approx = vi.fit(5, method="advi", model=model, backend=backend, **QUIET)
    pm.set_data({"group": np.full(50, 7)}, model=model)
    before = approx.record
    for use in (
        lambda: approx.refine(5, progressbar=False),
        lambda: approx.sample(3),
        lambda: approx.summary(),
        lambda: approx.logp(np.zeros((1, 5))),
        lambda: vi.ADVI(model=model),
    ):
        with pytest.raises((ValueError, IndexError), match=r"index 7 is out of bounds .* size 5"):
            use()
    assert approx.record is before
    pm.set_data({"group": np.full(50, 4)}, model=model)
    assert approx.sample(3)["posterior"]["level"].shape == (1, 3, 50)


def test_an_index_in_a_row_that_the_first_batch_has_not():
    group = np.zeros(40, int)
    group[33] = 9
    g, y = vi.Minibatch(group, np.zeros(40), batch_size=4)
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mu", shape=5)[g], 1.0, observed=y, total_size=40)
    with pytest.raises((ValueError, IndexError), match="index 9 is out of bounds"):
        vi.ADVI(model=model)


@pytest.mark.slow
@pytest.mark.parametrize("where", ["model", "replacements"])
def test_arrays_of_one_minibatch_keep_one_length(where):
    x = np.arange(200.0)
    x_batch, y_batch = vi.Minibatch(x, 2.0 * x, batch_size=10)
    with pm.Model() as model:
        of_x = x_batch if where == "model" else pm.Data("x", x)
        of_y = y_batch if where == "model" else pm.Data("y_data", 2.0 * x)
        pm.Normal("y", pm.Normal("slope") * of_x, 1.0, observed=of_y, total_size=200)
    options = {}
    if where == "replacements":
        options = {"more_replacements": {of_x: x_batch, of_y: y_batch}}
    approx = vi.fit(5, method="advi", model=model, **QUIET, **options)
    x_batch.set_value(np.arange(300.0))
    with pytest.raises(ValueError, match=r"different lengths.*(200|300)"):
        approx.refine(5, progressbar=False)


def test_a_change_is_said(caplog):
    model = mean_of(Y)
    approx = vi.fit(5, method="advi", model=model, **QUIET)
    model["data"].set_value(Y + 1.0)
    with caplog.at_level(logging.INFO, "vi"):
        approx.refine(5, progressbar=False)
        approx.refine(5, progressbar=False)
    said = [record.message for record in caplog.records if "have changed" in record.message]
    assert said == ["The data have changed (data); the present ones count from now on."]


def test_a_value_that_was_compiled_in_changes_between_fits_only():
    """The length of a dim decides a shape: the code is made for it."""
    with pm.Model(coords={"row": range(3)}) as model:
        x = pm.Data("x", np.ones(3), dims="row")
        pm.Normal("y", pm.Normal("mu"), 1.0, observed=np.zeros(3))
        pm.Potential("p", model.dim_lengths["row"] * -0.5 * model["mu"] ** 2 + 0.0 * x.sum())

    def change(approx, losses, i):
        model.set_data("x", np.ones(4), coords={"row": range(4)})

    with pytest.raises(ValueError, match=r"row changed while the fit went on.*refine"):
        vi.fit(5, method="advi", model=model, callbacks=[change], **QUIET)


def test_a_batch_that_moves_on_is_no_change(caplog):
    batch = vi.Minibatch(Y, batch_size=10)
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mu"), 1.0, observed=batch, total_size=50)
    with caplog.at_level(logging.INFO, "vi"):
        approx = vi.fit(5, method="advi", model=model, **QUIET)
        batch.eval()
        approx.sample(3)
        approx.logp(np.zeros(1))
        approx.refine(5, progressbar=False)
    assert "have changed" not in caplog.text
    batch.set_value(Y + 1.0)
    with caplog.at_level(logging.INFO, "vi"):
        approx.refine(5, progressbar=False)
    assert "have changed" in caplog.text


@pytest.mark.parametrize("values", ["masked", "nan"])  # of NaN, pm.set_data makes a masked array
def test_masked_data_are_refused(values):
    model = mean_of(Y)
    approx = vi.fit(5, method="advi", model=model, **QUIET)
    before, draws = approx.record, approx.sample(3)
    hidden = np.arange(50) < 25
    other = np.ma.array(np.where(hidden, 999.0, Y), mask=hidden)
    model.set_data("data", other if values == "masked" else np.where(hidden, np.nan, Y))
    for refused in (
        lambda: approx.refine(5, progressbar=False),
        lambda: approx.sample(3),
        lambda: approx.compute_log_likelihood(draws),
        lambda: vi.fit(5, method="advi", model=model, **QUIET),
    ):
        with pytest.raises(ValueError, match=r"data.*masked|observed nan"):
            refused()
    assert approx.record is before
    model.set_data("data", Y)
    approx.refine(5, progressbar=False)


def test_masked_data_of_a_callback_are_refused():
    model = mean_of(Y)

    def change(approx, losses, i):
        model.set_data("data", np.ma.array(Y, mask=np.arange(50) < 25))

    with pytest.raises(ValueError, match=r"data.*masked"):
        vi.fit(5, method="advi", model=model, callbacks=[change], **QUIET)
