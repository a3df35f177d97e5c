"""A PyMC model becomes a target: the backend is chosen and said, the target kept with the model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import numpy as np
import pymc as pm
from pytensor.graph.basic import Variable

from vi.foundation.arguments import instance
from vi.foundation.precision import resolve_dtype
from vi.graphs.compiling import one_at_a_time
from vi.graphs.replacements import as_variables
from vi.graphs.to_jax import ConversionError, WrongGradientError
from vi.targets.backends.gradient_checks import check_gradient
from vi.targets.backends.jax_target import JaxTarget
from vi.targets.backends.pytensor_target import PytensorTarget
from vi.targets.base import Target
from vi.targets.batches.local_rows import with_rows
from vi.targets.batches.search import has_batches
from vi.targets.batches.setting import GraphSetting
from vi.targets.cache import Entry, cache_of, check_shapes, data_shapes, fingerprint
from vi.targets.model.checks import check_variables
from vi.targets.model.graph import ModelGraph, build_graph
from vi.targets.model.shapes import initial_point

__all__ = ["Backend", "check_backend", "from_pymc"]

logger = logging.getLogger("vi")

type Backend = Literal["auto", "jax", "pytensor"]


def check_backend(backend: str) -> Backend:
    """The backend's name, with PyMC's names of PyTensor's linkers understood as ``"pytensor"``."""
    backend = backend.lower() if isinstance(backend, str) else backend
    if backend in ("numba", "c", "cvm"):
        return "pytensor"
    if backend not in get_args(Backend.__value__):
        raise ValueError(f"backend={backend!r} is unknown; use 'auto', 'jax' or 'pytensor'.")
    return backend  # type: ignore[return-value]


@one_at_a_time
def from_pymc(
    model: pm.Model,
    *,
    backend: str = "auto",
    dtype: np.dtype | str | None = "float64",
    more_replacements: Mapping[Variable, Variable] | None = None,
    start: Mapping[str, np.ndarray] | None = None,
    setting: GraphSetting | None = None,
) -> Target:
    """Turn a PyMC model into a log density of a flat unconstrained vector.

    Parameters
    ----------
    model : pymc.Model
        Any model whose free variables are continuous.
    backend : {"auto", "jax", "pytensor"}
        What evaluates it. ``"auto"`` takes JAX where the graph converts and its gradient is right
        (PyTensor's, converted, where JAX's own is wrong), PyTensor otherwise, and logs which and
        why.
    dtype : {"float64", "float32"}
        Precision of the evaluation; ``None`` is PyTensor's ``floatX``.
    more_replacements : mapping of variables, optional
        Parts of the model's graph (its data, say) to replace.
    start : mapping of {value name: array}, optional
        A point with a finite log density, near which the gradient is checked; the model's initial
        point by default.
    setting : GraphSetting, optional
        Whether batches or all rows are meant, and how batches are scaled; in place of
        `more_replacements`. All rows by default.

    Returns
    -------
    Target
        The target. It is kept with the model, as one of the 16 used last: the same object is
        returned for the same model as long as nothing was added to the model and no value that is
        part of the compiled code (the length of a dim, a mask) changed; data may change freely.

    Raises
    ------
    ValueError
        If the model has discrete or no free variables, or ``backend="jax"`` cannot evaluate it.

    Examples
    --------
    >>> import pymc as pm, numpy as np
    >>> with pm.Model() as model:
    ...     sigma = pm.HalfNormal("sigma")
    >>> target = from_pymc(model, backend="jax")
    >>> target.dim, target.layout["sigma"].transform
    (1, 'log')
    >>> round(
    ...     float(target.log_prob(np.zeros(1))), 4
    ... )  # log 2 N(1 | 0, 1) + log |d sigma / dz|, at z = log sigma = 0
    -0.7258
    """
    backend = check_backend(backend)
    dtype = resolve_dtype(dtype)
    instance("model", model, pm.Model, "a pymc.Model")
    check_variables(model)
    point = initial_point(model) if start is None else _checked_point(model, start)
    shapes = tuple((name, np.shape(value)) for name, value in sorted(point.items()))
    if setting is None:
        setting = GraphSetting(bool(more_replacements), as_variables(more_replacements or {}))
    instance("setting", setting, GraphSetting, "a GraphSetting, or nothing")
    if setting.plain and not has_batches(model):
        # nothing tells training from the rest: one target serves both
        setting = GraphSetting(training=False, rewrite=setting.rewrite, points=setting.points)
    key = (backend, dtype.name, setting.key, shapes)
    present = fingerprint(model, setting)
    cache = cache_of(model)
    entry = cache.get(key)
    if entry and entry.fingerprint == present and not entry.target.graph.stale():  # type: ignore[attr-defined]
        target = entry.target
        if entry.shapes != data_shapes(target):
            check_shapes(model, point)
    else:
        check_shapes(model, point)
        target = _build(model, backend, dtype, point, setting)
    cache.keep(key, Entry(present, data_shapes(target), target))
    return target


def _checked_point(model: pm.Model, start: Any) -> Mapping[str, np.ndarray]:
    """A start that is a point of the model's values; refuse another thing."""
    names = [value.name for value in model.value_vars]
    if not isinstance(start, Mapping) or any(name not in start for name in names):
        raise TypeError(f"start={start!r}: give a dict of all values, {', '.join(names)}.")
    for name in names:
        value = np.asarray(start[name])
        if value.dtype.kind not in "fiub" or not np.isfinite(value).all():
            raise ValueError(f"start[{name!r}]={start[name]!r}: must be finite real numbers.")
    return start


def _build(
    model: pm.Model,
    backend: Backend,
    dtype: np.dtype,
    point: Mapping[str, np.ndarray],
    setting: GraphSetting,
) -> Target:
    def graph(lift: bool) -> ModelGraph:
        return build_graph(model, point, setting, lift=lift)

    lifted = graph(True)
    if backend == "pytensor":
        logger.info("Backend pytensor (asked for).")
        return PytensorTarget(lifted, dtype)
    start = lifted.layout.flatten(with_rows(point, lifted.layout), dtype)
    try:
        target = _by_jax(graph, lifted, dtype, start)
    except ConversionError as error:
        if backend == "jax":
            raise ValueError(
                f"The model cannot be evaluated by JAX: {error}. Use backend='pytensor' or 'auto'."
            ) from error
        logger.info("Backend pytensor, because JAX cannot evaluate the model: %s.", error)
        fallback = PytensorTarget(lifted, dtype)
        fallback.why = str(error)
        return fallback
    logger.info("Backend jax%s.", "" if backend == "auto" else " (asked for)")
    return target


def _by_jax(
    graph: Callable[[bool], ModelGraph], lifted: ModelGraph, dtype: np.dtype, start: np.ndarray
) -> JaxTarget:
    """The model in JAX; with PyTensor's gradient where JAX's own is wrong."""
    try:
        try:
            return _checked(JaxTarget(lifted, dtype), start)
        except ConversionError as error:
            if isinstance(error, WrongGradientError):
                raise
            lifted = graph(False)  # lifted data may decide a shape
            return _checked(JaxTarget(lifted, dtype), start)
    except WrongGradientError as error:
        try:
            target = _checked(JaxTarget(lifted, dtype, symbolic=True), start)
        except NotImplementedError:
            raise error from None
        logger.info("The gradient is PyTensor's own, in JAX, because %s.", error)
        return target


def _checked(target: JaxTarget, start: np.ndarray) -> JaxTarget:
    check_gradient(target, start)
    return target
