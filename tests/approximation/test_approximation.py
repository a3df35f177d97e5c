"""The live approximation: moments, draws in ArviZ form, files, and what PyMC and ArviZ do with
them.
"""

from __future__ import annotations

import warnings
import zipfile

import arviz_stats
import numpy as np
import optax
import pymc as pm
import pytensor
import pytest
import xarray as xr
from methods import fits_any
from problems import PROBLEMS, conjugate_regression, correlated_gaussian
from scipy import stats

import vi

METHODS = [
    pytest.param(name, marks=pytest.mark.slow if name == "nfvi" else ())
    for name in vi.METHODS
    if fits_any(name)
]


@pytest.fixture(params=["jax", "pytensor"])
def backend(request):
    return request.param


def schools():
    """Eight schools, with coords, dims, a deterministic, mutable data and a transformed
    variable.
    """
    y = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
    with pm.Model(coords={"school": list("ABCDEFGH")}) as model:
        sigma = pm.Data("sigma", np.array([15.0, 10, 16, 11, 9, 11, 10, 18]), dims="school")
        mu = pm.Normal("mu", 0.0, 5.0)
        tau = pm.HalfNormal("tau", 5.0)
        offset = pm.Normal("offset", dims="school")
        theta = pm.Deterministic("theta", mu + tau * offset, dims="school")
        pm.Normal("y", theta, sigma, observed=y, dims="school")
    return model


@pytest.fixture(scope="module")
def fitted():
    return vi.fit(
        2_000, method="advi", model=schools(), random_seed=1, backend="jax", progressbar=False
    )


def test_live_from_construction():
    """PyMC's parameters and start: mu at the initial point, rho at 0, sd softplus(rho)."""
    advi = vi.ADVI(model=correlated_gaussian().model)
    assert set(advi.approx.shared_params) == {"mu", "rho"}
    np.testing.assert_allclose(advi.approx.shared_params["rho"].get_value(), 0.0, atol=1e-15)
    np.testing.assert_allclose(advi.approx.std.eval(), np.log(2.0))
    np.testing.assert_allclose(advi.approx.mean.eval(), correlated_gaussian().mean)
    assert [p.name for p in advi.approx.params] == ["mu", "rho"]
    assert advi.approx.ndim == 3


@pytest.mark.few(1)
@pytest.mark.parametrize("method", METHODS)
def test_moments_are_those_of_the_draws(method):
    problem = conjugate_regression()
    approx = vi.fit(3_000, method=method, model=problem.model, random_seed=1, progressbar=False)
    z = approx.sample(20_000, random_seed=2, log_prob=False)["posterior"]["beta"].to_numpy()[0]
    error = 5 / np.sqrt(20_000)
    np.testing.assert_allclose(
        z.mean(axis=0), approx.mean.eval(), atol=error * approx.std.eval().max()
    )
    np.testing.assert_allclose(z.std(axis=0), approx.std.eval(), rtol=error)
    np.testing.assert_allclose(approx.std.eval(), np.sqrt(np.diag(approx.cov.eval())))
    scale = np.outer(approx.std.eval(), approx.std.eval())
    np.testing.assert_allclose(np.cov(z.T) / scale, approx.cov.eval() / scale, atol=1.5 * error)


@pytest.mark.few(1)
@pytest.mark.parametrize("method", METHODS)
def test_log_densities(method, backend):
    """log q against SciPy; log p against the exact posterior and evidence."""
    problem = conjugate_regression()
    approx = vi.fit(
        500, method=method, model=problem.model, random_seed=1, backend=backend, progressbar=False
    )
    z = approx.mean.eval() + 0.1 * np.arange(6).reshape(2, 3)
    if method not in ("svgd", "nfvi"):
        q = stats.multivariate_normal(approx.mean.eval(), approx.cov.eval())
        np.testing.assert_allclose(approx.logq(z), q.logpdf(z), rtol=1e-9)
    p = stats.multivariate_normal(problem.mean, problem.cov)
    # PyTensor folds constants such as log 2 pi in float32: 6e-8 of each of 43 terms
    np.testing.assert_allclose(approx.logp(z), p.logpdf(z) + problem.log_evidence, atol=1e-5)
    assert approx.logp(z[0]).shape == ()
    with pytest.raises(ValueError, match=r"\(\.\.\., 3\)"):
        approx.logq(np.zeros(2))
    if method == "svgd":
        with pytest.raises(TypeError, match="no density"):
            approx.logq(z)


