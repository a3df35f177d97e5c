"""Points beside distributions: against closed forms, in all that is asked of a fit."""

from __future__ import annotations

import functools

import jax
import numpy as np
import pymc as pm
import pytest
from scipy import stats

import vi
from vi.families import MeanField, Part, Point, Product
from vi.families.point import point_entries, widths

Y = np.array([3.0, -3.0, 1.0, -1.0])
QUIET = {"progressbar": False}


@functools.cache
def effects():
    """Of a ~ N(0, tau), y ~ N(a, 1) with mean(y ** 2) = 5, tau ** 2 + 1 = 5 is most likely."""
    with pm.Model() as model:
        tau = pm.HalfFlat("tau")
        a = pm.Normal("a", 0.0, tau, shape=4)
        pm.Normal("y", a, 1.0, observed=Y)
    return model


def groups():
    return [vi.Group(["tau"], family="point"), vi.Group(None)]


def fitted(n=200, **options):
    approx = vi.Approximation(groups(), model=effects(), random_seed=1)
    return vi.KLqp(approx).fit(n, **QUIET, **options)


@pytest.fixture(scope="module")
def approx():
    return fitted(10_000)


def test_the_most_likely_scale(approx):
    """The gradient in tau has the variance sum(Var a_i^2) / tau^6 = 0.72, the log likelihood the
    curvature 1.28: of the 0.21 n averaged iterates a standard error of 0.663 / sqrt(0.21 n).
    """
    error = 0.663 / np.sqrt(0.21 * 10_000)
    tau = approx.sample(10, random_seed=1)["posterior"]["tau"].to_numpy()
    assert np.ptp(tau) == 0.0
    assert tau.flat[0] == pytest.approx(2.0, abs=5 * error)


def test_the_others_have_their_posterior_given_the_point(approx):
    """Of a given tau: N(s y, s) with s = tau^2 / (tau^2 + 1); means have unit noise in sds."""
    tau = approx.sample(1, random_seed=1)["posterior"]["tau"].item()
    s = tau**2 / (tau**2 + 1)
    error = 5 / np.sqrt(0.21 * 10_000)
    moments = approx.mean_data["a"], approx.std_data["a"]
    np.testing.assert_allclose(moments[0], s * Y, atol=error * np.sqrt(s))
    np.testing.assert_allclose(moments[1], np.sqrt(s), rtol=error)


def test_moments_draws_and_tables_have_no_width(approx):
    assert approx.std.eval()[0] == 0.0
    np.testing.assert_array_equal(approx.cov.eval()[0], 0.0)
    row = approx.summary(draws=100).loc["tau"]
    assert row["sd"] < 4 * np.finfo(float).eps  # rounding of the mean of equal numbers
    assert row["q5"] == row["median"] == row["q95"]
    assert approx.settings()["points"] == "tau"
    assert approx.settings()["loss"] == "minus the ELBO, given points of tau"


def test_a_verdict_is_on_the_others(approx):
    with np.errstate(all="raise", under="ignore"):
        found = approx.diagnose()
    assert found.verdict == "good"
    assert list(found.table["unconstrained"].to_numpy()) == ["a[0]", "a[1]", "a[2]", "a[3]"]
    assert found.skipped[0].startswith("tau: point estimates")


def test_files_keep_points_and_verdict(approx, tmp_path):
    approx.diagnose()
    approx.save(tmp_path / "fit.vi")
    loaded = vi.load(tmp_path / "fit.vi", model=effects())
    np.testing.assert_array_equal(loaded.std.eval(), approx.std.eval())
    np.testing.assert_array_equal(loaded.mean.eval(), approx.mean.eval())
    assert loaded.diagnosis.verdict == approx.diagnosis.verdict


