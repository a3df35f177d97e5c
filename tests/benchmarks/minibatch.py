"""Minibatches in vi beside its peers: time a step, and how near a fit of a few passes over the data
comes.

Run with ``python tests/benchmarks/minibatch.py``, with the peers from the environment of ``make
bench-peers``. A fit's errors are those of the unconstrained parameters against the posterior of all
rows: of the mean in posterior sds, of the logarithm of the sd.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from pathlib import Path
from statistics import median
from typing import Any

from measure import Steps, steady_state
from minibatch_engines import ENGINES, missing
from minibatch_workloads import WORKLOADS, Setting, reference
from references import errors
from report import environment_lines
from worker import Worker, WorkerError

MODULE = "minibatch_engines"


def main() -> None:
    options = _options()
    os.environ["JAX_PLATFORMS"] = (
        "cuda,cpu" if options.device == "gpu" else "cpu"
    )  # before a worker imports jax
    print("\n".join(["# Minibatches", "", *environment_lines()]), flush=True)
    results = {}
    for workload in options.workloads:
        setting = _setting(workload, options)
        absent = {name: missing(ENGINES[name]) for name in options.engines}
        wanted = [name for name in options.engines if not absent[name]]
        steps = steady_state(wanted, setting.dumps(), options.rounds, options.seconds, MODULE)
        steps |= {name: reason for name, reason in absent.items() if reason}
        fits = _fits([name for name in wanted if not isinstance(steps[name], str)], setting)
        results[workload] = {
            "setting": json.loads(setting.dumps()),
            "seconds_a_step": steps,
            "fits": fits,
        }
        print(
            "\n".join(_lines(WORKLOADS[workload].title, setting, steps, fits, options.bandwidth)),
            flush=True,
        )
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1))


def _setting(workload: str, options: argparse.Namespace) -> Setting:
    given = WORKLOADS[workload]
    rows = options.rows or given.rows
    batch = min(given.batch or rows, rows)
    steps = math.ceil((options.epochs or given.epochs) * rows / batch / 1_000) * 1_000
    return Setting(given.name, rows, given.columns, batch, steps, options.adam)


def _fits(engines: list[str], setting: Setting) -> dict[str, dict[str, Any] | str]:
    """Each engine's fit in a process of its own, with errors in place of the posterior."""
    exact = reference(setting)
    fits: dict[str, dict[str, Any] | str] = {
        "best mean-field normal": errors(exact, exact.mean.tolist(), exact.mean_field_sd.tolist())
    }
    for name in engines:
        try:
            with Worker(name, setting.dumps(), module=MODULE) as worker:
                answer = worker.ask("fit", n=setting.steps)
        except WorkerError as error:
            fits[name] = f"failed: {error}"
            continue
        fits[name] = errors(exact, answer.pop("mean"), answer.pop("sd")) | answer
    return fits


def _lines(
    title: str,
    setting: Setting,
    steps: Steps,
    fits: dict[str, dict[str, Any] | str],
    bandwidth: float | None,
) -> list[str]:
    passes = setting.steps * setting.batch / setting.rows
    optimizer = (
        "each engine's default"
        if setting.rate is None
        else f"Adam({setting.rate:g}) in all engines"
    )
    share = " share of bandwidth |" if bandwidth else ""
    head = (
        f"| engine | us a step | rows/s |{share} first call (s) | the fit (s) | mean, rms (sds) | "
        "worst | "
        "log sd, rms | worst | device |"
    )
    lines = [
        "",
        f"## {title}: {setting.rows:,} x {setting.columns}, batches of {setting.batch:,}",
        "",
        (
            f"Optimiser: {optimizer}. The fit: {setting.steps:,} steps, {passes:.3g} passes over "
            "the data."
        ),
        "",
        head,
        "|---" * (head.count("|") - 1) + "|",
    ]
    for name, times in steps.items():
        fit = fits.get(name, {})
        if isinstance(times, str):
            lines.append(f"| {ENGINES[name].title} | {times} |")
            continue
        micro = [1e6 * value for value in times]
        cells = [f"{median(micro):.4g} ({min(micro):.4g} to {max(micro):.4g})"]
        cells.append(f"{setting.batch / median(times):,.0f}")
        if bandwidth:
            row = setting.columns * (4 if ENGINES[name].dtype == "float32" else 8)
            cells.append(f"{2 * setting.batch * row / median(times) / bandwidth / 1e9:.1%}")
        cells += (
            [fit]
            if isinstance(fit, str)
            else [f"{fit[key]:.2f}" for key in ("first", "end_to_end")]
        )
        cells += [] if isinstance(fit, str) else [*_error_cells(fit), fit["device"]]
        lines.append(f"| {ENGINES[name].title} | {' | '.join(cells)} |")
    best = fits["best mean-field normal"]
    assert not isinstance(best, str)
    lines += [
        "",
        (
            f"The best mean-field normal: log sd {best['log_sd_rms']:.2g} rms, "
            f"{best['log_sd_worst']:.2g} worst."
        ),
    ]
    if bandwidth:
        lines.append(
            f"Bandwidth {bandwidth:g} GB/s; a row counts twice, for the log density and for its "
            "gradient, as if it "
            "came from memory both times: a share above 100 % says that it came from a cache."
        )
    return lines


def _error_cells(fit: dict[str, Any]) -> list[str]:
    return [f"{fit[key]:.3g}" for key in ("mean_rms", "mean_worst", "log_sd_rms", "log_sd_worst")]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, help="rows in place of each workload's own")
    parser.add_argument(
        "--epochs", type=int, help="passes over the data in place of each workload's own"
    )
    parser.add_argument(
        "--rounds", type=int, default=7, help="interleaved rounds of steps (%(default)s)"
    )
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="length of one timing (%(default)s)"
    )
    parser.add_argument(
        "--adam", type=float, metavar="RATE", help="plain Adam of this rate in all engines"
    )
    parser.add_argument(
        "--engines", nargs="+", choices=ENGINES, default=list(ENGINES), metavar="ENGINE"
    )
    parser.add_argument(
        "--workloads",
        nargs="+",
        choices=WORKLOADS,
        metavar="WORKLOAD",
        help="on a GPU all by default",
    )
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument(
        "--bandwidth",
        type=float,
        metavar="GB/S",
        help="memory bandwidth, for the share of it in use",
    )
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    options = parser.parse_args()
    if options.workloads is None:
        options.workloads = list(WORKLOADS) if options.device == "gpu" else ["logistic", "normal"]
    return options


if __name__ == "__main__":
    main()
