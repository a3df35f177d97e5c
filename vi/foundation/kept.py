"""What is made once for an object and lives as long as it: compiled functions, runners, tables."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

__all__ = ["Keeper"]


class Keeper:
    """An object that keeps what is dear to make; everything goes when the object goes.

    The only place where the library keeps compiled things besides :mod:`vi.targets.cache`, which
    keeps targets for as long as their model lives. What is kept is a function of the key and of
    what never changes in the object, so two threads that make it at once make the same thing.

    Examples
    --------
    >>> class Target(Keeper): ...
    >>> target = Target()
    >>> target.compiled("answer", lambda: 42), target.compiled("answer", lambda: 43)
    (42, 42)
    """

    def compiled[T](self, key: Hashable, make: Callable[[], T]) -> T:
        """What ``make()`` returned when it was first asked for under this key."""
        kept: dict[Hashable, Any] = self.__dict__.setdefault("_kept", {})
        if key not in kept:
            kept[key] = make()
        value: T = kept[key]
        return value

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle takes along: not what can be made again."""
        return {name: value for name, value in self.__dict__.items() if name != "_kept"}
