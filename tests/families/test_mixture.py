"""Mixtures: density and moments are those of their components, and steps leave the weights."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytest
from scipy import stats

import vi
from vi.families import Flow, FullRank, LowRank, MeanField, Mixture, Particles
from vi.foundation.precision import precision

DIM, WEIGHTS = 3, np.array([0.2, 0.5, 0.3])
RNG = np.random.default_rng(4)
MEANS = 4 * RNG.normal(size=(3, DIM))
FACTORS = [np.tril(RNG.normal(size=(DIM, DIM))) + 2 * np.eye(DIM) for _ in WEIGHTS]
COVS = np.array([factor @ factor.T for factor in FACTORS])


@functools.cache
def mixture():
    one, family = FullRank(), Mixture(components=3)
    at = jax.jit(one.at)
    parts = [
        at(jnp.asarray(mean), jnp.asarray(factor * np.sign(np.diag(factor))))
        for mean, factor in zip(MEANS, FACTORS, strict=True)
    ]
    return family, family.joined(WEIGHTS, parts)


def test_the_density_is_the_weighted_sum():
    points = RNG.normal(0.0, 4.0, size=(20, DIM))
    with precision(np.dtype("float64")):
        family, params = mixture()

        @jax.jit
        @jax.vmap
        def both(z):
            return family.log_prob(params, z), family.log_parts(params, z)

        log_q, log_parts = both(jnp.asarray(points))
    each = [
        weight * stats.multivariate_normal(mean, cov).pdf(points)
        for weight, mean, cov in zip(WEIGHTS, MEANS, COVS, strict=True)
    ]
    np.testing.assert_allclose(np.exp(log_parts), np.transpose(each), rtol=1e-9)
    np.testing.assert_allclose(log_q, np.log(np.sum(each, axis=0)), rtol=1e-9)


def test_the_moments_are_those_of_the_components():
    mean = WEIGHTS @ MEANS
    raw = sum(w * (cov + np.outer(m, m)) for w, m, cov in zip(WEIGHTS, MEANS, COVS, strict=True))
    with precision(np.dtype("float64")):
        family, params = mixture()
        moments = [family.mean, family.cov, family.cov_within]
        got = jax.jit(lambda params: [moment(params) for moment in moments])(params)
        np.testing.assert_allclose(got[0], mean, rtol=1e-12)
        np.testing.assert_allclose(got[1], raw - np.outer(mean, mean), rtol=1e-9)
        np.testing.assert_allclose(got[2], np.tensordot(WEIGHTS, COVS, 1), rtol=1e-12)
        assert family.entropy(params) is None


def test_components_are_drawn_by_their_weights():
    """Components 40 sds apart are told from each other by where a draw is."""
    draws = 10_000
    with precision(np.dtype("float64")):
        family = Mixture(MeanField(), 3)
        one = MeanField().init(jnp.zeros(1), jnp.ones(1), jax.random.key(0))
        params = family.joined(WEIGHTS, [one | {"mu": jnp.array([40.0 * k])} for k in range(3)])
        keys = jax.random.split(jax.random.key(1), draws)
        z = jax.jit(jax.vmap(lambda key: family.draw(params, family.noise(key, params))))(keys)
    share = np.bincount(np.round(np.asarray(z)[:, 0] / 40).astype(int), minlength=3) / draws
    assert np.all(np.abs(share - WEIGHTS) < 5 * np.sqrt(WEIGHTS * (1 - WEIGHTS) / draws))


@pytest.mark.few(4)
@pytest.mark.parametrize("inner", [FullRank(), MeanField(), LowRank(1)])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_start_has_components_at_different_places(inner, count):
    family = Mixture(inner, count)
    with precision(np.dtype("float64")):
        mean, std = jnp.array([1.0, -2.0]), jnp.array([0.1, 30.0])

        @jax.jit
        def begun(key):
            params = family.init(mean, std, key)
            return params, family.mean(params), family.std(params)

        params, of_all, spread = begun(jax.random.key(0))
        np.testing.assert_allclose(of_all, mean, rtol=1e-9)
        np.testing.assert_allclose(spread, std, rtol=1e-9)
    assert len(np.unique(np.asarray(params["mu"])[:, 0])) == count


@pytest.mark.parametrize("inner", [FullRank(), MeanField()])
def test_other_components_keep_the_contract(inner):
    from family_in_brief import check_in_brief

    check_in_brief(Mixture(inner, 3))


def log_two_normals(z):
    """0.3 N(-4, 1) + 0.7 N(4, 0.5), twice, in two independent coordinates turned by 45 degrees."""
    along, across = (z[0] + z[1]) / math.sqrt(2), (z[0] - z[1]) / math.sqrt(2)
    one = jnp.log(0.3) - 0.5 * (along + 4) ** 2
    other = jnp.log(0.7) - 0.5 * ((along - 4) / 0.5) ** 2 - math.log(0.5)
    return jnp.logaddexp(one, other) - 0.5 * (across / 0.1) ** 2


@pytest.mark.slow
def test_steps_find_the_components_and_leave_the_weights():
    """Sticking the landing has no noise at the optimum, which is p itself where weights are."""
    model = vi.targets.from_function(log_two_normals, init=np.zeros(2))
    family = Mixture(components=2)
    approx = vi.Approximation(family, model=model, random_seed=1, dtype="float64")
    with precision(np.dtype("float64")):
        far = 3.0 / math.sqrt(2)
        parts = [FullRank().at(jnp.full(2, place), 0.5 * jnp.eye(2)) for place in (-far, far)]
        approx.set_params(family.joined([0.3, 0.7], parts))
    vi.KLqp(approx).fit(3000, progressbar=False)
    reported = approx.reported
    np.testing.assert_allclose(np.exp(reported["log_weights"]), [0.3, 0.7], rtol=1e-12)
    np.testing.assert_allclose(
        reported["mu"], 4 / math.sqrt(2) * np.array([[-1, -1], [1, 1]]), atol=0.02
    )
    assert abs(approx.hist[-100:].mean() + math.log(0.1 * 2 * math.pi)) < 0.02


@pytest.fixture(scope="module")
def model():
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 1.0)
        pm.HalfNormal("s", 1.0)
        pm.Normal("y", x**2, 0.1, observed=1.0)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "pytensor"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_an_approximation_with_it(model, backend, dtype, tmp_path):
    made = vi.Mixture(3, model=model, random_seed=1, dtype=dtype)
    vi.KLqp(made).fit(20, backend=backend, progressbar=False)
    draws = made.sample(40, random_seed=2)
    assert draws["posterior"]["x"].shape == (1, 40)
    points = RNG.normal(size=(5, 2))
    log_q = made.logq(points)
    assert log_q.dtype == dtype
    assert np.isfinite(made.logp(points)).all()
    assert list(made.summary(100)["mean"].index) == ["x", "s"]
    with model:
        node = made.sample_node(model["x"], size=7)
    assert node.eval().shape == (7,)
    made.save(tmp_path / "mixture.vi")
    again = vi.load(tmp_path / "mixture.vi", model)
    assert again.family == Mixture(components=3)
    np.testing.assert_array_equal(again.logq(points), log_q)
    same = again.sample(40, random_seed=2)["posterior"]
    assert same.to_dataset().equals(draws["posterior"].to_dataset())


@pytest.mark.parametrize(
    ("build", "error", "match"),
    [
        (lambda: Mixture("full_rank"), TypeError, "instance of a family"),
        (lambda: Mixture(Particles(5)), TypeError, "need a density"),
        (lambda: Mixture(components=0), ValueError, "components"),
        (lambda: Mixture().joined([1.0], [{"mu": jnp.zeros(1)}]), ValueError, "mixture of 2"),
    ],
)
def test_refusals(build, error, match):
    with pytest.raises(error, match=match):
        build()


def test_flows_are_no_components():
    pytest.importorskip("flowjax")
    with pytest.raises(TypeError, match="moments in closed form"):
        Mixture(Flow())


def test_a_mixture_of_mixtures_is_refused():
    with pytest.raises(TypeError, match="a mixture of mixtures is one mixture"):
        Mixture(Mixture(FullRank(), 2), 2)
