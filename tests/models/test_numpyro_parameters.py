"""numpyro.param: point estimates that are fitted together with q."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vi

numpyro = pytest.importorskip("numpyro", reason="the extra numpyro")
dist = pytest.importorskip("numpyro.distributions")
stax = pytest.importorskip("jax.example_libraries.stax")

QUIET = {"progressbar": False, "random_seed": 1}


def learnt(y):
    w = numpyro.param("w", 1.0, constraint=dist.constraints.positive)
    x = numpyro.sample("x", dist.Normal(0.0, w))
    numpyro.sample("y", dist.Normal(x, 1.0), obs=y)


@pytest.fixture(scope="module")
def model():
    return vi.targets.from_numpyro(learnt, np.array([3.0]))


def test_the_most_likely_parameter(model):
    """y ~ N(0, w^2 + 1) is 3: w^2 = 8. In w the gradient has the sd 0.229, the log likelihood the
    curvature 0.1975: a standard error of 1.16 / sqrt(0.21 n).
    """
    approx = vi.fit(5000, model=model, **QUIET)  # advi, as no other method has points
    assert [part.family.short_name for part in approx.groups] == ["point", "mean_field"]
    draws = approx.sample(10, random_seed=1)["posterior"]
    w = draws["w"].to_numpy()
    assert np.ptp(w) == 0.0
    assert w.flat[0] == pytest.approx(8**0.5, abs=5 * 1.16 / np.sqrt(0.21 * 5000))
    assert approx.settings()["loss"] == "minus the ELBO, given points of w"
    predicted = approx.sample_posterior_predictive(random_seed=1)["posterior_predictive"]["y"]
    assert predicted.shape == (1, 500)


def test_the_density_is_numpyros_without_a_jacobian_of_the_parameter(model):
    approx = vi.MeanField(model=model, random_seed=1)
    z = np.array([0.4, -1.2], "float32")  # log w, x
    params = {"w": jnp.exp(z[0]), "x": z[1]}
    seeded = numpyro.handlers.seed(learnt, 0)
    expected, _ = numpyro.infer.util.log_density(seeded, (3.0,), {}, params)
    assert float(approx.logp(z)) == pytest.approx(float(expected), rel=1e-5)


def test_groups_of_ones_own_and_methods_without_points(model):
    approx = vi.Approximation([vi.Group(["x"], family="full_rank")], model=model)
    assert [part.family.short_name for part in approx.groups] == ["point", "full_rank"]
    spread = vi.Approximation([vi.Group(["w"]), vi.Group(["x"])], model=model)
    assert [part.family.short_name for part in spread.groups] == ["mean_field", "mean_field"]
    with pytest.raises(TypeError, match=r"^w without a prior.*Laplace fits one family"):
        vi.Laplace(model=model)


def network(x, y=None, few=None):
    net = numpyro.module("net", stax.serial(stax.Dense(4), stax.Tanh, stax.Dense(1)), (1,))
    sd = numpyro.sample("sd", dist.HalfNormal(1.0))
    with numpyro.plate("rows", len(x), subsample_size=few) as rows:
        obs = None if y is None else y[rows]
        numpyro.sample("y", dist.Normal(net(x[rows])[:, 0], sd), obs=obs)


@pytest.mark.slow
@pytest.mark.parametrize("few", [None, 10])
def test_a_network_is_trained(few):
    x = np.linspace(-1.0, 1.0, 40)[:, None]
    data = (jnp.asarray(x), jnp.asarray(np.sin(3 * x[:, 0])))
    built = vi.targets.from_numpyro(network, *data, few)
    assert built.points == (
        "net$params.0.0", "net$params.0.1", "net$params.2.0", "net$params.2.1"
    )  # fmt: skip
    approx = vi.fit(500, model=built, **QUIET)
    losses = approx.hist
    assert losses[-100:].mean() < losses[:100].mean() - 20
    draws = approx.sample(5, random_seed=1)
    assert draws["posterior"]["net$params.0.0"].shape == (1, 5, 1, 4)
    tree = approx.sample_posterior_predictive(draws, args=(data[0],), kwargs={}, random_seed=1)
    assert tree["posterior_predictive"]["y"].shape == (1, 5, 40)
    log_p = approx.compute_log_likelihood(draws)["log_likelihood"]["y"]
    assert log_p.shape == (1, 5, 40)


def test_a_start_of_parameters_and_sites(model):
    approx = vi.MeanField(model=model, start={"w": 2.0, "x": 0.5}, random_seed=1)
    assert approx.sample(1)["posterior"]["w"].item() == pytest.approx(2.0, rel=1e-6)


def test_a_parameter_that_bounds_a_support_is_refused():
    def bounded():
        upper = numpyro.param("upper", 1.0)
        numpyro.sample("x", dist.Uniform(0.0, upper))

    with pytest.raises(ValueError, match="support of 'x' depends on other latent sites"):
        vi.targets.from_numpyro(bounded)


def test_states_that_change_are_refused():
    def counting():
        numpyro.primitives.mutable("seen", {"count": jnp.zeros(())})
        numpyro.sample("x", dist.Normal(0.0, 1.0))

    with pytest.raises(ValueError, match=r"^seen changes from step to step"):
        vi.targets.from_numpyro(counting)


def test_files_keep_parameters(model, tmp_path):
    approx = vi.fit(20, model=model, **QUIET)
    approx.save(tmp_path / "fit.vi")
    loaded = vi.load(tmp_path / "fit.vi", model=model)
    np.testing.assert_array_equal(loaded.mean.eval(), approx.mean.eval())
    assert jax.tree.leaves(loaded.reported)
    assert float(loaded.std.eval()[0]) == 0.0
