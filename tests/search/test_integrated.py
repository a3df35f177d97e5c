"""Globals by importance weights: the proposal's density, moments and evidence by quadrature."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest
import scipy.stats

import vi
from vi.search.given_globals import GivenGlobals
from vi.search.kernel_mixture import kernel_mixture
from vi.search.split_t import SplitT, split_t
from vi.search.walkers import stretched

QUIET = {"progressbar": False, "random_seed": 1}
GRID = np.linspace(-10.0, 4.0, 2_801)
COUNTS = np.array([0, 3, 1, 9, 2, 14])
ROWS = 120


def normal_hierarchy():
    with pm.Model() as model:
        tau = pm.HalfNormal("tau", 3.0)
        theta = pm.Normal("theta", 0.0, tau, shape=6)
        pm.Normal("y", theta, 1.0, observed=np.linspace(-2.0, 2.0, 6))
    return model


def poisson_hierarchy():
    with pm.Model() as model:
        tau = pm.HalfNormal("tau", 3.0)
        theta = pm.Normal("theta", 1.0, tau, shape=6)
        pm.Poisson("y", pm.math.exp(theta), observed=COUNTS)
    return model


def of_normal(tau):
    y = np.linspace(-2.0, 2.0, 6)
    return scipy.stats.norm.logpdf(y, 0.0, np.sqrt(1.0 + tau[:, None] ** 2)).sum(1)


def of_poisson(tau):
    """By Simpson's rule over each effect, in units of its prior."""
    e = np.linspace(-9.0, 9.0, 2_001)
    weights = np.r_[1.0, np.tile([4.0, 2.0], 999), 4.0, 1.0] * (e[1] - e[0]) / 3.0
    found = np.zeros(len(tau))
    with np.errstate(over="ignore"):
        rate = np.exp(1.0 + tau[:, None] * e)
        for count in COUNTS:
            each = scipy.stats.poisson.pmf(count, rate) * scipy.stats.norm.pdf(e)
            found += np.log(np.maximum(np.nan_to_num(each) @ weights, 1e-300))
    return found


def particles_of(approx):
    return np.asarray(approx.params[0].eval())


def exact(log_likelihood):
    """Mean and sd of log tau, and the log evidence, by the trapezoidal rule on a grid."""
    tau = np.exp(GRID)
    log_p = scipy.stats.halfnorm.logpdf(tau, scale=3.0) + GRID + log_likelihood(tau)
    p = np.exp(log_p)
    evidence = p.sum() * (GRID[1] - GRID[0])
    mean = p @ GRID / p.sum()
    return mean, np.sqrt(p @ (GRID - mean) ** 2 / p.sum()), np.log(evidence)


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("model", "likelihood", "others"),
    [(normal_hierarchy, of_normal, "exact"), (poisson_hierarchy, of_poisson, "weighed")],
)
def test_moments_and_evidence_by_quadrature(model, likelihood, others):
    mean, sd, evidence = exact(likelihood)
    approx = vi.fit(method="integrated_laplace", model=model(), **QUIET)
    said = approx.settings()
    assert said["others"] == others
    assert abs(said["log_evidence"] - evidence) < 4 * said["log_evidence_error"]
    # of so many effective draws, four standard errors; the tail of log tau has a kurtosis below 12
    error = 1 / np.sqrt(min(said["importance_ess"], 2_000))
    assert abs(approx.mean.eval()[0] - mean) < 4 * error * sd
    assert abs(np.log(approx.std.eval()[0] / sd)) < 4 * error * np.sqrt((12 - 1) / 4)


@pytest.mark.parametrize("shape", [20, 50])
def test_a_search_that_ends_early_leaves_others_exact(shape):
    """Newton's method ends near the summit: that it is not there must not tilt what is around."""
    with pm.Model() as model:
        tau = pm.HalfNormal("tau")
        effect = pm.Normal("effect", 0.0, tau, shape=shape)
        pm.Normal("y", effect, 1.0, observed=np.linspace(-3.0, 3.0, shape))
    for seed in (1, 2, 3):
        approx = vi.fit(
            method="integrated_laplace", model=model, random_seed=seed, progressbar=False
        )
        assert approx.settings()["others"] == "exact", seed


