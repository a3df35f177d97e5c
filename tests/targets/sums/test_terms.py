"""Terms over few rows are the terms: PyMC's models against the same without rewriting."""

import numpy as np
import pymc as pm
import pytest
import zoo

from vi.graphs.gradient import gradient
from vi.graphs.interpret import interpreted
from vi.graphs.named_dims import without_named_dims
from vi.targets import from_pymc
from vi.targets.batches.setting import GraphSetting
from vi.targets.model.graph import build_graph
from vi.targets.model.shapes import initial_point
from vi.targets.sums import term as of_term
from vi.targets.sums.derived import DerivedVariable

BACKENDS = pytest.mark.parametrize("backend", ["jax", "pytensor"])
PLAIN, FEW = (GraphSetting(training=False, rewrite=rewrite) for rewrite in (False, True))
ROWS = 1000
RNG = np.random.default_rng(1)
X, GROUP = RNG.normal(size=(ROWS, 3)), RNG.integers(8, size=ROWS)


def counts(graph):
    """Rows that are left of each term that was rewritten."""
    weights = [v for v in graph.shared if isinstance(v, DerivedVariable)]
    return [len(v.get_value()) for v in weights if v.name.endswith("weights")]


def graphs(model):
    point = initial_point(model)
    return [build_graph(model, point, setting) for setting in (PLAIN, FEW)]


def values(graph, z):
    """Log p and its gradient."""
    (log_prob,) = without_named_dims([graph.flat], [graph.log_prob])
    return interpreted([graph.flat], [log_prob, gradient(log_prob, graph.flat)])(z)


def agree(model, rows):
    """Same value and gradient; as many rows are left as expected."""
    plain, few = graphs(model)
    assert counts(few) == rows
    assert counts(plain) == []
    for seed in range(3):
        z = np.random.default_rng(seed).normal(size=plain.layout.dim)
        (value, slope), (other, other_slope) = values(plain, z), values(few, z)
        np.testing.assert_allclose(other, value, rtol=1e-12)
        assert np.linalg.norm(other_slope - slope) < 1e-10 * np.linalg.norm(slope)


def of(make, **data):
    """A model of one likelihood, which is made within it."""
    with pm.Model() as model:
        make(**data)
    return model


def mu(shape=None):
    return pm.Normal("mu", 0.0, 3.0, shape=shape)


def sigma():
    return pm.HalfNormal("sigma", 2.0)


def line():
    return pm.Normal("a") + pm.math.dot(X, pm.Normal("b", shape=3))


LIKELIHOODS = {
    "iid": (lambda: pm.Normal("y", mu(), sigma(), observed=X[:, 0]), 2),
    "columns": (lambda: pm.Normal("y", mu(3), sigma(), observed=X), 2),
    "groups": (lambda: pm.Normal("y", mu(8)[GROUP], sigma(), observed=X[:, 0]), 16),
    "sigma by group": (
        lambda: pm.Normal("y", mu(), pm.HalfNormal("s", shape=8)[GROUP], observed=X[:, 0]),
        16,
    ),
    "line": (lambda: pm.Normal("y", line(), sigma(), observed=X[:, 0] + RNG.normal(size=ROWS)), 5),
    "line by group": (
        lambda: pm.Normal("y", mu(8)[GROUP] * X[:, 1] + line(), sigma(), observed=X[:, 0]),
        48,  # the column stands in both products, and counts twice
    ),
    "covariance": (lambda: pm.MvNormal("y", mu(3), np.eye(3) + 0.5, observed=X), 4),
    "bernoulli": (lambda: pm.Bernoulli("y", pm.Beta("p", 1, 1), observed=GROUP > 3), 2),
    "bernoulli by group": (
        lambda: pm.Bernoulli("y", logit_p=mu(8)[GROUP], observed=X[:, 0] > 0),
        16,
    ),
    "poisson": (lambda: pm.Poisson("y", pm.Gamma("r", 2, 1), observed=GROUP), 8),
    "categorical": (lambda: pm.Categorical("y", pm.Dirichlet("p", np.ones(8)), observed=GROUP), 8),
    "student t of rounded": (
        lambda: pm.StudentT("y", nu=4, mu=mu(), sigma=sigma(), observed=X[:, 0].round()),
        len(np.unique(X[:, 0].round())),
    ),
    "exponential": (lambda: pm.Exponential("y", sigma(), observed=np.abs(X[:, 0])), 2),
    "gamma": (lambda: pm.Gamma("y", sigma(), 2.0, observed=np.abs(X[:, 0])), 3),
    "lognormal": (lambda: pm.LogNormal("y", mu(), sigma(), observed=np.exp(X[:, 0])), 3),
    "potential": (lambda: pm.Potential("y", -((mu() - X[:, 0]) ** 2)), 2),
}


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_likelihoods(name):
    make, rows = LIKELIHOODS[name]
    agree(of(make), [rows])


