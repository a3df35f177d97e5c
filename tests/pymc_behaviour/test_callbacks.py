"""Callbacks of `pm.fit` and its two callback classes; the nine optimisers."""

from __future__ import annotations

import functools
import inspect
import itertools
import time

import numpy as np
import pymc as pm
import pymc.variational as pv
import pytest
from two_libraries import OURS, THEIRS, begun, both, quick, small

import vi

NAMES = [
    "sgd",
    "momentum",
    "nesterov_momentum",
    "adagrad",
    "adagrad_window",
    "rmsprop",
    "adadelta",
    "adam",
    "adamax",
]


@both
def test_callbacks_are_called_in_order_after_every_step(lib):
    calls = []
    callbacks = [
        lambda approx, losses, i: calls.append(("first", i, len(losses), losses[-1])),
        lambda approx, losses, i: calls.append(("second", i, len(losses), losses[-1])),
    ]
    approx = quick(lib, 3, callbacks=callbacks)
    assert [call[:3] for call in calls] == [
        (name, i, i) for i in (1, 2, 3) for name in ("first", "second")
    ]
    assert [call[3] for call in calls[::2]] == list(approx.hist)


@both
def test_callbacks_see_the_live_approximation(lib):
    inference = begun(lib)
    seen = []
    inference.fit(2, callbacks=[lambda approx, losses, i: seen.append(approx)], progressbar=False)
    assert all(approx is inference.approx for approx in seen)


@both
def test_stop_iteration_ends_the_run_and_keeps_what_was_found(lib):
    def stop(approx, losses, i):
        if i == 4:
            raise StopIteration("enough")

    calls = []
    approx = quick(lib, 50, callbacks=[stop, lambda *_: calls.append(1)])
    assert len(approx.hist) < 6
    assert len(calls) == 3  # those after the one that stops are not called any more
    assert np.all(np.isfinite(approx.mean.eval()))


@both
def test_other_exceptions_of_callbacks_pass_through(lib):
    def fail(approx, losses, i):
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        quick(lib, 3, callbacks=[fail])


@both
def test_a_run_that_was_stopped_goes_on_with_refine(lib):
    stops = [False, True]

    def stop(approx, losses, i):  # at its second call, not by i: PyMC counts that step twice
        if stops and stops.pop(0):
            raise StopIteration

    inference = begun(lib)
    inference.fit(12, callbacks=[stop], progressbar=False)
    before = len(inference.hist)
    inference.refine(3, progressbar=False)
    assert len(inference.hist) == before + 3


@both
def test_callbacks_may_change_data(lib):
    with pm.Model() as model:
        data = pm.Data("data", np.zeros(20))
        x = pm.Normal("x", 0.0, 10.0)
        pm.Normal("y", x, 1.0, observed=data)
    approx = lib.fit(
        80,
        model=model,
        callbacks=[lambda *_: data.set_value(np.full(20, 3.0))],
        obj_optimizer=lib.sgd(learning_rate=0.03),
        random_seed=1,
        progressbar=False,
    )
    assert abs(approx.mean.eval()[0] - 3.0) < 0.5


@both
@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda: 7, [7, 7, 7]),
        (lambda approx, losses, i: i, [1, 2, 3]),
        (lambda *t: t[-1], [1, 2, 3]),
        (lambda *t: len(t), [0, 0, 0]),
        (lambda a=1, b=2, c=3: a + b + c, [6, 6, 6]),
        (itertools.count().__next__, None),
        (time.time, None),
    ],
    ids=["none", "three", "star", "star-without", "defaults", "bound", "builtin"],
)
def test_tracker_calls_functions_of_none_or_three_arguments(lib, function, expected):
    tracker = lib.Tracker(f=function)
    quick(lib, 3, callbacks=[tracker])
    assert len(tracker["f"]) == 3
    assert expected is None or tracker["f"] == expected


@both
def test_tracker_of_several_statistics(lib):
    inference = begun(lib)
    tracker = lib.Tracker(
        mean=inference.approx.mean.eval,
        std=lambda: inference.approx.std.eval(),
        loss=lambda approx, losses, i: losses[-1],
    )
    inference.fit(3, callbacks=[tracker], progressbar=False)
    assert np.shape(tracker["mean"]) == np.shape(tracker["std"]) == (3, 5)
    assert tracker.hist["loss"] == list(inference.hist)
    tracker.clear()
    assert not any(tracker.hist.values())


@both
def test_tracker_may_be_called_by_hand(lib):
    tracker = lib.Tracker(i=lambda approx, losses, i: i)
    tracker(None, None, 5)
    tracker.record(None, None, 6)
    assert tracker["i"] == [5, 6]


