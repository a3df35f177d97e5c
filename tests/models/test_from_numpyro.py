"""NumPyro models: the same density as NumPyro's own, deterministic sites, and what is refused."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytensor
import pytest

import vi
from vi.foundation.precision import precision

numpyro = pytest.importorskip("numpyro", reason="the extra numpyro")
dist = pytest.importorskip("numpyro.distributions")
util = pytest.importorskip("numpyro.infer.util")

SIGMA = np.array([15.0, 10.0, 16.0, 11.0])
Y = np.array([28.0, 8.0, -3.0, 7.0])


def hierarchy(sigma, y=None):
    mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
    tau = numpyro.sample("tau", dist.HalfCauchy(5.0))
    numpyro.sample("share", dist.Uniform(-1.0, 2.0))
    numpyro.sample("weights", dist.Dirichlet(jnp.ones(3)))
    with numpyro.plate("schools", len(sigma)):
        raw = numpyro.sample("raw", dist.Normal(0.0, 1.0))
        theta = numpyro.deterministic("theta", mu + tau * raw)
        numpyro.sample("y", dist.Normal(theta, sigma), obs=y)


@pytest.fixture(scope="module")
def model():
    return vi.targets.from_numpyro(hierarchy, SIGMA, y=Y)


@pytest.mark.few(1)
@pytest.mark.parametrize("backend", ["jax", "pytensor"])
def test_the_density_is_minus_numpyros_potential_energy(model, backend, rng):
    approx = vi.fit(model, 0, method="advi", backend=backend, progressbar=False, random_seed=1)
    points = rng.normal(size=(3, approx.ndim)).astype("float32")
    values = approx.layout.unflatten(points)
    params = {slot.name: jnp.asarray(values[slot.value_name]) for slot in approx.layout}
    seeded = numpyro.handlers.seed(hierarchy, 0)
    energy = jax.jit(jax.vmap(lambda p: util.potential_energy(seeded, (SIGMA,), {"y": Y}, p)))
    with precision(np.dtype("float32")):
        expected = -energy(params)
    np.testing.assert_allclose(approx.logp(points), expected, rtol=1e-5)


def test_draws_are_constrained_and_deterministic_sites_are_computed_from_them(model):
    approx = vi.MeanField(model=model, random_seed=1)
    draws = approx.sample(20, random_seed=1)["posterior"]
    assert sorted(draws) == ["mu", "raw", "share", "tau", "theta", "weights"]
    mu, tau, raw = (draws[name].values for name in ("mu", "tau", "raw"))
    np.testing.assert_allclose(
        draws["theta"], mu[..., None] + tau[..., None] * raw, rtol=1e-5, atol=1e-5
    )
    np.testing.assert_allclose(draws["weights"].sum("weights_dim_0"), 1.0, rtol=1e-6)
    assert float(draws["tau"].min()) > 0
    assert -1 < float(draws["share"].min()) < float(draws["share"].max()) < 2
    assert jax.tree.map(np.shape, model.pytree(draws)) == {
        "mu": (1, 20), "raw": (1, 20, 4), "share": (1, 20), "tau": (1, 20), "weights": (1, 20, 3)
    }  # fmt: skip


@pytest.mark.slow  # the next one has no prior besides
def test_a_conjugate_model_has_its_posterior():
    """Normal prior and data: full rank is exact, up to float32."""

    def conjugate(y):
        mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
        numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)

    made = vi.targets.from_numpyro(conjugate, np.array([2.0, 4.0]))
    approx = vi.fit(made, 5000, "fullrank_advi", random_seed=1, progressbar=False)
    assert approx.mean.eval()[0] == pytest.approx(2.0, abs=2e-3)
    assert approx.std.eval()[0] == pytest.approx(3**-0.5, abs=2e-3)


def test_a_flat_prior_has_the_likelihoods_posterior():
    """Of m with a flat prior and y ~ N(m, 1), five rows: N(mean(y), 1 / 5), of which full rank
    is exact.
    """

    def flat(y):
        m = numpyro.sample("m", dist.ImproperUniform(dist.constraints.real, (), (2,)))
        with numpyro.plate("rows", len(y)):
            numpyro.sample("y", dist.Normal(m, 1.0).to_event(1), obs=y)

    y = np.array([[1.0, -2.0], [2.0, 0.0], [4.0, 1.0], [3.0, 5.0], [0.0, 1.0]])
    approx = vi.fit(
        vi.targets.from_numpyro(flat, y), 5000, "fullrank_advi", random_seed=1, progressbar=False
    )
    np.testing.assert_allclose(approx.mean.eval(), y.mean(axis=0), atol=2e-3)
    np.testing.assert_allclose(approx.std.eval(), 5**-0.5, atol=2e-3)


def scoped():
    with numpyro.handlers.scope(prefix="a"):
        x = numpyro.sample("x", dist.HalfNormal(1.0).expand([3]).to_event(1))
        numpyro.deterministic("twice", 2.0 * x)
        numpyro.deterministic("largest", jnp.argmax(x))
        numpyro.deterministic("wide", x > 0.7)


@pytest.mark.slow
def test_names_with_slashes_and_types_of_deterministic_sites():
    made = vi.targets.from_numpyro(scoped)
    draws = vi.MeanField(model=made, random_seed=1).sample(20, random_seed=1)["posterior"]
    x = draws["a.x"].values
    expected = {"a.twice": 2 * x, "a.largest": x.argmax(axis=-1).astype("int32"), "a.wide": x > 0.7}
    for name, values in expected.items():
        assert draws[name].dtype == values.dtype
        np.testing.assert_array_equal(draws[name], values)


def test_deterministic_sites_have_gradients_beside_those_that_have_none():
    made = vi.targets.from_numpyro(scoped)
    slope = pytensor.grad(made["a.twice"].sum(), made["a.x"])
    np.testing.assert_array_equal(slope.eval({made["a.x"]: np.ones(3)}), [2.0, 2.0, 2.0])


def test_constraints_of_numpyro_are_accepted(rng):
    constraints = dist.constraints
    init = {"a": np.array([0.2, 0.8]), "b": np.array(2.0), "c": np.zeros(2)}
    given = {"a": constraints.simplex, "b": constraints.greater_than(1.0), "c": constraints.real}
    target = vi.targets.from_pymc(
        vi.targets.from_function(
            lambda p: -jnp.sum(p["c"] ** 2) - p["b"] + p["a"][0], init, constraints=given
        )
    )
    assert [slot.transform for slot in target.layout] == ["stickbreaking", "compose", None]
    z = rng.normal(size=4)
    first = 1 / (1 + np.exp(-z[0]))  # of two entries stick breaking makes a logistic function
    expected = -np.sum(z[2:] ** 2) - (1 + np.exp(z[1])) + first + z[1] + np.log(first * (1 - first))
    assert float(target.log_prob(z)) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="outside its constraint"):
        vi.targets.from_function(
            lambda p: -p, np.array(0.5), constraints=constraints.greater_than(1.0)
        )


def discrete():
    k = numpyro.sample("k", dist.Bernoulli(0.5))
    numpyro.sample("x", dist.Normal(k, 1.0))


def dependent():
    upper = numpyro.sample("upper", dist.HalfNormal(1.0))
    numpyro.sample("inside", dist.Uniform(0.0, upper))


def observed():
    numpyro.sample("x", dist.Normal(0.0, 1.0), obs=1.0)


def partly_observed(seen=(True, False, True)):
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    with numpyro.plate("rows", 3):
        numpyro.sample("y", dist.Normal(mu, 1.0), obs=jnp.ones(3), obs_mask=jnp.array(seen))


def partly_observed_in_a_scope():
    with numpyro.handlers.scope(prefix="a"):
        partly_observed()


def fixed():
    mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
    with numpyro.plate("rows", 3):
        numpyro.sample("z", dist.Delta(2.0 * mu))


def test_masks_that_leave_every_variable_its_density_are_accepted():
    """None observed; and a user's own flat prior, under whose likelihood alone mu is N(1, 1
    / 3).
    """

    def flat():
        with numpyro.handlers.mask(mask=False):
            mu = numpyro.sample("mu", dist.Normal(0.0, 1.0))
        numpyro.sample("y", dist.Normal(mu, 1.0), obs=jnp.ones(3))

    made = vi.targets.from_numpyro(partly_observed, seen=(False, False, False))
    assert [variable.name for variable in made.free_RVs] == ["mu", "y_unobserved"]
    target = vi.targets.from_pymc(vi.targets.from_numpyro(flat))
    rise = float(target.log_prob(np.ones(1))) - float(target.log_prob(np.zeros(1)))
    assert rise == pytest.approx(1.5, rel=1e-6)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (discrete, r"Discrete latent sites .*: k\. .*in place of 'k'.*MixtureSameFamily.*enumerat"),
        (dependent, "The support of 'inside' depends on other latent sites"),
        (observed, "no latent sites"),
        (partly_observed, r"'y' has obs_mask=.*'y_unobserved'.*numpyro.sample\('y_missing', "),
        (partly_observed_in_a_scope, "'a/y' has obs_mask="),
        (fixed, r"'z' is sampled from a Delta.*numpyro.deterministic\('z', value\)"),
    ],
)
def test_models_that_are_refused(function, message):
    with pytest.raises(ValueError, match=message):
        vi.targets.from_numpyro(function)


def test_a_missing_numpyro_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "numpyro.infer.util", None)
    with pytest.raises(ImportError, match=r"pymc-vi\[numpyro\]"):
        vi.targets.from_numpyro(discrete)


@pytest.mark.slow
def test_a_network_whose_weights_have_priors():
    """As random_flax_module makes it: a parameter of the shapes, a site for each of its leaves."""
    x = np.linspace(-1.0, 1.0, 20)[:, None]

    def network(x, y=None):
        shapes = numpyro.param("net$params", {"w": jnp.zeros((1, 3)), "v": jnp.zeros(3)})
        weights = {
            name: numpyro.sample(f"net/{name}", dist.Normal(0.0, 1.0).expand(leaf.shape).to_event())
            for name, leaf in shapes.items()
        }
        mean = jnp.tanh(x @ weights["w"]) @ weights["v"]
        numpyro.sample("y", dist.Normal(mean, 0.1), obs=y)

    model = vi.targets.from_numpyro(network, x, y=np.sin(2 * x[:, 0]))
    approx = vi.fit(model, 10, method="advi", random_seed=1, progressbar=False)
    assert sorted(approx.sample(3)["posterior"]) == ["net.v", "net.w"]
    # not at the saddle where all weights are zero
    start = vi.MeanField(model=model).mean.eval()
    assert len(np.unique(start)) == 6


def test_where_the_fit_starts():
    def model(y):
        numpyro.sample("y", dist.Normal(numpyro.sample("mu", dist.Normal(0.0, 1.0)), 1.0), obs=y)

    at = numpyro.infer.init_to_value(values={"mu": 3.0})
    built = vi.targets.from_numpyro(model, np.zeros(3), init_loc_fn=at)
    np.testing.assert_array_equal(vi.MeanField(model=built).mean.eval(), [3.0])
    default = vi.targets.from_numpyro(model, np.zeros(3))
    again = vi.targets.from_numpyro(model, np.zeros(3))
    starts = [vi.MeanField(model=each).mean.eval() for each in (default, again)]
    np.testing.assert_array_equal(*starts)
    assert -2 <= starts[0] <= 2
    with pytest.raises(TypeError, match="give a function of a site"):
        vi.targets.from_numpyro(model, np.zeros(3), init_loc_fn="median")


def counts(x, y=None):
    b = numpyro.sample("b", dist.Normal(0.0, 1.0).expand([2]).to_event(1))
    numpyro.sample("y", dist.Poisson(jnp.exp(x @ b)), obs=y)


@pytest.mark.filterwarnings("ignore:Out-of-support values:UserWarning")
@pytest.mark.parametrize(
    ("x", "y", "match"),
    [
        (np.array([[0.0, 1.0], [1.0, np.inf]]), np.array([1, 2]), r"argument x is inf at \[1, 1\]"),
        (
            np.array([[0.0, np.nan], [1.0, np.nan]]),
            np.array([1, 2]),
            r"x is nan .*\(2 such entries",
        ),
        (np.ones((2, 2)), np.array([1.0, np.nan]), r"observed site 'y' is nan at \[1\]"),
        (np.ones((2, 2)), np.array([1, -1]), r"'y' has log p -inf at \[1\], where its value is -1"),
    ],
)
def test_data_without_a_density_are_named(x, y, match):
    with pytest.raises(ValueError, match=match):
        vi.targets.from_numpyro(counts, x, y)
    with pytest.raises(ValueError, match=match):
        vi.targets.from_numpyro(counts, x=x, y=y)


@pytest.mark.slow
def test_a_scan_predicts():
    """Against NumPyro's own: the last state of a random walk has variance 4, its observation 5."""
    from numpyro.contrib.control_flow import scan

    def walk(y):
        def step(state, value):
            state = numpyro.sample("x", dist.Normal(state, 1.0))
            numpyro.sample("y", dist.Normal(state, 1.0), obs=value)
            return state, None

        scan(step, 0.0, jnp.asarray(y))

    approx = vi.fit(
        50, method="advi", model=vi.targets.from_numpyro(walk, Y), random_seed=1, progressbar=False
    )
    predictions = approx.sample_posterior_predictive(random_seed=1)["posterior_predictive"]["y"]
    assert predictions.shape == (1, 500, 4)
    assert approx.compute_log_likelihood(approx.sample(3))["log_likelihood"]["y"].shape[-1] == 4


