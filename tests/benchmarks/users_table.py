"""What ``vi.fit(method="auto")`` makes of models that users write, against long chains of NUTS.

    .venv-peers/bin/python tests/benchmarks/users_table.py --reference   # needs nutpie
    python tests/benchmarks/users_table.py [--models NAME ...] [--seeds 1 2 3]
    python tests/benchmarks/users_table.py --table

Every run is a process of its own and one JSON line, written as soon as it is known; runs and
references that the files have are not made again. Errors are those of posteriordb's runs
(``posteriordb/measures.py``): of the scalar with the largest. A: below 0.1. B: below 0.3.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "posteriordb"))

import users_reference  # noqa: E402 (measures and systems are found in posteriordb/)
from accuracy_table import LEVELS, error_of  # noqa: E402
from json_lines import append, runs_of  # noqa: E402
from one_run import clocks, versions  # noqa: E402
from registry import scalars  # noqa: E402
from user_models import INVARIANT, USER_MODELS  # noqa: E402

SYSTEM = "vi auto"

SLOW = 30.0
"""Processor seconds that are marked."""

COLUMNS = (
    *(
        "model",
        "scalars",
        "R-hat of NUTS (draws)",
        "error of means",
        "of log sds",
        "level",
        "verdict",
    ),
    *("gradients", "processor s", "wall s", "stages"),
)


def main() -> None:
    options = _options()
    if options.one:
        _one(options.one, options.seeds[0], options.references)
    elif options.table:
        print(table(users_reference.load(options.references), runs_of(options.out)))
    elif options.reference:
        known = users_reference.load(options.references)
        for name in [name for name in options.models if name not in known]:
            line = users_reference.reference(
                name, options.draws, options.seeds[0], options.backend, not options.no_jitter
            )
            append(options.references, line)
            shown = ("model", "seconds", "rhat", "ess", "diverging")
            print({key: line[key] for key in shown}, flush=True)
    else:
        _all(options)


def _all(options: argparse.Namespace) -> None:
    """The runs that are missing."""
    known = users_reference.load(options.references)
    done = {(run["model"], run["seed"]) for run in runs_of(options.out)}
    for seed in options.seeds:
        for name in options.models:
            if name not in known:
                print(f"{name} has no reference yet: --reference makes it", file=sys.stderr)
            elif (name, seed) not in done:
                run = _process(name, seed, options.references, options.cap)
                append(options.out, run)
                print(json.dumps(run), flush=True)


def _process(name: str, seed: int, references: Path, cap: float) -> dict[str, Any]:
    """A run in a process of its own."""
    run = {"model": name, "seed": seed, "date": time.strftime("%Y-%m-%d")}
    command = [sys.executable, __file__, "--one", name, "--seeds", str(seed)]
    command += ["--references", str(references)]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=cap, check=False)
    except subprocess.TimeoutExpired:
        return run | {"error": f"more than {cap:.0f} s", "seconds": cap}
    lines = ended.stdout.strip().splitlines()
    if ended.returncode or not lines:
        said = ended.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        return run | {"error": said[0][:300]}
    return run | json.loads(lines[-1])


def _one(name: str, seed: int, references: Path) -> None:
    """The work of that process; its last line is the result."""
    from vi_methods import FITS

    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    model = USER_MODELS[name]()
    load = round(os.getloadavg()[0], 2)
    fitted = FITS[SYSTEM](model, seed)
    found = users_reference.errors(users_reference.load(references)[name], scalars(fitted.draw()))
    known = found | fitted.facts() | clocks("seconds", "processor", fitted.seconds)
    print(json.dumps(known | {"gradients": fitted.gradients, "versions": versions(), "load": load}))


def table(references: dict[str, dict[str, Any]], runs: Sequence[dict[str, Any]]) -> str:
    """A row a model: of several seeds the worst error, and every verdict."""
    rows = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    for name in [name for name in USER_MODELS if any(run["model"] == name for run in runs)]:
        of = [run for run in runs if run["model"] == name]
        rows.append("| " + " | ".join(_cells(name, references[name], of)) + " |")
    levels = [level(run) for run in runs]
    counts = {kind: levels.count(kind) for kind in (*LEVELS, "wrong", "failed")}
    wrong = sum(run.get("verdict") == "good" and level(run) == "wrong" for run in runs)
    summary = ", ".join(f"{kind}: {count}" for kind, count in counts.items())
    return "\n".join([*rows, "", f"{len(runs)} runs; {summary}; `good` but wrong: {wrong}."])


def level(run: dict[str, Any]) -> str:
    """A, B, wrong, or failed."""
    if "error" in run:
        return "failed"
    return next((name for name, limit in LEVELS.items() if error_of(run) < limit), "wrong")


def _cells(name: str, reference: dict[str, Any], runs: Sequence[dict[str, Any]]) -> list[str]:
    worst = max(runs, key=error_of)
    verdicts = [run.get("verdict", run.get("error", "")) for run in runs]
    counted = [
        f"{verdict} ({verdicts.count(verdict)})" if len(runs) > 1 else verdict
        for verdict in dict.fromkeys(verdicts)
    ]
    if any(run.get("verdict") == "good" and level(run) == "wrong" for run in runs):
        counted.append("**wrong**")
    slowest = max(runs, key=lambda run: run.get("processor", 0.0))
    seconds = f"{slowest['processor']:.1f}" if "processor" in slowest else ""
    if slowest.get("processor", 0.0) > SLOW:
        seconds = f"**{seconds}**"
    stages = [stage.split(" ")[0] for stage in worst.get("stages", [])]
    return [
        name + (" (invariants)" if name in INVARIANT else ""),
        str(len(reference["names"])),
        f"{reference['rhat']:.3f} ({reference['ess']:,})",
        f"{worst['mean']:.2g}" if "mean" in worst else "",
        f"{worst['sd']:.2g}" if "sd" in worst else "",
        level(worst),
        ", ".join(counted),
        f"{worst['gradients']:,}" if "gradients" in worst else "",
        seconds,
        f"{max(run.get('seconds', 0.0) for run in runs):.1f}",
        ", ".join(stages),
    ]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    results = HERE / "results"
    parser.add_argument("--reference", action="store_true", help="make what is compared with")
    parser.add_argument("--draws", type=int, default=2000, help="of each chain of a reference")
    parser.add_argument("--backend", choices=("jax", "numba"), default="jax", help="of nutpie")
    parser.add_argument("--no-jitter", action="store_true", help="start at the initial point")
    parser.add_argument("--table", action="store_true", help="print the files as a table")
    parser.add_argument("--models", nargs="+", default=list(USER_MODELS), choices=USER_MODELS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--cap", type=float, default=180.0, help="seconds that a run may take")
    parser.add_argument("--out", type=Path, default=results / "user_models.jsonl")
    parser.add_argument("--references", type=Path, default=results / "user_models_references.jsonl")
    parser.add_argument("--one", choices=USER_MODELS, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
