"""Approximations by name: one class a family, PyMC's names where PyMC has one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypedDict, Unpack

import numpy as np
import pymc as pm

from vi.approximation.approximation import Approximation
from vi.approximation.empirical import Empirical
from vi.families import Base, Elliptical, Family, Flow, Normal, Particles
from vi.families import FullRank as FullRankFamily
from vi.families import LowRank as LowRankFamily
from vi.families import MeanField as MeanFieldFamily

__all__ = ["FullRank", "LowRank", "MeanField", "NormalizingFlow", "kind_of"]


class Options(TypedDict, total=False):
    """The arguments that all approximations share; :class:`Approximation` explains them."""

    model: pm.Model | None
    start: Mapping[str, Any] | None
    start_sigma: Mapping[str, Any] | None
    random_seed: Any
    dtype: str | np.dtype | None
    scale_cost_to_minibatch: bool


class MeanField(Approximation):
    """Independent coordinates in the unconstrained space: :class:`vi.families.MeanField`.

    Parameters
    ----------
    base : vi.families.Base
        Distribution of each coordinate.
    **options
        See :class:`Approximation`.
    """

    def __init__(self, base: Base = Normal(), **options: Unpack[Options]) -> None:  # noqa: B008
        super().__init__(MeanFieldFamily(base), **options)


class FullRank(Approximation):
    """A dense covariance in the unconstrained space: :class:`vi.families.FullRank`.

    Parameters
    ----------
    base : vi.families.Base
        Distribution behind the covariance.
    **options
        See :class:`Approximation`.
    """

    def __init__(self, base: Base = Normal(), **options: Unpack[Options]) -> None:  # noqa: B008
        super().__init__(FullRankFamily(base), **options)


class LowRank(Approximation):
    """A diagonal plus ``rank`` directions in the unconstrained space: :class:`vi.families.LowRank`.

    Parameters
    ----------
    rank : int, optional
        Number of directions.
    base : vi.families.Elliptical
        Distribution behind the covariance.
    **options
        See :class:`Approximation`.
    """

    def __init__(
        self,
        rank: int | None = None,
        base: Elliptical = Normal(),  # noqa: B008
        **options: Unpack[Options],
    ) -> None:
        super().__init__(LowRankFamily(rank, base), **options)


class NormalizingFlow(Approximation):
    """A normalizing flow in the unconstrained space: :class:`vi.families.Flow`.

    Parameters
    ----------
    flow : optional
        A flowjax flow, or a function that makes one.
    **options
        See :class:`Approximation`.
    """

    def __init__(self, flow: Any = None, **options: Unpack[Options]) -> None:
        if isinstance(flow, str):
            raise TypeError(
                f"flow={flow!r}: formulas of PyMC's flows are not understood; give a flowjax flow, or nothing."
            )
        super().__init__(flow if isinstance(flow, Flow) else Flow(flow), **options)


def kind_of(family: Family) -> Callable[[pm.Model, int, str], Approximation]:
    """What makes an approximation of a family, for one that is read from a file."""
    if isinstance(family, Particles):
        return lambda model, seed, dtype: Empirical(
            size=family.n_particles, model=model, random_seed=seed, dtype=dtype
        )
    return lambda model, seed, dtype: Approximation(
        family, model=model, random_seed=seed, dtype=dtype
    )
