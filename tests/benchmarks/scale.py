"""What a step and its memory cost in many dimensions, and what compiling costs for long models.

Each row is a process of its own. Seconds are those of processors, which other programs change
little; with one thread: ``taskset -c 0 python tests/benchmarks/scale.py``. The second table needs
NumPyro.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

LARGEST = 600
"""Seconds after which a process is ended."""

SIZES = {"mean field": 10**6, "low rank, 16 directions": 10**6, "full rank": 2_000}
SYSTEMS = ("vi", "pm.fit", "NumPyro")
VARIABLES, STEPS, TERMS = 200, 1_000, 50
ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="+", choices=("steps", "compiling"))
    parser.add_argument("--size", type=int, help="dimensions, in the place of the usual")
    parser.add_argument("--row", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        kind, name, detail = options.row
        print(steps(name, int(detail)) if kind == "steps" else compiling(name, detail))
        return
    tables = options.tables or ("steps", "compiling")
    if "steps" in tables:
        columns = ("q", "D", "ms a step", "ns a parameter", "of two passes over D x D")
        _heading(*columns, "peak memory, arrays")
        for name, size in SIZES.items():
            print(_in_a_process("steps", name, str(options.size or size)), flush=True)
    if "compiling" in tables:
        _heading("model", *(f"{system}, s" for system in SYSTEMS))
        for name in MODELS:
            cells = [_in_a_process("compiling", name, system) for system in SYSTEMS]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


def _heading(*columns: str) -> None:
    print(f"\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|", flush=True)


def _in_a_process(*row: str) -> str:
    try:
        done = subprocess.run(
            [sys.executable, __file__, "--row", *row],
            check=False,
            capture_output=True,
            text=True,
            timeout=LARGEST,
        )
    except subprocess.TimeoutExpired:
        return f"more than {LARGEST} s on the wall"
    if done.returncode:
        return f"failed: {(done.stderr.strip().splitlines() or ['silent'])[-1][:80]}"
    return done.stdout.splitlines()[-1]


def steps(name: str, dim: int) -> str:
    """A row: steps of q on independent normals, one draw, all defaults; and its peak memory."""
    import pymc as pm
    from memory import PeakMemory

    import vi

    def made(dim: int) -> vi.Inference:
        with pm.Model() as model:
            pm.Normal("x", 0.0, 1.0, shape=dim)
        if name == "full rank":
            return vi.FullRankADVI(model=model, random_seed=1)
        if name == "mean field":
            return vi.ADVI(model=model, random_seed=1)
        return vi.LowRankADVI(16, model=model, random_seed=1)

    made(20).fit(10, progressbar=False)  # what the libraries themselves need is there then
    with PeakMemory() as memory:
        inference = made(dim)
        inference.fit(5, progressbar=False)
        inference.refine(5, progressbar=False)
    parameters = sum(np.size(value) for value in inference.approx.reported.values())
    few = 10 if name != "mean field" else 20
    times = [_seconds(lambda: inference.refine(few, progressbar=False)) for _ in range(ROUNDS)]
    step = median(times) / few
    dense = f"{step / _two_passes(dim):.1f}" if name == "full rank" else ""
    unit = dim**2 if name == "full rank" else dim
    arrays = f"{memory.growth / (8 * unit):.1f} of {'D x D' if name == 'full rank' else 'D'}"
    cells = (name, f"{dim:,}", f"{1e3 * step:.1f}", f"{1e9 * step / parameters:.1f}", dense)
    return f"| {' | '.join(cells)} | {arrays} |"


def _two_passes(dim: int) -> float:
    """Processor seconds of reading a matrix and writing it, changed."""
    matrix = np.ones((dim, dim))
    return median(_seconds(lambda: np.multiply(matrix, 1.0, out=matrix)) for _ in range(9))


def _seconds(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def compiling(name: str, system: str) -> str:
    """Processor seconds from a model to its first step of mean field."""
    program = MODELS[name]
    if system == "NumPyro":
        import jax
        import numpyro
        from numpyro.infer import SVI, Trace_ELBO
        from numpyro.infer.autoguide import AutoNormal

        numpyro.enable_x64()
        own = program(_NumPyro())
        svi = SVI(own, AutoNormal(own), numpyro.optim.Adam(1e-2), Trace_ELBO())

        def first() -> None:
            state = svi.init(jax.random.PRNGKey(1))
            jax.block_until_ready(jax.jit(svi.update)(state))

        return f"{_seconds(first):.1f}"
    import pymc as pm

    import vi

    with pm.Model() as model:
        program(_PyMC())()
    with model:
        if system == "vi":
            return f"{_seconds(lambda: vi.fit(1, 'advi', random_seed=1, progressbar=False)):.1f}"
        return f"{_seconds(lambda: pm.fit(1, random_seed=1, progressbar=False)):.1f}"


class _PyMC:
    """What a program is written in."""

    def normal(self, name: str, mean: Any, sd: Any, observed: Any = None) -> Any:
        import pymc as pm

        return pm.Normal(name, mean, sd, observed=observed)


class _NumPyro:
    def normal(self, name: str, mean: Any, sd: Any, observed: Any = None) -> Any:
        import numpyro
        import numpyro.distributions as dist

        return numpyro.sample(name, dist.Normal(mean, sd), obs=observed)


def _variables(language: Any) -> Callable[[], None]:
    def program() -> None:
        total = 0.0
        for i in range(VARIABLES):
            total = total + language.normal(f"x{i}", 0.0, 1.0)
        language.normal("y", total, 1.0, observed=np.array(1.0))

    return program


def _unrolled(language: Any) -> Callable[[], None]:
    def program() -> None:
        growth, level = language.normal("growth", 0.0, 1.0), language.normal("level", 0.0, 1.0)
        for _ in range(STEPS):
            level = level + 0.001 * growth * level * (1.0 - level)
        language.normal("y", level, 1.0, observed=np.array(1.0))

    return program


def _terms(language: Any) -> Callable[[], None]:
    def program() -> None:
        mean = language.normal("mean", 0.0, 1.0)
        for i in range(TERMS):
            language.normal(f"y{i}", mean * i, 1.0 + i, observed=np.linspace(0.0, 1.0, 20 + i))

    return program


MODELS = {
    f"{VARIABLES} variables": _variables,
    f"a loop of {STEPS:,} steps, unrolled": _unrolled,
    f"{TERMS} likelihood terms": _terms,
}
"""Programs by name, each for either language."""


if __name__ == "__main__":
    main()