@pytest.mark.few(1)
@pytest.mark.parametrize("mode", [None, "JAX"])
@pytest.mark.parametrize("method", METHODS)
def test_nodes_of_every_method(method, mode):
    """Draws inside a PyTensor graph have the moments of q, whatever q is."""
    problem = conjugate_regression()
    approx = vi.fit(300, method=method, model=problem.model, random_seed=1, progressbar=False)
    n = 4_000
    node = approx.sample_node(problem.model["beta"], size=n, random_seed=2)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The RandomType SharedVariables")
        draws = np.asarray(pytensor.function([], node, mode=mode)())
    points = approx.sample(n, random_seed=3, log_prob=False)["posterior"]["beta"].to_numpy()[0]
    error = 5 * points.std(axis=0) * np.sqrt(2 / n)  # both are draws
    assert draws.shape == (n, 3)
    assert np.all(np.abs(draws.mean(axis=0) - points.mean(axis=0)) < error)
    kurtosis = stats.kurtosis(points, fisher=False, axis=0)
    assert np.all(
        np.abs(np.log(draws.std(axis=0) / points.std(axis=0)))
        < 5 * np.sqrt((kurtosis - 1) / (2 * n))
    )


def test_moments_follow_the_run(backend):
    """`.eval` of one symbolic variable gives the current value during fit and refine."""
    advi = vi.ADVI(model=conjugate_regression().model, random_seed=1)
    mean, std, cov = advi.approx.mean, advi.approx.std, advi.approx.cov
    tracker = vi.callbacks.Tracker(mean=mean.eval, std=std.eval, cov=cov.eval)
    advi.fit(5, callbacks=[tracker], backend=backend, progressbar=False)
    advi.refine(5, progressbar=False)
    assert len(np.unique(np.stack(tracker["mean"])[:, 0])) == 10
    np.testing.assert_array_equal(tracker["mean"][-1], mean.eval())
    np.testing.assert_array_equal(tracker["std"][-1], std.eval())
    np.testing.assert_allclose(np.diag(tracker["cov"][-1]), std.eval() ** 2)


@pytest.mark.few(1)
def test_datatree(fitted):
    draws = fitted.sample(300, random_seed=3)
    assert isinstance(draws, xr.DataTree)
    assert set(draws.children) == {
        "posterior",
        "sample_stats",
        "observed_data",
        "constant_data",
        "fit",
    }
    posterior = draws["posterior"]
    assert set(posterior.data_vars) == {"mu", "tau", "offset", "theta"}
    assert posterior["theta"].dims == ("chain", "draw", "school")
    assert list(posterior["school"].values) == list("ABCDEFGH")
    assert (posterior["tau"] > 0).all()
    expected = posterior["mu"] + posterior["tau"] * posterior["offset"]
    np.testing.assert_allclose(posterior["theta"], expected.transpose(*posterior["theta"].dims))
    np.testing.assert_array_equal(draws["constant_data"]["sigma"], [15, 10, 16, 11, 9, 11, 10, 18])
    assert draws["observed_data"]["y"].dims == ("school",)
    np.testing.assert_array_equal(draws["fit"]["loss"], fitted.hist)
    assert draws["fit"].attrs["optimizer"].startswith("scale_free_adam")
    assert draws["fit"].attrs["random_seed"] == 1


def test_log_densities_of_draws(fitted):
    """sample_stats holds log p and log q of each draw: recomputed from the constrained values."""
    draws = fitted.sample(50, random_seed=3, include_transformed=True)
    posterior = draws["posterior"].to_dataset().isel(chain=0)
    z = np.concatenate(
        [
            posterior["mu"].values[:, None],
            posterior["tau_log__"].values[:, None],
            posterior["offset"].values,
        ],
        axis=1,
    )
    np.testing.assert_allclose(draws["sample_stats"]["log_q"][0], fitted.logq(z))
    np.testing.assert_allclose(draws["sample_stats"]["log_p"][0], fitted.logp(z))
    np.testing.assert_allclose(np.exp(posterior["tau_log__"]), posterior["tau"])


def test_what_is_dear_can_be_left_out(fitted):
    draws = fitted.sample(5, log_prob=False, store_data=False)
    assert set(draws.children) == {"posterior", "fit"}


