"""The approximation in partially non-centred coordinates, read from the model."""

from __future__ import annotations

from typing import Unpack

from vi.approximation.approximation import Approximation
from vi.approximation.named import StartOptions, check_options
from vi.families import Family, LowRank
from vi.families import Noncentred as NoncentredFamily
from vi.foundation.arguments import instance
from vi.targets.model.checks import check_variables, model_in_context
from vi.targets.model.conditionals import conditionals_of

__all__ = ["Noncentred"]


class Noncentred(Approximation):
    """A family in partially non-centred coordinates: :class:`vi.families.Noncentred`.

    The model stays as it is written. Its location-scale variables are read from its graph:
    untransformed ones (Normal, StudentT, Cauchy, Laplace, Logistic, Gumbel, SkewNormal, Moyal),
    positive ones by their logarithms (LogNormal, HalfNormal, HalfCauchy, Exponential), random walks
    and autoregressions of order one. Those whose location or scale depends on other free variables
    get a learned share of centring for each entry. Draws, moments, ``logp`` and ``logq`` are those
    of the model's own unconstrained space. Parameters (``shared_params``) are not: locations and
    scales of the inner family are in the non-centred coordinates, which are the model's at the
    centre of q.

    Parameters
    ----------
    family : vi.families.Family
        The inner family: ``LowRank()``, ``FullRank()``, ``MeanField()``,
        ``vi.structure(model).family``.
    **options
        See :class:`Approximation`.

    Raises
    ------
    ValueError
        If nothing can be non-centred, with what each variable of the model is; or if a location or
        a scale cannot be computed in JAX.

    Examples
    --------
    >>> import numpy as np, pymc as pm, vi
    >>> with pm.Model() as model:
    ...     tau = pm.HalfNormal("tau")
    ...     effect = pm.Normal("effect", 0.0, tau, shape=20)
    ...     y = pm.Normal("y", effect, 1.0, observed=np.linspace(-1.0, 1.0, 20))
    >>> vi.Noncentred(model=model, random_seed=1).family
    <Noncentred low_rank: effect>
    """

    def __init__(
        self,
        family: Family = LowRank(),  # noqa: B008
        **options: Unpack[StartOptions],
    ) -> None:
        check_options(type(self), options)
        instance("family", family, Family, "a family: vi.families.LowRank()")
        model = model_in_context(options.get("model"))
        check_variables(model)
        super().__init__(NoncentredFamily(conditionals_of(model), family), **options)
