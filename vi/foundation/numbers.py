"""Numbers that users give: counts and positive numbers, checked once."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["check_count", "check_steps", "positive"]


def check_count(name: str, value: Any) -> None:
    """Refuse what is no whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name}={value!r}: must be a whole number of at least 1.")


def positive(name: str, value: float | None) -> float | None:
    """A positive number, or None."""
    if value is None:
        return None
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float | np.number)
        or not 0 < value < np.inf
    ):
        raise ValueError(f"{name}={value!r}: must be a positive number.")
    return float(value)


def whole(what: str, value: Any, least: int) -> int:
    """A whole number, NumPy's too; refuse anything else."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{what}={value!r}): must be a whole number of at least {least}.")
    return int(value)


def check_steps(n: int) -> None:
    """Refuse what is no number of steps."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 0:
        raise ValueError(f"n={n!r}: the number of steps must be a whole number of at least 0.")
