"""A pattern of interactions as a few globals and what is left of it given them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components, reverse_cuthill_mckee

from vi.search.elimination import dissected, eliminated, fronts

__all__ = ["Partition", "partition"]

MOST_GLOBALS, CANDIDATES = 128, 6
"""Globals at the most, and how many numbers of them are tried."""

GAP = 1.5
"""By which factor the neighbours of a global outnumber those of what is none, at the least."""

SLACK = 2.0
"""How much larger a factor may be for having more globals, which bend the shape of all others."""

SPARSE = 0.6
"""Share of a dense covariance's numbers above which a factor counts as dense."""

MOST_FRONTS = 64
"""Steps of a draw, each of which is compiled by itself."""

LARGEST_GROUP = 16
"""Beyond, coordinates that interact with some others of their group alone are called a chain."""


@dataclass(frozen=True)
class Partition:
    """Globals, and what the others are given them; see :class:`vi.search.structure.Structure`."""

    kind: Literal["independent", "groups", "chain", "sparse"]
    globals: tuple[int, ...]
    groups: int
    size: int
    bandwidth: int
    parents: tuple[tuple[int, ...], ...]
    whole: bool = True


def partition(pattern: sp.csr_array, short: np.ndarray) -> Partition | None:
    """The globals that leave the smallest factor, or a few more; None where all factors are dense.

    Parameters
    ----------
    pattern : scipy.sparse.csr_array
        Where the Hessian has entries, without the diagonal; symmetric, ``(D, D)``.
    short : numpy.ndarray
        Coordinates of scalars and short variables of the model (scales, for example), which are
        rather globals than others.
    """
    dim = pattern.shape[0]
    degree = np.diff(pattern.indptr)
    order = np.argsort(-degree, kind="stable")
    most = SPARSE * dim * (dim + 1) / 2 if dim > 2 else dim * dim
    found: list[tuple[float, np.ndarray, tuple[tuple[int, ...], ...]]] = []
    wide = [order[:count] for count in _candidates(degree[order])]
    with_short = [np.union1d(each, short) for each in wide] if len(short) else []
    tried: set[tuple[int, ...]] = set()
    for chosen in (np.sort(each) for each in (*wide, *with_short)):
        count = len(chosen)
        if count > min(MOST_GLOBALS, dim) or tuple(chosen) in tried:
            continue
        tried.add(tuple(chosen.tolist()))
        base = count * (count + 1) / 2 + (dim - count) * (count + 1)
        least = min((size for size, _, _ in found), default=most)
        left = np.setdiff1d(np.arange(dim), chosen)
        inner = sp.csr_array(pattern[left][:, left])
        for ordered in (eliminated, dissected):
            parents = ordered(inner, SLACK * least - base)
            if parents is not None and fronts(parents) <= MOST_FRONTS:
                found.append((base + sum(map(len, parents)), chosen, parents))
                break
    if not found or min(size for size, _, _ in found) > most:
        return None
    least = min(size for size, _, _ in found)
    _, chosen, local = max(
        (each for each in found if each[0] <= SLACK * least), key=lambda each: len(each[1])
    )
    return _described(pattern, chosen, local)


def _candidates(degree: np.ndarray) -> list[int]:
    """Numbers of globals to be tried: none, and where sorted numbers of neighbours fall steeply."""
    ends = np.arange(1, min(len(degree) - 1, MOST_GLOBALS) + 1)
    if len(ends) == 0:
        return [0]
    ratio = degree[ends - 1] / np.maximum(degree[ends], 1)
    steep = [int(end) for end in ends[np.argsort(-ratio, kind="stable")][:CANDIDATES]]
    return [0, *sorted(end for end in steep if ratio[end - 1] >= GAP)]


def _described(
    pattern: sp.csr_array, chosen: np.ndarray, local: tuple[tuple[int, ...], ...]
) -> Partition:
    left = np.setdiff1d(np.arange(pattern.shape[0]), chosen)
    inner = sp.csr_array(pattern[left][:, left])
    parents = tuple(tuple(int(left[p]) for p in own) for own in local)
    count, label = connected_components(inner, directed=False)
    sizes = np.bincount(label, minlength=count)
    size = int(sizes.max(initial=0))
    bandwidth = _bandwidth(inner) if inner.nnz else 0
    own = tuple(int(i) for i in chosen)
    if not len(own) and not inner.nnz:
        return Partition("independent", own, count, size, 0, parents)
    # all coordinates of a group interact with each other: it takes its factor from the covariance
    whole = sum(map(len, parents)) == int(np.sum(sizes * (sizes - 1)) // 2)
    kind: Literal["groups", "chain", "sparse"] = "sparse"
    if count > 1 and (size <= LARGEST_GROUP or whole):
        kind = "groups"
    elif size > 4 * bandwidth:
        kind = "chain"
    return Partition(kind, own, count, size, bandwidth, parents, whole)


def _bandwidth(inner: sp.csr_array) -> int:
    """The width of the band in an order that makes it small."""
    order = reverse_cuthill_mckee(sp.csr_matrix(inner), symmetric_mode=True)
    place = np.empty(len(order), int)
    place[order] = np.arange(len(order))
    entries = sp.coo_array(inner)
    return int(np.max(np.abs(place[entries.row] - place[entries.col])))
