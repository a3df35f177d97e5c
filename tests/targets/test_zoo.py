"""The contract of the model zoo: value, gradient and variables agree on every backend and in
both precisions.
"""

import re
from contextlib import contextmanager

import jax
import numpy as np
import pytensor
import pytest
import zoo
from pytensor.compile.mode import Mode

import vi
import vi.targets.backends.pytensor_target
from vi.foundation.precision import precision
from vi.graphs.interpret import SPLIT
from vi.graphs.to_float32 import PrecisionError
from vi.targets import from_pymc

DOUBLE, SINGLE = np.dtype("float64"), np.dtype("float32")
MODELS = [entry for entry in zoo.entries() if entry.refused is None]

# Numba takes seconds for each model: in the default run it sees these, chosen to be quick and
# unlike each other.
NUMBA = {
    "black_box",
    "custom_transform",
    "dims_potential",
    "eight_schools",
    "latent_per_row",
    "length_of_dim",
    "many_shapes",
    "missing_nan",
    "multivariate_ordered",
    "shared_index",
    "sparse_constant",
    "weibull_survival",
}
JAX_SINGLE = {
    "ar",
    "chained",
    "dims_regression",
    "dirichlet",
    "eight_schools",
    "gp_marginal_matern52",
    "integer_data",
    "large_index",
    "largest_and_smallest",
    "missing_nan",
    "mv_normal",
    "negative_binomial",
    "poisson",
    "scan_moving_average",
    "skew_normal",
    "zero_sum_normal",
}
PYTENSOR_SINGLE = {
    "circular",
    "eight_schools",
    "gamma",
    "interval",
    "large_index",
    "logistic_regression",
    "missing_nan",
    "nested",
    "poisson",
    "varying_intercepts",
}
DOUBLE_QUICK = {
    *NUMBA,
    *JAX_SINGLE,
    *PYTENSOR_SINGLE,
    "censored_normal",
    "data_and_coords",
    "euler_maruyama",
    "gp_marginal_kron",
    "hsgp",
    "jax_function",
    "lkj_cholesky_cov",
    "matrix_decompositions",
    "missing_multivariate",
    "normal_mixture",
    "largest_and_smallest",
    "ordered_logistic",
    "regression_mixture",
    "scan_hidden_markov",
    "truncated_gamma",
    "von_mises",
    "zero_inflated_poisson",
}
INTERPRETED = Mode(linker="py", optimizer="fast_compile")
# Python's elementwise loop takes at most 32 operands, which fused ones exceed.
REWRITTEN_INTERPRETED = Mode(linker="py", optimizer="fast_run").excluding("fusion").register(SPLIT)
# A kernel matrix K of n points with jitter 1e-5 has condition number up to n / 1e-5 = 1e6, so that
# float32 leaves 6e-8 * 1e6 = 6e-2 in the worst case; measured: 2e-3.
ILL_CONDITIONED = {"gp_latent": 1e-2, "student_t_process": 1e-2}


def models(*quick, gap=None, without=None):
    """The zoo's models with a gap, or without some.

    Slow unless among the quick ones (none given: all are quick).
    """
    chosen = [entry for entry in MODELS if (gap is None or gap in entry.gaps)]
    chosen = [entry for entry in chosen if not set(without or ()) & set(entry.gaps)]
    slow = {entry.name for entry in chosen} - set(quick) if quick else set()
    return pytest.mark.parametrize(
        "entry",
        [
            pytest.param(e, id=e.name, marks=[pytest.mark.slow] if e.name in slow else [])
            for e in chosen
        ],
    )


class Reference:
    """PyTensor's interpreter on the model's own variables.

    It shares neither the flat vector nor the lifted data nor a compiler with the targets.
    """

    def __init__(self, model, layout):
        wanted = [*model.free_RVs, *model.deterministics]
        outputs = [model.logp(), *model.replace_rvs_by_values(wanted)]
        self.names = [variable.name for variable in wanted]
        self.inputs, self.layout = model.value_vars, layout
        with pytensor.config.change_flags(mode="FAST_COMPILE"):  # for the inner graphs of scans
            self.function = pytensor.function(
                self.inputs, outputs, mode=INTERPRETED, on_unused_input="ignore"
            )

    def __call__(self, z):
        values = self.layout.unflatten(z)
        with precision(DOUBLE):  # one model calls JAX from the interpreter
            log_prob, *rest = self.function(
                *(np.asarray(values[v.name], v.dtype) for v in self.inputs)
            )
        return float(log_prob), dict(zip(self.names, rest, strict=True))

    def slope(self, z, direction, step=1e-5):
        """Central difference of log p along a direction."""
        return (self(z + step * direction)[0] - self(z - step * direction)[0]) / (2.0 * step)


