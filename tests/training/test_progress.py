"""The progress bar in a notebook: one output, which is replaced, without widgets."""

from __future__ import annotations

import io
import re
import sys
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from rich.console import Console

from vi.training.progress import ProgressBar, in_one_place


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


def stage_in_two_parts():
    with in_one_place("match"):
        for n in (50, 100):
            with ProgressBar(n, "full_rank:") as bar:
                bar.update(n, np.full(n, 3.0), final=True)


def test_a_stage_has_one_output_that_says_it(shown):
    stage_in_two_parts()
    (states,) = shown
    assert all(state.startswith("match, full_rank:") for state in states)
    assert any("50/50" in state for state in states)
    assert "100/100" in states[-1]
    with ProgressBar(10, "full_rank:") as bar:  # of a fit after it
        bar.update(10, np.full(10, 3.0), final=True)
    assert len(shown) == 2
    assert shown[1][-1].startswith("full_rank:")


def left_on_screen(written):
    """Lines that a terminal shows in the end, of text with cursor movements."""
    lines, row = [""], 0
    for part in re.findall(r"\x1b\[[?\d;]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", written):
        if part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part.endswith("A") and part[0] == "\x1b":
            row -= int(part[2:-1] or 1)
        elif part == "\x1b[2K":
            lines[row] = ""
        elif part[0] not in "\x1b\r":
            lines[row] += part
    return [line for line in lines if line.strip()]


def test_a_stage_leaves_one_line_on_a_terminal(monkeypatch):
    terminal = io.StringIO()
    console = Console(file=terminal, force_terminal=True, width=120, _environ={})
    monkeypatch.setattr("vi.training.progress.Console", lambda: console)
    stage_in_two_parts()
    (line,) = left_on_screen(terminal.getvalue())
    assert "match, full_rank:" in line
    assert "100/100" in line
    assert "50/50" in terminal.getvalue()


def test_an_error_within_a_stage_ends_the_place(shown):
    with pytest.raises(RuntimeError), in_one_place("match"):
        raise RuntimeError
    with ProgressBar(10, "full_rank:"):
        pass
    assert shown[0][-1].startswith("full_rank:")
