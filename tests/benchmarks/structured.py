"""Hierarchies and time series by their structure, beside other methods and NUTS.

Run with ``python tests/benchmarks/structured.py [--models radon volatility] [--out lines.jsonl]``.
A line for each model and method: seconds of the whole fit (compilation included) and of the
processors, microseconds a step, the ELBO from 1,000 draws, and the largest errors over the globals,
of means in NUTS' sds and of log sds. NUTS' moments are those of ``structured_references.json``, of
4 chains of 3,000 draws; ``--references`` makes them anew, and needs nutpie. ``--ratio`` gives
processor seconds of a step of ``structured_advi`` beside mean field's instead, by turns in one
process; with one thread (``taskset -c 0``) none are spent waiting.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm
from scipy.interpolate import BSpline

import vi

REFERENCES = Path(__file__).with_name("structured_references.json")
STEPS = 10_000
LARGEST_DENSE = 500


def radon(groups: int, rows: int, *, centred: bool = True) -> pm.Model:
    """Varying intercepts and slopes, with a binary predictor."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(groups), rows)
    x = rng.integers(0, 2, len(group)).astype(float)
    a, b = 1.3 + 0.4 * rng.normal(size=groups), -0.6 + 0.3 * rng.normal(size=groups)
    y = a[group] + b[group] * x + 0.7 * rng.normal(size=len(group))
    with pm.Model() as model:
        mu = pm.Normal("mu", 0, 10, shape=2)
        tau = pm.HalfNormal("tau", 1, shape=2)
        if centred:
            intercept = pm.Normal("a", mu[0], tau[0], shape=groups)
            slope = pm.Normal("b", mu[1], tau[1], shape=groups)
        else:
            intercept = mu[0] + tau[0] * pm.Normal("a", shape=groups)
            slope = mu[1] + tau[1] * pm.Normal("b", shape=groups)
        sigma = pm.HalfNormal("sigma", 1)
        pm.Normal("y", intercept[group] + slope[group] * x, sigma, observed=y)
    return model


def volatility(steps: int) -> pm.Model:
    """Stochastic volatility, centred; the persistence is 0.96."""
    rng = np.random.default_rng(0)
    h = np.zeros(steps)
    for t in range(1, steps):
        h[t] = 0.96 * h[t - 1] + 0.25 * rng.normal()
    y = np.exp((h - 1) / 2) * rng.normal(size=steps)
    with pm.Model() as model:
        mu = pm.Normal("mu", 0, 2)
        phi = pm.Beta("phi", 20, 1.5)
        sigma = pm.HalfNormal("sigma", 1)
        first = pm.Normal.dist(mu, 1.0)
        rho = [mu * (1 - phi), phi]
        state = pm.AR("h", rho, sigma=sigma, constant=True, steps=steps - 1, init_dist=first)
        pm.Normal("y", 0, pm.math.exp(state / 2), observed=y)
    return model


def trend(steps: int) -> pm.Model:
    """A local linear trend: level and slope walk, with scales that are not known."""
    rng = np.random.default_rng(0)
    slope = np.cumsum(0.1 * rng.normal(size=steps))
    level = np.cumsum(slope + 0.3 * rng.normal(size=steps))
    with pm.Model() as model:
        scales = pm.HalfNormal("scales", 1, shape=3)
        b = pm.Normal("slope", 0, 1, shape=steps)
        a = pm.Normal("level", 0, 10, shape=steps)
        pm.Potential("b walks", pm.logp(pm.Normal.dist(b[:-1], scales[0]), b[1:]).sum())
        pm.Potential("a walks", pm.logp(pm.Normal.dist(a[:-1] + b[:-1], scales[1]), a[1:]).sum())
        pm.Normal("y", a, scales[2], observed=level + 0.5 * rng.normal(size=steps))
    return model


def autoregression(steps: int) -> pm.Model:
    """A latent AR(1) with unknown persistence and scale, seen with noise of unknown size."""
    rng = np.random.default_rng(0)
    z = np.zeros(steps)
    for t in range(1, steps):
        z[t] = 0.9 * z[t - 1] + 0.3 * rng.normal()
    with pm.Model() as model:
        phi = pm.Uniform("phi", -1, 1)
        scale = pm.HalfNormal("scale", 1)
        noise = pm.HalfNormal("noise", 1)
        first = pm.Normal.dist(0, 1)
        state = pm.AR("state", [phi], sigma=scale, steps=steps - 1, init_dist=first)
        pm.Normal("y", state, noise, observed=z + 0.4 * rng.normal(size=steps))
    return model


