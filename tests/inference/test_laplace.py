"""Modes and the curvature there: find_map and Laplace against closed forms and PyMC."""

from __future__ import annotations

import functools

import numpy as np
import pymc as pm
import pytest
from problems import conjugate_normal
from scipy import stats

import vi
from vi.foundation.precision import precision
from vi.search.lbfgs import search


@pytest.fixture(params=["jax", "pytensor"])
def backend(request):
    return request.param


@functools.cache
def gamma():
    with pm.Model() as model:
        pm.Gamma("sigma", 3.0, 2.0)
    return model


def two_modes():
    """A mixture of N(-3, 1) with weight 0.2 and N(3, 1) with weight 0.8."""
    with pm.Model() as model:
        pm.NormalMixture("x", [0.2, 0.8], [-3.0, 3.0], 1.0)
    return model


@pytest.mark.slow
def test_ten_starts_on_a_bowl(backend):
    with pm.Model() as model:
        x, y = pm.Flat("x"), pm.Flat("y")
        pm.Potential("bowl", -(2 * (x - 1) ** 2 + 3 * (y - 1) ** 2))
    found = vi.find_map(model, starts=10, random_seed=1, backend=backend)
    assert found.converged.all()
    for name in ("x", "y"):
        assert found.optima[name].shape == (10,)
        np.testing.assert_allclose(found.optima[name], 1.0, atol=1e-6)
    assert found.status.ending == "converged"


@pytest.mark.slow
def test_starts_differ():
    """Ten starts of one iteration each end in ten places."""
    found = vi.find_map(gamma(), starts=10, n=1, random_seed=1)
    assert len(np.unique(found.optima["sigma"])) == 10
    assert not found.converged.any()
    assert found.status.ending == "max_steps"


@pytest.mark.slow
def test_density_of_what(backend):
    """The mode of a gamma density, and that of the density of its logarithm."""
    assert vi.find_map(gamma(), backend=backend)["sigma"] == pytest.approx(
        (3.0 - 1.0) / 2.0, abs=1e-6
    )
    found = vi.find_map(gamma(), backend=backend, jacobian=True)
    assert found["sigma"] == pytest.approx(3.0 / 2.0, abs=1e-6)
    assert found["sigma_log__"] == pytest.approx(np.log(1.5), abs=1e-6)
    assert found.log_prob == pytest.approx(
        stats.gamma(3.0, scale=0.5).logpdf(1.5) + np.log(1.5), abs=1e-6
    )


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.slow
def test_pymc_finds_the_same():
    with pm.Model(coords={"group": ["a", "b"], "row": range(3)}) as model:
        sigma = pm.HalfNormal("sigma", 2.0)
        mu = pm.Normal("mu", 0.0, sigma + 0.1, dims="group")
        pm.Deterministic("gap", mu[1] - mu[0])
        pm.Normal(
            "y", mu, sigma, observed=[[1.0, 2.0], [3.0, 5.0], [0.0, 4.0]], dims=("row", "group")
        )
    theirs = pm.find_MAP(model=model, progressbar=False)
    ours = vi.find_map(model)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert ours[name].shape == np.shape(value)
        np.testing.assert_allclose(
            ours[name], value, atol=1e-4
        )  # SciPy's default tolerance ends there
    assert (
        ours.log_prob
        >= model.compile_logp(jacobian=False)({k: theirs[k] for k in ("sigma_log__", "mu")}) - 1e-12
    )


@pytest.mark.slow
def test_the_best_of_many():
    found = vi.find_map(two_modes(), starts=20, start={"x": -0.5}, random_seed=2)
    ends = np.unique(found.optima["x"].round(3))
    assert len(ends) == 2
    assert found["x"] == pytest.approx(3.0, abs=1e-3)
    assert found.log_prob == found.log_probs.max()


@pytest.mark.few(1)
def test_laplace_in_the_unconstrained_space(backend):
    """log sigma of a Gamma(a, b): the mode is log(a / b), the curvature there a."""
    approx = vi.fit(method="laplace", model=gamma(), backend=backend, start={"sigma": 4.0})
    assert approx.mean.eval()[0] == pytest.approx(np.log(3.0 / 2.0), abs=1e-9)
    assert approx.std.eval()[0] == pytest.approx(
        1.0 / np.sqrt(3.0), abs=1e-8
    )  # differences: eps^(2/3)
    assert approx.hist[0] > approx.hist[-1] == pytest.approx(-approx.settings()["log_p_mode"])
    assert isinstance(approx, vi.FullRank)


@pytest.mark.slow
def test_laplace_does_not_depend_on_units():
    """Data in units of 1e4 and a parameter in units of 1e-4: exact all the same."""
    x = np.array([1.0, 2.0, 3.0, 4.0])
    with pm.Model() as model:
        slope, level = pm.Normal("slope", 0.0, 1e-3), pm.Normal("level", 0.0, 1e6)
        pm.Normal("y", level + slope * 1e8 * x, 1e4, observed=1e5 + 2e4 * x)
    approx = vi.fit(method="laplace", model=model)
    design = np.stack([1e8 * x, np.ones(4)], axis=1) / 1e4
    cov = np.linalg.inv(design.T @ design + np.diag([1e6, 1e-12]))
    scale = np.sqrt(np.diag(cov))
    np.testing.assert_allclose(
        approx.cov.eval() / np.outer(scale, scale), cov / np.outer(scale, scale), atol=1e-9
    )
    mean = cov @ (design.T @ (1e5 + 2e4 * x) / 1e4)
    np.testing.assert_allclose((approx.mean.eval() - mean) / scale, 0.0, atol=1e-6)


