"""The inference object that ``method=`` means: a name, a class, or one that is there already."""

from __future__ import annotations

from typing import Any

import pymc as pm

from vi.inference.contract import check_arguments
from vi.inference.inference import Inference
from vi.inference.methods import METHODS
from vi.targets.model.checks import model_in_context

__all__ = ["inference_from"]


def inference_from(
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
    if "estimator" in arguments and method.staged:
        raise TypeError(
            f"estimator={arguments['estimator']!r}: the stages of {method.__name__} have their "
            "own. Give the method that it is for, method='advi' or 'fullrank_advi', or leave it "
            "out."
        )
    if "estimator" in arguments and not method.estimators:
        why = (
            "makes no steps along the gradient of an ELBO, which is what is estimated"
            if method.stepwise
            else "finds its approximation in one go, without steps whose gradient is estimated"
        )
        raise TypeError(
            f"estimator={arguments['estimator']!r}: {method.__name__} {why}. Leave it out."
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
