"""Steps of several engines in one process, by turns, in processor seconds: for a busy machine.

Other programs slow all engines alike then, and do not count. With one thread, which spares the
processor seconds in which threads wait for each other: ``taskset -c 0 python
tests/benchmarks/interleaved.py``.
"""

from __future__ import annotations

import argparse
import time
from statistics import median
from typing import Any

import engines
import minibatch_engines
import minibatch_workloads
import workloads

FEWEST = 50
"""Steps that a timing has at least, where an engine can do any number."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns (5)")
    parser.add_argument("--seconds", type=float, default=0.3, help="of a timing, about (0.3)")
    parser.add_argument("--engines", nargs="+", default=["vi_jax", "vi_pytensor"])
    parser.add_argument(
        "--workloads",
        nargs="+",
        default=list(workloads.WORKLOADS),
        help="names of workloads; of minibatches with minibatch_ before",
    )
    options = parser.parse_args()
    print(f"| workload | {' | '.join(options.engines)} | first / best other |")
    print("|---" * (len(options.engines) + 2) + "|")
    for workload in options.workloads:
        made = [_made(name, workload) for name in options.engines]
        counts = [_steps(engine, options.seconds) for engine in made]
        times: list[list[float]] = [[] for _ in made]
        for _ in range(options.rounds):
            for engine, n, found in zip(made, counts, times, strict=True):
                found.append(1e6 * _processor_seconds(engine, n) / n)
        first, *others = (median(found) for found in times)
        cells = " | ".join(f"{value:.4g}" for value in (first, *others))
        print(f"| {workload} | {cells} | {first / min(others, default=first):.2f} |", flush=True)


def _made(name: str, workload: str) -> Any:
    """An engine after its first step."""
    batches = workload.removeprefix("minibatch_")
    if batches == workload:
        engine: Any = engines.make(name, workload)
    else:
        its = minibatch_workloads.WORKLOADS[batches]
        assert its.batch is not None
        setting = minibatch_workloads.Setting(its.name, its.rows, its.columns, its.batch, 1_000)
        engine = minibatch_engines.make(name, setting.dumps())
    engine.first()
    return engine


def _steps(engine: Any, seconds: float) -> int:
    """As many steps as take about so long."""
    unit = engine.unit
    n = -(-FEWEST // unit) * unit
    _processor_seconds(engine, n)
    while (took := _processor_seconds(engine, n)) < seconds / 4:
        n *= 4
    return max(1, round(n * seconds / took / unit)) * unit


def _processor_seconds(engine: Any, n: int) -> float:
    began = time.process_time()
    engine.advance(n)
    return time.process_time() - began


if __name__ == "__main__":
    main()
