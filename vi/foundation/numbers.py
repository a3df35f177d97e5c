"""Numbers that users give: whole numbers and real ones, each refused with one text."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = [
    "check_count",
    "check_flags",
    "check_pairs",
    "check_steps",
    "flag",
    "number",
    "positive",
    "shown",
    "whole",
]


LIMIT = 2**63
"""Where the whole numbers of compiled code end."""


def whole(name: str, value: Any, least: int) -> int:
    """A whole number of at least ``least``, NumPy's too; no ``bool``, and no ``2.0``.

    None is of 2**63 or more either: compiled code knows no such numbers.

    Parameters
    ----------
    name : str
        The argument's name, for the message; with the class where that helps, ``"LowRank(rank"``.
    value : object
        What was given.
    least : int
        The smallest number that is accepted.

    Examples
    --------
    >>> import numpy as np
    >>> whole("n", np.int64(3), 1)
    3
    """
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_whole or value < least:
        raise ValueError(f"{shown(name, value)}: must be a whole number of at least {least}.")
    if value >= LIMIT:
        raise ValueError(f"{shown(name, value)}: must be a whole number below 2**63.")
    return int(value)


def number(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    why: str = "",
) -> float:
    """A finite real number within limits; no ``bool``, NaN or infinity.

    Parameters
    ----------
    name : str
        The argument's name, for the message; with the class where that helps, ``"StudentT(df"``.
    value : object
        What was given.
    above, least, below : float, optional
        It must be more than `above`, at least `least`, less than `below`.
    why : str
        What the limits are for, where that is not plain.

    Examples
    --------
    >>> number("temperature", 2, above=0.0)
    2.0
    """
    real = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    fits = (
        real
        and np.isrealobj(value)
        and _is_finite(value)
        and (above is None or value > above)
        and (least is None or value >= least)
        and (below is None or value < below)
    )
    if not fits:
        limits = [
            f"{word} {limit:g}"
            for word, limit in (("above", above), ("of at least", least), ("below", below))
            if limit is not None
        ]
        kind = f"a finite number {' and '.join(limits)}".rstrip()
        raise ValueError(f"{shown(name, value)}: must be {kind}{f', {why}' if why else ''}.")
    return float(value)


def check_count(name: str, value: Any) -> None:
    """Refuse what is no whole number of at least 1."""
    whole(name, value, 1)


def check_pairs(name: str, value: Any) -> None:
    """Refuse what is no number of draws that come in antithetic pairs."""
    check_count(name, value)
    if value % 2:
        raise ValueError(f"{name}={value}: must be even, draws come in antithetic pairs.")


def flag(name: str, value: Any) -> bool:
    """A switch: True or False, and nothing that only counts as one."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{shown(name, value)}: must be True or False.")
    return bool(value)


def check_flags(*, optional: bool = False, **values: Any) -> None:
    """Refuse switches, by name, that are neither True nor False; None may be left open."""
    for name, value in values.items():
        if not (optional and value is None):
            flag(name, value)


def check_steps(n: Any) -> None:
    """Refuse what is no number of steps: a whole number of at least 0."""
    whole("n", n, 0)


def positive(name: str, value: Any) -> float | None:
    """A positive number, or ``None`` where none was given."""
    if value is None:
        return None
    return number(name, value, above=0.0)


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def shown(name: str, value: Any) -> str:
    """``name=value``, with the parenthesis that ``"LowRank(rank"`` opens closed again."""
    return f"{name}={value!r}{')' if '(' in name else ''}"
