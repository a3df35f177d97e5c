"""How near the families come to posteriors that are not normal: a banana and Neal's funnel.

Run with ``python tests/benchmarks/shapes.py`` (some minutes; ``--steps 2000 10000`` measures one
run twice). Each row: the mean over seeds of the ELBO (mean of log p - log q over 20,000 draws; 0
where q is the posterior, because both densities are normalised), and of the 1-Wasserstein distance
of the worst marginal in units of that marginal's true standard deviation. The last row compares
exact draws with exact draws: what 20,000 draws can tell.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

import jax
import numpy as np
import pymc as pm
from scipy.stats import wasserstein_distance

import vi

DRAWS = 20_000


@dataclass(frozen=True)
class Shape:
    """A model whose posterior is its prior, with exact draws and standard deviations of its
    variables.
    """

    name: str
    model: pm.Model
    exact: Callable[[np.random.Generator], np.ndarray]
    sds: np.ndarray


def banana() -> Shape:
    """Two dimensions: b follows the square of a."""
    with pm.Model() as model:
        a = pm.Normal("a", 0.0, 2.0)
        pm.Normal("b", a**2, 0.5)

    def exact(generator: np.random.Generator) -> np.ndarray:
        a = generator.normal(0.0, 2.0, DRAWS)
        return np.column_stack([a, generator.normal(a**2, 0.5)])

    return Shape("banana, D = 2", model, exact, np.sqrt([4.0, 2 * 16 + 0.25]))


def funnel() -> Shape:
    """Ten dimensions: the first one is twice the log scale of the nine others."""
    with pm.Model() as model:
        v = pm.Normal("v", 0.0, 3.0)
        pm.Normal("x", 0.0, pm.math.exp(v / 2), shape=9)

    def exact(generator: np.random.Generator) -> np.ndarray:
        v = generator.normal(0.0, 3.0, DRAWS)
        return np.column_stack([v, generator.normal(size=(DRAWS, 9)) * np.exp(v / 2)[:, None]])

    return Shape("funnel, D = 10", model, exact, np.r_[3.0, np.full(9, np.exp(9.0 / 4))])


METHODS: dict[str, tuple[Callable[..., vi.Inference], dict[str, int]]] = {
    "mean field": (vi.ADVI, {}),
    "mean field, StudentT(5)": (
        lambda **options: vi.ADVI(base=vi.families.StudentT(), **options),
        {},
    ),
    "low rank, 2 directions": (lambda **options: vi.LowRankADVI(2, **options), {}),
    "full rank": (vi.FullRankADVI, {}),
    "full rank, MultivariateT(5)": (
        lambda **options: vi.FullRankADVI(base=vi.families.MultivariateT(), **options),
        {},
    ),
    "full rank by ASVGD, 100 draws": (vi.ASVGD, {}),
    "flow, 1 draw a step": (vi.NFVI, {"obj_n_mc": 1}),
    "flow (8 draws a step)": (vi.NFVI, {}),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument(
        "--steps", type=int, nargs="+", default=[10_000], help="one run, measured after these steps"
    )
    parser.add_argument("--only", default="", help="rows whose name contains this")
    options = parser.parse_args()
    versions = f"jax {jax.__version__}, flowjax {version('flowjax')}, pymc {pm.__version__}"
    print(f"pymc-vi {vi.__version__}, {versions}; {options.seeds} seeds\n")
    print("| shape | q | steps | ELBO | W1 of the worst marginal, in its sds | seconds |")
    print("|---|---|---|---|---|---|")
    for shape in (banana(), funnel()):
        for name, (method, settings) in METHODS.items():
            if options.only in name:
                report(shape, name, method, settings, options.steps, options.seeds)
        one, two = (shape.exact(np.random.default_rng(seed)) for seed in (1, 2))
        print(f"| {shape.name} | exact draws | | 0 | {worst(shape, one, two):.3f} | |", flush=True)


def report(
    shape: Shape,
    name: str,
    method: Callable[..., vi.Inference],
    settings: dict[str, int],
    steps: list[int],
    seeds: int,
) -> None:
    """One row for each number of steps."""
    found: dict[int, list[tuple[float, float, float]]] = {n: [] for n in steps}
    for seed in range(1, seeds + 1):
        inference = method(model=shape.model, random_seed=seed)
        spent, done = 0.0, 0
        for n in sorted(steps):
            began = time.perf_counter()
            if done:
                inference.refine(n - done, progressbar=False)
            else:
                inference.fit(n, progressbar=False, **settings)
            spent, done = spent + time.perf_counter() - began, n
            found[n].append((*quality(shape, inference.approx, seed), spent))
    for n, values in found.items():
        elbo, distance, seconds = zip(*values, strict=True)
        print(
            f"| {shape.name} | {name} | {n:,} | {spread(elbo, 2)} | {spread(distance, 3)} | "
            f"{np.mean(seconds):.0f} |",
            flush=True,
        )


def quality(shape: Shape, approx: vi.Approximation, seed: int) -> tuple[float, float]:
    """ELBO and distance of the worst marginal."""
    drawn = approx.sample(DRAWS, random_seed=seed)
    stats = drawn["sample_stats"]
    columns = [drawn["posterior"][name].values.reshape(DRAWS, -1) for name in approx.layout.names]
    exact = shape.exact(np.random.default_rng(seed))
    return float((stats["log_p"] - stats["log_q"]).mean()), worst(shape, np.hstack(columns), exact)


def worst(shape: Shape, one: np.ndarray, two: np.ndarray) -> float:
    """The largest distance between marginals, in true standard deviations."""
    return max(
        wasserstein_distance(x, y) / sd for x, y, sd in zip(one.T, two.T, shape.sds, strict=True)
    )


def spread(values: tuple[float, ...], digits: int) -> str:
    """The mean over seeds, and the range in brackets."""
    return f"{np.mean(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


if __name__ == "__main__":
    main()
