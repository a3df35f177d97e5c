"""The method that chooses, of a fit that names none: ``vi.fit(method="auto")``."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Unpack

import numpy as np

from vi.algorithms import Algorithm, BatchAndMatch
from vi.approximation import Approximation
from vi.approximation.checkpoints.stage_ends import stage_ends
from vi.approximation.named import StartOptions, check_options
from vi.approximation.record.fit_state import FitState
from vi.approximation.record.parameters import averaged_params, mean_and_std
from vi.approximation.results.weighted_draws import with_weights
from vi.auto.check import (
    can_be_weighed,
    is_settled,
    is_usable,
)
from vi.auto.deadline import Deadline
from vi.auto.ground import Ground
from vi.auto.once import Once
from vi.auto.order import in_stages, of_a_stream
from vi.auto.repair import repair, why_not
from vi.auto.some_rows import see_batches
from vi.diagnostics.diagnosis import Diagnosis
from vi.diagnostics.status import Ending, Status
from vi.families import Family, MeanField
from vi.foundation.numbers import check_count, positive
from vi.inference.inference import Inference
from vi.inference.judged import judged
from vi.inference.klqp import KLqp
from vi.inference.methods import METHODS
from vi.inference.run_options import RunOptions, check_run

__all__ = ["Auto"]

REFUSED = (
    "obj_optimizer",
    "obj_n_mc",
    "averaging",
    "total_grad_norm_constraint",
    "restarts",
    "devices",
    "mesh",
)
"""Options of one method's steps, of which the stages have their own."""


