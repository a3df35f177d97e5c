"""Pathfinder: the best normal along the way to a mode, or draws from several of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Unpack

import jax
import numpy as np

from vi.approximation import Empirical, FullRank
from vi.approximation.named import PointOptions, check_options
from vi.approximation.record.fit_state import FitState
from vi.approximation.record.log_density import target_of_all_rows
from vi.approximation.steps.in_one_go import normal_params, settled
from vi.diagnostics.importance import RELIABLE, smoothed
from vi.foundation.compiling import jitted
from vi.foundation.numbers import check_count
from vi.foundation.precision import precision
from vi.foundation.seeds import PATHS, RESAMPLING, generator_from, key_from
from vi.inference.inference import Inference
from vi.inference.methods import METHODS
from vi.inference.one_shot import OneShot
from vi.inference.run_options import RunOptions
from vi.search.modes import find_modes, spread_starts
from vi.search.path_normals import draw_from, elbos_along, normals_along
from vi.targets.backends.traceable import traceable_density
from vi.targets.base import Target
from vi.training import Status

__all__ = ["Pathfinder"]


@METHODS.register(name="pathfinder")
class Pathfinder(Inference):
    r"""The normal of the highest ELBO along L-BFGS's path to a mode, or draws from several.

    At each point of the path the inverse Hessian that L-BFGS has learned so far makes a normal; the
    one whose ELBO, estimated from `elbo_draws` draws, is highest is taken. That costs a few hundred
    evaluations of the model.

    One path gives a :class:`vi.FullRank` approximation. Several start from different points;
    `draws` draws of each are weighted by :math:`p / \bar q`, with :math:`\bar q` the mixture of the
    paths' normals (Pareto-smoothed importance sampling), and resampled to `draws` particles, a
    :class:`vi.Empirical` approximation. ``settings()`` says the ELBO of each path (``elbo``), and
    the ``pareto_k`` of the weights: above 0.7 they cannot be relied on; a mode that no path came to
    shows in neither. ``hist`` is minus the ELBO along the best path, from `elbo_draws` draws a
    point; ``n`` of ``fit`` is the most iterations of L-BFGS.

    Parameters
    ----------
    paths : int
        Number of paths.
    draws : int
        Draws of each path's normal for ELBO and weights, and particles where there are several
        paths.
    elbo_draws : int
        Draws for the ELBO of each point of a path.
    model, start, random_seed, dtype
        See :class:`Approximation`. Paths start around the start (uniform noise from -1 to 1,
        unconstrained).

    Raises
    ------
    ValueError
        If no path has a normal with a finite ELBO.

    Examples
    --------
    >>> import pymc as pm, vi
    >>> with pm.Model() as model:
    ...     mu = pm.Normal("mu", 0.0, 1.0)
    ...     y = pm.Normal("y", mu, 1.0, observed=[1.0, 3.0])
    >>> approx = vi.fit(method="pathfinder", model=model, random_seed=1)
    >>> (
    ...     approx.mean.eval().round(3).tolist(),
    ...     approx.cov.eval().round(3).tolist(),
    ... )  # exact: 4 / 3 and 1 / 3
    ([1.333], [[0.333]])

    References
    ----------
    Zhang, Carpenter, Gelman and Vehtari (2022). Pathfinder: parallel quasi-Newton variational
    inference. JMLR 23.
    """

    family_name = "full_rank"
    stepwise = False

    def __init__(
        self,
        *,
        paths: int = 1,
        draws: int = 1_000,
        elbo_draws: int = 25,
        **options: Unpack[PointOptions],
    ) -> None:
        check_options(type(self), options, PointOptions)
        for name, value in (("paths", paths), ("draws", draws), ("elbo_draws", elbo_draws)):
            check_count(name, value)
        if draws < 100:
            raise ValueError(
                f"draws={draws}: must be at least 100, or nothing can be said of the weights."
            )
        super().__init__(
            FullRank(**options) if paths == 1 else Empirical(size=int(draws), **options)
        )
        self.paths, self.draws, self.elbo_draws = int(paths), int(draws), int(elbo_draws)

    def algorithm(self, options: RunOptions) -> OneShot:
        return _AlongPaths(self.paths, self.draws, self.elbo_draws)


@dataclass(frozen=True)
class _AlongPaths(OneShot):
    paths: int
    draws: int
    elbo_draws: int

    def solve(self, fit: FitState, n: int) -> FitState:
        target = target_of_all_rows(fit)
        start = target.layout.flatten(fit.point, target.dtype)
        starts = spread_starts(target, start, self.paths + 1, fit.seed)[1:]
        found = find_modes(target, starts, n)
        with precision(target.dtype):
            finder = _compiled(target, self.draws, self.elbo_draws)
            keys = jax.random.split(key_from(fit.seed, PATHS), self.paths)
            results = finder(
                found.path.swapaxes(0, 1),
                found.path_scores.swapaxes(0, 1),
                found.iterations,
                keys,
                target.batch(),
            )
        along, best, normals, points, log_p, log_q = jax.tree.map(np.asarray, results)
        log_ratios = np.where(np.isfinite(log_p), log_p, -np.inf) - log_q
        with np.errstate(invalid="ignore"):
            elbos = log_ratios.mean(axis=1)
        usable = np.flatnonzero(np.isfinite(along.max(axis=1)))
        if not usable.size:
            raise ValueError(
                "No point of a path has a normal with a finite ELBO: another start, or more paths "
                "(paths=8)?"
            )
        chosen = jax.tree.map(lambda leaf: leaf[usable], normals)
        weights = smoothed(log_p[usable], _log_mixture(chosen, points[usable], log_q[usable]))
        top = int(usable[np.argmax(elbos[usable])])
        if self.paths == 1:
            root = _root(normals, 0)
            params = normal_params(fit, normals.mean[0], np.linalg.cholesky(root @ root.T))
        else:
            pool = points[usable].reshape(-1, target.dim)
            params = {
                "particles": pool[
                    weights.resampled(self.draws, generator_from(fit.seed, RESAMPLING))
                ]
            }
        steps = int(found.iterations[top])
        return settled(
            fit,
            params,
            -along[top, 1 : steps + 1],
            _status(steps, float(elbos[top]), weights.k, self.paths),
            {
                "algorithm": "pathfinder",
                "loss": "minus the ELBO of each point of the path",
                "paths": self.paths,
                "elbo": [float(value) for value in elbos],
                "path_points": [int(point) for point in best],
                "pareto_k": weights.k,
                "importance_ess": weights.ess,
            },
        )


def _compiled(target: Target, draws: int, elbo_draws: int) -> Any:
    """All paths as one compiled call, kept with the target.

    It returns, for each path: ELBOs along it ``(points,)``, the best point's number, its normal,
    draws ``(draws, D)``, and their log p and log q ``(draws,)``.
    """

    def make() -> Any:
        density = traceable_density(target)

        def one(path: Any, scores: Any, iterations: Any, key: Any, batch: Any) -> Any:
            normals = normals_along(path, scores)
            first, second = jax.random.split(key)
            keys = jax.random.split(first, len(path))
            elbos = elbos_along(lambda z: density(z, batch), normals, keys, elbo_draws)
            where = jax.numpy.arange(len(path))
            elbos = jax.numpy.where((where >= 1) & (where <= iterations), elbos, -jax.numpy.inf)
            best = jax.numpy.argmax(elbos)
            normal = jax.tree.map(lambda leaf: leaf[best], normals)
            points, log_q = draw_from(normal, second, draws)
            return elbos, best, normal, points, jax.vmap(lambda z: density(z, batch))(points), log_q

        return jitted(jax.vmap(one, in_axes=(0, 0, 0, 0, None)))

    return target.compiled(("paths", draws, elbo_draws), make)


def _root(normals: Any, path: int) -> np.ndarray:
    """A root R of the covariance R R' of a path's normal."""
    basis, inner = (np.asarray(part[path], np.float64) for part in (normals.basis, normals.factor))
    middle = np.eye(len(basis)) + basis @ (inner - np.eye(len(inner))) @ basis.T
    root: np.ndarray = np.asarray(normals.scale[path], np.float64)[:, None] * middle
    return root


def _log_mixture(normals: Any, points: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """Log density of the mixture of the paths' normals at the draws of each, ``(paths, draws)``.

    Weighted by the mixture, and not by the normal that made it, a draw counts the same however many
    paths came to its mode.
    """
    paths, draws, dim = points.shape
    if paths == 1:
        return log_q
    each = np.empty((paths, paths * draws))
    for path in range(paths):
        root = _root(normals, path)
        e = np.linalg.solve(
            root, (points.reshape(-1, dim) - normals.mean[path]).T.astype(np.float64)
        )
        each[path] = (
            -0.5 * np.sum(e**2, axis=0) - np.linalg.slogdet(root)[1] - 0.5 * dim * np.log(2 * np.pi)
        )
    mixture: np.ndarray = np.logaddexp.reduce(each, axis=0) - np.log(paths)
    return mixture.reshape(paths, draws).astype(log_q.dtype)


def _status(steps: int, elbo: float, k: float, paths: int) -> Status:
    what = f"ELBO {elbo:,.5g}{'' if paths == 1 else ' at best'}"
    if np.isinf(k):
        advice = "Another start, or another method: the search met no curvature of the posterior."
        return Status("stopped", steps, f"{what}; one draw has all the weight. {advice}")
    what = f"{what}, Pareto k {k:.2f}"
    if k <= RELIABLE:
        return Status("converged", steps, f"{what}.")
    advice = (
        "more paths (inf_kwargs={'paths': 8})"
        if paths == 1
        else "another method, or chains (sample_mcmc)"
    )
    return Status(
        "converged",
        steps,
        f"{what}: above {RELIABLE}, the approximation is far from the posterior. Try {advice}.",
    )
