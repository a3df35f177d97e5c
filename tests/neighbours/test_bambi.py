"""Bambi's models: draws with its names and intercepts, and what it does with them."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest
from pages import section
from scipy import stats
from shown import assert_shown, code

import vi

bmb = pytest.importorskip("bambi")
pd = pytest.importorskip("pandas")
pytestmark = pytest.mark.neighbour

QUICK = {"method": "advi", "n": 50, "random_seed": 1, "progressbar": False}


def rows(seed: int = 0, n: int = 60, groups: int = 6) -> pd.DataFrame:
    """Data whose predictors are far from 0, so that a centred intercept is another number."""
    rng = np.random.default_rng(seed)
    group = rng.permutation(np.arange(n) % groups)
    x = rng.normal(4.0, 1.0, n)
    effects = rng.normal(0.0, 0.7, groups)
    y = 1.0 + 0.5 * x + effects[group] + rng.normal(0.0, 0.5, n)
    kind = rng.choice(["a", "b", "c"], n)
    return pd.DataFrame({"x": x, "y": y, "g": [f"g{i}" for i in group], "kind": kind})


@pytest.fixture(scope="module")
def fitted():
    """A model that was not built, its draws, and those of its PyMC model with the same seed."""
    model = bmb.Model("y ~ x + kind + (1|g)", rows())
    assert not model.built
    draws = vi.bambi.fit(model, draws=40, **QUICK)
    return model, draws, model.backend.vi_approx.sample(40, random_seed=1)


def test_draws_are_those_of_bambis_own_fit(fitted):
    model, draws, _ = fitted
    theirs = model.fit(draws=5, tune=5, chains=1, random_seed=1, progressbar=False)
    ours, theirs = draws["posterior"], theirs["posterior"]
    assert set(ours.data_vars) == set(theirs.data_vars)
    for name in theirs.data_vars:
        assert ours[name].dims == theirs[name].dims
    for dim in set(theirs.dims) - {"chain", "draw"}:
        assert list(ours[dim].values) == list(theirs[dim].values)
    assert ours.attrs["modeling_interface"] == "bambi"
    assert {"observed_data", "sample_stats", "fit"} <= set(draws.children)


def test_the_intercept_is_that_of_predictors_as_they_are(fitted):
    """The model's is that of centred ones: the slopes times the means of the columns more."""
    model, draws, raw = fitted
    data, ours, centred = model.data, draws["posterior"], raw["posterior"]
    shift = data["x"].mean() * ours["x"]
    for level in ours["kind_dim"].values:
        shift = shift + (data["kind"] == level).mean() * ours["kind"].sel(kind_dim=level)
    assert np.allclose(ours["Intercept"], centred["Intercept"] - shift)
    assert abs(float(shift.mean())) > 1.0


def test_predictions_are_the_models_own(fitted):
    model, draws, raw = fitted
    predicted = model.predict(draws, inplace=False)
    assert np.allclose(predicted["posterior"]["mu"], raw["posterior"]["mu"])
    new = model.predict(draws, data=model.data.iloc[:3], kind="response", inplace=False)
    assert new["posterior_predictive"]["y"].sizes["__obs__"] == 3
    assert "mu" not in draws["posterior"]


def test_interpret_takes_the_draws(fitted):
    model, draws, _ = fitted
    table = bmb.interpret.predictions(model, draws, "x").summary
    assert np.isfinite(table["estimate"]).all()
    assert bmb.interpret.plot_predictions(model, draws, "x") is not None
    assert len(bmb.interpret.comparisons(model, draws, "x").summary) >= 1


def test_what_bambi_keeps_is_kept(fitted):
    model, _, raw = fitted
    draws = vi.bambi.sample(
        model, draws=40, random_seed=1, omit_offsets=False, include_response_params=True
    )
    assert np.allclose(draws["posterior"]["mu"], raw["posterior"]["mu"])
    assert "1|g_offset" in draws["posterior"]
    assert model.backend.fit


def test_inside_as_pm_fit_bambis_own_vi_is_ours():
    model = bmb.Model("y ~ x", rows())
    with vi.as_pm_fit(n=50, random_seed=1) as fits:
        approx = model.fit(inference_method="vi", progressbar=False)
    assert approx is fits[0] is model.backend.vi_approx
    draws = vi.bambi.sample(model, approx, 30, random_seed=2)["posterior"]
    centred = approx.sample(30, random_seed=2)["posterior"]
    shift = model.data["x"].mean() * draws["x"]
    assert np.allclose(draws["Intercept"], centred["Intercept"] - shift)


def test_a_formula_a_family_and_several_linear_predictors():
    data = rows().assign(win=lambda d: (d["y"] > d["y"].median()).astype(int))
    draws = vi.bambi.fit("win ~ x", data, family="bernoulli", draws=10, **QUICK)
    assert set(draws["posterior"].data_vars) == {"Intercept", "x"}
    model = bmb.Model(bmb.Formula("y ~ x", "sigma ~ x"), data)
    draws = vi.bambi.fit(model, draws=10, **QUICK)
    raw = model.backend.vi_approx.sample(10, random_seed=1)
    model.predict(draws)
    for name in ("mu", "sigma"):
        assert np.allclose(draws["posterior"][name], raw["posterior"][name])


