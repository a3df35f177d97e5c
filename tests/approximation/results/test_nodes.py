"""Expressions with draws of q in place of the model's variables: values, freshness, gradients,
modes, refusals.
"""

from __future__ import annotations

import warnings

import jax
import numpy as np
import pymc as pm
import pymc.dims as pmd
import pytensor
import pytensor.tensor as pt
import pytest
from node_models import generators, normal, regression
from problems import correlated_gaussian
from pytensor.compile.mode import Mode
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import applys_between
from pytensor.raise_op import Assert
from pytensor.scan.op import Scan
from scipy import stats

import vi

FAST = Mode("py", "fast_compile")
"""Nothing is compiled: for tests of values, whatever evaluates them."""

MODES = {"numba": None, "py": Mode("py"), "c": "CVM", "jax": "JAX"}

N = 4_000


def evaluate(nodes, mode=FAST):
    return pytensor.function([], nodes, mode=mode)()


@pytest.fixture(params=list(MODES))
def mode(request):
    """Each of PyTensor's ways to compile.

    JAX in 64 bits, and without PyTensor's word that it copies generators.
    """
    if request.param == "c" and not pytensor.config.cxx:
        pytest.skip("no C++ compiler")
    if request.param != "jax":
        yield MODES[request.param]
        return
    with jax.enable_x64(True), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The RandomType SharedVariables")
        yield "JAX"


def mean_close(values, mean, sd):
    return np.testing.assert_array_less(
        np.abs(values.mean(axis=0) - mean), 5 * sd / np.sqrt(len(values))
    )


def sd_close(values, sd):
    """The standard error of a normal sample's standard deviation is sd / sqrt(2 n)."""
    return np.testing.assert_array_less(
        np.abs(values.std(axis=0) / sd - 1), 5 / np.sqrt(2 * len(values))
    )


# ---- values --------------------------------------------------------------------------------------


@pytest.mark.few(2)
def test_moments_of_many_draws(mode):
    approx = normal()
    values = np.asarray(evaluate(approx.sample_node(approx.model["x"], N, random_seed=1), mode))
    assert values.shape == (N, 2)
    assert values.dtype == np.float64
    mean_close(values, np.array([1.0, -2.0]), np.array([0.5, 2.0]))
    sd_close(values, np.array([0.5, 2.0]))
    assert abs(np.corrcoef(values.T)[0, 1]) < 5 / np.sqrt(N)


def test_one_draw_at_a_time_has_the_same_distribution():
    approx = normal()
    draw = pytensor.function([], approx.sample_node(approx.model["x"], random_seed=1), mode=FAST)
    values = np.stack([draw() for _ in range(1_000)])
    mean_close(values, np.array([1.0, -2.0]), np.array([0.5, 2.0]))
    sd_close(values, np.array([0.5, 2.0]))


@pytest.mark.slow
def test_full_rank():
    approx = vi.fit(
        2_000,
        method="fullrank_advi",
        model=correlated_gaussian().model,
        random_seed=1,
        progressbar=False,
    )
    values = evaluate(approx.sample_node(approx.model["x"], N, random_seed=2))
    mean, std, cov = approx.mean.eval(), approx.std.eval(), approx.cov.eval()
    mean_close(values, mean, std)
    scale = np.outer(std, std)
    # an entry of a sample correlation matrix has a standard error of at most sqrt(2 / n)
    np.testing.assert_allclose(np.cov(values.T) / scale, cov / scale, atol=5 * np.sqrt(2 / N))


def constrained():
    """Every kind of transform: log, bounds that are a variable, simplex, ordered, zero sum,
    Cholesky factor.
    """
    with pm.Model(coords={"group": list("abc")}) as model:
        low = pm.Normal("low")
        scale = pm.HalfNormal("scale")
        pm.Uniform("between", low, low + scale)
        weights = pm.Dirichlet("weights", np.ones(3))
        pm.Normal("ordered", [0.0, 1, 2], transform=pm.distributions.transforms.ordered)
        pm.ZeroSumNormal("zero_sum", dims="group")
        pm.LKJCholeskyCov("chol", eta=2, n=2, sd_dist=pm.Exponential.dist(1.0))
        pm.Deterministic("product", weights * scale)
        pm.Normal("y", low, scale, observed=[0.0, 1.0])
    return vi.MeanField(model=model, random_seed=1)


