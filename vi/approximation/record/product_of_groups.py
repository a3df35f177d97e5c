"""The product of families that groups mean in a layout."""

from __future__ import annotations

from collections.abc import Sequence

from vi.approximation.record.groups import Group
from vi.families import Part, PerRow, Product
from vi.foundation.layout import Layout

__all__ = ["members_of", "product_of"]


def product_of(groups: Sequence[Group], layout: Layout) -> Product:
    """The product of families that groups mean in a layout, in which local variables have all rows.

    Raises
    ------
    ValueError
        If a variable is unknown, in two groups, or in none, or if two groups are the rest.
    """
    members = members_of(groups, layout)
    return Product(
        tuple(_part(group, names, layout) for group, names in zip(groups, members, strict=True))
    )


def members_of(groups: Sequence[Group], layout: Layout) -> list[list[str]]:
    """The names of the variables of each group, in the layout's order.

    It raises what :func:`product_of` raises.
    """
    covered: dict[str, Group] = {}
    for group in groups:
        for name in group.names or ():
            try:
                slot = layout[name]
            except KeyError:
                raise ValueError(
                    f"{name!r} in {group} is not a free variable of the model; it has "
                    f"{', '.join(layout.names)}."
                ) from None
            if slot.name in covered:
                raise ValueError(
                    f"{slot.name!r} is in two groups, {covered[slot.name]} and {group}."
                )
            covered[slot.name] = group
    rest = [group for group in groups if group.names is None]
    left = [name for name in layout.names if name not in covered]
    if len(rest) > 1:
        raise ValueError("Two groups are the rest (None); only one can be.")
    if left and not rest:
        raise ValueError(
            f"No group covers {', '.join(left)}. Add them to a group, or add vi.Group(None) for "
            "the rest."
        )
    if rest and not left:
        raise ValueError(
            "A group is the rest (None), but the other groups cover every variable; leave it out."
        )
    covered |= dict.fromkeys(left, rest[0]) if rest else {}
    return [[name for name in layout.names if covered[name] is group] for group in groups]


def _part(group: Group, names: list[str], layout: Layout) -> Part:
    ranges: list[tuple[int, int]] = []
    for name in names:
        slot = layout[name]
        if ranges and ranges[-1][1] == slot.start and not group.local:
            ranges[-1] = (ranges[-1][0], slot.stop)
        else:
            ranges.append((slot.start, slot.stop))
    family = PerRow(group.family, _rows_of(group, names, layout)) if group.local else group.family
    return Part(
        group.name or names[0].replace(".", "_").replace("/", "_"),
        family,
        tuple(ranges),
        group.frozen,
    )


def _rows_of(group: Group, names: list[str], layout: Layout) -> int:
    """The number of rows that the variables of a local group have in common."""
    rows = {name: layout[name].shape[0] for name in names}
    if len(set(rows.values())) > 1:
        listed = ", ".join(f"{name!r} {n}" for name, n in rows.items())
        raise ValueError(
            f"The variables of {group} have different numbers of rows ({listed}); give each its "
            "group."
        )
    return next(iter(rows.values()))
