"""Effective draws a gradient of chains in the model's coordinates and in partly centred ones.

    python tests/benchmarks/chain_coordinates.py [--models NAME ...] [--posteriordb PATH]

For each model: q as ``vi.fit(model)`` leaves it without chains, then three times four chains of
1,000 draws from it, with as many steps before that tune. *model*: in the model's coordinates, by
q's covariance, and once more by what those have seen. *partly centred*: as :mod:`vi.auto` has them.
Effective draws are the fewest of all coordinates, of the bulk and the tails. A line of JSON each;
``--table FILE`` makes a table of such lines.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm

import vi
from vi.approximation.results.metric import inverse_mass_matrix, starting_points
from vi.auto.attempt import LEG, Attempt
from vi.auto.centring import model_coordinates
from vi.auto.repair import BOLD, ROUND, TUNING

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import noncentring  # noqa: E402
from user_models import USER_MODELS  # noqa: E402

KINDS = ("model", "model, again", "partly centred")

CENTRED = ("schools", "radon", "slopes", "walk")
"""Models of ``noncentring.py``; the first three need posteriordb's data."""


def funnel() -> pm.Model:
    """Neal's funnel of nine effects."""
    with pm.Model() as model:
        log_scale = pm.Normal("log_scale", 0.0, 3.0)
        pm.Normal("x", 0.0, pm.math.exp(log_scale), shape=9)
    return model


def compared(name: str, model: pm.Model, seed: int) -> list[dict[str, Any]]:
    """What the chains of a model come to."""
    options = {"random_seed": seed, "progressbar": False, "inf_kwargs": {"repair": None}}
    fit = vi.fit(model=model, method="auto", **options).record
    matrix, starts = inverse_mass_matrix(fit, None), starting_points(fit, 4, seed)
    first = Attempt(fit, matrix, starts, seed, BOLD)
    first.tune(2 * TUNING)
    lines = [_drawn(first, KINDS[0])]
    again = Attempt(fit, first.learned("dense"), first.chains.at, seed + 1, BOLD)
    again.tune(2 * TUNING)
    lines.append(_drawn(again, KINDS[1]))
    moved = Attempt(fit, matrix, starts, seed, BOLD, coordinates=model_coordinates(fit))
    moved.tune(TUNING)
    moved.recentre(TUNING)
    lines.append(_drawn(moved, KINDS[2]))
    return [{"model": name, "seed": seed, "dim": fit.layout.dim} | line for line in lines]


def _drawn(attempt: Attempt, chains: str) -> dict[str, Any]:
    """Make the draws; numbers of the attempt, with the gradients of the draws and of all steps."""
    before = attempt.gradients
    attempt.go_on(ROUND, np.inf)
    table, of_draws = attempt.found.table, attempt.gradients - before
    ess = float(table["ess"].min())
    return {
        "chains": chains,
        "moved": ", ".join(attempt.moved),
        "rhat": round(float(table["rhat"].max()), 3),
        "ess": round(ess),
        "gradients": of_draws,
        "all_gradients": attempt.gradients,
        "ess_per_1000": round(1000 * ess / of_draws, 2),
        "diverging": round(attempt.diverging, 4),
        "draws": 4 * ROUND * LEG,
    }


def table(lines: Sequence[dict[str, Any]]) -> str:
    """A row a model and seed, as they were run."""
    columns = ["model", "D", "follow others"]
    for kind in KINDS:
        columns += [f"{kind}: R-hat", "diverging", "draws / 1,000 gradients"]
    runs: dict[tuple[str, int], dict[str, Any]] = {}
    for line in lines:
        runs.setdefault((line["model"], line["seed"]), {})[line["chains"]] = line
    rows = []
    for (name, _), of in runs.items():
        last = of[KINDS[-1]]
        cells = [name, str(last["dim"]), (last["moved"] or "none").replace("|", r"\|")]
        for one in (of[kind] for kind in KINDS):
            share = f"{100 * one['diverging']:.1f} %"
            cells += [f"{one['rhat']:.3f}", share, f"{one['ess_per_1000']:.2f}"]
        rows.append(cells)
    header = [columns, ["---"] * len(columns)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in header + rows)


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", default=["funnel", *CENTRED, *USER_MODELS])
    parser.add_argument("--posteriordb", type=Path)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--seeds", nargs="*", type=int, default=[1])
    options = parser.parse_args()
    if options.table is not None:
        print(table([json.loads(line) for line in options.table.read_text().splitlines()]))
        return
    logging.disable(logging.WARNING)
    for name in options.models:
        if name == "funnel":
            model = funnel()
        elif name in CENTRED:
            if options.posteriordb is None and name != "walk":
                print(f"{name}: --posteriordb says where its data are", file=sys.stderr)
                continue
            model = getattr(noncentring, name)(options.posteriordb)
        else:
            model = USER_MODELS[name]()
        for seed in options.seeds:
            began = time.process_time()
            for line in compared(name, model, seed):
                print(json.dumps(line), flush=True)
            print(f"{name}: {time.process_time() - began:.0f} processor s", file=sys.stderr)


if __name__ == "__main__":
    main()
