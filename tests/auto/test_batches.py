"""The method that chooses on models in batches: some rows stand for all, then all say the rest."""

import numpy as np
import pymc as pm
import pytest

import vi
from vi.approximation.record import log_density

QUIET = {"random_seed": 1, "progressbar": False}
ROWS = 1500
X = np.random.default_rng(1).normal(size=(ROWS, 3))
Y = X @ [1.0, -2.0, 0.5] + np.random.default_rng(2).normal(size=ROWS)


def regression(minibatch):
    with pm.Model() as model:
        x, y = minibatch(X, Y, batch_size=50)
        beta = pm.Normal("beta", 0.0, 1.0, shape=3)
        pm.Normal("y", pm.math.dot(x, beta), 1.0, observed=y, total_size=ROWS)
    return model


@pytest.fixture(scope="module")
def fitted():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(log_density, "SOME", 300)
        return vi.fit(model=regression(pm.Minibatch), **QUIET)


def test_a_normal_posterior_is_that_of_all_rows(fitted):
    """Of a normal a step by all rows is exact, but for the weight 1 / (K D) of what was before."""
    precision = X.T @ X + np.eye(3)
    mean, sd = np.linalg.solve(precision, X.T @ Y), np.sqrt(np.diag(np.linalg.inv(precision)))
    before = 1.0 / (32 * 3)
    assert np.abs((fitted.mean.eval() - mean) / sd).max() < before
    assert np.abs(np.log(fitted.std.eval() / sd)).max() < before
    assert fitted.diagnosis.verdict == "good"
    assert fitted.status.ending == "converged"


def test_its_stages(fitted):
    assert list(fitted.stages["stage"]) == ["search", "match", "check"]
    assert "by 300 rows" in fitted.stages["outcome"][0]
    assert np.isnan(fitted.stages["elbo"][0])  # of some rows it would be none of the model's
    assert any("on 300" in what for what in fitted.diagnosis.skipped)


def test_steps_see_batches_again(fitted):
    """Scores of batches cannot be matched: there are no steps to go on with."""
    assert fitted.record.data.some_rows is None
    with pytest.raises(TypeError, match="found it in one go"):
        fitted.refine(10, progressbar=False)


def test_a_verdict_on_a_fit_that_is_off(fitted):
    """By an sd and a half: it is seen with few draws of all rows too."""
    other = vi.ADVI(model=fitted.model, random_seed=1).approx
    mean, std = fitted.mean.eval(), fitted.std.eval()
    other.set_params({"mu": mean + 1.5 * std, "rho": np.log(np.expm1(std))})
    assert other.diagnose().verdict != "good"


@pytest.mark.slow
def test_many_dimensions_in_batches(monkeypatch):
    """Too many for a matched normal: the search goes on to where all rows have q."""
    monkeypatch.setattr(log_density, "SOME", 300)
    monkeypatch.setattr("vi.auto.order.LARGEST_FULL", 2)
    monkeypatch.setattr("vi.auto.climb.LARGEST_FULL", 2)
    approx = vi.fit(500, model=regression(vi.Minibatch), **QUIET)
    stages = approx.stages
    assert list(stages["stage"])[:2] == ["search", "climb"]
    mean = np.linalg.solve(X.T @ X + np.eye(3), X.T @ Y)
    # independent normals have the mean of a normal
    assert np.abs(approx.mean.eval() - mean).max() < 0.3 / np.sqrt(ROWS)
