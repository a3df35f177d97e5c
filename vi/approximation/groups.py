"""Groups: which variables of a model share a family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vi.families import Family, Flow, FullRank, LowRank, MeanField, Part, Product
from vi.layout import Layout

__all__ = ["Group", "product_of"]

NAMES: dict[str, type[Family]] = {
    "mean_field": MeanField,
    "mf": MeanField,
    "full_rank": FullRank,
    "fr": FullRank,
    "low_rank": LowRank,
    "lr": LowRank,
    "flow": Flow,
    "nf": Flow,
}


class Group:
    """Variables that share one family, independent of the variables of other groups.

    Parameters
    ----------
    group : sequence of variables or names, or None
        Free variables of the model; ``None`` means the rest.
    family : Family or str
        An instance of a family, or ``"mean_field"`` (``"mf"``), ``"full_rank"`` (``"fr"``), ``"low_rank"``, ``"flow"``.
    vfam : str, optional
        PyMC's name of the argument `family`.
    frozen : bool
        Whether fits leave this group as it is; see also :meth:`vi.Approximation.freeze`.
    name : str, optional
        The group's name, the first part of the names of its parameters; by default that of its first variable.

    Raises
    ------
    TypeError
        If something is no variable, name or family.
    ValueError
        If the group is empty, names a variable twice, or the family's name is unknown.

    Examples
    --------
    >>> import pymc as pm, vi
    >>> with pm.Model():
    ...     beta = pm.Normal("beta", shape=3)
    ...     sigma = pm.HalfNormal("sigma")
    ...     approx = vi.Approximation([vi.Group([beta], family="full_rank"), vi.Group(None)], random_seed=1)
    >>> [(part.name, part.family.short_name) for part in approx.groups]
    [('beta', 'full_rank'), ('sigma', 'mean_field')]
    """

    def __init__(
        self,
        group: Sequence[Any] | None,
        family: Family | str = "mean_field",
        *,
        vfam: str | None = None,
        frozen: bool = False,
        name: str | None = None,
    ) -> None:
        self.names = None if group is None else _names(group)
        self.variables = () if group is None else tuple(item for item in group if not isinstance(item, str))
        self.family = _family(family if vfam is None else vfam)
        self.frozen = bool(frozen)
        if name is not None and (not isinstance(name, str) or not name or "." in name or "/" in name):
            raise ValueError(f"name={name!r}: a group's name is a text without '.' and '/'.")
        self.name = name

    def __repr__(self) -> str:
        which = "the rest" if self.names is None else ", ".join(self.names)
        return f"<Group {self.family.short_name} of {which}{' (frozen)' if self.frozen else ''}>"


def product_of(groups: Sequence[Group], layout: Layout) -> Product:
    """The product of families that groups mean in a layout.

    Raises
    ------
    ValueError
        If a variable is unknown, in two groups, or in none, or if two groups are the rest.
    """
    covered: dict[str, Group] = {}
    for group in groups:
        for name in group.names or ():
            try:
                slot = layout[name]
            except KeyError:
                raise ValueError(
                    f"{name!r} in {group} is not a free variable of the model; it has {', '.join(layout.names)}."
                ) from None
            if slot.name in covered:
                raise ValueError(f"{slot.name!r} is in two groups, {covered[slot.name]} and {group}.")
            covered[slot.name] = group
    rest = [group for group in groups if group.names is None]
    left = [name for name in layout.names if name not in covered]
    if len(rest) > 1:
        raise ValueError("Two groups are the rest (None); only one can be.")
    if left and not rest:
        raise ValueError(f"No group covers {', '.join(left)}. Add them to a group, or add vi.Group(None) for the rest.")
    if rest and not left:
        raise ValueError("A group is the rest (None), but the other groups cover every variable; leave it out.")
    covered |= dict.fromkeys(left, rest[0]) if rest else {}
    return Product(
        tuple(_part(group, [name for name in layout.names if covered[name] is group], layout) for group in groups)
    )


def _part(group: Group, names: list[str], layout: Layout) -> Part:
    ranges: list[tuple[int, int]] = []
    for name in names:
        slot = layout[name]
        if ranges and ranges[-1][1] == slot.start:
            ranges[-1] = (ranges[-1][0], slot.stop)
        else:
            ranges.append((slot.start, slot.stop))
    return Part(group.name or names[0].replace(".", "_").replace("/", "_"), group.family, tuple(ranges), group.frozen)


def _names(group: Any) -> tuple[str, ...]:
    if isinstance(group, str) or not isinstance(group, Sequence):
        raise TypeError(f"A group is a list of variables or names, or None for the rest; got {group!r}.")
    names = []
    for item in group:
        name = item if isinstance(item, str) else getattr(item, "name", None)
        if not isinstance(name, str):
            raise TypeError(f"{item!r} in a group is neither a variable of the model nor a name.")
        names.append(name)
    if not names:
        raise ValueError("A group is empty; use None for the rest of the variables.")
    if len(set(names)) < len(names):
        raise ValueError(f"A variable is twice in one group: {', '.join(names)}.")
    return tuple(names)


def _family(family: Any) -> Family:
    if isinstance(family, Family):
        return family
    if isinstance(family, str):
        if family.lower() not in NAMES:
            raise ValueError(f"family={family!r} is unknown; use {', '.join(map(repr, NAMES))} or a family.")
        return NAMES[family.lower()]()
    raise TypeError(f"family={family!r}: give an instance of a family (vi.families.FullRank()) or its name.")