@pytest.mark.few(1)
@pytest.mark.parametrize("size", [None, 5])
@pytest.mark.slow
def test_nodes_of_a_list_share_their_draws(size):
    """Constrained variables are those of the value variables, and model.logp() that of
    `approx.logp`.
    """
    approx = constrained()
    model = approx.model
    named = [*model.free_RVs, *model.deterministics]
    nodes = approx.sample_node([*model.value_vars, *named, model.logp()], size)
    assert not any(isinstance(node.op, Scan) for node in applys_between([], nodes))
    *values, logp = evaluate(nodes)
    points = np.atleast_2d(
        approx.layout.flatten(
            dict(zip((v.name for v in model.value_vars), values, strict=False)), np.dtype("float64")
        )
        if size is None
        else np.concatenate(
            [value.reshape(size, -1) for value in values[: len(model.value_vars)]], axis=1
        )
    )
    expected = approx.target().constrain(points)
    for variable, value in zip(named, values[len(model.value_vars) :], strict=True):
        assert np.ndim(value) == variable.ndim + (size is not None)
        np.testing.assert_allclose(
            np.reshape(value, expected[variable.name].shape),
            expected[variable.name],
            rtol=1e-6,
            atol=1e-7,
        )
    # PyTensor folds constants such as log 2 pi in float32
    np.testing.assert_allclose(np.ravel(logp), approx.logp(points), rtol=1e-5, atol=1e-5)
    if size:
        assert len(np.unique(points[:, 0])) == size


def test_assertions_hold_in_every_draw():
    """With several conditions, of which one depends on the draw."""
    approx = normal()
    x = approx.model["x"]
    checked = Assert("too far")(x.sum(), pt.abs(x).max() < 1e3, pt.constant(True))
    assert evaluate(approx.sample_node(checked, 4)).shape == (4,)
    with pytest.raises(AssertionError, match="too far"):
        evaluate(approx.sample_node(Assert("too far")(x.sum(), x[0] < 1.0), 50, random_seed=1))


def test_containers():
    approx = normal()
    x = approx.model["x"]
    assert set(approx.sample_node({"a": x, "b": x + 1}, 3)) == {"a", "b"}
    a, b = approx.sample_node((x, 2 * x))
    a, b = evaluate([a, b])
    np.testing.assert_array_equal(2 * a, b)
    assert isinstance(approx.sample_node([x]), list)


def test_random_and_value_variables_mixed():
    """`log scale` written with the variable, and the value variable, are the same draw."""
    approx = constrained()
    scale = approx.model["scale"]
    difference = pt.log(scale) - approx.model.rvs_to_values[scale]
    np.testing.assert_allclose(evaluate(approx.sample_node(difference, 10)), 0.0, atol=1e-12)


def test_size_one_keeps_its_dimension():
    approx = normal()
    assert evaluate(approx.sample_node(approx.model["x"], 1)).shape == (1, 2)


def test_a_part_without_draws_gets_the_leading_dimension():
    """The shape of a variable is a function of it that is the same in every draw."""
    approx = normal()
    np.testing.assert_array_equal(
        evaluate(approx.sample_node(approx.model["x"].shape, 3)), [[2], [2], [2]]
    )


# ---- observed variables, data --------------------------------------------------------------------


@pytest.mark.few(2)
def test_posterior_predictive(mode):
    """Mean 1.5 x, variance (0.3 x)^2 + 0.5^2.

    Draws of the rows share the slope: covariance 0.09 x_i x_j.
    """
    approx = regression()
    y = np.asarray(evaluate(approx.sample_node(approx.model["y"], N, random_seed=1), mode))
    x = np.array([1.0, 2.0, 3.0])
    sd = np.sqrt(0.09 * x**2 + 0.25)
    mean_close(y, 1.5 * x, sd)
    sd_close(y, sd)
    correlation = (0.09 * np.outer(x, x) + 0.25 * np.eye(3)) / np.outer(sd, sd)
    np.testing.assert_allclose(np.corrcoef(y.T), correlation, atol=5 / np.sqrt(N))


def test_deterministic_takes_the_mean_and_still_draws_the_noise():
    approx = regression()
    nodes = [approx.model["mu"], approx.model["noise"], approx.model["y"]]
    mu, noise, y = evaluate(approx.sample_node(nodes, N, deterministic=True, random_seed=1))
    np.testing.assert_array_equal(mu, np.broadcast_to(1.5 * np.array([1.0, 2.0, 3.0]), (N, 3)))
    np.testing.assert_allclose(noise, np.full(N, 0.5))
    mean_close(y, mu[0], 0.5)
    sd_close(y, 0.5)
    assert evaluate(approx.sample_node(nodes[2], deterministic=True)).shape == (3,)