@pytest.mark.parametrize(
    "make",
    [
        lambda: pm.Bernoulli("y", logit_p=line(), observed=GROUP > 3),
        lambda: pm.StudentT("y", nu=4, mu=mu(), sigma=sigma(), observed=X[:, 0]),
        lambda: pm.Normal("y", mu(ROWS), sigma(), observed=X[:, 0]),
        lambda: pm.Normal("y", pm.math.exp(line()), sigma(), observed=X[:, 0]),
        lambda: pm.Normal("y", line() - line_mean(), sigma(), observed=X[:, 0]),
        lambda: pm.AR("y", pm.Normal("rho", shape=2), observed=X[:, 0]),
        lambda: pm.Normal("y", mu(), sigma(), observed=X[:20, 0]),
    ],
    ids=["logistic", "student t", "a mean a row", "exp", "mixes rows", "series", "few rows"],
)
def test_what_stays_as_it_is(make):
    """No few rows give these, or nobody would notice; then the graph is PyMC's own."""
    plain, few = graphs(of(make))
    assert counts(few) == []
    assert [v.name for v in few.shared] == [v.name for v in plain.shared]


def line_mean():
    return pm.math.mean(pm.Normal("c") * X[:, 0])


@pytest.mark.slow
@pytest.mark.parametrize("entry", [e for e in zoo.entries() if not e.refused], ids=lambda e: e.name)
def test_the_zoo(entry, monkeypatch):
    """All models of it, with whatever number of rows."""
    monkeypatch.setattr(of_term, "LEAST", 4)
    monkeypatch.setattr(of_term, "SHARE", 1.0)
    model = entry.build()
    plain, few = graphs(model)
    if not counts(few):
        return
    start = plain.layout.flatten(initial_point(model), np.float64)
    z = start + 0.1 * np.random.default_rng(0).normal(size=plain.layout.dim)
    (value, slope), (other, other_slope) = values(plain, z), values(few, z)
    np.testing.assert_allclose(other, value, rtol=1e-12)
    assert np.linalg.norm(other_slope - slope) <= 1e-10 * np.linalg.norm(slope)


@BACKENDS
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_both_backends_in_both_precisions(backend, dtype):
    """In single precision a sum of N rows has errors of the order of eps times the root of N."""
    make, rows = LIKELIHOODS["line"]
    model = of(make)
    plain = from_pymc(model, backend="pytensor", setting=PLAIN)
    few = from_pymc(model, backend=backend, dtype=dtype, setting=FEW)
    assert counts(few.graph) == [rows]
    points = np.random.default_rng(3).normal(size=(4, plain.dim))
    points = points.astype(dtype)  # so that both see the same ones
    (value, slope), (other, other_slope) = (
        t.value_and_score(points.astype(t.dtype), t.batch())
        if t.backend == "pytensor"
        else both(t, points)
        for t in (plain, few)
    )
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(other, value, rtol=8 * np.sqrt(ROWS) * eps)
    error = np.linalg.norm(other_slope - slope, axis=1)
    assert (error <= 8 * np.sqrt(ROWS) * eps * np.linalg.norm(slope, axis=1)).all()


def both(target, points):
    from vi.targets.backends.evaluation import evaluation

    return evaluation(target)(points)


def test_sums_do_not_cancel():
    """Data far from 0: what the sufficient statistics of exponential families would lose."""
    y = 1e4 + RNG.normal(size=(20_000, 5))
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mu", 1e4, 10.0, shape=5), sigma(), observed=y)
    plain, few = graphs(model)
    assert counts(few) == [2]
    z = np.append(y.mean(axis=0) + 0.01, 0.0)
    slope, other = values(plain, z)[1], values(few, z)[1]
    # the slope is 200 where each of its 20,000 summands is about 1: rounding of these is common
    assert np.linalg.norm(other - slope) < 1e-10 * np.linalg.norm(slope)
