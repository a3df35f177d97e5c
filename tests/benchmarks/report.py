"""The numbers as a page of Markdown."""

from __future__ import annotations

import datetime as dt
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from statistics import median

from engines import END_TO_END_STEPS, ENGINES
from measure import Fresh, Steps
from workloads import WORKLOADS

__all__ = ["bar_lines", "environment_lines", "ratios", "setting_lines", "workload_lines"]

DISTRIBUTIONS = (
    "pymc-vi",
    "pymc",
    "pytensor",
    "numba",
    "jax",
    "optax",
    "numpy",
    "rich",
    "pymc-extras",
    "numpyro",
    "zarr",
    "xarray",
)
PAIRS = (
    ("vi_jax", "pm_fit", 1 / 30),
    ("vi_jax", "numpyro", 1.1),
    ("vi_jax_float32", "numpyro_float32", None),
    ("vi_jax", "pymc_extras", None),
    ("vi_pytensor", "pm_fit", None),
    ("vi_jax", "vi_pytensor", None),
    ("vi_jax", "vi_jax_all_rows", None),
)
"""Which engines are compared, and the largest ratio that is accepted on eight schools."""

PEERS = ("pm_fit", "pymc_extras", "numpyro")
"""Those whose best is the bar, in double precision."""

BAR_LIMIT = 0.02


def environment_lines() -> list[str]:
    """When, where and with what."""
    versions = [f"{name} {_version(name)}" for name in DISTRIBUTIONS]
    command = shlex.join([Path(sys.executable).name, *sys.argv])
    machine = (
        f"{_processor()}, {os.cpu_count()} cores; {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}; thread settings as they come; "
        f"load average at the start {os.getloadavg()[0]:.2f}"
    )
    return [
        f"- {dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC, commit {_commit()}",
        f"- {machine}",
        f"- {', '.join(versions)}",
        f"- `{command}`",
    ]


def setting_lines(rounds: int, fresh_rounds: int, seconds: float) -> list[str]:
    """When, where, with what and how."""
    step = (
        f"A step: median of {rounds} interleaved rounds, about {seconds:g} s each, from the public "
        "call "
        "(vi: `approx.refine(n, progressbar=False)`); in brackets the smallest and the largest."
    )
    call = (
        "First call: from the built model until the first step is done, conversion and compilation "
        "included, imports "
        f"not; {END_TO_END_STEPS:,} steps: from the built model until they are done, first call "
        "included. Each in a "
        f"fresh process, median of {fresh_rounds}. Cold: PyTensor's and numba's disk caches in an "
        "empty folder; warm: "
        "the same in a second process."
    )
    return [
        *environment_lines(),
        "- Mean-field ADVI, one draw a step, float64 unless it says otherwise.",
        f"- {step}",
        f"- {call}",
    ]


def workload_lines(workload: str, steps: Steps, fresh: Fresh) -> list[str]:
    """The table of one workload and its ratios."""
    run = f"{END_TO_END_STEPS:,} steps"
    lines = [
        f"## {WORKLOADS[workload].title}",
        "",
        (
            f"| engine | us a step | steps/s | first call, cold (s) | warm (s) | {run}, cold (s) | "
            "warm (s) |"
        ),
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {engine.title} | {' | '.join(_cells(steps[name], fresh.get(name, {})))} |"
        for name, engine in ENGINES.items()
    ]
    lines += ["", "Time a step, median of the ratios of each round:", ""]
    for one, other, limit in PAIRS:
        pair = ratios(steps, one, other)
        if not pair:
            text = "not measured"
        else:
            value = median(pair)
            inverse = f"1/{1 / value:.1f}; " if value < 0.5 else ""
            text = f"{value:.4g} ({inverse}{min(pair):.4g} to {max(pair):.4g})"
            if limit is not None and workload == "eight_schools":
                text += (
                    f", at most {limit:.4g} wanted: {'kept' if value <= limit else '**missed**'}"
                )
        lines.append(f"- {ENGINES[one].title} / {ENGINES[other].title}: {text}")
    return [*lines, _to_the_best_peer(steps), ""]


def _to_the_best_peer(steps: Steps) -> str:
    """What ``backend="auto"`` takes beside the fastest peer."""
    times = {name: steps[name] for name in PEERS if not isinstance(steps[name], str)}
    if not times or isinstance(steps["vi_jax"], str):
        return "- the best peer: not measured"
    best = min(times, key=lambda name: median(times[name]))  # type: ignore[arg-type]
    value = median(ratios(steps, "vi_jax", best))
    return f"- **{ENGINES['vi_jax'].title} / the best peer**, {ENGINES[best].title}: {value:.3g}"


def bar_lines(costs: dict[str, tuple[list[float], int] | str]) -> list[str]:
    """The cost of the progress bar."""
    lines = [
        "## The progress bar",
        "",
        "The same steps with the bar drawn to a pseudo-terminal, and without:",
        "",
    ]
    for workload, cost in costs.items():
        if isinstance(cost, str):
            lines.append(f"- {WORKLOADS[workload].title}: {cost}")
            continue
        pair, written = cost
        extra = median(pair) - 1
        verdict = "kept" if extra <= BAR_LIMIT else "**missed**"
        lines.append(
            f"- {WORKLOADS[workload].title}: {extra:+.2%} ({min(pair) - 1:+.2%} to "
            f"{max(pair) - 1:+.2%} in {len(pair)} "
            f"rounds; {written:,} bytes drawn), at most {BAR_LIMIT:.0%} wanted: {verdict}"
        )
    return [*lines, ""]


def ratios(steps: Steps, one: str, other: str) -> list[float]:
    """Time of one engine over another's, round by round; empty where either is missing."""
    a, b = steps[one], steps[other]
    if isinstance(a, str) or isinstance(b, str):
        return []
    return [x / y for x, y in zip(a, b, strict=True)]


def _cells(steps: list[float] | str, fresh: dict[str, list[float]] | str) -> list[str]:
    if isinstance(steps, str):
        cells = [steps, ""]
    else:
        micro = [1e6 * value for value in steps]
        cells = [
            f"{median(micro):.3g} ({min(micro):.3g} to {max(micro):.3g})",
            f"{1e6 / median(micro):,.0f}",
        ]
    if isinstance(fresh, str):
        return [*cells, fresh, "", "", ""]
    return cells + [
        _seconds(fresh, kind, state)
        for kind in ("first", "end_to_end")
        for state in ("cold", "warm")
    ]


def _seconds(fresh: dict[str, list[float]], kind: str, state: str) -> str:
    """A median; an engine without a disk cache has one number, shown as the cold one."""
    values: Sequence[float] = fresh.get(
        f"{kind}, {state}", fresh.get(f"{kind}, none", []) if state == "cold" else []
    )
    if values:
        return f"{median(values):.2f}"
    return "no cache" if f"{kind}, none" in fresh else "not measured"


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"


def _commit() -> str:
    here = Path(__file__).parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _processor() -> str:
    """The processor's name: Linux keeps it in a file, elsewhere `platform` may know it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"
