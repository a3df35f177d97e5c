"""What ends a fit in stages by the clock, and what is kept then."""

from __future__ import annotations

import logging

import numpy as np
import pymc as pm
import pytest
from problems import conjugate_normal, conjugate_regression

import vi
from vi.auto import order as auto
from vi.auto.deadline import Deadline
from vi.auto.ground import Ground
from vi.diagnostics.stages import Stage
from vi.families import FullRank, MeanField
from vi.inference.run_options import RunOptions

QUIET = {"method": "auto", "random_seed": 1, "progressbar": False}


@pytest.fixture
def clock(monkeypatch):
    """Seconds that are left, as the test sets them."""
    known = {"left": 100.0}
    monkeypatch.setattr(Deadline, "left", property(lambda self: known["left"]))
    return known


def test_without_seconds_it_never_comes():
    never = Deadline(None)
    assert never.left == np.inf
    assert not never.passed()


def test_with_seconds_it_comes_and_stays():
    assert not Deadline(1e6).passed()
    over = Deadline(1e-9)
    assert over.passed()
    assert over.ended
    with pytest.raises(StopIteration, match="max_seconds=1e-09 are over"):
        over(None, np.zeros(3), 3)


def test_looks_at_the_clock_are_rarer_where_steps_are_quick(clock, monkeypatch):
    """They double to a tenth of a second, and come back where steps become slow."""
    now = {"time": 0.0}
    monkeypatch.setattr(vi.auto.deadline.time, "perf_counter", lambda: now["time"])
    deadline, step, longest, looks = Deadline(1e9), 0, 0.0, 0
    deadline.begin()
    for seconds in (1e-4, 1e-2):
        before = now["time"]
        while now["time"] < before + 30:
            every = deadline._vi_every
            step += every
            now["time"] += seconds * every
            deadline(None, np.zeros(1), step)
            longest, looks = max(longest, seconds * every), looks + 1
    assert 0.05 <= every * 1e-2 <= 0.2
    assert looks < 60 / 0.04
    assert longest < 100 * 0.2  # the first look after steps have become a hundred times slower


def test_enough_time_changes_no_number():
    """Chunks end elsewhere, and that changes no bit."""
    model = conjugate_regression().model
    fits = [
        vi.fit(model=model, inf_kwargs={"max_seconds": seconds}, **QUIET) for seconds in (None, 1e6)
    ]
    np.testing.assert_array_equal(fits[0].hist, fits[1].hist)
    np.testing.assert_array_equal(fits[0].mean.eval(), fits[1].mean.eval())
    assert "max_seconds" not in fits[1].status.message
    assert fits[1].diagnosis.verdict == "good"


def test_no_time_leaves_the_first_stage_and_no_verdict():
    approx = vi.fit(model=conjugate_normal().model, inf_kwargs={"max_seconds": 1e-6}, **QUIET)
    assert list(approx.stages["stage"]) == ["search"]
    assert approx.family == MeanField()
    assert approx.diagnosis is None
    assert approx.status.ending == "max_steps"
    assert "stages search; ended by max_seconds=1e-06, not checked" in approx.status.message
    assert "good" not in str(approx.status)
    assert np.isfinite(approx.mean.eval()).all()
    assert list(approx.sample(10)["fit"]["stage"].to_numpy()) == ["1 search"]


def test_running_steps_end_and_the_best_is_kept_unchecked(clock):
    seen = []

    def watch(approx, losses, i):
        seen.append(i)
        if i == 7:
            clock["left"] = 0.0

    approx = vi.fit(
        model=conjugate_regression().model,
        callbacks=[watch],
        inf_kwargs={"max_seconds": 100},
        **QUIET,
    )
    assert list(approx.stages["stage"]) == ["search", "match"]
    assert 7 <= seen[-1] < 60  # the next look at the clock
    assert approx.family == FullRank()
    assert approx.diagnosis is None
    assert approx.status.ending == "max_steps"
    assert "max_seconds=100, not checked" in approx.status.message
    last = approx.status.step  # it goes on like any other
    assert approx.refine(5, progressbar=False).status.step == last + 5


def test_a_callback_that_ends_it_is_not_taken_for_the_clock():
    def stop(approx, losses, i):
        raise StopIteration("enough")

    approx = vi.fit(
        model=conjugate_normal().model,
        callbacks=[stop],
        inf_kwargs={"max_seconds": 1e6},
        **QUIET,
    )
    assert approx.status.ending == "stopped"
    assert "max_seconds" not in approx.status.message


@pytest.mark.slow
def test_no_chains_begin_that_would_not_fit_in(clock, monkeypatch):
    with pm.Model() as banana:
        x = pm.Normal("x", 0.0, 1.0)
        pm.Normal("y", x**2, 0.5)

    def late(ground, check=auto.check):
        found = check(ground)
        clock["left"] = 1e-3
        return found

    monkeypatch.setattr(auto, "check", late)
    approx = vi.fit(model=banana, inf_kwargs={"max_seconds": 100}, **QUIET)
    assert list(approx.stages["stage"])[-1] == "check"
    assert approx.diagnosis.verdict != "good"
    assert "max_seconds= leaves no chains" in approx.diagnosis.advice
    assert "ended by max_seconds=100, before all was tried" in approx.status.message


@pytest.mark.parametrize(("left", "expected"), [(0.0, 0), (2.0, 200), (1e9, 1000), (-1.0, 0)])
def test_what_is_affordable_follows_from_the_pace(clock, left, expected):
    approx = vi.MeanField(model=conjugate_normal().model, random_seed=1)
    clock["left"] = left
    ground = Ground(approx, RunOptions(), 1_400, Deadline(100.0))
    assert ground.affordable == 1_400  # nothing is known of the pace
    stages = (
        Stage("search", gradients=100, seconds=1.0),
        Stage("match", gradients=300, seconds=3.0),
    )
    approx.change(lambda fit: vi.auto.ground.replace(fit, stages=stages))
    assert ground.affordable == expected


@pytest.mark.parametrize("bar", [True, False])
def test_who_watches_is_told_what_runs(bar, caplog):
    with caplog.at_level(logging.INFO, logger="vi"):
        vi.fit(model=conjugate_normal().model, method="auto", random_seed=1, progressbar=bar)
    lines = [line.removeprefix("Stage ") for line in caplog.messages if line.startswith("Stage")]
    begun = [line.split(" begins")[0] for line in lines if " begins: " in line]
    ended = [line.split(",")[0] for line in lines if " s: " in line]
    assert ended == ["search", "match", "check"]
    assert begun == (ended if bar else [])
