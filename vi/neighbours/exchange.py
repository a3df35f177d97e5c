"""``pm.fit`` is another function for a while, under every name that a module has for it."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pymc as pm
import pymc.variational
import pymc.variational.inference

__all__ = ["instead_of_pm_fit"]

type Replacement = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
type Place = tuple[dict[str, Any], str, Any]

HOMES = (pm, pymc.variational, pymc.variational.inference)
"""Modules of PyMC in which ``fit`` is public."""


@dataclass
class _Exchange:
    """What is exchanged at the moment; there is one, as the modules are those of the process."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    inside: list[Replacement] = field(default_factory=list)
    thread: int | None = None
    found: list[Place] = field(default_factory=list)
    theirs: Any = None
    stand_in: Any = None

    def enter(self, function: Replacement) -> None:
        """Let calls be those of a function; the first to enter puts the stand-in in its places."""
        with self.lock:
            if self.inside and self.thread != threading.get_ident():
                raise RuntimeError(
                    "Another thread is inside vi.as_pm_fit, and what pm.fit is holds for the whole "
                    "process. Enter once, around the threads; or call vi.fit, which needs no "
                    "exchange."
                )
            if not self.inside:
                self._put()
            self.thread = threading.get_ident()
            self.inside.append(function)

    def leave(self, function: Replacement) -> None:
        """Forget a function; the last to leave puts PyMC's back."""
        with self.lock:
            # not the last one whoever it is: generators and tasks may leave in another order
            self.inside = [other for other in self.inside if other is not function]
            if not self.inside:
                self._take_back()

    def _put(self) -> None:
        theirs = pm.fit

        @functools.wraps(theirs)
        def fit(*args: Any, **kwargs: Any) -> Any:
            innermost = self.inside[-1:]
            return innermost[0](theirs, args, kwargs) if innermost else theirs(*args, **kwargs)

        self.theirs, self.stand_in = theirs, fit
        self.found = list(_places(home.fit for home in HOMES))
        for names, name, _ in self.found:
            names[name] = fit

    def _take_back(self) -> None:
        for names, name, value in self.found:
            if names.get(name) is self.stand_in:
                names[name] = value
        # and in modules that have imported the stand-in meanwhile
        for names, name, _ in _places([self.stand_in]):
            names[name] = self.theirs
        self.found = []


_exchange = _Exchange()


@contextmanager
def instead_of_pm_fit(function: Replacement) -> Iterator[None]:
    """Inside, calls of ``pm.fit`` are calls of a function.

    A stand-in with the signature of ``pm.fit`` takes its place in each module that has it under
    some name, so that ``from pymc import fit`` makes no difference. A module that imports it
    meanwhile has PyMC's at the end; what keeps the stand-in elsewhere calls PyMC's from then on.

    Parameters
    ----------
    function : callable
        Called as ``function(pm_fit, args, kwargs)`` with PyMC's own function and the arguments.
        Nested, that of the innermost one is called. Each ``with`` has a function of its own.

    Raises
    ------
    RuntimeError
        If another thread is inside.
    """
    _exchange.enter(function)
    try:
        yield
    finally:
        _exchange.leave(function)


def _places(values: Any) -> Iterator[Place]:
    """The namespaces of modules, and the names in them, whose value is one of these objects."""
    wanted = {id(value): value for value in values}
    for module in list(sys.modules.values()):
        if not issubclass(type(module), ModuleType):
            continue
        # not vars(module): a module that is imported lazily would be loaded by being looked at
        names = object.__getattribute__(module, "__dict__")
        for name, value in list(names.items()):
            if id(value) in wanted:
                yield names, name, value
