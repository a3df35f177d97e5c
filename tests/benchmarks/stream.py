"""Rows from disk, more than memory holds: training beside reading the same chunks alone, memory,
and the errors.

Run with ``python tests/benchmarks/stream.py`` (20 GB on disk for each format in turn; ``--gb 0.5``
to see that it works). A linear regression with known noise, whose posterior is known from sums over
the rows. Every run is a process of its own, with the files dropped from the kernel's page cache
before it; below a virtual machine there may be other caches. Memory is anonymous memory over that
after the imports, sampled every 10 ms.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from memory import PeakMemory
from references import Posterior, errors
from report import environment_lines
from row_files import FORMATS, NOISE, SEED, Layout, drop_from_cache, read_alone, write

__all__ = ["source", "streamed_model"]

ROLES = {"read": "the chunks alone", "stream": "Stream, no training", "train": "training"}
SPARE = 1.25
"""Free space that is asked for, as a multiple of the files."""


def main() -> None:
    options = _options()
    if options.role is not None:
        print(json.dumps(_role(options)))
        return
    layout = _layout(options)
    needed = SPARE * layout.rows * layout.row_bytes
    free = shutil.disk_usage(options.folder).free
    if free < needed:
        print(
            f"Skipped: {options.folder} has {free / 1e9:.1f} GB free, {needed / 1e9:.1f} GB are "
            "needed; --folder, --gb."
        )
        return
    print("\n".join(["# Rows from disk", "", *environment_lines()]), flush=True)
    results = {}
    for form in list(FORMATS) if options.format == "both" else [options.format]:
        with _folder(options, form) as folder:
            results[form] = _measure(options, layout, folder, form)
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1))


def _measure(
    options: argparse.Namespace, layout: Layout, folder: Path, form: str
) -> dict[str, Any]:
    """Write, then run every role in rounds, and print the table."""
    began = time.perf_counter()
    with PeakMemory() as peak:
        posterior = write(layout, folder, form)
    seconds = time.perf_counter() - began
    size = layout.rows * layout.row_bytes / 1e9
    print(
        f"\n## {form}: {layout.rows:,} rows, {size:.3g} GB, chunks of {layout.chunk_rows:,} rows\n"
    )
    print(
        f"Written in {seconds:.0f} s with {peak.growth / 2**20:.0f} MiB. Cache dropped before "
        "every run.\n",
        flush=True,
    )
    runs: dict[str, list[dict[str, Any]]] = {role: [] for role in options.roles}
    for _ in range(options.rounds):
        for role in options.roles:
            drop_from_cache(folder)
            runs[role].append(_run(role, folder, form, layout))
    print("\n".join(_lines(layout, runs, posterior)), flush=True)
    return runs


def _lines(
    layout: Layout, runs: dict[str, list[dict[str, Any]]], posterior: Posterior
) -> list[str]:
    lines = [
        "| what | rows/s | MB/s | share of reading | peak MiB | first call (s) |",
        "|---" * 6 + "|",
    ]
    for role, made in runs.items():
        failed = [run["failed"] for run in made if "failed" in run]
        if failed:
            lines.append(f"| {ROLES[role]} | failed: {failed[0]} |")
            continue
        speeds = [run["rows"] / run["seconds"] for run in made]
        reading = [run["rows"] / run["seconds"] for run in runs.get("read", [])]
        shares = [a / b for a, b in zip(speeds, reading, strict=False)]
        cells = [f"{median(speeds):,.0f}", f"{median(speeds) * layout.row_bytes / 1e6:,.0f}"]
        cells.append(
            f"{median(shares):.0%} ({min(shares):.0%} to {max(shares):.0%})" if shares else ""
        )
        cells.append(f"{max(run['growth'] for run in made) / 2**20:,.0f}")
        cells.append(f"{median(run['first'] for run in made):.2f}" if "first" in made[0] else "")
        lines.append(f"| {ROLES[role]} | {' | '.join(cells)} |")
    for run in runs.get("train", []):
        if "mean" in run:
            found = errors(posterior, run["mean"], run["sd"])
            run["errors"] = found
            lines.append("")
            lines.append(
                f"After {run['steps']:,} steps ({run['steps'] * run['batch'] / layout.rows:.2f} "
                "passes) on "
                f"{run['device']}: mean {found['mean_rms']:.3g} sds rms, {found['mean_worst']:.3g} "
                "worst; "
                f"log sd {found['log_sd_rms']:.3g} rms, {found['log_sd_worst']:.3g} worst; "
                f"an sd is {posterior.sd.mean():.2g}."
            )
    return lines


def _run(role: str, folder: Path, form: str, layout: Layout) -> dict[str, Any]:
    command = [sys.executable, *sys.argv, "--role", role, "--folder", str(folder), "--format", form]
    done = subprocess.run(
        [*command, "--rows", str(layout.rows)], check=False, capture_output=True, text=True
    )
    if done.returncode:
        return {
            "failed": (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        }
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def _role(options: argparse.Namespace) -> dict[str, Any]:
    """One run, in this process."""
    layout = _layout(options)
    if options.role == "read":
        if options.format == "zarr":
            import zarr  # noqa: F401  its import is not timed
        return _timed(lambda: {"rows": read_alone(layout, options.folder, options.format)})
    os.environ["JAX_PLATFORMS"] = (
        "cuda,cpu" if options.device == "gpu" else "cpu"
    )  # before jax is imported
    import jax
    import xarray  # noqa: F401

    import vi

    jax.numpy.zeros(1).block_until_ready()
    if options.role == "stream":
        return _timed(
            lambda: _stream_alone(
                vi.data.Stream(source(options.folder, options.format), options.batch), layout
            )
        )
    return _train(options, layout)


def _timed(function: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    began = time.perf_counter()
    with PeakMemory() as peak:
        answer = function()
        seconds = time.perf_counter() - began
    return {"seconds": seconds} | answer | {"growth": peak.growth}


def _stream_alone(stream: Any, layout: Layout) -> dict[str, Any]:
    stream.start((SEED, 0), 0)
    step, steps = 0, layout.rows // stream.batch_size
    while step < steps:
        block = stream.block(step)
        step = block.first + block.count
    stream.close()
    return {"rows": step * stream.batch_size}


def _train(options: argparse.Namespace, layout: Layout) -> dict[str, Any]:
    """The first step, which compiles, and then the rest of the passes."""
    import jax

    import vi

    model = streamed_model(layout.columns, options.batch)
    steps = int(options.epochs * layout.rows / options.batch)

    def fit() -> dict[str, Any]:
        began = time.perf_counter()
        approx = vi.fit(
            1,
            "advi",
            model,
            SEED,
            data=vi.data.Stream(source(options.folder, options.format), batch_size=options.batch),
            backend=options.backend,
            dtype=options.dtype,
            progressbar=False,
        )
        first = time.perf_counter() - began
        approx.refine(steps - 1, progressbar=False)
        return {
            "first": first,
            "seconds": time.perf_counter() - began - first,
            "rows": (steps - 1) * options.batch,
            "steps": steps,
            "batch": options.batch,
            "mean": approx.mean.eval().tolist(),
            "sd": approx.std.eval().tolist(),
            "device": str(jax.devices()[0].device_kind) if options.backend == "jax" else "cpu",
        }

    return _timed(fit)


def source(folder: Path, form: str) -> Any:
    """The files as a source of rows."""
    import vi

    if form == "npy":
        return vi.data.ArraySource({name: str(folder / f"{name}.npy") for name in ("x", "y")})
    import xarray as xr

    return vi.data.DatasetSource(xr.open_zarr(folder / "rows.zarr", chunks=None))


def streamed_model(columns: int, batch: int) -> Any:
    """The regression, with containers for the batches of a stream."""
    import pymc as pm

    with pm.Model() as model:
        x = pm.Data("x", np.zeros((batch, columns), np.float32))
        y = pm.Data("y", np.zeros(batch, np.float32))
        beta = pm.Normal("beta", 0.0, 1.0, shape=columns)
        pm.Normal("likelihood", pm.math.dot(x, beta), NOISE, observed=y)
    return model


@contextlib.contextmanager
def _folder(options: argparse.Namespace, form: str) -> Any:
    """A folder for the files of one format, removed after unless it is to be kept."""
    folder = Path(tempfile.mkdtemp(prefix=f"vi-rows-{form}-", dir=options.folder))
    try:
        yield folder
    finally:
        if options.keep:
            print(f"\nKept: {folder}")
        else:
            shutil.rmtree(folder)


def _layout(options: argparse.Namespace) -> Layout:
    row_bytes = 4 * (options.columns + 1)
    rows = options.rows or int(options.gb * 1e9 / row_bytes)
    return Layout(rows, options.columns, max(1, int(options.chunk_mb * 1e6 / row_bytes)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gb", type=float, default=20.0, help="size of the files (%(default)s)")
    parser.add_argument("--rows", type=int, help="rows, in place of --gb")
    parser.add_argument(
        "--columns", type=int, default=15, help="float32 columns beside the response (%(default)s)"
    )
    parser.add_argument(
        "--chunk-mb",
        type=float,
        default=8.0,
        help="size of a zarr chunk and of a read (%(default)s)",
    )
    parser.add_argument("--format", choices=(*FORMATS, "both"), default="both")
    parser.add_argument("--batch", type=int, default=8_192, help="rows a step (%(default)s)")
    parser.add_argument(
        "--epochs", type=float, default=1.0, help="passes over the rows (%(default)s)"
    )
    parser.add_argument(
        "--rounds", type=int, default=1, help="how often each run is made (%(default)s)"
    )
    parser.add_argument("--roles", nargs="+", choices=ROLES, default=list(ROLES), metavar="RUN")
    parser.add_argument("--backend", choices=("jax", "pytensor"), default="jax")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()), help="where (%(default)s)"
    )
    parser.add_argument("--keep", action="store_true", help="leave the files there")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--role", choices=ROLES, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
