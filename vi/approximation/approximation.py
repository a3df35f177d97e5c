"""The live approximation: what a fit improves, and what everything afterwards asks."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Self

import numpy as np
import pymc as pm

from vi.approximation.checkpoints.asked import checkpoint_from
from vi.approximation.files.save import save
from vi.approximation.record.begin import begin, begin_again
from vi.approximation.record.beginning import Beginning, precision_of
from vi.approximation.record.fit_state import FitState
from vi.approximation.record.groups import Group, family_or_groups, model_of_groups
from vi.approximation.record.groups_of_model import with_groups_of_model
from vi.approximation.record.log_density import target
from vi.approximation.record.parameters import with_params
from vi.approximation.record.settings import settings
from vi.approximation.results import chains, draws, nodes, predictive
from vi.approximation.results.covariance import cov_lr
from vi.approximation.results.diagnose import diagnose
from vi.approximation.results.html import approximation_html
from vi.approximation.results.summary import summary
from vi.approximation.shown_record import ShownRecord
from vi.approximation.steps.freezing import frozen
from vi.approximation.steps.going_on import gone_on_from, refuse_other_settings
from vi.approximation.verbs import kept_verb, live_verb, verb
from vi.families import Family
from vi.foundation.numbers import check_steps, flag
from vi.graphs.replacements import as_variables
from vi.targets.model.checks import check_variables, model_in_context
from vi.training.loop import Callback, check_callbacks

__all__ = ["Approximation"]


class Approximation(ShownRecord):
    """A family fitted to a model: live from construction, during a run and after it.

    Parameters
    ----------
    family : Family, str or sequence of Group
        What q is: one family for all variables, by name too, or groups of variables with a family
        each.
    model : pymc.Model, optional
        The model; the one in context by default.
    start : dict of {str: value}, optional
        Where q starts, by name of a variable (constrained value) or of its value variable
        (``"sigma_log__"``, unconstrained value); the model's initial point where nothing is given.
    start_sigma : dict of {str: value}, optional
        Standard deviations of q at the start, unconstrained, by name; ``softplus(0) = 0.693`` where
        nothing is given. Before the first step of a fit those that were not given become the
        prior's where that is more than ten times narrower, or narrower where log p is not finite at
        draws of the start; the log names them.
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

    def __init__(
        self,
        family: Family | type[Family] | str | Sequence[Group],
        *,
        model: pm.Model | None = None,
        start: Mapping[str, Any] | None = None,
        start_sigma: Mapping[str, Any] | None = None,
        random_seed: Any = None,
        dtype: str | np.dtype | None = None,
        scale_cost_to_minibatch: bool = True,
    ) -> None:
        flag("scale_cost_to_minibatch", scale_cost_to_minibatch)
        of_groups = model_of_groups(family)
        if model is not None and of_groups not in (None, model):
            raise ValueError(
                "model= is not the model that the groups were given; leave one of them out."
            )
        model = model_in_context(of_groups if model is None else model)
        check_variables(model)
        kind = with_groups_of_model(model, family_or_groups(family))
        beginning = Beginning(model, kind, precision_of(model, dtype))
        self.scale_cost_to_minibatch = scale_cost_to_minibatch
        self._open(begin(beginning, start, start_sigma, random_seed))

    # ---- what changes it -------------------------------------------------------------------------

    def restart(
        self,
        start: Mapping[str, Any] | None = None,
        start_sigma: Mapping[str, Any] | None = None,
        random_seed: Any = None,
    ) -> None:
        """Go back to a start: parameters, seed, history; not the settings of the last run."""
        self.change(lambda fit: begin_again(fit, start, start_sigma, random_seed))

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
        checkpoint: str | os.PathLike[str] | None = None,
        every: int | str | timedelta | None = None,
        keep: int | None = None,
        resume: bool | str | None = None,
        **of_fit: Any,
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
        checkpoint, every, keep, resume
            A run that survives its process, as in :meth:`vi.Inference.fit`; not in the file of the
            fit before it.
        **of_fit
            What a fit keeps: a ``TypeError`` says how a new one takes another.

        Raises
        ------
        TypeError
            If nothing was fitted yet.
        """
        refuse_other_settings(of_fit, inspect.signature(self.refine).parameters)
        check_steps(n)
        flag("progressbar", progressbar)
        hooks = None if callbacks is None else check_callbacks(callbacks)
        replacements = None if more_replacements is None else as_variables(more_replacements)
        asked = checkpoint_from(checkpoint, every, keep, resume)

        def plan(fit: FitState) -> FitState:
            return gone_on_from(fit, replacements, data, batch_size, scale)

        return self.advance(plan, n, callbacks=hooks, progressbar=progressbar, checkpoint=asked)

    def freeze(self, *groups: str) -> Self:
        """Leave groups, named or by a variable of theirs, as they are in the fits to come.

        Raises
        ------
        ValueError
            If there is no such group, or every group would be frozen.
        """
        return self.change(lambda fit: frozen(fit, groups, True))

    def unfreeze(self, *groups: str) -> Self:
        """Fit these groups again; all of them without arguments."""
        return self.change(lambda fit: frozen(fit, groups, False))

    def set_params(self, params: Mapping[str, Any]) -> Self:
        """Put other values in the place of parameters, of the raw iterate and of the average.

        Fits go on from there, with the optimiser's state as it is and an average that begins anew;
        parameters that are not given go on from what is reported of them. What is written into the
        shared variables of :attr:`shared_params` does the same.

        Parameters
        ----------
        params : dict of arrays
            By name, as in :attr:`reported`: all, or some of them.

        Raises
        ------
        ValueError
            If a name is unknown, a shape is another, or a value is not finite.
        TypeError
            If an encoder makes the parameters.

        Examples
        --------
        >>> import pymc as pm, vi
        >>> with pm.Model() as model:
        ...     mu = pm.Normal("mu", 0.0, 1.0)
        ...     y = pm.Normal("y", mu, 1.0, observed=[1.0, 3.0])
        >>> approx = vi.MeanField(model=model).set_params({"mu": [2.5]})
        >>> round(float(approx.sample(2000, random_seed=1)["posterior"]["mu"].mean()), 1)
        2.5
        """
        return self.change(lambda fit: with_params(fit, params))

    # ---- what q gives ----------------------------------------------------------------------------

    _repr_html_ = verb(approximation_html)
    settings = verb(settings)
    target = verb(target)

    sample = verb(draws.sample)
    logp = verb(draws.logp)
    logq = verb(draws.logq)
    summary = verb(summary)
    cov_lr = verb(cov_lr)
    diagnose = kept_verb(diagnose, ShownRecord.keep)
    sample_posterior_predictive = verb(predictive.sample_posterior_predictive)
    compute_log_likelihood = verb(predictive.compute_log_likelihood)
    sample_mcmc = verb(chains.sample_mcmc)
    initvals = verb(chains.initvals)
    nuts_step = verb(chains.nuts_step)
    sample_node = live_verb(nodes.sample_node)
    save = verb(save)
