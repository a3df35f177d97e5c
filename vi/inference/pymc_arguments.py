"""PyMC's arguments that mean nothing here: the only list of them, each explained or refused."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypedDict

from vi.approximation.record.pymc_names import OF_OPTIONS
from vi.foundation.arguments import unexpected
from vi.foundation.numbers import check_count, flag

__all__ = ["RetiredArguments", "RetiredOfFit", "check_retired"]


class RetiredArguments(TypedDict, total=False):
    """Arguments that ``pm.fit`` and PyMC's inference classes take, and that need nothing here.

    Parameters
    ----------
    scale_cost_to_minibatch : bool
        The loss is that of the full data in either case.
    tf_n_mc : int
        Draws for test functions, which the objectives here do not have.
    compile_kwargs, fn_kwargs
        Without effect; a warning says what replaces them.
    test_optimizer, more_obj_params, more_tf_params, more_updates, local_rv
        Not supported; a ``TypeError`` says why.
    """

    scale_cost_to_minibatch: bool | None
    tf_n_mc: int | None
    compile_kwargs: Mapping[str, Any] | None
    fn_kwargs: Mapping[str, Any] | None
    test_optimizer: Any
    more_obj_params: Any
    more_tf_params: Any
    more_updates: Any
    local_rv: Any


class RetiredOfFit(RetiredArguments, total=False):
    """The same, with what stands by name in the signature of :meth:`vi.Inference.fit`."""

    progressbar_theme: Any


REPLACED = {
    "compile_kwargs": "backend= chooses what compiles the model",
    "fn_kwargs": "backend= chooses what compiles the model; run_profiling() times it",
    "progressbar_theme": "the bar uses rich's own theme",
}
"""Without effect, and what replaces them."""

REFUSED = {
    "test_optimizer": (
        "there are no test functions to optimise; obj_optimizer is the only optimiser"
    ),
    "more_obj_params": "parameters belong to the family; write a vi.families.Family that has them",
    "more_tf_params": "there are no test functions with parameters",
    "more_updates": (
        "a step is one compiled function without side updates; use a callback instead"
    ),
    "local_rv": OF_OPTIONS["local_rv"].removesuffix("."),
}
"""What would change the result in PyMC and cannot here, and why."""

LIBRARY = str(Path(__file__).parents[1])


def check_retired(
    given: RetiredArguments | Mapping[str, Any],
    function: str,
    arguments: Mapping[str, Any],
    of_method: Collection[str] = (),
) -> None:
    """Warn about arguments without effect, refuse those that would need one, and typing errors.

    Parameters
    ----------
    given : mapping
        What was given beyond the arguments of the function.
    function : str
        Its name, for the message.
    arguments : mapping
        Its arguments by name, for the message on a name that is unknown.
    of_method : collection of str
        Arguments of the method's class, which are given in another way.

    Raises
    ------
    TypeError
        If an argument is unknown, or cannot be supported.
    """
    for name, value in given.items():
        if name not in RetiredOfFit.__annotations__:
            hint = ""
            if name in of_method:
                hint = f"It is one of the method: inf_kwargs={{{name!r}: ...}}."
            raise unexpected(function, name, arguments, hint)
        if value is None:
            continue
        if name in REFUSED:
            raise TypeError(f"{name} is not supported: {REFUSED[name]}.")
        if name == "scale_cost_to_minibatch":
            flag(name, value)
        if name == "tf_n_mc":
            check_count(name, value)
        if name in REPLACED:
            # attributed to the user's line, whichever door the argument came through
            warnings.warn(
                f"{name} has no effect: {REPLACED[name]}.",
                UserWarning,
                skip_file_prefixes=(LIBRARY,),
            )
