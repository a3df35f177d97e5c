"""What is known of a model is asked once, and again when the model or its data are others."""

import copy

import numpy as np
import pymc as pm
import pytest

import vi
from vi.targets.model import initial_density
from vi.targets.model.facts import fact
from vi.targets.model.shapes import initial_point, rv_shapes

QUIET = {"method": "advi", "random_seed": 1, "progressbar": False}


def model_of(values):
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mu"), 1.0, observed=pm.Data("data", values))
    return model


class Asked:
    def __init__(self):
        self.times = 0

    def __call__(self):
        self.times += 1
        return self.times


def test_once():
    model, asked = model_of(np.zeros(3)), Asked()
    assert [fact(model, "times", asked) for _ in range(3)] == [1, 1, 1]
    assert fact(model, "others", asked) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model["data"].set_value(np.ones(3)),
        lambda model: model["data"].set_value(np.ones(4)),
        lambda model: pm.Normal("more", model=model),
        lambda model: pm.Potential("more", -(model["mu"] ** 2), model=model),
        lambda model: model.set_initval(model["mu"], 2.0),
        lambda model: model.add_coord("dim", range(3)) or pm.Normal("d", dims="dim", model=model),
    ],
    ids=["values", "length", "variable", "potential", "initial value", "dims"],
)
def test_anew_after_a_change(change):
    model, asked = model_of(np.zeros(3)), Asked()
    assert fact(model, "times", asked) == 1
    with model:
        change(model)
    assert fact(model, "times", asked) == 2
    assert fact(model, "times", asked) == 2


def test_points_and_shapes_of_a_changed_model():
    """A caller may change what it is given."""
    with pm.Model() as model:
        x = pm.Data("x", np.zeros(3))
        pm.Normal("z", x, 1.0)
    initial_point(model, 1)["z"][:] = 7.0
    assert initial_point(model, 1)["z"].tolist() == [0.0] * 3
    model["x"].set_value(np.ones(4))
    assert initial_point(model, 1)["z"].tolist() == [1.0] * 4
    assert rv_shapes(model)["z"] == (4,)


def test_copies_ask_themselves():
    model, asked = model_of(np.zeros(3)), Asked()
    fact(model, "times", asked)
    assert fact(copy.deepcopy(model), "times", asked) == 2


def test_failures_are_not_kept():
    model = model_of(np.zeros(3))
    with pytest.raises(ZeroDivisionError):
        fact(model, "failed", lambda: 1 / 0)
    assert fact(model, "failed", lambda: 3) == 3


def test_a_second_fit_looks_at_nothing_twice(monkeypatch):
    """The density at the start is looked at once for a start, and for data."""
    looks = Asked()
    look = initial_density.check_initial_density
    monkeypatch.setattr(
        initial_density,
        "check_initial_density",
        lambda *args, **options: (looks(), look(*args, **options))[1],
    )
    model = model_of(np.zeros(3))
    for _ in range(2):
        vi.fit(1, model=model, **QUIET)
    assert looks.times == 1
    vi.fit(1, model=model, start={"mu": 3.0}, **QUIET)
    assert looks.times == 2
    model["data"].set_value(np.full(3, np.inf))
    with pytest.raises(ValueError, match="not finite"):
        vi.fit(1, model=model, **QUIET)
