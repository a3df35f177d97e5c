"""Which class reads what it is given: a live list, which ``source_from`` asks."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from vi.data.sources.base import Source

__all__ = ["class_for", "ending_of", "register_source", "source_classes"]

_classes: list[type[Source]] = []


def register_source[S: type[Source]](cls: S) -> S:
    """Have :func:`source_from` ask a class of one's own whether it reads what is given.

    A line above the class rather than a matter of every subclass (``__init_subclass__``): a class
    of a test or a helper does not change what ``vi.fit(data=...)`` understands by being defined,
    and who reads the class sees that it does. Classes are asked from the newest to the oldest, so
    that a class may read an object in place of the library's own. One that is defined once more (a
    notebook's cell that is run again) takes the place of the first.

    Parameters
    ----------
    cls : type
        A subclass of :class:`Source` with ``reads``, and with ``open`` where it is not simply
        ``cls(data)``.

    Raises
    ------
    TypeError
        If it is no such class.

    Examples
    --------
    >>> import numpy as np
    >>> from vi.data import ArraySource, Field, source_from
    >>> class Table:  # of a package that need not be installed
    ...     numbers = [3.0, 1.0, 2.0]
    >>> @register_source
    ... class TableSource(Source):
    ...     accepts = "a Table"
    ...     chunk_rows = 1_000
    ...     fields = {"x": Field((), np.dtype(float))}
    ...
    ...     def __init__(self, table):
    ...         self._numbers = np.array(table.numbers)
    ...         self.n_rows = len(self._numbers)
    ...
    ...     @classmethod
    ...     def reads(cls, data):
    ...         return type(data).__name__ == "Table"
    ...
    ...     def take(self, rows):
    ...         return {"x": self._numbers[rows].copy()}
    >>> source_from(Table()).take(slice(0, 2))["x"]
    array([3., 1.])
    """
    if not (inspect.isclass(cls) and issubclass(cls, Source)) or inspect.isabstract(cls):
        raise TypeError(f"{cls!r} cannot be registered: give a subclass of Source that has take().")
    for name in ("reads", "open"):
        if not isinstance(inspect.getattr_static(cls, name), classmethod):
            raise TypeError(
                f"{cls.__name__}.{name} must be a classmethod: it is asked before there is an "
                "object. Write @classmethod above it."
            )
    if cls.reads.__func__ is Source.reads.__func__:  # type: ignore[attr-defined]
        raise TypeError(
            f"{cls.__name__} cannot be registered without a classmethod reads(data) that says "
            "which objects it is made of."
        )
    place = (cls.__module__, cls.__qualname__)
    _classes[:] = [cls, *(c for c in _classes if (c.__module__, c.__qualname__) != place)]
    return cls


def source_classes() -> tuple[type[Source], ...]:
    """The registered classes, in the order in which they are asked."""
    return tuple(_classes)


def class_for(data: Any) -> type[Source] | None:
    """The first class that reads an object, if there is one."""
    return next((cls for cls in _classes if cls.reads(data)), None)


def ending_of(data: Any) -> str | None:
    """The ending of a path in lower case, ``".npy"``; ``None`` of what is no path."""
    return Path(data).suffix.lower() if isinstance(data, str | Path) else None
