"""Fits over few rows: data that change, batches, files, and the way without."""

import logging

import numpy as np
import pymc as pm
import pytest

import vi
from vi.approximation.record.log_density import target
from vi.targets.sums.derived import DerivedVariable

BACKENDS = pytest.mark.parametrize("backend", ["jax", "pytensor"])
QUIET = {"random_seed": 1, "progressbar": False}
EXACT = {"method": "advi", "inf_kwargs": {"estimator": "sticking_the_landing"}}
Y = np.random.default_rng(1).normal(3.0, 1.0, 200)


def mean_of(values):
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mu", 0.0, 10.0), 1.0, observed=pm.Data("data", values))
    return model


def exact(values):
    """The posterior mean; that of the fit has no noise at the end, and steps bring it nearer."""
    return values.sum() / (len(values) + 0.01)


def few(approx, training=False):
    shared = target(approx.record, training=training).graph.shared
    return [v for v in shared if isinstance(v, DerivedVariable)]


@BACKENDS
def test_data_that_change_in_mid_run(backend):
    """Steps after the change are those of the new data."""
    model = mean_of(np.zeros(200))

    def change(approx, losses, i):
        if i == 100:
            model["data"].set_value(Y)

    approx = vi.fit(3000, model=model, callbacks=[change], backend=backend, **EXACT, **QUIET)
    assert len(few(approx)) == 2
    assert approx.mean.eval().item() == pytest.approx(exact(Y), abs=0.01)


@BACKENDS
def test_data_that_change_between_fits(backend):
    """Of another length too; and log p of the approximation is that of the present data."""
    model = mean_of(Y)
    approx = vi.fit(5, model=model, backend=backend, **EXACT, **QUIET)
    for data in (Y + 1.0, Y[:150], np.concatenate([Y, Y, Y + 2.0])):
        model["data"].set_value(data)
        points = np.array([[1.0], [3.0]])
        plain = [model.compile_logp()({"mu": point[0]}) for point in points]
        np.testing.assert_allclose(target(approx.record).log_prob(points), plain, rtol=1e-12)
    approx.refine(3000, progressbar=False)
    assert approx.mean.eval().item() == pytest.approx(exact(data), abs=0.01)


def test_data_of_different_lengths_are_refused():
    """As without rewriting: by name, and nothing has changed."""
    x = np.linspace(0.0, 1.0, 200)
    with pm.Model() as model:
        mu = pm.Normal("b") * pm.Data("x", x)
        pm.Normal("y", mu, 1.0, observed=pm.Data("data", Y))
    approx = vi.fit(5, model=model, **EXACT, **QUIET)
    assert len(few(approx)) == 3
    record = approx.record
    model["x"].set_value(x[:150])
    with pytest.raises(ValueError, match="data have changed"):
        approx.refine(5, progressbar=False)
    assert approx.record is record


def test_without(caplog):
    caplog.set_level(logging.INFO, "vi")
    plain = vi.fit(5, model=mean_of(Y), rewrite=False, **EXACT, **QUIET)
    assert "weighted" not in caplog.text
    assert few(plain) == few(plain, training=True) == []
    rewritten = vi.fit(5, model=mean_of(Y), **EXACT, **QUIET)
    assert "200 rows of y count as 2 weighted ones" in caplog.text
    assert len(few(rewritten)) == len(few(rewritten, training=True)) == 2
    np.testing.assert_allclose(rewritten.hist, plain.hist, rtol=1e-12)


@pytest.mark.parametrize("rewrite", [True, False])
def test_files_and_refine_keep_it(tmp_path, rewrite):
    """Saved and loaded in between, a run is the same to the last bit."""
    model = mean_of(Y)
    approx = vi.fit(5, model=model, rewrite=rewrite, **EXACT, **QUIET)
    approx.save(tmp_path / "fit.vi")
    other = vi.load(tmp_path / "fit.vi", model)
    approx.refine(5, progressbar=False)
    other.refine(5, progressbar=False)
    assert bool(few(other, training=True)) is rewrite
    np.testing.assert_array_equal(other.hist, approx.hist)


def test_a_model_in_batches_has_few_rows_where_all_are_meant():
    """Steps see batches as they are."""
    with pm.Model() as model:
        batch = vi.Minibatch(Y, batch_size=10)
        pm.Normal("y", pm.Normal("mu", 0.0, 10.0), 1.0, observed=batch, total_size=200)
    approx = vi.fit(5, method="advi", model=model, **QUIET)
    assert few(approx, training=True) == []
    assert len(few(approx)) == 2
    z = np.array([[2.0]])
    plain = mean_of(Y).compile_logp()({"mu": 2.0})
    np.testing.assert_allclose(target(approx.record).log_prob(z), plain, rtol=1e-12)


def test_data_of_a_fit():
    """All rows of data= count as few too."""
    model = mean_of(np.zeros(3))
    approx = vi.fit(3000, model=model, data={"data": Y}, **EXACT, **QUIET)
    assert len(few(approx, training=True)) == 2
    assert approx.mean.eval().item() == pytest.approx(exact(Y), abs=0.01)
