"""Where a posterior may have its image: entries exchanged, signs changed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vi.foundation.layout import Layout, Slot

__all__ = ["Image", "images"]

SHARED = 6
"""Variables along an axis of one length, of which all sets are tried; of more, single ones, pairs
and all."""

EACH = 3
"""Images that are tried of a kind that exchanges entries: the farthest ones. If one pair of entries
may be exchanged, so may be the others. The sign of one entry says nothing of another's, which has
data of its own: of these all are tried."""

LONGEST, SHORT = 100, 8
"""Entries of an axis that are looked at, and up to which all pairs of them are."""

SIGNED = ("interval", "logodds")
"""Transforms under which another sign is the other side of the middle."""


@dataclass(frozen=True)
class Image:
    r"""A map of the flat vector onto itself that keeps volumes.

    Entry i of the image is :math:`s_i\,x_{\pi(i)}`, where :math:`x` is the vector with the entries
    that it leaves out behind it: minus the sum of a simplex's others.

    Parameters
    ----------
    name : str
        What is done, in words.
    index : numpy.ndarray
        :math:`\pi`, ``(D,)``.
    sign : numpy.ndarray
        :math:`s`, ``(D,)``.
    """

    name: str
    index: np.ndarray
    sign: np.ndarray

    @property
    def exchanges(self) -> bool:
        """Whether entries change places."""
        return not np.array_equal(self.index, np.arange(len(self.index)))

    def of(self, points: np.ndarray, layout: Layout) -> np.ndarray:
        """The images of points ``(S, D)``."""
        longer, _ = _extended(points, layout)
        moved: np.ndarray = longer[:, self.index] * self.sign
        return moved


def images(
    layout: Layout, points: np.ndarray, apart: float, most: int, each: int | None = EACH
) -> list[Image]:
    """Maps that take points to another place, the farthest first within what each kind offers.

    The components of a mixture, the factors of a factor model and the hidden units of a network may
    be numbered in any order, and a product knows its factors up to their signs: log p is the same
    at the image of a point, and a fit that has found one of the places has not found the others.

    Parameters
    ----------
    layout : Layout
        Where the variables lie.
    points : numpy.ndarray
        Draws ``(S, D)``.
    apart : float
        Standard deviations, of the wider of both, by which some coordinate has to move.
    most : int
        The most maps.
    each : int, optional
        The most of each kind that exchanges entries; None for all of them.
    """
    longer, places = _extended(points, layout)
    with np.errstate(all="ignore"):
        mean, std = longer.mean(axis=0), longer.std(axis=0)
    found: dict[tuple[bytes, bytes], Image] = {}
    for kind in _kinds(layout, places):
        far = []
        for image in kind:
            with np.errstate(all="ignore"):
                moved = np.abs(image.sign * mean[image.index] - mean[: layout.dim])
                by = np.nan_to_num(moved / np.maximum(std[image.index], std[: layout.dim])).max()
            if by >= apart:
                far.append((by, image))
        kept = each if any(image.exchanges for _, image in far) else None
        for _, image in sorted(far, key=lambda pair: -pair[0])[:kept]:
            found.setdefault((image.index.tobytes(), image.sign.tobytes()), image)
            if len(found) == most:
                return list(found.values())
    return list(found.values())


def _extended(points: np.ndarray, layout: Layout) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Points with the entries that simplexes leave out, and where each variable's entries are."""
    parts, places, length = [points], {}, layout.dim
    for slot in layout:
        places[slot.name] = np.arange(slot.start, slot.stop).reshape(slot.shape)
        if slot.transform == "simplex" and slot.size:
            values = points[:, slot.slice].reshape(-1, *slot.shape)
            last = -values.sum(axis=-1).reshape(len(points), -1)
            where = np.arange(length, length + last.shape[1]).reshape((*slot.shape[:-1], 1))
            places[slot.name] = np.concatenate([places[slot.name], where], axis=-1)
            parts.append(last)
            length += last.shape[1]
    return np.concatenate(parts, axis=1), places


@dataclass(frozen=True)
class _Axis:
    """An axis of a variable."""

    slot: Slot
    number: int

    @property
    def can_change_sign(self) -> bool:
        """Whether minus a value is one."""
        return self.slot.transform is None or self.slot.transform in SIGNED


def _kinds(layout: Layout, places: dict[str, np.ndarray]) -> Iterator[Iterator[Image]]:
    """Images by kind: whole variables with other signs, then slices exchanged, or of other sign."""
    signed = [slot for slot in layout if _Axis(slot, 0).can_change_sign]
    for chosen in _sets(signed):
        yield iter([_flipped(layout, [(slot.name, places[slot.name]) for slot in chosen])])
    axes: dict[int, list[_Axis]] = {}
    for slot in layout:
        for number, size in enumerate(places[slot.name].shape):
            if 1 < size <= LONGEST:
                axes.setdefault(size, []).append(_Axis(slot, number))
    for size, group in axes.items():
        for along in _sets(group):
            yield (_exchanged(layout, places, along, *pair) for pair in _pairs(size))
            if all(axis.can_change_sign for axis in along):
                yield (_flipped(layout, _slices(places, along, i)) for i in range(size))


def _pairs(size: int) -> Iterator[tuple[int, int]]:
    """Pairs of entries of an axis: all of a short one, neighbours of a long one."""
    if size <= SHORT:
        return itertools.combinations(range(size), 2)
    return itertools.pairwise(range(size))


def _slices(
    places: dict[str, np.ndarray], along: Sequence[_Axis], entry: int
) -> list[tuple[str, np.ndarray]]:
    """One entry along axes, with its name."""
    return [
        (f"entry {entry} of {axis.slot.name}", places[axis.slot.name].take(entry, axis.number))
        for axis in along
    ]


def _sets[T](members: Sequence[T]) -> Iterator[tuple[T, ...]]:
    """All of them first, then fewer."""
    count = len(members)
    sizes = range(count, 0, -1) if count <= SHARED else (count, 1, 2)
    for size in sizes:
        yield from itertools.combinations(members, size)


def _flipped(layout: Layout, what: Sequence[tuple[str, np.ndarray]]) -> Image:
    """Other signs at some places."""
    sign = np.ones(layout.dim)
    for _, where in what:
        sign[where.ravel()] *= -1.0
    names = " and ".join(name for name, _ in what)
    return Image(f"the sign of {names} changed", np.arange(layout.dim), sign)


def _exchanged(
    layout: Layout, places: dict[str, np.ndarray], along: Sequence[_Axis], first: int, second: int
) -> Image:
    """Two entries exchanged along axes."""
    new = dict(places)
    for axis in along:
        order = np.arange(new[axis.slot.name].shape[axis.number])
        order[[first, second]] = second, first
        new[axis.slot.name] = new[axis.slot.name].take(order, axis.number)
    index = np.empty(layout.dim, int)
    for slot in layout:
        held = tuple(slice(length) for length in slot.shape)
        index[slot.slice] = new[slot.name][held].ravel()
    names = " and ".join(dict.fromkeys(axis.slot.name for axis in along))
    return Image(f"entries {first} and {second} of {names} exchanged", index, np.ones(layout.dim))
