"""What every algorithm declares and promises of itself."""

from __future__ import annotations

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import vi
from vi.algorithms import ALGORITHMS, Gradient, Local, LocalPart, Stein
from vi.families import MeanField, Part, Particles, PerRow, Product
from vi.foundation.precision import precision
from vi.objectives import ClosedFormEntropy

STEP = {"optimizer": vi.adam(learning_rate=0.1), "n_draws": 3}
ROWS = Product((Part("z", PerRow(MeanField(), 4), ((0, 4),)),))
EXAMPLES = {
    "gradient": Gradient(MeanField(), objective=ClosedFormEntropy(), **STEP),
    "local": Local(ROWS, Gradient(ROWS, **STEP), (LocalPart("z", "z", 2),)),
    "stein": Stein(MeanField(), temperature=2.0, **STEP),
}


def test_every_algorithm_has_an_example():
    assert {name: type(example) for name, example in EXAMPLES.items()} == ALGORITHMS
    assert {example.short_name for example in EXAMPLES.values()} == set(ALGORITHMS)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_settings_are_plain_values(name):
    algorithm = EXAMPLES[name]
    settings = algorithm.settings()
    assert json.loads(json.dumps(settings)) == settings
    assert settings["optimizer"].startswith("adam(learning_rate=0.1")
    assert (settings["draws_per_step"], settings["averaging"]) == (3, "None")
    own = {"gradient": {"objective"}, "local": {"objective"}, "stein": {"kernel", "temperature"}}
    assert settings.keys() == {"optimizer", "averaging", "draws_per_step"} | own[name]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_declarations(name):
    algorithm = EXAMPLES[name]
    assert algorithm.uses_optimizer
    assert algorithm.has_elbo == (name != "stein")
    assert ("ELBO" in algorithm.loss_name) == algorithm.has_elbo


def test_the_objective_names_the_loss():
    @dataclasses.dataclass(frozen=True)
    class Other(ClosedFormEntropy):
        loss_name = "something else"

    assert dataclasses.replace(EXAMPLES["gradient"], objective=Other()).loss_name == (
        "something else"
    )


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("kind", "family"), [(Gradient, MeanField()), (Stein, MeanField()), (Stein, Particles(3))]
)
def test_a_failed_step_is_known_by_its_loss(kind, family):
    """Values and scores are finite; the optimiser makes parameters that are not."""
    overflow = optax.GradientTransformation(
        lambda params: (), lambda g, state, params=None: (jax.tree.map(lambda a: a / 0, g), state)
    )
    for optimizer, finite in ((vi.sgd(learning_rate=0.1), True), (overflow, False)):
        algorithm = kind(family, optimizer, n_draws=4)
        with precision(np.dtype("float64")):
            params = family.init(jnp.zeros(2), jnp.ones(2), jax.random.key(0))
            state = algorithm.init(params, jax.random.key(1))
            question = algorithm.ask(state, {})
            values = -0.5 * jnp.sum(question.points**2, axis=1)
            new, loss = algorithm.tell(state, question, values, -question.points, {})
        assert bool(jnp.isfinite(loss)) == finite
        assert int(new.step) == 1
