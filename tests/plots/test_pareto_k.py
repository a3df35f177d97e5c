"""The plot of importance weights: their values, their tail, and k."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest
from matplotlib import pyplot as plt

import vi
from vi.diagnostics.importance import smoothed


@pytest.fixture(scope="module")
def narrow():
    """A q with half the sd of its normal target: the ratios have no second moment."""
    with pm.Model() as model:
        pm.Normal("x", 0.0, 1.0)
    return vi.Approximation("mean_field", model=model, start_sigma={"x": 0.5}, random_seed=1)


def test_what_is_drawn_are_the_weights(narrow):
    axes = vi.plots.pareto_k(narrow, 1_000, random_seed=3)
    stats = narrow.sample(1_000, random_seed=3)["sample_stats"]
    log_p, log_q = (stats[name].to_numpy().ravel() for name in ("log_p", "log_q"))
    raw, smooth, limit = axes.lines
    ratios = np.sort(np.exp(log_p - log_q))[::-1]
    np.testing.assert_allclose(raw.get_ydata(), ratios / ratios.mean(), rtol=1e-9)
    np.testing.assert_allclose(raw.get_xdata(), np.arange(1, 1_001) / 1_000)
    weights = smoothed(log_p, log_q)
    tail = int(np.ceil(3 * np.sqrt(1_000)))
    assert len(smooth.get_xdata()) == len(limit.get_xdata()) == tail
    expected = np.sort(np.exp(weights.log_weights))[::-1]
    shown = smooth.get_ydata()
    np.testing.assert_allclose(shown / shown[0], expected[:tail] / expected[0], rtol=1e-9)
    assert axes.get_title().startswith(f"k = {weights.k:.2f}, ")
    assert f"{weights.ess:,.0f} of 1,000 draws count" in axes.get_title()


def test_the_dashed_line_has_the_slope_of_the_limit(narrow):
    *_, limit = vi.plots.pareto_k(narrow, 1_000).lines
    x, y = np.log(limit.get_data())
    np.testing.assert_allclose(np.diff(y) / np.diff(x), -(1 - 1 / 3), rtol=1e-9)  # 1 - 1/log10 S


def test_equal_weights(conjugate):
    """A normal fitted to a normal: all weights are nearly 1."""
    _, axes = plt.subplots()
    assert vi.plots.pareto_k(conjugate, ax=axes) is axes
    assert "reliable" in axes.get_title()
    assert "not reliable" not in axes.get_title()
    low, high = axes.get_ylim()
    assert low < 1 < high


def test_refusals(conjugate):
    with pytest.raises(TypeError, match="takes an approximation"):
        vi.plots.pareto_k(None)
    with pytest.raises(ValueError, match="draws=99: must be a whole number of at least 100"):
        vi.plots.pareto_k(conjugate, 99)
    particles = vi.Empirical(size=10, model=conjugate.model)
    with pytest.raises(TypeError, match="no density"):
        vi.plots.pareto_k(particles)
    assert not plt.get_fignums()