def basis_of_a_process(terms: int, rows: int) -> pm.Model:
    """A Gaussian process by its spectrum (HSGP), Poisson counts."""
    rng = np.random.default_rng(0)
    x, half = np.linspace(-1, 1, rows), 1.5
    root = np.arange(1, terms + 1) * np.pi / (2 * half)
    basis = np.sin(root * (x[:, None] + half)) / np.sqrt(half)
    with pm.Model() as model:
        level = pm.Normal("level", 0, 2)
        height = pm.HalfNormal("height", 1)
        length = pm.LogNormal("length", np.log(0.3), 0.5)
        # the root of the spectral density of a squared exponential
        scale = height * (2 * np.pi) ** 0.25 * pm.math.sqrt(length)
        scale = scale * pm.math.exp(-0.25 * (root * length) ** 2)
        weights = pm.Normal("weights", 0, 1, shape=terms)
        rate = pm.math.exp(level + basis @ (scale * weights))
        pm.Poisson("y", rate, observed=rng.poisson(np.exp(1 + np.sin(4 * x))))
    return model


def spline(knots: int, rows: int) -> pm.Model:
    """A cubic spline whose second differences are small, by a scale that is not known."""
    rng = np.random.default_rng(0)
    x = np.linspace(0, 1, rows)
    places = np.r_[[0.0] * 3, np.linspace(0, 1, knots - 2), [1.0] * 3]
    basis = BSpline.design_matrix(x, places, 3).toarray()
    with pm.Model() as model:
        smooth = pm.HalfNormal("smooth", 1)
        noise = pm.HalfNormal("noise", 1)
        weights = pm.Normal("weights", 0, 5, shape=knots)
        bends = weights[2:] - 2 * weights[1:-1] + weights[:-2]
        pm.Potential("bends", pm.logp(pm.Normal.dist(0, smooth), bends).sum())
        y = np.sin(12 * x**2) + 0.3 * rng.normal(size=rows)
        pm.Normal("y", basis @ weights, noise, observed=y)
    return model


def irt(persons: int, items: int) -> pm.Model:
    """2PL: persons and items are crossed."""
    rng = np.random.default_rng(0)
    theta, hard = rng.normal(size=persons), rng.normal(size=items)
    steep = np.exp(0.3 * rng.normal(size=items))
    p = 1 / (1 + np.exp(-steep * (theta[:, None] - hard)))
    with pm.Model() as model:
        ability = pm.Normal("theta", shape=persons)
        a = pm.LogNormal("a", 0, 0.5, shape=items)
        scale = pm.HalfNormal("scale")
        mean = pm.Normal("mean")
        b = pm.Normal("b", mean, scale, shape=items)
        y = (rng.random(p.shape) < p).astype(int)
        pm.Bernoulli("y", logit_p=a * (ability[:, None] - b), observed=y)
    return model


MODELS: dict[str, tuple[Callable[[], pm.Model], tuple[str, ...]]] = {
    "radon": (lambda: radon(85, 11), ("mu", "tau", "sigma")),
    "radon 10,000": (lambda: radon(10_000, 5), ("mu", "tau", "sigma")),
    "volatility": (lambda: volatility(400), ("mu", "phi", "sigma")),
    "volatility 10,000": (lambda: volatility(10_000), ("mu", "phi", "sigma")),
    "trend": (lambda: trend(100), ("scales",)),
    "AR(1)": (lambda: autoregression(200), ("phi", "scale", "noise")),
    "AR(1) 10,000": (lambda: autoregression(10_000), ("phi", "scale", "noise")),
    "HSGP": (lambda: basis_of_a_process(100, 300), ("level", "height", "length")),
    "spline": (lambda: spline(100, 400), ("smooth", "noise")),
    "irt": (lambda: irt(100, 20), ("a", "b", "mean", "scale")),
}

BY_NUTS = {"radon": lambda: radon(85, 11, centred=False)}
"""What NUTS samples in the place of a model: centred, it does not get into the scale's tail."""

METHODS = (
    "structured_advi",
    "structured_laplace",
    "integrated_laplace",
    "advi",
    "lowrank_advi",
    "fullrank_advi",
    "laplace",
    "auto",
)


