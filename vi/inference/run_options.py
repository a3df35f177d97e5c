"""The options of a fit: checked once, before anything is touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import optax
import pymc as pm

from vi.algorithms import Algorithm
from vi.approximation.checkpoints.asked import Checkpoint, checkpoint_from
from vi.approximation.record.begin import begin_again
from vi.approximation.record.fit_state import FitState
from vi.approximation.results.diagnose import arguments_of_diagnosis
from vi.approximation.steps.data_arguments import training_data
from vi.families import Family
from vi.foundation.arguments import instance
from vi.foundation.devices import Devices, devices_from
from vi.foundation.numbers import check_count, check_flags, check_steps, positive
from vi.graphs.replacements import as_variables
from vi.inference.options import averaging_from, optimizer_from
from vi.optimizers import Averaging, scale_free_adam
from vi.targets.batches.search import has_batches
from vi.targets.from_pymc import check_backend
from vi.training.loop import Callback, check_callbacks

__all__ = ["RunOptions", "check_run", "refuse_average", "refuse_unused"]

OF_STEPS = {
    "obj_n_mc": "n_draws",
    "obj_optimizer": "optimizer",
    "averaging": "averaging",
    "total_grad_norm_constraint": "max_gradient_norm",
}
"""Options of how steps are made, and the settings of an algorithm that they become."""


OF_RESTART = ("start", "start_sigma", "random_seed")
"""From where a fit begins anew."""


@dataclass(frozen=True)
class RunOptions:
    """What was asked of a fit, checked; :meth:`vi.Inference.fit` documents the arguments.

    Parameters
    ----------
    optimizer : optax.GradientTransformation
        The optimiser.
    averaging : Averaging or None
        The average of iterates that is reported.
    averaging_is_open : bool
        Whether the method still has to decide it; see :meth:`resolved`.
    n_draws : int or None
        Draws a step that were asked for, if any.
    max_gradient_norm : float or None
        The limit of the gradient's norm.
    n : int or None
        Steps, or the most iterations; ``None`` until :meth:`resolved`.
    callbacks : tuple of callables
        What is called between steps.
    progressbar : bool
        Whether progress is shown.
    backend : str
        What evaluates the log density.
    keep_losses, include_transformed : bool
        What is kept, and what draws hold.
    replacements, data, batch_size, scale
        The data arguments, as they were given.
    rewrite : bool
        Whether sums over rows are rewritten as sums over fewer.
    devices : Devices or None
        What shares the fit.
    restarts : int
        Starts.
    checkpoint : Checkpoint or None
        Where the state of the run is written, if it is.
    diagnosis : dict or None
        Arguments of the verdict after the fit, if there is to be one.
    given : frozenset of str
        Names of the arguments that were given, for methods that do not take them.
    """

    optimizer: optax.GradientTransformation = field(default_factory=scale_free_adam)
    averaging: Averaging | None = None
    n_draws: int | None = None
    max_gradient_norm: float | None = None
    n: int | None = None
    averaging_is_open: bool = True
    callbacks: tuple[Callback, ...] = ()
    progressbar: bool = True
    backend: str = "auto"
    keep_losses: bool = True
    include_transformed: bool = False
    replacements: Mapping[Any, Any] = field(default_factory=dict)
    data: Any = None
    batch_size: int | None = None
    scale: Any = None
    rewrite: bool = True
    devices: Devices | None = None
    restarts: int = 1
    checkpoint: Checkpoint | None = None
    diagnosis: Mapping[str, Any] | None = None
    given: frozenset[str] = frozenset()

    @classmethod
    def checked(
        cls,
        *,
        n: int | None,
        score: bool | None,
        callbacks: Sequence[Callback] | None,
        progressbar: bool,
        backend: str | None,
        include_transformed: bool,
        obj_n_mc: int | None,
        obj_optimizer: Any,
        averaging: Averaging | str | None,
        total_grad_norm_constraint: float | None,
        more_replacements: Mapping[Any, Any] | None,
        data: Any,
        batch_size: int | None,
        scale: Any,
        rewrite: bool,
        mesh: jax.sharding.Mesh | None,
        devices: Any,
        restarts: int,
        diagnose: bool | Mapping[str, Any],
        checkpoint: Any = None,
        every: Any = None,
        keep: Any = None,
        resume: Any = None,
    ) -> RunOptions:
        """The options that arguments of ``fit`` mean.

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong kind, or has an impossible value.
        """
        if n is not None:
            check_steps(n)
        if obj_n_mc is not None:
            check_count("obj_n_mc", obj_n_mc)
        check_count("restarts", restarts)
        check_flags(
            progressbar=progressbar, include_transformed=include_transformed, rewrite=rewrite
        )
        check_flags(optional=True, score=score)
        if batch_size is not None:
            check_count("batch_size", batch_size)
        checked_callbacks = check_callbacks(callbacks)
        kept = checkpoint_from(checkpoint, every, keep, resume)
        chosen = check_backend("auto" if backend is None else backend)
        options = {
            "callbacks": checked_callbacks or None,
            "obj_n_mc": obj_n_mc,
            "obj_optimizer": obj_optimizer,
            "averaging": None if averaging == "auto" else averaging,
            "total_grad_norm_constraint": total_grad_norm_constraint,
            "more_replacements": more_replacements or None,
            "batch_size": batch_size,
            "scale": scale,
            "mesh": mesh,
            "devices": devices,
            "restarts": None if restarts == 1 else restarts,
            "checkpoint": kept,
        }
        return cls(
            n=None if n is None else int(n),
            optimizer=optimizer_from(obj_optimizer),
            averaging=None if averaging == "auto" else averaging_from(averaging, False),
            averaging_is_open=averaging == "auto",
            n_draws=None if obj_n_mc is None else int(obj_n_mc),
            max_gradient_norm=positive("total_grad_norm_constraint", total_grad_norm_constraint),
            callbacks=checked_callbacks,
            progressbar=progressbar,
            backend=chosen,
            keep_losses=score is not False,
            include_transformed=bool(include_transformed),
            replacements=as_variables(more_replacements or {}),
            data=data,
            batch_size=batch_size,
            scale=scale,
            rewrite=bool(rewrite),
            devices=devices_from(mesh, devices, chosen),
            restarts=int(restarts),
            checkpoint=kept,
            diagnosis=arguments_of_diagnosis(diagnose),
            given=frozenset(name for name, value in options.items() if value is not None),
        )

    def resolved(self, *, averages: bool, n: int) -> RunOptions:
        """With what is left to the method decided: its number of steps, and ``averaging="auto"``.

        An average is on with the default optimiser, where the method can. A user's own optimiser
        does what its documentation says, as in PyMC: without one.
        """
        decided = self if self.n is not None else replace(self, n=n)
        if not self.averaging_is_open:
            return decided
        default = averages and "obj_optimizer" not in self.given
        averaging = averaging_from("auto", default)
        return replace(decided, averaging=averaging, averaging_is_open=False)

    @property
    def steps(self) -> int:
        """The number of steps of options that are :meth:`resolved`."""
        assert self.n is not None
        return self.n

    def sees_batches(self, model: pm.Model) -> bool:
        """Whether a step sees a part of the rows only."""
        return self.data is not None or has_batches(model, self.replacements.values())

    def applied(self, fit: FitState, restart: Mapping[str, Any] | None = None) -> FitState:
        """The record with these options: its data, backend, devices, callbacks, what it keeps.

        ``restart`` (``start``, ``start_sigma``, ``random_seed``) lets it begin anew first.
        """
        fit = fit if restart is None else begin_again(fit, **restart)
        data = training_data(
            fit.model,
            self.replacements,
            self.data,
            self.batch_size,
            self.scale,
            rewrite=self.rewrite,
            has_local=bool(fit.local),
        )
        return replace(
            fit,
            data=data,
            backend=self.backend,
            devices=self.devices,
            callbacks=self.callbacks,
            keep_losses=self.keep_losses,
            include_transformed=self.include_transformed,
            stages=(),
            resample=None,
        )


def check_run(options: Any, restart: Any) -> None:
    """Refuse what are no options of a run, and no start of one."""
    instance("options", options, RunOptions, "what vi.inference.RunOptions.checked returns")
    named = isinstance(restart, Mapping) and restart.keys() <= set(OF_RESTART)
    if restart is not None and not named:
        raise TypeError(f"restart={restart!r}: give a dict of {', '.join(OF_RESTART)}, or nothing.")


def refuse_average(name: str, family: Family, options: RunOptions) -> None:
    """Refuse an average, for the method of that name, which reports its iterates as they are."""
    if options.averaging is not None:
        what = "iterates" if family.has_density else "particles"
        raise TypeError(
            f"averaging={options.averaging!r}: {name} reports its {what} as they are. Leave it out."
        )


def refuse_unused(algorithm: Algorithm, options: RunOptions) -> None:
    """Refuse options of a step that the algorithm has no setting for: it would ignore them."""
    given = [
        option
        for option, setting in OF_STEPS.items()
        if option in options.given and not hasattr(algorithm, setting)
    ]
    if given:
        raise TypeError(
            f"{', '.join(given)}: the algorithm {algorithm.short_name!r} has no such setting, and "
            "would ignore it. Leave it out."
        )
