"""PyMC's optimisers, with PyMC's names, formulas and defaults, as thin constructors over optax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from vi.foundation.numbers import number, whole
from vi.optimizers.named import OPTIMIZERS, with_settings

__all__ = [
    "adadelta",
    "adagrad",
    "adagrad_window",
    "adam",
    "adamax",
    "momentum",
    "nesterov_momentum",
    "rmsprop",
    "sgd",
]

type Rate = float | Callable[[Any], Any]


@OPTIMIZERS.register
@with_settings
def sgd(learning_rate: Rate = 1e-3) -> optax.GradientTransformation:
    r"""Gradient descent, :math:`\lambda \leftarrow \lambda - \alpha g`."""
    return optax.sgd(learning_rate)


@OPTIMIZERS.register
@with_settings
def momentum(learning_rate: Rate = 1e-3, momentum: float = 0.9) -> optax.GradientTransformation:
    r"""Gradient descent with momentum.

    .. math:: v \leftarrow m v - \alpha g, \qquad \lambda \leftarrow \lambda + v
    """
    number("momentum(momentum", momentum, least=0.0, below=1.0)
    return optax.sgd(learning_rate, momentum=momentum)


@OPTIMIZERS.register
@with_settings
def nesterov_momentum(
    learning_rate: Rate = 1e-3, momentum: float = 0.9
) -> optax.GradientTransformation:
    r"""Nesterov's accelerated gradient.

    .. math:: v \leftarrow m v - \alpha g, \qquad \lambda \leftarrow \lambda + m v - \alpha g
    """
    number("nesterov_momentum(momentum", momentum, least=0.0, below=1.0)
    return optax.sgd(learning_rate, momentum=momentum, nesterov=True)


@OPTIMIZERS.register
@with_settings
def adagrad(learning_rate: Rate = 1.0, epsilon: float = 1e-6) -> optax.GradientTransformation:
    r"""Adagrad, :math:`\lambda \leftarrow \lambda - \alpha g / \sqrt{\sum g^2 + \epsilon}`."""
    return optax.adagrad(learning_rate, initial_accumulator_value=0.0, eps=epsilon)


@OPTIMIZERS.register
@with_settings
def adagrad_window(
    learning_rate: Rate = 1e-3, epsilon: float = 0.1, n_win: int = 10
) -> optax.GradientTransformation:
    r"""Adagrad over the last ``n_win`` gradients.

    .. math:: \lambda \leftarrow \lambda - \alpha g / \sqrt{\textstyle\sum_{last} g^2 + \epsilon}

    The default optimiser of ``pm.fit``. Its step is correlated with the noise of the gradient,
    which inflates standard deviations (8.9 % on a conjugate normal); prefer the default of this
    library.
    """
    whole("adagrad_window(n_win", n_win, 1)

    def init(params: optax.Params) -> Any:
        window = jax.tree.map(lambda leaf: jnp.zeros((int(n_win), *leaf.shape), leaf.dtype), params)
        return jnp.zeros((), jnp.int32), window

    def update(
        updates: optax.Updates, state: Any, params: optax.Params | None = None
    ) -> tuple[optax.Updates, Any]:
        count, window = state
        window = jax.tree.map(
            lambda past, new: past.at[count % int(n_win)].set(jnp.square(new)), window, updates
        )
        updates = jax.tree.map(
            lambda new, past: new / jnp.sqrt(jnp.sum(past, axis=0) + epsilon), updates, window
        )
        return updates, (count + 1, window)

    return optax.chain(
        optax.GradientTransformation(init, update), optax.scale_by_learning_rate(learning_rate)
    )


@OPTIMIZERS.register
@with_settings
def rmsprop(
    learning_rate: Rate = 1.0, rho: float = 0.9, epsilon: float = 1e-6
) -> optax.GradientTransformation:
    r"""RMSProp, Adagrad with a fading memory.

    .. math:: a \leftarrow \rho a + (1 - \rho) g^2, \qquad
              \lambda \leftarrow \lambda - \alpha g / \sqrt{a + \epsilon}
    """
    number("rmsprop(rho", rho, least=0.0, below=1.0)
    return optax.rmsprop(learning_rate, decay=rho, eps=epsilon)


@OPTIMIZERS.register
@with_settings
def adadelta(
    learning_rate: Rate = 1.0, rho: float = 0.95, epsilon: float = 1e-6
) -> optax.GradientTransformation:
    """Adadelta (Zeiler 2012)."""
    number("adadelta(rho", rho, least=0.0, below=1.0)
    return optax.adadelta(learning_rate, rho=rho, eps=epsilon)


@OPTIMIZERS.register
@with_settings
def adam(
    learning_rate: Rate = 1e-3, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8
) -> optax.GradientTransformation:
    """Adam (Kingma and Ba 2015)."""
    _check_memories("adam", beta1, beta2)
    return optax.adam(learning_rate, b1=beta1, b2=beta2, eps=epsilon)


@OPTIMIZERS.register
@with_settings
def adamax(
    learning_rate: Rate = 2e-3, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8
) -> optax.GradientTransformation:
    """Adamax (Kingma and Ba 2015)."""
    _check_memories("adamax", beta1, beta2)
    return optax.adamax(learning_rate, b1=beta1, b2=beta2, eps=epsilon)


def _check_memories(name: str, beta1: float, beta2: float) -> None:
    """Refuse memories of 1 and more: what is divided by ``1 - beta**t`` would not be finite."""
    number(f"{name}(beta1", beta1, least=0.0, below=1.0)
    number(f"{name}(beta2", beta2, least=0.0, below=1.0)
