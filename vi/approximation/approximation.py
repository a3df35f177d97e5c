"""The live approximation: what a fit improves, and what everything afterwards asks."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pymc as pm
import xarray as xr

from vi.approximation.record.local_groups import local_setting
from vi.approximation.results.chains import Chains
from vi.approximation.results.datatree import fit_record, to_datatree
from vi.approximation.results.draws import density, draw
from vi.approximation.results.predictive import (
    by_rows,
    compute_log_likelihood,
    row_variables,
    sample_posterior_predictive,
)
from vi.foundation.seeds import resolve_seed
from vi.graphs.replacements import as_variables
from vi.targets.base import Target
from vi.targets.model.full_model import full_model
from vi.training.loop import Callback, check_callbacks

__all__ = ["Approximation"]


class Approximation(Chains):
    """A family fitted to a model: live from construction, during a run and after it.

    Parameters
    ----------
    family : Family or sequence of Group
        What q is: one family for all variables, or groups of variables with a family each.
    model : pymc.Model, optional
        The model; the one in context by default.
    start : dict of {str: value}, optional
        Where q starts, by name of a variable (constrained value) or of its value variable
        (``"sigma_log__"``, unconstrained value); the model's initial point where nothing is given.
    start_sigma : dict of {str: value}, optional
        Standard deviations of q at the start, unconstrained, by name; ``softplus(0) = 0.693`` where
        nothing is given.
    random_seed : int, optional
        Seed of everything random in the fit. ``None`` takes one from the operating system; it is
        kept in :attr:`random_seed`.
    dtype : {"float64", "float32"}, optional
        Precision of the whole fit; the model's own by default.

    Raises
    ------
    ValueError
        If the model has discrete or no free variables, if a start value has an unknown name or a
        wrong shape, or if the log density at the start is not finite.
    TypeError
        If there is no model.

    Examples
    --------
    >>> import pymc as pm, vi
    >>> with pm.Model() as model:
    ...     mu = pm.Normal("mu", 0.0, 1.0)
    ...     y = pm.Normal("y", mu, 1.0, observed=[1.0, 3.0])
    >>> approx = vi.fit(method="advi", model=model, random_seed=1, progressbar=False)
    >>> round(float(approx.mean.eval()[0]), 1)  # exact: 4 / 3
    1.3
    """

    # ---- densities -------------------------------------------------------------------------------

    def logp(self, z: Any) -> np.ndarray:
        """Return the model's log density (unnormalised, Jacobians included) at unconstrained
        points ``(..., D)``.
        """
        points = self._points(z)
        if self._stream is not None:
            raise TypeError(
                "logp: the rows are streamed, and the model's containers hold a few of them only. "
                "compute_log_likelihood(draws) reads all rows, block by block."
            )
        return self.target().log_prob(points)

    def logq(self, z: Any) -> np.ndarray:
        """Return ``log q`` at unconstrained points ``(..., D)``."""
        return density(self._family, self.reported, self._points(z), self._dtype)

    def _points(self, z: Any) -> np.ndarray:
        points = np.asarray(z, self._dtype)
        if points.ndim == 0 or points.shape[-1] != self.ndim:
            raise ValueError(f"Points must have shape (..., {self.ndim}), got {points.shape}.")
        return points

    # ---- draws -----------------------------------------------------------------------------------

    def sample(
        self,
        draws: int = 500,
        *,
        random_seed: Any = None,
        log_prob: bool = True,
        store_data: bool = True,
        include_transformed: bool | None = None,
        return_inferencedata: bool = True,
        rows: bool = False,
    ) -> xr.DataTree:
        """Draw from q.

        Parameters
        ----------
        draws : int
            Number of draws.
        random_seed : int, optional
            Seed of the draws; new ones at every call by default.
        log_prob : bool
            Whether to compute ``log p`` and ``log q`` of every draw (``sample_stats``); log p is
            that of the model's present data, and left out where the rows are streamed; log q is
            left out where q has no density (particles).
        store_data : bool
            Whether to copy observed and constant data into the result.
        include_transformed : bool, optional
            Whether to add the unconstrained values; by default as told to ``fit``.
        return_inferencedata : bool
            Always true; accepted because PyMC has it.
        rows : bool
            Whether deterministics over the rows of *streamed* data are computed too, in one pass
            over the stream; without it they are left out, and ``posterior.attrs["left_out"]`` names
            them. Those of data in memory are always there, of full length.

        Returns
        -------
        xarray.DataTree
            Groups ``posterior`` (constrained variables and deterministics, one chain),
            ``sample_stats`` (``log_p``, ``log_q``), ``observed_data``, ``constant_data``, ``fit``
            (the loss trace, and the settings as attributes).
        """
        if isinstance(draws, bool) or not isinstance(draws, int | np.integer) or draws < 1:
            raise ValueError(f"draws={draws!r}: must be a whole number of at least 1.")
        if not return_inferencedata:
            raise TypeError(
                "return_inferencedata=False: draws come as a DataTree only; its `posterior` holds the arrays."
            )
        seed = resolve_seed(random_seed)
        points, log_q = draw(
            self._family, self.reported, seed, int(draws), self._dtype, density=log_prob
        )
        target = self.target()
        over_rows = row_variables(self)
        names = tuple(name for name in target.names if name not in over_rows)
        posterior = target.constrain(points, names)
        if rows:
            posterior |= self._over_rows(points, target, over_rows)
        if self.include_transformed if include_transformed is None else include_transformed:
            posterior |= {
                name: v
                for name, v in self._layout.unflatten(points).items()
                if name not in posterior
            }
        stats = (
            {"log_p": self._log_p_of(points, target)} if log_prob and self._stream is None else {}
        )
        stats |= {} if log_q is None else {"log_q": log_q}
        record = fit_record(self.hist, self.settings(), self._restarts)
        streamed = () if self._stream is None else tuple(self._stream.fields)
        tree = to_datatree(self.full_model, posterior, stats, record, store_data, streamed)
        if over_rows and not rows:
            tree["posterior"].attrs["left_out"] = sorted(
                over_rows & {v.name for v in self._model.deterministics}
            )
        return tree

    def _over_rows(
        self, points: np.ndarray, target: Target, names: set[str]
    ) -> dict[str, np.ndarray]:
        wanted = tuple(name for name in target.names if name in names)
        parts = [target.constrain(points, wanted) for _ in by_rows(self)] if wanted else []
        return {name: np.concatenate([part[name] for part in parts], axis=1) for name in wanted}

    @property
    def full_model(self) -> pm.Model:
        """The model with all rows in place of minibatches, for PyMC's own functions; itself
        where it has none.
        """
        return full_model(
            self._model, local_setting(self, self._full) if self._local else self._full
        )

    def sample_posterior_predictive(
        self, idata: xr.DataTree | None = None, *, block_rows: int | None = None, **options: Any
    ) -> xr.DataTree:
        """Predictions of the observed variables for all rows.

        Parameters
        ----------
        idata : xarray.DataTree, optional
            Draws (:meth:`sample`); 500 new ones by default.
        block_rows : int, optional
            Rows at a time where the data are streamed; 10,000 by default.
        **options
            For ``pm.sample_posterior_predictive``: ``var_names``, ``random_seed``, ...

        Returns
        -------
        xarray.DataTree
            With a group ``posterior_predictive``.
        """
        return sample_posterior_predictive(self, idata, block_rows, **options)

    def compute_log_likelihood(
        self, idata: xr.DataTree, *, block_rows: int | None = None, **options: Any
    ) -> xr.DataTree:
        """Log likelihood of every row at every draw, unscaled: what ``arviz.loo`` needs.

        Parameters
        ----------
        idata : xarray.DataTree
            Draws (:meth:`sample`); the group ``log_likelihood`` is added to it.
        block_rows : int, optional
            Rows at a time where the data are streamed; 10,000 by default.
        **options
            For ``pm.compute_log_likelihood``: ``var_names``, ...

        Returns
        -------
        xarray.DataTree
            The same tree.
        """
        return compute_log_likelihood(self, idata, block_rows, **options)

    def _log_p_of(self, points: np.ndarray, target: Target) -> np.ndarray:
        try:
            return target.log_prob(points)
        except (TypeError, ValueError) as error:
            raise ValueError(
                "log p cannot be evaluated on the model's present data (changed by pm.set_data, for predictions?): "
                "sample(log_prob=False) leaves it out."
            ) from error

    def summary(
        self, draws: int = 4000, *, random_seed: Any = 0, var_names: Sequence[str] | None = None
    ) -> Any:
        """Constrained means, standard deviations and 5, 50 and 95 % quantiles, computed from draws.

        Parameters
        ----------
        draws : int
            Number of draws behind the table; the Monte-Carlo error of a mean is ``sd /
            sqrt(draws)``.
        random_seed : int, optional
            Seed of the draws.
        var_names : sequence of str, optional
            Variables to show; all by default.

        Returns
        -------
        pandas.DataFrame
            One row a scalar, columns ``mean``, ``sd``, ``q5``, ``median``, ``q95``.
        """
        from vi.approximation.results.summary import summary_table

        return summary_table(
            self.sample(draws, random_seed=random_seed, log_prob=False, store_data=False), var_names
        )

    def sample_node(
        self,
        node: Any,
        size: Any = None,
        deterministic: bool = False,
        more_replacements: Mapping[Any, Any] | None = None,
        *,
        random_seed: Any = None,
    ) -> Any:
        """Replace the model's free variables in an expression by draws from q.

        The result is symbolic. Every evaluation draws anew, from q as it is at that moment;
        gradients with respect to :attr:`shared_params` are those of the draws for given noise.

        Parameters
        ----------
        node : Variable, or list, tuple or dict of them
            Expressions of the model's variables (random variables, deterministics, value variables,
            the model's log density), also ones written after the fit. Several nodes share their
            draws. Observed variables are drawn given their parents.
        size : int or symbolic integer scalar, optional
            Number of draws, a new leading dimension (called ``draw`` where dimensions have names);
            by default one draw without a new dimension.
        deterministic : bool
            Whether to take the mean of q (in the unconstrained space) in place of draws. Observed
            variables are still drawn.
        more_replacements : dict of {Variable: Variable or array}, optional
            Other parts of the graph (data, say) to replace; lengths may differ.
        random_seed : int, optional
            Determines the whole sequence of values; a new sequence by default.

        Returns
        -------
        Variable, or list, tuple or dict of them

        Raises
        ------
        TypeError
            If an argument is of the wrong kind.
        ValueError
            If a node does not depend on a free variable, if a replaced variable is not in the graph
            or is a free variable, or if ``size`` is below 1.
        NotImplementedError
            If an operation cannot be computed for many draws at once.

        Examples
        --------
        >>> import pymc as pm, vi
        >>> with pm.Model() as model:
        ...     x = pm.Data("x", [1.0, 2.0])
        ...     slope = pm.Normal("slope")
        ...     y = pm.Normal("y", slope * x, 0.1, shape=x.shape, observed=[1.0, 2.0])
        >>> approx = vi.fit(method="advi", model=model, random_seed=1, progressbar=False)
        >>> new = approx.sample_node(
        ...     y, size=100, more_replacements={x: [3.0, 4.0, 5.0]}, random_seed=1
        ... )
        >>> new.eval().shape
        (100, 3)
        """
        from vi.approximation.results.nodes import sample_node

        return sample_node(self, node, size, deterministic, more_replacements, random_seed)

    def settings(self) -> dict[str, Any]:
        """How it was fitted, as plain values."""
        from vi.approximation.files.save import describe_settings

        return describe_settings(self)

    # ---- going on, keeping -----------------------------------------------------------------------

    def refine(
        self,
        n: int,
        *,
        progressbar: bool = True,
        callbacks: Sequence[Callback] | None = None,
        more_replacements: Mapping[Any, Any] | None = None,
        data: Any = None,
        batch_size: int | None = None,
        scale: Any = None,
    ) -> Self:
        """Go on for ``n`` more steps with the optimiser's state; the same as one longer fit.

        Parameters
        ----------
        n : int
            Steps.
        progressbar : bool
            Whether to show progress.
        callbacks : sequence of callables, optional
            Callbacks of this run; those of the fit by default.
        more_replacements, data, batch_size, scale
            What the fit goes on with, as in :meth:`vi.Inference.fit`; what it had by default. A
            file or a pickle holds neither replacements nor streams: there they must be given again.

        Raises
        ------
        TypeError
            If nothing was fitted yet.
        """
        from vi.approximation.steps.run import advance
        from vi.approximation.steps.training_data import bind

        hooks = self._callbacks if callbacks is None else check_callbacks(callbacks)
        if self._state is None and self._notes:
            raise TypeError(
                f"{self._notes['algorithm']} found it in one go, there are no more steps: fit again, or improve it "
                "with vi.KLqp(approx).fit()."
            )
        if self._state is None:
            raise TypeError(
                "refine() goes on with a fit, and there was none yet: call fit() first."
            )
        if (
            more_replacements is not None
            or data is not None
            or batch_size is not None
            or scale is not None
        ):
            self.check_idle()
            scale = self._setting.scale if scale is None else scale
            bind(self, as_variables(more_replacements or {}), data, batch_size, scale)
        advance(self, n, hooks, progressbar=progressbar)
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the approximation, its run and its loss trace to one file without code in it.

        Read it back with :func:`vi.load`. The model is not stored: it is code.
        """
        from vi.approximation.files.save import save

        save(self, path)

    def freeze(self, *groups: str) -> Self:
        """Leave these groups as they are in the fits to come, by group name or by a variable's
        name.

        Raises
        ------
        ValueError
            If there is no such group, or every group would be frozen.
        """
        return self._freeze(groups, True)

    def unfreeze(self, *groups: str) -> Self:
        """Fit these groups again; all of them without arguments."""
        return self._freeze(groups or tuple(part.name for part in self.groups), False)

    def _freeze(self, groups: tuple[Any, ...], frozen: bool) -> Self:
        from vi.approximation.steps.freezing import freeze

        freeze(self, groups, frozen)
        return self
