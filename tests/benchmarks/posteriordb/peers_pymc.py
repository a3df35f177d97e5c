"""What fits PyMC models besides ``vi``: PyMC, pymc-extras, and NUTS for the time.

Defaults, but for the number of draws and progress bars. How seconds without compilation are got:

- ``pm.fit``: the first step compiles; the other 9,999 are made by ``refine``.
- pymc-extras: a second call with the same model and another seed. It builds its graphs anew and
  finds only what PyTensor keeps; there is no other way to call these functions. Their draws are
  part of the time.
- NUTS: nutpie compiles in a call of its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import nutpie
import pymc as pm
import xarray as xr
from pymc_extras.inference import fit_dadvi, fit_laplace, fit_pathfinder
from pymc_extras.inference.advi.fit import fit_advi
from systems import DRAWS, Fitted, System, seconds_of

__all__ = ["FITS"]

STEPS = 10_000
"""Steps of the stochastic methods, the default of both libraries."""


def _pm_fit(inference: Callable[..., Any], model: pm.Model, seed: int) -> Fitted:
    with model:

        def first() -> Any:
            made = inference(random_seed=seed)
            made.fit(1, progressbar=False)
            return made

        made, compiling = seconds_of(first)
        _, running = seconds_of(partial(made.refine, STEPS - 1, progressbar=False))

    def draw() -> xr.Dataset:
        with model:
            return _posterior(made.approx.sample(DRAWS, random_seed=seed))

    return Fitted(draw, compiling.plus(running), running, gradients=STEPS)


def _extras(
    fit: Callable[..., Any], gradients: int | None, options: dict[str, Any], *rest: Any
) -> Fitted:
    model, seed = rest

    def run(seed: int) -> Any:
        with model:
            return fit(random_seed=seed, **options)

    found, seconds = seconds_of(partial(run, seed))
    return Fitted(
        partial(_posterior, found),
        seconds,
        again=partial(run, seed + 1_000),
        gradients=gradients,
    )


def _nuts(model: pm.Model, seed: int) -> Fitted:
    compiled, compiling = seconds_of(partial(nutpie.compile_pymc_model, model))
    found, running = seconds_of(
        partial(nutpie.sample, compiled, chains=4, seed=seed, progress_bar=False)
    )
    steps = [
        int(found[group]["n_steps"].sum())
        for group in ("sample_stats", "warmup_sample_stats")
        if group in found.children
    ]
    return Fitted(
        partial(_posterior, found), compiling.plus(running), running, gradients=sum(steps)
    )


def _posterior(found: Any) -> xr.Dataset:
    """The draws; deterministics are there or not, as the library has it."""
    return found["posterior"].to_dataset()


warnings.simplefilter("ignore")
FITS: dict[str, System] = {
    "pm.fit advi": partial(_pm_fit, pm.ADVI),
    "pm.fit fullrank_advi": partial(_pm_fit, pm.FullRankADVI),
    "pymc-extras advi": partial(_extras, fit_advi, STEPS, {"draws": DRAWS}),
    "pymc-extras dadvi": partial(
        _extras, fit_dadvi, None, {"n_draws": DRAWS, "progressbar": False}
    ),
    # four paths of as many draws as are wanted of all: the ratio of the defaults
    "pymc-extras pathfinder": partial(
        _extras,
        fit_pathfinder,
        None,
        {"num_draws": DRAWS, "num_draws_per_path": DRAWS, "progressbar": False},
    ),
    "pymc-extras laplace": partial(
        _extras, fit_laplace, None, {"draws": DRAWS, "progressbar": False}
    ),
    "NUTS (nutpie)": _nuts,
}
