"""The check of algorithms names every fault that it is for."""

from __future__ import annotations

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import pytest

import vi
from vi.algorithms import Algorithm, Gradient, Question
from vi.families import MeanField
from vi.testing import check_algorithm

CALLS = itertools.count()
USUAL = {"family": MeanField(), "optimizer": vi.adam(learning_rate=0.1), "n_draws": 8}


@dataclasses.dataclass(frozen=True)
class Wrong(Gradient):
    """Right, but for one chosen fault."""

    fault: str = ""
    short_name = "wrong"

    def settings(self):
        settings = super().settings() | {"fault": self.fault}
        return settings | {"objective": self.objective} if self.fault == "settings" else settings

    def init(self, params, key):
        state = super().init(params, key)
        return tuple(state) if self.fault == "init" else state

    def noises(self, state):
        fixed = {"key": {"key": jax.random.key(0)}, "step": {"step": jnp.uint32(0)}}
        return super().noises(state._replace(**fixed.get(self.fault, {})))

    def ask(self, state, rows):
        question = super().ask(state, rows)
        return Question(question.points[0], question.noise) if self.fault == "ask" else question

    def descend(self, state, loss, gradient, **options):
        factor = {"twice": 2.0, "half": 0.5, "other": 1.1}.get(self.fault, 1.0)
        gradient = jax.tree.map(lambda leaf: factor * leaf, gradient)
        return super().descend(state, loss, gradient, **options)

    def tell(self, state, question, log_prob, score, rows):
        score = {"uphill": -score, "squared": score**2}.get(self.fault, score)
        new, loss = super().tell(state, question, log_prob, score, rows)
        params = new.params
        changed = {
            "count": lambda: new._replace(step=state.step),
            "new key": lambda: new._replace(key=jax.random.fold_in(state.key, 1)),
            "structure": lambda: new._replace(average=(loss,)),
            "dtype": lambda: new._replace(step=new.step.astype(jnp.int32)),
            "half type": lambda: new._replace(
                params={name: value.astype(jnp.float16) for name, value in params.items()}
            ),
            "shrinking": lambda: new._replace(
                params={name: 0.99 * value for name, value in params.items()}
            ),
        }.get(self.fault, lambda: new)()
        losses = {
            "vector": lambda: loss * jnp.ones(3),
            "impure": lambda: loss + next(CALLS),
            "negative loss": lambda: -loss,
            "half loss": lambda: 0.5 * loss,
            "hidden": lambda: jnp.nan_to_num(loss),
            "half loss type": lambda: loss.astype(jnp.float16),
        }
        return changed, losses.get(self.fault, lambda: loss)()

    def report(self, state):
        params = super().report(state)
        if self.fault == "report":
            return {name: value[None] for name, value in params.items()}
        return params


FAULTS = {
    "settings": r"settings\(\) must hold text and numbers",
    "init": r"init\(\) .* must return a State, got \(\{'mu'",
    "ask": r"must ask at points \(K, 2\)",
    "vector": r"must return one number as the loss of the step, got float32 \(3,\)",
    "structure": r"same arrays: state\.average\[0\] was nothing and becomes float32",
    "dtype": r"state\.step was uint32 \(\) and becomes int32",
    "half type": r"was float32 \(2,\) and becomes float16",
    "half loss type": r"float32 parameters give float16; keep float32",
    "report": r"report\(\) returns 'mu' as float32 \(1, 2\); the parameter is float32 \(2,\)",
    "impure": r"two calls of the same step differ .*pure functions",
    "count": r"state\.step must grow by 1 in a step; it goes from 0 to 0",
    "new key": r"state\.key must not change",
    "key": r"ask\(\) ignores the key",
    "step": r"ask\(\) ignores the step: the noise is the same in every step",
    "uphill": r"steps go uphill",
    "negative loss": r"minus the ELBO is .*; it is of the wrong sign",
    "half loss": r"minus the ELBO is .*; it is half as large",
    "twice": r"gradient .* not that of the mean loss; it is twice as large",
    "half": r"gradient .* not that of the mean loss; it is half as large",
    "other": r"gradient .* not that of the mean loss: ",
    "squared": r"steps go uphill|linear_in_log_p = True does not hold",
    "shrinking": r"with one that stands still the parameters move",
    "hidden": r"must be NaN, by which a failed step is known",
}


@pytest.mark.few(1)
@pytest.mark.parametrize("fault", FAULTS)
def test_names_the_fault(fault):
    with pytest.raises(AssertionError, match=FAULTS[fault]):
        check_algorithm(Wrong(**USUAL, fault=fault))


@pytest.mark.slow
@pytest.mark.parametrize("factor", [2.0, -1.0])
def test_names_a_wrong_gradient_of_a_loss_that_is_no_elbo(factor):
    """Downhill it goes too slowly to be seen going up."""

    @dataclasses.dataclass(frozen=True)
    class Other(vi.objectives.MonteCarlo):
        has_elbo = False
        loss_name = "another loss"

    @dataclasses.dataclass(frozen=True)
    class Scaled(Wrong):
        def descend(self, state, loss, gradient, **options):
            gradient = jax.tree.map(lambda leaf: factor * leaf, gradient)
            return super().descend(state, loss, gradient, **options)

    match = "twice as large" if factor > 0 else "uphill"
    with pytest.raises(AssertionError, match=match):
        check_algorithm(Scaled(**USUAL, objective=Other()))


@pytest.mark.slow
def test_a_right_one_passes():
    check_algorithm(Wrong(**USUAL))


@pytest.mark.slow
def test_too_little_progress():
    with pytest.raises(AssertionError, match=r"10 steps make too little progress: .* 34"):
        check_algorithm(Wrong(**USUAL), steps=10)


@pytest.mark.parametrize(
    ("attribute", "match"),
    [
        ("short_name", r"Bare has short_name = None: write short_name = 'steepest'"),
        ("loss_name", r"Bare has loss_name = None: write loss_name = 'minus the ELBO'"),
    ],
)
def test_what_is_missing_is_named_first(attribute, match):
    names = {"short_name": "bare", "loss_name": "a loss", "uses_optimizer": True}

    @dataclasses.dataclass(frozen=True)
    class Bare(vi.algorithms.Descent):
        settings = ask = tell = None

    for name, value in names.items():
        if name != attribute:
            setattr(Bare, name, value)
    Bare.loss_name = names["loss_name"] if attribute != "loss_name" else None
    Bare.__abstractmethods__ = frozenset()
    with pytest.raises(AssertionError, match=match):
        check_algorithm(Bare(**USUAL))


def test_methods_that_are_missing():
    class Empty(Algorithm):
        short_name = "empty"

    with pytest.raises(AssertionError, match=r"has no ask, init, loss_name, report, settings, tel"):
        check_algorithm(Empty)
    with pytest.raises(AssertionError, match=r"expected an algorithm, .*; got 3"):
        check_algorithm(3)


@pytest.mark.parametrize(
    ("declared", "match"),
    [
        ({"uses_optimizer": False}, "uses_optimizer = False and a field optimizer"),
        ({"has_elbo": False}, "has_elbo = False and loss_name = 'minus the ELBO'"),
        ({"linear_in_log_p": "yes"}, "linear_in_log_p = 'yes': write True or False"),
        ({"__hash__": None}, "must be hashable, a frozen dataclass"),
        ({"__eq__": lambda one, two: one is two}, "equal settings must make equal algorithms"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_declarations(declared, match):
    kind = type("Declared", (Wrong,), {"__hash__": Wrong.__hash__} | declared)
    with pytest.raises(AssertionError, match=match):
        check_algorithm(kind(**USUAL))
