"""Graphs evaluated without compiling, against the same graphs compiled."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.compile.builders import OpFromGraph
from pytensor.scan.op import Scan

import vi
from vi.graphs.interpret import interpret, interpreted

MANY = 40
WEIGHTS = np.linspace(-0.02, 0.03, MANY)
START = pt.as_tensor(np.float64(0.5))


def wide_sum(x):
    return sum(WEIGHTS[i] * pt.cos(0.1 * i * x) for i in range(MANY))


def loop(x, step):
    return pytensor.scan(step, sequences=[x], outputs_info=[START], return_updates=False)


def of_a_graph(x):
    inner = pt.dvector()
    return OpFromGraph([inner], [loop(inner, lambda a, b: 0.3 * pt.sin(a * b)).sum()])(x)


GRAPHS = {
    "sum": lambda x: wide_sum(x).sum(),
    "product": lambda x: pt.mul(*[pt.cos(0.01 * i * x) for i in range(MANY)]).sum(),
    "loop": lambda x: loop(x, lambda a, b: 0.3 * pt.sin(a * b) + wide_sum(b)).sum(),
    "loop in a loop": lambda x: loop(x, lambda a, b: loop(x, lambda c, d: a * b * c + d)[-1]).sum(),
    "graph as an operation": of_a_graph,
}


@pytest.mark.few(1)
@pytest.mark.parametrize("name", GRAPHS)
def test_values_are_those_of_compiled_code(name, rng):
    x = pt.dvector("x")
    graphs = [GRAPHS[name](x), pytensor.grad(GRAPHS[name](x), x)]
    values = rng.normal(size=4)
    compiled = pytensor.function([x], graphs)(values)
    # sums in another order: a thousand roundings of 1e-16
    for ours, theirs in zip(interpret([x], graphs, [values]), compiled, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_inner_graphs_are_not_compiled():
    x = pt.dvector("x")
    function = interpreted([x], [GRAPHS["loop"](x), of_a_graph(x)])
    function(np.ones(2))
    operations = [node.op for node in function.maker.fgraph.toposort()]
    scans = [op for op in operations if isinstance(op, Scan)]
    assert len(scans) == 2
    assert not any(isinstance(op, OpFromGraph) for op in operations)
    assert [op._fn.maker.linker.c_thunks for op in scans] == [False, False]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["pytensor", "jax"])
def test_a_linear_predictor_written_out(backend, rng):
    """41 terms in one sum; the posterior of a linear regression is known."""
    x = rng.normal(size=(50, MANY))
    y = x @ np.ones(MANY) + rng.normal(size=50)
    with pm.Model() as model:
        mean = pm.Normal("a")
        for i in range(MANY):
            mean = mean + pm.Normal(f"b{i}") * x[:, i]
        pm.Normal("y", mean, 1, observed=y)
    approx = vi.fit(1, "advi", model, 1, backend=backend, progressbar=False)
    design = np.column_stack([np.ones(50), x])
    point = rng.normal(size=MANY + 1)
    expected = -0.5 * (np.sum(point**2) + np.sum((y - design @ point) ** 2))
    expected -= 0.5 * (50 + MANY + 1) * np.log(2 * np.pi)
    np.testing.assert_allclose(approx.logp(point[None])[0], expected, rtol=1e-12)


@pytest.mark.slow
def test_partial_sums_of_partial_sums(rng):
    x = pt.dvector("x")
    (value,) = interpret([x], [pt.add(*[x * i for i in range(31 * 31 + 1)])], [np.ones(2)])
    np.testing.assert_allclose(value, 31 * 31 * (31 * 31 + 1) / 2)


def test_what_needs_rewrites_has_them():
    """NumPy multiplies no more than 31 arrays at once: as written it cannot be evaluated."""
    x, value = pt.dvector("x"), np.linspace(0.1, 0.4, 3)
    graph = GRAPHS["product"](x)
    (found,) = interpret([x], [graph], [value])
    assert found == interpreted([x], [graph])(value)[0]


def test_an_error_is_that_of_the_graph():
    x = pt.dvector("x")
    with pytest.raises(AssertionError, match="positive"):
        interpret([x], [pytensor.raise_op.Assert("positive")(x, pt.all(x > 0))], [-np.ones(2)])


@pytest.mark.parametrize(
    ("graph", "at", "expected"),
    [
        (lambda x: pt.log(1 + pt.exp(x)).sum(), [800.0], 800.0),
        (lambda x: pt.log(1 - pt.sigmoid(x)).sum(), [50.0], -50.0),
        (lambda x: pt.log(pt.exp(x).sum()), [900.0, 900.0], 900.0 + np.log(2.0)),
        (lambda x: pt.log(pt.special.softmax(x)).sum(), [900.0, -900.0], -1800.0),
        (lambda x: pm.logp(pm.Bernoulli.dist(logit_p=x), 0).sum(), [900.0], -900.0),
        (lambda x: pt.log(x * pytensor.shared(1.0)).sum(), [0.0], -np.inf),
    ],
    ids=["softplus", "sigmoid", "sum of exponentials", "softmax", "Bernoulli", "none"],
)
def test_logarithms_that_compiled_code_has_finite_are_finite(graph, at, expected):
    """A start was refused there: these are finite with PyTensor's rewrites alone."""
    x = pt.dvector("x")
    (found,) = interpret([x], [graph(x)], [np.array(at)])
    np.testing.assert_allclose(found, expected, rtol=1e-12)
