"""A NumPyro model becomes a PyMC model with the same latent variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import pymc as pm
from pytensor.tensor.type import TensorType

from vi.foundation.arguments import function
from vi.foundation.arrays import refuse_masked
from vi.foundation.precision import precision
from vi.graphs.jax_op import JaxOp
from vi.models.density_model import Computed, DensityModel, LogDensity
from vi.models.from_function import from_function
from vi.models.numpyro_predictions import NumpyroPredictions
from vi.models.numpyro_refusals import (
    check_supports,
    one_size_a_plate,
    refuse_parameters,
    refuse_sites,
)
from vi.models.numpyro_start import explained_start
from vi.models.numpyro_transform import import_numpyro

__all__ = ["from_numpyro"]


def from_numpyro(
    model: Callable[..., Any],
    *args: Any,
    init_loc_fn: Callable[..., Any] | None = None,
    **kwargs: Any,
) -> DensityModel:
    r"""Turn a NumPyro model into a model that everything here fits.

    Latent sites are variables by name, with NumPyro's own transforms (``biject_to`` of their
    supports); deterministic sites are computed from the draws, and keep whole and boolean types. A
    slash in a name becomes a dot. The fit is made in the precision in which NumPyro works at the
    time (``numpyro.enable_x64()``).

    Weights of a network that all have a prior (``random_flax_module`` and its kind) are latent
    sites like others; the ``numpyro.param`` from which they take their shapes has no part in the
    density, and is left alone.

    Parameters
    ----------
    model : callable
        A NumPyro model.
    *args, **kwargs
        Its arguments, data included.
    init_loc_fn : callable, optional
        Where the fit starts, as in NumPyro's guides: ``numpyro.infer.init_to_uniform`` by default,
        with a fixed key (unconstrained values from -2 to 2: at medians, the weights of a network
        would be equal, and stay so); ``init_to_median``, ``init_to_value(values=...)``, ...

    Returns
    -------
    DensityModel
        For ``model=``. Its log density is ``numpyro.infer.util.log_density``, with the log Jacobian
        determinants of the transforms.

    Raises
    ------
    ImportError
        If NumPyro is not installed: ``pip install "pymc-vi[numpyro]"``.
    ValueError
        If the model has discrete latent sites, ``numpyro.param`` sites on which its density
        depends, plates with subsampling,
        latent sites whose support depends on other ones, latent ``Delta`` sites, partly observed
        sites (``obs_mask=``), or no latent sites.

    Examples
    --------
    >>> import numpy as np, numpyro, numpyro.distributions as dist, vi
    >>> def normal(y):
    ...     mu = numpyro.sample("mu", dist.Normal(0.0, 10.0))
    ...     sigma = numpyro.sample("sigma", dist.HalfNormal(5.0))
    ...     numpyro.deterministic("ratio", mu / sigma)
    ...     with numpyro.plate("rows", len(y)):
    ...         numpyro.sample("y", dist.Normal(mu, sigma), obs=y)
    >>> model = vi.targets.from_numpyro(normal, np.array([4.0, 6.0, 5.0]))
    >>> approx = vi.fit(model=model, random_seed=1, progressbar=False)
    >>> sorted(approx.sample(10, random_seed=1)["posterior"])
    ['mu', 'ratio', 'sigma']
    """
    numpyro = import_numpyro()
    handlers, util = numpyro.handlers, numpyro.infer.util
    if not callable(model):
        raise TypeError(
            f"from_numpyro needs a NumPyro model, a function, got {type(model).__name__}."
        )

    for leaf in jax.tree.leaves((args, kwargs)):
        refuse_masked(leaf, "An argument of the NumPyro model")

    def sites(params: Mapping[str, Any]) -> dict[str, Any]:
        seeded = handlers.seed(model, 0)  # for sites whose values are not read
        found = handlers.trace(handlers.substitute(seeded, data=params)).get_trace(*args, **kwargs)
        return {
            name: site
            for name, site in found.items()
            if site["type"] in ("sample", "deterministic")
        }

    if init_loc_fn is None:
        init_loc_fn = numpyro.infer.init_to_uniform
    function("init_loc_fn", init_loc_fn, "a function of a site, numpyro.infer.init_to_uniform", 1)
    init, supports = _latent(numpyro, model, args, kwargs, init_loc_fn)

    def log_density(params: dict[str, Any]) -> Any:
        return util.log_density(handlers.seed(model, 0), args, kwargs, params)[0]

    def log_prior(params: dict[str, Any]) -> Any:
        # that of all sites is observed or not: what is observed is the likelihood
        hidden = handlers.block(
            handlers.seed(model, 0), hide_fn=lambda site: site.get("is_observed", False)
        )
        return util.log_density(hidden, args, kwargs, params)[0]

    check_supports(sites, init, supports)
    with explained_start(model, args, kwargs, init):
        pymc_model = from_function(log_density, init, constraints=supports)
    prior = LogDensity(log_prior, pymc_model.structure, None, len(init), pymc_model.dtype)
    pymc_model.predictions = NumpyroPredictions(model, args, kwargs, pymc_model.dtype)
    leaves = list(pymc_model.free_RVs)
    pymc_model.log_prior = lambda: JaxOp(prior)(*leaves)
    with precision(pymc_model.dtype):
        computed = {
            name: jnp.asarray(site["value"])
            for name, site in sites(init).items()
            if site["type"] == "deterministic"
        }
    # one operation for numbers with a gradient, one for those without
    for floating in (True, False):
        kinds = {
            name: TensorType((pymc_model.dtype if floating else value.dtype).name, value.shape)
            for name, value in computed.items()
            if jnp.issubdtype(value.dtype, jnp.floating) == floating
        }
        if kinds:
            _add_computed(pymc_model, sites, kinds)
    return pymc_model


def _add_computed(
    pymc_model: DensityModel, sites: Callable[[Any], dict[str, Any]], kinds: dict[str, TensorType]
) -> None:
    """Add deterministic sites of the given types."""

    def values(params: Any) -> list[Any]:
        by_name = sites(params)
        return [by_name[name]["value"] for name in kinds]

    function = Computed(values, pymc_model.structure, tuple(kinds.values()), pymc_model.dtype)
    with pymc_model:
        for name, value in zip(
            kinds, JaxOp(function)(*pymc_model.free_RVs, return_list=True), strict=True
        ):
            pm.Deterministic(
                name.replace("/", "."), value
            )  # as the latent ones; xarray accepts no slash


def _latent(
    numpyro: Any, model: Any, args: Any, kwargs: Any, init_loc_fn: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Starts and supports of the latent sites; what cannot be fitted is refused."""
    handlers = numpyro.handlers
    # never a draw from the prior: improper ones have none, and start at random
    started = handlers.substitute(handlers.seed(model, 0), substitute_fn=init_loc_fn)
    try:
        with explained_start(model, args, kwargs, init_loc_fn), one_size_a_plate(numpyro):
            sites = handlers.trace(started).get_trace(*args, **kwargs)
    except TypeError as error:
        if callable(init_loc_fn):
            raise
        raise TypeError(
            f"init_loc_fn={init_loc_fn!r}: give a function such as numpyro.infer.init_to_uniform."
        ) from error
    refuse_sites(sites)
    refuse_parameters(numpyro, model, args, kwargs, sites)
    latent = {
        n: site for n, site in sites.items() if site["type"] == "sample" and not site["is_observed"]
    }
    if not latent:
        raise ValueError("The NumPyro model has no latent sites, so there is nothing to fit.")
    return {n: jnp.asarray(site["value"]) for n, site in latent.items()}, {
        n: site["fn"].support for n, site in latent.items()
    }
