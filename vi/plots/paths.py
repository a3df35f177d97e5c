"""What a tracker has recorded, as arrays with a name for each of their columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from vi.approximation.results.draws import names_from
from vi.callbacks import Tracker
from vi.foundation.layout import Layout

__all__ = ["Path", "paths_of", "recorded"]


@dataclass(frozen=True)
class Path:
    """What one panel shows.

    Parameters
    ----------
    title : str
        The quantity, and of what.
    labels : tuple of str
        Names of the entries.
    values : numpy.ndarray
        ``(records, entries)``.
    """

    title: str
    labels: tuple[str, ...]
    values: np.ndarray


def recorded(
    tracker: Any, var_names: Sequence[str] | None, steps: Any
) -> Iterator[tuple[str, Sequence[Any], np.ndarray]]:
    """By name the values of each record, and the steps after which they were made.

    Raises
    ------
    TypeError, ValueError
        As in :func:`vi.plots.plot_tracked`.
    """
    known, at = _known(tracker, steps)
    chosen = names_from(var_names)
    names = list(known) if chosen is None else list(chosen)
    if strangers := [name for name in names if name not in known]:
        raise ValueError(
            f"var_names has {', '.join(map(repr, strangers))}; what was tracked is "
            f"{', '.join(map(repr, known))}."
        )
    for name in names:
        values = known[name]
        own = np.arange(1, len(values) + 1) if at is None else at
        if not len(values):
            raise ValueError(f"Nothing was recorded of {name!r}: there is no path to draw.")
        if len(own) != len(values):
            raise ValueError(
                f"{name!r} has {len(values):,} values, and there are {len(own):,} steps: give a "
                "step for each value."
            )
        yield name, values, own


def _known(tracker: Any, steps: Any) -> tuple[Mapping[str, Sequence[Any]], np.ndarray | None]:
    """Values by name, and the steps if they are known."""
    if isinstance(tracker, Tracker):
        if steps is not None:
            raise TypeError(f"steps={steps!r} is for a mapping: a Tracker knows its steps.")
        if not tracker.hist:
            raise ValueError(
                f"tracker is a Tracker without a record, for every {tracker.every:,} steps: give "
                "it to a fit, fit(callbacks=[tracker]), of as many or more."
            )
        return tracker.hist, _increasing(tracker.steps)
    if not isinstance(tracker, Mapping):
        raise TypeError(
            "tracker must be a vi.callbacks.Tracker, or a mapping of names to what was recorded, "
            f"{{'mean': [...]}}; this is {type(tracker).__name__}."
        )
    if not tracker:
        raise ValueError(f"tracker={tracker!r}: give what was recorded, {{'mean': [...]}}.")
    for name, values in tracker.items():
        if not isinstance(values, Sequence | np.ndarray) or isinstance(values, str | bytes):
            raise TypeError(f"{name!r} must be a list of values, one a record; it is {values!r}.")
        if isinstance(values, np.ndarray) and not values.ndim:
            raise TypeError(f"{name!r} is one number: give a list of values, one a record.")
    return tracker, None if steps is None else _increasing(steps)


def _increasing(steps: Any) -> np.ndarray:
    """Steps as an array, or a refusal of those that go back."""
    at = np.asarray(steps)
    if at.ndim != 1 or (at.size and at.dtype.kind not in "iu"):
        raise TypeError(f"steps must be a list of whole numbers; they are {steps!r}.")
    back = np.flatnonzero(np.diff(at) <= 0)
    if len(back):
        raise ValueError(
            f"Steps must increase, and step {at[back[0]]:,} is followed by {at[back[0] + 1]:,}. A "
            "tracker that has seen two fits: tracker.clear() between them, or a tracker for each."
        )
    return at


def paths_of(
    name: str, values: Sequence[Any], few: np.ndarray, layout: Layout | None
) -> list[Path]:
    """What is drawn of one quantity: one panel, or one for each variable that it consists of.

    Parameters
    ----------
    name : str
        Its name.
    values : sequence
        One value a record.
    few : numpy.ndarray
        Numbers of the records that are drawn.
    layout : Layout or None
        Of flat vectors.
    """
    first = values[0]
    if isinstance(first, Mapping):  # an xarray.Dataset is one
        if odd := [type(v).__name__ for v in values if not isinstance(v, Mapping)]:
            raise TypeError(f"{name!r} is a {type(first).__name__} at first, and then {odd[0]}.")
        if others := next((set(v) for v in values if set(v) != set(first)), None):
            raise ValueError(f"{name!r} has {set(first)} at first, and later {others}.")
        parts = {str(n): _stacked(f"{name}: {n}", [v[n] for v in values], few) for n in first}
        if not parts:
            raise ValueError(f"{name!r} has no variables: there is nothing to draw.")
        return _grouped(name, parts, {n: _coordinates(first[n]) for n in parts})
    stacked = _stacked(name, values, few)
    if layout is not None and stacked.shape[1:] == (layout.dim,):
        parts = {slot.name: stacked[:, slot.slice] for slot in layout if slot.size}
        labels = {s.name: [s.entry(i) for i in range(s.size)] for s in layout}
        return _grouped(name, parts, labels)
    return [Path(name, tuple(_coordinates(first)), stacked.reshape(len(stacked), -1))]


def _grouped(
    name: str, parts: Mapping[str, np.ndarray], labels: Mapping[str, list[str]]
) -> list[Path]:
    """A panel for all that are scalar, and one for each of the others."""
    flat = {n: array.reshape(len(array), -1) for n, array in parts.items()}
    single = [n for n, array in flat.items() if array.shape[1] == 1]
    found = []
    if single:
        title = f"{name}: {single[0]}" if len(single) == 1 else name
        found.append(Path(title, tuple(single), np.concatenate([flat[n] for n in single], axis=1)))
    return found + [
        Path(f"{name}: {n}", tuple(labels[n]), array)
        for n, array in flat.items()
        if n not in single
    ]


def _stacked(name: str, values: Sequence[Any], few: np.ndarray) -> np.ndarray:
    """Some records as one array, after a look at all of them."""
    shape = _shape(name, values[0])
    for number, value in enumerate(values):
        if _shape(name, value) != shape:
            raise ValueError(
                f"{name!r} changes its shape: {shape} at first, {_shape(name, value)} in record "
                f"{number + 1:,}. Track it by a quantity of one shape."
            )
    array = np.array([np.asarray(values[i]) for i in few])
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{name!r} has values of {array.dtype}: only real numbers have a path to draw."
        )
    if not array.size:
        raise ValueError(f"{name!r} has no entries (its shape is {shape}): nothing to draw.")
    return array.astype(float)


def _shape(name: str, value: Any) -> tuple[int, ...]:
    try:
        return np.shape(value)
    except ValueError:
        raise TypeError(
            f"{name!r} has a value {value!r:.60}, whose rows are of several lengths: track a "
            "number, an array, or a mapping of names to these."
        ) from None


def _coordinates(value: Any) -> list[str]:
    """A label for each entry of an array: its coordinates where it has some, or else indices."""
    if isinstance(value, xr.DataArray):
        axes = [np.asarray(value[dim]) for dim in value.dims]
    else:
        axes = [np.arange(n) for n in np.shape(value)]
    places = np.ndindex(*np.shape(value))
    return [", ".join(str(axis[i]) for axis, i in zip(axes, at, strict=True)) for at in places]
