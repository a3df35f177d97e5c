"""The one-liner: ``vi.fit()``."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol, Unpack, overload

import jax
import numpy as np
import pymc as pm

from vi.approximation import Approximation
from vi.inference.contract import check_arguments
from vi.inference.inference import Inference
from vi.inference.methods import METHODS
from vi.inference.pymc_arguments import RetiredOfFit, check_retired
from vi.inference.run_options import RunOptions
from vi.objectives import Objective
from vi.optimizers import Averaging
from vi.targets import from_function
from vi.targets.model.checks import model_in_context
from vi.training import Callback

__all__ = ["fit"]


class _Fit[**P](Protocol):
    """What ``vi.fit`` takes: its arguments, perhaps after a log density or a model."""

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Approximation: ...

    @overload
    def __call__(
        self, density: Callable[..., Any] | pm.Model, /, *args: P.args, **kwargs: P.kwargs
    ) -> Approximation: ...


def _density_first[**P](function: Callable[P, Approximation]) -> _Fit[P]:
    """Let a log density or a model come before the other arguments, whose order is PyMC's."""

    @functools.wraps(function)
    def fit(*args: Any, **kwargs: Any) -> Approximation:
        given = args[0] if args else None
        if not isinstance(given, pm.Model) and (isinstance(given, type) or not callable(given)):
            return function(*args, **kwargs)
        if len(args) > 3 or kwargs.get("model") is not None:
            what = "the model" if isinstance(given, pm.Model) else "a log density"
            raise TypeError(
                f"With {what} first, vi.fit takes n and method by position, and no model=: the "
                "rest by name."
            )
        kwargs |= dict(zip(("n", "method"), args[1:], strict=False))
        kwargs["model"] = given if isinstance(given, pm.Model) else _density_model(given, kwargs)
        return function(**kwargs)  # type: ignore[call-arg]

    return fit


def _density_model(density: Any, options: dict[str, Any]) -> pm.Model:
    """The model of a log density; its own arguments are taken from the others."""
    own = {name: options.pop(name, None) for name in ("init", "constraints", "data", "batch_size")}
    if own["init"] is None:
        raise TypeError(
            "A log density needs init=, a pytree of arrays where the fit starts: "
            "vi.fit(log_density, init=...). A "
            "NumPyro model: vi.fit(model=vi.targets.from_numpyro(model, ...))."
        )
    return from_function(density, own.pop("init"), **own)