def moments(posterior: Any) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Means and sds over chains and draws."""
    return {
        str(name): (v.values.mean((0, 1)), v.values.std((0, 1)))
        for name, v in posterior.data_vars.items()
    }


def nuts(name: str) -> dict[str, Any]:
    """Moments of the globals by NUTS, the worst R-hat and least effective draws, and seconds."""
    import arviz_stats
    import nutpie

    model, names = BY_NUTS.get(name, MODELS[name][0])(), MODELS[name][1]
    began = time.perf_counter()
    trace = nutpie.sample(
        nutpie.compile_pymc_model(model),
        draws=3_000,
        tune=2_000,
        chains=4,
        cores=2,
        seed=1,
        target_accept=0.95,
        progress_bar=False,
    )
    seconds = time.perf_counter() - began
    found = moments(trace["posterior"].to_dataset()[list(names)])
    rhat, ess = (
        arviz_stats.summary(trace, var_names=list(names), kind="diagnostics", round_to="none")[what]
        for what in ("r_hat", "ess_bulk")
    )
    return {
        "moments": {
            name: [np.asarray(part).tolist() for part in own] for name, own in found.items()
        },
        "rhat": float(rhat.max()),
        "ess": float(ess.min()),
        "diverged": int(trace["sample_stats"]["diverging"].sum()),
        "seconds": round(seconds, 1),
    }


def errors(found: Any, reference: Any, names: tuple[str, ...]) -> tuple[float, float]:
    """The largest ones of means, in sds of the reference, and of logarithms of sds."""
    known = {name: [np.asarray(part) for part in reference[name]] for name in names}
    mean = max(np.max(np.abs(found[n][0] - known[n][0]) / known[n][1]) for n in names)
    sd = max(np.max(np.abs(np.log(found[n][1] / known[n][1]))) for n in names)
    return float(mean), float(sd)


def fitted(method: str, model: pm.Model) -> dict[str, Any]:
    """One fit, with what it cost and gave."""
    began, busy = time.perf_counter(), time.process_time()
    approx = vi.fit(STEPS, method=method, model=model, random_seed=1, progressbar=False)
    line: dict[str, Any] = {
        "seconds": round(time.perf_counter() - began, 1),
        "processor": round(time.process_time() - busy, 1),
        "status": approx.status.ending,
    }
    said = approx.settings()
    line |= {what: said[what] for what in ("pareto_k", "log_evidence", "others") if what in said}
    if approx.family.has_density:
        ratios = np.asarray(elbo_terms(approx))
        line["elbo"] = round(float(ratios.mean()), 2)
    if approx.record.seconds and len(approx.hist):
        line["us_a_step"] = round(1e6 * approx.record.seconds / len(approx.hist), 1)
    line["moments"] = moments(approx.sample(4_000, random_seed=2)["posterior"])
    return line


def elbo_terms(approx: Any) -> Any:
    """Log p - log q at 1,000 draws."""
    draws = approx.sample(1_000, random_seed=3, resample=None)["sample_stats"]
    return (draws["log_p"] - draws["log_q"]).values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    parser.add_argument("--references", action="store_true")
    parser.add_argument("--ratio", action="store_true")
    parser.add_argument("--out")
    asked = parser.parse_args()
    logging.getLogger("vi").setLevel(logging.ERROR)
    references = json.loads(REFERENCES.read_text()) if REFERENCES.exists() else {}
    for name in asked.models:
        if asked.ratio:
            write(asked.out, ratio(name))
            continue
        if asked.references:
            references[name] = nuts(name)
            REFERENCES.write_text(json.dumps(references, indent=1) + "\n")
        make, globals_ = MODELS[name]
        print(found := vi.structure(make()), flush=True)
        dim, reference = found.layout.dim, references.get(name)
        for method in asked.methods:
            if dim > LARGEST_DENSE and method in ("fullrank_advi", "laplace", "auto"):
                continue
            line = {"model": name, "dim": dim, "method": method}
            try:
                line |= fitted(method, make())
            except (ValueError, FloatingPointError) as error:
                line |= {"status": f"{type(error).__name__}: {str(error)[:80]}"}
            found = line.pop("moments", None)
            if found and reference:
                mean, sd = errors(found, reference["moments"], globals_)
                line |= {"globals_mean": round(mean, 3), "globals_log_sd": round(sd, 3)}
            write(asked.out, line)


def ratio(name: str, rounds: int = 9, seconds: float = 0.3) -> dict[str, Any]:
    """Processor microseconds of a step, mean field's and the structured family's, by turns."""
    kinds: tuple[Any, ...] = (vi.ADVI, vi.StructuredADVI)
    made = [kind(model=MODELS[name][0](), random_seed=1, warm_start=False) for kind in kinds]
    counts = []
    for inference in made:
        inference.fit(10, progressbar=False)
        n = 20
        while (took := step_seconds(inference, n)) * n < seconds / 4:
            n *= 4
        counts.append(max(1, round(seconds / took)))
    times = [
        [1e6 * step_seconds(own, n) for own, n in zip(made, counts, strict=True)]
        for _ in range(rounds)
    ]
    mean_field, structured = np.transpose(times)
    return {
        "model": name,
        "us_mean_field": round(float(mean_field.min()), 1),
        "us_structured": round(float(structured.min()), 1),
        "ratio": round(float(np.median(structured / mean_field)), 2),
    }


def step_seconds(inference: Any, n: int) -> float:
    """Processor seconds of a step, of so many more."""
    began = time.process_time()
    inference.refine(n, progressbar=False)
    return (time.process_time() - began) / n


def write(path: str | None, line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
