"""SVGD on the iris flowers, vi beside PyMC: a step after compilation, and the whole example of
docs/iris.md.

Run with ``python tests/benchmarks/iris_svgd.py`` (scikit-learn has the data). All engines: the same
model and rows, 500 particles, no progress bar. A step: adamax at 0.1, no callbacks, in interleaved
rounds in one process, from the public call (``refine(n)``) after a run of 500 steps; CPU time
beside it, because other processes distort the clock more. The whole example: in a fresh process,
from the built model, 100 steps with the library's default optimiser and 400 with adamax, and both
accuracies tracked after every step. PyMC's ``sample_node`` takes the same arguments; its nodes
repeat the same draws at every evaluation, those of vi draw anew.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

from worker import environment

PARTICLES, SETTLE = 500, 500
DISTRIBUTIONS = ("pymc-vi", "pymc", "pytensor", "numba", "jax", "optax", "numpy", "scikit-learn")
ENGINES = ("vi, jax", "vi, pytensor", "pm.SVGD")

type Times = tuple[float, float]
"""Seconds a step: by the clock, and of all cores together."""


class Example:
    """The model and one engine's inference object."""

    def __init__(self, engine: str) -> None:
        import pymc as pm
        import pytensor
        from pymc.variational.callbacks import Tracker
        from sklearn.datasets import load_iris
        from sklearn.model_selection import train_test_split

        import vi

        theirs = engine == "pm.SVGD"
        X, y = load_iris(return_X_y=True)
        X_train, self._X_test, self._y_train, self._y_test = train_test_split(X, y, random_state=0)
        self._Xt, yt = pytensor.shared(X_train), pytensor.shared(self._y_train)
        with pm.Model():
            beta = pm.Normal("beta", 0, sigma=1e2, shape=(4, 3))
            a = pm.Normal("a", 0, sigma=1e4, shape=3)
            self._p = pm.math.softmax(self._Xt @ beta + a, axis=1)
            pm.Categorical("species", self._p, observed=yt)
            began = time.perf_counter()
            self.inference: Any = (pm if theirs else vi).SVGD(
                n_particles=PARTICLES, jitter=1, random_seed=1
            )
        self.setup = time.perf_counter() - began
        self.adamax = (pm if theirs else vi).adamax(learning_rate=0.1)
        self._tracker = Tracker if theirs else vi.callbacks.Tracker
        self._backend = {} if theirs else {"backend": engine.removeprefix("vi, ")}

    def fit(self, n: int, **options: Any) -> None:
        self.inference.fit(n, progressbar=False, **self._backend, **options)

    def whole(self) -> dict[str, float]:
        """The example with its tracker.

        Seconds from the built model to the end, and the last test accuracy.
        """
        import pytensor.tensor as pt

        began = time.perf_counter()
        approx = self.inference.approx
        test = approx.sample_node(
            self._p, more_replacements={self._Xt: pt.as_tensor(self._X_test)}, size=100
        )
        train = approx.sample_node(self._p, size=100)
        test_accuracy = pt.eq(test.argmax(axis=-1), self._y_test).mean()
        train_accuracy = pt.eq(train.argmax(axis=-1), self._y_train).mean()
        tracker = self._tracker(test=test_accuracy.eval, train=train_accuracy.eval)
        self.fit(100, callbacks=[tracker])
        self.fit(400, callbacks=[tracker], obj_optimizer=self.adamax)
        seconds = self.setup + time.perf_counter() - began
        assert len(tracker["test"]) == 500
        return {
            "seconds": seconds,
            "after 100": float(tracker["test"][99]),
            "after 500": float(tracker["test"][-1]),
        }


def main() -> None:
    """Measure, and print the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds of steps (7)")
    parser.add_argument("--fresh-rounds", type=int, default=1, help="rounds of fresh processes (1)")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of one timing (1)")
    parser.add_argument("--whole", choices=ENGINES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    logging.disable(logging.INFO)
    if options.whole is not None:
        print(json.dumps(Example(options.whole).whole()))
        return
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in DISTRIBUTIONS)
    load = os.getloadavg()[0]
    print(
        f"{time.strftime('%Y-%m-%d')}; {versions}; {os.cpu_count()} cores, load average at the "
        f"start {load:.2f}\n"
    )
    steps = _steps(options.rounds, options.seconds)
    whole = {engine: _whole(engine, options.fresh_rounds) for engine in ENGINES}
    heads = (
        "engine",
        "ms a step",
        "CPU ms a step",
        "faster than pm.SVGD",
        "by CPU time",
        "whole example, cold (s)",
    )
    print(
        "| " + " | ".join((*heads, "warm (s)", "test accuracy after 100 steps", "after 500")) + " |"
    )
    print("|---" * (len(heads) + 3) + "|")
    for engine in ENGINES:
        runs = whole[engine]
        cells = [
            *(_span([1e3 * times[kind] for times in steps[engine]]) for kind in (0, 1)),
            *(_faster(steps["pm.SVGD"], steps[engine], kind) for kind in (0, 1)),
            *(f"{median(run['seconds'] for run in runs[state]):.1f}" for state in ("cold", "warm")),
            *(f"{runs['warm'][-1][when]:.3f}" for when in ("after 100", "after 500")),
        ]
        print(f"| {engine} | " + " | ".join(cells) + " |")


def _faster(theirs: list[Times], ours: list[Times], kind: int) -> str:
    return _span([a[kind] / b[kind] for a, b in zip(theirs, ours, strict=True)])


def _span(values: list[float]) -> str:
    low, middle, high = (f"{value:.3g}" for value in (min(values), median(values), max(values)))
    return middle if low == high else f"{middle} ({low} to {high})"


def _steps(rounds: int, seconds: float) -> dict[str, list[Times]]:
    """Seconds a step by engine, one entry a round."""
    examples = {engine: Example(engine) for engine in ENGINES}
    lengths = {}
    for engine, example in examples.items():
        _say(f"{engine}: compiles, then {SETTLE} steps")
        example.fit(1, obj_optimizer=example.adamax)
        lengths[engine] = max(5, round(seconds / _time(example, SETTLE)[0]))
    times: dict[str, list[Times]] = {engine: [] for engine in ENGINES}
    for i in range(rounds):
        _say(f"round {i + 1} of {rounds}")
        for engine, example in examples.items():
            times[engine].append(_time(example, lengths[engine]))
    return times


def _time(example: Example, n: int) -> Times:
    wall, cpu = time.perf_counter(), time.process_time()
    example.inference.refine(n, progressbar=False)
    return (time.perf_counter() - wall) / n, (time.process_time() - cpu) / n


def _whole(engine: str, rounds: int) -> dict[str, list[dict[str, float]]]:
    """The whole example in fresh processes: with empty caches of compiled code, then again."""
    runs: dict[str, list[dict[str, float]]] = {"cold": [], "warm": []}
    for i in range(rounds):
        with tempfile.TemporaryDirectory(prefix="vi-benchmark-") as caches:
            for state in runs:
                _say(f"{engine}: whole example, {state}, round {i + 1} of {rounds}")
                done = subprocess.run(
                    [sys.executable, __file__, "--whole", engine],
                    env=environment(Path(caches)),
                    stdout=subprocess.PIPE,
                    text=True,
                    check=True,
                )
                runs[state].append(json.loads(done.stdout.splitlines()[-1]))
    return runs


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
