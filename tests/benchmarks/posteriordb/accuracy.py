"""How near the posteriors come ``vi`` and its peers: errors in sds, and seconds.

    python accuracy.py --posteriordb PATH --out runs.jsonl --peers .venv-peers/bin/python

Every run is a process of its own (``launch.py``) and one JSON line, written as soon as it is known;
runs that the file has are not made again. Peers are run by the Python of the environment that has
them (requirements-peers.txt). ``--table`` prints a file as tables, ``--picture FILE.png`` draws it,
with a panel for each of ``--systems``.

A run has 120 s from the built model to the end of its fit, and as many for each thing after it
(draws and errors, the verdict, a second fit for the seconds without compilation). Seconds are told
by the clock on the wall and by that of the processors, which holds on a busy machine.

Errors are those of the scalar with the largest: of the mean in standard deviations of the
reference, and of the logarithm of the standard deviation; heavy tails are compared by median and
quartiles. A: both below 0.1; B: below 0.3.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from itertools import product
from pathlib import Path
from typing import Any

from accuracy_table import tables
from data import add_folder_option, folder, posterior_names
from launch import Launcher
from systems import NEEDS, SYSTEMS


def main() -> None:
    options = _options()
    runs = _runs(options.out)
    if options.table or options.picture:
        if options.table:
            print(tables(runs, options.clock))
        if options.picture:
            from accuracy_figure import picture  # matplotlib is for pictures only

            picture(runs, options.picture, options.clock, options.systems)
        return
    path = folder(options.posteriordb)
    _check(options.systems, options.peers)
    done = {_key(run) for run in runs}
    with Launcher(path, options.cap) as launcher:
        for posterior in options.posteriors or posterior_names(path):
            for seed, system in product(options.seeds, options.systems):
                run = {"posterior": posterior, "system": system, "seed": seed}
                if _key(run) not in done:
                    run["date"] = time.strftime("%Y-%m-%d")
                    run |= launcher.run(_python(system, options.peers), system, posterior, seed)
                    with options.out.open("a") as file:
                        file.write(json.dumps(run) + "\n")
                    print(json.dumps(run), flush=True)


def _python(system: str, peers: str) -> str:
    """The Python of a system."""
    return sys.executable if SYSTEMS[system] == "vi_methods" else peers


def _check(systems: list[str], peers: str) -> None:
    """Refuse systems that are not installed, before anything is run."""
    for module in dict.fromkeys(SYSTEMS[system] for system in systems):
        names = [system for system in systems if SYSTEMS[system] == module]
        python = _python(names[0], peers)
        needs = ", ".join(NEEDS[module])
        find = f"import importlib.util as u; exit(not all(map(u.find_spec, {NEEDS[module]!r})))"
        if subprocess.run([python, "-c", find], check=False).returncode:
            raise SystemExit(
                f"{python} lacks {needs}, for {', '.join(names)}. Name the Python of an "
                "environment with requirements-peers.txt by --peers, or leave these out."
            )


def _key(run: dict[str, Any]) -> tuple[Any, ...]:
    return run["posterior"], run["system"], run["seed"]


def _runs(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add_folder_option(parser)
    parser.add_argument("--out", type=Path, default=Path("accuracy.jsonl"), help="the file of runs")
    parser.add_argument(
        "--systems",
        nargs="+",
        choices=SYSTEMS,
        default=list(SYSTEMS),
        metavar="SYSTEM",
        help="of: " + ", ".join(SYSTEMS),
    )
    parser.add_argument("--cap", type=float, default=120.0, help="seconds that a fit may take")
    parser.add_argument("--posteriors", nargs="+", metavar="NAME", help="names (all)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument(
        "--peers", default=sys.executable, metavar="PYTHON", help="the peers' Python (this one)"
    )
    parser.add_argument(
        "--clock",
        choices=("wall", "processor"),
        default="wall",
        help="the seconds of table and picture; on a busy machine those of the processor",
    )
    parser.add_argument("--table", action="store_true", help="print the file as tables")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
