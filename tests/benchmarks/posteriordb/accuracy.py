"""How near vi's methods come to posteriordb's references: errors in sds, and seconds.

    python accuracy.py --posteriordb PATH --out runs.jsonl [--methods advi dadvi]

Every run is one JSON line, written as soon as it is known; runs that the file has are not made
again. ``--table`` prints a file as a table. Errors are those of the scalar with the largest: of the
mean in standard deviations of the reference, and of the logarithm of the standard deviation; heavy
tails are compared by median and quartiles. A: both below 0.1; B: below 0.3. References of 10,000
draws differ among themselves by 0.05 in the worst scalar.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from data import Reference, add_folder_option, folder, load_data, load_reference, posterior_names
from models import build, scalars

import vi

METHODS = {
    "advi": 10_000,
    "fullrank_advi": 10_000,
    "lowrank_advi": 10_000,
    "dadvi": 1_000,
    "laplace": 1_000,
    "pathfinder": 1_000,
}
"""The methods, and the steps or most iterations of each: what ``vi.fit`` does by default."""

DRAWS = 8_000
"""Draws of q behind its moments; they are known to 0.011 sds."""

NORMAL_IQR = 1.349
"""Distance of a normal's quartiles, in standard deviations."""


def main() -> None:
    options = _options()
    if options.table:
        print(table(options.out))
        return
    logging.getLogger("vi").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    path = folder(options.posteriordb)
    done = {_key(run) for run in _runs(options.out)}
    for name in options.posteriors or posterior_names(path):
        reference, model = load_reference(path, name), None
        for method in options.methods:
            for seed in options.seeds:
                run: dict[str, Any] = {"posterior": name, "method": method, "seed": seed}
                if _key(run) in done:
                    continue
                model = build(name, load_data(path, name)) if model is None else model
                run |= _fitted(model, reference, method, seed)
                with options.out.open("a") as file:
                    file.write(json.dumps(run) + "\n")
                print(json.dumps(run), flush=True)


def _fitted(model: Any, reference: Reference, method: str, seed: int) -> dict[str, Any]:
    """What a fit gave: errors, ELBO, seconds with compilation; or what it raised."""
    began = time.perf_counter()
    try:
        approx = vi.fit(METHODS[method], method, model, random_seed=seed, progressbar=False)
    except Exception as error:  # noqa: BLE001 (a failure is a result)
        return {"error": f"{type(error).__name__}: {error}"[:300]}
    seconds = time.perf_counter() - began
    draws = approx.sample(DRAWS, random_seed=1, log_prob=approx.family.has_density)
    mean, sd = errors(reference, draws["posterior"].to_dataset())
    run = {"mean": mean, "sd": sd, "ending": approx.status.ending, "seconds": round(seconds, 2)}
    run["verdict"] = approx.diagnose().verdict
    if "log_q" in draws["sample_stats"]:
        run["elbo"] = float(
            (draws["sample_stats"]["log_p"] - draws["sample_stats"]["log_q"]).mean()
        )
    return run


def errors(reference: Reference, posterior: xr.Dataset) -> tuple[float, float]:
    """The largest error of a mean, in sds of the reference, and of the logarithm of an sd."""
    found = scalars(posterior)
    draws = np.stack([found[name] for name in reference.names])
    robust = reference.robust
    low, middle, high = np.percentile(draws, [25, 50, 75], axis=1)
    location = np.where(robust, middle, draws.mean(axis=1))
    scale = np.where(robust, (high - low) / NORMAL_IQR, draws.std(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        worst_mean = np.max(np.abs(location - reference.location) / reference.scale)
        worst_sd = np.max(np.abs(np.log(scale / reference.scale)))
    return float(worst_mean), float(worst_sd)


def table(path: Path) -> str:
    """Runs as a table: a row a posterior, a column a method, the errors of mean and sd."""
    runs = _runs(path)
    methods = list(dict.fromkeys(run["method"] for run in runs))
    lines = [
        "| posterior | " + " | ".join(methods) + " |",
        "|---" * (len(methods) + 1) + "|",
    ]
    for name in sorted({run["posterior"] for run in runs}):
        cells = [
            _cell([r for r in runs if (r["posterior"], r["method"]) == (name, m)]) for m in methods
        ]
        lines.append(f"| {name.split('-', 1)[1]} | " + " | ".join(cells) + " |")
    for level, limit in (("A", 0.1), ("B", 0.3)):
        counts = [
            sum(_worst(r) < limit for r in runs if r["method"] == method) for method in methods
        ]
        lines.append(f"| **{level}** | " + " | ".join(map(str, counts)) + " |")
    return "\n".join(lines)


def _cell(runs: list[dict[str, Any]]) -> str:
    """Mean and sd errors of the worst seed."""
    if not runs:
        return ""
    run = max(runs, key=_worst)
    return "failed" if "error" in run else f"{run['mean']:.2f} / {run['sd']:.2f}"


def _worst(run: dict[str, Any]) -> float:
    return max(run["mean"], run["sd"]) if "error" not in run else np.inf


def _key(run: dict[str, Any]) -> tuple[Any, ...]:
    return run["posterior"], run["method"], run["seed"]


def _runs(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add_folder_option(parser)
    parser.add_argument("--out", type=Path, default=Path("accuracy.jsonl"), help="the file of runs")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--posteriors", nargs="+", help="names (all)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--table", action="store_true", help="print the file as a table")
    return parser.parse_args()


if __name__ == "__main__":
    main()
