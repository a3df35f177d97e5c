"""Whether the PyMC models are the posteriors that posteriordb means.

Run with ``python tests/benchmarks/posteriordb/validate.py [NAME ...]``: by default all posteriors.
Of reference draws of the unconstrained parameters z, with g the gradient of the model's log
density there, Stein's identities say that g has mean 0, and (z - mean) g has mean -1. The table
has the worst departures in Monte Carlo standard errors: a wrong density shows as more than 4.
What moves all means by less than a tenth of a posterior sd is not seen with 1,000 draws.

With ``--nuts`` NUTS samples the named posteriors instead: the worst error of a mean, in reference
sds, and of log sd. Both should be below 0.1. For heavy tails: of the median and the quartiles.
With many parameters the noise of 4,000 draws is near 0.1: ``--draws`` asks for more.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import jax
import numpy as np
import pymc as pm
import pytensor.tensor as pt
from data import (
    Draws,
    Reference,
    add_folder_option,
    arrays,
    folder,
    load_data,
    load_reference,
    posterior_names,
)
from models import MODELS, build, free, model_of, scalars
from pymc.sampling.jax import get_jaxified_graph

LIMIT = 4.0
TOLERANCE = 0.1

type Worst = tuple[float, str]
"""A figure, and the parameter with it."""


def unconstrained(model: pm.Model, draws: Draws) -> list[np.ndarray]:
    """Draws of the model's value variables."""
    values = []
    for rv in model.free_RVs:
        z, transform = draws[rv.name], model.rvs_to_transforms[rv]
        if transform is not None:
            z = transform.forward(pt.as_tensor(z), *rv.owner.inputs).eval(mode="FAST_COMPILE")
        values.append(np.asarray(z, np.float64))
    return values


def gradients(model: pm.Model, values: list[np.ndarray]) -> list[np.ndarray]:
    """Gradients of the log density at each draw."""
    function = get_jaxified_graph(inputs=model.value_vars, outputs=[model.logp()])
    gradient = jax.grad(lambda point: function(*point)[0])
    return [np.asarray(part) for part in jax.jit(jax.vmap(gradient))(values)]


def worst(figures: np.ndarray, names: list[str] | tuple[str, ...]) -> Worst:
    """The largest in absolute value; NaN is larger than everything."""
    size = np.where(np.isnan(figures), np.inf, np.abs(figures))
    return float(size.max()), names[int(size.argmax())]


def stein(name: str, path: Path) -> tuple[Worst, Worst]:
    """The worst standardised departures from the two identities."""
    reference = load_reference(path, name)
    model = build(name, load_data(path, name))
    values = unconstrained(model, free(name, arrays(reference.names, reference.draws)))
    slopes = gradients(model, values)
    n = len(reference.draws)
    z, g = (
        np.concatenate([part.reshape(n, -1) for part in parts], 1) for parts in (values, slopes)
    )
    names = [
        f"{value.name}{list(i) if i else ''}"
        for value, part in zip(model.value_vars, values, strict=True)
        for i in np.ndindex(part.shape[1:])
    ]
    products = (z - z.mean(0)) * g + 1
    scores = [sums.mean(0) / sums.std(0, ddof=1) * np.sqrt(n) for sums in (g, products)]
    return worst(scores[0], names), worst(scores[1], names)


def summary(draws: np.ndarray, reference: Reference) -> tuple[np.ndarray, np.ndarray]:
    """Location and scale of the draws' columns, by the reference's choice of them."""
    quartiles = np.quantile(draws, (0.25, 0.5, 0.75), axis=0)
    spread = (quartiles[2] - quartiles[0]) / 1.349
    return (
        np.where(reference.robust, quartiles[1], draws.mean(0)),
        np.where(reference.robust, spread, draws.std(0, ddof=1)),
    )


def nuts(name: str, path: Path, seed: int, draws_a_chain: int) -> tuple[Worst, Worst]:
    """The worst errors of location and of log scale of the draws of four chains."""
    reference = load_reference(path, name)
    with build(name, load_data(path, name)), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pm.sample(
            nuts_sampler="numpyro",
            chains=4,
            draws=draws_a_chain,
            tune=1000,
            random_seed=seed,
            progressbar=False,
            compute_convergence_checks=False,
        )
    named = scalars(found["posterior"].to_dataset())
    draws = np.column_stack([named[scalar] for scalar in reference.names])
    location, scale = summary(draws, reference)
    return (
        worst((location - reference.location) / reference.scale, reference.names),
        worst(np.log(scale / reference.scale), reference.names),
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="posteriors; default: all")
    parser.add_argument("--nuts", action="store_true", help="sample instead; names are needed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--draws", type=int, default=1000, help="of NUTS, each of four chains")
    add_folder_option(parser)
    options = parser.parse_args()
    if options.nuts and not options.names:
        parser.error("--nuts needs names: all posteriors take long")
    path = folder(options.posteriordb)
    jax.config.update("jax_enable_x64", True)
    titles = ("mean", "log sd") if options.nuts else ("E g = 0", "E (z - m) g = -1")
    print(f"| posterior | {titles[0]} | {titles[1]} | seconds | |\n|---|---|---|---|---|")
    for name in options.names or posterior_names(path):
        if model_of(name) not in MODELS:
            print(f"| {name} | | | | no model |")
            continue
        start = time.perf_counter()
        if options.nuts:
            figures = nuts(name, path, options.seed, options.draws)
        else:
            figures = stein(name, path)
        passed = max(figure for figure, _ in figures) < (TOLERANCE if options.nuts else LIMIT)
        cells = " | ".join(f"{figure:.3f} ({scalar})" for figure, scalar in figures)
        verdict = "ok" if passed else "FAILS"
        print(f"| {name} | {cells} | {time.perf_counter() - start:.1f} | {verdict} |", flush=True)


if __name__ == "__main__":
    main()
