"""Fits with an optimiser of one's own: where they end, what they say, and where pm.fit ends.

    python tests/benchmarks/own_optimizers.py --out own.jsonl
    python tests/benchmarks/own_optimizers.py --out own.jsonl --table

Every run is one JSON line, written as soon as it is known; runs that the file has are not made
again. Targets are normal, so that means and standard deviations are known, those of mean field's
optimum too. A fit is wrong where a mean is off by more than a standard deviation, or a standard
deviation by more than a factor of e; it is wrong in silence if its status is ``max_steps`` and
names neither widths nor draws that move nor a falling loss.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import time
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm

import vi

OPTIMIZERS = ("adam", "adagrad_window", "rmsprop", "adadelta", "sgd")
STEPS, WRONG = 10_000, 1.0


def normal(
    dim: int, rows: int | None, batch: int | None
) -> tuple[pm.Model, np.ndarray, np.ndarray]:
    """Correlations of 0.9 between neighbours, variances of 1; there are no rows."""
    places = np.arange(dim)
    mean = np.random.default_rng(0).normal(size=dim)
    cov = 0.9 ** np.abs(places[:, None] - places)
    with pm.Model() as model:
        pm.MvNormal("b", mean, cov=cov)
    return model, mean, cov


def regression(
    dim: int, rows: int | None, batch: int | None
) -> tuple[pm.Model, np.ndarray, np.ndarray]:
    """By default ten rows a column, at least 500; columns that correlate by a half; known noise."""
    rng, n = np.random.default_rng(0), rows or max(500, 10 * dim)
    x = rng.normal(size=(n, dim)) + rng.normal(size=(n, 1))
    y = x @ rng.normal(size=dim) + rng.normal(size=n)
    cov = np.linalg.inv(x.T @ x + np.eye(dim) / 25)
    with pm.Model() as model:
        b = pm.Normal("b", 0.0, 5.0, shape=dim)
        if batch:
            some, seen = vi.Minibatch(x, y, batch_size=batch)
            pm.Normal("y", some @ b, 1.0, observed=seen, total_size=n)
        else:
            pm.Normal("y", x @ b, 1.0, observed=y)
    return model, cov @ (x.T @ y), cov


TARGETS = {"normal": normal, "regression": regression}


def fitted(run: dict[str, Any]) -> dict[str, Any]:
    """Errors, status and processor seconds of one run."""
    model, mean, cov = TARGETS[run["target"]](run["dim"], run["rows"], run["batch"])
    theirs = run["system"] == "pm.fit"
    maker = getattr(pm if theirs else vi, run["optimizer"])
    options = {
        "method": run["method"],
        "obj_optimizer": maker(learning_rate=run["rate"]),
        "total_grad_norm_constraint": run["norm"],
        "obj_n_mc": run["draws"],
        "random_seed": run["seed"],
        "progressbar": False,
    }
    if not theirs:
        options |= {"backend": run["backend"]}
        if run["system"] != "vi":
            options |= {"estimator": run["system"]}
    began = time.process_time()
    try:
        approx = (pm if theirs else vi).fit(STEPS, model=model, **options)
    except FloatingPointError:
        return {"status": "diverged"}
    full = run["method"] == "fullrank_advi"
    sd = np.sqrt(np.diag(cov)) if full else 1 / np.sqrt(np.diag(np.linalg.inv(cov)))
    means, covs = approx.mean.eval(), approx.cov.eval()
    said = "max_steps" if theirs else approx.status.ending
    named = ("loss varies by", "draws of q move by", "still fall")
    if not theirs and any(text in approx.status.message for text in named):
        said += ", named"
    return {
        "mean": float(np.max(np.abs(means - mean) / sd)),
        "log_sd": float(np.max(np.abs(np.log(np.sqrt(np.diag(covs)) / sd)))),
        "status": said,
        "seconds": round(time.process_time() - began, 2),
    }


def read(path: Path) -> list[dict[str, Any]]:
    """The runs that a file has."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def table(runs: list[dict[str, Any]]) -> str:
    """One row a setting: where each system ends; and how often it is wrong, and in silence."""
    systems = list(dict.fromkeys(run["system"] for run in runs))
    rows: dict[tuple[Any, ...], dict[str, str]] = defaultdict(dict)
    counts = {system: [0, 0, 0] for system in systems}
    for run in runs:
        end, status = (run.get("mean", np.inf), run.get("log_sd", np.inf)), run["status"]
        wrong = max(end) > WRONG
        silent = wrong and status == "max_steps"
        counts[run["system"]] = [
            a + b for a, b in zip(counts[run["system"]], (1, wrong, silent), strict=True)
        ]
        keys = (
            "method",
            "target",
            "dim",
            "optimizer",
            "rate",
            "norm",
            "draws",
            "rows",
            "batch",
            "backend",
        )
        key = tuple("" if run[name] is None else run[name] for name in keys)
        shown = "diverged" if status == "diverged" else f"{end[0]:.2g} / {end[1]:.2g}"
        rows[key][run["system"]] = shown + (" !" if silent else "")
    head = "| method | target | D | optimiser | rate | norm | draws | rows | batch | backend |"
    lines = [head + " | ".join(f" {s}" for s in systems) + " |", "|---" * (10 + len(systems)) + "|"]
    for key, ends in rows.items():
        cells = [*map(str, key), *(ends.get(system, "") for system in systems)]
        lines.append(f"| {' | '.join(cells)} |")
    lines.append("")
    lines += [
        f"{system}: {count} fits, {wrong} wrong, {silent} of them in silence (!)"
        for system, (count, wrong, silent) in counts.items()
    ]
    return "\n".join(lines)


