"""A check for those who write a family: what the rest of the library relies on, by sampling."""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from vi.families.family import MOMENT_DRAWS, Family, Params
from vi.foundation.precision import precision
from vi.objectives import ESTIMATORS
from vi.testing.common import check_seed, check_sizes
from vi.testing.densities import check_density, check_gradient, check_symmetry
from vi.testing.frames import check_frame, check_units
from vi.testing.samples import STANDARD_ERRORS, compare, draws_of, moved_by, perturbed

__all__ = ["check_family"]


def check_family(family: Family, dim: int = 3, *, draws: int = 20_000, seed: int = 0) -> None:
    r"""Check that a family keeps the contract of :class:`vi.families.Family`.

    Parameters
    ----------
    family : Family
        The family.
    dim : int
        Dimension of the check; small, so that Monte Carlo can see errors.
    draws : int
        Draws of the check. Every comparison allows 5 standard errors of its own Monte-Carlo
        estimate.
    seed : int
        Seed of the check.

    Raises
    ------
    AssertionError
        If something does not hold; the message says what. Checked are: the family can be hashed;
        noise does not depend on the parameters, and draws have a gradient in each that moves them;
        ``init`` has the mean and the scale asked for (to 0.15 sd where moments are estimates, to
        the noise of the start for particles); ``mean``, ``std``, ``cov`` and ``entropy`` are those
        of the draws, and the entropy has the gradient of its values; ``draw_and_log_prob`` agrees
        with ``draw`` and ``log_prob``, as do their gradients; noise that is called symmetric
        has the density of its negative; the density is normalised (:math:`E_q[r / q] = 1` for a
        normal ``r`` narrower than q), is that of the draws
        (Stein's identities, :math:`E_q[\nabla_z \log q] = 0` and
        :math:`E_q[(z - m) \nabla_z \log q^\top] = -I`), and its score has mean zero along random
        directions; the gradient of expectations through draws is that of
        the density, :math:`E[\partial f(z(\lambda, \epsilon))] = E_q[f\, \partial \log q]`, in
        each parameter that steps change (``trains``); of a family without width (``has_width``),
        in place of what is said of densities, that draws are the mean and log density, entropy and
        standard deviations 0; units are positive and shaped like the
        parameters, and a frame's two directions belong together; float32 stays float32.

    Examples
    --------
    >>> import vi
    >>> vi.testing.check_family(vi.families.MeanField())
    """
    check_sizes(dim=dim, draws=draws)
    check_seed(seed)
    assert isinstance(family, Family), f"expected an instance of a Family, got {family!r}"
    assert hash(family) == hash(family), "a family must be hashable: make it a frozen dataclass"
    assert isinstance(family.short_name, str), "a family needs a short_name"
    if family.has_density:
        assert family.default_estimator in ESTIMATORS, (
            f"default_estimator must be one of {', '.join(ESTIMATORS)}"
        )
    with precision(np.dtype("float64")):
        check_units(family, family.init(jnp.zeros(dim), jnp.ones(dim), jax.random.key(seed)))
        params = perturbed(family, dim, seed, np.dtype("float64"))
        _check_shapes(family, params, dim, seed)
        _check_init(family, dim)
        if not family.has_width:
            _check_point(family, params, seed)
        elif family.has_density:
            check_density(family, params, draws, seed)
            check_gradient(family, params, draws, seed)
            check_symmetry(family, params, draws, seed)
        _check_moments(family, params, draws, seed)
        check_units(family, params)
        check_frame(family, params, seed)
    with precision(np.dtype("float32")):
        _check_float32(family, dim, seed)


def _check_shapes(family: Family, params: Params, dim: int, seed: int) -> None:
    """Shapes, and what noise and draws may depend on."""
    key = jax.random.key(seed + 2)
    noise, moved = family.noise(key, params), moved_by(family, params, key, 1.0)
    same = jax.tree.map(lambda a, b: bool(jnp.all(a == b)), noise, family.noise(key, moved))
    assert all(jax.tree.leaves(same)), "noise must not depend on the values of the parameters"
    other = family.noise(jax.random.key(seed + 5), params)
    alike = jax.tree.map(lambda a, b: bool(jnp.all(a == b)), noise, other)
    assert not jax.tree.leaves(alike) or not all(jax.tree.leaves(alike)), (
        "noise ignores the key: it is the same for two keys, and so would all draws be"
    )
    z = family.draw(params, noise)
    assert jnp.shape(z) == (dim,), f"draw must have the shape ({dim},), got {jnp.shape(z)}"
    if not family.has_density:
        return
    log_q = family.log_prob(params, z)
    assert jnp.shape(log_q) == (), f"log_prob must be a scalar, got the shape {jnp.shape(log_q)}"
    both, _ = family.draw_and_log_prob(params, noise)
    assert np.allclose(both, z), "draw_and_log_prob must make the same draw as draw"
    direction = {name: moved[name] - params[name] for name in params}
    _, one = jax.jvp(lambda own: family.draw_and_log_prob(own, noise), (params,), (direction,))
    _, two = jax.jvp(
        lambda own: (family.draw(own, noise), family.log_prob(own, family.draw(own, noise))),
        (params,),
        (direction,),
    )
    assert all(np.allclose(a, b, rtol=1e-6, atol=1e-6) for a, b in zip(one, two, strict=True)), (
        "the gradient of draw_and_log_prob in the parameters must be that of draw and log_prob, "
        "one after the other"
    )
    ways = partial(family.log_prob_of_draw, params, noise), partial(family.log_prob, params)
    one, two = (jax.value_and_grad(way)(z) for way in ways)
    assert all(np.allclose(a, b, rtol=1e-6, atol=1e-6) for a, b in zip(one, two, strict=True)), (
        "log_prob_of_draw must be log_prob at the draw, and have its gradient in z"
    )
    jacobian = jax.jacrev(lambda own: family.draw(own, noise))(params)
    for name, slope in jacobian.items():
        matters = bool(jnp.any(family.draw(params | {name: moved[name]}, noise) != z))
        assert bool(jnp.any(slope != 0)) or not matters or not family.trains(name), (
            f"draw has no gradient in the parameter {name!r}"
        )


