"""Freeze and unfreeze groups of a product between fits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from vi.families import Product

if TYPE_CHECKING:
    from vi.approximation.approximation import Approximation

__all__ = ["freeze"]


def freeze(approx: Approximation, groups: tuple[Any, ...], frozen: bool) -> None:
    """Freeze groups at their reported parameters, or free them."""
    approx.check_idle()
    family = approx.family
    if not isinstance(family, Product):
        raise TypeError(
            "Only groups can be frozen, and this approximation has one family: vi.Approximation([groups])."
        )
    names = {_group_of(approx, getattr(group, "name", group)) for group in groups}
    if not names:
        raise TypeError("freeze() needs the names of groups.")
    changed = family.with_frozen(names, frozen)
    if all(part.frozen for part in changed.parts):
        raise ValueError("Every group would be frozen, and there would be nothing to fit.")
    state, algorithm = approx._state, approx._algorithm
    if state is not None and algorithm is not None:
        kept = {
            name: value
            for name, value in approx.averaged.items()
            if name.split(".")[0] in names and frozen
        }
        state = state._replace(params=state.params | kept)
        algorithm = replace(algorithm, family=changed)  # type: ignore[type-var]
    approx._family, approx._state, approx._algorithm = changed, state, algorithm
    approx._statistics.clear()
    approx.publish()


def _group_of(approx: Approximation, name: Any) -> str:
    """The group of that name, or the one that holds the variable of that name."""
    known = [part.name for part in approx.groups]
    if name in known:
        return str(name)
    try:
        start = approx.layout[name].start
    except KeyError:
        raise ValueError(f"There is no group {name!r}; there are {', '.join(known)}.") from None
    return next(part.name for part in approx.groups if np.isin(start, part.entries))
