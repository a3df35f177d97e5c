"""What the benchmarks of minibatches and streams stand on: references against the models, files,
the memory meter.
"""

from __future__ import annotations

import gc
import sys
import time

import memory
import numpy as np
import pytensor.tensor as pt
import pytest
import row_files
from minibatch_workloads import Setting, data, pymc_model, reference
from pytensor.graph.replace import vectorize_graph
from references import errors, linear
from stream import streamed_model

from vi.graphs.interpret import interpret

LAYOUT = row_files.Layout(rows=1_000, columns=3, chunk_rows=300)
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def derivatives(model, beta):
    """Gradient of the model's log density, and its curvature, with nothing compiled."""
    outputs = [model.dlogp(), model.d2logp(negate_output=False)]
    gradient, hessian = interpret(model.value_vars, outputs, [beta])
    return gradient, -hessian


def test_the_logistic_reference_is_the_mode_and_curvature_of_the_model():
    setting = Setting("logistic", rows=500, columns=3, batch=500, steps=0)
    model, exact = pymc_model(setting, None), reference(setting)
    gradient, precision = derivatives(model, exact.mean)
    # Newton stops 1e-8 sds from the mode at most
    np.testing.assert_allclose(gradient * exact.sd, 0.0, atol=1e-8 * setting.columns)
    np.testing.assert_allclose(exact.sd, np.sqrt(np.diag(np.linalg.inv(precision))), rtol=1e-8)
    np.testing.assert_allclose(exact.mean_field_sd, 1 / np.sqrt(np.diag(precision)), rtol=1e-8)


def test_the_normal_reference_is_the_sum_over_a_grid_of_the_model():
    setting = Setting("normal", rows=40, columns=1, batch=40, steps=0)
    model, exact = pymc_model(setting, None), reference(setting)
    # sums over a smooth function that has vanished at the ends are exact far below the tolerance
    mu, log_sd = (exact.mean[i] + exact.sd[i] * np.linspace(-10, 10, 121) for i in range(2))
    inputs = [pt.matrix(), pt.matrix()]
    log_density = vectorize_graph(model.logp(), dict(zip(model.value_vars, inputs, strict=True)))
    points = [grid.reshape(-1, 1) for grid in np.meshgrid(mu, log_sd, indexing="ij")]
    [values] = interpret(inputs, [log_density], points)
    values = np.reshape(values, (len(mu), len(log_sd)))
    weights = np.exp(values - values.max())
    weights /= weights.sum()
    for i, (grid, share) in enumerate(((mu, weights.sum(axis=1)), (log_sd, weights.sum(axis=0)))):
        mean = share @ grid
        np.testing.assert_allclose(mean, exact.mean[i], atol=1e-6 * exact.sd[i])
        np.testing.assert_allclose(np.sqrt(share @ (grid - mean) ** 2), exact.sd[i], rtol=1e-6)


@pytest.mark.parametrize("form", row_files.FORMATS)
def test_files_hold_the_rows_and_their_posterior_is_that_of_the_model(form, tmp_path):
    zarr = pytest.importorskip("zarr") if form == "zarr" else None
    exact = row_files.write(LAYOUT, tmp_path, form)
    chunks = [LAYOUT.chunk(number) for number in range(LAYOUT.chunks)]
    x, y = (np.concatenate(parts) for parts in zip(*chunks, strict=True))
    for name, whole in (("x", x), ("y", y)):
        stored = (
            zarr.open_group(tmp_path / "rows.zarr")[name][:]
            if zarr
            else np.load(tmp_path / f"{name}.npy")
        )
        np.testing.assert_array_equal(stored, whole)
    if sys.platform.startswith("linux"):
        row_files.drop_from_cache(tmp_path)
    assert row_files.read_alone(LAYOUT, tmp_path, form) == LAYOUT.rows
    model = streamed_model(LAYOUT.columns, batch=1)
    model.set_data("x", x)
    model.set_data("y", y)
    gradient, precision = derivatives(model, exact.mean)
    # x is float32: what the model computes in it is exact to about 1e-7 of the largest terms, sums
    # of 1,000 rows
    np.testing.assert_allclose(gradient * exact.sd, 0.0, atol=1e-4)
    np.testing.assert_allclose(exact.sd, np.sqrt(np.diag(np.linalg.inv(precision))), rtol=1e-5)


def test_a_chunk_is_a_function_of_its_number():
    shorter = row_files.Layout(rows=700, columns=3, chunk_rows=300)
    for one, other in zip(shorter.chunk(1), LAYOUT.chunk(1), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(LAYOUT.chunk(1)[0], LAYOUT.chunk(2)[0])
    assert [len(LAYOUT.chunk(number)[1]) for number in range(LAYOUT.chunks)] == [300, 300, 300, 100]


def test_errors_are_in_units_of_the_posterior():
    exact = linear(4.0 * np.eye(2), np.array([5.0, 0.0]), noise=1.0)  # precision 5, mean 1 and 0
    found = errors(exact, [1 + 2 / np.sqrt(5), 0.0], [np.e / np.sqrt(5), 1 / np.sqrt(5)])
    assert found == pytest.approx(
        {
            "mean_rms": np.sqrt(2),
            "mean_worst": 2.0,
            "log_sd_rms": 1 / np.sqrt(2),
            "log_sd_worst": 1.0,
        }
    )


@linux
def test_peak_memory_sees_what_is_held_for_a_moment_and_not_what_was_held_before():
    size = 2**26
    before = np.ones(size, np.uint8)
    gc.collect()  # what earlier tests left would be freed in between
    deadline = time.monotonic() + 10
    with memory.PeakMemory(interval=0.001) as peak:
        held = np.ones(size, np.uint8)
        while peak.growth < 0.9 * size and time.monotonic() < deadline:  # until it was looked at
            time.sleep(0.001)
        del held
    assert 0.9 * size <= peak.growth < 1.5 * size
    assert before.nbytes == size


def test_data_do_not_depend_on_the_process():
    setting = Setting("logistic", rows=50, columns=2, batch=10, steps=0)
    assert Setting.loads(setting.dumps()) == setting
    for one, other in zip(data(setting).values(), data(setting).values(), strict=True):
        np.testing.assert_array_equal(one, other)
