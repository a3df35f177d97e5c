"""What was found out about a model, kept as long as neither it nor its data change."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any

import pymc as pm
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Variable
from pytensor.graph.traversal import ancestors
from pytensor.tensor.random.type import RandomType

from vi.graphs.self_advancing import Counter
from vi.targets.model.data_watch import DataWatch

__all__ = ["Same", "fact", "parts", "shared_in", "watched"]

ATTRIBUTE = "_vi_facts"

MOST_FACTS = 32
"""Facts that are kept of a model: shapes, and what was found for each seed and start."""


class Same:
    """Equality by identity for objects whose ``==`` builds graphs."""

    def __init__(self, item: Any) -> None:
        self.item = item

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.item is other.item

    def __hash__(self) -> int:
        return id(self.item)


class _Facts:
    """Facts of one model, an attribute of it, as its targets are."""

    def __init__(self) -> None:
        self.parts: tuple[Same, ...] = ()
        self.watch = DataWatch(())
        self.values: dict[Hashable, Any] = {}

    def __reduce_ex__(self, protocol: Any) -> Any:
        """A copy or a pickle of the model has none."""
        return _Facts, ()


def fact[T](model: pm.Model, key: Hashable, find: Callable[[], T]) -> T:
    """What ``find()`` returned when it was first asked for, of the same model and data.

    To find out costs PyTensor a function that is compiled, some passes over all rows, or both; to
    see that nothing has changed, a microsecond for each variable. Like all that watches data, it
    does not see a change in place.
    """
    facts: _Facts = model.__dict__.setdefault(ATTRIBUTE, _Facts())
    present = (*parts(model), *map(Same, model.rvs_to_initial_values.values()))
    if facts.parts != present or facts.watch.changed():
        lengths = [v for v in model.dim_lengths.values() if isinstance(v, SharedVariable)]
        facts.watch = DataWatch([*watched(model), *lengths])
        facts.parts, facts.values = present, {}
    if key not in facts.values:
        found = find()
        for old in list(facts.values)[: len(facts.values) + 1 - MOST_FACTS]:
            facts.values.pop(old, None)
        facts.values[key] = found
        return found
    value: T = facts.values[key]
    return value


def parts(model: pm.Model) -> tuple[Same, ...]:
    """The variables, observed values and transforms of a model, each by its identity."""
    variables = [*model.basic_RVs, *model.potentials, *model.deterministics]
    observed = [model.rvs_to_values[variable] for variable in model.observed_RVs]
    transforms = [model.rvs_to_transforms.get(variable) for variable in model.free_RVs]
    return tuple(Same(item) for item in [*variables, *observed, *transforms])


def watched(model: pm.Model) -> list[SharedVariable]:
    """The shared variables that a model reads, but for those that move on by themselves."""
    graphs = [*model.basic_RVs, *model.deterministics, *model.potentials]
    graphs += [*model.rvs_to_values.values()]
    return shared_in(graphs)


def shared_in(graphs: Iterable[Variable]) -> list[SharedVariable]:
    """The shared variables behind graphs, but for those that move on by themselves."""
    return [
        variable
        for variable in ancestors(graphs)
        if isinstance(variable, SharedVariable)
        and not isinstance(variable, Counter)
        and not isinstance(variable.type, RandomType)
    ]
