"""Does plain ADVI reach mean field's own optimum? The default against other ways to get there.

    python tests/benchmarks/plain.py --out plain.jsonl
    python tests/benchmarks/plain.py --out plain.jsonl --table

Every run is one JSON line, written as soon as it is known; runs that the file has are not made
again. The table shows how many nats each way stays below the best ELBO that any of them finds, over
its seeds the worst; an ELBO is that of 20,000 fresh draws.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import optax
from user_models import USER_MODELS

import vi

STEPS, DRAWS = 10_000, 20_000


def _cosine(rate: float) -> Any:
    return vi.adam(optax.cosine_decay_schedule(rate, STEPS))


WAYS: dict[str, dict[str, Any]] = {
    "default": {},
    "no warm start": {"inf_kwargs": {"warm_start": False}},
    "adam 1e-2": {"obj_optimizer": vi.adam(1e-2), "averaging": "polynomial"},
    "adam 1e-2, cosine": {"obj_optimizer": _cosine(1e-2)},
    "adam 3e-3, cosine": {"obj_optimizer": _cosine(3e-3)},
    "8 restarts": {"restarts": 8},
    "10 x steps": {"n": 10 * STEPS},
}


def main() -> None:
    options = _options()
    if options.table:
        print(table(options.out))
        return
    logging.getLogger("vi").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    done = {(run["model"], run["way"], run["seed"]) for run in runs(options.out)}
    for name in options.models:
        model = None
        for way in options.ways:
            for seed in options.seeds:
                if (name, way, seed) in done:
                    continue
                model = USER_MODELS[name]() if model is None else model
                run = {"model": name, "way": way, "seed": seed} | fitted(model, way, seed)
                with options.out.open("a") as file:
                    file.write(json.dumps(run) + "\n")
                print(json.dumps(run), flush=True)


def fitted(model: Any, way: str, seed: int) -> dict[str, Any]:
    """ELBO and seconds of a fit, or what it raised."""
    began = time.perf_counter()
    arguments: dict[str, Any] = {"n": STEPS} | WAYS[way]
    try:
        approx = vi.fit(
            method="advi", model=model, random_seed=seed, progressbar=False, **arguments
        )
    except Exception as error:  # noqa: BLE001 (a failure is a result)
        return {"error": f"{type(error).__name__}: {error}"[:300]}
    seconds = time.perf_counter() - began
    found = approx.diagnose(draws=DRAWS, chains=0)
    return {"elbo": found.elbo, "elbo_error": found.elbo_error, "seconds": round(seconds, 2)}


def runs(path: Path) -> list[dict[str, Any]]:
    """The runs of a file; none where there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def table(path: Path) -> str:
    """The table of gaps in Markdown."""
    found = runs(path)
    ways = [way for way in WAYS if any(run["way"] == way for run in found)]
    lines = [
        f"pymc-vi {version('pymc-vi')}, jax {version('jax')}, pymc {version('pymc')}.",
        "",
        "| model | best ELBO | " + " | ".join(ways) + " |",
        "|---|---|" + "---|" * len(ways),
    ]
    for name in dict.fromkeys(run["model"] for run in found):
        of_model = [run for run in found if run["model"] == name]
        best = max(run.get("elbo", -np.inf) for run in of_model)
        cells = []
        for way in ways:
            gaps = [best - run.get("elbo", -np.inf) for run in of_model if run["way"] == way]
            cells.append(f"{max(gaps):.2f}" if gaps else "")
        lines.append(f"| {name} | {best:,.2f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--models", nargs="+", default=list(USER_MODELS), choices=USER_MODELS)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    return parser.parse_args()


if __name__ == "__main__":
    main()
