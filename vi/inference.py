"""Inference objects: an approximation, an objective, and fit and refine."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import pymc as pm

from vi.algorithms import Gradient, State
from vi.approximation import Approximation, FullRank, MeanField
from vi.approximation.advance import advance, check_steps
from vi.approximation.seeds import key_from
from vi.objectives import Objective
from vi.optimizers import Averaging, PolynomialAverage, scale_free_adam
from vi.options import (
    averaging_from,
    check_count,
    explain_pymc_options,
    objective_from,
    optimizer_from,
    positive,
    refuse_pymc_options,
)
from vi.precision import precision
from vi.targets.pymc import check_backend
from vi.training import Callback, Status, check_callbacks, runner_for

__all__ = ["ADVI", "FullRankADVI", "Inference", "KLqp", "Profile"]


@dataclass(frozen=True)
class Profile:
    """Where the time of a run goes.

    Parameters
    ----------
    first_call : float
        Seconds until the first step: conversion of the model and compilation.
    per_step : float
        Seconds a step after that.
    steps : int
        Steps timed.
    """

    first_call: float
    per_step: float
    steps: int

    def __str__(self) -> str:
        return (
            f"first call {self.first_call:.2f} s, then {self.per_step * 1e6:.2f} us a step over {self.steps:,} steps "
            "(inside a step: jax.profiler.trace)"
        )


class Inference:
    """Fits an approximation by descending an objective.

    Parameters
    ----------
    approx : Approximation
        What is fitted; live: it shows the state of the run at any time.
    objective : Objective
        What is minimised.
    """

    def __init__(self, approx: Approximation, objective: Objective) -> None:
        self.approx = approx
        self.objective = objective

    @property
    def hist(self) -> np.ndarray:
        """The loss of every step so far: minus the ELBO estimate of the full data."""
        return self.approx.hist

    @property
    def state(self) -> State | None:
        """The run's whole state, a pytree; ``None`` before the first fit."""
        return self.approx.state

    @property
    def status(self) -> Status:
        """How the last run ended."""
        return self.approx.status

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.approx!r}>"

    def fit(
        self,
        n: int = 10_000,
        score: bool | None = None,
        callbacks: Sequence[Callback] | None = None,
        progressbar: bool = True,
        progressbar_theme: Any = None,
        *,
        backend: str | None = "auto",
        include_transformed: bool = False,
        obj_n_mc: int = 1,
        tf_n_mc: int | None = None,
        obj_optimizer: Any = None,
        averaging: Averaging | str | None = "auto",
        total_grad_norm_constraint: float | None = None,
        more_replacements: Mapping[Any, Any] | None = None,
        compile_kwargs: Mapping[str, Any] | None = None,
        fn_kwargs: Mapping[str, Any] | None = None,
        test_optimizer: Any = None,
        more_obj_params: Any = None,
        more_tf_params: Any = None,
        more_updates: Any = None,
    ) -> Approximation:
        r"""Fit the approximation.

        Parameters
        ----------
        n : int
            Steps. 0 initialises only.
        score : bool, optional
            Whether losses are kept; they cost nothing, so they are, unless this is False.
        callbacks : sequence of callables, optional
            Each is called as ``callback(approx, losses, i)`` after step ``i``; ``raise StopIteration`` ends the run.
        progressbar : bool
            Whether to show progress (on a terminal or in a notebook).
        backend : {"auto", "jax", "pytensor"}
            What evaluates the model's log density; see :func:`vi.targets.from_pymc`.
        include_transformed : bool
            Whether draws also hold the unconstrained values.
        obj_n_mc : int
            Draws a step, evaluated together.
        tf_n_mc : int, optional
            For test functions of operator variational inference; has no effect on the objectives here.
        obj_optimizer : optax.GradientTransformation, optional
            Any optax transformation without a line search, or one of PyMC's names in ``vi``;
            :func:`vi.scale_free_adam` by default. PyMC's own ``pm.adam(learning_rate=...)`` is understood as
            ``vi.adam(learning_rate=...)``.
        averaging : Averaging, "auto" or None
            Average of the iterates that is reported. ``"auto"``: :class:`vi.PolynomialAverage` with the default
            optimiser, none with a given one.
        total_grad_norm_constraint : float, optional
            Longer gradients are scaled down to this norm.
        more_replacements : mapping, optional
            Parts of the model's graph that are replaced while training (data by other data, say).
        compile_kwargs, fn_kwargs, progressbar_theme
            Without effect here; a warning says what replaces them.
        test_optimizer, more_obj_params, more_tf_params, more_updates
            Not supported; a ``TypeError`` says why.

        Returns
        -------
        Approximation
            The live approximation.

        Raises
        ------
        vi.DivergedError
            If a loss or a parameter is not finite. The approximation keeps the state before that step; it is the
            error's ``approx``.
        """
        explain_pymc_options(compile_kwargs=compile_kwargs, fn_kwargs=fn_kwargs, progressbar_theme=progressbar_theme)
        refuse_pymc_options(
            test_optimizer=test_optimizer,
            more_obj_params=more_obj_params,
            more_tf_params=more_tf_params,
            more_updates=more_updates,
        )
        check_steps(n)
        check_count("obj_n_mc", obj_n_mc)
        if tf_n_mc is not None:
            check_count("tf_n_mc", tf_n_mc)
        checked = check_callbacks(callbacks)
        approx = self.approx
        approx.check_idle()
        algorithm = Gradient(
            family=approx.family,
            objective=self.objective,
            optimizer=optimizer_from(obj_optimizer),
            averaging=averaging_from(averaging, default=obj_optimizer is None),
            n_draws=int(obj_n_mc),
            max_gradient_norm=positive("total_grad_norm_constraint", total_grad_norm_constraint),
        )
        approx.backend = check_backend("auto" if backend is None else backend)
        approx.include_transformed = include_transformed
        approx._score = score is not False
        approx._replacements = dict(more_replacements or {})
        approx._callbacks = checked
        _begin(approx, algorithm)
        advance(approx, n, checked, progressbar=progressbar)
        return approx

    def refine(self, n: int, progressbar: bool = True, progressbar_theme: Any = None) -> Approximation:
        """Go on for ``n`` more steps with the same optimiser state and callbacks: one longer fit, in two calls."""
        explain_pymc_options(progressbar_theme=progressbar_theme)
        return self.approx.refine(n, progressbar=progressbar)

    def step(self) -> float:
        """Do one step and return its loss (NaN where losses are not kept)."""
        if self.approx.state is None:
            self.fit(1, progressbar=False)
        else:
            self.refine(1, progressbar=False)
        return float(self.hist[-1]) if len(self.hist) else float("nan")

    def run_profiling(self, n: int = 1000, score: bool | None = None, *, backend: str | None = None) -> Profile:
        """Time ``n`` steps from the current state without changing it.

        What happens inside a step is the business of JAX's own profiler: ``with jax.profiler.trace(folder):``.
        """
        check_count("n", n)
        approx = self.approx
        began = time.perf_counter()
        if approx._state is None:
            _begin(approx, Gradient(approx.family, self.objective, scale_free_adam(), PolynomialAverage()))
        assert approx._state is not None
        assert approx._algorithm is not None
        if backend is not None:
            approx.backend = check_backend(backend)
        target = approx.target(training=True)
        runner, state, batch = runner_for(target, approx._algorithm), approx._state, target.batch()
        with precision(approx.dtype):
            runner.run(state, batch, 1)
            compiled = time.perf_counter()
            done = 0
            while done < n:
                state, losses, finite = runner.run(state, batch, n - done)
                done += len(losses)
                if not finite:
                    break
            jax.block_until_ready(state.params)
        return Profile(compiled - began, (time.perf_counter() - compiled) / max(done, 1), done)


