"""What the method that chooses makes of minibatches and of wide models, beside single methods.

Run with ``python tests/benchmarks/auto_minibatch.py [--only CASE ...] [--methods METHOD ...]``.
Each fit has a process of its own, so that its seconds hold all that it compiles; the making of the
model is not counted. Errors are the worst, of means in posterior sds and of log sds, against the
posterior of all rows: closed forms, and the mode with the curvature for the logistic regression.
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from minibatch_workloads import WORKLOADS, Setting, pymc_model
from minibatch_workloads import reference as of_all_rows
from references import Posterior, errors, linear
from report import environment_lines

__all__ = ["CASES", "Case"]

SEED = 1


@dataclass(frozen=True)
class Case:
    """A model, its posterior, and calls of ``vi.fit`` by name.

    Parameters
    ----------
    model : callable
        Makes the PyMC model.
    posterior : callable
        Makes the reference; its result is None where there is none.
    fits : dict
        Arguments of ``vi.fit`` by name; ``"auto"`` has none.
    """

    model: Callable[[], Any]
    posterior: Callable[[], Posterior | None]
    fits: dict[str, dict[str, Any]]


AUTO: dict[str, dict[str, Any]] = {"auto": {}}


def minibatch(name: str, fits: dict[str, dict[str, Any]]) -> Case:
    """A workload of the benchmark on minibatches."""
    import pymc as pm

    of = WORKLOADS[name]
    assert of.batch is not None
    setting = Setting(of.name, of.rows, of.columns, of.batch, 0)
    shape = (of.rows, of.columns) if name == "normal" else None

    import vi

    wrapped = {"normal": vi.Minibatch, "logistic": pm.Minibatch}[name]
    return Case(
        lambda: pymc_model(setting, wrapped, shape), lambda: of_all_rows(setting), AUTO | fits
    )


def regression(rows: int, columns: int, batch: int | None, fits: dict[str, dict[str, Any]]) -> Case:
    """Correlated predictors, known noise, N(0, 1) priors."""
    import pymc as pm

    rng = np.random.default_rng(3)
    shared = rng.standard_normal((rows, 5))
    x = rng.standard_normal((rows, columns)) + shared @ rng.standard_normal((5, columns))
    y = x @ (rng.standard_normal(columns) / np.sqrt(columns)) + rng.standard_normal(rows)

    def model() -> Any:
        with pm.Model() as built:
            seen = (x, y) if batch is None else pm.Minibatch(x, y, batch_size=batch)
            beta = pm.Normal("beta", 0.0, 1.0, shape=columns)
            total = None if batch is None else rows
            pm.Normal("y", pm.math.dot(seen[0], beta), 1.0, observed=seen[1], total_size=total)
        return built

    return Case(model, lambda: linear(x.T @ x, x.T @ y, 1.0), AUTO | fits)


def means(count: int, fits: dict[str, dict[str, Any]]) -> Case:
    """A mean for each of many groups, with one to twenty rows each and noise of known size."""
    import pymc as pm

    rng = np.random.default_rng(4)
    sizes = rng.integers(1, 21, count)
    group = np.repeat(np.arange(count), sizes)
    noise = np.exp(rng.uniform(-3.0, 2.0, count))
    y = rng.standard_normal(count)[group] + noise[group] * rng.standard_normal(len(group))
    precision = 1.0 + sizes / noise**2
    mean = np.bincount(group, y) / noise**2 / precision
    exact = Posterior(mean, precision**-0.5, precision**-0.5)

    def model() -> Any:
        with pm.Model() as built:
            mu = pm.Normal("mu", 0.0, 1.0, shape=count)
            pm.Normal("y", mu[group], noise[group], observed=y)
        return built

    return Case(model, lambda: exact, AUTO | fits)


def horseshoe() -> Case:
    """Sparse coefficients with half-Cauchy scales, D = 602; no normal is its posterior."""
    import pymc as pm

    rng = np.random.default_rng(5)
    x = rng.standard_normal((200, 300))
    y = x[:, :5] @ np.array([3.0, -2.0, 2.0, -3.0, 4.0]) + rng.standard_normal(200)

    def model() -> Any:
        with pm.Model() as built:
            tau, width = pm.HalfCauchy("tau", 0.1), pm.HalfCauchy("width", 1.0, shape=300)
            z, noise = pm.Normal("z", shape=300), pm.HalfNormal("noise", 1.0)
            pm.Normal("y", pm.math.dot(x, z * width * tau), noise, observed=y)
        return built

    return Case(model, lambda: None, AUTO | {"advi": {"method": "advi", "diagnose": True}})


CASES: dict[str, Callable[[], Case]] = {
    "logistic, 1,000,000 x 50": lambda: minibatch(
        "logistic",
        {
            "advi": {"method": "advi", "diagnose": True},
            "advi, 100,000 steps": {"method": "advi", "n": 100_000},
            "advi, 400,000 steps": {"method": "advi", "n": 400_000},
            "full rank, 20,000 steps": {"method": "fullrank_advi", "n": 20_000},
        },
    ),
    "normal, 40,000 x 100": lambda: minibatch(
        "normal",
        {
            "advi": {"method": "advi", "diagnose": True},
            "advi, 20,000 steps": {"method": "advi", "n": 20_000},
            "full rank, 20,000 steps": {"method": "fullrank_advi", "n": 20_000},
        },
    ),
    "regression, 20,000 x 600": lambda: regression(
        20_000,
        600,
        500,
        {
            "full rank": {"method": "fullrank_advi"},
            "low rank": {"method": "lowrank_advi"},
        },
    ),
    "regression, 200 x 600, all rows": lambda: regression(
        200, 600, None, {"full rank": {"method": "fullrank_advi"}}
    ),
    "2,000 means, all rows": lambda: means(2000, {"advi": {"method": "advi"}}),
    "horseshoe, D = 602, all rows": horseshoe,
    "small regression, 100 x 3, all rows": lambda: regression(
        100, 3, None, {"advi": {"method": "advi"}}
    ),
}
"""The cases by name, with settings of single methods beside the method that chooses."""


def one(case: str, method: str) -> dict[str, Any]:
    """A fit in this process: seconds, errors, verdict and stages."""
    import vi

    logging.getLogger("vi").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    made = CASES[case]()
    model, exact = made.model(), made.posterior()
    began, before = time.perf_counter(), time.process_time()
    approx = vi.fit(model=model, random_seed=SEED, progressbar=False, **made.fits[method])
    found = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - before}
    if exact is not None:
        found |= errors(exact, approx.mean.eval(), approx.std.eval())
    if approx.diagnosis is not None:
        found |= {"verdict": approx.diagnosis.verdict, "why": approx.diagnosis.in_short}
    stages = approx.record.stages
    found["stages"] = ", ".join(f"{stage.stage} {stage.seconds:.1f}" for stage in stages)
    found["outcomes"] = [stage.outcome for stage in stages]
    return found | {"status": str(approx.status)}


def main() -> None:
    """Print a line a fit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=list(CASES))
    parser.add_argument("--methods", nargs="+")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--verbose", action="store_true", help="print stages' outcomes and why")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(*options.one)))
        return
    print("\n".join(["# The method that chooses", "", *environment_lines(), ""]))
    print("| model | method | s | processor s | mean | log sd | verdict | stages, s |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for case in [name for name in CASES if any(name.startswith(o) for o in options.only)]:
        for method in CASES[case]().fits:
            if options.methods and method not in options.methods:
                continue
            command = [sys.executable, __file__, "--one", case, method]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
            if done.returncode:
                print(f"| {case} | {method} | failed |", flush=True)
                continue
            found = json.loads(done.stdout.splitlines()[-1])
            off = [f"{found[w]:.3f}" if w in found else "" for w in ("mean_worst", "log_sd_worst")]
            print(
                f"| {case} | {method} | {found['seconds']:.1f} | {found['cpu']:.1f} | "
                f"{' | '.join(off)} | {found.get('verdict', '')} | {found.get('stages', '')} |",
                flush=True,
            )
            if options.verbose:
                told = [found.get("why", ""), found["status"], *found.get("outcomes", [])]
                print(*told, sep="\n", flush=True)


if __name__ == "__main__":
    main()