def main() -> None:
    """Make the runs that are not there yet, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--systems", nargs="+", default=["vi", "sticking_the_landing", "pm.fit"])
    parser.add_argument("--methods", nargs="+", default=["fullrank_advi"])
    parser.add_argument("--targets", nargs="+", default=list(TARGETS))
    parser.add_argument("--dims", type=int, nargs="+", default=[10, 50, 100])
    parser.add_argument("--optimizers", nargs="+", default=list(OPTIMIZERS))
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-3, 1e-2, 1e-1])
    parser.add_argument("--norms", type=float, nargs="+", default=[0.0, 1.0], help="0: none")
    parser.add_argument("--draws", type=int, nargs="+", default=[1])
    parser.add_argument("--rows", type=int, nargs="+", default=[0], help="0: as the target says")
    parser.add_argument("--batches", type=int, nargs="+", default=[0], help="0: all rows")
    parser.add_argument("--backends", nargs="+", default=["jax"])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.table:
        print(table(read(options.out)))
        return
    logging.disable(logging.ERROR)
    warnings.simplefilter("ignore")
    settings = (
        "method",
        "target",
        "dim",
        "optimizer",
        "rate",
        "norm",
        "draws",
        "rows",
        "batch",
        "backend",
        "system",
    )
    done = {tuple(run[name] for name in settings) for run in read(options.out)}
    for values in itertools.product(
        options.methods, options.targets, options.dims, options.optimizers, options.rates,
        options.norms, options.draws, options.rows, options.batches,
        options.backends, options.systems,
    ):  # fmt: skip
        values = tuple(None if value == 0 else value for value in values)
        run = dict(zip(settings, values, strict=True)) | {"seed": options.seed}
        if values in done or ((run["rows"] or run["batch"]) and run["target"] == "normal"):
            continue
        if run["system"] == "pm.fit" and (run["batch"] or run["backend"] != "jax"):
            continue
        run |= fitted(run)
        with options.out.open("a") as file:
            file.write(json.dumps(run) + "\n")
        print(json.dumps(run), flush=True)


if __name__ == "__main__":
    main()
