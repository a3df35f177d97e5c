"""JAX functions in PyMC models, wrapped by PyTensor or by hand: values, gradients, calls,
precision, many draws.
"""

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.jax.dispatch import jax_funcify

import vi
from vi.graphs.jax_derivatives import ValueAndGradient
from vi.graphs.jax_op import JaxOp
from vi.graphs.to_float32 import to_float32
from vi.graphs.wrapped_jax import with_jax_ops
from vi.targets import from_pymc

BACKENDS = pytest.mark.parametrize("backend", ["jax", "pytensor"])
DTYPES = pytest.mark.parametrize("dtype", ["float64", "float32"])
Y = np.array([0.5, 1.5, 2.0, 3.5])
SETTINGS = {"random_seed": 1, "progressbar": False}

# PyTensor's wrapper finds the types of outputs with JAX's 64-bit mode as it is: off in these tests,
# as for most users.
NARROW = pytest.mark.filterwarnings("ignore:Explicitly requested dtype")


@pytest.fixture(params=[pytensor.wrap_jax, vi.wrap_jax], ids=["pytensor", "vi"])
def wrap_jax(request):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Explicitly requested dtype")
        yield request.param


def normal(params, data, offset=0.0, *, robust=False):
    """The log density of data, up to a constant; a pytree, data, and static arguments."""
    assert robust in (True, False), "static arguments arrive as they are"
    residual = (data - params["mean"] - offset) / params["sd"]
    return -0.5 * jnp.sum(residual**2) - data.size * jnp.log(params["sd"])


def model_of(function, data=Y):
    with pm.Model() as model:
        params = {"mean": pm.Normal("mean", 0, 3), "sd": pm.HalfNormal("sd", 2)}
        pm.Potential("likelihood", function(params, data, 0.0, robust=False))
    return model


def reference_model():
    with pm.Model() as model:
        mean, sd = pm.Normal("mean", 0, 3), pm.HalfNormal("sd", 2)
        pm.Potential("likelihood", -0.5 * (((Y - mean) / sd) ** 2).sum() - len(Y) * pt.log(sd))
    return model


def value_and_score(target, points):
    """Both as NumPy arrays, whatever the backend."""
    with vi.foundation.precision.precision(target.dtype):
        value, score = target.value_and_score(np.asarray(points, target.dtype), target.batch())
    return np.asarray(value), np.asarray(score)


@pytest.mark.few(1)
@NARROW
@pytest.mark.parametrize(
    ("backend", "dtype", "wrap"),
    [
        ("jax", "float64", pytensor.wrap_jax),
        ("jax", "float32", vi.wrap_jax),
        ("pytensor", "float64", vi.wrap_jax),
        ("pytensor", "float32", pytensor.wrap_jax),
    ],
)
def test_value_and_gradient_are_those_of_the_same_model_in_pytensor(backend, dtype, wrap, rng):
    points = rng.normal(size=(4, 2))
    value, score = value_and_score(
        from_pymc(model_of(wrap(normal)), backend=backend, dtype=dtype), points
    )
    expected = value_and_score(from_pymc(reference_model(), backend="jax"), points)
    assert value.dtype == score.dtype == dtype
    # a sum of 4 rounded squares, whose terms are no larger than the largest entry
    tolerance = 20 * np.finfo(dtype).eps * np.abs(expected[1]).max()
    np.testing.assert_allclose(value, expected[0], rtol=0, atol=tolerance)
    np.testing.assert_allclose(score, expected[1], rtol=0, atol=tolerance)


def counted(function, calls):
    def counting(*args, **kwargs):
        jax.debug.callback(lambda: calls.append(1))
        return function(*args, **kwargs)

    return counting


@NARROW
def test_one_call_a_step_on_the_pytensor_backend():
    calls = []
    model = model_of(pytensor.wrap_jax(counted(normal, calls)))
    target = from_pymc(model, backend="pytensor")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = len(calls)
        value_and_score(target, np.zeros((7, 2)))
        jax.effects_barrier()
        assert len(calls) - before == 7
        before = len(calls)
        vi.fit(
            10,
            method="advi",
            model=model,
            backend="pytensor",
            inf_kwargs={"warm_start": False},
            **SETTINGS,
        )
        jax.effects_barrier()
        # the check that the start is finite, that ten draws around it are, and the steps
        assert len(calls) - before == 1 + 10 + 10


