"""Stop when the reported parameters are as near to their goal as a tolerance says."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vi.diagnostics.settling import Settling, settling
from vi.diagnostics.status import Converged
from vi.diagnostics.way_left import way_left
from vi.families import MeanField
from vi.families.family import Family, Params
from vi.families.point import point_entries, widths
from vi.foundation.numbers import number
from vi.foundation.precision import precision

from .base import Callback

__all__ = ["CheckConvergence"]

COORDINATES = 1_000
"""The most coordinates that are looked at."""

RECORDS = 400
"""The most iterates that are kept."""

FEWEST = 20
"""Iterates of the later half below which nothing is said."""

GROWTH = 1.1
"""A look is worth its while when the run has grown by a tenth."""

DRAWS = 256
"""Draws, always of the same noise, that stand for moments without a closed form."""

PAIRS, LARGEST = 64, 250
"""Antithetic pairs of draws behind a Newton step, at the least, or twice the dimensions; and the
most dimensions in which one is made."""

AHEAD = 0.75
"""Of the tolerance: a Newton step has noise of its own."""


class CheckConvergence(Callback):
    r"""Stop when the averaged iterates have converged, by Monte-Carlo error in q's own sds.

    Every `every` steps the means of the iterate's q, divided by the standard deviations of the
    reported q, and the logarithms of its standard deviations are recorded. When the run has grown
    by a tenth, the iterates of its later half are judged; it ends when

    - nine tenths of these coordinates have a split R-hat of at most `rhat`: no trend that exceeds
      the noise, and about 25 effective draws or more;
    - the expected number of coordinates, among all of them, whose reported value :math:`r` is
      further than `tolerance` from where the iterates go round is at most 0.05,

      .. math:: \sum_j P(|r_j - \bar x_j - s_j T_j| > \epsilon) \le 0.05,

      with the iterates' mean :math:`\bar x`, its Monte-Carlo standard error :math:`s` and
      Student's t with as many degrees of freedom as there are effective draws, less one.

    - for mean field in up to 250 dimensions, whose data are at hand as a whole: a Newton step from
      there would move no mean by more than three quarters of `tolerance`. On a ridge, on which
      iterates come to a stand long before the optimum, it is long. It takes 4 D gradients (128 at
      least) of all rows each time that the others hold.

    The reported values may be averages of any kind, or the iterate itself: an optimiser whose
    steps stay long, without averaging, is not said to have converged. Rows in batches only add
    noise. Losses are not looked at (``score=False`` is fine), nor is the posterior: at its family's
    optimum q need not be near the posterior; :meth:`vi.Approximation.diagnose` looks at that.

    A point estimate (``family="point"``) is measured in the length of its steps, the standard
    deviation at the start.

    Of more than 1,000 unconstrained values the same 1,000, chosen at random, are looked at; at most
    400 iterates are kept. A family whose moments have no closed form is looked at through the
    moments of 256 draws, always from the same noise.

    Where no Newton step is made, it cannot see what moves by much less than the tolerance while the
    run doubles: the end of a very long, narrow ridge.

    Parameters
    ----------
    every : int
        Steps between two records.
    tolerance : float
        Error that is allowed for means, in standard deviations of q, and for logarithms of standard
        deviations.
    rhat : float
        The largest split R-hat.

    Raises
    ------
    TypeError
        In the run, if an encoder makes the parameters: an iterate then has no q of its own.

    Examples
    --------
    >>> import pymc as pm, vi
    >>> with pm.Model():
    ...     x = pm.Normal("x", 2.0, 3.0)
    ...     check = vi.callbacks.CheckConvergence()
    ...     approx = vi.fit(
    ...         50_000, method="advi", random_seed=1, callbacks=[check], progressbar=False
    ...     )
    >>> approx.status.ending, approx.status.step < 50_000
    ('converged', True)

    References
    ----------
    Dhaka, Catalina, Andersen, Magnusson, Huggins and Vehtari (2020). Robust, accurate stochastic
    optimization for variational inference. NeurIPS. Welandawe, Andersen, Vehtari and Huggins
    (2022). Robust, automated, and accurate black-box variational inference.
    """

    def __init__(self, every: int = 100, tolerance: float = 0.1, rhat: float = 1.1) -> None:
        super().__init__(every)
        self.tolerance = number("tolerance", tolerance, above=0.0)
        self.rhat = number("rhat", rhat, above=1.0)
        self._begin(0)

    def _begin(self, i: int) -> None:
        """Forget everything: another run, of which the last one says nothing."""
        self.first, self.looked, self.judged, self.stride = i, i, 0, 1
        self.steps: list[int] = []
        self.path: list[np.ndarray] = []

    def get_state(self) -> dict[str, Any]:
        """What it knows of the run, for a checkpoint."""
        counts = {name: getattr(self, name) for name in ("first", "looked", "judged", "stride")}
        return counts | {"steps": list(self.steps), "path": np.array(self.path)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on where the callback was that gave this state."""
        for name in ("first", "looked", "judged", "stride"):
            setattr(self, name, state[name])
        self.steps, self.path = list(state["steps"]), list(state["path"])

    def __call__(self, approx: Any, losses: np.ndarray | None, i: int) -> None:
        another = self.path and len(self.path[0]) != 2 * min(approx.ndim, COORDINATES)
        if i <= self.looked or another:
            self._begin(i - self.every)
        self.looked = i
        if (i // self.every) % self.stride:
            return
        self._record(i, _location_and_log_sd(approx, approx.iterate))
        done = i - self.first
        if len(self.path) < FEWEST or done < GROWTH * self.judged:
            return
        self.judged = done
        found = self._judge(approx)
        if not found.within(self.rhat):
            return
        left = _way_left(approx)
        if left is None or left <= AHEAD * self.tolerance:
            some = f", seen in {COORDINATES:,} of {approx.ndim:,} values"
            raise Converged(
                f"means and log sds of q have an error of {found.error:.2g} of its sds at the most "
                f"(tolerance {self.tolerance:g}), and an R-hat of {found.rhat:.2f} over the last "
                f"{i - self.steps[0]:,} steps{some if approx.ndim > COORDINATES else ''}"
                + ("." if left is None else f"; a Newton step would move a mean by {left:.2g}.")
            )

    def _judge(self, approx: Any) -> Settling:
        """What the records say of what is reported now, in its sds."""
        reported = _location_and_log_sd(approx, approx.reported)
        sd = np.exp(np.split(reported, 2)[1])
        unit = np.concatenate([sd, np.ones(len(sd))])
        path = np.array(self.path)
        return settling(path / unit, reported / unit, self.tolerance, dim=2 * approx.ndim)

    def _record(self, i: int, values: np.ndarray) -> None:
        """Take one more iterate, and let go of those of the earlier half."""
        self.steps.append(i)
        self.path.append(values)
        if len(self.path) > RECORDS:
            self.stride *= 2
        kept = [
            at
            for at, step in enumerate(self.steps)
            if 2 * step > self.first + i and not (step // self.every) % self.stride
        ]
        self.steps = [self.steps[at] for at in kept]
        self.path = [self.path[at] for at in kept]


def _chosen(approx: Any) -> np.ndarray:
    """Which unconstrained values are looked at, always the same."""
    if approx.ndim <= COORDINATES:
        return np.arange(approx.ndim)
    generator = np.random.default_rng(0)
    return np.sort(generator.choice(approx.ndim, COORDINATES, replace=False))


def _location_and_log_sd(approx: Any, params: dict[str, Any]) -> np.ndarray:
    """Means and logarithms of standard deviations of q with some parameters."""
    if params.keys() != approx.reported.keys():
        raise TypeError(
            "CheckConvergence looks at the q of each iterate, and here an encoder makes q from the "
            "rows: use vi.callbacks.CheckLossConvergence()."
        )
    chosen = _chosen(approx)
    with precision(approx.dtype):
        mean, std = _moments(approx.family, {name: jnp.asarray(v) for name, v in params.items()})
        points = point_entries(approx.family, approx.ndim)
        if len(points):
            named = {name: jnp.asarray(value) for name, value in params.items()}
            std = jnp.asarray(std).at[points].set(widths(approx.family, named)[points])
    tiny = np.finfo(np.float64).tiny
    log_sd = np.log(np.maximum(np.asarray(std, np.float64)[chosen], tiny))
    return np.concatenate([np.asarray(mean, np.float64)[chosen], log_sd])


@functools.partial(jax.jit, static_argnums=0)
def _moments(family: Family, params: Params) -> tuple[jax.Array, jax.Array]:
    """Mean and standard deviations of q; those of a few fixed draws where there is no formula."""
    if family.exact_moments:
        return family.mean(params), family.std(params)
    keys = jax.random.split(jax.random.key(0), DRAWS)
    draws = jax.vmap(lambda key: family.draw(params, family.noise(key, params)))(keys)
    return jnp.mean(draws, axis=0), jnp.std(draws, axis=0)


def _way_left(approx: Any) -> float | None:
    """How far a Newton step would move a mean-field mean, in sds; None where none is made."""
    dim, family = approx.ndim, approx.family
    if not isinstance(family, MeanField) or dim > LARGEST or approx.record.data.stream is not None:
        return None
    target = approx.target()
    function = target.value_and_score
    if target.traceable:
        function = target.compiled("values and scores", lambda: jax.jit(target.value_and_score))
    noise = np.random.default_rng(0).normal(size=(max(PAIRS, 2 * dim), dim))
    with precision(approx.dtype):
        mean, sd = (np.asarray(of, np.float64) for of in _moments(family, approx.reported))
        rows = target.batch()
        # a pair at a time: every point has a value for each row of the data
        scores = [
            function((mean + np.stack([e, -e]) * sd).astype(target.dtype), rows)[1] for e in noise
        ]
    both = sd * np.asarray(scores, np.float64)
    if not np.isfinite(both).all():
        return None
    return float(np.abs(way_left(noise, both[:, 0], both[:, 1])).max())
