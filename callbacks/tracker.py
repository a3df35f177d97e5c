"""Tracker: record anything during a fit."""

from __future__ import annotations

import collections
import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from .base import Callback

__all__ = ["Tracker"]


class Tracker(Callback):
    """Record the values of functions during a fit.

    Each function is called with no arguments if its signature allows that (or cannot be read), and
    otherwise with ``(approx, losses, i)``; this is decided at construction, so that an error inside
    a function is seen as what it is. One that takes ``*args`` could mean either: it is called
    without arguments, and with the three where that raises. ``hist`` has the values by name, and
    ``steps`` the steps after which they were recorded; :func:`vi.plots.plot_tracked` draws them.

    Parameters
    ----------
    every : int
        Steps between two records.
    **fns
        Functions by the name under which their values are recorded.

    Raises
    ------
    TypeError
        If something is not a function, or takes neither none nor those three arguments.

    Examples
    --------
    >>> import pymc as pm, vi
    >>> with pm.Model():
    ...     x = pm.Normal("x", 2.0, 3.0)
    ...     advi = vi.ADVI(random_seed=1)
    >>> tracker = vi.callbacks.Tracker(
    ...     mean=advi.approx.mean.eval, loss=lambda approx, losses, i: losses[-1]
    ... )
    >>> _ = advi.fit(10, callbacks=[tracker], progressbar=False)
    >>> len(tracker["mean"]), len(tracker["loss"]), tracker.steps[-1]
    (10, 10, 10)
    """

    def __init__(self, *, every: int = 1, **fns: Callable[..., Any]) -> None:
        super().__init__(every)
        self._functions = {name: _with_three_arguments(name, fn) for name, fn in fns.items()}
        self.clear()

    def __call__(self, approx: Any, losses: np.ndarray, i: int) -> None:
        self.steps.append(int(i))
        for name, function in self._functions.items():
            self.hist[name].append(function(approx, losses, i))

    record = __call__

    def clear(self) -> None:
        """Forget everything recorded so far."""
        self.hist: dict[str, list[Any]] = collections.defaultdict(list)
        self.steps: list[int] = []

    def __getitem__(self, name: str) -> list[Any]:
        """The values recorded under a name."""
        if name not in self._functions:
            raise KeyError(
                f"{name!r} is not tracked; tracked: {', '.join(self._functions) or 'nothing'}."
            )
        return self.hist[name]


def _with_three_arguments(name: str, function: Any) -> Callable[[Any, np.ndarray, int], Any]:
    """The function in the one form in which it will be called."""
    if not callable(function):
        raise TypeError(
            f"Tracker({name}=...): {function!r} is not a function. (For a value, pass its .eval, "
            "uncalled.)"
        )
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # builtins without a signature
        return lambda approx, losses, i: function()
    if _binds(signature, 0):
        if _binds(signature, 3) and any(p.kind is p.VAR_POSITIONAL for p in _parameters(signature)):
            return functools.partial(_with_none_or_three, function)
        return lambda approx, losses, i: function()
    if _binds(signature, 3):
        three: Callable[[Any, np.ndarray, int], Any] = function
        return three
    raise TypeError(
        f"Tracker({name}=...): the function takes {signature}; it must take no arguments or "
        "(approx, losses, i)."
    )


def _parameters(signature: inspect.Signature) -> list[inspect.Parameter]:
    return list(signature.parameters.values())


def _with_none_or_three(function: Any, approx: Any, losses: np.ndarray, i: int) -> Any:
    """Call ``f(*args)``: a compiled PyTensor function has this signature, ``lambda *t: t[-1]`` too.

    Only the call can tell them apart.
    """
    try:
        return function()
    except Exception:  # noqa: BLE001 (whatever a lack of arguments makes it raise)
        return function(approx, losses, i)


def _binds(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*(None,) * count)
    except TypeError:
        return False
    return True