def test_laplace_leaves_the_middle_of_two_modes():
    with pm.Model() as model:
        pm.NormalMixture("x", [0.5, 0.5], [-3.0, 3.0], 1.0)
    for start in (None, {"x": 0.0}):
        approx = vi.fit(method="laplace", model=model, start=start, random_seed=1)
        assert approx.status.ending == "converged"
        # three sds apart from the middle, the other mode bends a mode by 36 e^-18
        assert abs(approx.mean.eval()[0]) == pytest.approx(3.0, abs=1e-6)
        assert approx.std.eval()[0] == pytest.approx(1.0, abs=1e-6)


def test_a_model_without_a_mode_is_refused_and_nothing_changes():
    x = np.arange(10.0) - 4.5
    with pm.Model() as model:
        pm.Bernoulli("y", logit_p=pm.Flat("slope") * x, observed=x > 0)
    laplace = vi.Laplace(model=model, random_seed=1)
    before = laplace.approx.record
    with pytest.raises(ValueError, match=r"no mode that was found.*falls no further along slope"):
        laplace.fit()
    assert laplace.approx.record is before


def test_a_mode_without_curvature_is_refused():
    """-z^4: the curvature where the search ends is nearly zero, and says nothing of the width."""
    quartic = vi.targets.from_function(lambda z: -((z - 1.0) ** 4).sum(), np.zeros(1))
    with pytest.raises(ValueError, match="no mode of the shape of a normal"):
        vi.fit(method="laplace", model=quartic, random_seed=1)


@pytest.mark.slow
def test_no_curvature():
    with pm.Model() as model:
        a, b = pm.Flat("a"), pm.Flat("b")
        pm.Normal("y", a + b, 1.0, observed=1.0)
    with pytest.raises(ValueError, match=r"not positive definite .*along (a, b|b, a)"):
        vi.fit(method="laplace", model=model)


def test_what_has_no_steps_says_so():
    laplace = vi.Laplace(model=conjugate_normal().model)
    with pytest.raises(TypeError, match="callbacks: Laplace has no steps"):
        laplace.fit(callbacks=[lambda *_: None])
    with pytest.raises(TypeError, match="obj_optimizer, batch_size"):
        laplace.fit(obj_optimizer=vi.adam(), batch_size=10)
    with pytest.raises(TypeError, match="no steps"):
        laplace.step()
    laplace.fit(0)
    assert laplace.approx.status.ending == "initialised"
    laplace.fit()
    with pytest.raises(TypeError, match="in one go"):
        laplace.refine(10)
    with pytest.raises(ValueError, match="starts=0"):
        vi.Laplace(starts=0, model=conjugate_normal().model)


def test_a_fit_goes_on_from_the_mode():
    """Laplace is the start of ADVI; the losses are those of ADVI alone."""
    exact = conjugate_normal()
    approx = vi.fit(method="laplace", model=exact.model, random_seed=1)
    vi.KLqp(approx).fit(50, progressbar=False)
    assert len(approx.hist) == 50
    assert approx.settings()["algorithm"] == "gradient"
    # the posterior is normal: at the start, whatever the draw, log p - log q is the log evidence
    assert approx.hist[0] == pytest.approx(-exact.log_evidence, abs=1e-6)


def test_bad_input():
    model = conjugate_normal().model
    with pytest.raises(ValueError, match="starts='two'"):
        vi.find_map(model, starts="two")
    with pytest.raises(ValueError, match="backend"):
        vi.find_map(model, backend="torch")
    with pytest.raises(ValueError, match="not a free variable"):
        vi.find_map(model, start={"nu": 1.0})
    with pytest.raises(TypeError, match="No model"):
        vi.find_map()
    with pm.Model() as discrete:
        pm.Poisson("n", 3.0)
    with pytest.raises(ValueError, match="Discrete"):
        vi.find_map(discrete)


@pytest.mark.slow
def test_search_is_indifferent_to_units():
    """Rosenbrock's valley with coordinates in units of 1e-3 and 1e4."""

    def valley(z):
        x, y = 1e3 * z[0], 1e-4 * z[1]
        return 100.0 * (y - x**2) ** 2 + (1.0 - x) ** 2

    with precision(np.dtype("float64")):
        found = search(valley, np.array([[-1.2e-3, 1e4], [2e-3, -1e4], [0.0, 0.0]]))
    assert found.converged.all()
    np.testing.assert_allclose(found.points * [1e3, 1e-4], 1.0, atol=1e-6)


@pytest.mark.slow
def test_search_without_a_minimum():
    with precision(np.dtype("float64")):
        found = search(lambda z: -z.sum(), np.zeros((1, 2)), iterations=40)
    assert not found.converged[0]
    assert found.iterations[0] <= 40


@pytest.mark.slow
def test_a_mode_at_infinity_is_refused():
    """The prior's density at x = 0 grows like 1 / t, which the Jacobian of log t just balances:
    flat for ever, and where the search ends bent either way by rounding.
    """
    with pm.Model() as model:
        pm.Normal("x", 0.0, pm.HalfNormal("t", 1.0))
    with pytest.raises(
        ValueError, match=r"(shape of a normal|not positive definite).* along t.*at infinity"
    ):
        vi.fit(method="laplace", model=model, random_seed=1, progressbar=False)
