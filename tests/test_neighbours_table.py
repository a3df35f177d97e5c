"""The table of neighbours: what it shows of runs, and that the docs show the runs that are kept."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import neighbours_table
import pytest
from json_lines import runs_of
from neighbour_entries import ENTRIES
from neighbours_table import HERE, TIED, python_of, table
from users_reference import load

PAGE = Path(__file__).parents[1] / "docs" / "neighbours.md"
REFERENCE = {"versions": {"bambi": "0.21.0", "pymc": "6.4.0"}, "rhat": 1.0012, "ess": 2090}
RUN = {"model": "bambi_intercepts", "mean": 0.066, "sd": 0.092, "processor": 25.6}


def test_a_row_has_errors_and_processor_seconds_of_each_way():
    ours = RUN | {"way": "ours", "verdict": "good"}
    failed = {"model": "bambi_intercepts", "way": "own", "error": "more than 1,200 s"}
    shown = table({"bambi_intercepts": REFERENCE}, [ours, failed]).splitlines()
    assert shown[2].startswith("| **bambi 0.21.0, PyMC 6.4.0**: `vi.bambi.fit(model)` |")
    row = shown[3].replace("\\|", "/").replace(TIED, " ")
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    assert cells[1:] == ["0.07 / 0.09, 26 s", "good", "failed", "", "", "1.001, 2,090"]
    assert len({row.replace("\\|", "").count("|") for row in shown}) == 1


def test_a_model_that_was_not_run_has_no_row():
    assert len(table({}, []).splitlines()) == 2
    assert len(table({"bambi_intercepts": REFERENCE}, []).splitlines()) == 2


@pytest.mark.parametrize("name", ENTRIES)
def test_each_row_has_a_way_of_ours_and_of_the_library(name):
    ways = ENTRIES[name].ways()
    assert list(ways) == ["ours", "own", "NUTS", "other"]
    assert len({(label, *arguments) for label, arguments in ways.values()}) == 4
    assert python_of(ENTRIES[name]).parts[-1].startswith("python")


def test_a_run_that_takes_too_long_ends_with_what_it_started(tmp_path, monkeypatch):
    monkeypatch.setattr(neighbours_table, "CAP", 1.0)
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nsleep 600 &\necho $! > {tmp_path}/started\nwait\n")
    python.chmod(0o755)
    run = neighbours_table._process(python, "clv", "own", tmp_path / "references")
    assert run["error"] == "more than 1 s"
    started = (tmp_path / "started").read_text().strip()
    for _ in range(100):  # until it is gone, or waits for its parent to notice
        found = subprocess.run(
            ["ps", "-o", "stat=", "-p", started], stdout=subprocess.PIPE, check=False
        )
        if found.stdout.strip()[:1] in (b"", b"Z"):
            return
        time.sleep(0.05)
    pytest.fail("what it started goes on")


def test_the_docs_show_what_was_run():
    results = HERE / "results"
    references, runs = (
        load(results / "neighbours_references.jsonl"),
        runs_of(results / "neighbours.jsonl"),
    )
    assert table(references, runs) in PAGE.read_text(encoding="utf-8")
