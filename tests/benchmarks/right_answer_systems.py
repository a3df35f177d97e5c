"""The systems whose seconds to the right answer are told, each at its best documented setting.

A system is a generator: it works until there is something to judge, yields what draws from it, and
goes on. The clock stands still while what it yields is judged. One that begins anew each time
yields ``None`` first, when it has done what all of its attempts need.

- vi (default): ``vi.fit(model)``, which chooses, with its verdict. vi bam: the default. vi advi and
  fullrank_advi: the default optimiser, looked at after 1,000 steps and each doubling, up to 64,000.
- pm.fit: ``pm.adam(learning_rate=0.01)``, looked at as ours; its default arrives at fewer targets.
- NumPyro: Adam from 0.01 to 0 along a cosine, in one compiled scan, on the log density that PyMC
  exports; models in batches are its own. Runs of 2,000 to 128,000 steps, each anew; the seconds are
  those of the first that is right *alone*, as if its length had been known.
- pymc-extras and nutpie (four chains): their defaults, with 8,000 draws of the former.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from minibatch_workloads import Setting, numpyro_model
from minibatch_workloads import data as rows_of

sys.path.insert(0, str(Path(__file__).parent / "posteriordb"))

__all__ = ["IN_BATCHES", "MODULES", "SYSTEMS", "System"]

DRAWS = 8_000
"""Draws behind moments: means are known to 0.011 sds, log sds to 0.008."""

SEGMENTS = (1_000, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000)
"""Steps between two looks at a fit that goes on: 64,000 in all."""

LENGTHS = (2_000, 8_000, 32_000, 128_000)
"""Steps of the runs whose step size falls to 0, of which each starts anew."""

RATE = 0.01

type System = Callable[[Any, Setting | None], Iterator[Callable[[], xr.Dataset] | None]]
"""Takes a model and how its rows are drawn."""


def _vi(method: str | None, model: Any, _: Setting | None) -> Iterator[Any]:
    import vi

    options = {} if method is None else {"method": method}
    steps = method in ("advi", "fullrank_advi")
    first = {"n": SEGMENTS[0]} if steps else {}
    approx = vi.fit(model=model, random_seed=1, progressbar=False, **first, **options)

    def draw() -> xr.Dataset:
        return approx.sample(DRAWS, random_seed=1)["posterior"].to_dataset()

    yield draw
    for n in SEGMENTS[1:] if steps else ():
        approx.refine(n, progressbar=False)
        yield draw


def _pm_fit(inference: str, model: Any, _: Setting | None) -> Iterator[Any]:
    import pymc as pm

    def draw() -> xr.Dataset:
        with model:
            return made.approx.sample(DRAWS, random_seed=1)["posterior"].to_dataset()

    with model:
        made = getattr(pm, inference)(random_seed=1)
        adam = pm.adam(learning_rate=RATE)
        made.fit(SEGMENTS[0], obj_optimizer=adam, progressbar=False)
    yield draw
    for n in SEGMENTS[1:]:
        with model:
            made.refine(n, progressbar=False)
        yield draw


def _extras(name: str, options: dict[str, Any], model: Any, _: Setting | None) -> Iterator[Any]:
    import pymc_extras.inference as inference

    with model:
        found = getattr(inference, name)(random_seed=1, progressbar=False, **options)
    yield lambda: found["posterior"].to_dataset()


def _nuts(model: Any, _: Setting | None) -> Iterator[Any]:
    import nutpie

    compiled = nutpie.compile_pymc_model(model)
    found = nutpie.sample(compiled, chains=4, seed=1, progress_bar=False)
    yield lambda: found["posterior"].to_dataset()


def _numpyro(guide_of: str, model: Any, batches: Setting | None) -> Iterator[Any]:
    import jax
    import numpyro
    import optax
    from numpyro.infer import SVI, Trace_ELBO, autoguide

    program, rows, constrained = _program(model, batches)
    first = () if batches is None else tuple(array[: batches.batch] for array in rows)
    yield None
    for length in LENGTHS:
        guide = getattr(autoguide, guide_of)(program)
        schedule = optax.cosine_decay_schedule(RATE, length)
        optimizer = numpyro.optim.optax_to_numpyro(optax.adam(schedule))
        svi = SVI(program, guide, optimizer, Trace_ELBO())

        def run(carry: Any, rows: Any, svi: Any = svi, length: int = length) -> Any:
            def step(carry: Any, _: None) -> Any:
                state, key = carry
                if batches is None:
                    return (svi.update(state)[0], key), None
                key, own = jax.random.split(key)
                drawn = jax.random.randint(own, (batches.batch,), 0, batches.rows)
                return (svi.update(state, *(array[drawn] for array in rows))[0], key), None

            return jax.lax.scan(step, carry, length=length)[0]

        key = jax.random.PRNGKey(1)
        carry = svi.init(key, *first), jax.random.fold_in(key, 1)
        carry = jax.block_until_ready(jax.jit(run)(carry, rows))

        def draw(svi: Any = svi, guide: Any = guide, carry: Any = carry) -> xr.Dataset:
            parameters = svi.get_params(carry[0])
            return constrained(
                guide.sample_posterior(
                    jax.random.PRNGKey(2), parameters, *first, sample_shape=(DRAWS,)
                )
            )

        yield draw


def _program(model: Any, batches: Setting | None) -> tuple[Any, Any, Any]:
    """NumPyro's program, rows that it takes batches of, and the variables from its draws."""
    import numpyro
    import numpyro.distributions as dist

    numpyro.enable_x64()
    if batches is not None:
        import jax

        arrays = tuple(map(jax.numpy.asarray, rows_of(batches).values()))
        return numpyro_model(batches), arrays, _dataset
    from peers_jax import Density

    density = Density(model)

    def program() -> None:
        flat = dist.ImproperUniform(dist.constraints.real_vector, (), (density.dim,))
        numpyro.factor("log_p", density(numpyro.sample("z", flat)))

    return program, (), lambda found: density.constrained(found["z"])


