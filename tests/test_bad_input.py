"""Everything public, called with what has no meaning: each call is understood or refused in words.

`bad_input/values.py` states what an argument may be. An error is readable if this library raises
it, or Python does while it binds arguments, and if it names the argument and says what was got.
"""

from __future__ import annotations

import logging

import matplotlib as mpl
import pytest
from bad_input.calls import all_bad_calls, good_call, some_bad_calls
from bad_input.good import DEAR
from bad_input.judge import Outcome, judged
from bad_input.orders import LINES, fault_of
from bad_input.surface import callables
from bad_input.world import world
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from seeds import seed

UNREADABLE = {
    "w.approx.advance(plan=lambda record: None, n=1, progressbar=False)": (
        "it says what the function has returned, not which function it is"
    ),
}
"""Calls whose refusal is not readable by that rule, and why that is right."""


@pytest.fixture(autouse=True)
def quiet(caplog):
    """No log of small fits, no windows, and nothing left open."""
    mpl.use("Agg")
    with caplog.at_level(logging.CRITICAL, logger="vi"):
        yield
    plt.close("all")
    world().renew()


def faults(outcomes: list[Outcome]) -> str:
    """The faults that are not listed, each with a script."""
    found = [o for o in outcomes if o.fault and o.call.text not in UNREADABLE]
    return "\n\n".join(
        [f"{len(found)} of {len(outcomes)} calls", *map(str, found)] if found else []
    )


def test_the_tables_know_every_argument():
    calls = all_bad_calls()  # raises where an argument is of no kind
    assert len({call.of.name for call in calls}) > 100
    assert len(UNREADABLE) <= len(calls) / 100
    assert set(UNREADABLE) <= {call.text for call in calls}


def test_bad_calls_are_refused_in_words():
    calls = some_bad_calls(150, seed(1), without=DEAR)
    assert not (found := faults([judged(call) for call in calls])), found


@pytest.mark.slow
def test_many_bad_calls_are_refused_in_words():
    assert not (found := faults([judged(c) for c in some_bad_calls(2_000, seed(2))])), found


@pytest.mark.slow
def test_good_calls_are_understood():
    """Or the bad ones would be refused for another reason."""
    calls = [good_call(of) for of in callables() if of.name not in DEAR]
    assert not (found := faults([judged(call) for call in calls])), found


@given(st.lists(st.sampled_from(LINES), min_size=2, max_size=6))
@settings(max_examples=10, derandomize=True, deadline=None, database=None)
def test_orders_of_calls(lines):
    assert not (found := fault_of(lines)), found


@pytest.mark.slow
@given(st.lists(st.sampled_from(LINES), min_size=2, max_size=8))
@settings(max_examples=100, derandomize=True, deadline=None, database=None)
def test_many_orders_of_calls(lines):
    assert not (found := fault_of(lines)), found