@METHODS.register(name="auto")
class Auto(Inference):
    r"""Fit in stages, check, and go as far as it takes.

    1. *search*: the best independent normals over ten fixed draws (as :class:`vi.DADVI`).
    2. *structure*, from 100 dimensions on: where the model has one (:func:`vi.structure`), the
       family of that structure, as of :class:`vi.StructuredADVI`, and 5. What follows is left out
       where that is enough, and does not stay where its ELBO is lower.
    3. *match*: from there a full-rank normal by matched scores (:class:`vi.BaM`), up to 1,000
       dimensions.
    4. Where its importance weights cannot be relied on and fewer than half of its draws count, or
       dimensions are more, *climb*: steps along the gradient of the ELBO, full rank or low rank.
    5. *check*: the verdict (:meth:`vi.Approximation.diagnose`). If it knows a place with a higher
       ELBO, 3 to 5 again from there.
    6. If it knows other places with mass, *mixture*: 3 at each of them, and the mixture of these
       normals, weighted by their evidence; then 5 again. (:class:`vi.families.Mixture`.)
    7. Where no normal is enough, *chains*: NUTS through BlackJAX (extra ``mcmc``) from draws of q,
       measured by its covariance, until R-hat is at most 1.01 and 400 draws are effective. The
       result is then a set of particles.

    Where the verdict says that importance weights can be relied on, :meth:`vi.Approximation.sample`
    and ``summary`` draw by them (``resample="auto"``). :attr:`vi.Approximation.stages` is the table
    of what was tried, with its cost; the verdict is in :attr:`vi.Approximation.diagnosis`.

    With minibatches 1 and 3 see some rows that stand for all (5,000, and 20 for each dimension, at
    least; all, where they are not twice as many), with the slope that all rows have where q is, and
    one step of 3 all of them; 4 sees batches, until it has converged; 5 weighs few draws by all
    rows where these are many. With streams it is 4 alone, and the check as far as time allows.
    Where log p does not fall far out from where the search has ended, the posterior is improper,
    and that is the verdict.

    Before the fit :attr:`approx` is independent normals at the start. Expressions of it that were
    made then (``approx.std``) are NaN once the family is another: make them when they are asked
    for, ``Tracker(sd=lambda approx: approx.std.eval())``. Callbacks are called in the stages that
    make steps; ``i`` and the losses count on, and ``StopIteration`` ends the whole fit with the
    best so far, without a check. ``refine`` goes on with the last steps, and not after chains or
    with scores of batches. ``checkpoint=`` keeps the end of each stage, within 4 the state of its
    steps, and within 7 what chains have drawn: the same call reads what is there.

    Parameters
    ----------
    max_evaluations : int
        Gradients of log p after which no new stage begins but the check; the status says so.
    max_seconds : float, optional
        Seconds, by the clock on the wall, after which no new stage begins, not even the check, and
        running steps end: what was best until then is kept, without a verdict if it was not
        checked. A search or a check that has begun is finished, as are compilation and chains,
        which begin only if they fit in at the pace of the stages before. Without it the seed
        decides all; with it the machine has a say.
    repair : {"mcmc"} or None
        Whether there may be chains.
    **options
        ``model``, ``start``, ``start_sigma``, ``random_seed``, ``dtype``: see
        :class:`Approximation`.

    Raises
    ------
    ValueError
        If `repair` is unknown, or a limit is not positive.

    Examples
    --------
    >>> import pymc as pm, vi
    >>> with pm.Model() as model:
    ...     mu = pm.Normal("mu", 0.0, 1.0)
    ...     y = pm.Normal("y", mu, 1.0, observed=[1.0, 3.0])
    >>> approx = vi.fit(method="auto", model=model, random_seed=1, progressbar=False)
    >>> approx.diagnosis.verdict, list(approx.stages["stage"])
    ('good', ['search', 'match', 'check'])
    """

    staged = True

    def __init__(
        self,
        *,
        max_evaluations: int = 4_000_000,
        max_seconds: float | None = None,
        repair: str | None = "mcmc",
        **options: Unpack[StartOptions],
    ) -> None:
        check_options(type(self), options)
        check_count("max_evaluations", max_evaluations)
        self.max_seconds = positive("max_seconds", max_seconds)
        if not (repair is None or (isinstance(repair, str) and repair == "mcmc")):
            raise ValueError(f"repair={repair!r} is unknown; use 'mcmc', or None for no chains.")
        super().__init__(Approximation(MeanField(), **options))
        self.max_evaluations = int(max_evaluations)
        self.repair = repair

    def algorithm(self, options: RunOptions) -> Algorithm:
        """That of steps along the ELBO's gradient, in the present family."""
        return KLqp(self.approx).algorithm(options)

    @classmethod
    def check_options(cls, options: RunOptions) -> None:
        check_run(options, None)
        # averaging=None is no average of one method's iterates
        said = options.given | (set() if options.averaging_is_open else {"averaging"})
        given = [option for option in REFUSED if option in said]
        if given:
            raise TypeError(
                f"{', '.join(given)}: method='auto' has stages with settings of their own. Give "
                "the method that it is for, method='advi' or 'fullrank_advi', or leave it out."
            )

    def run(self, options: RunOptions, restart: Mapping[str, Any] | None = None) -> Approximation:
        check_run(options, restart)
        self.check_options(options)
        self.approx.check_idle()
        options = options.resolved(averages=True, n=self.default_n)
        deadline, before = Deadline(self.max_seconds), self.approx.record
        ground = Ground(self.approx, options, self.max_evaluations, deadline)
        self.approx.change(lambda fit: _begun(fit, ground, restart))
        if options.steps == 0:
            return self.approx
        try:
            with stage_ends(options.checkpoint, self.approx.record, self._limits(options)) as ends:
                found = self._fitted(ground, Once(ground, ends))
                self._finish(ground, found)
                if ends is not None and not ground.stopped and not deadline.ended:
                    ends.write_result(self.approx.record)
        except BaseException as error:
            self.approx.change(functools.partial(_failed, before=before, error=error))
            raise
        finally:
            see_batches(ground)
        if options.diagnosis and self.approx.family.has_density:
            judged(self.approx, options)
        return self.approx

    def _finish(self, ground: Ground, found: Diagnosis | None) -> None:
        """Let the record have what the stages come to."""
        see_batches(ground)
        weighed = found is not None and is_usable(found) and can_be_weighed(ground, found)
        verdict = self.approx.record.diagnosis
        self.approx.change(lambda fit: _ended(fit, found, ground, weighed))
        if verdict is not None:
            self.approx.keep(verdict, self.approx.record)

    def _limits(self, options: RunOptions) -> dict[str, Any]:
        """What decides how stages end, beside the model and the seed."""
        return {
            "n": options.steps,
            "max_evaluations": self.max_evaluations,
            "repair": self.repair,
        }

    def _fitted(self, ground: Ground, once: Once) -> Diagnosis | None:
        """All stages; the last verdict, none where the user has ended them."""
        streamed = ground.fit.data.stream is not None  # of which the stages after it know nothing
        found = of_a_stream(ground, once) if streamed else in_stages(ground, once)
        if found is None or is_settled(found) or ground.stopped or streamed:
            return found
        return self._repaired(ground, once, found)

    def _repaired(self, ground: Ground, once: Once, found: Diagnosis) -> Diagnosis:
        """The verdict after chains, where there may be some."""
        why = why_not(ground, found, self.repair)
        if not why:
            once(repair, found)
            last = ground.fit.stages[-1]
            if last.kept:
                return ground.fit.diagnosis or found
            why = f"Chains from it did not settle it: {last.outcome}."
        told = replace(found, advice=f"{found.advice} {why}".strip())
        ground.approx.keep(told, ground.fit)
        return told


