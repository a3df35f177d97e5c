"""The structure of a model, found and not told: ``vi.structure()``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pymc as pm
import scipy.sparse as sp

from vi.families import Family, FullRank, Structured
from vi.foundation.html import card, table
from vi.foundation.layout import Layout
from vi.foundation.precision import resolve_dtype
from vi.search.coloured import colouring, outside
from vi.search.interactions import LARGEST_BY_COLUMNS, TooDenseError, interactions
from vi.search.partition import Partition, partition
from vi.search.probe import Probe
from vi.targets.base import Target
from vi.targets.batches.setting import GraphSetting
from vi.targets.from_pymc import check_backend, from_pymc
from vi.targets.model.checks import check_variables, model_in_context
from vi.targets.model.initial_density import check_initial_density
from vi.targets.model.start import start_point

__all__ = ["Structure", "structure", "structure_of"]

CHECKS = 2
"""Fresh points at which nothing new may be found."""

ATTEMPTS = 4
"""Patterns that are joined before a model counts as dense: it changes from point to point."""

KINKS = {
    True: "log p has kinks or switches",
    False: "log p has kinks or switches, or scales that differences of gradients do not resolve",
}
"""What the Hessian does not show; its products may be differences, where nothing traces."""

SHORT = 8
"""Entries of a variable that are rather globals, and in no more than a tenth of all."""

type Kind = Literal["independent", "groups", "chain", "sparse", "dense"]


@dataclass(frozen=True, eq=False)
class Structure:
    """Which coordinates of a model's unconstrained vector interact in log p.

    Parameters
    ----------
    layout : Layout
        Where each variable lies in the vector.
    kind : {"independent", "groups", "chain", "sparse", "dense"}
        What remains of the interactions given the globals: none at all (and no globals); groups of
        one size; chains, whose links are near each other; anything else that a sparse factor holds;
        more than that.
    globals : tuple of int
        The coordinates with which all others are dependent.
    groups, size : int
        Number of groups or chains, and of coordinates in the largest.
    bandwidth : int
        How far apart interacting coordinates are in a chain or group, at most.
    pattern : scipy.sparse.csr_array
        Where the Hessian has entries, without the diagonal, ``(D, D)``.
    parents : tuple of tuple of int
        Of each coordinate that is not global, what it depends on in a sparse factor.
    whole : bool
        Whether all coordinates of a group interact with each other.
    products : int
        Products with the Hessian that it took.
    note : str
        What there is to be said besides.
    """

    layout: Layout
    kind: Kind
    globals: tuple[int, ...]
    groups: int
    size: int
    bandwidth: int
    pattern: sp.csr_array
    parents: tuple[tuple[int, ...], ...]
    whole: bool
    products: int
    note: str = ""

    @cached_property
    def family(self) -> Family:
        """The family for it: :class:`vi.families.Structured`, or full rank where it is dense."""
        if self.kind == "dense":
            return FullRank()
        return Structured(self.globals, self.parents, inverse=not self.whole)

    @property
    def entries(self) -> int:
        """Numbers in the covariance of :attr:`family`, a dense one having D (D + 1) / 2."""
        dim, g = self.layout.dim, len(self.globals)
        if self.kind == "dense":
            return dim * (dim + 1) // 2
        return g * (g + 1) // 2 + (dim - g) * (g + 1) + sum(map(len, self.parents))

    def __repr__(self) -> str:
        return "\n".join([self._title, *(f"  {name}  {text}" for name, text in self._rows)])

    def _repr_html_(self) -> str:
        return card(self._title, None, table(self._rows))

    @property
    def _title(self) -> str:
        return f"Structure of {self.layout.dim:,} coordinates: {self.kind}"

    @property
    def _rows(self) -> list[tuple[str, str]]:
        rows = []
        if self.globals:
            names = self.layout.describe(np.array(self.globals), 6)
            rows.append((f"{len(self.globals):,} global", names))
        others = ", ".join(self._local_names)
        many = f"{self.groups:,}"
        if self.kind == "groups":
            inner = "" if self.whole else ", not all of which interact"
            most = (
                "" if self.groups * self.size + len(self.globals) == self.layout.dim else "up to "
            )
            rows.append((f"{many} groups of {most}{self.size:,}{inner}", others))
        elif self.kind == "chain":
            what = f"{many} chains" if self.groups > 1 else "1 chain"
            rows.append((f"{what} of {self.size:,}, bandwidth {self.bandwidth}", others))
        else:
            rows.append((f"{self.kind}", others))
        dense = self.layout.dim * (self.layout.dim + 1) // 2
        share = f"{self.entries:,} numbers, a dense covariance has {dense:,}"
        rows.append(("factor", share))
        rows.append(("found by", f"{self.products:,} products with the Hessian"))
        if self.note:
            rows.append(("note", self.note))
        return rows

    @property
    def _local_names(self) -> list[str]:
        """Names of the variables with coordinates that are not global."""
        own = np.ones(self.layout.dim, bool)
        own[list(self.globals)] = False
        return [slot.name for slot in self.layout if own[slot.slice].any()]


def structure(
    model: pm.Model | None = None,
    *,
    backend: str = "auto",
    dtype: str | np.dtype | None = None,
) -> Structure:
    """Find which coordinates of a model's unconstrained vector interact in its log density.

    Two coordinates interact where the Hessian of log p has an entry for them. It is multiplied with
    unit vectors at a random point, up to 2,000 dimensions; beyond, with sums of them from which its
    entries can be told. At fresh points nothing outside of the pattern may be found; what is found
    there is added (a ``switch``, say), and looked at again. Kinks (of a Laplace likelihood, of a
    rectifier) have no second derivative: where the gradient of a coordinate depends on more than
    was found, up to 2,000 dimensions changes of the gradient take the Hessian's place, and beyond
    the model counts as dense. The same model gives the same result.

    Coordinates that interact with many others become the globals, given which the others fall into
    groups, chains or other sparse patterns; where the covariance's factor in that pattern would
    have more than 60 % of a dense one's numbers, the model is dense.

    Parameters
    ----------
    model : pymc.Model, optional
        The model; the one in context by default. What :func:`vi.targets.from_function` and
        :func:`vi.targets.from_numpyro` return is one too. Of minibatches all rows are read.
    backend : {"auto", "jax", "pytensor"}
        What evaluates the model. With PyTensor products are differences of gradients.
    dtype : {"float64", "float32"}, optional
        Precision; double by default.

    Returns
    -------
    Structure
        What was found; :attr:`Structure.family` is the family for it.

    Raises
    ------
    ValueError
        If products are not finite near the model's initial point; the message names the variables.

    Examples
    --------
    >>> import numpy as np, pymc as pm, vi
    >>> with pm.Model() as model:
    ...     tau = pm.HalfNormal("tau")
    ...     effect = pm.Normal("effect", 0.0, tau, shape=20)
    ...     y = pm.Normal("y", effect, 1.0, observed=np.linspace(-1.0, 1.0, 20))
    >>> vi.structure(model)
    Structure of 21 coordinates: groups
      1 global  tau
      20 groups of 1  effect
      factor  41 numbers, a dense covariance has 231
      found by  27 products with the Hessian
    """
    model = model_in_context(model)
    check_variables(model)
    backend = check_backend(backend)
    own: Any = getattr(model, "dtype", None) if dtype is None else dtype
    point = start_point(model, None, 0)
    check_initial_density(model, point)
    target = from_pymc(
        model,
        backend=backend,
        dtype=resolve_dtype("float64" if own is None else own),
        start=point,
        setting=GraphSetting(training=False),
    )
    return structure_of(target, target.layout.flatten(point, target.dtype))


def structure_of(target: Target, start: np.ndarray) -> Structure:
    """The structure of a target, looked at near a point ``(D,)``; see :func:`structure`."""
    probe = Probe(target, np.asarray(start, np.float64))
    dim, note = target.dim, ""
    longest = max(1, min(SHORT, dim // 10))
    short = np.concatenate(
        [np.arange(slot.start, slot.stop) for slot in target.layout if slot.size <= longest]
        or [np.empty(0, int)]
    )
    pattern = sp.csr_array((dim, dim), dtype=bool)
    own: Partition | None = None
    try:
        pattern = interactions(probe.next(), dim, probe.rng, probe.error)
        own = partition(pattern, short)
        checked, attempts = 0, 1
        while own is not None and checked < CHECKS:
            colours = colouring(pattern, np.array(own.globals, int))
            product, seen = probe.next(), "interactions change from point to point"
            wrong = outside(colours, product, probe.rng, probe.error)
            by_columns, kinks = dim <= LARGEST_BY_COLUMNS, not len(wrong)
            if kinks:
                wrong, seen = probe.untold(pattern), KINKS[target.traceable]
            if not len(wrong):
                checked += 1
                continue
            where = target.layout.describe(wrong, 3)
            if attempts == ATTEMPTS or (kinks and not by_columns):
                note = f"{seen} ({where}): taken as dense"
                own = None
                break
            attempts, checked = attempts + 1, 0
            note = f"{seen} ({where}): the union of those found"
            if not kinks:
                pattern = sp.csr_array(pattern + interactions(product, dim, probe.rng, probe.error))
            if by_columns:  # a switch is where it changes, and so is a kink
                pattern = sp.csr_array(pattern + interactions(probe.differences(), dim, probe.rng))
            own = partition(pattern, short)
    except TooDenseError as error:
        note = str(error)
        own = None
    if own is None:
        whole = dim * (dim - 1)
        if not note and pattern.nnz < 0.9 * whole:
            note = (
                f"{pattern.nnz // 2:,} pairs interact, of {whole // 2:,}, "
                "but not in a way that leaves a sparse factor"
            )
        return Structure(
            target.layout, "dense", (), 1, dim, dim - 1, pattern, (), True, probe.count, note
        )
    return Structure(
        target.layout,
        own.kind,
        own.globals,
        own.groups,
        own.size,
        own.bandwidth,
        pattern,
        own.parents,
        own.whole,
        probe.count,
        note,
    )
