"""Deterministic ADVI: the mean-field ELBO over draws that stay the same, by L-BFGS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Unpack

import jax
import numpy as np

from vi.approximation import MeanField
from vi.approximation.named import StartOptions, check_options
from vi.approximation.record.fit_state import FitState
from vi.approximation.record.log_density import target_of_all_rows
from vi.approximation.record.parameters import mean_and_std
from vi.approximation.steps.first_widths import with_first_widths
from vi.approximation.steps.in_one_go import settled
from vi.families.family import inverse_softplus
from vi.foundation.numbers import check_pairs
from vi.foundation.precision import precision
from vi.foundation.seeds import FIXED_DRAWS, generator_from
from vi.inference.inference import Inference
from vi.inference.methods import METHODS
from vi.inference.one_shot import OneShot
from vi.inference.run_options import RunOptions
from vi.search.fixed_draws import FixedDrawsFit, base_draws, fit_fixed_draws
from vi.targets.base import Target
from vi.training import Status

__all__ = ["DADVI"]


ENDLESS, LEFT = 1e18, 1e6
"""Unconstrained values that no posterior has, and nats that no search leaves which ends by itself:
both are met where log p rises for ever."""


@METHODS.register(name="dadvi")
class DADVI(Inference):
    r"""Mean-field ADVI whose draws are made once, so that its ELBO is a smooth function.

    .. math:: \max_{\mu, \sigma} \frac1K \sum_{k=1}^K \log p(\mu + \sigma \odot e_k)
        + \sum_i \log \sigma_i + \tfrac{D}{2} \log(2 \pi e), \quad e_k \text{ fixed}

    in the unconstrained space, log Jacobian determinants included. L-BFGS finds the optimum
    (``n`` of ``fit`` is the most iterations); there is no step size, and where it has not arrived
    it says so. On a ridge (a scale times its offsets, in hierarchies) stochastic steps stay behind
    for long; this travels it. What the fixed draws
    leave is an error of the means of about :math:`1 / \sqrt{K}` standard deviations along
    directions in which the posterior is not symmetric, and standard deviations that are a little
    too small; ``refine`` of a fit by ``vi.KLqp(approx)`` takes it out by stochastic steps.

    The result is a :class:`vi.MeanField` approximation, with all that independent coordinates leave
    out. ``hist`` is minus the ELBO over the fixed draws at the start and after each iteration.

    Parameters
    ----------
    draws : int
        Fixed draws :math:`K`, an even number: they come in antithetic pairs.
    **options
        ``model``, ``start``, ``start_sigma``, ``random_seed``, ``dtype``: see
        :class:`Approximation`.

    Raises
    ------
    ValueError
        If log p is not finite at the draws around the start, or the ELBO has no bound (an improper
        posterior).

    Examples
    --------
    >>> import pymc as pm, vi
    >>> with pm.Model() as model:
    ...     mu = pm.Normal("mu", 0.0, 1.0)
    ...     y = pm.Normal("y", mu, 1.0, observed=[1.0, 3.0])
    >>> approx = vi.fit(method="dadvi", model=model, random_seed=1)
    >>> approx.mean.eval().round(4).tolist()  # exact: 4 / 3
    [1.3333]

    References
    ----------
    Giordano, Ingram and Broderick (2024). Black box variational inference with a deterministic
    objective: faster, more accurate, and even more black box. JMLR 25.
    """

    family_name = "mean_field"
    stepwise = False

    def __init__(self, *, draws: int = 30, **options: Unpack[StartOptions]) -> None:
        check_options(type(self), options)
        check_pairs("draws", draws)
        super().__init__(MeanField(**options))
        self.draws = int(draws)

    def algorithm(self, options: RunOptions) -> OneShot:
        return _OverFixedDraws(self.draws)


@dataclass(frozen=True)
class _OverFixedDraws(OneShot):
    draws: int

    def solve(self, fit: FitState, n: int) -> FitState:
        target = target_of_all_rows(fit)
        fit = with_first_widths(fit, target)
        mean, std = mean_and_std(fit)
        noise = base_draws(generator_from(fit.seed, FIXED_DRAWS), self.draws, target.dim)
        found = fit_fixed_draws(target, mean, std, noise, n)
        _check_bounded(target, found, n)
        with precision(fit.dtype):
            rho = inverse_softplus(jax.numpy.asarray(found.std, fit.dtype))
        return settled(
            fit,
            {"mu": found.mean, "rho": rho},
            found.losses,
            _status(found),
            {
                "algorithm": "dadvi",
                "loss": "minus the ELBO over the fixed draws",
                "fixed_draws": self.draws,
                "gradients": found.evaluations * self.draws,
            },
        )


def _check_bounded(target: Target, found: FixedDrawsFit, n: int) -> None:
    """Refuse an end at which the ELBO still rises by more than any posterior has to give.

    Raises
    ------
    ValueError
        With the variables along which it does.
    """
    size = np.maximum(np.abs(found.mean), found.std)
    endless = size > ENDLESS
    if not endless.any() and (found.gain < LEFT or len(found.losses) > n):
        return
    along = np.flatnonzero(endless) if endless.any() else np.array([np.argmax(size)])
    raise ValueError(
        f"The ELBO has no bound: it rises without end along {target.layout.describe(along)}. Does "
        "log p depend on it, and fall to both sides? Give it a proper prior."
    )


def _status(found: FixedDrawsFit) -> Status:
    steps, elbo = len(found.losses) - 1, f"ELBO over the fixed draws {-found.losses[-1]:,.6g}"
    if found.converged:
        return Status("converged", steps, f"{elbo}.")
    return Status(
        "max_steps",
        steps,
        f"{elbo}; the next iteration is expected to gain {found.gain:.2g} nats: not at the "
        "optimum yet. More iterations (n)?",
    )
