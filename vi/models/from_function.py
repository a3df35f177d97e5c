"""A plain JAX log density becomes a PyMC model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pymc as pm

from vi.data import Minibatch
from vi.data.minibatches.batch_tensors import row_data
from vi.foundation.arguments import function
from vi.foundation.numbers import whole
from vi.foundation.precision import precision
from vi.graphs.jax_op import JaxOp
from vi.models.constraints import check_inside, moved, transforms_by_name
from vi.models.density_model import DensityModel, LogDensity
from vi.models.leaves import data_of, leaves_of
from vi.models.user_function import check_batches, check_gradient, is_pair, trace, value_at

__all__ = ["from_function"]

ATTEMPTS = 3
"""Points beside the start at which batches are compared: at the start itself (zero) a fault may
not show.
"""


def from_function(
    fn: Callable[..., Any],
    init: Any,
    *,
    constraints: Any = None,
    data: Any = None,
    batch_size: int | None = None,
) -> DensityModel:
    r"""Turn a JAX log density into a model that everything here fits.

    .. math:: \log p(z) = \mathrm{fn}(T(z)) + \log |\det \partial T / \partial z|

    with :math:`T` the transforms of the constraints, on the unconstrained vector :math:`z` that is
    fitted.

    Parameters
    ----------
    fn : callable
        ``fn(params)``, or ``fn(params, data)``: the log density (unnormalised) at *one* point, a
        scalar, or a pair ``(log_prior, log_likelihood)`` of scalars. Written with ``jax.numpy``;
        the library does ``jit``, ``grad`` and ``vmap``.
    init : pytree of arrays
        Where the fit starts. Each leaf is a variable, named by its path (``"layer.w"``,
        ``"layers.0.w"``; a bare array: ``"x"``). Leaves of float64 make float64 fits, others
        float32 ones; a Python number is what JAX makes of it.
    constraints : constraint, dict or pytree, optional
        Where leaves may lie: ``"positive"``, ``"unit_interval"``, ``"simplex"`` and ``"ordered"``
        (last axis), ``("bounded", low, high)``, a transform of ``pymc.distributions.transforms``,
        or a constraint of ``numpyro.distributions.constraints``. One for all leaves, a dict by
        path, or a prefix of the pytree. `fn` gets constrained values, and has no Jacobians in it.
    data : pytree of arrays, optional
        The second argument of `fn`. Large arrays belong here: what `fn` has in its closure is
        compiled in.
    batch_size : int, optional
        Rows of the data (their first axis) a step, drawn without replacement. `fn` must then return
        the pair, whose second is multiplied by N / B while training; afterwards it gets all rows.

    Returns
    -------
    DensityModel
        For ``model=``. Its ``pytree(draws)`` gives draws in the form of `init`.

    Raises
    ------
    TypeError
        If `fn` cannot be traced or returns something else, or `init` is no pytree of floating-point
        arrays.
    ValueError
        If the log density is not finite at the start, a start lies outside its constraint, a
        constraint is unknown, or batches do not suit `data` or `fn`.

    Examples
    --------
    >>> import jax.numpy as jnp, numpy as np, vi
    >>> y = np.array([4.0, 6.0])
    >>> def log_density(params, y):
    ...     log_prior = -0.5 * (params["mu"] / 10.0) ** 2 - params["sigma"]
    ...     scaled = (y - params["mu"]) / params["sigma"]
    ...     return log_prior, jnp.sum(-0.5 * scaled**2 - jnp.log(params["sigma"]))
    >>> init = {"mu": np.float64(0.0), "sigma": np.float64(1.0)}
    >>> model = vi.targets.from_function(
    ...     log_density, init, constraints={"sigma": "positive"}, data=y
    ... )
    >>> approx = vi.fit(2000, "fullrank_advi", model=model, random_seed=1, progressbar=False)
    >>> sorted(approx.sample(10, random_seed=1)["posterior"])
    ['mu', 'sigma']
    """
    return built(fn, init, constraints=constraints, data=data, batch_size=batch_size)


def built(
    fn: Callable[..., Any],
    init: Any,
    *,
    constraints: Any = None,
    data: Any = None,
    batch_size: int | None = None,
    local: tuple[str, ...] = (),
    checked: Callable[..., Any] | None = None,
) -> DensityModel:
    """The model of :func:`from_function`, some of whose leaves may have an entry for every row.

    Parameters
    ----------
    fn, init, constraints, data, batch_size
        As there; `init` is a dict where some are local.
    local : tuple of str
        Leaves with as many rows as the batch, which the first of the pair does not read.
    checked : callable, optional
        The function as checks call it: with as many rows of local leaves as a batch has, whatever
        rows it is given.
    """
    checked = fn if checked is None else checked
    accepted = "a log density fn(params)" if data is None else "a log density fn(params, data)"
    function("fn", fn, accepted, 1 if data is None else 2)
    if batch_size is not None:
        whole("batch_size", batch_size, 1)
    fn, checked = _unjitted(fn), _unjitted(checked)
    start, structure, dtype = leaves_of(init)
    transforms = transforms_by_name(constraints, start)
    for name, transform in transforms.items():
        check_inside(
            name, start[name], transform, getattr(transform, "name", type(transform).__name__)
        )
    arrays, data_structure = data_of(data, batch_size, dtype)
    params = jax.tree.unflatten(structure, list(start.values()))
    arguments = (
        [params] if data_structure is None else [params, jax.tree.unflatten(data_structure, arrays)]
    )
    log_density = LogDensity(fn, structure, data_structure, len(start), dtype)
    looked_at = replace(log_density, fn=checked)
    with precision(dtype):
        returned = trace(checked, arguments)
        if batch_size is not None and not is_pair(returned):
            raise ValueError(
                "batch_size needs a log density that returns the pair (log_prior, log_likelihood): "
                "the likelihood of a batch is multiplied by N / B, the prior is not. It returns "
                "one number."
            )
        shown = ", ".join(
            f"{n} = {np.array2string(v, threshold=6, precision=4)}" for n, v in start.items()
        )
        named = {
            "data" + jax.tree_util.keystr(path): leaf
            for path, leaf in jax.tree.leaves_with_path(arguments[1] if len(arguments) > 1 else {})
        }
        value_at(lambda *leaves: looked_at(*leaves)[0], [*start.values(), *arrays], shown, named)
        check_gradient(lambda *leaves: looked_at(*leaves)[0], [*start.values(), *arrays], start)
        if batch_size is not None:
            generator = np.random.default_rng(0)
            beside = [
                {
                    name: moved(value, transforms.get(name), generator)
                    for name, value in start.items()
                }
                for _ in range(ATTEMPTS)
            ]
            points = [
                jax.tree.unflatten(structure, list(leaves.values())) for leaves in [*beside, start]
            ]
            check_batches(checked, points, arguments[1], batch_size)
    model = DensityModel(start, transforms, structure, dtype)
    with model:
        leaves = list(model.free_RVs)
        rows = [row_data(array, nan="allow") for array in arrays]
        if batch_size is None:
            _potential("log_density", log_density, [*leaves, *rows])
            if is_pair(returned):
                prior = replace(log_density, part=0)
                model.log_prior = lambda: JaxOp(prior)(*leaves, *rows)
            return model
        few = jax.tree.unflatten(data_structure, [array[:batch_size] for array in arrays])
        batches = Minibatch(*rows, batch_size=batch_size, nan="allow")
        batches = batches if isinstance(batches, tuple) else (batches,)
        # of no rows: what it is given does not matter
        prior = LogDensity(checked, structure, None, len(start), dtype, 0, few)
        if local:
            prior = _without(local, prior, params)
        local = tuple(name.replace("/", ".") for name in local)
        shared = [leaf for leaf in leaves if leaf.name not in local]
        _potential("log_prior", prior, shared)
        model.log_prior = lambda: model["log_prior"]
        _potential(
            "log_likelihood",
            LogDensity(fn, structure, data_structure, len(start), dtype, 1),
            [*leaves, *batches],
        )
    model.row_scales["log_likelihood"] = "rows"
    model.local = local
    return model


def _unjitted(fn: Callable[..., Any]) -> Callable[..., Any]:
    """What was jitted: a trace in another precision would be remembered."""
    while hasattr(fn, "lower") and hasattr(fn, "__wrapped__"):
        fn = fn.__wrapped__
    return fn


def _without(local: tuple[str, ...], prior: LogDensity, params: dict[str, Any]) -> LogDensity:
    """The log prior as a function of the leaves that are not local."""
    held = {name: params[name] for name in local}
    shared = {name: value for name, value in params.items() if name not in local}
    structure: Any = jax.tree.structure(shared)

    def of_shared(shared: dict[str, Any], rows: Any) -> Any:
        return prior.fn(shared | held, rows)

    return replace(prior, fn=of_shared, params=structure, n_params=structure.num_leaves)


def _potential(name: str, function: LogDensity, inputs: list[Any]) -> None:
    if name in pm.modelcontext(None).named_vars:
        raise ValueError(
            f"A leaf of init is called {name!r}, which is the name of a term here. Give it another "
            "one."
        )
    pm.Potential(name, JaxOp(function)(*inputs))
