"""The verdict on fits that are right, of the wrong shape, not finished, or not to be looked at."""

from __future__ import annotations

import importlib
import warnings

import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytest
from problems import conjugate_regression, correlated_gaussian
from scipy.special import digamma, polygamma

import vi
from vi.approximation.record.log_density import target_of_all_rows
from vi.approximation.results.other_fits import _elbo
from vi.search.fixed_draws import FixedDrawsFit
from vi.targets.backends.evaluation import entries_of

MODULE = importlib.import_module("vi.approximation.results.diagnosis_sizes")
MEASUREMENTS = importlib.import_module("vi.approximation.results.measurements")
QUIET = {"random_seed": 1, "progressbar": False}


def equicorrelated(dim, correlation):
    cov = np.full((dim, dim), correlation) + (1 - correlation) * np.eye(dim)
    with pm.Model() as model:
        pm.MvNormal("x", np.zeros(dim), cov)
    return model


@pytest.mark.few(1)
@pytest.mark.parametrize("backend", ["jax", "pytensor"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_posterior_itself_is_good(backend, dtype):
    exact = correlated_gaussian()
    approx = vi.fit(
        method="laplace", model=exact.model, backend=backend, dtype=dtype, random_seed=1
    )
    found = approx.diagnose(random_seed=3, starts=0, chains=256)
    assert found.verdict == "good"
    assert found.elbo == pytest.approx(exact.log_evidence, abs=1e-4)
    assert found.importance_ess == pytest.approx(2000, rel=1e-2)
    assert found.gradients == 256 * 126  # those of the slope are among them
    assert list(found.table["unconstrained"].values) == ["x[0]", "x[1]", "x[2]"]
    # the noise of 256 chains, and of 2,000 draws
    assert float(abs(found.table["chains_mean"]).max()) < 5 / np.sqrt(256)
    assert float(abs(found.table["weights_mean"]).max()) < 5 / np.sqrt(2000)
    assert not found.skipped
    again = approx.diagnose(random_seed=3, starts=0, chains=256)
    assert again.table.identical(found.table)


def test_few_chains_do_where_weights_are_nearly_equal():
    """They know it better; the chains have only to agree with them."""
    approx = vi.fit(method="laplace", model=correlated_gaussian().model, random_seed=1)
    found = approx.diagnose(starts=0)
    assert found.verdict == "good"
    assert found.why.endswith("100% of the draws count; short chains agree")
    assert found.gradients == 64 * 26
    # five errors of 64 chains are more than what passes: they are not asked for that
    assert float(abs(found.table["chains_mean"]).max()) < 5 / np.sqrt(64)


@pytest.mark.slow
def test_mean_field_of_a_correlated_posterior_has_means_only():
    """Its sds are those given the others, 3.1 times too small in ten dimensions."""
    approx = vi.fit(10_000, "advi", equicorrelated(10, 0.9), **QUIET)
    found = approx.diagnose()
    assert found.verdict == "means only"
    assert "the sd of x[" in found.why
    assert "fullrank_advi" in found.advice
    assert float(found.table["chains_sd"].min()) > 0.5


@pytest.mark.slow
def test_a_skewed_posterior_is_mended_by_weights():
    """The logarithm of a Gamma(4, 1): mode log 4, and a mean of digamma(4) a quarter sd below."""
    with pm.Model() as model:
        pm.Gamma("x", 4.0, 1.0)
    approx = vi.fit(method="laplace", model=model, random_seed=1)
    found = approx.diagnose(4000)
    assert found.verdict == "usable with importance resampling"
    mean = float(approx.mean.eval()[0] + found.table["weights_mean"][0] * approx.std.eval()[0])
    sd = np.sqrt(polygamma(1, 4.0))
    assert mean == pytest.approx(digamma(4.0), abs=5 * sd / np.sqrt(found.importance_ess))


def test_a_fit_that_did_not_arrive_is_not_to_be_used():
    approx = vi.MeanField(model=conjugate_regression().model, random_seed=1)
    found = approx.diagnose(chains=64)
    assert found.verdict == "do not use"
    assert found.pareto_k > 0.7
    text = str(found)
    assert text.startswith("do not use: the mean of beta[")
    assert "Pareto k" in text
    assert repr(found) == "<Diagnosis: do not use>"


def test_the_slope_says_that_a_fit_has_not_arrived():
    """Moved by half a sd after a fit: the ELBO rises back."""
    exact = conjugate_regression()
    approx = vi.fit(5, "fullrank_advi", exact.model, **QUIET)
    root = np.linalg.cholesky(exact.cov)
    away = 0.5 * np.sqrt(np.diag(exact.cov))
    family = approx.family
    approx.set_params(family.at(jnp.asarray(exact.mean + away), jnp.asarray(root)))
    found = approx.diagnose(chains=64, starts=0)
    slope, noise = found.table["slope_mean"].values, found.table["slope_error_mean"].values
    assert np.all(np.abs(slope + 0.5) < 5 * noise)
    assert np.all(noise < 0.1)
    far = approx.set_params({"mu": exact.mean + 20 * away}).diagnose(chains=64)
    assert far.verdict == "do not use"
    assert "not converged, the ELBO rises along beta[" in far.why
    assert "More steps" in far.advice


def test_the_first_chains_end_it_where_longer_ones_change_nothing():
    approx = vi.MeanField(model=conjugate_regression().model, random_seed=1)
    found = approx.diagnose()
    assert found.verdict == "do not use"
    assert found.gradients == 64 * 26
    assert found.modes is None
    assert "other fits: short chains had settled it" in found.skipped


def two_modes(weight):
    with pm.Model() as model:
        pm.NormalMixture("x", [weight, 1 - weight], [-8.0, 8.0], [1.0, 1.0])
    return model


def put_at(model, place):
    approx = vi.MeanField(model=model, random_seed=1)
    return approx.set_params({"mu": [place], "rho": [np.log(np.expm1(1.0))]})


def test_other_fits_see_the_mode_that_has_the_mass():
    """Weights are content with either, no draw comes near the other; chains cross by chance."""
    model = two_modes(0.02)
    wrong = put_at(model, -8.0).diagnose()
    assert wrong.verdict == "do not use"
    assert "nats higher, 16 sds of q away in x" in wrong.why
    best = wrong.modes.isel(mode=int(np.argmax(wrong.modes["mode_elbo"].to_numpy())))
    gap, noise = float(best["mode_elbo"] - wrong.elbo), float(best["mode_elbo_error"])
    # fixed draws leave a sd that is a little off: some hundredths of a nat
    assert gap == pytest.approx(np.log(0.98 / 0.02), abs=0.05 + 5 * noise)
    assert wrong.modes["mode"].values[0] == "q"
    assert float(wrong.modes["mode_mean"][0, 0]) == pytest.approx(-8.0)
    unseen = put_at(model, -8.0).diagnose(starts=0)
    assert unseen.pareto_k == 0
    assert unseen.modes is None


def mixture():
    """Two components that may be numbered either way."""
    rng = np.random.default_rng(4)
    y = rng.normal(np.array([-2.0, 1.5])[rng.integers(0, 2, 120)], 0.7)
    with pm.Model() as model:
        w = pm.Dirichlet("w", [2.0, 2.0])
        mu = pm.Normal("mu", 0.0, 5.0, shape=2, initval=[-1.0, 1.0])
        sigma = pm.HalfNormal("sigma", 1.0)
        pm.NormalMixture("y", w, mu, sigma, observed=y)
    return model


def product():
    """Two factors, of which only the product is known."""
    with pm.Model() as model:
        a, b = pm.Normal("a", 1.0, 1.0), pm.Normal("b", 0.0, 1.0, shape=2)
        pm.Normal("y", a**2 * b, 0.1, observed=[2.0, -1.0])
    return model


def absolute():
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 3.0, shape=2)
        pm.Normal("y", pm.math.abs(x), 0.3, observed=[2.0, 3.0])
    return model


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("model", "what"),
    [
        (absolute, "the sign of x changed"),
        (mixture, "entries 0 and 1 of w and mu exchanged"),
    ],
)
def test_images_are_modes_that_no_search_has_to_find(model, what, monkeypatch):
    """Log p is the same there: so is the ELBO, in all but the draws by which it is known."""
    monkeypatch.setattr(MEASUREMENTS, "other_fits", lambda *args, **options: ([], 0))
    approx = vi.fit(method="laplace", model=model(), random_seed=1)
    found = approx.diagnose()
    assert found.verdict == "do not use"
    assert found.why.startswith("multimodal")
    image = found.modes.sel(mode=f"q with {what}")
    noise = 5 * np.hypot(float(image["mode_elbo_error"]), found.elbo_error)
    assert float(image["mode_elbo"]) == pytest.approx(found.elbo, abs=max(noise, 1e-9))


