"""Stein methods: directions and discrepancies against the formulas."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytest
import scipy.stats
from problems import conjugate_normal, conjugate_regression, correlated_gaussian
from seeds import seed

import vi
from vi.algorithms.stein import Stein
from vi.families import Particles
from vi.foundation.precision import precision
from vi.kernels import RBF, kernel_from


@pytest.fixture(autouse=True)
def double():
    with precision(np.dtype("float64")):
        yield


def step_of(kernel, points, target, temperature=1.0):
    """Direction and loss of one step at given particles, from the algorithm and from the
    definition.
    """
    algorithm = Stein(
        Particles(len(points)), vi.sgd(learning_rate=1.0), kernel=kernel, temperature=temperature
    )
    state = algorithm.init({"particles": jnp.asarray(points)}, jax.random.key(0))
    question = algorithm.ask(state, {})
    log_prob, score = jax.vmap(jax.value_and_grad(target))(question.points)
    new, loss = jax.jit(algorithm.tell)(state, question, log_prob, score, {})
    return np.asarray(new.params["particles"] - points), float(loss), np.asarray(score)


@pytest.mark.few(1)
@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_direction_and_discrepancy_by_their_definitions(temperature, rng):
    points = rng.normal(size=(6, 2))
    kernel = RBF(bandwidth=1.3, standardize=False)

    def k(x, y):
        return jnp.exp(-jnp.sum((x - y) ** 2) / 1.3)

    def log_p(x):
        return -jnp.sum((x - 0.5) ** 4) / 3

    direction, loss, s = step_of(kernel, points, log_p, temperature)
    x, n = jnp.asarray(points), len(points)
    phi, total = np.zeros_like(points), 0.0

    @jax.jit
    def of_pair(x, y):
        mixed = jax.jacfwd(jax.grad(k), 1)(x, y)
        return k(x, y), jax.grad(k)(x, y), jax.grad(k, 1)(x, y), jnp.trace(mixed)

    for i in range(n):
        for j in range(n):
            value, first, _, _ = of_pair(x[j], x[i])
            phi[i] += (value * s[j] + temperature * first) / n
            si, sj = s[i] / temperature, s[j] / temperature
            value, first, second, trace = of_pair(x[i], x[j])
            total += si @ sj * value + si @ second + sj @ first + trace
    np.testing.assert_allclose(direction, phi, rtol=1e-9)
    assert loss == pytest.approx(float(total) / n**2, rel=1e-9)
    assert loss > 0


@pytest.mark.slow
def test_standardised_steps_do_not_depend_on_units(rng):
    """Data in other units: the same steps in those units, the same discrepancy."""
    points, units = rng.normal(size=(20, 2)), np.array([0.1, 100.0])

    def log_p(unit):
        return lambda x: -0.5 * jnp.sum((x / unit) ** 2 * jnp.array([1.0, 2.0]))

    one, loss, _ = step_of(RBF(), points, log_p(1.0))
    two, other_loss, _ = step_of(RBF(), points * units, log_p(units))
    np.testing.assert_allclose(
        two * units, one, rtol=1e-9
    )  # a direction is a gradient: one over a length
    assert other_loss == pytest.approx(loss, rel=1e-9)
    raw = [step_of(RBF(standardize=False), points * u, log_p(u))[1] for u in (1.0, units)]
    assert raw[0] != pytest.approx(raw[1], rel=0.1)


@pytest.mark.slow
def test_expected_discrepancy_of_exact_draws(rng):
    """V-statistic of n exact draws: its mean is E[u(x, x)] / n, the U-statistic's being 0."""
    n, repeats, dim, h = 60, 200, 2, 1.5
    kernel = RBF(bandwidth=h, standardize=False)
    losses = [
        step_of(kernel, x, lambda x: -0.5 * jnp.sum(x**2))[1]
        for x in rng.normal(size=(repeats, n, dim))
    ]
    expected = (dim + 2 * dim / h) / n  # u(x, x) = |s|^2 + 2 D / h for this kernel
    assert np.mean(losses) == pytest.approx(expected, abs=5 * np.std(losses) / np.sqrt(repeats))


