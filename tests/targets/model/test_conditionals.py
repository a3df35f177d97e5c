"""Locations and scales that are read from a model's graph are those of its densities."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from jax import numpy as jnp
from pytensor.compile.ops import as_op

from vi.foundation.precision import precision
from vi.graphs.interpret import interpreted
from vi.targets.model.conditionals import conditionals_of

FLOAT64 = np.dtype("float64")

WITH_PARENTS = {
    "Normal": lambda m, s: pm.Normal("x", m, s, shape=3),
    "StudentT": lambda m, s: pm.StudentT("x", 4.0, mu=m, sigma=s, shape=3),
    "Cauchy": lambda m, s: pm.Cauchy("x", m, s, shape=3),
    "Laplace": lambda m, s: pm.Laplace("x", m, s, shape=3),
    "Logistic": lambda m, s: pm.Logistic("x", m, s, shape=3),
    "Gumbel": lambda m, s: pm.Gumbel("x", m, s, shape=3),
    "Moyal": lambda m, s: pm.Moyal("x", m, s, shape=3),
    "SkewNormal": lambda m, s: pm.SkewNormal("x", alpha=2.0, mu=m, sigma=s, shape=3),
    "LogNormal": lambda m, s: pm.LogNormal("x", m, s, shape=3),
    "HalfNormal": lambda m, s: pm.HalfNormal("x", s, shape=3),
    "HalfCauchy": lambda m, s: pm.HalfCauchy("x", s, shape=3),
    "Exponential": lambda m, s: pm.Exponential("x", scale=s, shape=3),
    "by precision": lambda m, s: pm.Normal("x", m * np.arange(3.0), tau=1 / s, shape=3),
    "broadcast": lambda m, s: pm.Normal("x", pt.stack([m, 0.0])[:, None], s, shape=(2, 3)),
    "walk": lambda m, s: pm.GaussianRandomWalk(
        "x", mu=m, sigma=s, init_dist=pm.Normal.dist(m, 2 * s), shape=(2, 4)
    ),
    "heavy walk": lambda m, s: pm.RandomWalk(
        "x",
        init_dist=pm.Cauchy.dist(0.0, 1.0),
        innovation_dist=pm.StudentT.dist(4.0, mu=m, sigma=s),
        shape=5,
    ),
    "AR": lambda m, s: pm.AR(
        "x", [m], sigma=s, init_dist=pm.Normal.dist(0, s), shape=(2, 4), steps=3
    ),
    "AR with a constant": lambda m, s: pm.AR(
        "x", [m, 0.7], sigma=s, constant=True, init_dist=pm.Normal.dist(0, 1), steps=4
    ),
}


@pytest.mark.parametrize("make", WITH_PARENTS.values(), ids=WITH_PARENTS)
def test_what_is_standardised_has_one_density_whatever_the_parents_are(make):
    """Log p of ``location + scale e``, plus the logarithms of scales, is a function of e alone."""
    with pm.Model() as model:
        m, s = pm.Normal("m"), pm.HalfNormal("s")
        make(m, s)
    (term,) = model.logp([model["x"]], sum=False)
    log_p = interpreted(model.value_vars, [term.sum()])
    conditionals = conditionals_of(model)
    (variable,) = conditionals.variables
    shape = model.initial_point()[model.value_vars[2].name].shape
    e = np.random.default_rng(1).normal(size=variable.shape)
    found = []
    with precision(FLOAT64):
        for m, log_s in ((0.3, -0.5), (-0.8, 0.9)):
            z = np.zeros(conditionals.dim)
            z[:2] = m, log_s
            given = conditionals.given(0, jnp.asarray(z))
            location, scale, carry = map(np.asarray, given)
            x = location + scale * e
            for t in range(1, x.shape[1]):
                x[:, t] += carry[:, t] * x[:, t - 1]
            found.append(float(log_p(m, log_s, x.reshape(shape))[0]) + np.log(scale).sum())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-9)


def test_parents_come_first_and_data_are_those_of_the_time():
    with pm.Model() as model:
        x = pm.Data("x", np.array([1.0, 2.0]))
        low = pm.Normal("low", 0.0, pm.HalfNormal("scale"))
        pm.Normal("high", x * low, 1.0, shape=2)
        pm.Normal("top", low, 1.0)
    found = conditionals_of(model)
    assert found.names == ("low", "high", "top")
    assert conditionals_of(model) is found
    pm.set_data({"x": [3.0, 4.0]}, model)
    assert conditionals_of(model) is not found
    z = jnp.array([0.5, 1.0, 0.0, 0.0, 0.0], jnp.float32)
    assert conditionals_of(model).given(1, z).location.ravel().tolist() == [3.0, 4.0]
    assert found.given(1, z).location.ravel().tolist() == [1.0, 2.0]


def test_it_says_what_the_variables_are_where_nothing_depends_on_others():
    with pm.Model() as model:
        p = pm.Beta("p", 1, 1)
        pm.Normal("level", 0.0, 1.0)
        pm.Gamma("rate", 2.0, p)
    says = (
        r"Nothing can be non-centred here.*p \(Beta: no location and scale that are known\), level "
        r"\(Normal: location and scale are constants\), rate \(Gamma: no location.*advi"
    )
    with pytest.raises(ValueError, match=says):
        conditionals_of(model)


def test_a_scale_that_jax_cannot_compute_is_refused_by_name():
    @as_op(itypes=[pt.dscalar], otypes=[pt.dscalar])
    def opaque(x):
        return np.asarray(x + 1.0)

    with pm.Model() as model:
        tau = pm.HalfNormal("tau")
        pm.Normal("effect", 0.0, opaque(tau.astype("float64")))
    with pytest.raises(ValueError, match=r"'effect' cannot be non-centred: .*no JAX conversion"):
        conditionals_of(model)
