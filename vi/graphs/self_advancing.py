"""Shared variables that move on at every evaluation."""

from __future__ import annotations

from typing import Any

from pytensor.tensor.random.variable import RandomGeneratorSharedVariable
from pytensor.tensor.sharedvar import TensorSharedVariable

__all__ = ["Counter"]


class Counter(TensorSharedVariable):
    """A number that every compiled function adds one to.

    PyTensor reads ``default_update`` when it compiles. It deprecates setting it, and still reads
    it: hence a property.
    """

    _following: Any = None

    @property
    def default_update(self) -> Any:
        if self._following is None:
            self._following = self + 1
        return self._following

    @default_update.setter
    def default_update(self, value: Any) -> None:
        self._following = value


class SelfAdvancingGenerator(RandomGeneratorSharedVariable):
    """A shared random generator that every compiled function moves on.

    PyTensor reads ``default_update`` when a function is compiled. Here it does not depend on what
    is drawn, so that a graph made from the returned one (a gradient, a replacement) still finds it.
    """

    _following: Any = None

    @property
    def default_update(self) -> Any:
        return self._following

    @default_update.setter
    def default_update(self, value: Any) -> None:
        self._following = value
