"""A NumPyro model becomes a PyMC model with the same latent variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vi.foundation.arguments import function
from vi.foundation.arrays import refuse_masked
from vi.graphs.jax_op import JaxOp
from vi.models.density_model import DensityModel, LogDensity
from vi.models.from_function import built
from vi.models.numpyro_model import NumpyroModel, add_deterministic_sites
from vi.models.numpyro_parameters import parameters_of
from vi.models.numpyro_predictions import NumpyroPredictions
from vi.models.numpyro_refusals import check_supports, refuse_sites, sound_plates
from vi.models.numpyro_rows import check_local, check_shared, in_plate, plate_of, with_rows
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
    density, and is left alone. All other ``numpyro.param`` sites, and the weights of
    ``numpyro.module`` and ``flax_module``, are point estimates (:class:`vi.families.Point`), which
    fits by steps move together with q.

    A plate with ``subsample_size=B`` is a minibatch: of its N rows a step sees B, whose terms count
    N / B times, and all else sees all rows. NumPy's arrays among the arguments become JAX's then,
    because the rows are traced. Latent sites in it are local variables, by independent normals a
    row unless a group of yours says another thing.

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
        If the model has discrete latent sites, latent sites whose support depends on other ones,
        latent ``Delta`` sites, partly observed sites (``obs_mask=``), states that change
        (``mutable=``), two plates with ``subsample_size=``, one that is not from 1 to the plate's
        size, a site outside of such a plate that depends on its rows, latent sites inside with a
        constrained support, or no latent sites.
    TypeError
        If a ``subsample_size=`` is no whole number.

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
    import_numpyro()
    if not callable(model):
        raise TypeError(
            f"from_numpyro needs a NumPyro model, a function, got {type(model).__name__}."
        )
    for leaf in jax.tree.leaves((args, kwargs)):
        refuse_masked(leaf, "An argument of the NumPyro model")
    if init_loc_fn is None:
        init_loc_fn = import_numpyro().infer.init_to_uniform
    function("init_loc_fn", init_loc_fn, "a function of a site, numpyro.infer.init_to_uniform", 1)
    read = _read(model, args, kwargs, init_loc_fn)
    plate = read.plate
    rows = None if plate is None else np.arange(plate.few)
    check_supports(lambda params: read.sites(params, rows), read.init, read.supports)
    with explained_start(read.model_of(rows), args, kwargs, read.init):
        if plate is None:
            made = built(lambda params: read.terms(params)[0], read.init, constraints=read.supports)
        else:
            if read.local:
                check_shared(lambda params: read.terms(params, rows)[0], read.init, read.local)
            made = built(
                read.terms,
                read.init,
                constraints=read.supports,
                data=np.arange(plate.size),
                batch_size=plate.few,
                local=read.local,
                checked=read.terms_of_any_length,
            )
    made.points = tuple(name for name in made.named_vars if read.is_parameter(name))
    made.predictions = NumpyroPredictions(with_rows(model), read.args, read.kwargs, made.dtype)
    made.log_prior = None
    if not read.local:
        prior = LogDensity(read.log_prior, made.structure, None, len(made.free_RVs), made.dtype)
        leaves = list(made.free_RVs)
        made.log_prior = lambda: JaxOp(prior)(*leaves)
    add_deterministic_sites(made, read)
    return made


def _read(model: Any, args: Any, kwargs: Any, init_loc_fn: Any) -> NumpyroModel:
    """What a model says of itself where a fit starts; what cannot be fitted is refused."""
    handlers = import_numpyro().handlers

    def traced(model: Any) -> Any:
        # never a draw from the prior: improper ones have none, and start at random
        started = handlers.substitute(handlers.seed(model, 0), substitute_fn=init_loc_fn)
        with explained_start(model, args, kwargs, init_loc_fn):
            return handlers.trace(started).get_trace(*args, **kwargs)

    of_rows = model
    try:
        with sound_plates(import_numpyro()):
            sites = traced(model)
        plate = plate_of(sites)
        if plate is not None:
            # rows are numbers that are traced, which NumPy's arrays cannot be indexed by
            args, kwargs = jax.tree.map(_of_jax, (args, kwargs))
            of_rows = with_rows(model, np.arange(plate.few))
            sites = traced(of_rows)
    except TypeError as error:
        if callable(init_loc_fn):
            raise
        raise TypeError(
            f"init_loc_fn={init_loc_fn!r}: give a function such as numpyro.infer.init_to_uniform."
        ) from error
    refuse_sites(sites)
    parameters, constraints = parameters_of(of_rows, args, kwargs, sites)
    latent = {
        n: site for n, site in sites.items() if site["type"] == "sample" and not site["is_observed"]
    }
    if not latent:
        raise ValueError("The NumPyro model has no latent sites, so there is nothing to fit.")
    local = tuple(name for name, site in latent.items() if in_plate(site, plate))
    for name in local:
        assert plate is not None
        check_local(name, latent[name], plate)
    return NumpyroModel(
        model,
        args,
        kwargs,
        {n: jnp.asarray(site["value"]) for n, site in latent.items()} | parameters,
        {n: site["fn"].support for n, site in latent.items()} | constraints,
        tuple(parameters),
        plate,
        local,
    )


def _of_jax(leaf: Any) -> Any:
    """NumPy's arrays as JAX's, all else as it is."""
    numeric = isinstance(leaf, np.ndarray) and leaf.dtype.kind in "fiub"
    return jnp.asarray(leaf) if numeric else leaf
