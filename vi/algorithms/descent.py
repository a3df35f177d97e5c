"""What gradient algorithms share: draws, an optax step, frozen parameters, averaging."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vi.algorithms.base import Algorithm, State
from vi.families.family import Family, Frame, Noise, Params
from vi.foundation.batching import batched
from vi.foundation.fusion import in_memory
from vi.foundation.numbers import flag, positive, whole
from vi.optimizers.averaging import Averaging
from vi.optimizers.named import is_optimizer, name_of

__all__ = ["Descent"]

LAST_STEP = np.uint32(2**32 - 1)
"""The largest number of a step, which no run comes to, though compiled code cannot know it."""


@dataclass(frozen=True)
class Descent(Algorithm):
    """An algorithm that follows a gradient in the parameters with an optax transformation.

    Parameters
    ----------
    family : Family
        What is fitted.
    optimizer : optax.GradientTransformation
        Any optax transformation that needs no line search. If it takes extra arguments it is handed
        ``value`` (the loss), ``grad``, ``units=family.units(params)``,
        ``frame=family.frame(params)`` and ``noise_vanishes``.
    averaging : Averaging or None
        How iterates are averaged; ``None`` reports the iterate itself.
    n_draws : int
        Draws ``K`` a step.
    max_gradient_norm : float or None
        Longer gradients are scaled down to this Euclidean norm (over all parameters) before the
        optimiser sees them.
    antithetic : bool
        Whether draws come in pairs, of noise and its negative; `n_draws` is even then, and the
        family's noise symmetric.
    """

    family: Family
    optimizer: optax.GradientTransformation
    averaging: Averaging | None = None
    n_draws: int = 1
    max_gradient_norm: float | None = None
    antithetic: bool = False
    uses_optimizer = True

    def __post_init__(self) -> None:
        name = type(self).__name__
        if not is_optimizer(self.optimizer) or isinstance(self.optimizer, type):
            raise TypeError(
                f"{name}(optimizer={self.optimizer!r}): give an optax transformation, vi.adam()."
            )
        for key, kind in (("family", Family), ("averaging", Averaging | None)):
            self._check_kind(key, kind)
        object.__setattr__(self, "n_draws", whole(f"{name}(n_draws", self.n_draws, 1))
        norm = positive(f"{name}(max_gradient_norm", self.max_gradient_norm)
        object.__setattr__(self, "max_gradient_norm", norm)
        flag(f"{name}(antithetic", self.antithetic)
        if self.antithetic and (self.n_draws % 2 or not self.family.symmetric):
            raise ValueError(
                f"{name}(antithetic=True) takes an even n_draws and a family whose noise is "
                f"symmetric; got n_draws={self.n_draws} and {self.family.short_name!r}."
            )

    def _check_kind(self, key: str, kind: Any) -> None:
        """Refuse a setting that is no instance of its kind."""
        value = getattr(self, key)
        if not isinstance(value, kind):
            what = getattr(kind, "__name__", str(kind).replace("vi.optimizers.averaging.", ""))
            raise TypeError(f"{type(self).__name__}({key}={value!r}): give an instance of {what}.")

    def init(self, params: Params, key: jax.Array) -> State:
        average = () if self.averaging is None else self.averaging.init(params)
        return State(
            params, self._transformation().init(params), average, key, jnp.zeros((), jnp.uint32)
        )

    def report(self, state: State) -> Params:
        return state.params if self.averaging is None else self.averaging.value(state.average)

    def step_settings(self) -> dict[str, Any]:
        """The settings that all algorithms with an optax step have."""
        return {
            "optimizer": name_of(self.optimizer),
            "averaging": repr(self.averaging),
            "draws_per_step": self.n_draws,
            "antithetic": self.antithetic,
        }

    def noises(self, state: State) -> Noise:
        """The noise of this step's draws, a leading axis of ``n_draws``; of pairs, halves."""
        noises = batched(lambda key: self.family.noise(key, state.params), self._keys(state))
        noises = in_memory(noises, state.step < LAST_STEP)
        if not self.antithetic:
            return noises
        return jax.tree.map(lambda noise: jnp.concatenate([noise, -noise]), noises)

    def draws(self, params: Params, noises: Noise) -> jax.Array:
        """The draws that noises make, ``(n_draws, D)``."""
        return batched(lambda noise: self.family.draw(params, noise), noises)

    def descend(
        self,
        state: State,
        loss: jax.Array,
        gradient: Params,
        *,
        frame: Frame | None = None,
        noise_vanishes: bool = False,
    ) -> tuple[State, jax.Array]:
        """The state after one step of the optimiser, and the loss for :meth:`Algorithm.tell`.

        ``frame`` is the family's at the state's parameters, by default too. ``noise_vanishes`` is
        handed to the optimiser: whether the gradient is zero at the optimum.
        """
        frozen = [name for name in gradient if not self.family.trains(name)]
        gradient = gradient | {name: jnp.zeros_like(gradient[name]) for name in frozen}
        updates, optimizer_state = self._transformation().update(
            gradient,
            state.optimizer,
            state.params,
            value=loss,
            grad=gradient,
            units=self.family.units(state.params),
            frame=frame or self.family.frame(state.params),
            noise_vanishes=noise_vanishes,
        )
        # a zero gradient does not keep a frozen parameter: the optimiser's momentum would move it
        params = optax.apply_updates(state.params, updates) | {
            name: state.params[name] for name in frozen
        }
        average = (
            state.average
            if self.averaging is None
            else self.averaging.update(state.average, params)
        )
        finite = jnp.isfinite(loss)
        for leaf in jax.tree.leaves(params):
            finite &= jnp.all(jnp.isfinite(leaf))
        new = State(params, optimizer_state, average, state.key, state.step + 1)
        return new, jnp.where(finite, loss, jnp.nan)

    def _transformation(self) -> optax.GradientTransformationExtraArgs:
        if self.max_gradient_norm is None:
            return optax.with_extra_args_support(self.optimizer)
        return optax.chain(optax.clip_by_global_norm(self.max_gradient_norm), self.optimizer)

    def _keys(self, state: State) -> jax.Array:
        """The keys of this step's draws: a function of the run's key and the step alone."""
        count = self.n_draws // 2 if self.antithetic else self.n_draws
        counters = state.step * jnp.uint32(count) + jnp.arange(count, dtype=jnp.uint32)
        return batched(lambda counter: jax.random.fold_in(state.key, counter), counters)
