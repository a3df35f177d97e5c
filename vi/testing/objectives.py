"""A check for those who write an objective: what it declares, and that it is fitted by descent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vi.algorithms.contract import check_draws
from vi.algorithms.gradient import Gradient
from vi.families.family import Family, Params
from vi.families.mean_field import MeanField
from vi.foundation.arguments import instance
from vi.foundation.numbers import number
from vi.foundation.precision import precision
from vi.foundation.tracing_errors import first_line
from vi.objectives.base import Objective
from vi.optimizers.pymc_names import adam
from vi.testing.common import (
    FLOAT32,
    FLOAT64,
    Steps,
    booleans,
    check_seed,
    check_sizes,
    different,
    divergence,
    instance_of,
    log_density,
    moments,
    named,
    refused,
    score,
    settings_class,
    start,
)
from vi.testing.descent import check_loss_and_gradient, progress

__all__ = ["check_objective"]

DIM = 2
MANY = 16
"""Draws of a step that is not one of the fewest."""


def check_objective(
    objective: Objective,
    family: Family | None = None,
    *,
    steps: int = 400,
    left: float = 0.5,
    seed: int = 0,
) -> None:
    r"""Check that an objective keeps the contract of :class:`vi.objectives.Objective`.

    It is fitted to a normal of two independent coordinates, from a start at N(0, 1).

    Parameters
    ----------
    objective : Objective
        The objective, or its class.
    family : Family, optional
        What it is fitted with, by default a mean-field normal.
    steps : int
        Steps of Adam after which the fit has to be nearer to the target.
    left : float
        How much of the divergence of the start from the target may be left then.
    seed : int
        Seed of the check.

    Raises
    ------
    AssertionError
        If something does not hold; the message says what. Checked are, in this order: names and
        declarations; equal settings make equal objectives; the loss is one number in float64 and
        float32, the same in two calls, from log p at the draws alone, and depends on the noises;
        ``needs_entropy`` is declared where the family's entropy is asked for; loss and gradient are
        finite at ``fewest_draws``, and the loss is not another one there (minus the ELBO, or none
        that depends on the parameters); ``linear_in_log_p`` is true where it is declared; descent
        goes downhill; the mean loss is minus the ELBO where ``has_elbo`` says so; the gradient is
        that of the mean loss and neither twice nor half of it; ``noise_vanishes`` is true where it
        is declared.

    Examples
    --------
    >>> import vi
    >>> vi.testing.check_objective(vi.objectives.MonteCarlo())
    """
    check_sizes(steps=steps)
    check_seed(seed)
    number("left", left, above=0.0)
    objective = instance_of(objective, Objective, "an objective")
    family = MeanField() if family is None else instance("family", family, Family, "a family")
    _check_declarations(objective)
    for dtype in (FLOAT32, FLOAT64):
        with precision(dtype), refused():
            _check_forms(objective, family, start(family, DIM, seed), seed, dtype)
    with precision(FLOAT64):
        params = start(family, DIM, seed)
        _check_entropy(objective, params, seed)
        _check_fewest(objective, family, params, seed)
        if objective.linear_in_log_p:
            _check_linear(objective, family, params, seed)
        draws = _multiple(objective, max(8, objective.fewest_draws))
        of = Steps(Gradient(family, adam(learning_rate=0.1), n_draws=draws, objective=objective))
        after = progress(of, params, steps, seed)
        check_loss_and_gradient(of, DIM, seed)
        if objective.noise_vanishes:
            _check_vanishing(objective, family, seed)
        before = divergence(np.zeros(DIM), np.ones(DIM))
        assert after <= left * before, (
            f"{steps} steps of Adam make too little progress: the divergence from a normal falls "
            f"from {before:.4g} to {after:.4g} only (left={left} of it is allowed)"
        )


def _check_declarations(objective: Objective) -> None:
    name = type(objective).__name__
    named(objective, "short_name", "renyi")
    named(objective, "loss_name", "minus the Renyi bound")
    assert objective.loss_name != Objective.loss_name, (
        f"{name} has no loss_name: write loss_name = '...' in the class, what its loss is, which "
        "summaries and files show"
    )
    booleans(objective, "has_elbo", "linear_in_log_p", "needs_entropy", "noise_vanishes")
    for attribute in ("fewest_draws", "draws_together"):
        count = getattr(objective, attribute)
        assert type(count) is int, f"{name} has {attribute} = {count!r}: write a whole number"
        assert count >= 1, f"{name} has {attribute} = {count!r}: write a whole number of at least 1"
    settings_class(objective, "objectives")


def _multiple(objective: Objective, count: int) -> int:
    """The next number of draws that the objective takes."""
    return count + -count % objective.draws_together


def _noises(family: Family, params: Params, count: int, seed: int) -> Any:
    keys = jax.random.split(jax.random.key(seed), count)
    return jax.vmap(lambda key: family.noise(key, params))(keys)


def _check_forms(
    objective: Objective, family: Family, params: Params, seed: int, dtype: np.dtype
) -> None:
    """One number of the parameters' type, from the draws, the same twice."""
    many = _multiple(objective, MANY)
    noises, other = (_noises(family, params, many, seed + i) for i in (1, 2))

    def loss(noises: Any) -> jax.Array:
        return objective.loss(family, params, noises, log_density)

    try:
        traced = jax.eval_shape(loss, noises)
    except Exception as error:  # whatever code of a user's raises
        raise AssertionError(
            f"loss() cannot be traced: {type(error).__name__}: {first_line(error)}. It is a JAX "
            "function of arrays that returns one number"
        ) from error
    shape = getattr(traced, "shape", None)
    assert shape == (), (
        "loss() must return one number, a JAX scalar; got "
        f"{type(traced).__name__ if shape is None else f'the shape {shape}'}: average over the "
        "draws"
    )
    assert traced.dtype == dtype, f"{dtype} parameters give a {traced.dtype} loss; keep {dtype}"
    check_draws(objective, family, params, noises)
    if dtype == FLOAT32:
        return
    value = loss(noises)
    unlike = different(value, loss(noises))
    assert not unlike, (
        f"two calls with the same noises differ ({unlike}): loss() must be a pure function, "
        "without counters or random numbers of its own"
    )
    assert not np.array_equal(value, loss(other)), (
        "loss() ignores the noises: it is the same for other ones. Make the draws of the noises "
        "that it is given, family.draw(params, noise)"
    )


