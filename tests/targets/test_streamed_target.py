"""The log density of all rows of a stream is that of the same rows in memory."""

from __future__ import annotations

import importlib

import numpy as np
import pymc as pm
import pytest

import vi
from vi.approximation.record.log_density import target_of_every_row
from vi.data import ArraySource, DataError, LoaderSource, Stream
from vi.foundation.precision import precision

MODULE = importlib.import_module("vi.targets.backends.streamed_target")
N, B = 137, 10


@pytest.fixture
def rows():
    rng = np.random.default_rng(2)
    return {"x": rng.normal(size=(N, 2)), "y": rng.normal(size=N)}


def model_of(rows, total_size=None):
    """A prior, a term that no row has a part in, a likelihood and a sum over rows."""
    with pm.Model() as model:
        x, y = pm.Data("x", rows["x"]), pm.Data("y", rows["y"])
        beta = pm.Normal("beta", 0.0, 2.0, shape=2)
        sigma = pm.HalfNormal("sigma", 1.0)
        pm.Deterministic("twice", 2 * beta)
        pm.Deterministic("mu", (x * beta).sum(axis=-1))
        pm.Potential("ridge", -(beta**2).sum())
        pm.Potential("rows", -0.1 * ((x * beta).sum(axis=-1) - y) ** 2)
        mu = (x * beta).sum(axis=-1)
        pm.Normal("answer", mu, sigma, observed=y, shape=y.shape, total_size=total_size)
    return model


def fitted(rows, data, *, scale=None, total_size=None, **options):
    scale = {"rows": "rows"} if scale is None else scale
    few = {name: values[:20] for name, values in rows.items()}
    return vi.fit(
        2,
        "advi",
        model_of(few, total_size),
        data=data,
        scale=scale,
        random_seed=1,
        progressbar=False,
        **options,
    )


def compared(approx, rows, tolerance=1e-12):
    """Values and scores against all rows in memory, by the sizes of what is summed."""
    target = target_of_every_row(approx.record)
    memory = vi.MeanField(model=model_of(rows), random_seed=1, dtype=approx.record.dtype).target()
    points = np.random.default_rng(3).normal(size=(70, 3)).astype(target.dtype)
    values, scores = target.in_one_pass(points, 5)
    with precision(target.dtype):
        expected, expected_scores = memory.value_and_score(points, memory.batch())
    np.testing.assert_allclose(values, expected, rtol=tolerance)
    size = np.abs(np.asarray(expected_scores)).max()
    np.testing.assert_allclose(scores, expected_scores[:5], atol=tolerance * size)
    np.testing.assert_allclose(target.log_prob(points[:6].reshape(2, 3, 3)).ravel(), values[:6])
    return target


@pytest.mark.parametrize("backend", ["jax", pytest.param("pytensor", marks=pytest.mark.slow)])
@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", marks=pytest.mark.slow)])
def test_blocks_add_up_to_all_rows(rows, backend, dtype, monkeypatch):
    monkeypatch.setattr(MODULE, "BLOCK_ROWS", 50)  # the last block has 37
    stream = Stream(ArraySource(rows, chunk_rows=30), B)
    approx = fitted(rows, stream, backend=backend, dtype=dtype)
    target = compared(approx, rows, 1e-12 if dtype == "float64" else 1e-5)
    assert set(target.names) == {"beta", "sigma", "twice"}
    assert target.constrain(np.zeros((4, 3)))["sigma"].shape == (4,)
    assert target.pace().blocks == 3


@pytest.mark.slow
def test_what_a_steps_terms_are_multiplied_by_is_not_what_all_rows_come_to(rows):
    stream = Stream(ArraySource(rows), B)
    compared(fitted(rows, stream, scale={"rows": 3.0, "answer": 0.5}), rows)


def test_a_total_size_counts_once(rows):
    compared(fitted(rows, Stream(ArraySource(rows), B), total_size=N), rows)


@pytest.mark.slow
def test_a_loader_is_read_by_an_iterator_of_its_own(rows, monkeypatch):
    """In the middle of an epoch, and in batches of other lengths than blocks."""
    monkeypatch.setattr(MODULE, "BLOCK_ROWS", 33)

    def loader():
        for start in range(0, N, 20):
            yield {name: values[start : start + 20] for name, values in rows.items()}

    compared(fitted(rows, Stream(LoaderSource(loader, n_rows=N), B)), rows)


def test_rows_with_nan_are_left_out_as_in_the_steps(rows):
    holes = {**rows, "y": np.where(np.arange(N) % 9, rows["y"], np.nan)}
    kept = {name: values[np.arange(N) % 9 > 0] for name, values in rows.items()}
    stream = Stream(ArraySource(holes, chunk_rows=30), B, nan="drop")
    few = {name: values[:20] for name, values in kept.items()}
    approx = vi.fit(
        2, "advi", model_of(few), data=stream, scale={"rows": "rows"}, progressbar=False
    )
    compared(approx, kept)


def test_what_is_small_is_read_once(rows, monkeypatch):
    target = target_of_every_row(fitted(rows, Stream(ArraySource(rows), B)).record)
    point = np.zeros((1, 3))
    first = target.log_prob(point)
    monkeypatch.setattr(target.stream, "once", lambda rows: pytest.fail("read again"))
    assert target.log_prob(point) == first


def test_rows_that_have_gone_are_an_error(rows, monkeypatch):
    target = target_of_every_row(fitted(rows, Stream(ArraySource(rows), B)).record)
    monkeypatch.setattr(
        target.stream, "once", lambda n: iter([{k: v[:9] for k, v in rows.items()}])
    )
    with pytest.raises(DataError, match="came to 9 rows, and the fit to 137"):
        target.log_prob(np.zeros((1, 3)))
