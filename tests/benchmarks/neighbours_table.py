"""Our line, each neighbour's own VI and its NUTS on models of its own, against long chains.

    make test-neighbours                                     # makes the environments
    python tests/benchmarks/neighbours_table.py [--only NAME ...]
    python tests/benchmarks/neighbours_table.py --table

Every run is a process of its own in the environment of its library, and one JSON line, written as
soon as it is known; runs and references that the files have are not made again. Errors are of
the scalar with the largest: of means in standard deviations, and of log standard deviations.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "posteriordb"))

from json_lines import append, runs_of  # noqa: E402
from neighbour_entries import ENTRIES, Entry  # noqa: E402 (what it imports is in posteriordb/)
from registry import scalars  # noqa: E402
from users_reference import errors, load, moments  # noqa: E402

REFERENCE = "reference"
"""The run of long chains."""

NUTS = {"draws": 1000, "tune": 1000, "chains": 4, "cores": 1}
"""What the libraries do by default, in one process, so that its processor seconds are known."""

LONG = NUTS | {"random_seed": 2, "target_accept": 0.95}
"""Of the chains that all are compared with: shorter steps, and draws by the entry."""

DRAWS = 4000
"""Of each approximation: an error of 0.04 in a mean, or 0.03 in a log sd, can be of these alone."""

CAP = 1200.0
"""Seconds that a run may take."""

TIED = "\u00a0"
"""A space at which no line is broken."""

COLUMNS = ("run", "ours", "its verdict", "own VI", "own, other", "NUTS", "R-hat, ESS")


def main() -> None:
    options = _options()
    if options.one:
        _one(*options.one, options.references)
    elif options.table:
        print(table(load(options.references), runs_of(options.out)))
    else:
        for run in missing(options):
            print(json.dumps(run), flush=True)


def missing(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Make the references and the runs that the files lack."""
    done = {(run["model"], run["way"]) for run in runs_of(options.out)}
    for name in options.only:
        python = python_of(ENTRIES[name])
        if not python.exists():
            print(f"{name}: make test-neighbours makes {python}", file=sys.stderr)
            continue
        if name not in load(options.references):
            run = _process(python, name, REFERENCE, options.references)
            if "error" in run:
                yield run
                continue
            append(options.references, run)
            yield {key: run[key] for key in ("model", "rhat", "ess", "diverging", "processor")}
        for way in ENTRIES[name].ways():
            if (name, way) not in done:
                run = _process(python, name, way, options.references)
                append(options.out, run)
                yield run


def python_of(entry: Entry) -> Path:
    """The interpreter of a library's environment."""
    if not entry.environment:
        return Path(sys.executable)
    return HERE.parents[1] / ".venv-neighbours" / entry.environment / "bin" / "python"


def _process(python: Path, name: str, way: str, references: Path) -> dict[str, Any]:
    run = {"model": name, "way": way, "date": time.strftime("%Y-%m-%d")}
    command = [str(python), __file__, "--one", name, way, "--references", str(references)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, start_new_session=True, **pipes) as ended:
        try:
            out, errors_of_it = ended.communicate(timeout=CAP)
        except subprocess.TimeoutExpired:
            os.killpg(ended.pid, signal.SIGKILL)  # some libraries start processes of their own
            return run | {"error": f"more than {CAP:.0f} s"}
    lines = out.strip().splitlines()
    if ended.returncode or not lines:
        said = errors_of_it.strip().splitlines()[-1:] or ["it said nothing"]
        return run | {"error": said[0][:300]}
    return run | json.loads(lines[-1])


def _one(name: str, way: str, references: Path) -> None:
    """The work of that process; its last line is the result."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    entry = ENTRIES[name]
    label, arguments = ("NUTS", {}) if way == REFERENCE else entry.ways()[way]
    case = entry.case()
    long = LONG | {"draws": entry.long}
    given = {REFERENCE: long, "NUTS": NUTS}.get(way, {"draws": DRAWS})
    draws, clocks = _timed(lambda: case.ways[label](**given, **arguments))
    named = scalars(draws["posterior"].to_dataset()[case.names])
    known = clocks | {"versions": versions(entry), "load": round(os.getloadavg()[0], 2)}
    if way == REFERENCE:
        known |= moments(named, LONG["chains"]) | {"diverging": _diverging(draws)}
    else:
        known |= errors(load(references)[name], named)
    if "verdict" in draws.attrs:
        known["verdict"] = draws.attrs["verdict"]
    print(json.dumps(known))


def _timed(run: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """What a call gives, with its seconds by the wall and of processors, compilers' too."""
    wall, before = time.perf_counter(), sum(os.times()[:4])
    found = run()
    processor = sum(os.times()[:4]) - before
    return found, {
        "seconds": round(time.perf_counter() - wall, 1),
        "processor": round(processor, 1),
    }


def _diverging(draws: Any) -> int | None:
    stats = draws.children.get("sample_stats")
    return None if stats is None or "diverging" not in stats else int(stats["diverging"].sum())


def versions(entry: Entry) -> dict[str, str]:
    """Versions of what a run stands on."""
    found = {}
    for library in ("pymc-vi", entry.package, "pymc", "pytensor", "jax", "numba"):
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def table(references: dict[str, dict[str, Any]], runs: Sequence[dict[str, Any]]) -> str:
    """A row a model, below a line for each package with what is written for it."""
    rows = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    heading = None
    for name, entry in ENTRIES.items():
        of = {run["way"]: run for run in runs if run["model"] == name}
        if name not in references or not of:
            continue
        line = references[name]
        if (entry.package, entry.line) != heading:
            heading, found = (entry.package, entry.line), line["versions"]
            title = f"**{entry.package} {found[entry.package]}, PyMC {found['pymc']}**"
            rows.append(f"| {title}: {entry.line} " + "| " * (len(COLUMNS) - 1) + "|")
        cells = [entry.what, _cell(of.get("ours"))]
        cells.append(of.get("ours", {}).get("verdict", ""))
        cells += [_cell(of.get(way)) for way in ("own", "other", "NUTS")]
        cells.append(f"{line['rhat']:.3f}, {line['ess']:,}")
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _cell(run: dict[str, Any] | None) -> str:
    """Errors of mean and log sd, and processor seconds; broken after the comma alone."""
    if run is None:
        return ""
    if "error" in run:
        return "failed"
    return f"{run['mean']:.2f}{TIED}/{TIED}{run['sd']:.2f}, {run['processor']:.0f}{TIED}s"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    results = HERE / "results"
    parser.add_argument("--table", action="store_true", help="print the files as a table")
    parser.add_argument("--only", nargs="+", default=list(ENTRIES), choices=ENTRIES)
    parser.add_argument("--out", type=Path, default=results / "neighbours.jsonl")
    parser.add_argument("--references", type=Path, default=results / "neighbours_references.jsonl")
    parser.add_argument("--one", nargs=2, metavar=("NAME", "WAY"), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
