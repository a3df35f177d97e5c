"""Several threads that build and fit at once."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pymc as pm
import pytensor
import pytest

import vi

Y = np.random.default_rng(1).normal(size=30)


def series():
    with pm.Model() as model:
        rho = pm.Uniform("rho", -1, 1)
        pm.AR("y", rho[None], 1.0, init_dist=pm.Normal.dist(0, 1), observed=Y, ar_order=1)
    return model


def in_threads(*functions):
    """Run functions at once; what they return, in their order."""
    results = [None] * len(functions)

    def keep(i):
        results[i] = functions[i]()

    threads = [threading.Thread(target=keep, args=(i,)) for i in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_settings_of_the_process_stay():
    before = str(pytensor.config)
    models = [series() for _ in range(4)]  # PyMC's own graphs, one after the other
    built = in_threads(*[lambda model=model: vi.MeanField(model=model) for model in models])
    assert all(isinstance(approx, vi.Approximation) for approx in built)
    assert str(pytensor.config) == before


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "pytensor"])
@pytest.mark.parametrize("dtypes", [("float64",) * 4, ("float64", "float32") * 2], ids=str)
def test_fits_at_once_are_fits_one_after_the_other(backend, dtypes):
    """Of one model, in one precision and in two; the bits are the same."""
    model = series()

    def fit(dtype):
        approx = vi.fit(50, "advi", model, 1, backend=backend, dtype=dtype, progressbar=False)
        return approx.hist

    before = str(pytensor.config)
    together = in_threads(*[lambda dtype=dtype: fit(dtype) for dtype in dtypes])
    assert str(pytensor.config) == before
    for hist, dtype in zip(together, dtypes, strict=True):
        np.testing.assert_array_equal(hist, fit(dtype))


PROCESSES = """
import concurrent.futures, multiprocessing
import numpy as np, pymc as pm, vi

def mean_of(seed):
    with pm.Model() as model:
        mu = pm.Normal("mu", 0, 10)
        pm.Normal("y", mu, 1, observed=np.random.default_rng(seed).normal(3, 1, 50))
    return vi.fit(50, "advi", model, 1, progressbar=False).hist.tolist()

if __name__ == "__main__":
    here = mean_of(1)  # JAX has been used: a forked child would hang
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
        assert pool.submit(mean_of, 1).result(timeout=300) == here
"""


@pytest.mark.slow
def test_workers_that_are_spawned(tmp_path):
    script = tmp_path / "processes.py"
    script.write_text(PROCESSES, encoding="utf-8")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