def _check_init(family: Family, dim: int) -> None:
    mean, std = jnp.arange(dim, dtype=jnp.float64), jnp.linspace(0.3, 3.0, dim)
    params = family.init(mean, std, jax.random.key(0))
    allowed = 1e-8 if family.exact_moments else 0.15
    if not family.has_density:
        allowed = STANDARD_ERRORS / math.sqrt(next(iter(params.values())).shape[0])
    own_mean, own_std = jax.jit(family.mean)(params), jax.jit(family.std)(params)
    assert np.max(np.abs(own_mean - mean) / std) <= allowed, (
        "init(mean, std, key) must have that mean"
    )
    wanted_std = std if family.has_width else jnp.zeros_like(std)
    assert np.max(np.abs(own_std - wanted_std) / std) <= allowed, (
        "init(mean, std, key) must have those standard deviations"
    )


def _check_point(family: Family, params: Params, seed: int) -> None:
    """Every draw of a point is its mean, and its log density counts 0."""
    noise = family.noise(jax.random.key(seed + 3), params)
    z, log_q = family.draw_and_log_prob(params, noise)
    assert bool(jnp.all(z == family.mean(params))), "a draw of a point must be its mean"
    assert float(log_q) == 0.0, "the log density of a point counts 0"
    assert not jnp.any(family.std(params)), "a point has a standard deviation of 0"
    entropy = family.entropy(params)
    assert entropy is not None, "the entropy of a point counts 0: entropy must return it"
    assert float(entropy) == 0.0, "the entropy of a point counts 0"


def _check_moments(family: Family, params: Params, draws: int, seed: int) -> None:
    points, log_q = (np.asarray(values) for values in draws_of(family, params, draws, seed))
    mean, std, cov = (np.asarray(jax.jit(f)(params)) for f in (family.mean, family.std, family.cov))
    widen = 1.0 if family.exact_moments else math.sqrt(1.0 + draws / MOMENT_DRAWS)
    compare("mean", points, mean, widen)
    centred = points - mean
    products = centred[:, :, None] * centred[:, None, :]
    compare("cov", products.reshape(draws, -1), cov.ravel(), widen)
    assert np.allclose(std, np.sqrt(np.diag(cov))), (
        "std must be the square root of the diagonal of cov"
    )
    entropy = family.entropy(params)
    if entropy is not None:
        compare("entropy", -log_q[:, None], np.atleast_1d(np.asarray(entropy)))
        _check_slope_of_entropy(family, params, seed)


def _check_slope_of_entropy(family: Family, params: Params, seed: int) -> None:
    """Compare the gradient of the entropy with differences of its values.

    Central differences are right to the cube root of rounding squared, 4e-11, times the curvature.
    """
    width = float(np.finfo(np.float64).eps) ** (1 / 3)
    entropy = jax.jit(family.entropy)
    for name, value in params.items():
        direction = {other: jnp.zeros_like(entries) for other, entries in params.items()}
        direction[name] = family.units(params)[name] * jax.random.normal(
            jax.random.key(seed + 4), value.shape, value.dtype
        )
        slope = float(jax.jvp(entropy, (params,), (direction,))[1])
        ahead, behind = (
            float(entropy({other: params[other] + step * direction[other] for other in params}))
            for step in (width, -width)
        )
        difference = (ahead - behind) / (2 * width)
        assert abs(slope - difference) <= 1e-6 * (1.0 + abs(difference)), (
            f"the gradient of entropy in {name!r} is not that of its values: {slope:.5g} along a "
            f"direction, differences give {difference:.5g}"
        )


def _check_float32(family: Family, dim: int, seed: int) -> None:
    params = perturbed(family, dim, seed, np.dtype("float32"))
    draw = jax.jit(lambda own: family.draw(own, family.noise(jax.random.key(seed), own)))(params)
    moments = {"mean": family.mean, "std": family.std, "cov": family.cov}
    values = {"draw": draw} | {name: jax.jit(moment)(params) for name, moment in moments.items()}
    if family.has_density:
        values["log_prob"] = jax.jit(family.log_prob)(params, draw)
        both = jax.jit(
            lambda own: family.draw_and_log_prob(own, family.noise(jax.random.key(seed), own))
        )(params)
        values["draw_and_log_prob"] = both[1]
        entropy = family.entropy(params)
        values |= {} if entropy is None else {"entropy": entropy}
    values |= {f"units[{name!r}]": value for name, value in family.units(params).items()}
    for name, value in values.items():
        assert value.dtype == jnp.float32, f"{name} turns float32 parameters into {value.dtype}"