def _dataset(found: dict[str, Any]) -> xr.Dataset:
    return xr.Dataset(
        {
            name: (["chain", "draw", f"{name}_0"], np.asarray(values)[None])
            for name, values in found.items()
        }
    )


SYSTEMS: dict[str, System] = {
    "vi (default)": partial(_vi, None),
    "vi bam": partial(_vi, "bam"),
    "vi fullrank_advi": partial(_vi, "fullrank_advi"),
    "vi advi": partial(_vi, "advi"),
    "NUTS (nutpie)": _nuts,
    "NumPyro AutoMultivariateNormal": partial(_numpyro, "AutoMultivariateNormal"),
    "NumPyro AutoNormal": partial(_numpyro, "AutoNormal"),
    "pymc-extras laplace": partial(_extras, "fit_laplace", {"draws": DRAWS}),
    "pymc-extras dadvi": partial(_extras, "fit_dadvi", {"n_draws": DRAWS}),
    # four paths of as many draws as are wanted of all: the ratio of the defaults
    "pymc-extras pathfinder": partial(
        _extras, "fit_pathfinder", {"num_draws": DRAWS, "num_draws_per_path": DRAWS}
    ),
    "pm.fit fullrank_advi": partial(_pm_fit, "FullRankADVI"),
    "pm.fit advi": partial(_pm_fit, "ADVI"),
}
"""The systems by name."""

MODULES = {
    "vi": ("vi",),
    "NUTS": ("nutpie",),
    "NumPyro": ("numpyro", "optax", "peers_jax"),
    "pymc-extras": ("pymc_extras.inference",),
    "pm.fit": ("pymc",),
}
"""What is imported before the clock starts, by the first word of a system's name."""

IN_BATCHES = ("vi", "NumPyro", "pm.fit")
"""First words of the systems that take minibatches; all others get every row."""