def test_names_of_ones_own_and_predictors_that_are_not_centred():
    model = bmb.Model("y ~ x", rows(), center_predictors=False)
    model.set_alias({"x": "slope", "Intercept": "level"})
    draws = vi.bambi.fit(model, draws=10, **QUICK)["posterior"]
    raw = model.backend.vi_approx.sample(10, random_seed=1)["posterior"]
    assert set(draws.data_vars) == {"level", "slope", "sigma"}
    assert np.allclose(draws["level"], raw["level"])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: vi.bambi.fit("y ~ x"), TypeError, "needs its data"),
        (lambda: vi.bambi.fit(bmb.Model("y ~ x", rows()), rows()), TypeError, "leave out data"),
        (lambda: vi.bambi.fit(pm.Model(), rows()), TypeError, "must be a bambi.Model"),
        (lambda: vi.bambi.sample(bmb.Model("y ~ x", rows())), TypeError, "no approximation by vi"),
        (lambda: vi.bambi.fit("y ~ x", rows(), steps=3), TypeError, "unexpected keyword"),
        (lambda: vi.bambi.fit("y ~ x", rows(), draws=0, method="advi", n=1), ValueError, "draws"),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_an_approximation_of_another_model_is_refused(fitted):
    model, _, _ = fitted
    other = bmb.Model("y ~ x", rows())
    other.build()
    with pytest.raises(ValueError, match="of another model"):
        vi.bambi.sample(other, model.backend.vi_approx)


def test_a_prior_of_whole_numbers_is_refused():
    model = bmb.Model("y ~ x", rows(), priors={"x": bmb.Prior("Poisson", mu=2.0)})
    with pytest.raises(ValueError, match="x"):
        vi.bambi.fit(model, **QUICK)


def exact(model: bmb.Model) -> dict[str, tuple[float, float]]:
    """Means and sds of `y ~ x + (1|g)`: normal given both scales, which are on a grid."""
    data, mu = model.data, model.parameters["mu"]
    x, y = data["x"].to_numpy(), data["y"].to_numpy()
    names = sorted(set(data["g"]))
    groups = (data["g"].to_numpy()[:, None] == np.array(names)).astype(float)
    design = np.column_stack([np.ones_like(x), x - x.mean(), groups])
    intercept, slope = mu.intercept_term.prior.args, mu.common_terms["x"].prior.args
    prior = np.zeros(2 + len(names))
    prior[:2] = float(np.squeeze(intercept["mu"])), float(np.squeeze(slope["mu"]))
    widths = [float(np.squeeze(p["sigma"])) for p in (intercept, slope)]
    of_group = mu.group_specific_terms["1|g"].prior.args["sigma"].args["sigma"]
    noise = model.parameters["sigma"].prior.args
    sigmas = np.exp(np.linspace(np.log(0.25), np.log(1.2), 80))
    taus = np.exp(np.linspace(np.log(0.02), np.log(6.0), 120))
    report = np.eye(len(prior))
    report[0, 1] = -x.mean()  # of predictors as they are
    log_weights, means, variances = [], [], []
    for sigma in sigmas:
        for tau in taus:
            inverse = np.array([*(1 / w**2 for w in widths), *[1 / tau**2] * len(names)])
            precision = np.diag(inverse) + design.T @ design / sigma**2
            covariance = np.linalg.inv(precision)
            residual = y - design @ prior
            moved = covariance @ (design.T @ residual) / sigma**2
            fit = residual @ residual / sigma**2 - moved @ precision @ moved
            log_weights.append(
                0.5 * (np.log(inverse).sum() - np.linalg.slogdet(precision)[1] - fit)
                - len(y) * np.log(sigma)
                + stats.halfnorm(scale=float(np.squeeze(of_group))).logpdf(tau)
                + stats.t(df=float(noise["nu"])).logpdf(sigma / float(np.squeeze(noise["sigma"])))
                + np.log(sigma * tau)  # the grid is one of logarithms
            )
            values = report @ (prior + moved)
            spread = np.diag(report @ covariance @ report.T)
            means.append([*values, sigma, tau])
            variances.append([*spread, 0.0, 0.0])
    weights = np.exp(np.array(log_weights) - np.max(log_weights))
    weights /= weights.sum()
    mean = weights @ np.array(means)
    sd = np.sqrt(weights @ (np.array(variances) + np.array(means) ** 2) - mean**2)
    labels = ["Intercept", "x", *names, "sigma", "1|g_sigma"]
    return {label: (mean[i], sd[i]) for i, label in enumerate(labels)}


@pytest.mark.slow
def test_the_default_fit_of_the_default_model_is_right():
    """Chains have 400 effective draws at least: 4 standard errors are 0.2 of a mean's sd, and 0.2
    of an sd where the tails are heavier than a normal's.
    """
    model = bmb.Model("y ~ x + (1|g)", rows())
    draws = vi.bambi.fit(model, draws=2000, random_seed=1, progressbar=False)
    assert model.backend.vi_approx.diagnosis.verdict == "good"
    posterior = draws["posterior"].to_dataset()
    for name, (mean, sd) in exact(model).items():
        group = name in posterior["g__factor_dim"]
        ours = posterior["1|g"].sel(g__factor_dim=name) if group else posterior[name]
        assert abs(float(ours.mean()) - mean) < 0.2 * sd, name
        assert abs(float(ours.std()) / sd - 1) < 0.2, name


@pytest.mark.slow
def test_the_page(capsys):
    text = section("Bambi")
    for block in code(text, "python"):
        exec(compile(block, "docs/neighbours.md", "exec"), {"__name__": "__main__"})
    assert_shown(text, capsys.readouterr().out)
