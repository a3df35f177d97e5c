"""Which method a fit has that names none: the one that chooses, or ADVI where it is asked for."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Collection, Mapping
from typing import Any

from vi.inference.inference import Inference
from vi.inference.methods import METHODS
from vi.inference.run_options import RunOptions
from vi.models.density_model import own_groups

__all__ = ["CHOOSES", "arguments_of", "default_method"]

logger = logging.getLogger("vi")

CHOOSES = "auto"
"""The method of a fit that names none."""

PLAIN = "advi"
"""The method of such a fit with arguments that are said of the steps of one method."""

OF_ONE_METHOD = (
    "obj_optimizer",
    "obj_n_mc",
    "averaging",
    "total_grad_norm_constraint",
    "estimator",
    "start_sigma",
    "more_replacements",
    "scale_cost_to_minibatch",
    "tf_n_mc",
    "restarts",
    "mesh",
    "devices",
)
"""Arguments that only one method's steps have, or that calls of ``pm.fit`` have for its steps."""


def default_method(
    options: RunOptions,
    arguments: Mapping[str, Any],
    inf_kwargs: Mapping[str, Any],
    model: Any = None,
) -> str:
    """The method that arguments of ``fit`` mean, if it is not said; the log says so if it is ADVI.

    Parameters
    ----------
    options : RunOptions
        The options of the run.
    arguments : mapping
        The other arguments that were given, by name.
    inf_kwargs : mapping
        Those of the method's class.
    model : pymc.Model, optional
        The model, where it was given; one whose variables have families of their own is fitted by
        ADVI.

    Raises
    ------
    TypeError
        If some arguments mean one method and some the other.
    """
    given = options.given | arguments.keys() | inf_kwargs.keys()
    if not options.averaging_is_open:
        given |= {"averaging"}
    own = own_groups(model)
    if own:
        logger.info("method=%r, since the model has %s.", PLAIN, own)
        return PLAIN
    said = [name for name in OF_ONE_METHOD if name in given]
    # what neither takes is refused by the one that chooses, whose arguments the message names
    plain, chooses = (_own_arguments_of(METHODS[name]) for name in (PLAIN, CHOOSES))
    said += [name for name in inf_kwargs if name in plain - chooses and name not in said]
    if not said:
        return CHOOSES
    others = [name for name in inf_kwargs if name in chooses - plain]
    if others:
        raise TypeError(
            f"{', '.join(said)} would mean method={PLAIN!r}, which does not take "
            f"{', '.join(others)} of method={CHOOSES!r}. Leave out the ones or the others."
        )
    logger.info(
        "method=%r, since %s: no method= was given, and the stages of %r have settings of their "
        "own.",
        PLAIN,
        ", ".join(f"{name}=" for name in said) + (" is" if len(said) == 1 else " are") + " given",
        CHOOSES,
    )
    return PLAIN


def arguments_of(method: Any) -> Collection[str]:
    """The names of the arguments of a method's class; ``None`` is the method of a bare fit."""
    if method is None:
        return [*arguments_of(CHOOSES), *arguments_of(PLAIN)]
    kind = METHODS.get(method.lower()) if isinstance(method, str) else method
    if not (isinstance(kind, type) and issubclass(kind, Inference)):
        return ()
    return inspect.signature(kind).parameters


def _own_arguments_of(kind: type[Inference]) -> set[str]:
    """Those that a class has beside the ones that all have."""
    return set(inspect.signature(kind).parameters) - {"options"}