def test_seed_of_draws(fitted):
    one, two, other = (fitted.sample(5, random_seed=seed, log_prob=False) for seed in (1, 1, 2))
    xr.testing.assert_equal(one["posterior"].to_dataset(), two["posterior"].to_dataset())
    assert not one["posterior"]["mu"].equals(other["posterior"]["mu"])
    assert not fitted.sample(5)["posterior"]["mu"].equals(fitted.sample(5)["posterior"]["mu"])


def test_pymc_and_arviz_take_the_draws(fitted):
    draws = fitted.sample(200, random_seed=1)
    predictive = pm.sample_posterior_predictive(
        draws, model=fitted.model, random_seed=1, progressbar=False
    )
    assert predictive["posterior_predictive"]["y"].sizes["school"] == 8
    pm.compute_log_likelihood(draws, model=fitted.model, progressbar=False)
    assert draws["log_likelihood"]["y"].sizes["draw"] == 200
    table = arviz_stats.summary(draws, kind="stats")
    assert {"mu", "tau", "theta[A]"} <= set(table.index)
    assert np.isfinite(float(arviz_stats.loo(draws).elpd))


def test_summary_gives_constrained_moments():
    """PyMC pushes a standard deviation through the transform.

    Ours is that of the variable: exact for a log-normal.
    """
    with pm.Model() as model:
        pm.LogNormal("x", 0.0, 0.5)
    approx = vi.fit(5_000, method="fullrank_advi", model=model, random_seed=1, progressbar=False)
    table = approx.summary(draws=40_000)
    exact = stats.lognorm(0.5)
    assert list(table.columns) == ["mean", "sd", "q5", "median", "q95"]
    # Monte-Carlo errors of 40,000 draws: 0.6 / 200 for the mean; the sd's relative error is larger
    # for its heavy tail
    assert table.loc["x", "mean"] == pytest.approx(exact.mean(), abs=0.015)
    assert table.loc["x", "sd"] == pytest.approx(exact.std(), rel=0.05)
    for column, q in (("q5", 0.05), ("median", 0.5), ("q95", 0.95)):
        assert table.loc["x", column] == pytest.approx(exact.ppf(q), rel=0.03)


def test_start_and_start_sigma():
    """Constrained and unconstrained names, arrays and scalars, on every kind of approximation."""
    model = schools()
    for kind in (vi.MeanField, vi.FullRank):
        approx = kind(
            model=model,
            start={"mu": 3.0, "tau": 2.0, "offset": np.arange(8.0)},
            start_sigma={"offset": 0.1, "tau": 0.3},
        )
        np.testing.assert_allclose(approx.mean.eval(), [3.0, np.log(2.0), *range(8)])
        np.testing.assert_allclose(approx.std.eval(), [np.log(2.0), 0.3, *[0.1] * 8])
    approx = vi.MeanField(model=model, start={"tau_log__": -1.0})
    assert approx.mean.eval()[1] == -1.0


def test_start_and_seed_are_honoured_for_every_form_of_method():
    model = conjugate_regression().model
    start = {"beta": np.array([5.0, 6.0, 7.0])}
    for method in ("advi", "ADVI", vi.ADVI, vi.ADVI(model=model)):
        approx = vi.fit(
            0, method=method, model=model, start=start, random_seed=11, progressbar=False
        )
        np.testing.assert_array_equal(approx.mean.eval(), start["beta"])
        assert approx.random_seed == 11


@pytest.mark.few(1)
def test_the_model_need_not_be_in_context(backend):
    with schools():
        approx = vi.fit(20, method="advi", random_seed=1, backend=backend, progressbar=False)
    assert approx.sample(3)["posterior"].sizes["draw"] == 3
    approx.refine(5, progressbar=False)


def test_klqp_over_any_approximation():
    """With a weight of the entropy near 0 little but the mode is left: q contracts."""
    model = PROBLEMS["conjugate_normal"]().model
    wide = vi.KLqp(vi.MeanField(model=model, random_seed=1)).fit(3_000, progressbar=False)
    little = vi.objectives.ClosedFormEntropy(entropy_weight=0.1)
    narrow = vi.KLqp(vi.MeanField(model=model, random_seed=1), estimator=little).fit(
        3_000, progressbar=False
    )
    # the optimum's variance is as many times as large
    assert narrow.std.eval()[0] / wide.std.eval()[0] == pytest.approx(np.sqrt(0.1), rel=0.05)
    assert isinstance(
        vi.fit(5, method=vi.KLqp(vi.MeanField(model=model)), progressbar=False), vi.MeanField
    )


