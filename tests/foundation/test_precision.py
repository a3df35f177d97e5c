"""Precision: float64 or float32 throughout a fit, and nobody else's JAX code, environment or
settings touched.
"""

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytensor
import pytest

import vi

BACKENDS = pytest.mark.parametrize("backend", ["jax", "pytensor"])
DTYPES = pytest.mark.parametrize("dtype", ["float64", "float32"])


@pytest.fixture(scope="module")
def model():
    with pm.Model() as built:
        mu = pm.Normal("mu", 0.0, 2.0)
        sigma = pm.HalfNormal("sigma", 1.0)
        pm.Deterministic("ratio", mu / sigma)
        pm.Normal("y", mu, sigma, observed=np.linspace(-1.0, 2.0, 200))
    return built


def fit(model, **options):
    return vi.fit(
        **(
            {"n": 20, "method": "advi", "model": model, "random_seed": 1, "progressbar": False}
            | options
        )
    )


def floating_dtypes(tree):
    """Floating dtypes of a pytree's leaves."""
    dtypes = {leaf.dtype for leaf in jax.tree.leaves(tree) if hasattr(leaf, "dtype")}
    return {dtype.name for dtype in dtypes if jnp.issubdtype(dtype, jnp.floating)}


@pytest.mark.few(1)
@BACKENDS
@DTYPES
@pytest.mark.parametrize("method", ["advi", "fullrank_advi"])
def test_everything_has_the_dtype(model, backend, dtype, method):
    seen = []
    approx = fit(
        model,
        backend=backend,
        dtype=dtype,
        method=method,
        callbacks=[
            lambda approx, losses, i: seen.append(floating_dtypes((approx.state, approx.iterate)))
        ],
    )
    target = approx.target(training=True)
    assert approx.backend == target.backend == backend
    assert approx.dtype == target.dtype == np.dtype(dtype)
    assert seen == [{dtype}] * 20
    assert floating_dtypes(approx.state) == {dtype}
    assert floating_dtypes(target.batch()) <= {dtype}
    assert {np.asarray(v.get_value()).dtype.name for v in approx.params} == {dtype}
    assert {variable.dtype for variable in (approx.mean, approx.std, approx.cov)} == {dtype}
    draws = approx.sample(5, random_seed=1)
    assert {variable.dtype.name for variable in draws["posterior"].data_vars.values()} == {dtype}
    assert {variable.dtype.name for variable in draws["sample_stats"].data_vars.values()} == {dtype}
    assert approx.refine(3, progressbar=False).dtype == np.dtype(dtype)
    assert floating_dtypes(approx.state) == {dtype}


@pytest.mark.few(1)
@BACKENDS
def test_float32_computes_in_float32(model, backend):
    """The precisions differ in the last bits: a float64 result rounded at the end would not."""
    points = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    double, single = (
        fit(model, n=0, backend=backend, dtype=dtype).logp(points)
        for dtype in ("float64", "float32")
    )
    assert single.dtype == np.float32
    np.testing.assert_allclose(
        single, double, rtol=1e-4
    )  # 6e-8 times the 200 terms of the sum, and the rounding of each
    assert np.mean(single != double.astype(np.float32)) > 0.1


@BACKENDS
def test_float64_is_the_default(model, backend):
    approx = fit(model, backend=backend)
    assert approx.dtype == np.float64
    assert floating_dtypes(approx.state) == {"float64"}
    assert approx.mean.eval().dtype == np.float64


def test_a_float32_model_is_fitted_in_float32():
    with pytensor.config.change_flags(floatX="float32"), pm.Model() as model:
        mu = pm.Normal("mu", 0.0, 1.0)
        pm.Normal("y", mu, 1.0, observed=np.ones(3, np.float32))
    approx = fit(model, backend="jax")
    assert approx.dtype == np.float32
    assert floating_dtypes(approx.state) == {"float32"}


