"""The stage of several modes: mixtures against closed forms, their verdicts, and their absence."""

import math

import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytest
from problems import conjugate_regression, two_signs

import vi
from vi.auto import mixture as stage
from vi.auto.mixture_weights import gain, mixture_weights
from vi.families import FullRank, Mixture

QUIET = {"method": "auto", "random_seed": 1, "progressbar": False}
WEIGHTS = np.array([0.3, 0.7])


def two_normals(dim, separation):
    """0.3 N(-m, A) + 0.7 N(m, B), sds 0.2 to 0.6, and its moments.

    The means are so many sds of the wider one apart, along the diagonal. B is A at another scale:
    the image of one, its signs changed, leads to the other, so that both are found.
    """
    turn = np.linalg.qr(np.random.default_rng(dim).normal(size=(dim, dim)))[0]
    means, covs = [], []
    for sign, scale in ((-1.0, 0.6), (1.0, 0.4)):
        means.append(np.full(dim, sign * 0.5 * separation * 0.6 / math.sqrt(dim)))
        covs.append((turn * (scale * np.linspace(0.5, 1.0, dim) ** 2)) @ turn.T * scale)
    inverses = [np.linalg.inv(cov) for cov in covs]
    logs = np.log(WEIGHTS) - [0.5 * np.linalg.slogdet(2 * np.pi * cov)[1] for cov in covs]

    def log_p(z):
        parts = [
            log - 0.5 * (z - mean) @ (jnp.asarray(inverse, z.dtype) @ (z - mean))
            for log, mean, inverse in zip(logs, means, inverses, strict=True)
        ]
        return jnp.logaddexp(*parts)

    mean = WEIGHTS @ means
    apart = np.array(means) - mean
    return log_p, mean, np.tensordot(WEIGHTS, covs, 1) + (apart.T * WEIGHTS) @ apart


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("separation", [6.0, 10.0])
@pytest.mark.parametrize("dim", [1, 2, 5])
def test_two_normals_are_found_with_their_weights(dim, separation, dtype):
    """Matched scores of a normal have no noise; weights that are evidences have hardly any.

    Of the tails of one component at the other 1e-3 remains with a separation of 6.
    """
    log_p, mean, cov = two_normals(dim, separation)
    approx = vi.fit(log_p, init=np.zeros(dim, dtype), **QUIET)
    assert approx.family == Mixture(FullRank(), 2)
    assert list(approx.stages["stage"])[-2:] == ["mixture", "check"]
    assert approx.diagnosis.verdict == "good"
    sd = np.sqrt(np.diag(cov))
    np.testing.assert_allclose((approx.mean.eval() - mean) / sd, 0.0, atol=5e-3)
    np.testing.assert_allclose(
        approx.cov.eval() / np.outer(sd, sd), cov / np.outer(sd, sd), atol=1e-2
    )
    weights = np.exp(approx.reported["log_weights"])
    np.testing.assert_allclose(np.sort(weights), WEIGHTS, atol=5e-3)
    # log p is normalised: the ELBO of what is p is 0
    assert abs(approx.diagnosis.elbo) < 5e-3


@pytest.fixture(scope="module")
def signs():
    model = two_signs()
    return model, vi.fit(model=model, **QUIET)


@pytest.mark.slow
def test_both_signs_have_half_of_the_mass(signs):
    """The weights come of 2,000 draws whose weights have an sd of about 0.05."""
    _, approx = signs
    assert approx.family == Mixture(FullRank(), 2)
    assert approx.diagnosis.verdict == "good"
    np.testing.assert_allclose(np.exp(approx.reported["log_weights"]), 0.5, atol=0.01)
    assert abs(approx.mean.eval()[0]) < 0.02
    draws = approx.sample(2000, random_seed=1)["posterior"]["x"].to_numpy().ravel()
    share = (draws > 0).mean()
    assert abs(share - 0.5) < 5 * 0.5 / np.sqrt(2000)
    # around each of both x is about 1 +- 0.025
    np.testing.assert_allclose(np.abs(draws).std(), 0.025, rtol=0.2)


