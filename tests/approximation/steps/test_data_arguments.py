"""Fits on streamed rows: the posterior, resuming, what is made over rows afterwards, and what is
refused.
"""

from __future__ import annotations

import copy
import pickle
import threading

import cloudpickle
import numpy as np
import pymc as pm
import pytest

import vi
from vi.data import ArraySource, DataError, DatasetSource, LoaderSource, Stream, head

N, B = 2000, 50


@pytest.fixture(scope="module")
def rows():
    """Rows sorted by their answer: the worst order."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(N, 2))
    y = x @ [1.0, -2.0] + rng.normal(size=N)
    order = np.argsort(y)
    return {"x": x[order], "y": y[order]}


@pytest.fixture
def files(rows, tmp_path):
    for name, array in rows.items():
        np.save(tmp_path / f"{name}.npy", array)
    return {name: tmp_path / f"{name}.npy" for name in rows}


def model_of(first, total_size=None, sigma=1.0):
    with pm.Model() as model:
        x, y = pm.Data("x", first["x"][:30]), pm.Data("y", first["y"][:30])
        beta = pm.Normal("beta", 0.0, 10.0, shape=2)
        mu = pm.Deterministic("mu", x @ beta)
        pm.Deterministic("first", 2.0 * beta[0])
        pm.Normal("answer", mu, sigma, observed=y, total_size=total_size)
    return model


def exact(rows):
    cov = np.linalg.inv(rows["x"].T @ rows["x"] + np.eye(2) / 100)
    return cov @ rows["x"].T @ rows["y"], np.sqrt(np.diag(cov))


def small_windows(files, **options):
    """Chunks of 100 rows and a window of five of them."""
    return Stream(
        ArraySource(files, chunk_rows=100), B, buffer_rows=1000, block_batches=7, **options
    )


@pytest.mark.parametrize("backend", ["jax", pytest.param("pytensor", marks=pytest.mark.slow)])
@pytest.mark.slow
def test_sorted_rows_give_the_posterior(backend, rows, files):
    stream = small_windows(files)
    approx = vi.fit(
        6000,
        method="advi",
        model=model_of(rows),
        data=stream,
        backend=backend,
        random_seed=1,
        progressbar=False,
    )
    mean, sd = exact(rows)
    # As if a batch had W = 5 rows of N (the page on data): the iterate's excess variance over 0.21
    # n = 1,260 steps is about N / (5 * 1260) = 0.3 sd^2 at most; four standard deviations of that
    # would be 2.3. What is measured is less: a window is left after 10 steps, and over an epoch of
    # 40 steps its error is made good.
    assert np.all(np.abs(approx.mean.eval() - mean) < 1.0 * sd)
    assert np.all(np.abs(np.log(approx.std.eval() / sd)) < 0.5)
    assert not [t for t in threading.enumerate() if t.name == "vi.data.Stream" and t.is_alive()]


@pytest.mark.slow
def test_backends_and_cuts_see_the_same_rows(rows, files):
    losses = []
    for backend, cuts in (("jax", [120]), ("pytensor", [120]), ("jax", [1, 49, 70])):
        inference = vi.ADVI(model=model_of(rows), random_seed=2)
        inference.fit(cuts[0], data=small_windows(files), backend=backend, progressbar=False)
        for n in cuts[1:]:
            inference.refine(n, progressbar=False)
        losses.append(inference.hist)
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-7)
    np.testing.assert_array_equal(losses[0], losses[2])


@pytest.mark.slow
def test_in_memory_and_streamed_fits_agree_in_the_loss_of_an_epoch(rows, files):
    """q hardly moves with a tiny rate.

    An epoch's mean loss is then that of all rows, however they come.
    """
    model, options = (
        model_of(rows),
        {"random_seed": 1, "progressbar": False, "obj_optimizer": vi.sgd(1e-12)},
    )
    fits = [
        vi.fit(N // B, method="advi", model=model, data=rows, batch_size=B, **options),
        vi.fit(N // B, method="advi", model=model, data=small_windows(files), **options),
        vi.fit(N // B, method="advi", model=model, data=rows, **options),
    ]
    losses = [fit.hist for fit in fits]
    spread = np.std(losses[0]) / np.sqrt(
        N // B
    )  # the same noise of the draws; that of the rows sums to zero
    for loss in losses[:2]:
        assert abs(loss.mean() - losses[2].mean()) < 5 * spread


def test_what_is_over_rows_afterwards(rows, files):
    model = model_of(rows)
    approx = vi.fit(
        500, method="advi", model=model, data=small_windows(files), random_seed=1, progressbar=False
    )
    draws = approx.sample(20, random_seed=1)
    assert set(draws.posterior.data_vars) == {"beta", "first"}
    assert draws.posterior.attrs["left_out"] == ["mu"]
    assert "log_p" not in draws.sample_stats
    with pytest.raises(TypeError, match="rows are streamed"):
        approx.logp(np.zeros(2))
    assert not {"observed_data", "constant_data"} & set(draws.children)
    beta = draws.posterior["beta"].to_numpy()[0]
    with_rows = approx.sample(20, random_seed=1, rows=True)
    np.testing.assert_allclose(
        with_rows.posterior["mu"].to_numpy()[0], beta @ rows["x"].T, rtol=1e-9
    )
    tree = approx.compute_log_likelihood(draws, block_rows=700)
    expected = -0.5 * (rows["y"] - beta @ rows["x"].T) ** 2 - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(tree.log_likelihood["answer"].to_numpy()[0], expected, rtol=1e-6)
    predicted = approx.sample_posterior_predictive(
        draws, block_rows=700, random_seed=1
    ).posterior_predictive["answer"]
    assert predicted.shape == (1, 20, N)
    residual = predicted.to_numpy()[0] - beta @ rows["x"].T
    assert abs(residual.mean()) < 5 / np.sqrt(20 * N)
    assert len(model["x"].get_value()) == 30, "the containers have their values back"


def test_zarr_and_loaders(rows, tmp_path):
    import xarray as xr

    pytest.importorskip("zarr")
    data = xr.Dataset({"x": (("row", "k"), rows["x"]), "y": ("row", rows["y"])})
    data.to_zarr(
        tmp_path / "rows.zarr", encoding={"x": {"chunks": (100, 2)}, "y": {"chunks": (100,)}}
    )

    def batches():
        order = np.random.default_rng(0).permutation(N)
        for part in np.split(order, N // 40):
            yield {name: array[part] for name, array in rows.items()}

    mean, sd = exact(rows)
    for source in (
        DatasetSource(xr.open_zarr(tmp_path / "rows.zarr")),
        LoaderSource(batches, n_rows=N),
    ):
        approx = vi.fit(
            4000,
            method="advi",
            model=model_of(rows),
            data=source,
            batch_size=B,
            random_seed=1,
            progressbar=False,
        )
        assert np.all(np.abs(approx.mean.eval() - mean) < 1.0 * sd)


def test_total_size_is_checked(rows, files):
    approx = vi.fit(
        3,
        method="advi",
        model=model_of(rows, total_size=N),
        data=files,
        batch_size=B,
        progressbar=False,
    )
    assert np.isfinite(approx.hist).all()
    with pytest.raises(ValueError, match=r"total_size=40 of 'answer'.*Write total_size=2000"):
        vi.fit(
            3,
            method="advi",
            model=model_of(rows, total_size=N // B),
            data=files,
            batch_size=B,
            progressbar=False,
        )


def test_copies_files_and_pickles(rows, files, tmp_path):
    model = model_of(rows)
    approx = vi.fit(
        40, method="advi", model=model, data=small_windows(files), random_seed=1, progressbar=False
    )
    twin = copy.deepcopy(approx).refine(30, progressbar=False)
    approx.save(tmp_path / "fit.npz")
    loaded = vi.load(tmp_path / "fit.npz", model)
    thawed = pickle.loads(cloudpickle.dumps(approx))
    for other in (loaded, thawed):
        with pytest.raises(TypeError, match=r"fitted with data=.*refine\(n, data=...\)"):
            other.refine(30, progressbar=False)
        other.refine(30, data=small_windows(files), progressbar=False)
        np.testing.assert_array_equal(other.hist, twin.hist)


@pytest.mark.slow
def test_a_file_that_is_cut_short_in_mid_run(rows, files):
    """The last good state is kept, and the run goes on when the file is back."""
    whole = files["x"].read_bytes()

    def cut(approx, losses, i):
        if i == 60:
            files["x"].write_bytes(whole[:2000])

    stream = small_windows(files, read_ahead=1)
    inference = vi.ADVI(model=model_of(rows), random_seed=1)
    with pytest.raises(DataError, match=r"x\.npy"):
        inference.fit(400, data=stream, callbacks=[cut], progressbar=False)
    done = len(inference.hist)
    assert 60 <= done < 400
    assert inference.status.ending == "failed"
    files["x"].write_bytes(whole)
    inference.approx.refine(400 - done, callbacks=[], progressbar=False)
    again = vi.fit(
        400,
        method="advi",
        model=model_of(rows),
        data=small_windows(files),
        random_seed=1,
        progressbar=False,
    )
    np.testing.assert_array_equal(inference.hist, again.hist)


def test_refused(rows, files):
    model = model_of(rows)
    fit = lambda data, **options: vi.fit(  # noqa: E731
        3, method="advi", model=model, data=data, progressbar=False, **options
    )
    with pytest.raises(ValueError, match=r"'z', which is no pm.Data container.*'x', 'y'"):
        fit({"z": rows["x"]}, batch_size=B)
    with pytest.raises(ValueError, match="different lengths: 'x': 2000, 'y': 5"):
        fit({"x": rows["x"], "y": rows["y"][:5]}, batch_size=B)
    with pytest.raises(ValueError, match="A row of 'x' has shape"):
        fit(ArraySource({"x": np.zeros((N, 3)), "y": rows["y"]}), batch_size=B)
    with pytest.raises(TypeError, match="data= needs batch_size="):
        fit(ArraySource(files))
    with pytest.raises(TypeError, match=r"give data=, or use vi\.Minibatch"):
        fit(None, batch_size=B)
    with pytest.raises(ValueError, match="batches of 50 rows"):
        fit(small_windows(files), batch_size=7)
    with pytest.raises(ValueError, match=r"observed values are still the full data|drawn together"):
        fit({"x": rows["x"]}, batch_size=30)
    with pytest.raises(ValueError, match="NaN in 1 of 2000 rows, first in 3"):
        fit({"x": rows["x"], "y": np.where(np.arange(N) == 3, np.nan, rows["y"])}, batch_size=B)
    with pytest.raises(TypeError, match="n_rows"):
        fit(iter([rows]), batch_size=B)


def test_rows_with_nan_in_a_stream(rows, files):
    y = rows["y"].copy()
    y[77] = np.nan
    source = ArraySource({"x": rows["x"], "y": y})
    with pytest.raises(DataError, match=r"'y' has NaN in 1 of \d+ rows, first in 77"):
        vi.fit(
            100,
            method="advi",
            model=model_of(head(source, 30)),
            data=Stream(source, B),
            progressbar=False,
        )
    approx = vi.fit(
        100,
        method="advi",
        model=model_of(head(source, 30)),
        data=Stream(source, B, nan="drop"),
        progressbar=False,
    )
    assert approx.record.data.training.streamed.n_rows == N - 1
