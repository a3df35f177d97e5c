"""Globals integrated over by importance weights, all others given them by Laplace."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Unpack

import numpy as np

from vi.approximation import Structured
from vi.approximation.named import PointOptions, check_options
from vi.approximation.record.fit_state import FitState
from vi.approximation.record.log_density import target_of_all_rows
from vi.approximation.record.parameters import mean_and_std
from vi.approximation.steps.in_one_go import settled
from vi.diagnostics.status import Status
from vi.families import Particles
from vi.families import Structured as StructuredFamily
from vi.foundation.numbers import check_count
from vi.foundation.seeds import INTEGRATED
from vi.inference.inference import Inference
from vi.inference.laplace import AtTheMode
from vi.inference.methods import METHODS
from vi.inference.one_shot import OneShot
from vi.inference.run_options import RunOptions
from vi.search.integrated import Integrated, integrated
from vi.search.marginal_laplace import NoSummitError, marginal_laplace
from vi.search.structure import Structure

__all__ = ["IntegratedLaplace"]

FEWEST = 100
"""Draws that are kept, at the least."""


@METHODS.register(name="integrated_laplace")
class IntegratedLaplace(Inference):
    r"""Draws of the posterior: globals by importance weights, the others given them.

    .. math:: g \sim \hat p(g) \propto p(g, \hat z(g))\, |Q(g)|^{-1/2}, \qquad
        z \mid g \sim N(\hat z(g), Q(g)^{-1})

    *Q* is minus the Hessian at the most likely others :math:`\hat z(g)`, in the pattern that
    :func:`vi.structure` finds. :class:`StructuredLaplace` makes a normal of the globals, whose
    density may have any shape: a scale that may be 0, a persistence near 1. Here they are drawn
    from proposals that learn from the weights, and weighed. Where the others are normal given the
    globals the draws are those of the posterior; otherwise 16 draws of the others are weighed too,
    and only where these weights spread too far is the normal taken as it is. The method is for few
    globals, up to some ten: each weighed draw of theirs takes a search over all others.

    The result are draws (:class:`vi.Empirical`), which have no density. ``settings()`` has
    ``pareto_k`` (above 0.7 the weights cannot be relied on) and ``importance_ess`` of the globals,
    ``log_evidence`` with its standard error, and what the ``others`` are given the globals:
    ``"exact"``, ``"weighed"`` or ``"normal"``. Of a dense model it is :class:`Laplace`, and the log
    says so.

    Parameters
    ----------
    structure : Structure, optional
        What :func:`vi.structure` has found; it is found where nothing is given.
    draws : int
        How many are kept, at least 100.
    **options
        ``model``, ``start``, ``random_seed``, ``dtype``: see :class:`Approximation`.

    Raises
    ------
    ValueError
        If the others have no most likely place.

    Examples
    --------
    >>> import numpy as np, pymc as pm, vi
    >>> with pm.Model() as model:
    ...     tau = pm.HalfNormal("tau")
    ...     effect = pm.Normal("effect", 0.0, tau, shape=20)
    ...     y = pm.Normal("y", effect, 1.0, observed=np.linspace(-3.0, 3.0, 20))
    >>> approx = vi.fit(method="integrated_laplace", model=model, random_seed=1, progressbar=False)
    >>> approx.family, approx.settings()["others"]
    (Particles(n_particles=2000), 'exact')

    References
    ----------
    Rue, Martino and Chopin (2009). Approximate Bayesian inference for latent Gaussian models by
    using integrated nested Laplace approximations. JRSS B 71.
    """

    family_name = "structured"
    stepwise = False

    def __init__(
        self,
        structure: Structure | None = None,
        *,
        draws: int = 2_000,
        **options: Unpack[PointOptions],
    ) -> None:
        check_options(type(self), options, PointOptions)
        check_count("draws", draws)
        if draws < FEWEST:
            raise ValueError(f"draws={draws}: must be at least {FEWEST}, to stand for a posterior.")
        super().__init__(Structured(structure, **options))
        self.draws = int(draws)
        self._family = self.approx.family

    def algorithm(self, options: RunOptions) -> OneShot:
        if isinstance(self._family, StructuredFamily):
            return _OverTheGlobals(self._family, self.draws)
        return AtTheMode(starts=1)


@dataclass(frozen=True)
class _OverTheGlobals(OneShot):
    family: StructuredFamily
    draws: int

    def solve(self, fit: FitState, n: int) -> FitState:
        target = target_of_all_rows(fit)
        start = np.asarray(mean_and_std(fit)[0], np.float64)
        try:
            laplace = marginal_laplace(target, self.family, start)
            found = integrated(target, self.family, laplace, self.draws, (fit.seed, INTEGRATED))
        except NoSummitError as error:
            raise ValueError(
                f"The others cannot be integrated out near the start: {error}. Give another "
                "start=, or method='structured_advi'."
            ) from error
        iterations = len(laplace.path) - 1
        return settled(
            replace(fit, family=Particles(self.draws)),
            {"particles": found.points},
            -laplace.path,
            Status("converged", iterations, in_words(found)),
            {
                "algorithm": "integrated_laplace",
                "loss": "minus the marginal log density of the globals, along the search",
                "structure": repr(self.family),
                "others": found.others,
                "others_spread": found.spread,
                "log_evidence": found.log_evidence,
                "log_evidence_error": found.error,
                "pareto_k": found.weights.k,
                "importance_ess": found.weights.ess,
                "gradients": laplace.products + found.products,
            },
        )


def in_words(found: Integrated) -> str:
    """How far the draws can be relied on, in one sentence."""
    count = len(found.weights.log_weights)
    others = {
        "exact": "the others are normal given them",
        "weighed": "the others weighed given them",
        "normal": "the others taken as normal given them",
    }
    return (
        f"{found.weights.ess:,.0f} of {count:,} draws of the globals count (Pareto k "
        f"{found.weights.k:.2f}), {others[found.others]}."
    )