@pytest.mark.slow
def test_what_comes_back_works(signs, tmp_path):
    model, approx = signs
    assert approx.status.ending == "converged"
    approx.save(tmp_path / "fit.vi")
    again = vi.load(tmp_path / "fit.vi", model)
    assert again.family == approx.family
    assert again.stages.equals(approx.stages)
    mine, theirs = (a.sample(20, random_seed=3)["posterior"].to_dataset() for a in (approx, again))
    assert mine.equals(theirs)
    assert set(approx.shared_params) == {"log_weights", "mu", "L_tril"}
    with pytest.raises(TypeError, match=r"vi.KLqp\(approx\)"):
        approx.refine(5)
    better = vi.KLqp(again).fit(5, progressbar=False)
    np.testing.assert_array_equal(better.reported["log_weights"], approx.reported["log_weights"])


@pytest.mark.slow
def test_chains_of_a_mixture_measure_within_its_components(signs):
    """Its own covariance is 1, that of a component 0.025^2."""
    pytest.importorskip("blackjax")
    _, approx = signs
    step = approx.nuts_step()
    np.testing.assert_allclose(np.sqrt(step.potential.v), 0.025, rtol=0.1)


def labelled(components):
    """Rows around means of which nobody says which is first."""
    rng = np.random.default_rng(2)
    places = np.linspace(-4.0, 4.0, components)
    y = rng.normal(places[rng.integers(0, components, 200)], 0.7)
    with pm.Model() as model:
        mean = pm.Normal("mean", 0.0, 4.0, shape=components)
        weights = np.full(components, 1 / components)
        pm.NormalMixture("y", w=weights, mu=mean, sigma=0.7, observed=y)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("components", [2, 3])
def test_each_numbering_of_a_mixture_is_a_mode(components):
    """All entries have one mean and one sd, as whatever holds of one holds of the other."""
    count = math.factorial(components)
    approx = vi.fit(model=labelled(components), **QUIET)
    found = approx.diagnosis
    assert approx.family == Mixture(FullRank(), count)
    assert found.verdict == "good"
    # errors of the weights, of 1,000 draws each, that of one normal beside them
    np.testing.assert_allclose(np.exp(approx.reported["log_weights"]), 1 / count, atol=0.02)
    mean, sd = approx.mean.eval(), approx.std.eval()
    assert np.ptp(mean) < 0.1 * sd.min()
    assert np.ptp(np.log(sd)) < 0.05


@pytest.mark.slow
def test_a_mode_that_is_left_out_is_seen(monkeypatch):
    """With two of six modes a mixture is not good, as wide as it is."""
    monkeypatch.setattr(stage, "MOST", 2)
    approx = vi.fit(model=labelled(3), inf_kwargs={"repair": None}, **QUIET)
    assert approx.family == Mixture(FullRank(), 2)
    found = approx.diagnosis
    assert found.verdict != "good"
    assert "component" in found.rival or "start" in found.rival
    assert "multimodal" in found.why


@pytest.mark.slow
def test_chains_have_the_modes_that_a_mixture_leaves_out(monkeypatch):
    """Six orders of three means: each has a sixth of the draws."""
    monkeypatch.setattr(stage, "MOST", 2)
    approx = vi.fit(model=labelled(3), **QUIET)
    assert approx.diagnosis.verdict == "good"
    draws = np.asarray(approx.sample(3000, random_seed=1)["posterior"]["mean"])[0]
    shares = np.unique_counts(np.argsort(draws, axis=1) @ np.array([9, 3, 1])).counts / 3000
    assert len(shares) == 6
    assert np.max(np.abs(shares - 1 / 6)) < 5 * np.sqrt(5 / 36 / 3000)


