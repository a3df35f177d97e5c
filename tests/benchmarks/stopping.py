"""When do checks end a run, and how far is the fit from its family's optimum then?

    python stopping.py --out stops.jsonl [--targets NAME ...] [--posteriordb PATH]

Each target is fitted once for each start and seed, with all checks watching: they end nothing, and
what they would have done is written down, one JSON line a run. Lines that the file has are not made
again. ``--table`` prints a file as the table of ``docs/callbacks.md``.

The error of a fit is the largest, over the unconstrained values, of that of the mean in standard
deviations of the optimum and of that of the log sd. Mean field's optimum is that of an ELBO over
fixed draws of low discrepancy, whose second moments are exact, by L-BFGS; that of full rank the
average of a run of 300,000 steps with 8 draws. Starts: ``cold`` is that of the model, ``fixed``
what 10 fixed draws give (``vi.DADVI(draws=10)``). Skewed targets make both references uncertain by
some hundredths; a stop is early if its error is above the tolerance of the check, 0.1.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pymc as pm
from scipy.stats import norm, qmc
from stopping_targets import TARGETS

import vi
from vi.approximation.record.log_density import target_of_all_rows
from vi.callbacks import Callback, CheckConvergence, CheckLossConvergence
from vi.callbacks import CheckParametersConvergence as CheckParameters
from vi.search.fixed_draws import fit_fixed_draws

TOLERANCE = 0.1
EVERY = 100
"""Steps between two looks at the error; the checks' own intervals are multiples of it."""

STEPS = 40_000
FAMILIES = ("mean_field", "full_rank")

CHECKS: dict[str, Callable[[], Callback]] = {
    "CheckConvergence()": lambda: CheckConvergence(tolerance=TOLERANCE),
    "CheckLossConvergence()": CheckLossConvergence,
    "CheckParametersConvergence()": CheckParameters,
    'CheckParametersConvergence(diff="absolute")': lambda: CheckParameters(diff="absolute"),
}

FEW = {"logistic_minibatch": 64, "linear_minibatch": 64, "columns_minibatch": 64}
"""Fixed draws behind the optima of targets with many rows, whose posteriors are nearly normal."""

DRAWS, DRAWS_OF_POSTERIORDB = 1024, 256
"""And behind those of the others."""

FULL_RANK = (
    "standard_normal",
    "narrow_valley",
    "ill_scaled",
    "linear",
    "logistic",
    "poisson",
    "student_t",
    "gamma",
    "schools_offset",
)
"""Targets on which full rank is watched too."""


def main() -> None:
    options = _options()
    if options.table:
        print(table(options.out))
        return
    logging.getLogger("vi").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    done = {_key(line) for line in lines(options.out)}
    for name, build in _targets(options).items():
        for family in options.families:
            if family == "full_rank" and name not in FULL_RANK:
                continue
            wanted = [
                {"target": name, "family": family, "start": start, "seed": seed}
                for start in (options.starts if family == "mean_field" else ["cold"])
                for seed in options.seeds
            ]
            wanted = [run for run in wanted if _key(run) not in done]
            if not wanted:
                continue
            model = build()
            best = reference(options.out, model, name, family)
            for run in wanted:
                run |= watched(model, best, run)
                write(options.out, run)


def watched(model: pm.Model, best: np.ndarray, run: dict[str, Any]) -> dict[str, Any]:
    """What the checks did in a run, or what it raised."""
    watch = Watch(best)
    try:
        if run["family"] == "full_rank":
            inference = vi.FullRankADVI(model=model, random_seed=run["seed"])
        elif run["start"] == "fixed":
            found = vi.DADVI(draws=10, model=model, random_seed=run["seed"])
            inference = vi.KLqp(found.fit(300, progressbar=False), warm_start=False)
        else:
            approx = vi.MeanField(model=model, random_seed=run["seed"])
            inference = vi.KLqp(approx, warm_start=False)
        inference.fit(STEPS, callbacks=[watch], progressbar=False)
    except Exception as error:  # noqa: BLE001 (a failure is a result)
        return {"error": f"{type(error).__name__}: {error}"[:200]}
    high = np.flatnonzero(np.array(watch.errors) > TOLERANCE)
    settled = EVERY * (high[-1] + 2 if len(high) else 1)
    return {
        "dim": len(best) // 2,
        "steps": STEPS,
        "settled": int(settled) if settled <= STEPS else None,
        "final": watch.errors[-1],
        "stops": watch.stops,
    }


class Watch(Callback):
    """Checks that end nothing; their stops, and the error all along the run."""

    def __init__(self, best: np.ndarray) -> None:
        super().__init__(EVERY)
        self.best = best
        self.checks = {name: make() for name, make in CHECKS.items()}
        self.stops: dict[str, tuple[int, float]] = {}
        self.errors: list[float] = []

    def __call__(self, approx: Any, losses: np.ndarray, i: int) -> None:
        self.errors.append(error_of(moments(approx), self.best))
        for name, check in self.checks.items():
            if name not in self.stops and i % check.every == 0:
                try:
                    check(approx, losses, i)
                except StopIteration:
                    self.stops[name] = i, self.errors[-1]