def test_a_file_holds_no_code(fitted, tmp_path):
    path = tmp_path / "fit.npz"
    fitted.save(path)
    with zipfile.ZipFile(path) as archive:
        assert all(name.endswith(".npy") for name in archive.namelist())
        assert not any(b"pickle" in archive.read(name)[:200] for name in archive.namelist())
    np.load(path, allow_pickle=False)["meta"]
    assert list(tmp_path.iterdir()) == [path], "no temporary file is left"


def test_loading(fitted, tmp_path):
    fitted.save(tmp_path / "fit.npz")
    loaded = vi.load(tmp_path / "fit.npz", model=fitted.model)
    assert loaded.status == fitted.status
    xr.testing.assert_equal(
        loaded.sample(5, random_seed=1)["posterior"].to_dataset(),
        fitted.sample(5, random_seed=1)["posterior"].to_dataset(),
    )
    with pytest.raises(ValueError, match="not those that were fitted"):
        vi.load(tmp_path / "fit.npz", model=conjugate_regression().model)
    (tmp_path / "other.npz").write_bytes(b"something else")
    with pytest.raises(ValueError, match="not a file written by"):
        vi.load(tmp_path / "other.npz", model=fitted.model)
    with pytest.raises(FileNotFoundError):
        vi.load(tmp_path / "missing.npz", model=fitted.model)


def test_an_optimiser_that_a_file_cannot_hold(tmp_path):
    """Sampling works after loading; refine says what it needs, and works when it gets it."""
    model, optimizer = conjugate_regression().model, optax.adam(0.01)
    approx = vi.fit(
        20, method="advi", model=model, random_seed=1, obj_optimizer=optimizer, progressbar=False
    )
    approx.save(tmp_path / "fit.npz")
    lost = vi.load(tmp_path / "fit.npz", model=model)
    lost.sample(3)
    with pytest.raises(ValueError, match="obj_optimizer"):
        lost.refine(5, progressbar=False)
    kept = vi.load(tmp_path / "fit.npz", model=model, obj_optimizer=optimizer)
    kept.refine(5, progressbar=False)
    approx.refine(5, progressbar=False)
    np.testing.assert_array_equal(kept.hist, approx.hist)


@pytest.mark.slow
def test_more_replacements_apply_to_training_only():
    """Half of the data replaced by other data: the fit sees the replacement, draws and log p the
    model.
    """
    import pytensor

    data = pytensor.shared(np.zeros(10), name="data")
    other = pytensor.shared(np.full(10, 2.0), name="other")
    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, 1.0)
        pm.Normal("y", mu, 1.0, observed=np.zeros(10))
        pm.Potential("extra", -0.5 * ((data - mu) ** 2).sum())
    plain = vi.fit(4_000, method="fullrank_advi", model=model, random_seed=1, progressbar=False)
    replaced = vi.fit(
        4_000,
        method="fullrank_advi",
        model=model,
        random_seed=1,
        more_replacements={data: other},
        progressbar=False,
    )
    assert plain.mean.eval()[0] == pytest.approx(0.0, abs=1e-3)
    assert replaced.mean.eval()[0] == pytest.approx(20 / 21, abs=1e-3)
    assert replaced.logp(np.zeros(1)) == plain.logp(np.zeros(1))


def test_copies_made_in_mid_run_say_so(tmp_path):
    import copy

    copies = []

    def callback(approx, losses, i):
        if i == 3:
            approx.save(tmp_path / "middle.npz")
            copies.append(copy.deepcopy(approx))

    advi = vi.ADVI(model=conjugate_regression().model, random_seed=1)
    advi.fit(6, callbacks=[callback], progressbar=False)
    for twin in (*copies, vi.load(tmp_path / "middle.npz", model=conjugate_regression().model)):
        assert (twin.status.ending, twin.status.step) == ("interrupted", 3)
        twin.refine(3, progressbar=False, callbacks=[])
        np.testing.assert_array_equal(twin.hist, advi.hist)


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped", "array", "meta"])
def test_damaged_files_are_named(fitted, tmp_path, damage):
    path = tmp_path / "fit.npz"
    fitted.save(path)
    data = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "flipped":
        data[len(data) // 3] ^= 0xFF
        path.write_bytes(data)
    elif damage == "array":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    else:
        np.savez(path, meta=np.array("{}"))
    with pytest.raises(ValueError, match="not a file written by"):
        vi.load(path, model=fitted.model)


def test_saving_respects_the_file_system(fitted, tmp_path):
    import os

    (tmp_path / "real.npz").write_bytes(b"old")
    (tmp_path / "link.npz").symlink_to(tmp_path / "real.npz")
    fitted.save(tmp_path / "link.npz")
    assert (tmp_path / "link.npz").is_symlink()
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "real.npz").stat().st_mode & 0o777 == 0o666 & ~mask
    with pytest.raises(FileNotFoundError, match="nowhere"):
        fitted.save(tmp_path / "nowhere" / "fit.npz")


