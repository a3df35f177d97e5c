"""Models of the libraries beside ours, with the ways to fit them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr

import vi

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docs" / "examples"))
import neighbours
from neighbours import Case, judged

__all__ = [
    "BAMBI",
    "BAMBI_OWN",
    "NUMPYRO",
    "NUMPYRO_OWN",
    "PATHFINDER",
    "bambi_intercepts",
    "bambi_slopes",
    "baseball",
    "hidden_markov",
    "numpyro_lines",
    "shrinkage",
    "with_pathfinder",
]

BAMBI, NUMPYRO, PATHFINDER = "bambi.fit", "vi.fit", "pathfinder"
"""Labels of ways."""

BAMBI_OWN = 'fit(inference_method="vi")'
NUMPYRO_OWN = ("SVI, AutoNormal", "SVI, AutoMultivariateNormal")


def bambi_intercepts() -> Case:
    """A normal response, intercepts of 12 groups."""
    rng = np.random.default_rng(0)
    group, x = np.arange(240) % 12, rng.normal(4.0, 1.0, 240)
    y = 1.0 + 0.5 * x + rng.normal(0.0, 0.7, 12)[group] + rng.normal(0.0, 0.5, 240)
    data = pd.DataFrame({"x": x, "y": y, "g": [f"g{i}" for i in group]})
    return _bambi("y ~ x + (1|g)", data, "gaussian", ["x", "sigma", "1|g_sigma", "1|g"])


def bambi_slopes() -> Case:
    """Yes or no, intercepts and slopes of 20 groups."""
    rng = np.random.default_rng(1)
    group, x = np.arange(1000) % 20, rng.normal(0.0, 1.0, 1000)
    lines = np.array([0.3, 0.8]) + rng.normal(0.0, 0.6, (20, 2))
    logits = lines[group, 0] + lines[group, 1] * x
    y = (rng.random(1000) < 1 / (1 + np.exp(-logits))).astype(int)
    data = pd.DataFrame({"x": x, "y": y, "g": [f"g{i:02}" for i in group]})
    names = ["x", "1|g_sigma", "x|g_sigma", "1|g", "x|g"]
    return _bambi("y ~ x + (x|g)", data, "bernoulli", names)


def _bambi(formula: str, data: pd.DataFrame, family: str, names: list[str]) -> Case:
    """Not the intercept, which Bambi's own VI draws of centred predictors."""
    import bambi

    def model() -> Any:
        return bambi.Model(formula, data, family=family)

    def ours(**options: Any) -> xr.DataTree:
        built = model()
        draws = vi.bambi.fit(built, random_seed=1, progressbar=False, **options)
        return judged(draws, built.backend.vi_approx)

    def own(draws: int, method: str = "advi") -> xr.DataTree:
        approx = model().fit(inference_method="vi", method=method, random_seed=1, progressbar=False)
        return approx.sample(draws, random_seed=1)

    def nuts(**options: Any) -> xr.DataTree:
        return model().fit(**{"random_seed": 1, "progressbar": False} | options)

    return Case(
        names,
        {
            "NUTS": nuts,
            BAMBI: ours,
            BAMBI_OWN: own,
        },
    )


def baseball() -> Case:
    """Chances of 18 players, whose logits have a common law."""
    from numpyro_models import hierarchy_of_logits

    example = hierarchy_of_logits()
    return _numpyro(example.model, example.args, ["loc", "scale", "alpha"])


def numpyro_lines() -> Case:
    """A line for each of 30 patients, centred, as in NumPyro's tutorial on hierarchies."""
    import numpyro
    import numpyro.distributions as dist

    rng = np.random.default_rng(0)
    patient, week = np.repeat(np.arange(30), 8), np.tile(np.linspace(-1.0, 1.0, 8), 30)
    lines = np.array([2.0, -1.0]) + rng.normal(0.0, [0.8, 0.4], (30, 2))
    y = lines[patient, 0] + lines[patient, 1] * week + rng.normal(0.0, 0.3, 240)

    def model(patient: Any, week: Any, y: Any = None) -> None:
        mean = numpyro.sample("mean", dist.Normal(0.0, 5.0).expand([2]).to_event(1))
        spread = numpyro.sample("spread", dist.HalfNormal(2.0).expand([2]).to_event(1))
        with numpyro.plate("patients", 30):
            line = numpyro.sample("line", dist.Normal(mean, spread).to_event(1))
        noise = numpyro.sample("noise", dist.HalfNormal(1.0))
        with numpyro.plate("rows", len(patient)):
            at = line[patient, 0] + line[patient, 1] * week
            numpyro.sample("y", dist.Normal(at, noise), obs=y)

    return _numpyro(model, (patient, week, y), ["mean", "spread", "noise", "line"])