def _begun(fit: FitState, ground: Ground, restart: Mapping[str, Any] | None) -> FitState:
    """The record before the first stage: independent normals, where it is or where it is told."""
    fit = ground.options.applied(fit, restart)
    if fit.local:
        raise TypeError(
            "method='auto' makes its approximation of the model itself; local variables are "
            "fitted by vi.KLqp(vi.Approximation([vi.Group(...), ...]))."
        )
    fit = replace(fit, status=Status("initialised", 0, "no step was done yet."))
    family = fit.beginning.family
    if fit.family == family:
        return fit
    # a second fit: from the moments of what the first one came to
    assert isinstance(family, Family)
    mean, std = mean_and_std(fit)
    start = ground.at(family, mean, std)
    bare = replace(fit, family=family, start=start, run=None, algorithm=None)
    return replace(bare, free_mean=None, given_std=None, losses=np.empty(0), notes={})


def _failed(fit: FitState, before: FitState, error: BaseException) -> FitState:
    """The record after an error: as it was, if no stage had ended; else where the stages are."""
    if not fit.stages:
        return before
    message = f"{type(error).__name__}: {error} The best state so far is kept."
    return replace(fit, status=Status("failed", len(fit.losses), message))


def _ended(fit: FitState, found: Diagnosis | None, ground: Ground, weighed: bool) -> FitState:
    """The record with what the stages come to."""
    if weighed:
        fit = with_weights(fit)
    if isinstance(fit.algorithm, BatchAndMatch) and ground.options.sees_batches(fit.model):
        # refine() would match the scores of batches, which have noise
        notes = {"algorithm": fit.algorithm.short_name, "loss": fit.algorithm.loss_name}
        params = averaged_params(fit)
        bare = replace(fit, start=params, run=None, algorithm=None, notes=notes)
        fit = replace(bare, free_mean=None, given_std=None)
    names = ", ".join(stage.stage for stage in fit.stages)
    message = f"stages {names}"
    if weighed:
        message += "; draws by importance weights"
    if ground.left <= 0:
        message += f"; the budget of {ground.most:,} gradients is spent"
    if ground.deadline.ended:
        message += f"; ended by max_seconds={ground.deadline.seconds:g}"
        message += ", not checked" if fit.diagnosis is None else ", before all was tried"
    ending: Ending = fit.status.ending
    if not ground.stopped:
        ending = "converged" if found is not None and is_usable(found) else "max_steps"
        ending = "stopped" if found is not None and found.improper else ending
    elif found is None:  # what a callback says comes first
        message = f"{fit.status.message.removesuffix('.')}; {message}, ended before the check"
    return replace(fit, status=Status(ending, len(fit.losses), f"{message}."))
