"""The structure of a model: what is found, by both ways and backends, and what is refused."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytest
import scipy.sparse as sp

import vi
from vi.families import FullRank, Structured
from vi.search import hessian_products as by_products
from vi.search import interactions as by_columns
from vi.search import structure as structures
from vi.search.coloured import colouring, outside
from vi.search.elimination import eliminated
from vi.search.interactions import TooDenseError, interactions
from vi.search.structure import structure_of


def groups(count=20, rows=4):
    """Intercepts and slopes of groups, with a scale each."""
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(count), rows)
    with pm.Model() as model:
        tau = pm.HalfNormal("tau", shape=2)
        a = pm.Normal("a", 0.0, tau[0], shape=count)
        b = pm.Normal("b", 0.0, tau[1], shape=count)
        x = rng.normal(size=len(group))
        pm.Normal("y", a[group] + b[group] * x, 1.0, observed=rng.normal(size=len(group)))
    return model


def walk(steps=60):
    with pm.Model() as model:
        sigma = pm.HalfNormal("sigma")
        h = pm.GaussianRandomWalk("h", sigma=sigma, init_dist=pm.Normal.dist(), steps=steps - 1)
        pm.Poisson("y", pm.math.exp(h), observed=np.arange(steps) % 3)
    return model


@pytest.mark.parametrize("backend", ["jax", "pytensor"])
def test_groups(backend):
    found = vi.structure(groups(), backend=backend)
    assert (found.kind, found.globals, found.groups, found.size) == ("groups", (0, 1), 20, 2)
    assert found.family == Structured((0, 1), found.parents)
    assert "2 global  tau[0], tau[1]" in repr(found)
    assert "20 groups of 2  a, b" in repr(found)
    assert "20 groups of 2" in found._repr_html_()


@pytest.mark.parametrize("backend", ["jax", "pytensor"])
def test_chain(backend):
    found = vi.structure(walk(), backend=backend)
    assert (found.kind, found.globals, found.bandwidth) == ("chain", (0,), 1)
    assert found.family.inverse
    # half of a chain is taken out at a time: a draw takes log T steps
    assert len(found.family.ties.blocks) <= 2 * np.log2(60) + 2


def test_a_density_without_plates():
    def log_p(z):
        return -0.5 * jnp.sum(z["x"] ** 2) - jnp.sum((z["x"][1:] - z["x"][:-1]) ** 4)

    model = vi.targets.from_function(log_p, {"x": np.zeros(40)})
    found = vi.structure(model)
    assert (found.kind, found.globals, found.bandwidth) == ("chain", (), 1)


def test_nested_groups():
    """Counties in states: what each state holds is a group, and not all of it interacts."""
    state = np.repeat(np.arange(6), 5)
    with pm.Model() as model:
        tau = pm.HalfNormal("tau", shape=2)
        s = pm.Normal("s", 0.0, tau[0], shape=6)
        c = pm.Normal("c", s[state], tau[1], shape=30)
        pm.Normal("y", c, 1.0, observed=np.linspace(-1, 1, 30))
    found = vi.structure(model)
    assert (found.kind, found.groups, found.size, found.whole) == ("groups", 6, 6, False)
    assert sum(map(len, found.parents)) == 30  # each county takes from its state


def test_crossed_effects_and_dense_ones_are_full_rank(caplog):
    rng = np.random.default_rng(0)
    with pm.Model() as crossed:
        person, item = pm.Normal("person", shape=12), pm.Normal("item", shape=10)
        pm.Bernoulli("y", logit_p=person[:, None] - item, observed=rng.random((12, 10)) < 0.5)
    found = vi.structure(crossed)
    assert found.kind == "dense"
    assert found.family == FullRank()
    assert "pairs interact" in found.note
    caplog.set_level("INFO", logger="vi")
    approx = vi.Structured(found, model=crossed, random_seed=1)
    assert approx.family == FullRank()
    assert "full rank is what is left, with 253 numbers" in caplog.text
    by_structure = vi.StructuredLaplace(found, model=crossed, random_seed=1).fit(progressbar=False)
    laplace = vi.Laplace(model=crossed, random_seed=1).fit(progressbar=False)
    np.testing.assert_array_equal(by_structure.cov.eval(), laplace.cov.eval())


def test_a_pattern_that_changes_is_joined_and_said():
    with pm.Model() as model:
        x = pm.Normal("x", shape=8)
        pm.Potential("p", pm.math.switch(x[0] > 0, x[1] * x[2], x[3] * x[4]))
    found = vi.structure(model)
    pattern = found.pattern.toarray()
    assert pattern[1, 2]
    assert pattern[3, 4]
    assert "interactions change from point to point" in found.note


def test_it_is_deterministic():
    one, two = vi.structure(groups(6)), vi.structure(groups(6))
    assert repr(one) == repr(two)
    assert one.family == two.family


def test_probes_that_are_not_finite_name_the_variable():
    model = vi.targets.from_function(lambda z: -jnp.sum(z["a"] ** 4), {"a": np.zeros(2)})
    target = vi.targets.from_pymc(model)
    with pytest.raises(ValueError, match=r"not finite near the start, in a\[1\]"):
        structure_of(target, np.array([0.0, np.inf]))


def sparse_hessian(dim, rng, wide=3):
    """A symmetric matrix: a band, some blocks, and columns of ``wide`` coordinates."""
    row = np.arange(dim - 1)
    entries = sp.coo_array((rng.normal(size=dim - 1), (row, row + 1)), (dim, dim)).tocsr()
    entries = entries + sp.csr_array(
        (
            rng.normal(size=wide * dim),
            (np.repeat(np.arange(wide), dim), np.tile(np.arange(dim), wide)),
        ),
        (dim, dim),
    )
    return sp.csr_array(entries + entries.T + 5 * sp.eye_array(dim, format="csr"))


def test_mixed_columns_find_what_columns_find(monkeypatch):
    rng = np.random.default_rng(2)
    hessian = sparse_hessian(1_500, rng)
    whole = interactions(lambda v: (hessian @ v.T).T, 1_500, rng)
    calls = []

    def counted(directions):
        calls.append(len(directions))
        return (hessian @ directions.T).T

    monkeypatch.setattr(by_columns, "LARGEST_BY_COLUMNS", 10)
    mixed = interactions(counted, 1_500, rng)
    assert (mixed != whole).nnz == 0
    assert sum(calls) < 500


def test_mixed_columns_of_a_dense_hessian_are_refused(monkeypatch):
    rng = np.random.default_rng(2)
    dense = rng.normal(size=(300, 300))
    monkeypatch.setattr(by_columns, "LARGEST_BY_COLUMNS", 10)
    with pytest.raises(TooDenseError, match="300 of 300 coordinates"):
        interactions(lambda v: v @ (dense + dense.T), 300, rng)


def test_a_coloured_hessian_is_the_hessian():
    rng = np.random.default_rng(3)
    hessian = sparse_hessian(200, rng)
    pattern = interactions(lambda v: (hessian @ v.T).T, 200, rng)
    own = colouring(pattern, np.arange(3))
    found = own.hessian(lambda v: (hessian @ v.T).T)
    assert own.products <= 3 + 3
    np.testing.assert_allclose(found.toarray(), hessian.toarray(), atol=1e-12)
    assert not len(outside(own, lambda v: (hessian @ v.T).T, rng))
    other = hessian.tolil()
    other[50, 150] = other[150, 50] = 1.0
    wrong = sp.csr_array(other)
    assert {50, 150} <= set(outside(own, lambda v: (wrong @ v.T).T, rng).tolist())


def test_elimination_of_a_chain_is_sparse_and_shallow():
    dim = 257
    band = sp.diags_array([np.ones(dim - 1)] * 2, offsets=[-1, 1], format="csr").astype(bool)
    parents = eliminated(sp.csr_array(band))
    assert sum(map(len, parents)) <= 2 * dim
    assert eliminated(sp.csr_array(band), most=10) is None


@pytest.mark.parametrize("scale", [1e-3, 1e6])
def test_units_have_no_say(scale):
    """A local linear trend is the same chain whatever its data are measured in."""
    y = scale * (20.0 + np.cumsum(np.random.default_rng(1).normal(0.2, 0.3, 20)))
    with pm.Model() as model:
        sd_slope, sd_level = (pm.HalfNormal(name, scale) for name in ("sd_slope", "sd_level"))
        first = pm.Normal.dist(0.0, scale)
        slope = pm.GaussianRandomWalk("slope", sigma=sd_slope, init_dist=first, shape=19)
        first = pm.Normal.dist(y[0], scale)
        level = pm.GaussianRandomWalk("level", mu=slope, sigma=sd_level, init_dist=first, shape=20)
        pm.Normal("y", level, pm.HalfNormal("sigma", scale), observed=y)
    found = vi.structure(model)
    assert (found.kind, len(found.globals), found.groups) == ("chain", 3, 1)
    # each slope with the one before and two levels, each level with the one before
    others = [i for i in range(found.layout.dim) if i not in found.globals]
    assert found.pattern[others][:, others].nnz == 2 * (18 + 2 * 19 + 19)


def kinked(dim=12, rows=60):
    """A regression with Laplace errors: its second derivatives are those of the prior alone."""
    rng = np.random.default_rng(1)
    with pm.Model() as model:
        b = pm.Normal("b", shape=dim)
        pm.Laplace("y", rng.normal(size=(rows, dim)) @ b, 1.0, observed=rng.normal(size=rows))
    return model


BACKENDS = pytest.mark.parametrize("backend", ["jax", "pytensor"])


@BACKENDS
def test_kinks_interact(backend):
    found = vi.structure(kinked(), backend=backend)
    assert found.kind == "dense"
    assert found.pattern.nnz == 12 * 11
    assert "log p has kinks or switches" in found.note


@BACKENDS
def test_kinks_of_neighbours_are_a_chain(backend):
    with pm.Model() as model:
        scale = pm.HalfNormal("scale")
        x = pm.Normal("x", shape=60)
        pm.Potential("p", -pm.math.sum(abs(x[1:] - x[:-1])) / scale)
    found = vi.structure(model, backend=backend)
    assert (found.kind, found.globals, found.bandwidth) == ("chain", (0,), 1)
    assert found.pattern.nnz == 2 * (60 + 59)


def test_many_kinks_are_dense(monkeypatch):
    """Beyond some dimensions columns are not computed."""
    monkeypatch.setattr(structures, "LARGEST_BY_COLUMNS", 10)
    found = vi.structure(kinked())
    assert found.kind == "dense"
    assert found.note.startswith("log p has kinks or switches (b[0], b[1], b[2] and 9 more)")


def test_what_switches_is_seen():
    with pm.Model() as model:
        x = pm.Normal("x", shape=8)
        pm.Potential("p", pm.math.switch(x[0] > 0, x[1] * x[2], x[3] * x[4]))
    assert vi.structure(model).pattern.toarray()[0].tolist() == [False, *[True] * 4, *[False] * 3]


def test_differences_that_rounding_swallows():
    """A walk whose steps are far below the distance of its places, in single precision."""
    with pm.Model() as model:
        pm.GaussianRandomWalk("w", sigma=1e-8, init_dist=pm.Normal.dist(), steps=29)
    found = vi.structure(model, backend="pytensor", dtype="float32")
    assert (found.kind, found.bandwidth, found.pattern.nnz) == ("chain", 1, 2 * 29)


def test_products_of_lost_directions_are_none():
    model = vi.targets.from_function(lambda z: -jnp.sum(z["a"] ** 2), {"a": np.zeros(2)})
    products = by_products._by_differences(vi.targets.from_pymc(model))
    points, short = np.full((2, 2), 1e3), np.array([[1.0, 0.0], [1e-12, 0.0]])
    found = products(points, short)
    np.testing.assert_allclose(found[0], [-2.0, 0.0], rtol=1e-6)
    assert np.isnan(found[1]).all()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_mixed_columns_in_either_precision(dtype, monkeypatch):
    monkeypatch.setattr(by_columns, "LARGEST_BY_COLUMNS", 100)
    found = vi.structure(groups(200, rows=2), dtype=dtype)
    assert (found.kind, found.globals, found.groups, found.size) == ("groups", (0, 1), 200, 2)
    assert found.pattern.nnz == 2 * (2 * 200 + 200)
    assert found.products < 400
