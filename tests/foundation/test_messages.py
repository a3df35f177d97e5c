"""Where messages are shown: standard error, and in notebooks what is no warning beside the rest."""

from __future__ import annotations

import logging

import pytest

from vi.foundation.messages import MessageHandler


@pytest.fixture
def logger():
    made, handler = logging.getLogger("of_this_test"), MessageHandler()
    made.setLevel(logging.INFO)
    made.propagate = False
    made.addHandler(handler)
    yield made
    made.removeHandler(handler)


@pytest.mark.parametrize("notebook", [False, True])
def test_only_warnings_are_on_standard_error_in_a_notebook(notebook, logger, monkeypatch, capsys):
    monkeypatch.setattr("rich.console._is_jupyter", lambda: notebook)
    logger.info("calm")
    logger.warning("alarm")
    shown = capsys.readouterr()
    assert shown.err == ("alarm\n" if notebook else "calm\nalarm\n")
    assert shown.out == ("calm\n" if notebook else "")
