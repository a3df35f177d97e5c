"""Fits whose files 0.1.0 wrote: the models, built again, and the program that wrote the files.

``python tests/approximation/fits_0_1_0.py FOLDER`` writes them with the library that is installed;
those in ``files_0_1_0/`` come from commit 8d97e77.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pymc as pm

import vi

QUIET = {"n": 40, "random_seed": 5, "progressbar": False, "backend": "jax"}


def model() -> pm.Model:
    rng = np.random.default_rng(11)
    x = rng.normal(size=(30, 2))
    with pm.Model(coords={"column": ["a", "b"]}) as built:
        beta = pm.Normal("beta", 0.0, 2.0, dims="column")
        sigma = pm.HalfNormal("sigma", 1.0)
        y = x @ [1.0, -1.0] + rng.normal(size=30)
        pm.Normal("y", (x * beta).sum(axis=1), sigma, observed=y)
    return built


def local_model() -> pm.Model:
    rng = np.random.default_rng(12)
    with pm.Model() as built:
        y = vi.Minibatch(rng.normal(1.0, 1.0, 60), batch_size=10)
        mu = pm.Normal("mu", 0.0, 3.0)
        z = pm.Normal("z", mu, 1.0, shape=y.shape[0])
        pm.Normal("y", z, 0.5, observed=y, total_size=60)
    return built


def groups(built: pm.Model) -> vi.Approximation:
    parts = [vi.Group(["beta"], family="full_rank"), vi.Group(None)]
    return vi.Approximation(parts, model=built, random_seed=5)


def local(built: pm.Model) -> vi.Approximation:
    parts = [vi.Group(["z"], local=True), vi.Group(None)]
    return vi.Approximation(parts, model=built, random_seed=5)


def student(built: pm.Model) -> vi.ADVI:
    return vi.ADVI(model=built, random_seed=5, base=vi.families.StudentT(5.0))


def svgd(built: pm.Model) -> vi.SVGD:
    return vi.SVGD(n_particles=20, model=built, random_seed=5)


def _steps(**options):
    return {name: value for name, value in (QUIET | options).items() if name != "random_seed"}


FITS = {
    "advi": (model, lambda m: vi.fit(method="advi", model=m, **QUIET)),
    "advi_float32": (model, lambda m: vi.fit(method="advi", model=m, dtype="float32", **QUIET)),
    "adam": (model, lambda m: vi.fit(model=m, obj_optimizer=vi.adam(learning_rate=0.02), **QUIET)),
    "fullrank_advi": (model, lambda m: vi.fit(method="fullrank_advi", model=m, **QUIET)),
    "lowrank_advi": (model, lambda m: vi.fit(method="lowrank_advi", model=m, **QUIET)),
    "student": (model, lambda m: student(m).fit(**_steps())),
    "svgd": (model, lambda m: svgd(m).fit(**_steps())),
    "restarts": (model, lambda m: vi.fit(model=m, restarts=3, **QUIET)),
    "laplace": (model, lambda m: vi.fit(method="laplace", model=m, **QUIET)),
    "groups": (model, lambda m: vi.KLqp(groups(m)).fit(**_steps())),
    "local": (local_model, lambda m: vi.KLqp(local(m)).fit(**_steps())),
}
"""By name: what builds the model, and what fits it."""


def write(folder: Path) -> None:
    """Write every fit, and beside it what it reports and what ``refine`` makes of it."""
    for name, (build, fit) in FITS.items():
        approx = fit(build())
        approx.save(folder / f"{name}.vi")
        expected = {f"reported/{key}": np.array(value) for key, value in approx.reported.items()}
        expected["hist"] = np.array(approx.hist)
        if approx.state is not None:
            approx.refine(5, progressbar=False)
            expected |= {f"refined/{key}": value for key, value in approx.iterate.items()}
        np.savez(folder / f"{name}.npz", **expected)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
