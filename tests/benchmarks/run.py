"""Time vi beside its peers: steps, first calls, whole runs, and what the progress bar costs.

make bench (vi and PyMC) or make bench-peers (all engines); ARGS="--quick" to see that it works.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from engines import ENGINES, missing
from measure import Fresh, fresh_processes, progress_bar, steady_state
from report import bar_lines, setting_lines, workload_lines
from worker import WorkerError
from workloads import WORKLOADS


def main() -> None:
    options = _options()
    page = [
        "# Benchmarks",
        "",
        *setting_lines(options.rounds, options.fresh_rounds, options.seconds),
        "",
    ]
    absent = {
        name: f"absent: {', '.join(missing(engine))}"
        for name, engine in ENGINES.items()
        if missing(engine)
    }
    wanted = [name for name in ENGINES if name not in absent and name in options.engines]
    left_out = {name: absent.get(name, "left out") for name in ENGINES if name not in wanted}
    for workload in options.workloads:
        steps = steady_state(wanted, workload, options.rounds, options.seconds) | left_out
        fresh: Fresh = fresh_processes(
            wanted, workload, options.fresh_rounds, finish=not options.quick
        )
        page += workload_lines(workload, steps, fresh)
    page += bar_lines({workload: _bar(workload, options, wanted) for workload in options.workloads})
    text = "\n".join(page)
    print(text)
    if options.out is not None:
        options.out.write_text(text)


def _bar(
    workload: str, options: argparse.Namespace, wanted: list[str]
) -> tuple[list[float], int] | str:
    if "vi_jax" not in wanted:
        return "not measured"
    try:
        return progress_bar(workload, options.rounds, options.seconds)
    except WorkerError as error:
        return f"failed: {error}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, help="interleaved rounds of steps (7)")
    parser.add_argument("--fresh-rounds", type=int, help="rounds of fresh processes (3)")
    parser.add_argument("--seconds", type=float, help="length of one timing (1)")
    parser.add_argument(
        "--quick", action="store_true", help="a smoke run: one short round, no runs of 10,000 steps"
    )
    parser.add_argument(
        "--engines", nargs="+", choices=ENGINES, default=list(ENGINES), metavar="ENGINE"
    )
    parser.add_argument(
        "--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), metavar="WORKLOAD"
    )
    parser.add_argument("--out", type=Path, help="write the page to this file as well")
    options = parser.parse_args()
    usual = (
        {"rounds": 1, "fresh_rounds": 1, "seconds": 0.1}
        if options.quick
        else {"rounds": 7, "fresh_rounds": 3, "seconds": 1.0}
    )
    for name, value in usual.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


if __name__ == "__main__":
    main()
