"""Centred hierarchies and a random walk: ADVI in the model's coordinates and in others, and NUTS.

Run with ``python tests/benchmarks/noncentring.py --posteriordb PATH [--models schools walk]``. A
line for each model and method: the ELBO from 4,000 draws, the largest errors of means in reference
sds and of log sds, over all variables and over the globals, and seconds of the processors for the
whole fit. References of the first two models are posteriordb's, of the others those of
``noncentring_references.json``, of 4 chains of 5,000 draws; ``--references`` makes them anew, and
needs nutpie.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm

sys.path.insert(0, str(Path(__file__).parent / "posteriordb"))

import data as posteriordb
from json_lines import append

import vi
from vi.families import FullRank, LowRank, MeanField

REFERENCES = Path(__file__).with_name("noncentring_references.json")
SCHOOLS = "eight_schools-eight_schools_noncentered"
RADON = "radon_mn-radon_hierarchical_intercept_noncentered"
DRAWS = 20_000

type Moments = dict[str, tuple[np.ndarray, np.ndarray]]


def schools(folder: Path) -> pm.Model:
    """Eight schools, centred."""
    data = posteriordb.load_data(folder, SCHOOLS)
    with pm.Model() as model:
        mu, tau = pm.Normal("mu", 0, 5), pm.HalfCauchy("tau", 5)
        theta = pm.Normal("theta", mu, tau, shape=int(data["J"]))
        pm.Normal("y", theta, data["sigma"], observed=data["y"])
    return model


def radon(folder: Path) -> pm.Model:
    """Varying intercepts of 85 counties, centred."""
    data = posteriordb.load_data(folder, RADON)
    with pm.Model() as model:
        mu, sigma = pm.Normal("mu_alpha", 0, 10), pm.HalfNormal("sigma_alpha", 1)
        alpha = pm.Normal("alpha", mu, sigma, shape=int(data["J"]))
        beta = pm.Normal("beta", 0, 10, shape=2)
        mean = alpha[data["county_idx"] - 1] + beta[0] * data["log_uppm"]
        mean += beta[1] * data["floor_measure"]
        pm.Normal("y", mean, pm.HalfNormal("sigma_y", 1), observed=data["log_radon"])
    return model


def slopes(folder: Path, *, centred: bool = True) -> pm.Model:
    """Varying intercepts and slopes of 85 counties, few of which have both floors."""
    data = posteriordb.load_data(folder, RADON)
    county, counties = data["county_idx"] - 1, int(data["J"])
    with pm.Model() as model:
        mu, tau = pm.Normal("mu", 0, 10, shape=2), pm.HalfNormal("tau", 1, shape=2)
        if centred:
            alpha = pm.Normal("alpha", mu[0], tau[0], shape=counties)
            beta = pm.Normal("beta", mu[1], tau[1], shape=counties)
        else:
            own = [pm.Normal(name, shape=counties) for name in ("a", "b")]
            alpha = pm.Deterministic("alpha", mu[0] + tau[0] * own[0])
            beta = pm.Deterministic("beta", mu[1] + tau[1] * own[1])
        mean = alpha[county] + beta[county] * data["floor_measure"]
        pm.Normal("y", mean, pm.HalfNormal("sigma_y", 1), observed=data["log_radon"])
    return model


def walk(folder: Path) -> pm.Model:
    """A random walk of 100 steps, seen with noise; both sizes are unknown."""
    rng = np.random.default_rng(0)
    x = np.cumsum(0.2 * rng.normal(size=100))
    y = x + 0.5 * rng.normal(size=100)
    with pm.Model() as model:
        step, noise = pm.HalfNormal("step", 1), pm.HalfNormal("noise", 1)
        first = pm.Normal.dist(0, 1)
        x = pm.GaussianRandomWalk("x", mu=0, sigma=step, init_dist=first, shape=100)
        pm.Normal("y", x, noise, observed=y)
    return model


MODELS: dict[str, tuple[Callable[[Path], pm.Model], tuple[str, ...], str | None]] = {
    "schools": (schools, ("mu", "tau"), SCHOOLS),
    "radon": (radon, ("mu_alpha", "sigma_alpha", "beta", "sigma_y"), RADON),
    "slopes": (slopes, ("mu", "tau", "sigma_y"), None),
    "walk": (walk, ("step", "noise"), None),
}
"""Each model, its globals, and its name in posteriordb."""

METHODS: dict[str, Callable[[pm.Model], vi.Inference]] = {
    "advi": lambda model: vi.ADVI(model=model, random_seed=1),
    "fullrank_advi": lambda model: vi.FullRankADVI(model=model, random_seed=1),
    "structured_advi": lambda model: vi.StructuredADVI(model=model, random_seed=1),
    "noncentred_advi, MeanField": lambda model: _noncentred(MeanField(), model),
    "noncentred_advi, LowRank": lambda model: _noncentred(LowRank(), model),
    "noncentred_advi, FullRank": lambda model: _noncentred(FullRank(), model),
    "noncentred_advi, structure": lambda m: _noncentred(vi.structure(m).family, m),
}


def _noncentred(family: Any, model: pm.Model) -> vi.Inference:
    return vi.NoncentredADVI(family, model=model, random_seed=1)


def of_posteriordb(folder: Path, name: str) -> Moments:
    """Means and sds of the variables of a reference."""
    found = posteriordb.load_reference(folder, name)
    parts: dict[str, list[tuple[float, float]]] = {}
    for scalar, mean, sd in zip(found.names, found.mean, found.sd, strict=True):
        parts.setdefault(scalar.partition("[")[0], []).append((mean, sd))
    return {name: tuple(np.transpose(own)) for name, own in parts.items()}  # type: ignore[misc]


def by_nuts(name: str, folder: Path) -> dict[str, Any]:
    """Moments by NUTS, the worst R-hat and least effective draws; slopes are non-centred for it."""
    import arviz_stats
    import nutpie

    model = slopes(folder, centred=False) if name == "slopes" else MODELS[name][0](folder)
    trace = nutpie.sample(
        nutpie.compile_pymc_model(model),
        draws=5_000,
        tune=2_000,
        chains=4,
        cores=1,
        seed=1,
        target_accept=0.95,
        progress_bar=False,
    )
    names = [variable.name for variable in MODELS[name][0](folder).free_RVs]
    checks = arviz_stats.summary(trace, var_names=names, kind="diagnostics", round_to="none")
    found = trace["posterior"].to_dataset()[names]
    return {
        "moments": {
            str(n): [v.values.mean((0, 1)).tolist(), v.values.std((0, 1)).tolist()]
            for n, v in found.data_vars.items()
        },
        "rhat": float(checks["r_hat"].max()),
        "ess": float(checks["ess_bulk"].min()),
        "diverged": int(trace["sample_stats"]["diverging"].sum()),
    }


def reference_of(name: str, folder: Path) -> Moments:
    """What is right."""
    known = MODELS[name][2]
    if known is not None:
        return of_posteriordb(folder, known)
    moments = json.loads(REFERENCES.read_text())[name]["moments"]
    return {n: (np.asarray(mean), np.asarray(sd)) for n, (mean, sd) in moments.items()}


def fitted(method: str, name: str, folder: Path, n: int) -> dict[str, Any]:
    """One fit, and how far it is from the reference."""
    reference = reference_of(name, folder)
    began = time.process_time()
    approx = METHODS[method](MODELS[name][0](folder)).fit(n, progressbar=False)
    line: dict[str, Any] = {"processor": round(time.process_time() - began, 1)}
    ratios = approx.sample(4_000, random_seed=3, resample=None)["sample_stats"]
    line["elbo"] = round(float((ratios["log_p"] - ratios["log_q"]).mean()), 2)
    posterior = approx.sample(DRAWS, random_seed=2)["posterior"]
    for what, names in (("all", list(posterior.data_vars)), ("globals", MODELS[name][1])):
        means, sds = [], []
        for variable in map(str, names):
            mean, sd = reference[variable]
            draws = posterior[variable].values[0].reshape(DRAWS, -1)
            means.append(np.max(np.abs(draws.mean(0) - np.ravel(mean)) / np.ravel(sd)))
            sds.append(np.max(np.abs(np.log(draws.std(0) / np.ravel(sd)))))
        line |= {f"{what}_mean": round(max(means), 3), f"{what}_log_sd": round(max(sds), 3)}
    if isinstance(approx.family, vi.families.Noncentred):
        shares = np.asarray(approx.family.centring(approx.reported))
        line["centring"] = np.percentile(shares, [0, 25, 50, 75, 100]).round(2).tolist()
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--methods", nargs="*", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--references", action="store_true")
    parser.add_argument("--out", type=Path)
    posteriordb.add_folder_option(parser)
    asked = parser.parse_args()
    folder = posteriordb.folder(asked.posteriordb)
    logging.getLogger("vi").setLevel(logging.ERROR)
    if asked.references:
        found = {name: by_nuts(name, folder) for name in MODELS if MODELS[name][2] is None}
        REFERENCES.write_text(json.dumps(found, indent=1) + "\n")
    for name in asked.models:
        for method in asked.methods:
            line: dict[str, Any] = {"model": name, "method": method}
            try:
                line |= fitted(method, name, folder, asked.steps)
            except FloatingPointError as error:
                line["failed"] = f"{type(error).__name__}: {str(error)[:80]}"
            print(json.dumps(line), flush=True)
            if asked.out:
                append(asked.out, line)


if __name__ == "__main__":
    main()
