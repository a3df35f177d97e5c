"""ADVI in the model's own structure: its covariance without the entries that it does not need."""

from __future__ import annotations

from typing import Unpack

from vi.approximation import Structured
from vi.approximation.named import StartOptions, check_options
from vi.inference.klqp import KLqp
from vi.inference.methods import METHODS
from vi.objectives import Objective
from vi.search.structure import Structure

__all__ = ["StructuredADVI"]


@METHODS.register(name="structured_advi")
class StructuredADVI(KLqp):
    r"""Variational inference with the covariance that the model's structure asks for.

    Which coordinates interact is found from the log density (:func:`vi.structure`): those that
    interact with all others are the globals, given which groups are independent of each other and a
    time step depends on its neighbours. *q* has the same structure, and given the globals a normal
    whose means are linear and whose scales are log-linear in them
    (:class:`vi.families.Structured`). A step costs little more than mean field's, however many
    groups or steps there are. Of a dense model it is full rank, and the log says so.

    Parameters
    ----------
    structure : Structure, optional
        What :func:`vi.structure` has found; it is found where nothing is given.
    beta, estimator, warm_start
        See :class:`KLqp`.
    **options
        ``model``, ``start``, ``start_sigma``, ``random_seed``, ``dtype``: see
        :class:`Approximation`.

    Examples
    --------
    >>> import numpy as np, pymc as pm, vi
    >>> with pm.Model() as model:
    ...     tau = pm.HalfNormal("tau")
    ...     effect = pm.Normal("effect", 0.0, tau, shape=20)
    ...     y = pm.Normal("y", effect, 1.0, observed=np.linspace(-3.0, 3.0, 20))
    >>> approx = vi.fit(
    ...     2_000, method="structured_advi", model=model, random_seed=1, progressbar=False
    ... )
    >>> approx.settings()["structure"]
    '<Structured of 1 global and 20 others with 0 ties>'

    References
    ----------
    Tan, Bhaskaran and Nott (2020). Conditionally structured variational Gaussian approximation
    with importance weights. Statistics and Computing 30.
    """

    family_name = "structured"

    def __init__(
        self,
        structure: Structure | None = None,
        *,
        beta: float = 1.0,
        estimator: str | type[Objective] | Objective | None = None,
        warm_start: bool = True,
        **options: Unpack[StartOptions],
    ) -> None:
        check_options(type(self), options)
        approx = Structured(structure, **options)
        super().__init__(approx, beta, estimator=estimator, warm_start=warm_start)
