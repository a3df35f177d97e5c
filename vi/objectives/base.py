"""What an objective is: a scalar of the parameters, K draws' noises and the log density."""

from __future__ import annotations

import abc
from collections.abc import Callable

import jax

from vi.families.family import Family, Noise, Params

__all__ = ["LogProb", "Objective"]

type LogProb = Callable[[jax.Array], jax.Array]
"""Log densities of K points: ``(K, D) -> (K,)``."""


class Objective(abc.ABC):
    """A loss whose gradient with respect to ``params`` is what a step follows.

    A frozen dataclass. The loss is an estimate for the **full data**; it is a pure JAX function.
    """

    short_name: str
    """Name of the objective in files, logs and arguments."""

    loss_name: str = "minus the ELBO"
    """What the loss is, as ``approx.settings()`` shows it."""

    @abc.abstractmethod
    def loss(self, family: Family, params: Params, noises: Noise, log_prob: LogProb) -> jax.Array:
        """Scalar to be minimised, estimated from the draws that ``K`` noises (leading axis)
        make.
        """
