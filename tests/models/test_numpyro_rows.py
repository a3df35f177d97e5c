"""NumPyro plates that take some of their rows: our batches of them, all rows after the fit."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import vi

numpyro = pytest.importorskip("numpyro", reason="the extra numpyro")
dist = pytest.importorskip("numpyro.distributions")

QUIET = {"progressbar": False, "random_seed": 1}
RNG = np.random.default_rng(1)
Y = RNG.normal(2.0, 1.0, 200)


def mean(y, few=None):
    mu = numpyro.sample("mu", dist.Normal(0.0, 10.0))
    numpyro.deterministic("double", 2 * mu)
    with numpyro.plate("rows", len(y), subsample_size=few) as rows:
        numpyro.deterministic("residual", y[rows] - mu)
        numpyro.sample("y", dist.Normal(mu, 1.0), obs=y[rows])


@pytest.fixture(scope="module")
def batches():
    return vi.MeanField(model=vi.targets.from_numpyro(mean, Y, 50), random_seed=1)


def test_after_the_fit_all_rows_count(batches):
    whole = vi.MeanField(model=vi.targets.from_numpyro(mean, jnp.asarray(Y)), random_seed=1)
    z = np.array([[1.3], [-0.4]])
    np.testing.assert_allclose(batches.logp(z), whole.logp(z), rtol=1e-6)


def test_the_rows_of_an_epoch_are_all_rows_once_scaled(batches):
    target, z = batches.target(training=True), np.array([1.3], "float32")
    words = np.array([1, 2], np.uint32)
    steps = [target.at_step(target.batch(), words, np.uint32(step)) for step in range(4)]
    numbers = np.concatenate([np.asarray(step.rows[0]) for step in steps])
    np.testing.assert_array_equal(np.sort(numbers), np.arange(200))
    values = [float(target.log_prob(z, inputs)) for inputs in steps]
    assert np.ptp(values) > 1.0
    assert np.mean(values) == pytest.approx(float(batches.logp(z)), rel=1e-6)


def test_draws_and_predictions_are_of_all_rows(batches):
    draws = batches.sample(5, random_seed=1)
    posterior = draws["posterior"]
    mu = posterior["mu"].to_numpy()
    np.testing.assert_allclose(posterior["double"], 2 * mu, rtol=1e-6)
    np.testing.assert_allclose(posterior["residual"], Y - mu[..., None], atol=1e-5)
    predicted = batches.sample_posterior_predictive(draws, random_seed=1)
    assert predicted["posterior_predictive"]["y"].shape == (1, 5, 200)
    log_p = batches.compute_log_likelihood(draws)["log_likelihood"]["y"].to_numpy()
    np.testing.assert_allclose(
        log_p, -0.5 * (Y - mu[..., None]) ** 2 - 0.5 * np.log(2 * np.pi), atol=1e-5
    )
    other = batches.sample_posterior_predictive(draws, args=(jnp.ones(7), 3), random_seed=1)
    assert other["posterior_predictive"]["y"].shape == (1, 5, 7)


@pytest.mark.slow
def test_a_fit_finds_the_posterior_of_all_rows():
    """Rows drawn anew each step would put noise of sqrt(N / B) = 2 sds of q on a step's gradient,
    averages of 0.21 n of them 2 / sqrt(0.21 n); an epoch without replacement has less.
    """
    approx = vi.fit(3000, "fullrank_advi", model=vi.targets.from_numpyro(mean, Y, 50), **QUIET)
    sd = (len(Y) + 0.01) ** -0.5
    error = 5 * 2 / np.sqrt(0.21 * 3000)
    assert approx.mean.eval()[0] == pytest.approx(Y.sum() * sd**2, abs=error * sd)
    assert np.log(approx.std.eval()[0] / sd) == pytest.approx(0.0, abs=error)


def test_the_prior_is_weighed_without_the_rows():
    """beta = 2 halves the likelihood: the posterior of half as many rows."""
    model = vi.targets.from_numpyro(mean, Y, 50)
    half = model.log_prior().eval({model["mu"]: 1.0})
    assert float(half) == pytest.approx(-0.5 * 0.01 - np.log(10.0) - 0.5 * np.log(2 * np.pi))


def test_rows_of_numpyros_own_subsample():
    def model(x):
        mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
        with numpyro.plate("rows", len(x), subsample_size=10):
            numpyro.sample("x", dist.Normal(mu, 1.0), obs=numpyro.subsample(x, event_dim=0))

    approx = vi.MeanField(model=vi.targets.from_numpyro(model, Y), random_seed=1)
    expected = -0.5 * ((Y - 0.5) ** 2).sum() - 0.5 * 0.25 - 201 / 2 * np.log(2 * np.pi)
    assert float(approx.logp([0.5])) == pytest.approx(expected, rel=1e-5)


def factors(x, few=None):
    """Each row has a mean of its own: x_i ~ N(z_i, 1), z_i ~ N(m, 1)."""
    m = numpyro.sample("m", dist.Normal(0.0, 1.0))
    with numpyro.plate("rows", len(x), subsample_size=few) as rows:
        z = numpyro.sample("z", dist.Normal(m, 1.0))
        numpyro.deterministic("square", z**2)
        numpyro.sample("x", dist.Normal(z, 1.0), obs=x[rows])


@pytest.fixture(scope="module")
def local():
    return vi.targets.from_numpyro(factors, Y, 20)


def test_latent_sites_of_the_plate_are_local(local):
    approx = vi.MeanField(model=local, random_seed=1)
    assert {part.name: part.rows for part in approx.groups} == {"z": 200, "m": None}
    whole = vi.MeanField(model=vi.targets.from_numpyro(factors, jnp.asarray(Y)), random_seed=1)
    z = RNG.normal(size=(2, 201))
    np.testing.assert_allclose(approx.logp(z), whole.logp(z), rtol=1e-5)
    draws = approx.sample(3, random_seed=1)["posterior"]
    np.testing.assert_allclose(draws["square"], draws["z"] ** 2, rtol=1e-5)


@pytest.mark.slow
def test_local_sites_are_fitted(local):
    """Given m near mean(x): z_i = (x_i + m) / 2 and sd sqrt(1/2); in units of that a row's noise
    after n visits is 1 / sqrt(0.21 n).
    """
    approx = vi.fit(10_000, model=local, **QUIET)
    m = float(approx.mean_data["m"])
    off = (approx.mean_data["z"].to_numpy() - (Y + m) / 2) * np.sqrt(2)
    visits = 10_000 * 20 / 200
    assert np.sqrt(np.mean(off**2)) < 3 / np.sqrt(0.21 * visits)
    assert np.mean(np.log(approx.std_data["z"] * np.sqrt(2))) == pytest.approx(0.0, abs=0.05)


@pytest.mark.slow
def test_an_encoder_reads_the_rows_of_the_plate(local):
    weights = {"slope": jnp.zeros(()), "level": jnp.zeros(()), "log_sd": jnp.zeros(())}

    def encode(w, x):
        return (w["slope"] * x + w["level"])[None], w["log_sd"][None]

    group = vi.Group(["z"], encoder=(weights, encode), inputs=local.rows_of(Y))
    approx = vi.Approximation([group, vi.Group(None)], model=local, random_seed=1)
    vi.KLqp(approx).fit(2000, progressbar=False)
    m = float(approx.mean_data["m"])
    error = 5 / np.sqrt(0.21 * 2000)
    np.testing.assert_allclose(approx.mean_data["z"], (Y + m) / 2, atol=error)
    with pytest.raises(ValueError, match=r"inputs=model.rows_of\(x\)"):
        vi.Approximation([vi.Group(["z"], encoder=(weights, encode)), vi.Group(None)], model=local)


def test_rows_of_another_length_are_refused(local):
    with pytest.raises(ValueError, match="'the model': 200, 'array': 3"):
        local.rows_of(np.zeros(3))


def test_what_is_refused_of_local_sites(local):
    with pytest.raises(ValueError, match=r"vi.Group\(\['z'\], local=True\)"):
        vi.Approximation([vi.Group(["z"]), vi.Group(None)], model=local)
    for method in ("auto", "laplace", "svgd"):
        with pytest.raises(TypeError, match=r"^z with an entry for every row.*method='advi'"):
            vi.fit(10, method, model=local, **QUIET)
    with pytest.raises(TypeError, match="particles have none"):
        vi.Approximation("particles", model=local)


def two_plates(x):
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    with numpyro.plate("a", 20, subsample_size=5), numpyro.plate("b", 10, subsample_size=5):
        numpyro.sample("x", dist.Normal(mu, 1.0), obs=jnp.zeros((5, 5)))


def positive(x):
    with numpyro.plate("rows", len(x), subsample_size=5) as rows:
        rate = numpyro.sample("rate", dist.Gamma(2.0, 1.0))
        numpyro.sample("x", dist.Poisson(rate), obs=jnp.ones(len(x))[rows])


def along_columns(x):
    with numpyro.plate("rows", 10, subsample_size=5), numpyro.plate("wide", 3):
        numpyro.sample("z", dist.Normal(0.0, 1.0))


def outside(x):
    with numpyro.plate("rows", 10, subsample_size=5):
        z = numpyro.sample("z", dist.Normal(0.0, 1.0))
    numpyro.sample("y", dist.Normal(z.sum(), 1.0), obs=1.0)


def rows_outside(x):
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    with numpyro.plate("rows", len(x), subsample_size=5) as rows:
        numpyro.sample("x", dist.Normal(mu, 1.0), obs=x[rows])
    numpyro.sample("y", dist.Normal(mu * x[rows].mean(), 1.0), obs=1.0)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (two_plates, "plates 'b' and 'a' both have subsample_size|plates 'a' and 'b' both"),
        (positive, r"'rate' of the plate 'rows'.*numpyro.deterministic\('rate', jnp.exp\(z\)\)"),
        (along_columns, "'z' has its rows of the plate 'rows' along another axis.*leftmost"),
        (outside, "outside of the plate depends on the latent site 'z'"),
        (rows_outside, "log_prior.*changes with the rows"),
    ],
)
def test_models_that_are_refused(model, says):
    with pytest.raises(ValueError, match=says):
        vi.targets.from_numpyro(model, Y)


@pytest.mark.parametrize("few", [0, -1, 201, 2.5, True, "5"])
def test_impossible_numbers_of_rows_are_refused(few):
    """NumPyro takes them: all rows for what is too many, none for 0, the last but one for -1."""
    kind = ValueError if type(few) is int else TypeError
    says = rf"'rows' has subsample_size={few!r}: give a whole number from 1 to its size, 200"
    with pytest.raises(kind, match=says):
        vi.targets.from_numpyro(mean, Y, few)


def test_rows_of_a_model_without_batches():
    model = vi.targets.from_function(lambda p: -jnp.sum(p**2), np.zeros(2))
    with pytest.raises(TypeError, match=r"no batches.*subsample_size"):
        model.rows_of(np.zeros(3))
