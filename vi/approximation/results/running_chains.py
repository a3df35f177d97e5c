"""Chains that go on from where they are, call by call."""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np

from vi.approximation.results.blackjax_kernels import Plan, compiled_chains, first_size
from vi.foundation.precision import precision
from vi.foundation.seeds import CHAINS, derived_seed, key_from
from vi.targets.base import Target

__all__ = ["RunningChains"]


class RunningChains:
    """Chains that go on from where they are, call by call.

    Parameters
    ----------
    target : Target
        The log density, traceable.
    plan : Plan
        The kernel.
    matrix : numpy.ndarray
        The inverse mass matrix ``(D, D)``, or its diagonal ``(D,)``.
    starts : numpy.ndarray
        Where each chain begins, ``(C, D)``.
    seed : int
        That of the chains.
    accept : float
        The acceptance rate that the sizes of steps are tuned to.
    """

    def __init__(
        self,
        target: Target,
        plan: Plan,
        matrix: np.ndarray,
        starts: np.ndarray,
        seed: int,
        accept: float,
    ) -> None:
        self.target, self.plan, self.matrix, self.accept = target, plan, matrix, accept
        self.at = np.asarray(starts, target.dtype)
        self.sizes = np.full(len(starts), first_size(plan.method, target.dim), target.dtype)
        self.seed, self._calls = seed, 0

    def go_on(self, draws: int, tune: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Tune the sizes of steps for so many, then make draws.

        Returns
        -------
        points : numpy.ndarray
            ``(C, draws, D)``; without draws, those of tuning.
        statistics : dict of numpy.ndarray
            ``(C, tune + draws)`` each, what tuning took among them.
        """
        target, dtype = self.target, self.target.dtype
        seed = derived_seed(self.seed, self._calls) if self._calls else self.seed
        with precision(dtype):
            keys = _keys(key_from(seed, CHAINS), len(self.at), tune, draws)
            points, statistics, sizes = compiled_chains(target, self.plan)(
                keys,
                self.at,
                self.sizes,
                np.asarray(self.matrix, dtype),
                np.asarray(tune),
                np.asarray(self.accept, dtype),
                target.batch(),
            )
        self._calls += 1
        made = np.asarray(points)
        self.at, self.sizes = made[:, -1], np.asarray(sizes)
        return made[:, tune if draws else 0 :], {
            name: np.asarray(value) for name, value in statistics.items()
        }


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _keys(key: jax.Array, chains: int, tune: int, draws: int) -> Any:
    """A key a step, ``(C, tune + draws)``."""

    def of_a_chain(key: jax.Array) -> Any:
        tuning, sampling = jax.random.split(key)
        both = jax.random.split(tuning, tune), jax.random.split(sampling, draws)
        return jax.numpy.concatenate(both)

    return jax.vmap(of_a_chain)(jax.random.split(key, chains))
