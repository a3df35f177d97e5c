"""What an algorithm's ask and tell must return: traced once, before a step is compiled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vi.algorithms.base import Algorithm, Question, State
from vi.algorithms.descent import Descent
from vi.families.family import Family, Params
from vi.foundation.contracts import said, traced
from vi.foundation.tracing_errors import first_line
from vi.objectives.base import Objective
from vi.optimizers.named import name_of

__all__ = ["check_contract", "check_draws", "check_optimizer_step"]


def check_contract(algorithm: Algorithm, state: State, dim: int) -> None:
    """Refuse an algorithm whose functions do not return what the loop needs.

    Nothing is computed: the functions are traced with the shapes of a state. Without this JAX would
    take a point for a batch of points, or speak of a loop's carry.

    Parameters
    ----------
    algorithm : Algorithm
        The algorithm; of one that has local variables its inner one.
    state : State
        What ``init`` returned.
    dim : int
        Length ``D`` of the flat vector.

    Raises
    ------
    TypeError
        With the name of the algorithm, the function, what it returned and what it should return.
    """
    name = algorithm.short_name
    if not isinstance(state, State):
        raise TypeError(f"init() of the algorithm {name!r} must return a State, got {said(state)}.")
    question = traced(
        f"ask(state, rows) of the algorithm {name!r}", lambda s: algorithm.ask(s, {}), state
    )
    if not isinstance(question, Question):
        raise TypeError(
            f"ask() of the algorithm {name!r} must return a Question(points, noise), got "
            f"{said(question)}."
        )
    shape = jnp.shape(question.points)
    if len(shape) != 2 or shape[1] != dim:
        raise TypeError(
            f"ask() of the algorithm {name!r} must ask at points (K, {dim}), one a row; it asks at "
            f"{said(question.points)}."
        )
    dtype = question.points.dtype
    answer = jax.ShapeDtypeStruct(shape[:1], dtype), jax.ShapeDtypeStruct(shape, dtype)
    told = traced(
        f"tell(state, question, log_prob, score, rows) of the algorithm {name!r}",
        lambda s, q, log_prob, score: algorithm.tell(s, q, log_prob, score, {}),
        state,
        question,
        *answer,
    )
    if not isinstance(told, tuple) or isinstance(told, State) or len(told) != 2:
        raise TypeError(
            f"tell() of the algorithm {name!r} must return the pair (state, loss), got "
            f"{said(told)}."
        )
    new, loss = told
    if (
        not hasattr(loss, "shape")
        or loss.shape != ()
        or not jnp.issubdtype(loss.dtype, np.floating)
    ):
        raise TypeError(
            f"tell() of the algorithm {name!r} must return one number as the loss of the step, got "
            f"{said(loss)}."
        )
    _check_state(name, state, new)


def check_draws(objective: Objective, family: Family, params: Params, noises: Any) -> None:
    """Refuse an objective that asks for log p elsewhere than at the draws.

    It gets the log density linearised at the draws; anywhere else that is a plane, whose value has
    nothing to do with the model.

    Raises
    ------
    TypeError
        If it does.
    """

    def asked(params: Params, noises: Any) -> tuple[jax.Array, list[jax.Array]]:
        points: list[jax.Array] = []

        def probe(z: jax.Array) -> jax.Array:
            points.append(z)
            return jnp.zeros(jnp.shape(z)[:1], z.dtype)

        objective.loss(family, params, noises, probe)
        return jax.vmap(lambda noise: family.draw(params, noise))(noises), points

    name = objective.short_name
    draws, points = jax.jit(asked)(params, noises)
    for z in points:
        if z.shape != draws.shape or not np.allclose(z, draws, rtol=1e-4, atol=1e-6):
            raise TypeError(
                f"The objective {name!r} asks for log p at other points than its draws, where it "
                "is not known: loss() may call log_prob with the draws of all noises alone, in "
                "their order."
            )


def check_optimizer_step(algorithm: Descent, state: State) -> None:
    """Refuse an optimiser that cannot make a step from a gradient alone.

    Raises
    ------
    TypeError
        With what it raised, or how its updates differ from the parameters.
    """
    optimizer = optax.with_extra_args_support(algorithm.optimizer)

    def updates(params: Params) -> Any:
        return optimizer.update(
            params,
            optimizer.init(params),
            params,
            value=jnp.zeros(()),
            grad=params,
            units=params,
            frame=None,
            noise_vanishes=False,
        )[0]

    try:
        moved = jax.eval_shape(updates, state.params)
    except Exception as error:  # whatever code of a user's raises
        raise TypeError(
            f"obj_optimizer={name_of(algorithm.optimizer)} cannot make a step: "
            f"{type(error).__name__}: {first_line(error)}. An optimiser is an optax transformation "
            "that needs the gradient, its state and the parameters; a line search "
            "(optax.lbfgs) needs the loss as a function, which is noise here."
        ) from error
    old, new = (dict(jax.tree_util.tree_leaves_with_path(t)) for t in (state.params, moved))
    same = old.keys() == new.keys() and all(
        jnp.shape(new[path]) == jnp.shape(leaf) and not jnp.iscomplexobj(new[path])
        for path, leaf in old.items()
    )
    if not same:
        raise TypeError(
            f"obj_optimizer={name_of(algorithm.optimizer)} must return updates like the "
            f"parameters, {_listed(old)}; it returns {_listed(new)}."
        )


def _listed(leaves: Mapping[Any, Any]) -> str:
    return ", ".join(f"{jax.tree_util.keystr(path)} {said(leaf)}" for path, leaf in leaves.items())


def _check_state(name: str, before: State, after: Any) -> None:
    """Refuse a new state that is not like the old one, entry by entry."""
    if not isinstance(after, State):
        raise TypeError(
            f"tell() of the algorithm {name!r} must return a State first, got {said(after)}."
        )
    old, new = (dict(jax.tree_util.tree_leaves_with_path(s)) for s in (before, after))
    differ = [
        f"state{jax.tree_util.keystr(path)} was {said(old.get(path))} and becomes "
        f"{said(new.get(path))}"
        for path in {**old, **new}
        if _form(old.get(path)) != _form(new.get(path))
    ]
    if differ:
        raise TypeError(
            f"tell() of the algorithm {name!r} must return a state of the same arrays: "
            f"{'; '.join(differ[:3])}."
        )


def _form(leaf: Any) -> Any:
    return None if leaf is None else (jnp.shape(leaf), jnp.result_type(leaf))
