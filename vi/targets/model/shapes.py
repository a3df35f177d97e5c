"""Shapes and initial point of a model, which PyMC compiles functions for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm

from vi.graphs.compiling import compiling
from vi.targets.model.facts import fact

__all__ = ["initial_point", "rv_shapes"]


def initial_point(model: pm.Model, seed: Any = None) -> dict[str, np.ndarray]:
    """The model's initial point, by value name; without a seed it may be another each time."""

    def find() -> dict[str, np.ndarray]:
        with compiling():
            return dict(model.initial_point(random_seed=seed))

    if not isinstance(seed, int):
        return find()
    point = fact(model, ("initial point", seed), find)
    return {name: np.array(value) for name, value in point.items()}


def rv_shapes(model: pm.Model) -> dict[str, tuple[int, ...]]:
    """The present shapes of the model's variables and values, by name."""

    def find() -> dict[str, tuple[int, ...]]:
        with compiling():
            shapes = model.eval_rv_shapes()
        return {name: tuple(int(n) for n in shape) for name, shape in shapes.items()}

    return dict(fact(model, "shapes", find))