def test_others_follow_their_globals():
    """Given tau an effect is normal, with a known mean and sd: its residuals are standard."""
    approx = vi.fit(method="integrated_laplace", model=normal_hierarchy(), **QUIET)
    z = particles_of(approx)
    tau, y = np.exp(z[:, :1]), np.linspace(-2.0, 2.0, 6)
    share = tau**2 / (1 + tau**2)
    residuals = (z[:, 1:] - share * y) / np.sqrt(share)
    # sixteen candidates of 800 to 1,300 globals, each chosen a few times
    assert np.abs(residuals.mean(0)).max() < 5 / np.sqrt(500)
    assert np.abs(residuals.std(0) - 1).max() < 5 / np.sqrt(2 * 500)


@pytest.mark.slow
def test_candidates_that_say_nothing_are_looked_at_once(monkeypatch):
    """Of 2,000 counts a normal is too far everywhere: those at the first globals say so.

    What the normals say of the effects is kept: their draws have its means and sds.
    """
    groups, of_the_first = 2_000, []
    looked = GivenGlobals._candidates

    def counted(self, at, found, numbers):
        of_the_first.append(len(at))
        return looked(self, at, found, numbers)

    monkeypatch.setattr(GivenGlobals, "_candidates", counted)
    with pm.Model() as model:
        tau = pm.HalfNormal("tau", 3.0)
        theta = pm.Normal("theta", 0.0, tau, shape=groups)
        counts = np.random.default_rng(1).poisson(np.exp(np.linspace(-2.0, 2.0, groups)))
        pm.Poisson("y", pm.math.exp(theta), observed=counts)
    found = vi.structure(model)
    approx = vi.IntegratedLaplace(found, model=model, random_seed=1).fit(progressbar=False)
    assert approx.settings()["others"] == "normal"
    assert len(of_the_first) == 1
    laplace = vi.StructuredLaplace(found, model=model).fit(progressbar=False)
    # of 2,000 draws of others, and as many of the means that follow some hundred globals
    off = (approx.mean.eval() - laplace.mean.eval())[1:] / laplace.std.eval()[1:]
    assert np.sqrt(np.mean(off**2)) < 0.05
    spread = np.log(approx.std.eval() / laplace.std.eval())[1:]
    assert abs(spread.mean()) < 0.02


def test_it_is_the_same_again():
    one, two = (
        vi.fit(method="integrated_laplace", model=normal_hierarchy(), **QUIET) for _ in range(2)
    )
    np.testing.assert_array_equal(particles_of(one), particles_of(two))


def test_without_globals():
    """A chain alone: the evidence of a normal is known."""
    with pm.Model() as model:
        z = pm.Normal("z", shape=12)
        pm.Normal("y", z[1:] - z[:-1], 0.5, observed=np.arange(11.0) % 3)
    step = np.eye(12)[1:] - np.eye(12)[:-1]
    y = np.arange(11.0) % 3
    cov = step @ step.T + 0.25 * np.eye(11)
    approx = vi.fit(method="integrated_laplace", model=model, **QUIET)
    expected = scipy.stats.multivariate_normal(np.zeros(11), cov).logpdf(y)
    np.testing.assert_allclose(approx.settings()["log_evidence"], expected, atol=1e-8)


def two_scales():
    """Data know the sum of two variances; either of them may be 0."""
    y = 2.0 * scipy.stats.norm.ppf((np.arange(ROWS) + 0.5) / ROWS)
    with pm.Model() as model:
        tau = pm.HalfNormal("tau", 3.0)
        sigma = pm.HalfNormal("sigma", 3.0)
        theta = pm.Normal("theta", 0.0, tau, shape=ROWS)
        pm.Normal("y", theta, sigma, observed=y)
    at = np.linspace(-9.0, 2.5, 1_151)
    first, second = np.exp(2 * at)[:, None], np.exp(2 * at)[None]
    both = first + second
    log_p = at[:, None] + at[None] - (first + second) / 18
    log_p = log_p - 0.5 * ROWS * np.log(both) - 0.5 * np.sum(y**2) / both
    p = np.exp(log_p - log_p.max())
    return model, at, [p.sum(axis=other) / p.sum() for other in (1, 0)]


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_tails_of_scales_that_may_be_zero(seed):
    """Proposals that learn from their own draws meet few of either tail, and no k says so."""
    model, at, exact_of = two_scales()
    approx = vi.fit(method="integrated_laplace", model=model, random_seed=seed, progressbar=False)
    drawn = particles_of(approx)[:, :2]
    effective = min(approx.settings()["importance_ess"], len(drawn))
    for column, weight in zip(drawn.T, exact_of, strict=True):
        for share in (0.03, 0.1, 0.5, 0.9):
            below = at[np.searchsorted(np.cumsum(weight), share)]
            error = np.sqrt(share * (1 - share) / effective)
            assert abs(np.mean(column < below) - share) < 4 * error, share


