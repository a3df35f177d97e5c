"""What every inference object is: an approximation, an algorithm that improves it, and fit and
refine.
"""

from __future__ import annotations

import abc
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from vi.algorithms import Algorithm, State
from vi.approximation import Approximation
from vi.approximation.record.local_groups import localised
from vi.approximation.steps.restarts import check_restarts
from vi.approximation.steps.run import advance, run_of
from vi.approximation.steps.training_data import bind
from vi.foundation.devices import devices_from
from vi.foundation.numbers import check_count, check_steps, positive
from vi.foundation.precision import precision
from vi.foundation.seeds import key_from
from vi.graphs.replacements import as_variables
from vi.inference.one_shot import OneShot, refuse_steps
from vi.inference.options import averaging_from, optimizer_from
from vi.inference.profile import Profile
from vi.inference.pymc_arguments import explain_pymc_options, refuse_pymc_options
from vi.inference.run_options import Steps
from vi.optimizers import Averaging, PolynomialAverage, scale_free_adam
from vi.targets.from_pymc import check_backend
from vi.training import Callback, Status, check_callbacks
from vi.training.history import History

__all__ = ["Inference"]


class Inference(abc.ABC):
    """Fits an approximation with an algorithm; a subclass says which.

    Parameters
    ----------
    approx : Approximation
        What is fitted; live: it shows the state of the run at any time.
    """

    estimators: tuple[str, ...] = ()
    """What ``estimator=`` takes; empty where there is nothing to choose."""

    averages: bool = True
    """Whether the iterates' average can be reported."""

    stepwise: bool = True
    """Whether a fit is a run of steps, with an optimiser, callbacks and ``refine``; otherwise it
    is found in one go.
    """

    def __init__(self, approx: Approximation) -> None:
        if not isinstance(approx, Approximation):
            raise TypeError(
                f"approx must be a vi.Approximation (vi.MeanField(), vi.FullRank()), got {approx!r}."
            )
        self.approx = approx

    @abc.abstractmethod
    def algorithm(self, steps: Steps) -> Algorithm | OneShot:
        """The algorithm of a run, or what finds the approximation in one go."""

    @property
    def hist(self) -> np.ndarray:
        """The loss of every step so far; ``approx.settings()["loss"]`` says what it is."""
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
        obj_n_mc: int | None = None,
        tf_n_mc: int | None = None,
        obj_optimizer: Any = None,
        averaging: Averaging | str | None = "auto",
        total_grad_norm_constraint: float | None = None,
        more_replacements: Mapping[Any, Any] | None = None,
        data: Any = None,
        batch_size: int | None = None,
        scale: Any = None,
        mesh: jax.sharding.Mesh | None = None,
        devices: Any = None,
        restarts: int = 1,
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
            Steps, or the most iterations where the method has no steps. 0 initialises only.
        score : bool, optional
            Whether losses are kept; they cost nothing, so they are, unless this is False.
        callbacks : sequence of callables, optional
            Each is called as ``callback(approx, losses, i)`` after step ``i``; ``raise
            StopIteration`` ends the run.
        progressbar : bool
            Whether to show progress (on a terminal or in a notebook).
        backend : {"auto", "jax", "pytensor"}
            What evaluates the model's log density; see :func:`vi.targets.from_pymc`.
        include_transformed : bool
            Whether draws also hold the unconstrained values.
        obj_n_mc : int, optional
            Draws a step, evaluated together; by default the number that suits the method (1 for
            ADVI, 8 for low rank and flows, as many as particles for the Stein methods).
        tf_n_mc : int, optional
            For test functions of operator variational inference; has no effect on the objectives
            here.
        obj_optimizer : optax.GradientTransformation, optional
            Any optax transformation without a line search, or one of PyMC's names in ``vi``;
            :func:`vi.scale_free_adam` by default. PyMC's own ``pm.adam(learning_rate=...)`` is
            understood as ``vi.adam(learning_rate=...)``.
        averaging : Averaging, "auto" or None
            Average of the iterates that is reported. ``"auto"``: :class:`vi.PolynomialAverage` with
            the default optimiser, none with a given one.
        total_grad_norm_constraint : float, optional
            Longer gradients are scaled down to this norm.
        more_replacements : mapping, optional
            Parts of the model's graph that are replaced while training: ``{data: other}``, arrays
            or variables. Where minibatches (:func:`vi.Minibatch`, ``pm.Minibatch``) take the place
            of observed data, the terms that see them are scaled by ``N / B``, ``N`` being the
            length of the data replaced.
        data : dict, stream or source, optional
            Rows for the model's ``pm.Data`` containers, by name: a dict of arrays in memory, or
            anything that :mod:`vi.data` reads. Terms that see them are scaled by ``N / B``.
        batch_size : int, optional
            Rows a step, for `data` that is not a :class:`vi.data.Stream` already.
        scale : "rows" or dict, optional
            What terms that see a batch are multiplied by where the model does not say. ``"rows"``:
            likelihoods without ``total_size`` by ``N / B``; a dict: by name ``"rows"`` or a number,
            for likelihoods and Potentials.
        mesh : jax.sharding.Mesh, optional
            Devices that share the fit: each works on its part of the rows, all hold the parameters.
            ``refine`` and copies keep them, files do not.
        devices : int, list of jax.Device or "all", optional
            The same, where a mesh is not at hand: the first so many of ``jax.devices()``, these, or
            all.
        restarts : int
            Fits from so many starts with random keys of their own, all at once, of which the best
            by ELBO is kept (:class:`vi.approximation.steps.restarts.Restarts`). The ``fit`` group
            of the draws and the status say whether they agree. Callbacks see the run that leads at
            the time, with its losses.
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
            If a loss or a parameter is not finite. The approximation keeps the state before that
            step; it is the error's ``approx``.
        """
        explain_pymc_options(
            compile_kwargs=compile_kwargs, fn_kwargs=fn_kwargs, progressbar_theme=progressbar_theme
        )
        refuse_pymc_options(
            test_optimizer=test_optimizer,
            more_obj_params=more_obj_params,
            more_tf_params=more_tf_params,
            more_updates=more_updates,
        )
        check_steps(n)
        if obj_n_mc is not None:
            check_count("obj_n_mc", obj_n_mc)
        if tf_n_mc is not None:
            check_count("tf_n_mc", tf_n_mc)
        checked = check_callbacks(callbacks)
        approx = self.approx
        approx.check_idle()
        if not self.stepwise:
            refuse_steps(
                type(self).__name__,
                callbacks=checked or None,
                obj_n_mc=obj_n_mc,
                obj_optimizer=obj_optimizer,
                averaging=None if averaging == "auto" else averaging,
                total_grad_norm_constraint=total_grad_norm_constraint,
                more_replacements=more_replacements or None,
                batch_size=batch_size,
                scale=scale,
                mesh=mesh,
                devices=devices,
                restarts=None if restarts == 1 else restarts,
            )
        if not self.averages and averaging not in (None, "auto"):
            raise TypeError(
                f"averaging={averaging!r}: {type(self).__name__} reports its particles as they are."
            )
        default = obj_optimizer is None and self.averages
        algorithm = self.algorithm(
            Steps(
                optimizer=optimizer_from(obj_optimizer),
                averaging=averaging_from(averaging, default=default),
                n_draws=None if obj_n_mc is None else int(obj_n_mc),
                max_gradient_norm=positive(
                    "total_grad_norm_constraint", total_grad_norm_constraint
                ),
            )
        )
        chosen = check_backend("auto" if backend is None else backend)
        approx._devices = devices_from(mesh, devices, chosen)
        approx.backend = chosen
        approx.include_transformed = include_transformed
        approx._score = score is not False
        bind(approx, as_variables(more_replacements or {}), data, batch_size, scale)
        approx._callbacks = checked
        check_restarts(approx, restarts, self.estimators)
        if isinstance(algorithm, OneShot):
            if n > 0:
                algorithm.solve(approx, int(n))
            return approx
        _begin(approx, algorithm)
        advance(approx, n, checked, progressbar=progressbar, restarts=restarts)
        return approx

    def refine(
        self, n: int, progressbar: bool = True, progressbar_theme: Any = None
    ) -> Approximation:
        """Go on for ``n`` more steps with the same optimiser state and callbacks: one longer
        fit, in two calls.
        """
        explain_pymc_options(progressbar_theme=progressbar_theme)
        return self.approx.refine(n, progressbar=progressbar)

    def step(self) -> float:
        """Do one step and return its loss (NaN where losses are not kept)."""
        if not self.stepwise:
            raise TypeError(
                f"{type(self).__name__} has no steps: fit() finds the approximation in one go."
            )
        if self.approx.state is None:
            self.fit(1, progressbar=False)
        else:
            self.refine(1, progressbar=False)
        return float(self.hist[-1]) if len(self.hist) else float("nan")

    def run_profiling(
        self, n: int = 1000, score: bool | None = None, *, backend: str | None = None
    ) -> Profile:
        """Time ``n`` steps from the current state without changing it.

        What happens inside a step is the business of JAX's own profiler: ``with
        jax.profiler.trace(folder):``.
        """
        check_count("n", n)
        if not self.stepwise:
            raise TypeError(f"{type(self).__name__} has no steps to profile.")
        approx = self.approx
        began = time.perf_counter()
        if approx._state is None:
            averaging = PolynomialAverage() if self.averages else None
            algorithm = self.algorithm(Steps(scale_free_adam(), averaging, None, None))
            assert isinstance(algorithm, Algorithm)
            _begin(approx, algorithm)
        assert approx._state is not None
        assert approx._algorithm is not None
        if backend is not None:
            approx.backend = check_backend(backend)
        run = run_of(approx)
        run.advance(run.supply.at(run.step)[0], 1)
        compiled = time.perf_counter()
        start, done = run.step, 0
        while done < n:
            inputs, until = run.supply.at(start + done)
            losses, finite = run.advance(inputs, min(n - done, until - run.step))
            done += len(losses)
            if not finite:
                break
        jax.block_until_ready(run.state.params)
        run.close()
        return Profile(compiled - began, (time.perf_counter() - compiled) / max(done, 1), done)


def _begin(approx: Approximation, algorithm: Algorithm) -> None:
    """A state for the algorithm that starts at the current iterate and goes on counting steps."""
    before = approx._state
    if before is None:  # what was found in one go is the start, not a part of the run
        approx._history, approx._notes = History(), {}
    algorithm = localised(approx, algorithm)
    with precision(approx.dtype):
        if before is None:
            state = algorithm.init(approx._start, key_from(approx.random_seed))
        else:
            state = algorithm.init(before.params, before.key)._replace(step=before.step)
    approx._algorithm, approx._state = algorithm, state
    approx.publish()
