"""What every inference object is: an approximation and an algorithm that improves it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Unpack

import jax

from vi.approximation import Approximation
from vi.foundation.numbers import check_count, check_flags
from vi.inference.declared import Declared
from vi.inference.judged import judged
from vi.inference.one_shot import OneShot, refuse_one_step
from vi.inference.plans import begun, found_in_one_go
from vi.inference.profile import Profile, profiled
from vi.inference.pymc_arguments import RetiredArguments, check_retired
from vi.inference.run_options import RunOptions, check_run, refuse_average, refuse_unused
from vi.optimizers import Averaging
from vi.training import Callback

__all__ = ["Inference"]


class Inference(Declared):
    """Fits an approximation with an algorithm; a subclass says which.

    Parameters
    ----------
    approx : Approximation
        What is fitted; live: it shows the state of the run at any time.
    """

    def fit(
        self,
        n: int | None = None,
        score: bool | None = None,
        callbacks: Sequence[Callback] | None = None,
        progressbar: bool = True,
        progressbar_theme: Any = None,
        *,
        backend: str | None = "auto",
        include_transformed: bool = False,
        obj_n_mc: int | None = None,
        obj_optimizer: Any = None,
        averaging: Averaging | str | None = "auto",
        total_grad_norm_constraint: float | None = None,
        more_replacements: Mapping[Any, Any] | None = None,
        data: Any = None,
        batch_size: int | None = None,
        scale: Any = None,
        rewrite: bool = True,
        mesh: jax.sharding.Mesh | None = None,
        devices: Any = None,
        restarts: int = 1,
        diagnose: bool | Mapping[str, Any] = False,
        checkpoint: str | os.PathLike[str] | None = None,
        every: int | str | timedelta | None = None,
        keep: int | None = None,
        resume: bool | str | None = None,
        **retired: Unpack[RetiredArguments],
    ) -> Approximation:
        r"""Fit the approximation.

        Parameters
        ----------
        n : int, optional
            Steps, or the most iterations where the method has no steps; by default as many as the
            method declares, 10,000 or fewer. 0 initialises only.
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
            ADVI, 8 for low rank and flows, as many as particles for the Stein methods). Full rank
            and low rank draw in pairs where a step sees a batch, 2 at least.
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
        rewrite : bool
            Whether sums of all rows become sums of fewer, weighted ones, where these are the same:
            rows that are equal, and normal likelihoods and other exponential families, whose rows
            add up to numbers, means and scatters (:mod:`vi.targets.sums`). What is found is
            compared with all rows, at several points, before it is used. Terms that see batches
            stay as they are.
        mesh : jax.sharding.Mesh, optional
            Devices that share the fit: each works on its part of the rows, all hold the parameters.
            ``refine`` and copies keep them, files do not.
        devices : int, list of jax.Device or "all", optional
            The same, where a mesh is not at hand: the first so many of ``jax.devices()``, these, or
            all.
        restarts : int
            Fits from so many starts with random keys of their own, all at once, of which the best
            by ELBO is kept (:class:`vi.training.SeveralRuns`). The ``fit`` group
            of the draws and the status say whether they agree. Callbacks see the run that leads at
            the time, with its losses.
        diagnose : bool or dict
            Whether the fit is judged at the end, as by :meth:`vi.Approximation.diagnose`, whose
            arguments may be given as a dict. The verdict is in the status, in the draws and in
            :attr:`vi.Approximation.diagnosis`. A run that was interrupted is not judged.
        checkpoint : path, optional
            A file to which the state of the run is written between steps, so that the same call,
            started again after a crash, goes on from there, bit for bit. See :doc:`/long_runs`.
        every : int, str or timedelta, optional
            How often: a number of steps, or a time, ``"30s"``, ``"10min"`` (the default), ``"2h"``.
        keep : int, optional
            How many states are kept, 3 by default: ``run.vi``, ``run.vi.1``, ``run.vi.2``.
        resume : bool or "force", optional
            Whether to go on from a checkpoint that is there (the default). One of another model,
            data, seed, settings or versions is refused; ``"force"`` goes on from it all the same,
            and False begins anew and keeps the old file aside.
        progressbar_theme
            Without effect here; a warning says what replaces it.
        **retired
            Arguments of PyMC without a meaning here: ignored, or a ``TypeError`` says why;
            see :class:`vi.inference.pymc_arguments.RetiredArguments`.

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
        check_retired({**retired, "progressbar_theme": progressbar_theme}, "fit", locals())
        options = RunOptions.checked(
            n=n,
            score=score,
            callbacks=callbacks,
            progressbar=progressbar,
            backend=backend,
            include_transformed=include_transformed,
            obj_n_mc=obj_n_mc,
            obj_optimizer=obj_optimizer,
            averaging=averaging,
            total_grad_norm_constraint=total_grad_norm_constraint,
            more_replacements=more_replacements,
            data=data,
            batch_size=batch_size,
            scale=scale,
            rewrite=rewrite,
            mesh=mesh,
            devices=devices,
            restarts=restarts,
            diagnose=diagnose,
            checkpoint=checkpoint,
            every=every,
            keep=keep,
            resume=resume,
        )
        return self.run(options)

    def run(self, options: RunOptions, restart: Mapping[str, Any] | None = None) -> Approximation:
        """Fit with options that were checked; all or nothing until the first step.

        Parameters
        ----------
        options : RunOptions
            The options.
        restart : dict, optional
            ``start``, ``start_sigma`` and ``random_seed`` from which the approximation begins anew.
        """
        check_run(options, restart)
        self.check_options(options)
        if not self.averages:
            refuse_average(type(self).__name__, self.approx.family, options)
        self.approx.check_idle()
        options = options.resolved(averages=self.averages, n=self.default_n)
        algorithm = self._made(options)
        if isinstance(algorithm, OneShot):
            self.approx.change(lambda fit: found_in_one_go(fit, algorithm, options, restart))
        else:
            refuse_unused(algorithm, options)
            self.approx.advance(
                lambda fit: begun(fit, algorithm, options, restart, self.warm_start),
                options.steps,
                restarts=options.restarts,
                progressbar=options.progressbar,
                checkpoint=options.checkpoint,
            )
        return judged(self.approx, options)

    def refine(
        self, n: int, progressbar: bool = True, progressbar_theme: Any = None, **of_fit: Any
    ) -> Approximation:
        """Go on for ``n`` more steps, with optimiser state and callbacks: one longer fit."""
        check_retired({"progressbar_theme": progressbar_theme}, "refine", {})
        return self.approx.refine(n, progressbar=progressbar, **of_fit)

    def step(self) -> float:
        """Do one step and return its loss (NaN where losses are not kept)."""
        refuse_one_step(type(self).__name__, self.approx.record, self.stepwise, self.staged)
        if self.approx.state is None:
            self.fit(1, progressbar=False)
        else:
            self.refine(1, progressbar=False)
        return float(self.hist[-1]) if len(self.hist) else float("nan")

    def run_profiling(
        self, n: int = 1000, score: bool | None = None, *, backend: str | None = None
    ) -> Profile:
        """Time ``n`` steps from the current state without changing it.

        What happens inside a step is the business of JAX's own profiler:
        ``with jax.profiler.trace(folder):``.

        Parameters
        ----------
        n : int
            Steps.
        score : bool, optional
            Accepted because PyMC has it; losses cost nothing.
        backend : {"auto", "jax", "pytensor"}, optional
            What evaluates the model meanwhile; that of the fit by default.
        """
        check_count("n", n)
        check_flags(optional=True, score=score)
        if not self.stepwise:
            raise TypeError(f"{type(self).__name__} has no steps to profile.")
        options = RunOptions().resolved(averages=self.averages, n=n)
        return profiled(self.approx, lambda: self._made(options), n, backend)
