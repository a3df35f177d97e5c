"""What a callback is beyond a function: an object that says how often it wants to be called."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np

from vi.foundation.numbers import whole

__all__ = ["Callback"]


class Callback(abc.ABC):
    """Something that is called between steps.

    Any callable ``f(approx, losses, i)`` is a callback and is called after every step. Subclass
    this to be called only after steps that are a multiple of ``every``, which lets the compiled
    loop run that many steps in one call.

    Parameters
    ----------
    every : int
        Steps between two calls.

    Notes
    -----
    A callback that depends on its earlier calls has no part in a checkpoint of the run, unless it
    has two methods: ``get_state()`` returns what it knows, a dict of arrays, numbers, texts and
    lists of them, and ``set_state(state)`` lets it go on from there. Those of ``vi.callbacks`` that
    end runs have them.

    Examples
    --------
    A callback that stops a fit which improves too slowly:

    >>> from vi.callbacks import Callback
    >>> class StopWhenSlow(Callback):
    ...     def __init__(self, gain=1.0, every=1000):
    ...         super().__init__(every)
    ...         self.gain = gain
    ...
    ...     def __call__(self, approx, losses, i):
    ...         if i >= 2 * self.every:
    ...             before = losses[i - 2 * self.every : i - self.every].mean()
    ...             if before - losses[i - self.every :].mean() < self.gain:
    ...                 raise StopIteration(
    ...                     f"improved by less than {self.gain} in {self.every} steps"
    ...                 )
    """

    def __init__(self, every: int = 1) -> None:
        self.every = whole("every", every, 1)

    @property
    def _vi_every(self) -> int:
        """The interval that the loop reads.

        Not ``every``: callbacks written for PyMC use that name as they like.
        """
        return self.every

    @abc.abstractmethod
    def __call__(self, approx: Any, losses: np.ndarray, i: int) -> None:
        """Called after step ``i``.

        Parameters
        ----------
        approx : vi.Approximation
            The live approximation; what it reports is the state after step ``i``.
        losses : numpy.ndarray
            All losses so far, ``losses[-1]`` is that of step ``i``; a read-only view.
        i : int
            Steps done, over all calls of ``fit`` and ``refine``.

        Raises
        ------
        StopIteration
            To end the run at this step; its text becomes the status message.
        """
