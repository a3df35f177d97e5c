"""Parts by short name, one live table a kind: arguments, files and contract tests read it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any, overload

__all__ = ["Registry", "import_modules"]


class Registry[T](Mapping[str, T]):
    """Entries of one kind by name; whoever reads it sees what was registered until then.

    It iterates over short names; look-ups also take aliases, in upper or lower case.

    Parameters
    ----------
    what : str
        What an entry is, for messages: ``"family"``.
    of : type, optional
        The abstract class that entries are subclasses of; without it, entries are functions.
    frozen : bool
        Whether these classes have to be frozen dataclasses: of such, a file holds the fields.
    check : callable, optional
        Raises where an entry of the kind lacks what its kind needs besides.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> class Shape: ...
    >>> shapes = Registry("shape", of=Shape)
    >>> @shapes.register(aliases=("disc",))
    ... @dataclass(frozen=True)
    ... class Circle(Shape):
    ...     radius: float = 1.0
    ...     short_name = "circle"
    >>> list(shapes), shapes["disc"](radius=2.0)
    (['circle'], Circle(radius=2.0))
    >>> shapes.instance("shape", "circle"), shapes.instance("shape", Circle(3.0))
    (Circle(radius=1.0), Circle(radius=3.0))
    """

    def __init__(
        self,
        what: str,
        *,
        of: type | None = None,
        frozen: bool = True,
        check: Callable[[Any], None] | None = None,
    ) -> None:
        self.what = what
        self.a_what = f"{'an' if what[0] in 'aeiou' else 'a'} {what}"
        self._of = of
        self._frozen = frozen and of is not None
        self._check_more = check
        self._entries: dict[str, T] = {}
        self._aliases: dict[str, str] = {}

    @overload
    def register[E](self, item: E, /) -> E: ...

    @overload
    def register[E](
        self, /, *, name: str | None = None, aliases: Iterable[str] = (), replace: bool = False
    ) -> Callable[[E], E]: ...

    def register(
        self,
        item: Any = None,
        /,
        *,
        name: str | None = None,
        aliases: Iterable[str] = (),
        replace: bool = False,
    ) -> Any:
        """Enter a class or function, which is returned: ``@register`` above a class.

        Parameters
        ----------
        item : class or function
            The entry. A class that is defined once more (a notebook's cell that is run again)
            takes its own place.
        name : str, optional
            By default the item's ``short_name``, or its own name.
        aliases : iterable of str
            Other names for it, besides those in the item's own ``aliases``.
        replace : bool
            Whether it takes the place of another entry of that name.

        Raises
        ------
        TypeError
            If the item is not of the kind.
        ValueError
            If another entry has the name or an alias already.
        """
        if isinstance(item, str):
            raise TypeError(f"register({item!r}) enters a text: write register(name={item!r}).")
        if item is None:
            return lambda item: self._enter(item, name, tuple(aliases), replace)
        return self._enter(item, name, tuple(aliases), replace)

    def _enter(self, item: Any, name: str | None, aliases: tuple[str, ...], replace: bool) -> Any:
        self._check(item)
        if self._check_more is not None:
            self._check_more(item)
        name = name or getattr(item, "short_name", None) or getattr(item, "__name__", None)
        if not isinstance(name, str) or name != name.lower():
            raise TypeError(
                f"{item!r} needs a name in lower case to be registered as {self.a_what}, and has "
                f"{name!r}: give it a short_name, or write register(name=...)."
            )
        # a subclass inherits its parent's aliases; they stay the parent's
        own = vars(item).get("aliases", ()) if inspect.isclass(item) else ()
        others = tuple(alias.lower() for alias in (*own, *aliases))
        for key in (name, *others):
            known = self.get(key)
            if known is not None and not replace and not _same_definition(known, item):
                raise ValueError(
                    f"{item!r} cannot be the {self.what} {key!r}: that is {known!r}. Give it a "
                    "name of its own, or register(replace=True)."
                )
        for key in others:
            self._entries.pop(key, None)
        self._entries[name] = item
        # names that meant the entry that was replaced mean nothing now
        left = {alias: to for alias, to in self._aliases.items() if to in self._entries}
        left = {alias: to for alias, to in left.items() if name not in (alias, to)}
        self._aliases = left | dict.fromkeys(others, name)
        return item

    def unregister(self, name: str) -> None:
        """Take an entry out again, with its aliases; of use in tests."""
        del self._entries[name]
        self._aliases = {alias: to for alias, to in self._aliases.items() if to != name}

    def _check(self, item: Any) -> None:
        """Refuse what is not of the kind."""
        if self._of is None:
            if not callable(item):
                raise TypeError(f"{item!r} cannot be registered as {self.a_what}: give a function.")
            return
        if not (inspect.isclass(item) and issubclass(item, self._of)):
            raise TypeError(
                f"{item!r} cannot be registered as {self.a_what}: give a subclass of "
                f"{self._of.__name__}."
            )
        if inspect.isabstract(item):
            lacking = ", ".join(sorted(getattr(item, "__abstractmethods__", ())))
            raise TypeError(f"{item.__name__} cannot be registered: it lacks {lacking}.")
        params = getattr(item, "__dataclass_params__", None)
        fields_of_its_own = [
            name
            for name in inspect.get_annotations(item)
            if not any(hasattr(base, name) for base in item.__bases__)
        ]
        undecorated = fields_of_its_own and "__dataclass_params__" not in vars(item)
        frozen = is_dataclass(item) and params is not None and params.frozen
        if self._frozen and (undecorated or not frozen):
            raise TypeError(
                f"{item.__name__} cannot be registered as {self.a_what}: a file holds the fields "
                "of a frozen dataclass; write @dataclass(frozen=True) below the register line."
            )

    def __getitem__(self, name: str) -> T:
        if not isinstance(name, str):
            raise KeyError(name)
        key = name.lower()
        return self._entries[self._aliases.get(key, key)]

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._entries))  # a copy: a test may register while it iterates

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<Registry of {self.what}: {', '.join(self._entries)}>"

    @property
    def aliases(self) -> dict[str, str]:
        """The short name that each alias means; a copy."""
        return dict(self._aliases)

    def name_of(self, entry: Any) -> str | None:
        """The short name of exactly this entry, ``None`` where it is not registered."""
        return next((name for name, known in self.items() if known is entry), None)

    @property
    def standalone(self) -> tuple[str, ...]:
        """The short names that can be given alone: those whose settings have defaults."""
        return tuple(name for name, entry in self.items() if not _required(entry))

    def listed(self) -> str:
        """The names that can be given alone, for messages."""
        return ", ".join(map(repr, self.standalone))

    def instance(self, argument: str, value: Any, *, also: str = "") -> Any:
        """The object meant by a name, a class or an object of the kind.

        Parameters
        ----------
        argument : str
            The argument's name, for messages.
        value : str, class or object
            A name or alias, a subclass of the kind (made with its defaults), or an instance.
        also : str
            What the argument takes besides, for messages: ``"None"``.

        Raises
        ------
        ValueError
            If the name is unknown.
        TypeError
            If it is something else, or has settings without defaults.
        """
        of = self._of
        listed = f"{also}{', ' if also else ''}{self.listed()}"
        if of is not None and isinstance(value, of):
            return value
        entry: Any = value
        if isinstance(value, str):
            if value not in self:
                raise ValueError(
                    f"{argument}={value!r} is unknown; use {listed}, or an instance of "
                    f"{self.a_what}."
                )
            entry = self[value]
        elif of is None or not (inspect.isclass(value) and issubclass(value, of)):
            raise TypeError(
                f"{argument}={value!r}: give {self.a_what} by name ({listed}), or an instance of "
                "one."
            )
        if missing := _required(entry):
            raise TypeError(
                f"{argument}={value!r}: {entry.__name__} has settings without defaults "
                f"({', '.join(missing)}); give an instance, {entry.__name__}(...)."
            )
        return entry()


def import_modules(package: str, path: Iterable[str]) -> None:
    """Import every module of a package: what registers itself is then known by lying there.

    Parameters
    ----------
    package : str
        The package's name, ``__name__`` in its ``__init__.py``.
    path : iterable of str
        Its folders, ``__path__`` there.
    """
    for module in pkgutil.iter_modules(path):
        importlib.import_module(f"{package}.{module.name}")


def _same_definition(one: Any, two: Any) -> bool:
    """Whether two entries are one definition that was run twice."""
    places = [(getattr(x, "__module__", None), getattr(x, "__qualname__", x)) for x in (one, two)]
    return places[0] == places[1]


def _required(entry: Any) -> list[str]:
    """The arguments without defaults of a class or function."""
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        name
        for name, parameter in inspect.signature(entry).parameters.items()
        if parameter.default is parameter.empty and parameter.kind not in kinds
    ]