def test_an_image_has_the_mass_that_the_prior_leaves_it(monkeypatch):
    """The square of one factor is taken, whose sign is all that may change; the mean of its prior,
    1, is against that: log N(-a | 1, 1) - log N(a | 1, 1) = -2 a.
    """
    monkeypatch.setattr(MEASUREMENTS, "other_fits", lambda *args, **options: ([], 0))
    found = vi.fit(2000, "fullrank_advi", product(), **QUIET).diagnose()
    image = found.modes.sel(mode="q with the sign of a changed")
    q = found.modes.sel(mode="q", unconstrained="a")
    # what is not in both alike is -2 a, over the draws of the image; its error, and q's own
    noise = 2 * float(q["mode_sd"]) / np.sqrt(256) + np.hypot(
        float(image["mode_elbo_error"]), found.elbo_error
    )
    gap = float(image["mode_elbo"]) - found.elbo
    assert gap == pytest.approx(-2 * float(q["mode_mean"]), abs=5 * noise)


def two_predictors(correlation, apart):
    """Two that go together: two entries of a vector, or two variables."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(80, 2)) @ np.linalg.cholesky([[1, correlation], [correlation, 1]]).T
    y = x @ ([0.5, -0.5] if apart else [1.0, 0.2]) + rng.normal(size=80)
    with pm.Model() as model:
        if apart:
            b = pm.math.stack([pm.Normal("b0", 0.0, 1.0), pm.Normal("b1", 0.0, 1.0)])
        else:
            b = pm.Normal("b", 0.0, 1.0, shape=2)
        pm.Normal("y", (x * b).sum(axis=-1), 1.0, observed=y)
    return model


@pytest.mark.few(2)
@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("correlation", [0.9, 0.95, 0.99])
def test_predictors_that_go_together_are_correlated_not_multimodal(correlation, apart, monkeypatch):
    """Images of independent normals across the ridge lie on it: one mode, and one name for it."""
    monkeypatch.setattr(MEASUREMENTS, "other_fits", lambda *args, **options: ([], 0))
    approx = vi.fit(method="dadvi", model=two_predictors(correlation, apart), **QUIET)
    found = approx.diagnose()
    assert not found.rival
    assert "(correlated: b" in found.why
    assert "fullrank_advi" in found.advice


@pytest.mark.slow  # what it compiles takes seconds; images are the quick test's
@pytest.mark.parametrize("components", [2, 3])
@pytest.mark.parametrize("apart", [2.5, 4.0])
def test_relabelled_mixtures_are_still_multimodal(components, apart, monkeypatch):
    """Even of components that overlap: with two means alike log p is lower on the way."""
    monkeypatch.setattr(MEASUREMENTS, "other_fits", lambda *args, **options: ([], 0))
    means = apart * np.arange(components)
    y = np.random.default_rng(5).normal(np.repeat(means, 60))
    with pm.Model() as model:
        w = pm.Dirichlet("w", np.full(components, 4.0))
        mu = pm.Normal("mu", means.mean(), 5.0, shape=components, initval=means)
        pm.NormalMixture("y", w, mu, 1.0, observed=y)
    found = vi.fit(method="laplace", model=model, random_seed=1).diagnose()
    assert found.verdict == "do not use"
    assert found.why.startswith("multimodal")
    assert "exchanged" in found.rival


@pytest.mark.few(1)
@pytest.mark.parametrize("apart", [10.0, 300.0])
def test_a_mode_far_away_is_found(apart):
    """Ten sds of q away, or as far as the prior is wide."""
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, apart, initval=0.0)
        pm.Potential(
            "two", pm.math.logaddexp(-0.5 * x**2, -0.5 * (x - apart) ** 2) + 0.5 * (x / apart) ** 2
        )
    approx = vi.fit(method="laplace", model=model, random_seed=1)
    assert abs(approx.mean.eval()[0]) < 1
    found = approx.diagnose()
    assert found.verdict == "do not use"
    assert found.why.startswith("multimodal")


@pytest.mark.slow
def test_restarts_that_end_elsewhere_are_no_good_fit():
    approx = vi.fit(2000, "advi", two_modes(0.5), restarts=8, start_sigma={"x": 5.0}, **QUIET)
    assert float(approx.record.starts["restart_distance"].max()) > 10
    found = approx.diagnose(starts=0)
    assert found.verdict == "do not use"
    assert found.why.startswith("multimodal, or a ridge: restart ")
    assert found.modes.sizes["mode"] == 8


def test_what_was_not_checked_is_said():
    """Weights that are all but equal know more than chains, which are not missed."""
    exact = correlated_gaussian()
    found = vi.fit(method="laplace", model=exact.model, random_seed=1).diagnose(chains=0)
    assert found.verdict == "good"
    assert "no short chains have looked" in found.why
    assert found.skipped == ("short chains: chains=0",)
    assert np.isnan(found.acceptance)
    assert "not checked: short chains" in str(found)


def test_large_models_are_looked_at_by_less(monkeypatch):
    """As many chains as can be afforded; none where they would be too few."""
    approx = vi.fit(method="laplace", model=conjugate_regression().model, random_seed=1)
    monkeypatch.setattr(MODULE, "MOST_WORK", 100 * 126 * entries_of(approx.target()))
    approx = approx.set_params({"mu": np.asarray(approx.reported["mu"]) + 0.3 * approx.std.eval()})
    assert approx.diagnose(starts=0).gradients == 100 * 126
    monkeypatch.setattr(MODULE, "MOST_WORK", 60 * 126 * entries_of(approx.target()))
    approx = approx.set_params({"mu": np.asarray(approx.reported["mu"]) - 0.3 * approx.std.eval()})
    found = approx.diagnose()
    assert "a large model" in found.skipped[0]
    assert found.gradients == 64
    assert found.verdict == "good"
    assert approx.diagnose(chains=64).verdict == "good"


def test_without_weights_and_chains_nothing_is_good():
    approx = vi.SVGD(n_particles=100, model=correlated_gaussian().model, random_seed=1)
    found = approx.fit(20, progressbar=False).diagnose(draws=100, chains=0)
    assert found.verdict == "do not use"
    assert found.why == "neither weights nor short chains have looked"
    assert set(found.skipped) == {
        "short chains: chains=0",
        "importance weights: q has no density",
    }


@pytest.mark.slow
def test_particles_have_chains_alone():
    approx = vi.SVGD(n_particles=300, model=correlated_gaussian().model, random_seed=1)
    found = approx.fit(1000, progressbar=False).diagnose()
    assert found.skipped == ("importance weights: q has no density",)
    assert found.verdict == "good"
    assert np.isnan(found.pareto_k)
    assert found.discrepancy < 1  # particles keep apart


def test_draws_without_a_density_are_named():
    """Half of q lies where p has no density."""
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 1.0)
        pm.Potential("wall", pm.math.switch(x > -0.5, 0.0, -np.inf))
    found = vi.MeanField(model=model, random_seed=1).diagnose(chains=64)
    assert found.verdict == "do not use"
    assert "log p is not finite at" in found.why


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"draws": 0}, "draws"),
        ({"draws": 10}, "draws=10"),
        ({"chains": -1}, "chains=-1"),
        ({"chains": 1}, "chains=1"),
        ({"chains": 64.5}, "chains=64.5"),
        ({"starts": -1}, "starts=-1"),
        ({"starts": 1.5}, "starts=1.5"),
        ({"rows": "few"}, "rows='few'"),
        ({"rows": "some"}, "rows='some' is for streamed rows"),
    ],
)
def test_bad_arguments(arguments, match):
    approx = vi.MeanField(model=correlated_gaussian().model, random_seed=1)
    with pytest.raises(ValueError, match=match):
        approx.diagnose(**arguments)


def test_resampled_draws_are_the_posteriors(caplog):
    """The logarithm of a Gamma(4, 1), from Laplace's approximation: mean digamma(4)."""
    with pm.Model() as model:
        pm.Gamma("x", 4.0, 1.0)
    approx = vi.fit(method="laplace", model=model, random_seed=1)
    draws = approx.sample(4000, random_seed=1, resample="psis", include_transformed=True)
    x = draws["posterior"]["x_log__"].to_numpy().ravel()
    assert x.size == 4000
    # 40,000 weighed draws, of which most are effective: the noise is that of 4,000 and less
    assert x.mean() == pytest.approx(digamma(4.0), abs=5 * np.sqrt(polygamma(1, 4.0) / 4000))
    variance = polygamma(1, 4.0)
    noise = np.sqrt((polygamma(3, 4.0) / variance**2 + 2) / 4000)
    assert x.var() == pytest.approx(variance, rel=5 * noise)
    assert draws["posterior"].attrs["pareto_k"] < 0.7
    same = approx.sample(4000, random_seed=1, resample="psis", include_transformed=True)
    assert np.array_equal(same["posterior"]["x_log__"].to_numpy().ravel(), x)
    stats = draws["sample_stats"]
    assert np.allclose(stats["log_q"][0], approx.logq(x[:, None]))
    assert "cannot be relied on" not in caplog.text


