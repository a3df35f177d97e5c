"""The progress bar in a notebook: one output, which is replaced, without widgets."""

from __future__ import annotations

import re
import sys
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from vi.training.progress import ProgressBar


def checked(data):
    """The line, which the HTML has as well."""
    assert set(data) == {"text/plain", "text/html"}
    assert "".join(ET.fromstring(data["text/html"]).itertext()) == data["text/plain"]
    return data["text/plain"]


@pytest.fixture
def shown(monkeypatch):
    """What a cell would show, as a list of its outputs' states."""
    outputs: list[list[str]] = []

    def display(data, *, raw, display_id):
        assert raw
        assert display_id
        outputs.append([checked(data)])
        return SimpleNamespace(update=lambda data, raw: outputs[-1].append(checked(data)))

    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    return outputs


def test_one_output_is_replaced(shown, capsys):
    with ProgressBar(100, "advi") as bar:
        bar.begin()
        bar.update(40, np.full(40, 3.0), final=True)
        bar.update(100, np.full(100, 2.5), final=True)
    (states,) = shown
    assert "compiling" in states[0]
    assert "40/100" in states[1]
    assert "loss 3" in states[1]
    assert "100/100" in states[-1]
    assert "loss 2.5" in states[-1]
    assert all(len(state.splitlines()) == 1 for state in states)
    assert capsys.readouterr() == ("", "")


def test_nothing_is_shown_where_it_is_off(shown):
    with ProgressBar(100, "advi", enabled=False) as bar:
        bar.begin()
        bar.update(100, np.zeros(100), final=True)
    assert shown == []


def stopped():
    with ProgressBar(100, "advi") as bar:
        bar.begin()
        bar.update(40, np.full(40, 3.0), final=True)
        raise KeyboardInterrupt


def test_a_run_that_is_stopped_leaves_its_last_state(shown):
    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert "40/100" in shown[0][-1]


def test_a_run_that_ends_early_has_nothing_left(shown):
    """The time at the end is what it took, here half a minute, and no more the days to go."""
    with ProgressBar(10**12, "advi") as bar:
        bar._progress.tasks[0].start_time -= 30
        bar.begin()
        for done in (20, 40, 60):
            bar.update(done, np.full(done, 3.0), final=True)
    assert not re.search(r" 00:\d\d$", shown[0][-2])
    assert re.search(r" 00:[345]\d$", shown[0][-1])


def test_the_bar_has_a_part_that_is_not_done(shown):
    with ProgressBar(100, "<a & b>") as bar:
        bar.update(25, np.full(25, 3.0), final=True)
    assert "━" * 3 + "─" * 9 in shown[0][-1]
    assert shown[0][-1].startswith("<a & b>")