@_density_first
def fit(
    n: int | None = None,
    method: str | type[Inference] | Inference = "advi",
    model: pm.Model | None = None,
    random_seed: Any = None,
    start: Mapping[str, Any] | None = None,
    start_sigma: Mapping[str, Any] | None = None,
    inf_kwargs: Mapping[str, Any] | None = None,
    *,
    init: Any = None,
    constraints: Any = None,
    callbacks: Sequence[Callback] | None = None,
    progressbar: bool = True,
    obj_optimizer: Any = None,
    obj_n_mc: int | None = None,
    backend: str | None = "auto",
    dtype: str | np.dtype | None = None,
    estimator: str | type[Objective] | Objective | None = None,
    averaging: Averaging | str | None = "auto",
    score: bool | None = None,
    include_transformed: bool = False,
    total_grad_norm_constraint: float | None = None,
    more_replacements: Mapping[Any, Any] | None = None,
    data: Any = None,
    batch_size: int | None = None,
    scale: Any = None,
    mesh: jax.sharding.Mesh | None = None,
    devices: Any = None,
    restarts: int = 1,
    diagnose: bool | Mapping[str, Any] = False,
    **retired: Unpack[RetiredOfFit],
) -> Approximation:
    """Fit a PyMC model, or a JAX log density, by variational inference.

    A log density (a JAX function of a pytree) comes first, before ``n``: ``vi.fit(log_density,
    5000, init=...)``. A model may, too.

    Parameters
    ----------
    n : int, optional
        Steps (of DADVI, Laplace and Pathfinder, the most iterations): 10,000 by default, 60 of
        ``"bam"``; 0 initialises only.
    method : str, class or instance
        ``"advi"``, ``"fullrank_advi"``, ``"lowrank_advi"``, ``"nfvi"``, ``"svgd"``, ``"asvgd"``,
        ``"bam"``, ``"dadvi"``, ``"laplace"``, ``"pathfinder"``, an :class:`vi.Inference` class, or
        an instance of one (which goes on from where it is, unless a start or a seed is given).
    model : pymc.Model, optional
        The model; the one in context by default.
    random_seed : int, optional
        Seed of everything random in the fit: the same seed gives the same result, bit for bit.
    start, start_sigma : dict, optional
        Where q starts, and how wide; see :class:`vi.Approximation`.
    inf_kwargs : dict, optional
        More arguments of the inference class, ``dict(n_particles=500)`` for ``"svgd"`` for example.
    init, constraints
        Of a log density: where the fit starts, and where parameters may lie; with `data` and
        `batch_size` they are those of :func:`vi.targets.from_function`.
    callbacks : sequence of callables, optional
        Each is called as ``callback(approx, losses, i)`` after step ``i``.
    progressbar : bool
        Whether to show progress.
    obj_optimizer : optax.GradientTransformation, optional
        The optimiser; :func:`vi.scale_free_adam` with averaged iterates by default.
    obj_n_mc : int, optional
        Draws a step; by default the number that suits the method.
    backend : {"auto", "jax", "pytensor"}
        What evaluates the model.
    dtype : {"float64", "float32"}, optional
        Precision of the whole fit; the model's own by default.
    estimator : str, optional
        Estimator of the ELBO; see :class:`vi.KLqp`.
    averaging, score, include_transformed, total_grad_norm_constraint
        See :meth:`vi.Inference.fit`.
    more_replacements, data, batch_size, scale
        Batches, and data larger than memory: see :meth:`vi.Inference.fit`.
    mesh : jax.sharding.Mesh, optional
        Devices that share the fit, each working on its part of the rows; the numbers are those of
        one device up to rounding.
    devices : int, list of jax.Device or "all", optional
        The same without a mesh: the first so many of ``jax.devices()``, these, or all.
    restarts : int
        Fits from so many starts, all at once; the best by ELBO is kept, and the status says whether
        they agree.
    diagnose : bool or dict
        Whether the fit is judged at the end, as by :meth:`vi.Approximation.diagnose`, whose
        arguments may be given as a dict. The verdict is in the status and in
        :attr:`vi.Approximation.diagnosis`.
    **retired
        Arguments of PyMC that have no meaning here: without effect, or a ``TypeError`` says why;
        see :class:`vi.inference.pymc_arguments.RetiredArguments`.

    Returns
    -------
    Approximation
        Draw from it with :meth:`~vi.Approximation.sample`, look at it with
        :meth:`~vi.Approximation.summary`.

    Raises
    ------
    TypeError
        If there is no model, or an argument is of the wrong kind.
    ValueError
        If the model cannot be fitted, or an argument has an impossible value.
    vi.DivergedError
        If a loss or a parameter stops being finite.

    Examples
    --------
    >>> import pymc as pm, vi
    >>> with pm.Model():
    ...     mu = pm.Normal("mu", 0.0, 10.0)
    ...     y = pm.Normal("y", mu, 1.0, observed=[4.0, 6.0])
    ...     approx = vi.fit(method="advi", random_seed=1, progressbar=False)
    >>> approx.status.ending
    'max_steps'

    >>> import jax.numpy as jnp
    >>> approx = vi.fit(
    ...     lambda x: -0.5 * jnp.sum((x - 3.0) ** 2),
    ...     init=jnp.zeros(2),
    ...     random_seed=1,
    ...     progressbar=False,
    ... )
    >>> approx.mean.eval().round(1)
    array([3., 3.], dtype=float32)
    """
    check_retired(retired, "fit", locals(), _arguments_of(method))
    if init is not None or constraints is not None:
        raise TypeError(
            "init and constraints are those of a log density, which comes first: "
            "vi.fit(fn, init=...)."
        )
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
        mesh=mesh,
        devices=devices,
        restarts=restarts,
        diagnose=diagnose,
    )
    arguments = {
        "start": start,
        "start_sigma": start_sigma,
        "random_seed": random_seed,
        "dtype": dtype,
        "estimator": estimator,
        "scale_cost_to_minibatch": retired.get("scale_cost_to_minibatch"),
    }
    arguments = {name: value for name, value in arguments.items() if value is not None}
    if inf_kwargs is not None and not isinstance(inf_kwargs, Mapping):
        raise TypeError(
            f"inf_kwargs={inf_kwargs!r}: give a dict of arguments of the inference class by name."
        )
    more = dict(inf_kwargs or {})
    twice = more.keys() & (arguments.keys() | ({"model"} if model is not None else set()))
    if twice:
        raise TypeError(
            f"{', '.join(sorted(twice))} is given twice, as an argument of fit and in inf_kwargs."
        )
    model = more.pop("model", model)
    inference, restart = _inference(method, model, arguments, more)
    return inference.run(options, restart)


def _arguments_of(method: Any) -> Collection[str]:
    """The names of the arguments of a method's class."""
    kind = METHODS.get(method.lower()) if isinstance(method, str) else method
    if not (isinstance(kind, type) and issubclass(kind, Inference)):
        return ()
    return inspect.signature(kind).parameters


def _inference(
    method: Any, model: pm.Model | None, arguments: dict[str, Any], more: dict[str, Any]
) -> tuple[Inference, dict[str, Any] | None]:
    """The inference object that is meant by ``method``, and from where one that was given restarts.

    Parameters
    ----------
    method : str, class or Inference
        A name, a class, or an object, which goes on from where it is unless told otherwise.
    model : pymc.Model or None
        The model that was given.
    arguments : dict
        Arguments of ``fit`` for the class.
    more : dict
        Those of ``inf_kwargs``.
    """
    if isinstance(method, Inference):
        return method, _restart_of(method, model, arguments | more)
    if isinstance(method, str):
        if method.lower() not in METHODS:
            raise ValueError(
                f"method={method!r} is unknown; use {', '.join(map(repr, METHODS))}, a class or an "
                "instance."
            )
        method = METHODS[method.lower()]
    if not (isinstance(method, type) and issubclass(method, Inference)):
        raise TypeError(
            f"method must be a name ({', '.join(METHODS)}), an Inference class or an instance; got "
            f"{method!r}."
        )
    if "estimator" in arguments and not method.estimators:
        raise TypeError(
            f"estimator={arguments['estimator']!r}: {method.__name__} has no ELBO to estimate."
        )
    own = {"model": model_in_context(model)} | arguments
    check_arguments(method, own, more)
    return method(**own, **more), None


def _restart_of(
    inference: Inference, model: pm.Model | None, arguments: dict[str, Any]
) -> dict[str, Any] | None:
    """Start and seed from which an inference object that was given begins anew, if any."""
    if model is not None and model is not inference.approx.model:
        raise ValueError(
            "model= is not the model of the inference object that was given; leave it out."
        )
    restart = {name: arguments.pop(name, None) for name in ("start", "start_sigma", "random_seed")}
    arguments.pop("scale_cost_to_minibatch", None)
    if arguments:
        raise TypeError(
            f"{', '.join(arguments)} cannot be changed on an inference object; give it to its "
            "constructor."
        )
    return restart if any(value is not None for value in restart.values()) else None