def test_resampling_that_cannot_be(caplog):
    model = conjugate_regression().model
    far = vi.MeanField(model=model, random_seed=1)
    assert far.sample(10, resample="psis")["posterior"].attrs["pareto_k"] > 0.7
    assert "cannot be relied on" in caplog.text
    with pytest.raises(ValueError, match="resample='bootstrap' is unknown"):
        far.sample(10, resample="bootstrap")
    with pytest.raises(TypeError, match="no density"):
        vi.SVGD(n_particles=10, model=model).approx.sample(10, resample="psis")


def test_one_normal_over_two_modes_is_not_good():
    """Moments agree, the shape does not: the weights see it."""
    with pm.Model() as model:
        pm.NormalMixture("x", [0.5, 0.5], [-5.0, 5.0], [1.0, 1.0])
    found = vi.fit(500, method="dadvi", model=model, **QUIET).diagnose()
    assert found.verdict == "usable with importance resampling"
    assert "the shape" in found.why


def test_weights_that_are_not_reliable_are_said():
    """Moments of the logarithm are right, the tail is heavier than q's."""
    with pm.Model() as model:
        pm.InverseGamma("x", 1.2, 1.0)
    found = vi.fit(500, method="dadvi", model=model, **QUIET).diagnose()
    assert found.pareto_k > 0.7
    assert "chains and weights" not in found.why


