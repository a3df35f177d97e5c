"""A check for those who write an algorithm: its steps on a normal, and what it declares of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vi.algorithms.base import Algorithm, Rows, State
from vi.algorithms.contract import check_contract
from vi.foundation.arguments import function
from vi.foundation.numbers import flag, number
from vi.foundation.precision import precision
from vi.testing.common import (
    FLOAT32,
    FLOAT64,
    Steps,
    between,
    booleans,
    check_seed,
    check_sizes,
    different,
    divergence,
    instance_of,
    leaves,
    named,
    quick_jit,
    refused,
    settings_class,
    start,
)
from vi.testing.descent import check_loss_and_gradient, progress, with_optimizer

__all__ = ["check_algorithm"]


def check_algorithm(
    algorithm: Algorithm,
    dim: int = 2,
    *,
    rows: Callable[[jax.Array], Rows] | None = None,
    weight: float = 1.0,
    random: bool = True,
    steps: int = 400,
    left: float = 0.5,
    seed: int = 0,
) -> None:
    r"""Check that an algorithm keeps the contract of :class:`vi.algorithms.Algorithm`.

    Its steps are made on a normal of independent coordinates, from a start at N(0, 1).

    Parameters
    ----------
    algorithm : Algorithm
        The algorithm, with its family and, if it has one, its optimiser.
    dim : int
        Length of the flat vector: at least 2.
    rows : callable, optional
        For local variables: the rows of a step, by its number.
    weight : float
        For local variables: all rows over the rows of a step.
    random : bool
        Whether steps draw. ``False`` for an algorithm that asks at the same points on purpose.
    steps : int
        Steps after which it has to be nearer to the target.
    left : float
        How much of the divergence of the start from the target may be left then.
    seed : int
        Seed of the check.

    Raises
    ------
    AssertionError
        If something does not hold; the message says what. Checked are, in this order: names and
        declarations; equal settings make equal algorithms, and ``settings`` holds text and numbers;
        what ``init``, ``ask``, ``tell`` and ``report`` return, in float64 and float32; two calls
        give the same, compiled and batched ones too; the step count grows by one and the key stays;
        other keys and steps ask at other points; the optimiser alone moves the parameters, where
        there is one; steps go downhill; the mean loss is minus the ELBO where ``has_elbo`` says so;
        the gradient is that of the mean loss and neither twice nor half of it; ``linear_in_log_p``
        is true where it is declared; a step to parameters that are not finite has the loss NaN.

    Notes
    -----
    The gradient is what a step of :func:`optax.sgd` with the rate 1 moves by, in the place of the
    algorithm's optimiser. An algorithm may follow another gradient than that of its loss, unless it
    says ``has_elbo``: it is then the direction alone that is checked.

    Examples
    --------
    >>> import vi
    >>> from vi.algorithms import Gradient
    >>> vi.testing.check_algorithm(
    ...     Gradient(vi.families.MeanField(), vi.adam(learning_rate=0.1), n_draws=8)
    ... )
    """
    check_sizes(dim=dim, steps=steps)
    check_seed(seed)
    flag("random", random)
    for name, value in (("weight", weight), ("left", left)):
        number(name, value, above=0.0)
    if rows is not None:
        function("rows", rows, "a function of the points that returns the rows of a step", 1)
    algorithm = instance_of(algorithm, Algorithm, "an algorithm")
    _check_declarations(algorithm)
    of = Steps(algorithm, rows, weight)
    drawn = random and algorithm.family.has_density
    with precision(FLOAT32), refused():
        _check_forms(of, dim, seed, FLOAT32)
    with precision(FLOAT64):
        with refused():
            _check_forms(of, dim, seed, FLOAT64)
        params = start(algorithm.family, dim, seed)
        _check_purity(of, params, seed)
        if drawn:
            _check_points(of, params, seed)
        _check_optimizer(of, params, seed)
        after = progress(of, params, steps, seed)
        check_loss_and_gradient(of, dim, seed, gradient=rows is None and drawn)
        _check_linear(of, params, seed)
        _check_failure(of, params, seed)
        before = divergence(np.zeros(dim), np.ones(dim))
        assert after <= left * before, (
            f"{steps} steps make too little progress: the divergence from a normal falls from "
            f"{before:.4g} to {after:.4g} only (left={left} of it is allowed)"
        )


def _check_declarations(algorithm: Algorithm) -> None:
    """Names, settings, and equal objects for equal settings."""
    named(algorithm, "short_name", "steepest")
    named(algorithm, "loss_name", "minus the ELBO")
    name = type(algorithm).__name__
    assert getattr(algorithm, "family", None) is not None, (
        f"{name} has no family: make it a field of the frozen dataclass, what is fitted"
    )
    booleans(algorithm, "uses_optimizer", "has_elbo", "linear_in_log_p")
    has_one = with_optimizer(Steps(algorithm), optax.set_to_zero()) is not None
    assert algorithm.uses_optimizer == has_one, (
        f"{name} has uses_optimizer = {algorithm.uses_optimizer} and "
        f"{'a' if has_one else 'no'} field optimizer: say True where steps are made by one, a "
        "field of the dataclass"
    )
    settings_class(algorithm, "algorithms")
    settings = algorithm.settings()
    try:
        kept = json.loads(json.dumps(settings)) == settings
    except TypeError:
        kept = False
    assert kept, f"settings() must hold text and numbers by name, as files can; got {settings!r}"


def _check_forms(of: Steps, dim: int, seed: int, dtype: np.dtype) -> None:
    """Shapes and types of a step, traced."""
    params = start(of.algorithm.family, dim, seed)
    state = of.algorithm.init(params, jax.random.key(seed))
    columns = dim
    if of.algorithm.family.has_density and isinstance(state, State):
        question = jax.eval_shape(of.ask, state)
        points = getattr(question, "points", None)
        if of.weight != 1.0 and points is not None and len(points.shape) == 2:
            columns = points.shape[1]  # those of a step's rows
    check_contract(of, state, columns)  # type: ignore[arg-type]  # its rows are bound
    points = jax.eval_shape(of.ask, state).points
    new, loss = jax.eval_shape(of.step, state)
    report = jax.eval_shape(of.algorithm.report, new)
    for what, value in (("the points of ask()", points), ("the loss of tell()", loss)):
        assert value.dtype == dtype, f"{what}: {dtype} parameters give {value.dtype}; keep {dtype}"
    same = isinstance(report, dict) and report.keys() == params.keys()
    assert same, (
        f"report() must have the names of the parameters, {sorted(params)}; it returns "
        f"{sorted(report) if isinstance(report, dict) else report!r}"
    )
    for name, value in params.items():
        got = report[name]
        assert (got.shape, got.dtype) == (value.shape, value.dtype), (
            f"report() returns {name!r} as {got.dtype} {got.shape}; the parameter is {value.dtype} "
            f"{value.shape}"
        )


def _check_purity(of: Steps, params: Any, seed: int) -> None:
    """Two calls, compiled and batched ones; the count and the key."""
    keys = jax.random.split(jax.random.key(seed + 1), 2)
    state = of.algorithm.init(params, keys[0])
    before = leaves(state)
    alone = of.step(state)
    changed = between(before, leaves(state))
    assert not changed, f"tell() changes the state that it is given ({changed}); return a new one"

    def once(key: jax.Array) -> tuple[State, jax.Array]:
        return of.step(of.algorithm.init(params, key))

    several = quick_jit(jax.vmap(once))(keys)
    again = of.step(state)
    unlike = different(alone, again)
    assert not unlike, (
        f"two calls of the same step differ ({unlike}): init, ask and tell must be pure functions, "
        "without counters or random numbers of their own"
    )
    assert int(alone[0].step) == int(state.step) + 1, (
        f"state.step must grow by 1 in a step; it goes from {int(state.step)} to "
        f"{int(alone[0].step)}: return state._replace(step=state.step + 1, ...)"
    )
    unlike = different(alone[0].key, state.key)
    assert not unlike, "state.key must not change: noise is a function of the key and state.step"
    unlike = different(jax.tree.map(lambda leaf: leaf[0], several), alone, rtol=1e-8)
    assert not unlike, f"compiled and batched, a step gives something else: {unlike}"


def _check_points(of: Steps, params: Any, seed: int) -> None:
    """Other keys and other steps ask elsewhere."""
    one, two = (of.algorithm.init(params, jax.random.key(seed + i)) for i in (1, 2))
    ask = quick_jit(lambda state: of.ask(state).points)
    points, other = ask(one), ask(two)
    assert not np.array_equal(points, other), (
        "ask() ignores the key: two runs with different keys ask at the same points. Draw from "
        "jax.random.fold_in(state.key, state.step); or say random=False"
    )
    later = ask(one._replace(step=one.step + 2))
    assert not np.array_equal(points, later), (
        "ask() ignores the step: the noise is the same in every step. Draw from "
        "jax.random.fold_in(state.key, state.step); or say random=False"
    )


def _check_linear(of: Steps, params: Any, seed: int) -> None:
    """A gradient that is linear in log p is, at answers half way, half way too."""
    own = with_optimizer(of, optax.sgd(1.0)) if of.algorithm.linear_in_log_p else None
    if own is None:
        return
    state = own.algorithm.init(params, jax.random.key(seed + 1))
    question = own.ask(state)
    one = own.answer(question)
    two = jnp.sin(one[0]), jnp.cos(question.points)
    tell = quick_jit(lambda answer: own.tell(state, question, *answer)[0].params)

    def middle(a: Any, b: Any) -> Any:
        return jax.tree.map(lambda x, y: 0.5 * (x + y), a, b)

    unlike = different(tell(middle(one, two)), middle(tell(one), tell(two)), rtol=1e-8)
    assert not unlike, (
        f"linear_in_log_p = True does not hold: with log p half way between two, the step is not "
        f"({unlike}). Batches would be fitted to something else; leave it out"
    )


def _check_optimizer(of: Steps, params: Any, seed: int) -> None:
    """Where steps are made by an optimiser, it alone moves the parameters."""
    still = with_optimizer(of, optax.set_to_zero())
    if still is None:
        return
    state = still.algorithm.init(params, jax.random.key(seed + 1))
    unlike = different(still.step(state)[0].params, state.params)
    assert not unlike, (
        f"uses_optimizer = True: with one that stands still the parameters move ({unlike}); change "
        "them by its updates alone"
    )


def _check_failure(of: Steps, params: Any, seed: int) -> None:
    """A step whose parameters are not finite is known by its loss, even of finite answers."""
    state = of.algorithm.init(params, jax.random.key(seed + 1))
    question = of.ask(state)
    log_prob, slope = of.answer(question)
    ends = [of.tell(state, question, log_prob, jnp.nan * slope)]
    overflow = optax.GradientTransformation(
        lambda params: (), lambda g, s, params=None: (jax.tree.map(lambda a: a / 0, g), s)
    )
    own = with_optimizer(of, overflow)
    if own is not None:
        state = own.algorithm.init(params, jax.random.key(seed + 1))
        ends.append(own.tell(state, question, log_prob, slope))
    for new, loss in ends:
        finite = all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(new.params))
        assert finite or np.isnan(loss), (
            f"the loss is {float(loss):.4g} where parameters of the new state are not finite; it "
            "must be NaN, by which a failed step is known"
        )
