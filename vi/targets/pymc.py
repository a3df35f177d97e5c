"""A PyMC model becomes a target: the backend is chosen, said, and kept for the next fit of the same model."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
import pymc as pm
from pytensor.graph.basic import Variable

from vi.targets.base import Target
from vi.targets.graph import ModelGraph, build_graph
from vi.targets.jax_target import JaxTarget
from vi.targets.jaxify import ConversionError, WrongGradientError
from vi.targets.local import with_rows
from vi.targets.pytensor_target import PytensorTarget
from vi.targets.rows import has_batches
from vi.targets.scaling import Setting

__all__ = ["Backend", "check_backend", "from_pymc"]

logger = logging.getLogger("vi")

type Backend = Literal["auto", "jax", "pytensor"]

_cache: weakref.WeakKeyDictionary[pm.Model, dict[Any, tuple[Any, Any, Target]]] = weakref.WeakKeyDictionary()


def check_backend(backend: str) -> Backend:
    """The backend's name, with PyMC's names of PyTensor's linkers understood as ``"pytensor"``."""
    backend = backend.lower() if isinstance(backend, str) else backend
    if backend in ("numba", "c", "cvm"):
        return "pytensor"
    if backend not in get_args(Backend.__value__):
        raise ValueError(f"backend={backend!r} is unknown; use 'auto', 'jax' or 'pytensor'.")
    return backend  # type: ignore[return-value]


def from_pymc(
    model: pm.Model,
    *,
    backend: str = "auto",
    dtype: np.dtype | str = "float64",
    more_replacements: Mapping[Variable, Variable] | None = None,
    start: Mapping[str, np.ndarray] | None = None,
    setting: Setting | None = None,
) -> Target:
    """Turn a PyMC model into a log density of a flat unconstrained vector.

    Parameters
    ----------
    model : pymc.Model
        Any model whose free variables are continuous.
    backend : {"auto", "jax", "pytensor"}
        What evaluates it. ``"auto"`` takes JAX where the graph converts and its gradient is right, PyTensor otherwise,
        and logs which and why.
    dtype : {"float64", "float32"}
        Precision of the evaluation.
    more_replacements : mapping of variables, optional
        Parts of the model's graph (its data, say) to replace.
    start : mapping of {value name: array}, optional
        A point with a finite log density, near which the gradient is checked; the model's initial point by default.
    setting : Setting, optional
        Whether batches or all rows are meant, and how batches are scaled; in place of `more_replacements`. All rows by
        default.

    Returns
    -------
    Target
        The target. The same object is returned for the same model as long as nothing was added to the model and no
        value that is part of the compiled code (the length of a dim, a mask) changed; data may change freely.

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
    >>> round(float(target.log_prob(np.zeros(1))), 4)  # log 2 N(1 | 0, 1) + log |d sigma / dz|, at z = log sigma = 0
    -0.7258
    """
    backend = check_backend(backend)
    dtype = np.dtype(dtype)
    point = model.initial_point() if start is None else start
    shapes = tuple((name, np.shape(value)) for name, value in sorted(point.items()))
    if setting is None:
        setting = Setting(bool(more_replacements), more_replacements or {})
    if setting.plain and not has_batches(model):
        setting = Setting(training=False)  # nothing to tell training from the rest: one target serves both
    key = (backend, dtype.name, setting.key, shapes)
    fingerprint = _fingerprint(model, setting)
    kept = _cache.setdefault(model, {})
    if key in kept:
        before, shapes, target = kept[key]
        if before == fingerprint and not target.graph.stale():  # type: ignore[attr-defined]
            if shapes != _data_shapes(target):
                _check_shapes(model, point)
                kept[key] = (fingerprint, _data_shapes(target), target)
            return target
    _check_shapes(model, point)
    target = _build(model, backend, dtype, point, setting)
    kept[key] = (fingerprint, _data_shapes(target), target)
    return target


def _check_shapes(model: pm.Model, point: Mapping[str, np.ndarray]) -> None:
    """Refuse a point whose shapes are no longer those of the model."""
    shapes = model.eval_rv_shapes()
    for value in model.value_vars:
        now, before = tuple(int(n) for n in shapes[value.name]), np.shape(point[value.name])
        if now != before:
            raise ValueError(
                f"{value.name} has shape {now} now, it had shape {before} at the start of the fit: "
                "a variable's shape follows the changed data. Start a new fit."
            )


def _data_shapes(target: Any) -> tuple[Any, ...]:
    return tuple(np.shape(shared.get_value(borrow=True)) for shared in target.graph.shared)


def _build(
    model: pm.Model,
    backend: Backend,
    dtype: np.dtype,
    point: Mapping[str, np.ndarray],
    setting: Setting,
) -> Target:
    def graph(lift: bool = True) -> ModelGraph:
        return build_graph(model, point, setting, lift=lift)

    lifted = graph()
    if backend == "pytensor":
        logger.info("Backend pytensor (asked for).")
        return PytensorTarget(lifted, dtype)
    start = lifted.layout.flatten(with_rows(point, lifted.layout), dtype)
    try:
        try:
            target = _checked(JaxTarget(lifted, dtype), start)
        except ConversionError as error:
            if isinstance(error, WrongGradientError):
                raise
            target = _checked(JaxTarget(graph(lift=False), dtype), start)  # lifted data may decide a shape
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


def _checked(target: JaxTarget, start: np.ndarray) -> JaxTarget:
    target.check(start)
    return target


def _fingerprint(model: pm.Model, setting: Setting) -> tuple[Any, ...]:
    """What the compiled code of a model depends on; held by identity, and kept alive by the cache."""
    variables = [*model.basic_RVs, *model.potentials, *model.deterministics]
    observed = [model.rvs_to_values[variable] for variable in model.observed_RVs]
    transforms = [model.rvs_to_transforms.get(variable) for variable in model.free_RVs]
    read = [graph for graphs in setting.encoded.values() for graph in graphs]
    given = [*setting.replacements.values(), *read, setting.fed]
    return tuple(_Same(item) for item in [*variables, *observed, *transforms, *given])


class _Same:
    """Equality by identity for objects whose ``==`` builds graphs."""

    def __init__(self, item: Any) -> None:
        self.item = item

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.item is other.item

    def __hash__(self) -> int:
        return id(self.item)
