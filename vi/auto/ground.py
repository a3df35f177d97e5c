"""What the stages of a fit share: the live approximation, its options, the table of stages."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property

import jax.numpy as jnp
import numpy as np

from vi.algorithms import Algorithm
from vi.approximation import Approximation
from vi.approximation.record.begin import with_algorithm
from vi.approximation.record.fit_state import FitState
from vi.approximation.record.log_density import target_of_all_rows
from vi.approximation.record.parameters import reported_params
from vi.approximation.results.diagnosis_sizes import DRAWS
from vi.approximation.results.draws import draw
from vi.diagnostics.importance import Weights, smoothed
from vi.diagnostics.stages import Stage
from vi.diagnostics.status import DivergedError
from vi.families import Family, Params
from vi.foundation.precision import precision
from vi.foundation.seeds import STAGES, derived_seed, key_from
from vi.inference.run_options import RunOptions

__all__ = ["Ground", "Look"]

logger = logging.getLogger("vi")

NOISE = 3.0
"""Standard errors by which one ELBO has to be above another to count as higher."""


@dataclass(frozen=True)
class Look:
    """What fresh draws say: log p and log q at each of them, ``(S,)``."""

    log_p: np.ndarray
    log_q: np.ndarray

    @cached_property
    def ratios(self) -> np.ndarray:
        """Log p - log q."""
        with np.errstate(invalid="ignore"):  # where both are infinite there is no ratio
            ratios: np.ndarray = np.asarray(self.log_p, np.float64) - self.log_q
        return ratios

    @property
    def elbo(self) -> float:
        """Minus infinity where log p is not finite at a draw."""
        return float(self.ratios.mean()) if np.all(np.isfinite(self.ratios)) else -np.inf

    @property
    def error(self) -> float:
        """The ELBO's standard error."""
        if not np.isfinite(self.elbo):
            return np.nan
        return float(self.ratios.std() / np.sqrt(len(self.ratios)))

    @cached_property
    def weights(self) -> Weights | None:
        """The importance weights; none where log p is finite at fewer than half of the draws."""
        if np.isfinite(self.log_p).mean() < 0.5:
            return None
        return smoothed(self.log_p, self.log_q)

    @property
    def reliable(self) -> bool:
        """Whether the weights can be relied on."""
        return self.weights is not None and self.weights.reliable

    def row(self, gradients: int, outcome: str) -> Stage:
        """The row of a table of stages; its name and seconds come from the stage."""
        k = np.nan if self.weights is None else self.weights.k
        return Stage("", self.elbo, self.error, k, gradients, outcome=outcome)

    def below(self, other: Look) -> bool:
        """Whether it is lower, by more than the noise of the draws, which are the same ones."""
        if not np.isfinite(self.elbo):
            return bool(np.isfinite(other.elbo))
        if not np.isfinite(other.elbo):
            return False
        noise = (other.ratios - self.ratios).std() / np.sqrt(len(self.ratios))
        return bool(other.elbo - self.elbo > NOISE * noise)


@dataclass
class Ground:
    """A fit in stages that is going on.

    Parameters
    ----------
    approx : Approximation
        The live approximation.
    options : RunOptions
        The options of the fit, resolved.
    most : int
        Gradients after which no new stage begins.
    """

    approx: Approximation
    options: RunOptions
    most: int
    _looked: tuple[object, object, Look] | None = field(default=None, init=False)

    @property
    def fit(self) -> FitState:
        """The present record."""
        return self.approx.record

    @property
    def stopped(self) -> bool:
        """Whether the user has ended the last run."""
        return self.fit.status.ending in ("stopped", "interrupted")

    @property
    def left(self) -> int:
        """Gradients that are left of the budget."""
        return self.most - sum(stage.gradients for stage in self.fit.stages)

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[Stage], None]]:
        """A stage of the table: what is written within it gets its name and its seconds."""
        began = time.perf_counter()
        written: list[Stage] = []
        yield written.append
        for row in written:
            row = replace(row, stage=name, seconds=time.perf_counter() - began)
            done = (*self.fit.stages, row)
            self.approx.change(functools.partial(replace, stages=done))
            logger.info("Stage %s: %s", name, row.outcome)

    def steps(self, family: Family, params: Params, algorithm: Algorithm, n: int) -> int:
        """Make up to ``n`` steps of an algorithm from parameters; how many were made.

        Losses and the numbers of steps count on over the stages.

        Raises
        ------
        DivergedError
            If a loss or a parameter stops being finite, or such as those of no fit can be.
        """
        done = 0 if self.fit.run is None else int(self.fit.run.step)

        def planned(fit: FitState) -> FitState:
            bare = replace(fit, family=family, start=params, run=None, algorithm=None)
            new = with_algorithm(replace(bare, free_mean=None, given_std=None), algorithm)
            assert new.run is not None
            with precision(fit.dtype):
                run = new.run._replace(step=jnp.asarray(done, new.run.step.dtype))
            return replace(new, run=run, losses=fit.losses, warm_start=False)

        self.approx.advance(planned, n, progressbar=self.options.progressbar)
        if self.fit.status.ending == "unreliable":
            raise DivergedError(self.fit.status.message, self.approx)
        return self.fit.status.step - done

    def at(self, family: Family, mean: np.ndarray, std: np.ndarray) -> Params:
        """The parameters with which a family begins at these independent normals."""
        dtype = self.fit.dtype
        with precision(dtype):
            key = key_from(self.fit.seed, STAGES)
            return family.init(jnp.asarray(mean, dtype), jnp.asarray(std, dtype), key)

    def back_to(self, before: FitState) -> None:
        """Hold what an earlier record reported; what is told of the stages since then stays."""

        def back(fit: FitState) -> FitState:
            return replace(before, stages=fit.stages, losses=fit.losses, status=fit.status)

        self.approx.change(back)

    def look(self) -> Look:
        """Fresh draws of the present record; their noise is the same for all stages.

        Where one stage ends and the next begins they are looked at once. They are as many as the
        check's, for which one compiled function then serves both.
        """
        fit = self.fit
        known = self._looked
        if known is not None and known[0] is fit.start and known[1] is fit.run:
            return known[2]
        seed, params = derived_seed(fit.seed, STAGES), reported_params(fit)
        points, log_q = draw(fit.family, params, seed, DRAWS, fit.dtype, density=True)
        assert log_q is not None
        log_p = np.asarray(target_of_all_rows(fit).log_prob(points))
        with precision(fit.dtype):
            entropy = fit.family.entropy(params)
        if (
            entropy is not None
            and abs(np.mean(log_q, dtype=np.float64) + float(entropy)) > 1 + 0.1 * fit.layout.dim
        ):
            log_p = np.full_like(log_p, -np.inf)  # rounding has eaten q's density: it says nothing
        look = Look(log_p, np.asarray(log_q))
        self._looked = (fit.start, fit.run, look)
        return look
