"""Runs as Markdown: who is right, how long it takes, what verdicts are worth, and every error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from systems import SYSTEMS

__all__ = ["Run", "error_of", "ordered_systems", "tables"]

type Run = dict[str, Any]
"""A line of the file."""

LEVELS = {"A": 0.1, "B": 0.3}

FAR_OFF = 1.0

VERDICTS = ("good, of those at A", "good, not at B", "means only, error above 1")

ERRORS = """\
- Error: the larger of |mean - reference| / sd and |log(sd / reference)|, of the scalar with the
  largest; A: below 0.1; B: below 0.3. Fits that failed count as infinitely wrong."""

COLUMNS = (
    *("system", "runs", "A", "B", "failed", "error, median", "worst", "W1/sd, median"),
    *("seconds", "without compilation", "gradients"),
)


def error_of(run: Run) -> float:
    """The larger of the errors of means and of log sds; infinite where there was no fit."""
    return np.inf if "error" in run else max(run["mean"], run["sd"])


def ordered_systems(runs: Sequence[Run]) -> list[str]:
    """The systems that have runs, in the order of the table of systems."""
    present = {run["system"] for run in runs}
    return [system for system in SYSTEMS if system in present]


def tables(runs: Sequence[Run], clock: str) -> str:
    """What was run with what, a row a system, and a row a posterior.

    Parameters
    ----------
    runs : sequence of dict
        The lines of the file.
    clock : {"wall", "processor"}
        Which seconds are shown.
    """
    if not runs:
        raise SystemExit("There are no runs to print: name their file by --out.")
    return "\n".join(
        [
            *_setting(runs, clock),
            "",
            *_by_system(runs, clock),
            "",
            *_verdicts(runs),
            *_by_posterior(runs),
        ]
    )


def _setting(runs: Sequence[Run], clock: str) -> list[str]:
    dates = sorted(run["date"] for run in runs)
    found: dict[str, set[str]] = {}
    for run in runs:
        for name, version in run.get("versions", {}).items():
            found.setdefault(name, set()).add(version)
    versions = ", ".join(f"{name} {' and '.join(sorted(of))}" for name, of in found.items())
    loads = [run["load"] for run in runs if "load" in run]
    where = "on the wall" if clock == "wall" else "of the processors"
    return [
        f"- {dates[0]} to {dates[-1]}; {versions}",
        f"- Seconds by the clock {where}; load average {np.median(loads):.1f} in the median.",
        ERRORS,
    ]


def _by_system(runs: Sequence[Run], clock: str) -> list[str]:
    first, rest = ("seconds", "running") if clock == "wall" else ("processor", "running_processor")
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    for system in ordered_systems(runs):
        of = [run for run in runs if run["system"] == system]
        errors = np.array([error_of(run) for run in of])
        distances = [np.inf if "error" in run else run["w1"] for run in of]
        cells = [
            system,
            len(of),
            *(int(np.sum(errors < limit)) for limit in LEVELS.values()),
            sum("error" in run for run in of),
            *(_short(value) for value in (np.median(errors), errors.max(), np.median(distances))),
            *(_short(_median(of, name)) for name in (first, rest)),
            _short(_median(of, "gradients"), ",.0f"),
        ]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return lines


def _verdicts(runs: Sequence[Run]) -> list[str]:
    """Whether verdicts agree with errors; nothing where no system gives one."""
    judged = [run for run in runs if "verdict" in run]
    if not judged:
        return []
    lines = ["| system | " + " | ".join(VERDICTS) + " |", "|---" * (len(VERDICTS) + 1) + "|"]
    for system in ordered_systems(judged):
        of = [(error_of(run), run["verdict"]) for run in judged if run["system"] == system]
        right = [verdict for error, verdict in of if error < LEVELS["A"]]
        cells = (
            f"{right.count('good')} of {len(right)}",
            sum(error > LEVELS["B"] and verdict == "good" for error, verdict in of),
            sum(error > FAR_OFF and verdict == "means only" for error, verdict in of),
        )
        lines.append(f"| {system} | " + " | ".join(map(str, cells)) + " |")
    return [*lines, ""]


def _by_posterior(runs: Sequence[Run]) -> list[str]:
    """The errors of the worst seed."""
    systems = ordered_systems(runs)
    lines = ["| posterior | " + " | ".join(systems) + " |", "|---" * (len(systems) + 1) + "|"]
    posteriors = list(dict.fromkeys(run["posterior"] for run in runs))
    models = [posterior.split("-", 1)[1] for posterior in posteriors]
    for posterior, model in zip(posteriors, models, strict=True):
        name = model if models.count(model) == 1 else posterior
        cells = []
        for system in systems:
            of = [r for r in runs if (r["posterior"], r["system"]) == (posterior, system)]
            cells.append(_short(max(map(error_of, of))) if of else "")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def _median(runs: Sequence[Run], name: str) -> float:
    values = [run[name] for run in runs if name in run]
    return float(np.median(values)) if values else np.nan


def _short(value: float, form: str = ".2g") -> str:
    if np.isnan(value):
        return ""
    if np.isinf(value):
        return "failed"
    return f"{value:.0f}" if form == ".2g" and value >= 100 else f"{value:{form}}"
