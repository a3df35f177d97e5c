"""Runs of a benchmark in a file: one JSON line each, written as soon as it is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def runs_of(path: Path) -> list[dict[str, Any]]:
    """The runs that a file has; none where there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def append(path: Path, run: dict[str, Any]) -> None:
    """Add a run to a file."""
    with path.open("a") as file:
        file.write(json.dumps(run) + "\n")
