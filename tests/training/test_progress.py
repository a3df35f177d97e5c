"""The progress bar in a notebook: one output, which is replaced, without widgets."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from vi.training.progress import ProgressBar


@pytest.fixture
def shown(monkeypatch):
    """What a cell would show, as a list of its outputs' states."""
    outputs: list[list[str]] = []

    def display(data, *, raw, display_id):
        assert raw
        assert display_id
        outputs.append([data["text/plain"]])
        return SimpleNamespace(
            update=lambda data, raw: outputs[-1].append(data["text/plain"]),
        )

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
