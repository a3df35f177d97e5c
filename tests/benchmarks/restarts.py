"""What several fits at once cost beside one: eight schools and a regression, steps of K runs
against steps of one.

Run with ``python tests/benchmarks/restarts.py``.
"""

from __future__ import annotations

import argparse
import time
from statistics import median
from typing import Any

import numpy as np
import pymc as pm
from report import environment_lines

import vi
from vi.approximation.steps.run import run_of


def schools() -> Any:
    """Eight schools, non-centred."""
    y = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, 5.0)
        tau = pm.HalfCauchy("tau", 5.0)
        offset = pm.Normal("offset", shape=8)
        pm.Normal("y", mu + tau * offset, np.array([15.0, 10, 16, 11, 9, 11, 10, 18]), observed=y)
    return model


def regression(rows: int = 2_000, columns: int = 20) -> Any:
    """Logistic regression, full batch."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, columns))
    with pm.Model() as model:
        beta = pm.Normal("beta", shape=columns)
        pm.Bernoulli("y", logit_p=pm.math.dot(x, beta), observed=rng.random(rows) < 0.5)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--restarts", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=5_000)
    options = parser.parse_args()
    print("\n".join(["# Restarts", "", *environment_lines(), ""]))
    print(
        "| model | "
        + " | ".join(f"K = {k}, cost of one fit" for k in options.restarts)
        + " | one (us a step) |"
    )
    print("|---" * (len(options.restarts) + 2) + "|")
    for name, model in (
        ("eight schools", schools()),
        ("logistic regression, 2,000 x 20", regression()),
    ):
        steppers = [_stepper(model, k) for k in (1, *options.restarts)]
        times = [
            [_timed(stepper, options.steps) for stepper in steppers] for _ in range(options.rounds)
        ]
        ratios = [[row[i + 1] / row[0] for row in times] for i in range(len(options.restarts))]
        cells = [f"{median(r):.2f} ({min(r):.2f} to {max(r):.2f})" for r in ratios]
        print(
            f"| {name} | {' | '.join(cells)} | "
            f"{median(row[0] for row in times) * 1e6 / options.steps:.3g} |",
            flush=True,
        )


def _stepper(model: Any, runs: int) -> Any:
    """A function that advances ``runs`` fits by some steps."""
    approx = vi.fit(1, "advi", model, 1, backend="jax", progressbar=False)
    run = run_of(approx.record, approx.target(training=True), runs)
    inputs, _ = run.supply.at(run.step)
    run.advance(inputs, 1)
    return lambda n: run.advance(inputs, n)


def _timed(advance: Any, steps: int) -> float:
    began = time.perf_counter()
    advance(steps)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