def test_amortised_direction_has_no_bias():
    """At the posterior itself the expected gradient of the family's parameters vanishes (the
    terms j = i left out).
    """
    exact = correlated_gaussian()
    factor = jnp.asarray(np.linalg.cholesky(exact.cov))
    family = vi.families.FullRank()
    params = family.init(jnp.asarray(exact.mean), jnp.ones(3), jax.random.key(0))
    diagonal = np.cumsum(np.arange(1, 4)) - 1
    packed = np.array(factor[np.tril_indices(3)])
    packed[diagonal] = np.log(np.expm1(packed[diagonal]))
    params["L_tril"] = jnp.asarray(packed)
    algorithm = Stein(
        family, vi.sgd(learning_rate=1.0), n_draws=10, kernel=RBF(bandwidth=2.0, standardize=False)
    )
    precision_matrix = jnp.linalg.inv(jnp.asarray(exact.cov))

    @jax.jit
    @jax.vmap
    def gradient(key):
        state = algorithm.init(params, key)
        question = algorithm.ask(state, {})
        score = -(question.points - exact.mean) @ precision_matrix
        new, _ = algorithm.tell(state, question, jnp.zeros(10), score, {})
        return jnp.concatenate(
            [(new.params[name] - params[name]).ravel() for name in ("mu", "L_tril")]
        )

    steps = np.asarray(gradient(jax.random.split(jax.random.key(seed(1)), 20_000)))
    standard_error = steps.std(axis=0) / np.sqrt(len(steps))
    assert np.all(np.abs(steps.mean(axis=0)) < 5 * standard_error)


W, MU, SD = np.array([0.2, 0.8]), np.array([-0.3, 0.5]), np.array([0.1, 0.1])


@functools.cache
def mixture():
    with pm.Model() as model:
        pm.NormalMixture("x", w=W, mu=MU, sigma=SD)
    return model


def exact_draws(n, seed=0):
    generator = np.random.default_rng(seed)
    which = generator.choice(2, size=n, p=W)
    return generator.normal(MU[which], SD[which])


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "pytensor"])
def test_both_modes_of_a_mixture_are_found(backend):
    """The particles nearest each mode have its mean within 0.02 and its sd within 20 %.

    The weights are not claimed.
    """
    steps = 1_000 if backend == "jax" else 300
    approx = vi.fit(
        steps,
        method="svgd",
        model=mixture(),
        random_seed=1,
        inf_kwargs={"n_particles": 500, "jitter": 1.0},
        backend=backend,
        progressbar=False,
    )
    x = approx.particles.ravel()
    nearest = np.abs(x[:, None] - MU).argmin(axis=1)
    for mode in range(2):
        own = x[nearest == mode]
        assert len(own) > 25
        assert abs(own.mean() - MU[mode]) < 0.02
        assert abs(own.std() / SD[mode] - 1) < 0.2
    assert approx.hist[-1] < 1e-3 * approx.hist[0]


@pytest.mark.slow
def test_exact_draws_stay():
    start = exact_draws(500)
    approx = vi.Stein(vi.Empirical({"x": start}, model=mixture())).fit(1_000, progressbar=False)
    moved = approx.particles.ravel()
    assert not np.array_equal(moved, start)
    quantiles = np.quantile(exact_draws(200_000, seed=1), (np.arange(20_000) + 0.5) / 20_000)
    assert scipy.stats.wasserstein_distance(moved, quantiles) < 0.05


def test_mean_field_finds_one_mode():
    approx = vi.fit(method="advi", model=mixture(), random_seed=1, progressbar=False)
    mean, std = approx.mean.eval()[0], approx.std.eval()[0]
    assert min(abs(mean - MU)) < 0.02
    assert abs(std / 0.1 - 1) < 0.1


def test_the_seed_governs_the_start():
    starts = [vi.SVGD(20, model=mixture(), random_seed=seed).approx.particles for seed in (1, 1, 2)]
    np.testing.assert_array_equal(starts[0], starts[1])
    assert not np.any(starts[0] == starts[2])


def test_jitter_and_start():
    model = conjugate_regression().model
    start = {"beta": np.array([1.0, -2.0, 3.0])}
    for sigma in (0.1, 2.0):
        x = vi.SVGD(4_000, sigma, model=model, start=start, random_seed=1).approx.particles
        assert np.all(np.abs(x.mean(axis=0) - start["beta"]) < 5 * sigma / np.sqrt(4_000))
        np.testing.assert_allclose(x.std(axis=0), sigma, rtol=5 / np.sqrt(2 * 4_000))
    own = vi.SVGD(
        4_000, 1.0, model=model, start_sigma={"beta": np.array([0.1, 1.0, 10.0])}, random_seed=1
    )
    np.testing.assert_allclose(own.approx.std.eval(), [0.1, 1.0, 10.0], rtol=5 / np.sqrt(2 * 4_000))