def test_the_value_alone_is_not_differentiated(wrap_jax):
    x = pt.vector("x", shape=(3,))
    (value,) = with_jax_ops([wrap_jax(lambda x: jnp.sum(x**2))(x)])
    gradient = pt.grad(value, x)

    def functions(outputs):
        compiled = pytensor.function(
            [x], outputs, mode=pytensor.compile.mode.Mode("py", "fast_run")
        )
        return [
            type(node.op.function)
            for node in compiled.maker.fgraph.toposort()
            if isinstance(node.op, JaxOp)
        ]

    assert ValueAndGradient not in functions([value])
    assert functions([value, gradient]) == functions([gradient]) == [ValueAndGradient]


def test_second_derivatives(wrap_jax):
    """Those of sum x^3 are 6 x."""
    x = pt.vector("x", shape=(3,))
    (value,) = with_jax_ops([wrap_jax(lambda x: jnp.sum(x**3))(x)])
    second = pt.grad(pt.grad(value, x).sum(), x)
    at = np.array([1.0, -2.0, 0.5])
    np.testing.assert_allclose(second.eval({x: at}, mode="FAST_COMPILE"), 6 * at, rtol=1e-14)


def several(params):
    return {
        "twice": 2.0 * params["x"],
        "rest": (params["x"].sum(), jnp.argmax(params["x"])),
        "static": "kept",
    }


@pytest.mark.few(1)
@NARROW
@pytest.mark.parametrize(("backend", "dtype"), [("jax", "float64"), ("pytensor", "float32")])
@pytest.mark.slow
def test_several_outputs_and_many_draws(backend, dtype):
    with pm.Model() as model:
        x = pm.Normal("x", shape=3)
        outputs = pytensor.wrap_jax(several)({"x": x})
        assert outputs["static"] == "kept"
        twice = pm.Deterministic("twice", outputs["twice"])
        total, largest = (
            pm.Deterministic(name, v)
            for name, v in zip(("total", "largest"), outputs["rest"], strict=True)
        )
        pm.Normal("y", twice.sum() + total, 1.0, observed=6.0)
    approx = vi.fit(20, method="advi", model=model, backend=backend, dtype=dtype, **SETTINGS)
    draws = approx.sample(5, random_seed=1)["posterior"].isel(chain=0)
    tolerance = 10 * np.finfo(dtype).eps
    nodes = approx.sample_node([x, twice, total, largest], size=5, random_seed=1)
    sampled = pytensor.function([], nodes, mode="FAST_COMPILE")()
    for at, double, sums, index in (
        sampled,
        [draws[n].values for n in ("x", "twice", "total", "largest")],
    ):
        assert at.shape == double.shape == (5, 3)
        np.testing.assert_allclose(double, 2 * at, rtol=tolerance)
        np.testing.assert_allclose(
            sums, at.sum(axis=1), rtol=0, atol=tolerance * np.abs(at).sum(axis=1).max()
        )
        np.testing.assert_array_equal(index, at.argmax(axis=1))


class Scaled:
    def __init__(self, k):
        self.k = k

    def __call__(self, x):
        return self.k * jnp.sum(x**2)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (functools.partial(lambda x, k: k * jnp.sum(x**2), k=3.0), "<lambda>"),
        (Scaled(3.0), "Scaled"),
    ],
    ids=["partial", "object"],
)
def test_what_is_called_like_a_function(function, name):
    """The gradient of 3 sum x^2 is 6 x."""
    x, at = pt.vector("x", shape=(3,)), np.array([1.0, -2.0, 0.5])
    value = vi.wrap_jax(function)(x)
    assert value.owner.op.function.label == name
    np.testing.assert_allclose(
        pt.grad(value, x).eval({x: at}, mode="FAST_COMPILE"), 6 * at, rtol=1e-14
    )


