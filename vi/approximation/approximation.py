"""The live approximation: what a fit improves, and what everything afterwards asks."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

import jax
import numpy as np
import pymc as pm
import pytensor
import xarray as xr

from vi.algorithms.base import Algorithm, State
from vi.approximation.draws import density, draw, fit_record, to_datatree
from vi.approximation.groups import Group, product_of
from vi.approximation.seeds import START, key_from, resolve_seed
from vi.approximation.start import START_STD, start_point, start_std
from vi.approximation.statistics import statistic
from vi.families import Family, Params, Part, Product
from vi.layout import Layout
from vi.precision import precision, resolve_dtype
from vi.targets.base import Target
from vi.targets.checks import check_initial_density, check_variables, model_in_context
from vi.targets.graph import layout_from
from vi.targets.pymc import from_pymc
from vi.training.history import History
from vi.training.loop import Callback, check_callbacks
from vi.training.status import Status

__all__ = ["Approximation"]


class Approximation:
    """A family fitted to a model: live from construction, during a run and after it.

    Parameters
    ----------
    family : Family or sequence of Group
        What q is: one family for all variables, or groups of variables with a family each.
    model : pymc.Model, optional
        The model; the one in context by default.
    start : dict of {str: value}, optional
        Where q starts, by name of a variable (constrained value) or of its value variable (``"sigma_log__"``,
        unconstrained value); the model's initial point where nothing is given.
    start_sigma : dict of {str: value}, optional
        Standard deviations of q at the start, unconstrained, by name; ``softplus(0) = 0.693`` where nothing is given.
    random_seed : int, optional
        Seed of everything random in the fit. ``None`` takes one from the operating system; it is kept in
        :attr:`random_seed`.
    dtype : {"float64", "float32"}, optional
        Precision of the whole fit; the model's own by default.

    Raises
    ------
    ValueError
        If the model has discrete or no free variables, if a start value has an unknown name or a wrong shape, or if
        the log density at the start is not finite.
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
        self._groups = None if isinstance(family, Family) else _checked_groups(family)
        self._model = model
        if isinstance(family, Family):
            self._family = family
        self._dtype = _model_dtype(model) if dtype is None else resolve_dtype(dtype)
        self.scale_cost_to_minibatch = scale_cost_to_minibatch
        self.include_transformed = False
        self.backend = "auto"
        self._algorithm: Algorithm | None = None
        self._state: State | None = None
        self._callbacks: tuple[Callback, ...] = ()
        self._score = True
        self._replacements: dict[Any, Any] = {}
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
        """Go back to a start: parameters, seed and history, but not the settings of the last run."""
        self.check_idle()
        seed = resolve_seed(random_seed)
        point = start_point(self._model, start, seed)
        check_initial_density(self._model, point)
        layout = layout_from(self._model, point)
        std = start_std(self._model, layout, start_sigma, self._dtype, self._default_std)
        if self._groups is not None:
            self._family = product_of(self._groups, layout)
        with precision(self._dtype):
            mean = jax.numpy.asarray(layout.flatten(point, self._dtype))
            params = self._family.init(mean, jax.numpy.asarray(std), key_from(seed, START))
        self._layout: Layout = layout
        self._point = point
        self._seed = seed
        self._start: Params = params
        self._state = None
        self._history = History()
        self._status = Status("initialised", 0, "nothing was fitted yet.")
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
                "This approximation is being fitted: fit, refine and restart cannot be called on it from a callback or "
                "another thread. Use copy.deepcopy(approx) there."
            )

    # ---- what it is -------------------------------------------------------------------------------------------------

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
        """The groups of variables and their families; one group of everything where there are no others."""
        if isinstance(self._family, Product):
            return self._family.parts
        return (Part("all", self._family, ((0, self.ndim),)),)

    def freeze(self, *groups: str) -> Self:
        """Leave these groups as they are in the fits to come, by group name or by a variable's name.

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
        from vi.approximation.freezing import freeze

        freeze(self, groups, frozen)
        return self

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
        """The loss of every step so far; ``settings()["loss"]`` says what it is (minus the ELBO of the full data)."""
        return self._history.values

    @property
    def state(self) -> State | None:
        """The run's whole state, a pytree; ``None`` before the first fit."""
        return self._state

    def __repr__(self) -> str:
        names = ", ".join(self._layout.names)
        return f"<Approximation {self._family.short_name} of {names} (D={self.ndim}), {self._status}>"

    # ---- parameters and moments -------------------------------------------------------------------------------------

    @property
    def reported(self) -> Params:
        """The parameters that are reported: the averaged iterates where averaging is on."""
        if self._state is None or self._algorithm is None:
            return self._start
        return self._algorithm.report(self._state)

    @property
    def iterate(self) -> dict[str, np.ndarray]:
        """The raw iterate, from which :meth:`refine` continues, as NumPy arrays."""
        params = self._start if self._state is None else self._state.params
        return {name: np.array(value) for name, value in params.items()}

    def publish(self) -> Self:
        """Bring the shared variables up to date with the state; done by the loop when a callback is due."""
        for name, value in self.reported.items():
            array = np.array(value)
            if name in self._shared and self._shared[name].get_value(borrow=True).shape == array.shape:
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
        """Mean of q in the unconstrained space, symbolic, shape ``(D,)``; ``.eval()`` gives the current values."""
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

    # ---- densities --------------------------------------------------------------------------------------------------

    def target(self, *, training: bool = False) -> Target:
        """The model's log density on the backend of the fit; ``training=True`` applies the fit's replacements."""
        names = [value.name for value in self._model.value_vars]
        fitted = [slot.value_name for slot in self._layout]
        if names != fitted:
            raise ValueError(
                f"The model's free variables are now {', '.join(names)}, the approximation is one of "
                f"{', '.join(fitted)}: start a new fit."
            )
        return from_pymc(
            self._model,
            backend=self.backend,
            dtype=self._dtype,
            more_replacements=self._replacements if training else None,
            start=self._point,
        )

    def logp(self, z: Any) -> np.ndarray:
        """Return the model's log density (unnormalised, Jacobians included) at unconstrained points ``(..., D)``."""
        points = self._points(z)
        return self.target().log_prob(points)

    def logq(self, z: Any) -> np.ndarray:
        """Return ``log q`` at unconstrained points ``(..., D)``."""
        return density(self._family, self.reported, self._points(z), self._dtype)

    def _points(self, z: Any) -> np.ndarray:
        points = np.asarray(z, self._dtype)
        if points.ndim == 0 or points.shape[-1] != self.ndim:
            raise ValueError(f"Points must have shape (..., {self.ndim}), got {points.shape}.")
        return points

    # ---- draws ------------------------------------------------------------------------------------------------------

    def sample(
        self,
        draws: int = 500,
        *,
        random_seed: Any = None,
        log_prob: bool = True,
        store_data: bool = True,
        include_transformed: bool | None = None,
        return_inferencedata: bool = True,
    ) -> xr.DataTree:
        """Draw from q.

        Parameters
        ----------
        draws : int
            Number of draws.
        random_seed : int, optional
            Seed of the draws; new ones at every call by default.
        log_prob : bool
            Whether to compute ``log p`` and ``log q`` of every draw (``sample_stats``); log p is that of the model's
            present data, log q is left out where q has no density (particles).
        store_data : bool
            Whether to copy observed and constant data into the result.
        include_transformed : bool, optional
            Whether to add the unconstrained values; by default as told to ``fit``.
        return_inferencedata : bool
            Always true; accepted because PyMC has it.

        Returns
        -------
        xarray.DataTree
            Groups ``posterior`` (constrained variables and deterministics, one chain), ``sample_stats`` (``log_p``,
            ``log_q``), ``observed_data``, ``constant_data``, ``fit`` (the loss trace, and the settings as attributes).
        """
        if isinstance(draws, bool) or not isinstance(draws, int | np.integer) or draws < 1:
            raise ValueError(f"draws={draws!r}: must be a whole number of at least 1.")
        if not return_inferencedata:
            raise TypeError(
                "return_inferencedata=False: draws come as a DataTree only; its `posterior` holds the arrays."
            )
        seed = resolve_seed(random_seed)
        points, log_q = draw(self._family, self.reported, seed, int(draws), self._dtype, density=log_prob)
        target = self.target()
        posterior = target.constrain(points)
        if self.include_transformed if include_transformed is None else include_transformed:
            posterior |= {name: v for name, v in self._layout.unflatten(points).items() if name not in posterior}
        stats = {"log_p": self._log_p_of(points, target)} if log_prob else {}
        stats |= {} if log_q is None else {"log_q": log_q}
        return to_datatree(self._model, posterior, stats, fit_record(self.hist, self.settings()), store_data)

    def _log_p_of(self, points: np.ndarray, target: Target) -> np.ndarray:
        try:
            return target.log_prob(points)
        except (TypeError, ValueError) as error:
            raise ValueError(
                "log p cannot be evaluated on the model's present data (changed by pm.set_data, for predictions?): "
                "sample(log_prob=False) leaves it out."
            ) from error

    def summary(self, draws: int = 4000, *, random_seed: Any = 0, var_names: Sequence[str] | None = None) -> Any:
        """Constrained means, standard deviations and 5, 50 and 95 % quantiles, computed from draws.

        Parameters
        ----------
        draws : int
            Number of draws behind the table; the Monte-Carlo error of a mean is ``sd / sqrt(draws)``.
        random_seed : int, optional
            Seed of the draws.
        var_names : sequence of str, optional
            Variables to show; all by default.

        Returns
        -------
        pandas.DataFrame
            One row a scalar, columns ``mean``, ``sd``, ``q5``, ``median``, ``q95``.
        """
        from vi.approximation.summary import summary_table

        return summary_table(self.sample(draws, random_seed=random_seed, log_prob=False, store_data=False), var_names)

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

        The result is symbolic. Every evaluation draws anew, from q as it is at that moment; gradients with respect to
        :attr:`shared_params` are those of the draws for given noise.

        Parameters
        ----------
        node : Variable, or list, tuple or dict of them
            Expressions of the model's variables (random variables, deterministics, value variables, the model's log
            density), also ones written after the fit. Several nodes share their draws. Observed variables are drawn
            given their parents.
        size : int or symbolic integer scalar, optional
            Number of draws, a new leading dimension (called ``draw`` where dimensions have names); by default one draw
            without a new dimension.
        deterministic : bool
            Whether to take the mean of q (in the unconstrained space) in place of draws. Observed variables are still
            drawn.
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
            If a node does not depend on a free variable, if a replaced variable is not in the graph or is a free
            variable, or if ``size`` is below 1.
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
        >>> new = approx.sample_node(y, size=100, more_replacements={x: [3.0, 4.0, 5.0]}, random_seed=1)
        >>> new.eval().shape
        (100, 3)
        """
        from vi.approximation.nodes import sample_node

        return sample_node(self, node, size, deterministic, more_replacements, random_seed)

    def settings(self) -> dict[str, Any]:
        """How it was fitted, as plain values."""
        from vi.approximation.storage import describe_settings

        return describe_settings(self)

    # ---- going on, keeping ------------------------------------------------------------------------------------------

    def refine(self, n: int, *, progressbar: bool = True, callbacks: Sequence[Callback] | None = None) -> Self:
        """Go on for ``n`` more steps with the optimiser's state; the same as one longer fit.

        Parameters
        ----------
        n : int
            Steps.
        progressbar : bool
            Whether to show progress.
        callbacks : sequence of callables, optional
            Callbacks of this run; those of the fit by default.

        Raises
        ------
        TypeError
            If nothing was fitted yet.
        """
        from vi.approximation.advance import advance

        hooks = self._callbacks if callbacks is None else check_callbacks(callbacks)
        if self._state is None:
            raise TypeError("refine() goes on with a fit, and there was none yet: call fit() first.")
        advance(self, n, hooks, progressbar=progressbar)
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the approximation, its run and its loss trace to one file without code in it.

        Read it back with :func:`vi.load`. The model is not stored: it is code.
        """
        from vi.approximation.storage import save

        save(self, path)

    def __getstate__(self) -> dict[str, Any]:
        from vi.approximation.storage import state_to_numpy

        kept = dict(self.__dict__, _shared={}, _statistics={})
        kept["_state"] = None if self._state is None else state_to_numpy(self._state)
        kept["_start"] = {name: np.array(value) for name, value in self._start.items()}
        kept["_history"] = History(self.hist)
        kept["_callbacks"] = ()
        kept["_running"], kept["_status"] = False, self.status_of_a_copy()
        return kept

    def status_of_a_copy(self) -> Status:
        """The status that a copy or a file made now has: a copy is never running."""
        if self._running:
            return Status("interrupted", self._status.step, "a copy made during a run; refine() goes on from here.")
        return self._status

    def __setstate__(self, kept: dict[str, Any]) -> None:
        from vi.approximation.storage import state_from_numpy

        self.__dict__.update(kept)
        if self._state is not None:
            self._state = state_from_numpy(self._state)
        self.publish()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """An independent copy of the approximation of the *same* model."""
        twin = type(self).__new__(type(self))
        kept = self.__getstate__()
        kept["_callbacks"] = self._callbacks
        kept["_point"] = copy.copy(self._point)
        twin.__setstate__(kept)
        return twin


def _checked_groups(groups: Any) -> tuple[Group, ...]:
    """The groups as a tuple; refuse what is neither a family nor a list of groups."""
    if isinstance(groups, Group):
        groups = [groups]
    if not isinstance(groups, Sequence) or not groups or not all(isinstance(group, Group) for group in groups):
        raise TypeError(
            f"Expected an instance of a family (vi.families.FullRank()) or a list of vi.Group, got {groups!r}."
        )
    return tuple(groups)


def _model_dtype(model: pm.Model) -> np.dtype:
    """The widest floating type among the model's free variables."""
    return np.result_type(*(np.dtype(value.dtype) for value in model.value_vars))
