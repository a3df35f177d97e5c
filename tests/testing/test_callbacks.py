"""The check of callbacks names every fault that it is for."""

from __future__ import annotations

import pymc as pm
import pytest

from vi.callbacks import Callback
from vi.testing import check_callback


class Wrong(Callback):
    """Records the last loss, right but for one chosen fault."""

    def __init__(self, fault: str = "", every: int = 5) -> None:
        self.fault = fault
        if fault != "no every":
            super().__init__(every)
        if fault == "bad every":
            self.every = 2.5
        self.last = None
        self.steps = iter(range(3))

    def __call__(self, approx, losses, i):
        fault = self.fault
        self.last = None if losses is None else losses[-1]
        if fault == "needs losses":
            len(losses)
        if fault == "refuses None" and losses is None:
            raise ValueError("it needs the losses; leave out score=False")
        if fault == "raises":
            raise KeyError("mean")
        if fault == "raises in refine" and i > 30:
            raise KeyError("mean")
        if fault == "writes losses":
            losses[0] = 0.0
        if fault == "changes every":
            self.every = 10
        if fault == "moves" and i == 10:
            shared = approx.params[0]
            shared.set_value(shared.get_value() + 1.0)
        if fault == "next":
            next(self.steps)
        if fault == "stops" and i >= 15:
            raise StopIteration("that was enough")


class Deaf(Callback):
    """Does not hand its interval on."""

    def __init__(self, every=3):
        super().__init__()

    def __call__(self, approx, losses, i):
        pass


FAULTS = {
    "no every": r"Wrong has no every: call super\(\).__init__\(every\)",
    "bad every": r"every=2\.5: must be a whole number",
    "raises": r"it raises KeyError at step 5: 'mean'",
    "raises in refine": r"in refine\(\), it raises KeyError at step 35",
    "writes losses": r"raises ValueError at step 5: .*read-only\. losses can only be read",
    "changes every": r"changes every from 5 to 10 at step 5",
    "moves": r"changes the run, which fails: RuntimeError: Parameters were set during a run",
    "next": r"ends the run at step 20 without a reason",
    "needs losses": r"losses is None where the fit was told score=False, and it raises TypeError",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_names_the_fault(fault):
    with pytest.raises(AssertionError, match=FAULTS[fault]):
        check_callback(Wrong(fault))


@pytest.mark.parametrize("fault", ["", "stops", "refuses None"])
def test_a_right_one_passes(fault):
    check_callback(Wrong(fault))


def test_functions():
    check_callback(lambda approx, losses, i: None)
    with pytest.raises(AssertionError, match=r"cannot be called with \(approx, losses, i\)"):
        check_callback(lambda approx, losses: None)
    with pytest.raises(AssertionError, match=r"3 in callbacks cannot be called"):
        check_callback(3)


def test_classes():
    check_callback(Wrong)
    with pytest.raises(AssertionError, match=r"Deaf\(every=7\) has every=1: hand it on"):
        check_callback(Deaf)


def test_one_that_changes_the_data():
    """Another number of the run, unless it is meant to be."""
    with pm.Model() as model:
        data = pm.Data("data", 1.0)
        pm.Normal("y", pm.Normal("x"), observed=data)

    def change(approx, losses, i):
        data.set_value(float(i > 10))

    with pytest.raises(AssertionError, match=r"changes the run: the loss of step 2 is .*changes_r"):
        check_callback(change, model=model)
    check_callback(change, model=model, changes_run=True)
