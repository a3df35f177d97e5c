"""``approx.cov_lr``: what mean field leaves out, against closed forms and quadrature."""

from __future__ import annotations

import importlib

import numpy as np
import pymc as pm
import pytest
from problems import correlated_gaussian

import vi

MODULE = importlib.import_module("vi.approximation.results.covariance")
QUIET = {"random_seed": 1, "progressbar": False}


def regression():
    """Logistic regression with two columns that go together."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 2)) @ np.array([[1.0, 0.9], [0.0, 0.4]])
    y = rng.binomial(1, 1 / (1 + np.exp(-x @ np.array([1.0, -0.5]))))
    with pm.Model() as model:
        beta = pm.Normal("beta", 0.0, 2.0, shape=2)
        pm.Bernoulli("y", logit_p=(x * beta).sum(axis=-1), observed=y)
    return model


def by_quadrature(approx):
    """Mean and covariance of a posterior in two dimensions, on a grid ten steps a sd wide."""
    axes = [np.linspace(-8, 8, 241)] * 2
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    log_p = approx.logp(grid)
    weights = np.exp(log_p - log_p.max())
    weights /= weights.sum()
    mean = weights @ grid
    return mean, (grid - mean).T @ ((grid - mean) * weights[:, None])


def test_a_correlated_normal_is_exact():
    exact = correlated_gaussian()
    approx = vi.fit(200, "dadvi", exact.model, **QUIET)
    found = approx.cov_lr()
    np.testing.assert_allclose(found, exact.cov, rtol=1e-9)
    assert found.dims == ("unconstrained", "unconstrained_2")
    assert float(found.sel(unconstrained="x[0]", unconstrained_2="x[2]")) == pytest.approx(
        exact.cov[0, 2]
    )
    assert np.all(approx.std.eval() < np.sqrt(np.diag(exact.cov)))


@pytest.mark.slow
def test_a_regression_agrees_with_quadrature():
    """Of what mean field misses of the log sds (0.5 and more), a tenth is left at most."""
    approx = vi.fit(300, "dadvi", regression(), **QUIET)
    _, cov = by_quadrature(approx)
    found = approx.cov_lr(draws=256).to_numpy()
    missed = np.log(np.diag(cov)) / 2 - np.log(approx.std.eval())
    left = np.log(np.diag(cov)) / 2 - np.log(np.diag(found)) / 2
    assert np.all(missed > 0.4)
    assert np.all(np.abs(left) < 0.1 * missed)
    correlation = cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1])
    assert found[0, 1] / np.sqrt(found[0, 0] * found[1, 1]) == pytest.approx(correlation, abs=0.02)


def test_some_variables_and_large_models(monkeypatch):
    with pm.Model() as model:
        a = pm.Normal("a", 0.0, 1.0)
        b = pm.Normal("b", a, 1.0, shape=3)
        pm.Normal("c", b.sum(), 1.0)
    approx = vi.fit(200, "dadvi", model, **QUIET)
    some = approx.cov_lr(["b", "a"])
    assert list(some["unconstrained"].values) == ["b[0]", "b[1]", "b[2]", "a"]
    exact = np.ones((4, 4)) + np.diag([1.0, 1.0, 1.0, 0.0])
    np.testing.assert_allclose(some, exact, rtol=1e-9)
    monkeypatch.setattr(MODULE, "LARGEST_WHOLE", 4)
    with pytest.raises(ValueError, match=r"cov_lr\(names="):
        approx.cov_lr()
    np.testing.assert_allclose(approx.cov_lr("a"), [[1.0]], rtol=1e-6)


def test_groups_of_independent_normals():
    with pm.Model() as model:
        a = pm.Normal("a", 0.0, 1.0)
        b = pm.Normal("b", a, 1.0)
        groups = [vi.Group([a]), vi.Group([b])]
    approx = vi.Approximation(groups, model=model, random_seed=1)
    np.testing.assert_allclose(approx.cov_lr(), [[1.0, 1.0], [1.0, 2.0]], rtol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"draws": 3}, ValueError, "draws=3: must be even"),
        ({"draws": 0}, ValueError, "draws"),
        ({"names": ["y"]}, ValueError, "there are x"),
        ({"names": []}, ValueError, "there are x"),
        ({"random_seed": -1}, ValueError, "random_seed"),
    ],
)
def test_bad_arguments(arguments, error, match):
    approx = vi.MeanField(model=correlated_gaussian().model, random_seed=1)
    with pytest.raises(error, match=match):
        approx.cov_lr(**arguments)


@pytest.mark.parametrize("kind", ["full", "student", "particles"])
def test_other_families_are_refused(kind):
    model = correlated_gaussian().model
    approx = {
        "full": lambda: vi.FullRank(model=model),
        "student": lambda: vi.MeanField(vi.families.StudentT(5.0), model=model),
        "particles": lambda: vi.Empirical(size=5, model=model),
    }[kind]()
    with pytest.raises(TypeError, match="independent normals"):
        approx.cov_lr()