@NARROW
def test_in_code_compiled_to_jax_it_is_the_function_itself(wrap_jax):
    x = pt.vector("x", shape=(3,), dtype="float32")
    outputs = wrap_jax(several)({"x": x})
    slope = pt.grad(outputs["twice"].sum() + outputs["rest"][0], x)
    function = pytensor.function([x], [outputs["twice"], *outputs["rest"], slope], mode="JAX")
    double, total, largest, slope = function(np.array([1, 3, 2], np.float32))
    np.testing.assert_array_equal(double, [2, 6, 4])
    np.testing.assert_array_equal(slope, [3, 3, 3])
    assert (total, largest) == (6, 1)


@NARROW
@BACKENDS
def test_outputs_are_as_precise_as_inputs(backend):
    """PyTensor's wrapper found float32 because JAX's 64-bit mode was off.

    The fit is in float64 all the same.
    """
    assert not jax.config.jax_enable_x64
    likelihood = pytensor.wrap_jax(lambda x: jnp.sum(x * 1e-9 + 1.0))
    with pm.Model() as model:
        x = pm.Normal("x", shape=2)
        made = likelihood(x)
        assert made.dtype == "float32"
        pm.Potential("likelihood", made)
    value, score = value_and_score(from_pymc(model, backend=backend), np.ones((1, 2)))
    prior = -np.log(2 * np.pi) - 1.0
    np.testing.assert_allclose(value, prior + 2.0 + 2e-9, rtol=1e-14)
    np.testing.assert_allclose(score, -1.0 + 1e-9, rtol=1e-14)


@pytest.mark.few(2)
@NARROW
@BACKENDS
@DTYPES
def test_arrays_that_jax_met_in_another_precision(backend, dtype):
    """JAX 0.12 remembers a NumPy array in the precision in which it met it first, and stumbles
    in another one.
    """
    data = Y.copy()

    def likelihood(x):
        return -0.5 * jnp.sum((data - x) ** 2)

    with pm.Model() as model:
        pm.Potential(
            "likelihood", pytensor.wrap_jax(likelihood)(pm.Normal("x"))
        )  # meets it in float32
    target = from_pymc(model, backend=backend, dtype=dtype)
    _, score = value_and_score(target, np.ones((1, 1)))
    np.testing.assert_allclose(score, [[data.sum() - 5.0]], rtol=10 * np.finfo(dtype).eps)


def model_of_an_array():
    """A model whose JAX function closes over an array, which JAX keeps as it met it first."""
    data = Y.copy()
    with pm.Model() as model:
        x = pm.Normal("x", 0.0, 2.0)
        pm.Potential("likelihood", pytensor.wrap_jax(lambda x: -0.5 * jnp.sum((data - x) ** 2))(x))
    return model


@NARROW
@pytest.mark.slow
@pytest.mark.parametrize("method", ["advi", "laplace", "pathfinder", "svgd"])
def test_fits_of_one_model_may_alternate_precisions(method):
    model = model_of_an_array()
    means = [
        vi.fit(2, method=method, model=model, backend="jax", dtype=dtype, **SETTINGS).mean.eval(
            mode="FAST_COMPILE"
        )
        for dtype in ("float64", "float32") * 2
    ]
    assert [mean.dtype.name for mean in means] == ["float64", "float32"] * 2
    np.testing.assert_array_equal(means[:2], means[2:])


@NARROW
@pytest.mark.slow
@pytest.mark.parametrize(
    "use",
    [
        lambda approx: approx.diagnose(random_seed=1).verdict,
        lambda approx: approx.cov_lr().values.tolist(),
        lambda approx: (
            approx.sample_mcmc(10, tune=10, chains=2, random_seed=1)["posterior"]["x"].shape
        ),
    ],
    ids=["diagnose", "cov_lr", "chains"],
)
def test_results_after_fits_in_two_precisions(use):
    model = model_of_an_array()
    narrow = vi.fit(2, method="advi", model=model, backend="jax", dtype="float32", **SETTINGS)
    first = use(narrow)
    wide = vi.fit(2, method="advi", model=model, backend="jax", dtype="float64", **SETTINGS)
    use(wide)
    assert use(narrow) == first


