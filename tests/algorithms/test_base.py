"""What every registered algorithm declares and keeps; a new one is tested by being registered."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from seeds import seed

import vi
from vi.algorithms import ALGORITHMS, Algorithm, Gradient, Local, LocalPart, RowsOfStep, Stein
from vi.algorithms.contract import check_contract
from vi.families import MeanField, Part, Particles, PerRow, Product
from vi.foundation.precision import precision
from vi.objectives import ClosedFormEntropy
from vi.optimizers.named import name_of

FLOAT32, FLOAT64 = np.dtype("float32"), np.dtype("float64")
MEAN, SD = np.array([3.0, -4.0]), np.array([2.0, 0.5])
"""The target is a normal of two independent entries; fits start at N(0, 1)."""


@dataclasses.dataclass(frozen=True)
class Example:
    """An algorithm on the target, with the rows of its steps bound to it.

    ``rows`` are those of a step, by its number; ``weight`` is what the log density of a batch is
    multiplied by to be that of all rows; ``copies`` is how often the target is in the flat vector.
    """

    algorithm: Algorithm
    rows: Callable[[jax.Array], dict[str, RowsOfStep]] = lambda step: {}
    weight: float = 1.0
    copies: int = 1

    @property
    def short_name(self):
        return self.algorithm.short_name

    def start(self, key):
        params = self.algorithm.family.init(
            jnp.zeros(2 * self.copies), jnp.ones(2 * self.copies), jax.random.key(seed(0))
        )
        return self.algorithm.init(params, key)

    def ask(self, state, rows=None):
        return self.algorithm.ask(state, self.rows(state.step))

    def tell(self, state, question, log_prob, score, rows=None):
        return self.algorithm.tell(state, question, log_prob, score, self.rows(state.step))

    def answer(self, points):
        standard = (points - MEAN) / SD
        log_prob = jnp.sum(-0.5 * standard**2 - np.log(SD * np.sqrt(2 * np.pi)), axis=1)
        return self.weight * log_prob, -self.weight * standard / SD

    def step(self, state):
        question = self.ask(state)
        return self.tell(state, question, *self.answer(question.points))

    def with_optimizer(self, optimizer):
        """The same with another optimiser, which may belong to an inner algorithm."""
        of = self.algorithm
        own = {"optimizer": optimizer}
        if not hasattr(of, "optimizer"):
            own = {"inner": dataclasses.replace(of.inner, optimizer=optimizer)}
        return dataclasses.replace(self, algorithm=dataclasses.replace(of, **own))


USUAL = {"family": MeanField(), "optimizer": vi.adam(learning_rate=0.1), "n_draws": 8}
"""What a method hands to its algorithm, where it has such a setting; the rest are its defaults."""

ROWS = Product((Part("z", PerRow(MeanField(), 4), ((0, 4),)),))


def local() -> Example:
    """Four rows, of which each step sees the first two or the last two."""
    inner = Gradient(ROWS, optimizer=USUAL["optimizer"], n_draws=8)
    return Example(
        Local(ROWS, inner, (LocalPart("z", "z", 2),)),
        rows=lambda step: {"z": RowsOfStep(2 * (step.astype(int) % 2) + jnp.arange(2), ())},
        weight=2.0,
        copies=2,
    )


EXAMPLES: dict[str, Callable[[], Example]] = {
    "local": local,
    "gradient-closed_form_entropy": lambda: Example(
        Gradient(**USUAL, objective=ClosedFormEntropy())
    ),
    "stein-particles": lambda: Example(Stein(Particles(32), USUAL["optimizer"])),
}
"""Those of algorithms that have settings without defaults, by their name; and other variants."""


def example(name: str) -> Example:
    """The example of a registered algorithm: from its defaults, where it has any."""
    if name in EXAMPLES:
        return EXAMPLES[name]()
    parameters = inspect.signature(ALGORITHMS[name]).parameters
    lacking = [
        key
        for key, parameter in parameters.items()
        if parameter.default is parameter.empty and key not in USUAL
    ]
    assert not lacking, (
        f"The algorithm {name!r} has settings without defaults ({', '.join(lacking)}): give them "
        "defaults, or give an example of it in EXAMPLES of tests/algorithms/test_base.py."
    )
    settings = {key: value for key, value in USUAL.items() if key in parameters}
    return Example(ALGORITHMS[name](**settings))


def leaves(tree: Any) -> dict[str, np.ndarray]:
    """The arrays of a pytree by their paths, keys as their numbers."""
    if isinstance(tree, dict) and all(isinstance(a, np.ndarray) for a in tree.values()):
        return tree
    found = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        found[jax.tree_util.keystr(path)] = np.asarray(
            jax.random.key_data(leaf) if is_key else leaf
        )
    return found


def assert_same(one: Any, two: Any, rtol: float = 0.0) -> None:
    one, two = leaves(one), leaves(two)
    assert one.keys() == two.keys()
    for path, value in one.items():
        assert value.dtype == two[path].dtype, path
        np.testing.assert_allclose(value, two[path], rtol=rtol, atol=rtol, err_msg=path)


def check_settings(of: Example) -> None:
    """Text and numbers, as every file format can hold."""
    settings = of.algorithm.settings()
    assert json.loads(json.dumps(settings)) == settings
    if of.algorithm.uses_optimizer:
        assert settings["optimizer"] == name_of(USUAL["optimizer"])


def check_equality(of: Example) -> None:
    """Equal settings make equal algorithms, which share their compiled code."""
    assert dataclasses.is_dataclass(of.algorithm)
    twin = dataclasses.replace(of.algorithm)
    assert twin == of.algorithm
    assert hash(twin) == hash(of.algorithm)


def check_forms(of: Example) -> None:
    """Shapes and dtypes stay what they were; the precision is that of the parameters."""
    for dtype in (FLOAT32, FLOAT64):
        with precision(dtype):
            state = of.start(jax.random.key(seed(1)))
            check_contract(of, state, 2)
            new, loss = jax.eval_shape(of.step, state)
            report = jax.eval_shape(of.algorithm.report, new)
            points = jax.eval_shape(of.ask, state).points
        assert loss.dtype == points.dtype == dtype
        assert report.keys() == state.params.keys()
        for name, value in state.params.items():
            assert (report[name].shape, report[name].dtype) == (value.shape, dtype), name


def check_purity(of: Example) -> None:
    """Plain calls give the same twice; compiled and batched ones the same up to rounding."""
    with precision(FLOAT64):
        keys = jax.random.split(jax.random.key(seed(1)), 3)
        state = of.start(keys[0])
        before = leaves(state)
        new, loss = of.step(state)
        assert_same(state, before)
        assert_same(of.step(state), (new, loss))
        assert np.isfinite(loss)
        assert int(new.step) == int(state.step) + 1
        assert_same(new.key, state.key)
        compiled = jax.jit(lambda key: of.step(of.start(key)))
        assert_same(compiled(keys[0]), (new, loss), rtol=1e-9)
        several = jax.jit(jax.vmap(lambda key: of.step(of.start(key))))(keys)
        for i, key in enumerate(keys):
            assert_same(jax.tree.map(lambda a, i=i: a[i], several), compiled(key), rtol=1e-9)


def check_optimizer(of: Example) -> None:
    """It is declared where there is one, which alone moves the parameters."""
    has_one = hasattr(of.algorithm, "optimizer") or hasattr(
        getattr(of.algorithm, "inner", None), "optimizer"
    )
    assert of.algorithm.uses_optimizer == has_one
    if has_one:
        still = of.with_optimizer(optax.set_to_zero())
        state = still.start(jax.random.key(seed(1)))
        assert_same(still.step(state)[0].params, state.params)


def check_linearity(of: Example) -> None:
    """A gradient that is linear in log p is, at answers half way, half way too."""
    if not (of.algorithm.linear_in_log_p and of.algorithm.uses_optimizer):
        return
    of = of.with_optimizer(vi.sgd(learning_rate=1.0))
    with precision(FLOAT64):
        state = of.start(jax.random.key(seed(1)))
        question = of.ask(state)
        one = of.answer(question.points)
        two = (jnp.sin(one[0]), jnp.cos(question.points))
        middle = jax.tree.map(lambda a, b: 0.5 * (a + b), one, two)
        tell = jax.jit(lambda answer: of.tell(state, question, *answer)[0].params)
        half_way = jax.tree.map(lambda a, b: 0.5 * (a + b), tell(one), tell(two))
        assert_same(tell(middle), half_way, rtol=1e-9)


def check_loss(of: Example) -> None:
    """What is called minus the ELBO is: at the start, the divergence from the normalised target.

    Both are averages over draws, and are compared within 5 standard errors.
    """
    assert of.algorithm.loss_name
    assert of.algorithm.has_elbo == ("ELBO" in of.algorithm.loss_name)
    if not of.algorithm.has_elbo:
        return
    with precision(FLOAT64):
        family, state = of.algorithm.family, of.start(jax.random.key(0))
        keys = jax.random.split(jax.random.key(seed(3)), 2000)
        losses = jax.jit(jax.vmap(lambda key: of.step(state._replace(key=key))[1]))(keys)

        def divergence(key):
            noise = family.noise(key, state.params)
            z, log_q = family.draw_and_log_prob(state.params, noise)
            return log_q - jnp.sum(of.answer(z.reshape(-1, 2))[0]) / of.weight

        draws = jax.jit(jax.vmap(divergence))(keys)
        error = np.sqrt((np.var(losses) + np.var(draws)) / len(keys))
        assert abs(np.mean(losses) - np.mean(draws)) <= 5 * error


def check_failure(of: Example) -> None:
    """A step whose parameters are not finite is known by its loss, even of finite answers."""
    state = of.start(jax.random.key(seed(1)))
    question = of.ask(state)
    log_prob, score = of.answer(question.points)
    assert np.isfinite(of.tell(state, question, log_prob, score)[1])
    bad = [of.tell(state, question, log_prob, jnp.nan * score)]
    if of.algorithm.uses_optimizer:
        overflow = optax.GradientTransformation(
            lambda params: (),
            lambda g, state, params=None: (jax.tree.map(lambda a: a / 0, g), state),
        )
        of = of.with_optimizer(overflow)
        bad.append(of.tell(of.start(jax.random.key(seed(1))), question, log_prob, score))
        assert not all(np.isfinite(a).all() for a in bad[-1][0].params.values())
    for new, loss in bad:
        finite = all(np.isfinite(value).all() for value in new.params.values())
        assert finite or np.isnan(loss)


def divergence(mean: np.ndarray, std: np.ndarray) -> float:
    """From a normal of those moments to the target."""
    return float(np.sum(np.log(SD / std) + (std**2 + (mean - MEAN) ** 2) / (2 * SD**2) - 0.5))


def check_progress(of: Example) -> None:
    """400 steps leave at most a hundredth of the divergence of the start, which is 34.3.

    Where the optimum is reached, what is left is noise. Adam with the rate a on a gradient of
    noise s, in a coordinate of curvature c, has iterates of the variance a s / (2 c): of eight
    draws, at an sd of 0.5, s = 2 / sqrt(8), c = 4, that is 0.035 of the sd squared, half of which
    is the divergence: 0.07 for the four parameters, a fifth of what is allowed.
    """
    with precision(FLOAT64):
        state = of.start(jax.random.key(seed(1)))
        family = of.algorithm.family
        step = jax.jit(lambda s: jax.lax.fori_loop(0, 400, lambda i, s: of.step(s)[0], s))
        report = of.algorithm.report(step(state))
        mean, std = (np.asarray(f(report)).reshape(-1, 2) for f in (family.mean, family.std))
    for one_mean, one_std in zip(mean, std, strict=True):
        assert divergence(one_mean, one_std) <= 0.01 * divergence(np.zeros(2), np.ones(2))


CHECKS = [
    check_settings,
    check_equality,
    check_forms,
    check_purity,
    check_optimizer,
    check_linearity,
    check_loss,
    check_failure,
    check_progress,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@pytest.mark.parametrize("name", dict.fromkeys([*ALGORITHMS, *EXAMPLES]))
def test_contract(name, check):
    check(example(name))


def test_names():
    for name, kind in ALGORITHMS.items():
        assert kind.short_name == name
    assert {example(name).short_name for name in EXAMPLES} <= set(ALGORITHMS)


@dataclasses.dataclass(frozen=True)
class Faulty(Gradient):
    """An algorithm of which each fault is one subclass."""


@dataclasses.dataclass(frozen=True)
class Forgetful(Faulty):
    def settings(self):
        return {"objective": self.objective}


@dataclasses.dataclass(frozen=True)
class Wide(Faulty):
    def report(self, state):
        return {name: value[None] for name, value in super().report(state).items()}


@dataclasses.dataclass(frozen=True)
class Standing(Faulty):
    def tell(self, state, *arguments):
        new, loss = super().tell(state, *arguments)
        return new._replace(step=state.step), loss


@dataclasses.dataclass(frozen=True)
class Counting(Faulty):
    calls = iter(range(1, 1000))

    def tell(self, *arguments):
        new, loss = super().tell(*arguments)
        return new, loss + next(self.calls)


@dataclasses.dataclass(frozen=True)
class Undeclared(Faulty):
    uses_optimizer = False


@dataclasses.dataclass(frozen=True)
class Shrinking(Faulty):
    def tell(self, *arguments):
        new, loss = super().tell(*arguments)
        return new._replace(params=jax.tree.map(lambda a: 0.9 * a + 0.1, new.params)), loss


@dataclasses.dataclass(frozen=True)
class Squared(Faulty):
    def tell(self, state, question, log_prob, score, rows):
        return super().tell(state, question, log_prob, score**2, rows)


@dataclasses.dataclass(frozen=True)
class Halved(Faulty):
    def tell(self, *arguments):
        new, loss = super().tell(*arguments)
        return new, 0.5 * loss


@dataclasses.dataclass(frozen=True)
class Hiding(Faulty):
    def tell(self, *arguments):
        new, loss = super().tell(*arguments)
        return new, jnp.nan_to_num(loss)


@dataclasses.dataclass(frozen=True)
class Uphill(Faulty):
    def tell(self, state, question, log_prob, score, rows):
        return super().tell(state, question, log_prob, -score, rows)


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        (Forgetful, check_settings),
        (Wide, check_forms),
        (Standing, check_purity),
        (Counting, check_purity),
        (Undeclared, check_optimizer),
        (Shrinking, check_optimizer),
        (Squared, check_linearity),
        (Halved, check_loss),
        (Hiding, check_failure),
        (Uphill, check_progress),
    ],
)
def test_a_fault_is_seen(kind, check):
    with pytest.raises((AssertionError, TypeError)):
        check(Example(kind(**USUAL)))


def test_what_needs_an_example_says_so(monkeypatch):
    @dataclasses.dataclass(frozen=True)
    class NoDefault(Gradient):
        width: float = dataclasses.field(kw_only=True)

    monkeypatch.setitem(ALGORITHMS._entries, "no_default", NoDefault)
    with pytest.raises(AssertionError, match=r"'no_default' has .* \(width\).* in EXAMPLES"):
        example("no_default")


def test_the_objective_names_the_loss():
    @dataclasses.dataclass(frozen=True)
    class Other(ClosedFormEntropy):
        loss_name = "something else"

    assert Gradient(**USUAL, objective=Other()).loss_name == "something else"


@pytest.mark.parametrize("kind", [Gradient, Stein])
@pytest.mark.parametrize(
    ("setting", "values", "error"),
    [
        ("n_draws", [0, -1, 1.5, True, "x", None, np.nan], ValueError),
        ("max_gradient_norm", [0.0, -1.0, np.nan, np.inf, "x", True], ValueError),
        ("temperature", [0.0, -1.0, np.nan, np.inf, "x", None], ValueError),
        ("family", [None, MeanField, "mean_field"], TypeError),
        ("optimizer", [None, vi.adam, "adam", optax.adam], TypeError),
        ("averaging", ["polynomial", 8.0, vi.PolynomialAverage], TypeError),
        ("objective", [None, "closed_form", ClosedFormEntropy], TypeError),
        ("kernel", [None, "rbf", vi.kernels.RBF], TypeError),
    ],
)
def test_settings_are_checked_where_they_are_written(kind, setting, values, error):
    example = kind(**USUAL)
    if setting not in {field.name for field in dataclasses.fields(example)}:
        return
    for value in values:
        with pytest.raises(error, match=rf"{kind.__name__}\({setting}="):
            dataclasses.replace(example, **{setting: value})
