"""Which coordinates of a structured family take from which, as arrays in an order that runs."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vi.families.runs import taken
from vi.foundation.fusion import in_memory

__all__ = ["Block", "Ties", "coordinates", "lists_of_coordinates", "ties_of"]

FEW_BLOCKS = 16
"""Blocks up to which compiled code may fuse them: what makes a block is made anew in each that
reads it, and the gradient of 24 blocks took minutes to compile."""


@dataclass(frozen=True, eq=False)
class Block:
    """Coordinates with equally many parents, all of which come before them.

    Parameters
    ----------
    place : slice
        Where they are in the order.
    ties : slice
        Where their ties are, parent by parent: all first parents, then all second ones.
    parents : numpy.ndarray
        Places of the parents in the order, ``(size, k)``.
    pairs : tuple of numpy.ndarray
        For an inverse factor, where the covariance of two parents is among those of all ties,
        ``(size,)`` for each pair ``a < b`` of columns.
    """

    place: slice
    ties: slice
    parents: np.ndarray
    pairs: tuple[np.ndarray, ...] = ()

    def columns(self, weight: jax.Array) -> list[jax.Array]:
        """The weights of the first parents, of the second ones, and so on."""
        size, k = self.parents.shape
        own = weight[self.ties]
        return [own[i * size : (i + 1) * size] for i in range(k)]


@dataclass(frozen=True, eq=False)
class Ties:
    """All ties.

    Parameters
    ----------
    dim : int
        Length of the vector.
    order : numpy.ndarray
        The coordinates that are not global, parents first, ``(n,)``.
    back : numpy.ndarray
        For each coordinate of the vector its place among globals and ``order``, ``(dim,)``.
    blocks : tuple of Block
        The coordinates in runs.
    child, parent : numpy.ndarray
        The two ends of each tie, places in the order, ``(k,)``.
    """

    dim: int
    order: np.ndarray
    back: np.ndarray
    blocks: tuple[Block, ...]
    child: np.ndarray
    parent: np.ndarray

    @property
    def count(self) -> int:
        """Number of ties."""
        return len(self.child)

    def cut[T](self, known: T, always: jax.Array) -> T:
        """What is known after a block: in memory, where there are many.

        Parameters
        ----------
        known : pytree of arrays
            What the next blocks read.
        always : jax.Array
            As in :func:`vi.foundation.fusion.in_memory`, the same for all draws.
        """
        return in_memory(known, always) if len(self.blocks) > FEW_BLOCKS else known

    def sums(self, of_ties: jax.Array) -> jax.Array:
        """Sums over the ties of each coordinate, ``(n,)``."""
        parts = [
            sum(block.columns(of_ties), jnp.zeros(len(block.parents), of_ties.dtype))
            for block in self.blocks
        ]
        return jnp.concatenate(parts) if parts else of_ties[:0]

    def variances(self, square: jax.Array, weight: jax.Array) -> jax.Array:
        """Variances ``(n,)`` where weights are those of an inverse factor.

        By a recursion over covariances along ties, which needs no others.
        """
        variances, covs = square[:0], weight[:0]
        for block in self.blocks:
            size, k = block.parents.shape
            weights = block.columns(weight)
            pairs = iter(block.pairs)
            between: dict[tuple[int, int], jax.Array] = {}
            for a in range(k):
                between[a, a] = taken(variances, block.parents[:, a])
                for b in range(a + 1, k):
                    between[a, b] = between[b, a] = taken(covs, next(pairs))
            with_parents = [
                sum((weights[b] * between[a, b] for b in range(k)), jnp.zeros(size, square.dtype))
                for a in range(k)
            ]
            own = square[block.place] + sum(
                (w * c for w, c in zip(weights, with_parents, strict=True)),
                jnp.zeros(size, square.dtype),
            )
            variances = jnp.concatenate([variances, own])
            covs = jnp.concatenate([covs, *with_parents])
        return variances

    def products(self, full: dict[str, jax.Array]) -> jax.Array:
        """The covariance of the own parts ``(n, n)`` where weights are those of the noise."""
        n = len(self.order)
        slope = full["log_scale_slope"]
        shift = jnp.sum(jnp.square(slope), axis=0)

        def placed(values: jax.Array) -> jax.Array:
            blank = jnp.zeros((n, n), values.dtype)
            return blank.at[self.child, self.parent].set(values)

        factor = placed(full["weight"])
        found = factor @ factor.T + jnp.diag(jnp.exp(2.0 * (full["log_scale"] + shift)))
        for own in full["weight_slope"]:
            found = found + placed(own) @ placed(own).T
        # of a weight that is linear and a scale that is log-linear in the same normal noise
        scale = jnp.exp(full["log_scale"] + 0.5 * shift)[self.parent]
        tilted = full["weight"] + jnp.sum(full["weight_slope"] * slope[:, self.parent], axis=0)
        once = placed(scale * tilted)
        return found + once + once.T

    def weight_units(self, std: jax.Array, inverse: bool = False) -> jax.Array:
        """The change of each weight by which all together move their coordinate by one sd."""
        parents = np.bincount(self.child, minlength=len(self.order))[self.child]
        unit = taken(std, self.child) / jnp.sqrt(jnp.asarray(parents, std.dtype))
        return unit / taken(std, self.parent) if inverse else unit


def coordinates(name: str, given: Any) -> tuple[int, ...]:
    """Numbers of coordinates as a tuple; refuse what is none.

    Raises
    ------
    TypeError
        If it is no sequence of whole numbers.
    """
    if isinstance(given, Sequence | np.ndarray) and not isinstance(given, str):
        whole = [isinstance(i, int | np.integer) and not isinstance(i, bool) for i in given]
        if all(whole):
            return tuple(map(int, given))
    raise TypeError(f"{name}={given!r}: give numbers of coordinates, (0, 3) for example.")


def lists_of_coordinates(name: str, given: Any) -> tuple[tuple[int, ...], ...]:
    """The same of a sequence of sequences."""
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise TypeError(f"{name}={given!r}: give a tuple of coordinates for each coordinate.")
    return tuple(coordinates(name, each) for each in given)


@functools.lru_cache(maxsize=64)
def ties_of(globals_: tuple[int, ...], parents: tuple[tuple[int, ...], ...], inverse: bool) -> Ties:
    """The ties of a family with these settings; refuse what is none.

    Raises
    ------
    ValueError
        See :class:`vi.families.Structured`.
    """
    dim = len(globals_) + len(parents)
    if len(set(globals_)) < len(globals_) or any(not 0 <= i < dim for i in globals_):
        raise ValueError(
            f"globals={_short(globals_)}: name coordinates of the {dim} (globals and one entry of "
            "parents for each other) once each."
        )
    others = np.setdiff1d(np.arange(dim), np.array(globals_, int))
    place = dict(zip(others.tolist(), range(len(others)), strict=True))
    for i, named in zip(others, parents, strict=True):
        wrong = [p for p in named if p not in place or p == i]
        if wrong or len(set(named)) < len(named):
            raise ValueError(
                f"parents of coordinate {i} are {named}: name other coordinates that are not "
                "global, once each."
            )
    own = [tuple(place[p] for p in each) for each in parents]
    depth = _depths(own)
    runs: dict[tuple[int, int], list[int]] = {}
    for i in sorted(range(len(own)), key=lambda i: (depth[i], len(own[i]), i)):
        runs.setdefault((depth[i], len(own[i])), []).append(i)
    order = np.array([i for run in runs.values() for i in run], int)
    at = np.empty(len(order), int)
    at[order] = np.arange(len(order))
    blocks, first, tie = [], 0, 0
    children: list[Any] = []
    ends: list[Any] = []
    known: dict[tuple[int, int], int] = {}
    for (_, k), run in runs.items():
        # parents in the order of the vector: what is regular in it becomes long runs
        above = np.array([sorted(at[p] for p in own[i]) for i in run], int).reshape(len(run), k)
        here = np.arange(first, first + len(run))
        pairs = _pairs(above, known) if inverse else ()
        blocks.append(
            Block(slice(first, first + len(run)), slice(tie, tie + above.size), above, pairs)
        )
        for column in above.T:
            known |= dict(
                zip(
                    zip(here.tolist(), column.tolist(), strict=True),
                    range(tie, tie + len(run)),
                    strict=True,
                )
            )
            children.append(here)
            ends.append(column)
            tie += len(run)
        first += len(run)
    back = np.empty(dim, int)
    back[np.array(globals_, int)] = np.arange(len(globals_))
    back[others[order]] = len(globals_) + np.arange(len(order))
    none = [np.empty(0, int)]
    # 32 bits: of long integers JAX may keep a conversion that was made in the other precision
    arrays = (others[order], back, np.concatenate(children or none), np.concatenate(ends or none))
    coordinates, back, child, parent = (array.astype(np.int32) for array in arrays)
    return Ties(dim, coordinates, back, tuple(blocks), child, parent)


def _pairs(above: np.ndarray, known: dict[tuple[int, int], int]) -> tuple[np.ndarray, ...]:
    found = []
    for a in range(above.shape[1]):
        for b in range(a + 1, above.shape[1]):
            try:
                found.append(
                    np.array(
                        [known[(max(p, q), min(p, q))] for p, q in above[:, [a, b]].tolist()], int
                    )
                )
            except KeyError:
                raise ValueError(
                    "Two parents of one coordinate are not tied to each other, and of an inverse "
                    "factor each two must be: vi.structure(model).family has such ties."
                ) from None
    return tuple(found)


def _depths(own: Sequence[tuple[int, ...]]) -> list[int]:
    """The longest way up from each coordinate."""
    depth = [-1] * len(own)
    waiting = [sum(1 for _ in each) for each in own]
    below: list[list[int]] = [[] for _ in own]
    for i, each in enumerate(own):
        for p in each:
            below[p].append(i)
    ready = [i for i, count in enumerate(waiting) if not count]
    for i in ready:
        depth[i] = 1 + max((depth[p] for p in own[i]), default=-1)
        for child in below[i]:
            waiting[child] -= 1
            if not waiting[child]:
                ready.append(child)
    if len(ready) < len(own):
        raise ValueError(
            "parents come in circles: a coordinate takes from others that take from it. Order them."
        )
    return depth


def _short(values: Sequence[int]) -> str:
    shown = ", ".join(map(str, values[:6]))
    return f"({shown}{', ...' if len(values) > 6 else ''})"