def test_summary_of_odd_variables():
    with pm.Model() as model:
        x = pm.Normal("x", 1.0, 1.0)
        pm.Deterministic("positive", x > 0)
    approx = vi.fit(1_000, method="fullrank_advi", model=model, random_seed=1, progressbar=False)
    assert approx.summary().loc["positive", "mean"] == pytest.approx(stats.norm.cdf(1.0), abs=0.05)
    assert list(approx.summary(var_names="x").index) == ["x"]
    with pytest.raises(ValueError, match="var_names is empty"):
        approx.summary(var_names=[])


def test_a_model_that_gained_a_variable_is_refused():
    with pm.Model() as model:
        pm.Normal("x")
    approx = vi.fit(5, method="advi", model=model, progressbar=False)
    with model:
        pm.Normal("new")
    for action in (
        approx.sample,
        lambda: approx.refine(3, progressbar=False),
        lambda: approx.logp(np.zeros(1)),
    ):
        with pytest.raises(ValueError, match="new"):
            action()


def test_data_changed_for_predictions():
    """Draws are had without log p where the present data do not fit the observations.

    With it, the error says so.
    """
    with pm.Model() as model:
        x = pm.Data("x", np.arange(4.0))
        slope = pm.Normal("slope")
        pm.Normal("y", slope * x, 1.0, observed=np.arange(4.0))
    approx = vi.fit(50, method="advi", model=model, backend="jax", progressbar=False)
    pm.set_data({"x": np.arange(7.0)}, model=model)
    with pytest.raises(ValueError, match="log_prob=False"):
        approx.sample(5)
    assert approx.sample(5, log_prob=False)["posterior"]["slope"].sizes["draw"] == 5


def test_start_from_labelled_arrays():
    """By dims and coords, whatever their order; also from the mean of other draws."""
    model = schools()
    values = xr.DataArray(np.arange(8.0), coords={"school": list("ABCDEFGH")}, dims="school")
    approx = vi.MeanField(
        model=model,
        start={"offset": values[::-1], "mu": 1},
        start_sigma={"offset": values[::-1] + 1},
    )
    np.testing.assert_array_equal(approx.mean.eval()[2:], np.arange(8.0))
    np.testing.assert_allclose(approx.std.eval()[2:], np.arange(1.0, 9.0))
    draws = approx.sample(10, random_seed=1)["posterior"].to_dataset().mean(("chain", "draw"))
    again = vi.MeanField(model=model, start={name: draws[name] for name in ("mu", "tau", "offset")})
    np.testing.assert_allclose(again.mean.eval()[2:], draws["offset"])
    scalar = vi.MeanField(model=model, start={"offset": 2.0})
    np.testing.assert_array_equal(scalar.mean.eval()[2:], 2.0)


@pytest.mark.parametrize("seed", [-1, 2**70, 1.5, "one", True])
def test_bad_seeds(seed):
    with pytest.raises((TypeError, ValueError), match="random_seed"):
        vi.ADVI(model=correlated_gaussian().model, random_seed=seed)


def test_seeds_of_every_kind():
    def first(seed):
        return vi.fit(
            1,
            method="advi",
            model=correlated_gaussian().model,
            random_seed=seed,
            dtype="float32",
            progressbar=False,
        ).hist[0]

    kinds = [
        1,
        2,
        2**32 + 1,
        [1, 2],
        np.random.SeedSequence(7),
        np.random.default_rng(3),
        np.random.RandomState(3),
    ]
    assert len({first(seed) for seed in kinds}) == len(kinds)
    assert first(1) == first(np.int64(1)) == first([1])
    assert first(np.random.default_rng(3)) == first(np.random.default_rng(3))
