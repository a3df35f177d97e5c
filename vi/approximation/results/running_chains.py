"""Chains that go on from where they are, call by call."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from vi.approximation.results.blackjax_kernels import Plan, compiled_chains, first_size
from vi.approximation.results.partly_centred import PartlyCentred
from vi.foundation.arrays import Arrays
from vi.foundation.precision import precision
from vi.foundation.seeds import CHAINS, derived_seed, key_from
from vi.targets.base import Target

__all__ = ["Once", "RunningChains"]

type Once = Callable[[Callable[[], Arrays], Arrays, int], Arrays]
"""Calls a function without arguments, or returns what it once returned with the same given arrays;
the number is that of its steps."""


def _always(make: Callable[[], Arrays], given: Arrays, steps: int) -> Arrays:
    return make()


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
    once : callable
        Makes a call, or knows what it came to in a process before.
    coordinates : PartlyCentred, optional
        Those in which the steps are made, and the matrix is; points are always the model's.
    """

    def __init__(
        self,
        target: Target,
        plan: Plan,
        matrix: np.ndarray,
        starts: np.ndarray,
        seed: int,
        accept: float,
        once: Once = _always,
        coordinates: PartlyCentred | None = None,
    ) -> None:
        self.target, self.plan, self.matrix, self.accept = target, plan, matrix, accept
        self.coordinates = coordinates
        self._once = once
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
        dtype = self.target.dtype
        seed = derived_seed(self.seed, self._calls) if self._calls else self.seed
        given = {
            "plan": np.array(repr(self.plan)),
            "seed": np.array(seed),
            "at": self.at,
            "sizes": self.sizes,
            "matrix": np.asarray(self.matrix, dtype),
            "tune": np.asarray(tune),
            "draws": np.asarray(draws),
            "accept": np.asarray(self.accept, dtype),
        }
        if self.coordinates is not None:
            given |= {"shares": self.coordinates.shares, "centre": self.coordinates.centre}
        made = dict(self._once(functools.partial(self._made, given), given, tune + draws))
        self._calls += 1
        points, self.sizes = made.pop("points"), made.pop("sizes")
        self.at = points[:, -1]
        return points[:, tune if draws else 0 :], made

    def _made(self, given: Arrays) -> Arrays:
        """Points ``(C, tune + draws, D)``, sizes of steps ``(C,)``, and statistics of each step."""
        moved, (tune, draws) = self.coordinates, (int(given[name]) for name in ("tune", "draws"))
        target = self.target if moved is None else moved
        at = given["at"] if moved is None else moved.from_model(given["at"])[0]
        with precision(target.dtype):
            keys = _keys(key_from(int(given["seed"]), CHAINS), len(self.at), tune, draws)
            points, statistics, sizes = compiled_chains(target, self.plan)(
                keys,
                at,
                *(given[name] for name in ("sizes", "matrix", "tune", "accept")),
                target.batch(),
            )
        if moved is not None:
            points, log_det = moved.to_model(np.asarray(points))
            statistics = statistics | {"lp": np.asarray(statistics["lp"]) - log_det}
        made = {"points": points, "sizes": sizes, **statistics}
        return {name: np.asarray(value) for name, value in made.items()}


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _keys(key: jax.Array, chains: int, tune: int, draws: int) -> Any:
    """A key a step, ``(C, tune + draws)``."""

    def of_a_chain(key: jax.Array) -> Any:
        tuning, sampling = jax.random.split(key)
        both = jax.random.split(tuning, tune), jax.random.split(sampling, draws)
        return jax.numpy.concatenate(both)

    return jax.vmap(of_a_chain)(jax.random.split(key, chains))
