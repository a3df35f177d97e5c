"""Runs of several processes stay together: chunks of one length, one end."""

from __future__ import annotations

import sys
import time

import numpy as np
import pytest

from vi.algorithms.base import State
from vi.foundation.kept import Keeper
from vi.training import History, ProgressBar, SharedRun, train
from vi.training.loop import FAILED, INTERRUPTED, STOPPED

N = 500


class Recorder(Keeper):
    """A target whose runner takes some seconds for a chunk, and keeps the chunks' lengths."""

    dtype = np.dtype("float64")

    def __init__(self, seconds):
        self.seconds, self.lengths = seconds, []

    def compiled(self, key, make):
        return self

    def run(self, state, inputs, n):
        time.sleep(self.seconds if n else 0.0)
        self.lengths.append(n)
        return state, np.ones(n), True


class Endless:
    last = None

    def at(self, step):
        return None, sys.maxsize


class Others:
    """Devices of this process and of others, whose numbers a function gives."""

    several_processes, leads = True, True

    def __init__(self, largest):
        self.largest = largest

    def replicate(self, tree):
        return tree

    def local(self, tree):
        return tree


def chunks(seconds, largest, callbacks=()):
    target = Recorder(seconds)
    state = State({}, (), (), None, np.uint32(0))
    run = SharedRun(target, None, state, Endless(), History(), Others(largest))
    status = train(
        run,
        N,
        callbacks=callbacks,
        commit=lambda: None,
        publish=lambda: None,
        progress=ProgressBar(N, "", enabled=False),
    )
    return target.lengths, status


def test_chunks_follow_the_seconds_that_processes_agree_on():
    """What beginning a chunk costs is agreed on too, before the first chunk."""

    def agreed():
        seconds = iter([0.001] + [0.02] * N)
        return lambda numbers: [next(seconds), numbers[1]]

    (slow, _), (fast, _) = chunks(0.005, agreed()), chunks(0.0, agreed())
    assert slow == fast
    assert sum(fast) == N


@pytest.mark.parametrize(("reason", "ending"), [(STOPPED, "stopped"), (INTERRUPTED, "interrupted")])
def test_a_run_ends_where_any_process_ends(reason, ending):
    calls = []

    def largest(numbers):
        calls.append(numbers[1])
        return [0.02, reason if len(calls) == 4 else numbers[1]]

    lengths, status = chunks(0.0, largest)
    assert calls == [0, 0, 0, 0]  # before the first chunk, and after each of three
    assert (status.ending, status.step) == (ending, sum(lengths))


def test_a_callback_that_fails_ends_all_processes():
    calls = []

    def largest(numbers):
        calls.append(numbers[1])
        return numbers

    def fail(approx, losses, i):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        chunks(0.0, largest, [fail])
    assert calls == [0, FAILED]
    with pytest.raises(RuntimeError, match="in another process"):
        chunks(0.0, lambda numbers: [numbers[0], FAILED])