def _numpyro(model: Callable[..., None], args: tuple[Any, ...], names: list[str]) -> Case:
    """NumPyro's SVI by 10,000 steps of ``Adam(0.01)``."""
    import jax
    from numpyro.infer import MCMC, NUTS, SVI, Trace_ELBO, autoguide
    from numpyro.optim import Adam

    def tree(draws: Any, **stats: Any) -> xr.DataTree:
        found = {"posterior": {name: np.asarray(draws[name]) for name in names}}
        found |= {group: {"diverging": np.asarray(values)} for group, values in stats.items()}
        return xr.DataTree.from_dict(
            {name: xr.Dataset({v: _dims(v, of[v]) for v in of}) for name, of in found.items()}
        )

    def ours(draws: int, **options: Any) -> xr.DataTree:
        built = vi.targets.from_numpyro(model, *args)
        approx = vi.fit(model=built, random_seed=1, progressbar=False, **options)
        return judged(approx.sample(draws, random_seed=1), approx)

    def own(guide: str, draws: int) -> xr.DataTree:
        made = getattr(autoguide, guide)(model)
        svi = SVI(model, made, Adam(0.01), Trace_ELBO())
        run = svi.run(jax.random.key(1), 10_000, *args, progress_bar=False)
        shape = (1, draws)
        return tree(made.sample_posterior(jax.random.key(2), run.params, sample_shape=shape))

    def nuts(
        draws: int,
        tune: int,
        chains: int,
        cores: int = 1,
        random_seed: int = 1,
        target_accept: float = 0.8,
    ) -> xr.DataTree:
        assert cores == 1
        chain = MCMC(
            NUTS(model, target_accept_prob=target_accept),
            num_warmup=tune,
            num_samples=draws,
            num_chains=chains,
            chain_method="sequential",
            progress_bar=False,
        )
        chain.run(jax.random.key(random_seed), *args)
        diverging = chain.get_extra_fields(group_by_chain=True)["diverging"]
        return tree(chain.get_samples(group_by_chain=True), sample_stats=diverging)

    return Case(
        names,
        {
            "NUTS": nuts,
            NUMPYRO: ours,
            NUMPYRO_OWN[0]: partial(own, "AutoNormal"),
            NUMPYRO_OWN[1]: partial(own, "AutoMultivariateNormal"),
        },
    )


def _dims(name: str, values: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    return ("chain", "draw", *(f"{name}_{i}" for i in range(values.ndim - 2))), values


def hidden_markov() -> Case:
    """200 rows of a hidden Markov model with two states, which are summed out."""
    from pymc_extras import marginalize
    from pymc_extras.distributions import DiscreteMarkovChain

    rng = np.random.default_rng(0)
    change = np.array([[0.9, 0.1], [0.2, 0.8]])
    states = [0]
    for _ in range(199):
        states.append(int(rng.random() < change[states[-1], 1]))
    y = rng.normal(np.array([-1.0, 1.5])[states], 0.7)
    with pm.Model() as model:
        rows = pm.Dirichlet("P", np.array([[4.0, 1.0], [1.0, 4.0]]))
        mu = pm.Normal("mu", [-1.0, 1.0], 0.5, shape=2)
        sigma = pm.HalfNormal("sigma", 1.0)
        first = pm.Categorical.dist([0.5, 0.5])
        chain = DiscreteMarkovChain("chain", P=rows, init_dist=first, steps=199)
        pm.Normal("y", mu[chain], sigma, observed=y)
    return neighbours.of_model(marginalize(model, ["chain"]), ["P", "mu", "sigma"])


def shrinkage() -> Case:
    """A regression on ten columns, three of which matter, with the R2-D2-M2 prior."""
    from pymc_extras.distributions import R2D2M2CP

    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 10))
    y = x @ [1.0, -0.7, 0.4, *[0.0] * 7] + rng.normal(0.0, 0.7, 100)
    with pm.Model(coords={"column": np.arange(10)}) as model:
        sigma = pm.HalfNormal("sigma", 1.0)
        _, beta = R2D2M2CP(
            "beta", sigma, x.std(axis=0), dims=["column"], r2=0.6, r2_std=0.15, centered=False
        )
        pm.Normal("y", x @ beta, sigma, observed=y)
    return neighbours.of_model(model, ["sigma", "beta"])


def with_pathfinder(case: Case) -> Case:
    """A PyMC model, by the VI of pymc-extras too."""

    def own(draws: int) -> xr.DataTree:
        import pymc_extras

        options = {"model": case.model, "random_seed": 1, "progressbar": False}
        return pymc_extras.fit(method="pathfinder", num_draws=draws, **options)

    return replace(case, ways=case.ways | {PATHFINDER: own})
