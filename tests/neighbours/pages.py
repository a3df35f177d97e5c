"""The page on neighbours: its sections, and the program behind their tables."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from shown import assert_shown, blocks

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "neighbours.md").read_text(encoding="utf-8")
ORDER = {"mmm": 0, "clv": 1, "marginal": 0, "statespace": 1, "hssm": 0}
"""Which table of its section is a program's."""


def section(title: str) -> str:
    """The section of the page with a heading."""
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def check_program(name: str, title: str) -> None:
    """Run the program for a neighbour: the page shows what it prints."""
    text = section(title)
    shown = blocks(text, "text")[ORDER[name]].text
    own = next(part for part in text.split("\n\n") if shown in part)
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "examples" / "neighbours.py", name],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert_shown(own, done.stdout)