@pytest.mark.few(4)
@pytest.mark.parametrize("size", [None, 6])
@pytest.mark.parametrize("kind", ["array", "list", "constant", "shared", "input"])
def test_other_data_with_other_rows(size, kind):
    approx = regression()
    new = np.array([10.0, 20, 30, 40, 50])
    symbol = pt.dvector("new")
    given = {
        "array": new,
        "list": new.astype(int).tolist(),
        "constant": pt.constant(new),
        "shared": pytensor.shared(new),
        "input": symbol,
    }[kind]
    nodes = [approx.model[name] for name in ("slope", "mu", "y")]
    nodes = approx.sample_node(nodes, size, more_replacements={approx.model["x"]: given})
    function = pytensor.function([symbol] if kind == "input" else [], nodes, mode=FAST)
    slope, mu, y = function(new) if kind == "input" else function()
    np.testing.assert_allclose(mu, slope[..., None] * new)
    assert np.all(np.abs(y - mu) < 8 * 0.5)
    assert y.shape == (5,) if size is None else (6, 5)
    np.testing.assert_array_equal(approx.model["x"].get_value(), [1.0, 2.0, 3.0])


def test_replacements_of_expressions_constants_and_with_random_variables():
    approx = regression()
    model = approx.model
    slope, mu, x = model["slope"], model["mu"], model["x"]
    twice = approx.sample_node([slope, mu * 1.0], more_replacements={mu: 2 * mu})
    slope_value, mu_value = evaluate(twice)
    np.testing.assert_allclose(mu_value, 2 * slope_value * np.array([1.0, 2, 3]))
    squared = evaluate(
        approx.sample_node([slope, mu], 4, more_replacements={x: slope * pt.ones(2)})
    )
    np.testing.assert_allclose(squared[1], np.stack([squared[0] ** 2] * 2, axis=1))
    constant = pt.constant(np.array([1.0, 2.0]))
    halves = evaluate(
        approx.sample_node([slope, slope * constant], more_replacements={constant: [0.5]})
    )
    np.testing.assert_allclose(halves[1], [0.5 * halves[0]])


def test_noise_that_does_not_depend_on_q_is_new_in_every_draw():
    approx = regression()
    noise = pm.Normal.dist(0.0, 2.0, shape=2)
    slope = approx.model["slope"]
    slope, sums = evaluate(approx.sample_node([slope, slope + noise], N, random_seed=1))
    rest = sums - slope[:, None]
    mean_close(rest, 0.0, 2.0)
    sd_close(rest, 2.0)
    assert abs(np.corrcoef(rest.T)[0, 1]) < 5 / np.sqrt(N)


