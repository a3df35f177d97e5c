"""SIGTERM, and Ctrl-C before the first step."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from checkpointed import named

from vi.approximation.files.contents import contents
from vi.training.one import OneRun

fit = named("advi")
KILLS = Path(__file__).parents[2] / "benchmarks" / "kills.py"


class EndedError(Exception):
    pass


@pytest.fixture
def handler():
    """SIGTERM as a program handles it that cleans up; put back after the test."""

    def handle(number, frame):
        raise EndedError

    before = signal.signal(signal.SIGTERM, handle)
    yield handle
    signal.signal(signal.SIGTERM, before)


def terminate_at(step):
    def callback(approx, losses, i):
        if i == step:
            signal.raise_signal(signal.SIGTERM)

    return callback


def test_sigterm_writes_a_checkpoint_and_then_acts(handler, tmp_path):
    path = tmp_path / "run.vi"
    with pytest.raises(EndedError):
        fit(checkpoint=path, callbacks=[terminate_at(130)])
    assert signal.getsignal(signal.SIGTERM) is handler
    assert int(contents(path)[0]["step"]) == 130
    np.testing.assert_array_equal(fit(checkpoint=path).hist, fit().hist)


def test_a_handler_that_does_nothing_leaves_an_interrupted_fit(tmp_path):
    seen = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        approx = fit(checkpoint=tmp_path / "run.vi", callbacks=[terminate_at(130)])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [signal.SIGTERM]
    assert (approx.status.ending, approx.status.step) == ("interrupted", 130)
    assert approx.status.message.startswith("SIGTERM")
    approx.refine(170, progressbar=False, callbacks=[])
    np.testing.assert_array_equal(approx.hist, fit().hist)


def test_without_a_checkpoint_the_signal_is_left_alone(handler):
    with pytest.raises(EndedError):
        fit(callbacks=[terminate_at(130)])


def test_other_threads_install_no_handler(tmp_path):
    seen, errors = [], []

    def work():
        try:
            look = lambda *_: seen.append(signal.getsignal(signal.SIGTERM))  # noqa: E731
            fit(checkpoint=tmp_path / "run.vi", callbacks=[look])
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    thread = threading.Thread(target=work)
    before = signal.getsignal(signal.SIGTERM)
    thread.start()
    thread.join()
    assert not errors
    assert set(seen) == {before}


def test_ctrl_c_while_it_is_compiled_keeps_the_state(tmp_path, monkeypatch):
    def interrupted(self, inputs):
        raise KeyboardInterrupt

    path = tmp_path / "run.vi"
    with monkeypatch.context() as patch:
        patch.setattr(OneRun, "warm_up", interrupted)
        approx = fit(checkpoint=path)
        assert (approx.status.ending, approx.status.step) == ("interrupted", 0)
        assert "while it was compiled" in approx.status.message
    approx.refine(300, progressbar=False)
    np.testing.assert_array_equal(approx.hist, fit().hist)
    np.testing.assert_array_equal(fit(checkpoint=path).hist, approx.hist)
    with monkeypatch.context() as patch:
        patch.setattr(OneRun, "warm_up", interrupted)
        approx.refine(50, progressbar=False)
    assert (approx.status.ending, approx.status.step) == ("interrupted", 300)
    assert len(approx.hist) == 300


def test_ctrl_c_that_python_drops_while_it_is_compiled_is_heard_at_the_first_step(monkeypatch):
    """Python drops an exception in what its garbage collector calls, as JAX has it do."""
    real = OneRun.warm_up

    def interrupted(self, inputs):
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        real(self, inputs)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        monkeypatch.setattr(OneRun, "warm_up", interrupted)
        approx = fit()
    finally:
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        signal.signal(signal.SIGINT, before)
    assert (approx.status.ending, approx.status.step) == ("interrupted", 1)


def kills(*arguments):
    command = [sys.executable, str(KILLS), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="processes are forked")
def test_killed_at_random_moments_it_goes_on_bit_for_bit():
    cases = ("advi", "restarts", "resume", "save", "sample")
    done = kills("--kills", "20", "--each", "4", "--cases", *cases)
    assert done.returncode == 0, done.stderr
    assert "all went on bit for bit" in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="processes are forked")
def test_ended_by_sigterm_it_goes_on_bit_for_bit():
    done = kills("--kills", "6", "--cases", "advi", "callback", "--signal", "TERM")
    assert done.returncode == 0, done.stderr