@pytest.mark.parametrize("batched", [False, True])
def test_no_jacobian_of_a_point(batched):
    """log p is that of sigma as the model has it, in sigma; of tau, which is no point, in log tau.

    In batches too: all rows once an epoch, each times N / B.
    """
    x = np.array([0.5, -1.0, 2.0, 1.5])
    with pm.Model() as model:
        data = vi.Minibatch(x, batch_size=2) if batched else x
        size = {"total_size": 4} if batched else {}
        sigma, tau = pm.Gamma("sigma", 3.0, 2.0), pm.Gamma("tau", 2.0, 1.0)
        pm.Normal("y", tau, sigma, observed=data, **size)
    approx = vi.Approximation([vi.Group(["sigma"], family="point"), vi.Group(None)], model=model)
    z = np.array([0.3, -0.2])
    s, t = np.exp(z)
    prior = stats.gamma.logpdf(s, 3, scale=0.5) + stats.gamma.logpdf(t, 2) + z[1]
    expected = prior + stats.norm.logpdf(x, t, s).sum()
    assert float(approx.logp(z)) == pytest.approx(expected, rel=1e-9)
    if batched:
        target = approx.target(training=True)
        words = np.array([1, 2], np.uint32)
        steps = [target.at_step(target.batch(), words, np.uint32(step)) for step in range(2)]
        values = [float(target.log_prob(z, inputs)) for inputs in steps]
        assert values[0] != values[1]
        assert np.mean(values) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("ask", ["sample_mcmc", "nuts_step"])
@pytest.mark.parametrize("family", ["point", "beside"])
def test_chains_are_told_that_points_have_no_width(ask, family):
    with pm.Model() as model:
        sigma = pm.Gamma("sigma", 3.0, 2.0)
        pm.Normal("y", 0.0, sigma)
    groups = "point" if family == "point" else [vi.Group(["sigma"], family="point"), vi.Group(None)]
    approx = vi.Approximation(groups, model=model, random_seed=1)
    names = "sigma, y" if family == "point" else "sigma"
    with pytest.raises(ValueError, match=f"^{names}: point estimates, without a width.*all var"):
        getattr(approx, ask)()


@pytest.mark.few(1)
@pytest.mark.parametrize("backend", ["jax", "pytensor"])
def test_points_alone_are_the_mode(backend):
    """Steps without noise, against the search for the mode; 0.05 / sqrt(1 + 999 / 200) is the last
    step.
    """
    with pm.Model() as model:
        pm.Gamma("sigma", 3.0, 2.0)
    approx = vi.Approximation("point", model=model, random_seed=1)
    vi.KLqp(approx).fit(1000, backend=backend, **QUIET)
    last = 0.05 * 0.693 / np.sqrt(1 + 999 / 200)
    mode = vi.find_map(model)["sigma"]  # 1, where 1.5 is that of log sigma
    found = approx.sample(1, random_seed=1)["posterior"]["sigma"].item()
    assert np.log(found) == pytest.approx(np.log(mode), abs=last)
    with pytest.raises(ValueError, match=r"All variables \(sigma\) are point estimates"):
        approx.diagnose()


@pytest.mark.slow
def test_several_starts_differ_and_agree():
    approx = fitted(3000, restarts=3)
    first = approx.record.starts["restart_mean"].to_numpy()[:, 0]
    assert len(np.unique(first)) == 3
    assert np.isfinite(approx.record.starts["restart_distance"]).all()


def test_a_run_ends_by_itself():
    approx = fitted(50_000, callbacks=[vi.callbacks.CheckConvergence()])
    assert approx.status.ending == "converged"


def test_where_points_are_and_how_long_their_steps():
    family = Product((Part("a", MeanField(), ((0, 1), (3, 4))), Part("b", Point(), ((1, 3),))))
    np.testing.assert_array_equal(point_entries(family, 4), [1, 2])
    np.testing.assert_array_equal(point_entries(Point(), 2), [0, 1])
    assert not len(point_entries(MeanField(), 2))
    std = np.array([1.0, 2.0, 3.0, 4.0], "float32")
    params = family.init(jax.numpy.zeros(4), jax.numpy.asarray(std), jax.random.key(0))
    np.testing.assert_allclose(widths(family, params), std, rtol=1e-6)
    np.testing.assert_allclose(family.std(params), [1.0, 0.0, 0.0, 4.0], rtol=1e-6)
