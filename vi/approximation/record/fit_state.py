"""What an approximation is: a family on a model, its live parameters and moments, and copies of
it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Self

import jax
import numpy as np
import pymc as pm
import pytensor

from vi.algorithms.base import Algorithm, State
from vi.approximation.record import local_groups as local
from vi.approximation.record.groups import Group, checked_groups, refuse_strangers
from vi.approximation.results.moments import statistic
from vi.approximation.steps.training_data import lost_data
from vi.diagnostics.status import Status
from vi.families import Family, Params, Part, Product
from vi.foundation.devices import Devices
from vi.foundation.layout import Layout
from vi.foundation.precision import precision, resolve_dtype
from vi.foundation.seeds import START, key_from, resolve_seed
from vi.models.density_model import DensityModel
from vi.targets.backends.sharded import shared_by
from vi.targets.base import Target
from vi.targets.batches.setting import Setting
from vi.targets.from_pymc import from_pymc
from vi.targets.model.checks import check_variables, model_in_context
from vi.targets.model.initial_density import check_initial_density
from vi.targets.model.start import START_STD, start_point, start_std
from vi.training.history import History
from vi.training.loop import Callback

__all__ = ["Core"]


class Core:
    """The state of an approximation and everything that reads it; :class:`vi.Approximation` adds
    what to do with it.
    """

    _default_std = START_STD

    def __init__(
        self,
        family: Family | Sequence[Group],
        *,
        model: pm.Model | None = None,
        start: Mapping[str, Any] | None = None,
        start_sigma: Mapping[str, Any] | None = None,
        random_seed: Any = None,
        dtype: str | np.dtype | None = None,
        scale_cost_to_minibatch: bool = True,
    ) -> None:
        model = model_in_context(model)
        check_variables(model)
        self._groups = None if isinstance(family, Family) else checked_groups(family)
        self._model = model
        if isinstance(family, Family):
            self._family = family
        self._dtype = _precision_of(model, dtype)
        self.scale_cost_to_minibatch = scale_cost_to_minibatch
        self.include_transformed = False
        self.backend = "auto"
        self._algorithm: Algorithm | None = None
        self._state: State | None = None
        self._callbacks: tuple[Callback, ...] = ()
        self._score = True
        self._setting = Setting()
        self._full = Setting(training=False)
        self._stream: Any = None
        self._devices: Devices | None = None
        self._local: tuple[local.LocalGroup, ...] = ()
        self._local_rows: tuple[Any, dict[str, Any]] = (None, {})
        self._encoded: tuple[Any, Params] = (None, {})
        self._missing: str | None = None
        self._restarts: Any = None
        self._history = History()
        self._status = Status("initialised", 0, "nothing was fitted yet.")
        self._running = False
        self._shared: dict[str, Any] = {}
        self._statistics: dict[str, Any] = {}
        self.restart(start, start_sigma, random_seed)

    def restart(
        self,
        start: Mapping[str, Any] | None = None,
        start_sigma: Mapping[str, Any] | None = None,
        random_seed: Any = None,
    ) -> None:
        """Go back to a start: parameters, seed and history, but not the settings of the last
        run.
        """
        self.check_idle()
        seed = resolve_seed(random_seed)
        start, local_start = local.split_start(start, self._model, self._groups)
        point = start_point(self._model, start, seed)
        check_initial_density(self._model, point)
        if self._groups is not None:
            refuse_strangers(self._model, self._groups)
            layout, self._family, self._local = local.with_local_groups(
                self._model, self._groups, point
            )
        else:
            layout, self._local = local.with_local_parts(self._model, self._family, point)
        std = start_std(self._model, layout, start_sigma, self._dtype, self._default_std)
        flat = layout.flatten(
            local.point_of_all_rows(self._model, layout, point, local_start), self._dtype
        )
        with precision(self._dtype):
            mean = jax.numpy.asarray(flat)
            params = self._family.init(mean, jax.numpy.asarray(std), key_from(seed, START))
            params = local.with_weights(self._local, params)
        self._layout: Layout = layout
        self._point = point
        self._seed = seed
        self._start: Params = params
        self._state = self._restarts = None
        self._notes: dict[str, Any] = {}
        self._history = History()
        self._status = Status("initialised", 0, "nothing was fitted yet.")
        local.check_encoders(self._local, self.reported)
        self.publish()

    def check_idle(self) -> None:
        """Refuse a second run, or a restart, while a run is going on.

        Raises
        ------
        RuntimeError
            If called from a callback of this approximation's own run, or from another thread.
        """
        if self._running:
            raise RuntimeError(
                "This approximation is being fitted: fit, refine, restart and freeze cannot be called on it from a "
                "callback or another thread. Use copy.deepcopy(approx) there."
            )

    # ---- what it is ------------------------------------------------------------------------------

    @property
    def model(self) -> pm.Model:
        """The model that is approximated."""
        return self._model

    @property
    def family(self) -> Family:
        """The variational family."""
        return self._family

    @property
    def groups(self) -> tuple[Part, ...]:
        """The groups of variables and their families; one group of everything where there are no
        others.
        """
        if isinstance(self._family, Product):
            return self._family.parts
        return (Part("all", self._family, ((0, self.ndim),)),)

    @property
    def layout(self) -> Layout:
        """Where each variable lies in the flat unconstrained vector."""
        return self._layout

    @property
    def dtype(self) -> np.dtype:
        """Precision of the fit."""
        return self._dtype

    @property
    def ndim(self) -> int:
        """Length ``D`` of the flat unconstrained vector."""
        return self._layout.dim

    @property
    def random_seed(self) -> int:
        """The seed of the fit."""
        return self._seed

    @property
    def status(self) -> Status:
        """How the last run ended."""
        return self._status

    @property
    def hist(self) -> np.ndarray:
        """The loss of every step so far; ``settings()["loss"]`` says what it is (minus the ELBO
        of the full data).
        """
        return self._history.values

    @property
    def state(self) -> State | None:
        """The run's whole state, a pytree; ``None`` before the first fit."""
        return self._state

    def __repr__(self) -> str:
        names = ", ".join(self._layout.names)
        return (
            f"<Approximation {self._family.short_name} of {names} (D={self.ndim}), {self._status}>"
        )

    # ---- parameters and moments ------------------------------------------------------------------

    @property
    def reported(self) -> Params:
        """The parameters that are reported: averaged iterates where averaging is on, encoders
        applied to all rows.
        """
        if all(group.encoder is None for group in self._local):
            return self.averaged
        source = self._start if self._state is None else self._state
        if self._encoded[0] is not source:
            self._encoded = (source, local.encoded(self, self.averaged))
        return self._encoded[1]

    @property
    def averaged(self) -> Params:
        """The parameters that a fit changes (of encoders, the weights), averaged where averaging
        is on.
        """
        if self._state is None or self._algorithm is None:
            return self._start
        return self._algorithm.report(self._state)

    @property
    def iterate(self) -> dict[str, np.ndarray]:
        """The raw iterate, from which :meth:`refine` continues, as NumPy arrays."""
        params = self._start if self._state is None else self._state.params
        return {name: np.array(value) for name, value in params.items()}

    def publish(self) -> Self:
        """Bring the shared variables up to date with the state; done by the loop when a callback
        is due.
        """
        for name, value in self.reported.items():
            array = np.array(value)
            if (
                name in self._shared
                and self._shared[name].get_value(borrow=True).shape == array.shape
            ):
                self._shared[name].set_value(array, borrow=True)
            else:
                self._shared[name] = pytensor.shared(array, name=name, shape=(None,) * array.ndim)
                self._statistics.clear()
        return self

    @property
    def shared_params(self) -> dict[str, Any]:
        """The reported parameters as PyTensor shared variables, by name."""
        return dict(self._shared)

    @property
    def params(self) -> list[Any]:
        """The reported parameters as a list of PyTensor shared variables."""
        return list(self._shared.values())

    @property
    def mean(self) -> Any:
        """Mean of q in the unconstrained space, symbolic, shape ``(D,)``; ``.eval()`` gives the
        current values.
        """
        return self._statistic("mean")

    @property
    def std(self) -> Any:
        """Standard deviations of q in the unconstrained space, symbolic, shape ``(D,)``."""
        return self._statistic("std")

    @property
    def cov(self) -> Any:
        """Covariance of q in the unconstrained space, symbolic, shape ``(D, D)``."""
        return self._statistic("cov")

    def _statistic(self, moment: str) -> Any:
        if moment not in self._statistics:
            self._statistics[moment] = statistic(self._family, moment, self._shared)
        return self._statistics[moment]

    def target(self, *, training: bool = False) -> Target:
        """The model's log density on the backend of the fit; ``training=True``: on its data and
        devices.
        """
        names = [value.name for value in self._model.value_vars]
        fitted = [slot.value_name for slot in self._layout]
        if names != fitted:
            raise ValueError(
                f"The model's free variables are now {', '.join(names)}, the approximation is one of "
                f"{', '.join(fitted)}: start a new fit."
            )
        setting = self._setting if training else self._full
        if self._local:
            setting = local.local_setting(self, setting)
        target = from_pymc(
            self._model, backend=self.backend, dtype=self._dtype, start=self._point, setting=setting
        )
        return (
            shared_by(target, self._devices) if training and self._devices is not None else target
        )

    # ---- copies ----------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        from vi.approximation.files.save import state_to_numpy

        kept = dict(
            self.__dict__, _shared={}, _statistics={}, _encoded=(None, {}), _local_rows=(None, {})
        )
        kept["_state"] = None if self._state is None else state_to_numpy(self._state)
        kept["_start"] = {name: np.array(value) for name, value in self._start.items()}
        kept["_history"] = History(self.hist)
        kept["_callbacks"], kept["_devices"] = (), None
        if self._stream is not None:  # threads and files
            kept["_stream"], kept["_missing"] = None, lost_data("data=", "pickle")
        kept["_running"], kept["_status"] = False, self.status_of_a_copy()
        return kept

    def status_of_a_copy(self) -> Status:
        """The status that a copy or a file made now has: a copy is never running."""
        if self._running:
            return Status(
                "interrupted",
                self._status.step,
                "a copy made during a run; refine() goes on from here.",
            )
        return self._status

    def __setstate__(self, kept: dict[str, Any]) -> None:
        from vi.approximation.files.save import state_from_numpy

        self.__dict__.update(kept)
        if self._state is not None:
            self._state = state_from_numpy(self._state)
        self.publish()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """An independent copy of the approximation of the *same* model."""
        twin = type(self).__new__(type(self))
        kept = self.__getstate__()
        kept["_callbacks"], kept["_devices"] = self._callbacks, self._devices
        kept["_stream"], kept["_missing"] = self._stream, self._missing
        kept["_point"] = copy.copy(self._point)
        twin.__setstate__(kept)
        return twin


def _precision_of(model: pm.Model, dtype: Any) -> np.dtype:
    """The precision that is asked for, or the widest floating type among the model's free
    variables.
    """
    if isinstance(model, DensityModel):
        if dtype is not None and resolve_dtype(dtype) != model.dtype:
            raise ValueError(
                f"dtype={dtype!r}, but the precision of a log density's fit is that of its init, {model.dtype.name}. "
                f"Make init of that type: jax.tree.map(lambda leaf: np.asarray(leaf, {dtype!r}), init)."
            )
        return model.dtype
    if dtype is not None:
        return resolve_dtype(dtype)
    return np.result_type(*(np.dtype(value.dtype) for value in model.value_vars))
