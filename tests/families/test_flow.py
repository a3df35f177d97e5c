"""Normalizing flows: shapes that no normal has, flows of the user's, and what happens without
flowjax.
"""

from __future__ import annotations

import copy
import functools
import subprocess
import sys

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
import scipy.stats
from problems import conjugate_normal, correlated_gaussian

import vi
from vi.families import Flow


@functools.cache
def banana():
    with pm.Model() as model:
        a = pm.Normal("a", 0.0, 2.0)
        pm.Normal("b", a**2, 0.5)
    return model


@functools.cache
def funnel():
    with pm.Model() as model:
        v = pm.Normal("v", 0.0, 3.0)
        pm.Normal("x", 0.0, pt.exp(v / 2), shape=9)
    return model


def elbo_and_distance(approx, name, sd):
    """ELBO with its standard error (the truth is 0), and W1 of a normal marginal of known sd."""
    draws = approx.sample(10_000, random_seed=1)
    stats = draws["sample_stats"]
    terms = (stats["log_p"] - stats["log_q"]).to_numpy().ravel()
    values = draws["posterior"][name].to_numpy().ravel()
    quantiles = sd * scipy.stats.norm.ppf((np.arange(10_000) + 0.5) / 10_000)
    return terms.mean(), terms.std() / 100, scipy.stats.wasserstein_distance(values, quantiles)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "name", "sd"), [(banana, "a", 2.0), (funnel, "v", 3.0)])
def test_flows_beat_full_rank_on_shapes(model, name, sd):
    """By the numbers: the ELBO by more than its noise, and half the distance of the marginal or
    less.
    """
    full = vi.fit(method="fullrank_advi", model=model(), random_seed=1, progressbar=False)
    flow = vi.fit(method="nfvi", model=model(), random_seed=1, progressbar=False)
    (elbo, error, distance), (full_elbo, full_error, full_distance) = (
        elbo_and_distance(approx, name, sd) for approx in (flow, full)
    )
    assert elbo > full_elbo + 0.5 + 5 * (error + full_error)
    assert elbo < 5 * error, "an ELBO above the log evidence, 0, means a wrong density"
    assert distance < 0.5 * full_distance


@pytest.mark.slow
def test_a_short_banana():
    full = vi.fit(3_000, method="fullrank_advi", model=banana(), random_seed=1, progressbar=False)
    flow = vi.fit(3_000, method="nfvi", model=banana(), random_seed=1, progressbar=False)
    assert elbo_and_distance(flow, "a", 2.0)[0] > elbo_and_distance(full, "a", 2.0)[0] + 0.3


def users_flows():
    import flowjax.bijections
    import flowjax.distributions
    import flowjax.flows
    import jax

    coupling = functools.partial(
        flowjax.flows.coupling_flow, flow_layers=2, nn_width=8, invert=False
    )
    spline = functools.partial(
        flowjax.flows.triangular_spline_flow, flow_layers=1, knots=4, invert=False
    )
    base = flowjax.distributions.Normal(np.zeros(3))
    made = flowjax.flows.masked_autoregressive_flow(
        jax.random.key(0), base_dist=base, flow_layers=1, nn_width=8, invert=False
    )
    return {
        "coupling": coupling,
        "spline": spline,
        "made": made,
        "settings": Flow(layers=1, width=8, knots=3),
    }


KINDS = [
    ("coupling", "float64"),
    ("settings", "float32"),
    *(
        pytest.param(kind, "float64", marks=pytest.mark.slow)
        for kind in ("spline", "made", "settings")
    ),
    *(
        pytest.param(kind, "float32", marks=pytest.mark.slow)
        for kind in ("coupling", "spline", "made")
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "dtype"), KINDS)
def test_flows_of_the_user(kind, dtype, tmp_path):
    exact = correlated_gaussian()
    flow = users_flows()[kind]
    approx = vi.fit(
        300,
        method="nfvi",
        model=exact.model,
        random_seed=1,
        dtype=dtype,
        inf_kwargs={"flow": flow},
        progressbar=False,
    )
    assert approx.hist[-50:].mean() < approx.hist[:50].mean()
    assert all(value.dtype == dtype for value in approx.iterate.values())
    draws = approx.sample(200, random_seed=1)
    z = draws["posterior"]["x"].to_numpy()[0]
    # logq inverts the flow, sample does not
    np.testing.assert_allclose(
        draws["sample_stats"]["log_q"][0], approx.logq(z), rtol=1e-6 if dtype == "float64" else 0.02
    )
    twin = copy.deepcopy(approx).refine(20, progressbar=False)
    approx.save(tmp_path / "flow.npz")
    if kind == "settings":
        loaded = vi.load(tmp_path / "flow.npz", model=exact.model)
    else:
        with pytest.raises(ValueError, match="family="):
            vi.load(tmp_path / "flow.npz", model=exact.model)
        loaded = vi.load(tmp_path / "flow.npz", model=exact.model, family=Flow(flow))
    np.testing.assert_array_equal(loaded.logq(z), approx.logq(z))
    loaded.refine(20, progressbar=False)
    np.testing.assert_array_equal(loaded.hist, twin.hist)


@pytest.mark.slow
def test_one_dimension():
    exact = conjugate_normal()
    approx = vi.fit(1_500, method="nfvi", model=exact.model, random_seed=1, progressbar=False)
    sd = np.sqrt(exact.cov[0, 0])
    assert abs(approx.mean.eval()[0] - exact.mean[0]) < 0.3 * sd
    assert abs(np.log(approx.std.eval()[0] / sd)) < 0.18


@pytest.mark.slow
def test_a_flow_in_a_group():
    approx = vi.Approximation(
        [vi.Group(["x"], "flow"), vi.Group(None)], model=funnel(), random_seed=1
    )
    assert approx.family.default_estimator == "monte_carlo"
    vi.KLqp(approx).fit(20, progressbar=False)
    assert np.isfinite(approx.hist).all()
    assert approx.sample(10)["sample_stats"]["log_q"].shape == (1, 10)


@pytest.mark.slow
def test_wrong_flows():
    import flowjax.distributions

    model = correlated_gaussian().model
    wrong_shape = flowjax.distributions.Normal(np.zeros(2))
    with pytest.raises(ValueError, match=r"shape \(3,\), got shape \(2,\)"):
        vi.NFVI(wrong_shape, model=model)
    with pytest.raises(ValueError, match="got 3"):
        vi.NFVI(lambda key, base_dist: 3, model=model)
    with pytest.raises(TypeError, match="flowjax"):
        vi.NFVI(7, model=model)
    with pytest.raises(TypeError, match="formulas of PyMC"):
        vi.NFVI("planar*8", model=model)
    with pytest.raises(TypeError, match="no closed-form entropy"):
        vi.fit(3, method="nfvi", model=model, estimator="closed_form", progressbar=False)


@pytest.mark.slow
def test_without_flowjax_the_install_command_is_named(tmp_path):
    """In a process that cannot import flowjax, everything else works."""
    code = """
import sys
sys.modules["flowjax"] = sys.modules["equinox"] = sys.modules["paramax"] = None
import pymc as pm, vi
with pm.Model():
    pm.Normal("x")
    vi.fit(2, method="fullrank_advi", progressbar=False)
    group = lambda: vi.Group(None, "flow")
    flow = vi.families.Flow
    for build in (lambda: vi.NFVI(), flow, lambda: vi.fit(method="nfvi"), group):
        try:
            build()
        except ImportError as error:
            assert 'pip install "pymc-vi[flows]"' in str(error), error
        else:
            raise AssertionError("no error")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