class KLqp(Inference):
    r"""Minimise :math:`KL(q \| p)`, that is, maximise the ELBO, of any approximation.

    .. math:: \mathrm{ELBO}_\beta = E_q[\log p(x, z)] + \beta H[q]

    Parameters
    ----------
    approx : Approximation
        What is fitted.
    beta : float
        Weight of the entropy (1: the ELBO).
    estimator : {"closed_form", "sticking_the_landing", "monte_carlo"}, optional
        How the gradient is estimated; all have the same expectation. By default the one that suits the family:
        ``"closed_form"`` for mean field, whose noise does not grow with the correlations that mean field leaves out;
        ``"sticking_the_landing"`` for full rank, whose noise vanishes as the posterior becomes normal.
    """

    def __init__(self, approx: Approximation, beta: float = 1.0, *, estimator: str | None = None) -> None:
        if not isinstance(approx, Approximation):
            raise TypeError(f"approx must be a vi.Approximation (vi.MeanField(), vi.FullRank()), got {approx!r}.")
        super().__init__(
            approx, objective_from(approx.family.default_estimator if estimator is None else estimator, beta)
        )


class ADVI(KLqp):
    """Automatic differentiation variational inference with independent normals.

    Parameters
    ----------
    model, start, start_sigma, random_seed, dtype
        See :class:`Approximation`.
    beta, estimator
        See :class:`KLqp`.

    References
    ----------
    Kucukelbir, Tran, Ranganath, Gelman and Blei (2017). Automatic differentiation variational inference. JMLR 18.
    """

    def __init__(
        self,
        *,
        model: pm.Model | None = None,
        random_seed: Any = None,
        start: Mapping[str, Any] | None = None,
        start_sigma: Mapping[str, Any] | None = None,
        dtype: str | np.dtype | None = None,
        beta: float = 1.0,
        estimator: str | None = None,
        scale_cost_to_minibatch: bool = True,
    ) -> None:
        approx = MeanField(
            model=model,
            start=start,
            start_sigma=start_sigma,
            random_seed=random_seed,
            dtype=dtype,
            scale_cost_to_minibatch=scale_cost_to_minibatch,
        )
        super().__init__(approx, beta, estimator=estimator)


class FullRankADVI(KLqp):
    """Automatic differentiation variational inference with one normal of dense covariance.

    Parameters
    ----------
    model, start, start_sigma, random_seed, dtype
        See :class:`Approximation`.
    beta, estimator
        See :class:`KLqp`.
    """

    def __init__(
        self,
        *,
        model: pm.Model | None = None,
        random_seed: Any = None,
        start: Mapping[str, Any] | None = None,
        start_sigma: Mapping[str, Any] | None = None,
        dtype: str | np.dtype | None = None,
        beta: float = 1.0,
        estimator: str | None = None,
        scale_cost_to_minibatch: bool = True,
    ) -> None:
        approx = FullRank(
            model=model,
            start=start,
            start_sigma=start_sigma,
            random_seed=random_seed,
            dtype=dtype,
            scale_cost_to_minibatch=scale_cost_to_minibatch,
        )
        super().__init__(approx, beta, estimator=estimator)


def _begin(approx: Approximation, algorithm: Gradient) -> None:
    """A state for the algorithm that starts at the current iterate and goes on counting steps."""
    before = approx._state
    with precision(approx.dtype):
        if before is None:
            state = algorithm.init(approx._start, key_from(approx.random_seed))
        else:
            state = algorithm.init(before.params, before.key)._replace(step=before.step)
    approx._algorithm, approx._state = algorithm, state
    approx.publish()
