"""The order in which coordinates of a sparse normal are taken out, and what each depends on."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import reverse_cuthill_mckee

__all__ = ["dissected", "eliminated", "fronts"]


def eliminated(pattern: sp.csr_array, most: float = np.inf) -> tuple[tuple[int, ...], ...] | None:
    """For each coordinate those that its conditional depends on, once those before it are gone.

    A normal with this pattern in its precision is a product of conditionals: a coordinate is taken
    out, its neighbours become neighbours of each other, and so on. Taken out together are
    coordinates with few neighbours that are not neighbours of each other, so that a chain of ``T``
    takes ``log T`` rounds, and not ``T``.

    Parameters
    ----------
    pattern : scipy.sparse.csr_array
        Where the precision has entries, without the diagonal; symmetric.
    most : float
        Entries beyond which it is given up.

    Returns
    -------
    tuple of tuple of int, or None
        The parents of each; any two of them are tied too. None where there are more than `most`.

    References
    ----------
    Liu (1985). Modification of the minimum-degree algorithm by multiple elimination. ACM
    Transactions on Mathematical Software 11.
    """
    dim = pattern.shape[0]
    near = _neighbours(pattern)
    parents: list[tuple[int, ...]] = [()] * dim
    left, count = list(range(dim)), 0
    while left:
        few = 2 * max(1, min(len(near[i]) for i in left))
        blocked: set[int] = set()
        out = []
        for i in left:
            if len(near[i]) <= few and i not in blocked:
                out.append(i)
                blocked |= near[i]
        for i in out:
            parents[i] = _taken_out(i, near)
            count += len(parents[i])
            if count > most:
                return None
        gone = set(out)
        left = [i for i in left if i not in gone]
    return tuple(parents)


def _neighbours(pattern: sp.csr_array) -> list[set[int]]:
    """The coordinates that each is tied to."""
    ends = pattern.indptr
    return [set(pattern.indices[ends[i] : ends[i + 1]].tolist()) for i in range(len(ends) - 1)]


def _taken_out(i: int, near: list[set[int]]) -> tuple[int, ...]:
    """Take a coordinate out, which ties its neighbours to each other; what they are."""
    own = near[i]
    for j in own:
        near[j] |= own
        near[j] -= {i, j}
    return tuple(sorted(own))


def dissected(pattern: sp.csr_array, most: float = np.inf) -> tuple[tuple[int, ...], ...] | None:
    """The same of a band, in pieces as wide as the band is: every second piece goes at a time.

    Where several coordinates make one step of a series (a level and its slope), taking them out one
    by one ties steps that are far apart, and pieces do not.

    Parameters
    ----------
    pattern, most
        See :func:`eliminated`.
    """
    dim = pattern.shape[0]
    order = reverse_cuthill_mckee(sp.csr_matrix(pattern), symmetric_mode=True).tolist()
    place = np.empty(dim, int)
    place[order] = np.arange(dim)
    entries = sp.coo_array(pattern)
    width = int(np.max(np.abs(place[entries.row] - place[entries.col]), initial=1))
    pieces = [order[first : first + width] for first in range(0, dim, width)]
    near = _neighbours(pattern)
    parents: list[tuple[int, ...]] = [()] * dim
    count = 0
    while pieces:
        for i in (i for piece in pieces[len(pieces) > 1 :: 2] for i in piece):
            parents[i] = _taken_out(i, near)
            count += len(parents[i])
            if count > most:
                return None
        pieces = pieces[::2] if len(pieces) > 1 else []
    return tuple(parents)


def fronts(parents: tuple[tuple[int, ...], ...]) -> int:
    """Steps in which the coordinates can be drawn, each with equally many parents."""
    depth: dict[int, int] = {}
    for start in range(len(parents)):
        stack = [start]
        while stack:
            i = stack[-1]
            waiting = [p for p in parents[i] if p not in depth]
            if i in depth or not waiting:
                stack.pop()
                depth.setdefault(i, 1 + max((depth[p] for p in parents[i]), default=-1))
            else:
                stack += waiting
    return len({(depth[i], len(own)) for i, own in enumerate(parents)})
