"""What an approximation is to Markov chains: their start, their measure, and chains of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import xarray as xr

from vi.approximation.record.fit_state import Core
from vi.foundation.numbers import check_count

__all__ = ["Chains"]


class Chains(Core):
    """Chains that start at draws of q and take their steps in its standard deviations."""

    def sample_mcmc(
        self,
        draws: int = 1000,
        chains: int = 4,
        method: str = "nuts",
        *,
        tune: int = 500,
        metric: str | None = None,
        target_accept: float | None = None,
        integration_steps: int | None = None,
        random_seed: Any = None,
        include_transformed: bool = False,
        store_data: bool = True,
    ) -> xr.DataTree:
        """Markov chains of the posterior through BlackJAX (extra ``mcmc``), all at once.

        The chains start at draws of q. Its covariance is the inverse mass matrix of NUTS and HMC,
        and with the factor
        :math:`2.38^2 / D` the proposal's covariance of random-walk Metropolis. It stays as it is; tuning is for the
        length of the steps alone, each chain's own.

        Parameters
        ----------
        draws, chains : int
            Draws a chain, and chains.
        method : {"nuts", "hmc", "rmh"}
            The no-U-turn sampler, Hamiltonian Monte Carlo with a fixed number of steps, random-walk
            Metropolis.
        tune : int
            Steps before the draws, in which the step length is adapted (dual averaging); 0 leaves
            it at its start.
        metric : {"dense", "diagonal"}, optional
            Whether q's whole covariance or its variances are used; by default the covariance, if q
            has one that is regular, in up to 500 dimensions.
        target_accept : float, optional
            Acceptance rate that tuning aims at; 0.8, for random-walk Metropolis 0.234.
        integration_steps : int
            Steps of a trajectory of HMC; by default as many as make a quarter of a turn if q is
            right.
        random_seed : int, optional
            Seed of starts and chains; new ones at every call by default.
        include_transformed : bool
            Whether to add the unconstrained values.
        store_data : bool
            Whether to copy observed and constant data into the result.

        Returns
        -------
        xarray.DataTree
            Groups ``posterior`` (constrained variables and deterministics; ``attrs`` has
            ``rhat_max`` and ``ess_min`` over the unconstrained coordinates), ``sample_stats``
            (``lp``, ``acceptance_rate``, and for NUTS and HMC ``diverging``, ``energy``,
            ``n_steps``), ``observed_data``, ``constant_data``, and ``fit`` of the approximation.

        Warns
        -----
        UserWarning
            If an R-hat is above 1.01 or a step diverged.

        Raises
        ------
        ImportError
            If BlackJAX is not installed.
        ValueError
            If the model cannot be evaluated by JAX, or an argument is impossible.

        Examples
        --------
        >>> import pymc as pm, vi
        >>> with pm.Model() as model:
        ...     mu = pm.Normal("mu", 0.0, 1.0)
        ...     y = pm.Normal("y", mu, 1.0, observed=[1.0, 3.0])
        >>> approx = vi.fit(method="laplace", model=model)
        >>> posterior = approx.sample_mcmc(draws=2000, chains=4, random_seed=1)["posterior"]
        >>> posterior["mu"].shape, posterior.attrs["rhat_max"] < 1.01
        ((4, 2000), True)

        References
        ----------
        Cabezas, Corenflos, Lao, Louf et al. (2024). BlackJAX: composable Bayesian inference in JAX.
        arXiv:2402.10797.
        """
        from vi.approximation.results.mcmc import sample_mcmc

        return sample_mcmc(
            self,
            draws,
            chains,
            method,
            tune,
            metric,
            target_accept,
            integration_steps,
            random_seed,
            include_transformed,
            store_data,
        )

    def initvals(self, chains: int = 4, *, random_seed: Any = None) -> list[dict[str, np.ndarray]]:
        """Draws of q as starting points for ``pm.sample(initvals=..., chains=...)``.

        Parameters
        ----------
        chains : int
            Number of chains.
        random_seed : int, optional
            Seed of the draws; new ones at every call by default.

        Returns
        -------
        list of dict
            For each chain the constrained values of the free variables, by name.
        """
        from vi.approximation.results.metric import starting_points
        from vi.foundation.seeds import resolve_seed

        check_count("chains", chains)
        points = starting_points(self, int(chains), resolve_seed(random_seed))
        values = self.target().constrain(points, self.layout.names)
        return [{name: value[i] for name, value in values.items()} for i in range(int(chains))]

    def nuts_step(self, *, metric: str | None = None, target_accept: float = 0.8) -> Any:
        """PyMC's NUTS with q's covariance as its inverse mass matrix, for ``pm.sample(step=...)``.

        PyMC then tunes the step size alone, which takes few steps.

        Parameters
        ----------
        metric : {"dense", "diagonal"}, optional
            See :meth:`sample_mcmc`.
        target_accept : float
            Acceptance rate that tuning aims at.

        Returns
        -------
        pymc.NUTS

        Examples
        --------
        >>> import pymc as pm, vi
        >>> with pm.Model() as model:
        ...     mu = pm.Normal("mu", 0.0, 1.0)
        ...     y = pm.Normal("y", mu, 1.0, observed=[1.0, 3.0])
        >>> approx = vi.fit(method="laplace", model=model)
        >>> step = (
        ...     approx.nuts_step()
        ... )  # pm.sample(initvals=approx.initvals(4), step=step, tune=200, chains=4)
        >>> step.potential.v.round(3).tolist()  # 1 / 3, the variance of the posterior
        [0.333]
        """
        from vi.approximation.results.metric import inverse_mass_matrix

        matrix = np.asarray(inverse_mass_matrix(self, metric), np.float64)
        return pm.NUTS(scaling=matrix, is_cov=True, target_accept=target_accept, model=self.model)
