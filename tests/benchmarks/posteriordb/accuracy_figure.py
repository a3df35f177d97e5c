"""The picture: error against seconds, a panel a system, a dot a posterior.

Every panel has the dots of all systems in grey, and those of its own in colour, so that one sees at
a glance where a system stands among the others: the good ones lie low and to the left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from accuracy_table import LEVELS, Run, error_of, ordered_systems

__all__ = ["picture"]

COLOURS = {"vi": "#0072B2", "NUTS": "#000000"}
"""By the first word of a system's name; these and that of all others are told apart by the
colour-blind."""

OTHERS = "#D55E00"
LOWEST, HIGHEST = 0.01, 30.0
"""The range of errors that is drawn; what is larger lies on the upper edge as a triangle."""

COLUMNS = 4

HOW_TO_READ = """\
Low and left is good. A dot is a posterior: of this system in colour, of all others in grey.
Green: right (B, below 0.3; darker A, below 0.1). Upper edge: far off (triangle), failed (cross).
Under a name: how often the system is right, and its seconds in the median."""


def picture(runs: Sequence[Run], path: Path, clock: str, shown: Sequence[str]) -> None:
    """Draw the runs.

    Parameters
    ----------
    runs : sequence of dict
        The lines of the file.
    path : Path
        A file that matplotlib can write.
    clock : {"wall", "processor"}
        Which seconds, with compilation.
    shown : sequence of str
        The systems that have a panel, where there are runs; all are there in grey.
    """
    known = [system for system in ordered_systems(runs) if system in shown]
    systems = sorted(known, key=lambda system: _rank(runs, system))
    if not systems:
        raise SystemExit("There are no runs to draw: name their file by --out.")
    name = "seconds" if clock == "wall" else "processor"
    rows = math.ceil(len(systems) / COLUMNS)
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure, axes = plt.subplots(
            rows,
            min(COLUMNS, len(systems)),
            figsize=(2.6 * min(COLUMNS, len(systems)), 2.1 * rows + 0.9),
            sharex=True,
            sharey=True,
            squeeze=False,
            layout="constrained",
        )
        for panel, system in zip(axes.flat, systems, strict=False):
            _panel(panel, runs, system, name)
        for panel in axes.flat[len(systems) :]:
            panel.set_visible(False)
        for column in range(axes.shape[1]):
            lowest = [panel for panel in axes[:, column] if panel.get_visible()][-1]
            lowest.tick_params(labelbottom=True)
        of = "" if clock == "wall" else "processor "
        figure.supxlabel(f"{of}seconds, with compilation")
        between = "\n" if rows == 1 else " "
        figure.supylabel(f"worst error of a mean{between}(in sds) or of a log sd")
        figure.suptitle(HOW_TO_READ, fontsize=9)
        figure.savefig(path, dpi=150)
        plt.close(figure)


def _panel(panel: Any, runs: Sequence[Run], system: str, clock: str) -> None:
    for limit in LEVELS.values():
        panel.axhspan(LOWEST, limit, color="#009E73", alpha=0.13, linewidth=0)
    own = [run for run in runs if run["system"] == system]
    _dots(panel, [run for run in runs if run["system"] != system], clock, "0.82", 6)
    _dots(
        panel, own, clock, COLOURS.get(system.split(" ", maxsplit=1)[0].split("-")[0], OTHERS), 20
    )
    right = sum(error_of(run) < LEVELS["B"] for run in own)
    times = [run[clock] for run in own if clock in run]
    median = f"; {np.median(times):.2g} s" if times else ""
    panel.set_title(f"{system}\nright in {right} of {len(own)}{median}", fontsize=9)
    panel.set(xscale="log", yscale="log", ylim=(LOWEST, HIGHEST * 1.6))
    panel.set_yticks([0.01, 0.1, 0.3, 1, 10], ["0.01", "0.1", "0.3", "1", "10"])
    panel.minorticks_off()
    panel.xaxis.set_major_formatter("{x:g}")


def _dots(panel: Any, runs: Sequence[Run], clock: str, colour: str, size: float) -> None:
    timed = [run for run in runs if clock in run]
    seconds = np.array([run[clock] for run in timed])
    errors = np.array([error_of(run) for run in timed])
    kinds = {
        "o": errors <= HIGHEST,
        "^": (errors > HIGHEST) & np.isfinite(errors),
        "x": np.isinf(errors),
    }
    for marker, which in kinds.items():
        drawn = np.clip(errors[which], LOWEST, HIGHEST)
        panel.scatter(
            seconds[which],
            drawn,
            s=size,
            c=colour,
            marker=marker,
            alpha=0.85,
            clip_on=False,
            linewidths=0.9 if marker == "x" else 0,
        )


def _rank(runs: Sequence[Run], system: str) -> tuple[float, float]:
    """The most often right first; among equals the smaller error."""
    errors = np.array([error_of(run) for run in runs if run["system"] == system])
    return -float(np.mean(errors < LEVELS["B"])), float(np.median(errors))
