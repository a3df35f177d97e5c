"""Before the first step: what is too wide starts narrower, and nothing else changes."""

from __future__ import annotations

import logging

import numpy as np
import pymc as pm
import pytest

import vi
from vi.targets.model.prior_widths import DRAWS

LOG2 = np.log(2.0)
QUIET = {"progressbar": False}


def narrow():
    """Two wide coordinates around one whose prior is a thousandth wide."""
    with pm.Model() as model:
        pm.Normal("a", 0.0, 1.0)
        x = pm.Normal("x", 0.0, 1e-3)
        pm.Normal("b", 0.0, 1.0)
        pm.Normal("y", x, 1.0, observed=[0.3])
    return model


def overflowing():
    """exp(1000 x) is more than floats hold at half of the draws of a start of 0.693."""
    with pm.Model() as model:
        x, z = pm.Normal("x", 0.0, 1.0), pm.Normal("z", 0.0, 1.0)
        pm.Normal("y", pm.math.exp(1000.0 * x) + z, 1.0, observed=[1.0, 2.0])
    return model


def begun(model, **options):
    """The widths from which the first step was made."""
    approx = vi.ADVI(model=model, random_seed=1, **options).fit(1, **QUIET)
    return np.logaddexp(0.0, np.asarray(approx.record.start["rho"]))


def test_the_prior_decides_where_it_is_ten_times_narrower(caplog):
    with caplog.at_level(logging.INFO, "vi"):
        std = begun(narrow())
    np.testing.assert_allclose(std[[0, 2]], LOG2, rtol=1e-6)
    assert std[1] == pytest.approx(1e-3, rel=4 / np.sqrt(2 * (DRAWS - 1)))
    assert "as wide as the prior in x:" in caplog.text


def test_until_a_fit_the_start_is_pymcs():
    approx = vi.ADVI(model=narrow(), random_seed=1).fit(0, **QUIET)
    np.testing.assert_allclose(approx.std.eval(), LOG2, rtol=1e-6)


def test_what_the_user_gave_stays():
    std = begun(narrow(), start_sigma={"x": 0.5})
    np.testing.assert_allclose(std, [LOG2, 0.5, LOG2], rtol=1e-6)


def test_parameters_that_were_set_stay():
    inference = vi.ADVI(model=narrow(), random_seed=1)
    inference.approx.set_params({"mu": [1.0, 0.0, 1.0]})
    before = inference.approx.reported["rho"]
    inference.fit(1, **QUIET)
    np.testing.assert_array_equal(inference.approx.record.start["rho"], before)


def test_ordinary_models_are_left_alone():
    with pm.Model() as model:
        pm.Normal("x", pm.Normal("m", 0.0, 1.0), pm.HalfNormal("s", 1.0), observed=[1.0])
    inference = vi.ADVI(model=model, random_seed=1)
    before = inference.approx.record.start
    inference.fit(1, **QUIET)
    assert inference.approx.record.start is before


@pytest.mark.parametrize("backend", ["jax", "pytensor"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.few(1)
def test_overflow_is_narrowed_where_it_comes_from(backend, dtype, caplog):
    with caplog.at_level(logging.WARNING, "vi"):
        inference = vi.ADVI(model=overflowing(), random_seed=1, dtype=dtype)
        inference.fit(100, backend=backend, **QUIET)
    std = np.logaddexp(0.0, np.asarray(inference.approx.record.start["rho"]))
    # log p, the square of exp, is finite at draws up to three sds
    assert std[0] < 0.5 * np.log(np.finfo(dtype).max) / 1000
    assert std[1] == pytest.approx(LOG2, rel=1e-6)
    assert "q starts narrower in x " in caplog.text


@pytest.mark.parametrize("model", [narrow, overflowing])
@pytest.mark.few(1)
def test_cut_runs_are_one_run(model):
    whole = vi.ADVI(model=model(), random_seed=1).fit(30, **QUIET)
    cut = vi.ADVI(model=model(), random_seed=1).fit(0, **QUIET)
    cut.refine(10, progressbar=False)
    cut.refine(20, progressbar=False)
    np.testing.assert_array_equal(whole.hist, cut.hist)
    np.testing.assert_array_equal(whole.std.eval(), cut.std.eval())


@pytest.mark.slow
def test_a_file_written_before_the_first_fit_fits_alike(tmp_path):
    model = narrow()
    approx = vi.MeanField(model=model, random_seed=1, start_sigma={"a": 0.5})
    approx.save(tmp_path / "begun.npz")
    loaded = vi.load(tmp_path / "begun.npz", model=model)
    losses = [vi.KLqp(one).fit(5, **QUIET).hist for one in (approx, loaded)]
    np.testing.assert_array_equal(*losses)


@pytest.mark.slow
def test_frozen_groups_stay_as_they_are():
    model = narrow()
    groups = [
        vi.Group([model["x"]], vi.families.MeanField(), frozen=True, name="fixed"),
        vi.Group(None, vi.families.MeanField(), name="rest"),
    ]
    approx = vi.Approximation(groups, model=model, random_seed=1)
    vi.KLqp(approx).fit(1, **QUIET)
    np.testing.assert_allclose(
        np.logaddexp(0.0, np.asarray(approx.record.start["fixed.rho"])), LOG2, rtol=1e-6
    )


@pytest.mark.slow
@pytest.mark.parametrize("method", ["advi", "fullrank_advi", "dadvi"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_poisson_counts_with_a_narrow_rate_are_right(method, dtype):
    """y ~ Poisson(exp(50 x)), x ~ N(0, 0.05): by quadrature. At sd 0.693 draws reach e^100."""
    y = np.array([1, 2, 1])
    with pm.Model() as model:
        pm.Poisson("y", pm.math.exp(50.0 * pm.Normal("x", 0.0, 0.05)), observed=y)
    approx = vi.fit(method=method, model=model, random_seed=1, dtype=dtype, **QUIET)
    grid = np.linspace(-0.1, 0.1, 20_001)
    log_p = -0.5 * (grid / 0.05) ** 2 + y.sum() * 50 * grid - y.size * np.exp(50 * grid)
    weights = np.exp(log_p - log_p.max())
    weights /= weights.sum()
    mean = weights @ grid
    std = np.sqrt(weights @ (grid - mean) ** 2)
    # a normal q of a skewed posterior; 30 fixed draws leave 1 / sqrt(30) sds
    assert abs(approx.mean.eval()[0] - mean) < std / np.sqrt(30)


@pytest.mark.slow
def test_rows_in_batches_overflow_too(caplog):
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 1.0)
        y = vi.Minibatch(np.ones(100), batch_size=10)
        pm.Normal("y", pm.math.exp(1000.0 * x), 1.0, observed=y, total_size=100)
    with caplog.at_level(logging.WARNING, "vi"):
        vi.fit(5, method="advi", model=model, random_seed=1, **QUIET)
    assert "q starts narrower in x " in caplog.text
