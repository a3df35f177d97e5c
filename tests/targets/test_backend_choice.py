"""The choice of the backend: a wrong gradient is seen, what cannot be converted is named, and
the log says why.
"""

import jax
import numpy as np
import pymc as pm
import pymc.dims as pmd
import pytensor.tensor as pt
import pytest
import zoo
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.jax.dispatch import jax_funcify

from vi.foundation.precision import precision
from vi.graphs import to_jax as jaxify
from vi.targets import from_pymc


def line():
    with pm.Model() as model:
        pm.Normal("x")
    return model


class WrongSquare(Op):
    """x^2, right but for its reverse mode in JAX, which has the wrong sign."""

    __props__ = ()

    def make_node(self, x):
        return Apply(self, [x], [x.type()])

    def perform(self, node, inputs, outputs):
        outputs[0][0] = inputs[0] ** 2

    def pullback(self, inputs, outputs, cotangents):
        return [2.0 * inputs[0] * cotangents[0]]


class WrongSquareOfJax(WrongSquare):
    """The same, without a derivative of PyTensor's."""

    def pullback(self, inputs, outputs, cotangents):
        raise NotImplementedError("only JAX's")


@jax_funcify.register(WrongSquare)
def _(op, **_):
    @jax.custom_jvp
    def square(x):
        return x**2

    @square.defjvp
    def derivative(primals, tangents):
        ((x,), (v,)) = primals, tangents
        slope = jax.custom_derivatives.linear_call(
            lambda x, v: 2 * x * v, lambda x, u: -2 * x * u, x, v
        )
        return x**2, slope

    return square


def squared(op):
    with pm.Model() as model:
        x = pm.Normal("x", shape=2)
        pm.Potential("square", -pt.sum(op(x + 1.0)))
    return model


def test_a_wrong_gradient_is_refused_under_jax():
    with pytest.raises(
        ValueError, match=r"gradient contradicts its forward mode .*x\[.*backend='pytensor'"
    ):
        from_pymc(squared(WrongSquareOfJax()), backend="jax")


@pytest.mark.parametrize("backend", ["jax", "auto"])
def test_pytensors_gradient_takes_the_place_of_a_wrong_one(backend, caplog):
    with caplog.at_level("INFO", logger="vi"):
        target = from_pymc(squared(WrongSquare()), backend=backend)
    assert target.backend == "jax"
    assert "contradicts its forward mode" in caplog.text
    z = np.array([[0.3, -0.4]])
    with precision(target.dtype):
        _, score = target.value_and_score(z, target.batch())
    np.testing.assert_allclose(score, -z - 2.0 * (z + 1.0), rtol=1e-12)  # a few operations


def censored(scale):
    """Where ``scale x`` is large, the density of what is censored overflows unseen."""
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 3.0, shape=2)
        rate = pt.exp(scale * x)
        pm.Censored("t", pm.Exponential.dist(rate), None, [1.0, 5.0], observed=[0.5, 5.0])
    return model


@pytest.mark.parametrize(("dtype", "scale"), [("float64", 100.0), ("float32", 20.0)])
def test_a_branch_not_taken_does_not_spoil_the_gradient(dtype, scale, caplog):
    """log p = -x^2 / 18 + s x_0 - exp(s x_0) / 2 - 5 exp(s x_1); JAX's own gradient is NaN."""
    with caplog.at_level("INFO", logger="vi"):
        target = from_pymc(censored(scale), dtype=dtype)
    assert target.backend == "jax"
    assert "PyTensor's own, in JAX, because JAX's gradient" in caplog.text
    z = np.random.default_rng(2).normal(scale=0.01, size=(50, 2)).astype(dtype)
    with precision(target.dtype):
        value, score = map(np.asarray, target.value_and_score(z, target.batch()))
        second = jax.hessian(lambda z: target.log_density(z, target.batch()))(z[0])
    rate = np.exp(scale * z.astype(float))
    expected = -z / 9 + scale * np.array([1.0, 0.0]) - scale * np.array([0.5, 5.0]) * rate
    assert np.isfinite(value).all()
    size = scale * (1 + 5 * rate)
    assert np.all(np.abs(score - expected) < 1e2 * np.finfo(dtype).eps * size)
    curved = -1 / 9 - scale**2 * np.array([0.5, 5.0]) * rate[0]
    np.testing.assert_allclose(second, np.diag(curved), rtol=1e2 * np.finfo(dtype).eps)


def test_the_log_says_which_backend_and_why(caplog):
    convertible, other = line(), next(e for e in zoo.entries() if e.name == "black_box").build()
    with caplog.at_level("INFO", logger="vi"):
        from_pymc(convertible, backend="auto")
        from_pymc(other, backend="auto")
        from_pymc(convertible, backend="pytensor")
    first, second, third = caplog.messages
    assert first == "Backend jax."
    assert second.startswith(
        "Backend pytensor, because JAX cannot evaluate the model: no JAX conversion for _Energy"
    )
    assert third == "Backend pytensor (asked for)."


def test_clips_are_guarded():
    """The input of every clip goes through a barrier: without it XLA's reverse mode was wrong
    for some GP models.
    """
    x = pt.vector("x")
    function = jaxify.jax_function(
        [x], [pt.clip(pt.exp(x), 0.0, 1.0), pt.clip(pt.sin(x), -1.0, 0.5)]
    )
    traced = jax.make_jaxpr(lambda x: function(x))(np.ones(3, np.float32))
    assert str(traced).count("optimization_barrier") == 2


@pytest.mark.parametrize("backend", ["jax", "pytensor"])
def test_a_parameter_outside_its_domain_has_density_zero(backend):
    """As PyMC compiles it: not an exception, and not the finite number that the formula gives
    for a negative shape.
    """
    with pm.Model() as model:
        shape = pm.Normal("shape", 1.0, 2.0)
        pm.Gamma("y", alpha=shape, beta=1.0, observed=[1.0, 2.0])
    value = from_pymc(model, backend=backend).log_prob(np.array([[-0.5], [0.5]]))
    assert value[0] == -np.inf
    assert value[0] == model.compile_logp()({"shape": -0.5})
    # N(0.5 | 1, 2) Gamma(1 | 0.5, 1) Gamma(2 | 0.5, 1), where Gamma(y | 0.5, 1) = exp(-y) / sqrt(pi
    # y); PyTensor folds logs of small integer constants in float32: 1e-9 was measured
    expected = (
        -np.log(2 * np.pi) / 2 - np.log(2) - 0.25**2 / 2 - 0.5 * np.log(2) - 3.0 - np.log(np.pi)
    )
    np.testing.assert_allclose(value[1], expected, rtol=1e-8)


def test_named_dims_have_pytensors_gradient_too():
    with pm.Model(coords={"row": range(2)}) as model:
        x = pmd.Normal("x", 0.0, 3.0)
        pmd.Censored(
            "t",
            pmd.Exponential.dist(pmd.math.exp(100.0 * x)),
            upper=5.0,
            observed=pmd.as_xtensor([0.5, 5.0], dims=("row",)),
        )
    target = from_pymc(model)
    assert target.backend == "jax"
    z = np.array([[0.01]])
    with precision(target.dtype):
        _, score = target.value_and_score(z, target.batch())
    rate = np.exp(1.0)
    np.testing.assert_allclose(score, [[-0.01 / 9 + 100 - 550 * rate]], rtol=1e-12)