@NARROW
@BACKENDS
def test_data_may_change(backend):
    with pm.Model() as model:
        data = pm.Data("data", Y)
        mean = pm.Normal("mean", 0, 100)
        pm.Potential(
            "likelihood", pytensor.wrap_jax(lambda m, y: -0.5 * jnp.sum((y - m) ** 2))(mean, data)
        )
    for values in (Y, Y[:2] + 5.0):
        pm.set_data({"data": values}, model=model)
        _, score = value_and_score(from_pymc(model, backend=backend), np.zeros((1, 1)))
        np.testing.assert_allclose(score, [[values.sum()]], rtol=1e-14)


@NARROW
def test_blockwise():
    """A function that PyTensor was asked to vectorise.

    The gradient of sum_i |x_i|^4 is 4 |x_i|^2 x_i.
    """
    x = pt.matrix("x", shape=(4, 3))
    squares = pt.vectorize(pytensor.wrap_jax(lambda x: jnp.sum(x**2)), "(a)->()")(x)
    (value,) = with_jax_ops([(squares**2).sum()])
    at = np.arange(12.0).reshape(4, 3) / 10
    expected = 4 * (at**2).sum(axis=1, keepdims=True) * at
    wide = [x], [pt.grad(value, x)]
    for inputs, outputs in (wide, to_float32(*wide)):
        dtype = inputs[0].type.dtype
        score = pytensor.function(inputs, outputs, mode="FAST_COMPILE")(at.astype(dtype))[0]
        assert score.dtype == dtype
        np.testing.assert_allclose(score, expected, rtol=20 * np.finfo(dtype).eps)