def distributions():
    """Observed variables that are graphs of their own in PyMC."""
    with pm.Model() as model:
        low = pm.Normal("low")
        weights = pm.Dirichlet("weights", np.ones(2))
        chol, _, _ = pm.LKJCholeskyCov("chol", eta=2, n=2, sd_dist=pm.Exponential.dist(1.0))
        pm.Mixture(
            "mixture",
            weights,
            [pm.Normal.dist(low, 0.1), pm.Normal.dist(50, 0.1)],
            observed=np.zeros(3),
        )
        pm.Censored("censored", pm.Normal.dist(low, 1), -1, 1, observed=np.zeros(3))
        pm.Truncated("truncated", pm.Normal.dist(low, 1), 0, 9, observed=np.ones(3))
        pm.MvNormal("multivariate", np.zeros(2), chol=chol, observed=np.zeros((3, 2)))
        pm.Multinomial("multinomial", 500, weights, observed=[[250, 250]])
        pm.ZeroInflatedPoisson("inflated", 0.8 + 0.1 * weights[0], 1_000.0 + low, observed=[1, 2])
        pm.GaussianRandomWalk("walk", low, 1.0, init_dist=pm.Normal.dist(), observed=np.zeros(4))
        pm.CustomDist(
            "custom", low, dist=lambda m, size: pm.Normal.dist(m, 1, size=size), observed=[1.0, 2.0]
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pm.Normal(
                "missing", low, 1, observed=np.ma.masked_array([1.0, 2, 3], [False, True, False])
            )
    return vi.MeanField(model=model, random_seed=1)


OBSERVED = (
    *("mixture", "censored", "truncated", "multivariate", "multinomial", "inflated", "walk"),
    *("custom", "missing_observed"),
)
"""Their names, written down: the model takes a second, in each process that collects tests."""


@pytest.fixture(scope="module")
def zoo():
    approx = distributions()
    assert tuple(variable.name for variable in approx.model.observed_RVs) == OBSERVED
    return approx


@pytest.mark.few(3)
@pytest.mark.parametrize("name", OBSERVED)
def test_observed_variables_that_are_graphs(zoo, name):
    """Draws differ from row to row and from one evaluation to the next."""
    variable = zoo.model[name]
    one = evaluate(zoo.sample_node(variable))
    draw = pytensor.function([], zoo.sample_node(variable, 8), mode=FAST)
    first, second = draw(), draw()
    assert first.shape == (8, *one.shape)
    assert len(np.unique(first.reshape(8, -1), axis=0)) > 3
    assert not np.array_equal(first, second)


def test_values_of_a_mixture_and_of_imputed_data(zoo):
    """The component is drawn for each row.

    Missing data are a free variable in the middle of the observed ones.
    """
    model = zoo.model
    weights, low, mixture = evaluate(
        zoo.sample_node([model["weights"], model["low"], model["mixture"]], N, random_seed=1)
    )
    second = mixture > 25
    # rows of a draw share the weights: the variance of a row's frequency is at most 1/4
    assert abs(second.mean() - weights[:, 1].mean()) < 5 * 0.5 / np.sqrt(N)
    assert np.all(np.abs(np.where(second, 50.0, low[:, None]) - mixture) < 0.1 * 7)
    imputed, complete = evaluate(
        zoo.sample_node([model["missing_unobserved"], model["missing"]], 5)
    )
    np.testing.assert_array_equal(imputed[:, 0], complete[:, 1])


def test_named_dimensions():
    with pm.Model(coords={"group": list("abc"), "row": range(4)}) as model:
        x = pmd.Data("x", np.arange(4.0), dims="row")
        slope = pmd.HalfNormal("slope", 1, dims="group")
        eta = pmd.Deterministic("eta", slope * x)
        y = pmd.Normal(
            "y", eta.sum("group"), 1e-3, observed=pmd.as_xtensor(np.zeros(4), dims="row")
        )
    approx = vi.MeanField(model=model, random_seed=1)
    for size in (None, 5):
        nodes = approx.sample_node([slope, eta, y], size)
        leading = () if size is None else ("draw",)
        own = [("group",), ("group", "row"), ("row",)]
        assert [node.type.dims for node in nodes] == [(*leading, *dims) for dims in own]
        slopes, etas, ys = evaluate(nodes)
        np.testing.assert_allclose(etas, slopes[..., None] * np.arange(4.0))
        np.testing.assert_allclose(ys, etas.sum(axis=-2), atol=8e-3)
    assert evaluate(approx.sample_node(eta, 2, more_replacements={x: np.zeros(6)})).shape == (
        2,
        3,
        6,
    )


# ---- freshness and seeds -------------------------------------------------------------------------


@pytest.mark.few(2)
def test_every_evaluation_draws_anew(mode):
    """Both q's draws and the noise, in a function of its own and without a word of warning."""
    approx = regression()
    node = approx.sample_node(
        [approx.model["slope"], approx.model["y"] - approx.model["mu"]], random_seed=1
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message="The RandomType SharedVariables")
        function = pytensor.function([], node, mode=mode)
        values = [np.hstack([np.atleast_1d(part) for part in function()]) for _ in range(3)]
    assert all(len(np.unique(column)) == 3 for column in np.transpose(values))


def test_eval_draws_anew():
    approx = normal()
    node = approx.sample_node(approx.model["x"][0])
    assert len({float(node.eval()) for _ in range(3)}) == 3


def test_seeds():
    approx = regression()
    y = approx.model["y"]

    def sequence(seed):
        draw = pytensor.function([], approx.sample_node(y, 2, random_seed=seed), mode=FAST)
        return np.stack([draw(), draw()])

    np.testing.assert_array_equal(sequence(1), sequence(1))
    assert len({float(sequence(seed)[0, 0, 0]) for seed in (1, 2, None, None)}) == 4


@pytest.mark.slow
def test_pm_draw():
    approx = regression()
    node = approx.sample_node(approx.model["y"])
    first, again, other = (pm.draw(node, draws=3, random_seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert len(np.unique(first)) == first.size == 9
    assert not np.isin(other, first).any()


def test_sampler_nodes_are_independent():
    approx = normal()
    x = approx.model["x"][0]
    a, b = evaluate([approx.sample_node(x, N, random_seed=seed) for seed in (1, 2)])
    assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(N)


def test_the_generators_of_the_model_are_left_alone():
    approx = regression()
    before = [
        rng.get_value(borrow=True).bit_generator.state for rng in generators(approx.model["y"])
    ]
    node = approx.sample_node(approx.model["y"], 3)
    evaluate(node)
    pm.draw(node, random_seed=1, mode=FAST)
    assert [
        rng.get_value(borrow=True).bit_generator.state for rng in generators(approx.model["y"])
    ] == before
    assert len(before) == 3
    assert not set(generators(node)) & set(generators(approx.model["y"]))


def test_a_graph_made_from_a_node_draws_anew_too():
    """With the parameters exchanged for others, as a user's own graph surgery would."""
    approx = normal()
    node = approx.sample_node(approx.model["x"], random_seed=1)
    mu = approx.shared_params["mu"]
    moved = clone_replace(node, {mu: mu + 100.0})
    draw = pytensor.function([], [node, moved], mode=FAST)
    (a, a_moved), (b, _) = draw(), draw()
    np.testing.assert_allclose(a_moved, a + 100.0)
    assert not np.isin(b, a).any()


# ---- live, precision, size -----------------------------------------------------------------------


def test_the_node_follows_the_fit():
    """A tracker of a node during the fit, and the same node after refine."""
    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, 1e4)
        pm.Normal("y", mu, 1.0, observed=np.full(100, 50.0))
    advi = vi.ADVI(model=model, random_seed=1)
    node = advi.approx.sample_node(mu, 200).mean()
    tracker = vi.callbacks.Tracker(every=1_000, mean=node.eval)
    assert abs(node.eval()) < 5 * np.log(2) / np.sqrt(200)
    advi.fit(1_000, callbacks=[tracker], progressbar=False)
    advi.refine(2_000, progressbar=False)
    assert len(tracker["mean"]) == 3
    assert abs(tracker["mean"][-1] - advi.approx.mean.eval()[0]) < 5 * advi.approx.std.eval()[
        0
    ] / np.sqrt(200)
    assert abs(node.eval() - 50.0) < 0.1


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_precision_is_that_of_the_approximation(dtype, x64):
    """Whatever JAX's own setting is; 1 + 1e-9 is not 1 in double precision only."""
    with pytensor.config.change_flags(floatX=dtype), pm.Model() as model:
        x = pm.Normal("x", shape=2)
    approx = vi.MeanField(
        model=model, start={"x": np.full(2, 1 + 1e-9)}, start_sigma={"x": np.full(2, 1e-12)}
    )
    assert approx.dtype == dtype
    with jax.enable_x64(x64):
        for size in (None, 3):
            node = approx.sample_node(x, size)
            value = evaluate(node)
            assert node.dtype == value.dtype == dtype
            assert np.all((value > 1 + 5e-10) == (dtype == "float64"))


def test_float32_fit_of_a_float64_model():
    approx = normal(dtype="float32")
    value = evaluate(approx.sample_node(approx.model["x"], 3))
    assert value.dtype == np.float64
    np.testing.assert_array_equal(value, value.astype(np.float32))


def test_symbolic_size():
    approx = regression()
    n = pt.iscalar("n")
    draw = pytensor.function(
        [n], approx.sample_node([approx.model["slope"], approx.model["y"]], n), mode=FAST
    )
    for size in (1, 2, 5):
        slope, y = draw(size)
        assert slope.shape == (size,)
        assert y.shape == (size, 3)
    for size in (0, -2):
        with pytest.raises(
            ValueError, match=f"size={size}: the number of draws must be at least 1"
        ):
            draw(size)
    assert approx.sample_node(approx.model["slope"], pt.constant(3)).type.shape == (3,)


@pytest.mark.filterwarnings("ignore:The RandomType SharedVariables")
def test_symbolic_size_in_jax():
    """An input that is only a size is compiled in; a computed one is refused."""
    approx = regression()
    n = pt.iscalar("n")
    with jax.enable_x64(True):
        draw = pytensor.function([n], approx.sample_node(approx.model["y"], n), mode="JAX")
        assert [draw(size).shape for size in (2, 5)] == [(2, 3), (5, 3)]
        computed = pytensor.function([n], approx.sample_node(approx.model["y"], n + 1), mode="JAX")
        with pytest.raises(NotImplementedError, match="size is computed in the graph"):
            computed(2)


# ---- gradients -----------------------------------------------------------------------------------


@pytest.mark.few(3)
@pytest.mark.parametrize("size", [None, 3])
def test_gradient_is_the_reparameterisation_gradient(mode, size):
    """Draw z = mu + softplus(rho) e: of sum z^2, the gradients are sum 2 z and sum 2 z e
    sigmoid(rho).
    """
    approx = normal()
    mu, rho = (approx.shared_params[name] for name in ("mu", "rho"))
    z = approx.sample_node(approx.model["x"], size, random_seed=1)
    z, by_mu, by_rho = evaluate([z, *pt.grad((z**2).sum(), [mu, rho])], mode)
    mu, rho = mu.get_value(), rho.get_value()
    e = (z - mu) / np.log1p(np.exp(rho))
    sigmoid = 1 / (1 + np.exp(-rho))
    np.testing.assert_allclose(by_mu, (2 * z).reshape(-1, 2).sum(axis=0), rtol=1e-9)
    np.testing.assert_allclose(by_rho, (2 * z * e * sigmoid).reshape(-1, 2).sum(axis=0), rtol=1e-9)


def test_gradient_through_a_likelihood_and_again():
    """Through model.logp() of a standard normal: -z. The gradient of its square needs a second
    derivative: 2 z.
    """
    approx = normal()
    mu = approx.shared_params["mu"]
    z, logp = approx.sample_node([approx.model["x"], approx.model.logp()], random_seed=1)
    first = pt.grad(logp, mu)
    second = pt.grad((first**2).sum(), mu)
    z, first, second = evaluate([z, first, second])
    np.testing.assert_allclose(first, -z)
    np.testing.assert_allclose(second, 2 * z)


def test_gradient_of_full_rank():
    approx = vi.FullRank(
        model=correlated_gaussian().model, start_sigma={"x": np.array([1.0, 2.0, 3.0])}
    )
    mu, packed = (approx.shared_params[name] for name in ("mu", "L_tril"))
    z = approx.sample_node(approx.model["x"], random_seed=1)
    z, by_mu, by_packed = evaluate([z, *pt.grad(z[2], [mu, packed])])
    e = (z - mu.get_value()) / [1.0, 2.0, 3.0]
    np.testing.assert_allclose(by_mu, [0.0, 0.0, 1.0])
    slope = 1 - np.exp(-3.0)  # of softplus, where it is 3
    np.testing.assert_allclose(by_packed, [0, 0, 0, e[0], e[1], e[2] * slope], rtol=1e-9)


@pytest.mark.few(2)
def test_moments_have_gradients_and_run_in_jax(mode):
    approx = normal()
    rho = approx.shared_params["rho"]
    std, by_rho, cov = evaluate([approx.std, pt.grad(approx.std.sum(), rho), approx.cov], mode)
    np.testing.assert_allclose(std, [0.5, 2.0])
    np.testing.assert_allclose(by_rho, 1 - np.exp(-np.array([0.5, 2.0])))
    np.testing.assert_allclose(cov, np.diag([0.25, 4.0]))


# ---- sample_approx -------------------------------------------------------------------------------


@pytest.mark.slow
def test_sample_approx():
    approx = regression()
    draws = vi.sample_approx(approx, 7, random_seed=1)
    assert draws["posterior"]["slope"].shape == (1, 7)
    expected = approx.sample(7, random_seed=1, include_transformed=False)["posterior"].to_dataset()
    assert draws["posterior"].to_dataset().equals(expected)
    assert "noise_log__" in vi.sample_approx(approx, draws=2, include_transformed=True)["posterior"]
    with pytest.raises(TypeError, match="Approximation"):
        vi.sample_approx(approx.model)


def test_the_standard_errors_above_can_fail():
    """A quarter of a standard deviation off, or 10 % too wide, is seen."""
    values = stats.norm(0.25, 1.1).rvs(N, random_state=1)
    with pytest.raises(AssertionError):
        mean_close(values, 0.0, 1.0)
    with pytest.raises(AssertionError):
        sd_close(values, 1.0)
