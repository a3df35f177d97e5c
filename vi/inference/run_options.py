"""How a run steps: options of a fit, checked once."""

from __future__ import annotations

from dataclasses import dataclass

import optax

from vi.optimizers import Averaging

__all__ = ["Steps"]


@dataclass(frozen=True)
class Steps:
    """How a run steps: what is common to the algorithms of all inference classes.

    Parameters
    ----------
    optimizer : optax.GradientTransformation
        The optimiser.
    averaging : Averaging or None
        The average of iterates that was asked for.
    n_draws : int or None
        Draws a step that were asked for, if any.
    max_gradient_norm : float or None
        The limit of the gradient's norm.
    """

    optimizer: optax.GradientTransformation
    averaging: Averaging | None
    n_draws: int | None
    max_gradient_norm: float | None
