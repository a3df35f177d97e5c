"""What `import vi` leaves for others who run PyTensor's graphs in JAX, in fresh processes."""

from __future__ import annotations

import subprocess
import sys

import pytest

MODE_JAX = """
import numpy as np, pytensor, pytensor.tensor as pt
x = pt.dvector()
print(pytensor.function([x], x.sum(), mode="JAX")(np.full(3, 1 + 1e-12)).dtype)
"""
SAMPLERS = "import pymc.sampling.jax\n"
REGISTER = "from pytensor.link.jax.dispatch.basic import jax_funcify\n"
OWN_JAX = "import jax.numpy as jnp; print(jnp.zeros(2).dtype)\n"
FIT = """
import pymc as pm
with pm.Model():
    mu = pm.Normal("mu", 0.0, 2.0)
    pm.Normal("y", mu, 1.0, observed=[1.0, 2.0])
    approx = vi.fit(10, "advi", progressbar=False)
    approx.sample(3)
    approx.sample_node(mu).eval()
"""
X64 = "import jax; print(bool(jax.config.jax_enable_x64))\n"


def lines(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.slow
def test_in_a_process_of_ones_own():
    """JAX stays as it was through import and fit, and is switched by the first other user."""
    code = f"import vi\n{OWN_JAX}{FIT}{OWN_JAX}{X64}{MODE_JAX}{X64}"
    assert lines(code) == ["float32", "float32", "False", "float64", "True"]


@pytest.mark.slow
@pytest.mark.parametrize("first", ["import vi\n", "import vi\n" + FIT, ""])
@pytest.mark.parametrize("other", [SAMPLERS, REGISTER, MODE_JAX], ids=["pymc", "own", "mode"])
def test_what_others_do_to_the_process(first, other):
    """With vi before, with vi after, or without it."""
    assert lines(f"{first}{other}{X64}import vi\n{X64}")[-2:] == ["True", "True"]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_switch_is_that_of_the_time(dtype):
    """Settings that a user makes after `import vi` are those that count, as without it."""
    settings = f"import pytensor, jax; pytensor.config.floatX = {dtype!r}\n"
    code = f"import vi\n{settings}jax.config.update('jax_enable_x64', True)\n{SAMPLERS}{X64}"
    assert lines(code) == [str(dtype == "float64")]


@pytest.mark.slow
def test_numpyro_samples_in_float64():
    pytest.importorskip("numpyro")
    code = """
import vi, numpy as np, pymc as pm
y = np.random.default_rng(1).normal(1e6, 0.01, 50)
with pm.Model():
    sigma = pm.HalfNormal("sigma", 1)
    pm.Normal("y", pm.Normal("mu", 1e6, 1), sigma, observed=y)
    draws = pm.sample(
        500, tune=500, chains=1, nuts_sampler="numpyro", progressbar=False, random_seed=1
    )
sigma = draws.posterior["sigma"]
print(sigma.dtype, float(sigma.mean() / y.std()))
"""
    dtype, ratio = lines(code)
    assert dtype == "float64"
    # sd of a standard deviation from 50 values: 0.1 of it; its posterior's mean is 1 + 1/50 of it
    assert float(ratio) == pytest.approx(1.02, abs=0.05)
