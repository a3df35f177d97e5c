"""What every registered algorithm declares and keeps; a new one is tested by being registered."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from seeds import seed

import vi
from vi.algorithms import ALGORITHMS, Algorithm, Gradient, Local, LocalPart, RowsOfStep, Stein
from vi.families import FullRank, MeanField, Part, Particles, PerRow, Product
from vi.objectives import ClosedFormEntropy
from vi.optimizers.named import name_of
from vi.testing import check_algorithm


@dataclasses.dataclass(frozen=True)
class Example:
    """An algorithm, and what its check has to know of its rows.

    ``rows`` are those of a step, by its number; ``weight`` is what the log density of a batch is
    multiplied by to be that of all rows; ``dim`` is the length of the flat vector.
    """

    algorithm: Algorithm
    rows: Callable[[jax.Array], dict[str, RowsOfStep]] | None = None
    weight: float = 1.0
    dim: int = 2


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
        dim=4,
    )


EXAMPLES: dict[str, Callable[[], Example]] = {
    "batch_and_match": lambda: Example(ALGORITHMS["batch_and_match"](FullRank())),
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


@pytest.mark.few(1)
@pytest.mark.parametrize("name", dict.fromkeys(["gradient", *ALGORITHMS, *EXAMPLES]))
def test_contract(name):
    """What is left of the divergence is noise.

    Adam with the rate a on a gradient of noise s, in a coordinate of curvature c, has iterates of
    the variance a s / (2 c): of eight draws, at an sd of 0.5, s = 2 / sqrt(8), c = 4, that is 0.035
    of the sd squared, half of which is the divergence: 0.07 for the four parameters, a fifth of
    what is allowed, a hundredth of the 34.3 of the start.
    """
    of = example(name)
    options = {"rows": of.rows, "weight": of.weight, "left": 0.01, "seed": seed(0)}
    check_algorithm(of.algorithm, of.dim, **options)
    if of.algorithm.uses_optimizer:
        assert of.algorithm.settings()["optimizer"] == name_of(USUAL["optimizer"])


def test_names():
    for name, kind in ALGORITHMS.items():
        assert kind.short_name == name
    assert {example(name).algorithm.short_name for name in EXAMPLES} <= set(ALGORITHMS)


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
