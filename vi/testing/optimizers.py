"""A check for those who write an optimiser: its updates on a parabola, its state and settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vi.foundation.numbers import flag
from vi.foundation.precision import precision
from vi.optimizers.named import Named, is_optimizer, name_of
from vi.testing.common import FLOAT32, FLOAT64, check_sizes, different, leaves, quick_jit

__all__ = ["check_optimizer"]

START = {"a": np.array([3.0, -2.0]), "b": np.array([[1.0, -1.0, 2.0]])}
COUNTS = ("count", "step", "steps", "n_steps", "t")
"""What the number of steps is called in states."""


def check_optimizer(
    optimizer: optax.GradientTransformation, *, steps: int = 200, settings: bool = True
) -> None:
    """Check that an optimiser is one that a fit can use, go on with and keep in a file.

    Parameters
    ----------
    optimizer : optax.GradientTransformation
        The optimiser, with settings that suit a parabola of curvature 2.
    steps : int
        Steps after which it has to be lower on the parabola than it was.
    settings : bool
        Whether it has to know its settings, which files keep. ``False`` for a plain optax
        transformation, which fits take, but which has to be given again when a file is loaded.

    Raises
    ------
    AssertionError
        If something does not hold; the message says what. Checked are, in this order: it is a pair
        of ``init`` and ``update``; its state is a pytree of arrays; updates have the structure, the
        shapes and the types of the parameters, in float64 and float32, with and without what fits
        hand on beside the gradient; a new state has the form of the old one; two calls give the
        same and leave their arguments alone; step counts grow and random keys change; compiled and
        in a batch of runs it is the same; steps go down on a parabola; its settings make it anew
        (:func:`vi.optimizers.with_settings`).

    Notes
    -----
    How long a step ought to be is a matter of the settings: an update that is twice as large as
    meant is a larger learning rate, which cannot be told from one.

    Examples
    --------
    >>> import vi
    >>> vi.testing.check_optimizer(vi.adam(learning_rate=0.1))
    """
    check_sizes(steps=steps)
    flag("settings", settings)
    _check_kind(optimizer)
    for dtype in (FLOAT32, FLOAT64):
        with precision(dtype):
            _check_forms(optimizer, dtype)
    with precision(FLOAT64):
        params = _start(FLOAT64)
        _check_purity(optimizer, params)
        _check_several(optimizer, params)
        _check_descent(optimizer, params, steps)
        if settings:
            _check_settings(optimizer, params)


def _check_kind(optimizer: Any) -> None:
    shown = name_of(optimizer)
    makes_one = isinstance(optimizer, type) or (callable(optimizer) and not is_optimizer(optimizer))
    assert not makes_one, f"{shown} makes an optimiser and is none: call it, {shown}(...)"
    lacking = [name for name in ("init", "update") if not hasattr(optimizer, name)]
    assert not lacking, (
        f"{shown} has no {' and no '.join(lacking)}: an optimiser is an optax transformation, "
        "optax.GradientTransformation(init, update)"
    )


def _start(dtype: np.dtype) -> dict[str, jax.Array]:
    return {name: jnp.asarray(value, dtype) for name, value in START.items()}


def _value(params: Any) -> jax.Array:
    """The parabola, of curvature 2."""
    return sum((jnp.sum(leaf**2) for leaf in jax.tree.leaves(params)), jnp.zeros(()))


def _update(optimizer: Any, state: Any, params: Any, *, extra: bool = True) -> tuple[Any, Any]:
    """One call of ``update``, with what fits hand on."""
    gradient = jax.grad(_value)(params)
    more: dict[str, Any] = {}
    if extra:
        more = {
            "value": _value(params),
            "grad": gradient,
            "units": jax.tree.map(jnp.ones_like, params),
            "frame": None,
            "noise_vanishes": False,
        }
    pair: Any = optax.with_extra_args_support(optimizer).update(gradient, state, params, **more)
    is_pair = isinstance(pair, tuple) and len(pair) == 2
    assert is_pair, f"update() must return the pair (updates, state); got {type(pair).__name__}"
    updates, new = pair
    return updates, new


def _kinds(tree: Any) -> dict[str, tuple[tuple[int, ...], Any]]:
    return {
        jax.tree_util.keystr(path): (jnp.shape(leaf), jnp.result_type(leaf))
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def _structure(tree: Any) -> Any:
    return jax.tree.structure(tree)


def _listed(kinds: Mapping[str, tuple[tuple[int, ...], Any]]) -> str:
    return ", ".join(f"{path} {dtype} {shape}" for path, (shape, dtype) in kinds.items()) or "none"


def _check_forms(optimizer: Any, dtype: np.dtype) -> None:
    """State and updates: their structure, shapes and types."""
    params = _start(dtype)
    state = optimizer.init(params)
    for where, leaf in jax.tree_util.tree_leaves_with_path(state):
        assert isinstance(leaf, jax.Array | np.ndarray | np.generic), (
            f"state{jax.tree_util.keystr(where)} is {leaf!r}, a {type(leaf).__name__}: the state "
            "of an optimiser must be a pytree of arrays; write jnp.asarray(...)"
        )
    for extra in (True, False):
        try:
            updates, new = _update(optimizer, state, params, extra=extra)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            what = "with value, grad and units beside" if extra else "without more than"
            raise AssertionError(
                f"update() cannot make a step {what} the gradient, the state and the parameters: "
                f"{type(error).__name__}: {error}"
            ) from error
        got, wanted = _kinds(updates), _kinds(params)
        same = _structure(updates) == _structure(params)
        assert same, (
            "updates must have the structure of the parameters, "
            f"{_listed(wanted)}; they have {_listed(got)}"
        )
        for path, (shape, kind) in wanted.items():
            own_shape, own = got[path]
            assert not jnp.issubdtype(own, np.complexfloating), (
                f"updates{path} is complex ({own}); parameters are real: return real updates"
            )
            assert own_shape == shape, (
                f"updates{path} has the shape {own_shape}; the parameter has {shape}"
            )
            assert own == kind, f"updates{path}: {kind} parameters give {own}; keep {kind}"
    before, after = _kinds(state), _kinds(new)
    changed = [
        f"state{path} was {before.get(path)} and becomes {after.get(path)}"
        for path in {**before, **after}
        if before.get(path) != after.get(path)
    ]
    same = _structure(state) == _structure(new) and not changed
    assert same, (
        "update() must return a state of the same structure, shapes and types: "
        f"{'; '.join(changed[:3]) or f'it was {type(state).__name__}, is {type(new).__name__}'}"
    )


def _check_purity(optimizer: Any, params: Any) -> None:
    """Two calls; what they were given; counts and keys."""
    state = optimizer.init(params)
    before = leaves((params, state))
    first = _update(optimizer, state, params)
    now = leaves((params, state))
    changed = [path for path, value in before.items() if not np.array_equal(now[path], value)]
    assert not changed, f"update() changes what it is given ({', '.join(changed)}); return new ones"
    unlike = different(first, _update(optimizer, state, params))
    assert not unlike, (
        f"two calls of the same update differ ({unlike}): init and update must be pure functions; "
        "what an optimiser remembers is in its state"
    )
    old, new = leaves(state), leaves(first[1])
    counts = [path for path, value in old.items() if _is_count(path, value)]
    for path in counts:
        assert not np.array_equal(old[path], new[path]), (
            f"state{path} does not grow: the step count is forgotten; return it plus 1"
        )
    for path in old:
        is_key = "key" in path.lower() or "rng" in path.lower()
        assert counts or not is_key or not np.array_equal(old[path], new[path]), (
            f"state{path} never changes: the noise is the same in every step. Split the key, and "
            "return the new one in the state"
        )


def _is_count(path: str, value: np.ndarray) -> bool:
    """Whether an entry of a state is the number of steps."""
    last = path.replace("['", ".").replace("']", "").rpartition(".")[2]
    return last in COUNTS and value.dtype.kind in "iu" and value.ndim == 0


def _check_descent(optimizer: Any, params: Any, steps: int) -> None:
    """Lower on the parabola after some steps."""

    def step(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], jax.Array]:
        params, state = carry
        updates, state = _update(optimizer, state, params)
        each = jax.tree.leaves(jax.tree.map(jnp.vdot, params, updates))
        along = jnp.sum(jnp.stack(each))
        return (optax.apply_updates(params, updates), state), along

    run = quick_jit(lambda carry: jax.lax.scan(step, carry, length=steps))
    (end, _), along = run((params, optimizer.init(params)))
    before, after = float(_value(params)), float(_value(end))
    moved = np.flatnonzero(np.asarray(along))
    assert len(moved), f"updates are zero: {steps} steps on a parabola leave it at {before:.4g}"
    if after < before:
        return
    assert float(along[moved[0]]) < 0, (
        f"updates go uphill: after {steps} steps on a parabola it is {after:.4g}, at the start "
        f"{before:.4g}. Updates are added to the parameters: they point against the gradient"
    )
    raise AssertionError(
        f"updates do not go down: after {steps} steps on a parabola of curvature 2 it is "
        f"{after:.4g}, at the start {before:.4g}. Give settings with shorter steps"
    )


def _check_several(optimizer: Any, params: Any) -> None:
    """Several runs in one batch, as restarts are made, are each as alone."""
    both = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), params)

    def two(params: Any) -> Any:
        updates, state = _update(optimizer, optimizer.init(params), params)
        return _update(optimizer, state, optax.apply_updates(params, updates))[0]

    alone = two(params)
    try:
        together = quick_jit(jax.vmap(two))(both)
    except Exception as error:  # whatever code of a user's raises
        raise AssertionError(
            "init and update must trace, compiled and over a batch of runs: "
            f"{type(error).__name__}: {str(error).splitlines()[0]}"
        ) from error
    unlike = different(jax.tree.map(lambda leaf: leaf[0], together), alone, rtol=1e-8)
    assert not unlike, f"compiled and batched, an update is another: {unlike}"


def _check_settings(optimizer: Any, params: Any) -> None:
    """Made anew of its settings it is the same, as when a file is read."""
    shown = name_of(optimizer)
    assert isinstance(optimizer, Named), (
        f"{shown} does not know its settings, which files keep: write @vi.optimizers.with_settings "
        "above the function that makes it; or say settings=False"
    )
    for name, value in optimizer.settings.items():
        kept = isinstance(value, bool | int | float | str | Named) or value is None
        assert kept, (
            f"the setting {name}={value!r} is a {type(value).__name__}, which a file cannot hold: "
            "settings are numbers, texts, bools and optimisers under with_settings"
        )
    again = optimizer.maker(**optimizer.settings)
    same = again == optimizer and hash(again) == hash(optimizer)
    assert same, f"{shown}, made anew of its settings, is another: {again!r}"
    one, two = (_update(each, each.init(params), params) for each in (optimizer, again))
    unlike = different(one, two)
    assert not unlike, (
        f"{shown}, made anew of its settings, makes other updates ({unlike}): make everything that "
        "decides on them an argument of the function"
    )
