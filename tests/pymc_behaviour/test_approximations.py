"""What a fit returns: draws, moments, parameters, nodes, copies and pickles."""

from __future__ import annotations

import copy

import cloudpickle
import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from two_libraries import D, Y, both, quick, small
from xarray import DataTree


@pytest.fixture(scope="module")
def fitted():
    """An approximation of `small` at its start in either library, made once."""
    made = {}

    def of(lib, method="advi"):
        if (lib.is_pymc, method) not in made:
            made[lib.is_pymc, method] = quick(lib, 0, method)
        return made[lib.is_pymc, method]

    return of


N = 12
"""Draws, everywhere the same number: another one is another compilation."""


def draws_of(approx, draws=N, **options):
    with approx.model:
        return approx.sample(draws, **options)


@both
def test_draws_come_as_one_chain_of_500(lib, fitted):
    approx = fitted(lib)
    with approx.model:
        draws = approx.sample()
    assert isinstance(draws, DataTree)
    assert dict(draws["posterior"].sizes) == {"chain": 1, "draw": 500, "k": 3}


@both
def test_draws_have_dims_coords_and_deterministics(lib, fitted):
    posterior = draws_of(fitted(lib))["posterior"]
    assert posterior["v"].dims == ("chain", "draw", "k")
    assert list(posterior["k"].to_numpy()) == ["a", "b", "c"]
    np.testing.assert_allclose(posterior["double"], 2 * posterior["x"])
    assert (posterior["s"] > 0).all()


@both
def test_draws_bring_the_observed_data(lib, fitted):
    draws = draws_of(fitted(lib))
    np.testing.assert_array_equal(draws["observed_data"]["y"], Y)