@pytest.mark.slow
def test_an_array_that_other_code_met_in_another_precision():
    """JAX knows arrays that live code closes over by their identity, buffers and all."""
    y = np.arange(50.0)
    single = jax.jit(lambda mu: jnp.sum((y - mu) ** 2))
    single(jnp.float32(0.0))
    with pm.Model() as model:
        batch = vi.Minibatch(y, batch_size=10)
        pm.Normal("y", pm.Normal("mu", 0.0, 100.0), 1.0, observed=batch, total_size=50)
    approx = vi.fit(50, method="advi", model=model, random_seed=1, progressbar=False)
    assert approx.dtype == "float64"
    assert float(approx.logp(np.zeros(1))) == pytest.approx(
        -0.5 * (y**2).sum() - 51 * 0.5 * np.log(2 * np.pi) - np.log(100.0), rel=1e-6
    )


@pytest.mark.parametrize("sizes", [(3, 3), (3, 4)])
def test_a_plate_has_one_size(sizes):
    def model():
        a = numpyro.sample("a", dist.Normal(0.0, 1.0))
        for name, size in zip("xy", sizes, strict=True):
            with numpyro.plate("rows", size):
                numpyro.sample(name, dist.Normal(a, 1.0), obs=np.ones(size))

    if sizes == (3, 3):
        assert vi.targets.from_numpyro(model).free_RVs[0].name == "a"
    else:
        with pytest.raises(ValueError, match="plate 'rows' has 2 sizes, 3 and 4"):
            vi.targets.from_numpyro(model)
