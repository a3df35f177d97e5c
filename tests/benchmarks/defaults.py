"""Why the default optimiser is what it is: the default, and the default less one idea, on targets
that show the idea.

Run with ``python tests/benchmarks/defaults.py``. Each cell: worst error of the mean in posterior
sds over the seeds, then the mean error of log sd, after 10,000 mean-field steps with one draw.
Iterates are averaged, unless a row says it.
"""

from __future__ import annotations

import argparse
from importlib.metadata import version

import jax
import numpy as np
import optax
import pymc as pm

import vi
from vi.algorithms import Gradient
from vi.families import MeanField
from vi.foundation.precision import precision
from vi.objectives import ClosedFormEntropy
from vi.targets import from_pymc
from vi.training.compiled import compiled_loop
from vi.training.runner import BUFFER

STEPS = 10_000
OPTIMIZERS = {
    "default (scale_free_adam)": vi.scale_free_adam(),
    "... without strides": vi.scale_free_adam(stride_growth=0.0),
    "... without decay of the rate": vi.scale_free_adam(decay_steps=1e12),
    "... with memory t^0.9": vi.scale_free_adam(memory=0.9),
    "optax.adam(1e-2)": optax.adam(1e-2),
    "optax.adam(1e-2, b2=0.99)": optax.adam(1e-2, b2=0.99),
    "adagrad_window(1e-3), pm.fit's default; last iterate": vi.adagrad_window(),
    "adagrad_window(1e-2); last iterate": vi.adagrad_window(1e-2),
    "adam(1e-3); last iterate": vi.adam(),
}


def conjugate() -> tuple[pm.Model, float, float]:
    """Ten observations near 1, known noise."""
    y = np.random.default_rng(1).normal(1.0, 1.0, 10)
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mu", 0.0, 1.0), 1.0, observed=y)
    return model, y.sum() / 11, 1 / np.sqrt(11)


def far(unit: float, known: bool) -> tuple[pm.Model, float, float]:
    """Fifty observations of N(100, 1), in units of 1 / `unit`.

    The noise known or with a HalfNormal(5) prior.
    """
    y = np.random.default_rng(3).normal(100.0, 1.0, 50) * unit
    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, 200.0 * unit)
        pm.Normal("y", mu, unit if known else pm.HalfNormal("sigma", 5.0 * unit), observed=y)
    return model, y.mean(), (unit if known else y.std(ddof=1)) / np.sqrt(50)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=8)
    seeds = parser.parse_args().seeds
    targets = {
        "conjugate": conjugate(),
        "far, x 1e-3": far(1e-3, known=False),
        "far": far(1.0, known=False),
        "far, x 1e4": far(1e4, known=False),
        "far, known noise": far(1.0, known=True),
    }
    versions = f"jax {jax.__version__}, optax {version('optax')}, pymc {pm.__version__}"
    print(f"pymc-vi {vi.__version__}, {versions}; {seeds} seeds\n")
    print("| optimiser | " + " | ".join(targets) + " |")
    print("|---" * (len(targets) + 1) + "|")
    for name, optimizer in OPTIMIZERS.items():
        averaging = None if "last iterate" in name else vi.PolynomialAverage()
        cells = [cell(optimizer, averaging, *target, seeds) for target in targets.values()]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def cell(
    optimizer: optax.GradientTransformation,
    averaging: vi.PolynomialAverage | None,
    model: pm.Model,
    mean: float,
    sd: float,
    seeds: int,
) -> str:
    """Errors of many seeds, fitted together."""
    target = from_pymc(model, backend="jax")
    algorithm = Gradient(MeanField(), optimizer, averaging, objective=ClosedFormEntropy())
    point = model.initial_point()
    start = np.concatenate([np.ravel(point[slot.value_name]) for slot in target.layout])
    with precision(target.dtype):
        params = algorithm.family.init(
            jax.numpy.asarray(start), jax.numpy.full(len(start), np.log(2.0)), jax.random.key(0)
        )
        batch, buffer = target.batch(), np.zeros(BUFFER)

        def run(state, n):
            return compiled_loop(target, algorithm, state, batch, buffer, n)[0]

        states = jax.vmap(lambda key: algorithm.init(params, key))(
            jax.random.split(jax.random.key(0), seeds)
        )
        loop = jax.jit(jax.vmap(run, in_axes=(0, None)))
        for n in (BUFFER, STEPS - BUFFER):
            states = loop(states, np.int32(n))
        reported = jax.vmap(algorithm.report)(states)
        error = (np.asarray(reported["mu"])[:, 0] - mean) / sd
        log_sd = np.log(np.asarray(jax.nn.softplus(reported["rho"]))[:, 0] / sd)
    return f"{np.abs(error).max():.3g} \\| {log_sd.mean():+.3f}"


if __name__ == "__main__":
    main()
