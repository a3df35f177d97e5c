"""The default optimiser: Adam in units of q's sds, with strides that grow on a straight way."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from vi.foundation.exponential import exponential
from vi.foundation.numbers import number
from vi.optimizers.named import OPTIMIZERS, with_settings

__all__ = ["scale_free_adam"]


@OPTIMIZERS.register
@with_settings
def scale_free_adam(
    learning_rate: float = 0.05,
    decay_steps: float = 200.0,
    beta1: float = 0.9,
    memory: float = 0.65,
    stride_growth: float = 0.05,
    stride_threshold: float = 0.7,
    max_stride: float = 1e8,
    floor: float = 0.2,
) -> optax.GradientTransformationExtraArgs:
    r"""Adam whose steps are measured in the parameters' natural units.

    With ``u`` the family's units (:meth:`vi.families.Family.units`: a location's unit is the
    standard deviation of q there) and ``g`` the gradient, step ``t = 1, 2, ...`` is

    .. math::

        m_t &= \beta_1 m_{t-1} + (1 - \beta_1)\, u g, \qquad
        v_t = (1 - t^{-c}) v_{t-1} + t^{-c} (u g)^2, \qquad
        d_t = \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t} + 10^{-8}} \\
        r_t &= \mathrm{clip}\bigl(r_{t-1} \exp(\kappa (\min(|d_t|, 1) - \tau) / (1 - \tau)),
               \, 1,\, r_{max}\bigr) \\
        \lambda_t &= \lambda_{t-1} - \frac{\alpha}{\sqrt{1 + (t - 1) / T}}\, u\, r_t\, d_t

    Of parameters that lie in the family's frame (:meth:`vi.families.Family.frame`) ``g`` is the
    gradient in its coordinates, ``u`` is 1, and the frame says by what they change.

    Multiplying the data's unit by a constant multiplies the iterates by it, to first order in the
    step. The stride ``r`` is 1 where successive gradients disagree and grows while they point the
    same way: distances of many standard deviations are crossed in a number of steps that grows with
    their logarithm. The second moment's memory grows like :math:`t^c` (Adafactor's rule), so that
    large gradients of the beginning are forgotten. Nothing depends on the number of steps planned.

    Dividing by :math:`\sqrt{v_t}` keeps steps as long as the rate says however small the gradient
    is. That is wrong where the gradient's noise vanishes at the optimum (the objective says so in
    ``noise_vanishes``): as ``v`` decays, the step divided by it outgrows what is stable, and
    iterates are thrown back by up to some tenths of a unit, again and again. Such a gradient is
    divided by :math:`\max(\sqrt{v_t}, f - \max_j \sqrt{v_{t,j}})`: below the floor ``f`` steps
    vanish with the gradient, and iterates converge.

    Parameters
    ----------
    learning_rate : float
        First step, in units (standard deviations of q).
    decay_steps : float
        ``T``; after it the step falls like one over the square root of the step count.
    beta1 : float
        Memory of the first moment.
    memory : float
        ``c``, exponent of the second moment's memory.
    stride_growth, stride_threshold, max_stride : float
        ``kappa``, ``tau`` and the largest stride.
    floor : float
        ``f``, a root mean square of the gradient in units. A normal's gradient has one of 1 an sd
        from the optimum.

    References
    ----------
    Kingma and Ba (2015), Adam; Shazeer and Stern (2018), Adafactor, section 7 (the growing memory).
    The stride follows the idea of delta-bar-delta (Jacobs 1988).
    """
    number("scale_free_adam(decay_steps", decay_steps, above=0.0)
    number("scale_free_adam(beta1", beta1, least=0.0, below=1.0)
    number("scale_free_adam(stride_threshold", stride_threshold, least=0.0, below=1.0)
    number("scale_free_adam(max_stride", max_stride, least=1.0)

    longest = max(1.0, stride_threshold / (1 - stride_threshold))

    @jax.jit  # one compilation in place of one for each kind of array
    def init(params: optax.Params) -> Any:
        flat, _ = ravel_pytree(params)
        return (
            jnp.zeros((), jnp.uint32),
            jnp.zeros_like(flat),
            jnp.zeros_like(flat),
            jnp.ones_like(flat),
        )

    def update(
        updates: optax.Updates,
        state: Any,
        params: optax.Params | None = None,
        *,
        units: Any = None,
        frame: Any = None,
        noise_vanishes: bool = False,
        **extra: Any,
    ) -> tuple[optax.Updates, Any]:
        if units is None:
            units = jax.tree.map(jnp.ones_like, updates)
        if frame is not None:  # of what lies in it, the units are those of its coordinates
            inside = frame.gradient(updates)
            updates = updates | inside
            units = units | jax.tree.map(jnp.ones_like, inside)
        # units stay apart: of many parameters they are one number each, and together an array
        scaled, restore = ravel_pytree(jax.tree.map(jnp.multiply, updates, units))
        count, first, second, stride = state
        count = count + 1
        # rate, forget and correction need no more digits, and powers in float64 are slow
        step = count.astype(jnp.float32)
        rate = (learning_rate * jax.lax.rsqrt(1 + (step - 1) / decay_steps)).astype(scaled.dtype)
        forget = (step**-memory).astype(scaled.dtype)
        correction = (1 - beta1**step).astype(scaled.dtype)

        first = first + (1 - beta1) * (scaled - first)
        second = second + forget * (jnp.square(scaled) - second)
        size = jnp.sqrt(second)
        if noise_vanishes:
            size = jnp.maximum(size, floor - jnp.max(size))
        direction = first / correction / (size + 1e-8)
        straightness = (jnp.minimum(jnp.abs(direction), 1) - stride_threshold) / (
            1 - stride_threshold
        )
        growth = exponential(stride_growth * straightness, stride_growth * longest)
        stride = jnp.clip(stride * growth, 1, max_stride)
        steps = jax.tree.map(
            lambda unit, stride, direction: -rate * unit * stride * direction,
            units,
            restore(stride),
            restore(direction),
        )
        if frame is not None:
            steps = steps | frame.change(steps)
        return steps, (count, first, second, stride)

    return optax.GradientTransformationExtraArgs(init, update)
