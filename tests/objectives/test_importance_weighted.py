"""The importance-weighted bound against what is known of it in closed form."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytest
from problems import conjugate_normal, correlated_gaussian
from seeds import seed

import vi
from vi.algorithms import Gradient
from vi.families import FullRank, MeanField
from vi.foundation.precision import precision
from vi.objectives import ImportanceWeighted, StickingTheLanding
from vi.targets import from_pymc

MANY = 20_000
"""Values of a loss behind a mean."""


@pytest.fixture
def double():
    with precision(np.dtype("float64")):
        yield


def noises(shape, number=0):
    return jax.random.normal(jax.random.key(seed(number)), shape)


def normal(mean, sd):
    return MeanField().init(*map(jnp.atleast_1d, map(jnp.array, (mean, sd))), jax.random.key(0))


def log_p(z):
    """A normal N(1, 0.5^2) with the log evidence 2."""
    return 2.0 + jax.scipy.stats.norm.logpdf(z[..., 0], 1.0, 0.5)


def values(objective, params, many, log_prob=log_p):
    """The loss for each of many groups of noises, ``(M, K, D)``."""
    return jax.jit(jax.vmap(lambda e: objective.loss(MeanField(), params, e, log_prob)))(many)


def test_rises_with_the_draws_from_the_elbo_towards_the_evidence(double):
    """L_1 is the ELBO in closed form; log mean w falls short of log E w by var(w) / 2K / E[w]^2 to
    first order, with the variance of the weights in closed form too.
    """
    params, mean, sd = normal(0.8, 0.6), 0.8, 0.6
    bounds = {
        k: -values(ImportanceWeighted(k), params, noises((MANY, k, 1))) for k in (1, 2, 5, 50)
    }
    means = {k: float(b.mean()) for k, b in bounds.items()}
    errors = {k: float(b.std(ddof=1)) / np.sqrt(MANY) for k, b in bounds.items()}
    kl = np.log(0.5 / sd) + (sd**2 + (mean - 1.0) ** 2) / (2 * 0.5**2) - 0.5
    assert means[1] == pytest.approx(2.0 - kl, abs=5 * errors[1])
    order = list(means.values())
    assert np.all(
        np.diff(order) > 5 * np.hypot(*np.array([[*errors.values()][:-1], [*errors.values()][1:]]))
    )
    # E[w^2] / E[w]^2 is the integral of p^2 / q
    z = np.linspace(-8.0, 10.0, 200_001)
    p = np.exp(-0.5 * ((z - 1.0) / 0.5) ** 2) / 0.5
    q = np.exp(-0.5 * ((z - mean) / sd) ** 2) / sd
    ratio = np.trapezoid(p**2 / q, z) / np.sqrt(2 * np.pi)
    assert 2.0 - means[50] == pytest.approx((ratio - 1.0) / 100, abs=5 * errors[50] + 2e-4)
    assert means[50] < 2.0


def test_one_draw_is_sticking_the_landing(double):
    """Value and gradient, of many draws too: their mean is taken."""
    params, some = normal([0.3, -1.0], [0.7, 2.0]), noises((12, 2))

    def both(objective):
        def density(z):
            return -jnp.sum(jnp.cosh(z), axis=-1)

        loss = jax.value_and_grad(lambda p: objective.loss(MeanField(), p, some, density))
        return jax.jit(loss)(params)

    got, wanted = both(ImportanceWeighted(1)), both(StickingTheLanding())
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), got, wanted)


def test_several_groups_are_averaged(double):
    params, some = normal(0.0, 1.0), noises((12, 1))
    whole = jax.jit(lambda: ImportanceWeighted(4).loss(MeanField(), params, some, log_p))()
    parts = values(ImportanceWeighted(4), params, some.reshape(3, 4, 1))
    np.testing.assert_allclose(whole, parts.mean(), rtol=1e-12)


@pytest.mark.parametrize("draws", [2, 7])
def test_gradient_is_that_of_the_bound_in_expectation(double, draws):
    """Against central differences of the loss for the same noises, whose own gradient has the score
    of q: both means agree within 5 standard errors of their difference, and the noise is another.
    """
    objective, params = ImportanceWeighted(draws), normal(0.7, 0.25)
    many = noises((MANY, draws, 1), draws)
    gradient = jax.jit(
        jax.vmap(jax.grad(lambda p, e: objective.loss(MeanField(), p, e, log_p)), (None, 0))
    )(params, many)
    for name, step in (("mu", 1e-4), ("rho", 1e-4)):
        ahead, behind = (
            values(objective, params | {name: params[name] + way}, many) for way in (step, -step)
        )
        slopes = (ahead - behind) / (2 * step)
        difference = np.asarray(gradient[name])[:, 0] - np.asarray(slopes)
        assert difference.std() > 1e-3, "the two estimators are not one and the same"
        assert abs(difference.mean()) < 5 * difference.std(ddof=1) / np.sqrt(MANY)
        assert abs(slopes.mean()) > 10 * slopes.std() / np.sqrt(MANY), "there is a slope to find"


def test_a_draw_outside_of_the_support_counts_as_nothing(double):
    """The ELBO is infinite there; the average of weights is not."""

    def half(z):
        return jnp.where(z[..., 0] > 0, log_p(z), -jnp.inf)

    params, some = normal(0.5, 1.0), jnp.array([[-2.0], [0.1], [1.0]])
    objective = ImportanceWeighted(3)

    def loss(params, density):
        return objective.loss(MeanField(), params, some, density)

    value, gradient = jax.jit(jax.value_and_grad(lambda params: loss(params, half)))(params)
    inside = jnp.array([0.6, 1.5])[:, None]
    log_q = jax.scipy.stats.norm.logpdf(inside[:, 0], 0.5, 1.0)
    np.testing.assert_allclose(value, -jax.nn.logsumexp(log_p(inside) - log_q) + np.log(3))
    assert all(np.isfinite(leaf).all() for leaf in gradient.values())


@pytest.mark.few(1)
@pytest.mark.parametrize("backend", ["jax", "pytensor"])
def test_arrives_where_q_can_be_exact(backend):
    """No noise is left there: every loss is minus the log evidence."""
    exact = correlated_gaussian()
    fit = vi.fit(
        4_000,
        method="fullrank_advi",
        model=exact.model,
        estimator=ImportanceWeighted(3),
        backend=backend,
        random_seed=1,
        progressbar=False,
    )
    sd = np.sqrt(np.diag(exact.cov))
    assert np.abs((fit.mean.eval() - exact.mean) / sd).max() < 2e-3
    assert np.abs(np.log(fit.std.eval() / sd)).max() < 2e-3
    np.testing.assert_allclose(fit.hist[-100:], -exact.log_evidence, atol=1e-3)


@pytest.mark.slow
def test_a_flow_comes_near_the_evidence():
    """From below: 10 draws leave less than a fortieth of what the weights vary by."""
    exact = conjugate_normal()
    fit = vi.fit(
        3_000,
        method="nfvi",
        model=exact.model,
        estimator="importance_weighted",
        random_seed=1,
        progressbar=False,
    )
    last = -fit.hist[-500:]
    error = last.std(ddof=1) / np.sqrt(len(last))
    assert last.mean() < exact.log_evidence + 5 * error
    assert last.mean() == pytest.approx(exact.log_evidence, abs=0.025 + 5 * error)


@pytest.mark.slow
def test_optimum_of_independent_normals_for_a_correlated_one():
    """Wider than the ELBO's, and where the bound, by quadrature over both coordinates and over
    another set of draws, is flat: a grid of widths around has no better one.
    """
    rho = 0.9
    with pm.Model() as model:
        pm.MvNormal("x", np.zeros(2), [[1.0, rho], [rho, 1.0]])
    draws = 10
    fits = {
        name: vi.fit(
            10_000, model=model, method="advi", estimator=given, random_seed=1, progressbar=False
        ).std.eval()
        for name, given in {"elbo": "closed_form", "iw": ImportanceWeighted(draws)}.items()
    }
    np.testing.assert_allclose(fits["elbo"], np.sqrt(1 - rho**2), rtol=0.05)
    target = from_pymc(model, backend="jax")
    with precision(np.dtype("float64")):
        batch = target.batch()
        many = noises((MANY, draws, 2), 3)
        objective = ImportanceWeighted(draws)

        @jax.jit
        def bounds(sd):
            return -values(
                objective,
                normal([0.0, 0.0], [sd, sd]),
                many,
                jax.vmap(lambda z: target.log_density(z, batch)),
            )

        grid = fits["iw"].mean() * np.array([0.8, 1.0, 1.25])
        less, best, more = (np.asarray(bounds(sd)) for sd in grid)
    for other in (less, more):  # the same noise for both
        gap = best - other
        assert gap.mean() > 5 * gap.std(ddof=1) / np.sqrt(MANY)
    assert fits["iw"].mean() > 1.2 * fits["elbo"].mean()


def test_names_say_that_it_is_no_elbo():
    for draws in (1, 10):
        objective = ImportanceWeighted(draws)
        assert not objective.has_elbo
        assert "ELBO" not in objective.loss_name
        assert f"bound of {draws} draw" in objective.loss_name
    fit = vi.fit(
        20,
        model=conjugate_normal().model,
        estimator="importance_weighted",
        random_seed=1,
        progressbar=False,
    )
    settings = fit.settings()
    assert settings["loss"] == "minus the importance-weighted bound of 10 draws"
    assert settings["objective"] == "ImportanceWeighted(draws=10)"
    assert settings["draws_per_step"] == 10


def test_a_file_holds_the_draws(tmp_path):
    model = conjugate_normal().model
    fit = vi.fit(20, model=model, estimator=ImportanceWeighted(4), random_seed=1, progressbar=False)
    fit.save(tmp_path / "fit.npz")
    again = vi.load(tmp_path / "fit.npz", model=model)
    assert again.record.algorithm.objective == ImportanceWeighted(4)
    for one in (fit, again):
        one.refine(5, progressbar=False)
    np.testing.assert_array_equal(fit.hist, again.hist)


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("draws", "asked", "got"),
    [(10, None, 10), (10, 20, 20), (3, None, 9), (1, None, 8), (20, None, 20)],
)
def test_draws_of_a_step(draws, asked, got):
    """Low rank takes eight by default: the next multiple is taken."""
    inference = vi.LowRankADVI(
        1, model=correlated_gaussian().model, estimator=ImportanceWeighted(draws), random_seed=1
    )
    options = {} if asked is None else {"obj_n_mc": asked}
    inference.fit(2, progressbar=False, **options)
    assert inference.approx.record.algorithm.n_draws == got


def test_draws_that_do_not_fit_are_refused():
    inference = vi.ADVI(model=conjugate_normal().model, estimator=ImportanceWeighted(4))
    before = inference.approx.record
    with pytest.raises(ValueError, match=r"obj_n_mc=3: .*needs at least 4 draws a step"):
        inference.fit(5, obj_n_mc=3, progressbar=False)
    with pytest.raises(ValueError, match=r"obj_n_mc=6: .* takes 4 draws together; give a multiple"):
        inference.fit(5, obj_n_mc=6, progressbar=False)
    assert inference.approx.record is before
    with pytest.raises(ValueError, match=r"n_draws=6\): .* takes 4 draws together"):
        Gradient(FullRank(), vi.adam(), n_draws=6, objective=ImportanceWeighted(4))
    with pytest.raises(ValueError, match=r"ImportanceWeighted\(draws=0\): must be a whole number"):
        ImportanceWeighted(0)


def test_batches_are_refused_with_the_reason():
    x = np.arange(12.0)
    with pm.Model() as model:
        mean = pm.Normal("mean", 0.0, 10.0)
        pm.Normal("y", mean, 1.0, observed=vi.Minibatch(x, batch_size=4), total_size=12)
    inference = vi.ADVI(model=model, estimator="importance_weighted", random_seed=1)
    before = inference.approx.record
    with pytest.raises(ValueError, match=r"logarithm of an average .* batch.*Fit all rows, or use"):
        inference.fit(5, progressbar=False)
    assert inference.approx.record is before


def test_what_it_cannot_do():
    model = conjugate_normal().model
    with pytest.raises(TypeError, match="needs a density"):
        vi.KLqp(vi.Empirical.from_noise(10, model=model), estimator="importance_weighted")
    with pytest.raises(TypeError, match=r"beta=2\.0"):
        vi.ADVI(model=model, estimator="importance_weighted", beta=2.0)
    with pytest.raises(TypeError, match="the best run is chosen by ELBO"):
        vi.fit(5, model=model, estimator="importance_weighted", restarts=2, progressbar=False)
