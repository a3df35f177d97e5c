"""What stands for an attribute until ``__init__`` sets it: using it says which call is lacking."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["Unset"]


class Unset:
    """An attribute of a class whose objects have one of their own as soon as they are made.

    Parameters
    ----------
    what : str
        What an object has not got without it, and what to do.

    Examples
    --------
    >>> class Shape:
    ...     area: float = Unset("has no area: __init__ must call super().__init__(area)")
    >>> class Circle(Shape):
    ...     def __init__(self): ...
    >>> Circle().area
    Traceback (most recent call last):
    AttributeError: Circle has no area: __init__ must call super().__init__(area).
    """

    def __init__(self, what: str) -> None:
        self._what = what

    def __get__(self, item: Any, cls: type) -> NoReturn:
        raise AttributeError(f"{cls.__name__} {self._what}.")
