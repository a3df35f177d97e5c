"""ADVI in partially non-centred coordinates: how far is learned with q."""

from __future__ import annotations

from typing import Unpack

from vi.approximation import Noncentred
from vi.approximation.named import StartOptions, check_options
from vi.families import Family, LowRank
from vi.inference.klqp import KLqp
from vi.inference.methods import METHODS
from vi.objectives import Objective

__all__ = ["NoncentredADVI"]


@METHODS.register(name="noncentred_advi")
class NoncentredADVI(KLqp):
    r"""Variational inference in coordinates between the centred and the non-centred ones.

    Effects of a hierarchy depend on their scale: with few data for each, less so if they are
    written as ``mu + tau * offset`` (non-centred), with many as they are (centred). Here the model
    stays as it is written, and *q* is a normal in coordinates between the two, with a share
    :math:`\lambda` for each entry that is learned with it (:class:`vi.families.Noncentred`).
    What it gives is in the model's own variables.

    Parameters
    ----------
    family : vi.families.Family, optional
        The family in those coordinates: ``vi.families.LowRank()`` by default;
        ``vi.families.MeanField()`` leaves the correlations of globals out,
        ``vi.structure(model).family`` adds those of the model's structure.
    beta, estimator, warm_start
        See :class:`KLqp`.
    **options
        ``model``, ``start``, ``start_sigma``, ``random_seed``, ``dtype``: see
        :class:`Approximation`.

    Raises
    ------
    ValueError
        If the model has no location-scale variable whose location or scale depends on others.

    Examples
    --------
    >>> import pymc as pm, vi
    >>> with pm.Model() as model:
    ...     tau = pm.HalfNormal("tau", 3.0)
    ...     effect = pm.Normal("effect", 0.0, tau, shape=2)
    ...     y = pm.Normal("y", effect, [0.01, 10.0], observed=[1.0, 1.0])
    >>> approx = vi.fit(
    ...     1_000, method="noncentred_advi", model=model, random_seed=1, progressbar=False
    ... )
    >>> shares = approx.family.centring(approx.reported)
    >>> bool(shares[0] > 0.9), bool(shares[1] < 0.1)  # the first effect is known, not the other
    (True, True)

    References
    ----------
    Gorinova, Moore and Hoffman (2020). Automatic reparameterisation of probabilistic programs.
    ICML.
    """

    family_name = "noncentred"
    fits_any_model = False

    def __init__(
        self,
        family: Family | None = None,
        *,
        beta: float = 1.0,
        estimator: str | type[Objective] | Objective | None = None,
        warm_start: bool = True,
        **options: Unpack[StartOptions],
    ) -> None:
        check_options(type(self), options)
        approx = Noncentred(LowRank() if family is None else family, **options)
        super().__init__(approx, beta, estimator=estimator, warm_start=warm_start)