def near_start(model, target, rng):
    """The initial point, and two points with each entry less than 0.1 away, inside the support
    of every model.
    """
    start = target.layout.flatten(model.initial_point(), DOUBLE)
    return start + np.array([[0.0], [0.1], [0.1]]) * rng.uniform(-1.0, 1.0, size=(3, target.dim))


def assert_same_values(values, expected):
    # PyTensor folds logs of small integer constants in float32: 1e-9 was measured.
    np.testing.assert_allclose(values, expected, rtol=1e-8, atol=1e-8)


def assert_slopes(scores, directions, expected, tolerance):
    """Directional derivatives agree, relative to the sum of their terms' sizes: the terms may
    cancel.
    """
    terms = np.abs(scores * directions).sum(axis=1) + 1.0
    np.testing.assert_array_less(
        np.abs((scores * directions).sum(axis=1) - expected), tolerance * terms
    )


def assert_same_variables(variables, expected):
    """Names, shapes, dtypes and values of variables and deterministics.

    Rounding of a few operations, 1e-10 at most.
    """
    assert set(variables) == set(expected[0])
    for name, values in variables.items():
        reference = np.stack([np.asarray(one[name]) for one in expected])
        assert values.shape == reference.shape, name
        assert values.dtype == reference.dtype, name
        np.testing.assert_allclose(values, reference, rtol=1e-10, atol=1e-10, err_msg=name)


