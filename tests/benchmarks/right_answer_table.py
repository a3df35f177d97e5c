"""Seconds to the right answer as Markdown and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from right_answer_systems import SYSTEMS
from right_answer_targets import TARGETS

__all__ = ["picture", "table"]

type Run = dict[str, Any]
"""A line of the file."""

OURS = "vi (default)"
CACHES = ("cold", "warm")

COLOURS = {"vi": "#0072B2", "NUTS": "#E69F00", "pymc-extras": "#CC79A7", "NumPyro": "#009E73"}
"""By the first word of a system's name; told apart by the colour-blind, on white and on black."""

MARKERS = {"vi": "o", "NUTS": "s", "pymc-extras": "^", "NumPyro": "D"}
OTHERS, OTHER_MARKER = "#D55E00", "v"
GREY = "#888888"
"""Of all that is no dot: seen on white and on black."""


def table(runs: Sequence[Run], clock: str) -> str:
    """A row a target and cache: seconds of each system, or its error where it never arrived."""
    systems = [name for name in SYSTEMS if any(run["system"] == name for run in runs)]
    lines = [f"| target | cache | {' | '.join(systems)} | vi (default) / best peer |"]
    lines.append("|---" * (len(systems) + 3) + "|")
    ratios: dict[str, list[float]] = {cache: [] for cache in CACHES}
    for target in TARGETS:
        for cache in CACHES:
            cells = [_cell(_run(runs, target, name, cache), clock) for name in systems]
            if not any(cells):
                continue
            ratio = _ratio(runs, target, cache, clock)
            ratios[cache] += [ratio] if np.isfinite(ratio) else []
            told = f"{ratio:.2f}" if np.isfinite(ratio) else ""
            name = TARGETS[target].title if cache == "cold" else ""
            lines.append(f"| {name} | {cache} | {' | '.join(cells)} | {told} |")
    for cache, found in ratios.items():
        if found:
            mean = np.exp(np.mean(np.log(found)))
            above = sum(ratio > 1 for ratio in found)
            lines += ["", f"{cache}: {mean:.2f} in the geometric mean of {len(found)} ratios; "]
            lines[-1] += f"the best peer is faster on {above}."
    return "\n".join(lines)


def _run(runs: Sequence[Run], target: str, system: str, cache: str) -> Run | None:
    found = [
        run
        for run in runs
        if (run["target"], run["system"], run["cache"]) == (target, system, cache)
    ]
    return found[-1] if found else None


def _cell(run: Run | None, clock: str) -> str:
    if run is None:
        return ""
    if "right" in run:
        return f"{run[clock]:.1f}"
    error = max(run.get("mean", np.inf), run.get("sd", np.inf))
    return f"never ({error:.2g})" if np.isfinite(error) else "failed"


def _ratio(runs: Sequence[Run], target: str, cache: str, clock: str) -> float:
    """Our default's seconds over those of the best peer that arrived."""
    ours, peers = _run(runs, target, OURS, cache), []
    for name in SYSTEMS:
        run = None if name.startswith("vi") else _run(runs, target, name, cache)
        peers += [run[clock]] if run is not None and "right" in run else []
    if ours is None or "right" not in ours or not peers:
        return np.nan
    return float(ours[clock] / min(peers))


def picture(runs: Sequence[Run], path: Path, clock: str) -> None:
    """A row a target, a dot a system that arrives: filled with warm caches, hollow with cold."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    targets = [name for name in TARGETS if any(run["target"] == name for run in runs)]
    settings = {"font.size": 9, "svg.fonttype": "none"}
    settings |= dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), GREY
    )
    with mpl.rc_context(settings):
        figure, axes = plt.subplots(figsize=(7.5, 0.42 * len(targets) + 1.4), layout="constrained")
        named: dict[str, Any] = {}
        for run in runs:
            if "right" not in run or run["target"] not in targets:
                continue
            word = run["system"].split(" ")[0]
            kind = word if word in COLOURS else "pm.fit"
            colour = COLOURS.get(kind, OTHERS)
            named[kind] = axes.scatter(
                run[clock],
                targets.index(run["target"]),
                s=40,
                marker=MARKERS.get(kind, OTHER_MARKER),
                facecolors=colour if run["cache"] == "warm" else "none",
                edgecolors=colour,
                zorder=3,
            )
        axes.set_yticks(range(len(targets)), [TARGETS[name].title for name in targets])
        axes.invert_yaxis()
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("{x:g}")
        axes.grid(axis="y", color=GREY, alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        what = "processor seconds" if clock == "processor" else "seconds"
        axes.set_xlabel(f"{what} to the right answer (hollow: cold caches, filled: warm)")
        handles = [
            mpl.lines.Line2D(
                [], [], linestyle="", marker=MARKERS.get(kind, OTHER_MARKER),
                color=COLOURS.get(kind, OTHERS), label=kind,
            )
            for kind in named
        ]  # fmt: skip
        figure.legend(handles=handles, loc="outside upper center", ncols=5, frameon=False)
        figure.savefig(path, dpi=150, transparent=True)
        plt.close(figure)
