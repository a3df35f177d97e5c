"""Laplace's approximation in the model's structure: of the globals, all others taken out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Unpack

import numpy as np

from vi.approximation import Structured
from vi.approximation.named import PointOptions, check_options
from vi.approximation.record.fit_state import FitState
from vi.approximation.record.log_density import target_of_all_rows
from vi.approximation.record.parameters import reported_params
from vi.approximation.steps.in_one_go import settled
from vi.approximation.steps.structured_start import structured_params
from vi.diagnostics.status import Status
from vi.families import Params
from vi.families import Structured as StructuredFamily
from vi.inference.inference import Inference
from vi.inference.laplace import AtTheMode
from vi.inference.methods import METHODS
from vi.inference.one_shot import OneShot
from vi.inference.run_options import RunOptions
from vi.search.marginal_laplace import NoSummitError, marginal_laplace
from vi.search.structure import Structure
from vi.targets.backends.evaluation import evaluation
from vi.targets.base import Target

__all__ = ["StructuredLaplace"]

SLOPE = 0.1
"""Slopes of log p at a mode that pass, in standard deviations: it is off by as much."""


@METHODS.register(name="structured_laplace")
class StructuredLaplace(Inference):
    r"""Laplace's approximation of the globals, all other coordinates integrated out by another.

    .. math:: \log \hat p(g) = \log p(g, \hat z(g)) - \tfrac12 \log |Q(g)| + \text{const},
        \qquad Q(g) = -\nabla^2_z \log p(g, \hat z(g))

    The mode of all coordinates together is far from the mass of a hierarchical model, and in a
    centred one there is none. The mode of the globals, once the others are integrated out, is not.
    The Hessian is computed in the pattern that :func:`vi.structure` finds, and factored there: for
    10,000 groups, or a series of 10,000 steps, that takes seconds. Where the others are normal
    given the globals, only the globals' own normal is an approximation.

    The result is a :class:`vi.Structured` approximation, in which means and shapes of the others
    follow the globals; ``refine`` is not possible, and :class:`vi.StructuredADVI` starts from the
    same place. ``hist`` is minus the marginal log density along the search; ``settings()`` has
    ``log_evidence``. Random numbers have no part in it. Of a dense model, which leaves nothing to
    integrate out, it is :class:`vi.Laplace`, and the log says so.

    Parameters
    ----------
    structure : Structure, optional
        What :func:`vi.structure` has found; it is found where nothing is given.
    **options
        ``model``, ``start``, ``random_seed``, ``dtype``: see :class:`Approximation`.

    Raises
    ------
    ValueError
        If there is no maximum that was found.

    Examples
    --------
    >>> import numpy as np, pymc as pm, vi
    >>> with pm.Model() as model:
    ...     tau = pm.HalfNormal("tau")
    ...     effect = pm.Normal("effect", 0.0, tau, shape=20)
    ...     y = pm.Normal("y", effect, 1.0, observed=np.linspace(-3.0, 3.0, 20))
    >>> approx = vi.fit(method="structured_laplace", model=model, progressbar=False)
    >>> approx.family
    <Structured of 1 global and 20 others with 0 ties>

    References
    ----------
    Kristensen, Nielsen, Berg, Skaug and Bell (2016). TMB: automatic differentiation and Laplace
    approximation. Journal of Statistical Software 70.
    """

    family_name = "structured"
    stepwise = False

    def __init__(self, structure: Structure | None = None, **options: Unpack[PointOptions]) -> None:
        check_options(type(self), options, PointOptions)
        super().__init__(Structured(structure, **options))

    def algorithm(self, options: RunOptions) -> OneShot:
        sparse = isinstance(self.approx.family, StructuredFamily)
        return _OfTheGlobals() if sparse else AtTheMode(starts=1)


@dataclass(frozen=True)
class _OfTheGlobals(OneShot):
    def solve(self, fit: FitState, n: int) -> FitState:
        target = target_of_all_rows(fit)
        assert isinstance(fit.family, StructuredFamily)
        start = np.asarray(reported_params(fit)["mu"], np.float64)
        try:
            found = marginal_laplace(target, fit.family, start)
        except NoSummitError as error:
            raise ValueError(
                f"There is no structured Laplace approximation near the start: {error}. Give "
                "another start=, or method='structured_advi'."
            ) from error
        params = structured_params(fit.family, fit.dtype, found)
        _check_mode(target, fit.family, params)
        iterations = len(found.path) - 1
        message = (
            f"the globals' marginal density {found.path[-1]:,.6g} after {iterations} iterations."
        )
        return settled(
            fit,
            params,
            -found.path,
            Status("converged", iterations, message),
            {
                "algorithm": "structured_laplace",
                "loss": "minus the marginal log density of the globals",
                "log_evidence": found.log_evidence,
                "gradients": found.products,
            },
        )


def _check_mode(target: Target, family: StructuredFamily, params: Params) -> None:
    """Refuse where the others still have a slope at their means: a kink, say, ends a search."""
    point = np.asarray(params["mu"], np.float64)
    _, scores = evaluation(target)(point[None])
    order = family.order
    left = np.abs(scores[0, order]) * np.exp(np.asarray(params["log_scale"], np.float64))
    bad = order[~(left < SLOPE)]
    if bad.size:
        raise ValueError(
            f"There is no structured Laplace approximation near the start: log p still rises "
            f"along {target.layout.describe(bad)} where the search for their mode has ended, as at "
            "a kink. method='structured_advi', or vi.fit(model), needs no mode."
        )