@pytest.mark.few(2)
@models(*DOUBLE_QUICK, without=["jax"])
def test_jax(entry, rng):
    model = entry.build()
    target = from_pymc(model, backend="jax")
    points = near_start(model, target, rng)
    directions = rng.standard_normal(points.shape)
    reference = Reference(model, target.layout)
    expected, variables = zip(*map(reference, points), strict=True)
    assert np.all(np.isfinite(expected)), "the zoo's models are to be finite near their start"
    batch = target.batch()
    with precision(DOUBLE):
        forward = jax.vmap(
            lambda z, v: jax.jvp(lambda x: target.log_density(x, batch), (z,), (v,))[1]
        )
        both = jax.jit(
            lambda z, v: (*target.value_and_score(z, batch), forward(z, v))
        )  # one compilation is quicker
        values, scores, slopes = map(np.asarray, both(points, directions))
        one = jax.jit(target.value_and_score)
        single = [[np.asarray(a)[0] for a in one(z[None], batch)] for z in points]

    assert_same_values(values, expected)
    assert_same_values(target.log_prob(points), expected)
    # One call for all points, and one for each in the compiled form that runs, are the same sums in
    # another order.
    np.testing.assert_allclose(values, [value for value, _ in single], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(
        scores, [score for _, score in single], rtol=1e-10, atol=1e-10 * np.abs(scores).max()
    )
    # 1e-16 times the condition number of a matrix in the model, below 1e7.
    assert_slopes(scores, directions, slopes, 1e-9)
    # Away from kinks, which some models have at their start. h^2 f'''/6 + 1e-16 f / h, h = 1e-5,
    # f''' and f below 1e4.
    differences = [reference.slope(z, v) for z, v in zip(points[1:], directions[1:], strict=True)]
    assert_slopes(scores[1:], directions[1:], differences, 1e-6)
    assert_same_variables(target.constrain(points), variables)


def operation(reason):
    """The name of the operation with which the reason for a gap begins, as a regular expression."""
    return rf"\b{re.escape(reason.partition(':')[0])}\b"


@pytest.mark.few(3)
@models(gap="jax")
def test_gap_in_jax(entry, monkeypatch):
    """Refused under ``"jax"``, and another backend under ``"auto"``: both name the operation."""
    model = entry.build()
    with pytest.raises(ValueError, match=operation(entry.gaps["jax"])):
        from_pymc(model, backend="jax")
    monkeypatch.setattr(
        vi.targets.backends.pytensor_target, "_compile", lambda inputs, outputs: None
    )  # numba takes seconds
    with failing(entry.gaps.get("pytensor")):
        target = from_pymc(model, backend="auto")
        assert target.backend == "pytensor"


@contextmanager
def failing(reason):
    """The block must fail with the operation that the reason names, if there is a reason."""
    if reason is None:
        yield
    else:
        with pytest.raises(NotImplementedError, match=operation(reason)):
            yield


@models(gap="pytensor")
def test_gap_in_pytensor(entry):
    with failing(entry.gaps["pytensor"]):
        from_pymc(entry.build(), backend="pytensor")


@pytest.mark.few(2)
@models(*NUMBA, without=["pytensor"])
def test_pytensor(entry, rng):
    """Compiled by PyTensor's default linker, against JAX where JAX can, against the interpreter
    everywhere.
    """
    model = entry.build()
    target = from_pymc(model, backend="pytensor")
    points = near_start(model, target, rng)
    reference = Reference(model, target.layout)
    expected, variables = zip(*map(reference, points), strict=True)
    with precision(DOUBLE):  # as the loop calls it
        values, scores = target.value_and_score(points, target.batch())
    assert_same_values(values, expected)
    assert_same_values(target.log_prob(points), expected)
    assert_same_variables(target.constrain(points), variables)
    if "jax" in entry.gaps:
        directions = rng.standard_normal(points.shape)
        differences = [
            reference.slope(z, v) for z, v in zip(points[1:], directions[1:], strict=True)
        ]
        assert_slopes(scores[1:], directions[1:], differences, 1e-6)  # as in test_jax
    else:
        other = from_pymc(model, backend="jax")
        with precision(DOUBLE):
            _, theirs = map(np.asarray, jax.jit(other.value_and_score)(points, other.batch()))
        # At the start some models have a kink, where the gradient is a matter of convention.
        np.testing.assert_allclose(
            scores[1:], theirs[1:], rtol=1e-8, atol=1e-8 * np.abs(theirs).max()
        )


def assert_single_precision(entry, model, target, values, scores, points):
    """float32 results within 1e-4 of the interpreter's float64 ones: 6e-8 times a thousand
    operations.
    """
    tolerance = ILL_CONDITIONED.get(entry.name, 1e-4)
    reference = Reference(model, target.layout)
    assert values.dtype == scores.dtype == SINGLE
    expected = np.array([reference(z)[0] for z in points])
    np.testing.assert_allclose(values, expected, rtol=tolerance, atol=tolerance)
    directions = np.sign(scores[1:].astype(DOUBLE))
    differences = [reference.slope(z, v) for z, v in zip(points[1:], directions, strict=True)]
    assert_slopes(scores[1:].astype(DOUBLE), directions, differences, tolerance)


@pytest.mark.few(2)
@models(*JAX_SINGLE, without=["jax"])
def test_jax_float32(entry, rng):
    model = entry.build()
    target = from_pymc(model, backend="jax", dtype="float32")
    points = near_start(model, target, rng).astype(SINGLE).astype(DOUBLE)
    with precision(SINGLE):
        values, scores = map(
            np.asarray, jax.jit(target.value_and_score)(points.astype(SINGLE), target.batch())
        )
    assert_single_precision(entry, model, target, values, scores, points)
    for name, variable in target.constrain(points).items():
        assert variable.dtype != DOUBLE, name


def doubles(graph):
    """Operations of a compiled graph, and of the graphs inside it, that read or write float64."""
    found = []
    for node in graph.toposort():
        if any(getattr(v.type, "dtype", None) == "float64" for v in [*node.inputs, *node.outputs]):
            found.append(str(node.op))
        inner = getattr(node.op, "fgraph", None) or getattr(
            getattr(node.op, "scalar_op", None), "fgraph", None
        )
        found += doubles(inner) if inner is not None else []
    return found


def check_pytensor_float32(entry, rng):
    model = entry.build()
    target = from_pymc(model, backend="pytensor", dtype="float32")
    assert doubles(target._value_and_score.maker.fgraph) == []
    points = near_start(model, target, rng).astype(SINGLE).astype(DOUBLE)
    values, scores = target.value_and_score(points.astype(SINGLE), target.batch())
    assert_single_precision(entry, model, target, values, scores, points)


@pytest.mark.few(2)
@models(*PYTENSOR_SINGLE, without=["pytensor", "pytensor-float32"])
def test_pytensor_float32(entry, rng):
    """Every model's graph in float32, rewritten as for a compiler, but interpreted."""
    with pytensor.config.change_flags(mode=REWRITTEN_INTERPRETED):
        check_pytensor_float32(entry, rng)


@pytest.mark.few(1)
@pytest.mark.parametrize("name", ["eight_schools", "poisson"])
def test_pytensor_float32_compiled(name, rng):
    check_pytensor_float32(next(entry for entry in MODELS if entry.name == name), rng)


@models(gap="pytensor-float32")
def test_gap_in_pytensor_float32(entry, monkeypatch):
    monkeypatch.setattr(
        vi.targets.backends.pytensor_target, "_compile", lambda inputs, outputs: None
    )
    with pytest.raises(PrecisionError, match=operation(entry.gaps["pytensor-float32"])):
        from_pymc(entry.build(), backend="pytensor", dtype="float32")


@pytest.mark.parametrize(
    "entry", [pytest.param(e, id=e.name) for e in zoo.entries() if e.refused is not None]
)
def test_refused(entry):
    with pytest.raises((ValueError, NotImplementedError), match=entry.refused):
        vi.ADVI(model=entry.build())