@pytest.mark.few(2)
@BACKENDS
@DTYPES
def test_other_jax_code_stays_as_it_was(model, backend, dtype):
    """A user's own program is in float32 before, inside and after a fit: same dtype, same bits,
    no recompilation.
    """
    traced = []

    @jax.jit
    def program(x):
        traced.append(x.dtype)
        return jnp.sin(x) / 3.0 + jnp.arange(4.0)

    x = jnp.linspace(0.0, 1.0, 4)
    before = program(x)
    assert before.dtype == np.float32
    results = []
    approx = fit(model, backend=backend, dtype=dtype)
    callback = lambda approx, losses, i: results.append(program(jnp.linspace(0.0, 1.0, 4)))  # noqa: E731
    fit(model, n=3, backend=backend, dtype=dtype, callbacks=[callback])
    approx.sample(3)
    approx.logq(np.zeros(2))
    results.append(program(x))
    assert [result.dtype for result in results] == [np.float32] * 4
    for result in results:
        np.testing.assert_array_equal(result, before)
    assert len(traced) == 1


def run(code):
    """Run code in a fresh process; it prints one line of JSON."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


FIT = """
import numpy as np, pymc as pm, vi
with pm.Model() as model:
    mu = pm.Normal("mu", 0.0, 2.0)
    pm.Normal("y", mu, 1.0, observed=np.ones(10))
def fit(dtype, n=2000):
    approx = vi.fit(n, "advi", model, 1, backend="jax", dtype=dtype, progressbar=False)
    approx.sample(3)
    return [approx.mean.eval().dtype.name, float(approx.mean.eval()[0])]
"""


SNAPSHOT = """
import json, logging, os, random, sys, warnings
import jax, numpy, pytensor
def look():
    plotting = sys.modules.get("matplotlib")
    return {
        "jax": {k: str(v) for k, v in jax.config.values.items()},
        "environment": dict(os.environ),
        "pytensor": {"all": str(pytensor.config)},
        "warnings": {"filters": repr(warnings.filters)},
        "logging": {"root": repr([logging.root.handlers, logging.root.level])},
        "random": {"python": hash(random.getstate()), "numpy": repr(numpy.random.get_state())},
        "matplotlib": {"rc": plotting and repr(dict(plotting.rcParams))},
    }
def changed(before, after):
    return {k: [n for n in after[k] if after[k][n] != before[k].get(n)] for k in after}
look()  # reading all of PyTensor's settings makes it search for BLAS, once, and put that on PATH
"""
# What PyTensor imports when a graph is compiled: numba, scipy and numpyro quiet warnings of theirs.
BACKENDS = """
import contextlib, pymc, pytensor.link.numba.dispatch, scipy.sparse, scipy.special
with contextlib.suppress(ImportError):
    import numpyro
"""
UNCHANGED = {
    what: []
    for what in ("jax", "environment", "pytensor", "warnings", "logging", "random", "matplotlib")
}


@pytest.mark.slow
def test_import_and_a_fit_change_nothing():
    """The process after `import vi`, and after a fit, is the one after `import pymc` alone."""
    report = run(
        f"{BACKENDS}{SNAPSHOT}before = look()\nimport vi\nthen = look()\n{FIT}"
        "result = fit(None, 10)\n"
        "print(json.dumps([changed(before, then), changed(before, look())]))"
    )
    assert report == [UNCHANGED, UNCHANGED]


@pytest.mark.slow
def test_a_process_in_64_bits():
    """Where the user has switched x64 on it stays on, float32 fits are still float32, and
    results are the same bits.
    """
    report = (
        "json.dumps({'result': result, 'x64': bool(jax.config.jax_enable_x64), "
        "'same': before == after})"
    )
    body = (
        f"{FIT}before = look()\nresult = [fit('float64'), fit('float32')]\nafter = look()\n"
        f"print({report})\n"
    )
    on, off = (
        run(f"{SNAPSHOT}jax.config.update('jax_enable_x64', {flag})\n{body}")
        for flag in (True, False)
    )
    assert on["x64"] is True
    assert off["x64"] is False
    assert on["same"]
    assert off["same"]
    assert [dtype for dtype, _ in on["result"]] == ["float64", "float32"]
    assert on["result"] == off["result"]
    exact = 10 / 10.25  # conjugate normal
    # |error| of 2,000 averaged steps: below 0.1 posterior sd of 0.31, the accuracy that is promised
    # for 10,000
    assert abs(on["result"][0][1] - exact) < 0.1 / np.sqrt(10.25)