def test_walkers_of_a_flattened_density():
    """Of a normal with correlations and odd units, to the power 1 / 4: twice as wide."""
    lower = np.array([[1e-3, 0.0], [2.0, 1.0]])
    rng = np.random.default_rng(1)

    def log_p(points):
        return -0.5 * np.square(np.linalg.solve(lower, points.T)).sum(axis=0)

    points = rng.standard_normal((2_000, 2)) @ lower.T
    walkers, values = stretched(log_p, points, log_p(points), 0.25, 100, rng)
    np.testing.assert_allclose(values, log_p(walkers))
    found = np.linalg.solve(lower, walkers.T)
    # walkers of one turn depend on each other but little
    assert np.abs(found.mean(axis=1)).max() < 5 * 2 / np.sqrt(2_000)
    np.testing.assert_allclose(np.cov(found), 4 * np.eye(2), atol=5 * 4 * np.sqrt(2 / 2_000))


def test_the_density_of_kernels():
    """That of the draws, and of the points around which they are drawn."""
    points = np.random.default_rng(1).standard_normal((50, 2))
    own = kernel_mixture(points)
    at = own.draw(20_000, np.random.default_rng(2))
    each = [
        scipy.stats.multivariate_t.pdf(at, centre, lower @ lower.T, 5)
        for centre, lower in zip(own.points, own.lower, strict=True)
    ]
    np.testing.assert_allclose(own.log_prob(at), np.log(np.mean(each, axis=0)))
    # a t with 5 degrees of freedom has 5 / 3 times the covariance that its scale has
    expected = np.cov(points.T, ddof=0) + 5 / 3 * np.mean(
        own.lower @ own.lower.transpose(0, 2, 1), axis=0
    )
    # its kurtosis is at most 9
    spread = np.sqrt(9 / len(at)) * np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert (np.abs(np.cov(at.T) - expected) < 4 * spread).all()


@pytest.mark.parametrize("g", [1, 3])
def test_kernels_around_points_in_a_line(g):
    """Points of one direction, as walkers on a ridge are: widths of the others are not 0."""
    along = np.random.default_rng(1).standard_normal((256, 1))
    points = along + 1e-7 * np.random.default_rng(2).standard_normal((256, g))
    own = kernel_mixture(points)
    assert np.isfinite(own.log_prob(own.draw(100, np.random.default_rng(3)))).all()


def test_the_density_of_a_proposal():
    lower = np.array([[0.5, 0.0], [0.3, 2.0]])
    own = SplitT(np.array([1.0, -2.0]), lower, np.array([1.0, 3.0]), np.array([0.5, 1.0]))
    points = own.draw(100_000, np.random.default_rng(1))
    ratios = np.exp(
        scipy.stats.multivariate_t.logpdf(points, own.centre, lower @ lower.T, 30)
        - own.log_prob(points)
    )
    assert abs(ratios.mean() - 1) < 4 * ratios.std() / np.sqrt(len(ratios))
    # no more is asked of what is learned than mean squares on both sides of medians
    learned = split_t(points, np.full(len(points), 1e-5), lower)
    y = np.linalg.solve(lower, (points - learned.centre).T).T
    above = [np.sqrt(np.mean(column[column > 0] ** 2)) for column in y.T]
    np.testing.assert_allclose(learned.above, above)
    np.testing.assert_allclose(np.median(y, axis=0), 0, atol=1e-3)