def test_a_component_that_is_wrong_is_seen_within_the_whole():
    """Twice as wide as p at one of two modes: of the sd of all that is 1 in 100."""
    approx = vi.Mixture(2, model=two_signs(), random_seed=1, dtype="float64")
    inside = [
        {"mu": np.array([place]), "L_tril": np.log(np.expm1([sd]))}
        for place, sd in ((-1.0, 0.025), (1.0, 0.1))
    ]
    stacked = {name: np.stack([part[name] for part in inside]) for name in inside[0]}
    approx.set_params(stacked | {"log_weights": np.log([0.5, 0.5])})
    table = approx.diagnose(starts=0).table
    # log 4 in one of two: by the root mean square log(4) / sqrt(2)
    assert abs(table["chains_sd"][0] + math.log(4) / math.sqrt(2)) < 0.2
    assert abs(table["weights_sd"][0] + math.log(4) / math.sqrt(2)) < 0.2


def test_weights_that_are_wrong_are_seen():
    approx = vi.Mixture(2, model=two_signs(), random_seed=1, dtype="float64")
    sd = np.log(np.expm1([[0.025], [0.025]]))
    approx.set_params({"mu": [[-1.0], [1.0]], "L_tril": sd, "log_weights": np.log([0.8, 0.2])})
    table = approx.diagnose(starts=0, chains=64).table
    # from 0.8 to 0.5 the mean goes from -0.6 to 0, and the sd of 0.8 to 1
    assert abs(table["weights_mean"][0] - 0.6 / 0.8) < 0.1
    assert abs(table["chains_mean"][0] - 0.6 / 0.8) < 0.1


def test_one_mode_has_no_such_stage():
    approx = vi.fit(model=conjugate_regression().model, **QUIET)
    assert list(approx.stages["stage"]) == ["search", "match", "check"]
    assert approx.family == FullRank()


@pytest.mark.slow
def test_a_budget_that_is_spent_leaves_the_normal():
    approx = vi.fit(model=two_signs(), inf_kwargs={"max_evaluations": 6000}, **QUIET)
    assert "mixture" not in list(approx.stages["stage"])
    assert approx.diagnosis.verdict != "good"
    assert "multimodal" in approx.diagnosis.why


@pytest.mark.slow
def test_a_callback_ends_it_at_what_was_there():
    def stop(approx, losses, i):
        if list(approx.stages["stage"])[-1:] == ["check"]:
            raise StopIteration("enough")

    approx = vi.fit(model=two_signs(), callbacks=[stop], **QUIET)
    assert approx.status.ending == "stopped"
    assert approx.family == FullRank()
    assert np.isfinite(approx.mean.eval()).all()


def test_weights_of_components_that_overlap():
    """Of 0.2 N(0, 1) + 0.8 N(2, 1) a draw can be of either; EM over them is maximum likelihood."""
    rng = np.random.default_rng(1)
    z = np.concatenate([rng.normal(0, 1, 4000), rng.normal(2, 1, 4000)])
    log_parts = -0.5 * (z[:, None] - np.array([0.0, 2.0])) ** 2
    log_p = np.logaddexp(np.log(0.2) + log_parts[:, 0], np.log(0.8) + log_parts[:, 1])
    weights, k = mixture_weights(log_p, log_parts)
    assert k < 0.7
    # information about the weight of some 0.4 / (w (1 - w)) a draw
    assert abs(weights[0] - 0.2) < 5 * np.sqrt(0.16 / 0.4 / 8000)


def test_what_a_mixture_gains():
    """A second mode with a hundredth of the mass: the ELBO grows by -log 0.99, and that is seen."""
    rng = np.random.default_rng(1)
    centres = np.array([0.0, 50.0])
    points = [centre + rng.normal(size=1000) for centre in centres]
    log_parts = [-0.5 * (z[:, None] - centres) ** 2 for z in points]
    true = np.log([0.99, 0.01])
    noise = 0.3 * rng.normal(size=(2, 1000))
    log_p = [
        np.logaddexp.reduce(logs + true, axis=1) + e
        for logs, e in zip(log_parts, noise, strict=True)
    ]
    more, error = gain(log_p, log_parts, np.exp(true), np.array([1.0, 0.0]))
    assert abs(more + math.log(0.99)) < 5 * error
    assert error < 1e-3
