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
    together = _widths(model, [slot.name for slot in slots], seed)
    for number, slot in enumerate(slots):
        if together is not None:
            width: np.ndarray | None = together[number]
        else:  # one of them cannot be drawn
            alone = _widths(model, [slot.name], seed)
            width = None if alone is None else alone[0]
        if width is not None and np.size(width) == slot.size:
            std[slot.slice] = np.ravel(width)
    return std


class _Spread:
    """The standard deviation of draws that are seen one after the other: none is kept.

    In units of the first one, as squares may overflow. Welford (1962).
    """

    def __init__(self) -> None:
        self._count, self._unit = 0, np.ones(())
        self._mean, self._squares = np.zeros(()), np.zeros(())

    def see(self, draw: np.ndarray) -> None:
        if self._count == 0:
            self._unit = np.where(np.isfinite(draw) & (draw != 0), np.abs(draw), 1.0)
        self._count += 1
        scaled = draw / self._unit
        off = scaled - self._mean
        self._mean = self._mean + off / self._count
        self._squares = self._squares + off * (scaled - self._mean)

    def std(self) -> np.ndarray:
        """NaN where a draw was not finite, or all are the same."""
        found = self._unit * np.sqrt(self._squares / (self._count - 1))
        return np.where(np.isfinite(found) & (found > 0), found, np.nan)


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


def _widths(model: pm.Model, names: Sequence[str], seed: int) -> list[np.ndarray] | None:
    """Standard deviations of variables, unconstrained; None where they cannot be drawn."""
    if not names:
        return None
    generator = generator_from(seed, PRIOR_DRAWS)
    spreads = [_Spread() for _ in names]
    try:
        function, count = fact(model, ("prior", *names), lambda: _prior_function(model, names))
        with np.errstate(all="ignore"):
            for _ in range(DRAWS):
                for spread, draw in zip(spreads, function(*generator.spawn(count)), strict=True):
                    spread.see(np.asarray(draw, np.float64))
            return [spread.std() for spread in spreads]
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
