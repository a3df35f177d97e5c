"""Locations and scales of a PyMC model's variables given each other, read from its graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.pytensorf import rvs_in_graph
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Variable
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors, graph_inputs

from vi.families.conditionals import Conditional, Conditionals, Given
from vi.foundation.layout import Layout, Slot
from vi.graphs.to_jax import ConversionError, jax_function
from vi.graphs.wrapped_jax import with_jax_ops
from vi.targets.batches.search import is_batch
from vi.targets.model.facts import fact
from vi.targets.model.graph import pieces_of
from vi.targets.model.layout_from import layout_from
from vi.targets.model.location_scale import (
    distribution_name,
    is_untransformed,
    location_scale,
)
from vi.targets.model.multiplied import factors_in
from vi.targets.model.shapes import initial_point

__all__ = ["ModelConditionals", "conditionals_of", "scaled_by_others"]

TRIED, WIDE = 16, 2.0
"""Random points at which a factor has to be positive, and how wide they lie."""

LISTED = 8
"""Variables that a message names; of more, how many."""


@dataclass(frozen=True, eq=False)
class _Found:
    """A variable, the value variables behind its location and scale, and their graphs."""

    conditional: Conditional
    parents: tuple[Variable, ...]
    graphs: tuple[Any, Any, Any]


class ModelConditionals(Conditionals):
    """The location-scale variables of a PyMC model, with its data as they were.

    Parameters
    ----------
    flat : TensorVariable
        The symbolic vector.
    dim : int
        Its length.
    found : sequence of _Found
        The variables, parents first.
    """

    def __init__(self, flat: Any, dim: int, found: Sequence[_Found]) -> None:
        self.dim = dim
        self.variables = tuple(each.conditional for each in found)
        self.graphs = tuple(each.graphs for each in found)
        self._flat = flat

    def given(self, number: int, z: jax.Array) -> Given:
        function = self.compiled((number, z.dtype.name), lambda: self._function(number))
        shape = self.variables[number].shape
        found = (jax.numpy.broadcast_to(part, shape).astype(z.dtype) for part in function(z))
        return Given(*found)

    def check_jax(self) -> None:
        """Refuse graphs that cannot run in JAX, naming the variable.

        Raises
        ------
        ValueError
            With what has no conversion.
        """
        for number, variable in enumerate(self.variables):
            try:
                self._function(number)
            except ConversionError as error:
                raise ValueError(
                    f"{variable.name!r} cannot be non-centred: its location and scale are computed "
                    f"in JAX, whatever backend evaluates the model, and there is {error}. "
                    "method='structured_advi' or 'fullrank_advi' need no such graph."
                ) from error

    def _function(self, number: int) -> Callable[..., Any]:
        # often asked for within a trace, of which its constants must not become a part
        with jax.ensure_compile_time_eval():
            return jax_function([self._flat], list(self.graphs[number]))


def conditionals_of(model: pm.Model) -> ModelConditionals:
    """The variables of a model that can be non-centred, the same object for the same data.

    These are location-scale variables in the unconstrained space (a random walk and an
    autoregression of order one among them) whose location or scale depends on other free variables
    or, in these two, on the entry before.

    Parameters
    ----------
    model : pymc.Model
        The model.

    Raises
    ------
    ValueError
        If there are none, with what each variable is instead; or if one cannot run in JAX.
    """
    # shapes alone are read, which no seed changes
    layout = layout_from(model, initial_point(model, 0))
    return fact(model, "conditionals", lambda: _conditionals(model, layout))


def scaled_by_others(model: pm.Model) -> ModelConditionals | None:
    """Those, and variables that are multiplied with others: non-centred offsets.

    An offset ``e`` with a factor ``s`` counts as one with the location 0 and the scale ``1 / s``:
    a share of 1 is the model's coordinate here too, and a share of 0 is ``s e`` in units of s at
    the centre, the effect. That is no distribution of the model's, but coordinates like others.
    Factors that change their sign at one of a few random points do not count, nor do those of a
    variable with a single entry.

    Parameters
    ----------
    model : pymc.Model
        The model.

    Returns
    -------
    ModelConditionals or None
        Of those that can run in JAX; None where there are none.
    """
    layout = layout_from(model, initial_point(model, 0))
    return fact(model, "scaled by others", lambda: _scaled_by_others(model, layout))


def _scaled_by_others(model: pm.Model, layout: Layout) -> ModelConditionals | None:
    flat, replaced = _flat(model, layout)
    found: dict[Variable, _Found] = {}
    factor = factors_in(model)
    for slot, variable in zip(layout, model.free_RVs, strict=True):
        one: _Found | str | None = _read(model, variable, slot, replaced)
        # a product with one entry is no hierarchy: other coordinates would be compiled in vain
        if isinstance(one, str) and slot.size > 1 and is_untransformed(model, variable):
            one = _multiplied(model, factor(variable), slot, flat, replaced)
        if isinstance(one, _Found) and _runs(flat, one):
            found[model.rvs_to_values[variable]] = one
    order = _parents_first(found)
    return ModelConditionals(flat, layout.dim, order) if order else None


def _runs(flat: Any, found: _Found) -> bool:
    """Whether JAX can compute it."""
    try:
        jax_function([flat], list(found.graphs))
    except ConversionError:
        return False
    return True


def _multiplied(
    model: pm.Model, factor: Any, slot: Slot, flat: Any, replaced: Mapping[Variable, Variable]
) -> _Found | None:
    """A variable with a factor that is positive, as one of location 0 and scale 1 / factor."""
    if factor is None:
        return None
    try:
        one = _given(model, slot, (0.0, 1.0 / factor, 0.0), replaced)
        if isinstance(one, str):
            return None
        scale = jax_function([flat], [one.graphs[1]])
        points = np.random.default_rng(0).normal(0.0, WIDE, (TRIED, flat.type.shape[0]))
        positive = all(np.all(np.asarray(scale(point)[0]) > 0) for point in points)
    except (ConversionError, TypeError, ValueError):
        # no conversion; or a variable is spread over what is then no factor of its entries
        return None
    return one if positive else None


def _flat(model: pm.Model, layout: Layout) -> tuple[Any, dict[Variable, Variable]]:
    """The symbolic vector, and the values of the variables as its pieces."""
    flat = pt.vector("z", dtype="float64", shape=(layout.dim,))
    pieces = pieces_of(flat, layout, model.value_vars)
    return flat, dict(zip(model.value_vars, pieces, strict=True))


def _conditionals(model: pm.Model, layout: Layout) -> ModelConditionals:
    flat, replaced = _flat(model, layout)
    found: dict[Variable, _Found] = {}
    reasons: list[str] = []
    for slot, variable in zip(layout, model.free_RVs, strict=True):
        one = _read(model, variable, slot, replaced)
        if isinstance(one, str):
            reasons.append(f"{slot.name} ({distribution_name(variable)}: {one})")
        else:
            found[model.rvs_to_values[variable]] = one
    if not found:
        more = f" and {len(reasons) - LISTED} more" * (len(reasons) > LISTED)
        raise ValueError(
            "Nothing can be non-centred here: that takes a location-scale variable (Normal, "
            "StudentT, Cauchy, Laplace, Logistic, Gumbel, LogNormal, HalfNormal, a random walk, an "
            "AR of order 1, ...) whose location or scale depends on other free variables. Found: "
            f"{', '.join(reasons[:LISTED])}{more}. Use method='advi', 'lowrank_advi' or "
            "'structured_advi'."
        )
    conditionals = ModelConditionals(flat, layout.dim, _parents_first(found))
    conditionals.check_jax()
    return conditionals


def _read(
    model: pm.Model, variable: Any, slot: Slot, replaced: Mapping[Variable, Variable]
) -> _Found | str:
    """A variable with its location and scale as functions of the vector, or why there are none."""
    transform = model.rvs_to_transforms.get(variable)
    own = location_scale(variable, transform, slot.shape) if slot.size else None
    if own is None:
        return "no location and scale that are known"
    length = 1 if own.carry is None else slot.shape[-1]
    carry = 0.0 if own.carry is None else own.carry
    return _given(model, slot, (own.location, own.scale, carry), replaced, length)


def _given(
    model: pm.Model,
    slot: Slot,
    parts: tuple[Any, Any, Any],
    replaced: Mapping[Variable, Variable],
    length: int = 1,
) -> _Found | str:
    """From graphs of location, scale and carry, which have random variables in them."""
    graphs = model.replace_rvs_by_values([pt.as_tensor(part) for part in parts])
    behind = set(ancestors(graphs))
    parents = tuple(value for value in model.value_vars if value in behind)
    if not parents and length == 1:
        return "location and scale are constants"
    if any(map(is_batch, behind)) or rvs_in_graph(graphs):
        return "location or scale are those of a batch, or random by themselves"
    data = {
        each: each.type.constant_type(type=each.type, data=each.get_value(), name=each.name)
        for each in graph_inputs(graphs)
        if isinstance(each, SharedVariable)
    }
    graphs = with_jax_ops(clone_replace(graphs, replace={**replaced, **data}, rebuild_strict=False))
    shape = (slot.size // length, length)
    location, scale, carry = (pt.broadcast_to(graph, slot.shape).reshape(shape) for graph in graphs)
    return _Found(Conditional(slot.name, slot.start, shape), parents, (location, scale, carry))


def _parents_first(found: Mapping[Variable, _Found]) -> list[_Found]:
    """The variables in an order in which those come first that others depend on.

    There are no circles: a factor counts only where all that is made of its variable goes through
    the product, and what changes its sign, as another variable with a factor does, is none.
    """
    left, order = dict(found), []
    while left:
        free = [v for v, one in left.items() if not any(p in left for p in one.parents)]
        order += [left.pop(value) for value in free]
    return order