@dataclass(frozen=True)
class _WithoutEntropy(MeanField):
    """A family whose entropy has no formula."""

    short_name = "without_entropy"

    def entropy(self, params: Params) -> None:  # type: ignore[override]
        return None


def _check_entropy(objective: Objective, params: Params, seed: int) -> None:
    if objective.needs_entropy or "mu" not in params:
        return
    family: Family = _WithoutEntropy()
    own = start(family, DIM, seed)
    noises = _noises(family, own, _multiple(objective, MANY), seed + 1)
    try:
        jax.eval_shape(lambda p: objective.loss(family, p, noises, log_density), own)
    except (TypeError, AttributeError, ValueError) as error:
        raise AssertionError(
            "loss() cannot do without family.entropy(params), which is None where there is no "
            f"formula ({type(error).__name__}: {error}): write needs_entropy = True in the class"
        ) from error


def _check_fewest(objective: Objective, family: Family, params: Params, seed: int) -> None:
    """What the loss is at the fewest draws."""
    fewest = _multiple(objective, objective.fewest_draws)
    noises = _noises(family, params, fewest, seed + 1)
    value, gradient = jax.value_and_grad(lambda p: objective.loss(family, p, noises, log_density))(
        params
    )
    advice = f"fewest_draws = {fewest} is too small"
    finite = all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((value, gradient)))
    assert finite, f"{advice}: loss or gradient is not finite with {fewest} draws"
    flat = all(np.all(leaf == 0) for leaf in jax.tree.leaves(gradient))
    assert not flat, f"{advice}: with {fewest} draws the loss has no gradient in any parameter"
    if fewest > 1 or objective.has_elbo or objective.linear_in_log_p:
        return

    def minus_elbo(noises: Any) -> jax.Array:
        points, log_q = jax.vmap(lambda e: family.draw_and_log_prob(params, e))(noises)
        return jnp.mean(log_q - log_density(points))

    many = _noises(family, params, MANY, seed + 1)
    others = [_noises(family, params, 1, seed + i) for i in range(3)]
    alone = all(
        np.allclose(objective.loss(family, params, one, log_density), minus_elbo(one), rtol=1e-9)
        for one in others
    )
    together = np.allclose(
        objective.loss(family, params, many, log_density), minus_elbo(many), rtol=1e-9
    )
    assert together or not alone, (
        f"{advice}: with one draw the loss is minus the ELBO, and another one with {MANY}. Write "
        "fewest_draws = 2, or more, in the class"
    )


def _check_linear(objective: Objective, family: Family, params: Params, seed: int) -> None:
    """At a log p half way between two, the loss is half way too."""
    noises = _noises(family, params, _multiple(objective, MANY), seed + 1)

    def loss(share: float) -> jax.Array:
        return objective.loss(
            family,
            params,
            noises,
            lambda z: share * log_density(z) + (1 - share) * jnp.sum(jnp.cos(z), axis=-1),
        )

    got, wanted = loss(0.5), 0.5 * (loss(0.0) + loss(1.0))
    assert np.allclose(got, wanted, rtol=1e-8), (
        f"linear_in_log_p = True does not hold: with log p half way between two the loss is "
        f"{float(got):.6g}, half way is {float(wanted):.6g}. Batches would be fitted to something "
        "else; leave it out"
    )


def _check_vanishing(objective: Objective, family: Family, seed: int) -> None:
    """At the target itself, the gradient of each single draw is zero."""
    mean, std = map(jnp.asarray, moments(DIM))
    params = family.init(mean, std, jax.random.key(seed))
    if not isinstance(family, MeanField) or different(family.mean(params), mean, rtol=1e-6):
        return  # q cannot be known to be exact
    fewest = _multiple(objective, objective.fewest_draws)
    noises = _noises(family, params, fewest, seed + 1)

    def loss(params: Params) -> jax.Array:
        points = jax.lax.stop_gradient(jax.vmap(lambda e: family.draw(params, e))(noises))

        def linearised(z: jax.Array) -> jax.Array:
            return log_density(points) + jnp.sum(score(points) * (z - points), axis=-1)

        return objective.loss(family, params, noises, linearised)

    largest = max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(jax.grad(loss)(params)))
    assert largest <= 1e-6, (
        f"noise_vanishes = True does not hold: where q is the target, the gradient of a draw is "
        f"{largest:.3g}, not 0. Leave it out"
    )
