"""Cheaper graphs compute the same, in derivatives too, with fewer functions."""

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from pytensor.compile.mode import get_mode
from pytensor.graph.fg import FunctionGraph
from scipy import special

from vi.foundation.precision import precision
from vi.graphs.cheaper import make_cheaper
from vi.graphs.to_jax import jax_function
from vi.targets import from_pymc

X = np.random.default_rng(1).normal(size=(30, 3))
Y = (X[:, 0] > 0).astype(np.int32)
AT = [-800.0, -40.0, -1.0, -1e-9, 0.0, 1e-9, 2.0, 40.0, 800.0]


def logistic(y):
    with pm.Model() as model:
        beta = pm.Normal("beta", 0.0, 1.0, shape=3)
        pm.Bernoulli("y", logit_p=pm.math.dot(X, beta), observed=pm.Data("data", y))
    return model


def names(output, *inputs):
    """The operations of a graph as JAX gets it."""
    graph = FunctionGraph(inputs=list(inputs), outputs=[output], clone=True)
    get_mode("JAX").optimizer.rewrite(graph)
    make_cheaper(graph)
    return [str(getattr(node.op, "scalar_op", node.op)).lower() for node in graph.toposort()]


@pytest.mark.parametrize("x", AT)
def test_softplus_and_its_derivatives(x):
    """Against SciPy; the second derivative at 0, where |x| has none, is 1/4."""
    z = pt.vector("z")
    with precision("float64"):
        (convert,) = [jax_function([z], [pt.softplus(z).sum()])]
        value, slope, curvature = (
            function(jnp.array([x]))
            for function in (
                lambda a: convert(a)[0],
                jax.grad(lambda a: convert(a)[0]),
                jax.hessian(lambda a: convert(a)[0]),
            )
        )
    # two roundings of functions that are right to some units in the last place
    close = {"rtol": 1e-14, "atol": 0}
    np.testing.assert_allclose(value, np.logaddexp(x, 0.0), **close)
    np.testing.assert_allclose(slope[0], special.expit(x), **close)
    expected = special.expit(x) * special.expit(-x)
    np.testing.assert_allclose(curvature[0, 0], expected, rtol=1e-14, atol=1e-16)


def test_a_bernoulli_needs_one_softplus_and_no_check():
    target = from_pymc(logistic(Y), backend="jax")
    found = names(target.graph.log_prob, *target.graph.inputs)
    assert sum("softplus" in name for name in found) == 1
    assert not any("sigmoid" in name for name in found)


def test_log_p_and_score_of_a_logistic_regression():
    target = from_pymc(logistic(Y), backend="jax")
    points = np.random.default_rng(2).normal(size=(4, 3)) * 5
    with precision("float64"):
        values, scores = target.value_and_score(points, target.batch())
    z = points @ X.T
    exact = np.where(Y, -np.logaddexp(0, -z), -np.logaddexp(0, z)).sum(axis=1)
    exact += (-0.5 * points**2 - 0.5 * np.log(2 * np.pi)).sum(axis=1)
    np.testing.assert_allclose(values, exact, rtol=1e-13)
    np.testing.assert_allclose(scores, (Y - special.expit(z)) @ X - points, rtol=1e-12)


def test_data_out_of_range_still_have_no_density():
    model = logistic(Y)
    target = from_pymc(model, backend="jax")
    assert np.isfinite(target.log_prob(np.zeros(3)))
    model["data"].set_value(np.where(np.arange(30) == 3, 2, Y).astype(np.int32))
    assert target.log_prob(np.zeros(3)) == -np.inf


@pytest.mark.parametrize("negative", [False, True])
def test_checks_of_parameters_stay(negative):
    """One number decides for all: below 0 there is no density."""
    z, y = pt.vector("z"), pt.vector("y")
    graph = pt.switch(z[0] > 0, -((y / z[0]) ** 2), -np.inf).sum()
    with precision("float64"):
        value = jax_function([z, y], [graph])(
            jnp.array([-2.0 if negative else 2.0]), jnp.array([2.0, 4.0])
        )[0]
    assert value == (-np.inf if negative else -5.0)


def test_what_depends_on_the_point_is_asked_for_each_entry():
    """Elsewhere an entry's gradient would be lost with its neighbour's."""
    z = pt.vector("z")
    found = names(pt.switch(z > 0, pt.log(z), -np.inf).sum(), z)
    assert not any(name.startswith("all") or name == "and" for name in found)


def test_branches_of_other_functions_or_sizes_stay():
    z, y = pt.vector("z"), pt.vector("y")
    small = pt.exp(z[0])
    for branches in ((pt.exp(z), pt.log(z)), (small, pt.exp(z))):
        found = names(pt.switch(y > 0, *branches).sum(), z, y)
        assert sum(name.startswith(("exp", "log")) for name in found) >= 2
