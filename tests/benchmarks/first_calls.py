"""First calls of a fit in fresh processes, without a folder of compiled code, cold and warm.

Prints processor seconds, which other programs on the machine change little, and seconds; with one
thread: ``taskset -c 0 python tests/benchmarks/first_calls.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

CALL = """
import json, sys, time
from minibatch_workloads import WORKLOADS as BATCHES, Setting, pymc_model
from workloads import WORKLOADS
import pymc as pm, vi
name = sys.argv[1]
if name in WORKLOADS:
    model = WORKLOADS[name].pymc()
else:
    its = BATCHES[name.removeprefix("minibatch_")]
    model = pymc_model(Setting(its.name, its.rows, its.columns, its.batch, 1000), pm.Minibatch)
began = time.process_time(), time.perf_counter()
vi.fit(1, "advi", model, 1, progressbar=False)
print(json.dumps([time.process_time() - began[0], time.perf_counter() - began[1]]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="processes of each kind (3)")
    parser.add_argument(
        "--workloads",
        nargs="+",
        default=["eight_schools", "groups", "minibatch_logistic"],
        help="names of workloads; of minibatches with minibatch_ before",
    )
    options = parser.parse_args()
    print("| workload | code | processor seconds | seconds |\n|---|---|---|---|")
    for workload in options.workloads:
        times: dict[str, list[list[float]]] = {"no folder": [], "cold": [], "warm": []}
        for _ in range(options.rounds):
            with tempfile.TemporaryDirectory() as folder:
                times["no folder"].append(_first_call(workload, ""))
                times["cold"].append(_first_call(workload, folder))
                times["warm"].append(_first_call(workload, folder))
        for code, found in times.items():
            processor, wall = (median(column) for column in zip(*found, strict=True))
            print(f"| {workload} | {code} | {processor:.2f} | {wall:.2f} |", flush=True)


def _first_call(workload: str, folder: str) -> list[float]:
    """Processor seconds and seconds of a first call in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", CALL, workload],
        cwd=Path(__file__).parent,
        env=os.environ | {"VI_CACHE_DIR": folder},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    times: list[float] = json.loads(done.stdout.splitlines()[-1])
    return times


if __name__ == "__main__":
    main()
