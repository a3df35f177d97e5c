"""JAX log densities as models: densities against hand-written ones, batches, files, names,
refusals.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytest
from jax.scipy.stats import norm
from methods import fits_any
from problems import noise

import vi
from vi.foundation.precision import precision

BACKENDS = ["jax", "pytensor"]
DTYPES = ["float64", "float32"]
EVALUATIONS = [  # the last takes PyTensor long to compile
    ("jax", "float64"),
    ("jax", "float32"),
    ("pytensor", "float64"),
    pytest.param("pytensor", "float32", marks=pytest.mark.slow),
]
A = np.array([[2.0, 0.6], [0.6, 1.0]])


def quiet(*arguments, **options):
    return vi.fit(*arguments, **{"progressbar": False, "random_seed": 1} | options)


def normal(x):
    """A normal log density with precision A around (1, -1)."""
    return -0.5 * (x - jnp.array([1.0, -1.0])) @ A @ (x - jnp.array([1.0, -1.0]))


def compiled(target, function):
    return jax.jit(function) if target.backend == "jax" else function


def start_at_zero(dtype="float64"):
    return np.zeros(2, dtype)


# ---- densities -----------------------------------------------------------------------------------

INIT = {
    "plain": np.zeros(2),
    "s": np.float64(1.5),
    "p": np.array([0.2, 0.6]),
    "w": np.array([0.2, 0.5, 0.3]),
}
INIT |= {"o": np.array([-1.0, 0.0, 2.0]), "b": np.array([[1.5, 2.5]])}
CONSTRAINTS = {
    "s": "positive",
    "p": "unit_interval",
    "w": "simplex",
    "o": "ordered",
    "b": ("bounded", 1, 4),
}


def density(p):
    total = (
        jnp.sum(p["plain"] ** 2)
        + p["s"] * jnp.sum(p["p"])
        + jnp.sum(p["w"] ** 3)
        + p["o"][0] * p["o"][2]
    )
    return -total - jnp.sum(jnp.sin(p["b"]))


def simplex(z):
    return jax.nn.softmax(jnp.concatenate([z, -jnp.sum(z, keepdims=True)]))


BY_HAND = {
    "plain": (2, lambda z: z),
    "s": (1, lambda z: jnp.exp(z[0])),
    "p": (2, jax.nn.sigmoid),
    "w": (2, simplex),
    "o": (3, lambda z: jnp.cumsum(jnp.concatenate([z[:1], jnp.exp(z[1:])]))),
    "b": (2, lambda z: (1 + 3 * jax.nn.sigmoid(z))[None]),
}


@jax.jit
def by_hand(z):
    """The density of the constrained values, and the log determinant of the Jacobian of the free
    ones among them.
    """
    values, log_det, at = {}, 0.0, 0
    for name in sorted(BY_HAND):
        size, constrain = BY_HAND[name]
        piece, at = z[at : at + size], at + size
        values[name] = constrain(piece)
        jacobian = jax.jacfwd(lambda x, f=constrain, n=size: jnp.ravel(f(x))[:n])(piece)
        log_det += jnp.linalg.slogdet(jacobian)[1]
    return density(values) + log_det


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "dtype"), EVALUATIONS)
def test_log_p_is_the_function_and_the_log_jacobian(backend, dtype, rng):
    model = vi.targets.from_function(
        density, jax.tree.map(lambda leaf: np.asarray(leaf, dtype), INIT), constraints=CONSTRAINTS
    )
    target = vi.targets.from_pymc(model, backend=backend, dtype=dtype)
    points = rng.normal(size=(4, target.dim)).astype(dtype)
    with precision(np.dtype(dtype)):
        expected, scores = jax.jit(jax.vmap(jax.value_and_grad(by_hand)))(points)
        values, got = compiled(target, target.value_and_score)(points, target.batch())
    tolerance = {"rtol": 1e-9, "atol": 1e-9} if dtype == "float64" else {"rtol": 2e-4, "atol": 2e-4}
    np.testing.assert_allclose(values, expected, **tolerance)
    np.testing.assert_allclose(got, scores, **tolerance)
    np.testing.assert_allclose(target.log_prob(points), expected, **tolerance)


def test_published_numbers_of_the_logistic_regression():
    random = np.random.RandomState(10009)
    true_beta = random.randn(10).astype(np.float32)
    X = random.randn(100, 10).astype(np.float32)
    y = (random.rand(100) < 1 / (1 + np.exp(-X @ true_beta))).astype(np.int32)
    one, _, _, ten = (
        random.randn(10),
        random.randn(10, 10),
        random.randn(10, 10),
        random.randn(10, 10),
    )

    def log_joint(beta):
        return jnp.sum(norm.logpdf(beta)) - jnp.sum(
            jnp.log(1 + jnp.exp(-(2 * y - 1) * jnp.dot(X, beta)))
        )

    target = vi.targets.from_pymc(
        vi.targets.from_function(log_joint, jnp.zeros(10)), dtype="float32"
    )
    assert target.log_prob(one) == pytest.approx(-213.2356, rel=1e-6)
    np.testing.assert_allclose(
        target.log_prob(ten)[:3], [-147.84033, -207.02205, -109.26075], rtol=1e-6
    )


# ---- names and pytrees ---------------------------------------------------------------------------


class Pair(NamedTuple):
    left: np.ndarray
    right: np.ndarray


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("init", "names"),
    [
        (np.zeros(2), ["x"]),
        ({"layer": {"w": np.zeros((2, 3)), "b": np.zeros(3)}}, ["layer.b", "layer.w"]),
        ({"layers": [np.zeros(1), np.zeros(2)]}, ["layers.0", "layers.1"]),
        (Pair(np.zeros(()), np.zeros(2)), ["left", "right"]),
        ({"net/~/w": np.zeros(2)}, ["net.~.w"]),
    ],
)
def test_names_are_paths_and_draws_go_back(init, names):
    model = vi.targets.from_function(
        lambda p: -sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(p)), init
    )
    assert [variable.name for variable in model.free_RVs] == names
    draws = vi.MeanField(model=model, random_seed=1).sample(7, log_prob=False)
    assert sorted(draws["posterior"]) == names
    tree = model.pytree(draws)
    assert jax.tree.structure(tree) == jax.tree.structure(init)
    assert jax.tree.map(np.shape, tree) == jax.tree.map(lambda leaf: (1, 7, *leaf.shape), init)
    with pytest.raises(KeyError, match="not draws of this model"):
        model.pytree({})


def test_the_start_is_init_and_constraints_may_be_prefixes():
    init = {"a": {"s": np.array([1.0, 2.0]), "t": np.array(3.0)}, "b": np.array(-1.0)}
    models = [
        vi.targets.from_function(
            lambda p: -(p["b"] ** 2) - jnp.sum(p["a"]["s"]) - p["a"]["t"], init, constraints=given
        )
        for given in (
            {"a": "positive"},
            {"a": {"s": "positive", "t": "positive"}},
            {"a.s": "positive", "a.t": "positive"},
        )
    ]
    points = [vi.MeanField(model=model).layout.slots for model in models]
    assert points[0] == points[1] == points[2]
    assert [slot.transform for slot in points[0]] == ["log", "log", None]
    draws = vi.MeanField(
        model=models[0], start_sigma=dict.fromkeys(("a.s", "a.t", "b"), 1e-09)
    ).sample(1)["posterior"]
    np.testing.assert_allclose(draws["a.s"][0, 0], [1.0, 2.0], rtol=1e-6)
    assert float(draws["b"][0, 0]) == pytest.approx(-1.0)


def test_a_model_in_whose_block_it_is_made_is_left_alone():
    with pm.Model() as outer:
        vi.targets.from_function(normal, start_at_zero())
    assert not outer.free_RVs


# ---- fits ----------------------------------------------------------------------------------------


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "method",
    [m for m in vi.METHODS if m != "nfvi" and fits_any(m)]
    + [pytest.param("nfvi", marks=pytest.mark.slow)],
)
def test_every_method_fits_a_density(method):
    options = {"inf_kwargs": {"n_particles": 20}} if method == "svgd" else {}
    approx = quiet(normal, 20, method, init=start_at_zero(), **options)
    assert np.all(np.isfinite(approx.hist))
    assert approx.sample(5)["posterior"]["x"].shape == (1, 5, 2)


@pytest.mark.few(1)
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_optimum_on_a_normal_density_is_exact(backend):
    """Full rank with sticking-the-landing has no noise left at the optimum: what remains is the
    way there.
    """
    approx = quiet(normal, 8000, "fullrank_advi", init=start_at_zero(), backend=backend)
    np.testing.assert_allclose(approx.mean.eval(), [1.0, -1.0], atol=1e-3)
    np.testing.assert_allclose(approx.cov.eval(), np.linalg.inv(A), atol=1e-3)


@pytest.mark.slow
def test_precision_is_that_of_init():
    for dtype in DTYPES:
        approx = quiet(normal, 5, "advi", init=start_at_zero(dtype))
        assert approx.dtype == dtype
        assert approx.sample(3)["posterior"]["x"].dtype == dtype
    assert (
        quiet(lambda p: -(p["a"] ** 2), 5, "advi", init={"a": 1.0}).dtype == jnp.asarray(1.0).dtype
    )
    with pytest.raises(ValueError, match="precision of a log density's fit is that of its init"):
        quiet(normal, method="advi", init=start_at_zero(), dtype="float32")


@pytest.mark.slow
def test_the_function_may_have_been_traced_in_single_precision():
    """JAX then keeps NumPy arrays in its closure in that type, and fails to compile it in double
    precision.
    """
    offsets = np.array([1.0, 2.0, 3.0])
    jitted = jax.jit(lambda x: -0.5 * jnp.sum((offsets - x) ** 2))
    assert jitted(jnp.float32(0.0)).dtype == np.float32
    target = vi.targets.from_pymc(vi.targets.from_function(jitted, np.float64(0.0)), backend="jax")
    assert target.log_prob(np.zeros(1)) == -7.0


@pytest.mark.slow
def test_callbacks_files_and_nodes(tmp_path):
    init = {"x": start_at_zero(), "s": np.float64(1.0)}
    model = vi.targets.from_function(
        lambda p: normal(p["x"]) - p["s"], init, constraints={"s": "positive"}
    )
    steps = []
    approx = quiet(model, 30, "advi", callbacks=[lambda approx, losses, i: steps.append(i)])
    assert steps == list(range(1, 31))
    approx.save(tmp_path / "fit.npz")
    loaded = vi.load(tmp_path / "fit.npz", model=model)
    for name in ("x", "s"):
        a, b = (
            each.sample(5, random_seed=3)["posterior"][name].values for each in (approx, loaded)
        )
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(approx.refine(10).hist, loaded.refine(10).hist)
    assert approx.sample_node(model["s"], size=4).eval().shape == (4,)
    assert approx.sample_node(model.potentials[0], size=4).eval().shape == (4,)


@pytest.mark.slow
def test_forms_of_the_call():
    expected = quiet(normal, 5, "advi", init=start_at_zero()).hist
    model = vi.targets.from_function(normal, start_at_zero())
    for approx in (
        quiet(normal, n=5, method="advi", init=start_at_zero()),
        quiet(model, 5, "advi"),
        quiet(5, "advi", model=model),
        quiet(model, method=vi.ADVI, n=5),
    ):
        np.testing.assert_array_equal(approx.hist, expected)


def test_calls_that_are_refused():
    with pytest.raises(TypeError, match="needs init="):
        quiet(normal, 5)
    with pytest.raises(TypeError, match="comes first"):
        quiet(5, init=start_at_zero())
    with pytest.raises(TypeError, match="by position"):
        quiet(normal, 5, "advi", None, init=start_at_zero())
    with pytest.raises(TypeError, match="no model="):
        quiet(normal, 5, init=start_at_zero(), model=pm.Model())
    with pytest.raises(TypeError, match="typo"):
        quiet(normal, 5, init=start_at_zero(), typo=1)


# ---- data ----------------------------------------------------------------------------------------

ROWS = {"y": np.arange(12.0), "k": np.arange(12) % 3}


def pair(mu, data):
    return -0.5 * mu**2, -0.5 * jnp.sum((data["y"] - mu * (1 + data["k"])) ** 2)


def full(mu):
    return -0.5 * mu**2, -0.5 * np.sum((ROWS["y"] - mu * (1 + ROWS["k"])) ** 2)


@pytest.mark.parametrize(
    ("backend", "dtype"),
    [EVALUATIONS[0], *(pytest.param(*e, marks=pytest.mark.slow) for e in EVALUATIONS[1:3])],
)
@pytest.mark.slow
def test_an_epoch_of_batches_averages_to_the_full_data(backend, dtype):
    """Each row comes once an epoch, so that the mean of log p and of its gradient over an epoch
    is exact.
    """
    model = vi.targets.from_function(pair, np.asarray(0.3, dtype), data=ROWS, batch_size=4)
    approx = quiet(model, 0, backend=backend)
    target, whole = approx.target(training=True), approx.target()
    point, words, values, scores = np.full((1, 1), 0.3, dtype), np.zeros(2, np.uint32), [], []
    with precision(np.dtype(dtype)):
        batch = target.batch()
        at = compiled(
            target, lambda step: target.value_and_score(point, target.at_step(batch, words, step))
        )
        for step in range(3):
            value, score = at(np.uint32(step))
            values.append(float(value[0]))
            scores.append(float(score[0, 0]))
        _, score = compiled(whole, whole.value_and_score)(point, whole.batch())
    assert len(set(values)) > 1, "the batches differ"
    rtol = 1e-12 if dtype == "float64" else 1e-5
    assert np.mean(values) == pytest.approx(sum(full(0.3)), rel=rtol)
    assert approx.logp(point)[0] == pytest.approx(sum(full(0.3)), rel=rtol)
    assert np.mean(scores) == pytest.approx(float(score[0, 0]), rel=rtol)


@pytest.mark.slow
def test_batches_have_the_posterior_of_all_rows():
    """Normal posterior: precision 1 + sum (1 + k)^2.

    Batches of half the rows at most double the variance of a gradient.
    """
    slope = 1 + ROWS["k"]
    variance = 1 / (1 + np.sum(slope**2))
    mean = variance * np.sum(slope * ROWS["y"])
    approx = quiet(pair, 10_000, "advi", init=np.float64(0.0), data=ROWS, batch_size=6)
    assert abs(approx.mean.eval()[0] - mean) < 5 * noise(10_000) * np.sqrt(2 * variance)
    assert abs(np.log(approx.std.eval()[0] / np.sqrt(variance))) < 5 * noise(10_000)


def test_without_batches_a_pair_is_summed():
    target = vi.targets.from_pymc(vi.targets.from_function(pair, np.float64(0.0), data=ROWS))
    assert target.log_prob(np.array([0.3])) == pytest.approx(sum(full(0.3)))


@pytest.mark.parametrize(
    ("fn", "options", "message"),
    [
        (lambda mu, d: sum(pair(mu, d)), {}, "returns the pair"),
        (lambda mu, d: (-(mu**2), -jnp.mean((d["y"] - mu) ** 2)), {}, "must be a sum over rows"),
        (
            lambda mu, d: (-(mu**2), -jnp.sum((d["y"] - mu * jnp.mean(d["y"])) ** 2)),
            {},
            "must be a sum over rows",
        ),
        (lambda mu, d: pair(mu, d)[::-1], {}, "changes with the rows"),
        (pair, {"batch_size": 13}, "larger than the data, which have 12"),
        (pair, {"batch_size": 2.5}, "whole number"),
        (pair, {"data": {"y": np.zeros(3), "k": np.zeros(4)}}, "have different lengths"),
        (pair, {"data": {"y": np.zeros(3), "k": np.zeros(())}}, "have different lengths"),
    ],
)
def test_batches_that_are_refused(fn, options, message):
    with pytest.raises(ValueError, match=message):
        vi.targets.from_function(fn, np.float64(0.5), **{"data": ROWS, "batch_size": 4} | options)


def test_data_that_are_refused():
    with pytest.raises(TypeError, match="batch_size=3 says"):
        vi.targets.from_function(normal, start_at_zero(), batch_size=3)
    with pytest.raises(TypeError, match="real numbers"):
        vi.targets.from_function(pair, np.float64(0.0), data={"y": np.array(["a"])})


# ---- bad input -----------------------------------------------------------------------------------

calls: list[jax.Array] = []


def leaky(x):
    calls.append(jnp.sum(x))
    return -sum(calls)


def changing(x):
    calls.append(x)
    return (jnp.sum(x), jnp.sum(x)) if len(calls) % 2 else jnp.sum(x)


BAD = {
    "shape": (lambda x: -(x**2), ValueError, r"array of shape \(2,\)"),
    "integer": (lambda x: jnp.argmax(x), TypeError, "returns int"),
    "nothing": (lambda x: None, TypeError, "is a `return` missing"),
    "three": (lambda x: (x[0], x[0], x[1]), TypeError, "a pair"),
    "dict": (lambda x: {"log_p": x[0]}, TypeError, "returns dict"),
    "nan": (lambda x: jnp.sum(jnp.log(x - 1)), ValueError, r"nan at init: x = \[0. 0.\]"),
    "infinite": (lambda x: jnp.sum(jnp.log(x)), ValueError, "-inf at init"),
    "numpy": (lambda x: np.sum(np.exp(x)), TypeError, "use jax.numpy"),
    "float": (lambda x: float(x[0]), TypeError, r"float\(\), int\(\)"),
    "if": (lambda x: x[0] if x[0] > 0 else x[1], TypeError, "use jnp.where"),
    "mask": (lambda x: jnp.sum(x[x > 0]), TypeError, "indexed by a condition"),
    "length": (lambda x: x[0] + sum(range(x[0].astype(int))), TypeError, "a shape or an index"),
    "leak": (leaky, TypeError, "kept outside of the function"),
    "structure": (changing, ValueError, "the second time"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_functions_that_are_refused(name):
    calls.clear()
    fn, kind, message = BAD[name]
    with pytest.raises(kind, match=message):
        vi.targets.from_function(fn, start_at_zero())


def test_other_errors_say_where_they_happened():
    with pytest.raises(TypeError, match="format") as caught:
        vi.targets.from_function(lambda x: print(f"{x[0]:.2f}"), start_at_zero())
    assert any("jax.debug.print" in note for note in caught.value.__notes__)
    with pytest.raises(KeyError) as other:
        vi.targets.from_function(lambda p: p["b"], {"a": start_at_zero()})
    assert any("float64[2]" in note for note in other.value.__notes__)


@pytest.mark.parametrize(
    ("init", "constraints", "kind", "message"),
    [
        (None, None, TypeError, "needs init="),
        ({}, None, TypeError, "no leaves"),
        ({"a": np.arange(3)}, None, TypeError, r"init\['a'\] has the type int.*1\.0, not 1"),
        ({"a": 1}, None, TypeError, "floating-point"),
        ({"a": "text"}, None, TypeError, "is str"),
        ({"a": np.array([np.nan])}, None, ValueError, "not finite"),
        ({"a": np.zeros(0)}, None, ValueError, "empty"),
        ({"a": {"b": np.zeros(1)}, "a.b": np.zeros(1)}, None, ValueError, "Two leaves"),
        (
            {"a": np.ones(2)},
            {"b": "positive"},
            ValueError,
            "'b', which is no leaf of init. Its leaves: a",
        ),
        (
            {"a": np.ones(2)},
            {"a": "postive"},
            ValueError,
            "'postive' is unknown; accepted are .*'positive'",
        ),
        ({"a": np.zeros(2)}, {"a": "positive"}, ValueError, "outside its constraint"),
        ({"a": np.array([0.5, 0.6])}, {"a": "simplex"}, ValueError, "outside its constraint"),
        ({"a": np.array([2.0, 1.0])}, {"a": "ordered"}, ValueError, "outside its constraint"),
        ({"a": np.array(0.5)}, {"a": "simplex"}, ValueError, "2 entries or more"),
        ({"a": np.array(5.0)}, {"a": ("bounded", 1, 4)}, ValueError, "outside its constraint"),
        ({"a": np.array(5.0)}, {"a": ("bounded", 4, 1)}, ValueError, "smaller one"),
        ({"a": np.array(5.0)}, {"a": ("bounded", None, None)}, ValueError, "bounds nothing"),
        ({"a": np.array(5.0)}, {"a": ("bounded", "x", 1)}, TypeError, "bound must be a number"),
        ({"log_density": np.zeros(2)}, None, ValueError, "name of a term"),
    ],
)
def test_starts_and_constraints_that_are_refused(init, constraints, kind, message):
    with pytest.raises(kind, match=message):
        vi.targets.from_function(
            lambda p: -sum(jnp.sum(v) for v in jax.tree.leaves(p)), init, constraints=constraints
        )


def test_what_is_no_function_is_refused():
    with pytest.raises(TypeError, match="cannot be called"):
        vi.targets.from_function(3, start_at_zero())


@pytest.mark.parametrize(
    ("fn", "message"),
    [
        (
            lambda p, d: (-0.5 * jnp.sum((d["x"] @ p) ** 2), jnp.sum(d["x"] @ p)),
            "changes with the rows",
        ),
        (
            lambda p, d: (-0.5 * jnp.sum(p**2), -0.5 * jnp.mean((d["x"] @ p) ** 2)),
            "must be a sum over rows",
        ),
    ],
)
def test_batches_are_checked_where_the_fault_shows(fn, message, rng):
    """At a start of zeros nothing depends on the rows."""
    with pytest.raises(ValueError, match=message):
        vi.targets.from_function(
            fn, np.zeros(2), data={"x": rng.normal(size=(200, 2))}, batch_size=20
        )


def test_data_that_are_not_finite_are_named():
    data = {"x": np.zeros((2, 2)), "y": np.array([1.0, np.nan])}

    def log_density(params, data):
        return -jnp.sum((params["a"] - data["y"]) ** 2) - jnp.sum(data["x"])

    with pytest.raises(ValueError, match=r"Look at the data: data\['y'\] is nan at \[1\]"):
        vi.targets.from_function(log_density, {"a": 0.0}, data=data)