def test_one_draw_with_all_the_weight_has_no_k():
    with pm.Model() as model:
        data = pm.Data("data", np.zeros(3))
        pm.Normal("y", pm.Normal("mu"), 0.01, observed=data)
    approx = vi.fit(500, method="dadvi", model=model, **QUIET)
    model.set_data("data", np.full(3, 50.0))
    found = approx.diagnose()
    assert found.pareto_k == np.inf
    assert found.verdict == "do not use"
    assert "nan" not in str(found)


def test_a_search_that_ran_away_is_no_warning():
    """Where the sd of another fit has no bound its draws overflow: that is no ELBO."""
    with pm.Model() as model:
        pm.Normal("x")
    target = target_of_all_rows(vi.Approximation("mean_field", model=model).record)
    gone = FixedDrawsFit(np.zeros(1), np.full(1, 1e308), np.zeros(1), 1.0, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        elbo, _ = _elbo(target, gone, np.array([[10.0], [-10.0]]))
    assert elbo == -np.inf


def test_a_normal_that_is_singular_in_rounding_is_judged():
    """Wider draws need a density of their own, and take that of independent ones."""
    model = correlated_gaussian().model
    approx = vi.fit(5, "fullrank_advi", model, **QUIET)
    root = np.outer(np.ones(3), [1.0, 1e-18, 1e-18])  # all on one line
    approx.set_params(approx.family.at(jnp.zeros(3), jnp.asarray(np.tril(root))))
    assert approx.diagnose(chains=64, starts=0).verdict == "do not use"


def test_a_density_that_is_huge_far_out_has_a_verdict():
    """1e40, less anything, is 1e40: the draw with all the weight must not lose it."""
    approx = vi.fit(
        lambda x: jnp.where(jnp.abs(x) > 5.0, 1e40, -0.5 * x**2).sum(),
        init=np.zeros(1),
        method="laplace",
        random_seed=1,
    )
    found = approx.diagnose(random_seed=1, starts=0)
    assert found.verdict == "do not use"
    assert found.improper == "x[0]"  # it is as high however far out
