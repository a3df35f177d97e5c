"""How log p falls far from a fit: improper posteriors, heavy tails, proper ones that look wide."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest
import scipy.stats

import vi
from vi.search.tails import look_along_level, look_far

ROWS = np.random.default_rng(1).normal(size=40)
SEPARATED = (ROWS > 0.1).astype(int)


def flat_alone():
    with pm.Model() as model:
        pm.Flat("free")
        pm.Normal("y", pm.Normal("mu"), 1.0, observed=ROWS)
    return model


def separated():
    with pm.Model() as model:
        a, b = pm.Normal("a"), pm.Flat("b")
        pm.Bernoulli("y", logit_p=a + b * (ROWS - 0.1), observed=SEPARATED)
    return model


def no_success():
    """The posterior of Haldane's prior without a success."""
    with pm.Model() as model:
        pm.Binomial("y", n=10, logit_p=pm.Flat("logit"), observed=0)
    return model


def scale_without_data():
    with pm.Model() as model:
        pm.HalfFlat("s")
        pm.Normal("z")
    return model


def reciprocal_scale():
    """1 / s, which is flat in log s."""
    with pm.Model() as model:
        s = pm.HalfFlat("s")
        pm.Potential("prior", -pm.math.log(s))
        pm.Normal("z")
    return model


def same_predictors():
    """Only a + 2 b is known."""
    with pm.Model() as model:
        mu = (pm.Flat("a") + 2.0 * pm.Flat("b")) * ROWS
        pm.Normal("y", mu, 1.0, observed=ROWS)
    return model


def alone(name, *arguments, **settings):
    def build():
        with pm.Model() as model:
            getattr(pm, name)("x", *arguments, **settings)
            pm.Normal("z")
        return model

    return build


def effects():
    with pm.Model() as model:
        s = pm.HalfCauchy("s", 1.0)
        pm.Normal("y", pm.Normal("t", 0.0, s, shape=3), 1.0, observed=[0.1, -1.0, 0.5])
    return model


def separated_with_prior():
    with pm.Model() as model:
        a, b = pm.Normal("a"), pm.Cauchy("b", 0.0, 2.5)
        pm.Bernoulli("y", logit_p=a + b * (ROWS - 0.1), observed=SEPARATED)
    return model


def on_a_circle():
    with pm.Model() as model:
        pm.VonMises("x", 0.0, 1.0)
    return model


IMPROPER = [
    (flat_alone, "free"),
    (separated, "b"),
    (no_success, "logit"),
    (scale_without_data, "s"),
    (reciprocal_scale, "s"),
]
PROPER = [
    alone("Cauchy", 0.0, 1.0),
    alone("HalfCauchy", 1.0),
    alone("StudentT", nu=2, mu=0.0, sigma=1.0),
    alone("StudentT", nu=1.2, mu=0.0, sigma=1.0),
    alone("Normal", 0.0, 1e6),
    alone("Uniform", 0.0, 1.0),
    alone("InverseGamma", 0.1, 0.1),
    alone("Dirichlet", [0.1, 0.1, 0.1]),
    alone("Pareto", 0.5, 1.0),
    alone("MvStudentT", nu=1, mu=np.zeros(3), scale=np.eye(3)),
    effects,
    separated_with_prior,
    on_a_circle,
]


def far(model, std=1.0, seed=3, **options):
    """What is seen around the initial point, where q is as wide as it is told."""
    approx = vi.MeanField(model=model, random_seed=1, **options)
    target, mean = approx.target(), approx.mean.eval().astype(float)
    std = np.full(target.dim, std)
    draw = mean + std * np.random.default_rng(seed).standard_normal(target.dim)
    return look_far(target, mean, std, np.diag(std**2), draw), (target, mean, std, draw)


@pytest.mark.parametrize(("build", "name"), IMPROPER)
@pytest.mark.parametrize("std", [0.1, 2.0])
def test_improper_posteriors_are_named(build, name, std):
    found, _ = far(build(), std)
    assert found.improper
    assert found.names == name


@pytest.mark.few(8)
@pytest.mark.parametrize("build", PROPER)
@pytest.mark.parametrize("std", [0.1, 2.0])
def test_proper_posteriors_are_not_called_improper(build, std):
    """Heavy tails, a prior that is a million times wider than q, edges, and a circle."""
    found, place = far(build(), std)
    assert not found.improper
    assert not look_along_level(*place).improper