@pytest.mark.few(1)
@pytest.mark.parametrize("temperature", [0.5, 4.0])
def test_temperature_widens_the_particles(temperature):
    exact = conjugate_normal()
    approx = vi.fit(
        1_500, method="svgd", model=exact.model, random_seed=1, progressbar=False,
        inf_kwargs={"n_particles": 200, "temperature": temperature},
    )  # fmt: skip
    sd = np.sqrt(exact.cov[0, 0] * temperature)
    assert approx.std.eval()[0] == pytest.approx(sd, rel=0.05)


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "kernel",
    ["rbf", "IMQ", vi.kernels.IMQ(bandwidth=3.0), lambda x, y: jnp.exp(-jnp.sum((x - y) ** 2) * 6)],
)
def test_kernels_of_every_kind(kernel):
    exact = conjugate_normal()
    approx = vi.fit(
        500, method="svgd", model=exact.model, random_seed=1, progressbar=False,
        inf_kwargs={"n_particles": 50, "kernel": kernel},
    )  # fmt: skip
    sd = np.sqrt(exact.cov[0, 0])
    assert abs(approx.mean.eval()[0] - exact.mean[0]) < 0.05 * sd
    assert approx.std.eval()[0] == pytest.approx(sd, rel=0.15)


def test_pymcs_kernel_is_understood():
    from pymc.variational.test_functions import rbf

    assert kernel_from(rbf) == RBF()


@pytest.mark.slow
def test_hist_says_what_it_is():
    approx = vi.fit(5, method="svgd", model=mixture(), random_seed=1, progressbar=False)
    settings = approx.sample(3)["fit"].attrs
    assert "Stein discrepancy" in settings["loss"]
    assert "V-statistic" in settings["loss"]
    assert settings["algorithm"] == "stein"
    assert "ELBO" in vi.fit(5, method="advi", model=mixture(), progressbar=False).settings()["loss"]


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"inf_kwargs": {"n_particles": 1}}, ValueError, "at least 2"),
        ({"inf_kwargs": {"n_particles": "many"}}, ValueError, "n_particles"),
        ({"inf_kwargs": {"jitter": 0.0}}, ValueError, "jitter"),
        ({"inf_kwargs": {"temperature": -1.0}}, ValueError, "temperature"),
        ({"inf_kwargs": {"kernel": "rbfx"}}, ValueError, "'rbf', 'imq'"),
        ({"inf_kwargs": {"kernel": vi.families.MeanField}}, TypeError, "MeanField.*rbf"),
        ({"inf_kwargs": {"temperature": np.inf}}, ValueError, "temperature"),
        (
            {"inf_kwargs": {"random_seed": 1}, "random_seed": 2},
            TypeError,
            "random_seed is given twice",
        ),
        ({"inf_kwargs": {"kernel": lambda x, y: x - y}}, TypeError, "scalar"),
        ({"estimator": "closed_form"}, TypeError, "gradient of an ELBO"),
        ({"obj_n_mc": 3}, TypeError, "n_particles"),
        ({"averaging": "polynomial"}, TypeError, "particles"),
    ],
)
def test_bad_input(options, error, match):
    with pytest.raises(error, match=match):
        vi.fit(3, method="svgd", model=mixture(), progressbar=False, **options)


def test_bad_bandwidth_and_approximations():
    with pytest.raises(ValueError, match="bandwidth"):
        RBF(bandwidth=-1.0)
    with pytest.raises(TypeError, match=r"vi\.SVGD"):
        vi.ASVGD(vi.Empirical(size=10, model=mixture()))
    with pytest.raises(TypeError, match="random_seed"):
        vi.ASVGD(vi.MeanField(model=mixture()), random_seed=1)
    with pytest.raises(TypeError, match=r"vi\.Stein"):
        vi.KLqp(vi.Empirical(size=10, model=mixture()))
    with pytest.raises(ValueError, match="at least 2"):
        vi.ASVGD(model=mixture()).fit(2, obj_n_mc=1, progressbar=False)


@pytest.mark.slow
def test_amortised_with_another_family_and_draws():
    exact = correlated_gaussian()
    approx = vi.ASVGD(vi.LowRank(2, model=exact.model, random_seed=1)).fit(
        3_000, obj_n_mc=50, progressbar=False
    )
    sd = np.sqrt(np.diag(exact.cov))
    assert np.all(np.abs(approx.mean.eval() - exact.mean) < 0.1 * sd)
    assert np.all(np.abs(np.log(approx.std.eval() / sd)) < 0.1)


class OwnAverage(vi.PolynomialAverage):
    """An average that a file cannot hold."""


def test_files_of_runs_with_code_of_the_users(tmp_path):
    """Kernel and averaging are both code: what was reported is kept, and going on says what is
    missing.
    """
    model = conjugate_normal().model
    asvgd = vi.ASVGD(
        model=model, random_seed=1, kernel=lambda x, y: jnp.exp(-jnp.sum((x - y) ** 2))
    )
    approx = asvgd.fit(50, averaging=OwnAverage(), progressbar=False)
    approx.save(tmp_path / "fit.npz")
    loaded = vi.load(tmp_path / "fit.npz", model=model)
    np.testing.assert_array_equal(loaded.mean.eval(), approx.mean.eval())
    with pytest.raises(ValueError, match="which a file cannot hold"):
        loaded.refine(1, progressbar=False)
