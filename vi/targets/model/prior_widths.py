"""How wide a model's priors are in the unconstrained space, from a few draws, nothing compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pymc as pm
from pymc.distributions.continuous import FlatRV, HalfFlatRV
from pytensor.compile.builders import OpFromGraph
from pytensor.graph.basic import Variable
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import ancestors, graph_inputs
from pytensor.scan.op import Scan
from pytensor.tensor.random.type import RandomType

from vi.foundation.layout import Layout
from vi.foundation.seeds import PRIOR_DRAWS, generator_from
from vi.graphs.interpret import interpreted
from vi.targets.model.facts import fact
from vi.targets.model.numpy_draws import drawn_by_numpy

__all__ = ["prior_std"]

DRAWS = 20
"""Draws of the prior: they give a standard deviation within a sixth, and what is asked is whether
one is ten times narrower than another."""

LONGEST = 200
"""Entries of a multivariate variable that is drawn: its draws cost the cube of that."""


def prior_std(model: pm.Model, layout: Layout, seed: int) -> np.ndarray:
    """Standard deviations of the priors, unconstrained, ``(D,)``; NaN where they are not known.

    They are not known of improper priors and of what depends on them, of distributions that cannot
    be drawn from, and of those that would take long: loops, and long multivariate ones.

    Parameters
    ----------
    model : pymc.Model
        The model; the states of its random generators are left alone.
    layout : Layout
        Where each variable lies in the flat vector.
    seed : int
        Seed of the draws.
    """
    std = np.full(layout.dim, np.nan)
    slots = [slot for slot in layout if _can_be_drawn(model[slot.name], slot.size)]
    together = _drawn(model, [slot.name for slot in slots], seed)
    for number, slot in enumerate(slots):
        if together is not None:
            draws = [draw[number] for draw in together]
        else:  # one of them cannot be drawn
            alone = _drawn(model, [slot.name], seed)
            draws = [] if alone is None else [draw[0] for draw in alone]
        if draws and all(np.size(draw) == slot.size for draw in draws):
            std[slot.slice] = _std(np.stack([np.ravel(draw) for draw in draws]))
    return std


def _std(draws: np.ndarray) -> np.ndarray:
    """Standard deviations over the draws ``(n, size)``; NaN where one is not finite, or all same.

    In units of the largest, whose square may overflow.
    """
    finite = np.all(np.isfinite(draws), axis=0)
    draws = np.where(finite, draws, 0.0).astype(np.float64)
    unit = np.abs(draws).max(axis=0)
    std = unit * np.std(draws / np.where(unit > 0, unit, 1.0), axis=0, ddof=1)
    return np.where(finite & (std > 0), std, np.nan)


def _can_be_drawn(variable: Any, size: int) -> bool:
    """Whether draws exist, as far as the graph tells, and take no time to speak of."""
    if getattr(variable.owner.op, "ndim_supp", 0) > 0 and size > LONGEST:
        return False
    return not any(isinstance(op, FlatRV | HalfFlatRV | Scan) for op in _operations([variable]))


def _operations(outputs: Sequence[Variable]) -> Iterator[Any]:
    """The operations of a graph, and of the graphs that are operations of it."""
    for variable in ancestors(outputs):
        if variable.owner is None:
            continue
        yield variable.owner.op
        if isinstance(variable.owner.op, OpFromGraph):
            yield from _operations(variable.owner.op.inner_outputs)


def _drawn(model: pm.Model, names: Sequence[str], seed: int) -> list[list[np.ndarray]] | None:
    """Unconstrained draws, each a list by variable; None where they cannot be made."""
    if not names:
        return None
    generator = generator_from(seed, PRIOR_DRAWS)
    try:
        function, count = fact(model, ("prior", *names), lambda: _prior_function(model, names))
        with np.errstate(all="ignore"):
            return [function(*generator.spawn(count)) for _ in range(DRAWS)]
    except Exception:  # noqa: BLE001 (whatever a user's distribution raises)
        return None


def _prior_function(model: pm.Model, names: Sequence[str]) -> tuple[Callable[..., Any], int]:
    """A function of random generators that draws variables, unconstrained, and their number."""
    outputs: list[Variable] = []
    for name in names:
        variable = model[name]
        transform = model.rvs_to_transforms.get(variable)
        outputs.append(
            variable if transform is None else transform.forward(variable, *variable.owner.inputs)
        )
    states = [v for v in graph_inputs(outputs) if isinstance(v.type, RandomType)]
    inputs = {state: state.type() for state in states}
    graphs = clone_replace(outputs, replace=inputs, rebuild_strict=False)
    return interpreted(list(inputs.values()), drawn_by_numpy(graphs)), len(inputs)