@pytest.mark.parametrize("build", [alone("HalfCauchy", 1.0), effects])
def test_an_sd_that_has_collapsed_sees_what_falls(build):
    """Of a search that has run away: 1e12 of 1e-16 are no distance."""
    found, _ = far(build(), 1e-16)
    assert not found.improper


def test_a_direction_along_no_coordinate_is_found_by_its_curvature():
    found, place = far(same_predictors())
    assert not found.improper
    level = look_along_level(*place)
    assert level.improper
    assert level.names == "a, b"


@pytest.mark.parametrize(
    ("build", "exponent", "said"),
    [
        (alone("Cauchy", 0.0, 1.0), 2.0, "x has no mean and no variance"),
        (alone("StudentT", nu=2, mu=0.0, sigma=1.0), 3.0, "x has no variance"),
        (alone("StudentT", nu=2.5, mu=0.0, sigma=1.0), np.inf, ""),
        (alone("Normal", 0.0, 1.0), np.inf, ""),
    ],
)
def test_the_exponent_of_a_tail_says_which_moments_there_are(build, exponent, said):
    """A t with nu degrees of freedom falls like r^-(nu + 1)."""
    found, _ = far(build())
    assert found.exponent == pytest.approx(exponent, abs=1e-3)
    assert found.moments.startswith(said)
    assert bool(found.moments) is bool(said)


@pytest.mark.few(2)
@pytest.mark.parametrize("backend", ["jax", "pytensor"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_on_every_backend(backend, dtype):
    model = flat_alone()
    options = {"backend": backend, "dtype": dtype, "random_seed": 1, "progressbar": False}
    approx = vi.fit(20, "advi", model, **options)
    assert approx.diagnose(chains=0, draws=100).improper == "free"


def test_a_level_far_below_is_left_alone():
    """A flat prior and a likelihood that is level 1,700 nats further down: nothing gets there."""
    with pm.Model() as model:
        rate = pm.Flat("rate")
        pm.Normal("y", pm.math.exp(-rate), 0.02, observed=np.full(10, np.exp(-1.0)))
    approx = vi.MeanField(model=model, start={"rate": 1.0}, random_seed=1)
    # log p is lower by that at infinity
    assert 10 * (np.exp(-1.0) / 0.02) ** 2 / 2 > 1690
    for std in (0.01, 1.0):
        place = (approx.target(), np.ones(1), np.full(1, std))
        assert not look_far(*place, None, np.full(1, 1.001)).improper


@pytest.mark.parametrize("build", [flat_alone, separated, same_predictors])
def test_a_fit_ends_early_and_says_so(build):
    approx = vi.fit(build(), random_seed=1, progressbar=False)
    found = approx.diagnosis
    assert found.verdict == "do not use"
    assert found.why.startswith(f"improper: log p does not fall along {found.improper}")
    assert "A proper prior on" in found.advice
    assert approx.status.ending == "stopped"
    assert set(approx.stages["stage"]) <= {"search", "match", "check"}
    assert "improper" in str(approx.status)


def test_a_verdict_keeps_it_in_a_file(tmp_path):
    model = alone("Cauchy", 0.0, 1.0)()
    approx = vi.fit(500, "advi", model, random_seed=1, progressbar=False)
    found = approx.diagnose(draws=200, chains=0)
    assert not found.improper
    assert "x has no mean" in str(found)
    approx.save(tmp_path / "fit.npz")
    loaded = vi.load(tmp_path / "fit.npz", model=model).diagnosis
    assert loaded.tails == found.tails


@pytest.mark.slow
def test_quantiles_stand_for_a_density_without_moments():
    """The quartiles of a Cauchy are -1 and 1, whatever its mean."""
    approx = vi.fit(alone("Cauchy", 0.0, 1.0)(), random_seed=1, progressbar=False)
    assert "x has no mean and no variance" in str(approx.diagnosis)
    draws = approx.sample(4000, random_seed=1)["posterior"]["x"].to_numpy().ravel()
    low, high = scipy.stats.cauchy.ppf([0.25, 0.75])
    # some hundreds of the chains' draws are effective; the density at a quartile is 1 / (2 pi)
    noise = 5 * np.sqrt(0.25 * 0.75 / 400) * 2 * np.pi
    np.testing.assert_allclose(np.quantile(draws, [0.25, 0.75]), [low, high], atol=noise)
