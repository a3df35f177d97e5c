"""Whether the cost of a step grows with the number of rows: a million and a hundred million rows of
four float32.

Run with ``python tests/benchmarks/rows_scaling.py`` (1.6 GB on disk, about 10 GB of memory). Rows
come from .npy files through a stream that shuffles chunks (``disk``), through the same stream from
arrays in memory (``memory``), and from ``vi.Minibatch`` (``minibatch``). A timing begins a run
anew: with a stream it includes reading a first window.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from measure import Steps, steady_state
from report import environment_lines, ratios
from row_files import NOISE, SEED, Layout, write
from stream import SPARE, source, streamed_model

COLUMNS = 3
KINDS = {
    "disk": "Stream from .npy files",
    "memory": "Stream from arrays in memory",
    "minibatch": "vi.Minibatch, rows in memory",
}


class Rows:
    """A regression on batches of some rows; ``name`` is a kind and a number of rows,
    ``disk:1000000``.
    """

    unit = 1
    done = 1

    def __init__(self, name: str, workload: str) -> None:
        import vi

        self._fit = vi.fit
        self._options = json.loads(workload)
        kind, rows = name.split(":")
        batch, folder = self._options["batch"], Path(self._options["folder"]) / rows
        self._data: dict[str, Any] = {}
        if kind == "disk":
            self._data["data"] = vi.data.Stream(source(folder, "npy"), batch_size=batch)
            self._model = streamed_model(COLUMNS, batch)
            return
        arrays = {name: np.load(folder / f"{name}.npy") for name in ("x", "y")}
        if kind == "memory":
            self._data["data"] = vi.data.Stream(vi.data.ArraySource(arrays), batch_size=batch)
            self._model = streamed_model(COLUMNS, batch)
        else:
            self._model = _minibatch_model(arrays, batch)

    def first(self) -> None:
        self._approx = self._fit(
            1,
            "advi",
            self._model,
            SEED,
            backend=self._options["backend"],
            dtype=self._options["dtype"],
            progressbar=False,
            **self._data,
        )

    def advance(self, n: int, progressbar: bool = False) -> None:
        self._approx.refine(n, progressbar=progressbar)


make = Rows


def _minibatch_model(arrays: dict[str, np.ndarray], batch: int) -> Any:
    import pymc as pm

    import vi

    with pm.Model() as model:
        x, y = vi.Minibatch(arrays["x"], arrays["y"], batch_size=batch)
        beta = pm.Normal("beta", 0.0, 1.0, shape=COLUMNS)
        pm.Normal(
            "likelihood", pm.math.dot(x, beta), NOISE, observed=y, total_size=len(arrays["y"])
        )
    return model


def main() -> None:
    options = _options()
    os.environ["JAX_PLATFORMS"] = (
        "cuda,cpu" if options.device == "gpu" else "cpu"
    )  # before a worker imports jax
    layouts = [Layout(rows, COLUMNS, 2**19) for rows in options.rows]
    needed = SPARE * sum(layout.rows * layout.row_bytes for layout in layouts)
    free = shutil.disk_usage(options.folder).free
    if free < needed:
        print(
            f"Skipped: {options.folder} has {free / 1e9:.1f} GB free, {needed / 1e9:.1f} GB are "
            "needed (--folder)."
        )
        return
    print("\n".join(["# Rows and the cost of a step", "", *environment_lines()]), flush=True)
    with tempfile.TemporaryDirectory(prefix="vi-rows-", dir=options.folder) as folder:
        for layout in layouts:
            (Path(folder) / str(layout.rows)).mkdir()
            write(layout, Path(folder) / str(layout.rows), "npy")
        workload = {
            "batch": options.batch,
            "backend": options.backend,
            "dtype": options.dtype,
            "folder": folder,
        }
        names = [f"{kind}:{rows}" for kind in options.kinds for rows in options.rows]
        steps = steady_state(
            names, json.dumps(workload), options.rounds, options.seconds, "rows_scaling"
        )
    print("\n".join(_lines(steps, options)))
    if options.json is not None:
        options.json.write_text(json.dumps(steps, indent=1))


def _lines(steps: Steps, options: argparse.Namespace) -> list[str]:
    setting = (
        f"Batches of {options.batch:,}, {options.backend}, {options.dtype}; microseconds a step, "
        "median of "
        f"{options.rounds} interleaved rounds; in brackets the smallest and the largest."
    )
    lines = [
        "",
        setting,
        "",
        "| rows come from | "
        + " | ".join(f"{rows:,} rows" for rows in options.rows)
        + " | ratio, last / first |",
        "|---" * (len(options.rows) + 2) + "|",
    ]
    for kind in options.kinds:
        names = [f"{kind}:{rows}" for rows in options.rows]
        cells = [_cell(steps[name]) for name in names]
        pair = ratios(steps, names[-1], names[0])
        cells.append(
            f"{median(pair):.3f} ({min(pair):.3f} to {max(pair):.3f})" if pair else "not measured"
        )
        lines.append(f"| {KINDS[kind]} | {' | '.join(cells)} |")
    return lines


def _cell(times: list[float] | str) -> str:
    if isinstance(times, str):
        return times
    micro = [1e6 * value for value in times]
    return f"{median(micro):.4g} ({min(micro):.4g} to {max(micro):.4g})"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10**6, 10**8])
    parser.add_argument("--batch", type=int, default=256, help="rows a step (%(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds (%(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="length of one timing (%(default)s)"
    )
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND")
    parser.add_argument("--backend", choices=("jax", "pytensor"), default="jax")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()), help="where (%(default)s)"
    )
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
