"""How well, and at what price, the low-rank family finds a diagonal plus 8 directions.

Run with ``python tests/benchmarks/low_rank.py`` (some minutes). The target is a known normal:
covariance ``diag(d^2) + U U'`` with ``d`` uniform between 0.5 and 1.5 and 8 columns of standard
normal entries in ``U``, mean standard normal. The first table is about seconds a step and peak
memory in many dimensions, each row in a process of its own; the second about errors after a fit.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import subprocess
import sys
import time

import jax
import numpy as np
import pymc as pm

import vi

RANK = 8


def target(dim: int) -> tuple[pm.Model, np.ndarray, np.ndarray, np.ndarray]:
    """The model, its mean, its diagonal ``d`` and its directions ``U``; the log density
    costs O(D).
    """
    generator = np.random.default_rng(dim)
    mean, diagonal = generator.normal(size=dim), generator.uniform(0.5, 1.5, dim)
    directions = generator.normal(size=(dim, RANK))
    scaled = directions / diagonal[:, None]
    values, vectors = np.linalg.eigh(scaled.T @ scaled)
    basis = scaled @ (
        vectors * np.sqrt((1 - 1 / (1 + values)) / values)
    )  # (I + A A')^-1 = I - B B'
    with pm.Model() as model:
        x = pm.Flat("x", shape=dim, initval=np.zeros(dim))
        standardised = (x - mean) / diagonal
        inside = pm.math.dot(standardised, basis)
        pm.Potential("log_p", -0.5 * (pm.math.sum(standardised**2) - pm.math.sum(inside**2)))
    return model, mean, diagonal, directions


def errors(dim: int, rank: int | None, draws: int, steps: int, seed: int) -> str:
    """A row of errors."""
    model, mean, diagonal, directions = target(dim)
    began = time.perf_counter()
    approx = vi.LowRankADVI(rank, model=model, random_seed=seed).fit(
        steps, obj_n_mc=draws, progressbar=False
    )
    seconds = time.perf_counter() - began
    cov = np.diag(diagonal**2) + directions @ directions.T
    sd = np.sqrt(np.diag(cov))
    own = approx.cov.eval()
    ratio = np.sqrt(np.diag(own)) / sd - 1
    frobenius = np.linalg.norm(own - cov) / np.linalg.norm(cov)
    given = approx.reported["U"].shape[1]
    within = np.max(np.abs(approx.mean.eval() - mean) / sd)
    return (
        f"| {dim:,} | {given} | {draws} | {steps:,} | {frobenius:.2%} | "
        f"{np.sqrt(np.mean(ratio**2)):.2%} | "
        f"{np.max(np.abs(ratio)):.2%} | {within:.3f} | {seconds:.0f} |"
    )


def price(dim: int, rank: int, dtype: str, steps: int) -> str:
    """A row of seconds and memory."""
    model, *_ = target(dim)
    before = peak()
    inference = vi.LowRankADVI(rank, model=model, random_seed=1, dtype=dtype)
    profile = inference.run_profiling(steps, backend="jax")
    return (
        f"| {dim:,} | {rank} | {dtype} | {profile.per_step:.3f} | {profile.first_call:.1f} | "
        f"{peak():,.0f} | "
        f"{before:,.0f} |"
    )


def peak() -> float:
    """Largest resident memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        2**20 if sys.platform == "darwin" else 2**10
    )


def main() -> None:
    """Print the tables, or one row of the first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, nargs="+", default=[10_000])
    parser.add_argument("--draws", type=int, nargs="+", default=[1, 8])
    parser.add_argument(
        "--row", nargs=3, metavar=("D", "RANK", "DTYPE"), help="one row of the first table"
    )
    options = parser.parse_args()
    if options.row:
        dim, rank, dtype = options.row
        print(price(int(dim), int(rank), dtype, steps=50))
        return
    print(f"pymc-vi {vi.__version__}, jax {jax.__version__}, pymc {pm.__version__}\n")
    # memory first: a process starts with the peak of the one that started it, which is small now
    print(
        "| D | rank | dtype | seconds a step | first call, s | peak MiB | of these before the fit |"
    )
    print("|---" * 7 + "|")
    for dim, rank in ((100_000, 16), (100_000, 32)):
        for dtype in ("float64", "float32"):
            row = [sys.executable, __file__, "--row", str(dim), str(rank), dtype]
            print(
                subprocess.run(row, check=True, capture_output=True, text=True).stdout.strip(),
                flush=True,
            )
    print(
        "\n| D | rank of q | draws a step | steps | error of cov (Frobenius) | sds, rms | sds, "
        "worst | ",
        end="",
    )
    print("mean, worst, in sds | seconds |")
    print("|---" * 9 + "|")
    for steps in options.steps:
        for dim in (200, 2_000):
            for rank, draws in itertools.product((4, RANK, None), options.draws):
                print(errors(dim, rank, draws, steps, seed=1), flush=True)


if __name__ == "__main__":
    main()