def moments(approx: Any) -> np.ndarray:
    """Means and sds."""
    return np.concatenate([approx.mean.eval(), approx.std.eval()])


def error_of(found: np.ndarray, best: np.ndarray) -> float:
    """The largest error of a mean, in sds of the optimum, or of a log sd."""
    (mean, sd), (its_mean, its_sd) = np.split(found, 2), np.split(best, 2)
    return float(max(np.abs((mean - its_mean) / its_sd).max(), np.abs(np.log(sd / its_sd)).max()))


def reference(out: Path, model: pm.Model, name: str, family: str) -> np.ndarray:
    """The moments of a family's optimum: those that the file has, or else made and written."""
    for line in lines(out):
        if "optimum" in line and (line["target"], line["family"]) == (name, family):
            return np.array(line["optimum"])
    if family == "full_rank":
        inference = vi.FullRankADVI(model=model, random_seed=1_000)
        found = moments(inference.fit(300_000, obj_n_mc=8, progressbar=False))
    else:
        found = mean_field_optimum(
            model, FEW.get(name, DRAWS if name in TARGETS else DRAWS_OF_POSTERIORDB)
        )
    write(out, {"target": name, "family": family, "optimum": found.tolist()})
    return found


def mean_field_optimum(model: pm.Model, draws: int) -> np.ndarray:
    """Moments of the mean-field optimum over fixed draws."""
    approx = vi.MeanField(model=model, random_seed=1)
    uniform = qmc.Sobol(approx.ndim, seed=1).random(draws // 2)
    half = norm.ppf(np.clip(uniform, 1e-9, 1 - 1e-9))
    half = np.linalg.solve(np.linalg.cholesky(half.T @ half / len(half)), half.T).T
    mean, std = np.split(moments(approx), 2)
    target, noise = target_of_all_rows(approx.record), np.concatenate([half, -half])
    found = fit_fixed_draws(target, mean, std, noise, 5_000)
    return np.concatenate([found.mean, found.std])


def table(path: Path) -> str:
    """The runs of a file as a table: a row for each kind of target and check."""
    runs = [line for line in lines(path) if "stops" in line]
    failed = sum("error" in line for line in lines(path))
    text = [
        f"{dt.date.today()}, pymc-vi {vi.__version__}, jax {jax.__version__}, pymc "
        f"{pm.__version__}; {len({r['target'] for r in runs})} targets, {len(runs)} runs"
        + (f", {failed} more failed." if failed else "."),
        "",
        "| targets | check | runs | ended | of these early | worst error | step, median | waste |",
        "|---" * 8 + "|",
    ]
    for kind in dict.fromkeys(map(_kind, runs)):
        of_kind = [run for run in runs if _kind(run) == kind]
        text += [f"| {kind} | `{check}` | {_row(of_kind, check)} |" for check in CHECKS]
    return "\n".join(text)


def _row(runs: list[dict[str, Any]], check: str) -> str:
    ended = [run for run in runs if check in run["stops"]]
    errors = np.array([run["stops"][check][1] for run in ended])
    after = [
        run["stops"][check][0] - run["settled"]
        for run in ended
        if run["settled"] is not None and run["stops"][check][1] <= TOLERANCE
    ]
    step = np.median([run["stops"][check][0] if check in run["stops"] else np.inf for run in runs])
    cells = [
        f"{len(runs)}",
        f"{len(ended)}",
        f"{np.sum(errors > TOLERANCE)}",
        f"{errors.max():.2f}" if len(ended) else "",
        f"{step:,.0f}" if np.isfinite(step) else "not within the run",
        f"{np.median(after):,.0f}" if after else "",
    ]
    return " | ".join(cells)


def _kind(run: dict[str, Any]) -> str:
    if run["family"] == "full_rank":
        return "full rank"
    where = "posteriordb" if run["target"] not in TARGETS else "made here"
    if "minibatch" in run["target"]:
        where = "minibatches"
    return f"{where}, {run['start']} start"


def lines(path: Path) -> list[dict[str, Any]]:
    """What a file holds."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def write(path: Path, line: dict[str, Any]) -> None:
    """Append a line."""
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(json.dumps(line)[:300], flush=True)


def _key(line: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(line.get(key) for key in ("target", "family", "start", "seed"))


def _targets(options: argparse.Namespace) -> dict[str, Callable[[], pm.Model]]:
    """Those of this folder, and with a path those of posteriordb."""
    targets = dict(TARGETS)
    if options.posteriordb:
        sys.path.insert(0, str(Path(__file__).parent / "posteriordb"))
        from data import load_data, posterior_names
        from models import build

        path = options.posteriordb
        for name in posterior_names(path):
            targets[name] = lambda name=name: build(name, load_data(path, name))
    return {name: targets[name] for name in options.targets or targets}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("stops.jsonl"), help="the file of runs")
    parser.add_argument("--targets", nargs="+", help="names (all)")
    parser.add_argument("--posteriordb", metavar="PATH", type=Path, help="its targets too")
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=FAMILIES)
    parser.add_argument("--starts", nargs="+", choices=["cold", "fixed"], default=["cold", "fixed"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--table", action="store_true", help="print the file as a table")
    return parser.parse_args()


if __name__ == "__main__":
    main()