@both
def test_a_seed_fixes_draws(lib, fitted):
    one, two, other = (
        draws_of(fitted(lib), random_seed=seed)["posterior"]["v"].to_numpy() for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


@both
def test_without_a_seed_draws_are_new(lib, fitted):
    one, two = (draws_of(fitted(lib))["posterior"]["v"].to_numpy() for _ in range(2))
    assert not np.array_equal(one, two)


@both
def test_include_transformed_adds_the_unconstrained_values(lib, fitted):
    posterior = draws_of(fitted(lib), include_transformed=True)["posterior"]
    np.testing.assert_allclose(np.log(posterior["s"]), posterior["s_log__"], rtol=1e-5)
    assert "s_log__" not in draws_of(fitted(lib))["posterior"]


@both
@pytest.mark.parametrize("name", ["x", "v", "s", "double", "s_log__"])
def test_a_multitrace_instead_of_a_tree(lib, fitted, name):
    trace = draws_of(fitted(lib), return_inferencedata=False)
    assert isinstance(trace, pm.backends.base.MultiTrace)
    assert name in trace.varnames
    assert trace[name].shape == trace.get_values(name).shape == (N, 3)[: 1 + (name == "v")]
    np.testing.assert_array_equal(trace.point(4)[name], trace[name][4])


@both
def test_a_multitrace_is_counted_cut_and_converted(lib, fitted):
    trace = draws_of(fitted(lib), return_inferencedata=False)
    assert len(trace) == N
    assert trace.nchains == 1
    np.testing.assert_array_equal(trace[2:8:2]["x"], trace["x"][2:8:2])
    assert len(list(trace.points())) == N
    tree = pm.to_inference_data(trace, model=small(), log_likelihood=False)
    np.testing.assert_array_equal(tree["posterior"]["x"][0], trace["x"])


@both
def test_a_multitrace_and_a_tree_of_one_seed_hold_the_same(lib, fitted):
    trace = draws_of(fitted(lib), random_seed=3, return_inferencedata=False)
    tree = draws_of(fitted(lib), random_seed=3)
    np.testing.assert_allclose(trace["s"], tree["posterior"]["s"][0], rtol=1e-12)


@both
def test_sample_approx_is_sample(lib, fitted):
    with small():
        draws = lib.sample_approx(fitted(lib), draws=N)
    assert draws["posterior"].sizes["draw"] == N


@both
@pytest.mark.parametrize("method", ["advi", "fullrank_advi"])
def test_moments_are_symbolic_and_agree(lib, fitted, method):
    approx = fitted(lib, method)
    mean, std, cov = approx.mean.eval(), approx.std.eval(), approx.cov.eval()
    assert mean.shape == std.shape == (D,)
    np.testing.assert_allclose(np.sqrt(np.diag(cov)), std, rtol=1e-5)
    assert approx.ndim == approx.ddim == D


@both
@pytest.mark.parametrize(
    ("method", "names"), [("advi", {"mu", "rho"}), ("fullrank_advi", {"mu", "L_tril"})]
)
def test_parameters_are_shared_variables_by_name(lib, fitted, method, names):
    approx = fitted(lib, method)
    assert {p.name for p in approx.params} == names
    shared = approx.groups[0].shared_params if lib.is_pymc else approx.shared_params
    assert set(shared) == names
    np.testing.assert_allclose(shared["mu"].get_value(), approx.mean.eval())


@both
def test_mean_field_stds_are_softplus_of_rho(lib, fitted):
    approx = fitted(lib)
    (rho,) = (p.get_value() for p in approx.params if p.name == "rho")
    np.testing.assert_allclose(approx.std.eval(), np.log1p(np.exp(rho)), rtol=1e-6)


@both
def test_parameters_can_be_set(lib):
    approx = quick(lib, 0)
    (mu,) = (p for p in approx.params if p.name == "mu")
    mu.set_value(np.arange(5.0))
    np.testing.assert_allclose(approx.mean.eval(), np.arange(5.0))
    assert abs(draws_of(approx, 500)["posterior"]["v"][0, :, 2].mean() - 3.0) < 0.3


@both
def test_ordering_says_where_values_lie(lib, fitted):
    approx = fitted(lib)
    ordering = approx.groups[0].ordering if lib.is_pymc else approx.ordering
    assert list(ordering) == ["x", "v", "s_log__"]
    name, where, shape, dtype = ordering["v"]
    assert (name, where, shape, np.dtype(dtype)) == ("v", slice(1, 4), (3,), np.dtype("float64"))


@both
def test_a_node_without_size_is_one_draw(lib, fitted):
    node = fitted(lib).sample_node(small()["v"])
    assert node.eval().shape == (3,)
    assert not np.array_equal(node.eval(), node.eval()) or lib.is_pymc


@both
@pytest.mark.parametrize("size", [1, 4])
def test_a_node_of_some_size_has_a_leading_dimension(lib, fitted, size):
    drawn = fitted(lib).sample_node(small()["v"] + 1.0, size=size).eval()
    assert drawn.shape == (size, 3)


@both
def test_a_symbolic_size(lib, fitted):
    size = pt.iscalar("size")
    node = fitted(lib).sample_node(small()["v"], size=size)
    assert node.eval({size: 6}).shape == (6, 3)


@both
@pytest.mark.parametrize("size", [None, 3])
def test_a_deterministic_node_is_at_the_mean(lib, fitted, size):
    approx = fitted(lib)
    drawn = approx.sample_node(small()["v"], size=size, deterministic=True).eval()
    np.testing.assert_allclose(np.atleast_2d(drawn)[0], approx.mean.eval()[1:4], rtol=1e-5)
    assert drawn.shape == (() if size is None else (size,)) + (3,)


@both
@pytest.mark.parametrize("size", [None, 3])
def test_whether_a_node_is_deterministic_may_be_symbolic(lib, fitted, size):
    approx = fitted(lib)
    flag = pt.iscalar("deterministic")
    node = approx.sample_node(small()["v"], size=size, deterministic=flag)
    mean = approx.mean.eval()[1:4]
    np.testing.assert_allclose(np.atleast_2d(node.eval({flag: 1}))[0], mean, rtol=1e-5)
    assert not np.allclose(np.atleast_2d(node.eval({flag: 0}))[0], mean)


@both
def test_nodes_given_together_share_their_draws(lib, fitted):
    x, double = fitted(lib).sample_node([small()["x"], small()["double"]], size=5)
    drawn, twice = pytensor.function([], [x, double])()
    np.testing.assert_allclose(twice, 2 * drawn, rtol=1e-6)


@both
def test_a_node_is_constrained(lib, fitted):
    assert np.all(fitted(lib).sample_node(small()["s"], size=20).eval() > 0)


@both
def test_a_node_with_other_data(lib, fitted):
    model = small()
    node = fitted(lib).sample_node(
        model["x"] * 0 + model["data"], size=2, more_replacements={model["data"]: pt.ones(4)}
    )
    np.testing.assert_allclose(node.eval(), np.ones((2, 4)))


@both
def test_a_node_with_a_value_in_place_of_a_free_variable(lib, fitted):
    """What is left of q in the node is drawn as ever."""
    model = small()
    x, v = model["x"], model["v"]
    node = fitted(lib).sample_node(
        x * 1000.0 + v, size=4, more_replacements={x: pt.constant(7.0, dtype=x.dtype)}
    )
    drawn = node.eval()
    assert np.all(np.abs(drawn - 7000.0) < 50.0)
    assert not np.allclose(drawn, 7000.0)


@both
def test_a_node_has_a_gradient_in_the_parameters(lib, fitted):
    approx = fitted(lib)
    (mu,) = (p for p in approx.params if p.name == "mu")
    node = approx.sample_node(small()["v"] ** 2, deterministic=True).sum()
    gradient = pytensor.grad(node, mu).eval()
    np.testing.assert_allclose(gradient[1:4], 2 * approx.mean.eval()[1:4], rtol=1e-5)
    np.testing.assert_allclose(gradient[[0, 4]], 0.0)


@both
@pytest.mark.few(1)
@pytest.mark.parametrize("kind", ["simplex", "ordered", "interval"])
def test_draws_of_transformed_variables_are_in_their_support(lib, kind):
    with pm.Model() as model:
        if kind == "simplex":
            pm.Dirichlet("z", np.ones(3))
        elif kind == "ordered":
            ordered = pm.distributions.transforms.ordered
            pm.Normal("z", 0.0, 1.0, shape=3, transform=ordered, initval=[-1.0, 0.0, 1.0])
        else:
            pm.Uniform("z", -1.0, 2.0, shape=3)
    approx = lib.fit(0, model=model, random_seed=1, progressbar=False)
    z = draws_of(approx)["posterior"]["z"][0].to_numpy()
    assert approx.ndim == (2 if kind == "simplex" else 3)
    assert {
        "simplex": np.allclose(z.sum(axis=1), 1.0) and np.all(z > 0),
        "ordered": np.all(np.diff(z, axis=1) > 0),
        "interval": np.all((z > -1) & (z < 2)),
    }[kind]


@both
def test_a_pickle_of_an_approximation(lib, fitted):
    approx = fitted(lib)
    twin = cloudpickle.loads(cloudpickle.dumps(approx))
    np.testing.assert_array_equal(twin.mean.eval(), approx.mean.eval())
    assert draws_of(twin)["posterior"]["v"].shape == (1, N, 3)


@both
def test_a_copy_of_an_approximation(lib, fitted):
    approx = fitted(lib)
    twin = copy.deepcopy(approx)
    np.testing.assert_array_equal(twin.mean.eval(), approx.mean.eval())


@both
def test_predictions_take_the_draws(lib, fitted):
    draws = draws_of(fitted(lib))
    with small():
        predicted = pm.sample_posterior_predictive(draws, progressbar=False, random_seed=1)
    assert predicted["posterior_predictive"]["y"].shape == (1, N, 5)
