"""The one-liner: ``vi.fit()``."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol, Unpack, overload

import jax
import numpy as np
import pymc as pm

from vi.approximation import Approximation
from vi.approximation.checkpoints.found import seed_of
from vi.inference.default_method import arguments_of, default_method
from vi.inference.inference import Inference
from vi.inference.inference_from import inference_from
from vi.inference.pymc_arguments import RetiredOfFit, check_retired
from vi.inference.run_options import RunOptions
from vi.objectives import Objective
from vi.optimizers import Averaging
from vi.targets import from_function
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
    method: str | type[Inference] | Inference | None = None,
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
    rewrite: bool = True,
    mesh: jax.sharding.Mesh | None = None,
    devices: Any = None,
    restarts: int = 1,
    diagnose: bool | Mapping[str, Any] = False,
    checkpoint: str | os.PathLike[str] | None = None,
    every: int | str | timedelta | None = None,
    keep: int | None = None,
    resume: bool | str | None = None,
    **retired: Unpack[RetiredOfFit],
) -> Approximation:
    """Fit a PyMC model, or a JAX log density, by variational inference.

    Without ``method`` it is ``"auto"``: a fit in stages that is checked at the end, so that what
    comes back has a verdict (:attr:`vi.Approximation.diagnosis`). Arguments that are said of the
    steps of one method mean ``"advi"``, as in calls of ``pm.fit``; see `method`.

    A log density (a JAX function of a pytree) comes first, before ``n``: ``vi.fit(log_density,
    5000, init=...)``. A model may, too.

    Parameters
    ----------
    n : int, optional
        Steps (of DADVI, Laplace and Pathfinder, the most iterations; of ``"auto"``, the most steps
        of a stage that makes steps): 10,000 by default, 60 of ``"bam"``; 0 initialises only.
    method : str, class or instance
        ``"auto"`` (the default, :class:`vi.Auto`), ``"advi"``, ``"fullrank_advi"``,
        ``"lowrank_advi"``, ``"structured_advi"``, ``"noncentred_advi"``, ``"nfvi"``, ``"svgd"``,
        ``"asvgd"``, ``"bam"``,
        ``"dadvi"``, ``"laplace"``, ``"structured_laplace"``, ``"integrated_laplace"``,
        ``"pathfinder"``, an :class:`vi.Inference` class, or an instance of one (which goes on
        from where it is, unless a start or a seed is given). Where it is not given,
        these mean ``"advi"``, and the log says so: `obj_optimizer`, `obj_n_mc`, `averaging`,
        `total_grad_norm_constraint`, `estimator`, `start_sigma`, `more_replacements`, `restarts`,
        `mesh`, `devices`, what `inf_kwargs` has for ``vi.ADVI`` alone (``beta``), and PyMC's
        ``scale_cost_to_minibatch`` and ``tf_n_mc``.
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
    rewrite : bool
        Whether sums over all rows become sums over fewer ones, where these are the same; see
        :meth:`vi.Inference.fit`.
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
    checkpoint, every, keep, resume
        A run that survives its process: see :meth:`vi.Inference.fit`. Without a `random_seed`, a
        fit goes on with the seed of the checkpoint that is there.
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
        If there is no model, or an argument is of the wrong kind; without `method`, if some
        arguments mean ``"advi"`` and others are those of ``"auto"``.
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
    ...     approx = vi.fit(random_seed=1, progressbar=False)
    >>> approx.diagnosis.verdict
    'good'

    ADVI, with an optimiser as in ``pm.fit``:

    >>> adam = vi.adam(learning_rate=0.05)
    >>> approx = vi.fit(
    ...     2_000, obj_optimizer=adam, model=approx.model, random_seed=1, progressbar=False
    ... )
    >>> approx.status.ending
    'max_steps'

    A log density:

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
    check_retired(retired, "fit", locals(), arguments_of(method))
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
    if random_seed is None and not isinstance(method, Inference):
        random_seed = seed_of(options.checkpoint)
    arguments = {
        "start": start,
        "start_sigma": start_sigma,
        "random_seed": random_seed,
        "dtype": dtype,
        "estimator": estimator,
        "scale_cost_to_minibatch": retired.get("scale_cost_to_minibatch"),
    }
    arguments = {name: value for name, value in arguments.items() if value is not None}
    named = isinstance(inf_kwargs, Mapping) and all(isinstance(name, str) for name in inf_kwargs)
    if inf_kwargs is not None and not named:
        raise TypeError(
            f"inf_kwargs={inf_kwargs!r}: give a dict of arguments of the inference class by name."
        )
    more = dict(inf_kwargs or {})
    twice = more.keys() & (arguments.keys() | ({"model"} if model is not None else set()))
    if twice:
        raise TypeError(
            f"{', '.join(sorted(twice))} is given twice, as an argument of fit and in inf_kwargs."
        )
    if method is None:
        said = {name: value for name, value in retired.items() if value is not None}
        method = default_method(options, arguments | said, more, more.get("model", model))
    model = more.pop("model", model)
    inference, restart = inference_from(method, model, arguments, more)
    return inference.run(options, restart)