@pytest.mark.slow
def test_predictions_by_pymc():
    """PyMC's own functions loop over draws; nothing is lost there."""
    with pm.Model() as model:
        x = pm.Normal("x", shape=3)
        pm.Normal("y", vi.wrap_jax(several)({"x": x})["twice"], 1e-6, observed=np.zeros(3))
    approx = vi.fit(5, method="advi", model=model, **SETTINGS)
    posterior = approx.sample(4, random_seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no word from numba
        predicted = pm.sample_posterior_predictive(
            posterior, model=model, progressbar=False, random_seed=1
        )
    np.testing.assert_allclose(
        predicted.posterior_predictive["y"], 2 * posterior["posterior"]["x"], atol=1e-5
    )


# ---- operations written by hand ------------------------------------------------------------------


def log_density(x):
    return -0.5 * jnp.sum((x - 1.0) ** 2)


VALUE_AND_GRAD = jax.jit(jax.value_and_grad(log_density))


class Gradient(Op):
    def make_node(self, x):
        return Apply(self, [x], [x.type()])

    def perform(self, node, inputs, outputs):
        outputs[0][0] = np.asarray(VALUE_AND_GRAD(inputs[0])[1], node.outputs[0].dtype)


class WithSecondOp(Op):
    """Its gradient is another operation; `grad`, as older code has it."""

    def make_node(self, x):
        return Apply(self, [x], [pt.dscalar()])

    def perform(self, node, inputs, outputs):
        outputs[0][0] = np.asarray(VALUE_AND_GRAD(inputs[0])[0], node.outputs[0].dtype)

    def grad(self, inputs, cotangents):
        return [cotangents[0] * Gradient()(inputs[0])]


class ValueWithGradient(Op):
    default_output = 0

    def make_node(self, x):
        return Apply(self, [x], [pt.dscalar(), x.type()])

    def perform(self, node, inputs, outputs):
        for storage, output, value in zip(
            outputs, node.outputs, VALUE_AND_GRAD(inputs[0]), strict=True
        ):
            storage[0] = np.asarray(value, output.dtype)

    def pullback(self, inputs, outputs, cotangents):
        return [cotangents[0] * outputs[1]]


class Registered(ValueWithGradient):
    pass


@jax_funcify.register(Registered)
def _(op, **_):
    return jax.value_and_grad(log_density)


class WithoutGradient(Op):
    make_node = WithSecondOp.make_node
    perform = WithSecondOp.perform


class UsesNumPy(ValueWithGradient):
    pass


@jax_funcify.register(UsesNumPy)
def _(op, **_):
    return lambda x: (-0.5 * np.sum(np.asarray(x) ** 2), x)


def by_hand(op):
    with pm.Model() as model:
        pm.Potential("likelihood", op()(pm.Normal("x", shape=3)))
    return model


@pytest.mark.filterwarnings("ignore:WithSecondOp should implement:FutureWarning")
@pytest.mark.filterwarnings("ignore:Numba will use object mode")
@pytest.mark.parametrize("op", [WithSecondOp, ValueWithGradient, Registered])
def test_operations_written_by_hand(op, caplog):
    with caplog.at_level("INFO", "vi"):
        target = from_pymc(by_hand(op))
    assert target.backend == ("jax" if op is Registered else "pytensor")
    if op is not Registered:
        assert (
            "Backend pytensor, because JAX cannot evaluate the model: no JAX conversion for "
            f"{op.__name__}" in (caplog.text)
        )
    at = np.array([[0.0, 1.0, 2.5]])
    value, score = value_and_score(target, at)
    # their own JAX code runs in the user's float32 on the host: nothing of it is the library's
    np.testing.assert_allclose(score, (1.0 - at) - at, rtol=1e-6)
    np.testing.assert_allclose(
        value,
        -0.5 * ((at - 1) ** 2).sum() - 0.5 * (at**2).sum() - 1.5 * np.log(2 * np.pi),
        rtol=1e-6,
    )


# ---- bad input -----------------------------------------------------------------------------------


def test_an_operation_without_a_gradient_is_named():
    with pytest.raises(
        NotImplementedError, match=r"WithoutGradient has none. Give the Op a method `pullback"
    ):
        from_pymc(by_hand(WithoutGradient), backend="pytensor")


def test_the_log_says_what_jax_could_not_trace(caplog):
    with caplog.at_level("INFO", "vi"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Numba will use object mode")
        assert from_pymc(by_hand(UsesNumPy)).backend == "pytensor"
    assert "use jax.numpy, jax.scipy or another function of JAX in its place" in caplog.text
    with pytest.raises(ValueError, match=r"use jax\.numpy"):
        from_pymc(by_hand(UsesNumPy), backend="jax")


def kept(x, _store=[]):  # noqa: B006
    _store.append(x * 1.0)
    return _store[0].sum()


@pytest.mark.parametrize(
    ("function", "cure"),
    [
        (lambda x: np.sum(np.asarray(x)), r"use jax\.numpy"),
        (lambda x: float(x[0]) * x, r"x\.astype\(float\)"),
        (lambda x: x if x[0] > 0 else -x, r"jnp\.where or jax\.lax\.cond"),
        (lambda x: x[x > 0], r"jnp\.where\(condition"),
        (lambda x: jnp.arange(x[0]), "static"),
    ],
    ids=["numpy", "float", "if", "mask", "length"],
)
def test_what_cannot_be_traced_is_said_plainly(function, cure):
    with pytest.raises(
        TypeError, match=rf"The JAX function '<lambda>' cannot be wrapped: .*{cure}"
    ):
        vi.wrap_jax(function)(pt.vector("x", shape=(3,)))


def test_a_leaked_value_is_said_plainly():
    x = pt.vector("x", shape=(3,))
    with pytest.raises(TypeError, match=r"kept outside of the function .* return it instead"):
        vi.wrap_jax(kept)(x).eval({x: np.ones(3)}, mode="FAST_COMPILE")


@NARROW
def test_whole_numbers_are_refused(wrap_jax):
    with pm.Model() as model:
        x = pm.Normal("x", shape=3)
        pm.Potential("count", wrap_jax(lambda x: jnp.sum(x > 0))(x))
    with pytest.raises(
        TypeError, match=r"term 'count' of type int\d\d, made by the JAX function '<lambda>'"
    ):
        vi.fit(5, method="advi", model=model, **SETTINGS)


@NARROW
def test_nan_is_refused(wrap_jax):
    with pm.Model() as model:
        x = pm.Normal("x", shape=3)
        pm.Potential("root", wrap_jax(lambda x: jnp.sum(jnp.log(x - 1.0)))(x))
    with pytest.raises(
        ValueError, match=r"not finite at the start. Terms that are not finite: root \(nan\)"
    ):
        vi.fit(5, method="advi", model=model, **SETTINGS)


def test_what_is_wrapped_must_be_a_function():
    with pytest.raises(TypeError, match="got float"):
        vi.wrap_jax(1.0)
