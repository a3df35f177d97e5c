"""Approximations by PyMC's names: a mean-field and a full-rank normal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm

from vi.approximation.approximation import Approximation
from vi.families import FullRankNormal, MeanFieldNormal

__all__ = ["FullRank", "MeanField"]


class MeanField(Approximation):
    """Independent normals in the unconstrained space; see :class:`Approximation` for the parameters."""

    def __init__(
        self,
        *,
        model: pm.Model | None = None,
        start: Mapping[str, Any] | None = None,
        start_sigma: Mapping[str, Any] | None = None,
        random_seed: Any = None,
        dtype: str | np.dtype | None = None,
        scale_cost_to_minibatch: bool = True,
    ) -> None:
        super().__init__(
            MeanFieldNormal(),
            model=model,
            start=start,
            start_sigma=start_sigma,
            random_seed=random_seed,
            dtype=dtype,
            scale_cost_to_minibatch=scale_cost_to_minibatch,
        )


class FullRank(Approximation):
    """A normal with a dense covariance in the unconstrained space; see :class:`Approximation` for the parameters."""

    def __init__(
        self,
        *,
        model: pm.Model | None = None,
        start: Mapping[str, Any] | None = None,
        start_sigma: Mapping[str, Any] | None = None,
        random_seed: Any = None,
        dtype: str | np.dtype | None = None,
        scale_cost_to_minibatch: bool = True,
    ) -> None:
        super().__init__(
            FullRankNormal(),
            model=model,
            start=start,
            start_sigma=start_sigma,
            random_seed=random_seed,
            dtype=dtype,
            scale_cost_to_minibatch=scale_cost_to_minibatch,
        )
