"""Laplace's approximation in the structure, against models whose effects are integrated out."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest

import vi
from vi.families import Structured
from vi.families.ties import ties_of
from vi.search.sparse_factor import NotPositiveError, conditionals, covariance_weights

Y = np.array([2.1, -1.3, 0.4, 3.2, -2.5, 0.9, 1.7, -0.2])


def hierarchy():
    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, 3.0)
        tau = pm.HalfNormal("tau", 3.0)
        theta = pm.Normal("theta", mu, tau, shape=len(Y))
        pm.Normal("y", theta, 1.0, observed=Y)
    return model


def hierarchy_without_effects():
    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, 3.0)
        tau = pm.HalfNormal("tau", 3.0)
        pm.Normal("y", mu, pm.math.sqrt(1.0 + tau**2), observed=Y)
    return model


@pytest.mark.few(1)
@pytest.mark.parametrize("backend", ["jax", "pytensor"])
def test_globals_are_those_of_the_model_without_effects(backend):
    """Effects are normal given the globals, so that integrating them out is exact.

    What is left is differences in the place of derivatives, of the globals' gradient and Hessian: a
    hundredth of an sd passes, where what an integral leaves out would be tenths.
    """
    own = vi.fit(method="structured_laplace", model=hierarchy(), backend=backend, progressbar=False)
    exact = vi.fit(method="laplace", model=hierarchy_without_effects(), progressbar=False)
    assert own.family.globals == (0, 1)
    sd = exact.std.eval()
    assert np.abs((own.mean.eval()[:2] - exact.mean.eval()) / sd).max() < 1e-2
    np.testing.assert_allclose(own.std.eval()[:2], sd, rtol=5e-3)
    evidence = (fit.settings()["log_evidence"] for fit in (own, exact))
    assert abs(np.subtract(*evidence)) < 1e-2


def test_effects_follow_the_globals():
    """E[theta | mu, tau] and its sd in closed form, one sd of the globals away on either side."""
    approx = vi.fit(method="structured_laplace", model=hierarchy(), progressbar=False)
    params = {name: np.asarray(value) for name, value in approx.reported.items()}
    mean = params["mu"]
    tau = np.exp(mean[1])
    shrinkage = tau**2 / (1 + tau**2)
    np.testing.assert_allclose(mean[2:], mean[0] + shrinkage * (Y - mean[0]), atol=1e-5)
    np.testing.assert_allclose(params["log_scale"], 0.5 * np.log(shrinkage), atol=1e-5)


def random_precision(family, rng):
    """A dense precision with entries along the ties alone, and the family's view of it."""
    ties = ties_of(family.globals, family.parents, True)
    n = len(ties.order)
    along = rng.uniform(-0.5, 0.5, ties.count)
    dense = np.zeros((n, n))
    dense[ties.child, ties.parent] = along
    dense = dense + dense.T + 4.0 * np.eye(n)
    return ties, dense, along


@pytest.mark.parametrize(
    "family",
    [
        Structured((), ((2,), (0, 2), (), (2,)), inverse=True),
        Structured((), ((), (0,), (0, 1), (), (3,))),
    ],
    ids=["tree", "groups"],
)
def test_conditionals_are_those_of_the_dense_precision(family):
    rng = np.random.default_rng(4)
    ties, dense, along = random_precision(family, rng)
    factor = conditionals(ties, np.diag(dense), along)
    right = rng.normal(size=len(dense))
    np.testing.assert_allclose(factor.solve(right), np.linalg.solve(dense, right), rtol=1e-10)
    np.testing.assert_allclose(factor.log_det, np.linalg.slogdet(dense)[1], rtol=1e-12)
    if not family.inverse:
        lower = np.diag(factor.scale)
        lower[ties.child, ties.parent] = covariance_weights(factor)
        np.testing.assert_allclose(lower @ lower.T, np.linalg.inv(dense), atol=1e-12)


def test_what_is_not_positive_is_refused():
    ties = ties_of((), ((), (0,)), True)
    with pytest.raises(NotPositiveError):
        conditionals(ties, np.array([1.0, 1.0]), np.array([2.0]))


def test_a_density_without_a_maximum_is_refused():
    with pm.Model() as model:
        x = pm.Flat("x", shape=4)
        pm.Potential("p", pm.math.sum(x))
    with pytest.raises(ValueError, match="no structured Laplace approximation"):
        vi.fit(method="structured_laplace", model=model, progressbar=False)


@pytest.mark.parametrize("unit", [1e-4, 1e6])
def test_units_of_data_do_not_matter(unit):
    """A location in units of 1e6 has slopes of 1e-6: to a search in raw units it is level."""

    def fitted(unit):
        y = np.random.default_rng(1).standard_normal(100) + 3.0
        with pm.Model() as model:
            tau = pm.HalfNormal("tau", unit)
            mu = pm.Normal("mu", 0.0, 10 * unit)
            effect = pm.Normal("effect", mu, tau, shape=100)
            pm.Normal("y", effect, pm.HalfNormal("sigma", unit), observed=y * unit)
        approx = vi.fit(method="structured_laplace", model=model, progressbar=False)
        layout, mean, std = approx.record.layout, approx.mean.eval(), approx.std.eval()
        at = [layout[name].start for name in ("tau", "sigma", "mu")]
        units = np.log([unit, unit]), [unit]
        return np.r_[mean[at[:2]] - units[0], mean[at[2]] / unit], np.r_[
            std[at[:2]], std[at[2]] / unit
        ]

    # BFGS ends within a hundredth of a nat for each unit
    for own, other in zip(fitted(unit), fitted(1.0), strict=True):
        np.testing.assert_allclose(own, other, rtol=0.02)
