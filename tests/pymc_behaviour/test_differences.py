"""Where PyMC's behaviour is not followed: refused in words that say what to write instead.

Each is on the page *Coming from `pm.fit`*.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pymc as pm
import pytensor
import pytest
from two_libraries import OURS, begun, quick, small

import vi

PAGE = (Path(__file__).parents[2] / "docs" / "from_pymc.md").read_text(encoding="utf-8")


def group(**options):
    return vi.Group(["x"], vfam="mf", **options)


def spoiled_in_mid_run():
    with pm.Model() as model:
        data = pm.Data("data", [1.0, 2.0])
        x = pm.Normal("x")
        pm.Normal("y", x, 1.0, observed=data)
    spoil = [lambda *_: data.set_value([1.0, np.nan])]
    vi.fit(20, method="advi", model=model, callbacks=spoil, progressbar=False)


REFUSED = [
    ("an unknown method", lambda: quick(OURS, 1, "nuts"), ValueError, "'advi', 'fullrank_advi'"),
    (
        "an unknown family of a group",
        lambda: vi.Group(None, vfam="normal"),
        ValueError,
        "'mean_field'",
    ),
    (
        "a model without free variables",
        lambda: vi.fit(1, method="advi", model=pm.Model()),
        ValueError,
        "no free",
    ),
    (
        "pm.sgd(learning_rate=shared)",
        lambda: quick(OURS, 1, obj_optimizer=pm.sgd(learning_rate=pytensor.shared(0.1))),
        TypeError,
        r"a schedule.*sgd\(learning_rate=optax\.exponential_decay",
    ),
    (
        "pm.total_norm_constraint",
        lambda: quick(OURS, 1, obj_optimizer=pm.total_norm_constraint),
        TypeError,
        r"no optimiser by itself.*optax\.chain",
    ),
    (
        "a free variable as a key of `more_replacements` of a fit",
        lambda: quick(OURS, 1, more_replacements={small()["x"]: 1.0}),
        ValueError,
        r"pm\.do\(model",
    ),
    ("params=", lambda: group(params={"mu": 0.0}), TypeError, r"approx\.set_params.*frozen=True"),
    ("start=", lambda: group(start={"x": 1.0}), TypeError, r"vi\.Approximation\(groups, start="),
    (
        "start_sigma=",
        lambda: group(start_sigma={"x": 1.0}),
        TypeError,
        r"vi\.Approximation\(groups, start_sigma=",
    ),
    ("random_seed=", lambda: group(random_seed=1), TypeError, r"vi\.Approximation\(groups, random"),
    ("trace=", lambda: group(trace={"x": [1.0]}), TypeError, r"vi\.Empirical\(trace\)"),
    ("options=", lambda: group(options={"a": 1}), TypeError, "families have settings"),
    (
        "A group of particles is a group of everything",
        lambda: vi.Approximation(
            [group(), vi.Group(None, vfam="empirical", size=5)], model=small()
        ),
        TypeError,
        r"no density.*vi\.Empirical",
    ),
    (
        'vfam="empirical", size=100',
        lambda: vi.Group(None, vfam="mf", size=5),
        TypeError,
        "size=5 is a number of particles.*'particles'",
    ),
    (
        "test_optimizer",
        lambda: quick(OURS, 1, test_optimizer=pm.adam),
        TypeError,
        "obj_optimizer is the only",
    ),
    (
        "more_obj_params",
        lambda: quick(OURS, 1, more_obj_params=[1]),
        TypeError,
        r"vi\.families\.Family",
    ),
    ("more_updates", lambda: quick(OURS, 1, more_updates={1: 2}), TypeError, "use a callback"),
    ("more_tf_params", lambda: quick(OURS, 1, more_tf_params=[1]), TypeError, "no test functions"),
    (
        "in_memory_size",
        lambda: vi.Minibatch(np.zeros(5), batch_size=2, in_memory_size=3),
        TypeError,
        r"vi\.fit\(data=",
    ),
    (
        "data that become NaN during a fit",
        spoiled_in_mid_run,
        ValueError,
        r"data have changed \(data\).*first at \[1\]",
    ),
    (
        "a name that a `Tracker` does not track",
        lambda: vi.callbacks.Tracker(f=int)["g"],
        KeyError,
        "not tracked; tracked: f",
    ),
]


@pytest.mark.parametrize(
    ("listed", "call", "error", "words"), REFUSED, ids=[listed for listed, *_ in REFUSED]
)
def test_refused_with_what_to_write_instead(listed, call, error, words):
    with pytest.raises(error, match=words):
        call()
    assert listed.removeprefix("pm.").rstrip("=") in PAGE


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("symbolic_random", r"approx\.sample_node\(node\)"),
        ("symbolic_logq", r"approx\.logq\(z\)"),
    ],
)
def test_parts_of_pymcs_graph_are_named_with_what_takes_their_place(name, words):
    approx = begun(OURS).approx
    with pytest.raises(AttributeError, match=words):
        getattr(approx, name)
    assert not hasattr(approx, name)
    assert name in PAGE


def test_an_attribute_that_neither_library_has():
    with pytest.raises(AttributeError, match="has no attribute 'meen'"):
        begun(OURS).approx.meen  # noqa: B018


def test_svgd_keeps_a_loss():
    """PyMC keeps none."""
    assert len(quick(OURS, 3, "svgd", inf_kwargs={"n_particles": 4}).hist) == 3
    assert "PyMC keeps no loss" in PAGE


def test_the_loss_of_the_step_that_stops_is_kept():
    def stop(approx, losses, i):
        if i == 4:
            raise StopIteration

    assert len(quick(OURS, 9, callbacks=[stop]).hist) == 4
    assert "PyMC drops it" in PAGE


def test_losses_of_refine_are_all_losses():
    seen = []
    inference = begun(OURS)
    inference.fit(
        2, callbacks=[lambda a, losses, i: seen.append((i, len(losses)))], progressbar=False
    )
    inference.refine(2, progressbar=False)
    assert seen == [(1, 1), (2, 2), (3, 3), (4, 4)]
    assert "PyMC hands over only the losses" in PAGE


@pytest.mark.parametrize(
    ("argument", "words"),
    [("compile_kwargs", "backend="), ("fn_kwargs", "backend="), ("progressbar_theme", "theme")],
)
def test_arguments_without_effect_are_said_to_have_none(argument, words):
    with pytest.warns(UserWarning, match=f"{argument} has no effect.*{words}"):
        quick(OURS, 0, **{argument: {"a": 1}})
    assert argument in PAGE


def test_broadcastable_is_said_to_have_no_effect():
    with pytest.warns(UserWarning, match="broadcastable= has no effect"):
        vi.Minibatch(np.zeros((5, 1)), batch_size=2, broadcastable=(False, True))
    assert "broadcastable=" in PAGE


def test_start_sigma_is_for_full_rank_too():
    """PyMC's full rank ignores it."""
    approx = quick(OURS, 0, "fullrank_advi", start_sigma={"x": 0.1})
    assert approx.std.eval()[0] == pytest.approx(0.1)
    assert "full rank included" in PAGE


def test_particles_take_a_datatree():
    """PyMC takes a MultiTrace alone."""
    draws = quick(OURS, 1).sample(6)
    assert vi.Empirical(draws, model=small()).particles.shape[0] == 6
    assert "`trace` may be a DataTree" in PAGE
