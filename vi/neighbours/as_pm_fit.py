"""``pm.fit`` as ``vi.fit``, for code that calls it by itself."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from pymc.variational.inference import Inference as PymcInference

from vi.approximation import Approximation
from vi.inference.contract import check_arguments
from vi.inference.default_method import arguments_of
from vi.inference.fit import fit
from vi.inference.inference import Inference
from vi.inference.inference_from import class_of
from vi.inference.methods import METHODS
from vi.inference.pymc_arguments import check_retired
from vi.inference.run_options import RunOptions
from vi.neighbours.exchange import instead_of_pm_fit
from vi.neighbours.merged import PLAIN, merged, takes

__all__ = ["as_pm_fit"]

logger = logging.getLogger("vi")

OF_CALLS = ("model", "init", "constraints")
"""Arguments of ``vi.fit`` that say what is fitted, which each call does."""


def as_pm_fit(
    method: str | type[Inference] | None = None, **options: Any
) -> AbstractContextManager[list[Approximation]]:
    """Inside, ``pm.fit`` is ``vi.fit``: for libraries on top of PyMC that call it themselves.

    The exchange is undone at the end, by an exception too. It holds under every name that a module
    has for ``pm.fit``, and for the whole process: threads that are started inside see it, and a
    second one that enters is refused. Nested, the options of the inner one hold, all of them, and
    then those of the outer one again. The signature of ``pm.fit`` is kept.

    A method that neither says is ``"advi"``, as in PyMC. What is said here goes before what a call
    says, which may be written in a library; the log tells where they differ. If the methods
    differ, what the call says of the steps of its own is left out, and the log says that too:
    `obj_optimizer`, `obj_n_mc` and other settings of steps, `inf_kwargs` that the class does not
    take, PyMC's ``CheckParametersConvergence``, ``n`` where the method has a number of its own
    (``"bam"``), and what needs steps (`callbacks`) where it has none. An inference object of PyMC
    itself, ``method=pm.KLqp(...)``, is run by PyMC, and the log says so.

    Parameters
    ----------
    method : str or class, optional
        As in :func:`vi.fit`: ``"auto"``, ``"fullrank_advi"``, ... An inference object is refused,
        since it has a model.
    **options
        More arguments of :func:`vi.fit`, all but `model`, `init` and `constraints`. They are
        checked here, before anything is fitted.

    Returns
    -------
    context manager
        It gives a list, to which each fit adds its approximation as it ends.

    Raises
    ------
    TypeError, ValueError
        If an argument is unknown, has an impossible value, or is none of the method.
    RuntimeError
        On entry, if another thread is inside.

    Examples
    --------
    >>> import pymc as pm, vi
    >>> def of_another_library():
    ...     with pm.Model():
    ...         mu = pm.Normal("mu", 0.0, 10.0)
    ...         y = pm.Normal("y", mu, 1.0, observed=[4.0, 6.0])
    ...         return pm.fit(20_000, method="advi", progressbar=False)
    >>> with vi.as_pm_fit("auto", random_seed=1) as fits:
    ...     approx = of_another_library()
    >>> approx.diagnosis.verdict, fits[0] is approx
    ('good', True)
    """
    if method is not None:
        options["method"] = method
    _check(options)
    return _exchanged(options)


@contextmanager
def _exchanged(options: Mapping[str, Any]) -> Iterator[list[Approximation]]:
    """What :func:`as_pm_fit` returns, of checked options."""
    fits: list[Approximation] = []

    def call(pm_fit: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        given = inspect.signature(pm_fit).bind(*args, **kwargs).arguments
        given |= given.pop("kwargs", {})
        if isinstance(given.get("method"), PymcInference):
            logger.info("method=%r is PyMC's own inference object: PyMC runs it.", given["method"])
            return pm_fit(*args, **kwargs)
        arguments, note = merged(given, options)
        if note:
            logger.info("vi.as_pm_fit: %s.", note)
        approx = fit(**arguments)
        fits.append(approx)
        return approx

    with instead_of_pm_fit(call):
        yield fits


def _check(options: Mapping[str, Any]) -> None:
    """Refuse what no fit takes, or none by the method."""
    known = inspect.signature(fit).parameters
    method, more = options.get("method"), options.get("inf_kwargs") or {}
    own = [name for name in options if name in OF_CALLS]
    if own:
        raise TypeError(f"{', '.join(own)}: each call of pm.fit says what is fitted; leave it out.")
    if isinstance(method, Inference):
        raise TypeError(
            f"method={method!r} has a model already, and calls of pm.fit have theirs: give a name "
            f"or the class, {type(method).__name__}."
        )
    unknown = {name: value for name, value in options.items() if name not in known}
    check_retired(unknown, "as_pm_fit", known, arguments_of(method))
    run = inspect.signature(RunOptions.checked).parameters
    checked = RunOptions.checked(**{n: options.get(n, known[n].default) for n in run})
    if not isinstance(more, Mapping):
        raise TypeError(f"inf_kwargs={more!r}: give a dict of arguments of the method's class.")
    if method is not None:
        kind = class_of(method, estimator=options.get("estimator"))
        kind.check_options(checked)
        check_arguments(kind, {"model": None}, more)
    for name in more if method is None else ():
        if not any(takes(kind, name) for kind in METHODS.values()):
            check_arguments(class_of(PLAIN), {}, {name: more[name]})