@pytest.mark.parametrize("name", ["every", "tolerance", "diff", "ord"])
def test_the_check_has_pymcs_arguments_and_defaults(name):
    ours, theirs = (
        inspect.signature(lib.CheckParametersConvergence).parameters for lib in (OURS, THEIRS)
    )
    assert ours[name].default == theirs[name].default
    assert list(ours).index(name) == list(theirs).index(name)


@both
@pytest.mark.parametrize("diff", ["absolute", "relative"])
@pytest.mark.parametrize("ord", [np.inf, 2, 1])
def test_the_check_stops_when_parameters_settle(lib, diff, ord):
    """With a tolerance above any change it stops at its second look; below, never."""
    ends = []
    for tolerance in (1e6, 1e-12):
        check = lib.CheckParametersConvergence(every=5, tolerance=tolerance, diff=diff, ord=ord)
        ends.append(len(quick(lib, 20, callbacks=[check]).hist))
    assert ends[0] <= 10
    assert ends[1] == 20


@both
def test_an_unknown_difference_is_refused_when_the_check_is_made(lib):
    with pytest.raises((KeyError, ValueError), match="both"):
        lib.CheckParametersConvergence(diff="both")


@pytest.mark.parametrize(("every", "calls"), [(1, 30), (7, 5), (10, 4), (100, 1)])
def test_pymcs_own_check_is_called_where_it_looks(every, calls):
    """At its first step, and at multiples of `every`: elsewhere it returns at once."""
    check = pv.callbacks.CheckParametersConvergence(every=every, tolerance=1e-12)
    counted = []

    def flatten(params):
        counted.append(1)
        return np.concatenate([p.get_value().ravel() for p in params])

    check.flatten_shared = flatten
    published = []
    inference = begun(OURS)
    publish = inference.approx._publish_step
    inference.approx._publish_step = lambda: published.append(1) or publish()
    inference.fit(30, callbacks=[check], progressbar=False)
    assert len(published) == len(counted) == calls


def test_pymcs_own_check_stops_at_the_step_at_which_it_stops_in_pymc():
    check = pv.callbacks.CheckParametersConvergence(every=5, tolerance=1e6)
    assert len(quick(OURS, 20, callbacks=[check]).hist) == 5
    check = pv.callbacks.CheckParametersConvergence(every=5, tolerance=1e6)
    stopped = []
    pm.fit(
        20,
        model=small(),
        callbacks=[lambda approx, losses, i: stopped.append(i), check],
        compile_kwargs={"mode": "FAST_COMPILE"},
        progressbar=False,
    )
    assert stopped[-1] == 5


@pytest.fixture(scope="module")
def settings_of():
    """What an optimiser is understood as, without a step."""
    inference = begun(OURS)

    def understood(optimizer):
        inference.fit(0, obj_optimizer=optimizer, progressbar=False)
        return inference.approx.settings()["optimizer"]

    return understood


def test_these_are_pymcs_optimisers():
    made = {
        name
        for name, function in vars(pv.updates).items()
        if inspect.isfunction(function)
        and "learning_rate" in inspect.signature(function).parameters
    }
    assert made == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_an_optimiser_uncalled_has_its_defaults(name, settings_of):
    called = settings_of(getattr(vi, name)())
    assert settings_of(getattr(pm, name)) == settings_of(getattr(vi, name)) == called
    assert called.startswith(f"{name}(learning_rate=")


@pytest.mark.parametrize("name", NAMES)
def test_an_optimiser_called_with_settings(name, settings_of):
    ours = settings_of(getattr(vi, name)(learning_rate=0.025))
    assert settings_of(getattr(pm, name)(learning_rate=0.025)) == ours
    assert settings_of(functools.partial(getattr(pm, name), learning_rate=0.025)) == ours
    assert settings_of(functools.partial(getattr(vi, name), learning_rate=0.025)) == ours
    assert "learning_rate=0.025" in ours


@both
@pytest.mark.few(3)
@pytest.mark.parametrize("name", NAMES)
def test_every_optimiser_lowers_the_loss(lib, name):
    # large enough to come down from 20 within 150 steps, small enough to be stable
    small_steps = dict.fromkeys(("sgd", "momentum", "nesterov_momentum"), 1e-2)
    rate = ({"adadelta": 100.0} | small_steps).get(name, 0.5)
    approx = quick(
        lib,
        150,
        start={"x": 20.0},
        obj_optimizer=getattr(lib, name)(learning_rate=rate),
    )
    assert approx.hist[-20:].mean() < approx.hist[:20].mean()
