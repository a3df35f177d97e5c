"""Graphs evaluated once, without compiling them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytensor
from pytensor.compile.mode import Mode
from pytensor.graph.basic import Variable

__all__ = ["INTERPRETER", "interpret", "interpreted"]


INTERPRETER = Mode(linker="py", optimizer="fast_compile")


def interpret(
    inputs: Sequence[Variable], outputs: Sequence[Variable], values: Sequence[np.ndarray]
) -> list[Any]:
    """Values of graphs, without compiling anything."""
    return list(interpreted(inputs, outputs)(*values))


def interpreted(inputs: Sequence[Variable], outputs: Sequence[Variable]) -> Callable[..., Any]:
    """A function of the inputs that computes graphs without compiling anything."""
    with pytensor.config.change_flags(mode="FAST_COMPILE"):  # for the inner graphs of scans
        function = pytensor.function(
            list(inputs), list(outputs), mode=INTERPRETER, on_unused_input="ignore"
        )

    def computed(*values: Any) -> Any:
        with pytensor.config.change_flags(mode="FAST_COMPILE"):
            return function(*values)

    return computed
