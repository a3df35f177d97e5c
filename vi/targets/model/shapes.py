"""Shapes and initial point of a model, which PyMC compiles functions for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm

from vi.graphs.compiling import compiling

__all__ = ["initial_point", "rv_shapes"]


def initial_point(model: pm.Model, seed: Any = None) -> dict[str, np.ndarray]:
    """The model's initial point, by value name."""
    with compiling():
        return dict(model.initial_point(random_seed=seed))


def rv_shapes(model: pm.Model) -> dict[str, tuple[int, ...]]:
    """The present shapes of the model's variables and values, by name."""
    with compiling():
        shapes = model.eval_rv_shapes()
    return {name: tuple(int(n) for n in shape) for name, shape in shapes.items()}
