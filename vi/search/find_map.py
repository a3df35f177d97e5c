"""The point of the highest posterior density: ``vi.find_map()``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pymc as pm
import xarray as xr
from arviz_base import dict_to_dataset

from vi.diagnostics.status import Status
from vi.foundation.layout import Layout
from vi.foundation.numbers import check_count, check_flags
from vi.foundation.precision import resolve_dtype
from vi.foundation.seeds import resolve_seed
from vi.search.climb import climb
from vi.search.modes import jittered, spread_starts
from vi.search.summit import Fault
from vi.targets.batches.setting import GraphSetting
from vi.targets.from_pymc import check_backend, from_pymc
from vi.targets.model.checks import check_variables, model_in_context
from vi.targets.model.initial_density import check_start
from vi.targets.model.labels import dims_that_fit, labels_and_dims
from vi.targets.model.start import not_given, start_point

__all__ = ["MapPoint", "find_map"]

logger = logging.getLogger("vi")


class MapPoint(dict[str, np.ndarray]):
    """What :func:`find_map` returns: the best point by name, and where all searches ended.

    Attributes
    ----------
    log_prob : float
        The log density that was maximised, at the point.
    status : Status
        How the search of the point ended: ``converged``, ``max_steps``, or ``stopped`` at a point
        that is no maximum (where log p has no gradient, or has no bound).
    optima : dict of {str: numpy.ndarray}
        Where each search ended, by name, ``(starts, *shape)``.
    log_probs : numpy.ndarray
        The log density there, ``(starts,)``.
    converged : numpy.ndarray
        Which searches arrived, ``(starts,)``.
    iterations : numpy.ndarray
        Their iterations, ``(starts,)``.

    Methods
    -------
    to_dataset()
        The point with the dims and labels of the model.
    """

    log_prob: float
    status: Status
    optima: dict[str, np.ndarray]
    log_probs: np.ndarray
    converged: np.ndarray
    iterations: np.ndarray
    labels: dict[str, Any]
    dims: dict[str, list[str | None]]

    def to_dataset(self) -> xr.Dataset:
        """The point as an :class:`xarray.Dataset`, with the dims and labels of the model."""
        shapes = {name: np.shape(value) for name, value in self.items()}
        dims: dict[Any, Any] = dims_that_fit(shapes, self.labels, self.dims)
        return dict_to_dataset(dict(self), coords=self.labels, dims=dims, sample_dims=[])


def _advice(fault: Fault, layout: Layout, jacobian: bool) -> str:
    """What helps where there is no mode."""
    if fault == "saddle":
        return "Start elsewhere: start={name: value}, or starts=10."
    if jacobian or all(slot.transform is None for slot in layout):
        return "Another prior, or another parametrisation, may have one."
    return "jacobian=True asks for the mode of the unconstrained density; otherwise another prior."


def find_map(
    model: pm.Model | None = None,
    *,
    starts: int = 1,
    start: Mapping[str, Any] | None = None,
    jacobian: bool = False,
    n: int = 1_000,
    include_transformed: bool = True,
    random_seed: Any = None,
    backend: str = "auto",
    dtype: str | np.dtype | None = None,
    progressbar: bool = True,
) -> MapPoint:
    r"""Maximise the posterior density by L-BFGS, from many starts at once.

    A density, and with it its mode, depends on what it is a density of. By default that is the
    model's variables as they are written, :math:`\log p(\theta \mid x)`, as in ``pm.find_MAP``.
    With ``jacobian=True`` it is their unconstrained values, :math:`\log p(\theta(z) \mid x) + \log
    |\partial \theta / \partial z|`, as in :class:`vi.Laplace`. The search itself goes through the
    unconstrained space in both cases.

    Where a search ends the curvature is looked at: a saddle is no mode, and is left in the
    direction in which log p rises. What has no mode (no bound, a limit at infinity) is said in the
    status, and in a warning of the log.

    Parameters
    ----------
    model : pymc.Model, optional
        The model; the one in context by default.
    starts : int
        Searches: one from the start, the others from around it (uniform noise from -1 to 1,
        unconstrained).
    start : dict of {str: value}, optional
        Where the search starts, as in :class:`vi.Approximation`; near the model's initial point, by
        at most 0.01, where nothing is given.
    jacobian : bool
        Whether the log Jacobian determinants of the transforms are part of the density.
    n : int
        The most iterations.
    include_transformed : bool
        Whether unconstrained values (``"sigma_log__"``) are part of the result.
    random_seed : int, optional
        Seed of the starts.
    backend : {"auto", "jax", "pytensor"}
        What evaluates the model.
    dtype : {"float64", "float32"}, optional
        Precision; PyTensor's ``floatX`` by default.
    progressbar : bool
        Accepted because PyMC has it: a search takes seconds, and shows nothing.

    Returns
    -------
    MapPoint
        A dict of the best point: variables, deterministics and unconstrained values by name. Its
        attributes hold all optima, their log densities, and whether the searches arrived.

    Raises
    ------
    ValueError
        If the model has discrete or no free variables, or no finite density at the start.

    Examples
    --------
    >>> import pymc as pm, vi
    >>> with pm.Model() as model:
    ...     sigma = pm.Gamma("sigma", 3.0, 2.0)
    >>> round(float(vi.find_map(model)["sigma"]), 6)  # (3 - 1) / 2
    1.0
    >>> round(float(vi.find_map(model, jacobian=True)["sigma"]), 6)  # of log sigma: 3 / 2
    1.5

    With the dims and labels of the model:

    >>> dict(vi.find_map(model).to_dataset().sizes)
    {}

    References
    ----------
    Liu and Nocedal (1989). On the limited memory BFGS method for large scale optimization.
    Mathematical Programming 45.
    """
    check_count("starts", starts)
    check_count("n", n)
    check_flags(jacobian=jacobian, include_transformed=include_transformed, progressbar=progressbar)
    model = model_in_context(model)
    check_variables(model)
    precision_of_search, seed = resolve_dtype(dtype), resolve_seed(random_seed)
    point = start_point(model, start, seed)
    check_start(model, point)
    target = from_pymc(
        model,
        backend=check_backend(backend),
        dtype=precision_of_search,
        start=point,
        setting=GraphSetting(training=False, jacobian=bool(jacobian)),
    )
    first = target.layout.flatten(point, target.dtype)
    first = jittered(target, first, not_given(target.layout, start), seed)
    modes, status, fault = climb(target, spread_starts(target, first, int(starts), seed), int(n))
    if fault:
        advice = _advice(fault, target.layout, jacobian)
        status = replace(status, message=f"{status.message} {advice}")
        logger.warning("This is no mode: %s", status.message)
    optima = target.constrain(modes.points)
    if include_transformed:
        optima |= {
            k: v for k, v in target.layout.unflatten(modes.points).items() if k not in optima
        }
    best = modes.best
    result = MapPoint({name: np.asarray(value[best]) for name, value in optima.items()})
    result.log_prob, result.status = float(modes.values[best]), status
    result.optima, result.log_probs = optima, modes.values
    result.converged, result.iterations = modes.converged, modes.iterations
    result.labels, result.dims = labels_and_dims(model)
    return result
