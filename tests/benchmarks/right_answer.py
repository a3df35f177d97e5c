"""Seconds from the built model to the right answer: ``vi`` and its peers, each in fresh processes.

    python right_answer.py --posteriordb PATH --out runs.jsonl

Right is a fit whose every mean is within 0.1 sd of the reference and whose every log sd is within
0.1. A system has 120 processor seconds; it is looked at when it ends, or again and again while it
steps (``right_answer_systems.py``); neither looking nor imports are timed. Each run is made twice,
in processes of their own: with an empty folder for all that PyTensor, numba and JAX keep on disk
(cold), and, if it was right, with what the first has left there (warm). Runs are JSON lines; those
that the file has are not made again. ``--table`` prints it, ``--picture FILE`` draws it.

Seconds are told by the clock on the wall and by that of the processors, which holds on a busy
machine. Needs the peers (requirements-peers.txt).
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from itertools import product
from pathlib import Path
from typing import IO, Any

import numpy as np
from json_lines import append, runs_of
from minibatch_workloads import Setting
from right_answer_systems import IN_BATCHES, MODULES, SYSTEMS
from right_answer_targets import TARGETS, Right, errors

LIMIT = 0.1
CAP = 120.0
"""Processor seconds of a run."""

LATEST = 5 * CAP
"""Seconds on the wall after which a process is ended."""


def main() -> None:
    options = _options()
    runs = runs_of(options.out)
    if options.table or options.picture:
        from right_answer_table import picture, table  # matplotlib is for pictures only

        if options.table:
            print(table(runs, options.clock))
        if options.picture:
            picture(runs, options.picture, options.clock)
        return
    done = {(run["target"], run["system"], run["cache"]): run for run in runs}
    with tempfile.TemporaryDirectory(prefix="right-") as place:
        for target, system in product(options.targets, options.systems):
            folder = Path(place) / f"{target}-{system}"
            for cache in ("cold", "warm"):
                key = target, system, cache
                cold = done.get((target, system, "cold"), {})
                if key not in done and (cache == "cold" or "right" in cold):
                    if cache == "warm" and not folder.exists():
                        continue  # the folder of a run of another day is gone
                    right = _right(target, options.posteriordb, Path(place))
                    folder.mkdir(exist_ok=True)
                    run = {"target": target, "system": system, "cache": cache}
                    run |= _process(target, system, options.posteriordb, right, folder)
                    done[key] = run
                    append(options.out, run)
                    print(json.dumps(run), flush=True)


def _right(target: str, posteriordb: Path, place: Path) -> Path:
    """The file with a target's reference, made once."""
    path = place / f"{target}.npz"
    if not path.exists():
        TARGETS[target].right(posteriordb).save(path)
    return path


def _process(
    target: str, system: str, posteriordb: Path, right: Path, caches: Path
) -> dict[str, Any]:
    """Make a run in a process of its own."""
    said = {"date": time.strftime("%Y-%m-%d"), "load": round(os.getloadavg()[0], 1)}
    reading, writing = os.pipe()
    with tempfile.TemporaryFile("w+") as complaints, os.fdopen(reading) as answers:
        process = subprocess.Popen(
            [
                sys.executable,
                __file__,
                "--one",
                target,
                system,
                *map(str, (posteriordb, right, writing)),
            ],
            env=_environment(caches),
            pass_fds=[writing],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
            start_new_session=True,
        )
        os.close(writing)
        try:
            process.wait(LATEST)
        except subprocess.TimeoutExpired:
            said["ended"] = f"after {LATEST:.0f} s on the wall"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        known: dict[str, Any] = {}
        for line in answers:
            known |= json.loads(line)
        if not known or (process.returncode and "ended" not in said):
            complaints.seek(0)
            said["ended"] = (complaints.read().strip().splitlines() or ["silent"])[-1][:250]
    return said | known


def _environment(caches: Path) -> dict[str, str]:
    """This process's environment, with all that is compiled in a folder."""
    flags = [os.environ.get("PYTENSOR_FLAGS", ""), f"base_compiledir={caches / 'pytensor'}"]
    return os.environ | {
        "PYTENSOR_FLAGS": ",".join(flag for flag in flags if flag),
        "NUMBA_CACHE_DIR": str(caches / "numba"),
        "VI_CACHE_DIR": str(caches / "vi"),
        "JAX_COMPILATION_CACHE_DIR": str(caches / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


def _one(target: str, system: str, posteriordb: Path, right_file: Path, answers: IO[str]) -> None:
    """The run itself; it says how right it is whenever it has looked."""
    from systems import Time

    for module in MODULES[system.split(" ")[0]]:
        importlib.import_module(module)
    its, right = TARGETS[target], Right.load(right_file)
    in_batches = its.batches is not None and system.startswith(IN_BATCHES)
    model = its.model(_minibatch(system) if in_batches else None, posteriordb)
    batches: Setting | None = its.batches if in_batches else None
    spent = prepared = total = Time(0.0, 0.0)
    anew = False
    began = Time.now()
    for draw in SYSTEMS[system](model, batches):
        took = Time.now() - began
        spent, total = spent.plus(took), total.plus(took)
        if draw is None:
            anew, prepared = True, spent
        else:
            mean, log_sd = errors(right, draw())
            found = {"seconds": round(spent.wall, 3), "processor": round(spent.processor, 2)}
            if not np.isfinite([mean, log_sd]).all():
                found |= {"ended": "draws are not finite"}
            else:
                found |= {"mean": float(f"{mean:.3g}"), "sd": float(f"{log_sd:.3g}")}
            is_right = max(mean, log_sd) <= LIMIT and spent.processor <= CAP
            print(
                json.dumps(found | ({"right": True} if is_right else {})), file=answers, flush=True
            )
            if is_right or total.processor > CAP:
                return
            spent = prepared if anew else spent
        began = Time.now()


def _minibatch(system: str) -> Any:
    if system.startswith("vi"):
        import vi

        return vi.Minibatch
    import pymc as pm

    return pm.Minibatch


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--posteriordb", type=Path, default=os.environ.get("POSTERIORDB", "."), metavar="PATH"
    )
    parser.add_argument("--out", type=Path, default=Path("right.jsonl"), help="the file of runs")
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--clock", choices=("seconds", "processor"), default="processor")
    parser.add_argument("--table", action="store_true", help="print the file as tables")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the file")
    return parser.parse_args()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        logging.disable(logging.WARNING)
        warnings.simplefilter("ignore")
        name, by, path, reference, descriptor = sys.argv[2:]
        with os.fdopen(int(descriptor), "w") as pipe:
            _one(name, by, Path(path), Path(reference), pipe)
    else:
        main()
